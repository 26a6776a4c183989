"""THE MACHINE: accountable Tendermint for one validator, as a pure function of what it hears.

    news --> keep what counts --> apply the first rule that fires, again and again --> wishes

                 fresh proposal            quorum of prevotes          quorum of precommits
        PROPOSE ---------------> PREVOTE --------------------> PRECOMMIT ----------------> decided
           |      L22 L28 L57      |       L36 L44 L61             |            L49
           '--- a third is ahead (L55), or the wait is over (L65): the next round ---'

The numbers are lines of Algorithm 1 in arXiv:1807.04938. One thing is added to it: a prevote also
signs the `valid_round` of the proposal it answers, and the prevotes of a polka must agree in it, so
that any two conflicting decisions convict more than a third of the power.

The machine holds block ids, never blocks. Its own messages come back as news once they are signed.
"""

from dataclasses import dataclass
from typing import Final

from consensus.evidence import build_duplicate_proposal, build_duplicate_vote
from consensus.inputs import (
    BlockBuilt,
    BlockValidated,
    CertificateArrived,
    HeightStarted,
    Input,
    ProposalArrived,
    TimeoutFired,
    VoteArrived,
)
from consensus.leader import proposer
from consensus.outputs import (
    Accuse,
    Broadcast,
    BuildBlock,
    Finalize,
    Output,
    Save,
    SetTimer,
    Sign,
    ValidateBlock,
)
from consensus.record import OWN_MAX, Record
from consensus.rounds import (
    Step,
    TimeoutProfile,
    Timer,
    TimerKind,
    compute_early_ms,
    is_stale,
)
from consensus.types import (
    NIL,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    VALIDATORS_MAX,
    Certificate,
    Proposal,
    Vote,
)
from consensus.votes import ROUNDS_AHEAD, ROUNDS_BEHIND, VoteKeeper

EARLY_MAX: Final = 64
"""Messages kept of each validator for the next height: what arrives before we get there."""

PROPOSALS_EACH_MAX: Final = 2
"""Different proposals kept of one round: what evidence needs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What executing a block said: valid or not, whose turn its header claims, its time."""

    is_valid: bool
    proposer_idx: int
    time_ms: int


class Machine:
    """One validator's (or watcher's) view of the height being decided."""

    def __init__(self, profile: TimeoutProfile) -> None:
        self.profile = profile
        self.early: dict[int, list[ProposalArrived | VoteArrived]] = {}
        self.last: Finalize | None = None
        self.last_votes: VoteKeeper | None = None
        self.height = 0
        self.is_decided = False
        self._outputs: list[Output] = []
        self._now_ms = 0

    def handle(self, news: Input, now_ms: int) -> list[Output]:
        """Take one piece of news at a wall clock time; gives the wishes in order."""
        self._now_ms = now_ms
        self._outputs = []
        match news:
            case HeightStarted():
                self._start_height(news)
            case BlockBuilt():
                self._on_built(news)
            case BlockValidated():
                self._on_validated(news)
            case ProposalArrived():
                self._on_proposal(news)
            case VoteArrived():
                self._on_vote(news)
            case CertificateArrived():
                self._on_certificate(news.certificate)
            case TimeoutFired():
                self._on_timeout(news.timer)
        self._apply_rules()
        return self._outputs

    # ---- the height

    def _start_height(self, news: HeightStarted, record: Record | None = None) -> None:
        self.height = news.height
        self.validators = news.validators
        self.randomness = news.randomness
        self.index = news.index
        self.round = NO_ROUND
        self.step = Step.PROPOSE
        self.locked: tuple[bytes, int] | None = None
        self.valid: tuple[bytes, int, Certificate] | None = None
        self.own: list[Proposal | Vote] = []
        self.votes = VoteKeeper(news.height, news.validators)
        self.proposals: dict[int, list[Proposal]] = {}
        self.verdicts: dict[bytes, Verdict] = {}
        self.is_decided = False
        self._asked: dict[bytes, None] = {}
        self._once: dict[tuple[str, int], None] = {}
        self._waits_for_clock = False
        if record is None:
            self._start_round(0)
        else:
            self._restore(record)
        early, self.early = self.early, {}
        for messages in early.values():
            for message in messages:
                if isinstance(message, ProposalArrived):
                    self._on_proposal(message)
                else:
                    self._on_vote(message)

    def resume(self, news: HeightStarted, record: Record, now_ms: int) -> list[Output]:
        """Start the height that a record was saved in, as if it had only been a pause.

        Every own message is signed again, byte for byte, and the wait of the step is armed anew.
        """
        if record.height != news.height:
            raise ValueError(f"the record is of height {record.height}, not of {news.height}")
        self._now_ms = now_ms
        self._outputs = []
        self._start_height(news, record)
        self._apply_rules()
        return self._outputs

    def _restore(self, record: Record) -> None:
        self.round, self.step = record.round, Step(record.step)
        self.locked, self.valid = record.locked, record.valid
        self.own = list(record.own)
        self._forget_before(self.round - ROUNDS_BEHIND)
        if self.valid is not None:
            self.votes.add_certificate(self.valid[2])
        for message in self.own:
            self._outputs.append(Sign(message, self.record().encode()))
        if self.step is Step.PROPOSE:
            self._enter_propose()

    def record(self) -> Record:
        """Give what the journal must hold so that a restart never contradicts this moment."""
        return Record(
            self.height, self.round, int(self.step), self.locked, self.valid, tuple(self.own)
        )

    # ---- news

    def _on_built(self, news: BlockBuilt) -> None:
        is_turn = self.proposer(self.round) == self.index
        if (news.height, news.round) != (self.height, self.round) or not is_turn:
            return
        if self.step is Step.PROPOSE and self.index is not None and not self._has_proposed():
            self.verdicts.setdefault(
                news.block_id, Verdict(is_valid=True, proposer_idx=self.index, time_ms=self._now_ms)
            )
            self._sign(Proposal(self.height, self.round, news.block_id, NO_ROUND, self.index))

    def _on_validated(self, news: BlockValidated) -> None:
        if news.height == self.height:
            verdict = Verdict(news.is_valid, news.proposer_idx, news.time_ms)
            self.verdicts[news.block_id] = verdict

    def _on_proposal(self, news: ProposalArrived) -> None:
        proposal = news.proposal
        if proposal.height == self.height + 1:
            self._keep_early(proposal.index, news)
        ahead = proposal.round - self.round
        if proposal.height != self.height or not -ROUNDS_BEHIND <= ahead <= ROUNDS_AHEAD:
            return
        if proposal.index != self.proposer(proposal.round):
            return
        if not NO_ROUND <= proposal.valid_round < proposal.round:
            return
        held = self.proposals.setdefault(proposal.round, [])
        subject = (proposal.block_id, proposal.valid_round)
        if len(held) >= PROPOSALS_EACH_MAX or any(
            (p.block_id, p.valid_round) == subject for p in held
        ):
            return
        held.append(proposal)
        if len(held) == PROPOSALS_EACH_MAX:
            set_id = self.validators.set_id
            self._want(Accuse(build_duplicate_proposal(set_id, held[0], held[1])))
        self._ask_for(proposal.block_id)

    def _on_vote(self, news: VoteArrived) -> None:
        vote = news.vote
        if vote.height == self.height + 1:
            self._keep_early(vote.index, news)
        elif vote.height == self.height - 1 and self.last_votes is not None:
            self._accuse(self.last_votes.add(vote, current_round=self.last_votes_round()))
        elif vote.height == self.height:
            self._accuse(self.votes.add(vote, current_round=self.round))

    def _on_certificate(self, certificate: Certificate) -> None:
        for pair in self.votes.add_certificate(certificate):
            self._accuse(pair)

    def _on_timeout(self, timer: Timer) -> None:
        if (timer.height, timer.round) != (self.height, self.round) or self.is_decided:
            return
        if timer.kind is TimerKind.PROPOSE and self.step is Step.PROPOSE:
            self._vote(PREVOTE, NIL, NO_ROUND)  # L57
        elif timer.kind is TimerKind.PREVOTE and self.step is Step.PREVOTE:
            self._vote(PRECOMMIT, NIL, NO_ROUND)  # L61
        elif timer.kind is TimerKind.PRECOMMIT:
            self._start_round(self.round + 1)  # L65
        elif timer.kind is TimerKind.CLOCK:
            self._waits_for_clock = False

    def _keep_early(self, index: int, news: ProposalArrived | VoteArrived) -> None:
        messages = self.early.setdefault(index, [])
        is_new = len(messages) < EARLY_MAX and index < VALIDATORS_MAX and news not in messages
        if is_new:
            messages.append(news)

    def holds(self, ballot: Proposal | Vote) -> bool:
        """Whether hearing this ballot changes nothing: it is kept already, or of no use.

        One that was dropped, for coming too early or for a round too far ahead, is not held: when
        it is heard again it may count.
        """
        if isinstance(ballot, Proposal):
            if ballot.height == self.height:
                return ballot in self.proposals.get(ballot.round, ())
            return ballot.height != self.height + 1
        if ballot.height == self.height:
            return self.votes.holds(ballot)
        if ballot.height == self.height - 1:
            return self.last_votes is None or self.last_votes.holds(ballot)
        return ballot.height != self.height + 1

    def holds_quorum(self, certificate: Certificate) -> bool:
        """Whether what a certificate shows is known here without it."""
        first = certificate.first
        value = (first.block_id, first.valid_round)
        return value in self.votes.quorums(first.kind, first.round)

    def _accuse(self, pair: tuple[Vote, Vote] | None) -> None:
        if pair is not None:
            keeper = self.votes if pair[0].height == self.height else self.last_votes
            set_id = (keeper or self.votes).validators.set_id
            self._want(Accuse(build_duplicate_vote(set_id, pair[0], pair[1])))

    # ---- rules, in the order in which they are tried

    def _apply_rules(self) -> None:
        while not self.is_decided and (
            self._decide()
            or self._skip_round()
            or self._answer_proposal()
            or self._see_polka()
            or self._see_nil_polka()
        ):
            pass
        if not self.is_decided:
            self._arm_waits()

    def _decide(self) -> bool:
        """L49: a quorum of precommits for a known, valid block decides, in whichever round."""
        for round_ in self.votes.rounds(PRECOMMIT):
            for (block_id, _), commit in self.votes.quorums(PRECOMMIT, round_).items():
                if block_id == NIL:
                    continue
                self._ask_for(block_id)
                if self._is_valid(block_id):
                    self._speak_before_leaving()
                    polka = self.votes.find_quorum(PREVOTE, round_, block_id)
                    self.last = Finalize(self.height, block_id, commit, polka)
                    self.last_votes = self.votes
                    self.is_decided = True
                    self._want(self.last)
                    return True
        return False

    def _speak_before_leaving(self) -> None:
        """Cast the ballots that are due by L22, L28 and L36: whoever is late was not absent.

        The last commit counts who was there, and the slowest would otherwise miss every height.
        """
        self._answer_proposal()
        self._see_polka()

    def _skip_round(self) -> bool:
        """L55: more than a third of the power is in a later round; join the latest such."""
        later = self.votes.find_skip(self.round)
        if later is None:
            return False
        self._start_round(later)
        return True

    def _answer_proposal(self) -> bool:
        """L22 and L28: prevote the round's first proposal, or nil where the lock forbids it."""
        if self.step is not Step.PROPOSE or not self.proposals.get(self.round):
            return False
        proposal = self.proposals[self.round][0]
        if proposal.block_id not in self.verdicts:
            return False
        if proposal.valid_round == NO_ROUND:
            return self._answer_fresh(proposal)
        polka = self.votes.find_quorum(PREVOTE, proposal.valid_round, proposal.block_id)
        if polka is None:
            return False
        good = self._is_valid(proposal.block_id) and (
            self.locked is None
            or self.locked[1] <= proposal.valid_round
            or self.locked[0] == proposal.block_id
        )
        self._prevote(proposal, good=good)
        return True

    def _answer_fresh(self, proposal: Proposal) -> bool:
        """L22, with the turn of the header and the clock judged for fresh proposals only."""
        verdict = self.verdicts[proposal.block_id]
        good = (
            verdict.is_valid
            and verdict.proposer_idx == proposal.index
            and not is_stale(verdict.time_ms, self._now_ms, self.round)
            and (self.locked is None or self.locked[0] == proposal.block_id)
        )
        early_ms = compute_early_ms(verdict.time_ms, self._now_ms) if good else 0
        if early_ms:
            if not self._waits_for_clock:
                self._waits_for_clock = True
                self._set_timer(TimerKind.CLOCK, early_ms)
            return False
        self._prevote(proposal, good=good)
        return True

    def _see_polka(self) -> bool:
        """L36: a polka of this round for a valid block, all of one valid round."""
        if self.step is Step.PROPOSE or ("polka", self.round) in self._once:
            return False
        for (block_id, _), polka in self.votes.quorums(PREVOTE, self.round).items():
            if block_id == NIL:
                continue
            self._ask_for(block_id)
            if self._is_valid(block_id):
                self._once["polka", self.round] = None
                self.valid = (block_id, self.round, polka)
                if self.step is Step.PREVOTE:
                    self.locked = (block_id, self.round)
                    self._vote(PRECOMMIT, block_id, NO_ROUND)
                else:
                    self._want(Save(self.record().encode()))
                return True
        return False

    def _see_nil_polka(self) -> bool:
        """L44: a quorum of prevotes for nil."""
        if self.step is not Step.PREVOTE or (NIL, NO_ROUND) not in self.votes.quorums(
            PREVOTE, self.round
        ):
            return False
        self._vote(PRECOMMIT, NIL, NO_ROUND)
        return True

    def _arm_waits(self) -> None:
        """L34 and L47: a quorum voted, but not alike; wait for the rest, once a round."""
        if self.step is Step.PREVOTE and self.votes.has_any_quorum(PREVOTE, self.round):
            self._set_timer_once(TimerKind.PREVOTE)
        if self.votes.has_any_quorum(PRECOMMIT, self.round):
            self._set_timer_once(TimerKind.PRECOMMIT)

    # ---- deeds

    def proposer(self, round_: int) -> int:
        """Give the index of the proposer of a round of this height."""
        return proposer(self.validators, self.randomness, self.height, round_)

    def last_votes_round(self) -> int:
        """Give the round in which the previous height was decided."""
        return 0 if self.last is None else self.last.commit.first.round

    def last_commit_votes(self) -> tuple[Vote, ...]:
        """Give every precommit held for the block decided last, late ones included."""
        if self.last is None or self.last_votes is None:
            return ()
        if self.last.height not in (self.height - 1, self.height):
            return ()
        first = self.last.commit.first
        value = (first.block_id, first.valid_round)
        found = {vote.index: vote for vote in self.last.commit.votes}
        late = self.last_votes.quorums(PRECOMMIT, first.round).get(value)
        for vote in () if late is None else late.votes:
            found.setdefault(vote.index, vote)
        return tuple(found[index] for index in sorted(found))

    def _start_round(self, round_: int) -> None:
        self.round, self.step = round_, Step.PROPOSE
        self._waits_for_clock = False
        self._forget_before(round_ - ROUNDS_BEHIND)
        self._enter_propose()

    def _forget_before(self, round_: int) -> None:
        """Bound what a height that takes thousands of rounds can cost."""
        self.votes.forget_before(round_)
        for old in [r for r in self.proposals if r < round_]:
            del self.proposals[old]
        for once in [key for key in self._once if key[1] < round_]:
            del self._once[once]

    def _enter_propose(self) -> None:
        self._set_timer(TimerKind.PROPOSE, self.profile.timeout_ms(TimerKind.PROPOSE, self.round))
        if self.index is None or self.proposer(self.round) != self.index or self._has_proposed():
            return
        if self.valid is None:
            self._want(BuildBlock(self.height, self.round))
            return
        block_id, valid_round, polka = self.valid
        self._want(Broadcast(polka))
        self._sign(Proposal(self.height, self.round, block_id, valid_round, self.index))

    def _has_proposed(self) -> bool:
        return any(m.kind == PROPOSAL and m.round == self.round for m in self.own)

    def _prevote(self, proposal: Proposal, *, good: bool) -> None:
        if good:
            self._vote(PREVOTE, proposal.block_id, proposal.valid_round)
        else:
            self._vote(PREVOTE, NIL, NO_ROUND)

    def _vote(self, kind: int, block_id: bytes, valid_round: int) -> None:
        self.step = Step.PREVOTE if kind == PREVOTE else Step.PRECOMMIT
        if self.index is not None:
            self._sign(Vote(kind, self.height, self.round, block_id, valid_round, self.index))

    def _sign(self, message: Proposal | Vote) -> None:
        self.own = [*self.own, message][-OWN_MAX:]
        self._want(Sign(message, self.record().encode()))

    def _is_valid(self, block_id: bytes) -> bool:
        verdict = self.verdicts.get(block_id)
        return verdict is not None and verdict.is_valid

    def _ask_for(self, block_id: bytes) -> None:
        if block_id not in self._asked and block_id not in self.verdicts:
            self._asked[block_id] = None
            self._want(ValidateBlock(self.height, block_id))

    def _set_timer_once(self, kind: TimerKind) -> None:
        if (kind.name, self.round) not in self._once:
            self._once[kind.name, self.round] = None
            self._set_timer(kind, self.profile.timeout_ms(kind, self.round))

    def _set_timer(self, kind: TimerKind, delay_ms: int) -> None:
        self._want(SetTimer(Timer(kind, self.height, self.round), delay_ms))

    def _want(self, output: Output) -> None:
        self._outputs.append(output)
