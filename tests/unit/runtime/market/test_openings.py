"""Openings of audited checkpoints: what fits what a provider posted, and what does not."""

from dataclasses import replace

from chain.market.training import Fraud, FraudKind
from ext import hashing, signing
from runtime.market.nouns import Fault, Opening, Reason
from runtime.market.trees import branch_of
from runtime.market.verification.nouns import (
    AlreadyAnswered,
    NotProvider,
    OpeningDoesNotFit,
    WrongCount,
)
from runtime.market.verification.records import (
    AuditAnswer,
    AuditPhase,
)
from tests.support.verification import (
    GRIST,
    PLAN,
    PROVIDER,
    REQUESTER,
    Attempt,
    Bench,
    honest,
)

WRONG = AuditAnswer(b"w" * 32, b"w" * 32)
BOND = 5_000 * GRIST
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)
VENDOR_SEED = b"v" * 32
VENDOR = signing.public_key(VENDOR_SEED)


def revealing(bench: Bench, attempt: Attempt | None = None) -> int:
    number = bench.audited(attempt)
    for who in bench.seats(number):
        bench.commit(number, who)
    assert bench.audit(number).phase is AuditPhase.REVEALING
    return number


def test_only_the_provider_opens_and_once() -> None:
    bench = Bench(3)
    number = revealing(bench)
    disclosures = bench.disclosures(number)
    bench.refused(NotProvider, REQUESTER, "disclose", number, disclosures)
    bench.refused(WrongCount, PROVIDER, "disclose", number, ())
    bench.disclose(number)
    bench.refused(AlreadyAnswered, PROVIDER, "disclose", number, disclosures)


def test_an_opening_that_does_not_fit_is_refused() -> None:
    bench = Bench(3)
    number = revealing(bench)
    (right,) = bench.disclosures(number)
    drawn, attempt = bench.audit(number).draws[0], bench.attempts[number]
    assert drawn > 0
    opening, branch, before = right.proof.opening, right.proof.branch, right.before
    assert before is not None
    other = attempt.proof(drawn - 1)
    zero = bytes(32)
    spoiled = (
        replace(right, proof=replace(right.proof, opening=replace(opening, checkpoint=zero))),
        replace(right, proof=replace(right.proof, opening=replace(opening, trace_root=zero))),
        replace(right, proof=replace(right.proof, opening=replace(opening, salt=zero))),
        replace(right, proof=replace(right.proof, branch=replace(branch, path=()))),
        replace(right, proof=other),
        replace(right, before=None),
        replace(right, before=right.proof),
        replace(right, before=replace(before, opening=opening)),
        replace(right, tail=replace(right.tail, index=0)),
        replace(right, tail=branch_of(honest().run_of(drawn).states, 0)),
        replace(right, tail=branch_of(honest().run_of(drawn - 1).states, 1)),
    )
    for disclosure in spoiled:
        bench.refused(OpeningDoesNotFit, PROVIDER, "disclose", number, (disclosure,))
    bench.disclose(number)


def test_a_checkpoint_that_is_not_the_end_of_its_steps_opens_nothing() -> None:
    """A provider that commits to another state than its steps end in stays silent for good."""
    bench = Bench(3)
    attempt = Attempt.of(honest())
    attempt.openings = [
        Opening(hashing.blake2b_256(o.checkpoint), o.trace_root, o.salt) for o in attempt.openings
    ]
    number = revealing(bench, attempt)
    bench.refused(OpeningDoesNotFit, PROVIDER, "disclose", number, bench.disclosures(number))
    for who in bench.seats(number):
        bench.reveal(number, who)
    bench.until(bench.audit(number).due)
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]


def test_a_checkpoint_in_the_middle_of_its_steps_is_not_their_end() -> None:
    bench = Bench(3)
    attempt = Attempt.of(honest())
    attempt.openings = [
        replace(opening, checkpoint=run.states[0])
        for opening, run in zip(attempt.openings, honest().runs, strict=True)
    ]
    number = revealing(bench, attempt)
    (said,) = bench.disclosures(number)
    states = honest().run_of(bench.audit(number).draws[0]).states
    middle = replace(said, tail=branch_of(states, 0))
    bench.refused(OpeningDoesNotFit, PROVIDER, "disclose", number, (middle,))


def test_the_last_checkpoint_is_the_final_state_and_the_first_begins_where_the_job_does() -> None:
    bench = Bench(3)
    number = revealing(bench)
    for drawn in (0, PLAN.checkpoints - 1):
        bench.module.audits[number] = replace(bench.audit(number), draws=(drawn,))
        disclosures = bench.disclosures(number)
        result = bench.jobs.results[number]
        if drawn:
            bench.jobs.results[number] = replace(result, final_state=bytes(32))
            bench.refused(OpeningDoesNotFit, PROVIDER, "disclose", number, disclosures)
            bench.jobs.results[number] = result
        bench.disclose(number)
        first = (bench.answers(number)[0].start, bench.attempts[number].openings[drawn].trace_root)
        assert bench.audit(number).opened == (AuditAnswer(*first),)
        bench.module.audits[number] = replace(bench.audit(number), opened=())
    assert bench.answers(number)[0].start != honest().first_state


def test_an_attempt_that_goes_on_elsewhere_is_audited_from_where_it_began() -> None:
    bench = Bench(3)
    number = bench.audited(Attempt.of(honest(), first=30))
    assert bench.audit(number).draws[0] >= 30
    bench.hear(number)
    assert bench.jobs.vindicated == [number]
