from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from ext.native.records import (
    ACCOUNT_PREFIX as ACCOUNT_PREFIX,
)
from ext.native.records import (
    DIFFERENCE_VERSION as DIFFERENCE_VERSION,
)
from ext.native.records import (
    FLAG_NEW_LOGIC as FLAG_NEW_LOGIC,
)
from ext.native.records import (
    KEY_LENGTH_MAX as KEY_LENGTH_MAX,
)
from ext.native.records import (
    MONEY_MAX as MONEY_MAX,
)
from ext.native.records import (
    VALUE_LENGTH_MAX as VALUE_LENGTH_MAX,
)
from ext.native.records import (
    AccountRecord as AccountRecord,
)
from ext.native.records import (
    StoreError as StoreError,
)
from ext.native.records import (
    account_key as account_key,
)
from ext.native.records import (
    decode_account as decode_account,
)
from ext.native.records import (
    decode_difference as decode_difference,
)
from ext.native.records import (
    encode_account as encode_account,
)
from ext.native.records import (
    encode_difference as encode_difference,
)

EMPTY_ROOT: bytes

class Difference(NamedTuple):
    """What one commit changed: `forward` repeats it, `reverse` takes it back."""

    forward: bytes
    reverse: bytes

class State:
    """The committed base: a set of entries, its root, and the money its accounts hold."""

    @classmethod
    def empty(cls) -> Self: ...
    @classmethod
    def from_entries(cls, entries: Iterable[tuple[bytes, bytes]]) -> Self: ...
    @property
    def root(self) -> bytes: ...
    @property
    def money(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def hash_count(self) -> int: ...
    def __len__(self) -> int: ...
    def get(self, key: bytes) -> bytes | None: ...
    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]: ...
    def account(self, who: bytes) -> AccountRecord | None: ...
    def entries(self) -> Iterator[tuple[bytes, bytes]]: ...
    def overlay(self) -> Overlay: ...
    def commit(self, overlay: Overlay) -> Difference: ...
    def apply_difference(self, blob: bytes) -> None: ...
    def prove(self, key: bytes) -> bytes: ...

class Overlay:
    """A mutable view on a base: the state that the runtime works on."""

    def __init__(self, base: State) -> None: ...
    @property
    def money(self) -> int: ...
    def get(self, key: bytes) -> bytes | None: ...
    def put(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> None: ...
    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]: ...
    def account(self, who: bytes) -> AccountRecord | None: ...
    def set_account(self, who: bytes, record: AccountRecord | None) -> None: ...
    def checkpoint(self) -> None: ...
    def commit(self) -> None: ...
    def revert(self) -> None: ...
    def root(self) -> bytes: ...
    def changes(self) -> list[tuple[bytes, bytes | None]]: ...

def verify_proof(root: bytes, key: bytes, value: bytes | None, proof: bytes) -> bool: ...
