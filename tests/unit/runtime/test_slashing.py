"""What a proven offence costs, who pays it, and that nobody gets out of it."""

import pytest

from runtime.balances import SLASH_POT, TREASURY, BurnCause, HoldReason
from runtime.block import MisbehaviourKind
from runtime.frame.errors import BadOrigin, CallError
from runtime.frame.origins import Root
from runtime.primitives import AccountId
from runtime.session import SetChanged
from runtime.staking import nouns, reports
from runtime.staking.fractions import EVERYTHING, NOTHING, Ratio
from runtime.staking.nouns import FOREVER, ValidatorPrefs
from runtime.staking.reports import OffenceKind, ReportState
from tests.support.governance import refused_as_root
from tests.support.runtime import Chain, offence
from tests.support.stakes import ERA_BLOCKS, FREE, GRIST, Backer, Stakes, nominator, validator

SEVEN = [1_000 * GRIST] * 7


def seven(*backers: Backer, **changes: int) -> Stakes:
    chain = Stakes.begin(SEVEN, backers, **changes)
    chain.blocks(2)
    return chain


def crowd(count: int) -> Stakes:
    """A validator with many nominators, who had different amounts behind it."""
    backers = [Backer({0: (100 + n) * GRIST + n}) for n in range(count)]
    chain = Stakes.begin([40_000 * GRIST] + [150_000 * GRIST] * 6, backers)
    chain.blocks(2)
    return chain


# A report


def test_an_equivocator_is_jailed_for_ever_at_once_and_leaves_the_set() -> None:
    chain = seven()
    chain.misbehave(0)
    staking = chain.look().staking
    assert staking.jailed_until[validator(0)] == FOREVER
    assert chain.set_numbers() == [1, 2, 3, 4, 5, 6]
    assert chain.last is not None
    assert [update.power for update in chain.last.validator_updates] == [0]
    assert chain.refused(validator(0), "validate", ValidatorPrefs(0, blocked=False)) == (
        nouns.JailedForever.encoded
    )
    assert chain.refused(validator(0), "unjail") == nouns.JailedForever.encoded
    assert chain.look().session.barred[validator(0)]


def test_a_report_says_what_was_done_and_when_it_will_cost() -> None:
    chain = seven()
    report = chain.offence(0)
    result = chain.block(misbehaviour=(report,))
    found = chain.report()
    assert (found.kind, found.offender, found.height) == (1, validator(0), 2)
    assert (found.era, found.power, found.total_power) == (0, 1_000, 7_000)
    assert found.evidence_hash == report.evidence_hash
    assert (found.reported_at, found.apply_at) == (3, 3 + ERA_BLOCKS)
    assert (found.state, found.fraction) == (ReportState.DEFERRED, NOTHING)
    told = reports.SlashReported(0, 1, validator(0), 2, 0, report.evidence_hash, 11)
    assert told.encode() in result.receipts[2]
    assert SetChanged(6).encode() in result.receipts[-1]


def test_the_same_offence_is_reported_once() -> None:
    chain = seven()
    chain.misbehave(0, height=2)
    chain.misbehave(0, height=2)
    assert chain.look().slashing.report_count == 1


def test_a_chain_without_staking_records_offences_and_punishes_nobody() -> None:
    chain = Chain.start("bench")
    chain.block()
    member = chain.look().session.current_set[0]
    report = offence(account=member.account, time_ms=chain.spec.time_ms + 1_000)
    chain.block(misbehaviour=(report,))
    runtime = chain.look()
    assert (runtime.offences.count, runtime.slashing.report_count) == (1, 0)
    assert member in runtime.session.queued_set


# What it costs


def test_own_stake_pays_first_and_half_is_burned() -> None:
    chain = seven(Backer({0: 400 * GRIST}))
    treasury = chain.free(TREASURY)
    chain.misbehave(0, total_power=14_000)
    chain.blocks(ERA_BLOCKS)
    due = 1_400 * GRIST * 9 // 100
    report = chain.report()
    assert (report.state, report.fraction) == (ReportState.APPLIED, Ratio(9, 100))
    assert (report.own, report.nominators, report.shortfall) == (due, 0, 0)
    assert chain.stake(validator(0)) == 1_000 * GRIST - due
    assert chain.stake(nominator(0)) == 400 * GRIST
    assert (report.burned, report.treasury) == (due // 2, due - due // 2)
    balances = chain.look().balances
    assert balances.burned[BurnCause.SLASH] == due // 2
    assert chain.free(TREASURY) - treasury == due - due // 2
    assert chain.free(SLASH_POT) == 0


def test_nominators_pay_by_exposure_what_own_stake_does_not_cover() -> None:
    chain = Stakes.begin(
        [100 * GRIST, *SEVEN[1:]], [Backer({0: 300 * GRIST}), Backer({0: 600 * GRIST + 7})]
    )
    chain.blocks(2)
    chain.misbehave(0, power=1_000, total_power=6_000)
    chain.blocks(ERA_BLOCKS + 1)
    whole = 1_000 * GRIST + 7
    report = chain.report()
    assert report.fraction == Ratio(1, 4)
    assert report.own == 100 * GRIST
    assert report.nominators == whole // 4 - 100 * GRIST
    paid = [300 * GRIST - chain.stake(nominator(0)), 600 * GRIST + 7 - chain.stake(nominator(1))]
    assert sum(paid) == report.nominators
    exposed = 900 * GRIST + 7
    for part, exposure in zip(paid, (300 * GRIST, 600 * GRIST + 7), strict=True):
        assert abs(part * exposed - report.nominators * exposure) < exposed
    assert chain.stake(validator(0)) == 0


def test_two_of_seven_pay_the_square_of_six_sevenths_each() -> None:
    chain = seven()
    chain.misbehave(0)
    chain.misbehave(1)
    chain.blocks(ERA_BLOCKS + 1)
    for number in (0, 1):
        assert chain.report(number).fraction == Ratio(36, 49)
        assert 1_000 * GRIST - chain.stake(validator(number)) == 1_000 * GRIST * 36 // 49


def test_offences_far_apart_are_not_counted_together() -> None:
    chain = seven()
    chain.votes_parameter("slashing.correlation_eras", 1)
    chain.misbehave(0, height=2)
    chain.to_height(2 * ERA_BLOCKS + 2)
    chain.misbehave(1)
    chain.blocks(ERA_BLOCKS + 1)
    assert [chain.report(n).fraction for n in (0, 1)] == [Ratio(9, 49), Ratio(9, 49)]


def test_several_offences_of_one_account_count_once_towards_the_fraction() -> None:
    chain = seven()
    chain.misbehave(0, height=1)
    chain.misbehave(0, height=2, kind=MisbehaviourKind.DUPLICATE_PROPOSAL)
    chain.blocks(ERA_BLOCKS + 1)
    assert chain.report(1).fraction == Ratio(9, 49)


@pytest.mark.parametrize(
    "kind",
    [
        MisbehaviourKind.AMNESIA,
        MisbehaviourKind.CONFLICTING_COMMIT,
        MisbehaviourKind.LIGHT_CLIENT_ATTACK,
    ],
)
def test_who_helps_a_fork_loses_everything(kind: MisbehaviourKind) -> None:
    chain = seven(Backer({0: 10 * GRIST}, idle=5 * GRIST))
    chain.misbehave(0, kind=kind)
    chain.blocks(ERA_BLOCKS + 1)
    assert chain.report().fraction == EVERYTHING
    assert (chain.stake(validator(0)), chain.stake(nominator(0))) == (0, 5 * GRIST)


def test_only_the_highest_fraction_of_an_era_counts() -> None:
    chain = seven()
    chain.misbehave(0, height=2)
    chain.blocks(2)
    chain.misbehave(0, height=3, kind=MisbehaviourKind.AMNESIA)
    chain.misbehave(0, height=4)
    chain.blocks(ERA_BLOCKS + 1)
    costs = [chain.report(n).own for n in range(3)]
    first = 1_000 * GRIST * 9 // 49
    assert costs == [first, 1_000 * GRIST - first, 0]
    assert chain.report(2).state is ReportState.APPLIED
    assert chain.stake(validator(0)) == 0


def test_offences_of_different_eras_cost_each_their_own() -> None:
    chain = seven()
    chain.misbehave(0, height=2, total_power=100_000)
    chain.to_height(ERA_BLOCKS + 3)
    chain.misbehave(0, height=ERA_BLOCKS + 2, power=1_000, total_power=100_000)
    chain.blocks(ERA_BLOCKS + 1)
    assert [chain.report(n).era for n in (0, 1)] == [0, 1]
    assert [chain.report(n).own for n in (0, 1)] == [50 * GRIST, 50 * GRIST]


def test_the_first_block_of_an_era_is_still_voted_on_by_the_set_before() -> None:
    chain = seven()
    chain.to_height(ERA_BLOCKS + 2)
    chain.misbehave(0, height=ERA_BLOCKS + 1)
    chain.misbehave(1, height=ERA_BLOCKS + 2)
    assert [chain.report(n).era for n in (0, 1)] == [0, 1]


def test_what_is_not_there_any_more_is_recorded_as_missing() -> None:
    chain = seven()
    for height in (2, ERA_BLOCKS + 2):
        chain.to_height(ERA_BLOCKS + 2)
        chain.misbehave(0, height=height, kind=MisbehaviourKind.AMNESIA)
    chain.blocks(ERA_BLOCKS + 1)
    second = chain.report(1)
    assert (second.own, second.shortfall, second.burned) == (1_000 * GRIST, 1_000 * GRIST, 0)


# Page by page


def test_many_nominators_are_booked_and_charged_a_few_pages_a_block() -> None:
    chain = crowd(300)
    chain.misbehave(0, kind=MisbehaviourKind.AMNESIA)
    booked = []
    for _ in range(4):
        staking = chain.look().staking
        booked.append(sum(1 for who, _ in staking.liable.items() if who != validator(0)))
        chain.block()
    assert booked == [0, 128, 256, 300]
    chain.to_height(chain.report().apply_at)
    charged = []
    for _ in range(4):
        charged.append(sum(1 for n in range(300) if not chain.stake(nominator(n))))
        chain.block()
    assert charged == [64, 192, 300, 300]
    assert chain.report().state is ReportState.APPLIED
    assert chain.report().shortfall == 0
    chain.blocks(3)
    assert dict(chain.look().staking.liable.items()) == {}


def test_every_payer_is_told_of_in_events_that_sum_to_the_record() -> None:
    chain = crowd(70)
    chain.misbehave(0, power=20_000, total_power=100_000)
    paid, receipts = 0, b""
    for _ in range(ERA_BLOCKS + 3):
        receipts += b"".join(chain.block().receipts)
    report = chain.report()
    for who, before in [(validator(0), 40_000 * GRIST)] + [
        (nominator(n), (100 + n) * GRIST + n) for n in range(70)
    ]:
        part = before - chain.stake(who)
        paid += part
        if part:
            assert reports.SlashPaid(0, who, part, part).encode() in receipts
            assert nouns.Slashed(who, part).encode() in receipts
    assert paid == report.own + report.nominators == report.burned + report.treasury
    assert reports.SlashApplied(0, report.burned, report.treasury).encode() in receipts


# Nobody gets out


def test_nobody_withdraws_while_nominators_are_being_booked() -> None:
    chain = crowd(200)
    bystander = validator(3)
    chain.done(bystander, "unbond", 10 * GRIST)
    chain.to_height(4 * ERA_BLOCKS + 1)
    chain.misbehave(0)
    assert chain.refused(bystander, "withdraw_unbonded", 0) == nouns.ReportOpen.encoded
    chain.blocks(1)
    chain.free_unbonded()
    chain.done(bystander, "withdraw_unbonded", 0)
    assert chain.stake(bystander) == 149_990 * GRIST


def test_what_is_liable_stays_and_the_rest_may_go() -> None:
    chain = seven(Backer({0: 400 * GRIST}, idle=100 * GRIST))
    who = nominator(0)
    chain.done(who, "unbond", 500 * GRIST)
    chain.to_height(4 * ERA_BLOCKS + 1)
    chain.misbehave(0, height=2 * ERA_BLOCKS, kind=MisbehaviourKind.AMNESIA)
    chain.blocks(2)
    chain.free_unbonded()
    chain.done(who, "withdraw_unbonded", 0)
    assert chain.stake(who) == 400 * GRIST
    assert chain.refused(who, "withdraw_unbonded", 0) == nouns.StakeLiable.encoded
    chain.blocks(ERA_BLOCKS)
    assert chain.report().nominators == 400 * GRIST
    assert (chain.stake(who), chain.report().shortfall) == (0, 0)


def test_unbonding_chilled_and_moved_stake_is_reached_as_of_the_era_of_the_offence() -> None:
    chain = Stakes.begin(
        [10 * GRIST, *SEVEN[1:]], [Backer({0: 90 * GRIST}), Backer({0: 900 * GRIST})]
    )
    chain.blocks(2)
    chain.done(validator(0), "unbond", 10 * GRIST)
    chain.done(nominator(0), "unbond", 50 * GRIST)
    chain.done(nominator(0), "rebond", 20 * GRIST)
    chain.to_height(2 * ERA_BLOCKS)
    chain.done(nominator(1), "unbond", 900 * GRIST)
    chain.misbehave(0, height=2, power=1_000, total_power=3_000)
    chain.blocks(ERA_BLOCKS + 1)
    stakes = [chain.stake(who) for who in (validator(0), nominator(0), nominator(1))]
    assert stakes == [0, 0, 0]
    assert chain.report().shortfall == 0


def test_after_the_decision_the_rest_is_free() -> None:
    chain = seven()
    chain.done(validator(0), "unbond", 1_000 * GRIST)
    chain.to_height(4 * ERA_BLOCKS)
    chain.misbehave(0, height=2 * ERA_BLOCKS)
    chain.blocks(ERA_BLOCKS + 2)
    rest = chain.stake(validator(0))
    assert rest == 1_000 * GRIST - 1_000 * GRIST * 9 // 49
    free = chain.free(validator(0))
    chain.free_unbonded()
    chain.done(validator(0), "withdraw_unbonded", 0)
    assert chain.free(validator(0)) == free + rest == FREE + rest
    assert chain.look().balances.held(validator(0), HoldReason.STAKE) == 0


# Cancelled


def test_a_cancelled_report_costs_nothing_and_gives_everything_back() -> None:
    chain = crowd(200)
    chain.misbehave(0)
    chain.blocks(1)
    chain.votes("cancel", 0, b"a bug of release 1.2")
    chain.blocks(ERA_BLOCKS + 4)
    runtime = chain.look()
    assert chain.report().state is ReportState.CANCELLED
    assert chain.stake(validator(0)) == 40_000 * GRIST
    assert dict(runtime.staking.liable.items()) == {}
    assert not runtime.staking.is_jailed(validator(0))
    assert not runtime.session.barred[validator(0)]


def test_a_cancelled_report_does_not_make_others_dearer() -> None:
    chain = seven()
    chain.misbehave(0)
    chain.misbehave(1)
    chain.votes("cancel", 0, b"")
    chain.blocks(ERA_BLOCKS + 1)
    assert chain.report(1).fraction == Ratio(9, 49)


def test_an_offender_stays_jailed_while_another_report_says_so() -> None:
    chain = seven()
    chain.misbehave(0, height=1)
    chain.misbehave(0, height=2)
    chain.votes("cancel", 0, b"")
    assert chain.look().staking.is_tombstoned(validator(0))
    chain.votes("cancel", 1, b"")
    assert not chain.look().staking.is_jailed(validator(0))


def absent(chain: Stakes, number: int) -> None:
    """Report a validator as offline in a block of its own."""
    chain.open()
    height = chain.height + 1
    chain.runtime.slashing.report(
        kind=OffenceKind.OFFLINE,
        offender=validator(number),
        height=height,
        power=1_000,
        total_power=7_000,
        evidence_hash=bytes(32),
    )
    chain.close()


def test_cancelling_an_old_absence_does_not_end_the_jail_of_a_newer_one() -> None:
    chain = seven(slash_deferral_eras=3)
    absent(chain, 0)
    chain.to_height(ERA_BLOCKS + 1)
    chain.done(validator(0), "unjail")
    absent(chain, 0)
    chain.votes("cancel", 0, b"the first was an outage of all")
    assert chain.look().staking.jailed_until[validator(0)] == 2
    chain.votes("cancel", 1, b"the second, too")
    assert not chain.look().staking.is_jailed(validator(0))


def test_cancelling_a_newer_absence_ends_the_jail_though_an_older_one_stands() -> None:
    chain = seven(slash_deferral_eras=3)
    absent(chain, 0)
    chain.to_height(ERA_BLOCKS + 1)
    chain.done(validator(0), "unjail")
    absent(chain, 0)
    chain.votes("cancel", 1, b"")
    assert not chain.look().staking.is_jailed(validator(0)), "that time was over"


def test_an_absence_jails_on_when_an_equivocation_is_cancelled() -> None:
    chain = seven(slash_deferral_eras=3)
    absent(chain, 0)
    absent(chain, 1)
    chain.misbehave(0)
    assert chain.look().staking.jailed_until[validator(0)] == FOREVER
    chain.votes("cancel", 2, b"a forged proof")
    staking = chain.look().staking
    assert staking.jailed_until[validator(0)] == staking.jailed_until[validator(1)] == 1
    assert not chain.look().session.barred[validator(0)]
    chain.votes("cancel", 1, b"")
    staking = chain.look().staking
    assert (staking.is_jailed(validator(0)), staking.is_jailed(validator(1))) == (True, False)


def test_an_equivocation_that_is_cancelled_when_an_absence_is_over_jails_no_more() -> None:
    chain = seven(slash_deferral_eras=3)
    absent(chain, 0)
    chain.misbehave(0)
    chain.to_height(ERA_BLOCKS + 1)
    chain.votes("cancel", 1, b"")
    assert not chain.look().staking.is_jailed(validator(0))


def test_cancelling_what_jails_nobody_any_more_tells_of_no_release() -> None:
    chain = seven(slash_deferral_eras=3)
    absent(chain, 0)
    chain.to_height(ERA_BLOCKS + 1)
    chain.done(validator(0), "unjail")
    chain.votes("cancel", 0, b"")
    assert chain.last is not None
    assert nouns.Unjailed(validator(0)).encode() not in b"".join(chain.last.receipts)


def test_what_is_decided_cannot_be_cancelled() -> None:
    chain = seven()
    chain.misbehave(0)
    chain.blocks(ERA_BLOCKS + 1)
    slashing = chain.open().slashing
    with pytest.raises(reports.ReportDecided):
        slashing.cancel(0, b"")
    with pytest.raises(reports.UnknownReport):
        slashing.cancel(1, b"")
    chain.close()


REFUSALS: dict[type[CallError], int] = {reports.ReportDecided: 0, reports.UnknownReport: 1}
"""Each error of the module, and the report that meets it where report 0 is applied."""


@pytest.mark.parametrize("error", reports.ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_module_is_met_by_a_vote_that_leaves_no_trace(
    error: type[CallError],
) -> None:
    chain = seven()
    chain.misbehave(0)
    chain.blocks(ERA_BLOCKS + 1)
    chain.open()
    refused_as_root(chain, error, "Slashing", "cancel_deferred_slash", REFUSALS[error], b"no")
    chain.close()
    assert chain.report().state is ReportState.APPLIED


def test_only_a_vote_calls_a_report_off() -> None:
    chain = seven()
    chain.misbehave(0)
    slashing = chain.open().slashing
    assert slashing.judge_cancel(0) == validator(0)
    data = (0, b"")
    error = chain.call_as(validator(1), "Slashing", "cancel_deferred_slash", *data)
    assert error == BadOrigin.encoded
    slashing.cancel_deferred_slash(Root(), 0, b"sorry")
    assert chain.runtime.ctx.events[-1] == reports.SlashCancelled(0, b"sorry").encode()
    with pytest.raises(reports.ReportDecided):
        slashing.judge_cancel(0)
    chain.close()
    assert chain.report().state is ReportState.CANCELLED


# Out of the set


def test_at_most_a_third_of_the_power_leaves_at_once_the_most_powerful_first() -> None:
    chain = Stakes.begin([100 * GRIST, 300 * GRIST, 200 * GRIST, *[100 * GRIST] * 4])
    chain.blocks(2)
    chain.misbehave(0, 1, 2)
    assert chain.set_numbers() == [0, 2, 3, 4, 5, 6]
    chain.misbehave(3)
    assert chain.set_numbers() == [0, 2, 3, 4, 5, 6]
    chain.to_height(ERA_BLOCKS + 1)
    assert chain.set_numbers() == [0, 3, 4, 5, 6]


def test_the_set_never_becomes_empty() -> None:
    chain = Stakes.begin([100 * GRIST])
    chain.blocks(2)
    chain.misbehave(0)
    chain.blocks(2 * ERA_BLOCKS)
    assert chain.set_numbers() == [0]
    assert chain.stake(validator(0)) == 0


# Views


def test_what_is_at_risk_is_what_will_be_paid() -> None:
    chain = Stakes.begin([100 * GRIST, *SEVEN[1:]], [Backer({0: 300 * GRIST}, idle=50 * GRIST)])
    chain.blocks(2)
    assert chain.look().slashing.at_risk(nominator(0)) == 0
    chain.misbehave(0, power=1, total_power=5)
    people = (validator(0), nominator(0), validator(1))
    at_risk = [chain.look().slashing.at_risk(who) for who in people]
    before = [chain.stake(who) for who in people]
    chain.blocks(ERA_BLOCKS + 1)
    assert [was - chain.stake(who) for was, who in zip(before, people, strict=True)] == at_risk
    assert at_risk[2] == 0 < min(at_risk[:2])
    assert chain.look().slashing.at_risk(nominator(0)) == 0


def taken_as_said(chain: Stakes, people: list[AccountId], blocks: int) -> int:
    """After every block, what is at risk is what is lost from there to the end; gives its sum."""
    said, stakes = [], []
    for _ in range(blocks):
        slashing = chain.look().slashing
        said.append([slashing.at_risk(who) for who in people])
        stakes.append([chain.stake(who) for who in people])
        chain.block()
    assert chain.look().slashing.open_reports == 0
    left = [chain.stake(who) for who in people]
    for risks, before in zip(said, stakes, strict=True):
        assert risks == [was - now for was, now in zip(before, left, strict=True)]
    assert not any(chain.look().slashing.at_risk(who) for who in people)
    return sum(said[0])


@pytest.mark.parametrize("kind", [MisbehaviourKind.AMNESIA, MisbehaviourKind.DUPLICATE_VOTE])
def test_at_risk_is_exact_while_pages_are_booked_deferred_and_charged(
    kind: MisbehaviourKind,
) -> None:
    chain = crowd(200)
    people = [validator(0), validator(1), *map(nominator, range(200))]
    chain.misbehave(0, kind=kind, power=30_000, total_power=100_000)
    staking = chain.look().staking
    assert staking.open_bookings
    assert nominator(0) not in staking.liable
    at_risk = sum(chain.look().slashing.at_risk(who) for who in people)
    assert taken_as_said(chain, people, ERA_BLOCKS + 2) == at_risk
    report = chain.report()
    assert report.state is ReportState.APPLIED
    assert at_risk == report.own + report.nominators > report.own > 0


def test_at_risk_of_who_has_paid_is_nothing_while_others_still_have_to() -> None:
    chain = crowd(200)
    people = sorted(map(nominator, range(200)))
    stakes = {who: chain.stake(who) for who in people}
    chain.misbehave(0, kind=MisbehaviourKind.AMNESIA)
    chain.to_height(chain.report().apply_at + 1)
    slashing = chain.look().slashing
    assert chain.report().state is ReportState.APPLYING
    assert slashing.progress is not None
    paid = slashing.progress.page * nouns.PAGE_SIZE
    assert 0 < paid < len(people)
    assert [slashing.at_risk(who) for who in people[:paid]] == [0] * paid
    assert [slashing.at_risk(who) for who in people[paid:]] == [stakes[w] for w in people[paid:]]
    assert slashing.at_risk(validator(0)) == 0


def test_at_risk_of_several_reports_of_one_case_is_exact_to_the_grain() -> None:
    chain = crowd(150)
    people = [validator(0), *map(nominator, range(150))]
    chain.misbehave(0, height=1, power=41_000, total_power=242_003)
    chain.blocks(1)
    chain.misbehave(0, height=2, power=41_000, total_power=215_001)
    chain.misbehave(0, height=2, kind=MisbehaviourKind.AMNESIA)
    chain.blocks(1)
    taken = taken_as_said(chain, people, ERA_BLOCKS + 4)
    reports_ = [chain.report(n) for n in range(3)]
    assert min(report.nominators for report in reports_) > 0
    assert taken == sum(report.own + report.nominators for report in reports_)


def test_at_risk_is_never_more_than_is_bonded() -> None:
    chain = seven(Backer({0: 400 * GRIST, 1: 300 * GRIST}))
    for height in (2, ERA_BLOCKS + 2):
        chain.to_height(ERA_BLOCKS + 2)
        for number in (0, 1):
            chain.misbehave(number, height=height, kind=MisbehaviourKind.AMNESIA)
    people = [validator(0), validator(1), nominator(0), nominator(1)]
    stakes = [1_000 * GRIST, 1_000 * GRIST, 700 * GRIST, 0]
    assert [chain.look().slashing.at_risk(who) for who in people] == stakes
    assert taken_as_said(chain, people, ERA_BLOCKS + 4) == sum(stakes)


def test_at_risk_leaves_out_what_is_cancelled_and_reads_no_report_before_the_open_ones() -> None:
    chain = seven(Backer({0: 400 * GRIST}))
    chain.misbehave(1, height=1)
    chain.blocks(ERA_BLOCKS + 1)
    chain.misbehave(0, height=2, kind=MisbehaviourKind.AMNESIA)
    chain.misbehave(0, height=3)
    chain.votes("cancel", 1, b"")
    slashing = chain.look().slashing
    assert [number for number, _ in slashing.undecided()] == [2]
    at_risk = slashing.at_risk(validator(0))
    slashing.ctx.state.put(slashing.reports.storage_key(0), b"not a report")
    assert slashing.at_risk(validator(0)) == at_risk > 0
    assert taken_as_said(chain, [validator(0), nominator(0)], ERA_BLOCKS + 2) > 0


# Keys


def test_an_offence_is_of_an_account_whose_keys_are_gone() -> None:
    chain = seven()
    chain.open()
    assert chain.call_as(validator(0), "Session", "purge_keys") == b""
    chain.close()
    chain.blocks(2 * ERA_BLOCKS)
    chain.misbehave(0, height=2)
    chain.blocks(ERA_BLOCKS + 1)
    assert chain.report().own == 1_000 * GRIST * 9 // 49


def test_what_is_reported_is_an_offence_kind_by_the_same_number() -> None:
    assert {kind.name: int(kind) for kind in MisbehaviourKind} == {
        kind.name: int(kind) for kind in OffenceKind if kind is not OffenceKind.OFFLINE
    }
