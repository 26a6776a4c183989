"""Duplicate challenges as their two sides work on them, read off the state each time.

    drawn, not shown yet ──> OpenedLeaf    by whoever has the later dataset
    shown, not found yet ──> MatchedLeaf   by whoever has the earlier one: the state has the hashes

Nothing is remembered: who was stopped goes on where the chain is.
"""

from collections.abc import Sequence

from ext import hashing
from runtime.market.datasets import Datasets
from runtime.market.datasets.nouns import EQUAL_MIN, OPENINGS, Case, MatchedLeaf, OpenedLeaf
from runtime.primitives import ZERO_HASH


def is_drawn(case: Case) -> bool:
    """Whether it is known which leaves the later dataset has to show."""
    return case.seed != ZERO_HASH


def find_to_show(datasets: Datasets, number: int, leaves: Sequence[bytes]) -> list[OpenedLeaf]:
    """Give the drawn leaves that were not shown yet, with their paths; none before the draw.

    `leaves` are those of the later dataset, 1,024 bytes each.
    """
    case = datasets.cases.find(number)
    if case is None or not is_drawn(case):
        return []
    pieces = []
    for place in range(OPENINGS):
        if not case.opened >> place & 1:
            index = datasets.drawn_leaf(number, place)
            pieces.append(OpenedLeaf(place, leaves[index], hashing.merkle_proof(leaves, index)))
    return pieces


class Finder:
    """Finds leaves that were shown in an earlier dataset, by their hashes."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self._places = {hashing.blake2b_256(leaf): index for index, leaf in enumerate(leaves)}

    def find_to_match(self, datasets: Datasets, number: int) -> list[MatchedLeaf]:
        """Give shown leaves that stand here, too, with their paths: as many as a copy still lacks.

        A leaf of one byte repeated says nothing, and counts for nothing.
        """
        case = datasets.cases.find(number)
        if case is None:
            return []
        pieces: list[MatchedLeaf] = []
        for place in range(OPENINGS):
            is_waiting = case.opened >> place & 1 and not case.matched >> place & 1
            index = self._find(datasets, number, place) if is_waiting else None
            if index is not None:
                leaf = self.leaves[index]
                path = hashing.merkle_proof(self.leaves, index)
                pieces.append(MatchedLeaf(place, index, leaf, path))
        return pieces[: EQUAL_MIN - case.matched.bit_count()]

    def _find(self, datasets: Datasets, number: int, place: int) -> int | None:
        """Give where a shown leaf stands here; None when it does not, or says nothing."""
        shown = datasets.openings.find((number, place))
        index = None if shown is None else self._places.get(shown)
        if index is None:
            return None
        leaf = self.leaves[index]
        return None if leaf == leaf[:1] * len(leaf) else index
