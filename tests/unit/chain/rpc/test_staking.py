"""What the staking methods say is what the runtime then does, to the grain."""

import pytest

from chain.rpc.jsonrpc import RpcError
from chain.wallet.ss58 import decode_account, encode_address
from runtime.frame.origins import Signed
from runtime.primitives import GRAINS_PER_GRIST
from tests.support import electorate
from tests.support.runtime import Chain, offence, person
from tests.support.staking_rpc import advance, methods_at

ALICE, BOB = person("Alice"), person("Bob")
VOTER, LEAVER = electorate.named("voter", 1), electorate.named("voter", 2)
ERA_BLOCKS = 8


@pytest.fixture
def chain():
    """Four validators, a nominator of two of them, and one who is about to leave."""
    chain = electorate.start()
    runtime = chain.open()
    electorate.add_voter(runtime, VOTER, 50_000, (ALICE, BOB))
    electorate.add_voter(runtime, LEAVER, 20_000, (BOB,))
    chain.close()
    advance(chain, 2 * ERA_BLOCKS + 4)
    return chain


def amounts(rows):
    return {row["address"]: int(row["value"]) for row in rows}


def test_the_overview_says_where_the_era_and_the_election_stand(chain):
    said = methods_at(chain).overview(None)
    assert (said["era"], said["eraFirstHeight"], said["eraLastHeight"]) == (2, 17, 24)
    assert said["eraBlocks"] == ERA_BLOCKS
    assert (said["candidates"], said["nominators"], said["openReports"]) == (4, 2, 0)
    phase = said["election"]["phase"]
    assert said["election"] == {"phase": phase, "forEra": 3, "beginsAt": 21, "actsFrom": 26}
    advance(chain, 2 * ERA_BLOCKS + 6)
    assert methods_at(chain).overview(None)["election"]["phase"] not in ("idle", phase)


def test_every_grain_behind_a_validator_is_named(chain):
    methods = methods_at(chain)
    rows = {row["address"]: row for row in methods.validators(None)}
    assert len(rows) == 4
    for address, row in rows.items():
        exposure = methods.exposure(decode_account(address), None, None)
        assert int(exposure["total"]) == int(exposure["own"]) + sum(
            amounts(exposure["nominators"]).values()
        )
        assert (exposure["total"], exposure["own"]) == (row["exposedTotal"], row["exposedOwn"])
        assert 0 < int(row["power"]) <= int(exposure["total"]) // GRAINS_PER_GRIST
        assert row["isActive"]
        assert row["isCandidate"]
    assert methods.exposure(VOTER, None, None) is None


def test_nominators_come_by_pages_in_the_order_of_their_stake(chain):
    methods = methods_at(chain)
    first = methods.nominators(1, None, None)
    assert [row["address"] for row in first] == [encode_address(LEAVER)]
    rest = methods.nominators(5, LEAVER, None)
    assert [row["address"] for row in rest] == [encode_address(VOTER)]
    assert rest[0]["targets"] == [encode_address(ALICE), encode_address(BOB)]
    assert methods.nominators(5, VOTER, None) == []


def test_rewards_to_come_are_what_is_paid(chain):
    advance(chain, 3 * ERA_BLOCKS)
    expected = int(methods_at(chain).account(VOTER, None)["rewardsExpected"])
    assert expected > 0
    chain.block()
    said = methods_at(chain).account(VOTER, None)
    due, bonded = int(said["rewardsDue"]), int(said["bonded"])
    assert due >= expected
    advance(chain, 4 * ERA_BLOCKS)
    after = methods_at(chain).account(VOTER, None)
    assert after["rewardsDue"] == "0"
    assert int(after["bonded"]) == bonded + due


def test_an_era_says_who_worked_and_what_was_paid(chain):
    methods = methods_at(chain)
    over, running = methods.rewards(1, None), methods.rewards(None, None)
    assert (over["isOver"], running["isOver"], running["paid"]) == (True, False, None)
    assert sum(row["points"] for row in over["validators"]) == over["points"]
    assert sum(int(row["share"]) for row in over["validators"]) == int(over["reward"])
    with pytest.raises(RpcError, match="Invalid params"):
        methods.rewards(99, None)


def test_what_unbonds_is_shown_with_its_era_height_and_time(chain):
    runtime = chain.open()
    runtime.staking.chill(Signed(LEAVER))
    active = runtime.staking.active_stake(LEAVER)
    runtime.staking.unbond(Signed(LEAVER), active)
    chain.close()
    methods = methods_at(chain)
    said = methods.account(LEAVER, None)
    era = 2 + methods.overview(None)["unbondingEras"]
    height = 1 + era * ERA_BLOCKS
    [chunk] = said["unlocking"]
    head = methods._node.head()
    interval = methods.overview(None)["blockIntervalMs"]
    assert (chunk["era"], chunk["height"], chunk["isDue"]) == (era, height, False)
    assert chunk["timeMs"] == head.time_ms + (height - chain.height) * interval
    assert (said["role"], said["active"], said["withdrawable"]) == ("idle", "0", "0")
    advance(chain, height)
    said = methods_at(chain).account(LEAVER, None)
    assert said["unlocking"][0]["isDue"]
    assert said["withdrawable"] == chunk["value"] == str(active)
    assert int(said["bonded"]) > active, "the last era's reward came behind"


def test_what_is_at_risk_is_what_the_slash_then_takes(chain):
    power = next(m.power for m in chain.look().session.current_set if m.account == BOB)
    total = sum(m.power for m in chain.look().session.current_set)
    proof = offence(
        account=BOB, height=chain.height, power=power, total_power=total,
        time_ms=chain.context().time_ms - 1000,
    )  # fmt: skip
    chain.block(misbehaviour=(proof,))
    methods = methods_at(chain)
    [report] = methods.reports(None, None, None)
    assert (report["kind"], report["offender"]) == ("duplicate_vote", encode_address(BOB))
    assert (report["state"], report["own"]) == ("deferred", "0")
    chain.block()
    said = {who: methods_at(chain).account(who, None) for who in (BOB, VOTER, LEAVER)}
    risks = {who: int(one["atRisk"]) for who, one in said.items()}
    exposure = methods_at(chain).exposure(BOB, None, None)
    assert int(said[BOB]["liable"]) == int(exposure["own"])
    assert said[BOB]["isTombstoned"]
    numerator, denominator = (int(term) for term in report["fraction"])
    assert sum(risks.values()) == int(exposure["total"]) * numerator // denominator
    advance(chain, report["applyAt"] + 2)
    [report] = methods_at(chain).reports(None, None, None)
    assert report["state"] == "applied"
    assert (int(report["own"]), int(report["nominators"])) == (
        risks[BOB],
        risks[VOTER] + risks[LEAVER],
    )
    assert int(report["burned"]) + int(report["treasury"]) == sum(risks.values())
    assert methods_at(chain).account(BOB, None)["atRisk"] == "0"
    assert methods_at(chain).reports(5, 0, None) == []


def test_a_chain_with_a_fixed_set_says_so():
    with pytest.raises(RpcError, match="No staking"):
        methods_at(Chain.start("plain")).overview(None)
