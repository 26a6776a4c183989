"""Elections to try, and the textbook's rule over fractions, written without a look at the core."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

from hypothesis import strategies as st

Voter = tuple[bytes, int, list[bytes]]
Ballot = tuple[int, list[bytes], list[Voter]]

MONEY_MAX = (1 << 63) - 1


def who(number: int) -> bytes:
    """An id whose order is that of the number."""
    return number.to_bytes(32, "big")


def naive(seats: int, candidates: Sequence[bytes], voters: Sequence[Voter]) -> list[bytes]:
    """The winners by the definition: every score anew in every round, nothing rounded."""
    loads = {name: Fraction(0) for name, _, _ in voters}
    winners: list[bytes] = []
    for _ in range(min(seats, len(candidates))):
        best: tuple[bool, Fraction, int, bytes] | None = None
        for candidate in set(candidates) - set(winners):
            behind = [(n, b) for n, b, targets in voters if candidate in targets]
            approval = sum(b for _, b in behind)
            borne = sum((b * loads[n] for n, b in behind), Fraction(0))
            score = (1 + borne) / approval if approval else Fraction(0)
            found = (not approval, score, -approval, candidate)
            best = found if best is None else min(best, found)
        assert best is not None
        winners.append(best[3])
        for name, _, targets in voters:
            if best[3] in targets:
                loads[name] = best[1]
    return winners


def lacks_justice(winners: Sequence[bytes], ballot: Ballot) -> list[tuple[int, int]]:
    """Groups that deserve `l` seats together and have fewer (Sanchez-Fernandez et al., 2017).

    A group with l / k of all budgets that agrees on l candidates must approve of l winners.
    """
    seats, candidates, voters = ballot
    sets = [(b, frozenset(targets) & frozenset(candidates)) for _, b, targets in voters]
    total = sum(b for b, _ in sets)
    elected = frozenset(winners)
    found = []
    for size in range(1, seats + 1):
        for fewer in combinations(winners, size - 1):
            for agreed in map(frozenset, combinations(candidates, size)):
                group = sum(
                    b for b, own in sets if agreed <= own and own & elected <= frozenset(fewer)
                )
                if group and group * seats >= size * total:
                    found.append((size, group))
    return found


@st.composite
def ballots(
    draw: st.DrawFn, candidates_max: int = 8, voters_max: int = 12, seats_max: int = 8
) -> Ballot:
    """Small elections: many equal budgets, so many ties, and now and then a great one."""
    count = draw(st.integers(1, candidates_max))
    numbers = draw(st.lists(st.integers(0, 40), min_size=count, max_size=count, unique=True))
    candidates = [who(number) for number in numbers]
    budget = st.one_of(
        st.integers(0, 6), st.integers(0, 10**9), st.integers(MONEY_MAX // 32, MONEY_MAX // 16)
    )
    targets = st.lists(st.sampled_from([*candidates, who(99)]), max_size=6)
    names = draw(st.lists(st.integers(0, 500), max_size=voters_max, unique=True))
    voters = [(who(name), draw(budget), draw(targets)) for name in names]
    return draw(st.integers(1, seats_max)), candidates, voters


def make_network(seats: int, candidates: int, voters: int, edges: int, seed: int = 0) -> Ballot:
    """A large election, the same for the same seed on every machine."""
    ids = [hashlib.blake2b(b"candidate %d" % n, digest_size=32).digest() for n in range(candidates)]
    people = []
    for n in range(voters):
        draw = hashlib.blake2b(b"voter %d %d" % (seed, n), digest_size=64).digest()
        picks = hashlib.shake_128(draw).digest(4 * edges)
        # Squares of a uniform draw: some candidates are famous.
        points = [int.from_bytes(picks[4 * i : 4 * i + 4], "big") ** 2 >> 32 for i in range(edges)]
        targets = [ids[(point * candidates) >> 32] for point in points]
        budget = 10**10 + int.from_bytes(draw[32:40], "big") % 10**14
        people.append((draw[:32], budget, targets))
    return seats, ids, people
