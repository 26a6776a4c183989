"""What is put to the vote, and how an election is spread over an epoch: pure.

A row is a voter as the core reads it: account, stake, and the numbers of whom it backs.
"""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Record
from runtime.frame.events import Event
from runtime.frame.parameters import PERBILL
from runtime.primitives import U32, AccountId, Balance
from runtime.staking.nouns import TARGETS_MAX
from runtime.wire import Primitive, Sequence, Wire

ID_BYTES: Final = 32
"""An account."""

ROWS_PER_PAGE: Final = 64
"""Voters on a page of what is put to the vote."""

VOTERS_PER_BLOCK: Final = 64
"""Candidates or voters that a block takes at least, and voters whose result it writes."""

LOADED_PER_BLOCK: Final = 8
"""Pages that a block gives to the core at least; each costs it some ten microseconds."""

ROUNDS_PER_BLOCK: Final = 1
"""Seats that a block fills at least; a seat costs some milliseconds with all voters behind it."""

EXPOSED_PER_BLOCK: Final = 4
"""Pages of exposures that a block writes at least."""

CLEARED_PER_BLOCK: Final = 16
"""Pages of the last vote that a block forgets."""

ROW_HEAD: Final = ID_BYTES + 9
"""Account, stake as u64 and count as u8, before the numbers of two bytes each."""

_PAGE_BYTES_MAX: Final = ROWS_PER_PAGE * (ROW_HEAD + 2 * TARGETS_MAX)


class Phase(IntEnum):
    """What an election is at, in order; SCALING, where it is needed, comes before LOADING."""

    IDLE = 0
    CANDIDATES = 1
    VOTERS = 2
    LOADING = 3
    ROUNDS = 4
    EXPOSURES = 5
    ASSIGNMENTS = 6
    READY = 7
    SCALING = 8


SHARES: Final = {
    Phase.CANDIDATES: 1,
    Phase.VOTERS: 6,
    Phase.SCALING: 7,
    Phase.LOADING: 7,
    Phase.ROUNDS: 9,
    Phase.EXPOSURES: 12,
    Phase.ASSIGNMENTS: 15,
}
"""When each phase is over, in sixteenths of the epoch."""

_WHOLE: Final = 16

Page = Annotated[
    bytes, Wire(scale.var_bytes(_PAGE_BYTES_MAX), Sequence(Primitive("u8")), "Vec<u8>")
]
"""Rows of voters as the core reads them."""


class Standing(Record):
    """A candidate, its own stake, what of it vests, before all are known and numbered."""

    who: AccountId
    stake: Balance
    vesting: Balance


class Progress(Record):
    """How far an election is.

    `era` is the one it is for, `cursor` the last candidate or voter that was met, of `met` in all.
    `candidates`, `pages` and `voters` count what is put to the vote, `loaded` pages that the core
    has. `seat`, `start`, `page`, `own`, `others` and `nominators` are about the winner that is
    being written, `assigned` counts voters whose result is written; `seats` is how many winners
    there may be, whatever a vote decides meanwhile. `stake` is all that is put to the vote and
    `vesting` what of it vests, of which no more than `counted` counts; `scaled` counts the pages
    on which that is done.
    """

    phase: Phase = Phase.IDLE
    era: U32 = 0
    cursor: AccountId | None = None
    met: U32 = 0
    candidates: U32 = 0
    pages: U32 = 0
    voters: U32 = 0
    loaded: U32 = 0
    seat: U32 = 0
    start: U32 = 0
    page: U32 = 0
    own: Balance = 0
    others: Balance = 0
    nominators: U32 = 0
    assigned: U32 = 0
    seats: U32 = 0
    stake: Balance = 0
    vesting: Balance = 0
    counted: Balance = 0
    scaled: U32 = 0


class PhaseBegun(Event, index=0):
    """The election for an era reached this phase."""

    era: U32
    phase: Phase


_ROWS: Final = tuple(Struct(f"<32sQB{count}H") for count in range(TARGETS_MAX + 1))
"""A voter as the core reads it, by how many it names."""


def make_row(who: bytes, stake: int, named: list[int]) -> bytes:
    """Give the row of a voter; `named` ascends."""
    return _ROWS[len(named)].pack(who, stake, len(named), *named)


_STAKE: Final = Struct("<Q")
"""Where a row says its stake, behind the account."""


class Rows:
    """Rows that are being gathered, and what of each stake vests."""

    __slots__ = ("rows", "stake", "vesting")

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.vesting: list[int] = []
        self.stake = 0

    def add(self, who: bytes, stake: int, vesting: int, named: list[int]) -> None:
        """Put a voter down; `named` ascends, and `vesting` is at most the stake."""
        self.rows.append(make_row(who, stake, named))
        self.vesting.append(vesting)
        self.stake += stake


def pack_vesting(vesting: list[int]) -> bytes:
    """Give what vests of the rows of a page, in their order; nothing when nothing does."""
    return b"".join(map(_STAKE.pack, vesting)) if any(vesting) else b""


def counted_vesting(stake: int, vesting: int, share: int) -> int:
    """Give how many grains that vest count, so that they are `share` perbill of what counts."""
    return min(vesting, (stake - vesting) * share // (PERBILL - share))


def scale_page(page: bytes, packed: bytes, counted: int, vesting: int) -> bytes:
    """Let of each stake on a page only counted / vesting of its vesting part count; rounds down.

    A grain stays of every stake, so that whoever was put to the vote is still in it.
    """
    scaled, at = bytearray(page), 0
    for (part,) in _STAKE.iter_unpack(packed):
        (stake,) = _STAKE.unpack_from(scaled, at + ID_BYTES)
        _STAKE.pack_into(scaled, at + ID_BYTES, max(stake - part + part * counted // vesting, 1))
        at += ROW_HEAD + 2 * scaled[at + ROW_HEAD - 1]
    return bytes(scaled)


def stakes_on(page: bytes) -> Iterator[int]:
    """Yield the stakes of the voters on a page."""
    at = 0
    while at < len(page):
        yield _STAKE.unpack_from(page, at + ID_BYTES)[0]
        at += ROW_HEAD + 2 * page[at + ROW_HEAD - 1]


def names_on(page: bytes) -> Iterator[bytes]:
    """Yield the accounts of the voters on a page."""
    at = 0
    while at < len(page):
        yield page[at : at + ID_BYTES]
        at += ROW_HEAD + 2 * page[at + ROW_HEAD - 1]


def share_of(rest: int, left: int, least: int) -> int:
    """Give what a block does of the rest, with so many blocks left."""
    return max(least, -(-rest // left))


def walk_share(count: int, met: int, left: int) -> int:
    """Give how many a block meets; the last block of a phase meets all that are still to come."""
    if left == 1:
        return max(count, 1)
    return share_of(max(count - met, 0), left, VOTERS_PER_BLOCK)


def last_place(phase: Phase, length: int) -> int:
    """Give the place in the epoch, from 0 on, of the last block that a phase has."""
    return min(length - 1, SHARES[phase] * length // _WHOLE)
