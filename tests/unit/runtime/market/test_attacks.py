"""Attacks on the market as a whole, each with what it comes to: real modules, real money."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from math import comb

import pytest

from ext import hashing
from runtime.balances import TREASURY, BurnCause, HoldReason, MintCause, MoveCause
from runtime.market import terms
from runtime.market.credits import PriceUnknown
from runtime.market.jobs.nouns import FailedBefore, WrongReveal, WrongState
from runtime.market.nouns import Fault, JobSpec, JobState, Reason, Verification
from runtime.market.oracle.nouns import ReporterSuspended
from runtime.market.providers.refusals import Leaving, NothingDue, NoticeRuns
from runtime.market.trees import Branch, branch_of, tree_root
from runtime.market.verification.numbers import CANARY_SLASH, SILENCE_ERAS, SILENT_SLASH
from runtime.market.verification.records import CanaryPlan, StepProof, canary_leaf
from runtime.primitives import AccountId
from tests.support.bazaar import (
    DATA_PRICE,
    PANEL,
    PRICE,
    SKIPPED,
    VERIFIER_BOND,
    Bazaar,
    cheated,
    honest,
    trained,
)
from tests.support.governance import as_root
from tests.support.jobs import ANN, BEN, CLEO, DAN, GRIST, OTHER, REQUESTER, Key, spec_of
from tests.support.runtime import person
from tests.support.verification import PLAN, SET, Bench

PERBILL = 10**9
ERA = 8
MANAGER = person("Eve")


def wealth(fair: Bazaar, ring: Iterable[AccountId]) -> int:
    return sum(fair.owned(who) for who in ring)


# Wash trading

LAST = 13 * ERA
"""A block by which the stakers' part of every fee here was paid out."""


@cache
def idle() -> dict[AccountId, int]:
    """What everybody has at the end of a chain on which nothing is sold."""
    fair = washing(is_audited=False)
    fair.until(LAST)
    return {who: fair.owned(who) for who in (REQUESTER.id, *PANEL)}


def washing(*, is_audited: bool) -> Bazaar:
    """A chain that emits, on which the requester sells work, owns the data, and asks for both."""
    fair = Bazaar(owner=REQUESTER, verifiers=3 * is_audited, is_emitting=True)
    fair.register(REQUESTER)
    return fair


def wash(fair: Bazaar, *, is_audited: bool) -> None:
    """The requester sells itself work on its own data, in two eras."""
    for _ in range(2):
        fair.until(fair.height + ERA - (fair.height - 1) % ERA)
        mode = Verification.AUDIT if is_audited else Verification.ACCEPTANCE
        id_ = fair.submit(trained(verification=mode))
        fair.take(id_, REQUESTER, PRICE)
        made = fair.post_result(id_, REQUESTER, honest())
        if is_audited:
            fair.wait_for_panel(id_)
            fair.hear(id_, made, {})
        else:
            fair.done(REQUESTER, "Jobs", "accept", id_)


@pytest.mark.parametrize(("stakers", "is_audited"), [(0, False), (1, False), (4, False), (0, True)])
def test_wash_trading_loses_at_any_stake_share(stakers: int, is_audited: bool) -> None:
    """One account asks, works and owns the data; its friends are `stakers` of four validators.

    Against the same chain without it, so that what its stake earns anyway does not count.
    """
    ring = (REQUESTER.id, *PANEL[:stakers])
    fair = washing(is_audited=is_audited)
    wash(fair, is_audited=is_audited)
    fair.until(LAST)
    assert fair.jobs.live_count == 0
    minted = fair.posted(MintCause.COMPUTE, MintCause.DATA)
    assert minted > 0
    fees = 2 * terms.protocol_fee(PRICE + DATA_PRICE)
    multiple = 3 if is_audited else Fraction(8, 10)
    assert minted <= fees * Fraction(85, 100) * multiple
    lost = sum(idle()[who] for who in ring) - wealth(fair, ring)
    # Burned, for the treasury and for insurance: 85 % of the fee at least, less 0.8 times that
    assert lost >= fees * Fraction(85, 100) * Fraction(2, 10)


# Disputes with oneself


@pytest.mark.parametrize("has_requester", [False, True])
def test_a_dispute_with_oneself_loses_half_of_the_bond(has_requester: bool) -> None:
    """The provider cheats, and a friend convicts it, with or without the requester's help."""
    fair = Bazaar()
    ring = (ANN.id, OTHER.id, REQUESTER.id)[: 2 + has_requester]
    before = wealth(fair, ring)
    id_, made = fair.trained_job(cheated(SKIPPED), ANN)
    bond = fair.providers.bond(id_)
    bounty = fair.owned(OTHER.id)
    fair.fight(fair.challenge(OTHER, id_), made, OTHER)
    fair.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    assert 0 < fair.owned(OTHER.id) - bounty <= bond.total // 5
    gone = fair.posted(BurnCause.WORK_SLASH) + fair.posted(MoveCause.COVER)
    assert gone >= bond.total - bond.total // 2
    fair.refused(FailedBefore, REQUESTER, "take_offer", id_, ANN.id)
    fair.done(REQUESTER, "Jobs", "cancel", id_)
    assert before - wealth(fair, ring) >= gone
    fair.all_is_released()
    fair.next()


def test_a_sham_dispute_burns_half_of_a_deposit_and_stops_nobody_else() -> None:
    fair = Bazaar()
    before = wealth(fair, (ANN.id, OTHER.id))
    id_, made = fair.trained_job(cheated(SKIPPED), ANN)
    sham = fair.challenge(OTHER, id_, 3)
    deposit = fair.held(OTHER, HoldReason.DEPOSIT)
    real = fair.challenge(REQUESTER, id_)
    fair.done(OTHER, "Disputes", "abandon", sham)
    assert before - wealth(fair, (ANN.id, OTHER.id)) == deposit // 2
    fair.fight(real, made, REQUESTER)
    fair.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    assert fair.held(REQUESTER, HoldReason.DEPOSIT) == fair.held(OTHER, HoldReason.DEPOSIT) == 0
    fair.next()


# Bids


def test_a_late_or_copied_bid_gains_nothing_and_one_that_stays_sealed_burns() -> None:
    fair = Bazaar(providers=4)
    before = {who: fair.owned(who.id) for who in (ANN, BEN, CLEO, DAN)}
    id_ = fair.submit(spec_of(max_price=100 * GRIST))
    fair.bid(ANN, 40 * GRIST, id_)
    copied = fair.jobs.bids[id_, ANN.id].commitment
    fair.done(BEN, "Jobs", "commit_bid", id_, copied)
    fair.bid(CLEO, 60 * GRIST, id_)
    fair.until(fair.job(id_).due)
    fair.reveal(ANN, 40 * GRIST, id_)
    fair.reveal(CLEO, 60 * GRIST, id_)
    # All is open now, and nobody can bid a grain less
    late = fair.jobs.bids[id_, CLEO.id].commitment
    fair.refused(WrongState, DAN, "commit_bid", id_, late)
    fair.refused(WrongReveal, BEN, "reveal_bid", id_, 40 * GRIST, ANN.seed)
    fair.refused(WrongReveal, BEN, "reveal_bid", id_, 39 * GRIST, BEN.seed)
    fair.until(fair.job(id_).due)
    fair.stands(JobState.MATCHED, id_=id_)
    assert (fair.job(id_).provider, fair.job(id_).price) == (ANN.id, 60 * GRIST)
    changes = {who: fair.owned(who.id) - had for who, had in before.items()}
    assert changes == {ANN: 0, BEN: -5 * GRIST, CLEO: 0, DAN: 0}
    assert fair.posted(BurnCause.LOST_DEPOSIT, source=BEN.id) == 5 * GRIST


def test_who_hides_a_bid_to_change_the_price_pays_for_it_more_than_the_price_moved() -> None:
    """Cleo leaves her bid sealed to let Ann's friend pay less: the requester saves, Cleo burns."""
    prices, burned = [], []
    for is_hidden in (False, True):
        fair = Bazaar()
        id_ = fair.submit(spec_of(max_price=100 * GRIST))
        for who, price in ((ANN, 40), (CLEO, 44)):
            fair.bid(who, price * GRIST, id_)
        fair.until(fair.job(id_).due)
        fair.reveal(ANN, 40 * GRIST, id_)
        if not is_hidden:
            fair.reveal(CLEO, 44 * GRIST, id_)
        fair.until(fair.job(id_).due)
        prices.append(fair.job(id_).price)
        burned.append(fair.posted(BurnCause.LOST_DEPOSIT))
    assert prices == [44 * GRIST, 40 * GRIST]
    assert burned == [0, 5 * GRIST]


# Receipts


def equivocate(fair: Bazaar, id_: int, reporter: Key) -> None:
    left = fair.receipt(2, id_)
    right = replace(left, checkpoint_out=b"x" * 32)
    proof = (left, ANN.sign(left), right, ANN.sign(right))
    fair.done(reporter, "Jobs", "report_conflict", *proof)


def test_two_receipts_of_one_place_cost_the_bond_and_three_tenths_of_the_stake() -> None:
    """Ann has a tenth of all open value, so nothing is added for correlated fraud."""
    fair = Bazaar()
    other = fair.submit(spec_of(max_price=5_000 * GRIST))
    fair.take(other, BEN, 5_000 * GRIST)
    id_ = fair.submit(spec_of(max_price=PRICE))
    fair.take(id_, ANN, PRICE)
    bond, escrow = fair.providers.bond(id_), fair.job(id_).escrow
    had = {who: fair.owned(who.id) for who in (REQUESTER, OTHER)}
    equivocate(fair, id_, OTHER)
    fair.stands(JobState.OPEN, Reason.FRAUD, id_)
    assert fair.providers.bond(id_) is None
    assert fair.held(ANN, HoldReason.WORK_BOND) == 0
    assert fair.held(ANN, HoldReason.SECURITY) == 20_000 * GRIST * 7 // 10
    assert fair.job(id_).escrow >= escrow
    assert fair.owned(REQUESTER.id) - had[REQUESTER] == fair.job(id_).escrow - escrow
    assert fair.owned(OTHER.id) - had[OTHER] == bond.total // 5
    fair.next()


def test_a_provider_that_is_all_of_the_market_loses_all_of_its_stake_for_a_fraud() -> None:
    fair = Bazaar()
    id_ = fair.submit(spec_of(max_price=PRICE))
    fair.take(id_, ANN, PRICE)
    before = wealth(fair, (ANN.id, OTHER.id))
    bond = fair.providers.bond(id_).total
    equivocate(fair, id_, OTHER)
    assert fair.held(ANN, HoldReason.SECURITY) == 0
    assert before - wealth(fair, (ANN.id, OTHER.id)) >= 20_000 * GRIST + bond // 2
    fair.next()


# The oracle

REPORTERS = (*PANEL, person("Eve"))
DOLLAR = 1_000_000


def appoint(fair: Bazaar) -> None:
    fair.mint(TREASURY, 1_000 * GRIST)
    for who in REPORTERS:
        assert as_root(fair.chain, "Oracle", "admit", who) is None
        fair.act(who, "Oracle", "join")


def report(fair: Bazaar, *prices: int) -> int:
    """All report, the last price is everybody's else; gives the price that counts."""
    for number, who in enumerate(REPORTERS):
        fair.act(who, "Oracle", "report", prices[min(number, len(prices) - 1)], ())
    price: int | None = fair.market.oracle.price()
    assert price is not None
    return price


def test_a_spike_of_one_reporter_moves_nothing_and_suspends_it_and_of_all_a_hundredth() -> None:
    fair = Bazaar()
    appoint(fair)
    assert report(fair, DOLLAR) == DOLLAR
    for _ in range(3):
        fair.next(50)
        assert report(fair, 10 * DOLLAR, DOLLAR) == DOLLAR
    suspended = ReporterSuspended(REPORTERS[0], fair.runtime.parameters.era() + 2)
    assert suspended.encode() in fair.runtime.ctx.events
    fair.next(50)
    assert DOLLAR < report(fair, 10 * DOLLAR) <= DOLLAR * 101 // 100


def test_while_the_oracle_is_out_only_what_is_in_dollars_waits() -> None:
    fair = Bazaar()
    appoint(fair)
    report(fair, DOLLAR)
    fair.done(REQUESTER, "Credits", "buy", 100 * GRIST)
    fair.next(95)
    usd = 40 * DOLLAR
    spec = trained(max_price=100 * GRIST)
    paid = fair.submit(spec, usd=usd)
    fair.take(paid, ANN, 100 * GRIST)
    made = fair.post_result(paid, ANN, honest())
    fair.wait_for_panel(paid)
    assert fair.market.oracle.price() is None
    fair.refused(PriceUnknown, REQUESTER, "submit", spec, None, usd, None)
    fair.barred(PriceUnknown, REQUESTER, "Credits", "buy", GRIST)
    # What was paid with credits is audited and settles, and what is in GRIST begins and ends
    fair.stands(JobState.WINDOW, id_=paid)
    fair.hear(paid, made, {})
    fair.until(fair.job(paid).due + 2)
    fair.stands(JobState.SETTLED, Reason.AUDIT_PASSED, paid)
    assert fair.posted(MoveCause.JOB) == 100 * GRIST
    id_, made = fair.trained_job(honest(), ANN)
    fair.wait_for_panel(id_)
    fair.hear(id_, made, {})
    fair.until(fair.job(id_).due + 2)
    fair.stands(JobState.SETTLED, Reason.AUDIT_PASSED, id_)
    fair.all_is_released()
    assert report(fair, DOLLAR) == DOLLAR
    fair.submit(spec, usd=DOLLAR)


# Verifiers


def test_a_silent_verifier_pays_and_is_drawn_no_more() -> None:
    fair = Bazaar(verifiers=4)
    id_, made = fair.trained_job(honest(), ANN)
    panel = fair.wait_for_panel(id_)
    silent = panel[0]
    fair.hear(id_, made, {silent: None})
    out_until = fair.runtime.parameters.era() + 1 + SILENCE_ERAS.read(fair.runtime.ctx)
    assert fair.checks.verifiers[silent].out_until == out_until
    lost = VERIFIER_BOND * SILENT_SLASH.read(fair.runtime.ctx) // PERBILL
    assert fair.checks.verifiers[silent].bond == VERIFIER_BOND - lost == 4_975 * GRIST
    # Two of three are no verdict: a larger panel, without the silent one
    again = fair.wait_for_panel(id_)
    assert set(again) == set(PANEL) - {silent}
    fair.hear(id_, made, {})
    assert fair.job(id_).reason is Reason.AUDIT_PASSED
    assert fair.posted(MoveCause.AUDIT) == fair.job(id_).audit_fee - fair.job(id_).audit_left
    fair.next()


def plant(fair: Bazaar) -> tuple[JobSpec, CanaryPlan, Branch, int]:
    """A named manager commits to a canary, and the requester submits it as any job."""
    assert as_root(fair.chain, "Verification", "name_manager", MANAGER, True) is None
    fair.act(MANAGER, "Verification", "bond_manager")
    spec = trained()
    digest = hashing.blake2b_256(JobSpec.wire.encode(spec))
    plan = CanaryPlan(REQUESTER.id, digest, b"s" * 32)
    leaves = [canary_leaf(MANAGER, plan)]
    era = fair.runtime.parameters.era()
    fair.act(MANAGER, "Verification", "commit_canaries", tree_root(leaves), 1)
    fair.next()
    return spec, plan, branch_of(leaves, 0), era


def test_a_panel_that_passes_a_canary_unread_loses_a_tenth_and_nobody_is_paid_for_the_fault() -> (
    None
):
    fair = Bazaar()
    spec, plan, branch, era = plant(fair)
    id_ = fair.submit(spec)
    fair.take(id_, ANN, PRICE)
    lie = cheated(SKIPPED)
    made = fair.post_result(id_, ANN, lie)
    panel = fair.wait_for_panel(id_)
    fair.hear(id_, made, dict.fromkeys(panel, lie))
    assert fair.job(id_).reason is Reason.AUDIT_PASSED
    ballot = fair.checks.ballots[id_]
    checkpoint = ballot.passes[0].checkpoint
    fair.act(MANAGER, "Verification", "tell_canary", era, plan, branch, id_)
    step = checkpoint * PLAN.steps_each
    states = lie.run_of(checkpoint).states
    shown = StepProof(
        0,
        lie.state_before(step),
        Branch(0, 1, ()),
        lie.state_after(step),
        branch_of(states, 0),
        lie.witness(step),
    )
    fair.act(MANAGER, "Verification", "prove_canary", id_, checkpoint, shown)
    share = CANARY_SLASH.read(fair.runtime.ctx)
    for who in panel:
        assert fair.checks.verifiers[who].bond == VERIFIER_BOND - VERIFIER_BOND * share // PERBILL
    fair.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    assert fair.posted(MoveCause.JOB) == 0
    assert fair.posted(MintCause.COMPUTE) == 0
    fair.act(MANAGER, "Verification", "resign_manager")
    fair.next()


# Collusion


@pytest.mark.parametrize("is_cheat", [False, True])
def test_a_third_of_a_panel_neither_convicts_nor_acquits(is_cheat: bool) -> None:
    """Panels are drawn three times, nobody is at fault, and the result can still be disputed."""
    fair = Bazaar()
    run, lie = (cheated(SKIPPED), cheated(SKIPPED)) if is_cheat else (honest(), cheated(SKIPPED))
    id_, made = fair.trained_job(run, ANN)
    bond = fair.providers.bond(id_)
    for round_ in range(3):
        panel = fair.wait_for_panel(id_)
        assert fair.audit(id_).round == round_
        fair.hear(id_, made, {panel[0]: lie})
    assert fair.checks.audits.find(id_) is None
    job = fair.job(id_)
    assert (job.state, job.cases) == (JobState.WINDOW, 0)
    assert fair.providers.bond(id_) == bond
    assert job.audit_left == job.audit_fee
    assert job.emission == terms.RECYCLED_MULTIPLE
    if is_cheat:
        fair.fight(fair.challenge(REQUESTER, id_), made, REQUESTER)
        fair.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, id_)
    else:
        fair.until(job.due + 2)
        assert fair.job(id_).state is JobState.SETTLED
        fair.all_is_released()
    fair.next()


def seats_won(seats: int, wanted: int, share: Fraction) -> Fraction:
    """How likely so many seats or more are those of a share of all bonds."""
    return sum(
        (comb(seats, k) * share**k * (1 - share) ** (seats - k) for k in range(wanted, seats + 1)),
        Fraction(0),
    )


def panel_odds(seats: int, share: Fraction) -> tuple[Fraction, Fraction]:
    """How likely up to three panels acquit a cheat whose friends have a share, or convict it."""
    acquitted = convicted = Fraction(0)
    open_ = Fraction(1)
    for size in (seats, seats + 2, seats + 4):
        wanted = 2 * size // 3 + 1
        won, lost = seats_won(size, wanted, share), seats_won(size, wanted, 1 - share)
        acquitted, convicted = acquitted + open_ * won, convicted + open_ * lost
        open_ *= 1 - won - lost
    return acquitted, convicted


@pytest.mark.parametrize("seats", [3, 5, 7])
def test_with_a_third_of_all_bonds_a_two_thirds_panel_is_rare_and_cheating_loses_still(
    seats: int,
) -> None:
    """Draws count a fifth of chance away and a quarter on top: that bears a colluding third.

    draws = 1.25 P / (P + own) / 0.95, so cheating loses while panels convict 0.95 / 1.25 of what
    they look at.
    """
    third = Fraction(1, 3)
    assert seats_won(seats, 2 * seats // 3 + 1, third) < Fraction(5, 100)
    acquitted, convicted = panel_odds(seats, third)
    assert acquitted < Fraction(9, 100)
    assert convicted > Fraction(terms.CAUGHT_PERCENT, terms.MARGIN_PERCENT)
    assert panel_odds(seats, Fraction(1, 10))[1] > Fraction(94, 100)


def test_panels_are_drawn_as_the_computation_has_it() -> None:
    """Four of twelve equal bonds: a third of the seats on average, all three seats in 4 of 220."""
    bench = Bench(12)
    bench.next_era()
    friends = set(SET[:4])
    panels = [
        bench.module.draw(hashing.blake2b_256(bytes((n, m))), 3, (), before=bench.epoch)
        for n, m in product(range(20), range(50))
    ]
    won = [len(friends & set(panel)) for panel in panels]
    assert abs(sum(won) - len(panels)) < 80, "four standard deviations"
    expected = Fraction(comb(4, 3), comb(12, 3)) * len(panels)
    assert abs(won.count(3) - expected) < 17, "four standard deviations"


# Leaving


def test_who_leaves_while_it_runs_a_job_leaves_its_bond_and_stake_behind() -> None:
    fair = Bazaar()
    id_ = fair.submit(spec_of(max_price=PRICE))
    fair.take(id_, ANN, PRICE)
    bond = fair.providers.bond(id_)
    fair.done(ANN, "Providers", "leave")
    fair.barred(Leaving, ANN, "Providers", "deposit_security", GRIST)
    fair.next(2)
    fair.barred(NoticeRuns, BEN, "Providers", "retire", ANN.id)
    assert fair.providers.bond(id_) == bond
    assert fair.held(ANN, HoldReason.WORK_BOND) == bond.own
    # It stops working: what it left behind pays as if it had stayed
    had = fair.held(ANN, HoldReason.SECURITY)
    fair.until(fair.job(id_).heard + 21)
    fair.stands(JobState.OPEN, Reason.OFFLINE, id_)
    slash = terms.bond_slash(Fault.OFFLINE, bond.total, left=32, whole=32)
    assert slash == bond.total // 2
    taken = (BurnCause.WORK_SLASH, MoveCause.COVER, MoveCause.COMPENSATION)
    assert fair.posted(*taken, source=ANN.id) == slash
    fair.next(2 * ERA)
    assert fair.held(ANN, HoldReason.SECURITY) == had
    assert not fair.providers.is_registered(ANN.id)
    fair.barred(NothingDue, ANN, "Providers", "withdraw_security")
    fair.next(fair.providers.unbonding_eras() * ERA)
    fair.done(ANN, "Providers", "withdraw_security")
    assert fair.held(ANN, HoldReason.SECURITY) == 0


def test_who_leaves_and_finishes_is_paid_and_then_retires() -> None:
    fair = Bazaar()
    before = fair.owned(ANN.id)
    id_, made = fair.trained_job(honest(), ANN)
    fair.done(ANN, "Providers", "leave")
    fair.wait_for_panel(id_)
    fair.barred(NoticeRuns, BEN, "Providers", "retire", ANN.id)
    fair.hear(id_, made, {})
    fair.until(fair.job(id_).due + 2)
    fair.stands(JobState.SETTLED, Reason.AUDIT_PASSED, id_)
    fair.next(2 * ERA)
    assert not fair.providers.is_registered(ANN.id)
    burned = fair.posted(BurnCause.LOST_DEPOSIT, source=ANN.id)
    assert fair.owned(ANN.id) == before + PRICE - burned
    fair.all_is_released()
