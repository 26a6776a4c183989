"""Possession: which leaves a dataset must show when, and whether it did; pure functions.

    reveal in epoch c      first challenge: drawn with R(c+2), open in epochs c+1 and c+2
    era e after that       drawn with R of the era's first epoch, open for its first 600 blocks,
                           or the whole first epoch where that is shorter

So every challenge is open while the beacon still holds its randomness: nothing is written for it,
neither for the era nor for any dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ext import hashing
from runtime.frame.parameters import PERBILL
from runtime.market.datasets.nouns import (
    ENTRY_EPOCHS,
    MISS_ERAS,
    MISSES_MAX,
    POSSESSION_TAG,
    PROBES,
    Answer,
    Dataset,
    DatasetState,
)

PROOFS_MASK: Final = (1 << MISS_ERAS) - 1
"""The eras that are remembered."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The lengths of a chain's epochs and eras, and how long an answer may take, in blocks."""

    epoch_blocks: int
    era_blocks: int
    answer_blocks: int

    def epoch(self, height: int) -> int:
        """Give the epoch of a height."""
        return max(height - 1, 0) // self.epoch_blocks

    def epoch_start(self, epoch: int) -> int:
        """Give the first height of an epoch."""
        return 1 + epoch * self.epoch_blocks

    def era(self, height: int) -> int:
        """Give the era of a height."""
        return max(height - 1, 0) // self.era_blocks

    def closes(self, era: int) -> int:
        """Give the first height at which the challenge of an era is not open any more."""
        return 1 + era * self.era_blocks + min(self.answer_blocks, self.epoch_blocks)

    def entry_opens(self, epoch: int) -> int:
        """Give the first height of the first challenge of what was revealed in an epoch."""
        return self.epoch_start(epoch + ENTRY_EPOCHS - 1)

    def entry_closes(self, epoch: int) -> int:
        """Give the first height at which that first challenge is not open any more."""
        return self.epoch_start(epoch + ENTRY_EPOCHS + 1)


@dataclass(frozen=True, slots=True)
class Challenge:
    """Leaves to show, before the height `closes`; no `era` for the first one."""

    era: int | None
    closes: int
    indices: tuple[int, ...]


def draw_index(tag: bytes, seed: bytes, number: int, counter: int, count: int) -> int:
    """Draw one of `count` leaves: 256 bits of hash, so that no leaf is likelier in any practice."""
    content = tag + seed + number.to_bytes(4, "little") + counter.to_bytes(4, "little")
    return int.from_bytes(hashing.blake2b_256(content), "little") % count


def draw_indices(seed: bytes, number: int, count: int) -> tuple[int, ...]:
    """Draw the leaves of a dataset's challenge, with repetition."""
    return tuple(
        draw_index(POSSESSION_TAG, seed, number, counter, count) for counter in range(PROBES)
    )


def find_challenge(
    number: int, dataset: Dataset, clock: Clock, height: int, seeds: tuple[bytes, bytes]
) -> Challenge | None:
    """Give what a dataset must show in the block of a height, if anything.

    `seeds` are the randomness of that block's epoch and of the next one. An era that was answered
    already still has its challenge here.
    """
    if dataset.state is DatasetState.PENDING:
        ahead = dataset.epoch + ENTRY_EPOCHS - clock.epoch(height)
        if ahead not in (0, 1):
            return None
        indices = draw_indices(seeds[ahead], number, dataset.leaf_count)
        return Challenge(None, clock.entry_closes(dataset.epoch), indices)
    era = clock.era(height)
    is_due = dataset.state is DatasetState.ACTIVE and era > dataset.since
    if not is_due or height >= clock.closes(era):
        return None
    return Challenge(era, clock.closes(era), draw_indices(seeds[0], number, dataset.leaf_count))


def verify_answers(
    root: bytes, count: int, indices: Sequence[int], answers: Sequence[Answer]
) -> bool:
    """Whether the answers are just these leaves of a root, in their order."""
    return len(answers) == len(indices) and all(
        hashing.verify_merkle_proof(root, answer.leaf, index, count, answer.path)
        for index, answer in zip(indices, answers, strict=True)
    )


def has_answered(dataset: Dataset, era: int) -> bool:
    """Whether the challenge of an era was answered, as far as it is remembered."""
    back = dataset.proof_era - era
    return 0 <= back < MISS_ERAS and bool(dataset.proofs >> back & 1)


def with_answer(dataset: Dataset, era: int) -> Dataset:
    """Give the dataset with an era answered that is later than all answered before."""
    back = min(era - dataset.proof_era, MISS_ERAS)
    return replace(dataset, proof_era=era, proofs=(dataset.proofs << back | 1) & PROOFS_MASK)


def is_answering(dataset: Dataset, clock: Clock, height: int) -> bool:
    """Whether the newest challenge that is over was answered, or the one that is open."""
    era = clock.era(height)
    if era <= dataset.since or has_answered(dataset, era):
        return True
    newest = era if height >= clock.closes(era) else era - 1
    return newest <= dataset.since or has_answered(dataset, newest)


def is_missed(dataset: Dataset, clock: Clock, era: int, height: int) -> bool:
    """Whether a miss of an era can be reported: it is over, recent, and was not answered."""
    is_recent = dataset.since < era and era > clock.era(height) - MISS_ERAS
    return is_recent and height >= clock.closes(era) and not has_answered(dataset, era)


def with_miss(dataset: Dataset, era: int, now: int) -> Dataset:
    """Give the dataset with a miss added, and without those that no longer count."""
    kept = [old for old in dataset.misses if old > now - MISS_ERAS]
    return replace(dataset, misses=tuple(sorted([*kept, era])[-MISSES_MAX:]))


def compute_detection(missing: int, eras: int) -> int:
    """Give the chance, of 10^9 and rounded down, that missing leaves are found within some eras.

    `missing` is the part of the leaves that is missing, of 10^9.
    """
    draws = PROBES * eras
    found_never: int = (PERBILL - missing) ** draws
    whole: int = PERBILL ** (draws - 1)
    return PERBILL - -(-found_never // whole)
