"""The [staking] table and the stakes of a genesis: what is read, built, and refused."""

import pytest

from ext import store
from runtime.balances import HoldReason
from runtime.executive import Executive
from runtime.frame.errors import SpecError
from runtime.genesis import build_genesis
from runtime.spec import load_spec
from runtime.staking.nouns import NO_PREFERENCES, Backing, Position, Stint
from tests.support.runtime import ROOT, Chain, person, spec_of, without_staking

TEXT = (ROOT / "genesis" / "test.toml").read_text()
ALICE, BOB, EVE, FERDIE = (person(name) for name in ("Alice", "Bob", "Eve", "Ferdie"))
GRIST = 10**9
BACKED = """
[[nominators]]
label = "Ferdie"
stake = "11"
targets = ["Bob", "Alice", "Dave"]
"""


def chain_of(text: str) -> Chain:
    spec = load_spec(text)
    chain = Chain(store.State.from_entries(build_genesis(spec).entries), Executive(), spec)
    chain.look()
    return chain


def test_stakes_are_minted_on_top_and_power_is_their_whole_tokens() -> None:
    chain = chain_of(TEXT)
    staking, balances = chain.runtime.staking, chain.runtime.balances
    assert [record.power for record in chain.spec.validators] == [100_000] * 4
    assert chain.free(ALICE) == 10**6 * GRIST
    assert balances.held(ALICE, HoldReason.STAKE) == 100_000 * GRIST
    assert balances.total_issuance == chain.spec.issued == 6_400_000 * GRIST
    assert staking.counter_for_validators == 4
    assert (staking.validator_count, staking.min_validator_bond) == (10, 10_000 * GRIST)
    assert (staking.active_era, staking.active_era_info.start) == (0, None)
    assert staking.eras_total_stake[0] == 400_000 * GRIST
    params = staking.params
    assert (params.era_blocks, params.era_epochs, params.unbonding_eras) == (8, 2, 4)
    assert (params.slash_deferral_eras, params.offline_window) == (1, 20)


def test_genesis_nominators_back_their_targets_equally_and_count_for_power() -> None:
    text = TEXT + BACKED.replace('"11"', '"30000.000000002"')
    chain = chain_of(text)
    staking = chain.runtime.staking
    powers = {record.account: record.power for record in chain.spec.validators}
    assert sorted(powers.values()) == [100_000, 110_000, 110_000, 110_000]
    first, second, third = sorted((ALICE, BOB, person("Dave")))
    parts = ((first, 10_000 * GRIST + 1), (second, 10_000 * GRIST + 1), (third, 10_000 * GRIST))
    backings = tuple(Backing(who, value) for who, value in parts)
    assert staking.positions[FERDIE] == Position(0, (Stint(0, backings),))
    assert staking.nominators[FERDIE].targets == (first, second, third)
    assert [entry.who for entry in staking.exposures.nominators(0, first)] == [FERDIE]
    assert staking.exposures.prefs(0, first) == NO_PREFERENCES
    assert chain.free(FERDIE) == 10**6 * GRIST
    for _ in range(9):
        chain.block()


def test_a_chain_without_the_table_has_a_fixed_set() -> None:
    chain = Chain.start("plain")
    for _ in range(3):
        chain.block()
    runtime = chain.look()
    assert (runtime.staking.is_enabled, spec_of("plain").staking) == (False, None)
    prefixes = [item.prefix for item in runtime.staking.items]
    assert not any(runtime.ctx.state.keys(prefix) for prefix in prefixes)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seats = 10", "seats = 3", "staking.seats"),
        ("seats = 10", "seats = 101", "staking.seats"),
        ("seats = 10", "", "staking.seats"),
        ("seats = 10", "seats = 10\nchairs = 4", "staking.chairs"),
        ('validator_bond = "10000"', 'validator_bond = "0.5"', "staking.min_validator_bond"),
        ('min_nominator_bond = "10"', 'min_nominator_bond = "0"', "staking.min_nominator_bond"),
        ('min_nominator_bond = "10"', 'min_nominator_bond = "10001"', "staking.min_nominator_bond"),
        ("slash_deferral_eras = 1", "slash_deferral_eras = 0", "staking.slash_deferral_eras"),
        ("slash_deferral_eras = 1", "slash_deferral_eras = 4", "staking.slash_deferral_eras"),
        ("offline_window = 20", "offline_window = 3", "staking.offline_window"),
        ("voters_max = 200", "voters_max = 207", "staking.voters_max"),
        ("voters_max = 200", "voters_max = 70000", "staking.voters_max"),
        ("candidates_max = 50", "candidates_max = 3", "staking.candidates_max"),
        ("candidates_max = 50", "candidates_max = 5000", "staking.candidates_max"),
        ("commission_step = 10000000", "commission_step = 0", "staking.commission_step"),
        ('era_reward = "10"', "era_reward = 10", "staking.era_reward"),
        ('stake = "100000"', 'stake = "9999.999999999"', "validators[0].stake"),
        ('stake = "100000"', 'stake = "100000"\npower = 1', "validators[0].stake"),
        ('stake = "100000"', 'stake = "9220000000"', "staking"),
        ('label = "Alice"\naccount = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"\namount',
         'label = "Zoe"\naccount = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"\namount',
         "accounts"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_by_key_with_a_remedy(old: str, new: str, key: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        load_spec(TEXT.replace(old, new, 1))
    assert caught.value.key == key
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('label = "Ferdie"', 'label = "Mallory"', "nominators[0].label"),
        ('label = "Ferdie"', 'label = "Alice"', "nominators[0].label"),
        ('stake = "11"', 'stake = "9.999999999"', "nominators[0].stake"),
        ('"Bob", "Alice", "Dave"', "", "nominators[0].targets"),
        ('"Bob", "Alice", "Dave"', '"Bob", "Bob"', "nominators[0].targets"),
        ('"Bob", "Alice", "Dave"', '"Eve"', "nominators[0].targets"),
        ('"Bob", "Alice", "Dave"', "5", "nominators[0].targets"),
    ],
)
def test_a_nominator_names_an_account_and_validators_with_stake(
    old: str, new: str, key: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(TEXT + BACKED.replace(old, new, 1))
    assert caught.value.key == key
    with pytest.raises(SpecError, match="twice"):
        load_spec(TEXT + BACKED + BACKED)


def test_genesis_fits_its_own_limits() -> None:
    with pytest.raises(SpecError, match="voters_max"):
        load_spec(
            TEXT.replace("voters_max = 200", "voters_max = 1")
            + BACKED
            + BACKED.replace("Ferdie", "Eve")
        )


def test_a_stake_needs_the_table() -> None:
    with pytest.raises(SpecError, match=r"no \[staking\]"):
        load_spec(without_staking(TEXT).replace("power = 1\n", 'stake = "100000"\n', 1))
    with pytest.raises(SpecError, match="nominators"):
        load_spec(without_staking(TEXT) + BACKED)


def test_nobody_begins_with_more_than_a_third_of_a_live_chain() -> None:
    live = TEXT.replace('chain_type = "Development"', 'chain_type = "Live"')
    load_spec(live.replace('stake = "100000"', 'stake = "150000"', 1))
    with pytest.raises(SpecError, match="third"):
        load_spec(live.replace('stake = "100000"', 'stake = "150001"', 1))
    load_spec(TEXT.replace('stake = "100000"', 'stake = "150001"', 1))


def test_evidence_and_deferral_end_before_the_unbonding() -> None:
    longer = TEXT.replace("unbonding_eras = 4", "unbonding_eras = 5")
    load_spec(longer.replace("slash_deferral_eras = 1", "slash_deferral_eras = 4"))
    with pytest.raises(SpecError, match="slash_deferral_eras"):
        load_spec(longer.replace("slash_deferral_eras = 1", "slash_deferral_eras = 5"))
    with pytest.raises(SpecError, match="evidence_age_eras"):
        load_spec(longer.replace("evidence_age_eras = 1", "evidence_age_eras = 3"))
