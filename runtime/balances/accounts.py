"""What an account record allows: pure functions of its eight numbers."""

from typing import Final

from runtime.frame.context import AccountRecord

EXISTENTIAL_DEPOSIT: Final = 1_000_000
"""0.001 GRIST: an account costs the network about 200 bytes of memory for ever."""

FLAG_NEW_LOGIC: Final = 1 << 127
"""Substrate's mark of an account whose `frozen` is the largest freeze; clients look for it."""


def untouchable(record: AccountRecord) -> int:
    """Give the free grains that must stay: what freezes cover beyond holds, or the deposit."""
    covered = record[6] - record[5]
    floor = EXISTENTIAL_DEPOSIT if record[1] else 0
    return max(covered, floor)


def spendable(record: AccountRecord, *, keep_alive: bool) -> int:
    """Give the free grains that may leave; with `keep_alive` the account must live on."""
    floor = untouchable(record)
    if keep_alive:
        floor = max(floor, EXISTENTIAL_DEPOSIT)
    return max(0, record[4] - floor)


def with_money(record: AccountRecord, *, free: int, reserved: int, frozen: int) -> AccountRecord:
    """Give the record with other money; holds and freezes keep an account from dying."""
    nonce, _, providers, sufficients, *_, flags = record
    consumers = 1 if reserved or frozen else 0
    return nonce, consumers, providers, sufficients, free, reserved, frozen, flags


def new_account(*, free: int, nonce: int) -> AccountRecord:
    """Give the record of an account that comes into being; an old nonce is never forgotten."""
    return nonce, 0, 1, 0, free, 0, 0, FLAG_NEW_LOGIC


def dead_account(record: AccountRecord) -> AccountRecord | None:
    """Give what stays of an account that dies: its nonce, so that nothing is replayed."""
    return (record[0], 0, 0, 0, 0, 0, 0, 0) if record[0] else None
