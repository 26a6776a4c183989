"""The pool of verifiers: who put a bond down to audit, who is drawn, who is charged.

    join -> drawn, paid or charged, ... -> leave -> notice -> withdraw

A panel is drawn without replacement, each seat with a chance in proportion to the bond, of which no
more than twice the median counts: money buys work, but no majority. Nobody sits over a party of the
job to whom it is bound. Only bonds count that were down before the beacon of the draw could be
known.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ext import hashing
from runtime.balances import INSURANCE, Balances, BurnCause, HoldReason, MoveCause
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.frame.module import Part
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.verification.neighbours import UsesJobs, UsesProviders
from runtime.market.verification.nouns import (
    AlreadyLeaving,
    BondTooSmall,
    NoticeRunning,
    NotValidator,
    NotVerifier,
    SeatsOpen,
    SlashCause,
    TooManyVerifiers,
    VerifierJoined,
    VerifierLeaving,
    VerifierLeft,
    VerifierSlashed,
)
from runtime.market.verification.numbers import (
    BOND_MIN,
    NOTICE_ERAS,
    SILENCE_ERAS,
    SILENT_SLASH,
    VERIFIERS_MAX,
)
from runtime.market.verification.records import Accounts, Verifier
from runtime.parameters import Parameters
from runtime.primitives import AccountId, Balance
from runtime.session import Session
from runtime.staking.module import Staking

if TYPE_CHECKING:
    from runtime.staking.nouns import Nominations

TWOX: Final = Hasher.TWOX_64_CONCAT

BEACON_LAG_EPOCHS: Final = 2
"""What is committed in epoch c is drawn by the beacon of c + 2, of which nothing was known then."""

MEDIANS_MAX: Final = 2
"""Times the median bond that count for a seat."""


class Pool(Part):
    """Verifiers and their bonds."""

    constitution: Parameters
    balances: Balances
    deadlines: Deadlines
    beacon: Beacon
    session: Session
    staking: Staking
    jobs: UsesJobs
    providers: UsesProviders

    verifiers: StorageMap[AccountId, Verifier] = stored(hasher=TWOX)
    roster: StorageValue[Accounts] = stored(default=())
    bond_total: StorageValue[Balance] = stored(default=0)

    # Functions for disputes and clients

    def eligible(self, excluded: Sequence[AccountId], *, before: int) -> list[AccountId]:
        """Give who may be drawn, ascending, to sit over none of the excluded parties.

        `before` is the epoch in which what is judged was committed: who joined or added to its
        bond later is not among them.
        """
        bound = self._bound_to(excluded)
        found = [who for who, _ in self._candidates(before)]
        return [who for who in found if self._may_judge(who, excluded, bound)]

    def draw(
        self, seed: bytes, count: int, excluded: Sequence[AccountId], *, before: int | None = None
    ) -> tuple[AccountId, ...]:
        """Draw `count` verifiers by 32 bytes of a beacon, or all when they are fewer.

        Nobody is drawn who is bound to an excluded party. Without `before` it is two epochs ago.
        """
        if before is None:
            before = self.session.current_index - BEACON_LAG_EPOCHS
        candidates, bound = self._candidates(before), self._bound_to(excluded)
        counted = _cap_bonds(candidates)
        drawn: list[AccountId] = []
        for turn in range(len(candidates)):
            if len(drawn) == count:
                break
            number = hashing.blake2b_256(seed + turn.to_bytes(4, "little"))
            place = _place_of(int.from_bytes(number, "little"), counted)
            who, _ = candidates.pop(place)
            counted.pop(place)
            if self._may_judge(who, excluded, bound):
                drawn.append(who)
        return tuple(drawn)

    def charge_silence(self, who: AccountId, job: int) -> None:
        """Charge a verifier that had a seat elsewhere and said nothing; not who left since."""
        if who in self.verifiers:
            self._silence(who, job, SILENT_SLASH.read(self.ctx))

    def is_validator(self, who: AccountId) -> bool:
        """Whether an account stands for election, or sits in a fixed set; not in jail."""
        if not self.staking.is_enabled:
            return who in self.session.validators
        return who in self.staking.validators and not self.staking.is_jailed(who)

    # Calls

    def _join(self, who: AccountId, amount: int) -> None:
        before = self.verifiers.find(who)
        if not self.is_validator(who):
            raise NotValidator
        if before is not None and before.leaving:
            raise AlreadyLeaving
        bond = amount + (before.bond if before is not None else 0)
        if bond < BOND_MIN.read(self.ctx) or not amount:
            raise BondTooSmall
        epoch = self.session.current_index
        if before is None:
            roster = self.roster
            if len(roster) >= VERIFIERS_MAX:
                raise TooManyVerifiers
            self.roster = tuple(sorted((*roster, who)))
            made = Verifier(bond, epoch, 0, 0, 0)
        else:
            made = replace(before, bond=bond, since=epoch)
        self.balances.hold(who, HoldReason.SERVICE, amount)
        self.bond_total += amount
        self.verifiers[who] = made
        self.emit(VerifierJoined(who, bond))

    def _leave(self, who: AccountId) -> None:
        verifier = self.verifiers.find(who)
        if verifier is None:
            raise NotVerifier
        if verifier.leaving:
            raise AlreadyLeaving
        notice = NOTICE_ERAS.read(self.ctx) * self.constitution.era_blocks
        height = self.ctx.block.height + notice
        self.verifiers[who] = replace(verifier, leaving=height)
        self.emit(VerifierLeaving(who, height))

    def _withdraw(self, who: AccountId) -> None:
        verifier = self.verifiers.find(who)
        if verifier is None:
            raise NotVerifier
        if not verifier.leaving or self.ctx.block.height < verifier.leaving:
            raise NoticeRunning
        if verifier.seats:
            raise SeatsOpen
        if verifier.bond:
            self.balances.release(who, HoldReason.SERVICE, verifier.bond)
            self.bond_total -= verifier.bond
        del self.verifiers[who]
        self.roster = tuple(other for other in self.roster if other != who)
        self.emit(VerifierLeft(who, verifier.bond))

    # Inside

    def _take_seats(self, seats: Sequence[AccountId]) -> None:
        for who in seats:
            verifier = self.verifiers[who]
            self.verifiers[who] = replace(verifier, seats=verifier.seats + 1)

    def _leave_seats(self, seats: Sequence[AccountId]) -> None:
        for who in seats:
            verifier = self.verifiers[who]
            self.verifiers[who] = replace(verifier, seats=verifier.seats - 1)

    def _silence(self, who: AccountId, job: int, share: int) -> None:
        """Charge a verifier that did not answer, and draw it no more for a while."""
        self._slash(who, job, share, SlashCause.SILENT)
        verifier = self.verifiers[who]
        out_until = self.constitution.era() + 1 + SILENCE_ERAS.read(self.ctx)
        self.verifiers[who] = replace(verifier, out_until=max(out_until, verifier.out_until))

    def _slash(self, who: AccountId, job: int, share: int, cause: SlashCause) -> int:
        """Take a share (parts per 10^9) of a bond, rounded up: half is burned, half insures jobs.

        An odd grain is burned. Gives what was taken.
        """
        verifier = self.verifiers.find(who)
        if verifier is None or not verifier.bond:
            return 0
        amount = -(-verifier.bond * share // PERBILL)
        insured = self._give_to_insurance(who, amount // 2)
        self.balances.burn_held(BurnCause.WORK_SLASH, who, HoldReason.SERVICE, amount - insured)
        self.bond_total -= amount
        self.verifiers[who] = replace(verifier, bond=verifier.bond - amount)
        self.emit(VerifierSlashed(who, job, amount, cause))
        return amount

    def _give_to_insurance(self, who: AccountId, amount: int) -> int:
        """Move held money of a bond to the insurance fund; gives how much."""
        if amount:
            self.balances.take_held(MoveCause.SLASH, who, HoldReason.SERVICE, INSURANCE, amount)
        return amount

    def _candidates(self, before: int) -> list[tuple[AccountId, int]]:
        """Give whose bond lets them be drawn, ascending, each with its bond.

        Whether they may judge the parties is asked of those who are drawn: that costs more.
        """
        era, least = self.constitution.era(), BOND_MIN.read(self.ctx)
        height = self.ctx.block.height
        found = []
        for who in self.roster:
            verifier = self.verifiers[who]
            is_known = verifier.since <= before and verifier.bond >= least
            is_out = era < verifier.out_until or 0 < verifier.leaving <= height
            if is_known and not is_out:
                found.append((who, verifier.bond))
        return found

    def _bound_to(self, parties: Sequence[AccountId]) -> tuple[AccountId, ...]:
        """Give the accounts that nobody may be who judges the parties: themselves and others.

        Those are their owners, and the validators that they or their owners nominate.
        """
        bound: list[AccountId] = []
        for party in parties:
            for who in (party, self.providers.owner(party)):
                if who in bound:
                    continue
                nominations: Nominations | None = self.staking.nominators.find(who)
                bound.append(who)
                bound.extend(nominations.targets if nominations is not None else ())
        return tuple(bound)

    def _may_judge(
        self, who: AccountId, parties: Sequence[AccountId], bound: Sequence[AccountId]
    ) -> bool:
        """Whether a verifier still validates and has nothing to do with the parties."""
        if who in bound or not self.is_validator(who):
            return False
        kind, target = self.staking.payee[who]
        if kind == "Account" and target in bound:
            return False
        return not any(self.providers.share_owner(who, party) for party in parties)


def _cap_bonds(candidates: Sequence[tuple[AccountId, int]]) -> list[int]:
    """Give what each bond counts for: at most twice the (lower) median."""
    bonds = [bond for _, bond in candidates]
    if not bonds:
        return []
    most = MEDIANS_MAX * sorted(bonds)[(len(bonds) - 1) // 2]
    return [min(bond, most) for bond in bonds]


def _place_of(number: int, counted: Sequence[int]) -> int:
    """Give the place into which a number falls when each is as wide as it counts."""
    rest, place = number % sum(counted), 0
    while rest >= counted[place]:
        rest -= counted[place]
        place += 1
    return place
