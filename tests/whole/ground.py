"""The chain under simulation: its spec, and the homes of its validators as they are before block 1.

Built once a process and copied for each schedule, because making keys and a genesis takes longer
than many a schedule.
"""

import atexit
import re
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from chain.config import NodeConfig, load_config
from chain.devnet.spec import write_spec
from chain.genesis import ChainStart, read_spec, start_chain
from chain.identity import create_identity
from chain.keyfile import ValidatorKeys
from chain.opening import open_storage
from chain.wallet.accounts import DevValidator, dev_validator

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a place in memory, where there is one
"""Where homes lie when the machine has it: what a power cut takes is decided by us, not by it."""

_TABLE: Final = re.compile(r"(?m)^(?=\[)")


def make_directory() -> Path:
    """Make an empty directory that goes when this process ends, if not before."""
    base = MEMORY if MEMORY.is_dir() else None
    made = Path(mkdtemp(prefix="gristmill-whole-", dir=base))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def keys_of(name: str) -> DevValidator:
    """Give the published keys of a validator; a twin's are its sibling's."""
    return dev_validator(name.rstrip("'"))


@dataclass
class Ground:
    """One chain, and a home for each of its validators to copy."""

    start: ChainStart
    base: Path = field(default_factory=make_directory)

    def prepare(self, name: str) -> None:
        """Make the pattern of a node's home where it is not made yet."""
        pattern = self.base / name.rstrip("'")
        if not pattern.exists():
            self._make(pattern, name)

    def copy(self, name: str, home: Path) -> NodeConfig:
        """Make the home of a node as it is before its first start, and give its settings."""
        shutil.copytree(self.base / name.rstrip("'"), home)
        return _configure(name, home)

    def _make(self, home: Path, name: str) -> None:
        keys = keys_of(name)
        config = _configure(name, home)
        config.keys_path.mkdir(parents=True, mode=0o700)
        create_identity(
            config.keys_path,
            ValidatorKeys(keys.account.public, keys.consensus.seed, keys.vrf.seed),
            self.start.hash,
        )
        open_storage(config, self.start).close()


def _configure(name: str, home: Path) -> NodeConfig:
    flags = {
        "home": str(home), "chain": "test", "name": name, "rpc_port": 0, "validator": True,
        "free_space_bytes_min": 0, "flush_blocks": 4,
    }  # fmt: skip
    return load_config(flags=flags, environment={}).config


@cache
def find_ground(society: str, count: int) -> Ground:
    """Give the chain of so many validators, whose set is `fixed` or `changing` by a schedule."""
    text = read_spec("test")
    if society == "fixed":
        kept = [
            part
            for part in _TABLE.split(text)
            if not part.startswith("[[schedule]]") and "\npower = 0" not in part
        ]
        text = write_spec("".join(kept), validators=count, interval_ms=None)
    return Ground(start_chain(text))
