"""THE LOOP: a block on a state gives another state, receipts, totals and validator updates.

    initialize_block   number and hashes, then every module's on_initialize
    apply_inherent     Timestamp.set and Authorship.note_context, which must succeed
    apply_transaction  checks, fee, then the call in a checkpoint of its own
    finalize_block     every module's on_finalize, guards, conservation, roots

Each step (inherent, hook, transaction) runs in a checkpoint. When the money that the store counts
changed by something else than the step's postings, the step is undone (a fee stays), LedgerBroken
is recorded, and the guilty module's outflows freeze from the next block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from ext import dispatch, hashing, store
from runtime import weights
from runtime.block import (
    INHERENTS,
    TRANSACTION_VERSION,
    BlockContext,
    ContextNote,
    ExecResult,
)
from runtime.frame.call import DispatchClass
from runtime.frame.context import NO_BLOCK, NO_MODULE, StateView
from runtime.frame.dispatch import Call, Reading
from runtime.frame.errors import (
    CONTAINED,
    BadOrigin,
    CallError,
    DispatchFault,
    InvalidBlock,
    InvalidTransaction,
    LedgerFault,
    Reason,
)
from runtime.frame.events import (
    PHASE_FINALIZATION,
    PHASE_INITIALIZATION,
    encode_receipt,
)
from runtime.frame.module import Module
from runtime.frame.origins import INHERENT, Signed
from runtime.frame.outcome import encode_failure, encode_success
from runtime.hot import make_rules
from runtime.judge import Judge
from runtime.primitives import AccountId, Weight
from runtime.runtime import Runtime
from runtime.system import HookFailed
from runtime.totals import encode_totals
from runtime.transaction import (
    SignedTransaction,
    decode_inherent,
    decode_transaction,
    encode_inherent,
)
from runtime.versions import NEWEST, Rules
from runtime.weights import EXTRINSIC_BASE

_ENCODE_RECEIPT: Final = dispatch.encode_receipt

_INHERENT_ORDER: Final = ("Timestamp", "Authorship")

DRAWN_AT_ONCE: Final = 64
"""Candidates drawn for a block before the earlier ones have run: a few milliseconds of work."""

READ_AHEAD: Final = 32
"""Transactions read together: their accounts come from memory while earlier ones run."""

OTHER_ERROR: Final = bytes((DispatchFault.OTHER,))
"""The receipt of a call that met a bug of ours; undone like any failure."""


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """What a proposer puts into a block at most; never above what the chain allows."""

    bytes_max: int
    weight_max: Weight
    count_max: int


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """A body with what it did, and the candidates that can never be in a block on this state."""

    extrinsics: tuple[bytes, ...]
    result: ExecResult
    rejected: tuple[tuple[SignedTransaction, InvalidTransaction], ...]


class Executive:
    """Executes blocks under one version of the rules, one at a time, on any state it is given."""

    def __init__(self, runtime: Runtime | None = None, rules: Rules = NEWEST) -> None:
        self.rules = rules
        self.runtime = runtime or rules.make_runtime(rules.version)
        self.no_block = replace(NO_BLOCK, spec_version=rules.version)
        """The block to look at a state in when no block runs."""
        self.signed_versions = signed_versions(rules.version)
        judge = Judge(self.runtime, self.no_block, self.signed_versions)
        self.validate_transaction = judge.validate_transaction
        self.signature_item = judge.signature_item
        self.signature_items = judge.signature_items
        self.ctx = self.runtime.ctx
        self._read_call = self.runtime.dispatcher.read
        self._payments = self.runtime.dispatcher.payments
        self._charge = self.runtime.fees.charge
        self.last_error = b""
        self.is_hot = True
        """Whether hot calls may run without their modules; tests compare both ways."""
        self._rules = make_rules(self.runtime)
        self._receipts: list[bytes] = []
        self._failed: list[bool] = []
        self._money_before = 0
        self._bytes_used = 0
        self._bytes_max = 0
        self._weight_max = 0

    # The first screen: a whole block

    def execute_block(
        self, state: StateView, block: BlockContext, extrinsics: Sequence[bytes]
    ) -> ExecResult:
        """Run a body that others made; signatures were checked before. Raises InvalidBlock."""
        if len(extrinsics) < INHERENTS:
            raise InvalidBlock(f"a body begins with {INHERENTS} inherents")
        self.initialize_block(state, block)
        for raw in extrinsics[:INHERENTS]:
            self.apply_inherent(raw)
        self.apply_many(extrinsics[INHERENTS:])
        return self.finalize_block()

    def build_block(
        self,
        state: StateView,
        block: BlockContext,
        candidates: Iterable[SignedTransaction],
        limits: BlockLimits,
    ) -> BuiltBlock:
        """Make a body of the inherents and as many candidates as fit, in their order.

        Candidates are drawn a few at a time, when those before them have run: whoever gives them
        ends the block by giving no more. Those that do not fit, or whose nonce is too high, are
        passed over; those that are invalid whatever the block holds are given back as rejected.
        """
        extrinsics = list(make_inherents(self.runtime, block))
        rejected: list[tuple[SignedTransaction, InvalidTransaction]] = []
        self.initialize_block(state, block)
        for raw in extrinsics:
            self.apply_inherent(raw)
        self._bytes_max = min(self._bytes_max, limits.bytes_max)
        self._weight_max = min(self._weight_max, limits.weight_max)
        source, count_max = iter(candidates), INHERENTS + limits.count_max
        while len(extrinsics) < count_max and (drawn := list(islice(source, DRAWN_AT_ONCE))):
            rejected += self._apply_drawn(drawn, extrinsics, count_max)
        return BuiltBlock(tuple(extrinsics), self.finalize_block(), tuple(rejected))

    def _apply_drawn(
        self, drawn: Sequence[SignedTransaction], extrinsics: list[bytes], count_max: int
    ) -> list[tuple[SignedTransaction, InvalidTransaction]]:
        """Run candidates, append those that may be in the block, and give the rejected ones."""
        rejected: list[tuple[SignedTransaction, InvalidTransaction]] = []
        bodies, position = [transaction.raw for transaction in drawn], 0
        while position < len(drawn) and len(extrinsics) < count_max:
            after = self.apply_run(bodies, position, count_max - len(extrinsics))
            extrinsics += bodies[position:after]
            position = after
            if position < len(drawn) and len(extrinsics) < count_max:
                try:
                    self.apply_transaction(drawn[position])
                    extrinsics.append(bodies[position])
                except InvalidTransaction as error:
                    if error.reason not in (Reason.EXHAUSTS_RESOURCES, Reason.FUTURE):
                        rejected.append((drawn[position], error))
                position += 1
        return rejected

    # The second screen: the steps of a block

    def initialize_block(self, state: StateView, block: BlockContext) -> None:
        """Begin a block on the state of its parent; raises InvalidBlock if it does not follow."""
        runtime, ctx = self.runtime, self.ctx
        ctx.enter(state, block)
        if block.height != runtime.system.number + 1:
            raise InvalidBlock(f"block {block.height} does not follow {runtime.system.number}")
        before = runtime.system.spec_version
        self._check_version(block)
        self._receipts, self._failed = [], []
        self._money_before = state.money
        params = runtime.system.params
        self._bytes_used, self._bytes_max = 0, params.block_bytes_max
        self._weight_max = params.block_weight_max
        ctx.weight_used = weights.BLOCK_BASE
        runtime.system.begin_block()
        runtime.balances.load_frozen()
        if before != block.spec_version:
            self._migrate()
        for module in runtime.modules:
            self._run_hook(module, 0)
        self._receipts.append(encode_receipt(PHASE_INITIALIZATION, ctx.take_events()))

    def _check_version(self, block: BlockContext) -> None:
        """Raise InvalidBlock unless the block has the rules that are due, and they are these."""
        due = self.runtime.system.due_version(block.height)
        if block.spec_version != due:
            raise InvalidBlock(f"block {block.height} has rules {due}, not {block.spec_version}")
        if due != self.rules.version:
            raise InvalidBlock(f"these are rules {self.rules.version}, the block has rules {due}")

    def _migrate(self) -> None:
        """Put the version in force and bring the state to it; raises InvalidBlock if that fails.

        No half of a migration can stay: without all of them there is no block.
        """
        runtime, ctx = self.runtime, self.ctx
        try:
            runtime.system.activate_version(len(self.rules.migrations))
            for migration in self.rules.migrations:
                ctx.weight_used += migration.weight
                migration.run(runtime)
        except (CallError, BadOrigin, LedgerFault, *CONTAINED) as error:
            raise InvalidBlock(f"a migration failed: {_describe(error)}") from error

    def apply_inherent(self, raw: bytes) -> None:
        """Run an inherent of the body; raises InvalidBlock unless it is right and in its place."""
        index = len(self._failed)
        try:
            call = self.decode_call(decode_inherent(raw).call)
            if call.entry.dispatch_class is not DispatchClass.MANDATORY:
                raise InvalidBlock(f"extrinsic {index} is unsigned but no inherent")
            if index >= INHERENTS or _INHERENT_ORDER[index] != call.entry.module_name:
                raise InvalidBlock(f"extrinsic {index} is not the inherent that belongs there")
            self.runtime.dispatcher.run(self.ctx, INHERENT, call)
        except (InvalidTransaction, CallError, BadOrigin, LedgerFault, *CONTAINED) as error:
            raise InvalidBlock(f"inherent {index} fails: {_describe(error)}") from error
        self._finish_extrinsic(call, b"", call.weight, len(raw))

    def apply_many(self, extrinsics: Sequence[bytes]) -> None:
        """Run the transactions of a body; raises InvalidBlock for one that may not be in it."""
        bodies, position = list(extrinsics), 0
        ahead = 1 if self.is_hot else READ_AHEAD
        try:
            while position < len(bodies):
                position = self.apply_run(bodies, position, len(bodies) - position)
                position = self._apply_some(bodies, position, ahead)
        except InvalidTransaction as error:
            raise InvalidBlock(
                f"extrinsic {len(self._failed)} is invalid: {error.sentence}"
            ) from error
        finally:
            self.runtime.fees.settle()

    def apply_run(self, extrinsics: Sequence[bytes], position: int, count_max: int) -> int:
        """Run hot calls from `position` on without their modules; gives the position after them.

        It stops before whatever is not an ordinary hot call, or may not be in the block, and after
        `count_max` calls.
        """
        ctx, fees = self.ctx, self.runtime.fees
        state = ctx.state
        if not self.is_hot or ctx.frozen or ctx.journal is not None:
            return position
        if not isinstance(state, store.Overlay):
            return position
        fees.settle()
        room = dispatch.Room(
            prices=fees.prices,
            bytes_left=self._bytes_max - self._bytes_used,
            weight_left=self._weight_max - ctx.weight_used,
            count_left=count_max,
            first_index=len(self._failed),
        )
        run = dispatch.apply_run(state, self._rules, extrinsics, position, room)
        self._receipts += run.receipts
        self._failed += run.failed
        self._bytes_used += run.bytes_used
        ctx.weight_used += run.weight_used
        if run.tips:
            fees.tips_pending += run.tips
        return position + run.done

    def apply_transaction(self, transaction: SignedTransaction) -> bool:
        """Charge for a transaction and run its call; gives whether the call was done.

        Raises InvalidTransaction, having changed nothing, when it may not be in this block.
        """
        signer, _, _, nonce, tip, data, _, raw = transaction
        self.ctx.transaction = raw
        return self._apply(signer, nonce, tip, self._read_call(data), len(raw))

    def _apply_some(self, bodies: list[bytes], position: int, count_max: int) -> int:
        """Apply the next transactions of a body; gives the position after them.

        The usual ones are read together, and without what only signatures need.
        """
        ctx, read = self.ctx, self._read_call
        fronts: list[Any] = dispatch.read_run(
            ctx.state, bodies, position, count_max, self._payments
        )
        for front in fronts:
            raw = bodies[position]
            if front is None:
                self.apply_transaction(decode_transaction(raw))
            else:
                signer, nonce, tip, call = front
                ctx.transaction = raw
                self._apply(
                    signer, nonce, tip, read(call) if type(call) is bytes else call, len(raw)
                )
            position += 1
        return position

    def _apply(self, signer: AccountId, nonce: int, tip: int, call: Reading, length: int) -> bool:
        weight = EXTRINSIC_BASE + call[2]
        if (
            self.ctx.weight_used + weight > self._weight_max
            or self._bytes_used + length > self._bytes_max
        ):
            raise InvalidTransaction(Reason.EXHAUSTS_RESOURCES, "the block has no room for it")
        self._charge(signer, nonce, tip, length, weight)
        error = self.last_error = self.run_call(call, signer)
        if self.ctx.waiver != NO_MODULE:
            self._waive(call, signer, length, weight)
        self._finish_extrinsic(call, error, weight, length)
        return not error

    def _waive(self, call: Reading, signer: AccountId, length: int, weight: Weight) -> None:
        """Give the fee of a call back that asked for it, unless it failed or was in a batch."""
        ctx = self.ctx
        if not self.last_error and ctx.waiver == call[0].module_index:
            self.runtime.fees.give_back(signer, length=length, weight=weight)
        ctx.waiver = NO_MODULE

    def finalize_block(self) -> ExecResult:
        """Finish the block and say what it did; raises InvalidBlock when it cannot be one."""
        runtime, ctx = self.runtime, self.ctx
        if len(self._failed) < INHERENTS:
            raise InvalidBlock("the inherents are missing")
        ctx.transaction = b""
        runtime.fees.settle()
        for module in runtime.modules:
            self._run_hook(module, 1)
        for module in runtime.modules:
            if not all(guard.holds for guard in module.guards()):
                runtime.balances.record_broken_guard(module.index)
        if ctx.state.money - self._money_before != ctx.posted:
            raise InvalidBlock("the block changed money by something else than its postings")
        self._receipts.append(encode_receipt(PHASE_FINALIZATION, ctx.take_events()))
        next_epoch = None
        if runtime.session.is_epoch_start():
            next_epoch = runtime.session.next_epoch(runtime.beacon.next_randomness)
        receipts = tuple(self._receipts)
        return ExecResult(
            state_root=ctx.state.root(),
            receipts=receipts,
            receipts_root=hashing.merkle_root(receipts),
            totals=encode_totals(runtime),
            validator_updates=runtime.session.updates(),
            next_epoch=next_epoch,
            params_hash=runtime.system.params_hash(),
            weight_used=ctx.weight_used,
            failed=tuple(self._failed),
        )

    # The third screen: one step

    def decode_call(self, data: bytes) -> Call:
        """Decode a call; raises InvalidTransaction saying where it is wrong."""
        return self.runtime.dispatcher.decode(data)

    def dry_run(
        self, state: StateView, block: BlockContext, transaction: SignedTransaction
    ) -> tuple[bytes, bytes]:
        """Run a transaction in a block of its own on a state to be thrown away.

        Gives the SCALE ApplyExtrinsicResult and the receipt, a SCALE `Vec<EventRecord>`.
        """
        self.initialize_block(state, block)
        for raw in make_inherents(self.runtime, block):
            self.apply_inherent(raw)
        try:
            self.apply_transaction(transaction)
        except InvalidTransaction as error:
            custom = b"\x00" if error.reason is Reason.CUSTOM else b""
            return b"\x01\x00" + bytes((error.reason,)) + custom, b"\x00"
        error_bytes = self.last_error
        return (b"\x00\x01" + error_bytes if error_bytes else b"\x00\x00"), self._receipts[-1]

    def run_call(self, call: Reading, signer: AccountId) -> bytes:
        """Run a call in a checkpoint; gives the encoded DispatchError, empty when it was done."""
        ctx, (entry, arguments, _) = self.ctx, call
        state = ctx.state
        depth = ctx.checkpoint()
        money, posted = state.money, ctx.posted
        ctx.acting = entry.module_index
        try:
            if entry.origin is not Signed:
                raise BadOrigin
            entry.method(Signed(signer), *arguments)
            if state.money != money or ctx.posted != posted:
                difference = state.money - money - (ctx.posted - posted)
                if difference:
                    raise LedgerFault(entry.module_index, difference)
        except (CallError, BadOrigin) as failure:
            ctx.revert(depth)
            return failure.encoded
        except LedgerFault as fault:
            ctx.revert(depth)
            self.runtime.balances.record_break(fault.module_index, fault.difference)
            return fault.encoded
        except CONTAINED:
            ctx.revert(depth)
            return OTHER_ERROR
        ctx.commit()
        return b""

    def _run_hook(self, module: Module, which: int) -> None:
        """Run a hook in a checkpoint; whatever goes wrong is undone, told, and survived."""
        ctx = self.ctx
        depth = ctx.checkpoint()
        before = ctx.state.money - ctx.posted
        ctx.acting = module.index
        try:
            if which == 0:
                # What it gives comes on top of what it counted itself meanwhile
                spent = module.on_initialize()
                ctx.weight_used += spent
            else:
                module.on_finalize()
            difference = ctx.state.money - ctx.posted - before
            if difference:
                raise LedgerFault(module.index, difference)
        except LedgerFault as fault:
            ctx.revert(depth)
            self.runtime.balances.record_break(fault.module_index, fault.difference)
            module.emit(HookFailed(module.index, which))
        except (CallError, BadOrigin, *CONTAINED):
            ctx.revert(depth)
            module.emit(HookFailed(module.index, which))
        else:
            ctx.commit()

    def _finish_extrinsic(self, call: Reading, error: bytes, weight: Weight, length: int) -> None:
        """Count an extrinsic, and close its receipt with what became of it."""
        ctx, (entry, _, call_weight), failed = self.ctx, call, self._failed
        events, ctx.events = ctx.events, []
        if error:
            events.append(encode_failure(error, call_weight, entry.dispatch_class))
        else:
            events.append(entry.success or encode_success(call_weight, entry.dispatch_class))
        self._receipts.append(_ENCODE_RECEIPT(len(failed), events))
        failed.append(bool(error))
        ctx.weight_used += weight
        self._bytes_used += length


def signed_versions(spec_version: int) -> bytes:
    """Give the versions that signers sign, so that no signature outlives the rules it is for."""
    return spec_version.to_bytes(4, "little") + TRANSACTION_VERSION.to_bytes(4, "little")


def make_inherents(runtime: Runtime, block: BlockContext) -> tuple[bytes, bytes]:
    """Give the two inherents that a block with this context begins with."""
    encode = runtime.dispatcher.encode
    return (
        encode_inherent(encode("Timestamp", "set", block.time_ms)),
        encode_inherent(encode("Authorship", "note_context", ContextNote.of(block))),
    )


def _describe(error: Exception) -> str:
    if isinstance(error, CallError):
        return f"{type(error).__name__}: {error.__doc__}"
    return str(error) or type(error).__name__
