"""Catching up over the simulated network, from honest peers and from liars."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from chain.errors import InvalidBlock
from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.messages import HeaderProof, HeadersPage
from chain.network.simulated import Flight, SimulatedHub, SimulatedNetwork
from chain.network.sync import BlockSync
from chain.network.sync_pages import LyingPage, SyncServer, open_blocks, prove_page
from tests.support.consensus import GENESIS, make_team, team_of
from tests.unit.chain.network.block_chain import FakeLedger, genesis_header, make_blocks
from tests.unit.chain.network.contract import until

OLD = team_of({0: 3, 1: 2, 2: 1})
NEW = team_of({1: 2, 2: 1, 3: 4}, set_id=1)
FORK = bytes(32)


def teams_of(count: int, change_at: int | None = None):
    """Who decides heights 1 to count, and the height after."""
    change = count + 2 if change_at is None else change_at
    return [OLD if height < change else NEW for height in range(1, count + 2)]


class Node:
    """A node with a ledger, its handshake, a server, and sync."""

    def __init__(self, hub: SimulatedHub, name: str, ledger: FakeLedger) -> None:
        self.ledger = ledger
        self.claims = ClaimBook()
        handshake = ChainHandshake(
            ledger, self.claims, compute_fork_id=lambda: FORK, find_block_id=ledger.block_id
        )
        self.network = SimulatedNetwork(hub, name, handshake=handshake)
        SyncServer(self.network, ledger).attach()
        self.sync = BlockSync(self.network, ledger, self.claims, suspended=self._suspended)
        self.suspensions = 0
        self.peers_at_end: list[str] = []

    @asynccontextmanager
    async def _suspended(self) -> AsyncIterator[None]:
        self.suspensions += 1
        yield


def play(
    arrange: Callable[[SimulatedHub], list[Node]],
    done: Callable[[list[Node]], bool],
    *,
    patience: float = 600,
) -> list[Node]:
    nodes: list[Node] = []

    async def main() -> None:
        nodes.extend(arrange(SimulatedHub(seed=3)))
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.network.run)
            nursery.start_soon(nodes[0].sync.run)
            await until(lambda: done(nodes), patience=patience)
            for node in nodes:
                node.peers_at_end = node.network.peers()
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return nodes


def has_caught_up(nodes: list[Node]) -> bool:
    return nodes[0].ledger.tip.number == max(node.ledger.tip.number for node in nodes[1:])


@pytest.fixture(scope="module")
def long_chain():
    teams = teams_of(600, change_at=300)
    return teams, make_blocks(teams)


def test_a_new_node_syncs_over_windows_and_a_set_change(long_chain):
    teams, decisions = long_chain

    def arrange(hub):
        full = [Node(hub, f"full{i}", FakeLedger(teams, decisions)) for i in range(3)]
        return [Node(hub, "new", FakeLedger(teams)), *full]

    nodes = play(arrange, has_caught_up)
    assert nodes[0].ledger.tip == decisions[-1].block.header
    assert nodes[0].suspensions == 1


def test_bodies_come_from_several_peers(long_chain):
    teams, decisions = long_chain
    served: dict[str, int] = {}

    def arrange(hub):
        def count(flight: Flight) -> list[bytes]:
            if (flight.way, flight.name) == ("response", "blocks"):
                served[flight.sender] = served.get(flight.sender, 0) + 1
            return [flight.payload]

        hub.tamper = count
        full = [Node(hub, f"full{i}", FakeLedger(teams, decisions)) for i in range(2)]
        return [Node(hub, "new", FakeLedger(teams)), *full]

    play(arrange, has_caught_up)
    assert set(served) == {"full0", "full1"}


@pytest.mark.parametrize("name", ["headers", "blocks"])
def test_a_peer_whose_pages_are_damaged_is_banned_and_the_others_finish(long_chain, name):
    teams, decisions = long_chain

    def arrange(hub):
        def tamper(flight: Flight) -> list[bytes]:
            if (flight.way, flight.name, flight.sender) == ("response", name, "a liar"):
                middle = len(flight.payload) // 2
                damaged = bytes([flight.payload[middle] ^ 1])
                return [flight.payload[:middle] + damaged + flight.payload[middle + 1 :]]
            return [flight.payload]

        hub.tamper = tamper
        full = [Node(hub, n, FakeLedger(teams, decisions)) for n in ("a liar", "full0", "full1")]
        return [Node(hub, "new", FakeLedger(teams)), *full]

    nodes = play(arrange, has_caught_up)
    assert nodes[0].peers_at_end == ["full0", "full1"]


def test_a_peer_that_never_answers_costs_time_and_no_more(long_chain):
    teams, decisions = long_chain

    def arrange(hub):
        hub.tamper = lambda flight: [] if flight.sender == "a mute" else [flight.payload]
        full = [Node(hub, n, FakeLedger(teams, decisions)) for n in ("a mute", "full0")]
        return [Node(hub, "new", FakeLedger(teams)), *full]

    play(arrange, has_caught_up)


def test_a_height_without_its_commit_is_not_believed(long_chain):
    teams, decisions = long_chain
    other = make_blocks([make_team([1, 1], first=20)] * 50)

    def arrange(hub):
        liar = FakeLedger(teams, decisions[:40])
        liar.decisions[-1] = replace(other[39], block=other[39].block)
        full = FakeLedger(teams, decisions[:20])
        return [
            Node(hub, "new", FakeLedger(teams)),
            Node(hub, "a liar", liar),
            Node(hub, "full", full),
        ]

    nodes = play(arrange, lambda nodes: nodes[0].ledger.tip.number == 20)
    assert nodes[0].ledger.tip == decisions[19].block.header


def test_consensus_is_not_held_still_for_a_height_that_nobody_proves(long_chain):
    """A claim beyond the sets we know cannot be checked in the handshake: it costs nothing yet."""
    teams, decisions = long_chain
    other = make_blocks([make_team([1, 1], first=20)] * 50)
    answered: dict[str, None] = {}

    def arrange(hub):
        liar = FakeLedger(teams, decisions[:40])
        liar.decisions[-1] = replace(other[39], block=other[39].block)
        mute = FakeLedger(teams, decisions[:40])

        def tamper(flight: Flight) -> list[bytes]:
            is_page = (flight.way, flight.name) == ("response", "headers")
            if is_page:
                answered[flight.sender] = None
            return [] if is_page and flight.sender == "mute" else [flight.payload]

        hub.tamper = tamper
        return [
            Node(hub, "new", FakeLedger(teams)),
            Node(hub, "a liar", liar),
            Node(hub, "mute", mute),
        ]

    nodes = play(arrange, lambda nodes: len(answered) == 2 and nodes[0].sync.target == 0)
    assert nodes[0].suspensions == 0


def test_a_claim_that_can_be_checked_is_checked_in_the_handshake(long_chain):
    teams, decisions = long_chain
    book = ClaimBook()
    ledger = FakeLedger(teams, decisions[:10])
    ours = ChainHandshake(ledger, book, compute_fork_id=lambda: FORK, find_block_id=ledger.block_id)

    def status_of(decisions, fork_id=FORK):
        ledger = FakeLedger(teams, decisions)
        return ChainHandshake(
            ledger, ClaimBook(), compute_fork_id=lambda: fork_id, find_block_id=ledger.block_id
        ).build_status()

    assert ours.find_mismatch("a", status_of(decisions[:11])) is None
    assert book.heights == {"a": 11}
    other = make_blocks([make_team([1, 1], first=20)] * 50)
    assert "does not verify" in ours.find_mismatch("b", status_of(other[:10]))
    assert ours.find_mismatch("a", status_of(decisions[:9])) is None
    assert "rules" in ours.find_mismatch("c", status_of(decisions[:9], b"\x01" * 32))
    assert "malformed" in ours.find_mismatch("d", b"junk")
    assert book.heights == {"a": 11}


def test_statuses_may_overtake_each_other_and_a_shrinking_chain_is_a_fault():
    book = ClaimBook()
    assert book.note("a", 1000) is None
    assert book.note("a", 998) is None
    assert book.heights == {"a": 1000}
    assert "went back from 1000 to 500" in book.note("a", 500)


def page_of(decisions, teams, *, proofs=None):
    changes = {
        d.height: HeaderProof(d.height, d.commit.encode(), teams[d.height].validators.encode())
        for d in decisions
        if teams[d.height].validators != teams[d.height - 1].validators
    }
    last = decisions[-1]
    changes.setdefault(last.height, HeaderProof(last.height, last.commit.encode()))
    headers = tuple(d.block.header.encode() for d in decisions)
    return HeadersPage(headers, tuple(changes.values()) if proofs is None else proofs)


def prove(page, teams):
    return prove_page(
        page,
        parent=genesis_header(teams[0].validators),
        validators=teams[0].validators,
        genesis_hash=GENESIS,
    )


def test_a_page_is_proved_by_its_commits():
    teams = teams_of(8, change_at=5)
    decisions = make_blocks(teams)
    proved = prove(page_of(decisions, teams), teams)
    assert [header.number for header in proved.headers] == list(range(1, 9))
    assert proved.last_commit == decisions[-1].commit
    assert proved.next_validators == NEW.validators


@pytest.mark.parametrize("fault", ["gap", "foreign", "no proof", "early proof", "swapped set"])
def test_a_page_with_any_link_missing_is_refused(fault):
    teams = teams_of(8, change_at=5)
    decisions = make_blocks(teams)
    page = page_of(decisions, teams)
    first, last = page.proofs
    if fault == "gap":
        page = replace(page, headers=page.headers[:3] + page.headers[4:])
    elif fault == "foreign":
        other = make_blocks(teams, extrinsic_bytes=200)
        page = replace(
            page, headers=(*page.headers[:3], other[3].block.header.encode(), *page.headers[4:])
        )
    elif fault == "no proof":
        page = replace(page, proofs=(last,))
    elif fault == "early proof":
        page = replace(page, proofs=(first, replace(last, height=7)))
    else:
        page = replace(page, proofs=(replace(first, validators=OLD.validators.encode()), last))
    with pytest.raises(LyingPage):
        prove(page, teams)


def test_a_minority_cannot_prove_a_page():
    teams = teams_of(4)
    decisions = make_blocks(teams)
    page = page_of(decisions, teams)
    last = decisions[-1]
    weak = OLD.vote(0, kind=3, height=4, block_id=last.block.block_id)
    bitmap = bytes([1 << weak.index])
    commit = replace(last.commit, bitmap=bitmap, signatures=(weak.signature,))
    with pytest.raises(LyingPage, match="does not verify"):
        prove(replace(page, proofs=(HeaderProof(4, commit.encode()),)), teams)


def test_a_block_that_is_not_its_headers_is_refused():
    teams = teams_of(4)
    decisions = make_blocks(teams)
    other = make_blocks(teams, extrinsic_bytes=200)
    headers = tuple(d.block.header for d in decisions)
    good = tuple(d.block.encode() for d in decisions)
    assert len(open_blocks(good, headers)) == 4
    with pytest.raises(LyingPage):
        open_blocks((good[0], other[1].block.encode()), headers)
    torn = replace(decisions[1].block, extrinsics=(b"other",)).encode()
    with pytest.raises(LyingPage):
        open_blocks((good[0], torn), headers)


def test_a_block_that_was_decided_and_does_not_execute_stops_sync():
    teams = teams_of(20)
    decisions = make_blocks(teams)

    class Broken(FakeLedger):
        async def adopt_many(self, _decisions):
            raise InvalidBlock("execution gives another root", field="state_root")

        adopt = adopt_many

    async def main() -> None:
        hub = SimulatedHub(seed=1)
        new = Node(hub, "new", Broken(teams))
        full = Node(hub, "full", FakeLedger(teams, decisions))
        async with trio.open_nursery() as nursery:
            for node in (new, full):
                await nursery.start(node.network.run)
            with pytest.raises(InvalidBlock):
                await new.sync.run()
            assert new.network.peers() == ["full"]
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_a_peer_that_began_with_a_snapshot_is_no_liar_and_others_have_the_blocks(long_chain):
    teams, decisions = long_chain
    reports = []

    def arrange(hub):
        young = []
        for i in range(5):
            ledger = FakeLedger(teams, decisions)
            ledger.kept_from = 500
            young.append(Node(hub, f"a{i}", ledger))
        new = Node(hub, "new", FakeLedger(teams))
        new.network.report = lambda *said: reports.append(said)
        return [new, *young, Node(hub, "whole", FakeLedger(teams, decisions))]

    nodes = play(arrange, has_caught_up)
    assert nodes[0].ledger.tip == decisions[-1].block.header
    assert reports == []
    assert len(nodes[0].peers_at_end) == 6
