"""Sequential Phragmen in plain Python: the specification of `ext.native.election`.

Seats are filled one by one. A seat is a load of one, borne by the voters of the candidate that
takes it, and the next seat goes to the candidate that would leave its voters with the least load
a grain of budget (Brill, Freeman, Janson, Lackner: Phragmen's voting methods and justified
representation, 2017):

    approval(c) = sum of the budgets of the voters of c
    score(c)    = (1 + sum over the voters v of c of budget(v) x load(v)) / approval(c)
    winner      = least score;  load(v) of each of its voters becomes that score

Nothing is rounded until the end. After seats with approvals A1 .. Ak every load is a whole number
of parts of 1 / (A1 x .. x Ak), so loads are kept as these whole numbers (never more than 64 bits
for each seat) and scores are compared by cross multiplication.

Ties: of equal scores the greater approval wins, of equal approvals the smaller id. A candidate
without approval has an endless score: it is seated last, and only when seats are left.

In the end a voter's budget is split over its seated candidates in proportion to the load that it
took from each: every part rounded down, the rest one grain each to the largest remainders, of equal
ones to the candidate that was seated first. Parts sum to the budget exactly.

The order of the input never matters: the snapshot is canonical. Numbers are little endian.

    snapshot = 0x01 || seats u16 || count u16 || candidate ids, 32 bytes each, ascending
               || count u32 || voters, ascending by id, each
                  id (32) || budget u64, not 0 || count u8, 1 to 16
                  || indices of its candidates, u16 each, ascending
    progress = 0x01 || blake2b_256(snapshot) || count u16
               || indices of the candidates seated so far, u16 each, in the order of their seats

Progress is that short because all else follows from it: to resume is to hold the election again up
to there and compare. Whoever keeps the open election beside the record pays nothing for that.

Large elections are held in bounded steps. Until the first seat is filled an election takes more
voters, in pages of the same rows, in any order; whoever appends sees to it that nobody comes twice.
The digest then is that of the digest before and the page. In the end the result is read in pages,
too, by seat or by voter, and no budget is split twice.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from operator import index
from struct import Struct, pack
from typing import NamedTuple

__all__ = [
    "CANDIDATES_MAX",
    "ID_LENGTH",
    "MONEY_MAX",
    "PROGRESS_VERSION",
    "SEATS_MAX",
    "SNAPSHOT_VERSION",
    "TARGETS_MAX",
    "VOTERS_MAX",
    "Election",
    "ElectionError",
    "Support",
    "encode_snapshot",
]

CANDIDATES_MAX = 4_096
"""Candidates in one election: four times what the network plans for."""

VOTERS_MAX = 65_536
"""Voters in one election: three times what the network plans for."""

TARGETS_MAX = 16
"""Candidates a voter names: the length of a nomination."""

SEATS_MAX = 128
"""Seats in one election: each adds up to 64 bits to every exact load."""

MONEY_MAX = (1 << 63) - 1
"""All budgets together, in grains: money fits a signed 64-bit number."""

ID_LENGTH = 32
"""Bytes of an account id."""

SNAPSHOT_VERSION = 1
"""The first byte of a snapshot."""

PROGRESS_VERSION = 1
"""The first byte of a progress record."""

_HEAD = Struct("<BHH")
_VOTER = Struct("<32sQB")
_PROGRESS = Struct("<B32sH")


class ElectionError(ValueError):
    """What was given is no election, or no progress of this one."""


class Support(NamedTuple):
    """A seated candidate and who stands behind it, in grains.

    `exposures` are (voter id, amount) in ascending order of id, amounts above zero, and sum to
    `total`.
    """

    candidate: bytes
    total: int
    exposures: tuple[tuple[bytes, int], ...]


class _Voter(NamedTuple):
    who: bytes
    budget: int
    targets: tuple[int, ...]


class Election:
    """One election: its snapshot, which never changes, and the seats filled so far."""

    def __init__(self, snapshot: bytes) -> None:
        """Open the election of a canonical snapshot; raise ElectionError for any other bytes."""
        if type(snapshot) is not bytes:
            raise TypeError("a snapshot is bytes")
        self._seats, self._ids, self._voters = _decode_snapshot(snapshot)
        self._total = sum(voter.budget for voter in self._voters)
        self._snapshot = snapshot
        self._digest = blake2b(snapshot, digest_size=32).digest()
        self._approvals = [0] * len(self._ids)
        self._supporters: list[list[int]] = [[] for _ in self._ids]
        self._link(0)
        self._reset()

    def _link(self, first: int) -> None:
        for number, voter in enumerate(self._voters[first:], first):
            for target in voter.targets:
                self._approvals[target] += voter.budget
                self._supporters[target].append(number)

    def append(self, rows: bytes) -> int:
        """Let more voters take part, rows as in a snapshot in any order; give how many came.

        Raises ElectionError, and stays as it was, for rows that cannot be, or after the first seat.
        """
        if type(rows) is not bytes:
            raise TypeError("rows of voters are bytes")
        if self._seated:
            raise ElectionError("no voter comes after the first seat was filled")
        reader, found = _Reader(rows), []
        while reader.at < len(rows):
            found.append(_decode_voter(reader, len(self._ids)))
        first = len(self._voters)
        if first + len(found) > VOTERS_MAX:
            raise ElectionError(
                f"an election has at most {VOTERS_MAX} voters, not {first + len(found)}"
            )
        total = self._total + sum(voter.budget for voter in found)
        _check_total(total)
        self._total = total
        self._voters += found
        self._link(first)
        self._held = [0] * len(self._voters)
        self._digest = blake2b(self._digest + rows, digest_size=32).digest()
        return len(found)

    def _reset(self) -> None:
        self._seated: list[int] = []
        self._places: dict[int, int] = {}
        # A load or a burden counts parts of 1 / unit; a candidate's burden is the sum of
        # budget x load over its voters, at most one unit for each seat.
        self._unit = 1
        self._loads = [0]
        self._burdens = [0] * len(self._ids)
        self._held = [0] * len(self._voters)

    @property
    def snapshot(self) -> bytes:
        """The canonical bytes that it was opened with."""
        return self._snapshot

    @property
    def digest(self) -> bytes:
        """The 32-byte blake2b of the snapshot; with voters appended, that of digest and page."""
        return self._digest

    @property
    def voter_count(self) -> int:
        """How many voters take part."""
        return len(self._voters)

    @property
    def seats(self) -> int:
        """How many seats there are."""
        return self._seats

    @property
    def winners(self) -> tuple[bytes, ...]:
        """The ids of the candidates seated so far, in the order of their seats."""
        return tuple(self._ids[number] for number in self._seated)

    @property
    def is_finished(self) -> bool:
        """Whether no seat or no candidate is left."""
        return len(self._seated) == min(self._seats, len(self._ids))

    def advance(self, rounds: int) -> int:
        """Fill at most `rounds` more seats; give how many were filled."""
        rounds = index(rounds)
        if rounds < 0:
            raise ElectionError(f"an election advances by 0 rounds or more, not {rounds}")
        left = min(self._seats, len(self._ids)) - len(self._seated)
        filled = min(rounds, left)
        for _ in range(filled):
            self._seat(self._find_next())
        return filled

    def _find_next(self) -> int:
        best = -1
        for number, approval in enumerate(self._approvals):
            if number in self._places:
                continue
            if best >= 0:
                mine = (self._unit + self._burdens[number]) * self._approvals[best]
                its = (self._unit + self._burdens[best]) * approval
                if mine > its or (mine == its and approval <= self._approvals[best]):
                    continue
            best = number
        return best

    def _seat(self, winner: int) -> None:
        self._seated.append(winner)
        self._places[winner] = place = len(self._seated)
        approval = self._approvals[winner]
        score = self._unit + self._burdens[winner]
        if not approval:
            self._loads.append(0)
            return
        self._unit *= approval
        self._loads = [load * approval for load in self._loads]
        self._loads.append(score)
        self._burdens = [burden * approval for burden in self._burdens]
        for number in self._supporters[winner]:
            voter = self._voters[number]
            rise = voter.budget * (score - self._loads[self._held[number]])
            for target in voter.targets:
                if target not in self._places:
                    self._burdens[target] += rise
            self._held[number] = place

    def encode_progress(self) -> bytes:
        """Give the record from which `resume` goes on: 35 bytes and 2 for each filled seat."""
        count = len(self._seated)
        return _PROGRESS.pack(PROGRESS_VERSION, self._digest, count) + pack(
            f"<{count}H", *self._seated
        )

    def resume(self, progress: bytes) -> None:
        """Stand where a progress record of the same snapshot stands, forward or back.

        Fills the seats again and compares. Raises ElectionError, and stays as it was, for a record
        of another election or one that this election does not lead to.
        """
        seated = self._decode_progress(progress)
        before = self._seated.copy()
        if seated[: len(before)] != before:
            self._reset()
        for place in range(len(self._seated), len(seated)):
            if self._find_next() != seated[place]:
                self._reset()
                for winner in before:
                    self._seat(winner)
                raise ElectionError(f"the progress fills seat {place + 1} out of turn")
            self._seat(seated[place])

    def _decode_progress(self, progress: bytes) -> list[int]:
        if type(progress) is not bytes:
            raise TypeError("a progress record is bytes")
        if len(progress) < _PROGRESS.size:
            raise ElectionError(f"a progress record has 35 bytes or more, not {len(progress)}")
        version, digest, count = _PROGRESS.unpack_from(progress)
        if version != PROGRESS_VERSION:
            raise ElectionError(f"progress version {version} is not known")
        if digest != self._digest:
            raise ElectionError("the progress is of another snapshot")
        if count > min(self._seats, len(self._ids)):
            raise ElectionError(f"the progress fills {count} seats, more than there are")
        if len(progress) != _PROGRESS.size + 2 * count:
            raise ElectionError("the progress record is longer or shorter than its count says")
        seated = list(Struct(f"<{count}H").unpack_from(progress, _PROGRESS.size))
        if len(set(seated)) != count or any(number >= len(self._ids) for number in seated):
            raise ElectionError("the progress seats a candidate twice or one that is not there")
        return seated

    def finish(self) -> tuple[Support, ...]:
        """Give the seated candidates with their supports, in the order of their seats.

        Raises ElectionError while seats can still be filled.
        """
        self._check_finished()
        exposures: list[list[tuple[bytes, int]]] = [[] for _ in self._seated]
        for voter in self._voters:
            for place, amount in self._split(voter):
                if amount:
                    exposures[place - 1].append((voter.who, amount))
        return tuple(
            Support(self._ids[winner], sum(amount for _, amount in behind), tuple(behind))
            for winner, behind in zip(self._seated, exposures, strict=True)
        )

    def count_behind(self, seat: int) -> int:
        """Give how many voters named the candidate of a seat, from 0 on; raises ElectionError."""
        return len(self._supporters[self._seated[self._check_seat(seat)]])

    def support(
        self, seat: int, start: int, count: int
    ) -> tuple[tuple[tuple[bytes, int], ...], int]:
        """Give at most `count` exposures above zero behind a seat, from 0 on, and where to go on.

        `start` is 0, or where the last page said; voters come in the order of their rows. Raises
        ElectionError while seats can still be filled, and for a seat or a start that is not there.
        """
        start, count = index(start), index(count)
        winner = self._seated[self._check_seat(seat)]
        behind = self._supporters[winner]
        if not 0 <= start <= len(behind) or count < 0:
            raise ElectionError(f"{len(behind)} voters are behind the seat, and none is {start}")
        found: list[tuple[bytes, int]] = []
        while start < len(behind) and len(found) < count:
            voter = self._voters[behind[start]]
            amount = dict(self._split(voter))[seat + 1]
            if amount:
                found.append((voter.who, amount))
            start += 1
        return tuple(found), start

    def parts(
        self, first: int, count: int
    ) -> tuple[tuple[bytes, tuple[tuple[bytes, int], ...]], ...]:
        """Give what becomes of the budgets of `count` voters from a row on, in order of seats.

        Each is (voter id, ((candidate id, amount above zero), ..)); raises ElectionError while
        seats can still be filled.
        """
        first, count = index(first), index(count)
        self._check_finished()
        if first < 0 or count < 0:
            raise ElectionError("voters are counted from 0 on")
        return tuple(
            (
                voter.who,
                tuple(
                    (self._ids[self._seated[place - 1]], amount)
                    for place, amount in self._split(voter)
                    if amount
                ),
            )
            for voter in self._voters[first : first + count]
        )

    def _check_seat(self, seat: int) -> int:
        self._check_finished()
        seat = index(seat)
        if not 0 <= seat < len(self._seated):
            raise ElectionError(f"there are {len(self._seated)} seats, and none is {seat}")
        return seat

    def _check_finished(self) -> None:
        if not self.is_finished:
            places = min(self._seats, len(self._ids))
            raise ElectionError(
                f"{len(self._seated)} of {places} seats are filled; advance the election first"
            )

    def _split(self, voter: _Voter) -> list[tuple[int, int]]:
        """Split a budget by the load taken from each seat, by largest remainder."""
        seats = sorted(self._places[t] for t in voter.targets if t in self._places)
        if not seats:
            return []
        budget, whole = voter.budget, self._loads[seats[-1]]
        steps = [self._loads[b] - self._loads[a] for a, b in pairwise([0, *seats])]
        parts = [budget * step // whole for step in steps]
        remainders = [budget * step % whole for step in steps]
        order = sorted(range(len(seats)), key=lambda i: (-remainders[i], i))
        for i in order[: budget - sum(parts)]:
            parts[i] += 1
        return list(zip(seats, parts, strict=True))


def _check_id(who: bytes) -> bytes:
    if type(who) is not bytes:
        raise TypeError("an id is bytes")
    if len(who) != ID_LENGTH:
        raise ElectionError(f"an id has {ID_LENGTH} bytes, not {len(who)}")
    return who


def encode_snapshot(
    seats: int,
    candidates: Iterable[bytes],
    voters: Iterable[tuple[bytes, int, Sequence[bytes]]],
) -> bytes:
    """Give the canonical snapshot of an election for so many seats.

    Takes candidate ids and voters (id, budget in grains, ids of at most 16 targets), in any order.
    Targets that are no candidates, targets named twice and voters without any effect are dropped.
    Raises ElectionError for anything out of bounds or named twice.
    """
    seats = index(seats)
    if not 1 <= seats <= SEATS_MAX:
        raise ElectionError(f"an election has 1 to {SEATS_MAX} seats, not {seats}")
    ids = sorted(_check_id(who) for who in candidates)
    if len(ids) > CANDIDATES_MAX:
        raise ElectionError(f"an election has at most {CANDIDATES_MAX} candidates, not {len(ids)}")
    numbers = {who: number for number, who in enumerate(ids)}
    if len(numbers) != len(ids):
        raise ElectionError("a candidate is named twice")
    rows = {}
    for who, budget, targets in voters:
        if _check_id(who) in rows:
            raise ElectionError("a voter is named twice")
        rows[who] = _encode_voter(who, index(budget), list(targets), numbers)
    kept = [row for _, row in sorted(rows.items()) if row]
    if len(kept) > VOTERS_MAX:
        raise ElectionError(f"an election has at most {VOTERS_MAX} voters, not {len(kept)}")
    _check_total(sum(_VOTER.unpack_from(row)[1] for row in kept))
    head = _HEAD.pack(SNAPSHOT_VERSION, seats, len(ids))
    return b"".join([head, *ids, pack("<I", len(kept)), *kept])


def _encode_voter(
    who: bytes, budget: int, targets: list[bytes], numbers: dict[bytes, int]
) -> bytes:
    if not 0 <= budget <= MONEY_MAX:
        raise ElectionError(f"a budget is 0 to {MONEY_MAX} grains, not {budget}")
    if len(targets) > TARGETS_MAX:
        raise ElectionError(f"a voter has at most {TARGETS_MAX} targets, not {len(targets)}")
    named = sorted({numbers[who] for who in map(_check_id, targets) if who in numbers})
    if not budget or not named:
        return b""
    return _VOTER.pack(who, budget, len(named)) + pack(f"<{len(named)}H", *named)


class _Reader:
    """The bytes of a snapshot, front to back."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def raw(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self.content):
            raise ElectionError("the snapshot ends too early")
        return self.content[self.at - length : self.at]

    def number(self, length: int) -> int:
        return int.from_bytes(self.raw(length), "little")


def _decode_snapshot(snapshot: bytes) -> tuple[int, list[bytes], list[_Voter]]:
    reader = _Reader(snapshot)
    version, seats, count = reader.number(1), reader.number(2), reader.number(2)
    if version != SNAPSHOT_VERSION:
        raise ElectionError(f"snapshot version {version} is not known")
    if not 1 <= seats <= SEATS_MAX:
        raise ElectionError(f"an election has 1 to {SEATS_MAX} seats, not {seats}")
    if count > CANDIDATES_MAX:
        raise ElectionError(f"an election has at most {CANDIDATES_MAX} candidates, not {count}")
    ids = [reader.raw(ID_LENGTH) for _ in range(count)]
    _check_ascending(ids, "candidates")
    count = reader.number(4)
    if count > VOTERS_MAX:
        raise ElectionError(f"an election has at most {VOTERS_MAX} voters, not {count}")
    voters = [_decode_voter(reader, len(ids)) for _ in range(count)]
    _check_ascending([voter.who for voter in voters], "voters")
    if reader.at != len(snapshot):
        raise ElectionError("the snapshot goes on after its end")
    _check_total(sum(voter.budget for voter in voters))
    return seats, ids, voters


def _decode_voter(reader: _Reader, candidates: int) -> _Voter:
    who, budget, count = reader.raw(ID_LENGTH), reader.number(8), reader.number(1)
    if not 1 <= budget <= MONEY_MAX:
        raise ElectionError(f"a budget in a snapshot is 1 to {MONEY_MAX} grains, not {budget}")
    if not 1 <= count <= TARGETS_MAX:
        raise ElectionError(f"a voter in a snapshot has 1 to {TARGETS_MAX} targets, not {count}")
    targets = tuple(reader.number(2) for _ in range(count))
    if any(a >= b for a, b in pairwise(targets)) or targets[-1] >= candidates:
        raise ElectionError("the targets of a voter do not ascend or are not there")
    return _Voter(who, budget, targets)


def _check_ascending(ids: list[bytes], what: str) -> None:
    if any(a >= b for a, b in pairwise(ids)):
        raise ElectionError(f"the {what} of a snapshot do not ascend")


def _check_total(total: int) -> None:
    if total > MONEY_MAX:
        raise ElectionError(f"the budgets together are more than {MONEY_MAX} grains")
