"""System: accounts, block numbers and hashes, remarks, transactions' ends, and runtime versions."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final

from ext import hashing
from runtime import weights
from runtime.block import SPEC_VERSION
from runtime.frame.call import call
from runtime.frame.context import AccountRecord
from runtime.frame.declared import Most, Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Constant, Module
from runtime.frame.origins import Root, Signed
from runtime.frame.outcome import EncodedError, EncodedInfo
from runtime.frame.parameters import Place, PlacedParameter, Track, Unit
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

UPGRADE_NOTICE_BLOCKS: Final = 10
"""A version is scheduled at least so many blocks ahead: every node sees it coming."""

UPGRADES_MAX: Final = 1_024
"""Versions in the life of a chain: one a month for most of a century."""

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
    """Limits that consensus and execution share; their hash is in every header.

    Votes change the two of blocks, between bounds; the others are for ever.
    """

    block_interval_ms: U64
    block_bytes_max: U32
    block_weight_max: U64
    epoch_blocks: U32
    evidence_age_blocks: U32
    evidence_age_ms: U64
    unbonding_blocks: U32


BLOCK_BYTES_MAX: Final = PlacedParameter(
    "limits.block_bytes_max", 1_536 << 10, low=64 << 10, high=1_536 << 10, step=256 << 10,
    unit=Unit.BYTES, track=Track.UPGRADE, docs="Bytes of the transactions of a block.",
    place=Place("System", "Params", ChainParams.wire, "block_bytes_max"),
)  # fmt: skip
"""At most what validators can send each other in time, beside evidence and the last commit."""

BLOCK_WEIGHT_MAX: Final = PlacedParameter(
    "limits.block_weight_max", 1_000_000 * weights.MICROSECOND,
    low=100_000 * weights.MICROSECOND, high=1_500_000 * weights.MICROSECOND,
    step=250_000 * weights.MICROSECOND,
    unit=Unit.PICOSECONDS, track=Track.UPGRADE, docs="Work that a block may take to execute.",
    place=Place("System", "Params", ChainParams.wire, "block_weight_max"),
)  # fmt: skip
"""Half of the time between blocks: the slower half of the validators keeps up."""


class ScheduledVersion(Record):
    """A version whose rules begin with block `height`; the hash names the sources voted on."""

    version: U32
    content_hash: Hash
    height: BlockNumber


class Upgrade(Record):
    """The first block under a version, what its sources hash to, and the version before."""

    height: BlockNumber
    version: U32
    content_hash: Hash
    before: U32


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


class VersionScheduled(Event, index=33):
    """The rules of a version begin with block `height`; nodes without it stop before that."""

    version: U32
    content_hash: Hash
    height: BlockNumber


class ScheduleCancelled(Event, index=34):
    """The version that was scheduled does not begin."""

    version: U32


class VersionActivated(Event, index=35):
    """This block is the first under the rules of a version; its migrations ran in it."""

    version: U32
    migrations: U32


class SpecVersionNeedsToIncrease(CallError, index=1):
    """The next version is the one in force plus one; `gristmill chain info` prints that."""


class UpgradeTooSoon(CallError, index=2):
    """A version begins at least ten blocks ahead of the block that schedules it; name a later."""


class NothingScheduled(CallError, index=3):
    """No version is scheduled; there is nothing to cancel."""


class TooManyUpgrades(CallError, index=4):
    """The list of past versions is full; a release with a longer list is needed first."""


class System(Module, index=0):
    """Accounts, block numbers and hashes, remarks, transactions' ends, and runtime versions."""

    parameters = (BLOCK_BYTES_MAX, BLOCK_WEIGHT_MAX)
    constants = (
        Constant.of("BlockHashCount", BlockNumber, BLOCK_HASH_COUNT, "Heights with known hashes."),
        Constant.of(
            "UpgradeNotice", BlockNumber, UPGRADE_NOTICE_BLOCKS, "Blocks that a version waits."
        ),
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
    scheduled_version: StorageValue[ScheduledVersion | None] = stored(default=None)
    upgrades: StorageValue[Annotated[tuple[Upgrade, ...], Most(UPGRADES_MAX)]] = stored(default=())
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

    @call(index=32, weight=weights.PARAMETER)
    def schedule_version(
        self,
        origin: Root,  # noqa: ARG002 -- its type is the permission
        version: U32,
        content_hash: Hash,
        height: BlockNumber,
    ) -> None:
        """Begin the rules of `version` with block `height`; only by vote. A later one replaces."""
        self.judge_schedule(version, content_hash, height)
        self.scheduled_version = ScheduledVersion(version, content_hash, height)
        self.emit(VersionScheduled(version, content_hash, height))

    @call(index=33, weight=weights.PARAMETER)
    def cancel_version(self, origin: Root) -> None:  # noqa: ARG002 -- its type is the permission
        """Let the scheduled version not begin; only by vote."""
        self.judge_cancel()
        scheduled, self.scheduled_version = self.scheduled_version, None
        if scheduled is not None:
            self.emit(ScheduleCancelled(scheduled.version))

    def judge_schedule(self, version: int, _: bytes, height: int) -> Track:
        """Give the track of a schedule; raises what `schedule_version` would raise."""
        if version != self.spec_version + 1:
            raise SpecVersionNeedsToIncrease
        if height < self.ctx.block.height + UPGRADE_NOTICE_BLOCKS:
            raise UpgradeTooSoon
        if len(self.upgrades) >= UPGRADES_MAX:
            raise TooManyUpgrades
        return Track.UPGRADE

    def judge_cancel(self) -> Track:
        """Give the track of a cancellation; raises what `cancel_version` would raise."""
        if self.scheduled_version is None:
            raise NothingScheduled
        return Track.UPGRADE

    def due_version(self, height: int) -> int:
        """Give the version of the block above this state."""
        scheduled = self.scheduled_version
        if scheduled is not None and height >= scheduled.height:
            return scheduled.version
        return self.spec_version

    def activate_version(self, migrations: int) -> None:
        """Put the scheduled version in force; called by the executive in its first block."""
        scheduled = self.scheduled_version
        if scheduled is None:
            raise KeyError("scheduled_version")
        upgrade = Upgrade(
            self.ctx.block.height, scheduled.version, scheduled.content_hash, self.spec_version
        )
        self.upgrades = (*self.upgrades, upgrade)
        self.spec_version = scheduled.version
        self.scheduled_version = None
        self.emit(VersionActivated(scheduled.version, migrations))

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
        yield from self._version_invariants(number)

    def _version_invariants(self, number: int) -> Iterator[Check]:
        upgrades, scheduled = self.upgrades, self.scheduled_version
        heights = [upgrade.height for upgrade in upgrades]
        yield Check(
            "versions began one after the other",
            all(upgrade.version == upgrade.before + 1 for upgrade in upgrades)
            and all(low < high for low, high in pairwise(heights)),
        )
        yield Check(
            "the version in force is the last that began",
            not upgrades or upgrades[-1].version == self.spec_version,
        )
        yield Check(
            "a scheduled version is still to come", scheduled is None or scheduled.height > number
        )
