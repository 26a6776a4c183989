"""What happens to each shape of network, and what must come of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from tests.nets.network import PATIENCE, Broken, RealNetwork

BACK_BLOCKS = 2
"""A node is back when it has this many blocks more than the others had when it was let go."""

WATCHED_BLOCKS = 15
"""Blocks for which a copy runs beside its original."""


@dataclass
class Outcome:
    """What a network went through; seconds until each perturbed node was back."""

    back_seconds: list[float] = field(default_factory=list)
    height: int = 0
    audited: int = 0


def run_perturbed(net: RealNetwork) -> Outcome:
    """Nodes are killed, paused, cut off and restarted, one after the other, under load."""
    manifest, outcome = net.manifest, Outcome()
    late = dict(manifest.late)
    net.start(*(name for name in manifest.names if name not in late))
    early = list(net.sites.keys() - late.keys())
    net.wait_heights(early, 2)
    net.send_traffic()
    for name, height in sorted(late.items(), key=lambda item: item[1]):
        net.wait_heights(early, height)
        net.start(name)
    net.wait_heights(net.sites, 4)
    for act in manifest.acts:
        net.perturb(act.node, act.kind, act.seconds)
        outcome.back_seconds.append(wait_back(net))
    return finish(net, outcome)


def wait_back(net: RealNetwork) -> float:
    """Wait until all nodes go on above what any of them has now; gives the seconds."""
    return net.wait_heights(net.sites, max(net.heights(net.sites).values()) + BACK_BLOCKS)


def run_silent(net: RealNetwork) -> Outcome:
    """A third of the power falls silent: the chain halts without a fork, and goes on after."""
    net.start(*net.sites)
    net.wait_heights(net.sites, 3)
    net.send_traffic()
    outcome = Outcome()
    for kind in ("pause", "disconnect"):
        absent = smallest_third(net.powers())
        for name in absent:
            if kind == "pause":
                net.pause(name)
            else:
                net.side[name] = 1
        halted = net.wait_for_a_halt(net.sites.keys() - absent)
        for name in absent:
            net.resume(name)
        net.side.clear()
        outcome.back_seconds.append(net.wait_heights(net.sites, halted + BACK_BLOCKS))
    return finish(net, outcome)


def run_copied(net: RealNetwork) -> Outcome:
    """A key runs twice, then with a journal that was put back: it listens, and signs once."""
    net.start(*net.sites)
    net.wait_heights(net.sites, 3)
    net.send_traffic()
    outcome = Outcome()
    net.stop("bob")
    net.copy("bob", "copy")
    journal = Path(net.sites["bob"].home) / "keys" / "sign.journal"
    old = journal.read_bytes()
    net.start("bob")
    wait_for_signature(net, "bob")
    net.start("copy")
    outcome.back_seconds.append(net.wait_heights(net.sites, net.height("alice") + WATCHED_BLOCKS))
    if not (net.says("copy", "DOPPELGANGER") or net.says("copy", "LISTENING")):
        raise Broken("the copy does not listen")
    net.forget("copy")
    net.stop("bob")
    journal.write_bytes(old)
    net.start("bob")
    outcome.back_seconds.append(wait_for_signature(net, "bob"))
    if not net.says("bob", "DOPPELGANGER"):
        raise Broken("nobody noticed that the journal was put back")
    return finish(net, outcome)


def wait_for_signature(net: RealNetwork, name: str) -> float:
    """Wait until a validator's precommits are in commits again; gives the seconds."""
    begun, height = time.monotonic(), net.height("alice") + 1
    while time.monotonic() < begun + PATIENCE:
        net.wait_heights(["alice"], height + 1)
        if name in net.signers(height):
            return time.monotonic() - begun
        height += 1
    raise Broken(f"{name} signs nothing any more")


def smallest_third(powers: dict[str, int]) -> frozenset[str]:
    """The least power whose absence keeps the others from more than two thirds."""
    subsets = [
        frozenset(names)
        for size in range(1, len(powers))
        for names in combinations(sorted(powers), size)
    ]
    weights = {names: sum(powers[name] for name in names) for names in subsets}
    total = sum(powers.values())
    return min(
        (names for names in subsets if 3 * weights[names] >= total),
        key=lambda names: (weights[names], sorted(names)),
    )


def run_split(net: RealNetwork) -> Outcome:
    """Two halves that do not reach each other: both halt, and after the cut they are one chain."""
    net.start(*net.sites)
    net.wait_heights(net.sites, 3)
    net.send_traffic()
    outcome = Outcome()
    for _ in range(2):
        net.side |= dict.fromkeys(net.manifest.names[:2], 1)
        halted = net.wait_for_a_halt(net.sites)
        if net.check_one_chain() < halted - 1:
            raise Broken("a half went on alone")
        net.side.clear()
        outcome.back_seconds.append(net.wait_heights(net.sites, halted + BACK_BLOCKS))
    return finish(net, outcome)


def finish(net: RealNetwork, outcome: Outcome) -> Outcome:
    """Prove that all nodes have one chain, that nobody signed twice, and that a replay agrees."""
    time.sleep(1)
    outcome.height = net.check_one_chain()
    net.check_logs()
    outcome.audited = net.check_audit()
    return outcome


DRILLS: dict[str, Callable[[RealNetwork], Outcome]] = {
    "perturbed": run_perturbed,
    "copied": run_copied,
    "silent": run_silent,
    "split": run_split,
}
"""The drill of each shape."""
