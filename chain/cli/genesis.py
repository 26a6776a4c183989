"""`gristmill genesis check`: prove what a spec's allocation says, and print when it unlocks.

Everything is judged where the chain itself reads its spec; a spec that is wrong is refused there.
"""

import importlib
from collections.abc import Sequence
from typing import Any, Final

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.session import Session
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.ss58 import encode_address

YEAR: Final = 365
"""Eras of a year, and so of a line of the curve that nobody said how to thin."""

PERCENT: Final = 10_000_000
"""Parts per 10^9 in one hundredth."""

genesis = LazyGroup(
    "genesis",
    places={"check": Place("chain.cli.genesis:check", "Prove and print a spec's allocation.")},
    help="Judge the first block of a chain.",
)


@click.command(cls=Command)
@click.argument("chain", metavar="SPEC")
@click.option("--every", type=click.IntRange(1, 36_500), default=YEAR, show_default=True,
              help="Eras between two lines of the curve.")  # fmt: skip
@click.option("--to", "last", type=click.IntRange(0, 36_500),
              help="Last era of the curve; when everything is unlocked if not given.")  # fmt: skip
@click.pass_obj
def check(session: Session, chain: str, every: int, last: int | None) -> None:
    """Prove that the money of SPEC (a name or a file) sums, and print when it unlocks.

    Checked are the sums of all buckets, that nothing unlocks before its bucket's published curve,
    and that all emission of all time fits its rights. Exit 0 if all holds, 78 if not.
    """
    start = importlib.import_module("chain.genesis")
    spec = start.load_chain(chain)
    built = start.start_chain(start.read_spec(chain))
    table, rules = spec.allocation, spec.emission
    end = max((entry.curve.duration_eras for entry in table.allocations), default=0)
    stop = end if last is None else last
    eras = [*range(0, stop, every), stop]
    fields = {
        "chain": spec.id,
        "genesis_hash": "0x" + built.hash.hex(),
        "issued": str(spec.issued),
        "rights": str(0 if rules is None else rules.plan.rights),
        "max_supply": str(spec.issued if rules is None else rules.max_supply),
        "worst_case": str(_worst_case(rules)),
        "buckets": [_bucket(spec, bucket) for bucket in table.buckets],
        "allocations": [_allocation(entry) for entry in table.allocations],
        "curve": _curve(spec, eras),
        "votes": _votes(spec.votes),
        "proven": _proven(spec),
    }
    session.console.answer("genesis.check/1", fields, _lines(session, fields))


def _worst_case(rules: Any) -> int:
    if rules is None:
        return 0
    schedule = importlib.import_module("runtime.emission.schedule")
    worst: int = schedule.compute_worst_case(rules.plan)
    return worst


def _bucket(spec: Any, bucket: Any) -> dict[str, Any]:
    """Describe a bucket: what was published, and what of it is where."""
    rights = spec.emission.plan.rights if bucket.has_rights and spec.emission else 0
    given = spec.issued - spec.allocation.total if bucket.has_accounts else 0
    allocated = sum(entry.amount for entry in spec.allocation.of(bucket))
    return {
        "name": bucket.name,
        "share": bucket.share,
        "allocated": str(allocated),
        "given": str(given),
        "rights": str(rights),
        "is_insider": bucket.is_insider,
        "is_passive": bucket.is_passive,
        "cliff_eras": bucket.curve.cliff_eras,
        "duration_eras": bucket.curve.duration_eras,
        "step_eras": bucket.curve.step_eras,
    }


def _allocation(entry: Any) -> dict[str, Any]:
    return {
        "bucket": entry.bucket,
        "label": entry.label,
        "account": encode_address(entry.account),
        "amount": str(entry.amount),
        "cliff_eras": entry.curve.cliff_eras,
        "duration_eras": entry.curve.duration_eras,
        "step_eras": entry.curve.step_eras,
    }


def _votes(holders: Sequence[tuple[bytes, int]] | None) -> list[dict[str, str]] | None:
    """Describe who holds what of an asset that votes in the place of GRIST; None without one."""
    if holders is None:
        return None
    return [{"account": encode_address(who), "amount": str(amount)} for who, amount in holders]


def _curve(spec: Any, eras: Sequence[int]) -> list[dict[str, Any]]:
    """Give, era by era, what is unlocked of each bucket, and the greatest supply there can be."""
    module = importlib.import_module("runtime.vesting.allocation")
    table = spec.allocation
    by_bucket = {
        bucket.name: module.unlocked_by(table.of(bucket), eras) for bucket in table.buckets
    }
    given = spec.issued - table.total
    minted = _minted_before(spec, eras)
    rows = []
    for place, era in enumerate(eras):
        unlocked = {name: amounts[place] for name, amounts in by_bucket.items()}
        for bucket in table.buckets:
            unlocked[bucket.name] += given if bucket.has_accounts else 0
        total = sum(unlocked.values()) if unlocked else given
        rows.append(
            {
                "era": era,
                "unlocked": {name: str(amount) for name, amount in unlocked.items()},
                "total": str(total),
                "minted_max": str(minted[place]),
                "supply_max": str(spec.issued + minted[place]),
            }
        )
    return rows


def _minted_before(spec: Any, eras: Sequence[int]) -> list[int]:
    """Give the most that emission can have minted when each era begins."""
    if spec.emission is None:
        return [0] * len(eras)
    schedule = importlib.import_module("runtime.emission.schedule")
    plan = spec.emission.plan
    starts = schedule.planned_starts(plan)
    rows = schedule.compute_schedule(plan, starts, first=0, last=max(eras[-1] - 1, 0))
    sums = [row.cumulative for row in rows]
    return [sums[era - 1] if era else 0 for era in eras]


def _proven(spec: Any) -> list[str]:
    """Say what was proven when the spec was read; each of it would have refused the spec."""
    said = []
    if spec.allocation.buckets:
        said += [
            "the shares of all buckets sum to the greatest supply, to the grain",
            "each bucket holds exactly its share: allocations, accounts, stakes and mint rights",
            "no allocation unlocks anything in any era before its bucket's published curve",
        ]
    if spec.votes is not None:
        said.append("each account is given votes once, and they fit the greatest sum of money")
    if spec.emission is not None:
        said.append("all emission of all time fits its rights, whatever the gates do")
        said.append("genesis and rights together do not pass the greatest supply")
    return said


def _lines(session: Session, fields: dict[str, Any]) -> list[str]:
    head = [
        ("chain", fields["chain"]),
        ("genesis", fields["genesis_hash"]),
        ("minted", _grist(fields["issued"])),
        ("rights", _grist(fields["rights"])),
        ("greatest", _grist(fields["max_supply"])),
        ("worst case", _grist(fields["worst_case"])),
    ]
    lines = [*pairs(head), ""]
    if fields["buckets"]:
        lines += [*_bucket_lines(session, fields["buckets"]), ""]
        lines += [*_curve_lines(session, fields["curve"]), ""]
    if fields["votes"] is not None:
        lines += [*_vote_lines(session, fields["votes"]), ""]
    return lines + [f"proven: {sentence}" for sentence in fields["proven"]]


def _bucket_lines(session: Session, buckets: Sequence[dict[str, Any]]) -> list[str]:
    heads = ("bucket", "share", "minted", "mint rights", "cliff", "all by", "kind")
    rows = []
    for bucket in buckets:
        kinds = [kind for kind in ("insider", "passive") if bucket[f"is_{kind}"]]
        duration = bucket["duration_eras"]
        rows.append(
            (
                bucket["name"],
                f"{bucket['share'] // PERCENT} %",
                _grist(str(int(bucket["allocated"]) + int(bucket["given"]))),
                _grist(bucket["rights"]),
                f"era {bucket['cliff_eras']}" if duration else "none",
                f"era {duration}" if duration else "at once",
                " ".join(kinds),
            )
        )
    return session.console.table(heads, rows)


def _vote_lines(session: Session, votes: Sequence[dict[str, str]]) -> list[str]:
    whole = sum(int(entry["amount"]) for entry in votes)
    rows = [
        (
            entry["account"],
            format_amount(int(entry["amount"])),
            f"{100 * int(entry['amount']) / whole:.2f} %",
        )
        for entry in votes
    ]
    return session.console.table(("votes are held by", "votes", "of all"), rows)


def _curve_lines(session: Session, curve: Sequence[dict[str, Any]]) -> list[str]:
    names = list(curve[0]["unlocked"])
    heads = ("era", *names, "unlocked", "greatest supply")
    rows = [
        (
            row["era"],
            *(_whole(row["unlocked"][name]) for name in names),
            _whole(row["total"]),
            _whole(row["supply_max"]),
        )
        for row in curve
    ]
    return session.console.table(heads, rows)


def _grist(grains: str) -> str:
    whole, rest = divmod(int(grains), 10**9)
    return show_amount(int(grains)) if rest else f"{whole:,} GRIST"


def _whole(grains: str) -> str:
    return f"{int(grains) // 10**9:,}"
