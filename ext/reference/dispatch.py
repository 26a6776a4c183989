"""Runs of hot calls, and the signatures of a block: the specification of `ext.native.dispatch`.

What a hot call does is specified by the runtime's modules and by nothing else. So this twin takes
no call over: its `apply_run` leaves every extrinsic to the modules, and a native run is right when
a block gives the same root, receipts and errors either way.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ext.reference import hashing, signing
from ext.reference.scale import COMPACT_U32
from ext.reference.store import Overlay

PAYLOAD_LENGTH_MAX = 256
"""A longer payload is signed by its hash, in bytes; Substrate's rule."""


class Rules(NamedTuple):
    """What the runtime says about its hot calls, once: numbers, accounts, and ready-made bytes."""

    existential_deposit: int
    fee_pot: bytes
    treasury: bytes
    protected: tuple[bytes, ...]
    remark: bytes
    transfer_allow_death: bytes
    transfer_keep_alive: bytes
    extrinsic_weight: int
    remark_weight: int
    transfer_weight: int
    remark_info: bytes
    transfer_info: bytes
    fee_paid: bytes
    transferred: bytes
    new_account: bytes
    endowed: bytes
    dust_lost: bytes
    killed_account: bytes
    success: bytes
    failed: bytes
    insufficient_balance: bytes
    liquidity_restrictions: bytes
    existential_deposit_error: bytes
    expendability: bytes
    protected_account: bytes
    remark_length_max: int
    rate_divisor: int


class Room(NamedTuple):
    """What a run may use up: prices (base, per byte, rate), and the limits that are left.

    `first_index` is the place of the run's first extrinsic in the block, as in phases of events.
    """

    prices: tuple[int, int, int]
    bytes_left: int
    weight_left: int
    count_left: int
    first_index: int


class Run(NamedTuple):
    """What a run did: how many extrinsics, their receipts, which failed, and what they used."""

    done: int
    receipts: list[bytes]
    failed: list[bool]
    bytes_used: int
    weight_used: int
    tips: int


class SigningTerms(NamedTuple):
    """What signatures of a block cover besides their transaction."""

    height: int
    suffix: bytes
    """Versions and genesis hash, as they stand in the payload before the anchor."""
    find_anchor: Callable[[int], bytes | None]
    """Gives the hash (32 bytes) of the block in which an era began; 0 asks for genesis."""


def apply_run(
    overlay: Overlay, rules: Rules, extrinsics: Sequence[bytes], first: int, room: Room
) -> Run:
    """Execute consecutive hot calls from `extrinsics[first]` on and stop before any other thing.

    What is invalid, malformed, unusual or without room is never executed: the caller's slow way
    says what is wrong with it. Tips reach the fee pot but are counted only in the result.
    """
    del overlay, rules, extrinsics, first, room
    return Run(0, [], [], 0, 0, 0)


def read_signed(raw: bytes) -> tuple[bytes, int, int, bytes] | None:
    """Give signer, nonce, tip and call of a signed extrinsic.

    None when it is malformed, or unusual (a tip of more than 64 bits); the caller's slow way says
    which.
    """
    front = _read_front(raw, 0) if type(raw) is bytes else None
    return None if front is None else (front.signer, front.nonce, front.tip, front.call)


def read_run(
    overlay: object,
    extrinsics: list[bytes],
    first: int,
    count: int,
    payments: dict[bytes, tuple[object, int]],
) -> list[tuple[bytes, int, int, bytes | tuple[object, tuple[bytes, int], int]] | None]:
    """Give what `read_signed` gives of up to `count` extrinsics, their accounts fetched already.

    The accounts of an extrinsic are its signer and what stands where a transfer has its target.
    Where `payments` has the first two bytes of a call, and `read_payment` could read the rest, the
    call is given as (first of what is there, (account id, number), second of what is there).
    """
    del overlay
    found: list[tuple[bytes, int, int, bytes | tuple[object, tuple[bytes, int], int]] | None] = []
    for raw in extrinsics[first : first + count]:
        front = read_signed(raw)
        known = payments.get(front[3][:2]) if front else None
        payment = read_payment(front[3], 2) if front and known else None
        if front and known and payment:
            found.append((*front[:3], (known[0], payment, known[1])))
        else:
            found.append(front)
    return found


def read_payment(data: bytes, offset: int) -> tuple[bytes, int] | None:
    """Give the account id and the compact number that are all that stands from `offset` on.

    None when anything else stands there, or a number of more than 64 bits.
    """
    if offset < 0 or len(data) - 34 < offset or data[offset]:
        return None
    amount, end = _read_compact(data, offset + 33)
    if end != len(data) or amount >= 1 << 64:
        return None
    return data[offset + 1 : offset + 33], amount


def encode_fee_paid(head: bytes, who: bytes, paid: int, tip: int) -> bytes:
    """Give the event of a fee: its two bytes, the signer, and two amounts below 2^64."""
    return _head(head, who) + _amount(paid) + _amount(tip)


def encode_transfer(head: bytes, source: bytes, target: bytes, amount: int) -> bytes:
    """Give the event of a transfer: its two bytes, two accounts, and an amount below 2^64."""
    return _head(head, source) + _account(target) + _amount(amount)


def _head(head: bytes, who: bytes) -> bytes:
    if len(head) != 2:
        raise ValueError("an event begins with two bytes")
    return head + _account(who)


def _account(who: bytes) -> bytes:
    if len(who) != 32:
        raise ValueError("an account identifier has 32 bytes")
    return who


def _amount(amount: int) -> bytes:
    return amount.to_bytes(8, "little") + bytes(8)


def encode_receipt(index: int, events: list[bytes]) -> bytes:
    """Give the SCALE `Vec<EventRecord>` of the encoded events of one extrinsic of a block."""
    phase = b"\x00" + index.to_bytes(4, "little")
    return COMPACT_U32.encode(len(events)) + b"".join(phase + event + b"\x00" for event in events)


def signature_items(
    extrinsics: Sequence[bytes], terms: SigningTerms
) -> list[tuple[bytes, bytes, bytes]] | None:
    """Give (public key, message, signature) for each signed extrinsic.

    None when one is malformed or its anchor is not known; the caller's slow way says which.
    """
    items = []
    for raw in extrinsics:
        item = _signature_item(raw, terms)
        if item is None:
            return None
        items.append(item)
    return items


def verify_block(extrinsics: Sequence[bytes], terms: SigningTerms) -> bool:
    """Say whether every extrinsic is well-formed and signed by its signer."""
    items = signature_items(extrinsics, terms)
    return items is not None and all(signing.verify_many(items))


class _Front(NamedTuple):
    """What stands in a signed extrinsic; `birth` is the height where its era began."""

    signer: bytes
    signature: bytes
    birth: int
    nonce: int
    tip: int
    extra: bytes
    call: bytes


def _read_front(raw: bytes, height: int) -> _Front | None:
    length, start = _read_compact(raw, 0)
    if length != len(raw) - start or not 100 <= length <= 128 * 1024:
        return None
    if raw[start : start + 2] != b"\x84\x00" or raw[start + 34]:
        return None
    birth, offset = _read_era(raw, start + 99, height)
    nonce, offset = _read_compact(raw, offset)
    tip, offset = _read_compact(raw, offset)
    if min(birth, nonce, tip) < 0 or nonce >= 1 << 32 or tip >= 1 << 64:
        return None
    signer, signature = raw[start + 2 : start + 34], raw[start + 35 : start + 99]
    return _Front(signer, signature, birth, nonce, tip, raw[start + 99 : offset], raw[offset:])


def _signature_item(raw: bytes, terms: SigningTerms) -> tuple[bytes, bytes, bytes] | None:
    front = _read_front(raw, terms.height)
    anchor = None if front is None else terms.find_anchor(front.birth)
    if front is None or anchor is None:
        return None
    payload = front.call + front.extra + terms.suffix + anchor
    if len(payload) > PAYLOAD_LENGTH_MAX:
        payload = hashing.blake2b_256(payload)
    return front.signer, payload, front.signature


def _read_compact(data: bytes, offset: int) -> tuple[int, int]:
    """Read the shortest form of a number; -1 when there is none."""
    if not 0 <= offset < len(data):
        return -1, -1
    mode = data[offset] & 3
    if mode == 0:
        return data[offset] >> 2, offset + 1
    if mode == 3:
        end = offset + 5 + (data[offset] >> 2)
        value = int.from_bytes(data[offset + 1 : end], "little")
        is_shortest = end <= len(data) and data[end - 1] > 0 and value >= 1 << 30
    else:
        end = offset + 2 * mode
        value = int.from_bytes(data[offset:end], "little") >> 2
        is_shortest = end <= len(data) and value >= (1 << 6 if mode == 1 else 1 << 14)
    return (value, end) if is_shortest and value < 1 << 128 else (-1, -1)


def _read_era(data: bytes, offset: int, height: int) -> tuple[int, int]:
    """Read an era and give the height where it began; -1 when it is malformed."""
    if not data[offset]:
        return 0, offset + 1
    if offset + 2 > len(data):
        return -1, -1
    word = int.from_bytes(data[offset : offset + 2], "little")
    period = 2 << (word & 15)
    phase = (word >> 4) * max(period >> 12, 1)
    if period < 4 or phase >= period:
        return -1, -1
    return (max(height, phase) - phase) // period * period + phase, offset + 2
