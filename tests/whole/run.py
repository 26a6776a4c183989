"""Play one schedule by its number, and find what of a failing one matters."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.whole.plan import Plan, draw_plan
from tests.whole.world import Result, World


def play_seed(
    seed: int, *, kind: str = "any", dropped: frozenset[int] = frozenset(),
    say: Callable[[str], None] | None = None,
) -> Result:  # fmt: skip
    """Play a schedule without some of its faults."""
    return play_plan(draw_plan(seed, kind=kind).without(set(dropped)), say=say)


def play_plan(plan: Plan, *, say: Callable[[str], None] | None = None) -> Result:
    """Play a schedule; equal plans give equal traces."""
    return World(plan, say=say).run()


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left of a failing schedule: the faults that it takes, and what then breaks."""

    dropped: frozenset[int]
    result: Result
    plays: int


def shrink(seed: int, result: Result, *, kind: str = "any") -> Shrunk:
    """Leave faults out, one after the other, as long as some rule still breaks."""
    plan = draw_plan(seed, kind=kind)
    dropped: set[int] = set()
    plays = 0
    for place in reversed(range(len(plan.faults))):
        plays += 1
        tried = play_plan(plan.without(dropped | {place}))
        if tried.violation is not None:
            dropped.add(place)
            result = tried
    return Shrunk(frozenset(dropped), result, plays)


def describe_failure(seed: int, shrunk: Shrunk, *, kind: str = "any") -> str:
    """Say what broke, by which faults, and how to see it again."""
    plan = draw_plan(seed, kind=kind)
    kept = [
        f"        {place}: {fault}"
        for place, fault in enumerate(plan.faults)
        if place not in shrunk.dropped
    ]
    drop = ",".join(str(place) for place in sorted(shrunk.dropped))
    command = f"python -m tests.whole run --only {seed}"
    command += f" --kind {kind}" if kind != "any" else ""
    command += f" --drop {drop}" if drop else ""
    return "\n".join(
        [
            f"seed {seed} ({kind}): {shrunk.result.violation}",
            f"    {len(plan.names)} validators, faults that it takes:",
            *kept,
            f"    trace {shrunk.result.trace}",
            f"    replay: {command} --loud",
        ]
    )
