"""The first state of a chain, built from its spec by the modules themselves."""

from dataclasses import dataclass
from typing import Final

from ext import hashing, store
from runtime.frame.context import NO_BLOCK
from runtime.primitives import GRAINS_PER_GRIST
from runtime.runtime import Runtime
from runtime.session import ValidatorRecord
from runtime.spec import ChainSpec, load_spec
from runtime.totals import encode_totals

TOKEN_SYMBOL: Final = "GRIST"  # noqa: S105 -- a coin, not a password
"""What wallets print behind an amount."""

TOKEN_DECIMALS: Final = len(str(GRAINS_PER_GRIST)) - 1
"""Digits behind the point that wallets print."""

RANDOMNESS_MARK: Final = b"gen"
"""Parts the randomness of genesis from any other hash."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first state and what its header says: entries ascending by key, first set, R(0), R(1)."""

    entries: tuple[tuple[bytes, bytes], ...]
    state_root: bytes
    validators: tuple[ValidatorRecord, ...]
    randomness: bytes
    next_randomness: bytes
    time_ms: int
    totals: bytes
    params_hash: bytes
    epoch_blocks: int


def genesis_randomness(seed: bytes, epoch: int) -> bytes:
    """Give R(0) or R(1): 32 bytes from the seed of the spec."""
    return hashing.blake2b_256(RANDOMNESS_MARK + seed + epoch.to_bytes(8, "big"))


def build_genesis(spec: ChainSpec) -> Genesis:
    """Build the first state; equal specs give equal entries."""
    runtime = Runtime()
    overlay = store.State.empty().overlay()
    runtime.ctx.enter(overlay, NO_BLOCK)
    first, second = (genesis_randomness(spec.seed, epoch) for epoch in (0, 1))
    runtime.system.genesis(chain_id=spec.id, params=spec.params)
    runtime.parameters.genesis(
        era_blocks=spec.era_epochs * spec.params.epoch_blocks, values=spec.parameters
    )
    runtime.timestamp.genesis(time_ms=spec.time_ms)
    runtime.balances.genesis(accounts=spec.amounts())
    runtime.vesting.genesis(grants=spec.allocation.grants(), passive=spec.allocation.passive())
    runtime.referenda.genesis(excluded=spec.allocation.passive())
    runtime.votes.genesis(holders=spec.votes)
    runtime.fees.genesis(schedule=spec.fees)
    runtime.emission.genesis(rules=spec.emission)
    runtime.session.genesis(validators=spec.validators, schedule=spec.schedule)
    if spec.staking is not None:
        runtime.staking.genesis(start=spec.staking)
    runtime.market.work_units.genesis(classes=spec.work.classes, frameworks=spec.work.frameworks)
    runtime.beacon.genesis(randomness=first, next_randomness=second)
    entries = tuple((key, value) for key, value in overlay.changes() if value is not None)
    return Genesis(
        entries,
        overlay.root(),
        spec.validators,
        first,
        second,
        spec.time_ms,
        encode_totals(runtime),
        runtime.system.params_hash(),
        spec.params.epoch_blocks,
    )


__all__ = [
    "TOKEN_DECIMALS",
    "TOKEN_SYMBOL",
    "ChainSpec",
    "Genesis",
    "build_genesis",
    "genesis_randomness",
    "load_spec",
]
