"""How far a validator's keys have signed, carried from one computer to another as a file.

    {"gristmill_interchange": 2, "genesis_hash": hex,
     "keys": [{"consensus_key": hex, "height": n, "round": n, "kind": 1 | 2 | 3}, ...]}

It says of each key the last position it signed for, and nothing secret. Taking it over may only
raise a floor: an old file, a file that is taken over twice, or several of different age do no harm.
What it means follows EIP-3076, the interchange of Ethereum's validators, in its minimal form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from chain.errors import ConfigError
from chain.keychain import KEYS_MAX, find_key_directories
from chain.keyfile import KEY_FILE, load_keys
from chain.place import find_place
from chain.signer import (
    JOURNAL_FILE,
    SIGNER_STATE,
    Position,
    SignerState,
    decode_state,
    raise_floor,
)
from chain.storage.journal import SigningJournal

INTERCHANGE_VERSION: Final = 2
"""The only version there is; another one is refused."""

INTERCHANGE_BYTES_MAX: Final = 65_536
"""Longest interchange file; one with 256 keys has about fifty thousand bytes."""

_NAMES: Final = {"gristmill_interchange", "genesis_hash", "keys"}
_KEY_NAMES: Final = {"consensus_key", "height", "round", "kind"}
_BOUNDS: Final = (("height", 2**64), ("round", 2**32), ("kind", 4))


@dataclass(frozen=True, slots=True)
class SignerReport:
    """One key of a node: where it lies, how far it signed, and whether it may go on."""

    directory: Path
    consensus_key: bytes
    state: SignerState
    is_moved: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the keys of a file (32 bytes each): raised, there already, not ours."""

    raised: tuple[bytes, ...]
    kept: tuple[bytes, ...]
    unknown: tuple[bytes, ...]


def find_keys(base: Path) -> dict[bytes, Path]:
    """Give the directory of every consensus key below a key directory; raises ConfigError."""
    found = {load_keys(one / KEY_FILE).consensus_key: one for one in find_key_directories(base)}
    if not found:
        raise ConfigError(f"there is no validator key in {base}; give the --home of a validator")
    return found


def inspect_signers(base: Path, genesis_hash: bytes) -> list[SignerReport]:
    """Say how far every key has signed; the node may run meanwhile. Raises as a journal does."""
    reports = []
    for key, directory in find_keys(base).items():
        path = directory / JOURNAL_FILE
        state = decode_state(SigningJournal.peek(path, genesis_hash=genesis_hash, public_key=key))
        is_moved = state.is_from_elsewhere(find_place(key))
        reports.append(SignerReport(directory, key, state, is_moved))
    return reports


def export_interchange(base: Path, genesis_hash: bytes) -> str:
    """Give the interchange text of a stopped validator; raises ConfigError while it runs."""
    entries = []
    for key, directory in find_keys(base).items():
        journal = _open(directory, genesis_hash, key)
        height, round_, kind = decode_state(journal.payload).floor
        journal.close()
        entries.append(
            {"consensus_key": key.hex(), "height": height, "round": round_, "kind": kind}
        )
    content = {
        "gristmill_interchange": INTERCHANGE_VERSION,
        "genesis_hash": genesis_hash.hex(),
        "keys": entries,
    }
    return json.dumps(content, indent=2) + "\n"


def import_interchange(
    base: Path, genesis_hash: bytes, text: str, *, listen_blocks: int
) -> Imported:
    """Raise the floors of the keys here to the file's, where those are higher.

    A raised floor makes its key listen for `listen_blocks` blocks, two epochs. Raises ConfigError
    for a file that is malformed, of another chain, or of none of our keys, and while the validator
    runs; then nothing has changed.
    """
    floors = parse_interchange(text, genesis_hash)
    ours = find_keys(base)
    if not ours.keys() & floors.keys():
        raise ConfigError("the interchange file belongs to other keys than those in this home")
    journals = {}
    try:
        for key in ours.keys() & floors.keys():
            journals[key] = _open(ours[key], genesis_hash, key)
        raised = [
            key
            for key, floor in floors.items()
            if key in journals and _raise(journals[key], floor, listen_blocks)
        ]
    finally:
        for journal in journals.values():
            journal.close()
    return Imported(
        tuple(raised),
        tuple(key for key in floors if key in ours and key not in raised),
        tuple(key for key in floors if key not in ours),
    )


def adopt_journals(base: Path, genesis_hash: bytes, *, is_understood: bool) -> tuple[bytes, ...]:
    """Let the keys of journals that another computer wrote sign here at once; gives those keys.

    The operator's word that the journals are the newest and that nobody else signs. A key that
    listens because of what was heard or done here goes on listening. Raises ConfigError without
    `is_understood`, or in use.
    """
    if not is_understood:
        raise ConfigError(
            "a copied journal may be older than what its key signed; make sure that the other "
            "computer never signs again and that this is its newest journal, and repeat with "
            "--i-understand"
        )
    adopted = []
    for key, directory in find_keys(base).items():
        place = find_place(key)
        journal = _open(directory, genesis_hash, key)
        try:
            state = decode_state(journal.payload)
            if state.is_from_elsewhere(place):
                here = replace(state, listen_blocks=0, listen_from=0, place=place)
                journal.write(SIGNER_STATE.encode(here))
                adopted.append(key)
        finally:
            journal.close()
    return tuple(adopted)


def _open(directory: Path, genesis_hash: bytes, key: bytes) -> SigningJournal:
    return SigningJournal.open(directory / JOURNAL_FILE, genesis_hash=genesis_hash, public_key=key)


def _raise(journal: SigningJournal, floor: Position, listen_blocks: int) -> bool:
    """Raise one journal's floor; False when it is as high already."""
    state = decode_state(journal.payload)
    if floor <= state.floor:
        return False
    journal.write(SIGNER_STATE.encode(raise_floor(state, floor, listen_blocks)))
    return True


def parse_interchange(text: str, genesis_hash: bytes) -> dict[bytes, Position]:
    """Give the highest floor that an interchange text states of each key; raises ConfigError."""
    if len(text) > INTERCHANGE_BYTES_MAX:
        raise ConfigError("this is not an interchange file: it is too long")
    try:
        content: Any = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"this is not an interchange file: {error}") from error
    if not isinstance(content, dict) or content.keys() != _NAMES:
        raise ConfigError("this is not an interchange file: its fields are not the three expected")
    if content["gristmill_interchange"] != INTERCHANGE_VERSION:
        raise ConfigError("the interchange file has another version than this program reads")
    if content["genesis_hash"] != genesis_hash.hex():
        raise ConfigError("the interchange file belongs to another chain")
    entries = content["keys"]
    if not isinstance(entries, list) or not 0 < len(entries) <= KEYS_MAX:
        raise ConfigError(f"the interchange file must name 1 to {KEYS_MAX} keys")
    floors: dict[bytes, Position] = {}
    for entry in entries:
        key, floor = _parse_entry(entry)
        floors[key] = max(floor, floors.get(key, floor))
    return floors


def _parse_entry(entry: Any) -> tuple[bytes, Position]:
    """Give the key and the position of one entry; raises ConfigError."""
    if not isinstance(entry, dict) or entry.keys() != _KEY_NAMES:
        raise ConfigError("the interchange file has a key whose fields are not the four expected")
    try:
        key = bytes.fromhex(entry["consensus_key"])
    except (TypeError, ValueError):
        key = b""
    if len(key) != 32 or entry["consensus_key"] != key.hex():
        raise ConfigError("the interchange file has a key that is not 64 hexadecimal digits")
    if not all(_is_below(entry, name, bound) for name, bound in _BOUNDS):
        raise ConfigError("the interchange file names a position that cannot be")
    return key, (entry["height"], entry["round"], entry["kind"])


def _is_below(entry: Mapping[str, Any], name: str, bound: int) -> bool:
    return type(entry[name]) is int and 0 <= entry[name] < bound


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field is there twice")
    return document
