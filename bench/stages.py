"""Calls and hooks in their worst case: how they are staged, timed, and held against their weight.

    script ── yields a Stage where something is about to be done ──> timed ──> the script goes on

A script plays a chain up to a call, yields, and then plays on, so that one chain serves many calls.
The chains are those of the tests, which know how to bring every module anywhere. Each repeat runs
in a block of its own on the state that the script left, the root included; what the same block
costs without it is taken off. Libsodium verifies signatures beside each repeat, and the figure is
the ratio, so that a slow hour of a machine weighs on both sides alike.

The state of a test has about a thousand entries. A change of it hashes ten nodes up to the root,
which is what a change costs in a full block of a chain of a million entries, too: the upper half of
the way is shared with the others of that block.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from unittest.mock import patch

from ext import signing
from runtime import weights
from runtime.deadlines import DeadlineFailed
from runtime.executive import make_inherents
from runtime.frame.context import NO_MODULE
from runtime.frame.events import Event
from runtime.frame.origins import ROOT
from runtime.primitives import AccountId, Weight

REFERENCE_US: Final = 53.5
"""Microseconds of a signature on the reference machine."""

TOO_LITTLE: Final = 2
"""Measured time may be twice what is declared: more, and full blocks are late everywhere."""

TOO_MUCH: Final = 8
"""What is declared may be eight times what is measured: calls of a kind share a constant, and the
dearest of them decides it. More, and the fee keeps people from what costs nothing."""

SLACK_US: Final = 100.0
"""Nobody is kept from anything by a tenth of a millisecond, whatever it is a multiple of."""

SIGNATURES: Final = 16
"""Signatures that are verified beside each repeat: about a millisecond."""


class World(Protocol):
    """What has a chain in it; all worlds of the tests have."""

    chain: Any


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that is about to be done on a chain whose block is open.

    `run` does it, and raises when it was refused. `prepaid` is the part of `declared` that pays for
    an item of the wheel, which has a stage of its own. A hook that says itself what it did has
    nothing declared before.
    """

    name: str
    chain: Any
    run: Callable[[], object]
    declared: Weight | None
    prepaid: Weight = 0
    is_hook: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, in microseconds on the reference machine, of one thing."""

    name: str
    declared: float
    measured: float

    @property
    def ratio(self) -> float:
        """What is declared for what is measured."""
        return self.declared / self.measured

    @property
    def verdict(self) -> str:
        """Why the weight has to change, empty if it need not."""
        return judge(self.declared, self.measured)


def judge(declared: float, measured: float) -> str:
    """Say what is wrong with a weight, in microseconds; empty if nothing is."""
    if measured > TOO_LITTLE * declared:
        return "TOO LITTLE"
    if declared > TOO_MUCH * measured + SLACK_US:
        return "TOO MUCH"
    return ""


def find_wrong(rows: Sequence[Row]) -> list[Row]:
    """Give the rows whose weight has to change: of several cases of a call, the dearest counts."""
    dearest: dict[str, Row] = {}
    for row in rows:
        path = row.name.partition(",")[0]
        before = dearest.setdefault(path, row)
        if row.ratio < before.ratio:
            dearest[path] = row
    return [row for row in dearest.values() if row.verdict]


Script = Callable[[], Iterator[Stage]]
"""Plays a chain and yields where something is to be timed."""


@dataclass(frozen=True, slots=True)
class Play:
    """A script, and what it stages, by name."""

    names: tuple[str, ...]
    script: Script


PLAYS: Final[list[Play]] = []
"""All scripts, in the order in which they are declared."""


def stages(*names: str) -> Callable[[Script], Script]:
    """Declare a script and what it stages: `Module.call`, or the name of a hook or an item.

    What follows a name behind a comma tells two cases of one call apart.
    """

    def declare(script: Script) -> Script:
        PLAYS.append(Play(names, script))
        return script

    return declare


def staged_calls() -> dict[str, str]:
    """Give the calls that have a stage, each with its first."""
    found: dict[str, str] = {}
    for play in PLAYS:
        for name in play.names:
            found.setdefault(name.partition(",")[0], name)
    return found


# Making stages


def call(
    world: World, who: AccountId, path: str, *arguments: Any, prepaid: Weight = 0, case: str = ""
) -> Stage:
    """Stage a call of an account; `path` is `Module.call`."""
    chain = world.chain
    module, _, name = path.partition(".")
    executive = chain.executive
    read = executive.decode_call(chain.call(module, name, *arguments))

    def run() -> None:
        outcome = executive.run_call(read, who)
        if outcome:
            raise AssertionError(f"{path} was refused with {outcome.hex()}")

    return Stage(_named(path, case), chain, run, read.weight, prepaid)


def vote(world: World, path: str, *arguments: Any, case: str = "") -> Stage:
    """Stage a call of Root."""
    chain = world.chain
    module, _, name = path.partition(".")
    read = chain.executive.decode_call(chain.call(module, name, *arguments))

    def run() -> None:
        chain.runtime.dispatcher.run(chain.runtime.ctx, ROOT, read)

    return Stage(_named(path, case), chain, run, read.weight)


def items(world: World, name: str, work: Weight, told: type[Event] | None = None) -> Stage:
    """Stage what the wheel does in the next block, which is this work, and what it tells then.

    Whatever else is due in that block has the weight of an item, and nothing to do.
    """
    ctx, deadlines = world.chain.runtime.ctx, world.chain.runtime.deadlines

    def run() -> Weight:
        taken: Weight = deadlines.on_initialize()
        heads = [event[:2] for event in ctx.events]
        is_done = taken > 0 and (told is None or told.head in heads)
        if not is_done or DeadlineFailed.head in heads:
            raise AssertionError(f"{name}: the wheel did {taken}, and told {heads}")
        return work + taken

    return Stage(name, world.chain, run, None, is_hook=True)


def hook(world: World, name: str, run: Callable[[], object]) -> Stage:
    """Stage a hook of the next block, which gives its weight."""
    return Stage(name, world.chain, run, None, is_hook=True)


# What scripts do to the wheel


def stop_wheel(world: World) -> None:
    """Take everything off the wheel, as if it never came to it: others must do what is due."""
    wheel = world.chain.runtime.deadlines
    for key, _ in list(wheel.items_due.items()):
        wheel.cancel(key)


def first_item(world: World) -> int:
    """Give the height of the first item on the wheel."""
    wheel = world.chain.runtime.deadlines
    return min(key.height for key, _ in wheel.items_due.items())


@contextmanager
def frozen(world: World, module_index: int) -> Iterator[None]:
    """Let a module pay nothing in the next block, for as long as it is timed."""
    balances = world.chain.runtime.balances
    load = balances.load_frozen

    def freeze() -> None:
        load()
        world.chain.runtime.ctx.frozen = {module_index: True}

    with patch.object(balances, "load_frozen", freeze):
        yield


def _named(path: str, case: str) -> str:
    return f"{path}, {case}" if case else path


# Timing


def measure(stage: Stage, rounds: int) -> Row:
    """Time a stage, and leave its chain with the next block open."""
    chain = stage.chain
    chain.close()
    block = chain.context()
    inherents = make_inherents(chain.runtime, block)
    items_ = _signature_items()
    alone, with_it, signatures = [], [], []
    told: list[Any] = []

    def run() -> None:
        told.append(stage.run())

    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            overlay = _begin(stage, block, inherents)
            alone.append(_seconds(overlay.root))
            overlay = _begin(stage, block, inherents)
            with_it.append(_seconds(run) + _seconds(overlay.root))
            signatures.append(_seconds(lambda: signing.verify_many(items_)) / SIGNATURES)
    finally:
        gc.enable()
    chain.open()
    scale = REFERENCE_US / min(signatures)
    measured = (min(with_it) - min(alone)) * scale
    declared = told[-1] if stage.declared is None else stage.declared - stage.prepaid
    return Row(stage.name, declared / weights.MICROSECOND, measured)


def _begin(stage: Stage, block: Any, inherents: Sequence[bytes]) -> Any:
    """Begin a block on the state that a script left, up to where its transactions come."""
    chain = stage.chain
    executive, ctx = chain.executive, chain.runtime.ctx
    overlay = chain.state.overlay()
    ctx.journal, ctx.waiver = None, NO_MODULE
    if stage.is_hook:
        ctx.enter(overlay, block)
        chain.runtime.balances.load_frozen()
    else:
        executive.initialize_block(overlay, block)
        for raw in inherents:
            executive.apply_inherent(raw)
    return overlay


def _seconds(act: Callable[[], object]) -> float:
    """Time one act by the processor's clock of this process, which others do not move."""
    start = time.process_time()
    act()
    return time.process_time() - start


def _signature_items() -> list[tuple[bytes, bytes, bytes]]:
    """Give signatures as transactions have them, ready for libsodium."""
    found = []
    for number in range(SIGNATURES):
        seed = number.to_bytes(32, "little")
        message = bytes((number,)) * 120
        found.append((signing.public_key(seed), message, signing.sign(seed, message)))
    return found


def play(one: Play, rounds: int) -> Iterator[Row]:
    """Play a script and give its rows; raises when it stages something else than it declares."""
    seen = []
    for stage in one.script():
        seen.append(stage.name)
        yield measure(stage, rounds)
    if sorted(seen) != sorted(one.names):
        raise AssertionError(f"{one.script.__name__} declares {one.names} and stages {seen}")
