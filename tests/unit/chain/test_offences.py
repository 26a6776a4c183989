"""Every kind of evidence on its way: kept, carried in a block, verified by others, punished."""

import pytest
import trio

from chain.importer import ReceivedBlock
from chain.rpc.view import Refused
from chain.wallet.derivation import derive
from consensus.errors import Malformed
from consensus.evidence import height_of
from consensus.types import encode_evidence, evidence_hash
from ext import signing
from runtime.possession import prove_possession
from runtime.runtime import Runtime
from runtime.session_keys import SessionKeys
from runtime.staking.reports import OffenceKind, SlashReport
from tests.support.culprits import KINDS, Culprits
from tests.support.lab import Lab
from tests.support.solo import Solo, consensus_seed, vrf_seed


@pytest.fixture
def solo(tmp_path):
    found = Solo(tmp_path / "one")
    found.steps(3)
    yield found
    found.close()


def runtime_of(solo: Solo) -> Runtime:
    runtime = Runtime()
    runtime.ctx.enter(solo.chain.state.overlay(), runtime.ctx.block)
    return runtime


def reports_of(solo: Solo) -> list[SlashReport]:
    return [report for _, report in sorted(runtime_of(solo).slashing.reports.items())]


def accuse(solo: Solo, evidence: object) -> bool:
    return solo.offences.add(evidence, tip=solo.chain.tip)


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_of_every_kind_is_carried_verified_and_punished(solo, tmp_path, kind):
    evidence = Culprits(solo).make(kind, 2)
    other = Solo(tmp_path / "two")
    for height in (1, 2, 3):
        executed = other.importer.prepare(ReceivedBlock(solo.chain.blocks.block(height)))
        other.importer.decide(executed, solo.chain.blocks.commit(height), None)
    assert accuse(solo, evidence)
    assert not accuse(solo, evidence)
    block = solo.step().decided.block
    assert block.evidence == (evidence,)
    executed = other.importer.prepare(ReceivedBlock(block))
    assert executed.result.state_root == solo.chain.state.root
    other.close()
    reports = reports_of(solo)
    assert reports
    for report in reports:
        assert report.kind is OffenceKind[kind.upper()]
        assert report.evidence_hash == evidence_hash(evidence)
        assert (report.height, report.reported_at) == (height_of(evidence), 4)
        assert runtime_of(solo).staking.is_tombstoned(report.offender)
    assert len(solo.offences) == 0
    with pytest.raises(Malformed, match="nothing"):
        solo.offences.collect((evidence,), tip=solo.chain.tip)


@pytest.mark.parametrize("kind", ["amnesia", "conflicting_commit"])
def test_all_who_are_guilty_of_a_fork_are_named(solo, kind):
    accuse(solo, Culprits(solo).make(kind, 2))
    solo.step()
    members = solo.chain.blocks.validators_at(2).validators
    assert [report.offender for report in reports_of(solo)] == [m.account for m in members[1:3]]


def test_who_left_the_set_is_punished_for_what_it_did_in_it(solo):
    """The schedule takes Bob out from block 10 on; he equivocated in block 8."""
    solo.steps(8)
    members = solo.chain.blocks.validators_at(8)
    bob = derive("//Bob").public
    assert solo.chain.blocks.validators_at(11).index_of(bob) is None
    accuse(solo, Culprits(solo).duplicate_vote(8, members.index_of(bob)))
    solo.step()
    (report,) = reports_of(solo)
    assert (report.offender, report.height, report.era) == (bob, 8, 0)
    assert report.total_power == members.total_power
    solo.steps(10)
    (report,) = reports_of(solo)
    assert report.own > 0


def test_a_vote_with_old_keys_is_an_offence_of_the_account_that_had_them(solo):
    """Alice changes her keys; they act from the epoch's end, and then her old vote comes out."""
    alice = derive("//Alice")
    seeds = (consensus_seed("AliceNew"), vrf_seed("AliceNew"))
    keys = SessionKeys(*(signing.public_key(seed) for seed in seeds))
    proof = prove_possession(
        genesis_hash=solo.start.hash,
        account=alice.public,
        consensus_seed=seeds[0],
        vrf_seed=seeds[1],
    )
    solo.seeds[keys.consensus], solo.vrf_seeds[keys.vrf] = seeds
    solo.submit(solo.sign("Alice", solo.calls.encode("Session", "set_keys", keys, proof)))
    solo.steps(4)
    old, new = (solo.chain.blocks.validators_at(height) for height in (5, 6))
    index = old.index_of(alice.public)
    assert old[index].consensus_key != new[index].consensus_key == keys.consensus
    accuse(solo, Culprits(solo).duplicate_vote(5, index))
    accuse(solo, Culprits(solo).duplicate_vote(6, index))
    solo.step()
    assert [(r.offender, r.height) for r in reports_of(solo)] == [
        (alice.public, 5),
        (alice.public, 6),
    ]


def test_stale_evidence_is_refused(solo):
    solo.steps(9)
    with pytest.raises(Malformed, match="too late"):
        accuse(solo, Culprits(solo).duplicate_vote(3))
    assert solo.step().decided.block.evidence == ()
    assert reports_of(solo) == []


def test_a_user_hands_evidence_to_a_node_which_says_what_is_wrong_with_it(tmp_path):
    lab = Lab(tmp_path)
    solo = Solo(tmp_path / "alice", start=lab.start)
    solo.steps(12)
    good = encode_evidence(Culprits(solo).light_client_attack(11))
    stale = encode_evidence(Culprits(solo).duplicate_vote(2))
    solo.close()

    async def live():
        async with lab.running("alice", validator=False) as [node]:
            assert await node.face.submit_evidence(good)
            assert not await node.face.submit_evidence(good)
            assert len(node.offences) == 1
            for bad, why in ((stale, "too late"), (good[:-1], ""), (b"", "")):
                with pytest.raises(Refused) as refusal:
                    await node.face.submit_evidence(bad)
                assert refusal.value.code == 1020
                assert why in refusal.value.reason

    trio.run(live)
