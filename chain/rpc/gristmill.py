"""Our own methods, `gristmill_v1_*`: what people and auditors ask that Substrate has no word for.

Amounts are decimal strings of grains, heights numbers, hashes hex. A change that breaks a caller
gets another number in the name; the group is offered whole or not at all.
"""

from chain.rpc.blocks import find_header, hex_of, hex_or_none
from chain.rpc.jsonrpc import (
    INVALID_PARAMS,
    SERVER_ERROR,
    Json,
    Method,
    MethodTable,
    Param,
    RpcError,
)
from chain.rpc.params import ACCOUNT, AT, COUNT, EVIDENCE, EXTRINSIC, HASH, HEIGHT, KEY, PLACE
from chain.rpc.reading import RuntimeReader
from chain.rpc.view import NodeView, NotIndexed, Refused
from consensus.header import Header
from consensus.types import Commit
from ext import hashing
from runtime.balances.accounts import spendable
from runtime.balances.nouns import PROTECTED, BurnCause, MintCause
from runtime.primitives import AccountId
from runtime.runtime import Runtime

INDEX = Param("index", HEIGHT.parse, HEIGHT.schema)
"""The place of a receipt in its block: 0 initialization, then one an extrinsic, finalization."""


class GristmillMethods:
    """Accounts, supply, validators, epochs, history and proofs."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        for name, handler, params in (
            ("status", self.status, ()),
            ("account", self.account, (ACCOUNT, AT)),
            ("history", self.history, (ACCOUNT, COUNT.optional(), PLACE)),
            ("validators", self.validators, (AT,)),
            ("supply", self.supply, (AT,)),
            ("epoch", self.epoch, (AT,)),
            ("block", self.block, (AT,)),
            ("extrinsic", self.extrinsic, (HASH,)),
            ("proof", self.proof, (KEY,)),
            ("receiptProof", self.receipt_proof, (HEIGHT, INDEX)),
            ("dryRun", self.dry_run, (EXTRINSIC,)),
            ("submitEvidence", self.submit_evidence, (EVIDENCE,)),
        ):
            table.add(Method(f"gristmill_v1_{name}", handler, params))

    def status(self) -> Json:
        """Say where the node stands: final and prevoted head, lag, peers, readiness."""
        head = self._node.head()
        return {
            "genesisHash": hex_of(self._node.chain.genesis_hash),
            "final": {"height": head.number, "hash": hex_of(head.block_id)},
            "prevoted": hex_or_none(self._node.prevoted()),
            "timeMs": head.time_ms,
            "lagMs": self._node.finality_lag_ms(),
            "peers": len(self._node.peers()),
            "pending": len(self._node.pending()),
            "isSyncing": self._node.sync().is_syncing,
            "isReady": self._node.is_ready(),
        }

    def account(self, who: bytes, at: bytes | None) -> Json:
        """Give an account's money by kind: free, spendable, held by reason, frozen."""
        return self._reader.ask(
            at, lambda runtime, header: self._account(runtime, header, AccountId(who))
        )

    def history(self, who: bytes, count: int | None, before: tuple[int, int] | None) -> Json:
        """List the newest extrinsics that touched an account; page on with the last place."""
        try:
            entries = self._node.history(who, before, count or 20)
        except NotIndexed as error:
            raise RpcError(SERVER_ERROR, "No account index", str(error)) from None
        rows: list[Json] = []
        for entry in entries:
            body = self._node.body(entry.height)
            rows.append(
                {
                    "height": entry.height,
                    "index": entry.index,
                    "hash": hex_of(hashing.blake2b_256(body[entry.index])),
                    "extrinsic": hex_of(body[entry.index]),
                    "events": hex_of(self._node.receipts(entry.height)[entry.index + 1]),
                }
            )
        return rows

    def validators(self, at: bytes | None) -> Json:
        """List the validators in index order with keys, power and blocks authored and missed."""
        return self._reader.ask(at, lambda runtime, _: self._validators(runtime))

    def supply(self, at: bytes | None) -> Json:
        """Give all money there is: issued, minted and burned by cause, what modules own."""
        return self._reader.ask(at, self._supply)

    def epoch(self, at: bytes | None) -> Json:
        """Give the epoch that a block lies in: number, first and last height, randomness."""
        return self._reader.ask(at, lambda runtime, _: _epoch(runtime))

    def block(self, at: bytes | None) -> Json:
        """Give what a header says beyond Substrate's fields, and who signed its commit."""
        header = find_header(self._node, at)
        fields = header.consensus
        return {
            "height": header.number,
            "hash": hex_of(header.block_id),
            "timeMs": header.time_ms,
            "proposerIndex": header.proposer_idx,
            "setId": header.set_id,
            "extrinsics": len(self._node.body(header.number)),
            "receiptsRoot": hex_of(fields.receipts_root),
            "evidenceRoot": hex_of(fields.evidence_root),
            "lastCommitHash": hex_of(fields.last_commit_hash),
            "validatorsHash": hex_of(fields.validators_hash),
            "nextValidatorsHash": hex_of(fields.next_validators_hash),
            "paramsHash": hex_of(fields.params_hash),
            "nextEpoch": _next_epoch(header),
            "commit": _commit(self._node.commit(header.number)),
        }

    def extrinsic(self, extrinsic_hash: bytes) -> Json:
        """Find the block and index of a finalized extrinsic; null when there is none."""
        place = self._node.find_extrinsic(extrinsic_hash)
        if place is None:
            return None
        height, index = place
        return {
            "height": height,
            "index": index,
            "blockHash": hex_or_none(self._node.block_hash(height)),
            "extrinsic": hex_of(self._node.body(height)[index]),
            "events": hex_of(self._node.receipts(height)[index + 1]),
        }

    def proof(self, key: bytes) -> Json:
        """Prove the value of a key, or its absence, under the newest state root."""
        height, proof = self._node.prove(key)
        block_hash = self._node.block_hash(height)
        header = find_header(self._node, block_hash)
        return {
            "height": height,
            "stateRoot": hex_of(header.state_root),
            "value": hex_or_none(self._node.storage(key, height)),
            "proof": hex_of(proof),
        }

    def receipt_proof(self, height: int, index: int) -> Json:
        """Prove a receipt under the receipts root of its header."""
        block_hash = self._node.block_hash(height)
        if block_hash is None:
            raise RpcError(SERVER_ERROR, "Unknown block", f"no finalized block {height}")
        receipts = self._node.receipts(height)
        if index >= len(receipts):
            reason = f"the block has receipts 0 to {len(receipts) - 1}"
            raise RpcError(INVALID_PARAMS, "Invalid params", reason)
        root = find_header(self._node, block_hash).consensus.receipts_root
        return {
            "blockHash": hex_of(block_hash),
            "receiptsRoot": hex_of(root),
            "index": index,
            "count": len(receipts),
            "receipt": hex_of(receipts[index]),
            "proof": [hex_of(node) for node in hashing.merkle_proof(receipts, index)],
        }

    def dry_run(self, extrinsic: bytes) -> Json:
        """Run an extrinsic on the newest state and forget it: its result and its events."""
        try:
            result, receipt = self._node.dry_run(extrinsic)
        except Refused as error:
            raise RpcError(error.code, "Invalid Transaction", error.reason) from None
        return {"result": hex_of(result), "events": hex_of(receipt)}

    async def submit_evidence(self, evidence: bytes) -> Json:
        """Hand in a proof of misbehaviour, as a light client that was lied to has one."""
        try:
            return {"isNew": await self._node.submit_evidence(evidence)}
        except Refused as error:
            raise RpcError(error.code, "Invalid Evidence", error.reason) from None

    # Inside

    def _account(self, runtime: Runtime, header: Header, who: AccountId) -> Json:
        record = self._reader.account(who, header.number)
        holds, freezes = runtime.balances.holds[who], runtime.balances.freezes[who]
        nonce, *_, free, reserved, frozen, _flags = record
        return {
            "address": self._reader.address(who),
            "height": header.number,
            "nonce": nonce,
            "free": str(free),
            "held": str(reserved),
            "frozen": str(frozen),
            "total": str(free + reserved),
            "spendable": str(spendable(record, keep_alive=True)),
            "holds": {hold.id.name.lower(): str(hold.amount) for hold in holds},
            "freezes": {freeze.id.name.lower(): str(freeze.amount) for freeze in freezes},
            "label": PROTECTED.get(who),
        }

    def _validators(self, runtime: Runtime) -> Json:
        return [
            {
                "index": index,
                "address": self._reader.address(member.account),
                "consensusKey": hex_of(member.consensus_key),
                "vrfKey": hex_of(member.vrf_key),
                "power": str(member.power),
                "authored": runtime.authorship.authored[member.account],
                "missed": runtime.authorship.misses[member.account],
            }
            for index, member in enumerate(runtime.session.current_set)
        ]

    def _supply(self, runtime: Runtime, header: Header) -> Json:
        balances = runtime.balances
        return {
            "height": header.number,
            "issuance": str(balances.total_issuance),
            "minted": {cause.name.lower(): str(balances.minted[cause]) for cause in MintCause},
            "burned": {cause.name.lower(): str(balances.burned[cause]) for cause in BurnCause},
            "modules": {
                label: str(sum(self._reader.account(who, header.number)[4:6]))
                for who, label in PROTECTED.items()
            },
        }


def _epoch(runtime: Runtime) -> Json:
    index, length = runtime.session.current_index, runtime.session.epoch_blocks()
    return {
        "epoch": index,
        "firstHeight": 1 + index * length,
        "lastHeight": (index + 1) * length,
        "blocks": length,
        "randomness": hex_of(runtime.beacon.randomness),
    }


def _next_epoch(header: Header) -> Json:
    epoch = header.next_epoch
    if epoch is None:
        return None
    return {
        "epoch": epoch.epoch,
        "firstHeight": epoch.start_height,
        "blocks": epoch.length,
        "randomness": hex_of(epoch.randomness),
    }


def _commit(encoded: bytes | None) -> Json:
    if encoded is None:
        return None
    commit = Commit.decode(encoded)
    return {
        "round": commit.round,
        "setId": commit.set_id,
        "signers": list(commit.signers()),
        "bytes": hex_of(encoded),
    }
