"""Tampering: somebody changes an archive or a block store, checks and all, and an audit looks.

The archive is changed as bytes, or a frame is changed and all checks after it are made again, as
whoever wants to deceive would. In the store a value is changed, exchanged, deleted or added under
LevelDB's own checksums. Every one must be found, at the height where it lies.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain.audit.replay import Finding, replay
from chain.audit.source import open_source
from chain.errors import ConfigError, StorageError
from chain.genesis import start_chain
from chain.storage.archive import BLOCK, END, MAGIC
from chain.storage.archive import SPEC as SPEC_FRAME
from chain.storage.database import Database
from chain.storage.state import FLUSH
from ext import hashing
from tests.ordeal.life import Broken, find_start
from tests.ordeal.power import Counts
from tests.ordeal.rot import House

SILENT = (b"msaved", b"q")
"""What says nothing of the chain: how far the newest batch reaches, candidates of no block."""

Frame = tuple[int, bytes]


@dataclass(frozen=True)
class Deed:
    """A tampering that was done: what, and the heights at which a finding names it rightly."""

    what: str
    heights: range


def audit(path: Path) -> Finding | None:
    """What an audit finds; a source that it refuses to open is a finding at height 0."""
    try:
        source = open_source(path)
    except (StorageError, ConfigError) as error:
        return Finding(0, str(error))
    try:
        return replay(source).finding
    finally:
        source.close()


def run_piece(number: int, seed: int, scratch: Path, house: House) -> tuple[str, Counts]:
    """One tampering; gives its family and the counts, raises Broken when it is not found."""
    chance = Random(f"tamper {seed} {number}")
    if number % 2:
        family, path = "archive", scratch / "chain.archive"
        shutil.copyfile(house.home / "chain.archive", path)
        deed = tamper_archive(path, chance)
    else:
        family, path = "store", scratch / "home"
        path.mkdir()
        shutil.copytree(house.home / "db", path / "db")
        deed = tamper_store(path / "db", chance, tip=house.answers["height"])
    finding = audit(path)
    if finding is None:
        raise Broken(f"{deed.what}: not found")
    if finding.height not in deed.heights:
        raise Broken(f"{deed.what}: found at {finding.height}, not in {deed.heights}: {finding}")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return family, {"tamperings": 1, "found": 1}


# ---- an archive


def read_frames(path: Path) -> list[Frame]:
    """The frames of an archive, without their checks."""
    data, at, frames = path.read_bytes(), len(MAGIC), []
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        frames.append((data[at], data[at + 5 : at + 5 + length]))
        at += 5 + length + 16
    return frames


def write_frames(path: Path, frames: Iterable[Frame]) -> None:
    """Write frames with checks that hold."""
    check, data = hashing.blake2b_128(MAGIC), bytearray(MAGIC)
    for kind, payload in frames:
        body = bytes((kind,)) + len(payload).to_bytes(4, "big") + payload
        check = hashing.blake2b_128(check + body)
        data += body + check
    path.write_bytes(data)


def height_at(path: Path, place: int) -> int:
    """The height of the frame that a byte of an archive belongs to; 0 for spec and magic."""
    at = len(MAGIC)
    for number, (_, payload) in enumerate(read_frames(path)):
        at += 5 + len(payload) + 16
        if place < at:
            return number if place >= len(MAGIC) else 0
    raise AssertionError("the byte lies behind the archive")


def tamper_archive(path: Path, chance: Random) -> Deed:
    """Change an archive in one of several ways."""
    return chance.choice(
        (_flip_byte, _cut_file, _flip_sealed, _flip_sealed, _drop_frame, _swap_frames, _graft)
    )(path, chance)


def _flip_byte(path: Path, chance: Random) -> Deed:
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    height = height_at(path, place)
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return Deed(f"byte {place} of the archive flipped", range(height, height + 1))


def _cut_file(path: Path, chance: Random) -> Deed:
    place = chance.randrange(path.stat().st_size)
    height = height_at(path, place)
    with path.open("r+b") as file:
        file.truncate(place)
    return Deed(f"the archive cut at {place}", range(height, height + 1))


def _flip_sealed(path: Path, chance: Random) -> Deed:
    """Flip a bit in a block frame and make every check again."""
    frames = read_frames(path)
    height = chance.randrange(1, len(frames) - 1)
    payload = bytearray(frames[height][1])
    place = chance.randrange(len(payload))
    payload[place] ^= 1 << chance.randrange(8)
    frames[height] = (BLOCK, bytes(payload))
    write_frames(path, frames)
    return Deed(f"byte {place} of frame {height} flipped and sealed", range(height, height + 1))


def _drop_frame(path: Path, chance: Random) -> Deed:
    frames = read_frames(path)
    height = chance.randrange(1, len(frames))
    del frames[height]
    write_frames(path, frames)
    return Deed(f"frame {height} dropped and sealed", range(height, height + 1))


def _swap_frames(path: Path, chance: Random) -> Deed:
    frames = read_frames(path)
    first, second = sorted(chance.sample(range(1, len(frames) - 1), 2))
    frames[first], frames[second] = frames[second], frames[first]
    write_frames(path, frames)
    return Deed(f"frames {first} and {second} exchanged and sealed", range(first, first + 1))


def _graft(path: Path, chance: Random) -> Deed:
    """Put the body of another frame in the place of one, under the height that belongs there."""
    frames = read_frames(path)
    height, other = chance.sample(range(1, len(frames) - 1), 2)
    frames[height] = (BLOCK, frames[height][1][:8] + frames[other][1][8:])
    write_frames(path, frames)
    assert frames[0][0] == SPEC_FRAME
    assert frames[-1][0] == END
    return Deed(f"block {other} under height {height}, sealed", range(height, height + 1))


# ---- a block store


def tamper_store(path: Path, chance: Random, *, tip: int) -> Deed:
    """Change one record of a database under LevelDB's own checksums."""
    database = Database(path)
    try:
        records = dict(database.scan(b""))
        while True:
            deed = chance.choice((_change_value, _change_value, _exchange, _delete, _add))
            changes, what, key = deed(records, chance)
            if all(records.get(name) == value for name, value in changes.items()):
                continue
            if key[:1] == b"a" and None in changes.values() and _is_last_account(key, records):
                continue
            if not _is_silent(changes):
                break

        def fill(batch) -> None:
            for name, value in changes.items():
                if value is None:
                    batch.delete(name)
                else:
                    batch.put(name, value)

        database.write(FLUSH, fill)
    finally:
        database.close()
    return Deed(what, _heights_of(key, records | changes, records, tip))


Changes = dict[bytes, bytes | None]
Doing = Callable[[dict[bytes, bytes], Random], tuple[Changes, str, bytes]]


def _is_silent(changes: Changes) -> bool:
    """Whether a change says nothing of the chain: a mark nobody serves, a comment of the spec."""
    spec = changes.get(b"mspec")
    if spec is not None:
        try:
            return start_chain(spec.decode()).hash == find_start().hash
        except (ConfigError, UnicodeDecodeError):
            return False
    return all(key.startswith(SILENT) for key in changes)


def _is_last_account(key: bytes, records: dict[bytes, bytes]) -> bool:
    """Whether no other record files an account of this height: an index may lack whole heights."""
    height = key[-12:-4]
    return not any(one[:1] == b"a" and one[-12:-4] == height and one != key for one in records)


def _pick(records: dict[bytes, bytes], chance: Random) -> bytes:
    """A key, each keyspace as likely as another."""
    spaces = sorted({key[:1] for key in records})
    space = chance.choice(spaces)
    return chance.choice([key for key in records if key[:1] == space])


def _change_value(records: dict[bytes, bytes], chance: Random) -> tuple[Changes, str, bytes]:
    key = _pick(records, chance)
    value = bytearray(records[key])
    if not value:
        return {key: b"\0"} if key[:1] != b"a" else {key: None}, f"{key.hex()} emptied", key
    place = chance.randrange(len(value))
    value[place] ^= 1 << chance.randrange(8)
    return {key: bytes(value)}, f"byte {place} of {key.hex()} flipped", key


def _exchange(records: dict[bytes, bytes], chance: Random) -> tuple[Changes, str, bytes]:
    key = _pick(records, chance)
    other = chance.choice([one for one in records if one[:1] == key[:1]])
    return {key: records[other]}, f"{key.hex()} says what {other.hex()} says", key


def _delete(records: dict[bytes, bytes], chance: Random) -> tuple[Changes, str, bytes]:
    key = _pick(records, chance)
    return {key: None}, f"{key.hex()} deleted", key


def _add(records: dict[bytes, bytes], chance: Random) -> tuple[Changes, str, bytes]:
    """Put a record where none belongs."""
    model = _pick(records, chance)
    key = bytearray(model)
    place = chance.randrange(1, len(key)) if len(key) > 1 else 0
    key[place] ^= 1 << chance.randrange(8)
    name = bytes(key)
    if name in records:
        return {}, "nothing", name
    return {name: records[model]}, f"{name.hex()} added", name


def _heights_of(key: bytes, after: Changes, before: dict[bytes, bytes], tip: int) -> range:
    """The heights that name a tampering rightly, by the keyspace of its key."""
    space, rest = key[:1], key[1:]
    value = before.get(key) or after.get(key) or b""
    named = dict.fromkeys((b"H", b"x", b"o"), value[:8])
    written = {b"k": rest[-8:], b"a": rest[-12:-4], **named}
    early = {b"s": 2, b"n": 1}
    if space in (b"f", b"m") or space not in b"hbrcdsnkaHxo":
        return range(tip + 2)
    height = int.from_bytes(written.get(space, rest), "big")
    return range(max(0, height - early.get(space, 0)), height + 1)
