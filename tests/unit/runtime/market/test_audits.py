"""Audits: what is drawn when, what fits what was committed, and what every panel leads to."""

from dataclasses import replace
from typing import Any

import pytest

from chain.market.training import Fraud, FraudKind
from ext import hashing, signing
from runtime.deadlines import WheelFull
from runtime.market import terms
from runtime.market.nouns import Fault, JobState, Reason
from runtime.market.nouns import Verification as Mode
from runtime.market.verification.audits import draw_checkpoints
from runtime.market.verification.nouns import (
    AlreadyAnswered,
    AuditEnded,
    AuditRedrawn,
    CommitmentDoesNotFit,
    NoAudit,
    NothingDue,
    NotSeated,
    Outcome,
    WrongCount,
    WrongPhase,
)
from runtime.market.verification.records import (
    AuditAnswer,
    AuditPhase,
    Ballot,
    Pass,
    SaltedAnswer,
)
from tests.support.verification import (
    GRIST,
    OTHERS,
    PROVIDER,
    SET,
    WAIT,
    Attempt,
    Bench,
    FakeBond,
    cheated,
    salt_of,
)

WRONG = AuditAnswer(b"w" * 32, b"w" * 32)
BOND = 5_000 * GRIST
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)
VENDOR_SEED = b"v" * 32
VENDOR = signing.public_key(VENDOR_SEED)


# What is drawn


def test_what_an_epoch_commits_is_drawn_by_the_beacon_two_epochs_later() -> None:
    bench = Bench(3)
    bench.until(15)
    number = bench.job()
    bench.module.job_completed(number)
    audit = bench.audit(number)
    assert (audit.phase, audit.epoch, audit.due) == (AuditPhase.WAITING, 0, 41)
    assert bench.jobs.jobs[number].cases == 1
    bench.until(40)
    assert bench.audit(number) == audit
    bench.next()
    drawn = bench.audit(number)
    seed = b"gm-audit" + bench.runtime.beacon.randomness + number.to_bytes(4, "little") + b"\0"
    expected = draw_checkpoints(hashing.blake2b_256(seed), 1, 0, 32, ())
    assert (drawn.phase, drawn.draws, drawn.due) == (AuditPhase.COMMITTING, expected, 41 + WAIT)
    assert [bench.module.verifiers[who].seats for who in bench.seats(number)] == [1, 1, 1]


def test_the_draws_of_an_epoch_are_spread_over_its_blocks() -> None:
    bench = Bench(3)
    numbers = [bench.job() for _ in range(25)]
    for number in numbers:
        bench.module.job_completed(number)
    dues = [bench.audit(number).due for number in numbers]
    assert dues == [41 + n % 20 for n in range(25)]


@pytest.mark.parametrize(("price", "seats"), [(999, 3), (1_000, 5), (20_000, 7)])
def test_more_verifiers_sit_over_dearer_jobs(price: int, seats: int) -> None:
    bench = Bench(12)
    number = bench.audited(price=price * GRIST)
    assert len(bench.seats(number)) == seats == terms.audit_seats(price * GRIST)


def test_without_a_loss_of_its_own_two_checkpoints_of_a_provider_are_drawn() -> None:
    bench = Bench(3)
    number = bench.job()
    bench.providers.bonds[number] = FakeBond(0)
    bench.module.job_completed(number)
    bench.drawn(number)
    assert len(set(bench.audit(number).draws)) == 2
    bench.hear(number)
    assert bench.jobs.vindicated == [number]


def test_checkpoints_are_drawn_from_those_of_the_attempt_and_none_twice() -> None:
    for n in range(200):
        seed = hashing.blake2b_256(bytes((n,)))
        drawn = draw_checkpoints(seed, 4, 20, 12, ())
        assert len(set(drawn)) == 4
        assert all(20 <= number < 32 for number in drawn)
    fresh = draw_checkpoints(b"s" * 32, 2, 28, 4, (28, 31))
    assert sorted(fresh) == [29, 30]
    assert len(set(draw_checkpoints(b"s" * 32, 2, 28, 3, (28, 29)))) == 2


def test_every_checkpoint_is_drawn_about_as_often() -> None:
    counts = [0] * 32
    for n in range(3_200):
        seed = hashing.blake2b_256(n.to_bytes(2, "little"))
        counts[draw_checkpoints(seed, 1, 0, 32, ())[0]] += 1
    assert min(counts) > 60
    assert max(counts) < 145


def test_parties_of_the_job_do_not_sit_in_its_panel() -> None:
    bench = Bench(6)
    number = bench.job(provider=SET[0], price=20_000 * GRIST)
    bench.jobs.jobs[number] = replace(bench.jobs.jobs[number], requester=SET[1], payer=SET[2])
    bench.module.job_completed(number)
    bench.drawn(number)
    assert sorted(bench.seats(number)) == list(SET[3:6])


def test_who_joins_when_the_beacon_can_be_known_is_not_drawn() -> None:
    bench = Bench(3)
    number = bench.job()
    bench.module.job_completed(number)
    bench.until(21)
    bench.done(SET[3], "join", BOND)
    bench.drawn(number)
    assert sorted(bench.seats(number)) == list(SET[:3])


def test_with_fewer_than_three_verifiers_the_requester_accepts() -> None:
    bench = Bench(2)
    number = bench.job()
    bench.module.job_completed(number)
    bench.until(bench.audit(number).due)
    assert bench.did(AuditEnded(number, Outcome.TOO_FEW, 1, 0))
    assert bench.jobs.jobs[number].cases == 0
    assert bench.jobs.windows[number] == bench.height - 1 + 60
    assert bench.jobs.left == [number]
    assert (bench.jobs.vindicated, bench.jobs.convicted) == ([], [])
    assert bench.module.audit_count == 0


def test_all_are_seated_when_they_are_fewer_than_the_seats() -> None:
    bench = Bench(4)
    number = bench.audited(price=30_000 * GRIST)
    assert sorted(bench.seats(number)) == list(SET[:4])


def test_a_job_that_its_requester_judges_is_not_audited() -> None:
    bench = Bench(3)
    number = bench.job(verification=Mode.ACCEPTANCE)
    bench.module.job_completed(number)
    assert number not in bench.module.audits
    assert bench.jobs.jobs[number].cases == 0


# Verdicts


def test_an_honest_job_passes_and_its_verifiers_are_paid_alike() -> None:
    bench = Bench(5)
    number = bench.audited()
    seats, fee = bench.seats(number), bench.jobs.jobs[number].audit_fee
    bench.hear(number)
    assert bench.jobs.vindicated == [number]
    assert (bench.jobs.convicted, bench.jobs.left) == ([], [])
    assert bench.jobs.paid == {(number, who): fee // 3 for who in seats}
    assert bench.jobs.jobs[number].cases == 0
    assert number not in bench.module.audits
    assert all(verifier.seats == 0 for verifier in bench.module.verifiers.values())
    assert all(verifier.bond == BOND for verifier in bench.module.verifiers.values())
    bench.next()


def test_a_provider_that_skipped_the_work_is_convicted_and_who_found_it_paid() -> None:
    bench = Bench(3)
    number = bench.audited(Attempt.of(cheated(SKIPPED)))
    bench.hear(number)
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]
    assert bench.jobs.vindicated == []
    fee = bench.jobs.jobs[number].audit_fee
    assert bench.jobs.paid == {(number, who): fee // 3 for who in SET[:3]}
    bench.next()


def test_a_seam_between_two_checkpoints_is_somebodys() -> None:
    """All step trees are honest runs from somewhere, but one does not begin where the last ended.

    Verifiers who are shown that other beginning say so, and the provider cannot open it.
    """
    bench = Bench(3)
    number = bench.job()
    honest_attempt = bench.attempts[number]
    bench.module.job_completed(number)
    bench.drawn(number)
    drawn = bench.audit(number).draws[0]
    assert drawn > 0
    answer = AuditAnswer(b"elsewhere".ljust(32), honest_attempt.openings[drawn].trace_root)
    bench.hear(number, dict.fromkeys(bench.seats(number), (answer,)))
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]


def test_a_silent_provider_is_convicted_whatever_the_panel_says() -> None:
    for said in (None, (WRONG,), ()):
        bench = Bench(3)
        number = bench.audited()
        first, second, third = bench.seats(number)
        others = {first: said, second: None} if said != () else {}
        bench.hear(number, others, is_open=False)
        assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]
        assert bench.jobs.vindicated == []
        assert (number, third) in bench.jobs.paid or said != ()


def test_nobody_is_charged_who_answered_when_the_provider_did_not() -> None:
    bench = Bench(3)
    number = bench.audited()
    bench.hear(number, is_open=False)
    assert [bench.held(who) for who in SET[:3]] == [BOND] * 3


def test_a_silent_verifier_pays_and_is_out_for_seven_eras() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    silent = bench.seats(number)[2]
    bench.hear(number, {silent: None})
    assert bench.jobs.vindicated == [number]
    verifier = bench.module.verifiers[silent]
    era = bench.runtime.parameters.era()
    assert (verifier.bond, verifier.out_until) == (BOND - BOND // 200, era + 1 + 7)
    assert (number, silent) not in bench.jobs.paid
    bench.done(silent, "join", GRIST * 1_000)
    assert silent not in bench.module.eligible((), before=99)
    grown = bench.module.verifiers[silent]
    bench.module.verifiers[silent] = replace(grown, out_until=era + 1)
    assert silent not in bench.module.eligible((), before=99)
    bench.next_era()
    assert silent in bench.module.eligible((), before=99)


def test_who_commits_and_does_not_reveal_was_silent() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    seats = bench.seats(number)
    for who in seats:
        bench.commit(number, who)
    bench.disclose(number)
    for who in seats[1:]:
        bench.reveal(number, who)
    bench.until(bench.audit(number).due)
    assert bench.held(seats[0]) == BOND - BOND // 200
    assert bench.jobs.vindicated == [number]


def test_seats_that_are_silent_count_against_a_verdict() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    bench.hear(number, dict.fromkeys(bench.seats(number)[:2]))
    assert (bench.jobs.vindicated, bench.jobs.convicted) == ([], [])
    assert bench.audit(number).round == 1


def test_the_minority_loses_its_fee_only() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    odd = bench.seats(number)[4]
    bench.hear(number, {odd: (WRONG,)})
    assert bench.jobs.vindicated == [number]
    assert (number, odd) not in bench.jobs.paid
    assert len(bench.jobs.paid) == 4
    assert bench.module.verifiers[odd].bond == BOND
    assert bench.module.verifiers[odd].out_until == 0


@pytest.mark.parametrize("seats", [3, 5, 7])
def test_more_than_two_thirds_decide_and_fewer_only_force_another_draw(seats: int) -> None:
    """A bought part of the panel swears to what the cheat committed; the others tell the truth."""
    prices = {3: 500, 5: 1_000, 7: 20_000}
    for bought in range(seats + 1):
        bench = Bench(seats)
        number = bench.audited(Attempt.of(cheated(SKIPPED)), price=prices[seats] * GRIST)
        lie = bench.answers(number, cheated(SKIPPED))
        bench.hear(number, dict.fromkeys(bench.seats(number)[:bought], lie))
        is_redrawn = number in bench.module.audits
        assert bool(bench.jobs.vindicated) == (3 * bought > 2 * seats)
        assert bool(bench.jobs.convicted) == (3 * (seats - bought) > 2 * seats)
        assert is_redrawn == (not bench.jobs.vindicated and not bench.jobs.convicted)
        if is_redrawn:
            assert bench.jobs.paid == {}


def test_without_a_verdict_a_larger_panel_sits_over_another_checkpoint_twice_at_most() -> None:
    bench = Bench(12)
    number = bench.audited()
    drawn: list[int] = []
    for round_, size in enumerate((3, 5, 7)):
        audit = bench.audit(number)
        assert (audit.round, len(audit.seats)) == (round_, size)
        assert audit.drawn == tuple(drawn)
        assert not set(audit.draws) & set(drawn)
        drawn += audit.draws
        seats = bench.seats(number)
        split = dict.fromkeys(seats[: size // 2], (WRONG,))
        epoch = bench.epoch
        bench.hear(number, split)
        if round_ < 2:
            again = bench.audit(number)
            assert (again.phase, again.seats, again.opened) == (AuditPhase.WAITING, (), ())
            assert again.epoch == bench.epoch >= epoch
            assert bench.has_event(AuditRedrawn(number, round_ + 1, again.epoch + 2))
            bench.drawn(number)
    assert bench.has_event(AuditEnded(number, Outcome.NO_VERDICT, 3, 0))
    assert (bench.jobs.vindicated, bench.jobs.convicted, bench.jobs.paid) == ([], [], {})
    assert bench.jobs.jobs[number].audit_left == bench.jobs.jobs[number].audit_fee
    assert bench.jobs.jobs[number].cases == 0
    assert bench.jobs.windows[number] == bench.height + 60
    assert bench.jobs.left == [number]
    assert [bench.held(who) for who in SET[:12]] == [BOND] * 12
    assert bench.module.audit_count == 1
    bench.next()


def test_a_larger_panel_does_not_cost_more_than_the_fee() -> None:
    bench = Bench(12)
    number = bench.audited()
    bench.hear(number, {bench.seats(number)[0]: (WRONG,)})
    bench.drawn(number)
    seats, fee = bench.seats(number), bench.jobs.jobs[number].audit_fee
    bench.hear(number)
    assert bench.jobs.paid == {(number, who): fee // 5 for who in seats}


def test_who_is_right_about_one_of_two_checkpoints_is_paid_for_one() -> None:
    bench = Bench(5)
    number = bench.job(price=1_000 * GRIST)
    bench.providers.bonds[number] = FakeBond(0)
    bench.module.job_completed(number)
    bench.drawn(number)
    half, fee = bench.seats(number)[0], bench.jobs.jobs[number].audit_fee
    bench.hear(number, {half: (bench.answers(number)[0], WRONG)})
    assert bench.jobs.paid[number, half] == fee // 10
    assert sum(bench.jobs.paid.values()) == 9 * (fee // 10)


def test_a_verdict_that_nothing_was_to_be_had_convicts() -> None:
    bench = Bench(3)
    number = bench.audited()
    nothing = (AuditAnswer(bytes(32), bytes(32)),)
    bench.hear(number, dict.fromkeys(bench.seats(number), nothing))
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]


# Commitments


def test_verifiers_answer_in_their_time_and_once() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    first, second, *_ = bench.seats(number)
    commits, answers = bench.commits(number, first), bench.salted(number, first)
    bench.refused(NoAudit, first, "commit", 99, commits)
    bench.refused(NoAudit, first, "reveal", 99, answers)
    bench.refused(NoAudit, PROVIDER, "disclose", 99, ())
    bench.refused(NotSeated, OTHERS[0], "commit", number, commits)
    bench.refused(WrongCount, first, "commit", number, ())
    bench.refused(WrongCount, first, "commit", number, commits * 2)
    bench.refused(WrongPhase, first, "reveal", number, answers)
    bench.refused(WrongPhase, PROVIDER, "disclose", number, bench.disclosures(number))
    bench.commit(number, first)
    bench.refused(AlreadyAnswered, first, "commit", number, commits)
    bench.until(bench.audit(number).due - 1)
    bench.commit(number, second)
    bench.next()
    bench.refused(WrongPhase, bench.seats(number)[2], "commit", number, commits)
    bench.refused(WrongCount, first, "reveal", number, ())
    bench.refused(NotSeated, OTHERS[0], "reveal", number, answers)
    bench.reveal(number, first)
    bench.refused(AlreadyAnswered, first, "reveal", number, answers)
    bench.until(bench.audit(number).due - 1)
    bench.reveal(number, second)


def test_a_late_wheel_gives_nobody_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    for who in bench.seats(number)[:4]:
        bench.commit(number, who)
    monkeypatch.setattr(type(bench.runtime.deadlines), "on_initialize", lambda _: 0)
    due = bench.audit(number).due
    bench.until(due + 2)
    assert bench.audit(number).phase is AuditPhase.COMMITTING
    last = bench.seats(number)[4]
    bench.refused(WrongPhase, last, "commit", number, bench.commits(number, last))
    bench.disclose(number)
    assert bench.audit(number).due == due + WAIT
    bench.until(due + WAIT)
    first = bench.seats(number)[0]
    bench.refused(WrongPhase, first, "reveal", number, bench.salted(number, first))
    bench.done(OTHERS[0], "advance", number)
    assert number not in bench.module.audits or bench.audit(number).round == 1


def test_a_copied_commitment_opens_for_nobody_else() -> None:
    bench = Bench(3)
    number = bench.audited()
    lazy, diligent, third = bench.seats(number)
    commits = bench.commits(number, diligent)
    for who in (diligent, lazy):
        bench.done(who, "commit", number, commits)
    bench.commit(number, third)
    bench.disclose(number)
    bench.reveal(number, diligent)
    copied = bench.salted(number, diligent)
    bench.refused(CommitmentDoesNotFit, lazy, "reveal", number, copied)
    bench.refused(CommitmentDoesNotFit, lazy, "reveal", number, bench.salted(number, lazy))
    bench.reveal(number, third)
    bench.until(bench.audit(number).due)
    assert bench.held(lazy) == BOND - BOND // 200


def test_a_commitment_of_another_job_opens_nothing_here() -> None:
    bench = Bench(3)
    one, other = bench.job(), bench.job()
    for number in (one, other):
        bench.module.job_completed(number)
    bench.drawn(other)
    who = bench.seats(one)[0]
    elsewhere = bench.commits(other, who)
    bench.done(who, "commit", one, elsewhere)
    for seat in bench.seats(one)[1:]:
        bench.commit(one, seat)
    for answers in (bench.salted(one, who), bench.salted(other, who)):
        bench.refused(CommitmentDoesNotFit, who, "reveal", one, answers)


def test_an_answer_is_revealed_with_its_salt_and_unchanged() -> None:
    bench = Bench(3)
    number = bench.audited()
    for who in bench.seats(number):
        bench.commit(number, who)
    who = bench.seats(number)[0]
    (said,) = bench.salted(number, who)
    zero = bytes(32)
    for changed in (
        replace(said, salt=zero),
        replace(said, start=zero),
        replace(said, trace_root=zero),
    ):
        bench.refused(CommitmentDoesNotFit, who, "reveal", number, (changed,))


def test_answers_cost_verifiers_no_fee() -> None:
    bench = Bench(3)
    number = bench.audited()
    who = bench.seats(number)[0]
    free = bench.chain.free(who)
    data = bench.chain.call("Verification", "commit", number, bench.commits(number, who))
    assert bench.chain.apply(data, who)
    assert bench.chain.free(who) == free


# Ends of other kinds


def test_an_attempt_that_is_over_takes_its_audit_with_it() -> None:
    bench = Bench(3)
    number = bench.audited()
    bench.jobs.end(number, JobState.FAILED)
    assert bench.has_event(AuditEnded(number, Outcome.DROPPED, 0, 0))
    assert number not in bench.module.audits
    assert all(verifier.seats == 0 for verifier in bench.module.verifiers.values())
    bench.next(50)
    assert [bench.held(who) for who in SET[:3]] == [BOND] * 3


def test_a_second_attempt_is_not_moved_by_the_wheel_of_the_first() -> None:
    bench = Bench(3)
    number = bench.audited()
    bench.jobs.end(number, JobState.OPEN)
    bench.next(5)
    bench.jobs.jobs[number] = replace(bench.jobs.jobs[number], state=JobState.WINDOW)
    bench.module.job_completed(number)
    audit = bench.audit(number)
    bench.until(audit.due - 1)
    assert bench.audit(number) == audit


def test_a_full_wheel_stops_no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(3)

    def refuse(*_: Any, **__: Any) -> None:
        raise WheelFull

    monkeypatch.setattr(bench.runtime.deadlines, "schedule", refuse)
    number = bench.job()
    bench.module.job_completed(number)
    bench.refused(NothingDue, OTHERS[0], "advance", number)
    bench.until(bench.audit(number).due)
    bench.done(OTHERS[0], "advance", number)
    bench.refused(NothingDue, OTHERS[0], "advance", number)
    bench.until(bench.audit(number).due)
    bench.done(OTHERS[0], "advance", number)
    bench.until(bench.audit(number).due)
    bench.done(OTHERS[0], "advance", number)
    assert bench.jobs.convicted == [(number, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT)]


def test_a_block_draws_and_hears_no_more_panels_than_it_has_room_for() -> None:
    bench = Bench(3)
    numbers = [bench.job() for _ in range(40)]
    for number in numbers:
        bench.module.job_completed(number)
        audit = replace(bench.audit(number), due=41)
        bench.module.audits[number] = bench.module._wake_audit(number, audit)
    drawn = []
    for height in (41, 42, 43, 44):
        bench.until(height)
        drawn.append(sum(bool(audit.seats) for audit in bench.module.audits.values()))
    assert drawn == [10, 20, 30, 40]
    ended = []
    for height in range(41 + 2 * WAIT, 46 + 2 * WAIT):
        bench.until(height)
        ended.append(len(bench.jobs.convicted))
    assert ended == [10, 20, 30, 40, 40]


def test_who_passed_what_is_kept_until_no_canary_can_come_to_light() -> None:
    bench = Bench(5)
    number = bench.audited(price=1_000 * GRIST)
    odd = bench.seats(number)[1]
    (answer,), draws = bench.answers(number), bench.audit(number).draws
    voters = tuple(who for who in bench.seats(number) if who != odd)
    bench.hear(number, {odd: (WRONG,)})
    kept = bench.runtime.parameters.era_start(bench.runtime.parameters.era() + 5)
    assert bench.module.ballots[number] == Ballot(
        kept, PROVIDER, 0, 0, (Pass(draws[0], answer, voters),)
    )
    bench.until(kept - 1)
    assert number in bench.module.ballots
    bench.next()
    assert number not in bench.module.ballots


def test_a_salted_answer_hides_what_it_says() -> None:
    """Two verifiers that say the same commit to different hashes."""
    bench = Bench(3)
    number = bench.audited()
    first, second, _ = bench.seats(number)
    assert bench.commits(number, first) != bench.commits(number, second)
    (said,) = bench.salted(number, first)
    assert said == SaltedAnswer(
        said.start, said.trace_root, salt_of(first, bench.audit(number).draws[0])
    )
