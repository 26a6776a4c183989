AccountRecord = tuple[int, int, int, int, int, int, int, int]

ACCOUNT_PREFIX: bytes
KEY_LENGTH_MAX: int
VALUE_LENGTH_MAX: int
MONEY_MAX: int
FLAG_NEW_LOGIC: int
DIFFERENCE_VERSION: int

class StoreError(ValueError):
    """What was asked would break a rule of the store; the message says which."""

class Writer:
    """A growing difference; used from C only."""

class Reader:
    """A strict cursor over a difference; used from C only."""

class SortedKeys:
    """Distinct keys in ascending order; used from C only."""

def account_key(who: bytes) -> bytes: ...
def encode_account(record: AccountRecord) -> bytes: ...
def decode_account(value: bytes) -> AccountRecord: ...
def encode_difference(changes: list[tuple[bytes, bytes | None]]) -> bytes: ...
def decode_difference(blob: bytes) -> list[tuple[bytes, bytes | None]]: ...
