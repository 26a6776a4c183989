import json
import stat

import pytest

from chain.config import load_config
from chain.devnet.identity import prepare_identity
from chain.devnet.peering import dev_peer_seed
from chain.errors import ConfigError
from chain.genesis import read_spec
from chain.keyfile import load_keys
from chain.wallet.accounts import dev_validator
from tests.support.solo import Solo
from tests.unit.cli.schema import check


@pytest.fixture
def home(tmp_path):
    directory = tmp_path / "node"
    directory.mkdir()
    return directory


def test_a_validators_keys_are_made_once_shown_and_moved(gristmill, home, tmp_path):
    made = check(
        gristmill("node", "key", "new", "--home", home, "--account", "//Alice", "--json").out
    )
    path = home / "keys" / "validator.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert check(gristmill("node", "key", "show", "--home", home, "--json").out) == made
    seed = json.loads(path.read_text())["consensus_seed"]
    shown = gristmill("node", "key", "show", "--home", home)
    assert seed not in shown.out + shown.err
    again = gristmill("node", "key", "new", "--home", home, "--account", "//Alice", "--json")
    assert again.code == 78
    assert json.loads(again.err)["error"]["code"] == "configuration"

    out = tmp_path / "signed.json"
    exported = gristmill("node", "signer", "export", "--home", home, "--out", out, "--json")
    assert check(exported.out)["file"] == str(out)
    imported = gristmill("node", "signer", "import", "--home", home, out, "--json")
    assert check(imported.out)["kept"] == [made["consensus_key"]]


def test_a_journal_is_replaced_only_by_somebody_who_understands(gristmill, home):
    gristmill("node", "key", "new", "--home", home, "--account", "//Alice")
    args = ("node", "signer", "reset", "--home", home, "--tip", "7")
    assert gristmill(*args).code == 78
    assert check(gristmill(*args, "--i-understand", "--json").out)["floor"] == 9


def test_how_far_keys_have_signed_is_shown_raised_and_adopted(gristmill, home, tmp_path):
    made = check(
        gristmill("node", "key", "new", "--home", home, "--account", "//Alice", "--json").out
    )
    show = ("node", "signer", "show", "--home", home)
    (shown,) = check(gristmill(*show, "--json").out)["keys"]
    assert (shown["height"], shown["step"], shown["listens_blocks"]) == (0, "nothing", 0)
    assert "signs" in gristmill(*show).out
    out = tmp_path / "signed.json"
    gristmill("node", "signer", "export", "--home", home, "--out", out)
    document = json.loads(out.read_text())
    document["keys"][0] |= {"height": 99, "kind": 3}
    out.write_text(json.dumps(document))
    take = ("node", "signer", "import", "--home", home, out)
    assert check(gristmill(*take, "--json").out)["raised"] == [made["consensus_key"]]
    assert "had signed as far already" in gristmill(*take).out
    (shown,) = check(gristmill(*show, "--json").out)["keys"]
    assert (shown["height"], shown["step"], shown["is_moved"]) == (99, "precommit", False)
    assert shown["listens_blocks"] > 0
    assert "listens for" in gristmill(*show).out
    adopt = ("node", "signer", "adopt", "--home", home)
    assert gristmill(*adopt).code == 78
    assert check(gristmill(*adopt, "--i-understand", "--json").out)["adopted"] == []
    assert gristmill("node", "signer", "import", "--home", home, tmp_path / "none").code == 66
    assert gristmill("node", "signer", "show", "--home", tmp_path).code == 78


def test_purging_deletes_the_chain_and_keeps_the_keys(gristmill, home):
    gristmill("node", "key", "new", "--home", home, "--account", "//Alice")
    (home / "db").mkdir()
    (home / "finality.journal").write_text("")
    assert gristmill("node", "purge", "--home", home).code == 2
    removed = check(gristmill("node", "purge", "--home", home, "--yes", "--json").out)["removed"]
    assert removed == [str(home / "db"), str(home / "finality.journal")]
    assert [one.name for one in home.iterdir()] == ["keys"]
    assert gristmill("node", "purge", "--home", home, "--yes").code == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--rpc-port", "high"), "--rpc-port"),
        (("--keep-blocks", "3"), "keep-blocks"),
        (("--rpc-host", "192.0.2.1"), "--rpc-external"),
        (("--chain", "nowhere.toml", "--dev-key", "alice"), "chain spec"),
    ],
)
def test_a_setting_of_a_node_that_cannot_be_is_one_sentence_and_78(gristmill, home, args, words):
    result = gristmill("node", "run", "--home", home, *args)
    assert result.code == 78
    assert words in result.err
    assert len(result.err.splitlines()) <= 2


def configure(home, chain="dev"):
    flags = {"home": str(home), "chain": chain}
    return load_config(flags=flags, environment={}, files=()).config


def test_a_development_node_gets_its_published_keys_once(home):
    config = configure(home)
    prepare_identity(config, "bob", "bob")
    keys, dev = load_keys(home / "keys" / "validator.key"), dev_validator("bob")
    assert (keys.account, keys.consensus_seed) == (dev.account.public, dev.consensus.seed)
    assert bytes.fromhex((home / "peer.key").read_text()) == dev_peer_seed("bob")
    assert stat.S_IMODE((home / "peer.key").stat().st_mode) == 0o600
    prepare_identity(config, "bob", "bob")
    with pytest.raises(ConfigError, match="another key"):
        prepare_identity(config, "alice", None)


def test_published_keys_are_refused_on_a_live_chain(home, tmp_path):
    spec = tmp_path / "live.toml"
    spec.write_text(read_spec("dev").replace('"Development"', '"Live"'))
    with pytest.raises(ConfigError, match="the chain is live"):
        prepare_identity(configure(home, str(spec)), "alice", None)
    assert not (home / "keys" / "validator.key").exists()


def test_an_archive_goes_into_a_node_and_the_node_back_to_an_earlier_block(gristmill, tmp_path):
    solo = Solo(tmp_path / "made")
    solo.steps(8)
    solo.chain.index()
    hashes = [solo.chain.blocks.block_id(height) for height in range(9)]
    solo.close()
    archive, home = tmp_path / "a.archive", tmp_path / "new"
    gristmill("export", "archive", tmp_path / "made", "--out", archive)
    load = ("node", "import-state", archive, "--home", home, "--chain", "test", "--json")
    assert gristmill(*load[:-3]).code == 78
    for _ in ("into nothing", "into itself"):
        made = check(gristmill(*load).out)
        assert (made["height"], made["home"]) == (8, str(home))
    back = ("node", "rewind", "--home", home, "--chain", "test", "--to", "3")
    assert gristmill(*back).code == 2
    assert check(gristmill(*back, "--yes", "--json").out)["height"] == 3
    again = Solo(home)
    assert [again.chain.blocks.block_id(height) for height in range(5)] == [*hashes[:4], None]
    assert again.chain.journal.tip.height == 3
    again.close()
    assert check(gristmill(*load).out)["height"] == 8
    assert gristmill("node", "import-state", tmp_path / "no", "--home", home).code == 66
    nothing = gristmill("node", "rewind", "--home", tmp_path / "empty", "--to", "1", "--yes")
    assert nothing.code == 2
    assert "no chain" in nothing.err


def test_a_key_that_signed_above_is_not_taken_back_by_accident(gristmill, home):
    gristmill("node", "key", "new", "--home", home, "--account", "//Alice", "--chain", "test")
    gristmill("node", "signer", "reset", "--home", home, "--tip", "7", "--chain", "test",
              "--i-understand")  # fmt: skip
    solo = Solo(home)
    solo.steps(5)
    solo.close()
    back = ("node", "rewind", "--home", home, "--chain", "test", "--to", "3", "--yes")
    refused = gristmill(*back)
    assert refused.code == 78
    assert "signed at height 9" in refused.err
    assert gristmill(*back, "--no-sign").code == 0


@pytest.mark.parametrize("command", ["replay", "supply", "emission"])
def test_an_audit_of_nothing_exits_66(gristmill, tmp_path, command):
    assert gristmill("audit", command, tmp_path / "nothing").code == 66


def test_an_audit_of_something_else_says_so(gristmill, tmp_path):
    (tmp_path / "file").write_text("not an archive")
    result = gristmill("audit", "replay", tmp_path / "file")
    assert result.code == 1
    assert result.err.startswith("error: ")
