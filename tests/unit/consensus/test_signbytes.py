import itertools

import pytest

from consensus import signbytes
from runtime.possession import possession_statement

GENESIS = bytes(range(32))
BLOCK = bytes(range(100, 132))


def vote(**changes):
    fields = {
        "kind": 2, "genesis_hash": GENESIS, "set_id": 5, "height": 7, "round": 3,
        "valid_round": -1, "block_id": BLOCK,
    }  # fmt: skip
    return signbytes.vote_sign_bytes(**fields | changes)


def test_the_layout_of_a_vote_is_the_one_in_the_design_byte_for_byte():
    numbers = bytes.fromhex("0000000000000005000000000000000700000003ffffffff")
    assert vote() == b"".join((b"cnsv1\0\0\0", b"\x02", GENESIS, numbers, BLOCK))
    assert len(vote()) == signbytes.VOTE_BYTES == 97


def test_every_field_changes_the_bytes():
    variants = [
        vote(), vote(kind=3), vote(genesis_hash=bytes(32)), vote(set_id=6), vote(height=8),
        vote(round=4), vote(valid_round=0), vote(block_id=bytes(32)),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 256}, {"set_id": -1}, {"set_id": 1 << 64}, {"height": 1 << 64}, {"round": 1 << 32},
        {"round": -1}, {"valid_round": 1 << 31}, {"block_id": b"short"}, {"genesis_hash": b""},
    ],
    ids=str,
)  # fmt: skip
def test_a_field_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match="vote"):
        vote(**changes)


def test_no_use_of_a_key_can_be_taken_for_another():
    statements = [
        vote(),
        possession_statement(
            genesis_hash=GENESIS, account=BLOCK, consensus_key=BLOCK, vrf_key=BLOCK
        ),
        signbytes.status_bytes(genesis_hash=GENESIS, peer=b"peer", height=7, time_ms=9),
        signbytes.vrf_alpha(genesis_hash=GENESIS, randomness=BLOCK, height=7),
    ]
    for one, other in itertools.combinations(statements, 2):
        assert one[:8] != other[:8]
    assert all(statement[:1] == b"c" for statement in statements)


def test_two_peers_cannot_share_a_status():
    one = signbytes.status_bytes(genesis_hash=GENESIS, peer=b"ab", height=7, time_ms=9)
    other = signbytes.status_bytes(genesis_hash=GENESIS, peer=b"a", height=7, time_ms=9)
    assert len({one, other}) == 2
    with pytest.raises(ValueError, match="32 bytes"):
        signbytes.status_bytes(genesis_hash=b"", peer=b"a", height=7, time_ms=9)


def test_statements_over_values_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        signbytes.vrf_alpha(genesis_hash=GENESIS, randomness=b"", height=7)
