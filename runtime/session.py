"""Session: who validates, in epochs of a fixed number of blocks.

Epoch e holds the heights from 1 + e x length on, `length` of them; an epoch is a session. A change
of the set in block H acts from H+2. The last block of an epoch may carry the next scheduled set.

    during block H      previous    current   next      queued
    the set of height   H-1         H         H+1       H+2
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

from runtime.block import VALIDATORS_MAX, NextEpoch, ValidatorUpdate
from runtime.frame.context import Context
from runtime.frame.declared import Most, Record
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, U64, AccountId, BlockNumber, Hash, Weight
from runtime.system import System

SHIFTS = 3
"""Blocks after a change until all four sets are equal again."""


class ValidatorRecord(Record):
    """A validator of a set: account, consensus and VRF keys, voting power (at least 1)."""

    account: AccountId
    consensus_key: Hash
    vrf_key: Hash
    power: U64


class ValidatorKeys(Record):
    """The keys that an account last validated with."""

    consensus_key: Hash
    vrf_key: Hash


ValidatorList = Annotated[tuple[ValidatorRecord, ...], Most(VALIDATORS_MAX)]
"""A set, ascending by account."""


class NewSession(Event, index=0):
    """An epoch began; `session_index` is its number."""

    session_index: U32


class SetChanged(Event, index=16):
    """The validator set changes two blocks from now; `size` is its new number of members."""

    size: U32


class Session(Module, index=9):
    """Who validates, in epochs of a fixed number of blocks."""

    current_index: StorageValue[U32] = stored(default=0)
    validators: StorageValue[Annotated[tuple[AccountId, ...], Most(VALIDATORS_MAX)]] = stored(
        default=()
    )
    previous_set: StorageValue[ValidatorList] = stored(default=())
    current_set: StorageValue[ValidatorList] = stored(default=())
    next_set: StorageValue[ValidatorList] = stored(default=())
    queued_set: StorageValue[ValidatorList] = stored(default=())
    changed_at: StorageValue[BlockNumber] = stored(default=0)
    keys: StorageMap[AccountId, ValidatorKeys] = stored()
    schedule: StorageMap[U32, ValidatorList] = stored(default=(), hasher=Hasher.TWOX_64_CONCAT)

    def __init__(self, ctx: Context, system: System) -> None:
        super().__init__(ctx)
        self.system = system

    def genesis(
        self,
        *,
        validators: tuple[ValidatorRecord, ...],
        schedule: Mapping[int, tuple[ValidatorRecord, ...]],
    ) -> None:
        """Begin with a set, and with later sets by the epoch they are for."""
        ordered = _ordered(validators)
        for name in ("previous_set", "current_set", "next_set", "queued_set"):
            setattr(self, name, ordered)
        self.validators = tuple(validator.account for validator in ordered)
        self._remember_keys(ordered)
        for epoch, members in sorted(schedule.items()):
            self.schedule[epoch] = _ordered(members)

    def epoch_blocks(self) -> int:
        """Give the length of an epoch in blocks."""
        return self.system.params.epoch_blocks

    def is_epoch_start(self) -> bool:
        """Whether the running block is the first of its epoch."""
        return (self.ctx.block.height - 1) % self.epoch_blocks() == 0

    def is_epoch_end(self) -> bool:
        """Whether the running block is the last of its epoch."""
        return self.ctx.block.height % self.epoch_blocks() == 0

    def replace_set(self, members: tuple[ValidatorRecord, ...]) -> None:
        """Let another set act from two blocks on; raises ValueError for an illegal set."""
        ordered = _ordered(members)
        if ordered == self.queued_set:
            return
        self.queued_set = ordered
        self.changed_at = self.ctx.block.height
        self._remember_keys(ordered)
        self.emit(SetChanged(len(ordered)))

    def updates(self) -> tuple[ValidatorUpdate, ...]:
        """Give this block's changes, ascending by account, as consensus applies them."""
        if self.changed_at != self.ctx.block.height:
            return ()
        before = {member.account: member for member in self.next_set}
        after = {member.account: member for member in self.queued_set}
        changes = []
        for account in sorted({**before, **after}):
            old, new = before.get(account), after.get(account)
            if new is None and old is not None:
                changes.append(ValidatorUpdate(account, old.consensus_key, old.vrf_key, 0))
            elif new is not None and new != old:
                changes.append(ValidatorUpdate(account, new.consensus_key, new.vrf_key, new.power))
        return tuple(changes)

    def next_epoch(self, randomness: bytes) -> NextEpoch:
        """Describe the epoch after the running one; `randomness` is that epoch's, 32 bytes."""
        length, epoch = self.epoch_blocks(), self.current_index + 1
        return NextEpoch(epoch, 1 + epoch * length, randomness, length)

    def on_initialize(self) -> Weight:
        """Move the sets up by a height, and open an epoch when its first block has come."""
        if self.ctx.block.height <= self.changed_at + SHIFTS:
            self._shift()
        if self.is_epoch_start():
            if self.ctx.block.height > 1:
                self.current_index += 1
            self.emit(NewSession(self.current_index))
        return 0

    def on_finalize(self) -> None:
        """At the end of an epoch, take the next set from the schedule."""
        if self.is_epoch_end():
            epoch = self.current_index + 1
            members = self.schedule[epoch]
            if members:
                del self.schedule[epoch]
                self.replace_set(members)

    def invariants(self) -> Iterator[Check]:
        """Check that sets are legal and clients see the current one."""
        for name in ("previous_set", "current_set", "next_set", "queued_set"):
            members = getattr(self, name)
            yield Check(f"the {name} is legal", members == _ordered(members))
        accounts = tuple(member.account for member in self.current_set)
        yield Check("Validators is the current set", self.validators == accounts)
        known = all(member.account in self.keys for member in self.queued_set)
        yield Check("the keys of every validator are known", known)
        height = self.ctx.block.height
        epoch = max(height - 1, 0) // self.epoch_blocks()
        yield Check("the session is the epoch of the height", self.current_index == epoch)

    def _shift(self) -> None:
        self.previous_set = self.current_set
        self.current_set = self.next_set
        self.next_set = self.queued_set
        self.validators = tuple(member.account for member in self.current_set)

    def _remember_keys(self, members: tuple[ValidatorRecord, ...]) -> None:
        for member in members:
            self.keys[member.account] = ValidatorKeys(member.consensus_key, member.vrf_key)


def _ordered(members: tuple[ValidatorRecord, ...]) -> tuple[ValidatorRecord, ...]:
    """Give a legal set in ascending order; raises ValueError for any other."""
    ordered = tuple(sorted(members, key=lambda member: member.account))
    if not 1 <= len(ordered) <= VALIDATORS_MAX:
        raise ValueError(f"a validator set has 1 to {VALIDATORS_MAX} members, not {len(ordered)}")
    for part in ("account", "consensus_key", "vrf_key"):
        if len({getattr(member, part) for member in ordered}) != len(ordered):
            raise ValueError(f"two validators of a set share their {part}")
    if min(member.power for member in ordered) < 1:
        raise ValueError("a validator has at least power 1")
    return ordered
