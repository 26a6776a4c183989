"""A stock js-libp2p peer joins, pings, identifies, hears transactions and fetches a block."""

import hashlib
import json
import select
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.interface import Verdict
from chain.network.sync_pages import SyncServer
from chain.network.transactions import TransactionGossip
from consensus.types import Block
from tests.support.consensus import GENESIS, make_team
from tests.support.devnet import DevnetUnderTest
from tests.unit.chain.network.block_chain import FakeLedger, make_blocks

JS = Path(__file__).parent / "js"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.javascript,
    pytest.mark.skipif(
        not shutil.which("node") or not (JS / "node_modules" / "libp2p").is_dir(),
        reason="the stock libp2p peer is not installed (`make e2e` installs it)",
    ),
]


class Desk:
    """A pool that wants nothing from others."""

    async def on_transactions(self, _peer: str, _transactions: object) -> Verdict:
        return Verdict.IGNORE


async def meet_js_peer(decisions, teams) -> list[dict]:
    from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings

    ledger = FakeLedger(teams, decisions)
    handshake = ChainHandshake(
        ledger, ClaimBook(), compute_fork_id=lambda: bytes(32), find_block_id=ledger.block_id
    )
    settings = Libp2pSettings(
        seed=hashlib.sha256(b"js test").digest(),
        genesis_hash=GENESIS,
        listen=("/ip4/127.0.0.1/tcp/0",),
        is_loopback_exempt=True,
    )
    network = Libp2pNetwork(settings, handshake)
    SyncServer(network, ledger).attach()
    gossip = TransactionGossip(network)
    gossip.attach(Desk())
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        nursery.start_soon(gossip.run)
        nursery.start_soon(_announce, gossip)
        command = [
            "node", "--import", "./promise-polyfill.mjs", "libp2p-peer.mjs",
            network.listen_addresses()[0], GENESIS.hex()[:8],
        ]  # fmt: skip
        with trio.fail_after(240):
            done = await trio.run_process(
                command, cwd=JS, capture_stdout=True, capture_stderr=True, check=False
            )
        nursery.cancel_scope.cancel()
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


async def _announce(gossip: TransactionGossip) -> None:
    number = 0
    while True:
        await trio.sleep(0.3)
        gossip.announce(b"transaction %d" % number)
        number += 1


def test_a_stock_javascript_peer_takes_part():
    teams = [make_team([1, 1, 1, 1])] * 6
    decisions = make_blocks(teams)
    said = {line.pop("step"): line for line in trio.run(partial(meet_js_peer, decisions, teams))}
    assert said["joined"]["encryption"] == "/noise"
    assert said["joined"]["multiplexer"] == "/yamux/1.0.0"
    assert said["pinged"]["milliseconds"] >= 0
    assert said["identified"]["agent"].startswith("gristmill/")
    assert f"/gristmill/{GENESIS.hex()[:8]}/blocks/1" in said["identified"]["protocols"]
    assert said["greeted"] == {"version": 1, "kind": 10, "height": 5}
    assert said["fetched"]["blocks"] == [d.block.encode().hex() for d in decisions[:2]]
    assert bytes.fromhex(said["heard"]["transactions"][0]).startswith(b"transaction ")


def test_the_peer_of_these_tests_is_the_locked_one():
    lock = json.loads((JS / "package-lock.json").read_text())
    installed = subprocess.run(
        ["node", "-p", "require('./node_modules/libp2p/package.json').version"],
        cwd=JS, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert installed.stdout.strip() == lock["packages"]["node_modules/libp2p"]["version"]


def test_a_stock_javascript_peer_hears_and_fetches_from_a_devnet(devnet: DevnetUnderTest) -> None:
    node = devnet.nodes["full"]
    peer = devnet.rpc("full", "system_localPeerId")
    address = f"/ip4/127.0.0.1/tcp/{node['p2p_port']}/p2p/{peer}"
    genesis = devnet.rpc("full", "chain_getBlockHash", 0)
    command = ["node", "--import", "./promise-polyfill.mjs", "libp2p-peer.mjs"]
    with subprocess.Popen(
        [*command, address, genesis[2:10]], cwd=JS, stdout=subprocess.PIPE, text=True
    ) as client:
        try:
            assert client.stdout is not None
            said = {}
            while "subscribed" not in said:
                step = json.loads(client.stdout.readline())
                said[step.pop("step")] = step
            while client.poll() is None and len(said) < 7:
                devnet.cli("transfer", "//Ferdie", "1", "--from", "//Eve", "--yes")
                ready, _, _ = select.select([client.stdout], [], [], 1)
                if ready:
                    step = json.loads(client.stdout.readline())
                    said[step.pop("step")] = step
        finally:
            client.kill()
    assert said["identified"]["agent"].startswith("gristmill/")
    for height, encoded in enumerate(said["fetched"]["blocks"], start=1):
        block = Block.decode(bytes.fromhex(encoded))
        assert "0x" + block.block_id.hex() == devnet.rpc("full", "chain_getBlockHash", height)
    assert said["heard"]["transactions"]
