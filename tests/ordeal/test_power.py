"""The disk that forgets is survived, and sees who forgets to sync."""

import os
import shutil
from dataclasses import replace
from functools import partial
from random import Random
from types import SimpleNamespace

import pytest

from chain.errors import StorageError
from chain.storage import durable
from chain.storage.finality import FinalityJournal
from chain.storage.journal import SigningJournal
from tests.ordeal import power
from tests.ordeal.disk import Disk, watching
from tests.ordeal.life import Broken
from tests.support.consensus import GENESIS, h

KEY = h("key")


def watch(home, *, wanted=lambda _: True):
    home.mkdir(parents=True, exist_ok=True)
    return Disk(home, home.parent / "cuts", wanted, lambda: None)


def test_a_life_that_is_cut_anywhere_comes_back_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "CUTS_A_LIFE", 2)
    monkeypatch.setattr(power, "STRIKES_A_CUT", 1)
    _, counts = power.run_piece(0, 1, tmp_path)
    assert counts["points"] == 2


def test_a_database_that_lost_what_it_had_synced_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "LIES_A_LIFE", 2)
    _, counts = power.run_piece(2, 1, tmp_path)
    assert counts["points"] == 2
    assert counts["behind"] + counts["stopped"] > 0


def make_lazy(monkeypatch, module):
    """Let a module forget its last sync."""
    lazy = SimpleNamespace(fdatasync=lambda _fd, _point: None)
    for name in ("pwrite", "fsync", "fsync_directory", "truncate"):
        setattr(lazy, name, partial(call, name))
    monkeypatch.setattr(f"{module}.durable", lazy)


def call(name, *arguments):
    """A step as it is at this moment: watched or not."""
    getattr(durable, name)(*arguments)


def write_journals(home):
    """Say of each journal what it holds, once it said that it is durable."""
    SigningJournal.create(home / "signing", genesis_hash=GENESIS, public_key=KEY, payload=b"0")
    signing = SigningJournal.open(home / "signing", genesis_hash=GENESIS, public_key=KEY)
    finality = FinalityJournal(home / "finality", GENESIS)
    for height in range(1, 4):
        signing.write(b"%d" % height)
        finality.append(height, bytes([height]) * 32, b"certificate")
    signing.close()
    finality.close()


def read_journals(home):
    """What both say after the cut; a journal that refuses to open says nothing."""
    try:
        return open_journals(home)
    except StorageError:
        return None


def open_journals(home):
    signing = SigningJournal.open(home / "signing", genesis_hash=GENESIS, public_key=KEY)
    finality = FinalityJournal(home / "finality", GENESIS)
    found = (signing.payload, len(finality))
    signing.close()
    finality.close()
    return found


@pytest.mark.parametrize("lazy", ["", "chain.storage.journal", "chain.storage.finality"])
def test_a_journal_that_is_not_synced_loses_what_it_said(tmp_path, monkeypatch, lazy):
    if lazy:
        make_lazy(monkeypatch, lazy)
    home = tmp_path / "home"
    disk = watch(home)
    with watching(disk):
        write_journals(home)
    last, found = disk.cuts[-1], set()
    for seed in range(30):
        copy = tmp_path / f"copy{seed}"
        shutil.copytree(last.home, copy)
        replace(last, home=copy).strike(Random(seed))
        found.add(read_journals(copy))
    assert (found == {(b"3", 3)}) is (not lazy)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["chain.storage.journal", "chain.storage.finality"])
def test_a_life_whose_journal_is_not_synced_breaks(tmp_path, monkeypatch, module):
    make_lazy(monkeypatch, module)
    monkeypatch.setattr(power, "CUTS_A_LIFE", 12)
    with pytest.raises(Broken, match="cut after"):
        run_honest_pieces(tmp_path)


def run_honest_pieces(tmp_path):
    for number in (0, 1, 3, 4):
        power.run_piece(number, 2, tmp_path / str(number))


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
