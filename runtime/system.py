"""System: accounts, block numbers and hashes, remarks, and what became of each transaction."""

from collections.abc import Iterator
from typing import Final

from ext import hashing
from runtime import weights
from runtime.block import SPEC_VERSION
from runtime.frame.call import call
from runtime.frame.context import AccountRecord
from runtime.frame.declared import Record
from runtime.frame.events import Event
from runtime.frame.module import Check, Constant, Module
from runtime.frame.origins import Signed
from runtime.frame.outcome import EncodedError, EncodedInfo
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import (
    U8,
    U16,
    U32,
    U64,
    U128,
    AccountId,
    Balance,
    BlockNumber,
    Bytes,
    Hash,
)

BLOCK_HASH_COUNT: Final = 4_096
"""Heights whose hashes stay in the state: the longest useful mortality of a transaction."""

SS58_PREFIX: Final = 42
"""The generic Substrate prefix, so that tools print the well-known development addresses."""

NO_ACCOUNT: Final[AccountRecord] = (0, 0, 0, 0, 0, 0, 0, 0)
"""The record of an account that does not exist."""

KEPT_BY_SYSTEM: Final = 0
"""The block whose hash is never forgotten: it names the chain."""


class AccountData(Record, path=("pallet_balances", "types", "AccountData")):
    """Money of an account: free, reserved (held), frozen (the largest freeze), flags."""

    free: Balance
    reserved: Balance
    frozen: Balance
    flags: U128


class AccountInfo(Record, path=("frame_system", "AccountInfo")):
    """An account: transactions sent, what keeps it alive, and its money."""

    nonce: U32
    consumers: U32
    providers: U32
    sufficients: U32
    data: AccountData


class ChainParams(Record):
    """Limits that consensus and execution share; their hash is in every header."""

    block_interval_ms: U64
    block_bytes_max: U32
    block_weight_max: U64
    epoch_blocks: U32
    evidence_age_blocks: U32
    evidence_age_ms: U64
    unbonding_blocks: U32


class ExtrinsicSuccess(Event, index=0):
    """An extrinsic was done, with this weight."""

    dispatch_info: EncodedInfo

    def encode(self) -> bytes:
        """Give the bytes of the event; the info is encoded already."""
        return self.head + self.dispatch_info


class ExtrinsicFailed(Event, index=1):
    """An extrinsic was undone, for this reason; its fee stays paid."""

    dispatch_error: EncodedError
    dispatch_info: EncodedInfo

    def encode(self) -> bytes:
        """Give the bytes of the event; error and info are encoded already."""
        return self.head + self.dispatch_error + self.dispatch_info


class NewAccount(Event, index=3):
    """An account came into being."""

    account: AccountId


class KilledAccount(Event, index=4):
    """An account fell below the existential deposit and is gone."""

    account: AccountId


class Remarked(Event, index=5):
    """Somebody left a remark on the chain; `hash` is blake2b-256 of its bytes."""

    sender: AccountId
    hash: Hash


class HookFailed(Event, index=32):
    """A step at the edge of a block failed and was undone; the chain went on."""

    module: U8
    hook: U8


class System(Module, index=0):
    """Accounts, block numbers and hashes, remarks, and what became of each transaction."""

    constants = (
        Constant.of("BlockHashCount", BlockNumber, BLOCK_HASH_COUNT, "Heights with known hashes."),
        Constant.of("SS58Prefix", U16, SS58_PREFIX, "First byte of addresses of this chain."),
    )

    account: StorageMap[AccountId, AccountInfo] = stored(
        default=AccountInfo(0, 0, 0, 0, AccountData(0, 0, 0, 0))
    )
    number: StorageValue[BlockNumber] = stored(default=0)
    parent_hash: StorageValue[Hash] = stored(default=bytes(32))
    block_hash: StorageMap[BlockNumber, Hash] = stored(
        default=bytes(32), hasher=Hasher.TWOX_64_CONCAT
    )
    spec_version: StorageValue[U32] = stored(default=0)
    params: StorageValue[ChainParams] = stored()
    chain_id: StorageValue[Bytes] = stored(default=b"")

    def genesis(self, *, chain_id: str, params: ChainParams) -> None:
        """Put the name and the limits of the chain into the first state."""
        self.chain_id = chain_id.encode()
        self.params = params
        self.spec_version = SPEC_VERSION

    @call(index=0, weight=weights.REMARK)
    def remark(self, origin: Signed, remark: Bytes) -> None:
        """Leave some bytes in the block and nowhere else."""

    @call(
        index=7,
        weight=lambda remark: weights.REMARK_WITH_EVENT + weights.REMARK_PER_BYTE * len(remark),
    )
    def remark_with_event(self, origin: Signed, remark: Bytes) -> None:
        """Leave some bytes in the block and an event with their hash."""
        self.emit(Remarked(origin.who, hashing.blake2b_256(remark)))

    def begin_block(self) -> None:
        """Write number and hashes of the block that begins; called by the executive first."""
        block = self.ctx.block
        self.number = block.height
        self.parent_hash = block.parent_hash
        self.block_hash[block.height - 1] = block.parent_hash
        forgotten = block.height - 1 - BLOCK_HASH_COUNT
        if forgotten > KEPT_BY_SYSTEM:
            del self.block_hash[forgotten]

    def has_account(self, who: AccountId) -> bool:
        """Whether an account exists."""
        record = self.ctx.state.account(who)
        return record is not None and record[2] > 0

    def params_hash(self) -> bytes:
        """Give the 32 bytes by which headers bind the limits of the chain."""
        return hashing.blake2b_256(ChainParams.wire.encode(self.params))

    def invariants(self) -> Iterator[Check]:
        """Check that hashes fit the height, and every account has a reason to be."""
        number = self.number
        kept = sorted(height for height, _ in self.block_hash.items())
        first = max(number - BLOCK_HASH_COUNT, 0)
        expected = [0] * (first > 0) + list(range(first, number))
        yield Check("exactly the recent block hashes and genesis are kept", kept == expected)
        lonely = [
            who for who, info in self.account.items() if not info.providers and not info.nonce
        ]
        yield Check("an account has a provider, or a nonce to remember", not lonely)
