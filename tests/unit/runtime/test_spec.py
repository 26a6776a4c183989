"""Chain specs: ours are right, and every wrong one is refused with the key and what to write."""

import tomllib
from pathlib import Path

import pytest

from ext import store
from runtime.balances import EXISTENTIAL_DEPOSIT, TREASURY
from runtime.frame.errors import SpecError
from runtime.genesis import build_genesis
from runtime.market.providers.rules import DEPOSIT_ERAS, TIER_AGES, UNBONDING_ERAS
from runtime.market.reputation import STAKE_ERAS
from runtime.section import find_account
from runtime.spec import load_spec
from runtime.totals import decode_totals
from tests.support.runtime import (
    PEOPLE,
    ROOT,
    Chain,
    genesis_of,
    person,
    spec_of,
    without_staking,
)

TEXT = (ROOT / "genesis" / "test.toml").read_text()
GRIST = 10**9
SPECS = ("dev", "local", "test", "bench")


@pytest.mark.parametrize("name", SPECS)
def test_our_specs_build_and_hold_every_invariant(name: str) -> None:
    genesis = genesis_of(name)
    state = store.State.from_entries(genesis.entries)
    assert state.root == genesis.state_root
    staked = sum(record.power for record in spec_of(name).validators) if name != "bench" else 0
    totals = decode_totals(genesis.totals)
    assert (totals.staked, totals.issuance) == (staked * GRIST, (6_000_000 + staked) * GRIST)
    assert state.money == totals.issuance == spec_of(name).issued
    chain = Chain.start(name)
    assert [check.sentence for check in chain.look().invariants() if not check.holds] == []
    assert [label for label in PEOPLE if person(label) in spec_of(name).labels] == list(PEOPLE)


@pytest.mark.parametrize("name", SPECS)
def test_entries_are_in_order_and_the_same_each_time(name: str) -> None:
    again = build_genesis(load_spec((ROOT / "genesis" / f"{name}.toml").read_text()))
    assert again == genesis_of(name)
    assert list(again.entries) == sorted(again.entries)


@pytest.mark.parametrize("name", SPECS)
def test_security_of_providers_is_liable_as_long_as_stake(name: str) -> None:
    runtime = Chain.start(name).look()
    limits = tomllib.loads((ROOT / "genesis" / f"{name}.toml").read_text())["limits"]
    unbonding = limits["unbonding_eras"]
    assert UNBONDING_ERAS.read(runtime.ctx) == unbonding
    assert STAKE_ERAS.read(runtime.ctx) == unbonding
    ages = [age.read(runtime.ctx) for age in TIER_AGES]
    assert ages == sorted(ages)
    # A deposit that comes back before security could leave would cost made-up providers nothing
    assert DEPOSIT_ERAS.read(runtime.ctx) > unbonding


def test_the_keys_in_the_specs_are_those_of_the_development_phrase() -> None:
    derivation = pytest.importorskip("chain.wallet.derivation")
    for name in SPECS:
        spec = spec_of(name)
        for record in spec.validators:
            label = spec.labels[record.account]
            uris = (f"//{label}", f"//{label}//consensus", f"//{label}//vrf")
            assert (record.account, record.consensus_key, record.vrf_key) == tuple(
                derivation.derive(uri).public for uri in uris
            )


def test_a_description_that_two_chains_do_not_share() -> None:
    roots = {genesis_of(name).state_root for name in SPECS}
    assert len(roots) == len(SPECS)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('id = "test"', 'id = "Test!"', "chain.id"),
        ('id = "test"', "", "chain.id"),
        ('id = "test"', "id = 5", "chain.id"),
        ('id = "test"', 'id = "test"\ncolour = "red"', "chain.colour"),
        ('chain_type = "Development"', 'chain_type = "Toy"', "chain.chain_type"),
        ('timeouts = "test"', 'timeouts = "never"', "chain.timeouts"),
        ('seed = "0x', 'seed = "1x', "chain.seed"),
        ("time_ms = 1767225600000", "time_ms = -1", "chain.time_ms"),
        ("time_ms = 1767225600000", "time_ms = 1.5", "chain.time_ms"),
        ("time_ms = 1767225600000", "time_ms = true", "chain.time_ms"),
        ("epoch_blocks = 4", "epoch_blocks = 1", "limits.epoch_blocks"),
        ("epoch_blocks = 4", "epoch_blocks = 1000000", "limits.epoch_blocks"),
        ("block_bytes_max = 1572864", "block_bytes_max = 10", "limits.block_bytes_max"),
        ("evidence_age_eras = 1", "evidence_age_eras = 2", "limits.evidence_age_eras"),
        ('base = "0.0005"', "base = 0.0005", "fees.base"),
        ('base = "0.0005"', 'base = "0.00000000005"', "fees.base"),
        ('base = "0.0005"', 'base = "9999999999"', "fees.base"),
        ('rate_floor = "0.000001"', 'rate_floor = "0"', "fees.rate_floor"),
        ('rate_ceiling = "1"', 'rate_ceiling = "0.0000001"', "fees.rate_ceiling"),
        ('consensus_key = "0x47', 'consensus_key = "0xGG', "validators[0].consensus_key"),
        ('consensus_key = "0x47', 'consensus_key = "0x48', "validators[0].consensus_key"),
        ("power = 0", "power = -1", "validators[4].power"),
        ('[[validators]]\nlabel = "Bob"', '[[validators]]\nlabel = "Alice"', "validators[1].label"),
        ('account = "5FA9', 'account = "5FA8', "validators[0].account"),
        ("epoch = 2", "epoch = 4", "schedule[1]"),
        ('["Alice", "Charlie", "Dave"]', '["Alice", "Mallory"]', "schedule[0]"),
        ('["Alice", "Charlie", "Dave"]', "[]", "schedule[0]"),
        ('amount = "1000000"', 'amount = "0.0000001"', "accounts[0].amount"),
        ("[fees]", "[fee]", "fees"),
        ("[chain]", "chain = 5\n[other]", "chain"),
        ("[chain]", "[chain", "spec"),
    ],
)  # fmt: skip
def test_a_wrong_spec_is_refused_by_key_with_a_remedy(old: str, new: str, key: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        load_spec(TEXT.replace(old, new, 1))
    assert caught.value.key == key
    assert caught.value.remedy
    assert str(caught.value).startswith(f"{key}: ")


@pytest.mark.parametrize(("deferral", "is_good"), [(6, True), (7, False)])
def test_exposures_outlast_every_report_that_may_need_them(deferral: int, is_good: bool) -> None:
    text = (
        TEXT.replace("unbonding_eras = 4", "unbonding_eras = 14")
        .replace("evidence_age_eras = 1", "evidence_age_eras = 11")
        .replace("slash_deferral_eras = 1", f"slash_deferral_eras = {deferral}")
    )
    if is_good:
        load_spec(text)
        return
    with pytest.raises(SpecError, match="forgotten") as caught:
        load_spec(text)
    assert caught.value.key == "staking.slash_deferral_eras"


def test_a_vote_on_a_slash_must_fit_its_deferral() -> None:
    load_spec(TEXT.replace('slashes.decide" = 500', 'slashes.decide" = 899'))
    with pytest.raises(SpecError, match="deferral") as caught:
        load_spec(TEXT.replace('slashes.decide" = 500', 'slashes.decide" = 900'))
    assert caught.value.key == "parameters.track.slashes.decide"
    longer = TEXT.replace("unbonding_eras = 4", "unbonding_eras = 5")
    load_spec(
        longer.replace("slash_deferral_eras = 1", "slash_deferral_eras = 3").replace(
            'slashes.decide" = 500', 'slashes.decide" = 2800'
        )
    )


def test_shared_keys_and_repeated_accounts_are_refused() -> None:
    alice, bob = spec_of("test").validators[0], spec_of("test").validators[1]
    text = TEXT.replace(bob.vrf_key.hex(), alice.vrf_key.hex(), 1)
    with pytest.raises(SpecError, match="vrf_key"):
        load_spec(text)
    entry = '\n[[accounts]]\nlabel = "More"\naccount = "{}"\namount = "5"\n'
    with pytest.raises(SpecError, match="twice"):
        load_spec(TEXT + entry.format("0x" + person("Ferdie").hex()))
    with pytest.raises(SpecError, match=r"accounts\[6\]"):
        load_spec(TEXT + entry.format("0x" + TREASURY.hex()))
    with pytest.raises(SpecError, match="more than can exist"):
        load_spec(TEXT.replace('amount = "1000000"', 'amount = "5000000000"'))


def test_powers_that_decide_nothing_are_refused() -> None:
    with pytest.raises(SpecError, match="powers"):
        load_spec(without_staking(TEXT).replace("power = 1\n", "power = 0\n"))


def test_a_spec_that_is_too_long_or_too_deep_is_refused() -> None:
    for text in ("#" * (5 << 20), "a = " + "[" * 100_000):
        with pytest.raises(SpecError):
            load_spec(text)


def test_addresses_of_other_networks_or_with_a_typing_error_are_no_accounts() -> None:
    alice = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
    assert find_account(alice) == person("Alice")
    for bad in (
        "",
        alice[:-1],
        alice[:-1] + "v",
        alice + "1",
        "1" + alice,
        "0" * 48,
        "z" * 64,
        "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
    ):
        assert find_account(bad) is None


def test_the_least_a_genesis_account_may_have() -> None:
    text = TEXT.replace('amount = "1000000"', 'amount = "0.001"', 1)
    assert load_spec(text).accounts[0].amount == EXISTENTIAL_DEPOSIT


def test_no_spec_holds_a_secret() -> None:
    for path in Path(ROOT / "genesis").glob("*.toml"):
        assert "secret" not in path.read_text().lower()


def test_a_label_that_is_no_text_is_refused() -> None:
    text = (ROOT / "genesis" / "test.toml").read_text()
    table = '\n[[schedule]]\nepoch = 99\nvalidators = [["Alice"]]\npower = 1\n'
    with pytest.raises(SpecError, match="names nobody"):
        load_spec(text.replace("\n[[schedule]]", table + "\n[[schedule]]", 1))
