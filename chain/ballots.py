"""Judging what peers say in consensus, once: cheap checks first, cryptography last.

    known already? --> height within one of ours? --> turn and round? --> signature --> the machine

A ballot that was good once is good for ever, so a repetition costs a look into a table.
"""

from collections.abc import Sequence
from typing import Final

import trio

from chain.engine import Ledger
from chain.network.interface import Verdict
from consensus import leader
from consensus.machine import Machine
from consensus.types import Proposal, ValidatorSet, Vote
from consensus.votes import ROUNDS_AHEAD, ROUNDS_BEHIND

SEEN_MAX: Final = 8_192
"""Ballots known to be good; a few heights of a hundred validators."""

INLINE_MAX: Final = 8
"""Signatures verified on the loop, under a millisecond in all; more go to a worker thread."""

Ballot = Proposal | Vote
"""What one validator signed."""


class BallotJudge:
    """Knows which ballots are good at the height that the machine works on."""

    def __init__(self, ledger: Ledger, machine: Machine) -> None:
        self._ledger = ledger
        self._machine = machine
        self._seen: dict[bytes, None] = {}

    def is_known(self, ballot: Ballot) -> bool:
        """Whether this very ballot, signature included, was found good before."""
        return _name(ballot) in self._seen

    def forget(self) -> None:
        """Forget what was good: some of it was lost on its way to the machine."""
        self._seen.clear()

    async def judge(self, ballots: Sequence[Ballot]) -> tuple[Verdict, ValidatorSet | None]:
        """Verify new ballots of one height: ACCEPT and their set, or the verdict and None."""
        height = ballots[0].height
        is_near = abs(height - self._machine.height) <= 1
        validators = self._ledger.validators_at(height) if is_near else None
        if validators is None:
            return Verdict.IGNORE, None
        for ballot in ballots:
            verdict = self._judge_turn(ballot, validators)
            if verdict is not Verdict.ACCEPT:
                return verdict, None
        if not await self._verify(ballots, validators):
            return Verdict.REJECT, None
        for ballot in ballots:
            self._seen[_name(ballot)] = None
        while len(self._seen) > SEEN_MAX:
            self._seen.pop(next(iter(self._seen)))
        return Verdict.ACCEPT, validators

    async def _verify(self, ballots: Sequence[Ballot], validators: ValidatorSet) -> bool:
        genesis_hash = self._ledger.genesis_hash
        if len(ballots) <= INLINE_MAX:
            return _verify_all(ballots, validators, genesis_hash)
        return await trio.to_thread.run_sync(_verify_all, ballots, validators, genesis_hash)

    def _judge_turn(self, ballot: Ballot, validators: ValidatorSet) -> Verdict:
        """Drop a proposal that the machine would not look at, before its signature is."""
        if isinstance(ballot, Vote):
            return Verdict.ACCEPT
        height = self._machine.height
        now = self._machine.round if ballot.height == height else 0
        if ballot.height < height or not -ROUNDS_BEHIND <= ballot.round - now <= ROUNDS_AHEAD:
            return Verdict.IGNORE
        randomness = self._ledger.randomness_at(ballot.height)
        if randomness is None:
            return Verdict.IGNORE
        turn = leader.proposer(validators, randomness, ballot.height, ballot.round)
        return Verdict.ACCEPT if ballot.index == turn else Verdict.REJECT


def _verify_all(ballots: Sequence[Ballot], validators: ValidatorSet, genesis_hash: bytes) -> bool:
    return all(ballot.verify(validators, genesis_hash) for ballot in ballots)


def _name(ballot: Ballot) -> bytes:
    """Give the bytes that tell a ballot from every other, signature included."""
    return bytes((ballot.kind,)) + ballot.encode()
