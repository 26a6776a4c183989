"""An upgrade on a copy of a chain's state, in memory, before any node does it for good.

    state at the tip ─> the version is scheduled for the next block ─> that block, migrations in it
        ─> every migration again: nothing may change ─> every invariant ─> more blocks

The blocks are empty and nobody signs them; the database is only read.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from chain.audit.records import KeyNames
from chain.errors import ConfigError, StorageError
from chain.releases import Executives, Releases
from chain.storage.blocks import BlockStore
from chain.storage.database import Database
from chain.storage.records import iterate_state, read_difference, read_height
from consensus.header import Header
from ext import store
from runtime.block import BlockContext
from runtime.executive import BlockLimits, BuiltBlock, Executive
from runtime.frame.errors import CONTAINED, CallError
from runtime.frame.errors import InvalidBlock as RuntimeInvalidBlock
from runtime.system import ScheduledVersion
from runtime.versions import read_due

EMPTY: Final = BlockLimits(bytes_max=1 << 30, weight_max=1 << 60, count_max=0)
"""Blocks of a rehearsal hold their inherents and nothing else."""

BLOCKS: Final = 10
"""Blocks that a rehearsal goes on for."""

Change = tuple[str, bytes, bytes | None]
"""The item that a key belongs to, the key, and its value after the migrations."""


@dataclass(slots=True)
class Rehearsal:
    """What happened: the block of the change, what migrations wrote, and every finding."""

    before: int
    version: int
    content_hash: bytes
    height: int
    migrations: tuple[str, ...]
    entries: int
    blocks: int = 0
    state_root: bytes = b""
    changes: list[Change] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether the upgrade may be done."""
        return not self.findings


@dataclass(slots=True)
class _Copy:
    """A state in memory, and the header it is the state after."""

    state: store.State
    tip: Header
    genesis_hash: bytes
    parent_hash: bytes
    height: int

    def context(self, executive: Executive, step_ms: int) -> BlockContext:
        """Give the next block's context: everybody signed the last one."""
        executive.ctx.enter(self.state.overlay(), executive.no_block)
        session = executive.runtime.session
        height = self.height + 1
        members = session.next_set
        return BlockContext(
            genesis_hash=self.genesis_hash,
            height=height,
            parent_hash=self.parent_hash,
            time_ms=self.tip.time_ms + step_ms * (height - self.tip.number),
            spec_version=executive.rules.version,
            proposer=members[height % len(members)].account,
            entropy=bytes(32),
            last_commit=(True,) * len(session.current_set) if height > 1 else (),
        )


def rehearse(
    database: Database, version: int, releases: Releases, *, blocks: int = BLOCKS
) -> Rehearsal:
    """Do an upgrade on a copy of the state in a database; gives what happened.

    Raises ConfigError when the version is not the next, or this release does not have it.
    """
    copy = _copy_state(database)
    due = read_due(copy.state, 0)
    rules = releases.table.find(version)
    if rules is None or version != due.version + 1:
        raise ConfigError(
            f"the chain has runtime version {due.version} and this release knows versions up to "
            f"{releases.table.newest.version}, so version {version} cannot be rehearsed; name the "
            "next one, with the release that has it"
        )
    content_hash = releases.content_hash(rules)
    _schedule(copy, ScheduledVersion(version, content_hash, copy.height + 1), releases)
    report = Rehearsal(
        before=due.version,
        version=version,
        content_hash=content_hash,
        height=copy.height + 1,
        migrations=tuple(migration.name for migration in rules.migrations),
        entries=len(copy.state),
    )
    executive = Executives(releases).of(rules)
    try:
        report.changes = _find_changes(copy, executive)
        _run(copy, executive, report, max(blocks, 1))
    except (RuntimeInvalidBlock, CallError, *CONTAINED) as error:
        report.findings.append(f"block {copy.height + 1} cannot be made: {error}")
    return report


def _copy_state(database: Database) -> _Copy:
    """Read the state at the tip into memory; raises StorageError."""
    height = read_height(database, b"tip")
    tip = BlockStore(database).header(height)
    if tip is None:
        raise StorageError(f"block {height} is missing from {database.path}; sync it again")
    state = store.State.from_entries(iterate_state(database))
    for later in range(read_height(database, b"flat") + 1, height + 1):
        state.apply_difference(read_difference(database, later)[0])
    if state.root != tip.state_root:
        raise StorageError(f"the state in {database.path} is not that of block {height}")
    genesis_hash = database.meta(b"genesis") or b""
    return _Copy(state, tip, genesis_hash, tip.block_id, height)


def _schedule(copy: _Copy, scheduled: ScheduledVersion, releases: Releases) -> None:
    """Write into the copy what a vote would, for the very next block."""
    due = replace(read_due(copy.state, 0), next_=None)
    executive = Executives(releases).of(releases.require(due, copy.height))
    overlay = copy.state.overlay()
    executive.ctx.enter(overlay, executive.no_block)
    executive.runtime.system.scheduled_version = scheduled
    copy.state.commit(overlay)


def _find_changes(copy: _Copy, executive: Executive) -> list[Change]:
    """Give what the migrations alone write."""
    names = KeyNames(executive.runtime)
    overlay = copy.state.overlay()
    context = copy.context(executive, 1)
    executive.ctx.enter(overlay, context)
    for migration in executive.rules.migrations:
        migration.run(executive.runtime)
    return [(names.name_of(key), key, value) for key, value in overlay.changes()]


def _run(copy: _Copy, executive: Executive, report: Rehearsal, blocks: int) -> None:
    """Make the block of the change and those after it, looking at everything each time."""
    executive.ctx.enter(copy.state.overlay(), executive.no_block)
    step_ms = executive.runtime.system.params.block_interval_ms
    for _ in range(blocks):
        overlay = copy.state.overlay()
        context = copy.context(executive, step_ms)
        built = executive.build_block(overlay, context, (), EMPTY)
        report.findings += _look(executive, overlay, context, built)
        copy.state.commit(overlay)
        copy.height, copy.parent_hash = context.height, built.result.state_root
        report.blocks += 1
        report.state_root = built.result.state_root
        if report.findings:
            return


def _look(
    executive: Executive, overlay: store.Overlay, context: BlockContext, built: BuiltBlock
) -> list[str]:
    """Check every invariant after a block, and that migrations now have nothing to do."""
    executive.ctx.enter(overlay, context)
    found = [
        f"block {context.height}: it does not hold that {check.sentence}"
        for check in executive.runtime.invariants()
        if not check.holds
    ]
    overlay.checkpoint()
    for migration in executive.rules.migrations:
        migration.run(executive.runtime)
        if overlay.root() != built.result.state_root:
            found.append(f"block {context.height}: {migration.name!r} is not idempotent")
            break
    overlay.revert()
    return found
