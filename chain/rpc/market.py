"""The market as people and their agents ask for it: jobs, providers, verifiers, prices, credits.

Fields are those of the records in the state (`chain.rpc.records`); null is what does not exist.
"""

from typing import Any, Final

from chain.rpc.jsonrpc import Json, Method, MethodTable
from chain.rpc.params import ACCOUNT, AT, NUMBER, STATE
from chain.rpc.reading import RuntimeReader
from chain.rpc.records import merged, named, to_json
from chain.rpc.view import NodeView
from runtime.frame.declared import Record
from runtime.market.budgets import organisation_account
from runtime.market.market import Market
from runtime.market.nouns import NOBODY, JobState
from runtime.primitives import AccountId
from runtime.runtime import Runtime

JOBS_READ: Final = 2_000
"""Newest jobs that an answer looks through: some ten milliseconds of the loop."""

JOBS_SHOWN: Final = 100
"""Jobs that an answer lists."""

ROWS_SHOWN: Final = 200
"""Providers, bids, members or whatever else that an answer lists."""


class MarketMethods:
    """What is asked for, who works on it, who checks it, and what it costs."""

    def __init__(self, node: NodeView) -> None:
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        table.add(Method("gristmill_v1_job", self.job, (NUMBER, AT)))
        table.add(Method("gristmill_v1_jobs", self.jobs, (STATE, ACCOUNT.optional(), AT)))
        table.add(Method("gristmill_v1_provider", self.provider, (ACCOUNT, AT)))
        table.add(Method("gristmill_v1_providers", self.providers, (AT,)))
        table.add(Method("gristmill_v1_verifiers", self.verifiers, (AT,)))
        table.add(Method("gristmill_v1_oracle", self.oracle, (AT,)))
        table.add(Method("gristmill_v1_credits", self.credits, (ACCOUNT, AT)))
        table.add(Method("gristmill_v1_organisation", self.organisation, (NUMBER, AT)))
        table.add(Method("gristmill_v1_workUnits", self.work_units, (AT,)))

    def job(self, number: int, at: bytes | None) -> Json:
        """Give a job with its spec, bids, bond, result, audit and disputes; null if unknown."""
        return self._reader.ask(at, lambda runtime, _: self._job(runtime, number))

    def jobs(self, state: str | None, who: bytes | None, at: bytes | None) -> Json:
        """Give the newest jobs, those in a state or with an account if one is named."""
        return self._reader.ask(at, lambda runtime, _: self._jobs(runtime, state, who))

    def provider(self, who: bytes, at: bytes | None) -> Json:
        """Give a provider's profile, stakes, offers and reputation; null if it is none."""
        return self._reader.ask(at, lambda runtime, _: self._provider(runtime, AccountId(who)))

    def providers(self, at: bytes | None) -> Json:
        """Give providers with their tiers, at most 200."""
        return self._reader.ask(at, lambda runtime, _: self._providers(runtime))

    def verifiers(self, at: bytes | None) -> Json:
        """Give who may be drawn for audits, with their bonds."""
        return self._reader.ask(at, lambda runtime, _: self._verifiers(runtime))

    def oracle(self, at: bytes | None) -> Json:
        """Give the price of a GRIST and of hardware, and who reports them."""
        return self._reader.ask(at, lambda runtime, _: self._oracle(runtime))

    def credits(self, who: bytes, at: bytes | None) -> Json:
        """Give the job credits of an account, and what backs all of them."""
        return self._reader.ask(at, lambda runtime, _: _credits(runtime, AccountId(who)))

    def organisation(self, number: int, at: bytes | None) -> Json:
        """Give an organisation, its account, money and members; null if unknown."""
        return self._reader.ask(at, lambda runtime, _: self._organisation(runtime, number))

    def work_units(self, at: bytes | None) -> Json:
        """Give the table in force: classes of hardware with prices, programs, frameworks."""
        return self._reader.ask(at, lambda runtime, _: self._work_units(runtime))

    # Inside, jobs

    def _job(self, runtime: Runtime, number: int) -> Json:
        market = runtime.market
        job = market.jobs.jobs.find(number)
        if job is None:
            return None
        bids = market.jobs.bids.walk(number, limit=ROWS_SHOWN)
        docket = market.disputes.dockets.find(number)
        disputes = [] if docket is None else [*docket.active, *docket.queued]
        return {
            **self._summary(market, number),
            "height": runtime.ctx.block.height,
            "spec": self._plain(market.jobs.specs.find(number)),
            "annex": self._plain(market.jobs.annexes[number]),
            "result": self._plain(market.jobs.results.find(number)),
            "report": self._plain(market.jobs.reports.find(number)),
            "bond": self._plain(market.providers.bond(number)),
            "bids": [self._row(bid, bidder=self._address(who)) for (_, who), bid in bids],
            "audit": self._plain(market.verification.audits.find(number)),
            "disputes": [
                self._row(dispute, id=id_, jury=self._plain(market.disputes.juries.find(id_)))
                for id_ in disputes
                if (dispute := market.disputes.disputes.find(id_)) is not None
            ],
        }

    def _jobs(self, runtime: Runtime, state: str | None, who: bytes | None) -> Json:
        market, found = runtime.market, []
        last = market.jobs.job_count
        for number in range(last - 1, max(last - JOBS_READ, 0) - 1, -1):
            job = market.jobs.jobs.find(number)
            if job is None or (state is not None and named(job.state) != state):
                continue
            if who is None or who in (job.requester, job.payer, job.provider):
                found.append(self._summary(market, number))
            if len(found) == JOBS_SHOWN:
                break
        return {
            "height": runtime.ctx.block.height,
            "count": last,
            "live": market.jobs.live_count,
            "jobs": found,
        }

    def _summary(self, market: Market, number: int) -> dict[str, Json]:
        job = market.jobs.jobs[number]
        written = to_json(job, self._address)
        if job.provider == NOBODY:
            written["provider"] = None
        return merged({"id": number}, written)

    # Inside, who takes part

    def _provider(self, runtime: Runtime, who: AccountId) -> Json:
        providers, reputation = runtime.market.providers, runtime.market.reputation
        profile = providers.profiles.find(who)
        if profile is None:
            return None
        slots = providers.slots.walk(who, limit=ROWS_SHOWN)
        return {
            **self._row(profile, account=self._address(who)),
            "tier": providers.tier(who),
            "freeBond": str(providers.free_bond(who)),
            "security": self._plain(providers.ledgers.find(who)),
            "pool": self._plain(providers.pools[who]),
            "slots": [self._row(slot, classId=class_id) for (_, class_id), slot in slots],
            "score": str(reputation.score(who)),
            "bondRatio": reputation.bond_ratio(who),
        }

    def _providers(self, runtime: Runtime) -> Json:
        providers = runtime.market.providers
        rows = providers.profiles.walk(limit=ROWS_SHOWN)
        return {
            "active": providers.active_count(),
            "providers": [
                self._row(profile, account=self._address(who), tier=providers.tier(who))
                for who, profile in rows
            ],
        }

    def _verifiers(self, runtime: Runtime) -> Json:
        rows = runtime.market.verification.verifiers.walk(limit=ROWS_SHOWN)
        roster = runtime.market.verification.roster
        return {
            "height": runtime.ctx.block.height,
            "verifiers": [
                self._row(one, account=self._address(who), isDrawn=who in roster)
                for who, one in rows
            ],
        }

    def _oracle(self, runtime: Runtime) -> Json:
        oracle = runtime.market.oracle
        price, mean = oracle.price(), oracle.mean()
        feeds = oracle.feeds.walk(limit=ROWS_SHOWN)
        return {
            "height": runtime.ctx.block.height,
            "price": None if price is None else str(price),
            "mean": None if mean is None else str(mean),
            "feeds": [self._row(feed, feed=number) for number, feed in feeds],
            "reporters": [
                self._row(reporter, account=self._address(who), isActive=who in oracle.active)
                for who, reporter in oracle.reporters.walk(limit=ROWS_SHOWN)
            ],
        }

    def _organisation(self, runtime: Runtime, number: int) -> Json:
        budgets = runtime.market.budgets
        organisation = budgets.organisations.find(number)
        if organisation is None:
            return None
        account = organisation_account(number)
        members = budgets.members.walk(number, limit=ROWS_SHOWN)
        return {
            "id": number,
            "owner": self._address(organisation.owner),
            "name": organisation.name,
            "openJobs": organisation.open_jobs,
            "account": self._address(account),
            "spendable": str(runtime.balances.spendable(account, keep_alive=False)),
            "members": [self._row(one, account=self._address(who)) for (_, who), one in members],
        }

    def _work_units(self, runtime: Runtime) -> Json:
        units = runtime.market.work_units
        version = units.version
        return {
            "version": version,
            "classes": [
                self._row(entry, price=str(units.reference(entry.class_id)))
                for entry in units.classes_at(version)
            ],
            "programs": [self._plain(program) for program in units.programs_at(version)],
        }

    # Inside, what they share

    def _address(self, who: bytes) -> str:
        return self._reader.address(who)

    def _plain(self, record: Record | None) -> Json:
        return None if record is None else dict(to_json(record, self._address))

    def _row(self, record: Record, **more: Any) -> dict[str, Json]:
        return merged(more, to_json(record, self._address))


def _credits(runtime: Runtime, who: AccountId) -> Json:
    sold = runtime.market.credits
    holding = sold.holdings.find(who)
    is_priced = runtime.market.oracle.price() is not None
    usd = sold.balance(who)
    return {
        "usd": str(usd),
        "expires": None if holding is None else holding.expires,
        "worth": str(sold.quote(usd)) if is_priced else None,
        "backing": str(sold.credit_backing),
        "outstanding": str(sold.outstanding_usd),
    }


STATES: Final = tuple(named(state) for state in JobState)
"""The states of jobs, as clients name them."""
