"""Blocks, transactions and events of a stored chain as tables: JSONL and CSV, with a manifest.

Amounts are decimal integers in grains, hashes and bytes hexadecimal with 0x, heights numbers. Calls
are read by the rules of their block, which the chain itself says where it changes them. The
manifest names the chain, the range, the columns and the hash of each file, so that somebody else
can make the same files and compare. Nothing is verified here; `replay` does that.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from chain.audit.source import Source
from chain.errors import ConfigError
from chain.events import DecodedEvent, EventReader
from chain.genesis import start_chain
from chain.releases import Executives, Releases
from chain.storage.archive import ArchivedBlock
from ext import hashing
from runtime.frame.errors import InvalidTransaction
from runtime.primitives import ZERO_HASH
from runtime.system import System, VersionActivated
from runtime.transaction import decode_transaction
from runtime.versions import Due, read_due

SCHEMA_VERSION: Final = 1
"""The meaning of the columns; a new one when any changes."""

COLUMNS: Final = {
    "blocks": (
        "height", "hash", "parent_hash", "time_ms", "proposer_idx", "round", "set_id",
        "state_root", "extrinsics", "signers", "size_bytes",
    ),
    "txs": (
        "height", "index", "hash", "signer", "nonce", "tip", "module", "call", "args", "success",
        "fee", "size_bytes",
    ),
    "events": ("height", "phase", "extrinsic", "place", "module", "event", "fields"),
}  # fmt: skip
"""The datasets and their columns, in order."""

FORMATS: Final = ("jsonl", "csv")
"""The formats that need nothing but the standard library."""

Row = dict[str, Any]
"""One line of a table."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to write: dataset, format, heights (both included), directory."""

    dataset: str
    format: str
    first_height: int
    last_height: int | None
    directory: Path

    def check(self) -> None:
        """Raise ConfigError for a dataset or format that there is not."""
        if self.dataset not in COLUMNS:
            raise ConfigError(f"there is no dataset {self.dataset}; take {', '.join(COLUMNS)}")
        if self.format not in FORMATS:
            raise ConfigError(f"there is no format {self.format}; take {' or '.join(FORMATS)}")


def export_table(
    source: Source,
    plan: ExportPlan,
    *,
    releases: Releases | None = None,
    progress: Callable[[int], None] = lambda _height: None,
) -> dict[str, Any]:
    """Write a table and its manifest; gives the manifest.

    Without `releases` the versions are those of this release. Raises ConfigError, StorageError, or
    VersionMissing for a block whose rules they do not have.
    """
    plan.check()
    plan.directory.mkdir(parents=True, exist_ok=True)
    path = plan.directory / f"{plan.dataset}.{plan.format}"
    rows = last = 0
    first: int | None = None
    tables = _Tables(source, releases or Releases())
    with path.open("w", encoding="utf-8", newline="") as stream:
        write = _writer(stream, plan)
        for stored in source.blocks():
            if plan.last_height is not None and stored.height > plan.last_height:
                break
            tables.follow(stored)
            if stored.height < plan.first_height:
                continue
            for row in tables.rows(plan.dataset, stored):
                write(row)
                rows += 1
            first, last = first or stored.height, stored.height
            progress(stored.height)
    manifest = {
        "schema": f"gristmill.export.{plan.dataset}/{SCHEMA_VERSION}",
        "genesis_hash": "0x" + source.genesis_hash.hex(),
        "first_height": first,
        "last_height": last if first is not None else None,
        "finalized": True,
        "rows": rows,
        "columns": list(COLUMNS[plan.dataset]),
        "file": path.name,
        "sha256": _digest(path),
    }
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (plan.directory / f"{plan.dataset}.manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _writer(stream: TextIO, plan: ExportPlan) -> Callable[[Row], object]:
    """Give the function that writes a row in the format of the plan."""
    if plan.format == "jsonl":
        return lambda row: stream.write(json.dumps(row, sort_keys=True) + "\n")
    table = csv.writer(stream)
    columns = COLUMNS[plan.dataset]
    table.writerow(columns)
    return lambda row: table.writerow([_cell(row[column]) for column in columns])


def _cell(value: Any) -> Any:
    """Give a value as a cell of CSV: nested ones as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    return "" if value is None else value


def _digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Tables:
    """Makes the rows of each dataset from stored blocks, each by its own version."""

    def __init__(self, source: Source, releases: Releases) -> None:
        first = dict(start_chain(source.spec_text).genesis.entries)
        self._releases = releases
        self._events = EventReader(releases.table)
        self._executives = Executives(releases)
        self._version = read_due(first, 1).version

    def follow(self, stored: ArchivedBlock) -> None:
        """Learn whether a block begins another version; every block has to be seen."""
        for event in self._events.decode(stored.receipts[0]):
            if (event.module, event.name) == (System.__name__, VersionActivated.__name__):
                self._version = event.fields["version"]

    def rows(self, dataset: str, stored: ArchivedBlock) -> Iterator[Row]:
        """Yield the rows of a block."""
        if dataset == "blocks":
            yield _block_row(stored)
        elif dataset == "txs":
            yield from self._transaction_rows(stored)
        else:
            yield from self._event_rows(stored)

    def _transaction_rows(self, stored: ArchivedBlock) -> Iterator[Row]:
        due = Due(self._version, ZERO_HASH)
        executive = self._executives.of(self._releases.require(due, stored.height))
        for index, raw in enumerate(stored.block.extrinsics):
            try:
                transaction = decode_transaction(raw)
                call = executive.decode_call(transaction.call)
            except InvalidTransaction:
                continue
            events = self._events.decode(stored.receipts[index + 1])
            yield {
                "height": stored.height,
                "index": index,
                "hash": _plain(hashing.blake2b_256(raw)),
                "signer": _plain(transaction.signer),
                "nonce": transaction.nonce,
                "tip": str(transaction.tip),
                "module": call.entry.module_name,
                "call": call.entry.info.name,
                "args": [_plain(argument) for argument in call.arguments],
                "success": any(event.name == "ExtrinsicSuccess" for event in events),
                "fee": str(_fee(events)),
                "size_bytes": len(raw),
            }

    def _event_rows(self, stored: ArchivedBlock) -> Iterator[Row]:
        last = len(stored.receipts) - 1
        for number, receipt in enumerate(stored.receipts):
            phase = "initialization" if number == 0 else "finalization"
            is_extrinsic = 0 < number < last
            for place, event in enumerate(self._events.decode(receipt)):
                yield {
                    "height": stored.height,
                    "phase": "extrinsic" if is_extrinsic else phase,
                    "extrinsic": number - 1 if is_extrinsic else None,
                    "place": place,
                    "module": event.module,
                    "event": event.name,
                    "fields": {name: _plain(value) for name, value in event.fields.items()},
                }


def _block_row(stored: ArchivedBlock) -> Row:
    """Give the row of a block."""
    header = stored.block.header
    return {
        "height": header.number,
        "hash": _plain(header.block_id),
        "parent_hash": _plain(header.parent_hash),
        "time_ms": header.time_ms,
        "proposer_idx": header.proposer_idx,
        "round": None if stored.commit is None else stored.commit.round,
        "set_id": header.set_id,
        "state_root": _plain(header.state_root),
        "extrinsics": len(stored.block.extrinsics),
        "signers": 0 if stored.commit is None else len(stored.commit.signatures),
        "size_bytes": len(stored.block.encode()),
    }


def _fee(events: list[DecodedEvent]) -> int:
    """Give the fee that a transaction paid, tip included and less what it got back, in grains."""
    paid = sum(int(e.fields["actual_fee"]) for e in events if e.name == "TransactionFeePaid")
    return paid - sum(int(e.fields["amount"]) for e in events if e.name == "FeeReturned")


def _plain(value: Any) -> Any:
    """Give a value of the runtime as JSON can hold it exactly."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
