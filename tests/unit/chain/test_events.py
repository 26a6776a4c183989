"""Receipts that are cut or changed are refused as receipts."""

import pytest

from chain.events import EventReader
from tests.support.runtime import Chain, person


def receipts() -> list[bytes]:
    """Of a block with a transfer that is done and one that fails."""
    chain = Chain.start()
    chain.open()
    for amount in (10**9, 1 << 62):
        chain.apply(chain.transfer(person("Bob"), amount), person("Alice"))
    return list(chain.close().receipts)


def test_a_receipt_that_is_cut_anywhere_is_refused() -> None:
    reader = EventReader()
    for receipt in receipts():
        assert reader.decode(receipt)
        for end in range(len(receipt)):
            with pytest.raises(ValueError):  # noqa: PT011 - each place has its own sentence
                reader.decode(receipt[:end])
