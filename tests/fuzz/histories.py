"""Random histories: the same blocks compiled, through the modules, and replayed from their bytes.

A history is a chain of blocks full of transfers and of calls of every module, some of them damaged,
with validators that are absent or reported. Each block is built, then executed on states of its own
by an executive that runs hot calls compiled and by one that runs everything through the modules;
all they say must be the same. In the end the bodies alone are executed again from genesis.

Whoever runs this on the plain core (`GRISTMILL_CORE=reference`), under another hash seed, time zone
or Python, gets the same digest. Nothing here imports the node.
"""

import hashlib
from random import Random
from typing import Any

from ext import store
from runtime.balances import TREASURY
from runtime.executive import BlockLimits, Executive
from runtime.frame.call import DispatchClass
from runtime.frame.errors import InvalidTransaction
from runtime.frame.origins import Signed
from runtime.transaction import Era, SignedTransaction, decode_transaction
from tests.fuzz.wise import Wise
from tests.support.runtime import LIMITS, Chain, _state_parts, offence, person, stranger

NAMES = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
BLOCK_TRANSACTIONS = 40
DAMAGED_PERCENT = 3


class Differs(AssertionError):
    """Two ways of executing the same block do not come to the same."""


class History:
    """One history; `transitions` counts the transactions that were executed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(f"history {seed}")
        self.chain = Chain.start("test")
        self.plain = Executive()
        self.plain.is_hot = False
        self.hot = Executive()
        runtime = self.chain.look()
        self.people = [person(name) for name in NAMES] + [stranger(n) for n in range(5)]
        words = [*self.people, TREASURY, bytes(32), stranger(99)]
        entries = [
            entry
            for entry in runtime.dispatcher.entries()
            if entry.dispatch_class is not DispatchClass.MANDATORY and entry.origin is Signed
        ]
        self.entries = entries
        self.wise = Wise(self.random, words, entries, runtime)
        self.blocks: list[tuple[Any, tuple[bytes, ...], bytes]] = []
        self.transitions = 0
        self.failed = 0
        self._digest = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """A hash over everything that every block said."""
        return self._digest.hexdigest()

    def run(self, blocks: int) -> None:
        """Make so many blocks, each executed in all ways, then replay them."""
        for _ in range(blocks):
            self.block()
        self.replay()

    def block(self) -> None:
        chain = self.chain
        context = chain.context(**self._weather())
        limits = BlockLimits(LIMITS.bytes_max, LIMITS.weight_max, self.random.choice((5, 200)))
        built = chain.executive.build_block(
            chain.state.overlay(), context, self._candidates(), limits
        )
        overlay = chain.state.overlay()
        for executive, state in ((self.plain, chain.state.overlay()), (self.hot, overlay)):
            again = executive.execute_block(state, context, built.extrinsics)
            if again != built.result:
                raise Differs(f"history {self.seed}, block {context.height}")
        chain.state.commit(overlay)
        if chain.state.root != built.result.state_root:
            raise Differs(f"history {self.seed}, block {context.height}: the committed root")
        chain.height += 1
        chain.parent_hash = hashlib.blake2b(
            chain.parent_hash + built.result.state_root, digest_size=32
        ).digest()
        self.blocks.append((context, built.extrinsics, built.result.state_root))
        self.transitions += len(built.extrinsics)
        self.failed += sum(built.result.failed)
        self._digest.update(repr(built.result).encode())
        self._digest.update(b"%d" % len(built.rejected))

    def replay(self) -> None:
        """Execute what was kept, from genesis, by somebody who was not there."""
        state, executive = store.State.from_entries(_state_parts("test")), Executive()
        for context, extrinsics, root in self.blocks:
            overlay = state.overlay()
            executive.execute_block(overlay, context, extrinsics)
            state.commit(overlay)
            if state.root != root:
                raise Differs(f"history {self.seed}, block {context.height}: replayed")

    def _weather(self) -> dict[str, Any]:
        """Who was absent, how late it is, and now and then a report."""
        random, chain = self.random, self.chain
        height = chain.height + 1
        time_ms = chain.spec.time_ms + height * 1_000
        changes: dict[str, Any] = {"time_ms": time_ms}
        if height > 1:
            count = len(chain.context().last_commit)
            changes["last_commit"] = tuple(random.random() < 0.9 for _ in range(count))
        if height > 3 and random.random() < 0.02:
            when = height - 2
            report = offence(
                height=when, time_ms=chain.spec.time_ms + when * 1_000, evidence_hash=bytes(32)
            )
            changes["misbehaviour"] = (report,)
        return changes

    def _candidates(self) -> list[SignedTransaction]:
        """Sign calls with the nonces that would be right if all were included."""
        random, chain = self.random, self.chain
        chain.look()
        nonces: dict[bytes, int] = {}
        made = []
        for _ in range(random.randrange(BLOCK_TRANSACTIONS)):
            who = random.choice(self.people)
            record = chain.runtime.ctx.state.account(who)
            nonce = nonces.get(who, record[0] if record else 0)
            nonces[who] = nonce + 1
            tip = random.choice((0, 0, 0, 1, 10**6, 1 << 63))
            era = random.choice((Era(0, 0), Era(0, 0), Era.mortal(period=64, height=chain.height)))
            signed = chain.sign(self._call(), who, nonce=nonce, tip=tip, era=era)
            made.append(signed)
            if random.randrange(100) < DAMAGED_PERCENT:
                made += self._damaged(signed.raw)
        return made

    def _call(self) -> bytes:
        random, chain = self.random, self.chain
        choice = random.random()
        target, amount = random.choice(self.wise.words), self.wise.amount()
        if choice < 0.35:
            return chain.call("Balances", "transfer_keep_alive", target, amount)
        if choice < 0.5:
            return chain.call("Balances", "transfer_allow_death", target, amount)
        if choice < 0.55:
            return chain.call("System", "remark", random.randbytes(random.randrange(90)))
        return self.wise.call(random.choice(self.entries))

    def _damaged(self, raw: bytes) -> list[SignedTransaction]:
        """The same transaction with a byte changed, where it can still be read."""
        place = self.random.randrange(len(raw))
        changed = (
            raw[:place] + bytes((raw[place] ^ 1 << self.random.randrange(8),)) + raw[place + 1 :]
        )
        try:
            return [decode_transaction(changed)]
        except InvalidTransaction:
            return []
