"""Insurance: premiums in, claims out, in proportion when short, never below zero."""

import pytest

from runtime.balances import INSURANCE, BurnCause, HoldReason, MintCause
from runtime.balances.nouns import HoldTooSmall
from runtime.insurance import CLAIM_ERAS, Claim, Insurance
from tests.support.governance import GRIST, Polls
from tests.support.runtime import person, stranger

ALICE, BOB, CHARLIE = person("Alice"), person("Bob"), person("Charlie")
JOB = b"j" * 32


@pytest.fixture
def polls() -> Polls:
    """Two hundred thousand in escrow: the fund wants ten thousand."""
    polls = Polls()
    polls.runtime.balances.hold(ALICE, HoldReason.ESCROW, 200_000 * GRIST)
    return polls


def fund(polls: Polls) -> Insurance:
    return polls.runtime.insurance


def fill(polls: Polls, amount: int) -> None:
    polls.runtime.balances.hold(BOB, HoldReason.DEPOSIT, amount)
    fund(polls).pay_held_premium(BOB, HoldReason.DEPOSIT, amount)


def test_a_premium_fills_the_fund_and_the_rest_is_burned(polls: Polls) -> None:
    before = polls.chain.free(BOB)
    fill(polls, 8_000 * GRIST)
    fill(polls, 5_000 * GRIST)
    assert before - polls.chain.free(BOB) == 13_000 * GRIST
    assert fund(polls).fund() == polls.chain.free(INSURANCE) == 10_000 * GRIST
    assert polls.runtime.balances.burned[BurnCause.PREMIUM] == 3_000 * GRIST
    assert fund(polls).premiums == 10_000 * GRIST
    polls.next()


def test_a_premium_of_held_money_fills_the_fund_and_the_rest_is_burned(polls: Polls) -> None:
    balances, before = polls.runtime.balances, polls.chain.free(ALICE)
    fund(polls).pay_held_premium(ALICE, HoldReason.ESCROW, 8_000 * GRIST)
    assert fund(polls).fund() == 8_000 * GRIST
    fund(polls).pay_held_premium(ALICE, HoldReason.ESCROW, 5_000 * GRIST)
    # What is paid lowers open escrow, and with it the target: 5 % of 192,000
    assert fund(polls).fund() == fund(polls).premiums == 9_600 * GRIST
    assert balances.burned[BurnCause.PREMIUM] == 3_400 * GRIST
    assert balances.held(ALICE, HoldReason.ESCROW) == 187_000 * GRIST
    assert polls.chain.free(ALICE) == before
    with pytest.raises(HoldTooSmall):
        fund(polls).pay_held_premium(ALICE, HoldReason.WORK_BOND, GRIST)
    polls.next()


def test_claims_are_paid_at_the_start_of_an_era(polls: Polls) -> None:
    fill(polls, 10_000 * GRIST)
    number, before = fund(polls).claim(JOB, CHARLIE, 200 * GRIST), polls.chain.free(CHARLIE)
    polls.next()
    assert polls.chain.free(CHARLIE) == before
    polls.next_era()
    assert polls.chain.free(CHARLIE) - before == 200 * GRIST
    assert number not in fund(polls).claims
    assert fund(polls).first_waiting == 1


def test_claims_beyond_the_part_of_an_era_share_it_in_proportion(polls: Polls) -> None:
    fill(polls, 10_000 * GRIST)
    for number, amount in enumerate((600, 1_400)):
        polls.runtime.balances.mint(MintCause.GENESIS, stranger(number), GRIST)
        fund(polls).claim(JOB, stranger(number), amount * GRIST)
    polls.next_era()
    assert [polls.chain.free(stranger(n)) for n in (0, 1)] == [151 * GRIST, 351 * GRIST]
    while fund(polls).first_waiting < 2:
        polls.next_era()
    assert [polls.chain.free(stranger(n)) for n in (0, 1)] == [601 * GRIST, 1_401 * GRIST]
    assert fund(polls).paid_out == 2_000 * GRIST


def test_a_fund_without_money_pays_nothing_and_claims_lapse_as_a_recorded_loss(
    polls: Polls,
) -> None:
    CLAIM_ERAS.begin(polls.runtime.ctx, CLAIM_ERAS.low)
    number = fund(polls).claim(JOB, CHARLIE, 200 * GRIST)
    polls.until(fund(polls).claims[number].expires)
    polls.next_era()
    assert number not in fund(polls).claims
    assert fund(polls).lost == 200 * GRIST
    assert polls.chain.free(INSURANCE) == 0


def test_an_account_that_cannot_take_so_little_waits_for_more(polls: Polls) -> None:
    fill(polls, 10_000 * GRIST)
    fund(polls).claim(JOB, stranger(1), 10**5)
    polls.next_era()
    assert fund(polls).claims[0].paid == 0
    polls.runtime.balances.mint(MintCause.GENESIS, stranger(1), GRIST)
    polls.next_era()
    assert 0 not in fund(polls).claims
    assert fund(polls).paid_out == 10**5


def test_the_guard_sees_money_that_left_without_a_claim(polls: Polls) -> None:
    fill(polls, 100 * GRIST)
    assert all(guard.holds for guard in fund(polls).guards())
    polls.runtime.balances.move(0, INSURANCE, BOB, 1, keep_alive=False)
    assert [guard.holds for guard in fund(polls).guards()] == [False]
    polls.runtime.balances.move(0, BOB, INSURANCE, 1, keep_alive=True)


def test_invariants_see_claims_that_do_not_add_up(polls: Polls) -> None:
    fund(polls).claims[0] = Claim(JOB, BOB, 5, 6, 1)
    broken = [check.sentence for check in fund(polls).invariants() if not check.holds]
    assert broken == [
        "claim 0 is owed more",
        "claim 0 was counted",
        "what waiting claims were paid is in the total",
    ]
    del fund(polls).claims[0]


def test_claims_that_ended_between_others_are_passed_over(polls: Polls) -> None:
    fill(polls, 10_000 * GRIST)
    fund(polls).claim(JOB, stranger(1), 10**5)
    fund(polls).claim(JOB, CHARLIE, GRIST)
    fund(polls).claim(JOB, stranger(1), 10**5)
    polls.next_era()
    assert sorted(number for number, _ in fund(polls).claims.items()) == [0, 2]
    assert fund(polls).first_waiting == 0
    polls.runtime.balances.mint(MintCause.GENESIS, stranger(1), GRIST)
    polls.next_era()
    assert list(fund(polls).claims.items()) == []
    assert fund(polls).first_waiting == 3
