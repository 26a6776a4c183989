"""Executing every stored block again and comparing whatever anybody wrote down about it.

    source ─> block ─> links, sets, roots of the body ─> proofs, evidence, signatures ─> execution
                        │                                                                 │
                        '────── each header field is computed here and compared ──────────'
           ─> receipts, difference, commit, invariants ─> digest of every thousand blocks

This shares the runtime with the node and nothing with its import: headers are rebuilt from parts
and compared field by field, the state lives in memory only, money is counted by the store itself.
The first fault ends the replay; its height is named, and module and key where the state differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chain.audit.findings import Mismatch
from chain.audit.records import (
    AuditView,
    KeyNames,
    compare_difference,
    compare_flat_state,
    compare_history,
    compare_records,
)
from chain.audit.source import Source
from chain.audit.spaces import compare_spaces
from chain.errors import ConfigError, InvalidBlock, StorageError
from chain.events import EventReader
from chain.genesis import ChainStart, start_chain
from chain.importer import build_context
from chain.releases import Executives, Releases
from chain.storage.archive import ArchivedBlock
from consensus import beacon, leader
from consensus.errors import Malformed
from consensus.evidence import EvidenceWindow, Offender, verify_evidence
from consensus.header import ConsensusFields, Header, NextEpoch, PreRuntime
from consensus.types import (
    Block,
    Certificate,
    Evidence,
    evidence_root,
    extrinsics_root,
    last_commit_hash,
)
from consensus.valset import ValidatorSchedule
from ext import CORE, hashing, signing, store
from runtime.block import INHERENTS, ContextNote, ExecResult
from runtime.executive import Executive
from runtime.frame.errors import InvalidBlock as RuntimeInvalidBlock
from runtime.frame.errors import InvalidTransaction
from runtime.totals import decode_totals
from runtime.transaction import decode_inherent, decode_transaction

DIGEST_BLOCKS: Final = 1_000
"""Blocks in one digest: two auditors compare a few lines instead of a chain."""

INVARIANT_BLOCKS: Final = 100
"""Heights between two checks of every invariant, whose cost grows with the state."""

OFFENDERS_MAX: Final = 32
"""Offences that one block records, as everywhere in the chain."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The first fault: its height, a sentence, and for a state the module and the storage key."""

    height: int
    what: str
    module: str = ""
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Digest:
    """A hash over all block ids and state roots up to a height."""

    height: int
    value: bytes


@dataclass(slots=True)
class ReplayReport:
    """What a replay found; clean when `finding` is None."""

    genesis_hash: bytes
    core: str
    height: int = 0
    extrinsics: int = 0
    signatures: int = 0
    issuance: int = 0
    state_root: bytes = b""
    digests: list[Digest] = field(default_factory=list)
    finding: Finding | None = None

    @property
    def is_clean(self) -> bool:
        """Whether every block up to `height` is what it claims to be."""
        return self.finding is None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How far to go, and from which height on signatures and proofs are verified."""

    last_height: int | None = None
    verify_from: int = 0
    invariant_blocks: int = INVARIANT_BLOCKS
    releases: Releases = field(default_factory=Releases)


Progress = Callable[[int, int | None], None]
"""Hears (height done, last height if known)."""


def replay(
    source: Source,
    options: ReplayOptions | None = None,
    *,
    progress: Progress = lambda _height, _last: None,
    on_block: Callable[["Replay", ArchivedBlock], None] = lambda _replay, _stored: None,
) -> ReplayReport:
    """Execute a chain again from its genesis; gives what was found, raises nothing about it.

    `on_block` sees each block after it was found clean, with the state that it left.
    """
    options = options or ReplayOptions()
    report = ReplayReport(source.genesis_hash, CORE)
    place = 0
    try:
        run = Replay(source, options, report)
        place = 1
        for stored in source.blocks():
            if options.last_height is not None and stored.height > options.last_height:
                break
            run.step(stored)
            on_block(run, stored)
            progress(stored.height, source.last_height())
            place = stored.height + 1
        place = report.height
        run.finish()
    except Mismatch as found:
        place = place if found.height is None else found.height
        report.finding = Finding(place, found.what, found.module, found.key)
    except StorageError as error:
        report.finding = Finding(getattr(error, "height", place), str(error))
    return report


def _differs(kept: dict[bytes, bytes | None], made: dict[bytes, bytes | None], key: bytes) -> bool:
    """Whether two sets of changes say different things of a key."""
    return (key in kept) != (key in made) or kept.get(key) != made.get(key)


def _start(source: Source) -> ChainStart:
    """Build the genesis that the source's spec describes; raises Mismatch."""
    try:
        start = start_chain(source.spec_text)
    except ConfigError as error:
        raise Mismatch(f"the chain spec cannot be used: {error}") from error
    if start.hash != source.genesis_hash:
        raise Mismatch(
            f"the chain spec makes genesis 0x{start.hash.hex()}, the source says "
            f"0x{source.genesis_hash.hex()}"
        )
    return start


class Replay:
    """A replay under way: the state after `tip`, and what later blocks are judged by."""

    def __init__(self, source: Source, options: ReplayOptions, report: ReplayReport) -> None:
        self.start = _start(source)
        self.report = report
        self._executives = Executives(options.releases)
        self._names = KeyNames(Executive(rules=options.releases.table.newest).runtime)
        self.tip = self.start.genesis.header
        self.state = store.State.from_entries(self.start.genesis.entries)
        self.executive = self._executives.above(self.state, 1)
        self.schedule = ValidatorSchedule.from_genesis(self.start.genesis.validators)
        self.last_set = self.start.genesis.validators
        self._source = source
        self._options = options
        self._view = AuditView(self.start)
        self._digest = self.start.hash
        params = self.start.spec.params
        self._window = EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms)
        self._compare_records(self.tip)
        database = source.database()
        if database is not None:
            compare_history(database, 0, self.start.genesis.entries, self._names)

    def step(self, stored: ArchivedBlock) -> None:
        """Execute and compare the next block; raises Mismatch, StorageError or VersionMissing."""
        block = stored.block
        self.executive = self._executives.above(self.state, self.tip.number + 1)
        is_verified = block.height >= self._options.verify_from
        self._check_links(block)
        note = self._read_note(block)
        offenders = self._judge(block.evidence)
        if is_verified:
            self._verify_proofs(stored, note)
        overlay = self.state.overlay()
        result = self._execute(block, note, offenders, overlay)
        self._compare_receipts(stored, result)
        self._compare_state(stored, overlay, result)
        self._compare_header(block, result)
        self._check_money(overlay, result)
        self._accept(block, overlay, result, offenders)

    def _check_links(self, block: Block) -> None:
        """Compare number, parent and time with the block before."""
        header = block.header
        if header.number != self.tip.number + 1:
            raise Mismatch(f"the block has the number {header.number}")
        if header.parent_hash != self.tip.block_id:
            raise Mismatch("the parent is not the block before")
        if header.time_ms <= self.tip.time_ms:
            raise Mismatch("the time is not later than the parent's")
        if header.proposer_idx >= len(self.schedule.current):
            raise Mismatch("the proposer is not in the validator set")
        if (block.last_commit is None) != (header.number == 1):
            raise Mismatch("a last commit is missing, or stands where none belongs")

    def _read_note(self, block: Block) -> ContextNote:
        """Read the context that the body repeats."""
        try:
            call = self.executive.decode_call(decode_inherent(block.extrinsics[1]).call)
        except (InvalidTransaction, IndexError) as error:
            raise Mismatch(f"the second inherent cannot be read: {error}") from error
        note = call.arguments[0] if call.arguments else None
        if not isinstance(note, ContextNote):
            raise Mismatch("the second inherent is not the context's")
        return note

    def _judge(self, evidence: Sequence[Evidence]) -> tuple[Offender, ...]:
        """Verify the evidence of a block and give the offences that are new."""
        found: dict[tuple[int, bytes, int], Offender] = {}
        for item in evidence:
            try:
                offenders = verify_evidence(item, self._view, self._window, tip=self.tip)
            except Malformed as error:
                raise Mismatch(f"a piece of evidence is false: {error}") from error
            known = {*found, *self._view.recorded}
            new = {one.key: one for one in offenders if one.key not in known}
            if not new:
                raise Mismatch("a piece of evidence proves nothing new")
            found |= new
        return tuple(found.values())[:OFFENDERS_MAX]

    def _verify_proofs(self, stored: ArchivedBlock, note: ContextNote) -> None:
        """Verify turn, VRF proof, both commits and the signature of every transaction."""
        block, validators = stored.block, self.schedule.current
        header, genesis_hash = block.header, self.start.hash
        randomness = self._view.randomness_at(header.number)
        if randomness is None:
            raise Mismatch("no header announced the epoch of this height")
        turn = leader.proposer(validators, randomness, header.number, note.round)
        if turn != header.proposer_idx:
            raise Mismatch(f"it was the turn of validator {turn}, not of {header.proposer_idx}")
        if not beacon.verify_proof(
            vrf_key=validators[header.proposer_idx].vrf_key,
            proof=header.pre_runtime.vrf_proof,
            genesis_hash=genesis_hash,
            randomness=randomness,
            height=header.number,
        ):
            raise Mismatch("the VRF proof does not verify")
        self._verify_commits(stored)
        items = self._signature_items(block)
        self.report.signatures += len(items)
        for index, is_good in enumerate(signing.verify_many(items)):
            if not is_good:
                raise Mismatch(f"the signature of extrinsic {index + INHERENTS} does not verify")

    def _verify_commits(self, stored: ArchivedBlock) -> None:
        """Verify the commit of this block, its polka, and the commit it carries of its parent."""
        header, genesis_hash = stored.block.header, self.start.hash
        commit, polka, last = stored.commit, stored.polka, stored.block.last_commit
        if commit is None or (commit.height, commit.block_id) != (header.number, header.block_id):
            raise Mismatch("the stored commit is for another block, or missing")
        if not commit.verify(self.schedule.current, genesis_hash):
            raise Mismatch("the stored commit does not verify")
        if polka is not None:
            self._verify_polka(polka, header)
        if last is not None:
            if (last.height, last.block_id) != (self.tip.number, self.tip.block_id):
                raise Mismatch("the last commit is for another block")
            if not last.verify(self.last_set, genesis_hash):
                raise Mismatch("the last commit does not verify")
        self.report.signatures += len(commit.signatures)

    def _verify_polka(self, polka: Certificate, header: Header) -> None:
        """Verify the prevotes stored beside a commit."""
        if (polka.first.height, polka.first.block_id) != (header.number, header.block_id):
            raise Mismatch("the stored polka is for another block")
        if not polka.verify(self.schedule.current, self.start.hash):
            raise Mismatch("the stored polka does not verify")

    def _signature_items(self, block: Block) -> list[tuple[bytes, bytes, bytes]]:
        """Give what must verify in a body."""
        view = self.state.overlay()
        try:
            return [
                self.executive.signature_item(
                    view,
                    decode_transaction(raw),
                    height=block.height,
                    parent_hash=self.tip.block_id,
                    genesis_hash=self.start.hash,
                )
                for raw in block.extrinsics[INHERENTS:]
            ]
        except InvalidTransaction as error:
            raise Mismatch(f"a transaction may not be in this block: {error.sentence}") from error

    def _execute(
        self,
        block: Block,
        note: ContextNote,
        offenders: tuple[Offender, ...],
        overlay: store.Overlay,
    ) -> ExecResult:
        """Run a block on the state of its parent."""
        context = build_context(
            block.header,
            genesis_hash=self.start.hash,
            validators=self.schedule.current,
            previous_set=self.last_set,
            last_commit=block.last_commit,
            offenders=offenders,
            round_=note.round,
            spec_version=self.executive.rules.version,
        )
        try:
            return self.executive.execute_block(overlay, context, block.extrinsics)
        except (RuntimeInvalidBlock, InvalidBlock) as error:
            raise Mismatch(f"the block is invalid: {error}") from error

    def _compare_receipts(self, stored: ArchivedBlock, result: ExecResult) -> None:
        """Compare the stored receipts with those of the execution."""
        if len(stored.receipts) != len(result.receipts):
            raise Mismatch(
                f"{len(stored.receipts)} receipts are stored, not {len(result.receipts)}"
            )
        for index, (kept, made) in enumerate(zip(stored.receipts, result.receipts, strict=True)):
            if kept != made:
                raise Mismatch(f"receipt {index} differs from what the execution left")

    def _compare_state(
        self, stored: ArchivedBlock, overlay: store.Overlay, result: ExecResult
    ) -> None:
        """Compare root and difference of the state; names module and key of the first change."""
        if stored.difference is not None:
            try:
                kept = dict(store.decode_difference(stored.difference))
            except ValueError as error:
                raise Mismatch(f"the stored difference does not decode: {error}") from error
            made = dict(overlay.changes())
            if kept != made:
                key = min(key for key in {*kept, *made} if _differs(kept, made, key))
                raise Mismatch(
                    "the stored difference of the state is not what the execution changed",
                    module=self._names.name_of(key),
                    key=key,
                )
        if result.state_root != stored.block.header.state_root:
            raise Mismatch("the state has another root than the header says")

    def _compare_header(self, block: Block, result: ExecResult) -> None:
        """Build the header from its parts and compare it field by field."""
        kept, made = block.header, self._rebuild(block, result)
        if kept == made and kept.block_id == made.block_id:
            return
        for part in ("evidence_root", "last_commit_hash", "validators_hash",
                     "next_validators_hash", "params_hash", "receipts_root", "totals"):  # fmt: skip
            if getattr(kept.consensus, part) != getattr(made.consensus, part):
                raise Mismatch(f"the header's {part.replace('_', ' ')} is wrong")
        for part in ("extrinsics_root", "pre_runtime", "next_epoch", "state_root"):
            if getattr(kept, part) != getattr(made, part):
                raise Mismatch(f"the header's {part.replace('_', ' ')} is wrong")
        raise Mismatch("the header is not the one its parts make")

    def _rebuild(self, block: Block, result: ExecResult) -> Header:
        """Make the header that this block must have."""
        announced = None
        if result.next_epoch is not None:
            epoch = result.next_epoch
            announced = NextEpoch(epoch.epoch, epoch.start_height, epoch.randomness, epoch.length)
        fields = ConsensusFields(
            evidence_root=evidence_root(block.evidence),
            last_commit_hash=last_commit_hash(block.last_commit),
            validators_hash=self.schedule.current.hash(),
            next_validators_hash=self.schedule.following.hash(),
            params_hash=result.params_hash,
            receipts_root=hashing.merkle_root(list(result.receipts)),
            totals=result.totals,
        )
        kept = block.header.pre_runtime
        pre_runtime = PreRuntime(
            kept.time_ms, kept.proposer_idx, self.schedule.current.set_id, kept.vrf_proof
        )
        return Header(
            self.tip.block_id,
            self.tip.number + 1,
            result.state_root,
            extrinsics_root(block.extrinsics),
            pre_runtime,
            fields,
            announced,
        )

    def _check_money(self, overlay: store.Overlay, result: ExecResult) -> None:
        """Compare what the accounts hold with what the totals say was minted and burned."""
        totals = decode_totals(result.totals)
        minted = sum(entry.amount for entry in totals.minted)
        burned = sum(entry.amount for entry in totals.burned)
        if not overlay.money == totals.issuance == minted - burned:
            raise Mismatch(
                f"the accounts hold {overlay.money} grains, the totals say {totals.issuance}, "
                f"minted less burned is {minted - burned}",
                module="Balances",
            )
        self.report.issuance = totals.issuance

    def _accept(
        self,
        block: Block,
        overlay: store.Overlay,
        result: ExecResult,
        offenders: tuple[Offender, ...],
    ) -> None:
        """Make a clean block the tip."""
        height = block.height
        if height % self._options.invariant_blocks == 0:
            self._check_invariants(overlay)
        committed = self.state.commit(overlay)
        database = self._source.database()
        if database is not None:
            compare_difference(database, height, committed, self._names)
        self._view.record(block.header, self.schedule.current, offenders)
        self.last_set = self.schedule.current
        try:
            self.schedule = self.schedule.advance(result.validator_updates)
        except Malformed as error:
            raise Mismatch(f"the validator updates are illegal: {error}") from error
        self.tip = block.header
        self.report.height, self.report.state_root = height, result.state_root
        self.report.extrinsics += len(block.extrinsics)
        self._compare_records(block.header)
        parts = self._digest + block.block_id + result.state_root
        self._digest = hashing.blake2b_256(parts)
        if height % DIGEST_BLOCKS == 0:
            self.report.digests.append(Digest(height, self._digest))

    def _check_invariants(self, overlay: store.Overlay) -> None:
        """Check every invariant of every module on the state of the block just executed."""
        self.executive.ctx.state = overlay
        for check in self.executive.runtime.invariants():
            if not check.holds:
                raise Mismatch(
                    f"an invariant does not hold: {check.sentence}",
                    module=check.sentence.partition(":")[0],
                )

    def _compare_records(self, header: Header) -> None:
        """Compare what a database derives from a block and serves to others."""
        database = self._source.database()
        if database is None:
            return
        compare_records(database, header, self.schedule, self._view)

    def finish(self) -> None:
        """Close the last digest, and compare the flat state of a database with the executed one."""
        if not self.report.digests or self.report.digests[-1].height != self.report.height:
            self.report.digests.append(Digest(self.report.height, self._digest))
        self._check_invariants(self.state.overlay())
        database = self._source.database()
        if database is not None and self._options.last_height is None:
            compare_flat_state(database, self.state, self.tip.number, self._names)
            compare_spaces(
                database,
                self.tip.number,
                self.schedule,
                self._view,
                genesis=self.start.genesis,
                reader=EventReader(self._options.releases.table),
            )
