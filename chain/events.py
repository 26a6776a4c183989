"""Reading receipts: which events a step left, and which accounts an extrinsic touched."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ext import scale
from runtime.frame.declared import Wired
from runtime.primitives import ACCOUNT_TYPE
from runtime.transaction import SIGNED_PREFIX
from runtime.versions import VERSIONS, VersionTable

EVENTS_MAX: Final = 1 << 20
"""More events than any block can leave: a receipt that counts more is damaged."""

TOUCHED_MAX: Final = 64
"""Accounts that one extrinsic is filed under; a batch may touch more."""

_INFO = scale.tuple_of(scale.COMPACT_U64, scale.COMPACT_U64, scale.U8, scale.U8)
_MODULE_ERROR: Final = b"\x03"
_EXTRINSIC_SUCCESS: Final = b"\x00\x00"
_EXTRINSIC_FAILED: Final = b"\x00\x01"


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """One event: its module and name on the wire, and its fields by name."""

    module: str
    name: str
    fields: dict[str, Any]
    accounts: tuple[bytes, ...]
    """The account ids among the fields."""


class EventReader:
    """Decodes receipts of every version in a table: numbers of events are never used again."""

    def __init__(self, table: VersionTable = VERSIONS) -> None:
        self._kinds: dict[bytes, tuple[str, str, tuple[tuple[str, Wired], ...]]] = {}
        for rules in table:
            for module in rules.make_runtime(rules.version).modules:
                for event in module.events:
                    self._kinds[event.head] = (module.name, event.__name__, event.parts)

    def decode(self, receipt: bytes) -> list[DecodedEvent]:
        """Give the events of a receipt, a SCALE `Vec<EventRecord>`; raises ValueError."""
        count, offset = scale.COMPACT_U32.decode_from(receipt, 0)
        if count > EVENTS_MAX:
            raise ValueError("the receipt counts more events than a block can leave")
        events: list[DecodedEvent] = []
        for _ in range(count):
            offset += 5 if receipt[offset : offset + 1] == b"\x00" else 1
            event, offset = self._decode_event(receipt, offset)
            offset += 1
            events.append(event)
        if offset != len(receipt):
            raise ValueError("bytes are left over after the events of a receipt")
        return events

    def _decode_event(self, receipt: bytes, offset: int) -> tuple[DecodedEvent, int]:
        """Read one event behind its phase; the empty list of topics follows."""
        head = receipt[offset : offset + 2]
        offset += 2
        if head in (_EXTRINSIC_SUCCESS, _EXTRINSIC_FAILED):
            return _decode_outcome(receipt, offset, has_failed=head == _EXTRINSIC_FAILED)
        kind = self._kinds.get(head)
        if kind is None:
            raise ValueError(f"no event has the number {head.hex()}")
        module, name, parts = kind
        fields: dict[str, Any] = {}
        accounts: list[bytes] = []
        for part, wired in parts:
            value, offset = wired.decode_from(receipt, offset)
            fields[part.rstrip("_")] = value
            if wired.type is ACCOUNT_TYPE:
                accounts.append(bytes(value))
        return DecodedEvent(module, name, fields, tuple(accounts)), offset

    def find_touched(
        self, extrinsics: Sequence[bytes], receipts: Sequence[bytes]
    ) -> Iterable[Iterable[bytes]]:
        """Give for each extrinsic of a block the accounts whose history it belongs to."""
        for raw, receipt in zip(extrinsics, receipts[1:], strict=False):
            accounts = dict.fromkeys(_signer(raw))
            if accounts:
                for event in self.decode(receipt):
                    accounts.update(dict.fromkeys(event.accounts))
            yield tuple(accounts)[:TOUCHED_MAX]


def _decode_outcome(receipt: bytes, offset: int, *, has_failed: bool) -> tuple[DecodedEvent, int]:
    """Read ExtrinsicSuccess or ExtrinsicFailed."""
    fields: dict[str, Any] = {}
    if has_failed:
        length = 6 if receipt[offset : offset + 1] == _MODULE_ERROR else 1
        fields["dispatch_error"] = receipt[offset : offset + length]
        offset += length
    (weight, _, class_, _), offset = _INFO.decode_from(receipt, offset)
    fields |= {"weight": weight, "class": class_}
    name = "ExtrinsicFailed" if has_failed else "ExtrinsicSuccess"
    return DecodedEvent("System", name, fields, ()), offset


def _signer(raw: bytes) -> tuple[bytes, ...]:
    """Give the signer of an extrinsic as it stands in a block, nothing for an inherent."""
    _, start = scale.COMPACT_U32.decode_from(raw, 0)
    is_signed = raw[start : start + 2] == SIGNED_PREFIX
    return (raw[start + 2 : start + 34],) if is_signed else ()
