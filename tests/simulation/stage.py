"""One machine on a stage: a script plays everybody else and looks at what it signs and wants."""

import itertools
from collections.abc import Mapping, Sequence

from consensus.inputs import (
    BlockBuilt,
    BlockValidated,
    CertificateArrived,
    HeightStarted,
    Input,
    ProposalArrived,
    TimeoutFired,
    VoteArrived,
)
from consensus.leader import proposer
from consensus.outputs import (
    Accuse,
    Broadcast,
    BuildBlock,
    Finalize,
    Output,
    Save,
    Sign,
    ValidateBlock,
)
from consensus.rounds import PROFILES, Timer, TimerKind
from consensus.types import (
    NIL,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    Certificate,
    Proposal,
    ValidatorSet,
    Vote,
)
from tests.simulation.parts import Parts
from tests.simulation.world import digest, make_set, number_of, signed

NOW_MS = 1_000_000
"""When a script begins; blocks have this time unless it says otherwise."""

FOUR = {0: 1, 1: 1, 2: 1, 3: 1}


def find_randomness(validators: ValidatorSet, turns: Sequence[int], height: int = 1) -> bytes:
    """Randomness under which these validators propose in rounds 0, 1, ..."""
    for nonce in itertools.count():
        randomness = digest("turns", nonce)
        if all(
            proposer(validators, randomness, height, round_) == turn
            for round_, turn in enumerate(turns)
        ):
            return randomness
    raise AssertionError


class Stage:
    """The machine of validator `me`; `turns` are the proposers of the first rounds."""

    def __init__(
        self,
        parts: Parts,
        *,
        powers: Mapping[int, int] = FOUR,
        me: int | None = 0,
        turns: Sequence[int] = (1, 2, 3),
    ) -> None:
        self.parts = parts
        self.validators = make_set(powers)
        self.randomness = find_randomness(self.validators, turns)
        self.me = me
        self.now_ms = NOW_MS
        self.outputs: list[Output] = []
        self.answers = True
        self._verdicts: dict[bytes, tuple[bool, int, int]] = {}
        self._asked: dict[bytes, None] = {}
        self.machine = parts.machine(PROFILES["test"])
        self.hear(self.started())

    def started(self, height: int = 1) -> HeightStarted:
        """The news that begins a height."""
        return HeightStarted(height, self.validators, self.randomness, self.me)

    # Playing the others

    def hear(self, news: Input) -> None:
        """Give the machine news; its own ballots come back, verdicts follow at once."""
        self._obey(self.machine.handle(news, self.now_ms))

    def _obey(self, outputs: list[Output]) -> None:
        self.outputs += outputs
        for output in outputs:
            if isinstance(output, Sign):
                message = signed(output.message, number_of(self.validators, output.message.index))
                is_vote = isinstance(message, Vote)
                self.hear(VoteArrived(message) if is_vote else ProposalArrived(message))
            elif isinstance(output, ValidateBlock):
                self._asked[output.block_id] = None
                if self.answers:
                    self.answer(output.block_id)

    def answer(self, block_id: bytes) -> None:
        """Give the verdict on a block, as its execution would."""
        is_valid, proposer_idx, time_ms = self._verdicts[block_id]
        height = self.machine.height
        self.hear(BlockValidated(height, block_id, is_valid, proposer_idx, time_ms))

    def block(self, name: str, by: int, *, is_valid: bool = True, time_ms: int = NOW_MS) -> bytes:
        """The id of a block that a validator built."""
        block_id = digest("block", name)
        self._verdicts[block_id] = (is_valid, by, time_ms)
        return block_id

    def propose(
        self, round_: int, block_id: bytes, *, valid_round: int = NO_ROUND, by: int = -1
    ) -> None:
        """Let the proposer of a round (or somebody else) propose."""
        index = self.machine.proposer(round_) if by < 0 else by
        proposal = Proposal(self.machine.height, round_, block_id, valid_round, index)
        self.hear(ProposalArrived(signed(proposal, number_of(self.validators, index))))

    def cast(
        self, kind: int, round_: int, block_id: bytes, *indices: int, valid_round: int = NO_ROUND
    ) -> None:
        """Let some validators vote."""
        for index in indices:
            self.hear(VoteArrived(self.vote(kind, round_, block_id, index, valid_round)))

    def vote(
        self, kind: int, round_: int, block_id: bytes, index: int, valid_round: int = NO_ROUND
    ) -> Vote:
        """A vote of the present height."""
        vote = Vote(kind, self.machine.height, round_, block_id, valid_round, index)
        return signed(vote, number_of(self.validators, index))

    def prevote(
        self, round_: int, block_id: bytes, *indices: int, valid_round: int = NO_ROUND
    ) -> None:
        """Let some validators prevote."""
        self.cast(PREVOTE, round_, block_id, *indices, valid_round=valid_round)

    def precommit(self, round_: int, block_id: bytes, *indices: int) -> None:
        """Let some validators precommit."""
        self.cast(PRECOMMIT, round_, block_id, *indices)

    def show(self, kind: int, round_: int, block_id: bytes, *indices: int) -> None:
        """Show the machine a certificate, whole."""
        votes = tuple(self.vote(kind, round_, block_id, index) for index in indices)
        self.hear(CertificateArrived(Certificate(votes)))

    def fire(self, kind: TimerKind, round_: int | None = None) -> None:
        """Let a wait of the present round (or another) run out."""
        chosen = self.machine.round if round_ is None else round_
        self.hear(TimeoutFired(Timer(kind, self.machine.height, chosen)))

    def pass_round(self) -> None:
        """Let the present round end without a decision: everybody precommits nil."""
        round_ = self.machine.round
        self.fire(TimerKind.PROPOSE)
        self.prevote(round_, NIL, *self.others())
        self.fire(TimerKind.PREVOTE)
        self.precommit(round_, NIL, *self.others())
        self.fire(TimerKind.PRECOMMIT)

    def others(self) -> list[int]:
        """Everybody's index but ours."""
        return [index for index in range(len(self.validators)) if index != self.me]

    def built(self, round_: int, block_id: bytes) -> None:
        """Answer BuildBlock."""
        self.hear(BlockBuilt(self.machine.height, round_, block_id))

    def restart(self) -> None:
        """Lose power and come back with the newest record of the journal."""
        saved = [o.record for o in self.outputs if isinstance(o, Sign | Save)]
        self.machine = self.parts.machine(PROFILES["test"])
        self.outputs = []
        if saved:
            record = self.parts.record.decode(saved[-1])
            self._obey(self.machine.resume(self.started(record.height), record, self.now_ms))
        else:
            self.hear(self.started())

    # Looking

    def signed(self, kind: int, round_: int) -> list[tuple[bytes, int]]:
        """What the machine signed of one kind and round: (block id, valid round)."""
        found = [
            (o.message.block_id, o.message.valid_round)
            for o in self.outputs
            if isinstance(o, Sign) and (o.message.kind, o.message.round) == (kind, round_)
        ]
        return list(dict.fromkeys(found))

    def wanted(self, kind: type[Output]) -> list[Output]:
        """The wishes of one class so far."""
        return [output for output in self.outputs if isinstance(output, kind)]

    @property
    def decided(self) -> bytes | None:
        """The block that was decided."""
        found = self.wanted(Finalize)
        return found[0].block_id if found else None


__all__ = ["Accuse", "Broadcast", "BuildBlock", "Finalize", "Save", "Stage", "ValidateBlock"]
