"""Canaries: jobs with a planted fault, by which lazy and bribed verifiers come to light.

    vote names a manager -> bond -> root over an era's canaries -> they are submitted as any job
    -> audited or not -> told, within three eras -> the planted step shown -> who passed it pays

A manager is believed nothing: the tree shows that the job was meant as a canary before anybody had
it, and the chain itself does the planted step again. What is proven before the job settles convicts
it as any wrong step does, so that a canary is never paid for.
"""

from dataclasses import replace
from typing import Final

from ext import hashing
from runtime.balances import INSURANCE, HoldReason, MoveCause
from runtime.deadlines import Lane
from runtime.frame.parameters import PERBILL, Track
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.insurance import Insurance
from runtime.market import trainer
from runtime.market.nouns import Fault, JobSpec, JobState, Reason
from runtime.market.trees import Branch, verify_branch
from runtime.market.verification.audits import Audits
from runtime.market.verification.nouns import (
    AlreadyCommitted,
    AlreadyManager,
    BadCanaryCount,
    BatchesOpen,
    CanariesCommitted,
    CanariesReported,
    CanaryProven,
    CanaryTold,
    ManagerBonded,
    ManagerLeft,
    ManagerNamed,
    NothingProven,
    NotManager,
    SlashCause,
    WrongCanary,
)
from runtime.market.verification.numbers import (
    CANARIES_MAX,
    CANARY_BUDGET,
    CANARY_ERAS,
    CANARY_SLASH,
    CANARY_TARGET,
    MANAGER_BOND,
    OVERTURNED_SLASH,
)
from runtime.market.verification.pool import TWOX
from runtime.market.verification.records import (
    Ballot,
    Canary,
    CanaryBatch,
    CanaryPlan,
    Manager,
    Pass,
    StepProof,
    canary_leaf,
)
from runtime.primitives import U32, AccountId, Balance

CANARIES: Final = b"c"
"""First byte of an item of the wheel that ends a batch; its manager and era follow."""

CHECKED: Final = (JobState.WINDOW, JobState.DISPUTED)
"""States of a job whose result may still be found wrong."""


class Canaries(Audits):
    """Managers of canaries, what they committed to and what came of it."""

    insurance: Insurance

    managers: StorageMap[AccountId, Manager] = stored(hasher=TWOX)
    batches: StorageMap[tuple[AccountId, U32], CanaryBatch] = stored(hasher=(TWOX, TWOX))
    canary_count: StorageValue[U32] = stored(default=0)
    budget_era: StorageValue[U32] = stored(default=0)
    budget_spent: StorageValue[Balance] = stored(default=0)

    # Functions for disputes and reports

    def note_overturned(self, id_: int, checkpoint: int) -> None:
        """Charge the verifiers that passed a checkpoint of which the chain found a step wrong.

        To be called before the provider is convicted; each is charged once.
        """
        ballot = self.ballots.find(id_)
        for entry in ballot.passes if ballot is not None else ():
            if entry.checkpoint == checkpoint:
                self._charge_passers(id_, checkpoint, SlashCause.OVERTURNED)

    def canary_share(self) -> int:
        """Give the share of canaries in all audits so far, parts per 10^9, rounded down."""
        audits = self.audit_count
        return min(self.canary_count * PERBILL // audits, PERBILL) if audits else 0

    # Calls of votes

    def judge_manager(self, who: AccountId, *, is_named: bool) -> Track:
        """Give the track of naming a manager, or ending that; raises what `name_manager` would."""
        manager = self.managers.find(who)
        if is_named == (manager is not None and manager.is_named):
            raise AlreadyManager if is_named else NotManager
        return Track.PARAMETERS

    def _name_manager(self, who: AccountId, *, is_named: bool) -> None:
        self.judge_manager(who, is_named=is_named)
        manager = self.managers.find(who)
        if not is_named and manager is not None and not manager.bond:
            del self.managers[who]
        else:
            self.managers[who] = replace(manager or Manager(0, 0, is_named=True), is_named=is_named)
        self.emit(ManagerNamed(who, is_named))

    # Calls of managers

    def _bond_manager(self, who: AccountId) -> None:
        manager = self.managers.find(who)
        if manager is None or not manager.is_named:
            raise NotManager
        if manager.bond:
            raise AlreadyManager
        bond = MANAGER_BOND.read(self.ctx)
        self.balances.hold(who, HoldReason.SERVICE, bond)
        self.bond_total += bond
        self.managers[who] = replace(manager, bond=bond)
        self.emit(ManagerBonded(who, bond))

    def _resign_manager(self, who: AccountId) -> None:
        manager = self._manager_of(who)
        if manager.open_batches:
            raise BatchesOpen
        self.balances.release(who, HoldReason.SERVICE, manager.bond)
        self.bond_total -= manager.bond
        del self.managers[who]
        self.emit(ManagerLeft(who, manager.bond, is_lost=False))

    def _commit_canaries(self, who: AccountId, root: bytes, count: int) -> None:
        manager, era = self._manager_of(who), self.constitution.era()
        if not manager.is_named:
            raise NotManager
        if not 1 <= count <= CANARIES_MAX:
            raise BadCanaryCount
        if (who, era) in self.batches:
            raise AlreadyCommitted
        height = self.ctx.block.height
        due = self.constitution.era_start(era + 1 + CANARY_ERAS.read(self.ctx))
        self.deadlines.schedule(
            height=due,
            lane=Lane.JOBS,
            module_index=self.index,
            payload=CANARIES + who + era.to_bytes(4, "little"),
        )
        self.batches[who, era] = CanaryBatch(root, count, height, due, ())
        self.managers[who] = replace(manager, open_batches=manager.open_batches + 1)
        self.emit(CanariesCommitted(who, era, root, count, due))

    def _tell_canary(
        self, who: AccountId, era: int, plan: CanaryPlan, branch: Branch, id_: int | None
    ) -> None:
        batch = self.batches.find((who, era))
        if batch is None:
            raise NotManager
        number = branch.index
        is_known = branch.count == batch.count and number not in batch.told
        if not is_known or not verify_branch(batch.root, canary_leaf(who, plan), branch):
            raise WrongCanary
        if id_ is not None:
            self._check_canary(id_, plan, batch)
            if id_ in self.ballots:
                self.canaries[id_] = Canary(who, is_proven=False)
                self.canary_count += 1
        self.emit(CanaryTold(who, era, number, id_))
        batch = replace(batch, told=(*batch.told, number))
        if len(batch.told) == batch.count:
            self._end_batch(who, era)
            self._report(who, era)
        else:
            self.batches[who, era] = batch

    def _prove_canary(self, who: AccountId, id_: int, checkpoint: int, proof: StepProof) -> None:
        canary, ballot = self.canaries.find(id_), self.ballots.find(id_)
        job = self.jobs.find(id_)
        if canary is None or canary.manager != who or canary.is_proven:
            raise WrongCanary
        entry = _pass_of(ballot, checkpoint)
        if ballot is None or entry is None or job is None:
            raise NothingProven
        spec = self.jobs.spec(id_)
        self._check_wrong(id_, spec, entry, proof)
        self.canaries[id_] = replace(canary, is_proven=True)
        voters = self._charge_passers(id_, checkpoint, SlashCause.CANARY)
        is_open = job.attempt == ballot.attempt and job.state in CHECKED
        cost = self._half_bond(id_) if is_open else ballot.cost
        refund = self._refund_canary(who, id_, cost)
        step = checkpoint * (spec.steps // spec.checkpoints) + proof.offset
        self.emit(CanaryProven(id_, step, voters, refund))
        if is_open:
            self.jobs.convict(id_, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)

    # Steps

    def _expire_batch(self, who: AccountId, era: int) -> None:
        """End a batch whose canaries are not all told: the bond of its manager is lost."""
        batch = self.batches.find((who, era))
        if batch is None:
            return
        self._end_batch(who, era)
        manager = self.managers.find(who)
        if manager is None or not manager.bond:
            return
        self.balances.take_held(MoveCause.FORFEIT, who, HoldReason.SERVICE, INSURANCE, manager.bond)
        self.bond_total -= manager.bond
        del self.managers[who]
        self.emit(ManagerLeft(who, manager.bond, is_lost=True))

    # Inside

    def _manager_of(self, who: AccountId) -> Manager:
        manager = self.managers.find(who)
        if manager is None or not manager.bond:
            raise NotManager
        return manager

    def _end_batch(self, who: AccountId, era: int) -> None:
        del self.batches[who, era]
        manager = self.managers.find(who)
        if manager is not None and manager.open_batches:
            self.managers[who] = replace(manager, open_batches=manager.open_batches - 1)

    def _report(self, who: AccountId, era: int) -> None:
        share = self.canary_share()
        is_enough = share >= CANARY_TARGET.read(self.ctx)
        audits, canaries = self.audit_count, self.canary_count
        self.emit(CanariesReported(who, era, audits, canaries, share, is_enough))

    def _check_canary(self, id_: int, plan: CanaryPlan, batch: CanaryBatch) -> None:
        """Raise WrongCanary unless the plan became this job, after it was committed to."""
        job = self.jobs.find(id_)
        if job is None or id_ in self.canaries or job.requester != plan.requester:
            raise WrongCanary
        is_later = job.opened > batch.committed
        spec_hash = hashing.blake2b_256(JobSpec.wire.encode(self.jobs.spec(id_)))
        if not is_later or spec_hash != plan.spec_hash:
            raise WrongCanary

    def _check_wrong(self, id_: int, spec: JobSpec, entry: Pass, proof: StepProof) -> None:
        """Raise NothingProven unless the chain finds the step wrong, doing it again."""
        count, offset = spec.steps // spec.checkpoints, proof.offset
        root = entry.answer.trace_root
        is_shown = _is_leaf(root, proof.after, proof.after_branch, offset, count)
        if offset:
            is_shown &= _is_leaf(root, proof.before, proof.before_branch, offset - 1, count)
        else:
            is_shown &= proof.before == entry.answer.start
        if spec.program != trainer.PROGRAM or not is_shown:
            raise NothingProven
        try:
            is_right = trainer.check_step(
                trainer.read_params(spec.params),
                entry.checkpoint * count + offset,
                proof.before,
                proof.after,
                proof.witness,
                self.jobs.data_root(id_),
                self.jobs.leaf_count(id_),
            )
        except (trainer.BadWitness, trainer.BadParams) as refusal:
            raise NothingProven from refusal
        if is_right:
            raise NothingProven

    def _charge_passers(
        self, id_: int, checkpoint: int, cause: SlashCause
    ) -> tuple[AccountId, ...]:
        """Take a part of the bond of each verifier that passed a checkpoint, once; gives them."""
        ballot = self.ballots[id_]
        entry = _pass_of(ballot, checkpoint)
        if entry is None:
            return ()
        share = CANARY_SLASH if cause is SlashCause.CANARY else OVERTURNED_SLASH
        for voter in entry.voters:
            self._slash(voter, id_, share.read(self.ctx), cause)
        passes = tuple(replace(p, voters=()) if p == entry else p for p in ballot.passes)
        self.ballots[id_] = replace(ballot, passes=passes)
        return entry.voters

    def _refund_canary(self, who: AccountId, id_: int, cost: int) -> int:
        """Let insurance owe a manager what a canary cost, within the era's part; gives how much."""
        era = self.constitution.era()
        spent = self.budget_spent if self.budget_era == era else 0
        budget = self.insurance.fund() * CANARY_BUDGET.read(self.ctx) // PERBILL
        refund = min(cost, max(budget - spent, 0))
        self.budget_era, self.budget_spent = era, spent + refund
        if refund:
            cause = b"canary" + id_.to_bytes(4, "little")
            self.insurance.claim(cause.ljust(32, b"\x00"), who, refund)
        return refund


def _pass_of(ballot: Ballot | None, checkpoint: int) -> Pass | None:
    """Give what was said of a checkpoint, or None."""
    passes = ballot.passes if ballot is not None else ()
    return next((entry for entry in passes if entry.checkpoint == checkpoint), None)


def _is_leaf(root: bytes, leaf: bytes, branch: Branch, index: int, count: int) -> bool:
    is_there = (branch.index, branch.count) == (index, count)
    return is_there and verify_branch(root, leaf, branch)
