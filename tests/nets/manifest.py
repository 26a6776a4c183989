"""What one generated network is, and what is done to it: a function of seed and number."""

import random
from dataclasses import asdict, dataclass
from typing import Any

from chain.wallet.accounts import VALIDATOR_NAMES

KINDS = ("kill", "pause", "disconnect", "restart")
"""Perturbations: SIGKILL and a start, SIGSTOP for a while, no connections for a while, SIGTERM."""

CHANCE = 0.1
"""How often each kind befalls each node."""

TRAFFIC = (0, 2, 5)
"""Transfers a second."""


@dataclass(frozen=True)
class Act:
    """One perturbation of one node, and for how long."""

    node: str
    kind: str
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """A network: `late` are the nodes that start when the others have a height."""

    seed: int
    number: int
    shape: str
    validators: int
    full_nodes: int
    interval_ms: int
    traffic: int
    late: tuple[tuple[str, int], ...]
    acts: tuple[Act, ...]

    @property
    def names(self) -> list[str]:
        validators = [name.lower() for name in VALIDATOR_NAMES[: self.validators]]
        return validators + ["full", "full2"][: self.full_nodes]

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def make_manifest(seed: int, number: int) -> Manifest:
    """Of eight networks one has a key twice, one loses a third of its power, one is split."""
    chance = random.Random(f"nets {seed} {number}")
    shape = {5: "copied", 6: "silent", 7: "split"}.get(number % 8, "perturbed")
    if shape != "perturbed":
        count = 3 if shape == "silent" else 4
        return Manifest(seed, number, shape, count, 1, 500, 2, (), ())
    validators, full_nodes = chance.choice((4, 4, 5, 6, 7)), chance.choice((0, 1))
    plain = Manifest(
        seed, number, shape, validators, full_nodes, chance.choice((250, 500, 1000)),
        chance.choice(TRAFFIC), (), (),
    )  # fmt: skip
    late = tuple((name, chance.randrange(3, 12)) for name in plain.names[4:])
    acts = [
        Act(name, kind, round(chance.uniform(1, 6), 1))
        for name in plain.names
        for kind in KINDS
        if chance.random() < CHANCE
    ]
    chance.shuffle(acts)
    acts = acts or [Act(chance.choice(plain.names), chance.choice(KINDS), 3.0)]
    return Manifest(**vars(plain) | {"late": late, "acts": tuple(acts)})
