"""Disputes: eleven at a time over one job, and a jury of 23 behind two appeals."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bench.calls.hall import PLANTED, Hall, many, run, wide
from bench.stages import Stage, call, items, stages, stop_wheel
from ext import hashing
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.module import WEIGHT_END
from runtime.market.disputes.nouns import (
    PARALLEL_MAX,
    QUEUE_MAX,
    DisputeEnded,
    DisputeStage,
    JurorBallot,
    JurorVote,
    JurySeated,
    VerdictReached,
)
from runtime.market.nouns import Verification
from runtime.primitives import ZERO_HASH, AccountId
from tests.support.bazaar import PRICE, state_answer
from tests.support.jobs import ANN, GRIST, OTHER
from tests.support.verification import Attempt

CROWD: Final = PARALLEL_MAX + QUEUE_MAX
LAST: Final = 31
"""The last checkpoint."""

SALT: Final = hashing.blake2b_256(b"salt")
WRONG: Final = JurorVote.WRONG


def crowd(hall: Hall, first: int = 8_000) -> list[AccountId]:
    """Give as many people with money as may challenge a job."""
    people = many(CROWD, first)
    for who in people:
        hall.mint(who, 100_000 * GRIST)
    return people


def move(hall: Hall, number: int, made: Attempt) -> None:
    """Make the next move of a dispute whose challenger has the truth."""
    dispute, true = hall.disputes.disputes[number], run()
    asked = dispute.asked
    if dispute.stage is DisputeStage.ANSWER:
        opened = state_answer(made, asked)
        hall.act(dispute.provider, "Disputes", "answer", number, asked, opened)
    else:
        agrees = dispute.middle_state == true.state_at(asked)
        hall.act(dispute.challenger, "Disputes", "reply", number, asked, agrees)


def play_on(hall: Hall, number: int, made: Attempt, *stages_: DisputeStage) -> None:
    """Make moves until a dispute is at one of these stages."""
    while hall.disputes.disputes[number].stage not in stages_:
        move(hall, number, made)


def wake(hall: Hall, number: int, turn: int) -> None:
    """Let a dispute be all that the wheel has in the next block."""
    stop_wheel(hall)
    hall.disputes._wake(number, turn, hall.height + 1)  # noqa: SLF001 -- nobody else has to


@stages(
    "Disputes.challenge",
    "Disputes.answer",
    "Disputes.reply",
    "Disputes.abandon",
    "Disputes.prove",
    "Disputes.time_out",
    "a dispute ends",
)
def disputes() -> Iterator[Stage]:
    """Eleven people challenge a result; the first finds the step that is wrong."""
    hall = Hall()
    people = crowd(hall)
    id_, made = hall.posted_job(wide(), run(PLANTED), PRICE)
    number = hall.disputes.dispute_count
    for who in people[:-1]:
        hall.act(who, "Disputes", "challenge", id_, LAST)
    yield call(hall, people[-1], "Disputes.challenge", id_, LAST, prepaid=WEIGHT_END)
    hall.act(people[-1], "Disputes", "challenge", id_, LAST)
    while hall.disputes.disputes[number].rounds < 1:
        move(hall, number, made)
    play_on(hall, number, made, DisputeStage.ANSWER)
    dispute = hall.disputes.disputes[number]
    given = (number, dispute.asked, state_answer(made, dispute.asked))
    yield call(hall, ANN.id, "Disputes.answer", *given)
    move(hall, number, made)
    dispute = hall.disputes.disputes[number]
    yield call(hall, people[0], "Disputes.reply", number, dispute.asked, False)  # noqa: FBT003 -- as the call has it
    yield call(hall, people[0], "Disputes.abandon", number)
    play_on(hall, number, made, DisputeStage.PROOF)
    witness = run().witness(hall.disputes.disputes[number].high - 1)
    yield call(hall, OTHER.id, "Disputes.prove", number, witness)
    second = number + 1
    hall.wait_until(hall.disputes.disputes[second].due + 1)
    yield call(hall, OTHER.id, "Disputes.time_out", second)
    third = hall.disputes.disputes[number + 2]
    wake(hall, number + 2, third.turn)
    yield items(hall, "a dispute ends", WEIGHT_END, DisputeEnded)


@stages(
    "Disputes.cast_ballot",
    "Disputes.reveal_ballot",
    "Disputes.appeal",
    "a jury is drawn",
    "a jury is counted",
)
def juries() -> Iterator[Stage]:
    """Play: a step that only people can judge goes up to the last of three juries."""
    hall = Hall()
    hall.mint(ANN.id, 100_000 * GRIST)
    people = crowd(hall)
    spec = wide(program=b"p" * 32, verification=Verification.ACCEPTANCE)
    id_, made = hall.posted_job(spec, run(PLANTED), PRICE)
    number = hall.disputes.dispute_count
    for who in people:
        hall.act(who, "Disputes", "challenge", id_, LAST)
    play_on(hall, number, made, DisputeStage.SUMMONS)
    for level in range(3):
        dispute = hall.disputes.disputes[number]
        hall.wait_until(dispute.due)
        if level == 2:
            wake(hall, number, dispute.turn)
            yield items(hall, "a jury is drawn", WEIGHT_END, JurySeated)
        else:
            hall.wait(1)
            hall.act(OTHER.id, "Disputes", "time_out", number)
        yield from _judge(hall, number, level)


def _judge(hall: Hall, number: int, level: int) -> Iterator[Stage]:
    """Let a jury vote: the first two hear an appeal, of the last 11 members are silent."""
    jurors = [ballot.juror for ballot in hall.disputes.juries[number].ballots]
    for who in jurors[:-1]:
        hall.act(who, "Disputes", "cast_ballot", number, _seal(number, level, who))
    last, voters = jurors[-1], jurors
    if level == 2:
        sealed = _seal(number, level, last)
        yield call(hall, last, "Disputes.cast_ballot", number, sealed)
        voters = jurors[:12]
    hall.act(last, "Disputes", "cast_ballot", number, _seal(number, level, last))
    juries_ = hall.disputes.juries
    jury = juries_[number]
    quiet = [JurorBallot(who, ZERO_HASH, JurorVote.NONE) for who in jurors[len(voters) :]]
    juries_[number] = replace(jury, ballots=(*jury.ballots[: len(voters)], *quiet))
    for who in voters[:-1]:
        hall.act(who, "Disputes", "reveal_ballot", number, WRONG, SALT)
    said = (number, WRONG, SALT)
    if level == 2:
        yield call(hall, voters[-1], "Disputes.reveal_ballot", *said)
        dispute = hall.disputes.disputes[number]
        hall.wait_until(dispute.due)
        wake(hall, number, dispute.turn)
        yield items(hall, "a jury is counted", WEIGHT_END, VerdictReached)
        return
    hall.act(voters[-1], "Disputes", "reveal_ballot", *said)
    if level == 1:
        yield call(hall, ANN.id, "Disputes.appeal", number, prepaid=WEIGHT_END)
    hall.done(ANN, "Disputes", "appeal", number)


def _seal(number: int, level: int, who: AccountId) -> bytes:
    return ballot_hash(dispute=number, level=level, juror=who, vote=WRONG, salt=SALT)
