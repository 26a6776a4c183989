"""A requester: what it signs, what it refuses and why, what it challenges."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from chain.market.attempts import begin_trace, plan_of
from chain.market.content import DataDirectory, DataMissing
from chain.market.door import BadEnvelope, Envelope, PeerSilent
from chain.market.provider import Cheat
from chain.market.requester import (
    DisputeAgent,
    NothingToDispute,
    ReceiptRefused,
    RequesterAgent,
    ResultMissing,
    check_receipt,
    find_result,
)
from chain.market.training import train
from ext import signing
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import JobState, Reason, Verification
from tests.support.runtime import GENESIS_HASH
from tests.support.town import GRIST, PARAMS, Settings, Town, key_of


class DeskPeer:
    """The door of a provider in the town, without the wire."""

    url = "the door"

    def __init__(self, town: Town, name: str = "Paula") -> None:
        self.town, self.name = town, name
        self.brought: list[Envelope] = []
        self.offer: Envelope | Exception | None = None

    def receipt(self, job: int) -> Envelope | None:
        if isinstance(self.offer, Exception):
            raise self.offer
        return self.offer or self.town.desks[self.name].offered(job)

    def bring(self, envelope: Envelope) -> None:
        self.brought.append(envelope)
        self.town.desks[self.name].bring_back(envelope)

    def data(self, root: bytes) -> list[bytes]:
        return self.town.data.read(root)

    def weights(self, state: bytes) -> bytes:
        try:
            return DataDirectory(self.town.path / self.name).read_weights(state)
        except DataMissing as error:
            raise PeerSilent(str(error)) from error


class Place:
    """A town in which Paula provides, Dave asks, and nobody signs yet."""

    def __init__(self, path: Path, cheat: Cheat | None = None) -> None:
        self.town = Town(path)
        self.town.add_dataset("Eve", GRIST)
        self.town.add_provider("Paula", Settings(cheat=cheat))
        self.peer = DeskPeer(self.town)
        self.data = DataDirectory(path / "mine")
        # Long enough that receipts come between start and end
        spec = self.town.spec(verification=Verification.ACCEPTANCE, steps=32 * 4)
        self.town.do("Dave", "Jobs", "submit", spec, None, None, None)
        self.town.until(0, JobState.MATCHED)
        self.town.block()

    def agent(self, *, who: str = "Dave", is_trusting: bool = False) -> RequesterAgent:
        peers: Any = [self.peer]
        return RequesterAgent(self.town.client(who), self.data, peers, 0, is_trusting=is_trusting)

    def offered(self) -> Envelope:
        found = self.town.desks["Paula"].offered(0)
        assert found is not None
        return found

    def forge(self, **changes: Any) -> Envelope:
        """The offered receipt with other words, signed by the provider all the same."""
        receipt = replace(self.offered().receipt, **changes)
        return Envelope(receipt, signing.sign(key_of("Paula").seed, receipt.message()))

    def check(self, envelope: Envelope) -> None:
        market = self.town.market
        check_receipt(market, 0, market.jobs.find(0), envelope, genesis=GENESIS_HASH)

    def run(self) -> None:
        """Have the first receipt signed, and the first milestone offered."""
        agent = self.agent()
        agent.tick()
        for _ in range(10):
            self.town.block()
            offered = self.town.desks["Paula"].offered(0)
            if offered is not None and offered.receipt.checkpoint:
                return
        raise AssertionError(self.town.said)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that is only read: the first receipt is offered."""
    return Place(tmp_path_factory.mktemp("matched"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that is only read: a later receipt is offered."""
    place = Place(tmp_path_factory.mktemp("running"))
    place.run()
    return place


OTHER = b"o" * 32
EVERYWHERE = [
    ({"genesis": OTHER}, "of another chain"),
    ({"job": 1}, "of another job"),
    ({"attempt": 1}, "of another attempt"),
    ({"data_root": OTHER}, "of another data"),
]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *EVERYWHERE,
        ({"checkpoint": 1}, "not the first receipt"),
        ({"checkpoint_in": OTHER}, "not the first receipt"),
        ({"checkpoint_in": OTHER, "checkpoint_out": OTHER}, "not the first receipt"),
        ({"units": 1}, "not the first receipt"),
        ({"previous": OTHER}, "not the first receipt"),
    ],
)
def test_a_first_receipt_says_what_the_chain_says(
    matched: Place, changes: dict[str, Any], reason: str
) -> None:
    matched.check(matched.offered())
    with pytest.raises(ReceiptRefused, match=reason):
        matched.check(matched.forge(**changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *EVERYWHERE,
        ({"checkpoint": 0}, "checkpoint 0 is not between 0 and 32"),
        ({"checkpoint": 33}, "checkpoint 33 is not between 0 and 32"),
        ({"checkpoint_in": OTHER}, "does not begin where the last"),
        ({"previous": OTHER}, "does not follow the last"),
        ({"previous": bytes(32)}, "does not follow the last"),
        ({"units": 251}, "251 units are not between the 0 of the last one and 250"),
    ],
)
def test_a_later_receipt_goes_on_from_the_last_that_was_accepted(
    running: Place, changes: dict[str, Any], reason: str
) -> None:
    running.check(running.offered())
    with pytest.raises(ReceiptRefused, match=reason):
        running.check(running.forge(**changes))


def test_units_never_go_back(place: Place) -> None:
    place.run()
    place.agent().tick()
    place.town.block()
    place.town.block()
    job = place.town.market.jobs.find(0)
    assert job.accepted
    with pytest.raises(ReceiptRefused, match="1 units are not between the"):
        place.check(
            place.forge(
                checkpoint=32,
                units=1,
                checkpoint_in=job.accepted_state,
                previous=place.town.market.jobs.annexes[0].receipt,
            )
        )


@pytest.mark.parametrize("signature", [bytes(64), b"x" * 64, None])
def test_a_receipt_that_the_provider_has_not_signed_is_refused(
    matched: Place, signature: bytes | None
) -> None:
    receipt = matched.offered().receipt
    if signature is None:
        signature = signing.sign(key_of("Eve").seed, receipt.message())
    with pytest.raises(ReceiptRefused, match="provider of the job has not signed"):
        matched.check(Envelope(receipt, signature))


def test_every_word_of_a_receipt_is_signed(matched: Place) -> None:
    offered = matched.offered()
    for field in fields(JobReceipt):
        value = getattr(offered.receipt, field.name)
        other = value + 1 if isinstance(value, int) else OTHER
        changed = replace(offered.receipt, **{field.name: other})
        assert not changed.is_signed_by(matched.town.id("Paula"), offered.provider), field.name


def test_honest_work_is_signed_to_its_end_and_what_was_trained_is_kept(place: Place) -> None:
    agent = place.agent()
    place.town.agents.append(agent.tick)
    place.town.until(0, JobState.WINDOW)
    signed = [one.receipt.checkpoint for one in place.peer.brought]
    assert signed[0] == 0
    assert 8 in signed
    for envelope in place.peer.brought:
        message, key = envelope.receipt.message(), key_of("Dave").public
        assert signing.verify(key, message, envelope.requester or b"")
    job = place.town.market.jobs.find(0)
    assert place.data.read_weights(job.accepted_state)
    assert place.town.failures == []


def test_work_that_is_wrong_is_signed_only_by_who_trusts(tmp_path: Path) -> None:
    place = Place(tmp_path, Cheat.WRONG_CHECKPOINT)
    place.run()
    careful = place.agent()
    careful.tick()
    assert [one.receipt.checkpoint for one in place.peer.brought] == [0]
    assert "is not what the work comes to" in place.town.said[-1]
    place.agent(is_trusting=True).tick()
    assert [one.receipt.checkpoint for one in place.peer.brought] == [0, 8]


def test_work_that_cannot_be_checked_is_signed_only_by_who_trusts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run()
    monkeypatch.setattr(DeskPeer, "data", lambda *_: _silent())
    place.agent().tick()
    assert [one.receipt.checkpoint for one in place.peer.brought] == [0]
    assert "the work cannot be checked" in place.town.said[-1]
    place.agent(is_trusting=True).tick()
    assert [one.receipt.checkpoint for one in place.peer.brought] == [0, 8]


def _silent() -> list[bytes]:
    raise PeerSilent("it has no data")


def test_only_the_requester_signs(place: Place) -> None:
    place.agent(who="Eve").tick()
    assert place.peer.brought == []


@pytest.mark.parametrize("error", [BadEnvelope("it is none"), PeerSilent("it is gone")])
def test_a_door_that_gives_garbage_is_told_of_once(place: Place, error: Exception) -> None:
    place.peer.offer = error
    agent = place.agent()
    before = len(place.town.said)
    for _ in range(3):
        agent.tick()
    (sentence,) = place.town.said[before:]
    assert "is not signed: it is" in sentence


def test_two_receipts_of_one_place_are_kept_as_a_proof(place: Place) -> None:
    agent, good, bad = place.agent(), place.offered(), place.forge(units=1)
    for offer in (good, bad, good, bad):
        place.peer.offer = offer
        agent.tick()
    kept = sorted(path.name for path in place.data.path.glob("receipt-0-*"))
    assert len(kept) == 2
    assert "signed two receipts of one place" in "".join(place.town.said)


def test_strangers_and_far_places_are_kept_for_nothing(place: Place) -> None:
    agent = place.agent()
    forged = replace(place.offered().receipt, units=1)
    by_eve = Envelope(forged, signing.sign(key_of("Eve").seed, forged.message()))
    offers = [place.offered(), by_eve]
    offers += [place.forge(checkpoint=33 + n) for n in range(5)]
    offers += [place.forge(attempt=1 + n) for n in range(5)]
    for offer in offers:
        place.peer.offer = offer
        agent.tick()
    assert list(place.data.path.glob("receipt-*")) == []
    assert len(agent._seen) == 1


def test_a_result_is_fetched_by_its_state_and_measured(place: Place) -> None:
    peers: Any = [place.peer]
    with pytest.raises(ResultMissing):
        find_result(place.town.market, 0, place.data, peers)
    place.town.agents.append(place.agent().tick)
    place.town.until(0, JobState.WINDOW)
    found = find_result(place.town.market, 0, place.data, peers)
    assert (found.is_final, found.measure.rows) == (False, 512)
    assert found.measure.loss < 0.05
    place.town.until(0, JobState.SETTLED)
    assert find_result(place.town.market, 0, place.data, []).is_final
    with pytest.raises(ResultMissing):
        find_result(place.town.market, 9, place.data, peers)


@pytest.mark.parametrize("cheat", [Cheat.WRONG_CHECKPOINT, Cheat.SKIP_WORK])
def test_a_wrong_result_is_disputed_to_its_first_wrong_step(tmp_path: Path, cheat: Cheat) -> None:
    place = Place(tmp_path, cheat)
    peers: Any = [place.peer]
    place.agent(is_trusting=True).tick()
    place.town.until(0, JobState.WINDOW)
    agent = DisputeAgent(place.town.client("Ferdie"), place.data, peers, 0)
    assert agent.doubt() == 31
    assert agent.running() is None
    agent.chain.send("Disputes", "challenge", 0, agent.doubt())
    place.town.block()
    assert agent.running() == 0
    # Killed and started again in the middle, it goes on
    for turn in range(60):
        if turn == 5:
            agent = DisputeAgent(place.town.client("Ferdie"), place.data, peers, 0)
        agent.tick()
        place.town.block()
        if agent.running() is None:
            break
    job = place.town.market.jobs.find(0)
    assert (job.state, job.reason) == (JobState.OPEN, Reason.WRONG_CHECKPOINT)
    assert place.town.failures == []
    with pytest.raises(NothingToDispute):
        DisputeAgent(place.town.client("Ferdie"), place.data, peers, 0)


def test_weights_that_nobody_has_any_more_are_trained_again(matched: Place) -> None:
    market, root = matched.town.market, matched.town.root
    plan, leaves = plan_of(market.jobs.spec(0)), matched.town.data.read(root)
    at_eight = train(plan, leaves, until=8)
    job = replace(market.jobs.find(0), first_checkpoint=8, first_state=at_eight.final_state)
    trace = begin_trace(market, 0, job, matched.town.data, [])
    assert (trace.first, trace.start) == (8, at_eight.weights)
    assert matched.town.data.read_weights(job.first_state) == at_eight.weights
    wrong = replace(job, first_state=OTHER)
    with pytest.raises(DataMissing):
        begin_trace(market, 0, wrong, matched.town.data, [])


def test_only_the_reference_trainer_has_a_plan(matched: Place) -> None:
    spec = matched.town.market.jobs.spec(0)
    assert plan_of(spec).params == PARAMS
    with pytest.raises(DataMissing):
        plan_of(replace(spec, program=OTHER))
    with pytest.raises(DataMissing):
        plan_of(replace(spec, params=b"\0\1\0\0"))
