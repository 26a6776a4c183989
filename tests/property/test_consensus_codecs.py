"""Every noun of consensus has one encoding: decode(encode(x)) == x, and encode(decode(b)) == b."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.header import ConsensusFields, Header, NextEpoch, PreRuntime
from consensus.types import (
    NIL,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    Block,
    Certificate,
    Commit,
    Decision,
    DuplicateProposal,
    DuplicateVote,
    Proposal,
    Validator,
    ValidatorSet,
    Vote,
    decode_evidence,
    encode_evidence,
)

hashes = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
rounds = st.integers(0, 2**31 - 1)


@st.composite
def votes(draw, kind=None):
    kind = draw(st.sampled_from([PREVOTE, PRECOMMIT])) if kind is None else kind
    round_ = draw(rounds)
    block_id = draw(st.one_of(hashes, st.just(NIL)))
    is_free = kind == PREVOTE and block_id != NIL
    valid_round = draw(st.integers(-1, round_ - 1)) if is_free and round_ else NO_ROUND
    return Vote(kind, draw(u64), round_, block_id, valid_round, draw(u16), draw(signatures))


@st.composite
def certificates(draw):
    first = draw(votes())
    indices = sorted(draw(st.sets(u16, min_size=1, max_size=8)))
    return Certificate(
        tuple(
            Vote(first.kind, first.height, first.round, first.block_id, first.valid_round, index,
                 draw(signatures))
            for index in indices
        )
    )  # fmt: skip


@st.composite
def commits(draw):
    indices = sorted(draw(st.sets(st.integers(0, 99), max_size=20)))
    bitmap = bytearray(13)
    for index in indices:
        bitmap[index // 8] |= 1 << index % 8
    signed = tuple(draw(signatures) for _ in indices)
    return Commit(draw(u64), draw(u32), draw(hashes), draw(u64), bytes(bitmap), signed)


headers = st.builds(
    Header, hashes, u32, hashes, hashes,
    st.builds(PreRuntime, u64, u16, u64, st.binary(min_size=80, max_size=80)),
    st.builds(
        ConsensusFields, hashes, hashes, hashes, hashes, hashes, hashes, st.binary(max_size=200)
    ),
    st.none() | st.builds(NextEpoch, u64, u64, hashes, u64),
)  # fmt: skip
proposals = st.builds(Proposal, u64, u32, hashes, st.integers(-1, 2**31 - 1), u16, signatures)
evidences = st.one_of(
    st.builds(DuplicateVote, u64, votes(), votes()),
    st.builds(DuplicateProposal, u64, proposals, proposals),
)
blocks = st.builds(
    Block, headers, st.lists(st.binary(max_size=50), max_size=5).map(tuple),
    st.lists(evidences, max_size=3).map(tuple), st.none() | commits(),
)  # fmt: skip


@st.composite
def validator_sets(draw):
    accounts = sorted(draw(st.sets(hashes, min_size=1, max_size=6)))
    keys = draw(st.lists(hashes, min_size=len(accounts), max_size=len(accounts), unique=True))
    vrf_keys = draw(st.lists(hashes, min_size=len(accounts), max_size=len(accounts), unique=True))
    members = [
        Validator(account, key, vrf_key, draw(st.integers(1, 2**57)))
        for account, key, vrf_key in zip(accounts, keys, vrf_keys, strict=True)
    ]
    return ValidatorSet(draw(u64), tuple(members))


NOUNS = {
    "vote": (votes(), Vote), "proposal": (proposals, Proposal),
    "certificate": (certificates(), Certificate), "commit": (commits(), Commit),
    "header": (headers, Header), "set": (validator_sets(), ValidatorSet),
    "block": (blocks, Block),
    "decision": (st.builds(Decision, blocks, commits(), st.none() | certificates()), Decision),
}  # fmt: skip


@pytest.mark.parametrize("name", NOUNS)
def test_what_is_encoded_decodes_to_the_same(name):
    strategy, cls = NOUNS[name]

    @settings(max_examples=60, deadline=None)
    @given(strategy)
    def check(value):
        assert cls.decode(value.encode()) == value

    check()


@pytest.mark.parametrize("name", NOUNS)
def test_bytes_that_decode_are_the_only_encoding_of_their_value(name):
    strategy, cls = NOUNS[name]

    @settings(max_examples=150, deadline=None)
    @given(strategy, st.data())
    def check(value, data):
        encoded = bytearray(value.encode())
        place = data.draw(st.integers(0, len(encoded) - 1))
        action = data.draw(st.sampled_from(["change", "drop", "insert"]))
        if action == "change":
            encoded[place] ^= data.draw(st.integers(1, 255))
        elif action == "drop":
            del encoded[place]
        else:
            encoded.insert(place, data.draw(st.integers(0, 255)))
        try:
            decoded = cls.decode(bytes(encoded))
        except ValueError:
            return
        assert decoded.encode() == bytes(encoded)

    check()


@settings(max_examples=60, deadline=None)
@given(evidences)
def test_evidence_round_trips(evidence):
    assert decode_evidence(encode_evidence(evidence)) == evidence


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_raise_only_value_errors(data):
    for _, cls in NOUNS.values():
        try:
            cls.decode(data)
        except ValueError:
            continue


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 2**53), min_size=1, max_size=100), st.data())
def test_thresholds_are_exact_for_every_weight(powers, data):
    members = tuple(
        Validator(*(bytes([tag]) + index.to_bytes(31, "big") for tag in (1, 2, 3)), power)
        for index, power in enumerate(powers)
    )
    validators = ValidatorSet(0, members)
    total = sum(powers)
    chosen = data.draw(st.sets(st.integers(0, len(powers) - 1)))
    power = validators.power_of(sorted(chosen))
    assert validators.has_quorum(power) is (power * 3 > total * 2)
    assert validators.has_third(power) is (power * 3 > total)
    rest = total - power
    assert not (validators.has_quorum(power) and validators.has_third(rest))
    assert validators.has_quorum(total)
    assert not validators.has_third(0)
