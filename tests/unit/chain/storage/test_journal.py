import os
import subprocess
import sys
from functools import partial

import pytest

from chain.errors import ConfigError, StorageError
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.journal import (
    COPY_BYTES,
    FILE_BYTES,
    PAYLOAD_BYTES_MAX,
    SLOT_BYTES,
    SigningJournal,
)
from tests.support.consensus import GENESIS, h

KEY = h("key")


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    durable.disarm()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sign.journal"
    SigningJournal.create(path, genesis_hash=GENESIS, public_key=KEY, payload=b"first")
    return path


def reopen(path, *, genesis=GENESIS, key=KEY):
    return SigningJournal.open(path, genesis_hash=genesis, public_key=key)


def write(path, *payloads):
    journal = reopen(path)
    for payload in payloads:
        journal.write(payload)
    journal.close()


def read(path):
    journal = reopen(path)
    journal.close()
    return journal.payload


def test_a_new_journal_has_its_payload_a_fixed_size_and_a_private_mode(path):
    assert read(path) == b"first"
    assert path.stat().st_size == FILE_BYTES == 131_072
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_last_payload_written_is_the_one_read(path):
    for count in range(1, 6):
        write(path, *(b"%d" % number for number in range(count)))
        assert read(path) == b"%d" % (count - 1)
    assert path.stat().st_size == FILE_BYTES


def test_slots_alternate_so_the_record_before_the_last_stays(path):
    write(path, b"second", b"third")
    with path.open("r+b") as file:
        file.seek(SLOT_BYTES)
        assert file.read(8) == b"GRSTsgn2"
        file.seek(SLOT_BYTES)
        file.write(bytes(SLOT_BYTES))
    assert read(path) == b"second"


def test_the_longest_payload_fits_and_a_longer_one_is_our_mistake(path):
    write(path, bytes(PAYLOAD_BYTES_MAX))
    assert read(path) == bytes(PAYLOAD_BYTES_MAX)
    journal = reopen(path)
    with pytest.raises(AssertionError, match="does not fit"):
        journal.write(bytes(PAYLOAD_BYTES_MAX + 1))
    journal.close()


def test_any_one_flipped_bit_is_survived_with_the_newest_payload(path):
    write(path, b"second", b"third")
    image = path.read_bytes()
    used = [
        offset + place
        for offset in range(0, FILE_BYTES, COPY_BYTES)
        for place in range(8 + 8 + 4 + 32 + 32 + 6 + 16)
    ]
    for place in used:
        for bit in range(8):
            changed = bytearray(image)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            assert read(path) == b"third", (place, bit)


def test_a_write_torn_at_any_byte_leaves_the_old_payload_or_the_new(path):
    write(path, b"second")
    before = path.read_bytes()
    write(path, b"third")
    after = path.read_bytes()
    places = [place for place in range(FILE_BYTES) if before[place] != after[place]]
    seen = set()
    for end in [*places, FILE_BYTES]:
        path.write_bytes(after[:end] + before[end:])
        seen.add(read(path))
    assert seen == {b"second", b"third"}


def test_a_write_whose_bytes_reached_the_disk_in_another_order_is_no_mixture(path):
    write(path, b"second")
    before = path.read_bytes()
    write(path, b"third")
    after = path.read_bytes()
    for start in range(0, FILE_BYTES, 512):
        mixed = before[:start] + after[start : start + 512] + before[start + 512 :]
        path.write_bytes(mixed)
        assert read(path) in (b"second", b"third")


@pytest.mark.parametrize("damage", [0, 0xFF])
def test_with_both_slots_damaged_the_journal_is_refused_with_a_remedy(path, damage):
    write(path, b"second")
    path.write_bytes(bytes([damage]) * FILE_BYTES)
    with pytest.raises(StorageError, match=r"damaged.*signer reset .*--i-understand"):
        reopen(path)


@pytest.mark.parametrize("size", [0, 1, SLOT_BYTES, FILE_BYTES - 1, FILE_BYTES + 1])
def test_a_journal_of_another_size_is_refused_with_a_remedy(path, size):
    os.truncate(path, size)
    with pytest.raises(StorageError, match="signer reset"):
        reopen(path)


def test_a_missing_journal_is_refused_with_a_remedy_and_not_made(path):
    path.unlink()
    with pytest.raises(ConfigError, match=r"missing.*signer reset"):
        reopen(path)
    assert not path.exists()


def test_an_existing_journal_is_never_overwritten(path):
    with pytest.raises(ConfigError, match="exists already"):
        SigningJournal.create(path, genesis_hash=GENESIS, public_key=KEY, payload=b"other")
    assert read(path) == b"first"


def test_a_journal_of_another_chain_or_key_is_refused(path):
    with pytest.raises(ConfigError, match="belongs to the chain"):
        reopen(path, genesis=h("another chain"))
    with pytest.raises(ConfigError, match="belongs to another key"):
        reopen(path, key=h("another key"))


@pytest.mark.parametrize("way", ["deleted", "replaced"])
def test_a_journal_that_is_gone_while_it_is_open_takes_no_more(path, way):
    journal = reopen(path)
    if way == "deleted":
        path.unlink()
    else:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        other.replace(path)
    with pytest.raises(StorageError, match=r"deleted or replaced.*signer reset"):
        journal.write(b"second")
    with pytest.raises(StorageError, match="restart"):
        journal.write(b"third")
    assert journal.payload == b"first"
    journal.close()


def test_a_journal_of_another_release_is_named_as_such_and_a_damaged_one_is_not(path):
    image = path.read_bytes()
    path.write_bytes(image.replace(b"GRSTsgn2", b"GRSTsgn1"))
    with pytest.raises(StorageError, match="layout of another release"):
        reopen(path)
    path.write_bytes(image.replace(b"first", b"worst"))
    with pytest.raises(StorageError, match="damaged"):
        reopen(path)


def test_a_journal_in_use_can_be_looked_at(path):
    journal = reopen(path)
    journal.write(b"second")
    look = partial(SigningJournal.peek, path, genesis_hash=GENESIS, public_key=KEY)
    assert look() == b"second"
    journal.write(b"third")
    assert look() == b"third"
    journal.close()
    path.unlink()
    with pytest.raises(ConfigError, match="missing"):
        look()


def test_a_symbolic_link_is_not_followed(path):
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(StorageError, match="cannot be opened"):
        reopen(link)


def test_a_second_opener_is_refused_while_the_first_lives(path):
    first = reopen(path)
    with pytest.raises(ConfigError, match="another process"):
        reopen(path)
    first.close()
    first.close()
    reopen(path).close()


def test_a_second_process_is_refused_while_the_first_lives(path):
    first = reopen(path)
    program = (
        "import sys; from pathlib import Path; from chain.storage.journal import SigningJournal\n"
        "from chain.errors import ConfigError\n"
        "try: SigningJournal.open(Path(sys.argv[1]), genesis_hash=bytes.fromhex(sys.argv[2]),"
        " public_key=bytes.fromhex(sys.argv[3]))\n"
        "except ConfigError: sys.exit(78)\n"
    )
    command = [sys.executable, "-c", program, str(path), GENESIS.hex(), KEY.hex()]
    assert subprocess.run(command, check=False).returncode == 78
    first.close()
    assert subprocess.run(command, check=False).returncode == 0


POINTS = ["journal.write.first", "journal.write.second", "journal.write.sync"]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_or_error_at_any_step_of_a_write_loses_nothing_that_was_durable(path, point, fault):
    write(path, b"second")
    journal = reopen(path)
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        journal.write(b"third")
    assert journal.payload == b"second"
    with pytest.raises(StorageError, match="restart"):
        journal.write(b"fourth")
    journal.close()
    assert read(path) in (b"second", b"third")
    write(path, b"fifth", b"sixth")
    assert read(path) == b"sixth"


ALLOCATION = ["journal.allocate", "journal.allocate.sync", "journal.allocate.directory"]


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC])
@pytest.mark.parametrize("point", ALLOCATION)
def test_a_journal_that_cannot_be_allocated_leaves_no_file(tmp_path, point, fault):
    durable.arm(point, fault)
    with pytest.raises(StorageError, match="cannot be made"):
        SigningJournal.create(
            tmp_path / "j", genesis_hash=GENESIS, public_key=KEY, payload=b"first"
        )
    assert list(tmp_path.iterdir()) == []
