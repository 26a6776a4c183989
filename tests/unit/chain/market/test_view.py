"""The chain as an agent sees it: read once a block, written to one transaction at a time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chain.market import view as module
from chain.market.view import AgentChain, ChainReader, RemoteState
from chain.wallet.client import RpcError
from chain.wallet.dry_run import NONCE_AHEAD, Outcome
from chain.wallet.errors import BadContent, NodeUnreachable
from ext import hashing
from runtime.transaction import decode_transaction
from tests.support.runtime import GENESIS_HASH, Chain, person
from tests.support.town import Town, TownClient, key_of


class Node(TownClient):
    """A town's node that counts what it is asked, and can refuse."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.asked: list[bytes] = []
        self.nonces: list[int | None] = []
        self.error: tuple[str, str] | None = None
        self.refusal: Exception | None = None

    def storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        self.asked.append(key)
        return super().storage(key, at)

    def draft(self, call: bytes, signer: bytes, *, nonce: int | None = None) -> Any:
        self.nonces.append(nonce)
        return super().draft(call, signer, nonce=nonce)

    def dry_run(self, _: bytes) -> Outcome:
        return Outcome(self.error, None, [], [])

    def submit(self, extrinsic: bytes) -> bytes:
        if self.refusal is not None:
            raise self.refusal
        return super().submit(extrinsic)


@dataclass
class Desk:
    """An agent of Alice's, and what it said."""

    node: Node
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chain = AgentChain(self.node, key_of("Alice"), self.said.append)  # type: ignore[arg-type]  # it plays the node
        self.chain.look()

    def remark(self) -> bool:
        return self.chain.send("Balances", "transfer_keep_alive", person("Bob"), 10**9)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def desk(town: Town) -> Desk:
    return Desk(Node(town))


def test_every_module_reads_the_state_of_the_node(town: Town, desk: Desk) -> None:
    mine, its = desk.chain.look(), town.chain.look()
    assert mine.balances.total_issuance == its.balances.total_issuance
    assert mine.staking.active_stake(person("Alice")) == its.staking.active_stake(person("Alice"))
    assert mine.market.work_units.version == its.market.work_units.version
    assert mine.market.work_units.reference(3) == its.market.work_units.reference(3)
    accounts = [mine.ctx.state.account(person(name)) for name in ("Alice", "Bob")]
    assert accounts == [its.ctx.state.account(person(name)) for name in ("Alice", "Bob")]
    assert mine.ctx.state.account(b"n" * 32) is None
    assert desk.chain.genesis == GENESIS_HASH


def test_an_entry_is_asked_for_once_a_block(town: Town, desk: Desk) -> None:
    for _ in range(3):
        desk.chain.look().balances.total_issuance  # noqa: B018 - reading is what is counted
    assert len(desk.node.asked) == len(set(desk.node.asked))
    before = len(desk.node.asked)
    town.block()
    desk.chain.look().balances.total_issuance  # noqa: B018 - reading is what is counted
    assert len(desk.node.asked) > before


def test_a_look_is_of_one_block_until_the_next_look(town: Town, desk: Desk) -> None:
    height = desk.chain.height
    town.blocks(2)
    assert desk.chain.height == height
    desk.chain.look()
    assert desk.chain.height == town.chain.height == height + 2


def test_keys_come_page_by_page_in_order(
    town: Town, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    prefix = hashing.twox_128(b"System") + hashing.twox_128(b"Account")
    every = town.chain.state.keys(prefix, None, None)
    state = RemoteState(desk.node, b"x" * 32)  # type: ignore[arg-type]  # it plays the node
    assert len(every) > 6
    assert state.keys(prefix) == every
    assert state.keys(prefix, limit=4) == every[:4]
    assert state.keys(prefix, every[1], limit=5) == every[2:7]
    assert state.keys(prefix, limit=0) == []
    assert state.keys(b"nothing here") == []


def test_a_page_that_is_none_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in (None, "0x", {"a": 1}, [7]):
        monkeypatch.setattr(Node, "call", lambda *_, p=page: p)
        with pytest.raises(BadContent):
            RemoteState(desk.node, b"x" * 32).keys(b"p")  # type: ignore[arg-type]  # as above


def test_nobody_writes_to_a_remote_state(desk: Desk) -> None:
    state: Any = RemoteState(desk.node, b"x" * 32)  # type: ignore[arg-type]  # it plays the node
    for write in (
        lambda: state.put(b"k", b"v"),
        lambda: state.delete(b"k"),
        lambda: state.set_account(b"a" * 32, (0,) * 8),
        lambda: state.money,
        state.root,
        state.checkpoint,
    ):
        with pytest.raises(TypeError):
            write()


def test_calls_of_one_look_follow_each_other_and_wait_for_their_block(
    town: Town, desk: Desk
) -> None:
    assert desk.remark()
    assert desk.remark()
    assert [one.nonce for one in town.pool] == [0, 1]
    assert desk.node.nonces == [None, 0 + 1]
    town.block()
    assert town.failures == []
    desk.chain.look()
    assert desk.remark()
    assert desk.node.nonces[-1] is None, "a new block: the node is asked again"
    assert [one.nonce for one in town.pool] == [2]


def test_what_would_fail_is_told_once_and_not_sent(town: Town, desk: Desk) -> None:
    desk.node.error = ("Balances.Poor", "There is not enough.")
    for _ in range(3):
        town.block()
        desk.chain.look()
        assert not desk.remark()
    title = "Balances.transfer_keep_alive"
    assert desk.said == [f"{title} is not sent: Balances.Poor. There is not enough."]
    desk.node.error = None
    assert desk.remark()
    town.block()
    desk.chain.look()
    desk.node.error = ("Balances.Poor", "There is not enough.")
    assert not desk.remark()
    assert desk.said[1:] == [f"{title} sent", desk.said[0]]


def test_behind_a_waiting_call_nothing_is_said_and_nothing_sent(town: Town, desk: Desk) -> None:
    desk.node.error = NONCE_AHEAD
    assert not desk.remark()
    assert (desk.said, town.pool) == ([], [])


def test_a_node_that_refuses_is_asked_for_the_nonce_again(town: Town, desk: Desk) -> None:
    assert desk.remark()
    desk.node.refusal = RpcError(1016, "the pool is full")
    assert not desk.remark()
    assert "the pool is full" in desk.said[-1]
    desk.node.refusal = None
    assert desk.remark()
    assert desk.node.nonces[-1] is None
    assert [one.nonce for one in town.pool] == [0, 1]


def test_a_node_that_is_away_is_the_business_of_who_looks(town: Town, desk: Desk) -> None:
    desk.node.refusal = NodeUnreachable("nobody answers")
    with pytest.raises(NodeUnreachable):
        desk.remark()


def test_what_is_sent_is_signed_by_the_agent(town: Town, desk: Desk) -> None:
    desk.remark()
    (transaction,) = town.pool
    assert bytes(transaction.signer) == key_of("Alice").public
    assert any(transaction.signature)


def test_who_only_reads_needs_no_key(town: Town) -> None:
    reader = ChainReader(Node(town))  # type: ignore[arg-type]  # it plays the node
    assert reader.look().balances.total_issuance > 0
    key = hashing.twox_128(b"Balances") + hashing.twox_128(b"TotalIssuance")
    assert reader.storage(key) == town.chain.state.get(key)
    assert not hasattr(reader, "send")


def test_a_transaction_reads_back(town: Town, desk: Desk) -> None:
    call = town.chain.call("Balances", "transfer_keep_alive", person("Bob"), 10**9)
    assert isinstance(town.chain, Chain)
    assert desk.chain.send_bytes("a payment", call)
    (transaction,) = town.pool
    assert decode_transaction(transaction.raw).call == call
    assert desk.said == ["a payment sent"]
