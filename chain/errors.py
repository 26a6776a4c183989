"""Who is to blame, and what the node does about it.

    GristmillError
    |- InvalidTransaction     the sender     never enters a block
    |- InvalidBlock           the proposer   the block is refused and its hash remembered
    |- PeerFault              a peer         its score falls; disconnected and banned in the end
    |- ConfigError            the operator   one sentence with what to do; exit code 78
    |  '- VersionMissing      the operator   the next block needs a release that is not installed
    |- StorageError           the machine    the node stops and never guesses
    |  |- StorageFull         the disk       blocks are refused until there is room
    |  '- StateMismatch       the disk       the stored state is not the one that was decided
    '- StatePruned            nobody         this node no longer keeps what was asked for

`AssertionError` is us: the node stops and the operator reports it. What the signer of a call does
wrong is the runtime's CallError and never leaves it.
"""

from enum import Enum


class GristmillError(Exception):
    """The root of what the node raises on purpose; the message is a sentence."""


class InvalidTransaction(GristmillError):
    """A transaction that never enters a block; `reason` is a sentence for its sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidBlock(GristmillError):
    """A block that no correct proposer makes; `field` names the part of it that is wrong."""

    def __init__(self, reason: str, *, field: str, block_id: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.block_id = block_id


class FaultKind(Enum):
    """What a peer did."""

    MALFORMED = "malformed"
    """Bytes that no honest node sends."""
    INVALID = "invalid"
    """Well formed, but provably false: a bad signature, root or certificate."""
    STALLED = "stalled"
    """No answer within the deadline."""
    FLOODING = "flooding"
    """More than the limits allow."""


class PeerFault(GristmillError):
    """A peer misbehaved; `kind` decides what it costs."""

    def __init__(self, kind: FaultKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class ConfigError(GristmillError):
    """A setting cannot be used; the message says which, why and what to do."""

    exit_code = 78
    """EX_CONFIG of sysexits."""


class VersionMissing(ConfigError):
    """The next block is under rules that this release lacks; whatever is below it is kept."""


class StorageError(GristmillError):
    """The disk does not say what it said before; the message says what to do."""


class StorageFull(StorageError):
    """Too little free space to go on; nothing is damaged."""


class StateMismatch(StorageError):
    """The state on disk does not hash to the root that was decided at its height."""


class StatePruned(GristmillError):
    """The state at that height is no longer kept; an archive node has it."""
