"""What a node asks of its own process before it touches anything: files private, no core dumps."""

import os
import resource
import sys

from chain.config import NodeConfig
from chain.errors import ConfigError

PRIVATE_UMASK = 0o077
"""Files of a node are its owner's alone unless a mode says otherwise."""


def harden(config: NodeConfig) -> list[str]:
    """Restrict this process; gives sentences of warning for the log. Raises ConfigError."""
    if sys.flags.optimize:
        raise ConfigError("a node does not run under python -O: its assertions stay on")
    os.umask(PRIVATE_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_NOFILE, config.files_max, "open files")
    if config.memory_bytes_max:
        _limit(resource.RLIMIT_AS, config.memory_bytes_max, "memory")
    return ["the node runs as root; give it a user of its own"] if os.geteuid() == 0 else []


def _limit(which: int, wanted: int, name: str) -> None:
    """Set a soft limit within the hard one; raises ConfigError when that is lower."""
    _, hard = resource.getrlimit(which)
    if hard not in (resource.RLIM_INFINITY, -1) and wanted > hard:
        raise ConfigError(
            f"this system allows {hard} for {name}, the configuration wants {wanted}; lower it or "
            "raise the system's limit"
        )
    resource.setrlimit(which, (wanted, hard))
