"""Waits grow with the round up to their cap; the clock judges fresh proposals."""

import pytest

from consensus.rounds import PROFILES, TimerKind, compute_early_ms, is_stale


@pytest.mark.parametrize(
    ("name", "kind", "waits"),
    [
        ("devnet", TimerKind.PROPOSE, (1_000, 1_500, 8_000)),
        ("devnet", TimerKind.PREVOTE, (500, 750, 8_000)),
        ("test", TimerKind.PROPOSE, (300, 400, 3_000)),
        ("test", TimerKind.PRECOMMIT, (100, 200, 3_000)),
        ("public", TimerKind.PROPOSE, (3_000, 3_500, 20_000)),
        ("public", TimerKind.PRECOMMIT, (1_000, 1_500, 20_000)),
    ],
)
def test_a_wait_grows_by_its_step_up_to_the_cap(name, kind, waits):
    profile = PROFILES[name]
    assert tuple(profile.timeout_ms(kind, round_) for round_ in (0, 1, 1 << 31)) == waits


def test_a_block_up_to_half_a_second_ahead_does_not_wait():
    now_ms = 1_000_000
    assert compute_early_ms(now_ms + 500, now_ms) == 0
    assert compute_early_ms(now_ms + 501, now_ms) == 1
    assert compute_early_ms(0, now_ms) == 0


def test_a_block_may_be_three_seconds_old_and_one_more_each_round():
    now_ms = 1_000_000
    assert not is_stale(now_ms - 3_000, now_ms, 0)
    assert is_stale(now_ms - 3_001, now_ms, 0)
    assert not is_stale(now_ms - 5_000, now_ms, 2)
    assert is_stale(now_ms - 5_001, now_ms, 2)
