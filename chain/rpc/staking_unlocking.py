"""When stake that is unbonding is free: what holds it back, and until when at the earliest.

    era        its era has not come                     NothingUnlocked
    elections  it has, but elections failed since and   NothingUnlocked
               it still stands behind validators
    booking    a report is being booked                 ReportOpen
    report     it is liable for an open report          StakeLiable

A height is the first whose block can free some of it if blocks come as planned, the next elections
succeed and no more is reported. A vote that cancels a report may free it sooner.
"""

from typing import Final

from consensus.header import Header
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.staking.cases import PAGES_PER_BLOCK
from runtime.staking.nouns import StakingLedger, UnlockChunk

Row = dict[str, str | int | bool | None]
"""A part that is unbonding, as JSON."""

BY_ERA: Final = "era"
BY_ELECTIONS: Final = "elections"
BY_BOOKING: Final = "booking"
BY_REPORT: Final = "report"
"""What holds a part back; None when a withdrawal takes all of it."""


class Unlocking:
    """What a withdrawal would free of an account's stake, read from the state after a block."""

    def __init__(self, runtime: Runtime, header: Header, bond: StakingLedger) -> None:
        self._runtime = runtime
        self._staking = runtime.staking
        self._header = header
        self._bond = bond
        self._last_era = self._staking.withdrawal_era
        self._liable = self._staking.liable[bond.stash]

    def rows(self) -> list[Row]:
        """Describe each part; `free` is what a withdrawal takes of it now, in grains."""
        rows, passed = list[Row](), 0
        for chunk in self._bond.unlocking:
            rows.append(self._row(chunk, passed))
            passed += chunk.value
        return rows

    def _row(self, chunk: UnlockChunk, passed: int) -> Row:
        free, held_by, height = self._judge(chunk, passed)
        blocks = max(height - self._header.number, 0)
        interval = self._runtime.system.params.block_interval_ms
        return {
            "value": str(chunk.value),
            "era": chunk.era,
            "height": height,
            "timeMs": self._header.time_ms + blocks * interval,
            "isDue": chunk.era <= self._last_era,
            "free": str(free),
            "freeEra": self._staking.era_of(height),
            "heldBy": held_by,
        }

    def _judge(self, chunk: UnlockChunk, passed: int) -> tuple[int, str | None, int]:
        """Give what is free of a part behind `passed` grains, what holds the rest, until when."""
        if chunk.era > self._last_era:
            era = self._first_era(chunk.era)
            held_by = BY_ERA if era == chunk.era else BY_ELECTIONS
            return 0, held_by, self._runtime.parameters.era_start(era)
        if self._staking.open_bookings:
            height = max(self._booked_at(), self._released_at(passed))
            return 0, BY_BOOKING, height
        free = min(max(self._bond.total - self._liable - passed, 0), chunk.value)
        if free < chunk.value:
            return free, BY_REPORT, self._released_at(passed + free)
        return free, None, self._runtime.parameters.era_start(chunk.era)

    def _first_era(self, due: int) -> int:
        """Give the first era in which stake due in an era may leave."""
        era = max(due, self._staking.active_era + 1)
        while self._staking.withdrawal_era_in(era) < due:
            era += 1
        return era

    def _booked_at(self) -> int:
        """Give the first height at which no report is being booked."""
        slashing = self._runtime.slashing
        pages = last = 0
        for place in range(slashing.booking_first, slashing.booking_next):
            era, offender = slashing.booking_queue[place]
            case = slashing.cases[era, offender]
            overview = self._staking.exposures.overview(era, offender)
            if case.reports and overview is not None:
                pages += overview.page_count - case.booked
                last = pages
            else:
                pages += case.booked
        return self._header.number + max(-(-last // PAGES_PER_BLOCK), 1)

    def _released_at(self, needed: int) -> int:
        """Give the first height at which reports may leave more than `needed` grains."""
        closings = sorted(self._closings())
        left = self._bond.total - sum(amount for _, amount in closings)
        at = self._header.number + 1
        for height, amount in closings:
            if left > needed:
                break
            left, at = left + amount, height
        return at

    def _closings(self) -> list[tuple[int, int]]:
        """Give when reports give back how much at the earliest, pages to be booked too."""
        next_height = self._header.number + 1
        decided: dict[tuple[int, AccountId], int] = {}
        for _, report in self._runtime.slashing.undecided():
            place = report.era, report.offender
            decided[place] = max(decided.get(place, next_height), report.apply_at)
        returning, closings = self._liable, list[tuple[int, int]]()
        for place, height in decided.items():
            booked, amount = self._liable_for(*place)
            returning -= booked
            closings.append((height, amount))
        return [*closings, (next_height, returning)]

    def _liable_for(self, era: int, offender: AccountId) -> tuple[int, int]:
        """Give what a case keeps of the stake, and what it will keep when all is booked."""
        who, exposures = self._bond.stash, self._staking.exposures
        overview = exposures.overview(era, offender)
        if overview is None:
            return 0, 0
        booked = amount = overview.own if who == offender else 0
        pages_booked = self._runtime.slashing.cases[era, offender].booked
        if pages_booked == overview.page_count and not self._liable:
            return booked, amount
        for number in range(overview.page_count):
            for entry in exposures.page(era, offender, number).others:
                if entry.who == who:
                    amount += entry.value
                    booked += entry.value if number < pages_booked else 0
        return booked, amount


__all__ = ["Unlocking"]
