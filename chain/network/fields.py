"""Reading one message's fields in order, each with its bound; whatever is off is refused."""

from chain.network.packing import MalformedMessage, Packed

U32_MAX = 0xFFFF_FFFF
"""Rounds and counts."""

U64_MAX = 0xFFFF_FFFF_FFFF_FFFF
"""Heights, set ids and times."""


class FieldReader:
    """The fields of one array, taken one by one; every method raises MalformedMessage."""

    def __init__(self, value: Packed, *, name: str) -> None:
        if not isinstance(value, list):
            raise MalformedMessage(f"{name} is no array")
        self._fields = value
        self._next = 0
        self._name = name

    def take_number(self, maximum: int = U64_MAX) -> int:
        """Take an unsigned integer of at most `maximum`."""
        value = self._take()
        if not isinstance(value, int) or not 0 <= value <= maximum:
            raise MalformedMessage(f"{self._where()} is no number of at most {maximum}")
        return value

    def take_bytes(self, maximum: int, *, minimum: int = 0) -> bytes:
        """Take a byte string of `minimum` to `maximum` bytes."""
        value = self._take()
        if not isinstance(value, bytes) or not minimum <= len(value) <= maximum:
            raise MalformedMessage(f"{self._where()} is not {minimum} to {maximum} bytes")
        return value

    def take_hash(self) -> bytes:
        """Take exactly 32 bytes."""
        return self.take_bytes(32, minimum=32)

    def take_text(self, maximum: int) -> str:
        """Take text of at most `maximum` characters, all of them printable."""
        value = self._take()
        if not isinstance(value, str) or len(value) > maximum or not value.isprintable():
            raise MalformedMessage(f"{self._where()} is no printable text of up to {maximum}")
        return value

    def take_list(self, maximum: int, *, minimum: int = 0) -> list[Packed]:
        """Take an array of `minimum` to `maximum` values."""
        value = self._take()
        if not isinstance(value, list) or not minimum <= len(value) <= maximum:
            raise MalformedMessage(f"{self._where()} is no array of {minimum} to {maximum}")
        return value

    def take_blobs(self, count_max: int, bytes_max: int, *, minimum: int = 0) -> tuple[bytes, ...]:
        """Take an array of non-empty byte strings, each of at most `bytes_max` bytes."""
        where = f"{self._name}[{self._next}]"
        items = FieldReader(self.take_list(count_max, minimum=minimum), name=where)
        count = len(items._fields)
        return tuple(items.take_bytes(bytes_max, minimum=1) for _ in range(count))

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._next != len(self._fields):
            raise MalformedMessage(f"{self._name} has {len(self._fields)} fields, not {self._next}")

    def _take(self) -> Packed:
        if self._next >= len(self._fields):
            raise MalformedMessage(f"{self._name} has only {len(self._fields)} fields")
        value = self._fields[self._next]
        self._next += 1
        return value

    def _where(self) -> str:
        return f"field {self._next - 1} of {self._name}"
