"""`python -m bench.jobs`: what jobs cost a block, call by call, and when many of them are due.

The life of a job is a submission, an offer taken, a start, eight heartbeats, two receipts of both
sides, a result and its acceptance. Calls run as transactions through execution, their signatures
aside; those of the other side on receipts are verified. The worst block is one in which ten
thousand running jobs are all found silent.
"""

import time
from dataclasses import replace
from importlib.resources import files
from typing import Any

from bench.finding import Finding, say
from bench.world import GENESIS_HASH
from ext import hashing, signing, store
from runtime.balances import MintCause
from runtime.block import SPEC_VERSION, BlockContext
from runtime.executive import Executive, make_inherents
from runtime.frame.errors import InvalidTransaction
from runtime.frame.origins import Signed
from runtime.genesis import build_genesis, load_spec
from runtime.market.jobs import JobReceipt
from runtime.market.nouns import JobKind, JobSpec, JobState, Verification
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.primitives import GRAINS_PER_GRIST, ZERO_HASH, AccountId
from runtime.transaction import IMMORTAL, decode_transaction, encode_transaction

CALLS_PER_SECOND = 3_000
"""The goal for the calls of a life, on average."""

BLOCK_MS_MAX = 250
"""A quarter of the second of work that a block has."""

JOBS = 10_000
"""Open jobs of a busy market."""

LIVES = 300
"""Lives that are timed."""

CLASS = 3
"""Processors: every spec with a market has them."""

REQUESTER_SEED, PROVIDER_SEED = b"r" * 32, b"p" * 32
STATE = hashing.blake2b_256(b"state")


class Yard:
    """A chain with one requester and one provider that has room for everything."""

    def __init__(self) -> None:
        spec = load_spec((files("genesis") / "dev.toml").read_text())
        genesis = build_genesis(spec)
        self.time_ms = spec.time_ms
        self.executive = Executive()
        self.runtime = self.executive.runtime
        self.jobs = self.runtime.market.jobs
        self.state = store.State.from_entries(genesis.entries)
        self.height = 0
        self.requester = AccountId(signing.public_key(REQUESTER_SEED))
        self.provider = AccountId(signing.public_key(PROVIDER_SEED))
        self.nonces = {self.requester: 0, self.provider: 0}
        self.open()
        self.equip()

    def open(self) -> float:
        """Begin the next block, and give the seconds of its hooks."""
        self.height += 1
        self.overlay = self.state.overlay()
        self.runtime.ctx.enter(self.overlay, replace(self.runtime.ctx.block, height=self.height))
        members = self.runtime.session.next_set or self.runtime.session.current_set
        block = BlockContext(
            genesis_hash=GENESIS_HASH,
            height=self.height,
            parent_hash=bytes(32),
            time_ms=self.time_ms + self.height * 1_000,
            spec_version=SPEC_VERSION,
            proposer=members[self.height % len(members)].account,
            entropy=hashing.blake2b_256(self.height.to_bytes(4, "little")),
            last_commit=(True,) * len(members) if self.height > 1 else (),
        )
        start = time.process_time()
        self.executive.initialize_block(self.overlay, block)
        spent = time.process_time() - start
        for raw in make_inherents(self.runtime, block):
            self.executive.apply_inherent(raw)
        return spent

    def close(self) -> None:
        """Finish the block."""
        self.executive.finalize_block()
        self.state.commit(self.overlay)

    def equip(self) -> None:
        """Make both rich, and the provider large."""
        for who in self.nonces:
            self.runtime.balances.mint(MintCause.GENESIS, who, 50_000_000 * GRAINS_PER_GRIST)
        providers, origin = self.runtime.market.providers, Signed(self.provider)
        terms = Terms((ClassCapacity(CLASS, 10 * JOBS),), b"here", ZERO_HASH, self.provider, 0)
        providers.register(origin, terms, None)
        providers.deposit_security(origin, 10_000 * GRAINS_PER_GRIST)
        providers.set_offer(origin, CLASS, GRAINS_PER_GRIST // 20)

    def apply(self, who: AccountId, name: str, *arguments: Any) -> float:
        """Run a call as a transaction, in the next block if this one is full; gives seconds."""
        raw = encode_transaction(
            era=IMMORTAL,
            nonce=self.nonces[who],
            tip=0,
            signature=bytes(64),
            signer=who,
            call=self.runtime.dispatcher.encode("Jobs", name, *arguments),
        )
        self.nonces[who] += 1
        transaction = decode_transaction(raw)
        while True:
            start = time.process_time()
            try:
                is_done = self.executive.apply_transaction(transaction)
            except InvalidTransaction:
                self.close()
                self.open()
                continue
            if not is_done:
                raise RuntimeError(f"{name}: {self.executive.last_error.hex()}")
            return time.process_time() - start

    def receipt(self, id_: int, checkpoint: int) -> tuple[JobReceipt, bytes]:
        """Give a receipt and the requester's signature of it."""
        receipt = JobReceipt(
            GENESIS_HASH, id_, 0, checkpoint, ZERO_HASH, STATE, STATE, 0, ZERO_HASH
        )
        return receipt, signing.sign(REQUESTER_SEED, receipt.message())


SPEC = JobSpec(
    kind=JobKind.TRAIN,
    verification=Verification.ACCEPTANCE,
    replicas=1,
    program=ZERO_HASH,
    params=b"",
    image=ZERO_HASH,
    datasets=(),
    class_id=CLASS,
    units=1_000,
    checkpoints=32,
    steps=64,
    run_blocks=50_000,
    heartbeat=100,
    tolerance=3,
    max_price=100 * GRAINS_PER_GRIST,
    min_tier=1,
)


def live(yard: Yard, costs: dict[str, list[float]]) -> None:
    """Go through the life of a job, and note the seconds of each call by its name."""

    def note(who: AccountId, name: str, *arguments: Any) -> None:
        costs.setdefault(name, []).append(yard.apply(who, name, *arguments))

    id_ = yard.jobs.job_count
    note(yard.requester, "submit", SPEC, None, None, None)
    note(yard.requester, "take_offer", id_, yard.provider)
    note(yard.provider, "start", id_, *yard.receipt(id_, 0))
    for _ in range(8):
        note(yard.provider, "heartbeat", id_)
    for checkpoint in (10, 20):
        note(yard.provider, "post_receipt", id_, *yard.receipt(id_, checkpoint))
    note(yard.provider, "complete", id_, ZERO_HASH, ZERO_HASH, 1)
    note(yard.requester, "accept", id_)


def measure_calls() -> list[Finding]:
    """Time the calls of many lives; the median of each counts."""
    yard, costs = Yard(), dict[str, list[float]]()
    for _ in range(LIVES):
        live(yard, costs)
    typical = {name: sorted(spent)[len(spent) // 2] for name, spent in costs.items()}
    total = sum(typical[name] * len(spent) for name, spent in costs.items())
    count = sum(len(spent) for spent in costs.values())
    detail = ", ".join(f"{name} {cost * 1e6:.0f}" for name, cost in typical.items())
    rate = count / total
    return [Finding.at_least("J1", "job calls a second", rate, CALLS_PER_SECOND, f"us: {detail}")]


def measure_blocks() -> list[Finding]:
    """Time the hooks of blocks with many running jobs, and of those in which they fail."""
    yard = Yard()
    for id_ in range(JOBS):
        yard.apply(yard.requester, "submit", SPEC, yard.provider, None, None)
        yard.apply(yard.provider, "start", id_, *yard.receipt(id_, 0))
    quiet, busy = [], []
    while yard.jobs.find(0).state is JobState.RUNNING:  # type: ignore[union-attr]  # it is there
        yard.close()
        quiet.append(yard.open())
    for _ in range(60):
        yard.close()
        busy.append(yard.open())
    quiet = quiet[: len(quiet) - 1]
    return [
        Finding.at_most("J2", "hooks with 10,000 running jobs, ms", max(quiet) * 1e3, BLOCK_MS_MAX),
        Finding.at_most("J3", "hooks when all of them fail, ms", max(busy) * 1e3, BLOCK_MS_MAX),
    ]


def main() -> None:
    """Measure, and print."""
    say(measure_calls())
    say(measure_blocks())


if __name__ == "__main__":
    main()
