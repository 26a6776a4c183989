"""Bonds: every call of staking, what it refuses, and what a slash finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.balances import SLASH_POT, TREASURY, HoldReason
from runtime.balances.nouns import InsufficientBalance, ProtectedAccount
from runtime.frame.errors import CallError
from runtime.frame.module import Check
from runtime.governance.nouns import VoteOutlastsDeferral
from runtime.staking import nouns as words
from runtime.staking import numbers
from runtime.staking.nouns import (
    CHUNKS_MAX,
    FOREVER,
    STAKED,
    ActiveEraInfo,
    StakingLedger,
    UnlockChunk,
    ValidatorPrefs,
)
from runtime.staking.voter_list import Displaced, ListFull, ListKind, Place
from tests.support.electorate import PREFS, add_candidate, add_voter, named, raise_limits, start
from tests.support.governance import as_root, refused_as_root
from tests.support.runtime import Chain, assert_refused, person, stranger

ALICE, BOB, EVE, FERDIE = (person(name) for name in ("Alice", "Bob", "Eve", "Ferdie"))
GRIST = 10**9
UNBONDING = 4
"""Eras of the test chain."""


@pytest.fixture
def chain() -> Chain:
    chain = start()
    chain.open()
    return chain


def do(chain: Chain, who: Any, name: str, *arguments: Any) -> None:
    """Do a call of staking that must succeed."""
    call = chain.executive.decode_call(chain.call("Staking", name, *arguments))
    error = chain.executive.run_call(call, who)
    assert error == b"", error.hex()


def refused(chain: Chain, error: type, who: Any, name: str, *arguments: Any) -> None:
    assert_refused(chain, chain.call("Staking", name, *arguments), error, who)


def ledger_of(chain: Chain, who: Any) -> StakingLedger:
    ledger = chain.runtime.staking.ledger_of(who)
    assert ledger is not None
    return ledger


def listed(chain: Chain, kind: ListKind) -> list[Place]:
    """Who is on a list of elections, ascending by stake."""
    return chain.runtime.staking.voter_list.page(kind, limit=9)


def set_era(chain: Chain, era: int) -> None:
    """Let another era run, all elections before it having been held."""
    staking = chain.runtime.staking
    staking.active_era_info = ActiveEraInfo(era, None)
    staking.eras_assigned_in[era] = 0
    for past in range(era + 1):
        staking.eras_oldest_exposure[past] = past


def last_events(chain: Chain, count: int = 1) -> list[bytes]:
    return chain.runtime.ctx.events[-count:]


# Bonding and unbonding


def test_bonded_money_is_held_and_earns_where_its_owner_said(chain: Chain) -> None:
    free = chain.free(EVE)
    do(chain, EVE, "bond", 50 * GRIST, ("Account", FERDIE))
    staking = chain.runtime.staking
    assert ledger_of(chain, EVE) == StakingLedger(EVE, 50 * GRIST, 50 * GRIST, ())
    assert (staking.bonded[EVE], staking.payee[EVE]) == (EVE, ("Account", FERDIE))
    assert chain.runtime.balances.held(EVE, HoldReason.STAKE) == 50 * GRIST
    assert chain.free(EVE) == free - 50 * GRIST
    assert last_events(chain) == [words.Bonded(EVE, 50 * GRIST).encode()]
    chain.close()


def test_a_bond_is_made_once_and_not_below_the_minimum(chain: Chain) -> None:
    refused(chain, words.InsufficientBond, EVE, "bond", 10 * GRIST - 1, STAKED)
    refused(chain, InsufficientBalance, EVE, "bond", 10**15, STAKED)
    refused(chain, words.AlreadyBonded, ALICE, "bond", 10 * GRIST, STAKED)
    do(chain, EVE, "bond", 10 * GRIST, STAKED)


@pytest.mark.parametrize(
    ("payee", "error"),
    [
        (("Controller", None), words.ControllerDeprecated),
        (("Account", TREASURY), ProtectedAccount),
        (("Account", SLASH_POT), ProtectedAccount),
    ],
)
def test_rewards_go_to_no_controller_and_to_no_account_of_the_chain(
    chain: Chain, payee: Any, error: type
) -> None:
    refused(chain, error, EVE, "bond", 10 * GRIST, payee)
    refused(chain, error, ALICE, "set_payee", payee)
    do(chain, ALICE, "set_payee", ("None", None))
    assert chain.runtime.staking.payee[ALICE] == ("None", None)


def test_an_account_that_the_genesis_named_passive_stakes_nothing(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain.runtime.vesting, "is_passive", lambda who: who == EVE)
    refused(chain, words.PassiveAccount, EVE, "bond", 10 * GRIST, STAKED)
    do(chain, FERDIE, "bond", 10 * GRIST, STAKED)


def test_more_money_joins_a_bond(chain: Chain) -> None:
    do(chain, ALICE, "bond_extra", 7 * GRIST)
    assert ledger_of(chain, ALICE).active == 100_007 * GRIST
    assert listed(chain, ListKind.CANDIDATES)[-1] == (100_007 * GRIST, ALICE)
    refused(chain, words.ZeroAmount, ALICE, "bond_extra", 0)
    refused(chain, InsufficientBalance, ALICE, "bond_extra", 10**15)
    chain.close()


def test_unbonding_money_waits_for_its_era_and_chunks_of_an_era_are_one(chain: Chain) -> None:
    do(chain, EVE, "bond", 90 * GRIST, STAKED)
    do(chain, EVE, "unbond", 20 * GRIST)
    do(chain, EVE, "unbond", 5 * GRIST)
    chunks = (UnlockChunk(25 * GRIST, UNBONDING),)
    assert ledger_of(chain, EVE) == StakingLedger(EVE, 90 * GRIST, 65 * GRIST, chunks)
    assert last_events(chain) == [words.Unbonded(EVE, 5 * GRIST).encode()]
    set_era(chain, 1)
    do(chain, EVE, "unbond", GRIST)
    assert ledger_of(chain, EVE).unlocking[1:] == (UnlockChunk(GRIST, UNBONDING + 1),)
    assert chain.runtime.balances.held(EVE, HoldReason.STAKE) == 90 * GRIST


def test_only_what_is_active_unbonds(chain: Chain) -> None:
    do(chain, EVE, "bond", 90 * GRIST, STAKED)
    refused(chain, words.ZeroAmount, EVE, "unbond", 0)
    refused(chain, words.NotEnoughActive, EVE, "unbond", 90 * GRIST + 1)
    refused(chain, words.NotStash, FERDIE, "unbond", GRIST)


def test_a_stake_below_the_minimum_is_none_at_all(chain: Chain) -> None:
    do(chain, EVE, "bond", 15 * GRIST, STAKED)
    refused(chain, words.InsufficientBond, EVE, "unbond", 5 * GRIST + 1)
    do(chain, EVE, "unbond", 15 * GRIST)
    refused(chain, words.InsufficientBond, EVE, "rebond", 10 * GRIST - 1)
    do(chain, EVE, "rebond", 10 * GRIST)


def test_who_validates_or_nominates_keeps_the_minimum_for_it(chain: Chain) -> None:
    refused(chain, words.InsufficientBond, ALICE, "unbond", 90_000 * GRIST + 1)
    do(chain, ALICE, "unbond", 90_000 * GRIST)
    do(chain, ALICE, "chill")
    do(chain, ALICE, "unbond", 10_000 * GRIST)
    do(chain, EVE, "bond", 15 * GRIST, STAKED)
    do(chain, EVE, "nominate", (BOB,))
    refused(chain, words.InsufficientBond, EVE, "unbond", 15 * GRIST)
    chain.close()


def test_at_most_32_amounts_unbond_at_a_time(chain: Chain) -> None:
    do(chain, EVE, "bond", 900 * GRIST, STAKED)
    for era in range(CHUNKS_MAX):
        set_era(chain, era)
        do(chain, EVE, "unbond", GRIST)
    do(chain, EVE, "unbond", GRIST)
    set_era(chain, CHUNKS_MAX)
    refused(chain, words.NoMoreChunks, EVE, "unbond", GRIST)
    do(chain, EVE, "withdraw_unbonded", 0)
    do(chain, EVE, "unbond", GRIST)


def test_money_that_is_rebonded_comes_from_the_newest_chunks(chain: Chain) -> None:
    do(chain, EVE, "bond", 90 * GRIST, STAKED)
    for era in range(3):
        set_era(chain, era)
        do(chain, EVE, "unbond", 10 * GRIST)
    refused(chain, words.ZeroAmount, EVE, "rebond", 0)
    refused(chain, words.NoUnlockChunk, EVE, "rebond", 30 * GRIST + 1)
    do(chain, EVE, "rebond", 15 * GRIST)
    chunks = (UnlockChunk(10 * GRIST, UNBONDING), UnlockChunk(5 * GRIST, UNBONDING + 1))
    assert ledger_of(chain, EVE) == StakingLedger(EVE, 90 * GRIST, 75 * GRIST, chunks)


def test_what_is_due_can_be_withdrawn_and_the_last_grain_ends_the_bond(chain: Chain) -> None:
    free = chain.free(EVE)
    do(chain, EVE, "bond", 90 * GRIST, ("Stash", None))
    do(chain, EVE, "unbond", 80 * GRIST)
    set_era(chain, 1)
    do(chain, EVE, "unbond", 10 * GRIST)
    set_era(chain, UNBONDING - 1)
    refused(chain, words.NothingUnlocked, EVE, "withdraw_unbonded", 0)
    set_era(chain, UNBONDING)
    do(chain, EVE, "withdraw_unbonded", 0)
    assert ledger_of(chain, EVE).total == 10 * GRIST
    assert last_events(chain) == [words.Withdrawn(EVE, 80 * GRIST).encode()]
    set_era(chain, UNBONDING + 1)
    do(chain, EVE, "withdraw_unbonded", 0)
    staking = chain.runtime.staking
    assert (staking.ledger_of(EVE), EVE in staking.bonded, EVE in staking.payee) == (
        None,
        False,
        False,
    )
    assert chain.free(EVE) == free
    assert not chain.runtime.balances.holds[EVE]


def test_a_report_keeps_its_part_and_nobody_withdraws_while_one_is_booked(chain: Chain) -> None:
    do(chain, EVE, "bond", 90 * GRIST, STAKED)
    do(chain, EVE, "unbond", 90 * GRIST)
    set_era(chain, UNBONDING)
    staking = chain.runtime.staking
    staking.open_booking()
    refused(chain, words.ReportOpen, EVE, "withdraw_unbonded", 0)
    staking.close_booking()
    staking.add_liable(EVE, 90 * GRIST)
    refused(chain, words.StakeLiable, EVE, "withdraw_unbonded", 0)
    staking.lower_liable(EVE, 60 * GRIST)
    do(chain, EVE, "withdraw_unbonded", 0)
    assert ledger_of(chain, EVE).unlocking == (UnlockChunk(30 * GRIST, UNBONDING),)
    with pytest.raises(ValueError, match="as much"):
        staking.lower_liable(EVE, 30 * GRIST + 1)
    staking.lower_liable(EVE, 30 * GRIST)


# Validators and nominators


def test_a_validator_needs_keys_stake_and_a_clean_record(chain: Chain) -> None:
    staking = chain.runtime.staking
    do(chain, FERDIE, "bond", 10_000 * GRIST - 1, STAKED)
    refused(chain, words.NoSessionKeys, FERDIE, "validate", PREFS)
    who = named("candidate", 1)
    add_candidate(chain.runtime, who, 10_000)
    do(chain, who, "chill")
    do(chain, who, "unbond", GRIST)
    refused(chain, words.InsufficientBond, who, "validate", PREFS)
    do(chain, who, "rebond", GRIST)
    refused(chain, words.CommissionTooHigh, who, "validate", ValidatorPrefs(10**9 + 1, False))
    staking.jail(who, 1)
    refused(chain, words.InJail, who, "validate", PREFS)
    staking.jail(who, FOREVER)
    refused(chain, words.JailedForever, who, "validate", PREFS)
    refused(chain, words.NotStash, stranger(1), "validate", PREFS)


def test_standing_for_election_is_told_and_listed_by_stake(chain: Chain) -> None:
    who = named("candidate", 1)
    add_candidate(chain.runtime, who, 20_000)
    staking = chain.runtime.staking
    assert listed(chain, ListKind.CANDIDATES)[0] == (20_000 * GRIST, who)
    assert (staking.counter_for_validators, who in staking.validators) == (5, True)
    prefs = ValidatorPrefs(5, blocked=True)
    do(chain, who, "validate", prefs)
    assert last_events(chain) == [words.ValidatorPrefsSet(who, prefs).encode()]
    assert (staking.counter_for_validators, staking.validators[who]) == (5, prefs)
    chain.close()


def test_a_commission_moves_a_point_an_era_after_its_first_setting(chain: Chain) -> None:
    def prefs(points: int) -> ValidatorPrefs:
        return ValidatorPrefs(points * 10_000_000, blocked=False)

    do(chain, ALICE, "validate", prefs(50))
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(52))
    do(chain, ALICE, "validate", prefs(51))
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(52))
    do(chain, ALICE, "validate", prefs(49))
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(48))
    do(chain, ALICE, "chill")
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(0))
    set_era(chain, 1)
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(51))
    do(chain, ALICE, "validate", prefs(48))
    set_era(chain, 9)
    refused(chain, words.CommissionStep, ALICE, "validate", prefs(46))


def test_nominators_name_1_to_16_validators_each_once(chain: Chain) -> None:
    do(chain, EVE, "bond", 10 * GRIST, STAKED)
    refused(chain, words.EmptyTargets, EVE, "nominate", ())
    refused(chain, words.DuplicateIndex, EVE, "nominate", (BOB, ALICE, BOB))
    refused(chain, words.BadTarget, EVE, "nominate", (BOB, FERDIE))
    do(chain, EVE, "nominate", (BOB, ALICE))
    staking = chain.runtime.staking
    assert staking.nominators[EVE] == words.Nominations((BOB, ALICE), 0, suppressed=False)
    assert listed(chain, ListKind.VOTERS) == [(10 * GRIST, EVE)]
    assert last_events(chain) == [words.Nominated(EVE, (BOB, ALICE)).encode()]
    with pytest.raises(Exception, match="16"):
        chain.executive.decode_call(chain.call("Staking", "nominate", (BOB,) * 17))
    chain.close()


def test_a_nomination_needs_the_minimum(chain: Chain) -> None:
    do(chain, EVE, "bond", 10 * GRIST, STAKED)
    do(chain, EVE, "unbond", 10 * GRIST)
    refused(chain, words.InsufficientBond, EVE, "nominate", (BOB,))


def test_a_blocked_validator_keeps_its_nominators_and_takes_no_new_ones(chain: Chain) -> None:
    for who in (EVE, FERDIE):
        do(chain, who, "bond", 10 * GRIST, STAKED)
    do(chain, EVE, "nominate", (BOB,))
    do(chain, BOB, "validate", ValidatorPrefs(0, blocked=True))
    refused(chain, words.BadTarget, FERDIE, "nominate", (ALICE, BOB))
    do(chain, EVE, "nominate", (ALICE, BOB))


def test_a_validator_sends_nominators_away(chain: Chain) -> None:
    for who, targets in ((EVE, (BOB, ALICE)), (FERDIE, (BOB,))):
        do(chain, who, "bond", 10 * GRIST, STAKED)
        do(chain, who, "nominate", targets)
    refused(chain, words.NotValidator, EVE, "kick", (FERDIE,))
    do(chain, BOB, "kick", (EVE, stranger(1), FERDIE, ALICE))
    staking = chain.runtime.staking
    assert staking.nominators[EVE].targets == (ALICE,)
    assert (FERDIE in staking.nominators, staking.counter_for_nominators) == (False, 1)
    assert last_events(chain, 3) == [
        words.Kicked(EVE, BOB).encode(),
        words.Kicked(FERDIE, BOB).encode(),
        words.Chilled(FERDIE).encode(),
    ]
    chain.close()


def test_nobody_validates_and_nominates_at_once(chain: Chain) -> None:
    do(chain, ALICE, "nominate", (BOB,))
    staking = chain.runtime.staking
    assert (ALICE in staking.validators, ALICE in staking.nominators) == (False, True)
    do(chain, ALICE, "validate", PREFS)
    assert (ALICE in staking.validators, ALICE in staking.nominators) == (True, False)
    assert (staking.counter_for_validators, staking.counter_for_nominators) == (4, 0)
    chain.close()


def test_who_chills_is_in_no_list_and_keeps_its_bond(chain: Chain) -> None:
    do(chain, ALICE, "chill")
    staking = chain.runtime.staking
    assert last_events(chain) == [words.Chilled(ALICE).encode()]
    assert [who for _, who in listed(chain, ListKind.CANDIDATES)].count(ALICE) == 0
    assert staking.active_stake(ALICE) == 100_000 * GRIST
    refused(chain, words.NothingToChill, ALICE, "chill")
    chain.close()


# The bounded lists


def test_a_larger_stake_takes_the_place_of_the_smallest(chain: Chain) -> None:
    raise_limits(chain.runtime, voters_max=2)
    for number, grist in ((1, 30), (2, 20)):
        add_voter(chain.runtime, named("voter", number), grist, (BOB,))
    do(chain, EVE, "bond", 20 * GRIST, STAKED)
    refused(chain, ListFull, EVE, "nominate", (BOB,))
    do(chain, EVE, "bond_extra", 1)
    do(chain, EVE, "nominate", (BOB,))
    staking, last = chain.runtime.staking, named("voter", 2)
    assert [who for _, who in listed(chain, ListKind.VOTERS)] == [EVE, named("voter", 1)]
    assert (last in staking.nominators, staking.active_stake(last)) == (False, 20 * GRIST)
    assert last_events(chain, 3) == [
        Displaced(ListKind.VOTERS, last, 20 * GRIST).encode(),
        words.Chilled(last).encode(),
        words.Nominated(EVE, (BOB,)).encode(),
    ]
    chain.close()


def test_a_full_list_of_candidates_displaces_too(chain: Chain) -> None:
    raise_limits(chain.runtime, candidates_max=4)
    small, large = named("candidate", 1), named("candidate", 2)
    with pytest.raises(ListFull):
        add_candidate(chain.runtime, small, 100_000)
    add_candidate(chain.runtime, large, 100_001)
    staking = chain.runtime.staking
    assert staking.counter_for_validators == 4
    assert listed(chain, ListKind.CANDIDATES)[-1] == (100_001 * GRIST, large)


def test_lists_are_walked_from_the_smallest_stake_page_by_page(chain: Chain) -> None:
    stakes = [300, 20, 65_536, 10, 256]
    for number, grist in enumerate(stakes):
        add_voter(chain.runtime, named("voter", number), grist, (BOB,))
    page, kind = chain.runtime.staking.voter_list.page, ListKind.VOTERS
    whole = listed(chain, kind)
    assert [stake // GRIST for stake, _ in whole] == sorted(stakes)
    assert page(kind, limit=2) + page(kind, after=whole[1], limit=9) == whole
    do(chain, whole[1][1], "chill")
    assert page(kind, after=whole[1], limit=9) == whole[2:], "the place behind one who left"


def test_a_list_refuses_to_say_something_else_than_the_ledgers(chain: Chain) -> None:
    voter_list = chain.runtime.voter_list
    with pytest.raises(LookupError):
        voter_list.remove(ListKind.CANDIDATES, ALICE, 5)
    with pytest.raises(LookupError):
        voter_list.move(ListKind.VOTERS, ALICE, old=100_000 * GRIST, new=5)


# Slashes and jail


def test_a_slash_takes_active_stake_then_the_newest_chunks(chain: Chain) -> None:
    do(chain, EVE, "bond", 90 * GRIST, STAKED)
    for era in range(2):
        set_era(chain, era)
        do(chain, EVE, "unbond", 30 * GRIST)
    staking = chain.runtime.staking
    assert staking.take_stake(EVE, 40 * GRIST) == 40 * GRIST
    chunks = (UnlockChunk(30 * GRIST, UNBONDING), UnlockChunk(20 * GRIST, UNBONDING + 1))
    assert ledger_of(chain, EVE) == StakingLedger(EVE, 50 * GRIST, 0, chunks)
    assert chain.free(SLASH_POT) == 40 * GRIST
    assert words.Slashed(EVE, 40 * GRIST).encode() in last_events(chain)
    assert staking.take_stake(EVE, 60 * GRIST) == 50 * GRIST, "what is not there is not taken"
    assert staking.ledger_of(EVE) is None
    assert (staking.take_stake(EVE, 5), staking.take_stake(ALICE, 0)) == (0, 0)
    assert chain.runtime.balances.held(EVE, HoldReason.STAKE) == 0


def test_who_falls_below_the_minimum_by_a_slash_is_chilled(chain: Chain) -> None:
    staking = chain.runtime.staking
    staking.take_stake(ALICE, 90_000 * GRIST)
    assert ALICE in staking.validators
    staking.take_stake(ALICE, 1)
    assert (ALICE in staking.validators, staking.active_stake(ALICE)) == (
        False,
        10_000 * GRIST - 1,
    )
    add_voter(chain.runtime, EVE, 20, (BOB,))
    staking.take_stake(EVE, 20 * GRIST)
    assert (EVE in staking.nominators, staking.ledger_of(EVE)) == (False, None)


def test_jail_only_grows_and_for_ever_ends_a_candidacy(chain: Chain) -> None:
    staking = chain.runtime.staking
    staking.jail(ALICE, 3)
    staking.jail(ALICE, 2)
    assert (staking.jailed_until[ALICE], staking.is_tombstoned(ALICE)) == (3, False)
    assert (ALICE in staking.validators, staking.is_jailed(ALICE)) == (True, True)
    assert last_events(chain) == [words.Jailed(ALICE, 3).encode()]
    staking.jail(ALICE, FOREVER)
    assert (staking.is_tombstoned(ALICE), ALICE in staking.validators) == (True, False)
    chain.close()


def test_jail_ends_by_a_call_after_its_era(chain: Chain) -> None:
    staking = chain.runtime.staking
    refused(chain, words.NotJailed, ALICE, "unjail")
    staking.jail(ALICE, 2)
    set_era(chain, 1)
    refused(chain, words.InJail, ALICE, "unjail")
    set_era(chain, 2)
    do(chain, ALICE, "unjail")
    assert (staking.is_jailed(ALICE), last_events(chain)) == (
        False,
        [words.Unjailed(ALICE).encode()],
    )
    staking.jail(ALICE, FOREVER)
    refused(chain, words.JailedForever, ALICE, "unjail")


def test_without_staking_every_call_says_so() -> None:
    chain = Chain.start("plain")
    chain.open()
    arguments: dict[str, tuple[Any, ...]] = {
        "bond": (GRIST, STAKED), "bond_extra": (1,), "unbond": (1,), "withdraw_unbonded": (0,),
        "validate": (PREFS,), "nominate": ((BOB,),), "chill": (), "set_payee": (STAKED,),
        "rebond": (1,), "kick": ((BOB,),), "unjail": (),
    }  # fmt: skip
    assert set(arguments) == {info.name for info in chain.runtime.staking.calls}
    for name, given in arguments.items():
        refused(chain, words.NotEnabled, ALICE, name, *given)


# The numbers that votes change


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("staking.voters_max", 207, words.ElectionTooLarge),
        ("staking.candidates_max", 57, words.ElectionTooLarge),
        ("staking.slash_deferral_eras", 4, words.DeferralTooLong),
        ("track.slashes.decide", 900, VoteOutlastsDeferral),
        ("track.slashes.enact", 400, VoteOutlastsDeferral),
    ],
)
def test_a_vote_sets_no_number_that_does_not_fit_the_others(
    chain: Chain, name: str, value: int, error: type[CallError]
) -> None:
    refused_as_root(chain, error, "Parameters", "set", name, value)
    assert as_root(chain, "Parameters", "set", name, value - 1) is None


def test_nominators_never_need_more_than_validators(chain: Chain) -> None:
    set_number = ("Parameters", "set")
    chain.runtime.staking.min_validator_bond = 15 * GRIST
    name = numbers.MIN_NOMINATOR_BOND.name
    refused_as_root(chain, words.MinimumsCrossed, *set_number, name, 15 * GRIST + 1)
    assert as_root(chain, *set_number, name, 15 * GRIST) is None
    name = numbers.MIN_VALIDATOR_BOND.name
    refused_as_root(chain, words.MinimumsCrossed, *set_number, name, 15 * GRIST - 1)
    assert as_root(chain, *set_number, name, 16 * GRIST) is None


def test_a_larger_minimum_throws_nobody_out_and_binds_who_comes_or_goes(chain: Chain) -> None:
    do(chain, EVE, "bond", 10 * GRIST, STAKED)
    do(chain, EVE, "nominate", (ALICE,))
    name = numbers.MIN_NOMINATOR_BOND.name
    assert as_root(chain, "Parameters", "set", name, 20 * GRIST) is None
    refused(chain, words.InsufficientBond, FERDIE, "bond", 20 * GRIST - 1, STAKED)
    do(chain, FERDIE, "bond", 20 * GRIST, STAKED)
    refused(chain, words.InsufficientBond, EVE, "nominate", (BOB,))
    refused(chain, words.InsufficientBond, EVE, "unbond", 1)
    assert EVE in chain.runtime.staking.nominators
    do(chain, EVE, "bond_extra", 10 * GRIST)
    do(chain, EVE, "nominate", (BOB,))
    do(chain, EVE, "chill")
    do(chain, EVE, "unbond", 20 * GRIST)
    chain.close()


def test_a_shorter_list_throws_nobody_out_and_does_not_grow(chain: Chain) -> None:
    for number in range(20):
        add_voter(chain.runtime, named("voter", number), 100 + number, (ALICE,))
    shorter = numbers.VOTERS_MAX.low
    assert as_root(chain, "Parameters", "set", numbers.VOTERS_MAX.name, shorter) is None
    assert chain.runtime.staking.counter_for_nominators == 20
    add_voter(chain.runtime, named("voter", 20), 101, (ALICE,))
    assert chain.runtime.staking.counter_for_nominators == 20
    assert named("voter", 0) not in chain.runtime.staking.nominators
    chain.close()


def test_the_step_of_commissions_is_what_votes_say(chain: Chain) -> None:
    step = numbers.COMMISSION_STEP
    assert as_root(chain, "Parameters", "set", step.name, 2 * step.default) is None
    before = chain.runtime.staking.validators[ALICE].commission
    do(chain, ALICE, "validate", ValidatorPrefs(before, blocked=False))
    set_era(chain, 3)
    too_much = ValidatorPrefs(before + 2 * step.default + 1, blocked=False)
    refused(chain, words.CommissionStep, ALICE, "validate", too_much)
    do(chain, ALICE, "validate", ValidatorPrefs(before + 2 * step.default, blocked=False))


# The invariants can see


BREAKS: dict[str, Any] = {
    "held as stake": lambda s: setattr_in(s.ledger, ALICE, total=1),
    "total is active": lambda s: setattr_in(s.ledger, ALICE, active=1),
    "those with a ledger": lambda s: s.bonded.__delitem__(ALICE),
    "are counted": lambda s: setattr(s, "counter_for_validators", 3),
    "nobody is both": lambda s: s.nominators.__setitem__(
        ALICE, words.Nominations((BOB,), 0, suppressed=False)
    ),
    "the list is the active": lambda s: s.voter_list.move(
        ListKind.CANDIDATES, ALICE, old=100_000 * GRIST, new=5
    ),
    "the least minimum is": lambda s: shrink(s, GRIST - 1),
    "for ever does not": lambda s: s.jailed_until.__setitem__(ALICE, FOREVER),
    "sum of its parts": lambda s: setattr_in(s.eras_stakers_overview, (0, ALICE), own=1),
    "has what it owes": lambda s: setattr(s, "pot_rest", 1),
    "what the eras owe": lambda s: s.eras_owed.__setitem__(0, 1),
    "what exposures say": lambda s: s.positions.__setitem__(
        EVE, words.Position(0, (words.Stint(0, (words.Backing(ALICE, 5),)),))
    ),
}


def shrink(staking: Any, stake: int) -> None:
    """Let the ledger of a candidate and its place in the list say this stake."""
    staking.voter_list.move(ListKind.CANDIDATES, ALICE, old=100_000 * GRIST, new=stake)
    setattr_in(staking.ledger, ALICE, active=stake)


def setattr_in(entries: Any, key: Any, **changes: Any) -> None:
    entries[key] = replace(entries[key], **changes)


@pytest.mark.parametrize("sentence", BREAKS)
def test_each_invariant_sees_what_it_is_for(chain: Chain, sentence: str) -> None:
    staking = chain.runtime.staking

    def broken() -> list[Check]:
        checks = (*staking.guards(), *staking.invariants())
        return [check for check in checks if not check.holds]

    assert broken() == []
    BREAKS[sentence](staking)
    assert any(sentence in check.sentence for check in broken()), broken()


def test_every_error_of_the_module_is_met_in_this_file() -> None:
    text = Path(__file__).read_text()
    missing = [error.__name__ for error in words.ERRORS if f"words.{error.__name__}" not in text]
    assert missing == []
