"""How a validator set changes: differences, their application, and when they act.

Updates returned by the block at H show in `next_validators_hash` of H+1 and act from H+2, because
the block at H+1 is proposed and voted on while H is still being stored:

    block      H          H+1         H+2
    set        A          A           B = apply(A, updates of H)
    next       A          B
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consensus.errors import Malformed
from consensus.validators import VALIDATOR_SET, Validator, ValidatorSet
from ext import scale


class Update(Protocol):
    """What the runtime returns for one account: its keys and new power, 0 to remove it."""

    @property
    def account(self) -> bytes:
        """The account id, 32 bytes."""

    @property
    def consensus_key(self) -> bytes:
        """The Ed25519 key that signs votes, 32 bytes."""

    @property
    def vrf_key(self) -> bytes:
        """The Ed25519 key of the VRF, 32 bytes."""

    @property
    def power(self) -> int:
        """The new voting power, not a difference."""


def diff(old: ValidatorSet, new: Sequence[Validator]) -> tuple[Validator, ...]:
    """Give the updates, ascending by account, that turn `old` into `new`; power 0 removes.

    Never removes an account that is not there; raises Malformed when `new` is not a legal set.
    """
    wanted = {member.account: member for member in _sorted_set(old.set_id, new).validators}
    present = {member.account: member for member in old.validators}
    updates = [member for account, member in wanted.items() if present.get(account) != member]
    updates += [
        Validator(account, member.consensus_key, member.vrf_key, 0)
        for account, member in present.items()
        if account not in wanted
    ]
    return tuple(sorted(updates, key=lambda update: update.account))


def apply(validators: ValidatorSet, updates: Iterable[Update]) -> ValidatorSet:
    """Give the set after these updates, numbered one higher when anything changed.

    The order of updates does not matter. Removing an unknown account changes nothing. Raises
    Malformed for two updates of one account and for a result that is not a legal set, an empty one
    above all: the caller treats the block that returned them as invalid.
    """
    members = {member.account: member for member in validators.validators}
    touched: dict[bytes, None] = {}
    for update in updates:
        if update.account in touched:
            raise Malformed("two validator updates name one account")
        touched[update.account] = None
        if update.power == 0:
            members.pop(update.account, None)
        else:
            members[update.account] = Validator(
                update.account, update.consensus_key, update.vrf_key, update.power
            )
    changed = _sorted_set(validators.set_id, members.values())
    if changed.validators == validators.validators:
        return validators
    return ValidatorSet(validators.set_id + 1, changed.validators)


def _sorted_set(set_id: int, members: Iterable[Validator]) -> ValidatorSet:
    """Build a set from members in any order; raises Malformed."""
    return ValidatorSet(set_id, tuple(sorted(members, key=lambda member: member.account)))


def compute_churn_doubled(old: ValidatorSet, new: ValidatorSet) -> int:
    """Give the sum of all changes of power: twice the churn, exact in integers."""
    before = {member.account: member.power for member in old.validators}
    after = {member.account: member.power for member in new.validators}
    accounts = sorted(before.keys() | after.keys())
    return sum(abs(after.get(who, 0) - before.get(who, 0)) for who in accounts)


def is_churn_allowed(old: ValidatorSet, new: ValidatorSet) -> bool:
    """Whether an election may replace this much: churn of at most a third of the old power.

    A light client that skips over one such change still finds two thirds of the power it trusts.
    """
    return 3 * compute_churn_doubled(old, new) <= 2 * old.total_power


def compute_power_cap(total_power: int, count: int) -> int:
    """Give the most power one of `count` validators should hold: max(20 %, 1.2 / count)."""
    if count < 1:
        raise ValueError("a power cap needs at least one validator")
    return max(total_power // 5, total_power * 6 // (5 * count))


@dataclass(frozen=True, slots=True)
class ValidatorSchedule:
    """The sets of the next height to decide and of the one after it."""

    height: int
    current: ValidatorSet
    following: ValidatorSet

    @staticmethod
    def from_genesis(validators: ValidatorSet) -> "ValidatorSchedule":
        """Give the schedule before block 1: the genesis set acts at heights 1 and 2."""
        return ValidatorSchedule(1, validators, validators)

    def advance(self, updates: Iterable[Update]) -> "ValidatorSchedule":
        """Give the schedule after the block at `height` returned these updates; may raise."""
        return ValidatorSchedule(self.height + 1, self.following, apply(self.following, updates))

    def encode(self) -> bytes:
        """Give the SCALE bytes, for the block store."""
        data: bytes = _SCHEDULE.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "ValidatorSchedule":
        """Decode exactly one schedule; raises ValueError."""
        value: ValidatorSchedule = _SCHEDULE.decode(data)
        return value


_SCHEDULE = scale.record(
    ValidatorSchedule,
    ("height", scale.U64),
    ("current", VALIDATOR_SET),
    ("following", VALIDATOR_SET),
)


class ValidatorHistory:
    """The sets of past heights, kept as long as evidence may refer to them.

    Only the first height of each set is stored, so a chain whose set rests costs nothing.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._sets: list[ValidatorSet] = []

    def record(self, height: int, validators: ValidatorSet) -> None:
        """Note the set of a height; heights must not decrease, repeating a fact is allowed."""
        if self._starts and height < self._starts[-1]:
            raise ValueError("validator sets are recorded in the order of heights")
        if self._sets and self._sets[-1] == validators:
            return
        if self._starts and height == self._starts[-1]:
            raise ValueError(f"two validator sets are recorded for height {height}")
        self._starts.append(height)
        self._sets.append(validators)

    def find(self, height: int) -> ValidatorSet | None:
        """Give the set of a height, or None when it is older than what is kept.

        For a height above the last recorded one it answers the last set; the caller knows its tip.
        """
        place = bisect_right(self._starts, height) - 1
        return self._sets[place] if place >= 0 else None

    def forget_below(self, height: int) -> None:
        """Drop the sets whose last height lies below `height`."""
        place = bisect_right(self._starts, height) - 1
        if place > 0:
            del self._starts[:place]
            del self._sets[:place]

    def __len__(self) -> int:
        return len(self._sets)
