"""Every durable step has a name that tests can strike, and nothing goes round the door."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import chain.storage
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash

ROOT = Path(chain.storage.__file__).parents[1]
DOOR = ROOT / "storage" / "durable.py"
BYPASSES = {
    "fsync", "fdatasync", "pwrite", "ftruncate", "truncate", "replace", "rename", "link",
    "hardlink_to", "write_batch", "write_text", "write_bytes",
}  # fmt: skip
"""Calls on `os`, on a path or on a database that write, move or make something durable."""

ALLOWED = {
    ("audit/export.py", "write_text"): "a table of a chain that is there: made again when lost",
    ("audit/source.py", "link"): "a copy for an audit, deleted behind it",
    ("cli/devnet_up.py", "write_text"): "the spec of a network that is made anew",
    ("cli/export.py", "write_text"): "as the tables of the audit",
    ("cli/schedule.py", "write_text"): "a picture",
    ("devnet/layout.py", "write_text"): "where the processes of a network on one machine are",
    ("devnet/layout.py", "replace"): "as above",
    ("log.py", "replace"): "a log that is rotated half-way loses nothing that anybody needs",
    ("network/peer_book.py", "write_bytes"): "addresses to begin with: losing them costs time",
    ("network/peer_book.py", "replace"): "as above",
    ("storage/database.py", "write_batch"): "the database makes the batch that the door commits",
}
"""Where something goes round the door, and why that is right."""


def bypasses(path):
    """Names of such operations that a file calls itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, owner = node.func.attr, ast.unparse(node.func.value)
        if name not in BYPASSES or owner.endswith("durable"):
            continue
        is_text = name == "replace" and (len(node.args) == 2 or node.keywords)
        if not is_text:
            found.add(name)
    return found


def test_nothing_makes_bytes_durable_except_through_the_door():
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in sorted(ROOT.rglob("*.py"))
        if path != DOOR
        for name in bypasses(path)
    }
    assert found == ALLOWED.keys()


def test_the_search_sees_each_way_round(tmp_path):
    path = tmp_path / "x.py"
    for line in (
        "os.fsync(1)",
        "os.pwrite(1, b'', 0)",
        "source.replace(target)",
        "db.write_batch()",
        "path.write_bytes(b'')",
        "path.hardlink_to(other)",
    ):
        path.write_text(line)
        assert bypasses(path), line
    path.write_text("text.replace('a', 'b'); durable.fsync(fd, POINT)")
    assert not bypasses(path)


def test_every_point_is_declared_once_under_the_name_of_its_module():
    for module in pkgutil.iter_modules([str(ROOT / "storage")]):
        importlib.import_module(f"chain.storage.{module.name}")
    names = list(durable.FAIL_POINTS)
    assert len(names) >= 15
    assert len(set(names)) == len(names)
    with pytest.raises(ValueError, match="twice"):
        durable.declare(names[0])


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", ["file.write", "file.sync", "file.replace", "file.directory"])
def test_a_replaced_file_is_the_old_one_or_the_new_one(tmp_path, point, fault):
    path = tmp_path / "file"
    durable.write_file(path, b"old")
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, OSError)):
            durable.write_file(path, b"new and longer")
    finally:
        durable.disarm()
    assert path.read_bytes() in (b"old", b"new and longer")
    durable.write_file(path, b"newest")
    assert path.read_bytes() == b"newest"
    assert path.stat().st_mode & 0o777 == 0o600
