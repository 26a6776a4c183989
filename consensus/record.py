"""What a validator's journal holds of the machine: enough never to contradict itself.

Everything else, the votes of the others, comes back from them; the polka behind the lock is kept
because losing it could cost the network its progress.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consensus.ballots import CERTIFICATE
from consensus.types import Certificate, Proposal, Vote
from ext import scale

OWN_MAX: Final = 48
"""Own messages of a height that are kept for sending again: sixteen rounds of three."""


@dataclass(frozen=True, slots=True)
class Record:
    """A moment of the machine: where it stood, its lock, its valid value, what it signed.

    `locked` is (block id, round); `valid` is (block id, round, polka); `own` is unsigned, since a
    signature over the same bytes is the same signature.
    """

    height: int
    round: int
    step: int
    locked: tuple[bytes, int] | None
    valid: tuple[bytes, int, Certificate] | None
    own: tuple[Proposal | Vote, ...]

    def encode(self) -> bytes:
        """Give the SCALE bytes; at most 24 KiB."""
        data: bytes = _RECORD.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "Record":
        """Decode exactly one record; raises ValueError."""
        value: Record = _RECORD.decode(data)
        return value


def _unsigned_vote(
    kind: int, height: int, round_: int, block_id: bytes, valid_round: int, index: int
) -> Vote:
    return Vote(kind, height, round_, block_id, valid_round, index)


def _unsigned_proposal(
    height: int, round_: int, block_id: bytes, valid_round: int, index: int
) -> Proposal:
    return Proposal(height, round_, block_id, valid_round, index)


_HASH = scale.fixed_bytes(32)
_POSITION = (
    ("height", scale.U64),
    ("round", scale.U32),
    ("block_id", _HASH),
    ("valid_round", scale.I32),
    ("index", scale.U16),
)
_OWN = scale.variant(
    "Own",
    {
        1: ("Proposal", scale.record(_unsigned_proposal, *_POSITION), Proposal),
        2: ("Vote", scale.record(_unsigned_vote, ("kind", scale.U8), *_POSITION), Vote),
    },
)


def _record_from_parts(
    height: int,
    round_: int,
    step: int,
    locked: tuple[bytes, int] | None,
    valid: tuple[bytes, int, Certificate] | None,
    own: Sequence[Proposal | Vote],
) -> Record:
    return Record(height, round_, step, locked, valid, tuple(own))


_RECORD = scale.record(
    _record_from_parts,
    ("height", scale.U64),
    ("round", scale.U32),
    ("step", scale.U8),
    ("locked", scale.option(scale.tuple_of(_HASH, scale.U32))),
    ("valid", scale.option(scale.tuple_of(_HASH, scale.U32, CERTIFICATE))),
    ("own", scale.vector(_OWN, OWN_MAX)),
)
"""The codec of a record."""
