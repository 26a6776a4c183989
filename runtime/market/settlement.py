"""Settlement: who is paid how much out of a job's escrow, and out of the bond behind it.

    settle   escrow = provider | datasets | fee: burn, treasury, insurance, stakers | left
    fail     escrow = accepted work | its datasets | its fee | left
             bond   = slash: requester | bounty | insurance | burn, and the rest is released
             left + the requester's part of the bond = what the next attempt begins with

Each step ends in one event that holds the whole waterfall, so that anybody can add it up. What is
left stays held: Jobs gives it back, or spends it on the next provider. Settlement holds no state
and is no module; what it has to remember is in `runtime.market.rewards`.
"""

from dataclasses import dataclass
from typing import Final

from runtime.balances import (
    INSURANCE,
    STAKERS_POT,
    TREASURY,
    Balances,
    BurnCause,
    HoldReason,
    MoveCause,
)
from runtime.frame.errors import CallError
from runtime.insurance import Insurance
from runtime.market import terms
from runtime.market.nouns import NOBODY, Fault, Job, JobSpec, Outcome
from runtime.market.rewards import WorkRewards
from runtime.market.terms import FeeSplit, SlashSplit
from runtime.market.waterfalls import (
    AttemptFailed,
    FeePaid,
    JobSettled,
    UsesReputation,
)
from runtime.primitives import AccountId
from runtime.staking.module import Staking

SECURITY_SHARE: Final = 300_000_000
"""30 % of the security stake: what fraud costs beside the bond, before correlation."""

CLAIM_TAG: Final = b"job/"
"""Begins the 32 bytes by which an insurance claim names a job; four of its number follow."""


@dataclass(frozen=True, slots=True)
class Earned:
    """What of an escrow was paid for work, in grains."""

    provider: int
    datasets: int
    fee: FeeSplit
    discount: int
    emission: int

    @property
    def total(self) -> int:
        """All that left the escrow."""
        return self.provider + self.datasets + self.fee.total

    @property
    def told(self) -> FeePaid:
        """The fee as events tell it."""
        fee = self.fee
        return FeePaid(fee.burned, fee.treasury, fee.insurance, fee.stakers, self.discount)


NOTHING: Final = Earned(0, 0, FeeSplit(0, 0, 0, 0), 0, 0)
"""Nothing was accepted, or what was is void."""


@dataclass(frozen=True, slots=True)
class Charged:
    """What a fault took: of the bond, and of the security stake."""

    bond: int
    slash: SlashSplit
    restored: int
    security: int
    claimed: int


class Settlement:
    """The waterfalls of a job: the good end, and the bad one of an attempt."""

    def __init__(
        self,
        *,
        balances: Balances,
        staking: Staking,
        insurance: Insurance,
        rewards: WorkRewards,
        reputation: UsesReputation,
    ) -> None:
        self.balances = balances
        self.staking = staking
        self.insurance = insurance
        self.rewards = rewards
        self.reputation = reputation
        self.emission = rewards.emission
        self.providers = rewards.providers
        self.datasets = rewards.datasets
        self.work_units = rewards.work_units
        self.ctx = rewards.ctx

    def settle(self, id_: int, spec: JobSpec, job: Job) -> JobSettled:
        """Pay for the attempt that ended well; `left` of the escrow stays held of the payer."""
        done = job.span
        earned = self._pay(id_, spec, job, done, done)
        event = JobSettled(
            id_=id_,
            attempt=job.attempt,
            payer=job.payer,
            provider=job.provider,
            escrow=job.escrow,
            earned=earned.provider,
            royalties=earned.datasets,
            fee=earned.told,
            left=job.escrow - earned.total,
            emission=earned.emission,
        )
        self.rewards.emit(event)
        return event

    def fail(
        self, id_: int, spec: JobSpec, job: Job, fault: Fault, challenger: AccountId | None
    ) -> Outcome:
        """Pay what an attempt earned before its fault, charge the bond, and say what is left.

        The bond keeps what the slash leaves of it: Jobs releases it.
        """
        whole = job.span
        is_false = fault in (Fault.WRONG_CHECKPOINT, Fault.FRAUD)
        accepted = max(job.accepted - job.first_checkpoint, 0)
        done = 0 if is_false else min(accepted, whole)
        earned = self._pay(id_, spec, job, done, whole) if done else NOTHING
        charged = self._charge(id_, spec, job, fault, challenger, earned, whole - done)
        left = job.escrow - earned.total
        slash = charged.slash
        self.rewards.emit(
            AttemptFailed(
                id_=id_,
                attempt=job.attempt,
                payer=job.payer,
                provider=job.provider,
                fault=fault,
                challenger=challenger or NOBODY,
                done=done,
                whole=whole,
                escrow=job.escrow,
                earned=earned.provider,
                royalties=earned.datasets,
                fee=earned.told,
                left=left,
                bond=charged.bond,
                slash=slash.total,
                extra=slash.extra,
                fees=slash.fees,
                restored=charged.restored,
                bounty=slash.bounty,
                insurance=slash.insurance,
                burned=slash.burned,
                security=charged.security,
                claimed=charged.claimed,
                emission=earned.emission,
            )
        )
        return Outcome(
            escrow=left + slash.extra + charged.restored,
            dataset_fees=job.dataset_fees - earned.datasets,
            audit_fee=job.audit_left + charged.restored,
            compensation=slash.extra,
        )

    # Inside: the escrow

    def _pay(self, id_: int, spec: JobSpec, job: Job, done: int, whole: int) -> Earned:
        """Pay `done` of `whole` checkpoints of an attempt: provider, datasets, fee."""
        price = terms.earned_part(job.price, done, whole)
        royalties = terms.earned_part(job.dataset_fees, done, whole)
        gross = min(terms.protocol_fee(price + royalties), job.protocol_fee)
        discount = self.reputation.discount(job.requester)
        fee = terms.split_fee(gross, discount)
        payer, escrow = job.payer, HoldReason.ESCROW
        uses = self.datasets.split_agreed(id_, spec.datasets, royalties) if royalties else ()
        for dataset, amount in uses:
            if amount:
                self.datasets.pay_use(dataset, id_, job.requester, payer, amount)
        if price:
            self.providers.pay_earned(job.provider, price, payer, escrow)
        self._pay_fee(job, fee)
        emission = self.rewards.note_job(id_, spec, job, done=done, paid=price, uses=uses, fee=fee)
        self.reputation.note_settled(job.provider, job.requester, fee.burned)
        return Earned(price, royalties, fee, gross - fee.total, emission)

    def _pay_fee(self, job: Job, fee: FeeSplit) -> None:
        """Pay the four parts of a fee; where nobody stakes, the stakers' part is the treasury's."""
        payer, escrow = job.payer, HoldReason.ESCROW
        self.balances.burn_held(BurnCause.JOB_FEE, payer, escrow, fee.burned)
        self.emission.note_job_fee(fee.burned)
        stakers = STAKERS_POT if self.staking.is_enabled else TREASURY
        for target, amount in ((TREASURY, fee.treasury), (stakers, fee.stakers)):
            if amount:
                self.balances.take_held(MoveCause.JOB_FEE, payer, escrow, target, amount)
        if self.staking.is_enabled:
            self.staking.note_fees(fee.stakers)
        if fee.insurance:
            self.insurance.pay_held_premium(payer, escrow, fee.insurance)
            self.rewards.note_premium(job.requester, fee.insurance)

    # Inside: the bond

    def _charge(
        self,
        id_: int,
        spec: JobSpec,
        job: Job,
        fault: Fault,
        challenger: AccountId | None,
        earned: Earned,
        left: int,
    ) -> Charged:
        """Take what a fault costs, and pay it out in its order."""
        bond = self.providers.bond(id_)
        whole = 0 if bond is None else bond.own + bond.delegated
        amount = terms.bond_slash(fault, whole, left=left, whole=job.span)
        unpaid = job.price - earned.provider
        extra = terms.extra_cost(
            self.work_units.reference(spec.class_id),
            spec.units * left // spec.checkpoints,
            unpaid,
        )
        audits = max(job.audit_fee - job.audit_left, 0)
        lost = min(earned.fee.irrecoverable + audits, max(earned.fee.total + audits - 1, 0))
        has_bounty = challenger is not None and not self.providers.share_owner(
            challenger, job.provider
        )
        slash = terms.split_slash(amount, extra=extra, fees=lost, has_bounty=has_bounty)
        restored = min(slash.fees, audits)
        if not self._move_to_escrow(id_, job.payer, slash.extra + restored):
            slash = terms.split_slash(amount, extra=0, fees=lost, has_bounty=has_bounty)
            restored = 0
        self._pay_slash(id_, job, slash, restored, challenger)
        if amount:
            self.rewards.note_slashed(job.provider)
        security = 0
        if fault is Fault.FRAUD:
            security = self.providers.slash_security(job.provider, SECURITY_SHARE)
        claimed = self._claim(id_, job, lost - slash.fees)
        return Charged(whole, slash, restored, security, claimed)

    def _move_to_escrow(self, id_: int, payer: AccountId, amount: int) -> bool:
        """Bring a part of the bond into the payer's hold for the job; gives False if it cannot be.

        It passes through free money, which may be frozen: then nobody gets it.
        """
        if not amount:
            return True
        depth = self.ctx.checkpoint()
        try:
            self.providers.pay_from_bond(id_, MoveCause.COMPENSATION, payer, amount)
            self.balances.hold(payer, HoldReason.ESCROW, amount)
        except CallError:
            self.ctx.revert(depth)
            return False
        self.ctx.commit()
        return True

    def _pay_slash(
        self,
        id_: int,
        job: Job,
        slash: SlashSplit,
        restored: int,
        challenger: AccountId | None,
    ) -> None:
        """Pay what of a slash does not go into the escrow."""
        pay = self.providers.pay_from_bond
        if slash.fees > restored:
            pay(id_, MoveCause.COMPENSATION, job.payer, slash.fees - restored)
        if slash.bounty and challenger is not None:
            pay(id_, MoveCause.BOUNTY, challenger, slash.bounty)
        if slash.insurance:
            pay(id_, MoveCause.COVER, INSURANCE, slash.insurance)
        if slash.burned:
            self.providers.burn_from_bond(id_, BurnCause.WORK_SLASH, slash.burned)

    def _claim(self, id_: int, job: Job, shortfall: int) -> int:
        """Claim from insurance what a payer lost in fees and no bond gave back."""
        amount = self.rewards.take_cover(id_, job.requester, shortfall, job.price)
        if amount:
            cause = (CLAIM_TAG + id_.to_bytes(4, "little")).ljust(32, b"\x00")
            self.insurance.claim(cause, job.payer, amount)
        return amount
