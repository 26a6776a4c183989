"""Every slash of a stored chain: its evidence, what it cost, who paid what, and where it went.

    block with the evidence ─> SlashReported ─> SlashBegun, SlashPaid ... ─> SlashApplied
                                            '─> SlashCancelled

Read from receipts, which the root in each header commits to, and from the evidence in blocks. What
contradicts itself is named: receipts that are not those of the header, a report whose evidence no
block carries, payments that do not sum to what was burned and saved. Execution is not repeated
here; `replay` does that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from chain.audit.source import Source
from chain.events import DecodedEvent, EventReader
from chain.releases import Releases
from chain.storage.archive import ArchivedBlock
from consensus.types import evidence_hash
from ext import hashing
from runtime.staking.fractions import Ratio
from runtime.staking.reports import OffenceKind
from runtime.versions import VersionTable

OPEN: Final = "deferred"
"""Reported, and not yet applied or cancelled."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What an account owed for a slash and what it still had, in grains."""

    height: int
    account: bytes
    due: int
    paid: int


@dataclass(slots=True)
class Slash:
    """A report and what became of it; `state` is deferred, applying, applied or cancelled.

    `carried_at` is the block with the evidence, None for an absence, which has none. `fraction` is
    None before it is applied.
    """

    report: int
    offence: str
    offender: bytes
    offence_height: int
    era: int
    evidence_hash: bytes
    carried_at: int | None
    reported_at: int
    apply_at: int
    state: str = OPEN
    decided_at: int | None = None
    fraction: Ratio | None = None
    due: int = 0
    payments: list[Payment] = field(default_factory=list)
    burned: int = 0
    treasury: int = 0
    reason: str = ""

    @property
    def paid(self) -> int:
        """Grains that everybody paid together."""
        return sum(payment.paid for payment in self.payments)

    @property
    def own(self) -> int:
        """Grains that the offender itself paid."""
        return sum(p.paid for p in self.payments if p.account == self.offender)

    @property
    def shortfall(self) -> int:
        """Grains that were due and not there any more."""
        return sum(payment.due - payment.paid for payment in self.payments)


@dataclass(slots=True)
class SlashesReport:
    """All slashes up to a height, by number; `findings` is empty when nothing contradicts them."""

    genesis_hash: bytes
    height: int = 0
    slashes: list[Slash] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def list_slashes(source: Source, releases: Releases | None = None) -> SlashesReport:
    """Read every slash of a chain, by the versions of a release, this one's if none is given.

    Raises StorageError for a block that cannot be read.
    """
    reader = _Reader(source.genesis_hash, (releases or Releases()).table)
    for stored in source.blocks():
        reader.read(stored)
    return reader.report


class _Reader:
    """Follows the blocks of a chain."""

    def __init__(self, genesis_hash: bytes, table: VersionTable) -> None:
        self.report = SlashesReport(genesis_hash)
        self._events = EventReader(table)
        self._carried: dict[bytes, int] = {}

    def read(self, stored: ArchivedBlock) -> None:
        """Take the next block."""
        height = self.report.height = stored.height
        for item in stored.block.evidence:
            self._carried.setdefault(evidence_hash(item), height)
        root = hashing.merkle_root(stored.receipts)
        if root != stored.block.header.consensus.receipts_root:
            self._find(f"block {height}: the receipts are not those that the header commits to")
        for event in self._slashing_events(stored):
            self._take(height, event)

    def _slashing_events(self, stored: ArchivedBlock) -> Iterator[DecodedEvent]:
        for receipt in stored.receipts:
            for event in self._events.decode(receipt):
                if event.module == "Slashing":
                    yield event

    def _take(self, height: int, event: DecodedEvent) -> None:
        fields = event.fields
        if event.name == "SlashReported":
            self._open(height, fields)
            return
        if event.name == "ValidatorRemoved":
            return
        if fields["report"] >= len(self.report.slashes):
            self._find(f"block {height}: slash {fields['report']} was never reported")
            return
        slash = self.report.slashes[fields["report"]]
        if event.name == "SlashBegun":
            slash.state, slash.fraction, slash.due = (
                "applying",
                fields["fraction"],
                fields["amount"],
            )
        elif event.name == "SlashPaid":
            payment = Payment(height, bytes(fields["who"]), fields["due"], fields["paid"])
            slash.payments.append(payment)
        elif event.name == "SlashApplied":
            self._close(height, slash, fields)
        elif event.name == "SlashCancelled":
            slash.state, slash.decided_at = "cancelled", height
            slash.reason = bytes(fields["reason"]).decode(errors="replace")

    def _open(self, height: int, fields: dict[str, Any]) -> None:
        number, kind = fields["report"], OffenceKind(fields["kind"])
        if number != len(self.report.slashes):
            self._find(f"block {height}: slash {number} does not follow the one before")
        name = bytes(fields["evidence_hash"])
        carried_at = self._carried.get(name)
        if carried_at is None and kind is not OffenceKind.OFFLINE:
            self._find(f"block {height}: no block carries the evidence of slash {number}")
        self.report.slashes.append(
            Slash(
                report=number,
                offence=kind.name.lower().replace("_", "-"),
                offender=bytes(fields["offender"]),
                offence_height=fields["height"],
                era=fields["era"],
                evidence_hash=name,
                carried_at=carried_at,
                reported_at=height,
                apply_at=fields["apply_at"],
            )
        )

    def _close(self, height: int, slash: Slash, fields: dict[str, Any]) -> None:
        slash.state, slash.decided_at = "applied", height
        slash.burned, slash.treasury = fields["burned"], fields["treasury"]
        if slash.paid != slash.burned + slash.treasury:
            self._find(f"slash {slash.report}: {slash.paid} grains were paid, others went on")
        due = sum(payment.due for payment in slash.payments)
        if due != slash.due:
            self._find(f"slash {slash.report}: {slash.due} grains were due, {due} were charged")

    def _find(self, sentence: str) -> None:
        self.report.findings.append(sentence)
