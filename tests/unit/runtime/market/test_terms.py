"""Terms: fees, audits, waterfalls and the worth of cheating, as exact numbers."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.frame.declared import wire_of
from runtime.market import terms
from runtime.market.nouns import Fault, Verification
from runtime.market.terms import FeeSplit, Ratio, SlashSplit, cheat_report

GRIST = 10**9
PERBILL = 10**9

amounts = st.integers(0, 10**18)
prices = st.integers(1, 10**18)
ratios = st.integers(0, PERBILL)


def value_of(price: int, own: int, wrong: int, checkpoints: int, draws: int) -> Fraction:
    """What a cheat gains above honest work, counted in another way than the module does."""
    whole = comb(checkpoints, draws)
    missed = sum(
        Fraction(comb(wrong, hits) * comb(checkpoints - wrong, draws - hits), whole)
        * Fraction(1, 20) ** hits
        for hits in range(draws + 1)
    )
    return Fraction(price * wrong, checkpoints) - (1 - missed) * (price + own)


# Fees


def test_the_fee_is_two_percent_rounded_up() -> None:
    assert [terms.protocol_fee(base) for base in (0, 1, 50, 51, 100 * GRIST)] == [
        0, 1, 1, 2, 2 * GRIST,
    ]  # fmt: skip


def test_a_fee_is_burned_by_half_and_shared_exactly() -> None:
    assert terms.split_fee(100, 0) == FeeSplit(50, 20, 15, 15)
    assert terms.split_fee(1, 0) == FeeSplit(1, 0, 0, 0)
    assert terms.split_fee(100, 0).irrecoverable == 85


def test_a_discount_is_a_fifth_at_most_and_lowers_neither_burn_nor_insurance() -> None:
    assert terms.split_fee(700, PERBILL // 10) == FeeSplit(350, 100, 105, 75)
    assert terms.split_fee(700, PERBILL // 5) == FeeSplit(350, 60, 105, 45)
    assert terms.split_fee(700, PERBILL) == terms.split_fee(700, PERBILL // 5)


@given(amounts, ratios)
def test_parts_of_a_fee_sum_and_a_discount_never_passes_its_bound(fee: int, discount: int) -> None:
    full, split = terms.split_fee(fee, 0), terms.split_fee(fee, discount)
    assert full.total == fee
    assert split.total == fee - min(fee * min(discount, PERBILL // 5) // PERBILL, fee)
    assert (split.burned, split.insurance) == (full.burned, full.insurance)
    assert 0 <= split.treasury <= full.treasury
    assert 0 <= split.stakers <= full.stakers


# Emission against the fee


def test_work_that_nobody_checked_earns_four_fifths_of_what_its_fee_loses() -> None:
    fee = terms.split_fee(1_000, 0)
    assert terms.emission_cap(fee, 800_000_000, price=50_000, base=50_000) == 680
    assert terms.emission_cap(fee, 0, price=50_000, base=50_000) == 0


def test_a_higher_multiple_counts_for_metered_work_at_the_reference_price() -> None:
    fee = terms.split_fee(1_000, 0)
    assert terms.emission_cap(fee, 3 * PERBILL, price=50_000, base=50_000) == 2_550
    assert terms.emission_cap(fee, 3 * PERBILL, price=50_000, base=90_000) == 2_550
    assert terms.emission_cap(fee, 3 * PERBILL, price=50_000, base=25_000) == 1_275
    assert terms.emission_cap(fee, 3 * PERBILL, price=50_000, base=0) == 680


@given(prices, amounts, st.integers(0, 4 * PERBILL), amounts, ratios)
def test_emission_never_passes_the_multiple_of_the_fee(
    price: int, data: int, multiple: int, base: int, discount: int
) -> None:
    fee = terms.split_fee(terms.protocol_fee(price + data), discount)
    cap = terms.emission_cap(fee, multiple, price=price, base=base)
    assert cap * PERBILL <= fee.irrecoverable * multiple


@given(prices, amounts, ratios, ratios)
def test_wash_trading_at_a_multiple_of_four_fifths_loses_at_any_stake_share(
    price: int, data: int, discount: int, share: int
) -> None:
    """One person is requester, provider, owner of the data, and has any share of all stake."""
    fee = terms.split_fee(terms.protocol_fee(price + data), discount)
    earned = terms.emission_cap(fee, terms.RECYCLED_MULTIPLE, price=price, base=price)
    back = fee.stakers * share // PERBILL
    assert earned + back < fee.total


# Audits


@pytest.mark.parametrize(
    ("price", "own", "draws"),
    [(100, 100, 1), (100, 31, 2), (100, 32, 1), (100, 0, 2), (0, 0, 1), (10**18, 10**18, 1)],
)
def test_draws_follow_from_price_and_own_loss(price: int, own: int, draws: int) -> None:
    assert terms.audit_draws(price, own) == draws
    if price:
        least = Fraction(5, 4) * Fraction(price, price + own) / Fraction(95, 100)
        assert draws - 1 < least <= draws


def test_dearer_jobs_have_more_verifiers() -> None:
    steps = (999 * GRIST, 1_000 * GRIST, 19_999 * GRIST, 20_000 * GRIST)
    assert [terms.audit_seats(price) for price in steps] == [3, 5, 5, 7]


def test_an_audit_costs_a_fifth_more_than_the_work_that_it_repeats() -> None:
    assert terms.audit_fee(1, 3, 3_200, 32) == 360
    assert terms.audit_fee(2, 3, 3_200, 32) == 720
    assert terms.audit_fee(1, 3, 1, 32) == 1


# Failures


@pytest.mark.parametrize(
    ("fault", "slash"),
    [
        (Fault.LATE, 375),
        (Fault.OFFLINE, 375),
        (Fault.WRONG_CHECKPOINT, 1_000),
        (Fault.FRAUD, 1_000),
    ],
)
def test_a_fault_costs_its_part_of_the_bond(fault: Fault, slash: int) -> None:
    assert terms.bond_slash(fault, 1_000, left=24, whole=32) == slash


def test_finishing_elsewhere_may_cost_a_quarter_above_the_reference_and_half_above_the_rest() -> (
    None
):
    assert terms.extra_cost(100, 10, 1_000) == 250
    assert terms.extra_cost(100, 10, 1_100) == 150
    assert terms.extra_cost(100, 10, 2_000) == 0
    assert terms.extra_cost(100, 10, 500) == 250
    assert terms.extra_cost(100, 10, 0) == 0


def test_a_slash_pays_requester_bounty_insurance_and_burns_the_rest() -> None:
    split = terms.split_slash(1_000, extra=100, fees=50, has_bounty=True)
    assert split == SlashSplit(100, 50, 200, 195, 455)
    split = terms.split_slash(1_000, extra=400, fees=50, has_bounty=True)
    assert split == SlashSplit(400, 50, 50, 150, 350)
    split = terms.split_slash(1_000, extra=900, fees=50, has_bounty=True)
    assert split == SlashSplit(500, 0, 0, 150, 350)
    assert terms.split_slash(1_000, extra=0, fees=0, has_bounty=False).burned == 700


@given(amounts, amounts, amounts, st.booleans())
def test_half_of_a_slash_at_least_is_burned_or_insures_and_its_parts_sum(
    slash: int, extra: int, fees: int, has_bounty: bool
) -> None:
    split = terms.split_slash(slash, extra=extra, fees=fees, has_bounty=has_bounty)
    assert split.total == slash
    assert min(split.extra, split.fees, split.bounty, split.insurance, split.burned) >= 0
    assert 2 * (split.burned + split.insurance) >= slash
    assert split.extra <= extra
    assert split.fees <= fees
    assert split.bounty <= slash // 5


@given(prices, st.integers(2 * PERBILL, 3 * PERBILL), amounts, amounts)
def test_who_reports_its_own_cheat_loses_more_than_the_bounty(
    price: int, ratio: int, extra: int, fees: int
) -> None:
    bond = -(-price * ratio // PERBILL)
    own = -(-bond // 2)
    split = terms.split_slash(bond, extra=extra, fees=fees, has_bounty=True)
    assert split.bounty < bond - split.extra - split.fees
    assert split.bounty < own


@given(amounts, prices, amounts)
def test_insurance_owes_no_more_than_a_tenth_of_the_price_and_fifty_premiums(
    shortfall: int, price: int, premiums: int
) -> None:
    owed = terms.covered_part(shortfall, price, premiums)
    assert owed <= shortfall
    assert 10 * owed <= price
    assert owed <= 50 * premiums
    assert owed in (shortfall, price * 10 // 100, 50 * premiums)


# Why cheating loses


@pytest.mark.parametrize("checkpoints", [32, 100])
@pytest.mark.parametrize("draws", [1, 2, 3])
def test_the_report_finds_the_best_cheat_of_all(checkpoints: int, draws: int) -> None:
    for own in (0, GRIST, 60 * GRIST, 300 * GRIST):
        report = cheat_report(
            Verification.AUDIT, 100 * GRIST, own, bond=2 * own, checkpoints=checkpoints, draws=draws
        )
        values = {
            wrong: value_of(100 * GRIST, own, wrong, checkpoints, draws)
            for wrong in range(1, checkpoints + 1)
        }
        best = max(values.values())
        assert values[report.wrong] == best
        assert report.loses == (best < 0)
        assert report.loss == (int(-best) if best < 0 else -int(-best // 1))
        caught = Fraction(report.caught.above, report.caught.below)
        assert (
            Fraction(100 * GRIST * report.wrong, checkpoints) - caught * (100 * GRIST + own) == best
        )


@given(prices, st.integers(2 * PERBILL, 3 * PERBILL), st.integers(32, 1_024))
def test_cheating_an_audited_job_loses_at_every_price_bond_and_count_of_checkpoints(
    price: int, ratio: int, checkpoints: int
) -> None:
    bond = -(-price * ratio // PERBILL)
    own = -(-bond // 2)
    report = cheat_report(Verification.AUDIT, price, own, bond=bond, checkpoints=checkpoints)
    assert report.loses
    assert report.bond == own >= report.bond_needed
    assert report.caught.above * report.needed.below > report.needed.above * report.caught.below


@pytest.mark.parametrize("draws", [1, 2])
def test_the_bond_needed_is_the_least_at_which_cheating_loses(draws: int) -> None:
    def report(own: int) -> terms.CheatReport:
        return cheat_report(
            Verification.AUDIT, 100 * GRIST, own, bond=own, checkpoints=32, draws=draws
        )

    needed = report(0).bond_needed
    assert report(needed).loses
    assert not report(needed - 1).loses


def test_an_audit_by_the_rule_has_a_quarter_to_spare() -> None:
    """With draws from the formula detection is 1.25 times what breaks even, for one checkpoint."""
    for own in (0, 10 * GRIST, 31 * GRIST, 100 * GRIST):
        draws = terms.audit_draws(100 * GRIST, own)
        above, below = terms.caught_ratio(1, 32, draws)
        breaks_even = Fraction(100, 32) / (100 + own // GRIST)
        assert Fraction(above, below) >= Fraction(5, 4) * breaks_even


def test_replicas_catch_a_cheat_unless_all_of_them_are_its_own() -> None:
    report = cheat_report(Verification.REPLICATION, 100, 100, bond=200, checkpoints=32, replicas=3)
    assert report.caught == Ratio(10_000 - 33 * 33, 10_000)
    assert (report.draws, report.seats, report.wrong, report.loses) == (0, 0, 32, True)


def test_a_job_that_nobody_checks_says_how_often_its_requester_has_to_look() -> None:
    report = cheat_report(Verification.ACCEPTANCE, 100, 150, bond=300, checkpoints=32)
    assert Fraction(report.needed.above, report.needed.below) == Fraction(100, 250)
    assert report.caught.above == 0
    assert (report.loses, report.loss) == (False, 100)


def test_a_report_of_a_job_fits_its_record() -> None:
    report = cheat_report(
        Verification.AUDIT, 10**18, 10**18, bond=2 * 10**18, checkpoints=1_024, draws=3
    )
    wired = wire_of(terms.CheatReport, "report")
    assert wired.decode(wired.encode(report)) == report
