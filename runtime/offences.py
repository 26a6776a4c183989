"""Offences: proven misbehaviour of validators, recorded once each.

Consensus verified the proof before anybody voted for the block; here the report's shape is checked
and what was reported before is passed over. A new offence goes on to slashing, by account: the keys
with which it was signed, and the set they acted in, may be gone by then.
"""

from collections.abc import Iterator

from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import U8, U32, U64, AccountId, BlockNumber, Hash, Moment
from runtime.session import Session
from runtime.staking.reports import OffenceKind
from runtime.staking.slashing import Slashing
from runtime.system import System


class OffenceKey(Record):
    """What is punished once: a kind of misbehaviour of an account at a height."""

    kind: U8
    account: AccountId
    height: BlockNumber


class OffenceRecord(Record):
    """A recorded offence: its time, the power behind it, its proof, and where it was reported."""

    time_ms: Moment
    power: U64
    total_power: U64
    evidence_hash: Hash
    reported_at: BlockNumber


class Offence(Event, index=0):
    """A validator was proven to have misbehaved at a height."""

    kind: U8
    account: AccountId
    height: BlockNumber


class UnknownOffence(CallError, index=0):
    """No misbehaviour has this kind; report one of the known kinds."""


class UnknownValidator(CallError, index=1):
    """The account never validated; report a validator."""


class OffenceNotPast(CallError, index=2):
    """The height is not in the past; report what has happened."""


class OffenceTooOld(CallError, index=3):
    """The offence is beyond the age that evidence may have; nothing can be done about it."""


class ImpossiblePower(CallError, index=4):
    """The power is zero or more than the whole; report the power at the offence."""


class Offences(Module, index=10):
    """Proven misbehaviour of validators, recorded once each."""

    reports: StorageMap[OffenceKey, OffenceRecord] = stored()
    count: StorageValue[U32] = stored(default=0)

    def __init__(self, ctx: Context, system: System, session: Session, slashing: Slashing) -> None:
        super().__init__(ctx)
        self.system = system
        self.session = session
        self.slashing = slashing

    def report(self, misbehaviour: Misbehaviour) -> None:
        """Record an offence unless it is known; raises the CallError that says what is wrong."""
        self._check(misbehaviour)
        key = OffenceKey(misbehaviour.kind, misbehaviour.account, misbehaviour.height)
        if key in self.reports:
            return
        self.reports[key] = OffenceRecord(
            misbehaviour.time_ms,
            misbehaviour.power,
            misbehaviour.total_power,
            misbehaviour.evidence_hash,
            self.ctx.block.height,
        )
        self.count += 1
        self.emit(Offence(key.kind, key.account, key.height))
        self.slashing.report(
            kind=OffenceKind(misbehaviour.kind),
            offender=misbehaviour.account,
            height=misbehaviour.height,
            power=misbehaviour.power,
            total_power=misbehaviour.total_power,
            evidence_hash=misbehaviour.evidence_hash,
        )

    def invariants(self) -> Iterator[Check]:
        """Compare the count with the reports."""
        yield Check("reports are counted", self.count == sum(1 for _ in self.reports.items()))

    def _check(self, misbehaviour: Misbehaviour) -> None:
        if misbehaviour.kind not in tuple(MisbehaviourKind):
            raise UnknownOffence
        if misbehaviour.account not in self.session.keys:
            raise UnknownValidator
        block, params = self.ctx.block, self.system.params
        age_blocks = block.height - misbehaviour.height
        age_ms = block.time_ms - misbehaviour.time_ms
        if age_blocks <= 0:
            raise OffenceNotPast
        if age_blocks > params.evidence_age_blocks and age_ms > params.evidence_age_ms:
            raise OffenceTooOld
        if not 1 <= misbehaviour.power <= misbehaviour.total_power:
            raise ImpossiblePower
