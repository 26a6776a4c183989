"""Audits: what is drawn of a completed job, who runs it again, what they found.

    complete, epoch c -> beacon of c + 2 -> commit -> reveal -> verdict
                              ^                          |
                              +---- no verdict, twice ---+

Each drawn verifier runs the drawn checkpoints again and commits to where each begins and to the
root of its step tree; then the provider opens its own commitments, and the verifiers theirs. More
than two thirds of the seats are a verdict. A provider that is silent, or says something else, is
convicted. A panel without a verdict is followed by a larger one over other checkpoints, since
everybody knows by then what those before came to.

Whether a phase is over is judged by height, in every call; the wheel only moves on by itself, and
`advance` does, where the wheel was full.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ext import hashing, signing
from runtime.deadlines import DeadlineNotFuture, Lane, WheelFull
from runtime.frame.errors import CallError
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.market import terms
from runtime.market.nouns import Fault, Job, JobResult, JobSpec, Reason
from runtime.market.verification.nouns import (
    AlreadyAnswered,
    AuditCommitted,
    AuditDrawn,
    AuditEnded,
    AuditOpened,
    AuditRedrawn,
    AuditRevealed,
    AuditRevealing,
    BadQuote,
    CheckpointsOpened,
    CommitmentDoesNotFit,
    JobAttested,
    NoAudit,
    NotProvider,
    NotSeated,
    Outcome,
    TooLateToAttest,
    UnknownVendor,
    WrongCount,
    WrongPhase,
)
from runtime.market.verification.numbers import (
    CANARY_ERAS,
    COMMIT_BLOCKS,
    DRAWS_MAX,
    REDRAW_SEATS,
    REDRAWS_MAX,
    REVEAL_BLOCKS,
    SEATS_MIN,
    SILENT_SLASH,
    STEPS_MAX,
)
from runtime.market.verification.openings import read_disclosure
from runtime.market.verification.pool import BEACON_LAG_EPOCHS, TWOX, Pool
from runtime.market.verification.records import (
    Audit,
    AuditAnswer,
    AuditPhase,
    Ballot,
    Canary,
    Disclosure,
    Pass,
    Quote,
    SaltedAnswer,
    Seat,
    Steps,
    audit_commitment,
    quote_message,
)
from runtime.primitives import U32, AccountId, Flag, Hash

AUDIT: Final = b"a"
"""First byte of an item of the wheel that moves an audit on; job and turn follow."""

BALLOT: Final = b"b"
"""First byte of an item of the wheel that forgets a ballot; the job follows."""


NO_STEPS: Final = Steps(0, 0)
"""Before the first block."""


class Audits(Pool):
    """The audits of jobs."""

    steps: StorageValue[Steps] = stored(default=NO_STEPS)
    audit_count: StorageValue[U32] = stored(default=0)
    audits: StorageMap[U32, Audit] = stored(hasher=TWOX)
    ballots: StorageMap[U32, Ballot] = stored(hasher=TWOX)
    canaries: StorageMap[U32, Canary] = stored(hasher=TWOX)
    quotes: StorageMap[U32, Quote] = stored(hasher=TWOX)
    vendors: StorageMap[Hash, Flag] = stored(default=False)

    # What jobs tell

    def _begin_audit(self, id_: int) -> None:
        """Let a completed job wait for its draw."""
        self.jobs.open_case(id_)
        epoch = self.session.current_index
        audit = self._wait(
            id_, Audit(AuditPhase.WAITING, 0, 0, epoch, 0, 0, (), (), (), (), is_attested=False)
        )
        self.audits[id_] = audit
        self.emit(AuditOpened(id_, audit.epoch + BEACON_LAG_EPOCHS))

    def _drop_audit(self, id_: int, audit: Audit) -> None:
        """End the audit of an attempt that is over for another reason; nobody is charged."""
        self._leave_seats([seat.who for seat in audit.seats])
        del self.audits[id_]
        del self.quotes[id_]
        self.emit(AuditEnded(id_, Outcome.DROPPED, audit.round, 0))

    # Calls

    def _commit_answers(self, who: AccountId, id_: int, commits: tuple[bytes, ...]) -> None:
        audit = self._audit_at(id_, AuditPhase.COMMITTING)
        place = _place_of(audit, who)
        if len(commits) != len(audit.draws):
            raise WrongCount
        if audit.seats[place].commits:
            raise AlreadyAnswered
        audit = _with_seat(audit, place, replace(audit.seats[place], commits=commits))
        self.emit(AuditCommitted(id_, who))
        if all(seat.commits for seat in audit.seats):
            audit = self._begin_revealing(id_, audit, self.ctx.block.height)
        self.audits[id_] = audit
        self.ctx.waive_fee()

    def _reveal_answers(self, who: AccountId, id_: int, answers: tuple[SaltedAnswer, ...]) -> None:
        audit = self._audit_at(id_, AuditPhase.REVEALING)
        place = _place_of(audit, who)
        seat = audit.seats[place]
        if len(answers) != len(audit.draws):
            raise WrongCount
        if seat.answers:
            raise AlreadyAnswered
        made = [
            audit_commitment(id_, checkpoint, who, answer.start, answer.trace_root, answer.salt)
            for checkpoint, answer in zip(audit.draws, answers, strict=True)
        ]
        if tuple(made) != seat.commits:
            raise CommitmentDoesNotFit
        said = tuple(AuditAnswer(answer.start, answer.trace_root) for answer in answers)
        self.emit(AuditRevealed(id_, who, said))
        self._go_on(id_, _with_seat(audit, place, replace(seat, answers=said)))
        self.ctx.waive_fee()

    def _open_checkpoints(
        self, who: AccountId, id_: int, disclosures: tuple[Disclosure, ...]
    ) -> None:
        audit = self._audit_at(id_, AuditPhase.REVEALING)
        job, spec, result = self._judged(id_)
        if job.provider != who:
            raise NotProvider
        if len(disclosures) != len(audit.draws):
            raise WrongCount
        if audit.opened:
            raise AlreadyAnswered
        opened = tuple(
            read_disclosure(job, spec, result, checkpoint, disclosure)
            for checkpoint, disclosure in zip(audit.draws, disclosures, strict=True)
        )
        self.emit(CheckpointsOpened(id_, opened))
        self._go_on(id_, replace(audit, opened=opened))

    def _advance_audit(self, id_: int) -> bool:
        """Do what is due of a job's audit, and forget its ballot; gives whether anything was."""
        audit, ballot = self.audits.find(id_), self.ballots.find(id_)
        if audit is not None and self._is_due(audit):
            self._move_on(id_, audit)
            return True
        is_old = ballot is not None and ballot.kept_until <= self.ctx.block.height
        self._forget_ballot(id_)
        return is_old

    def _attest(self, who: AccountId, id_: int, vendor: bytes, quote: bytes) -> None:
        audit = self.audits.find(id_)
        if audit is None:
            raise NoAudit
        job, spec, result = self._judged(id_)
        if job.provider != who:
            raise NotProvider
        if not self.vendors[vendor]:
            raise UnknownVendor
        is_late = audit.round or self.session.current_index != audit.epoch
        if is_late or audit.is_attested:
            raise TooLateToAttest
        era = self.constitution.era()
        message = quote_message(
            self.ctx.block.genesis_hash, id_, job.attempt, era, spec.image, result.commitments
        )
        if not signing.verify(vendor, message, quote):
            raise BadQuote
        self.audits[id_] = replace(audit, is_attested=True)
        self.quotes[id_] = Quote(vendor, era)
        self.emit(JobAttested(id_, vendor))

    # Steps

    def _do_audit(self, id_: int, turn: int) -> None:
        """Do what the wheel says, if it is still what counts; in the next block if much is due."""
        audit = self.audits.find(id_)
        if audit is None or audit.turn != turn:
            return
        if audit.phase is AuditPhase.COMMITTING or self._has_room():
            self._move_on(id_, audit)
        else:
            self._put(AUDIT + _place(id_, turn), self.ctx.block.height + 1)

    def _move_on(self, id_: int, audit: Audit) -> None:
        """End a phase whose time is over."""
        if audit.phase is AuditPhase.WAITING:
            self._draw_audit(id_, audit)
        elif audit.phase is AuditPhase.COMMITTING:
            self.audits[id_] = self._begin_revealing(id_, audit, audit.due)
        else:
            self._conclude(id_, audit)

    def _wait(self, id_: int, audit: Audit) -> Audit:
        """Wait for the beacon; the draws of an epoch are spread over its blocks."""
        blocks = self.session.epoch_blocks()
        first = 1 + (audit.epoch + BEACON_LAG_EPOCHS) * blocks
        return self._wake_audit(id_, replace(audit, due=first + id_ % blocks))

    def _draw_audit(self, id_: int, audit: Audit) -> None:
        """Draw checkpoints and verifiers; without three verifiers there is no audit."""
        job, _, _ = self._judged(id_)
        bond = self.providers.bond(id_)
        draws = terms.audit_draws(job.price, bond.own if bond is not None else 0)
        planned = min(draws, DRAWS_MAX, job.span)
        round_ = audit.round
        seed = self._seed_of(b"gm-audit", id_, round_)
        draws = _halve(planned, seed) if self._is_attested(id_, audit) else planned
        if not draws:
            self._end_audit(id_, audit, Outcome.SPARED, 0)
            return
        seats = self.draw(
            hashing.blake2b_256(b"gm-seats" + seed),
            terms.audit_seats(job.price) + REDRAW_SEATS * round_,
            (job.provider, job.requester, job.payer),
            before=audit.epoch,
        )
        if len(seats) < SEATS_MIN:
            self._end_audit(id_, audit, Outcome.TOO_FEW, 0)
            return
        self._take_seats(seats)
        if not round_:
            self.audit_count += 1
        chosen = draw_checkpoints(seed, draws, job.first_checkpoint, job.span, audit.drawn)
        drawn = replace(
            audit,
            phase=AuditPhase.COMMITTING,
            due=self.ctx.block.height + COMMIT_BLOCKS.read(self.ctx),
            planned=planned,
            draws=chosen,
            seats=tuple(Seat(who, (), ()) for who in seats),
        )
        self.audits[id_] = self._wake_audit(id_, drawn)
        self.emit(AuditDrawn(id_, round_, chosen, seats, drawn.due))

    def _begin_revealing(self, id_: int, audit: Audit, height: int) -> Audit:
        due = height + REVEAL_BLOCKS.read(self.ctx)
        audit = replace(audit, phase=AuditPhase.REVEALING, due=due)
        self.emit(AuditRevealing(id_, due))
        return self._wake_audit(id_, audit)

    def _go_on(self, id_: int, audit: Audit) -> None:
        """Keep an audit, or conclude it when nobody is left to be waited for."""
        if audit.opened and all(seat.answers for seat in audit.seats):
            self._conclude(id_, audit)
        else:
            self.audits[id_] = audit

    def _conclude(self, id_: int, audit: Audit) -> None:
        """Count the answers and act on them."""
        verdicts = [verdict_of(audit, place) for place in range(len(audit.draws))]
        is_guilty = not audit.opened or any(
            verdict is not None and verdict != opened
            for verdict, opened in zip(verdicts, audit.opened, strict=True)
        )
        is_passed = not is_guilty and None not in verdicts
        is_final = is_guilty or is_passed or audit.round == REDRAWS_MAX
        for seat in audit.seats:
            if not seat.answers:
                self._silence(seat.who, id_, SILENT_SLASH.read(self.ctx))
        if not is_final:
            self._redraw(id_, audit)
            return
        paid = self._pay_right(id_, audit, verdicts) if is_guilty or is_passed else 0
        self._keep_ballot(id_, audit, is_convicted=is_guilty)
        outcome = Outcome.PASSED if is_passed else Outcome.NO_VERDICT
        self._end_audit(id_, audit, Outcome.CONVICTED if is_guilty else outcome, paid)

    def _redraw(self, id_: int, audit: Audit) -> None:
        """Have a larger panel drawn, by a beacon that nobody knows yet."""
        self._leave_seats([seat.who for seat in audit.seats])
        again = replace(
            audit,
            phase=AuditPhase.WAITING,
            round=audit.round + 1,
            epoch=self.session.current_index,
            seats=(),
            opened=(),
            draws=(),
            drawn=(*audit.drawn, *audit.draws),
        )
        self.audits[id_] = self._wait(id_, again)
        self.emit(AuditRedrawn(id_, again.round, again.epoch + BEACON_LAG_EPOCHS))

    def _pay_right(self, id_: int, audit: Audit, verdicts: Sequence[AuditAnswer | None]) -> int:
        """Pay every seat for each checkpoint of which it said the verdict; gives the sum.

        A checkpoint is worth the whole fee by seats and planned draws, rounded down.
        """
        job, _, _ = self._judged(id_)
        part = job.audit_left // (len(audit.seats) * max(audit.planned, len(audit.draws)))
        paid = 0
        for seat in audit.seats:
            pairs = zip(seat.answers, verdicts, strict=False)
            right = sum(1 for answer, verdict in pairs if answer == verdict)
            if right and part:
                self.jobs.pay_audit(id_, seat.who, right * part)
                paid += right * part
        return paid

    def _end_audit(self, id_: int, audit: Audit, outcome: Outcome, paid: int) -> None:
        """Forget an audit and let the job know."""
        self._leave_seats([seat.who for seat in audit.seats])
        del self.audits[id_]
        del self.quotes[id_]
        self.emit(AuditEnded(id_, outcome, audit.round + 1, paid))
        if outcome is Outcome.CONVICTED:
            self.jobs.convict(id_, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
            return
        if outcome is Outcome.PASSED:
            self.jobs.vindicate(id_, Reason.AUDIT_PASSED)
        else:
            self._leave_open(id_)
        self.jobs.close_case(id_)

    def _leave_open(self, id_: int) -> None:
        """Leave a result that was not judged to its requester, for an era at least."""
        self.jobs.leave_to_requester(id_)
        self.jobs.extend_window(id_, self.ctx.block.height + self.constitution.era_blocks)

    def _keep_ballot(self, id_: int, audit: Audit, *, is_convicted: bool) -> None:
        """Keep who passed what, until no canary can come to light any more."""
        job, _, _ = self._judged(id_)
        cost = self._half_bond(id_) if is_convicted else 0
        eras = CANARY_ERAS.high + 1
        kept_until = self.constitution.era_start(self.constitution.era() + eras)
        passes = tuple(
            Pass(
                checkpoint,
                opened,
                tuple(s.who for s in audit.seats if s.answers and s.answers[place] == opened),
            )
            for place, (checkpoint, opened) in enumerate(
                zip(audit.draws, audit.opened, strict=False)
            )
        )
        ballot = Ballot(kept_until, job.provider, job.attempt, cost, passes)
        if passes:
            self.ballots[id_] = ballot
            self._put(BALLOT + id_.to_bytes(4, "little"), kept_until)

    def _forget_ballot(self, id_: int) -> None:
        ballot = self.ballots.find(id_)
        if ballot is not None and ballot.kept_until <= self.ctx.block.height:
            del self.ballots[id_]
            del self.canaries[id_]

    # Inside

    def _half_bond(self, id_: int) -> int:
        """Give half of the bond behind a job: of a lost one that much at least is nobody's."""
        bond = self.providers.bond(id_)
        return (bond.own + bond.delegated) // 2 if bond is not None else 0

    def _audit_at(self, id_: int, phase: AuditPhase) -> Audit:
        """Give an audit that is in a phase at this height; raises NoAudit or WrongPhase.

        A phase whose time is over is ended first, where that is all that there is to it.
        """
        audit = self.audits.find(id_)
        if audit is None:
            raise NoAudit
        if audit.phase is AuditPhase.COMMITTING and self._is_due(audit):
            audit = self._begin_revealing(id_, audit, audit.due)
        if audit.phase is not phase or self._is_due(audit):
            raise WrongPhase
        return audit

    def _is_due(self, audit: Audit) -> bool:
        return self.ctx.block.height >= audit.due

    def _judged(self, id_: int) -> tuple[Job, JobSpec, JobResult]:
        """Give a job that has a result, with both; raises NoAudit."""
        job, result = self.jobs.find(id_), self.jobs.result(id_)
        if job is None or result is None:
            raise NoAudit
        return job, self.jobs.spec(id_), result

    def _is_attested(self, id_: int, audit: Audit) -> bool:
        """Whether a vendor's word counts still: it is an era old at most, and the vendor listed."""
        quote = self.quotes.find(id_)
        if quote is None or audit.round:
            return False
        return self.vendors[quote.vendor] and self.constitution.era() <= quote.era + 1

    def _seed_of(self, tag: bytes, id_: int, round_: int) -> bytes:
        """Give the seed of a draw: the beacon of the running epoch, for this and nothing else."""
        parts = tag + self.beacon.randomness + id_.to_bytes(4, "little") + bytes((round_,))
        return hashing.blake2b_256(parts)

    def _wake_audit(self, id_: int, audit: Audit) -> Audit:
        """Put the end of a phase on the wheel and give the audit with its turn."""
        turn = (audit.turn + 1) % (1 << 16)
        self._put(AUDIT + _place(id_, turn), audit.due)
        return replace(audit, turn=turn)

    def _has_room(self, count: int = 1) -> bool:
        """Whether the wheel may go on with so many panels in this block; counts them if so."""
        height, steps = self.ctx.block.height, self.steps
        done = count + (steps.count if steps.height == height else 0)
        if done > STEPS_MAX:
            return False
        self.steps = Steps(height, done)
        return True

    def _put(self, payload: bytes, height: int) -> None:
        """Put an item on the wheel; where that is full, `advance` does it."""
        try:
            self.deadlines.schedule(
                height=max(height, self.ctx.block.height + 1),
                lane=Lane.JOBS,
                module_index=self.index,
                payload=payload,
            )
        except (WheelFull, DeadlineNotFuture) as refusal:
            self._note_full(refusal)

    def _note_full(self, _: CallError) -> None:
        """Nothing is lost: every phase is judged by height, and anybody may call `advance`."""


def draw_checkpoints(
    seed: bytes, draws: int, first: int, count: int, passed: Sequence[int]
) -> tuple[int, ...]:
    """Draw checkpoints from `first` on, none twice; passed ones only when no others are left."""
    fresh = [number for number in range(first, first + count) if number not in passed]
    left = fresh if len(fresh) >= draws else list(range(first, first + count))
    drawn = []
    for turn in range(draws):
        number = hashing.blake2b_256(b"gm-checkpoints" + seed + turn.to_bytes(4, "little"))
        drawn.append(left.pop(int.from_bytes(number, "little") % len(left)))
    return tuple(drawn)


def verdict_of(audit: Audit, place: int) -> AuditAnswer | None:
    """Give what more than two thirds of all seats say of a drawn checkpoint, or None."""
    answers = [seat.answers[place] for seat in audit.seats if seat.answers]
    for answer in answers:
        if 3 * answers.count(answer) > 2 * len(audit.seats):
            return answer
    return None


def _place(number: int, turn: int) -> bytes:
    """Give what an item of the wheel says behind its first byte."""
    return number.to_bytes(4, "little") + turn.to_bytes(2, "little")


def _halve(draws: int, seed: bytes) -> int:
    """Give half of the draws; the half of one is a coin."""
    return draws // 2 + (draws % 2 and hashing.blake2b_256(b"gm-coin" + seed)[0] % 2)


def _place_of(audit: Audit, who: AccountId) -> int:
    for place, seat in enumerate(audit.seats):
        if seat.who == who:
            return place
    raise NotSeated


def _with_seat(audit: Audit, place: int, seat: Seat) -> Audit:
    return replace(audit, seats=(*audit.seats[:place], seat, *audit.seats[place + 1 :]))
