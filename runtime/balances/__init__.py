"""Balances: money, and the one kernel through which all of it moves."""

from runtime.balances.accounts import EXISTENTIAL_DEPOSIT
from runtime.balances.module import Balances
from runtime.balances.nouns import (
    CURATION_POT,
    DELEGATION_POT,
    FEE_POT,
    INSURANCE,
    PROTECTED,
    SLASH_POT,
    STAKERS_POT,
    STAKING_POT,
    TREASURY,
    BurnCause,
    FreezeReason,
    HoldReason,
    MintCause,
    MoveCause,
    Posting,
)

__all__ = [
    "CURATION_POT",
    "DELEGATION_POT",
    "EXISTENTIAL_DEPOSIT",
    "FEE_POT",
    "INSURANCE",
    "PROTECTED",
    "SLASH_POT",
    "STAKERS_POT",
    "STAKING_POT",
    "TREASURY",
    "Balances",
    "BurnCause",
    "FreezeReason",
    "HoldReason",
    "MintCause",
    "MoveCause",
    "Posting",
]
