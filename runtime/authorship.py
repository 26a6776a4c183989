"""Authorship: who made the block, who signed the last one, and what else the engine reports.

The second inherent of every block repeats the block's context, so that the body holds everything
that execution depends on, under any consensus engine.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from runtime import weights
from runtime.block import CONTEXT_NOTE, ContextNote
from runtime.frame.call import DispatchClass, call
from runtime.frame.context import Context
from runtime.frame.declared import OWN_PATH
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Module
from runtime.frame.origins import Inherent
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.offences import Offences
from runtime.primitives import ACCOUNT_TYPE, HASH_TYPE, U32, AccountId, Weight
from runtime.session import Session
from runtime.staking.module import Staking
from runtime.staking.offline import Offline
from runtime.wire import Composite, Field, Primitive, Sequence, Wire

_U32: Final = Primitive("u32")
_U64: Final = Primitive("u64")

MISBEHAVIOUR_TYPE: Final = Composite(
    (OWN_PATH, "Misbehaviour"),
    (
        Field("kind", Primitive("u8"), "u8"),
        Field("account", ACCOUNT_TYPE, "AccountId"),
        Field("height", _U32, "BlockNumber"),
        Field("time_ms", _U64, "Moment"),
        Field("power", _U64, "u64"),
        Field("total_power", _U64, "u64"),
        Field("evidence_hash", HASH_TYPE, "Hash"),
    ),
    docs="A proven offence of a validator.",
)
"""How clients see an offence in a block."""

NOTE_TYPE: Final = Composite(
    (OWN_PATH, "ContextNote"),
    (
        Field("spec_version", _U32, "u32"),
        Field("parent_hash", HASH_TYPE, "Hash"),
        Field("proposer", ACCOUNT_TYPE, "AccountId"),
        Field("entropy", HASH_TYPE, "Hash"),
        Field("round", _U32, "u32"),
        Field("last_commit_round", _U32, "u32"),
        Field("last_commit", Sequence(Primitive("bool")), "Vec<bool>"),
        Field("misbehaviour", Sequence(MISBEHAVIOUR_TYPE), "Vec<Misbehaviour>"),
    ),
    docs="What a block's execution depends on, time and height aside.",
)
"""How clients see the second inherent."""

Note = Annotated[ContextNote, Wire(CONTEXT_NOTE, NOTE_TYPE, "ContextNote")]
"""The context of a block as an argument of a call."""


def weigh_note(note: ContextNote) -> Weight:
    """Give the weight of a note: each offence is recorded, each flag may be a miss to count."""
    flags = weights.COMMIT_FLAG * len(note.last_commit)
    return weights.INHERENT + weights.OFFENCE * len(note.misbehaviour) + flags


class WrongContext(CallError, index=0):
    """The note is not what the header says; a block's body repeats its context exactly."""


class UnknownAuthor(CallError, index=1):
    """The proposer is not in the validator set; only its members make blocks."""


class WrongCommit(CallError, index=2):
    """The last commit does not have one flag for each validator of the last block's set."""


class Authorship(Module, index=7):
    """Who made the block, and who signed the last one."""

    author: StorageValue[AccountId] = stored()
    authored: StorageMap[AccountId, U32] = stored(default=0)
    misses: StorageMap[AccountId, U32] = stored(default=0)

    def __init__(
        self,
        ctx: Context,
        *,
        session: Session,
        staking: Staking,
        offences: Offences,
        offline: Offline,
    ) -> None:
        super().__init__(ctx)
        self.session = session
        self.staking = staking
        self.offences = offences
        self.offline = offline

    @call(
        index=0,
        weight=weigh_note,
        dispatch_class=DispatchClass.MANDATORY,
    )
    def note_context(self, _: Inherent, note: Note) -> None:
        """Repeat the block's context; second in every block, never sent by a user."""
        block = self.ctx.block
        if note != ContextNote.of(block):
            raise WrongContext
        if block.proposer not in self.session.validators:
            raise UnknownAuthor
        self._count_commit(block.last_commit)
        self.author = block.proposer
        self.authored[block.proposer] += 1
        self.staking.note_points(block.proposer, block.last_commit)
        for misbehaviour in block.misbehaviour:
            self.offences.report(misbehaviour)

    def invariants(self) -> Iterator[Check]:
        """Every block has one author."""
        height = self.ctx.block.height
        yield Check("each block has an author", sum(self.authored.values()) == height)

    def _count_commit(self, flags: tuple[bool, ...]) -> None:
        """Count a miss for each validator whose signature the last commit lacks."""
        if self.ctx.block.height == 1:
            if flags:
                raise WrongCommit
            return
        members = self.session.previous_set
        if len(flags) != len(members):
            raise WrongCommit
        for member, has_signed in zip(members, flags, strict=True):
            if not has_signed:
                self.misses[member.account] += 1
        self.offline.note_commit(members, flags)
