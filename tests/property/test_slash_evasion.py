"""Whatever order an adversary chooses, slashing takes the same; and the walk notices when not."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from runtime.staking import fractions, ledger, slashing
from runtime.staking.nouns import StakingLedger
from tests.support.evasion import walk

EPISODE_STEPS = 800
SHORT_SEEDS = range(1, 6)
MUTANT_SEEDS = range(1, 40)
LONG_STEPS = 200_000


@pytest.mark.parametrize("seed", SHORT_SEEDS)
def test_no_order_of_steps_lowers_a_slash(seed: int) -> None:
    history = walk(seed, EPISODE_STEPS)
    assert history.books.payments


@pytest.mark.slow
def test_no_order_of_two_hundred_thousand_steps_lowers_a_slash() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 -- a failure is repeated with it
    payments = charged = 0
    for episode in range(LONG_STEPS // EPISODE_STEPS):
        history = walk(seed + episode, EPISODE_STEPS)
        payments += len(history.books.payments)
        charged += sum(1 for due in history.books.dues if due.nominators)
    assert payments > LONG_STEPS // EPISODE_STEPS
    assert charged > LONG_STEPS // EPISODE_STEPS


# Rules that are broken on purpose: the walk would be worth nothing if it did not notice


def withdraw_what_is_liable(bond: StakingLedger, *, era: int, liable: int) -> Any:
    del liable
    return WITHDRAW(bond, era=era, liable=0)


def take_only_active(bond: StakingLedger, amount: int) -> Any:
    part = min(amount, bond.active)
    return replace(bond, total=bond.total - part, active=bond.active - part), part


def unbond_too_soon(bond: StakingLedger, amount: int, *, era: int) -> Any:
    return UNBOND(bond, amount, era=era - 3)


def charge_every_report_anew(*, own: int, total: int, owed: int, fraction: Any) -> Any:
    del owed
    return fractions.charge(own=own, total=total, owed=0, fraction=fraction)


WITHDRAW, UNBOND = ledger.withdraw, ledger.unbond
MUTANTS = [
    (ledger, "withdraw", withdraw_what_is_liable),
    (ledger, "take", take_only_active),
    (ledger, "unbond", unbond_too_soon),
    (slashing, "charge", charge_every_report_anew),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "mutant"), MUTANTS, ids=[m[2].__name__ for m in MUTANTS]
)
def test_a_broken_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mutant: Any
) -> None:
    monkeypatch.setattr(module, name, mutant)
    for seed in MUTANT_SEEDS:
        try:
            walk(seed, EPISODE_STEPS)
        except AssertionError:
            return
    raise AssertionError(f"{mutant.__name__} lowers slashes and nobody noticed")
