import base64
import json
import stat

import pytest

from chain.wallet.derivation import derive
from chain.wallet.errors import BadContent, Denied, NotFound, WalletError, WrongUse
from chain.wallet.keyring import Keyring, read_keystore_file
from chain.wallet.keystore import (
    ALLOWED_COSTS,
    COST_LEGACY,
    COST_STRONG,
    Cost,
    open_keystore,
    parse_keystore,
    seal_keystore,
)
from tests.unit.wallet.vectors import POLKADOT

PAIR = derive("//Alice//keystore")


@pytest.fixture(scope="module")
def sealed():
    return seal_keystore(PAIR, "pässword", name="ops", when_ms=1, cost=COST_LEGACY)


def test_a_key_file_of_polkadot_opens():
    vector = POLKADOT["keystores"][0]
    keystore = parse_keystore(json.dumps(vector["json"]).encode())
    assert keystore.name == "fresh"
    assert keystore.cost == COST_STRONG
    assert not keystore.is_weak
    pair = open_keystore(keystore, vector["password"])
    assert "0x" + pair.public.hex() == vector["public"]


def test_an_sr25519_key_file_is_refused_with_its_kind():
    document = POLKADOT["foreign"][0]["json"]
    with pytest.raises(BadContent, match="sr25519"):
        parse_keystore(json.dumps(document).encode())


@pytest.mark.parametrize("cost", [COST_STRONG, COST_LEGACY])
def test_what_is_sealed_opens_again_with_the_same_password_only(cost):
    content = seal_keystore(PAIR, "pässword", name="ops", when_ms=1, cost=cost)
    keystore = parse_keystore(content)
    assert (keystore.name, keystore.public, keystore.cost) == ("ops", PAIR.public, cost)
    assert keystore.is_weak == (cost == COST_LEGACY)
    assert open_keystore(keystore, "pässword") == PAIR
    with pytest.raises(Denied, match="password is wrong"):
        open_keystore(keystore, "password")


def test_two_files_of_one_key_share_neither_salt_nor_nonce():
    first = json.loads(seal_keystore(PAIR, "x", name="a", when_ms=1, cost=COST_LEGACY))
    second = json.loads(seal_keystore(PAIR, "x", name="a", when_ms=1, cost=COST_LEGACY))
    one, two = (base64.b64decode(doc["encoded"]) for doc in (first, second))
    assert one[:32] != two[:32]
    assert one[44:68] != two[44:68]


def test_only_the_two_settings_that_every_wallet_reads_are_written():
    for cost in ALLOWED_COSTS:
        if cost not in (COST_STRONG, COST_LEGACY):
            with pytest.raises(BadContent, match="never written"):
                seal_keystore(PAIR, "x", name="a", when_ms=1, cost=cost)


@pytest.mark.parametrize("cost", ALLOWED_COSTS)
def test_all_six_settings_of_scrypt_are_read(sealed, cost):
    keystore = parse_keystore(_with_cost(sealed, cost))
    assert keystore.cost == cost


@pytest.mark.parametrize(
    "cost", [Cost(1 << 20, 1), Cost(1 << 14, 1), Cost(1 << 15, 8), Cost(0, 0), Cost(1 << 15, 1, 16)]
)
def test_another_setting_is_refused_before_any_work_is_done(sealed, cost):
    with pytest.raises(BadContent, match=f"N={cost.iterations}"):
        parse_keystore(_with_cost(sealed, cost))


@pytest.mark.parametrize("position", [0, 31, 44, 67, 68, 84, 120, 200])
def test_a_changed_byte_anywhere_is_refused(sealed, position):
    document = json.loads(sealed)
    encoded = bytearray(base64.b64decode(document["encoded"]))
    encoded[position] ^= 1
    document["encoded"] = base64.b64encode(bytes(encoded)).decode()
    with pytest.raises(WalletError):
        open_keystore(parse_keystore(json.dumps(document).encode()), "pässword")


def test_an_exchanged_address_is_refused(sealed):
    document = json.loads(sealed)
    document["address"] = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
    with pytest.raises(BadContent, match="belongs to another key"):
        open_keystore(parse_keystore(json.dumps(document).encode()), "pässword")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "0"}, "version '0'"),
        ({"version": "2"}, "version '2'"),
        ({"type": ["none"]}, "not encrypted with scrypt"),
        ({"content": ["pkcs8", "ecdsa"]}, "ecdsa"),
    ],
)
def test_an_encoding_without_protection_is_refused(sealed, change, reason):
    document = json.loads(sealed)
    document["encoding"] |= change
    with pytest.raises(BadContent, match=reason):
        parse_keystore(json.dumps(document).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"nonsense",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"encoding": 3}',
        b" " * 70_000,
    ],
)
def test_what_is_no_key_file_is_refused(content):
    with pytest.raises(BadContent):
        parse_keystore(content)


def test_the_hexadecimal_form_of_the_secret_is_read_too(sealed):
    document = json.loads(sealed)
    document["encoded"] = "0x" + base64.b64decode(document["encoded"]).hex()
    keystore = parse_keystore(json.dumps(document).encode())
    assert open_keystore(keystore, "pässword") == PAIR


def test_a_key_file_is_its_owners_alone_and_never_overwritten(tmp_path, sealed):
    keyring = Keyring(tmp_path / "keys")
    path = keyring.save("ops", sealed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(WrongUse, match="already"):
        keyring.save("ops", b"{}")
    assert path.read_bytes() == sealed
    assert [one.name for one in path.parent.iterdir()] == ["ops.json"]


@pytest.mark.parametrize("name", ["../ops", "a/b", ".ops", "", "a b", "x" * 65, "ops\n"])
def test_a_name_cannot_leave_the_directory_of_keys(tmp_path, name):
    with pytest.raises(WrongUse, match="cannot be the name"):
        Keyring(tmp_path).save(name, b"{}")


def test_a_link_or_a_device_is_no_key_file(tmp_path, sealed):
    keyring = Keyring(tmp_path)
    real = tmp_path / "elsewhere"
    real.write_bytes(sealed)
    (tmp_path / "link.json").symlink_to(real)
    with pytest.raises(BadContent):
        keyring.load("link")
    with pytest.raises(BadContent, match="regular file"):
        read_keystore_file(tmp_path)


def test_a_party_is_a_name_an_address_a_public_key_or_a_dev_path(tmp_path, sealed):
    keyring = Keyring(tmp_path)
    keyring.save("ops", sealed)
    public = PAIR.public
    address = parse_keystore(sealed).address
    assert keyring.find_party("ops").public == public
    assert keyring.find_party(address).public == public
    assert keyring.find_party("0x" + public.hex()).public == public
    assert keyring.find_party("//Alice").dev_uri == "//Alice"
    with pytest.raises(NotFound, match="no key named 'nobody'"):
        keyring.find_party("nobody")
    with pytest.raises(NotFound) as caught:
        keyring.find_party("alice")
    assert "//Alice" in caught.value.hint


def _with_cost(content, cost):
    document = json.loads(content)
    encoded = bytearray(base64.b64decode(document["encoded"]))
    for offset, number in zip((32, 36, 40), (cost.iterations, cost.lanes, cost.block), strict=True):
        encoded[offset : offset + 4] = number.to_bytes(4, "little")
    document["encoded"] = base64.b64encode(bytes(encoded)).decode()
    return json.dumps(document).encode()


def test_a_password_that_is_no_text_is_refused(sealed):
    with pytest.raises(BadContent, match="UTF-8"):
        open_keystore(parse_keystore(sealed), "\udcff")
