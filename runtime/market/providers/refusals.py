"""Why a provider, a delegator or a job is refused, and what to do then."""

from typing import Final

from runtime.frame.errors import ERRORS_BY_FILE, CallError


class NotRegistered(CallError, index=0):
    """The account is no provider; register it first."""


class AlreadyRegistered(CallError, index=1):
    """The account is a provider already; change its terms with update, or retire and withdraw."""


class Leaving(CallError, index=2):
    """The provider is leaving and takes no more; call stay to go on."""


class NotLeaving(CallError, index=3):
    """The provider has not given notice; call leave first."""


class NoticeRuns(CallError, index=4):
    """Jobs are still open or the notice is not over; retire when both have ended."""


class WrongClass(CallError, index=5):
    """The provider does not have this hardware class, or it is closed; name one that it has."""


class BadClasses(CallError, index=6):
    """Name 1 to 8 open classes, each once in ascending order, with room for at least one job."""


class CommissionTooHigh(CallError, index=7):
    """A commission is at most 1,000,000,000 parts of 10^9."""


class CommissionStep(CallError, index=8):
    """A commission changes by at most a point an era; take several eras."""


class WrongPayout(CallError, index=9):
    """The account belongs to the chain itself; name an account of a person."""


class ChangedTooOften(CallError, index=10):
    """Payout and endpoint changed too often within an unbonding time; try again later."""


class ZeroAmount(CallError, index=11):
    """The amount is zero; name at least one grain."""


class NotEnoughSecurity(CallError, index=12):
    """Less than this is at stake; name at most what `gristmill provider status` shows."""


class OwnShareTooSmall(CallError, index=13):
    """A fifth of the stake behind a provider is its own; put more of it in, or take less out."""


class NoMoreChunks(CallError, index=14):
    """Too many amounts are unbonding; withdraw what is due first."""


class NothingDue(CallError, index=15):
    """Nothing is due yet; wait until the era that was announced."""


class StakeLiable(CallError, index=16):
    """Open jobs need this stake behind them; wait until they have ended."""


class DelegationTooSmall(CallError, index=17):
    """A delegation is at least providers.delegation_min; put in more."""


class NotEnoughShares(CallError, index=18):
    """The delegator has fewer shares than this behind the provider; name at most those."""


class PoolRuined(CallError, index=19):
    """Slashes took nearly all of this pool, so new shares of it cannot be priced; choose another.

    The pool can be used again when all its delegators have left.
    """


class OwnDelegation(CallError, index=20):
    """A provider's own money is its security; use deposit_security."""


class NoSponsorship(CallError, index=21):
    """Nobody of that name offers to pay the deposit; let the sponsor call sponsor first."""


class AlreadySponsored(CallError, index=22):
    """You offer to pay this deposit already."""


class TierTooLow(CallError, index=23):
    """The provider's tier is lower than the job asks; it needs more stake, age or good jobs."""


class ValueTooLarge(CallError, index=24):
    """The job is worth more than twice the provider's security; put more at stake."""


class NoCapacity(CallError, index=25):
    """All devices of this class are busy; wait until a job has ended, or update the capacity."""


class NoFreeBond(CallError, index=26):
    """Too little free money for the bond, of which half is the provider's own; add some."""


class BondTooSmall(CallError, index=27):
    """The work bond has less than this left."""


class BondTakenAlready(CallError, index=28):
    """Another provider's bond stands behind the job; it ends first."""


class JobTaken(CallError, index=29):
    """The provider has this job already, or another has."""


ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
