"""Random verifiers, providers and managers over all calls: bonds stay whole, and all audits end."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from chain.market.training import Fraud, FraudKind
from runtime.balances import HoldReason
from runtime.market.nouns import JobState
from runtime.market.nouns import Verification as Mode
from runtime.market.verification.numbers import CANARY_ERAS, NOTICE_ERAS, SILENCE_ERAS
from runtime.market.verification.records import AuditAnswer, AuditPhase, ReplicaPhase
from runtime.primitives import AccountId
from tests.support.verification import (
    GRIST,
    MANAGER,
    OTHERS,
    PROVIDER,
    SET,
    Attempt,
    Bench,
    cheated,
    honest,
    salt_of,
)

LIE = AuditAnswer(b"l" * 32, b"l" * 32)
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)
STEPS = 120


class Walk:
    """A bench on which everybody does what comes to mind; some of it is refused."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bench = Bench(self.random.randrange(2, 12))
        for parameter in (NOTICE_ERAS, SILENCE_ERAS, CANARY_ERAS):
            parameter.begin(self.bench.runtime.ctx, parameter.low)
        self.bench.vote("name_manager", MANAGER, True)
        self.groups: list[tuple[int, ...]] = []
        self.kinds = (
            self.join,
            self.leave,
            self.submit,
            self.submit_group,
            self.commit,
            self.commit,
            self.reveal,
            self.reveal,
            self.disclose,
            self.disclose_replica,
            self.advance,
            self.end,
            self.manage,
        )

    def step(self) -> None:
        for _ in range(self.random.randrange(4)):
            self.random.choice(self.kinds)()
        self.bench.next()

    def try_it(self, who: bytes, name: str, *arguments: Any) -> None:
        self.bench.run(who, name, *arguments)

    # What comes to mind

    def join(self) -> None:
        self.try_it(self.random.choice(SET), "join", self.random.randrange(1, 6_000) * GRIST)

    def leave(self) -> None:
        name = self.random.choice(("leave", "withdraw", "withdraw", "withdraw"))
        self.try_it(self.random.choice(SET), name)

    def submit(self) -> None:
        trace = self.random.choice((honest(), honest(), cheated(SKIPPED)))
        price = self.random.choice((500, 1_000, 20_000)) * GRIST
        number = self.bench.job(Attempt.of(trace), price=price)
        self.bench.module.job_completed(number)

    def submit_group(self) -> None:
        ids = []
        for provider in OTHERS[: self.random.randrange(3, 6)]:
            trace = self.random.choice((honest(), honest(), cheated(SKIPPED)))
            attempt = Attempt.of(trace, provider)
            made = self.bench.job(attempt, provider=provider, verification=Mode.REPLICATION)
            ids.append(made)
        for number in ids:
            self.bench.jobs.groups[number] = tuple(ids)
        for number in ids:
            if self.random.random() < 0.8:
                self.bench.module.job_completed(number)
        self.groups.append(tuple(ids))

    def audit(self, phase: AuditPhase) -> int | None:
        found = [n for n, a in self.bench.module.audits.items() if a.phase is phase]
        return self.random.choice(found) if found else None

    def commit(self) -> None:
        number = self.audit(AuditPhase.COMMITTING)
        if number is None:
            return
        for who in self.random.sample(self.bench.seats(number), 2):
            self.try_it(
                who, "commit", number, self.bench.commits(number, who, self.said(who, number))
            )

    def reveal(self) -> None:
        number = self.audit(AuditPhase.REVEALING)
        if number is None:
            return
        for who in self.random.sample(self.bench.seats(number), 2):
            self.try_it(
                who, "reveal", number, self.bench.salted(number, who, self.said(who, number))
            )

    def said(self, who: AccountId, number: int) -> Sequence[AuditAnswer]:
        """What a verifier always says of a job: one in six lies."""
        draws = len(self.bench.audit(number).draws)
        is_liar = who in SET[:2]
        return (LIE,) * draws if is_liar else self.bench.answers(number)

    def disclose(self) -> None:
        number = self.audit(AuditPhase.REVEALING)
        if number is not None:
            self.try_it(PROVIDER, "disclose", number, self.bench.disclosures(number))

    def disclose_replica(self) -> None:
        for number, group in self.bench.module.groups.items():
            if group.phase is not ReplicaPhase.REVEALING:
                continue
            for replica in group.replicas:
                who, drawn = self.bench.jobs.jobs[replica.job].provider, group.checkpoint
                secrets = salt_of(who, drawn), salt_of(who, drawn - 1) if drawn else bytes(32)
                opened = self.bench.attempts[replica.job].disclosure(drawn)
                self.try_it(who, "disclose_replica", replica.job, opened, *secrets)
            assert number == group.replicas[0].job

    def advance(self) -> None:
        count = len(self.bench.jobs.jobs)
        self.try_it(OTHERS[6], "advance", self.random.randrange(count + 1))

    def end(self) -> None:
        """An attempt is over for a reason of its own, now and then."""
        live = [n for n, j in self.bench.jobs.jobs.items() if j.state is JobState.WINDOW]
        if live and self.random.random() < 0.2:
            self.bench.jobs.end(self.random.choice(live), JobState.SETTLED)

    def manage(self) -> None:
        name = self.random.choice(("bond_manager", "resign_manager", "commit_canaries"))
        more = (b"r" * 32, 1) if name == "commit_canaries" else ()
        self.try_it(MANAGER, name, *more)

    # What always holds

    def check(self) -> None:
        """Every grain that is held for a service belongs to a verifier or a manager."""
        module, balances = self.bench.module, self.bench.runtime.balances
        bonds = sum(verifier.bond for verifier in module.verifiers.values())
        bonds += sum(manager.bond for manager in module.managers.values())
        assert bonds == balances.held_totals[HoldReason.SERVICE]
        jobs = self.bench.jobs
        audited = [number for number, _ in module.audits.items()]
        assert all(jobs.jobs[number].cases == 1 for number in audited)
        judged = [n for n, _, _ in jobs.convicted] + jobs.vindicated + jobs.left
        assert len(set(judged)) == len(judged)
        for number in jobs.vindicated:
            assert jobs.jobs[number].audit_left >= 0


@pytest.mark.parametrize("seed", range(3))
def test_whatever_anybody_does_bonds_stay_whole_and_every_case_ends(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(STEPS):
        walk.step()
        walk.check()
    walk.bench.next(400)
    walk.check()
    assert list(walk.bench.module.audits.items()) == []
    jobs = walk.bench.jobs.jobs
    assert all(job.cases == 0 for job in jobs.values())
    phases = [group.phase for group in walk.bench.module.groups.values()]
    assert all(phase is ReplicaPhase.ENDED for phase in phases)
    for number, job in jobs.items():
        if job.state is JobState.WINDOW:
            walk.bench.jobs.end(number, JobState.SETTLED)
    assert list(walk.bench.module.groups.items()) == []
    assert all(verifier.seats == 0 for verifier in walk.bench.module.verifiers.values())
    assert list(walk.bench.module.batches.items()) == []
    assert len(walk.bench.jobs.jobs) > 10
