import pytest

from chain.wallet.derivation import derive
from chain.wallet.errors import WrongUse
from chain.wallet.messages import sign_bytes, sign_message, verify_message, wrap_message
from chain.wallet.multisig import compute_multisig
from chain.wallet.ss58 import decode_account, encode_address
from tests.unit.wallet.vectors import POLKADOT

ALICE = derive("//Alice")


@pytest.mark.parametrize("vector", POLKADOT["signatures"], ids=lambda v: v["message"])
def test_the_signature_of_a_message_is_the_one_polkadot_makes(vector):
    message = vector["message"].encode()
    assert "0x" + wrap_message(message).hex() == vector["wrapped"]
    assert "0x" + sign_message(ALICE, message).hex() == vector["signature"]


def test_a_signature_holds_for_its_message_and_key_only():
    signature = sign_message(ALICE, b"hello")
    assert verify_message(ALICE.public, b"hello", signature)
    assert verify_message(ALICE.public, b"<Bytes>hello</Bytes>", signature)
    assert not verify_message(ALICE.public, b"hallo", signature)
    assert not verify_message(derive("//Bob").public, b"hello", signature)
    assert not verify_message(ALICE.public, b"hello", signature[:63])
    assert not verify_message(ALICE.public, b"hello", bytes(64))


def test_the_signature_of_a_transaction_does_not_count_as_one_of_a_message():
    payload = bytes([5, 3]) + bytes(100)
    assert not verify_message(ALICE.public, payload, sign_bytes(ALICE, payload))


@pytest.mark.parametrize("vector", POLKADOT["multisig"], ids=lambda v: str(v["threshold"]))
def test_a_multisig_address_is_the_one_polkadot_computes(vector):
    if "uris" in vector:
        publics = [derive(uri).public for uri in vector["uris"]]
    else:
        publics = [decode_account(address) for address in vector["addresses"]]
    expected = vector["address"]
    assert encode_address(compute_multisig(publics, vector["threshold"])) == expected
    assert encode_address(compute_multisig(publics[::-1], vector["threshold"])) == expected


@pytest.mark.parametrize(
    ("count", "threshold", "reason"),
    [(1, 1, "2 to 100"), (3, 0, "between 1 and 3"), (3, 4, "between 1 and 3"), (101, 2, "2 to")],
)
def test_a_multisig_that_cannot_be_is_refused(count, threshold, reason):
    publics = [number.to_bytes(32, "big") for number in range(count)]
    with pytest.raises(WrongUse, match=reason):
        compute_multisig(publics, threshold)


def test_a_key_counts_once_in_a_multisig():
    with pytest.raises(WrongUse, match="named twice"):
        compute_multisig([ALICE.public, ALICE.public], 1)
