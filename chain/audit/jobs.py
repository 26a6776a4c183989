"""A job from its submission to its end: every state with its reason, every grain with its way.

    escrow held at submission + what bonds gave to it + what came back of its parts
        = returned + audits + earned + royalties + fees + costs + refunded + restored + burned
          + its parts

Each part of a long run has a number, an escrow and a waterfall of its own, and is told by itself.
Read from receipts, which the root in each header commits to, and from the changes of the state that
are stored with each block. What contradicts itself is named: a waterfall whose parts do not sum, a
job whose escrow does not come out even, a report on cheating that is not what its numbers give.
Execution is not repeated here; `replay` does that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chain.audit.source import Source
from chain.events import DecodedEvent, EventReader
from chain.storage.archive import ArchivedBlock
from ext import hashing, store
from runtime.frame.parameters import PERBILL
from runtime.market.jobs import Jobs
from runtime.market.nouns import NOBODY, Fault, Job, JobSpec, JobState, Reason
from runtime.market.reputation import BOND_DISCOUNT, BOND_RATIO_MAX
from runtime.market.terms import CheatReport, cheat_report

BURNED: Final = "burned"
"""Where grains go that nobody gets."""

POTS: Final = ("treasury", "insurance", "stakers")
"""Parts of a fee that are for all."""

_ITEMS: Final = {info.name: info for info in Jobs.items}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to the job at a height, in a sentence's parts."""

    height: int
    what: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """A provider took the job: price and bonds in grains, and the report stored with it."""

    height: int
    attempt: int
    provider: bytes
    price: int
    bond: int
    own: int
    stored: CheatReport | None
    computed: CheatReport | None


@dataclass(slots=True)
class JobReport:
    """A job's whole history; `flows` are grains by who got them, the payer's escrow by its ways."""

    genesis_hash: bytes
    number: int
    height: int = 0
    spec: JobSpec | None = None
    requester: bytes = NOBODY
    payer: bytes = NOBODY
    state: JobState = JobState.OPEN
    reason: Reason = Reason.NONE
    steps: list[Step] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    escrow_in: dict[str, int] = field(default_factory=dict)
    escrow_out: dict[str, int] = field(default_factory=dict)
    flows: dict[bytes | str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    parts: list["JobReport"] = field(default_factory=list)

    @property
    def is_found(self) -> bool:
        """Whether there is such a job."""
        return bool(self.steps)

    @property
    def has_ended(self) -> bool:
        """Whether nothing moves any more."""
        return self.state >= JobState.SETTLED

    def pay(self, way: str, who: bytes | str, amount: int) -> None:
        """Count grains that left the escrow on a way, and who got them."""
        if amount:
            self.escrow_out[way] = self.escrow_out.get(way, 0) + amount
            self.flows[who] = self.flows.get(who, 0) + amount

    def give(self, way: str, amount: int) -> None:
        """Count grains that left the escrow for another job's, and are nobody's yet."""
        if amount:
            self.escrow_out[way] = self.escrow_out.get(way, 0) + amount

    def fill(self, way: str, amount: int) -> None:
        """Count grains that came into the escrow."""
        if amount:
            self.escrow_in[way] = self.escrow_in.get(way, 0) + amount


def trace_job(source: Source, number: int) -> JobReport:
    """Follow a job through a chain; raises StorageError for a block that cannot be read."""
    reader = _Reader(JobReport(source.genesis_hash, number))
    for stored in source.blocks():
        reader.read(stored)
    reader.finish()
    return reader.report


class _Reader:
    """Follows the blocks of a chain, for one job and its parts."""

    def __init__(self, report: JobReport) -> None:
        self.report = report
        self._events = EventReader()
        self._changes: dict[bytes, bytes | None] | None = None
        self._specs = _storage_key("Specs", report.number)
        self._reports = _storage_key("Reports", report.number)
        self._jobs = _storage_key("Jobs", report.number)
        self._first_checkpoint = 0
        self._parts: list[_Reader] = []

    def read(self, stored: ArchivedBlock) -> None:
        """Take the next block."""
        height = stored.height
        if hashing.merkle_root(stored.receipts) != stored.block.header.consensus.receipts_root:
            self._find(f"block {height}: the receipts are not those that the header commits to")
        events = list(self._job_events(stored))
        changes = None
        if events and stored.difference is not None:
            changes = dict(store.decode_difference(stored.difference))
        self._hear(height, events, changes)

    def _hear(
        self, height: int, events: list[DecodedEvent], changes: dict[bytes, bytes | None] | None
    ) -> None:
        """Take what events of a block are of this job, then let its parts do so."""
        self.report.height, self._changes = height, changes
        for event in events:
            if self.report.number in _numbers_of(event):
                self._take(height, event)
        for part in self._parts:
            part._hear(height, events, changes)  # noqa: SLF001 -- another one of these

    def _job_events(self, stored: ArchivedBlock) -> Iterator[DecodedEvent]:
        """Yield what is told of this job and its parts, also of such as this block began."""
        ours = {self.report.number, *(part.report.number for part in self._parts)}
        for receipt in stored.receipts:
            for event in self._events.decode(receipt):
                if ours.isdisjoint(_numbers_of(event)):
                    continue
                if event.name == "PartClosed":
                    ours.add(event.fields["part"])
                yield event

    def _take(self, height: int, event: DecodedEvent) -> None:
        """Note a step, and count its money."""
        report, fields = self.report, event.fields
        told = {name: value for name, value in fields.items() if name not in ("id", "job")}
        report.steps.append(Step(height, f"{event.module}.{event.name}", told))
        handler = getattr(self, f"_on_{event.module}_{event.name}", None)
        if handler is not None:
            handler(height, fields)

    # Events of jobs

    def _on_Jobs_JobSubmitted(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        self.report.requester, self.report.payer = fields["requester"], fields["payer"]
        self.report.fill("submitted", fields["escrow"])
        raw = (self._changes or {}).get(self._specs)
        self.report.spec = None if raw is None else JobSpec.wire.decode(raw)

    def _on_Jobs_JobMatched(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        price, bond, own = fields["price"], fields["bond"], fields["own_bond"]
        raw = (self._changes or {}).get(self._reports)
        stored = None if raw is None else CheatReport.wire.decode(raw)
        computed = self._compute(price, bond, own, stored)
        if stored is not None and computed is not None and stored != computed:
            self._find(f"block {height}: the report on cheating is not what its numbers give")
        self.report.matches.append(
            Match(height, fields["attempt"], fields["provider"], price, bond, own, stored, computed)
        )

    def _compute(
        self, price: int, bond: int, own: int, stored: CheatReport | None
    ) -> CheatReport | None:
        """Give the report on cheating that a match gives: the stored one if its numbers do."""
        spec = self.report.spec
        if spec is None:
            return None
        found = [
            cheat_report(
                spec.verification,
                price,
                own * whole // bond if bond else own,
                bond=whole,
                checkpoints=spec.checkpoints - self._first_checkpoint,
                replicas=spec.replicas,
            )
            for whole in _whole_bonds(price, bond, own, stored)
        ]
        return next((report for report in found if report == stored), found[0])

    def _on_Jobs_JobReopened(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        self._first_checkpoint = fields["first_checkpoint"]

    def _on_Jobs_PartClosed(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        report = self.report
        if fields["part"] == report.number:
            raw = (self._changes or {}).get(self._jobs)
            if raw is not None:
                job = Job.wire.decode(raw)
                report.requester, report.payer = job.requester, job.payer
            raw = (self._changes or {}).get(self._specs)
            report.spec = None if raw is None else JobSpec.wire.decode(raw)
            report.fill("of its run", fields["escrow"])
            return
        self._first_checkpoint = fields["end_checkpoint"]
        report.give("parts", fields["escrow"])
        self._parts.append(_Reader(JobReport(report.genesis_hash, fields["part"])))
        report.parts.append(self._parts[-1].report)

    def _on_Jobs_PartReturned(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        if fields["part"] == self.report.number:
            self.report.give("back to its run", fields["amount"])
        else:
            self.report.fill("from parts", fields["amount"])

    def _on_Jobs_StateChanged(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        self.report.state = JobState(fields["state"])
        self.report.reason = Reason(fields["reason"])

    def _on_Jobs_EscrowReturned(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        self.report.pay("burned", BURNED, fields["burned"])
        if not fields["is_reserved"]:
            self.report.pay("returned", self.report.payer, fields["amount"])

    def _on_Jobs_CostPaid(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        who = fields["who"]
        self.report.pay("costs", BURNED if who is None else bytes(who), fields["amount"])

    def _on_Jobs_AuditPaid(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        del height
        self.report.pay("audits", bytes(fields["who"]), fields["amount"])

    def _on_Jobs_JobEnded(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        report = self.report
        report.state, report.reason = JobState(fields["state"]), Reason(fields["reason"])
        report.pay("refunded", report.payer, fields["refunded"])
        report.pay("restored", report.payer, fields["restored"])
        report.pay("burned", BURNED, fields["burned"])
        self._compare_escrow(height)

    # Events of settlements

    def _on_WorkRewards_JobSettled(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        self._pay_waterfall(height, fields)

    def _on_WorkRewards_AttemptFailed(self, height: int, fields: dict[str, Any]) -> None:  # noqa: N802 - after the event
        self._pay_waterfall(height, fields)
        parts = ("extra", "fees", "bounty", "insurance", "burned")
        if sum(fields[part] for part in parts) != fields["slash"]:
            self._find(f"block {height}: the parts of the slash are not the slash")
        if fields["slash"] > fields["bond"] or fields["restored"] > fields["fees"]:
            self._find(f"block {height}: more is slashed than there was")
        if 2 * (fields["insurance"] + fields["burned"]) < fields["slash"]:
            self._find(f"block {height}: less than half of the slash is nobody's gain")
        self.report.fill("from bonds", fields["extra"] + fields["restored"])
        flows = self.report.flows
        for who, amount in (
            (bytes(fields["challenger"]), fields["bounty"]),
            (self.report.payer, fields["fees"] - fields["restored"]),
            ("insurance", fields["insurance"]),
            (BURNED, fields["burned"]),
            (bytes(fields["provider"]), -fields["slash"]),
        ):
            if amount:
                flows[who] = flows.get(who, 0) + amount

    def _pay_waterfall(self, height: int, fields: dict[str, Any]) -> None:
        """Count what a settlement paid out of the escrow, and see whether it is all of it."""
        report, fee = self.report, fields["fee"]
        parts = (fee.burned, fee.treasury, fee.insurance, fee.stakers)
        spent = fields["earned"] + fields["royalties"] + sum(parts)
        if fields["escrow"] != spent + fields["left"]:
            self._find(f"block {height}: the parts of the settlement are not its escrow")
        report.pay("earned", bytes(fields["provider"]), fields["earned"])
        report.pay("royalties", "datasets", fields["royalties"])
        for who, amount in zip((BURNED, *POTS), parts, strict=True):
            report.pay("fees", who, amount)

    # At the end

    def finish(self) -> None:
        """Say what is missing."""
        if not self.report.is_found:
            self._find(f"there is no job {self.report.number} up to block {self.report.height}")
        for part in self.report.parts:
            self.report.findings += [f"part {part.number}: {finding}" for finding in part.findings]

    def _compare_escrow(self, height: int) -> None:
        report = self.report
        came, left = sum(report.escrow_in.values()), sum(report.escrow_out.values())
        if came != left:
            self._find(f"block {height}: {came} grains came into the escrow and {left} left it")

    def _find(self, sentence: str) -> None:
        self.report.findings.append(sentence)


def _numbers_of(event: DecodedEvent) -> tuple[Any, ...]:
    """Give the numbers of the jobs that an event tells of."""
    fields = event.fields
    if event.module in ("Datasets", "Disputes"):
        return (fields["job"],) if "job" in fields else ()
    if event.module not in ("Jobs", "WorkRewards", "Verification"):
        return ()
    number = fields.get("job", fields.get("id"))
    return (number, fields["part"]) if event.name.startswith("Part") else (number,)


def _whole_bonds(price: int, bond: int, own: int, stored: CheatReport | None) -> Sequence[int]:
    """Give what all of a bond can be, of which a match locked `bond`; never nothing.

    Of a long run a match locks the first part, and the report is about the whole. No event tells
    the whole; by its own part in the stored report it is one of a few neighbouring numbers.
    """
    least = (BOND_RATIO_MAX - BOND_DISCOUNT) * price // PERBILL
    if stored is None or not own or bond >= least:
        return (bond,)
    first = -(-stored.bond * bond // own)
    behind = -(-(stored.bond + 1) * bond // own)
    most = -(-BOND_RATIO_MAX * price // PERBILL)
    return range(max(first, least), min(behind, most + 1)) or (bond,)


def expected_fault(report: JobReport) -> Fault | None:
    """Give the fault of the last attempt that failed, if one did."""
    failed = [step for step in report.steps if step.what == "WorkRewards.AttemptFailed"]
    return Fault(failed[-1].fields["fault"]) if failed else None


def _storage_key(item: str, number: int) -> bytes:
    """Give the key under which an entry of a map of Jobs stands in the state."""
    return _ITEMS[item].prefix + hashing.twox_64_concat(number.to_bytes(4, "little"))
