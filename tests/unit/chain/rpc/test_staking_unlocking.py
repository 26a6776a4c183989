"""What is said of unbonding stake is what a withdrawal does: how much, and else when and why."""

from typing import Any

import pytest

from chain.wallet.stake_view import StakeView, describe_chunk, describe_figures, stake_rows
from runtime.block import MisbehaviourKind
from runtime.frame.origins import Signed
from runtime.primitives import AccountId
from runtime.staking import nouns
from tests.support.electorate import add_voter, named, run_to, start
from tests.support.runtime import Chain, person
from tests.support.stakes import ERA_BLOCKS, GRIST, Backer, Stakes, nominator, validator
from tests.support.staking_rpc import methods_at

FOUR_ERAS = 4 * ERA_BLOCKS + 1


def said_of(chain: Chain, who: AccountId) -> dict[str, Any]:
    return methods_at(chain).account(who, None)


def chunk_of(chain: Chain, who: AccountId) -> dict[str, Any]:
    return said_of(chain, who)["unlocking"][0]


def refusal(chain: Chain, who: AccountId) -> bytes:
    """What a withdrawal in the next block would be refused with; empty if it would be done.

    The block is thrown away.
    """
    chain.open()
    call = chain.executive.decode_call(chain.call("Staking", "withdraw_unbonded", 0))
    return chain.executive.run_call(call, who)


def first_done(chain: Chain, who: AccountId, blocks: int = 60) -> int:
    """The first height at which a withdrawal is done."""
    for _ in range(blocks):
        if not refusal(chain, who):
            return chain.height + 1
        chain.block()
    raise AssertionError("nothing was ever free")


def crowd(count: int) -> Stakes:
    """A validator with many nominators; the first has idle stake beside, and all of it unbonds."""
    backers = [Backer({0: 100 * GRIST}, idle=20 * GRIST if n == 0 else 0) for n in range(count)]
    chain = Stakes.begin([40_000 * GRIST] + [150_000 * GRIST] * 6, backers)
    chain.blocks(2)
    chain.done(nominator(0), "unbond", 120 * GRIST)
    chain.done(validator(3), "unbond", 10 * GRIST)
    chain.to_height(FOUR_ERAS)
    return chain


def test_what_is_due_and_free_is_said_to_be_so() -> None:
    chain = crowd(1)
    chain.free_unbonded()
    chunk = chunk_of(chain, nominator(0))
    assert (chunk["heldBy"], chunk["free"], chunk["isDue"]) == (None, chunk["value"], True)
    assert describe_chunk(chunk) == "120 GRIST, free since era 4: stake withdraw takes it"
    assert not refusal(chain, nominator(0))


def test_while_a_report_is_booked_nobody_is_told_to_withdraw() -> None:
    chain = crowd(500)
    chain.free_unbonded()
    chain.misbehave(0)
    bystander = validator(3)
    assert refusal(chain, bystander) == nouns.ReportOpen.encoded
    said = said_of(chain, bystander)
    [chunk] = said["unlocking"]
    assert (said["withdrawable"], chunk["heldBy"], chunk["free"]) == ("0", "booking", "0")
    text = describe_chunk(chunk)
    assert "nobody withdraws while a report is being booked" in text
    assert f"at the earliest at block {chunk['height']}, about" in text
    assert "takes" not in text
    assert chunk["height"] == first_done(chain, bystander) == chain.height + 1
    chain.block()
    assert chunk_of(chain, bystander)["heldBy"] is None


def test_who_will_be_liable_is_told_while_its_page_is_not_booked_yet() -> None:
    chain = Stakes.begin([1_000 * GRIST] * 7, [Backer({0: 400 * GRIST})] * 200)
    chain.blocks(2)
    chain.done(nominator(0), "unbond", 400 * GRIST)
    chain.to_height(FOUR_ERAS)
    chain.misbehave(0)
    chain.free_unbonded()
    said = said_of(chain, nominator(0))
    assert said["liable"] == "0"
    [chunk] = said["unlocking"]
    assert (chunk["heldBy"], chunk["height"]) == ("booking", chain.report().apply_at)
    rows = dict(stake_rows(StakeView(said, methods_at(chain).overview(None))))
    assert int(said["atRisk"]) > 0
    assert rows["at risk"].endswith(" GRIST as reported now")


def test_what_is_liable_is_not_said_to_be_free_but_the_rest_is() -> None:
    chain = crowd(70)
    who = nominator(0)
    chain.misbehave(0, height=2 * ERA_BLOCKS, kind=MisbehaviourKind.DUPLICATE_VOTE)
    chain.blocks(2)
    chain.free_unbonded()
    said = said_of(chain, who)
    [chunk] = said["unlocking"]
    assert (chunk["heldBy"], chunk["free"]) == ("report", str(20 * GRIST))
    assert (said["withdrawable"], chunk["height"]) == (chunk["free"], chain.report().apply_at)
    text = describe_chunk(chunk)
    assert "120 GRIST, of it 20 GRIST free: stake withdraw takes that; 100 GRIST liable" in text
    chain.done(who, "withdraw_unbonded", 0)
    assert chain.stake(who) == 100 * GRIST
    assert refusal(chain, who) == nouns.StakeLiable.encoded
    [chunk] = said_of(chain, who)["unlocking"]
    assert (chunk["heldBy"], chunk["free"]) == ("report", "0")
    figures = describe_figures(StakeView(said_of(chain, who), methods_at(chain).overview(None)))
    promise = f"but 100 GRIST liable for an open report, at least until block {chunk['height']}"
    assert promise in figures
    chain.to_height(chunk["height"] - 1)
    chain.free_unbonded()
    assert refusal(chain, who) == nouns.StakeLiable.encoded
    chain.blocks(4)
    chain.free_unbonded()
    assert chunk_of(chain, who)["heldBy"] is None
    assert not refusal(chain, who)


def test_an_offender_without_nominators_is_told_the_very_block() -> None:
    chain = Stakes.begin([1_000 * GRIST] * 7)
    chain.blocks(2)
    chain.done(validator(0), "unbond", 1_000 * GRIST)
    chain.to_height(FOUR_ERAS)
    chain.misbehave(0, height=2 * ERA_BLOCKS)
    chain.free_unbonded()
    told = chunk_of(chain, validator(0))
    assert told["heldBy"] == "report"
    for _ in range(told["height"] - chain.height - 1):
        assert refusal(chain, validator(0)) == nouns.StakeLiable.encoded
        assert chunk_of(chain, validator(0)) == told
        chain.block()
        chain.free_unbonded()
    assert not refusal(chain, validator(0))
    chain.block()
    chain.free_unbonded()
    assert chunk_of(chain, validator(0))["heldBy"] is None


@pytest.mark.parametrize("failures", [1, 3, 5])
def test_after_failed_elections_the_era_that_is_told_is_the_one_that_frees_it(
    failures: int,
) -> None:
    chain, who = start(), named("voter", 1)
    runtime = chain.open()
    add_voter(runtime, who, 50_000, (person("Alice"),))
    chain.close()
    run_to(chain, 2 * ERA_BLOCKS + 2)
    elections = chain.executive.runtime.elections
    runtime = chain.open()
    runtime.staking.chill(Signed(who))
    runtime.staking.unbond(Signed(who), runtime.staking.active_stake(who))
    chain.close()
    assert chunk_of(chain, who)["heldBy"] == "era"
    elections.on_finalize = lambda: None  # type: ignore[method-assign]  # it fails
    run_to(chain, (2 + failures) * ERA_BLOCKS + 2)
    del elections.on_finalize
    told = chunk_of(chain, who)
    assert told["height"] == height_with_success(chain, who)


def height_with_success(chain: Chain, who: AccountId) -> int:
    """The height at which it is free; until then each answer is true."""
    while error := refusal(chain, who):
        assert error == nouns.NothingUnlocked.encoded
        chunk = chunk_of(chain, who)
        assert (chunk["isDue"], chunk["free"]) == (False, "0")
        assert chunk["height"] > chain.height
        text = describe_chunk(chunk)
        is_late = chunk["freeEra"] > chunk["era"]
        assert chunk["heldBy"] == ("elections" if is_late else "era")
        assert ("elections failed" in text) == is_late
        assert f"free in era {chunk['freeEra']}" in text
        assert f"(block {chunk['height']}, about" in text
        run_to(chain, chain.height + 1)
    return chain.height + 1
