import tracemalloc
from dataclasses import replace

import pytest

from consensus.errors import Malformed
from consensus.types import (
    BLOCK_BYTES_MAX,
    NIL,
    PRECOMMIT,
    PREVOTE,
    VALIDATORS_MAX,
    ZERO_HASH,
    Block,
    Certificate,
    Commit,
    Decision,
    Validator,
    ValidatorSet,
    Vote,
    last_commit_hash,
)
from tests.support.consensus import GENESIS, h, make_header, make_team, make_validator


@pytest.fixture(scope="module")
def team():
    return make_team([1, 1, 1, 1])


def test_a_set_is_sorted_by_account_and_answers_by_account_and_by_key(team):
    members = team.validators.validators
    assert [m.account for m in members] == sorted(m.account for m in members)
    for place, member in enumerate(members):
        assert team.validators.index_of(member.account) == place
        assert team.validators.find_key(member.consensus_key) == place
    assert team.validators.index_of(h("nobody")) is None
    assert team.validators.find_key(h("nobody")) is None


@pytest.mark.parametrize("powers", [(0, 1), (1 << 60, 1)])
def test_a_set_refuses_powers_out_of_bounds(powers):
    with pytest.raises(Malformed, match="powers"):
        make_team(powers)


def test_a_set_of_the_greatest_power_is_accepted_and_one_more_is_not():
    half = 1 << 59
    assert make_team([half, half]).validators.total_power == 1 << 60
    with pytest.raises(Malformed):
        make_team([half, half, 1])


def test_a_set_is_never_empty_nor_larger_than_a_hundred():
    with pytest.raises(Malformed, match="1 to 100"):
        ValidatorSet(0, ())
    members = [Validator(bytes([i]) * 32, h("c", i), h("v", i), 1) for i in range(101)]
    assert len(ValidatorSet(0, tuple(members[:VALIDATORS_MAX]))) == VALIDATORS_MAX
    with pytest.raises(Malformed, match="1 to 100"):
        ValidatorSet(0, tuple(members))


@pytest.mark.parametrize("field", ["account", "consensus_key", "vrf_key"])
def test_a_set_refuses_two_members_that_share_an_identity(field):
    one, other = sorted((make_validator(1, 1), make_validator(2, 1)), key=lambda v: v.account)
    twin = replace(other, **{field: getattr(one, field)})
    with pytest.raises(Malformed):
        ValidatorSet(0, (one, twin))


def test_a_set_refuses_members_out_of_order(team):
    with pytest.raises(Malformed, match="ascending"):
        ValidatorSet(0, team.validators.validators[::-1])


def test_the_hash_of_a_set_binds_its_members_and_its_number(team):
    again = make_team([1, 1, 1, 1]).validators
    assert team.validators.hash() == again.hash()
    assert team.validators.hash() != make_team([1, 1, 1, 2]).validators.hash()
    assert team.validators.hash() != make_team([1, 1, 1, 1], set_id=1).validators.hash()


@pytest.mark.parametrize(
    ("powers", "power", "quorum", "third"),
    [
        ((1, 1, 1), 1, False, False), ((1, 1, 1), 2, False, True), ((1, 1, 1), 3, True, True),
        ((1, 1, 1, 1), 2, False, True), ((1, 1, 1, 1), 3, True, True),
        ((4, 7, 3), 9, False, True), ((4, 7, 3), 10, True, True),
        ((4, 7, 3), 4, False, False), ((4, 7, 3), 5, False, True),
        ((1 << 59, 1 << 58), 1 << 59, False, True), ((1 << 59, 1 << 58), (1 << 59) + 1, True, True),
        ((1 << 59, 1 << 58), 1 << 58, False, False),
    ],
)  # fmt: skip
def test_thresholds_are_strict_at_exactly_one_and_two_thirds(powers, power, quorum, third):
    validators = make_team(powers).validators
    assert validators.has_quorum(power) is quorum
    assert validators.has_third(power) is third


def test_a_vote_verifies_under_its_own_key_chain_and_set_only(team):
    vote = team.vote(2)
    assert vote.verify(team.validators, GENESIS)
    assert not vote.verify(team.validators, h("another chain"))
    assert not vote.verify(replace(team.validators, set_id=1), GENESIS)
    for change in ({"index": 1}, {"index": 4}, {"round": 1}, {"height": 2}, {"block_id": NIL},
                   {"kind": PRECOMMIT}, {"signature": bytes(64)}, {"signature": b""}):  # fmt: skip
        assert not replace(vote, **change).verify(team.validators, GENESIS), change


@pytest.mark.parametrize(
    "vote",
    [
        Vote(1, 1, 0, h("v"), -1, 0), Vote(4, 1, 0, h("v"), -1, 0),
        Vote(PRECOMMIT, 1, 3, h("v"), 1, 0),
        Vote(PREVOTE, 1, 3, NIL, 1, 0), Vote(PREVOTE, 1, 3, h("v"), 3, 0),
        Vote(PREVOTE, 1, 3, h("v"), -2, 0),
    ],
    ids=str,
)  # fmt: skip
def test_votes_that_no_correct_validator_makes_are_refused_even_when_signed(team, vote):
    with pytest.raises(Malformed):
        vote.check()
    signed = team.sign(vote)
    assert not signed.verify(team.validators, GENESIS)
    with pytest.raises(Malformed):
        Vote.decode(signed.encode())


def test_a_certificate_needs_more_than_two_thirds_of_distinct_valid_votes(team):
    assert team.certificate([0, 1, 3]).verify(team.validators, GENESIS)
    assert not team.certificate([0, 1]).verify(team.validators, GENESIS)
    twice = Certificate((team.vote(0), team.vote(0), team.vote(1)))
    assert not twice.verify(team.validators, GENESIS)
    forged = Certificate((team.vote(0), team.vote(1), replace(team.vote(2), signature=bytes(64))))
    assert forged.has_quorum(team.validators)
    assert not forged.verify(team.validators, GENESIS)


def test_a_certificate_of_another_set_does_not_verify(team):
    other = make_team([1, 1, 1, 1], first=10)
    assert not other.certificate([0, 1, 2]).verify(team.validators, GENESIS)
    larger = make_team([1] * 5)
    assert not larger.certificate([2, 3, 4]).verify(team.validators, GENESIS)


@pytest.mark.parametrize(
    "change", [{"round_": 1}, {"height": 2}, {"block_id": h("w")}, {"kind": PRECOMMIT}], ids=str
)
def test_a_certificate_whose_votes_disagree_is_malformed(team, change):
    votes = (team.vote(0), team.vote(1), team.vote(2, **change))
    with pytest.raises(Malformed, match="differ"):
        Certificate(votes).check()
    with pytest.raises(Malformed):
        Certificate.decode(Certificate(votes).encode())


def test_a_polka_mixes_no_valid_rounds(team):
    votes = [team.vote(index, round_=5, valid_round=vr) for index, vr in ((0, 2), (1, 2), (2, 3))]
    assert not Certificate(tuple(votes)).has_quorum(team.validators)


def test_an_empty_certificate_is_no_quorum(team):
    assert not Certificate(()).has_quorum(team.validators)
    with pytest.raises(Malformed):
        Certificate.decode(Certificate(()).encode())


def test_a_commit_round_trips_through_votes_and_bytes(team):
    commit = team.commit(3, h("b"), signers=[3, 0, 1], round_=2)
    assert commit.signers() == (0, 1, 3)
    assert commit.signed_flags(4) == (True, True, False, True)
    assert commit.bitmap == b"\x0b"
    assert Commit.from_votes(commit.votes(), team.validators) == commit
    assert Commit.decode(commit.encode()) == commit
    assert commit.to_certificate().verify(team.validators, GENESIS)
    assert commit.verify(team.validators, GENESIS)


def test_the_bitmap_of_nine_validators_takes_two_bytes():
    team = make_team([1] * 9)
    commit = team.commit(3, h("b"), signers=range(2, 9))
    assert commit.bitmap == bytes([0b11111100, 1])
    assert commit.verify(team.validators, GENESIS)


def test_a_commit_is_refused_when_any_part_of_it_does_not_fit(team):
    commit = team.commit(3, h("b"), signers=[0, 1, 2])
    four = team.commit(3, h("b"))
    wrong = [
        replace(commit, set_id=1), replace(commit, block_id=NIL), replace(commit, round=1),
        replace(commit, height=4), replace(commit, block_id=h("c")),
        replace(commit, bitmap=b"\x07\x00"), replace(commit, bitmap=b""),
        replace(commit, bitmap=b"\x17", signatures=(*commit.signatures, bytes(64))),
        replace(commit, bitmap=b"\x0b"), replace(commit, bitmap=b"\x03"),
        replace(commit, bitmap=b"\x03", signatures=commit.signatures[:2]),
        replace(commit, signatures=commit.signatures[::-1]),
        replace(four, signatures=(*four.signatures[:3], bytes(64))),
    ]  # fmt: skip
    for number, bad in enumerate(wrong):
        assert not bad.verify(team.validators, GENESIS), number
    assert not commit.verify(team.validators, h("another chain"))


def test_a_commit_under_another_set_id_does_not_verify_even_for_the_same_members(team):
    later = make_team([1, 1, 1, 1], set_id=1)
    commit = later.commit(3, h("b"))
    assert commit.verify(later.validators, GENESIS)
    assert not commit.verify(team.validators, GENESIS)


def test_a_commit_with_exactly_two_thirds_decides_nothing():
    team = make_team([1, 1, 1])
    assert not team.commit(3, h("b"), signers=[0, 1]).verify(team.validators, GENESIS)
    assert team.commit(3, h("b"), signers=[0, 1, 2]).verify(team.validators, GENESIS)


def test_a_commit_is_made_of_precommits_for_a_block_only(team):
    with pytest.raises(Malformed):
        Commit.from_votes([team.vote(0), team.vote(1)], team.validators)
    nil = [team.vote(i, kind=PRECOMMIT, block_id=NIL) for i in range(3)]
    with pytest.raises(Malformed):
        Commit.from_votes(nil, team.validators)


def make_block(team, *, number=2, extrinsics=(b"one", b"two"), with_commit=True):
    parent = h("parent")
    last = team.commit(number - 1, parent) if with_commit else None
    header = make_header(
        number, parent=parent, validators=team.validators, next_validators=team.validators
    )
    from consensus.types import evidence_root, extrinsics_root

    header = replace(
        header,
        extrinsics_root=extrinsics_root(extrinsics),
        consensus=replace(
            header.consensus,
            evidence_root=evidence_root(()),
            last_commit_hash=last_commit_hash(last),
        ),
    )
    return Block(header, extrinsics, (), last)


def test_a_block_round_trips_and_its_header_commits_to_its_body(team):
    block = make_block(team)
    assert Block.decode(block.encode()) == block
    block.check_body()
    assert block.block_id == block.header.block_id
    for changed in (
        replace(block, extrinsics=(b"two", b"one")),
        replace(block, extrinsics=(b"one",)),
        replace(block, last_commit=team.commit(1, h("parent"), signers=[0, 1, 2])),
        replace(block, last_commit=None),
    ):
        with pytest.raises(Malformed):
            changed.check_body()


def test_only_the_first_block_has_no_last_commit(team):
    make_block(team, number=1, with_commit=False).check_body()
    with pytest.raises(Malformed, match="last commit"):
        make_block(team, number=2, with_commit=False).check_body()
    with pytest.raises(Malformed, match="last commit"):
        make_block(team, number=1).check_body()
    assert last_commit_hash(None) == ZERO_HASH


def test_a_block_beyond_its_bound_is_refused_before_it_is_read(team):
    with pytest.raises(Malformed, match="at most"):
        Block.decode(bytes(BLOCK_BYTES_MAX + 1))
    block = make_block(team, extrinsics=(bytes(1_000),) * 3)
    with pytest.raises(Malformed, match="at most 3000"):
        Block.decode(block.encode(), size_bytes_max=3_000)


def test_a_block_with_ten_thousand_extrinsics_is_within_the_budget(team):
    block = make_block(team, extrinsics=tuple(bytes(140) for _ in range(10_000)))
    assert Block.decode(block.encode()) == block


@pytest.mark.parametrize("read", [Block.decode, Decision.decode])
def test_more_extrinsics_than_there_are_bytes_for_are_refused_before_they_are_objects(team, read):
    header = make_block(team).header.encode()
    count = (60_000 << 2 | 2).to_bytes(4, "little")
    data = header + count + b"\x08ab" * 60_000 + b"\x00\x00"
    tracemalloc.start(1)
    with pytest.raises(Malformed, match="60000 extrinsics cannot be in"):
        read(data)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 100_000


def test_a_block_of_many_ordinary_extrinsics_is_read(team):
    block = make_block(team, extrinsics=(b"five5",) * 2_000)
    assert Block.decode(block.encode()) == block
