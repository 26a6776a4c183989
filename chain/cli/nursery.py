"""Several nodes from one process: load the program once, then fork a node for each command.

    up ──> nursery: imports chain.node ──fork──> node alice
                                        ──fork──> node bob ...      then the nursery ends

Loading libp2p costs more than a second of a core; five nodes pay it once, and share the memory of
what was loaded. Each node is what its command line says and can be started by hand with it.
"""

import gc
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from chain.cli.main import run

_COMMAND_START: Final = 3
"""Where the arguments begin after `python -m chain.cli.main`."""


def main() -> None:
    """Read [{command, log}] from stdin, fork a node for each, print their pids as JSON."""
    wanted: list[dict[str, Any]] = json.load(sys.stdin)
    importlib.import_module("chain.node")
    importlib.import_module("chain.devnet.identity")
    gc.collect()
    gc.freeze()
    pids = [_fork(one["command"], Path(one["log"])) for one in wanted]
    sys.stdout.write(json.dumps(pids) + "\n")


def _fork(command: Sequence[str], log: Path) -> int:
    pid = os.fork()
    if pid == 0:
        _become(command, log)
    return pid


def _become(command: Sequence[str], log: Path) -> NoReturn:
    """Be the node of a command line: own session, output to the log, nothing of the nursery's."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.argv = [command[2], *command[_COMMAND_START:]]
    status = run(list(command[_COMMAND_START:]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
