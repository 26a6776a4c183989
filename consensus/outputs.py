"""What the machine wants: imperatives, to be obeyed in the order given.

Whatever must be durable stands before what is said: `Sign` and `Save` carry the record that the
journal needs before anything later in the list may happen.
"""

from dataclasses import dataclass
from typing import TypeAlias

from consensus.rounds import Timer
from consensus.types import Certificate, DuplicateProposal, DuplicateVote, Proposal, Vote


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Make a block for this height; answer with BlockBuilt."""

    height: int
    round: int


@dataclass(frozen=True, slots=True)
class ValidateBlock:
    """Get this block, execute it, compare every root; answer with BlockValidated."""

    height: int
    block_id: bytes


@dataclass(frozen=True, slots=True)
class Sign:
    """Make the record durable, sign the message, send it, and feed it back as news.

    A signer that may not sign drops the message; the machine goes on as if it were lost.
    """

    message: Proposal | Vote
    record: bytes


@dataclass(frozen=True, slots=True)
class Save:
    """Make the record durable: a polka became known after our precommit."""

    record: bytes


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send a certificate to everybody: a re-proposal means nothing without its polka."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Answer with TimeoutFired after that many milliseconds."""

    timer: Timer
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Finalize:
    """The block is decided: store it with the commit, then start the next height."""

    height: int
    block_id: bytes
    commit: Certificate
    polka: Certificate | None


@dataclass(frozen=True, slots=True)
class Accuse:
    """Two messages that no honest validator signs."""

    evidence: DuplicateVote | DuplicateProposal


Output: TypeAlias = (
    BuildBlock | ValidateBlock | Sign | Save | Broadcast | SetTimer | Finalize | Accuse
)
"""Everything the machine can want."""
