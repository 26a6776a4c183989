"""What all simulated nodes share: who exists, which blocks exist, what goes over the wire.

Signatures are names: the network verifies real ones before the machine sees a message, so here a
ballot simply cannot be made under a key that its maker does not hold.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from chain.network.messages import ConsensusStatus
from consensus.leader import proposer
from consensus.types import Certificate, Proposal, Validator, ValidatorSet, Vote

GENESIS_TIME_MS = 1_000_000
"""The time of the block before the first height."""


def digest(*parts: object) -> bytes:
    """Any 32 bytes, the same for the same parts in every process."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=32).digest()


def make_set(powers: Mapping[int, int], *, set_id: int = 0) -> ValidatorSet:
    """The set of numbered validators; the number is the account."""
    return ValidatorSet(
        set_id,
        tuple(
            Validator(
                number.to_bytes(32, "big"),
                b"key" + number.to_bytes(29, "big"),
                b"vrf" + number.to_bytes(29, "big"),
                power,
            )
            for number, power in sorted(powers.items())
        ),
    )


def number_of(validators: ValidatorSet, index: int) -> int:
    """The number of the validator at an index."""
    return int.from_bytes(validators[index].account, "big")


def signed(message, number: int):
    """The message under the key of a validator."""
    return replace(message, signature=number.to_bytes(2, "big") * 32)


@dataclass(frozen=True, slots=True)
class Body:
    """A block as far as consensus cares."""

    block_id: bytes
    height: int
    proposer_idx: int
    time_ms: int
    is_valid: bool


def make_body(
    height: int, proposer_idx: int, time_ms: int, *, is_valid: bool = True, mark: object = 0
) -> Body:
    """A block; `mark` makes two of them differ."""
    block_id = digest("block", height, proposer_idx, time_ms, is_valid, mark)
    return Body(block_id, height, proposer_idx, time_ms, is_valid)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a node stores of a height, and what it tells nodes that are behind."""

    height: int
    body: Body
    commit: Certificate
    polka: Certificate | None


@dataclass(frozen=True, slots=True)
class Ballot:
    """A proposal or a vote on the wire; a proposal carries its body unless it is withheld."""

    message: Proposal | Vote
    body: Body | None = None


Wire = Ballot | Certificate | ConsensusStatus | Decided
"""Everything that one node sends another."""


@dataclass(frozen=True, slots=True)
class Society:
    """Who decides each height, and with which randomness."""

    set_at: Callable[[int], ValidatorSet]
    randomness: bytes

    def proposer_number(self, height: int, round_: int) -> int:
        """The number of the validator whose turn it is."""
        validators = self.set_at(height)
        return number_of(validators, proposer(validators, self.randomness, height, round_))


def make_society(powers: Mapping[int, int], seed: object) -> Society:
    """One set for all heights."""
    validators = make_set(powers)
    return Society(lambda _: validators, digest("randomness", seed))
