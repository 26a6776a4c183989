"""Strict MessagePack: the four shapes we speak, and one way to write each.

A message is made of unsigned integers below 2^64, byte strings, UTF-8 text and arrays.  Maps,
floats, nil, booleans, negative integers and extension types do not exist here, so there are no
duplicate keys to argue about and no two encodings of one value: what does not re-encode to the
very bytes it came from is refused.
"""

from typing import TypeAlias

import msgpack

Packed: TypeAlias = "int | bytes | str | list[Packed]"
"""What a strict message may hold."""

DEPTH_MAX = 8
"""Arrays within arrays; the deepest message (a page of certificates) needs five."""

ITEMS_MAX = 4_096
"""Values in one message, arrays included; a page of 256 headers with their proofs needs 1,300. Four
times as many, each of a byte, would take more than eight times their bytes and a mebibyte."""

_FIXED_BYTES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_BYTES_LENGTH = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY_LENGTH = {0xDC: 2, 0xDD: 4}


class MalformedMessage(ValueError):
    """Bytes of a peer are no message of ours: the sentence says what is wrong and where."""


def encode_packed(value: Packed) -> bytes:
    """Return the one encoding of a value; raises MalformedMessage when it has none."""
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True, strict_types=True)
    except (TypeError, ValueError, OverflowError) as fault:
        raise MalformedMessage(f"this value cannot be packed: {fault}") from fault
    return packed


def decode_packed(
    payload: bytes, *, bytes_max: int, items_max: int = ITEMS_MAX, depth_max: int = DEPTH_MAX
) -> Packed:
    """Return the value in `payload`, the whole of it; raises MalformedMessage.

    Size, count and depth are checked on the bytes alone, before anything is allocated.
    """
    if len(payload) > bytes_max:
        raise MalformedMessage(f"{len(payload)} bytes are more than the {bytes_max} allowed")
    _check_shape(payload, items_max=items_max, depth_max=depth_max)
    try:
        value: Packed = msgpack.unpackb(payload, raw=False, use_list=True)
    except (ValueError, msgpack.exceptions.UnpackException) as fault:
        raise MalformedMessage(f"not MessagePack: {fault}") from fault
    if encode_packed(value) != payload:
        raise MalformedMessage("the encoding is not the shortest one")
    return value


def _check_shape(payload: bytes, *, items_max: int, depth_max: int) -> None:
    """Walk the tags of one value; raises MalformedMessage on anything but our four shapes."""
    offset = 0
    items = 0
    due = [1]
    while due:
        if not due[-1]:
            due.pop()
            continue
        due[-1] -= 1
        items += 1
        if items > items_max:
            raise MalformedMessage(f"more than {items_max} values in one message")
        offset, count = _step(payload, offset)
        if count:
            due.append(count)
            if len(due) > depth_max + 1:
                raise MalformedMessage(f"arrays are nested deeper than {depth_max}")
    if offset != len(payload):
        raise MalformedMessage(f"{abs(len(payload) - offset)} bytes follow or lack at the end")


def _step(payload: bytes, offset: int) -> tuple[int, int]:
    """Return the offset after the value at `offset` (an array: after its head) and its count."""
    if offset >= len(payload):
        raise MalformedMessage("the message ends in the middle of a value")
    tag = payload[offset]
    offset += 1
    if tag <= 0x7F:
        return offset, 0
    if 0x90 <= tag <= 0x9F:
        return offset, tag & 0x0F
    if 0xA0 <= tag <= 0xBF:
        return offset + (tag & 0x1F), 0
    if tag in _FIXED_BYTES:
        return offset + _FIXED_BYTES[tag], 0
    if tag in _BYTES_LENGTH:
        end = offset + _BYTES_LENGTH[tag]
        return end + int.from_bytes(payload[offset:end], "big"), 0
    if tag in _ARRAY_LENGTH:
        end = offset + _ARRAY_LENGTH[tag]
        return end, int.from_bytes(payload[offset:end], "big")
    raise MalformedMessage(f"byte {tag:#04x} at {offset - 1} starts a kind of value we never use")
