"""Stock Substrate clients, unmodified, against a devnet node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from substrateinterface import Keypair, KeypairType, SubstrateInterface

from chain.wallet.accounts import dev_nominator
from chain.wallet.derivation import derive_seed
from chain.wallet.ss58 import encode_address
from tests.support.devnet import DevnetUnderTest, run_cli, wait_until

JS = Path(__file__).parent / "js"
ALICE = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
BOB = "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"
EVE = "5Ck2miBfCe1JQ4cY3NDsXyBaD6EcsgiVmEFTWwqNSs25XDEq"
"""No validator: her balance grows by transfers only, Bob's by fees too."""
NOMINATOR = encode_address(dev_nominator(1).public)
"""//Nominator//1, who backs Alice and Bob."""
GRIST = 10**9

needs_node = pytest.mark.skipif(
    not shutil.which("node") or not (JS / "node_modules").is_dir(),
    reason="the JavaScript clients are not installed (make e2e installs them where Node.js is)",
)


def node_script(*args: str, seconds: int = 300) -> dict[str, Any]:
    done = subprocess.run(
        ["node", *args], cwd=JS, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def alice_keypair() -> Keypair:
    """The stock client signs with ed25519 but derives no ed25519 paths: give it the seed."""
    pair = Keypair.create_from_seed(derive_seed("//Alice").hex(), crypto_type=KeypairType.ED25519)
    assert pair.ss58_address == ALICE
    return pair


@pytest.fixture(scope="module")
def substrate(devnet: DevnetUnderTest) -> SubstrateInterface:
    return SubstrateInterface(url=devnet.nodes["alice"]["url"].replace("http", "ws"))


def test_py_substrate_interface_reads_metadata_accounts_headers_and_blocks(
    substrate: SubstrateInterface,
) -> None:
    assert substrate.properties["tokenSymbol"] == "GRIST"
    account = substrate.query("System", "Account", [ALICE])
    assert account.value["data"]["free"] > 1_000 * GRIST
    head = substrate.get_chain_finalised_head()
    header = substrate.get_block_header(block_hash=head)["header"]
    assert header["hash"] == head
    block = substrate.get_block(block_hash=head)
    first = block["extrinsics"][0].value["call"]
    assert (first["call_module"], first["call_function"]) == ("Timestamp", "set")
    assert len(substrate.query("Session", "Validators").value) == 4
    assert substrate.get_constant("Balances", "ExistentialDeposit").value == 1_000_000


def test_py_substrate_interface_sends_a_mortal_transfer_and_sees_its_events(
    substrate: SubstrateInterface,
) -> None:
    alice = alice_keypair()
    before = substrate.query("System", "Account", [EVE]).value["data"]["free"]
    call = substrate.compose_call(
        "Balances", "transfer_keep_alive", {"dest": EVE, "value": 12 * GRIST}
    )
    assert substrate.get_payment_info(call, alice)["partialFee"] > 0
    extrinsic = substrate.create_signed_extrinsic(call, alice, era={"period": 64})
    receipt = substrate.submit_extrinsic(extrinsic, wait_for_finalization=True)
    assert receipt.is_success, receipt.error_message
    names = [f"{e.value['module_id']}.{e.value['event_id']}" for e in receipt.triggered_events]
    assert "Balances.Transfer" in names
    assert "TransactionPayment.TransactionFeePaid" in names
    assert names[-1] == "System.ExtrinsicSuccess"
    after = substrate.query("System", "Account", [EVE]).value["data"]["free"]
    assert after - before == 12 * GRIST


def test_py_substrate_interface_names_the_module_error_of_a_failed_transfer(
    substrate: SubstrateInterface,
) -> None:
    alice = alice_keypair()
    call = substrate.compose_call("Balances", "transfer_keep_alive", {"dest": BOB, "value": 10**18})
    extrinsic = substrate.create_signed_extrinsic(call, alice, era={"period": 64})
    receipt = substrate.submit_extrinsic(extrinsic, wait_for_finalization=True)
    assert not receipt.is_success
    assert receipt.error_message["type"] == "Module"
    assert receipt.error_message["name"] == "InsufficientBalance"
    assert receipt.error_message["docs"]


@needs_node
@pytest.mark.javascript
def test_polkadot_js_reads_subscribes_sends_and_names_errors(devnet: DevnetUnderTest) -> None:
    seen = node_script("polkadot.mjs", devnet.nodes["bob"]["url"].replace("http", "ws"))
    assert seen["alice"] == ALICE
    assert seen["metadataVersion"] in (14, 15)
    assert seen["validators"] == 4
    assert (
        seen["headerHash"] == seen["blockHash"] == seen["hashByNumber"] == seen["heads"][-1]["hash"]
    )
    assert seen["digest"][:2] == ["PreRuntime", "Consensus"]
    assert seen["extrinsics"][:2] == ["timestamp.set", "authorship.noteContext"]
    assert int(seen["after"]) - int(seen["before"]) >= 12_500_000_000
    assert seen["paid"]["error"] is None
    names = [event["name"] for event in seen["paid"]["events"]]
    assert "balances.Transfer" in names
    assert "transactionPayment.TransactionFeePaid" in names
    assert seen["failed"]["error"]["module"] == "balances"
    assert seen["failed"]["error"]["name"] == "InsufficientBalance"
    assert seen["eventsAt"] >= len(names)


def wait_for_era(devnet: DevnetUnderTest, era: int) -> None:
    """Wait until an era has begun."""
    wait_until(
        lambda: devnet.rpc("alice", "gristmill_v1_staking")["era"] >= era,
        240,
        lambda: f"era {era} never began, at height {devnet.height('alice')}",
    )


def test_py_substrate_interface_reads_who_has_what_at_stake(
    devnet: DevnetUnderTest, substrate: SubstrateInterface
) -> None:
    assert substrate.query("Staking", "Bonded", [ALICE]).value == ALICE
    ledger = substrate.query("Staking", "Ledger", [ALICE]).value
    assert (ledger["stash"], ledger["unlocking"]) == (ALICE, [])
    assert ledger["active"] == ledger["total"] >= 100_000 * GRIST
    assert substrate.query("Staking", "Payee", [ALICE]).value == "Staked"
    found = substrate.query_map("Staking", "Validators")
    validators = {key.value: prefs.value for key, prefs in found}
    assert set(validators) == set(substrate.query("Session", "Validators").value)
    assert validators[ALICE] == {"commission": 0, "blocked": False}
    found = substrate.query_map("Staking", "Nominators")
    nominators = {key.value: nominations.value for key, nominations in found}
    assert ALICE in nominators[NOMINATOR]["targets"]
    era = substrate.query("Staking", "ActiveEra").value["index"]
    overview = substrate.query("Staking", "ErasStakersOverview", [era, ALICE]).value
    page = substrate.query("Staking", "ErasStakersPaged", [era, ALICE, 0]).value
    said = devnet.rpc("alice", "gristmill_v1_stakingExposure", ALICE, era)
    assert (str(overview["total"]), str(overview["own"])) == (said["total"], said["own"])
    assert [entry["who"] for entry in page["others"]] == [n["address"] for n in said["nominators"]]
    assert sum(entry["value"] for entry in page["others"]) == page["page_total"]
    points = substrate.query("Staking", "ErasRewardPoints", [era]).value
    assert points["total"] == sum(count for _, count in points["individual"])
    keys = substrate.query("Session", "NextKeys", [ALICE]).value
    assert keys["consensus"].startswith("0x")
    assert substrate.query("Staking", "CounterForValidators").value == 4


def test_py_substrate_interface_stakes_and_names_the_error_of_a_second_bond(
    substrate: SubstrateInterface,
) -> None:
    pair = Keypair.create_from_seed(derive_seed("//Ferdie").hex(), crypto_type=KeypairType.ED25519)
    bond = substrate.compose_call("Staking", "bond", {"value": 20 * GRIST, "payee": "Stash"})
    nominate = substrate.compose_call("Staking", "nominate", {"targets": [ALICE, BOB]})
    both = substrate.compose_call("Utility", "batch_all", {"calls": [bond, nominate]})
    receipts = []
    for call in (both, bond):
        extrinsic = substrate.create_signed_extrinsic(call, pair, era={"period": 64})
        receipts.append(substrate.submit_extrinsic(extrinsic, wait_for_finalization=True))
    first, second = receipts
    assert first.is_success, first.error_message
    names = [f"{e.value['module_id']}.{e.value['event_id']}" for e in first.triggered_events]
    assert "Staking.Bonded" in names
    assert not second.is_success
    assert second.error_message["name"] == "AlreadyBonded"


@needs_node
@pytest.mark.javascript
def test_polkadot_js_derives_validators_stakers_and_their_rewards(devnet: DevnetUnderTest) -> None:
    wait_for_era(devnet, 2)
    url = devnet.nodes["bob"]["url"].replace("http", "ws")
    seen: dict[str, Any] = node_script("staking.mjs", url, NOMINATOR)
    members = sorted(seen["validators"]["validators"])
    assert sorted(seen["validators"]["nextElected"]) == sorted(seen["stashes"]) == members
    assert len(members) == 4
    assert int(seen["overview"]["activeEra"], 16) >= 2
    assert seen["account"]["stashId"] == ALICE
    assert int(seen["account"]["stakingLedger"]["active"]) >= 100_000 * GRIST
    assert seen["account"]["validatorPrefs"]["commission"] == 0
    assert len(seen["account"]["nextSessionIds"]) == 2
    assert ALICE in seen["staker"]["nominators"]
    elected = {one["accountId"]: one for one in seen["electedInfo"]["info"]}
    assert sorted(elected) == members
    assert NOMINATOR in [entry["who"] for entry in elected[ALICE]["exposurePaged"]["others"]]
    assert seen["waitingInfo"]["waiting"] == []
    assert set(seen["currentPoints"]["individual"]) <= set(members)
    last = seen["erasPoints"][-1]
    assert sorted(last["validators"]) == members
    points = sum(int(points, 16) for points in last["validators"].values())
    assert points == int(last["eraPoints"], 16)
    assert int(seen["erasRewards"][-1]["eraReward"], 16) > 0, "older eras may be forgotten"
    assert sorted(seen["erasPrefs"][-1]["validators"]) == members
    assert NOMINATOR in seen["erasExposure"][-1]["nominators"]
    rewards = seen["stakerRewards"][-1]["validators"]
    assert sum(int(one["value"], 16) for one in rewards.values()) > 0
    assert NOMINATOR in seen["nominators"]


@needs_node
@pytest.mark.javascript
def test_keystores_cross_both_ways_with_polkadot_keyring(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps(node_script("keyring.mjs", "write", "secret ü", "//Eve")))
    password = tmp_path / "password"
    password.write_text("secret ü\n")
    imported = run_cli(
        "key", "import", "eve", str(theirs), "--password-file", str(password), "--json",
        home=tmp_path,
    )  # fmt: skip
    address = json.loads(imported.stdout)["address"]
    assert address == node_script("keyring.mjs", "address", "//Eve")["address"]
    run_cli("key", "new", "ours", "--password-file", str(password), home=tmp_path)
    out = run_cli("key", "export", "ours", "--json", home=tmp_path)
    exported = json.loads(out.stdout)
    keystore = tmp_path / "ours.json"
    keystore.write_text(json.dumps(exported.get("keystore", exported)))
    opened = node_script("keyring.mjs", "open", str(keystore), "secret ü")
    shown = json.loads(run_cli("key", "show", "ours", "--json", home=tmp_path).stdout)
    assert opened["address"] == shown["address"]
