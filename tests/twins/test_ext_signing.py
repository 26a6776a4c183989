"""The compiled signatures and the plain ones are equal, many at once included."""

import os
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import signing as native
from ext.reference import signing as reference
from tests.support.ext_shapes import outcome

SEEDS = [bytes((i,)) * 32 for i in range(5)]
ONES = ["public_key", "point_is_valid", "scalar_mult_base", "scalar_reduce", "scalar_negate"]
TWOS = ["point_add", "point_sub", "scalar_mult", "scalar_mul", "scalar_add", "sign"]
SMALL = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
ARGUMENTS = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.sampled_from([native.public_key(seed) for seed in SEEDS]),
    st.sampled_from([bytes(length) for length in (0, 31, 32, 33, 64)]),
    st.sampled_from([b"\x01" + bytes(31), b"\xff" * 32, SMALL]),
)


def checks(count: int) -> list[tuple[bytes, bytes, bytes]]:
    """Signatures of which every seventh is of another message and every eleventh too short."""
    made = []
    for i in range(count):
        seed, message = SEEDS[i % 5], b"%d" % i * (i % 40)
        signature = native.sign(seed, message if i % 7 else message + b"x")
        made.append((native.public_key(seed), message, signature[: 64 - (i % 11 == 0)]))
    return made


@given(left=ARGUMENTS, right=ARGUMENTS)
@settings(deadline=None, max_examples=300)
def test_points_and_scalars_come_out_alike(left: bytes, right: bytes) -> None:
    for name in ONES:
        ours = outcome(getattr(native, name), left)
        assert ours == outcome(getattr(reference, name), left), name
    for name in TWOS:
        ours = outcome(getattr(native, name), left, right)
        assert ours == outcome(getattr(reference, name), left, right), name


@given(
    seed=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=300),
    bent=st.binary(max_size=70),
)
@settings(deadline=None)
def test_both_sign_and_verify_alike(seed: bytes, message: bytes, bent: bytes) -> None:
    public, signature = native.public_key(seed), native.sign(seed, message)
    assert (public, signature) == (reference.public_key(seed), reference.sign(seed, message))
    changed = bytes(a ^ b for a, b in zip(signature, bent.ljust(64, b"\x00"), strict=False))
    for candidate in (signature, changed, bent, signature + b"\x00"):
        ours = native.verify(public, message, candidate)
        assert ours is reference.verify(public, message, candidate)
        assert ours is (candidate == signature)


@pytest.mark.parametrize("count", [0, 1, 2, 127, 128, 129, 256, 257, 1_000])
def test_many_at_once_are_each_alone(count: int) -> None:
    items = checks(count)
    expected = [bool(i % 7) and bool(i % 11) for i in range(count)]
    assert native.verify_many(items) == expected
    assert reference.verify_many(items) == expected
    assert [native.verify(*item) for item in items] == expected


def test_many_callers_at_once_do_not_disturb_each_other() -> None:
    items = checks(600)
    expected = [native.verify(*item) for item in items]
    answers: list[list[bool]] = []
    callers = [
        threading.Thread(target=lambda: answers.append(native.verify_many(items))) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == [expected] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_verifies_too() -> None:
    items = checks(600)
    expected = native.verify_many(items)
    child = os.fork()
    if child == 0:
        os._exit(0 if native.verify_many(items) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("stray", [None, "a", 1, bytearray(64), memoryview(bytes(64))])
def test_only_bytes_are_taken(stray: Any) -> None:
    good = checks(1)[0]
    for core in (native, reference):
        for place in range(3):
            item = (*good[:place], stray, *good[place + 1 :])
            with pytest.raises(TypeError):
                core.verify(*item)
            with pytest.raises(TypeError):
                core.verify_many([good, item])
        for name in [*ONES, "is_valid_key"]:
            with pytest.raises(TypeError):
                getattr(core, name)(stray)


@pytest.mark.parametrize("item", [(), (b"", b""), (b"", b"", b"", b"")])
def test_an_item_that_is_not_three_is_refused_alike(item: tuple[bytes, ...]) -> None:
    ours = outcome(native.verify_many, [item])
    assert ours == outcome(reference.verify_many, [item])
    assert ours[1] == "ValueError"


def test_checked_keys_are_remembered() -> None:
    for core in (native, reference):
        core.is_valid_key.cache_clear()
        public = core.public_key(SEEDS[0])
        assert core.is_valid_key(public)
        assert core.is_valid_key(bytes(bytearray(public)))
        assert core.is_valid_key.cache_info()[:3] == (1, 1, core.KEYS_REMEMBERED)


def test_both_have_the_same_names() -> None:
    hidden = {
        "Sequence", "ThreadPoolExecutor", "bindings", "ctypes", "exceptions", "functools", "nacl",
        "os", "threading",
    }  # fmt: skip

    def names(core: object) -> set[str]:
        return {name for name in vars(core) if not name.startswith("_")} - hidden

    assert names(native) == names(reference)
