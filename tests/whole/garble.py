"""A short fuzz of what peers send, to see planted bugs of the codecs.

    good message ── a byte, a length, a piece changed ── a value written in another way ──> decoder
    what it accepts must be written exactly so, and be within the bounds that stand here again

The long fuzz of all doors is another harness; this one is small enough to run beside each bug.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import msgpack

from chain.network.envelope import decode_envelope, encode_message
from chain.network.gossip import BALLOTS, BODIES
from chain.network.messages import (
    BlockMessage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    EvidenceMessage,
    GetBlock,
    GetBlocks,
    GetHeaders,
    ProposalMessage,
    TransactionBatch,
    VotesHeld,
    VotesMessage,
)
from chain.network.packing import DEPTH_MAX, MalformedMessage, decode_packed
from consensus.evidence import build_duplicate_vote
from consensus.header import ENGINE_ID, Header
from consensus.types import (
    NIL,
    NO_ROUND,
    PRECOMMIT,
    Block,
    Certificate,
    Commit,
    Decision,
    ValidatorSet,
    Vote,
    encode_evidence,
    extrinsics_root,
)
from ext import hashing
from tests.support.consensus import GENESIS, h
from tests.support.drivers import TEAM, genesis_header, make_block

BYTES_MAX: Final = 1 << 20
"""More than any message here has."""

KINDS: Final = tuple(
    dict.fromkeys((*BALLOTS, *BODIES, TransactionBatch, GetBlock, GetBlocks, GetHeaders))
)
"""Messages that are garbled."""

ROUNDS_EACH: Final = 400
"""Garbled messages in one schedule."""


class Garbled(AssertionError):
    """A decoder accepted what nobody wrote."""


@cache
def make_block_one() -> Block:
    """A block with a body that its header commits to."""
    block = make_block(genesis_header(), TEAM, 0, time_ms=1_000_000_001)
    body = (b"one extrinsic", b"another")
    return replace(
        block, header=replace(block.header, extrinsics_root=extrinsics_root(body)), extrinsics=body
    )


@cache
def make_messages() -> tuple[bytes, ...]:
    """One good message of each kind, encoded."""
    block = make_block_one()
    votes = tuple(TEAM.vote(index, kind=PRECOMMIT, block_id=block.block_id) for index in range(3))
    commit = Commit.from_votes(votes, TEAM.validators)
    pair = build_duplicate_vote(0, TEAM.vote(0, block_id=h("a")), TEAM.vote(0, block_id=h("b")))
    decision = Decision(block, commit, None)
    made = (
        ProposalMessage(TEAM.proposal(0, block_id=block.block_id), block.encode()),
        VotesMessage((TEAM.vote(0), TEAM.vote(1, round_=3, valid_round=1))),
        CertificateMessage(Certificate(votes)),
        ConsensusStatus(7, 2, 1, -1, (0, 1), (VotesHeld(2, 2, b"\x07"),)),
        Claim(1, "a peer", 12, 1_000_000, bytes(range(64))),
        BlockMessage(block.block_id, block.encode()),
        DecisionMessage(decision.encode()),
        EvidenceMessage(encode_evidence(pair)),
        TransactionBatch((b"a transaction", b"b")),
        GetBlock(h("block")),
        GetBlocks(4, 2),
        GetHeaders(1, 200),
    )
    return tuple(encode_message(message) for message in made)


class Fuzz:
    """One schedule of garbled messages."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"garble {seed}")

    def run(self) -> None:
        """Garble and decode; raises Garbled, or whatever a decoder raises that it should not."""
        for _ in range(ROUNDS_EACH):
            self.try_message(self.garble(self.chance.choice(make_messages())))
            self.try_header()
            self.try_block()
            self.try_certificates()

    # Messages

    def garble(self, payload: bytes) -> bytes:
        """Change a message somewhere, in its bytes or in its shape."""
        ways: Sequence[Callable[[bytes], bytes]] = (
            self._flip, self._insert, self._cut, self._widen, self._reshape, self._nest,
        )  # fmt: skip
        for _ in range(self.chance.choice((1, 1, 2))):
            payload = self.chance.choice(ways)(payload)
        return payload

    def _flip(self, payload: bytes) -> bytes:
        if not payload:
            return payload
        place = self.chance.randrange(len(payload))
        return payload[:place] + bytes((self.chance.randrange(256),)) + payload[place + 1 :]

    def _insert(self, payload: bytes) -> bytes:
        place = self.chance.randrange(len(payload) + 1)
        return payload[:place] + self.chance.randbytes(self.chance.choice((1, 2))) + payload[place:]

    def _cut(self, payload: bytes) -> bytes:
        return payload[: self.chance.randrange(len(payload) + 1)]

    def _widen(self, payload: bytes) -> bytes:
        """Write a small number in a longer way."""
        small = [place for place, byte in enumerate(payload[:64]) if byte <= 0x7F]
        if not small:
            return payload
        place = self.chance.choice(small)
        wide = self.chance.choice((b"\xcc", b"\xcd\x00", b"\xce\x00\x00\x00"))
        return payload[:place] + wide + payload[place:]

    def _reshape(self, payload: bytes) -> bytes:
        """Change one field of the message as a writer of MessagePack would."""
        try:
            value = msgpack.unpackb(payload)
        except ValueError:
            return payload
        if not isinstance(value, list) or len(value) != 4 or not isinstance(value[3], list):
            return payload
        fields = value[3]
        way = self.chance.randrange(4)
        if way == 0:
            fields.append(self.chance.choice((0, b"", "x", [])))
        elif way == 1 and fields:
            fields.pop()
        elif fields:
            place = self.chance.randrange(len(fields))
            fields[place] = self._other(fields[place])
        return bytes(msgpack.packb(value))

    def _other(self, field: Any) -> Any:
        if isinstance(field, bytes):
            return self.chance.choice((field[:-1], field + b"\0", b"", field * 2))
        if isinstance(field, int):
            return self.chance.choice((0, field + 1, 2**32, 2**64 - 1))
        if isinstance(field, list):
            return self.chance.choice((field[:-1], field * 2, [], [*field, b""]))
        return self.chance.choice(("", field + "\n" if isinstance(field, str) else "x"))

    def _nest(self, payload: bytes) -> bytes:
        """Arrays within arrays, about as deep as is allowed."""
        if self.chance.random() < 0.7:
            return payload
        return b"\x91" * self.chance.randrange(DEPTH_MAX - 2, DEPTH_MAX + 4) + b"\x00"

    def try_message(self, payload: bytes) -> None:
        """Decode a message and hold what was accepted against the rules."""
        try:
            value = decode_packed(payload, bytes_max=BYTES_MAX)
        except MalformedMessage:
            return
        if _depth(value) > DEPTH_MAX:
            raise Garbled(f"nested {_depth(value)} deep")
        try:
            envelope = decode_envelope(payload, bytes_max=BYTES_MAX, kinds=KINDS)
        except MalformedMessage:
            return
        again = encode_message(envelope.message, request_id=envelope.request_id)
        if again != payload:
            raise Garbled(f"{type(envelope.message).__name__} is written in two ways")
        self._check_message(envelope.message)

    def _check_message(self, message: object) -> None:
        match message:
            case Claim():
                _expect(len(message.signature) == 64, "a claim's signature has 64 bytes")
                _expect(message.peer.isprintable(), "a peer's name is printable")
            case GetBlock() | BlockMessage():
                _expect(len(message.block_id) == 32, "a block id has 32 bytes")
            case VotesMessage():
                for vote in message.votes:
                    _check_vote(vote)
            case CertificateMessage():
                _check_certificate(message.certificate)
            case GetBlocks() | GetHeaders():
                _expect(message.count > 0, "a question is for something")

    # Consensus bytes

    def try_header(self) -> None:
        """A header with a digest item of another engine or tag is no header of ours."""
        encoded = make_block_one().header.encode()
        place = self.chance.choice(_places(encoded, ENGINE_ID))
        garbled = bytearray(encoded)
        garbled[place + self.chance.randrange(8)] ^= 1 << self.chance.randrange(8)
        data = bytes(garbled) if self.chance.random() < 0.5 else self._flip(encoded)
        try:
            header = Header.decode(data)
        except ValueError:
            return
        _expect(header.encode() == data, "a header is written in one way")
        _expect(header.block_id == hashing.blake2b_256(data), "a header's id is its hash")

    def try_block(self) -> None:
        """A body that the header does not commit to is nobody's."""
        block = make_block_one()
        bodies = (block.extrinsics, block.extrinsics[:1], (*block.extrinsics, b""), ())
        body = self.chance.choice(bodies)
        try:
            replace(block, extrinsics=body).check_body()
        except ValueError:
            return
        _expect(body == block.extrinsics, "a header commits to one body")

    def try_certificates(self) -> None:
        """Certificates and commits with signers too many, too few or not there."""
        count = self.chance.randrange(1, 5)
        indices = [self.chance.randrange(5) for _ in range(count)]
        votes = tuple(
            Vote(PRECOMMIT, 1, 0, self.chance.choice((h("a"), h("a"), NIL)), NO_ROUND, index)
            for index in indices
        )
        certificate = Certificate(votes)
        if _accepts(certificate.check):
            _check_certificate(certificate)
        bitmap = bytes((self.chance.randrange(32),)) + bytes(self.chance.choice((0, 0, 0, 1)))
        signatures = tuple(bytes(64) for _ in range(self.chance.randrange(6)))
        commit = Commit(1, 0, self.chance.choice((h("a"), NIL)), 0, bitmap, signatures)
        if _accepts(lambda: commit.check(TEAM.validators)):
            _check_commit(commit, TEAM.validators)
        self._try_vote()

    def _try_vote(self) -> None:
        vote = Vote(
            self.chance.randrange(5), 1, self.chance.randrange(3),
            self.chance.choice((h("a"), NIL)), self.chance.randrange(-1, 3), 0, bytes(64),
        )  # fmt: skip
        if _accepts(vote.check):
            _check_vote(vote)


def _accepts(check: Callable[[], None]) -> bool:
    try:
        check()
    except ValueError:
        return False
    return True


def _expect(holds: bool, rule: str) -> None:
    if not holds:
        raise Garbled(rule)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [item for each in level if isinstance(each, list) for item in (each or [0])]
        depth += bool(level)
    return depth


def _places(data: bytes, part: bytes) -> list[int]:
    return [place for place in range(len(data)) if data.startswith(part, place)]


def _check_vote(vote: Vote) -> None:
    _expect(vote.kind in (2, 3), "a vote is a prevote or a precommit")
    free = vote.kind == 2 and vote.block_id != NIL
    _expect(free or vote.valid_round == -1, "only a prevote for a block has a valid round")
    _expect(-1 <= vote.valid_round < max(vote.round, 1), "a valid round is an earlier one")


def _check_certificate(certificate: Certificate) -> None:
    signers = [vote.index for vote in certificate.votes]
    _expect(signers == sorted(dict.fromkeys(signers)), "each signs once, in order")
    subjects = {
        (vote.kind, vote.height, vote.round, vote.block_id, vote.valid_round)
        for vote in certificate.votes
    }
    _expect(len(subjects) == 1, "a certificate says one thing")


def _check_commit(commit: Commit, validators: ValidatorSet) -> None:
    bits = int.from_bytes(commit.bitmap, "little")
    signers = [index for index in range(8 * len(commit.bitmap)) if bits >> index & 1]
    _expect(len(commit.bitmap) == -(-len(validators) // 8), "a bitmap is as long as its set")
    _expect(all(index < len(validators) for index in signers), "signers are in the set")
    _expect(len(signers) == len(commit.signatures), "a signature for each signer")
    power = sum(validators[index].power for index in signers)
    _expect(3 * power > 2 * validators.total_power, "a commit has a quorum")
    _expect(commit.block_id != NIL, "a commit is for a block")


__all__ = ["GENESIS", "Fuzz", "Garbled"]
