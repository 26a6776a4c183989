"""Auctions: sealed bids, opened together, ranked by price and reputation, paid a second price.

first bid ──> bidding ──> revealing ──> best bid whose bond can be locked
                          sealed ones lose their deposit, the others get it back
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ext import hashing
from runtime.balances import BurnCause, HoldReason
from runtime.frame.errors import CallError
from runtime.frame.parameters import PERBILL
from runtime.market.jobs.backing import Backing
from runtime.market.jobs.book import units_of
from runtime.market.jobs.nouns import (
    AlreadyBid,
    Bid,
    BidCommitted,
    BidEnded,
    BidRevealed,
    BidTooHigh,
    BondTooSmall,
    DeadlinePassed,
    FailedBefore,
    JobMatched,
    NoBid,
    SameProvider,
    TooManyBids,
    WrongReveal,
    WrongState,
)
from runtime.market.jobs.numbers import (
    AUCTION_TAG,
    BID_DEPOSIT,
    BID_MARGIN,
    BIDDING_BLOCKS,
    BIDS_MAX,
    REVEALING_BLOCKS,
    START_BLOCKS,
)
from runtime.market.nouns import NOBODY, Job, JobSpec, JobState, Reason
from runtime.market.reputation import BOND_RATIO_MAX
from runtime.primitives import AccountId

PRICE_BYTES: Final = 8
"""All money fits eight bytes."""


def seal_bid(job: int, bidder: AccountId, price: int, salt: bytes) -> bytes:
    """Give the 32 bytes that commit to a price in grains; the salt is 32 random bytes."""
    parts = (job.to_bytes(4, "little"), bidder, price.to_bytes(PRICE_BYTES, "little"), salt)
    return hashing.blake2b_256(AUCTION_TAG + b"".join(parts))


@dataclass(frozen=True, slots=True)
class Rank:
    """An open bid in its order: the price by reputation, then a lot drawn by the beacon."""

    score: int
    lot: bytes
    bidder: AccountId
    price: int
    factor: int


def compute_ranks(bids: Sequence[tuple[AccountId, int, int]], randomness: bytes) -> list[Rank]:
    """Order bids (bidder, price, factor in parts per 10^9), the best first."""
    ranks = [
        Rank(price * factor, hashing.blake2b_256(randomness + bidder), bidder, price, factor)
        for bidder, price, factor in bids
    ]
    return sorted(ranks, key=lambda rank: (rank.score, rank.lot))


def compute_price(ranks: Sequence[Rank], place: int, highest: int, only: int) -> int:
    """Give what the bid at a place is paid: what it could have asked for and still won.

    With nobody behind it that is `only`. At least what was bid, at most `highest`, and a grain.
    """
    rank = ranks[place]
    price = ranks[place + 1].score // rank.factor if place + 1 < len(ranks) else only
    return max(rank.price, min(highest, price), 1)


class Auctions(Backing):
    """How a job finds its provider."""

    # Inside, bids

    def _commit(self, id_: int, who: AccountId, commitment: bytes) -> None:
        """Take a sealed bid with its deposit; the first one opens the auction."""
        job, height = self._job(id_), self.ctx.block.height
        if job.state not in (JobState.OPEN, JobState.BIDDING):
            raise WrongState
        if height >= job.due:
            raise DeadlinePassed
        count = self.bid_counts[id_]
        if count >= BIDS_MAX:
            raise TooManyBids
        owner = self.near.providers.owner(who)
        if (id_, owner) in self.bid_owners or (id_, who) in self.bids:
            raise AlreadyBid
        self._check_bidder(id_, who)
        self.near.providers.check_can_take(who, self.specs[id_], 0)
        deposit = -(-job.price * BID_DEPOSIT.read(self.ctx) // PERBILL)
        self.near.balances.hold(who, HoldReason.DEPOSIT, deposit)
        self.bids[id_, who] = Bid(commitment, owner, deposit, is_open=False, price=0)
        self.bid_owners[id_, owner] = who
        self.bid_counts[id_] = count + 1
        self.deposit_total += deposit
        self.emit(BidCommitted(id_, who, deposit))
        if job.state is JobState.OPEN:
            self._move_on(id_, job, JobState.BIDDING, height + BIDDING_BLOCKS.read(self.ctx))

    def _reveal(self, id_: int, who: AccountId, price: int, salt: bytes) -> None:
        """Open a bid; a bid that cannot win stays sealed, and so loses its deposit."""
        job = self._job(id_)
        if job.state is JobState.BIDDING and self.ctx.block.height >= job.due:
            job = self._begin_revealing(id_, job)
        if job.state is not JobState.REVEALING:
            raise WrongState
        if self.ctx.block.height >= job.due:
            raise DeadlinePassed
        bid = self.bids.find((id_, who))
        if bid is None or bid.is_open:
            raise NoBid
        if price >> (8 * PRICE_BYTES) or bid.commitment != seal_bid(id_, who, price, salt):
            raise WrongReveal
        if price > job.price:
            raise BidTooHigh
        self.near.providers.check_can_take(who, self.specs[id_], price)
        if self.near.providers.free_bond(who) < self.near.providers.required_bond(who, price):
            raise BondTooSmall
        self.bids[id_, who] = replace(bid, is_open=True, price=price)
        self.emit(BidRevealed(id_, who, price))

    def _begin_revealing(self, id_: int, job: Job) -> Job:
        due = job.due + REVEALING_BLOCKS.read(self.ctx)
        return self._move_on(id_, job, JobState.REVEALING, due)

    def _end_bid(self, id_: int, bidder: AccountId, bid: Bid, *, is_burned: bool) -> None:
        """Forget a bid, and give its deposit back or burn it."""
        balances = self.near.balances
        if is_burned:
            balances.burn_held(BurnCause.LOST_DEPOSIT, bidder, HoldReason.DEPOSIT, bid.deposit)
        else:
            balances.release(bidder, HoldReason.DEPOSIT, bid.deposit)
        self.deposit_total -= bid.deposit
        del self.bids[id_, bidder]
        del self.bid_owners[id_, bid.owner]
        self.bid_counts[id_] -= 1
        self.emit(BidEnded(id_, bidder, bid.deposit if is_burned else 0))

    def _drop_bids(self, id_: int) -> None:
        """Give all deposits of an auction back that did not come to its end."""
        for (_, bidder), bid in self.bids.walk(id_, limit=BIDS_MAX):
            self._end_bid(id_, bidder, bid, is_burned=False)

    def _decide(self, id_: int, job: Job) -> Reason:
        """End an auction: NONE when somebody has the job now, else why nobody has."""
        bids = {who: bid for (_, who), bid in self.bids.walk(id_, limit=BIDS_MAX)}
        factor = self.near.reputation.factor
        for who in [who for who in bids if self._is_barred(id_, who)]:
            # It could not know when it bid: its other bid won, or its owner's
            bid = bids.pop(who)
            self._end_bid(id_, who, bid, is_burned=not bid.is_open)
        ranks = compute_ranks(
            [(who, bid.price, factor(who)) for who, bid in bids.items() if bid.is_open],
            self.near.beacon.randomness,
        )
        only = self._only_price(id_, job)
        is_matched = False
        for place, rank in enumerate(ranks):
            price = compute_price(ranks, place, job.price, only)
            is_burned = not is_matched and not self._try(id_, job, rank, price)
            is_matched = is_matched or not is_burned
            self._end_bid(id_, rank.bidder, bids.pop(rank.bidder), is_burned=is_burned)
        for who, bid in bids.items():
            self._end_bid(id_, who, bid, is_burned=True)
        if is_matched:
            return Reason.NONE
        return Reason.NO_BOND if ranks else Reason.NO_BIDS

    def _only_price(self, id_: int, job: Job) -> int:
        """Give what a single bidder is paid: the reference price and a margin, rounded down."""
        spec = self.specs[id_]
        units = units_of(spec, job.first_checkpoint)
        share = PERBILL + BID_MARGIN.read(self.ctx)
        return self.near.work_units.reference(spec.class_id) * units * share // PERBILL

    def _try(self, id_: int, job: Job, rank: Rank, price: int) -> bool:
        """Give a bidder the job if its bond can be locked.

        A bond that is enough for the bid but not for a higher second price lowers the price.
        """
        backed = self.near.providers.free_bond(rank.bidder) * PERBILL // BOND_RATIO_MAX
        least = max(rank.price, 1)
        for offer in dict.fromkeys((price, max(least, min(price, backed)), least)):
            depth = self.ctx.checkpoint()
            try:
                self._match(id_, job, rank.bidder, offer)
            except CallError:
                self.ctx.revert(depth)
            else:
                self.ctx.commit()
                return True
        return False

    # Inside, matching

    def _match(self, id_: int, job: Job, provider: AccountId, price: int) -> Job:
        """Give a provider the job at a price, and lock its bond; raises why it cannot have it."""
        near, spec = self.near, self.specs[id_]
        self._check_bidder(id_, provider)
        near.providers.check_can_take(provider, spec, price)
        job = self._lower_price(id_, job, price)
        job = replace(job, provider=provider, table=near.work_units.version)
        bond, own = self._back(id_, job, 1)
        near.providers.note_taken(provider, id_, spec.class_id, price)
        self.emit(JobMatched(id_, provider, job.attempt, price, bond, own))
        due = self.ctx.block.height + START_BLOCKS.read(self.ctx)
        return self._move_on(id_, job, JobState.MATCHED, due)

    def _offered(self, spec: JobSpec, job: Job, provider: AccountId) -> int | None:
        """Give the price of a standing offer for what is to do, or None."""
        per_unit = self.near.providers.offer(provider, spec.class_id)
        units = units_of(spec, job.first_checkpoint)
        return None if per_unit is None else max(per_unit * units, 1)

    def _is_barred(self, id_: int, who: AccountId) -> bool:
        try:
            self._check_bidder(id_, who)
        except (FailedBefore, SameProvider):
            return True
        return False

    def _check_bidder(self, id_: int, who: AccountId) -> None:
        """Refuse a provider that failed the job before, or has another replica of it.

        What its owner did counts as its own.
        """
        for failed in self.annexes[id_].barred:
            if failed == who or self.near.providers.share_owner(failed, who):
                raise FailedBefore
        for other in self.siblings(id_):
            job = self.jobs.find(other) if other != id_ else None
            taken = NOBODY if job is None else job.provider
            if taken == who or (taken != NOBODY and self.near.providers.share_owner(taken, who)):
                raise SameProvider
