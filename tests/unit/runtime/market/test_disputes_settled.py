"""Disputes of real jobs: what a conviction pays whom, and that no friend profits from one."""

from typing import Any

from runtime.balances import HoldReason
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.nouns import JURY_COMMIT, JURY_REVEAL, MOVE, DisputeStage, JurorVote
from runtime.market.nouns import JobSpec, JobState, Reason
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.primitives import AccountId
from tests.support.disputes import DATA_ROOT, LEAVES, PARAMS, Run
from tests.support.jobs import ANN, BEN, GRIST, OTHER, REQUESTER, FakeDatasets, Key, Market, spec_of
from tests.support.runtime import person

PRICE = 1_000 * GRIST
TRUE = Run.make(32, 2)
WRONG = Run.make(32, 2, wrong_at=41)


def trained() -> JobSpec:
    """A job of the reference trainer on the leaves of these tests."""
    params = TrainerParams.wire.encode(PARAMS)
    most = 2 * PRICE
    return spec_of(program=PROGRAM, params=params, datasets=(1,), max_price=most)


class KnownData(FakeDatasets):
    """Data of which every leaf is known here."""

    def root(self, id_: int) -> bytes:  # noqa: ARG002 -- all are the same
        return DATA_ROOT

    def leaf_count(self, id_: int) -> int:  # noqa: ARG002 -- all are the same
        return len(LEAVES)


class Trial(Market):
    """A market with real jobs, bonds and waterfalls, whose results only disputes judge."""

    def __init__(self) -> None:
        super().__init__()
        self.disputes = self.runtime.market.disputes
        self.jobs.watchers[:] = [self.disputes]
        self.datasets.__class__ = KnownData
        MOVE.begin(self.runtime.ctx, MOVE.low)

    def posted(self, run: Run) -> int:
        """Ann posts a result."""
        id_ = self.started(PRICE, trained())
        self.post_result(id_, run)
        return id_

    def post_result(self, id_: int, run: Run) -> None:
        result, who = run.result(), self.provider_of(id_)
        self.done(who, "Jobs", "complete", id_, result.commitments, result.final_state, 1_000)

    def challenge(self, who: Key, id_: int) -> int:
        number: int = self.disputes.dispute_count
        self.done(who, "Disputes", "challenge", id_, 31)
        return number

    def fight(self, number: int, run: Run, who: Key, *, is_sham: bool = False) -> None:
        """Play a dispute to its end; a sham agrees to nothing."""
        while number in self.disputes.disputes:
            dispute = self.disputes.disputes[number]
            asked = dispute.asked
            if dispute.stage is DisputeStage.ANSWER:
                self.done(ANN, "Disputes", "answer", number, asked, run.answer(asked))
            elif dispute.stage is DisputeStage.REPLY:
                agrees = not is_sham and dispute.middle_state == TRUE.claimed[asked]
                self.done(who, "Disputes", "reply", number, asked, agrees)
            else:
                witness = TRUE.witness(dispute.high)
                self.done(who, "Disputes", "prove", number, witness)

    def deposit(self, who: Key) -> int:
        return self.held(who, HoldReason.DEPOSIT)


def test_a_convicted_provider_pays_its_challenger_and_the_job_opens_again() -> None:
    trial = Trial()
    before = trial.wealth(OTHER)
    issuance = trial.runtime.balances.total_issuance
    id_ = trial.posted(WRONG)
    bond = trial.providers.bond(id_)
    whole = bond.own + bond.delegated
    number = trial.challenge(OTHER, id_)
    trial.stands(JobState.DISPUTED)
    trial.fight(number, WRONG, OTHER)
    trial.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT)
    assert trial.job(id_).attempt == 1
    bounty = trial.wealth(OTHER) - before
    assert 0 < bounty <= whole // 5
    assert trial.providers.bond(id_) is None
    assert issuance > trial.runtime.balances.total_issuance
    assert trial.deposit(OTHER) == 0
    trial.next(3)


def test_who_is_convicted_by_a_friend_loses_more_than_the_friend_gets() -> None:
    trial = Trial()
    before = trial.wealth(ANN) + trial.wealth(OTHER)
    id_ = trial.posted(WRONG)
    bond = trial.providers.bond(id_)
    trial.fight(trial.challenge(OTHER, id_), WRONG, OTHER)
    lost = before - trial.wealth(ANN) - trial.wealth(OTHER)
    assert lost >= (bond.own + bond.delegated) // 2
    trial.next()


def test_a_challenger_of_the_same_owner_gets_no_bounty_at_all() -> None:
    trial = Trial()
    trial.register(OTHER, payout=ANN.id)
    assert trial.providers.share_owner(ANN.id, OTHER.id)
    id_ = trial.posted(WRONG)
    before = trial.wealth(OTHER)
    trial.fight(trial.challenge(OTHER, id_), WRONG, OTHER)
    assert trial.wealth(OTHER) == before
    trial.next()


def test_a_sham_between_friends_costs_them_half_a_deposit_and_gains_nothing() -> None:
    trial = Trial()
    id_ = trial.posted(TRUE)
    before = trial.wealth(ANN) + trial.wealth(OTHER)
    number = trial.challenge(OTHER, id_)
    deposit = trial.deposit(OTHER)
    assert deposit == PRICE // 20
    trial.fight(number, TRUE, OTHER, is_sham=True)
    trial.stands(JobState.WINDOW)
    assert before - trial.wealth(ANN) - trial.wealth(OTHER) == deposit // 2
    trial.next()
    number = trial.challenge(REQUESTER, id_)
    trial.done(REQUESTER, "Disputes", "abandon", number)
    trial.next()


def test_a_job_settles_in_the_block_after_its_last_dispute_when_its_window_is_over() -> None:
    trial = Trial()
    id_ = trial.posted(TRUE)
    trial.until(trial.job(id_).due - 1)
    number = trial.challenge(REQUESTER, id_)
    trial.until(trial.job(id_).due + 5)
    trial.stands(JobState.DISPUTED)
    trial.fight(number, TRUE, REQUESTER, is_sham=True)
    trial.next(2)
    trial.stands(JobState.SETTLED, Reason.SILENCE)
    trial.all_is_released()
    assert trial.deposit(REQUESTER) == 0


def before_a_jury(trial: Trial) -> tuple[int, list[AccountId]]:
    """A dispute about another program, and the verifiers who will decide it."""
    for parameter in (JURY_COMMIT, JURY_REVEAL):
        parameter.begin(trial.runtime.ctx, parameter.low)
    verifiers = [person(name) for name in ("Alice", "Bob", "Charlie", "Dave")]
    for who in verifiers:
        vote(trial, who, "Verification", "join", 6_000 * GRIST)
    id_ = trial.started(PRICE, spec_of(max_price=2 * PRICE))
    trial.post_result(id_, TRUE)
    number = trial.challenge(OTHER, id_)
    while trial.disputes.disputes[number].stage is not DisputeStage.SUMMONS:
        asked = trial.disputes.disputes[number].asked
        trial.done(ANN, "Disputes", "answer", number, asked, TRUE.answer(asked))
        trial.done(OTHER, "Disputes", "reply", number, asked, True)
    return number, verifiers


def vote(trial: Trial, who: AccountId, module: str, name: str, *arguments: Any) -> None:
    decoded = trial.chain.executive.decode_call(trial.chain.call(module, name, *arguments))
    assert trial.chain.executive.run_call(decoded, who) == b""


def test_a_jury_of_verifiers_outvotes_a_provider_of_another_program() -> None:
    trial = Trial()
    number, verifiers = before_a_jury(trial)
    trial.until(trial.disputes.disputes[number].due + 1)
    jurors = [ballot.juror for ballot in trial.disputes.juries[number].ballots]
    assert sorted(jurors) == sorted(verifiers)
    salt = b"s" * 32
    for juror in jurors:
        hash_ = ballot_hash(dispute=number, level=0, juror=juror, vote=2, salt=salt)
        vote(trial, juror, "Disputes", "cast_ballot", number, hash_)
    for juror in jurors:
        vote(trial, juror, "Disputes", "reveal_ballot", number, JurorVote.WRONG, salt)
    trial.until(trial.disputes.disputes[number].due + 1)
    trial.stands(JobState.OPEN, Reason.OUTVOTED)
    assert trial.deposit(OTHER) == 0


def test_a_silent_jury_of_verifiers_is_charged_for_it() -> None:
    trial = Trial()
    number, verifiers = before_a_jury(trial)
    for _ in range(3):
        trial.until(trial.disputes.disputes[number].due + 1)
    assert trial.disputes.disputes[number].stage is DisputeStage.APPEAL
    charged = trial.runtime.market.verification.verifiers
    assert [charged[who].bond for who in verifiers] == [5_970 * GRIST] * 4
    trial.until(trial.disputes.disputes[number].due + 1)
    trial.next(2)
    trial.stands(JobState.SETTLED, Reason.SILENCE)


def test_the_next_attempt_is_disputed_anew() -> None:
    trial = Trial()
    id_ = trial.posted(WRONG)
    first, waiting = trial.challenge(OTHER, id_), trial.challenge(REQUESTER, id_)
    trial.fight(first, WRONG, OTHER)
    assert waiting not in trial.disputes.disputes
    assert trial.deposit(REQUESTER) == 0
    trial.done(BEN, "Providers", "set_offer", 3, trial.job(id_).price // 1_000)
    trial.done(REQUESTER, "Jobs", "take_offer", id_, BEN.id)
    trial.start(id_)
    trial.post_result(id_, TRUE)
    number = trial.challenge(OTHER, id_)
    dispute = trial.disputes.disputes[number]
    assert (dispute.attempt, dispute.provider) == (1, BEN.id)
    trial.fight(number, TRUE, OTHER, is_sham=True)
    trial.stands(JobState.WINDOW)
    trial.until(trial.job(id_).due + 1)
    trial.next()
    trial.stands(JobState.SETTLED, Reason.SILENCE)
    trial.all_is_released()


def test_a_silent_provider_is_convicted_by_the_wheel() -> None:
    trial = Trial()
    id_ = trial.posted(WRONG)
    number = trial.challenge(REQUESTER, id_)
    trial.until(trial.disputes.disputes[number].due + 1)
    assert trial.job(id_).reason is Reason.SILENT_IN_DISPUTE
    assert trial.job(id_).attempt == 1
    assert trial.deposit(REQUESTER) == 0
