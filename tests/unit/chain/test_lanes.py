"""Which transactions a crowded block tries first: the urgent, the staked, the aged, the dear."""

import random
from dataclasses import dataclass

from chain.lanes import AGED_BLOCKS, STAKE_CAP, arrange


@dataclass(frozen=True)
class One:
    """A transaction that waits; the price only says where it stands in the input."""

    sender: bytes
    nonce: int
    price: int
    weight: int = 10
    is_urgent: bool = False
    stake: int = 0
    since: int = 100


HEIGHT = 101
FULL = 1_000


def crowd(count: int = 200) -> list[One]:
    """Dear transactions of senders without stake: twice what a block holds."""
    return [One(b"whale %d" % n, 0, 1_000) for n in range(count)]


def first(entries: list[One], weight_max: int = FULL) -> list[One]:
    """What is in the block: the order, as far as the weight reaches."""
    found: list[One] = []
    for entry in arrange(entries, weight_max=weight_max, height=HEIGHT):
        if sum(one.weight for one in found) + entry.weight <= weight_max:
            found.append(entry)
    return found


def test_a_block_that_holds_all_takes_them_dearest_first() -> None:
    few = [*crowd(50), One(b"poor", 0, 1, is_urgent=True), One(b"holder", 0, 1, stake=10**18)]
    assert arrange(few, weight_max=FULL, height=HEIGHT) == few


def test_urgent_calls_have_a_tenth_of_a_crowded_block() -> None:
    urgent = [One(b"answer %d" % n, 0, 1, is_urgent=True) for n in range(40)]
    taken = [one for one in first([*crowd(), *urgent]) if one.is_urgent]
    assert taken == urgent[:10]


def test_what_comes_before_an_urgent_call_comes_with_it() -> None:
    chain = [One(b"s", 0, 1), One(b"s", 1, 1), One(b"s", 2, 1, is_urgent=True)]
    order = arrange([*crowd(), *chain], weight_max=FULL, height=HEIGHT)
    assert order[:3] == chain
    long = [One(b"s", n, 1) for n in range(10)] + [One(b"s", 10, 1, is_urgent=True)]
    order = arrange([*crowd(), *long], weight_max=FULL, height=HEIGHT)
    assert order[0].sender != b"s", "a long way to an urgent call is not carried by the lane"


def test_stake_has_a_quarter_in_proportion_up_to_a_cap() -> None:
    large = [One(b"large", n, 1, stake=50 * STAKE_CAP) for n in range(60)]
    small = [One(b"small", n, 1, stake=STAKE_CAP // 4) for n in range(60)]
    taken = first([*crowd(), *large, *small])
    shares = [sum(one.sender == who for one in taken) for who in (b"large", b"small")]
    assert shares == [20, 5]


def test_whoever_waits_long_comes_in_some_day() -> None:
    old = [One(b"old %d" % n, 0, 1, since=HEIGHT - AGED_BLOCKS - n) for n in range(20)]
    young = [One(b"young", 0, 1, since=HEIGHT - AGED_BLOCKS + 1)]
    taken = first([*crowd(), *old, *young])
    assert [one for one in taken if one.price == 1] == old[:-6:-1], "the oldest first"


def test_the_rest_goes_to_whoever_pays_most() -> None:
    urgent = [One(b"answer %d" % n, 0, 1, is_urgent=True) for n in range(40)]
    holders = [One(b"holder", n, 1, stake=1) for n in range(60)]
    taken = first([*crowd(), *urgent, *holders])
    assert sum(one.price == 1_000 for one in taken) == 65


def test_nothing_is_lost_doubled_or_out_of_its_order() -> None:
    seed = 41
    draw = random.Random(seed)
    for _ in range(200):
        entries = []
        for sender in range(draw.randrange(1, 30)):
            stake = draw.choice((0, 0, 1, STAKE_CAP, 9 * STAKE_CAP))
            count = draw.randrange(1, 6)
            entries += [
                One(
                    b"%d" % sender, nonce, 0, draw.randrange(1, 60), draw.random() < 0.2,
                    stake, draw.randrange(60, 101),
                )
                for nonce in range(count)
            ]  # fmt: skip
        order = arrange(entries, weight_max=draw.randrange(1, 900), height=HEIGHT)
        assert sorted(map(repr, order)) == sorted(map(repr, entries)), seed
        for sender in {one.sender for one in entries}:
            nonces = [one.nonce for one in order if one.sender == sender]
            assert nonces == sorted(nonces), seed
