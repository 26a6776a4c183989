"""Emission, proven: every grain that came into being was inside its era's budget and its pool.

    schedule     computed here from the chain spec, era by era, and compared with what eras opened
    PoolMinted   each mint names era and pool; its sum is held against what the pool was allowed
    MintWaits    what a breaker holds back counts for its era at once, and is minted later, once
    causes       what the totals of a header say was minted for a cause is what its pool minted

After a genesis nothing else may make money. A chain without [emission] mints for staking: as much
as the events of minting say, and at most what staking says it paid, for what rounding left in its
pot is paid out first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chain.audit.findings import Mismatch
from chain.audit.replay import Progress, Replay, ReplayOptions, ReplayReport, replay
from chain.audit.source import Source
from chain.events import DecodedEvent, EventReader
from chain.storage.archive import ArchivedBlock
from runtime.balances import BurnCause, MintCause
from runtime.emission.module import (
    BURN_ERAS,
    GATE_ERAS,
    SPLIT_SPAN,
    SPLIT_STEP,
    STAKE_YIELD_MAX,
)
from runtime.emission.nouns import CAUSES
from runtime.emission.reading import EmissionRules
from runtime.emission.schedule import (
    Phase,
    PhaseName,
    Plan,
    Pool,
    Pools,
    compute_budget,
    split_budget,
    validation_bound,
    work_bounds,
)
from runtime.frame.parameters import PERBILL
from runtime.totals import EconomicTotals, decode_totals
from runtime.versions import VersionTable

MODULE: Final = "Emission"

TAKEN: Final = (BurnCause.WORK_SLASH, BurnCause.LOST_DEPOSIT)
"""Causes that calls and hooks of many modules burn for, each with a story of its own."""


@dataclass(slots=True)
class EraAccount:
    """What an era might mint and did, in grains; `cancelled` is known when it is closed."""

    era: int
    phase: PhaseName
    budget: int
    allowed: Pools
    minted: dict[Pool, int] = field(default_factory=lambda: dict.fromkeys(Pool, 0))
    cancelled: int | None = None

    @property
    def total(self) -> int:
        """Grains minted from all pools."""
        return sum(self.minted.values())


@dataclass(slots=True)
class EmissionReport:
    """What was proven of each era, and the replay that proved it."""

    replay: ReplayReport
    rules: EmissionRules | None
    eras: list[EraAccount] = field(default_factory=list)

    @property
    def minted(self) -> int:
        """Grains minted since genesis."""
        return sum(account.total for account in self.eras)

    @property
    def what(self) -> str:
        """The first fault as a sentence, empty when there is none."""
        finding = self.replay.finding
        return "" if finding is None else f"block {finding.height}: {finding.what}"


class EmissionProver:
    """Follows a replay, and judges each mint by the schedule that it computes itself.

    `table` has the versions whose events it can read: those that the replay knows.
    """

    def __init__(self, table: VersionTable) -> None:
        self.rules: EmissionRules | None = None
        self.eras: list[EraAccount] = []
        self._events = EventReader(table)
        self._before: EconomicTotals | None = None
        self._starts: tuple[int, ...] = (0,)
        self._splits: dict[int, tuple[int, ...]] = {}
        self._split_era = -1
        self._era_blocks = 1
        self._waiting: dict[tuple[int, int], tuple[int, int]] = {}

    def on_block(self, run: Replay, stored: ArchivedBlock) -> None:
        """Judge one block; raises Mismatch."""
        spec = run.start.spec
        if self._before is None:
            self._before = decode_totals(run.start.genesis.header.consensus.totals)
            self.rules = spec.emission
            self._era_blocks = spec.era_epochs * spec.params.epoch_blocks
        events = [self._events.decode(receipt) for receipt in stored.receipts]
        totals = decode_totals(stored.block.header.consensus.totals)
        if self.rules is not None:
            era = (stored.height - 1) // self._era_blocks
            self._follow(run, stored.height, era, [event for part in events for event in part])
        self._compare_minted(totals, events)
        self._compare_burned(totals, events)
        self._before = totals

    def _follow(self, run: Replay, height: int, era: int, events: list[DecodedEvent]) -> None:
        """Go through what emission said in a block, in its order."""
        is_first = height == 1 + era * self._era_blocks
        if is_first:
            run.executive.ctx.state = run.state.overlay()
        steps: dict[str, Callable[[Replay, int, dict[str, Any]], None]] = {
            "PhaseBegan": self._begin_phase,
            "EraOpened": self._open,
            "PoolMinted": self._mint,
            "MintWaits": self._wait,
            "WaitingMinted": self._mint_waiting,
            "EraClosed": self._close,
            "SplitSet": self._set_split,
        }
        opened = len(self.eras)
        for event in events:
            step = steps.get(event.name) if event.module == MODULE else None
            if step is not None:
                step(run, era, event.fields)
        if (len(self.eras) - opened) != is_first:
            raise Mismatch(f"era {era} was not opened once, at its first block", module=MODULE)

    def _begin_phase(self, run: Replay, era: int, said: dict[str, Any]) -> None:
        phases, index = _plan(self.rules).phases, len(self._starts) - 1
        phase, age = phases[index], era - self._starts[-1]
        if said["era"] != era or index + 1 >= len(phases):
            raise Mismatch(f"a phase began in era {era} that could not", module=MODULE)
        if said["is_by_gate"]:
            burned = run.executive.runtime.emission.mean_burned(era, GATE_ERAS)
            is_due = bool(phase.gate) and age >= phase.gate_age and burned >= phase.gate
        else:
            is_due = age == phase.eras_max
        if not is_due or said["phase"] != phases[index + 1].name:
            raise Mismatch(f"the phase of era {era} began before its time", module=MODULE)
        self._starts = (*self._starts, era)

    def _open(self, run: Replay, era: int, said: dict[str, Any]) -> None:
        plan = _plan(self.rules)
        index = len(self._starts) - 1
        if plan.phases[index].eras_max and era - self._starts[-1] >= plan.phases[index].eras_max:
            raise Mismatch(f"the phase of era {era} should have ended", module=MODULE)
        minted = sum(account.total for account in self.eras)
        budget = min(compute_budget(plan, self._starts, era), plan.rights - minted)
        phase = self._phase(index)
        pools = split_budget(phase, budget)
        burned = run.executive.runtime.emission.mean_burned(era, BURN_ERAS)
        allowed = Pools(*work_bounds(phase, pools, burned), pools.validation, pools.treasury)
        told = Pools(said["compute"], said["data"], said["validation"], said["treasury"])
        if said["era"] != era or era != len(self.eras):
            raise Mismatch(f"era {said['era']} was opened in era {era}", module=MODULE)
        if (said["budget"], said["phase"], told) != (budget, phase.name, allowed):
            raise Mismatch(
                f"era {era} opened with {said['budget']} grains for {told}, the schedule has "
                f"{budget} for {allowed}",
                module=MODULE,
            )
        self.eras.append(EraAccount(era, phase.name, budget, allowed))

    def _mint(self, run: Replay, era: int, said: dict[str, Any]) -> None:
        of, pool = said["era"], Pool(said["pool"])
        if not max(era - 1, 0) <= of < len(self.eras):
            raise Mismatch(f"in era {era} money was minted for era {of}", module=MODULE)
        account = self.eras[of]
        account.minted[pool] += said["amount"]
        allowed = account.allowed.of(pool)
        if pool is Pool.VALIDATION and of < era:
            staked = run.executive.runtime.staking.eras_total_stake[of]
            yield_max = STAKE_YIELD_MAX.read(run.executive.ctx)
            allowed = validation_bound(allowed, staked, yield_max)
        if account.minted[pool] > allowed or account.cancelled is not None:
            raise Mismatch(
                f"the pool {pool.name.lower()} of era {of} minted {account.minted[pool]} grains, "
                f"it may mint {allowed}",
                module=MODULE,
            )

    def _wait(self, run: Replay, era: int, said: dict[str, Any]) -> None:
        self._mint(run, era, said)
        self._waiting[said["pool"], said["id"]] = (said["era"], said["amount"])

    def _mint_waiting(self, _run: Replay, _era: int, said: dict[str, Any]) -> None:
        place = (said["pool"], said["id"])
        of, amount = self._waiting.pop(place, (-1, 0))
        left = amount - said["amount"]
        if of != said["era"] or left != said["left"] or left < 0:
            raise Mismatch(f"{said['amount']} grains were minted that did not wait", module=MODULE)
        if left:
            self._waiting[place] = (of, left)

    def _close(self, _run: Replay, era: int, said: dict[str, Any]) -> None:
        of = said["era"]
        account = self.eras[of] if of < len(self.eras) else None
        if account is None or of != era - 2 or account.cancelled is not None:
            raise Mismatch(f"era {of} was closed in era {era}", module=MODULE)
        account.cancelled = account.budget - account.total
        if (said["minted"], said["cancelled"]) != (account.total, account.cancelled):
            raise Mismatch(f"era {of} was closed with other sums than it minted", module=MODULE)

    def _set_split(self, _run: Replay, era: int, said: dict[str, Any]) -> None:
        index = said["phase"]
        before, first = self._phase(index).shares, _plan(self.rules).phases[index].shares
        shares = (said["compute"], said["data"], said["validation"], said["treasury"])
        steps = max(abs(new - old) for new, old in zip(shares, before, strict=True))
        span = max(abs(new - old) for new, old in zip(shares, first, strict=True))
        if sum(shares) != PERBILL or steps > SPLIT_STEP or span > SPLIT_SPAN:
            raise Mismatch(f"the split of era {era} moved beyond its bounds", module=MODULE)
        if self._split_era >= era:
            raise Mismatch(f"the split moved twice in era {era}", module=MODULE)
        self._splits[index], self._split_era = shares, era

    def _phase(self, index: int) -> Phase:
        phase = _plan(self.rules).phases[index]
        if index not in self._splits:
            return phase
        compute, data, validation, treasury = self._splits[index]
        return replace(phase, compute=compute, data=data, validation=validation, treasury=treasury)

    def _compare_minted(self, totals: EconomicTotals, events: list[list[DecodedEvent]]) -> None:
        """Compare what causes minted with what pools did, or with what arrived for staking."""
        minted = {entry.cause: entry.amount for entry in totals.minted}
        before = {} if self._before is None else {e.cause: e.amount for e in self._before.minted}
        flat = [event for part in events for event in part]
        for cause in MintCause:
            found = minted.get(cause, 0) - before.get(cause, 0)
            if self.rules is not None and cause in CAUSES:
                pool = Pool(CAUSES.index(cause))
                expected = _sum(flat, MODULE, "PoolMinted", "amount", pool=pool)
                expected += _sum(flat, MODULE, "WaitingMinted", "amount", pool=pool)
            elif cause is MintCause.CREDIT:
                expected = _sum(flat, "Credits", "CreditsSpent", "grains")
            elif cause is MintCause.STAKING:
                expected = _sum(flat, "Balances", "Minted", "amount")
                expected -= _sum(flat, "Credits", "CreditsSpent", "grains")
                if expected > _sum(flat, "Staking", "EraPaid", "validator_payout"):
                    raise Mismatch("more was minted for staking than it paid", module="Staking")
            else:
                expected = 0
            if found != expected:
                raise Mismatch(
                    f"{found} grains were minted for {cause.name.lower()}, {expected} are "
                    "accounted for",
                    module="Balances",
                )

    def _compare_burned(self, totals: EconomicTotals, events: list[list[DecodedEvent]]) -> None:
        """Compare what causes burned with the events of those who burn."""
        if self._before is None:
            return
        burned = {entry.cause: entry.amount for entry in totals.burned}
        before = {entry.cause: entry.amount for entry in self._before.burned}
        change = {cause: burned.get(cause, 0) - before.get(cause, 0) for cause in BurnCause}
        flat = [event for part in events for event in part]
        told = _told_burns(flat)
        for cause, amount in told.items():
            if change[cause] != amount:
                raise Mismatch(
                    f"{change[cause]} grains were burned for {cause.name.lower()}, the events "
                    f"say {amount}",
                    module="Balances",
                )
        rest = _sum(flat, "Balances", "Burned", "amount") - sum(told.values())
        if rest != sum(amount for cause, amount in change.items() if cause not in told):
            raise Mismatch(f"{rest} grains were burned without a cause", module="Balances")
        called = [event for part in events[1:-1] for event in part]
        most = _sum(called, "Balances", "Burned", "amount") - sum(_told_burns(called).values())
        least = most - sum(change[cause] for cause in TAKEN)
        if not least <= change[BurnCause.OWNER] <= most:
            raise Mismatch(
                f"{change[BurnCause.OWNER]} grains were burned for owner, the events of calls "
                f"say {least} to {most}",
                module="Balances",
            )


def prove_emission(
    source: Source,
    options: ReplayOptions | None = None,
    *,
    progress: Progress = lambda _height, _last: None,
) -> EmissionReport:
    """Execute a chain again and prove its emission; a fault is in `replay.finding`."""
    options = options or ReplayOptions()
    prover = EmissionProver(options.releases.table)
    report = replay(source, options, progress=progress, on_block=prover.on_block)
    return EmissionReport(report, prover.rules, prover.eras)


def _plan(rules: EmissionRules | None) -> Plan:
    if rules is None:
        raise Mismatch("a chain without [emission] opened an era", module=MODULE)
    return rules.plan


def _told_burns(events: list[DecodedEvent]) -> dict[BurnCause, int]:
    """Give what events say was burned, for each cause that one kind of event tells of."""
    job_fees = sum(
        event.fields["fee"].burned
        for event in events
        if event.module == "WorkRewards" and event.name in ("JobSettled", "AttemptFailed")
    )
    bought = _sum(events, "Credits", "CreditsBought", "grains")
    return {
        BurnCause.FEE: _sum(events, "TransactionPayment", "FeesShared", "burned"),
        BurnCause.PREMIUM: _sum(events, "Insurance", "PremiumPaid", "burned"),
        BurnCause.JOB_FEE: job_fees,
        BurnCause.CREDIT: bought + _sum(events, "Credits", "CreditsRestored", "grains"),
    }


def _sum(events: list[DecodedEvent], module: str, name: str, part: str, **fields: object) -> int:
    """Give the sum of a field over the events of a name, those with these other fields."""
    return sum(
        event.fields[part]
        for event in events
        if (event.module, event.name) == (module, name)
        and all(event.fields[key] == value for key, value in fields.items())
    )
