"""Juries: where the chain cannot run a step itself, verifiers drawn by the beacon do.

    summons --two epochs--> vote (hashes) --> reveal --> verdict --an era--> the end
                                                           +-- appeal --> a larger summons

One seat one vote. The step is wrong only if more say so than not, and most of the seats said
anything: a tie or a silent jury goes to the challenged. Who calls a jury pays its seats: those earn
who voted as it decided, and the rest comes back. Who has a seat and is silent is charged as
any silent verifier is.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Final

from ext import hashing
from runtime.balances import HoldReason, MoveCause
from runtime.beacon import Beacon
from runtime.frame.parameters import PERBILL
from runtime.market.disputes.docket import Dockets
from runtime.market.disputes.neighbours import UsesVerification
from runtime.market.disputes.nouns import (
    APPEAL_ERAS,
    APPEALS_MAX,
    DEPOSIT,
    DEPOSIT_MIN,
    JURIES,
    JUROR_FEE,
    JURORS_MIN,
    JURY_COMMIT,
    JURY_REVEAL,
    AlreadyCast,
    Appeal,
    Appealed,
    BallotCast,
    BallotRevealed,
    Dispute,
    DisputeStage,
    Ending,
    JurorBallot,
    JurorVote,
    Jury,
    JurySeated,
    JurySummoned,
    NoMoreAppeals,
    NotJuror,
    NotLoser,
    RevealBegan,
    UnknownDispute,
    VerdictReached,
    WrongBallot,
)
from runtime.parameters import Parameters
from runtime.primitives import ZERO_HASH, AccountId
from runtime.session import Session

EPOCHS_AHEAD: Final = 2
"""A jury called in an epoch is drawn by randomness that nobody could know in it."""

DRAW_TAG: Final = b"gm-jury"
"""What the seed of a draw hashes first."""

BALLOT_TAG: Final = b"gm-ballot"
"""What a vote hashes first."""


def ballot_hash(*, dispute: int, level: int, juror: AccountId, vote: int, salt: bytes) -> bytes:
    """Give the 32 bytes that commit a juror to a vote, with a salt of 32 bytes."""
    head = BALLOT_TAG + dispute.to_bytes(4, "little") + bytes((level,))
    return hashing.blake2b_256(head + juror + bytes((vote,)) + salt)


class Juries(Dockets):
    """Juries, their votes, and appeals."""

    index: ClassVar[int]
    constitution: Parameters
    session: Session
    beacon: Beacon
    verification: UsesVerification

    # Deposits

    def _deposit_of(self, job: int) -> int:
        """Give what the first challenge of a job puts down, rounded up."""
        found = self.jobs.find(job)
        price = found.price if found is not None else 0
        part = -(-price * DEPOSIT.read(self.ctx) // PERBILL)
        return max(part, DEPOSIT_MIN.read(self.ctx))

    def _jury_fee(self, level: int) -> int:
        """Give what all seats of a jury may earn together."""
        return JURIES[level] * JUROR_FEE.read(self.ctx)

    # Calling and seating

    def _summon(self, number: int, dispute: Dispute, *, level: int, is_guilty: bool) -> Dispute:
        """Call a jury; it is seated when the epoch after the next begins."""
        epoch = self.session.current_index
        self.juries[number] = Jury(level, epoch, (), is_guilty)
        due = (epoch + EPOCHS_AHEAD) * self.session.epoch_blocks()
        self.emit(JurySummoned(number, level, epoch + EPOCHS_AHEAD))
        return self._wait(number, dispute, DisputeStage.SUMMONS, due)

    def _seat(self, number: int, dispute: Dispute) -> None:
        """Draw the jury; where there are too few to draw from, what was said before stands."""
        jury = self.juries[number]
        jurors = self._draw(number, dispute, jury)
        if len(jurors) < JURORS_MIN:
            self._end(number, _last_word(jury) if jury.level else Ending.NO_JURY)
            return
        ballots = tuple(JurorBallot(who, ZERO_HASH, JurorVote.NONE) for who in jurors)
        self.juries[number] = replace(jury, ballots=ballots)
        due = self.ctx.block.height + JURY_COMMIT.read(self.ctx)
        self._wait(number, dispute, DisputeStage.VOTE, due)
        self.emit(JurySeated(number, jurors, due))

    def _draw(self, number: int, dispute: Dispute, jury: Jury) -> tuple[AccountId, ...]:
        """Draw verifiers who were there when the jury was called, and are bound to no party."""
        job = self.jobs.find(dispute.job)
        parties = [dispute.provider, dispute.challenger]
        parties += [job.requester, job.payer] if job is not None else []
        place = dispute.job.to_bytes(4, "little") + number.to_bytes(4, "little")
        parts = DRAW_TAG + self.beacon.randomness + place + bytes((jury.level,))
        return self.verification.draw(
            hashing.blake2b_256(parts),
            JURIES[jury.level],
            tuple(dict.fromkeys(parties)),
            before=jury.epoch,
        )

    # Voting

    def _take_ballot(self, number: int, who: AccountId, hash_: bytes) -> None:
        """Take a juror's hash; raises why it cannot cast one."""
        dispute = self._dispute(number, DisputeStage.VOTE)
        jury = self.juries[number]
        ballot = _ballot_of(jury, who)
        if ballot.hash != ZERO_HASH:
            raise AlreadyCast
        jury = self._write(number, jury, replace(ballot, hash=hash_))
        self.emit(BallotCast(number, who))
        if all(ballot.hash != ZERO_HASH for ballot in jury.ballots):
            self._open_reveal(number, dispute)

    def _open_reveal(self, number: int, dispute: Dispute) -> None:
        due = self.ctx.block.height + JURY_REVEAL.read(self.ctx)
        self._wait(number, dispute, DisputeStage.REVEAL, due)
        self.emit(RevealBegan(number, due))

    def _take_vote(self, number: int, who: AccountId, vote: JurorVote, salt: bytes) -> None:
        """Take a juror's vote; raises why it does not count."""
        dispute = self._dispute(number, DisputeStage.REVEAL)
        jury = self.juries[number]
        ballot = _ballot_of(jury, who)
        if ballot.vote is not JurorVote.NONE:
            raise AlreadyCast
        made = ballot_hash(dispute=number, level=jury.level, juror=who, vote=vote, salt=salt)
        if vote is JurorVote.NONE or made != ballot.hash:
            raise WrongBallot
        jury = self._write(number, jury, replace(ballot, vote=vote))
        self.emit(BallotRevealed(number, who, vote))
        if all(ballot.vote for ballot in jury.ballots if ballot.hash != ZERO_HASH):
            self._tally(number, dispute)

    def _write(self, number: int, jury: Jury, ballot: JurorBallot) -> Jury:
        """Write a ballot in the place of the one that the juror had."""
        ballots = tuple(ballot if b.juror == ballot.juror else b for b in jury.ballots)
        self.juries[number] = jury = replace(jury, ballots=ballots)
        return jury

    # Verdicts

    def _tally(self, number: int, dispute: Dispute) -> None:
        """Count the votes, pay the seats, and leave time for an appeal, unless it was the last."""
        jury = self.juries[number]
        votes = [ballot.vote for ballot in jury.ballots]
        wrong, right = votes.count(JurorVote.WRONG), votes.count(JurorVote.RIGHT)
        has_quorum = 2 * (wrong + right) > len(votes)
        is_guilty = has_quorum and wrong > right
        winner = JurorVote.WRONG if is_guilty else JurorVote.RIGHT
        is_split = not has_quorum or wrong == right
        dispute = self._pay_seats(dispute, jury, None if is_split else winner)
        for ballot in jury.ballots:
            if ballot.vote is JurorVote.NONE:
                self.verification.charge_silence(ballot.juror, dispute.job)
        self.juries[number] = jury = replace(jury, is_guilty=is_guilty)
        is_last = jury.level == APPEALS_MAX
        eras = 0 if is_last else APPEAL_ERAS.read(self.ctx)
        due = self.ctx.block.height + eras * self.constitution.era_blocks
        self.emit(VerdictReached(number, jury.level, wrong, right, is_guilty, due))
        if is_last:
            self.disputes[number] = dispute
            self._end(number, _last_word(jury))
        else:
            self._wait(number, dispute, DisputeStage.APPEAL, due)

    def _pay_seats(self, dispute: Dispute, jury: Jury, winner: JurorVote | None) -> Dispute:
        """Pay those who voted as the jury did, all who voted when it did not decide."""
        each = dispute.fee // JURIES[jury.level]
        left = dispute.fee
        for ballot in jury.ballots:
            is_earned = ballot.vote is winner if winner else ballot.vote is not JurorVote.NONE
            if not is_earned or not each:
                continue
            self.balances.pay_held(
                MoveCause.AUDIT, dispute.fee_payer, HoldReason.DEPOSIT, ballot.juror, each
            )
            left -= each
        self.deposits -= dispute.fee - left
        self._give_back(dispute.fee_payer, left)
        return replace(dispute, fee=0)

    def _take_appeal(self, number: int, who: AccountId) -> None:
        """Call a larger jury for the side that lost; raises why it cannot."""
        dispute = self._dispute(number, DisputeStage.APPEAL)
        jury = self.juries.find(number)
        if jury is None:
            raise UnknownDispute
        if who != (dispute.provider if jury.is_guilty else dispute.challenger):
            raise NotLoser
        level = jury.level + 1
        if level > APPEALS_MAX:
            raise NoMoreAppeals
        deposit, fee = self._deposit_of(dispute.job) << level, self._jury_fee(level)
        self._take_deposit(who, deposit + fee)
        appeals = (*dispute.appeals, Appeal(who, deposit))
        dispute = replace(dispute, appeals=appeals, fee=fee, fee_payer=who)
        self.emit(Appealed(number, who, deposit))
        self._summon(number, dispute, level=level, is_guilty=jury.is_guilty)

    # Time

    def _jury_steps(self) -> dict[DisputeStage, Callable[[int, Dispute], None]]:
        """Give what happens when the time of a stage is over."""
        return {
            DisputeStage.SUMMONS: self._seat,
            DisputeStage.VOTE: self._open_reveal,
            DisputeStage.REVEAL: self._tally,
            DisputeStage.APPEAL: self._close_appeal,
        }

    def _close_appeal(self, number: int, _: Dispute) -> None:
        self._end(number, _last_word(self.juries[number]))


def _last_word(jury: Jury) -> Ending:
    return Ending.OUTVOTED if jury.is_guilty else Ending.ACQUITTED


def _ballot_of(jury: Jury, who: AccountId) -> JurorBallot:
    """Give the seat of a juror; raises NotJuror."""
    for ballot in jury.ballots:
        if ballot.juror == who:
            return ballot
    raise NotJuror
