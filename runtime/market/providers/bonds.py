"""Work bonds and tasks: what stands behind each job, and who is busy with it; a part of Providers.

    lock_bond -> WorkBond: own part held by the provider, delegated part locked in its pool
    move_bond -> a share of it stands behind another job, for a part of a run
    pay_from_bond, burn_from_bond: own part first
    release_bond: the rest is free; of the delegated part earlier slashes are paid first

A grain is in one bond or in none: the sum of own parts is what WORK_BOND holds, the sum of
delegated parts is what pools have locked.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.balances import (
    DELEGATION_POT,
    EXISTENTIAL_DEPOSIT,
    TREASURY,
    BurnCause,
    HoldReason,
    MoveCause,
)
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.nouns import JobSpec
from runtime.market.providers import pools, rules
from runtime.market.providers.delegations import Delegations
from runtime.market.providers.nouns import (
    NO_SLOT,
    BondLocked,
    BondMoved,
    BondReleased,
    BondTaken,
    DebtPaid,
    Ledger,
    Slot,
    Task,
    WorkBond,
)
from runtime.market.providers.refusals import (
    BondTakenAlready,
    BondTooSmall,
    JobTaken,
    Leaving,
    NoCapacity,
    NoFreeBond,
    TierTooLow,
    ValueTooLarge,
    WrongClass,
)
from runtime.market.reputation import BOND_RATIO_MAX
from runtime.primitives import U16, U32, AccountId, Balance
from runtime.system import NO_ACCOUNT

if TYPE_CHECKING:
    from runtime.market.reputation import Reputation


class WorkBonds(Delegations):
    """What stands behind which job, and what a provider has room for."""

    reputation: "Reputation"

    slots: StorageMap[tuple[AccountId, U16], Slot] = stored(
        default=NO_SLOT, hasher=(Hasher.BLAKE2_128_CONCAT, Hasher.TWOX_64_CONCAT)
    )
    work_bonds: StorageMap[U32, WorkBond] = stored(hasher=Hasher.TWOX_64_CONCAT)
    tasks: StorageMap[U32, Task] = stored(hasher=Hasher.TWOX_64_CONCAT)
    bonded: StorageValue[Balance] = stored(default=0)

    # Functions for other modules: who may take what

    def offer(self, who: AccountId, class_id: int) -> int | None:
        """Give the grains per unit for which a provider takes any job of a class, or None."""
        per_unit = self.slots[who, class_id].per_unit
        profile = self.profiles.find(who) if per_unit else None
        return None if profile is None or profile.leaving else per_unit

    def check_can_take(self, who: AccountId, spec: JobSpec, price: int) -> None:
        """Raise why a provider cannot take a job for a price in grains, if so.

        NotRegistered, Leaving, WrongClass, NoCapacity, TierTooLow or ValueTooLarge. Whether it has
        the bond is seen by `lock_bond`.
        """
        profile, ledger = self._profile(who), self.ledgers[who]
        if profile.leaving:
            raise Leaving
        slot = self.slots[who, spec.class_id]
        if not slot.capacity:
            raise WrongClass
        if slot.running >= slot.capacity:
            raise NoCapacity
        if self._tier(who, ledger) < max(spec.min_tier, 1):
            raise TierTooLow
        if price > self._security(who, ledger) * rules.VALUE_LIMIT.read(self.ctx):
            raise ValueTooLarge

    def required_bond(self, who: AccountId, price: int) -> int:
        """Give the grains that a provider must put behind a job of this price, rounded up.

        What reputation takes off three prices is at most twenty times the score, over all open
        jobs together; beyond that the bond is three prices.
        """
        asked = -(-price * self.reputation.bond_ratio(who) // PERBILL)
        return max(asked, _whole_bond(price) - self._discount_room(who))

    def free_bond(self, who: AccountId) -> int:
        """Give the most grains that could be locked behind a job now; half of them are own."""
        own = self._own_free(who)
        return own + min(own, pools.lockable(self.pools[who]))

    # Functions for other modules: bonds

    def bond(self, job: int) -> WorkBond | None:
        """Give what stands behind a job, or None."""
        return self.work_bonds.find(job)

    def lock_bond(self, who: AccountId, job: int, amount: int, *, price: int = 0) -> int:
        """Put grains behind a job, or more behind one that has some; gives the own part of it.

        Half or more is the provider's own free money, the rest its delegators'. It is more than
        `amount` where the bonds of open jobs would be short of three prices by more than the score
        allows. Without a `price` it is the one for which `bond_ratio` asks the amount. Raises
        NotRegistered, also for the retired, NoFreeBond or BondTakenAlready.
        """
        self._profile(who)
        before, ledger = self.work_bonds.find(job), self._met(who)
        if before is not None and before.provider != who:
            raise BondTakenAlready
        whole = _whole_bond(price or amount * PERBILL // self.reputation.bond_ratio(who))
        if amount < whole:
            amount = max(amount, whole - self._discount_room(who))
        pool = self.pools[who]
        delegated = min(amount // 2, pools.lockable(pool))
        own, short = amount - delegated, max(whole - amount, 0)
        if own > self._own_free(who):
            raise NoFreeBond
        had = before or WorkBond(who, 0, 0, 0)
        self.work_bonds[job] = WorkBond(
            who, had.own + own, had.delegated + delegated, had.discount + short
        )
        self.ledgers[who] = replace(
            ledger,
            bonds=ledger.bonds + (before is None),
            discounts=ledger.discounts + short,
        )
        self.balances.hold(who, HoldReason.WORK_BOND, own)
        self.bonded += own
        if delegated:
            self.pools[who] = pools.unlock(pool, -delegated)
        self.emit(BondLocked(job, who, own, delegated))
        return own

    def move_bond(self, job: int, part: int, above: int, below: int) -> int:
        """Let `above` of `below` parts of a bond stand behind another job; gives its own part.

        Own money is rounded up for that other job, all else down. Raises BondTooSmall without a
        bond, and BondTakenAlready when the other job has one.
        """
        found = self.work_bonds.find(job)
        if found is None:
            raise BondTooSmall
        if part in self.work_bonds:
            raise BondTakenAlready
        own = -(-found.own * above // below)
        delegated, discount = found.delegated * above // below, found.discount * above // below
        self.work_bonds[part] = WorkBond(found.provider, own, delegated, discount)
        self.work_bonds[job] = WorkBond(
            found.provider, found.own - own, found.delegated - delegated, found.discount - discount
        )
        ledger = self._met(found.provider)
        self.ledgers[found.provider] = replace(ledger, bonds=ledger.bonds + 1)
        self.emit(BondMoved(job, part, own, delegated))
        return own

    def release_bond(self, job: int) -> None:
        """Free what is left behind a job; nothing happens where nothing is."""
        found = self.work_bonds.find(job)
        if found is None:
            return
        del self.work_bonds[job]
        who, ledger = found.provider, self._met(found.provider)
        self.ledgers[who] = replace(
            ledger, bonds=ledger.bonds - 1, discounts=ledger.discounts - found.discount
        )
        if found.own:
            self.balances.release(who, HoldReason.WORK_BOND, found.own)
            self.bonded -= found.own
        if found.delegated:
            self.pools[who] = pools.unlock(self.pools[who], found.delegated)
            paid = self._collect_debt(who)
            if paid:
                self.emit(DebtPaid(who, paid))
        self.emit(BondReleased(job, who, found.own, found.delegated))

    def pay_from_bond(self, job: int, cause: MoveCause, target: AccountId, amount: int) -> None:
        """Pay grains of a work bond, own ones first; raises BondTooSmall.

        A target that is too poor to exist is not paid: then the treasury is.
        """
        own, delegated, provider = self._take(job, amount)
        self.balances.pay_held(cause, provider, HoldReason.WORK_BOND, target, own)
        if delegated:
            record = self.ctx.state.account(target) or NO_ACCOUNT
            is_there = bool(record[2]) or delegated >= EXISTENTIAL_DEPOSIT
            paid = target if is_there else TREASURY
            self.balances.move(cause, DELEGATION_POT, paid, delegated, keep_alive=False)
        self.emit(BondTaken(job, own, delegated, target))

    def burn_from_bond(self, job: int, cause: BurnCause, amount: int) -> None:
        """Burn grains of a work bond, own ones first; raises BondTooSmall."""
        own, delegated, provider = self._take(job, amount)
        self.balances.burn_held(cause, provider, HoldReason.WORK_BOND, own)
        if delegated:
            self.balances.destroy(cause, DELEGATION_POT, delegated, keep_alive=False)
        self.emit(BondTaken(job, own, delegated, None))

    # Functions for other modules: tasks

    def note_taken(self, who: AccountId, job: int, class_id: int, value: int = 0) -> None:
        """Give a job to a provider: a device is busy, its value is open.

        Without a `value` in grains it is the price that the work bond was locked for. Raises
        NotRegistered or JobTaken.
        """
        if job in self.tasks:
            raise JobTaken
        ledger = self._met(who)
        found = self.work_bonds.find(job)
        worth = value or (0 if found is None else _price_of(found))
        self.tasks[job] = Task(who, class_id, worth, is_running=True)
        self.all_open += worth
        slot = self.slots[who, class_id]
        self.slots[who, class_id] = replace(slot, running=slot.running + 1)
        self.ledgers[who] = replace(
            ledger,
            taken=ledger.taken + 1,
            running=ledger.running + 1,
            open_value=ledger.open_value + worth,
        )

    def note_completed(self, job: int) -> None:
        """Free the device of a job whose work is done, while its result can still be disputed."""
        task = self.tasks.find(job)
        if task is None or not task.is_running:
            return
        self.tasks[job] = replace(task, is_running=False)
        ledger = self._met(task.provider)
        self.ledgers[task.provider] = self._idle(task, ledger)

    def note_ended(
        self, who: AccountId, job: int, class_id: int, value: int, *, is_good: bool | None
    ) -> None:
        """Take a job from a provider: its device and its value are free, and it counts.

        A good job counts for the tier from a `value` of providers.job_value_min on, a bad one
        always, and one that is neither, because it never began, not at all. Nothing happens for a
        job that the provider does not have.
        """
        task = self.tasks.find(job)
        if task is None or task.provider != who or task.class_id != class_id:
            return
        del self.tasks[job]
        self._count_ended(who, task.value)
        ledger = self._met(who)
        if task.is_running:
            ledger = self._idle(task, ledger)
        ledger = replace(ledger, taken=ledger.taken - 1, open_value=ledger.open_value - task.value)
        if is_good is not None and (not is_good or value >= rules.JOB_VALUE_MIN.read(self.ctx)):
            ledger = _with_job(ledger, is_good=is_good)
        self.ledgers[who] = ledger

    # Inside

    def _own_free(self, who: AccountId) -> int:
        """Give the free grains of an account that a work bond may hold."""
        record = self.ctx.state.account(who) or NO_ACCOUNT
        frozen = record[6]
        if frozen:
            frozen -= self.balances.held(who, HoldReason.STAKE)
        return max(record[4] - max(EXISTENTIAL_DEPOSIT, frozen), 0)

    def _take(self, job: int, amount: int) -> tuple[int, int, AccountId]:
        """Take grains off a work bond: own, delegated, whose; raises BondTooSmall."""
        found = self.work_bonds.find(job)
        if found is None or amount > found.total:
            raise BondTooSmall
        own = min(found.own, amount)
        delegated = amount - own
        self.work_bonds[job] = replace(
            found, own=found.own - own, delegated=found.delegated - delegated
        )
        self.bonded -= own
        if delegated:
            pool = self.pools[found.provider]
            self._put_pool(found.provider, pools.lose(pool, delegated))
        return own, delegated, found.provider

    def _idle(self, task: Task, ledger: Ledger) -> Ledger:
        """Free the device of a task and give the ledger with one fewer that runs."""
        who, class_id = task.provider, task.class_id
        slot = self.slots[who, class_id]
        self.slots[who, class_id] = replace(slot, running=slot.running - 1)
        return replace(ledger, running=ledger.running - 1)

    def _discount_room(self, who: AccountId) -> int:
        """Give by how many grains more the bonds of a provider may be short of three prices."""
        ledger = self.ledgers.find(who)
        used = 0 if ledger is None else ledger.discounts
        most = self.reputation.score(who) * rules.DISCOUNT_MULTIPLE.read(self.ctx)
        return max(most - used, 0)


def _whole_bond(price: int) -> int:
    """Give the bond without any discount: three prices."""
    return price * BOND_RATIO_MAX // PERBILL


def _price_of(bond: WorkBond) -> int:
    """Give the price that a bond was locked for."""
    return (bond.total + bond.discount) * PERBILL // BOND_RATIO_MAX


def _with_job(ledger: Ledger, *, is_good: bool) -> Ledger:
    """Give the ledger with a job that ended; old ones are halved away."""
    good, jobs = ledger.recent_good + is_good, ledger.recent_jobs + 1
    if jobs >= rules.RECENT_JOBS_MAX:
        good, jobs = good // 2, jobs // 2
    return replace(ledger, good=ledger.good + is_good, recent_good=good, recent_jobs=jobs)
