"""Agents on a real chain: jobs from the auction to the last grain, and every cheat caught."""

from pathlib import Path
from typing import Any

import pytest

from chain.market.content import DataDirectory
from chain.market.provider import Cheat, ProviderAgent, Settings
from chain.market.training import measure
from runtime.balances import INSURANCE, TREASURY, BurnCause, HoldReason, MoveCause
from runtime.market.nouns import JobState, Reason, Verification
from runtime.market.terms import protocol_fee
from tests.support.town import GRIST, PARAMS, Town

CHEAP, DEAR = GRIST // 100, GRIST // 90


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A town in which a job was done and paid."""
    town = Town(tmp_path_factory.mktemp("town"))
    town.add_verifiers("Alice", "Bob", "Charlie", "Dave")
    town.add_dataset("Eve", GRIST)
    town.add_provider("Ann", Settings(), rate=CHEAP)
    town.add_provider("Ben", Settings(), rate=DEAR)
    return town


def settle(town: Town, **changes: Any) -> tuple[int, Any]:
    """A job from its submission to its end."""
    number = town.submit("Ferdie", town.spec(**changes))
    return number, town.until(number, *(s for s in JobState if s >= JobState.SETTLED))


def test_a_job_is_auctioned_trained_audited_and_paid_to_the_grain(opened: Town) -> None:
    town = opened
    names = ("Ferdie", "Ann", "Ben", "Eve", "Alice", "Bob", "Charlie", "Dave")
    before = {name: town.free(name) for name in names}
    town.postings.clear()
    number, job = settle(town)
    assert (job.state, job.reason) == (JobState.SETTLED, Reason.AUDIT_PASSED)
    assert town.failures == []
    assert job.provider == town.id("Ann"), "the cheaper bid wins"
    price, data = job.price, job.dataset_fees
    assert CHEAP * 1_000 < price <= DEAR * 1_000, "and is paid by the second price"
    fee = protocol_fee(price + data)
    for name in names:
        assert town.free(name) - before[name] == town.moved(name), f"{name}'s books"
    assert town.moved("Ann", MoveCause.JOB) == price
    assert town.moved("Eve", MoveCause.ROYALTY) == data
    audits = sum(town.moved(name, MoveCause.AUDIT) for name in names if name != "Ferdie")
    assert 0 < audits <= job.audit_fee
    assert town.moved("Ferdie", MoveCause.AUDIT) == -audits
    burned = sum(p.amount for p in town.postings if p.cause is BurnCause.JOB_FEE)
    shared = -town.moved("Ferdie", MoveCause.JOB_FEE, MoveCause.PREMIUM)
    premium = sum(p.amount for p in town.postings if p.cause is BurnCause.PREMIUM)
    assert burned + shared + premium == fee
    assert abs(2 * burned - fee) <= 2, "half of the fee is burned"
    assert town.moved("Ferdie", MoveCause.JOB, MoveCause.ROYALTY) == -price - data
    balances = town.chain.look().balances
    assert balances.held(town.id("Ferdie"), HoldReason.ESCROW) == 0
    assert balances.held(town.id("Ann"), HoldReason.WORK_BOND) == 0
    assert town.market.jobs.live_count == 0
    del number


def test_what_was_paid_for_has_learned(opened: Town) -> None:
    town = opened
    number, _ = settle(town)
    result = town.market.jobs.result(number)
    ann = DataDirectory(town.path / "Ann")
    weights = ann.read_weights(result.final_state)
    found = measure(PARAMS, weights, town.data.read(town.root))
    assert found.loss * 10 < 1
    assert found.accuracy * 100 > 95


@pytest.mark.parametrize("cheat", [Cheat.WRONG_CHECKPOINT, Cheat.SKIP_WORK, Cheat.VANISH])
def test_a_cheat_is_caught_pays_and_the_job_is_finished_elsewhere(
    tmp_path: Path, cheat: Cheat
) -> None:
    town = Town(tmp_path)
    town.add_verifiers("Alice", "Bob", "Charlie", "Dave")
    town.add_dataset("Eve", GRIST)
    town.add_provider("Ann", Settings(cheat=cheat), rate=CHEAP)
    town.add_provider("Ben", Settings(), rate=DEAR)
    town.postings.clear()
    number = town.submit("Ferdie", town.spec())
    for _ in range(400):
        town.block()
        job = town.market.jobs.find(number)
        if job.attempt == 1:
            break
    assert job.attempt == 1
    assert job.reason is (Reason.OFFLINE if cheat is Cheat.VANISH else Reason.WRONG_CHECKPOINT)
    bond_left = town.chain.look().balances.held(town.id("Ann"), HoldReason.WORK_BOND)
    assert bond_left == 0
    slashed = sum(p.amount for p in town.postings if p.cause is BurnCause.WORK_SLASH)
    cover = sum(
        p.amount for p in town.postings if p.cause is MoveCause.COVER and p.target == INSURANCE
    )
    taken = -town.moved("Ann", MoveCause.COMPENSATION, MoveCause.COVER, MoveCause.BOUNTY)
    assert slashed + taken > 0
    assert 2 * (slashed + cover) >= slashed + taken, "half of it at least is nobody's gain"
    town.agents = [a for a in town.agents if not _is_agent_of(a, town.id("Ann"))]
    job = town.until(number, *(s for s in JobState if s >= JobState.SETTLED))
    assert (job.state, job.provider) == (JobState.SETTLED, town.id("Ben"))
    assert job.attempt == 1
    assert TREASURY is not None


def _is_agent_of(tick: Any, who: bytes) -> bool:
    agent = getattr(tick, "__self__", None)
    return isinstance(agent, ProviderAgent) and agent.chain.me == who


def test_a_provider_that_is_killed_goes_on_from_its_file(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.add_dataset("Eve", GRIST)
    town.add_provider("Ann", Settings(), rate=CHEAP)
    number = town.submit("Ferdie", town.spec(verification=Verification.ACCEPTANCE))
    seen = []
    for _ in range(400):
        job = town.market.jobs.find(number)
        if job.state not in seen:
            seen.append(job.state)
            town.agents = [a for a in town.agents if not _is_agent_of(a, town.id("Ann"))]
            town.desks.clear()
            town.start_provider("Ann", Settings())
        if job.state >= JobState.SETTLED:
            break
        town.block()
    assert job.state is JobState.SETTLED
    assert len(seen) >= 6
    assert town.failures == []
