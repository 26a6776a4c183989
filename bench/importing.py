"""Blocks: import, replay and commit, against the verification of the same signatures (V)."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from tempfile import TemporaryDirectory

import plyvel

from bench import clock, machine
from bench.finding import Finding, Scale
from bench.world import World, import_blocks, signature_items
from ext import signing, store

Blocks = Sequence[Sequence[bytes]]
KEEP_ALIVE = True
REPLAY_PIECES = 20
"""What a replay must be faster than V: so many pieces of V are each as long as a replay."""


def timed_import(
    world: World, blocks: Blocks, work: list[float], *, is_hot: bool
) -> Callable[[], float]:
    """Give an act that imports blocks, undoes them, and says how long the import took.

    What the cores worked for it is added to `work`.
    """

    def act() -> float:
        undo: list[store.Difference] = []

        def run() -> None:
            undo.extend(import_blocks(world, blocks, is_hot=is_hot))

        spent = clock.both_of(run, work)
        world.go_back(undo)
        return spent

    return act


def timed_replay(world: World, block: Sequence[bytes], *, is_hot: bool) -> Callable[[], float]:
    """Give an act that executes and commits a block, no signature read, and undoes it."""

    def act() -> float:
        undo: list[store.Difference] = []
        spent = clock.seconds_of(
            lambda: undo.append(world.run(block, is_hot=is_hot)), is_alone=True
        )
        world.go_back(undo)
        return spent

    return act


def timed_verification(world: World, blocks: Blocks) -> Callable[[], float]:
    """Give the baseline V: the signatures of the blocks through libsodium, nothing else."""
    items = [item for block in blocks for item in signature_items(world, block)]

    def verify() -> None:
        signing.verify_many(items)

    return lambda: clock.seconds_of(verify)


def verification_alone(world: World, block: Sequence[bytes]) -> Callable[[], float]:
    """Give V on one core, in pieces about as long as the native replay of the block."""
    items = signature_items(world, block)
    size = max(1, len(items) // REPLAY_PIECES)
    pieces = [
        partial(signing.verify_many, items[start : start + size])
        for start in range(0, len(items), size)
    ]
    least: list[float] = []
    return lambda: clock.in_pieces(pieces, least)


def measure_import(world: World, scale: Scale) -> list[Finding]:
    """P1: import on all cores, the next block being verified while one is executed."""
    blocks = [world.transfers(scale.block, nonce=at) for at in range(scale.chain)]
    work: dict[str, list[float]] = {"V": [], "native": [], "modules": []}
    verify = timed_verification(world, blocks)
    spent = clock.take_turns(
        {
            "V": lambda: clock.both_of(verify, work["V"]),
            "native": timed_import(world, blocks, work["native"], is_hot=True),
            "modules": timed_import(world, blocks, work["modules"], is_hot=False),
        },
        scale.rounds,
    )
    count = scale.block * scale.chain
    detail = (
        f"{len(world.names):,} accounts, {scale.chain} blocks of {scale.block:,}; V "
        f"{spent['V'].least / count * 1e6:.1f} us (median {spent['V'].median / count * 1e6:.1f})"
    )
    return [
        Finding.at_most(
            "P1",
            f"import / V, {label}",
            clock.ratio(spent[key], spent["V"]),
            most,
            f"by work of the cores {min(work[key]) / min(work['V']):.3f}, median "
            f"{spent[key].median / spent['V'].median:.3f}; {detail}",
        )
        for key, label, most in (
            ("native", "hot calls native", 1.10),
            ("modules", "through Python modules", 1.15),
        )
    ]


def measure_replay(world: World, scale: Scale) -> list[Finding]:
    """P2: verification against replay without signatures, both on one core.

    Both sides are the least of as many rounds, V piece by piece (see `clock.in_pieces`): as one
    act it would hardly ever be undisturbed, which would flatter the replay. A round costs little,
    so there are twice as many as elsewhere.
    """
    block = world.transfers(scale.block)
    cores = machine.use_one_core()
    spent = clock.take_turns(
        {
            "V": verification_alone(world, block),
            "native": timed_replay(world, block, is_hot=True),
            "modules": timed_replay(world, block, is_hot=False),
        },
        2 * scale.rounds,
    )
    machine.use_cores(cores)
    findings = []
    for key, label, least in (
        ("native", "hot calls native", 20),
        ("modules", "through Python modules", 10),
    ):
        micro = spent[key].least / scale.block * 1e6
        findings.append(
            Finding.at_least(
                "P2",
                f"V / replay, {label}",
                clock.ratio(spent["V"], spent[key]),
                least,
                f"{micro:.2f} us a transfer, {1e6 / micro:,.0f} a second, its median "
                f"{spent[key].median / scale.block * 1e6:.2f} us; V "
                f"{spent['V'].least / scale.block * 1e6:.1f} us",
            )
        )
    return findings


def measure_calls(world: World, scale: Scale) -> list[Finding]:
    """P3: executions a second through the Python modules, signatures and roots aside."""
    encode = world.executive.runtime.dispatcher.encode
    target = world.names[-1]
    calls = {
        "transfer": world.transfer(target),
        "burn": encode("Balances", "burn", 1_000, KEEP_ALIVE),
        "remark_with_event": encode("System", "remark_with_event", b"r" * 100),
        "batch of 10 transfers": encode(
            "Utility", "batch_all", [world.transfer(target) for _ in range(10)]
        ),
    }
    count = min(scale.block, 1_000)
    world.executive.is_hot = False
    acts = {
        name: _timed_calls(world, world.transfers(count, call=call)) for name, call in calls.items()
    }
    spent = clock.take_turns(acts, scale.rounds)
    rates = {name: count / times.least for name, times in spent.items()}
    heaviest = min(rates, key=rates.__getitem__)
    listed = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return [
        Finding.at_least("P3", "transfers a second, modules", rates["transfer"], 50_000, listed),
        Finding.at_least("P3", f"heaviest call a second ({heaviest})", rates[heaviest], 3_000),
    ]


def _timed_calls(world: World, transactions: Sequence[bytes]) -> Callable[[], float]:
    def act() -> float:
        executive = world.executive
        executive.is_hot = False
        executive.initialize_block(world.state.overlay(), world.context())
        for raw in world.body([]):
            executive.apply_inherent(raw)
        return clock.seconds_of(lambda: executive.apply_many(transactions), is_alone=True)

    return act


def measure_commit(world: World, scale: Scale) -> list[Finding]:
    """P9: the share of the commit, a synced write of one blob included, and its bytes."""
    block = world.transfers(scale.block)
    items = signature_items(world, block)
    commits: list[float] = []
    imports: list[float] = []
    sizes: list[float] = []
    with TemporaryDirectory() as folder:
        database = plyvel.DB(f"{folder}/db", create_if_missing=True)
        for number in range(scale.rounds):
            imports.append(clock.seconds_of(lambda: signing.verify_many(items)))
            overlay = world.state.overlay()
            world.executive.is_hot = True
            start = time.perf_counter()
            world.executive.execute_block(overlay, world.context(), world.body(block))
            imports[-1] += time.perf_counter() - start
            touched = sum(key.startswith(store.ACCOUNT_PREFIX) for key, _ in overlay.changes())
            start = time.perf_counter()
            difference = world.state.commit(overlay)
            database.put(b"%d" % number, b"".join(difference), sync=True)
            commits.append(time.perf_counter() - start)
            world.state.apply_difference(difference.reverse)
            sizes.append(len(difference.forward) / touched)
        database.close()
    share = 100 * min(commits) / (min(imports) + min(commits))
    return [
        Finding.at_most(
            "P9", "commit, per cent of import", share, 5, f"{min(commits) * 1e3:.1f} ms a block"
        ),
        Finding.at_most("P9", "logged bytes per touched account", max(sizes), 64),
    ]


def import_cost(world: World, count: int, rounds: int) -> clock.Times:
    """Time verifying, executing and committing one block, nothing overlapping."""
    block = world.transfers(count)
    acts = {"import": timed_import(world, [block], [], is_hot=True)}
    return clock.take_turns(acts, rounds)["import"]
