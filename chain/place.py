"""Which computer this is: a journal that comes from another one may have been copied."""

from pathlib import Path
from typing import Final

from ext import hashing

MACHINE_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
"""Where Linux names an installation: 32 hexadecimal digits, kept for its life (machine-id(5))."""

PLACE_BYTES: Final = 16
"""Length of a place."""

UNKNOWN: Final = bytes(PLACE_BYTES)
"""The place where the system names none; nothing can be told by it."""


def find_place(key: bytes, *, files: tuple[Path, ...] = MACHINE_FILES) -> bytes:
    """Give 16 bytes that name this computer to one key, `UNKNOWN` where the system has no name.

    A digest with the key in it: the name itself is not to be shown to others (machine-id(5)).
    """
    for path in files:
        try:
            name = path.read_bytes()[:64].strip()
        except OSError:
            continue
        if len(name) == 32:
            return hashing.blake2b_128(b"gristmill signer" + name + key)
    return UNKNOWN
