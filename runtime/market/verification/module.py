"""Verification: the calls of verifiers, providers and managers of canaries, and the checks.

    pool       who audits: bonds, draws, slashes
    audits     what is drawn of a job, answers, verdicts
    canaries   planted faults, by which lazy verifiers come to light
    replicas   the same job done several times, compared

A verifier's bond is its own: what it has at stake as a validator is liable for what it signs, and
one stake never backs two things.
"""

from collections.abc import Iterator

from runtime.balances import Balances, HoldReason
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.frame.call import DispatchClass, call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root, Signed
from runtime.frame.parameters import Track
from runtime.insurance import Insurance
from runtime.market.nouns import Verification as Mode
from runtime.market.trees import Branch
from runtime.market.verification.audits import AUDIT, BALLOT
from runtime.market.verification.canaries import CANARIES
from runtime.market.verification.checks import invariants_of
from runtime.market.verification.neighbours import UsesJobs, UsesProviders
from runtime.market.verification.nouns import ERRORS, EVENTS, NothingDue, UnknownVendor, VendorNamed
from runtime.market.verification.numbers import (
    PARAMETERS,
    WEIGHT_ANSWER,
    WEIGHT_BOND,
    WEIGHT_CANARY,
    WEIGHT_CONCLUDE,
    WEIGHT_PROOF,
    WEIGHT_WITNESS,
)
from runtime.market.verification.records import (
    CanaryPlan,
    Disclosure,
    Disclosures,
    Hashes,
    SaltedAnswers,
    Signature,
    StepProof,
)
from runtime.market.verification.replicas import GROUP, Replicas
from runtime.parameters import Parameters
from runtime.primitives import U16, U32, AccountId, Address, Amount, Flag, Hash
from runtime.session import Session
from runtime.staking.module import Staking


class Verification(Replicas, Module, index=34, events=EVENTS, errors=ERRORS):
    """Who checks results before they are paid, and who checks those."""

    parameters = PARAMETERS

    def __init__(  # noqa: PLR0913 -- as many as it needs
        self,
        ctx: Context,
        *,
        numbers: Parameters,
        balances: Balances,
        deadlines: Deadlines,
        beacon: Beacon,
        session: Session,
        staking: Staking,
        insurance: Insurance,
        jobs: UsesJobs,
        providers: UsesProviders,
    ) -> None:
        super().__init__(ctx)
        self.constitution = numbers
        self.balances = balances
        self.deadlines = deadlines
        self.beacon = beacon
        self.session = session
        self.staking = staking
        self.insurance = insurance
        self.jobs = jobs
        self.providers = providers
        deadlines.listen(self.index, self._do_due)
        jobs.watchers.append(self)

    # What jobs tell

    def job_completed(self, id_: int) -> None:
        """Let a result be checked in the way that its requester ordered."""
        mode = self.jobs.spec(id_).verification
        if mode is Mode.AUDIT:
            self._begin_audit(id_)
        elif mode is Mode.REPLICATION:
            self._note_replica(id_)

    def job_ended(self, id_: int) -> None:
        """Drop what checks an attempt that is over."""
        audit = self.audits.find(id_)
        if audit is not None:
            self._drop_audit(id_, audit)
        self._drop_replica(id_)

    # Calls of verifiers

    @call(index=0, weight=WEIGHT_BOND)
    def join(self, origin: Signed, bond: Amount) -> None:
        """Put a bond down to audit with, or add to it; only validators may."""
        self._join(origin.who, bond)

    @call(index=1, weight=WEIGHT_BOND)
    def leave(self, origin: Signed) -> None:
        """Give notice; the bond is held until it has run out."""
        self._leave(origin.who)

    @call(index=2, weight=WEIGHT_BOND)
    def withdraw(self, origin: Signed) -> None:
        """Take the bond back, when the notice has run out and no audit is open."""
        self._withdraw(origin.who)

    @call(index=3, weight=WEIGHT_ANSWER, dispatch_class=DispatchClass.OPERATIONAL)
    def commit(self, origin: Signed, job: U32, commits: Hashes) -> None:
        """Commit to what the drawn checkpoints come to; costs nothing but the tip."""
        self._commit_answers(origin.who, job, commits)

    @call(index=4, weight=WEIGHT_CONCLUDE, dispatch_class=DispatchClass.OPERATIONAL)
    def reveal(self, origin: Signed, job: U32, answers: SaltedAnswers) -> None:
        """Say what was committed to; costs nothing but the tip."""
        self._reveal_answers(origin.who, job, answers)

    # Calls of providers

    @call(index=16, weight=WEIGHT_CONCLUDE + WEIGHT_PROOF, dispatch_class=DispatchClass.OPERATIONAL)
    def disclose(self, origin: Signed, job: U32, disclosures: Disclosures) -> None:
        """Open the drawn checkpoints of an audited job."""
        self._open_checkpoints(origin.who, job, disclosures)

    @call(index=17, weight=WEIGHT_CONCLUDE + WEIGHT_PROOF, dispatch_class=DispatchClass.OPERATIONAL)
    def disclose_replica(
        self,
        origin: Signed,
        job: U32,
        disclosure: Disclosure,
        secret: Hash,
        secret_before: Hash,
    ) -> None:
        """Open the drawn checkpoint of a replicated job, with the secrets of its seals."""
        self._open_replica(origin.who, job, disclosure, (secret, secret_before))

    @call(index=18, weight=WEIGHT_ANSWER)
    def attest(self, origin: Signed, job: U32, vendor: Hash, quote: Signature) -> None:
        """Show a vendor's quote for the machine that did the job: half as much is audited."""
        self._attest(origin.who, job, vendor, quote)

    # Calls of anybody

    @call(index=32, weight=WEIGHT_CONCLUDE)
    def advance(self, origin: Signed, job: U32) -> None:  # noqa: ARG002 -- its type is the permission
        """Do what is due of a job's audit or group, where the wheel did not."""
        if not self._advance_audit(job) and not self._advance_group(job):
            raise NothingDue

    # Calls of managers of canaries

    @call(index=48, weight=WEIGHT_CANARY)
    def bond_manager(self, origin: Signed) -> None:
        """Put the bond of a manager of canaries down, when a vote has named you."""
        self._bond_manager(origin.who)

    @call(index=49, weight=WEIGHT_CANARY)
    def resign_manager(self, origin: Signed) -> None:
        """Manage canaries no more; the bond is given back when all are told."""
        self._resign_manager(origin.who)

    @call(index=50, weight=WEIGHT_CANARY)
    def commit_canaries(self, origin: Signed, root: Hash, count: U16) -> None:
        """Commit to the canaries of this era, before any of them is submitted."""
        self._commit_canaries(origin.who, root, count)

    @call(index=51, weight=WEIGHT_CANARY)
    def tell_canary(
        self, origin: Signed, era: U32, plan: CanaryPlan, branch: Branch, job: U32 | None
    ) -> None:
        """Tell a canary of an era, and the job that it is, if it became one."""
        self._tell_canary(origin.who, era, plan, branch, job)

    @call(index=52, weight=WEIGHT_WITNESS)
    def prove_canary(self, origin: Signed, job: U32, checkpoint: U32, proof: StepProof) -> None:
        """Show the planted step of a canary that was told; who passed it pays."""
        self._prove_canary(origin.who, job, checkpoint, proof)

    # Calls of votes

    @call(index=64, weight=WEIGHT_CANARY)
    def name_manager(self, origin: Root, who: Address, is_named: Flag) -> None:  # noqa: ARG002 -- its type is the permission
        """Name a manager of canaries, or end that; only by vote."""
        self._name_manager(who, is_named=is_named)

    @call(index=65, weight=WEIGHT_CANARY)
    def name_vendor(self, origin: Root, vendor: Hash, is_listed: Flag) -> None:  # noqa: ARG002 -- its type is the permission
        """List the key with which a vendor signs quotes, or strike it off; only by vote."""
        self.judge_vendor(vendor, is_listed=is_listed)
        self.vendors[vendor] = is_listed
        self.emit(VendorNamed(vendor, is_listed))

    def judge_vendor(self, vendor: bytes, *, is_listed: bool) -> Track:
        """Give the track of listing a vendor or striking it off; raises UnknownVendor."""
        if self.vendors[vendor] == is_listed:
            raise UnknownVendor
        return Track.PARAMETERS

    # Inside

    def _do_due(self, payload: bytes) -> None:
        kind, rest = payload[:1], payload[1:]
        number, tail = int.from_bytes(rest[:4], "little"), int.from_bytes(rest[4:], "little")
        if kind == AUDIT:
            self._do_audit(number, tail)
        elif kind == BALLOT:
            self._forget_ballot(number)
        elif kind == GROUP:
            self._do_group(number, tail)
        elif kind == CANARIES:
            self._expire_batch(AccountId(rest[:32]), int.from_bytes(rest[32:], "little"))

    def guards(self) -> Iterator[Check]:
        """Look whether all bonds are held; others hold money for services, too."""
        held = self.balances.held_totals[HoldReason.SERVICE]
        yield Check("the bonds of all verifiers and managers are held", self.bond_total <= held)

    def invariants(self) -> Iterator[Check]:
        """Compare bonds with what is held, and seats with audits."""
        return invariants_of(self)
