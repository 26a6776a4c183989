"""Everything that fuzzing found once is read by today's code, as it must be read."""

import pytest

from tests.fuzz import corpus
from tests.fuzz.engine import Round
from tests.fuzz.targets import TARGETS


def test_the_corpus_belongs_to_targets_and_is_small() -> None:
    directories = [path for path in corpus.CORPUS.iterdir() if path.is_dir()]
    assert {path.name for path in directories} <= set(TARGETS)
    files = [path for directory in directories for path in directory.iterdir()]
    assert files
    assert sum(path.stat().st_size for path in files) <= corpus.CORPUS_BYTES_MAX
    assert [p.name for p in files if p.name != corpus.name_of(p.read_bytes())] == []


@pytest.mark.parametrize("name", sorted(path.name for path in corpus.CORPUS.iterdir()))
def test_what_was_found_once_breaks_no_rule_any_more(name: str) -> None:
    piece = Round(TARGETS[name], 0)
    for data in corpus.load(name):
        piece.check(data)
    assert [f"{find.digest} {find.kind}: {find.words}" for find in piece.finds.values()] == []
