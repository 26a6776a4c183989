"""Any value of the chain as people read it: bytes to JSON, by the types of the metadata.

Accounts are addresses, bytes are 0x hex, and numbers of 64 bits and more are decimal strings,
because a reader in another language would round them.
"""

from typing import Any, Final

from chain.wallet.amounts import show_amount
from chain.wallet.cursor import Cursor
from chain.wallet.errors import BadContent
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
    Variant,
    hash_length,
)
from chain.wallet.ss58 import encode_address

DEPTH_MAX: Final = 24
"""Levels of nesting; a batch of batches of calls needs about ten."""

HASHES: Final = ("H160", "H256", "H512")
"""Types that are nothing but bytes, shown as one hex text."""

_WIDE: Final = ("u64", "u128", "u256", "i64", "i128", "i256")
"""Numbers that become strings in JSON."""


class Decoder:
    """Turns bytes into JSON values by the types of one metadata."""

    def __init__(self, metadata: Metadata, *, for_people: bool = False) -> None:
        self.metadata = metadata
        self.for_people = for_people

    def decode(self, type_id: int, content: bytes) -> Any:
        """Return the value of exactly these bytes; BadContent if they are not one."""
        cursor = Cursor(content)
        value = self.read(type_id, cursor)
        cursor.finish()
        return value

    def decode_call(self, content: bytes) -> dict[str, Any]:
        """Return {"call": "Module.call", "args": {...}} of the bytes of a call."""
        cursor = Cursor(content)
        value = self._read_call(cursor, 0)
        cursor.finish()
        return value

    def read(self, type_id: int, cursor: Cursor, depth: int = 0) -> Any:
        """Read one value at the cursor."""
        if depth > DEPTH_MAX:
            raise BadContent(f"the value is nested more than {DEPTH_MAX} levels deep")
        cursor.spend()
        entry = self.metadata.type(type_id)
        special = self._SPECIAL.get(entry.name)
        if special is not None:
            return special(self, entry, cursor, depth)
        read = self._BY_DEFINITION.get(type(entry.definition))
        if read is None:
            raise BadContent("the value holds a bit sequence, which this wallet cannot read")
        return read(self, entry.definition, cursor, depth)

    def _read_fields(self, fields: tuple[Field, ...], cursor: Cursor, depth: int) -> Any:
        if not fields:
            return None
        if fields[0].name is None:
            values = [self._read_field(field, cursor, depth) for field in fields]
            return values[0] if len(values) == 1 else values
        return {str(field.name): self._read_field(field, cursor, depth) for field in fields}

    def _read_field(self, field: Field, cursor: Cursor, depth: int) -> Any:
        value = self.read(field.type_id, cursor, depth + 1)
        if self.for_people and field.is_amount and isinstance(value, str) and value.isdecimal():
            return show_amount(int(value))
        return value

    def _read_variant(self, definition: Any, cursor: Cursor) -> Variant:
        start = cursor.offset
        index = cursor.number(1)
        variant = definition.variants.get(index) if isinstance(definition, Choice) else None
        if variant is None:
            raise BadContent(f"there is no case {index} in the choice at offset {start}")
        return variant

    def _read_composite(self, definition: Any, cursor: Cursor, depth: int) -> Any:
        return self._read_fields(definition.fields, cursor, depth)

    def _read_list(self, definition: Any, cursor: Cursor, depth: int) -> Any:
        length = definition.length if isinstance(definition, Array) else None
        return self._read_items(definition.item, cursor, depth, length)

    def _read_row(self, definition: Any, cursor: Cursor, depth: int) -> Any:
        return [self.read(item, cursor, depth + 1) for item in definition.items] or None

    def _read_number(self, definition: Any, cursor: Cursor, _depth: int) -> Any:
        return _read_primitive(definition.name, cursor)

    def _read_choice(self, definition: Any, cursor: Cursor, depth: int) -> Any:
        variant = self._read_variant(definition, cursor)
        if not variant.fields:
            return variant.name
        return {variant.name: self._read_fields(variant.fields, cursor, depth)}

    def _read_items(self, item: int, cursor: Cursor, depth: int, length: int | None) -> Any:
        definition = self.metadata.type(item).definition
        if definition == Primitive("u8"):
            content = cursor.var_bytes() if length is None else cursor.take(length)
            return "0x" + content.hex()
        count = cursor.count(0) if length is None else length
        return [self.read(item, cursor, depth + 1) for _ in range(count)]

    def _read_compact(self, definition: Any, cursor: Cursor, _depth: int) -> Any:
        name = find_number(self.metadata, definition.inner)
        if name is None:
            return None
        value = cursor.compact()
        if value >= 1 << int(name[1:]):
            raise BadContent(f"{value} does not fit {name}")
        return str(value) if name in _WIDE else value

    def _read_call(self, cursor: Cursor, depth: int) -> dict[str, Any]:
        module, call = self._read_module_variant(cursor, "call_type", "call")
        fields = self._read_fields(call.fields, cursor, depth + 1)
        return {"call": f"{module.name}.{call.name}", "args": _named(call, fields)}

    def _read_event(self, cursor: Cursor, depth: int) -> dict[str, Any]:
        module, event = self._read_module_variant(cursor, "event_type", "event")
        fields = self._read_fields(event.fields, cursor, depth + 1)
        return {"event": f"{module.name}.{event.name}", "fields": _named(event, fields)}

    def _read_module_variant(
        self, cursor: Cursor, attribute: str, what: str
    ) -> tuple[Module, Variant]:
        module_index, index = cursor.number(1), cursor.number(1)
        for module in self.metadata.modules.values():
            if module.index == module_index:
                variant = self.metadata.variants(getattr(module, attribute)).get(index)
                if variant is None:
                    raise BadContent(f"{module.name} has no {what} with the number {index}")
                return module, variant
        raise BadContent(f"the chain has no module with the number {module_index}")

    def _read_account(self, _entry: Type, cursor: Cursor, _depth: int) -> Any:
        return encode_address(cursor.take(32))

    def _read_address(self, entry: Type, cursor: Cursor, depth: int) -> Any:
        variant = self._read_variant(entry.definition, cursor)
        value = self._read_fields(variant.fields, cursor, depth)
        return value if variant.name == "Id" else {variant.name: value}

    def _read_option(self, entry: Type, cursor: Cursor, depth: int) -> Any:
        variant = self._read_variant(entry.definition, cursor)
        return self._read_fields(variant.fields, cursor, depth) if variant.fields else None

    def _read_error(self, entry: Type, cursor: Cursor, depth: int) -> Any:
        variant = self._read_variant(entry.definition, cursor)
        if variant.name != "Module":
            fields = self._read_fields(variant.fields, cursor, depth)
            return variant.name if fields is None else {variant.name: fields}
        module_index, content = cursor.number(1), cursor.take(4)
        name, docs = self.metadata.error(module_index, content[0])
        return {"error": name, "docs": docs}

    def _read_any_call(self, _entry: Type, cursor: Cursor, depth: int) -> Any:
        return self._read_call(cursor, depth)

    def _read_any_event(self, _entry: Type, cursor: Cursor, depth: int) -> Any:
        return self._read_event(cursor, depth)

    def _read_hash(self, entry: Type, cursor: Cursor, _depth: int) -> Any:
        return "0x" + cursor.take(int(entry.name[1:]) // 8).hex()

    _SPECIAL: Final = {
        "AccountId32": _read_account,
        "MultiAddress": _read_address,
        "Option": _read_option,
        "DispatchError": _read_error,
        "RuntimeCall": _read_any_call,
        "RuntimeEvent": _read_any_event,
        **dict.fromkeys(HASHES, _read_hash),
    }
    _BY_DEFINITION: Final = {
        Composite: _read_composite,
        Choice: _read_choice,
        ItemList: _read_list,
        Array: _read_list,
        Row: _read_row,
        Compact: _read_compact,
        Primitive: _read_number,
    }


def read_map_keys(metadata: Metadata, item: StorageItem, tail: bytes) -> list[Any]:
    """Return the keys of a map entry from what follows the 32-byte prefix of its storage key."""
    if item.key_type is None:
        return []
    parts: tuple[int, ...] = (item.key_type,)
    definition = metadata.type(item.key_type).definition
    if len(item.hashers) > 1 and isinstance(definition, Row):
        parts = definition.items
    cursor, decoder = Cursor(tail), Decoder(metadata)
    keys = []
    for hasher, part in zip(item.hashers, parts, strict=False):
        cursor.take(hash_length(hasher))
        keys.append(decoder.read(part, cursor))
    cursor.finish()
    return keys


def _named(variant: Variant, fields: Any) -> dict[str, Any]:
    if not variant.fields:
        return {}
    if isinstance(fields, dict):
        return fields
    values = fields if len(variant.fields) > 1 else [fields]
    return {str(position): value for position, value in enumerate(values)}


def find_number(metadata: Metadata, type_id: int) -> str | None:
    """Return the primitive number that a compact or newtype holds, None where it is empty."""
    for _ in range(DEPTH_MAX):
        match metadata.type(type_id).definition:
            case Primitive(name) if name[0] in "ui":
                return name
            case Compact(inner):
                type_id = inner
            case Composite((Field(_, inner, _, _),)):
                type_id = inner
            case _:
                return None
    return None


def _read_primitive(name: str, cursor: Cursor) -> Any:
    if name == "bool":
        return cursor.flag()
    if name == "str":
        return cursor.text()
    if name == "char":
        return cursor.number(4)
    value = cursor.number(int(name[1:]) // 8, signed=name[0] == "i")
    return str(value) if name in _WIDE else value
