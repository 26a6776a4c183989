"""What the RPC server needs from the node: one Protocol, and the plain records that cross it.

The server never reaches into the node; `chain/node.py` satisfies `NodeView`, tests use a fake.
Best and finalized are the same block for clients, so there is one head.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import trio

from chain.errors import GristmillError, StatePruned
from consensus.header import Header
from runtime.versions import Rules

__all__ = [
    "AccountEntry",
    "ChainView",
    "ExtrinsicStage",
    "ExtrinsicStatus",
    "NodeView",
    "NotIndexed",
    "PeerView",
    "Refused",
    "StatePruned",
    "SyncView",
]


@dataclass(frozen=True, slots=True)
class ChainView:
    """What never changes while the node runs."""

    name: str
    """For people: `Gristmill Devnet`."""
    id: str
    """For programs: `dev`."""
    chain_type: str
    """`Development`, `Local` or `Live`, as Substrate says it."""
    genesis_hash: bytes
    ss58_prefix: int
    token_symbol: str
    token_decimals: int
    node_name: str
    node_version: str
    peer_id: str
    listen_addresses: tuple[str, ...]
    is_validator: bool


@dataclass(frozen=True, slots=True)
class PeerView:
    """A connected peer and the finalized block that it last proved."""

    peer_id: str
    best_hash: bytes
    best_height: int


@dataclass(frozen=True, slots=True)
class SyncView:
    """Where the node started, stands, and is heading; heights in blocks."""

    starting: int
    current: int
    highest: int
    is_syncing: bool


class ExtrinsicStage(Enum):
    """The life of a watched extrinsic, in the words of Substrate's `author_extrinsicUpdate`."""

    READY = "ready"
    FUTURE = "future"
    IN_BLOCK = "inBlock"
    FINALIZED = "finalized"
    USURPED = "usurped"
    DROPPED = "dropped"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ExtrinsicStatus:
    """One step; `block_hash` (32 bytes) with IN_BLOCK and FINALIZED, the usurper with USURPED."""

    stage: ExtrinsicStage
    block_hash: bytes | None = None

    @property
    def is_last(self) -> bool:
        """True when no step follows."""
        return self.stage not in (
            ExtrinsicStage.READY,
            ExtrinsicStage.FUTURE,
            ExtrinsicStage.IN_BLOCK,
        )


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One line of an account's history: an extrinsic that touched it, by height and index."""

    height: int
    index: int


class Refused(GristmillError):
    """The pool refuses an extrinsic.

    `code` is Substrate's: 1010 invalid, 1011 unknown validity, 1012 temporarily banned, 1013
    already imported, 1014 priority too low, 1016 pool full; `reason` is a sentence for people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NotIndexed(GristmillError):
    """The node does not keep what would answer this; the message says which node does."""


class NodeView(Protocol):
    """The node as RPC sees it; heights are block numbers, hashes are 32 bytes."""

    chain: ChainView

    def head(self) -> Header:
        """Give the header of the newest finalized block."""
        ...

    def block_hash(self, height: int) -> bytes | None:
        """Give the hash of the finalized block at a height; raises StatePruned if not kept."""
        ...

    def header(self, block_hash: bytes) -> Header | None:
        """Give a finalized header by its hash."""
        ...

    def body(self, height: int) -> tuple[bytes, ...]:
        """Give the extrinsics of a finalized block as they stand in it, length prefix included.

        Raises StatePruned for a block before the snapshot that the node began with.
        """
        ...

    def receipts(self, height: int) -> tuple[bytes, ...]:
        """Give the receipts of a finalized block: initialization, one an extrinsic, finalization.

        Each is a SCALE `Vec<EventRecord>`. Raises StatePruned as `body` does.
        """
        ...

    def commit(self, height: int) -> bytes | None:
        """Give the SCALE commit certificate of a block; None for genesis."""
        ...

    def validator_set(self, height: int) -> bytes | None:
        """Give the SCALE validator set of a height up to two above the newest; None if unknown."""
        ...

    def storage(self, key: bytes, height: int) -> bytes | None:
        """Give a value in the state after a block; raises StatePruned."""
        ...

    def storage_keys(
        self, prefix: bytes, after: bytes | None, limit: int, height: int
    ) -> list[bytes]:
        """Give at most `limit` keys with a prefix after a key, ascending; raises StatePruned."""
        ...

    def prove(self, key: bytes) -> tuple[int, bytes]:
        """Give (height, proof) of presence or absence of a key in the newest finalized state."""
        ...

    def runtime_call(self, name: str, args: bytes, height: int) -> bytes | None:
        """Answer a runtime API such as `Core_version`; None when there is none of that name."""
        ...

    def rules(self, height: int | None) -> Rules:
        """Give the rules of a finalized block; None is those of the next, which signers name."""
        ...

    def next_nonce(self, account: bytes) -> int:
        """Give the nonce that a new extrinsic of an account needs, the pool's included."""
        ...

    async def submit(self, extrinsic: bytes) -> bytes:
        """Put an extrinsic into the pool and give its hash; raises Refused."""
        ...

    async def submit_evidence(self, evidence: bytes) -> bool:
        """Keep a proof of misbehaviour for a coming block and tell peers; False when it is known.

        Raises Refused saying why it proves nothing.
        """
        ...

    def watch(self, extrinsic_hash: bytes) -> trio.MemoryReceiveChannel[ExtrinsicStatus]:
        """Follow an extrinsic that was just submitted; close the channel to stop."""
        ...

    def pending(self) -> list[bytes]:
        """Give the extrinsics waiting in the pool."""
        ...

    def find_extrinsic(self, extrinsic_hash: bytes) -> tuple[int, int] | None:
        """Find (height, index) of a finalized extrinsic by its blake2b-256."""
        ...

    def dry_run(self, extrinsic: bytes) -> tuple[bytes, bytes]:
        """Run an extrinsic on the newest state and forget it.

        Gives (SCALE ApplyExtrinsicResult, its receipt, a SCALE `Vec<EventRecord>`).
        """
        ...

    def history(
        self, account: bytes, before: tuple[int, int] | None, limit: int
    ) -> list[AccountEntry]:
        """Give the newest extrinsics that touched an account, newest first, before a place.

        Raises NotIndexed.
        """
        ...

    def heads(self) -> trio.MemoryReceiveChannel[Header]:
        """Follow finalized headers; a reader that lags loses the older ones."""
        ...

    def peers(self) -> list[PeerView]:
        """Give the connected peers."""
        ...

    def sync(self) -> SyncView:
        """Say where synchronisation stands."""
        ...

    def is_ready(self) -> bool:
        """Say whether the node is in step: not syncing, has peers if it needs any, finalizing."""
        ...

    def finality_lag_ms(self) -> int:
        """Give the milliseconds since the newest finalized block's time."""
        ...

    def prevoted(self) -> bytes | None:
        """Give the id of the block with a polka at the height being decided; it may yet lose."""
        ...

    def metrics(self) -> str:
        """Give all series of the node in Prometheus' text form."""
        ...
