"""Transactions that wait for a block.

    bytes ──> prepare ──> signatures in one batch ──> admit ──> ready ──> select ──> a block
                │ malformed        │ false              │ invalid  ^                   │
                │ known            '─> banned           │ full     │ the gap closes    │
                '─> refused                             '────> waiting <── nonce gap   │
                                                                                       │
    on_block: what it contains leaves, its senders' next nonces move up, some others <─'
              are checked again, the expired ones go

A sender's transactions form a chain by nonce: those without a gap from the account's nonce on are
ready, the others wait. Priority is what the sender pays for each unit of weight. A transaction for
a nonce that is taken must pay a tenth more. When the pool is full, the sender of the cheapest
transaction loses the last one of its chain, if the newcomer pays more.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Final, Protocol, TypeAlias

from chain.blame import Blame
from chain.errors import InvalidTransaction
from chain.lanes import arrange
from chain.verified import SignatureItem, VerifiedSignatures
from ext import hashing
from runtime.transaction import SignedTransaction

RECHECKED_MAX: Final = 256
"""Transactions checked again after each block, so that a full pool cannot delay the next one."""

CANDIDATES_MAX: Final = 50_000
"""Transactions offered to one block: as many as the largest benchmark fits."""

REPLACEMENT_PERCENT: Final = 10
"""How much more a transaction must pay to take the place of another."""

NONCE_GAP_MAX: Final = 64
"""How far ahead of its account a waiting transaction may be; the pool holds no more a sender."""

Rank: TypeAlias = tuple[bool, int]
"""(ready, priority): what is dropped first when the pool is full."""


class Refusal(Enum):
    """Why the pool does not take a transaction."""

    INVALID = "invalid"
    FORGED = "malformed or wrongly signed"
    BANNED = "banned"
    KNOWN = "already in the pool"
    CHEAP = "another with this nonce pays nearly as much"
    FULL = "full"
    UNKNOWN = "the state to judge it by is missing"


OTHER_RULES: Final = "the rules are changing; sign it for the runtime version of the next block"
"""What the sender of a transaction of other rules is told."""


class PoolRefused(InvalidTransaction):
    """The pool does not take a transaction; `kind` is for programs."""

    def __init__(self, kind: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Stage(Enum):
    """The life of a transaction that somebody watches."""

    READY = "ready"
    WAITING = "waiting"
    IN_BLOCK = "in block"
    FINALIZED = "finalized"
    USURPED = "usurped"
    DROPPED = "dropped"
    INVALID = "invalid"


Watcher: TypeAlias = Callable[[Stage, bytes | None], None]
"""Hears each step; the hash is the block's, or the usurper's. Must not raise or wait."""


@dataclass(frozen=True, slots=True)
class Valuation:
    """What the runtime says of a valid transaction on the newest state.

    `priority` is fee plus tip for each unit of weight; `dies_at` the first height that may not
    include it. `weight` is in picoseconds, `stake` what its sender has at stake, in grains.
    """

    priority: int
    dies_at: int
    weight: int = 1
    is_urgent: bool = False
    stake: int = 0


class Judge(Protocol):
    """The runtime on the newest state, as the pool sees it."""

    def decode(self, raw: bytes) -> SignedTransaction:
        """Decode a whole signed transaction; raises InvalidTransaction."""

    def signature_item(self, transaction: SignedTransaction) -> SignatureItem:
        """Give what must verify if it is included next; raises InvalidTransaction."""

    def validate(self, transaction: SignedTransaction) -> Valuation:
        """Judge all but the signature and a nonce that is too high; raises InvalidTransaction."""

    def next_nonce(self, account: bytes) -> int:
        """Give the nonce that an account's next transaction must have."""

    def height(self) -> int:
        """Give the height of the newest block."""

    def room(self) -> int:
        """Give the weight that the next block has for transactions, in picoseconds."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much the pool holds."""

    count_max: int = 5_000
    size_bytes_max: int = 32 << 20
    sender_count_max: int = 64


@dataclass(slots=True)
class Entry:
    """One transaction in the pool."""

    transaction: SignedTransaction
    hash: bytes
    valuation: Valuation
    arrival: int
    since: int = 0
    is_ready: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes in a body."""
        return len(self.transaction.raw)

    @property
    def sender(self) -> bytes:
        """The account that signed it."""
        return self.transaction.signer

    @property
    def weight(self) -> int:
        """Picoseconds that it takes."""
        return self.valuation.weight

    @property
    def is_urgent(self) -> bool:
        """Whether others lose by it when it comes late."""
        return self.valuation.is_urgent

    @property
    def stake(self) -> int:
        """Grains that its sender has at stake."""
        return self.valuation.stake

    @property
    def rank(self) -> Rank:
        """What it is worth to the pool: whatever waits is worth less than what is ready."""
        return (self.is_ready, self.valuation.priority)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction that decoded and is new; `item` must verify before `admit`."""

    transaction: SignedTransaction
    hash: bytes
    item: SignatureItem
    generation: int = 0
    """How often the rules had changed when `item` was made; each change asks for another."""


@dataclass(slots=True)
class _Chain:
    """The transactions of one sender by nonce."""

    by_nonce: dict[int, Entry] = field(default_factory=dict)
    next_nonce: int = 0
    ready_end: int = 0

    def last(self) -> Entry:
        """Give the transaction with the highest nonce."""
        return self.by_nonce[max(self.by_nonce)]


class Pool:
    """The pool itself: synchronous, no clock, no tasks; the node drives it."""

    def __init__(
        self, judge: Judge, limits: PoolLimits, verified: VerifiedSignatures
    ) -> None:  # fmt: skip
        self._judge = judge
        self._limits = limits
        self._verified = verified
        self._entries: dict[bytes, Entry] = {}
        self._chains: dict[bytes, _Chain] = {}
        self.blame = Blame()
        self._watchers: dict[bytes, list[Watcher]] = {}
        self._cheapest: list[tuple[Rank, int, bytes]] = []
        self._arrivals = 0
        self._recheck_from = 0
        self._generation = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, transaction_hash: bytes) -> bool:
        return transaction_hash in self._entries

    @staticmethod
    def name_of(raw: bytes) -> bytes:
        """Give the hash by which a transaction is known, 32 bytes."""
        return hashing.blake2b_256(raw)

    def ready_count(self) -> int:
        """Give how many transactions could be in the next block."""
        return sum(entry.is_ready for entry in self._entries.values())

    def find(self, transaction_hash: bytes) -> bytes | None:
        """Give the bytes of a pooled transaction, or None."""
        entry = self._entries.get(transaction_hash)
        return None if entry is None else entry.transaction.raw

    def pending(self) -> list[bytes]:
        """Give all transactions, ready ones first in the order a block would take them."""
        ready = [entry.transaction.raw for entry in self.select()]
        return ready + [e.transaction.raw for e in self._entries.values() if not e.is_ready]

    def prepare(self, raw: bytes) -> Prepared:
        """Decode a transaction and see whether it is new; raises PoolRefused."""
        name = hashing.blake2b_256(raw)
        if name in self._entries:
            raise PoolRefused(Refusal.KNOWN, "the transaction is in the pool already")
        if self.blame.is_banned(name, self._judge.height()):
            raise PoolRefused(Refusal.BANNED, "the transaction was refused a short while ago")
        try:
            transaction = self._judge.decode(raw)
        except InvalidTransaction as error:
            self._ban(name)
            raise PoolRefused(Refusal.FORGED, error.reason) from error
        try:
            item = self._judge.signature_item(transaction)
        except InvalidTransaction as error:
            raise PoolRefused(Refusal.INVALID, error.reason) from error
        return Prepared(transaction, name, item, self._generation)

    def admit(self, prepared: Prepared, *, is_signature_good: bool) -> Stage:
        """Take a prepared transaction; gives READY or WAITING, raises PoolRefused."""
        name, transaction = prepared.hash, prepared.transaction
        if prepared.generation != self._generation:
            raise PoolRefused(Refusal.INVALID, OTHER_RULES)
        if not is_signature_good:
            if self.blame.is_tolerant(self._judge.height()):
                raise PoolRefused(Refusal.INVALID, OTHER_RULES)
            self._ban(name)
            raise PoolRefused(Refusal.FORGED, "the signature does not verify")
        self._verified.add([prepared.item])
        if name in self._entries:
            raise PoolRefused(Refusal.KNOWN, "the transaction is in the pool already")
        try:
            valuation = self._judge.validate(transaction)
        except InvalidTransaction as error:
            self._ban(name)
            raise PoolRefused(Refusal.INVALID, error.reason) from error
        entry = Entry(transaction, name, valuation, self._arrivals, self._judge.height())
        self._arrivals += 1
        replaced = self._check_chain(entry)
        if replaced is None:
            self._make_room(entry)
            self._insert(entry)
        else:
            self._replace(replaced, entry)
        return Stage.READY if entry.is_ready else Stage.WAITING

    def _check_chain(self, entry: Entry) -> Entry | None:
        """Give the transaction that this one replaces, or None; raises PoolRefused."""
        transaction = entry.transaction
        chain = self._chains.get(transaction.signer)
        if chain is None:
            chain = _Chain(next_nonce=self._judge.next_nonce(transaction.signer))
        if transaction.nonce < chain.next_nonce:
            self._ban(entry.hash)
            raise PoolRefused(
                Refusal.INVALID, f"nonce {transaction.nonce} is used; use {chain.next_nonce}"
            )
        if transaction.nonce - chain.next_nonce >= NONCE_GAP_MAX:
            raise PoolRefused(
                Refusal.INVALID,
                f"nonce {transaction.nonce} is too far ahead of {chain.next_nonce}",
            )
        rival = chain.by_nonce.get(transaction.nonce)
        if rival is None:
            if len(chain.by_nonce) >= self._limits.sender_count_max:
                raise PoolRefused(
                    Refusal.FULL,
                    f"the sender has {self._limits.sender_count_max} transactions in the pool",
                )
            return None
        wanted = rival.valuation.priority * (100 + REPLACEMENT_PERCENT)
        if entry.valuation.priority * 100 < wanted or entry.valuation.priority == 0:
            raise PoolRefused(
                Refusal.CHEAP,
                f"a transaction with nonce {transaction.nonce} is in the pool; pay at least "
                f"{REPLACEMENT_PERCENT} % more to replace it",
            )
        return rival

    def _make_room(self, entry: Entry) -> None:
        """Drop cheaper transactions until this one fits; raises PoolRefused when none is."""
        limits = self._limits
        signer = entry.transaction.signer
        is_ready = self.next_nonce(signer) == entry.transaction.nonce
        rank = (is_ready, entry.valuation.priority)
        while (
            len(self._entries) >= limits.count_max
            or self.size_bytes + entry.size_bytes > limits.size_bytes_max
        ):
            victim = self._find_victim(signer, rank)
            if victim is None:
                raise PoolRefused(Refusal.FULL, "the pool is full of transactions that pay more")
            self._remove(victim)
            self._tell(victim.hash, Stage.DROPPED, None)

    def _find_victim(self, signer: bytes, rank: Rank) -> Entry | None:
        """Give the last transaction of the sender whose cheapest ranks below this, or None."""
        while self._cheapest:
            lowest, arrival, name = self._cheapest[0]
            cheapest = self._entries.get(name)
            if cheapest is None or (cheapest.rank, -cheapest.arrival) != (lowest, arrival):
                heapq.heappop(self._cheapest)
                continue
            if lowest >= rank or cheapest.transaction.signer == signer:
                return None
            return self._chains[cheapest.transaction.signer].last()
        return None

    def _replace(self, rival: Entry, entry: Entry) -> None:
        """Put an entry in the place of another of the same nonce; raises PoolRefused."""
        growth = entry.size_bytes - rival.size_bytes
        if self.size_bytes + growth > self._limits.size_bytes_max:
            raise PoolRefused(Refusal.FULL, "the pool has no room for a larger transaction")
        entry.is_ready = rival.is_ready
        del self._entries[rival.hash]
        self._entries[entry.hash] = entry
        self._chains[entry.transaction.signer].by_nonce[entry.transaction.nonce] = entry
        self.size_bytes += growth
        self._push(entry)
        self._tell(rival.hash, Stage.USURPED, entry.hash)
        self._tell(entry.hash, Stage.READY if entry.is_ready else Stage.WAITING, None)

    def _push(self, entry: Entry) -> None:
        """Put an entry's present rank on the heap; older ranks of it become void."""
        heapq.heappush(self._cheapest, (entry.rank, -entry.arrival, entry.hash))
        if len(self._cheapest) > 2 * len(self._entries) + 64:
            self._cheapest = [(e.rank, -e.arrival, name) for name, e in self._entries.items()]
            heapq.heapify(self._cheapest)

    def _insert(self, entry: Entry) -> None:
        """Put an entry in its chain and mark what became ready."""
        signer, nonce = entry.transaction.signer, entry.transaction.nonce
        chain = self._chains.get(signer)
        if chain is None:
            first = self._judge.next_nonce(signer)
            chain = self._chains[signer] = _Chain(next_nonce=first, ready_end=first)
        chain.by_nonce[nonce] = entry
        self._entries[entry.hash] = entry
        self.size_bytes += entry.size_bytes
        if nonce == chain.ready_end:
            self._extend(chain)
        else:
            self._push(entry)
            self._tell(entry.hash, Stage.WAITING, None)

    def _extend(self, chain: _Chain) -> None:
        """Mark as ready what follows the ready part of a chain without a gap."""
        while chain.ready_end in chain.by_nonce:
            entry = chain.by_nonce[chain.ready_end]
            chain.ready_end += 1
            if not entry.is_ready:
                entry.is_ready = True
                self._push(entry)
                self._tell(entry.hash, Stage.READY, None)

    def _cut(self, chain: _Chain, nonce: int) -> None:
        """Mark as waiting what stands behind a gap at this nonce."""
        chain.ready_end = nonce
        for later, entry in chain.by_nonce.items():
            if later > nonce and entry.is_ready:
                entry.is_ready = False
                self._push(entry)
                self._tell(entry.hash, Stage.WAITING, None)

    def _remove(self, entry: Entry) -> None:
        """Take an entry out; later ones of its chain wait until the gap closes."""
        chain = self._chains[entry.transaction.signer]
        self._take_out(entry)
        if chain.by_nonce and entry.is_ready:
            self._cut(chain, entry.transaction.nonce)

    def _take_out(self, entry: Entry) -> None:
        """Take an entry out and leave the rest of its chain as it is."""
        signer = entry.transaction.signer
        chain = self._chains[signer]
        del self._entries[entry.hash]
        del chain.by_nonce[entry.transaction.nonce]
        self.size_bytes -= entry.size_bytes
        if not chain.by_nonce:
            del self._chains[signer]

    def select(self) -> Iterator[Entry]:
        """Yield ready transactions, dearest first, each sender's in the order of nonces.

        The pool must not change while this is read to its end, which the caller may not do.
        """
        heap: list[tuple[int, int, bytes, int]] = []
        for signer, chain in self._chains.items():
            first = chain.by_nonce.get(chain.next_nonce)
            if first is not None and first.is_ready:
                heap.append((-first.valuation.priority, first.arrival, signer, chain.next_nonce))
        heapq.heapify(heap)
        while heap:
            _, _, signer, nonce = heapq.heappop(heap)
            by_nonce = self._chains[signer].by_nonce
            yield by_nonce[nonce]
            later = by_nonce.get(nonce + 1)
            if later is not None:
                heapq.heappush(heap, (-later.valuation.priority, later.arrival, signer, nonce + 1))

    def candidates(self, count_max: int = CANDIDATES_MAX) -> list[bytes]:
        """Give the transactions that a block should try, in the order of the lanes."""
        ready = islice(self.select(), count_max)
        height = self._judge.height() + 1
        order = arrange(ready, weight_max=self._judge.room(), height=height)
        return [entry.transaction.raw for entry in order]

    def next_nonce(self, account: bytes) -> int:
        """Give the nonce after the ready transactions of an account."""
        chain = self._chains.get(account)
        return self._judge.next_nonce(account) if chain is None else chain.ready_end

    def on_block(self, block_id: bytes, extrinsics: Iterable[bytes]) -> None:
        """Follow a decided block; the judge already stands on its state."""
        for name in hashing.blake2b_256_many(list(extrinsics)):
            entry = self._entries.get(name)
            self._tell(name, Stage.IN_BLOCK, block_id)
            self._tell(name, Stage.FINALIZED, block_id)
            if entry is not None:
                self._take_out(entry)
        for signer, chain in list(self._chains.items()):
            nonce = self._judge.next_nonce(signer)
            if nonce != chain.next_nonce:
                self._move(chain, nonce)
        self._recheck()
        self.blame.on_height(self._judge.height())

    def _move(self, chain: _Chain, nonce: int) -> None:
        """Take over an account's nonce from the state; what it overtook is invalid."""
        for passed in [n for n in chain.by_nonce if n < nonce]:
            entry = chain.by_nonce[passed]
            self._take_out(entry)
            self._tell(entry.hash, Stage.INVALID, None)
        is_gap = nonce < chain.next_nonce
        chain.next_nonce = nonce
        if is_gap or chain.ready_end < nonce:
            self._cut(chain, nonce)
        self._extend(chain)

    def _recheck(self) -> None:
        """Judge some transactions again, going round; drop those that became invalid."""
        names = list(self._entries)
        if not names:
            return
        start = self._recheck_from % len(names)
        chosen = (names[start:] + names[:start])[:RECHECKED_MAX]
        self._recheck_from = start + len(chosen)
        height = self._judge.height()
        for name in chosen:
            entry = self._entries.get(name)
            if entry is None:
                continue
            if not self._is_still_valid(entry, height):
                self._remove(entry)
                self._ban(name)
                self._tell(name, Stage.INVALID, None)

    def _is_still_valid(self, entry: Entry, height: int) -> bool:
        """Judge a transaction on the newest state and refresh what it pays."""
        if entry.valuation.dies_at <= height + 1:
            return False
        try:
            valuation = self._judge.validate(entry.transaction)
        except InvalidTransaction:
            return False
        is_changed = valuation.priority != entry.valuation.priority
        entry.valuation = valuation
        if is_changed:
            self._push(entry)
        return True

    def on_rejected(self, names: Iterable[bytes]) -> None:
        """Drop what the executive refused while a block was built."""
        for name in names:
            entry = self._entries.get(name)
            if entry is not None:
                self._remove(entry)
                self._ban(name)
                self._tell(name, Stage.INVALID, None)

    def on_new_version(self) -> None:
        """Drop everything: the next block has other rules, and signatures name theirs."""
        self._generation += 1
        self.blame.tolerate_around(self._judge.height())
        self.on_rejected(list(self._entries))

    def watch(self, transaction_hash: bytes, watcher: Watcher) -> None:
        """Tell this watcher where a transaction stands now, and each step from here on."""
        entry = self._entries.get(transaction_hash)
        if entry is not None:
            watcher(Stage.READY if entry.is_ready else Stage.WAITING, None)
        self._watchers.setdefault(transaction_hash, []).append(watcher)

    def unwatch(self, transaction_hash: bytes, watcher: Watcher) -> None:
        """Stop telling a watcher; unknown ones are ignored."""
        watchers = self._watchers.get(transaction_hash, [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop(transaction_hash, None)

    def _tell(self, name: bytes, stage: Stage, other: bytes | None) -> None:
        """Tell the watchers of a transaction; after its last step they are forgotten."""
        is_last = stage not in (Stage.READY, Stage.WAITING, Stage.IN_BLOCK)
        watchers = self._watchers.pop(name, []) if is_last else self._watchers.get(name, [])
        for watcher in list(watchers):
            watcher(stage, other)

    def _ban(self, name: bytes) -> None:
        """Do not look at this hash again for a while."""
        self.blame.ban(name, self._judge.height())
