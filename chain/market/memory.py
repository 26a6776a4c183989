"""What an agent must not forget: its secret, the bids that it has sealed, the receipts it signed.

A file of mode 0600, replaced as a whole. A bid whose salt is lost loses its deposit, and two
different receipts of one place are a fraud: so both are written down before they leave.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final

from chain.errors import GristmillError
from chain.seams import Chance
from chain.storage import durable
from ext import hashing

FORMAT: Final = "gristmill.agent/1"
"""What the file says it is."""

SECRET_BYTES: Final = 32
"""Of which all salts are made."""


class MemorySpoiled(GristmillError):
    """The file of an agent cannot be read; put a copy of it back, or begin with another file."""


class MemoryBusy(GristmillError):
    """Another agent has the file open; stop it first, for two of one account sign twice."""


class AgentMemory:
    """The file of one agent, for one account on one chain.

    With `is_exclusive` nobody else opens it so until it is closed. Raises MemoryBusy and
    MemorySpoiled.
    """

    def __init__(
        self,
        path: Path,
        *,
        genesis: bytes,
        account: bytes,
        chance: Chance,
        is_exclusive: bool = False,
    ) -> None:
        self.path = path
        self._fields: dict[str, Any] = {}
        self._lock = _lock(path) if is_exclusive else None
        self._owner = {"genesis": genesis.hex(), "account": account.hex()}
        try:
            self._fields = self._read() if path.exists() else self._begin(chance)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others open the file; what is in it was written before."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, purpose: str) -> bytes:
        """Give 32 bytes that only this agent knows, other ones for each purpose."""
        known = bytes.fromhex(self._fields["secret"])
        return hashing.blake2b_256(known + purpose.encode())

    def keep_bid(self, job: int, attempt: int, price: int) -> None:
        """Write a sealed bid down, in grains, before it is sent."""
        self._fields["bids"][f"{job}/{attempt}"] = str(price)
        self._write()

    def bid(self, job: int, attempt: int) -> int | None:
        """Give the price of a sealed bid."""
        found = self._fields["bids"].get(f"{job}/{attempt}")
        return None if found is None else int(found)

    def keep_receipt(self, job: int, attempt: int, checkpoint: int, receipt: bytes) -> bytes:
        """Write a receipt down before it is signed, unless one is; gives the one that counts."""
        name = f"{job}/{attempt}/{checkpoint}"
        if name not in self._fields["receipts"]:
            self._fields["receipts"][name] = receipt.hex()
            self._write()
        return bytes.fromhex(self._fields["receipts"][name])

    def last_receipt(self, job: int, attempt: int) -> int:
        """Give the highest checkpoint of which a receipt of an attempt is written down, or zero."""
        names = [name.split("/") for name in self._fields["receipts"]]
        return max((int(c) for j, a, c in names if (int(j), int(a)) == (job, attempt)), default=0)

    def jobs(self) -> list[int]:
        """Give the jobs of which something is written down, ascending."""
        names = [*self._fields["bids"], *self._fields["receipts"]]
        return sorted({int(name.split("/")[0]) for name in names})

    def forget(self, job: int) -> None:
        """Drop what belongs to a job that has ended."""
        for kind in ("bids", "receipts"):
            kept = {k: v for k, v in self._fields[kind].items() if k.split("/")[0] != str(job)}
            self._fields[kind] = kept
        self._write()

    def _begin(self, chance: Chance) -> dict[str, Any]:
        secret = chance.draw(SECRET_BYTES)
        self._fields = {**self._owner, "secret": secret.hex(), "bids": {}, "receipts": {}}
        self._write()
        return self._fields

    def _read(self) -> dict[str, Any]:
        try:
            fields = json.loads(self.path.read_text())
            if fields["format"] != FORMAT or len(bytes.fromhex(fields["secret"])) != SECRET_BYTES:
                raise ValueError("it has another format")
            _check_tables(fields)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise MemorySpoiled(f"{self.path} is not the file of an agent: {error}") from error
        if any(fields.get(part) != value for part, value in self._owner.items()):
            raise MemorySpoiled(f"{self.path} belongs to another account, or to another chain")
        return dict(fields)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT, **self._fields}, indent=1, sort_keys=True)
        durable.write_file(self.path, text.encode())


def _check_tables(fields: dict[str, Any]) -> None:
    """Raise ValueError unless bids and receipts are as they are written."""
    for kind, parts in (("bids", 2), ("receipts", 3)):
        table = fields[kind]
        if not isinstance(table, dict):
            raise ValueError(f"its {kind} are no table")
        for name, value in table.items():
            numbers = [int(part) for part in name.split("/")]
            if len(numbers) != parts or not isinstance(value, str):
                raise ValueError(f"{name} is not one of its {kind}")
            int(value) if kind == "bids" else bytes.fromhex(value)


def _lock(path: Path) -> int:
    """Lock the file beside a memory, and give its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise MemoryBusy(f"another agent has {path} open; stop it first") from None
    return descriptor
