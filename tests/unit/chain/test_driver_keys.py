"""Keys that come or change while a driver runs: no key signs in the name of another."""

import pytest
import trio

from chain.identity import create_identity
from chain.keychain import Keychain, next_key_directory
from chain.keyfile import ValidatorKeys
from chain.log import silent_log
from chain.signer import Refusal
from consensus.signbytes import status_bytes
from consensus.types import NIL, PREVOTE
from ext import signing
from tests.support.consensus import GENESIS, consensus_seed, team_of, vrf_seed
from tests.support.drivers import TEAM, MovedClock, PaperLedger, Recorder, make_driver
from tests.support.loops import play, until
from tests.support.seat import NOT_FIRST, Seat

pytestmark = pytest.mark.usefixtures("_on_the_loop")

OWN = TEAM.numbers[NOT_FIRST]
"""Number of the validator that sits here."""

ROTATED = 9
"""Number of the keys that follow it."""

LATER = team_of(dict.fromkeys([*(n for n in TEAM.numbers if n != OWN), ROTATED], 1), set_id=1)
"""The set in which the other key acts."""


class RotatingLedger(PaperLedger):
    """A chain whose set changes at its second height."""

    def validators_at(self, height):
        known = super().validators_at(height)
        return LATER.validators if known is not None and height > 1 else known


class SlowRecorder(Recorder):
    """Peers that take evidence slowly."""

    async def send_evidence(self, evidence):
        await trio.sleep(2)
        await super().send_evidence(evidence)


class KeychainSeat(Seat):
    """A driver with a directory of keys, none at first."""

    def __init__(self, tmp_path, *, ledger=None, numbers=()):
        super().__init__(tmp_path, None, ledger=ledger)
        self.base = tmp_path / "keys"
        self.base.mkdir()
        for number in numbers:
            self.add_key(number)
        self.signer = Keychain(self.base, GENESIS, silent_log(MovedClock()))
        self.voices = SlowRecorder(None)
        self.driver = make_driver(self.ledger, self.voices, self.signer, decided=self.decided)

    def add_key(self, number):
        """Put keys into the directory, with a journal that knows nothing."""
        directory = next_key_directory(self.base)
        directory.mkdir(exist_ok=True)
        account = TEAM.validators[TEAM.numbers.index(OWN)].account
        keys = ValidatorKeys(account, consensus_seed(number), vrf_seed(number))
        create_identity(directory, keys, GENESIS)


def test_a_key_that_comes_while_the_node_runs_is_held_against_the_last_commits(tmp_path):
    """Somebody copied it in with an old journal, and the machine that it came from still signs."""

    async def scenario():
        seat = KeychainSeat(tmp_path)
        async with seat.running():
            for _ in range(3):
                await seat.decide(seat.block(), 0, 1, 2, 3)
                await until(lambda: seat.driver.machine.height == seat.height)
            seat.add_key(OWN)
            await seat.decide(seat.block(), 0, 1, 2, 3)
            await until(lambda: seat.driver.machine.index == NOT_FIRST)
            seat.driver.gate.is_open(seat.driver.machine)
            assert Refusal.DOPPELGANGER in seat.driver.gate.reasons
            assert Refusal.LISTENING in seat.driver.gate.reasons
            await seat.propose(seat.block())
            await trio.sleep(1)
            assert seat.voices.said == []

    play(scenario)


def test_a_new_key_that_nobody_used_signs_from_its_first_height_on(tmp_path):
    async def scenario():
        seat = KeychainSeat(tmp_path)
        three = [index for index in range(4) if index != NOT_FIRST]
        async with seat.running():
            seat.add_key(OWN)
            await seat.decide(seat.block(), *three)
            await until(lambda: seat.driver.machine.index == NOT_FIRST)
            await seat.come_near()
            await seat.propose(seat.block())
            assert [vote.index for vote in await seat.wait_for_votes(1)] == [NOT_FIRST]

    play(scenario)


def test_no_claim_is_signed_with_the_key_of_the_next_height(tmp_path):
    """Evidence is told between two heights, and claims are made meanwhile."""

    async def scenario():
        seat = KeychainSeat(tmp_path, ledger=RotatingLedger(), numbers=(OWN, ROTATED))
        one, *others = [index for index in range(4) if index != NOT_FIRST]
        async with seat.running():
            block = seat.block()
            await seat.cast(PREVOTE, NIL, one)
            await seat.decide(block, one, *others)
            await until(lambda: seat.driver.machine.height == 2)
            await trio.sleep(1)
            assert len(seat.ledger.evidence) == 1
        for claim in seat.voices.claims:
            key = seat.ledger.validators_at(claim.height)[claim.index].consensus_key
            signed = status_bytes(
                genesis_hash=GENESIS, peer=claim.peer.encode(), height=claim.height,
                time_ms=claim.time_ms,
            )  # fmt: skip
            assert signing.verify(key, signed, claim.signature), claim.height
        assert {claim.height for claim in seat.voices.claims} == {1, 2}

    play(scenario)
