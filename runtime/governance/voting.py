"""ConvictionVoting: who stands behind a proposal, with how much, for how long.

Money votes where it is: it is frozen, not moved, and can be staked meanwhile. What counts is what
was locked before the vote opened and stays locked until the call has run; so money that somebody
borrows for a moment, or even for the days of a vote, weighs nothing. Whoever wins stays locked for
the conviction claimed. An account may let another one vote for it, track by track; where it votes
itself, its own vote counts instead.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from runtime import weights
from runtime.balances import Balances
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Choice, Most
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import Track
from runtime.frame.storage import Hasher, StorageMap, stored
from runtime.governance.asset import Votes
from runtime.governance.nouns import NO_VOTES, ReferendumStatus, Tally, Verdict
from runtime.governance.referenda import Referenda
from runtime.governance.voices import GristVoices, Voices
from runtime.governance.votes import (
    DELEGATORS_MAX,
    ERRORS,
    EVENTS,
    LOCK_PERIOD,
    NO_LOCK,
    NO_VOTING,
    PARAMETERS,
    STEPS_MAX,
    VOTES_MAX,
    VOTING,
    AccountVote,
    AlreadyDelegating,
    Casting,
    Conviction,
    Delegated,
    Delegating,
    Delegation,
    Delegations,
    LockedTooLate,
    LockStep,
    MaxVotesReached,
    Nonsense,
    NoSuchTrack,
    NotDelegating,
    NotEnough,
    NothingVoted,
    NotVoter,
    NoVoice,
    StandingLocked,
    TooManyDelegators,
    Undelegated,
    Voted,
    VoteList,
    VoteRemoved,
    VoteUnlocked,
    Voting,
    compute_periods,
    compute_side,
    grow_steps,
    locked_before,
    read_vote,
    winners_lock,
)
from runtime.primitives import U16, U32, AccountId, Address, Amount, Balance
from runtime.vesting.module import Vesting

_TWICE: Final = (Hasher.TWOX_64_CONCAT, Hasher.TWOX_64_CONCAT)


class ConvictionVoting(Module, index=22, events=EVENTS, errors=ERRORS):
    """Votes, conviction, locks and delegations of the holders of GRIST, or of what else votes."""

    parameters = PARAMETERS

    voting_for: StorageMap[tuple[AccountId, U16], Annotated[Choice, VOTING]] = stored(
        default=NO_VOTING, hasher=_TWICE
    )
    overrides: StorageMap[tuple[AccountId, U16], VoteList] = stored(default=(), hasher=_TWICE)
    delegators: StorageMap[tuple[U16, AccountId, AccountId], Delegation] = stored(
        hasher=(*_TWICE, Hasher.TWOX_64_CONCAT)
    )
    class_locks_for: StorageMap[
        AccountId, Annotated[tuple[tuple[U16, Balance], ...], Most(len(Track))]
    ] = stored(default=(), hasher=Hasher.TWOX_64_CONCAT)
    standing: StorageMap[AccountId, Balance] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)
    lock_steps: StorageMap[AccountId, Annotated[tuple[LockStep, ...], Most(STEPS_MAX)]] = stored(
        default=(), hasher=Hasher.TWOX_64_CONCAT
    )

    def __init__(
        self,
        ctx: Context,
        balances: Balances,
        referenda: Referenda,
        vesting: Vesting,
        votes: Votes,
    ) -> None:
        super().__init__(ctx)
        self.referenda = referenda
        self.vesting = vesting
        self.votes = votes
        self.grist = GristVoices(ctx, balances, vesting)
        referenda.count_voices = self._count_voices

    # Calls

    @call(index=0, weight=weights.VOTE)
    def vote(self, origin: Signed, poll_index: U32, vote: AccountVote) -> None:
        """Vote, or vote anew; the money is locked until the call has run, or longer."""
        who, status = origin.who, self.referenda.ongoing(poll_index)
        balance, own = read_vote(vote)
        if not balance:
            raise NothingVoted
        self._check_voice(who, poll_index)
        self._check_balance(who, balance, status)
        voting = self.load(who, status.track)
        before = voting.votes.get(poll_index)
        if before is None and len(voting.votes) >= VOTES_MAX:
            raise MaxVotesReached
        change = own.plus(self._behind(who, poll_index, status, vote))
        if before is None:
            change = change.plus(self._lent(who, voting, poll_index, status), -1)
        else:
            change = change.plus(read_vote(before)[1], -1)
            change = change.plus(self._behind(who, poll_index, status, before), -1)
        voting.votes[poll_index] = vote
        self._save(who, status.track, voting)
        self.referenda.add_votes(poll_index, change, 1)
        self.emit(Voted(who, vote, poll_index))

    @call(index=1, weight=weights.DELEGATE)
    def delegate(
        self, origin: Signed, class_: U16, to: Address, conviction: Conviction, balance: Amount
    ) -> None:
        """Let another account vote for this one on a track, from the next votes on."""
        who, track = origin.who, _track(class_)
        if to == who:
            raise Nonsense
        if not balance:
            raise NothingVoted
        self._check_voice(who, None)
        if balance > self.available(who):
            raise NotEnough
        voting = self.load(who, track)
        if voting.target is not None:
            raise AlreadyDelegating
        if len(self.delegators.walk(track, to, limit=DELEGATORS_MAX)) == DELEGATORS_MAX:
            raise TooManyDelegators
        delegation = Delegation(balance, conviction, self.ctx.block.height)
        voting.target, voting.delegation = to, delegation
        self.delegators[track, to, who] = delegation
        self._save(who, track, voting)
        self._shift_delegations(to, track, delegation, 1)
        self._shift_polls(who, track, voting, 1)
        self.emit(Delegated(who, to, track))

    @call(index=2, weight=weights.DELEGATE)
    def undelegate(self, origin: Signed, class_: U16) -> None:
        """Vote for oneself again on a track; the money stays locked for the conviction given."""
        who, track = origin.who, _track(class_)
        voting = self.load(who, track)
        target, delegation = voting.target, voting.delegation
        if target is None or delegation is None:
            raise NotDelegating
        self._shift_polls(who, track, voting, -1)
        height = self.ctx.block.height
        until = max(
            height + self._lock_blocks(compute_periods(delegation.conviction)),
            self.referenda.latest_release[track],
        )
        voting.prior = voting.prior.plus(until, delegation.balance, height)
        voting.target = voting.delegation = None
        del self.delegators[track, target, who]
        self._save(who, track, voting)
        self._shift_delegations(target, track, delegation, -1)
        self.emit(Undelegated(who, track))

    @call(index=3, weight=weights.DELEGATE)
    def unlock(self, origin: Signed, class_: U16, target: Address) -> None:  # noqa: ARG002 -- anybody may
        """Let go of the votes of an account on a track that have ended and bind it no more."""
        track, height = _track(class_), self.ctx.block.height
        voting = self.load(target, track)
        for index, vote in list(voting.votes.items()):
            summary = self.referenda.summaries.find(index)
            if summary is not None and self.release_of(index, vote) <= height:
                del voting.votes[index]
                self.emit(VoteRemoved(target, vote, index))
        if voting.prior.until <= height:
            voting.prior = NO_LOCK
        self._save(target, track, voting)
        self.emit(VoteUnlocked(target, track))

    @call(index=4, weight=weights.VOTE)
    def remove_vote(self, origin: Signed, index: U32) -> None:
        """Take a vote back while it goes on, or let go of one that has ended."""
        who = origin.who
        status, summary = self.referenda.find_ongoing(index), self.referenda.summaries.find(index)
        if status is None and summary is None:
            raise NotVoter
        track = status.track if status is not None else int(summary.track) if summary else 0
        voting = self.load(who, track)
        vote = voting.votes.pop(index, None)
        if vote is None:
            raise NotVoter
        balance, own = read_vote(vote)
        height = self.ctx.block.height
        if status is None:
            until = self.release_of(index, vote)
            voting.prior = voting.prior.plus(until, balance, height)
        self._save(who, track, voting)
        if status is not None:
            change = own.plus(self._behind(who, index, status, vote))
            change = self._lent(who, voting, index, status).plus(change, -1)
            self.referenda.add_votes(index, change, 1)
        self.emit(VoteRemoved(who, vote, index))

    @call(index=64, weight=weights.VOTE)
    def lock(self, origin: Signed, amount: Amount) -> None:
        """Keep this much locked in place of what was, so that it may vote later; 0 ends it."""
        if amount > self.available(origin.who):
            raise NotEnough
        self.standing[origin.who] = amount
        self._relock(origin.who)
        self.emit(StandingLocked(origin.who, amount))

    # Functions

    @property
    def voices(self) -> Voices:
        """What votes on this chain: GRIST, or the asset that its spec made for it."""
        return self.votes if self.votes.is_enabled else self.grist

    def available(self, who: AccountId) -> int:
        """Give the grains of an account that may vote; passive ones have none."""
        return 0 if self.vesting.is_passive(who) else self.voices.available(who)

    def weight_in(self, who: AccountId, status: ReferendumStatus) -> int:
        """Give the grains that an account may still put behind a vote."""
        if status.deciding is None:
            return self.available(who)
        aged = locked_before(self.lock_steps[who], status.deciding.since)
        return min(aged, self.available(who))

    def release_of(self, index: int, vote: Choice) -> int:
        """Give the height at which a vote in an ended referendum binds no more."""
        summary = self.referenda.summaries[index]
        if summary.verdict is Verdict.TIMED_OUT:
            return summary.ended
        is_approved = summary.verdict is Verdict.APPROVED
        owed = summary.ended + self._lock_blocks(winners_lock(vote, is_approved=is_approved))
        return max(owed, summary.enact_at)

    def load(self, who: AccountId, track: int) -> Voting:
        """Give how an account stands to the votes of a track, to be worked on."""
        kind, entry = self.voting_for[who, track]
        if kind == "Casting":
            return Voting(dict(entry.votes), None, None, entry.delegations, entry.prior)
        delegation = Delegation(entry.balance, Conviction(entry.conviction), entry.since)
        votes = dict(self.overrides[who, track])
        return Voting(votes, entry.target, delegation, entry.delegations, entry.prior)

    # Inside

    def _count_voices(self, silent: tuple[AccountId, ...]) -> int:
        return self.voices.electorate(silent)

    def _check_voice(self, who: AccountId, index: int | None) -> None:
        is_accused = index is not None and self.referenda.accused.find(index) == who
        if is_accused or who in self.referenda.excluded:
            raise NoVoice

    def _check_balance(self, who: AccountId, balance: int, status: ReferendumStatus) -> None:
        if balance > self.available(who):
            raise NotEnough
        if balance > self.weight_in(who, status):
            raise LockedTooLate

    def _counts(
        self, who: AccountId, delegation: Delegation, index: int, status: ReferendumStatus
    ) -> bool:
        """Whether a delegation counts in a vote, where the delegator did not vote itself."""
        if self.referenda.accused.find(index) == who:
            return False
        return status.deciding is None or delegation.since < status.deciding.since

    def _behind(self, who: AccountId, index: int, status: ReferendumStatus, vote: Choice) -> Tally:
        """Give what delegators add to a vote of an account: all on its side, if it has one."""
        kind, parts = vote
        total = NO_VOTES
        if kind != "Standard":
            return total
        for key, delegation in self.delegators.walk(status.track, who, limit=DELEGATORS_MAX):
            delegator = key[2]
            has_voted = any(entry[0] == index for entry in self.overrides[delegator, status.track])
            if not has_voted and self._counts(delegator, delegation, index, status):
                total = total.plus(_side_of(parts.vote, delegation))
        return total

    def _lent(self, who: AccountId, voting: Voting, index: int, status: ReferendumStatus) -> Tally:
        """Give what a delegator that does not vote itself adds to the vote of its target."""
        if voting.target is None or voting.delegation is None:
            return NO_VOTES
        if not self._counts(who, voting.delegation, index, status):
            return NO_VOTES
        vote = self.load(voting.target, status.track).votes.get(index)
        if vote is None or vote[0] != "Standard":
            return NO_VOTES
        return _side_of(vote[1].vote, voting.delegation)

    def _shift_polls(self, who: AccountId, track: int, voting: Voting, sign: int) -> None:
        """Add a delegation to the votes of its target that go on, or take it out of them."""
        target = voting.target
        if target is None:
            return
        for index in self.load(target, track).votes:
            status = self.referenda.find_ongoing(index)
            if status is not None and index not in voting.votes:
                lent = self._lent(who, voting, index, status)
                if lent != NO_VOTES:
                    self.referenda.add_votes(index, lent, sign)

    def _shift_delegations(
        self, target: AccountId, track: int, delegation: Delegation, sign: int
    ) -> None:
        voting = self.load(target, track)
        votes, capital = voting.delegations.votes, voting.delegations.capital
        voting.delegations = Delegations(
            votes + sign * delegation.votes(), capital + sign * delegation.balance
        )
        self._store(target, track, voting)

    def _save(self, who: AccountId, track: int, voting: Voting) -> None:
        """Write how an account stands to a track, and lock what that needs."""
        self._store(who, track, voting)
        needed = voting.locked(self.ctx.block.height)
        others = [entry for entry in self.class_locks_for[who] if entry[0] != track]
        entries = [*others, (track, needed)] if needed else others
        self.class_locks_for[who] = tuple(sorted(entries))
        self._relock(who)

    def _store(self, who: AccountId, track: int, voting: Voting) -> None:
        key, votes = (who, track), tuple(sorted(voting.votes.items()))
        delegation = voting.delegation
        if voting.target is None or delegation is None:
            entry: Choice = ("Casting", Casting(votes, voting.delegations, voting.prior))
            del self.overrides[key]
        else:
            delegating = Delegating(
                delegation.balance,
                voting.target,
                int(delegation.conviction),
                voting.delegations,
                voting.prior,
                delegation.since,
            )
            entry = ("Delegating", delegating)
            self.overrides[key] = votes
        self.voting_for[key] = entry

    def _relock(self, who: AccountId) -> None:
        """Bind what votes need, and remember since when."""
        needed = max((amount for _, amount in self.class_locks_for[who]), default=0)
        needed = max(needed, self.standing[who])
        self.lock_steps[who] = grow_steps(self.lock_steps[who], needed, self.ctx.block.height)
        self.voices.bind(who, needed)

    def _lock_blocks(self, periods: int) -> int:
        return self.referenda.constitution.blocks_of(periods * LOCK_PERIOD.read(self.ctx))

    def _all(self) -> Iterator[tuple[tuple[AccountId, int], Voting]]:
        keys = [key for key, _ in self.voting_for.items()]
        yield from ((key, self.load(*key)) for key in keys)

    def invariants(self) -> Iterator[Check]:
        """Count every vote again, and every lock."""
        tallies: dict[int, Tally] = {}
        for (who, track), voting in self._all():
            for index, vote in voting.votes.items():
                status = self.referenda.find_ongoing(index)
                if status is not None:
                    _, own = read_vote(vote)
                    total = tallies.get(index, NO_VOTES).plus(own)
                    tallies[index] = total.plus(self._behind(who, index, status, vote))
            behind = [d for key, d in self.delegators.items() if key[:2] == (track, who)]
            counted = Delegations(sum(d.votes() for d in behind), sum(d.balance for d in behind))
            is_counted = counted == voting.delegations and len(behind) <= DELEGATORS_MAX
            yield Check(f"{who.hex()}: delegations are counted", is_counted)
        for index, (state, rest) in self.referenda.referendum_info_for.items():
            if state == "Ongoing":
                is_counted = rest.tally == tallies.get(index, NO_VOTES)
                yield Check(f"vote {index}: the tally is the sum of votes", is_counted)
        for who, steps in self.lock_steps.items():
            locks = [amount for _, amount in self.class_locks_for[who]]
            needed = max(*locks, self.standing[who], 0)
            is_bound = self.voices.bound(who) >= needed
            yield Check(f"{who.hex()}: what votes is frozen", is_bound)
            rising = [step.amount for step in steps]
            ages = [step.since for step in steps]
            is_ordered = rising == sorted(set(rising)) and ages == sorted(set(ages))
            is_right = is_ordered and rising[-1:] == [needed]
            yield Check(f"{who.hex()}: the ages of locked money fit", is_right)
        for (track, target, who), delegation in self.delegators.items():
            voting = self.load(who, track)
            is_mutual = (voting.target, voting.delegation) == (target, delegation)
            yield Check(f"{who.hex()}: a delegation is known on both sides", is_mutual)


def _track(number: int) -> Track:
    """Give the track of a number; raises NoSuchTrack."""
    try:
        return Track(number)
    except ValueError as error:
        raise NoSuchTrack from error


def _side_of(vote: int, delegation: Delegation) -> Tally:
    """Give what a delegation adds on the side of the vote that it stands behind."""
    conviction = (vote & 0x80) | delegation.conviction
    return compute_side(conviction, delegation.balance)
