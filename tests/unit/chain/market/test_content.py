"""Files named by what they hold, and what becomes of those that hold something else."""

from pathlib import Path

import pytest

from chain.market.content import DataDirectory, DataMissing, DataSpoiled, check_content
from runtime.market.trainer import state_hash
from runtime.market.trees import split_leaves, tree_root

LEAVES = split_leaves(bytes(range(256)) * 11)
ROOT = tree_root(LEAVES)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "not" / "there" / "yet")


def test_what_is_written_is_read_under_its_root(directory: DataDirectory) -> None:
    assert ROOT not in directory
    assert directory.roots() == []
    assert directory.write(LEAVES) == ROOT
    assert ROOT in directory
    assert directory.read(ROOT) == LEAVES
    assert directory.roots() == [ROOT]
    assert sorted(path.name for path in directory.path.iterdir()) == [ROOT.hex()]


def test_weights_are_kept_by_their_state(directory: DataDirectory) -> None:
    weights = bytes(range(256)) * 2
    state = directory.write_weights(weights)
    assert state == state_hash(weights)
    assert directory.read_weights(state) == weights
    assert directory.roots() == []


def test_what_is_there_already_is_not_written_again(directory: DataDirectory) -> None:
    directory.write(LEAVES)
    before = (directory.path / ROOT.hex()).stat().st_mtime_ns
    directory.write(LEAVES)
    assert (directory.path / ROOT.hex()).stat().st_mtime_ns == before


def test_a_spoiled_file_is_written_again(directory: DataDirectory) -> None:
    directory.write(LEAVES)
    (directory.path / ROOT.hex()).write_bytes(bytes(1_024))
    directory.write(LEAVES)
    assert directory.read(ROOT) == LEAVES


def test_what_is_not_there_is_missing(directory: DataDirectory) -> None:
    with pytest.raises(DataMissing, match=ROOT.hex()):
        directory.read(ROOT)
    with pytest.raises(DataMissing, match="weights"):
        directory.read_weights(ROOT)


@pytest.mark.parametrize("content", [b"", bytes(1_024), bytes(5), b"".join(LEAVES)[:-1024]])
def test_a_file_with_other_content_is_spoiled(directory: DataDirectory, content: bytes) -> None:
    directory.write(LEAVES)
    (directory.path / ROOT.hex()).write_bytes(content)
    with pytest.raises(DataSpoiled):
        directory.read(ROOT)
    with pytest.raises(DataSpoiled):
        check_content(ROOT, content)


def test_spoiled_and_overlong_weights_are_refused(directory: DataDirectory) -> None:
    state = directory.write_weights(bytes(256))
    path = directory.path / f"{state.hex()}.weights"
    path.write_bytes(bytes(255))
    with pytest.raises(DataSpoiled, match="are others"):
        directory.read_weights(state)
    path.write_bytes(bytes(9_000))
    with pytest.raises(DataSpoiled, match="more than 8192 bytes"):
        directory.read_weights(state)


def test_other_files_are_no_datasets(directory: DataDirectory) -> None:
    directory.write(LEAVES)
    (directory.path / "README").write_text("x")
    (directory.path / ROOT.hex().upper()).write_text("x")
    (directory.path / f"{ROOT.hex()}.new").write_text("x")
    assert directory.roots() == [ROOT]


@pytest.mark.parametrize("leaves", [[], [bytes(1_023)], [bytes(1_024), b""]])
def test_only_whole_leaves_are_written(directory: DataDirectory, leaves: list[bytes]) -> None:
    with pytest.raises(ValueError, match="1024 bytes"):
        directory.write(leaves)
    assert not directory.path.exists()
