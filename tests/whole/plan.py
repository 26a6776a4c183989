"""What a seed means: how many nodes, who lies, and which faults strike whom, and when.

Each family of faults is on or off for a whole seed (swarm testing): a history in which everything
goes wrong a little looks like every other one. Faults are a list, so that a failing seed can be
shrunk by leaving some of them out; times are seconds of simulated time.
"""

import random
from dataclasses import dataclass, replace
from typing import Final

NAMES: Final = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie", "Grace")
"""Validators in the order in which a network takes them."""

HEAL_MIN, HEAL_MAX = 2.5, 6.0
"""When faults end."""

CRASHES: Final = ("before", "after", "torn", "eio", "enospc", "sent", "signed")
"""Where a node dies: at a durable step by one of five faults, or behind a message or signature."""

LIES: Final = ("split", "fresh", "withhold", "invalid", "forge", "boast", "sync", "late")
"""What a byzantine validator does; the module `liars` says how."""

CLASSES: Final = ("votes", "proposal", "certificate", "status", "claim", "decision", "block")
"""Kinds of messages that one receiver may be deaf to."""

FAMILIES: Final = (
    "loss", "replay", "reorder", "split", "mute", "deaf", "burst", "crash", "power", "slow",
    "skew", "blackout",
)  # fmt: skip
"""Faults that a seed switches on or off."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong between `at` and `until`; the numbers mean what the kind says."""

    kind: str
    at: float
    until: float
    who: tuple[str, ...] = ()
    whom: tuple[str, ...] = ()
    how: str = ""
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a schedule that its seed decides before it begins."""

    seed: int
    names: tuple[str, ...]
    society: str
    heal: float
    faults: tuple[Fault, ...]
    load: float
    delay: float

    @property
    def liars(self) -> dict[str, list[Fault]]:
        """The faults of kind `lie` by who commits them."""
        found: dict[str, list[Fault]] = {}
        for fault in self.faults:
            if fault.kind == "lie":
                found.setdefault(fault.who[0], []).append(fault)
        return found

    @property
    def twins(self) -> tuple[str, ...]:
        """Validators whose key two nodes hold."""
        return tuple(fault.who[0] for fault in self.faults if fault.kind == "twin")

    def without(self, dropped: set[int]) -> "Plan":
        """The same schedule with some faults left out, by their places."""
        kept = tuple(fault for place, fault in enumerate(self.faults) if place not in dropped)
        return replace(self, faults=kept)


def draw_plan(seed: int, *, kind: str = "any") -> Plan:
    """Draw a schedule; `kind` is `any`, or `twins` for twins and partitions alone."""
    chance = random.Random(f"{kind} {seed}")
    if kind == "twins":
        return _draw_twins(chance, seed)
    count = chance.choice((4, 4, 4, 5, 6, 7))
    society = "changing" if count == 5 and chance.random() < 0.6 else "fixed"
    names = NAMES[:count]
    heal = round(chance.uniform(HEAL_MIN, HEAL_MAX), 2)
    families = [family for family in FAMILIES if chance.random() < 0.3]
    faults = [fault for family in families for fault in _draw(chance, family, names, heal)]
    if society == "fixed":
        faults += _draw_byzantine(chance, names, heal)
    faults.sort(key=lambda fault: fault.at)
    load = chance.choice((0.0, 0.25, 0.5))
    return Plan(seed, names, society, heal, tuple(faults), load, chance.choice((0.02, 0.05)))


def _draw(chance: random.Random, family: str, names: tuple[str, ...], heal: float) -> list[Fault]:
    """Draw some faults of one family."""
    if family in ("loss", "replay", "reorder"):
        amount = chance.choice((0.05, 0.1, 0.25))
        return [Fault(family, 0.0, heal, how=family, amount=amount)]
    if family == "skew":
        some = chance.sample(names, chance.randint(1, len(names)))
        return [Fault("skew", 0.0, heal, (who,), amount=chance.uniform(-1.2, 1.2)) for who in some]
    count = chance.randint(1, 4)
    return [_draw_one(chance, family, names, heal) for _ in range(count)]


def _draw_one(chance: random.Random, family: str, names: tuple[str, ...], heal: float) -> Fault:
    at = round(chance.uniform(0.1, heal - 0.6), 3)
    until = round(min(heal, at + chance.uniform(0.2, 1.8)), 3)
    who = (chance.choice(names),)
    if family in ("crash", "power"):
        how = chance.choice(CRASHES)
        nth = chance.randrange(12)
        return Fault(family, at, until, who, how=how, amount=nth)
    if family in ("split", "mute"):
        left = tuple(sorted(chance.sample(names, chance.randint(1, len(names) - 1))))
        right = tuple(name for name in names if name not in left)
        return Fault(family, at, until, left, right)
    if family == "deaf":
        return Fault("deaf", at, until, who, how=chance.choice(CLASSES))
    if family == "slow":
        return Fault("slow", at, until, who, amount=chance.choice((0.02, 0.1, 0.4)))
    return Fault(family, at, until, who, how=chance.choice(("plug", "process")))


def _draw_byzantine(chance: random.Random, names: tuple[str, ...], heal: float) -> list[Fault]:
    """Give up to a third of the power a bad will, or a second machine."""
    allowed = (len(names) - 1) // 3
    found = []
    for who in chance.sample(names, chance.randint(0, allowed)):
        if chance.random() < 0.25:
            found.append(Fault("twin", 0.0, heal, (who,)))
            continue
        ways = chance.sample(LIES, chance.randint(1, 4))
        found += [Fault("lie", 0.0, heal, (who,), how=how) for how in ways]
    return found


def _draw_twins(chance: random.Random, seed: int) -> Plan:
    """Four validators, one with a twin, and a new partition of the five nodes every round or so."""
    names = NAMES[:4]
    heal = round(chance.uniform(HEAL_MIN, HEAL_MAX), 2)
    twin = chance.choice(names)
    nodes = (*names, twin + "'")
    faults = [Fault("twin", 0.0, heal, (twin,))]
    at = 0.0
    while at < heal:
        until = round(min(heal, at + chance.choice((0.25, 0.5, 0.9))), 3)
        left = tuple(node for node in nodes if chance.random() < 0.5)
        right = tuple(node for node in nodes if node not in left)
        how = chance.choice(("split", "mute"))
        faults.append(Fault(how, at, until, left, right))
        at = until
    return Plan(seed, names, "fixed", heal, tuple(faults), 0.0, 0.02)
