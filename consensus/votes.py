"""The votes of one height: bounded storage, quorums, certificates, and whoever votes twice.

At most two different votes are kept per validator, round and kind. Each counts for its own value
(safe: two quorums still share an honest signer) and once for "any"; the pair is evidence. A
certificate is taken whole even where it conflicts with votes held, or an equivocator could blind
us to a quorum that others saw. Far ahead, only each validator's highest round is remembered.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from consensus.types import NIL, PREVOTE, Certificate, ValidatorSet, Vote

ROUNDS_AHEAD: Final = 4
"""Rounds beyond the current one whose votes are kept; honest nodes skip forward before that."""

ROUNDS_BEHIND: Final = 8
"""Rounds before the current one whose votes are kept; of older ones only quorums are."""

VOTES_EACH_MAX: Final = 2
"""Different votes of one validator, round and kind that are kept: what evidence needs."""

Value: TypeAlias = tuple[bytes, int]
"""What a vote is for: block id and valid round."""


class VoteKeeper:
    """Everything heard at one height; signatures are verified before."""

    def __init__(self, height: int, validators: ValidatorSet) -> None:
        self.height = height
        self.validators = validators
        self._votes: dict[tuple[int, int], dict[int, list[Vote]]] = {}
        self._power: dict[tuple[int, int], dict[Value, int]] = {}
        self._any_power: dict[tuple[int, int], int] = {}
        self._certificates: dict[tuple[int, int], dict[Value, Certificate]] = {}
        self._far: dict[int, int] = {}
        self._oldest = 0

    def add(self, vote: Vote, *, current_round: int) -> tuple[Vote, Vote] | None:
        """Keep a vote; gives the pair when the validator voted for two values."""
        if vote.height != self.height or not 0 <= vote.index < len(self.validators):
            return None
        if vote.round < self._oldest:
            return None
        if vote.round > current_round + ROUNDS_AHEAD:
            self._far[vote.index] = max(self._far.get(vote.index, -1), vote.round)
            return None
        return self._keep(vote)

    def add_certificate(self, certificate: Certificate) -> list[tuple[Vote, Vote]]:
        """Keep a certificate whole and its votes too; gives the pairs that it reveals."""
        first = certificate.first
        if first.height != self.height or not certificate.has_quorum(self.validators):
            return []
        key = (first.kind, first.round)
        self._certificates.setdefault(key, {})[first.block_id, first.valid_round] = certificate
        if first.round < self._oldest:
            return []
        pairs = [self._keep(vote) for vote in certificate.votes]
        return [pair for pair in pairs if pair is not None]

    def forget_before(self, round_: int) -> None:
        """Drop the votes of earlier rounds; what reached a quorum for a block stays.

        A lost minority harms nobody: whoever saw a quorum shows it whole, and without one the
        later rounds decide.
        """
        self._oldest = max(self._oldest, round_)
        for key in [key for key in self._votes if key[1] < round_]:
            for value, certificate in self.quorums(*key).items():
                if value[0] != NIL:
                    self._certificates.setdefault(key, {})[value] = certificate
            del self._votes[key], self._power[key], self._any_power[key]

    def _keep(self, vote: Vote) -> tuple[Vote, Vote] | None:
        key = (vote.kind, vote.round)
        held = self._votes.setdefault(key, {}).setdefault(vote.index, [])
        value = (vote.block_id, vote.valid_round)
        if len(held) >= VOTES_EACH_MAX or any((v.block_id, v.valid_round) == value for v in held):
            return None
        power = self.validators[vote.index].power
        if not held:
            self._any_power[key] = self._any_power.get(key, 0) + power
        held.append(vote)
        powers = self._power.setdefault(key, {})
        powers[value] = powers.get(value, 0) + power
        return (held[0], held[1]) if len(held) == VOTES_EACH_MAX else None

    def holds(self, vote: Vote) -> bool:
        """Whether this vote is counted, so that hearing it again changes nothing."""
        held = self._votes.get((vote.kind, vote.round), {}).get(vote.index, ())
        value = (vote.block_id, vote.valid_round)
        return any((v.block_id, v.valid_round) == value for v in held)

    def quorums(self, kind: int, round_: int) -> dict[Value, Certificate]:
        """Give every value with more than two thirds, with the votes that show it."""
        key = (kind, round_)
        found = {
            value: self._certify(key, value)
            for value, power in self._power.get(key, {}).items()
            if self.validators.has_quorum(power)
        }
        for value, certificate in self._certificates.get(key, {}).items():
            found.setdefault(value, certificate)
        return found

    def find_quorum(self, kind: int, round_: int, block_id: bytes) -> Certificate | None:
        """Give a certificate of this kind and round for a block under any valid round."""
        for (found, _), certificate in self.quorums(kind, round_).items():
            if found == block_id:
                return certificate
        return None

    def has_any_quorum(self, kind: int, round_: int) -> bool:
        """Whether more than two thirds voted for whatever."""
        return self.validators.has_quorum(self._any_power.get((kind, round_), 0))

    def rounds(self, kind: int) -> list[int]:
        """Give the rounds in which votes or certificates of this kind are held, ascending."""
        held = {r: None for k, r in (*self._votes, *self._certificates) if k == kind}
        return sorted(held)

    def find_skip(self, current_round: int) -> int | None:
        """Give the largest later round that more than one third has reached, or None."""
        reached = dict(self._far)
        for (_, round_), voters in self._votes.items():
            for index in voters:
                reached[index] = max(reached.get(index, -1), round_)
        power = 0
        for index, round_ in sorted(reached.items(), key=lambda item: (-item[1], item[0])):
            if round_ <= current_round:
                return None
            power += self.validators[index].power
            if self.validators.has_third(power):
                return round_
        return None

    def votes(self) -> Iterable[Vote]:
        """Give every vote held, by kind and round, then index."""
        for key in sorted(self._votes):
            for index in sorted(self._votes[key]):
                yield from self._votes[key][index]

    def voters(self) -> dict[tuple[int, int], tuple[int, ...]]:
        """Give for each (kind, round) whose votes are held."""
        return {key: tuple(sorted(self._votes[key])) for key in sorted(self._votes)}

    def _certify(self, key: tuple[int, int], value: Value) -> Certificate:
        votes = [
            vote
            for index in sorted(self._votes[key])
            for vote in self._votes[key][index]
            if (vote.block_id, vote.valid_round) == value
        ]
        return Certificate(tuple(votes))


def is_polka(certificate: Certificate) -> bool:
    """Whether a certificate is of prevotes for a block."""
    return certificate.first.kind == PREVOTE and certificate.first.block_id != NIL
