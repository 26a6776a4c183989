"""The words of voting: votes, conviction, locks, delegations, as Substrate's clients read them.

balance   how many grains stand behind a vote
votes     balance x conviction: a tenth without any, up to sixfold for the longest lock
capital   balance without conviction: what counts for support
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Choice, Most, Record, make_choice
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.parameters import Parameter, Track, Unit
from runtime.governance.nouns import Tally
from runtime.primitives import U16, U32, AccountId, Balance, BlockNumber
from runtime.wire import Composite, Field, Primitive, Wire

VOTES_MAX: Final = 32
"""Votes of an account on one track that still bind it."""

DELEGATORS_MAX: Final = 64
"""Who may stand behind one account on one track: each vote of it counts them all."""

STEPS_MAX: Final = 16
"""Ages of locked money that are told apart; more become one, the younger."""

LOCK_PERIOD: Final = Parameter(
    "voting.lock_period", 7_000, low=1_000, high=28_000, step=1_000,
    unit=Unit.MILLIERAS, track=Track.UPGRADE,
    docs="The unit of conviction: once for 1x, 2, 4, 8, 16, 32 times for 2x to 6x.",
)  # fmt: skip
"""A week on a public chain: full conviction is 32 weeks."""

PARAMETERS: Final = (LOCK_PERIOD,)
"""The numbers of voting."""

AYE_BIT: Final = 0x80
"""Set in the byte of a vote that is an aye; the rest is its conviction."""


class Conviction(IntEnum):
    """How long a winner's money stays locked, for how much weight."""

    NONE = 0
    LOCKED_1X = 1
    LOCKED_2X = 2
    LOCKED_3X = 3
    LOCKED_4X = 4
    LOCKED_5X = 5
    LOCKED_6X = 6


def compute_votes(balance: int, conviction: Conviction) -> int:
    """Give the votes of a balance, rounding down."""
    return balance // 10 if conviction is Conviction.NONE else balance * conviction


def compute_periods(conviction: Conviction) -> int:
    """Give how many lock periods a conviction is: 0, 1, 2, 4, 8, 16, 32."""
    return 0 if conviction is Conviction.NONE else 1 << (conviction - 1)


VoteByte = Annotated[
    int,
    Wire(
        scale.U8,
        Composite(("pallet_conviction_voting", "vote", "Vote"), (Field(None, Primitive("u8")),)),
        "Vote",
    ),
]
"""Aye in the highest bit, conviction below."""


class StandardVote(Record):
    """All on one side."""

    vote: VoteByte
    balance: Balance


class SplitVote(Record):
    """Some on each side, without conviction."""

    aye: Balance
    nay: Balance


class SplitAbstainVote(Record):
    """Some on each side, some for support only, without conviction."""

    aye: Balance
    nay: Balance
    abstain: Balance


ACCOUNT_VOTE: Final = make_choice(
    ("pallet_conviction_voting", "vote", "AccountVote"),
    {0: ("Standard", StandardVote), 1: ("Split", SplitVote), 2: ("SplitAbstain", SplitAbstainVote)},
)
"""A vote of an account."""

AccountVote = Annotated[Choice, ACCOUNT_VOTE]
"""("Standard", StandardVote) and so on."""


def read_vote(vote: Choice) -> tuple[int, Tally]:
    """Give the grains behind a vote and what it adds; raises InvalidConviction."""
    kind, parts = vote
    if kind == "Standard":
        return parts.balance, compute_side(parts.vote, parts.balance)
    ayes, nays = parts.aye // 10, parts.nay // 10
    if kind == "Split":
        return parts.aye + parts.nay, Tally(ayes, nays, parts.aye)
    total = parts.aye + parts.nay + parts.abstain
    return total, Tally(ayes, nays, parts.aye + parts.abstain)


def compute_side(vote: int, balance: int) -> Tally:
    """Give what a balance adds on the side of a vote's byte; raises InvalidConviction."""
    votes = compute_votes(balance, conviction_of(vote))
    return Tally(votes, 0, balance) if vote & AYE_BIT else Tally(0, votes, 0)


def conviction_of(vote: int) -> Conviction:
    """Give the conviction of a vote's byte; raises InvalidConviction."""
    number = vote & ~AYE_BIT
    if number > max(Conviction):
        raise InvalidConviction
    return Conviction(number)


class PriorLock(Record, path=("pallet_conviction_voting", "vote", "PriorLock")):
    """What votes and delegations of the past still lock: until which height, how much."""

    until: BlockNumber
    amount: Balance

    def plus(self, until: int, amount: int, height: int) -> "PriorLock":
        """Give the lock together with another one; what is over at a height is dropped."""
        if until <= height:
            return self
        if self.until <= height:
            return PriorLock(until, amount)
        return PriorLock(max(self.until, until), max(self.amount, amount))


class Delegations(Record, path=("pallet_conviction_voting", "types", "Delegations")):
    """What others put behind an account: votes by conviction, and grains."""

    votes: Balance
    capital: Balance


VoteList = Annotated[tuple[tuple[U32, AccountVote], ...], Most(VOTES_MAX)]
"""Votes by the number of the referendum."""


class Casting(Record):
    """An account that votes itself."""

    votes: VoteList
    delegations: Delegations
    prior: PriorLock


CONVICTION_TYPE = Annotated[int, Wire(scale.U8, Primitive("u8"), "Conviction")]
"""A conviction inside an enumeration, which holds plain values only."""


class Delegating(Record):
    """An account that lets another one vote; its own votes, if any, are `Overrides`."""

    balance: Balance
    target: AccountId
    conviction: CONVICTION_TYPE
    delegations: Delegations
    prior: PriorLock
    since: BlockNumber


VOTING: Final = make_choice(
    ("pallet_conviction_voting", "vote", "Voting"),
    {0: ("Casting", Casting), 1: ("Delegating", Delegating)},
)
"""How an account stands to the votes of a track."""

NO_DELEGATIONS: Final = Delegations(0, 0)
"""Nobody stands behind an account."""

NO_LOCK: Final = PriorLock(0, 0)
"""The past locks nothing."""

NO_VOTING: Final[Choice] = ("Casting", Casting((), NO_DELEGATIONS, NO_LOCK))
"""Who never voted."""


class Delegation(Record):
    """What stands behind an account on one track: grains, conviction, and since when."""

    balance: Balance
    conviction: Conviction
    since: BlockNumber

    def votes(self) -> int:
        """Give the votes that it is worth."""
        return compute_votes(self.balance, self.conviction)


class LockStep(Record):
    """At least this much of an account is locked without a break since a height."""

    since: BlockNumber
    amount: Balance


@dataclass(slots=True)
class Voting:
    """How an account stands to the votes of a track, to be worked on."""

    votes: dict[int, Choice] = field(default_factory=dict)
    target: AccountId | None = None
    delegation: Delegation | None = None
    delegations: Delegations = NO_DELEGATIONS
    prior: PriorLock = NO_LOCK

    def locked(self, height: int) -> int:
        """Give the grains that votes, delegation and the past lock at a height."""
        amounts = [read_vote(vote)[0] for vote in self.votes.values()]
        amounts.append(0 if self.delegation is None else self.delegation.balance)
        amounts.append(self.prior.amount if self.prior.until > height else 0)
        return max(amounts)

    def is_empty(self) -> bool:
        """Whether nothing need be kept."""
        return (
            not self.votes
            and self.target is None
            and self.delegations == NO_DELEGATIONS
            and self.prior == NO_LOCK
        )


def grow_steps(steps: tuple[LockStep, ...], amount: int, height: int) -> tuple[LockStep, ...]:
    """Give the ages of locked money when the lock becomes `amount` at a height.

    What was locked before keeps its age, as far as it stays locked; what is new begins now.
    """
    kept = [step for step in steps if step.amount < amount]
    if len(kept) < len(steps):
        kept.append(LockStep(steps[len(kept)].since, amount))
    elif amount > (kept[-1].amount if kept else 0):
        kept = [step for step in kept if step.since < height]
        kept.append(LockStep(height, amount))
    if len(kept) > STEPS_MAX:
        kept[-2:] = [kept[-1]]
    return tuple(kept) if amount else ()


def locked_before(steps: tuple[LockStep, ...], height: int) -> int:
    """Give the grains that are locked without a break since before a height."""
    return max((step.amount for step in steps if step.since < height), default=0)


def winners_lock(vote: Choice, *, is_approved: bool) -> int:
    """Give the lock periods that a vote owes when it was on the side that won, else 0."""
    kind, parts = vote
    if kind != "Standard" or bool(parts.vote & AYE_BIT) != is_approved:
        return 0
    return compute_periods(conviction_of(parts.vote))


class Delegated(Event, index=0):
    """An account lets another one vote for it on some track."""

    who: AccountId
    target: AccountId
    class_: U16


class Undelegated(Event, index=1):
    """An account votes for itself again."""

    who: AccountId
    class_: U16


class Voted(Event, index=2):
    """An account voted, or changed its vote."""

    who: AccountId
    vote: AccountVote
    poll_index: U32


class VoteRemoved(Event, index=3):
    """An account took its vote back, or let go of one that has ended."""

    who: AccountId
    vote: AccountVote
    poll_index: U32


class VoteUnlocked(Event, index=4):
    """What votes lock of an account is less now, or nothing."""

    who: AccountId
    class_: U16


class StandingLocked(Event, index=64):
    """An account keeps this much locked, so that it may vote later; 0 ends it."""

    who: AccountId
    amount: Balance


class NotVoter(CallError, index=1):
    """There is no such vote of the account; `gristmill gov show` lists votes."""


class AlreadyDelegating(CallError, index=3):
    """The account lets another one vote already; undelegate first."""


class NotDelegating(CallError, index=5):
    """The account lets nobody vote for it on this track."""


class Nonsense(CallError, index=6):
    """Nobody can let itself vote; name another account."""


class MaxVotesReached(CallError, index=7):
    """The account has 32 votes on this track that still bind it; unlock those that have ended."""


class InvalidConviction(CallError, index=64):
    """There is no such conviction; use 0 (a tenth) to 6 (six times)."""


class NothingVoted(CallError, index=65):
    """A vote needs some grains behind it; name an amount."""


class NotEnough(CallError, index=66):
    """The account has less that may vote; tokens that still vest have no voice."""


class LockedTooLate(CallError, index=67):
    """The vote is open: only what was locked before counts; vote earlier, or keep some locked."""


class NoVoice(CallError, index=68):
    """The account holds a bucket of the genesis, or is accused in this vote, and has no voice."""


class TooManyDelegators(CallError, index=69):
    """64 accounts stand behind that one on this track already; choose another."""


class NoSuchTrack(CallError, index=70):
    """There is no such track; `gristmill gov tracks` lists them."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of voting."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of voting."""
