"""A record survives its bytes and nothing else decodes as one."""

import pytest

from chain.signer import RECORD_BYTES_MAX
from consensus.record import OWN_MAX, Record
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Certificate, Proposal, Vote
from tests.simulation.world import signed
from tests.support.consensus import h

A = h("a")


def polka(count):
    return Certificate(
        tuple(signed(Vote(PREVOTE, 9, 3, A, 1, index), index) for index in range(count))
    )


FULL = Record(
    9, 4, 2, (A, 3), (A, 3, polka(3)),
    (
        Proposal(9, 3, A, 1, 7),
        Vote(PREVOTE, 9, 3, A, 1, 7),
        Vote(PRECOMMIT, 9, 4, NIL, NO_ROUND, 7),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [Record(1, 0, 0, None, None, ()), FULL, Record(1 << 63, 1 << 31, 1, (A, 0), None, ())],
)
def test_a_record_decodes_to_itself(record):
    assert Record.decode(record.encode()) == record


def test_no_part_of_a_record_is_a_record():
    data = FULL.encode()
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"\w"):
            Record.decode(data[:length])
    with pytest.raises(ValueError, match=r"\w"):
        Record.decode(data + b"\0")


def test_the_largest_record_fits_the_journal():
    own = tuple(Vote(PREVOTE, 9, round_, A, NO_ROUND, 7) for round_ in range(OWN_MAX))
    record = Record(9, 4, 2, (A, 3), (A, 3, polka(100)), own)
    assert len(record.encode()) <= RECORD_BYTES_MAX
    with pytest.raises(ValueError, match=r"\w"):
        Record(9, 4, 2, None, None, (*own, own[0])).encode()
