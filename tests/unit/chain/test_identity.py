import pytest

from chain.errors import ConfigError, StorageError
from chain.identity import create_identity, reset_journal
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.signer import JOURNAL_FILE, SigningRefused, open_signer
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from consensus.types import NO_ROUND, PREVOTE, Vote
from tests.support.consensus import GENESIS, h

KEYS = ValidatorKeys(h("account"), h("consensus"), h("vrf"))


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    durable.disarm()


@pytest.fixture
def directory(tmp_path):
    create_identity(tmp_path, KEYS, GENESIS)
    return tmp_path


def sign_at(directory, height, round_=0):
    signer = open_signer(directory, GENESIS)
    try:
        vote = Vote(PREVOTE, height, round_, h("v"), NO_ROUND, 0)
        signer.sign(vote, set_id=0, record=b"record")
    finally:
        signer.close()


def state(directory):
    signer = open_signer(directory, GENESIS)
    signer.close()
    return signer.floor, signer.is_listening


def test_a_key_is_made_with_its_journal_and_signs_at_once(directory):
    assert state(directory) == ((0, 0, 0), False)
    sign_at(directory, 1)
    assert load_keys(directory / KEY_FILE) == KEYS


def test_a_second_identity_in_one_place_is_refused(directory):
    with pytest.raises(ConfigError, match="never overwritten"):
        create_identity(directory, KEYS, GENESIS)


CREATION = [
    "journal.allocate", "journal.allocate.sync", "journal.allocate.directory", "keyfile.write",
    "keyfile.write.sync", "keyfile.name", "keyfile.name.sync",
]  # fmt: skip


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("point", CREATION)
def test_a_crash_never_leaves_a_key_without_a_journal(tmp_path, point, fault):
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        create_identity(tmp_path, KEYS, GENESIS)
    has_key, has_journal = ((tmp_path / name).exists() for name in (KEY_FILE, JOURNAL_FILE))
    assert has_journal or not has_key
    if not has_key:
        create_identity(tmp_path, KEYS, GENESIS)
    sign_at(tmp_path, 1)


def test_a_journal_that_has_signed_is_not_taken_over_by_a_new_key_file(directory):
    sign_at(directory, 5)
    (directory / KEY_FILE).unlink()
    with pytest.raises(ConfigError, match="has signed"):
        create_identity(directory, KEYS, GENESIS)


def test_a_key_without_its_journal_does_not_sign(directory):
    (directory / JOURNAL_FILE).unlink()
    with pytest.raises(ConfigError, match="signer reset"):
        open_signer(directory, GENESIS)


def test_a_reset_needs_the_operators_word(directory):
    with pytest.raises(ConfigError, match="--i-understand"):
        reset_journal(directory, GENESIS, tip_height=7, listen_blocks=40, is_understood=False)
    assert state(directory) == ((0, 0, 0), False)


def reset(directory, tip_height=7):
    reset_journal(directory, GENESIS, tip_height=tip_height, listen_blocks=40, is_understood=True)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_reset_journal_starts_two_heights_above_the_tip_and_listens(directory, damage):
    path = directory / JOURNAL_FILE
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(bytes(path.stat().st_size))
    reset(directory)
    assert state(directory) == ((9, 0, 0), True)
    with pytest.raises(SigningRefused, match="listens"):
        sign_at(directory, 100)


def test_a_reset_never_lowers_the_floor_of_an_intact_journal(directory):
    sign_at(directory, 50)
    reset(directory)
    assert state(directory) == ((50, 0, PREVOTE), True)
    assert (directory / f"{JOURNAL_FILE}.old-1").exists()
    reset(directory)
    assert state(directory)[0] == (50, 0, PREVOTE)
    assert (directory / f"{JOURNAL_FILE}.old-2").exists()


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.EIO])
@pytest.mark.parametrize(
    "point", ["journal.aside", "journal.aside.directory", "journal.allocate.sync"]
)
def test_a_reset_that_crashed_and_is_repeated_keeps_the_floor(directory, point, fault):
    sign_at(directory, 50)
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        reset(directory)
    reset(directory)
    assert state(directory) == ((50, 0, PREVOTE), True)


def test_a_reset_is_refused_while_the_node_runs(directory):
    signer = open_signer(directory, GENESIS)
    with pytest.raises(ConfigError, match="another process"):
        reset(directory)
    signer.close()
