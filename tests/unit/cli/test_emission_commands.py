"""`gristmill emission show` against the answers of a real runtime."""

from dataclasses import replace

import pytest

from chain.rpc.economy import EconomyMethods
from runtime.emission.schedule import Pool
from tests.support.emission import GRIST
from tests.support.runtime import Chain, person
from tests.support.staking_rpc import node_at
from tests.unit.cli.schema import check
from tests.unit.runtime.emission.test_module import ERA_BLOCKS, GATED, RULES, emitting, run_to


@pytest.fixture(scope="module")
def working() -> Chain:
    """In its second era, with work paid for both eras at once: some of it waits."""
    chain = emitting(GATED)
    chain.open()
    chain.runtime.emission.note_job_fee(10**7 * GRIST)
    chain.close()
    run_to(chain, ERA_BLOCKS)
    chain.open()
    emission = chain.runtime.emission
    for era in (0, 1):
        room = emission.work_room(Pool.COMPUTE, era=era)
        emission.mint_work(Pool.COMPUTE, person("Bob"), room, era=era)
    chain.close()
    return chain


@pytest.fixture
def ask(node):
    """Let the node answer about a chain."""

    def about(chain: Chain):
        methods = EconomyMethods(node_at(chain))
        node.chain.gristmill_v1_emission = lambda _at=None: {"result": methods.emission(None)}
        return methods.emission(None)

    return about


def test_phase_gate_pools_and_what_waits_are_told(gristmill, ask, working):
    told = ask(working)
    lines = gristmill("emission", "show").out.splitlines()
    assert lines[:2] == ["era     1", "phase   bootstrap, since era 0"]
    assert lines[2] == (
        "gate    growth after 1 of 80 eras at the latest, from the age of 30 on sooner: "
        "357142.857142857 GRIST of 100 GRIST job fees burned an era, for 1 of 28 eras"
    )
    waits = int(told["waiting"])
    assert waits == working.look().emission.waiting_total > 0
    assert any(line.startswith("waits") and "for breakers" in line for line in lines)
    assert sum(line.startswith(("0 ", "1 ")) for line in lines) == 2
    assert lines[-1] == "pools: minted / allowed"
    assert len(gristmill("emission", "show", "--eras", "1").out.splitlines()) == len(lines) - 1


def test_json_gives_every_grain(gristmill, ask, working):
    ask(working)
    found = check(gristmill("emission", "show", "--json").out)["emission"]
    emission = working.look().emission
    assert found["minted"] == str(emission.minted_total)
    breaker = found["breakers"]["compute"]
    assert (breaker["limit"], breaker["waiting"]) == (str(emission.limits[Pool.COMPUTE]), 1)
    assert int(breaker["room"]) == emission.mint_room(Pool.COMPUTE)
    assert [row["era"] for row in found["eras"]] == [0, 1]
    for row in found["eras"]:
        record = emission.records[row["era"]]
        assert row["budget"] == str(record.budget)
        assert row["minted"]["compute"] == str(record.compute_minted) == row["allowed"]["compute"]


def test_the_last_phase_has_no_gate_and_one_without_fees_only_an_end(gristmill, ask):
    phases = (replace(RULES.plan.phases[0], gate=0, gate_age=0), *RULES.plan.phases[1:])
    ask(run_to(emitting(replace(RULES, plan=replace(RULES.plan, phases=phases))), 1))
    lines = gristmill("emission", "show").out.splitlines()
    assert lines[2] == "gate    growth after 0 of 730 eras at the latest"
    check(gristmill("emission", "show", "--json").out)
    last = replace(RULES.plan, phases=RULES.plan.phases[-1:])
    ask(run_to(emitting(replace(RULES, plan=last)), 1))
    assert (
        gristmill("emission", "show").out.splitlines()[2] == "gate    none: this phase is the last"
    )
    assert check(gristmill("emission", "show", "--json").out)["emission"]["gate"] is None


def test_a_chain_without_emission_says_so(gristmill, ask):
    assert ask(run_to(Chain.start("plain"), 1)) is None
    assert "no [emission]" in gristmill("emission", "show").out
    assert check(gristmill("emission", "show", "--json").out)["emission"] is None


def test_another_form_of_answer_is_refused(gristmill, node):
    node.chain.gristmill_v1_emission = lambda _at=None: {"result": [1]}
    assert gristmill("emission", "show").code
