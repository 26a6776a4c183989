"""A validator's life on a real disk: storage, journals and keys of a node, without its network.

    sync     blocks that the others decided, held and saved in runs
    decide   the body is saved, the votes are journalled and signed, the block is committed
    upkeep   index, flush

The others are a chain that was made before, and the keys of all of them. Whatever left the process,
signatures and decided blocks, is written down, so that whoever comes back can be held to it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from chain.audit.replay import replay
from chain.audit.source import open_source
from chain.events import EventReader
from chain.genesis import ChainStart, read_spec, start_chain
from chain.identity import create_identity
from chain.importer import ReceivedBlock
from chain.keyfile import ValidatorKeys
from chain.signer import GateView, PeerHeight, Refusal, Signer, SigningRefused, open_signer
from chain.wallet.derivation import derive
from consensus.types import NO_ROUND, PRECOMMIT, PREVOTE, Decision, Proposal, Vote
from tests.support.solo import Solo, consensus_seed, vrf_seed

NAME = "Alice"
"""The validator whose life it is; her keys are a development node's."""

KEYS = ValidatorKeys(derive(f"//{NAME}").public, consensus_seed(NAME), vrf_seed(NAME))
POSITIONS_ASKED = 8
"""Positions signed for last at which whoever comes back is asked for another vote."""

ROUNDS_MAX = 12
SYNCED_BLOCKS = 8
"""Blocks that the others can decide without us: later the set is another one."""


class Broken(AssertionError):
    """A promise that was not kept: the ordeal found a fault of ours."""


@dataclass
class Memory:
    """What the world knows of a life: nothing of it may be taken back."""

    signed: dict[tuple[bytes, int, int, int], bytes] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    acked: int = 0
    """The height up to which the store said that blocks are on disk."""

    def copy(self) -> "Memory":
        return Memory(dict(self.signed), dict(self.decisions), self.acked)

    def note(self, key: bytes, position: tuple[int, int, int], signed: bytes) -> None:
        """A signature left the process."""
        known = self.signed.setdefault((key, *position), signed)
        if known != signed:
            raise Broken(f"the key signed twice at {position}")

    def floor(self, key: bytes) -> tuple[int, int, int]:
        """The highest position that anybody saw a signature for."""
        return max((name[1:] for name in self.signed if name[0] == key), default=(0, 0, 0))


@contextmanager
def listening(memory: Memory) -> Iterator[None]:
    """Write down every signature that any signer of this process gives away meanwhile."""
    honest = Signer.sign

    def sign(self: Signer, message: Any, *, set_id: int, record: bytes) -> Any:
        given = honest(self, message, set_id=set_id, record=record)
        position = (message.height, message.round, message.kind)
        memory.note(self.consensus_key, position, message.sign_bytes(self._genesis_hash, set_id))
        return given

    Signer.sign = sign
    try:
        yield
    finally:
        Signer.sign = honest


@cache
def find_start() -> ChainStart:
    """The chain of all ordeals: the test chain."""
    return start_chain(read_spec("test"))


@cache
def find_options(*, is_archive: bool) -> dict[str, Any]:
    """How a store keeps things: with an account index, and every height or the last few."""
    options: dict[str, Any] = {"find_touched": EventReader().find_touched}
    return {**options, "keep_blocks": 0} if is_archive else options


@cache
def find_others(count: int) -> tuple[Decision, ...]:
    """So many blocks that the other validators decided without us."""
    with TemporaryDirectory(prefix="ordeal-") as home:
        solo = Solo(Path(home), start=find_start())
        decisions = []
        for number in range(count):
            if number % 3 == 0:
                solo.submit(solo.transfer("Bob", "Charlie", 2_000_000_000 + number))
            validators = solo.importer.schedule.current
            me = validators.find_key(KEYS.consensus_key)
            imported = solo.step(skip=() if me is None else (me,))
            block = imported.decided.block
            decisions.append(Decision(block, imported.decided.commit, None))
        solo.close()
    return tuple(decisions)


class Life:
    """One process: it opens a home, and works until it is closed or dies."""

    def __init__(self, home: Path, memory: Memory, *, chance: Random, is_archive: bool) -> None:
        self.home, self.memory, self.chance = home, memory, chance
        start = find_start()
        keys = home / "keys"
        if not (keys / "validator.key").exists() and not memory.signed:
            keys.mkdir(parents=True, exist_ok=True)
            create_identity(keys, KEYS, start.hash)
        self.solo = Solo(home, start=start, options=find_options(is_archive=is_archive))
        self.chain = self.solo.chain
        try:
            self.signer = open_signer(keys, start.hash)
        except BaseException:
            self.solo.close()
            raise

    def close(self) -> None:
        """End in order."""
        self.signer.close()
        self.solo.close()

    def die(self) -> None:
        """Give back the files of a process that crashed, as the system would; nothing is said."""
        with suppress(Exception):
            self.signer.close()
        with suppress(Exception):
            self.solo.close()

    # ---- what the others decided

    def sync(self, decisions: Iterator[Decision], count: int, *, is_held: bool) -> None:
        """Adopt decided blocks: held, to be saved with `save`, or one by one."""
        importer = self.solo.importer
        for _ in range(count):
            decision = next(decisions)
            self.memory.decisions[decision.height] = decision
            executed = importer.prepare(ReceivedBlock(decision.block))
            importer.decide(executed, decision.commit, None, is_held=is_held)
            if not is_held:
                self.memory.acked = self.chain.height

    def save(self) -> None:
        """Save what is held."""
        self.chain.save_held()
        self.memory.acked = self.chain.height

    def catch_up(self) -> None:
        """Take over from the others what was decided and is not here."""
        waiting = [
            self.memory.decisions[height]
            for height in range(self.chain.height + 1, max(self.memory.decisions, default=0) + 1)
        ]
        self.sync(iter(waiting), len(waiting), is_held=False)

    # ---- deciding

    def decide(self) -> None:
        """Make the next block with the others, voting for it as far as the journal lets us."""
        solo, chance = self.solo, self.chance
        if chance.random() < 0.5:
            solo.submit(solo.transfer("Dave", "Eve", chance.randrange(10**9, 10**11)))
        for round_ in range(ROUNDS_MAX):
            executed = solo.build(round_)
            with suppress(SigningRefused):
                self._vote(executed, round_)
                break
        else:
            raise Broken(f"the key signs nothing at height {self.chain.height + 1}")
        commit = solo.commit_for(executed.block.header)
        self.memory.decisions[executed.block.height] = Decision(executed.block, commit, None)
        solo.importer.decide(executed, commit, None)
        self.memory.acked = self.chain.height
        solo.pool.on_block(executed.block_id, executed.block.extrinsics)

    def _vote(self, executed: Any, round_: int) -> None:
        """Propose when it is our turn, prevote, precommit; each is journalled before it is said."""
        block, validators = executed.block, self.solo.importer.schedule.current
        me = validators.find_key(self.signer.consensus_key)
        if me is None:
            return
        height, block_id = block.height, block.block_id
        messages: list[Proposal | Vote] = [
            Vote(PREVOTE, height, round_, block_id, NO_ROUND, me),
            Vote(PRECOMMIT, height, round_, block_id, NO_ROUND, me),
        ]
        if block.header.proposer_idx == me:
            messages.insert(0, Proposal(height, round_, block_id, NO_ROUND, me))
        for message in messages:
            if message.kind != PREVOTE:
                self.chain.save_candidate(block)
            record = self.chance.randbytes(64)
            self.signer.sign(message, set_id=validators.set_id, record=record)

    def upkeep(self) -> None:
        """Index and flush, as a node does behind its back."""
        self.chain.index()
        self.chain.flush()

    # ---- promises

    def check_chain(self) -> None:
        """Raise Broken unless every block here is the one that was decided, and none is lost."""
        for height in range(1, self.chain.height + 1):
            known, here = self.memory.decisions.get(height), self.chain.blocks.block(height)
            if known is None or here is None or here.block_id != known.block.block_id:
                raise Broken(f"block {height} is not the one that was decided")
            if self.chain.blocks.commit(height) is None:
                raise Broken(f"block {height} has no commit")

    def check_kept(self) -> None:
        """Raise Broken unless all that was acknowledged is here."""
        if self.chain.height < self.memory.acked:
            raise Broken(f"{self.memory.acked} blocks were on disk, {self.chain.height} are here")
        if not self.chain.is_finality_covered:
            raise Broken("the finality journal has blocks that the database lacks")

    def is_gate_shut(self) -> bool:
        """Whether the gate refuses because the database lacks what was final here."""
        validators = self.solo.importer.schedule.current
        height = self.chain.height + 1
        view = GateView(
            height=height,
            validators=validators,
            peers=tuple(PeerHeight(index, height) for index in range(len(validators))),
            is_syncing=False,
            is_commit_known=False,
            is_finality_covered=self.chain.is_finality_covered,
            is_state_restored=True,
        )
        reasons = self.signer.refusals(view)
        return Refusal.BEHIND_FINALITY in reasons or Refusal.BEHIND_JOURNAL in reasons

    def check_signer(self) -> int:
        """Ask for another vote wherever one was given; Broken when it is given, else how often."""
        key, memory = self.signer.consensus_key, self.memory
        if self.signer.floor < memory.floor(key):
            raise Broken(f"the journal stands at {self.signer.floor}, below {memory.floor(key)}")
        positions = sorted(name[1:] for name in memory.signed if name[0] == key)
        refused = 0
        for height, round_, kind in positions[-POSITIONS_ASKED:]:
            other = self.chance.randbytes(32)
            message = (
                Proposal(height, round_, other, NO_ROUND, 0)
                if kind not in (PREVOTE, PRECOMMIT)
                else Vote(kind, height, round_, other, NO_ROUND, 0)
            )
            with suppress(SigningRefused):
                self.signer.sign(message, set_id=0, record=b"")
                raise Broken(f"the key signs something else at {(height, round_, kind)}")
            refused += 1
        return refused


def check_audit(home: Path, height: int) -> None:
    """Raise Broken unless an audit of a closed home is clean up to a height."""
    source = open_source(home)
    try:
        report = replay(source)
    finally:
        source.close()
    if report.finding is not None or report.height != height:
        raise Broken(f"the audit says {report.finding} at {report.height}, not clean at {height}")


def come_back(
    home: Path, memory: Memory, *, chance: Random, is_archive: bool,
    check: Callable[[Life], None] | None = None,
) -> int:  # fmt: skip
    """Start again in a home and hold it to all promises; gives the votes that it refused.

    Then it catches up, decides two more blocks, and is audited.
    """
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=is_archive)
        try:
            (check or Life.check_kept)(life)
            life.check_chain()
            refused = life.check_signer()
            life.catch_up()
            for _ in range(2):
                life.decide()
            life.check_chain()
            life.upkeep()
            height = life.chain.height
        finally:
            life.die()
    check_audit(home, height)
    return refused
