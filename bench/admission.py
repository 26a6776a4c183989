"""The pool: what admitting a transaction costs beyond its signature."""

from types import SimpleNamespace

from bench import clock
from bench.finding import Finding, Scale
from bench.world import GENESIS_HASH, World
from chain.execution import RuntimeJudge
from chain.pool import Pool, PoolLimits
from chain.verified import VerifiedSignatures


def measure_admission(world: World, scale: Scale) -> list[Finding]:
    """P11: decode, judge, order; the signature itself is V and left out."""
    count = min(scale.block, 2_000)
    transactions = world.transfers(count)
    tip = SimpleNamespace(block_id=GENESIS_HASH)
    chain = SimpleNamespace(state=world.state, height=world.height, tip=tip)

    def act() -> float:
        judge = RuntimeJudge(chain, GENESIS_HASH)  # type: ignore[arg-type]  # no disk is needed
        judge.load_prices()
        pool = Pool(judge, PoolLimits(count_max=count), VerifiedSignatures())

        def admit() -> None:
            for raw in transactions:
                pool.admit(pool.prepare(raw), is_signature_good=True)

        return clock.seconds_of(admit, is_alone=True)

    spent = clock.take_turns({"admit": act}, scale.rounds)["admit"]
    micro = spent.least / count * 1e6
    return [
        Finding.at_most("P11", "pool admission beyond V, us", micro, 60,
                        f"median {spent.median / count * 1e6:.1f}")
    ]  # fmt: skip
