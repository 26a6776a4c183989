"""Verifier agents on a chain in the process: they run what was drawn again, and say what it is."""

from pathlib import Path
from typing import Any

import pytest

from chain.market.content import DataDirectory
from chain.market.provider import Cheat, Settings
from chain.market.sealing import disclose, seal, secrets_of
from chain.market.training import Plan, train
from chain.market.verifier import VerifierAgent
from runtime.balances import HoldReason
from runtime.market.nouns import JobState, Reason
from runtime.market.trainer import TrainerParams
from runtime.market.verification import audits
from runtime.market.verification.numbers import COMMIT_BLOCKS, REVEAL_BLOCKS
from runtime.market.verification.records import Audit
from tests.support.town import GRIST, Town
from tests.support.verification import LEAVES

VERIFIERS = ("Alice", "Bob", "Charlie")
BOND = 5_000 * GRIST


class Watched(Town):
    """A town with verifiers at work, and Paula who provides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_work: dict[str, VerifierAgent] = {}
        self.is_without_data: tuple[str, ...] = ()

    def settle_in(self, cheat: Cheat | None = None) -> int:
        """Let everybody take part, and a job be submitted."""
        runtime = self.chain.open()
        for parameter in (COMMIT_BLOCKS, REVEAL_BLOCKS):
            parameter.begin(runtime.ctx, 20)
        self.chain.close()
        self.add_verifiers(*VERIFIERS)
        self.add_dataset("Eve", GRIST)
        self.add_provider("Paula", Settings(cheat=cheat))
        return self.submit("Dave", self.spec())

    def start_verifier(self, name: str) -> VerifierAgent:
        agent = self.at_work[name] = super().start_verifier(name)
        if name in self.is_without_data:
            agent.data = DataDirectory(self.path / "nothing")
        return agent

    def audit(self, number: int) -> Audit:
        audit: Audit = self.market.verification.audits[number]
        return audit

    def bonds(self) -> list[int]:
        held = self.chain.look().balances.held
        return [held(self.id(name), HoldReason.SERVICE) for name in VERIFIERS]


@pytest.fixture
def town(tmp_path: Path) -> Any:
    return Watched(tmp_path)


def test_verifiers_run_an_honest_job_again_and_it_settles_as_audited(town: Watched) -> None:
    number = town.settle_in()
    before = {name: town.free(name) for name in VERIFIERS}
    job = town.until(number, JobState.SETTLED)
    assert job.reason is Reason.AUDIT_PASSED
    assert town.failures == []
    assert town.bonds() == [BOND] * 3
    assert all(town.free(name) > before[name] for name in VERIFIERS)


@pytest.mark.parametrize(("drawn", "is_shown"), [(0, False), (20, True)])
def test_verifiers_find_skipped_work_where_it_was_skipped(
    town: Watched, monkeypatch: pytest.MonkeyPatch, *, drawn: int, is_shown: bool
) -> None:
    """The work is skipped from the second checkpoint on: an audit of the first cannot see it."""
    monkeypatch.setattr(audits, "draw_checkpoints", lambda *_: (drawn,))
    number = town.settle_in(Cheat.SKIP_WORK)
    town.until(number, JobState.WINDOW)
    job = town.until(number, JobState.SETTLED, JobState.OPEN, JobState.BIDDING)
    assert job.reason is (Reason.WRONG_CHECKPOINT if is_shown else Reason.AUDIT_PASSED)
    assert town.bonds() == [BOND] * 3


def test_a_verifier_that_is_started_again_says_the_same(town: Watched) -> None:
    number = town.settle_in()
    town.until(number, JobState.WINDOW)
    while not any(seat.commits for seat in town.audit(number).seats):
        town.block()
    for name in VERIFIERS:
        town.agents.remove(town.at_work[name].tick)
        town.start_verifier(name)
    assert town.until(number, JobState.SETTLED).reason is Reason.AUDIT_PASSED
    assert town.bonds() == [BOND] * 3


def test_a_verifier_without_the_data_says_so_and_is_silent(town: Watched) -> None:
    town.is_without_data = ("Bob",)
    number = town.settle_in()
    town.until(number, JobState.WINDOW)
    while town.bonds()[1] == BOND:
        town.block()
    assert any(line.startswith(f"Bob: job {number} cannot be run again") for line in town.said)
    assert town.bonds() == [BOND, BOND - BOND // 200, BOND]


def test_seals_are_opened_by_the_provider_and_its_secrets_alone() -> None:
    plan = Plan(TrainerParams(2, 600, 8), steps=64, checkpoints=32)
    trace = train(plan, LEAVES)
    one, other = b"p" * 32, b"q" * 32
    commitments = seal(trace, one, b"secret")
    assert commitments.root != seal(trace, other, b"secret").root
    assert commitments.root != seal(trace, one, b"another").root
    opened = disclose(trace, commitments, 5)
    assert opened.before is not None
    assert opened.before.opening.checkpoint == trace.run_of(4).state
    assert opened.proof.opening.trace_root == trace.run_of(5).root
    assert disclose(trace, commitments, 0).before is None
    assert secrets_of(b"secret", 0)[1] == bytes(32)
    assert secrets_of(b"secret", 5)[1] == secrets_of(b"secret", 4)[0]
