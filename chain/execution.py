"""The runtime as the node uses it: to execute and build blocks, and to judge single transactions.

Two executives never meet: one runs blocks, in whatever thread that happens, the other answers the
pool and RPC on the loop. Errors of the runtime become the node's here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from chain.errors import InvalidBlock, InvalidTransaction
from chain.pool import Valuation
from chain.releases import Executives, Releases
from chain.storage.state import StateStore
from chain.verified import SignatureItem
from ext import store
from runtime.block import INHERENTS, BlockContext, ContextNote, ExecResult
from runtime.executive import BlockLimits, Executive
from runtime.frame.errors import InvalidBlock as RuntimeInvalidBlock
from runtime.frame.errors import InvalidTransaction as RuntimeInvalidTransaction
from runtime.primitives import ZERO_HASH, AccountId
from runtime.transaction import SignedTransaction, decode_inherent, decode_transaction
from runtime.versions import Due, read_version_at
from runtime.weights import BLOCK_BASE

COUNT_MAX: Final = 50_000
"""Transactions in a block that we build; bytes and weight end it long before on a network."""

UNLIMITED: Final = (1 << 62) - 1
"""More bytes and weight than any chain allows: the chain's own limits decide."""


class RuntimeExecution:
    """Executes and builds blocks on the state of one chain. One block at a time."""

    def __init__(
        self, chain: StateStore, genesis_hash: bytes, releases: Releases | None = None
    ) -> None:
        self._chain = chain
        self._genesis_hash = genesis_hash
        self._executives = Executives(releases or Releases())

    @property
    def _executive(self) -> Executive:
        """The executive of the block above the tip; raises VersionMissing."""
        return self._executives.above(self._chain.state, self._chain.height + 1)

    def round_of(self, extrinsics: Sequence[bytes]) -> int:
        """Give the round that a body says it was built in; raises InvalidBlock."""
        if len(extrinsics) < INHERENTS:
            raise InvalidBlock(f"a body begins with {INHERENTS} inherents", field="inherents")
        try:
            call = self._executive.decode_call(decode_inherent(extrinsics[1]).call)
        except RuntimeInvalidTransaction as error:
            raise InvalidBlock(error.sentence, field="inherents") from error
        note = call.arguments[0] if call.arguments else None
        if not isinstance(note, ContextNote):
            raise InvalidBlock("the second inherent is not the context's", field="inherents")
        return note.round

    def signature_items(self, extrinsics: Sequence[bytes], *, height: int) -> list[SignatureItem]:
        """Give what must verify in a body at a height; raises InvalidBlock."""
        view = self._chain.state.overlay()
        try:
            return self._executive.signature_items(
                view,
                extrinsics[INHERENTS:],
                height=height,
                parent_hash=self._chain.tip.block_id,
                genesis_hash=self._genesis_hash,
            )
        except RuntimeInvalidTransaction as error:
            raise InvalidBlock(error.sentence, field="extrinsics") from error

    def execute_block(
        self, overlay: store.Overlay, ctx: BlockContext, extrinsics: Sequence[bytes]
    ) -> ExecResult:
        """Run a body on an overlay; raises InvalidBlock."""
        try:
            return self._executive.execute_block(overlay, ctx, extrinsics)
        except RuntimeInvalidBlock as error:
            raise InvalidBlock(str(error), field="extrinsics") from error

    def build_block(
        self, overlay: store.Overlay, ctx: BlockContext, candidates: Iterable[bytes]
    ) -> tuple[tuple[bytes, ...], ExecResult, tuple[bytes, ...]]:
        """Give (body, result, candidates that are invalid now); raises InvalidBlock."""
        broken: list[bytes] = []
        limits = BlockLimits(bytes_max=UNLIMITED, weight_max=UNLIMITED, count_max=COUNT_MAX)
        try:
            built = self._executive.build_block(overlay, ctx, _decoded(candidates, broken), limits)
        except RuntimeInvalidBlock as error:
            raise InvalidBlock(str(error), field="extrinsics") from error
        rejected = [transaction.raw for transaction, _ in built.rejected]
        return built.extrinsics, built.result, (*broken, *rejected)


def _decoded(candidates: Iterable[bytes], broken: list[bytes]) -> Iterator[SignedTransaction]:
    """Decode candidates as they are asked for; the pool's always decode."""
    for raw in candidates:
        try:
            yield decode_transaction(raw)
        except RuntimeInvalidTransaction:
            broken.append(raw)


class RuntimeJudge:
    """Judges transactions on the newest state, for the pool and RPC; loop only."""

    def __init__(
        self, chain: StateStore, genesis_hash: bytes, releases: Releases | None = None
    ) -> None:
        self._chain = chain
        self._genesis_hash = genesis_hash
        self.releases = releases or Releases()
        self._executives = Executives(self.releases)
        self._executive: Executive | None = None
        self._executive_height = -1
        self._overlay = chain.state.overlay()
        self._overlay_height = chain.height

    @property
    def executive(self) -> Executive:
        """The executive of the block above the tip; raises VersionMissing."""
        height = self._chain.height
        if self._executive is None or self._executive_height != height:
            self._executive = self._executives.above(self._chain.state, height + 1)
            self._executive_height = height
        return self._executive

    def executive_at(self, height: int) -> Executive:
        """Give the executive of a block up to the tip, for its state; raises VersionMissing."""
        due = Due(read_version_at(self._chain.state, height), ZERO_HASH)
        return self._executives.of(self.releases.require(due, height))

    def view(self) -> store.Overlay:
        """Give a view on the newest state that nobody writes to."""
        if self._overlay_height != self._chain.height:
            self._overlay = self._chain.state.overlay()
            self._overlay_height = self._chain.height
        return self._overlay

    def decode(self, raw: bytes) -> SignedTransaction:
        """Decode a whole signed transaction; raises InvalidTransaction."""
        try:
            return decode_transaction(raw)
        except RuntimeInvalidTransaction as error:
            raise InvalidTransaction(error.sentence) from error

    def signature_item(self, transaction: SignedTransaction) -> SignatureItem:
        """Give what must verify if it is included next; raises InvalidTransaction."""
        try:
            return self.executive.signature_item(
                self.view(),
                transaction,
                height=self._chain.height + 1,
                parent_hash=self._chain.tip.block_id,
                genesis_hash=self._genesis_hash,
            )
        except RuntimeInvalidTransaction as error:
            raise InvalidTransaction(error.sentence) from error

    def validate(self, transaction: SignedTransaction) -> Valuation:
        """Judge all but the signature and a nonce that is too high; raises InvalidTransaction."""
        height = self._chain.height + 1
        try:
            validity = self.executive.validate_transaction(self.view(), transaction, height)
        except RuntimeInvalidTransaction as error:
            raise InvalidTransaction(error.sentence) from error
        stake = self.executive.runtime.staking.active_stake(AccountId(transaction.signer))
        return Valuation(
            validity.priority,
            height + validity.longevity,
            weight=validity.weight,
            is_urgent=validity.is_urgent,
            stake=stake,
        )

    def next_nonce(self, account: bytes) -> int:
        """Give the nonce that an account's next transaction must have."""
        record = self._chain.state.account(account)
        return 0 if record is None else record[0]

    def height(self) -> int:
        """Give the height of the newest block."""
        return self._chain.height

    def room(self) -> int:
        """Give the weight that the next block has for transactions, in picoseconds."""
        executive = self.executive
        executive.ctx.enter(self.view(), executive.no_block)
        return executive.runtime.system.params.block_weight_max - BLOCK_BASE

    def load_prices(self) -> None:
        """Point the executive at the newest state and read the fees in force there."""
        executive = self.executive
        executive.ctx.enter(self.view(), executive.no_block)
        executive.runtime.fees.load_prices()
