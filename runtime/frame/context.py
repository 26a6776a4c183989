"""What a module sees of the block being executed: state, block, events, and who is acting.

One Context serves a Runtime for its whole life; the executive points it at a state and a block.
"""

from typing import Final, Protocol

from ext import hashing
from runtime.block import BlockContext
from runtime.primitives import ZERO_HASH, AccountId

AccountRecord = tuple[int, int, int, int, int, int, int, int]
"""nonce, consumers, providers, sufficients, free, reserved, frozen, flags."""

NO_MODULE: Final = 255
"""Index of nobody: the executive itself is acting."""


class StateView(Protocol):
    """The mutable state that the runtime works on; `ext.store.Overlay` satisfies it."""

    @property
    def money(self) -> int:
        """Grains free and reserved over all accounts, counted by the store itself."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """Give the value at a key, or None."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at a key."""
        ...

    def delete(self, key: bytes) -> None:
        """Remove a key; it need not be there."""
        ...

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Give the keys that start with a prefix, ascending, beyond `after`, at most `limit`."""
        ...

    def account(self, who: bytes) -> AccountRecord | None:
        """Give the record of an account, or None."""
        ...

    def set_account(self, who: bytes, record: AccountRecord | None) -> None:
        """Set or remove the record of an account."""
        ...

    def pay(self, who: bytes, nonce: int, amount: int, floor: int) -> bool:
        """Take free grains and the nonce of an account.

        Only where the account lives, has just this nonce, nothing frozen, and keeps `floor` grains
        free. Else nothing changes, and the answer is False.
        """
        ...

    def move_free(self, source: bytes, target: bytes, amount: int, floor: int) -> bool:
        """Move free grains between two accounts.

        Only where both live and are not the same, and the source is unbound and keeps `floor`
        grains free. Else nothing changes, and the answer is False.
        """
        ...

    def checkpoint(self) -> None:
        """Open a checkpoint; they nest."""
        ...

    def commit(self) -> None:
        """Close the last checkpoint and keep what was written since."""
        ...

    def revert(self) -> None:
        """Close the last checkpoint and undo what was written since."""
        ...

    def root(self) -> bytes:
        """Give the 32-byte commitment to this view."""
        ...


NO_BLOCK: Final = BlockContext(
    genesis_hash=ZERO_HASH,
    height=0,
    parent_hash=ZERO_HASH,
    time_ms=0,
    spec_version=0,
    proposer=AccountId(ZERO_HASH),
    entropy=ZERO_HASH,
)
"""The block before the first one, in which genesis is built."""


class Context:
    """The block being executed; `posted` is what postings say was minted minus burned in it.

    `transaction` is the bytes of the transaction that runs, if one does, and `root_origin` the hash
    of the one that proposed what Root does.

    `acting` is the index of the module whose code runs, and `frozen` the modules whose outflows
    are frozen in this block, as a dict for its order. `journal` takes every posting when somebody
    (a dry run, a test) puts a list there.
    """

    __slots__ = (
        "_marks",
        "acting",
        "block",
        "events",
        "frozen",
        "journal",
        "posted",
        "root_origin",
        "state",
        "transaction",
        "waiver",
        "weight_used",
    )

    state: StateView
    block: BlockContext
    events: list[bytes]
    posted: int
    acting: int
    frozen: dict[int, bool]
    journal: list[object] | None
    transaction: bytes
    root_origin: bytes
    waiver: int
    weight_used: int

    def __init__(self) -> None:
        self._marks: list[tuple[int, int, int, int]] = []
        self.journal = None
        self.block = NO_BLOCK
        self.events = []
        self.posted = 0
        self.acting = NO_MODULE
        self.frozen = {}
        self.transaction = self.root_origin = b""
        self.waiver = NO_MODULE
        self.weight_used = 0

    def enter(self, state: StateView, block: BlockContext) -> None:
        """Begin a block on a state."""
        self.state = state
        self.block = block
        self.events = []
        self.posted = 0
        self.acting = NO_MODULE
        self.frozen = {}
        self.weight_used = 0
        self.transaction = self.root_origin = b""
        self.waiver = NO_MODULE
        self._marks = []

    @property
    def spec_version(self) -> int:
        """The version of the rules of this block; rules that changed branch on it."""
        return self.block.spec_version

    def original_hash(self) -> bytes:
        """Give the 32 bytes that name the transaction in which what is done now began.

        For the call of a vote that is where it was submitted; zeros when no transaction began it.
        """
        if self.root_origin:
            return self.root_origin
        return hashing.blake2b_256(self.transaction) if self.transaction else ZERO_HASH

    def waive_fee(self) -> None:
        """Let the running transaction cost nothing but its tip, if its call is done in the end.

        For work that others profit from: evidence, answers to challenges. In a batch it has no
        effect, where it would pay for everything else in it.
        """
        self.waiver = self.acting

    def take_events(self) -> list[bytes]:
        """Give the events since the last call, encoded, and forget them."""
        events, self.events = self.events, []
        return events

    def checkpoint(self) -> int:
        """Open a checkpoint of state, events and postings, and give its depth."""
        marks = self._marks
        noted = 0 if self.journal is None else len(self.journal)
        marks.append((len(self.events), self.posted, self.acting, noted))
        self.state.checkpoint()
        return len(marks)

    @property
    def depth(self) -> int:
        """How many checkpoints are open."""
        return len(self._marks)

    def commit(self) -> None:
        """Close the last checkpoint and keep everything since."""
        self.acting = self._marks.pop()[2]
        self.state.commit()

    def revert(self, depth: int) -> None:
        """Undo everything since the checkpoint of this depth, with all opened inside it."""
        while len(self._marks) >= depth:
            count, self.posted, self.acting, noted = self._marks.pop()
            del self.events[count:]
            if self.journal is not None:
                del self.journal[noted:]
            self.state.revert()
