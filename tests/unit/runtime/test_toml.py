"""Documents that the library's reader chokes on are refused before it sees them."""

import time
import tracemalloc

import pytest

from runtime.toml import KEY_PARTS_MAX, BadToml, parse_toml

HOSTILE = {
    "a dotted key": "a." * 15_000 + "a = 1\n",
    "a dotted table": "[" + "a." * 15_000 + "a]\n",
    "a dotted key in quotes": '"a b" . ' * 4_000 + "a = 1\n",
    "deep arrays": "x = " + "[" * 30_000,
    "deep tables": "x = " + "{a=" * 10_000,
    "a number of 5,000 digits": "x = " + "9" * 5_000,
    "a number that nobody can print": "x = 0x" + "f" * 6_000,
    "a word of 60,000 letters": "a" * 60_000,
    "half a text": 'x = "',
    "a date that is none": "x = 1979-99-99",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_in_little_time_and_memory(name: str) -> None:
    text = HOSTILE[name]
    began = time.thread_time()
    tracemalloc.start(1)
    try:
        with pytest.raises(BadToml):
            parse_toml(text)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 1
    assert held < 8 * len(text) + (1 << 20)


def test_what_people_write_is_read() -> None:
    key = ".".join(["a"] * KEY_PARTS_MAX)
    text = f'[x]\n{key} = 1\ny = "0x{"1" * 64}" # 1.2.3.4\nz = 0x{"f" * 64}\nv = {"9" * 40}\n'
    found = parse_toml(text)["x"]
    assert found["y"] == "0x" + "1" * 64
    assert found["z"] == (1 << 256) - 1
    assert found["v"] == 10**40 - 1
    assert parse_toml("") == {}
