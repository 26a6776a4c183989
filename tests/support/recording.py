"""Blocks that were made in the process, kept as an archive keeps them, for an auditor to read."""

from types import SimpleNamespace
from typing import Any

from ext import store


class Recorded:
    """A source of blocks that were made in the process."""

    genesis_hash = bytes(32)
    spec_text = ""

    def __init__(self, blocks: list[Any]) -> None:
        self.made = blocks

    def blocks(self) -> Any:
        return iter(self.made)

    def last_height(self) -> None:
        return None

    def database(self) -> None:
        return None

    def close(self) -> None:
        pass


def record(town: Any) -> list[Any]:
    """Keep what each block of a chain did, as an archive would."""
    blocks: list[Any] = []
    finalize = town.chain.executive.finalize_block

    def finalize_and_keep() -> Any:
        result = finalize()
        changes = sorted(town.chain.overlay.changes())
        header = SimpleNamespace(consensus=SimpleNamespace(receipts_root=result.receipts_root))
        blocks.append(
            SimpleNamespace(
                height=town.chain.height + 1,
                receipts=result.receipts,
                difference=store.encode_difference(changes),
                block=SimpleNamespace(header=header),
            )
        )
        return result

    town.chain.executive.finalize_block = finalize_and_keep
    return blocks
