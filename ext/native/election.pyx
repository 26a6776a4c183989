# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Sequential Phragmen over integer arrays: the compiled twin of `ext.reference.election`.

The rules are pinned there. Numbers that grow by up to 64 bits a seat lie in rows of `stride` limbs
of which `width` are in use; after p seats the unit is below 2^(63 p), burdens and loads are at most
p units, so one limb more than the unit has is room enough, and two more hold a cross product.
Voters lie in arrays that grow twofold when full, so that a page of them costs what it holds.
"""

import operator
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from "wide.h" nogil:
    uint64_t wide_multiply(uint64_t* number, size_t width, uint64_t factor)
    uint64_t wide_add_product(uint64_t* sum, const uint64_t* number, size_t width, uint64_t factor)
    uint64_t wide_add(uint64_t* out, const uint64_t* left, const uint64_t* right, size_t width)
    void wide_subtract(uint64_t* out, const uint64_t* left, const uint64_t* right, size_t width)
    int wide_compare(const uint64_t* left, const uint64_t* right, size_t width)
    uint64_t wide_divide(uint64_t* number, const uint64_t* divisor, size_t width)

CANDIDATES_MAX = 4_096
VOTERS_MAX = 65_536
TARGETS_MAX = 16
SEATS_MAX = 128
MONEY_MAX = (1 << 63) - 1
ID_LENGTH = 32
SNAPSHOT_VERSION = 1
PROGRESS_VERSION = 1

cdef enum:
    IDS = 5
    ID = 32
    EDGES = 16
    # Bytes of a voter before its targets: id, budget, count.
    VOTER = 41
    HEAD = 35
    SEATS = 128

cdef uint64_t MONEY = MONEY_MAX
cdef object OPENING = Struct("<BHH")
cdef object PROGRESS = Struct("<B32sH")
cdef tuple ROWS = tuple(Struct(f"<32sQB{count}H") for count in range(EDGES + 1))


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


cdef int _check_id(object who) except -1:
    if type(who) is not bytes:
        raise TypeError("an id is bytes")
    if PyBytes_GET_SIZE(who) != ID:
        raise ElectionError(f"an id has {ID_LENGTH} bytes, not {len(who)}")
    return 0


cdef bytes _encode_voter(bytes who, object budget, list targets, dict numbers):
    if not 0 <= budget <= MONEY_MAX:
        raise ElectionError(f"a budget is 0 to {MONEY_MAX} grains, not {budget}")
    if len(targets) > EDGES:
        raise ElectionError(f"a voter has at most {TARGETS_MAX} targets, not {len(targets)}")
    cdef set named = set()
    for target in targets:
        _check_id(target)
        number = numbers.get(target)
        if number is not None:
            named.add(number)
    if not budget or not named:
        return b""
    return ROWS[len(named)].pack(who, budget, len(named), *sorted(named))


def encode_snapshot(seats, candidates, voters):
    """Give the canonical snapshot of an election for so many seats.

    Takes candidate ids and voters (id, budget in grains, ids of at most 16 targets), in any order.
    Targets that are no candidates, targets named twice and voters without any effect are dropped.
    Raises ElectionError for anything out of bounds or named twice.
    """
    seats = operator.index(seats)
    if not 1 <= seats <= SEATS_MAX:
        raise ElectionError(f"an election has 1 to {SEATS_MAX} seats, not {seats}")
    cdef list ids = list(candidates)
    for who in ids:
        _check_id(who)
    ids.sort()
    if len(ids) > CANDIDATES_MAX:
        raise ElectionError(f"an election has at most {CANDIDATES_MAX} candidates, not {len(ids)}")
    cdef dict numbers = {who: number for number, who in enumerate(ids)}
    if len(numbers) != len(ids):
        raise ElectionError("a candidate is named twice")
    cdef dict rows = {}
    cdef bytes row
    total = 0
    for who, budget, targets in voters:
        _check_id(who)
        if who in rows:
            raise ElectionError("a voter is named twice")
        budget = operator.index(budget)
        row = _encode_voter(who, budget, list(targets), numbers)
        rows[who] = row
        if row:
            total += budget
    cdef list kept = sorted([row for row in rows.values() if row])
    if len(kept) > VOTERS_MAX:
        raise ElectionError(f"an election has at most {VOTERS_MAX} voters, not {len(kept)}")
    if total > MONEY_MAX:
        raise ElectionError(f"the budgets together are more than {MONEY_MAX} grains")
    head = OPENING.pack(SNAPSHOT_VERSION, seats, len(ids))
    return b"".join([head, *ids, len(kept).to_bytes(4, "little"), *kept])


cdef inline uint64_t _number(const uint8_t* content, int length) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(length):
        value |= <uint64_t>content[i] << (8 * i)
    return value


cdef void* _room(size_t count, size_t size) except NULL:
    cdef void* block = PyMem_Calloc(count or 1, size)
    if block == NULL:
        raise MemoryError
    return block


cdef void* _more(void* block, size_t size) except NULL:
    cdef void* grown = PyMem_Realloc(block, size or 1)
    if grown == NULL:
        raise MemoryError
    return grown


@cython.final
cdef class Election:
    """One election: its snapshot, which never changes, and the seats filled so far.

    Opened from a canonical snapshot; raises ElectionError for any other bytes.
    """

    cdef bytes content
    cdef bytes mark
    cdef Py_ssize_t seat_count
    cdef Py_ssize_t candidate_count
    # Voters, with room for more; targets of voter v: edges[first_edge[v]] up to first_edge[v + 1].
    cdef Py_ssize_t voter_count
    cdef Py_ssize_t room
    cdef uint64_t total
    cdef uint8_t* names
    cdef uint64_t* budgets
    cdef uint32_t* first_edge
    cdef uint16_t* edges
    # For each candidate the voters that name it, in order, how many, and the room for them.
    cdef uint64_t* approvals
    cdef uint32_t** supporters
    cdef uint32_t* supporter_counts
    cdef uint32_t* supporter_rooms
    # Seats filled: the candidates in order, the place (from 1) of each candidate, and for each
    # voter the place of the candidate that it last helped to a seat.
    cdef Py_ssize_t filled
    cdef uint16_t* seated
    cdef uint16_t* places
    cdef uint16_t* held
    # Wide numbers: rows of `stride` limbs.
    cdef Py_ssize_t stride
    cdef Py_ssize_t width
    cdef uint64_t* unit
    cdef uint64_t* loads
    cdef uint64_t* burdens
    # Scratch: rises by place, budgets that move by candidate and place, rows for comparisons.
    cdef uint64_t* rises
    cdef uint64_t* moved
    cdef uint8_t* touched
    cdef uint64_t* rows
    # Once the election is finished and read in pages: the part of each edge, voter by voter.
    cdef uint64_t* amounts
    cdef uint8_t* is_split

    def __cinit__(self, bytes snapshot not None):
        self._read_head(snapshot)
        self._make_candidates()
        self._read_voters(snapshot)
        self._link(0)
        self.content = snapshot
        self.mark = blake2b(snapshot, digest_size=32).digest()
        self._make_rows()
        self._reset()

    def __dealloc__(self):
        cdef Py_ssize_t c
        if self.supporters != NULL:
            for c in range(self.candidate_count):
                PyMem_Free(self.supporters[c])
        PyMem_Free(self.supporters)
        PyMem_Free(self.supporter_counts)
        PyMem_Free(self.supporter_rooms)
        PyMem_Free(self.names)
        PyMem_Free(self.budgets)
        PyMem_Free(self.first_edge)
        PyMem_Free(self.edges)
        PyMem_Free(self.approvals)
        PyMem_Free(self.amounts)
        PyMem_Free(self.is_split)
        PyMem_Free(self.seated)
        PyMem_Free(self.places)
        PyMem_Free(self.held)
        PyMem_Free(self.unit)
        PyMem_Free(self.loads)
        PyMem_Free(self.burdens)
        PyMem_Free(self.rises)
        PyMem_Free(self.moved)
        PyMem_Free(self.touched)
        PyMem_Free(self.rows)

    cdef int _read_head(self, bytes snapshot) except -1:
        cdef const uint8_t* content = <const uint8_t*>PyBytes_AS_STRING(snapshot)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(snapshot), i
        if length < IDS:
            raise ElectionError("the snapshot ends too early")
        if content[0] != SNAPSHOT_VERSION:
            raise ElectionError(f"snapshot version {content[0]} is not known")
        self.seat_count = <Py_ssize_t>_number(content + 1, 2)
        self.candidate_count = <Py_ssize_t>_number(content + 3, 2)
        if not 1 <= self.seat_count <= SEATS_MAX:
            raise ElectionError(
                f"an election has 1 to {SEATS_MAX} seats, not {self.seat_count}"
            )
        if self.candidate_count > CANDIDATES_MAX:
            raise ElectionError(
                f"an election has at most {CANDIDATES_MAX} candidates, not {self.candidate_count}"
            )
        if length < IDS + ID * self.candidate_count:
            raise ElectionError("the snapshot ends too early")
        for i in range(1, self.candidate_count):
            if memcmp(content + IDS + ID * (i - 1), content + IDS + ID * i, ID) >= 0:
                raise ElectionError("the candidates of a snapshot do not ascend")
        if length < IDS + ID * self.candidate_count + 4:
            raise ElectionError("the snapshot ends too early")
        return 0

    cdef int _make_candidates(self) except -1:
        self.approvals = <uint64_t*>_room(self.candidate_count, sizeof(uint64_t))
        self.supporters = <uint32_t**>_room(self.candidate_count, sizeof(uint32_t*))
        self.supporter_counts = <uint32_t*>_room(self.candidate_count, sizeof(uint32_t))
        self.supporter_rooms = <uint32_t*>_room(self.candidate_count, sizeof(uint32_t))
        self._make_room(1)
        self.first_edge[0] = 0
        return 0

    cdef int _make_room(self, Py_ssize_t count) except -1:
        # For at least so many voters in all.
        if count <= self.room:
            return 0
        cdef size_t room = max(count, 2 * self.room)
        self.names = <uint8_t*>_more(self.names, room * ID)
        self.budgets = <uint64_t*>_more(self.budgets, room * sizeof(uint64_t))
        self.first_edge = <uint32_t*>_more(self.first_edge, (room + 1) * sizeof(uint32_t))
        self.edges = <uint16_t*>_more(self.edges, room * EDGES * sizeof(uint16_t))
        self.held = <uint16_t*>_more(self.held, room * sizeof(uint16_t))
        self.room = room
        return 0

    cdef int _read_voters(self, bytes snapshot) except -1:
        cdef const uint8_t* content = <const uint8_t*>PyBytes_AS_STRING(snapshot)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(snapshot)
        cdef Py_ssize_t at = IDS + ID * self.candidate_count, v
        cdef Py_ssize_t count = <Py_ssize_t>_number(content + at, 4)
        cdef bint ascend = True
        at += 4
        if count > VOTERS_MAX:
            raise ElectionError(f"an election has at most {VOTERS_MAX} voters, not {count}")
        self._make_room(count)
        for v in range(count):
            at = self._read_voter(content, length, at, v)
            if v and memcmp(self.names + ID * (v - 1), self.names + ID * v, ID) >= 0:
                ascend = False
        if not ascend:
            raise ElectionError("the voters of a snapshot do not ascend")
        if at != length:
            raise ElectionError("the snapshot goes on after its end")
        self._take(count)
        return 0

    cdef int _take(self, Py_ssize_t count) except -1:
        # Let the voters that were read behind the last one take part.
        cdef uint64_t total = self.total
        cdef Py_ssize_t v
        for v in range(self.voter_count, self.voter_count + count):
            if self.budgets[v] > MONEY - total:
                raise ElectionError(f"the budgets together are more than {MONEY_MAX} grains")
            total += self.budgets[v]
        memset(self.held + self.voter_count, 0, count * <Py_ssize_t>sizeof(uint16_t))
        self.total = total
        self.voter_count += count
        return 0

    cdef Py_ssize_t _read_voter(
        self, const uint8_t* content, Py_ssize_t length, Py_ssize_t at, Py_ssize_t v
    ) except -1:
        cdef Py_ssize_t count, i, edge = self.first_edge[v]
        if length - at < VOTER:
            raise ElectionError("the snapshot ends too early")
        memcpy(self.names + ID * v, content + at, ID)
        self.budgets[v] = _number(content + at + ID, 8)
        count = content[at + ID + 8]
        if not 1 <= self.budgets[v] <= MONEY:
            raise ElectionError(
                f"a budget in a snapshot is 1 to {MONEY_MAX} grains, not {self.budgets[v]}"
            )
        if not 1 <= count <= EDGES:
            raise ElectionError(
                f"a voter in a snapshot has 1 to {TARGETS_MAX} targets, not {count}"
            )
        if length - at - VOTER < 2 * count:
            raise ElectionError("the snapshot ends too early")
        for i in range(count):
            self.edges[edge + i] = <uint16_t>_number(content + at + VOTER + 2 * i, 2)
            if self.edges[edge + i] >= self.candidate_count or (
                i and self.edges[edge + i] <= self.edges[edge + i - 1]
            ):
                raise ElectionError("the targets of a voter do not ascend or are not there")
        self.first_edge[v + 1] = <uint32_t>(edge + count)
        return at + VOTER + 2 * count

    cdef int _link(self, Py_ssize_t first) except -1:
        # Approvals, and the voters of each candidate in the order of their rows.
        cdef Py_ssize_t v, c, e
        cdef uint32_t room
        for v in range(first, self.voter_count):
            for e in range(self.first_edge[v], self.first_edge[v + 1]):
                c = self.edges[e]
                if self.supporter_counts[c] == self.supporter_rooms[c]:
                    room = max(8, 2 * self.supporter_rooms[c])
                    self.supporters[c] = <uint32_t*>_more(
                        self.supporters[c], room * sizeof(uint32_t)
                    )
                    self.supporter_rooms[c] = room
                self.approvals[c] += self.budgets[v]
                self.supporters[c][self.supporter_counts[c]] = <uint32_t>v
                self.supporter_counts[c] += 1
        return 0

    def append(self, bytes rows not None):
        """Let more voters take part, rows as in a snapshot in any order; give how many came.

        Raises ElectionError, and stays as it was, for rows that cannot be, or after the first seat.
        """
        cdef const uint8_t* content = <const uint8_t*>PyBytes_AS_STRING(rows)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(rows), at = 0, count = 0
        cdef Py_ssize_t first = self.voter_count
        if self.filled:
            raise ElectionError("no voter comes after the first seat was filled")
        while at < length:
            self._make_room(first + count + 1)
            at = self._read_voter(content, length, at, first + count)
            count += 1
        if first + count > VOTERS_MAX:
            raise ElectionError(
                f"an election has at most {VOTERS_MAX} voters, not {first + count}"
            )
        self._take(count)
        self._link(first)
        self._forget_parts()
        self.mark = blake2b(self.mark + rows, digest_size=32).digest()
        return count

    cdef int _make_rows(self) except -1:
        cdef Py_ssize_t places = self._count_places()
        self.stride = places + 3
        self.seated = <uint16_t*>_room(places, sizeof(uint16_t))
        self.places = <uint16_t*>_room(self.candidate_count, sizeof(uint16_t))
        self.unit = <uint64_t*>_room(self.stride, sizeof(uint64_t))
        self.loads = <uint64_t*>_room((places + 1) * self.stride, sizeof(uint64_t))
        self.rises = <uint64_t*>_room((places + 1) * self.stride, sizeof(uint64_t))
        self.burdens = <uint64_t*>_room(self.candidate_count * self.stride, sizeof(uint64_t))
        self.moved = <uint64_t*>_room(self.candidate_count * (places + 1), sizeof(uint64_t))
        self.touched = <uint8_t*>_room(self.candidate_count, 1)
        self.rows = <uint64_t*>_room((EDGES + 2) * self.stride, sizeof(uint64_t))
        return 0

    cdef inline Py_ssize_t _count_places(self) noexcept:
        return min(self.seat_count, self.candidate_count)

    cdef int _reset(self) except -1:
        cdef Py_ssize_t row = self.stride * <Py_ssize_t>sizeof(uint64_t)
        self.filled = 0
        self.width = 2
        memset(self.places, 0, self.candidate_count * <Py_ssize_t>sizeof(uint16_t))
        memset(self.held, 0, self.voter_count * <Py_ssize_t>sizeof(uint16_t))
        memset(self.unit, 0, row)
        memset(self.loads, 0, (self._count_places() + 1) * row)
        memset(self.burdens, 0, self.candidate_count * row)
        self.unit[0] = 1
        return 0

    @property
    def snapshot(self):
        """The canonical bytes that it was opened with."""
        return self.content

    @property
    def digest(self):
        """The 32-byte blake2b of the snapshot; with voters appended, that of digest and page."""
        return self.mark

    @property
    def voter_count(self):
        """How many voters take part."""
        return self.voter_count

    @property
    def seats(self):
        """How many seats there are."""
        return self.seat_count

    @property
    def winners(self):
        """The ids of the candidates seated so far, in the order of their seats."""
        return tuple([self._candidate_id(self.seated[i]) for i in range(self.filled)])

    @property
    def is_finished(self):
        """Whether no seat or no candidate is left."""
        return self.filled == self._count_places()

    cdef bytes _candidate_id(self, Py_ssize_t c):
        return self.content[IDS + ID * c : IDS + ID * (c + 1)]

    cdef bytes _voter_id(self, Py_ssize_t v):
        return (<char*>self.names)[ID * v : ID * (v + 1)]

    def advance(self, rounds):
        """Fill at most `rounds` more seats; give how many were filled."""
        rounds = operator.index(rounds)
        if rounds < 0:
            raise ElectionError(f"an election advances by 0 rounds or more, not {rounds}")
        cdef Py_ssize_t count = min(rounds, self._count_places() - self.filled), i
        for i in range(count):
            self._seat(self._find_next())
        return count

    cdef Py_ssize_t _find_next(self) except -1:
        # Compares unit + burden of one times approval of the other, and the other way round.
        cdef Py_ssize_t best = -1, c, wide = self.width + 1
        cdef uint64_t* best_sum = self.rows
        cdef uint64_t* mine = self.rows + self.stride
        cdef uint64_t* other = self.rows + 2 * self.stride
        cdef uint64_t* own = self.rows + 3 * self.stride
        cdef int order
        for c in range(self.candidate_count):
            if self.places[c]:
                continue
            own[self.width] = wide_add(
                own, self.unit, self.burdens + c * self.stride, self.width
            )
            if best >= 0:
                memcpy(mine, own, wide * <Py_ssize_t>sizeof(uint64_t))
                memcpy(other, best_sum, wide * <Py_ssize_t>sizeof(uint64_t))
                wide_multiply(mine, wide, self.approvals[best])
                wide_multiply(other, wide, self.approvals[c])
                order = wide_compare(mine, other, wide)
                if order > 0 or (order == 0 and self.approvals[c] <= self.approvals[best]):
                    continue
            best = c
            memcpy(best_sum, own, wide * <Py_ssize_t>sizeof(uint64_t))
        return best

    cdef int _seat(self, Py_ssize_t winner) except -1:
        cdef uint64_t approval = self.approvals[winner]
        cdef Py_ssize_t place = self.filled + 1, c, i
        cdef uint64_t* score = self.loads + place * self.stride
        self.seated[self.filled] = <uint16_t>winner
        self.filled = place
        self.places[winner] = <uint16_t>place
        if approval == 0:
            return 0
        wide_add(score, self.unit, self.burdens + winner * self.stride, self.width)
        wide_multiply(self.unit, self.width, approval)
        # One limb more than the unit has; it was zero so far in every row.
        if self.unit[self.width - 1]:
            self.width += 1
        for i in range(1, place):
            wide_multiply(self.loads + i * self.stride, self.width, approval)
        for c in range(self.candidate_count):
            if not self.places[c]:
                wide_multiply(self.burdens + c * self.stride, self.width, approval)
        self._raise(winner, place)
        return 0

    cdef int _raise(self, Py_ssize_t winner, Py_ssize_t place) except -1:
        # Every voter of the winner now bears the winner's load; its other candidates feel it.
        # Budgets that make the same step, from one place to this, are added before they multiply.
        cdef Py_ssize_t across = self._count_places() + 1, s, v, e, c, i
        cdef uint64_t* step
        for i in range(place):
            wide_subtract(
                self.rises + i * self.stride, self.loads + place * self.stride,
                self.loads + i * self.stride, self.width,
            )
        for s in range(self.supporter_counts[winner]):
            v = self.supporters[winner][s]
            for e in range(self.first_edge[v], self.first_edge[v + 1]):
                c = self.edges[e]
                if not self.places[c]:
                    self.moved[c * across + self.held[v]] += self.budgets[v]
                    self.touched[c] = 1
            self.held[v] = <uint16_t>place
        for c in range(self.candidate_count):
            if not self.touched[c]:
                continue
            self.touched[c] = 0
            for i in range(place):
                step = self.moved + c * across + i
                if step[0]:
                    wide_add_product(
                        self.burdens + c * self.stride, self.rises + i * self.stride,
                        self.width, step[0],
                    )
                    step[0] = 0
        return 0

    def encode_progress(self):
        """Give the record from which `resume` goes on: 35 bytes and 2 for each filled seat."""
        cdef Py_ssize_t i
        seated = [(<object>self.seated[i]).to_bytes(2, "little") for i in range(self.filled)]
        return PROGRESS.pack(PROGRESS_VERSION, self.mark, self.filled) + b"".join(seated)

    def resume(self, bytes progress not None):
        """Stand where a progress record of the same snapshot stands, forward or back.

        Fills the seats again and compares. Raises ElectionError, and stays as it was, for a record
        of another election or one that this election does not lead to.
        """
        cdef list seated = self._decode_progress(progress)
        cdef list before = [self.seated[i] for i in range(self.filled)]
        cdef Py_ssize_t place
        if seated[: len(before)] != before:
            self._reset()
        for place in range(self.filled, len(seated)):
            if self._find_next() != seated[place]:
                self._reset()
                for winner in before:
                    self._seat(winner)
                raise ElectionError(f"the progress fills seat {place + 1} out of turn")
            self._seat(seated[place])

    cdef list _decode_progress(self, bytes progress):
        cdef Py_ssize_t i
        if PyBytes_GET_SIZE(progress) < HEAD:
            raise ElectionError(f"a progress record has 35 bytes or more, not {len(progress)}")
        version, digest, count = PROGRESS.unpack_from(progress)
        if version != PROGRESS_VERSION:
            raise ElectionError(f"progress version {version} is not known")
        if digest != self.mark:
            raise ElectionError("the progress is of another snapshot")
        if count > self._count_places():
            raise ElectionError(f"the progress fills {count} seats, more than there are")
        if len(progress) != HEAD + 2 * count:
            raise ElectionError("the progress record is longer or shorter than its count says")
        seated = [
            progress[HEAD + 2 * i] | progress[HEAD + 2 * i + 1] << 8 for i in range(count)
        ]
        if len(set(seated)) != count or max(seated, default=-1) >= self.candidate_count:
            raise ElectionError("the progress seats a candidate twice or one that is not there")
        return seated

    def finish(self):
        """Give the seated candidates with their supports, in the order of their seats.

        Raises ElectionError while seats can still be filled.
        """
        cdef Py_ssize_t v, i, count
        cdef Py_ssize_t[EDGES] seats
        cdef uint64_t[EDGES] parts
        cdef list exposures = [[] for i in range(self.filled)]
        cdef uint64_t[SEATS] totals
        self._check_finished()
        memset(totals, 0, sizeof(totals))
        for v in range(self.voter_count):
            count = self._seats_of(v, seats)
            if count == 0:
                continue
            self._split(self.budgets[v], seats, count, parts)
            who = self._voter_id(v)
            for i in range(count):
                if parts[i]:
                    (<list>exposures[seats[i] - 1]).append((who, parts[i]))
                    totals[seats[i] - 1] += parts[i]
        return tuple([
            Support(self._candidate_id(self.seated[i]), totals[i], tuple(exposures[i]))
            for i in range(self.filled)
        ])

    def count_behind(self, seat):
        """Give how many voters named the candidate of a seat, from 0 on; raises ElectionError."""
        return self.supporter_counts[self.seated[self._check_seat(seat)]]

    def support(self, seat, start, count):
        """Give at most `count` exposures above zero behind a seat, from 0 on, and where to go on.

        `start` is 0, or where the last page said; voters come in the order of their rows. Raises
        ElectionError while seats can still be filled, and for a seat or a start that is not there.
        """
        start, count = operator.index(start), operator.index(count)
        cdef Py_ssize_t winner = self.seated[self._check_seat(seat)], e, v
        cdef Py_ssize_t end = self.supporter_counts[winner]
        if not 0 <= start <= end or count < 0:
            raise ElectionError(f"{end} voters are behind the seat, and none is {start}")
        cdef Py_ssize_t at = start, left = min(count, end)
        cdef list found = []
        while at < end and len(found) < left:
            v = self.supporters[winner][at]
            self._split_voter(v)
            for e in range(self.first_edge[v], self.first_edge[v + 1]):
                if self.edges[e] == winner and self.amounts[e]:
                    found.append((self._voter_id(v), self.amounts[e]))
            at += 1
        return tuple(found), at

    def parts(self, first, count):
        """Give what becomes of the budgets of `count` voters from a row on, in order of seats.

        Each is (voter id, ((candidate id, amount above zero), ..)); raises ElectionError while
        seats can still be filled.
        """
        first, count = operator.index(first), operator.index(count)
        self._check_finished()
        if first < 0 or count < 0:
            raise ElectionError("voters are counted from 0 on")
        cdef Py_ssize_t v
        cdef Py_ssize_t begin = min(first, self.voter_count)
        cdef Py_ssize_t end = min(begin + count, self.voter_count)
        return tuple([(self._voter_id(v), self._parts_of(v)) for v in range(begin, end)])

    cdef tuple _parts_of(self, Py_ssize_t v):
        cdef Py_ssize_t e
        cdef list found = []
        self._split_voter(v)
        for e in range(self.first_edge[v], self.first_edge[v + 1]):
            if self.amounts[e]:
                place = self.places[self.edges[e]]
                found.append((place, self._candidate_id(self.edges[e]), self.amounts[e]))
        found.sort()
        return tuple([(who, amount) for _, who, amount in found])

    cdef int _split_voter(self, Py_ssize_t v) except -1:
        # Split the budget of a voter once, and keep the part of each edge.
        cdef Py_ssize_t[EDGES] seats
        cdef uint64_t[EDGES] parts
        cdef Py_ssize_t count, e, i
        if self.amounts == NULL:
            self.is_split = <uint8_t*>_room(self.voter_count, 1)
            self.amounts = <uint64_t*>_room(self.first_edge[self.voter_count], sizeof(uint64_t))
        if self.is_split[v]:
            return 0
        count = self._seats_of(v, seats)
        if count:
            self._split(self.budgets[v], seats, count, parts)
        for i in range(count):
            for e in range(self.first_edge[v], self.first_edge[v + 1]):
                if self.edges[e] == self.seated[seats[i] - 1]:
                    self.amounts[e] = parts[i]
        self.is_split[v] = 1
        return 0

    cdef int _forget_parts(self) except -1:
        PyMem_Free(self.amounts)
        PyMem_Free(self.is_split)
        self.amounts = NULL
        self.is_split = NULL
        return 0

    cdef Py_ssize_t _check_seat(self, object seat) except -1:
        self._check_finished()
        seat = operator.index(seat)
        if not 0 <= seat < self.filled:
            raise ElectionError(f"there are {self.filled} seats, and none is {seat}")
        return seat

    cdef int _check_finished(self) except -1:
        if self.filled != self._count_places():
            raise ElectionError(
                f"{self.filled} of {self._count_places()} seats are filled;"
                " advance the election first"
            )
        return 0

    cdef Py_ssize_t _seats_of(self, Py_ssize_t v, Py_ssize_t* seats) except -1:
        # The places of a voter's seated candidates, ascending.
        cdef Py_ssize_t count = 0, e, i, place
        for e in range(self.first_edge[v], self.first_edge[v + 1]):
            place = self.places[self.edges[e]]
            if place == 0:
                continue
            i = count
            while i > 0 and seats[i - 1] > place:
                seats[i] = seats[i - 1]
                i -= 1
            seats[i] = place
            count += 1
        return count

    cdef int _split(
        self, uint64_t budget, const Py_ssize_t* seats, Py_ssize_t count, uint64_t* parts
    ) except -1:
        # Split a budget by the load taken from each seat, by largest remainder.
        if count == 1:
            parts[0] = budget
            return 0
        cdef uint64_t* whole = self.loads + seats[count - 1] * self.stride
        cdef uint64_t* rest
        cdef uint64_t left = budget
        cdef Py_ssize_t i, before = 0, best
        cdef bint[EDGES] taken
        for i in range(count):
            rest = self.rows + i * self.stride
            wide_subtract(
                rest, self.loads + seats[i] * self.stride, self.loads + before * self.stride,
                self.width,
            )
            rest[self.width] = wide_multiply(rest, self.width, budget)
            parts[i] = wide_divide(rest, whole, self.width)
            left -= parts[i]
            taken[i] = False
            before = seats[i]
        while left > 0:
            best = -1
            for i in range(count):
                if not taken[i] and (best < 0 or wide_compare(
                    self.rows + i * self.stride, self.rows + best * self.stride, self.width
                ) > 0):
                    best = i
            taken[best] = True
            parts[best] += 1
            left -= 1
        return 0
