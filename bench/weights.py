"""`python -m bench.weights`: measure what calls and steps cost, as `runtime/weights.py` states it.

Through the Python modules on the native store, with the worst inputs, the share of the root and of
the commit included; the least of the repeats; scaled to the reference core, on which libsodium
verifies a signature in 53.5 microseconds; a quarter added and rounded up. Each line gives the
microseconds measured, the weight that follows, and the weight in force.
"""

import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench import clock, machine
from bench.world import RICHES, World, account_names, signature_items, signers
from ext import signing
from runtime import weights
from runtime.balances import EXISTENTIAL_DEPOSIT
from runtime.block import INHERENTS, MISBEHAVIOUR_MAX, BlockContext, Misbehaviour
from runtime.deadlines import ITEMS_PER_BLOCK, Lane
from runtime.executive import make_inherents
from runtime.primitives import AccountId
from runtime.transaction import IMMORTAL, encode_transaction
from runtime.weights import MICROSECOND

VERIFICATION_US = 53.5
"""A signature on the reference core."""

MARGIN = 1.25
"""Other machines, other libraries, what was not thought of."""

COUNT = 1_000
"""Transactions in a measured block; each has a signer of its own."""

HEIGHTS = 8
"""Blocks before the one in which as many offences are reported as a block can hold."""

IDLE = 250
"""A module that does nothing with what falls due: its work is prepaid by who put it there."""

INNER = 50
"""Calls in a measured batch."""

SIGNATURES = 100
"""Fewer than another thread would be asked for."""

STEP_ROUNDS = 5
"""Steps are so short that the least of few is far from the least."""

REMARK_BYTES = 10_000
"""A remark so long that its hash is nearly all."""

BATCH_SHARE = 10
"""Batches are long: a tenth of the transactions do."""


def seconds_of(act: Callable[[], object]) -> float:
    """Time one call by what this thread had of the processor, so that a busy machine may do."""
    gc.collect()
    gc.disable()
    start = time.thread_time()
    act()
    spent = time.thread_time() - start
    gc.enable()
    return spent


@dataclass(frozen=True, slots=True)
class Line:
    """A weight: its name, what was measured in microseconds of the reference core, the digits."""

    name: str
    micro: float
    unit: int = MICROSECOND

    def __str__(self) -> str:
        weight = math.ceil(max(self.micro, 0) * MICROSECOND * MARGIN / self.unit) * self.unit
        stated = getattr(weights, self.name)
        verdict = "too low" if stated < weight else "generous" if stated > 1.6 * weight else "holds"
        return f"{self.name:18} {self.micro:9.4f} us {weight:14,} {stated:14,} {verdict}"


class Bench:
    """A world, and blocks of one kind of call on it; times are seconds of this core."""

    def __init__(self) -> None:
        self.world = World.make(100_000, COUNT)
        self.world.executive.is_hot = False
        self.world.executive.runtime.deadlines.listen(IDLE, lambda _: None)
        self.encode = self.world.executive.runtime.dispatcher.encode

    def body(self, calls: Sequence[bytes]) -> list[bytes]:
        """Make transactions of distinct signers; nobody looks at the signatures."""
        pairs = signers(COUNT)[: len(calls)]
        return [
            encode_transaction(
                signer=AccountId(public),
                signature=bytes(64),
                era=IMMORTAL,
                nonce=0,
                tip=0,
                call=data,
            )
            for (_, public), data in zip(pairs, calls, strict=True)
        ]

    def block(
        self, calls: Sequence[bytes], context: BlockContext | None = None
    ) -> Callable[[], float]:
        """Give an act that runs a whole block, commits it, and takes it back, timing the former."""
        transactions = self.body(calls)

        def act() -> float:
            world, done = self.world, []
            block = context or world.context()
            bodies = [*make_inherents(world.executive.runtime, block), *transactions]

            def run() -> None:
                overlay = world.state.overlay()
                result = world.executive.execute_block(overlay, block, bodies)
                assert not any(result.failed), "a call that is measured must succeed"
                done.append(world.state.commit(overlay))

            spent = seconds_of(run)
            world.state.apply_difference(done[0].reverse)
            assert world.state.root
            return spent

        return act

    def verification(self) -> Callable[[], float]:
        """Give an act that verifies some signatures, so few that no other thread helps."""
        items = signature_items(self.world, self.world.transfers(SIGNATURES))
        return lambda: seconds_of(lambda: signing.verify_many(items))

    def fee_of(self, call: bytes, weight: int) -> int:
        """Give what a transaction with this call pays."""
        fees = self.world.executive.runtime.fees
        self.world.executive.ctx.enter(self.world.state.overlay(), self.world.context())
        fees.load_prices()
        length = len(self.body([call])[0])
        return fees.compute_fee(length=length, weight=weights.EXTRINSIC_BASE + weight)

    def draining(
        self, name: str, weight: int, *before: AccountId, after: tuple[bool, ...]
    ) -> bytes:
        """Encode a call that leaves its signer just too little to live."""
        amount, fee = RICHES, 0
        for _ in range(2):
            call = self.encode("Balances", name, *before, amount - fee, *after)
            fee = self.fee_of(call, weight) + EXISTENTIAL_DEPOSIT - 1
        return self.encode("Balances", name, *before, amount - fee, *after)


def measure_calls(bench: Bench, rounds: int) -> list[Line]:
    """Measure what transactions can ask for."""
    encode = bench.encode
    remark = encode("System", "remark", b"")
    fresh = [AccountId(name) for name in account_names(COUNT, seed=99)]
    few = COUNT // BATCH_SHARE
    acts = {
        "V": bench.verification(),
        "empty": bench.block([]),
        "remark": bench.block([remark] * COUNT),
        "transfer": bench.block(
            [
                bench.draining("transfer_allow_death", weights.TRANSFER, who, after=())
                for who in fresh
            ]
        ),
        "burn": bench.block([bench.draining("burn", weights.BURN, after=(False,))] * COUNT),
        "event": bench.block([encode("System", "remark_with_event", b"")] * COUNT),
        "long": bench.block([encode("System", "remark_with_event", bytes(REMARK_BYTES))] * few),
        "batch": bench.block([encode("Utility", "batch", [])] * COUNT),
        "items": bench.block([encode("Utility", "batch", [remark] * INNER)] * few),
        "alone": lambda: timed_remarks(bench, remark),
    }
    spent = clock.take_turns(acts, rounds)
    scale = VERIFICATION_US / (spent["V"].least / SIGNATURES)
    each = {
        name: scale
        * (times.least - spent["empty"].least)
        / (few if name in {"long", "items"} else COUNT)
        for name, times in spent.items()
    }
    alone = scale * spent["alone"].least / COUNT
    return [
        Line("EXTRINSIC_BASE", VERIFICATION_US + each["remark"]),
        Line("TRANSFER", each["transfer"] - each["remark"]),
        Line("BURN", each["burn"] - each["remark"]),
        Line("REMARK", alone),
        Line("REMARK_WITH_EVENT", each["event"] - each["remark"] + alone),
        Line("REMARK_PER_BYTE", (each["long"] - each["event"]) / REMARK_BYTES, 100),
        Line("BATCH", each["batch"] - each["remark"] + alone),
        Line("BATCH_ITEM", (each["items"] - each["batch"]) / INNER - alone),
    ]


def timed_remarks(bench: Bench, remark: bytes) -> float:
    """Time the call of a remark without the transaction around it."""
    executive = bench.world.executive
    executive.initialize_block(bench.world.state.overlay(), bench.world.context())
    call, who = executive.decode_call(remark), AccountId(bench.world.names[0])
    return seconds_of(lambda: [executive.run_call(call, who) for _ in range(COUNT)] and None)


def measure_steps(bench: Bench, rounds: int) -> list[Line]:
    """Measure inherents, offences and deadlines, some blocks after genesis."""
    world = bench.world
    for _ in range(HEIGHTS):
        world.run([], is_hot=False)
    context = world.context()
    members = len(context.last_commit)
    accused = [report(context, number) for number in range(MISBEHAVIOUR_MAX)]
    acts = {
        "V": bench.verification(),
        "empty": bench.block([], context),
        "alone": lambda: timed_inherents(bench, context, with_root=False),
        "plain": lambda: timed_inherents(bench, context),
        "missed": lambda: timed_inherents(bench, replace(context, last_commit=(False,) * members)),
        "accused": lambda: timed_inherents(bench, replace(context, misbehaviour=tuple(accused))),
        "wheel": lambda: timed_wheel(bench, ITEMS_PER_BLOCK),
        "still": lambda: timed_wheel(bench, 0),
    }
    spent = clock.take_turns(acts, STEP_ROUNDS * rounds)
    scale = VERIFICATION_US / (spent["V"].least / SIGNATURES)
    least = {name: scale * times.least for name, times in spent.items()}
    return [
        Line("BLOCK_BASE", least["empty"] - least["alone"]),
        Line("INHERENT", least["alone"] / INHERENTS),
        Line("COMMIT_FLAG", (least["missed"] - least["plain"]) / members),
        Line("OFFENCE", (least["accused"] - least["plain"]) / MISBEHAVIOUR_MAX),
        Line("DEADLINE_ITEM", (least["wheel"] - least["still"]) / ITEMS_PER_BLOCK),
    ]


def report(context: BlockContext, number: int) -> Misbehaviour:
    """Accuse the proposer of something it is not accused of yet."""
    return Misbehaviour(
        kind=1 + number % 5,
        account=context.proposer,
        height=1 + number // 5,
        time_ms=context.time_ms - number,
        power=1,
        total_power=4,
        evidence_hash=bytes(31) + bytes((number,)),
    )


def timed_inherents(bench: Bench, context: BlockContext, *, with_root: bool = True) -> float:
    """Time the inherents of a block, with the root where what makes them larger is weighed."""
    world = bench.world
    executive, overlay = world.executive, world.state.overlay()
    executive.initialize_block(overlay, context)
    inherents = make_inherents(executive.runtime, context)
    overlay.root()

    def act() -> None:
        for raw in inherents:
            executive.apply_inherent(raw)
        if with_root:
            overlay.root()

    return seconds_of(act)


def timed_wheel(bench: Bench, count: int) -> float:
    """Time what is due at a height, the root after it included."""
    world = bench.world
    runtime, overlay = world.executive.runtime, world.state.overlay()
    deadlines = runtime.deadlines
    context = world.context()
    runtime.ctx.enter(overlay, replace(context, height=context.height - 1))
    for _ in range(count):
        deadlines.schedule(
            height=context.height, lane=Lane(0), module_index=IDLE, payload=bytes(64)
        )
    runtime.ctx.enter(overlay, context)
    overlay.root()
    return seconds_of(lambda: (deadlines.on_initialize(), overlay.root()))


def main() -> int:
    """Print the table; a weight that is too low makes the exit code 1."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    machine.use_one_core()
    bench = Bench()
    lines = measure_calls(bench, rounds) + measure_steps(bench, rounds)
    print(*machine.describe(), "", sep="\n")
    print(f"{'weight':18} {'measured':>12} {'with margin':>14} {'in force':>14}")
    print(*lines, sep="\n")
    return int(any("too low" in str(line) for line in lines))


if __name__ == "__main__":
    sys.exit(main())
