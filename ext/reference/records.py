"""Account records, limits and the difference of the store, in plain Python.

The encodings are pinned in the docstring of `ext.reference.store`, which exports what is public.
"""

from hashlib import blake2b

AccountRecord = tuple[int, int, int, int, int, int, int, int]
"""nonce, consumers, providers, sufficients, free, reserved, frozen, flags."""

ACCOUNT_PREFIX = bytes.fromhex("26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9")
"""twox128("System") || twox128("Account"): where Substrate keeps accounts."""

KEY_LENGTH_MAX = 1024
"""Longest storage key, in bytes; a double map of two 32-byte keys needs 128."""

VALUE_LENGTH_MAX = 16 * 1024 * 1024
"""Longest value, in bytes; what a single difference may have to carry."""

MONEY_MAX = 2**63 - 1
"""Most grains that an account, and all accounts together, may hold: signed 64 bits."""

FLAG_NEW_LOGIC = 1 << 127
"""Substrate's mark on accounts of the fungible era, the only flag outside the low 15 bits."""

DIFFERENCE_VERSION = 1
"""First byte of a difference; a reader refuses what it does not know."""

_WIDTHS = (4, 4, 4, 4, 16, 16, 16, 16)
_LIMITS = (2**32 - 1,) * 4 + (MONEY_MAX,) * 3 + (2**128 - 1,)


class StoreError(ValueError):
    """What was asked would break a rule of the store; the message says which."""


def hash256(data: bytes) -> bytes:
    """Return the 32 bytes of blake2b-256."""
    return blake2b(data, digest_size=32).digest()


def account_key(who: bytes) -> bytes:
    """Return the 80-byte storage key of an account identifier of 32 bytes."""
    if type(who) is not bytes:
        raise TypeError("an account identifier is bytes")
    if len(who) != 32:
        raise StoreError(f"an account identifier has 32 bytes, not {len(who)}")
    return ACCOUNT_PREFIX + blake2b(who, digest_size=16).digest() + who


def encode_account(record: AccountRecord) -> bytes:
    """Return the 80 bytes of AccountInfo; raise StoreError for what does not fit."""
    check_record(record)
    return b"".join(
        value.to_bytes(width, "little") for value, width in zip(record, _WIDTHS, strict=True)
    )


def decode_account(value: bytes) -> AccountRecord:
    """Read 80 bytes of AccountInfo; raise StoreError for what does not fit."""
    if len(value) != 80:
        raise StoreError(f"an account's value has 80 bytes, not {len(value)}")
    fields, offset = [], 0
    for width in _WIDTHS:
        fields.append(int.from_bytes(value[offset : offset + width], "little"))
        offset += width
    nonce, consumers, providers, sufficients, free, reserved, frozen, flags = fields
    record = (nonce, consumers, providers, sufficients, free, reserved, frozen, flags)
    check_record(record)
    return record


def encode_difference(changes: list[tuple[bytes, bytes | None]]) -> bytes:
    """Write changes, in any order, as one blob; None means removed."""
    accounts = sorted((key[48:], value) for key, value in changes if is_account(key))
    generic = sorted((key, value) for key, value in changes if not is_account(key))
    body = _encode_varint(len(accounts))
    for who, value in accounts:
        body += who + (b"\x00" if value is None else b"\x01" + _encode_fields(value))
    body += _encode_varint(len(generic))
    for key, value in generic:
        body += _encode_varint(len(key)) + key
        body += b"\x00" if value is None else b"\x01" + _encode_varint(len(value)) + value
    return bytes([DIFFERENCE_VERSION]) + len(body).to_bytes(4, "little") + body


def decode_difference(blob: bytes) -> list[tuple[bytes, bytes | None]]:
    """Read one blob; raise StoreError for anything but the one form that the encoder writes."""
    if len(blob) < 5 or blob[0] != DIFFERENCE_VERSION:
        raise StoreError("a difference of an unknown version")
    if int.from_bytes(blob[1:5], "little") != len(blob) - 5:
        raise StoreError("the length of a difference is not what its head says")
    changes: list[tuple[bytes, bytes | None]] = []
    reader = _Reader(blob, 5)
    previous = b""
    for index in range(reader.varint()):
        who = reader.take(32)
        if index and who <= previous:
            raise StoreError("accounts of a difference are not in ascending order")
        previous = who
        changes.append((account_key(who), reader.fields() if reader.flag() else None))
    changes += _decode_generic(reader)
    if reader.offset != len(blob):
        raise StoreError("bytes are left over after a difference")
    return changes


def _decode_generic(reader: "_Reader") -> list[tuple[bytes, bytes | None]]:
    changes: list[tuple[bytes, bytes | None]] = []
    for index in range(reader.varint()):
        key = reader.take(reader.varint())
        if (index and key <= changes[-1][0]) or is_account(key):
            raise StoreError("keys of a difference are not in ascending order")
        check_key(key)
        value = reader.take(reader.varint()) if reader.flag() else None
        if value is not None:
            check_value(key, value)
        changes.append((key, value))
    return changes


class _Reader:
    """A strict cursor over a difference."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        start, self.offset = self.offset, self.offset + count
        if self.offset > len(self.data):
            raise StoreError("a difference ends too early")
        return self.data[start : self.offset]

    def flag(self) -> bool:
        """Return whether the next byte says that an entry is present."""
        byte = self.take(1)[0]
        if byte > 1:
            raise StoreError("an entry of a difference is neither present nor removed")
        return byte == 1

    def varint(self) -> int:
        """Return the next number."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if (shift > 7 and byte == 0) or value >= 2**64:
            raise StoreError("a number of a difference is not in its shortest form")
        return value

    def fields(self) -> bytes:
        """Return the next account's value."""
        mask = self.take(1)[0]
        fields = [self.varint() if mask >> index & 1 else None for index in range(8)]
        if 0 in fields:
            raise StoreError("a field of a difference is zero but present")
        numbers = [field or 0 for field in fields]
        if numbers[7] > 0xFFFF:
            raise StoreError("the flags of a difference have more than 16 bits")
        flags = (numbers[7] & 0x7FFF) | (FLAG_NEW_LOGIC if numbers[7] & 0x8000 else 0)
        nonce, consumers, providers, sufficients, free, reserved, frozen, _ = numbers
        return encode_account(
            (nonce, consumers, providers, sufficients, free, reserved, frozen, flags)
        )


def _encode_fields(value: bytes) -> bytes:
    record = decode_account(value)
    flags = (record[7] & 0x7FFF) | (0x8000 if record[7] & FLAG_NEW_LOGIC else 0)
    fields = (*record[:7], flags)
    mask = sum(1 << index for index, field in enumerate(fields) if field)
    return bytes([mask]) + b"".join(_encode_varint(field) for field in fields if field)


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def check_record(record: object) -> None:
    """Raise TypeError or StoreError unless the record is one that the store can hold."""
    if not isinstance(record, tuple) or len(record) != len(_WIDTHS):
        raise TypeError("an account record is a tuple of eight integers")
    for field, limit in zip(record, _LIMITS, strict=True):
        if type(field) is not int:
            raise TypeError("an account record is a tuple of eight integers")
        if not 0 <= field <= limit:
            raise StoreError(f"an account field of {field} is not between 0 and {limit}")
    if record[7] & ~(FLAG_NEW_LOGIC | 0x7FFF):
        raise StoreError("account flags other than the low 15 bits and bit 127 are not stored")


def is_account(key: bytes) -> bool:
    """Say whether a storage key belongs to the accounts."""
    return key.startswith(ACCOUNT_PREFIX)


def check_key(key: bytes) -> None:
    """Raise TypeError or StoreError unless the key is one that the store can hold."""
    if type(key) is not bytes:
        raise TypeError("a storage key is bytes")
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise StoreError(f"a storage key has 1 to {KEY_LENGTH_MAX} bytes, not {len(key)}")
    if is_account(key) and (len(key) != 80 or account_key(key[48:]) != key):
        raise StoreError("the key is under System.Account but is not the key of an account")


def check_value(key: bytes, value: bytes) -> None:
    """Raise TypeError or StoreError unless the store can hold the value at the key."""
    check_key(key)
    if type(value) is not bytes:
        raise TypeError("a value is bytes")
    if len(value) > VALUE_LENGTH_MAX:
        raise StoreError(f"a value has at most {VALUE_LENGTH_MAX} bytes, not {len(value)}")
    if is_account(key):
        decode_account(value)


def check_total(total: int) -> None:
    """Raise StoreError when all money together passes MONEY_MAX."""
    if total > MONEY_MAX:
        raise StoreError("the accounts together would hold more than a signed 64-bit number")


def money_of(key: bytes, value: bytes | None) -> int:
    """Return free plus reserved of an account's value; 0 for every other entry."""
    if value is None or not is_account(key):
        return 0
    record = decode_account(value)
    return record[4] + record[5]
