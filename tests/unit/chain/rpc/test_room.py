"""What connections may hold: an allowance each, and one room for the rest."""

from chain.rpc.room import ALLOWANCE_BYTES, Room


def test_an_allowance_needs_no_room() -> None:
    room = Room(0)
    shares = [room.share() for _ in range(100)]
    assert all(share.take(ALLOWANCE_BYTES) for share in shares)
    assert not shares[0].take(1)
    assert room.taken == 0


def test_what_is_larger_shares_one_room_and_is_given_back() -> None:
    room = Room(1_000)
    one, other = room.share(), room.share()
    assert one.take(ALLOWANCE_BYTES + 600)
    assert not other.take(ALLOWANCE_BYTES + 500)
    assert (room.taken, other.held) == (600, 0)
    assert other.take(ALLOWANCE_BYTES + 400)
    one.give(200)
    assert room.taken == 800
    one.give_all()
    other.give_all()
    assert (room.taken, one.held, other.held) == (0, 0, 0)


def test_many_small_parts_count_as_their_sum() -> None:
    room = Room(1_000)
    share = room.share()
    assert all(share.take(1_024) for _ in range(128))
    assert share.take(999)
    assert not share.take(2)
    for _ in range(128):
        share.give(1_024)
    assert (room.taken, share.held) == (0, 999)
