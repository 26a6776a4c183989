"""`gristmill chain schedule`: how much may come into being, era by era, from a spec's own rules.

The figures are made by the functions that the chain itself and the auditor use.
"""

import csv
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.command import Command
from chain.cli.schedule_picture import Curve, draw_bars, draw_svg
from chain.cli.session import Session
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.errors import WrongUse

TEN_YEARS: Final = 3_649
"""The last era shown when nobody says which: ten years from the first."""

ERA_MAX: Final = 365_000
"""A thousand years; by then every budget with a cap is zero."""

LINES_MAX: Final = 40
"""Lines of a table that nobody said how to thin."""

PLOT_COLUMNS: Final = 76
PLOT_ROWS: Final = 8

COLUMNS: Final = ("era", "phase", "budget", "compute", "data", "validation", "treasury",
                  "cumulative", "supply_max")  # fmt: skip
"""Of a row, in JSON and CSV; amounts there are grains."""

Row = dict[str, Any]


@click.command(cls=Command)
@click.option("--spec", "chain", default="public", show_default=True, metavar="NAME|FILE",
              help="The chain whose rules are shown.")  # fmt: skip
@click.option("--from", "first", type=click.IntRange(0, ERA_MAX), default=0, show_default=True,
              help="First era.")  # fmt: skip
@click.option("--to", "last", type=click.IntRange(0, ERA_MAX), default=TEN_YEARS,
              show_default=True, help="Last era.")  # fmt: skip
@click.option("--every", type=click.IntRange(1), metavar="ERAS",
              help="Show every so many eras; a table chooses by itself.")  # fmt: skip
@click.option("--start", "starts", multiple=True, type=click.IntRange(1, ERA_MAX), metavar="ERA",
              help="Era in which the next phase began; again for the one after.")  # fmt: skip
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated grains.")
@click.option("--plot", "form", flag_value="plot", help="Draw the curves on the terminal.")
@click.option("--svg", metavar="FILE", help="Also write the curves to a picture.")
@click.pass_obj
def schedule(session: Session, *, chain: str, form: str | None, svg: str | None, first: int,
             last: int, every: int | None, starts: tuple[int, ...]) -> None:  # fmt: skip
    """Show how much money may come into being in each era, and for whom.

    Phases last as long as they may unless --start says when the next began; that is the greatest
    emission there can be. What work does not earn is never minted, so the real figures are lower.
    """
    if last < first:
        raise WrongUse(f"era {last} is before era {first}", "let --to be at least --from")
    rules, issued = load_rules(chain)
    module = importlib.import_module("runtime.emission.schedule")
    if list(starts) != sorted(set(starts)) or len(starts) >= len(rules.plan.phases):
        raise WrongUse("the starts do not rise, or are more than the phases that can follow")
    begins = module.planned_starts(rules.plan, starts)
    rows = [
        _row(found, issued)
        for found in module.compute_schedule(rules.plan, begins, first=first, last=last)
    ]
    if every is None:
        is_whole = form is not None or session.console.is_json
        every = 1 if is_whole else -(-len(rows) // LINES_MAX)
    kept = [row for row in rows if not (row["era"] - first) % every or row["era"] == last]
    if svg is not None:
        _write_picture(Path(svg), chain, kept)
    if form == "csv" and not session.console.is_json:
        click.echo(_as_csv(kept), nl=False)
        return
    fields = _describe(rules, chain, issued=issued, begins=begins)
    lines = _plot(kept) if form == "plot" else _table(session, kept, fields)
    session.console.answer("chain.schedule/1", {**fields, "rows": kept}, lines)


def load_rules(chain: str) -> tuple[Any, int]:
    """Give the emission rules of a spec, and the grains that its genesis mints."""
    module = importlib.import_module("chain.genesis")
    spec = module.load_chain(chain)
    if spec.emission is None:
        raise WrongUse(
            f"the chain {spec.id} has no [emission] table, so nothing is scheduled",
            "give --spec public, or the path of a spec that has one",
        )
    return spec.emission, spec.issued


def _row(found: Any, issued: int) -> Row:
    pools = found.pools
    amounts = {
        "budget": found.budget,
        "compute": pools.compute,
        "data": pools.data,
        "validation": pools.validation,
        "treasury": pools.treasury,
        "cumulative": found.cumulative,
        "supply_max": issued + found.cumulative,
    }
    texts = {name: str(amount) for name, amount in amounts.items()}
    return {"era": found.era, "phase": found.phase.name.lower(), **texts}


def _describe(rules: Any, chain: str, *, issued: int, begins: Sequence[int]) -> Row:
    module = importlib.import_module("runtime.emission.schedule")
    plan = rules.plan
    return {
        "chain": chain,
        "supply": "tail" if plan.has_tail else "cap",
        "max_supply": str(rules.max_supply),
        "issued": str(issued),
        "rights": str(plan.rights),
        "worst_case": str(module.compute_worst_case(plan)),
        "starts": {
            phase.name.name.lower(): start
            for phase, start in zip(plan.phases, begins, strict=False)
        },
    }


def _table(session: Session, rows: Sequence[Row], fields: Row) -> list[str]:
    heads = [name.replace("_", " ") for name in COLUMNS]
    cells = [[row["era"], row["phase"], *map(_grist, _amounts(row))] for row in rows]
    widths = [max(len(str(cell)) for cell in column) for column in zip(heads, *cells, strict=True)]
    lines = session.console.table(
        [head.rjust(width) for head, width in zip(heads, widths, strict=True)],
        [
            [str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)]
            for row in cells
        ],
    )
    issued, rights, worst = (_whole(fields[name]) for name in ("issued", "rights", "worst_case"))
    summary = (
        f"Amounts in GRIST, cut to whole ones. Genesis minted {issued}; emission may add\n"
        f"{rights} at most, and comes to {worst} if every phase lasts as long as it may."
    )
    return [*lines, "", summary]


def _plot(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    for curve in _curves(rows):
        lines += [*draw_bars(curve, width=PLOT_COLUMNS, height=PLOT_ROWS)]
        ends = f"era {rows[0]['era']}", f"era {rows[-1]['era']}"
        width = len(lines[-1]) - len(ends[0])
        lines += [ends[0] + ends[1].rjust(max(width, len(ends[1]) + 1)), ""]
    return lines[:-1]


def _curves(rows: Sequence[Row]) -> list[Curve]:
    names = {"budget": "Budget of an era", "supply_max": "Greatest supply"}
    return [
        Curve(
            title,
            [int(row[name]) for row in rows],
            show_amount(max(int(row[name]) for row in rows)),
        )
        for name, title in names.items()
    ]


def _write_picture(path: Path, chain: str, rows: Sequence[Row]) -> None:
    picture = draw_svg(
        f"Emission of the chain {chain}", [row["era"] for row in rows], _curves(rows)
    )
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{path} cannot be written: {error.strerror}") from error


def _as_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _amounts(row: Row) -> list[str]:
    return [row[name] for name in COLUMNS[2:]]


def _grist(grains: str) -> str:
    return format_amount(int(grains)).partition(".")[0]


def _whole(grains: str) -> str:
    return f"{int(grains) // 10**9:,} GRIST"
