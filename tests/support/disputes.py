"""A court for tests: runs of the reference trainer, cheated or not, and neighbours that only note.

The fakes do what the real modules promise disputes: a job with a result, cases that are counted,
an attempt that is over tells its watchers, verifiers are drawn by a seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ext import hashing
from runtime.executive import Executive
from runtime.frame.errors import CallError
from runtime.market.disputes.nouns import Dispute, StateAnswer
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
from runtime.market.trainer import (
    PROGRAM,
    DataLeaf,
    StepWitness,
    TrainerParams,
    initial_weights,
    leaf_indices,
    run_step,
    state_hash,
)
from runtime.market.trees import DATA_LEAF_BYTES, branch_of, commitment, tree_root
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from tests.support.runtime import Chain, assert_refused, person

GRIST = 10**9
PARAMS = TrainerParams(2, 6_000, 0)
ROWS = DATA_LEAF_BYTES // 64
LEAVES = tuple(
    b"".join(
        hashing.blake2b_512(bytes((leaf, row)))[:63] + bytes((1 + row % 2,)) for row in range(ROWS)
    )
    for leaf in range(6)
)
DATA_ROOT = tree_root(LEAVES)
PROVIDER, CHALLENGER, REQUESTER = person("Bob"), person("Alice"), person("Charlie")


@dataclass(frozen=True)
class Run:
    """An attempt of a job: the weights after each of its steps, and what is committed to."""

    first_checkpoint: int
    checkpoints: int
    per_checkpoint: int
    weights: tuple[bytes, ...]
    openings: tuple[Opening, ...]
    claimed: tuple[bytes, ...]

    @staticmethod
    def make(
        checkpoints: int,
        per_checkpoint: int = 1,
        *,
        first_checkpoint: int = 0,
        wrong_at: int | None = None,
    ) -> "Run":
        """Train; the state of number `wrong_at` is not what its step gives, the others follow."""
        first_step = first_checkpoint * per_checkpoint
        weights = [_weights_at(first_step)]
        for state in range(1, checkpoints * per_checkpoint + 1):
            after = _step(first_step + state - 1, weights[-1])
            weights.append(_spoil(after) if state == wrong_at else after)
        claimed = tuple(state_hash(w) for w in weights)
        run = Run(first_checkpoint, checkpoints, per_checkpoint, tuple(weights), (), claimed)
        return run.sealed()

    def sealed(self) -> "Run":
        """Commit to what is claimed."""
        openings = []
        for place in range(self.checkpoints):
            leaves = self.leaves(place)
            salt = hashing.blake2b_256(b"salt" + place.to_bytes(2, "little"))
            openings.append(Opening(leaves[-1], tree_root(leaves), salt))
        return replace(self, openings=tuple(openings))

    def leaves(self, place: int) -> tuple[bytes, ...]:
        """The states after the steps of a checkpoint."""
        first = 1 + place * self.per_checkpoint
        return self.claimed[first : first + self.per_checkpoint]

    @property
    def states(self) -> int:
        return self.checkpoints * self.per_checkpoint

    def result(self) -> JobResult:
        root = tree_root([commitment(opening) for opening in self.openings])
        return JobResult(root, self.claimed[-1], 1, 100)

    def answer(self, position: int) -> StateAnswer:
        """Open a state."""
        place, step = divmod(position - 1, self.per_checkpoint)
        commitments = [commitment(opening) for opening in self.openings]
        return StateAnswer(
            self.claimed[position],
            self.openings[place],
            branch_of(self.leaves(place), step),
            branch_of(commitments, place),
        )

    def witness(self, state: int) -> StepWitness:
        """What the step before a state is done again from."""
        step = self.first_checkpoint * self.per_checkpoint + state - 1
        return StepWitness(self.weights[state - 1], witness_leaves(step))


def witness_leaves(step: int) -> tuple[DataLeaf, ...]:
    indices = leaf_indices(PARAMS, step, len(LEAVES))
    return tuple(DataLeaf(LEAVES[i], branch_of(LEAVES, i)) for i in indices)


def _step(step: int, weights: bytes) -> bytes:
    return run_step(PARAMS, weights, [LEAVES[i] for i in leaf_indices(PARAMS, step, len(LEAVES))])


def _weights_at(step: int) -> bytes:
    weights = initial_weights(PARAMS)
    for number in range(step):
        weights = _step(number, weights)
    return weights


def _spoil(weights: bytes) -> bytes:
    """Move a weight by so much that no later step rounds the difference away."""
    return weights[:2] + bytes((weights[2] ^ 1,)) + weights[3:]


@dataclass
class FakeJobs:
    """Jobs that are there when a test puts them there."""

    jobs: dict[int, Job] = field(default_factory=dict)
    specs: dict[int, JobSpec] = field(default_factory=dict)
    results: dict[int, JobResult] = field(default_factory=dict)
    watchers: list[Any] = field(default_factory=list)
    convictions: list[tuple[int, Fault, Reason, AccountId | None]] = field(default_factory=list)

    def find(self, id_: int) -> Job | None:
        return self.jobs.get(id_)

    def spec(self, id_: int) -> JobSpec:
        return self.specs[id_]

    def result(self, id_: int) -> JobResult | None:
        return self.results.get(id_)

    def data_root(self, _: int) -> bytes:
        return DATA_ROOT

    def leaf_count(self, _: int) -> int:
        return len(LEAVES)

    def open_case(self, id_: int) -> None:
        self._set(id_, cases=self.jobs[id_].cases + 1)

    def close_case(self, id_: int) -> None:
        self._set(id_, cases=self.jobs[id_].cases - 1)

    def set_disputed(self, id_: int) -> None:
        assert self.jobs[id_].state is JobState.WINDOW
        self._set(id_, state=JobState.DISPUTED)

    def clear_dispute(self, id_: int) -> None:
        assert self.jobs[id_].state is JobState.DISPUTED
        self._set(id_, state=JobState.WINDOW)

    def extend_window(self, id_: int, until: int) -> None:
        self._set(id_, due=max(until, self.jobs[id_].due))

    def convict(
        self, id_: int, fault: Fault, reason: Reason, *, challenger: AccountId | None
    ) -> None:
        assert self.jobs[id_].state is JobState.DISPUTED
        self.convictions.append((id_, fault, reason, challenger))
        self.over(id_)

    def over(self, id_: int, state: JobState = JobState.FAILED) -> None:
        """The attempt is over, as after an audit."""
        self._set(id_, state=state, cases=0, attempt=self.jobs[id_].attempt + 1)
        del self.results[id_]
        for watcher in self.watchers:
            watcher.job_ended(id_)

    def _set(self, id_: int, **changes: Any) -> None:
        self.jobs[id_] = replace(self.jobs[id_], **changes)
        assert self.jobs[id_].cases >= 0


@dataclass
class FakeVerification:
    """Verifiers that a test names, drawn by hash."""

    pool: tuple[AccountId, ...] = ()
    seeds: list[bytes] = field(default_factory=list)
    excluded: tuple[AccountId, ...] = ()
    before: int | None = None
    charged: list[AccountId] = field(default_factory=list)
    overturned: list[tuple[int, int]] = field(default_factory=list)

    def note_overturned(self, id_: int, checkpoint: int) -> None:
        self.overturned.append((id_, checkpoint))

    def charge_silence(self, who: AccountId, _: int) -> None:
        self.charged.append(who)

    def draw(
        self, seed: bytes, count: int, excluded: Sequence[AccountId], *, before: int | None = None
    ) -> tuple[AccountId, ...]:
        self.seeds.append(seed)
        self.excluded, self.before = tuple(excluded), before
        able = [who for who in self.pool if who not in excluded]
        return tuple(sorted(able, key=lambda who: hashing.blake2b_256(seed + who))[:count])


class Court:
    """A chain with disputes, on which people challenge and answer in open blocks."""

    def __init__(self, name: str = "test") -> None:
        self.jobs, self.verification = FakeJobs(), FakeVerification()
        runtime = Runtime()
        self.disputes = runtime.market.disputes
        self.disputes.jobs = self.jobs
        self.disputes.verification = self.verification
        self.jobs.watchers.append(self.disputes)
        self.chain = Chain.start(name, Executive(runtime))
        self.chain.open()
        self.runs: dict[int, Run] = {}

    @property
    def runtime(self) -> Runtime:
        return self.chain.runtime

    @property
    def height(self) -> int:
        return self.runtime.ctx.block.height

    def job(self, run: Run, *, price: int = 1_000 * GRIST, window: int = 1_000, **spec: Any) -> int:
        """A job whose result waits in its window."""
        number = len(self.jobs.jobs)
        asked = JobSpec(
            kind=JobKind.TRAIN,
            verification=Verification.AUDIT,
            replicas=1,
            program=PROGRAM,
            params=TrainerParams.wire.encode(PARAMS),
            image=bytes(32),
            datasets=(0,),
            class_id=0,
            units=100,
            checkpoints=run.first_checkpoint + run.checkpoints,
            steps=(run.first_checkpoint + run.checkpoints) * run.per_checkpoint,
            run_blocks=1_000,
            heartbeat=100,
            tolerance=3,
            max_price=price,
            min_tier=0,
        )
        self.jobs.specs[number] = replace(asked, **spec)
        self.jobs.results[number] = run.result()
        self.jobs.jobs[number] = _job(run, price=price, due=self.height + window)
        self.runs[number] = run
        return number

    def next(self, blocks: int = 1) -> None:
        """Finish the open block and so many more; leaves the next one open."""
        for _ in range(blocks):
            self.chain.close()
            self.chain.open()

    def until(self, height: int) -> None:
        """Go on until the open block has a height."""
        self.next(height - self.height)

    def run(self, who: AccountId, name: str, *arguments: Any) -> bytes:
        """Run a call; gives the encoded error, empty when it was done."""
        data = self.chain.call("Disputes", name, *arguments)
        return self.chain.executive.run_call(self.chain.executive.decode_call(data), who)

    def done(self, who: AccountId, name: str, *arguments: Any) -> None:
        assert self.run(who, name, *arguments) == b""

    def refused(self, error: type[CallError], who: AccountId, name: str, *arguments: Any) -> None:
        assert_refused(self.chain, self.chain.call("Disputes", name, *arguments), error, who)

    def challenge(
        self, job: int, checkpoint: int | None = None, who: AccountId = CHALLENGER
    ) -> int:
        """Challenge a checkpoint, the last by default; gives the number of the dispute."""
        number = self.disputes.dispute_count
        last = self.jobs.specs[job].checkpoints - 1
        self.done(who, "challenge", job, last if checkpoint is None else checkpoint)
        return number

    def dispute(self, number: int) -> Dispute:
        return self.disputes.disputes[number]

    def is_over(self, number: int) -> bool:
        return number not in self.disputes.disputes

    def answer(self, number: int, run: Run | None = None) -> None:
        """The provider opens what is asked for."""
        dispute = self.dispute(number)
        opened = (run or self.runs[dispute.job]).answer(dispute.asked)
        self.done(dispute.provider, "answer", number, dispute.asked, opened)

    def reply(self, number: int, *, agrees: bool) -> None:
        dispute = self.dispute(number)
        self.done(dispute.challenger, "reply", number, dispute.asked, agrees)

    def fund(self, who: AccountId, amount: int = 100_000 * GRIST) -> None:
        """Give somebody free money, out of Alice's."""
        move = self.chain.call("Balances", "transfer_allow_death", who, amount)
        call = self.chain.executive.decode_call(move)
        assert self.chain.executive.run_call(call, person("Alice")) == b""

    def has_event(self, event: Any) -> bool:
        return event.encode() in self.runtime.ctx.events


def _job(run: Run, *, price: int, due: int) -> Job:
    return Job(
        requester=REQUESTER,
        payer=REQUESTER,
        provider=PROVIDER,
        state=JobState.WINDOW,
        reason=Reason.NONE,
        attempt=0,
        turn=0,
        due=due,
        opened=1,
        started=1,
        heard=1,
        table=0,
        price=price,
        dataset_fees=0,
        protocol_fee=0,
        audit_fee=0,
        audit_left=0,
        escrow=0,
        first_checkpoint=run.first_checkpoint,
        first_state=run.claimed[0],
        end_checkpoint=run.first_checkpoint + run.checkpoints,
        accepted=0,
        accepted_state=run.claimed[0],
        cases=0,
        emission=0,
        is_credit=False,
    )
