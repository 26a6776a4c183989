"""Joining a chain by a snapshot, before the node proper is built: wiring and what judges it.

    home without a chain ──> network, of which only the asking half is used ──> snapshot sync
                         ──> the store in its place ──> the node, which follows by blocks

A signal in between leaves the home as it was.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import trio

from chain.config import NodeConfig
from chain.execution import RuntimeJudge
from chain.genesis import ChainStart
from chain.log import Log
from chain.metrics import Metrics
from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.interface import Handshake, Network
from chain.network.snapshot_asking import TrustAnchor
from chain.network.snapshot_sync import SnapshotSync
from chain.releases import Releases, open_releases
from chain.seams import Clock
from chain.storage.blocks import OffenceKey
from chain.storage.database import Database
from chain.storage.records import read_height
from chain.storage.scratch import Base, ScratchStore, finish_restore, put_offences
from chain.storage.state import StateStore
from consensus.evidence import EvidenceWindow
from consensus.header import Header
from consensus.light import LightOptions
from consensus.types import Commit, ValidatorSet

FOREVER_MS: Final = 1 << 62
"""The trusting period where no money is on the chain, or the operator trusts its beginning."""


def wants_snapshot(config: NodeConfig, start: ChainStart) -> bool:
    """Whether the node is to join by a snapshot: it was told to, and there is no chain yet.

    A store that waits for its place is put there first. Raises StorageError or ConfigError.
    """
    finish_restore(config.home)
    if config.sync != "snapshot":
        return False
    if not config.database_path.exists():
        return True
    database = Database(config.database_path)
    try:
        return database.is_new(start.hash) or read_height(database, b"tip") == 0
    finally:
        database.close()


async def restore_snapshot(
    config: NodeConfig,
    start: ChainStart,
    make_network: Callable[[Handshake, Metrics], Network],
    *,
    fork_id: bytes,
    clock: Clock,
    log: Log,
) -> Header:
    """Fetch a snapshot into a home and put it in its place; give the header it begins with.

    Takes as long as it takes. Raises StorageError, or ConfigError when only the operator can help.
    """
    view = GenesisView(start)
    handshake = ChainHandshake(
        view,
        ClaimBook(),
        compute_fork_id=lambda: fork_id,
        find_block_id=lambda height: None if height else start.hash,
    )
    network = make_network(handshake, Metrics())
    params = start.spec.params
    sync = SnapshotSync(
        network,
        lambda: HomeScratch(config, start, open_releases(config, start.spec.chain_type)),
        make_anchor(config, start),
        EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms),
        log,
        now_ms=clock.now_ms,
    )
    log.info("joining by a snapshot", chain=start.spec.id, genesis=start.hash)
    async with trio.open_nursery() as nursery:
        starter: Any = nursery.start
        await starter(network.run)
        header = await sync.run()
        nursery.cancel_scope.cancel()
    log.info("restored", height=header.number, block=header.block_id)
    return header


def make_anchor(config: NodeConfig, start: ChainStart) -> TrustAnchor:
    """Give what the operator trusts: the checkpoint, else the first block of the chain spec."""
    params = start.spec.params
    is_bounded = start.spec.chain_type == "Live" and not config.trust_genesis
    period_ms = params.unbonding_blocks * params.block_interval_ms * 2 // 3
    options = LightOptions(start.hash, period_ms if is_bounded else FOREVER_MS)
    genesis = start.genesis
    return TrustAnchor(genesis.header, genesis.validators, options, config.parsed_checkpoint)


class GenesisView:
    """The chain as a node sees it that has block 0 only."""

    def __init__(self, start: ChainStart) -> None:
        self._genesis = start.genesis

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        return self._genesis.hash

    @property
    def tip(self) -> Header:
        """The header of block 0."""
        return self._genesis.header

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of the first two heights."""
        return self._genesis.validators if height <= 2 else None

    def last_commits(self, count: int) -> list[tuple[Commit, ValidatorSet]]:
        """Give none: nobody signs block 0."""
        del count
        return []


class HomeScratch(ScratchStore):
    """A store under construction in a node's home, judged by the rules of its chain."""

    def __init__(self, config: NodeConfig, start: ChainStart, releases: Releases) -> None:
        super().__init__(
            config.home, start.genesis, free_space_bytes_min=config.free_space_bytes_min
        )
        self._start = start
        self._releases = releases

    def finish(self, base: Base, *, first_header: int) -> None:
        """Compare the state with the base's root and put the store in place.

        Raises StateMismatch when the entries are not those of the state, VersionMissing when this
        release lacks the rules of the next block.
        """
        self.complete(base, first_header=first_header)
        opened = self.open()
        try:
            put_offences(opened, read_offences(opened, self._start.hash, self._releases))
        finally:
            opened.close()
        self.take_over()


def read_offences(
    chain: StateStore, genesis_hash: bytes, releases: Releases
) -> Iterator[OffenceKey]:
    """Yield what the runtime has recorded: no block may record it again."""
    judge = RuntimeJudge(chain, genesis_hash, releases)
    executive = judge.executive
    executive.ctx.enter(judge.view(), executive.no_block)
    reports = executive.runtime.offences.reports.items()
    for key in (key for key, _ in reports):
        yield int(key.kind), bytes(key.account), int(key.height)
