"""The key file of a validator: two seeds and an account id, readable by its owner alone.

    {"gristmill_validator_key": 1, "account": hex, "consensus_seed": hex, "vrf_seed": hex,
     "check": hex of blake2b-128 over the other three}

The check tells a damaged digit, which is a digit of another key, from the key. The file is not
encrypted: a validator restarts without anybody at the keyboard. It has mode 0600 and one with a
wider mode is refused. Account keys live elsewhere, in encrypted keystores.
"""

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chain.errors import ConfigError, StorageError
from chain.storage import durable
from ext import hashing, signing

KEY_FILE: Final = "validator.key"
"""Name of the key file in a validator's key directory."""

KEY_FILE_BYTES_MAX: Final = 4_096
"""Longest key file that is read; the real one has under four hundred bytes."""

_WRITE = durable.declare("keyfile.write")
_WRITE_SYNC = durable.declare("keyfile.write.sync")
_NAME = durable.declare("keyfile.name")
_NAME_SYNC = durable.declare("keyfile.name.sync")


@dataclass(frozen=True, slots=True)
class ValidatorKeys:
    """The secrets of a validator; printing it shows only what is public."""

    account: bytes
    consensus_seed: bytes = field(repr=False)
    vrf_seed: bytes = field(repr=False)
    consensus_key: bytes = field(init=False)
    vrf_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Derive the public keys; raises ConfigError for a value of another length."""
        if any(len(part) != 32 for part in (self.account, self.consensus_seed, self.vrf_seed)):
            raise ConfigError("the account id and both seeds of a validator have 32 bytes each")
        if self.consensus_seed == self.vrf_seed:
            raise ConfigError("the consensus key and the VRF key of a validator must differ")
        object.__setattr__(self, "consensus_key", signing.public_key(self.consensus_seed))
        object.__setattr__(self, "vrf_key", signing.public_key(self.vrf_seed))


def save_keys(path: Path, keys: ValidatorKeys) -> None:
    """Write a new key file, whole or not at all; raises ConfigError when it exists.

    The caller holds the directory to itself. Raises StorageError when the disk refuses.
    """
    if path.exists():
        raise ConfigError(f"the key file {path} exists already; a key is never overwritten")
    content = {
        "gristmill_validator_key": 1,
        "account": keys.account.hex(),
        "consensus_seed": keys.consensus_seed.hex(),
        "vrf_seed": keys.vrf_seed.hex(),
        "check": _check(keys.account, keys.consensus_seed, keys.vrf_seed).hex(),
    }
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            durable.pwrite(fd, json.dumps(content, indent=2).encode() + b"\n", 0, _WRITE)
            durable.fsync(fd, _WRITE_SYNC)
        finally:
            os.close(fd)
        durable.replace(draft, path, _NAME)
        for directory in (path.parent, path.parent.parent):
            durable.fsync_directory(directory, _NAME_SYNC)
    except OSError as error:
        raise StorageError(f"the key file {path} cannot be written: {error}") from error


def load_keys(path: Path) -> ValidatorKeys:
    """Read a key file; raises ConfigError when it is missing, malformed or readable by others."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & 0o077:
            raise ConfigError(f"others can read the key file {path}; run `chmod 600 {path}`")
        data = os.read(fd, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(fd)
    return _parse_keys(path, data)


def _parse_keys(path: Path, data: bytes) -> ValidatorKeys:
    """Give the keys that a file states; the message of a ConfigError never shows a seed."""
    names = {"gristmill_validator_key", "account", "consensus_seed", "vrf_seed", "check"}
    try:
        content: Any = json.loads(data) if len(data) <= KEY_FILE_BYTES_MAX else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.keys() != names:
        raise ConfigError(
            f"{path} is not a validator key file, or it is damaged; put your backup of it in its "
            "place, and leave the journal beside it where it is"
        )
    if content["gristmill_validator_key"] != 1:
        raise ConfigError(
            f"the key file {path} has another version than this program reads; use the release "
            "that made it, or put your backup in its place"
        )
    parts = [_parse_hex(content[name]) for name in ("account", "consensus_seed", "vrf_seed")]
    account, consensus_seed, vrf_seed = parts
    if account is None or consensus_seed is None or vrf_seed is None:
        raise ConfigError(
            f"the key file {path} holds a value that is not 32 bytes in hex; put your backup of it "
            "in its place, and leave the journal beside it where it is"
        )
    if content["check"] != _check(account, consensus_seed, vrf_seed).hex():
        raise ConfigError(
            f"the key file {path} is damaged: its check does not hold; put your backup of it in "
            "its place, and leave the journal beside it where it is"
        )
    return ValidatorKeys(account, consensus_seed, vrf_seed)


def _check(*parts: bytes) -> bytes:
    """Give the 16 bytes that tell a damaged file from a whole one."""
    return hashing.blake2b_128(b"".join(parts))


def _parse_hex(text: object) -> bytes | None:
    """Give the 32 bytes of 64 lower-case hex digits, or None."""
    if not isinstance(text, str) or len(text) != 64:
        return None
    if any(digit not in "0123456789abcdef" for digit in text):
        return None
    return bytes.fromhex(text)
