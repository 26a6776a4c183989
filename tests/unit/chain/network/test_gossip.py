"""What the driver says arrives, once judged; what it lacks is fetched; batches of transactions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from chain.network import limits
from chain.network.envelope import encode_message
from chain.network.gossip import BALLOT_LIMITS, ConsensusGossip
from chain.network.interface import ServiceLimits, Verdict
from chain.network.messages import (
    Accepted,
    BlockMessage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    ProposalMessage,
    TransactionBatch,
    VotesMessage,
)
from chain.network.meter import SilentMeter
from chain.network.simulated import SimulatedHub, SimulatedNetwork
from chain.network.transactions import BATCH_BYTES, TransactionGossip
from consensus.types import Block, Decision, DuplicateVote
from tests.support.consensus import make_team
from tests.unit.chain.network.block_chain import make_blocks
from tests.unit.chain.network.contract import meet, until

TEAM = make_team([1, 1, 1, 1])
SMALL, BIG = (make_blocks([TEAM] * 3, extrinsic_bytes=size)[0] for size in (100, 900_000))
STATUS = ConsensusStatus(1, 0, 0, -1, (), ())


class Ears:
    """Writes down what a driver would hear."""

    def __init__(self, verdict: Verdict = Verdict.ACCEPT) -> None:
        self.heard: list[tuple[str, object]] = []
        self.gone: list[str] = []
        self.verdict = verdict

    async def hear_proposal(self, _peer, proposal, block):
        self.heard.append(("proposal", (proposal, block)))
        return self.verdict

    async def hear_votes(self, _peer, votes):
        self.heard.append(("votes", tuple(votes)))
        return self.verdict

    async def hear_certificate(self, _peer, certificate):
        self.heard.append(("certificate", certificate))
        return self.verdict

    async def hear_status(self, _peer, status):
        self.heard.append(("status", status))
        return self.verdict

    async def hear_claim(self, _peer, claim):
        self.heard.append(("claim", claim))
        return self.verdict

    async def hear_decision(self, _peer, decision):
        self.heard.append(("decision", decision))
        return self.verdict

    async def hear_evidence(self, _peer, evidence):
        self.heard.append(("evidence", evidence))
        return self.verdict

    def on_peer_gone(self, peer):
        self.gone.append(peer)


class Tally(SilentMeter):
    """A meter that adds up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, _label: str = "", amount: int = 1) -> None:
        self.counts[name] += amount


class Node:
    """A network, gossip, and blocks that it can hand out."""

    def __init__(self, hub: SimulatedHub, name: str, *, validators: int = 4) -> None:
        self.blocks: dict[bytes, Block] = {}
        self.tally = Tally()
        self.network = SimulatedNetwork(hub, name)
        self.gossip = ConsensusGossip(
            self.network,
            find_block=self.blocks.get,
            count_validators=lambda: validators,
            meter=self.tally,
        )
        self.ears = Ears()
        self.gossip.attach(self.ears)

    def heard(self, kind: str) -> list[object]:
        return [what for name, what in self.ears.heard if name == kind]


def play(scenario, *, names: Sequence[str] = "abc", validators: int = 4) -> None:
    async def main() -> None:
        hub = SimulatedHub(seed=5)
        nodes = [Node(hub, name, validators=validators) for name in names]
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.network.run)
                nursery.start_soon(node.gossip.run)
            await meet([node.network for node in nodes])
            await scenario(*nodes)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("validators", [4, 100])
def test_a_vote_reaches_everybody_whichever_way_it_comes(validators):
    async def scenario(a, b, c):
        await a.gossip.send_votes((TEAM.vote(0),))
        await trio.sleep(5)
        for node in (b, c):
            assert set(node.heard("votes")) == {(TEAM.vote(0),)}
        assert a.heard("votes") == []

    play(scenario, validators=validators)


def test_votes_are_not_gossiped_while_every_validator_is_a_peer():
    published: list[str] = []

    async def scenario(a, b, c, d):
        async def publish(topic, payload):
            published.append(topic)
            return True

        a.network.publish = publish
        await a.gossip.send_votes((TEAM.vote(0),))
        for index, node in enumerate((b, c, d), start=1):
            await node.gossip.send_claim(Claim(index, node.network.local_peer, 1, 1, bytes(64)))
        await trio.sleep(1)
        await a.gossip.send_votes((TEAM.vote(0, round_=1),))
        await a.gossip.send_proposal(TEAM.proposal(0, block_id=SMALL.block.block_id), SMALL.block)
        assert published == ["vote"]
        await trio.sleep(1)
        assert (TEAM.vote(0, round_=1),) in d.heard("votes")
        a.network.hub.partition("abc", "d")
        await trio.sleep(1)
        await a.gossip.send_votes((TEAM.vote(0, round_=2),))
        assert published == ["vote", "vote"]

    play(scenario, names="abcd")


def test_a_proposal_carries_a_small_block_with_it():
    proposal = TEAM.proposal(0, block_id=SMALL.block.block_id)

    async def scenario(a, b, c):
        await a.gossip.send_proposal(proposal, SMALL.block)
        await until(lambda: (proposal, SMALL.block) in c.heard("proposal"))

    play(scenario)


def test_a_large_block_is_pushed_right_behind_its_proposal():
    proposal = TEAM.proposal(0, block_id=BIG.block.block_id)
    assert len(BIG.block.encode()) > limits.INLINE_BLOCK_BYTES_MAX

    async def scenario(a, b, c):
        await a.gossip.send_proposal(proposal, BIG.block)
        await until(lambda: (proposal, None) in b.heard("proposal"))
        await until(lambda: BIG.block.block_id in b.gossip._pushed)
        assert await b.gossip.fetch_block(BIG.block.block_id) == BIG.block

    play(scenario)


def test_a_block_is_fetched_from_whoever_has_it():
    async def scenario(a, b, c):
        assert await a.gossip.fetch_block(SMALL.block.block_id) is None
        c.blocks[SMALL.block.block_id] = SMALL.block
        assert await a.gossip.fetch_block(SMALL.block.block_id) == SMALL.block

    play(scenario)


def test_whoever_hands_out_another_block_than_asked_is_banned():
    async def lie(peer, payload):
        return encode_message(BlockMessage(bytes(32), SMALL.block.encode()), request_id=1)

    async def scenario(a, b):
        b.network.serve("body", lie, ServiceLimits(256, 1 << 20))
        assert await a.gossip.fetch_block(bytes(32)) is None
        assert a.network.peers() == []

    play(scenario, names="ab")


def test_certificates_claims_status_evidence_and_answers_arrive():
    certificate = TEAM.certificate([0, 1, 2])
    claim = Claim(1, "a", 2, 3, bytes(64))
    first, second = sorted(
        (TEAM.vote(0, block_id=bytes([n]) * 32) for n in (1, 2)), key=lambda vote: vote.encode()
    )
    evidence = DuplicateVote(TEAM.validators.set_id, first, second)
    proposal = TEAM.proposal(0, block_id=SMALL.block.block_id)

    async def scenario(a, b, c):
        await a.gossip.send_certificate(certificate)
        await a.gossip.send_claim(claim)
        await a.gossip.send_status(STATUS)
        await a.gossip.send_evidence(evidence)
        await a.gossip.answer("b", votes=(TEAM.vote(1), TEAM.vote(2)), decision=SMALL)
        await a.gossip.answer("b", proposals=((proposal, SMALL.block),), certificate=certificate)
        await trio.sleep(5)
        assert b.heard("certificate")[0] == certificate
        assert set(b.heard("claim")) == {claim}
        assert b.heard("status") == [STATUS]
        assert b.heard("evidence") == [evidence]
        assert b.heard("votes") == [(TEAM.vote(1), TEAM.vote(2))]
        assert b.heard("decision") == [Decision(SMALL.block, SMALL.commit, None)]
        assert b.heard("proposal") == [(proposal, SMALL.block)]
        assert c.heard("decision") == []

    play(scenario)


def test_a_body_is_not_sent_twice_while_it_may_be_under_way():
    proposal = TEAM.proposal(0, block_id=SMALL.block.block_id)

    async def scenario(a, b):
        await a.gossip.send_proposal(proposal, SMALL.block)
        for _ in range(20):  # four seconds of statuses
            await a.gossip.answer("b", proposals=((proposal, SMALL.block),), decision=SMALL)
            await trio.sleep(0.2)
        assert len(b.heard("decision")) == 4
        assert [block for _, block in b.heard("proposal")].count(SMALL.block) == 1 + 4

    play(scenario, names="ab")


def test_votes_on_their_way_are_not_sent_again_and_overdue_ones_are():
    votes = tuple(TEAM.vote(index) for index in range(3))

    async def scenario(a, b):
        await a.gossip.send_votes(votes)
        await a.gossip.answer("b", votes=votes)
        await trio.sleep(0.3)
        assert b.heard("votes") == [votes]
        await trio.sleep(0.2)
        for _ in range(4):
            await a.gossip.answer("b", votes=votes)
        await trio.sleep(0.3)
        assert b.heard("votes") == [votes, votes]

    play(scenario, names="ab", validators=100)


def test_each_vote_is_counted_once_where_it_is_said_and_where_it_has_come():
    votes = tuple(TEAM.vote(index) for index in range(3))

    async def scenario(a, b):
        await a.gossip.send_votes(votes)
        await trio.sleep(1)
        await a.gossip.answer("b", votes=votes)
        await b.gossip.answer("a", votes=votes)
        await trio.sleep(1)
        b.ears.verdict = Verdict.IGNORE
        await a.gossip.send_votes((TEAM.vote(0, round_=1),))
        await trio.sleep(1)
        assert a.tally.counts == {"votes_said_total": 4}
        assert b.tally.counts == {"votes_heard_total": 3}

    play(scenario, names="ab")


def test_votes_have_a_kind_of_their_own_among_the_small_things():
    kind_of = BALLOT_LIMITS.kind_of
    assert kind_of(encode_message(VotesMessage((TEAM.vote(0),)))) == "votes"
    assert kind_of(encode_message(STATUS)) == "ballots"
    assert kind_of(b"") == "ballots"


def test_a_status_that_changed_is_told_at_once_and_another_now_and_then():
    async def scenario(a, b):
        for height in range(3):
            await a.gossip.send_status(replace(STATUS, height=height))
        await until(lambda: len(b.heard("status")) == 3)
        for _ in range(15):
            await a.gossip.send_status(STATUS)
            await trio.sleep(0.2)
        assert len(b.heard("status")) == 3 + 5

    play(scenario, names="ab")


def test_what_the_driver_rejects_bans_its_sender():
    async def scenario(a, b):
        b.ears.verdict = Verdict.REJECT
        for round_ in range(5):
            a.network.send(
                "b", "ballots", encode_message(VotesMessage((TEAM.vote(0, round_=round_),)))
            )
        await until(lambda: b.network.peers() == [])
        await until(lambda: b.ears.gone == ["a"])

    play(scenario, names="ab")


def test_bytes_that_are_no_message_ban_their_sender():
    async def scenario(a, b):
        for number in range(5):
            a.network.send("b", "bodies", b"junk %d" % number)
        await until(lambda: b.network.peers() == [])
        assert b.ears.heard == []

    play(scenario, names="ab")


def test_a_message_of_the_wrong_channel_is_malformed():
    async def scenario(a, b):
        a.network.send("b", "ballots", encode_message(BlockMessage(bytes(32), b"block")))
        await trio.sleep(1)
        assert b.network.scores.score("a") < -20

    play(scenario, names="ab")


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("vote", STATUS),
        ("vote", Claim(1, "a", 2, 3, bytes(64))),
        ("vote", CertificateMessage(TEAM.certificate([0, 1, 2]))),
        ("evidence", DecisionMessage(SMALL.encode())),
        ("evidence", ProposalMessage(TEAM.proposal(0, block_id=SMALL.block.block_id))),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_a_peer_says_of_itself_is_not_passed_on_in_its_neighbours_name(topic, message):
    """Gossip gives the forwarder for the sender: whole networks would look far behind."""

    async def scenario(a, b):
        await a.network.publish(topic, encode_message(message))
        await trio.sleep(1)
        assert b.ears.heard == []
        assert b.network.scores.score("a") < -20

    play(scenario, names="ab")


class Desk:
    """A pool that takes everything and remembers it."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, ...]] = []
        self.verdict = Verdict.ACCEPT

    async def on_transactions(self, _peer, transactions):
        self.batches.append(tuple(transactions))
        return self.verdict


def play_transactions(scenario) -> None:
    async def main() -> None:
        hub = SimulatedHub(seed=5)
        networks = [SimulatedNetwork(hub, name) for name in "abc"]
        gossips = [TransactionGossip(network) for network in networks]
        desks = [Desk() for _ in networks]
        for gossip, desk in zip(gossips, desks, strict=True):
            gossip.attach(desk)
        async with trio.open_nursery() as nursery:
            for network, gossip in zip(networks, gossips, strict=True):
                await nursery.start(network.run)
                nursery.start_soon(gossip.run)
            await meet(networks)
            await scenario(networks, gossips, desks)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_transactions_of_a_tenth_of_a_second_travel_together():
    async def scenario(networks, gossips, desks):
        for number in range(50):
            assert gossips[0].announce(b"transaction %d" % number)
        await trio.sleep(2)
        assert [len(batch) for batch in desks[1].batches] == [50]
        gossips[0].announce(b"later")
        await trio.sleep(2)
        assert desks[2].batches[1:] == [(b"later",)]
        assert desks[0].batches == []

    play_transactions(scenario)


def test_a_steady_stream_of_transactions_travels_in_few_batches_and_a_single_one_soon():
    """Each batch costs everybody two milliseconds, several times over."""

    async def scenario(networks, gossips, desks):
        for number in range(200):
            gossips[0].announce(b"transaction %d" % number)
            await trio.sleep(0.01)
        await trio.sleep(2)
        assert sum(map(len, desks[1].batches)) == 200
        assert len(desks[1].batches) <= 7
        gossips[0].announce(b"alone")
        await trio.sleep(0.2)
        assert desks[1].batches[-1] == (b"alone",)

    play_transactions(scenario)


def test_many_transactions_make_several_batches_and_none_is_lost():
    async def scenario(networks, gossips, desks):
        sent = [b"%06d" % number + bytes(200) for number in range(1000)]
        for transaction in sent:
            assert gossips[0].announce(transaction)
        await trio.sleep(2)
        assert sorted(t for batch in desks[1].batches for t in batch) == sent
        assert len(desks[1].batches) <= 1 + sum(map(len, sent)) // BATCH_BYTES

    play_transactions(scenario)


def test_a_transaction_beyond_the_limit_is_not_spread():
    async def scenario(networks, gossips, desks):
        assert not gossips[0].announce(bytes(limits.TRANSACTION_BYTES_MAX + 1))

    play_transactions(scenario)


def test_a_batch_can_be_handed_in_by_request():
    async def scenario(networks, gossips, desks):
        batch = encode_message(TransactionBatch((b"one",)), request_id=1)
        answer = await networks[0].request("b", "tx", batch, response_bytes_max=64)
        assert answer == encode_message(Accepted(), request_id=1)
        assert desks[1].batches == [(b"one",)]

    play_transactions(scenario)


def test_the_large_block_of_these_tests_is_honest():
    assert replace(BIG).block.check_body() is None


def test_another_body_under_a_blocks_id_is_nobodys_block():
    proposal = TEAM.proposal(0, block_id=SMALL.block.block_id)
    tampered = replace(SMALL.block, extrinsics=(b"another",))
    assert tampered.block_id == SMALL.block.block_id

    async def scenario(a, b, c):
        await a.gossip.send_proposal(proposal, tampered)
        await trio.sleep(1)
        assert [block for _, block in b.heard("proposal") if block is not None] == []
        a.blocks[SMALL.block.block_id] = tampered
        assert await b.gossip.fetch_block(SMALL.block.block_id) is None

    play(scenario)
