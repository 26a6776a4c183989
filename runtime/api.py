"""The runtime APIs that clients call by name on a state, as Substrate nodes answer `state_call`."""

from collections.abc import Callable
from typing import Final

from runtime import weights
from runtime.executive import Executive
from runtime.frame.call import DispatchClass
from runtime.frame.context import StateView
from runtime.frame.dispatch import Call
from runtime.frame.outcome import encode_weight
from runtime.metadata import METADATA_VERSION, metadata_v14, runtime_version
from runtime.system import NO_ACCOUNT
from runtime.transaction import encode_compact, find_call

Answer = Callable[[Executive, StateView, bytes], bytes]
"""Answers one API on a state; raises ValueError for arguments of another form."""


def runtime_api(
    state: StateView, name: str, args: bytes, executive: Executive | None = None
) -> bytes | None:
    """Answer an API; None when there is none of that name.

    Raises ValueError or InvalidTransaction for arguments that cannot be read. An executive that is
    given is used again, and must not be in the middle of a block.
    """
    answer = ANSWERS.get(name)
    return None if answer is None else answer(executive or Executive(), state, args)


def _metadata(executive: Executive, _: StateView, __: bytes) -> bytes:
    metadata = metadata_v14(executive.rules)
    return encode_compact(len(metadata)) + metadata


def _metadata_versions(_: Executive, __: StateView, ___: bytes) -> bytes:
    return encode_compact(1) + METADATA_VERSION.to_bytes(4, "little")


def _metadata_at_version(executive: Executive, state: StateView, args: bytes) -> bytes:
    if int.from_bytes(args, "little") != METADATA_VERSION:
        return b"\x00"
    return b"\x01" + _metadata(executive, state, b"")


def _core_version(executive: Executive, _: StateView, __: bytes) -> bytes:
    return runtime_version(executive.rules.version).encode()


def _account_nonce(_: Executive, state: StateView, args: bytes) -> bytes:
    if len(args) != 32:
        raise ValueError(f"an account has 32 bytes, not {len(args)}")
    return (state.account(args) or NO_ACCOUNT)[0].to_bytes(4, "little")


def _query_info(executive: Executive, state: StateView, args: bytes) -> bytes:
    """Answer weight, class and fee without tip; signatures of estimates are made up."""
    is_signed, call, length = _estimated(executive, state, args)
    fee = 0
    if is_signed:
        weight = weights.EXTRINSIC_BASE + call.weight
        fee = executive.runtime.fees.compute_fee(length=length, weight=weight)
    dispatch_class: DispatchClass = call.entry.dispatch_class
    return encode_weight(call.weight) + bytes((dispatch_class,)) + fee.to_bytes(16, "little")


def _query_fee_details(executive: Executive, state: StateView, args: bytes) -> bytes:
    """Answer the parts of the fee: base, length, weight; inherents have none, the tip counts 0."""
    is_signed, call, length = _estimated(executive, state, args)
    if not is_signed:
        return b"\x00" + bytes(16)
    compute = executive.runtime.fees.compute_fee
    base = compute(length=0, weight=0)
    parts = (
        base,
        compute(length=length, weight=0) - base,
        compute(length=0, weight=weights.EXTRINSIC_BASE + call.weight) - base,
    )
    return b"\x01" + b"".join(part.to_bytes(16, "little") for part in parts) + bytes(16)


def _estimated(executive: Executive, state: StateView, args: bytes) -> tuple[bool, Call, int]:
    """Read what a fee is asked for: signed or not, the call, its length in bytes."""
    if len(args) < 5:
        raise ValueError("an extrinsic and its length are asked about")
    raw, length = args[:-4], int.from_bytes(args[-4:], "little")
    is_signed, data = find_call(raw)
    call = executive.decode_call(data)
    executive.ctx.enter(state, executive.no_block)
    executive.runtime.fees.load_prices()
    return is_signed, call, length


ANSWERS: Final[dict[str, Answer]] = {
    "Core_version": _core_version,
    "Metadata_metadata": _metadata,
    "Metadata_metadata_versions": _metadata_versions,
    "Metadata_metadata_at_version": _metadata_at_version,
    "AccountNonceApi_account_nonce": _account_nonce,
    "TransactionPaymentApi_query_info": _query_info,
    "TransactionPaymentApi_query_fee_details": _query_fee_details,
}
"""Every API there is."""
