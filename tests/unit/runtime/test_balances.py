"""Money: transfers, life and death of accounts, holds, freezes, module accounts."""

from pathlib import Path

import pytest

from runtime.balances import (
    EXISTENTIAL_DEPOSIT,
    FEE_POT,
    INSURANCE,
    TREASURY,
    BurnCause,
    FreezeReason,
    HoldReason,
    MintCause,
    MoveCause,
    Posting,
)
from runtime.balances import nouns as words
from runtime.frame.errors import CallError
from tests.support.runtime import Chain, assert_refused, person, stranger

ALICE, BOB = person("Alice"), person("Bob")
GRIST = 10**9
RICH = 10**6 * GRIST
NEW = stranger(1)


@pytest.fixture
def chain() -> Chain:
    chain = Chain.start("plain")
    chain.open()
    return chain


def test_a_transfer_moves_exactly_the_amount(chain: Chain) -> None:
    assert chain.apply(chain.transfer(BOB, 5 * GRIST), ALICE)
    assert chain.free(BOB) == RICH + 5 * GRIST
    chain.close()


def test_a_new_account_is_announced_and_lives(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.transfer(ALICE, NEW, EXISTENTIAL_DEPOSIT, keep_alive=True)
    events = chain.runtime.ctx.events
    assert [event[:2] for event in events] == [b"\x00\x03", b"\x05\x00", b"\x05\x02"]
    assert chain.runtime.ctx.state.account(NEW) == (0, 0, 1, 0, EXISTENTIAL_DEPOSIT, 0, 0, 1 << 127)
    assert chain.runtime.system.has_account(NEW)
    chain.close()


def test_an_account_that_falls_below_the_deposit_dies_and_its_dust_is_the_treasury_s(
    chain: Chain,
) -> None:
    balances = chain.runtime.balances
    balances.transfer(ALICE, NEW, 2 * EXISTENTIAL_DEPOSIT, keep_alive=True)
    before = chain.free(TREASURY)
    balances.transfer(NEW, BOB, EXISTENTIAL_DEPOSIT + 1, keep_alive=False)
    assert chain.runtime.ctx.state.account(NEW) is None
    assert chain.free(TREASURY) == before + EXISTENTIAL_DEPOSIT - 1
    assert words.DustLost(NEW, EXISTENTIAL_DEPOSIT - 1).encode() in chain.runtime.ctx.events
    chain.close()


def test_a_dead_account_keeps_its_nonce_so_that_nothing_is_replayed(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.transfer(ALICE, NEW, GRIST, keep_alive=True)
    assert chain.apply(chain.call("System", "remark", b""), NEW)
    assert chain.apply(chain.call("Balances", "transfer_all", BOB, False), NEW)
    assert chain.runtime.ctx.state.account(NEW) == (2, 0, 0, 0, 0, 0, 0, 0)
    assert not chain.runtime.system.has_account(NEW)
    balances.transfer(ALICE, NEW, GRIST, keep_alive=True)
    assert chain.runtime.ctx.state.account(NEW)[0] == 2
    chain.close()


def test_a_transfer_to_oneself_changes_nothing_but_is_told(chain: Chain) -> None:
    before = chain.runtime.ctx.state.root()
    chain.runtime.balances.transfer(ALICE, ALICE, GRIST, keep_alive=True)
    assert chain.runtime.ctx.state.root() == before
    assert chain.runtime.ctx.events == [words.Transfer(ALICE, ALICE, GRIST).encode()]


@pytest.mark.parametrize("keep_alive", [True, False])
def test_transfer_all_leaves_the_deposit_or_nothing(chain: Chain, keep_alive: bool) -> None:
    chain.runtime.balances.transfer(ALICE, NEW, 3 * GRIST, keep_alive=True)
    assert chain.apply(chain.call("Balances", "transfer_all", BOB, keep_alive), NEW)
    assert chain.free(NEW) == (EXISTENTIAL_DEPOSIT if keep_alive else 0)
    chain.close()


def test_burning_lowers_the_issuance_under_its_cause(chain: Chain) -> None:
    balances = chain.runtime.balances
    before = balances.total_issuance
    assert chain.apply(chain.call("Balances", "burn", 7 * GRIST, True), ALICE)
    assert (balances.total_issuance, balances.burned[BurnCause.OWNER]) == (
        before - 7 * GRIST,
        7 * GRIST,
    )
    chain.close()


def transfer(chain: Chain, target: bytes, value: int) -> bytes:
    return chain.call("Balances", "transfer_allow_death", target, value)


def test_what_cannot_be_paid_is_refused(chain: Chain) -> None:
    assert_refused(chain, transfer(chain, BOB, RICH + 1), words.InsufficientBalance)
    assert_refused(chain, transfer(chain, BOB, (1 << 128) - 1), words.InsufficientBalance)
    assert_refused(chain, transfer(chain, NEW, 1), words.InsufficientBalance, signer=stranger(2))
    assert_refused(
        chain, chain.call("Balances", "burn", RICH + 1, False), words.InsufficientBalance
    )


def test_too_little_for_a_new_account_is_refused(chain: Chain) -> None:
    assert_refused(chain, transfer(chain, NEW, EXISTENTIAL_DEPOSIT - 1), words.ExistentialDeposit)
    assert_refused(chain, transfer(chain, NEW, 0), words.ExistentialDeposit)


def test_closing_the_account_is_refused_where_it_must_live(chain: Chain) -> None:
    keep = chain.call("Balances", "transfer_keep_alive", BOB, RICH - EXISTENTIAL_DEPOSIT + 1)
    assert_refused(chain, keep, words.Expendability)
    assert_refused(chain, chain.call("Balances", "burn", RICH, True), words.Expendability)


def test_burning_nothing_is_refused(chain: Chain) -> None:
    assert_refused(chain, chain.call("Balances", "burn", 0, False), words.DeltaZero)


@pytest.mark.parametrize("account", [FEE_POT, TREASURY, INSURANCE])
def test_nobody_pays_into_an_account_of_the_chain(chain: Chain, account: bytes) -> None:
    for name in ("transfer_allow_death", "transfer_keep_alive"):
        assert_refused(chain, chain.call("Balances", name, account, GRIST), words.ProtectedAccount)
    assert_refused(
        chain, chain.call("Balances", "transfer_all", account, True), words.ProtectedAccount
    )


@pytest.mark.parametrize("account", [FEE_POT, TREASURY, INSURANCE])
def test_an_account_of_the_chain_is_never_reaped(chain: Chain, account: bytes) -> None:
    balances = chain.runtime.balances
    balances.mint(MintCause.GENESIS, account, 5)
    balances.move(MoveCause.TRANSFER, account, BOB, 5, keep_alive=True)
    assert chain.runtime.system.has_account(account)
    chain.close()


def test_frozen_money_stays_and_freezes_overlap(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.freeze(ALICE, FreezeReason.VESTING, RICH - 10 * GRIST)
    balances.freeze(ALICE, FreezeReason.VOTE, RICH - 20 * GRIST)
    assert balances.spendable(ALICE, keep_alive=False) == 10 * GRIST
    chain.runtime.ctx.take_events()
    assert_refused(chain, transfer(chain, BOB, 10 * GRIST + 1), words.LiquidityRestrictions)
    balances.freeze(ALICE, FreezeReason.VESTING, 0)
    assert balances.spendable(ALICE, keep_alive=False) == 20 * GRIST
    assert chain.runtime.ctx.events[-1] == words.Thawed(ALICE, RICH - 10 * GRIST).encode()
    chain.close()


def test_a_bound_account_cannot_be_closed(chain: Chain) -> None:
    chain.runtime.balances.hold(ALICE, HoldReason.DEPOSIT, GRIST)
    chain.runtime.ctx.take_events()
    assert_refused(chain, transfer(chain, BOB, RICH - GRIST), words.LiquidityRestrictions)
    assert chain.apply(transfer(chain, BOB, RICH - 2 * GRIST), ALICE)
    chain.close()


def test_held_money_counts_toward_a_freeze(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.hold(ALICE, HoldReason.STAKE, 100 * GRIST)
    balances.freeze(ALICE, FreezeReason.VESTING, 150 * GRIST)
    assert balances.spendable(ALICE, keep_alive=False) == RICH - 100 * GRIST - 50 * GRIST
    chain.close()


def test_holds_add_up_by_reason_and_are_released(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.hold(ALICE, HoldReason.STAKE, 3 * GRIST)
    balances.hold(ALICE, HoldReason.STAKE, 4 * GRIST)
    balances.hold(ALICE, HoldReason.ESCROW, GRIST)
    assert (balances.held(ALICE, HoldReason.STAKE), balances.held_totals[HoldReason.STAKE]) == (
        7 * GRIST,
        7 * GRIST,
    )
    balances.release(ALICE, HoldReason.STAKE, 7 * GRIST)
    assert [hold.id for hold in balances.holds[ALICE]] == [HoldReason.ESCROW]
    chain.close()


def test_held_money_can_be_taken(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.hold(ALICE, HoldReason.WORK_BOND, 5 * GRIST)
    balances.take_held(MoveCause.SLASH, ALICE, HoldReason.WORK_BOND, TREASURY, 2 * GRIST)
    assert (balances.held(ALICE, HoldReason.WORK_BOND), chain.free(TREASURY)) == (
        3 * GRIST,
        2 * GRIST,
    )
    balances.take_held(MoveCause.SLASH, ALICE, HoldReason.WORK_BOND, ALICE, 3 * GRIST)
    assert chain.free(ALICE) == RICH - 2 * GRIST
    chain.close()


def test_only_stake_is_held_out_of_frozen_money(chain: Chain) -> None:
    balances = chain.runtime.balances
    balances.freeze(ALICE, FreezeReason.VOTE, RICH - 10 * GRIST)
    with pytest.raises(words.LiquidityRestrictions):
        balances.hold(ALICE, HoldReason.ESCROW, 10 * GRIST + 1)
    balances.hold(ALICE, HoldReason.ESCROW, 6 * GRIST)
    with pytest.raises(words.LiquidityRestrictions):
        balances.hold(ALICE, HoldReason.WORK_BOND, 4 * GRIST + 1)
    balances.hold(ALICE, HoldReason.STAKE, 100 * GRIST)
    with pytest.raises(words.LiquidityRestrictions):
        balances.hold(ALICE, HoldReason.DEPOSIT, 4 * GRIST + 1)
    balances.hold(ALICE, HoldReason.DEPOSIT, 4 * GRIST)
    chain.close()


def test_held_money_is_paid_to_who_is_there_and_else_to_the_treasury(chain: Chain) -> None:
    balances, before = chain.runtime.balances, chain.free(TREASURY)
    balances.hold(ALICE, HoldReason.ESCROW, 5 * GRIST)
    for amount in (0, EXISTENTIAL_DEPOSIT - 1):
        balances.pay_held(MoveCause.JOB, ALICE, HoldReason.ESCROW, NEW, amount)
    assert chain.free(TREASURY) - before == EXISTENTIAL_DEPOSIT - 1
    paid = balances.pay_held(MoveCause.JOB, ALICE, HoldReason.ESCROW, NEW, EXISTENTIAL_DEPOSIT)
    assert (paid, chain.free(NEW)) == (NEW, EXISTENTIAL_DEPOSIT)
    assert balances.pay_held(MoveCause.JOB, ALICE, HoldReason.ESCROW, NEW, 1) == NEW
    assert balances.held(ALICE, HoldReason.ESCROW) == 5 * GRIST - 2 * EXISTENTIAL_DEPOSIT
    chain.close()


def test_held_money_can_be_burned(chain: Chain) -> None:
    balances = chain.runtime.balances
    issuance = balances.total_issuance
    balances.hold(ALICE, HoldReason.ESCROW, 5 * GRIST)
    balances.burn_held(BurnCause.WORK_SLASH, ALICE, HoldReason.ESCROW, 0)
    balances.burn_held(BurnCause.WORK_SLASH, ALICE, HoldReason.ESCROW, 2 * GRIST)
    assert balances.held(ALICE, HoldReason.ESCROW) == 3 * GRIST
    assert balances.total_issuance == issuance - 2 * GRIST
    assert balances.burned[BurnCause.WORK_SLASH] == 2 * GRIST
    with pytest.raises(words.HoldTooSmall):
        balances.burn_held(BurnCause.WORK_SLASH, ALICE, HoldReason.ESCROW, 4 * GRIST)
    chain.close()


def test_the_errors_of_functions_for_modules(chain: Chain) -> None:
    balances = chain.runtime.balances
    with pytest.raises(words.InsufficientBalance):
        balances.hold(ALICE, HoldReason.STAKE, RICH - EXISTENTIAL_DEPOSIT + 1)
    with pytest.raises(words.HoldTooSmall):
        balances.release(ALICE, HoldReason.STAKE, 1)
    with pytest.raises(words.HoldTooSmall):
        balances.take_held(MoveCause.SLASH, ALICE, HoldReason.STAKE, BOB, 1)
    with pytest.raises(words.ExistentialDeposit):
        balances.take_held(MoveCause.SLASH, ALICE, HoldReason.STAKE, NEW, 1)
    with pytest.raises(words.ExistentialDeposit):
        balances.mint(MintCause.GENESIS, NEW, 1)
    with pytest.raises(words.DeadAccount):
        balances.freeze(NEW, FreezeReason.VOTE, 1)
    chain.close()


def test_a_frozen_module_moves_nothing_by_any_door(chain: Chain) -> None:
    balances, ctx = chain.runtime.balances, chain.runtime.ctx
    balances.hold(ALICE, HoldReason.STAKE, GRIST)
    ctx.frozen, ctx.acting = {77: True}, 77
    doors = [
        lambda: balances.move(MoveCause.TRANSFER, ALICE, BOB, 1, keep_alive=True),
        lambda: balances.transfer(ALICE, BOB, 1, keep_alive=True),
        lambda: balances.mint(MintCause.GENESIS, ALICE, 1),
        lambda: balances.destroy(BurnCause.OWNER, ALICE, 1, keep_alive=True),
        lambda: balances.hold(ALICE, HoldReason.STAKE, 1),
        lambda: balances.release(ALICE, HoldReason.STAKE, 1),
        lambda: balances.take_held(MoveCause.SLASH, ALICE, HoldReason.STAKE, BOB, 1),
        lambda: balances.pay_held(MoveCause.JOB, ALICE, HoldReason.STAKE, BOB, 1),
        lambda: balances.burn_held(BurnCause.WORK_SLASH, ALICE, HoldReason.STAKE, 1),
    ]
    before = ctx.state.root()
    for door in doors:
        with pytest.raises(words.OutflowsFrozen):
            door()
    assert ctx.state.root() == before
    ctx.acting = 78
    doors[0]()


def test_the_journal_explains_every_movement(chain: Chain) -> None:
    journal: list[object] = []
    chain.runtime.ctx.journal = journal
    assert chain.apply(transfer(chain, NEW, GRIST), ALICE)
    assert not chain.apply(transfer(chain, BOB, 2 * RICH), ALICE)
    assert journal[1:2] == [Posting(MoveCause.TRANSFER, ALICE, NEW, GRIST)]
    assert [posting.cause for posting in journal] == [
        MoveCause.FEE,
        MoveCause.TRANSFER,
        MoveCause.FEE,
    ]
    chain.runtime.ctx.journal = None
    chain.close()


def test_every_error_of_the_module_is_met_in_this_file() -> None:
    text = Path(__file__).read_text()
    missing = [error.__name__ for error in words.ERRORS if f"words.{error.__name__}" not in text]
    assert (missing, all(issubclass(error, CallError) for error in words.ERRORS)) == ([], True)


def test_events_written_by_hand_are_the_declared_ones(chain: Chain) -> None:
    chain.runtime.balances.transfer(ALICE, BOB, 3, keep_alive=True)
    assert chain.runtime.ctx.events == [words.Transfer(ALICE, BOB, 3).encode()]
    assert words.Transfer(ALICE, BOB, 3).encode() == b"\x05\x02" + ALICE + BOB + (3).to_bytes(
        16, "little"
    )
