"""Building a block when it is our turn.

    tip ─> evidence, last commit, VRF proof ─> context ─> inherents, then the pool's dearest
        ─> header ─> ExecutedBlock, kept like anybody's proposal

Two budgets bound it: bytes, and the time until peers stop waiting; when time is up the block is
closed with what it has. An empty block is always possible: if building fails for whatever reason,
the same block is built again without evidence and transactions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from chain.errors import InvalidBlock
from chain.importer import ExecutedBlock, Importer, advance, build_context
from chain.log import Log
from chain.seams import Clock
from consensus.evidence import Offender
from consensus.header import ConsensusFields, Header, NextEpoch, PreRuntime
from consensus.types import (
    BLOCK_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    Block,
    Commit,
    Evidence,
    encode_evidence,
    evidence_root,
    extrinsics_root,
    last_commit_hash,
)
from ext import hashing, store
from runtime.block import BlockContext, ExecResult
from runtime.frame.errors import CONTAINED

BUILD_MS: Final = 250
"""How long transactions are added: a quarter of the shortest wait for a proposal."""

RESERVED_BYTES: Final = 32 * 1024
"""Room in a block for header, last commit and inherents, which are always there."""

PREFIX_BYTES: Final = 4
"""What an extrinsic takes in a body beyond its own bytes."""


class Builder(Protocol):
    """The runtime, as the proposer needs it."""

    def build_block(
        self, overlay: store.Overlay, ctx: BlockContext, candidates: Iterable[bytes]
    ) -> tuple[tuple[bytes, ...], ExecResult, tuple[bytes, ...]]:
        """Give (body, result, candidates that are invalid now); raises InvalidBlock."""


class Prover(Protocol):
    """The holder of the VRF key."""

    @property
    def consensus_key(self) -> bytes:
        """The public key of votes, 32 bytes."""

    def prove_vrf(self, *, randomness: bytes, height: int) -> bytes:
        """Give the 80-byte proof that a header of this height carries."""


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """Our own block, and the hashes of candidates that proved invalid on the way."""

    executed: ExecutedBlock
    rejected: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is fixed before the first transaction runs."""

    header: PreRuntime
    evidence: tuple[Evidence, ...]
    offenders: tuple[Offender, ...]
    last_commit: Commit | None
    context: BlockContext


class Proposer:
    """Builds blocks on the tip with the keys of one validator."""

    def __init__(
        self,
        importer: Importer,
        builder: Builder,
        prover: Prover,
        clock: Clock,
        log: Log,
        *,
        block_bytes_max: int = BLOCK_BYTES_MAX,
        build_ms: int = BUILD_MS,
    ) -> None:
        self._importer = importer
        self._builder = builder
        self._prover = prover
        self._clock = clock
        self._log = log
        self._block_bytes_max = block_bytes_max
        self._build_ms = build_ms

    def build(self, round_: int, candidates: Iterable[bytes]) -> BuiltBlock:
        """Build a block for the height above the tip and keep it as an executed candidate.

        `candidates` are transactions, dearest first, each sender's in the order of nonces. Raises
        InvalidBlock when not even an empty block can be built, which is a mistake of ours.
        """
        deadline = self._clock.elapsed() + self._build_ms / 1000
        room = self._block_bytes_max - RESERVED_BYTES
        offences, tip = self._importer.offences, self._importer.tip
        evidence = offences.select(tip=tip, size_bytes_max=EVIDENCE_BYTES_MAX)
        room -= sum(len(encode_evidence(item)) for item in evidence)
        try:
            built = self._try(round_, evidence, self._draw(candidates, room, deadline))
        except (InvalidBlock, *CONTAINED) as error:
            self._log.error("building failed, trying an empty block", reason=str(error))
            built = self._try(round_, (), ())
        self._importer.keep(built.executed)
        return built

    def _draw(self, candidates: Iterable[bytes], room: int, deadline: float) -> Iterator[bytes]:
        """Yield candidates that fit until bytes or time run out."""
        for raw in candidates:
            if self._clock.elapsed() > deadline:
                return
            size = len(raw) + PREFIX_BYTES
            if size <= room:
                room -= size
                yield raw

    def _try(
        self, round_: int, evidence: tuple[Evidence, ...], candidates: Iterable[bytes]
    ) -> BuiltBlock:
        """Build a block with these items and candidates; raises InvalidBlock."""
        plan = self._plan(round_, evidence)
        overlay = self._importer.chain.state.overlay()
        body, result, rejected = self._builder.build_block(overlay, plan.context, candidates)
        block = self._assemble(plan, body, result)
        if len(block.encode()) > self._block_bytes_max:
            raise InvalidBlock("the block built is larger than allowed", field="size")
        schedule = self._importer.schedule
        next_schedule = advance(schedule, result)
        executed = ExecutedBlock(
            block, schedule, plan.context, plan.offenders, overlay, result, next_schedule
        )
        return BuiltBlock(executed, tuple(hashing.blake2b_256_many(list(rejected))))

    def _plan(self, round_: int, evidence: tuple[Evidence, ...]) -> _Plan:
        """Fix time, proof, evidence and last commit; raises InvalidBlock."""
        tip, validators = self._importer.tip, self._importer.schedule.current
        height = tip.number + 1
        index = validators.find_key(self._prover.consensus_key)
        blocks, offences = self._importer.chain.blocks, self._importer.offences
        randomness = blocks.randomness_at(height)
        if index is None or randomness is None:
            raise InvalidBlock("our key is not in the validator set", field="proposer_idx")
        pre_runtime = PreRuntime(
            time_ms=max(self._clock.now_ms(), tip.time_ms + 1),
            proposer_idx=index,
            set_id=validators.set_id,
            vrf_proof=self._prover.prove_vrf(randomness=randomness, height=height),
        )
        offenders = offences.collect(evidence, tip=tip)
        last_commit = blocks.commit(tip.number)
        draft = _draft_header(tip, pre_runtime)
        context = build_context(
            draft,
            genesis_hash=offences.genesis_hash,
            validators=validators,
            previous_set=self._importer.previous_set(),
            last_commit=last_commit,
            offenders=offenders,
            round_=round_,
        )
        return _Plan(pre_runtime, evidence, offenders, last_commit, context)

    def _assemble(self, plan: _Plan, body: Sequence[bytes], result: ExecResult) -> Block:
        """Put the header on what was executed."""
        schedule = self._importer.schedule
        announced = None
        if result.next_epoch is not None:
            epoch = result.next_epoch
            announced = NextEpoch(epoch.epoch, epoch.start_height, epoch.randomness, epoch.length)
        fields = ConsensusFields(
            evidence_root=evidence_root(plan.evidence),
            last_commit_hash=last_commit_hash(plan.last_commit),
            validators_hash=schedule.current.hash(),
            next_validators_hash=schedule.following.hash(),
            params_hash=result.params_hash,
            receipts_root=result.receipts_root,
            totals=result.totals,
        )
        header = Header(
            plan.context.parent_hash,
            plan.context.height,
            result.state_root,
            extrinsics_root(body),
            plan.header,
            fields,
            announced,
        )
        return Block(header, tuple(body), plan.evidence, plan.last_commit)


def _draft_header(tip: Header, pre_runtime: PreRuntime) -> Header:
    """Give a header that has only what a context is made from."""
    return Header(
        tip.block_id, tip.number + 1, bytes(32), bytes(32), pre_runtime, tip.consensus, None
    )
