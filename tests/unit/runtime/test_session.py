"""Session keys: who may register which, when they act, and how long they stay bound."""

from collections.abc import Callable
from typing import Any

import pytest

from ext import signing
from runtime.balances import HoldReason
from runtime.balances.nouns import InsufficientBalance
from runtime.frame.errors import CallError
from runtime.possession import prove_possession
from runtime.primitives import AccountId
from runtime.session import ValidatorRecord
from runtime.session_keys import (
    CONSENSUS_KIND,
    ERRORS,
    KEY_DEPOSIT,
    NO_END,
    VRF_KIND,
    DuplicatedKey,
    InvalidProof,
    KeysBarred,
    KeysPurged,
    KeysSet,
    NoKeys,
    OldKey,
    SessionKeys,
)
from tests.support.consensus import consensus_seed, vrf_seed
from tests.support.runtime import GENESIS_HASH, Chain, assert_refused, person, stranger

ALICE, BOB, EVE, FERDIE = (person(name) for name in ("Alice", "Bob", "Eve", "Ferdie"))
EPOCH = 4


@pytest.fixture
def chain() -> Chain:
    return Chain.start("test")


def keys_of(number: int) -> SessionKeys:
    return SessionKeys(
        signing.public_key(consensus_seed(number)), signing.public_key(vrf_seed(number))
    )


def proof_of(number: int, who: bytes, genesis_hash: bytes = GENESIS_HASH) -> bytes:
    return prove_possession(
        genesis_hash=genesis_hash,
        account=who,
        consensus_seed=consensus_seed(number),
        vrf_seed=vrf_seed(number),
    )


def set_keys(chain: Chain, number: int, who: bytes, **changes: Any) -> bytes:
    parts = {"keys": keys_of(number), "proof": proof_of(number, who), **changes}
    return chain.call("Session", "set_keys", parts["keys"], parts["proof"])


def register(chain: Chain, number: int, who: bytes) -> None:
    assert chain.apply(set_keys(chain, number, who), who)


def purge(chain: Chain, who: bytes) -> bool:
    return chain.apply(chain.call("Session", "purge_keys"), who)


def go_to(chain: Chain, height: int) -> None:
    while chain.height < height:
        chain.block()


def member(chain: Chain, who: bytes) -> ValidatorRecord:
    return next(m for m in chain.runtime.session.queued_set if m.account == who)


def test_keys_are_registered_with_a_proof_and_a_deposit(chain: Chain) -> None:
    session = chain.open().session
    free = chain.free(FERDIE)
    call = chain.executive.decode_call(set_keys(chain, 70, FERDIE))
    assert chain.executive.run_call(call, FERDIE) == b""
    assert session.next_keys[FERDIE] == keys_of(70)
    assert [session.key_owner[key] for key in keys_of(70).ids()] == [FERDIE, FERDIE]
    assert session.has_keys(FERDIE)
    assert chain.free(FERDIE) == free - KEY_DEPOSIT
    assert chain.runtime.balances.held(FERDIE, HoldReason.DEPOSIT) == KEY_DEPOSIT
    assert KeysSet(FERDIE, keys_of(70)).encode() in chain.runtime.ctx.events
    keys = keys_of(70)
    assert session.seat(FERDIE, 9) == ValidatorRecord(FERDIE, keys.consensus, keys.vrf, 9)
    chain.close()


def test_the_deposit_is_taken_once_and_given_back(chain: Chain) -> None:
    chain.open()
    free = chain.free(FERDIE)
    for number in (70, 71):
        call = chain.executive.decode_call(set_keys(chain, number, FERDIE))
        assert chain.executive.run_call(call, FERDIE) == b""
    assert chain.free(FERDIE) == free - KEY_DEPOSIT
    call = chain.executive.decode_call(chain.call("Session", "purge_keys"))
    assert chain.executive.run_call(call, FERDIE) == b""
    assert KeysPurged(FERDIE).encode() in chain.runtime.ctx.events
    assert chain.free(FERDIE) == free
    assert chain.runtime.session.seat(FERDIE, 1) is None
    assert_refused(chain, chain.call("Session", "purge_keys"), NoKeys, FERDIE)
    chain.close()


def test_genesis_validators_own_their_keys_without_a_deposit(chain: Chain) -> None:
    session = chain.look().session
    assert session.next_keys[ALICE] == member(chain, ALICE).keys()
    assert session.next_keys[EVE] == session.schedule[4][-1].keys() or session.has_keys(EVE)
    assert dict(session.deposits.items()) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"proof": b""},
        {"proof": proof_of(70, FERDIE)[:-1]},
        {"proof": proof_of(70, FERDIE) + b"\0"},
        {"proof": proof_of(70, ALICE)},
        {"proof": proof_of(71, FERDIE)},
        {"proof": proof_of(70, FERDIE, bytes(32))},
        {"keys": SessionKeys(bytes(32), keys_of(70).vrf)},
        {"keys": SessionKeys(keys_of(70).consensus, bytes(32))},
        {"keys": SessionKeys(keys_of(70).vrf, keys_of(70).consensus)},
    ],
    ids=[
        "none",
        "short",
        "long",
        "account",
        "keys",
        "chain",
        "no point",
        "no VRF point",
        "swapped",
    ],
)
def test_keys_without_their_proof_are_refused(chain: Chain, changes: dict[str, Any]) -> None:
    chain.open()
    assert_refused(chain, set_keys(chain, 70, FERDIE, **changes), InvalidProof, FERDIE)


def test_a_deposit_that_cannot_be_held_refuses_the_keys(chain: Chain) -> None:
    chain.open()
    poor = stranger(1)
    assert_refused(chain, set_keys(chain, 70, poor), InsufficientBalance, poor)


def test_a_key_serves_one_account_for_one_purpose(chain: Chain) -> None:
    chain.open()
    register(chain, 70, FERDIE)
    own = keys_of(71)
    alice = chain.runtime.session.next_keys[ALICE]
    for keys in (
        keys_of(70),
        SessionKeys(keys_of(70).consensus, own.vrf),
        SessionKeys(own.consensus, keys_of(70).vrf),
        SessionKeys(keys_of(70).vrf, own.vrf),
        SessionKeys(own.consensus, keys_of(70).consensus),
        SessionKeys(alice.consensus, own.vrf),
        SessionKeys(own.consensus, alice.vrf),
        SessionKeys(own.consensus, own.consensus),
    ):
        assert_refused(chain, set_keys(chain, 71, EVE, keys=keys), DuplicatedKey, EVE)
    swapped = SessionKeys(keys_of(70).vrf, keys_of(70).consensus)
    assert_refused(chain, set_keys(chain, 70, FERDIE, keys=swapped), DuplicatedKey, FERDIE)
    register(chain, 71, EVE)
    chain.close()


def test_keys_that_never_acted_are_free_once_they_are_replaced(chain: Chain) -> None:
    chain.open()
    register(chain, 70, FERDIE)
    register(chain, 71, FERDIE)
    assert dict(chain.runtime.session.old_keys.items()).keys().isdisjoint(keys_of(70).ids())
    register(chain, 70, EVE)
    chain.close()


def test_new_keys_act_two_blocks_after_the_epoch_without_leaving_the_set(chain: Chain) -> None:
    chain.open()
    register(chain, 70, ALICE)
    chain.close()
    chain.look()
    old = member(chain, ALICE)
    go_to(chain, EPOCH - 1)
    assert chain.last.validator_updates == ()
    updates = chain.block().validator_updates
    assert [(u.account, u.consensus_key, u.vrf_key, u.power) for u in updates] == [
        (ALICE, keys_of(70).consensus, keys_of(70).vrf, old.power)
    ]
    session = chain.look().session
    assert dict(session.queued_keys)[ALICE] == keys_of(70)
    chain.open()
    assert {m.account: m.keys() for m in session.current_set}[ALICE] == old.keys()
    chain.close()
    chain.open()
    assert {m.account: m.keys() for m in session.current_set}[ALICE] == keys_of(70)
    assert session.keys[ALICE] == keys_of(70)
    chain.close()


def test_a_key_that_acted_is_bound_to_its_account_until_its_window_ends(chain: Chain) -> None:
    chain.open()
    old = chain.runtime.session.next_keys[ALICE]
    register(chain, 70, ALICE)
    chain.close()
    go_to(chain, EPOCH)
    until = EPOCH + 2 + chain.spec.params.unbonding_blocks
    session = chain.look().session
    assert [session.old_keys[key] for key in old.ids()] == [OldKey(ALICE, until)] * 2
    assert [session.old_keys[key] for key in keys_of(70).ids()] == [OldKey(ALICE, NO_END)] * 2
    chain.open()
    stolen = SessionKeys(old.consensus, keys_of(71).vrf)
    assert_refused(chain, set_keys(chain, 71, EVE, keys=stolen), DuplicatedKey, EVE)
    assert session._is_free_for(ALICE, old)
    chain.close()
    go_to(chain, until - 1)
    chain.look()
    assert not session._is_free_for(EVE, stolen)
    chain.block()
    chain.look()
    assert session._is_free_for(EVE, stolen)
    assert session.retired[until] == ()


def test_a_key_that_comes_back_is_bound_again_and_outlives_its_first_window(chain: Chain) -> None:
    chain.open()
    old = chain.runtime.session.next_keys[ALICE]
    register(chain, 70, ALICE)
    chain.close()
    go_to(chain, EPOCH)
    chain.open()
    chain.runtime.session.register(ALICE, old)
    chain.close()
    go_to(chain, EPOCH + 3 + chain.spec.params.unbonding_blocks)
    session = chain.look().session
    assert session.old_keys[CONSENSUS_KIND, old.consensus] == OldKey(ALICE, NO_END)
    assert member(chain, ALICE).keys() == old


def test_purged_keys_act_until_the_set_changes_and_are_nobody_elses(chain: Chain) -> None:
    chain.open()
    old = chain.runtime.session.next_keys[ALICE]
    assert purge(chain, ALICE)
    assert chain.runtime.session.seat(ALICE, 1) is None
    chain.close()
    go_to(chain, EPOCH)
    assert chain.last.validator_updates == ()
    chain.look()
    assert member(chain, ALICE).keys() == old
    chain.open()
    stolen = SessionKeys(old.consensus, keys_of(71).vrf)
    assert_refused(chain, set_keys(chain, 71, EVE, keys=stolen), DuplicatedKey, EVE)
    chain.close()


def test_who_is_barred_registers_nothing_and_its_keys_are_bound_for_ever(chain: Chain) -> None:
    chain.open()
    session = chain.runtime.session
    old = session.next_keys[ALICE]
    register(chain, 70, ALICE)
    session.bar(ALICE)
    assert_refused(chain, set_keys(chain, 71, ALICE), KeysBarred, ALICE)
    for bound in (old, keys_of(70)):
        taken = SessionKeys(bound.consensus, keys_of(71).vrf)
        assert_refused(chain, set_keys(chain, 71, EVE, keys=taken), DuplicatedKey, EVE)
    assert purge(chain, ALICE)  # the deposit is still its own
    session.replace_set(tuple(m for m in session.queued_set if m.account != ALICE))
    chain.close()
    go_to(chain, 3 + chain.spec.params.unbonding_blocks)
    chain.look()
    assert session.old_keys[VRF_KIND, old.vrf] == OldKey(ALICE, NO_END)
    chain.open()
    session.unbar(ALICE)
    register(chain, 70, ALICE)
    chain.close()


def test_a_scheduled_set_comes_with_new_keys_and_without_the_barred(chain: Chain) -> None:
    go_to(chain, 1)
    chain.open()
    register(chain, 70, ALICE)
    chain.runtime.session.bar(person("Charlie"))
    chain.close()
    go_to(chain, 2 * EPOCH)
    members = {m.account: m for m in chain.look().session.queued_set}
    assert sorted(members) == sorted([ALICE, person("Dave")])
    assert members[ALICE].keys() == keys_of(70)


def test_a_schedule_of_barred_members_alone_changes_nothing(chain: Chain) -> None:
    chain.open()
    for name in ("Alice", "Charlie", "Dave"):
        chain.runtime.session.bar(person(name))
    before = chain.runtime.session.queued_set
    chain.close()
    go_to(chain, 2 * EPOCH)
    assert chain.look().session.queued_set == before


def test_keys_may_wander_within_a_block_without_losing_their_bounds(chain: Chain) -> None:
    session = chain.open().session
    members = session.queued_set
    session.replace_set(members[1:])
    session.replace_set(members)
    session.replace_set(members[1:])
    chain.close()
    until = 1 + 2 + chain.spec.params.unbonding_blocks
    session = chain.look().session
    assert session.retired[until] == members[0].keys().ids()
    assert session.old_keys[CONSENSUS_KIND, members[0].consensus_key].until == until


REFUSALS: dict[type[CallError], Callable[[Chain], tuple[bytes, AccountId]]] = {
    InvalidProof: lambda chain: (set_keys(chain, 70, FERDIE, proof=bytes(144)), FERDIE),
    DuplicatedKey: lambda chain: (
        set_keys(chain, 70, FERDIE, keys=chain.runtime.session.next_keys[ALICE]),
        FERDIE,
    ),
    NoKeys: lambda chain: (chain.call("Session", "purge_keys"), FERDIE),
    KeysBarred: lambda chain: (set_keys(chain, 70, BOB), BOB),
}
"""Each error, and the call and signer that meet it where Bob is barred."""


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_module_is_met_by_a_call_that_leaves_no_trace(
    chain: Chain, error: type[CallError]
) -> None:
    chain.open().session.bar(BOB)
    call, signer = REFUSALS[error](chain)
    assert_refused(chain, call, error, signer)
    chain.close()
