"""Uses: who paid how much for which dataset, and what that weighs for emission; part of Datasets.

    weight = sum over requesters of min(what it paid, a tenth of the era's fees of the dataset)

It is zero unless five requesters that had stake long enough paid, or while a duplicate challenge is
open, and half for a dataset that nobody attested. Stake counts that was there whenever we looked,
and we looked more often than stake unbonds: then no grain of it can have left in between.
"""

from dataclasses import replace
from typing import Final

from runtime.arithmetic import split_exact
from runtime.balances import HoldReason, MoveCause
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.datasets.attesters import Attesters
from runtime.market.datasets.curation import Curators
from runtime.market.datasets.events import (
    DatasetNotActive,
    DatasetNotProven,
    DatasetRevoked,
    Used,
)
from runtime.market.datasets.nouns import (
    CURATION_SHARE,
    FEE_CAP,
    LOG_ERAS,
    LOG_MAX,
    NO_USE,
    REQUESTER_ERAS,
    REQUESTER_STAKE,
    REQUESTERS_MAX,
    REQUESTERS_MIN,
    UNATTESTED,
    DatasetState,
    EraUse,
    JobUse,
    PriceList,
    Standing,
    Use,
)
from runtime.market.datasets.possession import is_answering
from runtime.market.datasets.registry import TWOX
from runtime.market.datasets.royalties import split_fee
from runtime.primitives import U16, U32, AccountId

PRUNED_PER_BLOCK: Final = 64
"""Entries of old eras that a block forgets."""


class Uses(Curators, Attesters):
    """What jobs paid for datasets, and to whom."""

    era_totals: StorageMap[tuple[U32, U32], EraUse] = stored(default=NO_USE, hasher=(TWOX, TWOX))
    paid_by: StorageMap[tuple[U32, U32, AccountId], Use] = stored(
        hasher=(TWOX, TWOX, Hasher.BLAKE2_128_CONCAT)
    )
    job_log: StorageMap[tuple[U32, U32, U16], JobUse] = stored(hasher=(TWOX, TWOX, TWOX))
    forgotten_eras: StorageValue[U32] = stored(default=0)
    standings: StorageMap[AccountId, Standing] = stored()
    agreed: StorageMap[U32, PriceList] = stored(hasher=TWOX)

    # Functions for jobs

    def quote(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Give the grains that a use of each dataset costs a new job.

        Raises UnknownDataset, DatasetRevoked, DatasetNotActive, or DatasetNotProven for one that
        did not answer the last challenge.
        """
        clock, height = self.clock(), self.ctx.block.height
        prices = []
        for number in ids:
            dataset = self.dataset(number)
            if dataset.state is DatasetState.REVOKED:
                raise DatasetRevoked
            if dataset.state is not DatasetState.ACTIVE:
                raise DatasetNotActive
            if not is_answering(dataset, clock, height):
                raise DatasetNotProven
            prices.append(dataset.price)
        return tuple(prices)

    def agree(self, job: int, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Give what a use of each costs, as `quote` does, and hold the job to it.

        Whoever changes a price later changes neither what the job pays nor how it is split.
        """
        prices = self.quote(ids)
        if len(prices) > 1:
            self.agreed[job] = prices
        return prices

    def split_agreed(
        self, job: int, ids: tuple[int, ...], amount: int
    ) -> tuple[tuple[int, int], ...]:
        """Split what a job owes its datasets by the prices that were agreed, exactly.

        A job that agreed on nothing, or on nothing but free data, pays all alike.
        """
        if not ids:
            return ()
        prices = self.agreed.find(job) or (1,) * len(ids)
        shares = prices if any(prices) else (1,) * len(ids)
        return tuple(zip(ids, split_exact(amount, shares), strict=True))

    def share_agreed(self, job: int, part: int) -> None:
        """Let a part of a job's run pay by the prices that the job agreed on."""
        prices = self.agreed.find(job)
        if prices is not None:
            self.agreed[part] = prices

    def drop_agreed(self, job: int) -> None:
        """Forget what a job agreed on; it pays for nothing any more."""
        del self.agreed[job]

    def pay_use(
        self, number: int, job: int, requester: AccountId, payer: AccountId, amount: int
    ) -> None:
        """Pay for a use out of the payer's escrow, and note it for emission and the log.

        Curators have their part first, rounded down, the royalty tree the rest, exactly; what an
        account is too poor to take goes to the treasury. A dataset that ended is paid as before.
        Raises UnknownDataset, or HoldTooSmall when the escrow has less.
        """
        dataset = self.dataset(number)
        part = amount * CURATION_SHARE.read(self.ctx) // PERBILL
        curators = self.feed_curators(number, payer, part)
        for target, share in split_fee(amount - curators, dataset.royalties, dataset.owner):
            self.balances.pay_held(MoveCause.ROYALTY, payer, HoldReason.ESCROW, target, share)
        is_standing = self.look_at_stake(requester) and requester != dataset.owner
        self._note(number, JobUse(job, requester, amount), is_standing=is_standing)
        self.emit(Used(number, job, requester, amount, curators))

    # Functions for emission

    def era_uses(self, era: int, number: int) -> tuple[tuple[AccountId, int], ...]:
        """Give who paid how much for a dataset in an era: 128 requesters at most."""
        rows = self.paid_by.walk(era, number, limit=REQUESTERS_MAX)
        return tuple((key[2], use.fee) for key, use in rows)

    def weight_of(self, era: int, number: int) -> int:
        """Give what a dataset weighs for the emission of an era, in grains, rounded down."""
        total, dataset = self.era_totals[era, number], self.datasets.find(number)
        if total.standing < REQUESTERS_MIN or dataset is None:
            return 0
        if dataset.cases or dataset.state is DatasetState.DUPLICATE:
            return 0
        cap = total.fees * FEE_CAP // PERBILL
        weight = sum(min(fee, cap) for _, fee in self.era_uses(era, number))
        return weight if self.is_attested(number) else weight * UNATTESTED // PERBILL

    def look_at_stake(self, who: AccountId) -> bool:
        """Whether an account has had the stake that counts for long enough; notes that we looked.

        Two looks that are less than the unbonding apart prove what was between: none of the stake
        of the first can have left before the second.
        """
        if not self.staking.is_enabled:
            return False
        if self.staking.active_stake(who) < REQUESTER_STAKE.read(self.ctx):
            del self.standings[who]
            return False
        era, before = self.numbers.era(), self.standings.find(who)
        since = era
        if before is not None and era - before.seen < self.staking.params.unbonding_eras:
            since = before.since
        if before != Standing(since, era):
            self.standings[who] = Standing(since, era)
        return era - since >= REQUESTER_ERAS.read(self.ctx)

    def forget_uses(self) -> int:
        """Forget some uses of eras that are too old; gives how many entries."""
        era = self.forgotten_eras
        if era + LOG_ERAS >= self.numbers.era():
            return 0
        done = 0
        for entries in (self.era_totals, self.paid_by, self.job_log):
            done += entries.clear(era, limit=PRUNED_PER_BLOCK - done)
            if done == PRUNED_PER_BLOCK:
                return done
        self.forgotten_eras = era + 1
        return done

    def _note(self, number: int, line: JobUse, *, is_standing: bool) -> None:
        era = self.numbers.era()
        total, key = self.era_totals[era, number], (era, number, line.requester)
        use = self.paid_by.find(key)
        is_new = use is None and total.requesters < REQUESTERS_MAX
        before = use or Use(0, 0, is_standing=False)
        is_counted = is_standing and (is_new or (use is not None and not before.is_standing))
        if use is not None or is_new:
            self.paid_by[key] = Use(
                before.fee + line.fee,
                before.jobs + 1,
                is_standing=before.is_standing or is_standing,
            )
        if total.jobs < LOG_MAX:
            self.job_log[era, number, total.jobs] = line
        self.era_totals[era, number] = replace(
            total,
            fees=total.fees + line.fee,
            jobs=total.jobs + 1,
            requesters=total.requesters + is_new,
            standing=total.standing + is_counted,
        )
