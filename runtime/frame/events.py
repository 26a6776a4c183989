"""Events: what happened, in the past tense, as bytes of a receipt.

    class Burned(Event, index=10):
        \"\"\"Some amount was destroyed by its owner.\"\"\"
        who: AccountId
        amount: Balance

The Python field `from_` is `from` on the wire.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Final, dataclass_transform

from runtime.frame.declared import Wired, wire_of
from runtime.frame.errors import DeclarationError

PHASE_INITIALIZATION: Final = b"\x02"
"""The phase of events before the first extrinsic."""

PHASE_APPLY: Final = b"\x00"
"""The phase of the events of an extrinsic, before its number in the block as u32."""

PHASE_FINALIZATION: Final = b"\x01"
"""The phase of events after the last extrinsic."""

NO_TOPICS: Final = b"\x00"
"""Our events have no topics; clients expect the empty list."""


@dataclass_transform()
class Event:
    """Something that happened; subclasses are declared with `index=` and are dataclasses."""

    index: ClassVar[int]
    module_index: ClassVar[int]
    head: ClassVar[bytes]
    """Module and event number, two bytes; set when the module is declared."""
    parts: ClassVar[tuple[tuple[str, Wired], ...]]

    def __init_subclass__(cls, *, index: int, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if not 0 <= index <= 255:
            raise DeclarationError(f"{cls.__name__}: the index of an event is one byte")
        if not cls.__doc__:
            raise DeclarationError(f"{cls.__name__}: an event's docstring says what happened")
        dataclass(cls)
        cls.index = index
        cls.parts = tuple(
            (f.name, wire_of(f.type, f"{cls.__name__}.{f.name}"))
            for f in fields(cls)  # type: ignore[arg-type]  # the line above made it a dataclass
        )
        EVENTS_BY_FILE.setdefault(cls.__module__, []).append(cls)

    def encode(self) -> bytes:
        """Give the bytes of the event: module, number, fields."""
        return self.head + b"".join(wired.encode(getattr(self, n)) for n, wired in self.parts)


EVENTS_BY_FILE: Final[dict[str, list[type[Event]]]] = {}
"""Events in order of declaration by the Python file that holds them; modules claim theirs."""


_SHORT_COUNTS: Final = tuple(bytes((count << 2,)) for count in range(64))
"""SCALE's form of the numbers of one byte: as many events as nearly every receipt has."""


def encode_receipt(phase: bytes, events: list[bytes]) -> bytes:
    """Give the SCALE `Vec<EventRecord>` of encoded events that share a phase."""
    count = len(events)
    if count < 64:
        prefix = _SHORT_COUNTS[count]
    elif count < 1 << 14:
        prefix = (count << 2 | 1).to_bytes(2, "little")
    else:
        prefix = (count << 2 | 2).to_bytes(4, "little")
    if not events:
        return prefix
    return prefix + phase + (NO_TOPICS + phase).join(events) + NO_TOPICS
