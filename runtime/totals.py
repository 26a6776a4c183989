"""The economic totals of the chain: what the header's digest carries after every block.

A light client that checked a header knows the supply and its causes without a state.
"""

from typing import Annotated

from runtime.balances import INSURANCE, TREASURY, BurnCause, HoldReason, MintCause
from runtime.frame.declared import Most, Record
from runtime.primitives import AccountId, Balance
from runtime.runtime import Runtime
from runtime.system import NO_ACCOUNT


class MintedTotal(Record):
    """Grains ever minted for a cause."""

    cause: MintCause
    amount: Balance


class BurnedTotal(Record):
    """Grains ever burned for a cause."""

    cause: BurnCause
    amount: Balance


class EconomicTotals(Record):
    """Issuance and where it came from and went; amounts in grains since genesis.

    issuance = sum(minted) - sum(burned), in every block.
    """

    issuance: Balance
    minted: Annotated[tuple[MintedTotal, ...], Most(16)]
    burned: Annotated[tuple[BurnedTotal, ...], Most(16)]
    staked: Balance
    escrowed: Balance
    treasury: Balance
    insurance: Balance


def compute_totals(runtime: Runtime) -> EconomicTotals:
    """Read the totals from the state that the runtime's context points at."""
    balances = runtime.balances
    return EconomicTotals(
        balances.total_issuance,
        tuple(MintedTotal(cause, balances.minted[cause]) for cause in MintCause),
        tuple(BurnedTotal(cause, balances.burned[cause]) for cause in BurnCause),
        balances.held_totals[HoldReason.STAKE],
        balances.held_totals[HoldReason.ESCROW],
        _free(runtime, TREASURY),
        _free(runtime, INSURANCE),
    )


def encode_totals(runtime: Runtime) -> bytes:
    """Give the SCALE record that goes into the header."""
    return EconomicTotals.wire.encode(compute_totals(runtime))


def decode_totals(data: bytes) -> EconomicTotals:
    """Read the record of a header; raises ValueError."""
    totals: EconomicTotals = EconomicTotals.wire.decode(data)
    return totals


def _free(runtime: Runtime, who: AccountId) -> int:
    return (runtime.ctx.state.account(who) or NO_ACCOUNT)[4]
