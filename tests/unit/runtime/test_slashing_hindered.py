"""Slashing goes on where other modules cannot: under a pause, and with a full wheel."""

from runtime.staking import nouns
from runtime.staking.nouns import PAGE_SIZE
from runtime.staking.reports import ReportState
from tests.support.governance import as_root
from tests.support.stakes import ERA_BLOCKS, GRIST, Backer, Stakes, nominator

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
