"""A chain begins only when its nodes can keep what its spec promises."""

import pytest

from chain.devnet.spec import write_spec
from chain.errors import ConfigError
from chain.genesis import CARRIED_BYTES_MAX, read_spec, start_chain
from chain.network import limits
from runtime.system import BLOCK_BYTES_MAX


def spec_of(validators: int, block_bytes: int) -> str:
    text = write_spec(read_spec("dev"), validators=validators, interval_ms=None)
    shipped = f"block_bytes_max = {CARRIED_BYTES_MAX}"
    assert shipped in text
    return text.replace(shipped, f"block_bytes_max = {block_bytes}")


def test_blocks_that_peers_cannot_send_each_other_are_refused_where_there_are_peers():
    with pytest.raises(ConfigError, match="lower it to 1572864") as caught:
        start_chain(spec_of(2, CARRIED_BYTES_MAX + 1))
    assert "limits.block_bytes_max" in str(caught.value)
    assert start_chain(spec_of(1, CARRIED_BYTES_MAX + 1)).spec.params.block_bytes_max > 1_572_864
    assert start_chain(spec_of(2, CARRIED_BYTES_MAX)).spec.params.block_bytes_max == 1_572_864
    assert CARRIED_BYTES_MAX < limits.BLOCK_BYTES_MAX


def test_no_vote_makes_blocks_larger_than_peers_can_send_each_other():
    assert BLOCK_BYTES_MAX.high == CARRIED_BYTES_MAX
    single = start_chain(read_spec("bench")).spec.params.block_bytes_max
    assert single - BLOCK_BYTES_MAX.step > BLOCK_BYTES_MAX.high


@pytest.mark.parametrize("name", ["dev", "local", "test", "bench", "public"])
def test_every_shipped_spec_begins_a_chain(name):
    assert start_chain(read_spec(name)).genesis.header.number == 0


def test_a_spec_in_the_home_of_nobody_is_refused():
    with pytest.raises(ConfigError, match="home that is not known"):
        read_spec("~nobody-of-this-name/spec.toml")
