"""Anti-entropy, computed: what a status says of us, and what a peer with its status lacks.

Gossip alone loses messages, and a lost vote can stop a height for ever; telling each peer where we
stand, and sending it what it lacks, gives the machine the delivery that its proof needs.
"""

from dataclasses import dataclass
from typing import Final

from chain.network import limits
from chain.network.messages import ConsensusStatus, VotesHeld
from consensus.machine import Machine
from consensus.types import NIL, NO_ROUND, PRECOMMIT, Certificate, Proposal, Vote

ROUNDS_BACK: Final = 3
"""Rounds before a peer's own whose votes it may still use; older ones matter only as commits."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a peer does not hold yet."""

    proposals: tuple[Proposal, ...]
    votes: tuple[Vote, ...]
    certificate: Certificate | None


def build_status(machine: Machine) -> ConsensusStatus:
    """Describe where the machine stands and what it holds of the latest rounds."""
    first = max(0, machine.round - ROUNDS_BACK)
    held = [
        VotesHeld(round_, kind, _bitmap(voters, len(machine.validators)))
        for (kind, round_), voters in machine.votes.voters().items()
        if round_ >= first
    ]
    held.sort(key=lambda item: (item.round, item.kind))
    rounds = [
        round_
        for round_, proposals in sorted(machine.proposals.items())
        if round_ >= first and any(p.block_id in machine.verdicts for p in proposals)
    ]
    return ConsensusStatus(
        height=machine.height,
        round=max(0, machine.round),
        step=int(machine.step),
        valid_round=NO_ROUND if machine.valid is None else machine.valid[1],
        proposal_rounds=tuple(rounds[: limits.ROUNDS_MAX]),
        votes=tuple(held[: 2 * limits.ROUNDS_MAX]),
    )


def find_lacking(machine: Machine, status: ConsensusStatus) -> Lacking:
    """Give what a peer at our height lacks of what we hold, newest rounds first."""
    known = {(held.round, held.kind): held.bitmap for held in status.votes}
    first = max(0, status.round - ROUNDS_BACK)
    votes = [
        vote
        for vote in machine.votes.votes()
        if vote.round >= first and not _is_set(known.get((vote.round, vote.kind), b""), vote.index)
    ]
    for round_ in machine.votes.rounds(PRECOMMIT):
        if round_ < first:
            votes += _commit_votes(machine, round_)
    votes.sort(key=lambda vote: (-vote.round, vote.kind, vote.index))
    proposals = [
        held[0]
        for round_, held in sorted(machine.proposals.items())
        if round_ >= status.round and round_ not in status.proposal_rounds
    ]
    certificate = None
    if machine.valid is not None and machine.valid[1] > status.valid_round:
        certificate = machine.valid[2]
    return Lacking(tuple(proposals), tuple(votes[: limits.VOTES_MAX]), certificate)


def _commit_votes(machine: Machine, round_: int) -> list[Vote]:
    """Give the precommits of an old round that decide a block."""
    return [
        vote
        for (block_id, _), commit in machine.votes.quorums(PRECOMMIT, round_).items()
        if block_id != NIL
        for vote in commit.votes
    ]


def _bitmap(voters: tuple[int, ...], count: int) -> bytes:
    bitmap = bytearray((count + 7) // 8)
    for index in voters:
        bitmap[index // 8] |= 1 << index % 8
    return bytes(bitmap)


def _is_set(bitmap: bytes, index: int) -> bool:
    return index // 8 < len(bitmap) and bool(bitmap[index // 8] >> index % 8 & 1)
