"""The walking skeleton: genesis, transactions, blocks, epochs, and the same again on import."""

import pytest

from chain.events import EventReader
from chain.importer import ReceivedBlock
from chain.wallet.derivation import derive
from tests.support.culprits import Culprits
from tests.support.solo import Solo


@pytest.fixture
def solo(tmp_path):
    made = Solo(tmp_path / "one")
    yield made
    made.close()


def test_a_chain_makes_blocks_over_epochs(solo):
    solo.steps(10)
    assert solo.chain.height == 10
    announced = [
        h.next_epoch.epoch for h in solo.chain.blocks.iterate_headers(0, 11) if h.next_epoch
    ]
    assert announced == [0, 1, 2, 3]


def test_a_transfer_goes_from_the_pool_into_the_state(solo):
    bob = derive("//Bob").public
    before = solo.chain.state.account(bob)[4]
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    solo.step()
    assert solo.chain.state.account(bob)[4] == before + 5_000_000_000
    assert solo.chain.state.account(derive("//Alice").public)[0] == 1
    assert len(solo.pool) == 0


def test_another_node_imports_every_block_to_the_same_state(solo, tmp_path):
    other = Solo(tmp_path / "two", start=solo.start)
    for number in range(12):
        for _ in range(number % 3):
            solo.submit(solo.transfer("Alice", "Ferdie", 1_000_000_000 + number))
        made = solo.step(round_=number % 2)
        received = other.importer.receive(made.decided.block.encode())
        executed = other.importer.prepare(received)
        other.importer.decide(executed, made.decided.commit, None)
        assert other.chain.state.root == solo.chain.state.root
    assert other.chain.tip == solo.chain.tip
    assert dict(other.chain.state.entries()) == dict(solo.chain.state.entries())
    other.close()


def test_evidence_that_is_too_old_for_the_next_block_costs_nobody_their_transaction(solo):
    """The verifier counts its age up to the tip, the runtime up to the block that carries it."""
    solo.steps(1)
    evidence = Culprits(solo).duplicate_vote(1)
    solo.steps(solo.start.spec.params.evidence_age_blocks)
    assert solo.offences.add(evidence, tip=solo.chain.tip)
    raw = solo.transfer("Alice", "Bob", 5_000_000_000)
    solo.submit(raw)
    block = solo.step().decided.block
    assert raw in block.extrinsics
    assert block.evidence == ()


def test_a_chain_reopens_and_goes_on(solo, tmp_path):
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    solo.steps(6)
    solo.chain.index()
    solo.chain.flush()
    solo.steps(3)
    tip = solo.chain.tip
    solo.close()
    again = Solo(tmp_path / "one", start=solo.start)
    assert again.chain.tip == tip
    again.steps(3)
    assert again.chain.height == 12
    again.close()


def test_a_block_of_our_own_is_valid_for_others_without_pool(solo, tmp_path):
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    block = solo.build().block
    other = Solo(tmp_path / "two", start=solo.start)
    executed = other.importer.prepare(ReceivedBlock(block))
    assert executed.result.state_root == block.header.state_root
    other.close()


def test_a_transfer_stands_in_the_history_of_both_accounts(tmp_path):
    reader = EventReader()
    solo = Solo(tmp_path, options={"keep_blocks": 0, "find_touched": reader.find_touched})
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    solo.submit(solo.transfer("Bob", "Ferdie", 10**30))
    solo.step()
    solo.chain.index()
    alice, bob, ferdie = (derive(f"//{name}").public for name in ("Alice", "Bob", "Ferdie"))
    blocks = solo.chain.blocks
    places = {
        name: blocks.history(who, None, 9)
        for name, who in zip("abf", (alice, bob, ferdie), strict=True)
    }
    assert places["a"] == [(1, places["a"][0][1])]
    assert sorted(index for _, index in places["b"]) == [2, 3]
    assert places["f"] == []
    receipts = blocks.receipts(1)
    names = [[event.name for event in reader.decode(receipt)] for receipt in receipts]
    assert sorted(name[-1] for name in names[3:5]) == ["ExtrinsicFailed", "ExtrinsicSuccess"]
    assert len(receipts) == 6
    solo.close()
