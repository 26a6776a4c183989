"""Stakes: a nominator of sixteen validators who was away for three eras, on full lists."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

from bench.stages import Stage, call, stages, vote
from runtime.balances import MintCause
from runtime.primitives import AccountId
from runtime.session_keys import SessionKeys
from runtime.staking.nouns import KICKS_MAX, STAKED, TARGETS_MAX, ValidatorPrefs
from tests.support.runtime import stranger
from tests.support.stakes import GRIST, PREFS, Backer, Stakes, nominator, validator

OWN: Final = 20_000 * GRIST
AWAY: Final = 3
"""Eras whose rewards are settled when the nominator comes back."""


def parliament(**changes: int) -> Any:
    """Give a chain of sixteen validators, all of whom one nominator backs, three eras on."""
    behind = dict.fromkeys(range(TARGETS_MAX), 1_000 * GRIST)
    chain = Stakes.begin([OWN] * TARGETS_MAX, [Backer(behind)], era_reward=GRIST, **changes)
    targets = tuple(validator(number) for number in range(TARGETS_MAX))
    for number, who in enumerate(targets):
        chain.open()
        keys = SessionKeys(bytes((number,)) * 32, bytes((number + 100,)) * 32)
        if not chain.runtime.session.has_keys(who):
            chain.runtime.session.register(who, keys)
        chain.close()
        chain.done(who, "validate", PREFS)
    chain.done(nominator(0), "nominate", targets)
    chain.blocks((AWAY + 2) * 8)
    chain.open()
    return SimpleNamespace(chain=chain, targets=targets)


def act(world: Any, who: AccountId, name: str, *arguments: Any) -> None:
    """Run a call of Staking that must be done, in the open block."""
    call(world, who, f"Staking.{name}", *arguments).run()


@stages(
    "Staking.bond",
    "Staking.bond_extra",
    "Staking.unbond",
    "Staking.rebond",
    "Staking.withdraw_unbonded",
    "Staking.set_payee",
    "Staking.nominate",
    "Staking.chill",
    "Staking.validate",
)
def nominations() -> Iterator[Stage]:
    """Play: the nominator changes what it has at stake, and behind whom."""
    world = parliament()
    who, chain = nominator(0), world.chain
    rich = stranger(9)
    chain.runtime.balances.mint(MintCause.GENESIS, rich, 100_000 * GRIST)
    yield call(world, rich, "Staking.bond", 50_000 * GRIST, STAKED)
    yield call(world, who, "Staking.bond_extra", GRIST)
    yield call(world, who, "Staking.unbond", GRIST)
    yield call(world, who, "Staking.set_payee", ("Account", rich))
    yield call(world, who, "Staking.nominate", world.targets[::-1])
    yield call(world, who, "Staking.chill")
    yield call(world, world.targets[0], "Staking.validate", ValidatorPrefs(10**7, blocked=True))
    act(world, who, "unbond", GRIST)
    yield call(world, who, "Staking.rebond", GRIST)
    for _ in range(8 * 6):
        chain.close()
        chain.open()
    chain.close()
    chain.free_unbonded()
    chain.open()
    yield call(world, who, "Staking.withdraw_unbonded", 0)


@stages("Staking.kick", "Staking.unjail", "Slashing.cancel_deferred_slash")
def discipline() -> Iterator[Stage]:
    """Play: a validator sends away as many as it may, one leaves jail, a slash is called off."""
    world = parliament()
    chain, first = world.chain, world.targets[0]
    voters = [stranger(3_000 + number) for number in range(KICKS_MAX)]
    for who in voters:
        chain.runtime.balances.mint(MintCause.GENESIS, who, 1_000 * GRIST)
        act(world, who, "bond", 100 * GRIST, STAKED)
        act(world, who, "nominate", (first,))
    yield call(world, first, "Staking.kick", tuple(voters))
    staking, jailed = chain.runtime.staking, world.targets[1]
    staking.chill_stash(jailed)
    staking.jailed_until[jailed] = 1
    yield call(world, jailed, "Staking.unjail")
    chain.close()
    chain.misbehave(2)
    chain.open()
    yield vote(world, "Slashing.cancel_deferred_slash", 0, b"r" * 64)
