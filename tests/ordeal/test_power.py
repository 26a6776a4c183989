"""The disk that forgets is survived, and sees who forgets to sync."""

import os
from functools import partial
from random import Random
from types import SimpleNamespace

import pytest

from chain.errors import StorageError
from chain.storage import durable
from tests.ordeal import power
from tests.ordeal.disk import Disk, watching
from tests.ordeal.life import Broken


def watch(home, *, wanted=lambda _: True):
    home.mkdir(parents=True, exist_ok=True)
    return Disk(home, home.parent / "cuts", wanted, lambda: None)


def test_a_life_that_is_cut_anywhere_comes_back_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "CUTS_A_LIFE", 3)
    _, counts = power.run_piece(0, 1, tmp_path)
    assert counts["points"] == 6


def test_a_database_that_lost_what_it_had_synced_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "LIES_A_LIFE", 6)
    _, counts = power.run_piece(2, 1, tmp_path)
    assert counts["points"] == 6
    assert counts["behind"] + counts["stopped"] > 0


def call(name, *arguments):
    """A step as it is at this moment: watched or not."""
    getattr(durable, name)(*arguments)


def run_honest_pieces(tmp_path):
    for number in (0, 1, 3, 5):
        power.run_piece(number, 2, tmp_path / str(number))


@pytest.mark.parametrize("module", ["chain.storage.journal", "chain.storage.finality"])
def test_a_step_that_is_not_synced_is_seen(tmp_path, monkeypatch, module):
    """Leave a sync out: some cut must then take something back that was said."""
    real = {name: getattr(durable, name) for name in dir(durable) if not name.startswith("_")}
    lazy = SimpleNamespace(**real)
    lazy.fdatasync = lambda _fd, _point: None
    for name in ("pwrite", "fsync", "fsync_directory", "truncate"):
        setattr(lazy, name, partial(call, name))
    monkeypatch.setattr(f"{module}.durable", lazy)
    monkeypatch.setattr(power, "CUTS_A_LIFE", 12)
    with pytest.raises(Broken, match="cut after"):
        run_honest_pieces(tmp_path)


def test_a_file_is_any_mixture_of_what_was_synced_and_what_was_written(tmp_path):
    home = tmp_path / "home"
    disk = watch(home)
    with watching(disk):
        fd = os.open(home / "file", os.O_RDWR | os.O_CREAT)
        durable.pwrite(fd, b"a" * 1024, 0, durable.FILE_WRITE)
        durable.fsync(fd, durable.FILE_SYNC)
        durable.fsync_directory(home, durable.FILE_DIRECTORY)
        durable.pwrite(fd, b"b" * 2048, 0, durable.FILE_WRITE)
        os.close(fd)
    seen = set()
    for seed in range(80):
        (disk.cuts[-1].home / "file").write_bytes(b"b" * 2048)
        disk.cuts[-1].strike(Random(seed))
        seen.add((disk.cuts[-1].home / "file").read_bytes()[:1024])
    assert {b"a" * 1024, b"b" * 1024, b"a" * 512 + b"b" * 512, b"b" * 512 + b"a" * 512} <= seen


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_name_lasts_from_the_sync_of_its_directory_on(tmp_path, is_synced):
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_bytes(b"old")
    disk = watch(home)
    with watching(disk):
        if is_synced:
            durable.write_file(home / "file", b"new")
        else:
            (home / "file.new").write_bytes(b"new")
            durable.replace(home / "file.new", home / "file", durable.FILE_REPLACE)
    found = set()
    for seed in range(20):
        copy = disk.cuts[-1]
        (copy.home / "file").write_bytes(b"new")
        copy.strike(Random(seed))
        found.add((copy.home / "file").read_bytes())
    assert (b"old" in found) is not is_synced


def test_an_error_that_says_nothing_to_do_is_a_fault():
    power.check_sentence(StorageError("block 4 is missing; sync again into an empty directory"))
    with pytest.raises(Broken):
        power.check_sentence(StorageError("block 4 is missing"))
