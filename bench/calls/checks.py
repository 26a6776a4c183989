"""Verification: panels of eleven drawn from a hundred verifiers, canaries, replicas of seven."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from bench.calls.hall import (
    BOND,
    DEAR,
    MEMBERS,
    PLAN,
    PLANTED,
    SEATS,
    Hall,
    run,
    wide,
)
from bench.stages import Stage, call, items, stages, stop_wheel, vote
from ext import hashing, signing
from runtime.balances import INSURANCE, MoveCause
from runtime.market.nouns import JobSpec, Verification
from runtime.market.trees import branch_of, tree_root
from runtime.market.verification.audits import AUDIT
from runtime.market.verification.canaries import CANARIES
from runtime.market.verification.nouns import AuditDrawn, AuditEnded, ManagerLeft
from runtime.market.verification.numbers import (
    CANARIES_MAX,
    REDRAWS_MAX,
    REPLICAS_MAX,
    WEIGHT_CANARY,
    WEIGHT_CONCLUDE,
)
from runtime.market.verification.records import (
    AuditAnswer,
    AuditPhase,
    CanaryPlan,
    ReplicaPhase,
    SaltedAnswer,
    StepProof,
    audit_commitment,
    canary_leaf,
    quote_message,
)
from runtime.primitives import AccountId
from tests.support.governance import as_root
from tests.support.jobs import ANN, GRIST, OTHER, PROVIDERS, REQUESTER, key
from tests.support.runtime import GENESIS_HASH, stranger
from tests.support.verification import Attempt, salt_of

MANAGER: Final = OTHER
VENDOR_SEED: Final = b"v" * 32
VENDOR: Final = signing.public_key(VENDOR_SEED)
LAST_ROUND: Final = REDRAWS_MAX


@stages("Verification.join", "Verification.leave", "Verification.withdraw")
def pool() -> Iterator[Stage]:
    """Play: the last of a hundred verifiers comes and goes."""
    hall, last = Hall(MEMBERS - 1), SEATS[-1]
    yield call(hall, last, "Verification.join", BOND)
    hall.act(last, "Verification", "join", BOND)
    yield call(hall, last, "Verification.leave")
    hall.act(last, "Verification", "leave")
    verifiers = hall.checks.verifiers
    verifiers[last] = replace(verifiers[last], leaving=1)
    yield call(hall, last, "Verification.withdraw")


def waiting(hall: Hall, fraud: Any = None, **changes: Any) -> tuple[int, Attempt]:
    """Let a dear job be posted, of which two panels could not decide."""
    id_, made = hall.posted_job(wide(max_price=DEAR, **changes), run(fraud), DEAR)
    audits = hall.checks.audits
    audits[id_] = replace(audits[id_], round=LAST_ROUND, drawn=(3, 4))
    return id_, made


def said(hall: Hall, id_: int, who: AccountId, trace: Any) -> tuple[list[bytes], list[Any]]:
    """Give what a verifier commits to, and what it reveals."""
    draws = hall.audit(id_).draws
    answers = [AuditAnswer(trace.state_before(2 * c), trace.run_of(c).root) for c in draws]
    pairs = list(zip(draws, answers, strict=True))
    seals = [
        audit_commitment(id_, c, who, a.start, a.trace_root, salt_of(who, c)) for c, a in pairs
    ]
    return seals, [SaltedAnswer(a.start, a.trace_root, salt_of(who, c)) for c, a in pairs]


def begin_audit(hall: Hall, id_: int) -> list[AccountId]:
    """Have the panel drawn by somebody, and give it."""
    hall.wait_until(hall.audit(id_).due)
    hall.act(OTHER.id, "Verification", "advance", id_)
    assert hall.audit(id_).phase is AuditPhase.COMMITTING
    return [seat.who for seat in hall.audit(id_).seats]


@stages(
    "Verification.attest",
    "a panel is drawn",
    "Verification.advance, a panel is drawn",
    "Verification.commit",
    "Verification.reveal",
    "Verification.disclose",
    "Verification.advance",
    "a panel is heard",
)
def audits() -> Iterator[Stage]:
    """Eleven verifiers hear a provider that is convicted."""
    hall = Hall()
    hall.enrich(ANN)
    as_root(hall.chain, "Verification", "name_vendor", VENDOR, True)  # noqa: FBT003 -- its flag
    id_, _ = hall.posted_job(wide(max_price=DEAR), run(), DEAR)
    result = hall.jobs.result(id_)
    era = hall.runtime.parameters.era()
    message = quote_message(GENESIS_HASH, id_, 0, era, bytes(32), result.commitments)
    quote = signing.sign(VENDOR_SEED, message)
    yield call(hall, ANN.id, "Verification.attest", id_, VENDOR, quote)
    id_, made = waiting(hall, PLANTED)
    true = run()
    hall.wait_until(hall.audit(id_).due - 1)
    yield call(hall, OTHER.id, "Verification.advance", id_, case="a panel is drawn")
    panel = begin_audit(hall, id_)
    for who in panel[:-1]:
        hall.act(who, "Verification", "commit", id_, tuple(said(hall, id_, who, true)[0]))
    last = panel[-1]
    seals = tuple(said(hall, id_, last, true)[0])
    yield call(hall, last, "Verification.commit", id_, seals)
    hall.act(last, "Verification", "commit", id_, seals)
    audit = hall.audit(id_)
    shown = tuple(made.disclosure(c) for c in audit.draws)
    hall.act(ANN.id, "Verification", "disclose", id_, shown)
    for who in panel[:-1]:
        hall.act(who, "Verification", "reveal", id_, tuple(said(hall, id_, who, true)[1]))
    opened = tuple(said(hall, id_, last, true)[1])
    yield call(hall, last, "Verification.reveal", id_, opened)
    table = hall.checks.audits
    table[id_] = replace(table[id_], opened=())
    hall.act(last, "Verification", "reveal", id_, opened)
    yield call(hall, ANN.id, "Verification.disclose", id_, shown)
    seats = tuple(replace(seat, answers=()) for seat in table[id_].seats)
    table[id_] = replace(table[id_], seats=seats)
    hall.wait_until(hall.audit(id_).due)
    yield call(hall, OTHER.id, "Verification.advance", id_)
    yield from _by_the_wheel(hall)


def _by_the_wheel(hall: Hall) -> Iterator[Stage]:
    """Let the wheel draw a panel, and hear it, of whom nobody says anything."""
    id_, _ = waiting(hall, PLANTED)
    audits_ = hall.checks.audits
    due = audits_[id_].due
    hall.wait_until(due - 1)
    _wake(hall, id_, due)
    yield items(hall, "a panel is drawn", WEIGHT_CONCLUDE, AuditDrawn)
    hall.wait_until(hall.audit(id_).due + 1)
    if hall.audit(id_).phase is not AuditPhase.REVEALING:
        begin = hall.checks._begin_revealing  # noqa: SLF001 -- what the wheel would have done
        audits_[id_] = begin(id_, audits_[id_], hall.height)
    due = audits_[id_].due
    hall.wait_until(due - 1)
    _wake(hall, id_, due)
    yield items(hall, "a panel is heard", WEIGHT_CONCLUDE, AuditEnded)


def _wake(hall: Hall, id_: int, due: int) -> None:
    """Put what moves an audit on onto an empty wheel."""
    stop_wheel(hall)
    turn = hall.audit(id_).turn
    put(hall, AUDIT + id_.to_bytes(4, "little") + turn.to_bytes(2, "little"), due)


def put(hall: Hall, payload: bytes, due: int) -> None:
    """Put an item of verification on the wheel."""
    hall.checks._put(payload, due)  # noqa: SLF001 -- nobody else has to


@stages("Verification.disclose_replica")
def replicas() -> Iterator[Stage]:
    """Seven providers of one job open a checkpoint; two of them cheated."""
    hall = Hall()
    keys = [*PROVIDERS, *(key(f"replica {number}") for number in range(REPLICAS_MAX - 4))]
    for who in keys:
        hall.mint(who.id, 1_000_000 * GRIST)
        if who not in PROVIDERS:
            hall.register(who)
    spec = wide(verification=Verification.REPLICATION, replicas=REPLICAS_MAX)
    first = hall.submit(spec)
    made = {}
    for place, who in enumerate(keys):
        hall.take(first + place, who, 500 * GRIST)
    for place, who in enumerate(keys):
        trace = run(PLANTED) if place < 2 else run()
        made[first + place] = hall.post_result(first + place, who, trace)
    group = hall.checks.groups
    while group[first].phase is not ReplicaPhase.REVEALING:
        hall.next()
    drawn = group[first].checkpoint
    for place, who in enumerate(keys):
        id_ = first + place
        secrets = salt_of(who.id, drawn), salt_of(who.id, drawn - 1) if drawn else bytes(32)
        given = (id_, made[id_].disclosure(drawn), *secrets)
        if place == REPLICAS_MAX - 1:
            yield call(hall, who.id, "Verification.disclose_replica", *given)
        else:
            hall.act(who.id, "Verification", "disclose_replica", *given)


@stages(
    "Verification.name_manager",
    "Verification.name_vendor",
    "Verification.bond_manager",
    "Verification.commit_canaries",
    "Verification.tell_canary",
    "Verification.prove_canary",
    "canaries were not told",
    "Verification.resign_manager",
)
def canaries() -> Iterator[Stage]:
    """Play: a canary of 256 that eleven verifiers passed, proven before its job is paid."""
    hall = Hall()
    hall.enrich(ANN)
    who = MANAGER.id
    yield vote(hall, "Verification.name_manager", who, True)  # noqa: FBT003 -- as the call has it
    yield vote(hall, "Verification.name_vendor", VENDOR, True)  # noqa: FBT003 -- as the call has it
    as_root(hall.chain, "Verification", "name_manager", who, True)  # noqa: FBT003 -- its flag
    yield call(hall, who, "Verification.bond_manager")
    hall.done(MANAGER, "Verification", "bond_manager")
    yield call(hall, who, "Verification.resign_manager")
    spec = wide(max_price=DEAR)
    digest = hashing.blake2b_256(JobSpec.wire.encode(spec))
    plans = [CanaryPlan(REQUESTER.id, digest, bytes((n,)) * 32) for n in range(CANARIES_MAX)]
    leaves = [canary_leaf(who, plan) for plan in plans]
    batch = (tree_root(leaves), CANARIES_MAX)
    yield call(hall, who, "Verification.commit_canaries", *batch)
    era = hall.runtime.parameters.era()
    hall.done(MANAGER, "Verification", "commit_canaries", *batch)
    hall.next()
    id_ = _passed(hall)
    batches = hall.checks.batches
    told = tuple(range(2, CANARIES_MAX))
    batches[who, era] = replace(batches[who, era], told=told)
    tell = (era, plans[0], branch_of(leaves, 0), id_)
    yield call(hall, who, "Verification.tell_canary", *tell)
    hall.done(MANAGER, "Verification", "tell_canary", *tell)
    _fund(hall)
    yield call(hall, who, "Verification.prove_canary", id_, 0, _step_proof())
    due = batches[who, era].due
    hall.wait_until(due - 1)
    put(hall, CANARIES + who + era.to_bytes(4, "little"), due)
    yield items(hall, "canaries were not told", WEIGHT_CANARY, ManagerLeft)


def _passed(hall: Hall) -> int:
    """Let a planted fault be passed by a panel of eleven."""
    id_, made = waiting(hall, PLANTED)
    panel = begin_audit(hall, id_)
    audits_ = hall.checks.audits
    audits_[id_] = replace(audits_[id_], draws=(0,))
    for who in panel:
        hall.act(who, "Verification", "commit", id_, tuple(said(hall, id_, who, made.trace)[0]))
    hall.act(ANN.id, "Verification", "disclose", id_, (made.disclosure(0),))
    for who in panel:
        hall.act(who, "Verification", "reveal", id_, tuple(said(hall, id_, who, made.trace)[1]))
    return id_


def _fund(hall: Hall) -> None:
    """Let insurance have money, out of which a canary's cost is given back."""
    rich = stranger(9_999)
    hall.mint(rich, 10_000_000 * GRIST)
    balances = hall.runtime.balances
    balances.move(MoveCause.PREMIUM, rich, INSURANCE, 9_000_000 * GRIST, keep_alive=True)


def _step_proof() -> StepProof:
    """Show the planted step."""
    trace, step = run(PLANTED), 1
    states = trace.run_of(PLAN.checkpoint_of(step)).states
    return StepProof(
        step,
        trace.state_before(step),
        branch_of(states, 0),
        trace.state_after(step),
        branch_of(states, 1),
        trace.witness(step),
    )
