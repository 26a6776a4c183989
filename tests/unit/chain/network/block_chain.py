"""A decided chain without a runtime: real headers, bodies and commits, and who keeps them."""

from collections.abc import Sequence

from chain.errors import InvalidBlock, StatePruned
from consensus.header import ConsensusFields, Header, PreRuntime
from consensus.types import (
    ZERO_HASH,
    Block,
    Commit,
    Decision,
    ValidatorSet,
    evidence_root,
    extrinsics_root,
    last_commit_hash,
)
from tests.support.consensus import GENESIS, Team, h


def make_blocks(teams: Sequence[Team], *, extrinsic_bytes: int = 100) -> list[Decision]:
    """Decisions at heights 1, 2, ...; teams[i] decides height 1 + i, the last is the next set."""
    decisions: list[Decision] = []
    parent = genesis_header(teams[0].validators)
    last_commit: Commit | None = None
    for place, team in enumerate(teams[:-1]):
        body = (h("extrinsic", place) * (extrinsic_bytes // 32 + 1),)
        header = Header(
            parent.block_id,
            place + 1,
            h("state", place),
            extrinsics_root(body),
            PreRuntime(1_000 * (place + 1), 0, team.validators.set_id, bytes(80)),
            ConsensusFields(
                evidence_root(()),
                last_commit_hash(last_commit),
                team.validators.hash(),
                teams[place + 1].validators.hash(),
                h("params"),
                h("receipts", place),
                b"totals",
            ),
        )
        block = Block(header, body, (), last_commit)
        last_commit = team.commit(header.number, header.block_id)
        decisions.append(Decision(block, last_commit, None))
        parent = header
    return decisions


def genesis_header(validators: ValidatorSet) -> Header:
    return Header(
        ZERO_HASH,
        0,
        h("genesis state"),
        ZERO_HASH,
        PreRuntime(0, 0, validators.set_id, bytes(80)),
        ConsensusFields(
            ZERO_HASH,
            ZERO_HASH,
            validators.hash(),
            validators.hash(),
            h("params"),
            ZERO_HASH,
            b"",
        ),
    )


class FakeLedger:
    """A chain that checks order and commits but executes nothing."""

    genesis_hash = GENESIS
    kept_from = 1

    def __init__(self, teams: Sequence[Team], decisions: Sequence[Decision] = ()) -> None:
        self._teams = teams
        self.decisions = list(decisions)
        self._genesis = genesis_header(teams[0].validators)

    @property
    def tip(self) -> Header:
        return self.decisions[-1].block.header if self.decisions else self._genesis

    def validators_at(self, height: int) -> ValidatorSet | None:
        if not 1 <= height <= self.tip.number + 2 or height > len(self._teams):
            return None
        return self._teams[height - 1].validators

    def last_commits(self, count: int) -> list[tuple[Commit, ValidatorSet]]:
        newest = self.decisions[::-1][:count]
        return [(d.commit, self._teams[d.height - 1].validators) for d in newest]

    async def adopt_many(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            self._adopt(decision)

    def _adopt(self, decision: Decision) -> None:
        header = decision.block.header
        if header.number != self.tip.number + 1 or header.parent_hash != self.tip.block_id:
            raise InvalidBlock("out of order", field="number")
        if not decision.commit.verify(self._teams[header.number - 1].validators, GENESIS):
            raise InvalidBlock("not decided", field="commit")
        self.decisions.append(decision)

    def header(self, height: int) -> Header | None:
        if height == 0:
            return self._genesis
        found = self._find(height)
        return None if found is None else found.block.header

    def encoded_block(self, height: int) -> bytes | None:
        found = self._find(height)
        return None if found is None else found.block.encode()

    def check_kept(self, height: int) -> None:
        if 0 < height < self.kept_from:
            raise StatePruned(f"block {height} is not kept here")

    def commit(self, height: int) -> Commit | None:
        found = self._find(height)
        return None if found is None else found.commit

    def block_id(self, height: int) -> bytes | None:
        header = self.header(height)
        return None if header is None else header.block_id

    def _find(self, height: int) -> Decision | None:
        return self.decisions[height - 1] if 1 <= height <= len(self.decisions) else None
