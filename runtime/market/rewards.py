"""Rewards for work: new money for proven computation and for the data that it used.

    era e       a job is settled ─> note_job: its weight, and the most its fee lets it earn
    era e + 1   weigh the datasets of e ─> pay jobs, so many a block ─> pay datasets   (a cursor)

What a job of weight w may get of a pool is pool x w / all weights, and no provider gets more than
5 % of it, or 1/n while there are fewer than twenty. Beside that, provider and data of one job get
at most m x the part of its fee that nobody gets back. What is over is not minted: a cap is no
reason to give others more. An era takes no more jobs than the next one can pay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.arithmetic import split_exact
from runtime.emission.module import Emission
from runtime.emission.rays import RAY, ray_power
from runtime.emission.schedule import Pool
from runtime.frame.context import Context
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Module
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market import terms
from runtime.market.nouns import Job, JobSpec, Reason
from runtime.market.terms import FeeSplit
from runtime.market.waterfalls import (
    EVENTS,
    IDLE,
    DataRewarded,
    DataUse,
    Payout,
    Share,
    Stage,
    Tenure,
    TenureLost,
    UsesDatasets,
    UsesProviders,
    UsesWorkUnits,
    WorkNoted,
    WorkRewarded,
    WorkSkipped,
)
from runtime.parameters import Parameters
from runtime.primitives import U32, U128, AccountId, Balance, Weight

SHARE_MAX: Final = Parameter(
    "rewards.share_max", 50_000_000, low=20_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the pool of an era that one provider gets at most.",
)  # fmt: skip
"""5 %: twenty providers at least share what an era mints for work."""

PAID_PER_BLOCK: Final = 16
"""Steps of a payout in a block: one mints, locks three quarters, and writes two records."""

STEPS_PER_ENTRY: Final = 3
"""A use of a dataset is paid in one step; weighing and paying the dataset may be its own two."""

TENURE_ERAS: Final = 28
"""The mean of a provider's units forgets a 28th an era: a month of steady work is all of it."""

TENURE_FACTOR: Final = RAY - RAY // TENURE_ERAS
"""What an era without work leaves of the mean, as a ray."""

WEIGHT_STEP: Final[Weight] = 500 * weights.MICROSECOND
"""Minting a reward, locking most of it, and two records."""

WEIGHT_WEIGH: Final[Weight] = 1_500 * weights.MICROSECOND
"""Adding up what 128 requesters paid for a dataset."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class WorkRewards(Module, index=37, events=EVENTS):
    """What proven work and paid data earn of the new money of an era."""

    parameters = (SHARE_MAX,)

    shares: StorageMap[tuple[U32, U32], Share] = stored(hasher=(TWOX, TWOX))
    share_counts: StorageMap[U32, U32] = stored(default=0, hasher=TWOX)
    era_weights: StorageMap[U32, U128] = stored(default=0, hasher=TWOX)
    tenures: StorageMap[AccountId, Tenure] = stored(hasher=TWOX)
    data_lists: StorageMap[tuple[U32, U32], U32] = stored(hasher=(TWOX, TWOX))
    data_counts: StorageMap[U32, U32] = stored(default=0, hasher=TWOX)
    data_uses: StorageMap[tuple[U32, U32], DataUse] = stored(hasher=(TWOX, TWOX))
    payout: StorageValue[Payout] = stored(default=IDLE)
    premiums: StorageMap[AccountId, Balance] = stored(default=0, hasher=TWOX)
    claims: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    capped_total: StorageValue[Balance] = stored(default=0)
    rewarded_total: StorageValue[Balance] = stored(default=0)

    def __init__(
        self,
        ctx: Context,
        numbers: Parameters,
        emission: Emission,
        providers: UsesProviders,
        datasets: UsesDatasets,
        work_units: UsesWorkUnits,
    ) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.emission = emission
        self.providers = providers
        self.datasets = datasets
        self.work_units = work_units
        self.balances = emission.balances

    # Functions for settlement

    def note_job(
        self,
        id_: int,
        spec: JobSpec,
        job: Job,
        *,
        done: int,
        paid: int,
        uses: Sequence[tuple[int, int]],
        fee: FeeSplit,
    ) -> int:
        """Count `done` checkpoints of a job, which `paid` and a fee were charged for.

        `uses` are the datasets of these with what each was paid. Gives the most that new money may
        add, in grains: zero when nothing is minted, or this era is full.
        """
        entry = self.work_units.entry(job.table, spec.class_id)
        multiple = self.multiple(job)
        if entry is None or not multiple:
            return 0
        steps = spec.steps * done // spec.checkpoints
        metered = self.work_units.metered_units(spec.program, spec.params, steps, entry, job.table)
        reference = self.work_units.reference(spec.class_id)
        base = 0 if metered is None else reference * metered
        declared = spec.units * done // spec.checkpoints
        # What nobody paid for does not count: it would take from others what it costs nothing
        units = min(declared if metered is None else metered, paid // reference)
        cap = terms.emission_cap(fee, multiple, price=paid, base=base)
        parts = (paid, *(amount for _, amount in uses))
        if not cap or not sum(parts):
            return 0
        caps = split_exact(cap, parts)
        if self._room() < sum(1 for part in caps if part):
            self.emit(WorkSkipped(self.numbers.era(), id_))
            return 0
        self._note_work(id_, job.provider, units, entry.weight, caps)
        self._note_data(id_, job.provider, uses, caps[1:])
        self.capped_total += cap
        return cap

    def multiple(self, job: Job) -> int:
        """Give how much of its irrecoverable fee a job may earn, parts per 10^9.

        Above 0.8 only when the result was audited or replicated, and as far as the phase and the
        job itself allow it; the program has to be metered, too, which `note_job` looks at.
        """
        most = min(job.emission, self.emission.reward_per_fee())
        return most if is_checked(job) else min(most, terms.RECYCLED_MULTIPLE)

    def note_slashed(self, provider: AccountId) -> None:
        """Forget the steady work of a provider that lost a bond."""
        tenure = self.tenures.find(provider)
        if tenure is not None and tenure.mean:
            self.tenures[provider] = replace(tenure, mean=0)
            self.emit(TenureLost(provider))

    def note_premium(self, requester: AccountId, amount: int) -> None:
        """Remember a premium: insurance owes a requester no more than fifty times all of them."""
        if amount:
            self.premiums[requester] += amount

    def take_cover(self, id_: int, requester: AccountId, shortfall: int, price: int) -> int:
        """Give what insurance still owes for a job that lost so much, and count it as claimed."""
        before, premiums = self.claims[id_], self.premiums[requester]
        amount = max(terms.covered_part(before + shortfall, price, premiums) - before, 0)
        if amount:
            self.claims[id_] = before + amount
        return amount

    # Hooks

    def on_initialize(self) -> Weight:
        """Pay for the work of the last era, some jobs a block."""
        if not self.emission.is_enabled:
            return 0
        era = self.numbers.era()
        if era and self.ctx.block.height == self.numbers.era_start(era):
            self._begin(era - 1)
        steps = weight = 0
        while steps < PAID_PER_BLOCK and self.payout.stage is not Stage.DONE:
            weight += WEIGHT_WEIGH if self.payout.stage is Stage.WEIGH else WEIGHT_STEP
            self._step()
            steps += 1
        return weight

    def guards(self) -> Iterator[Check]:
        """Compare what was minted for work with what the fees of jobs allowed."""
        is_inside = self.rewarded_total <= self.capped_total
        yield Check("no more was minted for jobs than their fees allow", is_inside)

    def invariants(self) -> Iterator[Check]:
        """Every share belongs to an era that is not paid yet, and weights sum."""
        now, payout = self.numbers.era(), self.payout
        weight: dict[int, int] = {}
        fees: dict[tuple[int, int], int] = {}
        for (era, number), share in self.shares.items():
            is_due = era == now or (era == payout.era and payout.stage is not Stage.DONE)
            yield Check(f"share {number} of era {era} will be paid", is_due)
            yield Check(f"share {number} of era {era} counts", number < self.share_counts[era])
            if share.dataset:
                key = era, share.dataset - 1
                fees[key] = fees.get(key, 0) + share.weight
            else:
                weight[era] = weight.get(era, 0) + share.weight
        is_whole = self.era_weights[now] == weight.get(now, 0)
        yield Check("the weights of the running era sum", is_whole)
        for (era, dataset), use in self.data_uses.items():
            if era == now:
                is_equal = fees.get((era, dataset), 0) == use.fees
                yield Check(f"the fees of dataset {dataset} sum", is_equal)
        for era, count in self.data_counts.items():
            is_listed = all(self.data_lists.find((era, n)) is not None for n in range(count))
            is_at_work = era == payout.era and payout.stage is Stage.DATA
            yield Check(f"the datasets of era {era} are listed", is_listed or is_at_work)

    # Inside: what an era has

    def _room(self) -> int:
        """Give how many entries this era still takes."""
        blocks = max(self.numbers.era_blocks - 1, 1)
        most = PAID_PER_BLOCK * blocks // STEPS_PER_ENTRY
        return most - self.share_counts[self.numbers.era()]

    def _note_work(
        self, id_: int, provider: AccountId, units: int, class_weight: int, caps: Sequence[int]
    ) -> None:
        """Write the share of a job's provider; steady work counts half as much again."""
        era = self.numbers.era()
        counted = units * class_weight
        tenure = self._tenure(provider, era)
        weight = counted + min(counted, max(tenure.mean - tenure.units, 0)) // 2
        if weight and caps[0]:
            self.tenures[provider] = replace(
                tenure, units=tenure.units + counted, weight=tenure.weight + weight
            )
            self.era_weights[era] += weight
            self._add(era, Share(id_, provider, 0, weight, caps[0]))
        self.emit(WorkNoted(era, id_, provider, units, weight, caps[0], sum(caps[1:])))

    def _note_data(
        self,
        id_: int,
        provider: AccountId,
        uses: Sequence[tuple[int, int]],
        caps: Sequence[int],
    ) -> None:
        """Write the shares of a job's datasets."""
        era = self.numbers.era()
        for (dataset, fee), cap in zip(uses, caps, strict=True):
            if not cap:
                continue
            use = self.data_uses.find((era, dataset))
            if use is None:
                use = DataUse(0, 0, 0)
                number = self.data_counts[era]
                self.data_lists[era, number] = dataset
                self.data_counts[era] = number + 1
            self.data_uses[era, dataset] = replace(use, fees=use.fees + fee)
            self._add(era, Share(id_, provider, dataset + 1, fee, cap))

    def _add(self, era: int, share: Share) -> None:
        number = self.share_counts[era]
        self.shares[era, number] = share
        self.share_counts[era] = number + 1

    def _tenure(self, provider: AccountId, era: int) -> Tenure:
        """Give a provider's record as it stands in an era, the eras since its last work forgotten.

        The mean takes in the last era of work and then loses a 28th for each era after it.
        """
        last = self.tenures.find(provider)
        if last is None:
            return Tenure(era, 0, 0, 0, 0, 0)
        if last.era == era:
            return last
        mean = last.mean - last.mean // TENURE_ERAS + last.units // TENURE_ERAS
        mean = mean * ray_power(TENURE_FACTOR, era - last.era - 1) // RAY
        return Tenure(era, 0, 0, last.era, last.weight, mean)

    def _weight_in(self, provider: AccountId, era: int) -> int:
        """Give all weight of a provider in an era that is over."""
        tenure = self.tenures.find(provider)
        if tenure is None:
            return 0
        return tenure.weight if tenure.era == era else tenure.before_weight

    # Inside: paying an era

    def _begin(self, era: int) -> None:
        """Begin to pay an era: its pools and the largest share are fixed."""
        if not self.share_counts[era]:
            del self.era_weights[era]
            return
        share_max = max(SHARE_MAX.read(self.ctx), PERBILL // max(self.providers.active_count(), 1))
        self.payout = Payout(
            era=era,
            stage=Stage.WEIGH,
            cursor=0,
            compute=self.emission.work_room(Pool.COMPUTE, era=era),
            data=self.emission.work_room(Pool.DATA, era=era),
            share_max=share_max,
            data_weight=0,
        )

    def _step(self) -> None:
        """Do one step of the payout."""
        payout = self.payout
        if payout.stage is Stage.WEIGH:
            self._weigh(payout)
        elif payout.stage is Stage.PAY:
            self._pay(payout)
        else:
            self._pay_data(payout)

    def _weigh(self, payout: Payout) -> None:
        era, number = payout.era, payout.cursor
        if number == self.data_counts[era]:
            self.payout = replace(payout, stage=Stage.PAY, cursor=0)
            return
        dataset = self.data_lists[era, number]
        weight = self.datasets.weight_of(era, dataset)
        self.data_uses[era, dataset] = replace(self.data_uses[era, dataset], weight=weight)
        self.payout = replace(payout, cursor=number + 1, data_weight=payout.data_weight + weight)

    def _pay(self, payout: Payout) -> None:
        era, number = payout.era, payout.cursor
        if number == self.share_counts[era]:
            del self.share_counts[era]
            del self.era_weights[era]
            self.payout = replace(payout, stage=Stage.DATA, cursor=0)
            return
        share = self.shares[era, number]
        del self.shares[era, number]
        self.payout = replace(payout, cursor=number + 1)
        if share.dataset:
            self._pay_use(payout, share)
        else:
            self._pay_work(payout, share)

    def _pay_work(self, payout: Payout, share: Share) -> None:
        """Mint what a job's provider gets: its part, the provider's cap, the job's cap."""
        era, weight = payout.era, share.weight
        part = payout.compute * weight // self.era_weights[era]
        whole = self._weight_in(share.provider, era)
        most = payout.compute * payout.share_max * weight // (PERBILL * whole)
        part = min(part, most)
        amount = min(part, share.cap)
        target = self.providers.owner(share.provider)
        is_paid = self._mint(Pool.COMPUTE, target, amount, era)
        self.emit(WorkRewarded(era, share.job, share.provider, part, amount, is_paid))

    def _pay_use(self, payout: Payout, share: Share) -> None:
        """Book what a use of a dataset gets; it is minted for all uses together."""
        era, dataset = payout.era, share.dataset - 1
        use = self.data_uses[era, dataset]
        if not payout.data_weight:
            return
        above = payout.data * use.weight * share.weight
        part = above // (payout.data_weight * use.fees)
        self.data_uses[era, dataset] = replace(use, owed=use.owed + min(part, share.cap))

    def _pay_data(self, payout: Payout) -> None:
        """Mint what a dataset earned, to its owners."""
        era, number = payout.era, payout.cursor
        if number == self.data_counts[era]:
            del self.data_counts[era]
            self.payout = replace(payout, stage=Stage.DONE, cursor=0)
            return
        self.payout = replace(payout, cursor=number + 1)
        dataset = self.data_lists[era, number]
        use = self.data_uses[era, dataset]
        del self.data_lists[era, number]
        del self.data_uses[era, dataset]
        paid = 0
        if use.owed:
            tree = self.datasets.tree_of(dataset)
            parts = split_exact(use.owed, [entry.share for entry in tree])
            for entry, part in zip(tree, parts, strict=True):
                paid += part if self._mint(Pool.DATA, entry.account, part, era) else 0
        self.emit(DataRewarded(era, dataset, use.weight, use.owed, paid))

    def _mint(self, pool: Pool, target: AccountId, amount: int, era: int) -> bool:
        """Mint a reward, unless it is frozen or the account cannot take so little."""
        if not amount:
            return True
        depth = self.ctx.checkpoint()
        try:
            self.emission.mint_work(pool, target, amount, era=era)
        except CallError:
            self.ctx.revert(depth)
            return False
        self.ctx.commit()
        self.rewarded_total += amount
        return True


def is_checked(job: Job) -> bool:
    """Tell whether others did the work of a job again: verifiers, or equal jobs that agree."""
    return job.reason is Reason.AUDIT_PASSED
