"""The money of the chain by cause, proved twice: in the header, and key by key under its root."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from chain.light.client import LightClient, Refused
from consensus.header import Header
from ext import store
from runtime.balances import INSURANCE, TREASURY, Balances, BurnCause, HoldReason, MintCause
from runtime.runtime import Runtime
from runtime.totals import EconomicTotals, decode_totals

FREE: Final = 4
"""The place of free money in the record of an account."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one number of the totals stands in the state, and how it is read there and above.

    `codec` is None for the free money of an account.
    """

    name: str
    key: bytes
    codec: Any
    pick: Callable[[EconomicTotals], int]

    def read(self, value: bytes | None) -> int:
        """Give the number that a proved value means; absence is zero. Raises ValueError."""
        if value is None:
            return 0
        if self.codec is None:
            return int(store.decode_account(value)[FREE])
        return int(self.codec.decode(value))


def prove_totals(client: LightClient) -> tuple[Header, EconomicTotals]:
    """Prove the totals of the newest block by its header and by storage; raises Refused."""
    places = find_places()
    header, values = client.values([place.key for place in places])
    try:
        totals = decode_totals(header.consensus.totals)
        found = [place.read(value) for place, value in zip(places, values, strict=True)]
    except ValueError as error:
        raise Refused(f"the totals of block {header.number} do not decode: {error}") from None
    for place, amount in zip(places, found, strict=True):
        if amount != place.pick(totals):
            raise Refused(
                f"{place.name}: the header of block {header.number} says {place.pick(totals)}, its "
                f"state {amount}"
            )
    minted = sum(one.amount for one in totals.minted)
    if totals.issuance != minted - sum(one.amount for one in totals.burned):
        raise Refused("the issuance is not what was minted less what was burned")
    return header, totals


@cache
def find_places() -> tuple[Place, ...]:
    """Give the place of every number of the totals."""
    return tuple(_iterate_places(Runtime().balances))


def _iterate_places(balances: Balances) -> Iterator[Place]:
    issuance = next(item for item in balances.items if item.name == "TotalIssuance")
    yield Place("issuance", issuance.prefix, issuance.value, lambda totals: totals.issuance)
    minted, burned = balances.minted, balances.burned
    for cause in MintCause:
        key, name = minted.storage_key(cause), f"minted for {cause.name.lower()}"
        yield Place(name, key, minted.info.value, partial(_minted, cause))
    for other in BurnCause:
        key, name = burned.storage_key(other), f"burned for {other.name.lower()}"
        yield Place(name, key, burned.info.value, partial(_burned, other))
    held, codec = balances.held_totals, balances.held_totals.info.value
    stake, escrow = held.storage_key(HoldReason.STAKE), held.storage_key(HoldReason.ESCROW)
    yield Place("staked", stake, codec, lambda totals: totals.staked)
    yield Place("escrowed", escrow, codec, lambda totals: totals.escrowed)
    yield Place("treasury", store.account_key(TREASURY), None, lambda totals: totals.treasury)
    yield Place("insurance", store.account_key(INSURANCE), None, lambda totals: totals.insurance)


def _minted(cause: MintCause, totals: EconomicTotals) -> int:
    return sum(one.amount for one in totals.minted if one.cause is cause)


def _burned(cause: BurnCause, totals: EconomicTotals) -> int:
    return sum(one.amount for one in totals.burned if one.cause is cause)
