"""THE TABLE: every version of the rules that this release knows, from the first on.

    state of the parent ── read_due ──> version and content hash of a block
                                          │
    VERSIONS ── find ──> Rules ── make_runtime(version) ──> modules, metadata; migrations

A release replays every version of the past: rules that changed branch on `ctx.spec_version`, and a
line of the table is never taken out. A new version is a new line: what it is, what brings the state
to it, and, from the day it is published, the content hash of its sources, by which votes name it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from runtime.block import SPEC_VERSION
from runtime.frame.errors import DeclarationError
from runtime.primitives import ZERO_HASH, Weight
from runtime.published import PUBLISHED
from runtime.runtime import Runtime
from runtime.system import ScheduledVersion, System, Upgrade


class Readable(Protocol):
    """Any state, to read one key of."""

    def get(self, key: bytes, /) -> bytes | None:
        """Give the value at a key, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Migration:
    """A step that brings the state to a version, done once in its first block.

    `run` is idempotent: on a state that it brought there already it changes nothing, so that it can
    be rehearsed twice. It may raise, and then there is no block.
    """

    name: str
    run: Callable[[Runtime], None]
    weight: Weight


@dataclass(frozen=True, slots=True)
class Rules:
    """One version: a sentence about it, its modules, its migrations, and its content hash.

    `content_hash` has 32 bytes over the sources it was published with; None while it is not
    published: then it is whatever the sources of this tree say.
    """

    version: int
    what: str
    content_hash: bytes | None = None
    make_runtime: Callable[[int], Runtime] = Runtime
    migrations: tuple[Migration, ...] = ()

    def module_list(self) -> tuple[tuple[int, str], ...]:
        """Give number and name of each module, in the order of the hooks."""
        modules = self.make_runtime(self.version).modules
        return tuple((module.index, module.name) for module in modules)


class VersionTable:
    """Versions without a gap; raises DeclarationError for lines that do not make such a table."""

    def __init__(self, lines: Sequence[Rules]) -> None:
        numbers = [rules.version for rules in lines]
        if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise DeclarationError(f"versions follow each other without a gap, not as {numbers}")
        hashes = [rules.content_hash for rules in lines if rules.content_hash is not None]
        if any(len(one) != len(ZERO_HASH) for one in hashes) or len(hashes) != len(set(hashes)):
            raise DeclarationError("each content hash has 32 bytes, and no two are equal")
        self._by_version = {rules.version: rules for rules in lines}
        self.newest = lines[-1]

    def __iter__(self) -> Iterator[Rules]:
        return iter(self._by_version.values())

    def find(self, version: int) -> Rules | None:
        """Give the rules of a version, or None when this release does not know them."""
        return self._by_version.get(version)

    def with_more(self, lines: Sequence[Rules]) -> "VersionTable":
        """Give a table that goes on with these; raises DeclarationError."""
        return VersionTable([*self, *lines])


VERSIONS: Final = VersionTable(
    [Rules(1, "The rules that the first chains begin under.", PUBLISHED.get(1))]
)
"""The table."""

NEWEST: Final = VERSIONS.newest
"""What a release is about: its own line."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a block is executed under; a content hash of zeros is one that nobody voted on.

    `next_` is the version that is scheduled for later, or None.
    """

    version: int
    content_hash: bytes
    next_: ScheduledVersion | None = None


_KEYS: Final = {item.name: item.prefix for item in System.items}
_VERSION: Final = _KEYS["SpecVersion"]
_SCHEDULED: Final = _KEYS["ScheduledVersion"]
_UPGRADES: Final = _KEYS["Upgrades"]
_SCHEDULED_WIRE: Final = next(i for i in System.items if i.name == "ScheduledVersion").value
_UPGRADES_WIRE: Final = next(i for i in System.items if i.name == "Upgrades").value


def read_due(state: Readable, height: int) -> Due:
    """Give what the block at `height`, just above this state, is executed under."""
    data = state.get(_SCHEDULED)
    scheduled: ScheduledVersion | None = None if data is None else _SCHEDULED_WIRE.decode(data)
    if scheduled is not None and height >= scheduled.height:
        return Due(scheduled.version, scheduled.content_hash)
    version = int.from_bytes(state.get(_VERSION) or b"", "little")
    upgrades = _read_upgrades(state)
    content_hash = upgrades[-1].content_hash if upgrades else ZERO_HASH
    return Due(version, content_hash, scheduled)


def read_version_at(state: Readable, height: int) -> int:
    """Give the version of a block at or below the one that left this state."""
    later = None
    for upgrade in reversed(_read_upgrades(state)):
        if upgrade.height <= height:
            return upgrade.version
        later = upgrade
    if later is not None:
        return later.before
    return int.from_bytes(state.get(_VERSION) or b"", "little") or SPEC_VERSION


def _read_upgrades(state: Readable) -> tuple[Upgrade, ...]:
    data = state.get(_UPGRADES)
    return () if data is None else _UPGRADES_WIRE.decode(data)
