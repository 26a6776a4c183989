"""Questions about a transaction that need no block: whether it may be in one, and what it signed.

Pools, importers and clients ask them of any state; the executive gives the answers as its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ext import dispatch
from runtime import weights
from runtime.block import BlockContext
from runtime.fees import check_signer
from runtime.frame.call import DispatchClass
from runtime.frame.context import AccountRecord, StateView
from runtime.frame.errors import InvalidTransaction, Reason
from runtime.runtime import Runtime
from runtime.system import NO_ACCOUNT
from runtime.transaction import SignedTransaction, decode_transaction, signing_payload
from runtime.weights import EXTRINSIC_BASE


@dataclass(frozen=True, slots=True)
class Validity:
    """What a pool needs to know: pays `priority` grains a microsecond of weight; tags order nonces.

    `longevity` is for how many blocks from the asked height on it stays valid; `weight` is in
    picoseconds, and an urgent call is one that others lose by when it comes late.
    """

    priority: int
    requires: tuple[bytes, ...]
    provides: tuple[bytes, ...]
    longevity: int
    weight: int
    is_urgent: bool


class Judge:
    """Answers under one version of the rules, whose context it points at the state it is given."""

    def __init__(self, runtime: Runtime, no_block: BlockContext, signed_versions: bytes) -> None:
        self.runtime = runtime
        self.ctx = runtime.ctx
        self.no_block = no_block
        self.signed_versions = signed_versions

    def validate_transaction(
        self, state: StateView, transaction: SignedTransaction, height: int
    ) -> Validity:
        """Judge a transaction for inclusion at `height` on this state, its signature aside.

        Raises InvalidTransaction; a nonce that is too high is not an error but a requirement.
        """
        fees, ctx = self.runtime.fees, self.ctx
        ctx.enter(state, self.no_block)
        fees.load_prices()
        params = self.runtime.system.params
        call = self.runtime.dispatcher.decode(transaction.call)
        weight = EXTRINSIC_BASE + call.weight
        if (
            weights.BLOCK_BASE + weight > params.block_weight_max
            or transaction.length > params.block_bytes_max
        ):
            raise InvalidTransaction(Reason.EXHAUSTS_RESOURCES, "it is larger than a block may be")
        paid = fees.compute_fee(length=transaction.length, weight=weight) + transaction.tip
        record = state.account(transaction.signer) or NO_ACCOUNT
        check_signer(record, paid=paid, nonce=transaction.nonce)
        tags = [transaction.signer + n.to_bytes(4, "little") for n in _needed(transaction, record)]
        return Validity(
            priority=paid * weights.MICROSECOND // weight,
            requires=tuple(tags[:-1]),
            provides=(tags[-1],),
            longevity=transaction.era.death(height) - height,
            weight=weight,
            is_urgent=call.entry.dispatch_class is DispatchClass.OPERATIONAL,
        )

    def signature_item(
        self,
        state: StateView,
        transaction: SignedTransaction,
        *,
        height: int,
        parent_hash: bytes,
        genesis_hash: bytes,
    ) -> tuple[bytes, bytes, bytes]:
        """Give (public key, message, signature) as it must verify for inclusion at `height`.

        `parent_hash` is that of block `height - 1`, on whose state this stands. Raises
        InvalidTransaction when the transaction's era has not begun or its start is forgotten.
        """
        birth = transaction.era.birth(height)
        anchor = self._find_anchor(
            state, birth, height=height, parent_hash=parent_hash, genesis_hash=genesis_hash
        )
        if anchor is None:
            raise InvalidTransaction(
                Reason.ANCIENT_BIRTH_BLOCK,
                f"its lifetime is over: it would begin at block {birth}, whose hash is not known",
            )
        payload = signing_payload(
            call=transaction.call,
            extra=transaction.extra,
            genesis_hash=genesis_hash,
            anchor_hash=anchor,
            spec_version=self.no_block.spec_version,
        )
        return transaction.signer, payload, transaction.signature

    def signature_items(
        self,
        state: StateView,
        extrinsics: Sequence[bytes],
        *,
        height: int,
        parent_hash: bytes,
        genesis_hash: bytes,
    ) -> list[tuple[bytes, bytes, bytes]]:
        """Give what `signature_item` gives for each transaction of a body, a whole body at once.

        Raises InvalidTransaction when one cannot be read, too.
        """
        find_anchor = partial(
            self._find_anchor,
            state,
            height=height,
            parent_hash=parent_hash,
            genesis_hash=genesis_hash,
        )
        terms = dispatch.SigningTerms(height, self.signed_versions + genesis_hash, find_anchor)
        items = dispatch.signature_items(extrinsics, terms)
        if items is not None:
            return items
        ask = partial(
            self.signature_item,
            state,
            height=height,
            parent_hash=parent_hash,
            genesis_hash=genesis_hash,
        )
        return [ask(decode_transaction(raw)) for raw in extrinsics]

    def _find_anchor(
        self, state: StateView, birth: int, *, height: int, parent_hash: bytes, genesis_hash: bytes
    ) -> bytes | None:
        """Give the hash of the block in which an era began, or None when it is not known."""
        self.ctx.enter(state, self.no_block)
        if birth == 0:
            return genesis_hash
        if birth == height - 1:
            return parent_hash
        anchor = self.runtime.system.block_hash[birth]
        return anchor if any(anchor) else None


def _needed(transaction: SignedTransaction, record: AccountRecord) -> list[int]:
    """Give the nonces to tag: the one before, unless it is used already, and its own."""
    nonce = transaction.nonce
    return [nonce] if nonce == record[0] else [nonce - 1, nonce]
