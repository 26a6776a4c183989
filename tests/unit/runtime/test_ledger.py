"""Broken books: planted faults are undone, told, recorded, and freeze the guilty module only."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from runtime.balances import MintCause
from runtime.balances import nouns as words
from runtime.frame.errors import InvalidBlock
from tests.support.runtime import Chain, person, stranger

ALICE, BOB = person("Alice"), person("Bob")
GRIST = 10**9


def leak(chain: Chain, who: bytes, grains: int) -> None:
    """Change an account behind the kernel's back."""
    record = chain.runtime.ctx.state.account(who)
    chain.runtime.ctx.state.set_account(who, (*record[:4], record[4] + grains, *record[5:]))


def plant(chain: Chain, name: str, fault: Callable[[], None]) -> None:
    """Let a call of Balances do its work and then the fault."""
    for entry in chain.runtime.dispatcher.entries():
        if entry.info.name == name:
            entry.method = partial(_then, entry.method, fault)


def _then(method: Callable[..., None], fault: Callable[[], None], *arguments: Any) -> None:
    method(*arguments)
    fault()


@pytest.mark.parametrize("grains", [1, -1, 10**15])
def test_a_grain_made_or_lost_in_a_call_undoes_it_and_freezes_its_module(grains: int) -> None:
    chain = Chain.start()
    chain.block()
    plant(chain, "transfer_allow_death", lambda: leak(chain, BOB, grains))
    chain.open()
    free, nonce = chain.free(ALICE), chain.runtime.ctx.state.account(ALICE)[0]
    assert not chain.apply(chain.transfer(BOB, GRIST), ALICE)
    assert chain.free(BOB) == 10**6 * GRIST
    assert 0 < free - chain.free(ALICE) < GRIST, "the fee stays"
    assert chain.runtime.ctx.state.account(ALICE)[0] == nonce + 1
    assert chain.executive.last_error == b"\x0b", "DispatchError::Corruption"
    record = words.LedgerBreak(5, 2, max(grains, 0), max(-grains, 0))
    assert chain.runtime.balances.ledger_breaks == (record,)
    result = chain.close()
    assert words.LedgerBroken(5, record.made, record.lost).encode() in result.receipts[3]


def test_outflows_freeze_from_the_next_block_and_the_rest_goes_on() -> None:
    chain = Chain.start()
    chain.block()
    plant(chain, "transfer_allow_death", lambda: leak(chain, BOB, 1))
    chain.open()
    assert not chain.apply(chain.transfer(BOB, GRIST), ALICE)
    keep = chain.call("Balances", "transfer_keep_alive", BOB, GRIST)
    assert chain.apply(keep, ALICE), "in the same block other calls of the module still run"
    chain.close()
    chain.open()
    assert not chain.apply(keep, ALICE)
    assert chain.executive.last_error == words.OutflowsFrozen.encoded
    assert not chain.apply(chain.call("Balances", "burn", GRIST, True), ALICE)
    assert chain.apply(chain.call("System", "remark_with_event", b"still here"), ALICE)
    result = chain.close()
    assert words.LedgerBroken(5, 1, 0).encode() not in b"".join(result.receipts)
    assert chain.look().fees.totals.burned > 0, (
        "fees are split by another module, which is not frozen"
    )


def test_a_fault_inside_a_batch_undoes_the_whole_batch_and_names_the_inner_module() -> None:
    chain = Chain.start()
    chain.block()
    plant(chain, "transfer_allow_death", lambda: leak(chain, BOB, 1))
    for name in ("batch", "batch_all"):
        chain.open()
        calls = [
            chain.call("System", "remark_with_event", b"x"),
            chain.transfer(stranger(1), GRIST),
        ]
        assert not chain.apply(chain.call("Utility", name, calls), ALICE)
        assert chain.runtime.ctx.depth == 0
        assert not chain.runtime.system.has_account(stranger(1))
        assert [entry.module for entry in chain.runtime.balances.ledger_breaks] == [5]
        chain.close()


def test_a_fault_in_a_hook_undoes_the_hook_and_the_block_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = Chain.start()
    chain.block()

    def hook() -> int:
        leak(chain, BOB, 5)
        return 0

    monkeypatch.setattr(chain.runtime.deadlines, "on_initialize", hook)
    chain.open()
    assert chain.free(BOB) == 10**6 * GRIST
    result = chain.close()
    assert words.LedgerBroken(12, 5, 0).encode() in result.receipts[0]
    assert b"\x00\x20\x0c\x00" in result.receipts[0], "System.HookFailed(12, on_initialize)"


def test_a_frozen_fee_module_leaves_the_fees_in_the_pot(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain.start()
    chain.block()
    finalize = chain.runtime.fees.on_finalize

    def hook() -> None:
        finalize()
        leak(chain, BOB, -1)

    monkeypatch.setattr(chain.runtime.fees, "on_finalize", hook)
    chain.block()
    chain.look()
    chain.block([chain.sign(chain.call("System", "remark", b""), ALICE).raw])
    chain.look()
    assert chain.free(words.FEE_POT) > 0
    assert [entry.module for entry in chain.runtime.balances.ledger_breaks] == [6]


def test_an_inherent_that_breaks_the_books_makes_the_block_invalid() -> None:
    chain = Chain.start()
    plant(chain, "set", lambda: leak(chain, BOB, 1))
    with pytest.raises(InvalidBlock, match="moved 1 grains"):
        chain.open()


def test_a_fee_that_breaks_the_books_makes_the_block_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = Chain.start()
    chain.open()
    charge = chain.executive.runtime.fees.charge

    def faulty(*arguments: Any) -> None:
        charge(*arguments)
        leak(chain, BOB, 1)

    monkeypatch.setattr(chain.executive, "_charge", faulty)
    assert chain.apply(chain.call("System", "remark", b""), ALICE)
    with pytest.raises(InvalidBlock, match="postings"):
        chain.executive.finalize_block()


def test_a_broken_guard_freezes_the_module_that_declares_it() -> None:
    chain = Chain.start()
    chain.open()
    chain.runtime.balances.minted[MintCause.GENESIS] += 1
    result = chain.executive.finalize_block()
    assert words.GuardBroken(5).encode() in result.receipts[-1]
    assert [entry.module for entry in chain.runtime.balances.ledger_breaks] == [5]


def test_a_module_is_recorded_once_however_often_it_breaks() -> None:
    chain = Chain.start()
    chain.block()
    plant(chain, "transfer_allow_death", lambda: leak(chain, BOB, 1))
    chain.open()
    for _ in range(3):
        assert not chain.apply(chain.transfer(BOB, GRIST), ALICE)
    assert chain.runtime.balances.ledger_breaks == (words.LedgerBreak(5, 2, 1, 0),)
    chain.close()
