import json
import os

import pytest

from chain.errors import ConfigError, StorageError
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys, save_keys
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from ext import signing
from tests.support.consensus import h

KEYS = ValidatorKeys(h("account"), h("consensus"), h("vrf"))


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    durable.disarm()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / KEY_FILE
    save_keys(path, KEYS)
    return path


def test_keys_round_trip_in_a_private_file_and_know_their_public_halves(path):
    assert load_keys(path) == KEYS
    assert path.stat().st_mode & 0o777 == 0o600
    assert KEYS.consensus_key == signing.public_key(h("consensus"))
    assert KEYS.vrf_key == signing.public_key(h("vrf"))


def test_a_damaged_digit_is_not_taken_for_another_key(path):
    whole = path.read_text()
    for place, digit in enumerate(whole):
        if digit in "0123456789abcdef":
            path.write_text(whole[:place] + ("0" if digit != "0" else "1") + whole[place + 1 :])
            with pytest.raises(ConfigError, match=r"backup|version"):
                load_keys(path)


def test_printing_keys_shows_no_seed():
    text = f"{KEYS!r} {KEYS}"
    for seed in (KEYS.consensus_seed, KEYS.vrf_seed):
        assert repr(seed) not in text
        assert seed.hex() not in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_reach_is_refused_with_the_remedy(path, mode):
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(path)


def test_a_key_is_never_overwritten(path):
    with pytest.raises(ConfigError, match="never overwritten"):
        save_keys(path, ValidatorKeys(h("a"), h("b"), h("c")))
    assert load_keys(path) == KEYS


def test_one_seed_is_not_used_for_two_purposes():
    with pytest.raises(ConfigError, match="must differ"):
        ValidatorKeys(h("account"), h("one"), h("one"))
    with pytest.raises(ConfigError, match="32 bytes"):
        ValidatorKeys(h("account"), h("one"), b"short")


def test_a_missing_file_and_a_symbolic_link_are_refused(path):
    link = path.with_name("link")
    link.symlink_to(path)
    for wrong in (link, path.with_name("none")):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_keys(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"gristmill_validator_key": 2}, {"account": "00"}, {"vrf_seed": "G" * 64},
        {"consensus_seed": "A" * 64}, {"consensus_seed": 7}, {"more": 1}, {"vrf_seed": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_file_is_refused_without_showing_a_seed(path, change):
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        load_keys(path)
    assert h("vrf").hex() not in str(caught.value)
    assert h("consensus").hex() not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, " " * 5_000, "\xff"])
def test_a_file_of_something_else_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a validator key file"):
        load_keys(path)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize(
    "point", ["keyfile.write", "keyfile.write.sync", "keyfile.name", "keyfile.name.sync"]
)
def test_a_crash_leaves_a_whole_key_file_or_none(tmp_path, point, fault):
    path = tmp_path / KEY_FILE
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        save_keys(path, KEYS)
    if not path.exists():
        save_keys(path, KEYS)
    assert load_keys(path) == KEYS
    assert os.listdir(tmp_path) == [KEY_FILE]  # noqa: PTH208 - names are enough
