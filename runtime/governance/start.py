"""What votes on a chain: the [governance] table and, where an asset votes, who holds it."""

from typing import Final

from runtime.balances import PROTECTED
from runtime.frame.errors import SpecError
from runtime.governance.asset import HOLDING_MIN
from runtime.primitives import MONEY_MAX, AccountId
from runtime.section import Section

ASSETS: Final = ("grist", "separate")
"""What may vote; GRIST where the spec does not say."""

HOLDERS_MAX: Final = 100_000
"""Most holders of votes in a genesis; as many as accounts."""

Holders = tuple[tuple[AccountId, int], ...]
"""Accounts with their votes, in grains, ascending by account."""


def read_votes(root: Section) -> Holders | None:
    """Read who holds what votes; None where GRIST votes. Raises SpecError."""
    table = root.table("governance")
    asset = ASSETS[0]
    if table is not None:
        asset = table.choice("asset", ASSETS)
        table.finish()
    if asset == ASSETS[0]:
        if root.has("votes"):
            raise SpecError("votes", "GRIST votes here", 'write [governance] asset = "separate"')
        return None
    held: dict[AccountId, int] = {}
    for entry in root.items("votes", HOLDERS_MAX):
        account, amount = entry.account("account"), entry.amount("amount")
        entry.finish()
        if account in held or account in PROTECTED or amount < HOLDING_MIN:
            raise SpecError(
                entry.key("account"),
                "it is there twice, is the chain's own, or holds less than 0.001 votes",
                "give each account of a person some votes, once",
            )
        held[account] = amount
    if not held or sum(held.values()) > MONEY_MAX:
        raise SpecError("votes", "nobody holds any, or all together too many", "give some")
    return tuple(sorted(held.items()))
