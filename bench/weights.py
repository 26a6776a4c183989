"""`python -m bench.weights`: what each weight constant of the runtime costs when measured.

Every call runs through its Python module on the native store, with its worst inputs (a new
receiver, a sender that dies), the share of the state root included; least of the repeats. The
figure is scaled to a core on which libsodium verifies a signature in 53.5 microseconds, so that
the constants are of a reference machine and not of this one. A constant must be at least the
figure; a quarter above it is the custom. The table goes into `runtime/weights.py` as

    NAME: Final[Weight] = <microseconds> * MICROSECOND
"""

import sys
from collections.abc import Callable, Sequence

from bench import clock, machine
from bench.importing import timed_verification
from bench.world import GENESIS_HASH, RICHES, World, signers
from ext import hashing, signing
from runtime import weights
from runtime.possession import prove_possession
from runtime.primitives import AccountId
from runtime.session_keys import SessionKeys

REFERENCE_US = 53.5
"""Microseconds of a signature on the reference machine."""

CLOSES = False
COUNT = 1_000
ROUNDS = 9


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


def main() -> int:
    """Measure and print; a constant below its figure makes the status 1."""
    world = World.make(200_000, COUNT)
    calls = worst_calls(world)
    acts = {name: step_cost(world, transactions) for name, transactions in calls.items()}
    acts["V"] = timed_verification(world, [calls["nothing"]], is_alone=True)
    spent = clock.take_turns(acts, ROUNDS)
    micro = {name: times.least / COUNT * 1e6 for name, times in spent.items()}
    scale = REFERENCE_US / micro["V"]
    figures = {name: (cost - micro["nothing"]) * scale for name, cost in micro.items()}
    figures["nothing"] = micro["nothing"] * scale + REFERENCE_US
    figures["1000 * REMARK_PER_BYTE"] -= figures["REMARK_WITH_EVENT"]
    figures["10 * (ITEM + TRANSFER)"] -= figures["BATCH + ITEM + TRANSFER"]
    print("\n".join(machine.describe()))
    print(f"\nV here {micro['V']:.1f} us, figures scaled by {scale:.2f}\n")
    print(f"{'weight':26} {'figure us':>10} {'constant us':>12}")
    is_enough = True
    for name, constant in constants().items():
        is_enough = is_enough and constant >= figures[name]
        verdict = "" if constant >= figures[name] else "  TOO LITTLE"
        print(f"{name:26} {figures[name]:10.2f} {constant:12.2f}{verdict}")
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
