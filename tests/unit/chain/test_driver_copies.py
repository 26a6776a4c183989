"""A key whose journal is not what it seems: put back or moved; and a node that is just back."""

from dataclasses import replace

import pytest
import trio

from chain.signer import Refusal, raise_floor
from consensus.types import NIL, PREVOTE
from tests.support.drivers import LISTEN_BLOCKS, PaperLedger, open_key
from tests.support.loops import play, until
from tests.support.seat import NOT_FIRST, Seat

pytestmark = pytest.mark.usefixtures("_on_the_loop")
OTHERS = tuple(index for index in range(4) if index != NOT_FIRST)


async def make_chain(tmp_path, blocks):
    """A chain whose commits have the signature of NOT_FIRST, made somewhere else."""
    seat = Seat(tmp_path, None)
    async with seat.running():
        await decide(seat, blocks, NOT_FIRST, *OTHERS[:2])
    return seat.ledger


async def decide(seat, blocks, *indices):
    for _ in range(blocks):
        height = seat.height
        await seat.decide(seat.block(), *indices)
        await until(lambda height=height: seat.driver.machine.height == height + 1)


@pytest.mark.parametrize("way", ["decisions", "block sync"])
def test_a_home_that_went_back_listens_once_the_chain_shows_its_own_signature(tmp_path, way):
    """Database and journal are equally old, so that at the start nothing speaks against signing."""

    async def scenario():
        chain = await make_chain(tmp_path, 3)
        seat = Seat(tmp_path)
        async with seat.running():
            if way == "decisions":
                for height in (1, 2, 3):
                    await seat.driver.hear_decision("p", chain.decision(height))
            else:
                async with seat.driver.suspended():
                    for height in (1, 2, 3):
                        await seat.ledger.adopt(chain.decision(height))
            assert seat.driver.machine.height == 4
            assert seat.signer.is_listening
            assert seat.signer.floor == (4, 0, 0)
            await seat.come_near()
            await seat.propose(seat.block())
            await trio.sleep(3)
            assert seat.voices.votes() == []
            assert Refusal.DOPPELGANGER in seat.driver.gate.reasons

    play(scenario)


def test_a_chain_that_others_decided_alone_makes_nobody_listen(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            await decide(seat, 2, *OTHERS)
            assert not seat.signer.is_listening

    play(scenario)


def test_a_node_that_is_just_back_hears_its_own_vote_before_it_signs_another(tmp_path):
    """The journal was put back within a height: no commit tells, but a peer has the vote."""

    async def scenario():
        chain = await make_chain(tmp_path, 1)
        old = Seat(tmp_path, ledger=chain)
        raise_to(old.signer, 1)
        async with old.running():
            await old.propose(old.block())
            await trio.sleep(0.5)
            assert Refusal.HEARING in old.driver.gate.reasons
            assert old.voices.votes() == []
            await old.cast(PREVOTE, NIL, NOT_FIRST)
            await trio.sleep(3)
            assert old.voices.votes() == []
            assert old.signer.is_listening

    play(scenario)


def test_a_node_that_is_just_back_signs_after_a_moment_when_nothing_came(tmp_path):
    async def scenario():
        chain = await make_chain(tmp_path, 1)
        seat = Seat(tmp_path, ledger=chain)
        raise_to(seat.signer, 1)
        async with seat.running():
            await seat.propose(seat.block())
            await trio.sleep(3)
            assert [vote.kind for vote in seat.voices.votes()][:1] == [PREVOTE]

    play(scenario)


def raise_to(key, height):
    """Let a key have signed the precommit of a height."""
    state = raise_floor(key._state, (height, 9, 3), 1)
    key._write(replace(state, listen_blocks=0, place=key._place))


def test_a_key_that_was_moved_listens_and_then_signs(tmp_path, monkeypatch):
    async def scenario():
        key = open_key(tmp_path / "key", NOT_FIRST)
        key._place = b"another computer"
        raise_to(key, 0)
        key.close()
        monkeypatch.setattr("chain.signer.find_place", lambda _key: b"this computer ..")
        seat = Seat(tmp_path, ledger=PaperLedger())
        async with seat.running():
            assert Refusal.MOVED in seat.driver.gate.reasons
            assert seat.signer.is_listening
            await decide(seat, LISTEN_BLOCKS + 1, *OTHERS)
            assert not seat.signer.is_moved
            await seat.come_near()
            await seat.propose(seat.block())
            await until(lambda: bool(seat.voices.votes()))

    play(scenario)
