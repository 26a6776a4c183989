"""The election of an era inside the runtime: what a block of the last epoch bears of it.

The chain has the public pace, 1,800 blocks an epoch, and an election in every epoch. Candidates,
nominators and their names are made up; all nominations fall on the first `crowd` candidates.
"""

import gc
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from bench.election import CANDIDATES, SEATS, SECONDS_MAX, TARGETS, measure_election
from bench.finding import Finding, Scale
from bench.world import GENESIS_HASH
from ext import hashing, store
from runtime.balances import MintCause
from runtime.block import SPEC_VERSION, BlockContext
from runtime.executive import Executive, make_inherents
from runtime.frame.context import NO_BLOCK
from runtime.frame.origins import Signed
from runtime.genesis import build_genesis, load_spec
from runtime.primitives import GRAINS_PER_GRIST, AccountId
from runtime.session_keys import SessionKeys
from runtime.spec import ChainSpec
from runtime.staking.ballot import Phase
from runtime.staking.nouns import STAKED, ValidatorPrefs

EPOCH_BLOCKS = 1_800
"""Blocks of the public network's epoch."""

BLOCK_MS_MAX = 20
"""A block of the public network has two seconds; an election may take a hundredth of them."""

FLATNESS_MAX = 1.5
"""The worst block with all nominators against the worst with a quarter of them."""

REPEATS = 3
"""How often an election is held from the same state."""

CROWDED = 120
"""Hardest of all: most nominations share in the result, so most has to be written."""


@dataclass(frozen=True, slots=True)
class PacedElection:
    """One election: seconds of its hook in all blocks, by phase, and in the worst block."""

    voters: int
    crowd: int
    winners: int
    blocks: int
    total: float
    worst: float
    worst_phase: Phase
    by_phase: dict[Phase, float]


def read_spec(voters: int, epoch_blocks: int) -> ChainSpec:
    """Give a spec of the public pace with room for all."""
    text = (files("genesis") / "test.toml").read_text()
    head, _, tail = text.partition("[[schedule]]")
    text = head + tail[tail.index("[[accounts]]") :]
    for name, value in {
        "epoch_blocks": epoch_blocks,
        "era_epochs": 1,
        "seats": SEATS,
        "voters_max": voters,
        "candidates_max": CANDIDATES + 4,
    }.items():
        lines = text.splitlines()
        text = "\n".join(f"{name} = {value}" if x.startswith(f"{name} =") else x for x in lines)
    return load_spec(text)


def account(kind: bytes, number: int) -> AccountId:
    """Give a made-up account."""
    return AccountId(hashing.blake2b_256(kind + number.to_bytes(4, "little")))


def populate(executive: Executive, state: store.State, voters: int, crowd: int) -> None:
    """Bond candidates and nominators into a state, as calls would."""
    runtime, noise = executive.runtime, random.Random(11)
    overlay = state.overlay()
    runtime.ctx.enter(overlay, NO_BLOCK)
    staking = runtime.staking
    names = [account(b"candidate", number) for number in range(CANDIDATES)]

    def bond(who: AccountId, grist: int) -> None:
        runtime.balances.mint(MintCause.GENESIS, who, (grist + 1) * GRAINS_PER_GRIST)
        staking.bond(Signed(who), grist * GRAINS_PER_GRIST, STAKED)

    for who in names:
        keys = SessionKeys(hashing.blake2b_256(b"c" + who), hashing.blake2b_256(b"v" + who))
        bond(who, noise.randrange(10_000, 20_000))
        runtime.session.register(who, keys)
        staking.validate(Signed(who), ValidatorPrefs(0, blocked=False))
    for number in range(voters):
        who = account(b"voter", number)
        bond(who, noise.randrange(10, 20_000))
        staking.nominate(Signed(who), tuple(noise.sample(names[:crowd], TARGETS)))
    runtime.ctx.take_events()
    state.commit(overlay)


def hold(
    voters: int, crowd: int, epoch_blocks: int = EPOCH_BLOCKS, repeats: int = REPEATS
) -> PacedElection:
    """Hold the first election of a chain, block by block, and time its hook.

    It is held several times from the same state; the least counts for each block.
    """
    genesis = build_genesis(read_spec(voters, epoch_blocks))
    state = store.State.from_entries(genesis.entries)
    populate(Executive(), state, voters, crowd)
    entries = list(state.entries())
    members = [member.account for member in genesis.validators]
    runs = []
    for _ in range(repeats):
        stopwatch = Stopwatch(Executive())
        gc.collect()
        gc.disable()
        stopwatch.run(store.State.from_entries(entries), genesis.time_ms, members, epoch_blocks)
        gc.enable()
        runs.append(stopwatch)
    spent = [min(seconds) for seconds in zip(*(run.spent for run in runs), strict=True)]
    phases = runs[0].phases
    by_phase: dict[Phase, float] = {}
    for seconds, at in zip(spent, phases, strict=True):
        by_phase[at] = by_phase.get(at, 0) + seconds
    worst = max(range(len(spent)), key=lambda at: spent[at])
    return PacedElection(
        voters=voters,
        crowd=crowd,
        winners=runs[0].winners,
        blocks=len(spent),
        total=sum(spent),
        worst=spent[worst],
        worst_phase=phases[worst],
        by_phase=by_phase,
    )


class Stopwatch:
    """An executive whose election hook is timed, in every block."""

    def __init__(self, executive: Executive) -> None:
        self.executive = executive
        self.spent: list[float] = []
        self.phases: list[Phase] = []
        self.winners = 0
        elections = executive.runtime.elections
        self._hook = elections.on_initialize
        elections.on_initialize = self._timed  # type: ignore[method-assign]  # the stopwatch

    def run(
        self, state: store.State, start_ms: int, members: Sequence[AccountId], length: int
    ) -> None:
        """Make empty blocks until the election is ready."""
        elections, height = self.executive.runtime.elections, 0
        while not self.winners and height < length:
            height += 1
            overlay, block = state.overlay(), context(height, start_ms, members)
            body = make_inherents(self.executive.runtime, block)
            self.executive.execute_block(overlay, block, body)
            if elections.progress.phase is Phase.READY:
                self.winners = len(elections.winners)
            state.commit(overlay)

    def _timed(self) -> int:
        begin = time.process_time()
        weight = self._hook()
        self.spent.append(time.process_time() - begin)
        self.phases.append(self.executive.runtime.elections.progress.phase)
        return weight


def context(height: int, start_ms: int, members: Sequence[AccountId]) -> BlockContext:
    """Give the context of an empty block that everybody signed."""
    return BlockContext(
        genesis_hash=GENESIS_HASH,
        height=height,
        parent_hash=hashing.blake2b_256(height.to_bytes(8, "little")),
        time_ms=start_ms + 2_000 * height,
        spec_version=SPEC_VERSION,
        proposer=members[height % len(members)],
        entropy=hashing.blake2b_256(height.to_bytes(8, "big")),
        last_commit=(True,) * len(members) if height > 1 else (),
    )


def measure_eras(scale: Scale) -> list[Finding]:
    """S1 to S3: the whole election in the core, and the blocks of one in the runtime."""
    core = max(measure_election(min(scale.rounds, 5)), key=lambda one: one.total)
    few, many = (hold(count, CANDIDATES) for count in (scale.voters // 4, scale.voters))
    crowded = hold(scale.voters, CROWDED)
    if {one.winners for one in (few, many, crowded)} != {SEATS}:
        raise AssertionError("an election of a benchmark must end in its epoch")
    worst = max((few, many, crowded), key=lambda one: one.worst)
    return [
        Finding.at_most(
            "S1",
            f"an election in the core, {CANDIDATES:,} and 20,000 x {TARGETS}, s",
            core.total,
            SECONDS_MAX,
            f"all on {core.crowd:,}: snapshot {core.snapshot.least:.2f}, {SEATS} rounds"
            f" {core.rounds.least:.2f}, supports {core.supports.least:.2f}",
        ),
        Finding.at_most(
            "S2",
            f"worst block of an election, {scale.voters:,} nominators, ms",
            worst.worst * 1e3,
            BLOCK_MS_MAX,
            f"{worst.worst_phase.name}; {crowded.total:.1f} s in {crowded.blocks:,} blocks in all,"
            " paying and writing included",
        ),
        Finding.at_most(
            "S3",
            f"worst block, {many.voters:,} / {few.voters:,} nominators",
            many.worst / few.worst,
            FLATNESS_MAX,
            f"{many.worst * 1e3:.1f} and {few.worst * 1e3:.1f} ms",
        ),
    ]


if __name__ == "__main__":
    for crowd in (CANDIDATES, 300, CROWDED, 30):
        for voters in (5_000, 10_000, 20_000):
            one = hold(voters, crowd)
            parts = ", ".join(f"{at.name.lower()} {s:.2f}" for at, s in one.by_phase.items())
            print(
                f"{voters:6,} x {TARGETS} on {crowd:5,}: worst block {one.worst * 1e3:4.1f} ms,"
                f" {one.total:.2f} s in {one.blocks:,} blocks ({parts})",
                flush=True,
            )
