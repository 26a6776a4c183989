"""A signer under random orders, crashes and power cuts, beside somebody who writes everything down.

    sign this, or that again, save, close and open, cut the power ──> signer
    every signature that ever left ──> no position has two

Small and quick, so that a bug planted in signer or journal is seen in seconds.
"""

import random
import shutil
from dataclasses import replace
from pathlib import Path

from chain.identity import create_identity
from chain.keyfile import ValidatorKeys
from chain.signer import Signer, SigningRefused, open_signer
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Proposal, Vote
from tests.support.consensus import GENESIS, consensus_seed, h, vrf_seed
from tests.whole import disk
from tests.whole.disk import Disks, SimulatedCrash
from tests.whole.ground import make_directory
from tests.whole.loop import ACTING

STEPS = 120
"""Orders in one schedule."""


class Forsworn(AssertionError):
    """A key signed two things, or forgot what it signed."""


class Oath:
    """One schedule of orders to one key."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"oath {seed}")
        self.base: Path = make_directory()
        self.keys = ValidatorKeys(h("account"), consensus_seed(0), vrf_seed(0))
        self.signed: dict[tuple[int, int, int], bytes] = {}
        self.highest = (0, 0, 0)
        self.disks = Disks(self.chance, self._decide)
        self.countdown = -1
        self.fault: disk.Fault | None = None

    def _decide(self, name: str, point: str) -> disk.Fault | None:
        del name, point
        if self.fault is None:
            return None
        self.countdown -= 1
        if self.countdown >= 0:
            return None
        fault, self.fault = self.fault, None
        return fault

    def run(self) -> None:
        """Give orders; raises Forsworn."""
        directory = self.base / "keys"
        directory.mkdir(parents=True)
        create_identity(directory, self.keys, GENESIS)
        ACTING.set("key")
        self.disks.add("key", self.base)
        try:
            with self.disks.watched():
                while self.chance.random() < 0.95:
                    self._live(directory)
        finally:
            ACTING.set("")
            shutil.rmtree(self.base, ignore_errors=True)

    def _live(self, directory: Path) -> None:
        """Open the key and give it orders until it dies or is closed."""
        signer = open_signer(directory, GENESIS)
        is_power_cut = self.chance.random() < 0.6
        try:
            self._check_floor(signer)
            for _ in range(self.chance.randrange(2, 12)):
                if self.chance.random() < 0.2:
                    self.fault = self.chance.choice(list(disk.Fault)[:3])
                    self.countdown = self.chance.randrange(3)
                self._order(signer)
        except SimulatedCrash:
            pass
        finally:
            self.fault = None
            signer.close()
            self.disks.on_exit("key", is_power_cut=is_power_cut)

    def _check_floor(self, signer: Signer) -> None:
        if signer.floor < self.highest:
            raise Forsworn(f"the journal stands at {signer.floor}, signed was {self.highest}")

    def _order(self, signer: Signer) -> None:
        """Ask for a signature near the last ones, often a wrong one."""
        height, round_, kind = self.highest
        height = max(1, height + self.chance.choice((-1, 0, 0, 0, 1)))
        round_ = max(0, round_ + self.chance.choice((-1, 0, 0, 1)))
        block_id = self.chance.choice((h("a"), h("b"), NIL))
        kind = self.chance.choice((1, PREVOTE, PRECOMMIT))
        if kind == 1:
            message: Proposal | Vote = Proposal(height, round_, h(block_id), NO_ROUND, 0)
        else:
            message = Vote(kind, height, round_, block_id, NO_ROUND, 0)
        try:
            made = self._sign(signer, message)
        except SigningRefused:
            return
        self._write_down(replace(made, signature=b""), made.sign_bytes(GENESIS, 0))

    def _sign(self, signer: Signer, message: Proposal | Vote) -> Proposal | Vote:
        record = self.chance.randbytes(8)
        if isinstance(message, Proposal):
            return signer.sign(message, set_id=0, record=record)
        return signer.sign(message, set_id=0, record=record)

    def _write_down(self, message: Proposal | Vote, signed: bytes) -> None:
        place = (message.height, message.round, message.kind)
        if self.signed.setdefault(place, signed) != signed:
            raise Forsworn(f"two signatures at {place}")
        if not self.disks.is_journaled("key", signed):
            raise Forsworn(f"signed at {place} before the journal was on the disk")
        self.highest = max(self.highest, place)
