"""The importer refuses every block that differs anywhere from the one that was made."""

from dataclasses import fields, replace

import pytest

from chain.errors import InvalidBlock
from chain.importer import CANDIDATES_MAX, ReceivedBlock
from consensus.evidence import build_duplicate_vote
from consensus.header import NextEpoch
from consensus.types import (
    PREVOTE,
    Block,
    Commit,
    Vote,
    evidence_root,
    extrinsics_root,
    last_commit_hash,
)
from ext import hashing, signing
from tests.support.solo import Solo

HEIGHT = 4
"""Block 5 is made: the first of an epoch, so that its header has every item."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A chain of four blocks, and the fifth with two transfers, not decided."""
    solo = Solo(tmp_path_factory.mktemp("importer"))
    solo.steps(HEIGHT)
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    solo.submit(solo.transfer("Bob", "Charlie", 6_000_000_000))
    block = solo.build().block
    yield solo, block
    solo.close()


@pytest.fixture
def fresh(made):
    """The same chain with an importer that knows no candidate."""
    solo, block = made
    solo.importer._candidates.clear()
    solo.importer._refused.clear()
    solo.verified._known.clear()
    return solo, block


def refused(solo, block, field=None):
    root, tip = solo.chain.state.root, solo.chain.tip
    with pytest.raises(InvalidBlock) as caught:
        solo.importer.prepare(ReceivedBlock(block))
    assert (solo.chain.state.root, solo.chain.tip) == (root, tip)
    if field is not None:
        assert caught.value.field == field
    return caught.value


def flipped(value):
    return bytes((value[0] ^ 1,)) + value[1:]


def test_the_unchanged_block_is_valid(fresh):
    solo, block = fresh
    assert block.header.next_epoch is not None
    executed = solo.importer.prepare(ReceivedBlock(block))
    assert executed.result.state_root == block.header.state_root


@pytest.mark.parametrize("name", ["parent_hash", "number", "state_root", "extrinsics_root"])
def test_a_changed_field_of_the_header_is_refused(fresh, name):
    solo, block = fresh
    old = getattr(block.header, name)
    new = old + 1 if name == "number" else flipped(old)
    refused(solo, replace(block, header=replace(block.header, **{name: new})))


CONSENSUS_FIELDS = [
    "evidence_root",
    "last_commit_hash",
    "validators_hash",
    "next_validators_hash",
    "params_hash",
    "receipts_root",
    "totals",
]


def test_every_commitment_has_its_test(fresh):
    _, block = fresh
    assert [field.name for field in fields(block.header.consensus)] == CONSENSUS_FIELDS


@pytest.mark.parametrize("name", CONSENSUS_FIELDS)
def test_a_changed_commitment_is_refused(fresh, name):
    solo, block = fresh
    changed = replace(
        block.header.consensus, **{name: flipped(getattr(block.header.consensus, name))}
    )
    error = refused(solo, replace(block, header=replace(block.header, consensus=changed)))
    assert error.field in (name, "body")


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("time_ms", lambda _v, tip: tip.time_ms, "time_ms"),
        ("time_ms", lambda v, _tip: v + 1, "extrinsics"),
        ("proposer_idx", lambda v, _tip: (v + 1) % 4, "proposer_idx"),
        ("proposer_idx", lambda _v, _tip: 4, "proposer_idx"),
        ("set_id", lambda v, _tip: v + 1, "set_id"),
        ("vrf_proof", lambda v, _tip: flipped(v), "vrf_proof"),
        ("vrf_proof", lambda _v, tip: tip.pre_runtime.vrf_proof, "vrf_proof"),
    ],
)
def test_a_changed_pre_runtime_item_is_refused(fresh, name, change, field):
    solo, block = fresh
    old = getattr(block.header.pre_runtime, name)
    changed = replace(block.header.pre_runtime, **{name: change(old, solo.chain.tip)})
    refused(solo, replace(block, header=replace(block.header, pre_runtime=changed)), field)


@pytest.mark.parametrize("name", [field.name for field in fields(NextEpoch)])
def test_a_changed_next_epoch_is_refused(fresh, name):
    solo, block = fresh
    old = getattr(block.header.next_epoch, name)
    changed = replace(
        block.header.next_epoch, **{name: flipped(old) if isinstance(old, bytes) else old + 1}
    )
    refused(solo, replace(block, header=replace(block.header, next_epoch=changed)), "next_epoch")


def test_a_missing_or_added_next_epoch_is_refused(fresh):
    solo, block = fresh
    refused(solo, replace(block, header=replace(block.header, next_epoch=None)), "next_epoch")


def with_body(block, extrinsics):
    """The same block with another body that its header commits to."""
    extrinsics = tuple(extrinsics)
    header = replace(block.header, extrinsics_root=extrinsics_root(extrinsics))
    return replace(block, header=header, extrinsics=extrinsics)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-1],
        lambda body: body[1:],
        lambda body: body[:1] + body[2:],
        lambda body: (body[1], body[0], *body[2:]),
        lambda body: (*body, body[-1]),
        lambda body: (*body, b""),
        lambda body: (*body, body[0]),
        lambda body: (*body, b"\x04\x04"),
        lambda body: (*body[:2], body[3], body[2]),
        lambda _body: (),
    ],
)
def test_another_body_is_refused(fresh, change):
    solo, block = fresh
    refused(solo, with_body(block, change(block.extrinsics)))


def test_a_body_that_the_header_does_not_commit_to_is_not_held_against_the_header(fresh):
    solo, block = fresh
    refused(solo, replace(block, extrinsics=block.extrinsics[:-1]), "body")
    assert solo.importer.find_refusal(block.block_id) is None
    assert solo.importer.prepare(ReceivedBlock(block)).block_id == block.block_id


@pytest.mark.parametrize("place", [35, 60, 98])
def test_a_forged_signature_is_refused(fresh, place):
    solo, block = fresh
    forged = bytearray(block.extrinsics[2])
    forged[4 + place] ^= 1
    refused(solo, with_body(block, (*block.extrinsics[:2], bytes(forged), block.extrinsics[3])))


def with_last_commit(block, commit):
    digest = last_commit_hash(commit)
    changed = replace(block.header.consensus, last_commit_hash=digest)
    return replace(block, header=replace(block.header, consensus=changed), last_commit=commit)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, height=c.height - 1),
        lambda c: replace(c, round=c.round + 1),
        lambda c: replace(c, block_id=flipped(c.block_id)),
        lambda c: replace(c, set_id=c.set_id + 1),
        lambda c: replace(c, bitmap=b"\x07"),
        lambda c: replace(c, bitmap=b"\x03", signatures=c.signatures[:2]),
        lambda c: replace(c, bitmap=b"\x1f", signatures=(*c.signatures, bytes(64))),
        lambda c: replace(c, signatures=(*c.signatures[:3], flipped(c.signatures[3]))),
        lambda c: replace(c, signatures=(c.signatures[1], c.signatures[0], *c.signatures[2:])),
        lambda _c: None,
    ],
)
def test_another_last_commit_is_refused(fresh, change):
    solo, block = fresh
    refused(solo, with_last_commit(block, change(block.last_commit)))


def double_vote(solo, *, height, other=b"\x05" * 32):
    validators = solo.chain.blocks.validators_at(height)
    votes = []
    for block_id in (b"\x04" * 32, other):
        vote = Vote(PREVOTE, height, 0, block_id, -1, 1)
        seed = solo.seeds[validators[1].consensus_key]
        signature = signing.sign(seed, vote.sign_bytes(solo.start.hash, validators.set_id))
        votes.append(replace(vote, signature=signature))
    return build_duplicate_vote(validators.set_id, *votes)


def with_evidence(block, *evidence):
    changed = replace(block.header.consensus, evidence_root=evidence_root(evidence))
    return replace(block, header=replace(block.header, consensus=changed), evidence=evidence)


def test_false_or_repeated_or_unnoted_evidence_is_refused(fresh):
    solo, block = fresh
    evidence = double_vote(solo, height=3)
    forged = replace(evidence, first=replace(evidence.first, signature=bytes(64)))
    refused(solo, with_evidence(block, forged), "evidence")
    refused(solo, with_evidence(block, evidence, evidence), "evidence")
    refused(solo, with_evidence(block, double_vote(solo, height=9)), "evidence")
    refused(solo, with_evidence(block, evidence), "extrinsics")


def test_an_invalid_block_is_remembered_by_its_id(fresh, monkeypatch):
    solo, block = fresh
    bad = with_body(block, block.extrinsics[:-1])
    first = refused(solo, bad)
    monkeypatch.setattr(solo.execution, "execute_block", None)
    again = refused(solo, bad)
    assert (again.reason, again.block_id) == (first.reason, bad.block_id)


def test_candidates_are_bounded(fresh):
    solo, _ = fresh
    executed = solo.importer._candidates
    for number in range(CANDIDATES_MAX + 3):
        plan = solo.plan(time_ms=solo.chain.tip.time_ms + 100 + number)
        solo.proposer.build(plan, [])
    assert len(executed) == CANDIDATES_MAX


def test_garbage_is_refused_before_anything_is_decoded_further(fresh):
    solo, block = fresh
    data = block.encode()
    for bad in (b"", data[:-1], data + b"\0", bytes(100), b"\xff" * 5000):
        with pytest.raises(InvalidBlock):
            solo.importer.receive(bad)


def test_only_the_right_commit_decides_a_block(fresh):
    solo, block = fresh
    executed = solo.importer.prepare(ReceivedBlock(block))
    good = solo.commit_for(block.header)
    bad = [
        replace(good, block_id=flipped(good.block_id)),
        replace(good, height=good.height + 1),
        replace(good, signatures=(*good.signatures[:3], bytes(64))),
        Commit(good.height, 0, good.block_id, good.set_id, b"\x03", good.signatures[:2]),
    ]
    for commit in bad:
        with pytest.raises(InvalidBlock):
            solo.importer.decide(executed, commit, None)
    assert solo.chain.height == HEIGHT


def test_evidence_is_recorded_once_and_ends_up_in_the_state(tmp_path):
    solo = Solo(tmp_path)
    solo.steps(3)
    evidence = double_vote(solo, height=2)
    assert solo.offences.add(evidence, tip=solo.chain.tip)
    assert not solo.offences.add(evidence, tip=solo.chain.tip)
    imported = solo.step()
    assert imported.decided.block.evidence == (evidence,)
    assert imported.decided.offences
    assert not solo.offences.add(evidence, tip=solo.chain.tip)
    other = double_vote(solo, height=2, other=b"\x06" * 32)
    assert not solo.offences.add(other, tip=solo.chain.tip)
    assert solo.step().decided.block.evidence == ()
    solo.close()


def test_a_pool_verified_signature_is_not_verified_again(fresh, monkeypatch):
    solo, block = fresh
    checked = []
    real = signing.verify_many
    monkeypatch.setattr(
        "chain.importer.signing.verify_many",
        lambda items: checked.append(len(items)) or real(items),
    )
    solo.importer.prepare(ReceivedBlock(block))
    solo.importer._candidates.clear()
    items = solo.execution.signature_items(block.extrinsics, height=block.height)
    solo.verified.add(items)
    solo.importer.prepare(ReceivedBlock(block))
    commit = len(block.last_commit.signatures)
    assert checked == [commit + 2, commit]


def test_blocks_hash_their_whole_content(fresh):
    _, block = fresh
    again = Block.decode(block.encode())
    assert again == block
    assert hashing.blake2b_256(again.header.encoded) == block.block_id
