"""SS58 addresses: base58 of a network prefix, a 32-byte public key and a checksum.

Source: docs.substrate.io, "SS58 address format". Prefix 42 is the one every tool prints for the
well-known development accounts, so it is ours too.
"""

import hashlib
import hmac
from typing import Final

from chain.wallet.errors import BadContent

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""The base58 alphabet of Bitcoin: no 0, O, I and l, which people confuse."""

PREFIX: Final = 42
"""The network prefix of Gristmill: the generic Substrate one, so stock tools agree with us."""

ADDRESS_LENGTH_MAX: Final = 64
"""Characters; a 36-byte payload needs at most 50. Bounds the quadratic base58 arithmetic."""

_RESERVED_PREFIXES: Final = (46, 47)
"""Reserved by the SS58 registry; no network may use them."""

_PREFIX_MAX: Final = 16383
"""The largest prefix that fits the two-byte form."""

_DIGITS: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode_base58(content: bytes) -> str:
    """Return the base58 text of any bytes; each leading zero byte becomes a `1`."""
    number = int.from_bytes(content, "big")
    digits = []
    while number:
        number, remainder = divmod(number, 58)
        digits.append(ALPHABET[remainder])
    zeros = len(content) - len(content.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def decode_base58(text: str) -> bytes:
    """Return the bytes of base58 text; raise BadContent for a foreign character."""
    number = 0
    for character in text:
        if character not in _DIGITS:
            raise BadContent(f"an address cannot contain the character {character!r}")
        number = number * 58 + _DIGITS[character]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode_address(public: bytes, prefix: int = PREFIX) -> str:
    """Return the SS58 address of a 32-byte public key; raise BadContent for a bad prefix."""
    if len(public) != 32:
        raise BadContent(f"a public key has 32 bytes, this one has {len(public)}")
    head = _encode_prefix(prefix)
    return encode_base58(head + public + _checksum(head + public))


def decode_address(address: str) -> tuple[int, bytes]:
    """Return (prefix, 32-byte public key) of an address; raise BadContent with the reason."""
    if not 0 < len(address) <= ADDRESS_LENGTH_MAX:
        raise BadContent("an address has 1 to 64 characters")
    content = decode_base58(address)
    if not content or content[0] > 127:
        raise BadContent("the address begins with a prefix that SS58 does not allow")
    head_length = 1 if content[0] < 64 else 2
    if len(content) != head_length + 34:
        raise BadContent(
            f"the address holds {len(content)} bytes instead of {head_length + 34}",
            "copy the whole address; an account address usually has 48 characters",
        )
    head, public, checksum = (
        content[:head_length],
        content[head_length:-2],
        content[-2:],
    )
    if not hmac.compare_digest(_checksum(head + public), checksum):
        raise BadContent(
            "the checksum of the address is wrong",
            "there is a typing mistake in it; copy it again",
        )
    return _decode_prefix(head), public


def decode_account(address: str, prefix: int = PREFIX) -> bytes:
    """Return the 32-byte public key of an address on this network; BadContent otherwise."""
    found, public = decode_address(address)
    if found != prefix:
        raise BadContent(
            f"the address is for network prefix {found}, this chain uses {prefix}",
            "ask for the address in the format of this chain",
        )
    return public


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(b"SS58PRE" + content, digest_size=64).digest()[:2]


def _encode_prefix(prefix: int) -> bytes:
    if prefix in _RESERVED_PREFIXES or not 0 <= prefix <= _PREFIX_MAX:
        raise BadContent(f"SS58 does not allow the prefix {prefix}")
    if prefix < 64:
        return bytes([prefix])
    return bytes([(prefix & 0xFC) >> 2 | 0x40, prefix >> 8 | (prefix & 3) << 6])


def _decode_prefix(head: bytes) -> int:
    if len(head) == 1:
        prefix = head[0]
    else:
        prefix = (head[0] & 0x3F) << 2 | head[1] >> 6 | (head[1] & 0x3F) << 8
        if prefix < 64:
            raise BadContent("the address writes a small prefix in the long form")
    if prefix in _RESERVED_PREFIXES:
        raise BadContent(f"SS58 does not allow the prefix {prefix}")
    return prefix
