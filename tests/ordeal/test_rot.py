"""No flipped bit and no tampering of a home passes for what was there."""

import shutil

import pytest

from chain.storage import database as database_module
from tests.ordeal import rot, tamper
from tests.ordeal.life import Broken


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return rot.build_house(tmp_path_factory.mktemp("house"), 1)


def test_a_house_has_a_file_of_every_kind(house):
    for kind, (pattern, _) in rot.KINDS.items():
        assert list(house.home.glob(pattern)), kind
    assert set(rot.TURNS) == set(rot.KINDS)


def test_one_flipped_bit_of_each_kind_gives_no_wrong_answer(house, tmp_path):
    verdicts = {}
    for number in range(len(rot.TURNS)):
        _, counts = rot.run_piece(number, 1, tmp_path, house)
        for what, count in counts.items():
            verdicts[what] = verdicts.get(what, 0) + count
    assert verdicts["flips"] == len(rot.TURNS)
    assert verdicts["stopped"] > 5


def flip_tables_and_logs(house, tmp_path):
    for number in range(200):
        if rot.TURNS[number % len(rot.TURNS)] in ("table", "log"):
            rot.run_piece(number, 1, tmp_path / str(number), house)


def test_a_store_that_verifies_no_checksums_gives_wrong_answers(house, tmp_path, monkeypatch):
    """What LevelDB does by default is what the ordeal is there to see."""
    real = database_module.plyvel.DB

    def careless(*args, **options):
        return _Careless(real(*args, **{**options, "paranoid_checks": False}))

    monkeypatch.setattr(database_module.plyvel, "DB", careless)
    with pytest.raises(Broken, match=r"wrong answers|does not know"):
        flip_tables_and_logs(house, tmp_path)


class _Careless:
    """A database that reads without looking at checksums."""

    def __init__(self, database):
        self._database = database

    def get(self, key, **options):
        return self._database.get(key, **{**options, "verify_checksums": False})

    def iterator(self, **options):
        return self._database.iterator(**{**options, "verify_checksums": False})

    def __getattr__(self, name):
        return getattr(self._database, name)


def test_a_few_tamperings_are_found_at_their_heights(house, tmp_path):
    for number in range(10):
        _, counts = tamper.run_piece(number, 1, tmp_path, house)
        assert counts == {"tamperings": 1, "found": 1}


def test_what_was_not_tampered_with_is_clean(house, tmp_path):
    shutil.copyfile(house.home / "chain.archive", tmp_path / "chain.archive")
    frames = tamper.read_frames(tmp_path / "chain.archive")
    tamper.write_frames(tmp_path / "again.archive", frames)
    same = (tmp_path / "again.archive").read_bytes() == (tmp_path / "chain.archive").read_bytes()
    assert same
    assert tamper.audit(tmp_path / "again.archive") is None
    (tmp_path / "home").mkdir()
    shutil.copytree(house.home / "db", tmp_path / "home" / "db")
    assert tamper.audit(tmp_path / "home") is None
