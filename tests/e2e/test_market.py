"""The market of a real network, by the command line alone: work, audits, prices, and cheats."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import COMMAND, ROOT, DevnetUnderTest, wait_until
from tests.unit.cli.schema import check

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]

GRIST = 10**9
PATIENCE = 420
OPTIONS = ("--spec", "local", "--interval-ms", "400", "--full-nodes", "0")
JOB = (
    "--dataset", "0", "--outputs", "4", "--rate", "8000", "--units", "1000", "--price", "100",
    "--heartbeat", "20", "--run-blocks", "300",
)  # fmt: skip
VALIDATORS = ("Alice", "Bob", "Charlie", "Dave")


class Town:
    """A network with verifiers, a dataset that is kept proven, and providers at work."""

    def __init__(self, net: DevnetUnderTest) -> None:
        self.net = net
        self.running: list[subprocess.Popen[bytes]] = []
        self.doors: dict[str, str] = {}

    def send(self, who: str, *words: str) -> Any:
        return self.net.cli_json(*words, "--from", f"//{who}", "--yes")

    def start(self, name: str, *words: str) -> Path:
        """Start a command that goes on; gives the file that it writes to."""
        log = self.net.home / f"{name}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GRISTMILL_")}
        environment |= {
            "HOME": str(self.net.home),
            "GRISTMILL_HOME": str(self.net.home / "gristmill"),
            "GRISTMILL_URL": f"http://127.0.0.1:{self.net.port_base}",
            "NO_COLOR": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("wb") as output:
            self.running.append(
                subprocess.Popen(
                    [*COMMAND, *words],
                    cwd=self.net.home,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )
            )
        return log

    def close(self) -> None:
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait(timeout=30)

    def add_data(self) -> None:
        """Make rows that four classes lie in, and sell them."""
        self.net.cli("dataset", "sample", ".")
        added = self.send(
            "Eve", "dataset", "add", "rows.csv", "--format", "csv", "--price", "1", "--data", "eve"
        )
        assert added["id"] == 0
        self.start("eve", "dataset", "prove", "0", "--watch", "--data", "eve", "--from", "//Eve")

    def add_verifiers(self) -> None:
        for name in VALIDATORS:
            self.send(name, "verifier", "join", "5000")
            data = ("--data", f"v-{name}", "--peer", self.doors["Ann"])
            self.start(f"verifier-{name}", "verifier", "run", *data, "--from", f"//{name}")

    def add_provider(self, name: str, price: str, *options: str) -> None:
        """Let somebody sell work, with a door for its data."""
        self.send("Ferdie", "transfer", f"//{name}", "60000")
        self.send(name, "provider", "register", "--class", "CPU-64=4")
        self.send(name, "provider", "security", "20000")
        self.send(name, "provider", "offer", "CPU-64", price)
        self.run_provider(name, *options)

    def run_provider(self, name: str, *options: str) -> None:
        port = self.net.port_base + 60 + len(self.doors)
        data = ("--data", "eve") if name == "Ann" else ("--data", name)
        peers = [word for url in self.doors.values() for word in ("--peer", url)]
        self.start(
            name, "provider", "run", *data, "--serve", str(port), *peers, *options,
            "--from", f"//{name}",
        )  # fmt: skip
        self.doors[name] = f"http://127.0.0.1:{port}"

    def submit(self, *options: str) -> int:
        """Submit a job, and sign the receipts that are right until its end."""
        (number,) = self.send("Ferdie", "job", "submit", *JOB, *options)["jobs"]
        doors = [word for url in self.doors.values() for word in ("--door", url)]
        self.start(
            f"watch-{number}", "job", "watch", str(number), "--cosign", *doors,
            "--data", "ferdie", "--from", "//Ferdie",
        )  # fmt: skip
        return int(number)

    def job(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.net.rpc("alice", "gristmill_v1_job", number)
        return found

    def until(self, number: int, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def say() -> str:
            logs = {
                path.name: path.read_text(errors="replace")[-600:]
                for path in sorted(self.net.home.glob("*.log"))
            }
            return f"job {number} is {self.job(number)['state']}: {json.dumps(logs, indent=1)}"

        wait_until(lambda: what(self.job(number)), PATIENCE, say)
        return self.job(number)

    def money(self, name: str) -> int:
        """All that somebody has, held or not."""
        account = self.net.cli_json("key", "show", f"//{name}")["address"]
        found = self.net.rpc("alice", "gristmill_v1_account", account)
        return int(found["total"])


@pytest.fixture
def town(own_devnet: Make) -> Iterator[Town]:
    found = Town(own_devnet(*OPTIONS))
    try:
        yield found
    finally:
        found.close()


def has_ended(job: dict[str, Any]) -> bool:
    return job["state"] in ("Settled", "Failed", "Expired", "Cancelled")


def fees_of(net: DevnetUnderTest, name: str, first: int) -> int:
    """What somebody paid for its transactions from a height on, less what it got back."""
    key = net.cli_json("key", "show", f"//{name}")["public_key"]
    out = f"events-{name}"
    net.cli("export", "events", "--source", net.nodes["alice"]["home"], "--out", out)
    total = 0
    for line in (net.home / out / "events.jsonl").read_text().splitlines():
        row = json.loads(line)
        fields = row["fields"] if isinstance(row["fields"], dict) else json.loads(row["fields"])
        if row["height"] < first or fields.get("who") != key:
            continue
        if row["event"].endswith("TransactionFeePaid"):
            total += int(fields["actual_fee"])
        elif row["event"].endswith("FeeReturned"):
            total -= int(fields["amount"])
    return total


def test_a_job_is_auctioned_trained_audited_and_settled_to_the_grain(town: Town) -> None:
    net = town.net
    town.add_data()
    town.add_provider("Ann", "0.01")
    town.add_provider("Ben", "0.011")
    town.add_verifiers()
    before = {name: town.money(name) for name in ("Ferdie", "Ann")}
    first = net.height("alice") + 1
    number = town.submit()
    job = town.until(number, has_ended)
    assert (job["state"], job["reason"]) == ("Settled", "AuditPassed")
    result = check(
        net.cli("job", "result", str(number), "--door", town.doors["Ann"], "--data", "ferdie",
                "--json")
    )  # fmt: skip
    assert float(result["loss"]) < 0.1
    after = {name: town.money(name) for name in before}
    last = net.height("alice")
    town.close()
    net.cli("devnet", "down")
    home = net.nodes["alice"]["home"]
    told = check(net.cli("audit", "job", str(number), home, "--json"))
    assert told["is_clean"]
    came = sum(map(int, told["escrow_in"].values()))
    assert came == sum(map(int, told["escrow_out"].values()))
    ann, ferdie = (net.cli_json("key", "show", f"//{n}")["address"] for n in ("Ann", "Ferdie"))
    assert int(told["flows"][ann]) == int(told["escrow_out"]["earned"]) > 0
    assert after["Ann"] - before["Ann"] == int(told["flows"][ann]) - fees_of(net, "Ann", first)
    kept = int(told["flows"][ferdie])
    assert after["Ferdie"] - before["Ferdie"] == kept - came - fees_of(net, "Ferdie", first)
    assert last > first
    (match,) = told["matches"]
    assert match["is_report_stored"]
    assert match["cheating"]["loses"]
    assert check(net.cli("audit", "supply", home, "--json"))["is_clean"]
    net.cli("audit", "replay", home)


@pytest.mark.parametrize("cheat", ["wrong-checkpoint", "skip-work", "vanish"])
def test_a_cheat_is_caught_and_the_job_is_finished_elsewhere(town: Town, cheat: str) -> None:
    net = town.net
    town.add_data()
    town.add_provider("Ann", "0.01", "--cheat", cheat)
    town.add_provider("Ben", "0.011")
    town.add_verifiers()
    number = town.submit()
    job = town.until(number, lambda found: found["attempt"] == 1 or has_ended(found))
    assert job["attempt"] == 1
    assert job["reason"] == ("Offline" if cheat == "vanish" else "WrongCheckpoint")
    job = town.until(number, has_ended)
    assert (job["state"], job["attempt"]) == ("Settled", 1)
    town.close()
    net.cli("devnet", "down")
    home = net.nodes["alice"]["home"]
    told = check(net.cli("audit", "job", str(number), home, "--json"))
    assert told["is_clean"]
    ann, ben = (net.cli_json("key", "show", f"//{name}")["address"] for name in ("Ann", "Ben"))
    assert [match["provider"] for match in told["matches"]] == [ann, ben]
    assert int(told["flows"][ann]) < 0 < int(told["flows"][ben])
    assert check(net.cli("audit", "supply", home, "--json"))["is_clean"]
    net.cli("audit", "replay", home)


def test_a_dispute_convicts_at_the_exact_step(town: Town) -> None:
    net = town.net
    town.add_data()
    town.add_provider("Ann", "0.01", "--cheat", "wrong-checkpoint")
    number = town.submit("--verification", "acceptance")
    town.until(number, lambda found: found["state"] == "Window" or has_ended(found))
    log = town.start(
        "dispute", "job", "dispute", str(number), "--door", town.doors["Ann"], "--data", "ferdie",
        "--from", "//Ferdie", "--yes",
    )  # fmt: skip
    job = town.until(number, lambda found: found["attempt"] == 1 or has_ended(found))
    assert job["reason"] == "WrongCheckpoint", log.read_text()
    town.close()
    net.cli("devnet", "down")
    home = net.nodes["alice"]["home"]
    told = check(net.cli("audit", "job", str(number), home, "--json"))
    assert told["is_clean"]
    (found,) = [step for step in told["steps"] if step["event"] == "Disputes.StepFound"]
    assert int(found["fields"]["step"]) == 4, "the one that the cheat spoils"
    assert int(found["fields"]["rounds"]) <= 7
