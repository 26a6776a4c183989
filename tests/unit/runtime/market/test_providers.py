"""Providers: registration, terms, tiers, room for jobs, leaving."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.balances import PROTECTED, TREASURY, HoldReason
from runtime.frame.errors import CallError
from runtime.market.providers import refusals, rules
from runtime.market.providers.nouns import ClassCapacity, Slot
from tests.support.providers import (
    CPU,
    GONE,
    GRIST,
    H100,
    OWNER,
    TERMS,
    D,
    E,
    P,
    Q,
    Yard,
    spec_of_job,
)
from tests.support.runtime import stranger


@pytest.fixture
def yard() -> Yard:
    return Yard()


def held(yard: Yard, who: Any, reason: HoldReason) -> int:
    return yard.runtime.balances.held(who, reason)


def raises(yard: Yard, error: type[CallError], act: Any) -> None:
    """What other modules ask is refused with just this error, and nothing changed."""
    before = yard.runtime.ctx.state.root()
    with pytest.raises(error) as caught:
        act()
    assert type(caught.value) is error
    assert yard.runtime.ctx.state.root() == before


def test_registering_costs_a_deposit_that_comes_back_over_half_a_year(yard: Yard) -> None:
    before = yard.free(P)
    yard.register(security=0)
    assert held(yard, P, HoldReason.DEPOSIT) == 100 * GRIST
    assert yard.providers.is_registered(P)
    assert yard.providers.active_count() == 1
    yard.skip(45)
    yard.done(E, "claim_deposit", P)
    assert held(yard, P, HoldReason.DEPOSIT) == 75 * GRIST
    yard.skip(1)
    yard.done(E, "claim_deposit", P)
    assert held(yard, P, HoldReason.DEPOSIT) == 100 * GRIST - 100 * GRIST * 46 // 180
    yard.next()
    yard.skip(500)
    yard.done(E, "claim_deposit", P)
    assert yard.free(P) == before
    yard.next()


def test_nobody_registers_twice_or_acts_unregistered(yard: Yard) -> None:
    yard.register(security=0)
    yard.refused(refusals.AlreadyRegistered, P, "register", TERMS, None)
    for name, *rest in (
        ("update", TERMS),
        ("set_offer", H100, 5),
        ("deposit_security", GRIST),
        ("unbond_security", GRIST),
        ("withdraw_security",),
        ("claim_deposit", Q),
        ("leave",),
        ("stay",),
        ("retire", Q),
    ):
        yard.refused(refusals.NotRegistered, Q, name, *rest)
    yard.refused(refusals.NotRegistered, D, "delegate", Q, 10 * GRIST)


@pytest.mark.parametrize(
    "classes",
    [
        (),
        (ClassCapacity(H100, 0),),
        (ClassCapacity(CPU, 1), ClassCapacity(H100, 1)),
        (ClassCapacity(H100, 1), ClassCapacity(H100, 1)),
        (ClassCapacity(7, 1),),
        (ClassCapacity(GONE, 1),),
    ],
    ids=["none", "no room", "descending", "twice", "unknown", "closed"],
)
def test_classes_are_open_ascending_and_have_room(yard: Yard, classes: Any) -> None:
    yard.refused(refusals.BadClasses, P, "register", replace(TERMS, classes=classes), None)


def test_terms_are_checked(yard: Yard) -> None:
    greedy = replace(TERMS, commission=10**9 + 1)
    yard.refused(refusals.CommissionTooHigh, P, "register", greedy, None)
    for account in PROTECTED:
        yard.refused(refusals.WrongPayout, P, "register", replace(TERMS, payout=account), None)


def test_a_sponsor_pays_the_deposit_and_has_it_back(yard: Yard) -> None:
    yard.refused(refusals.NoSponsorship, P, "register", TERMS, E)
    yard.done(E, "sponsor", P)
    yard.refused(refusals.AlreadySponsored, E, "sponsor", P)
    yard.refused(refusals.NoSponsorship, D, "withdraw_sponsorship", P)
    assert held(yard, E, HoldReason.DEPOSIT) == 100 * GRIST
    yard.next()
    yard.done(P, "register", TERMS, E)
    assert held(yard, P, HoldReason.DEPOSIT) == 0
    yard.refused(refusals.NoSponsorship, E, "withdraw_sponsorship", P)
    yard.skip(180)
    yard.done(P, "claim_deposit", P)
    assert held(yard, E, HoldReason.DEPOSIT) == 0
    yard.next()


def test_an_offer_to_sponsor_that_nobody_used_is_taken_back(yard: Yard) -> None:
    before = yard.free(E)
    yard.done(E, "sponsor", P)
    yard.done(E, "withdraw_sponsorship", P)
    assert yard.free(E) == before
    yard.next()


def test_a_commission_moves_by_a_point_an_era(yard: Yard) -> None:
    yard.register(commission=50_000_000)
    yard.refused(refusals.CommissionStep, P, "update", replace(TERMS, commission=60_000_001))
    yard.done(P, "update", replace(TERMS, commission=60_000_000))
    yard.refused(refusals.CommissionStep, P, "update", replace(TERMS, commission=61_000_000))
    yard.done(P, "update", replace(TERMS, commission=40_000_000))
    yard.skip(1)
    yard.done(P, "update", replace(TERMS, commission=30_000_000))
    yard.next()


def test_marks_change_only_so_often(yard: Yard) -> None:
    yard.register()
    for number in range(2):
        terms = replace(TERMS, payout=stranger(number), endpoint=bytes([number]) * 32)
        yard.done(P, "update", terms)
    third = replace(TERMS, payout=stranger(9))
    yard.refused(refusals.ChangedTooOften, P, "update", third)
    yard.skip(rules.UNBONDING_ERAS.default)
    yard.refused(refusals.ChangedTooOften, P, "update", third)
    yard.skip(1)
    yard.done(P, "update", third)
    yard.next()


def test_an_offer_stands_for_a_class_that_the_provider_has(yard: Yard) -> None:
    yard.register()
    assert yard.providers.offer(P, H100) is None
    yard.done(P, "set_offer", H100, 17)
    assert yard.providers.offer(P, H100) == 17
    assert yard.providers.offer(Q, H100) is None
    yard.refused(refusals.WrongClass, P, "set_offer", GONE, 17)
    yard.done(P, "set_offer", H100, 0)
    assert yard.providers.offer(P, H100) is None
    yard.done(P, "set_offer", H100, 17)
    yard.done(P, "leave")
    assert yard.providers.offer(P, H100) is None


def test_the_first_tier_is_reached_at_once_and_the_second_in_another_era(yard: Yard) -> None:
    yard.register(security=499)
    assert yard.providers.tier(P) == 0
    yard.done(P, "deposit_security", GRIST)
    assert yard.providers.tier(P) == 1
    assert yard.providers.tier(Q) == 0
    yard.done(P, "deposit_security", 5_000 * GRIST)
    yard.providers.ledgers[P] = replace(yard.ledger(), good=10, recent_good=9, recent_jobs=10)
    yard.skip(29)
    assert yard.providers.tier(P) == 1
    yard.skip(1)
    assert yard.providers.tier(P) == 2


def test_a_tier_is_lost_two_points_lower_than_it_is_reached(yard: Yard) -> None:
    yard.register(security=5_000)
    yard.skip(30)

    def with_completion(good: int) -> int:
        yard.providers.ledgers[P] = replace(
            yard.providers._met(P), good=200, recent_good=good, recent_jobs=100
        )
        yard.skip(1)
        return yard.providers.tier(P)

    assert [with_completion(good) for good in (89, 90, 88, 87, 88, 89, 90)] == [
        1, 2, 2, 1, 1, 1, 2,
    ]  # fmt: skip


def test_whoever_lacks_stake_age_or_jobs_falls_without_a_margin(yard: Yard) -> None:
    ladder = yard.providers._ladder()
    top = rules.Step(100_000 * GRIST, 300, 980_000_000, 200)
    assert rules.compute_tier(0, top, ladder) == 4
    assert rules.compute_tier(4, top._replace(completion=960_000_000), ladder) == 4
    assert rules.compute_tier(3, top._replace(completion=960_000_000), ladder) == 3
    assert rules.compute_tier(4, top._replace(completion=959_999_999), ladder) == 3
    assert rules.compute_tier(4, top._replace(bond=100_000 * GRIST - 1), ladder) == 3
    assert rules.compute_tier(4, top._replace(age=299), ladder) == 3
    assert rules.compute_tier(4, top._replace(jobs=49), ladder) == 2
    assert rules.compute_tier(4, top._replace(bond=0), ladder) == 0


def test_what_changes_in_an_era_acts_on_the_tier_of_the_next(yard: Yard) -> None:
    yard.register(security=1_000)
    shares = yard.back(4_000)
    yard.providers.ledgers[P] = replace(yard.ledger(), good=10, recent_good=10, recent_jobs=10)
    yard.skip(30)
    yard.done(D, "undelegate", P, shares)
    assert yard.providers.security(P) == 1_000 * GRIST
    assert yard.providers.tier(P) == 2
    yard.skip(1)
    assert yard.providers.tier(P) == 1


def test_a_lower_tier_strands_no_running_job(yard: Yard) -> None:
    yard.register(security=1_000)
    yard.take(1, 100 * GRIST)
    yard.done(P, "unbond_security", 600 * GRIST)
    yard.skip(1)
    assert yard.providers.tier(P) == 0
    raises(yard, refusals.TierTooLow, lambda: yard.providers.check_can_take(P, spec_of_job(), 1))
    yard.providers.note_completed(1)
    yard.end(1)
    assert yard.ledger().good == 1
    yard.next()


def test_a_job_is_refused_with_its_reason(yard: Yard) -> None:
    check, plain = yard.providers.check_can_take, spec_of_job()
    raises(yard, refusals.NotRegistered, lambda: check(P, plain, 1))
    yard.register(security=0)
    raises(yard, refusals.TierTooLow, lambda: check(P, plain, 1))
    yard.done(P, "deposit_security", 1_000 * GRIST)
    check(P, plain, 2_000 * GRIST)
    raises(yard, refusals.ValueTooLarge, lambda: check(P, plain, 2_000 * GRIST + 1))
    raises(yard, refusals.TierTooLow, lambda: check(P, spec_of_job(min_tier=2), 1))
    raises(yard, refusals.WrongClass, lambda: check(P, spec_of_job(class_id=GONE), 1))
    yard.done(P, "leave")
    raises(yard, refusals.Leaving, lambda: check(P, plain, 1))
    yard.done(P, "stay")
    check(P, plain, 1)


def test_devices_are_busy_until_the_work_is_done(yard: Yard) -> None:
    yard.register(classes=(ClassCapacity(H100, 2),))
    check = yard.providers.check_can_take
    yard.take(1, GRIST)
    check(P, spec_of_job(), GRIST)
    yard.take(2, GRIST)
    raises(yard, refusals.NoCapacity, lambda: check(P, spec_of_job(), GRIST))
    raises(yard, refusals.JobTaken, lambda: yard.providers.note_taken(P, 2, H100, GRIST))
    yard.next()
    yard.providers.note_completed(1)
    yard.providers.note_completed(1)
    check(P, spec_of_job(), GRIST)
    assert (yard.ledger().taken, yard.ledger().running) == (2, 1)
    yard.next()
    yard.end(1)
    yard.end(2)
    assert yard.providers.slots[P, H100] == Slot(2, 0, 0)
    yard.next()


def test_a_class_that_is_given_up_keeps_its_running_jobs(yard: Yard) -> None:
    yard.register()
    yard.done(P, "set_offer", H100, 5)
    yard.take(1, GRIST)
    yard.done(P, "update", replace(TERMS, classes=(ClassCapacity(CPU, 3),)))
    assert yard.providers.offer(P, H100) is None
    raises(yard, refusals.WrongClass, lambda: yard.providers.check_can_take(P, spec_of_job(), 1))
    yard.next()
    yard.end(1)
    assert (P, H100) not in yard.providers.slots
    assert yard.providers.slots[P, CPU] == Slot(3, 0, 0)
    yard.next()


def test_small_jobs_count_only_when_they_fail_and_unbegun_ones_never(yard: Yard) -> None:
    yard.register()
    for job, (value, is_good) in enumerate(
        [(GRIST, True), (GRIST - 1, True), (1, False), (GRIST, None)]
    ):
        yard.take(job, 10 * GRIST)
        yard.providers.release_bond(job)
        yard.providers.note_ended(P, job, H100, value, is_good=is_good)
    ledger = yard.ledger()
    assert (ledger.good, ledger.recent_good, ledger.recent_jobs) == (1, 1, 2)
    yard.next()


def test_what_ended_twice_or_is_another_s_counts_once(yard: Yard) -> None:
    yard.register()
    yard.register(Q)
    yard.take(1, GRIST)
    yard.providers.note_ended(Q, 1, H100, GRIST, is_good=False)
    yard.providers.note_ended(P, 1, CPU, GRIST, is_good=False)
    assert yard.ledger().recent_jobs == 0
    yard.end(1)
    yard.providers.note_ended(P, 1, H100, GRIST, is_good=True)
    assert yard.ledger().good == 1
    yard.next()


def test_old_jobs_are_halved_away(yard: Yard) -> None:
    yard.register()
    yard.providers.ledgers[P] = replace(yard.ledger(), recent_good=390, recent_jobs=399)
    yard.take(1, GRIST)
    yard.end(1)
    assert (yard.ledger().recent_good, yard.ledger().recent_jobs) == (195, 200)
    yard.next()


def test_the_notice_grows_with_the_running_jobs(yard: Yard) -> None:
    yard.register()
    yard.register(Q)
    for job in range(4):
        yard.take(job, GRIST)
    yard.providers.slots[P, H100] = replace(yard.providers.slots[P, H100], running=400)
    yard.providers.ledgers[P] = replace(yard.ledger(), running=40)
    height = yard.runtime.ctx.block.height
    yard.done(P, "leave")
    yard.done(Q, "leave")
    era_blocks = yard.runtime.parameters.era_blocks
    assert yard.providers.profiles[P].leaving == height + 4 * era_blocks
    assert yard.providers.profiles[Q].leaving == height + 1
    yard.done(P, "stay")
    yard.providers.ledgers[P] = replace(yard.ledger(), running=100_000)
    yard.done(P, "leave")
    assert yard.providers.profiles[P].leaving == height + 14 * era_blocks


def test_who_leaves_retires_by_itself_when_the_last_job_has_ended(yard: Yard) -> None:
    yard.register()
    yard.take(1, GRIST)
    yard.refused(refusals.NotLeaving, E, "retire", P)
    yard.refused(refusals.NotLeaving, P, "stay")
    yard.done(P, "leave")
    yard.refused(refusals.Leaving, P, "leave")
    yard.refused(refusals.Leaving, P, "deposit_security", GRIST)
    yard.refused(refusals.NoticeRuns, E, "retire", P)
    assert yard.providers.active_count() == 0
    yard.next_era(2)
    yard.refused(refusals.NoticeRuns, E, "retire", P)
    yard.end(1)
    assert yard.providers.is_registered(P)
    yard.next_era()
    assert not yard.providers.is_registered(P)
    assert held(yard, P, HoldReason.SECURITY) == 1_000 * GRIST
    assert held(yard, P, HoldReason.DEPOSIT) == 0
    yard.next()


def test_nobody_retires_from_under_a_bond(yard: Yard) -> None:
    yard.register()
    yard.providers.lock_bond(P, 1, GRIST)
    yard.done(P, "leave")
    yard.next_era()
    yard.refused(refusals.NoticeRuns, E, "retire", P)
    yard.providers.release_bond(1)
    yard.done(E, "retire", P)
    yard.next()


def test_the_retired_back_no_job_with_what_still_unbonds(yard: Yard) -> None:
    yard.register()
    yard.back(500)
    yard.done(P, "leave")
    yard.next_era()
    assert not yard.providers.is_registered(P)
    with pytest.raises(refusals.NotRegistered):
        yard.providers.lock_bond(P, 1, GRIST)


def test_whoever_is_impatient_may_retire_a_provider_whose_notice_is_over(yard: Yard) -> None:
    yard.register()
    yard.take(1, GRIST)
    yard.done(P, "leave")
    yard.next_era(1)
    yard.end(1)
    yard.done(E, "retire", P)
    assert not yard.providers.is_registered(P)
    yard.next_era()


def test_a_notice_that_was_taken_back_ends_nobody(yard: Yard) -> None:
    yard.register()
    yard.done(P, "leave")
    yard.done(P, "stay")
    yard.next_era()
    assert yard.providers.is_registered(P)
    assert yard.providers.active_count() == 1


def test_a_retired_provider_is_forgotten_with_its_last_stake(yard: Yard) -> None:
    before = yard.free(P)
    yard.register()
    yard.back(500)
    yard.skip(90)
    yard.done(P, "leave")
    yard.next(2)
    assert before - yard.free(P) == 1_050 * GRIST
    yard.refused(refusals.NothingDue, P, "withdraw_security")
    yard.skip(10)
    yard.done(D, "undelegate", P, yard.providers.delegations[P, D].shares)
    yard.skip(18)
    yard.done(P, "withdraw_security")
    yard.refused(refusals.AlreadyRegistered, P, "register", TERMS, None)
    yard.next()
    rest = yard.free(TREASURY)
    yard.done(D, "withdraw_delegated", P)
    assert yard.free(D) == 1_000_000 * GRIST
    assert yard.free(TREASURY) == rest
    assert P not in yard.providers.ledgers
    assert before - yard.free(P) == 50 * GRIST
    yard.register()
    yard.next()


def test_owners_are_shared_by_payout_and_depositor(yard: Yard) -> None:
    share = yard.providers.share_owner
    yard.done(E, "sponsor", Q)
    yard.register(P, payout=OWNER)
    yard.done(Q, "register", replace(TERMS, payout=D), E)
    assert yard.providers.owner(P) == OWNER
    assert yard.providers.owner(E) == E
    assert share(P, P)
    assert share(P, OWNER)
    assert share(E, Q)
    assert share(Q, D)
    assert not share(P, Q)
    assert not share(D, E)
    yard.done(P, "update", replace(TERMS, payout=D))
    assert share(P, Q)
