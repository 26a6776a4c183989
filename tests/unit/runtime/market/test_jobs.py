"""Jobs: what is asked, taken, begun, done, accepted and paid; every refusal has its name."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.balances import HoldReason
from runtime.deadlines import ITEMS_PER_HEIGHT, LOOKAHEAD_MAX, Lane
from runtime.frame.errors import CallError
from runtime.market.jobs import course
from runtime.market.jobs import nouns as words
from runtime.market.jobs.book import highest_price, units_of
from runtime.market.jobs.numbers import (
    CASE_BLOCKS,
    EMISSION_BASE,
    EMISSION_VERIFIED,
    EXTENSION_ERAS,
    KEEP_ERAS,
    LARGE_PRICE,
    LONG_WINDOW_ERAS,
    OPEN_BLOCKS,
    PRICE_MIN,
    SHORT_WINDOW_ERAS,
    START_BLOCKS,
    WORK_EXPIRY,
)
from runtime.market.nouns import JobState, Reason, Verification
from runtime.market.providers.refusals import TierTooLow
from runtime.market.terms import protocol_fee
from runtime.market.trainer import initial_state, read_params
from runtime.primitives import MONEY_MAX
from tests.support.jobs import (
    ANN,
    BEN,
    CLEO,
    CPU,
    GRIST,
    OTHER,
    REQUESTER,
    Market,
    reference_spec,
    spec_of,
)


@pytest.fixture
def market() -> Market:
    return Market()


def submit(spec: Any, *rest: Any) -> tuple[Any, ...]:
    return ("submit", spec, *(rest or (None, None, None)))


# Asking


def test_all_that_a_job_may_cost_is_held_at_once(market: Market) -> None:
    before = market.free(REQUESTER)
    market.submit(reference_spec())
    job = market.job()
    assert (job.price, job.dataset_fees) == (100 * GRIST, 2 * GRIST)
    assert job.protocol_fee == protocol_fee(102 * GRIST) == 2_040_000_000
    # One drawn checkpoint of 32, three verifiers, a fifth more
    assert job.audit_fee == job.audit_left == 11_250_000_000
    assert job.escrow == market.held(REQUESTER, HoldReason.ESCROW) == 115_290_000_000
    assert before - market.free(REQUESTER) == job.escrow
    market.next()


def test_a_job_by_acceptance_pays_for_no_audit(market: Market) -> None:
    market.submit()
    assert (market.job().audit_fee, market.job().escrow) == (0, 102 * GRIST)


def test_what_the_trainer_begins_with_is_known_and_its_data_are_those_of_the_dataset(
    market: Market,
) -> None:
    spec = reference_spec()
    market.submit(spec)
    assert market.job().first_state == initial_state(read_params(spec.params))
    assert market.jobs.data_root(0) == market.datasets.root(1)
    assert market.jobs.leaf_count(0) == market.datasets.leaf_count(1)


def test_several_datasets_are_one_root_and_all_their_leaves(market: Market) -> None:
    market.submit(spec_of(datasets=(1, 2)))
    market.submit(spec_of(datasets=(1, 3)))
    assert market.jobs.leaf_count(0) == 11 + 12
    assert market.jobs.data_root(0) != market.jobs.data_root(1)
    assert market.job().dataset_fees == 4 * GRIST


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"checkpoints": 31, "steps": 62}, words.BadCheckpoints),
        ({"checkpoints": 1_025, "steps": 1_025}, words.BadCheckpoints),
        ({"steps": 65}, words.BadSteps),
        ({"steps": 0}, words.BadSteps),
        ({"steps": (1 << 20) + 32}, words.BadSteps),
        ({"units": 0}, words.BadUnits),
        ({"max_price": PRICE_MIN - 1}, words.PriceTooLow),
        ({"max_price": MONEY_MAX + 1}, words.PriceTooLow),
        ({"datasets": (2, 1)}, words.WrongDatasets),
        ({"datasets": (1, 1)}, words.WrongDatasets),
        ({"run_blocks": 0}, words.BadRun),
        ({"run_blocks": (1 << 22) + 1}, words.BadRun),
        ({"heartbeat": 4}, words.BadHeartbeat),
        ({"heartbeat": 10_001}, words.BadHeartbeat),
        ({"tolerance": 0}, words.BadHeartbeat),
        ({"tolerance": 21}, words.BadHeartbeat),
        ({"min_tier": 5}, words.BadTier),
        ({"replicas": 3}, words.BadReplicas),
        ({"verification": Verification.REPLICATION, "replicas": 2}, words.BadReplicas),
        ({"verification": Verification.REPLICATION, "replicas": 8}, words.BadReplicas),
        ({"verification": Verification.AUDIT}, words.CannotAudit),
        ({"class_id": 77}, words.ClassClosed),
    ],
)
def test_a_spec_is_refused_by_name(
    market: Market, changes: dict[str, Any], error: type[CallError]
) -> None:
    market.refused(error, REQUESTER, *submit(spec_of(**changes)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"params": b"\x02\x01\x00"}, words.BadParams),
        ({"params": bytes((0, 1, 0, 0))}, words.BadParams),
        ({"params": bytes((33, 1, 0, 0))}, words.BadParams),
        ({"params": bytes((2, 0, 0, 0))}, words.BadParams),
        ({"datasets": ()}, words.WrongDatasets),
        ({"datasets": (1, 2)}, words.WrongDatasets),
    ],
)
def test_a_spec_for_the_trainer_is_refused_by_name(
    market: Market, changes: dict[str, Any], error: type[CallError]
) -> None:
    market.refused(error, REQUESTER, *submit(reference_spec(**changes)))


def test_the_limits_of_a_spec_are_allowed(market: Market) -> None:
    market.submit(spec_of(checkpoints=32, steps=32, max_price=PRICE_MIN, heartbeat=5, tolerance=1))
    widest = {"checkpoints": 1_024, "steps": 1 << 20, "heartbeat": 10_000, "tolerance": 20}
    market.submit(spec_of(run_blocks=1 << 22, min_tier=4, **widest))
    market.next()


def test_only_verified_and_metered_work_of_a_listed_program_may_earn_more_than_the_fee(
    market: Market,
) -> None:
    market.submit(reference_spec())
    market.submit(reference_spec(verification=Verification.ACCEPTANCE))
    market.submit(reference_spec(image=b"i" * 32))
    market.submit(spec_of())
    earned = [market.job(id_).emission for id_ in range(4)]
    assert earned == [EMISSION_VERIFIED, EMISSION_BASE, EMISSION_BASE, EMISSION_BASE]


def test_a_large_job_needs_a_stake_of_its_requester(market: Market) -> None:
    spec = spec_of(max_price=20_000 * GRIST)
    market.refused(words.StakeTooLow, REQUESTER, *submit(spec))
    market.done(REQUESTER, "Staking", "bond", 199 * GRIST, ("Staked", None))
    market.refused(words.StakeTooLow, REQUESTER, *submit(spec))
    market.done(REQUESTER, "Staking", "bond_extra", GRIST)
    market.submit(spec)
    market.submit(spec_of(max_price=10_000 * GRIST), who=OTHER)


def test_a_requester_whose_jobs_often_fail_puts_a_tenth_down_until_the_start(
    market: Market,
) -> None:
    for _ in range(5):
        market.reputation.note_requester(REQUESTER.id, is_failed=True)
    market.matched(spec=spec_of())
    assert market.held(REQUESTER, HoldReason.DEPOSIT) == 10 * GRIST == market.jobs.deposit_total
    market.next()
    market.start()
    assert market.held(REQUESTER, HoldReason.DEPOSIT) == market.jobs.deposit_total == 0
    market.next()


def test_four_failed_jobs_or_one_in_five_ask_for_no_deposit(market: Market) -> None:
    for number in range(25):
        market.reputation.note_requester(REQUESTER.id, is_failed=number < 5)
        market.reputation.note_requester(OTHER.id, is_failed=number < 4)
    market.submit()
    market.submit(who=OTHER)
    assert market.jobs.deposit_total == 0
    market.reputation.note_requester(REQUESTER.id, is_failed=True)
    market.submit()
    assert market.jobs.deposit_total == 10 * GRIST


def test_the_deposit_of_a_job_that_never_starts_is_burned(market: Market) -> None:
    for _ in range(5):
        market.reputation.note_requester(REQUESTER.id, is_failed=True)
    START_BLOCKS.begin(market.runtime.ctx, START_BLOCKS.low)
    market.matched()
    before = market.wealth(REQUESTER)
    market.until(market.job().due)
    market.stands(JobState.CANCELLED, Reason.NOT_STARTED)
    # The deposit, and one per cent of the price to the provider
    assert before - market.wealth(REQUESTER) == 10 * GRIST + GRIST // 2
    market.all_is_released()


def test_replicas_are_jobs_of_their_own_that_know_each_other(market: Market) -> None:
    spec = reference_spec(verification=Verification.REPLICATION, replicas=3)
    market.submit()
    first = market.submit(spec)
    assert [market.jobs.siblings(id_) for id_ in (0, 1, 2, 3)] == [(), *[(1, 2, 3)] * 3]
    escrow = market.job(first).escrow
    assert market.held(REQUESTER, HoldReason.ESCROW) == 102 * GRIST + 3 * escrow
    market.refused(words.OfferForReplicas, REQUESTER, *submit(spec, ANN.id, None, None))
    market.done(ANN, "Providers", "set_offer", CPU, GRIST // 100)
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 100)
    market.done(REQUESTER, "Jobs", "take_offer", 1, ANN.id)
    market.refused(words.SameProvider, REQUESTER, "take_offer", 2, ANN.id)
    market.refused(words.SameProvider, ANN, "commit_bid", 3, b"s" * 32)
    market.done(REQUESTER, "Jobs", "take_offer", 2, BEN.id)


# Taking an offer


def test_a_standing_offer_is_taken_at_once_and_what_it_does_not_cost_goes_back(
    market: Market,
) -> None:
    before = market.free(REQUESTER)
    market.matched(50 * GRIST)
    market.stands(JobState.MATCHED)
    job = market.job()
    assert (job.provider, job.price, job.protocol_fee) == (ANN.id, 50 * GRIST, GRIST)
    assert before - market.free(REQUESTER) == job.escrow == 51 * GRIST
    assert market.held(ANN, HoldReason.WORK_BOND) == 150 * GRIST
    market.next()


def test_an_offer_may_be_taken_later_by_the_requester_only(market: Market) -> None:
    market.submit()
    market.refused(words.NoOffer, REQUESTER, "take_offer", 0, ANN.id)
    market.done(ANN, "Providers", "set_offer", CPU, GRIST)
    market.refused(words.OfferTooHigh, REQUESTER, "take_offer", 0, ANN.id)
    market.done(ANN, "Providers", "set_offer", CPU, GRIST // 10)
    market.refused(words.NotRequester, OTHER, "take_offer", 0, ANN.id)
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    market.stands(JobState.MATCHED)
    market.refused(words.WrongState, REQUESTER, "take_offer", 0, ANN.id)


def test_a_provider_must_be_good_enough_for_the_job(market: Market) -> None:
    market.done(ANN, "Providers", "set_offer", CPU, GRIST // 100)
    market.refused(TierTooLow, REQUESTER, *submit(spec_of(min_tier=4), ANN.id, None, None))
    assert market.jobs.job_count == 0


def test_what_cheating_would_be_worth_is_kept_with_the_job(market: Market) -> None:
    market.matched(spec=reference_spec())
    report = market.jobs.report(0)
    assert report is not None
    assert (report.price, report.bond, report.loses) == (50 * GRIST, 150 * GRIST, True)


# Beginning


def test_a_job_begins_when_both_signed_the_same_receipt(market: Market) -> None:
    market.matched()
    receipt = market.first_receipt()
    market.refused(words.NotProvider, BEN, "start", 0, receipt, REQUESTER.sign(receipt))
    market.refused(words.WrongSignature, ANN, "start", 0, receipt, ANN.sign(receipt))
    market.refused(words.WrongSignature, ANN, "start", 0, receipt, bytes(64))
    market.start()
    market.stands(JobState.RUNNING)
    assert market.job().due == market.height + 60
    assert market.job().first_state == receipt.checkpoint_out
    market.refused(words.WrongState, ANN, "start", 0, receipt, REQUESTER.sign(receipt))


@pytest.mark.parametrize(
    "changes",
    [
        {"genesis": bytes(32)},
        {"job": 1},
        {"attempt": 1},
        {"checkpoint": 1},
        {"data_root": b"x" * 32},
        {"checkpoint_in": b"x" * 32},
        {"checkpoint_in": b"x" * 32, "checkpoint_out": b"x" * 32},
        {"units": 1},
        {"previous": b"x" * 32},
    ],
)
def test_a_first_receipt_says_nothing_but_that_nothing_is_done(
    market: Market, changes: dict[str, Any]
) -> None:
    market.matched(spec=reference_spec())
    receipt = market.first_receipt(**changes)
    market.refused(words.WrongReceipt, ANN, "start", 0, receipt, REQUESTER.sign(receipt))


def test_a_job_that_nobody_starts_costs_one_per_cent_and_no_bond(market: Market) -> None:
    START_BLOCKS.begin(market.runtime.ctx, START_BLOCKS.low)
    provider, requester = market.wealth(ANN), market.wealth(REQUESTER)
    market.matched()
    due, receipt = market.job().due, market.first_receipt()
    market.until(due - 1)
    market.stands(JobState.MATCHED)
    market.next()
    market.stands(JobState.CANCELLED, Reason.NOT_STARTED)
    assert market.wealth(ANN) - provider == requester - market.wealth(REQUESTER) == GRIST // 2
    market.refused(words.WrongState, ANN, "start", 0, receipt, REQUESTER.sign(receipt))
    market.all_is_released()


# Results


def test_silence_is_acceptance(market: Market) -> None:
    provider, requester = market.wealth(ANN), market.wealth(REQUESTER)
    market.completed()
    market.until(market.job().due)
    market.stands(JobState.SETTLED, Reason.SILENCE)
    assert market.wealth(ANN) - provider == 50 * GRIST
    assert requester - market.wealth(REQUESTER) == 51 * GRIST
    assert market.watch.heard == [("completed", 0), ("ended", 0)]
    market.all_is_released()


def test_who_accepts_has_it_paid_at_once(market: Market) -> None:
    market.completed()
    market.refused(words.NotRequester, OTHER, "accept", 0)
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    market.all_is_released()
    market.refused(words.WrongState, REQUESTER, "accept", 0)


def test_an_audited_job_is_not_for_the_requester_to_accept(market: Market) -> None:
    market.completed(spec=reference_spec())
    market.refused(words.NotByAcceptance, REQUESTER, "accept", 0)
    market.jobs.leave_to_requester(0)
    assert market.job().emission == EMISSION_BASE
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)


def test_a_challenged_result_is_not_accepted(market: Market) -> None:
    market.completed()
    market.jobs.open_case(0)
    market.refused(words.CasesOpen, REQUESTER, "accept", 0)


def test_a_result_can_be_challenged_longer_where_more_is_at_stake(market: Market) -> None:
    era = market.runtime.parameters.era_blocks
    market.completed()
    assert market.job().due - market.height == SHORT_WINDOW_ERAS.default * era
    LARGE_PRICE.begin(market.runtime.ctx, LARGE_PRICE.low)
    spec = spec_of(max_price=2_000 * GRIST)
    market.done(REQUESTER, "Staking", "bond", 100 * GRIST, ("Staked", None))
    id_ = market.completed(1_000 * GRIST, spec)
    assert market.job(id_).due - market.height == LONG_WINDOW_ERAS.default * era


def test_only_the_provider_at_work_completes_and_not_more_than_was_asked(market: Market) -> None:
    market.matched()
    market.refused(words.WrongState, ANN, "complete", 0, bytes(32), bytes(32), 1)
    market.start()
    market.refused(words.NotProvider, BEN, "complete", 0, bytes(32), bytes(32), 1)
    market.refused(words.BadUnits, ANN, "complete", 0, bytes(32), bytes(32), 1_001)


# Cases


def test_a_case_holds_the_window_open_until_it_is_closed(market: Market) -> None:
    market.completed()
    market.jobs.open_case(0)
    market.jobs.set_disputed(0)
    due = market.job().due
    market.until(due + 20)
    market.stands(JobState.DISPUTED)
    market.jobs.clear_dispute(0)
    market.jobs.close_case(0)
    market.stands(JobState.WINDOW)
    market.next()
    market.stands(JobState.SETTLED, Reason.SILENCE)


def test_a_case_that_nobody_ends_holds_no_money_for_ever(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(CASE_BLOCKS, name="jobs.short", default=40, low=40)
    monkeypatch.setattr(course, "CASE_BLOCKS", short)
    market.completed()
    market.jobs.open_case(0)
    market.until(market.job().due + 39)
    market.stands(JobState.WINDOW)
    market.next()
    market.stands(JobState.SETTLED, Reason.NO_VERDICT)
    market.all_is_released()


def test_a_window_is_extended_but_not_for_ever(market: Market) -> None:
    market.completed()
    due, era = market.job().due, market.runtime.parameters.era_blocks
    market.jobs.extend_window(0, due - 1)
    assert market.job().due == due
    market.jobs.extend_window(0, due + 5)
    market.until(due + 4)
    market.stands(JobState.WINDOW)
    market.jobs.extend_window(0, due + 100 * era)
    assert market.job().due == due + EXTENSION_ERAS.default * era
    market.until(market.job().due)
    market.stands(JobState.SETTLED, Reason.SILENCE)


def test_no_case_is_opened_when_the_window_is_over_or_nothing_is_there(market: Market) -> None:
    market.started()
    for step in (market.jobs.open_case, market.jobs.set_disputed, market.jobs.vindicate):
        with pytest.raises(words.NotLive):
            step(0, *((Reason.AUDIT_PASSED,) if step == market.jobs.vindicate else ()))
    market.complete()
    job = market.job()
    market.jobs.jobs[0] = replace(job, due=market.height)
    with pytest.raises(words.DeadlinePassed):
        market.jobs.open_case(0)
    market.jobs.jobs[0] = job


def test_an_audit_is_paid_out_of_the_escrow_and_the_rest_goes_back(market: Market) -> None:
    requester = market.wealth(REQUESTER)
    market.completed(spec=reference_spec())
    fee = market.job().audit_fee
    market.jobs.pay_audit(0, CLEO.id, GRIST)
    market.jobs.vindicate(0, Reason.AUDIT_PASSED)
    assert market.job().audit_left == fee - GRIST
    market.until(market.job().due)
    market.stands(JobState.SETTLED, Reason.AUDIT_PASSED)
    paid = 50 * GRIST + 2 * GRIST + protocol_fee(52 * GRIST) + GRIST
    assert requester - market.wealth(REQUESTER) == paid
    market.all_is_released()


def test_audits_are_paid_no_more_than_there_is_for_them(market: Market) -> None:
    market.completed(spec=reference_spec())
    fee, before = market.job().audit_fee, market.free(CLEO)
    market.jobs.pay_audit(0, CLEO.id, 10 * fee)
    market.jobs.pay_audit(0, CLEO.id, GRIST)
    assert market.free(CLEO) - before == fee
    assert market.job().audit_left == 0
    market.next()


# Expiry, cancelling, forgetting


def test_a_job_that_nobody_takes_expires_and_costs_nothing(market: Market) -> None:
    before = market.free(REQUESTER)
    market.submit(reference_spec())
    due = market.job().due
    assert due == market.height + OPEN_BLOCKS.low
    market.until(due - 1)
    market.stands(JobState.OPEN)
    market.next()
    market.stands(JobState.EXPIRED, Reason.NO_BIDS)
    assert market.free(REQUESTER) == before
    market.all_is_released()


def test_an_open_job_is_cancelled_for_nothing(market: Market) -> None:
    before = market.free(REQUESTER)
    market.submit()
    market.refused(words.NotRequester, OTHER, "cancel", 0)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    assert market.free(REQUESTER) == before
    market.refused(words.CannotCancel, REQUESTER, "cancel", 0)
    market.all_is_released()


def test_cancelling_before_the_start_costs_one_per_cent(market: Market) -> None:
    provider = market.wealth(ANN)
    market.matched()
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    assert market.wealth(ANN) - provider == GRIST // 2
    market.all_is_released()


@pytest.mark.parametrize(("accepted", "blocks"), [(8, 5), (8, 30), (0, 0)])
def test_cancelling_a_running_job_pays_what_is_done_or_its_time_and_a_part_of_the_rest(
    market: Market, accepted: int, blocks: int
) -> None:
    provider, requester = market.wealth(ANN), market.wealth(REQUESTER)
    market.started()
    if accepted:
        market.post(accepted)
    market.work_until(market.height + blocks)
    earned = max(50 * GRIST * accepted // 32, 50 * GRIST * blocks // 60)
    price = earned + (50 * GRIST - earned) // 20
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    assert market.wealth(ANN) - provider == price
    assert requester - market.wealth(REQUESTER) == price + protocol_fee(price)
    market.all_is_released()


def test_what_is_done_can_not_be_cancelled(market: Market) -> None:
    market.completed()
    market.refused(words.CannotCancel, REQUESTER, "cancel", 0)


def test_an_unknown_job_is_named_in_every_call(market: Market) -> None:
    market.matched()
    receipt = market.first_receipt(job=9)
    for who, name, *rest in (
        (REQUESTER, "cancel"),
        (REQUESTER, "take_offer", ANN.id),
        (REQUESTER, "accept"),
        (ANN, "commit_bid", bytes(32)),
        (ANN, "reveal_bid", 1, bytes(32)),
        (ANN, "start", receipt, bytes(64)),
        (ANN, "heartbeat"),
        (ANN, "post_receipt", receipt, None),
        (ANN, "complete", bytes(32), bytes(32), 1),
        (OTHER, "advance"),
    ):
        market.refused(words.UnknownJob, who, name, 9, *rest)
    with pytest.raises(words.UnknownJob):
        market.jobs.spec(9)


def test_a_job_that_ended_is_forgotten_in_time(market: Market) -> None:
    KEEP_ERAS.begin(market.runtime.ctx, KEEP_ERAS.low)
    market.completed(spec=reference_spec())
    market.until(market.job().due)
    ended = market.runtime.parameters.era()
    gone = market.runtime.parameters.era_start(ended + KEEP_ERAS.low)
    market.until(gone - 1)
    assert market.jobs.find(0) is not None
    market.until(gone)
    jobs = market.jobs
    assert jobs.find(0) is jobs.result(0) is jobs.report(0) is None
    assert 0 not in jobs.specs
    assert 0 not in jobs.annexes
    assert not list(jobs.ended.items())


def test_a_full_wheel_stops_nothing_and_anybody_may_do_what_is_due(market: Market) -> None:
    due = market.height + OPEN_BLOCKS.low
    for height in range(due, due + LOOKAHEAD_MAX):
        market.runtime.deadlines.height_counts[height] = ITEMS_PER_HEIGHT
    market.submit()
    for height in range(due, due + LOOKAHEAD_MAX):
        del market.runtime.deadlines.height_counts[height]
    market.refused(words.NotDue, OTHER, "advance", 0)
    market.until(due + 5)
    market.stands(JobState.OPEN)
    market.refused(words.DeadlinePassed, ANN, "commit_bid", 0, bytes(32))
    market.done(OTHER, "Jobs", "advance", 0)
    market.stands(JobState.EXPIRED, Reason.NO_BIDS)
    market.refused(words.NotDue, OTHER, "advance", 0)
    market.all_is_released()


def test_the_wheel_does_no_more_for_jobs_in_a_block_than_there_is_room_for(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "WORK_MAX", 2 * WORK_EXPIRY)
    for _ in range(5):
        market.submit()
    market.until(market.job().due - 1)
    left = []
    for _ in range(4):
        market.next()
        left.append(market.jobs.live_count)
    assert left == [3, 1, 0, 0]
    market.all_is_released()


def test_an_item_of_the_wheel_that_was_overtaken_does_nothing(market: Market) -> None:
    market.submit()
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.runtime.deadlines.schedule(
        height=market.height + 1, lane=Lane.JOBS, module_index=33, payload=bytes(7)
    )
    market.next(OPEN_BLOCKS.low + 1)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)


# Numbers


def test_the_highest_price_leaves_just_room_for_its_fee() -> None:
    for data in (0, 1, 49, 50, 7_777):
        for room in (*range(2, 400), 10**9, 10**12 + 7):
            price = highest_price(room, data)
            fits = price + protocol_fee(price + data) <= room
            assert fits or not price
            assert price + 1 + protocol_fee(price + 1 + data) > room


def test_the_units_of_the_rest_are_rounded_up() -> None:
    spec = spec_of(units=1_000)
    assert [units_of(spec, first) for first in (0, 1, 16, 31)] == [1_000, 969, 500, 32]
