"""The envelope around every message: [protocol version, request id, kind, fields], strictly.

Gossip and one-way messages carry request id 0; an answer repeats the id of its question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from chain.network import limits
from chain.network.fields import U32_MAX, FieldReader
from chain.network.packing import MalformedMessage, Packed, decode_packed, encode_packed


class Message(Protocol):
    """What the envelope needs of a message."""

    KIND: ClassVar[int]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage (or ValueError from SCALE)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message and the id of the question it asks or answers (0: neither)."""

    request_id: int
    message: Message


def encode_message(message: Message, *, request_id: int = 0) -> bytes:
    """Return the envelope of a message."""
    return encode_packed([limits.PROTOCOL_VERSION, request_id, message.KIND, message.to_fields()])


def find_kind(payload: bytes) -> int:
    """Give the kind that an encoded message of request id 0 claims to be, unchecked; or -1.

    Version and id take a byte each behind the byte that begins the array.
    """
    return payload[3] if len(payload) > 3 else -1


def decode_envelope(
    payload: bytes,
    *,
    bytes_max: int,
    kinds: Sequence[type[Message]],
    request_id: int | None = None,
) -> Envelope:
    """Return the message in `payload`, one of the kinds expected here; raises MalformedMessage.

    An answer must repeat the `request_id` of its question.
    """
    head = FieldReader(decode_packed(payload, bytes_max=bytes_max), name="envelope")
    version = head.take_number()
    if version != limits.PROTOCOL_VERSION:
        raise MalformedMessage(f"protocol version {version} is not {limits.PROTOCOL_VERSION}")
    found_id, kind = head.take_number(U32_MAX), head.take_number()
    if request_id is not None and found_id != request_id:
        raise MalformedMessage(f"an answer to question {found_id}, not to {request_id}")
    cls = next((each for each in kinds if kind == each.KIND), None)
    if cls is None:
        raise MalformedMessage(f"a message of kind {kind} does not belong here")
    fields = FieldReader(head.take_list(16), name=cls.__name__)
    head.finish()
    try:
        message = cls.from_fields(fields)
    except MalformedMessage:
        raise
    except ValueError as fault:
        raise MalformedMessage(f"{cls.__name__}: {fault}") from fault
    fields.finish()
    return Envelope(found_id, message)
