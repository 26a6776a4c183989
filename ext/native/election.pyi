from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self, final

CANDIDATES_MAX: int
VOTERS_MAX: int
TARGETS_MAX: int
SEATS_MAX: int
MONEY_MAX: int
ID_LENGTH: int
SNAPSHOT_VERSION: int
PROGRESS_VERSION: int

class ElectionError(ValueError): ...

class Support(NamedTuple):
    candidate: bytes
    total: int
    exposures: tuple[tuple[bytes, int], ...]

@final
class Election:
    def __new__(cls, snapshot: bytes) -> Self: ...
    @property
    def snapshot(self) -> bytes: ...
    @property
    def digest(self) -> bytes: ...
    @property
    def seats(self) -> int: ...
    @property
    def winners(self) -> tuple[bytes, ...]: ...
    @property
    def is_finished(self) -> bool: ...
    def advance(self, rounds: int) -> int: ...
    def encode_progress(self) -> bytes: ...
    def resume(self, progress: bytes) -> None: ...
    def finish(self) -> tuple[Support, ...]: ...

def encode_snapshot(
    seats: int,
    candidates: Iterable[bytes],
    voters: Iterable[tuple[bytes, int, Sequence[bytes]]],
) -> bytes: ...
