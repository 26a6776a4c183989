"""A disk that is really full: refused cleanly, and gone on with when there is room again."""

import os
import subprocess
from random import Random

import pytest

from chain.errors import StorageError, StorageFull
from chain.wallet.errors import WalletError
from chain.wallet.keyring import Keyring
from tests.ordeal.life import Life, Memory, come_back, find_others, listening

DISK_BYTES = 24 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place, *, room):
    """Write a file that leaves so much room, and give it."""
    ballast = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_bsize
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - room)))
    return ballast


def live_again_and_again(home, memory, chance):
    """Start, decide a block, stop: each start wants room for itself, too."""
    with listening(memory):
        for _ in range(200):
            life = Life(home, memory, chance=chance, is_archive=True)
            try:
                life.catch_up()
                life.decide()
            finally:
                life.die()


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_validator_on_a_full_disk_stops_and_goes_on_with_room(small_disk, room):
    home, memory, chance = small_disk / "home", Memory(), Random(room)
    home.mkdir()
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=True)
        life.sync(iter(find_others(4)), 4, is_held=False)
        ballast = fill(small_disk, room=room)
        with pytest.raises(StorageError) as caught:  # noqa: PT012 - the block that finds no room
            for _ in range(4_000):
                life.decide()
                life.upkeep()
        life.die()
    assert isinstance(caught.value, StorageFull), caught.value
    assert "make room" in str(caught.value)
    with pytest.raises(StorageError):
        live_again_and_again(home, memory, chance)
    ballast.unlink()
    come_back(home, memory, chance=chance, is_archive=True)


def test_below_the_floor_blocks_are_refused_until_there_is_room(small_disk):
    home, memory, chance = small_disk / "home", Memory(), Random(1)
    home.mkdir()
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=True)
        life.chain.database._free_space_bytes_min = 8 << 20
        life.decide()
        ballast = fill(small_disk, room=4 << 20)
        height = life.chain.height
        with pytest.raises(StorageFull, match="make room"):
            life.decide()
        assert life.chain.height == height
        ballast.unlink()
        life.catch_up()
        life.decide()
        assert life.chain.height == height + 2
        life.close()
    come_back(home, memory, chance=chance, is_archive=True)


def test_a_key_is_not_half_saved_on_a_full_disk(small_disk):
    keyring = Keyring(small_disk / "wallet")
    keyring.save("ops", b"{}")
    ballast = fill(small_disk, room=0)
    with pytest.raises(WalletError, match="cannot be written"):
        keyring.save("more", bytes(20_000))
    assert keyring.names() == ["ops"]
    ballast.unlink()
    keyring.save("more", bytes(20_000))
    assert keyring.names() == ["more", "ops"]
