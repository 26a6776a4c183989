"""Any value of the chain as people write it: JSON or plain text to bytes, by the metadata.

In JSON an amount is in grains, as everything that the wallet prints; as an argument on the command
line it is in GRIST.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from chain.wallet.amounts import parse_amount
from chain.wallet.cursor import encode_compact_number, encode_var_bytes
from chain.wallet.decoding import DEPTH_MAX, HASHES, find_number
from chain.wallet.errors import WalletError, WrongUse
from chain.wallet.metadata import (
    Array,
    Choice,
    Compact,
    Composite,
    Field,
    ItemList,
    Metadata,
    Module,
    Primitive,
    Row,
    StorageItem,
    Type,
    hash_key,
    storage_prefix,
)
from chain.wallet.ss58 import decode_account

Resolve = Callable[[str], bytes]
"""From what a person calls an account (name, address, //Alice) to its 32-byte key."""


class Encoder:
    """Turns what people write into bytes by the types of one metadata."""

    def __init__(self, metadata: Metadata, resolve: Resolve = decode_account) -> None:
        self.metadata = metadata
        self.resolve = resolve

    def encode_call(self, path: str, args: dict[str, Any]) -> bytes:
        """Return the bytes of a call from JSON values by argument name."""
        module, call = self.metadata.call(path)
        content = [bytes([module.index, call.index])]
        left = dict(args)
        for field in call.fields:
            name = str(field.name)
            if name not in left:
                raise WrongUse(f"{module.name}.{call.name} needs the argument {name}")
            content.append(self._within(name, field.type_id, left.pop(name), 1))
        if left:
            raise WrongUse(f"{module.name}.{call.name} has no argument {min(left)}")
        return b"".join(content)

    def encode_text(self, field: Field, text: str) -> bytes:
        """Return the bytes of one argument written on the command line."""
        name = str(field.name)
        if field.is_amount and find_number(self.metadata, field.type_id) is not None:
            return self._within(name, field.type_id, parse_amount(text), 1)
        return self._within(name, field.type_id, _from_text(text), 1)

    def encode(self, type_id: int, value: Any, depth: int = 0) -> bytes:
        """Return the bytes of a JSON value; WrongUse says what does not fit."""
        if depth > DEPTH_MAX:
            raise WrongUse(f"the value is nested more than {DEPTH_MAX} levels deep")
        entry = self.metadata.type(type_id)
        special = self._SPECIAL.get(entry.name)
        if special is not None:
            return special(self, entry, value, depth)
        encode = self._BY_DEFINITION.get(type(entry.definition))
        if encode is None:
            raise WrongUse("a bit sequence cannot be written")
        return encode(self, entry.definition, value, depth)

    def storage_key(self, module: Module, item: StorageItem, keys: list[str]) -> bytes:
        """Return the storage key for map keys as people write them; fewer keys give a prefix."""
        content = storage_prefix(module, item)
        if len(keys) > len(item.hashers):
            raise WrongUse(
                f"{module.name}.{item.name} takes {len(item.hashers)} keys, not {len(keys)}"
            )
        if not keys or item.key_type is None:
            return content
        parts = [item.key_type]
        definition = self.metadata.type(item.key_type).definition
        if len(item.hashers) > 1 and isinstance(definition, Row):
            parts = list(definition.items)
        for hasher, part, key in zip(item.hashers, parts, keys, strict=False):
            content += hash_key(hasher, self.encode(part, _from_text(key)))
        return content

    def _within(self, name: str, type_id: int, value: Any, depth: int) -> bytes:
        try:
            return self.encode(type_id, value, depth)
        except WalletError as error:
            raise type(error)(f"{name}: {error.message}", error.hint) from None

    def _encode_fields(self, fields: tuple[Field, ...], value: Any, depth: int) -> bytes:
        if not fields:
            return b""
        if fields[0].name is None:
            values = [value] if len(fields) == 1 else value
            return self._encode_tuple(tuple(field.type_id for field in fields), values, depth)
        if not isinstance(value, dict):
            names = ", ".join(str(field.name) for field in fields)
            raise WrongUse(f"expected an object with {names}")
        names_known = [str(field.name) for field in fields]
        unknown = sorted(set(value) - set(names_known))
        missing = [name for name in names_known if name not in value]
        if unknown or missing:
            raise WrongUse(f"the object needs exactly {', '.join(names_known)}")
        return b"".join(
            self._within(str(field.name), field.type_id, value[str(field.name)], depth + 1)
            for field in fields
        )

    def _encode_tuple(self, items: tuple[int, ...], value: Any, depth: int) -> bytes:
        values = [] if value is None else value
        if not isinstance(values, list) or len(values) != len(items):
            raise WrongUse(f"expected a list of {len(items)} values")
        pairs = zip(items, values, strict=True)
        return b"".join(self.encode(item, one, depth + 1) for item, one in pairs)

    def _encode_composite(self, definition: Any, value: Any, depth: int) -> bytes:
        return self._encode_fields(definition.fields, value, depth)

    def _encode_list(self, definition: Any, value: Any, depth: int) -> bytes:
        length = definition.length if isinstance(definition, Array) else None
        return self._encode_items(definition.item, value, depth, length)

    def _encode_row(self, definition: Any, value: Any, depth: int) -> bytes:
        return self._encode_tuple(definition.items, value, depth)

    def _encode_number(self, definition: Any, value: Any, _depth: int) -> bytes:
        return _encode_primitive(definition.name, value)

    def _encode_choice(self, definition: Any, value: Any, depth: int) -> bytes:
        variants = definition.variants if isinstance(definition, Choice) else {}
        name, inner = value, None
        if isinstance(value, dict) and len(value) == 1:
            name, inner = next(iter(value.items()))
        for variant in variants.values():
            if isinstance(name, str) and variant.name.lower() == name.lower():
                return bytes([variant.index]) + self._encode_fields(variant.fields, inner, depth)
        names = ", ".join(variant.name for variant in variants.values())
        raise WrongUse(f"expected one of {names}")

    def _encode_items(self, item: int, value: Any, depth: int, length: int | None) -> bytes:
        if self.metadata.type(item).definition == Primitive("u8"):
            content = _bytes_of(value)
            count, body = len(content), content
        elif isinstance(value, list):
            count = len(value)
            body = b"".join(self.encode(item, one, depth + 1) for one in value)
        else:
            raise WrongUse("expected a JSON list")
        if length is None:
            return encode_compact_number(count) + body
        if count != length:
            raise WrongUse(f"expected exactly {length} items, got {count}")
        return body

    def _encode_compact(self, definition: Any, value: Any, _depth: int) -> bytes:
        name = find_number(self.metadata, definition.inner)
        if name is None:
            return b""
        return encode_compact_number(_number_of(value, name))

    def _encode_account(self, _entry: Type, value: Any, _depth: int) -> bytes:
        if not isinstance(value, str):
            raise WrongUse("expected an account: an address, a key's name or //Alice")
        return self.resolve(value)

    def _encode_address(self, entry: Type, value: Any, depth: int) -> bytes:
        if isinstance(value, dict):
            return self._encode_choice(entry.definition, value, depth)
        return b"\0" + self._encode_account(entry, value, depth)

    def _encode_option(self, entry: Type, value: Any, depth: int) -> bytes:
        if value is None:
            return b"\0"
        return self._encode_choice(entry.definition, {"Some": value}, depth)

    def _encode_any_call(self, _entry: Type, value: Any, _depth: int) -> bytes:
        if isinstance(value, str) and value.startswith("0x"):
            return _bytes_of(value)
        if not isinstance(value, dict) or set(value) != {"call", "args"}:
            raise WrongUse(
                "expected a call",
                'write {"call": "Balances.transfer_keep_alive", "args": {...}} '
                "with amounts in grains, or the 0x bytes of a call",
            )
        return self.encode_call(str(value["call"]), value["args"])

    def _encode_hash(self, entry: Type, value: Any, _depth: int) -> bytes:
        content, length = _bytes_of(value), int(entry.name[1:]) // 8
        if len(content) != length:
            raise WrongUse(f"expected 0x and {2 * length} hex digits")
        return content

    _SPECIAL: Final = {
        "AccountId32": _encode_account,
        "MultiAddress": _encode_address,
        "Option": _encode_option,
        "RuntimeCall": _encode_any_call,
        **dict.fromkeys(HASHES, _encode_hash),
    }
    _BY_DEFINITION: Final = {
        Composite: _encode_composite,
        Choice: _encode_choice,
        ItemList: _encode_list,
        Array: _encode_list,
        Row: _encode_row,
        Compact: _encode_compact,
        Primitive: _encode_number,
    }


def _encode_primitive(name: str, value: Any) -> bytes:
    if name == "bool":
        if not isinstance(value, bool):
            raise WrongUse("expected true or false")
        return bytes([value])
    if name == "str":
        return encode_var_bytes(str(value).encode())
    if name == "char":
        return _number_of(value, "u32").to_bytes(4, "little")
    number = _number_of(value, name)
    return number.to_bytes(int(name[1:]) // 8, "little", signed=name[0] == "i")


def _number_of(value: Any, name: str) -> int:
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value[:80])
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongUse(f"expected a whole number, got {value!r}")
    bits, signed = int(name[1:]), name[0] == "i"
    lowest, highest = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    if not lowest <= value < highest:
        raise WrongUse(f"{value} does not fit {name}")
    return value


def _bytes_of(value: Any) -> bytes:
    if not isinstance(value, str):
        raise WrongUse("expected text, or 0x and hex digits")
    if not value.startswith("0x"):
        return value.encode()
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise WrongUse(f"{value[:20]!r} is not hexadecimal") from None


def _from_text(text: str) -> Any:
    """Read a command-line argument as JSON where it looks like it, else as the text itself."""
    if text in {"true", "false", "null"} or text[:1] in {"[", "{", '"'}:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise WrongUse(f"{text[:40]!r} is not JSON") from None
    return text
