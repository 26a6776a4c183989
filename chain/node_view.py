"""The node as RPC sees it: reads of the decided chain, the pool's door, and news.

Everything here runs on the loop and returns at once; what a client may ask for is bounded by the
caller. Best and finalized are one block.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from chain.admission import Admission
from chain.errors import InvalidTransaction
from chain.errors import StatePruned as StoragePruned
from chain.execution import RuntimeJudge
from chain.importer import ImportedBlock
from chain.metrics import Metrics
from chain.network.handshake import ClaimBook
from chain.network.interface import Network
from chain.past_state import PastState
from chain.pool import Pool, PoolRefused, Refusal, Stage
from chain.rpc.view import (
    AccountEntry,
    ChainView,
    ExtrinsicStage,
    ExtrinsicStatus,
    NotIndexed,
    PeerView,
    Refused,
    StatePruned,
    SyncView,
)
from chain.seams import Clock
from chain.storage.state import StateStore
from consensus.header import Header
from consensus.types import Evidence, decode_evidence
from runtime.api import runtime_api
from runtime.block import BlockContext
from runtime.executive import Executive
from runtime.frame.context import StateView
from runtime.frame.errors import InvalidTransaction as RuntimeInvalidTransaction
from runtime.primitives import AccountId
from runtime.versions import Rules

HEADS_KEPT: Final = 64
"""Headers that wait for a slow reader; it loses the older ones."""

STATUSES_MAX: Final = 16
"""Steps that one watched extrinsic can take; a waiting one may become ready several times."""

FOLLOWERS_MAX: Final = 4_096
"""Readers of headers at once; connections and subscriptions are bounded far below."""

STALE_INTERVALS: Final = 10
"""A chain that has not finalized for so many block intervals is not in step."""

STALE_SECONDS_MIN: Final = 15.0
"""Nor does a fast chain count as stuck before this."""

_CODES: Final = {
    Refusal.INVALID: 1010,
    Refusal.FORGED: 1010,
    Refusal.UNKNOWN: 1011,
    Refusal.BANNED: 1012,
    Refusal.KNOWN: 1013,
    Refusal.CHEAP: 1014,
    Refusal.FULL: 1016,
}
"""Substrate's numbers for refusals of the pool."""

EVIDENCE_REFUSED: Final = 1020
"""Our number for evidence that does not convict; Substrate has no word for it."""

_STAGES: Final = {
    Stage.READY: ExtrinsicStage.READY,
    Stage.WAITING: ExtrinsicStage.FUTURE,
    Stage.IN_BLOCK: ExtrinsicStage.IN_BLOCK,
    Stage.FINALIZED: ExtrinsicStage.FINALIZED,
    Stage.USURPED: ExtrinsicStage.USURPED,
    Stage.DROPPED: ExtrinsicStage.DROPPED,
    Stage.INVALID: ExtrinsicStage.INVALID,
}
"""The pool's stages in the words of RPC."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the view reads; made by the wiring."""

    chain: StateStore
    judge: RuntimeJudge
    pool: Pool
    admission: Admission
    network: Network
    claims: ClaimBook
    metrics: Metrics
    clock: Clock
    is_syncing: Callable[[], bool]
    sync_target: Callable[[], int]
    find_prevoted: Callable[[], bytes | None]
    needs_peers: bool
    interval_ms: int
    report: Callable[[Evidence], Awaitable[bool]]


class NodeFace:
    """Satisfies `chain.rpc.view.NodeView` for a running node."""

    def __init__(self, chain_view: ChainView, sources: Sources) -> None:
        self.chain = chain_view
        self._sources = sources
        self._chain = sources.chain
        self._blocks = sources.chain.blocks
        self._followers: list[_Follower] = []
        self._starting = sources.chain.height

    def on_imported(self, imported: ImportedBlock) -> None:
        """Tell the readers of headers; those that left are forgotten."""
        header = imported.decided.block.header
        self._followers = [one for one in self._followers if one.tell(header)]

    def head(self) -> Header:
        """Give the header of the newest finalized block."""
        return self._chain.tip

    def block_hash(self, height: int) -> bytes | None:
        """Give the hash of the finalized block at a height; raises StatePruned if not kept."""
        found = self._blocks.block_id(height)
        if found is None:
            self._blocks.check_kept(height)
        return found

    def header(self, block_hash: bytes) -> Header | None:
        """Give a finalized header by its hash."""
        height = self._blocks.height_of(block_hash)
        return None if height is None else self._blocks.header(height)

    def body(self, height: int) -> tuple[bytes, ...]:
        """Give the extrinsics of a finalized block as they stand in it; raises StatePruned."""
        block = self._blocks.block(height)
        if block is None:
            self._blocks.check_kept(height)
            return ()
        return block.extrinsics

    def receipts(self, height: int) -> tuple[bytes, ...]:
        """Give the receipts of a finalized block; raises StatePruned."""
        found = self._blocks.receipts(height)
        if found is None:
            self._blocks.check_kept(height)
        return found or ()

    def commit(self, height: int) -> bytes | None:
        """Give the SCALE commit certificate of a block; None for genesis."""
        commit = self._blocks.commit(height)
        return None if commit is None else commit.encode()

    def validator_set(self, height: int) -> bytes | None:
        """Give the SCALE validator set of a height up to two above the newest; None if unknown."""
        found = self._blocks.validators_at(height) if height <= self._chain.height + 2 else None
        return None if found is None else found.encode()

    def storage(self, key: bytes, height: int) -> bytes | None:
        """Give a value in the state after a block; raises StatePruned."""
        try:
            return self._chain.get(key, height)
        except StoragePruned as error:
            raise StatePruned(str(error)) from error

    def storage_keys(
        self, prefix: bytes, after: bytes | None, limit: int, height: int
    ) -> list[bytes]:
        """Give at most `limit` keys with a prefix after a key, ascending; raises StatePruned."""
        try:
            return self._chain.keys(prefix, height, after=after, limit=limit)
        except StoragePruned as error:
            raise StatePruned(str(error)) from error

    def prove(self, key: bytes) -> tuple[int, bytes]:
        """Give (height, proof) of presence or absence of a key in the newest state."""
        return self._chain.prove(key)

    def runtime_call(self, name: str, args: bytes, height: int) -> bytes | None:
        """Answer a runtime API such as `Core_version`; None when there is none of that name.

        Raises ValueError for arguments that cannot be read, StatePruned for an old height.
        """
        try:
            return runtime_api(self._view_at(height), name, args, self._executive_at(height))
        except RuntimeInvalidTransaction as error:
            raise ValueError(error.sentence) from error
        except StoragePruned as error:
            raise StatePruned(str(error)) from error

    def rules(self, height: int | None) -> Rules:
        """Give the rules of a finalized block; None is those of the next, which signers name."""
        judge = self._sources.judge
        return (judge.executive if height is None else judge.executive_at(height)).rules

    def _executive_at(self, height: int) -> Executive:
        """Give the executive for the state after a block: that of whoever asks there next."""
        judge = self._sources.judge
        return judge.executive if height == self._chain.height else judge.executive_at(height)

    def _view_at(self, height: int) -> StateView:
        """Give the newest state, or one that reads from an older one and takes no writes."""
        if height == self._chain.height:
            return self._sources.judge.view()
        return PastState(self._chain, height)

    def next_nonce(self, account: bytes) -> int:
        """Give the nonce that a new extrinsic of an account needs, the pool's included."""
        return self._sources.pool.next_nonce(account)

    async def submit(self, extrinsic: bytes) -> bytes:
        """Put an extrinsic into the pool and give its hash; raises Refused."""
        name = self._sources.pool.name_of(extrinsic)
        if self._blocks.find_extrinsic(name) is not None:
            raise Refused(1013, "the extrinsic is in a block already")
        try:
            await self._sources.admission.submit(extrinsic)
        except PoolRefused as refusal:
            raise Refused(_CODES[refusal.kind], refusal.reason) from refusal
        return name

    async def submit_evidence(self, evidence: bytes) -> bool:
        """Keep a proof of misbehaviour for a coming block and tell peers; False when it is known.

        Raises Refused saying why it proves nothing.
        """
        try:
            return await self._sources.report(decode_evidence(evidence))
        except ValueError as error:
            raise Refused(EVIDENCE_REFUSED, str(error)) from error

    def watch(self, extrinsic_hash: bytes) -> "trio.MemoryReceiveChannel[ExtrinsicStatus]":
        """Follow an extrinsic that was just submitted; close the channel to stop."""
        send, receive = trio.open_memory_channel[ExtrinsicStatus](STATUSES_MAX)

        def tell(stage: Stage, other: bytes | None) -> None:
            try:
                send.send_nowait(ExtrinsicStatus(_STAGES[stage], other))
            except (trio.WouldBlock, trio.BrokenResourceError):
                self._sources.pool.unwatch(extrinsic_hash, tell)
            if stage in (Stage.FINALIZED, Stage.USURPED, Stage.DROPPED, Stage.INVALID):
                send.close()

        place = self._blocks.find_extrinsic(extrinsic_hash)
        if place is not None:
            block_id = self._blocks.block_id(place[0])
            tell(Stage.IN_BLOCK, block_id)
            tell(Stage.FINALIZED, block_id)
        elif extrinsic_hash in self._sources.pool:
            self._sources.pool.watch(extrinsic_hash, tell)
        else:
            tell(Stage.DROPPED, None)
        return receive

    def pending(self) -> list[bytes]:
        """Give the extrinsics waiting in the pool."""
        return self._sources.pool.pending()

    def find_extrinsic(self, extrinsic_hash: bytes) -> tuple[int, int] | None:
        """Find (height, index) of a finalized extrinsic by its blake2b-256."""
        return self._blocks.find_extrinsic(extrinsic_hash)

    def dry_run(self, extrinsic: bytes) -> tuple[bytes, bytes]:
        """Run an extrinsic on the newest state and forget it; raises Refused."""
        tip, judge = self._chain.tip, self._sources.judge
        validators = self._blocks.validators_at(tip.number + 1)
        previous = self._blocks.validators_at(tip.number)
        if validators is None or previous is None:
            raise AssertionError("the sets around the tip are always kept")
        flags = (True,) * len(previous) if tip.number else ()
        context = BlockContext(
            genesis_hash=self.chain.genesis_hash,
            height=tip.number + 1,
            parent_hash=tip.block_id,
            time_ms=max(self._sources.clock.now_ms(), tip.time_ms + 1),
            spec_version=judge.executive.rules.version,
            proposer=AccountId(validators[0].account),
            entropy=bytes(32),
            last_commit=flags,
        )
        try:
            transaction = judge.decode(extrinsic)
        except InvalidTransaction as error:
            raise Refused(1010, error.reason) from error
        return judge.executive.dry_run(self._chain.state.overlay(), context, transaction)

    def history(
        self, account: bytes, before: tuple[int, int] | None, limit: int
    ) -> list[AccountEntry]:
        """Give the newest extrinsics that touched an account; raises NotIndexed."""
        if not self._chain.has_account_index:
            raise NotIndexed("this node keeps no histories; ask one that runs with --account-index")
        places = self._blocks.history(account, before, limit)
        return [AccountEntry(height, index) for height, index in places]

    def heads(self) -> "trio.MemoryReceiveChannel[Header]":
        """Follow finalized headers; a reader that lags loses the older ones."""
        if len(self._followers) >= FOLLOWERS_MAX:
            raise AssertionError(f"more than {FOLLOWERS_MAX} readers of headers")
        send, receive = trio.open_memory_channel[Header](HEADS_KEPT)
        self._followers.append(_Follower(send, receive))
        return receive

    def peers(self) -> list[PeerView]:
        """Give the connected peers and the height that each has proved."""
        heights = self._sources.claims.heights
        found: list[PeerView] = []
        for peer in self._sources.network.peers():
            height = heights.get(peer, 0)
            known = self._blocks.block_id(min(height, self._chain.height))
            found.append(PeerView(peer, known or self.chain.genesis_hash, height))
        return found

    def sync(self) -> SyncView:
        """Say where synchronisation stands."""
        return SyncView(
            starting=self._starting,
            current=self._chain.height,
            highest=max(self._chain.height, self._sources.sync_target()),
            is_syncing=self._sources.is_syncing(),
        )

    def is_ready(self) -> bool:
        """Say whether the node is in step: not syncing, has peers if it needs any, finalizing."""
        if self._sources.is_syncing() or not self._chain.height:
            return False
        if self._sources.needs_peers and not self._sources.network.peers():
            return False
        patience = max(STALE_SECONDS_MIN, STALE_INTERVALS * self._sources.interval_ms / 1000)
        return self.finality_lag_ms() <= patience * 1000

    def finality_lag_ms(self) -> int:
        """Give the milliseconds since the newest finalized block's time."""
        return max(0, self._sources.clock.now_ms() - self._chain.tip.time_ms)

    def prevoted(self) -> bytes | None:
        """Give the id of the block that has a polka at the height being decided."""
        return self._sources.find_prevoted()

    def metrics(self) -> str:
        """Give all series in Prometheus' text form."""
        return self._sources.metrics.render()


class _Follower:
    """One reader of headers; when its channel is full the oldest header gives way."""

    def __init__(
        self,
        send: "trio.MemorySendChannel[Header]",
        receive: "trio.MemoryReceiveChannel[Header]",
    ) -> None:
        self._send = send
        self._receive = receive

    def tell(self, header: Header) -> bool:
        """Hand over a header; False when the reader has left."""
        try:
            self._send.send_nowait(header)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self._send.send_nowait(header)
        except trio.BrokenResourceError:
            return False
        return True
