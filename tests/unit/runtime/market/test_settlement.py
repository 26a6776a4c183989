"""Settlement: every grain of an escrow and of a bond is accounted for in one event."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.balances import (
    DELEGATION_POT,
    INSURANCE,
    STAKERS_POT,
    TREASURY,
    BurnCause,
    FreezeReason,
    HoldReason,
    MintCause,
)
from runtime.market import terms
from runtime.market.nouns import NOBODY, Fault, Outcome
from runtime.market.waterfalls import AttemptFailed, FeePaid, JobSettled
from runtime.primitives import AccountId
from tests.support.electorate import named
from tests.support.settlement import (
    CHALLENGER,
    CLASS,
    FREE,
    GRIST,
    OWNER,
    PERBILL,
    PROVIDER,
    REQUESTER,
    STAKER,
    Mill,
    make_spec,
)

SAVER = named("saver", 1)
NOTHING = FeePaid(0, 0, 0, 0, 0)
PEOPLE = (
    REQUESTER, PROVIDER, OWNER, CHALLENGER, STAKER,
    TREASURY, INSURANCE, STAKERS_POT, DELEGATION_POT,
)  # fmt: skip
FALSE = (Fault.WRONG_CHECKPOINT, Fault.FRAUD)


@pytest.fixture
def mill() -> Mill:
    return fresh()


def fresh() -> Mill:
    """A mill whose people exist, and whose insurance wants every premium."""
    mill = Mill()
    balances = mill.runtime.balances
    for who in (PROVIDER, OWNER, CHALLENGER, REQUESTER):
        balances.mint(MintCause.GENESIS, who, GRIST)
    balances.mint(MintCause.GENESIS, SAVER, 1_000_001 * GRIST)
    balances.hold(SAVER, HoldReason.ESCROW, 1_000_000 * GRIST)
    return mill


class Purse:
    """What everybody has at a moment, and what changed since."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self.before = {who: mill.owned(who) for who in PEOPLE}
        self.issued = mill.runtime.balances.total_issuance

    def __call__(self, who: AccountId) -> int:
        return self.mill.owned(who) - self.before[who]

    @property
    def burned(self) -> int:
        return self.issued - self.mill.runtime.balances.total_issuance

    def check_closed(self) -> None:
        """Nobody else has anything of it."""
        assert sum(self(who) for who in PEOPLE) == -self.burned


# The good end


def test_a_settled_job_pays_provider_datasets_and_fee_to_the_grain(mill: Mill) -> None:
    mill.dataset(4, 6 * GRIST, OWNER)
    spec, job = mill.job(94 * GRIST, make_spec([4]))
    purse = Purse(mill)
    told = mill.settle(spec, job)
    fee = FeePaid(GRIST, 400_000_000, 300_000_000, 300_000_000, 0)
    assert told == JobSettled(
        id_=1,
        attempt=0,
        payer=REQUESTER,
        provider=PROVIDER,
        escrow=102 * GRIST,
        earned=94 * GRIST,
        royalties=6 * GRIST,
        fee=fee,
        left=0,
        emission=1_700_000_000 * 8 // 10,
    )
    assert purse(REQUESTER) == -102 * GRIST
    assert purse(PROVIDER) + purse(DELEGATION_POT) == 94 * GRIST
    assert purse(OWNER) == 6 * GRIST
    assert (purse(TREASURY), purse(INSURANCE), purse(STAKERS_POT)) == fee_parts(fee)
    assert purse.burned == GRIST
    assert mill.runtime.balances.burned[BurnCause.JOB_FEE] == GRIST
    purse.check_closed()
    assert mill.datasets.uses == [(4, 1, 6 * GRIST)]
    assert mill.reputation.settled == [(PROVIDER, REQUESTER, GRIST)]
    assert mill.runtime.emission.burned_job_fees[mill.era] == GRIST
    assert mill.runtime.staking.fees_owed == 300_000_000
    assert mill.rewards.premiums[REQUESTER] == 300_000_000
    mill.next()


def fee_parts(fee: FeePaid) -> tuple[int, int, int]:
    return fee.treasury, fee.insurance, fee.stakers


def test_what_was_not_needed_stays_with_the_payer(mill: Mill) -> None:
    spec, job = mill.job(50 * GRIST, audit_fee=9 * GRIST)
    job = replace(job, audit_left=5 * GRIST, escrow=job.escrow - 4 * GRIST)
    purse = Purse(mill)
    told = mill.settle(spec, job)
    assert told.left == 5 * GRIST
    assert purse(REQUESTER) == -51 * GRIST


def test_the_whole_discount_makes_the_fee_a_fifth_lower(mill: Mill) -> None:
    mill.reputation.discounts[STAKER] = PERBILL // 5
    spec, job = mill.job(350 * GRIST, payer=STAKER, requester=STAKER)
    told = mill.settle(spec, job)
    assert told.fee == FeePaid(
        3_500_000_000, 600_000_000, 1_050_000_000, 450_000_000, 1_400_000_000
    )
    assert told.left == 1_400_000_000
    mill.next()


def test_a_stake_that_is_not_known_to_have_been_there_takes_nothing_off(mill: Mill) -> None:
    assert mill.runtime.staking.active_stake(STAKER) == 100_000 * GRIST
    told = mill.settle(*mill.job(350 * GRIST, payer=STAKER, requester=STAKER))
    assert told.fee.discount == 0


def test_the_discount_is_the_requesters_whoever_pays(mill: Mill) -> None:
    mill.reputation.discounts[REQUESTER] = PERBILL // 10
    told = mill.settle(*mill.job(350 * GRIST, payer=STAKER))
    assert told.fee.discount == 700_000_000


def test_royalties_go_by_the_prices_of_the_datasets(mill: Mill) -> None:
    mill.dataset(1, 7, OWNER)
    mill.dataset(2, 14 * GRIST, OWNER)
    mill.dataset(3, 0, OWNER)
    told = mill.settle(*mill.job(50 * GRIST, make_spec([1, 2, 3])))
    assert mill.datasets.uses == [(1, 1, 7), (2, 1, 14 * GRIST)]
    assert told.royalties == 14 * GRIST + 7


def test_without_stakers_their_part_is_the_treasurys(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(mill.runtime.staking), "is_enabled", False)
    purse = Purse(mill)
    mill.settle(*mill.job(50 * GRIST))
    assert purse(TREASURY) == 350_000_000
    assert purse(STAKERS_POT) == mill.runtime.staking.fees_owed == 0


def test_a_premium_above_the_target_is_burned_but_counts_for_no_emission(mill: Mill) -> None:
    mill.runtime.balances.release(SAVER, HoldReason.ESCROW, 1_000_000 * GRIST)
    mill.runtime.balances.mint(MintCause.GENESIS, INSURANCE, 100_000 * GRIST)
    mill.settle(*mill.job(50 * GRIST))
    assert mill.runtime.balances.burned[BurnCause.PREMIUM] == 150_000_000
    assert mill.runtime.emission.burned_job_fees[mill.era] == 500_000_000


def test_an_organisation_pays_and_its_member_is_the_requester(mill: Mill) -> None:
    org = named("organisation", 1)
    told = mill.settle(*mill.job(50 * GRIST, payer=org))
    assert told.payer == org
    assert mill.reputation.settled == [(PROVIDER, REQUESTER, 500_000_000)]


# The bad end


def test_who_is_late_is_paid_for_what_was_accepted_and_loses_half_of_the_rest(mill: Mill) -> None:
    mill.dataset(1, 32 * GRIST, OWNER)
    spec, job = mill.job(320 * GRIST, make_spec([1], units=320_000), accepted=8)
    mill.providers.lock(1, PROVIDER, 320 * GRIST, 320 * GRIST)
    purse = Purse(mill)
    outcome, told = mill.fail(spec, job, Fault.LATE)
    assert told == AttemptFailed(
        id_=1,
        attempt=0,
        payer=REQUESTER,
        provider=PROVIDER,
        fault=Fault.LATE,
        challenger=NOBODY,
        done=8,
        whole=32,
        escrow=359_040_000_000,
        earned=80 * GRIST,
        royalties=8 * GRIST,
        fee=FeePaid(880_000_000, 352_000_000, 264_000_000, 264_000_000, 0),
        left=359_040_000_000 - 88 * GRIST - 1_760_000_000,
        bond=640 * GRIST,
        slash=240 * GRIST,
        extra=60 * GRIST,
        fees=1_496_000_000,
        restored=0,
        bounty=0,
        insurance=178_504_000_000 * 3 // 10,
        burned=178_504_000_000 - 178_504_000_000 * 3 // 10,
        security=0,
        claimed=0,
        emission=1_496_000_000 * 8 // 10,
    )
    assert outcome == Outcome(
        escrow=told.left + 60 * GRIST,
        dataset_fees=24 * GRIST,
        audit_fee=0,
        compensation=60 * GRIST,
    )
    assert mill.runtime.balances.held(REQUESTER, HoldReason.ESCROW) == outcome.escrow
    assert mill.providers.bonds[1].own == 80 * GRIST, "own money is lost first"
    assert mill.providers.bonds[1].delegated == 320 * GRIST
    assert purse(PROVIDER) + purse(DELEGATION_POT) == 80 * GRIST - 240 * GRIST
    assert mill.runtime.balances.burned[BurnCause.WORK_SLASH] == told.burned
    purse.check_closed()
    mill.providers.release(1)
    mill.next()


@pytest.mark.parametrize("fault", FALSE)
def test_a_false_result_voids_all_payment_and_costs_the_whole_bond(
    mill: Mill, fault: Fault
) -> None:
    spec, job = mill.job(100 * GRIST, accepted=31)
    mill.providers.lock(1, PROVIDER, 150 * GRIST, 50 * GRIST)
    purse = Purse(mill)
    outcome, told = mill.fail(spec, job, fault, CHALLENGER)
    assert (told.earned, told.fee, told.done) == (0, NOTHING, 0)
    assert (told.slash, told.bounty) == (200 * GRIST, 40 * GRIST)
    assert told.left == outcome.escrow == 102 * GRIST
    assert purse(CHALLENGER) == 40 * GRIST
    assert purse(REQUESTER) == 0
    assert purse(INSURANCE) == 48 * GRIST
    assert purse.burned == 112 * GRIST
    assert mill.providers.bonds[1].own == mill.providers.bonds[1].delegated == 0
    is_fraud = fault is Fault.FRAUD
    assert mill.providers.slashed == [(PROVIDER, 300_000_000)] * is_fraud
    assert told.security == 77 * is_fraud
    assert mill.reputation.settled == []
    purse.check_closed()


def test_a_challenger_of_the_same_owner_gets_no_bounty(mill: Mill) -> None:
    mill.providers.families.append({PROVIDER, CHALLENGER})
    spec, job = mill.job(100 * GRIST)
    mill.providers.lock(1, PROVIDER, 200 * GRIST)
    _, told = mill.fail(spec, job, Fault.WRONG_CHECKPOINT, CHALLENGER)
    assert told.bounty == 0
    assert told.insurance + told.burned == 200 * GRIST


def test_a_bond_gives_the_next_attempt_the_audits_that_convicted(mill: Mill) -> None:
    spec, job = mill.job(100 * GRIST, audit_fee=12 * GRIST)
    job = replace(job, audit_left=3 * GRIST, escrow=job.escrow - 9 * GRIST)
    mill.runtime.balances.burn_held(BurnCause.JOB_FEE, REQUESTER, HoldReason.ESCROW, 9 * GRIST)
    mill.providers.lock(1, PROVIDER, 200 * GRIST)
    outcome, told = mill.fail(spec, job, Fault.WRONG_CHECKPOINT)
    assert told.fees == told.restored == 9 * GRIST - 1, "a grain stays lost: no failure is free"
    assert outcome.audit_fee == 12 * GRIST - 1
    assert outcome.escrow == mill.runtime.balances.held(REQUESTER, HoldReason.ESCROW)
    assert outcome.compensation == 0


def test_a_dear_reference_price_pays_for_a_dearer_provider(mill: Mill) -> None:
    mill.units.price = 4_000_000
    spec, job = mill.job(100 * GRIST, accepted=0)
    mill.providers.lock(1, PROVIDER, 200 * GRIST)
    outcome, told = mill.fail(spec, job, Fault.OFFLINE)
    assert spec.units * mill.units.price * 5 // 4 == 160 * GRIST
    assert told.extra == outcome.compensation == 50 * GRIST, "half of what was not paid"
    assert outcome.escrow == told.left + 50 * GRIST


def test_an_attempt_is_measured_by_what_it_had_to_do(mill: Mill) -> None:
    spec, job = mill.job(60 * GRIST, first_checkpoint=20, accepted=26, attempt=1)
    mill.providers.lock(1, PROVIDER, 120 * GRIST)
    _, told = mill.fail(spec, job, Fault.OFFLINE)
    assert (told.done, told.whole, told.earned) == (6, 12, 30 * GRIST)
    assert told.slash == 30 * GRIST


def test_a_frozen_payer_gets_no_compensation_and_the_failure_goes_on(mill: Mill) -> None:
    mill.units.price = 4_000_000
    spec, job = mill.job(100 * GRIST)
    mill.providers.lock(1, PROVIDER, 200 * GRIST)
    mill.runtime.balances.freeze(REQUESTER, FreezeReason.VESTING, 500 * GRIST)
    purse = Purse(mill)
    outcome, told = mill.fail(spec, job, Fault.WRONG_CHECKPOINT)
    assert (told.extra, told.slash, outcome.compensation) == (0, 200 * GRIST, 0)
    assert outcome.escrow == job.escrow
    assert purse(INSURANCE) == 60 * GRIST
    purse.check_closed()


def test_without_a_bond_a_failure_costs_nothing_and_pays_what_was_accepted(mill: Mill) -> None:
    spec, job = mill.job(32 * GRIST, accepted=16)
    _, told = mill.fail(spec, job, Fault.LATE)
    assert (told.bond, told.slash, told.earned) == (0, 0, 16 * GRIST)


def test_insurance_owes_the_fees_that_no_bond_gave_back(mill: Mill) -> None:
    spec, job = mill.job(320 * GRIST, accepted=31)
    mill.rewards.note_premium(REQUESTER, 10)
    _, told = mill.fail(spec, job, Fault.LATE)
    lost = told.fee.burned + told.fee.treasury + told.fee.insurance
    claim = mill.runtime.insurance.claims[0]
    assert told.claimed == claim.amount == lost
    assert claim.beneficiary == REQUESTER
    assert claim.cause == b"job/\x01\x00\x00\x00" + bytes(24)


@pytest.mark.parametrize(
    ("premiums", "claimed"), [(0, 0), (100_000_000, 5 * GRIST), (900_000_000, 10 * GRIST)]
)
def test_insurance_owes_no_more_than_a_tenth_and_fifty_premiums(
    mill: Mill, premiums: int, claimed: int
) -> None:
    spec, job = mill.job(100 * GRIST, audit_fee=50 * GRIST)
    job = replace(job, audit_left=0, escrow=102 * GRIST)
    mill.rewards.note_premium(REQUESTER, premiums)
    _, told = mill.fail(spec, job, Fault.WRONG_CHECKPOINT)
    assert told.claimed == claimed
    _, told = mill.fail(spec, job, Fault.WRONG_CHECKPOINT)
    assert told.claimed == 0, "that was for the job, not for each of its attempts"
    mill.next()


def test_two_attempts_that_lost_little_are_both_insured(mill: Mill) -> None:
    mill.rewards.note_premium(REQUESTER, GRIST)
    spec, job = mill.job(100 * GRIST, audit_fee=9 * GRIST)
    job = replace(job, audit_left=3 * GRIST, escrow=job.escrow - 6 * GRIST)
    claims = [mill.fail(spec, job, Fault.WRONG_CHECKPOINT)[1].claimed for _ in range(3)]
    assert claims == [6 * GRIST - 1, 4 * GRIST + 1, 0]


def test_a_slash_ends_the_tenure_of_a_provider(mill: Mill) -> None:
    mill.settle(*mill.job(100 * GRIST))
    mill.next_era()
    spec, job = mill.job(100 * GRIST)
    mill.settle(spec, job)
    assert mill.rewards.tenures[PROVIDER].mean > 0
    mill.providers.lock(1, PROVIDER, 200 * GRIST)
    mill.fail(spec, job, Fault.LATE)
    assert mill.rewards.tenures[PROVIDER].mean == 0


# Whatever the numbers


@st.composite
def cases(draw: Any) -> dict[str, int]:
    """A job at a moment: price, bond, what was accepted, what audits cost so far."""
    first = draw(st.integers(0, 31))
    price = draw(st.integers(1, 10**15))
    audit = draw(st.integers(0, 10**13))
    return {
        "price": price,
        "first": first,
        "accepted": draw(st.integers(first, 32)),
        "own": draw(st.integers(0, 3 * 10**15)),
        "delegated": draw(st.integers(0, 10**15)),
        "audit": audit,
        "spent": draw(st.integers(0, audit)),
        "reference": draw(st.integers(1, 10**11)),
        "data": draw(st.integers(0, 10**13)),
    }


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from(Fault), st.booleans(), st.booleans())
def test_a_failure_adds_up_and_enriches_nobody(
    case: dict[str, int], fault: Fault, has_challenger: bool, is_own: bool
) -> None:
    mill = fresh()
    mill.units.price = case["reference"]
    mill.dataset(1, case["data"], OWNER)
    if is_own:
        mill.providers.families.append({PROVIDER, CHALLENGER})
    spec, job = mill.job(
        case["price"],
        make_spec([1], program=FREE),
        audit_fee=case["audit"],
        first_checkpoint=case["first"],
        accepted=case["accepted"],
    )
    spent = case["spent"]
    mill.runtime.balances.burn_held(BurnCause.JOB_FEE, REQUESTER, HoldReason.ESCROW, spent)
    job = replace(job, audit_left=job.audit_fee - spent, escrow=job.escrow - spent)
    mill.providers.lock(1, PROVIDER, case["own"], case["delegated"])
    purse = Purse(mill)
    outcome, told = mill.fail(spec, job, fault, CHALLENGER if has_challenger else None)
    fee = told.fee
    fees_paid = fee.burned + fee.treasury + fee.insurance + fee.stakers
    assert told.escrow == told.earned + told.royalties + fees_paid + told.left
    parts = (told.extra, told.fees, told.bounty, told.insurance, told.burned)
    assert told.slash == sum(parts) <= told.bond == case["own"] + case["delegated"]
    assert 2 * (told.insurance + told.burned) >= told.slash
    assert outcome.escrow == told.left + told.extra + told.restored
    assert mill.runtime.balances.held(REQUESTER, HoldReason.ESCROW) == outcome.escrow
    purse.check_closed()
    # What a requester ever gains from a failure is less than what it paid for the job
    gain = told.fees + told.claimed
    assert gain < fees_paid + spent or gain == 0
    # All together, requester, provider, delegators and challenger lose half of the slash
    everybody = (REQUESTER, PROVIDER, DELEGATION_POT, CHALLENGER, OWNER)
    assert 2 * sum(purse(who) for who in everybody) <= -told.slash
    bond = mill.providers.bonds[1]
    assert bond.own + bond.delegated == told.bond - told.slash


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 10**15),
    st.lists(st.integers(0, 10**12), max_size=4),
    st.integers(0, PERBILL // 5),
)
def test_a_settled_escrow_adds_up(price: int, data: list[int], discount: int) -> None:
    mill = fresh()
    mill.reputation.discounts[STAKER] = discount
    for number, dear in enumerate(data):
        mill.dataset(number, dear, OWNER)
    spec, job = mill.job(price, make_spec(range(len(data))), requester=STAKER)
    purse = Purse(mill)
    told = mill.settle(spec, job)
    fee = told.fee
    parts = fee.burned + fee.treasury + fee.insurance + fee.stakers
    assert told.escrow == told.earned + told.royalties + parts + told.left
    assert parts + fee.discount == terms.protocol_fee(price + sum(data))
    assert purse(OWNER) == sum(data)
    assert purse(REQUESTER) == told.left - told.escrow
    purse.check_closed()


def test_the_class_of_the_bench_has_the_price_that_the_tests_count_with() -> None:
    assert CLASS.reference == 1_000_000
