"""What must always hold of datasets: money with its owner, counts with records, sums with parts."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runtime.balances import CURATION_POT, HoldReason
from runtime.frame.module import Check
from runtime.frame.parameters import PERBILL
from runtime.market.datasets.curation import INDEX_SCALE
from runtime.market.datasets.nouns import LOG_ERAS, MISSES_MAX, DatasetState
from runtime.primitives import AccountId

if TYPE_CHECKING:
    from runtime.market.datasets.module import Datasets


def invariants_of(module: "Datasets") -> Iterator[Check]:
    """Yield every invariant of datasets."""
    yield from _holds(module)
    yield from _records(module)
    yield from _curation(module)
    yield from _cases(module)
    yield from _uses(module)


def deposits_of(module: "Datasets") -> Counter[AccountId]:
    """Give the grains held as DEPOSIT for datasets, commits and challenges, by account."""
    owned: Counter[AccountId] = Counter()
    for dataset in module.datasets.values():
        owned[dataset.owner] += dataset.bond
    for (who, _), commit in module.commits.items():
        owned[who] += commit.deposit
    for case in module.cases.values():
        owned[case.challenger] += case.deposit
    return owned


def _holds(module: "Datasets") -> Iterator[Check]:
    held = module.balances.held
    for who, amount in deposits_of(module).items():
        is_held = amount <= held(who, HoldReason.DEPOSIT)
        yield Check(f"{who.hex()}: bonds and deposits for datasets are held", is_held)
    for who, attester in module.attesters.items():
        is_held = attester.bond <= held(who, HoldReason.SERVICE)
        yield Check(f"{who.hex()}: the bond of an attester is held", is_held)
    signalled: Counter[AccountId] = Counter()
    for (_, who), signal in module.signals.items():
        signalled[who] += signal.amount + signal.leaving
    is_exact = all(held(who, HoldReason.CURATION) == amount for who, amount in signalled.items())
    yield Check("every curator has just its signals held", is_exact)
    total = module.balances.held_totals[HoldReason.CURATION]
    yield Check("nothing else is held for curation", signalled.total() == total)


def _records(module: "Datasets") -> Iterator[Check]:
    live = 0
    for number, dataset in module.datasets.items():
        live += dataset.is_live
        name = f"dataset {number}"
        is_numbered = number < module.dataset_count and dataset.order < module.commit_count
        yield Check(f"{name} and its commit have numbers that were given", is_numbered)
        is_found = module.by_root.find(dataset.root) == number
        yield Check(f"{name} is found by its root", is_found or not dataset.is_live)
        yield Check(f"{name} has ended or not", dataset.is_live == (not dataset.ended))
        shares = sum(entry.share for entry in dataset.royalties)
        yield Check(f"{name}: shares are whole", shares == (PERBILL if dataset.royalties else 0))
        is_few = len(dataset.misses) < MISSES_MAX or not dataset.is_live
        yield Check(f"{name} has not missed too often", is_few)
        is_bonded = dataset.bond > 0 or not dataset.is_live
        yield Check(f"{name} has a bond while it is sold", is_bonded)
        is_lost = dataset.state is DatasetState.DUPLICATE
        yield Check(f"{name}: a duplicate has no bond", not (is_lost and dataset.bond))
        is_marked = is_lost == bool(module.curations[number].loss)
        yield Check(f"{name}: signals lose where it is a duplicate", is_marked)
    yield Check("places are counted", live == module.live_count)
    roots = dict(module.by_root.items())
    datasets = {number: dataset.root for number, dataset in module.datasets.items()}
    is_true = all(datasets.get(number) == root for root, number in roots.items())
    yield Check("roots lead to datasets that have them", is_true)


def _curation(module: "Datasets") -> Iterator[Check]:
    sums: Counter[int] = Counter()
    owed: Counter[int] = Counter()
    curations = dict(module.curations.items())
    for (number, _), signal in module.signals.items():
        sums[number] += signal.amount
        index = module.curations[number].index
        owed[number] += signal.amount * (index - signal.index) // INDEX_SCALE
        yield Check(f"signals on {number} do not earn backwards", signal.index <= index)
    for number, curation in curations.items():
        yield Check(f"signals on {number} are summed", curation.signal == sums.pop(number, 0))
        is_covered = owed[number] <= curation.kept
        yield Check(f"the pot has what it owes for {number}", is_covered)
        is_claimable = curation.signal > 0 or not curation.kept
        yield Check(f"what is kept for {number} is somebody's", is_claimable)
    yield Check("no signal is without a sum", not any(sums.values()))
    kept = sum(curation.kept for curation in curations.values())
    pot = module.ctx.state.account(CURATION_POT)
    yield Check("the curators' pot is what datasets keep in it", kept == (pot[4] if pot else 0))
    yield Check("what is kept is counted", kept == module.curation_kept)


def _cases(module: "Datasets") -> Iterator[Check]:
    counts: Counter[int] = Counter()
    cases = dict(module.cases.items())
    for number, case in cases.items():
        counts[case.later] += 1
        is_inside = case.matched & ~case.opened == 0
        yield Check(f"case {number}: what was found was shown", is_inside)
        shown = len(module.openings.walk(number, limit=64))
        yield Check(f"case {number}: what was shown is kept", shown == case.opened.bit_count())
    for number, dataset in module.datasets.items():
        yield Check(f"dataset {number} counts its cases", dataset.cases == counts.pop(number, 0))
    yield Check("cases are against datasets that are there", not counts)
    is_open = all(key[0] in cases for key, _ in module.openings.items())
    yield Check("nothing is kept of cases that are over", is_open)


def _uses(module: "Datasets") -> Iterator[Check]:
    fees: Counter[tuple[int, int]] = Counter()
    counts: Counter[tuple[int, int]] = Counter()
    standing: Counter[tuple[int, int]] = Counter()
    for (era, number, _), use in module.paid_by.items():
        if era <= module.forgotten_eras < module.numbers.era() - LOG_ERAS:
            continue
        fees[era, number] += use.fee
        counts[era, number] += 1
        standing[era, number] += use.is_standing
    for (era, number), total in module.era_totals.items():
        if era <= module.forgotten_eras < module.numbers.era() - LOG_ERAS:
            continue
        key = (era, number)
        name = f"era {era}, dataset {number}"
        yield Check(f"{name}: what each paid is in the sum", fees[key] <= total.fees)
        yield Check(f"{name}: who paid is counted", counts[key] == total.requesters)
        yield Check(f"{name}: who counts is counted", standing[key] == total.standing)
