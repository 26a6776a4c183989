"""What always holds of providers: sums over records against the totals made of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from runtime.balances import HoldReason
from runtime.frame.module import Check
from runtime.frame.storage import Hasher
from runtime.market.providers import pools
from runtime.market.providers.groups import STILL, marks_of
from runtime.market.providers.nouns import Delegation
from runtime.primitives import AccountId

if TYPE_CHECKING:
    from runtime.market.providers.module import Providers

BLAKE: Final = Hasher.BLAKE2_128_CONCAT
"""How keys are hashed that somebody may choose."""


def invariants_of(providers: "Providers") -> Iterator[Check]:
    """Yield every invariant of the module."""
    yield from _of_stakes(providers)
    yield from _of_pools(providers)
    yield from _of_bonds(providers)
    yield from _of_tasks(providers)
    yield from _of_groups(providers)
    yield from _of_deposits(providers)


def _of_stakes(providers: "Providers") -> Iterator[Check]:
    held, total, active = providers.balances.held, 0, 0
    ledgers = dict(providers.ledgers.items())
    known = [who for who, _ in providers.profiles.items()]
    yield Check("each profile has a ledger", known == list(ledgers))
    for who in [who for who in known if who in ledgers]:
        name, profile, ledger = who.hex(), providers.profiles[who], ledgers[who]
        total += ledger.total
        active += not profile.leaving
        is_held = held(who, HoldReason.SECURITY) == ledger.total
        yield Check(f"{name}: security is held", is_held)
        eras = [chunk.era for chunk in ledger.chunks]
        yield Check(f"{name}: chunks ascend", eras == sorted(dict.fromkeys(eras)))
        yield Check(f"{name}: good are some of the jobs", ledger.recent_good <= ledger.recent_jobs)
        is_idle = not (ledger.own or ledger.taken or ledger.bonds or profile.deposit)
        yield Check(f"{name}: the retired have nothing to do", is_idle or not profile.is_retired)
    yield Check("the total of security is its sum", total == providers.secured)
    yield Check("the active are counted", active == providers.active)


def _of_pools(providers: "Providers") -> Iterator[Check]:
    shares: dict[AccountId, int] = {}
    queued: dict[AccountId, int] = {}
    for (who, _), held in providers.delegations.items():
        waiting = _queued(held)
        shares[who] = shares.get(who, 0) + held.shares + waiting
        queued[who] = queued.get(who, 0) + waiting
    total = 0
    for who, pool in providers.pools.items():
        total += pool.amount
        name = who.hex()
        yield Check(f"{name}: backs a provider", who in providers.ledgers)
        yield Check(f"{name}: shares are their sum", pool.shares == shares.pop(who, 0))
        yield Check(f"{name}: queued are their sum", pool.queued == queued.pop(who, 0))
        yield Check(f"{name}: debt is on locked money", 0 <= pool.debt <= pool.locked)
        yield Check(f"{name}: locked money is there", pool.locked <= pool.amount)
        is_covered = pools.worth(pool, pool.shares) <= pools.value(pool)
        yield Check(f"{name}: shares are worth what is there", is_covered)
    yield Check("shares are of pools", not any(shares.values()) and not any(queued.values()))
    yield Check("the total of pools is their sum", total == providers.pooled)


def _of_bonds(providers: "Providers") -> Iterator[Check]:
    sums: dict[AccountId, list[int]] = {}
    for job, bond in providers.work_bonds.items():
        row = sums.setdefault(bond.provider, [0, 0, 0, 0])
        for place, amount in enumerate((bond.own, bond.delegated, bond.discount, 1)):
            row[place] += amount
        yield Check(f"bond {job} is a provider's", bond.provider in providers.ledgers)
    for who, ledger in providers.ledgers.items():
        own, delegated, discounts, count = sums.pop(who, [0, 0, 0, 0])
        name, held = who.hex(), providers.balances.held(who, HoldReason.WORK_BOND)
        yield Check(f"{name}: own bonds are held", held == own)
        is_locked = providers.pools[who].locked == delegated
        yield Check(f"{name}: delegated bonds are locked", is_locked)
        is_counted = (ledger.discounts, ledger.bonds) == (discounts, count)
        yield Check(f"{name}: bonds are counted", is_counted)
    total = sum(bond.own for bond in providers.work_bonds.values())
    yield Check("the total of own bonds is their sum", total == providers.bonded)


def _of_tasks(providers: "Providers") -> Iterator[Check]:
    busy: dict[tuple[AccountId, int], int] = {}
    counts: dict[AccountId, list[int]] = {}
    for task in providers.tasks.values():
        row = counts.setdefault(task.provider, [0, 0, 0])
        for place, amount in enumerate((1, int(task.is_running), task.value)):
            row[place] += amount
        if task.is_running:
            key = (task.provider, task.class_id)
            busy[key] = busy.get(key, 0) + 1
    for who, ledger in providers.ledgers.items():
        found = [ledger.taken, ledger.running, ledger.open_value]
        is_counted = found == counts.pop(who, [0, 0, 0])
        yield Check(f"{who.hex()}: tasks are counted", is_counted)
    yield Check("tasks are of providers", not counts)
    running = {key: slot.running for key, slot in providers.slots.items() if slot.running}
    yield Check("busy devices are those of tasks", running == busy)
    opened = sum(task.value for task in providers.tasks.values())
    yield Check("all open value is that of tasks", opened == providers.all_open)


def _of_groups(providers: "Providers") -> Iterator[Check]:
    borne = 0
    for (_, _, who), until in providers.members.items():
        borne += until == STILL
        yield Check(f"a mark is of {who.hex()}", who in providers.profiles)
    wanted = 0
    for who, profile in providers.profiles.items():
        for key in marks_of(profile):
            wanted += 1
            is_borne = providers.members.find((*key, who)) == STILL
            yield Check(f"{who.hex()}: is known by its marks", is_borne)
    yield Check("no mark is borne that nobody has", borne == wanted)


def _of_deposits(providers: "Providers") -> Iterator[Check]:
    sums: dict[AccountId, int] = {}
    for profile in providers.profiles.values():
        sums[profile.depositor] = sums.get(profile.depositor, 0) + profile.deposit
    for (_, sponsor), amount in providers.sponsorships.items():
        sums[sponsor] = sums.get(sponsor, 0) + amount
    for who, amount in sums.items():
        held = providers.balances.held(who, HoldReason.DEPOSIT)
        yield Check(f"{who.hex()}: deposits are held", held >= amount)


def _queued(held: Delegation) -> int:
    return sum(entry.shares for entry in held.queue)
