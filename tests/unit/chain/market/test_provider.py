"""A provider through all that happens to it: restarts, floods of jobs, a node that refuses."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain.market import provider as module
from chain.market.bids import bid_salt
from chain.market.content import DataDirectory
from chain.market.door import Desk
from chain.market.provider import Cheat, ProviderAgent, Settings
from chain.wallet.client import RpcError
from ext import hashing
from runtime.market.jobs.auction import seal_bid
from runtime.market.jobs.numbers import PART_BLOCKS, SHORT_WINDOW_ERAS
from runtime.market.nouns import JobState, Reason, Verification
from tests.support.town import GRIST, Town, TownClient
from tests.support.town import Settings as TownSettings

ACCEPTANCE = Verification.ACCEPTANCE
RATE = GRIST // 100


class Shop:
    """A town in which Paula can be stopped and started again at any time."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.town = Town(path)
        self.town.add_dataset("Eve", GRIST)
        self.town.add_provider("Paula", settings or TownSettings())
        self.agent: ProviderAgent = self.town.agents[-1].__self__  # type: ignore[attr-defined]  # a bound method

    def restart(self, settings: Settings | None = None) -> None:
        """Kill Paula and start her again, with nothing but her files."""
        self.town.agents.remove(self.agent.tick)
        self.town.desks["Paula"] = Desk()
        self.agent = self.town.start_provider("Paula", settings or Settings())

    def submit(self, **changes: Any) -> int:
        return self.town.submit("Dave", self.town.spec(**{"verification": ACCEPTANCE, **changes}))

    def ask(self, **changes: Any) -> int:
        """Submit a job whose requester signs nothing."""
        number = int(self.town.market.jobs.job_count)
        spec = self.town.spec(**{"verification": ACCEPTANCE, **changes})
        self.town.do("Dave", "Jobs", "submit", spec, None, None, None)
        return number

    def job(self, number: int) -> Any:
        return self.town.market.jobs.find(number)

    def bids(self) -> list[int]:
        """The jobs for which Paula has sealed bids on the chain."""
        bids = self.town.market.jobs.bids
        return [number for (number, who), _ in bids.items() if who == self.town.id("Paula")]

    def said(self, words: str) -> int:
        return sum(words in sentence for sentence in self.town.said)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("every", [3, 4, 7])
def test_killed_again_and_again_it_settles_an_audited_job(tmp_path: Path, every: int) -> None:
    shop = Shop(tmp_path)
    shop.town.add_verifiers("Alice", "Bob", "Charlie")
    number = shop.submit(verification=Verification.AUDIT)
    seen = []
    for turn in range(400):
        state = shop.job(number).state
        seen.append(state)
        if state >= JobState.SETTLED:
            break
        # It trains a quarter in each look at a run: killed as often it would never come to the end
        if turn % every == 0 and state is not JobState.RUNNING:
            shop.restart()
        shop.town.block()
    job = shop.job(number)
    assert (job.state, job.reason) == (JobState.SETTLED, Reason.AUDIT_PASSED)
    assert {JobState.BIDDING, JobState.REVEALING, JobState.RUNNING, JobState.WINDOW} <= {*seen}
    assert shop.town.failures == []


def test_killed_while_it_runs_it_trains_again_to_the_same_bytes(shop: Shop) -> None:
    number = shop.submit()
    shop.town.until(number, JobState.RUNNING)
    shop.restart()
    shop.town.block()
    shop.restart()
    job = shop.town.until(number, JobState.WINDOW)
    result = shop.town.market.jobs.result(number)
    shop.town.until(number, JobState.SETTLED)
    assert DataDirectory(shop.town.path / "Paula").read_weights(result.final_state)
    assert job.attempt == 0
    assert shop.town.failures == []


def test_killed_in_a_dispute_it_defends_what_is_right(shop: Shop) -> None:
    number = shop.submit()
    shop.town.until(number, JobState.WINDOW)
    shop.town.do("Ferdie", "Disputes", "challenge", number, 9)
    nagger = shop.town.client("Ferdie")

    def nag() -> None:
        for dispute, found in nagger.look().market.disputes.disputes.items():
            if found.stage.name == "REPLY":
                nagger.send("Disputes", "reply", dispute, found.asked, False)

    shop.town.agents.append(nag)
    for turn in range(120):
        if shop.job(number).state is JobState.WINDOW:
            break
        if turn % 9 == 0:
            shop.restart()
        shop.town.block()
    assert (shop.job(number).state, shop.job(number).attempt) == (JobState.WINDOW, 0)
    shop.town.until(number, JobState.SETTLED)


def test_a_second_receipt_of_a_place_is_never_signed(shop: Shop) -> None:
    """Whatever it finds after a restart, it shows what it wrote down before it signed."""
    number = shop.submit()
    shop.town.until(number, JobState.RUNNING)
    shop.town.agents.pop()
    for _ in range(3):
        shop.town.block()
        offered = shop.town.desks["Paula"].offered(number)
        if offered is not None and offered.receipt.checkpoint:
            break
    assert offered is not None
    first = offered.receipt
    shop.restart(Settings(cheat=Cheat.SKIP_WORK))
    seen = []
    for _ in range(4):
        shop.town.block()
        again = shop.town.desks["Paula"].offered(number)
        if again is not None:
            seen.append(again.receipt)
    assert first in seen or all(one.checkpoint > first.checkpoint for one in seen)
    assert all(one == first for one in seen if one.checkpoint == first.checkpoint)
    kept = shop.agent.memory
    assert type(first).wire.decode(kept.keep_receipt(number, 0, first.checkpoint, b"")) == first


def test_no_receipt_is_offered_behind_one_that_was_written_down(shop: Shop) -> None:
    number = shop.ask()
    job = shop.town.until(number, JobState.MATCHED)
    shop.agent.memory.keep_receipt(number, job.attempt, 24, b"later")
    market, work = shop.town.market, None
    work = shop.agent._work_of(market, number, job)
    assert work is not None
    for _ in range(3):
        shop.agent._train(work, stops=work.milestones)
    assert work.trace.done == 24
    work.trace.runs.pop()
    shop.agent.desk.withdraw(number)
    shop.agent._offer_next(market, number, job, work)
    assert shop.agent.desk.offered(number) is None


def test_a_bid_that_did_not_arrive_is_sent_again_as_it_was(shop: Shop) -> None:
    sent: list[bytes] = []

    def refuse(extrinsic: bytes) -> bytes:
        sent.append(extrinsic)
        raise RpcError(1016, "the pool is full")

    shop.agent.chain.client = _Refusing(shop.town, refuse)  # type: ignore[assignment]  # it plays the node
    number = shop.ask()
    shop.town.blocks(2)
    assert (shop.bids(), len(sent)) == ([], 3)
    price = shop.agent.memory.bid(number, 0)
    assert price == RATE * 1_000
    shop.restart(Settings(price=RATE // 2))
    shop.town.blocks(2)
    assert shop.bids() == [number]
    bid = shop.town.market.jobs.bids[number, shop.town.id("Paula")]
    salt = bid_salt(shop.agent.memory, number, 0)
    assert bid.commitment == seal_bid(number, shop.town.id("Paula"), price, salt)
    assert shop.said("Jobs.commit_bid is not sent: the pool is full") == 1


class _Refusing(TownClient):
    """A node whose pool is full."""

    def __init__(self, town: Town, refuse: Callable[..., bytes]) -> None:
        super().__init__(town)
        self.refuse = refuse

    def submit(self, extrinsic: bytes) -> bytes:
        return self.refuse(extrinsic)


@pytest.mark.parametrize("room", [1, 2])
def test_it_bids_for_no_more_than_it_has_room_for(tmp_path: Path, room: int) -> None:
    shop = Shop(tmp_path, Settings(jobs_max=room))
    numbers = [shop.ask() for _ in range(3)]
    shop.town.blocks(3)
    assert sorted(shop.bids()) == numbers[:room]
    shop.town.until(numbers[0], JobState.MATCHED)
    shop.town.blocks(3)
    assert [n for n in numbers if shop.agent.memory.bid(n, 0) is not None] == numbers[:room]


def test_what_it_cannot_or_will_not_do_it_does_not_bid_for(shop: Shop) -> None:
    asked = [
        shop.ask(max_price=9 * GRIST),
        shop.ask(program=hashing.blake2b_256(b"another"), datasets=(), params=b""),
        shop.ask(min_tier=4),
    ]
    shop.town.blocks(3)
    assert (shop.bids(), shop.agent.memory.jobs()) == ([], [])
    assert shop.said(f"job {asked[0]} pays less than this machine asks") == 1
    assert shop.said(f"job {asked[2]} cannot be taken") == 1


def test_without_the_data_it_does_not_bid(shop: Shop) -> None:
    (shop.agent.data.path / shop.town.root.hex()).unlink()
    number = shop.ask()
    shop.town.blocks(3)
    assert shop.bids() == []
    assert shop.said(f"job {number} is not bid for") == 1


def test_who_failed_a_job_does_not_try_it_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Settings(cheat=Cheat.VANISH))
    number = shop.submit(heartbeat=5, tolerance=1)
    shop.town.until(number, JobState.WINDOW, JobState.OPEN, limit=200)
    for _ in range(100):
        if shop.job(number).attempt:
            break
        shop.town.block()
    assert shop.job(number).reason is Reason.OFFLINE
    assert shop.job(number).first_checkpoint >= 8, "what was accepted is not lost"
    shop.restart()
    shop.town.blocks(5)
    assert (shop.bids(), shop.agent.memory.bid(number, 1)) == ([], None)
    assert shop.job(number).state is JobState.OPEN
    assert shop.town.failures == [], "it does not even try"


def test_a_flood_of_newer_jobs_makes_it_neglect_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEWEST", 1)
    monkeypatch.setattr(ProviderAgent, "_train", lambda *_, **__: None)
    number = shop.submit(heartbeat=5, tolerance=1)
    shop.town.until(number, JobState.RUNNING)
    for _ in range(4):
        shop.ask(max_price=GRIST)
    shop.town.blocks(30)
    job = shop.job(number)
    assert job.state is JobState.RUNNING
    assert shop.town.chain.height - job.heard < 10
    monkeypatch.undo()
    monkeypatch.setattr(module, "NEWEST", 1)
    shop.restart()
    shop.town.until(number, JobState.WINDOW)
    shop.town.until(number, JobState.SETTLED)
    assert shop.town.failures == []


def test_a_beat_comes_in_the_middle_of_its_time_and_not_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProviderAgent, "_train", lambda *_, **__: None)
    number = shop.submit(heartbeat=10)
    shop.town.until(number, JobState.RUNNING)
    beats = []
    for _ in range(24):
        before = shop.job(number).heard
        shop.town.block()
        if shop.job(number).heard != before:
            beats.append(shop.job(number).heard)
    gaps = [after - before for before, after in itertools.pairwise(beats)]
    assert len(beats) >= 3
    assert all(5 <= gap <= 7 for gap in gaps)


def test_the_bond_of_each_part_of_a_long_run_is_locked_in_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = shop.town.chain.open()
    PART_BLOCKS.begin(runtime.ctx, 60)
    shop.town.chain.close()
    monkeypatch.setattr(ProviderAgent, "_train", lambda *_, **__: None)
    number = shop.submit(run_blocks=180)
    shop.town.until(number, JobState.RUNNING)
    annex = shop.town.market.jobs.annexes[number]
    assert (annex.parts, annex.parts_backed) == (3, 1)
    states = []
    for _ in range(130):
        shop.town.block()
        states.append(shop.job(number).state)
    assert shop.town.market.jobs.annexes[number].parts_backed == 3
    assert {*states} == {JobState.RUNNING}, "it never had to pause"
    assert shop.town.failures == []


def test_three_providers_open_their_seals_and_are_compared(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for name in ("Rob", "Sue"):
        shop.town.add_provider(name, Settings())
    spec = shop.town.spec(verification=Verification.REPLICATION, replicas=3)
    first = int(shop.town.market.jobs.job_count)
    shop.town.submit("Dave", spec)
    for number in (first + 1, first + 2):
        shop.town.agents.append(shop.town._cosigner("Dave", number))
    ends = [shop.town.until(first + n, JobState.SETTLED) for n in range(3)]
    assert {job.reason for job in ends} == {Reason.AUDIT_PASSED}
    assert len({job.provider for job in ends}) == 3


def test_what_is_over_is_forgotten(shop: Shop) -> None:
    number = shop.submit()
    shop.town.until(number, JobState.WINDOW)
    assert shop.agent.memory.jobs() == [number]
    shop.town.until(number, JobState.SETTLED)
    shop.town.block()
    assert (shop.agent.memory.jobs(), shop.agent._works) == ([], {})
    assert shop.town.desks["Paula"].offered(number) is None


def long_town(path: Path, settings: Settings | None = None) -> tuple[Shop, int]:
    """A town in which a run of 180 blocks has three parts, and such a job."""
    shop = Shop(path, settings)
    runtime = shop.town.chain.open()
    PART_BLOCKS.begin(runtime.ctx, 60)
    SHORT_WINDOW_ERAS.begin(runtime.ctx, 1)
    shop.town.chain.close()
    shop.town.add_verifiers("Alice", "Bob", "Charlie", "Dave")
    return shop, shop.submit(verification=Verification.AUDIT, run_blocks=180)


@pytest.mark.parametrize("is_killed", [False, True])
def test_it_closes_the_parts_of_a_long_run_and_answers_for_each(
    tmp_path: Path, is_killed: bool
) -> None:
    shop, number = long_town(tmp_path)
    for _ in range(500):
        annex, state = shop.town.market.jobs.annexes[number], shop.job(number).state
        if state >= JobState.SETTLED:
            break
        if is_killed and state is JobState.WINDOW and shop.town.chain.height % 40 == 0:
            shop.restart()
        shop.town.block()
    parts = [shop.job(part) for part in annex.part_numbers]
    assert len(parts) == 2, shop.town.said
    assert {(job.state, job.reason) for job in (*parts, shop.job(number))} == {
        (JobState.SETTLED, Reason.AUDIT_PASSED)
    }
    ends = [(job.first_checkpoint, job.end_checkpoint) for job in (*parts, shop.job(number))]
    assert ends == [(0, 11), (11, 22), (22, 32)]
    assert shop.town.failures == []
    shop.town.block()
    assert shop.agent._works == {}


def test_a_cheat_in_a_long_run_loses_what_it_made_from_there_on(tmp_path: Path) -> None:
    shop, number = long_town(tmp_path, Settings(cheat=Cheat.WRONG_CHECKPOINT))
    job = shop.town.until(number, JobState.OPEN, JobState.WAITING, limit=300)
    for _ in range(300):
        job = shop.job(number)
        if job.attempt:
            break
        shop.town.block()
    assert (job.attempt, job.reason) == (1, Reason.WRONG_CHECKPOINT)
    parts = [shop.job(part) for part in shop.town.market.jobs.annexes[number].part_numbers]
    assert JobState.FAILED in {part.state for part in parts}
    assert shop.town.failures == []
