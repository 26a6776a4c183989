"""The election of an era at full size: 1,000 candidates, 20,000 nominators, 100 seats."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.clock import Times, seconds_of, take_turns
from ext import election

SEATS = 100
CANDIDATES = 1_000
VOTERS = 20_000
TARGETS = 16

SECONDS_MAX = 1.0
"""The goal: snapshot, every seat and every support, natively, together."""

CROWDS = (1_000, 300, 120, 30)
"""How many candidates all nominations fall on: with fewer, more of them share in the result."""

Voter = tuple[bytes, int, list[bytes]]


@dataclass(frozen=True, slots=True)
class ElectionTimes:
    """One crowd: the parts of an election and their sum, in seconds."""

    crowd: int
    snapshot: Times
    rounds: Times
    supports: Times

    @property
    def total(self) -> float:
        """The least of each part, together."""
        return self.snapshot.least + self.rounds.least + self.supports.least


def make_ballot(crowd: int, seed: int = 11) -> tuple[list[bytes], list[Voter]]:
    """Give candidates and voters, whose nominations fall on the first `crowd` candidates."""
    noise = random.Random(seed)
    ids = [noise.randbytes(32) for _ in range(CANDIDATES)]
    voters = [
        (noise.randbytes(32), noise.randrange(10**10, 10**14), noise.sample(ids[:crowd], TARGETS))
        for _ in range(VOTERS)
    ]
    return ids, voters


def measure_election(repeats: int, crowds: Sequence[int] = CROWDS) -> list[ElectionTimes]:
    """Hold the election of each crowd `repeats` times."""
    found = []
    for crowd in crowds:
        ids, voters = make_ballot(crowd)
        content = election.encode_snapshot(SEATS, ids, voters)
        done = election.Election(content)
        done.advance(SEATS)

        def take_snapshot(ids: list[bytes] = ids, voters: list[Voter] = voters) -> float:
            return seconds_of(lambda: election.encode_snapshot(SEATS, ids, voters), is_alone=True)

        def fill_seats(content: bytes = content) -> float:
            return seconds_of(lambda: election.Election(content).advance(SEATS), is_alone=True)

        def split(done: election.Election = done) -> float:
            return seconds_of(done.finish, is_alone=True)

        acts = {"snapshot": take_snapshot, "rounds": fill_seats, "supports": split}
        found.append(ElectionTimes(crowd=crowd, **take_turns(acts, repeats)))
    return found


def figures(repeats: int = 9) -> list[str]:
    """Say each crowd's seconds against the goal, a line each."""
    return [
        f"election, {CANDIDATES:,} candidates, {VOTERS:,} x {TARGETS} on {one.crowd:>5,}:"
        f" {one.total:.3f} s (snapshot {one.snapshot.least:.3f}, {SEATS} rounds"
        f" {one.rounds.least:.3f}, supports {one.supports.least:.3f}); goal {SECONDS_MAX} s,"
        f" {'pass' if one.total <= SECONDS_MAX else 'miss'}"
        for one in measure_election(repeats)
    ]


if __name__ == "__main__":
    print("\n".join(figures()))
