"""The signing gate of a running node: what we know of the peers, put before the signer's rules.

Nothing is signed unless we and the peers at our height hold two thirds of the power. A peer counts
with the power of the validator that claimed it in a signed status less than a minute ago.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from chain.engine import Ledger
from chain.keychain import Keys
from chain.log import Log
from chain.network.interface import PeerId, Verdict
from chain.network.messages import Claim
from chain.signer import DOPPELGANGER_COMMITS, GateView, PeerHeight, Refusal
from consensus.machine import Machine
from consensus.signbytes import status_bytes
from consensus.types import Proposal, ValidatorSet, Vote
from ext import signing

CLAIM_AGE_MS: Final = 60_000
"""How old a claim may be when it comes, and how far ahead: clocks of peers differ."""

PEERS_MAX: Final = 256
"""Peers remembered; the network never has as many."""


@dataclass(slots=True)
class Standing:
    """What one peer said last: its height, and the validator that it speaks for."""

    height: int = 0
    key: bytes = b""


class Gate:
    """Decides, each time the machine wants to sign, whether this node may."""

    def __init__(
        self, ledger: Ledger, signer: Keys | None, *, listen_blocks: int, log: Log
    ) -> None:
        self.is_syncing = False
        self.has_forked = False
        self._ledger = ledger
        self._signer = signer
        self._listen_blocks = listen_blocks
        self._log = log
        self._peers: dict[PeerId, Standing] = {}
        self._is_restored = True
        self._reasons: tuple[Refusal, ...] = ()

    @property
    def reasons(self) -> tuple[Refusal, ...]:
        """Why the gate was shut when it was last asked; empty when it was open."""
        return self._reasons

    def on_start(self) -> None:
        """Look for votes of our key that our journal does not know."""
        if self._signer is not None and self._ledger.tip.number:
            commits = self._ledger.last_commits(DOPPELGANGER_COMMITS)
            self._signer.on_commits(commits, listen_blocks=self._listen_blocks)

    def on_tip(self, height: int) -> None:
        """Count a decided block while the node is current."""
        if self._signer is not None and height and not self.is_syncing:
            self._signer.on_tip(height)

    def on_height(self, *, is_restored: bool) -> None:
        """Note whether the machine knows all that it did at the height it begins."""
        self._is_restored = is_restored

    def on_vote(self, ballot: Proposal | Vote, validators: ValidatorSet) -> bool:
        """Hear a verified ballot of a peer; gives whether it closed the gate, see `listen`."""
        return self._signer is not None and self._signer.on_vote(ballot, validators)

    async def listen(self) -> None:
        """Make durable that the key listens; raises StorageError."""
        if self._signer is not None:
            listen = partial(self._signer.listen, listen_blocks=self._listen_blocks)
            await trio.to_thread.run_sync(listen)

    def on_peer_height(self, peer: PeerId, height: int) -> None:
        """Note the height that a peer works on."""
        self._standing(peer).height = height

    def on_claim(
        self, peer: PeerId, claim: Claim, validators: ValidatorSet, now_ms: int
    ) -> Verdict:
        """Check a claim's age and signature and note the validator behind the peer.

        Its index is of the set of the height it names, which may not be the one of ours.
        """
        is_near = abs(claim.height - self._ledger.tip.number - 1) <= 1
        if is_near:
            validators = self._ledger.validators_at(claim.height) or validators
        if abs(claim.time_ms - now_ms) > CLAIM_AGE_MS or not 0 <= claim.index < len(validators):
            return Verdict.IGNORE
        key = validators[claim.index].consensus_key
        signed = status_bytes(
            genesis_hash=self._ledger.genesis_hash,
            peer=peer.encode(),
            height=claim.height,
            time_ms=claim.time_ms,
        )
        if not signing.verify(key, signed, claim.signature):
            return Verdict.REJECT if is_near else Verdict.IGNORE
        standing = self._standing(peer)
        standing.key = key
        standing.height = max(standing.height, claim.height)
        return Verdict.ACCEPT

    def is_claimed(self, peer: PeerId) -> bool:
        """Whether a validator claimed to speak through this peer."""
        return peer in self._peers and bool(self._peers[peer].key)

    def on_peer_gone(self, peer: PeerId) -> None:
        """Forget a peer."""
        self._peers.pop(peer, None)

    def is_open(self, machine: Machine) -> bool:
        """Say whether the key may sign at the machine's height now; a change is logged."""
        if self._signer is None or self.has_forked:
            return False
        peers = (
            PeerHeight(index, standing.height)
            for standing in self._peers.values()
            if (index := machine.validators.find_key(standing.key)) is not None
        )
        reasons = self._signer.refusals(
            GateView(
                height=machine.height,
                validators=machine.validators,
                peers=tuple(peers),
                is_syncing=self.is_syncing,
                is_commit_known=self._ledger.tip.number >= machine.height,
                is_finality_covered=self._ledger.is_finality_covered,
                is_state_restored=self._is_restored,
            )
        )
        if reasons != self._reasons:
            self._reasons = reasons
            self._log.info("signing_gate", reasons=" ".join(reason.name for reason in reasons))
        return not reasons

    def _standing(self, peer: PeerId) -> Standing:
        if peer not in self._peers and len(self._peers) >= PEERS_MAX:
            self._peers.pop(next(iter(self._peers)))
        return self._peers.setdefault(peer, Standing())
