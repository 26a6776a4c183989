"""The code under simulation, as it is or with a bug planted in it.

A planted bug is a replacement of text in a copy of a module's source; a text that is no longer
there fails loudly, so the list of bugs follows the code.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import chain.standing
import consensus.machine
import consensus.record
import consensus.votes
from chain.network.messages import ConsensusStatus
from chain.standing import Lacking
from consensus.machine import Machine
from consensus.record import Record

MODULES = (consensus.votes, consensus.record, consensus.machine, chain.standing)
"""What is copied when a bug is planted, in the order in which they import each other."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement in the source of one module."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What a simulated node is made of."""

    machine: type[Machine]
    record: type[Record]
    build_status: Callable[[Machine], ConsensusStatus]
    find_lacking: Callable[[Machine, ConsensusStatus], Lacking]


def load_parts(patches: Sequence[Patch] = ()) -> Parts:
    """The real classes, or copies of them with these patches."""
    modules = {module.__name__: module for module in MODULES}
    if patches:
        modules = _load_copies(patches)
    return Parts(
        machine=modules["consensus.machine"].Machine,
        record=modules["consensus.record"].Record,
        build_status=modules["chain.standing"].build_status,
        find_lacking=modules["chain.standing"].find_lacking,
    )


def _load_copies(patches: Sequence[Patch]) -> dict[str, ModuleType]:
    copies: dict[str, ModuleType] = {}
    originals = {module.__name__: module for module in MODULES}
    try:
        for name, original in originals.items():
            source = inspect.getsource(original)
            for patch in patches:
                if patch.module == name:
                    source = _replace(source, patch)
            copy = ModuleType(name)
            sys.modules[name] = copy
            exec(compile(source, f"<planted in {name}>", "exec"), copy.__dict__)  # noqa: S102 - our own source
            copies[name] = copy
    finally:
        sys.modules.update(originals)
    return copies


def _replace(source: str, patch: Patch) -> str:
    if source.count(patch.old) != 1:
        raise AssertionError(f"{patch.module} does not hold exactly once: {patch.old!r}")
    return source.replace(patch.old, patch.new)
