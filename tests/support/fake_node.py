"""A node for RPC tests: a chain of empty blocks in memory, and a switch for each condition."""

import trio

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
from consensus.header import ZERO_HASH, ConsensusFields, Header, PreRuntime
from ext import hashing
from runtime.versions import NEWEST, Rules

KEPT = 100
"""Heights whose state the fake keeps."""


def make_header(number: int, parent: bytes) -> Header:
    """Build a header with recognisable fields."""
    fields = ConsensusFields(*([ZERO_HASH] * 6), totals=b"")
    pre_runtime = PreRuntime(1_700_000_000_000 + 1_000 * number, 0, 0, bytes(80))
    return Header(parent, number, b"s" * 32, b"x" * 32, pre_runtime, fields)


class FakeNode:
    """Satisfies NodeView; `add_block` extends the chain and tells the followers."""

    def __init__(self) -> None:
        self.headers = [make_header(0, ZERO_HASH)]
        self.state: dict[bytes, bytes] = {}
        self.refusal: Refused | None = None
        self.ready = True
        self.is_indexed = True
        self.pool: list[bytes] = []
        self.evidence: list[bytes] = []
        self.followers: list[trio.MemorySendChannel[Header]] = []
        self.chain = ChainView(
            name="Fake",
            id="fake",
            chain_type="Development",
            genesis_hash=self.headers[0].block_id,
            ss58_prefix=42,
            token_symbol="GRIST",  # noqa: S106  # the token of a chain, not a secret
            token_decimals=9,
            node_name="gristmill",
            node_version="0.1.0",
            peer_id="peer",
            listen_addresses=(),
            is_validator=True,
        )

    def add_block(self) -> Header:
        """Add an empty block."""
        header = make_header(len(self.headers), self.headers[-1].block_id)
        self.headers.append(header)
        for follower in list(self.followers):
            try:
                follower.send_nowait(header)
            except trio.BrokenResourceError:
                self.followers.remove(follower)
        return header

    def head(self) -> Header:
        return self.headers[-1]

    def block_hash(self, height: int) -> bytes | None:
        return self.headers[height].block_id if height < len(self.headers) else None

    def header(self, block_hash: bytes) -> Header | None:
        return next((h for h in self.headers if h.block_id == block_hash), None)

    def body(self, height: int) -> tuple[bytes, ...]:
        return (b"\x04\x04", b"\x08\x04\x07") if height else ()

    def receipts(self, height: int) -> tuple[bytes, ...]:
        return (b"\x00", b"\x04event", b"\x00") if height else (b"\x00",)

    def commit(self, height: int) -> bytes | None:
        return b"commit" if height else None

    def validator_set(self, height: int) -> bytes | None:
        return b"set" if height <= len(self.headers) + 1 else None

    def storage(self, key: bytes, height: int) -> bytes | None:
        if height + KEPT < len(self.headers):
            raise StatePruned(f"the state at {height} is gone")
        return self.state.get(key)

    def storage_keys(
        self, prefix: bytes, after: bytes | None, limit: int, height: int
    ) -> list[bytes]:
        del height
        keys = sorted(
            k for k in self.state if k.startswith(prefix) and (after is None or k > after)
        )
        return keys[:limit]

    def prove(self, key: bytes) -> tuple[int, bytes]:
        return self.head().number, b"proof of " + key

    def runtime_call(self, name: str, args: bytes, height: int) -> bytes | None:
        del height
        return b"\x01" + args if name == "Core_echo" else None

    def rules(self, height: int | None) -> Rules:
        del height
        return NEWEST

    def next_nonce(self, account: bytes) -> int:
        return account[0]

    async def submit(self, extrinsic: bytes) -> bytes:
        if self.refusal is not None:
            raise self.refusal
        self.pool.append(extrinsic)
        return hashing.blake2b_256(extrinsic)

    async def submit_evidence(self, evidence: bytes) -> bool:
        if self.refusal is not None:
            raise self.refusal
        is_new = evidence not in self.evidence
        self.evidence.append(evidence)
        return is_new

    def watch(self, extrinsic_hash: bytes) -> trio.MemoryReceiveChannel[ExtrinsicStatus]:
        del extrinsic_hash
        send, receive = trio.open_memory_channel[ExtrinsicStatus](8)
        block = self.head().block_id
        for stage, at in (
            (ExtrinsicStage.READY, None),
            (ExtrinsicStage.IN_BLOCK, block),
            (ExtrinsicStage.FINALIZED, block),
        ):
            send.send_nowait(ExtrinsicStatus(stage, at))
        return receive

    def pending(self) -> list[bytes]:
        return self.pool

    def find_extrinsic(self, extrinsic_hash: bytes) -> tuple[int, int] | None:
        return (1, 1) if extrinsic_hash == b"h" * 32 else None

    def dry_run(self, extrinsic: bytes) -> tuple[bytes, bytes]:
        if self.refusal is not None:
            raise self.refusal
        return b"\x00\x00" + extrinsic[:0], b"\x00"

    def history(
        self, account: bytes, before: tuple[int, int] | None, limit: int
    ) -> list[AccountEntry]:
        del account, before
        if not self.is_indexed:
            raise NotIndexed("this node keeps no histories; ask one that runs with --account-index")
        return [AccountEntry(1, 1)][:limit]

    def heads(self) -> trio.MemoryReceiveChannel[Header]:
        send, receive = trio.open_memory_channel[Header](1_000)
        self.followers.append(send)
        return receive

    def peers(self) -> list[PeerView]:
        return [PeerView("other", self.head().block_id, self.head().number)]

    def sync(self) -> SyncView:
        return SyncView(0, self.head().number, self.head().number, is_syncing=False)

    def is_ready(self) -> bool:
        return self.ready

    def finality_lag_ms(self) -> int:
        return 7

    def prevoted(self) -> bytes | None:
        return None

    def metrics(self) -> str:
        return f'gristmill_block_height{{status="finalized"}} {self.head().number}\n'
