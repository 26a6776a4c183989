"""Whether an account may be drawn for a panel or a jury now, and what keeps it out.

The runtime says who may (`Verification.eligible`); the reasons are read off the same records, one
sentence each, with what to do about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runtime.market.verification.numbers import BOND_MIN
from runtime.market.verification.pool import BEACON_LAG_EPOCHS
from runtime.market.verification.records import Verifier
from runtime.primitives import AccountId
from runtime.runtime import Runtime

BOUND: Final = "it is one, belongs to one, is nominated by one, or pays its rewards to one: a party"
"""What keeps somebody out of a single job, and is not read apart."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Whether an account may be drawn, out of how many who may, and why not if it may not.

    `epoch` is the one in which what is judged was committed to.
    """

    may_be_drawn: bool
    others: int
    epoch: int
    reasons: tuple[str, ...]


def find_chances(runtime: Runtime, who: AccountId, job: int | None = None) -> Chances:
    """Say whether an account may be drawn in the next block, to judge a job if one is named.

    Without a job it is a draw in which nobody is a party. Raises KeyError for an unknown job.
    """
    market = runtime.market
    parties: tuple[AccountId, ...] = ()
    epoch = runtime.session.current_index - BEACON_LAG_EPOCHS
    if job is not None:
        found = market.jobs.find(job)
        if found is None:
            raise KeyError(job)
        parties = (found.provider, found.requester, found.payer)
        audit = market.verification.audits.find(job)
        epoch = epoch if audit is None else audit.epoch
    able = market.verification.eligible(tuple(dict.fromkeys(parties)), before=epoch)
    if who in able:
        return Chances(may_be_drawn=True, others=len(able) - 1, epoch=epoch, reasons=())
    reasons = tuple(_obstacles(runtime, who, epoch))
    if not reasons:
        reasons = (f"{BOUND} of job {job}",)
    return Chances(may_be_drawn=False, others=len(able), epoch=epoch, reasons=reasons)


def _obstacles(runtime: Runtime, who: AccountId, epoch: int) -> Iterator[str]:
    """Give what keeps an account out of every draw, whoever the parties are."""
    verification = runtime.market.verification
    verifier = verification.verifiers.find(who)
    if verifier is None:
        yield "it is no verifier: `gristmill verifier join` puts a bond down"
    else:
        yield from _obstacles_of(runtime, verifier, epoch)
    if not verification.is_validator(who):
        yield "it is no validator, or sits in jail: only those who validate audit"


def _obstacles_of(runtime: Runtime, verifier: Verifier, epoch: int) -> Iterator[str]:
    """Give what of a verifier's record keeps it out."""
    least, era = BOND_MIN.read(runtime.ctx), runtime.parameters.era()
    if verifier.bond < least:
        yield (
            f"its bond of {verifier.bond} grains is below the least of {least}: "
            "`gristmill verifier join` adds to it"
        )
    if verifier.since > epoch:
        yield (
            f"its bond was last added to in epoch {verifier.since}, and what is judged now was "
            f"committed to in epoch {epoch}: wait {verifier.since - epoch} epochs"
        )
    if era < verifier.out_until:
        yield f"it was silent in an audit or a jury, and sits out until era {verifier.out_until}"
    if 0 < verifier.leaving <= runtime.ctx.block.height:
        yield "its notice has run out: `gristmill verifier withdraw` takes the bond back"
