"""Scenes of nodes: deciding, block sync, the first start, a whole node that joins another."""

import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import trio

from chain.genesis import ChainStart
from tests.ordeal.life import (
    SYNCED_BLOCKS,
    Broken,
    Life,
    Memory,
    check_audit,
    come_back,
    find_others,
    listening,
)
from tests.ordeal.strikes import Strike
from tests.support.lab import Lab, wait_for_height
from tests.support.solo import Solo

JOINED_BLOCKS = 150

# ---- deciding


def play_life(home: Path, strike: Strike) -> None:
    """A validator syncs, decides, indexes and flushes, in one thread."""
    memory, chance = Memory(), Random(strike.seed)
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=True)
        life.sync(iter(find_others(4)), 4, is_held=False)
        try:
            with strike.striking():
                for _ in range(12):
                    life.decide()
                    life.upkeep()
        finally:
            life.die()
    come_back(home, memory, chance=chance, is_archive=True)


def play_sync(home: Path, strike: Strike) -> None:
    """Blocks that the others decided are held and saved in runs."""
    memory, chance = Memory(), Random(strike.seed)
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=False)
        others = iter(find_others(SYNCED_BLOCKS))
        try:
            with strike.striking():
                for _ in range(SYNCED_BLOCKS // 2):
                    life.sync(others, 2, is_held=True)
                    life.save()
        finally:
            life.die()
    come_back(home, memory, chance=chance, is_archive=False)


def play_validator(base: Path, strike: Strike) -> None:
    """A whole node, the only validator, dies and goes on."""
    lab, memory = Lab(base, validators=1), Memory()

    async def live_again(height: int) -> None:
        async with lab.running("alice", flush_blocks=4) as [alice]:
            if alice.chain.height < height:
                raise Broken(f"{height} blocks were final, {alice.chain.height} are here")
            await wait_for_height(alice, max(height, alice.chain.height) + 3)

    with listening(memory):
        with strike.striking():
            trio.run(_until(lab, 60, ("alice",), flush_blocks=4))
        known = lab.nodes["alice"].chain.journal.tip
        trio.run(live_again, 0 if known is None else known.height)
    check_audit(base / "alice", lab.nodes["alice"].chain.height)


def _until(lab: Lab, height: int, names: tuple[str, ...], **flags: object) -> Callable:
    """A run of nodes that ends when the last of them is at a height."""

    async def run() -> None:
        async with lab.running(*names, **flags) as nodes:
            await wait_for_height(nodes[-1], height)

    return run


def play_join(base: Path, strike: Strike) -> None:
    """A whole node dies while it fetches the chain from another, and goes on."""
    lab = Lab(base, validators=4)
    shutil.copytree(_long_home(), base / "alice")
    run = partial(_until, lab, names=("alice", "eve"), validator=False)
    with strike.striking():
        trio.run(run(JOINED_BLOCKS + 1))
    trio.run(run(JOINED_BLOCKS))
    if lab.nodes["eve"].chain.tip != lab.nodes["alice"].chain.tip:
        raise Broken("the node that joined has another chain")
    check_audit(base / "eve", JOINED_BLOCKS)


@cache
def _long_home() -> Path:
    """A home with a long chain that others join; kept for the whole process."""
    base = Path(_KEPT.name)
    start: ChainStart = Lab(base, validators=4).start
    solo = Solo(base / "long", start=start)
    solo.steps(JOINED_BLOCKS)
    solo.close()
    return base / "long"


_KEPT = TemporaryDirectory(prefix="ordeal-long-")


def play_first_start(base: Path, strike: Strike) -> None:
    """A node dies while it begins its chain."""
    lab = Lab(base, validators=1)
    with strike.striking():
        lab.build("alice").close()
    trio.run(_until(lab, 2, ("alice",)))
    check_audit(base / "alice", lab.nodes["alice"].chain.height)
