"""What a transaction would do in the next block: its result, events and changes of money."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from chain.wallet.cursor import Cursor
from chain.wallet.decoding import Decoder
from chain.wallet.errors import BadContent
from chain.wallet.metadata import Metadata
from chain.wallet.ss58 import decode_account

VALIDITY_ERRORS: Final = (
    "the chain does not understand the call",
    "the account cannot pay the fee",
    "the nonce is too high",
    "the nonce was used already",
    "the signature is wrong, or the transaction is for another chain or version",
    "its lifetime is over",
    "it would take more than a block allows",
    "a rule of its own refuses it",
    "it is mandatory and failed",
    "its kind may not be sent from outside",
    "its signer may not send it",
)
"""Substrate's InvalidTransaction by number, in words."""

NONCE_AHEAD: Final = ("Invalid", VALIDITY_ERRORS[2])
"""The outcome of a transaction that waits behind another: nobody can say yet what it would do."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account's free balance before and after, in grains."""

    address: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would happen; `error` is (name, docstring) of what would undo the call."""

    error: tuple[str, str] | None
    fee: int | None
    events: list[dict[str, Any]]
    changes: list[Change]


def describe_failure(error: Any) -> tuple[str, str]:
    """Return (name, docstring) of a decoded dispatch error."""
    if isinstance(error, dict) and "error" in error:
        return str(error["error"]), str(error.get("docs") or "")
    if isinstance(error, dict) and error:
        kind, inner = next(iter(error.items()))
        return f"{kind}.{inner}" if isinstance(inner, str) else str(kind), ""
    return str(error), ""


def read_fee(events: Iterable[dict[str, Any]]) -> int | None:
    """Return the grains that one extrinsic's events say it paid, None if they do not."""
    paid: int | None = None
    for event in events:
        if event["event"] == "TransactionPayment.TransactionFeePaid":
            paid = int(event["fields"]["actual_fee"])
        elif event["event"] == "TransactionPayment.FeeReturned" and paid is not None:
            paid -= int(event["fields"]["amount"])
    return paid


def read_apply_result(metadata: Metadata, content: bytes) -> tuple[str, str] | None:
    """Return the error of a SCALE ApplyExtrinsicResult, None for success."""
    cursor = Cursor(content)
    if not cursor.flag():
        error = None
        if cursor.flag():
            error = describe_failure(_read_dispatch_error(metadata, cursor))
        else:
            cursor.finish()
        return error
    kind, number = cursor.number(1), cursor.number(1)
    if kind == 0 and number < len(VALIDITY_ERRORS):
        return "Invalid", VALIDITY_ERRORS[number]
    return "Invalid", f"the chain refuses it (validity error {kind}.{number})"


def compute_changes(
    events: Iterable[dict[str, Any]], free_of: Callable[[bytes], int]
) -> list[Change]:
    """Return how the events change free balances, largest loss first; `free_of` tells the start."""
    totals: dict[str, int] = {}
    for event in events:
        for address, grains in _effects(event["event"], event["fields"]):
            totals[address] = totals.get(address, 0) + grains
    changes = []
    for address, difference in sorted(totals.items(), key=lambda one: one[1]):
        if difference:
            before = free_of(decode_account(address))
            changes.append(Change(address, before, before + difference))
    return changes


def _effects(name: str, fields: dict[str, Any]) -> list[tuple[str, int]]:
    if name == "Balances.Transfer":
        amount = int(fields["amount"])
        return [(fields["from"], -amount), (fields["to"], amount)]
    if name == "TransactionPayment.TransactionFeePaid":
        return [(fields["who"], -int(fields["actual_fee"]))]
    if name == "TransactionPayment.FeeReturned":
        return [(fields["who"], int(fields["amount"]))]
    signs = {"Burned": -1, "Minted": 1, "Held": -1, "Released": 1}
    module, _, word = name.partition(".")
    if module == "Balances" and word in signs and "who" in fields:
        return [(fields["who"], signs[word] * int(fields["amount"]))]
    return []


def _read_dispatch_error(metadata: Metadata, cursor: Cursor) -> Any:
    for type_id, entry in enumerate(metadata.types):
        if entry.name == "DispatchError":
            return Decoder(metadata).read(type_id, cursor)
    raise BadContent("the metadata does not define DispatchError")
