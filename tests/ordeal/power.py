"""Power cuts: a life is cut at many of its steps, and every cut must come back by itself.

Three kinds, in turn:

    honest    the disk keeps what was synced: no block that was on disk is lost, no hand is needed
    tail      every byte of the batch that was not synced yet is cut off in turn (a small chain)
    lying     the database goes back into what it had synced; the journals outside must notice
"""

import os
import shutil
from pathlib import Path
from random import Random

from chain.errors import ConfigError, StorageError
from chain.storage import database as database_module
from tests.ordeal.disk import Disk, watching
from tests.ordeal.life import (
    SYNCED_BLOCKS,
    Broken,
    Life,
    Memory,
    come_back,
    find_others,
    listening,
)
from tests.support.chains import grow, make_genesis, open_store

SMALL_BUFFER_BYTES = 1 << 16
"""LevelDB's smallest buffer: tables and manifests change within a few blocks."""

CUTS_A_LIFE = 10
STRIKES_A_CUT = 2
LIES_A_LIFE = 20
ENTRIES = ((b"apple", b"1"), (b"pear", b"2"))

Counts = dict[str, int]


def run_piece(number: int, seed: int, scratch: Path) -> tuple[str, Counts]:
    """One piece, a life and its cuts: gives kind and counts, raises Broken."""
    chance = Random(f"power {seed} {number}")
    kind = "tail" if number % 20 == 19 else ("honest", "honest", "lying")[number % 3]
    small, database_module.WRITE_BUFFER_BYTES = (
        database_module.WRITE_BUFFER_BYTES, SMALL_BUFFER_BYTES,
    )  # fmt: skip
    try:
        run = {"honest": cut_honestly, "tail": cut_tails, "lying": cut_lying}[kind]
        return kind, run(scratch, chance)
    finally:
        database_module.WRITE_BUFFER_BYTES = small


def live(home: Path, memory: Memory, chance: Random, *, is_archive: bool) -> None:
    """A short life: sync in runs, then decide, with upkeep in between."""
    others = iter(find_others(SYNCED_BLOCKS))
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=is_archive)
        left = SYNCED_BLOCKS
        while left:
            count = chance.randint(1, min(4, left))
            life.sync(others, count, is_held=True)
            life.save()
            left -= count
            if chance.random() < 0.4:
                life.upkeep()
        for _ in range(chance.randint(3, 7)):
            life.decide()
            if chance.random() < 0.5:
                life.upkeep()
        life.close()


def cut_honestly(scratch: Path, chance: Random) -> Counts:
    """Cut a life at some of its steps, on a disk that keeps what was synced."""
    is_archive = chance.random() < 0.5
    script = chance.getrandbits(64)
    steps = _count_steps(scratch / "rehearsal", script, is_archive=is_archive)
    chosen = frozenset(chance.sample(range(1, steps + 1), min(CUTS_A_LIFE, steps)))
    disk = _live_under(scratch / "life", script, chosen.__contains__, is_archive=is_archive)
    counts = {"points": 0, "refused": 0}
    for cut in disk.cuts:
        for strike in range(STRIKES_A_CUT):
            home = scratch / "struck"
            shutil.copytree(cut.home, home)
            struck = type(cut)(home, cut.step, cut.synced, cut.logs, cut.pending, cut.memory)
            told = struck.strike(chance)
            try:
                counts["refused"] += come_back(
                    home, cut.memory.copy(), chance=Random(script + strike), is_archive=is_archive
                )
            except (Broken, StorageError, ConfigError) as error:
                raise Broken(f"cut after {cut.step} ({told}): {error}") from error
            counts["points"] += 1
            shutil.rmtree(home)
        shutil.rmtree(cut.home)
    return counts


def _count_steps(home: Path, script: int, *, is_archive: bool) -> int:
    """Live once without a cut; a life is a function of its script."""
    disk = _live_under(home, script, lambda _: False, is_archive=is_archive)
    shutil.rmtree(home)
    return disk.steps


def _live_under(base: Path, script: int, wanted, *, is_archive: bool) -> Disk:
    home, memory = base / "home", Memory()
    home.mkdir(parents=True)
    disk = Disk(home, base / "cuts", wanted, memory.copy)
    with watching(disk):
        live(home, memory, Random(script), is_archive=is_archive)
    return disk


def cut_tails(scratch: Path, chance: Random) -> Counts:
    """Cut the log at every byte of its last batch: the block is there whole, or not at all."""
    genesis = make_genesis(ENTRIES)
    home = scratch / "home"
    chain = open_store(home, genesis)
    for number in range(chance.randint(1, 5)):
        grow(chain, genesis, {b"k%d" % number: chance.randbytes(8)}, [b"x%d" % number])
    log = max((home / "db").glob("*.log"))
    before = (log.stat().st_size, chain.height)
    journal = (home / "finality.journal").read_bytes()
    grow(chain, genesis, {b"last": chance.randbytes(8)}, [b"last"])
    after = log.stat().st_size
    chain.close()
    counts = {"points": 0, "bytes": 0}
    for size in range(before[0], after + 1):
        copy = scratch / "copy"
        shutil.copytree(home, copy)
        os.truncate(copy / "db" / log.name, size)
        (copy / "finality.journal").write_bytes(journal)
        again = open_store(copy, genesis)
        expected = before[1] + (size == after)
        if again.height != expected or not again.is_finality_covered:
            raise Broken(f"a log cut at {size} of {after} opens at {again.height}, not {expected}")
        again.close()
        shutil.rmtree(copy)
        counts["bytes"] += 1
    return counts


def cut_lying(scratch: Path, chance: Random) -> Counts:
    """Cut log and manifest within what was synced: noticed, and caught up or explained."""
    home, memory = scratch / "home", Memory()
    home.mkdir()
    is_archive = chance.random() < 0.5
    live(home, memory, chance, is_archive=is_archive)
    counts = {"points": 0, "behind": 0, "stopped": 0, "whole": 0}
    for _ in range(LIES_A_LIFE):
        copy = scratch / "copy"
        shutil.copytree(home, copy)
        victim = chance.choice(sorted([*copy.glob("db/*.log"), *copy.glob("db/MANIFEST-*")]))
        size = chance.randrange(victim.stat().st_size + 1)
        os.truncate(victim, size)
        try:
            counts[_face_lie(copy, memory.copy(), chance, is_archive=is_archive)] += 1
        except Broken as error:
            raise Broken(f"{victim.name} cut at {size}: {error}") from error
        counts["points"] += 1
        shutil.rmtree(copy)
    return counts


def _face_lie(home: Path, memory: Memory, chance: Random, *, is_archive: bool) -> str:
    """Open a home whose database went back: behind, stopped with a sentence, or whole."""
    try:
        with listening(memory):
            life = Life(home, memory, chance=chance, is_archive=is_archive)
    except (StorageError, ConfigError) as error:
        check_sentence(error)
        return "stopped"
    behind = life.chain.height < memory.acked
    try:
        if behind and not life.is_gate_shut():
            raise Broken(f"the chain went back to {life.chain.height} and the key would sign")
        if behind != (not life.chain.is_finality_covered):
            raise Broken("the finality journal does not show that blocks are missing")
    finally:
        life.die()

    def check(found: Life) -> None:
        found.catch_up()
        found.check_kept()

    come_back(home, memory, chance=chance, is_archive=is_archive, check=check)
    return "behind" if behind else "whole"


REMEDIES = (
    "sync again", "into a new one", "empty directory", "stop the node", "reset", "backup", "give ",
    "run `", "chmod", "use the release", "make room", "fetch it again", "--i-understand", "delete",
)  # fmt: skip
"""What a sentence that stops a node must contain one of: what its operator is to do."""


def check_sentence(error: Exception) -> None:
    """Raise Broken unless an error tells an operator what to do."""
    if not any(remedy in str(error) for remedy in REMEDIES):
        raise Broken(f"this does not say what to do: {type(error).__name__}: {error}")
