"""Chains to measure on: any number of accounts, blocks of signed transfers, two ways to run."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ext import dispatch, hashing, signing, store
from runtime.block import INHERENTS, SPEC_VERSION, BlockContext
from runtime.executive import Executive, make_inherents
from runtime.genesis import Genesis, build_genesis, load_spec
from runtime.primitives import AccountId
from runtime.transaction import IMMORTAL, encode_extra, encode_transaction, signing_payload

SPEC = Path(__file__).parents[1] / "genesis" / "bench.toml"
GENESIS_HASH = bytes.fromhex("9e" * 32)
RICHES = 10_000_000_000
"""Grains of a made-up account: ten million of them stay far below the cap."""

AMOUNT = 2_000_000
"""Grains of a transfer: twice the existential deposit."""


@cache
def genesis() -> Genesis:
    return build_genesis(load_spec(SPEC.read_text()))


def account_names(count: int, seed: int = 7) -> list[bytes]:
    """Give identifiers that nobody has a key to."""
    source = random.Random(seed)
    return [source.randbytes(32) for _ in range(count)]


@cache
def signers(count: int) -> list[tuple[bytes, bytes]]:
    """Give (seed, public key) pairs."""
    seeds = [hashing.blake2b_256(b"bench" + at.to_bytes(4, "little")) for at in range(count)]
    return [(seed, signing.public_key(seed)) for seed in seeds]


def entries(names: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Give the genesis of the bench chain with more accounts, the books adjusted to them."""
    value = store.encode_account((0, 0, 1, 0, RICHES, 0, 0, store.FLAG_NEW_LOGIC))
    books = (
        hashing.twox_128(b"Balances") + hashing.twox_128(b"TotalIssuance"),
        hashing.twox_128(b"Balances") + hashing.twox_128(b"Minted"),
    )
    for key, content in genesis().entries:
        if key.startswith(books):
            total = int.from_bytes(content, "little") + RICHES * len(names)
            yield key, total.to_bytes(16, "little")
        else:
            yield key, content
    for name in names:
        yield store.account_key(name), value


@dataclass
class World:
    """A state of many accounts and the executive that runs blocks on it."""

    state: store.State
    names: list[bytes]
    signer_count: int
    executive: Executive = field(default_factory=Executive)
    height: int = 0

    @staticmethod
    def make(count: int, signer_count: int) -> "World":
        """Make a world of `count` accounts, `signer_count` of which can sign."""
        names = [key for _, key in signers(signer_count)]
        names += account_names(max(count - signer_count, 0))
        return World(store.State.from_entries(entries(names)), names, signer_count)

    def context(self) -> BlockContext:
        """Give the context of the next block."""
        first = [validator.account for validator in genesis().validators]
        height = self.height + 1
        return BlockContext(
            genesis_hash=GENESIS_HASH,
            height=height,
            parent_hash=hashing.blake2b_256(self.height.to_bytes(8, "little")),
            time_ms=genesis().time_ms + 1000 * height,
            spec_version=SPEC_VERSION,
            proposer=first[height % len(first)],
            entropy=hashing.blake2b_256(height.to_bytes(8, "big")),
            last_commit=(True,) * len(first) if height > 1 else (),
        )

    def transfers(
        self, count: int, *, nonce: int = 0, seed: int = 1, call: bytes | None = None
    ) -> list[bytes]:
        """Sign transfers between random accounts, or one other call, one a signer."""
        chosen = random.Random(seed)
        senders = chosen.sample(signers(self.signer_count), count)
        return [
            self.sign(pair, call or self.transfer(chosen.choice(self.names)), nonce=nonce)
            for pair in senders
        ]

    def transfer(self, target: bytes) -> bytes:
        """Encode a transfer that keeps its sender alive."""
        encode = self.executive.runtime.dispatcher.encode
        return encode("Balances", "transfer_keep_alive", AccountId(target), AMOUNT)

    def sign(self, pair: tuple[bytes, bytes], call: bytes, *, nonce: int) -> bytes:
        """Make a transaction."""
        seed, public = pair
        extra = encode_extra(era=IMMORTAL, nonce=nonce, tip=0)
        payload = signing_payload(
            call=call,
            extra=extra,
            genesis_hash=GENESIS_HASH,
            anchor_hash=GENESIS_HASH,
            spec_version=SPEC_VERSION,
        )
        return encode_transaction(
            signer=AccountId(public),
            signature=signing.sign(seed, payload),
            era=IMMORTAL,
            nonce=nonce,
            tip=0,
            call=call,
        )

    @property
    def terms(self) -> dispatch.SigningTerms:
        """What signatures of the next block cover besides their transaction."""
        suffix = self.executive.signed_versions + GENESIS_HASH
        return dispatch.SigningTerms(self.height + 1, suffix, lambda _: GENESIS_HASH)

    def body(self, transactions: Sequence[bytes]) -> list[bytes]:
        """Put the inherents in front."""
        return [*make_inherents(self.executive.runtime, self.context()), *transactions]

    def run(self, transactions: Sequence[bytes], *, is_hot: bool) -> store.Difference:
        """Execute a block, signatures aside, and commit it to memory."""
        overlay = self.state.overlay()
        self.executive.is_hot = is_hot
        result = self.executive.execute_block(overlay, self.context(), self.body(transactions))
        if any(result.failed) or len(result.failed) != len(transactions) + INHERENTS:
            raise AssertionError("a transaction of a benchmark must succeed")
        self.height += 1
        return self.state.commit(overlay)

    def verify(self, transactions: Sequence[bytes]) -> None:
        """Verify the signatures of a block on all cores."""
        if not dispatch.verify_block(transactions, self.terms):
            raise AssertionError("a signature of a benchmark must verify")

    def go_back(self, differences: list[store.Difference]) -> None:
        """Undo blocks, so that the next round measures the same ones."""
        while differences:
            self.state.apply_difference(differences.pop().reverse)
            self.height -= 1
        assert self.state.root


def import_blocks(
    world: World,
    blocks: Sequence[Sequence[bytes]],
    *,
    is_hot: bool,
    save: Callable[[store.Difference], None] = lambda _: None,
) -> list[store.Difference]:
    """Import blocks: while one is executed, the signatures of the next are verified."""
    done = []
    world.verify(blocks[0])
    for at, transactions in enumerate(blocks):
        following = None
        if at + 1 < len(blocks):
            following = threading.Thread(target=world.verify, args=(blocks[at + 1],))
            following.start()
        difference = world.run(transactions, is_hot=is_hot)
        save(difference)
        done.append(difference)
        if following is not None:
            following.join()
    return done


def signature_items(
    world: World, transactions: Sequence[bytes]
) -> list[tuple[bytes, bytes, bytes]]:
    """Give what the baseline verifies: the same signatures, ready to be handed to libsodium."""
    items = dispatch.signature_items(transactions, world.terms)
    if items is None:
        raise AssertionError("a transaction of a benchmark must be well-formed")
    return items
