import json
import stat

import pytest

from tests.unit.cli.schema import check
from tests.unit.wallet.vectors import DEV_PHRASE, POLKADOT

PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture
def ops(gristmill, password):
    made = gristmill("key", "new", "ops", "--kdf", "legacy", "--password-file", password, "--json")
    assert made.code == 0
    return check(made.out)


def test_a_new_key_is_kept_encrypted_in_a_private_file(gristmill, ops):
    path = gristmill.directory / "home" / "keys" / "ops.json"
    assert ops["file"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = check(gristmill("key", "list", "--json").out)
    assert listed["keys"] == [{"name": "ops", "address": ops["address"], "error": None}]
    shown = check(gristmill("key", "show", "ops", "--json").out)
    assert (shown["address"], shown["has_key_file"]) == (ops["address"], True)


def test_a_key_is_never_overwritten(gristmill, ops, password):
    again = gristmill("key", "new", "ops", "--password-file", password)
    assert again.code == 2
    assert "already" in again.err


def test_a_message_signed_is_verified_and_a_changed_one_exits_1(gristmill, ops, password):
    signed = gristmill("key", "sign", "hello", "--from", "ops", "--password-file", password)
    assert signed.code == 0
    signature = signed.out.strip()
    assert gristmill("key", "verify", "ops", signature, "hello").code == 0
    assert gristmill("key", "verify", ops["address"], signature, "-", stdin=b"hello").code == 0
    changed = gristmill("key", "verify", "ops", signature, "hallo", "--json")
    assert (changed.code, changed.out) == (1, "")
    assert json.loads(changed.err)["error"]["code"] == "failed"


def test_a_wrong_password_exits_77_and_says_which_password_it_is(gristmill, ops, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("nonsense")
    result = gristmill("key", "sign", "x", "--from", "ops", "--password-file", wrong)
    assert result.code == 77
    assert "password of the file" in result.err


def test_a_password_comes_from_stdin_or_the_environment(gristmill, ops, monkeypatch, password):
    result = gristmill(
        "key", "sign", "x", "--from", "ops", "--password-stdin", stdin="pässword\n".encode()
    )
    assert result.code == 0
    monkeypatch.setenv("GRISTMILL_PASSWORD_FILE", str(password))
    assert gristmill("key", "sign", "x", "--from", "ops").code == 0


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_nobody_is_asked_without_a_terminal_or_with_json(gristmill, flags):
    result = gristmill("key", "new", "other", *flags)
    assert result.code == 2
    assert "nobody can be asked" in result.err
    assert result.out == ""


def test_an_empty_password_protects_nothing(gristmill):
    result = gristmill("key", "new", "other", "--password-stdin", stdin=b"\n")
    assert result.code == 2


def test_a_phrase_from_stdin_becomes_the_account_that_polkadot_derives(gristmill, password):
    wanted = next(v for v in POLKADOT["uris"] if v["uri"] == PHRASE + "//hard")
    result = gristmill(
        "key", "import", "w", "-", "--kdf", "legacy", "--password-file", password, "--json",
        stdin=f"{PHRASE}//hard\n".encode(),
    )  # fmt: skip
    assert check(result.out)["address"] == wanted["address"]


def test_a_key_file_of_polkadot_is_imported_and_exported(gristmill, tmp_path):
    vector = POLKADOT["keystores"][0]
    source = tmp_path / "polkadot.json"
    source.write_text(json.dumps(vector["json"]))
    secret = tmp_path / "secret"
    secret.write_text(vector["password"])
    made = gristmill("key", "import", "fresh", source, "--password-file", secret, "--json")
    assert check(made.out)["public_key"] == vector["public"]
    exported = check(gristmill("key", "export", "fresh", "--json").out)
    assert exported["keystore"]["encoding"]["version"] == "3"
    out = gristmill("key", "export", "fresh", "--out", tmp_path / "copy.json")
    assert out.code == 0
    assert stat.S_IMODE((tmp_path / "copy.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "args",
    [
        ("key", "import", "x", PHRASE),
        ("key", "import", "x", "0x" + "11" * 32),
        ("key", "import", "x", "//Alice///password"),
        ("key", "sign", "m", "--from", PHRASE),
        ("key", "show", DEV_PHRASE + "//Alice"),
        ("account", "balance", "0x" + "11" * 32 + "//a"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(gristmill, args):
    result = gristmill(*args)
    assert result.code == 2
    assert "secret does not belong" in result.err
    assert "legal" not in result.err
    assert "1111" not in result.err


def test_a_secret_is_not_shown_to_a_pipe(gristmill, ops, password):
    result = gristmill("key", "export", "ops", "--show-secret", "--password-file", password)
    assert result.code == 2
    assert "seed" not in result.out + result.err


def test_the_address_of_a_multisig_is_computed(gristmill):
    result = gristmill(
        "key", "multisig", "//Alice", "//Bob", "//Charlie", "--threshold", 2, "--json"
    )
    wanted = next(v for v in POLKADOT["multisig"] if v["threshold"] == 2 and "uris" in v)
    assert check(result.out)["address"] == wanted["address"]


def test_a_broken_key_file_is_listed_with_its_fault(gristmill, ops):
    (gristmill.directory / "home" / "keys" / "bad.json").write_text("{}")
    keys = check(gristmill("key", "list", "--json").out)["keys"]
    assert keys[0]["name"] == "bad"
    assert keys[0]["error"]
