"""Targets: what validators say to each other, and what blocks are made of."""

import contextlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from consensus.header import Header
from consensus.record import Record
from consensus.types import (
    Block,
    Certificate,
    Commit,
    Decision,
    LightBlock,
    Proposal,
    ValidatorSet,
    Vote,
    decode_evidence,
    encode_evidence,
)
from runtime.frame.dispatch import Call
from runtime.frame.errors import InvalidTransaction
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.transaction import (
    Era,
    decode_inherent,
    decode_transaction,
    encode_compact,
    encode_transaction,
    find_call,
)
from tests.fuzz.mutate import EDGES, reshape
from tests.fuzz.seeds import Seen, seen
from tests.fuzz.target import Target
from tests.support.runtime import stranger
from tests.support.wild import Wild

Encode = Callable[[Any], bytes]


def _seeds(choose: Callable[[Seen], Sequence[Any]], encode: Encode) -> Callable[[], list[bytes]]:
    @cache
    def seeds() -> list[bytes]:
        return [encode(value) for value in choose(seen())]

    return seeds


def _reshaped(choose: Callable[[Seen], Sequence[Any]], encode: Encode) -> Callable[[Random], bytes]:
    """Values with a few places changed, written whenever they still can be."""

    def make(random: Random) -> bytes:
        values = choose(seen())
        value = random.choice(values)
        data = encode(value)
        for _ in range(random.choice((1, 1, 2, 4))):
            try:
                value = reshape(value, random)
                data = encode(value)
            except (ValueError, TypeError):
                break
        return data

    return make


def _noun(
    name: str,
    decode: Callable[[bytes], Any],
    choose: Callable[[Seen], Sequence[Any]],
    encode: Encode = lambda value: value.encode(),
    **more: Any,
) -> Target:
    """A target for a class that encodes and decodes itself."""
    return Target(
        name=name,
        read=decode,
        errors=(ValueError,),
        seeds=_seeds(choose, encode),
        write=encode,
        make=_reshaped(choose, encode),
        **more,
    )


def _records(world: Seen) -> list[Record]:
    """Moments of a machine: with and without a lock."""
    certificate = world.certificates[0]
    block_id, votes, proposals = certificate.first.block_id, world.votes, world.proposals
    return [
        Record(3, 1, 2, None, None, ()),
        Record(9, 4, 1, (block_id, 3), (block_id, 3, certificate), (*proposals, *votes)),
    ]


def _read_record(data: bytes) -> Record:
    """Own messages come back unsigned; the rest is as it was."""
    return Record.decode(data)


# Transactions


@cache
def _runtime() -> Runtime:
    return Runtime()


def _read_transaction(data: bytes) -> tuple[bytes, Any, Any]:
    """Read an extrinsic in every way in which one is read; they must agree."""
    for read in (find_call, decode_inherent):
        with contextlib.suppress(InvalidTransaction):
            read(data)
    transaction = decode_transaction(data)
    return data, transaction, _runtime().dispatcher.decode(transaction.call)


def encode_call(call: Call) -> bytes:
    """Write a call from its decoded arguments."""
    entry, arguments, _ = call
    out = bytes((entry.module_index, entry.info.index))
    for (_, parameter), argument in zip(entry.parameters, arguments, strict=True):
        if parameter.wired is not None:
            out += _write_plain(parameter.wired, argument)
        elif parameter.count_max:
            out += encode_compact(len(argument)) + b"".join(map(encode_call, argument))
        else:
            out += encode_call(argument)
    return out


def _write_plain(wired: Any, argument: Any) -> bytes:
    data: bytes = wired.encode(argument)
    return data


def _write_transaction(read: tuple[bytes, Any, Any]) -> bytes:
    _, transaction, call = read
    return encode_transaction(
        signer=transaction.signer,
        signature=transaction.signature,
        era=transaction.era,
        nonce=transaction.nonce,
        tip=transaction.tip,
        call=encode_call(call),
    )


def _make_transaction(random: Random) -> bytes:
    """Any call with any arguments that its types let pass, signed by nobody."""
    entries = _runtime().dispatcher.entries()
    words = [bytes(32), b"\xff" * 32, *(stranger(number) for number in range(3))]
    wild = Wild(random, words, entries=entries)
    period = random.choice((0, 0, 4, 64, 4096, 65_536))
    era = Era.mortal(period=period, height=random.randrange(1 << 20)) if period else Era(0, 0)
    return encode_transaction(
        signer=AccountId(random.choice(words)),
        signature=random.randbytes(64),
        era=era,
        nonce=abs(random.choice(EDGES)) % (1 << 32),
        tip=abs(random.choice(EDGES)) % (1 << 128),
        call=wild.call(random.choice(entries)),
    )


TARGETS = (
    Target(
        name="transaction",
        read=_read_transaction,
        errors=(InvalidTransaction,),
        seeds=cache(lambda: list(dict.fromkeys(seen().transactions))),
        write=_write_transaction,
        make=_make_transaction,
        words=(b"\x84\x00", b"\x04", b"\x01\x00\x08", b"\x01\x02\x04", b"\x03\x00"),
        share=60,
    ),
    _noun("block", Block.decode, lambda world: world.blocks, share=40),
    _noun("header", Header.decode, lambda world: world.headers, share=40),
    _noun("proposal", Proposal.decode, lambda world: world.proposals, share=60),
    _noun("vote", Vote.decode, lambda world: world.votes, share=60),
    _noun("certificate", Certificate.decode, lambda world: world.certificates, share=50),
    _noun("commit", Commit.decode, lambda world: world.commits, share=60),
    _noun("validators", ValidatorSet.decode, lambda world: world.sets, share=40),
    _noun("evidence", decode_evidence, lambda world: world.evidence, encode_evidence, share=50),
    _noun("light_block", LightBlock.decode, lambda world: world.light_blocks, share=30),
    _noun("decision", Decision.decode, lambda world: world.decisions, share=30),
    _noun("record", _read_record, _records, share=40),
)
