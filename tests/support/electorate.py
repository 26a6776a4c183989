"""Chains with many candidates and nominators, for tests of elections."""

import random
from typing import Any

from ext import hashing, store
from runtime.balances import MintCause
from runtime.executive import Executive
from runtime.frame.origins import Signed
from runtime.genesis import build_genesis, load_spec
from runtime.primitives import GRAINS_PER_GRIST, AccountId
from runtime.runtime import Runtime
from runtime.session_keys import SessionKeys
from runtime.staking.ballot import Phase, PhaseBegun
from runtime.staking.nouns import STAKED, ValidatorPrefs
from tests.support.runtime import ROOT, Chain

PREFS = ValidatorPrefs(0, blocked=False)


def named(kind: str, number: int) -> AccountId:
    """The account of a made-up candidate or voter."""
    return AccountId(hashing.blake2b_256(f"{kind} {number}".encode()))


def spec_text(epoch_blocks: int = 4, era_epochs: int = 2, **staking: int) -> str:
    """The test spec without its schedule, with other epochs and other numbers in [staking]."""
    text = (ROOT / "genesis" / "test.toml").read_text()
    head, _, tail = text.partition("[[schedule]]")
    lines = (head + tail[tail.index("[[accounts]]") :]).splitlines()
    numbers = {"epoch_blocks": epoch_blocks, "era_epochs": era_epochs, **staking}
    for name, value in numbers.items():
        lines = [f"{name} = {value}" if x.startswith(f"{name} =") else x for x in lines]
    return "\n".join(lines)


def start(epoch_blocks: int = 4, era_epochs: int = 2, executive: Executive | None = None) -> Chain:
    """The test chain without its schedule, with other epochs."""
    spec = load_spec(spec_text(epoch_blocks, era_epochs))
    state = store.State.from_entries(build_genesis(spec).entries)
    return Chain(state, executive or Executive(), spec)


def quick_block(chain: Chain) -> bytes:
    """Make an empty block without looking at the invariants, and give its state root."""
    chain.open()
    root = chain.executive.finalize_block().state_root
    chain.state.commit(chain.overlay)
    chain.height += 1
    chain.parent_hash = hashing.blake2b_256(chain.parent_hash + root)
    return root


def run_to(chain: Chain, height: int) -> list[bytes]:
    """Make empty blocks and give their state roots; invariants are checked after the last."""
    roots = [quick_block(chain) for _ in range(height - 1 - chain.height)]
    return [*roots, chain.block().state_root]


def go_to(chain: Chain, height: int) -> None:
    """Make empty blocks up to a height; invariants are checked after each."""
    while chain.height < height:
        chain.block()


def powers(chain: Chain) -> dict[AccountId, int]:
    """The power of each member of the set that was elected last."""
    return {member.account: member.power for member in chain.look().session.queued_set}


def begun(chain: Chain, phase: Phase, era: int = 1) -> bool:
    """Whether the last block's hooks began this phase."""
    return PhaseBegun(era, phase).encode() in chain.last.receipts[0]


def endow(runtime: Runtime, who: AccountId, grist: int) -> None:
    """Make money for somebody in the open block."""
    runtime.balances.mint(MintCause.GENESIS, who, grist * GRAINS_PER_GRIST)


def add_candidate(runtime: Runtime, who: AccountId, grist: int) -> None:
    """Let somebody stand for election with this stake."""
    endow(runtime, who, grist + 1)
    keys = SessionKeys(hashing.blake2b_256(b"c" + who), hashing.blake2b_256(b"v" + who))
    runtime.session.register(who, keys)
    runtime.staking.bond(Signed(who), grist * GRAINS_PER_GRIST, STAKED)
    runtime.staking.validate(Signed(who), PREFS)


def add_voter(runtime: Runtime, who: AccountId, grist: int, targets: Any) -> None:
    """Let somebody back validators with this stake."""
    endow(runtime, who, grist + 1)
    runtime.staking.bond(Signed(who), grist * GRAINS_PER_GRIST, STAKED)
    runtime.staking.nominate(Signed(who), tuple(targets))


def raise_limits(runtime: Runtime, **changes: int) -> None:
    """Let the open block's parameters be others."""
    staking = runtime.staking
    for name, value in changes.items():
        if name == "validator_count":
            staking.validator_count = value
        else:
            fields = {**vars(staking.params), name: value}
            staking.params = type(staking.params)(**fields)


def populate(
    runtime: Runtime, *, candidates: int, voters: int, edges: int = 5, seed: int = 1
) -> None:
    """Add candidates of about ten thousand GRIST, and voters of up to a thousand."""
    noise = random.Random(seed)
    raise_limits(runtime, voters_max=max(200, voters), candidates_max=max(50, candidates + 4))
    names = [named("candidate", number) for number in range(candidates)]
    for name in names:
        add_candidate(runtime, name, noise.randrange(10_000, 20_000))
    for number in range(voters):
        targets = noise.sample(names, min(edges, len(names)))
        add_voter(runtime, named("voter", number), noise.randrange(10, 1_000), targets)


def start_crowded() -> Chain:
    """A chain at its first block, with candidates and voters."""
    made = start()
    made.open()
    populate(made.runtime, candidates=12, voters=100)
    made.close()
    return made


__all__ = [
    "add_candidate",
    "add_voter",
    "begun",
    "endow",
    "go_to",
    "named",
    "populate",
    "powers",
    "quick_block",
    "run_to",
    "start",
    "start_crowded",
]
