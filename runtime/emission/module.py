"""Emission: the only way by which money comes into being after genesis.

    first block of era e   phase? ─> budget B(e) ─> pools ─> treasury's share at once
    during era e           compute and data mint for proven work, within what burned fees allow
    first block of e + 1   staking mints what era e's validators and nominators earned
    first block of e + 2   era e is closed: what it did not mint it never will

The schedule is `runtime.emission.schedule`, from the era's number alone: blocks count, not days, so
a chain that stood still mints nothing for it. A chain without [emission] in its spec has none.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Final

from runtime import weights
from runtime.balances import TREASURY, Balances
from runtime.balances.nouns import OutflowsFrozen
from runtime.emission.nouns import (
    CAUSES,
    ERRORS,
    EVENTS,
    EmissionOff,
    EraClosed,
    EraClosedAlready,
    EraOpened,
    EraRecord,
    PhaseBegan,
    PoolExhausted,
    Split,
    SplitCoolingDown,
    SplitNotWhole,
    SplitOutOfBounds,
    SplitSet,
    SplitTooSteep,
    TreasuryShareChanged,
    apply_split,
    open_record,
)
from runtime.emission.reading import EmissionRules
from runtime.emission.schedule import (
    PHASES_MAX,
    Phase,
    Pool,
    compute_budget,
    phase_index,
    planned_starts,
    split_budget,
    validation_bound,
    work_bounds,
)
from runtime.emission.waiting import BREAKER, Breaker
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root
from runtime.frame.parameters import PERBILL, Parameter, Track, Unit
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import GRAINS_PER_GRIST, U32, AccountId, Balance, Flag, Weight
from runtime.vesting.module import Vesting

STAKE_YIELD_MAX: Final = Parameter(
    "emission.stake_yield_max", 150_000_000, low=20_000_000, high=250_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Most that validation mints in a year, as a part of the active stake.",
)  # fmt: skip
"""15 % a year: while little is staked the pool is not poured over a few."""

TREASURY_RUNWAY: Final = Parameter(
    "emission.treasury_runway", 250_000 * GRAINS_PER_GRIST, low=50_000 * GRAINS_PER_GRIST,
    high=1_000_000 * GRAINS_PER_GRIST, step=50_000 * GRAINS_PER_GRIST, unit=Unit.GRAINS,
    docs="Least monthly spending that the treasury's ceiling counts with.",
)  # fmt: skip
"""250,000 GRIST: a treasury that never spent anything still fills up for a start."""

RUNWAY_MONTHS: Final = 24
"""Months of spending above which the treasury's share is not minted."""

RESUME_SHARE: Final = 800_000_000
"""It is minted again when the treasury fell under 80 % of the ceiling, not at its edge."""

GATE_ERAS: Final = 28
"""A gate looks at the mean of 28 eras, and must be passed in 28 eras in a row."""

BURN_ERAS: Final = 7
"""Work may mint by the mean of the fees burned in the last seven eras."""

KEPT_ERAS: Final = 400
"""Eras whose records the state keeps: a year and a month. Receipts have all."""

SPLIT_STEP: Final = PERBILL // 50
"""A share moves by two points in an era at most."""

SPLIT_SPAN: Final = PERBILL // 10
"""No vote moves a share by more than ten points from what genesis gave it."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class Emission(Breaker, Module, index=25, events=EVENTS, errors=ERRORS):
    """How much new money each era may make, for whom, and how much it made."""

    parameters = (STAKE_YIELD_MAX, TREASURY_RUNWAY, BREAKER)

    rules: StorageValue[EmissionRules] = stored()
    phase_starts: StorageValue[Annotated[tuple[U32, ...], Most(PHASES_MAX)]] = stored(default=())
    gate_streak: StorageValue[U32] = stored(default=0)
    records: StorageMap[U32, EraRecord] = stored(hasher=TWOX)
    burned_job_fees: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    treasury_paused: StorageValue[Flag] = stored(default=False)
    splits: StorageMap[U32, Split] = stored(hasher=TWOX)
    split_changed: StorageValue[U32] = stored(default=0)
    is_enabled: StorageValue[Flag] = stored(default=False)

    def __init__(
        self, ctx: Context, numbers: Parameters, balances: Balances, vesting: Vesting
    ) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances
        self.vesting = vesting
        self.monthly_spend: Callable[[], int] = lambda: 0
        """What the treasury spends in a month by its own mean; the treasury puts itself here."""

    def genesis(self, *, rules: EmissionRules | None) -> None:
        """Begin with the rules of the spec, if it has any."""
        if rules is not None:
            self.rules = rules
            self.is_enabled = True

    # Calls

    @call(index=0, weight=weights.PARAMETER)
    def set_split(
        self,
        origin: Root,  # noqa: ARG002 - its type is the permission
        phase: U32,
        compute: U32,
        data: U32,
        validation: U32,
        treasury: U32,
    ) -> None:
        """Change how the budgets of a phase are split, from the next era on; only by vote.

        The shares are parts per 10^9 and sum to it; none moves by more than two points an era.
        """
        split = Split(compute, data, validation, treasury)
        self.judge_split(phase, split)
        self.splits[phase] = split
        self.split_changed = self.numbers.era() + 1
        self.emit(SplitSet(phase, compute, data, validation, treasury))

    def judge_split(self, phase: int, split: Split) -> Track:
        """Give the track of a change; raises what `set_split` would raise."""
        if not self.is_enabled or phase >= len(self.rules.plan.phases):
            raise EmissionOff
        shares = (split.compute, split.data, split.validation, split.treasury)
        first = self.rules.plan.phases[phase].shares
        now = self._phase(phase).shares
        if sum(shares) != PERBILL:
            raise SplitNotWhole
        if any(abs(new - old) > SPLIT_SPAN for new, old in zip(shares, first, strict=True)):
            raise SplitOutOfBounds
        if any(abs(new - old) > SPLIT_STEP for new, old in zip(shares, now, strict=True)):
            raise SplitTooSteep
        if self.split_changed > self.numbers.era():
            raise SplitCoolingDown
        return Track.PARAMETERS

    # Hooks

    def on_initialize(self) -> Weight:
        """Open the era that begins with this block, if one does."""
        if not self.is_enabled:
            return 0
        era, weight = self.numbers.era(), 0
        if self.ctx.block.height == self.numbers.era_start(era):
            self._advance(era)
            self._open(era)
            if era >= 2:
                self._close(era - 2)
            weight += weights.EMISSION_ERA
        if self.index not in self.ctx.frozen:
            weight += self._mint_waiting() * weights.TREASURY_STEP
        return weight

    def guards(self) -> Iterator[Check]:
        """Compare what was minted through here with what the books say, and with the rights."""
        if self.is_enabled:
            minted = sum(self.balances.minted[cause] for cause in CAUSES)
            yield Check("all new money came through a pool", minted == self.minted_total)
            owed = minted + self.waiting_total
            yield Check("the rights were never passed", owed <= self.rules.plan.rights)

    def invariants(self) -> Iterator[Check]:
        """Every era stayed inside its pools, and its budget is the schedule's."""
        if not self.is_enabled:
            return
        plan = self.rules.plan
        starts = planned_starts(plan, self.phase_starts)
        for era, record in self.records.items():
            yield Check(
                f"era {era} has the budget of the schedule",
                record.budget <= compute_budget(plan, starts, era),
            )
            inside = all(record.room(pool) >= 0 for pool in Pool)
            yield Check(f"era {era} minted no more than its pools", inside)
            whole = record.compute + record.data + record.validation + record.treasury
            yield Check(f"the pools of era {era} fit its budget", whole <= record.budget)
        waits = [entry.amount for entry in self.waiting.values()]
        yield Check("what waits is the total", sum(waits) == self.waiting_total)
        counted = sum(self.waiting_count(pool) for pool in Pool)
        yield Check("what waits is queued", len(waits) == counted and all(waits))
        for phase in range(len(plan.phases)):
            is_whole = sum(self._phase(phase).shares) == PERBILL
            yield Check(f"the shares of phase {phase} sum to one", is_whole)

    # Functions for other modules

    def validation_budget(self, era: int, active_stake: int) -> int:
        """Give what an era's validators and nominators may earn together, in grains.

        It is the same before and after they were paid; what was paid is in the record.
        """
        record = self.records.find(era)
        if record is None:
            return 0
        yield_max = STAKE_YIELD_MAX.read(self.ctx)
        return validation_bound(record.validation, active_stake, yield_max)

    def mint_validation(self, era: int, target: AccountId, amount: int) -> None:
        """Mint a reward of validation; raises PoolExhausted, EraClosedAlready and as `mint`.

        While this module is frozen it raises OutflowsFrozen, whoever asks.
        """
        self._mint(era, Pool.VALIDATION, target, amount)

    def mint_work(
        self, pool: Pool, target: AccountId, amount: int, *, era: int | None = None
    ) -> None:
        """Mint a reward for work that was proven in this era, or in `era`: this one or the last.

        Three quarters of it unlock over 180 eras. Where the breaker holds it back it is minted
        later, and nobody has to ask for it. Raises PoolExhausted, having changed nothing,
        when burned fees do not allow it, EraClosedAlready for older work, and as `mint`.
        """
        if pool not in (Pool.COMPUTE, Pool.DATA):
            raise PoolExhausted
        self._mint(self.numbers.era() if era is None else era, pool, target, amount)

    def work_room(self, pool: Pool, *, era: int | None = None) -> int:
        """Give what a pool of work may still mint of this era's budget, or of the era named."""
        record = self.records.find(self.numbers.era() if era is None else era)
        return 0 if record is None else record.room(pool)

    def reward_per_fee(self) -> int:
        """Give the largest multiple of a job's fee that work may mint now, parts per 10^9."""
        if not self.is_enabled:
            return 0
        return self._phase(len(self.phase_starts)).reward_per_fee

    def note_job_fee(self, burned: int) -> None:
        """Count the burned part of a settled job's protocol fee; other burns do not count."""
        self.burned_job_fees[self.numbers.era()] += burned

    def mean_burned(self, era: int, eras: int) -> int:
        """Give the mean of the job fees burned in the eras before one, rounded down."""
        first = max(era - eras, 0)
        return sum(self.burned_job_fees[past] for past in range(first, era)) // eras

    def rights_left(self) -> int:
        """Give the grains that emission may still mint in all time to come."""
        return self.rules.plan.rights - self.minted_total - self.waiting_total

    # Inside

    def _phase(self, index: int) -> Phase:
        return apply_split(self.rules.plan.phases[index], self.splits.find(index))

    def _advance(self, era: int) -> None:
        """Begin the next phase, when its gate or its time has come."""
        plan, starts = self.rules.plan, (0, *self.phase_starts)
        index = len(starts) - 1
        phase = plan.phases[index]
        if not phase.eras_max:
            return
        age = era - starts[-1]
        is_open = bool(phase.gate) and self.mean_burned(era, GATE_ERAS) >= phase.gate
        streak = self.gate_streak + 1 if is_open else 0
        is_by_gate = streak >= GATE_ERAS and age >= phase.gate_age
        if is_by_gate or age >= phase.eras_max:
            self.phase_starts = (*self.phase_starts, era)
            streak = 0
            self.emit(PhaseBegan(plan.phases[index + 1].name, era, is_by_gate))
        self.gate_streak = streak

    def _open(self, era: int) -> None:
        """Write what an era may mint; frozen outflows stop mints, never the schedule."""
        plan = self.rules.plan
        starts = (0, *self.phase_starts)
        budget = min(compute_budget(plan, starts, era), self._rights_for(era))
        phase = self._phase(len(starts) - 1)
        work = work_bounds(phase, split_budget(phase, budget), self.mean_burned(era, BURN_ERAS))
        record = open_record(phase, budget, work)
        self.records[era] = record
        before = compute_budget(plan, starts, max(era - 1, 0))
        self._set_limits(
            split_budget(phase, compute_budget(plan, starts, era)),
            split_budget(self._phase(phase_index(starts, max(era - 1, 0))), before),
        )
        self.emit(EraOpened(era, phase.name, budget, *work, record.validation, record.treasury))
        amount = min(record.treasury, self._treasury_room())
        if amount and self.index not in self.ctx.frozen:
            self._mint(era, Pool.TREASURY, TREASURY, amount)

    def _rights_for(self, era: int) -> int:
        """Give the rights that an era may have: staking mints the last one's share only after."""
        last = self.records.find(era - 1) if era else None
        unpaid = 0 if last is None else last.room(Pool.VALIDATION)
        return max(self.rights_left() - unpaid, 0)

    def _close(self, era: int) -> None:
        record = self.records.find(era)
        if record is not None:
            self.emit(EraClosed(era, record.minted, record.budget - record.minted))
        for old in (era - KEPT_ERAS, era - KEPT_ERAS - 1):
            if old >= 0:
                del self.records[old]
        if era >= GATE_ERAS:
            del self.burned_job_fees[era - GATE_ERAS]

    def _treasury_room(self) -> int:
        """Give how much the treasury may get; with its ceiling reached none until it fell to 80 %.

        Only money counts that it could spend: what genesis locked is no runway yet.
        """
        monthly = max(TREASURY_RUNWAY.read(self.ctx), self.monthly_spend())
        ceiling = RUNWAY_MONTHS * monthly
        funds = self.balances.spendable(TREASURY, keep_alive=False)
        threshold = ceiling * RESUME_SHARE // PERBILL if self.treasury_paused else ceiling
        is_paused = funds >= threshold
        if is_paused != self.treasury_paused:
            self.treasury_paused = is_paused
            self.emit(TreasuryShareChanged(is_paused))
        return 0 if is_paused else ceiling - funds

    def _mint(self, era: int, pool: Pool, target: AccountId, amount: int) -> None:
        if self.index in self.ctx.frozen:
            raise OutflowsFrozen
        now = self.numbers.era()
        record = self.records.find(era)
        if record is None or not now - 1 <= era <= now:
            raise EraClosedAlready
        if amount > record.room(pool):
            raise PoolExhausted
        self._mint_or_wait(era, pool, target, amount)
        self.records[era] = record.with_minted(pool, amount)
