"""A node's answers as checked Python values: the chain's identity, blocks, state, transactions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from chain.wallet.client import RpcClient
from chain.wallet.cursor import Cursor
from chain.wallet.decoding import Decoder
from chain.wallet.dry_run import Outcome, compute_changes, read_apply_result, read_fee
from chain.wallet.errors import BadContent, NotFound, WalletError
from chain.wallet.extrinsic import ERA_PERIOD, Draft, check_extensions, choose_era
from chain.wallet.metadata import Metadata, decode_metadata, hash_key, twox_128
from chain.wallet.ss58 import encode_address

PAGE: Final = 1000
"""Storage keys asked for at once; the node's own limit."""

DEV_CHAIN_TYPES: Final = ("Development", "Local")
"""Types of chains on which the published development keys may sign."""

ACCOUNTS_PREFIX: Final = twox_128(b"System") + twox_128(b"Account")
"""The 32 bytes that the storage key of every account begins with."""

EVENTS_KEY: Final = twox_128(b"System") + twox_128(b"Events")
"""The storage key under which a node serves the events of a block."""

ISSUANCE_KEY: Final = twox_128(b"Balances") + twox_128(b"TotalIssuance")
"""The storage key of all the grains there are."""


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """Which chain this is; the genesis hash has 32 bytes."""

    name: str
    chain_type: str
    genesis_hash: bytes
    spec_name: str
    spec_version: int
    transaction_version: int

    @property
    def is_dev(self) -> bool:
        """Whether the published development keys may sign here."""
        return self.chain_type in DEV_CHAIN_TYPES


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's money in grains, and its nonce."""

    nonce: int
    free: int
    reserved: int
    frozen: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block as the node tells it; hash and parent have 32 bytes."""

    height: int
    hash: bytes
    header: dict[str, Any]
    extrinsics: tuple[bytes, ...]


class ChainClient:
    """Typed questions to one node; what never changes is asked once."""

    def __init__(self, rpc: RpcClient) -> None:
        self.rpc = rpc

    @cached_property
    def identity(self) -> ChainIdentity:
        """Which chain the node is on."""
        name, chain_type, genesis, version = self._all(
            ("system_chain", ()),
            ("system_chainType", ()),
            ("chain_getBlockHash", (0,)),
            ("state_getRuntimeVersion", ()),
        )
        if not isinstance(version, dict):
            raise BadContent("the node does not say its runtime version")
        return ChainIdentity(
            name=str(name),
            chain_type=str(chain_type),
            genesis_hash=parse_hex(genesis, 32),
            spec_name=str(version.get("specName")),
            spec_version=parse_int(version.get("specVersion")),
            transaction_version=parse_int(version.get("transactionVersion")),
        )

    @cached_property
    def metadata(self) -> Metadata:
        """The decoded metadata of the newest block."""
        return decode_metadata(parse_hex(self.rpc.call("state_getMetadata")))

    def finalized(self) -> tuple[int, bytes]:
        """Return (height, 32-byte hash) of the newest finalized block."""
        block_hash = parse_hex(self.rpc.call("chain_getFinalizedHead"), 32)
        return self.height_of(block_hash), block_hash

    def height_of(self, block_hash: bytes) -> int:
        """Return the height of a block by its hash; NotFound if the node does not have it."""
        header = self.rpc.call("chain_getHeader", to_hex(block_hash))
        if not isinstance(header, dict):
            raise NotFound(f"the node has no block {to_hex(block_hash)}")
        return parse_int(header.get("number"))

    def block_hash(self, height: int) -> bytes:
        """Return the hash of the block at a height; NotFound above the head."""
        answer = self.rpc.call("chain_getBlockHash", height)
        if answer is None:
            raise NotFound(f"there is no block {height} yet")
        return parse_hex(answer, 32)

    def find_block(self, text: str) -> tuple[int, bytes]:
        """Return (height, hash) of a block by height, 0x hash, or the word `finalized`."""
        if text in {"finalized", "best", "head", "latest"}:
            return self.finalized()
        if text.startswith("0x"):
            block_hash = parse_hex(text, 32)
            return self.height_of(block_hash), block_hash
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise NotFound(f"{text!r} names no block", "give a height, a 0x hash, or finalized")
        return int(text), self.block_hash(int(text))

    def block(self, block_hash: bytes) -> Block:
        """Return a block by its 32-byte hash."""
        answer = self.rpc.call("chain_getBlock", to_hex(block_hash))
        return parse_block(answer, block_hash)

    def storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        """Return a value of the state after a block (the newest without one)."""
        params = (to_hex(key),) if at is None else (to_hex(key), to_hex(at))
        answer = self.rpc.call("state_getStorage", *params)
        return None if answer is None else parse_hex(answer)

    def storage_keys(self, prefix: bytes, at: bytes) -> list[bytes]:
        """Return every key with a prefix in the state after a block, ascending."""
        keys: list[bytes] = []
        while True:
            after = to_hex(keys[-1]) if keys else None
            page = self.rpc.call("state_getKeysPaged", to_hex(prefix), PAGE, after, to_hex(at))
            if not isinstance(page, list):
                raise BadContent("the node's page of keys is not a list")
            keys += [parse_hex(key) for key in page]
            if len(page) < PAGE:
                return keys

    def account(self, public: bytes, at: bytes | None = None) -> AccountState:
        """Return an account's state; an unknown account has zeros."""
        return parse_account(self.storage(account_key(public), at))

    def next_nonce(self, public: bytes) -> int:
        """Return the nonce for the next transaction, the pool's included."""
        return parse_int(self.rpc.call("system_accountNextIndex", encode_address(public)))

    def draft(
        self,
        call: bytes,
        signer: bytes,
        *,
        period: int = ERA_PERIOD,
        nonce: int | None = None,
        tip: int = 0,
    ) -> Draft:
        """Return a draft of a call by a signer, anchored a little below the finalized head."""
        check_extensions(self.metadata)
        height, _ = self.finalized()
        era = choose_era(height, period)
        birth = era.birth(height)
        anchor = self.block_hash(birth) if birth else self.identity.genesis_hash
        return Draft(
            call=call,
            era=era,
            nonce=self.next_nonce(signer) if nonce is None else nonce,
            tip=tip,
            genesis_hash=self.identity.genesis_hash,
            anchor_hash=anchor,
            spec_version=self.identity.spec_version,
            transaction_version=self.identity.transaction_version,
        )

    def fee(self, extrinsic: bytes) -> int:
        """Return the fee in grains that a signed transaction would pay now."""
        answer = self.rpc.call("payment_queryInfo", to_hex(extrinsic))
        if not isinstance(answer, dict):
            raise BadContent("the node does not say the fee")
        return parse_int(answer.get("partialFee"))

    def submit(self, extrinsic: bytes) -> bytes:
        """Hand a signed transaction to the node; return its 32-byte hash."""
        return parse_hex(self.rpc.call("author_submitExtrinsic", to_hex(extrinsic)), 32)

    def find_extrinsic(self, extrinsic_hash: bytes) -> tuple[int, int] | None:
        """Return (height, index) of a finalized extrinsic by its 32-byte hash, None if unknown."""
        answer = self.rpc.call("gristmill_v1_extrinsic", to_hex(extrinsic_hash))
        if answer is None:
            return None
        if not isinstance(answer, dict):
            raise BadContent("the node does not say where the transaction is")
        return parse_int(answer.get("height")), parse_int(answer.get("index"))

    def events(self, block_hash: bytes, *, for_people: bool = False) -> list[dict[str, Any]]:
        """Return the events of a block in order, each with its phase."""
        content = self.storage(EVENTS_KEY, block_hash)
        if content is None:
            return []
        return decode_events(self.metadata, content, for_people=for_people)

    def dry_run(self, extrinsic: bytes) -> Outcome:
        """Return what a signed transaction would do in the next block."""
        answer = self.rpc.call("gristmill_v1_dryRun", to_hex(extrinsic))
        if not isinstance(answer, dict):
            raise BadContent("the node does not say what would happen")
        error = read_apply_result(self.metadata, parse_hex(answer.get("result")))
        events = decode_events(self.metadata, parse_hex(answer.get("events")))
        fee = read_fee(events)
        changes = compute_changes(events, lambda public: self.account(public).free)
        return Outcome(error, fee, events, changes)

    def _all(self, *calls: tuple[str, tuple[Any, ...]]) -> list[Any]:
        results = self.rpc.batch(calls)
        for result in results:
            if isinstance(result, WalletError):
                raise result
        return results


def account_key(public: bytes) -> bytes:
    """Return the storage key of a 32-byte account."""
    return ACCOUNTS_PREFIX + hash_key("Blake2_128Concat", public)


def decode_events(
    metadata: Metadata, content: bytes, *, for_people: bool = False
) -> list[dict[str, Any]]:
    """Return the records of a SCALE `Vec<EventRecord>` as {phase, extrinsic, event, fields}."""
    _, item = metadata.storage("System.Events")
    cursor = Cursor(content)
    records = Decoder(metadata, for_people=for_people).read(item.value_type, cursor)
    cursor.finish()
    events = []
    for record in records:
        phase = record["phase"]
        applied = phase["ApplyExtrinsic"] if isinstance(phase, dict) else None
        name = "ApplyExtrinsic" if applied is not None else phase
        events.append({"phase": name, "extrinsic": applied, **record["event"]})
    return events


def parse_account(content: bytes | None) -> AccountState:
    """Return an account from its 80 bytes, zeros where there are none."""
    if content is None:
        return AccountState(0, 0, 0, 0)
    cursor = Cursor(content)
    nonce = cursor.number(4)
    cursor.take(12)
    free, reserved, frozen = (cursor.number(16) for _ in range(3))
    cursor.take(16)
    cursor.finish()
    return AccountState(nonce=nonce, free=free, reserved=reserved, frozen=frozen)


def parse_block(answer: Any, block_hash: bytes) -> Block:
    """Return a block from the node's answer; NotFound where there is none."""
    if answer is None:
        raise NotFound(f"the node has no block {to_hex(block_hash)}")
    try:
        block = answer["block"]
        header = dict(block["header"])
        extrinsics = tuple(parse_hex(one) for one in block["extrinsics"])
        return Block(parse_int(header["number"]), block_hash, header, extrinsics)
    except (KeyError, TypeError, ValueError):
        raise BadContent("the node's block does not have the form of a block") from None


def parse_hex(text: Any, length: int | None = None) -> bytes:
    """Return the bytes of 0x hex from the node; BadContent for anything else."""
    try:
        if isinstance(text, str) and text.startswith("0x"):
            content = bytes.fromhex(text[2:])
            if length is None or len(content) == length:
                return content
    except ValueError:
        pass
    wanted = "hex" if length is None else f"{length} bytes of hex"
    raise BadContent(f"expected 0x and {wanted}, got {str(text)[:60]!r}")


def parse_int(value: Any) -> int:
    """Return a number that the node writes as a number, decimal text or 0x hex."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < 80:
        try:
            return int(value, 16) if value.startswith("0x") else int(value)
        except ValueError:
            pass
    raise BadContent(f"expected a number from the node, got {str(value)[:60]!r}")


def to_hex(content: bytes) -> str:
    """Return bytes as 0x hex."""
    return "0x" + content.hex()
