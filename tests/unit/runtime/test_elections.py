"""Elections: the set is the result of stake, in bounded steps, on both cores and from any state."""

from dataclasses import replace
from typing import Any

import pytest

from consensus.types import Validator, ValidatorSet
from consensus.valset import ValidatorSchedule
from runtime.executive import Executive
from runtime.frame.origins import Signed
from runtime.primitives import GRAINS_PER_GRIST, AccountId
from runtime.session import ValidatorRecord
from runtime.session_keys import SessionKeys
from runtime.staking.ballot import (
    Phase,
    counted_vesting,
    make_row,
    names_on,
    pack_vesting,
    scale_page,
    stakes_on,
)
from runtime.staking.nouns import FOREVER, StakersElected, StakingElectionFailed
from runtime.staking.numbers import VESTING_SHARE
from runtime.vesting.module import Terms
from tests.support.elections import naive
from tests.support.electorate import (
    PREFS,
    add_candidate,
    add_voter,
    endow,
    go_to,
    named,
    populate,
    powers,
    quick_block,
    run_to,
    start,
    start_crowded,
)
from tests.support.runtime import Chain, person

ERA = 8
ALICE, BOB, CHARLIE, DAVE = (person(name) for name in ("Alice", "Bob", "Charlie", "Dave"))


def own_stakes(chain: Chain) -> dict[AccountId, int]:
    staking = chain.look().staking
    return {who: staking.active_stake(who) for who, _ in staking.validators.items()}


@pytest.fixture
def chain() -> Chain:
    """A chain at its first block, with candidates and voters."""
    return start_crowded()


# What an election decides


def test_the_winners_are_those_of_the_definition_and_act_two_blocks_later(chain: Chain) -> None:
    go_to(chain, ERA - 4)
    staking = chain.look().staking
    ballots = [(who, stake, [who]) for who, stake in own_stakes(chain).items()]
    ballots += [
        (who, staking.active_stake(who), list(nominations.targets))
        for who, nominations in staking.nominators.items()
    ]
    expected = naive(staking.validator_count, list(own_stakes(chain)), ballots)
    go_to(chain, ERA - 1)
    assert chain.last.validator_updates == ()
    result = chain.block()
    assert sorted(powers(chain)) == sorted(expected)
    assert result.validator_updates
    assert StakersElected().encode() in result.receipts[-1]
    sizes = []
    for _ in range(2):
        chain.open()
        sizes.append(len(chain.runtime.session.current_set))
        chain.close()
    assert sizes == [4, 10]


def test_consensus_follows_elections_and_rotations_to_the_same_sets(chain: Chain) -> None:
    """Consensus' own schedule, fed with our updates, agrees with our sets at every height."""

    def members(of: tuple[ValidatorRecord, ...]) -> tuple[Validator, ...]:
        return tuple(Validator(*vars(member).values()) for member in of)

    session = chain.look().session
    first = ValidatorSet(0, members(session.current_set))
    schedule = ValidatorSchedule(chain.height + 1, first, first)
    sizes = []
    for _ in range(3 * ERA + 2):
        chain.open()
        assert members(session.current_set) == schedule.current.validators
        sizes.append(len(session.current_set))
        if chain.height == ERA + 2:
            keys = session.seat(ALICE, 1)
            session.register(ALICE, SessionKeys(keys.vrf_key[::-1], keys.consensus_key[::-1]))
            session.replace_set(tuple(m for m in session.queued_set if m.account != BOB))
            chain.runtime.staking.jail(BOB, 2)
        schedule = schedule.advance(chain.close().validator_updates)
    assert sizes[:9] == [4] * 8 + [10]
    assert 9 in sizes
    assert chain.look().session.keys[ALICE].vrf == keys.consensus_key[::-1]


def test_power_is_the_stake_behind_a_winner_in_whole_tokens(chain: Chain) -> None:
    go_to(chain, ERA)
    exposures = chain.look().staking.exposures
    for who, power in powers(chain).items():
        assert power == exposures.overview(1, who).total // GRAINS_PER_GRIST
    total = sum(exposures.overview(1, who).total for who in powers(chain))
    assert chain.runtime.staking.eras_total_stake[1] == total


@pytest.mark.parametrize("era", [1, 3])
def test_exposures_and_positions_tell_the_same_story(chain: Chain, era: int) -> None:
    """In the third era stakes have grown by rewards, which are paid before stakes are counted."""
    run_to(chain, era * ERA)
    staking = chain.look().staking
    by_voter: dict[AccountId, dict[AccountId, int]] = {}
    for who in powers(chain):
        overview = staking.exposures.overview(era, who)
        behind = list(staking.exposures.nominators(era, who))
        assert overview.own == staking.active_stake(who)
        assert overview.total == overview.own + sum(entry.value for entry in behind)
        assert overview.nominator_count == len(behind)
        for entry in behind:
            by_voter.setdefault(entry.who, {})[who] = entry.value
    stints = {
        who: {entry.validator: entry.value for entry in position.stints[-1].backings}
        for who, position in staking.positions.items()
    }
    assert stints == by_voter
    assert len(stints) > 50
    for who, backings in stints.items():
        assert sum(backings.values()) == staking.active_stake(who)


# What vests


def vesting_chain(insiders: int, epoch_blocks: int = 4) -> Chain:
    """A chain whose four validators have 400,000 at stake, and insiders with grants 100,000 each.

    An insider has as much again that does not vest, and free; it stands behind Alice.
    """
    chain = start(epoch_blocks=epoch_blocks)
    runtime = chain.open()
    for number in range(insiders):
        who = named("insider", number)
        add_voter(runtime, who, 100_000, [ALICE])
        endow(runtime, who, 100_000)
        grant = Terms(100_000 * GRAINS_PER_GRIST, cliff_eras=99, duration_eras=100, step_eras=0)
        runtime.vesting.genesis(grants=[(who, grant)], passive=[])
    add_candidate(runtime, named("insider", 99), 50_000)
    grant = Terms(20_000 * GRAINS_PER_GRIST, cliff_eras=99, duration_eras=100, step_eras=0)
    runtime.vesting.genesis(grants=[(named("insider", 99), grant)], passive=[])
    chain.close()
    return chain


@pytest.mark.parametrize(("insiders", "is_cut"), [(0, False), (1, False), (2, True), (9, True)])
def test_what_vests_counts_for_a_quarter_of_the_stake_at_most(insiders: int, is_cut: bool) -> None:
    chain = vesting_chain(insiders)
    run_to(chain, ERA)
    exposures = chain.look().staking.exposures
    totals = {who: exposures.overview(1, who) for who in powers(chain)}
    earned = 430_000 * GRAINS_PER_GRIST
    vesting = (20_000 + 100_000 * insiders) * GRAINS_PER_GRIST
    counted = sum(found.total for found in totals.values())
    assert (counted < earned + vesting) == is_cut
    allowed = min(vesting, earned // 3)
    assert earned + allowed - insiders - 1 <= counted <= earned + allowed
    own = totals[named("insider", 99)].own
    assert own == (30_000 + 20_000 * allowed // vesting) * GRAINS_PER_GRIST or is_cut
    assert abs(own - 30_000 * GRAINS_PER_GRIST - 20_000 * GRAINS_PER_GRIST * allowed // vesting) < 2
    parts = [entry.value for entry in exposures.nominators(1, ALICE)]
    assert len(set(parts)) == min(insiders, 1)
    assert chain.look().staking.eras_total_stake[1] == counted


def test_what_vests_is_cut_alike_by_a_node_that_starts_anew_each_block() -> None:
    def roots(*, restarts: bool) -> list[bytes]:
        chain, found = vesting_chain(9, epoch_blocks=32), []
        while chain.height < 64:
            if restarts:
                chain.executive = Executive()
            found.append(quick_block(chain))
        phases = chain.look().staking.exposures.overview(1, ALICE)
        assert phases is not None
        return found

    assert roots(restarts=False) == roots(restarts=True)


def test_a_vote_on_the_share_of_what_vests_counts_from_the_next_election_on() -> None:
    chain = vesting_chain(9)
    run_to(chain, ERA)
    chain.open()
    VESTING_SHARE.begin(chain.runtime.ctx, VESTING_SHARE.high)
    chain.close()
    run_to(chain, 2 * ERA)
    exposures = chain.look().staking.exposures
    first, second = (
        sum(exposures.overview(era, who).total for who in powers(chain)) for era in (1, 2)
    )
    assert 3 * first // 2 - first // 100 < second < 3 * first // 2 + first // 100


def test_pages_are_cut_row_by_row_and_leave_a_grain() -> None:
    rows = [make_row(bytes((n,)) * 32, stake, list(range(n))) for n, stake in enumerate((9, 5, 7))]
    packed = pack_vesting([9, 0, 4])
    page = scale_page(b"".join(rows), packed, 1, 10)
    assert list(stakes_on(page)) == [1, 5, 3]
    assert list(names_on(page)) == [bytes((n,)) * 32 for n in range(3)]
    assert len(page) == sum(map(len, rows))
    assert pack_vesting([0, 0]) == b""
    quarter = VESTING_SHARE.default
    assert [counted_vesting(100, part, quarter) for part in (0, 25, 26, 100)] == [0, 25, 24, 0]


def test_pages_of_an_exposure_hold_64_and_ascend() -> None:
    chain = start()
    chain.open()
    for number in range(150):
        add_voter(chain.runtime, named("voter", number), 20 + number, [ALICE])
    chain.close()
    go_to(chain, ERA)
    exposures = chain.look().staking.exposures
    overview = exposures.overview(1, ALICE)
    assert (overview.nominator_count, overview.page_count) == (150, 3)
    pages = [
        [entry.who for entry in exposures.page(1, ALICE, number).others] for number in range(3)
    ]
    assert [len(page) for page in pages] == [64, 64, 22]
    assert all(page == sorted(page) for page in pages)
    assert len({name for page in pages for name in page}) == 150


def test_nobody_weighs_more_than_the_cap_and_the_change_is_within_the_churn_limit() -> None:
    chain = start()
    chain.open()
    add_candidate(chain.runtime, named("candidate", 1), 5_000_000)
    chain.close()
    go_to(chain, ERA)
    joined = powers(chain)
    assert joined == {
        **dict.fromkeys((ALICE, BOB, CHARLIE, DAVE), 100_000),
        named("candidate", 1): 126_315,
    }
    chain.open()
    chain.runtime.staking.chill(Signed(named("candidate", 1)))
    chain.close()
    go_to(chain, 2 * ERA)
    assert sorted(powers(chain)) == sorted([ALICE, BOB, CHARLIE, DAVE])


def test_growth_beyond_the_churn_limit_takes_more_than_one_era() -> None:
    chain = start()
    chain.open()
    for number in range(5):
        add_candidate(chain.runtime, named("candidate", number), 100_000)
    chain.close()
    go_to(chain, ERA)
    first = powers(chain)
    assert sum(first.values()) == 400_000 + 2 * 400_000 // 3
    assert sorted(first.values()) == [53_333] * 4 + [53_334] + [100_000] * 4
    go_to(chain, 2 * ERA)
    assert min(powers(chain).values()) >= 100_000


def test_a_leaver_whom_the_churn_limit_keeps_is_slashable_and_earns_nothing() -> None:
    chain = start()
    chain.open()
    staking = chain.runtime.staking
    for number in range(4):
        add_candidate(chain.runtime, named("candidate", number), 100_000)
    for who in (ALICE, BOB, CHARLIE, DAVE):
        staking.chill(Signed(who))
    chain.close()
    go_to(chain, ERA)
    kept = [who for who in powers(chain) if who in (ALICE, BOB, CHARLIE, DAVE)]
    assert len(kept) == 3
    assert sum(powers(chain)[who] for who in kept) == 400_000 - 400_000 // 3
    exposures = chain.runtime.staking.exposures
    for who in kept:
        assert exposures.overview(1, who).own == 100_000 * GRAINS_PER_GRIST
        assert not exposures.is_rewarded(1, who)
    go_to(chain, 4 * ERA)
    assert not any(who in powers(chain) for who in kept)


def test_the_jailed_leave_before_others_who_were_not_elected() -> None:
    chain = start()
    chain.open()
    for number in range(4):
        add_candidate(chain.runtime, named("candidate", number), 100_000)
    first, second, third, last = sorted((ALICE, BOB, CHARLIE, DAVE))
    for who in (first, second):
        chain.runtime.staking.chill(Signed(who))
    for who in (third, last):
        chain.runtime.staking.jail(who, FOREVER)
    chain.close()
    go_to(chain, ERA)
    left = {
        who: power for who, power in powers(chain).items() if who in (first, second, third, last)
    }
    assert left == {first: 100_000, second: 100_000, last: 2 * 100_000 - 400_000 // 3}


def test_a_scheduled_set_acts_instead_of_the_elected_one_and_exposures_are_in_force() -> None:
    chain = Chain.start("test")
    go_to(chain, ERA)
    assert sorted(powers(chain)) == sorted([ALICE, CHARLIE, DAVE])
    staking = chain.look().staking
    assert staking.eras_assigned_in[1] == 1
    assert staking.exposures.overview(1, BOB) is not None


# Who stands and who votes


def test_the_jailed_and_those_without_keys_are_no_candidates(chain: Chain) -> None:
    chain.open()
    jailed, keyless = named("candidate", 0), named("candidate", 1)
    chain.runtime.staking.jail(jailed, 9)
    chain.runtime.session._unregister(keyless)
    chain.close()
    go_to(chain, ERA - 3)
    numbers = chain.look().elections._candidate_numbers()
    assert len(numbers) == 4 + 12 - 2
    assert jailed not in numbers
    assert keyless not in numbers
    go_to(chain, ERA)
    assert jailed not in powers(chain)


@pytest.mark.parametrize("reason", ["jailed", "tombstoned", "purged"])
def test_a_winner_that_may_not_validate_any_more_is_dropped(chain: Chain, reason: str) -> None:
    go_to(chain, ERA - 1)
    winner = next(w for w in chain.look().elections.winners if w not in (ALICE, BOB, CHARLIE, DAVE))
    chain.open()
    if reason == "purged":
        chain.runtime.session._unregister(winner)
    else:
        chain.runtime.staking.jail(winner, FOREVER if reason == "tombstoned" else 5)
    chain.close()
    assert len(powers(chain)) == 9
    assert winner not in powers(chain)


def test_stake_that_stood_does_not_vote_in_the_same_election() -> None:
    chain = start(epoch_blocks=16, era_epochs=1)
    turncoat = named("candidate", 0)
    chain.open()
    populate(chain.runtime, candidates=3, voters=30)
    chain.close()
    run_to(chain, 16)
    chain.open()
    assert chain.runtime.elections.progress.phase is Phase.VOTERS
    assert turncoat in chain.runtime.elections._candidate_numbers()
    chain.runtime.staking.nominate(Signed(turncoat), (ALICE,))
    chain.close()
    run_to(chain, 32)
    staking = chain.look().staking
    backers = {entry.who for entry in staking.exposures.nominators(2, ALICE)}
    assert turncoat not in backers
    assert staking.exposures.overview(2, turncoat).own == staking.active_stake(turncoat)


def test_moving_stakes_make_nobody_vote_twice_or_not_at_all() -> None:
    """A voter whose stake moves while voters are met keeps its place in the walk."""
    chain = start(epoch_blocks=16, era_epochs=1)
    chain.open()
    populate(chain.runtime, candidates=3, voters=400)
    chain.close()
    run_to(chain, 16 + 1)
    assert chain.look().elections.progress.phase is Phase.VOTERS
    while chain.look().elections.progress.phase is Phase.VOTERS:
        chain.open()
        staking = chain.runtime.staking
        for number in range(0, 400, 7):
            who = named("voter", number)
            endow(chain.runtime, who, 100_000)
            staking.bond_extra(Signed(who), 100_000 * GRAINS_PER_GRIST)
        for number in range(1, 400, 7):
            who = named("voter", number)
            staking.unbond(Signed(who), (staking.active_stake(who) - 10 * GRAINS_PER_GRIST) // 2)
        chain.close()
    assert chain.look().elections.progress.voters == 4 + 3 + 400


# Failure


def test_with_too_few_winners_the_old_set_stays_and_its_exposures_carry_over() -> None:
    chain = start()
    before = powers(chain)
    chain.open()
    chain.runtime.staking.chill(Signed(ALICE))
    chain.close()
    go_to(chain, ERA)
    assert StakingElectionFailed().encode() in chain.last.receipts[-1]
    assert powers(chain) == before
    chain.block()
    staking = chain.look().staking
    assert staking.exposures.overview(1, ALICE) == staking.exposures.overview(0, ALICE)
    assert staking.exposures.is_rewarded(1, ALICE)
    assert chain.runtime.elections.progress.phase is Phase.IDLE


def test_fewer_than_four_win_where_the_set_is_as_small() -> None:
    chain = start()
    chain.open()
    session = chain.runtime.session
    session.replace_set(tuple(m for m in session.queued_set if m.account != ALICE))
    chain.runtime.staking.jail(ALICE, FOREVER)
    chain.close()
    go_to(chain, ERA)
    assert StakersElected().encode() in chain.last.receipts[-1]
    assert sorted(powers(chain)) == sorted([BOB, CHARLIE, DAVE])


@pytest.mark.parametrize("change", [{"phase": Phase.ASSIGNMENTS}, {"era": 7}], ids=["late", "era"])
def test_an_election_that_is_not_ready_fails_and_the_next_begins_anew(
    chain: Chain, change: dict[str, Any]
) -> None:
    go_to(chain, ERA - 1)
    chain.open()
    progress = chain.runtime.elections.progress
    assert progress.phase is Phase.READY
    chain.runtime.elections.progress = replace(progress, **change)
    chain.close()
    assert StakingElectionFailed().encode() in chain.last.receipts[-1]
    go_to(chain, 2 * ERA)
    assert StakersElected().encode() in chain.last.receipts[-1]
    assert len(powers(chain)) == 10


def test_without_staking_nothing_is_elected() -> None:
    chain = Chain.start("bench")
    for _ in range(3):
        chain.block()
    assert list(chain.look().elections.progress.__dict__.values())[:2] == [Phase.IDLE, 0]


def test_preferences_of_a_winner_that_stopped_are_those_it_had() -> None:
    chain = start()
    chain.open()
    staking = chain.runtime.staking
    staking.validate(Signed(BOB), type(PREFS)(50_000_000, blocked=False))
    chain.close()
    go_to(chain, ERA - 1)
    chain.open()
    for who in (ALICE, BOB):
        staking.chill(Signed(who))
    assert chain.runtime.elections._prefs_of(BOB).commission == 50_000_000
    assert chain.runtime.elections._prefs_of(CHARLIE) == staking.validators[CHARLIE]
    chain.close()
    prefs = chain.look().staking.exposures.prefs(1, BOB)
    assert prefs.commission == 50_000_000
