"""Byzantine validators: nodes like any other whose words are twisted on their way out.

    split     another vote or proposal for one half of the peers
    fresh     a new block in each round, whatever was locked on
    withhold  bodies and some votes never leave
    invalid   blocks that do not execute to what they say
    forge     votes of others under a false signature, certificates below two thirds
    boast     statuses of heights that do not exist, decisions that nobody made
    sync      pages that leave something out, or hold another block
    late      the proof of an old lie, blocks after it

A liar has its own keys and nobody else's. What it makes that verifies is told to the watch, which
counts it as cast; a forged vote is not.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from chain.engine import BuildPlan
from chain.errors import InvalidBlock
from chain.ledger import ChainLedger
from chain.network.envelope import Message, decode_envelope, encode_message
from chain.network.gossip import BALLOTS, BODIES, BODY_BYTES_MAX
from chain.network.messages import (
    BlocksPage,
    CertificateMessage,
    ConsensusStatus,
    DecisionMessage,
    EvidenceMessage,
    HeadersPage,
    ProposalMessage,
    VotesMessage,
)
from chain.network.packing import MalformedMessage
from chain.network.simulated import Flight
from chain.node import Node
from consensus.evidence import build_duplicate_vote
from consensus.types import (
    NIL,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    Block,
    Certificate,
    Decision,
    Proposal,
    Vote,
    encode_evidence,
)
from ext import signing
from tests.whole.ground import keys_of
from tests.whole.watch import WholeWatch

FORGERIES_MAX: Final = 3
"""Forged things a liar sends one peer: with four it would be banned and could lie no more."""

KEPT_MAX: Final = 16
"""Own blocks and lies of each height that a liar remembers."""

SPOKEN: Final = (*BALLOTS, *BODIES)
"""The kinds of messages that a liar looks into."""


@dataclass
class Liar:
    """One byzantine validator; `ways` are the lies it tells."""

    name: str
    ways: frozenset[str]
    chance: random.Random
    watch: WholeWatch
    genesis_hash: bytes
    node: Node | None = None
    others: dict[int, list[Block]] = field(default_factory=dict)
    proofs: list[bytes] = field(default_factory=list)
    forgeries: dict[str, int] = field(default_factory=dict)

    def has(self, way: str) -> bool:
        """Whether it lies in this way."""
        return way in self.ways

    def take(self, node: Node) -> None:
        """Stand behind a node that is about to run."""
        self.node = node
        node.driver.ledger.build = _Builder(self, node.ledger).build  # type: ignore[method-assign] -- a lie is planted

    # What leaves

    def distort(self, flight: Flight) -> Sequence[bytes]:
        """Say what arrives instead of a message of this validator."""
        if flight.way == "response":
            return self._distort_answer(flight)
        if flight.way == "request" or self.node is None or self.node.driver.machine.index is None:
            return (flight.payload,)
        try:
            message = decode_envelope(
                flight.payload, bytes_max=BODY_BYTES_MAX, kinds=SPOKEN
            ).message
        except MalformedMessage:
            return (flight.payload,)
        said = [encode_message(each) for each in self._say(message, flight.receiver)]
        return [*said, *self._forge(message, flight.receiver)]

    def _say(self, message: Message, receiver: str) -> list[Message]:
        if isinstance(message, VotesMessage):
            votes = [self._vote(vote, receiver) for vote in message.votes]
            kept = tuple(vote for vote in votes if vote is not None)
            return [VotesMessage(kept)] if kept else []
        if isinstance(message, ProposalMessage):
            return self._propose(message, receiver)
        if isinstance(message, ConsensusStatus) and self.has("boast") and self._may(0.05):
            return [replace(message, height=message.height + self.chance.choice((1, 3, 1_000)))]
        if isinstance(message, DecisionMessage) and self.has("boast") and self._may(0.3):
            return [self._boast(message)] if self._dares(receiver) else [message]
        return [message]

    def _may(self, share: float) -> bool:
        return self.chance.random() < share

    def _is_far(self, receiver: str, height: int) -> bool:
        """Whether a peer is in the half that hears the other story at a height."""
        return random.Random(f"{self.name} {receiver} {height}").random() < 0.5

    def _index(self) -> int:
        if self.node is None or self.node.driver.machine.index is None:
            raise AssertionError("a liar lies as a validator")
        return self.node.driver.machine.index

    def _vote(self, vote: Vote, receiver: str) -> Vote | None:
        """Say another vote to some, or none; votes of others go as they came."""
        if vote.index != self._index():
            return vote
        if self.has("withhold") and self._may(0.3):
            return None
        if not self.has("split") or not self._is_far(receiver, vote.height):
            return vote
        lie = self._twist(vote)
        self.watch.rules.on_ballot(lie)
        if lie.height == vote.height and self.has("late") and lie != vote:
            self._keep_proof(vote, lie)
        return lie

    def _twist(self, vote: Vote) -> Vote:
        machine = self._machine()
        known = [p.block_id for held in machine.proposals.values() for p in held]
        known += [block.block_id for block in self.others.get(vote.height, ())]
        block_id = self.chance.choice([*known, NIL])
        valid_round = NO_ROUND
        if vote.kind == PREVOTE and block_id != NIL and vote.round and self._may(0.3):
            valid_round = self.chance.randrange(vote.round)
        return self._sign(replace(vote, block_id=block_id, valid_round=valid_round))

    def _machine(self):
        if self.node is None:
            raise AssertionError("a liar lies while its node runs")
        return self.node.driver.machine

    def _sign(self, message):
        set_id = self.watch.facts.set_at(message.height).set_id
        signed = message.sign_bytes(self.genesis_hash, set_id)
        return replace(message, signature=signing.sign(keys_of(self.name).consensus.seed, signed))

    def _keep_proof(self, vote: Vote, lie: Vote) -> None:
        set_id = self.watch.facts.set_at(vote.height).set_id
        evidence = build_duplicate_vote(set_id, vote, lie)
        self.proofs = [*self.proofs, encode_evidence(evidence)][-KEPT_MAX:]

    def _propose(self, message: ProposalMessage, receiver: str) -> list[Message]:
        proposal = message.proposal
        if proposal.index != self._index():
            return [message]
        is_far = self._is_far(receiver, proposal.height)
        is_repeated = proposal.valid_round >= 0
        if (self.has("fresh") and is_repeated) or (is_far and self.has("split")):
            message = self._other(proposal) or message
        elif is_far and self.has("invalid"):
            message = self._invalid(message)
        if self.has("withhold") and message.block and self._may(0.5):
            message = ProposalMessage(message.proposal)
        return [message]

    def _other(self, proposal: Proposal) -> ProposalMessage | None:
        """Another good block of ours, signed for this round as if it were new."""
        blocks = self.others.get(proposal.height, [])
        if not blocks:
            return None
        block = self.chance.choice(blocks)
        lie = replace(proposal, block_id=block.block_id, valid_round=NO_ROUND)
        return self._signed_proposal(lie, block)

    def _invalid(self, message: ProposalMessage) -> ProposalMessage:
        """A block that claims another state, or time."""
        if not message.block:
            return message
        block = Block.decode(message.block)
        header = block.header
        if self._may(0.5):
            header = replace(header, state_root=bytes(32))
        else:
            header = replace(header, extrinsics_root=header.state_root)
        false = replace(block, header=header)
        self.watch.false_blocks.add(false.block_id)
        self.watch.on_block(false)
        lie = replace(message.proposal, block_id=false.block_id, valid_round=NO_ROUND)
        return self._signed_proposal(lie, false)

    def _signed_proposal(self, lie: Proposal, block: Block) -> ProposalMessage:
        signed = self._sign(lie)
        self.watch.rules.on_ballot(signed)
        return ProposalMessage(signed, block.encode())

    # Forgeries

    def _dares(self, receiver: str) -> bool:
        """Whether a peer would not ban us for one more forgery; counts it."""
        count = self.forgeries.get(receiver, 0)
        self.forgeries[receiver] = count + 1
        return count < FORGERIES_MAX

    def _forge(self, message: Message, receiver: str) -> list[bytes]:
        """Now and then something that does not verify at all."""
        if not self.has("forge") or not isinstance(message, VotesMessage) or not self._may(0.2):
            return []
        if not self._dares(receiver):
            return []
        vote = message.votes[0]
        count = len(self.watch.facts.set_at(vote.height)) if self._knows(vote.height) else 0
        if not count:
            return []
        foreign = [
            replace(vote, index=index, valid_round=NO_ROUND)
            for index in range(count)
            if index != vote.index
        ]
        if self._may(0.5):
            return [encode_message(VotesMessage((self.chance.choice(foreign),)))]
        forged = sorted([vote, *foreign], key=lambda each: each.index)
        return [encode_message(CertificateMessage(Certificate(tuple(forged))))]

    def _knows(self, height: int) -> bool:
        return height in self.watch.facts.sets

    def _boast(self, message: DecisionMessage) -> DecisionMessage:
        """A decision with our signature alone behind it."""
        decision = Decision.decode(message.decision)
        commit = decision.commit
        first = commit.bitmap[0] & -commit.bitmap[0]
        alone = replace(commit, bitmap=bytes([first]), signatures=commit.signatures[:1])
        return DecisionMessage(replace(decision, commit=alone).encode())

    def _distort_answer(self, flight: Flight) -> Sequence[bytes]:
        if flight.name == "body" and self.has("withhold"):
            return ()
        if flight.name not in ("headers", "blocks") or not self.has("sync"):
            return (flight.payload,)
        envelope = decode_envelope(
            flight.payload, bytes_max=1 << 30, kinds=(HeadersPage, BlocksPage)
        )
        page = envelope.message
        if isinstance(page, HeadersPage):
            page = self._lie_in_headers(page)
        elif isinstance(page, BlocksPage):
            page = self._lie_in_blocks(page)
        return (encode_message(page, request_id=envelope.request_id),)

    def _lie_in_headers(self, page: HeadersPage) -> HeadersPage:
        if not page.headers or self._may(0.3):
            return page
        if self._may(0.5):
            return replace(page, headers=page.headers[:-1])
        return replace(page, headers=(*page.headers[:-1], page.headers[0]))

    def _lie_in_blocks(self, page: BlocksPage) -> BlocksPage:
        if not page.blocks or self._may(0.3):
            return page
        last = Block.decode(page.blocks[-1])
        false = replace(last, extrinsics=(*last.extrinsics, b"\0" * 8))
        return replace(page, blocks=(*page.blocks[:-1], false.encode()))

    async def tell_late(self) -> None:
        """Publish an old proof against ourselves."""
        if self.node is not None and self.proofs:
            proof = self.proofs.pop(0)
            await self.node.network.publish("evidence", encode_message(EvidenceMessage(proof)))

    def on_built(self, block: Block) -> None:
        """Remember another good block of ours."""
        self.watch.on_block(block)
        kept = self.others.setdefault(block.height, [])
        kept.append(block)
        del kept[:-KEPT_MAX]


class _Builder:
    """Builds two blocks where one was asked for, and shows the driver the second."""

    def __init__(self, liar: Liar, ledger: ChainLedger) -> None:
        self._liar = liar
        self._build: Callable[[BuildPlan], object] = ledger.build

    async def build(self, plan: BuildPlan) -> Block:
        """Build a block for the plan, and before it one of another time for those far off."""
        liar = self._liar
        if liar.has("split") or liar.has("fresh"):
            try:
                other = await self._build(replace(plan, time_ms=plan.time_ms + 1))
            except InvalidBlock:
                other = None
            if other is not None:
                liar.on_built(other)
        return await self._build(plan)


__all__ = ["PRECOMMIT", "Liar"]
