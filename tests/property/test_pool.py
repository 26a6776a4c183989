"""The pool against a model: its bounds, its order and its chains hold after any history."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chain.errors import InvalidTransaction
from chain.pool import Pool, PoolLimits, PoolRefused, Refusal, Stage, Valuation
from chain.verified import VerifiedSignatures
from ext import hashing

SENDERS = [bytes((n,)) * 32 for n in range(1, 6)]


@dataclass(frozen=True)
class Tx:
    """A transaction whose bytes say everything: sender, nonce, price, death, padding."""

    signer: bytes
    nonce: int
    price: int
    dies_at: int
    padding: int

    @property
    def raw(self):
        head = b"%s|%d|%d|%d|" % (
            self.signer[:1].hex().encode(),
            self.nonce,
            self.price,
            self.dies_at,
        )
        return head + bytes(self.padding)

    @property
    def hash(self):
        return hashing.blake2b_256(self.raw)


class FakeJudge:
    """A chain that knows nonces, a height, and which senders are broke."""

    def __init__(self):
        self.nonces = dict.fromkeys(SENDERS, 0)
        self.now = 1
        self.broke = set()
        self.known = {}

    def decode(self, raw):
        if raw not in self.known:
            raise InvalidTransaction("it does not decode")
        return self.known[raw]

    def signature_item(self, transaction):
        return (transaction.signer, transaction.raw, bytes(64))

    def validate(self, transaction):
        if transaction.signer in self.broke:
            raise InvalidTransaction("it cannot pay")
        return Valuation(transaction.price, transaction.dies_at)

    def next_nonce(self, account):
        return self.nonces[account]

    def height(self):
        return self.now

    def room(self):
        return 1_000


LIMITS = PoolLimits(count_max=12, size_bytes_max=900, sender_count_max=5)


class PoolMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.judge = FakeJudge()
        self.pool = Pool(self.judge, LIMITS, VerifiedSignatures())
        self.heard = {}
        self.model = {}

    def submit(self, tx):
        self.judge.known[tx.raw] = tx
        self.heard.setdefault(tx.hash, [])
        prepared = self.pool.prepare(tx.raw)
        self.pool.watch(tx.hash, lambda stage, _other: self.heard[tx.hash].append(stage))
        return self.pool.admit(prepared, is_signature_good=True)

    @rule(
        sender=st.sampled_from(SENDERS),
        ahead=st.integers(-1, 8),
        price=st.integers(0, 300),
        lives=st.integers(0, 6),
        padding=st.integers(0, 150),
    )
    def add(self, sender, ahead, price, lives, padding):
        nonce = max(0, self.judge.nonces[sender] + ahead)
        tx = Tx(sender, nonce, price, self.judge.now + 2 + lives, padding)
        before = {name: entry.valuation.priority for name, entry in self.pool._entries.items()}
        rivals = [e for e in self.pool._entries.values() if e.transaction.signer == sender]
        rival = next((e for e in rivals if e.transaction.nonce == nonce), None)
        try:
            stage = self.submit(tx)
        except PoolRefused as refusal:
            if refusal.kind in (Refusal.CHEAP, Refusal.KNOWN, Refusal.BANNED):
                assert set(self.pool._entries) == set(before)
            if refusal.kind is Refusal.CHEAP:
                assert rival is not None
                assert price * 100 < rival.valuation.priority * 110 or price == 0
            return
        assert sender not in self.judge.broke
        assert nonce >= self.judge.nonces[sender]
        if rival is not None:
            assert rival.hash not in self.pool
            assert price * 100 >= rival.valuation.priority * 110
        gap_free = range(self.judge.nonces[sender], nonce)
        held = {
            e.transaction.nonce
            for e in self.pool._entries.values()
            if e.transaction.signer == sender
        }
        assert (stage is Stage.READY) == all(n in held for n in gap_free)

    @rule()
    def refuse_garbage(self):
        tx = Tx(SENDERS[0], self.judge.nonces[SENDERS[0]], 10**6, 99, 7)
        self.judge.known[tx.raw] = tx
        with pytest.raises(PoolRefused) as refused:
            self.pool.admit(self.pool.prepare(tx.raw), is_signature_good=False)
        assert refused.value.kind in (Refusal.FORGED, Refusal.BANNED)

    @precondition(lambda self: self.pool.ready_count())
    @rule(count=st.integers(1, 6))
    def make_block(self, count):
        taken = self.pool.candidates(count)
        for raw in taken:
            tx = self.judge.known[raw]
            assert tx.nonce == self.judge.nonces[tx.signer]
            self.judge.nonces[tx.signer] += 1
        self.judge.now += 1
        self.pool.on_block(b"b" * 32, taken)
        for raw in taken:
            stages = self.heard[hashing.blake2b_256(raw)]
            assert stages[-2:] == [Stage.IN_BLOCK, Stage.FINALIZED]

    @rule(sender=st.sampled_from(SENDERS))
    def block_elsewhere(self, sender):
        """A block with a transaction of the sender that we never saw."""
        self.judge.nonces[sender] += 1
        self.judge.now += 1
        foreign = Tx(sender, self.judge.nonces[sender] - 1, 5, 10**6, 1)
        self.pool.on_block(b"c" * 32, [foreign.raw])

    @rule(sender=st.sampled_from(SENDERS))
    def lose_money(self, sender):
        self.judge.broke ^= {sender}
        self.judge.now += 1
        self.pool.on_block(b"d" * 32, [])
        held = {e.transaction.signer for e in self.pool._entries.values()}
        assert not held & self.judge.broke

    @invariant()
    def bounds_hold(self):
        entries = self.pool._entries.values()
        assert len(self.pool) <= LIMITS.count_max
        assert self.pool.size_bytes == sum(e.size_bytes for e in entries) <= LIMITS.size_bytes_max
        for sender in SENDERS:
            assert sum(e.transaction.signer == sender for e in entries) <= LIMITS.sender_count_max
        assert len(self.pool._cheapest) <= 2 * len(self.pool) + 65

    @invariant()
    def chains_hold(self):
        for sender in SENDERS:
            held = {
                e.transaction.nonce: e
                for e in self.pool._entries.values()
                if e.transaction.signer == sender
            }
            nonce = self.judge.nonces[sender]
            assert all(n >= nonce for n in held)
            while nonce in held:
                assert held[nonce].is_ready
                nonce += 1
            assert self.pool.next_nonce(sender) == nonce
            assert not any(e.is_ready for n, e in held.items() if n > nonce)

    @invariant()
    def selection_is_the_ready_ones_dearest_first(self):
        selected = list(self.pool.select())
        assert {e.hash for e in selected} == {
            name for name, e in self.pool._entries.items() if e.is_ready
        }
        expected = self.judge.nonces.copy()
        for place, entry in enumerate(selected):
            signer = entry.transaction.signer
            assert entry.transaction.nonce == expected[signer]
            expected[signer] += 1
            open_heads = [
                later.valuation.priority
                for later in selected[place + 1 :]
                if later.transaction.nonce == expected[later.transaction.signer]
            ]
            assert all(entry.valuation.priority >= p for p in open_heads) or any(
                later.transaction.signer == signer for later in selected[place + 1 :]
            )

    @invariant()
    def watchers_end_once(self):
        last = (Stage.FINALIZED, Stage.USURPED, Stage.DROPPED, Stage.INVALID)
        for name, stages in self.heard.items():
            ends = [s for s in stages if s in last]
            assert len(ends) <= 1 or name in self.pool or stages[-1] in last


PoolMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase
