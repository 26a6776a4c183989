"""A town for agents: a chain in the process, and clients of it that agents take for a node.

Each block the agents look once; what they send is in the next block. Nothing is faked but the wire.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chain.market.content import DataDirectory
from chain.market.door import Desk, Envelope
from chain.market.memory import AgentMemory
from chain.market.provider import ProviderAgent, Settings
from chain.market.rows import make_clusters, make_leaves, shuffle
from chain.market.verifier import Settings as Verifying
from chain.market.verifier import VerifierAgent
from chain.market.view import AgentChain
from chain.seams import SystemChance
from chain.wallet.derivation import KeyPair, derive, make_key_pair
from chain.wallet.dry_run import Outcome
from chain.wallet.extrinsic import Draft, Era
from ext import hashing, signing
from runtime.balances import MintCause, Posting
from runtime.market.datasets.nouns import Answer
from runtime.market.datasets.nouns import Terms as DataTerms
from runtime.market.datasets.registry import commitment_of
from runtime.market.nouns import Job, JobKind, JobSpec, JobState, Verification
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.primitives import ZERO_HASH, AccountId
from runtime.transaction import decode_transaction
from tests.support.runtime import GENESIS_HASH, Chain

GRIST = 10**9
CPU = 3
PARAMS = TrainerParams(4, 8_000, 0)
SALT = b"s" * 32


def key_of(name: str) -> KeyPair:
    """The key of a published person, or of anybody else by a name."""
    if name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"):
        return derive(f"//{name}")
    return make_key_pair(hashing.blake2b_256(b"town/" + name.encode()))


@dataclass
class TownClient:
    """What an agent takes for a node: the chain's last block, and its pool."""

    town: "Town"

    @property
    def identity(self) -> Any:
        return SimpleNamespace(genesis_hash=GENESIS_HASH, is_dev=True)

    @property
    def rpc(self) -> Any:
        return self

    def call(self, method: str, *params: Any) -> Any:
        assert method == "state_getKeysPaged", method
        prefix, count, after, _ = params
        start = None if after is None else bytes.fromhex(after[2:])
        keys = self.town.chain.state.keys(bytes.fromhex(prefix[2:]), start, count)
        return ["0x" + key.hex() for key in keys]

    def finalized(self) -> tuple[int, bytes]:
        return self.town.chain.height, self.town.chain.parent_hash

    def storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        del at
        found: bytes | None = self.town.chain.state.get(key)
        return found

    def draft(self, call: bytes, signer: bytes, *, nonce: int | None = None) -> Draft:
        record = self.town.chain.state.account(signer)
        first = record[0] if record else 0
        waiting = sum(one.signer == signer for one in self.town.pool)
        number = first + waiting if nonce is None else nonce
        return Draft(call, Era(0, 0), number, 0, GENESIS_HASH, GENESIS_HASH, 1, 1)

    def dry_run(self, extrinsic: bytes) -> Outcome:
        del extrinsic
        return Outcome(None, None, [], [])

    def submit(self, extrinsic: bytes) -> bytes:
        self.town.pool.append(decode_transaction(extrinsic))
        return hashing.blake2b_256(extrinsic)


@dataclass
class Town:
    """A chain with verifiers, a dataset for sale, and the agents that look at it."""

    path: Path
    chain: Chain = field(default_factory=lambda: Chain.start("dev"))
    pool: list[Any] = field(default_factory=list)
    agents: list[Callable[[], None]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = DataDirectory(self.path / "data")
        rows = shuffle(make_clusters(b"town", rows=512, classes=4, spread=128), b"order")
        self.root = self.data.write(make_leaves(rows))
        self.desks: dict[str, Desk] = {}

    @property
    def market(self) -> Any:
        return self.chain.look().market

    def free(self, name: str) -> int:
        """All the money of somebody, held or not."""
        record = self.chain.state.account(key_of(name).public)
        return 0 if record is None else int(record[4] + record[5])

    def id(self, name: str) -> AccountId:
        return AccountId(key_of(name).public)

    def client(self, name: str) -> AgentChain:
        return AgentChain(TownClient(self), key_of(name), self._hear(name))  # type: ignore[arg-type]  # it plays the node

    def _hear(self, name: str) -> Callable[[str], None]:
        return lambda sentence: self.said.append(f"{name}: {sentence}")

    def do(self, name: str, module: str, call: str, *arguments: Any) -> None:
        """Let somebody make a call in a block of its own, which must be done."""
        agent = self.client(name)
        agent.look()
        agent.send(module, call, *arguments)
        before = len(self.failures)
        self.block()
        assert self.failures[before:] == []

    def block(self) -> None:
        """Make a block of what waits, then let every agent look."""
        journal: list[Any] = []
        self.chain.runtime.ctx.journal = journal
        runtime = self.chain.open()
        waiting, self.pool = self.pool, []
        for transaction in waiting:
            if not self.chain.executive.apply_transaction(transaction):
                call = runtime.dispatcher.decode(transaction.call)
                title = f"{call.entry.module_name}.{call.entry.info.name}"
                error = _error_name(runtime, self.chain.executive.last_error)
                self.failures.append(f"#{self.chain.height + 1} {title}: {error}")
        self.receipts.append(b"".join(self.chain.close().receipts))
        runtime.ctx.journal = None
        self.postings += journal
        for agent in self.agents:
            agent()

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.block()

    def fund(self, name: str, grains: int) -> None:
        """Give somebody money that nobody had."""
        runtime = self.chain.open()
        runtime.balances.mint(MintCause.GENESIS, self.id(name), grains)
        self.chain.close()

    def moved(self, name: str | None, *causes: IntEnum) -> int:
        """What somebody got, less what left, by postings of these causes; None is nobody: burns."""
        who = None if name is None else self.id(name)
        chosen = [one for one in self.postings if not causes or one.cause in causes]
        chosen = [one for one in chosen if not causes or type(one.cause) in map(type, causes)]
        got = sum(one.amount for one in chosen if one.target == who)
        return got - sum(one.amount for one in chosen if one.source == who)

    # Who takes part

    def add_verifiers(self, *names: str) -> None:
        """Let validators put their bonds down, and their agents look."""
        for name in names:
            self.do(name, "Verification", "join", 5_000 * GRIST)
            self.start_verifier(name)

    def start_verifier(self, name: str) -> VerifierAgent:
        chain = self.client(name)
        agent = VerifierAgent(
            chain, self.data, self._memory_of(f"{name}-verifier", chain), Verifying()
        )
        self.agents.append(agent.tick)
        return agent

    def _memory_of(self, name: str, chain: AgentChain) -> AgentMemory:
        return AgentMemory(
            self.path / f"{name}.json",
            genesis=GENESIS_HASH,
            account=chain.pair.public,
            chance=SystemChance(),
        )

    def add_dataset(self, owner: str, price: int) -> None:
        """Register the town's data, and answer its first challenge."""
        leaves = self.data.read(self.root)
        who = self.id(owner)
        self.do(owner, "Datasets", "commit", commitment_of(self.root, who, SALT))
        self.blocks(10)
        terms = DataTerms(len(leaves) * 1_024, ZERO_HASH, price, (), ())
        self.do(owner, "Datasets", "reveal", self.root, SALT, terms, 500 * GRIST)
        self.agents.append(self._prover(owner))
        for _ in range(80):
            if str(self.market.datasets.datasets[0].state.name) == "ACTIVE":
                return
            self.block()
        raise AssertionError("the dataset never became active")

    def _prover(self, owner: str) -> Callable[[], None]:
        leaves = self.data.read(self.root)
        agent = self.client(owner)
        sent: set[int | None] = set()

        def prove() -> None:
            market = agent.look().market
            challenge = market.datasets.find_challenge(0)
            if challenge is None or challenge.era in sent:
                return
            sent.add(challenge.era)
            answers = tuple(
                Answer(leaves[index], hashing.merkle_proof(leaves, index))
                for index in challenge.indices
            )
            agent.send("Datasets", "prove", 0, answers)

        return prove

    def add_provider(self, name: str, settings: Settings, *, rate: int = GRIST // 100) -> None:
        """Register a provider with stake and an offer, and let its agent look."""
        self.fund(name, 100_000 * GRIST)
        terms = Terms((ClassCapacity(CPU, 4),), b"lab", ZERO_HASH, self.id(name), 0)
        self.do(name, "Providers", "register", terms, None)
        self.do(name, "Providers", "deposit_security", 20_000 * GRIST)
        self.do(name, "Providers", "set_offer", CPU, rate)
        self.start_provider(name, settings)

    def start_provider(self, name: str, settings: Settings) -> ProviderAgent:
        """Start the agent of a provider, with the memory that it had."""
        chain = self.client(name)
        memory = self._memory_of(name, chain)
        desk = self.desks.setdefault(name, Desk())
        agent = ProviderAgent(chain, DataDirectory(self.path / name), memory, desk, settings)
        agent.data.write(self.data.read(self.root))
        self.agents.append(agent.tick)
        return agent

    # Jobs

    def spec(self, **changes: Any) -> JobSpec:
        """A job of 64 steps that a second of a machine does."""
        fields: dict[str, Any] = {
            "kind": JobKind.TRAIN,
            "verification": Verification.AUDIT,
            "replicas": 1,
            "program": PROGRAM,
            "params": TrainerParams.wire.encode(PARAMS),
            "image": ZERO_HASH,
            "datasets": (0,),
            "class_id": CPU,
            "units": 1_000,
            "checkpoints": 32,
            "steps": 128,
            "run_blocks": 300,
            "heartbeat": 20,
            "tolerance": 3,
            "max_price": 100 * GRIST,
            "min_tier": 1,
        }
        return JobSpec(**{**fields, **changes})

    def submit(self, name: str, spec: JobSpec) -> int:
        """Submit a job and let its requester sign the receipts that are offered."""
        number = int(self.market.jobs.job_count)
        self.do(name, "Jobs", "submit", spec, None, None, None)
        self.agents.append(self._cosigner(name, number))
        return number

    def _cosigner(self, name: str, number: int) -> Callable[[], None]:
        seed = key_of(name).seed

        def sign() -> None:
            for desk in self.desks.values():
                envelope = desk.offered(number)
                if envelope is not None:
                    signature = signing.sign(seed, envelope.receipt.message())
                    desk.bring_back(Envelope(envelope.receipt, envelope.provider, signature))

        return sign

    def until(self, number: int, *states: JobState, limit: int = 600) -> Job:
        """Go on until a job is in one of these states."""
        for _ in range(limit):
            job: Job = self.market.jobs.find(number)
            if job.state in states:
                return job
            self.block()
        raise AssertionError(f"job {number} is {job.state.name} after {limit} blocks: {self.said}")


def _error_name(runtime: Any, encoded: bytes) -> str:
    for module in runtime.modules:
        for error in module.errors:
            if error.encoded == encoded:
                return f"{module.name}.{error.__name__}"
    return encoded.hex()
