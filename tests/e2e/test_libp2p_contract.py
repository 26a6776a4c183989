"""The network on libp2p keeps the same contract as the simulated one, over real sockets."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from chain.network.interface import Network
from tests.unit.chain.network.contract import SCENARIOS, Arrange, FixedHandshake, Scenario

pytestmark = pytest.mark.e2e


class Libp2pWorld:
    """Nodes on loopback that all know the first one."""

    @asynccontextmanager
    async def nodes(
        self, count: int, arrange: Arrange, *, chains: tuple[bytes, ...] | None = None
    ) -> AsyncIterator[list[Network]]:
        from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings

        nodes: list[Libp2pNetwork] = []
        names = chains or (b"here",) * count
        async with trio.open_nursery() as nursery:
            for index in range(count):
                settings = Libp2pSettings(
                    seed=hashlib.sha256(b"node %d" % index).digest(),
                    genesis_hash=bytes(32),
                    listen=("/ip4/127.0.0.1/tcp/0",),
                    bootstrap=tuple(nodes[0].listen_addresses()) if nodes else (),
                    is_loopback_exempt=True,
                )
                node = Libp2pNetwork(settings, FixedHandshake(names[index]))
                arrange(node, index)
                await nursery.start(node.run)
                nodes.append(node)
            yield list(nodes)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario) -> None:
    async def main() -> None:
        with trio.fail_after(300):
            await scenario(Libp2pWorld())

    trio.run(main)
