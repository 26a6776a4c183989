"""Amounts of GRIST, exact: decimal text for people, whole grains everywhere else."""

import re
from typing import Final

from chain.wallet.errors import WrongUse

DECIMALS: Final = 9
"""Digits after the point: one GRIST is 10^9 grains."""

SYMBOL: Final = "GRIST"
"""The name of the token."""

GRAINS_PER_GRIST: Final = 10**DECIMALS
"""Grains in one GRIST."""

AMOUNT_MAX: Final = (1 << 63) - 1
"""Grains; issuance stays below it by construction, so no single amount can exceed it."""

_AMOUNT: Final = re.compile(r"(\d{1,20})(?:\.(\d+))?(?: ?(GRIST|grains?))?", re.ASCII)


def parse_amount(text: str) -> int:
    """Return the grains of `12.5`, `12.5 GRIST` or `7 grains`; raise WrongUse for anything else."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise WrongUse(f"{text!r} is not an amount", "write GRIST, like 12.5, or 7grains")
    whole, fraction, unit = match[1], match[2] or "", match[3] or SYMBOL
    if unit != SYMBOL:
        if fraction:
            raise WrongUse(f"{text!r} has a fraction of a grain", "a grain is the smallest unit")
        grains = int(whole)
    elif len(fraction) > DECIMALS:
        raise WrongUse(
            f"{text!r} has {len(fraction)} decimals; GRIST has {DECIMALS}",
            "the smallest unit is a grain, 0.000000001 GRIST",
        )
    else:
        grains = int(whole) * GRAINS_PER_GRIST + int(fraction.ljust(DECIMALS, "0"))
    if grains > AMOUNT_MAX:
        raise WrongUse(f"{text!r} is more than there can ever be")
    return grains


def format_amount(grains: int) -> str:
    """Return the shortest exact decimal of grains in GRIST, like `12.5`."""
    sign = "-" if grains < 0 else ""
    whole, rest = divmod(abs(grains), GRAINS_PER_GRIST)
    fraction = f"{rest:0{DECIMALS}d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def show_amount(grains: int) -> str:
    """Return the amount with its unit, for people: `12.5 GRIST`."""
    return f"{format_amount(grains)} {SYMBOL}"
