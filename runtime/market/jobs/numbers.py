"""The numbers of jobs: what votes may change, what they may not, and what calls cost."""

from typing import Final

from runtime import weights
from runtime.frame.parameters import Parameter, Unit
from runtime.primitives import GRAINS_PER_GRIST, Weight

OPEN_BLOCKS: Final = Parameter(
    "jobs.open_blocks", 10_800, low=50, high=302_400, step=10_800, unit=Unit.BLOCKS,
    docs="How long a job waits for a provider before it expires.",
)  # fmt: skip
"""Six hours of a public chain: every provider has had a look."""

BIDDING_BLOCKS: Final = Parameter(
    "jobs.bidding_blocks", 100, low=4, high=1_800, step=100, unit=Unit.BLOCKS,
    docs="How long sealed bids are taken, from the first one on.",
)  # fmt: skip
"""Long enough that no proposer can keep everybody else out."""

REVEALING_BLOCKS: Final = Parameter(
    "jobs.revealing_blocks", 50, low=4, high=1_800, step=50, unit=Unit.BLOCKS,
    docs="How long bidders have to open their bids.",
)  # fmt: skip
"""Half of that: a reveal is one message, known beforehand."""

START_BLOCKS: Final = Parameter(
    "jobs.start_blocks", 600, low=8, high=7_200, step=100, unit=Unit.BLOCKS,
    docs="How long provider and requester have to sign the first receipt.",
)  # fmt: skip
"""Twenty minutes: data are fetched meanwhile."""

BID_DEPOSIT: Final = Parameter(
    "jobs.bid_deposit", 50_000_000, low=5_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the highest price that a bidder puts down.",
)  # fmt: skip
"""5 %: who bids without opening the bid loses more than the delay is worth."""

BID_MARGIN: Final = Parameter(
    "jobs.bid_margin", 50_000_000, low=0, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="How far above the reference price the only bidder is paid.",
)  # fmt: skip
"""5 %: without a second bid there is no second price, but the market has one."""

START_SHARE: Final = Parameter(
    "jobs.start_share", 10_000_000, low=0, high=50_000_000, step=5_000_000,
    unit=Unit.PERBILL, docs="Part of the price that a provider gets when a job is never started.",
)  # fmt: skip
"""1 %: its bond stood still for it, and nobody knows who is to blame."""

CANCEL_SHARE: Final = Parameter(
    "jobs.cancel_share", 50_000_000, low=0, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the unearned price that cancelling a running job costs.",
)  # fmt: skip
"""5 %: the machine stands still until it finds other work."""

BIDDING_SHARE: Final = Parameter(
    "jobs.bidding_share", 10_000_000, low=0, high=50_000_000, step=5_000_000,
    unit=Unit.PERBILL, docs="Part of the highest price that cancelling an auction burns.",
)  # fmt: skip
"""1 %: who has seen the bids does not ask again for nothing."""

SHORT_WINDOW_ERAS: Final = Parameter(
    "jobs.short_window_eras", 2, low=1, high=14, step=1, unit=Unit.ERAS,
    docs="How long the result of a small job can be challenged.",
)  # fmt: skip
"""Two eras: an audit draws, commits and reveals within one."""

LONG_WINDOW_ERAS: Final = Parameter(
    "jobs.long_window_eras", 7, low=2, high=28, step=1, unit=Unit.ERAS,
    docs="How long the result of a large job can be challenged.",
)  # fmt: skip
"""A week: as long as a slash of a validator waits."""

LARGE_PRICE: Final = Parameter(
    "jobs.large_price", 10_000 * GRAINS_PER_GRIST,
    low=1_000 * GRAINS_PER_GRIST, high=100_000 * GRAINS_PER_GRIST,
    step=1_000 * GRAINS_PER_GRIST, unit=Unit.GRAINS,
    docs="Price from which a job has the long window, and above which its requester has a stake.",
)  # fmt: skip
"""Where a cheat pays for a week of hiding."""

REQUESTER_STAKE: Final = Parameter(
    "jobs.requester_stake", 10_000_000, low=0, high=100_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the price of a large job that its requester has at stake.",
)  # fmt: skip
"""1 %: who asks for much of the market belongs to it."""

START_DEPOSIT: Final = Parameter(
    "jobs.start_deposit", 100_000_000, low=0, high=300_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of the price that a requester puts down whose jobs often fail.",
)  # fmt: skip
"""A tenth: ten times what a job that is never started costs otherwise."""

EXTENSION_ERAS: Final = Parameter(
    "jobs.extension_eras", 7, low=1, high=14, step=1, unit=Unit.ERAS,
    docs="By how much queued challenges may lengthen a window.",
)  # fmt: skip
"""A week: eight challenges have had their turn."""

CASE_BLOCKS: Final = Parameter(
    "jobs.case_blocks", 1_209_600, low=604_800, high=4_000_000, step=100_000, unit=Unit.BLOCKS,
    docs="How long after its window a job is settled in spite of an open case.",
)  # fmt: skip
"""28 eras: every case has deadlines of its own; this one is for the case that has none. Never below
14 eras of a public chain: a dispute with its queue, two appeals and their eras may last twelve."""

KEEP_ERAS: Final = Parameter(
    "jobs.keep_eras", 28, low=5, high=365, step=28, unit=Unit.ERAS,
    docs="How long the record of a job that ended stays in the state.",
)  # fmt: skip
"""28 eras: rewards are paid and canaries shown long before; blocks keep it for ever."""

PART_BLOCKS: Final = Parameter(
    "jobs.part_blocks", 302_400, low=20, high=1_209_600, step=43_200, unit=Unit.BLOCKS,
    docs="Longest part of a run that is backed and settled at once; a longer run has several.",
)  # fmt: skip
"""Seven eras: as long as the longest window binds a bond anyway."""

PAUSE_BLOCKS: Final = Parameter(
    "jobs.pause_blocks", 3_600, low=5, high=43_200, step=1_800, unit=Unit.BLOCKS,
    docs="How long a job waits for the bond of the next part of its run.",
)  # fmt: skip
"""Two hours of a public chain: money is moved meanwhile."""

PARAMETERS: Final = (
    PART_BLOCKS,
    PAUSE_BLOCKS,
    OPEN_BLOCKS,
    BIDDING_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
    BID_DEPOSIT,
    BID_MARGIN,
    START_SHARE,
    CANCEL_SHARE,
    BIDDING_SHARE,
    SHORT_WINDOW_ERAS,
    LONG_WINDOW_ERAS,
    LARGE_PRICE,
    REQUESTER_STAKE,
    START_DEPOSIT,
    EXTENSION_ERAS,
    CASE_BLOCKS,
    KEEP_ERAS,
)
"""The numbers of jobs."""

PRICE_MIN: Final = GRAINS_PER_GRIST // 10
"""Smallest highest price: what is held for it pays for the place that a job takes."""

RUN_BLOCKS_MAX: Final = 1 << 22
"""Longest run: 97 days of a public chain."""

HEARTBEAT_MIN: Final = 5
"""A beat costs a transaction, and a look by the wheel."""

HEARTBEAT_MAX: Final = 10_000
"""Slower than this nobody would notice a provider that is gone."""

TOLERANCE_MAX: Final = 20
"""Beats that may be missed in a row."""

REPLICAS_MIN: Final = 3
"""Fewer cannot outvote one."""

REPLICAS_MAX: Final = 7
"""More cost more than an audit ever does."""

BIDS_MAX: Final = 32
"""Bids of an auction; the weight of deciding it is prepaid with each."""

ATTEMPTS_MAX: Final = 3
"""A job that failed three times is not the providers' fault alone."""

PARTS_MAX: Final = 16
"""Parts of a run: the longest of a public chain has fourteen, whatever votes make of a part."""

PENDING_MAX: Final = 4
"""Parts of a run that have their windows at once: with the running rest five results at most fall
together. A part that takes as long as the longest window, and a week of disputes, needs three."""

FAILED_JOBS_MIN: Final = 5
"""Fewer failures say nothing about a requester."""

FAILED_SHARE_PART: Final = 5
"""One in five: beyond it a requester puts a deposit down."""

PRUNED_PER_BLOCK: Final = 8
"""Jobs that are forgotten in a block; more than can end in one for long."""

EMISSION_BASE: Final = 800_000_000
"""0.8: work emission stays below the fee, so that nobody earns by buying from himself."""

EMISSION_VERIFIED: Final = 3_000_000_000
"""3.0: the most that verified and metered work may reach in any phase."""

AUCTION_TAG: Final = b"gm-bid"
"""First bytes of a sealed bid."""

WORK_EXPIRY: Final[Weight] = 380 * weights.MICROSECOND
"""An escrow given back, a job ended (372)."""

WORK_UNSTARTED: Final[Weight] = 730 * weights.MICROSECOND
"""The same, a bond released and a provider paid a little (724)."""

WORK_FAILURE: Final[Weight] = 4_400 * weights.MICROSECOND
"""A failed attempt: a part paid, a bond charged, a job opened again; with four datasets of sixteen
royalties each 4,200, without data 1,620."""

WORK_SETTLEMENT: Final[Weight] = 4_400 * weights.MICROSECOND
"""A whole waterfall, a bond, reputations: with four datasets of sixteen royalties each it is 84
postings (4,360 by a call, 3,920 by the wheel), without data twenty (1,240)."""

WORK_PART: Final[Weight] = WORK_SETTLEMENT + WORK_EXPIRY
"""The same for a part, whose run may have waited for nothing else to end."""

WORK_MATCH: Final[Weight] = 700 * weights.MICROSECOND
"""A bond locked, a hold lowered, a report on cheating (684)."""

WORK_BID: Final[Weight] = 115 * weights.MICROSECOND
"""A bid ranked, its deposit released or burned (113)."""

WORK_STEP: Final[Weight] = 100 * weights.MICROSECOND
"""A record read and written, an item for the wheel (70)."""

WORK_MAX: Final[Weight] = 40_000 * weights.MICROSECOND
"""What the wheel does for jobs in a block; the rest waits for the next.

Nine of the dearest ends: with panels, disputes and rewards it is a quarter of a development block.
"""

WEIGHT_SUBMIT: Final[Weight] = 280 * weights.MICROSECOND + WORK_EXPIRY
"""A spec judged, datasets quoted, a hold, records (270); and its expiry, prepaid."""

WEIGHT_MATCH: Final[Weight] = WORK_MATCH + WORK_UNSTARTED
"""Taking an offer; and that nobody starts, prepaid."""

WEIGHT_BID: Final[Weight] = 200 * weights.MICROSECOND + WORK_BID + WORK_MATCH
"""A deposit and a record (193); and its part of deciding the auction, prepaid."""

WEIGHT_REVEAL: Final[Weight] = 150 * weights.MICROSECOND + WORK_UNSTARTED
"""A bid opened, and that nobody starts, prepaid."""

WEIGHT_STEP: Final[Weight] = 2 * WORK_STEP
"""A record written, and a look by the wheel, prepaid."""

WEIGHT_SIGNATURE: Final[Weight] = 70 * weights.MICROSECOND
"""Verifying the other side's signature of a receipt (54), and hashing it."""

WEIGHT_START: Final[Weight] = 170 * weights.MICROSECOND + WEIGHT_SIGNATURE + WORK_FAILURE
"""A first receipt, and a failure of the attempt, prepaid."""

WEIGHT_RECEIPT: Final[Weight] = 150 * weights.MICROSECOND + WEIGHT_SIGNATURE
"""A receipt of both (216 with its signature)."""

WEIGHT_COMPLETE: Final[Weight] = 600 * weights.MICROSECOND + WORK_SETTLEMENT
"""A result written (170), its judges told; and its settlement, prepaid."""

WEIGHT_CLOSE: Final[Weight] = 900 * weights.MICROSECOND + WORK_PART + WORK_FAILURE
"""Two records, a bond divided, judges told; and its settlement, or that it falls, prepaid."""

WEIGHT_END: Final[Weight] = WORK_FAILURE
"""The dearest end of a job there is."""

WEIGHT_ADVANCE: Final[Weight] = WORK_MATCH + 32 * WORK_BID
"""An auction of 32 bids decided (4,098): the dearest that can be due."""
