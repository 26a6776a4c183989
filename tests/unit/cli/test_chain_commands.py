import json

import pytest

from chain.wallet.accounts import dev_address
from tests.unit.cli.fake_rpc import FEE, fake_hash
from tests.unit.cli.schema import check

SEND = ("tx", "send", "balances.transfer_keep_alive", "--to", "//Bob", "--amount", "12.5")
ALICE, BOB = dev_address("Alice"), dev_address("Bob")


@pytest.mark.parametrize(
    ("args", "schema"),
    [
        (("account", "balance", "//Alice"), "account.balance/1"),
        (("account", "balance", "//Alice", "//Bob", "--at", "1"), "account.balance/1"),
        (("account", "history", "//Alice", "--limit", "1"), "account.history/1"),
        (("account", "history", "//Alice", "--before", "2.0"), "account.history/1"),
        (("chain", "info"), "chain.info/1"),
        (("chain", "spec"), "chain.spec/1"),
        (("chain", "block"), "chain.block/1"),
        (("chain", "block", "1"), "chain.block/1"),
        (("chain", "events", fake_hash(1)), "chain.events/1"),
        (("chain", "state", "System.Account", "//Alice"), "chain.state/1"),
        (("chain", "state", "System.Account"), "chain.state/1"),
        (("chain", "state", "system.motto"), "chain.state/1"),
        (("chain", "rpc", "system_health"), "chain.rpc/1"),
        ((*SEND, "--from", "//Alice", "--yes"), "tx.result/1"),
        ((*SEND, "--from", "//Alice", "--yes", "--no-wait"), "tx.sent/1"),
        ((*SEND, "--from", "//Alice", "--dry-run"), "tx.dry-run/1"),
        ((*SEND, "--help"), "tx.help/1"),
        (("transfer", "//Bob", "12.5", "--from", "//Alice", "--yes"), "tx.result/1"),
        (("transfer", "//Bob", "all", "--from", "//Alice", "--yes"), "tx.result/1"),
        (("tx", "build", *SEND[2:], "--from", "//Alice"), "tx/1"),
        (("export", "blocks"), "export/1"),
        (("export", "txs", "--format", "csv", "-b", "1:2"), "export/1"),
        (("export", "events", "--dry"), "export/1"),
        (("config", "show"), "config.show/1"),
        (("completion", "bash"), "completion/1"),
        (("version",), "version/1"),
        (("doctor",), "doctor/1"),
    ],
)
def test_the_json_of_a_command_keeps_its_schema(gristmill, node, args, schema):
    result = gristmill(*args, "--json")
    assert (result.code, result.err) == (0, "")
    assert check(result.out)["schema"] == f"gristmill.{schema}"


def test_the_text_of_a_command_is_plain_where_nobody_looks(gristmill, node):
    result = gristmill("account", "balance", "//Alice")
    assert result.code == 0
    assert "1000000 GRIST" in result.out
    assert "\x1b" not in result.out + result.err


def test_sending_shows_what_is_signed_then_block_fee_and_events(gristmill, node):
    result = gristmill(*SEND, "--from", "//Alice", "--yes")
    assert result.code == 0
    for shown in ("Balances.transfer_keep_alive", "12.5 GRIST", "Gristmill Devnet", "0.005 GRIST"):
        assert shown in result.err
    assert "#3" in result.out
    assert f"Balances.Transfer from={ALICE} to={BOB} amount=12.5 GRIST" in result.out


def test_json_carries_grains_as_strings(gristmill, node):
    document = check(gristmill(*SEND, "--from", "//Alice", "--yes", "--json").out)
    assert document["args"] == {"dest": BOB, "value": "12500000000"}
    assert document["fee"] == str(FEE)
    assert document["block"] == {"height": 3, "hash": fake_hash(3), "index": 1}
    assert document["success"] is True


def test_a_failed_call_exits_1_with_the_error_of_the_module_and_its_docstring(gristmill, node):
    node.chain.does_fail = True
    result = gristmill(*SEND, "--from", "//Alice", "--yes", "--json")
    assert result.code == 1
    assert check(result.out)["error"]["name"] == "Balances.InsufficientBalance"
    error = json.loads(result.err)["error"]
    assert "Balances.InsufficientBalance" in error["message"]
    assert error["hint"] == "The account owns less than it should pay; send less."


def test_a_dry_run_tells_the_changes_in_plain_words_and_sends_nothing(gristmill, node):
    result = gristmill(*SEND, "--from", "//Alice", "--dry-run")
    assert result.code == 0
    assert "It would succeed." in result.out
    assert f"{BOB}  1000000 GRIST -> 1000012.5 GRIST" in result.out
    assert "author_submitExtrinsic" not in node.chain.asked


def test_a_dry_run_that_would_fail_exits_1(gristmill, node):
    node.chain.does_fail = True
    result = gristmill(*SEND, "--from", "//Alice", "--dry-run")
    assert result.code == 1
    assert "Balances.InsufficientBalance" in result.err


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_nothing_is_sent_without_a_yes(gristmill, node, flags):
    result = gristmill(*SEND, "--from", "//Alice", *flags)
    assert result.code == 2
    assert "--yes" in result.err
    assert "author_submitExtrinsic" not in node.chain.asked


def test_a_published_key_signs_on_no_live_chain(gristmill, node):
    node.chain.chain_type = "Live"
    result = gristmill(*SEND, "--from", "//Alice", "--yes")
    assert result.code == 77
    assert "published key" in result.err
    assert "author_submitExtrinsic" not in node.chain.asked


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        (
            {"code": 1010, "message": "Invalid Transaction", "data": "it cannot pay"},
            1,
            "cannot pay",
        ),
        ({"code": 1016, "message": "Immediately dropped"}, 75, "Immediately dropped"),
        ({"code": -32999, "message": "too many"}, 75, "too many"),
        ({"code": 1, "message": "\x1b[31mred\nline"}, 1, "[31mred line"),
    ],
)
def test_a_refusal_of_the_node_is_one_line_with_its_reason(gristmill, node, refusal, code, words):
    node.chain.refusal = refusal
    result = gristmill(*SEND, "--from", "//Alice", "--yes")
    assert result.code == code
    assert words in result.err
    assert "\x1b" not in result.err


def test_a_transaction_that_never_comes_is_given_up_when_its_lifetime_ends(gristmill, node):
    node.chain.does_include = False
    result = gristmill(*SEND, "--from", "//Alice", "--yes", "--lifetime", "4")
    assert result.code == 1
    assert "lifetime ended" in result.err


def test_a_chain_that_stands_still_exits_75(gristmill, node):
    node.chain.does_include = "never"
    node.chain.author_submitExtrinsic = lambda _text: {"result": fake_hash(99)}
    result = gristmill(*SEND, "--from", "//Alice", "--yes")
    assert result.code == 75
    assert "is not final" in result.err


def test_a_transaction_travels_as_a_file_to_the_machine_that_signs(gristmill, node, tmp_path):
    (tmp_path / "metadata").write_text("0x" + node.chain.metadata.hex())
    built = gristmill("tx", "build", *SEND[2:], "--from", "//Alice", "--out", "tx.json")
    assert built.code == 0
    signing = ("tx", "sign", "tx.json", "--metadata", "metadata", "--yes", "--out", "signed.json")
    signed = gristmill(*signing)
    assert signed.code == 0
    assert "12.5 GRIST" in signed.err
    decoded = check(gristmill("tx", "decode", "signed.json", "--json").out)
    assert (decoded["signer"], decoded["is_signature_valid"]) == (ALICE, True)
    dry = check(gristmill("tx", "dry-run", "signed.json", "--json").out)
    assert dry["success"] is True
    sent = check(gristmill("tx", "submit", "signed.json", "--json").out)
    assert sent["hash"] == decoded["hash"]
    found = check(gristmill("tx", "watch", decoded["hash"], "--json").out)
    assert found["block"] == sent["block"]


def test_a_published_key_signs_no_file_of_a_live_chain(gristmill, node, tmp_path):
    node.chain.chain_type = "Live"
    (tmp_path / "metadata").write_text("0x" + node.chain.metadata.hex())
    gristmill("tx", "build", *SEND[2:], "--from", "//Alice", "--out", "tx.json")
    result = gristmill("tx", "sign", "tx.json", "--metadata", "metadata", "--yes")
    assert result.code == 77


def test_a_file_for_another_runtime_is_not_signed(gristmill, node, tmp_path):
    gristmill("tx", "build", *SEND[2:], "--from", "//Alice", "--out", "tx.json")
    document = json.loads((tmp_path / "tx.json").read_text())
    document["spec_version"] = 999
    (tmp_path / "tx.json").write_text(json.dumps(document))
    result = gristmill("tx", "sign", "tx.json", "--yes")
    assert result.code == 65
    assert "for runtime 999" in result.err


def test_a_changed_transaction_file_is_found_out(gristmill, node, tmp_path):
    (tmp_path / "metadata").write_text("0x" + node.chain.metadata.hex())
    gristmill("tx", "build", *SEND[2:], "--from", "//Alice", "--out", "tx.json")
    args = ("tx", "sign", "tx.json", "--metadata", "metadata", "--yes", "--out", "s.json")
    assert gristmill(*args).code == 0
    document = json.loads((tmp_path / "s.json").read_text())
    document["nonce"] += 1
    (tmp_path / "s.json").write_text(json.dumps(document))
    assert check(gristmill("tx", "decode", "s.json", "--json").out)["is_signature_valid"] is False


@pytest.mark.parametrize(
    ("content", "code"),
    [("nonsense", 65), ("{}", 65), ('{"schema": "gristmill.tx/2"}', 65), ("[" * 99999, 65)],
)
def test_what_is_no_transaction_file_exits_65(gristmill, node, tmp_path, content, code):
    (tmp_path / "tx.json").write_text(content)
    assert gristmill("tx", "submit", "tx.json").code == code


def test_the_help_of_a_call_comes_from_the_chain(gristmill, node):
    result = gristmill("tx", "send", "utility.batch_all", "--help")
    assert result.code == 0
    assert "Several calls." in result.out
    assert "--calls" in result.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("balances.transfer_keep_alive", "--to", "//Bob"), "needs --amount"),
        (("balances.transfer_keep_alive", "--too", "//Bob"), "no argument --too"),
        (("balances.transfer_keep_alive", "--to"), "--to needs a value"),
        (("balances.transfer_keep_alive", "--to", "a", "--to", "b"), "given twice"),
        (("balances.transfer_keep_alive", "stray"), "is not an argument"),
        (("balances.transfer_keep_alive", "--to", "//Bob", "--amount", "-5"), "not an amount"),
        ((), "no call is named"),
    ],
)
def test_a_wrong_argument_of_a_call_exits_2_and_says_which(gristmill, node, args, words):
    result = gristmill("tx", "send", *args, "--from", "//Alice")
    assert result.code == 2
    assert words in result.err


def test_exports_are_files_with_a_manifest_that_says_how_to_repeat_them(gristmill, node, tmp_path):
    gristmill(*SEND, "--from", "//Alice", "--yes")
    result = gristmill("export", "txs", "--json")
    assert check(result.out)["rows"] == 1
    row = json.loads((tmp_path / "export" / "txs.jsonl").read_text())
    assert (row["height"], row["signer"], row["fee"]) == (3, ALICE, str(FEE))
    assert (row["success"], row["error"], row["args"]["value"]) == (True, None, "12500000000")
    manifest = json.loads((tmp_path / "export" / "txs.manifest.json").read_text())
    assert manifest["blocks"] == {"first": 0, "last": 3}
    assert manifest["rows"] == 1
    assert "gristmill export txs --blocks 0:3" in manifest["command"]


@pytest.mark.parametrize("text", ["5:1", "0:99", "x", "1:2:3", "-1:2"])
def test_a_range_outside_the_chain_is_refused(gristmill, node, text):
    result = gristmill("export", "blocks", f"--blocks={text}")
    assert result.code == 2


def test_a_block_that_does_not_exist_exits_66(gristmill, node):
    assert gristmill("chain", "block", "99").code == 66
    assert gristmill("chain", "block", "soon").code == 66
    assert gristmill("chain", "state", "Nothing.Here").code == 66


def test_a_node_that_is_not_there_exits_69(gristmill):
    result = gristmill("chain", "info", "--url", "http://127.0.0.1:1", "--json")
    assert result.code == 69
    assert json.loads(result.err)["error"]["code"] == "unreachable"
