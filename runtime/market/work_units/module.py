"""Work units: how much work a job is, on which devices, and what that should cost.

    version v     classes of devices    programs and their formulas    frameworks
                  └─ a vote changes one row: version v + 1 is a copy with that row

A job settles under the version in force when it was accepted, whatever votes say later, so every
version stays readable for ever: votes are few and a table is small. Nothing moves fast: a number of
a class by 5 % an era at most, and what a unit is never.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from runtime import weights
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root
from runtime.frame.parameters import PERBILL, Track
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.nouns import STEPS_MAX
from runtime.market.trainer import PROGRAM
from runtime.market.work_units.nouns import (
    ERRORS,
    EVENTS,
    OPS_MAX,
    REFERENCE_PROGRAM,
    BadFormula,
    ClassCoolingDown,
    ClassIncomplete,
    ClassNameTaken,
    ClassSet,
    ClassTooSteep,
    FormulaTooLarge,
    Framework,
    FrameworkExpired,
    FrameworkSet,
    HardwareClass,
    NothingToSet,
    Prices,
    Program,
    ProgramSet,
    ReferenceIsBuiltIn,
    TableFull,
    UnitIsFixed,
    UnknownClass,
    UnknownRow,
    compute_ops,
    is_sound,
    largest_step,
)
from runtime.parameters import Parameters
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U16,
    U32,
    BlockNumber,
    Flag,
    Hash,
    Weight,
)

ROWS_MAX: Final = 64
"""Classes, and frameworks, of a version: a vote copies them all."""

PROGRAMS_MAX: Final = 32
"""Programs of a version, the reference trainer aside: their formulas are long."""

NUMBER_MIN: Final = 20
"""Weight, price and operations of a class are at least this: 5 % of it are a whole step."""

CLASS_STEP: Final = PERBILL // 20
"""A number of a class moves by 5 % at most, once an era."""

WEIGHT_SET_TABLE: Final[Weight] = 10_000 * weights.MICROSECOND
"""Judging a row, and copying 64 classes, 64 frameworks and 32 programs of the longest formula."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class WorkUnits(Module, index=29, events=EVENTS, errors=ERRORS):
    """The table of devices, programs and frameworks: what counts as how much work."""

    version: StorageValue[U32] = stored(default=0)
    began: StorageMap[U32, BlockNumber] = stored(hasher=TWOX)
    classes: StorageMap[tuple[U32, U16], HardwareClass] = stored(hasher=(TWOX, TWOX))
    programs: StorageMap[tuple[U32, Hash], Program] = stored(hasher=(TWOX, TWOX))
    frameworks: StorageMap[tuple[U32, Hash], Framework] = stored(hasher=(TWOX, TWOX))
    class_changed: StorageMap[U16, U32] = stored(hasher=TWOX)

    def __init__(self, ctx: Context, numbers: Parameters, prices: Prices) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.prices = prices

    def genesis(
        self,
        *,
        classes: Sequence[HardwareClass] = (),
        programs: Sequence[Program] = (),
        frameworks: Sequence[Framework] = (),
    ) -> None:
        """Begin with version 0. Raises the reason for which a vote could not set such a row."""
        for entry in classes:
            self.judge_class(entry)
            self.classes[0, entry.class_id] = entry
        for program in programs:
            self.judge_program(program, is_listed=True)
            self.programs[0, program.digest] = program
        for framework in frameworks:
            self.judge_framework(framework)
            self.frameworks[0, framework.image] = framework

    # Calls of votes

    @call(index=0, weight=WEIGHT_SET_TABLE)
    def set_class(self, origin: Root, entry: HardwareClass) -> None:  # noqa: ARG002 - its type is the permission
        """Write a new class of devices, or move the numbers of one by 5 %; only by vote."""
        self.judge_class(entry)
        version = self._begin()
        self.classes[version, entry.class_id] = entry
        self.class_changed[entry.class_id] = self.numbers.era()
        self.emit(
            ClassSet(
                version,
                entry.class_id,
                entry.weight,
                entry.reference,
                entry.ops_per_unit,
                entry.is_open,
            )
        )

    @call(index=1, weight=WEIGHT_SET_TABLE)
    def set_program(self, origin: Root, program: Program, is_listed: Flag) -> None:  # noqa: ARG002 - its type is the permission
        """Write how the operations of a program are counted, or let it go; only by vote."""
        self.judge_program(program, is_listed=is_listed)
        version, digest = self._begin(), program.digest
        if is_listed:
            self.programs[version, digest] = program
        else:
            del self.programs[version, digest]
        self.emit(
            ProgramSet(
                version,
                digest,
                is_listed=is_listed,
                is_metered=is_listed and program.is_metered,
                is_repeatable=is_listed and program.is_repeatable,
            )
        )

    @call(index=2, weight=WEIGHT_SET_TABLE)
    def set_framework(self, origin: Root, framework: Framework) -> None:  # noqa: ARG002 - its type is the permission
        """List a framework until a height, or end it with the height 0; only by vote."""
        self.judge_framework(framework)
        version = self._begin()
        if framework.expires:
            self.frameworks[version, framework.image] = framework
        else:
            del self.frameworks[version, framework.image]
        self.emit(FrameworkSet(version, framework.image, framework.expires))

    # What votes are judged by

    def judge_class(self, entry: HardwareClass) -> Track:
        """Give the track of a change; raises what `set_class` would raise."""
        if not entry.name or not entry.units_per_second or min(_movable(entry)) < NUMBER_MIN:
            raise ClassIncomplete
        rows = self.classes_at(self.version)
        known = self.entry(self.version, entry.class_id)
        if any(row.name == entry.name for row in rows if row.class_id != entry.class_id):
            raise ClassNameTaken
        if known is None:
            if len(rows) >= ROWS_MAX:
                raise TableFull
            return Track.PARAMETERS
        _check_step(known, entry)
        if self.class_changed.find(entry.class_id) == self.numbers.era():
            raise ClassCoolingDown
        return Track.PARAMETERS

    def judge_program(self, program: Program, *, is_listed: bool) -> Track:
        """Give the track of a change; raises what `set_program` would raise."""
        if program.is_reference:
            raise ReferenceIsBuiltIn
        known = self.program(program.digest)
        if not is_listed:
            if known is None:
                raise UnknownRow
            return Track.PARAMETERS
        if known == program:
            raise NothingToSet
        if not is_sound(program):
            raise BadFormula
        if largest_step(program) * STEPS_MAX > OPS_MAX:
            raise FormulaTooLarge
        if known is None and len(self.programs_at(self.version)) > PROGRAMS_MAX:
            raise TableFull
        return Track.PARAMETERS

    def judge_framework(self, framework: Framework) -> Track:
        """Give the track of a change; raises what `set_framework` would raise."""
        known = self.frameworks.find((self.version, framework.image))
        if not framework.expires:
            if known is None:
                raise UnknownRow
            return Track.PARAMETERS
        if known == framework:
            raise NothingToSet
        if framework.expires <= self.ctx.block.height:
            raise FrameworkExpired
        if known is None and len(self.frameworks_at(self.version)) >= ROWS_MAX:
            raise TableFull
        return Track.PARAMETERS

    # Functions for other modules

    def entry(self, version: int, class_id: int) -> HardwareClass | None:
        """Give a class as a version of the table has it, or None."""
        return self.classes.find((version, class_id))

    def reference(self, class_id: int, version: int | None = None) -> int:
        """Give what a unit should cost now, in grains, rounded down but at least one.

        It is the oracle's price while there is one, else that of a version of the table, the
        newest if none is named. Raises UnknownClass.
        """
        entry = self.entry(self.version if version is None else version, class_id)
        if entry is None:
            raise UnknownClass
        dollars, price = self.prices.class_price(class_id), self.prices.price()
        if dollars is None or not price:
            return entry.reference
        return max(dollars * GRAINS_PER_GRIST // price, 1)

    def program(self, digest: bytes, version: int | None = None) -> Program | None:
        """Give a program as a version of the table has it, the newest if none is named."""
        if digest == PROGRAM:
            return REFERENCE_PROGRAM
        return self.programs.find((self.version if version is None else version, digest))

    def metered_units(
        self,
        program: bytes,
        params: bytes,
        steps: int,
        entry: HardwareClass,
        version: int | None = None,
    ) -> int | None:
        """Give the units of a job on a class, rounded down; None when they cannot be counted.

        A job is counted under the version that it was accepted under; without one under the newest.
        """
        listed = self.program(program, version)
        ops = None if listed is None else compute_ops(listed, params, steps)
        return None if ops is None else ops // entry.ops_per_unit

    def framework(self, image: bytes) -> bool:
        """Whether an image is listed and not over."""
        found = self.frameworks.find((self.version, image))
        return found is not None and self.ctx.block.height < found.expires

    def classes_at(self, version: int) -> tuple[HardwareClass, ...]:
        """Give all classes of a version, by number."""
        rows = self.classes.walk(version, limit=ROWS_MAX)
        return tuple(sorted((row for _, row in rows), key=lambda row: row.class_id))

    def programs_at(self, version: int) -> tuple[Program, ...]:
        """Give all programs of a version, by digest, the reference trainer first."""
        rows = [row for _, row in self.programs.walk(version, limit=PROGRAMS_MAX)]
        return (REFERENCE_PROGRAM, *sorted(rows, key=lambda row: row.digest))

    def frameworks_at(self, version: int) -> tuple[Framework, ...]:
        """Give all frameworks of a version, by image, those that are over too."""
        rows = self.frameworks.walk(version, limit=ROWS_MAX)
        return tuple(sorted((row for _, row in rows), key=lambda row: row.image))

    # Inside

    def _begin(self) -> int:
        """Copy the table into a new version and give its number."""
        old = self.version
        new = old + 1
        for entry in self.classes_at(old):
            self.classes[new, entry.class_id] = entry
        for program in self.programs_at(old)[1:]:
            self.programs[new, program.digest] = program
        for framework in self.frameworks_at(old):
            self.frameworks[new, framework.image] = framework
        self.version = new
        self.began[new] = self.ctx.block.height
        return new

    def guards(self) -> Iterator[Check]:
        """Look whether the newest version has begun."""
        height = self.began.find(self.version) if self.version else 0
        has_begun = height is not None and height <= self.ctx.block.height
        yield Check("the newest version has begun", has_begun)

    def invariants(self) -> Iterator[Check]:
        """Compare each version with the one before: one row differs, and not by too much."""
        for version in range(self.version + 1):
            yield from self._check_version(version)
            if version:
                yield from self._check_change(version)
        versions = [self.classes.items(), self.programs.items(), self.frameworks.items()]
        newest = max((key[0] for rows in versions for key, _ in rows), default=0)
        yield Check("no row belongs to a version to come", newest <= self.version)

    def _check_version(self, version: int) -> Iterator[Check]:
        classes = self.classes_at(version)
        names = [entry.name for entry in classes]
        is_whole = all(min(_movable(entry)) >= NUMBER_MIN for entry in classes)
        yield Check(f"the classes of version {version} are whole", is_whole)
        yield Check(f"the names of version {version} are different", len({*names}) == len(names))
        programs = self.programs_at(version)
        are_sound = all(is_sound(program) for program in programs)
        yield Check(f"the formulas of version {version} are sound", are_sound)
        are_bounded = all(largest_step(program) * STEPS_MAX <= OPS_MAX for program in programs)
        yield Check(f"the formulas of version {version} are bounded", are_bounded)
        is_built_in = sum(program.is_reference for program in programs) == 1
        yield Check(f"version {version} has the built-in trainer", is_built_in)

    def _check_change(self, version: int) -> Iterator[Check]:
        old, new = self._rows(version - 1), self._rows(version)
        changed = sum(old.get(key) != new.get(key) for key in {**old, **new})
        yield Check(f"version {version} changed one row", changed == 1)
        for entry in self.classes_at(version - 1):
            now = self.entry(version, entry.class_id)
            is_slow = now is not None and (now == entry or _is_slow(entry, now))
            yield Check(f"class {entry.class_id} moved slowly to version {version}", is_slow)

    def _rows(self, version: int) -> dict[bytes, Record]:
        """Give every row of a version, under a key that says of which kind it is."""
        rows: dict[bytes, Record] = {}
        for entry in self.classes_at(version):
            rows[b"class" + entry.class_id.to_bytes(2, "little")] = entry
        for program in self.programs_at(version):
            rows[b"program" + program.digest] = program
        for framework in self.frameworks_at(version):
            rows[b"framework" + framework.image] = framework
        return rows


def _movable(entry: HardwareClass) -> tuple[int, int, int]:
    """Give the numbers of a class that votes move."""
    return entry.weight, entry.reference, entry.ops_per_unit


def _is_slow(old: HardwareClass, new: HardwareClass) -> bool:
    """Whether a class still is what it was, and none of its numbers moved by over 5 %."""
    is_same = (old.name, old.units_per_second) == (new.name, new.units_per_second)
    pairs = zip(_movable(old), _movable(new), strict=True)
    return is_same and all(abs(now - was) * PERBILL <= was * CLASS_STEP for was, now in pairs)


def _check_step(old: HardwareClass, new: HardwareClass) -> None:
    if new == old:
        raise NothingToSet
    if (new.name, new.units_per_second) != (old.name, old.units_per_second):
        raise UnitIsFixed
    if not _is_slow(old, new):
        raise ClassTooSteep
