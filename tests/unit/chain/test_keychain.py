import pytest

from chain.errors import ConfigError
from chain.identity import create_identity
from chain.keychain import KEYS_MAX, Keychain, find_key_directories, next_key_directory
from chain.keyfile import KEY_FILE, ValidatorKeys
from chain.log import silent_log
from chain.seams import SystemClock
from chain.signer import GateView, Refusal, SigningRefused
from consensus.types import NIL, NO_ROUND, PREVOTE, Validator, ValidatorSet, Vote
from tests.support.consensus import GENESIS, h

ACCOUNT = h("account")
FIRST, SECOND = (ValidatorKeys(ACCOUNT, h(f"vote {n}"), h(f"vrf {n}")) for n in (1, 2))
STRANGER = ValidatorKeys(h("stranger"), h("vote 9"), h("vrf 9"))


def make_set(*keys, set_id=1):
    members = [Validator(key.account, key.consensus_key, key.vrf_key, 1) for key in keys]
    return ValidatorSet(set_id, tuple(sorted(members, key=lambda member: member.account)))


def vote_at(height, index):
    return Vote(PREVOTE, height, 0, NIL, NO_ROUND, index)


@pytest.fixture
def base(tmp_path):
    directory = tmp_path / "keys"
    directory.mkdir()
    return directory


def add_key(base, keys):
    directory = next_key_directory(base)
    directory.mkdir(exist_ok=True)
    create_identity(directory, keys, GENESIS)


@pytest.fixture
def opened():
    chains = []

    def open_chain(base):
        chains.append(Keychain(base, GENESIS, silent_log(SystemClock())))
        return chains[-1]

    yield open_chain
    for chain in chains:
        chain.close()


def test_a_node_without_a_key_takes_up_the_first_that_is_made(base, opened):
    keys = opened(base)
    assert not keys
    assert keys.consensus_key == b""
    assert keys.choose(make_set(FIRST)) is None
    assert keys.refusals(None) == (Refusal.NOT_A_VALIDATOR,)
    with pytest.raises(SigningRefused):
        keys.sign(vote_at(1, 0), set_id=1, record=b"")
    add_key(base, FIRST)
    validators = make_set(FIRST, STRANGER)
    index = keys.choose(validators)
    assert validators[index].account == ACCOUNT
    signed = keys.sign(vote_at(1, index), set_id=1, record=b"r")
    assert signed.verify(validators, GENESIS)
    assert keys.floor == (1, 0, PREVOTE)


def test_the_set_decides_which_key_signs_and_each_keeps_its_own_floor(base, opened):
    add_key(base, FIRST)
    keys = opened(base)
    before, after = make_set(FIRST, STRANGER), make_set(SECOND, STRANGER, set_id=2)
    index = keys.choose(before)
    keys.sign(vote_at(7, index), set_id=1, record=b"seven")
    add_key(base, SECOND)
    assert keys.choose(before) == index
    assert (keys.consensus_key, keys.record) == (FIRST.consensus_key, b"seven")
    index = keys.choose(after)
    assert (keys.consensus_key, keys.floor, keys.record) == (SECOND.consensus_key, (0, 0, 0), b"")
    assert keys.sign(vote_at(8, index), set_id=2, record=b"").verify(after, GENESIS)
    assert keys.choose(before) is not None
    assert keys.floor == (7, 0, PREVOTE)
    with pytest.raises(SigningRefused):
        keys.sign(vote_at(6, index), set_id=1, record=b"")


def test_a_key_that_left_the_set_stays_and_does_not_sign(base, opened):
    add_key(base, FIRST)
    keys = opened(base)
    outside = make_set(STRANGER)
    assert keys.choose(outside) is None
    view = GateView(1, outside, (), False, False, True, True)
    assert Refusal.NOT_A_VALIDATOR in keys.refusals(view)


def test_all_keys_are_there_again_after_a_restart(base, opened):
    for one in (FIRST, SECOND):
        add_key(base, one)
    keys = opened(base)
    assert len(keys) == 2
    keys.choose(make_set(SECOND))
    assert keys.consensus_key == SECOND.consensus_key
    keys.choose(make_set(FIRST))
    assert keys.consensus_key == FIRST.consensus_key


def test_a_new_key_that_cannot_be_opened_does_not_stop_the_old_one(base, opened):
    add_key(base, FIRST)
    keys = opened(base)
    directory = next_key_directory(base)
    directory.mkdir()
    (directory / KEY_FILE).write_text("nonsense")
    (directory / KEY_FILE).chmod(0o600)
    for _ in range(2):
        assert keys.choose(make_set(FIRST)) == 0
    assert len(keys) == 1


def test_a_vote_of_any_of_the_keys_by_somebody_else_makes_that_key_listen(base, opened):
    for one in (FIRST, SECOND):
        add_key(base, one)
    keys = opened(base)
    validators = make_set(SECOND)
    keys.choose(make_set(FIRST))
    assert keys.on_vote(vote_at(5, 0), validators)
    keys.listen(listen_blocks=4)
    keys.choose(validators)
    view = GateView(9, validators, (), False, False, True, True)
    assert Refusal.LISTENING in keys.refusals(view)
    keys.choose(make_set(FIRST))
    assert Refusal.LISTENING not in keys.refusals(view)


def test_a_key_is_open_in_one_process_only(base, opened):
    add_key(base, FIRST)
    opened(base)
    with pytest.raises(ConfigError):
        opened(base)


def test_directories_are_numbered_without_a_gap_and_bounded(base):
    assert next_key_directory(base) == base
    for number in range(1, KEYS_MAX + 1):
        directory = next_key_directory(base)
        assert directory == (base if number == 1 else base / str(number))
        directory.mkdir(exist_ok=True)
        (directory / KEY_FILE).touch()
    assert len(find_key_directories(base)) == KEYS_MAX
    with pytest.raises(ConfigError, match="256 keys"):
        next_key_directory(base)
    (base / "2" / KEY_FILE).unlink()
    assert find_key_directories(base) == [base]
