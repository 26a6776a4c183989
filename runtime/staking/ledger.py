"""What a ledger allows: pure functions of its parts.

    free --bond--> active --unbond--> a chunk --its era comes, withdraw--> free
                     ^------- rebond -----'

`total` is always `active` and all chunks. Every function gives a new ledger, or raises the error
that tells the signer why not.
"""

from collections.abc import Sequence
from dataclasses import replace

from runtime.frame.parameters import PERBILL
from runtime.primitives import AccountId
from runtime.staking.nouns import (
    CHUNKS_MAX,
    CommissionMark,
    CommissionStep,
    CommissionTooHigh,
    NoMoreChunks,
    NotEnoughActive,
    NothingUnlocked,
    NoUnlockChunk,
    StakeLiable,
    StakingLedger,
    UnlockChunk,
    ZeroAmount,
)


def new_ledger(who: AccountId, amount: int) -> StakingLedger:
    """Give the ledger of an account that begins with this much at stake."""
    return StakingLedger(who, amount, amount, ())


def with_more(ledger: StakingLedger, amount: int) -> StakingLedger:
    """Give the ledger with more at stake; raises ZeroAmount."""
    if not amount:
        raise ZeroAmount
    return replace(ledger, total=ledger.total + amount, active=ledger.active + amount)


def unbond(ledger: StakingLedger, amount: int, *, era: int) -> StakingLedger:
    """Give the ledger with some active stake unbonding until an era; chunks of an era are one.

    Raises ZeroAmount, NotEnoughActive or NoMoreChunks.
    """
    if not amount:
        raise ZeroAmount
    if amount > ledger.active:
        raise NotEnoughActive
    chunks = ledger.unlocking
    if chunks and chunks[-1].era == era:
        chunks = (*chunks[:-1], UnlockChunk(chunks[-1].value + amount, era))
    elif len(chunks) < CHUNKS_MAX:
        chunks = (*chunks, UnlockChunk(amount, era))
    else:
        raise NoMoreChunks
    return replace(ledger, active=ledger.active - amount, unlocking=chunks)


def rebond(ledger: StakingLedger, amount: int) -> StakingLedger:
    """Give the ledger with some unbonding stake active again, the newest chunks first.

    Raises ZeroAmount or NoUnlockChunk.
    """
    if not amount:
        raise ZeroAmount
    chunks, taken = take_newest(ledger.unlocking, amount)
    if taken < amount:
        raise NoUnlockChunk
    return replace(ledger, active=ledger.active + amount, unlocking=chunks)


def withdraw(ledger: StakingLedger, *, era: int, liable: int) -> tuple[StakingLedger, int]:
    """Give the ledger without what is unlocked in an era, and how much that is.

    As much as is `liable` stays, so that an open report finds it. Raises NothingUnlocked or
    StakeLiable when nothing can leave.
    """
    unlocked = sum(chunk.value for chunk in ledger.unlocking if chunk.era <= era)
    if not unlocked:
        raise NothingUnlocked
    amount = min(unlocked, ledger.total - liable)
    if amount <= 0:
        raise StakeLiable
    chunks = take_oldest(ledger.unlocking, amount)
    return replace(ledger, total=ledger.total - amount, unlocking=chunks), amount


def take(ledger: StakingLedger, amount: int) -> tuple[StakingLedger, int]:
    """Give the ledger after a slash and what was taken: from active, then the newest chunks.

    Less than `amount` is taken when less is there.
    """
    from_active = min(amount, ledger.active)
    chunks, from_chunks = take_newest(ledger.unlocking, amount - from_active)
    taken = from_active + from_chunks
    slashed = replace(
        ledger,
        total=ledger.total - taken,
        active=ledger.active - from_active,
        unlocking=chunks,
    )
    return slashed, taken


def take_newest(chunks: Sequence[UnlockChunk], amount: int) -> tuple[tuple[UnlockChunk, ...], int]:
    """Give the chunks without this much of the newest, and how much there was to take."""
    kept, left = list(chunks), amount
    while kept and left:
        chunk = kept.pop()
        part = min(chunk.value, left)
        left -= part
        if chunk.value > part:
            kept.append(UnlockChunk(chunk.value - part, chunk.era))
    return tuple(kept), amount - left


def take_oldest(chunks: Sequence[UnlockChunk], amount: int) -> tuple[UnlockChunk, ...]:
    """Give the chunks without this much of the oldest."""
    kept: list[UnlockChunk] = []
    for chunk in chunks:
        part = min(chunk.value, amount)
        amount -= part
        if chunk.value > part:
            kept.append(UnlockChunk(chunk.value - part, chunk.era))
    return tuple(kept)


def next_mark(
    mark: CommissionMark | None, commission: int, *, era: int, step: int
) -> CommissionMark:
    """Give the mark of a new commission, in parts of 10^9.

    The first is free; then all changes of an era stay within `step` of what it was when the era
    began. Raises CommissionTooHigh or CommissionStep.
    """
    if commission > PERBILL:
        raise CommissionTooHigh
    if mark is None:
        return CommissionMark(era, commission, commission)
    base = mark.base if mark.era == era else mark.current
    if abs(commission - base) > step:
        raise CommissionStep
    return CommissionMark(era, base, commission)
