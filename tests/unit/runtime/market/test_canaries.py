"""Canaries: planted faults that are committed to, told, shown to the chain, and never paid for."""

from dataclasses import replace
from typing import Any

import pytest

from chain.market.training import Fraud, FraudKind
from ext import hashing
from runtime.balances import INSURANCE, MintCause, MoveCause
from runtime.frame.errors import BadOrigin
from runtime.market.nouns import Fault, JobSpec, JobState, Reason
from runtime.market.trees import Branch, branch_of, tree_root
from runtime.market.verification.nouns import (
    AlreadyCommitted,
    AlreadyManager,
    BadCanaryCount,
    BatchesOpen,
    CanariesCommitted,
    CanariesReported,
    CanaryProven,
    CanaryTold,
    ManagerBonded,
    ManagerLeft,
    NothingProven,
    NotManager,
    SlashCause,
    VerifierSlashed,
    WrongCanary,
)
from runtime.market.verification.numbers import CANARY_ERAS
from runtime.market.verification.records import (
    CanaryPlan,
    Manager,
    Seat,
    StepProof,
    canary_leaf,
)
from runtime.primitives import AccountId
from tests.support.verification import (
    GRIST,
    MANAGER,
    OTHERS,
    PLAN,
    PROVIDER,
    REQUESTER,
    SET,
    Attempt,
    Bench,
    cheated,
    honest,
)

BOND = 5_000 * GRIST
NAMED, STRUCK = True, False
NOWHERE = Branch(0, 1, ())


def plant(step: int) -> Attempt:
    """A run with a planted step, honest work on it from there on."""
    return Attempt.of(cheated(Fraud(FraudKind.WRONG_CHECKPOINT, step)))


def managed(verifiers: int = 3) -> Bench:
    """A bench with a manager that has put its bond down."""
    bench = Bench(verifiers)
    assert bench.vote("name_manager", MANAGER, NAMED) is None
    bench.done(MANAGER, "bond_manager")
    return bench


def planned(spec: JobSpec, requester: AccountId = REQUESTER, salt: bytes = b"s" * 32) -> CanaryPlan:
    return CanaryPlan(requester, hashing.blake2b_256(JobSpec.wire.encode(spec)), salt)


def step_proof(attempt: Attempt, step: int, **changes: Any) -> StepProof:
    """What shows a step of a run."""
    trace, offset = attempt.trace, step % PLAN.steps_each
    states = trace.run_of(PLAN.checkpoint_of(step)).states
    proof = StepProof(
        offset,
        trace.state_before(step),
        branch_of(states, offset - 1) if offset else NOWHERE,
        trace.state_after(step),
        branch_of(states, offset),
        trace.witness(step),
    )
    return replace(proof, **changes)


class Planted:
    """A canary that is committed to, submitted and audited by verifiers who all pass it."""

    def __init__(self, *, passed_by: int = 3, attempt: Attempt | None = None) -> None:
        self.bench = bench = managed()
        shape = bench.job()
        self.spec = bench.jobs.specs[shape]
        self.era = bench.runtime.parameters.era()
        self.plans = [planned(self.spec, salt=bytes((n,)) * 32) for n in range(2)]
        self.leaves = [canary_leaf(MANAGER, plan) for plan in self.plans]
        bench.done(MANAGER, "commit_canaries", tree_root(self.leaves), 2)
        bench.next()
        self.attempt = attempt or plant(1)
        self.number = bench.job(self.attempt)
        bench.module.job_completed(self.number)
        bench.drawn(self.number)
        audit = bench.audit(self.number)
        bench.module.audits[self.number] = replace(audit, draws=(0,))
        lie = bench.answers(self.number, self.attempt.trace)
        self.voters = bench.seats(self.number)[:passed_by]
        bench.hear(self.number, dict.fromkeys(self.voters, lie))

    def tell(self, number: int = 0, job: int | None = None, **changes: Any) -> tuple[Any, ...]:
        """The arguments that tell a canary."""
        told = {"era": self.era, "plan": self.plans[number], "job": job}
        told |= {"branch": branch_of(self.leaves, number), **changes}
        return ("tell_canary", told["era"], told["plan"], told["branch"], told["job"])

    def fund(self, amount: int) -> None:
        """Give the insurance fund money that it may spend."""
        balances = self.bench.runtime.balances
        balances.mint(MintCause.GENESIS, OTHERS[0], amount)
        balances.move(MoveCause.PREMIUM, OTHERS[0], INSURANCE, amount, keep_alive=False)
        self.bench.runtime.insurance.premiums += 0


def test_a_vote_names_a_manager_who_then_puts_a_bond_down() -> None:
    bench = Bench()
    bench.refused(NotManager, MANAGER, "bond_manager")
    assert bench.vote("name_manager", MANAGER, STRUCK) is NotManager
    assert bench.vote("name_manager", MANAGER, NAMED) is None
    assert bench.vote("name_manager", MANAGER, NAMED) is AlreadyManager
    bench.refused(NotManager, MANAGER, "commit_canaries", bytes(32), 1)
    bench.refused(NotManager, MANAGER, "resign_manager")
    bench.done(MANAGER, "bond_manager")
    assert bench.has_event(ManagerBonded(MANAGER, 10_000 * GRIST))
    assert bench.held(MANAGER) == 10_000 * GRIST
    bench.refused(AlreadyManager, MANAGER, "bond_manager")
    bench.next()
    bench.done(MANAGER, "resign_manager")
    assert bench.has_event(ManagerLeft(MANAGER, 10_000 * GRIST, is_lost=False))
    assert bench.held(MANAGER) == 0
    bench.next()


def test_only_a_vote_names_a_manager() -> None:
    bench = Bench()
    data = bench.chain.call("Verification", "name_manager", MANAGER, NAMED)
    call = bench.chain.executive.decode_call(data)
    assert bench.chain.executive.run_call(call, MANAGER) == BadOrigin.encoded


def test_who_is_named_no_more_plants_nothing_and_gets_its_bond_back() -> None:
    bench = managed()
    assert bench.vote("name_manager", MANAGER, STRUCK) is None
    assert bench.module.managers[MANAGER] == Manager(10_000 * GRIST, 0, is_named=False)
    bench.refused(NotManager, MANAGER, "commit_canaries", bytes(32), 1)
    bench.done(MANAGER, "resign_manager")
    assert MANAGER not in bench.module.managers
    assert bench.vote("name_manager", OTHERS[0], NAMED) is None
    assert bench.vote("name_manager", OTHERS[0], STRUCK) is None
    assert OTHERS[0] not in bench.module.managers


def test_canaries_of_an_era_are_committed_to_once() -> None:
    bench = managed()
    root = b"r" * 32
    for count in (0, 257):
        bench.refused(BadCanaryCount, MANAGER, "commit_canaries", root, count)
    bench.done(MANAGER, "commit_canaries", root, 256)
    due = bench.runtime.parameters.era_start(4)
    assert bench.has_event(CanariesCommitted(MANAGER, 0, root, 256, due))
    bench.refused(AlreadyCommitted, MANAGER, "commit_canaries", root, 1)
    bench.refused(BatchesOpen, MANAGER, "resign_manager")
    bench.next_era()
    bench.done(MANAGER, "commit_canaries", root, 1)
    assert bench.module.managers[MANAGER].open_batches == 2
    bench.next()


def test_canaries_that_are_not_told_in_time_cost_the_bond() -> None:
    bench = managed()
    CANARY_ERAS.begin(bench.runtime.ctx, 1)
    bench.done(MANAGER, "commit_canaries", b"r" * 32, 1)
    bench.next_era()
    bench.done(MANAGER, "commit_canaries", b"r" * 32, 1)
    bench.until(bench.runtime.parameters.era_start(2) - 1)
    assert bench.held(MANAGER) == 10_000 * GRIST
    bench.next()
    assert bench.did(ManagerLeft(MANAGER, 10_000 * GRIST, is_lost=True))
    assert bench.held(MANAGER) == 0
    assert bench.chain.free(INSURANCE) == 10_000 * GRIST
    bench.next_era()
    assert list(bench.module.batches.items()) == []
    bench.next()


def test_all_canaries_that_are_told_in_time_cost_nothing_and_are_reported() -> None:
    canary = Planted()
    bench = canary.bench
    bench.done(MANAGER, *canary.tell(0, canary.number))
    assert bench.has_event(CanaryTold(MANAGER, canary.era, 0, canary.number))
    bench.done(MANAGER, *canary.tell(1))
    assert bench.has_event(CanaryTold(MANAGER, canary.era, 1, None))
    report = CanariesReported(MANAGER, canary.era, 1, 1, 10**9, is_enough=True)
    assert bench.has_event(report)
    assert list(bench.module.batches.items()) == []
    bench.next()
    assert bench.held(MANAGER) == 10_000 * GRIST
    bench.done(MANAGER, "resign_manager")


def test_too_few_canaries_are_reported_as_that() -> None:
    canary = Planted()
    bench = canary.bench
    bench.module.audit_count = 51
    bench.done(MANAGER, *canary.tell(0, canary.number))
    bench.done(MANAGER, *canary.tell(1))
    share = 10**9 // 51
    assert bench.module.canary_share() == share
    assert bench.has_event(CanariesReported(MANAGER, canary.era, 51, 1, share, is_enough=False))


def test_a_canary_is_told_once() -> None:
    canary = Planted()
    canary.bench.done(MANAGER, *canary.tell(1))
    canary.bench.refused(WrongCanary, MANAGER, *canary.tell(1))
    assert (MANAGER, canary.era) in canary.bench.module.batches


def test_only_what_was_committed_to_before_it_was_submitted_is_a_canary() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    for wrong in (
        canary.tell(0, number, branch=branch_of(canary.leaves, 1)),
        canary.tell(0, number, plan=replace(canary.plans[0], salt=b"x" * 32)),
        canary.tell(0, number, branch=replace(branch_of(canary.leaves, 0), count=3)),
        canary.tell(0, 99),
    ):
        bench.refused(WrongCanary, MANAGER, *wrong)
    bench.refused(NotManager, OTHERS[0], *canary.tell(0, number))
    bench.refused(NotManager, MANAGER, *canary.tell(0, number, era=7))
    job, spec = bench.jobs.jobs[number], bench.jobs.specs[number]
    bench.jobs.jobs[number] = replace(job, opened=bench.module.batches[MANAGER, 0].committed)
    bench.refused(WrongCanary, MANAGER, *canary.tell(0, number))
    bench.jobs.jobs[number] = replace(job, requester=OTHERS[0])
    bench.refused(WrongCanary, MANAGER, *canary.tell(0, number))
    bench.jobs.jobs[number], bench.jobs.specs[number] = job, replace(spec, units=101)
    bench.refused(WrongCanary, MANAGER, *canary.tell(0, number))
    bench.jobs.specs[number] = spec
    bench.done(MANAGER, *canary.tell(0, number))
    bench.refused(WrongCanary, MANAGER, *canary.tell(0, number))
    bench.refused(WrongCanary, MANAGER, *canary.tell(1, number))


def test_who_passes_a_canary_loses_a_tenth_and_nobody_is_paid_for_it() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    assert bench.jobs.vindicated == [number]
    canary.fund(1_000_000 * GRIST)
    bench.done(MANAGER, *canary.tell(0, number))
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 1))
    for who in canary.voters:
        assert bench.module.verifiers[who].bond == BOND - BOND // 10
        assert bench.has_event(VerifierSlashed(who, number, BOND // 10, SlashCause.CANARY))
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]
    refund = 750 * GRIST // 2
    assert bench.has_event(CanaryProven(number, 1, canary.voters, refund))
    claim = bench.runtime.insurance.claims[0]
    assert (claim.beneficiary, claim.amount) == (MANAGER, refund)
    proof = step_proof(canary.attempt, 1)
    bench.refused(WrongCanary, MANAGER, "prove_canary", number, 0, proof)
    bench.next()


def test_who_found_the_planted_step_loses_nothing() -> None:
    canary = Planted(passed_by=0)
    bench, number = canary.bench, canary.number
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]
    canary.fund(1_000_000 * GRIST)
    bench.done(MANAGER, *canary.tell(0, number))
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 1))
    assert [bench.held(who) for who in SET[:3]] == [BOND] * 3
    assert len(bench.jobs.convicted) == 1
    assert bench.has_event(CanaryProven(number, 1, (), 750 * GRIST // 2))


def test_of_a_split_panel_only_those_pay_who_passed_it() -> None:
    canary = Planted(passed_by=1, attempt=plant(0))
    bench, number = canary.bench, canary.number
    bench.drawn(number)
    audit = bench.audit(number)
    panel = tuple(Seat(who, (), ()) for who in SET[:3])
    bench.module.audits[number] = replace(audit, draws=(0,), seats=panel, round=2)
    lie = bench.answers(number, canary.attempt.trace)
    bench.hear(number, {SET[0]: lie})
    assert (bench.jobs.convicted, bench.jobs.vindicated) == ([], [])
    bench.done(MANAGER, *canary.tell(0, number))
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 0))
    assert [bench.held(who) for who in SET[:3]] == [BOND - BOND // 10, BOND, BOND]


def test_a_manager_is_not_believed_but_shows_the_step() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    right = step_proof(canary.attempt, 1)
    bench.refused(WrongCanary, MANAGER, "prove_canary", number, 0, right)
    bench.done(MANAGER, *canary.tell(0, number))
    bench.refused(WrongCanary, OTHERS[0], "prove_canary", number, 0, right)
    bench.refused(NothingProven, MANAGER, "prove_canary", number, 5, right)
    true_states = honest().run_of(0).states
    for wrong in (
        step_proof(canary.attempt, 0),
        replace(right, before=bytes(32)),
        replace(right, offset=0),
        replace(right, after=true_states[1], after_branch=branch_of(true_states, 1)),
        replace(right, before_branch=NOWHERE),
        replace(right, witness=canary.attempt.trace.witness(3)),
        replace(right, witness=replace(right.witness, leaves=right.witness.leaves[:1])),
    ):
        bench.refused(NothingProven, MANAGER, "prove_canary", number, 0, wrong)
    assert [bench.held(who) for who in SET[:3]] == [BOND] * 3


def test_an_honest_job_is_no_canary_however_it_was_announced() -> None:
    canary = Planted(passed_by=0, attempt=Attempt.of(honest()))
    bench, number = canary.bench, canary.number
    assert bench.jobs.vindicated == [number]
    bench.done(MANAGER, *canary.tell(0, number))
    for step in (0, 1):
        proof = step_proof(canary.attempt, step)
        for shown in (proof, replace(proof, after=bytes(32))):
            bench.refused(NothingProven, MANAGER, "prove_canary", number, 0, shown)


def test_a_step_that_does_not_begin_where_its_checkpoint_does_is_wrong_too() -> None:
    """The first step has no leaf before it: it begins at the start that verifiers agreed with."""
    canary = Planted(attempt=plant(0))
    bench, number = canary.bench, canary.number
    bench.done(MANAGER, *canary.tell(0, number))
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 0))
    assert bench.jobs.convicted


def test_a_canary_of_a_program_that_the_chain_cannot_run_proves_nothing() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    bench.done(MANAGER, *canary.tell(0, number))
    bench.jobs.specs[number] = replace(bench.jobs.specs[number], program=bytes(32))
    proof = step_proof(canary.attempt, 1)
    bench.refused(NothingProven, MANAGER, "prove_canary", number, 0, proof)


@pytest.mark.parametrize("is_settled", [True, False])
def test_what_was_settled_cost_nothing_and_is_not_refunded(*, is_settled: bool) -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    canary.fund(1_000_000 * GRIST)
    bench.done(MANAGER, *canary.tell(0, number))
    if is_settled:
        bench.jobs.end(number, JobState.SETTLED)
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 1))
    assert bool(bench.jobs.convicted) is not is_settled
    assert bench.runtime.insurance.claim_count == (0 if is_settled else 1)


def test_canaries_cost_insurance_a_thousandth_of_it_an_era() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    canary.fund(10_000 * GRIST)
    bench.done(MANAGER, *canary.tell(0, number))
    bench.done(MANAGER, "prove_canary", number, 0, step_proof(canary.attempt, 1))
    budget = bench.chain.free(INSURANCE)
    claimed = bench.runtime.insurance.claims[0].amount
    assert 10 * GRIST <= claimed <= budget // 1_000
    assert bench.module.budget_spent == claimed
    assert bench.module._refund_canary(MANAGER, number, 10**18) <= budget // 1_000 - 10 * GRIST
    bench.next_era()
    assert bench.module._refund_canary(MANAGER, number, 1) == 1


def test_what_the_chain_finds_wrong_costs_those_who_passed_it_half_as_much_once() -> None:
    canary = Planted()
    bench, number = canary.bench, canary.number
    bench.module.note_overturned(number, 7)
    bench.module.note_overturned(99, 0)
    assert [bench.held(who) for who in SET[:3]] == [BOND] * 3
    bench.module.note_overturned(number, 0)
    assert [bench.held(who) for who in SET[:3]] == [BOND - BOND // 20] * 3
    bench.module.note_overturned(number, 0)
    assert [bench.held(who) for who in SET[:3]] == [BOND - BOND // 20] * 3
    assert bench.module.ballots[number].provider == PROVIDER
