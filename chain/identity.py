"""A validator's key and journal as files: made together, reset when the journal is lost.

Nothing here ever lowers the floor below which a key does not sign. How the floor is carried to
another computer is in chain.interchange.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from chain.errors import ConfigError, StorageError
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys, save_keys
from chain.signer import (
    FRESH,
    JOURNAL_FILE,
    SIGNER_STATE,
    Position,
    SignerState,
    raise_floor,
)
from chain.storage import durable
from chain.storage.journal import SigningJournal

_ASIDE = durable.declare("journal.aside")
_ASIDE_SYNC = durable.declare("journal.aside.directory")


def create_identity(directory: Path, keys: ValidatorKeys, genesis_hash: bytes) -> None:
    """Make a validator's journal and key file, in that order, so that no key lacks its journal.

    Raises ConfigError when either exists, StorageError when the disk refuses.
    """
    if (directory / KEY_FILE).exists():
        raise ConfigError(f"{directory / KEY_FILE} exists already; a key is never overwritten")
    journal_path = directory / JOURNAL_FILE
    if not _is_left_over(journal_path, keys, genesis_hash):
        SigningJournal.create(
            journal_path,
            genesis_hash=genesis_hash,
            public_key=keys.consensus_key,
            payload=SIGNER_STATE.encode(FRESH),
        )
    save_keys(directory / KEY_FILE, keys)


def _is_left_over(path: Path, keys: ValidatorKeys, genesis_hash: bytes) -> bool:
    """Whether a crash left the fresh journal of this very key without its key file.

    One that the crash left unfinished is put aside: without a key file it guards nothing.
    """
    if not path.exists():
        return False
    try:
        state = _read_state(path, keys, genesis_hash)
    except StorageError:
        _set_aside(path, keys, genesis_hash)
        return False
    if state != FRESH:
        raise ConfigError(f"{path} belongs to a key that has signed, and its key file is missing")
    return True


def reset_journal(
    directory: Path,
    genesis_hash: bytes,
    *,
    tip_height: int,
    listen_blocks: int,
    is_understood: bool,
) -> None:
    """Replace a missing or damaged journal by one that starts two heights above the tip.

    The old file is kept beside it. The key then listens for `listen_blocks` blocks, two epochs, and
    signs only if nobody else did. Raises ConfigError without `is_understood`, or in use.
    """
    if not is_understood:
        raise ConfigError(
            "a new journal forgets what this key signed; make sure that no other machine runs it "
            "and repeat with --i-understand"
        )
    keys = load_keys(directory / KEY_FILE)
    path = directory / JOURNAL_FILE
    if path.exists():
        _set_aside(path, keys, genesis_hash)
    floors = [_read_floor(old, keys, genesis_hash) for old in _asides(path)]
    floor = max([(tip_height + 2, 0, 0), *floors])
    state = raise_floor(FRESH, floor, listen_blocks)
    SigningJournal.create(
        path,
        genesis_hash=genesis_hash,
        public_key=keys.consensus_key,
        payload=SIGNER_STATE.encode(state),
    )


def _asides(path: Path) -> list[Path]:
    """Give the journals that earlier resets put aside; a crashed reset may have left the last."""
    return sorted(path.parent.glob(f"{path.name}.old-*"))


def _set_aside(path: Path, keys: ValidatorKeys, genesis_hash: bytes) -> None:
    """Rename a journal out of the way; raises ConfigError while a process uses it."""
    _read_floor(path, keys, genesis_hash)
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    try:
        durable.replace(path, aside, _ASIDE)
        durable.fsync_directory(path.parent, _ASIDE_SYNC)
    except OSError as error:
        raise StorageError(f"the signing journal {path} cannot be renamed: {error}") from error


def _read_floor(path: Path, keys: ValidatorKeys, genesis_hash: bytes) -> Position:
    """Give the floor of a journal, the lowest one when it is damaged."""
    floor: Position = FRESH.floor
    with contextlib.suppress(StorageError):
        floor = _read_state(path, keys, genesis_hash).floor
    return floor


def _read_state(path: Path, keys: ValidatorKeys, genesis_hash: bytes) -> SignerState:
    """Give what a journal holds; raises as `SigningJournal.open` does."""
    journal = SigningJournal.open(path, genesis_hash=genesis_hash, public_key=keys.consensus_key)
    try:
        state: SignerState = SIGNER_STATE.decode(journal.payload)
    finally:
        journal.close()
    return replace(state, signed=tuple(state.signed))
