"""The words of staking: parameters, ledgers, exposures, positions, events and errors.

Names, numbers and layouts are Substrate's where the meaning is the same, so that its clients show
bonds, validators and eras without knowing this chain. Own events begin at 64.
"""

from typing import Annotated, Any, Final

from ext import scale
from runtime.frame.declared import Choice, Most, Record, make_choice
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import U32, AccountId, Amount, Balance, Flag, Moment
from runtime.wire import Compact, Composite, Field, Primitive, Wire

CHUNKS_MAX: Final = 32
"""Amounts of one account that are unbonding at a time; those of the same era are one."""

TARGETS_MAX: Final = 16
"""Validators that a nominator names; what the election reads."""

KICKS_MAX: Final = 64
"""Nominators that a validator sends away in one call."""

PAGE_SIZE: Final = 64
"""Nominators on a page of an exposure: what a block can go through without being felt."""

SEATS_MIN: Final = 4
"""Fewest validators that an election seats, where there are as many candidates."""

STINTS_MAX: Final = 8
"""Assignments of a nominator that are not settled yet; two are usual."""

EXPOSURE_LAG_ERAS: Final = 2
"""Stake unbonded in era e may stand in the exposures made for e + 1; those for e + 2 are clear."""

HISTORY_ERAS: Final = 4
"""How many eras longer than the unbonding the history of an era is kept."""

HISTORY_DEPTH: Final = 32
"""Eras before the running one that stock clients ask for; a chain that unbonds sooner has fewer."""

FOREVER: Final = (1 << 32) - 1
"""The era until which a validator is jailed that equivocated: no era is as late."""

INDEX_SCALE: Final = 10**18
"""Parts of a grain in a reward index: rounding costs a nominator less than a grain an era."""

AUTHOR_POINTS: Final = 200
"""Era points for making a block."""

SIGNER_POINTS: Final = 800
"""Era points for signing the last commit, split over the set by power."""

PERBILL_TYPE: Final = Composite(
    ("sp_arithmetic", "per_things", "Perbill"), (Field(None, Primitive("u32"), "u32"),)
)
"""What Substrate clients call a share in parts of 10^9."""

Commission = Annotated[int, Wire(scale.COMPACT_U32, Compact(PERBILL_TYPE), "Perbill")]
"""The part of a reward that a validator keeps before all others, in parts of 10^9."""

CompactEra = Annotated[int, Wire(scale.COMPACT_U32, Compact(Primitive("u32")), "EraIndex")]
"""An era in a ledger, of variable length."""

RewardDestination = Annotated[
    Choice,
    make_choice(
        ("pallet_staking", "RewardDestination"),
        {
            0: ("Staked", None),
            1: ("Stash", None),
            2: ("Controller", None),
            3: ("Account", AccountId),
            4: ("None", None),
        },
    ),
]
"""Where rewards go: into the stake, to the account, to another account, or nowhere."""

STAKED: Final[tuple[str, Any]] = ("Staked", None)
"""Rewards grow the stake; what genesis validators begin with."""


class StakingParams(Record):
    """What the chain spec says about staking and no client asks by Substrate's names.

    Amounts are grains, `commission_step` is parts of 10^9 an era, `offline_window` is blocks.
    """

    era_epochs: U32
    era_blocks: U32
    unbonding_eras: U32
    slash_deferral_eras: U32
    offline_window: U32
    voters_max: U32
    candidates_max: U32
    commission_step: U32
    era_reward: Balance


class UnlockChunk(Record, path=("pallet_staking", "UnlockChunk")):
    """Stake that is unbonding: it can be withdrawn when `era` has begun."""

    value: Amount
    era: CompactEra


class StakingLedger(Record, path=("pallet_staking", "StakingLedger")):
    """What an account has at stake: `total` is `active` and what is unbonding."""

    stash: AccountId
    total: Amount
    active: Amount
    unlocking: Annotated[tuple[UnlockChunk, ...], Most(CHUNKS_MAX)]


class ValidatorPrefs(Record, path=("pallet_staking", "ValidatorPrefs")):
    """What a validator asks of nominators: its commission, and whether it takes new ones."""

    commission: Commission
    blocked: Flag


NO_PREFERENCES: Final = ValidatorPrefs(0, blocked=False)
"""No commission, and open to everybody: what Substrate reads where nothing was said."""


class Nominations(Record, path=("pallet_staking", "Nominations")):
    """Whom a nominator backs, since which era; nothing here is ever suppressed."""

    targets: Annotated[tuple[AccountId, ...], Most(TARGETS_MAX)]
    submitted_in: U32
    suppressed: Flag


class ActiveEraInfo(Record, path=("pallet_staking", "ActiveEraInfo")):
    """The running era, and when its first block was made."""

    index: U32
    start: Moment | None


class EraRewardPoints(Record, path=("pallet_staking", "EraRewardPoints")):
    """What validators did in an era, in points; ascending by account."""

    total: U32
    individual: Annotated[tuple[tuple[AccountId, U32], ...], Most(256, is_map=True)]


class ExposureOverview(Record, path=("sp_staking", "PagedExposureMetadata")):
    """What stands behind a validator in an era: all, its own part, and its nominators' pages."""

    total: Amount
    own: Amount
    nominator_count: U32
    page_count: U32


class IndividualExposure(Record, path=("sp_staking", "IndividualExposure")):
    """A nominator's grains behind a validator."""

    who: AccountId
    value: Amount


class ExposurePage(Record, path=("sp_staking", "ExposurePage")):
    """Some nominators of a validator in an era, ascending by account, and their sum."""

    page_total: Amount
    others: Annotated[tuple[IndividualExposure, ...], Most(PAGE_SIZE)]


class CarriedExposure(Record):
    """An exposure that no election made for its era: it is that of an earlier one.

    `era` is the one in which it was made. After a failed election it is rewarded as before; a
    validator that only the churn limit keeps is not.
    """

    era: U32
    is_rewarded: Flag


class Backing(Record):
    """What an election put behind one validator out of a nominator's stake."""

    validator: AccountId
    value: Amount


class Stint(Record):
    """What the election for an era made of a nominator's stake; in force until the next."""

    era: U32
    backings: Annotated[tuple[Backing, ...], Most(TARGETS_MAX)]


class Position(Record):
    """A nominator's assignments, and the first era whose rewards it has not received."""

    settled: U32
    stints: Annotated[tuple[Stint, ...], Most(STINTS_MAX)]


class CommissionMark(Record):
    """The last commission of a validator, and what it was when the era of its last change began."""

    era: U32
    base: U32
    current: U32


class EraPaid(Event, index=0):
    """An era's rewards were made: what was paid or set aside, and what nobody earned."""

    era_index: U32
    validator_payout: Balance
    remainder: Balance


class Rewarded(Event, index=1):
    """A staker got its reward, there where it wants it."""

    stash: AccountId
    dest: RewardDestination
    amount: Balance


class Slashed(Event, index=2):
    """A staker lost stake for an offence of its own or of a validator that it backed."""

    staker: AccountId
    amount: Balance


class StakersElected(Event, index=4):
    """An election was held and will be in force from the next era."""


class Bonded(Event, index=5):
    """Money of an account is at stake now."""

    stash: AccountId
    amount: Balance


class Unbonded(Event, index=6):
    """Stake of an account is unbonding; it can be withdrawn when its era has come."""

    stash: AccountId
    amount: Balance


class Withdrawn(Event, index=7):
    """Stake that was unbonded is free again."""

    stash: AccountId
    amount: Balance


class Kicked(Event, index=8):
    """A validator sent a nominator away."""

    nominator: AccountId
    stash: AccountId


class StakingElectionFailed(Event, index=9):
    """The era ended without an election; the old set and its exposures stay."""


class Chilled(Event, index=10):
    """An account stopped validating or nominating."""

    stash: AccountId


class ValidatorPrefsSet(Event, index=12):
    """A validator said what it asks of nominators."""

    stash: AccountId
    prefs: ValidatorPrefs


class Jailed(Event, index=64):
    """A validator may not be elected before that era; the last number of all means never."""

    stash: AccountId
    until_era: U32


class Unjailed(Event, index=65):
    """A validator may be elected again."""

    stash: AccountId


class Nominated(Event, index=66):
    """An account backs these validators from the next election on."""

    stash: AccountId
    targets: Annotated[tuple[AccountId, ...], Most(TARGETS_MAX)]


class RewardKept(Event, index=67):
    """A reward could not be paid there where its owner wants it; it goes into a later era's."""

    stash: AccountId
    amount: Balance


class StakerFeesPaid(Event, index=68):
    """An era's part of job fees went to what was at stake in it; the rest waits for later eras."""

    era_index: U32
    paid: Balance
    rest: Balance


class NotStash(CallError, index=1):
    """The account has nothing at stake; bond some first."""


class AlreadyBonded(CallError, index=2):
    """The account has a bond already; use bond_extra to add to it."""


class EmptyTargets(CallError, index=4):
    """No validator is named; name 1 to 16."""


class DuplicateIndex(CallError, index=5):
    """A validator is named twice; name each once."""


class InsufficientBond(CallError, index=7):
    """Less than the minimum would be at stake; bond more, or chill and unbond all of it."""


class NoMoreChunks(CallError, index=8):
    """32 amounts are unbonding; withdraw those whose era has come, or wait for the next."""


class NoUnlockChunk(CallError, index=9):
    """Less than this is unbonding; rebond at most the sum of the ledger's chunks."""


class BadTarget(CallError, index=20):
    """One of the targets is no validator, or takes no new nominators; name others."""


class ControllerDeprecated(CallError, index=26):
    """There are no controllers; send rewards to the stake, the stash or another account."""


class NotEnabled(CallError, index=64):
    """This chain has a fixed validator set; there is no staking on it."""


class NotEnoughActive(CallError, index=65):
    """Less than this is at stake and not unbonding; unbond at most the active part."""


class ZeroAmount(CallError, index=66):
    """The amount is zero; name at least one grain."""


class NothingUnlocked(CallError, index=67):
    """No unbonding stake is due yet; the ledger names the era of each part."""


class ReportOpen(CallError, index=68):
    """An open report is being booked; try again in some blocks."""


class StakeLiable(CallError, index=69):
    """All of it is liable for an open report; wait until the report is decided."""


class CommissionTooHigh(CallError, index=70):
    """A commission is at most 1,000,000,000, which is all of the reward."""


class CommissionStep(CallError, index=71):
    """A commission moves at most one point an era; take a smaller step, go on next era."""


class NoSessionKeys(CallError, index=72):
    """The account has no session keys; set them with Session.set_keys first."""


class InJail(CallError, index=73):
    """The validator is jailed; wait for the era that its record names, then unjail."""


class JailedForever(CallError, index=74):
    """The validator was proven to equivocate and never validates again; unbond its stake."""


class NotJailed(CallError, index=75):
    """The account is not jailed; nothing has to be done."""


class NothingToChill(CallError, index=76):
    """The account neither validates nor nominates; nothing has to be done."""


class NotValidator(CallError, index=77):
    """The account is no validator; only validators send nominators away."""


class PassiveAccount(CallError, index=78):
    """The genesis named this account passive: it neither stakes nor votes."""


class ElectionTooLarge(CallError, index=79):
    """Elections of this chain cannot count so many voters and candidates; choose fewer."""


class DeferralTooLong(CallError, index=80):
    """Stake or its exposures would be gone before a slash is applied; choose fewer eras."""


class MinimumsCrossed(CallError, index=81):
    """Nominators would need more stake than validators; move the other minimum first."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
