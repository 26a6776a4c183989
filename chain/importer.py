"""The road of a block from bytes to a decided part of the chain; each stage is a type.

    bytes ── receive ──> ReceivedBlock      it decodes and is small enough
             check   ──> CheckedBlock       it fits the tip: number, hashes, sets, body, commit
             verify  ──> VerifiedBlock      every signature, the VRF proof, every piece of evidence
             execute ──> ExecutedBlock      run on an overlay of its own; every root compared
             decide  ──> ImportedBlock      a commit of the right set; saved, the rest dropped

A proposal and a block from sync go the same way. What a stage has shown, the next relies on and
nobody checks again; a stage cannot be skipped, because its type cannot be made otherwise.
Candidates stay overlays; only a decided block is saved. The id of an invalid block is remembered,
once its body is known to be the one its header commits to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from chain.errors import InvalidBlock
from chain.offences import Offences
from chain.storage.blocks import DecidedBlock
from chain.storage.state import StateStore
from chain.verified import SignatureItem, VerifiedSignatures
from consensus import beacon, leader
from consensus.evidence import Offender
from consensus.header import NextEpoch
from consensus.types import (
    BLOCK_BYTES_MAX,
    Block,
    Certificate,
    Commit,
    Header,
    Malformed,
    ValidatorSet,
)
from consensus.valset import ValidatorSchedule
from ext import signing, store
from runtime.block import BlockContext, ExecResult, Misbehaviour
from runtime.primitives import AccountId
from runtime.versions import read_due

CANDIDATES_MAX: Final = 8
"""Blocks of one height that are kept executed: several rounds and an equivocating proposer."""

REFUSED_MAX: Final = 1_024
"""Ids of invalid blocks that are remembered."""


class Execution(Protocol):
    """The runtime, as the importer needs it."""

    def round_of(self, extrinsics: Sequence[bytes]) -> int:
        """Give the round that a body says it was built in; raises InvalidBlock."""

    def signature_items(self, extrinsics: Sequence[bytes], *, height: int) -> list[SignatureItem]:
        """Give what must verify in a body at a height; raises InvalidBlock."""

    def execute_block(
        self, overlay: store.Overlay, ctx: BlockContext, extrinsics: Sequence[bytes]
    ) -> ExecResult:
        """Run a body on an overlay; raises InvalidBlock."""


@dataclass(frozen=True, slots=True)
class ReceivedBlock:
    """A block that decoded."""

    block: Block

    @property
    def block_id(self) -> bytes:
        """The 32-byte hash of the header."""
        return self.block.block_id


@dataclass(frozen=True, slots=True)
class CheckedBlock:
    """A block that fits on the tip; `schedule` has the sets of its height and the next."""

    block: Block
    schedule: ValidatorSchedule


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """A block all of whose signatures, proofs and evidence hold, and what it is executed with."""

    block: Block
    schedule: ValidatorSchedule
    context: BlockContext
    offenders: tuple[Offender, ...]


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A valid block: its overlay, what it did, and the sets that follow from it."""

    block: Block
    schedule: ValidatorSchedule
    context: BlockContext
    offenders: tuple[Offender, ...]
    overlay: store.Overlay
    result: ExecResult
    next_schedule: ValidatorSchedule

    @property
    def block_id(self) -> bytes:
        """The 32-byte hash of the header."""
        return self.block.block_id

    @property
    def round(self) -> int:
        """The round it was built in; a fresh proposal of another round is not valid."""
        return self.context.round


@dataclass(frozen=True, slots=True)
class ImportedBlock:
    """A decided block that is on disk."""

    decided: DecidedBlock
    result: ExecResult
    schedule: ValidatorSchedule
    """The sets of the next height and of the one after it."""


class Importer:
    """Takes blocks on top of the tip of one chain. Not for use by several threads at once."""

    def __init__(
        self,
        chain: StateStore,
        execution: Execution,
        offences: Offences,
        verified: VerifiedSignatures,
        *,
        block_bytes_max: int = BLOCK_BYTES_MAX,
    ) -> None:
        self.chain = chain
        self._execution = execution
        self.offences = offences
        self._verified = verified
        self._block_bytes_max = block_bytes_max
        self._candidates: dict[bytes, ExecutedBlock] = {}
        self._refused: dict[bytes, InvalidBlock] = {}
        self.schedule = read_schedule(chain)

    @property
    def tip(self) -> Header:
        """The newest decided header."""
        return self.chain.tip

    def find_candidate(self, block_id: bytes) -> ExecutedBlock | None:
        """Give a block that was executed on the present tip, or None."""
        return self._candidates.get(block_id)

    def find_refusal(self, block_id: bytes) -> InvalidBlock | None:
        """Give why a block is known to be invalid, or None."""
        return self._refused.get(block_id)

    def receive(self, data: bytes) -> ReceivedBlock:
        """Decode a block; raises InvalidBlock."""
        try:
            return ReceivedBlock(Block.decode(data, self._block_bytes_max))
        except ValueError as error:
            raise InvalidBlock(f"the block does not decode: {error}", field="encoding") from error

    def prepare(self, received: ReceivedBlock) -> ExecutedBlock:
        """Take a block through all stages up to execution, or give it from memory."""
        known = self._candidates.get(received.block_id)
        if known is not None:
            return known
        return self.execute(self.verify(self.check(received)))

    def check(self, received: ReceivedBlock) -> CheckedBlock:
        """See whether a block fits on the tip, reading no signature; raises InvalidBlock."""
        block = received.block
        refusal = self._refused.get(block.block_id)
        if refusal is not None:
            raise refusal
        check_place(block.header, self.chain.tip)
        try:
            block.check_body()
        except Malformed as error:
            raise InvalidBlock(str(error), field="body", block_id=block.block_id) from error
        try:
            check_header(block.header, self.chain.tip, self.schedule)
            check_last_commit(block, self.chain.tip, self.previous_set())
        except InvalidBlock as error:
            self._refuse(block, error)
        return CheckedBlock(block, self.schedule)

    def previous_set(self) -> ValidatorSet:
        """Give the set that decided the tip."""
        found = self.chain.blocks.validators_at(self.chain.height)
        if found is None:
            raise AssertionError("the set that decided the tip is always kept")
        return found

    def next_version(self) -> int:
        """Give the version of the rules of the block above the tip."""
        return read_due(self.chain.state, self.chain.height + 1).version

    def verify(self, checked: CheckedBlock) -> VerifiedBlock:
        """Verify proofs, evidence and, in one batch, every signature; raises InvalidBlock."""
        block, schedule = checked.block, checked.schedule
        randomness = self.chain.blocks.randomness_at(block.height)
        if randomness is None:
            raise AssertionError("the epoch of the next block is always kept")
        try:
            round_ = self._execution.round_of(block.extrinsics)
            check_proposer(block.header, schedule.current, randomness, round_)
            check_proof(block.header, schedule.current, randomness, self.offences.genesis_hash)
            offenders = self._judge_evidence(block)
            items = self._execution.signature_items(block.extrinsics, height=block.height)
            if block.last_commit is not None:
                items += block.last_commit.signature_items(
                    self.previous_set(), self.offences.genesis_hash
                )
            self._verify_signatures(items)
        except InvalidBlock as error:
            self._refuse(block, error)
        context = build_context(
            block.header,
            genesis_hash=self.offences.genesis_hash,
            validators=schedule.current,
            previous_set=self.previous_set(),
            last_commit=block.last_commit,
            offenders=offenders,
            round_=round_,
            spec_version=self.next_version(),
        )
        return VerifiedBlock(block, schedule, context, offenders)

    def _judge_evidence(self, block: Block) -> tuple[Offender, ...]:
        """Give the new offences of a block; raises InvalidBlock."""
        try:
            return self.offences.collect(block.evidence, tip=self.chain.tip)
        except Malformed as error:
            raise InvalidBlock(str(error), field="evidence") from error

    def _verify_signatures(self, items: Sequence[SignatureItem]) -> None:
        """Verify in one batch what nobody verified before; raises InvalidBlock."""
        unknown = self._verified.select_unknown(items)
        if not all(signing.verify_many(unknown)):
            raise InvalidBlock(
                "a signature of a transaction or of the last commit does not verify",
                field="signature",
            )

    def execute(self, verified: VerifiedBlock) -> ExecutedBlock:
        """Run a block on an overlay of its own and compare every result; raises InvalidBlock."""
        block = verified.block
        overlay = self.chain.state.overlay()
        try:
            result = self._execution.execute_block(overlay, verified.context, block.extrinsics)
            check_result(block.header, result)
            next_schedule = advance(verified.schedule, result)
        except InvalidBlock as error:
            self._refuse(block, error)
        executed = ExecutedBlock(
            block,
            verified.schedule,
            verified.context,
            verified.offenders,
            overlay,
            result,
            next_schedule,
        )
        self.keep(executed)
        return executed

    def keep(self, executed: ExecutedBlock) -> None:
        """Remember an executed block, our own proposal or another's; the oldest goes."""
        if len(self._candidates) >= CANDIDATES_MAX:
            self._candidates.pop(next(iter(self._candidates)))
        self._candidates[executed.block_id] = executed

    def verify_commit(self, executed: ExecutedBlock, commit: Commit) -> bool:
        """Whether a commit decides this block by the right set, every signature being valid."""
        header = executed.block.header
        if (commit.height, commit.block_id) != (header.number, header.block_id):
            return False
        return self.verify_commits([commit], executed.schedule.current)

    def verify_commits(self, commits: Sequence[Commit], validators: ValidatorSet) -> bool:
        """Whether a quorum of this set signed each, in one batch; good signatures are remembered.

        So that a commit costs its signatures once: here, and not again when its block is decided
        or the next block carries it.
        """
        items: list[SignatureItem] = []
        try:
            for commit in commits:
                commit.check(validators)
                items += commit.signature_items(validators, self.offences.genesis_hash)
        except ValueError:
            return False
        unknown = self._verified.select_unknown(items)
        is_good = all(signing.verify_many(unknown))
        if is_good:
            self._verified.add(unknown)
        return is_good

    def decide(
        self, executed: ExecutedBlock, commit: Commit, polka: Certificate | None,
        *, is_held: bool = False,
    ) -> ImportedBlock:  # fmt: skip
        """Save a decided block, or hold it for `save_held`, and drop all other candidates.

        Raises InvalidBlock when the commit does not decide it, StorageError when the disk fails.
        """
        if not self.verify_commit(executed, commit):
            raise InvalidBlock("the commit does not decide this block", field="commit")
        following, after = executed.next_schedule.current, executed.next_schedule.following
        decided = DecidedBlock(
            executed.block,
            executed.result.receipts,
            commit,
            polka,
            set_after_next=after if after != following else None,
            offences=tuple(offender.key for offender in executed.offenders),
        )
        self.chain.commit_block(decided, executed.overlay, is_held=is_held)
        self._candidates.clear()
        self.schedule = executed.next_schedule
        self.offences.on_block(executed.offenders, tip=executed.block.header)
        return ImportedBlock(decided, executed.result, self.schedule)

    def _refuse(self, block: Block, error: InvalidBlock) -> NoReturn:
        """Remember an invalid block; its id stands for its whole content by now."""
        refusal = InvalidBlock(error.reason, field=error.field, block_id=block.block_id)
        if len(self._refused) >= REFUSED_MAX:
            self._refused.pop(next(iter(self._refused)))
        self._refused[block.block_id] = refusal
        raise refusal from error


def read_schedule(chain: StateStore) -> ValidatorSchedule:
    """Give the sets of the two heights above the tip."""
    current = chain.blocks.validators_at(chain.height + 1)
    following = chain.blocks.validators_at(chain.height + 2)
    if current is None or following is None:
        raise AssertionError("the sets above the tip are written with it")
    return ValidatorSchedule(chain.height + 1, current, following)


def check_place(header: Header, tip: Header) -> None:
    """Raise InvalidBlock unless a header is for the height above this tip."""
    if header.number != tip.number + 1:
        raise InvalidBlock(
            f"block {header.number} does not follow the tip at height {tip.number}", field="number"
        )
    if header.parent_hash != tip.block_id:
        raise InvalidBlock("the parent is not the decided block", field="parent_hash")


def check_header(header: Header, tip: Header, schedule: ValidatorSchedule) -> None:
    """Raise InvalidBlock unless time, sets and proposer fit the tip."""
    fields = header.consensus
    if header.time_ms <= tip.time_ms:
        raise InvalidBlock("the time is not later than the parent's", field="time_ms")
    if header.set_id != schedule.current.set_id:
        raise InvalidBlock(f"the set is {schedule.current.set_id}", field="set_id")
    if header.proposer_idx >= len(schedule.current):
        raise InvalidBlock("the proposer is not in the set", field="proposer_idx")
    if fields.validators_hash != schedule.current.hash():
        raise InvalidBlock("the hash of the validator set is wrong", field="validators_hash")
    if fields.next_validators_hash != schedule.following.hash():
        raise InvalidBlock("the hash of the next set is wrong", field="next_validators_hash")


def check_last_commit(block: Block, tip: Header, previous_set: ValidatorSet) -> None:
    """Raise InvalidBlock unless the last commit decides the tip; no signature is read."""
    commit = block.last_commit
    if commit is None:
        return
    if (commit.height, commit.block_id) != (tip.number, tip.block_id):
        raise InvalidBlock("the last commit is for another block", field="last_commit")
    try:
        commit.check(previous_set)
    except Malformed as error:
        raise InvalidBlock(str(error), field="last_commit") from error


def check_proposer(
    header: Header, validators: ValidatorSet, randomness: bytes, round_: int
) -> None:
    """Raise InvalidBlock unless it was the proposer's turn in the round the body names."""
    if round_ > ROUND_MAX:
        raise InvalidBlock(f"a block is built in a round up to {ROUND_MAX}", field="round")
    if leader.proposer(validators, randomness, header.number, round_) != header.proposer_idx:
        raise InvalidBlock(
            f"it was not the turn of validator {header.proposer_idx} in round {round_}",
            field="proposer_idx",
        )


ROUND_MAX: Final = 1 << 20
"""Weeks of rounds without a decision; a larger number is made up."""


def check_proof(
    header: Header, validators: ValidatorSet, randomness: bytes, genesis_hash: bytes
) -> None:
    """Raise InvalidBlock unless the VRF proof is the proposer's for this height."""
    is_good = beacon.verify_proof(
        vrf_key=validators[header.proposer_idx].vrf_key,
        proof=header.pre_runtime.vrf_proof,
        genesis_hash=genesis_hash,
        randomness=randomness,
        height=header.number,
    )
    if not is_good:
        raise InvalidBlock("the VRF proof does not verify", field="vrf_proof")


def check_result(header: Header, result: ExecResult) -> None:
    """Raise InvalidBlock unless execution gives what the header says."""
    fields = header.consensus
    announced = None
    if result.next_epoch is not None:
        epoch = result.next_epoch
        announced = NextEpoch(epoch.epoch, epoch.start_height, epoch.randomness, epoch.length)
    compared = (
        ("receipts_root", fields.receipts_root, result.receipts_root),
        ("totals", fields.totals, result.totals),
        ("params_hash", fields.params_hash, result.params_hash),
        ("next_epoch", header.next_epoch, announced),
        ("state_root", header.state_root, result.state_root),
    )
    for field, claimed, found in compared:
        if claimed != found:
            raise InvalidBlock(
                f"execution gives another {field.replace('_', ' ')} than the header", field=field
            )


def advance(schedule: ValidatorSchedule, result: ExecResult) -> ValidatorSchedule:
    """Give the sets after a block's updates; raises InvalidBlock when there is no legal set."""
    try:
        return schedule.advance(result.validator_updates)
    except Malformed as error:
        raise InvalidBlock(
            f"the validator updates are illegal: {error}", field="validator_updates"
        ) from error


def build_context(
    header: Header,
    *,
    genesis_hash: bytes,
    validators: ValidatorSet,
    previous_set: ValidatorSet,
    last_commit: Commit | None,
    offenders: Sequence[Offender],
    round_: int,
    spec_version: int,
) -> BlockContext:
    """Give what a block with this header is executed with."""
    flags = () if last_commit is None else last_commit.signed_flags(len(previous_set))
    return BlockContext(
        genesis_hash=genesis_hash,
        height=header.number,
        parent_hash=header.parent_hash,
        time_ms=header.time_ms,
        spec_version=spec_version,
        proposer=AccountId(validators[header.proposer_idx].account),
        entropy=beacon.entropy(header.pre_runtime.vrf_proof),
        round=round_,
        last_commit_round=0 if last_commit is None else last_commit.round,
        last_commit=flags,
        misbehaviour=tuple(_misbehaviour(offender) for offender in offenders),
    )


def _misbehaviour(offender: Offender) -> Misbehaviour:
    """Say an offence in the runtime's words."""
    return Misbehaviour(
        kind=offender.kind,
        account=AccountId(offender.account),
        height=offender.height,
        time_ms=offender.time_ms,
        power=offender.power,
        total_power=offender.total_power,
        evidence_hash=offender.evidence_hash,
    )
