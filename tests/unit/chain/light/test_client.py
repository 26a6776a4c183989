"""A light client against a node that tells the truth, and one that lies in each place in turn."""

import os
from dataclasses import replace

import pytest

from chain.light.client import LightClient, Refused
from chain.light.totals import prove_totals
from chain.light.trust import DAY_MS, FOREVER_MS, Trust, load_trusted, save_trusted
from chain.wallet.chain_client import account_key, parse_account
from chain.wallet.derivation import derive
from chain.wallet.errors import BadContent, NotFound, TryAgain, WalletError, WrongUse
from consensus.light import trust_genesis
from ext import hashing, store
from runtime.totals import compute_totals
from tests.support.light_node import Answering, alterations
from tests.support.solo import Solo

ALICE, NOBODY = derive("//Alice").public, derive("//Nobody at all").public


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A chain of 30 blocks whose set changed three times, and a transfer in block 12."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fdatasync", lambda _fd: None)
    solo = Solo(tmp_path_factory.mktemp("light"))
    solo.steps(11)
    raw = solo.transfer("Alice", "Bob", 5_000_000_000)
    solo.submit(raw)
    solo.steps(19)
    yield solo, hashing.blake2b_256(raw)
    solo.close()
    patch.undo()


@pytest.fixture
def solo(made):
    return made[0]


@pytest.fixture
def name(made):
    return made[1]


def by_hash(solo, **changes):
    return Trust(solo.start.hash, FOREVER_MS, **changes)


def make_client(solo, trust=None, node=None):
    now_ms = solo.chain.tip.time_ms + 1_000
    return LightClient(node or Answering(solo), trust or by_hash(solo), now_ms=lambda: now_ms)


def checkpoint_of(solo, height):
    return height, solo.chain.blocks.block_id(height)


def trusts(solo):
    genesis = solo.start.genesis
    first = trust_genesis(genesis.header, genesis.validators)
    return {
        "the genesis hash": by_hash(solo),
        "the chain spec": by_hash(solo, genesis=first),
        "a checkpoint": Trust(None, FOREVER_MS, checkpoint=checkpoint_of(solo, 20)),
        "a checkpoint above all": by_hash(solo, checkpoint=checkpoint_of(solo, 30)),
    }


KINDS = ("the genesis hash", "the chain spec", "a checkpoint", "a checkpoint above all")


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_proved_from_whatever_is_trusted(solo, name, kind):
    client = make_client(solo, trusts(solo)[kind])
    assert client.genesis_hash == solo.start.hash
    assert client.head().header == solo.chain.tip
    for height in (0, 1, 7, 19, 20, 21, 29, 30):
        assert client.header(height) == solo.chain.blocks.header(height)
    header, values = client.values([account_key(ALICE), account_key(NOBODY)])
    assert header == solo.chain.tip
    record = solo.chain.state.account(ALICE)
    assert parse_account(values[0]).free == record[4]
    assert values[1] is None
    found = client.receipt(name)
    assert found.header.number == 12
    assert found.extrinsic == solo.chain.blocks.block(12).extrinsics[found.index]
    assert found.receipt == solo.chain.blocks.receipts(12)[found.index + 1]
    header, totals = prove_totals(client)
    executive = solo.judge.executive
    executive.ctx.enter(solo.judge.view(), executive.no_block)
    assert totals == compute_totals(executive.runtime)


def test_a_rested_set_takes_one_question_and_a_known_head_is_asked_for_once_more(solo):
    node = Answering(solo)
    client = make_client(solo, trusts(solo)["a checkpoint"], node)
    node.asked.clear()
    client.head()
    assert node.asked == ["gristmill_v1_lightBlock"]
    client.head()
    assert node.asked == ["gristmill_v1_lightBlock"] * 2


def questions(solo, name):
    """What is asked of a node, as functions of a client."""
    return {
        "head": lambda client: client.head().header.block_id,
        "balance": lambda client: client.values([account_key(ALICE)])[1],
        "absence": lambda client: client.values([account_key(NOBODY)])[1],
        "receipt": lambda client: client.receipt(name),
        "totals": lambda client: prove_totals(client)[1],
        "an older header": lambda client: client.header(3).block_id,
        "the same head again": lambda client: (client.head(), client.head())[1].header.block_id,
    }


QUESTIONS = (
    "head", "balance", "absence", "receipt", "totals", "an older header", "the same head again",
)  # fmt: skip


def lies_about(solo, trust, question):
    """Yield (where, error or None, what was believed) for each answer and each place in it."""
    truthful = Answering(solo)
    make_client(solo, trust, truthful)
    first = len(truthful.asked)
    question(make_client(solo, trust, truthful))
    count = len(truthful.asked) - first
    for turn in range(1, count + 1):
        collected = []

        def collect(_method, number, answer, turn=turn, collected=collected):
            if number == turn:
                collected.append(answer)
            return answer

        question(make_client(solo, trust, Answering(solo, collect, like=truthful)))
        for where, other in alterations(collected[0]):

            def lie(_method, number, answer, turn=turn, other=other):
                return other if number == turn else answer

            liar = Answering(solo, lie, like=truthful)
            try:
                yield (turn, *where), None, question(make_client(solo, trust, liar))
            except WalletError as error:
                yield (turn, *where), error, None


@pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]
)
@pytest.mark.parametrize("which", QUESTIONS)
def test_every_alteration_of_every_answer_is_refused(solo, name, which, kind):
    question, trust = questions(solo, name)[which], trusts(solo)[kind]
    believed, count = [], 0
    for where, error, found in lies_about(solo, trust, question):
        count += 1
        if error is None:
            believed.append((where, found))
        else:
            assert error.message
    assert count > 15
    assert believed == []


def test_an_answer_for_another_key_is_refused(solo):
    other = Answering(solo)

    def swap(method, _number, answer):
        if method == "gristmill_v1_proofs":
            return other.call(method, ["0x" + account_key(derive("//Bob").public).hex()])
        return answer

    client = make_client(solo, node=Answering(solo, swap))
    with pytest.raises(Refused, match="does not lead to the state root of block 30"):
        client.values([account_key(ALICE)])


def test_the_receipt_of_another_transaction_is_refused(solo):
    """The node tells one consistent story, about what was not asked for."""
    other = hashing.blake2b_256(solo.chain.blocks.block(5).extrinsics[0])
    story = Answering(solo).call("gristmill_v1_extrinsic", "0x" + other.hex())

    def lie(method, _number, answer):
        return story if method == "gristmill_v1_extrinsic" else answer

    client = make_client(solo, node=Answering(solo, lie))
    assert client.receipt(other).header.number == 5
    with pytest.raises(Refused, match="another hash"):
        client.receipt(bytes(32))


@pytest.mark.parametrize("place", [0, 3, 12])
def test_older_headers_that_do_not_lead_up_to_the_trusted_one_are_refused(solo, place):
    real = solo.chain.blocks.header(3 + place)
    forged = replace(real, state_root=bytes(32)).encode().hex()

    def lie(method, _number, answer):
        if method == "gristmill_v1_headers":
            answer[place] = "0x" + forged
        return answer

    client = make_client(solo, trusts(solo)["a checkpoint above all"], Answering(solo, lie))
    with pytest.raises(Refused, match="is not the parent"):
        client.header(3)


def test_a_transaction_that_is_hidden_is_not_said_to_be_absent(solo):
    with pytest.raises(NotFound, match="knows no transaction") as caught:
        make_client(solo).receipt(bytes(32))
    assert "hide" in caught.value.hint


def test_a_node_that_goes_back_is_not_followed(solo):
    node = Answering(solo)
    client = make_client(solo, node=node)
    client.head()

    def older(method, _number, answer):
        return node_20 if method == "gristmill_v1_lightBlock" else answer

    node_20 = node.call("gristmill_v1_lightBlock", 20)
    node.alter = older
    with pytest.raises(TryAgain, match="stands at height 20, and 30 was verified"):
        client.head()


def test_trust_ends_and_says_what_is_needed(solo):
    genesis_ms = solo.start.genesis.header.time_ms
    trust = Trust(solo.start.hash, DAY_MS)
    client = LightClient(Answering(solo), trust, now_ms=lambda: genesis_ms + DAY_MS)
    with pytest.raises(BadContent, match="older than the trusting period") as caught:
        client.head()
    assert "--checkpoint" in caught.value.hint
    make_client(solo, trust.lasting()).head()
    with pytest.raises(WrongUse, match="nothing is trusted"):
        make_client(solo, Trust(None, DAY_MS))


def test_an_old_block_is_found_by_hashes_when_trust_in_the_beginning_ended(solo):
    genesis_ms = solo.start.genesis.header.time_ms
    clock = [genesis_ms + 10_000]
    client = LightClient(Answering(solo), Trust(solo.start.hash, DAY_MS), now_ms=lambda: clock[0])
    client.head()
    clock[0] = genesis_ms + DAY_MS
    assert client.header(7) == solo.chain.blocks.header(7)


def test_what_was_verified_is_kept_and_its_damage_seen(solo, tmp_path):
    path = tmp_path / "light" / "x.block"
    assert load_trusted(path) is None
    client = make_client(solo)
    save_trusted(path, client.head())
    kept = load_trusted(path)
    assert kept == client.newest
    node = Answering(solo)
    later = make_client(solo, node=node)
    later.remember(kept)
    node.asked.clear()
    assert later.head() == kept
    assert node.asked == ["gristmill_v1_lightBlock"]
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 97):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(BadContent, match="damaged"):
            load_trusted(path)
        content[place] ^= 1


def test_a_checkpoint_that_contradicts_what_was_verified_is_refused(solo):
    kept = make_client(solo).head()
    client = make_client(solo, trusts(solo)["a checkpoint above all"])
    client.remember(kept)
    rival = Trust(solo.start.hash, FOREVER_MS, checkpoint=(30, bytes(32)))
    with pytest.raises(Refused, match="the checkpoint"):
        make_client(solo, rival)


def test_a_witness_of_another_chain_is_noticed(solo, tmp_path):
    client = make_client(solo)
    header = client.head().header
    client.check_witness(Answering(solo), header)
    other = Solo(tmp_path)
    other.step(1)
    other.steps(29)
    assert other.chain.tip != header
    with pytest.raises(Refused, match=r"two blocks are signed at height 30.* 2 of the two nodes"):
        client.check_witness(Answering(other), header)
    assert len(solo.offences) == len(other.offences) == 1
    assert other.step().decided.block.evidence[0].kind == 2
    other.close()


def test_a_proof_of_money_that_differs_between_header_and_state_is_refused(solo, monkeypatch):
    real = store.decode_account

    def poorer(value):
        return tuple(n + 1 if place == 4 else n for place, n in enumerate(real(value)))

    monkeypatch.setattr("chain.light.totals.store.decode_account", poorer)
    with pytest.raises(Refused, match="treasury: the header of block 30 says"):
        prove_totals(make_client(solo))
