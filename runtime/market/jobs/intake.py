"""What a job must be like to be taken: its shape, and what it needs of others."""

from typing import Final

from ext import hashing
from runtime.balances import HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market import trainer
from runtime.market.jobs.course import Course
from runtime.market.jobs.neighbours import KnownProgram
from runtime.market.jobs.nouns import (
    BadCheckpoints,
    BadHeartbeat,
    BadParams,
    BadReplicas,
    BadRun,
    BadSteps,
    BadTier,
    BadUnits,
    CannotAudit,
    ClassClosed,
    PriceTooLow,
    StakeTooLow,
    WrongDatasets,
)
from runtime.market.jobs.numbers import (
    EMISSION_BASE,
    EMISSION_VERIFIED,
    FAILED_JOBS_MIN,
    FAILED_SHARE_PART,
    HEARTBEAT_MAX,
    HEARTBEAT_MIN,
    LARGE_PRICE,
    PRICE_MIN,
    REPLICAS_MAX,
    REPLICAS_MIN,
    REQUESTER_STAKE,
    RUN_BLOCKS_MAX,
    START_DEPOSIT,
    TOLERANCE_MAX,
)
from runtime.market.nouns import (
    CHECKPOINTS_MAX,
    CHECKPOINTS_MIN,
    STEPS_MAX,
    JobSpec,
    Verification,
)
from runtime.market.terms import audit_draws, audit_fee, audit_seats
from runtime.primitives import MONEY_MAX, ZERO_HASH, AccountId

TIER_MAX: Final = 4
"""The highest tier of providers."""

DATA_TAG: Final = b"gm-data"
"""Begins what the root of several datasets together hashes."""


def check_shape(spec: JobSpec) -> None:
    """Raise what is wrong with the numbers of a spec, whatever the chain looks like."""
    if not CHECKPOINTS_MIN <= spec.checkpoints <= CHECKPOINTS_MAX:
        raise BadCheckpoints
    if not 0 < spec.steps <= STEPS_MAX or spec.steps % spec.checkpoints:
        raise BadSteps
    if not spec.units:
        raise BadUnits
    if not PRICE_MIN <= spec.max_price <= MONEY_MAX:
        raise PriceTooLow
    if list(spec.datasets) != sorted(dict.fromkeys(spec.datasets)):
        raise WrongDatasets
    check_run(spec)


def check_run(spec: JobSpec) -> None:
    """Raise what is wrong with the terms of a run."""
    if not 0 < spec.run_blocks <= RUN_BLOCKS_MAX:
        raise BadRun
    beats = HEARTBEAT_MIN <= spec.heartbeat <= HEARTBEAT_MAX
    if not beats or not 0 < spec.tolerance <= TOLERANCE_MAX:
        raise BadHeartbeat
    if spec.min_tier > TIER_MAX:
        raise BadTier
    is_replicated = spec.verification is Verification.REPLICATION
    low, high = (REPLICAS_MIN, REPLICAS_MAX) if is_replicated else (1, 1)
    if not low <= spec.replicas <= high:
        raise BadReplicas


def check_program(spec: JobSpec, program: KnownProgram | None) -> None:
    """Raise why a program cannot be run as the spec says; `program` is its row of the table."""
    if spec.verification is Verification.AUDIT and (program is None or not program.is_repeatable):
        raise CannotAudit
    if program is None:
        return
    if len(spec.params) != program.params_bytes:
        raise BadParams
    if not program.is_reference:
        return
    try:
        trainer.read_params(spec.params)
    except trainer.BadParams as error:
        raise BadParams from error
    if len(spec.datasets) != 1:
        raise WrongDatasets


class Intake(Course):
    """What jobs need of others before they are taken."""

    def _check_spec(self, spec: JobSpec) -> None:
        check_shape(spec)
        units = self.near.work_units
        entry = units.entry(units.version, spec.class_id)
        if entry is None or not entry.is_open:
            raise ClassClosed
        check_program(spec, units.program(spec.program))

    def _check_requester(self, who: AccountId, price: int) -> None:
        """Raise StakeTooLow unless who asks for much has a part of it at stake."""
        if price <= LARGE_PRICE.read(self.ctx):
            return
        needed = -(-price * REQUESTER_STAKE.read(self.ctx) // PERBILL)
        ledger = self.near.staking.ledger_of(who)
        if needed and (ledger is None or ledger.active < needed):
            raise StakeTooLow

    def _start_deposit(self, who: AccountId, price: int) -> int:
        """Give what a requester puts down whose jobs often fail, rounded up; else zero."""
        failed, count = self.near.reputation.failed_share(who)
        if failed < FAILED_JOBS_MIN or failed * FAILED_SHARE_PART <= count:
            return 0
        return -(-price * START_DEPOSIT.read(self.ctx) // PERBILL)

    def _hold_start_deposit(self, who: AccountId, amount: int) -> None:
        if amount:
            self.near.balances.hold(who, HoldReason.DEPOSIT, amount)
            self.deposit_total += amount

    def _multiple(self, spec: JobSpec) -> int:
        """Give the highest multiple of the fee that emission may reach, parts per 10^9."""
        units = self.near.work_units
        program = units.program(spec.program)
        is_metered = program is not None and program.is_metered
        is_checked = spec.verification is not Verification.ACCEPTANCE
        # The reference trainer needs no image
        is_reference = program is not None and program.is_reference
        is_listed = is_reference if spec.image == ZERO_HASH else units.framework(spec.image)
        return EMISSION_VERIFIED if is_metered and is_checked and is_listed else EMISSION_BASE

    def _initial_state(self, spec: JobSpec) -> bytes:
        """Give the state before the first step where the chain knows it, else zeros."""
        program = self.near.work_units.program(spec.program)
        if program is None or not program.is_reference:
            return ZERO_HASH
        return trainer.initial_state(trainer.read_params(spec.params))

    def _data_of(self, spec: JobSpec) -> tuple[bytes, int]:
        """Give the root over all leaves of a job's data, and their number."""
        datasets = self.near.datasets
        roots = [datasets.root(id_) for id_ in spec.datasets]
        count = sum(datasets.leaf_count(id_) for id_ in spec.datasets)
        if not roots:
            return ZERO_HASH, 0
        joined = hashing.blake2b_256(DATA_TAG + b"".join(roots))
        return (roots[0] if len(roots) == 1 else joined), count


def audit_fee_of(spec: JobSpec, price: int, parts: int = 1) -> int:
    """Give what audits of a job may cost: drawn against the least own bond, a whole price.

    Each part of a long run has an audit of its own; its price says how many do its checkpoints
    again.
    """
    if spec.verification is not Verification.AUDIT:
        return 0
    longest = -(-spec.checkpoints // parts)
    seats = audit_seats(-(-price * longest // spec.checkpoints))
    return parts * audit_fee(audit_draws(price, price), seats, price, spec.checkpoints)
