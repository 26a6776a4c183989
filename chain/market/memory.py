"""What an agent must not forget: its secret, the bids that it has sealed, the receipts it signed.

A file of mode 0600, replaced as a whole. A bid whose salt is lost loses its deposit, and two
different receipts of one place are a fraud: so both are written down before they leave.
"""

import json
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


class AgentMemory:
    """The file of one agent, for one account on one chain."""

    def __init__(self, path: Path, *, genesis: bytes, account: bytes, chance: Chance) -> None:
        self.path = path
        self._owner = {"genesis": genesis.hex(), "account": account.hex()}
        if path.exists():
            self._fields = self._read()
        else:
            secret = chance.draw(SECRET_BYTES)
            self._fields = {**self._owner, "secret": secret.hex(), "bids": {}, "receipts": {}}
            self._write()

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

    def forget(self, job: int) -> None:
        """Drop what belongs to a job that has ended."""
        for kind in ("bids", "receipts"):
            kept = {k: v for k, v in self._fields[kind].items() if k.split("/")[0] != str(job)}
            self._fields[kind] = kept
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            fields = json.loads(self.path.read_text())
            if fields["format"] != FORMAT or len(bytes.fromhex(fields["secret"])) != SECRET_BYTES:
                raise ValueError("it has another format")
            if any(not isinstance(fields[kind], dict) for kind in ("bids", "receipts")):
                raise ValueError("its bids and receipts are no tables")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MemorySpoiled(f"{self.path} is not the file of an agent: {error}") from error
        if any(fields[part] != value for part, value in self._owner.items()):
            raise MemorySpoiled(f"{self.path} belongs to another account, or to another chain")
        return dict(fields)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT, **self._fields}, indent=1, sort_keys=True)
        durable.write_file(self.path, text.encode())
