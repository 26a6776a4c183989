"""A bench for tests of verification: a fixed set of validators, runs, and neighbours that note.

The set has fourteen members, epochs have twenty blocks and eras three epochs. The fake jobs do what
the real ones promise: cases are counted, and an attempt that is over tells its watcher.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from chain.market.training import Fraud, Plan, Trace, train
from ext import hashing, store
from runtime.balances import HoldReason
from runtime.executive import Executive
from runtime.frame.errors import CallError
from runtime.genesis import build_genesis
from runtime.market.nouns import (
    Fault,
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    Opening,
    Reason,
    Verification,
)
from runtime.market.terms import audit_fee
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.market.trees import branch_of, commitment, split_leaves, tree_root
from runtime.market.verification.numbers import COMMIT_BLOCKS, REVEAL_BLOCKS
from runtime.market.verification.records import (
    Audit,
    AuditAnswer,
    Disclosure,
    Proof,
    SaltedAnswer,
    audit_commitment,
    seal_salt,
)
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.session import ValidatorRecord
from runtime.spec import ChainSpec, GenesisAccount
from tests.support.governance import as_root
from tests.support.runtime import Chain, assert_refused, spec_of, stranger
from tests.support.training import rows_from

GRIST = 10**9
SET = tuple(sorted(stranger(500 + n) for n in range(14)))
PROVIDER, REQUESTER, MANAGER = stranger(601), stranger(602), stranger(603)
OTHERS = tuple(stranger(610 + n) for n in range(7))
PARAMS = TrainerParams(2, 600, 8)
PLAN = Plan(PARAMS, steps=64, checkpoints=32)
LEAVES = tuple(split_leaves(rows_from(b"rows", 96, 2)))
WAIT = 10
"""Blocks that verifiers have to commit, and everybody to reveal."""


@cache
def _spec() -> ChainSpec:
    members = tuple(
        ValidatorRecord(who, hashing.blake2b_256(b"v" + who), hashing.blake2b_256(b"r" + who), 1)
        for who in SET
    )
    people = (*SET, PROVIDER, REQUESTER, MANAGER, *OTHERS)
    accounts = tuple(GenesisAccount("", who, 1_000_000 * GRIST) for who in people)
    return replace(spec_of("plain"), validators=members, schedule={}, accounts=accounts)


@cache
def _entries() -> tuple[tuple[bytes, bytes], ...]:
    return build_genesis(_spec()).entries


@cache
def honest() -> Trace:
    """The run that everybody comes to who does the work."""
    return train(PLAN, LEAVES)


@cache
def cheated(fraud: Fraud) -> Trace:
    return train(PLAN, LEAVES, fraud=fraud)


def salt_of(who: bytes, checkpoint: int) -> bytes:
    return hashing.blake2b_256(b"salt" + who + checkpoint.to_bytes(4, "little"))


@dataclass
class Attempt:
    """What a provider claims of a run: openings, which a test may spoil."""

    trace: Trace
    openings: list[Opening]
    first: int = 0

    @staticmethod
    def of(
        trace: Trace, provider: bytes = PROVIDER, first: int = 0, end: int | None = None
    ) -> "Attempt":
        openings = [
            Opening(run.state, run.root, seal_salt(provider, salt_of(provider, run.checkpoint)))
            for run in trace.runs[first:end]
        ]
        return Attempt(trace, openings, first)

    @property
    def leaves(self) -> list[bytes]:
        return [commitment(opening) for opening in self.openings]

    def result(self) -> JobResult:
        return JobResult(tree_root(self.leaves), self.openings[-1].checkpoint, 1, 100)

    def proof(self, checkpoint: int) -> Proof:
        place = checkpoint - self.first
        return Proof(self.openings[place], branch_of(self.leaves, place))

    def disclosure(self, checkpoint: int) -> Disclosure:
        states = self.trace.run_of(checkpoint).states
        before = self.proof(checkpoint - 1) if checkpoint > self.first else None
        return Disclosure(self.proof(checkpoint), before, branch_of(states, len(states) - 1))


@dataclass
class FakeBond:
    own: int
    delegated: int = 0


@dataclass
class FakeProviders:
    """Bonds and owners that a test names."""

    bonds: dict[int, FakeBond] = field(default_factory=dict)
    owners: dict[bytes, bytes] = field(default_factory=dict)

    def bond(self, job: int) -> FakeBond | None:
        return self.bonds.get(job)

    def owner(self, who: AccountId) -> AccountId:
        return AccountId(self.owners.get(who, who))

    def share_owner(self, left: AccountId, right: AccountId) -> bool:
        return self.owner(left) == self.owner(right)


@dataclass
class FakeJobs:
    """Jobs that are there when a test puts them there; notes what is asked of them."""

    jobs: dict[int, Job] = field(default_factory=dict)
    specs: dict[int, JobSpec] = field(default_factory=dict)
    results: dict[int, JobResult] = field(default_factory=dict)
    groups: dict[int, tuple[int, ...]] = field(default_factory=dict)
    convicted: list[tuple[int, Fault, Reason]] = field(default_factory=list)
    vindicated: list[int] = field(default_factory=list)
    paid: dict[tuple[int, bytes], int] = field(default_factory=dict)
    windows: dict[int, int] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    watchers: list[Any] = field(default_factory=list)

    def find(self, id_: int) -> Job | None:
        return self.jobs.get(id_)

    def spec(self, id_: int) -> JobSpec:
        return self.specs[id_]

    def result(self, id_: int) -> JobResult | None:
        return self.results.get(id_)

    def siblings(self, id_: int) -> tuple[int, ...]:
        return self.groups.get(id_, ())

    def data_root(self, _: int) -> bytes:
        return tree_root(LEAVES)

    def leaf_count(self, _: int) -> int:
        return len(LEAVES)

    def open_case(self, id_: int) -> None:
        self._change(id_, cases=self.jobs[id_].cases + 1)

    def close_case(self, id_: int) -> None:
        assert self.jobs[id_].cases > 0
        self._change(id_, cases=self.jobs[id_].cases - 1)

    def extend_window(self, id_: int, until: int) -> None:
        self.windows[id_] = until

    def convict(
        self, id_: int, fault: Fault, reason: Reason, *, challenger: AccountId | None
    ) -> None:
        assert challenger is None
        assert self.jobs[id_].state is JobState.WINDOW
        self.convicted.append((id_, fault, reason))
        self.end(id_, JobState.FAILED)

    def vindicate(self, id_: int, reason: Reason) -> None:
        assert self.jobs[id_].cases > 0
        assert reason is Reason.AUDIT_PASSED
        self.vindicated.append(id_)

    def leave_to_requester(self, id_: int) -> None:
        assert self.jobs[id_].state is JobState.WINDOW
        self.left.append(id_)

    def pay_audit(self, id_: int, who: AccountId, amount: int) -> None:
        left = self.jobs[id_].audit_left - amount
        assert left >= 0
        self._change(id_, audit_left=left)
        self.paid[id_, who] = self.paid.get((id_, who), 0) + amount

    def end(self, id_: int, state: JobState) -> None:
        """End an attempt as the real jobs do: cases are forgotten, then the watcher is told."""
        self._change(id_, state=state, cases=0)
        for watcher in self.watchers:
            watcher.job_ended(id_)

    def _change(self, id_: int, **changes: Any) -> None:
        self.jobs[id_] = replace(self.jobs[id_], **changes)


class Bench:
    """A chain with verification on it; the block in which a test acts is open."""

    def __init__(self, verifiers: int = 0, bond: int = 5_000 * GRIST) -> None:
        self.jobs, self.providers = FakeJobs(), FakeProviders()
        runtime = Runtime()
        self.module = runtime.market.verification
        self.module.jobs, self.module.providers = self.jobs, self.providers
        self.jobs.watchers = [self.module]
        state = store.State.from_entries(_entries())
        self.chain = Chain(state, Executive(runtime), _spec())
        self.chain.open()
        for parameter in (COMMIT_BLOCKS, REVEAL_BLOCKS):
            parameter.begin(runtime.ctx, WAIT)
        self.attempts: dict[int, Attempt] = {}
        for who in SET[:verifiers]:
            self.done(who, "join", bond)

    # The chain

    @property
    def runtime(self) -> Runtime:
        return self.chain.runtime

    @property
    def height(self) -> int:
        return self.runtime.ctx.block.height

    @property
    def epoch(self) -> int:
        return self.runtime.session.current_index

    def next(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.chain.close()
            self.chain.open()

    def until(self, height: int) -> None:
        self.next(height - self.height)

    def next_era(self, eras: int = 1) -> None:
        numbers = self.runtime.parameters
        self.until(numbers.era_start(numbers.era() + eras))

    def run(self, who: bytes, name: str, *arguments: Any) -> bytes:
        data = self.chain.call("Verification", name, *arguments)
        return self.chain.executive.run_call(self.chain.executive.decode_call(data), AccountId(who))

    def done(self, who: bytes, name: str, *arguments: Any) -> None:
        assert self.run(who, name, *arguments) == b""

    def refused(self, error: type[CallError], who: bytes, name: str, *arguments: Any) -> None:
        data = self.chain.call("Verification", name, *arguments)
        assert_refused(self.chain, data, error, AccountId(who))

    def vote(self, name: str, *arguments: Any) -> type[Exception] | None:
        return as_root(self.chain, "Verification", name, *arguments)

    def has_event(self, event: Any) -> bool:
        return event.encode() in self.runtime.ctx.events

    def did(self, event: Any) -> bool:
        """Whether the hooks at the beginning of the open block told this; closes it."""
        self.next()
        assert self.chain.last is not None
        return event.encode() in self.chain.last.receipts[0]

    def held(self, who: AccountId) -> int:
        return self.runtime.balances.held(who, HoldReason.SERVICE)

    # Jobs

    def job(
        self,
        attempt: Attempt | None = None,
        *,
        price: int = 500 * GRIST,
        provider: AccountId = PROVIDER,
        **changes: Any,
    ) -> int:
        """A job whose result is there; nobody was told yet."""
        number = len(self.jobs.jobs)
        made = attempt or Attempt.of(honest(), provider)
        self.attempts[number] = made
        spec = JobSpec(
            kind=JobKind.TRAIN,
            verification=Verification.AUDIT,
            replicas=1,
            program=PROGRAM,
            params=TrainerParams.wire.encode(PARAMS),
            image=bytes(32),
            datasets=(0,),
            class_id=0,
            units=100,
            checkpoints=PLAN.checkpoints,
            steps=PLAN.steps,
            run_blocks=50,
            heartbeat=100,
            tolerance=3,
            max_price=price,
            min_tier=0,
        )
        self.jobs.specs[number] = replace(spec, **changes)
        self.jobs.results[number] = made.result()
        self.jobs.jobs[number] = self._job(made, price, provider)
        self.providers.bonds[number] = FakeBond(price, price // 2)
        return number

    def _job(self, made: Attempt, price: int, provider: AccountId) -> Job:
        fee = audit_fee(1, 3, price, PLAN.checkpoints)
        start = honest().start if not made.first else b""
        first_state = honest().first_state if start else made.trace.run_of(made.first - 1).state
        return Job(
            requester=REQUESTER,
            payer=REQUESTER,
            provider=provider,
            state=JobState.WINDOW,
            reason=Reason.NONE,
            attempt=0,
            turn=0,
            due=self.height + 1_000,
            opened=self.height,
            started=self.height,
            heard=self.height,
            table=0,
            price=price,
            dataset_fees=0,
            protocol_fee=0,
            audit_fee=fee,
            audit_left=fee,
            escrow=price + fee,
            first_checkpoint=made.first,
            first_state=first_state,
            end_checkpoint=PLAN.checkpoints,
            accepted=0,
            accepted_state=bytes(32),
            cases=0,
            emission=0,
            is_credit=False,
        )

    # Audits

    def audited(self, attempt: Attempt | None = None, **changes: Any) -> int:
        """A job that is complete and whose audit is drawn."""
        number = self.job(attempt, **changes)
        self.module.job_completed(number)
        self.drawn(number)
        return number

    def drawn(self, number: int) -> None:
        """Go on until the audit is drawn."""
        self.until(self.audit(number).due)

    def audit(self, number: int) -> Audit:
        return self.module.audits[number]

    def seats(self, number: int) -> tuple[AccountId, ...]:
        return tuple(seat.who for seat in self.audit(number).seats)

    def answers(self, number: int, trace: Trace | None = None) -> tuple[AuditAnswer, ...]:
        """What a run comes to at the drawn checkpoints."""
        run = trace or honest()
        return tuple(
            AuditAnswer(run.state_before(c * PLAN.steps_each), run.run_of(c).root)
            for c in self.audit(number).draws
        )

    def commit(
        self, number: int, who: AccountId, answers: Sequence[AuditAnswer] | None = None
    ) -> None:
        self.done(who, "commit", number, self.commits(number, who, answers))

    def commits(
        self, number: int, who: AccountId, answers: Sequence[AuditAnswer] | None = None
    ) -> tuple[bytes, ...]:
        said = self.answers(number) if answers is None else answers
        return tuple(
            audit_commitment(number, c, who, a.start, a.trace_root, salt_of(who, c))
            for c, a in zip(self.audit(number).draws, said, strict=True)
        )

    def salted(
        self, number: int, who: AccountId, answers: Sequence[AuditAnswer] | None = None
    ) -> tuple[SaltedAnswer, ...]:
        said = self.answers(number) if answers is None else answers
        return tuple(
            SaltedAnswer(a.start, a.trace_root, salt_of(who, c))
            for c, a in zip(self.audit(number).draws, said, strict=True)
        )

    def reveal(
        self, number: int, who: AccountId, answers: Sequence[AuditAnswer] | None = None
    ) -> None:
        self.done(who, "reveal", number, self.salted(number, who, answers))

    def disclosures(self, number: int) -> tuple[Disclosure, ...]:
        made = self.attempts[number]
        return tuple(made.disclosure(c) for c in self.audit(number).draws)

    def disclose(self, number: int) -> None:
        self.done(self.jobs.jobs[number].provider, "disclose", number, self.disclosures(number))

    def hear(
        self,
        number: int,
        said: Mapping[AccountId, Sequence[AuditAnswer] | None] | None = None,
        *,
        is_open: bool = True,
    ) -> None:
        """Let seats answer, all of them rightly by default, None being silent; then conclude."""
        round_ = self.audit(number).round
        answers = {who: self.answers(number) for who in self.seats(number)}
        heard = {**answers, **(said or {})}
        for who, answer in heard.items():
            if answer is not None:
                self.commit(number, who, answer)
        if self.audit(number).phase == 1:
            self.until(self.audit(number).due)
        if is_open:
            self.disclose(number)
        for who, answer in heard.items():
            if answer is not None:
                self.reveal(number, who, answer)
        audit = self.module.audits.find(number)
        if audit is not None and audit.round == round_:
            self.until(audit.due)
