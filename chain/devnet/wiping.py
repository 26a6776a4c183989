"""Deleting a devnet: only what a devnet made, only below its base directory."""

import shutil
from pathlib import Path
from typing import Final

from chain.devnet.layout import devnet_path, load_devnet
from chain.devnet.processes import stop
from chain.wallet.errors import BadContent, NotFound

_MADE: Final = ("nodes", "logs", "spec.toml")
"""What a devnet makes beside devnet.json."""


def wipe(base: Path) -> bool:
    """Stop the nodes and delete their data; False if there was no devnet."""
    try:
        net = load_devnet(base)
        stop([*net.helpers, *net.nodes])
    except (NotFound, BadContent):
        pass
    removed = False
    for path in (devnet_path(base), *(base / name for name in _MADE)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            removed = True
        elif path.exists():
            path.unlink()
            removed = True
    return removed
