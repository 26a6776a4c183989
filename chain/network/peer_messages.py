"""What peers say to each other about peers; these messages know nothing of the chain."""

from dataclasses import dataclass
from typing import ClassVar, Self

from chain.network import limits
from chain.network.fields import FieldReader
from chain.network.packing import Packed


@dataclass(frozen=True, slots=True)
class GetPeers:
    """A question for addresses of other nodes; says where the asker listens itself."""

    KIND: ClassVar[int] = 15
    listening: tuple[str, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [list(self.listening)]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(_read_addresses(fields.take_list(4)))


@dataclass(frozen=True, slots=True)
class PeersPage:
    """Addresses of peers that the answering node is connected to."""

    KIND: ClassVar[int] = 16
    addresses: tuple[str, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [list(self.addresses)]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(_read_addresses(fields.take_list(limits.ADDRESSES_MAX)))


def _read_addresses(items: list[Packed]) -> tuple[str, ...]:
    fields = FieldReader(items, name="addresses")
    return tuple(fields.take_text(limits.ADDRESS_CHARACTERS_MAX) for _ in items)
