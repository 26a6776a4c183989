"""Who is reported for absence, when nobody is, and how one comes back."""

import pytest

from runtime.staking import nouns
from runtime.staking.fractions import Ratio
from runtime.staking.numbers import OFFLINE_WINDOW
from runtime.staking.offline import GAP_MS, QUIET_BLOCKS, SLIDES_MAX, FoundOffline
from runtime.staking.reports import OffenceKind, ReportState
from tests.support.stakes import ERA_BLOCKS, GRIST, WINDOW, Stakes, validator

HALF = WINDOW // 2
FOUR = [1_000 * GRIST] * 4


def four(count: int = WINDOW, **changes: int) -> Stakes:
    """A chain of four validators after the first window, in which absence does not count."""
    chain = Stakes.begin(FOUR, **changes)
    chain.blocks(count)
    return chain


def miss(chain: Stakes, count: int, *numbers: int) -> None:
    """Make blocks whose last commits lack these validators as far as they are in the set."""
    for _ in range(count):
        absent = [validator(number) for number in numbers]
        members = chain.look().session.current_set
        chain.block(last_commit=tuple(m.account not in absent for m in members))


def reported(chain: Stakes) -> int:
    return chain.look().slashing.report_count


def test_who_misses_more_than_half_of_the_window_is_reported_and_jailed() -> None:
    chain = four()
    miss(chain, HALF, 0)
    assert reported(chain) == 0
    miss(chain, 1, 0)
    assert reported(chain) == 1
    report, staking = chain.report(), chain.look().staking
    assert (report.kind, report.offender) == (OffenceKind.OFFLINE, validator(0))
    assert (report.power, report.total_power) == (1_000, 4_000)
    assert staking.jailed_until[validator(0)] == staking.active_era + 1
    assert chain.set_numbers() == [1, 2, 3]
    assert chain.last is not None
    assert FoundOffline(validator(0), HALF + 1).encode() in chain.last.receipts[2]


def test_half_of_the_window_again_and_again_is_enough() -> None:
    chain = four()
    for _ in range(6):
        miss(chain, HALF, 0)
        miss(chain, HALF)
    assert reported(chain) == 0
    assert chain.look().offline.misses_of(validator(0)) == HALF


def test_misses_leave_the_window() -> None:
    chain = four()
    miss(chain, HALF, 0)
    miss(chain, WINDOW)
    offline = chain.look().offline
    assert offline.misses_of(validator(0)) == 0
    assert list(offline.missed_at.items()) == []


def test_the_first_window_does_not_count() -> None:
    chain = four(1)
    miss(chain, WINDOW - 1, 0)
    assert chain.look().offline.misses_of(validator(0)) == 0
    miss(chain, 1, 0)
    assert chain.look().offline.misses_of(validator(0)) == 1


@pytest.mark.parametrize(("pause_ms", "counts"), [(GAP_MS, True), (GAP_MS + 1, False)])
def test_nobody_is_absent_after_the_whole_chain_stood_still(pause_ms: int, counts: bool) -> None:
    chain = four()
    start = chain.spec.time_ms + chain.height * 1_000 + pause_ms
    for count in range(QUIET_BLOCKS + 1):
        members = chain.look().session.current_set
        flags = tuple(m.account != validator(0) for m in members)
        chain.block(time_ms=start + 1_000 * count, last_commit=flags)
        if count == QUIET_BLOCKS - 1:
            assert (reported(chain) > 0) == counts
            if counts:
                return
            assert chain.look().offline.misses_of(validator(0)) == 0
    assert chain.look().offline.misses_of(validator(0)) == 1


def voted(chain: Stakes, window: int) -> None:
    """Let a vote set the window."""
    chain.open()
    OFFLINE_WINDOW.write(chain.runtime.ctx, window)
    chain.close()


def test_a_longer_window_is_filled_before_it_is_judged_by() -> None:
    chain = four(2 * WINDOW)
    miss(chain, HALF, 0)
    voted(chain, 2 * WINDOW)
    miss(chain, HALF, 0)
    assert (reported(chain), chain.look().offline.misses_of(validator(0))) == (0, WINDOW)
    miss(chain, 1, 0)
    assert reported(chain) == 1


def test_a_shorter_window_forgets_block_by_block_and_judges_by_its_own_blocks_only() -> None:
    window = 3 * WINDOW
    chain = Stakes.begin(FOUR, offline_window=window)
    chain.blocks(window)
    miss(chain, WINDOW, 0)
    chain.blocks(WINDOW)
    voted(chain, WINDOW)
    offline = chain.look().offline
    assert offline.misses_of(validator(0)) == WINDOW > WINDOW // 2
    miss(chain, 1, 0)
    steps = -(-(window - WINDOW) // SLIDES_MAX)
    chain.blocks(steps)
    offline = chain.look().offline
    assert (reported(chain), offline.reach, offline.misses_of(validator(0))) == (0, WINDOW, 1)
    miss(chain, HALF - 1, 0)
    assert reported(chain) == 0
    miss(chain, 1, 0)
    assert reported(chain) == 1


def test_nothing_is_written_while_everybody_signs() -> None:
    chain = four()
    chain.open()
    prefixes = [info.prefix for info in chain.runtime.offline.items]
    changed = [key for key, _ in chain.overlay.changes()]
    assert changed
    assert not [key for key in changed if any(key.startswith(p) for p in prefixes)]
    chain.close()


def test_absence_of_one_costs_little_and_of_several_together_more() -> None:
    chain = four()
    miss(chain, HALF + 1, 0)
    chain.blocks(ERA_BLOCKS + 1)
    alone = chain.report()
    assert (alone.state, alone.fraction) == (ReportState.APPLIED, Ratio(63, 8_000))
    assert alone.own == 1_000 * GRIST * 63 // 8_000
    chain = four()
    miss(chain, HALF + 1, 0, 1)
    chain.blocks(ERA_BLOCKS + 1)
    together = [chain.report(number).fraction for number in (0, 1)]
    assert together == [Ratio(21, 500), Ratio(21, 500)]


def test_a_third_of_the_power_leaves_at_once_when_half_is_absent() -> None:
    chain = four()
    miss(chain, HALF + 1, 0, 1)
    assert reported(chain) == 2
    assert len(chain.set_numbers()) == 3


def test_who_is_in_jail_is_not_reported_again() -> None:
    chain = four()
    miss(chain, 2 * WINDOW, 0, 1)
    assert reported(chain) == 2


def test_jail_ends_by_a_call_after_its_era_and_the_count_begins_anew() -> None:
    chain = four(WINDOW + 4)
    miss(chain, HALF + 1, 0)
    staking = chain.look().staking
    until = staking.jailed_until[validator(0)]
    assert chain.refused(validator(0), "unjail") == nouns.InJail.encoded
    chain.to_height(until * ERA_BLOCKS - 1)
    assert chain.refused(validator(0), "unjail") == nouns.InJail.encoded
    chain.done(validator(0), "unjail")
    assert not chain.look().staking.is_jailed(validator(0))
    assert chain.refused(validator(0), "unjail") == nouns.NotJailed.encoded
    assert chain.look().offline.misses_of(validator(0)) == 0


def test_an_absence_that_was_cancelled_ends_jail_but_not_a_conviction() -> None:
    chain = four()
    miss(chain, HALF + 1, 0)
    chain.votes("cancel", 0, b"the network was cut")
    assert not chain.look().staking.is_jailed(validator(0))
    chain = four()
    miss(chain, HALF + 1, 0)
    chain.misbehave(0, height=WINDOW)
    chain.votes("cancel", 0, b"")
    assert chain.look().staking.is_tombstoned(validator(0))


def test_absentees_do_not_make_equivocation_dearer() -> None:
    chain = four()
    miss(chain, HALF + 1, 0)
    chain.misbehave(1, total_power=100_000)
    chain.blocks(ERA_BLOCKS + 1)
    assert chain.report(1).fraction == Ratio(1, 20)
