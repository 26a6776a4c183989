"""What this release can execute: a runtime for each version, and whether that is what was voted.

    state ── read_due ──> version, content hash ── Releases.require ──> Rules or VersionMissing
                                                        │
                                    Executives.of ──> an Executive of that version, made once

The content hash of a published version is written in the table and stays: a later release may make
the same rules faster, and nodes that took it must not stop. Only a version that is not published
yet is hashed from the sources at hand, so that a rehearsal tells apart two drafts.
"""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from chain.config import NodeConfig
from chain.errors import ConfigError, VersionMissing
from ext import hashing, scale
from runtime.executive import Executive
from runtime.primitives import ZERO_HASH
from runtime.versions import VERSIONS, Due, Readable, Rules, VersionTable, read_due

ROOT: Final = Path(__file__).parents[1]
"""Where the packages of this release stand."""

HASHED_PACKAGES: Final = ("runtime", "ext")
"""What decides how a block is executed, and so what a version is."""

HASHED_SUFFIXES: Final = (".h", ".pxd", ".pxi", ".py", ".pyx")
"""Sources; what is compiled from them differs from machine to machine."""

UNHASHED: Final = "runtime/published.py"
"""The list of content hashes, which cannot be under one of them."""

DRILL_FILE: Final = "versions.py"
"""The file of a directory with further rules; it has a list `VERSIONS` of Rules."""

DRILL_CHAIN: Final = "Development"
"""The only type of chain on which rules may come from a directory."""


DRILL_FAULTS: Final = (
    ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What a file that somebody is still writing may do wrong while it is loaded."""


class Releases:
    """The versions that this node knows; `added` is a directory with more of them, for drills."""

    def __init__(self, table: VersionTable = VERSIONS, added: Path | None = None) -> None:
        self.table = table
        self._added = added

    def content_hash(self, rules: Rules) -> bytes:
        """Give the 32 bytes by which votes name a version."""
        if rules.content_hash is not None:
            return rules.content_hash
        return self.sources_hash()

    def sources_hash(self) -> bytes:
        """Give the 32-byte hash of the sources at hand, which a published version may outlive."""
        return hash_sources(ROOT, HASHED_PACKAGES, self._added)

    def require(self, due: Due, height: int) -> Rules:
        """Give the rules that a block is due under; raises VersionMissing saying what to do."""
        rules = self.table.find(due.version)
        if rules is None:
            raise VersionMissing(self._missing(due.version, due.content_hash, height))
        if due.content_hash != ZERO_HASH and self.content_hash(rules) != due.content_hash:
            raise VersionMissing(
                f"block {height} has runtime version {due.version} with content hash "
                f"0x{due.content_hash.hex()}, and this release has that version with "
                f"0x{self.content_hash(rules).hex()}: install the release that was voted for and "
                "start again; the chain below it is kept"
            )
        return rules

    def warning(self, due: Due) -> str:
        """Give a sentence about a scheduled version that this release lacks; empty if it has it."""
        coming = due.next_
        if coming is None:
            return ""
        try:
            self.require(Due(coming.version, coming.content_hash), coming.height)
        except VersionMissing as error:
            return str(error)
        return ""

    def _missing(self, version: int, content_hash: bytes, height: int) -> str:
        return (
            f"block {height} has runtime version {version}, and this release knows versions up to "
            f"{self.table.newest.version}: install a release with version {version}, content hash "
            f"0x{content_hash.hex()}, and start again; the chain below it is kept"
        )


@dataclass(slots=True)
class Executives:
    """An executive for each version that was asked for; each runs one block at a time."""

    releases: Releases
    _made: dict[int, Executive] = field(default_factory=dict)

    def of(self, rules: Rules) -> Executive:
        """Give the executive of a version."""
        known = self._made.get(rules.version)
        if known is None:
            known = Executive(rules=rules)
            self._made[rules.version] = known
        return known

    def above(self, state: Readable, height: int) -> Executive:
        """Give that of the block at `height` above this state; raises VersionMissing."""
        return self.of(self.releases.require(read_due(state, height), height))


def open_releases(config: NodeConfig, chain_type: str) -> Releases:
    """Give what a node knows: the table, and in a drill what a directory adds; raises ConfigError.

    Rules from a directory are for chains that nobody's money is on. Sources are hashed at once,
    before somebody installs others under a running node.
    """
    releases = _open(config, chain_type)
    releases.content_hash(releases.table.newest)
    return releases


def _open(config: NodeConfig, chain_type: str) -> Releases:
    if config.drill_rules == Path():
        return Releases()
    if chain_type != DRILL_CHAIN:
        raise ConfigError(
            f"drill-rules is for chains of type {DRILL_CHAIN}, and this one is {chain_type}; "
            "install a release that has the version instead"
        )
    return load_drill(config.drill_rules)


def load_drill(directory: Path) -> Releases:
    """Give the table with the versions of a directory behind it; raises ConfigError."""
    try:
        lines = _load_lines(directory.absolute())
        return Releases(VERSIONS.with_more(lines), directory.absolute())
    except DRILL_FAULTS as error:
        raise ConfigError(f"the rules in {directory} cannot be used: {error}") from error


@cache
def _load_lines(directory: Path) -> Sequence[Rules]:
    """Load the versions of a directory once: its modules may not be declared twice."""
    path = directory / DRILL_FILE
    name = f"drill_rules_{hashing.blake2b_128(str(path).encode()).hex()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{directory} has no {DRILL_FILE}; give a directory with further rules")
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return tuple(module.VERSIONS)
    except BaseException:
        del sys.modules[name]
        raise


@cache
def hash_sources(root: Path, packages: tuple[str, ...], added: Path | None = None) -> bytes:
    """Give the 32-byte hash over names and contents of all sources, in the order of names."""
    found = [
        (path.relative_to(root).as_posix(), path)
        for package in packages
        for path in (root / package).rglob("*")
    ]
    if added is not None:
        found += [(f"+/{path.relative_to(added).as_posix()}", path) for path in added.rglob("*")]
    names = scale.text(1 << 12)
    parts = [
        names.encode(name) + hashing.blake2b_256(path.read_bytes())
        for name, path in sorted(found)
        if path.suffix in HASHED_SUFFIXES and name != UNHASHED and path.is_file()
    ]
    return hashing.blake2b_256(b"".join(parts))
