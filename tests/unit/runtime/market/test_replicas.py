"""Replication: several providers of one job, sealed against each other, and their comparison."""

from dataclasses import replace
from typing import Any

from chain.market.training import Fraud, FraudKind
from runtime.market.nouns import Fault, JobState, Reason
from runtime.market.nouns import Verification as Mode
from runtime.market.verification.nouns import (
    AlreadyAnswered,
    GroupDrawn,
    GroupEnded,
    NoAudit,
    NotProvider,
    OpeningDoesNotFit,
    Outcome,
    ReplicaRevealed,
    SealDoesNotFit,
    WrongPhase,
)
from runtime.market.verification.records import Group, ReplicaPhase, SealedAnswer
from runtime.primitives import AccountId
from tests.support.verification import (
    OTHERS,
    PLAN,
    WAIT,
    Attempt,
    Bench,
    cheated,
    honest,
    salt_of,
)

CHEAT = Fraud(FraudKind.SKIP_WORK, 0)


class Replicated:
    """A group of jobs, each with a provider of its own; some of them cheat."""

    def __init__(self, count: int = 3, cheats: tuple[int, ...] = ()) -> None:
        self.bench = bench = Bench()
        self.providers = OTHERS[:count]
        for place, provider in enumerate(self.providers):
            trace = cheated(CHEAT) if place in cheats else honest()
            bench.job(
                Attempt.of(trace, provider),
                provider=provider,
                verification=Mode.REPLICATION,
                replicas=count,
            )
        self.ids = tuple(range(count))
        for number in self.ids:
            bench.jobs.groups[number] = self.ids

    def complete(self, *numbers: int) -> None:
        for number in numbers or self.ids:
            self.bench.module.job_completed(number)

    def drawn(self) -> int:
        """Go on until the checkpoint is drawn, and give it."""
        while self.phase() in (ReplicaPhase.RUNNING, ReplicaPhase.WAITING):
            self.bench.until(self.group.due)
        return self.group.checkpoint

    @property
    def group(self) -> Group:
        return self.bench.module.groups[0]

    def phase(self) -> ReplicaPhase:
        return self.group.phase

    def opening(self, number: int, **changes: Any) -> tuple[Any, ...]:
        checkpoint, provider = self.group.checkpoint, self.providers[number]
        said = {
            "disclosure": self.bench.attempts[number].disclosure(checkpoint),
            "secret": salt_of(provider, checkpoint),
            "before": salt_of(provider, checkpoint - 1) if checkpoint else bytes(32),
            **changes,
        }
        return ("disclose_replica", number, said["disclosure"], said["secret"], said["before"])

    def open(self, *numbers: int) -> None:
        for number in numbers or self.ids:
            self.bench.done(self.providers[number], *self.opening(number))


def test_providers_who_agree_are_all_vindicated() -> None:
    group = Replicated()
    group.complete()
    assert [group.bench.jobs.jobs[n].cases for n in group.ids] == [1, 1, 1]
    checkpoint = group.drawn()
    group.open()
    answer = SealedAnswer(
        honest().state_before(checkpoint * PLAN.steps_each),
        honest().run_of(checkpoint).root,
        honest().final_state,
    )
    assert group.bench.has_event(ReplicaRevealed(0, 2, answer))
    assert group.bench.has_event(GroupEnded(0, Outcome.PASSED, 3, 3))
    assert group.bench.jobs.vindicated == [0, 1, 2]
    assert [group.bench.jobs.jobs[n].cases for n in group.ids] == [0, 0, 0]
    for number in group.ids:
        group.bench.jobs.end(number, JobState.SETTLED)
    assert list(group.bench.module.groups.items()) == []
    group.bench.next()


def test_the_checkpoint_is_drawn_when_all_have_sealed_and_two_epochs_later() -> None:
    group = Replicated()
    bench = group.bench
    group.complete(0, 1)
    assert group.phase() is ReplicaPhase.RUNNING
    bench.until(30)
    group.complete(2)
    assert (group.phase(), group.group.epoch, group.group.due) == (ReplicaPhase.WAITING, 1, 61)
    bench.until(60)
    bench.refused(WrongPhase, group.providers[0], *group.opening(0))
    bench.next()
    assert group.phase() is ReplicaPhase.REVEALING
    assert bench.did(GroupDrawn(0, group.group.checkpoint, 61 + WAIT))


def test_who_is_outvoted_is_convicted() -> None:
    group = Replicated(4, cheats=(2,))
    group.complete()
    group.drawn()
    group.open()
    assert group.bench.jobs.vindicated == [0, 1, 3]
    assert group.bench.jobs.convicted == [(2, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED)]
    group.bench.next()


def test_who_opens_nothing_is_convicted_when_the_others_agree() -> None:
    group = Replicated(4)
    group.complete()
    group.drawn()
    group.open(0, 1, 3)
    assert group.bench.jobs.vindicated == []
    group.bench.until(group.group.due)
    assert group.bench.jobs.vindicated == [0, 1, 3]
    assert group.bench.jobs.convicted == [(2, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED)]


def test_two_thirds_are_no_verdict_and_nobody_is_at_fault() -> None:
    group = Replicated(3, cheats=(1,))
    group.complete()
    group.drawn()
    group.open()
    bench = group.bench
    assert bench.has_event(GroupEnded(0, Outcome.NO_VERDICT, 2, 3))
    assert (bench.jobs.vindicated, bench.jobs.convicted) == ([], [])
    assert [bench.jobs.jobs[n].cases for n in group.ids] == [0, 0, 0]
    assert bench.jobs.windows == dict.fromkeys(group.ids, bench.height + 60)
    assert bench.jobs.left == list(group.ids)


def test_a_copied_commitment_is_opened_by_nobody_else() -> None:
    """The copy has the root of the honest one, and learns its opening; the seal is not its own."""
    group = Replicated(4)
    bench = group.bench
    bench.jobs.results[1] = bench.jobs.results[0]
    bench.attempts[1] = bench.attempts[0]
    group.complete()
    checkpoint = group.drawn()
    group.open(0)
    thief, victim = group.providers[1], group.providers[0]
    secrets = {"secret": salt_of(victim, checkpoint), "before": salt_of(victim, checkpoint - 1)}
    bench.refused(SealDoesNotFit, thief, *group.opening(1, **secrets))
    bench.refused(SealDoesNotFit, thief, *group.opening(1))
    group.open(2, 3)
    bench.until(group.group.due)
    assert bench.jobs.convicted == [(1, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED)]


def test_only_the_provider_opens_what_it_sealed_once_and_in_time() -> None:
    group = Replicated()
    bench = group.bench
    group.complete()
    checkpoint = group.drawn()
    right = group.opening(0)
    bench.refused(NotProvider, group.providers[1], *right)
    bench.refused(NoAudit, group.providers[0], right[0], 99, *right[2:])
    other = bench.attempts[0].disclosure((checkpoint + 1) % 32 or 1)
    place = other.proof.branch.index
    owner = group.providers[0]
    changes = {
        "disclosure": other,
        "secret": salt_of(owner, place),
        "before": salt_of(owner, place - 1),
    }
    bench.refused(OpeningDoesNotFit, owner, *group.opening(0, **changes))
    if checkpoint:
        bench.refused(SealDoesNotFit, owner, *group.opening(0, before=bytes(32)))
    group.open(0)
    bench.refused(AlreadyAnswered, owner, *right)
    bench.until(group.group.due)
    bench.refused(WrongPhase, group.providers[1], *group.opening(1))


def test_providers_of_one_owner_are_one_voice() -> None:
    group = Replicated(4, cheats=(0, 1, 2))
    owners = group.bench.providers.owners
    owners[group.providers[1]] = owners[group.providers[2]] = group.providers[0]
    group.complete()
    group.drawn()
    group.open()
    assert group.bench.has_event(GroupEnded(0, Outcome.NO_VERDICT, 1, 4))
    assert group.bench.jobs.vindicated == []


def test_nobody_waits_for_ever_for_a_job_that_is_not_done() -> None:
    group = Replicated(4)
    bench = group.bench
    group.complete(0, 1, 3)
    assert group.group.due == bench.height + 50 + 40
    bench.until(group.group.due)
    assert group.phase() is ReplicaPhase.WAITING
    group.complete(2)
    assert bench.jobs.jobs[2].cases == 0
    assert bench.jobs.left == [2]
    group.drawn()
    bench.refused(WrongPhase, group.providers[2], *group.opening(2))
    group.open(0, 1, 3)
    assert bench.jobs.vindicated == [0, 1, 3]
    assert bench.jobs.convicted == []


def test_a_job_that_ended_is_not_waited_for_and_is_no_voice() -> None:
    group = Replicated(3)
    bench = group.bench
    group.complete(0, 1)
    bench.jobs.end(2, JobState.FAILED)
    assert group.phase() is ReplicaPhase.WAITING
    group.drawn()
    group.open(0, 1)
    assert bench.has_event(GroupEnded(0, Outcome.NO_VERDICT, 2, 3))


def test_one_that_ended_before_any_was_complete_is_not_waited_for() -> None:
    group = Replicated(3)
    group.bench.jobs.end(2, JobState.EXPIRED)
    assert list(group.bench.module.groups.items()) == []
    group.complete(0, 1)
    assert group.phase() is ReplicaPhase.WAITING


def test_an_attempt_that_is_over_is_compared_with_nothing() -> None:
    """Another attempt is begun; what it makes later is left to the requester."""
    group = Replicated(4)
    bench = group.bench
    group.complete()
    bench.jobs.end(1, JobState.OPEN)
    group.drawn()
    group.open(0, 2, 3)
    assert bench.jobs.vindicated == [0, 2, 3]
    bench.jobs.jobs[1] = replace(bench.jobs.jobs[1], state=JobState.WINDOW)
    group.complete(1)
    assert bench.jobs.jobs[1].cases == 0


def test_a_group_of_which_nothing_is_left_is_over() -> None:
    group = Replicated(3)
    bench = group.bench
    group.complete(0)
    bench.jobs.end(0, JobState.OPEN)
    assert group.phase() is ReplicaPhase.RUNNING
    bench.until(group.group.due)
    bench.until(group.group.due)
    assert group.phase() is ReplicaPhase.ENDED
    for number in group.ids:
        bench.jobs.end(number, JobState.FAILED)
    assert list(bench.module.groups.items()) == []


def test_a_full_wheel_stops_no_comparison() -> None:
    group = Replicated(3)
    bench = group.bench
    group.complete()
    bench.module.groups[0] = replace(group.group, turn=999)
    bench.until(group.group.due + 1)
    assert group.phase() is ReplicaPhase.WAITING
    bench.done(AccountId(OTHERS[6]), "advance", 0)
    assert group.phase() is ReplicaPhase.REVEALING


def test_a_replica_without_siblings_is_left_to_its_requester() -> None:
    bench = Bench()
    number = bench.job(verification=Mode.REPLICATION)
    bench.module.job_completed(number)
    assert bench.jobs.left == [number]
    assert bench.jobs.jobs[number].cases == 0
