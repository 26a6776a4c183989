"""Real processes: a node joins by a snapshot, and a client proves what nodes say of the chain."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devnet import COMMAND, ROOT, DevnetUnderTest, run_cli, wait_until

pytestmark = pytest.mark.slow

SECONDS = 240


class Newcomer:
    """A node that is no part of the devnet and is told of one of its nodes only."""

    def __init__(self, net: DevnetUnderTest, home: Path, port: int) -> None:
        self.net = net
        self.home = home
        self.port = port
        self.log = home.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        address = self.net.rpc("full", "system_localListenAddresses")[0]
        options = {
            "--home": str(self.home),
            "--chain": json.loads((self.net.base / "devnet.json").read_text())["spec"],
            "--sync": "snapshot",
            "--bootnodes": address,
            "--rpc-port": str(self.port),
            "--p2p-port": str(self.port + 1),
            "--free-space-bytes-min": "1000000",
        }
        words = [word for pair in options.items() for word in pair]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*COMMAND, "node", "run", *words],
                cwd=self.home.parent,
                env={"PYTHONPATH": str(ROOT), "HOME": str(self.home.parent), "PATH": "/usr/bin"},
                stdout=output,
                stderr=output,
            )

    def stop(self, word: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(word)
            self._process.wait(timeout=60)
            self._process = None

    def wait_until_restoring(self) -> None:
        """Return in the middle of the restore; just behind it when it was too quick for us."""
        deadline = time.monotonic() + SECONDS
        while not any((self.home / name).exists() for name in ("restoring", "db")):
            assert time.monotonic() < deadline, self.log.read_text()[-3_000:]
            time.sleep(0.005)

    def height(self) -> int:
        shown = self.light("head", expect=None)
        if shown.returncode:
            return -1
        return int(json.loads(shown.stdout)["block"]["height"])

    def light(
        self, *args: str, expect: int | None = 0, url: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Prove what a node says, the newcomer unless another is named."""
        genesis = json.loads((self.net.base / "devnet.json").read_text())["genesis_hash"]
        return run_cli(
            "light", *args, "--json", "--genesis", genesis, "--trust-genesis",
            "--url", url or self.url, home=self.net.home, expect=expect,
        )  # fmt: skip

    def wait_height(self, height: int) -> None:
        wait_until(
            lambda: self.height() >= height,
            SECONDS,
            lambda: f"height {self.height()} of {height}: {self.log.read_text()[-3_000:]}",
        )


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetUnderTest]:
    """Four validators with blocks every 250 ms; the full node makes a snapshot each epoch."""
    found = DevnetUnderTest(tmp_path_factory.mktemp("snapshot"), "--interval-ms", "250")
    try:
        found.up()
        path = found.base / "devnet.json"
        document = json.loads(path.read_text())
        full = next(node for node in document["nodes"] if node["name"] == "full")
        full["command"] += ["--snapshot-interval-epochs", "1"]
        found.cli("devnet", "kill", "full")
        saved = json.loads(path.read_text())
        for node in saved["nodes"]:
            if node["name"] == "full":
                node["command"] = full["command"]
        path.write_text(json.dumps(saved))
        found.cli("devnet", "start", "full")
        yield found
    finally:
        found.remove()


@pytest.fixture
def newcomer(net: DevnetUnderTest) -> Iterator[Newcomer]:
    made = Newcomer(net, net.home / "newcomer", net.port_base + 7)
    yield made
    made.stop(signal.SIGKILL)


def test_a_node_joins_by_a_snapshot_survives_a_kill_and_is_not_believed_but_proved(
    net: DevnetUnderTest, newcomer: Newcomer
) -> None:
    sent = net.cli_json(
        "tx", "send", "balances.transfer_keep_alive", "--dest", "//Ferdie", "--value", "1.5",
        "--from", "//Charlie", "--yes",
    )  # fmt: skip
    shelf = Path(net.nodes["full"]["home"]) / "snapshots"
    wait_until(
        lambda: any(path.name.isdecimal() for path in shelf.glob("*")),
        SECONDS,
        lambda: net.logs("full")[-3_000:],
    )
    newcomer.start()
    newcomer.wait_until_restoring()
    newcomer.stop(signal.SIGKILL)
    newcomer.start()
    newcomer.wait_height(net.height("alice"))
    joined = newcomer.log.read_text().count("joining by a snapshot")
    assert 1 <= joined <= 2
    newcomer.stop(signal.SIGKILL)
    newcomer.start()
    newcomer.wait_height(net.height("alice"))
    assert newcomer.log.read_text().count("joining by a snapshot") == joined
    assert not (newcomer.home / "restoring").exists()

    alice = str(net.nodes["alice"]["url"])
    by_newcomer = json.loads(newcomer.light("balance", "//Ferdie").stdout)
    by_alice = json.loads(newcomer.light("balance", "//Ferdie", url=alice).stdout)
    assert by_newcomer["free"] == by_alice["free"] != "0"
    proved = json.loads(newcomer.light("receipt", sent["hash"], url=alice).stdout)
    assert proved["success"] is True
    assert proved["block"]["hash"] == sent["block"]["hash"]
    totals = json.loads(newcomer.light("totals").stdout)
    assert int(totals["issuance"]) > 0

    old = run_cli("chain", "block", "1", "--url", newcomer.url, home=net.home, expect=None)
    assert old.returncode != 0
    assert "restored from a snapshot" in old.stderr
    newcomer.stop()
    audit = run_cli("audit", "replay", str(newcomer.home), home=net.home, expect=None)
    assert audit.returncode == 78
    assert "replay or export on a node that has the whole chain" in audit.stdout + audit.stderr
