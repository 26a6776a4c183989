"""Scores, buckets, addresses, the gate and the peer book, on clocks that tests move."""

import random

import pytest

from chain.network.addresses import (
    INBOUND_PER_SUBNET_MAX,
    PENDING_PER_ADDRESS_MAX,
    InboundGate,
    PeerAddress,
    parse_external,
)
from chain.network.interface import AddressInvalid
from chain.network.packing import MalformedMessage, encode_packed
from chain.network.peer_book import BACKOFF_MAX, FAILURES_MAX, PeerBook, find_anchors, save_anchors
from chain.network.scores import BAN_SECONDS, HALF_LIFE, PeerBuckets, PeerScores, TokenBucket

ME = "12D3KooWBVZCcnfGMQuKKXvKohTaWhbimpVCjpbrTnJ6bgXtPra6"


def peer_name(number: int) -> str:
    return f"12D3KooWCQoHPSEvqtj4qZXbvgmLvyGkgnqzZ9hGNTUJqYkV{number:04d}".replace("0", "z")


def address(number: int, host: str = "10.0.0.1") -> str:
    return f"/ip4/{host}/tcp/30333/p2p/{peer_name(number)}"


def book(**changes) -> PeerBook:
    return PeerBook(ME, random.Random(1), **changes)


class HandClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_then_its_rate():
    bucket = TokenBucket(rate=2, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]


def test_each_peer_has_a_bucket_of_its_own():
    buckets = PeerBuckets(rate=0, burst=1, clock=HandClock())
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [True, False, True]


def test_a_score_decays_and_a_ban_ends():
    clock = HandClock()
    scores = PeerScores(clock)
    assert not scores.report("a", -80)
    clock.now += HALF_LIFE
    assert scores.score("a") == pytest.approx(-40)
    assert scores.report("a", -60)
    assert scores.is_banned("a")
    assert not scores.report("a", -500)
    clock.now += BAN_SECONDS
    assert not scores.is_banned("a")
    assert scores.score("a") > -100


def test_praise_cannot_be_saved_up_to_pay_for_lies():
    scores = PeerScores(HandClock())
    for _ in range(1000):
        scores.report("a", 10)
    assert scores.report("a", -121)


@pytest.mark.parametrize(
    "text",
    [
        f"/ip4/1.2.3.4/tcp/30333/p2p/{ME}",
        f"/ip6/::1/tcp/1/p2p/{ME}",
        f"/dns4/node.example.org/tcp/65535/p2p/{ME}",
    ],
)
def test_an_address_survives_parsing(text):
    assert str(PeerAddress.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ip4/1.2.3.4/tcp/30333",
        f"/ip4/1.2.3.4/udp/30333/p2p/{ME}",
        f"/ip4/1.2.3.4/tcp/0/p2p/{ME}",
        f"/ip4/1.2.3.4/tcp/65536/p2p/{ME}",
        f"/ip4/1.2.3.400/tcp/1/p2p/{ME}",
        f"/ip4/::1/tcp/1/p2p/{ME}",
        f"/ip6/1.2.3.4/tcp/1/p2p/{ME}",
        "/ip4/1.2.3.4/tcp/1/p2p/0OIl" + ME[4:],
        f"/ip4/1.2.3.4/tcp/1/p2p/{ME}\n",
    ],
)
def test_a_broken_address_is_refused(text):
    with pytest.raises(AddressInvalid):
        PeerAddress.parse(text)


def test_idle_sockets_of_one_address_leave_room_for_others():
    gate = InboundGate(is_loopback_exempt=True)
    begun = [gate.begin("127.0.0.2") for _ in range(1000)]
    assert begun.count(True) == PENDING_PER_ADDRESS_MAX
    for _ in range(40):
        assert gate.begin("127.0.0.1")
        assert gate.admit("127.0.0.1")
    assert gate.open_count == 40
    assert not gate.begin("127.0.0.1")


def test_one_neighbourhood_gets_two_places():
    gate = InboundGate()
    results = []
    for host in ("9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.8.1"):
        assert gate.begin(host)
        results.append(gate.admit(host))
        if not results[-1]:
            gate.end(host, was_open=False)
    assert results == [True] * INBOUND_PER_SUBNET_MAX + [False, True]
    gate.end("9.9.9.1", was_open=True)
    assert gate.begin("9.9.9.3")
    assert gate.admit("9.9.9.3")
    assert gate.pending_count == 0


def test_reserved_peers_are_dialled_whatever_the_room():
    peers = book()
    for number in range(5):
        peers.add(address(number, f"10.{number}.0.1"), reserved=number < 2)
    chosen = peers.choose(0, connected=set(), room=0)
    assert {peer for peer, _ in chosen} == {peer_name(0), peer_name(1)}


def test_outbound_slots_spread_over_neighbourhoods():
    peers = book()
    for number in range(90):
        peers.add(address(number, f"6.6.{number}.1"))
    for number in range(90, 100):
        peers.add(address(number, f"{number}.1.0.1"))
    chosen = peers.choose(0, connected=set(), room=10)
    hosts = [where.host for _, where in chosen]
    assert len(hosts) == 10
    assert sum(host.startswith("6.6.") for host in hosts) <= 1


def test_a_failing_peer_is_tried_ever_less_and_then_forgotten():
    peers = book()
    peers.add(address(1))
    now = 0.0
    waits = []
    for _ in range(FAILURES_MAX + 1):
        assert peers.choose(now, connected=set(), room=1)
        peers.note_failure(peer_name(1), now)
        if peer_name(1) in peers.peers:
            waits.append(peers.peers[peer_name(1)].next_at - now)
            now = peers.peers[peer_name(1)].next_at
    assert waits[0] < 1
    assert max(waits) <= BACKOFF_MAX * 1.3
    assert peers.peers == {}


def test_our_own_address_is_not_learned():
    peers = book()
    peers.add(f"/ip4/1.2.3.4/tcp/1/p2p/{ME}")
    assert peers.peers == {}


def test_anchors_survive_a_restart(tmp_path):
    first, second = book(), book()
    for number in range(3):
        first.add(address(number, f"10.{number}.0.1"))
    first.note_success(peer_name(1), 0)
    path = tmp_path / "anchors"
    assert find_anchors(path) is None
    save_anchors(path, first.encode_anchors([peer_name(1)]))
    assert second.load_anchors(find_anchors(path)) == 1
    assert set(second.peers) == {peer_name(1)}


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", encode_packed([2, []]), encode_packed([1, ["x"]])]
)
def test_damaged_anchors_are_refused(payload):
    with pytest.raises(MalformedMessage):
        book().load_anchors(payload)


def test_the_book_is_bounded():
    peers = book()
    for number in range(2100):
        name = f"{'x' * 30}{number:04d}".replace("0", "z")
        peers.add(f"/ip4/10.0.0.1/tcp/1/p2p/12D3KooW{name}")
    assert len(peers.peers) == 2000


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7:30333", "/ip4/192.0.2.7/tcp/30333"),
        ("[2001:db8::7]:30333", "/ip6/2001:db8::7/tcp/30333"),
        ("node.example:30333", "/dns/node.example/tcp/30333"),
    ],
)
def test_an_address_outside_is_host_and_port(text, address):
    assert parse_external(text) == address


@pytest.mark.parametrize("text", ["", "30333", "node.example", "a b:1", "node.example:0", ":30333"])
def test_an_address_outside_that_nobody_could_dial_is_refused(text):
    with pytest.raises(AddressInvalid):
        parse_external(text)
