"""Duplicates: whether a dataset is, leaf for leaf, one that was there before; a part of Datasets.

    challenge in epoch c     a deposit is held
    R(c+2) draws 64 leaves   of the later dataset
    its owner shows them     in pieces, each with its branch       not all of them: a duplicate
    the challenger finds     them again in the earlier dataset     39 of them:      a duplicate
                                                                   fewer: the deposit is lost

A leaf may stand anywhere in the earlier dataset, so that a shift of the order hides nothing. Each
side has its own time, ends are on the wheel from the beginning, and anybody may execute them too.
"""

from dataclasses import replace
from typing import Final

from ext import hashing
from runtime.balances import BurnCause, HoldReason, MoveCause
from runtime.deadlines import Lane
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.market.datasets.attesters import Attesters
from runtime.market.datasets.curation import Curators
from runtime.market.datasets.events import (
    AlreadyShown,
    CaseEnded,
    CaseNotOver,
    CaseOpened,
    EmptyLeaf,
    LeavesDrawn,
    LeavesMatched,
    LeavesOpened,
    NotDrawn,
    NotLater,
    NotShown,
    OwnDataset,
    TooLate,
    TooManyCases,
    UnknownCase,
    WrongLeaves,
    ZeroAmount,
)
from runtime.market.datasets.nouns import (
    BOUNTY_SHARE,
    CASE_BLOCKS,
    CASE_DEPOSIT,
    CASES_MAX,
    CURATION_SLASH,
    DUPLICATE_TAG,
    ENTRY_EPOCHS,
    EQUAL_MIN,
    OPENINGS,
    Case,
    DatasetState,
    EndReason,
    MatchedLeaf,
    OpenedLeaf,
    Verdict,
)
from runtime.market.datasets.possession import draw_index
from runtime.market.datasets.registry import TWOX
from runtime.primitives import U8, U32, ZERO_HASH, AccountId, Hash

CASE_ITEM: Final = b"C"
"""What an item of the wheel begins with that draws for, or ends, a duplicate challenge."""


class Duplicates(Curators, Attesters):
    """Challenges that say that a dataset is a duplicate."""

    cases: StorageMap[U32, Case] = stored(hasher=TWOX)
    case_count: StorageValue[U32] = stored(default=0)
    openings: StorageMap[tuple[U32, U8], Hash] = stored(hasher=(TWOX, TWOX))

    def open_case(self, who: AccountId, earlier: int, later: int) -> None:
        """Begin a challenge: hold the deposit and put its ends on the wheel."""
        before, after = self.dataset(earlier), self.dataset(later)
        unfit = (DatasetState.PENDING, DatasetState.DUPLICATE)
        if before.order >= after.order or before.state in unfit or after.state in unfit:
            raise NotLater
        if not after.bond:
            raise NotLater
        if before.owner == after.owner:
            raise OwnDataset
        if after.cases >= CASES_MAX:
            raise TooManyCases
        deposit = CASE_DEPOSIT.read(self.ctx)
        self.balances.hold(who, HoldReason.DEPOSIT, deposit)
        number, clock = self.case_count, self.clock()
        epoch = self.session.current_index + ENTRY_EPOCHS
        drawn_at = clock.epoch_start(epoch)
        blocks = min(CASE_BLOCKS.read(self.ctx), clock.era_blocks)
        opening_ends = drawn_at + blocks
        case = Case(
            earlier=earlier,
            later=later,
            challenger=who,
            deposit=deposit,
            draw_epoch=epoch,
            seed=ZERO_HASH,
            opening_ends=opening_ends,
            matching_ends=opening_ends + blocks,
            opened=0,
            matched=0,
        )
        self.case_count = number + 1
        self.cases[number] = case
        self.datasets[later] = replace(after, cases=after.cases + 1)
        for height in (drawn_at, case.opening_ends, case.matching_ends):
            self.deadlines.schedule(
                height=height,
                lane=Lane.DISPUTES,
                module_index=self.index,
                payload=CASE_ITEM + number.to_bytes(4, "little"),
            )
        self.emit(CaseOpened(number, earlier, later, who, epoch))

    def drawn_case(self, number: int) -> Case:
        """Give a challenge whose leaves are drawn, now if not before.

        Raises UnknownCase, or NotDrawn before its epoch has come.
        """
        case = self.cases.find(number)
        if case is None:
            raise UnknownCase
        if case.seed != ZERO_HASH:
            return case
        if self.session.current_index < case.draw_epoch:
            raise NotDrawn
        case = replace(case, seed=self.beacon.randomness)
        self.cases[number] = case
        self.emit(LeavesDrawn(number, case.seed, case.opening_ends))
        return case

    def drawn_leaf(self, number: int, place: int) -> int:
        """Give which leaf of the later dataset one of the 64 is."""
        case = self.drawn_case(number)
        count = self.leaf_count(case.later)
        return draw_index(DUPLICATE_TAG, case.seed, number, place, count)

    def show_leaves(self, number: int, pieces: tuple[OpenedLeaf, ...]) -> None:
        """Take drawn leaves of the later dataset; they are its owner's to show, anybody may."""
        case = self.drawn_case(number)
        if self.ctx.block.height >= case.opening_ends:
            raise TooLate
        if not pieces:
            raise ZeroAmount
        later, opened = self.dataset(case.later), case.opened
        for piece in pieces:
            if piece.place >= OPENINGS or opened >> piece.place & 1:
                raise AlreadyShown
            index = self.drawn_leaf(number, piece.place)
            if not hashing.verify_merkle_proof(
                later.root, piece.leaf, index, later.leaf_count, piece.path
            ):
                raise WrongLeaves
            opened |= 1 << piece.place
            self.openings[number, piece.place] = hashing.blake2b_256(piece.leaf)
        self.cases[number] = replace(case, opened=opened)
        self.emit(LeavesOpened(number, opened.bit_count()))

    def match_leaves(self, number: int, pieces: tuple[MatchedLeaf, ...]) -> None:
        """Take places of shown leaves in the earlier dataset; enough of them end the challenge."""
        case = self.drawn_case(number)
        if self.ctx.block.height >= case.matching_ends:
            raise TooLate
        if not pieces:
            raise ZeroAmount
        earlier, matched = self.dataset(case.earlier), case.matched
        for piece in pieces:
            if matched >> piece.place & 1:
                raise AlreadyShown
            self._check_shown(number, piece)
            if not hashing.verify_merkle_proof(
                earlier.root, piece.leaf, piece.index, earlier.leaf_count, piece.path
            ):
                raise WrongLeaves
            matched |= 1 << piece.place
        case = replace(case, matched=matched)
        self.cases[number] = case
        self.emit(LeavesMatched(number, matched.bit_count()))
        if matched.bit_count() >= EQUAL_MIN:
            self._convict(number, case, Verdict.EQUAL)

    def conclude(self, number: int) -> None:
        """End a challenge whose time is over against who let it pass.

        Raises UnknownCase, NotDrawn or CaseNotOver.
        """
        case, height = self.drawn_case(number), self.ctx.block.height
        if self.datasets[case.later].state is DatasetState.DUPLICATE:
            self._close(number, case, Verdict.MOOT, bounty=0, lost=0)
        elif not case.is_opened and height >= case.opening_ends:
            self._convict(number, case, Verdict.NOT_SHOWN)
        elif height >= case.matching_ends:
            self._acquit(number, case)
        else:
            raise CaseNotOver

    def _check_shown(self, number: int, piece: MatchedLeaf) -> None:
        """Raise unless a leaf is the one that was shown, and says anything."""
        if self.openings.find((number, piece.place)) != hashing.blake2b_256(piece.leaf):
            raise NotShown
        if piece.leaf == piece.leaf[:1] * len(piece.leaf):
            raise EmptyLeaf

    def _convict(self, number: int, case: Case, verdict: Verdict) -> None:
        """Take the bond of a duplicate, and parts of what stood behind it, and end it."""
        later, bond = self.datasets[case.later], self.datasets[case.later].bond
        bounty = bond * BOUNTY_SHARE.read(self.ctx) // PERBILL
        self.balances.pay_held(
            MoveCause.BOUNTY, later.owner, HoldReason.DEPOSIT, case.challenger, bounty
        )
        self.balances.burn_held(
            BurnCause.WORK_SLASH, later.owner, HoldReason.DEPOSIT, bond - bounty
        )
        is_equal = verdict is Verdict.EQUAL
        reason = EndReason.EQUAL_LEAVES if is_equal else EndReason.LEAVES_NOT_SHOWN
        self.end(case.later, replace(later, bond=0), DatasetState.DUPLICATE, reason)
        self.slash_attesters(case.later)
        curation = self.curations[case.later]
        self.curations[case.later] = replace(curation, loss=CURATION_SLASH.read(self.ctx))
        self._close(number, case, verdict, bounty=bounty, lost=0)

    def _acquit(self, number: int, case: Case) -> None:
        """Take the deposit of a challenger: half for the owner who had to answer, half burned."""
        half, owner = case.deposit // 2, self.datasets[case.later].owner
        self.balances.pay_held(
            MoveCause.COMPENSATION, case.challenger, HoldReason.DEPOSIT, owner, half
        )
        self.balances.burn_held(
            BurnCause.LOST_DEPOSIT, case.challenger, HoldReason.DEPOSIT, case.deposit - half
        )
        self._close(number, case, Verdict.NOT_EQUAL, bounty=0, lost=case.deposit)

    def _close(self, number: int, case: Case, verdict: Verdict, *, bounty: int, lost: int) -> None:
        """Give back what is left of the deposit, and forget the challenge."""
        if not lost:
            self.balances.release(case.challenger, HoldReason.DEPOSIT, case.deposit)
        later = self.datasets[case.later]
        self.datasets[case.later] = replace(later, cases=later.cases - 1)
        self.openings.clear(number, limit=OPENINGS)
        del self.cases[number]
        self.emit(CaseEnded(number, case.later, verdict, bounty, lost))
