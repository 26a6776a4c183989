"""A whole chain in one thread: real runtime, real storage, all validators' keys in hand."""

from dataclasses import dataclass, field
from pathlib import Path

from chain.engine import BuildPlan
from chain.execution import RuntimeExecution, RuntimeJudge
from chain.genesis import ChainStart, read_spec, start_chain
from chain.importer import ImportedBlock, Importer
from chain.log import silent_log
from chain.offences import Offences
from chain.pool import Pool, PoolLimits
from chain.proposer import Proposer
from chain.releases import Releases
from chain.seams import SystemClock
from chain.storage.database import Database
from chain.storage.finality import FinalityJournal
from chain.storage.genesis import create_genesis
from chain.storage.records import read_saved_from
from chain.storage.state import StateStore, StorageOptions, open_state
from chain.verified import VerifiedSignatures
from chain.wallet.derivation import derive
from consensus import leader
from consensus.evidence import EvidenceWindow
from consensus.signbytes import vrf_alpha
from consensus.types import PRECOMMIT, Commit, Vote
from ext import signing, vrf
from runtime.runtime import Runtime
from runtime.transaction import IMMORTAL, encode_extra, encode_transaction, signing_payload

NAMES = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")


def consensus_seed(name: str) -> bytes:
    return derive(f"//{name}//consensus").seed


def vrf_seed(name: str) -> bytes:
    return derive(f"//{name}//vrf").seed


@dataclass
class FixedClock:
    """A clock that tests move by hand."""

    time_ms: int = 1_767_225_600_000
    seconds: float = 0.0

    def now_ms(self) -> int:
        return self.time_ms

    def elapsed(self) -> float:
        return self.seconds


def open_chain(home: Path, start: ChainStart, **options) -> StateStore:
    database = Database(home / "db")
    try:
        chosen = StorageOptions(**options)
        if database.is_new(start.hash):
            create_genesis(database, start.genesis, chosen)
        journal = FinalityJournal(
            home / "finality.journal", start.hash, saved_from=read_saved_from(database)
        )
        return open_state(database, journal, chosen)
    except BaseException:
        database.close()
        raise


@dataclass
class Solo:
    """One node without network or consensus; `step` makes and decides the next block."""

    home: Path
    start: ChainStart = field(default_factory=lambda: start_chain(read_spec("test")))
    options: dict = field(default_factory=dict)
    releases: Releases = field(default_factory=Releases)

    def __post_init__(self) -> None:
        self.clock = FixedClock()
        self.chain = open_chain(self.home, self.start, **self.options)
        params = self.start.spec.params
        window = EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms)
        self.offences = Offences(self.chain.blocks, self.start.hash, window)
        self.execution = RuntimeExecution(self.chain, self.start.hash, self.releases)
        self.verified = VerifiedSignatures()
        self.importer = Importer(self.chain, self.execution, self.offences, self.verified)
        self.judge = RuntimeJudge(self.chain, self.start.hash, self.releases)
        self.pool = Pool(self.judge, PoolLimits(), self.verified)
        log = silent_log(SystemClock())
        self.proposer = Proposer(self.importer, self.execution, self.clock, log)
        self.seeds = {signing.public_key(consensus_seed(n)): consensus_seed(n) for n in NAMES}
        self.vrf_seeds = {signing.public_key(vrf_seed(n)): vrf_seed(n) for n in NAMES}
        self.calls = Runtime().dispatcher

    def plan(self, round_: int = 0, *, time_ms: int | None = None) -> BuildPlan:
        """What the proposer of a round would be told."""
        height = self.chain.height + 1
        validators = self.importer.schedule.current
        randomness = self.chain.blocks.randomness_at(height)
        index = leader.proposer(validators, randomness, height, round_)
        alpha = vrf_alpha(genesis_hash=self.start.hash, randomness=randomness, height=height)
        proof = vrf.prove(self.vrf_seeds[validators[index].vrf_key], alpha)
        self.clock.time_ms = self.chain.tip.time_ms + 250
        return BuildPlan(
            height=height,
            round=round_,
            proposer_idx=index,
            time_ms=self.clock.time_ms if time_ms is None else time_ms,
            vrf_proof=proof,
            last_commit=self.chain.blocks.commit(self.chain.height),
        )

    def commit_for(self, header, *, skip=()) -> Commit:
        """A commit of everybody but some indices."""
        validators = self.importer.schedule.current
        votes = []
        for index, validator in enumerate(validators.validators):
            if index in skip:
                continue
            vote = Vote(PRECOMMIT, header.number, 0, header.block_id, -1, index)
            signed = vote.sign_bytes(self.start.hash, validators.set_id)
            signature = signing.sign(self.seeds[validator.consensus_key], signed)
            votes.append(Vote(PRECOMMIT, header.number, 0, header.block_id, -1, index, signature))
        return Commit.from_votes(votes, validators)

    def build(self, round_: int = 0):
        built = self.proposer.build(self.plan(round_), self.pool.candidates())
        self.pool.on_rejected(built.rejected)
        return built.executed

    def step(self, round_: int = 0, *, skip=()) -> ImportedBlock:
        executed = self.build(round_)
        commit = self.commit_for(executed.block.header, skip=skip)
        imported = self.importer.decide(executed, commit, None)
        self.pool.on_block(executed.block_id, executed.block.extrinsics)
        return imported

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def transfer(self, name: str, to: str, amount: int, *, nonce=None, tip: int = 0) -> bytes:
        """A signed Balances.transfer_keep_alive between development accounts."""
        target = derive(f"//{to}").public
        call = self.calls.encode("Balances", "transfer_keep_alive", target, amount)
        return self.sign(name, call, nonce=nonce, tip=tip)

    def sign(self, name: str, call: bytes, *, nonce=None, tip: int = 0) -> bytes:
        pair = derive(f"//{name}")
        if nonce is None:
            nonce = self.pool.next_nonce(pair.public)
        extra = encode_extra(era=IMMORTAL, nonce=nonce, tip=tip)
        payload = signing_payload(
            call=call,
            extra=extra,
            genesis_hash=self.start.hash,
            anchor_hash=self.start.hash,
            spec_version=self.judge.executive.rules.version,
        )
        return encode_transaction(
            signer=pair.public,
            signature=signing.sign(pair.seed, payload),
            era=IMMORTAL,
            nonce=nonce,
            tip=tip,
            call=call,
        )

    def submit(self, raw: bytes):
        prepared = self.pool.prepare(raw)
        return self.pool.admit(prepared, is_signature_good=signing.verify(*prepared.item))

    def close(self) -> None:
        self.chain.close()
