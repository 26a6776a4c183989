"""Plans of emission for tests: the public one, and one that ends in a tail."""

import tomllib
from typing import Any

from runtime.emission.reading import EmissionRules, read_emission
from runtime.section import Section
from tests.support.runtime import ROOT

GRIST = 10**9
ISSUED = 615_000_000 * GRIST


def public_table() -> dict[str, Any]:
    """The [emission] table of the public spec, as TOML gives it."""
    table: dict[str, Any] = tomllib.loads((ROOT / "genesis/public.toml").read_text())["emission"]
    return table


def tail_table() -> dict[str, Any]:
    """The public table, but with a tail of 2 % a year instead of a cap."""
    table = public_table()
    del table["max_supply"], table["rights"]
    return {**table, "supply": "tail", "terminal_rate": 20_000_000}


def rules_of(table: dict[str, Any], issued: int = ISSUED) -> EmissionRules:
    return read_emission(Section(table, "emission"), issued=issued)
