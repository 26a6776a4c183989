"""Offline: who signs less than half of the commits in the window is reported and jailed.

The flags of each block's last commit say who missed the block before. The window slides by height,
and in a block that everybody signed nothing is written. A vote may change its length: then it
slides to the new one block by block, and nobody is reported by counts of more than it. No miss
counts

    in the first window after genesis          the network is still being started
    in the 100 blocks after a gap of a minute  the whole chain stood still, not one validator
    of a validator in jail                     it is on its way out of the set
    before a report                            after it the count begins anew
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from ext import hashing
from runtime.block import VALIDATORS_MAX
from runtime.frame.context import Context
from runtime.frame.declared import Most, Record
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId, BlockNumber, Weight
from runtime.session import Session, ValidatorRecord
from runtime.staking.module import Staking
from runtime.staking.reports import OffenceKind
from runtime.staking.slashing import Slashing
from runtime.timestamp import Timestamp

GAP_MS: Final = 60_000
"""A longer pause between two blocks means that the chain stood still."""

QUIET_BLOCKS: Final = 100
"""Blocks after a pause in which nobody's absence counts: machines come back one by one."""

SLIDES_MAX: Final = 7
"""Blocks beyond one that a block takes out of the counts after a vote shortened the window."""

NOTE_BYTES: Final = b"offline"
"""Begins what the evidence hash of an absence is made of; there are no signatures to keep."""


class Absence(Record):
    """Misses of a validator in the window that count: those from the height `since` on."""

    since: BlockNumber
    misses: U32


class FoundOffline(Event, index=0):
    """A validator signed less than half of the window; so many blocks it did not sign."""

    who: AccountId
    misses: U32


class Offline(Module, index=16):
    """Who signs less than half of the commits in a sliding window is reported."""

    missed_at: StorageMap[U32, Annotated[tuple[AccountId, ...], Most(VALIDATORS_MAX)]] = stored(
        default=(), hasher=Hasher.TWOX_64_CONCAT
    )
    absences: StorageMap[AccountId, Absence] = stored(
        default=Absence(0, 0), hasher=Hasher.TWOX_64_CONCAT
    )
    quiet_until: StorageValue[BlockNumber] = stored(default=0)
    reach: StorageValue[U32] = stored(default=0)

    def __init__(
        self,
        ctx: Context,
        *,
        timestamp: Timestamp,
        session: Session,
        staking: Staking,
        slashing: Slashing,
    ) -> None:
        super().__init__(ctx)
        self.timestamp = timestamp
        self.session = session
        self.staking = staking
        self.slashing = slashing

    def note_commit(self, members: Sequence[ValidatorRecord], flags: Sequence[bool]) -> None:
        """Count who missed the last block; `members` are those of its set, with a flag each."""
        if not self.staking.is_enabled:
            return
        height, window = self.ctx.block.height, self.staking.params.offline_window
        reach = self._slide(height, window)
        if height <= max(window, self.quiet_until):
            return
        absent = [
            member
            for member, has_signed in zip(members, flags, strict=True)
            if not has_signed and not self.staking.is_jailed(member.account)
        ]
        if absent:
            self.missed_at[height] = tuple(member.account for member in absent)
        total_power = sum(member.power for member in members)
        for member in absent:
            misses = self._count(member.account)
            if 2 * misses > window and reach <= window:
                self._report(member, total_power, misses)

    def misses_of(self, who: AccountId) -> int:
        """Give how many blocks of the window an account missed, of those that count."""
        return self.absences[who].misses

    def on_initialize(self) -> Weight:
        """Count nobody for a while when the chain stood still; the time is still the parent's."""
        block = self.ctx.block
        if self.staking.is_enabled and block.time_ms - self.timestamp.now > GAP_MS:
            self.quiet_until = block.height + QUIET_BLOCKS - 1
        return 0

    def invariants(self) -> Iterator[Check]:
        """Compare counts with the window."""
        if not self.staking.is_enabled:
            return
        height, reach = self.ctx.block.height, self.reach
        counts: dict[AccountId, int] = {}
        for missed_in, accounts in self.missed_at.items():
            for who in accounts:
                if missed_in >= self.absences[who].since:
                    counts[who] = counts.get(who, 0) + 1
        kept = {who: absence.misses for who, absence in self.absences.items() if absence.misses}
        yield Check("misses are those in the window", kept == counts)
        is_inside = all(height - reach < missed <= height for missed, _ in self.missed_at.items())
        yield Check("what is counted is in the window", is_inside)

    def _slide(self, height: int, window: int) -> int:
        """Take away what leaves the window and give how many blocks are counted now.

        That is the window; after a vote on it, counts grow or shrink to it block by block.
        """
        before = self.reach or window
        reach = min(window, before + 1) if window >= before else max(window, before - SLIDES_MAX)
        for leaving in range(height - before, height - reach + 1):
            self._forget(leaving)
        if reach != self.reach:
            self.reach = reach
        return reach

    def _forget(self, height: int) -> None:
        """Take the misses of a block out of the counts."""
        leaving = self.missed_at[height] if height > 0 else ()
        for who in leaving:
            absence = self.absences[who]
            if absence.misses and height >= absence.since:
                self.absences[who] = Absence(absence.since, absence.misses - 1)
        if leaving:
            del self.missed_at[height]

    def _count(self, who: AccountId) -> int:
        absence = self.absences[who]
        self.absences[who] = Absence(absence.since, absence.misses + 1)
        return absence.misses + 1

    def _report(self, member: ValidatorRecord, total_power: int, misses: int) -> None:
        """Report an absence and begin to count anew."""
        who, height = member.account, self.ctx.block.height
        self.absences[who] = Absence(height + 1, 0)
        numbers = (height, misses, self.staking.params.offline_window)
        note = NOTE_BYTES + who + b"".join(number.to_bytes(4, "little") for number in numbers)
        self.emit(FoundOffline(who, misses))
        self.slashing.report(
            kind=OffenceKind.OFFLINE,
            offender=who,
            height=height,
            power=member.power,
            total_power=total_power,
            evidence_hash=hashing.blake2b_256(note),
        )
