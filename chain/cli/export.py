"""`gristmill export`: blocks, transactions and events as CSV or JSON lines, with a manifest.

The manifest says what was exported and how to do it again: chain, range, sha256 of every file.
"""

import csv
import hashlib
import importlib
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.chain_client import (
    EVENTS_KEY,
    Block,
    decode_events,
    parse_block,
    parse_hex,
    parse_int,
    to_hex,
)
from chain.wallet.client import BATCH_MAX
from chain.wallet.errors import BadContent, NotFound, WalletError, WrongUse
from chain.wallet.extrinsic import decode_extrinsic, describe_call
from chain.wallet.follow import Inclusion
from chain.wallet.metadata import Metadata, decode_metadata
from chain.wallet.ss58 import encode_address

PAGE: Final = BATCH_MAX // 3
"""Blocks fetched at once."""

MANIFEST_SCHEMA: Final = "gristmill.manifest/1"
"""The format of the manifest."""

COLUMNS: Final = {
    "blocks": (
        "height", "hash", "parent_hash", "state_root", "extrinsics_root", "extrinsics",
    ),
    "txs": (
        "height", "index", "hash", "signer", "nonce", "tip", "call", "args", "success", "error",
        "fee",
    ),
    "events": ("height", "index", "phase", "extrinsic", "event", "fields"),
}  # fmt: skip
"""The columns of every data set; amounts are grains, nested values JSON."""

export = LazyGroup(
    "export",
    places={
        "blocks": Place("chain.cli.export:blocks", "One row a block."),
        "txs": Place("chain.cli.export:txs", "One row a signed transaction."),
        "events": Place("chain.cli.export:events", "One row an event."),
        "archive": Place(
            "chain.cli.audit_run:archive", "All of a node's blocks, for audit replay."
        ),
    },
    help="Write blocks to files.",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What to export: a data set, first and last height, form and directory."""

    dataset: str
    first: int
    last: int
    form: str
    out: Path


def export_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every export."""
    for option in (
        click.option("-b", "--blocks", "range_", metavar="FIRST:LAST", default=":",
                     help="Heights; a missing end is the first or the newest block."),
        click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl",
                     show_default=True, help="JSON lines or CSV."),
        click.option("--out", metavar="DIR", default="export", show_default=True,
                     help="Directory of the files."),
        click.option("--source", metavar="HOME|ARCHIVE",
                     help="Read a node's files or an archive instead of asking a node."),
        click.option("--dry", is_flag=True, help="Show the columns; write nothing."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(cls=NodeCommand)
@export_options
@click.pass_obj
def blocks(session: NodeSession, /, **given: Any) -> None:
    """Export one row a block."""
    run_export(session, "blocks", given)


@click.command(cls=NodeCommand)
@export_options
@click.pass_obj
def txs(session: NodeSession, /, **given: Any) -> None:
    """Export one row a signed transaction, with its fee and result."""
    run_export(session, "txs", given)


@click.command(cls=NodeCommand)
@export_options
@click.pass_obj
def events(session: NodeSession, /, **given: Any) -> None:
    """Export one row an event."""
    run_export(session, "events", given)


def run_export(session: NodeSession, dataset: str, given: dict[str, Any]) -> None:
    """Write a data set and its manifest, and answer with what was written."""
    columns = COLUMNS[dataset]
    if given["dry"]:
        empty = {"dataset": dataset, "columns": list(columns), "rows": None, "files": []}
        session.console.answer("export/1", empty, list(columns))
        return
    if given["source"] is not None:
        _export_files(session, dataset, given)
        return
    head, _ = session.chain.finalized()
    first, last = parse_range(given["range_"], head)
    job = Job(dataset, first, head if last is None else last, given["form"], Path(given["out"]))
    job.out.mkdir(parents=True, exist_ok=True)
    path = job.out / f"{dataset}.{job.form}"
    count = _write_rows(session, job, path)
    manifest = _manifest(session, job, path, count)
    manifest_path = job.out / f"{dataset}.manifest.json"
    manifest_path.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    fields: dict[str, Any] = {
        "dataset": dataset,
        "columns": list(columns),
        "rows": count,
        "files": [str(path), str(manifest_path)],
    }
    text = f"Wrote {count} {dataset} of blocks {job.first} to {job.last} to {path}."
    session.console.answer("export/1", fields, [text])


def _export_files(session: NodeSession, dataset: str, given: dict[str, Any]) -> None:
    """Write a data set from files; what they claim is verified by `audit replay`, not here."""
    path = Path(given["source"]).expanduser()
    if not path.exists():
        raise NotFound(f"there is nothing at {given['source']!r}", "give a node's home or archive")
    first, last = parse_range(given["range_"], None)
    tables = importlib.import_module("chain.audit.export")
    source = importlib.import_module("chain.audit.source").open_source(path)
    plan = tables.ExportPlan(dataset, given["form"], first, last, Path(given["out"]))
    try:
        manifest = tables.export_table(source, plan)
    finally:
        source.close()
    files = [str(plan.directory / name) for name in (manifest["file"], f"{dataset}.manifest.json")]
    fields = {
        "dataset": dataset,
        "columns": manifest["columns"],
        "rows": manifest["rows"],
        "files": files,
    }
    session.console.answer(
        "export/1", fields, [f"Wrote {manifest['rows']} {dataset} to {files[0]}."]
    )


def parse_range(text: str, head: int | None) -> tuple[int, int | None]:
    """Return (first, last) of `FIRST:LAST`, a single height, or open ends; a head closes them."""
    first, colon, last = text.partition(":")
    if not all(not part or (part.isascii() and part.isdecimal()) for part in (first, last)):
        raise WrongUse(f"{text!r} is not a range of heights", "write 1000:2000")
    low = int(first or 0)
    high = (int(last) if last else head) if colon else low
    if (high is not None and high < low) or (head is not None and max(low, high or 0) > head):
        raise WrongUse(f"the range {text} is not within the chain", f"its newest block is {head}")
    return low, high


def _write_rows(session: NodeSession, job: Job, path: Path) -> int:
    columns, count = COLUMNS[job.dataset], 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file) if job.form == "csv" else None
        if writer is not None:
            writer.writerow(columns)
        for row in _rows(session, job):
            count += 1
            if writer is None:
                file.write(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n")
            else:
                writer.writerow([_cell(row[column]) for column in columns])
    return count


@dataclass(frozen=True, slots=True)
class Read:
    """A block, its events, and the metadata of its version, which say how its calls are read."""

    block: Block
    events: list[dict[str, Any]]
    metadata: Metadata


class Versions:
    """The metadata of each version that a chain had, asked for once."""

    def __init__(self, session: NodeSession) -> None:
        self._session = session
        self._known: dict[int, Metadata] = {}

    def of(self, version: Any, block_hash: str) -> Metadata:
        """Give the metadata of a block, of which the node said this RuntimeVersion."""
        if not isinstance(version, dict):
            raise BadContent("the node does not say its runtime version")
        number = parse_int(version.get("specVersion"))
        known = self._known.get(number)
        if known is None:
            content = parse_hex(self._session.rpc.call("state_getMetadata", block_hash))
            known = self._known[number] = decode_metadata(content)
        return known


def _rows(session: NodeSession, job: Job) -> Iterator[dict[str, Any]]:
    if job.dataset == "blocks":
        for block in _read_bare(session, job.first, job.last):
            yield _block_row(block)
        return
    for read in _read_blocks(session, job.first, job.last):
        if job.dataset == "txs":
            yield from _transaction_rows(read)
        else:
            for index, event in enumerate(read.events):
                yield {"height": read.block.height, "index": index, **event}


def _read_bare(session: NodeSession, first: int, last: int) -> Iterator[Block]:
    """Give blocks without what happened in them."""
    for hashes in _pages(session, first, last):
        answers = _all(session, [("chain_getBlock", (one,)) for one in hashes])
        for one, answer in zip(hashes, answers, strict=True):
            yield parse_block(answer, parse_hex(one, 32))


def _read_blocks(session: NodeSession, first: int, last: int) -> Iterator[Read]:
    """Give blocks with their events, each read by its own version."""
    versions = Versions(session)
    for hashes in _pages(session, first, last):
        calls: list[tuple[str, Any]] = [("chain_getBlock", (one,)) for one in hashes]
        calls += [("state_getStorage", (to_hex(EVENTS_KEY), one)) for one in hashes]
        calls += [("state_getRuntimeVersion", (one,)) for one in hashes]
        answers = _all(session, calls)
        count = len(hashes)
        for index, one in enumerate(hashes):
            block = parse_block(answers[index], parse_hex(one, 32))
            content, version = answers[count + index], answers[2 * count + index]
            metadata = versions.of(version, one)
            found = [] if content is None else decode_events(metadata, parse_hex(content))
            yield Read(block, found, metadata)


def _pages(session: NodeSession, first: int, last: int) -> Iterator[list[str]]:
    """Give the hashes of blocks, a page at a time."""
    for start in range(first, last + 1, PAGE):
        heights = range(start, min(start + PAGE, last + 1))
        yield _all(session, [("chain_getBlockHash", (height,)) for height in heights])


def _all(session: NodeSession, calls: list[tuple[str, Any]]) -> list[Any]:
    answers = session.rpc.batch(calls)
    for answer in answers:
        if isinstance(answer, WalletError):
            raise answer
    return answers


def _block_row(block: Block) -> dict[str, Any]:
    header = block.header
    return {
        "height": block.height,
        "hash": to_hex(block.hash),
        "parent_hash": header.get("parentHash"),
        "state_root": header.get("stateRoot"),
        "extrinsics_root": header.get("extrinsicsRoot"),
        "extrinsics": len(block.extrinsics),
    }


def _transaction_rows(read: Read) -> Iterator[dict[str, Any]]:
    block = read.block
    for index, content in enumerate(block.extrinsics):
        decoded = decode_extrinsic(content)
        if decoded.signed is None:
            continue
        mine = [event for event in read.events if event["extrinsic"] == index]
        result = Inclusion(block.height, block.hash, index, mine)
        yield {
            "height": block.height,
            "index": index,
            "hash": to_hex(decoded.hash),
            "signer": encode_address(decoded.signed.signer),
            "nonce": decoded.signed.nonce,
            "tip": str(decoded.signed.tip),
            **_describe_call(read.metadata, decoded.call),
            "success": result.error is None,
            "error": result.error[0] if result.error else None,
            "fee": None if result.fee is None else str(result.fee),
        }


def _describe_call(metadata: Metadata, call: bytes) -> dict[str, Any]:
    """Return a call decoded by the metadata of its block; bytes that are none stay hex."""
    try:
        return describe_call(metadata, call)
    except WalletError:
        return {"call": None, "args": {"bytes": to_hex(call)}}


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list | bool):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "" if value is None else value


def _manifest(session: NodeSession, job: Job, path: Path, count: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    command = ["gristmill", "export", job.dataset, "--blocks", f"{job.first}:{job.last}"]
    command += ["--format", job.form, "--out", str(job.out), "--url", session.rpc.url]
    return {
        "schema": MANIFEST_SCHEMA,
        "dataset": job.dataset,
        "chain": session.chain.identity.name,
        "genesis_hash": to_hex(session.chain.identity.genesis_hash),
        "spec_version": session.chain.identity.spec_version,
        "blocks": {"first": job.first, "last": job.last},
        "is_finalized": True,
        "rows": count,
        "columns": list(COLUMNS[job.dataset]),
        "files": [{"name": path.name, "sha256": digest, "bytes": path.stat().st_size}],
        "command": shlex.join(command),
    }
