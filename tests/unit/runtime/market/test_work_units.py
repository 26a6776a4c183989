"""The table of work: what votes may write into it, how slowly, and that old versions stay."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.frame.context import Context
from runtime.frame.errors import CallError
from runtime.frame.parameters import PERBILL, Track
from runtime.market.nouns import STEPS_MAX
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.market.work_units import (
    DEV_CLASSES,
    PUBLIC_CLASSES,
    REFERENCE_PROGRAM,
    Framework,
    HardwareClass,
    OpsTerm,
    ParamField,
    Program,
    UnknownClass,
    WorkUnits,
    compute_ops,
)
from runtime.market.work_units import module as rules
from runtime.market.work_units import nouns as words
from tests.support.governance import as_root, refused_as_root
from tests.support.runtime import Chain

H100, A100, RTX, CPU = DEV_CLASSES
NEW = HardwareClass(9, "B200-192G", 1, 2_000_000_000, 12_000_000, 10**15, is_open=True)
LAYERS = ParamField(0, 2, 100)
WIDTH = ParamField(2, 4, 8_192)
TRANSFORMER = Program(
    b"t" * 32,
    params_bytes=8,
    terms=(OpsTerm(24, (LAYERS, WIDTH, WIDTH)), OpsTerm(1_000, ())),
    is_repeatable=False,
)
IMAGE = Framework(b"i" * 32, "torch-2.9-cuda-13", 1_000)


class Said:
    """What an oracle says, as a test wants it."""

    def __init__(self) -> None:
        self.grist: int | None = None
        self.units: dict[int, int] = {}

    def price(self) -> int | None:
        return self.grist

    def class_price(self, class_id: int) -> int | None:
        return self.units.get(class_id)


class Table:
    """A chain whose table is that of a devnet, and an oracle that says what a test wants."""

    def __init__(self) -> None:
        self.chain = Chain.start("dev")
        self.chain.open()
        self.said = self.units.prices = Said()
        for entry in DEV_CLASSES:
            self.units.classes[0, entry.class_id] = entry

    @property
    def units(self) -> WorkUnits:
        return self.chain.runtime.market.work_units

    @property
    def ctx(self) -> Context:
        return self.chain.runtime.ctx

    def set(self, name: str, *arguments: Any) -> None:
        assert as_root(self.chain, "WorkUnits", name, *arguments) is None

    def refused(self, error: type[CallError], name: str, *arguments: Any) -> None:
        refused_as_root(self.chain, error, "WorkUnits", name, *arguments)

    def next_era(self) -> None:
        parameters = self.chain.runtime.parameters
        target = parameters.era_start(parameters.era() + 1)
        while self.ctx.block.height < target:
            self.chain.close()
            self.chain.open()


@pytest.fixture
def table() -> Table:
    return Table()


def broken(table: Table) -> list[str]:
    checks = [*table.units.guards(), *table.units.invariants()]
    return [check.sentence for check in checks if not check.holds]


# Classes


def test_a_vote_writes_a_class_into_a_new_version_and_the_old_one_stays(table: Table) -> None:
    dearer = replace(H100, reference=H100.reference * 105 // 100)
    table.set("set_class", dearer)
    assert table.units.version == 1
    assert table.units.entry(1, 0) == dearer
    assert table.units.entry(0, 0) == H100
    assert table.units.classes_at(1) == (dearer, A100, RTX, CPU)
    assert table.units.classes_at(0) == (H100, A100, RTX, CPU)
    assert table.units.began[1] == table.ctx.block.height
    assert table.ctx.events[-1] == (
        words.ClassSet(
            1, 0, dearer.weight, dearer.reference, dearer.ops_per_unit, is_open=True
        ).encode()
    )
    table.chain.close()


def test_a_job_reads_the_version_that_it_was_accepted_under(table: Table) -> None:
    table.set("set_class", replace(CPU, ops_per_unit=1_050_000))
    table.set("set_program", TRANSFORMER, True)
    params = TrainerParams.wire.encode(TrainerParams(4, 1, 0))
    old, new = (table.units.entry(version, 3) for version in (0, 1))
    assert old is not None
    assert new is not None
    ops = 1_000 * 4 * 64 * 132
    assert table.units.metered_units(PROGRAM, params, 1_000, old, 0) == ops // 1_000_000 == 33
    assert table.units.metered_units(PROGRAM, params, 1_000, new, 1) == ops // 1_050_000 == 32
    assert table.units.metered_units(TRANSFORMER.digest, bytes(8), 9, old, 1) is None
    assert table.units.program(TRANSFORMER.digest, 1) is None
    assert table.units.program(TRANSFORMER.digest) == TRANSFORMER
    table.chain.close()


@pytest.mark.parametrize("number", ["weight", "reference", "ops_per_unit"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_moves_by_five_percent_once_an_era(table: Table, number: str, sign: int) -> None:
    old = getattr(H100, number)
    step = old // 20
    within, beyond = (replace(H100, **{number: old + sign * by}) for by in (step, step + 1))
    table.refused(words.ClassTooSteep, "set_class", beyond)
    table.set("set_class", within)
    closed = replace(within, is_open=False)
    table.refused(words.ClassCoolingDown, "set_class", closed)
    table.set("set_class", replace(A100, is_open=False))
    table.next_era()
    table.set("set_class", closed)
    table.chain.close()


def test_what_a_unit_is_never_changes(table: Table) -> None:
    table.refused(words.UnitIsFixed, "set_class", replace(H100, units_per_second=2))
    table.refused(words.UnitIsFixed, "set_class", replace(H100, name="H200"))
    table.chain.close()


def test_a_class_is_closed_and_opened_again(table: Table) -> None:
    table.set("set_class", replace(RTX, is_open=False))
    entry = table.units.entry(1, 2)
    assert entry is not None
    assert not entry.is_open
    table.next_era()
    table.set("set_class", RTX)
    table.chain.close()


def test_a_new_class_has_any_numbers_but_none_of_zero_and_its_own_name(table: Table) -> None:
    for number in ("units_per_second", "weight", "reference", "ops_per_unit"):
        table.refused(words.ClassIncomplete, "set_class", replace(NEW, **{number: 0}))
    for number in ("weight", "reference", "ops_per_unit"):
        table.refused(words.ClassIncomplete, "set_class", replace(NEW, **{number: 19}))
    table.refused(words.ClassIncomplete, "set_class", replace(NEW, name=""))
    table.refused(words.ClassNameTaken, "set_class", replace(NEW, name="CPU-64"))
    table.set("set_class", NEW)
    assert table.units.classes_at(1) == (*DEV_CLASSES, NEW)
    table.refused(words.NothingToSet, "set_class", NEW)
    table.chain.close()


def test_a_full_table_takes_no_class_but_moves_those_that_it_has(table: Table) -> None:
    for number in range(100, 100 + rules.ROWS_MAX - len(DEV_CLASSES)):
        table.units.classes[0, number] = replace(NEW, class_id=number, name=f"class {number}")
    table.refused(words.TableFull, "set_class", NEW)
    table.set("set_class", replace(H100, is_open=False))
    assert len(table.units.classes_at(1)) == rules.ROWS_MAX
    table.chain.close()


# Prices


def test_a_unit_costs_what_the_table_says_while_the_oracle_is_silent(table: Table) -> None:
    assert table.units.reference(0) == H100.reference
    table.said.grist = 100_000
    assert table.units.reference(0) == H100.reference
    table.said.grist, table.said.units = None, {0: 611}
    assert table.units.reference(0) == H100.reference
    table.set("set_class", replace(H100, reference=6_000_000))
    assert (table.units.reference(0), table.units.reference(0, 0)) == (6_000_000, 6_100_000)
    table.chain.close()


def test_a_unit_costs_what_the_oracle_says_while_it_speaks(table: Table) -> None:
    table.said.grist, table.said.units = 300_000, {0: 611, 1: 0}
    assert table.units.reference(0) == 611 * 10**9 // 300_000 == 2_036_666
    assert table.units.reference(1) == 1
    assert table.units.reference(2) == RTX.reference
    table.chain.close()


def test_a_class_that_is_not_there_has_no_price(table: Table) -> None:
    assert table.units.entry(0, 77) is None
    with pytest.raises(UnknownClass):
        table.units.reference(77)
    table.chain.close()


# Programs


def test_the_reference_trainer_is_in_every_table_and_counts_as_the_trainer_does(
    table: Table,
) -> None:
    assert table.units.program(PROGRAM) == table.units.program(PROGRAM, 55) == REFERENCE_PROGRAM
    assert REFERENCE_PROGRAM.is_reference
    assert REFERENCE_PROGRAM.is_metered
    assert table.units.programs_at(0) == (REFERENCE_PROGRAM,)
    for outputs in (1, 7, 32):
        params = TrainerParams(outputs, 65_535, 31)
        encoded = TrainerParams.wire.encode(params)
        assert compute_ops(REFERENCE_PROGRAM, encoded, 1_234) == 1_234 * outputs * 64 * 132
    table.refused(words.ReferenceIsBuiltIn, "set_program", REFERENCE_PROGRAM, False)
    changed = replace(REFERENCE_PROGRAM, terms=())
    table.refused(words.ReferenceIsBuiltIn, "set_program", changed, True)
    table.chain.close()


@pytest.mark.parametrize(
    "params",
    [b"", bytes(4), bytes(5), b"\x01\x00\x00\x00", b"\x21\x01\x00\x00", b"\x01\x01\x00\x20"],
)
def test_parameters_that_the_trainer_refuses_have_no_units(table: Table, params: bytes) -> None:
    assert table.units.metered_units(PROGRAM, params, 100, CPU) is None
    table.chain.close()


def test_units_are_rounded_down(table: Table) -> None:
    params = TrainerParams.wire.encode(TrainerParams(1, 1, 0))
    per_step = 64 * 132
    exact = replace(CPU, ops_per_unit=per_step * 10)
    assert table.units.metered_units(PROGRAM, params, 10, exact) == 1
    assert table.units.metered_units(PROGRAM, params, 9, exact) == 0
    assert table.units.metered_units(PROGRAM, params, 0, exact) == 0
    assert table.units.metered_units(PROGRAM, params, 19, exact) == 1
    table.chain.close()


def test_a_formula_multiplies_fields_and_adds_terms() -> None:
    params = (12).to_bytes(2, "little") + (768).to_bytes(4, "little") + b"xx"
    assert compute_ops(TRANSFORMER, params, 5) == 5 * (24 * 12 * 768 * 768 + 1_000)


@pytest.mark.parametrize(
    "params",
    [
        bytes(8),
        bytes(7),
        (101).to_bytes(2, "little") + (1).to_bytes(6, "little"),
        (1).to_bytes(2, "little") + (8_193).to_bytes(6, "little"),
        (1).to_bytes(2, "little") + bytes(6),
    ],
)
def test_parameters_outside_of_a_formula_are_not_counted(params: bytes) -> None:
    assert compute_ops(TRANSFORMER, params, 5) is None


def test_a_program_without_a_formula_is_known_and_not_counted(table: Table) -> None:
    program = replace(TRANSFORMER, terms=(), is_repeatable=True)
    table.set("set_program", program, True)
    assert table.units.program(program.digest) == program
    assert not program.is_metered
    assert table.units.metered_units(program.digest, bytes(8), 5, CPU) is None
    assert table.units.metered_units(b"u" * 32, bytes(8), 5, CPU) is None
    table.chain.close()


def test_a_program_is_let_go_from_the_next_version_on(table: Table) -> None:
    table.refused(words.UnknownRow, "set_program", TRANSFORMER, False)
    table.set("set_program", TRANSFORMER, True)
    table.refused(words.NothingToSet, "set_program", TRANSFORMER, True)
    table.set("set_program", TRANSFORMER, False)
    assert table.units.program(TRANSFORMER.digest) is None
    assert table.units.program(TRANSFORMER.digest, 1) == TRANSFORMER
    event = words.ProgramSet(
        2, TRANSFORMER.digest, is_listed=False, is_metered=False, is_repeatable=False
    )
    assert table.ctx.events[-1] == event.encode()
    table.chain.close()


@pytest.mark.parametrize(
    "term",
    [
        OpsTerm(0, ()),
        OpsTerm(1, (ParamField(0, 0, 5),)),
        OpsTerm(1, (ParamField(0, 9, 5),)),
        OpsTerm(1, (ParamField(7, 2, 5),)),
        OpsTerm(1, (ParamField(255, 1, 5),)),
        OpsTerm(1, (LAYERS, ParamField(0, 1, 0))),
    ],
)
def test_a_formula_that_reads_outside_or_counts_nothing_is_refused(
    table: Table, term: OpsTerm
) -> None:
    program = replace(TRANSFORMER, terms=(*TRANSFORMER.terms, term))
    table.refused(words.BadFormula, "set_program", program, True)
    table.refused(words.BadFormula, "set_program", replace(TRANSFORMER, params_bytes=257), True)
    table.chain.close()


def test_the_largest_job_of_a_formula_is_bounded(table: Table) -> None:
    most = words.OPS_MAX // STEPS_MAX
    fits = replace(TRANSFORMER, terms=(OpsTerm(most - 1, ()), OpsTerm(1, ())))
    table.set("set_program", fits, True)
    over = replace(TRANSFORMER, terms=(OpsTerm(most, ()), OpsTerm(1, ())))
    table.refused(words.FormulaTooLarge, "set_program", over, True)
    wide = replace(TRANSFORMER, terms=(OpsTerm(1, (ParamField(0, 8, (1 << 64) - 1),)),))
    table.refused(words.FormulaTooLarge, "set_program", wide, True)
    table.chain.close()


def test_a_full_list_takes_no_program(table: Table) -> None:
    for number in range(rules.PROGRAMS_MAX):
        digest = number.to_bytes(32, "big")
        table.units.programs[0, digest] = replace(TRANSFORMER, digest=digest)
    table.refused(words.TableFull, "set_program", TRANSFORMER, True)
    known = replace(TRANSFORMER, digest=bytes(32), is_repeatable=True)
    table.set("set_program", known, True)
    assert len(table.units.programs_at(1)) == rules.PROGRAMS_MAX + 1
    table.chain.close()


# Frameworks


def test_a_framework_is_listed_before_its_height(table: Table) -> None:
    height = table.ctx.block.height
    assert not table.units.framework(IMAGE.image)
    table.set("set_framework", replace(IMAGE, expires=height + 2))
    assert table.units.framework(IMAGE.image)
    assert table.units.frameworks_at(1) == (replace(IMAGE, expires=height + 2),)
    for is_listed in (True, False):
        table.chain.close()
        table.chain.open()
        assert table.units.framework(IMAGE.image) == is_listed
    table.chain.close()


def test_a_framework_ends_at_once_by_a_vote(table: Table) -> None:
    table.refused(words.UnknownRow, "set_framework", replace(IMAGE, expires=0))
    table.set("set_framework", IMAGE)
    table.refused(words.NothingToSet, "set_framework", IMAGE)
    table.set("set_framework", replace(IMAGE, expires=0))
    assert not table.units.framework(IMAGE.image)
    assert table.units.frameworks_at(1) == (IMAGE,)
    assert table.ctx.events[-1] == words.FrameworkSet(2, IMAGE.image, 0).encode()
    table.chain.close()


def test_a_framework_that_would_be_over_is_refused(table: Table) -> None:
    now = table.ctx.block.height
    table.refused(words.FrameworkExpired, "set_framework", replace(IMAGE, expires=now))
    table.chain.close()


def test_a_full_list_takes_no_framework(table: Table) -> None:
    for number in range(rules.ROWS_MAX):
        image = number.to_bytes(32, "big")
        table.units.frameworks[0, image] = replace(IMAGE, image=image)
    table.refused(words.TableFull, "set_framework", IMAGE)
    table.set("set_framework", replace(IMAGE, image=bytes(32), expires=2_000))
    table.chain.close()


# The module


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_class", (NEW,)),
        ("set_program", (TRANSFORMER, True)),
        ("set_framework", (IMAGE,)),
    ],
)
def test_only_votes_write(table: Table, name: str, arguments: tuple[Any, ...]) -> None:
    call = table.chain.call("WorkUnits", name, *arguments)
    assert not table.chain.apply(call, next(iter(table.chain.spec.labels)))
    assert table.units.version == 0
    table.chain.close()


def test_every_change_is_a_vote_on_parameters(table: Table) -> None:
    assert table.units.judge_class(NEW) is Track.PARAMETERS
    assert table.units.judge_class(replace(H100, is_open=False)) is Track.PARAMETERS
    assert table.units.judge_program(TRANSFORMER, is_listed=True) is Track.PARAMETERS
    assert table.units.judge_framework(IMAGE) is Track.PARAMETERS
    table.set("set_program", TRANSFORMER, True)
    table.set("set_framework", IMAGE)
    assert table.units.judge_program(TRANSFORMER, is_listed=False) is Track.PARAMETERS
    assert table.units.judge_framework(replace(IMAGE, expires=0)) is Track.PARAMETERS
    table.chain.close()


def test_a_spec_begins_with_rows_that_a_vote_could_write() -> None:
    table = Table()
    for entry in DEV_CLASSES:
        del table.units.classes[0, entry.class_id]
    table.units.genesis(classes=PUBLIC_CLASSES, programs=(TRANSFORMER,), frameworks=(IMAGE,))
    assert table.units.classes_at(0) == PUBLIC_CLASSES
    assert table.units.programs_at(0) == (REFERENCE_PROGRAM, TRANSFORMER)
    assert table.units.frameworks_at(0) == (IMAGE,)
    table.chain.close()
    table.chain.open()
    with pytest.raises(words.ClassNameTaken):
        table.units.genesis(classes=(replace(NEW, name="CPU-64"),))
    table.chain.close()


def test_the_strongest_public_class_is_the_whole_and_the_rest_are_parts() -> None:
    assert max(entry.weight for entry in PUBLIC_CLASSES) == PERBILL
    assert [entry.name for entry in PUBLIC_CLASSES] == [
        "H100-80G",
        "A100-80G",
        "RTX-4090",
        "CPU-64",
    ]
    for entry in PUBLIC_CLASSES:
        exact = H100.weight * entry.reference // H100.reference
        assert abs(entry.weight - exact) < PERBILL // 100


def test_invariants_see_a_table_that_no_vote_wrote(table: Table) -> None:
    table.set("set_class", NEW)
    assert broken(table) == []
    steep = replace(H100, weight=H100.weight * 2)
    table.units.classes[1, 0] = steep
    assert broken(table) == ["version 1 changed one row", "class 0 moved slowly to version 1"]
    del table.units.classes[1, 0]
    assert broken(table) == ["version 1 changed one row", "class 0 moved slowly to version 1"]
    table.units.classes[1, 0] = H100
    table.units.classes[2, 0] = H100
    assert broken(table) == ["no row belongs to a version to come"]
    del table.units.classes[2, 0]
    table.units.programs[1, bytes(32)] = replace(TRANSFORMER, terms=(OpsTerm(0, ()),))
    assert "the formulas of version 1 are sound" in broken(table)
    del table.units.programs[1, bytes(32)]
    table.units.began[1] = 10**6
    assert broken(table) == ["the newest version has begun"]
    table.units.began[1] = 1
    table.chain.close()
