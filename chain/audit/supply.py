"""The supply, proven: every grain that exists was minted for a cause, every lost one burned.

Three accounts of the same thing are compared in each block, none of which trusts another:

    what the accounts hold         counted by the store
    minted less burned, by cause   the totals in the header
    Minted and Burned events       the receipts that the header's root commits to

What each cause minted or burned is held against the schedule, the pools and the fees by
`chain.audit.emission`: a sum that is right may still hide a grain that nobody was allowed to make.
"""

from dataclasses import dataclass, field

from chain.audit.emission import EmissionProver
from chain.audit.findings import Mismatch
from chain.audit.replay import Progress, Replay, ReplayOptions, ReplayReport, replay
from chain.audit.source import Source
from chain.events import EventReader
from chain.storage.archive import ArchivedBlock
from runtime.totals import EconomicTotals, decode_totals
from runtime.versions import VersionTable


@dataclass(frozen=True, slots=True)
class SupplyRow:
    """The supply after a block: grains in existence, and ever minted and burned by cause."""

    height: int
    time_ms: int
    issuance: int
    minted: dict[str, int]
    burned: dict[str, int]
    staked: int
    escrowed: int
    treasury: int
    insurance: int


@dataclass(slots=True)
class SupplyReport:
    """The supply at genesis, at each epoch's end and at the tip, and the replay that proved it."""

    replay: ReplayReport
    rows: list[SupplyRow] = field(default_factory=list)
    held: int = 0
    """Grains on all accounts at the last clean block, counted by the store."""

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        return self.replay.genesis_hash

    @property
    def height(self) -> int:
        """The last clean block."""
        return self.replay.height

    @property
    def issuance(self) -> int:
        """Grains in existence at the last clean block, by the totals."""
        return self.rows[-1].issuance if self.rows else 0

    @property
    def minted(self) -> dict[str, int]:
        """Grains ever minted, by cause."""
        return self.rows[-1].minted if self.rows else {}

    @property
    def burned(self) -> dict[str, int]:
        """Grains ever burned, by cause."""
        return self.rows[-1].burned if self.rows else {}

    @property
    def is_clean(self) -> bool:
        """Whether nothing contradicts the totals."""
        return self.replay.is_clean

    @property
    def what(self) -> str:
        """The first fault as a sentence, empty when there is none."""
        finding = self.replay.finding
        return "" if finding is None else f"block {finding.height}: {finding.what}"


class _Prover:
    """Follows a replay and compares the three accounts in each block."""

    def __init__(self, table: VersionTable) -> None:
        self.rows: list[SupplyRow] = []
        self._events = EventReader(table)
        self._emission = EmissionProver(table)
        self._before: EconomicTotals | None = None
        self._last: SupplyRow | None = None
        self.held = 0

    def on_block(self, run: Replay, stored: ArchivedBlock) -> None:
        """Compare one block; raises Mismatch."""
        if self._before is None:
            genesis = run.start.genesis.header
            self._before = decode_totals(genesis.consensus.totals)
            self.rows.append(_row(0, genesis.time_ms, self._before))
        header = stored.block.header
        totals = decode_totals(header.consensus.totals)
        minted, burned = self._sum_events(stored)
        for name, told, counted in (
            ("minted", _total(totals.minted) - _total(self._before.minted), minted),
            ("burned", _total(totals.burned) - _total(self._before.burned), burned),
        ):
            if told != counted:
                raise Mismatch(
                    f"the totals say that {told} grains were {name}, the events say {counted}",
                    module="Balances",
                )
        if run.state.money != totals.issuance:
            raise Mismatch("the accounts hold another sum than the issuance", module="Balances")
        self._emission.on_block(run, stored)
        self._before, self.held = totals, run.state.money
        self._last = _row(header.number, header.time_ms, totals)
        if header.next_epoch is not None and header.number > 1:
            self.rows.append(self._last)

    def _sum_events(self, stored: ArchivedBlock) -> tuple[int, int]:
        """Give (minted, burned) grains by the events of a block."""
        minted = burned = 0
        for receipt in stored.receipts:
            for event in self._events.decode(receipt):
                if event.module == "Balances" and event.name == "Minted":
                    minted += event.fields["amount"]
                elif event.module == "Balances" and event.name == "Burned":
                    burned += event.fields["amount"]
        return minted, burned

    def finish(self) -> list[SupplyRow]:
        """Give the rows, the tip's last."""
        if self._last is not None and self.rows[-1] != self._last:
            self.rows.append(self._last)
        return self.rows


def prove_supply(
    source: Source,
    options: ReplayOptions | None = None,
    *,
    progress: Progress = lambda _height, _last: None,
) -> SupplyReport:
    """Execute a chain again and prove its supply by cause; a fault is in `replay.finding`."""
    options = options or ReplayOptions()
    prover = _Prover(options.releases.table)
    report = replay(source, options, progress=progress, on_block=prover.on_block)
    return SupplyReport(report, prover.finish(), prover.held)


def _row(height: int, time_ms: int, totals: EconomicTotals) -> SupplyRow:
    """Give the row of a block's totals."""
    return SupplyRow(
        height=height,
        time_ms=time_ms,
        issuance=totals.issuance,
        minted={entry.cause.name.lower(): entry.amount for entry in totals.minted},
        burned={entry.cause.name.lower(): entry.amount for entry in totals.burned},
        staked=totals.staked,
        escrowed=totals.escrowed,
        treasury=totals.treasury,
        insurance=totals.insurance,
    )


def _total(entries: object) -> int:
    """Sum the amounts of totals by cause."""
    return sum(entry.amount for entry in entries)  # type: ignore[attr-defined]  # minted or burned
