"""Session: who validates, in epochs of a fixed number of blocks.

Epoch e holds the heights from 1 + e x length on, `length` of them; an epoch is a session. A change
of the set in block H acts from H+2. The last block of an epoch may carry the next scheduled set.

    during block H      previous    current   next      queued
    the set of height   H-1         H         H+1       H+2

A validator registers its keys with a proof that it holds them. New keys act from the end of the
epoch on, without leaving the set. A key serves one account for one purpose: while it is registered,
while it acts, and until the unbonding after that is over, because what it signed can be punished
until then.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from runtime import weights
from runtime.balances import Balances, HoldReason
from runtime.block import VALIDATORS_MAX, NextEpoch, ValidatorUpdate
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most, Record
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.possession import is_possessed
from runtime.primitives import U32, U64, AccountId, Balance, BlockNumber, Flag, Hash, Weight
from runtime.session_keys import (
    CONSENSUS_KIND,
    ERRORS,
    EVENTS,
    KEY_DEPOSIT,
    NO_END,
    VRF_KIND,
    DuplicatedKey,
    InvalidProof,
    KeyId,
    KeysBarred,
    KeysPurged,
    KeysSet,
    NoKeys,
    OldKey,
    ProofBytes,
    SessionKeys,
)
from runtime.system import System

SHIFTS: Final = 3
"""Blocks after a change until all four sets are equal again."""

RETIRED_MAX: Final = 1_024
"""Keys that leave the set in one block: two of each member, and once more if it changes twice."""


class ValidatorRecord(Record):
    """A validator of a set: account, consensus and VRF keys, voting power (at least 1)."""

    account: AccountId
    consensus_key: Hash
    vrf_key: Hash
    power: U64

    def keys(self) -> SessionKeys:
        """Give the keys that it acts with."""
        return SessionKeys(self.consensus_key, self.vrf_key)


ValidatorList = Annotated[tuple[ValidatorRecord, ...], Most(VALIDATORS_MAX)]
"""A set, ascending by account."""


class NewSession(Event, index=0):
    """An epoch began; `session_index` is its number."""

    session_index: U32


class SetChanged(Event, index=16):
    """The validator set changes two blocks from now; `size` is its new number of members."""

    size: U32


class Session(Module, index=9, events=(NewSession, SetChanged, *EVENTS), errors=ERRORS):
    """Who validates, in epochs of a fixed number of blocks, and with which keys."""

    current_index: StorageValue[U32] = stored(default=0)
    validators: StorageValue[Annotated[tuple[AccountId, ...], Most(VALIDATORS_MAX)]] = stored(
        default=()
    )
    previous_set: StorageValue[ValidatorList] = stored(default=())
    current_set: StorageValue[ValidatorList] = stored(default=())
    next_set: StorageValue[ValidatorList] = stored(default=())
    queued_set: StorageValue[ValidatorList] = stored(default=())
    changed_at: StorageValue[BlockNumber] = stored(default=0)
    scheduled_at: StorageValue[BlockNumber] = stored(default=0)
    keys: StorageMap[AccountId, SessionKeys] = stored()
    schedule: StorageMap[U32, ValidatorList] = stored(default=(), hasher=Hasher.TWOX_64_CONCAT)

    next_keys: StorageMap[AccountId, SessionKeys] = stored()
    key_owner: StorageMap[KeyId, AccountId] = stored()
    queued_keys: StorageValue[
        Annotated[tuple[tuple[AccountId, SessionKeys], ...], Most(VALIDATORS_MAX)]
    ] = stored(default=())
    old_keys: StorageMap[KeyId, OldKey] = stored()
    retired: StorageMap[BlockNumber, Annotated[tuple[KeyId, ...], Most(RETIRED_MAX)]] = stored(
        default=(), hasher=Hasher.TWOX_64_CONCAT
    )
    deposits: StorageMap[AccountId, Balance] = stored(default=0)
    barred: StorageMap[AccountId, Flag] = stored(default=False)

    def __init__(self, ctx: Context, system: System, balances: Balances) -> None:
        super().__init__(ctx)
        self.system = system
        self.balances = balances

    def genesis(
        self,
        *,
        validators: tuple[ValidatorRecord, ...],
        schedule: Mapping[int, tuple[ValidatorRecord, ...]],
    ) -> None:
        """Begin with a set, and with later sets by the epoch they are for."""
        ordered = _ordered(validators)
        self._queue(ordered)
        for name in ("previous_set", "current_set", "next_set"):
            setattr(self, name, ordered)
        self.validators = tuple(validator.account for validator in ordered)
        for epoch, members in sorted(schedule.items()):
            self.schedule[epoch] = _ordered(members)
        for members in (ordered, *schedule.values()):
            for member in members:
                self.register(member.account, member.keys())

    # Calls

    @call(index=0, weight=weights.SET_KEYS)
    def set_keys(self, origin: Signed, keys: SessionKeys, proof: ProofBytes) -> None:
        """Register the keys to validate with; a deposit of 0.01 GRIST is held until they go."""
        who = origin.who
        if self.barred[who]:
            raise KeysBarred
        if not self._is_free_for(who, keys):
            raise DuplicatedKey
        if not is_possessed(
            proof,
            genesis_hash=self.ctx.block.genesis_hash,
            account=who,
            consensus_key=keys.consensus,
            vrf_key=keys.vrf,
        ):
            raise InvalidProof
        if not self.deposits[who]:
            self.balances.hold(who, HoldReason.DEPOSIT, KEY_DEPOSIT)
            self.deposits[who] = KEY_DEPOSIT
        self.register(who, keys)
        self.emit(KeysSet(who, keys))

    @call(index=1, weight=weights.PURGE_KEYS)
    def purge_keys(self, origin: Signed) -> None:
        """Take the registered keys back, and the deposit; in a set they act until it changes."""
        who = origin.who
        deposit = self.deposits[who]
        if who not in self.next_keys and not deposit:
            raise NoKeys
        self._unregister(who)
        if deposit:
            self.balances.release(who, HoldReason.DEPOSIT, deposit)
            del self.deposits[who]
        self.emit(KeysPurged(who))

    # Functions for other modules: keys

    def register(self, who: AccountId, keys: SessionKeys) -> None:
        """Let an account have these keys, in place of what it had; they were checked before."""
        self._unregister(who)
        self.next_keys[who] = keys
        for key in keys.ids():
            self.key_owner[key] = who

    def has_keys(self, who: AccountId) -> bool:
        """Whether an account could be seated now."""
        return who in self.next_keys

    def seat(self, who: AccountId, power: int) -> ValidatorRecord | None:
        """Give an account with its registered keys as a member; None when it has none."""
        keys = self.next_keys.find(who)
        return None if keys is None else ValidatorRecord(who, keys.consensus, keys.vrf, power)

    def bar(self, who: AccountId) -> None:
        """Let an account never register keys again, nor anybody the keys that it has had."""
        keys = self.next_keys.find(who)
        if keys is not None:
            self._unregister(who)
            for key in keys.ids():
                self.old_keys[key] = OldKey(who, NO_END)
        self.barred[who] = True

    def unbar(self, who: AccountId) -> None:
        """Let an account register keys again, its own old ones among them."""
        del self.barred[who]

    # Functions for other modules: epochs and sets

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
        self._queue(ordered)
        self.changed_at = self.ctx.block.height
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
        self._free_keys()
        if self.ctx.block.height <= self.changed_at + SHIFTS:
            self._shift()
        if self.is_epoch_start():
            if self.ctx.block.height > 1:
                self.current_index += 1
            self.emit(NewSession(self.current_index))
        return 0

    def on_finalize(self) -> None:
        """At the end of an epoch, take the next set from the schedule, and everybody's new keys."""
        if not self.is_epoch_end():
            return
        epoch = self.current_index + 1
        members = tuple(
            member for member in self.schedule[epoch] if not self.barred[member.account]
        )
        del self.schedule[epoch]
        chosen = members or self.queued_set
        if members:
            self.scheduled_at = self.ctx.block.height
        self.replace_set(tuple(self.seat(m.account, m.power) or m for m in chosen))

    def invariants(self) -> Iterator[Check]:
        """Check that sets are legal and clients see the current one."""
        for name in ("previous_set", "current_set", "next_set", "queued_set"):
            members = getattr(self, name)
            yield Check(f"the {name} is legal", members == _ordered(members))
        accounts = tuple(member.account for member in self.current_set)
        yield Check("Validators is the current set", self.validators == accounts)
        height = self.ctx.block.height
        epoch = max(height - 1, 0) // self.epoch_blocks()
        yield Check("the session is the epoch of the height", self.current_index == epoch)
        yield from self._key_invariants()

    def _shift(self) -> None:
        self.previous_set = self.current_set
        self.current_set = self.next_set
        self.next_set = self.queued_set
        self.validators = tuple(member.account for member in self.current_set)

    def _queue(self, members: tuple[ValidatorRecord, ...]) -> None:
        """Write the set that acts two blocks later, and since when its keys are bound or old."""
        before = {key: m.account for m in self.queued_set for key in m.keys().ids()}
        after = {key: m.account for m in members for key in m.keys().ids()}
        self.queued_set = members
        self.queued_keys = tuple((member.account, member.keys()) for member in members)
        for member in members:
            self.keys[member.account] = member.keys()
        for key, who in after.items():
            if key not in before:
                self.old_keys[key] = OldKey(who, NO_END)
        gone = [key for key in before if key not in after]
        if gone:
            until = self.ctx.block.height + 2 + self.system.params.unbonding_blocks
            for key in gone:
                self.old_keys[key] = OldKey(before[key], until)
            known = self.retired[until]
            self.retired[until] = known + tuple(key for key in gone if key not in known)

    def _free_keys(self) -> None:
        """Forget the keys whose window ends with this block, unless their owner equivocated."""
        height = self.ctx.block.height
        ending = self.retired[height]
        for key in ending:
            old = self.old_keys.find(key)
            if old is not None and old.until == height:
                if self.barred[old.account]:
                    self.old_keys[key] = OldKey(old.account, NO_END)
                else:
                    del self.old_keys[key]
        if ending:
            del self.retired[height]

    def _unregister(self, who: AccountId) -> None:
        keys = self.next_keys.find(who)
        if keys is not None:
            del self.next_keys[who]
            for key in keys.ids():
                del self.key_owner[key]

    def _is_free_for(self, who: AccountId, keys: SessionKeys) -> bool:
        """Whether nobody else has or had the keys, and nobody for the other purpose."""
        crossed = ((VRF_KIND, keys.consensus), (CONSENSUS_KIND, keys.vrf))
        return (
            keys.consensus != keys.vrf
            and all(self._holder(key) in (None, who) for key in keys.ids())
            and all(self._holder(key) is None for key in crossed)
        )

    def _holder(self, key: tuple[bytes, bytes]) -> AccountId | None:
        """Give who has registered a key, or is still bound by having used it."""
        old = self.old_keys.find(key)
        return self.key_owner.find(key) if old is None else old.account

    def _key_invariants(self) -> Iterator[Check]:
        registered = {key: who for who, keys in self.next_keys.items() for key in keys.ids()}
        owners = dict(self.key_owner.items())
        yield Check("KeyOwner is NextKeys the other way round", owners == registered)
        old = dict(self.old_keys.items())
        shared = [key for key, who in owners.items() if key in old and old[key].account != who]
        yield Check("nobody has registered a key that another used", not shared)
        both = [key for kind, key in {**owners, **old} if kind == CONSENSUS_KIND]
        mixed = [key for key in both if (VRF_KIND, key) in {**owners, **old}]
        yield Check("no key has two purposes", not mixed)
        members = self.queued_set
        queued = tuple((member.account, member.keys()) for member in members)
        yield Check("QueuedKeys are those of the queued set", self.queued_keys == queued)
        acting = {key: m.account for m in members for key in m.keys().ids()}
        is_bound = all(old.get(key) == OldKey(who, NO_END) for key, who in acting.items())
        yield Check("keys in use are bound without end", is_bound)
        ends = {key: one.until for key, one in old.items() if one.until != NO_END}
        is_planned = all(key in self.retired[until] for key, until in ends.items())
        yield Check("it is planned when an old key is free", is_planned)
        late = [key for key, until in ends.items() if until <= self.ctx.block.height]
        yield Check("no key is bound longer than its window", not late)
        held = HoldReason.DEPOSIT
        covered = all(self.balances.held(who, held) >= sum_ for who, sum_ in self.deposits.items())
        yield Check("deposits for keys are held", covered)


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
