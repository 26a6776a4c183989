"""THE WIRING: builds every part of a node, owns every task, stops in order.

    storage ── importer ── ledger ──┬── driver ── gossip ──┐
       │          │          │      ├── sync               ├── network
       │       offences   proposer  └── handshake ─────────┘
       └── judge ── pool ── admission ── transaction gossip
                      └────── NodeFace ── RPC server

What is built last stops first: RPC, then consensus, then the network, then storage. Parts know each
other only through what their constructors take.
"""

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from chain.admission import Admission
from chain.config import NodeConfig
from chain.driver import Driver
from chain.errors import ConfigError, GristmillError, StorageError
from chain.execution import RuntimeExecution, RuntimeJudge
from chain.forks import check_forks, find_fork, read_evidence, save_fork
from chain.genesis import ChainStart, read_spec, start_chain
from chain.importer import Importer
from chain.keychain import Keychain
from chain.ledger import ChainLedger
from chain.log import FileSink, Level, Log, capture_libraries, stream_sink
from chain.metrics import Metrics
from chain.network.addresses import parse_external
from chain.network.gossip import ConsensusGossip
from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.interface import AddressInvalid, Handshake, Network, TaskStatus
from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings
from chain.network.meter import run_lag_meter
from chain.network.snapshot_pages import SnapshotServer
from chain.network.sync import BlockSync
from chain.network.sync_pages import SyncServer
from chain.network.transactions import TransactionGossip
from chain.node_metrics import ChainMeter, NodeMeter, add_gauges
from chain.node_view import NodeFace, Sources
from chain.offences import Offences
from chain.opening import check_trust, open_storage
from chain.pool import Pool, PoolLimits
from chain.process import harden
from chain.proposer import BUILD_SHARE, Proposer
from chain.releases import open_releases
from chain.rpc.server import RpcServer
from chain.rpc.view import ChainView
from chain.seams import Chance, Clock, SystemChance, SystemClock
from chain.serving import MetricsPage, allows_unsafe, listen, make_limits, start_task
from chain.snapshot_maker import SnapshotMaker
from chain.storage import durable
from chain.storage.snapshot import SnapshotShelf
from chain.upkeep import Upkeep
from chain.verified import VerifiedSignatures
from chain.version_watch import VersionWatch
from chain.warp import restore_snapshot, wants_snapshot
from consensus.evidence import EvidenceWindow
from consensus.types import BLOCK_BYTES_MAX, Block, Decision, Evidence
from ext import hashing
from runtime.block import SPEC_VERSION as FIRST_VERSION
from runtime.genesis import TOKEN_DECIMALS, TOKEN_SYMBOL
from runtime.system import SS58_PREFIX

SOFTWARE: Final = "gristmill"
"""The name of this software, as `system_name` gives it."""

VERSION: Final = "0.1.0"
"""The version that peers and clients see."""

PEER_FILE: Final = "peer.key"
"""The seed of the network identity, in hexadecimal, below the node's home."""

LISTEN_EPOCHS: Final = 2
"""How long a key listens that may be in use elsewhere."""

NetworkMaker = Callable[[Handshake, Metrics], Network]
"""Makes the network once the chain can be shown to peers."""


class Node:
    """One node, built and not running yet; `run` runs it and `close` gives its files back."""

    def __init__(
        self,
        config: NodeConfig,
        start: ChainStart,
        make_network: NetworkMaker,
        *,
        clock: Clock,
        log: Log,
    ) -> None:
        self.config = config
        self.start = start
        self.log = log
        self.clock = clock
        self.metrics = Metrics()
        self.chain = open_storage(config, start)
        self.signer: Keychain | None = None
        self._stopping = trio.Event()
        self._sync_scope = trio.CancelScope()
        try:
            check_forks(config.home, config.parsed_checkpoint)
            check_trust(config, start, self.chain, clock)
            self.signer = open_keys(config, start, log)
            self._build_chain()
            self._build_network(make_network)
            self._build_consensus()
            self._build_rpc()
        except BaseException:
            self.close()
            raise

    # The first screen: what is built of what

    def _build_chain(self) -> None:
        """Wire importer, proposer, pool and ledger over the storage."""
        config, start, chain = self.config, self.start, self.chain
        params = start.spec.params
        block_bytes_max = max(BLOCK_BYTES_MAX, params.block_bytes_max + (512 << 10))
        window = EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms)
        self.offences = Offences(chain.blocks, start.hash, window)
        proved = read_evidence(config.home, start.hash, self.log.bind("forks"))
        self.offences.remember(proved, tip=chain.tip)
        self.releases = open_releases(config, start.spec.chain_type)
        self.execution = RuntimeExecution(chain, start.hash, self.releases)
        self.verified = VerifiedSignatures()
        self.importer = Importer(
            chain, self.execution, self.offences, self.verified, block_bytes_max=block_bytes_max
        )
        self.judge = RuntimeJudge(chain, start.hash, self.releases)
        limits = PoolLimits(config.pool_count_max, config.pool_bytes_max, config.pool_sender_max)
        self.pool = Pool(self.judge, limits, self.verified)
        self.versions = VersionWatch(
            chain, self.releases, self.pool, self.log.bind("versions"), stop=self.stop
        )
        self.proposer = Proposer(
            self.importer, self.execution, self.clock, self.log.bind("proposer"),
            block_bytes_max=block_bytes_max, build_ms=start.profile.propose_ms // BUILD_SHARE,
        )  # fmt: skip
        self.ledger = ChainLedger(
            self.importer,
            self.proposer,
            self.log.bind("ledger"),
            candidates=self.pool.candidates,
            on_rejected=self.pool.on_rejected,
            checkpoint=config.parsed_checkpoint,
        )
        self.upkeep = Upkeep(
            chain, self.clock, self.metrics, self.log.bind("upkeep"),
            flush_blocks=config.flush_blocks,
        )  # fmt: skip

    def _build_network(self, make_network: NetworkMaker) -> None:
        """Wire handshake, gossip and sync over the network."""
        self.claims = ClaimBook()
        handshake = ChainHandshake(
            self.ledger,
            self.claims,
            compute_fork_id=lambda: compute_fork_id(self.start.hash),
            find_block_id=self.chain.blocks.block_id,
        )
        self.network = make_network(handshake, self.metrics)
        meter = NodeMeter(self.metrics)
        self.meter = meter
        self.gossip = ConsensusGossip(
            self.network,
            find_block=self._find_block,
            count_validators=lambda: len(self.importer.schedule.current),
            meter=meter,
        )
        self.transactions = TransactionGossip(self.network, meter=meter)
        self.admission = Admission(
            self.pool,
            self.metrics,
            announce=self.transactions.announce,
            is_behind=lambda: self.sync.target > self.chain.height + 1,
        )
        self.sync_server = SyncServer(self.network, self.chain.blocks)
        shelf = SnapshotShelf(self.config.snapshots_path)
        self.snapshot_server = SnapshotServer(self.network, self.chain.blocks, shelf)
        self.snapshots = SnapshotMaker(
            self.chain, shelf, self.log.bind("snapshots"),
            interval_epochs=self.config.snapshot_interval_epochs,
        )  # fmt: skip

    def _build_consensus(self) -> None:
        """Wire the driver and block sync, and attach all ears before the network runs."""
        epoch_blocks = self.start.spec.params.epoch_blocks
        self.driver = Driver(
            ledger=self.ledger,
            voices=self.gossip,
            clock=self.clock,
            profile=self.start.profile,
            signer=self.signer,
            listen_blocks=LISTEN_EPOCHS * epoch_blocks,
            log=self.log.bind("driver"),
            on_decided=self._on_decided,
        )
        self.sync = BlockSync(
            self.network, self.ledger, self.claims, suspended=self.driver.suspended,
            meter=self.meter,
        )  # fmt: skip
        self.driver.on_fork = self._on_fork
        self.gossip.attach(self.driver)
        self.transactions.attach(self.admission)
        self.sync_server.attach()
        self.snapshot_server.attach()

    def _build_rpc(self) -> None:
        """Wire what clients see, and tell all parts of new blocks in this order."""
        self.face = NodeFace(
            self._describe_chain(),
            Sources(
                chain=self.chain,
                judge=self.judge,
                pool=self.pool,
                admission=self.admission,
                network=self.network,
                claims=self.claims,
                metrics=self.metrics,
                clock=self.clock,
                is_syncing=lambda: self.sync.is_syncing,
                sync_target=lambda: self.sync.target,
                find_prevoted=self._find_prevoted,
                needs_peers=len(self.importer.schedule.current) > 1 or not self.signer,
                interval_ms=self.start.profile.interval_ms,
                report=self._report,
            ),
        )
        self.rpc = RpcServer(
            self.face,
            make_limits(self.config),
            self.log.bind("rpc"),
            allow_unsafe=allows_unsafe(self.config),
        )
        chain_meter = ChainMeter(self.metrics, self.clock)
        add_gauges(self.metrics, self._readings())
        self.ledger.add_listener(self.versions.on_imported)
        self.ledger.on_saved = self.upkeep.wake
        for listener in (
            self.face.on_imported,
            self.upkeep.on_imported,
            self.snapshots.on_imported,
            chain_meter.on_imported,
        ):
            self.ledger.add_listener(listener)

    # The second screen: running and stopping

    async def run(self, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop` or cancelled.

        Raises StorageError when the disk fails, VersionMissing before a block of unknown rules.
        """
        async with trio.open_nursery() as network:
            await start_task(network, self.network.run)
            upkeep = (self.upkeep.run, self.snapshots.run)
            for task in (self.gossip.run, self.transactions.run, *upkeep):
                network.start_soon(task)
            network.start_soon(run_lag_meter, self.meter)
            async with trio.open_nursery() as consensus:
                consensus.start_soon(self.admission.run)
                await start_task(consensus, self.driver.run)
                consensus.start_soon(self._sync_until_forked)
                async with trio.open_nursery() as front:
                    await self._serve(front)
                    task_status.started()
                    await self._stopping.wait()
                    front.cancel_scope.cancel()
                consensus.cancel_scope.cancel()
            network.cancel_scope.cancel()
        if self.versions.missing is not None:
            raise self.versions.missing

    async def _serve(self, front: trio.Nursery) -> None:
        """Let clients in, and say where."""
        config = self.config
        listeners = await listen(front, self.rpc.serve, config.rpc_host, config.rpc_port)
        self.rpc_port = int(listeners[0].socket.getsockname()[1])
        if config.metrics_port >= 0:
            page = MetricsPage(self.metrics)
            await listen(front, page.serve, config.metrics_host, config.metrics_port)
        addresses = tuple(self.network.listen_addresses())
        self.face.chain = replace(self.face.chain, listen_addresses=addresses)
        self.log.info(
            "running",
            chain=self.start.spec.id,
            genesis=self.start.hash,
            height=self.chain.height,
            peer=self.network.local_peer,
            rpc=f"http://{config.rpc_host}:{self.rpc_port}",
            addresses=" ".join(addresses),
            validator=bool(self.signer),
        )

    def stop(self) -> None:
        """Ask `run` to end: clients first, then consensus, then the network."""
        self._stopping.set()

    def close(self) -> None:
        """Give keys, journals and database back; nothing is lost that was decided."""
        if self.signer is not None:
            self.signer.close()
        self.chain.close()

    def _on_decided(self, decision: Decision) -> None:
        """Say that a block is final."""
        header = decision.block.header
        self.log.info(
            "finalized",
            height=header.number,
            block=header.block_id,
            extrinsics=len(decision.block.extrinsics),
            round=decision.commit.round,
            signers=len(decision.commit.signatures),
        )

    async def _sync_until_forked(self) -> None:
        """Follow the others' chain while it is ours too."""
        with self._sync_scope:
            await self.sync.run()

    def _on_fork(self, decision: Decision) -> None:
        """Keep what proves a fork, and say what only people can do about it."""
        self._sync_scope.cancel()
        fork = find_fork(self.chain.blocks, self.start.hash, decision)
        if fork is None:
            return
        path = save_fork(self.config.home, self.start.hash, fork)
        self.log.error(
            "forked: signing and importing stopped; ask which side goes on, then start with "
            "--checkpoint HEIGHT:HASH",
            height=fork.height,
            ours=fork.ours.block_id,
            theirs=fork.theirs.block_id,
            blamed=" ".join(account.hex() for account in fork.blamed),
            proof=str(path),
        )

    # The third screen: small readings

    def _find_block(self, block_id: bytes) -> Block | None:
        """Give a candidate or a decided block by its id."""
        candidate = self.ledger.candidate(block_id)
        if candidate is not None:
            return candidate
        height = self.chain.blocks.height_of(block_id)
        return None if height is None else self.chain.blocks.block(height)

    def _find_prevoted(self) -> bytes | None:
        """Give the block that has a polka at the height being decided."""
        valid = self.driver.machine.valid
        return None if valid is None else valid[0]

    async def _report(self, evidence: Evidence) -> bool:
        """Take evidence of a user and tell peers; False when it is known. Raises Malformed."""
        is_new = self.offences.add(evidence, tip=self.chain.tip)
        if is_new:
            await self.gossip.send_evidence(evidence)
        return is_new

    def _describe_chain(self) -> ChainView:
        """Give what never changes while the node runs."""
        spec = self.start.spec
        return ChainView(
            name=spec.name,
            id=spec.id,
            chain_type=spec.chain_type,
            genesis_hash=self.start.hash,
            ss58_prefix=SS58_PREFIX,
            token_symbol=TOKEN_SYMBOL,
            token_decimals=TOKEN_DECIMALS,
            node_name=SOFTWARE,
            node_version=VERSION,
            peer_id=self.network.local_peer,
            listen_addresses=(),
            is_validator=bool(self.signer),
        )

    def _readings(self) -> dict[str, tuple[str, Callable[[], float]]]:
        """Give the gauges that are read anew each time."""
        height = "Heights of the chain."
        return {
            "gristmill_block_height{status=best}": (height, lambda: self.chain.height),
            "gristmill_block_height{status=finalized}": (height, lambda: self.chain.height),
            "gristmill_block_height{status=sync_target}": (height, lambda: self.sync.target),
            "gristmill_peers_count": ("Connected peers.", lambda: len(self.network.peers())),
            "gristmill_ready_transactions_number": (
                "Transactions that a block could take now.",
                self.pool.ready_count,
            ),
            "gristmill_pool_transactions": ("Transactions in the pool.", lambda: len(self.pool)),
            "gristmill_pool_bytes": ("Bytes in the pool.", lambda: self.pool.size_bytes),
            "gristmill_finality_lag": (
                "Milliseconds since the newest finalized block's time.",
                self.face.finality_lag_ms,
            ),
            "gristmill_consensus_round": (
                "Round of the height being decided.",
                lambda: self.driver.machine.round,
            ),
            "gristmill_is_validating": (
                "1 when the key may sign.",
                lambda: float(bool(self.signer) and not self.driver.gate.reasons),
            ),
            "gristmill_tasks": ("Tasks of the node's event loop.", count_tasks),
            "gristmill_state_entries": ("Entries of the state.", lambda: len(self.chain.state)),
            "gristmill_free_space_bytes": (
                "Free bytes where the database lies.",
                self.chain.database.free_space_bytes,
            ),
        }


def open_keys(config: NodeConfig, start: ChainStart, log: Log) -> Keychain | None:
    """Open the validator's keys when the node may be one; raises ConfigError or StorageError.

    It may have none yet: then it follows the chain, and takes up the first that is made here.
    """
    if not config.validator:
        return None
    keys = Keychain(config.keys_path, start.hash, log.bind("keys"))
    if not keys:
        log.warning("no validator key yet", directory=str(config.keys_path))
    return keys


def compute_fork_id(genesis_hash: bytes) -> bytes:
    """Give the 32 bytes that two nodes of the same chain share, whatever versions they know."""
    return hashing.blake2b_256(b"fork" + genesis_hash + FIRST_VERSION.to_bytes(4, "little"))


def read_peer_seed(home: Path, chance: Chance) -> bytes:
    """Give the seed of the network identity, making one the first time; raises ConfigError."""
    path = home / PEER_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.write_file(path, chance.draw(32).hex().encode() + b"\n")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise ConfigError(f"{path} does not hold 64 hexadecimal digits; delete it to get a new one")
    return seed


def make_libp2p(config: NodeConfig, start: ChainStart, seed: bytes) -> NetworkMaker:
    """Give the maker of the real network."""
    family = "ip6" if ":" in config.p2p_host else "ip4"
    settings = Libp2pSettings(
        seed=seed,
        genesis_hash=start.hash,
        listen=(f"/{family}/{config.p2p_host}/tcp/{config.p2p_port}",),
        bootstrap=config.bootnodes,
        reserved=config.reserved,
        agent=f"gristmill/{VERSION}",
        inbound_max=config.peers_in_max,
        outbound_max=config.peers_out_max,
        external=find_external(config),
        is_loopback_exempt=start.spec.chain_type != "Live",
        anchors_path=config.home / "anchors",
    )
    return lambda handshake, metrics: Libp2pNetwork(settings, handshake, meter=NodeMeter(metrics))


def count_tasks() -> float:
    """Give how many tasks live on the event loop; none where there is no loop."""
    try:
        return float(trio.lowlevel.current_statistics().tasks_living)
    except RuntimeError:
        return 0.0


def find_external(config: NodeConfig) -> tuple[str, ...]:
    """Give the address that peers are told instead of ours; raises ConfigError."""
    if not config.p2p_external:
        return ()
    try:
        return (parse_external(config.p2p_external),)
    except AddressInvalid:
        raise ConfigError(
            f"p2p-external {config.p2p_external!r} is no address; write HOST:PORT as others dial it"
        ) from None


def run_node(config: NodeConfig) -> None:
    """Run a node in the foreground until SIGINT or SIGTERM; raises GristmillError.

    Hardens the process first. What goes wrong inside comes out as the one error that matters.
    """
    warnings = harden(config)
    clock = SystemClock(config.clock_offset_ms)
    is_file = config.log_file != Path()
    sink = FileSink(config.log_file) if is_file else stream_sink(sys.stderr)
    log = Log(sink, clock, level=config.level, fields={"node": config.name})
    capture_libraries(log)
    for warning in warnings:
        log.warning(warning)
    start = start_chain(read_spec(config.chain))
    seed = read_peer_seed(config.home, SystemChance())
    make_network = make_libp2p(config, start, seed)
    node: Node | None = None
    try:
        if not wants_snapshot(config, start) or trio.run(_join, config, start, make_network, log):
            node = Node(config, start, make_network, clock=clock, log=log)
            trio.run(_run_until_stopped, node)
    except Exception as failure:
        # No except*: what is raised in one stays a group on Python 3.11.2, which Debian 12 has.
        error = find_cause(failure)
        if isinstance(error, GristmillError):
            log.write(Level.ERROR, "stopped by an error", reason=str(error))
            raise error from None
        reason = str(error) or type(error).__name__
        log.write(Level.ERROR, "stopped by a mistake of ours", reason=reason)
        raise
    finally:
        if node is not None:
            node.close()
        log.info("stopped")


async def _join(
    config: NodeConfig, start: ChainStart, make_network: NetworkMaker, log: Log
) -> bool:
    """Restore a snapshot; False when a signal came before it was in its place."""
    clock, fork_id = SystemClock(config.clock_offset_ms), compute_fork_id(start.hash)
    is_done = False
    async with trio.open_nursery() as nursery:
        scope = nursery.cancel_scope
        nursery.start_soon(_listen_for_signals, log, scope.cancel, scope)
        await restore_snapshot(config, start, make_network, fork_id=fork_id, clock=clock, log=log)
        is_done = True
        scope.cancel()
    return is_done


async def _run_until_stopped(node: Node) -> None:
    """Run a node; the first signal asks it to stop, the second does not ask."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_listen_for_signals, node.log, node.stop, nursery.cancel_scope)
        await node.run()
        nursery.cancel_scope.cancel()


async def _listen_for_signals(log: Log, stop: Callable[[], None], scope: trio.CancelScope) -> None:
    """Turn SIGINT and SIGTERM into a stop in order, and a second one into an end."""
    is_stopping = False
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            if is_stopping:
                scope.cancel()
            is_stopping = True
            stop()


def find_cause(failure: Exception) -> BaseException:
    """Give the single error that stopped a node, a failing disk before anything else."""
    error: BaseException = failure
    if isinstance(failure, ExceptionGroup):
        error = failure.subgroup(StorageError) or failure
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
