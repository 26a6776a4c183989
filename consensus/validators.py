"""Validators and their sets: who may vote at a height, and what share of the power they hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from consensus.errors import Malformed
from ext import hashing, scale

VALIDATORS_MAX: Final = 100
"""Largest set; commits stay under 7 KiB and a round under a thousand messages."""

TOTAL_POWER_MAX: Final = 1 << 60
"""Keeps three times the power inside 64 bits and fits CometBFT's limit."""


@dataclass(frozen=True, slots=True)
class Validator:
    """One member of a set: account id, consensus key and VRF key of 32 bytes each, power >= 1."""

    account: bytes
    consensus_key: bytes
    vrf_key: bytes
    power: int


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The validators of some heights, strictly ascending by account; raises Malformed otherwise."""

    set_id: int
    validators: tuple[Validator, ...]
    total_power: int = field(init=False, compare=False, repr=False)
    _index: dict[bytes, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check every rule of a set, then remember its sum and the place of each account."""
        validators = tuple(self.validators)
        object.__setattr__(self, "validators", validators)
        if not 1 <= len(validators) <= VALIDATORS_MAX:
            raise Malformed(f"a validator set has 1 to {VALIDATORS_MAX} members")
        accounts = [validator.account for validator in validators]
        if any(left >= right for left, right in pairwise(accounts)):
            raise Malformed("a validator set is strictly ascending by account id")
        keys = {validator.consensus_key for validator in validators}
        if len(keys) != len(validators):
            raise Malformed("two validators of a set share a consensus key")
        if len({validator.vrf_key for validator in validators}) != len(validators):
            raise Malformed("two validators of a set share a VRF key")
        total = sum(validator.power for validator in validators)
        if min(validator.power for validator in validators) < 1 or total > TOTAL_POWER_MAX:
            raise Malformed("powers are at least 1 and sum to at most 2^60")
        object.__setattr__(self, "total_power", total)
        object.__setattr__(self, "_index", {account: i for i, account in enumerate(accounts)})

    def __len__(self) -> int:
        return len(self.validators)

    def __getitem__(self, index: int) -> Validator:
        return self.validators[index]

    def index_of(self, account: bytes) -> int | None:
        """Give the index of an account, or None."""
        return self._index.get(account)

    def find_key(self, consensus_key: bytes) -> int | None:
        """Give the index of a consensus key, or None."""
        for index, validator in enumerate(self.validators):
            if validator.consensus_key == consensus_key:
                return index
        return None

    def power_of(self, indices: Iterable[int]) -> int:
        """Sum the power of distinct indices; the caller has removed repetitions."""
        return sum(self.validators[index].power for index in indices)

    def has_quorum(self, power: int) -> bool:
        """Whether this power is more than two thirds of the whole."""
        return 3 * power > 2 * self.total_power

    def has_third(self, power: int) -> bool:
        """Whether this power is more than one third of the whole."""
        return 3 * power > self.total_power

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = VALIDATOR_SET.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "ValidatorSet":
        """Decode exactly one set; raises ValueError."""
        value: ValidatorSet = VALIDATOR_SET.decode(data)
        return value

    def hash(self) -> bytes:
        """Give the 32 bytes of `validators_hash`; they bind the set id too."""
        return hashing.blake2b_256(b"set" + self.encode())


_KEY = scale.fixed_bytes(32)
VALIDATOR = scale.record(
    Validator,
    ("account", _KEY),
    ("consensus_key", _KEY),
    ("vrf_key", _KEY),
    ("power", scale.U64),
)
"""The codec of one validator: 104 bytes."""

VALIDATOR_SET = scale.record(
    ValidatorSet,
    ("set_id", scale.U64),
    ("validators", scale.vector(VALIDATOR, VALIDATORS_MAX)),
)
"""The codec of a set; decoding checks every rule of a set."""
