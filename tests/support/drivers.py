"""Consensus drivers on a chain of paper: real machine, signer and gate, but no runtime."""

from dataclasses import dataclass, replace

import trio

from chain.driver import Driver
from chain.engine import BuildPlan, Claim
from chain.errors import InvalidBlock
from chain.identity import create_identity
from chain.keyfile import ValidatorKeys
from chain.log import silent_log
from chain.network.messages import ConsensusStatus
from chain.signer import Signer, open_signer
from consensus import leader
from consensus.evidence import height_of
from consensus.header import ConsensusFields, Header, PreRuntime
from consensus.rounds import PROFILES, TimeoutProfile
from consensus.signbytes import status_bytes
from consensus.types import (
    ZERO_HASH,
    Block,
    Commit,
    Decision,
    Evidence,
    Proposal,
    Vote,
    last_commit_hash,
)
from ext import signing
from tests.support.consensus import GENESIS, Team, consensus_seed, h, make_team, vrf_seed

BASE_MS = 1_000_000_000
"""The wall clock when trio's clock shows zero."""

RANDOMNESS = h("randomness of the epoch")
TEAM = make_team([1, 1, 1, 1])
LISTEN_BLOCKS = 4


class MovedClock:
    """A wall clock that follows trio's."""

    def now_ms(self) -> int:
        return BASE_MS + round(trio.current_time() * 1_000)

    def elapsed(self) -> float:
        return trio.current_time()


def make_block(
    tip: Header, team: Team, proposer_idx: int, *, time_ms: int, last_commit: Commit | None = None,
    mark: object = 0,
) -> Block:  # fmt: skip
    """A block on a tip; nothing about it is true except its place."""
    fields = ConsensusFields(
        ZERO_HASH, last_commit_hash(last_commit), team.validators.hash(), team.validators.hash(),
        h("params"), h("receipts", mark), b"",
    )  # fmt: skip
    pre_runtime = PreRuntime(time_ms, proposer_idx, team.validators.set_id, bytes(80))
    header = Header(tip.block_id, tip.number + 1, h("state", mark), ZERO_HASH, pre_runtime, fields)
    return Block(header, (), (), last_commit)


def genesis_header(team: Team = TEAM) -> Header:
    """The parent of every first block here."""
    fields = ConsensusFields(
        ZERO_HASH, ZERO_HASH, team.validators.hash(), team.validators.hash(), h("params"),
        h("receipts"), b"",
    )  # fmt: skip
    return Header(
        ZERO_HASH, 0, h("state"), ZERO_HASH, PreRuntime(BASE_MS - 1, 0, 0, bytes(80)), fields
    )


class PaperLedger:
    """`chain.engine.Ledger` in memory; `refused` are blocks that do not execute."""

    def __init__(self, team: Team = TEAM) -> None:
        self.team = team
        self.genesis_hash = GENESIS
        self.is_finality_covered = True
        self.decisions: dict[int, Decision] = {}
        self.candidates: dict[bytes, Block] = {}
        self.saved: list[bytes] = []
        self.plans: list[BuildPlan] = []
        self.refused: set[bytes] = set()
        self.evidence: list[Evidence] = []
        self.validation_seconds = 0.0
        self._genesis = genesis_header(team)

    @property
    def tip(self) -> Header:
        if not self.decisions:
            return self._genesis
        return self.decisions[len(self.decisions)].block.header

    def validators_at(self, height):
        return self.team.validators if height <= self.tip.number + 2 else None

    def randomness_at(self, height):
        return RANDOMNESS if height <= self.tip.number + 2 else None

    def last_commits(self, count):
        heights = range(self.tip.number, max(0, self.tip.number - count), -1)
        return [(self.decisions[height].commit, self.team.validators) for height in heights]

    def decision(self, height):
        return self.decisions.get(height)

    def candidate(self, block_id):
        return self.candidates.get(block_id)

    def keep_candidate(self, block):
        self.candidates[block.block_id] = block

    async def save_candidate(self, block_id):
        self.saved.append(self.candidates[block_id].block_id)
        await trio.lowlevel.checkpoint()

    async def build(self, plan):
        self.plans.append(plan)
        await trio.sleep(0.002)
        block = make_block(
            self.tip, self.team, plan.proposer_idx, time_ms=plan.time_ms,
            last_commit=plan.last_commit, mark=("built", plan.height, plan.round),
        )  # fmt: skip
        self.candidates[block.block_id] = block
        return block

    async def validate(self, block):
        await trio.sleep(self.validation_seconds)
        self._check(block)
        self.candidates[block.block_id] = block

    def _check(self, block):
        if block.header.parent_hash != self.tip.block_id:
            raise InvalidBlock("the parent is not the decided block", field="parent_hash")
        if block.block_id in self.refused:
            raise InvalidBlock("it does not execute", field="state_root")

    async def finalize(self, block, commit, polka):
        await trio.sleep(0.001)
        self._check(block)
        assert commit.verify(self.team.validators, GENESIS)
        self.decisions[block.height] = Decision(block, commit, polka)
        self.candidates.clear()

    async def adopt(self, decision):
        await trio.lowlevel.checkpoint()
        if not decision.commit.verify(self.team.validators, GENESIS):
            raise InvalidBlock("the commit does not verify", field="commit")
        await self.finalize(decision.block, decision.commit, decision.polka)

    def accuse(self, evidence):
        if height_of(evidence) > self.tip.number:
            return False
        is_new = evidence not in self.evidence
        self.evidence.append(evidence)
        return is_new


@dataclass
class Said:
    """Something the driver said, and what its journal held at that moment."""

    what: object
    floor: tuple[int, int, int]


class Recorder:
    """`chain.engine.Voices` that writes down what is said; nobody is there."""

    local_peer = "us"

    def __init__(self, signer: Signer | None) -> None:
        self._signer = signer
        self.said: list[Said] = []
        self.statuses: list[ConsensusStatus] = []
        self.claims: list[Claim] = []
        self.answers: list[dict] = []
        self.blocks: dict[bytes, Block] = {}

    def _note(self, what: object) -> None:
        self.said.append(Said(what, (0, 0, 0) if self._signer is None else self._signer.floor))

    async def send_proposal(self, proposal, block):
        self._note(proposal)
        self.blocks[block.block_id] = block

    async def send_votes(self, votes):
        for vote in votes:
            self._note(vote)

    async def send_certificate(self, certificate):
        self._note(certificate)

    async def send_evidence(self, evidence):
        self._note(evidence)

    async def send_status(self, status):
        self.statuses.append(status)

    async def send_claim(self, claim):
        self.claims.append(claim)

    async def answer(self, peer, **what):
        self.answers.append({"peer": peer, **what})

    async def fetch_block(self, block_id):
        await trio.sleep(0.01)
        return self.blocks.get(block_id)

    def votes(self, kind: int | None = None) -> list[Vote]:
        """The votes said so far."""
        return [
            said.what
            for said in self.said
            if isinstance(said.what, Vote) and kind in (None, said.what.kind)
        ]

    def proposals(self) -> list[Proposal]:
        """The proposals said so far."""
        return [said.what for said in self.said if isinstance(said.what, Proposal)]


def open_key(directory, index: int, team: Team = TEAM) -> Signer:
    """The signer of a member of the team; made at the first time."""
    directory.mkdir(parents=True, exist_ok=True)
    number = team.numbers[index]
    keys = ValidatorKeys(team.validators[index].account, consensus_seed(number), vrf_seed(number))
    if not any(directory.iterdir()):
        create_identity(directory, keys, GENESIS)
    return open_signer(directory, GENESIS)


def make_driver(
    ledger: PaperLedger, voices: object, signer: Signer | None, *,
    profile: TimeoutProfile = PROFILES["test"], decided: list[Decision] | None = None,
) -> Driver:  # fmt: skip
    """A driver as the node makes it."""
    clock = MovedClock()
    return Driver(
        ledger=ledger,
        voices=voices,
        clock=clock,
        profile=profile,
        signer=signer,
        listen_blocks=LISTEN_BLOCKS,
        log=silent_log(clock),
        on_decided=(decided if decided is not None else []).append,
    )


def turn(height: int, round_: int = 0, team: Team = TEAM) -> int:
    """Whose turn it is."""
    return leader.proposer(team.validators, RANDOMNESS, height, round_)


def back_to_back(profile: TimeoutProfile = PROFILES["test"]) -> TimeoutProfile:
    """The same waits with no interval between blocks."""
    return replace(profile, interval_ms=0)


def claim_of(team: Team, index: int, peer: str, height: int, time_ms: int) -> Claim:
    """A validator's claim to speak through a peer."""
    signed = status_bytes(genesis_hash=GENESIS, peer=peer.encode(), height=height, time_ms=time_ms)
    return Claim(index, peer, height, time_ms, signing.sign(team.seeds[index], signed))
