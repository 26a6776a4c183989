"""What a real chain says: the inputs that others are made from.

One small chain is made in a scratch directory, with transfers, stakes and a batch in its blocks,
and misbehaviour of every kind on it; nothing of it depends on the machine or the day.
"""

import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chain.storage.archive import ArchivedBlock, export_archive
from chain.storage.records import read_difference
from consensus.types import Certificate, Decision, LightBlock, Vote
from ext import hashing
from runtime.transaction import encode_inherent
from tests.support.consensus import NO_ROUND
from tests.support.culprits import KINDS, Culprits
from tests.support.solo import Solo

BLOCKS = 6


@dataclass
class Seen:
    """What was seen of the chain."""

    genesis_hash: bytes = b""
    randomness: bytes = b""
    spec_text: str = ""
    transactions: list[bytes] = field(default_factory=list)
    blocks: list[Any] = field(default_factory=list)
    commits: list[Any] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)
    differences: list[bytes] = field(default_factory=list)
    sets: list[Any] = field(default_factory=list)
    evidence: list[Any] = field(default_factory=list)
    proposals: list[Any] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    archive: bytes = b""

    @property
    def headers(self) -> list[Any]:
        return [block.header for block in self.blocks]

    @property
    def certificates(self) -> list[Certificate]:
        return [commit.to_certificate() for commit in self.commits]

    @property
    def decisions(self) -> list[Decision]:
        return [Decision(b, c, None) for b, c in zip(self.blocks, self.commits, strict=True)]

    @property
    def light_blocks(self) -> list[LightBlock]:
        found = zip(self.headers, self.commits, self.sets, strict=True)
        return [LightBlock(header, commit, one, one) for header, commit, one in found]


@cache
def seen() -> Seen:
    """Make the chain, once."""
    with tempfile.TemporaryDirectory() as home:
        solo = Solo(Path(home))
        try:
            return _look(solo, Path(home))
        finally:
            solo.close()


def _submit(solo: Solo, number: int) -> None:
    """Put something of everything into the pool."""
    encode, other = solo.calls.encode, hashing.blake2b_256(bytes((number,)))
    transfer = encode("Balances", "transfer_allow_death", other, 10**10 + number)
    calls = (
        encode("System", "remark", b"remark %d" % number),
        encode("Staking", "bond", (number + 1) * 10**12, ("Staked", None)),
        encode("Utility", "batch", [transfer, encode("Utility", "batch_all", [transfer])]),
        encode("Balances", "transfer_all", other, False),
    )
    solo.submit(solo.transfer("Alice", "Bob", 10**9 + number))
    names = ("Bob", "Charlie", "Dave")
    for name, call in zip(names, calls[:3], strict=True):
        solo.submit(solo.sign(name, call))


def _look(solo: Solo, home: Path) -> Seen:
    for number in range(BLOCKS):
        _submit(solo, number)
        solo.step()
    blocks, heights = solo.chain.blocks, range(1, BLOCKS + 1)
    found = Seen(genesis_hash=solo.start.hash, spec_text=solo.start.genesis.spec_text)
    for height in heights:
        block = blocks.block(height)
        assert block is not None
        found.blocks.append(block)
        found.commits.append(blocks.commit(height))
        found.receipts += blocks.receipts(height) or ()
        found.sets.append(blocks.validators_at(height))
        found.transactions += block.extrinsics
        found.differences += read_difference(solo.chain.database, height)
    found.randomness = blocks.randomness_at(1) or b""
    culprits = Culprits(solo)
    found.evidence = [culprits.make(kind, 3) for kind in KINDS]
    team = culprits.team(2)
    found.proposals = [team.proposal(0, height=2), team.proposal(1, height=2, round_=3)]
    found.votes = [team.vote(1, height=2), team.vote(0, height=2, kind=3, valid_round=NO_ROUND)]
    path = home / "archive"
    archived = (
        ArchivedBlock(b, tuple(blocks.receipts(b.height) or ()), c, None, found.differences[0])
        for b, c in zip(found.blocks, found.commits, strict=True)
    )
    text = found.spec_text
    export_archive(archived, path, genesis_hash=found.genesis_hash, spec_text=text)
    found.archive = path.read_bytes()
    return found


def inherent(call: bytes) -> bytes:
    """An extrinsic without a signature."""
    return encode_inherent(call)
