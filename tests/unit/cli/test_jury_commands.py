"""A dispute about a program that the chain cannot run, by commands up to the appeal."""

import sys

import pytest

from chain.market import attempts, provider
from chain.market.attempts import begin_trace
from chain.market.provider import Cheat
from chain.wallet.accounts import dev_address
from ext import hashing
from runtime.market.disputes.nouns import JURY_COMMIT, JURY_REVEAL
from runtime.market.nouns import JobState, Verification
from tests.support.town import GRIST, Settings, Town
from tests.unit.cli.live_town import LiveTown
from tests.unit.cli.schema import check

PROGRAM = hashing.blake2b_256(b"another trainer")
"""It computes what the reference trainer does, but the chain does not know that."""

JURORS = ("Alice", "Bob", "Charlie")
RERUN = """
import json, sys
from pathlib import Path
from chain.market.training import Plan, train
from runtime.market.trainer import read_params
from runtime.market.trees import split_leaves
asked = json.loads(sys.stdin.readline())
plan = Plan(read_params(bytes.fromhex(asked["params"][2:])), asked["steps"], asked["checkpoints"])
step = asked["step"]
leaves = split_leaves(Path(asked["data"]).read_bytes())
trace = train(plan, leaves, until=plan.checkpoint_of(step) + 1)
states = [trace.state_before(step).hex(), trace.state_after(step).hex()]
print("right" if states == [asked["before"][2:], asked["after"][2:]] else "wrong")
"""


def by(name):
    return ("--from", f"//{name}", "--yes", "--json")


@pytest.fixture
def town(tmp_path, monkeypatch):
    """A town in which Ferdie posted a wrong result of a program that only he and Dave can run."""
    for module in (attempts, provider):
        monkeypatch.setattr(module, "PROGRAM", PROGRAM)
    town = Town(tmp_path / "town")
    town.add_dataset("Eve", 2 * GRIST)
    for name in JURORS:
        town.do(name, "Verification", "join", 5_000 * GRIST)
    town.add_provider("Ferdie", Settings(cheat=Cheat.WRONG_CHECKPOINT))
    runtime = town.chain.open()
    for number in (JURY_COMMIT, JURY_REVEAL):
        number.begin(runtime.ctx, 60)
    town.chain.close()
    return town


@pytest.fixture
def live(node, town):
    live = LiveTown(node.chain, town)
    yield live
    live.close()


def result_of(town):
    spec = town.spec(verification=Verification.ACCEPTANCE, program=PROGRAM)
    number = town.submit("Dave", spec)
    town.until(number, JobState.WINDOW)
    return number


def shown(gristmill, dispute):
    return check(gristmill("job", "jury", "show", dispute, "--json").out)


def until(gristmill, live, dispute, stage):
    for _ in range(300):
        found = shown(gristmill, dispute)
        if found["stage"] == stage:
            return found
        live.block()
    raise AssertionError(f"dispute {dispute} never comes to {stage}")


def bisect(gristmill, live, dispute, trace):
    """Reply to every state that Ferdie opens, until one step is left."""
    for _ in range(300):
        found = shown(gristmill, dispute)
        if found["stage"] == "Summons":
            return found
        if found["stage"] == "Reply":
            word = (
                "same" if trace.state_at(found["asked"]).hex() == found["opened"][2:] else "other"
            )
            assert gristmill("job", "reply", dispute, word, *by("Dave")).code == 0
        live.block()
    raise AssertionError("no step is found")


@pytest.fixture
def accused(gristmill, live, town):
    """A dispute that has come to its jury, found by replies made by hand."""
    number = result_of(town)
    job = town.market.jobs.find(number)
    trace = begin_trace(town.market, number, job, town.data, [])
    while not trace.is_whole:
        trace.advance()
    done = gristmill("job", "challenge", number, 31, *by("Dave"))
    (dispute,) = check(done.out)["disputes"]
    early = gristmill("job", "jury", "vote", dispute, "wrong", *by("Alice"))
    assert (early.code, "has no jury" in early.err) == (2, True)
    found = bisect(gristmill, live, dispute, trace)
    assert found["step"] == 4, "the one that the cheat spoils"
    assert found["jury"]["seats"] == []
    assert "waits for no reply" in gristmill("job", "reply", dispute, "same", *by("Dave")).err
    return dispute


def vote(gristmill, live, dispute, names):
    """Let jurors vote by hand that the step is wrong; nobody else can."""
    found = until(gristmill, live, dispute, "Vote")
    assert {seat["juror"] for seat in found["jury"]["seats"]} == {*map(dev_address, JURORS)}
    early = gristmill("job", "jury", "reveal", dispute, *by("Alice"))
    assert (early.code, "is in its vote until" in early.err) == (75, True)
    assert "no seat" in gristmill("job", "jury", "vote", dispute, "wrong", *by("Dave")).err
    for name in names:
        assert gristmill("job", "jury", "vote", dispute, "wrong", *by(name)).code == 0


def run_of(town, path):
    """The command that lets Charlie vote by running the step again."""
    script = path / "rerun.py"
    script.write_text(RERUN)
    return (
        "verifier", "run", "--data", town.data.path, "--from", "//Charlie", "--json",
        "--program", f"0x{PROGRAM.hex()}={sys.executable} {script}",
    )  # fmt: skip


@pytest.mark.slow
def test_a_jury_votes_by_hand_and_by_machine_and_is_appealed_against(
    gristmill, live, town, tmp_path, accused
):
    vote(gristmill, live, accused, ("Alice", "Bob"))
    live.is_restless = False
    assert gristmill(*run_of(town, tmp_path), "--blocks", 1).code == 0
    found = shown(gristmill, accused)
    assert [seat["has_cast"] for seat in found["jury"]["seats"]] == [True] * 3
    assert gristmill("job", "jury", "reveal", accused, *by("Alice")).code == 0
    other = ("--memory", tmp_path / "other.json")
    strange = gristmill("job", "jury", "reveal", accused, *other, *by("Bob"))
    assert (strange.code, "another memory" in strange.err) == (66, True)
    votes = {seat["juror"]: seat["vote"] for seat in shown(gristmill, accused)["jury"]["seats"]}
    assert votes[dev_address("Charlie")] == "wrong", "the machine ran it again, and opened it"
    assert gristmill("verifier", "run", "--from", "//Bob", "--blocks", 1).code == 0
    found = shown(gristmill, accused)
    assert (found["stage"], found["jury"]["is_guilty"]) == ("Appeal", True)
    assert "last verdict  wrong" in gristmill("job", "jury", "show", accused).out
    refused = gristmill("job", "appeal", accused, *by("Dave"))
    assert "Disputes.NotLoser" in refused.err
    assert gristmill("job", "appeal", accused, *by("Ferdie")).code == 0
    found = shown(gristmill, accused)
    assert (found["stage"], found["jury"]["level"]) == ("Summons", 1)
    assert "after 1 appeals" in gristmill("job", "jury", "show", accused).out
    for _ in range(400):
        if town.market.jobs.find(found["job"]).state is JobState.SETTLED:
            break
        live.block()
    assert town.market.jobs.find(found["job"]).attempt == 0
    assert town.market.jobs.find(found["job"]).state is JobState.SETTLED, "a silent jury acquits"


def test_a_challenge_is_given_up_and_a_missed_move_is_noted_by_hand(gristmill, live, town):
    number = result_of(town)
    done = gristmill("job", "challenge", number, 31, *by("Dave"))
    (dispute,) = check(done.out)["disputes"]
    early = gristmill("job", "time-out", dispute, *by("Eve"))
    assert "Disputes.NotOverdue" in early.err
    assert "Disputes.NotChallenger" in gristmill("job", "abandon", dispute, *by("Eve")).err
    assert gristmill("job", "abandon", dispute, *by("Dave")).code == 0
    assert town.market.disputes.disputes.find(dispute) is None
    gone = gristmill("job", "jury", "show", dispute)
    assert (gone.code, "there is no open dispute" in gone.err) == (66, True)


@pytest.mark.parametrize("text", ["0x12=run", f"0x{'1' * 64}", f"{'z' * 64}=run", f"{'1' * 64}='"])
def test_a_program_is_a_digest_and_a_command(gristmill, node, tmp_path, text):
    LiveTown(node.chain, Town(tmp_path / "town"))
    done = gristmill("verifier", "run", "--program", text, "--from", "//Alice", "--blocks", 1)
    assert (done.code, "names no program" in done.err) == (2, True)


def test_whether_somebody_may_be_drawn_is_said_with_the_reason(gristmill, live, town):
    number = result_of(town)
    found = check(gristmill("verifier", "show", "//Alice", "--job", number, "--json").out)
    assert (found["may_be_drawn"], found["others"]) == (False, 0)
    assert "its bond was last added to in epoch" in found["reasons"][0]
    town.blocks(40)
    found = check(gristmill("verifier", "show", "//Alice", "--job", number, "--json").out)
    assert (found["may_be_drawn"], found["others"], found["reasons"]) == (True, 2, [])
    found = check(gristmill("verifier", "show", "//Dave", "--json").out)
    assert (found["may_be_drawn"], found["others"]) == (False, 3)
    assert found["reasons"][0].startswith("it is no verifier")
    text = gristmill("verifier", "show", "//Dave").out
    assert "may be drawn  no" in text
    assert "because it is no verifier" in text
    assert gristmill("verifier", "show", "//Alice", "--job", 77).code == 66
