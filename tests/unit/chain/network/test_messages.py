"""Every message survives the wire, and no other bytes make one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.network import messages as m
from chain.network import peer_messages as p
from chain.network.envelope import decode_envelope, encode_message
from chain.network.packing import MalformedMessage, encode_packed
from consensus.types import PRECOMMIT, PREVOTE
from tests.support.consensus import h, make_team

TEAM = make_team([1, 1, 1, 1])
COMMIT = TEAM.commit(9, h("block"))

EXAMPLES = (
    m.ProposalMessage(TEAM.proposal(1)),
    m.ProposalMessage(TEAM.proposal(1, valid_round=0, round_=2), b"block"),
    m.VotesMessage((TEAM.vote(0), TEAM.vote(1, kind=PRECOMMIT))),
    m.CertificateMessage(TEAM.certificate([0, 1, 3])),
    m.ConsensusStatus(7, 2, 1, -1, (0, 2), (m.VotesHeld(2, PREVOTE, b"\x0f"),)),
    m.GetBlock(h("block")),
    m.BlockMessage(h("block"), b"block"),
    m.DecisionMessage(b"decision"),
    m.EvidenceMessage(b"evidence"),
    m.TransactionBatch((b"one", b"two")),
    m.NodeStatus(h("genesis"), h("fork"), 9, h("block"), COMMIT),
    m.NodeStatus(h("genesis"), h("fork"), 0, h("genesis"), None),
    m.GetHeaders(5, 256),
    m.HeadersPage((b"header",), (m.HeaderProof(5, b"commit", b"set"),)),
    m.GetBlocks(5, 1),
    m.BlocksPage((b"one", b"two")),
    m.Claim(3, "a peer", 9, 1_000, bytes(64)),
    m.Accepted(),
    p.GetPeers(("/ip4/1.2.3.4/tcp/5/p2p/x",)),
    p.PeersPage(()),
)
KINDS = tuple({type(example): None for example in EXAMPLES})


def kind_id(example: object) -> str:
    return type(example).__name__


def refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_envelope(payload, bytes_max=1_000_000, kinds=KINDS)


def test_every_message_has_its_own_number():
    assert len({cls.KIND for cls in KINDS}) == len(KINDS) == 18


@pytest.mark.parametrize("example", EXAMPLES, ids=kind_id)
def test_a_message_comes_back_as_it_was(example):
    payload = encode_message(example, request_id=3)
    envelope = decode_envelope(payload, bytes_max=len(payload), kinds=KINDS, request_id=3)
    assert envelope.message == example
    assert envelope.request_id == 3


@pytest.mark.parametrize("example", EXAMPLES, ids=kind_id)
def test_a_message_is_refused_where_it_is_not_expected(example):
    others = tuple(cls for cls in KINDS if cls is not type(example))
    with pytest.raises(MalformedMessage, match="does not belong"):
        decode_envelope(encode_message(example), bytes_max=1_000_000, kinds=others)


@pytest.mark.parametrize("example", EXAMPLES, ids=kind_id)
def test_a_message_with_a_field_more_or_less_is_refused(example):
    fields = example.to_fields()
    refused(encode_packed([1, 0, example.KIND, [*fields, 0]]))
    if fields:
        refused(encode_packed([1, 0, example.KIND, fields[:-1]]))


@pytest.mark.parametrize("example", EXAMPLES, ids=kind_id)
@given(data=st.data())
def test_a_damaged_message_never_raises_anything_else(example, data):
    payload = bytearray(encode_message(example))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedMessage):
        decode_envelope(bytes(payload), bytes_max=1_000_000, kinds=KINDS)


def test_another_version_is_refused():
    refused(encode_packed([2, 0, 17, []]))


def test_an_answer_to_another_question_is_refused():
    with pytest.raises(MalformedMessage, match="question 5"):
        decode_envelope(
            encode_message(m.Accepted(), request_id=5), bytes_max=99, kinds=KINDS, request_id=6
        )


@pytest.mark.parametrize(
    "fields",
    [
        [h("genesis"), h("fork"), 9, h("block"), b""],
        [h("genesis"), h("fork"), 0, h("block"), COMMIT.encode()],
        [h("genesis"), h("fork"), 8, h("block"), COMMIT.encode()],
        [h("genesis"), h("fork"), 9, h("other"), COMMIT.encode()],
        [b"short", h("fork"), 0, h("block"), b""],
    ],
)
def test_a_status_whose_height_is_not_proved_is_refused(fields):
    refused(encode_packed([1, 0, m.NodeStatus.KIND, fields]))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (m.VotesMessage, [[]]),
        (m.TransactionBatch, [[b""]]),
        (m.TransactionBatch, [[b"x"] * 1025]),
        (m.GetHeaders, [1, 0]),
        (m.GetHeaders, [1, 257]),
        (m.GetBlocks, [2**32, 1]),
        (m.ConsensusStatus, [1, 0, 3, 0, [], []]),
        (m.ConsensusStatus, [1, 0, 0, 0, [], [[0, 1, b""]]]),
        (m.ConsensusStatus, [1, 0, 0, 0, [0] * 9, []]),
        (m.HeadersPage, [[b"h"], [[2, b"c", b""], [2, b"c", b""]]]),
        (p.PeersPage, [["a\nb"]]),
        (p.GetPeers, [["x"] * 5]),
    ],
)
def test_fields_outside_their_bounds_are_refused(kind, fields):
    refused(encode_packed([1, 0, kind.KIND, fields]))
