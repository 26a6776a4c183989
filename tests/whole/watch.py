"""The rules that every event in every node is held against, while it happens.

    machine: what it hears and wants ──> the rules of one voter (tests.simulation.watch)
    signer:  what it signs           ──> once a position, and on the disk before it leaves
    ledger:  what it decides         ──> the same block everywhere, a quorum of cast votes behind
                                         it, the root that execution left, money that adds up
    restart: what the disk holds     ──> nothing that was final is gone

Signatures, quorums and sums are computed here a second time; nothing is taken from the node but
what it did. The trace is a hash over all of it, so equal seeds give equal traces.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from chain.importer import ImportedBlock
from chain.node import Node
from chain.storage.finality import FinalityJournal
from consensus.inputs import BlockBuilt, BlockValidated, HeightStarted, Input
from consensus.leader import proposer
from consensus.machine import Machine
from consensus.outputs import Accuse, Output, Sign
from consensus.record import Record
from consensus.types import (
    Block,
    Commit,
    DuplicateProposal,
    DuplicateVote,
    Proposal,
    ValidatorSet,
    Vote,
)
from ext import signing
from runtime.totals import decode_totals
from tests.simulation.parts import load_parts
from tests.simulation.watch import Violation, Watch
from tests.simulation.world import Body, Decided, number_of


@dataclass
class ChainFacts:
    """Who decides each height, as every node must come to it; what `Watch` calls a society."""

    sets: dict[int, ValidatorSet] = field(default_factory=dict)
    randomness: dict[int, bytes] = field(default_factory=dict)

    def note(self, news: HeightStarted) -> None:
        """Learn a height's set and randomness, or compare; raises Violation."""
        known = self.sets.setdefault(news.height, news.validators)
        if known != news.validators:
            raise Violation(f"two validator sets at height {news.height}")
        if self.randomness.setdefault(news.height, news.randomness) != news.randomness:
            raise Violation(f"two kinds of randomness at height {news.height}")

    def set_at(self, height: int) -> ValidatorSet:
        """Give the set of a height that some node has begun."""
        return self.sets[height]

    def proposer_number(self, height: int, round_: int) -> int:
        """Give the number of the validator on turn."""
        validators = self.sets[height]
        return number_of(validators, proposer(validators, self.randomness[height], height, round_))


@dataclass
class Seat:
    """One node as the rules see it; `number` is its validator's account as a number."""

    name: str
    number: int
    node: Node
    height: int = 0
    acked: int = 0
    """The newest height that its disk must hold."""

    @property
    def machine(self) -> Machine:
        """The machine that runs now."""
        return self.node.driver.machine


class WholeWatch:
    """Sees all that happens in all nodes; raises Violation."""

    def __init__(self, genesis_hash: bytes, byzantine: Collection[bytes]) -> None:
        self.facts = ChainFacts()
        numbers = [int.from_bytes(account, "big") for account in byzantine]
        society: Any = self.facts
        self.rules = Watch(load_parts(), society, numbers)
        self.false_blocks: set[bytes] = set()
        self.blocks: dict[int, bytes] = {}
        self.signatures = 0
        self.punished = 0
        self._byzantine = frozenset(numbers)
        self._genesis_hash = genesis_hash
        self._verified: dict[bytes, None] = {}

    @property
    def trace(self) -> str:
        """A hash over everything seen so far."""
        return self.rules.trace

    @property
    def height(self) -> int:
        """The highest block that any node decided."""
        return max(self.blocks, default=0)

    def note(self, *parts: object) -> None:
        """Add something to the trace."""
        self.rules.note(*parts)

    # The machine

    def on_news(self, seat: Seat, news: Input) -> None:
        """See what a machine is about to hear."""
        if isinstance(news, HeightStarted):
            self.facts.note(news)
        elif isinstance(news, BlockBuilt) or (isinstance(news, BlockValidated) and news.is_valid):
            block = seat.node.ledger.candidate(news.block_id)
            if block is not None:
                self.on_block(block)

    def on_block(self, block: Block) -> None:
        """Know a block that a node holds to be valid, or that a liar made well."""
        block_id, header = block.block_id, block.header
        is_valid = block_id not in self.false_blocks
        self.rules.bodies[block_id] = Body(
            block_id, header.number, header.proposer_idx, header.time_ms, is_valid
        )

    def on_wishes(self, seat: Seat, wishes: list[Output]) -> None:
        """See what a machine wants after it heard something."""
        self.rules.on_event(seat)
        for wish in wishes:
            if isinstance(wish, Sign):
                self.rules.on_sign(seat, wish)
            elif isinstance(wish, Accuse):
                self.rules.on_accused(seat, wish.evidence)

    def on_resumed(self, seat: Seat, record: Record) -> None:
        """See a machine that began where its journal stands."""
        self.rules.on_resumed(seat, record)

    # The signer

    def on_signed(
        self, seat: Seat, message: Proposal | Vote, signed: bytes, *, is_journaled: bool
    ) -> None:
        """See a signature at the moment in which it exists."""
        self.signatures += 1
        if not is_journaled:
            raise Violation(f"{seat.name} signed before its journal was on the disk")
        validators = self.facts.set_at(message.height)
        key = validators[message.index].consensus_key
        if not signing.verify(key, signed, message.signature):
            raise Violation(f"{seat.name} made a signature that does not verify")
        self.rules.on_said(seat, message)

    # The chain

    def on_started(self, seat: Seat) -> None:
        """See a node open its files: nothing that was final before is gone."""
        chain = seat.node.chain
        self.note("started", seat.name, chain.height)
        if chain.height < seat.acked:
            raise Violation(f"{seat.name} lost final blocks: {chain.height} of {seat.acked}")
        self._check_journal(seat.name, chain.journal, min(chain.height, seat.acked))
        seat.height = chain.height
        for height in range(1, chain.height + 1):
            if chain.blocks.block_id(height) != self.blocks.get(height):
                raise Violation(f"{seat.name} woke up with another block {height}")

    def _check_journal(self, name: str, journal: FinalityJournal, height: int) -> None:
        if height and (journal.tip is None or journal.tip.height < height):
            raise Violation(f"{name}: the finality journal lacks block {height}")

    def on_imported(self, seat: Seat, imported: ImportedBlock) -> None:
        """See a block become final at a node."""
        decided = imported.decided
        header = decided.block.header
        if header.number != seat.height + 1:
            raise Violation(f"{seat.name} went from height {seat.height} to {header.number}")
        seat.height = header.number
        chain = seat.node.chain
        if chain.saved_height >= header.number:
            seat.acked = header.number
            self._check_journal(seat.name, chain.journal, header.number)
        if chain.state.root != header.state_root:
            raise Violation(f"{seat.name}: the state after block {header.number} is another")
        if self.blocks.setdefault(header.number, header.block_id) != header.block_id:
            raise Violation(f"two blocks are final at height {header.number}")
        self._check_money(seat, decided.block)
        self._check_evidence(decided.block)
        if decided.commit is not None:
            self._check_signatures(seat, decided.commit)
            certificate = decided.commit.to_certificate()
            body = self._body_of(seat, decided.block)
            self.rules.on_decided(seat, Decided(header.number, body, certificate, decided.polka))

    def _body_of(self, seat: Seat, block: Block) -> Body:
        body = self.rules.bodies.get(block.block_id)
        if body is None:
            raise Violation(f"{seat.name} decided a block {block.height} that nobody built")
        return body

    def _check_signatures(self, seat: Seat, commit: Commit) -> None:
        """Verify each commit once, by the set that all nodes came to."""
        digest = commit.hash()
        if digest in self._verified:
            return
        self._verified[digest] = None
        validators = self.facts.set_at(commit.height)
        for vote in commit.votes():
            signed = vote.sign_bytes(self._genesis_hash, validators.set_id)
            key = validators[vote.index].consensus_key
            if not signing.verify(key, signed, vote.signature):
                raise Violation(f"{seat.name}: the commit of {commit.height} is forged")

    def _check_money(self, seat: Seat, block: Block) -> None:
        """What exists was minted and not burned, and is what the accounts hold."""
        totals = decode_totals(block.header.consensus.totals)
        minted = sum(part.amount for part in totals.minted)
        burned = sum(part.amount for part in totals.burned)
        if totals.issuance != minted - burned:
            raise Violation(f"block {block.height} makes or loses money: {totals}")
        held = seat.node.chain.state.money
        if held != totals.issuance:
            raise Violation(f"block {block.height}: accounts hold {held} of {totals.issuance}")

    def _check_evidence(self, block: Block) -> None:
        """Nobody is punished who said no two things."""
        for evidence in block.evidence:
            if not isinstance(evidence, DuplicateVote | DuplicateProposal):
                raise Violation(f"block {block.height} tells of a fork: {evidence}")
            self.punished += 1
            first = evidence.first
            number = number_of(self.facts.set_at(first.height), first.index)
            if number not in self._byzantine:
                raise Violation(f"block {block.height} punishes an honest validator: {evidence}")
