"""The market wired: which of its modules needs whom, in the order in which their hooks run."""

from collections.abc import Callable, Iterator

from runtime.balances import Balances
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.emission.module import Emission
from runtime.frame.context import Context
from runtime.frame.module import Module
from runtime.frame.parameters import Track
from runtime.insurance import Insurance
from runtime.market.budgets import Budgets
from runtime.market.credits import Credits
from runtime.market.datasets.module import Datasets
from runtime.market.disputes.module import Disputes
from runtime.market.jobs.module import Jobs
from runtime.market.oracle import Oracle
from runtime.market.providers.module import Providers
from runtime.market.reputation import Reputation
from runtime.market.rewards import WorkRewards
from runtime.market.settlement import Settlement
from runtime.market.verification.module import Verification
from runtime.market.work_units import WorkUnits
from runtime.market.work_units.nouns import Program
from runtime.parameters import Parameters
from runtime.session import Session
from runtime.staking.module import Staking


class Market:
    """All modules of the market, on the modules of money, time and stakes below them."""

    def __init__(  # noqa: PLR0913 -- where the market meets the rest of the chain
        self,
        ctx: Context,
        *,
        numbers: Parameters,
        balances: Balances,
        deadlines: Deadlines,
        beacon: Beacon,
        session: Session,
        staking: Staking,
        emission: Emission,
        insurance: Insurance,
    ) -> None:
        self.oracle = Oracle(ctx, numbers, balances)
        self.work_units = WorkUnits(ctx, numbers, self.oracle)
        self.reputation = Reputation(ctx, numbers, staking)
        self.providers = Providers(
            ctx, numbers, balances, deadlines, self.reputation, self.work_units
        )
        self.datasets = Datasets(ctx, numbers, balances, deadlines, beacon, session, staking)
        self.credits = Credits(ctx, numbers, balances, self.oracle, emission)
        self.budgets = Budgets(ctx, numbers, balances)
        self.rewards = WorkRewards(
            ctx, numbers, emission, self.providers, self.datasets, self.work_units
        )
        self.settlement = Settlement(
            balances=balances,
            staking=staking,
            insurance=insurance,
            rewards=self.rewards,
            reputation=self.reputation,
        )
        self.jobs = Jobs(
            ctx,
            numbers=numbers,
            balances=balances,
            deadlines=deadlines,
            beacon=beacon,
            session=session,
            staking=staking,
            work_units=self.work_units,
            providers=self.providers,
            reputation=self.reputation,
            datasets=self.datasets,
            credits=self.credits,
            budgets=self.budgets,
            settlement=self.settlement,
        )
        self.verification = Verification(
            ctx,
            numbers=numbers,
            balances=balances,
            deadlines=deadlines,
            beacon=beacon,
            session=session,
            staking=staking,
            insurance=insurance,
            jobs=self.jobs,
            providers=self.providers,
        )
        self.disputes = Disputes(
            ctx, numbers, balances, deadlines, beacon, self.reputation, self.jobs, self.verification
        )

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules, those that others need first."""
        return (
            self.oracle,
            self.work_units,
            self.reputation,
            self.providers,
            self.datasets,
            self.credits,
            self.budgets,
            self.rewards,
            self.jobs,
            self.verification,
            self.disputes,
        )

    def votable(self) -> Iterator[tuple[Module, str, Callable[..., Track]]]:
        """Yield the calls that votes can make, and who judges each before anybody votes."""
        oracle, units, checkers = self.oracle, self.work_units, self.verification
        yield oracle, "admit", oracle.judge_admit
        yield oracle, "remove", oracle.judge_remove
        yield oracle, "resume", oracle.judge_resume
        yield units, "set_class", units.judge_class
        yield units, "set_program", _judge_program(units)
        yield units, "set_framework", units.judge_framework
        yield checkers, "name_manager", lambda who, is_: checkers.judge_manager(who, is_named=is_)
        yield checkers, "name_vendor", lambda key, is_: checkers.judge_vendor(key, is_listed=is_)


def _judge_program(units: WorkUnits) -> Callable[..., Track]:
    def judge(program: Program, is_listed: bool) -> Track:  # noqa: FBT001 - as the call has it
        return units.judge_program(program, is_listed=is_listed)

    return judge
