import tomllib

import pytest

from chain.devnet.spec import check_spec_kept, find_validators, write_spec
from chain.genesis import read_spec, start_chain
from chain.wallet.errors import BadContent, WrongUse

DEV = read_spec("dev")


def test_a_spec_is_left_alone_when_nothing_is_asked():
    assert write_spec(DEV, validators=None, interval_ms=None) == DEV
    assert write_spec(DEV, validators=4, interval_ms=None) == DEV


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 16])
def test_a_spec_with_another_number_of_validators_is_a_chain(count):
    text = write_spec(DEV, validators=count, interval_ms=0)
    assert len(find_validators(text)) == count
    start = start_chain(text)
    assert len(start.spec.validators) == count
    assert start.spec.params.block_interval_ms == 0


def test_only_what_was_asked_is_changed():
    text = write_spec(DEV, validators=None, interval_ms=250)
    before, after = tomllib.loads(DEV), tomllib.loads(text)
    assert after["limits"]["block_interval_ms"] == 250
    after["limits"]["block_interval_ms"] = before["limits"]["block_interval_ms"]
    assert after == before


def test_numbers_of_the_spec_are_set_by_their_names():
    settings = {"epoch_blocks": 8, "era_epochs": 2, "unbonding_eras": 4}
    limits = tomllib.loads(write_spec(DEV, validators=4, interval_ms=0, settings=settings))[
        "limits"
    ]
    assert {name: limits[name] for name in settings} == settings
    for name in ("no_such", "id", "epoch.*"):
        with pytest.raises(WrongUse):
            write_spec(DEV, validators=4, interval_ms=0, settings={name: 1})


def test_validators_beyond_the_funded_six_get_money_for_fees():
    document = tomllib.loads(write_spec(DEV, validators=8, interval_ms=None))
    assert [entry["label"] for entry in document["accounts"]][6:] == ["Grace", "Heidi"]


def test_nominators_need_a_spec_with_staking():
    bare = read_spec("bench")
    with pytest.raises(WrongUse, match="staking"):
        write_spec(bare, validators=4, interval_ms=None, nominators=3)


def test_scheduled_sets_go_with_the_validators_that_they_name():
    text = read_spec("test")
    assert "schedule" in tomllib.loads(write_spec(text, validators=5, interval_ms=None))
    assert "schedule" not in tomllib.loads(write_spec(text, validators=2, interval_ms=None))


def test_a_validator_without_development_keys_is_refused():
    with pytest.raises(WrongUse, match="Mallory"):
        write_spec(DEV.replace('"Dave"', '"Mallory"', 1), validators=None, interval_ms=None)


@pytest.mark.parametrize("text", ["", "nonsense", "[chain]", "validators = 3"])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(BadContent):
        write_spec(text, validators=4, interval_ms=None)


def test_a_chain_goes_on_with_its_own_spec_only(tmp_path):
    path = tmp_path / "spec.toml"
    check_spec_kept(path, "a", has_chain=True)
    path.write_text("a")
    check_spec_kept(path, "a", has_chain=True)
    check_spec_kept(path, "b", has_chain=False)
    with pytest.raises(WrongUse) as caught:
        check_spec_kept(path, "b", has_chain=True)
    assert "--fresh" in caught.value.hint
