"""The constitution: bounds, steps and rests of every number that a vote may change."""

from dataclasses import replace

import pytest

from ext import scale, store
from runtime import fees
from runtime import parameters as words
from runtime.frame.errors import BadOrigin, DeclarationError, InvalidBlock, SpecError
from runtime.frame.parameters import Parameter, PlacedParameter, Unit
from runtime.genesis import load_spec
from runtime.parameters import ParameterSet
from runtime.runtime import Runtime
from tests.support.governance import as_root, refused_as_root
from tests.support.runtime import ROOT, Chain, genesis_of, person

BURN = fees.BURN_SHARE
SET = ("Parameters", "set")


@pytest.fixture
def chain() -> Chain:
    chain = Chain.start()
    chain.open()
    return chain


def era_later(chain: Chain, eras: int) -> None:
    """Look at the open block as if it stood some eras later; the rules ask for its height only."""
    block = chain.runtime.ctx.block
    ahead = eras * chain.runtime.parameters.era_blocks
    chain.runtime.ctx.block = replace(block, height=block.height + ahead)


def changed(chain: Chain) -> dict[str, int]:
    """The values that are not those of the spec."""
    first = store.State.from_entries(genesis_of("dev").entries).overlay()
    values = chain.runtime.parameters.values
    return {
        name: value
        for name, value in values.items()
        if first.get(values.storage_key(name)) != scale.U128.encode(value)
    }


def test_a_value_not_changed_is_its_default_and_takes_no_room(chain: Chain) -> None:
    assert BURN.read(chain.runtime.ctx) == 500_000_000
    assert BURN.name not in dict(chain.runtime.parameters.values.items())
    assert changed(chain) == {}


def test_root_sets_a_value_and_it_is_read_at_once(chain: Chain) -> None:
    chain.runtime.ctx.take_events()
    assert as_root(chain, *SET, BURN.name, 450_000_000) is None
    assert BURN.read(chain.runtime.ctx) == 450_000_000
    assert changed(chain) == {BURN.name: 450_000_000}
    event = ParameterSet(BURN.name, 500_000_000, 450_000_000)
    assert chain.runtime.ctx.events == [event.encode()]
    chain.close()


def test_the_default_again_takes_no_room_but_is_remembered_as_a_change(chain: Chain) -> None:
    assert as_root(chain, *SET, BURN.name, 450_000_000) is None
    era_later(chain, BURN.cooldown_eras)
    assert as_root(chain, *SET, BURN.name, BURN.default) is None
    assert BURN.name not in dict(chain.runtime.parameters.values.items())
    assert changed(chain) == {}
    refused_as_root(chain, words.CoolingDown, *SET, BURN.name, 450_000_000)


def test_no_user_sets_anything(chain: Chain) -> None:
    call = chain.executive.decode_call(chain.call(*SET, BURN.name, 450_000_000))
    assert chain.executive.run_call(call, person("Alice")) == BadOrigin.encoded
    assert BURN.read(chain.runtime.ctx) == BURN.default


def test_no_batch_of_a_user_sets_anything(chain: Chain) -> None:
    inner = chain.call(*SET, BURN.name, 450_000_000)
    for kind in ("batch", "batch_all"):
        batch = chain.executive.decode_call(chain.call("Utility", kind, [inner]))
        chain.executive.run_call(batch, person("Alice"))
        assert BURN.read(chain.runtime.ctx) == BURN.default


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (BURN.low - 1, words.BelowMinimum),
        (0, words.BelowMinimum),
        (BURN.high + 1, words.AboveMaximum),
        (1 << 127, words.AboveMaximum),
        (BURN.default, words.NothingToChange),
        (BURN.default + BURN.step + 1, words.TooSteep),
        (BURN.default - BURN.step - 1, words.TooSteep),
    ],
)
def test_a_value_outside_the_constitution_is_refused(chain: Chain, value: int, error: type) -> None:
    refused_as_root(chain, error, *SET, BURN.name, value)


@pytest.mark.parametrize("value", [BURN.default + BURN.step, BURN.default - BURN.step])
def test_a_whole_step_either_way_is_allowed(chain: Chain, value: int) -> None:
    assert as_root(chain, *SET, BURN.name, value) is None


def test_a_name_that_nobody_declared_is_refused(chain: Chain) -> None:
    refused_as_root(chain, words.UnknownParameter, *SET, "fees.nothing", 1)


def test_a_changed_value_rests_until_its_era_has_come(chain: Chain) -> None:
    assert as_root(chain, *SET, BURN.name, 450_000_000) is None
    era_later(chain, BURN.cooldown_eras - 1)
    refused_as_root(chain, words.CoolingDown, *SET, BURN.name, 400_000_000)
    era_later(chain, 1)
    assert as_root(chain, *SET, BURN.name, 400_000_000) is None


def test_many_steps_never_leave_the_bounds(chain: Chain) -> None:
    value = BURN.default
    while value + BURN.step <= BURN.high:
        value += BURN.step
        assert as_root(chain, *SET, BURN.name, value) is None
        era_later(chain, BURN.cooldown_eras)
    assert value <= BURN.high < value + BURN.step
    refused_as_root(chain, words.AboveMaximum, *SET, BURN.name, BURN.high + 1)


def test_an_era_is_a_fixed_number_of_blocks(chain: Chain) -> None:
    parameters = chain.runtime.parameters
    length = parameters.era_blocks
    assert length == chain.spec.era_epochs * chain.spec.params.epoch_blocks
    heights = (0, 1, length, length + 1, 2 * length, 2 * length + 1)
    assert [parameters.era(height) for height in heights] == [0, 0, 0, 1, 1, 2]
    assert [parameters.era(parameters.era_start(era)) for era in (0, 1, 5)] == [0, 1, 5]
    assert parameters.era(parameters.era_start(5) - 1) == 4
    assert [parameters.blocks_of(part) for part in (0, 1, 1_000, 1_001)] == [
        0,
        1,
        length,
        length + 1,
    ]


def test_every_parameter_stands_where_clients_look_for_it(chain: Chain) -> None:
    parameters = chain.runtime.parameters
    assert parameters.declared
    modules = {module.name: module for module in chain.runtime.modules}
    for name, declared in parameters.declared.items():
        module, parameter = modules[declared.owner], declared.parameter
        if isinstance(parameter, PlacedParameter):
            items = {item.name: item for item in module.items}
            item = items[parameter.place.item]
            assert (parameter.place.module, parameter.key) == (module.name, item.prefix)
            stored = item.value.encode(item.value.decode(chain.runtime.ctx.state.get(item.prefix)))
            assert parameter.place.codec.encode(parameter.place.codec.decode(stored)) == stored
        else:
            assert parameter.key == parameters.values.storage_key(name)


def test_the_split_of_fees_never_gives_away_more_than_there_is() -> None:
    assert fees.BURN_SHARE.high + fees.TREASURY_SHARE.high < 1_000_000_000
    assert fees.RATE_FLOOR.high <= fees.RATE_CEILING.low


def test_a_voted_split_is_the_split_of_the_next_fees() -> None:
    chain = Chain.start()
    chain.open()
    assert as_root(chain, *SET, BURN.name, 450_000_000) is None
    chain.apply(b"\x00\x00\x00", person("Alice"))
    chain.close()
    totals = chain.look().fees.totals
    paid = totals.burned + totals.treasury + totals.author
    assert abs(totals.burned - paid * 45 // 100) <= 1
    assert abs(totals.treasury - paid * 20 // 100) <= 1


def test_a_voted_price_is_the_price_from_the_next_block_on(chain: Chain) -> None:
    before = chain.runtime.fees.prices
    assert as_root(chain, *SET, fees.BASE.name, 600_000) is None
    assert as_root(chain, *SET, fees.RATE_FLOOR.name, 9_000) is None
    assert chain.runtime.fees.prices == before
    chain.close()
    chain.open()
    assert chain.runtime.fees.prices == (600_000, 1_000, 9_000)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "burn"},
        {"name": "Fees.burn"},
        {"name": "fees." + "x" * 48},
        {"default": 9},
        {"default": 101},
        {"low": -1, "default": 50},
        {"high": 1 << 64},
        {"step": 0},
        {"step": 91},
        {"cooldown_eras": 0},
        {"docs": ""},
    ],
)
def test_numbers_that_do_not_fit_each_other_are_no_declaration(change: dict) -> None:
    parts = {
        "name": "some.thing", "default": 50, "low": 10, "high": 100, "step": 90,
        "unit": Unit.COUNT, "docs": "It is.",
    }  # fmt: skip
    Parameter(**parts)
    with pytest.raises(DeclarationError):
        Parameter(**{**parts, **change})


def test_two_parameters_of_one_name_are_no_declaration() -> None:
    runtime = Runtime()
    with pytest.raises(DeclarationError, match=r"fees\.burn_share"):
        runtime.parameters.register([runtime.fees])


def test_a_spec_may_begin_with_other_values_inside_the_bounds() -> None:
    text = (ROOT / "genesis" / "test.toml").read_text()
    own = load_spec(text).parameters
    table = '"fees.burn_share" = 400000000\n'
    assert load_spec(text + table).parameters == {**own, "fees.burn_share": 400_000_000}
    for wrong in ('"fees.burn_share" = 1', '"fees.nothing" = 1', '"fees.burn_share" = "5"'):
        with pytest.raises(SpecError, match=r"parameters\.fees\."):
            load_spec(f"{text}{wrong}\n")


def test_numbers_that_have_a_table_of_their_own_are_not_among_the_parameters_of_a_spec() -> None:
    text = (ROOT / "genesis" / "test.toml").read_text()
    for name in ("staking.seats", "limits.block_bytes_max"):
        with pytest.raises(SpecError, match=name):
            load_spec(f'{text}"{name}" = 50\n')


def test_a_placed_parameter_is_what_the_spec_says_and_is_voted_where_it_stands(
    chain: Chain,
) -> None:
    runtime, rules = chain.runtime, chain.spec.staking.rules
    expected = {
        "staking.seats": rules.seats,
        "staking.min_validator_bond": rules.min_validator_bond,
        "staking.min_nominator_bond": rules.min_nominator_bond,
        "limits.block_bytes_max": chain.spec.params.block_bytes_max,
        "limits.block_weight_max": chain.spec.params.block_weight_max,
    }
    for part in ("slash_deferral_eras", "offline_window", "voters_max", "candidates_max",
                 "commission_step"):  # fmt: skip
        expected[f"staking.{part}"] = getattr(rules.params, part)
    placed = {
        name: declared.parameter
        for name, declared in runtime.parameters.declared.items()
        if isinstance(declared.parameter, PlacedParameter)
    }
    assert {name: parameter.read(runtime.ctx) for name, parameter in placed.items()} == expected
    before = runtime.staking.params
    assert as_root(chain, *SET, "staking.offline_window", 150) is None
    assert as_root(chain, *SET, "staking.seats", 12) is None
    assert runtime.staking.params == replace(before, offline_window=150)
    assert runtime.staking.validator_count == 12
    refused_as_root(chain, words.CoolingDown, *SET, "staking.seats", 13)
    assert changed(chain) == {}
    chain.close()


def test_a_chain_without_staking_has_none_of_its_numbers() -> None:
    chain = Chain.start("plain")
    chain.open()
    refused_as_root(chain, words.UnknownParameter, *SET, "staking.seats", 12)
    seats = chain.runtime.parameters.declared["staking.seats"].parameter
    with pytest.raises(KeyError):
        seats.write(chain.runtime.ctx, 12)


def test_a_vote_on_the_size_of_blocks_binds_the_next_block_and_is_in_its_header() -> None:
    chain = Chain.start()
    runtime = chain.open()
    limit = runtime.system.params.block_bytes_max
    remark = chain.call("System", "remark", bytes(30_000))
    body = [chain.sign(remark, person("Alice"), nonce=nonce).raw for nonce in range(100)]
    assert as_root(chain, *SET, "limits.block_bytes_max", limit - (256 << 10)) is None
    room = (limit - (256 << 10)) // len(body[0])
    assert room < 50 < limit // len(body[0])
    chain.executive.apply_many(body[:50])
    assert chain.close().params_hash != genesis_of("dev").params_hash
    chain.open()
    with pytest.raises(InvalidBlock, match=r"extrinsic \d+ is invalid"):
        chain.executive.apply_many(body[50 : 50 + room + 1])


def test_genesis_keeps_only_what_differs_from_the_defaults(chain: Chain) -> None:
    parameters = chain.runtime.parameters
    parameters.genesis(era_blocks=60, values={BURN.name: 400_000_000, fees.BASE.name: 500_000})
    assert changed(chain) == {BURN.name: 400_000_000}
    with pytest.raises(ValueError, match="burn_share"):
        parameters.genesis(era_blocks=60, values={BURN.name: 1})


def test_an_invariant_sees_a_value_that_no_vote_could_have_set(chain: Chain) -> None:
    assert all(check.holds for check in chain.runtime.parameters.invariants())
    chain.runtime.parameters.values[BURN.name] = BURN.low - 1
    broken = [c.sentence for c in chain.runtime.parameters.invariants() if not c.holds]
    assert broken == [f"{BURN.name} is inside its bounds"]
