"""The pool of verifiers: who may join, who is drawn over whom, and what a draw is worth."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import comb

import pytest

from ext import hashing
from runtime.balances import INSURANCE, BurnCause, HoldReason
from runtime.market.verification import pool
from runtime.market.verification.nouns import (
    AlreadyLeaving,
    BondTooSmall,
    NoticeRunning,
    NotValidator,
    NotVerifier,
    SeatsOpen,
    SlashCause,
    TooManyVerifiers,
    VerifierJoined,
    VerifierLeaving,
    VerifierLeft,
    VerifierSlashed,
)
from runtime.market.verification.numbers import BOND_MIN, NOTICE_ERAS
from runtime.market.verification.records import Verifier
from runtime.staking.nouns import Nominations
from tests.support.runtime import stranger
from tests.support.verification import (
    GRIST,
    OTHERS,
    PROVIDER,
    REQUESTER,
    SET,
    Attempt,
    Bench,
    honest,
)

BOND = 5_000 * GRIST
SEED = b"s" * 32
LATER = 9


def test_a_validator_joins_with_a_bond_of_its_own() -> None:
    bench = Bench()
    free = bench.chain.free(SET[0])
    bench.done(SET[0], "join", BOND)
    assert bench.module.verifiers[SET[0]] == Verifier(BOND, bench.epoch, 0, 0, 0)
    assert bench.held(SET[0]) == BOND == free - bench.chain.free(SET[0])
    assert bench.runtime.balances.held(SET[0], HoldReason.STAKE) == 0
    assert bench.has_event(VerifierJoined(SET[0], BOND))
    assert bench.module.roster == (SET[0],)
    bench.next()


def test_only_validators_join_and_none_with_too_little() -> None:
    bench = Bench()
    bench.refused(NotValidator, PROVIDER, "join", BOND)
    bench.refused(BondTooSmall, SET[0], "join", BOND - 1)
    bench.refused(BondTooSmall, SET[0], "join", 0)
    bench.done(SET[0], "join", BOND)
    bench.refused(BondTooSmall, SET[0], "join", 0)


def test_a_bond_that_grows_is_as_young_as_its_last_grain() -> None:
    bench = Bench(1)
    bench.until(41)
    assert bench.epoch == 2
    bench.done(SET[0], "join", GRIST)
    assert bench.module.verifiers[SET[0]] == Verifier(BOND + GRIST, 2, 0, 0, 0)
    assert bench.module.draw(SEED, 1, (), before=1) == ()
    assert bench.module.draw(SEED, 1, (), before=2) == (SET[0],)


def test_no_more_verifiers_join_than_the_roster_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "VERIFIERS_MAX", 2)
    bench = Bench(2)
    bench.refused(TooManyVerifiers, SET[2], "join", BOND)
    bench.done(SET[0], "join", GRIST)


def test_who_leaves_is_bound_until_the_notice_has_run_out() -> None:
    bench = Bench(2)
    NOTICE_ERAS.begin(bench.runtime.ctx, NOTICE_ERAS.low)
    bench.refused(NotVerifier, SET[5], "leave")
    bench.refused(NotVerifier, SET[5], "withdraw")
    bench.refused(NoticeRunning, SET[0], "withdraw")
    bench.done(SET[0], "leave")
    height = bench.height + NOTICE_ERAS.low * 60
    assert bench.has_event(VerifierLeaving(SET[0], height))
    bench.refused(AlreadyLeaving, SET[0], "leave")
    bench.refused(AlreadyLeaving, SET[0], "join", GRIST)
    assert SET[0] in bench.module.draw(SEED, 2, (), before=LATER)
    height = bench.height + 3
    bench.module.verifiers[SET[0]] = replace(bench.module.verifiers[SET[0]], leaving=height)
    bench.until(height - 1)
    bench.refused(NoticeRunning, SET[0], "withdraw")
    bench.next()
    assert bench.module.draw(SEED, 2, (), before=LATER) == (SET[1],)
    free = bench.chain.free(SET[0])
    bench.done(SET[0], "withdraw")
    assert bench.chain.free(SET[0]) - free == BOND
    assert bench.has_event(VerifierLeft(SET[0], BOND))
    assert bench.module.roster == (SET[1],)
    bench.next()


def test_nobody_withdraws_from_an_open_audit() -> None:
    bench = Bench(3)
    NOTICE_ERAS.begin(bench.runtime.ctx, NOTICE_ERAS.low)
    number = bench.audited()
    bench.done(SET[0], "leave")
    leaving = replace(bench.module.verifiers[SET[0]], leaving=bench.height)
    bench.module.verifiers[SET[0]] = leaving
    bench.refused(SeatsOpen, SET[0], "withdraw")
    bench.hear(number)
    bench.done(SET[0], "withdraw")


def test_a_draw_is_decided_by_its_seed_and_seats_nobody_twice() -> None:
    bench = Bench(14)
    first = bench.module.draw(SEED, 7, (), before=LATER)
    assert first == bench.module.draw(SEED, 7, (), before=LATER)
    assert len(set(first)) == 7
    assert first != bench.module.draw(b"t" * 32, 7, (), before=LATER)
    assert sorted(bench.module.draw(SEED, 99, (), before=LATER)) == list(SET)
    assert bench.module.draw(SEED, 7, ()) == ()
    bench.until(41)
    assert len(bench.module.draw(SEED, 7, ())) == 7


def test_nobody_sits_over_parties_to_whom_it_is_bound() -> None:
    bench = Bench(8)
    module, staking, owners = bench.module, bench.runtime.staking, bench.providers.owners
    staking.nominators[PROVIDER] = Nominations((SET[0],), 0, suppressed=False)
    staking.nominators[OTHERS[0]] = Nominations((SET[1],), 0, suppressed=False)
    owners[REQUESTER] = OTHERS[0]
    owners[SET[2]] = owners[PROVIDER] = OTHERS[1]
    staking.payee[SET[3]] = ("Account", PROVIDER)
    staking.payee[SET[4]] = ("Account", OTHERS[2])
    parties = (PROVIDER, REQUESTER, SET[5])
    able = [SET[4], SET[6], SET[7]]
    assert sorted(module.draw(SEED, 99, parties, before=LATER)) == able
    assert module.eligible(parties, before=LATER) == able
    assert module.eligible((), before=LATER) == list(SET[:8])


def test_a_validator_owned_by_a_party_does_not_sit_over_it() -> None:
    bench = Bench(4)
    bench.providers.owners[PROVIDER] = SET[0]
    assert bench.module.eligible((PROVIDER,), before=LATER) == list(SET[1:4])


def test_who_validates_no_more_or_sits_out_or_has_too_little_is_not_drawn() -> None:
    bench = Bench(4)
    module = bench.module
    bench.runtime.session.validators = SET[1:]
    module.verifiers[SET[1]] = replace(module.verifiers[SET[1]], bond=BOND - 1)
    module.verifiers[SET[2]] = replace(module.verifiers[SET[2]], out_until=1)
    assert module.eligible((), before=LATER) == [SET[3]]
    assert module.draw(SEED, 9, (), before=LATER) == (SET[3],)


def test_with_staking_verifiers_are_those_who_stand_for_election_and_are_not_jailed() -> None:
    bench = Bench()
    staking = bench.runtime.staking
    staking.validator_count = 4
    assert not bench.module.is_validator(SET[0])
    staking.validators[SET[0]] = staking.validators[SET[0]]
    assert bench.module.is_validator(SET[0])
    staking.jailed_until[SET[0]] = 5
    assert not bench.module.is_validator(SET[0])


def test_of_a_bond_no_more_counts_than_twice_the_median() -> None:
    bench = Bench(5)
    bench.done(SET[0], "join", 900_000 * GRIST)
    seats = Counter(
        bench.module.draw(hashing.blake2b_256(n.to_bytes(2, "little")), 1, (), before=LATER)[0]
        for n in range(1_200)
    )
    assert 330 < seats[SET[0]] < 470
    assert all(150 < seats[who] < 250 for who in SET[1:5])


def panel_chance(pool_size: int, bad: int, seats: int, least: int) -> Fraction:
    """The chance that the bad have `least` of the seats of a panel, or more; bonds are equal."""
    ways = sum(comb(bad, n) * comb(pool_size - bad, seats - n) for n in range(least, seats + 1))
    return Fraction(ways, comb(pool_size, seats))


@pytest.mark.parametrize(("seats", "decide"), [(3, 3), (5, 4), (7, 5), (9, 7), (11, 8)])
def test_a_third_of_all_verifiers_hardly_ever_decides_a_panel(seats: int, decide: int) -> None:
    assert 3 * decide > 2 * seats >= 3 * (decide - 1)
    chance = panel_chance(99, 33, seats, decide)
    bounds = {3: 28, 5: 24, 7: 24, 9: 130, 11: 120}
    assert Fraction(1, bounds[seats] * 2) < chance < Fraction(1, bounds[seats])
    assert panel_chance(99, 10, seats, decide) < Fraction(1, 900)


def test_a_cheat_with_a_third_of_all_verifiers_still_loses() -> None:
    """Passed with the chance of a bought panel, it wins the price; else it loses three times it."""
    for seats, decide in ((3, 3), (5, 4), (7, 5)):
        bought = panel_chance(99, 33, seats, decide)
        assert bought * 1 - (1 - bought) * 3 < 0


def test_panels_are_drawn_as_often_as_the_chance_says() -> None:
    bench = Bench(12)
    bad, draws = SET[:4], 2_000
    decided = 0
    for n in range(draws):
        seed = hashing.blake2b_256(b"panel" + n.to_bytes(2, "little"))
        panel = bench.module.draw(seed, 3, (), before=LATER)
        decided += all(who in bad for who in panel)
    expected = panel_chance(12, 4, 3, 3) * draws
    assert abs(decided - expected) < 4 * float(expected) ** 0.5


def test_half_of_a_slash_is_burned_and_half_insures_jobs() -> None:
    bench = Bench(3)
    number = bench.audited(Attempt.of(honest()))
    bench.hear(number, {SET[1]: None})
    amount = BOND // 200
    assert bench.did(VerifierSlashed(SET[1], number, amount, SlashCause.SILENT))
    assert bench.held(SET[1]) == BOND - amount == bench.module.verifiers[SET[1]].bond
    assert bench.chain.free(INSURANCE) == amount // 2
    assert bench.runtime.balances.burned[BurnCause.WORK_SLASH] == amount - amount // 2
    assert bench.module.verifiers[SET[1]].bond < BOND_MIN.read(bench.runtime.ctx)
    bench.next()


def test_a_stranger_has_no_bond_to_lose() -> None:
    bench = Bench(1)
    assert bench.module._slash(stranger(1), 0, 10**9, SlashCause.SILENT) == 0
