"""Tables of a chain spec, whose keys are taken one by one.

Whatever is wrong names the key and says what to write; a key that nobody took is an error, too.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from ext import hashing, signing
from runtime.frame.errors import SpecError
from runtime.primitives import GRAINS_PER_GRIST, MONEY_MAX, AccountId
from runtime.system import SS58_PREFIX

ADDRESS_CHARACTERS_MAX: Final = 48
"""Characters of an address with a prefix of one byte."""

_HEX_KEY: Final = re.compile(r"0x[0-9a-f]{64}")
_AMOUNT: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?")
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CHECKSUM_MARK: Final = b"SS58PRE"

T = TypeVar("T")


class Section:
    """A table of the spec whose keys are taken one by one; what is left over is an error."""

    def __init__(self, table: Any, place: str) -> None:
        if not isinstance(table, dict):
            raise SpecError(place, "it is not a table", f"write [{place}] and keys below it")
        self._rest: dict[str, Any] = dict(table)
        self.place = place

    def key(self, name: str) -> str:
        """Give the full name of a key."""
        return f"{self.place}.{name}" if self.place else name

    def take(self, name: str, kind: type[T], remedy: str) -> T:
        """Take a value of a type out of the table; raises SpecError."""
        if name not in self._rest:
            raise SpecError(self.key(name), "it is missing", remedy)
        value = self._rest.pop(name)
        if type(value) is not kind:
            raise SpecError(self.key(name), f"{value!r} is a {type(value).__name__}", remedy)
        return value

    def has(self, name: str) -> bool:
        """Whether a key is still there."""
        return name in self._rest

    def integer(self, name: str, low: int, high: int) -> int:
        """Take an integer between two limits."""
        remedy = f"write an integer from {low} to {high}"
        value = self.take(name, int, remedy)
        if not low <= value <= high:
            raise SpecError(self.key(name), f"{value} is out of range", remedy)
        return value

    def text(self, name: str, pattern: re.Pattern[str], remedy: str) -> str:
        """Take a text of a form."""
        value = self.take(name, str, remedy)
        if not pattern.fullmatch(value):
            raise SpecError(self.key(name), f"{value!r} has another form", remedy)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Take one of some words."""
        return self.text(name, re.compile("|".join(choices)), f"write one of {', '.join(choices)}")

    def amount(self, name: str) -> int:
        """Take an amount of GRIST, as text with up to nine decimals, and give grains."""
        remedy = 'write GRIST as text, like "12.5", with at most nine decimals'
        whole, _, fraction = self.text(name, _AMOUNT, remedy).partition(".")
        grains = int(whole) * GRAINS_PER_GRIST + int(fraction.ljust(9, "0") or "0")
        if grains > MONEY_MAX:
            raise SpecError(self.key(name), "it is more than can exist", remedy)
        return grains

    def bytes_32(self, name: str) -> bytes:
        """Take 32 bytes in hexadecimal."""
        return bytes.fromhex(
            self.text(name, _HEX_KEY, "write 0x and 64 digits of lower-case hexadecimal")[2:]
        )

    def public_key(self, name: str) -> bytes:
        """Take an ed25519 public key that can verify."""
        key = self.bytes_32(name)
        if not signing.is_valid_key(key):
            raise SpecError(self.key(name), "no ed25519 key has these bytes", "check the key")
        return key

    def account(self, name: str, known: Mapping[str, AccountId] | None = None) -> AccountId:
        """Take an account: an address of this network, 0x and its 64 digits, or a known word."""
        remedy = "write an address that begins with 5, or 0x and 64 hexadecimal digits"
        value = self.take(name, str, remedy)
        if known and value in known:
            return known[value]
        account = bytes.fromhex(value[2:]) if _HEX_KEY.fullmatch(value) else find_account(value)
        if account is None:
            raise SpecError(self.key(name), f"{value!r} is no account", remedy)
        return AccountId(account)

    def items(self, name: str, count_max: int) -> list["Section"]:
        """Take a list of tables."""
        values = self.take(name, list, f"write [[{name}]] tables")
        if len(values) > count_max:
            raise SpecError(self.key(name), f"it has {len(values)} items", f"use {count_max}")
        return [Section(value, f"{self.key(name)}[{i}]") for i, value in enumerate(values)]

    def table(self, name: str) -> "Section | None":
        """Take a table that need not be there."""
        if not self.has(name):
            return None
        return Section(self.take(name, dict, f"write a [{name}] table"), self.key(name))

    def finish(self) -> None:
        """Raise SpecError when a key was never taken."""
        if self._rest:
            name = min(self._rest)
            raise SpecError(self.key(name), "no such key is known", "remove it or correct it")


def find_account(address: str) -> bytes | None:
    """Give the 32 bytes of an address with this network's prefix, or None."""
    if len(address) > ADDRESS_CHARACTERS_MAX or address.startswith(_BASE58[0]):
        return None
    number = 0
    for character in address:
        place = _BASE58.find(character)
        if place < 0:
            return None
        number = number * 58 + place
    if number >= 1 << 8 * 35 or number < 1 << 8 * 34:
        return None
    data = number.to_bytes(35, "big")
    checksum = hashing.blake2b_512(_CHECKSUM_MARK + data[:33])[:2]
    return data[1:33] if data[0] == SS58_PREFIX and data[33:] == checksum else None
