"""What votes set and pay, and what vests: the modules of the constitution and of the treasury."""

from collections.abc import Iterator
from typing import Final

from bench.calls.people import Desk
from bench.stages import Stage, call, stages, vote
from runtime.balances import TREASURY, MintCause
from runtime.primitives import AccountId
from runtime.staking.nouns import STAKED
from runtime.treasury.nouns import TRANCHES_MAX
from runtime.vesting.module import GRANTS_MAX
from tests.support.emission import public_table, rules_of
from tests.support.governance import GRIST, Polls, as_root
from tests.support.runtime import person, stranger

BOB, DAVE, EVE, CHARLIE = (person(name) for name in ("Bob", "Dave", "Eve", "Charlie"))
DATASETS: Final = 32
"""The number of a module that may be paused."""


@stages(
    "Parameters.set",
    "System.schedule_version",
    "System.cancel_version",
    "Safety.freeze",
    "Safety.unfreeze",
    "Emission.set_split",
    "Votes.send",
)
def constitution() -> Iterator[Stage]:
    """Votes move numbers, versions, pauses and splits."""
    desk = Desk()
    yield vote(desk, "Parameters.set", "fees.burn_share", 450_000_000)
    coming = (2, b"h" * 32, 100_000)
    yield vote(desk, "System.schedule_version", *coming)
    as_root(desk.chain, "System", "schedule_version", *coming)
    yield vote(desk, "System.cancel_version")
    yield vote(desk, "Safety.freeze", DATASETS, 1)
    as_root(desk.chain, "Safety", "freeze", DATASETS, 5)
    yield vote(desk, "Safety.unfreeze", DATASETS)
    runtime = desk.chain.runtime
    runtime.emission.genesis(rules=rules_of(public_table(), issued=6_000_000 * GRIST))
    first = runtime.emission.rules.plan.phases[0].shares
    moved = (first[0] - 10**7, first[1] + 10**7, *first[2:])
    yield vote(desk, "Emission.set_split", 0, *moved)
    runtime.votes.genesis(holders=[(BOB, 10**18)])
    yield call(desk, BOB, "Votes.send", stranger(1), 10**17)


@stages(
    "Treasury.spend",
    "Treasury.grant",
    "Treasury.stream",
    "Treasury.envelope",
    "Treasury.accept_curator",
    "Treasury.release_milestone",
    "Treasury.stop",
    "Treasury.grant_bounty",
)
def treasury() -> Iterator[Stage]:
    """Payments at once, by milestones, by eras and out of envelopes."""
    polls = Polls()
    module = polls.runtime.treasury
    polls.runtime.balances.mint(MintCause.GENESIS, TREASURY, 10_000_000 * GRIST)
    polls.next()
    yield vote(polls, "Treasury.spend", 5 * GRIST, BOB)
    tranches = (GRIST,) * TRANCHES_MAX
    yield vote(polls, "Treasury.grant", BOB, DAVE, tranches)
    as_root(polls.chain, "Treasury", "grant", BOB, DAVE, tranches)
    id_ = max(key for key, _ in module.grants.items())
    yield call(polls, DAVE, "Treasury.accept_curator", id_)
    polls.done("Dave", "Treasury", "accept_curator", id_)
    yield call(polls, DAVE, "Treasury.release_milestone", id_)
    yield vote(polls, "Treasury.stop", id_, True)  # noqa: FBT003 -- as the call has it
    yield vote(polls, "Treasury.stream", BOB, GRIST, 30)
    yield vote(polls, "Treasury.envelope", DAVE, 100 * GRIST)
    as_root(polls.chain, "Treasury", "envelope", DAVE, 100 * GRIST)
    id_ = max(key for key, _ in module.envelopes.items())
    polls.done("Dave", "Treasury", "accept_curator", id_)
    yield call(polls, DAVE, "Treasury.grant_bounty", id_, b"f" * 32, BOB, GRIST)


TERMS: Final = (1, 10, 100_000, 1)
"""Start, cliff, duration and step of a grant that unlocks a little in every block."""


@stages(
    "Vesting.offer",
    "Vesting.accept",
    "Vesting.decline",
    "Vesting.withdraw_offer",
    "Vesting.vest",
    "Vesting.vest_other",
    "Vesting.revoke",
    "Vesting.collect",
)
def vesting() -> Iterator[Stage]:
    """Play: the last grant that an account may have, which has stake and a reward, too."""
    desk = Desk()
    runtime = desk.chain.runtime
    module, who = runtime.vesting, stranger(70)
    runtime.balances.mint(MintCause.GENESIS, who, 1_000 * GRIST)

    def offer() -> int:
        before = {key for key, _ in module.offers.items()}
        desk.done(EVE, "Vesting.offer", who, 100 * GRIST, *TERMS, CHARLIE)
        return next(key for key, _ in module.offers.items() if key not in before)

    for _ in range(GRANTS_MAX - 1):
        desk.done(who, "Vesting.accept", offer())
    desk.done(who, "Staking.bond", 500 * GRIST, STAKED)
    module.lock_reward(who, GRIST)
    yield call(desk, EVE, "Vesting.offer", who, 100 * GRIST, *TERMS, CHARLIE)
    id_ = offer()
    yield call(desk, who, "Vesting.accept", id_)
    yield call(desk, who, "Vesting.decline", id_)
    yield call(desk, EVE, "Vesting.withdraw_offer", id_)
    desk.done(who, "Vesting.accept", id_)
    yield call(desk, who, "Vesting.vest")
    yield call(desk, EVE, "Vesting.vest_other", who)
    yield call(desk, CHARLIE, "Vesting.revoke", who, id_)
    desk.done(who, "Staking.bond_extra", _free(desk, who) - GRIST)
    desk.done(CHARLIE, "Vesting.revoke", who, id_)
    desk.done(who, "Staking.unbond", 100 * GRIST)
    runtime.balances.mint(MintCause.GENESIS, who, 100 * GRIST)
    yield call(desk, EVE, "Vesting.collect", who, id_)


def _free(desk: Desk, who: AccountId) -> int:
    free: int = desk.chain.free(who)
    return free
