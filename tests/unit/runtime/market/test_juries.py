"""Juries: drawn by the beacon, hashes first, one seat one vote, doubt helps the challenged."""

from dataclasses import replace

import pytest

from ext import hashing
from runtime.balances import HoldReason
from runtime.market.disputes import nouns as words
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.nouns import (
    APPEAL_ERAS,
    JURIES,
    JUROR_FEE,
    JURY_COMMIT,
    JURY_REVEAL,
    PARAMETERS,
    DisputeStage,
    Ending,
    JurorVote,
)
from runtime.market.nouns import Fault, Reason
from runtime.primitives import AccountId
from tests.support.disputes import CHALLENGER, GRIST, PROVIDER, REQUESTER, Court, Run
from tests.support.runtime import person, stranger

RUN = Run.make(2)
EVE = person("Eve")
SALT = hashing.blake2b_256(b"salt")
RIGHT, WRONG = JurorVote.RIGHT, JurorVote.WRONG
FEE = JUROR_FEE.default


@pytest.fixture
def court() -> Court:
    """A court with forty verifiers; moves are as short as they may be."""
    court = Court()
    pool = tuple(stranger(number) for number in range(40))
    for who in pool:
        court.fund(who, 10 * GRIST)
    court.verification.pool = (*pool, PROVIDER, CHALLENGER, REQUESTER)
    for number in PARAMETERS:
        is_short = number in {JURY_COMMIT, JURY_REVEAL}
        number.begin(court.runtime.ctx, number.low if is_short else number.default)
    return court


def free(court: Court, who: AccountId) -> int:
    return court.chain.free(who)


def held(court: Court, who: AccountId) -> int:
    return court.runtime.balances.held(who, HoldReason.DEPOSIT)


def summon(court: Court) -> tuple[int, int]:
    """Take a job of an unknown program to its jury; gives job and dispute."""
    job = court.job(RUN, program=bytes(32))
    number = court.challenge(job)
    court.answer(number)
    court.reply(number, agrees=True)
    assert court.dispute(number).stage is DisputeStage.SUMMONS
    return job, number


def seated(court: Court, number: int) -> list[AccountId]:
    """Wait for the seats to be drawn; gives who sits."""
    if court.dispute(number).stage is DisputeStage.SUMMONS:
        court.until(court.dispute(number).due + 1)
    return [ballot.juror for ballot in court.disputes.juries[number].ballots]


def commit(court: Court, number: int, who: AccountId, vote: JurorVote) -> None:
    level = court.disputes.juries[number].level
    made = ballot_hash(dispute=number, level=level, juror=who, vote=vote, salt=SALT)
    court.done(who, "cast_ballot", number, made)


def vote(court: Court, number: int, votes: list[JurorVote]) -> list[AccountId]:
    """Let the first jurors commit and reveal these votes, the others nothing."""
    jurors = seated(court, number)
    pairs = list(zip(jurors, votes, strict=False))
    for who, said in pairs:
        commit(court, number, who, said)
    if len(pairs) < len(jurors):
        court.until(court.dispute(number).due + 1)
    for who, said in pairs:
        court.done(who, "reveal_ballot", number, said, SALT)
    if not pairs:
        court.until(court.dispute(number).due + 1)
    return jurors


def test_a_jury_is_drawn_two_epochs_later_out_of_who_was_there_and_is_no_party(
    court: Court,
) -> None:
    job, number = summon(court)
    epoch = court.runtime.session.current_index
    assert court.has_event(words.JurySummoned(number, 0, epoch + 2))
    due = court.dispute(number).due
    court.until(due)
    assert court.verification.seeds == []
    court.next()
    assert court.runtime.session.current_index == epoch + 2
    beacon = court.runtime.beacon.randomness
    place = job.to_bytes(4, "little") + number.to_bytes(4, "little") + b"\x00"
    assert court.verification.seeds == [hashing.blake2b_256(b"gm-jury" + beacon + place)]
    assert set(court.verification.excluded) == {PROVIDER, CHALLENGER, REQUESTER}
    assert court.verification.before == epoch
    assert len(court.disputes.juries[number].ballots) == 5


def test_a_guilty_verdict_convicts_when_nobody_appeals(court: Court) -> None:
    job, number = summon(court)
    before = free(court, stranger(0))
    jurors = vote(court, number, [WRONG, WRONG, WRONG, RIGHT, RIGHT])
    due = court.dispute(number).due
    assert due == court.height + APPEAL_ERAS.default * 8
    assert court.has_event(words.VerdictReached(number, 0, 3, 2, True, due))
    assert [free(court, who) - before for who in jurors] == [FEE] * 3 + [0] * 2
    court.until(due)
    assert court.jobs.convictions == []
    court.next()
    assert court.jobs.convictions == [(job, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED, CHALLENGER)]
    assert held(court, CHALLENGER) == 0


def test_an_acquittal_costs_the_challenger_its_deposit(court: Court) -> None:
    _, number = summon(court)
    assert held(court, CHALLENGER) == 50 * GRIST + 5 * FEE
    vote(court, number, [RIGHT, RIGHT, RIGHT, RIGHT, WRONG])
    assert held(court, CHALLENGER) == 50 * GRIST, "the fees are paid, or back"
    court.until(court.dispute(number).due + 1)
    assert court.is_over(number)
    assert court.jobs.convictions == []
    ended = words.DisputeEnded(number, 0, Ending.ACQUITTED, 1, 25 * GRIST, 25 * GRIST)
    assert ended.encode() in court.chain.executive._receipts[0]


@pytest.mark.parametrize(
    "votes",
    [[WRONG, WRONG, RIGHT, RIGHT], [WRONG, WRONG], [WRONG, RIGHT, RIGHT], []],
    ids=["tie", "no quorum", "minority", "silence"],
)
def test_doubt_goes_to_the_challenged(court: Court, votes: list[JurorVote]) -> None:
    _, number = summon(court)
    vote(court, number, votes)
    if not court.is_over(number) and court.dispute(number).stage is DisputeStage.REVEAL:
        court.until(court.dispute(number).due + 1)
    assert not court.disputes.juries[number].is_guilty
    court.until(court.dispute(number).due + 1)
    assert court.jobs.convictions == []


def test_where_a_jury_does_not_decide_all_who_voted_are_paid(court: Court) -> None:
    _, number = summon(court)
    before = free(court, stranger(0))
    jurors = vote(court, number, [WRONG, WRONG, RIGHT, RIGHT])
    assert [free(court, who) - before for who in jurors] == [FEE] * 4 + [0]
    assert held(court, CHALLENGER) == 50 * GRIST


def test_who_sits_and_says_nothing_is_charged_whether_it_committed_or_not(court: Court) -> None:
    _, number = summon(court)
    jurors = seated(court, number)
    for who in jurors[:4]:
        commit(court, number, who, RIGHT)
    court.until(court.dispute(number).due + 1)
    for who in jurors[:3]:
        court.done(who, "reveal_ballot", number, RIGHT, SALT)
    assert court.verification.charged == []
    court.until(court.dispute(number).due + 1)
    assert court.verification.charged == jurors[3:]


def test_a_jurors_vote_costs_no_fee(court: Court) -> None:
    _, number = summon(court)
    juror, *others = seated(court, number)
    made = ballot_hash(dispute=number, level=0, juror=juror, vote=RIGHT, salt=SALT)
    before, chain = free(court, juror), court.chain
    assert chain.apply(chain.call("Disputes", "cast_ballot", number, made), juror)
    for who in others:
        commit(court, number, who, RIGHT)
    assert chain.apply(chain.call("Disputes", "reveal_ballot", number, RIGHT, SALT), juror)
    assert free(court, juror) == before


def test_without_three_who_could_sit_nobody_lost(court: Court) -> None:
    _, number = summon(court)
    court.verification.pool = court.verification.pool[:2]
    court.until(court.dispute(number).due + 1)
    assert court.is_over(number)
    assert held(court, CHALLENGER) == 0
    assert court.disputes.deposits == 0
    assert court.jobs.convictions == []
    assert court.jobs.jobs[0].cases == 0


def test_two_appeals_call_larger_juries_at_doubled_deposits_and_then_it_is_over(
    court: Court,
) -> None:
    job, number = summon(court)
    court.refused(words.NotThatMove, PROVIDER, "appeal", number)
    vote(court, number, [WRONG] * 5)
    court.refused(words.NotLoser, CHALLENGER, "appeal", number)
    court.refused(words.NotLoser, EVE, "appeal", number)
    court.done(PROVIDER, "appeal", number)
    assert held(court, PROVIDER) == 100 * GRIST + 11 * FEE
    assert len(vote(court, number, [RIGHT] * 11)) == JURIES[1]
    court.done(CHALLENGER, "appeal", number)
    assert held(court, CHALLENGER) == (50 + 200) * GRIST + 23 * FEE
    assert len(seated(court, number)) == JURIES[2]
    before = free(court, CHALLENGER), free(court, PROVIDER)
    vote(court, number, [WRONG] * 23)
    assert court.is_over(number)
    assert court.jobs.convictions == [(job, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED, CHALLENGER)]
    assert court.has_event(
        words.DisputeEnded(number, job, Ending.OUTVOTED, 1, 50 * GRIST, 50 * GRIST)
    )
    assert free(court, CHALLENGER) - before[0] == (50 + 200 + 50) * GRIST
    assert free(court, PROVIDER) == before[1], "its appeal was lost, out of what was held"
    assert court.disputes.deposits == 0
    court.next()


def test_a_lost_appeal_of_the_challenger_costs_both_deposits(court: Court) -> None:
    job, number = summon(court)
    vote(court, number, [RIGHT] * 5)
    court.done(CHALLENGER, "appeal", number)
    vote(court, number, [RIGHT] * 11)
    court.until(court.dispute(number).due + 1)
    ended = words.DisputeEnded(number, job, Ending.ACQUITTED, 1, 75 * GRIST, 75 * GRIST)
    assert ended.encode() in court.chain.executive._receipts[0]
    assert held(court, CHALLENGER) == 0
    assert court.jobs.convictions == []
    assert court.jobs.jobs[job].cases == 0


def test_an_appeal_that_cannot_be_seated_leaves_the_verdict(court: Court) -> None:
    _, number = summon(court)
    vote(court, number, [WRONG] * 5)
    court.done(PROVIDER, "appeal", number)
    court.verification.pool = ()
    court.until(court.dispute(number).due + 1)
    assert court.jobs.convictions[0][2] is Reason.OUTVOTED


def test_only_what_was_committed_to_is_revealed_and_only_once(court: Court) -> None:
    _, number = summon(court)
    jurors = seated(court, number)
    court.refused(words.NotJuror, EVE, "cast_ballot", number, SALT)
    court.refused(words.NotThatMove, jurors[0], "reveal_ballot", number, RIGHT, SALT)
    commit(court, number, jurors[0], WRONG)
    court.refused(words.AlreadyCast, jurors[0], "cast_ballot", number, SALT)
    copied = court.disputes.juries[number].ballots[0].hash
    court.done(jurors[1], "cast_ballot", number, copied)
    none = ballot_hash(dispute=number, level=0, juror=jurors[2], vote=0, salt=SALT)
    court.done(jurors[2], "cast_ballot", number, none)
    court.until(court.dispute(number).due + 1)
    court.refused(words.NotThatMove, jurors[3], "cast_ballot", number, SALT)
    court.refused(words.WrongBallot, jurors[0], "reveal_ballot", number, RIGHT, SALT)
    court.refused(words.WrongBallot, jurors[0], "reveal_ballot", number, WRONG, bytes(32))
    court.refused(words.WrongBallot, jurors[1], "reveal_ballot", number, WRONG, SALT)
    court.refused(words.WrongBallot, jurors[2], "reveal_ballot", number, JurorVote.NONE, SALT)
    court.refused(words.WrongBallot, jurors[3], "reveal_ballot", number, WRONG, SALT)
    court.refused(words.NotJuror, EVE, "reveal_ballot", number, WRONG, SALT)
    court.done(jurors[0], "reveal_ballot", number, WRONG, SALT)
    court.refused(words.AlreadyCast, jurors[0], "reveal_ballot", number, WRONG, SALT)


def test_nobody_leaves_once_a_jury_is_called(court: Court) -> None:
    _, number = summon(court)
    court.refused(words.NotThatMove, CHALLENGER, "abandon", number)


def test_a_job_that_ends_gives_jury_fees_and_appeals_back(court: Court) -> None:
    job, number = summon(court)
    vote(court, number, [WRONG] * 5)
    court.done(PROVIDER, "appeal", number)
    assert held(court, PROVIDER) > 0
    court.jobs.over(job)
    assert (held(court, PROVIDER), held(court, CHALLENGER)) == (0, 0)
    assert court.disputes.deposits == 0
    court.next(60)


def test_a_silent_jury_ends_at_its_times(court: Court) -> None:
    _, number = summon(court)
    seated(court, number)
    stages = []
    for _ in range(3):
        stages.append(court.dispute(number).stage)
        court.until(court.dispute(number).due + 1)
    assert stages == [DisputeStage.VOTE, DisputeStage.REVEAL, DisputeStage.APPEAL]
    assert court.is_over(number)


def test_a_free_jury_is_paid_nothing(court: Court) -> None:
    JUROR_FEE.begin(court.runtime.ctx, 0)
    _, number = summon(court)
    assert held(court, CHALLENGER) == 50 * GRIST
    vote(court, number, [WRONG] * 5)
    court.until(court.dispute(number).due + 1)
    assert court.jobs.convictions != []


def test_a_dispute_that_ends_before_its_jury_gives_the_fees_back(court: Court) -> None:
    job = court.job(replace(RUN), program=bytes(32))
    number = court.challenge(job)
    before = free(court, CHALLENGER)
    court.done(CHALLENGER, "abandon", number)
    assert free(court, CHALLENGER) - before == 5 * FEE
