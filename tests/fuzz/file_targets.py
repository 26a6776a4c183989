"""Targets: files that somebody else may have written: archives, specs, settings, keys, tables."""

import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from chain.config import OPTIONS, load_config
from chain.errors import ConfigError, StorageError
from chain.events import EventReader
from chain.keyfile import ValidatorKeys, _parse_keys, save_keys
from chain.market.memory import AgentMemory, MemorySpoiled
from chain.market.rows import BadRows, read_csv, read_idx
from chain.seams import SystemChance
from chain.storage.archive import MAGIC, ArchiveReader
from chain.storage.snapshot import (
    CHUNK_BYTES,
    ChunkCutter,
    ChunkReader,
    Manifest,
    SnapshotFault,
)
from ext import hashing, store
from runtime.frame.errors import SpecError
from runtime.spec import load_spec
from tests.fuzz.seeds import seen
from tests.fuzz.target import Target
from tests.support.runtime import ROOT


@cache
def _scratch() -> Path:
    """A directory in memory where the machine has one."""
    memory = Path("/dev/shm")  # noqa: S108 - only to be quick
    home = tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    return Path(home)


def _file(name: str, data: bytes) -> Path:
    path = _scratch() / f"{os.getpid()}-{name}"
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# Archives


def _read_archive(data: bytes) -> int:
    reader = ArchiveReader(_file("archive", data))
    try:
        return sum(1 for _ in reader)
    finally:
        reader.close()


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """The frames of a sound archive."""
    found, at = [], len(MAGIC)
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        found.append((data[at], data[at + 5 : at + 5 + length]))
        at += 5 + length + 16
    return found


def _sealed(frames: list[tuple[int, bytes]]) -> bytes:
    """An archive of any frames, whose checks are right."""
    out, check = MAGIC, hashing.blake2b_128(MAGIC)
    for kind, payload in frames:
        body = bytes((kind,)) + len(payload).to_bytes(4, "big") + payload
        check = hashing.blake2b_128(check + body)
        out += body + check
    return out


def _make_archive(random: Random) -> bytes:
    """Change what is in the frames, and seal them again."""
    frames = _frames(seen().archive)
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(frames))
        kind, payload = frames[place]
        changed = bytearray(payload)
        way = random.randrange(5)
        if way == 0 and changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        elif way == 1:
            del changed[random.randrange(len(changed) + 1) :]
        elif way == 2:
            at = random.randrange(len(changed) + 1)
            changed[at:at] = random.choice(
                (b"\x00", b"\x01", b"\xfd\xff", b"\xfe\xff\xff\xff", b"\x04")
            )
        elif way == 3 and changed:
            at = random.randrange(len(changed))
            del changed[at : at + random.choice((1, 2, 4, 32))]
        else:
            kind = random.choice((1, 2, 3, 4))
        frames[place] = (kind, bytes(changed))
    if random.random() < 0.1:
        random.shuffle(frames)
    return _sealed(frames)


# Specs and settings


def _read_spec(data: bytes) -> None:
    load_spec(_text(data))


def _specs() -> list[bytes]:
    return [(ROOT / "genesis" / f"{name}.toml").read_bytes() for name in ("dev", "test", "bench")]


SPEC_WORDS = (
    b"[", b"]", b"[[", b"[x]\n", b"[[x]]\n", b"x = 1\n", b"{a=1}", b"a.b.c=", b"a." * 40, b'"',
    b"'''",
    b"1979-05-27T07:32:00Z", b"inf", b"nan", b"-0", b"0x" + b"f" * 60, b"9" * 30, b"9" * 5_000,
    b"1.5",
    b"[[1]]", b'["x"]', b"true", b"\n", b"#", b"=", b"0x" + b"0" * 64, b'"0x' + b"0" * 64 + b'"',
    b'"12.5"', b'"0"', b'"9999999999.999999999"', b"\x00", b"\xed\xa0\x80", b"\\u0000",
    b"validators = [[]]",
)  # fmt: skip


def _make_spec(random: Random) -> bytes:
    """A spec with values in each other's places."""
    lines = random.choice(_specs()).splitlines(keepends=True)
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(lines))
        way = random.randrange(4)
        if way == 0:
            del lines[place]
        elif way == 1:
            lines.insert(place, lines[random.randrange(len(lines))])
        elif b"=" in lines[place]:
            name = lines[place].split(b"=")[0]
            values = (*SPEC_WORDS, lines[random.randrange(len(lines))].split(b"=")[-1])
            lines[place] = name + b"=" + random.choice(values) + b"\n"
    return b"".join(lines)


def _read_config(data: bytes) -> None:
    """Settings from a file, and the same from the environment and from flags."""
    load_config(flags={}, environment={}, files=[_file("config", data)])
    text = data.decode("utf-8", "surrogateescape")
    name, _, value = text.partition("=")
    name = name.strip()
    if name in OPTIONS:
        load_config(flags={}, environment={f"GRISTMILL_{name.upper()}": value.strip(' "\n')})
        load_config(flags={name: value}, environment={})


def _configs() -> list[bytes]:
    """Each option alone, and all of them."""
    lines = []
    for name, option in OPTIONS.items():
        default = option.default
        value = json.dumps(default if isinstance(default, bool | int | str) else "x")
        lines.append(f"{name} = {value}\n".encode())
    return [b"[node]\n" + line for line in lines] + [b"[node]\n" + b"".join(lines), *lines]


CONFIG_WORDS = (
    *SPEC_WORDS, b"[node]\n", b'checkpoint = "', b'"1:', b"0x", b'home = "~nobody/x"\n', b"~",
    b"~/",
    b'"\\u0000"', b"rpc-port = ", b"bootnodes = ", b"1" * 5_000, "\u0661".encode(), b"name = ",
    b'checkpoint = "' + b"1" * 5_000 + b":" + b"00" * 32 + b'"\n', b"--", b"../", b"files_max = ",
)  # fmt: skip


# Keys and memories


def _read_keyfile(data: bytes) -> None:
    _parse_keys(Path("validator.key"), data)


def _keyfiles() -> list[bytes]:
    path = _file("validator", b"")
    path.unlink()
    save_keys(path, ValidatorKeys(b"a" * 32, b"c" * 32, b"v" * 32))
    return [path.read_bytes()]


def _read_memory(data: bytes) -> None:
    """The file of an agent, and all that is asked of one that opens."""
    memory = AgentMemory(
        _file("memory", data), genesis=bytes(32), account=b"a" * 32, chance=SystemChance()
    )
    memory.secret("x")
    memory.bid(1, 0)
    memory.last_receipt(1, 0)
    memory.jobs()


def _memories() -> list[bytes]:
    document = {
        "format": "gristmill.agent/1",
        "genesis": bytes(32).hex(),
        "account": (b"a" * 32).hex(),
        "secret": "44" * 32,
        "bids": {"1/0": "5", "2/1": "700"},
        "receipts": {"1/0/3": "0aff", "1/0/4": ""},
    }
    return [json.dumps(document).encode()]


JSON_WORDS = (
    b'"', b"{", b"}", b"[", b"]", b"null", b"1e999", b"NaN", b'"\\ud800"', b'"1/0"', b'"1//0"',
    b"-1",
    b'"1/0/3":', b"9" * 5_000, b'{"a":' * 400, b"true", "\u0661".encode(), b'" 1_0/+2"', b'"0x"',
)  # fmt: skip


# Tables of rows


def _read_rows(data: bytes) -> None:
    """A table in both forms in which one is taken."""
    refused: list[BadRows] = []
    half = len(data) // 2
    ways: tuple[Callable[[], Any], ...] = (
        lambda: read_csv(_text(data)),
        lambda: read_csv(_text(data), label=0, has_header=True),
        lambda: read_idx(data[:-10], data[-10:]),
        lambda: read_idx(data[:half], data[half:]),
    )
    for way in ways:
        try:
            way()
        except BadRows as error:
            refused.append(error)
    if len(refused) == len(ways):
        raise refused[0]


def _rows() -> list[bytes]:
    images = (0x0803).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (2, 3, 4))
    labels = (0x0801).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"\x01\x02"
    return [
        b"a,b,class\n1,2.5,cat\n-3,1e2,dog\n0,0,cat\n",
        b"1;2\n",
        b"0,1,2\n1,5,6\n0,.5,7\n",
        images + bytes(range(24)) + labels,
    ]


ROW_WORDS = (
    b",", b"\n", b"\r", b"\r\n", b'"', b"1e999", b"1e-999", b"-0", b"nan", b"\x00", b"1,2,3\n",
    b".",
    (0x0803).to_bytes(4, "big"), (0x0801).to_bytes(4, "big"), bytes(4), b"\xff" * 4, b"9" * 41,
    b"1,",
    b'"' + b"x" * 200,
)  # fmt: skip


# Receipts and differences


@cache
def _events() -> EventReader:
    return EventReader()


def _read_receipt(data: bytes) -> None:
    _events().decode(data)


def _read_difference(data: bytes) -> bytes:
    return store.encode_difference(store.decode_difference(data))


def _apply_difference(data: bytes) -> None:
    """Apply to a state of a chain, and see that a refusal changed nothing."""
    state = store.State.from_entries(_entries())
    before = state.root
    try:
        state.apply_difference(data)
    except store.StoreError:
        if state.root != before:
            raise AssertionError("a refused difference changed the state") from None
        raise


@cache
def _entries() -> tuple[tuple[bytes, bytes], ...]:
    state = store.State.empty()
    state.apply_difference(seen().differences[0])
    return tuple(state.entries())


# Snapshots


@cache
def _chunk() -> bytes:
    return next(ChunkCutter().cut(_entries()))


def _manifest_of(chunk: bytes, entries: int) -> Manifest:
    hash_ = hashing.blake2b_256(chunk)
    return Manifest(7, b"b" * 32, b"r" * 32, entries, len(chunk), (hash_,))


def _manifests() -> list[bytes]:
    two = Manifest(9, b"b" * 32, b"r" * 32, 5, CHUNK_BYTES + 1, (b"1" * 32, b"2" * 32))
    return [_manifest_of(_chunk(), len(_entries())).encode(), two.encode()]


def _read_chunk(data: bytes) -> list[tuple[bytes, bytes]]:
    """A chunk that its manifest names, so that what is in it is what counts."""
    if not data:
        raise SnapshotFault("a chunk is not empty")
    count = 1 + int.from_bytes(data[-2:], "little") % 40
    for entries in (len(_entries()), count):
        try:
            return ChunkReader(_manifest_of(data, entries)).feed(data)
        except SnapshotFault as fault:
            last = fault
    raise last


def _write_chunk(entries: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(ChunkCutter().cut(entries))


TARGETS = (
    Target(
        name="manifest",
        read=Manifest.decode,
        errors=(SnapshotFault,),
        seeds=cache(_manifests),
        write=Manifest.encode,
        share=30,
    ),
    Target(
        name="chunk",
        read=_read_chunk,
        errors=(SnapshotFault,),
        seeds=lambda: [_chunk()],
        write=_write_chunk,
        share=20,
    ),
    Target(
        name="archive",
        read=_read_archive,
        errors=(StorageError,),
        seeds=cache(lambda: [seen().archive]),
        make=_make_archive,
        words=(MAGIC, b"\x01\x00\x00\x00\x20", b"\x03\x00\x00\x00\x28"),
        share=10,
        round_size=4_000,
    ),
    Target(
        name="spec",
        read=_read_spec,
        errors=(SpecError,),
        seeds=cache(_specs),
        make=_make_spec,
        words=SPEC_WORDS,
        share=3,
        round_size=1_000,
    ),
    Target(
        name="config",
        read=_read_config,
        errors=(ConfigError,),
        seeds=cache(_configs),
        words=CONFIG_WORDS,
        share=10,
        round_size=4_000,
    ),
    Target(
        name="keyfile",
        read=_read_keyfile,
        errors=(ConfigError,),
        seeds=cache(_keyfiles),
        words=JSON_WORDS,
        share=20,
    ),
    Target(
        name="memory",
        read=_read_memory,
        errors=(MemorySpoiled,),
        seeds=cache(_memories),
        words=JSON_WORDS,
        share=15,
    ),
    Target(
        name="rows",
        read=_read_rows,
        errors=(BadRows,),
        seeds=cache(_rows),
        words=ROW_WORDS,
        ns_a_byte=20_000,  # a table of one's own, of exact fractions, read in two ways
        share=10,
        round_size=10_000,
    ),
    Target(
        name="receipt",
        read=_read_receipt,
        errors=(ValueError,),
        seeds=cache(lambda: list(dict.fromkeys(seen().receipts))),
        words=(b"\x00\x00\x00\x00\x00", b"\x00\x00", b"\x00\x01", b"\x03"),
        share=30,
    ),
    Target(
        name="difference",
        read=store.decode_difference,
        errors=(store.StoreError,),
        seeds=cache(lambda: list(seen().differences)),
        write=store.encode_difference,
        share=40,
    ),
    Target(
        name="state",
        read=_apply_difference,
        errors=(store.StoreError,),
        seeds=cache(lambda: list(seen().differences)),
        share=10,
        round_size=4_000,
    ),
)
