"""Options come from one table, with bounds, in one order, and every refusal is a sentence."""

from pathlib import Path

import pytest

from chain.config import OPTIONS, load_config
from chain.errors import ConfigError


def load(flags=None, environment=None, files=()):
    return load_config(flags=flags or {}, environment=environment or {}, files=files)


def test_flags_win_over_environment_over_files_over_defaults(tmp_path):
    near, far = tmp_path / "near.toml", tmp_path / "far.toml"
    near.write_text('[node]\nrpc-port = 2\nname = "near"\n[other]\nx = 1\n')
    far.write_text('[node]\nrpc_port = 1\nname = "far"\npool_count_max = 7\n')
    resolved = load(
        {"rpc_port": "4"}, {"GRISTMILL_RPC_PORT": "3", "GRISTMILL_URL": "x"}, [near, far]
    )
    config, origins = resolved.config, resolved.origins
    assert (config.rpc_port, config.name, config.pool_count_max, config.p2p_port) == (
        4,
        "near",
        7,
        30333,
    )
    assert origins["rpc_port"] == "flag"
    assert origins["name"] == str(near)
    assert origins["pool_count_max"] == str(far)
    assert origins["p2p_port"] == "default"
    assert load({}, {"GRISTMILL_RPC_PORT": "3"}, [near]).config.rpc_port == 3


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"rpc_port": "65536"}, "between 0 and 65535"),
        ({"rpc_port": "-1"}, "between"),
        ({"rpc_port": "1e3"}, "whole number"),
        ({"rpc_port": "٣"}, "whole number"),
        ({"rpc_port": True}, "whole number"),
        ({"validator": "perhaps"}, "true or false"),
        ({"rpc_methods": "all"}, "one of auto, safe, unsafe"),
        ({"keep_blocks": "255"}, "at least 256"),
        ({"checkpoint": "7"}, "HEIGHT:HASH"),
        ({"checkpoint": "7:" + "ab" * 31}, "HEIGHT:HASH"),
        ({"name": ""}, "1 to 64"),
        ({"name": "a\nb"}, "printable"),
        ({"home": "a\0b"}, "is a text"),
        ({"rpc_host": "192.168.0.1"}, "--rpc-external"),
        ({"bootnodes": ["x"] * 257}, "at most 256"),
        ({"no_such": "1"}, "no option no_such"),
        ({"rpc_external": True, "rpc_methods": "unsafe", "validator": True}, "does not offer"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(flags, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load(flags)
    assert caught.value.exit_code == 78


def test_broken_files_are_named(tmp_path):
    path = tmp_path / "gristmill.toml"
    for text, words in (
        ("[node", "not TOML"),
        ("node = 1", "is a table"),
        ("[node]\nx = 1", "no option x"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load(files=[path])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load(files=[path])
    assert load(files=[tmp_path / "absent.toml"]).config == load().config


def test_lists_paths_and_flags_are_read_from_text():
    config = load(
        {}, {"GRISTMILL_BOOTNODES": " a , b,", "GRISTMILL_HOME": "x", "GRISTMILL_VALIDATOR": "yes"}
    ).config
    assert config.bootnodes == ("a", "b")
    assert config.home == Path.cwd() / "x"
    assert config.validator is True
    assert config.keys_path == config.home / "keys"
    assert load({"checkpoint": "7:0x" + "ab" * 32}).config.parsed_checkpoint == (7, b"\xab" * 32)


def test_every_option_has_a_default_within_its_bounds_and_a_help_text():
    for name, option in OPTIONS.items():
        assert option.metadata["help"], name
        if type(option.default) is int:
            assert option.metadata["minimum"] <= option.default <= option.metadata["maximum"], name


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("checkpoint", "1" * 5_000 + ":" + "00" * 32, "HEIGHT:HASH"),
        ("checkpoint", "\u0661:" + "00" * 32, "HEIGHT:HASH"),
        ("home", "~nobody-of-this-name/x", "home that is not known"),
    ],
)
def test_values_that_python_chokes_on_are_refused_in_a_sentence(name, value, reason):
    with pytest.raises(ConfigError, match=reason):
        load({name: value})


@pytest.mark.parametrize("value", ["9" * 5_000, "0x" + "f" * 6_000, "[" * 30_000])
def test_a_file_that_the_reader_of_toml_chokes_on_is_refused_in_a_sentence(tmp_path, value):
    path = tmp_path / "gristmill.toml"
    path.write_text(f"[node]\nrpc_port = {value}\n")
    with pytest.raises(ConfigError, match="not TOML"):
        load(files=[path])
