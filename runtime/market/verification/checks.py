"""What always holds of verification: every bond is held, every seat is somebody's."""

from collections.abc import Iterator

from runtime.balances import HoldReason
from runtime.frame.module import Check
from runtime.market.verification.numbers import DRAWS_MAX, REDRAWS_MAX, SEATS_MAX
from runtime.market.verification.records import AuditPhase
from runtime.market.verification.replicas import Replicas


def invariants_of(module: Replicas) -> Iterator[Check]:
    """Yield every invariant of the module."""
    yield from _bonds(module)
    yield from _audits(module)
    yield from _canaries(module)


def _bonds(module: Replicas) -> Iterator[Check]:
    verifiers = dict(module.verifiers.items())
    yield Check("the roster lists every verifier once", module.roster == tuple(sorted(verifiers)))
    seats = dict.fromkeys(verifiers, 0)
    for audit in module.audits.values():
        for seat in audit.seats:
            seats[seat.who] = seats.get(seat.who, 0) + 1
    counted = {who: verifier.seats for who, verifier in verifiers.items()}
    yield Check("verifiers count their seats", counted == seats)
    owed = {who: verifier.bond for who, verifier in verifiers.items()}
    for who, manager in module.managers.items():
        owed[who] = owed.get(who, 0) + manager.bond
    yield Check("all bonds are the total", sum(owed.values()) == module.bond_total)
    is_held = all(
        module.balances.held(who, HoldReason.SERVICE) >= amount for who, amount in owed.items()
    )
    yield Check("bonds of verifiers and managers are held", is_held)


def _audits(module: Replicas) -> Iterator[Check]:
    for number, audit in module.audits.items():
        is_waiting = audit.phase is AuditPhase.WAITING
        yield Check(
            f"audit {number} has a panel exactly when it was drawn",
            is_waiting == (not audit.seats) == (not audit.draws),
        )
        is_bounded = len(audit.seats) <= SEATS_MAX and len(audit.draws) <= DRAWS_MAX
        yield Check(f"audit {number} is bounded", is_bounded and audit.round <= REDRAWS_MAX)
        names = [seat.who for seat in audit.seats]
        yield Check(f"nobody sits twice in audit {number}", len(set(names)) == len(names))
        is_sealed = audit.phase is AuditPhase.REVEALING or not any(s.answers for s in audit.seats)
        yield Check(f"nobody answers audit {number} before its time", is_sealed)
        job = module.jobs.find(number)
        yield Check(f"audit {number} is of a job with a case", job is not None and job.cases > 0)


def _canaries(module: Replicas) -> Iterator[Check]:
    open_batches: dict[bytes, int] = {}
    for (who, _), batch in module.batches.items():
        open_batches[who] = open_batches.get(who, 0) + 1
        is_open = len(set(batch.told)) == len(batch.told) < batch.count
        yield Check(f"the canaries of {who.hex()} are told once each", is_open)
    for who, manager in module.managers.items():
        is_counted = manager.open_batches == open_batches.get(who, 0)
        yield Check(f"{who.hex()} counts its canaries", is_counted)
    told = [number for number, _ in module.canaries.items()]
    yield Check("told canaries are counted", len(told) <= module.canary_count)
    yield Check("a told canary was audited", all(number in module.ballots for number in told))
