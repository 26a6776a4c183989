"""Datasets: registered by root, proven each era, paid by use, and ended when they are copies.

    commit ── 10..1,000 blocks ──> reveal ──> PENDING ── first answer ──> ACTIVE ──> quote, pay_use
                                                │ none                     │
                                                v                          ├─ revoke ──> REVOKED
                                             forgotten                     ├─ 3 misses ─> DELISTED
                                                                           └─ a copy ──> DUPLICATE

What ended is sold to no new job; jobs that have it go on with it, and pay for it as agreed. Its
record stays, for them and for auditors; the bond stays until nobody can challenge it any more. Of
two datasets the one whose commit is earlier is the original.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.balances import CURATION_POT, Balances, BurnCause, HoldReason, MoveCause
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.frame.call import DispatchClass, call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import PERBILL
from runtime.market.datasets import checks
from runtime.market.datasets.duplicates import Duplicates
from runtime.market.datasets.events import (
    ERRORS,
    EVENTS,
    Activated,
    AlreadyAnswered,
    AlreadyCommitted,
    AlreadyReported,
    BondAdded,
    BondTooSmall,
    BondWithdrawn,
    CaseIsOpen,
    CommitDropped,
    CommitStillOpen,
    Committed,
    DatasetNotActive,
    Missed,
    NoChallenge,
    NoMiss,
    NoSuchCommit,
    NotEnded,
    NotHeir,
    NothingHeld,
    OwnerChanged,
    OwnerOffered,
    PriceSet,
    Proven,
    WrongLeaves,
    ZeroAmount,
)
from runtime.market.datasets.nouns import (
    BOND_MIN,
    BOUNTY_SHARE,
    COMMIT_DEPOSIT,
    MISS_SLASH,
    MISSES_MAX,
    PARAMETERS,
    RETIRE_ERAS,
    REVEAL_MAX,
    AnswerList,
    Commit,
    Dataset,
    DatasetState,
    EndReason,
    MatchedList,
    OpenedList,
    Terms,
)
from runtime.market.datasets.possession import (
    has_answered,
    is_missed,
    verify_answers,
    with_answer,
    with_miss,
)
from runtime.market.datasets.registry import LAPSE_ITEM, commitment_of
from runtime.market.datasets.uses import Uses
from runtime.market.nouns import NOBODY
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Address, Amount, Hash, Weight
from runtime.session import Session
from runtime.staking.module import Staking

WEIGHT_STEP: Final[Weight] = 150 * weights.MICROSECOND
"""A dataset read and written, money held or moved, an event."""

WEIGHT_REVEAL: Final[Weight] = 400 * weights.MICROSECOND
"""A royalty tree of sixteen accounts, four parents, two holds (180), an item of the wheel."""

WEIGHT_PROVE: Final[Weight] = 400 * weights.MICROSECOND
"""Four leaves with twenty siblings each hashed (130), rent moved, a dataset written."""

WEIGHT_CASE: Final[Weight] = 400 * weights.MICROSECOND
"""A deposit, three items for the wheel (274); what the last of them does is paid with it."""

WEIGHT_PIECE: Final[Weight] = 250 * weights.MICROSECOND
"""Drawing, hashing and noting four leaves (137); what a verdict adds comes on top."""

WEIGHT_VERDICT: Final[Weight] = 1_000 * weights.MICROSECOND
"""A bond split, eight attesters slashed, 64 entries forgotten (520 without attesters)."""

WEIGHT_FORGET: Final[Weight] = 6 * weights.MICROSECOND
"""Forgetting an entry of an old era."""


class Datasets(Uses, Duplicates, Module, index=32, events=EVENTS, errors=ERRORS):
    """What jobs train on: registered, proven, priced, curated, attested, challenged."""

    parameters = PARAMETERS

    def __init__(
        self,
        ctx: Context,
        numbers: Parameters,
        balances: Balances,
        deadlines: Deadlines,
        beacon: Beacon,
        session: Session,
        staking: Staking,
    ) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances
        self.deadlines = deadlines
        self.beacon = beacon
        self.session = session
        self.staking = staking
        deadlines.listen(self.index, self._do_due)

    # Calls of owners

    @call(index=0, weight=WEIGHT_STEP)
    def commit(self, origin: Signed, commitment: Hash) -> None:
        """Promise a root, by blake2b_256("gm-dataset" || root || your account || 32-byte salt)."""
        key = (origin.who, commitment)
        if key in self.commits:
            raise AlreadyCommitted
        self.balances.hold(origin.who, HoldReason.DEPOSIT, COMMIT_DEPOSIT)
        order = self.commit_count
        self.commit_count = order + 1
        self.commits[key] = Commit(self.ctx.block.height, order, COMMIT_DEPOSIT)
        self.emit(Committed(origin.who, commitment))

    @call(index=1, weight=WEIGHT_STEP)
    def drop_commit(self, origin: Signed, commitment: Hash) -> None:
        """Take back the deposit of a commit that is void."""
        key = (origin.who, commitment)
        found = self.commits.find(key)
        if found is None:
            raise NoSuchCommit
        if self.ctx.block.height <= found.height + REVEAL_MAX:
            raise CommitStillOpen
        del self.commits[key]
        self.balances.release(origin.who, HoldReason.DEPOSIT, found.deposit)
        self.emit(CommitDropped(origin.who, commitment))

    @call(index=2, weight=WEIGHT_REVEAL)
    def reveal(self, origin: Signed, root: Hash, salt: Hash, terms: Terms, bond: Amount) -> None:
        """Register a root that you committed to; its first challenge comes an epoch later."""
        if bond < BOND_MIN.read(self.ctx):
            raise BondTooSmall
        commit = self.take_commit(origin.who, commitment_of(root, origin.who, salt))
        self.register(origin.who, root, commit, terms, bond)

    @call(index=3, weight=WEIGHT_PROVE, dispatch_class=DispatchClass.OPERATIONAL)
    def prove(self, origin: Signed, id_: U32, answers: AnswerList) -> None:  # noqa: ARG002 -- anybody may who has the leaves
        """Show the drawn leaves of a dataset; a good answer costs no fee, and its owner's rent."""
        challenge = self.find_challenge(id_)
        if challenge is None:
            raise NoChallenge
        dataset = self.dataset(id_)
        if challenge.era is not None and has_answered(dataset, challenge.era):
            raise AlreadyAnswered
        if not verify_answers(dataset.root, dataset.leaf_count, challenge.indices, answers):
            raise WrongLeaves
        if challenge.era is None:
            self._activate(id_, dataset)
        else:
            dataset = with_answer(dataset, challenge.era)
            self.datasets[id_] = dataset
            self.emit(Proven(id_, challenge.era))
            self.settle_rent(id_, dataset)
        self.ctx.waive_fee()

    @call(index=4, weight=WEIGHT_STEP)
    def set_price(self, origin: Signed, id_: U32, price: Amount) -> None:
        """Let new jobs pay another price for a use; running ones pay what they agreed."""
        dataset = self._owned_live(id_, origin.who)
        self.datasets[id_] = replace(dataset, price=price)
        self.emit(PriceSet(id_, price))

    @call(index=5, weight=WEIGHT_STEP)
    def add_bond(self, origin: Signed, id_: U32, amount: Amount) -> None:
        """Put more behind a dataset."""
        if not amount:
            raise ZeroAmount
        dataset = self._owned_live(id_, origin.who)
        self.balances.hold(origin.who, HoldReason.DEPOSIT, amount)
        self.datasets[id_] = replace(dataset, bond=dataset.bond + amount)
        self.emit(BondAdded(id_, amount))

    @call(index=6, weight=WEIGHT_STEP)
    def revoke(self, origin: Signed, id_: U32) -> None:
        """Sell a dataset to no new job any more; jobs that have it go on."""
        if self.owned(id_, origin.who).state is not DatasetState.ACTIVE:
            raise DatasetNotActive
        dataset = self.settle_rent(id_, self.dataset(id_))
        if dataset.is_live:
            self.end(id_, dataset, DatasetState.REVOKED, EndReason.BY_OWNER)

    @call(index=7, weight=WEIGHT_STEP)
    def withdraw_bond(self, origin: Signed, id_: U32) -> None:
        """Take the bond of a dataset that ended 28 eras ago, or that never became active."""
        dataset = self.owned(id_, origin.who)
        if dataset.state is DatasetState.PENDING:
            if self.ctx.block.height < self.clock().entry_closes(dataset.epoch):
                raise NotEnded
            self.lapse_if_late(id_)
            return
        rest = RETIRE_ERAS.read(self.ctx) * self.numbers.era_blocks
        if dataset.is_live or self.ctx.block.height < dataset.ended + rest:
            raise NotEnded
        if dataset.cases:
            raise CaseIsOpen
        if not dataset.bond:
            raise NothingHeld
        self.balances.release(origin.who, HoldReason.DEPOSIT, dataset.bond)
        self.datasets[id_] = replace(dataset, bond=0)
        self.emit(BondWithdrawn(id_, dataset.bond))

    @call(index=8, weight=WEIGHT_STEP)
    def offer_owner(self, origin: Signed, id_: U32, heir: Address) -> None:
        """Let an account take a dataset over; your own account takes the offer back."""
        dataset = self._owned_live(id_, origin.who)
        offered = NOBODY if heir == origin.who else heir
        self.datasets[id_] = replace(dataset, heir=offered)
        self.emit(OwnerOffered(id_, offered))

    @call(index=9, weight=WEIGHT_STEP)
    def accept_owner(self, origin: Signed, id_: U32) -> None:
        """Take over a dataset that was offered to you, with a bond of yours; its own is freed."""
        dataset = self.dataset(id_)
        if dataset.heir != origin.who or origin.who == NOBODY:
            raise NotHeir
        if dataset.cases:
            raise CaseIsOpen
        dataset = self.settle_rent(id_, dataset)
        if not dataset.is_live:
            return
        before = dataset.owner
        self.balances.hold(origin.who, HoldReason.DEPOSIT, dataset.bond)
        self.balances.release(before, HoldReason.DEPOSIT, dataset.bond)
        self.datasets[id_] = replace(dataset, owner=origin.who, heir=NOBODY)
        self.emit(OwnerChanged(id_, before, origin.who))

    # Calls of anybody

    @call(index=16, weight=WEIGHT_STEP, dispatch_class=DispatchClass.OPERATIONAL)
    def report_miss(self, origin: Signed, id_: U32, era: U32) -> None:
        """Say that a dataset did not answer an era's challenge; the first to say it is paid."""
        dataset = self.dataset(id_)
        if era in dataset.misses:
            raise AlreadyReported
        is_active = dataset.state is DatasetState.ACTIVE
        if not is_active or not is_missed(dataset, self.clock(), era, self.ctx.block.height):
            raise NoMiss
        lost = -(-dataset.bond * MISS_SLASH.read(self.ctx) // PERBILL)
        reward = lost * BOUNTY_SHARE.read(self.ctx) // PERBILL
        owner = dataset.owner
        self.balances.pay_held(MoveCause.REPORT, owner, HoldReason.DEPOSIT, origin.who, reward)
        self.balances.burn_held(BurnCause.WORK_SLASH, owner, HoldReason.DEPOSIT, lost - reward)
        dataset = with_miss(dataset, era, self.numbers.era())
        dataset = replace(dataset, bond=dataset.bond - lost)
        self.datasets[id_] = dataset
        self.emit(Missed(id_, era, lost, origin.who, reward))
        if len(dataset.misses) >= MISSES_MAX:
            dataset = self.settle_rent(id_, dataset)
            if dataset.is_live:
                self.end(id_, dataset, DatasetState.DELISTED, EndReason.MISSES)
        self.ctx.waive_fee()

    @call(index=17, weight=WEIGHT_STEP)
    def signal(self, origin: Signed, id_: U32, amount: Amount) -> None:
        """Put money behind an active dataset, for a part of its fees."""
        self.add_signal(id_, origin.who, amount)

    @call(index=18, weight=WEIGHT_STEP)
    def unsignal(self, origin: Signed, id_: U32, amount: Amount) -> None:
        """Begin to take a signal back; it earns no more, and is free after its eras."""
        self.reduce_signal(id_, origin.who, amount)

    @call(index=19, weight=WEIGHT_STEP)
    def free_signal(self, origin: Signed, id_: U32, curator: Address) -> None:  # noqa: ARG002 -- it is the curator's whoever asks
        """Free what a curator took back; of a proven duplicate all of it, less the slash."""
        self.withdraw_signal(id_, curator)

    @call(index=20, weight=WEIGHT_STEP)
    def claim_fees(self, origin: Signed, id_: U32) -> None:
        """Take what your signal on a dataset earned."""
        if not self.pay_curator(id_, origin.who):
            raise NothingHeld

    @call(index=21, weight=WEIGHT_STEP)
    def note_stake(self, origin: Signed) -> None:
        """Let the chain look at your stake, so that later uses of data count for emission."""
        self.look_at_stake(origin.who)

    # Calls of attesters

    @call(index=32, weight=WEIGHT_STEP)
    def bond(self, origin: Signed, amount: Amount) -> None:
        """Put money behind what you attest."""
        self.bond_attester(origin.who, amount)

    @call(index=33, weight=WEIGHT_STEP)
    def leave(self, origin: Signed) -> None:
        """Attest no more; the bond is free after its eras."""
        self.leave_attester(origin.who)

    @call(index=34, weight=WEIGHT_STEP)
    def withdraw(self, origin: Signed) -> None:
        """Take the bond of an attester that left."""
        self.withdraw_attester(origin.who)

    @call(index=35, weight=WEIGHT_STEP)
    def attest(self, origin: Signed, id_: U32, digest: Hash) -> None:
        """Vouch for where a dataset comes from; the digest is of what you say about it."""
        self.add_attestation(id_, origin.who, digest)

    @call(index=36, weight=WEIGHT_STEP)
    def retract(self, origin: Signed, id_: U32) -> None:
        """Vouch for a dataset no more."""
        self.drop_attestation(id_, origin.who)

    # Calls of duplicate challenges

    @call(index=48, weight=WEIGHT_CASE + WEIGHT_VERDICT)
    def challenge(self, origin: Signed, earlier: U32, later: U32) -> None:
        """Say that `later` is a duplicate of `earlier`; the deposit is lost if it is not."""
        self.open_case(origin.who, earlier, later)

    @call(index=49, weight=WEIGHT_PIECE, dispatch_class=DispatchClass.OPERATIONAL)
    def open_leaves(self, origin: Signed, case: U32, pieces: OpenedList) -> None:  # noqa: ARG002 -- anybody may who has the leaves
        """Show drawn leaves of the later dataset; a good piece costs no fee."""
        self.show_leaves(case, pieces)
        self.ctx.waive_fee()

    @call(index=50, weight=WEIGHT_PIECE + WEIGHT_VERDICT, dispatch_class=DispatchClass.OPERATIONAL)
    def match(self, origin: Signed, case: U32, pieces: MatchedList) -> None:  # noqa: ARG002 -- anybody may who has the leaves
        """Show where the earlier dataset has leaves that were shown; a good piece costs no fee."""
        self.match_leaves(case, pieces)
        self.ctx.waive_fee()

    @call(index=51, weight=WEIGHT_VERDICT)
    def conclude_case(self, origin: Signed, case: U32) -> None:  # noqa: ARG002 -- anybody may
        """End a duplicate challenge whose time is over, if the wheel has not."""
        self.conclude(case)

    # Hooks and checks

    def on_initialize(self) -> Weight:
        """Forget some uses of old eras."""
        return self.forget_uses() * WEIGHT_FORGET

    def guards(self) -> Iterator[Check]:
        """Compare the curators' pot with what it owes."""
        pot = self.ctx.state.account(CURATION_POT)
        is_covered = (pot[4] if pot else 0) == self.curation_kept
        yield Check("the curators' pot has what it owes", is_covered)

    def invariants(self) -> Iterator[Check]:
        """Compare what is held with who owns it, counts with records, sums with parts."""
        return checks.invariants_of(self)

    # Inside

    def _owned_live(self, number: int, who: AccountId) -> Dataset:
        dataset = self.owned(number, who)
        if not dataset.is_live:
            raise DatasetNotActive
        return dataset

    def _activate(self, number: int, dataset: Dataset) -> None:
        """Open a dataset to jobs: it answered for this era, and pays for it."""
        era = self.numbers.era()
        active = replace(
            dataset,
            state=DatasetState.ACTIVE,
            since=era,
            rent_era=era,
            proof_era=era,
            proofs=1,
        )
        self.datasets[number] = active
        self.emit(Activated(number))
        self.settle_rent(number, active)

    def _do_due(self, payload: bytes) -> None:
        """Do what the wheel says: a first answer that is missing, or a step of a challenge."""
        number = int.from_bytes(payload[1:], "little")
        if payload[:1] == LAPSE_ITEM:
            self.lapse_if_late(number)
            return
        case = self.cases.find(number)
        if case is None:
            return
        case = self.drawn_case(number)
        height = self.ctx.block.height
        if height >= case.opening_ends and (not case.is_opened or height >= case.matching_ends):
            self.conclude(number)
