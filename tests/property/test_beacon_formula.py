"""The Beacon module and consensus state one formula for the randomness of epochs."""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus import beacon
from ext import store
from runtime.beacon import Beacon
from runtime.block import BlockContext
from runtime.frame.context import Context
from tests.support.consensus import GENESIS, h

BLOCK = BlockContext(
    genesis_hash=GENESIS, height=1, parent_hash=h("parent"), time_ms=1, spec_version=1,
    proposer=h("account"), entropy=h("entropy"), round=0, last_commit_round=0, last_commit=(),
    misbehaviour=(),
)  # fmt: skip


@dataclass
class Epochs:
    """What the module asks of Session."""

    length: int
    height: int = 0

    @property
    def current_index(self):
        return (self.height - 1) // self.length

    def epoch_blocks(self):
        return self.length

    def is_epoch_end(self):
        return self.height % self.length == 0


def run_blocks(length, entropies):
    """The module's randomness after each block, as pairs (this epoch's, the next one's)."""
    epochs, ctx = Epochs(length), Context()
    module = Beacon(ctx, epochs)
    state = store.State.empty().overlay()
    ctx.enter(state, BLOCK)
    module.genesis(randomness=h("R", 0), next_randomness=h("R", 1))
    seen = []
    for height, entropy in enumerate(entropies, start=1):
        epochs.height = height
        ctx.enter(state, replace(BLOCK, height=height, entropy=entropy))
        module.on_initialize()
        module.on_finalize()
        seen.append((module.randomness, module.next_randomness))
        assert all(check.holds for check in module.invariants())
    return seen


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=24))
def test_the_module_computes_what_consensus_says(length, entropies):
    randomness = [h("R", 0), h("R", 1)]
    for epoch in range(len(entropies) // length):
        randomness.append(
            beacon.randomness_after_next(
                randomness_next=randomness[epoch + 1],
                epoch=epoch,
                entropies=entropies[epoch * length : (epoch + 1) * length],
            )
        )
    for height, pair in enumerate(run_blocks(length, entropies), start=1):
        epoch = height // length
        assert pair == (randomness[epoch], randomness[epoch + 1])
