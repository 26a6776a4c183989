import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallet.errors import BadContent
from chain.wallet.ss58 import (
    decode_account,
    decode_address,
    decode_base58,
    encode_address,
    encode_base58,
)
from tests.unit.wallet.vectors import POLKADOT

ALICE = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
ALICE_PUBLIC = bytes.fromhex("88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee")


@pytest.mark.parametrize("vector", POLKADOT["prefixes"], ids=lambda v: str(v["prefix"]))
def test_an_address_of_any_network_is_the_one_polkadot_writes(vector):
    assert encode_address(ALICE_PUBLIC, vector["prefix"]) == vector["address"]
    assert decode_address(vector["address"]) == (vector["prefix"], ALICE_PUBLIC)


def test_the_address_of_alice_is_the_well_known_one():
    assert encode_address(ALICE_PUBLIC) == ALICE
    assert decode_account(ALICE) == ALICE_PUBLIC


@pytest.mark.parametrize("prefix", [46, 47, -1, 16384])
def test_a_prefix_that_no_network_may_have_is_refused(prefix):
    with pytest.raises(BadContent, match="does not allow the prefix"):
        encode_address(ALICE_PUBLIC, prefix)


def test_every_single_typing_mistake_is_found():
    for position, letter in enumerate(ALICE):
        wrong = "2" if letter != "2" else "3"
        with pytest.raises(BadContent):
            decode_account(ALICE[:position] + wrong + ALICE[position + 1 :])


@pytest.mark.parametrize("text", ["", "5", "0OIl", ALICE[:-1], ALICE + "1", "1" * 65, "é" * 48])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadContent):
        decode_account(text)


def test_an_address_of_another_network_names_both_networks():
    with pytest.raises(BadContent, match="prefix 0, this chain uses 42"):
        decode_account(encode_address(ALICE_PUBLIC, 0))


@given(st.binary(max_size=64))
def test_base58_keeps_every_byte_and_leading_zeros(content):
    assert decode_base58(encode_base58(content)) == content
