"""Blocks: steps, receipts, limits, building and executing alike, hooks that cannot raise."""

from dataclasses import replace

import pytest

from ext import hashing, scale
from runtime import weights
from runtime.block import ContextNote
from runtime.executive import BlockLimits, Executive, make_inherents
from runtime.frame.errors import CallError, InvalidBlock, InvalidTransaction, Reason
from runtime.frame.origins import Root
from runtime.totals import decode_totals
from runtime.transaction import Era, encode_inherent, encode_transaction
from runtime.weights import BLOCK_BASE, EXTRINSIC_BASE, INHERENT
from tests.support.runtime import GENESIS_HASH, LIMITS, Chain, person, spec_of, stranger

ALICE, BOB = person("Alice"), person("Bob")
GRIST = 10**9
REMARK = b"\x00\x00\x00"


@pytest.fixture
def chain() -> Chain:
    return Chain.start()


def body(chain: Chain, calls: list[bytes]) -> list[bytes]:
    """A whole body of Alice's calls for the next block."""
    block = chain.context()
    signed = [chain.sign(call, ALICE, nonce=nonce).raw for nonce, call in enumerate(calls)]
    return [*make_inherents(chain.runtime, block), *signed]


def test_an_empty_block_moves_number_time_and_hashes(chain: Chain) -> None:
    result = chain.block()
    runtime = chain.look()
    assert runtime.system.number == 1
    assert runtime.system.parent_hash == runtime.system.block_hash[0] == GENESIS_HASH
    assert runtime.timestamp.now == chain.spec.time_ms + 1000
    assert len(result.receipts) == 4
    assert result.receipts_root == hashing.merkle_root(result.receipts)
    assert result.failed == (False, False)


def test_totals_say_the_issuance_and_its_causes(chain: Chain) -> None:
    chain.open()
    chain.apply(REMARK, ALICE)
    totals = decode_totals(chain.close().totals)
    minted, burned = sum(t.amount for t in totals.minted), sum(t.amount for t in totals.burned)
    assert totals.issuance == minted - burned == chain.state.money
    assert totals.treasury > 0


def test_building_and_executing_give_the_same_block(chain: Chain) -> None:
    chain.block()
    chain.look()
    candidates = [chain.sign(chain.transfer(stranger(i), GRIST), ALICE, nonce=i) for i in range(5)]
    built = chain.build(candidates)
    assert built.rejected == ()
    executed = Executive().execute_block(chain.state.overlay(), chain.context(), built.extrinsics)
    assert executed == built.result
    assert len(built.extrinsics) == 7


def test_what_the_builder_cannot_use_is_passed_over_or_given_back(chain: Chain) -> None:
    chain.look()
    stale_free = chain.sign(REMARK, stranger(3))
    future = chain.sign(REMARK, ALICE, nonce=5)
    good = chain.sign(REMARK, ALICE, nonce=0)
    repeated = chain.sign(chain.transfer(BOB, 1), ALICE, nonce=0)
    unreadable = chain.sign(b"\x05\x63", BOB)
    built = chain.build([stale_free, future, good, repeated, unreadable])
    assert built.extrinsics[2:] == (good.raw,)
    assert [(t, error.reason) for t, error in built.rejected] == [
        (stale_free, Reason.PAYMENT),
        (repeated, Reason.STALE),
        (unreadable, Reason.CALL),
    ]


@pytest.mark.parametrize(
    "limits",
    [
        replace(LIMITS, count_max=2),
        replace(LIMITS, bytes_max=12 + 117 + 2 * 107 + 90),
        replace(
            LIMITS, weight_max=BLOCK_BASE + 2 * INHERENT + 2 * (EXTRINSIC_BASE + weights.REMARK)
        ),
    ],
)
def test_the_builder_keeps_its_limits(chain: Chain, limits: BlockLimits) -> None:
    chain.look()
    built = chain.build([chain.sign(REMARK, ALICE, nonce=i) for i in range(9)], limits)
    assert (len(built.extrinsics), built.rejected) == (4, ())


def test_a_body_over_the_chain_s_limits_is_invalid(chain: Chain) -> None:
    calls = [chain.call("System", "remark", bytes(120_000))] * 14
    with pytest.raises(InvalidBlock, match="no room"):
        chain.executive.execute_block(chain.state.overlay(), chain.context(), body(chain, calls))
    calls = [chain.call("Utility", "batch", [REMARK] * 512)] * 240
    with pytest.raises(InvalidBlock, match="no room"):
        chain.executive.execute_block(chain.state.overlay(), chain.context(), body(chain, calls))


def test_a_block_must_follow_the_state_and_know_the_rules(chain: Chain) -> None:
    for changes, sentence in (({"height": 2}, "does not follow"), ({"spec_version": 2}, "rules")):
        block = chain.context(**changes)
        with pytest.raises(InvalidBlock, match=sentence):
            chain.executive.execute_block(chain.state.overlay(), block, body(chain, []))


def test_inherents_are_two_in_order_and_once(chain: Chain) -> None:
    time, note = make_inherents(chain.runtime, chain.context())
    remark = encode_inherent(REMARK)
    for extrinsics in (
        [],
        [time],
        [note, time],
        [time, time],
        [time, remark],
        [remark, note],
        [time, note, note],
    ):
        with pytest.raises(InvalidBlock):
            chain.executive.execute_block(chain.state.overlay(), chain.context(), extrinsics)
    chain.executive.execute_block(chain.state.overlay(), chain.context(), [time, note])


def test_inherents_say_what_the_context_says(chain: Chain) -> None:
    block = chain.context()
    time, note = make_inherents(chain.runtime, block)
    lies = [
        {"parent_hash": b"x" * 32},
        {"proposer": stranger(1)},
        {"entropy": b"x" * 32},
        {"round": 1},
        {"last_commit_round": 1},
        {"last_commit": (True,)},
    ]
    for lie in lies:
        other = ContextNote.of(replace(block, **lie))
        bad = encode_inherent(chain.call("Authorship", "note_context", other))
        with pytest.raises(InvalidBlock, match="WrongContext"):
            chain.executive.execute_block(chain.state.overlay(), block, [time, bad])
    late = encode_inherent(chain.call("Timestamp", "set", block.time_ms + 1))
    with pytest.raises(InvalidBlock, match="WrongTime"):
        chain.executive.execute_block(chain.state.overlay(), block, [late, note])


def test_a_user_cannot_send_an_inherent(chain: Chain) -> None:
    chain.open()
    for call in (
        chain.call("Timestamp", "set", 5),
        chain.call("Authorship", "note_context", ContextNote.of(chain.runtime.ctx.block)),
    ):
        assert not chain.apply(call, ALICE)
        assert chain.executive.last_error == b"\x02", "DispatchError::BadOrigin"
    assert not chain.apply(
        chain.call("Utility", "batch_all", [chain.call("Timestamp", "set", 5)]), ALICE
    )
    assert chain.executive.last_error == b"\x02"
    chain.close()


def test_an_invalid_transaction_makes_the_block_invalid(chain: Chain) -> None:
    extrinsics = body(chain, [REMARK, REMARK])
    for bad in (
        [*extrinsics, extrinsics[2]],
        [*extrinsics, b"\x00"],
        [*extrinsics[:2], extrinsics[3]],
    ):
        with pytest.raises(InvalidBlock, match="is invalid"):
            chain.executive.execute_block(chain.state.overlay(), chain.context(), bad)


def test_receipts_are_records_with_their_phase(chain: Chain) -> None:
    chain.open()
    chain.apply(chain.call("System", "remark_with_event", b"hi"), ALICE)
    receipt = chain.close().receipts[3]
    count, offset = scale.COMPACT_U32.decode_from(receipt, 0)
    assert (count, receipt[offset : offset + 5]) == (3, b"\x00\x02\0\0\0")
    assert b"\x00\x05" + ALICE + hashing.blake2b_256(b"hi") + b"\x00" in receipt
    assert receipt[-1:] == b"\x00"


def boom(*_: object) -> int:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ["utility", "balances", "deadlines", "fees", "session", "beacon"])
def test_no_hook_can_stop_the_chain(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, name: str, which: int
) -> None:
    module = getattr(chain.runtime, name)
    monkeypatch.setattr(module, ("on_initialize", "on_finalize")[which], boom)
    chain.open()
    result = chain.executive.finalize_block()
    told = bytes((0, 32, module.index, which))
    assert told in result.receipts[-which]


def test_a_failing_hook_is_undone(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    system = chain.runtime.system

    def half() -> int:
        system.chain_id = b"half done"
        raise CallErrorOfTest

    monkeypatch.setattr(chain.runtime.utility, "on_initialize", half)
    chain.open()
    assert system.chain_id == b"dev"
    chain.close()


class CallErrorOfTest(CallError, index=9):
    """Only here; nothing to do."""


def test_a_bug_in_a_call_is_undone_and_paid_for(chain: Chain) -> None:
    for entry in chain.runtime.dispatcher.entries():
        if entry.info.name == "remark":
            entry.method = boom
    chain.open()
    before = chain.free(ALICE)
    assert not chain.apply(REMARK, ALICE)
    assert chain.executive.last_error == b"\x00", "DispatchError::Other"
    assert chain.free(ALICE) < before
    chain.close()


def test_root_calls_are_not_for_signers(chain: Chain) -> None:
    for entry in chain.runtime.dispatcher.entries():
        if entry.info.name == "remark":
            entry.origin = Root
    chain.open()
    assert not chain.apply(REMARK, ALICE)
    assert chain.executive.last_error == b"\x02"


def test_the_pool_learns_priority_tags_and_lifetime(chain: Chain) -> None:
    chain.look()
    state = chain.state.overlay()
    now = chain.executive.validate_transaction(state, chain.sign(REMARK, ALICE, tip=10**6), 1)
    later = chain.executive.validate_transaction(state, chain.sign(REMARK, ALICE, nonce=2), 1)
    assert now.requires == ()
    assert now.provides == (ALICE + bytes(4),)
    assert later.requires == (ALICE + (1).to_bytes(4, "little"),)
    assert later.provides == (ALICE + (2).to_bytes(4, "little"),)
    assert now.priority > later.priority > 0
    mortal = chain.sign(REMARK, ALICE, era=Era.mortal(period=64, height=0))
    assert chain.executive.validate_transaction(state, mortal, 3).longevity == 61


@pytest.mark.parametrize(
    ("call", "signer", "changes", "reason"),
    [
        (REMARK, stranger(1), {}, Reason.PAYMENT),
        (REMARK, ALICE, {"tip": 10**16}, Reason.PAYMENT),
        (b"\x63\x00", ALICE, {}, Reason.CALL),
        (REMARK + b"\x00", ALICE, {}, Reason.CALL),
        (b"", ALICE, {}, Reason.CALL),
    ],
)
def test_the_pool_is_told_why_not(
    chain: Chain, call: bytes, signer: bytes, changes: dict[str, int], reason: Reason
) -> None:
    chain.look()
    with pytest.raises(InvalidTransaction) as caught:
        chain.executive.validate_transaction(
            chain.state.overlay(), chain.sign(call, signer, **changes), 1
        )
    assert caught.value.reason is reason


def test_the_pool_refuses_what_no_block_can_hold(chain: Chain) -> None:
    chain.look()
    huge = chain.call("Utility", "batch", [chain.call("Utility", "batch", [REMARK] * 500)] * 2)
    weight = chain.executive.decode_call(huge).weight
    params = replace(chain.spec.params, block_weight_max=weight)
    overlay = chain.state.overlay()
    chain.runtime.ctx.enter(overlay, chain.runtime.ctx.block)
    chain.runtime.system.params = params
    with pytest.raises(InvalidTransaction, match="larger than a block"):
        chain.executive.validate_transaction(overlay, chain.sign(huge, ALICE), 1)


def test_the_signature_is_bound_to_the_first_block_of_the_era(chain: Chain) -> None:
    for _ in range(9):
        chain.block()
    runtime = chain.look()
    parts = {"height": 10, "parent_hash": chain.parent_hash, "genesis_hash": GENESIS_HASH}

    def anchor(era: Era) -> bytes:
        item = chain.executive.signature_item(
            chain.state.overlay(), chain.sign(REMARK, ALICE, era=era), **parts
        )
        assert (item[0], item[2]) == (ALICE, bytes(64))
        return item[1][-32:]

    assert anchor(Era(8, 1)) == chain.parent_hash
    assert anchor(Era(8, 0)) == runtime.system.block_hash[8]
    assert anchor(Era(64, 0)) == anchor(Era(0, 0)) == GENESIS_HASH
    with pytest.raises(InvalidTransaction) as caught:
        anchor(Era(8, 2))
    assert caught.value.reason is Reason.ANCIENT_BIRTH_BLOCK


def test_old_hashes_are_forgotten_and_genesis_is_not(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.system.BLOCK_HASH_COUNT", 4)
    for _ in range(9):
        chain.block()
    heights = sorted(height for height, _ in chain.look().system.block_hash.items())
    assert heights == [0, 5, 6, 7, 8]


def test_a_dry_run_says_what_would_happen(chain: Chain) -> None:
    chain.look()
    context = chain.context()

    def run(call: bytes, signer: bytes = ALICE) -> tuple[bytes, bytes]:
        return chain.executive.dry_run(
            chain.state.overlay(), context, chain.sign(call, signer, nonce=0)
        )

    assert run(REMARK)[0] == b"\x00\x00"
    result, receipt = run(chain.transfer(BOB, 10**18))
    assert result == b"\x00\x01" + bytes((3, 5, 2, 0, 0, 0))
    assert receipt.startswith(b"\x08")
    assert run(REMARK, stranger(1)) == (b"\x01\x00\x01", b"\x00")


def test_two_chains_with_different_specs_share_nothing() -> None:
    assert spec_of("dev").seed != spec_of("local").seed
    assert Chain.start("dev").state.root != Chain.start("local").state.root


def test_a_transaction_that_failed_cannot_be_sent_again(chain: Chain) -> None:
    chain.open()
    raw = encode_transaction(
        signer=ALICE,
        signature=bytes(64),
        era=Era(0, 0),
        nonce=0,
        tip=0,
        call=chain.transfer(BOB, 10**18),
    )
    chain.executive.apply_many([raw])
    with pytest.raises(InvalidBlock, match="is used"):
        chain.executive.apply_many([raw])
