"""The market at its size: ten thousand open jobs, a thousand providers, and a block's worst hooks.

    M1   job calls a second through execution, and the slowest of them        (see `bench.jobs`)
    M2   a block whose hooks do all that jobs on the wheel let them
    M3   a block whose hooks end as many disputes as they may
    M4   the start of an era in which as many jobs are rewarded as an era holds
    M5   what these hooks may cost by the weights that bound them

The states are built by calls. A quarter of a development block's weight is what hooks may cost.
"""

import time
import tomllib
from importlib.resources import files
from typing import Final

from bench.finding import Finding, say
from bench.jobs import CLASS, SPEC, Yard, measure_calls
from ext import hashing
from runtime import weights
from runtime.balances import MintCause
from runtime.emission.reading import read_emission
from runtime.frame.origins import Signed
from runtime.genesis import load_spec
from runtime.market import rewards
from runtime.market.disputes.module import ENDS_MAX
from runtime.market.disputes.nouns import MOVE
from runtime.market.jobs.numbers import WORK_MAX
from runtime.market.nouns import JobState
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.market.verification.numbers import STEPS_MAX, WEIGHT_CONCLUDE
from runtime.primitives import GRAINS_PER_GRIST, ZERO_HASH, AccountId
from runtime.section import Section

JOBS: Final = 10_000
"""Open jobs of a busy market."""

PROVIDERS: Final = 1_000
"""Providers of a busy market."""

DISPUTES: Final = 512
"""Disputes whose provider is silent: twice what a block takes off the wheel."""

BUSY_BLOCKS: Final = 40
"""Blocks that are watched after everything fell due; what waits comes by in all of them."""

HOOKS_SHARE: Final = 4
"""Hooks may cost a quarter of a block."""


def budget_us() -> float:
    """Give a quarter of the weight of a development block, in microseconds."""
    spec = load_spec((files("genesis") / "dev.toml").read_text())
    return spec.params.block_weight_max / HOOKS_SHARE / weights.MICROSECOND


class Fair(Yard):
    """A chain with a thousand providers that each run some of the jobs."""

    def __init__(self, providers: int = PROVIDERS) -> None:
        super().__init__()
        self.sellers = [_name(number) for number in range(providers)]
        for number, who in enumerate(self.sellers):
            self._register(who, number)

    def _register(self, who: AccountId, number: int) -> None:
        self.runtime.balances.mint(MintCause.GENESIS, who, 100_000 * GRAINS_PER_GRIST)
        providers, origin = self.runtime.market.providers, Signed(who)
        here = hashing.blake2b_256(b"here" + number.to_bytes(4, "little"))
        providers.register(origin, Terms((ClassCapacity(CLASS, JOBS),), b"", here, who, 0), None)
        providers.deposit_security(origin, 10_000 * GRAINS_PER_GRIST)
        providers.set_offer(origin, CLASS, GRAINS_PER_GRIST // 20)
        self.nonces[who] = 0

    def run_jobs(self, count: int) -> None:
        """Let so many jobs run, by all providers in turn."""
        for _ in range(count):
            id_ = self.jobs.job_count
            seller = self.sellers[id_ % len(self.sellers)]
            self.apply(self.requester, "submit", SPEC, seller, None, None)
            self.apply(seller, "start", id_, *self.receipt(id_, 0))

    def worst(self, blocks: int) -> float:
        """Give the milliseconds of the dearest hooks of so many blocks."""
        spent = []
        for _ in range(blocks):
            self.close()
            spent.append(self.open())
        return max(spent) * 1e3

    def stands(self, id_: int) -> JobState:
        """Give the state of a job that is there."""
        job = self.jobs.find(id_)
        if job is None:
            raise RuntimeError(f"job {id_} is gone")
        return job.state


def _name(number: int) -> AccountId:
    return AccountId(hashing.blake2b_256(b"seller" + number.to_bytes(4, "little")))


def measure_silence() -> Finding:
    """Give the worst block when ten thousand running jobs fall silent, a thousand at a height."""
    fair = Fair()
    fair.run_jobs(JOBS)
    while fair.stands(0) is JobState.RUNNING:
        fair.close()
        fair.open()
    most = budget_us() / 1e3
    return Finding.at_most("M2", "hooks when 10,000 jobs fail, ms", fair.worst(BUSY_BLOCKS), most)


def measure_disputes() -> Finding:
    """Give the worst block when the providers of many disputed jobs are silent at once."""
    fair = Fair(100)
    fair.run_jobs(DISPUTES)
    disputes = fair.runtime.market.disputes
    for id_ in range(DISPUTES):
        seller = fair.sellers[id_ % len(fair.sellers)]
        fair.apply(seller, "complete", id_, ZERO_HASH, ZERO_HASH, 1)
    fair.close()
    fair.open()
    for id_ in range(DISPUTES):
        disputes.challenge(Signed(fair.requester), id_, SPEC.checkpoints - 1)
    before = disputes.deposits
    fair.worst(MOVE.read(fair.runtime.ctx))
    spent = fair.worst(BUSY_BLOCKS)
    if not disputes.deposits < before:
        raise RuntimeError("no dispute ended")
    return Finding.at_most("M3", "hooks when 512 disputes are silent, ms", spent, budget_us() / 1e3)


def measure_era() -> Finding:
    """Give the worst block of an era that pays for as many jobs as an era may hold."""
    fair = Fair(20)
    table = tomllib.loads((files("genesis") / "public.toml").read_text())["emission"]
    issued = fair.runtime.balances.total_issuance
    fair.runtime.emission.genesis(rules=read_emission(Section(table, "emission"), issued=issued))
    numbers = fair.runtime.parameters
    fair.worst(numbers.era_start(numbers.era() + 1) - fair.height)
    most = rewards.PAID_PER_BLOCK * (numbers.era_blocks - 1) // rewards.STEPS_PER_ENTRY
    for id_ in range(most):
        fair.run_jobs(1)
        seller = fair.sellers[id_ % len(fair.sellers)]
        fair.apply(seller, "complete", id_, ZERO_HASH, ZERO_HASH, 1)
        fair.apply(fair.requester, "accept", id_)
    noted = fair.runtime.market.rewards.share_counts[numbers.era()]
    fair.worst(numbers.era_start(numbers.era() + 1) - fair.height - 1)
    spent = fair.worst(BUSY_BLOCKS)
    quantity = f"hooks of an era that pays {noted} jobs, ms"
    return Finding.at_most("M4", quantity, spent, budget_us() / 1e3)


def measure_weights() -> Finding:
    """Give what bounds the hooks of the market in a block, by declared weights."""
    payout = rewards.PAID_PER_BLOCK * rewards.WEIGHT_WEIGH
    panels = STEPS_MAX * 3 * WEIGHT_CONCLUDE // 4  # the rest of it is for what a call reads
    bound = WORK_MAX + ENDS_MAX - weights.BLOCK_BASE + panels + payout
    return Finding.at_most("M5", "hooks by weight, us", bound / weights.MICROSECOND, budget_us())


def measure_market() -> list[Finding]:
    """Give all findings."""
    calls = measure_calls()
    return [*calls, measure_silence(), measure_disputes(), measure_era(), measure_weights()]


def main() -> None:
    """Measure, and print."""
    for act in (measure_silence, measure_disputes, measure_era, measure_weights):
        start = time.process_time()
        say([act()])
        print(f"     {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    main()
