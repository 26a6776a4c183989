"""A feed: the price that the chain goes by, which follows the reports and never jumps.

    raw      lower median of the fresh reports, if a quorum of reporters has made one
    price    raw, but within 1 % of what it was when the window of 100 blocks began, and within
             20 % of what it was when the era began

A price that the reports are far from for long is no price: the feed sleeps until they meet again.
One reporter can move neither: the median of a quorum is between two honest reports as long as
fewer than half of the fresh ones lie.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from runtime.frame.declared import Record
from runtime.frame.parameters import PERBILL
from runtime.primitives import U32, U64, U128, BlockNumber, Flag

PRICE_MAX: Final = (1 << 63) - 1
"""Micro-USD; nine million million dollars is no price of anything here."""

FRESH_BLOCKS: Final = 100
"""A report older than this counts no more."""

WINDOW_STEP: Final = 10_000_000
"""1 % (parts per 10^9): how far a price goes in a window of 100 blocks."""

ERA_STEP: Final = 200_000_000
"""20 %: how far it goes in an era; a real crash is followed within a week, a fake one is seen."""

FAR: Final = 100_000_000
"""10 %: reports that are farther from the price than this put it in doubt."""

NEAR: Final = 50_000_000
"""5 %: a price in doubt is one again when the reports stayed within this."""

FAR_BLOCKS: Final = 600
"""How long reports must be far before the feed sleeps."""

NEAR_BLOCKS: Final = 100
"""How long they must be near before it wakes."""


class FeedState(Record):
    """A price and what moves it; prices are micro-USD, zero while there never was a quorum.

    `fresh_until` is the last height at which a quorum of reports is fresh. `far_since` and
    `near_since` are heights, zero while it is not so. `sum` is price x blocks since the era began.
    """

    price: U64
    raw: U64
    fresh_until: BlockNumber
    updated: BlockNumber
    window: U32
    window_price: U64
    era: U32
    era_price: U64
    far_since: BlockNumber
    near_since: BlockNumber
    is_asleep: Flag
    sum: U128
    counted: U32
    mean: U64


NO_FEED: Final = FeedState(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, is_asleep=False, sum=0, counted=0, mean=0)
"""A feed that nobody has reported to."""


def quorum_of(reporters: int) -> int:
    """Give how many fresh reports a price takes: more than two thirds, three at least."""
    return max(3, 2 * reporters // 3 + 1)


def lower_median(prices: Sequence[int]) -> int:
    """Give the lower median of prices."""
    return sorted(prices)[(len(prices) - 1) // 2]


def is_apart(price: int, other: int, share: int) -> bool:
    """Tell whether a price is off another by more than a share (parts per 10^9) of that other."""
    return abs(price - other) * PERBILL > other * share


def clamp(price: int, anchor: int, share: int) -> int:
    """Bring a price within a share of an anchor, the bounds rounded towards the anchor."""
    room = anchor * share // PERBILL
    return min(max(price, anchor - room), anchor + room)


def counted(feed: FeedState, height: int, era: int, era_start: int) -> FeedState:
    """Give a feed whose mean is up to date: each block counts with the price it began with."""
    if not feed.price:
        return feed
    if era == feed.era:
        blocks = height - feed.updated
        return replace(
            feed,
            sum=feed.sum + feed.price * blocks,
            counted=feed.counted + blocks,
            updated=height,
        )
    is_next = era == feed.era + 1
    blocks = max(era_start - feed.updated, 0)
    total, count = feed.sum + feed.price * blocks, feed.counted + blocks
    mean = total // count if is_next and count else feed.price
    since = height - era_start
    return replace(
        feed,
        era=era,
        era_price=feed.price,
        mean=mean,
        sum=feed.price * since,
        counted=since,
        updated=height,
    )


def moved(
    feed: FeedState, raw: int, *, fresh_until: int, height: int, era: int, era_start: int
) -> FeedState:
    """Give a feed after a report, when there is a quorum with this median."""
    if not feed.price:
        return replace(
            NO_FEED, price=raw, raw=raw, fresh_until=fresh_until, updated=height,
            window=height // FRESH_BLOCKS, window_price=raw, era=era, era_price=raw, mean=raw,
        )  # fmt: skip
    feed = counted(feed, height, era, era_start)
    window = height // FRESH_BLOCKS
    if window != feed.window:
        feed = replace(feed, window=window, window_price=feed.price)
    price = clamp(clamp(raw, feed.window_price, WINDOW_STEP), feed.era_price, ERA_STEP)
    is_far, is_near = is_apart(raw, price, FAR), not is_apart(raw, price, NEAR)
    far_since = (feed.far_since or height) if is_far else 0
    near_since = (feed.near_since or height) if is_near else 0
    is_asleep = feed.is_asleep
    if far_since and height - far_since >= FAR_BLOCKS:
        is_asleep = True
    elif near_since and height - near_since >= NEAR_BLOCKS:
        is_asleep = False
    return replace(
        feed, price=max(price, 1), raw=raw, fresh_until=fresh_until, far_since=far_since,
        near_since=near_since, is_asleep=is_asleep,
    )  # fmt: skip


def mean_of(feed: FeedState, height: int, era: int, era_start: int) -> int:
    """Give the mean price of the last whole era; of this one while the feed is younger."""
    return counted(feed, height, era, era_start).mean
