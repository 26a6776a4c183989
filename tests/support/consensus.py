"""Validators, votes and chains of headers for tests of consensus; everything from small numbers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from consensus.header import ConsensusFields, Header, NextEpoch, PreRuntime
from consensus.types import (
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    ZERO_HASH,
    Certificate,
    Commit,
    LightBlock,
    Proposal,
    Validator,
    ValidatorSet,
    Vote,
)
from ext import signing

GENESIS = hashlib.blake2b(b"test genesis", digest_size=32).digest()


def h(*parts: object) -> bytes:
    """Any 32 bytes, the same for the same parts."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=32).digest()


def consensus_seed(number: int) -> bytes:
    return h("consensus seed", number)


def vrf_seed(number: int) -> bytes:
    return h("vrf seed", number)


@dataclass(frozen=True)
class Team:
    """A validator set with the seeds of its keys, by index."""

    validators: ValidatorSet
    seeds: tuple[bytes, ...]
    numbers: tuple[int, ...]

    def vote(
        self, index: int, *, kind: int = PREVOTE, height: int = 1, round_: int = 0,
        block_id: bytes = h("v"), valid_round: int = NO_ROUND,
    ) -> Vote:  # fmt: skip
        vote = Vote(kind, height, round_, block_id, valid_round, index)
        return self.sign(vote)

    def sign(self, message):
        signed = message.sign_bytes(GENESIS, self.validators.set_id)
        return replace(message, signature=signing.sign(self.seeds[message.index], signed))

    def proposal(
        self, index: int, *, height: int = 1, round_: int = 0, block_id: bytes = h("v"),
        valid_round: int = NO_ROUND,
    ) -> Proposal:  # fmt: skip
        return self.sign(Proposal(height, round_, block_id, valid_round, index))

    def certificate(
        self, signers: Sequence[int], *, kind: int = PREVOTE, height: int = 1, round_: int = 0,
        block_id: bytes = h("v"), valid_round: int = NO_ROUND,
    ) -> Certificate:  # fmt: skip
        return Certificate(
            tuple(
                self.vote(
                    index, kind=kind, height=height, round_=round_, block_id=block_id,
                    valid_round=valid_round,
                )
                for index in sorted(signers)
            )
        )  # fmt: skip

    def commit(
        self, height: int, block_id: bytes, *, signers: Sequence[int] | None = None, round_: int = 0
    ) -> Commit:
        chosen = range(len(self.validators)) if signers is None else signers
        votes = [
            self.vote(index, kind=PRECOMMIT, height=height, round_=round_, block_id=block_id)
            for index in chosen
        ]
        return Commit.from_votes(votes, self.validators)


def make_team(powers: Sequence[int], *, set_id: int = 0, first: int = 0) -> Team:
    """A set with these powers; `first` numbers the keys so that teams can share or differ."""
    return team_of({first + place: power for place, power in enumerate(powers)}, set_id=set_id)


def team_of(powers: dict[int, int], *, set_id: int = 0) -> Team:
    """A set of numbered validators with their powers."""
    members = sorted(
        ((make_validator(number, power), number) for number, power in powers.items()),
        key=lambda pair: pair[0].account,
    )
    return Team(
        ValidatorSet(set_id, tuple(member for member, _ in members)),
        tuple(consensus_seed(number) for _, number in members),
        tuple(number for _, number in members),
    )


def make_validator(number: int, power: int) -> Validator:
    return Validator(
        h("account", number),
        signing.public_key(consensus_seed(number)),
        signing.public_key(vrf_seed(number)),
        power,
    )


def make_header(
    number: int, *, parent: bytes = ZERO_HASH, time_ms: int = 1_000_000, validators: ValidatorSet,
    next_validators: ValidatorSet, mark: object = 0, next_epoch: NextEpoch | None = None,
) -> Header:  # fmt: skip
    """A header with the given sets; `mark` makes two headers of one height differ."""
    return Header(
        parent,
        number,
        h("state", number, mark),
        ZERO_HASH,
        PreRuntime(time_ms, 0, validators.set_id, bytes(80)),
        ConsensusFields(
            ZERO_HASH, ZERO_HASH, validators.hash(), next_validators.hash(), h("params"),
            h("receipts", number), b"totals",
        ),
        next_epoch,
    )  # fmt: skip


def make_chain(
    teams: Sequence[Team], *, parent: bytes = ZERO_HASH, first: int = 1, mark: object = 0,
    start_ms: int = 1_000_000,
) -> list[LightBlock]:  # fmt: skip
    """Light blocks at heights first, first + 1, ...: teams[i] votes at height first + i.

    The last team only shows as the next set of the last block.
    """
    blocks: list[LightBlock] = []
    for place, (team, following) in enumerate(pairwise(teams)):
        header = make_header(
            first + place,
            parent=blocks[-1].header.block_id if blocks else parent,
            time_ms=start_ms + 1_000 * place,
            validators=team.validators,
            next_validators=following.validators,
            mark=mark,
        )
        commit = team.commit(header.number, header.block_id)
        blocks.append(LightBlock(header, commit, team.validators, following.validators))
    return blocks
