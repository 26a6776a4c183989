"""The [work] table of a chain spec: the devices and frameworks that a chain begins with."""

import re
from dataclasses import dataclass
from typing import Final

from runtime.frame.errors import SpecError
from runtime.market.work_units.module import NUMBER_MIN, ROWS_MAX
from runtime.market.work_units.nouns import Framework, HardwareClass
from runtime.section import Section

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,31}")
_U16: Final = (1 << 16) - 1
_U32: Final = (1 << 32) - 1
_I63: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class WorkStart:
    """Rows of version 0, each kind in the order of its numbers."""

    classes: tuple[HardwareClass, ...] = ()
    frameworks: tuple[Framework, ...] = ()


NO_WORK: Final = WorkStart()
"""A table without a row: nobody can ask for work until a vote has written one."""


def read_work(table: Section) -> WorkStart:
    """Read [[work.classes]] and [[work.frameworks]]. Raises SpecError."""
    entries = table.items("classes", ROWS_MAX)
    classes = tuple(sorted((_read_class(entry) for entry in entries), key=lambda c: c.class_id))
    listed = table.items("frameworks", ROWS_MAX) if table.has("frameworks") else []
    frameworks = tuple(sorted((_read_framework(entry) for entry in listed), key=lambda f: f.image))
    table.finish()
    _check_different(table, "classes", "id", [entry.class_id for entry in classes])
    _check_different(table, "classes", "name", [entry.name for entry in classes])
    _check_different(table, "frameworks", "image", [entry.image for entry in frameworks])
    return WorkStart(classes, frameworks)


def _read_class(entry: Section) -> HardwareClass:
    read = HardwareClass(
        class_id=entry.integer("id", 0, _U16),
        name=_name(entry, "name"),
        units_per_second=entry.integer("units_per_second", 1, _U32),
        weight=entry.integer("weight", NUMBER_MIN, _U32),
        reference=entry.amount("reference"),
        ops_per_unit=entry.integer("ops_per_unit", NUMBER_MIN, _I63),
        is_open=True,
    )
    if read.reference < NUMBER_MIN:
        raise SpecError(
            entry.key("reference"), "it is next to nothing", f"use at least {NUMBER_MIN} grains"
        )
    entry.finish()
    return read


def _read_framework(entry: Section) -> Framework:
    read = Framework(
        image=entry.bytes_32("image"),
        runtime=_name(entry, "runtime"),
        expires=entry.integer("expires", 1, _U32),
    )
    entry.finish()
    return read


def _name(entry: Section, key: str) -> str:
    return entry.text(key, _NAME, "use up to 32 letters, digits, dots and hyphens")


def _check_different(table: Section, rows: str, key: str, values: list[object]) -> None:
    if len({*values}) != len(values):
        raise SpecError(
            table.key(rows), f"two of them have the same {key}", "let each have its own"
        )
