"""Seals of a replicated job: salts that only its provider can open, and what it opens in the end.

    secret of the attempt ──> a secret for each checkpoint ──> its salt, hashed with the provider

Whoever copies the commitments of another replica learns what is behind them too late, and cannot
open them even then.
"""

from chain.market.training import Commitments, Trace, make_salt
from runtime.market.nouns import Opening
from runtime.market.trees import branch_of
from runtime.market.verification.records import Disclosure, Proof, seal_salt


def seal(trace: Trace, provider: bytes, secret: bytes) -> Commitments:
    """Commit to every checkpoint that is trained, sealed to a provider by the attempt's secret."""
    openings = tuple(
        Opening(run.state, run.root, seal_salt(provider, make_salt(secret, run.checkpoint)))
        for run in trace.runs
    )
    return Commitments(trace.first, openings)


def disclose(trace: Trace, commitments: Commitments, checkpoint: int) -> Disclosure:
    """Open a checkpoint and the one before it. Raises IndexError when it is not of the attempt."""
    states = trace.run_of(checkpoint).states
    before = _proof(commitments, checkpoint - 1) if checkpoint > trace.first else None
    return Disclosure(_proof(commitments, checkpoint), before, branch_of(states, len(states) - 1))


def secrets_of(secret: bytes, checkpoint: int) -> tuple[bytes, bytes]:
    """Give the secrets of a checkpoint's seal and of the one before; the first has none before."""
    before = make_salt(secret, checkpoint - 1) if checkpoint else bytes(32)
    return make_salt(secret, checkpoint), before


def _proof(commitments: Commitments, checkpoint: int) -> Proof:
    return Proof(commitments.opening(checkpoint), commitments.branch(checkpoint))
