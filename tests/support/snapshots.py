"""A real chain in one thread, its snapshots, and what a joining node makes of them."""

from pathlib import Path

from chain.config import load_config
from chain.genesis import ChainStart
from chain.storage.snapshot import SnapshotShelf
from tests.support.solo import Solo


def epoch_starts(solo: Solo) -> list[int]:
    """The heights that begin an epoch."""
    heights = range(1, solo.chain.height + 1)
    return [h for h in heights if solo.chain.blocks.header(h).next_epoch is not None]


def write_snapshot(solo: Solo, shelf: SnapshotShelf, height: int):
    """Write the snapshot of a height as a node does."""
    header = solo.chain.blocks.header(height)
    return shelf.write(
        height=height,
        block_id=header.block_id,
        state_root=header.state_root,
        entries=solo.chain.open_entries(height),
    )


def joining(home: Path, start: ChainStart, spec: Path, **flags):
    """The configuration of a node that joins by a snapshot."""
    spec.write_text(start.genesis.spec_text)
    given = {
        "home": str(home),
        "chain": str(spec),
        "sync": "snapshot",
        "free_space_bytes_min": 0,
        **flags,
    }
    return load_config(flags=given, environment={}).config
