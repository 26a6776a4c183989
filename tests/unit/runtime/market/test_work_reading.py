"""The [work] table of a spec: what it gives, and every way to write it wrongly."""

import tomllib
from typing import Any

import pytest

from runtime.frame.errors import SpecError
from runtime.market.work_units.nouns import Framework, HardwareClass
from runtime.market.work_units.reading import WorkStart, read_work
from runtime.section import Section

TEXT = """
[[classes]]
id = 3
name = "CPU-64"
units_per_second = 4000
weight = 230000000
reference = "0.01"
ops_per_unit = 1000000

[[classes]]
id = 0
name = "H100-80G"
units_per_second = 1
weight = 1000000000
reference = "0.0061"
ops_per_unit = 400000000000000

[[frameworks]]
image = "0x6969696969696969696969696969696969696969696969696969696969696969"
runtime = "torch-2.9-cuda-13"
expires = 1000000
"""


def table(**changes: Any) -> dict[str, Any]:
    """The table, some keys of its first class changed, or taken out where they are None."""
    read = tomllib.loads(TEXT)
    for key, value in changes.items():
        read["classes"][0][key] = value
        if value is None:
            del read["classes"][0][key]
    return read


def test_a_table_gives_its_rows_in_order() -> None:
    assert read_work(Section(table(), "work")) == WorkStart(
        (
            HardwareClass(0, "H100-80G", 1, 10**9, 6_100_000, 4 * 10**14, is_open=True),
            HardwareClass(3, "CPU-64", 4_000, 230_000_000, 10**7, 10**6, is_open=True),
        ),
        (Framework(b"i" * 32, "torch-2.9-cuda-13", 1_000_000),),
    )


def test_frameworks_need_not_be_there() -> None:
    read = table()
    del read["frameworks"]
    assert read_work(Section(read, "work")).frameworks == ()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"id": 1 << 16}, "work.classes[0].id"),
        ({"id": 0}, "work.classes"),
        ({"id": None}, "work.classes[0].id"),
        ({"name": ""}, "work.classes[0].name"),
        ({"name": "x" * 33}, "work.classes[0].name"),
        ({"name": "H100-80G"}, "work.classes"),
        ({"units_per_second": 0}, "work.classes[0].units_per_second"),
        ({"weight": 19}, "work.classes[0].weight"),
        ({"weight": 1 << 32}, "work.classes[0].weight"),
        ({"reference": "0.000000019"}, "work.classes[0].reference"),
        ({"reference": 1}, "work.classes[0].reference"),
        ({"ops_per_unit": 19}, "work.classes[0].ops_per_unit"),
        ({"speed": 1}, "work.classes[0].speed"),
    ],
)
def test_a_wrong_class_is_named(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(SpecError) as refusal:
        read_work(Section(table(**changes), "work"))
    assert refusal.value.key == key


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"image": "0x69"}, "work.frameworks[0].image"),
        ({"runtime": "a b"}, "work.frameworks[0].runtime"),
        ({"expires": 0}, "work.frameworks[0].expires"),
        ({"more": 1}, "work.frameworks[0].more"),
    ],
)
def test_a_wrong_framework_is_named(changes: dict[str, Any], key: str) -> None:
    read = table()
    read["frameworks"][0].update(changes)
    with pytest.raises(SpecError) as refusal:
        read_work(Section(read, "work"))
    assert refusal.value.key == key


def test_frameworks_are_different_and_no_key_is_left_over() -> None:
    read = table()
    read["frameworks"] *= 2
    with pytest.raises(SpecError, match="same image"):
        read_work(Section(read, "work"))
    with pytest.raises(SpecError, match=r"work\.other"):
        read_work(Section({**table(), "other": 1}, "work"))
    with pytest.raises(SpecError, match="65 items"):
        read_work(Section({"classes": [{}] * 65}, "work"))
