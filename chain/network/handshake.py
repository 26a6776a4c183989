"""The handshake of a chain: same genesis, same rules, and a tip that is proved, not claimed.

A peer's height is believed only with a commit; where the validator set is known the commit is
verified at once, and where it is not (a set change lies between) the headers will prove it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from chain.network.envelope import decode_envelope, encode_message
from chain.network.interface import PeerId
from chain.network.messages import NodeStatus
from chain.network.packing import MalformedMessage
from consensus.header import Header
from consensus.types import Commit, ValidatorSet

STATUS_BYTES_MAX = 16_384
"""A status with the commit of 100 validators is 7 kB."""

PEERS_MAX = 256
"""Peers whose claims are remembered; the network never has as many."""

REORDERED_HEIGHTS_MAX = 256
"""How far a claim may lie below an earlier one: two statuses of one peer, one in its question and
one in its answer, overtake each other, and a chain without pauses decides 50 blocks a second."""

_log = logging.getLogger("gristmill.network")


class TipView(Protocol):
    """What the handshake reads of the decided chain."""

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        ...

    @property
    def tip(self) -> Header:
        """The newest decided header."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of a height, known up to two above the tip."""
        ...

    def last_commits(self, count: int) -> list[tuple[Commit, ValidatorSet]]:
        """Give the newest commits with their sets, newest first."""
        ...


@dataclass(slots=True)
class ClaimBook:
    """The finalised height that each peer has shown a commit for."""

    heights: dict[PeerId, int] = field(default_factory=dict)

    def note(self, peer: PeerId, height: int) -> str | None:
        """Take a newer height; a peer's chain never gets shorter, so a far lower one is a fault."""
        before = self.heights.pop(peer, 0)
        if len(self.heights) >= PEERS_MAX:
            del self.heights[next(iter(self.heights))]
        self.heights[peer] = max(height, before)
        if height < before - REORDERED_HEIGHTS_MAX:
            return f"the finalised height went back from {before} to {height}"
        return None

    def forget(self, peer: PeerId) -> None:
        """Forget a peer, liar or gone."""
        self.heights.pop(peer, None)

    def best(self, peers: list[PeerId]) -> int:
        """Return the highest claim of these peers."""
        return max((self.heights.get(peer, 0) for peer in peers), default=0)

    def at_least(self, peers: list[PeerId], height: int) -> list[PeerId]:
        """Return the peers that claim at least this height."""
        return [peer for peer in peers if self.heights.get(peer, 0) >= height]


class ChainHandshake:
    """A `Handshake` for one chain; keeps the claims that sync goes by."""

    def __init__(
        self,
        view: TipView,
        claims: ClaimBook,
        *,
        compute_fork_id: Callable[[], bytes],
        find_block_id: Callable[[int], bytes | None],
    ) -> None:
        self._view = view
        self._claims = claims
        self._compute_fork_id = compute_fork_id
        self._find_block_id = find_block_id

    def build_status(self) -> bytes:
        """Return our chain, rules and proved tip."""
        tip = self._view.tip
        commit = self._view.last_commits(1)[0][0] if tip.number else None
        status = NodeStatus(
            self._view.genesis_hash, self._compute_fork_id(), tip.number, tip.block_id, commit
        )
        return encode_message(status)

    def find_mismatch(self, peer: PeerId, status: bytes) -> str | None:
        """Return why a peer with this status is none of ours, or note its claim."""
        try:
            envelope = decode_envelope(status, bytes_max=STATUS_BYTES_MAX, kinds=(NodeStatus,))
        except MalformedMessage as fault:
            return f"malformed status: {fault}"
        theirs = envelope.message
        if not isinstance(theirs, NodeStatus):
            return "malformed status"
        if theirs.genesis_hash != self._view.genesis_hash:
            return f"another chain: genesis 0x{theirs.genesis_hash.hex()[:16]}"
        if theirs.fork_id != self._compute_fork_id():
            return "another version of the chain's rules: one of us must upgrade"
        return self._find_false_claim(theirs) or self._claims.note(peer, theirs.finalized_height)

    def _find_false_claim(self, theirs: NodeStatus) -> str | None:
        """Return what is wrong with a claim that we can check; never trusts one we cannot."""
        height, commit = theirs.finalized_height, theirs.commit
        if commit is None:
            return None
        validators = self._view.validators_at(height)
        if validators is None:
            return None
        if not commit.verify(validators, self._view.genesis_hash):
            return f"the commit for height {height} does not verify"
        ours = self._find_block_id(height)
        if ours is not None and ours != theirs.finalized_id:
            _log.error(
                "two blocks are finalised at height %d: ours 0x%s, a peer's 0x%s",
                height,
                ours.hex(),
                theirs.finalized_id.hex(),
            )
            return f"another block is finalised at height {height}"
        return None
