"""Slashing goes on where other modules cannot: under a pause, and with a full wheel."""

from typing import Any

import pytest

from runtime.deadlines import Deadlines, WheelFull
from runtime.staking import nouns
from runtime.staking.nouns import PAGE_SIZE
from runtime.staking.reports import ReportState
from tests.support.governance import as_root
from tests.support.stakes import ERA_BLOCKS, GRIST, Backer, Stakes, nominator, validator

SEVEN = [1_000 * GRIST] * 7


def test_bookings_go_on_under_a_pause_and_charging_after_it() -> None:
    backers = [Backer({0: GRIST, 1: GRIST}) for _ in range(PAGE_SIZE * 3)]
    chain = Stakes.begin(SEVEN, backers)
    chain.blocks(2)
    chain.misbehave(0)
    chain.blocks(ERA_BLOCKS - 3)
    chain.open()
    index = chain.runtime.slashing.index
    assert as_root(chain, "Safety", "freeze", index, 1) is None
    chain.close()
    chain.blocks(3)
    assert chain.report().state is ReportState.APPLYING
    chain.misbehave(1)
    assert chain.look().staking.open_bookings == 1
    assert chain.refused(nominator(5), "withdraw_unbonded", 0) == nouns.ReportOpen.encoded
    chain.blocks(2)
    runtime = chain.look()
    assert runtime.safety.pauses
    assert runtime.staking.open_bookings == 0, "nobody's withdrawal is refused any more"
    assert runtime.staking.liable[nominator(5)] == 2 * GRIST
    assert chain.report().state is ReportState.APPLYING
    chain.blocks(ERA_BLOCKS)
    assert not chain.look().safety.pauses
    assert chain.report().state is ReportState.APPLIED


def test_a_full_wheel_does_not_stop_a_slash_of_locked_rewards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = Stakes.begin(SEVEN)
    chain.blocks(2)
    vesting = chain.open().vesting
    chain.close()
    honest = Deadlines.schedule

    def full(self: Deadlines, **item: Any) -> Any:
        if item["module_index"] == vesting.index:
            raise WheelFull
        return honest(self, **item)

    monkeypatch.setattr(Deadlines, "schedule", full)
    chain.open()
    vesting.lock_reward(validator(0), 1_000 * GRIST)
    chain.close()
    chain.misbehave(0)
    chain.blocks(ERA_BLOCKS + 1)
    report = chain.report()
    assert (report.state, report.shortfall) == (ReportState.APPLIED, 0)
    assert report.own > 0
    assert chain.look().vesting.locked(validator(0)) == 1_000 * GRIST - report.own
    assert chain.runtime.vesting.due[validator(0)] <= chain.height, "nothing looks by itself"
    monkeypatch.undo()
    chain.open()
    assert chain.call_as(validator(0), "Vesting", "vest") == b""
    assert vesting.due[validator(0)] > chain.height + 1, "with room it is on the wheel again"
    chain.close()
