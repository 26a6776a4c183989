"""Rules of verification that only an attack meets: each test falls when its rule is taken out."""

from dataclasses import replace

import pytest

from ext import signing
from runtime.market.trainer import state_hash
from runtime.market.verification.nouns import NothingProven, WrongPhase
from runtime.market.verification.records import AuditPhase, Quote, quote_message
from tests.support.runtime import GENESIS_HASH
from tests.support.verification import MANAGER, PROVIDER, Attempt, Bench, FakeBond, honest
from tests.unit.runtime.market.test_canaries import Planted, step_proof
from tests.unit.runtime.market.test_replicas import Replicated

VENDOR_SEED = b"v" * 32
VENDOR = signing.public_key(VENDOR_SEED)


def attested(bench: Bench) -> int:
    """A job whose two draws a vendor's word halves, waiting for its panel."""
    assert bench.vote("name_vendor", VENDOR, True) is None
    number = bench.job()
    bench.module.job_completed(number)
    bench.providers.bonds[number] = FakeBond(0)
    message = quote_message(
        GENESIS_HASH, number, 0, 0, bytes(32), bench.jobs.results[number].commitments
    )
    bench.done(PROVIDER, "attest", number, VENDOR, signing.sign(VENDOR_SEED, message))
    return number


def test_a_vendors_word_halves_the_first_round_only() -> None:
    bench = Bench(6)
    number = attested(bench)
    bench.drawn(number)
    first = bench.audit(number)
    assert (first.round, first.planned, len(first.draws)) == (0, 2, 1)
    quiet = dict.fromkeys(bench.seats(number))
    bench.hear(number, quiet)
    bench.drawn(number)
    again = bench.audit(number)
    assert (again.round, again.phase) == (1, AuditPhase.COMMITTING)
    quote = bench.module.quotes[number]
    is_fresh = bench.runtime.parameters.era() <= quote.era + 1
    assert is_fresh, "the quote would still count, were it not for the round"
    assert quote == Quote(VENDOR, 0)
    assert (again.planned, len(again.draws)) == (2, 2)


def test_nobody_proves_an_honest_checkpoint_wrong_by_beginning_it_elsewhere() -> None:
    canary = Planted(passed_by=3, attempt=Attempt.of(honest()))
    bench, number = canary.bench, canary.number
    assert bench.jobs.vindicated == [number]
    bench.done(MANAGER, *canary.tell(0, number))
    elsewhere = honest().witness(0)
    moved = bytes((elsewhere.weights[0] ^ 1,)) + elsewhere.weights[1:]
    proof = step_proof(canary.attempt, 0)
    lie = replace(proof, before=state_hash(moved), witness=replace(elsewhere, weights=moved))
    bench.refused(NothingProven, MANAGER, "prove_canary", number, 0, lie)
    assert bench.jobs.convicted == []


@pytest.mark.parametrize("late", [0, 1])
def test_a_replica_is_opened_before_its_time_is_over_even_when_the_wheel_is_late(
    late: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Replicated()
    bench = group.bench
    group.complete()
    monkeypatch.setattr(bench.module, "_do_group", lambda *_: None)
    while group.group.due > bench.height:
        bench.next()
    bench.module._move_group(0, group.group)
    group.open(0)
    bench.until(group.group.due - 1 + late)
    if late:
        bench.refused(WrongPhase, group.providers[1], *group.opening(1))
    else:
        group.open(1)
