"""Providers, those who back them, and who sponsors them; none of them fakes, eras pass unseen."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bench.stages import Stage, call, items, stages, stop_wheel
from runtime.balances import HoldReason
from runtime.market.providers import rules
from runtime.market.providers.nouns import (
    CHUNKS_MAX,
    CLASSES_MAX,
    MARKS_MAX,
    Chunk,
    ClassCapacity,
    FormerMark,
    Mark,
    QueuedShares,
    Retired,
)
from tests.support.providers import CLASSES, GRIST, OWNER, TERMS, D, E, P, Yard
from tests.support.runtime import stranger

FIRST: Final = tuple(ClassCapacity(number, 4) for number in range(101, 101 + CLASSES_MAX))
SECOND: Final = tuple(ClassCapacity(number, 4) for number in range(201, 201 + CLASSES_MAX))


def yard() -> Yard:
    """Give a yard whose table has classes enough for a provider to change all that it has."""
    made = Yard()
    units = made.runtime.market.work_units
    for one in (*FIRST, *SECOND):
        entry = replace(CLASSES[0], class_id=one.class_id, name=f"class {one.class_id}")
        units.classes[0, one.class_id] = entry
    return made


@stages(
    "Providers.sponsor",
    "Providers.withdraw_sponsorship",
    "Providers.register, sponsored",
    "Providers.register",
    "Providers.update",
    "Providers.set_offer",
)
def registration() -> Iterator[Stage]:
    """Play: a provider of eight classes changes them all, and what it is known by."""
    world = yard()
    yield call(world, E, "Providers.sponsor", P)
    world.done(E, "sponsor", P)
    yield call(world, E, "Providers.withdraw_sponsorship", P)
    terms = replace(TERMS, classes=FIRST, region=b"a" * 16)
    yield call(world, P, "Providers.register", terms, E, case="sponsored")
    yield call(world, P, "Providers.register", terms, None)
    world.done(P, "register", terms, None)
    yield call(world, P, "Providers.set_offer", 101, 10**9)
    world.skip(100)
    module, old = world.providers, []
    for number in range(MARKS_MAX):
        key = stranger(number)
        old.append(FormerMark(Mark.PAYOUT, key, 1))
        module.members[Mark.PAYOUT, key, P] = 1
    module.former_marks[P] = tuple(old)
    other = replace(terms, classes=SECOND, payout=D, endpoint=b"n" * 32, commission=10_000_000)
    yield call(world, P, "Providers.update", other)


@stages(
    "Providers.deposit_security",
    "Providers.unbond_security",
    "Providers.withdraw_security",
    "Providers.claim_deposit",
    "Providers.delegate",
    "Providers.undelegate",
    "Providers.withdraw_delegated",
)
def stakes() -> Iterator[Stage]:
    """Stake moves in a new era, with as many parts on their way out as there may be."""
    world = yard()
    world.register(security=10_000)
    world.back(500)
    ledger, module = world.ledger(), world.providers
    parts = tuple(Chunk(GRIST, 1 + era) for era in range(CHUNKS_MAX - 1))
    world.runtime.balances.hold(P, HoldReason.SECURITY, len(parts) * GRIST)
    module.secured += len(parts) * GRIST
    module.ledgers[P] = replace(ledger, chunks=parts)
    world.skip(90)
    yield call(world, P, "Providers.deposit_security", GRIST)
    yield call(world, P, "Providers.unbond_security", GRIST)
    yield call(world, P, "Providers.withdraw_security")
    yield call(world, D, "Providers.claim_deposit", P)
    yield call(world, D, "Providers.delegate", P, 20 * GRIST)
    held = module.delegations[P, D]
    each = held.shares // (2 * CHUNKS_MAX)
    queue = tuple(QueuedShares(each, 1 + era) for era in range(CHUNKS_MAX - 1))
    gone = each * len(queue)
    module.delegations[P, D] = replace(held, shares=held.shares - gone, queue=queue)
    module.pools[P] = replace(module.pools[P], queued=gone)
    yield call(world, D, "Providers.undelegate", P, each)
    yield call(world, D, "Providers.withdraw_delegated", P)


@stages(
    "Providers.leave",
    "a provider retires",
    "Providers.withdraw_security, the last",
    "Providers.withdraw_delegated, the last",
)
def ends() -> Iterator[Stage]:
    """Play: a provider of eight classes leaves, retires, and is forgotten with its backer."""
    world = _earned()
    module = world.providers
    yield call(world, P, "Providers.leave")
    world.done(P, "leave")
    yield items(world, "a provider retires", rules.WEIGHT_REGISTER, Retired)
    world.skip(10)
    world.done(D, "undelegate", P, module.delegations[P, D].shares)
    world.skip(90)
    yield call(world, P, "Providers.withdraw_security", case="the last")
    world.done(P, "withdraw_security")
    yield call(world, D, "Providers.withdraw_delegated", P, case="the last")


@stages("Providers.stay", "Providers.retire")
def retirement() -> Iterator[Stage]:
    """Somebody retires a provider that the wheel passed over, or it stays."""
    world = _earned()
    world.done(P, "leave")
    stop_wheel(world)
    yield call(world, P, "Providers.stay")
    yield call(world, OWNER, "Providers.retire", P)


def _earned() -> Yard:
    """Give a yard with a provider of eight classes that is backed, and has earned."""
    world = yard()
    world.done(P, "register", replace(TERMS, classes=FIRST), None)
    world.done(P, "deposit_security", 1_000 * GRIST)
    world.back(500)
    world.runtime.balances.hold(E, HoldReason.ESCROW, 7 * GRIST)
    world.providers.pay_earned(P, 7 * GRIST, E, HoldReason.ESCROW)
    world.skip(90)
    return world
