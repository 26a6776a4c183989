"""Building a block when it is our turn.

    plan of the driver, evidence ─> context ─> inherents, then the pool's dearest
        ─> header ─> ExecutedBlock, kept like anybody's proposal

Two budgets bound it: bytes, and the time until peers stop waiting; when time is up the block is
closed with what it has: the runtime draws transactions as it runs them. If building fails, evidence
is blamed first and the block built again without it, at last also without transactions: an empty
block is always possible.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from chain.engine import BuildPlan
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

BUILD_SHARE: Final = 4
"""Transactions are added for one part in four of the wait for a proposal: peers execute too."""

BUILD_MS: Final = 250
"""How long transactions are added where nobody says otherwise, in milliseconds."""

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


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """Our own block, and the hashes of candidates that proved invalid on the way."""

    executed: ExecutedBlock
    rejected: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Draft:
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
        clock: Clock,
        log: Log,
        *,
        block_bytes_max: int = BLOCK_BYTES_MAX,
        build_ms: int = BUILD_MS,
    ) -> None:
        self._importer = importer
        self._builder = builder
        self._clock = clock
        self._log = log
        self._block_bytes_max = block_bytes_max
        self._build_ms = build_ms

    def build(self, plan: BuildPlan, candidates: Sequence[bytes]) -> BuiltBlock:
        """Build a block for the height above the tip and keep it as an executed candidate.

        `candidates` are transactions, dearest first, each sender's in the order of nonces. Raises
        InvalidBlock when not even an empty block can be built, which is a mistake of ours.
        """
        offences, tip = self._importer.offences, self._importer.tip
        evidence = offences.select(tip=tip, time_ms=plan.time_ms, size_bytes_max=EVIDENCE_BYTES_MAX)
        built = self._attempt(plan, evidence, candidates)
        if built is None and evidence:
            built = self._attempt(plan, (), candidates)
            if built is not None:
                offences.blame(evidence)
        if built is None:
            built = self._try(plan, (), ())
        self._importer.keep(built.executed)
        return built

    def _attempt(
        self, plan: BuildPlan, evidence: tuple[Evidence, ...], candidates: Sequence[bytes]
    ) -> BuiltBlock | None:
        """Build a block with evidence and transactions, each attempt with its own time; or None."""
        try:
            return self._try(plan, evidence, self._draw(candidates, evidence))
        except (InvalidBlock, *CONTAINED) as error:
            self._log.error("building failed", evidence=len(evidence), reason=str(error))
            return None

    def _draw(self, candidates: Sequence[bytes], evidence: tuple[Evidence, ...]) -> Iterator[bytes]:
        """Yield candidates that fit until bytes or time run out."""
        deadline = self._clock.elapsed() + self._build_ms / 1000
        room = self._block_bytes_max - RESERVED_BYTES
        room -= sum(len(encode_evidence(item)) for item in evidence)
        for raw in candidates:
            if self._clock.elapsed() > deadline:
                return
            size = len(raw) + PREFIX_BYTES
            if size <= room:
                room -= size
                yield raw

    def _try(
        self, plan: BuildPlan, evidence: tuple[Evidence, ...], candidates: Iterable[bytes]
    ) -> BuiltBlock:
        """Build a block with these items and candidates; raises InvalidBlock."""
        importer = self._importer
        draft = _draft(plan, evidence, importer)
        overlay = importer.chain.state.overlay()
        body, result, rejected = self._builder.build_block(overlay, draft.context, candidates)
        block = self._assemble(draft, body, result)
        if len(block.encode()) > self._block_bytes_max:
            raise InvalidBlock("the block built is larger than allowed", field="size")
        schedule = importer.schedule
        next_schedule = advance(schedule, result)
        executed = ExecutedBlock(
            block, schedule, draft.context, draft.offenders, overlay, result, next_schedule
        )
        return BuiltBlock(executed, tuple(hashing.blake2b_256_many(list(rejected))))

    def _assemble(self, draft: _Draft, body: Sequence[bytes], result: ExecResult) -> Block:
        """Put the header on what was executed."""
        schedule = self._importer.schedule
        announced = None
        if result.next_epoch is not None:
            epoch = result.next_epoch
            announced = NextEpoch(epoch.epoch, epoch.start_height, epoch.randomness, epoch.length)
        fields = ConsensusFields(
            evidence_root=evidence_root(draft.evidence),
            last_commit_hash=last_commit_hash(draft.last_commit),
            validators_hash=schedule.current.hash(),
            next_validators_hash=schedule.following.hash(),
            params_hash=result.params_hash,
            receipts_root=result.receipts_root,
            totals=result.totals,
        )
        header = Header(
            draft.context.parent_hash,
            draft.context.height,
            result.state_root,
            extrinsics_root(body),
            draft.header,
            fields,
            announced,
        )
        return Block(header, tuple(body), draft.evidence, draft.last_commit)


def _draft(plan: BuildPlan, evidence: tuple[Evidence, ...], importer: Importer) -> _Draft:
    """Fix all that does not come from execution; raises InvalidBlock."""
    tip, validators = importer.tip, importer.schedule.current
    if plan.height != tip.number + 1:
        raise InvalidBlock(f"the plan is for height {plan.height}, not the next", field="number")
    pre_runtime = PreRuntime(plan.time_ms, plan.proposer_idx, validators.set_id, plan.vrf_proof)
    header = Header(
        tip.block_id, plan.height, bytes(32), bytes(32), pre_runtime, tip.consensus, None
    )
    offenders = importer.offences.collect(evidence, tip=tip)
    context = build_context(
        header,
        genesis_hash=importer.offences.genesis_hash,
        validators=validators,
        previous_set=importer.previous_set(),
        last_commit=plan.last_commit,
        offenders=offenders,
        round_=plan.round,
        spec_version=importer.next_version(),
    )
    return _Draft(pre_runtime, evidence, offenders, plan.last_commit, context)
