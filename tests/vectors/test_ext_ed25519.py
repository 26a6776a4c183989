"""The exact set of Ed25519 signatures that this chain accepts; a library that moves it fails here.

Wycheproof's answers, then every class of edge that verifiers disagree on, built from curve points:
small order, mixed order, cofactored only, long scalars, encodings that are not canonical.
"""

import hashlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from ext.native import signing as native
from ext.reference import signing as reference

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "wycheproof" / "ed25519_test.json"
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19

TORSION = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
"""A point of order eight; its multiples are all eight points of small order."""

NOT_CANONICAL = [
    y.to_bytes(32, "little")
    for y in (
        P,
        P + 1,
        P | 1 << 255,
        P + 1 | 1 << 255,
        1 | 1 << 255,
        P - 1 | 1 << 255,
        P + 5,
        2**255 - 1,
    )
]
"""Coordinates of P and more, and the sign bit on a point without a sign."""

SECRET = 0x1234567890ABCDEF1234567890ABCDEF1234567890ABCDEF
"""The scalar of the tests' key."""


@pytest.fixture(params=[native, reference], ids=["native", "reference"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def wycheproof() -> list[tuple[int, bytes, bytes, bytes, bool]]:
    return [
        (
            case["tcId"],
            bytes.fromhex(group["publicKey"]["pk"]),
            bytes.fromhex(case["msg"]),
            bytes.fromhex(case["sig"]),
            case["result"] == "valid",
        )
        for group in json.loads(VECTORS.read_text())["testGroups"]
        for case in group["tests"]
    ]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_exactly_the_valid_wycheproof_signatures_are_accepted(core: ModuleType) -> None:
    cases = wycheproof()
    expected = {case for case, *_, valid in cases if valid}
    assert (len(cases), len(expected)) == (151, 88)
    accepted = {case for case, *check, _ in cases if core.verify(*check)}
    assert accepted == expected
    together = core.verify_many([tuple(check) for _, *check, _ in cases])
    assert {case for (case, *_), ok in zip(cases, together, strict=True) if ok} == expected


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_every_key_of_the_valid_wycheproof_signatures_passes_the_key_check(
    core: ModuleType,
) -> None:
    assert all(core.is_valid_key(public) for _, public, _, _, valid in wycheproof() if valid)


def scalar(number: int) -> bytes:
    return (number % ORDER).to_bytes(32, "little")


def small(core: ModuleType, times: int) -> bytes:
    """A multiple of the point of order eight."""
    point = core.point_sub(TORSION, TORSION)
    for _ in range(times):
        point = core.point_add(point, TORSION)
    return point


def challenge(nonce_point: bytes, public: bytes, message: bytes) -> int:
    digest = hashlib.sha512(nonce_point + public + message).digest()
    return int.from_bytes(digest, "little") % ORDER


def signed(
    core: ModuleType, *, key_torsion: int, nonce_torsion: int, fits: bool
) -> tuple[bytes, bytes, bytes]:
    """Sign with torsion in key and nonce: the equation holds, or only eight times it."""
    base = core.scalar_mult_base(scalar(SECRET))
    public = core.point_add(base, small(core, key_torsion))
    for nonce in range(1, 1_000):
        point = core.point_add(core.scalar_mult_base(scalar(nonce)), small(core, nonce_torsion))
        k = challenge(point, public, b"message")
        if ((nonce_torsion + k * key_torsion) % 8 == 0) is fits:
            return public, b"message", point + scalar(nonce + k * SECRET)
    raise AssertionError("no nonce fits")


def test_small_points_are_what_they_are_called(core: ModuleType) -> None:
    assert len({small(core, times) for times in range(8)}) == 8
    assert small(core, 8) == small(core, 0) == (1).to_bytes(32, "little")


def test_a_plain_signature_of_the_construction_is_accepted(core: ModuleType) -> None:
    check = signed(core, key_torsion=0, nonce_torsion=0, fits=True)
    assert core.verify(*check)
    assert core.is_valid_key(check[0])


@pytest.mark.parametrize(("key", "nonce"), [(1, 0), (1, 3), (4, 0), (4, 4), (2, 6), (7, 5)])
def test_mixed_order_is_accepted_raw_and_refused_by_the_key_check(
    core: ModuleType, key: int, nonce: int
) -> None:
    check = signed(core, key_torsion=key, nonce_torsion=nonce, fits=True)
    assert core.verify(*check)
    assert not core.is_valid_key(check[0])


@pytest.mark.parametrize(("key", "nonce"), [(1, 0), (0, 1), (0, 4), (4, 4), (3, 2)])
def test_what_holds_only_times_eight_is_refused(core: ModuleType, key: int, nonce: int) -> None:
    assert not core.verify(*signed(core, key_torsion=key, nonce_torsion=nonce, fits=False))


@pytest.mark.parametrize("times", range(8))
def test_keys_and_nonces_of_small_order_are_refused(core: ModuleType, times: int) -> None:
    point = small(core, times)
    plain = core.scalar_mult_base(scalar(SECRET))
    for message in (b"%d" % i for i in range(24)):
        k = challenge(point, plain, message)
        assert not core.verify(plain, message, point + scalar(k * SECRET))
        assert not core.verify(point, message, small(core, 0) + scalar(0))
        assert not core.verify(point, message, plain + scalar(SECRET))
    assert not core.is_valid_key(point)


@pytest.mark.parametrize("times", range(1, 16))
def test_a_scalar_of_the_order_or_more_is_refused(core: ModuleType, times: int) -> None:
    public, message, signature = signed(core, key_torsion=0, nonce_torsion=0, fits=True)
    longer = int.from_bytes(signature[32:], "little") + times * ORDER
    bent = signature[:32] + (longer % 2**256).to_bytes(32, "little")
    assert not core.verify(public, message, bent)


@pytest.mark.parametrize("point", NOT_CANONICAL)
def test_encodings_that_are_not_canonical_are_refused(core: ModuleType, point: bytes) -> None:
    plain = core.scalar_mult_base(scalar(SECRET))
    for message in (b"%d" % i for i in range(24)):
        k = challenge(point, plain, message)
        assert not core.verify(plain, message, point + scalar(k * SECRET))
        assert not core.verify(point, message, plain + scalar(SECRET))
        assert not core.verify(point, message, point + scalar(0))
    assert not core.is_valid_key(point)


@pytest.mark.parametrize("bit", range(0, 512, 37))
def test_a_flipped_bit_is_refused(core: ModuleType, bit: int) -> None:
    seed = bytes(range(32))
    signature = bytearray(core.sign(seed, b"message"))
    assert core.verify(core.public_key(seed), b"message", bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not core.verify(core.public_key(seed), b"message", bytes(signature))
