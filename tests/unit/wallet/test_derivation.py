import json
from pathlib import Path

import pytest

from chain.wallet.accounts import DEV_NAMES, dev_account, dev_address, dev_validator
from chain.wallet.derivation import (
    compute_entropy,
    derive,
    derive_seed,
    is_dev_uri,
    make_phrase,
)
from chain.wallet.errors import BadContent, NotFound
from chain.wallet.ss58 import encode_address
from tests.unit.wallet.vectors import DEV_PHRASE, POLKADOT

BIP39 = Path(__file__).parents[4] / "shared" / "vectors" / "bip39" / "vectors.json"
RAW_SEED = "0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"


@pytest.mark.parametrize("vector", POLKADOT["uris"], ids=lambda v: v["uri"][-40:])
def test_a_secret_uri_is_the_account_that_polkadot_derives(vector):
    pair = derive(vector["uri"])
    assert "0x" + pair.public.hex() == vector["public"]
    assert encode_address(pair.public) == vector["address"]


def test_the_dev_phrase_has_the_published_mini_secret():
    expected = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"
    assert derive_seed(DEV_PHRASE).hex() == expected
    assert derive_seed("") == derive_seed(DEV_PHRASE)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Alice", "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"),
        ("Bob", "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"),
        ("Charlie", "5DbKjhNLpqX3zqZdNBc9BGb4fHU1cRBaDhJUskrvkwfraDi6"),
        ("Dave", "5ECTwv6cZ5nJQPk6tWfaTrEk8YH2L7X1VT4EL5Tx2ikfFwb7"),
        ("Eve", "5Ck2miBfCe1JQ4cY3NDsXyBaD6EcsgiVmEFTWwqNSs25XDEq"),
        ("Ferdie", "5E2BmpVFzYGd386XRCZ76cDePMB3sfbZp5ZKGUsrG1m6gomN"),
    ],
)
def test_a_development_account_has_its_well_known_address(name, address):
    assert dev_address(name) == address
    assert dev_account(name.lower()) == dev_account(name)


def test_the_keys_of_a_development_validator_are_four_different_ones_below_its_account():
    keys = dev_validator("alice")
    assert keys.account == derive("//Alice")
    assert keys.consensus == derive("//Alice//consensus")
    assert keys.vrf == derive("//Alice//vrf")
    pairs = [keys.account, keys.consensus, keys.vrf, keys.node]
    assert len({pair.seed for pair in pairs}) == 4


def test_an_unknown_development_name_lists_the_known_ones():
    with pytest.raises(NotFound) as caught:
        dev_account("mallory")
    assert all(name in caught.value.hint for name in DEV_NAMES)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("//Alice/soft", "no soft derivation"),
        ("//0x01", "hexadecimal"),
        ("//18446744073709551616", "more than 64 bits"),
        ("//" + "9" * 500, "more than 64 bits"),
        ("0x1234", "64 digits"),
        (RAW_SEED + "///password", "a hex seed has none"),
        ("not a phrase", "12, 15, 18, 21 or 24 words"),
        ("zoo " * 11 + "zoo", "checksum"),
        ("bottom drive obey lake curtain smoke basket hold race lonely fit walx", "word 12"),
        ("BOTTOM drive", "not a secret URI"),
        ("//a" * 17, "at most 16 junctions"),
        ("a" * 1025, "at most 1024"),
    ],
)
def test_a_secret_uri_that_wallets_read_differently_or_not_at_all_is_refused(uri, reason):
    with pytest.raises(BadContent, match=reason):
        derive(uri)


def test_a_refusal_never_repeats_the_phrase():
    with pytest.raises(BadContent) as caught:
        derive("bottom drive obey lake curtain smoke basket hold race lonely fit walx")
    assert "bottom" not in caught.value.message + caught.value.hint
    assert "walx" not in caught.value.message + caught.value.hint


def test_a_key_pair_never_shows_its_seed():
    pair = derive("//Alice")
    assert pair.seed.hex() not in repr(pair)
    assert repr(pair.seed) not in repr(pair)


def test_an_accent_typed_in_two_ways_is_one_account():
    assert derive("//Z\u00fcrich") == derive("//Zu\u0308rich")


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
def test_a_new_phrase_has_its_words_and_a_right_checksum(words):
    phrase = make_phrase(words)
    assert len(phrase.split()) == words
    assert len(compute_entropy(phrase)) == words * 4 // 3
    assert make_phrase(words) != phrase


def test_the_entropy_of_the_public_bip39_phrases_is_the_published_one():
    if not BIP39.exists():
        pytest.skip("the public vectors are not beside the project")
    for entropy, phrase, *_ in json.loads(BIP39.read_text())["english"]:
        if len(phrase.split()) in {12, 15, 18, 21, 24}:
            assert compute_entropy(phrase).hex() == entropy


def test_only_a_path_of_the_dev_phrase_is_a_dev_uri():
    assert is_dev_uri("//Alice")
    assert not is_dev_uri("///password")
    assert not is_dev_uri(DEV_PHRASE)


@pytest.mark.parametrize("uri", ["//\udcff", "///\udcff", "\udcff"])
def test_bytes_of_the_command_line_that_are_no_text_are_refused(uri):
    with pytest.raises(BadContent, match="UTF-8"):
        derive(uri)
