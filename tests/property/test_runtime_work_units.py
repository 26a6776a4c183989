"""Random votes on the table of work: versions never change once the next has begun."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.market.work_units import (
    DEV_CLASSES,
    Framework,
    HardwareClass,
    OpsTerm,
    ParamField,
    Program,
    WorkUnits,
)
from tests.support.governance import as_root
from tests.support.runtime import Chain

Rows = tuple[tuple[Any, ...], ...]
NUMBERS = ("weight", "reference", "ops_per_unit")
FIELDS = st.builds(
    ParamField,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 5) | st.just((1 << 64) - 1),
)
TERMS = st.builds(OpsTerm, st.integers(0, 1 << 44), st.lists(FIELDS, max_size=3).map(tuple))


class Votes(RuleBasedStateMachine):
    """A table, votes on it, and what every version said when it was the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain.start("dev")
        self.chain.open()
        self.history: list[Rows] = []

    @property
    def units(self) -> WorkUnits:
        return self.chain.runtime.market.work_units

    def rows(self, version: int) -> Rows:
        units = self.units
        return (
            units.classes_at(version),
            units.programs_at(version),
            units.frameworks_at(version),
        )

    def propose(self, name: str, *arguments: Any) -> bool:
        """Run a call as a vote does; gives whether it was done."""
        before = self.units.version
        is_done = as_root(self.chain, "WorkUnits", name, *arguments) is None
        assert self.units.version == before + is_done
        if is_done:
            self.history.append(self.rows(before + 1))
        return is_done

    @initialize()
    def begin(self) -> None:
        for entry in DEV_CLASSES:
            self.units.classes[0, entry.class_id] = entry
        self.history.append(self.rows(0))

    @rule(
        number=st.integers(0, 5),
        field=st.sampled_from(NUMBERS),
        millionths=st.integers(-60_000, 60_000),
        is_open=st.booleans(),
    )
    def move(self, number: int, field: str, millionths: int, *, is_open: bool) -> None:
        entry = self.units.entry(self.units.version, number)
        if entry is not None:
            old = getattr(entry, field)
            changed = {field: old + old * millionths // 1_000_000, "is_open": is_open}
            is_done = self.propose("set_class", replace(entry, **changed))
            assert not is_done or abs(millionths) <= 50_000

    @rule(
        number=st.integers(0, 5),
        numbers=st.tuples(*[st.integers(0, 1 << 31)] * 4),
        name=st.sampled_from(["", "CPU-64", "A", "B"]),
    )
    def add(self, number: int, numbers: tuple[int, ...], name: str) -> None:
        is_known = self.units.entry(self.units.version, number) is not None
        entry = HardwareClass(number, name, *numbers, is_open=True)
        is_done = self.propose("set_class", entry)
        assert not is_done or not is_known

    @rule(
        number=st.integers(0, 3),
        terms=st.lists(TERMS, max_size=3).map(tuple),
        length=st.integers(0, 10) | st.just(300),
        is_listed=st.booleans(),
    )
    def write_program(
        self, number: int, terms: tuple[OpsTerm, ...], length: int, *, is_listed: bool
    ) -> None:
        program = Program(bytes((number,)) * 32, length, terms, is_repeatable=True)
        self.propose("set_program", program, is_listed)

    @rule(number=st.integers(0, 3), expires=st.integers(0, 90))
    def write_framework(self, number: int, expires: int) -> None:
        self.propose("set_framework", Framework(bytes((number,)) * 32, "torch", expires))

    @rule(blocks=st.integers(1, 25))
    def pass_blocks(self, blocks: int) -> None:
        for _ in range(blocks):
            self.chain.close()
            self.chain.open()

    @invariant()
    def every_version_says_what_it_said(self) -> None:
        found = [self.rows(version) for version in range(len(self.history))]
        assert found == self.history
        checks = [*self.units.guards(), *self.units.invariants()]
        assert [check.sentence for check in checks if not check.holds] == []

    def teardown(self) -> None:
        self.chain.close()


Votes.TestCase.settings = settings(deadline=None, max_examples=12, stateful_step_count=25)
TestVotes = Votes.TestCase
