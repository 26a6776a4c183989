"""A line of the log is one JSON object, whatever is put into it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chain.log import FIELDS_MAX, LINE_CHARACTERS_MAX, FileSink, Level, Log, capture_libraries
from tests.support.solo import FixedClock

VALUES = st.one_of(
    st.text(max_size=2000), st.binary(max_size=2000), st.integers(), st.booleans(), st.none()
)


def written(level=Level.DEBUG):
    lines = []
    return lines, Log(lines.append, FixedClock(1_700_000_000_123), level=level)


def test_a_line_says_when_where_and_what():
    lines, log = written()
    log.bind("importer", height=7).info("imported", block=b"\x01\x02", seconds=0.5)
    assert json.loads(lines[0]) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "part": "importer",
        "event": "imported",
        "height": 7,
        "block": "0x0102",
        "seconds": 0.5,
    }


@given(
    st.text(max_size=3000),
    st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), VALUES, max_size=40),
)
def test_any_event_is_one_printable_bounded_line(event, fields):
    lines, log = written()
    fields = {f"x{name}": value for name, value in fields.items()}
    log.write(Level.INFO, event, **fields)
    [line] = lines
    assert len(line) <= LINE_CHARACTERS_MAX
    assert all(" " <= character <= "~" for character in line)
    assert len(json.loads(line)) <= FIELDS_MAX + 5


def test_fields_cannot_pose_as_the_head_of_a_line():
    lines, log = written()
    fields = {"time": "never", "part": "forged"}
    log.info("true", **fields)
    assert json.loads(lines[0])["part"] == "node"


def test_lower_levels_are_left_out():
    lines, log = written(Level.WARNING)
    log.info("no")
    log.error("yes")
    assert [json.loads(line)["event"] for line in lines] == ["yes"]


def test_a_file_is_rotated_and_only_some_are_kept(tmp_path):
    sink = FileSink(tmp_path / "node.log", bytes_max=100)
    for number in range(60):
        sink(f"{number:050d}")
    sink.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["node.log", *(f"node.log.{n}" for n in range(1, 6))]
    assert (tmp_path / "node.log").read_text().endswith("59\n")
    assert all(path.stat().st_size <= 102 for path in tmp_path.iterdir())


def test_what_libraries_say_is_a_line_of_ours():
    import logging

    lines, log = written()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        capture_libraries(log)
        logging.getLogger("some.library").warning("look\nout %s", "\x1b[31m")
        logging.getLogger("some.library").info("nothing")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    [line] = lines
    assert json.loads(line)["message"] == "look\nout \x1b[31m"
    assert "\x1b" not in line
