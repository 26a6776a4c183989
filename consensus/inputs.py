"""What the machine hears: news in the past tense, already decoded and its signatures verified.

Whoever feeds the machine drops what fails to verify; the machine judges turn, round and quorum.
"""

from dataclasses import dataclass
from typing import TypeAlias

from consensus.rounds import Timer
from consensus.types import Certificate, Proposal, ValidatorSet, Vote


@dataclass(frozen=True, slots=True)
class HeightStarted:
    """The chain is at `height - 1`; these validators decide `height`.

    `randomness` has 32 bytes and is the epoch's; `index` is our own place in the set, None when we
    only watch.
    """

    height: int
    validators: ValidatorSet
    randomness: bytes
    index: int | None


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The block that BuildBlock asked for is ready, valid and stored."""

    height: int
    round: int
    block_id: bytes


@dataclass(frozen=True, slots=True)
class BlockValidated:
    """A block was executed and compared, or found wrong; `time_ms` is the header's time."""

    height: int
    block_id: bytes
    is_valid: bool
    proposer_idx: int = 0
    time_ms: int = 0


@dataclass(frozen=True, slots=True)
class ProposalArrived:
    """A signed proposal, a peer's or our own coming back from the signer."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class VoteArrived:
    """A signed vote, a peer's or our own coming back from the signer."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class CertificateArrived:
    """A polka or a commit, whole."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class TimeoutFired:
    """A timer that SetTimer armed has run out."""

    timer: Timer


Input: TypeAlias = (
    HeightStarted
    | BlockBuilt
    | BlockValidated
    | ProposalArrived
    | VoteArrived
    | CertificateArrived
    | TimeoutFired
)
"""Everything the machine can hear."""
