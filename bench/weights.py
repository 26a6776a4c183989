"""`python -m bench.weights [WORD ...]`: what calls and hooks declare, and what they cost.

Every call runs through its Python module on the native store, with its worst inputs (a new
receiver, a sender that dies, a panel of eleven), the share of the state root included; least of the
repeats. The figure is scaled to a core on which libsodium verifies a signature in 53.5
microseconds, so that the constants are of a reference machine and not of this one.

    measured > 2 x declared            TOO LITTLE: full blocks are late everywhere
    declared > 8 x measured + 100 us   TOO MUCH: the fee keeps people from what costs nothing
    measured > declared                tight: raise it when you come by; a quarter above is usual

Of several cases of a call the dearest is judged. Those of the first two, and calls that have
neither a stage nor a reason why not, make the status 1.
The first table is of small calls, measured by the thousand; the second of those that need a story
(see `bench.stages`). With words only stages are played whose names have one of them.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from bench import clock, machine
from bench.calls import checks, court, data, jobs, people, polls, providers, stakes, state, wheel
from bench.importing import verification_alone
from bench.stages import PLAYS, REFERENCE_US, Row, find_wrong, play, staged_calls
from bench.world import GENESIS_HASH, RICHES, World, signers
from ext import hashing, signing
from runtime import weights
from runtime.executive import Executive
from runtime.possession import prove_possession
from runtime.primitives import AccountId
from runtime.session_keys import SessionKeys

CLOSES = False
COUNT = 1_000
ROUNDS = 9

SCRIPTS = (people, providers, data, jobs, checks, court, stakes, polls, state, wheel)
"""Where stages are declared."""

OTHERWISE: dict[str, str] = {
    "System.remark": "the first table has it, with what any transaction costs",
    "System.remark_with_event": "the first table has it",
    "Balances.transfer_allow_death": "the first table has it: a new receiver, a sender that dies",
    "Balances.transfer_keep_alive": "does less than a transfer that may end its sender",
    "Balances.transfer_all": "does what a transfer does that ends its sender",
    "Balances.burn": "the first table has it: the burner dies",
    "Utility.batch": "does what batch_all does, without its last check",
    "Utility.batch_all": "the first table has its frame and its items",
    "Session.set_keys": "the first table has it",
    "Session.purge_keys": "the first table has it, behind a registration in a batch",
    "Timestamp.set": "an inherent: the blocks of `python -m bench` have two each",
    "Authorship.note_context": "an inherent: the blocks of `python -m bench` have two each",
}
"""Calls without a stage, and why."""


def all_calls() -> list[str]:
    """Give every call of the runtime as `Module.call`."""
    entries = Executive().runtime.dispatcher.entries()
    return [f"{entry.module_name}.{entry.info.name}" for entry in entries]


def find_unmeasured() -> list[str]:
    """Give the calls that have neither a stage nor a reason why not."""
    staged = staged_calls()
    return [name for name in all_calls() if name not in staged and name not in OTHERWISE]


def step_cost(world: World, transactions: Sequence[bytes]) -> Callable[[], float]:
    """Give an act that times transactions in a block of their own, the root included."""

    def act() -> float:
        executive = world.executive
        overlay = world.state.overlay()
        executive.is_hot = False
        executive.initialize_block(overlay, world.context())
        for raw in world.body([]):
            executive.apply_inherent(raw)

        def run() -> None:
            executive.apply_many(transactions)
            overlay.root()

        return clock.seconds_of(run, is_alone=True)

    return act


def worst_calls(world: World) -> dict[str, list[bytes]]:
    """Give, by name, a call in its worst case for each of many signers."""
    encode = world.executive.runtime.dispatcher.encode
    fresh = [
        AccountId(hashing.blake2b_256(b"new" + at.to_bytes(4, "little"))) for at in range(COUNT)
    ]
    everything = RICHES - 2_000_000

    def signed(calls: Sequence[bytes]) -> list[bytes]:
        pairs = signers(COUNT)
        return [world.sign(pair, call, nonce=0) for pair, call in zip(pairs, calls, strict=True)]

    remark, kilobyte = (encode("System", "remark_with_event", b"r" * size) for size in (1, 1001))
    living = world.transfer(world.names[-1])
    batch = [encode("Utility", "batch_all", [living] * size) for size in (1, 11)]
    transfers = [encode("Balances", "transfer_allow_death", who, everything) for who in fresh]
    keys = [key_call(world, public, at) for at, (_, public) in enumerate(signers(COUNT))]
    purge = encode("Session", "purge_keys")
    return {
        "nothing": signed([encode("System", "remark", b"")] * COUNT),
        "TRANSFER": signed(transfers),
        "BURN": signed([encode("Balances", "burn", everything, CLOSES)] * COUNT),
        "REMARK_WITH_EVENT": signed([remark] * COUNT),
        "1000 * REMARK_PER_BYTE": signed([kilobyte] * COUNT),
        "BATCH + ITEM + TRANSFER": signed([batch[0]] * COUNT),
        "10 * (ITEM + TRANSFER)": signed([batch[1]] * COUNT),
        "SET_KEYS": signed(keys),
        "BATCH + 2 ITEM + KEYS": signed([encode("Utility", "batch_all", [k, purge]) for k in keys]),
    }


def key_call(world: World, who: bytes, number: int) -> bytes:
    """Encode a registration of session keys, with its proof."""
    seeds = [hashing.blake2b_256(kind + number.to_bytes(4, "little")) for kind in (b"c", b"v")]
    proof = prove_possession(
        genesis_hash=GENESIS_HASH, account=who, consensus_seed=seeds[0], vrf_seed=seeds[1]
    )
    keys = SessionKeys(*(signing.public_key(seed) for seed in seeds))
    return world.executive.runtime.dispatcher.encode("Session", "set_keys", keys, proof)


def constants() -> dict[str, float]:
    """Give what the runtime charges for the same things, in microseconds."""
    item = weights.BATCH_ITEM + weights.TRANSFER
    picoseconds = {
        "nothing": weights.EXTRINSIC_BASE + weights.REMARK,
        "TRANSFER": weights.TRANSFER,
        "BURN": weights.BURN,
        "REMARK_WITH_EVENT": weights.REMARK_WITH_EVENT,
        "1000 * REMARK_PER_BYTE": 1000 * weights.REMARK_PER_BYTE,
        "BATCH + ITEM + TRANSFER": weights.BATCH + item,
        "10 * (ITEM + TRANSFER)": 10 * item,
        "SET_KEYS": weights.SET_KEYS,
        "BATCH + 2 ITEM + KEYS": weights.BATCH
        + 2 * weights.BATCH_ITEM
        + weights.SET_KEYS
        + weights.PURGE_KEYS,
    }
    return {name: weight / weights.MICROSECOND for name, weight in picoseconds.items()}


def measure_small() -> list[Row]:
    """Measure the calls of the first table, a thousand at a time."""
    world = World.make(200_000, COUNT)
    calls = worst_calls(world)
    acts = {name: step_cost(world, transactions) for name, transactions in calls.items()}
    acts["V"] = verification_alone(world, calls["nothing"])
    spent = clock.take_turns(acts, ROUNDS)
    micro = {name: times.least / COUNT * 1e6 for name, times in spent.items()}
    scale = REFERENCE_US / micro["V"]
    figures = {name: (cost - micro["nothing"]) * scale for name, cost in micro.items()}
    figures["nothing"] = micro["nothing"] * scale + REFERENCE_US
    figures["1000 * REMARK_PER_BYTE"] -= figures["REMARK_WITH_EVENT"]
    figures["10 * (ITEM + TRANSFER)"] -= figures["BATCH + ITEM + TRANSFER"]
    return [Row(name, constant, figures[name]) for name, constant in constants().items()]


def measure_stages(words: Sequence[str]) -> Iterator[Row]:
    """Play the scripts that have a stage with one of these words, all without any."""
    for one in PLAYS:
        if not words or any(word in name for word in words for name in one.names):
            yield from play(one, ROUNDS * 4)


def say_row(row: Row) -> None:
    """Print a line of a table."""
    mark = "tight" if row.measured > row.declared else ""
    print(
        f"{row.name:52} {row.declared:9.1f} {row.measured:9.1f} {row.ratio:6.2f}  {mark}",
        flush=True,
    )


def main(words: Sequence[str]) -> int:
    """Measure and print; a weight that is wrong, or a call that is missing, makes the status 1."""
    print("\n".join(machine.describe()))
    print(f"\n{'microseconds, prepaid items apart':52} declared  measured  ratio")
    rows = []
    for row in chain([] if words else measure_small(), measure_stages(words)):
        say_row(row)
        rows.append(row)
    wrong = find_wrong(rows)
    for row in wrong:
        print(f"{row.name}: {row.verdict}")
    missing = find_unmeasured()
    for name in missing:
        print(f"{name}: NOT MEASURED; give it a stage, or say in bench/weights.py why it has none")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
