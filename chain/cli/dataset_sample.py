"""`gristmill dataset sample`: rows to try the market with, the same ones for everybody."""

from pathlib import Path
from typing import Final

import click

from chain.cli.command import Command
from chain.cli.session import Session
from chain.market.rows import FEATURES, make_clusters, shuffle, write_csv
from chain.storage import durable
from chain.wallet.errors import Denied

FILE: Final = "rows.csv"
"""What the file is called."""

ROWS_MAX: Final = 100_000
"""Rows of a sample: some seconds' work, and 25 MB of text."""


@click.command(cls=Command)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--rows", type=click.IntRange(1, ROWS_MAX), default=512, show_default=True,
              help="How many rows.")  # fmt: skip
@click.option("--classes", type=click.IntRange(1, 32), default=4, show_default=True,
              help="How many classes they are of.")  # fmt: skip
@click.option("--spread", type=click.IntRange(1, 1_000), default=128, show_default=True,
              help="How far a class lies around its centre: the wider the harder.")  # fmt: skip
@click.option("--seed", metavar="TEXT", default="town", show_default=True,
              help="What the rows are made of; another text gives others.")  # fmt: skip
@click.pass_obj
def sample(
    session: Session, directory: Path, rows: int, classes: int, spread: int, seed: str
) -> None:
    """Write DIR/rows.csv: rows of 63 numbers and a class, to train the reference trainer with.

    Each class lies around a centre of its own, and the rows come in a mixed order. The same options
    give the same file everywhere. `gristmill dataset add --format csv` registers it.
    """
    made = make_clusters(seed.encode(), rows=rows, classes=classes, spread=spread)
    path = directory / FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        durable.write_file(path, write_csv(shuffle(made, b"order")).encode(), mode=0o644)
    except OSError as error:
        raise Denied(f"{path} cannot be written: {error.strerror}") from None
    fields = {"file": str(path), "rows": rows, "classes": classes, "features": FEATURES}
    lines = [f"{path}: {rows} rows of {FEATURES} numbers, in {classes} classes"]
    session.console.answer("dataset.sample/1", fields, lines)
