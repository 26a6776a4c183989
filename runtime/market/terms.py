"""The numbers of the market: fees, audits, waterfalls, and why cheating loses. Pure functions.

    fee       2 % of what is settled:  burned 50 | treasury 20 | insurance 15 | stakers 15
    slash S   requester's extra cost | its fees | bounty   (together at most half of S)
              insurance 30 % of the rest | the rest is burned

    cheating pays    x/m P - p(x) (P + own)        x of m checkpoints wrong, p(x) to be caught

Amounts are grains and every division says its rounding. The split of the fee, the bound of a half
and the multiple of 0.8 are no parameters: that recycled volume loses, and that a failure enriches
nobody, are theorems about these numbers, and a vote cannot repeal a theorem.
"""

from dataclasses import dataclass
from typing import Final

from runtime.arithmetic import split_exact
from runtime.frame.declared import Record
from runtime.frame.parameters import PERBILL
from runtime.market.nouns import Fault, Verification
from runtime.primitives import GRAINS_PER_GRIST, U8, U32, U128, Balance, Flag

FEE_PERCENT: Final = 2
"""Of what providers and datasets are paid: felt by who recycles volume, not by who trains."""

FEE_SHARES: Final = (50, 20, 15, 15)
"""Percent of the fee: burned, treasury, insurance, stakers."""

DISCOUNT_MAX: Final = PERBILL // 5
"""A fifth of the fee, which the treasury's and the stakers' 35 % can always bear."""

CAUGHT_PERCENT: Final = 95
"""How often drawn verifiers see that a drawn checkpoint is wrong; the rest is left to chance."""

MARGIN_PERCENT: Final = 125
"""Audits are drawn for a quarter more than makes cheating lose."""

AUDIT_MARKUP_PERCENT: Final = 120
"""Verifiers get a fifth more than the work that they repeat is worth."""

SEATS: Final = ((1_000 * GRAINS_PER_GRIST, 3), (20_000 * GRAINS_PER_GRIST, 5))
"""Up to which price, not included, how many verifiers re-execute; above the last of them more."""

SEATS_MAX: Final = 7
"""Verifiers of the most valuable jobs, before redraws."""

COLLUDING_PERCENT: Final = 33
"""Share of all capacity that may belong to one cheat: a replica catches nobody that it is."""

BOUNTY_PERCENT: Final = 20
"""Of a slash, for who found the fault."""

INSURANCE_PERCENT: Final = 30
"""Of what a slash leaves after the requester and the bounty."""

LATE_PERCENT: Final = 50
"""Of the bond, for all of a job undone in time: late is not false."""

RERUN_PERCENT: Final = 125
"""Of the reference price: what finishing a job elsewhere may cost at most."""

COVER_PERCENT: Final = 10
"""Of the price of a job: the most that insurance pays for it."""

COVER_PREMIUMS: Final = 50
"""Times the premiums that a requester paid: the most that insurance pays it for a job."""

RECYCLED_MULTIPLE: Final = 800_000_000
"""0.8: emission of a job is less than the part of its fee that nobody gets back."""


@dataclass(frozen=True, slots=True)
class FeeSplit:
    """Where a protocol fee goes, in grains."""

    burned: int
    treasury: int
    insurance: int
    stakers: int

    @property
    def total(self) -> int:
        """What the requester pays, after its discount."""
        return self.burned + self.treasury + self.insurance + self.stakers

    @property
    def irrecoverable(self) -> int:
        """What nobody gets back, whatever it has at stake: all but the stakers' part."""
        return self.burned + self.treasury + self.insurance


@dataclass(frozen=True, slots=True)
class SlashSplit:
    """Where a slashed bond goes, in grains; the parts sum to the slash."""

    extra: int
    """For finishing elsewhere: into the escrow of the reopened job, nowhere else."""
    fees: int
    """What the requester paid and nobody gives back."""
    bounty: int
    insurance: int
    burned: int

    @property
    def total(self) -> int:
        """The slash."""
        return self.extra + self.fees + self.bounty + self.insurance + self.burned


# Fees


def protocol_fee(base: int) -> int:
    """Give the fee on a price and dataset fees together: 2 %, rounded up."""
    return -(-base * FEE_PERCENT // 100)


def split_fee(fee: int, discount: int) -> FeeSplit:
    """Split a fee exactly; a discount (parts per 10^9 of it) comes off treasury and stakers alone.

    Of a discount above a fifth only a fifth counts; it is rounded down.
    """
    burned, treasury, insurance, stakers = split_exact(fee, FEE_SHARES)
    rebate = min(fee * min(discount, DISCOUNT_MAX) // PERBILL, treasury + stakers)
    cut = min(split_exact(rebate, (FEE_SHARES[1], FEE_SHARES[3]))[0], treasury)
    rest = min(rebate - cut, stakers)
    return FeeSplit(burned, treasury - cut, insurance, stakers - rest)


def emission_cap(fee: FeeSplit, multiple: int, *, price: int, base: int) -> int:
    """Give the most that emission may add to a job, to its provider and its data together.

    0.8 of the irrecoverable fee always; a larger `multiple` (parts per 10^9) counts for the part
    of the fee that is due for `base`, the reference price of the metered work. Rounded down.
    """
    least = fee.irrecoverable * min(multiple, RECYCLED_MULTIPLE) // PERBILL
    if not price or multiple <= RECYCLED_MULTIPLE:
        return least
    return max(least, fee.irrecoverable * multiple * min(base, price) // (PERBILL * price))


# Audits


def audit_draws(price: int, own_loss: int) -> int:
    """Give how many checkpoints are drawn: 1.25 P / (P + own) / 0.95, rounded up, one at least."""
    if not price:
        return 1
    return -(-MARGIN_PERCENT * price // (CAUGHT_PERCENT * (price + own_loss)))


def audit_seats(price: int) -> int:
    """Give how many verifiers re-execute each drawn checkpoint."""
    return next((seats for below, seats in SEATS if price < below), SEATS_MAX)


def audit_fee(draws: int, seats: int, price: int, checkpoints: int) -> int:
    """Give what the audit of a job may cost: draws x seats x P / m x 1.2, rounded up."""
    return -(-draws * seats * price * AUDIT_MARKUP_PERCENT // (100 * checkpoints))


# Failures


def earned_part(price: int, done: int, whole: int) -> int:
    """Give what `done` of `whole` checkpoints earn of a price, rounded down."""
    return price * done // whole


def earned_by_units(price: int, units: int, *, whole: int, first: int, checkpoints: int) -> int:
    """Give what the `units` of a receipt earn of the price of an attempt, rounded down.

    `whole` units are asked for, and the attempt began at checkpoint `first` of all `checkpoints`,
    whose part of the units others did.
    """
    done = max(units * checkpoints - whole * first, 0)
    return price * done // (whole * (checkpoints - first))


def bond_slash(fault: Fault, bond: int, *, left: int, whole: int) -> int:
    """Give what a fault costs of a work bond, with `left` of `whole` checkpoints undone.

    Late or gone: half of the undone share, rounded down. Wrong or fraudulent: all of it.
    """
    if fault in (Fault.LATE, Fault.OFFLINE):
        return bond * left * LATE_PERCENT // (whole * 100)
    return bond


def extra_cost(reference: int, units: int, unpaid: int) -> int:
    """Give the most that finishing elsewhere may cost above the price that was not paid.

    1.25 x reference x units less that price, at most half of it; rounded down.
    """
    dearest = reference * units * RERUN_PERCENT // 100
    return min(max(dearest - unpaid, 0), unpaid // 2)


def split_slash(slash: int, *, extra: int, fees: int, has_bounty: bool) -> SlashSplit:
    """Split a slash: requester, bounty, insurance, burn; at least half goes to the last two."""
    room = slash // 2
    extra = min(extra, room)
    fees = min(fees, room - extra)
    bounty = min(slash * BOUNTY_PERCENT // 100, room - extra - fees) if has_bounty else 0
    rest = slash - extra - fees - bounty
    insurance = rest * INSURANCE_PERCENT // 100
    return SlashSplit(extra, fees, bounty, insurance, rest - insurance)


def covered_part(shortfall: int, price: int, premiums: int) -> int:
    """Give what insurance owes for a job: a tenth of its price and 50 premiums at most."""
    return min(shortfall, price * COVER_PERCENT // 100, COVER_PREMIUMS * premiums)


# Why cheating loses


class Ratio(Record):
    """An exact fraction."""

    above: U128
    below: U128


class CheatReport(Record):
    """What the cheat that pays best for a provider is worth: to be read before anyone tries.

    `wrong` of the checkpoints are falsified and their cost, at most their price, is saved.
    `caught` is the probability that this comes out; `needed` the probability at which it would
    pay nothing. Caught, the provider loses the price and `bond`, its own part of the work bond;
    `bond_needed` is the least own part at which cheating loses. `bounty` is what a challenger of
    its own could win back; `loss` what the cheat loses on average, rounded down, if `loses`, and
    otherwise what it gains, rounded up. An unchecked job (acceptance) is caught by nobody but
    its requester: for it `caught` is zero and `needed` says how often it has to look.
    """

    verification: Verification
    checkpoints: U32
    price: Balance
    bond: Balance
    draws: U32
    seats: U8
    wrong: U32
    caught: Ratio
    needed: Ratio
    bond_needed: Balance
    bounty: Balance
    loses: Flag
    loss: Balance


def caught_ratio(wrong: int, checkpoints: int, draws: int) -> tuple[int, int]:
    """Give the probability, as a fraction, that an audit sees one of the wrong checkpoints.

    `draws` different checkpoints are drawn, and each wrong one among them is seen 95 times in a
    hundred: 1 - E[0.05^h], h hypergeometric. Exact; draws are few.
    """
    draws = min(draws, checkpoints)
    whole = _choose(checkpoints, draws) * 100**draws
    missed = sum(
        _choose(wrong, hits)
        * _choose(checkpoints - wrong, draws - hits)
        * (100 - CAUGHT_PERCENT) ** hits
        * 100 ** (draws - hits)
        for hits in range(draws + 1)
    )
    return whole - missed, whole


def cheat_value(
    price: int, own: int, *, wrong: int, checkpoints: int, caught: tuple[int, int]
) -> tuple[int, int]:
    """Give what cheating gains above honest work on average, in grains, as an exact fraction.

    x/m P - p (P + own). The numerator is negative when it loses.
    """
    above, below = caught
    return (
        price * wrong * below - above * (price + own) * checkpoints,
        checkpoints * below,
    )


def cheat_report(
    verification: Verification,
    price: int,
    own: int,
    *,
    bond: int,
    checkpoints: int,
    replicas: int = 1,
    draws: int | None = None,
) -> CheatReport:
    """Give the report for a job of this price; `own` grains of the whole `bond` are its own.

    With p(x) concave in x the value of cheating is convex: one wrong checkpoint or all of them
    pays best, so only these two are compared.
    """
    count = audit_draws(price, own) if draws is None else draws
    if verification is not Verification.AUDIT:
        count = 0
    best = max(
        ((wrong, _caught(verification, wrong, checkpoints, count, replicas))
         for wrong in sorted({1, checkpoints})),
        key=lambda entry: _scaled(price, own, checkpoints, entry),
    )  # fmt: skip
    wrong, caught = best
    above, below = cheat_value(price, own, wrong=wrong, checkpoints=checkpoints, caught=caught)
    # The bond at which x/m P = p (P + own), and a grain more
    needed = price * wrong * caught[1] // (checkpoints * caught[0]) - price + 1 if caught[0] else 0
    return CheatReport(
        verification=verification,
        checkpoints=checkpoints,
        price=price,
        bond=own,
        draws=count,
        seats=audit_seats(price) if count else 0,
        wrong=wrong,
        caught=Ratio(*caught),
        needed=Ratio(price * wrong, max((price + own) * checkpoints, 1)),
        bond_needed=max(needed, 0),
        bounty=split_slash(bond, extra=0, fees=0, has_bounty=True).bounty,
        loses=above < 0,
        loss=-above // below if above < 0 else -(-above // below),
    )


def _caught(
    verification: Verification, wrong: int, checkpoints: int, draws: int, replicas: int
) -> tuple[int, int]:
    """Give the probability to be caught by the way in which a job is checked."""
    if verification is Verification.AUDIT:
        return caught_ratio(wrong, checkpoints, draws)
    if verification is Verification.REPLICATION:
        others = max(replicas - 1, 0)
        return 100**others - COLLUDING_PERCENT**others, 100**others
    return 0, 1


def _scaled(price: int, own: int, checkpoints: int, entry: tuple[int, tuple[int, int]]) -> int:
    """Give the value of a cheat in units of 10^-18 grains, to compare two of them."""
    wrong, caught = entry
    above, below = cheat_value(price, own, wrong=wrong, checkpoints=checkpoints, caught=caught)
    return above * 10**18 // below


def _choose(whole: int, part: int) -> int:
    """Give the number of ways to choose `part` of `whole`; 0 when there is none."""
    if not 0 <= part <= whole:
        return 0
    ways = 1
    for step in range(part):
        ways = ways * (whole - step) // (step + 1)
    return ways
