"""The staking commands against the answers of a real runtime: what is sent, refused, and shown."""

import json

import pytest

from chain.keychain import find_key_directories
from chain.keyfile import KEY_FILE, load_keys
from chain.wallet.accounts import dev_account, dev_address
from chain.wallet.decoding import Decoder
from chain.wallet.extrinsic import decode_extrinsic
from chain.wallet.metadata import decode_metadata
from chain.wallet.ss58 import decode_account
from runtime.frame.origins import Signed
from runtime.metadata import metadata_v14
from runtime.possession import is_possessed
from runtime.primitives import GRAINS_PER_GRIST
from runtime.staking.nouns import STAKED
from tests.support import electorate
from tests.support.runtime import person
from tests.support.staking_rpc import advance, methods_at
from tests.unit.cli.fake_rpc import fake_hash
from tests.unit.cli.schema import check

ALICE, EVE = dev_address("Alice"), dev_address("Eve")
BY_EVE = ("--from", "//Eve", "--yes", "--json")
GENESIS = bytes.fromhex(fake_hash(0)[2:])


@pytest.fixture(scope="module")
def chain():
    """Eve backs Alice, and has taken 40 of 100 GRIST out."""
    chain = electorate.start()
    eve = person("Eve")
    runtime = chain.open()
    runtime.staking.bond(Signed(eve), 100 * GRAINS_PER_GRIST, STAKED)
    runtime.staking.nominate(Signed(eve), (person("Alice"),))
    runtime.staking.unbond(Signed(eve), 40 * GRAINS_PER_GRIST)
    chain.close()
    advance(chain, 20)
    return chain


@pytest.fixture
def staking(node, chain):
    """A node that answers about that chain, and takes every call."""
    methods, fake = methods_at(chain), node.chain
    fake.metadata = metadata_v14()
    fake.outcome = lambda _content: b"\0"
    fake.gristmill_v1_staking = lambda _at=None: {"result": methods.overview(None)}
    fake.gristmill_v1_stakingAccount = lambda who, _at=None: {
        "result": methods.account(decode_account(who), None)
    }
    fake.gristmill_v1_stakingValidators = lambda _at=None: {"result": methods.validators(None)}
    fake.gristmill_v1_stakingReports = lambda *_args: {"result": methods.reports(20, None, None)}
    fake.gristmill_v1_validators = lambda: {
        "result": [{"address": ALICE, "consensusKey": "0x" + "07" * 32}]
    }
    fake.gristmill_v1_account = lambda who, _at=None: {
        "result": {
            "address": who, "nonce": 3, "total": "100", "spendable": "60", "free": "60",
            "held": "40", "frozen": "0", "holds": {"stake": "40"},
        }
    }  # fmt: skip
    return fake


def sent(fake):
    """The last call that reached a block."""
    call = decode_extrinsic(fake.blocks[-1][-1]).call
    return Decoder(decode_metadata(fake.metadata)).decode_call(call)


GRAINS = {"5": "5000000000", "60": "60000000000", "40": "40000000000"}


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (("bond", "5"), "bond", {"value": GRAINS["5"], "payee": "Staked"}),
        (("bond", "5", "--payee", "None"), "bond", {"value": GRAINS["5"], "payee": "None"}),
        (("bond-extra", "5"), "bond_extra", {"max_additional": GRAINS["5"]}),
        (("unbond", "5"), "unbond", {"value": GRAINS["5"]}),
        (("rebond", "all"), "rebond", {"value": GRAINS["40"]}),
        (("withdraw",), "withdraw_unbonded", {"num_slashing_spans": 0}),
        (("nominate", "//Alice"), "nominate", {"targets": [ALICE]}),
        (
            ("validate", "--commission", "2.5%", "--blocked"),
            "validate",
            {"prefs": {"commission": 25_000_000, "blocked": True}},
        ),
        (("chill",), "chill", {}),
        (("set-payee", "//Alice"), "set_payee", {"payee": {"Account": ALICE}}),
        (("kick", "//Eve"), "kick", {"who": [EVE]}),
        (("unjail",), "unjail", {}),
    ],
)
def test_a_verb_sends_its_call(gristmill, staking, words, name, args):
    done = gristmill("stake", *words, *BY_EVE)
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["schema"] == "gristmill.tx.result/1"
    assert sent(staking) == {"call": f"Staking.{name}", "args": args}


def test_all_of_the_active_stake_is_unbonded_with_its_rewards(gristmill, staking, chain):
    assert gristmill("stake", "unbond", "all", *BY_EVE).code == 0
    active = chain.look().staking.active_stake(person("Eve"))
    assert sent(staking)["args"] == {"value": str(active)}


def test_a_refusal_is_told_with_its_figures_and_nothing_is_sent(gristmill, staking):
    staking.gristmill_v1_dryRun = lambda _text: {
        "result": {"result": "0x0001030843000000", "events": "0x00"}
    }
    blocks = len(staking.blocks)
    done = gristmill("stake", "withdraw", *BY_EVE)
    assert done.code == 1
    error = json.loads(done.err)["error"]
    assert error["message"] == "it would fail, so nothing was sent: Staking.NothingUnlocked"
    for figure in ("bonded are 100", "40 GRIST, free in era 4 (block 33, about 20", "is era 2"):
        assert figure in error["hint"]
    assert "author_submitExtrinsic" not in staking.asked
    assert len(staking.blocks) == blocks


def test_who_has_nothing_bonded_is_told_what_it_takes(gristmill, staking):
    staking.gristmill_v1_dryRun = lambda _text: {
        "result": {"result": "0x0001030801000000", "events": "0x00"}
    }
    done = gristmill("stake", "chill", "--from", "//Ferdie", "--yes", "--json")
    assert "it takes 10 GRIST to nominate and" in json.loads(done.err)["error"]["hint"]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": 1010, "message": "Invalid Transaction"}},
        {"result": {"result": "0x010002", "events": "0x00"}},
    ],
    ids=["refused", "a nonce to come"],
)
def test_a_call_behind_a_waiting_one_is_sent_untried(gristmill, staking, answer):
    staking.gristmill_v1_dryRun = lambda _text: answer
    assert gristmill("stake", "chill", *BY_EVE).code == 0
    assert sent(staking)["call"] == "Staking.chill"


@pytest.mark.parametrize(
    "words",
    [
        ("bond", "0"), ("bond", "many"), ("nominate", "//Alice", "//Alice"), ("nominate",),
        ("validate", "--commission", "101"), ("validate", "--commission", "1e3"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_once(gristmill, staking, words):
    assert gristmill("stake", *words, *BY_EVE).code == 2
    assert "author_submitExtrinsic" not in staking.asked


@pytest.mark.parametrize(
    ("args", "schema"),
    [
        (("stake", "show", "//Eve", "//Ferdie"), "stake.show/1"),
        (("stake", "validators"), "stake.validators/1"),
        (("stake", "reports"), "stake.reports/1"),
        (("account", "show", "//Eve"), "account.show/1"),
        (("account", "show", "//Alice"), "account.show/1"),
        (("validator", "status", "//Alice"), "validator.status/1"),
        (("validator", "status", "//Eve"), "validator.status/1"),
    ],
)
def test_the_json_of_a_view_keeps_its_schema(gristmill, staking, args, schema):
    done = gristmill(*args, "--json")
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["schema"] == f"gristmill.{schema}"


def test_an_account_shows_when_its_stake_is_free_and_what_it_earns(gristmill, staking):
    out = gristmill("account", "show", "//Eve").out
    for words in ("role", "nominator", "40 GRIST, free in era 4 (block 33", "held for stake"):
        assert words in out
    assert f"backs              {ALICE}" in out
    assert "at risk            0 GRIST" in out


def test_an_account_is_shown_where_there_is_no_staking(gristmill, staking):
    error = {"error": {"code": -32000, "message": "No staking"}}
    staking.gristmill_v1_staking = lambda _at=None: error
    staking.gristmill_v1_stakingAccount = lambda _who, _at=None: error
    done = gristmill("account", "show", "//Eve", "--json")
    assert check(done.out)["stake"] is None


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "node"
    path.mkdir()
    return path


def newest(home):
    return load_keys(find_key_directories(home / "keys")[-1] / KEY_FILE)


def test_keys_are_made_registered_and_rotated_with_proof(gristmill, staking, home):
    options = ("--node-home", home, "--json")
    made = gristmill("validator", "init", "--account", "//Eve", *options)
    assert (made.code, made.err) == (0, "")
    first = newest(home)
    assert check(made.out)["consensus_key"] == "0x" + first.consensus_key.hex()
    assert str(first.consensus_seed.hex()) not in made.out
    again = gristmill("validator", "init", "--account", "//Eve", *options)
    assert again.code == 2
    assert "rotate" in json.loads(again.err)["error"]["hint"]
    for word in ("register", "rotate"):
        done = gristmill("validator", "keys", word, *options, "--yes")
        assert (done.code, done.err) == (0, "")
        keys, call = newest(home), sent(staking)
        assert call["call"] == "Session.set_keys"
        assert call["args"]["keys"] == {
            "consensus": "0x" + keys.consensus_key.hex(),
            "vrf": "0x" + keys.vrf_key.hex(),
        }
        assert is_possessed(
            bytes.fromhex(call["args"]["proof"][2:]),
            genesis_hash=GENESIS,
            account=dev_account("Eve").public,
            consensus_key=keys.consensus_key,
            vrf_key=keys.vrf_key,
        )
    assert len(find_key_directories(home / "keys")) == 2
    assert newest(home).consensus_key != first.consensus_key
    status = check(gristmill("validator", "status", *options).out)
    assert [one["use"] for one in status["local_keys"]] == ["not registered"] * 2


def test_keys_are_made_and_found_where_the_node_was_told_to_look(
    gristmill, staking, home, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    options = ("--node-home", home, "--keys", elsewhere, "--json")
    assert gristmill("validator", "init", "--account", "//Eve", *options).code == 0
    assert not (home / "keys").exists()
    for word in ("register", "rotate"):
        done = gristmill("validator", "keys", word, *options, "--yes")
        assert (done.code, done.err) == (0, "")
        keys = load_keys(find_key_directories(elsewhere)[-1] / KEY_FILE)
        consensus = sent(staking)["args"]["keys"]["consensus"]
        assert consensus == "0x" + keys.consensus_key.hex()
    assert len(check(gristmill("validator", "status", *options).out)["local_keys"]) == 2
    assert gristmill("validator", "status", "//Eve", "--keys", elsewhere).code == 2


def test_keys_are_registered_by_their_account_only(gristmill, staking, home):
    options = ("--node-home", home, "--json")
    assert gristmill("validator", "keys", "register", *options, "--yes").code == 66
    assert gristmill("validator", "keys", "rotate", *options, "--yes").code == 66
    gristmill("validator", "init", "--account", "//Eve", *options)
    done = gristmill("validator", "keys", "register", *options, "--yes", "--from", "//Alice")
    assert done.code == 2
    assert "has to sign" in json.loads(done.err)["error"]["message"]
    done = gristmill("validator", "keys", "rotate", *options, "--dry-run")
    assert done.code == 2
    assert len(find_key_directories(home / "keys")) == 1
