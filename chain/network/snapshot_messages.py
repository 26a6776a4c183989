"""What peers say to each other about snapshots, and the light blocks that prove their heights."""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from chain.network import limits
from chain.network.fields import U32_MAX, FieldReader
from chain.network.packing import Packed
from chain.storage.snapshot import CHUNK_BYTES, CHUNKS_MAX, MANIFEST_BYTES_MAX

LIGHT_BLOCK_BYTES_MAX: Final = (
    limits.HEADER_BYTES_MAX + limits.COMMIT_BYTES_MAX + 2 * limits.VALIDATOR_SET_BYTES_MAX
)
"""A header with its commit, its set and the next one."""

OVERHEAD_BYTES_MAX: Final = 64
"""What an envelope adds to the one byte string in it; also the longest question here."""


@dataclass(frozen=True, slots=True)
class GetManifest:
    """A question for the manifest of a height; 0 asks for the newest snapshot."""

    KIND: ClassVar[int] = 20
    height: int

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.height]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_number(U32_MAX))


@dataclass(frozen=True, slots=True)
class ManifestMessage:
    """An encoded manifest; empty when there is no such snapshot."""

    KIND: ClassVar[int] = 21
    manifest: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.manifest]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_bytes(MANIFEST_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class GetChunk:
    """A question for one chunk of the snapshot of a height, by its number from 0 on."""

    KIND: ClassVar[int] = 22
    height: int
    index: int

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.height, self.index]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_number(U32_MAX), fields.take_number(CHUNKS_MAX))


@dataclass(frozen=True, slots=True)
class ChunkMessage:
    """The bytes of a chunk."""

    KIND: ClassVar[int] = 23
    chunk: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.chunk]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_bytes(CHUNK_BYTES, minimum=1))


@dataclass(frozen=True, slots=True)
class GetLightBlock:
    """A question for the light block of a height."""

    KIND: ClassVar[int] = 24
    height: int

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.height]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_number(U32_MAX))


@dataclass(frozen=True, slots=True)
class LightBlockMessage:
    """A light block in its SCALE bytes."""

    KIND: ClassVar[int] = 25
    block: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.block]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_bytes(LIGHT_BLOCK_BYTES_MAX, minimum=1))
