"""The state after an earlier block, as the runtime reads it."""

# ruff: noqa: ARG002 - the arguments are the protocol's

from typing import NoReturn

from chain.storage.state import StateStore
from ext import store
from runtime.frame.context import AccountRecord


class PastState:
    """A `StateView` that only reads; every read may raise StatePruned."""

    def __init__(self, chain: StateStore, height: int) -> None:
        self._chain = chain
        self._height = height

    @property
    def money(self) -> int:
        """Unknown for the past; nobody who only reads asks."""
        return self._refuse()

    def get(self, key: bytes) -> bytes | None:
        """Give the value at a key, or None."""
        return self._chain.get(key, self._height)

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Give the keys that start with a prefix, ascending, beyond `after`, at most `limit`."""
        limit = 1 << 62 if limit is None else limit
        return self._chain.keys(prefix, self._height, after=after, limit=limit)

    def account(self, who: bytes) -> AccountRecord | None:
        """Give the record of an account, or None."""
        value = self.get(store.account_key(who))
        return None if value is None else store.decode_account(value)

    def put(self, key: bytes, value: bytes) -> None:
        """Refuse: the past does not change."""
        self._refuse()

    def delete(self, key: bytes) -> None:
        """Refuse: the past does not change."""
        self._refuse()

    def set_account(self, who: bytes, record: AccountRecord | None) -> None:
        """Refuse: the past does not change."""
        self._refuse()

    def pay(self, who: bytes, nonce: int, amount: int, floor: int) -> bool:
        """Refuse: the past does not change."""
        self._refuse()

    def move_free(self, source: bytes, target: bytes, amount: int, floor: int) -> bool:
        """Refuse: the past does not change."""
        self._refuse()

    def checkpoint(self) -> None:
        """Refuse: nothing is written that could be taken back."""
        self._refuse()

    def commit(self) -> None:
        """Refuse: nothing is written."""
        self._refuse()

    def revert(self) -> None:
        """Refuse: nothing is written."""
        self._refuse()

    def root(self) -> bytes:
        """Refuse: the header of that block says the root."""
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise AssertionError("the state after an earlier block is only read")
