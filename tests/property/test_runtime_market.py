"""The market as a whole, at random: everything ends, and nobody earns what no rule says.

    crowd acts -> a block, all invariants -> every hold is that of live records, to the grain
    nobody acts -> all deadlines run out -> every job ended, postings compared with what events say

A failed walk names its seed; `Crowd(seed)` goes the same way again.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chain.events import DecodedEvent, EventReader
from runtime.balances import BurnCause, HoldReason, MintCause, MoveCause
from runtime.frame.parameters import PERBILL
from runtime.market.budgets import DEPOSIT, organisation_account
from runtime.market.datasets.checks import deposits_of
from runtime.market.disputes.nouns import CLOCK, JURY_COMMIT, JURY_REVEAL
from runtime.market.jobs.numbers import (
    BIDDING_BLOCKS,
    OPEN_BLOCKS,
    PART_BLOCKS,
    PAUSE_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
    START_SHARE,
)
from runtime.market.nouns import JobState, Reason
from runtime.primitives import AccountId
from tests.support.crowd import EVERYBODY, Crowd
from tests.support.jobs import DATA_OWNER, OTHER, REQUESTER

SHORT = (
    BIDDING_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
    OPEN_BLOCKS,
    PART_BLOCKS,
    PAUSE_BLOCKS,
    CLOCK,
    JURY_COMMIT,
    JURY_REVEAL,
)
LIMIT = 2_500
"""Blocks in which everything has to end by itself."""


class Walk:
    """A crowd, and an auditor who looks at every block."""

    def __init__(self, seed: int) -> None:
        self.crowd = Crowd(seed)
        self.fair = fair = self.crowd.fair
        for number in SHORT:
            number.begin(fair.runtime.ctx, number.low)
        self.reader = EventReader()
        self.events: list[DecodedEvent] = []
        self.ends: Counter[str] = Counter()
        self.close, fair.chain.close = fair.chain.close, self._close  # type: ignore[method-assign]  # to read receipts
        everybody = (REQUESTER.id, OTHER.id, DATA_OWNER, organisation_account(0), *EVERYBODY)
        self.began = {who: fair.owned(who) for who in everybody}
        self.before = len(fair.postings)

    def _close(self) -> Any:
        result = self.close()
        for receipt in result.receipts:
            self.events += self.reader.decode(receipt)
        return result

    def run(self, steps: int) -> None:
        """Let everybody act, then nobody."""
        for step in range(steps):
            self.crowd.step()
            assert self.fair.runtime.insurance.fund() >= 0
            if step % 8 == 0:
                self.check_holds()
        self.run_out()
        self.check_holds()
        self.check_ends()
        self.check_postings()
        self.check_failures()
        self.check_requesters()
        self.check_accounts()

    def run_out(self) -> None:
        """Nobody acts any more, except for `advance` where a full wheel forgot a job."""
        fair = self.fair
        for _ in range(LIMIT):
            open_ = (fair.disputes.disputes, fair.checks.audits, fair.checks.groups)
            # The block in which the last of it ended is closed, too: its events count
            is_over = not fair.jobs.live_count and not any(list(m.items()) for m in open_)
            fair.next()
            if is_over:
                return
        raise AssertionError(f"still open: {self.crowd.live()}")

    # What is held

    def check_holds(self) -> None:
        """Every reason to hold money has exactly the records that say so."""
        fair, market = self.fair, self.fair.market
        data, providers = market.datasets, market.providers
        live = [job for job in fair.jobs.jobs.values() if job.state < JobState.SETTLED]
        annexes = [fair.jobs.annexes[id_] for id_, _ in self.crowd.live()]
        expected = {
            HoldReason.ESCROW: sum(job.escrow for job in live)
            + sum(annex.reserve for annex in annexes),
            HoldReason.WORK_BOND: sum(bond.own for bond in providers.work_bonds.values()),
            HoldReason.SECURITY: sum(ledger.total for ledger in providers.ledgers.values()),
            HoldReason.SERVICE: sum(v.bond for v in market.verification.verifiers.values())
            + sum(manager.bond for manager in market.verification.managers.values())
            + sum(reporter.bond for reporter in market.oracle.reporters.values())
            + sum(attester.bond for attester in data.attesters.values()),
            HoldReason.CURATION: sum(s.amount + s.leaving for s in data.signals.values()),
            HoldReason.DEPOSIT: sum(bid.deposit for bid in fair.jobs.bids.values())
            + sum(annex.start_deposit for annex in annexes)
            + sum(profile.deposit for profile in providers.profiles.values())
            + sum(providers.sponsorships.values())
            + sum(deposits_of(data).values())
            + market.disputes.deposits
            + DEPOSIT * len(list(market.budgets.organisations.items())),
        }
        totals = fair.runtime.balances.held_totals
        assert {reason: totals[reason] for reason in expected} == expected

    def check_ends(self) -> None:
        """Every job has ended for a reason, and nothing is left behind it."""
        fair = self.fair
        for job in fair.jobs.jobs.values():
            assert job.state >= JobState.SETTLED
            assert job.reason is not Reason.NONE
            self.ends[job.state.name] += 1
        fair.all_is_released()
        assert not list(fair.providers.work_bonds.items())
        assert not list(fair.providers.tasks.items())
        assert not list(fair.jobs.bids.items())
        assert fair.disputes.deposits == 0
        assert all(verifier.seats == 0 for verifier in fair.checks.verifiers.values())

    # Who got what

    def told(self, module: str, name: str) -> list[dict[str, Any]]:
        return [one.fields for one in self.events if (one.module, one.name) == (module, name)]

    def posted(self, cause: Any, choose: Callable[[Any], bool] = lambda _: True) -> int:
        """What moved for a cause since the walk began."""
        found = [one for one in self.fair.postings[self.before :] if one.cause is cause]
        return sum(one.amount for one in found if choose(one))

    def check_postings(self) -> None:
        """All that was paid for work, data, fees, faults and audits is what waterfalls told."""
        settled = self.told("WorkRewards", "JobSettled")
        failed = self.told("WorkRewards", "AttemptFailed")
        both = [*settled, *failed]
        fees = [entry["fee"] for entry in both]
        payers = {entry["payer"] for entry in both} | {REQUESTER.id, OTHER.id}
        payers.add(organisation_account(0))

        def is_payers(posting: Any) -> bool:
            return posting.source in payers

        earned = sum(entry["earned"] for entry in both) + self.unstarted()
        delegated = self.posted(MoveCause.DELEGATION, is_payers)
        assert self.posted(MoveCause.JOB) + delegated == earned
        royalties = sum(entry["royalties"] for entry in both)
        assert self.posted(MoveCause.ROYALTY, is_payers) == royalties
        assert self.posted(BurnCause.JOB_FEE) == sum(fee.burned for fee in fees)
        parts = sum(fee.treasury + fee.stakers for fee in fees)
        assert self.posted(MoveCause.JOB_FEE) == parts
        premiums = self.posted(MoveCause.PREMIUM) + self.posted(BurnCause.PREMIUM)
        assert premiums == sum(fee.insurance for fee in fees)
        assert self.posted(MoveCause.BOUNTY) == sum(entry["bounty"] for entry in failed)
        made_up = sum(entry["extra"] + entry["fees"] for entry in failed)
        assert self.posted(MoveCause.COMPENSATION) == made_up
        audits = sum(entry["amount"] for entry in self.told("Jobs", "AuditPaid"))
        jurors = self.posted(MoveCause.AUDIT, lambda one: not is_payers(one))
        assert self.posted(MoveCause.AUDIT) - jurors >= audits
        rewards = self.told("WorkRewards", "WorkRewarded")
        minted = sum(entry["amount"] for entry in rewards if entry["is_paid"])
        assert self.posted(MintCause.COMPUTE) == minted
        paid = sum(entry["paid"] for entry in self.told("WorkRewards", "DataRewarded"))
        assert self.posted(MintCause.DATA) == paid
        assert minted + paid <= sum(entry["emission"] for entry in both)
        claims = sum(entry["amount"] for entry in self.told("Insurance", "ClaimPaid"))
        assert self.posted(MoveCause.CLAIM) == claims

    def unstarted(self) -> int:
        """What providers got whose jobs were never started: a hundredth of the price."""
        share = START_SHARE.read(self.fair.runtime.ctx)
        prices: dict[int, int] = {}
        total = 0
        for event in self.events:
            if event.module != "Jobs" or "id" not in event.fields:
                continue
            id_ = event.fields["id"]
            if event.name == "JobMatched":
                prices[id_] = event.fields["price"]
            elif event.name == "JobStarted":
                del prices[id_]
            elif event.name == "JobEnded":
                total += prices.pop(id_, 0) * share // PERBILL
        return total

    def check_failures(self) -> None:
        """No failure enriches anybody: half of a slash is gone, and no fee comes back twice."""
        for entry in self.told("WorkRewards", "AttemptFailed"):
            slash = entry["slash"]
            parts = ("extra", "fees", "bounty", "insurance", "burned")
            assert sum(entry[part] for part in parts) == slash <= entry["bond"]
            assert 2 * (entry["insurance"] + entry["burned"]) >= slash
            assert 5 * entry["bounty"] <= slash
            escrow = entry["earned"] + entry["royalties"] + entry["left"]
            fee = entry["fee"]
            kept = fee.burned + fee.treasury + fee.insurance + fee.stakers
            assert escrow + kept == entry["escrow"]
            unpaid = entry["escrow"] - entry["earned"]
            assert entry["extra"] <= unpaid // 2

    def check_requesters(self) -> None:
        """What comes back for a job, however it failed, is no more than was put down for it."""
        put: Counter[int] = Counter()
        back: Counter[int] = Counter()
        # What parts of a run have was put down for the run
        runs = {entry["part"]: entry["id"] for entry in self.told("Jobs", "PartClosed")}
        for entry in self.told("Jobs", "JobSubmitted"):
            put[entry["id"]] += entry["escrow"]
        for entry in self.told("Jobs", "EscrowReturned"):
            back[entry["id"]] += 0 if entry["is_reserved"] else entry["amount"]
        for entry in self.told("Jobs", "JobEnded"):
            id_ = entry["id"]
            back[runs.get(id_, id_)] += entry["refunded"] + entry["restored"]
        for entry in self.told("WorkRewards", "AttemptFailed"):
            id_ = entry["id"]
            back[runs.get(id_, id_)] += entry["fees"] - entry["restored"] + entry["claimed"]
        assert all(amount <= put[id_] for id_, amount in back.items()), back - put

    def check_accounts(self) -> None:
        """Everybody has what it began with and what was posted to it; the requester never gains."""
        fair = self.fair
        net: Counter[AccountId | None] = Counter()
        minted: Counter[AccountId | None] = Counter()
        for one in fair.postings[self.before :]:
            if one.cause in (MoveCause.HOLD, MoveCause.RELEASE) and type(one.cause) is MoveCause:
                continue
            net[one.target] += one.amount
            net[one.source] -= one.amount
            if type(one.cause) is MintCause and one.cause is MintCause.GENESIS:
                minted[one.target] += one.amount
        for who, before in self.began.items():
            assert fair.owned(who) - before == net[who], who.hex()
        gifts = minted[REQUESTER.id]
        assert fair.owned(REQUESTER.id) <= self.began[REQUESTER.id] + gifts
        # Its friend earns by challenges alone, and by nothing that it asked for
        org = organisation_account(0)
        income = (MoveCause.BOUNTY, MoveCause.FORFEIT, MoveCause.REPORT)
        found = sum(
            one.amount
            for one in fair.postings[self.before :]
            if one.target == OTHER.id and type(one.cause) is MoveCause and one.cause in income
        )
        had = self.began[OTHER.id] + self.began[org] + minted[OTHER.id]
        assert fair.owned(OTHER.id) + fair.owned(org) <= had + found


def walk(seed: int, steps: int) -> Walk:
    """Go through a history; raises AssertionError naming the seed."""
    history = Walk(seed)
    try:
        history.run(steps)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {steps} steps: {error}") from error
    return history


def test_whatever_a_crowd_does_all_ends_and_every_grain_is_told() -> None:
    outcomes, ends = Counter[str](), Counter[str]()
    for seed in range(2):
        history = walk(seed, 100)
        outcomes += history.crowd.outcomes
        ends += history.ends
    # A walk that is refused everywhere would prove nothing
    done = {name.removesuffix(" done") for name in outcomes if name.endswith(" done")}
    assert expected_of(done) == set(), outcomes
    assert {"SETTLED", "CANCELLED", "EXPIRED"} <= set(ends), ends


def expected_of(done: set[str]) -> set[str]:
    """The calls that every walk must have made, less those that it has."""
    jobs = ("submit", "take_offer", "commit_bid", "reveal_bid", "start", "heartbeat", "complete")
    expected = {f"Jobs.{name}" for name in (*jobs, "post_receipt", "accept", "report_conflict")}
    expected |= {f"Verification.{name}" for name in ("commit", "reveal", "disclose")}
    expected |= {f"Disputes.{name}" for name in ("challenge", "answer", "reply", "prove")}
    return (expected | {"Oracle.report", "Credits.buy", "wild"}) - done


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 112))
def test_long_histories_end_as_well(seed: int) -> None:
    walk(seed, 700)
