"""The commands of vesting against the answers of a real runtime: shown, and sent as calls."""

import pytest

from chain.rpc import economy
from chain.rpc.economy import EconomyMethods
from chain.wallet.accounts import dev_address
from chain.wallet.decoding import Decoder
from chain.wallet.extrinsic import decode_extrinsic
from chain.wallet.metadata import decode_metadata
from chain.wallet.ss58 import decode_account
from runtime.metadata import metadata_v14
from tests.support.emission import GRIST
from tests.support.runtime import Chain, person
from tests.support.staking_rpc import node_at
from tests.unit.cli.schema import check
from tests.unit.runtime.emission.test_module import emitting

ALICE, BOB, EVE = (dev_address(name) for name in ("Alice", "Bob", "Eve"))
BY_ALICE = ("--from", "//Alice", "--yes", "--json")


@pytest.fixture(scope="module")
def granted() -> Chain:
    """Bob has a grant and a locked reward, Eve an offer."""
    chain = emitting()
    chain.open()
    offer = [1_200 * GRIST, 1, 60, 240, 60, person("Charlie")]
    for name in ("Bob", "Eve"):
        assert chain.apply(chain.call("Vesting", "offer", person(name), *offer), person("Alice"))
    assert chain.apply(chain.call("Vesting", "accept", 0), person("Bob"))
    chain.runtime.emission.mint_work(0, person("Bob"), 4_000 * GRIST)
    chain.close()
    return chain


@pytest.fixture
def vested(node, granted):
    """A node that answers about that chain, and takes every call."""
    methods = EconomyMethods(node_at(granted))
    fake = node.chain
    fake.metadata = metadata_v14()
    fake.outcome = lambda _content: b"\0"
    fake.gristmill_v1_vesting = lambda who, _at=None: {
        "result": methods.vesting(decode_account(who), None)
    }
    return fake


def sent(fake):
    """The last call that reached a block."""
    call = decode_extrinsic(fake.blocks[-1][-1]).call
    return Decoder(decode_metadata(fake.metadata)).decode_call(call)


def test_an_account_sees_its_grants_rewards_and_offers(gristmill, vested):
    lines = gristmill("vesting", "show", BOB).out.splitlines()
    assert lines[1] == "locked       4200 GRIST"
    assert lines[2] == "next unlock  #61"
    assert any("from #61 to #241" in line and line.startswith("0 ") for line in lines)
    assert sum(line.endswith("  100") for line in lines) == 30


def test_json_gives_every_grain(gristmill, vested):
    found = check(gristmill("vesting", "show", EVE, "--json").out)["vesting"]
    assert (found["locked"], found["grants"], found["eraBlocks"]) == ("0", [], 60)
    assert [offer["id"] for offer in found["offers"]] == [1]
    assert found["offers"][0]["granter"] == ALICE
    assert found["offersComplete"] is True


@pytest.mark.parametrize("bound", ["OFFERS_READ", "OFFERS_SHOWN"])
def test_an_answer_looks_through_some_offers_only_and_says_so(
    gristmill, vested, monkeypatch, bound
):
    chain = emitting()
    chain.open()
    offer = chain.call("Vesting", "offer", person("Eve"), 1_200 * GRIST, 1, 60, 240, 60, None)
    for _ in range(6):
        assert chain.apply(offer, person("Alice"))
    prefix = chain.runtime.vesting.offers.info.prefix
    chain.close()
    node, read = node_at(chain), []
    storage = node.storage
    monkeypatch.setattr(node, "storage", lambda key, at: read.append(key) or storage(key, at))
    monkeypatch.setattr(economy, bound, 3)
    answer = EconomyMethods(node).vesting(person("Eve"), None)
    assert (len(answer["offers"]), answer["offersComplete"]) == (3, False)
    is_bounded = sum(key.startswith(prefix) for key in read) == 4
    assert is_bounded == (bound == "OFFERS_READ")
    vested.gristmill_v1_vesting = lambda _who, _at=None: {"result": answer}
    assert gristmill("vesting", "show", EVE).out.splitlines()[-1].startswith("there may be more")


def test_an_offer_counts_in_eras(gristmill, vested):
    terms = ("--cliff", 1, "--duration", 4, "--start", 2, "--revoker", EVE)
    done = gristmill("vesting", "offer", BOB, "5", *terms, *BY_ALICE)
    assert (done.code, done.err) == (0, "")
    call = sent(vested)
    assert call["call"] == "Vesting.offer"
    assert call["args"] == {
        "target": BOB, "value": str(5 * GRIST), "start": 121, "cliff": 60, "duration": 240,
        "step": 60, "revoker": EVE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (("accept", 1), "accept", {"id": 1}),
        (("decline", 1), "decline", {"id": 1}),
        (("withdraw", 1), "withdraw_offer", {"id": 1}),
        (("revoke", BOB, 0), "revoke", {"account": BOB, "id": 0}),
        (("collect", BOB, 0), "collect", {"account": BOB, "id": 0}),
        (("unlock", BOB), "vest_other", {"target": BOB}),
    ],
)
def test_every_verb_sends_its_call(gristmill, vested, words, name, args):
    done = gristmill("vesting", *words, *BY_ALICE)
    assert (done.code, done.err) == (0, "")
    assert (sent(vested)["call"], sent(vested)["args"]) == (f"Vesting.{name}", args)


def test_the_emission_of_a_chain_is_told_by_era(granted):
    told = EconomyMethods(node_at(granted)).emission(None)
    assert (told["era"], told["phase"], told["starts"]) == (0, "bootstrap", {"bootstrap": 0})
    assert told["eras"][0]["minted"]["compute"] == str(4_000 * GRIST)
    assert told["eras"][0]["budget"] == str(230_000 * GRIST)
    assert int(told["minted"]) == 38_500 * GRIST


def test_a_chain_without_emission_says_null():
    chain = Chain.start("plain")
    chain.block()
    assert EconomyMethods(node_at(chain)).emission(None) is None
