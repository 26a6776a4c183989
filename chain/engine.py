"""What the consensus driver needs of the rest of the node: the roles that others play for it.

    Ledger     the decided chain and its candidates       chain/importer.py, proposer.py, storage
    Voices     saying things to the other validators      chain/network/gossip.py

and what those others may tell the driver is `chain.driver.Driver`'s `hear_*` methods: each judges
a message (height window before cryptography, then turn and signature) and gives the verdict that
decides whether gossip forwards it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chain.network.interface import PeerId
from chain.network.messages import Claim, ConsensusStatus
from consensus.header import Header
from consensus.types import (
    Block,
    Certificate,
    Commit,
    Decision,
    Evidence,
    Proposal,
    ValidatorSet,
    Vote,
)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a proposer fixes before its block is built.

    `vrf_proof` has 80 bytes; `last_commit` holds every precommit for the parent that we know and
    is None only at height 1; `round` is the one the block is built in.
    """

    height: int
    round: int
    proposer_idx: int
    time_ms: int
    vrf_proof: bytes
    last_commit: Commit | None


class Ledger(Protocol):
    """The decided chain, and candidates for the next height as overlays on it.

    Calls that execute blocks or write to disk leave the event loop themselves.
    """

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        ...

    @property
    def tip(self) -> Header:
        """The header of the newest decided block."""
        ...

    @property
    def is_finality_covered(self) -> bool:
        """Whether the database holds all that the finality journal says was decided."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of a height: known for every past one, tip + 1 and tip + 2."""
        ...

    def randomness_at(self, height: int) -> bytes | None:
        """Give the 32 bytes of randomness of the epoch that a height up to tip + 2 lies in."""
        ...

    def last_commits(self, count: int) -> list[tuple[Commit, ValidatorSet]]:
        """Give the newest commits with their sets, newest first."""
        ...

    def decision(self, height: int) -> Decision | None:
        """Give a decided block with its proof; None for genesis and unknown heights."""
        ...

    def candidate(self, block_id: bytes) -> Block | None:
        """Give a block built, validated or kept for the next height."""
        ...

    def keep_candidate(self, block: Block) -> None:
        """Remember a received body until it is asked for; bounded."""
        ...

    async def save_candidate(self, block_id: bytes) -> None:
        """Make a candidate's body durable: before we propose it, or lock on it."""
        ...

    async def build(self, plan: BuildPlan) -> Block:
        """Build, execute and keep a block on the tip; an empty one when nothing else works."""
        ...

    async def validate(self, block: Block) -> None:
        """Check and execute a candidate on the tip, and keep it; raises InvalidBlock."""
        ...

    async def finalize(self, block: Block, commit: Commit, polka: Certificate | None) -> None:
        """Store a decided candidate durably and make it the tip; raises StorageError."""
        ...

    async def adopt(self, decision: Decision) -> None:
        """Verify, execute and store a block decided without us; raises InvalidBlock."""
        ...

    def accuse(self, evidence: Evidence) -> bool:
        """Verify evidence and keep it for a block; False when it is bad, old or known."""
        ...


class Voices(Protocol):
    """Saying things to the others; nothing here waits for anybody slow."""

    @property
    def local_peer(self) -> PeerId:
        """Our own name on the network."""
        ...

    async def send_proposal(self, proposal: Proposal, block: Block) -> None:
        """Say a proposal to everybody, its block with it or right behind."""
        ...

    async def send_votes(self, votes: Sequence[Vote]) -> None:
        """Say votes to everybody."""
        ...

    async def send_certificate(self, certificate: Certificate) -> None:
        """Say a polka to everybody, whole."""
        ...

    async def send_evidence(self, evidence: Evidence) -> None:
        """Say evidence to everybody."""
        ...

    async def send_status(self, status: ConsensusStatus) -> None:
        """Tell each peer where we stand, so that it sends what we lack."""
        ...

    async def send_claim(self, claim: Claim) -> None:
        """Tell each peer which validator speaks here."""
        ...

    async def answer(
        self,
        peer: PeerId,
        *,
        proposals: Sequence[tuple[Proposal, Block]] = (),
        votes: Sequence[Vote] = (),
        certificate: Certificate | None = None,
        decision: Decision | None = None,
    ) -> None:
        """Send one peer what its status says it lacks."""
        ...

    async def fetch_block(self, block_id: bytes) -> Block | None:
        """Ask peers in turn for the block of a proposal, one pass; None when nobody has it."""
        ...
