"""Evidence and the finalised chain: who is guilty of something that no block has recorded yet."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from chain.storage.blocks import BlockStore
from consensus.errors import Malformed
from consensus.evidence import (
    POOL_ITEMS_MAX,
    EvidencePool,
    EvidenceWindow,
    Offender,
    height_of,
    verify_evidence,
)
from consensus.types import (
    EVIDENCE_BYTES_MAX,
    EVIDENCE_MAX,
    Evidence,
    Header,
    ValidatorSet,
    encode_evidence,
    evidence_hash,
)

BLAMED_MAX: Final = 4 * POOL_ITEMS_MAX
"""Items remembered as spoiling blocks, some of which the pool has forgotten."""

ROOMY: Final = POOL_ITEMS_MAX * EVIDENCE_BYTES_MAX
"""Bytes that all items of the pool fit into."""

OFFENDERS_MAX: Final = 32
"""Offences that one block records; the runtime takes no more. The rest waits for the next one."""


class Offences:
    """Judges evidence against decided blocks, and keeps what waits for a block.

    It is what `consensus.evidence` calls a view of the chain. The verdict on an item depends on
    decided blocks only, so that every node gives the same.
    """

    def __init__(self, blocks: BlockStore, genesis_hash: bytes, window: EvidenceWindow) -> None:
        self._blocks = blocks
        self._window = window
        self._pool = EvidencePool()
        self._suspects: dict[bytes, None] = {}
        self._banned: dict[bytes, None] = {}
        self._waiting: tuple[Evidence, ...] = ()
        self.genesis_hash = genesis_hash

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set that voted at a height."""
        return self._blocks.validators_at(height)

    def randomness_at(self, height: int) -> bytes | None:
        """Give the 32 bytes of the epoch that a height belongs to."""
        return self._blocks.randomness_at(height)

    def header_at(self, height: int) -> Header | None:
        """Give the finalised header of a height."""
        return self._blocks.header(height)

    def collect(self, items: Iterable[Evidence], *, tip: Header) -> tuple[Offender, ...]:
        """Give the new offences that a block on top of `tip` records with these items.

        Raises Malformed unless each item is proved and says something new.
        """
        found: dict[tuple[int, bytes, int], Offender] = {}
        for item in items:
            new = self._find_new(item, tip, found.keys())
            if not new:
                raise Malformed("an item of evidence proves nothing that is not recorded already")
            found.update((offender.key, offender) for offender in new)
        return tuple(found.values())[:OFFENDERS_MAX]

    def _find_new(
        self, item: Evidence, tip: Header, taken: Iterable[tuple[int, bytes, int]]
    ) -> list[Offender]:
        """Give the offences of an item that neither a block nor an earlier item records."""
        known = set(taken)
        offenders = verify_evidence(item, self, self._window, tip=tip)
        return [
            offender
            for offender in offenders
            if offender.key not in known and not self._blocks.has_offence(offender.key)
        ]

    def add(self, evidence: Evidence, *, tip: Header) -> bool:
        """Keep evidence for a coming block; False when it says nothing new. Raises Malformed."""
        offenders = verify_evidence(evidence, self, self._window, tip=tip)
        if all(self._blocks.has_offence(offender.key) for offender in offenders):
            return False
        return self._pool.add(evidence, offenders)

    def select(self, *, tip: Header, time_ms: int, size_bytes_max: int) -> tuple[Evidence, ...]:
        """Give the items for a block of this time on `tip`; never raises for what is stale.

        The runtime counts the age up to the new block, a block more than the verifier does.
        """
        room = min(size_bytes_max, EVIDENCE_BYTES_MAX)
        chosen: list[Evidence] = []
        taken: dict[tuple[int, bytes, int], None] = {}
        for item in self._trusted():
            size = len(encode_evidence(item))
            if len(chosen) == EVIDENCE_MAX or size > room:
                continue
            try:
                new = self._find_new(item, tip, taken)
            except Malformed:
                continue
            if new and not self._window.is_expired(
                age_blocks=tip.number + 1 - new[0].height, age_ms=time_ms - new[0].time_ms
            ):
                chosen.append(item)
                room -= size
                taken.update(dict.fromkeys(offender.key for offender in new))
        return tuple(chosen)

    def _trusted(self) -> tuple[Evidence, ...]:
        """Give the items that no failed block is blamed on; when there are none, one suspect."""
        items = self._pool.select(count_max=POOL_ITEMS_MAX, size_bytes_max=ROOMY)
        named = [(evidence_hash(item), item) for item in items]
        named = [(name, item) for name, item in named if name not in self._banned]
        clean = tuple(item for name, item in named if name not in self._suspects)
        return clean or tuple(item for _, item in named[:1])

    def blame(self, items: Sequence[Evidence]) -> None:
        """Note that a block could not be built with these and could without.

        One alone is not tried again; of several each is tried alone later. It may still come in a
        block of somebody else's.
        """
        names = dict.fromkeys(evidence_hash(item) for item in items)
        book = self._banned if len(names) == 1 else self._suspects
        book.update(names)
        while len(book) > BLAMED_MAX:
            book.pop(next(iter(book)))

    def remember(self, items: Iterable[Evidence], *, tip: Header) -> None:
        """Keep evidence of past forks; what is of heights to come is judged when they are here."""
        self._waiting = (*self._waiting, *items)
        self._take_waiting(tip)

    def _take_waiting(self, tip: Header) -> None:
        due = [item for item in self._waiting if height_of(item) <= tip.number]
        if due:
            self._waiting = tuple(item for item in self._waiting if height_of(item) > tip.number)
        for item in due:
            with suppress(Malformed):
                self.add(item, tip=tip)

    def on_block(self, offenders: Iterable[Offender], *, tip: Header) -> None:
        """Follow a decided block that recorded these offences."""
        self._pool.on_recorded(offenders)
        self._take_waiting(tip)
        self._pool.forget(self._window, tip=tip, floor_height=max(0, tip.number - 100_000))

    def __len__(self) -> int:
        return len(self._pool)
