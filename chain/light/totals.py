"""The money of the chain by cause, proved twice: in the header, and key by key under its root."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chain.light.client import LightClient, Refused
from consensus.header import Header
from ext import store
from runtime.balances import INSURANCE, TREASURY, BurnCause, HoldReason, MintCause
from runtime.runtime import Runtime
from runtime.totals import EconomicTotals, decode_totals

FREE: Final = 4
"""The place of free money in the record of an account."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of the totals: where it stands in the state, and how it is read there."""

    name: str
    key: bytes
    amount: int
    codec: Any

    def read(self, value: bytes | None) -> int:
        """Give the number that a proved value means; absence is zero."""
        if value is None:
            return 0
        if self.codec is None:
            return int(store.decode_account(value)[FREE])
        return int(self.codec.decode(value))


def prove_totals(client: LightClient) -> tuple[Header, EconomicTotals]:
    """Prove the totals of the newest block by its header and by storage; raises Refused."""
    names = [entry.key for entry in _entries(_no_totals())]
    header, values = client.values(names)
    try:
        totals = decode_totals(header.consensus.totals)
    except ValueError as error:
        raise Refused(f"the totals of block {header.number} do not decode: {error}") from None
    for entry, value in zip(_entries(totals), values, strict=True):
        found = entry.read(value)
        if found != entry.amount:
            raise Refused(
                f"{entry.name}: the header of block {header.number} says {entry.amount}, its state "
                f"{found}"
            )
    minted = sum(one.amount for one in totals.minted)
    if totals.issuance != minted - sum(one.amount for one in totals.burned):
        raise Refused("the issuance is not what was minted less what was burned")
    return header, totals


def _no_totals() -> EconomicTotals:
    """Give totals of nothing, to name the keys by."""
    return EconomicTotals(0, (), (), 0, 0, 0, 0)


def _entries(totals: EconomicTotals) -> Iterator[Entry]:
    """Yield every number of the totals with its place in the state."""
    balances = Runtime().balances
    issuance = next(item for item in balances.items if item.name == "TotalIssuance")
    yield Entry("issuance", issuance.prefix, totals.issuance, issuance.value)
    minted = {one.cause: one.amount for one in totals.minted}
    burned = {one.cause: one.amount for one in totals.burned}
    for cause in MintCause:
        key, codec = balances.minted.storage_key(cause), balances.minted.info.value
        yield Entry(f"minted for {cause.name.lower()}", key, minted.get(cause, 0), codec)
    for other in BurnCause:
        key, codec = balances.burned.storage_key(other), balances.burned.info.value
        yield Entry(f"burned for {other.name.lower()}", key, burned.get(other, 0), codec)
    held, codec = balances.held_totals, balances.held_totals.info.value
    yield Entry("staked", held.storage_key(HoldReason.STAKE), totals.staked, codec)
    yield Entry("escrowed", held.storage_key(HoldReason.ESCROW), totals.escrowed, codec)
    yield Entry("treasury", store.account_key(TREASURY), totals.treasury, None)
    yield Entry("insurance", store.account_key(INSURANCE), totals.insurance, None)
