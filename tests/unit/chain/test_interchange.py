"""How far keys have signed, as a file: carried, refused, merged; and journals that were moved."""

import json

import pytest

from chain import interchange
from chain.errors import ConfigError
from chain.identity import create_identity
from chain.interchange import (
    INTERCHANGE_BYTES_MAX,
    Imported,
    adopt_journals,
    export_interchange,
    import_interchange,
    inspect_signers,
)
from chain.keyfile import ValidatorKeys
from chain.place import UNKNOWN, find_place
from chain.signer import SigningRefused, open_signer
from consensus.types import NO_ROUND, PRECOMMIT, PREVOTE, Vote
from tests.support.consensus import GENESIS, h

KEYS = ValidatorKeys(h("account"), h("consensus"), h("vrf"))
SECOND = ValidatorKeys(h("account"), h("another consensus"), h("another vrf"))
ONE, TWO = KEYS.consensus_key, SECOND.consensus_key
LISTEN = 40


@pytest.fixture
def base(tmp_path):
    """A key directory with two keys, as after one rotation."""
    return make_home(tmp_path / "here")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Change the computer that the signer believes to be on."""
    name = tmp_path / "machine-id"

    def be(digits):
        name.write_text(digits * 32 + "\n")

    def place(key):
        return find_place(key, files=(name,))

    monkeypatch.setattr("chain.signer.find_place", place)
    monkeypatch.setattr(interchange, "find_place", place)
    be("a")
    return be


def make_home(base):
    for directory, keys in ((base, KEYS), (base / "2", SECOND)):
        directory.mkdir()
        create_identity(directory, keys, GENESIS)
    return base


def sign_at(directory, height, round_=0, kind=PREVOTE, block_id=None):
    signer = open_signer(directory, GENESIS)
    try:
        vote = Vote(kind, height, round_, block_id or h("v"), NO_ROUND, 0)
        signer.sign(vote, set_id=0, record=b"record")
    finally:
        signer.close()


def states(base):
    return [(one.state.floor, one.state.listen_blocks) for one in inspect_signers(base, GENESIS)]


def read(base):
    return json.loads(export_interchange(base, GENESIS))


def take(base, content):
    text = content if isinstance(content, str) else json.dumps(content)
    return import_interchange(base, GENESIS, text, listen_blocks=LISTEN)


def entry(key, height, round_=0, kind=PREVOTE):
    return {"consensus_key": key.hex(), "height": height, "round": round_, "kind": kind}


def content_of(*entries):
    return {"gristmill_interchange": 2, "genesis_hash": GENESIS.hex(), "keys": list(entries)}


def test_a_file_carries_the_floor_of_every_key_and_no_secret(base, tmp_path):
    sign_at(base, 50, 3)
    sign_at(base / "2", 70, kind=PRECOMMIT)
    text = export_interchange(base, GENESIS)
    assert json.loads(text) == content_of(entry(ONE, 50, 3), entry(TWO, 70, kind=PRECOMMIT))
    for keys in (KEYS, SECOND):
        assert keys.consensus_seed.hex() not in text
        assert keys.vrf_seed.hex() not in text
    other = make_home(tmp_path / "other")
    assert take(other, text) == Imported((ONE, TWO), (), ())
    assert states(other) == [((50, 3, PREVOTE), LISTEN), ((70, 0, PRECOMMIT), LISTEN)]
    with pytest.raises(SigningRefused, match="listens"):
        sign_at(other, 100)


def test_taking_over_may_only_raise_the_floor(base):
    sign_at(base, 50)
    old = read(base)
    sign_at(base, 60)
    assert take(base, old) == Imported((), (ONE, TWO), ())
    assert states(base) == [((60, 0, PREVOTE), 0), ((0, 0, 0), 0)]
    sign_at(base, 60)
    assert take(base, content_of(entry(ONE, 60, 0, PRECOMMIT))) == Imported((ONE,), (), ())
    assert take(base, content_of(entry(ONE, 60, 0, PRECOMMIT))) == Imported((), (ONE,), ())


def test_of_several_entries_of_a_key_the_highest_counts_in_any_order(base, tmp_path):
    for number, heights in enumerate(((5, 9, 7), (9, 5), (5, 5, 9))):
        home = make_home(tmp_path / str(number))
        assert take(home, content_of(*(entry(ONE, height) for height in heights))).raised == (ONE,)
        assert states(home)[0] == ((9, 0, PREVOTE), LISTEN)


def test_keys_of_others_are_named_and_a_file_of_theirs_alone_is_refused(base):
    stranger = h("stranger")
    done = take(base, content_of(entry(stranger, 9), entry(TWO, 9)))
    assert done == Imported((TWO,), (), (stranger,))
    assert states(base)[0] == ((0, 0, 0), 0)
    with pytest.raises(ConfigError, match="other keys"):
        take(base, content_of(entry(stranger, 9)))


@pytest.mark.parametrize(
    "change",
    [
        {"gristmill_interchange": 1}, {"genesis_hash": "00" * 32}, {"more": 1}, {"keys": []},
        {"keys": {}}, {"keys": [entry(ONE, 9)] * 257}, {"keys": [7]},
        {"keys": [entry(ONE, 99), {"consensus_key": TWO.hex(), "height": 1, "round": 0}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_or_foreign_file_changes_nothing(base, change):
    with pytest.raises(ConfigError):
        take(base, content_of(entry(ONE, 99)) | change)
    assert states(base) == [((0, 0, 0), 0)] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"consensus_key": "00"}, {"consensus_key": 7}, {"consensus_key": ONE.hex().upper()},
        {"consensus_key": " " + ONE.hex()}, {"height": -1}, {"height": 1 << 64}, {"height": True},
        {"height": 5.0}, {"round": "1"}, {"round": 1 << 32}, {"kind": 4}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_one_malformed_entry_spoils_the_file(base, change):
    with pytest.raises(ConfigError):
        take(base, content_of(entry(ONE, 99), entry(ONE, 99) | change))
    assert states(base) == [((0, 0, 0), 0)] * 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[" * 20_000, " " * (INTERCHANGE_BYTES_MAX + 1), '{"keys": 1, "keys": 2}'],
    ids=lambda text: text[:12],
)
def test_a_file_of_something_else_is_no_interchange_file(base, text):
    with pytest.raises(ConfigError, match="not an interchange file"):
        take(base, text)


def test_a_running_validator_is_looked_at_and_not_changed(base):
    sign_at(base, 50)
    text = export_interchange(base, GENESIS)
    signer = open_signer(base, GENESIS)
    assert states(base)[0] == ((50, 0, PREVOTE), 0)
    for change in (
        lambda: export_interchange(base, GENESIS),
        lambda: take(base, text),
        lambda: adopt_journals(base, GENESIS, is_understood=True),
    ):
        with pytest.raises(ConfigError, match="another process"):
            change()
    signer.close()


def test_one_key_in_use_keeps_a_file_from_raising_the_others(base):
    second = open_signer(base / "2", GENESIS)
    with pytest.raises(ConfigError, match="another process"):
        take(base, content_of(entry(ONE, 9), entry(TWO, 9)))
    second.close()
    assert states(base) == [((0, 0, 0), 0)] * 2


def test_a_home_without_a_key_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no validator key"):
        export_interchange(tmp_path, GENESIS)


# ---- journals that were moved


def test_a_journal_of_another_computer_makes_its_key_listen_across_restarts(base, machine):
    sign_at(base, 50)
    sign_at(base, 51)
    machine("b")
    with pytest.raises(SigningRefused, match="listens"):
        sign_at(base, 52)
    signer = open_signer(base, GENESIS)
    assert signer.is_moved
    assert signer.begin(listen_blocks=LISTEN)
    signer.close()
    again = open_signer(base, GENESIS)
    assert again.begin(listen_blocks=LISTEN)
    assert again.is_listening
    again.on_tip(60)
    again.on_tip(60 + LISTEN - 1)
    assert again.is_moved
    again.on_tip(60 + LISTEN)
    assert not again.is_moved
    again.close()
    sign_at(base, 60 + LISTEN + 1)
    with pytest.raises(SigningRefused):
        sign_at(base, 50, block_id=h("other"))


def test_keys_that_never_signed_may_be_made_elsewhere(base, machine):
    machine("b")
    sign_at(base, 1)
    machine("c")
    with pytest.raises(SigningRefused):
        sign_at(base, 2)


def test_a_system_without_a_name_moves_nothing(base, machine, tmp_path):
    sign_at(base, 50)
    (tmp_path / "machine-id").write_text("short\n")
    sign_at(base, 51)
    assert find_place(ONE, files=(tmp_path / "none",)) == UNKNOWN


def test_a_place_is_another_for_another_key_or_computer(machine, tmp_path):
    files = (tmp_path / "machine-id",)
    places = {find_place(ONE, files=files), find_place(TWO, files=files)}
    machine("b")
    places |= {find_place(ONE, files=files), find_place(TWO, files=files)}
    assert len(places) == 4
    assert all(len(place) == 16 for place in places)


def test_a_moved_journal_is_adopted_by_somebody_who_understands(base, machine):
    sign_at(base, 50)
    machine("b")
    with pytest.raises(ConfigError, match="--i-understand"):
        adopt_journals(base, GENESIS, is_understood=False)
    assert adopt_journals(base, GENESIS, is_understood=True) == (ONE,)
    assert adopt_journals(base, GENESIS, is_understood=True) == ()
    with pytest.raises(SigningRefused, match="signs nothing else"):
        sign_at(base, 50, block_id=h("other"))
    sign_at(base, 50)
    sign_at(base, 51)


def test_adopting_frees_no_key_that_listens_for_what_it_heard_here(base, machine):
    sign_at(base, 50)
    assert take(base, content_of(entry(ONE, 99))).raised == (ONE,)
    assert adopt_journals(base, GENESIS, is_understood=True) == ()
    assert states(base)[0] == ((99, 0, PREVOTE), LISTEN)
