from dataclasses import replace

import pytest

from chain.errors import ConfigError, StorageError
from chain.identity import create_identity
from chain.keyfile import ValidatorKeys
from chain.signer import (
    DOPPELGANGER_COMMITS,
    SIGNED_MAX,
    GateView,
    PeerHeight,
    Refusal,
    SigningRefused,
    decide_gate,
    find_doppelganger,
    open_signer,
)
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from consensus import beacon
from consensus.signbytes import status_bytes
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Proposal, Vote
from ext import signing
from tests.support.consensus import GENESIS, consensus_seed, h, make_team, vrf_seed

TEAM = make_team([1, 1, 1, 1])
OWN = 0
NUMBER = TEAM.numbers[OWN]
KEYS = ValidatorKeys(TEAM.validators[OWN].account, consensus_seed(NUMBER), vrf_seed(NUMBER))
VALUE = h("v")
SET_ID = TEAM.validators.set_id


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    durable.disarm()


@pytest.fixture
def directory(tmp_path):
    create_identity(tmp_path, KEYS, GENESIS)
    return tmp_path


@pytest.fixture
def signer(directory):
    signer = open_signer(directory, GENESIS)
    yield signer
    signer.close()


def restart(signer, directory):
    signer.close()
    return open_signer(directory, GENESIS)


def vote(height, round_, kind=PREVOTE, block_id=VALUE):
    return Vote(kind, height, round_, block_id, NO_ROUND, OWN)


def sign(signer, message, record=b"record"):
    return signer.sign(message, set_id=SET_ID, record=record)


def test_a_signature_verifies_and_the_record_is_durable_with_it(signer, directory):
    signed = sign(signer, vote(1, 0), b"the machine's record")
    assert signed.verify(TEAM.validators, GENESIS)
    again = restart(signer, directory)
    assert (again.floor, again.record) == ((1, 0, PREVOTE), b"the machine's record")
    again.close()


def test_positions_ascend_by_height_then_round_then_step(signer):
    ascending = [
        Proposal(3, 0, h("v"), NO_ROUND, OWN), vote(3, 0), vote(3, 0, PRECOMMIT), vote(3, 2),
        Proposal(3, 3, h("v"), 1, OWN), vote(4, 0, PRECOMMIT), vote(5, 0),
    ]  # fmt: skip
    for message in ascending:
        assert sign(signer, message).verify(TEAM.validators, GENESIS)
    for message in ascending[:5]:
        with pytest.raises(SigningRefused, match="signs nothing else"):
            sign(signer, replace(message, block_id=NIL))


@pytest.mark.parametrize(
    "change", [{"block_id": NIL}, {"block_id": h("w")}, {"valid_round": 1}], ids=str
)
def test_another_message_at_the_same_position_is_refused_before_and_after_a_restart(
    signer, directory, change
):
    first = vote(3, 2)
    sign(signer, first)
    with pytest.raises(SigningRefused):
        sign(signer, replace(first, **change))
    again = restart(signer, directory)
    with pytest.raises(SigningRefused):
        sign(again, replace(first, **change))
    again.close()


def test_another_set_id_is_another_message(signer):
    sign(signer, vote(3, 2))
    with pytest.raises(SigningRefused):
        signer.sign(vote(3, 2), set_id=SET_ID + 1, record=b"")


def test_the_same_message_gets_the_same_signature_again_even_after_later_ones(signer, directory):
    messages = [Proposal(3, 0, h("v"), NO_ROUND, OWN), vote(3, 0), vote(3, 0, PRECOMMIT)]
    signatures = [sign(signer, message).signature for message in messages]
    again = restart(signer, directory)
    assert [sign(again, message).signature for message in messages] == signatures
    assert again.floor == (3, 0, PRECOMMIT)
    again.close()


def test_signing_the_same_again_with_the_same_record_writes_nothing(signer):
    sign(signer, vote(3, 0))
    sequence = signer._journal.sequence
    sign(signer, vote(3, 0))
    assert signer._journal.sequence == sequence
    sign(signer, vote(3, 0), b"a newer record")
    assert (signer._journal.sequence, signer.record) == (sequence + 1, b"a newer record")


def test_messages_of_an_earlier_height_are_not_signed_again(signer):
    sign(signer, vote(3, 0))
    sign(signer, vote(4, 0))
    with pytest.raises(SigningRefused):
        sign(signer, vote(3, 0))


def test_the_own_messages_that_can_be_signed_again_are_bounded(signer):
    for round_ in range(SIGNED_MAX + 2):
        sign(signer, vote(3, round_))
    sign(signer, vote(3, 2))
    for round_ in (0, 1):
        with pytest.raises(SigningRefused):
            sign(signer, vote(3, round_))


POINTS = ["journal.write.first", "journal.write.second", "journal.write.sync"]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("point", POINTS)
def test_no_signature_exists_when_the_journal_write_does_not_return(
    signer, directory, monkeypatch, point, fault
):
    made = []
    real = signing.sign
    monkeypatch.setattr(signing, "sign", lambda *args: made.append(args) or real(*args))
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        sign(signer, vote(3, 0))
    assert made == []
    again = restart(signer, directory)
    assert again.floor in ((0, 0, 0), (3, 0, PREVOTE))
    if again.floor == (3, 0, PREVOTE):
        with pytest.raises(SigningRefused):
            sign(again, vote(3, 0, block_id=NIL))
    again.close()


def test_a_key_used_by_one_process_is_refused_to_another(signer, directory):
    with pytest.raises(ConfigError, match="another process"):
        open_signer(directory, GENESIS)


def test_saving_a_record_keeps_the_floor(signer, directory):
    sign(signer, vote(3, 0))
    signer.save(b"a polka came late")
    again = restart(signer, directory)
    assert (again.floor, again.record) == ((3, 0, PREVOTE), b"a polka came late")
    assert sign(again, vote(3, 0)).verify(TEAM.validators, GENESIS)
    again.close()


def test_the_vrf_proof_is_the_one_of_the_header_and_needs_no_round(signer):
    proof = signer.prove_vrf(randomness=h("R"), height=7)
    assert beacon.verify_proof(
        vrf_key=KEYS.vrf_key, proof=proof, genesis_hash=GENESIS, randomness=h("R"), height=7
    )


def test_a_status_is_signed_and_is_no_vote(signer):
    signature = signer.sign_status(peer=b"peer", height=7, time_ms=9)
    statement = status_bytes(genesis_hash=GENESIS, peer=b"peer", height=7, time_ms=9)
    assert signing.verify(KEYS.consensus_key, statement, signature)
    assert signer.floor == (0, 0, 0)


# ---- the gate


def view(**changes):
    fields = {
        "height": 10, "validators": TEAM.validators,
        "peers": (PeerHeight(1, 10), PeerHeight(2, 10), PeerHeight(3, 10)), "is_syncing": False,
        "is_commit_known": False, "is_finality_covered": True, "is_state_restored": True,
    }  # fmt: skip
    return GateView(**fields | changes)


def gate(
    given=None,
    *,
    key=KEYS.consensus_key,
    floor=(9, 0, 3),
    listening=False,
    double=None,
    moved=False,
):
    return decide_gate(
        view() if given is None else given, consensus_key=key, floor=floor,
        is_listening=listening, doppelganger_height=double, is_moved=moved,
    )  # fmt: skip


def test_the_gate_is_open_when_nothing_speaks_against_it():
    assert gate() == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_syncing": True}, Refusal.SYNCING),
        ({"is_commit_known": True}, Refusal.COMMIT_KNOWN),
        ({"is_finality_covered": False}, Refusal.BEHIND_FINALITY),
        ({"height": 8, "peers": tuple(PeerHeight(i, 8) for i in range(4))}, Refusal.BEHIND_JOURNAL),
        ({"peers": ()}, Refusal.NO_QUORUM_NEAR),
    ],
    ids=lambda value: value.name if isinstance(value, Refusal) else "",
)
def test_each_thing_that_speaks_against_signing_shuts_the_gate_alone(changes, reason):
    assert gate(view(**changes)) == (reason,)


def test_the_other_reasons_shut_the_gate_alone_too():
    assert gate(listening=True) == (Refusal.LISTENING,)
    assert gate(double=5) == (Refusal.DOPPELGANGER,)
    assert gate(moved=True) == (Refusal.MOVED,)
    all_four = tuple(PeerHeight(index, 10) for index in range(4))
    assert gate(view(peers=all_four), key=h("nobody")) == (Refusal.NOT_A_VALIDATOR,)


def test_a_height_we_signed_at_needs_the_restored_state_of_the_machine():
    lost = view(is_state_restored=False)
    assert gate(lost) == ()
    assert gate(lost, floor=(10, 0, 2)) == (Refusal.STATE_LOST,)
    assert gate(view(), floor=(10, 4, 2)) == ()
    assert gate(view(), floor=(11, 0, 0)) == (Refusal.BEHIND_JOURNAL,)


@pytest.mark.parametrize(
    ("heights", "is_open"),
    [
        ((10, 10), True), ((9, 11), True), ((10,), False), ((10, 12), False), ((8, 10), False),
        ((10, 12, 10), True),
    ],
)  # fmt: skip
def test_two_thirds_must_be_within_one_height_of_ours(heights, is_open):
    peers = tuple(PeerHeight(index, height) for index, height in enumerate(heights, start=1))
    expected = () if is_open else (Refusal.NO_QUORUM_NEAR,)
    assert gate(view(peers=peers)) == expected


def test_exactly_two_thirds_near_is_not_enough_and_nobody_counts_twice():
    three = make_team([1, 1, 1])
    number = three.numbers[0]
    key = signing.public_key(consensus_seed(number))
    one = view(validators=three.validators, peers=(PeerHeight(1, 10),) * 5)
    assert gate(one, key=key) == (Refusal.NO_QUORUM_NEAR,)
    both = view(validators=three.validators, peers=(PeerHeight(1, 10), PeerHeight(2, 10)))
    assert gate(both, key=key) == ()
    strange = view(validators=three.validators, peers=(PeerHeight(7, 10), PeerHeight(-1, 10)))
    assert gate(strange, key=key) == (Refusal.NO_QUORUM_NEAR,)


def test_a_single_validator_signs_alone():
    alone = make_team([5], first=NUMBER)
    assert gate(view(validators=alone.validators, peers=())) == ()


def test_every_reason_is_a_sentence_and_all_are_given_in_order():
    worst = view(
        is_syncing=True, is_commit_known=True, is_finality_covered=False, is_state_restored=False,
        peers=(), height=8,
    )  # fmt: skip
    reasons = gate(worst, key=h("nobody"), listening=True, double=1, moved=True)
    elsewhere = (Refusal.STATE_LOST, Refusal.HEARING)
    assert reasons == tuple(r for r in Refusal if r not in elsewhere)
    assert all(len(reason.value.split()) > 4 for reason in Refusal)


# ---- doppelgangers and listening


def commits(*heights, signers=(0, 1, 2), round_=0):
    return [
        (TEAM.commit(height, h("b", height), signers=signers, round_=round_), TEAM.validators)
        for height in heights
    ]


def test_a_commit_with_our_signature_beyond_the_journal_betrays_a_doppelganger():
    floor = (5, 0, PRECOMMIT)
    key = KEYS.consensus_key
    assert find_doppelganger(commits(3, 4, 5), key, floor) is None
    assert find_doppelganger(commits(5, 6), key, floor) == 6
    assert find_doppelganger(commits(6), key, floor) == 6
    assert find_doppelganger(commits(9, 6, 8), key, floor) == 9
    assert find_doppelganger(commits(6, signers=(1, 2, 3)), key, floor) is None
    assert find_doppelganger(commits(6), h("another key"), floor) is None
    assert find_doppelganger(commits(5, round_=1), key, floor) == 5
    assert find_doppelganger(commits(5), key, (5, 0, PREVOTE)) == 5
    assert DOPPELGANGER_COMMITS == 10


def test_an_intact_journal_signs_at_once_after_a_restart(signer, directory):
    sign(signer, vote(5, 0, PRECOMMIT))
    again = restart(signer, directory)
    again.on_commits(commits(4, 5), listen_blocks=40)
    assert not again.is_listening
    assert again.refusals(view()) == ()
    again.close()


def test_a_restored_journal_is_found_out_and_listens_for_two_epochs(signer, directory):
    sign(signer, vote(3, 0))
    again = restart(signer, directory)
    again.on_commits(commits(8, 9), listen_blocks=40)
    assert again.is_listening
    assert again.floor == (10, 0, 0)
    assert Refusal.DOPPELGANGER in again.refusals(view())
    with pytest.raises(SigningRefused, match="listens"):
        sign(again, vote(20, 0))
    later = restart(again, directory)
    assert later.is_listening
    for height in (20, 21, 59):
        later.on_tip(height)
        assert later.is_listening
    later.on_tip(60)
    assert not later.is_listening
    assert sign(later, vote(61, 0)).verify(TEAM.validators, GENESIS)
    later.close()


def test_listening_begins_with_the_first_current_block_after_each_find(signer):
    signer.on_commits(commits(8), listen_blocks=10)
    signer.on_tip(100)
    assert signer.on_vote(TEAM.vote(OWN, height=105), TEAM.validators)
    signer.on_tip(500)
    signer.listen(listen_blocks=10)
    assert signer.floor == (106, 0, 0)
    signer.on_tip(111)
    assert signer.is_listening
    signer.on_tip(120)
    assert signer.is_listening
    signer.on_tip(121)
    assert not signer.is_listening


def test_our_own_votes_coming_back_are_no_doppelganger(signer):
    mine = [sign(signer, Proposal(5, 0, h("v"), NO_ROUND, OWN)), sign(signer, vote(5, 0))]
    for message in mine:
        assert not signer.on_vote(message, TEAM.validators)
    assert not signer.on_vote(TEAM.vote(1, height=50), TEAM.validators)
    sign(signer, vote(6, 0))
    assert not signer.on_vote(mine[1], TEAM.validators)
    signer.listen(listen_blocks=10)
    assert not signer.is_listening


@pytest.mark.parametrize(
    "fields",
    [{"height": 6}, {"height": 5, "round_": 1}, {"height": 5, "block_id": h("w")}],
    ids=str,
)
def test_a_vote_of_our_key_that_we_did_not_make_stops_the_key(signer, fields):
    sign(signer, vote(5, 0))
    assert signer.on_vote(TEAM.vote(OWN, **fields), TEAM.validators)
    with pytest.raises(SigningRefused, match="listens"):
        sign(signer, vote(7, 0))
    signer.listen(listen_blocks=10)
    assert signer.is_listening
    assert signer.floor == (fields["height"] + 1, 0, 0)
    with pytest.raises(SigningRefused, match="listens"):
        sign(signer, vote(8, 0))


def test_listening_never_ends_by_a_restart_or_without_blocks(signer, directory):
    signer.on_commits(commits(8), listen_blocks=10)
    again = restart(signer, directory)
    assert again.is_listening
    again.on_tip(50)
    last = restart(again, directory)
    last.on_tip(59)
    assert last.is_listening
    last.on_tip(60)
    assert not last.is_listening
    last.close()
