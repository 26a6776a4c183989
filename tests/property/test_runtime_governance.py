"""Any order of proposals, votes, delegations and locks: a small model counts every vote again.

The model knows who voted what, since when money is locked, and who stands behind whom; nothing of
records, aggregates or the wheel. After each step the tally of each vote and the lock of each
account are compared; each block checks all invariants; and nothing that was locked can be sent.
"""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.balances import FreezeReason
from runtime.frame.errors import CallError
from runtime.governance import votes as words
from runtime.governance.nouns import NotOngoing, Tally
from runtime.governance.votes import Conviction, compute_votes
from tests.support.governance import GRIST, Polls, aye, nay
from tests.support.runtime import person

NAMES = ("Alice", "Bob", "Charlie", "Dave")
names = st.sampled_from(NAMES)
amounts = st.sampled_from([0, 1, 9, 10, 1_000, 500_000 * GRIST, 900_000 * GRIST])
convictions = st.sampled_from(list(Conviction))
polls_ = st.integers(0, 2)


@dataclass
class Ballot:
    """What somebody voted in one vote."""

    is_aye: bool
    amount: int
    conviction: Conviction


@dataclass
class Person:
    """What the model knows of an account: ballots, who it stands behind, money by its age."""

    ballots: dict[int, Ballot] = field(default_factory=dict)
    target: str | None = None
    lent: tuple[int, Conviction, int] = (0, Conviction.NONE, 0)
    standing: int = 0
    owed: list[tuple[int, int]] = field(default_factory=list)
    levels: list[tuple[int, int]] = field(default_factory=list)
    """(height, least amount locked since then), one for each height at which it changed."""

    def needed(self, height: int) -> int:
        """What must be locked now."""
        amounts = [ballot.amount for ballot in self.ballots.values()]
        amounts += [amount for until, amount in self.owed if until > height]
        return max([*amounts, self.lent[0], self.standing, 0])

    def note(self, height: int) -> None:
        """Remember since when how much is locked without a break."""
        now = self.needed(height)
        self.levels = [(since, min(amount, now)) for since, amount in self.levels]
        self.levels.append((height, now))

    def aged(self, height: int) -> int:
        """What is locked since before a height."""
        return max((amount for since, amount in self.levels if since < height), default=0)


class Votes(RuleBasedStateMachine):
    """Random histories of three votes on one track and of the model beside them."""

    @initialize()
    def start(self) -> None:
        self.polls = Polls()
        self.people = {name: Person() for name in NAMES}
        for number in range(3):
            index = self.polls.submit(self.polls.proposal(450_000_000 + number))
            if number < 2:
                self.polls.back(index)

    # What the model says

    def opened(self, index: int) -> int | None:
        status = self.polls.runtime.referenda.find_ongoing(index)
        return None if status is None or status.deciding is None else status.deciding.since

    def is_ongoing(self, index: int) -> bool:
        return self.polls.runtime.referenda.find_ongoing(index) is not None

    def tally(self, index: int) -> Tally:
        """Everybody's ballot, and behind it those who voted nothing themselves and came in time."""
        total, opened = Tally(0, 0, 0), self.opened(index)
        for name, person_ in self.people.items():
            ballot = person_.ballots.get(index)
            if ballot is None:
                continue
            total = total.plus(side(ballot.is_aye, ballot.amount, ballot.conviction))
            for other in self.people.values():
                amount, conviction, since = other.lent
                is_behind = other.target == name and index not in other.ballots
                if is_behind and (opened is None or since < opened):
                    total = total.plus(side(ballot.is_aye, amount, conviction))
        return total

    def available(self, name: str) -> int:
        return self.polls.runtime.voting.available(person(name))

    def judge(self, name: str, index: int, amount: int) -> type[CallError] | None:
        if not self.is_ongoing(index):
            return NotOngoing
        if not amount:
            return words.NothingVoted
        if amount > self.available(name):
            return words.NotEnough
        opened = self.opened(index)
        if opened is not None and amount > self.people[name].aged(opened):
            return words.LockedTooLate
        return None

    def do(self, expected: type[CallError] | None, name: str, *call: object) -> bool:
        outcome = self.polls.run(name, "ConvictionVoting", *call)
        assert outcome == (b"" if expected is None else expected.encoded)
        return expected is None

    # Steps

    @rule(name=names, index=polls_, amount=amounts, conviction=convictions, is_aye=st.booleans())
    def vote(
        self, name: str, index: int, amount: int, conviction: Conviction, is_aye: bool
    ) -> None:
        ballot = (aye if is_aye else nay)(amount, conviction)
        if self.do(self.judge(name, index, amount), name, "vote", index, ballot):
            self.people[name].ballots[index] = Ballot(is_aye, amount, conviction)
            self.people[name].note(self.polls.height)

    @rule(name=names, index=polls_)
    def remove(self, name: str, index: int) -> None:
        me = self.people[name]
        expected = None if index in me.ballots else words.NotVoter
        if self.do(expected, name, "remove_vote", index):
            ballot = me.ballots.pop(index)
            if not self.is_ongoing(index):
                until = self.release(index, ballot)
                me.owed.append((until, ballot.amount))
                self.join_owed(me)
            me.note(self.polls.height)

    @rule(name=names, other=names, amount=amounts, conviction=convictions)
    def delegate(self, name: str, other: str, amount: int, conviction: Conviction) -> None:
        me, expected = self.people[name], None
        if name == other:
            expected = words.Nonsense
        elif not amount:
            expected = words.NothingVoted
        elif amount > self.available(name):
            expected = words.NotEnough
        elif me.target is not None:
            expected = words.AlreadyDelegating
        call = ("delegate", 0, person(other), conviction, amount)
        if self.do(expected, name, *call):
            me.target, me.lent = other, (amount, conviction, self.polls.height)
            me.note(self.polls.height)

    @rule(name=names)
    def undelegate(self, name: str) -> None:
        me = self.people[name]
        expected = words.NotDelegating if me.target is None else None
        if self.do(expected, name, "undelegate", 0):
            amount, conviction, _ = me.lent
            until = self.polls.height + self.lock_blocks(conviction)
            until = max(until, self.polls.runtime.referenda.latest_release[0])
            me.owed.append((until, amount))
            self.join_owed(me)
            me.target, me.lent = None, (0, Conviction.NONE, 0)
            me.note(self.polls.height)

    @rule(name=names, amount=amounts)
    def lock(self, name: str, amount: int) -> None:
        expected = words.NotEnough if amount > self.available(name) else None
        if self.do(expected, name, "lock", amount):
            self.people[name].standing = amount
            self.people[name].note(self.polls.height)

    @rule(name=names)
    def unlock(self, name: str) -> None:
        me, height = self.people[name], self.polls.height
        assert self.do(None, name, "unlock", 0, person(name))
        for index, ballot in list(me.ballots.items()):
            if not self.is_ongoing(index) and self.release(index, ballot) <= height:
                del me.ballots[index]
        me.note(height)

    @rule(name=names, other=names)
    def send_what_is_locked(self, name: str, other: str) -> None:
        """Nobody can send more than what is beyond the lock."""
        who, needed = person(name), self.people[name].needed(self.polls.height)
        record = self.polls.runtime.ctx.state.account(who)
        most = record[4] - max(needed - record[5], 0)
        if name != other and needed:
            call = ("Balances", "transfer_allow_death", person(other), most + 1)
            assert self.polls.run(name, *call) != b""

    @rule(count=st.sampled_from([1, 1, 2, 5, 30]))
    def blocks(self, count: int) -> None:
        self.polls.next(count)

    # What holds after each step

    @invariant()
    def tallies_are_the_sums_of_votes(self) -> None:
        for index in range(3):
            status = self.polls.runtime.referenda.find_ongoing(index)
            if status is not None:
                assert status.tally == self.tally(index)

    @invariant()
    def what_votes_is_locked(self) -> None:
        for name, me in self.people.items():
            frozen = self.polls.runtime.balances.frozen(person(name), FreezeReason.VOTE)
            assert frozen >= me.needed(self.polls.height)

    # The model's arithmetic

    def lock_blocks(self, conviction: Conviction) -> int:
        periods = (0, 1, 2, 4, 8, 16, 32)[conviction]
        return periods * 7 * self.polls.runtime.parameters.era_blocks

    def release(self, index: int, ballot: Ballot) -> int:
        summary = self.polls.runtime.referenda.summaries[index]
        verdict = summary.verdict.name
        has_won = (verdict, ballot.is_aye) in {("APPROVED", True), ("REJECTED", False)}
        owed = self.lock_blocks(ballot.conviction) if has_won else 0
        return max(summary.ended + owed, summary.enact_at)

    def join_owed(self, me: Person) -> None:
        """What is owed joins: the latest end for the largest amount, as the rules say."""
        left = [(until, amount) for until, amount in me.owed if until > self.polls.height]
        me.owed = []
        if left:
            me.owed = [(max(until for until, _ in left), max(amount for _, amount in left))]


def side(is_aye: bool, amount: int, conviction: Conviction) -> Tally:
    votes = compute_votes(amount, conviction)
    return Tally(votes, 0, amount) if is_aye else Tally(0, votes, 0)


TestVotes = Votes.TestCase
TestVotes.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
