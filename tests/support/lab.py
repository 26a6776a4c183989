"""Whole nodes on a simulated network: real storage, keys, consensus and pool, one process."""

from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from chain.config import load_config
from chain.devnet.identity import prepare_identity
from chain.devnet.spec import write_spec
from chain.genesis import read_spec, start_chain
from chain.log import silent_log
from chain.network.simulated import SimulatedHub, SimulatedNetwork
from chain.node import Node
from chain.seams import SystemClock

PATIENCE = 240.0
"""Seconds after which a test that waits for news gives up."""


class Lab:
    """Nodes of one chain that can be started, stopped and started again."""

    def __init__(self, base: Path, *, validators: int = 4, seed: int = 1) -> None:
        self.base = base
        self.hub = SimulatedHub(seed=seed)
        self.spec = base / "spec.toml"
        self.spec.write_text(write_spec(read_spec("test"), validators=validators, interval_ms=None))
        self.start = start_chain(self.spec.read_text())
        self.nodes: dict[str, Node] = {}

    def build(self, name: str, *, validator: bool = True, **flags) -> Node:
        flags = {
            "home": str(self.base / name),
            "chain": str(self.spec),
            "name": name,
            "rpc_port": 0,
            "free_space_bytes_min": 0,
            "validator": validator,
            **flags,
        }
        config = load_config(flags=flags, environment={}).config
        prepare_identity(config, name if validator else None, None)
        node = Node(
            config,
            self.start,
            lambda handshake, _metrics: SimulatedNetwork(self.hub, name, handshake=handshake),
            clock=SystemClock(),
            log=silent_log(SystemClock()),
        )
        self.nodes[name] = node
        return node

    @asynccontextmanager
    async def running(self, *names: str, **flags):
        """Run nodes inside the block; they are closed behind it."""
        async with trio.open_nursery() as nursery:
            for name in names:
                await nursery.start(self.keep_running, name, flags)
            try:
                yield [self.nodes[name] for name in names]
            finally:
                nursery.cancel_scope.cancel()

    async def keep_running(self, name: str, flags: dict, task_status=trio.TASK_STATUS_IGNORED):
        """Build a node, run it until cancelled, close it."""
        node = self.build(name, **flags)
        try:
            await node.run(task_status=task_status)
        finally:
            node.close()
            self.hub.nodes.pop(name, None)
            with suppress(Exception):
                self.hub.reconcile()


async def wait_for_height(node: Node, height: int) -> None:
    """Wait until a block of this height is final at a node."""
    with trio.fail_after(PATIENCE):
        async with node.face.heads() as heads:
            if node.chain.height >= height:
                return
            async for header in heads:
                if header.number >= height:
                    return
