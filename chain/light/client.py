"""Following a chain through a node that is not trusted: headers by commits, values by proofs.

    trusted block ── bisection ──> newest header ──┬── state root ──> values, present or absent
                                                   ├── receipts root ──> events of a transaction
                  ── parent hashes ──> older header ── extrinsics root ──> the transaction

Each answer is refused or proved; a node can still be silent, or show a chain that stands still.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chain.light.trust import Trust
from chain.wallet.chain_client import parse_hex, parse_int, to_hex
from chain.wallet.errors import BadContent, NotFound, TryAgain, WalletError
from consensus.light import (
    TrustExpired,
    bisect,
    check_known,
    find_divergence,
    trust_genesis,
)
from consensus.types import (
    Commit,
    Header,
    LightBlock,
    Malformed,
    ValidatorSet,
    encode_evidence,
)
from ext import hashing, store

PAGE_HEADERS: Final = 256
"""Headers of one question on the way down."""

DOWN_MAX: Final = 200_000
"""Most headers on the way down: some minutes, and days of blocks."""

STEPS_BEFORE: Final = 1
"""Receipts before those of the extrinsics: the initialization's."""

STEPS_BESIDE: Final = 2
"""Receipts of no extrinsic: initialization and finalization."""


class Caller(Protocol):
    """Whoever answers JSON-RPC; nothing of it is believed."""

    def call(self, method: str, *params: Any) -> Any:
        """Give the result of a request; raises WalletError."""
        ...


class Refused(BadContent):
    """The node's answer is not proved; the message says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"refused: {reason}", "the node lies or is damaged; ask another with --url"
        )


@dataclass(frozen=True, slots=True)
class ProvedReceipt:
    """A transaction as it stands in a decided block, and the events it left there.

    `receipt` is a SCALE `Vec<EventRecord>`; `extrinsic` begins with its length.
    """

    header: Header
    index: int
    extrinsic: bytes
    receipt: bytes


class LightClient:
    """Proved answers of one node.

    `anchor` is where trust begins, `newest` the newest block verified, to be kept for later.
    """

    def __init__(self, rpc: Caller, trust: Trust, *, now_ms: Callable[[], int]) -> None:
        trust.check()
        self.node = rpc
        self._trust = trust
        self._now_ms = now_ms
        self.genesis_hash = trust.genesis_hash or self._ask_genesis_hash()
        self._options = trust.options(self.genesis_hash)
        self.anchor = self._find_anchor()
        self.newest = self.anchor

    def remember(self, stored: LightBlock) -> None:
        """Begin with a block that an earlier run verified, when it is newer; raises Refused."""
        anchor = self.anchor
        if stored.height == anchor.height and stored.header.block_id != anchor.header.block_id:
            raise Refused(f"another block {stored.height} was verified before than is trusted now")
        if stored.height > anchor.height:
            self.newest = stored

    # Headers

    def head(self) -> LightBlock:
        """Verify the newest block that the node shows; it may hide newer ones."""
        shown = self.fetch_block(None)
        known = self.newest
        if shown.height > known.height:
            return self._advance(shown.height, shown)
        if shown.height < known.height:
            raise TryAgain(
                f"the node stands at height {shown.height}, and {known.height} was verified",
                "it is behind, or hides blocks; ask another with --url",
            )
        try:
            check_known(shown, known.height, known.header.block_id, self.genesis_hash)
        except Malformed as error:
            raise Refused(str(error)) from None
        return known

    def header(self, height: int) -> Header:
        """Verify the header of a height; raises Refused, or NotFound above the newest."""
        if height > self.newest.height:
            return self._advance(height).header
        if height == self.newest.height:
            return self.newest.header
        if height == self.anchor.height:
            return self.anchor.header
        if height > self.anchor.height:
            try:
                return self._walk(self.anchor, height).header
            except TrustExpired:
                pass
        return self._descend(height)

    def _advance(self, height: int, shown: LightBlock | None = None) -> LightBlock:
        """Move trust upwards to a height, whose block may be at hand."""
        try:
            self.newest = self._walk(self.newest, height, shown)
        except TrustExpired as error:
            raise BadContent(
                f"{error}", "give --checkpoint HEIGHT:HASH from somebody you trust"
            ) from None
        return self.newest

    def _walk(
        self, trusted: LightBlock, height: int, shown: LightBlock | None = None
    ) -> LightBlock:
        """Bisect from a trusted block to a later height; raises Refused or TrustExpired."""
        walk = bisect(trusted, height, self._options, now_ms=self._now_ms())
        try:
            wanted = next(walk)
            wanted = walk.send(shown or self.fetch_block(wanted))
            while True:
                wanted = walk.send(self.fetch_block(wanted))
        except StopIteration as end:
            trace: tuple[LightBlock, ...] = end.value
            return trace[-1]
        except TrustExpired:
            raise
        except Malformed as error:
            raise Refused(str(error)) from None

    def _descend(self, height: int) -> Header:
        """Go down to an older height by the hashes of parents."""
        child = self.newest.header
        if self.anchor.height > height:
            child = self.anchor.header
        if child.number - height > DOWN_MAX:
            raise BadContent(
                f"height {height} lies {child.number - height} blocks below what is trusted",
                "give a --checkpoint that is nearer to it",
            )
        while child.number > height:
            first = max(height, child.number - PAGE_HEADERS)
            child = self._descend_page(child, first)
        return child

    def _descend_page(self, child: Header, first: int) -> Header:
        """Check the headers from a height up to the parent of a trusted one; give the lowest."""
        answer = self.node.call("gristmill_v1_headers", first, child.number - first)
        encoded = _list_of(answer, child.number - first, "headers")
        for one in reversed(encoded):
            header = _decode(Header.decode, one, "header")
            if header.number != child.number - 1 or header.block_id != child.parent_hash:
                raise Refused(f"header {child.number - 1} is not the parent of {child.number}")
            child = header
        return child

    def fetch_block(self, height: int | None) -> LightBlock:
        """Take a light block apart; it is not verified yet."""
        answer = self.node.call("gristmill_v1_lightBlock", *(() if height is None else (height,)))
        parts = _fields(answer, ("commit", "header", "nextValidators", "validators"))
        block = LightBlock(
            _decode(Header.decode, parts["header"], "header"),
            _decode(Commit.decode, parts["commit"], "commit"),
            _decode(ValidatorSet.decode, parts["validators"], "validator set"),
            _decode(ValidatorSet.decode, parts["nextValidators"], "next validator set"),
        )
        if height is not None and block.height != height:
            raise Refused(f"asked for height {height}, got {block.height}")
        return block

    def check_witness(self, witness: Caller, header: Header) -> None:
        """Compare a proved header with what another node proves of its height.

        Raises Refused when they differ, after telling each of the two nodes who signed the other
        side: one of them is on the chain, and punishes whoever signed what is not.
        """
        other = LightClient(witness, self._trust, now_ms=self._now_ms)
        found = other.header(header.number)
        if found.block_id == header.block_id:
            return
        told = self._accuse(other, header.number)
        raise Refused(
            f"two blocks are signed at height {header.number}, {to_hex(found.block_id)} and "
            f"{to_hex(header.block_id)}: the chain forked; {told} of the two nodes took the "
            "evidence of it"
        )

    def _accuse(self, other: "LightClient", height: int) -> int:
        """Hand each node the evidence against the other's side; give how many took it."""
        ours, theirs = self.fetch_block(height), other.fetch_block(height)
        try:
            found = find_divergence(
                (self.anchor, ours),
                (other.anchor, theirs),
                self._options,
            )
        except Malformed:
            return 0
        if found is None:
            return 0
        accusations = (
            (self.node, found.against_witness),
            (other.node, found.against_primary),
        )
        taken = 0
        for caller, evidence in accusations:
            with suppress(WalletError):
                caller.call("gristmill_v1_submitEvidence", to_hex(encode_evidence(evidence)))
                taken += 1
        return taken

    # Where trust begins

    def _ask_genesis_hash(self) -> bytes:
        """Ask for the name of the chain; a wrong one makes every signature invalid."""
        return parse_hex(self.node.call("chain_getBlockHash", 0), 32)

    def _find_anchor(self) -> LightBlock:
        """Give the block that trust begins with, whole; raises Refused."""
        trust = self._trust
        if trust.checkpoint is not None:
            height, block_id = trust.checkpoint
            block = self.fetch_block(height)
            try:
                check_known(block, height, block_id, self.genesis_hash)
            except Malformed as error:
                raise Refused(f"the checkpoint: {error}") from None
            return block
        return trust.genesis or self._ask_genesis()

    def _ask_genesis(self) -> LightBlock:
        """Ask for block 0 and its validators and compare them with the hash."""
        answer = self.node.call("gristmill_v1_lightBlock", 0)
        parts = _fields(answer, ("commit", "header", "nextValidators", "validators"))
        header = _decode(Header.decode, parts["header"], "header")
        if header.block_id != self.genesis_hash:
            raise Refused(f"block 0 there is {to_hex(header.block_id)}, another chain")
        if parts["commit"] is not None or parts["nextValidators"] != parts["validators"]:
            raise Refused("block 0 has no commit and one validator set")
        validators = _decode(ValidatorSet.decode, parts["validators"], "validator set")
        try:
            return trust_genesis(header, validators)
        except Malformed as error:
            raise Refused(str(error)) from None

    # Proofs

    def values(self, keys: Sequence[bytes]) -> tuple[Header, list[bytes | None]]:
        """Prove values of the state after one block, None for absence; raises Refused."""
        answer = self.node.call("gristmill_v1_proofs", [to_hex(key) for key in keys])
        parts = _fields(answer, ("height", "items"))
        header = self.header(parse_int(parts["height"]))
        found: list[bytes | None] = []
        for key, item in zip(keys, _list_of(parts["items"], len(keys), "proofs"), strict=True):
            proved = _fields(item, ("proof", "value"))
            value = None if proved["value"] is None else parse_hex(proved["value"])
            if not store.verify_proof(header.state_root, key, value, parse_hex(proved["proof"])):
                raise Refused(
                    f"the proof of storage key {to_hex(key)} does not lead to the state root of "
                    f"block {header.number}"
                )
            found.append(value)
        return header, found

    def receipt(self, extrinsic_hash: bytes) -> ProvedReceipt:
        """Prove that a transaction is in a block, and its events; raises Refused or NotFound."""
        place = self.node.call("gristmill_v1_extrinsic", to_hex(extrinsic_hash))
        if place is None:
            raise NotFound(
                f"the node knows no transaction {to_hex(extrinsic_hash)}",
                "a node can hide one; ask another with --url",
            )
        parts = _fields(place, ("blockHash", "events", "extrinsic", "height", "index"))
        header, index = self.header(parse_int(parts["height"])), parse_int(parts["index"])
        extrinsic, count = self._prove_extrinsic(header, index, extrinsic_hash)
        receipt = self._prove_receipt(header, index + STEPS_BEFORE, count + STEPS_BESIDE)
        shown = (parts["blockHash"], parts["extrinsic"], parts["events"])
        if shown != (to_hex(header.block_id), to_hex(extrinsic), to_hex(receipt)):
            raise Refused("it tells of the transaction something else than is proved")
        return ProvedReceipt(header, index, extrinsic, receipt)

    def _prove_extrinsic(
        self, header: Header, index: int, extrinsic_hash: bytes
    ) -> tuple[bytes, int]:
        """Give a transaction of a block and how many there are."""
        answer = self.node.call("gristmill_v1_extrinsicProof", header.number, index)
        parts = _fields(answer, ("count", "extrinsic", "proof"))
        extrinsic, count = parse_hex(parts["extrinsic"]), parse_int(parts["count"])
        if hashing.blake2b_256(extrinsic) != extrinsic_hash:
            raise Refused("the transaction it shows has another hash")
        _check_item(header.extrinsics_root, extrinsic, index, count, parts["proof"])
        return extrinsic, count

    def _prove_receipt(self, header: Header, index: int, count: int) -> bytes:
        """Give a receipt of a block."""
        answer = self.node.call("gristmill_v1_receiptProof", header.number, index)
        parts = _fields(answer, ("blockHash", "count", "index", "proof", "receipt", "receiptsRoot"))
        root = header.consensus.receipts_root
        claimed = (parts["blockHash"], parts["receiptsRoot"], parts["index"], parts["count"])
        if claimed != (to_hex(header.block_id), to_hex(root), index, count):
            raise Refused("the proof of the receipt is of another block or place")
        receipt = parse_hex(parts["receipt"])
        _check_item(root, receipt, index, count, parts["proof"])
        return receipt


def _check_item(root: bytes, item: bytes, index: int, count: int, proof: Any) -> None:
    """Refuse an item that is not in its place under a root of a header."""
    if not isinstance(proof, list):
        raise Refused("a proof is a list of hashes")
    nodes = [parse_hex(node, 32) for node in proof]
    if not hashing.verify_merkle_proof(root, item, index, count, nodes):
        raise Refused("the proof does not lead to the root in the header")


def _fields(answer: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Take an object with exactly these members."""
    if not isinstance(answer, dict) or sorted(answer) != list(names):
        raise Refused(f"an answer has the members {', '.join(names)}")
    return answer


def _list_of(answer: Any, count: int, what: str) -> list[Any]:
    """Take a list of exactly so many items."""
    if not isinstance(answer, list) or len(answer) != count:
        raise Refused(f"it gives another number of {what} than were asked for")
    return answer


def _decode(decode: Callable[[bytes], Any], text: Any, what: str) -> Any:
    """Decode SCALE bytes in hex."""
    try:
        return decode(parse_hex(text))
    except ValueError as error:
        raise Refused(f"the {what} does not decode: {error}") from None
