from dataclasses import dataclass, field, replace

import pytest

from consensus import evidence as ev
from consensus import leader
from consensus.errors import Malformed
from consensus.evidence import EvidencePool, EvidenceWindow, Offender, verify_evidence
from consensus.types import (
    NIL,
    PRECOMMIT,
    PREVOTE,
    Amnesia,
    ConflictingCommit,
    DuplicateProposal,
    DuplicateVote,
    LightBlock,
    LightClientAttack,
    decode_evidence,
    encode_evidence,
    evidence_hash,
)
from tests.support.consensus import GENESIS, h, make_chain, make_header, make_team, team_of

R = h("randomness")
WINDOW = EvidenceWindow(max_age_blocks=10, max_age_ms=10_000)
TEAM = make_team([1, 1, 1, 1])
CHAIN = make_chain([TEAM] * 22)


@dataclass
class View:
    genesis_hash: bytes = GENESIS
    sets: dict = field(default_factory=lambda: {b.height: b.validators for b in CHAIN})
    headers: dict = field(default_factory=lambda: {b.height: b.header for b in CHAIN})

    def validators_at(self, height):
        return self.sets.get(height)

    def randomness_at(self, height):
        return R if height in self.headers else None

    def header_at(self, height):
        return self.headers.get(height)


VIEW = View()
TIP = CHAIN[9].header


def judge(evidence, *, view=VIEW, window=WINDOW, tip=TIP):
    return verify_evidence(evidence, view, window, tip=tip)


def guilty(evidence, **changes):
    accounts = [offender.account for offender in judge(evidence, **changes)]
    return tuple(TEAM.validators.index_of(account) for account in accounts)


def assert_refused(evidence, match, **changes):
    with pytest.raises(Malformed, match=match):
        judge(evidence, **changes)


def duplicate_vote(**changes):
    fields = {"height": 5, "round_": 2} | changes
    one = TEAM.vote(1, block_id=h("a"), **fields)
    other = TEAM.vote(1, block_id=h("b"), **fields)
    return ev.build_duplicate_vote(0, one, other)


def duplicate_proposal(height=5, round_=2, index=None):
    turn = leader.proposer(TEAM.validators, R, height, round_) if index is None else index
    one, other = (
        TEAM.proposal(turn, height=height, round_=round_, block_id=h(name)) for name in "ab"
    )
    return ev.build_duplicate_proposal(0, one, other)


def conflicting_commit(kind=PRECOMMIT):
    one = TEAM.certificate([0, 1, 2], kind=kind, height=5, block_id=h("a"))
    other = TEAM.certificate([1, 2, 3], kind=kind, height=5, block_id=h("b"))
    return ev.build_from_certificates(0, other, one)


def amnesia(*, commit_round=1, polka_round=2, valid_round=-1):
    commit = TEAM.certificate(
        [0, 1, 2], kind=PRECOMMIT, height=5, round_=commit_round, block_id=h("a")
    )
    polka = TEAM.certificate(
        [1, 2, 3], height=5, round_=polka_round, block_id=h("b"), valid_round=valid_round
    )
    return ev.build_from_certificates(0, polka, commit)


def attack(*, signers=(0, 1, 2), ours=(1, 2, 3), height=5, round_=0, common=4, **header):
    fields = {
        "parent": CHAIN[height - 2].header.block_id, "time_ms": 5_000_000, "mark": "attack",
        "validators": TEAM.validators, "next_validators": TEAM.validators,
    } | header  # fmt: skip
    theirs = make_header(height, **fields)
    block = LightBlock(
        theirs,
        TEAM.commit(height, theirs.block_id, signers=signers, round_=round_),
        fields["validators"],
        fields["next_validators"],
    )
    commit = TEAM.commit(height, CHAIN[height - 1].header.block_id, signers=ours)
    return LightClientAttack(0, common, block, commit)


ALL = [
    duplicate_vote(), duplicate_vote(kind=PRECOMMIT), duplicate_proposal(), conflicting_commit(),
    conflicting_commit(PREVOTE), amnesia(), attack(),
]  # fmt: skip


@pytest.mark.parametrize("evidence", ALL, ids=lambda e: type(e).__name__)
def test_evidence_round_trips_and_verifies(evidence):
    assert decode_evidence(encode_evidence(evidence)) == evidence
    offenders = judge(evidence)
    assert offenders
    assert {offender.evidence_hash for offender in offenders} == {evidence_hash(evidence)}
    assert {offender.kind for offender in offenders} == {evidence.kind}


def test_the_kinds_on_the_wire_are_fixed():
    kinds = {type(e).__name__: encode_evidence(e)[0] for e in ALL}
    assert kinds == {
        "DuplicateVote": 1, "LightClientAttack": 2, "DuplicateProposal": 3, "Amnesia": 4,
        "ConflictingCommit": 5,
    }  # fmt: skip


def test_an_offender_is_told_with_power_and_time_of_the_offence():
    evidence = duplicate_vote()
    assert judge(evidence) == (
        Offender(
            kind=1, account=TEAM.validators[1].account, height=5, time_ms=CHAIN[4].header.time_ms,
            power=1, total_power=4, evidence_hash=evidence_hash(evidence),
        ),
    )  # fmt: skip


def test_two_votes_in_either_order_make_the_same_evidence():
    one, other = TEAM.vote(1, block_id=h("a")), TEAM.vote(1, block_id=NIL)
    assert ev.build_duplicate_vote(0, one, other) == ev.build_duplicate_vote(0, other, one)
    swapped = duplicate_vote()
    swapped = DuplicateVote(0, swapped.second, swapped.first)
    assert_refused(swapped, "order")


def test_votes_for_one_block_with_two_valid_rounds_conflict_too():
    one, other = (TEAM.vote(1, height=5, round_=4, valid_round=vr) for vr in (1, 2))
    assert guilty(ev.build_duplicate_vote(0, one, other)) == (1,)


@pytest.mark.parametrize(
    "change", [{"kind": PRECOMMIT}, {"height": 6}, {"round_": 3}, {"index": 2}, {}], ids=str
)
def test_votes_that_do_not_conflict_are_no_evidence(change):
    fields = {"index": 1, "height": 5, "round_": 2, "block_id": h("a")}
    one = TEAM.vote(**fields)
    other = TEAM.vote(**fields | {"block_id": h("b")} | change) if change else one
    with pytest.raises(Malformed):
        ev.build_duplicate_vote(0, one, other)


@pytest.mark.parametrize("part", ["first", "second"])
def test_a_forged_signature_proves_nothing(part):
    for evidence in (duplicate_vote(), duplicate_proposal()):
        broken = replace(getattr(evidence, part), signature=bytes(64))
        forged = replace(evidence, **{part: broken})
        with pytest.raises(Malformed):
            judge(forged)


def test_a_proposal_out_of_turn_is_not_duplicate_proposal_evidence():
    turn = leader.proposer(TEAM.validators, R, 5, 2)
    assert guilty(duplicate_proposal()) == (turn,)
    assert_refused(duplicate_proposal(index=(turn + 1) % 4), "turn")


def test_conflicting_certificates_blame_who_signed_both():
    assert guilty(conflicting_commit()) == (1, 2)
    assert guilty(conflicting_commit(PREVOTE)) == (1, 2)
    swapped = conflicting_commit()
    assert_refused(ConflictingCommit(0, swapped.second, swapped.first), "order")


def test_a_certificate_below_the_quorum_proves_nothing():
    evidence = conflicting_commit()
    weak = replace(evidence, first=replace(evidence.first, votes=evidence.first.votes[:2]))
    assert_refused(weak, ".")
    polka = TEAM.certificate([1, 2], height=5, round_=2, block_id=h("b"))
    assert_refused(replace(amnesia(), polka=polka), "quorum")


def test_amnesia_blames_who_signed_the_commit_and_the_polka_that_forgets_it():
    assert guilty(amnesia()) == (1, 2)
    assert guilty(amnesia(commit_round=3, polka_round=4, valid_round=2)) == (1, 2)


def test_amnesia_across_a_round_does_not_convict_by_itself():
    assert_refused(amnesia(commit_round=3, polka_round=5, valid_round=2), "released the lock")


@pytest.mark.parametrize(
    ("commit_round", "polka_round", "valid_round"), [(2, 1, -1), (1, 3, 1), (1, 3, 2), (2, 2, -1)]
)
def test_a_polka_that_a_later_polka_justifies_or_that_came_before_is_no_amnesia(
    commit_round, polka_round, valid_round
):
    fields = {
        "commit_round": commit_round, "polka_round": polka_round, "valid_round": valid_round,
    }  # fmt: skip
    assert amnesia(**fields) is None
    commit = TEAM.certificate(
        [0, 1, 2], kind=PRECOMMIT, height=5, round_=commit_round, block_id=h("a")
    )
    polka = TEAM.certificate(
        [1, 2, 3], height=5, round_=polka_round, block_id=h("b"), valid_round=valid_round
    )
    assert_refused(Amnesia(0, commit, polka), "forget")


def test_amnesia_between_votes_for_one_block_or_for_nil_is_none():
    commit = TEAM.certificate([0, 1, 2], kind=PRECOMMIT, height=5, round_=1, block_id=h("a"))
    same = TEAM.certificate([1, 2, 3], height=5, round_=2, block_id=h("a"))
    nil = TEAM.certificate([1, 2, 3], height=5, round_=2, block_id=NIL)
    for polka in (same, nil):
        assert ev.build_from_certificates(0, commit, polka) is None
        assert_refused(Amnesia(0, commit, polka), "forget")


def test_single_votes_of_a_lock_that_was_released_are_never_evidence():
    precommit = TEAM.vote(1, kind=PRECOMMIT, height=5, round_=1, block_id=h("a"))
    prevote = TEAM.vote(1, kind=PREVOTE, height=5, round_=3, block_id=h("b"), valid_round=2)
    with pytest.raises(Malformed):
        ev.build_duplicate_vote(0, precommit, prevote)


def test_evidence_of_the_wrong_set_chain_or_height_is_refused():
    assert_refused(replace(duplicate_vote(), set_id=1), "set 0")
    assert_refused(duplicate_vote(), "verify", view=View(genesis_hash=h("another chain")))
    assert_refused(duplicate_vote(height=11), "does not fit")
    assert_refused(duplicate_vote(height=0), "kept|fit")
    pruned = View()
    del pruned.sets[5]
    assert_refused(duplicate_vote(), "kept", view=pruned)
    other = View(sets=dict.fromkeys(range(1, 30), make_team([1] * 4, first=10).validators))
    assert_refused(duplicate_vote(), "verify", view=other)


@pytest.mark.parametrize(
    ("height", "blocks", "age_ms", "expired"),
    [
        (11, 10, 10_000, False),
        (10, 11, 11_000, True),
        (10, 11, 10_000, False),
        (11, 10, 11_000, False),
    ],
)
def test_evidence_expires_only_when_both_ages_are_exceeded(height, blocks, age_ms, expired):
    tip = CHAIN[20].header
    shifted = replace(tip.pre_runtime, time_ms=CHAIN[height - 1].header.time_ms + age_ms)
    tip = replace(tip, pre_runtime=shifted)
    assert tip.number - height == blocks
    evidence = duplicate_vote(height=height)
    if expired:
        assert_refused(evidence, "too late", tip=tip)
    else:
        assert guilty(evidence, tip=tip) == (1,)


def test_an_attack_in_the_same_round_blames_who_signed_both_sides():
    assert guilty(attack()) == (1, 2)


def test_an_attack_in_another_round_proves_nobody_guilty_by_its_commits():
    assert_refused(attack(round_=1), "nobody")


def test_an_attack_on_another_parent_blames_who_signed_both_sides_whatever_the_round():
    assert guilty(attack(round_=1, parent=h("elsewhere"))) == (1, 2)


def test_victims_of_an_earlier_fork_who_signed_only_their_side_are_not_blamed():
    evidence = attack(signers=(0, 1, 2), ours=(0, 1, 3), parent=h("elsewhere"))
    assert 2 not in guilty(evidence)
    assert guilty(evidence) == (0, 1)


def test_a_lunatic_header_blames_every_signer_of_our_set():
    other = make_team([1, 1, 1, 1, 1]).validators
    assert guilty(attack(next_validators=other)) == (0, 1, 2)


def test_a_lunatic_header_signed_by_a_set_of_the_attackers_blames_those_we_know():
    mixed = team_of({0: 1, 1: 1, 90: 1}, set_id=0)
    header = make_header(
        5, parent=CHAIN[3].header.block_id, time_ms=5_000_000, mark="attack",
        validators=mixed.validators, next_validators=mixed.validators,
    )  # fmt: skip
    block = LightBlock(header, mixed.commit(5, header.block_id), mixed.validators, mixed.validators)
    evidence = LightClientAttack(0, 4, block, CHAIN[4].commit)
    names = [TEAM.numbers[index] for index in guilty(evidence)]
    assert sorted(names) == [0, 1]


def test_an_attack_that_is_not_signed_is_not_an_attack():
    evidence = attack()
    assert_refused(replace(evidence, common_height=5), "common height")
    ours = replace(evidence, conflicting=CHAIN[4])
    assert_refused(ours, "our own")
    few = replace(evidence.conflicting, commit=TEAM.commit(5, h("x")))
    assert_refused(replace(evidence, conflicting=few), "not for this header")
    assert_refused(replace(evidence, commit=CHAIN[5].commit), "not for our block")
    forged = replace(CHAIN[4].commit, signatures=(bytes(64),) * 4)
    assert_refused(replace(evidence, commit=forged), "does not verify")


def test_blame_finds_double_votes_and_amnesia_among_certificates():
    commit_a = TEAM.certificate([0, 1, 2], kind=PRECOMMIT, round_=1, block_id=h("a"))
    polka_a = TEAM.certificate([0, 1, 2], round_=1, block_id=h("a"))
    polka_b = TEAM.certificate([1, 2, 3], round_=3, block_id=h("b"), valid_round=0)
    commit_b = TEAM.certificate([1, 2, 3], kind=PRECOMMIT, round_=3, block_id=h("b"))
    assert ev.blame([commit_a, polka_a, polka_b, commit_b]) == (1, 2)
    assert ev.blame([commit_a, polka_a]) == ()
    assert ev.blame([]) == ()


def test_the_published_example_of_detectable_misbehaviour_is_detected():
    def polka(signers, value):
        return TEAM.certificate(signers, round_=10, block_id=h(value), valid_round=5)

    commit = TEAM.certificate([1, 2, 3], kind=PRECOMMIT, round_=6, block_id=h("blue"))
    assert ev.blame([polka([1, 2, 3], "blue"), polka([0, 1, 2], "red")]) == (1, 2)
    assert ev.blame([commit, polka([0, 1, 2], "red")]) == (1, 2)


def test_a_key_that_was_relocked_by_an_earlier_polka_is_not_blamed_for_a_later_one():
    """Validator 0 is honest under the paper's lock rule; 2 and 3 are not.

    Round 0: 0, 2, 3 precommit a. Round 1: 1, 2, 3 prevote b, which relocks 0 on b. Round 2: b is
    proposed afresh, and 0, locked on b, prevotes it with valid round -1.
    """
    commit = TEAM.certificate([0, 2, 3], kind=PRECOMMIT, round_=0, block_id=h("a"))
    first = TEAM.certificate([1, 2, 3], round_=1, block_id=h("b"))
    second = TEAM.certificate([0, 1, 2, 3], round_=2, block_id=h("b"))
    assert ev.blame([commit, first, second]) == (2, 3)


def test_the_pool_takes_each_offence_once_and_drops_it_when_a_block_has_it():
    pool = EvidencePool()
    evidence, twin = duplicate_vote(), duplicate_vote(round_=3)
    offenders = judge(evidence)
    assert pool.add(evidence, offenders)
    assert not pool.add(evidence, offenders)
    assert not pool.add(twin, judge(twin)), "one offence of this kind, account and height"
    assert pool.select(count_max=32, size_bytes_max=65_536) == (evidence,)
    pool.on_recorded(offenders)
    assert (len(pool), pool.is_recorded(offenders[0])) == (0, True)
    assert not pool.add(evidence, offenders)


def test_the_pool_keeps_an_item_that_proves_one_more_offence():
    pool = EvidencePool()
    both = conflicting_commit()
    offenders = judge(both)
    pool.on_recorded(offenders[:1])
    assert pool.add(both, offenders)
    pool.on_recorded(offenders[1:])
    assert len(pool) == 0


def test_the_pool_gives_the_oldest_first_within_its_bounds():
    pool = EvidencePool()
    items = [duplicate_vote(height=height) for height in (7, 5, 6)]
    for item in items:
        assert pool.add(item, judge(item))
    assert [ev.height_of(e) for e in pool.select(count_max=2, size_bytes_max=65_536)] == [5, 6]
    size = len(encode_evidence(items[0]))
    assert len(pool.select(count_max=9, size_bytes_max=2 * size)) == 2
    assert pool.select(count_max=9, size_bytes_max=size - 1) == ()


def test_the_pool_is_bounded_and_forgets_what_expired(monkeypatch):
    monkeypatch.setattr(ev, "POOL_ITEMS_MAX", 2)
    pool = EvidencePool()
    for height in (5, 6, 7):
        item = duplicate_vote(height=height)
        assert pool.add(item, judge(item)) is (height < 7)
    late = CHAIN[20].header
    pool.forget(WINDOW, tip=late, floor_height=0)
    assert len(pool) == 0
    old = judge(duplicate_vote())
    pool.on_recorded(old)
    pool.forget(WINDOW, tip=late, floor_height=6)
    assert not pool.is_recorded(old[0])


def test_duplicate_proposals_of_one_round_with_two_valid_rounds_conflict():
    turn = leader.proposer(TEAM.validators, R, 5, 3)
    one, other = (TEAM.proposal(turn, height=5, round_=3, valid_round=vr) for vr in (0, 1))
    evidence = ev.build_duplicate_proposal(0, one, other)
    assert isinstance(evidence, DuplicateProposal)
    assert guilty(evidence) == (turn,)


def test_a_fork_accuses_with_what_convicts_by_itself():
    commit = TEAM.certificate([0, 1, 2], kind=PRECOMMIT, height=5, round_=1, block_id=h("a"))
    other = TEAM.certificate([1, 2, 3], kind=PRECOMMIT, height=5, round_=1, block_id=h("b"))
    near = TEAM.certificate([1, 2, 3], height=5, round_=2, block_id=h("b"))
    far = TEAM.certificate([1, 2, 3], height=5, round_=3, block_id=h("b"))
    assert [type(e) for e in ev.accuse_fork(0, [commit, other])] == [ConflictingCommit]
    assert [type(e) for e in ev.accuse_fork(0, [commit, near])] == [Amnesia]
    assert ev.accuse_fork(0, [commit, far]) == ()
    assert ev.accuse_fork(0, [commit, commit]) == ()
    for evidence in ev.accuse_fork(0, [commit, other, near, far]):
        assert guilty(evidence) == (1, 2)
