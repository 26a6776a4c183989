"""Referenda: proposals from submission to the call that they make.

    submit -> prepare -> open -> decide -> confirm -> approved -> enacted
                |                  |
             timed out          rejected

A proposal is a call that only Root may make. It is judged when it is submitted, by the module whose
call it is: what would be refused is never voted on. Votes open at the beginning of a block, so that
what somebody locks in a block can never count for a vote that opens in it. Nothing acts in the era
in which it was proposed, except what can only pause. A call that fails is undone, finally.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Final

from ext import hashing
from runtime import weights
from runtime.balances import PROTECTED, Balances, HoldReason
from runtime.deadlines import Deadlines, ItemKey, Lane
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Choice, Most
from runtime.frame.dispatch import Dispatcher
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import Parameter, Track
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.governance.deposits import Deposits
from runtime.governance.nouns import (
    ERRORS,
    EVENTS,
    NO_VOTES,
    QUEUE_MAX,
    ROOT_ORIGIN,
    Approved,
    BoundedCall,
    ConfirmAborted,
    Confirmed,
    ConfirmStarted,
    DecidingStatus,
    DecisionDepositPlaced,
    DecisionStarted,
    Deposit,
    DispatchTime,
    Enacted,
    Enactment,
    EnactmentScheduled,
    EnactmentTooLate,
    HasDeposit,
    NoDeposit,
    NotEnded,
    NotOngoing,
    ReferendumInfo,
    ReferendumStatus,
    Rejected,
    Standing,
    Submitted,
    Summary,
    Tally,
    TimedOut,
    Verdict,
    VoteOutlastsDeferral,
    judge_tally,
)
from runtime.governance.proposals import Proposals
from runtime.governance.tracks import (
    DECIDING_MAX,
    PARAMETERS,
    SLASH_VOTE,
    SUBMISSION_DEPOSIT,
    TRACKS,
    UNDECIDING_TIMEOUT,
    Terms,
    slash_vote_fits,
)
from runtime.parameters import Parameters
from runtime.primitives import U16, U32, AccountId, BlockNumber, Hash
from runtime.staking.numbers import SLASH_DEFERRAL

ENACT_WITHIN_ERAS: Final = 28
"""How far ahead a call may be put: as long as it is, those who voted cannot move their money."""

EXCLUDED_MAX: Final = 64
"""Accounts that hold a bucket of the genesis and have no voice."""

RETRY_PARTS: Final = 10
"""A vote that found even the queue full tries again ten times an era."""

_ALARM: Final = b"A"
_ENACT: Final = b"E"


class Referenda(Module, index=21, events=EVENTS, errors=ERRORS):
    """Proposals, their votes, and the calls that they make as Root."""

    parameters = PARAMETERS

    referendum_count: StorageValue[U32] = stored(default=0)
    referendum_info_for: StorageMap[U32, ReferendumInfo] = stored()
    deciding_count: StorageMap[U16, U32] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)
    track_queue: StorageMap[U16, Annotated[tuple[U32, ...], Most(QUEUE_MAX)]] = stored(
        default=(), hasher=Hasher.TWOX_64_CONCAT
    )
    submitted_in: StorageMap[U32, Hash] = stored(hasher=Hasher.TWOX_64_CONCAT)
    summaries: StorageMap[U32, Summary] = stored(hasher=Hasher.TWOX_64_CONCAT)
    enactments: StorageMap[U32, Enactment] = stored(hasher=Hasher.TWOX_64_CONCAT)
    accused: StorageMap[U32, AccountId] = stored(hasher=Hasher.TWOX_64_CONCAT)
    latest_release: StorageMap[U16, BlockNumber] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)
    excluded: StorageValue[Annotated[tuple[AccountId, ...], Most(EXCLUDED_MAX)]] = stored(
        default=()
    )

    def __init__(
        self,
        ctx: Context,
        dispatcher: Dispatcher,
        parameters: Parameters,
        balances: Balances,
        deadlines: Deadlines,
    ) -> None:
        super().__init__(ctx)
        self.constitution = parameters
        self.balances = balances
        self.deadlines = deadlines
        self.proposals = Proposals(ctx, dispatcher, balances)
        self.deposits = Deposits(ctx, balances, self.emit)
        self.count_voices: Callable[[tuple[AccountId, ...]], int] = lambda _silent: 0
        """Gives all that could vote but for silent accounts; who counts votes writes it in."""
        deadlines.listen(self.index, self._do_due)

    def genesis(self, *, excluded: Iterable[AccountId]) -> None:
        """Name the accounts of buckets that have no voice: the treasury's, the ecosystem's."""
        self.excluded = tuple(sorted(who for who in excluded if who not in PROTECTED))

    def check_parameter(self, name: str, value: int) -> None:
        """Raise where a vote on a slash could come too late to call it off."""

        def new(parameter: Parameter) -> int:
            return value if parameter.name == name else parameter.read(self.ctx)

        concerned = (SLASH_DEFERRAL.name, *(part.name for part in SLASH_VOTE))
        if name not in concerned or not SLASH_DEFERRAL.is_there(self.ctx):
            return
        if not slash_vote_fits(new(SLASH_DEFERRAL), new):
            raise VoteOutlastsDeferral

    # Calls

    @call(index=0, weight=weights.REFERENDUM_SUBMIT)
    def submit(self, origin: Signed, proposal: BoundedCall, enactment_moment: DispatchTime) -> None:
        """Propose a call of Root; a deposit is held, and the call is judged at once."""
        ruling = self.proposals.judge(proposal[1])
        height, index = self.ctx.block.height, self.referendum_count
        latest = height + self.constitution.blocks_of(ENACT_WITHIN_ERAS * 1_000)
        if _moment(enactment_moment, height) > latest:
            raise EnactmentTooLate
        deposit = self.deposits.place(origin.who, SUBMISSION_DEPOSIT.read(self.ctx))
        self.referendum_count = index + 1
        self.submitted_in[index] = self.ctx.original_hash()
        if ruling.accused is not None:
            self.accused[index] = ruling.accused
        self._keep(
            index,
            ReferendumStatus(
                ruling.track,
                ROOT_ORIGIN,
                proposal,
                enactment_moment,
                height,
                deposit,
                None,
                None,
                NO_VOTES,
                in_queue=False,
                alarm=None,
            ),
            self.timeout_at(height),
        )
        self.emit(Submitted(index, ruling.track, proposal))

    @call(index=1, weight=weights.REFERENDUM_STEP)
    def place_decision_deposit(self, origin: Signed, index: U32) -> None:
        """Back a proposal with the deposit of its track, so that its vote can open."""
        status = self.ongoing(index)
        if status.decision_deposit is not None:
            raise HasDeposit
        deposit = self.deposits.place(origin.who, self.terms(status.track).deposit)
        due = max(self.opens_at(status), self.ctx.block.height + 1)
        self._keep(index, replace(status, decision_deposit=deposit), due)
        self.emit(DecisionDepositPlaced(index, deposit.who, deposit.amount))

    @call(index=2, weight=weights.REFERENDUM_STEP)
    def refund_decision_deposit(self, origin: Signed, index: U32) -> None:  # noqa: ARG002 -- anybody may
        """Give the decision deposit of an ended vote back, if the chain could not do it itself."""
        state, (height, submission, decision) = self._ended(index)
        if decision is None:
            raise NoDeposit
        self.deposits.refund_decision(index, decision)
        self.referendum_info_for[index] = (state, (height, submission, None))

    @call(index=7, weight=weights.REFERENDUM_STEP)
    def refund_submission_deposit(self, origin: Signed, index: U32) -> None:  # noqa: ARG002 -- anybody may
        """Give the submission deposit of an ended vote back, or take it, if the chain could not."""
        state, (height, submission, decision) = self._ended(index)
        if submission is None:
            raise NoDeposit
        self.deposits.end_submission(index, submission, is_forfeit=state == _TIMED_OUT)
        self.referendum_info_for[index] = (state, (height, None, decision))

    @call(index=5, weight=weights.REFERENDUM_STEP)
    def nudge_referendum(self, origin: Signed, index: U32) -> None:  # noqa: ARG002 -- anybody may
        """Look at a vote again, should the wheel ever have been too full to do it."""
        self.advance(index)

    # Functions for ConvictionVoting, the node and the wallet

    def find_ongoing(self, index: int) -> ReferendumStatus | None:
        """Give the status of a vote that goes on, or None."""
        info = self.referendum_info_for.find(index)
        if info is None or info[0] != "Ongoing":
            return None
        status: ReferendumStatus = info[1]
        return status

    def ongoing(self, index: int) -> ReferendumStatus:
        """Give the status of a vote that goes on; raises NotOngoing."""
        status = self.find_ongoing(index)
        if status is None:
            raise NotOngoing
        return status

    def add_votes(self, index: int, votes: Tally, sign: int) -> None:
        """Add votes to a tally, or with sign -1 take them out, and see what that decides."""
        status = self.ongoing(index)
        status = replace(status, tally=status.tally.plus(votes, sign))
        self.referendum_info_for[index] = ("Ongoing", status)
        if status.deciding is not None:
            self.advance(index)

    def terms(self, track: int) -> Terms:
        """Give the numbers of a track in force."""
        return TRACKS[Track(track)].read(self.ctx)

    def opens_at(self, status: ReferendumStatus) -> int:
        """Give the height at which a vote is prepared."""
        prepare = self.constitution.blocks_of(self.terms(status.track).prepare)
        return status.submitted + max(prepare, 1)

    def timeout_at(self, submitted: int) -> int:
        """Give the height at which a proposal without decision deposit is dropped."""
        return submitted + self.constitution.blocks_of(UNDECIDING_TIMEOUT.read(self.ctx))

    def enacts_at(self, status: ReferendumStatus, approved: int) -> int:
        """Give the height at which the call runs if the vote is approved at a height."""
        after = self.constitution.blocks_of(self.terms(status.track).enact)
        at = max(approved + max(after, 1), _moment(status.enactment, approved))
        if status.track == Track.SAFETY:
            return at
        era = self.constitution.era(status.submitted)
        return max(at, self.constitution.era_start(era + 1))

    def electorate(self) -> int:
        """Give all grains that could vote: neither the chain's own nor those of buckets can."""
        return self.count_voices((*PROTECTED, *self.excluded))

    def standing(self, status: ReferendumStatus, height: int) -> Standing:
        """Say how a vote stands at a height with the tally of now; before it opens, as if just."""
        terms = self.terms(status.track)
        since = height if status.deciding is None else status.deciding.since
        length = self.constitution.blocks_of(terms.decide)
        return judge_tally(status.tally, self.electorate(), terms, height - since, length)

    def first_winning(self, status: ReferendumStatus, start: int, end: int) -> int:
        """Give the first height from `start` on at which a vote is won by these votes, or `end`."""
        low, high = start, end
        while low < high:
            middle = (low + high) // 2
            if self.standing(status, middle).is_winning:
                high = middle
            else:
                low = middle + 1
        return low

    def first_winning_from(
        self, status: ReferendumStatus, opens: int, start: int, end: int
    ) -> int | None:
        """Give the height at which these votes begin to win one that opens at a height, if any."""
        status = replace(status, deciding=status.deciding or DecidingStatus(opens, None))
        found = self.first_winning(status, start, end)
        return found if self.standing(status, found).is_winning else None

    # The way of a vote

    def advance(self, index: int) -> None:
        """Do what is due with a vote; raises NotOngoing."""
        status = self.ongoing(index)
        height = self.ctx.block.height
        if status.deciding is not None:
            self._decide(index, status, status.deciding)
        elif status.decision_deposit is None:
            if height >= self.timeout_at(status.submitted):
                self._end(index, status, Verdict.TIMED_OUT)
        elif height >= self.opens_at(status):
            self._open_or_queue(index, status)

    def _open_or_queue(self, index: int, status: ReferendumStatus) -> None:
        """Open a vote if there is a place and nobody waits, else let it wait or try again."""
        height, track = self.ctx.block.height, Track(status.track)
        queue = self.track_queue[track]
        is_free = self.deciding_count[track] < DECIDING_MAX.read(self.ctx)
        if status.in_queue:
            return
        if is_free and not queue:
            self._open(index, status, height)
        elif len(queue) < QUEUE_MAX:
            self.track_queue[track] = (*queue, index)
            self._keep(index, replace(status, in_queue=True), None)
            if is_free:
                self._open_next(track)
        else:
            later = height + max(self.constitution.era_blocks // RETRY_PARTS, 1)
            self._keep(index, status, later)

    def _open(self, index: int, status: ReferendumStatus, since: int) -> None:
        """Open a vote: at the beginning of this block, or in its course from the next one on."""
        deciding = DecidingStatus(since, None)
        self.deciding_count[status.track] += 1
        self.emit(DecisionStarted(index, status.track, status.proposal, status.tally))
        self._decide(index, replace(status, deciding=deciding, in_queue=False), deciding)

    def _decide(self, index: int, status: ReferendumStatus, deciding: DecidingStatus) -> None:
        """Begin, break or end the confirmation of an open vote, or reject it."""
        height, terms = self.ctx.block.height, self.terms(status.track)
        end = deciding.since + self.constitution.blocks_of(terms.decide)
        is_winning = self.standing(status, height).is_winning
        confirming = deciding.confirming
        if is_winning and confirming is not None and height >= confirming:
            self.emit(Confirmed(index, status.tally))
            self._end(index, status, Verdict.APPROVED)
            return
        if is_winning and confirming is None:
            confirming = height + max(self.constitution.blocks_of(terms.confirm), 1)
            self.emit(ConfirmStarted(index))
        elif not is_winning and confirming is not None:
            confirming = None
            self.emit(ConfirmAborted(index))
        if confirming is None and height >= end:
            self._end(index, status, Verdict.REJECTED)
            return
        status = replace(status, deciding=replace(deciding, confirming=confirming))
        due = confirming or self.first_winning(status, height + 1, end)
        self._keep(index, status, max(due, height + 1))

    def _end(self, index: int, status: ReferendumStatus, verdict: Verdict) -> None:
        """Close a vote, give deposits back, schedule the call, and let the next vote open."""
        height, track = self.ctx.block.height, Track(status.track)
        self._cancel_alarm(status)
        enact_at = self.enacts_at(status, height) if verdict is Verdict.APPROVED else 0
        self.summaries[index] = Summary(
            track,
            status.submission_deposit.who,
            hashing.blake2b_256(status.proposal[1]),
            status.submitted,
            0 if status.deciding is None else status.deciding.since,
            height,
            verdict,
            status.tally,
            self.electorate(),
            enact_at,
            0,
            b"",
        )
        if verdict is Verdict.APPROVED:
            self.emit(Approved(index))
            self._schedule(index, track, status.proposal[1], enact_at)
        elif verdict is Verdict.REJECTED:
            self.emit(Rejected(index, status.tally))
        else:
            self.emit(TimedOut(index, status.tally))
        rest = self.deposits.settle(index, status, verdict)
        self.referendum_info_for[index] = (_STATES[verdict], (height, *rest))
        if status.deciding is not None:
            self.deciding_count[track] -= 1
            self._open_next(track)

    def _open_next(self, track: Track) -> None:
        """Open the waiting vote with the most ayes; the earlier one of equals."""
        waiting = {index: self.ongoing(index) for index in self.track_queue[track]}
        if waiting:
            best = max(waiting, key=lambda index: (waiting[index].tally.ayes, -index))
            self.track_queue[track] = tuple(index for index in waiting if index != best)
            self._open(best, waiting[best], self.ctx.block.height + 1)

    def _schedule(self, index: int, track: Track, proposal: bytes, enact_at: int) -> None:
        self.enactments[index] = Enactment(proposal, enact_at)
        self.latest_release[track] = max(self.latest_release[track], enact_at)
        self._put(index, track, _ENACT, enact_at)
        self.emit(EnactmentScheduled(index, enact_at))

    def _enact(self, index: int) -> None:
        """Make an approved call as Root; whatever goes wrong is undone, told, and final."""
        ctx, enactment = self.ctx, self.enactments[index]
        del self.enactments[index]
        error = self.proposals.run(enactment.proposal, self.submitted_in[index])
        self.summaries[index] = replace(
            self.summaries[index], enacted_at=ctx.block.height, error=error
        )
        self.emit(Enacted(index, b"\x01" + error if error else b"\x00"))

    # Inside

    def _do_due(self, payload: bytes) -> None:
        index = int.from_bytes(payload[1:], "little")
        if payload[:1] == _ENACT:
            self._enact(index)
        elif self.find_ongoing(index) is not None:
            self.advance(index)

    def _keep(self, index: int, status: ReferendumStatus, due: int | None) -> None:
        """Write a status whose next look is due at a height, if it is."""
        if status.alarm is None or status.alarm[0] != due:
            self._cancel_alarm(status)
            alarm = None
            if due is not None:
                key = self._put(index, Track(status.track), _ALARM, due)
                alarm = (due, (key.height, key.place))
            status = replace(status, alarm=alarm)
        self.referendum_info_for[index] = ("Ongoing", status)

    def _put(self, index: int, track: Track, kind: bytes, due: int) -> ItemKey:
        return self.deadlines.schedule(
            height=due,
            lane=_lane(track),
            module_index=self.index,
            payload=kind + index.to_bytes(4, "little"),
        )

    def _cancel_alarm(self, status: ReferendumStatus) -> None:
        key = _alarm_key(status)
        if key is not None:
            self.deadlines.cancel(key)

    def _ended(self, index: int) -> Choice:
        info = self.referendum_info_for.find(index)
        if info is None or info[0] == "Ongoing":
            raise NotEnded
        return info

    def deposits_total(self) -> int:
        """Give the grains that this module had held; walks all votes, for invariants."""
        deposits: list[Deposit | None] = []
        for state, rest in self.referendum_info_for.values():
            if state == "Ongoing":
                deposits += [rest.submission_deposit, rest.decision_deposit]
            else:
                deposits += rest[1:]
        return sum(deposit.amount for deposit in deposits if deposit is not None)

    def invariants(self) -> Iterator[Check]:
        """Compare counts, queues, alarms and enactments with the votes that go on."""
        ongoing: dict[int, ReferendumStatus] = {
            index: info[1]
            for index, info in self.referendum_info_for.items()
            if info[0] == "Ongoing"
        }
        for track in Track:
            of_track = [status for status in ongoing.values() if status.track == track]
            open_count = sum(status.deciding is not None for status in of_track)
            is_counted = open_count == self.deciding_count[track]
            yield Check(f"{track.name}: open votes are counted", is_counted)
            waiting = sum(status.in_queue for status in of_track)
            queue = self.track_queue[track]
            is_queued = waiting == len(queue) and all(ongoing[index].in_queue for index in queue)
            yield Check(f"{track.name}: the queue holds who waits", is_queued)
        for index, status in ongoing.items():
            key = _alarm_key(status)
            is_awake = status.in_queue if key is None else key in self.deadlines.items_due
            yield Check(f"vote {index} will be looked at again", is_awake)
        known = all(index < self.referendum_count for index in ongoing)
        yield Check("votes are numbered in order", known)
        for index, enactment in self.enactments.items():
            summary = self.summaries[index]
            is_right = summary.enact_at == enactment.at and not summary.enacted_at
            yield Check(f"vote {index} waits for its height", is_right)
        held = self.balances.held_totals[HoldReason.DEPOSIT]
        yield Check("the deposits of votes are held", self.deposits_total() <= held)


_TIMED_OUT: Final = "TimedOut"

_STATES: Final = {
    Verdict.APPROVED: "Approved",
    Verdict.REJECTED: "Rejected",
    Verdict.TIMED_OUT: _TIMED_OUT,
}


def _lane(track: Track) -> Lane:
    """Give the lane of the wheel: a vote about a slash must not come too late for it."""
    return Lane.SLASHES if track is Track.SLASHES else Lane.OTHER


def _alarm_key(status: ReferendumStatus) -> ItemKey | None:
    if status.alarm is None:
        return None
    height, place = status.alarm[1]
    return ItemKey(height, _lane(Track(status.track)), place)


def _moment(moment: Choice, height: int) -> int:
    """Give the height that is meant when it is said at a height."""
    kind, number = moment
    return number if kind == "At" else height + int(number)
