"""The directory of key files: one account a file, named by its owner, mode 0600.

Writing is create-exclusive, flush, name, flush the directory and the one above: a key file exists
whole or not at all and an existing one is never overwritten. Names cannot leave the directory.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.storage import durable
from chain.wallet.accounts import DEV_NAMES
from chain.wallet.derivation import derive, is_dev_uri
from chain.wallet.errors import BadContent, Denied, NotFound, WalletError, WrongUse
from chain.wallet.keystore import FILE_LENGTH_MAX, Keystore, parse_keystore
from chain.wallet.ss58 import decode_account, encode_address

NAME_LENGTH_MAX: Final = 64
"""Characters of a key's name; it is also a file name."""

KEYS_MAX: Final = 4096
"""Key files in one directory; more is not a keyring but an accident."""

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEX_KEY: Final = re.compile(r"0x[0-9a-fA-F]{64}")

_WRITE: Final = durable.declare("keystore.write")
_WRITE_SYNC: Final = durable.declare("keystore.write.sync")
_NAME: Final = durable.declare("keystore.name")
_NAME_SYNC: Final = durable.declare("keystore.name.sync")


@dataclass(frozen=True, slots=True)
class Party:
    """An account as the user named it: the name, the 32-byte public key, the dev URI if any."""

    label: str
    public: bytes
    dev_uri: str | None = None

    @property
    def address(self) -> str:
        """The SS58 address."""
        return encode_address(self.public)


class Keyring:
    """The key files below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self) -> list[str]:
        """Return the names of the keys, sorted."""
        if not self.directory.is_dir():
            return []
        found = sorted(path.stem for path in self.directory.glob("*.json"))
        return found[:KEYS_MAX]

    def has(self, name: str) -> bool:
        """Tell whether a key of this name exists."""
        return self._path(name).is_file()

    def load(self, name: str) -> Keystore:
        """Return the key file of this name, unopened."""
        return read_keystore_file(self._path(name), described=f"the key {name!r}")

    def all(self) -> Iterator[tuple[str, Keystore | WalletError]]:
        """Yield every key with its name; a file that is no key yields its error instead."""
        for name in self.names():
            try:
                yield name, self.load(name)
            except WalletError as error:
                yield name, error

    def save(self, name: str, content: bytes, *, replace: bool = False) -> Path:
        """Write a key file of mode 0600 durably; WrongUse if the name is taken."""
        path = self._path(name)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and not replace:
            raise WrongUse(f"there is a key named {name!r} already", "choose another name")
        write_private_file(path, content, replace=replace)
        return path

    def find_party(self, text: str) -> Party:
        """Return the account that a name, an address, 0x public key or //Dev path stands for."""
        if is_dev_uri(text):
            return Party(text, derive(text).public, text)
        if _HEX_KEY.fullmatch(text):
            return Party(text, bytes.fromhex(text[2:]))
        if _FILE_NAME.fullmatch(text) and len(text) <= NAME_LENGTH_MAX and self.has(text):
            return Party(text, self.load(text).public)
        if text.lower() in {name.lower() for name in DEV_NAMES}:
            raise NotFound(f"there is no key named {text!r}", f"did you mean //{text.title()}?")
        if len(text) < 46:
            raise NotFound(
                f"there is no key named {text!r}",
                "gristmill key list shows the names; an address has about 48 characters",
            )
        return Party(text, decode_account(text))

    def _path(self, name: str) -> Path:
        if not _FILE_NAME.fullmatch(name) or len(name) > NAME_LENGTH_MAX:
            raise WrongUse(
                f"{name!r} cannot be the name of a key",
                "use letters, digits, dots, dashes and underscores, at most 64",
            )
        return self.directory / f"{name}.json"


def read_keystore_file(path: Path, *, described: str | None = None) -> Keystore:
    """Read and check a key file; refuse links, devices and what is too large."""
    what = described or f"the key file {str(path)!r}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFound(f"{what} does not exist", "gristmill key list shows the names") from None
    except PermissionError:
        raise Denied(f"{what} may not be read", "it should belong to you, mode 0600") from None
    except OSError as error:
        raise BadContent(f"{what} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadContent(f"{what} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(FILE_LENGTH_MAX + 1)
    return parse_keystore(content)


def write_private_file(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file of mode 0600 whole and durably, or not at all; never through a link.

    Raises WrongUse when the name is taken and `replace` is not set, WalletError when the disk
    refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _write_whole(temporary, content)
        if replace:
            durable.replace(temporary, path, _NAME)
        else:
            durable.link(temporary, path, _NAME)
        temporary.unlink(missing_ok=True)
        for directory in (path.parent, path.parent.parent):
            durable.fsync_directory(directory, _NAME_SYNC)
    except FileExistsError:
        temporary.unlink(missing_ok=True)
        raise WrongUse(f"{path.name} exists already", "choose another name") from None
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WalletError(
            f"{str(path)!r} cannot be written: {error.strerror}",
            "make room or name another place, see whether the file is there, and do it again",
        ) from None


def _write_whole(path: Path, content: bytes) -> None:
    """Write and sync a new file, in place of what an earlier process may have left; OSError."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        durable.write(descriptor, content, _WRITE)
        durable.fsync(descriptor, _WRITE_SYNC)
    finally:
        os.close(descriptor)
