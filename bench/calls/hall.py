"""A bazaar with as many verifiers as a set has members: panels and juries have all their seats."""

from dataclasses import replace
from functools import cache
from typing import Any, Final
from unittest.mock import patch

from bench.stages import stop_wheel
from chain.market.training import Fraud, FraudKind, Plan, Trace, train
from ext import hashing, store
from runtime.executive import Executive
from runtime.genesis import build_genesis
from runtime.market.jobs.numbers import REQUESTER_STAKE
from runtime.market.nouns import JobSpec
from runtime.market.trainer import TrainerParams
from runtime.market.verification.numbers import BOND_MIN
from runtime.primitives import AccountId
from runtime.session import ValidatorRecord
from runtime.spec import ChainSpec, GenesisAccount
from tests.support.bazaar import Bazaar, trained
from tests.support.jobs import GRIST, PROVIDERS, REQUESTER, Key
from tests.support.runtime import Chain, spec_of, stranger
from tests.support.verification import LEAVES, Attempt

MEMBERS: Final = 100
"""Validators of the largest set: as many may verify at a time."""

SEATS: Final = tuple(sorted(stranger(500 + number) for number in range(MEMBERS)))
"""Who validates, and may verify."""

BOND: Final = BOND_MIN.default
DEAR: Final = 21_000 * GRIST
"""A price over which seven verifiers sit at first, and eleven at last."""

WIDE: Final = TrainerParams(32, 600, 8)
"""The largest model: its weights and steps are the dearest to show and to do again."""

PLAN: Final = Plan(WIDE, steps=64, checkpoints=32)
PLANTED: Final = Fraud(FraudKind.WRONG_CHECKPOINT, 1)


@cache
def run(fraud: Fraud | None = None) -> Trace:
    """Train the largest model; with a fraud one step is not what it should be."""
    return train(PLAN, LEAVES) if fraud is None else train(PLAN, LEAVES, fraud=fraud)


def wide(**changes: Any) -> JobSpec:
    """Give a job of the largest model."""
    return trained(**{"params": TrainerParams.wire.encode(WIDE), **changes})


@cache
def _spec() -> ChainSpec:
    members = tuple(
        ValidatorRecord(who, hashing.blake2b_256(b"v" + who), hashing.blake2b_256(b"r" + who), 1)
        for who in SEATS
    )
    people = tuple(GenesisAccount("", who, 1_000_000 * GRIST) for who in SEATS)
    return replace(spec_of("plain"), validators=members, schedule={}, accounts=people)


@cache
def _entries() -> tuple[tuple[bytes, bytes], ...]:
    return build_genesis(_spec()).entries


def _start(_: str) -> Chain:
    return Chain(store.State.from_entries(_entries()), Executive(), _spec())


class Hall(Bazaar):
    """The bazaar; whoever says so in time does what is due, and the wheel nothing."""

    def __init__(self, verifiers: int = MEMBERS, providers: int = 4) -> None:
        with patch.object(Chain, "start", staticmethod(_start)):
            super().__init__(verifiers=0, providers=providers)
        REQUESTER_STAKE.begin(self.runtime.ctx, 0)
        self.mint(REQUESTER.id, 10_000_000 * GRIST)
        for who in SEATS[:verifiers]:
            self.act(who, "Verification", "join", BOND)

    def enrich(self, who: Key) -> None:
        """Let a provider have a stake with which it may take the dearest jobs."""
        self.mint(who.id, 2_000_000 * GRIST)
        self.done(who, "Providers", "deposit_security", 1_000_000 * GRIST)

    def wait(self, blocks: int) -> None:
        """Let time pass in which the wheel does nothing."""
        for _ in range(blocks):
            stop_wheel(self)
            self.next()

    def wait_until(self, height: int) -> None:
        """Let time pass up to a height."""
        self.wait(height - self.height)

    def posted_job(self, spec: JobSpec, trace: Trace, price: int) -> tuple[int, Attempt]:
        """Let the first provider take a job at a price, and post a result."""
        who = PROVIDERS[0]
        id_ = self.submit(spec)
        self.take(id_, who, price)
        return id_, self.post_result(id_, who, trace)


def many(count: int, first: int = 8_000) -> list[AccountId]:
    """Give strangers."""
    return [stranger(first + number) for number in range(count)]
