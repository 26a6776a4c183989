"""Block sync over real sockets: headers proved by commits, bodies from two nodes at once."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.sync import BlockSync
from chain.network.sync_pages import SyncServer
from tests.support.consensus import GENESIS, team_of
from tests.unit.chain.network.block_chain import FakeLedger, make_blocks
from tests.unit.chain.network.contract import until

pytestmark = pytest.mark.e2e

OLD = team_of({0: 3, 1: 2, 2: 1})
NEW = team_of({1: 2, 2: 1, 3: 4}, set_id=1)


@asynccontextmanager
async def no_consensus() -> AsyncIterator[None]:
    yield


def test_a_new_node_syncs_a_chain_with_a_set_change_from_two_nodes() -> None:
    from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings

    teams = [OLD] * 300 + [NEW] * 301
    decisions = make_blocks(teams, extrinsic_bytes=10_000)

    async def main() -> None:
        addresses: list[str] = []
        new = FakeLedger(teams)
        async with trio.open_nursery() as nursery:
            for number, ledger in enumerate(
                (FakeLedger(teams, decisions), FakeLedger(teams, decisions), new)
            ):
                claims = ClaimBook()
                handshake = ChainHandshake(
                    ledger,
                    claims,
                    compute_fork_id=lambda: bytes(32),
                    find_block_id=ledger.block_id,
                )
                settings = Libp2pSettings(
                    seed=hashlib.sha256(b"sync %d" % number).digest(),
                    genesis_hash=GENESIS,
                    listen=("/ip4/127.0.0.1/tcp/0",),
                    bootstrap=tuple(addresses),
                    is_loopback_exempt=True,
                )
                network = Libp2pNetwork(settings, handshake)
                SyncServer(network, ledger).attach()
                await nursery.start(network.run)
                addresses += network.listen_addresses()
                if ledger is new:
                    sync = BlockSync(network, ledger, claims, suspended=no_consensus)
                    nursery.start_soon(sync.run)
            await until(lambda: new.tip.number == 600, patience=240)
            assert new.tip == decisions[-1].block.header
            assert sync.target == 600
            nursery.cancel_scope.cancel()

    trio.run(main)
