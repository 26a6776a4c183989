"""THE LIST: the modules of the chain, their order, and who needs whom.

A line uses only lines above it. Hooks run in this order; the metadata lists the modules in it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from runtime.authorship import Authorship
from runtime.balances import Balances
from runtime.beacon import Beacon
from runtime.block import SPEC_VERSION
from runtime.deadlines import Deadlines
from runtime.emission.module import Emission
from runtime.emission.nouns import Split
from runtime.fees import TransactionPayment
from runtime.frame.context import Context
from runtime.frame.dispatch import Dispatcher
from runtime.frame.errors import DeclarationError
from runtime.frame.module import Check, Module
from runtime.frame.parameters import Track
from runtime.governance import ConvictionVoting, Referenda, Votes
from runtime.governance.nouns import Ruling
from runtime.insurance import Insurance
from runtime.market.market import Market
from runtime.offences import Offences
from runtime.parameters import Parameters
from runtime.safety import Safety
from runtime.session import Session
from runtime.staking.elections import Elections
from runtime.staking.module import Staking
from runtime.staking.offline import Offline
from runtime.staking.slashing import Slashing
from runtime.staking.voter_list import VoterList
from runtime.system import System
from runtime.timestamp import Timestamp
from runtime.treasury import Treasury
from runtime.utility import Utility
from runtime.vesting.module import Vesting

AddModules = Callable[["Runtime"], tuple[Module, ...]]
"""Makes the modules that a later version has behind those of this list."""


def _add_none(_: "Runtime") -> tuple[Module, ...]:
    return ()


NO_MORE: Final[AddModules] = _add_none
"""This list is all."""


class Runtime:
    """All modules of a version, wired; one context for all of them."""

    def __init__(self, spec_version: int = SPEC_VERSION, add: AddModules = NO_MORE) -> None:
        self.spec_version = spec_version
        ctx = self.ctx = Context()
        calls = self.dispatcher = Dispatcher()
        self.system = System(ctx)
        self.utility = Utility(ctx, calls)
        self.timestamp = Timestamp(ctx)
        self.parameters = Parameters(ctx)
        self.balances = Balances(ctx, self.system)
        self.safety = Safety(ctx, self.parameters, self.balances)
        self.fees = TransactionPayment(ctx, self.system, self.balances)
        self.session = Session(ctx, self.system, self.balances)
        self.deadlines = Deadlines(ctx)
        self.deadlines.tell_break = self.balances.record_break
        self.vesting = Vesting(ctx, self.parameters, self.balances, self.deadlines)
        self.referenda = Referenda(ctx, calls, self.parameters, self.balances, self.deadlines)
        self.votes = Votes(ctx)
        self.voting = ConvictionVoting(ctx, self.balances, self.referenda, self.vesting, self.votes)
        self.treasury = Treasury(ctx, self.parameters, self.balances, self.deadlines)
        self.insurance = Insurance(ctx, self.parameters, self.balances)
        self.emission = Emission(ctx, self.parameters, self.balances, self.vesting)
        self.voter_list = VoterList(ctx)
        self.staking = Staking(
            ctx,
            balances=self.balances,
            session=self.session,
            deadlines=self.deadlines,
            voter_list=self.voter_list,
            emission=self.emission,
        )
        self.slashing = Slashing(
            ctx,
            balances=self.balances,
            session=self.session,
            deadlines=self.deadlines,
            staking=self.staking,
        )
        self.offences = Offences(ctx, self.system, self.session, self.slashing)
        self.offline = Offline(
            ctx,
            timestamp=self.timestamp,
            session=self.session,
            staking=self.staking,
            slashing=self.slashing,
        )
        self.authorship = Authorship(
            ctx,
            session=self.session,
            staking=self.staking,
            offences=self.offences,
            offline=self.offline,
        )
        self.beacon = Beacon(ctx, self.session)
        self.elections = Elections(ctx, self.session, self.staking)
        self.market = Market(
            ctx,
            numbers=self.parameters,
            balances=self.balances,
            deadlines=self.deadlines,
            beacon=self.beacon,
            session=self.session,
            staking=self.staking,
            emission=self.emission,
            insurance=self.insurance,
        )
        self.modules: tuple[Module, ...] = (
            self.system,
            self.utility,
            self.timestamp,
            self.parameters,
            self.balances,
            self.safety,
            self.fees,
            self.session,
            self.deadlines,
            self.vesting,
            self.referenda,
            self.votes,
            self.voting,
            self.treasury,
            self.insurance,
            self.emission,
            self.voter_list,
            self.staking,
            self.slashing,
            self.offences,
            self.offline,
            self.authorship,
            self.beacon,
            self.elections,
            *self.market.modules,
            *add(self),
        )
        register(calls, self.modules)
        self.parameters.register(self.modules)
        self.safety.names = {module.index: module.name for module in self.modules}
        self.emission.monthly_spend = self.treasury.monthly_spend
        self.treasury.fee_income = lambda: self.fees.totals.treasury
        admit_proposals(self)

    def invariants(self) -> Iterator[Check]:
        """Yield every invariant and guard of every module, its name in front."""
        for module in self.modules:
            for check in (*module.guards(), *module.invariants()):
                yield Check(f"{module.name}: {check.sentence}", check.holds)


def admit_proposals(runtime: Runtime) -> None:
    """Say which calls votes can make, and who judges each before anybody votes."""
    admit, parameters = runtime.referenda.proposals.admit, runtime.parameters
    treasury, safety, slashing = runtime.treasury, runtime.safety, runtime.slashing
    system = runtime.system
    judged: tuple[tuple[Module, str, Callable[..., Track]], ...] = (
        (parameters, "set", parameters.judge_set),
        (treasury, "spend", treasury.judge_spend),
        (treasury, "grant", treasury.judge_grant),
        (treasury, "stream", treasury.judge_stream),
        (treasury, "stop", lambda id_, _: treasury.judge_stop(id_)),
        (treasury, "envelope", treasury.judge_envelope),
        (safety, "freeze", safety.judge_freeze),
        (safety, "unfreeze", safety.judge_unfreeze),
        (system, "schedule_version", system.judge_schedule),
        (system, "cancel_version", system.judge_cancel),
        *runtime.market.votable(),
    )
    for module, name, judge in judged:
        admit(module, name, partial(_rule, judge))
    admit(
        slashing,
        "cancel_deferred_slash",
        lambda id_, _: Ruling(Track.SLASHES, slashing.judge_cancel(id_)),
    )
    judge_split = runtime.emission.judge_split
    admit(
        runtime.emission,
        "set_split",
        lambda phase, *shares: Ruling(judge_split(phase, Split(*shares))),
    )


def _rule(judge: Callable[..., Track], *arguments: Any) -> Ruling:
    return Ruling(judge(*arguments))


def register(dispatcher: Dispatcher, modules: tuple[Module, ...]) -> None:
    """Put the calls of modules into the table; raises DeclarationError for a number used twice."""
    for part in ("index", "name"):
        values = [getattr(module, part) for module in modules]
        if len(set(values)) != len(values):
            raise DeclarationError(f"two modules share their {part}: {values}")
    for module in modules:
        for info in module.calls:
            dispatcher.add(
                module_index=module.index,
                module_name=module.name,
                info=info,
                method=getattr(module, info.name),
            )
