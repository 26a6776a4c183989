"""Bytes from anybody: decoded to something that encodes back to them, or refused by name."""

import contextlib
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.api import ANSWERS, runtime_api
from runtime.executive import Executive
from runtime.frame.errors import InvalidBlock, InvalidTransaction, SpecError
from runtime.spec import load_spec
from runtime.transaction import decode_inherent, decode_transaction, encode_transaction
from tests.support.runtime import ROOT, Chain, person, stranger

CHAIN = Chain.start()
CHAIN.look()
EXECUTIVE = Executive()
ALICE, BOB = person("Alice"), person("Bob")
CALLS = [
    CHAIN.transfer(BOB, 10**9),
    CHAIN.call("System", "remark", b"hello"),
    CHAIN.call("Utility", "batch", [CHAIN.transfer(BOB, 1), CHAIN.call("System", "remark", b"")]),
    CHAIN.call("Balances", "transfer_all", stranger(1), True),
]
GOOD = [CHAIN.sign(call, ALICE, tip=tip).raw for call in CALLS for tip in (0, 1 << 70)]
INHERENTS = list(CHAIN.build([]).extrinsics)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A good extrinsic with bytes flipped, cut, doubled or put in."""
    raw = bytearray(draw(st.sampled_from([*GOOD, *INHERENTS])))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(raw) - 1, 0)))
        kind = draw(st.integers(0, 3))
        if kind == 0 and raw:
            raw[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == 1:
            del raw[place : place + draw(st.integers(1, 4))]
        elif kind == 2:
            raw[place:place] = draw(st.binary(min_size=1, max_size=4))
        else:
            raw[place : place + 1] = bytes(
                (draw(st.sampled_from([0, 1, 2, 3, 4, 0x84, 0xFC, 0xFF])),)
            )
    return bytes(raw)


def canonical(raw: bytes) -> bytes:
    """Decode a transaction and its call, and write it again."""
    transaction = decode_transaction(raw)
    EXECUTIVE.decode_call(transaction.call)
    return encode_transaction(
        signer=transaction.signer,
        signature=transaction.signature,
        era=transaction.era,
        nonce=transaction.nonce,
        tip=transaction.tip,
        call=transaction.call,
    )


@settings(max_examples=1500, deadline=None)
@given(st.one_of(mutants(), st.binary(max_size=300)))
def test_a_transaction_is_read_as_exactly_its_bytes_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidTransaction):
        assert canonical(raw) == raw


@settings(max_examples=400, deadline=None)
@given(raw=mutants(), place=st.integers(0, 2))
def test_a_body_with_any_bytes_in_it_is_run_or_invalid(raw: bytes, place: int) -> None:
    body = [*INHERENTS, GOOD[0]]
    body[place] = raw
    with contextlib.suppress(InvalidBlock):
        Executive().execute_block(CHAIN.state.overlay(), CHAIN.context(), body)


@settings(max_examples=400, deadline=None)
@given(raw=st.one_of(mutants(), st.binary(max_size=60)))
def test_an_inherent_of_any_bytes_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidTransaction):
        EXECUTIVE.decode_call(decode_inherent(raw).call)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(ANSWERS)), args=st.one_of(mutants(), st.binary(max_size=60)))
def test_an_api_answers_or_says_what_is_wrong(name: str, args: bytes) -> None:
    with contextlib.suppress(ValueError, InvalidTransaction):
        assert runtime_api(CHAIN.state.overlay(), name, args, EXECUTIVE) is not None


SPEC = (ROOT / "genesis" / "test.toml").read_text()
WORDS = [
    "",
    "0",
    "-1",
    "1e5",
    '"x"',
    "[]",
    "{}",
    "true",
    "[[accounts]]\n",
    "[chain]\n",
    "inf",
    "#",
    '"""',
    "\x00",
]


@settings(max_examples=400, deadline=None)
@given(
    start=st.integers(0, len(SPEC)),
    length=st.integers(0, 40),
    word=st.one_of(st.sampled_from(WORDS), st.text(max_size=6)),
)
def test_a_damaged_spec_is_refused_by_key_or_still_a_spec(
    start: int, length: int, word: str
) -> None:
    with contextlib.suppress(SpecError):
        load_spec(SPEC[:start] + word + SPEC[start + length :])


HISTORY = """
from tests.support.runtime import Chain, person, stranger
chain = Chain.start("test")
for height in range(30):
    chain.open()
    for number in range(5):
        to = stranger(number * height % 7)
        chain.apply(chain.transfer(to, 3_000_000), person("Alice"), tip=number)
    batch = [chain.transfer(stranger(1), 5)] * 3
    chain.apply(chain.call("Utility", "batch", batch), person("Bob"))
    who = stranger(height % 7)
    if chain.free(who) > 5_000_000:
        chain.apply(chain.call("Balances", "transfer_all", person("Bob"), False), who)
    result = chain.close()
print(result.state_root.hex(), result.receipts_root.hex(), result.totals.hex())
"""


def test_a_history_has_one_root_under_every_hash_seed_and_core() -> None:
    seen = set()
    for seed, core in (("0", "native"), ("1", "native"), ("4242", "reference")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "GRISTMILL_CORE": core}
        done = subprocess.run(
            [sys.executable, "-c", HISTORY],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1


def test_no_mutation_makes_a_longer_batch_than_allowed() -> None:
    with pytest.raises(InvalidTransaction):
        EXECUTIVE.decode_call(b"\x01\x00\x03\xff\xff\xff\xff" + CALLS[1] * 4)
