"""The allocation of the first money: buckets with published shares and curves, and who gets what.

    [[buckets]]      name, share of the greatest supply, the curve that was published for it
    [[allocations]]  bucket, label, account, amount, and a slower curve where one was agreed

A table that does not sum, or lets anybody have money before the published curve, is no genesis.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from runtime.balances import EXISTENTIAL_DEPOSIT, TREASURY
from runtime.frame.errors import SpecError
from runtime.frame.parameters import PERBILL
from runtime.primitives import AccountId
from runtime.section import Section
from runtime.vesting.module import GRANTS_MAX, Terms

BUCKETS_MAX: Final = 16
"""More would hide who gets what."""

ALLOCATIONS_MAX: Final = 10_000
"""Grants of a genesis; more people are paid later, out of one of them."""

ERAS_MAX: Final = 36_500
"""A century, as everywhere in schedules."""

TREASURY_NAME: Final = "treasury"
"""What stands in place of an address for the treasury's own account."""

MEASURE: Final = 10**18
"""Grains by which two curves are compared: fine enough for any step of a century."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Curve:
    """When money unlocks, in eras: nothing before the cliff, all at the end, steps between."""

    cliff_eras: int
    duration_eras: int
    step_eras: int

    def unlocked(self, amount: int, era: int) -> int:
        """Give how much of an amount is unlocked in an era, rounded down."""
        if era < self.cliff_eras:
            return 0
        if era >= self.duration_eras:
            return amount
        return amount * (era // self.step_eras * self.step_eras) // self.duration_eras


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of the greatest supply, as published; `share` is of 10^9.

    `has_rights`: what emission may mint belongs to it. `has_accounts`: so do [[accounts]] and the
    stakes of validators and nominators. The accounts of a passive bucket neither stake nor vote.
    """

    name: str
    share: int
    curve: Curve
    is_insider: bool
    is_passive: bool
    has_rights: bool
    has_accounts: bool


@dataclass(frozen=True, slots=True)
class Allocation:
    """Money of genesis for an account, out of a bucket, unlocking by a curve."""

    bucket: str
    label: str
    account: AccountId
    amount: int
    curve: Curve


@dataclass(frozen=True, slots=True)
class AllocationTable:
    """All buckets and allocations of a genesis."""

    buckets: tuple[Bucket, ...]
    allocations: tuple[Allocation, ...]

    @property
    def total(self) -> int:
        """Grains that the allocations mint."""
        return sum(entry.amount for entry in self.allocations)

    def of(self, bucket: Bucket) -> tuple[Allocation, ...]:
        """Give the allocations of a bucket."""
        return tuple(entry for entry in self.allocations if entry.bucket == bucket.name)

    def grants(self) -> list[tuple[AccountId, Terms]]:
        """Give what is locked at genesis; what unlocks at once needs no grant."""
        return [
            (
                entry.account,
                Terms(
                    entry.amount,
                    entry.curve.cliff_eras,
                    entry.curve.duration_eras,
                    entry.curve.step_eras,
                ),
            )
            for entry in self.allocations
            if entry.curve.duration_eras
        ]

    def passive(self) -> list[AccountId]:
        """Give the accounts that neither stake nor vote."""
        names = [bucket.name for bucket in self.buckets if bucket.is_passive]
        accounts = (entry.account for entry in self.allocations if entry.bucket in names)
        return list(dict.fromkeys(accounts))


NO_TABLE: Final = AllocationTable((), ())
"""The table of a chain that publishes none."""


def read_allocations(root: Section) -> AllocationTable:
    """Read [[buckets]] and [[allocations]], where there are any; raises SpecError."""
    if not root.has("buckets"):
        return NO_TABLE
    buckets = tuple(_read_bucket(entry) for entry in root.items("buckets", BUCKETS_MAX))
    named = {bucket.name: bucket for bucket in buckets}
    if len(named) != len(buckets):
        raise SpecError("buckets", "two have the same name", "use another name")
    entries = root.items("allocations", ALLOCATIONS_MAX) if root.has("allocations") else []
    table = AllocationTable(buckets, tuple(_read_allocation(entry, named) for entry in entries))
    _check_shape(table)
    return table


def check_sums(table: AllocationTable, *, given: int, rights: int, max_supply: int) -> None:
    """Raise SpecError unless every bucket holds exactly its share of the greatest supply.

    `given` are the grains of [[accounts]] and stakes, `rights` those that emission may mint.
    """
    for number, bucket in enumerate(table.buckets):
        place = f"buckets[{number}].share"
        share = bucket.share * max_supply
        held = bucket_total(table, bucket, given=given, rights=rights)
        if held * PERBILL != share:
            raise SpecError(
                place,
                f"the bucket {bucket.name} holds {held} grains, its share is {share // PERBILL}",
                "let its allocations, accounts and rights sum to the share exactly",
            )


def bucket_total(table: AllocationTable, bucket: Bucket, *, given: int, rights: int) -> int:
    """Give the grains of a bucket: allocated, given to accounts, and mint rights."""
    held = sum(entry.amount for entry in table.of(bucket))
    return held + (given if bucket.has_accounts else 0) + (rights if bucket.has_rights else 0)


def find_early_era(curve: Curve, published: Curve) -> int | None:
    """Give the first era in which a curve is above the published one, or None."""
    for era in range(max(curve.duration_eras, published.duration_eras) + 1):
        if curve.unlocked(MEASURE, era) > published.unlocked(MEASURE, era):
            return era
    return None


def unlocked_by(entries: Iterable[Allocation], eras: Sequence[int]) -> list[int]:
    """Give the sum that allocations have unlocked by each era."""
    known = list(entries)
    return [sum(entry.curve.unlocked(entry.amount, era) for entry in known) for era in eras]


def _read_bucket(entry: Section) -> Bucket:
    bucket = Bucket(
        entry.text("name", _NAME, "use up to 32 small letters, digits and hyphens"),
        entry.integer("share", 0, PERBILL),
        _read_curve(entry, Curve(0, 0, 1)),
        *(
            entry.take(flag, bool, "write true or false") if entry.has(flag) else False
            for flag in ("is_insider", "is_passive", "has_rights", "has_accounts")
        ),
    )
    entry.finish()
    return bucket


def _read_curve(entry: Section, default: Curve) -> Curve:
    if not entry.has("duration_eras"):
        return default
    duration = entry.integer("duration_eras", 1, ERAS_MAX)
    cliff = entry.integer("cliff_eras", 0, duration) if entry.has("cliff_eras") else 0
    step = entry.integer("step_eras", 1, duration) if entry.has("step_eras") else 1
    return Curve(cliff, duration, step)


def _read_allocation(entry: Section, buckets: dict[str, Bucket]) -> Allocation:
    bucket = buckets.get(entry.text("bucket", _NAME, "name one of [[buckets]]"))
    if bucket is None:
        raise SpecError(entry.key("bucket"), "there is no such bucket", "name one of [[buckets]]")
    label = entry.text(
        "label", re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}"), "use up to 32 letters and digits"
    )
    account = entry.account("account", known={TREASURY_NAME: TREASURY})
    amount = entry.amount("amount")
    curve = _read_curve(entry, bucket.curve)
    entry.finish()
    if amount < EXISTENTIAL_DEPOSIT:
        raise SpecError(entry.key("amount"), "it is less than 0.001 GRIST", "give more")
    early = find_early_era(curve, bucket.curve)
    if early is not None:
        raise SpecError(
            entry.key("duration_eras"),
            f"in era {early} it unlocks more than was published for {bucket.name}",
            "use a curve that is nowhere above the bucket's, or none",
        )
    return Allocation(bucket.name, label, account, amount, curve)


def _check_shape(table: AllocationTable) -> None:
    total = sum(bucket.share for bucket in table.buckets)
    if total != PERBILL:
        raise SpecError("buckets", f"their shares sum to {total}", f"let them sum to {PERBILL}")
    for flag in ("has_rights", "has_accounts"):
        if sum(getattr(bucket, flag) for bucket in table.buckets) != 1:
            raise SpecError("buckets", f"not exactly one has {flag}", "say it in just one of them")
    counts: dict[AccountId, int] = {}
    for entry in table.allocations:
        counts[entry.account] = counts.get(entry.account, 0) + 1
    if max(counts.values(), default=0) > GRANTS_MAX:
        raise SpecError(
            "allocations", "an account is there too often", f"give it at most {GRANTS_MAX} grants"
        )
