"""Attestation: whose word for a machine halves an audit, and until when."""

from dataclasses import replace
from typing import Any

from chain.market.training import Fraud, FraudKind
from ext import signing
from runtime.frame.errors import BadOrigin
from runtime.market.verification.nouns import (
    BadQuote,
    NoAudit,
    NotProvider,
    TooLateToAttest,
    UnknownVendor,
)
from runtime.market.verification.records import (
    AuditAnswer,
    Quote,
    quote_message,
)
from tests.support.runtime import GENESIS_HASH
from tests.support.verification import (
    GRIST,
    PROVIDER,
    REQUESTER,
    Bench,
    FakeBond,
)

WRONG = AuditAnswer(b"w" * 32, b"w" * 32)
BOND = 5_000 * GRIST
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)
VENDOR_SEED = b"v" * 32
VENDOR = signing.public_key(VENDOR_SEED)


def quote(bench: Bench, number: int, seed: bytes = VENDOR_SEED, **changes: Any) -> bytes:
    parts = {
        "genesis_hash": GENESIS_HASH,
        "job": number,
        "attempt": 0,
        "era": bench.runtime.parameters.era(),
        "image": bytes(32),
        "commitments": bench.jobs.results[number].commitments,
    }
    return signing.sign(seed, quote_message(**{**parts, **changes}))


def waiting(bench: Bench) -> int:
    number = bench.job()
    bench.module.job_completed(number)
    return number


def test_a_listed_vendors_quote_spares_half_of_the_audits_by_a_coin() -> None:
    bench = Bench(3)
    assert bench.vote("name_vendor", VENDOR, True) is None
    numbers = [waiting(bench) for _ in range(40)]
    for number in numbers:
        bench.done(PROVIDER, "attest", number, VENDOR, quote(bench, number))
        assert bench.module.quotes[number] == Quote(VENDOR, 0)
    bench.until(60)
    spared = [n for n in numbers if n not in bench.module.audits]
    assert 8 < len(spared) < 32
    assert all(bench.jobs.jobs[number].cases == 0 for number in spared)
    assert bench.jobs.vindicated == []
    assert sorted(bench.jobs.left) == spared
    assert set(dict(bench.module.quotes.items())) == set(numbers) - set(spared)


def test_attestation_halves_the_draws_and_never_the_pay_of_one() -> None:
    bench = Bench(3)
    assert bench.vote("name_vendor", VENDOR, True) is None
    number = waiting(bench)
    bench.providers.bonds[number] = FakeBond(0)
    bench.done(PROVIDER, "attest", number, VENDOR, quote(bench, number))
    bench.drawn(number)
    audit, fee = bench.audit(number), bench.jobs.jobs[number].audit_fee
    assert (len(audit.draws), audit.planned) == (1, 2)
    bench.hear(number)
    assert sum(bench.jobs.paid.values()) == 3 * (fee // 6)


def test_a_quote_is_of_a_listed_vendor_for_this_job_and_in_its_epoch() -> None:
    bench = Bench(3)
    number = waiting(bench)
    good = quote(bench, number)
    bench.refused(NoAudit, PROVIDER, "attest", 99, VENDOR, good)
    bench.refused(UnknownVendor, PROVIDER, "attest", number, VENDOR, good)
    assert bench.vote("name_vendor", VENDOR, False) is UnknownVendor
    assert bench.vote("name_vendor", VENDOR, True) is None
    bench.refused(NotProvider, REQUESTER, "attest", number, VENDOR, good)
    for bad in (
        quote(bench, number, seed=b"x" * 32),
        quote(bench, number, job=number + 1),
        quote(bench, number, era=1),
        quote(bench, number, attempt=1),
        quote(bench, number, commitments=bytes(32)),
        quote(bench, number, image=b"i" * 32),
    ):
        bench.refused(BadQuote, PROVIDER, "attest", number, VENDOR, bad)
    bench.done(PROVIDER, "attest", number, VENDOR, good)
    bench.refused(TooLateToAttest, PROVIDER, "attest", number, VENDOR, good)
    late = waiting(bench)
    bench.until(21)
    bench.refused(TooLateToAttest, PROVIDER, "attest", late, VENDOR, quote(bench, late))


def test_a_quote_counts_no_more_when_it_is_old_or_its_vendor_struck_off() -> None:
    for is_struck in (True, False):
        bench = Bench(3)
        assert bench.vote("name_vendor", VENDOR, True) is None
        numbers = [waiting(bench) for _ in range(12)]
        for number in numbers:
            bench.done(PROVIDER, "attest", number, VENDOR, quote(bench, number))
            if not is_struck:
                bench.module.quotes[number] = Quote(VENDOR, 0)
        if is_struck:
            assert bench.vote("name_vendor", VENDOR, False) is None
        else:
            for number in numbers:
                audit = bench.audit(number)
                bench.module.audits[number] = replace(audit, due=125 + number, turn=77)
                bench.module._put(
                    b"a" + number.to_bytes(4, "little") + (77).to_bytes(2, "little"), 125
                )
        bench.until(53 if is_struck else 126)
        assert all(number in bench.module.audits for number in numbers)


def test_only_a_vote_lists_a_vendor() -> None:
    bench = Bench()
    data = bench.chain.call("Verification", "name_vendor", VENDOR, True)
    call = bench.chain.executive.decode_call(data)
    assert bench.chain.executive.run_call(call, PROVIDER) == BadOrigin.encoded
