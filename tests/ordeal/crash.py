"""Crashes: every fail-point of the node, struck by every fault, in a life that comes by it.

A scene brings a home to where its step happens, lets the fault strike it, and starts again as
whoever runs the node would: the same command, nothing else. It then holds the home to its promises.
A point that no scene names, and a fault that strikes nobody, are failures of their own.
"""

import importlib
import pkgutil
from pathlib import Path
from random import Random

import chain
from chain.errors import StorageError
from chain.storage import durable
from chain.storage.durable import Fault
from tests.ordeal.life import (
    Broken,
)
from tests.ordeal.scenes_of_files import (
    play_agent,
    play_content,
    play_export,
    play_identity,
    play_import,
    play_keystore,
    play_peer_key,
    play_reset,
    play_rewind,
    play_rotation,
    play_torn_tail,
)
from tests.ordeal.scenes_of_nodes import (
    play_first_start,
    play_join,
    play_life,
    play_sync,
    play_validator,
)
from tests.ordeal.scenes_of_snapshots import play_restore, play_snapshot, play_taking_over
from tests.ordeal.strikes import FAULTS, Scene, Strike

WRITE_FILE = ("file.write", "file.sync", "file.replace", "file.directory")
KEY_FILES = (
    "journal.allocate", "journal.allocate.sync", "journal.allocate.directory", "keyfile.write",
    "keyfile.write.sync", "keyfile.name", "keyfile.name.sync",
)  # fmt: skip
DECIDING = (
    "state.commit", "state.candidate", "state.index", "state.flush", "finality.append",
    "finality.append.sync", "journal.write.first", "journal.write.second", "journal.write.sync",
)  # fmt: skip
GENESIS = ("state.genesis.records", "state.genesis")
CREATE = ("finality.create", "finality.create.sync", "finality.create.directory")
SAVING = ("state.save", "finality.append", "finality.append.sync")
SNAPSHOT = (
    "snapshot.chunk.write", "snapshot.chunk.sync", "snapshot.names.sync", "snapshot.publish",
    "snapshot.publish.sync", *WRITE_FILE,
)  # fmt: skip
RESTORE = (
    "restore.records", "restore.headers", "restore.complete", "restore.offences",
    "restore.decide", "restore.decide.sync",
)  # fmt: skip
TAKE = (
    "restore.take.database", "restore.take.database.sync", "restore.take.journal",
    "restore.take.journal.sync",
)  # fmt: skip
TRIM = ("finality.trim", "finality.trim.sync")

SCENES = (
    Scene("life", DECIDING, play_life, 6),
    Scene("sync", SAVING, play_sync, 2),
    Scene("validator", DECIDING, play_validator, 6),
    Scene("join", SAVING, play_join, 1),
    Scene("first start", (*GENESIS, *CREATE), play_first_start),
    Scene("identity", KEY_FILES, play_identity),
    Scene("rotation", KEY_FILES, play_rotation),
    Scene("reset", ("journal.aside", "journal.aside.directory", *KEY_FILES[:3]), play_reset),
    Scene("peer key", WRITE_FILE, play_peer_key),
    Scene("agent", WRITE_FILE, play_agent),
    Scene("content", WRITE_FILE, play_content),
    Scene(
        "keystore",
        ("keystore.write", "keystore.write.sync", "keystore.name", "keystore.name.sync"),
        play_keystore,
    ),
    Scene(
        "export",
        ("archive.write", "archive.sync", "archive.replace", "archive.directory"),
        play_export,
    ),
    Scene("import", ("state.save", "state.index", "state.flush", *SAVING[1:]), play_import),
    Scene("rewind", ("state.rewind", *TRIM), play_rewind),
    Scene("torn tail", TRIM, play_torn_tail),
    Scene("snapshot", SNAPSHOT, play_snapshot),
    Scene("restore", (*RESTORE, *TAKE), play_restore),
    Scene("taking over", TAKE, play_taking_over),
)
"""Every life that the points of the node are struck in; a new point needs a scene that names it."""

CASES = tuple(
    (scene, point, fault) for scene in SCENES for point in scene.points for fault in FAULTS
)
"""All strikes."""


def find_points() -> tuple[str, ...]:
    """Every point that any module of the node declares."""
    for module in pkgutil.walk_packages(chain.__path__, "chain."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return tuple(durable.FAIL_POINTS)


def strike(scene: Scene, point: str, fault: Fault, home: Path, *, passes: int, seed: int) -> None:
    """Play a scene with one strike; raises Broken."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        scene.play(home, Strike(point, fault, passes, seed))
    except (Broken, StorageError) as error:
        raise Broken(
            f"{scene.name}, {fault.value} at {point} after {passes} passes: {error}"
        ) from error
    finally:
        durable.disarm()


def run_piece(number: int, seed: int, scratch: Path) -> tuple[str, dict[str, int]]:
    """One strike: the cases in turn, each round with other passes."""
    chance = Random(f"crash {seed} {number}")
    scene, point, fault = CASES[number % len(CASES)]
    passes = chance.randint(0, scene.passes_max) if number >= len(CASES) else 0
    strike(scene, point, fault, scratch / "home", passes=passes, seed=chance.getrandbits(32))
    return scene.name, {"strikes": 1}
