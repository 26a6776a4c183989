"""Targets: the wallet and the market: addresses, secrets, metadata, envelopes, witnesses."""

import json
from dataclasses import replace
from functools import cache
from random import Random

from chain.market.door import BadEnvelope, Envelope, read_envelope
from chain.wallet.decoding import Decoder
from chain.wallet.derivation import DEV_PHRASE, derive, derive_seed
from chain.wallet.errors import BadContent
from chain.wallet.extrinsic import decode_extrinsic
from chain.wallet.keystore import (
    _DIVIDER,
    _HEADER,
    COST_LEGACY,
    _read_plain,
    parse_keystore,
    seal_keystore,
)
from chain.wallet.metadata import Metadata, decode_metadata
from chain.wallet.ss58 import decode_address, encode_address
from ext import store
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.trainer import (
    BadWitness,
    DataLeaf,
    StepWitness,
    TrainerParams,
    check_step,
    initial_weights,
    read_params,
    run_step,
    state_hash,
)
from runtime.market.trees import branch_of, tree_root
from runtime.metadata import metadata_v14
from runtime.transaction import find_call
from tests.fuzz.file_targets import JSON_WORDS
from tests.fuzz.mutate import reshape
from tests.fuzz.seeds import seen
from tests.fuzz.target import Target
from tests.support.training import rows_from
from tests.unit.wallet.metadata_writer import write_metadata

ADDRESS = b"5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"


def _argument(data: bytes) -> str:
    """Bytes as a program gets them for an argument: what is no UTF-8 becomes surrogates."""
    return data.decode("utf-8", "surrogateescape")


# Addresses and secrets


def _read_address(data: bytes) -> tuple[int, bytes]:
    return decode_address(_argument(data))


def _write_address(read: tuple[int, bytes]) -> bytes:
    prefix, public = read
    return encode_address(public, prefix).encode()


def _make_address(random: Random) -> bytes:
    prefix = random.choice((0, 1, 42, 63, 64, 255, 256, 16_383))
    return encode_address(random.randbytes(32), prefix).encode()


def _read_secret(data: bytes) -> None:
    derive_seed(_argument(data))


SECRETS = (
    b"//Alice", DEV_PHRASE.encode() + b"//a//1///pw", b"0x" + b"11" * 32 + b"//x",
    b"//" + b"9" * 20,
)  # fmt: skip
SECRET_WORDS = (
    b"//", b"/", b"///", b"0x", b"\xff", b"\xc3\xa9", b" ", b"abandon ", b"zoo ", b"//0",
    b"\xe2\x84\xab",
    b"9" * 30, b"\n", b"\x00", b"bottom", "\u0661".encode(), b"//Alice",
)  # fmt: skip


@cache
def _keystores() -> list[bytes]:
    pair = derive("//Alice")
    content = seal_keystore(pair, "pw", name="é", when_ms=1, cost=COST_LEGACY)
    document = json.loads(content)
    plain = _HEADER + pair.seed + pair.public + _DIVIDER + pair.public
    numbers = (COST_LEGACY.iterations, COST_LEGACY.lanes, COST_LEGACY.block)
    costs = b"".join(number.to_bytes(4, "little") for number in numbers)
    document["encoded"] = "0x" + (bytes(32) + costs + bytes(24 + 16) + plain).hex()
    return [content, json.dumps(document).encode()]


def _read_keystore(data: bytes) -> None:
    """The form of a file, and what would be done with what is in it, were it not in a box."""
    keystore = parse_keystore(data)
    _read_plain(keystore.encoded[84:], keystore.public)


# Metadata


@cache
def _metadata() -> Metadata:
    return decode_metadata(metadata_v14())


@cache
def _small_metadata() -> list[bytes]:
    """Less than all of it, so that a change strikes a type and not a docstring."""
    return [write_metadata()]


def _read_metadata(data: bytes) -> None:
    """Metadata, and a value of each of its first types."""
    metadata = decode_metadata(data)
    decoder = Decoder(metadata)
    for type_id in range(min(len(metadata.types), 4)):
        try:
            decoder.decode(type_id, data[:40])
        except BadContent:
            continue


def _read_call(data: bytes) -> None:
    Decoder(_metadata(), for_people=True).decode_call(data)


def _calls() -> list[bytes]:
    return list(dict.fromkeys(find_call(raw)[1] for raw in seen().transactions))


# The market


def _receipt() -> JobReceipt:
    return JobReceipt(b"g" * 32, 7, 0, 8, b"d" * 32, b"i" * 32, b"o" * 32, 1 << 60, b"p" * 32)


def _envelopes() -> list[bytes]:
    receipt = _receipt()
    return [
        Envelope(receipt, b"s" * 64).encode(),
        Envelope(receipt, b"s" * 64, b"r" * 64).encode(),
    ]


def _make_envelope(random: Random) -> bytes:
    envelope = Envelope(_receipt(), random.randbytes(64), random.choice((None, bytes(64))))
    try:
        return reshape(envelope, random).encode()  # type: ignore[no-any-return]  # an envelope again
    except (ValueError, AttributeError):
        return envelope.encode()


PARAMS = TrainerParams(2, 9_000, 3)
LEAVES = [rows_from(b"fuzz%d" % number, 16, 2) for number in range(6)]
BEFORE = initial_weights(PARAMS)
STEP = 1
AFTER = state_hash(run_step(PARAMS, BEFORE, LEAVES[2:4]))


def _witnesses() -> list[bytes]:
    leaves = tuple(DataLeaf(LEAVES[n], branch_of(LEAVES, n)) for n in (2, 3))
    witness = StepWitness(BEFORE, leaves)
    return [StepWitness.wire.encode(w) for w in (witness, replace(witness, leaves=leaves[:1]))]


def _read_witness(data: bytes) -> StepWitness:
    """A witness, and whether it shows a step; only the true one may."""
    witness: StepWitness = StepWitness.wire.decode(data)
    try:
        shown = check_step(
            PARAMS, STEP, state_hash(BEFORE), AFTER, witness, tree_root(LEAVES), len(LEAVES)
        )
    except BadWitness:
        return witness
    if not shown or data != _witnesses()[0]:
        raise AssertionError("a witness that is not the true one is judged")
    return witness


def _read_params(data: bytes) -> TrainerParams:
    return read_params(data)


def _read_proof(data: bytes) -> None:
    """A proof about a key; nothing but the true one proves."""
    root, key, proof = _proof()
    for value in (b"v", None, b""):
        if store.verify_proof(root, key, value, data) and (value, data) != (b"v", proof):
            raise AssertionError("a proof that is not the true one proves")
    raise BadContent("a proof is true or false")


@cache
def _proof() -> tuple[bytes, bytes, bytes]:
    entries = [(b"key %d" % number, b"v") for number in range(40)]
    state = store.State.from_entries(entries)
    return state.root, b"key 7", state.prove(b"key 7")


TARGETS = (
    Target(
        name="address",
        read=_read_address,
        errors=(BadContent,),
        seeds=lambda: [ADDRESS],
        write=_write_address,
        make=_make_address,
        words=(b"5", b"1", b"z", b"O", b"\xff", b"\xc3\xa9", b"1" * 40),
        bytes_max=4_096,
        share=40,
    ),
    Target(
        name="secret",
        read=_read_secret,
        errors=(BadContent,),
        seeds=lambda: list(SECRETS),
        words=SECRET_WORDS,
        bytes_max=4_096,
        share=4,
        round_size=2_000,
    ),
    Target(
        name="keystore",
        read=_read_keystore,
        errors=(BadContent,),
        seeds=_keystores,
        words=JSON_WORDS,
        share=20,
    ),
    Target(
        name="metadata",
        read=_read_metadata,
        errors=(BadContent,),
        seeds=_small_metadata,
        words=(b"meta\x0e", b"\x00\x00\x00\x00", b"\x03\xff\xff\xff\xff", b"\x02\x00", b"\x18"),
        share=6,
        round_size=2_000,
    ),
    Target(
        name="call",
        read=_read_call,
        errors=(BadContent,),
        seeds=cache(_calls),
        words=(b"\x01\x00\x08", b"\x01\x02\x04", b"\x00\x00"),
        share=20,
    ),
    Target(
        name="extrinsic",
        read=decode_extrinsic,
        errors=(BadContent,),
        seeds=cache(lambda: list(dict.fromkeys(seen().transactions))),
        share=20,
    ),
    Target(
        name="envelope",
        read=read_envelope,
        errors=(BadEnvelope,),
        seeds=_envelopes,
        write=Envelope.encode,
        make=_make_envelope,
        words=(b"\xa7receipt", b"\xa8provider", b"\xa9requester", b"\xc0", b"\x83", b"\xc4\xd6"),
        bytes_max=2_048,
        share=40,
    ),
    Target(
        name="witness",
        read=_read_witness,
        errors=(ValueError,),
        seeds=_witnesses,
        write=StepWitness.wire.encode,
        share=30,
    ),
    Target(
        name="params",
        read=_read_params,
        errors=(ValueError,),
        seeds=lambda: [TrainerParams.wire.encode(PARAMS)],
        write=TrainerParams.wire.encode,
        bytes_max=64,
        share=5,
    ),
    Target(
        name="proof",
        read=_read_proof,
        errors=(BadContent, store.StoreError),
        seeds=lambda: [_proof()[2], b""],
        share=40,
    ),
)
