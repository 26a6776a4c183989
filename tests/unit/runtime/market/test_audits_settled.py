"""Audits and replicas of real jobs: who is paid out of the escrow, and what a conviction costs."""

from dataclasses import replace
from typing import Any

from chain.market.training import Fraud, FraudKind, Trace
from runtime.balances import HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market.disputes.nouns import MOVE, DisputeStage, StateAnswer
from runtime.market.jobs.numbers import EMISSION_BASE
from runtime.market.nouns import JobSpec, JobState, Reason
from runtime.market.nouns import Verification as Mode
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.market.trees import branch_of, tree_root
from runtime.market.verification.numbers import COMMIT_BLOCKS, REVEAL_BLOCKS
from runtime.market.verification.records import (
    Audit,
    AuditAnswer,
    ReplicaPhase,
    SaltedAnswer,
    audit_commitment,
)
from runtime.primitives import AccountId
from tests.support.jobs import (
    ANN,
    BEN,
    CLEO,
    CPU,
    DAN,
    GRIST,
    REQUESTER,
    FakeDatasets,
    Key,
    Market,
    spec_of,
)
from tests.support.runtime import person
from tests.support.verification import LEAVES, PARAMS, PLAN, Attempt, cheated, honest, salt_of

PRICE = 500 * GRIST
BOND = 5_000 * GRIST
PANEL = tuple(person(name) for name in ("Alice", "Bob", "Charlie", "Dave"))
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)


def trained(**changes: Any) -> JobSpec:
    params = TrainerParams.wire.encode(PARAMS)
    asked = {"verification": Mode.AUDIT, "max_price": PRICE, "datasets": (1,), **changes}
    return spec_of(program=PROGRAM, params=params, **asked)


class KnownData(FakeDatasets):
    """Data of which every leaf is known here."""

    def root(self, id_: int) -> bytes:  # noqa: ARG002 -- all are the same
        return tree_root(LEAVES)

    def leaf_count(self, id_: int) -> int:  # noqa: ARG002 -- all are the same
        return len(LEAVES)


class Checked(Market):
    """A market with real jobs, bonds and waterfalls, whose results are audited for real."""

    def __init__(self, verifiers: int = 3, providers: int = 3) -> None:
        super().__init__(providers=providers)
        self.module = self.runtime.market.verification
        self.jobs.watchers[:] = [self.module]
        self.datasets.__class__ = KnownData
        for parameter in (COMMIT_BLOCKS, REVEAL_BLOCKS):
            parameter.begin(self.runtime.ctx, parameter.low)
        for who in PANEL[:verifiers]:
            self.check(who, "join", BOND)

    def check(self, who: AccountId, name: str, *arguments: Any) -> None:
        call = self.chain.executive.decode_call(self.chain.call("Verification", name, *arguments))
        assert self.chain.executive.run_call(call, who) == b""

    def posted(self, attempt: Attempt) -> int:
        """Ann posts a result, and its audit is drawn."""
        id_ = self.started(PRICE, trained())
        self.post_result(id_, ANN, attempt)
        self.until(self.audit(id_).due)
        return id_

    def post_result(self, id_: int, who: Key, attempt: Attempt) -> None:
        result = attempt.result()
        self.done(who, "Jobs", "complete", id_, result.commitments, result.final_state, 1_000)

    def play(self, attempt: Attempt, truth: Trace) -> None:
        """Make the next move of the dispute, whoever's it is."""
        dispute, lie = self.runtime.market.disputes.disputes[0], attempt.trace
        asked, step = dispute.asked, dispute.asked - 1
        if dispute.stage is DisputeStage.ANSWER:
            run = lie.run_of(lie.plan.checkpoint_of(step))
            opened = attempt.proof(run.checkpoint)
            leaf = branch_of(run.states, step % lie.plan.steps_each)
            said = StateAnswer(lie.state_at(asked), opened.opening, leaf, opened.branch)
            self.done(ANN, "Disputes", "answer", 0, asked, said)
        elif dispute.stage is DisputeStage.REPLY:
            agrees = dispute.middle_state == truth.state_at(asked)
            self.done(BEN, "Disputes", "reply", 0, asked, agrees)
        else:
            self.done(BEN, "Disputes", "prove", 0, truth.witness(dispute.high - 1))

    def audit(self, id_: int) -> Audit:
        audit: Audit = self.module.audits[id_]
        return audit

    def hear(self, id_: int, attempt: Attempt, trace: Trace) -> None:
        """All seats say what a run comes to, and the provider opens what it has."""
        audit = self.audit(id_)
        (drawn,) = audit.draws
        said = AuditAnswer(trace.state_before(drawn * PLAN.steps_each), trace.run_of(drawn).root)
        parts = (said.start, said.trace_root)
        for seat in audit.seats:
            salt = salt_of(seat.who, drawn)
            sealed = audit_commitment(id_, drawn, seat.who, *parts, salt)
            self.check(seat.who, "commit", id_, (sealed,))
        self.check(ANN.id, "disclose", id_, (attempt.disclosure(drawn),))
        for seat in audit.seats:
            answer = SaltedAnswer(*parts, salt_of(seat.who, drawn))
            self.check(seat.who, "reveal", id_, (answer,))


def test_verifiers_are_paid_out_of_the_escrow_and_the_job_settles_as_verified() -> None:
    market = Checked()
    attempt = Attempt.of(honest(), ANN.id)
    id_ = market.posted(attempt)
    fee = market.job(id_).audit_fee
    free = {who: market.chain.free(who) for who in PANEL[:3]}
    market.hear(id_, attempt, honest())
    assert [market.chain.free(who) - free[who] for who in PANEL[:3]] == [fee // 3] * 3
    assert market.job(id_).audit_left == fee - 3 * (fee // 3)
    assert market.job(id_).cases == 0
    assert market.job(id_).emission == 3 * PERBILL
    market.until(max(market.job(id_).due, market.height) + 2)
    market.stands(JobState.SETTLED, Reason.AUDIT_PASSED, id_)
    market.all_is_released()


def test_a_convicted_provider_loses_its_bond_and_the_job_opens_again() -> None:
    market = Checked()
    attempt = Attempt.of(cheated(SKIPPED), ANN.id)
    id_ = market.posted(attempt)
    market.hear(id_, attempt, honest())
    market.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    assert market.job(id_).attempt == 1
    assert market.held(ANN, HoldReason.WORK_BOND) == 0
    assert market.providers.bond(id_) is None
    assert list(market.module.audits.items()) == []
    assert all(verifier.seats == 0 for verifier in market.module.verifiers.values())
    market.next(3)


def test_a_bought_panel_pays_when_the_chain_does_the_step_again() -> None:
    """All seats swear to what a cheat committed; somebody else has trained the job, too."""
    market = Checked()
    disputes = market.runtime.market.disputes
    market.jobs.watchers.append(disputes)
    MOVE.begin(market.runtime.ctx, MOVE.low)
    lie = cheated(SKIPPED)
    attempt = Attempt.of(lie, ANN.id)
    id_ = market.posted(attempt)
    market.module.audits[id_] = replace(market.audit(id_), draws=(0,))
    market.hear(id_, attempt, lie)
    assert market.job(id_).reason is Reason.AUDIT_PASSED
    market.done(BEN, "Disputes", "challenge", id_, 0)
    while disputes.disputes.find(0) is not None:
        market.play(attempt, honest())
    market.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    held = [market.runtime.balances.held(who, HoldReason.SERVICE) for who in PANEL[:3]]
    assert held == [BOND - BOND // 20] * 3
    market.next()


def test_a_provider_that_opens_nothing_is_convicted_by_time() -> None:
    market = Checked()
    id_ = market.posted(Attempt.of(honest(), ANN.id))
    market.until(market.audit(id_).due)
    market.until(market.audit(id_).due)
    market.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    assert [market.runtime.balances.held(who, HoldReason.SERVICE) for who in PANEL[:3]] == [
        BOND - BOND // 200
    ] * 3


def test_without_enough_verifiers_the_requester_accepts_and_no_more_than_the_base_is_earned() -> (
    None
):
    market = Checked(verifiers=2)
    id_ = market.started(PRICE, trained())
    market.post_result(id_, ANN, Attempt.of(honest(), ANN.id))
    market.until(market.audit(id_).due)
    fee = market.job(id_).audit_fee
    assert market.job(id_).audit_left == fee > 0
    assert market.job(id_).emission == EMISSION_BASE
    market.done(REQUESTER, "Jobs", "accept", id_)
    market.stands(JobState.SETTLED, Reason.ACCEPTED, id_)
    market.all_is_released()


class Compared(Checked):
    """Replicas of a real job, each by a provider of its own; some skip the work."""

    def __init__(self, count: int, cheats: tuple[int, ...] = ()) -> None:
        super().__init__(providers=count)
        self.first = self.submit(trained(verification=Mode.REPLICATION, replicas=count))
        self.ids = range(self.first, self.first + count)
        self.who = (ANN, BEN, CLEO, DAN)[:count]
        self.attempts = [
            Attempt.of(cheated(SKIPPED) if place in cheats else honest(), who.id)
            for place, who in enumerate(self.who)
        ]
        for id_, who, attempt in zip(self.ids, self.who, self.attempts, strict=True):
            self.done(who, "Providers", "set_offer", CPU, PRICE // 1_000)
            self.done(REQUESTER, "Jobs", "take_offer", id_, who.id)
            self.start(id_)
            self.post_result(id_, who, attempt)
        while self.module.groups[self.first].phase is not ReplicaPhase.REVEALING:
            self.next()
        drawn = self.module.groups[self.first].checkpoint
        for id_, who, attempt in zip(self.ids, self.who, self.attempts, strict=True):
            secrets = (salt_of(who.id, drawn), salt_of(who.id, drawn - 1) if drawn else bytes(32))
            self.check(who.id, "disclose_replica", id_, attempt.disclosure(drawn), *secrets)


def test_replicas_of_real_jobs_that_agree_all_settle_as_verified() -> None:
    market = Compared(3)
    for id_ in market.ids:
        assert (market.job(id_).reason, market.job(id_).cases) == (Reason.AUDIT_PASSED, 0)
    market.until(market.job(market.first).due + 2)
    for id_ in market.ids:
        market.stands(JobState.SETTLED, Reason.AUDIT_PASSED, id_)
    assert list(market.module.groups.items()) == []
    market.all_is_released()


def test_a_real_replica_that_is_outvoted_loses_its_bond_and_is_done_again() -> None:
    market = Compared(4, cheats=(2,))
    market.stands(JobState.OPEN, Reason.OUTVOTED, market.ids[2])
    assert market.held(CLEO, HoldReason.WORK_BOND) == 0
    market.until(market.job(market.first).due + 2)
    for place in (0, 1, 3):
        market.stands(JobState.SETTLED, Reason.AUDIT_PASSED, market.ids[place])
    market.done(REQUESTER, "Jobs", "cancel", market.ids[2])
    market.next()
    assert list(market.module.groups.items()) == []
    market.all_is_released()
