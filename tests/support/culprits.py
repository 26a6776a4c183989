"""Real misbehaviour on a real chain: evidence of every kind, signed with the validators' keys."""

from dataclasses import dataclass, replace

from consensus import leader
from consensus.evidence import (
    build_duplicate_proposal,
    build_duplicate_vote,
    build_from_certificates,
)
from consensus.types import PRECOMMIT, Evidence, LightBlock, LightClientAttack
from ext import signing
from tests.support.consensus import Team, h, make_header
from tests.support.solo import Solo

KINDS = (
    "duplicate_vote", "duplicate_proposal", "amnesia", "conflicting_commit", "light_client_attack"
)  # fmt: skip


@dataclass(frozen=True)
class SoloTeam(Team):
    """The validators of a height of a chain, with their seeds."""

    genesis_hash: bytes = b""

    def sign(self, message):
        signed = message.sign_bytes(self.genesis_hash, self.validators.set_id)
        return replace(message, signature=signing.sign(self.seeds[message.index], signed))


class Culprits:
    """Makes validators of a chain misbehave at heights that are decided already."""

    def __init__(self, solo: Solo) -> None:
        self.solo = solo

    def team(self, height: int) -> SoloTeam:
        validators = self.solo.chain.blocks.validators_at(height)
        seeds = tuple(self.solo.seeds[v.consensus_key] for v in validators.validators)
        numbers = tuple(range(len(seeds)))
        return SoloTeam(validators, seeds, numbers, self.solo.start.hash)

    def make(self, kind: str, height: int) -> Evidence:
        """Evidence of a kind at a height; which validators are guilty of it is its own affair."""
        evidence = getattr(self, kind)(height)
        assert evidence is not None
        return evidence

    def duplicate_vote(self, height: int, index: int = 0, round_: int = 0) -> Evidence:
        team = self.team(height)
        one, other = (
            team.vote(index, height=height, round_=round_, block_id=h(name)) for name in "ab"
        )
        return build_duplicate_vote(team.validators.set_id, one, other)

    def duplicate_proposal(self, height: int, round_: int = 3) -> Evidence:
        team, randomness = self.team(height), self.solo.chain.blocks.randomness_at(height)
        turn = leader.proposer(team.validators, randomness, height, round_)
        one, other = (
            team.proposal(turn, height=height, round_=round_, block_id=h(name)) for name in "ab"
        )
        return build_duplicate_proposal(team.validators.set_id, one, other)

    def amnesia(self, height: int) -> Evidence:
        team, (first, last) = self.team(height), self.quorums(height)
        commit = team.certificate(first, kind=PRECOMMIT, height=height, block_id=h("a"))
        polka = team.certificate(last, height=height, round_=1, block_id=h("b"))
        return build_from_certificates(team.validators.set_id, commit, polka)

    def conflicting_commit(self, height: int) -> Evidence:
        team, (first, last) = self.team(height), self.quorums(height)
        one = team.certificate(first, kind=PRECOMMIT, height=height, block_id=h("a"))
        other = team.certificate(last, kind=PRECOMMIT, height=height, block_id=h("b"))
        return build_from_certificates(team.validators.set_id, one, other)

    def light_client_attack(self, height: int) -> Evidence:
        team, (first, _) = self.team(height), self.quorums(height)
        blocks = self.solo.chain.blocks
        ours, following = blocks.header(height), blocks.validators_at(height + 1)
        theirs = make_header(
            height,
            parent=ours.parent_hash,
            time_ms=ours.time_ms,
            validators=team.validators,
            next_validators=following,
        )
        commit = team.commit(height, theirs.block_id, signers=first)
        attack = LightBlock(theirs, commit, team.validators, following)
        return LightClientAttack(team.validators.set_id, height - 1, attack, blocks.commit(height))

    def quorums(self, height: int) -> tuple[range, range]:
        """Two quorums of equal validators that share as few as quorums can."""
        count = len(self.team(height).validators)
        size = 2 * count // 3 + 1
        return range(size), range(count - size, count)
