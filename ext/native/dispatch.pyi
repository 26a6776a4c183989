from collections.abc import Sequence
from typing import NamedTuple, final

from ext.native.bodies import PAYLOAD_LENGTH_MAX as PAYLOAD_LENGTH_MAX
from ext.native.bodies import SigningTerms as SigningTerms
from ext.native.bodies import signature_items as signature_items
from ext.native.bodies import verify_block as verify_block
from ext.native.store import Overlay

class Rules(NamedTuple):
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
    prices: tuple[int, int, int]
    bytes_left: int
    weight_left: int
    count_left: int
    first_index: int

class Run(NamedTuple):
    done: int
    receipts: list[bytes]
    failed: list[bool]
    bytes_used: int
    weight_used: int
    tips: int

@final
class Runner: ...

def apply_run(
    overlay: Overlay, rules: Rules, extrinsics: Sequence[bytes], first: int, room: Room
) -> Run: ...
def read_signed(raw: bytes) -> tuple[bytes, int, int, bytes] | None: ...
def read_run(
    overlay: object,
    extrinsics: list[bytes],
    first: int,
    count: int,
    payments: dict[bytes, tuple[object, int]],
) -> list[tuple[bytes, int, int, bytes | tuple[object, tuple[bytes, int], int]] | None]: ...
def read_payment(data: bytes, offset: int) -> tuple[bytes, int] | None: ...
def encode_fee_paid(head: bytes, who: bytes, paid: int, tip: int) -> bytes: ...
def encode_transfer(head: bytes, source: bytes, target: bytes, amount: int) -> bytes: ...
def encode_receipt(index: int, events: list[bytes]) -> bytes: ...
