"""A network of real processes whose connections all lead through links that can be cut."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from chain.devnet.layout import Devnet, NodeSite, save_devnet
from chain.devnet.nodes import ask, block_hash_at
from chain.devnet.processes import is_alive, send_signal, spawn, stop
from chain.devnet.spec import write_spec
from chain.devnet.up import Plan, plan_devnet
from chain.genesis import read_spec
from chain.wallet.accounts import VALIDATOR_NAMES, dev_validator
from chain.wallet.client import RpcClient
from chain.wallet.ss58 import encode_address
from tests.nets.manifest import Manifest
from tests.support.devnet import find_port_base, run_cli
from tests.support.proxy import Link, find_owner

PATIENCE = 300.0
"""Seconds for what must come, on however busy a machine; what counts is measured in blocks."""

CALM_SECONDS = 10.0
"""How long the heights must stand for the chain to count as halted: twenty intervals."""

FAULTS = ("Traceback", "a mistake of ours", "misbehaviour_seen", "conflicting_finality")
"""What no log of a network without liars may say."""


class Broken(Exception):
    """The network did not do what it must; the sentence says what."""


class RealNetwork:
    """Nodes by name, each behind a link; `close` stops everything whatever happened."""

    def __init__(self, manifest: Manifest, home: Path) -> None:
        self.manifest, self.home = manifest, home
        spec = home / "spec.toml"
        spec.write_text(
            write_spec(read_spec("dev"), validators=manifest.validators,
                       interval_ms=manifest.interval_ms, nominators=0, settings={})
        )  # fmt: skip
        plan = Plan(home, manifest.validators, manifest.full_nodes, find_port_base())
        self.plan = plan_devnet(plan, spec)
        self.side: dict[str, int] = {}
        """Who is cut off from whom: nodes of different sides do not reach each other."""
        self.sites: dict[str, NodeSite] = {}
        self.links: dict[str, Link] = {}
        for site in self.plan.nodes:
            self.links[site.name] = Link(
                site.p2p_port,
                find_client=self._find_client,
                may_pass=partial(self._may_pass, site.name),
            )
        first = self.plan.nodes[0]
        for site in self.plan.nodes:
            self.sites[site.name] = replace(site, command=self._rewire(site, first))
        self.traffic: subprocess.Popen[bytes] | None = None

    def _rewire(self, site: NodeSite, first: NodeSite) -> list[str]:
        """The command line of a node that is known, and knows others, by links only."""
        own, boot = self.links[site.name].port, self.links[first.name].port
        old = f"/tcp/{first.p2p_port}/"
        command = [word.replace(old, f"/tcp/{boot}/") for word in site.command]
        return [*command, "--p2p-external", f"127.0.0.1:{own}"]

    def _find_client(self, theirs: int, ours: int) -> str:
        return find_owner({name: site.pid for name, site in self.sites.items()}, theirs, ours)

    def _may_pass(self, server: str, client: str) -> bool:
        return self.side.get(server, 0) == self.side.get(client, 0)

    # ---- what is done

    def start(self, *names: str) -> None:
        for name in names:
            self.sites[name] = spawn(self.sites[name])
        save_devnet(self.devnet)

    @property
    def devnet(self) -> Devnet:
        return replace(self.plan, nodes=list(self.sites.values()))

    def pause(self, name: str) -> None:
        send_signal(self.sites[name], signal.SIGSTOP)

    def resume(self, name: str) -> None:
        send_signal(self.sites[name], signal.SIGCONT)

    def perturb(self, name: str, kind: str, seconds: float) -> None:
        """Do one thing to one node and undo it."""
        site = self.sites[name]
        if kind in ("kill", "restart"):
            stop([site], word=signal.SIGKILL if kind == "kill" else signal.SIGTERM)
            time.sleep(seconds / 2)
            self.start(name)
        elif kind == "pause":
            self.pause(name)
            time.sleep(seconds)
            self.resume(name)
        else:
            self.side[name] = 1
            time.sleep(seconds)
            self.side.clear()

    def stop(self, name: str) -> None:
        stop([self.sites[name]])

    def forget(self, name: str) -> None:
        """Stop a node for good."""
        self.stop(name)
        del self.sites[name]

    def copy(self, name: str, copy: str) -> None:
        """Copy the home of a stopped node, keys and journal with it; the copy is another peer."""
        site = self.sites[name]
        home = self.home / "nodes" / copy
        shutil.copytree(site.home, home)
        for file in ("peer.key", "anchors"):
            (home / file).unlink(missing_ok=True)
        words = iter(site.command)
        command = []
        for word in words:
            if word in ("--dev-peer", "--p2p-external", "--name", "--rpc-port", "--p2p-port"):
                next(words)
            else:
                command.append(word.replace(site.home, str(home)))
        port = find_port_base()
        command += ["--name", copy, "--rpc-port", str(port), "--p2p-port", str(port + 50)]
        log = str(self.home / "logs" / f"{copy}.log")
        self.sites[copy] = NodeSite(copy, "full", port, port + 50, str(home), log, command)

    def says(self, name: str, words: str) -> bool:
        """Whether a node's log has these words."""
        return words in Path(self.sites[name].log).read_text(errors="replace")

    def signers(self, height: int) -> list[str]:
        """Whose precommits are in the commit of a height, by name, as the first node has it."""
        first = next(iter(self.sites.values()))
        with RpcClient(first.url) as rpc:
            block = rpc.call("chain_getBlockHash", height)
            commit = rpc.call("gristmill_v1_block", block)["commit"]
        names = list(self.powers())
        return [names[index] for index in commit["signers"]] if commit else []

    def send_traffic(self) -> None:
        """Send transfers through the first node until the end."""
        if self.manifest.traffic:
            command = [sys.executable, "-m", "chain.cli.main", "devnet", "load", "--forever",
                       "--base", str(self.home), "--rate", str(self.manifest.traffic)]  # fmt: skip
            with (self.home / "traffic.log").open("wb") as log:
                self.traffic = subprocess.Popen(command, stdout=log, stderr=log)

    # ---- what is seen

    def height(self, name: str) -> int:
        """A node's final height, -1 while it does not answer."""
        status = ask(self.sites[name])
        return status.height if not status.reason or status.height else -1

    def heights(self, names: Collection[str]) -> dict[str, int]:
        return {name: self.height(name) for name in names}

    def wait_heights(self, names: Collection[str], height: int) -> float:
        """Wait until these nodes are there; gives the seconds it took."""
        begun = time.monotonic()
        self._wait(
            lambda: min(self.heights(names).values()) >= height,
            lambda: f"height {height} never came: {self.heights(names)}",
        )
        return time.monotonic() - begun

    def _wait(self, condition: Callable[[], bool], say: Callable[[], str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            for name, site in self.sites.items():
                if site.pid and not is_alive(site):
                    raise Broken(f"{name} has ended: {self.last_words(name)}")
            if time.monotonic() > deadline:
                raise Broken(say())
            time.sleep(0.25)

    def wait_for_a_halt(self, names: Collection[str]) -> int:
        """Wait until these nodes stand still; gives the height."""
        found: dict[str, int] = {}

        def stand_still() -> bool:
            before = self.heights(names)
            time.sleep(CALM_SECONDS)
            found.update(self.heights(names))
            return before == found

        self._wait(stand_still, lambda: f"they go on: {found}")
        return max(found.values())

    def last_words(self, name: str) -> str:
        lines = Path(self.sites[name].log).read_text(errors="replace").splitlines()
        return " | ".join(lines[-2:])[-400:]

    def powers(self) -> dict[str, int]:
        """The power of every validator's node, from the chain."""
        names = {
            encode_address(dev_validator(name).account.public): name.lower()
            for name in VALIDATOR_NAMES
        }
        first = next(iter(self.sites.values()))
        with RpcClient(first.url) as rpc:
            members = rpc.call("gristmill_v1_validators")
        return {names[one["address"]]: int(one["power"]) for one in members}

    # ---- what is proved

    def check_one_chain(self) -> int:
        """Every node has the same block at every height up to the lowest; gives that height."""
        lowest = min(self.heights(self.sites).values())
        for height in range(lowest + 1):
            hashes = {block_hash_at(site, height) for site in self.sites.values()}
            if len(hashes) != 1:
                raise Broken(f"{len(hashes)} different blocks at height {height}")
        return lowest

    def check_logs(self) -> None:
        for name, site in self.sites.items():
            text = Path(site.log).read_text(errors="replace")
            for words in FAULTS:
                if words in text:
                    at = text.index(words)
                    raise Broken(f"{name} says {text[at : at + 300]!r}")

    def check_audit(self) -> int:
        """Stop all and replay the first node's chain from genesis; gives its height."""
        self.close()
        home = self.sites[self.plan.nodes[0].name].home
        done = run_cli("audit", "replay", home, "--json", home=self.home, expect=None)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            raise Broken(f"the audit says {done.stderr[-300:]!r}") from None
        if not report["is_clean"]:
            raise Broken(f"the audit finds {report}")
        return int(report["height"])

    def close(self) -> None:
        if self.traffic is not None:
            self.traffic.kill()
            self.traffic.wait()
            self.traffic = None
        for site in self.sites.values():
            send_signal(site, signal.SIGCONT)
        stop(list(self.sites.values()))
        for link in self.links.values():
            link.close()
        self.links = {}

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self.home, ignore_errors=True)
