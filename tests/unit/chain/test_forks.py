"""A fork of final blocks is kept, blamed on who signed both sides, and never passed over."""

import json

import msgpack
import pytest
import trio

from chain.errors import ConfigError
from chain.forks import check_forks, find_fork, read_evidence, save_fork
from chain.log import Log, silent_log
from chain.network.interface import Verdict
from chain.seams import SystemClock
from consensus.types import Commit, Decision
from tests.support.lab import Lab
from tests.support.solo import Solo

QUIET = silent_log(SystemClock())


def decision_of(solo, height):
    blocks = solo.chain.blocks
    return Decision(blocks.block(height), blocks.commit(height), blocks.polka(height))


def make_rival(home, start, common, *, blocks, skip=()):
    """A chain of the same keys that parts from the common one after it."""
    rival = Solo(home, start=start)
    for height in range(1, common.chain.height + 1):
        decision = decision_of(common, height)
        executed = rival.importer.prepare(rival.importer.receive(decision.block.encode()))
        rival.importer.decide(executed, decision.commit, None)
    rival.submit(rival.transfer("Alice", "Bob", 7_000_000_000))
    for _ in range(blocks):
        rival.step(skip=skip)
    return rival


@pytest.fixture
def sides(tmp_path):
    lab = Lab(tmp_path, validators=4)
    ours = Solo(tmp_path / "alice", start=lab.start)
    ours.steps(3)
    rival = make_rival(tmp_path / "rival", lab.start, ours, blocks=2, skip=(1,))
    ours.step(skip=(0,))
    yield lab, ours, rival
    ours.close()
    rival.close()


@pytest.mark.parametrize("shown_at", [4, 5])
def test_a_fork_blames_exactly_those_who_signed_both_sides(sides, shown_at):
    lab, ours, rival = sides
    fork = find_fork(ours.chain.blocks, lab.start.hash, decision_of(rival, shown_at))
    validators = ours.importer.schedule.current
    assert fork.height == 4
    assert fork.ours.block_id == ours.chain.blocks.block_id(4)
    assert fork.theirs.block_id == rival.chain.blocks.block_id(4)
    assert fork.theirs.commit.signers() == (0, 2, 3)
    assert fork.blamed == tuple(validators[index].account for index in (2, 3))


def test_a_decision_that_fits_is_no_fork(sides):
    lab, ours, _ = sides
    for height in (1, 4):
        assert find_fork(ours.chain.blocks, lab.start.hash, decision_of(ours, height)) is None


def test_a_forged_commit_for_the_parent_blames_nobody(sides):
    lab, ours, rival = sides
    decision = decision_of(rival, 5)
    commit = decision.block.last_commit
    forged = Commit(
        commit.height, commit.round, commit.block_id, commit.set_id, commit.bitmap,
        tuple(bytes(64) for _ in commit.signatures),
    )  # fmt: skip
    block = type(decision.block)(
        decision.block.header, decision.block.extrinsics, decision.block.evidence, forged
    )
    fork = find_fork(
        ours.chain.blocks, lab.start.hash, Decision(block, decision.commit, decision.polka)
    )
    assert (fork.theirs.commit, fork.blamed) == (None, ())


@pytest.mark.parametrize("shown_at", [4, 5])
def test_a_forked_node_stops_keeps_the_proof_and_waits_for_its_operator(sides, tmp_path, shown_at):
    lab, ours, rival = sides
    shown, again = decision_of(rival, shown_at), decision_of(ours, 4)
    following = ours.step()
    ours.chain.close()
    if shown_at == 5:
        again = Decision(following.decided.block, following.decided.commit, None)

    async def live():
        async with lab.running("alice", validator=False) as [alice]:
            hear = alice.driver.hear_decision
            assert await hear("p", again) is Verdict.IGNORE
            assert not alice.driver.gate.has_forked
            height = alice.chain.height
            assert await hear("p", shown) is Verdict.IGNORE
            assert alice.driver.gate.has_forked
            assert await hear("p", again) is Verdict.IGNORE
            assert alice.chain.height == height

    trio.run(live)
    height = 4 if shown_at == 4 else 5
    kept = msgpack.unpackb((tmp_path / "alice" / f"fork-{height}.msgpack").read_bytes())
    assert (kept["format"], kept["height"]) == ("gristmill-fork/1", height)
    assert Decision.decode(kept["shown"]) == shown
    assert Commit.decode(kept["ours"]["commit"]).block_id == kept["ours"]["block_id"]
    assert Commit.decode(kept["theirs"]["commit"]).block_id == kept["theirs"]["block_id"]
    with pytest.raises(ConfigError, match=f"forked at height {height}"):
        lab.build("alice", validator=False)
    wrong = f"{height}:{kept['theirs']['block_id'].hex()}"
    with pytest.raises(ConfigError, match="the checkpoint says"):
        lab.build("alice", validator=False, checkpoint=wrong)
    right = f"{height}:{kept['ours']['block_id'].hex()}"
    lab.build("alice", validator=False, checkpoint=right).close()


def test_the_side_that_goes_on_punishes_who_signed_both(sides, tmp_path):
    lab, ours, rival = sides
    fork = find_fork(ours.chain.blocks, lab.start.hash, decision_of(rival, 4))
    home = tmp_path / "proof"
    home.mkdir()
    save_fork(home, lab.start.hash, fork)
    evidence = read_evidence(home, lab.start.hash, QUIET)
    assert [item.kind for item in evidence] == [5]
    ours.offences.remember(evidence, tip=ours.chain.tip)
    block = ours.step().decided.block
    assert block.evidence == evidence
    assert {offender[1] for offender in recorded(ours, 4)} == set(fork.blamed)


def recorded(solo, height):
    accounts = [member.account for member in solo.chain.blocks.validators_at(height).validators]
    keys = [(5, account, height) for account in accounts]
    return [key for key in keys if solo.chain.blocks.has_offence(key)]


def test_evidence_of_a_height_that_was_gone_back_over_waits_until_it_is_there_again(
    sides, tmp_path
):
    lab, ours, rival = sides
    fork = find_fork(ours.chain.blocks, lab.start.hash, decision_of(rival, 4))
    save_fork(tmp_path, lab.start.hash, fork)
    behind = Solo(tmp_path / "behind", start=lab.start)
    behind.offences.remember(read_evidence(tmp_path, lab.start.hash, QUIET), tip=behind.chain.tip)
    assert len(behind.offences) == 0
    for height in (1, 2, 3, 4):
        decision = decision_of(ours, height)
        executed = behind.importer.prepare(behind.importer.receive(decision.block.encode()))
        behind.importer.decide(executed, decision.commit, None)
    assert len(behind.offences) == 1
    behind.close()


def test_files_that_are_no_proof_accuse_nobody(sides, tmp_path):
    lab, ours, rival = sides
    fork = find_fork(ours.chain.blocks, lab.start.hash, decision_of(rival, 4))
    save_fork(tmp_path, lab.start.hash, fork)
    assert read_evidence(tmp_path, bytes(32), QUIET) == ()
    (tmp_path / "fork-4.msgpack").write_bytes(b"")
    (tmp_path / "fork-5.msgpack").write_bytes(msgpack.packb({"format": "gristmill-fork/1"}))
    lines = []
    log = Log(lines.append, SystemClock())
    assert read_evidence(tmp_path, lab.start.hash, log) == ()
    assert [json.loads(line)["path"] for line in lines] == [
        str(tmp_path / "fork-4.msgpack"), str(tmp_path / "fork-5.msgpack")
    ]  # fmt: skip
    assert {json.loads(line)["level"] for line in lines} == {"warning"}


def test_a_checkpoint_below_the_fork_chooses_no_side(tmp_path):
    (tmp_path / "fork-9.msgpack").write_bytes(b"")
    check_forks(tmp_path, (9, bytes(32)))
    with pytest.raises(ConfigError, match="height 9"):
        check_forks(tmp_path, (8, bytes(32)))
