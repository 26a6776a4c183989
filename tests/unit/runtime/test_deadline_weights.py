"""What the wheel counts of a block: each item that it passes, and each that it puts back."""

from runtime import weights
from runtime.balances.nouns import OutflowsFrozen
from runtime.deadlines import Lane
from tests.support.runtime import Chain

MODULE = 200
"""A module that nobody has."""


def weight_with(listener):
    """The weight of a block's beginning in which one item is due."""
    chain = Chain.start("plain")
    runtime = chain.open()
    runtime.deadlines.listen(MODULE, listener)
    runtime.deadlines.schedule(
        height=chain.height + 2, lane=Lane.OTHER, module_index=MODULE, payload=b""
    )
    chain.close()
    return chain.open().ctx.weight_used


def freeze(_: bytes) -> None:
    raise OutflowsFrozen


def test_an_item_that_is_put_back_weighs_what_it_costs_to_undo_it() -> None:
    done = weight_with(lambda _: None)
    assert weight_with(freeze) - done == weights.DEADLINE_PUT_BACK
    assert weights.DEADLINE_PUT_BACK > 10 * weights.DEADLINE_ITEM
