"""A chain of blocks without consensus or network: what runtime tests stand on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ext import hashing, store
from runtime.block import SPEC_VERSION, BlockContext, ExecResult, Misbehaviour
from runtime.executive import BlockLimits, BuiltBlock, Executive, make_inherents
from runtime.frame.errors import CallError
from runtime.genesis import Genesis, build_genesis, load_spec
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.spec import ChainSpec
from runtime.transaction import IMMORTAL, SignedTransaction, decode_transaction, encode_transaction

ROOT = Path(__file__).parents[2]
GENESIS_HASH = bytes.fromhex("9e" * 32)
PEOPLE = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
LIMITS = BlockLimits(bytes_max=1 << 30, weight_max=1 << 60, count_max=100_000)


@cache
def spec_of(name: str) -> ChainSpec:
    """A published spec; "plain" is dev without staking, where nobody has anything held."""
    if name == "plain":
        return load_spec(without_staking((ROOT / "genesis" / "dev.toml").read_text()))
    return load_spec((ROOT / "genesis" / f"{name}.toml").read_text())


def without_staking(text: str) -> str:
    """A spec with a fixed set of equal powers in the place of stakes."""
    text = re.sub(r"(?ms)^\[staking\]\n.*?(?=^\[)", "", text)
    return re.sub(r'(?m)^stake = ".*"$', "power = 1", text)


@cache
def genesis_of(name: str) -> Genesis:
    return build_genesis(spec_of(name))


@cache
def _state_parts(name: str) -> tuple[tuple[bytes, bytes], ...]:
    return genesis_of(name).entries


def person(name: str) -> AccountId:
    """The account of //Alice and friends."""
    return next(account for account, label in spec_of("dev").labels.items() if label == name)


def stranger(number: int) -> AccountId:
    """An account that has nothing yet."""
    return AccountId(hashing.blake2b_256(b"stranger" + number.to_bytes(4, "little")))


@dataclass
class Chain:
    """A chain under test; every finished block is checked against all invariants."""

    state: Any
    executive: Executive
    spec: ChainSpec
    height: int = 0
    parent_hash: bytes = GENESIS_HASH
    overlay: Any = None
    last: ExecResult | None = None

    @staticmethod
    def start(name: str = "dev", executive: Executive | None = None) -> "Chain":
        state = store.State.from_entries(_state_parts(name))
        return Chain(state, executive or Executive(), spec_of(name))

    @property
    def runtime(self) -> Runtime:
        return self.executive.runtime

    def context(self, **changes: Any) -> BlockContext:
        """The context of the next block, everybody having signed the last one."""
        height = self.height + 1
        self.look()
        members = len(self._members_of(height - 1))
        proposer = self._members_of(height)[height % len(self._members_of(height))]
        block = BlockContext(
            genesis_hash=GENESIS_HASH,
            height=height,
            parent_hash=self.parent_hash,
            time_ms=self.spec.time_ms + height * 1000,
            spec_version=SPEC_VERSION,
            proposer=proposer,
            entropy=hashing.blake2b_256(b"entropy" + height.to_bytes(8, "little")),
            last_commit=(True,) * members if height > 1 else (),
        )
        return replace(block, **changes)

    def _members_of(self, height: int) -> list[AccountId]:
        """The set of this height or the last, read from the state before the block."""
        session = self.runtime.session
        ahead = height - self.height
        members = session.current_set if ahead == 0 else session.next_set
        return [member.account for member in members]

    def look(self) -> Runtime:
        """Point the runtime at the newest state, to read it."""
        self.runtime.ctx.enter(
            self.state.overlay(), replace(self.runtime.ctx.block, height=self.height)
        )
        return self.runtime

    def open(self, **changes: Any) -> Runtime:
        """Begin the next block, inherents done."""
        block = self.context(**changes)
        self.overlay = self.state.overlay()
        self.executive.initialize_block(self.overlay, block)
        for raw in make_inherents(self.runtime, block):
            self.executive.apply_inherent(raw)
        return self.runtime

    def close(self) -> ExecResult:
        """Finish the open block, commit it, check every invariant."""
        result = self.executive.finalize_block()
        broken = [check.sentence for check in self.runtime.invariants() if not check.holds]
        assert broken == []
        self.state.commit(self.overlay)
        assert self.state.root == result.state_root
        self.height += 1
        self.parent_hash = hashing.blake2b_256(self.parent_hash + result.state_root)
        self.last = result
        return result

    def block(self, transactions: Sequence[bytes] = (), **changes: Any) -> ExecResult:
        """Make a whole block of transactions that must be valid."""
        self.open(**changes)
        self.executive.apply_many(transactions)
        return self.close()

    def build(
        self, candidates: Sequence[SignedTransaction], limits: BlockLimits = LIMITS
    ) -> BuiltBlock:
        """Build the next block without committing it."""
        return self.executive.build_block(self.state.overlay(), self.context(), candidates, limits)

    def apply(self, call: bytes, signer: AccountId, **changes: Any) -> bool:
        """Run one transaction in the open block; True when its call was done."""
        return self.executive.apply_transaction(self.sign(call, signer, **changes))

    def sign(self, call: bytes, signer: AccountId, **changes: Any) -> SignedTransaction:
        """A transaction; the runtime does not look at signatures, those who hand it blocks do."""
        record = self.runtime.ctx.state.account(signer)
        parts = {
            "era": IMMORTAL,
            "nonce": record[0] if record else 0,
            "tip": 0,
            "signature": bytes(64),
        }
        raw = encode_transaction(**{**parts, **changes}, signer=signer, call=call)
        return decode_transaction(raw)

    def call(self, module: str, name: str, *arguments: Any) -> bytes:
        return self.runtime.dispatcher.encode(module, name, *arguments)

    def transfer(self, target: AccountId, amount: int) -> bytes:
        return self.call("Balances", "transfer_allow_death", target, amount)

    def free(self, who: AccountId) -> int:
        record = self.runtime.ctx.state.account(who)
        return record[4] if record else 0


def assert_refused(
    chain: Chain, call: bytes, error: type[CallError], signer: AccountId | None = None
) -> None:
    """In the open block the call fails with just this error; state and events stay as they were."""
    runtime, who = chain.runtime, signer or person("Alice")
    before, events = runtime.ctx.state.root(), list(runtime.ctx.events)
    outcome = chain.executive.run_call(chain.executive.decode_call(call), who)
    assert outcome == error.encoded, f"{outcome.hex()} is not {error.__name__}"
    assert runtime.ctx.state.root() == before
    assert runtime.ctx.events == events


def offence(**changes: Any) -> Misbehaviour:
    """A well-formed report about Bob in block 1."""
    report = Misbehaviour(
        kind=1,
        account=person("Bob"),
        height=1,
        time_ms=spec_of("dev").time_ms + 1000,
        power=1,
        total_power=4,
        evidence_hash=bytes(32),
    )
    return replace(report, **changes)
