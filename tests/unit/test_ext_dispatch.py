"""Hot calls one by one, and the signatures of a body against the slow way."""

from dataclasses import replace

import pytest

from ext import dispatch, hashing, signing, store
from ext.reference import dispatch as plain
from runtime import weights
from runtime.balances import EXISTENTIAL_DEPOSIT, FEE_POT, FreezeReason, HoldReason
from runtime.block import SPEC_VERSION
from runtime.executive import Executive, signed_versions
from runtime.frame.errors import InvalidBlock
from runtime.transaction import Era, decode_transaction, encode_extra, signing_payload
from tests.support.runtime import GENESIS_HASH, Chain, person, stranger

native_only = pytest.mark.skipif(
    "native" not in store.__name__, reason="the plain twin runs no call by itself"
)
ALICE, BOB, CHARLIE = person("Alice"), person("Bob"), person("Charlie")
ED = EXISTENTIAL_DEPOSIT
SEED = bytes(range(32))
SIGNER = signing.public_key(SEED)


def prepared():
    """A chain where every outcome of a hot call is one transaction away."""
    chain = Chain.start("plain")
    runtime = chain.open()
    for number in range(1, 5):
        chain.apply(chain.transfer(stranger(number), 10**12), ALICE)
    chain.close()
    runtime = chain.open()
    runtime.balances.freeze(stranger(1), FreezeReason.VESTING, 10**12 - 10**10)
    runtime.balances.hold(stranger(2), HoldReason.STAKE, 10**9)
    chain.close()
    chain.look()
    return chain


def outcomes(chain):
    """One transaction for every path of the compiled run."""
    free = chain.runtime.ctx.state.account(stranger(3))[4]
    keep = "transfer_keep_alive"
    calls = [
        (ALICE, chain.call("System", "remark", b"hello"), 0),
        (ALICE, chain.transfer(BOB, 5), 7),
        (ALICE, chain.transfer(stranger(7), ED), 0),
        (ALICE, chain.transfer(stranger(8), ED - 1), 0),
        (ALICE, chain.transfer(ALICE, 5), 0),
        (ALICE, chain.transfer(FEE_POT, ED), 0),
        (ALICE, chain.transfer(BOB, 1 << 70), 0),
        (stranger(1), chain.transfer(BOB, 10**10), 0),
        (stranger(2), chain.transfer(BOB, 10**12 - 10**9), 0),
        (stranger(3), chain.call("Balances", keep, BOB, free - ED), 0),
        (stranger(3), chain.call("Balances", keep, BOB, ED), 0),
        (stranger(4), chain.transfer(BOB, free - ED), 0),
    ]
    nonces = {}
    body = []
    for who, data, tip in calls:
        nonce = nonces.get(who, chain.runtime.ctx.state.account(who)[0])
        nonces[who] = nonce + 1
        body.append(chain.sign(data, who, nonce=nonce, tip=tip).raw)
    return body


def result_of(before, body, *, is_hot, rules=None):
    chain = replace(
        before, state=store.State.from_entries(before.state.entries()), executive=Executive()
    )
    chain.executive.is_hot = is_hot
    if rules is not None:
        chain.executive._rules = rules
    chain.open()
    chain.executive.apply_many(body)
    return chain.executive.finalize_block(), chain.overlay.changes()


@native_only
def test_every_outcome_is_the_same_compiled_and_through_the_modules(monkeypatch):
    chain = prepared()
    body = outcomes(chain)
    slow = result_of(chain, body, is_hot=False)
    assert len(set(slow[0].receipts)) == len(slow[0].receipts)
    monkeypatch.setattr(Executive, "apply_transaction", None)
    assert result_of(chain, body, is_hot=True) == slow


@native_only
@pytest.mark.parametrize("field", dispatch.Rules._fields)
def test_each_rule_matters(field):
    chain = prepared()
    body = outcomes(chain)
    rules = chain.executive._rules
    value = getattr(rules, field)
    others = {
        "protected": rules.protected[1:],
        "fee_pot": BOB,
        "treasury": BOB,
        "remark_length_max": 1,
    }
    if isinstance(value, int):
        other = others.get(field, 2 * value)
    else:
        other = others.get(field) or bytes([value[0] ^ 0x80]) + value[1:]
    changed = rules._replace(**{field: other})
    if field in ("remark", "transfer_allow_death", "transfer_keep_alive", "remark_length_max"):
        run = dispatch.apply_run(
            chain.state.overlay(),
            changed,
            body,
            0,
            dispatch.Room((0, 0, 0), 1 << 30, 1 << 60, 99, 2),
        )
        assert run.done < len(body)
        return
    try:
        result = result_of(chain, body, is_hot=True, rules=changed)
    except InvalidBlock:
        return
    assert result != result_of(chain, body, is_hot=False)


@native_only
@pytest.mark.parametrize(
    ("room", "done"),
    [
        ({}, 2),
        ({"count_left": 1}, 1),
        ({"bytes_left": 0}, 0),
        ({"weight_left": weights.EXTRINSIC_BASE + weights.REMARK}, 1),
        ({"prices": (1 << 62, 0, 0)}, 0),
        ({"prices": (1 << 63, 0, 0)}, 0),
    ],
)
def test_a_run_stops_where_its_room_ends(room, done):
    chain = Chain.start("plain")
    chain.look()
    remark = chain.call("System", "remark", b"x")
    body = [chain.sign(remark, ALICE, nonce=nonce).raw for nonce in range(2)]
    full = dispatch.Room((0, 0, 0), 1 << 30, 1 << 60, 9, 2)
    overlay = chain.state.overlay()
    run = dispatch.apply_run(overlay, chain.executive._rules, body, 0, full._replace(**room))
    assert (run.done, len(run.receipts), run.failed) == (done, done, [False] * done)
    assert (overlay.changes() == []) == (done == 0)


@native_only
def test_a_run_on_a_stale_overlay_is_refused():
    chain = prepared()
    overlay = chain.state.overlay()
    chain.block()
    with pytest.raises(ValueError, match="has changed"):
        dispatch.apply_run(
            overlay, chain.executive._rules, [b""], 0, dispatch.Room((0, 0, 0), 1, 1, 1, 2)
        )


def test_the_plain_twin_leaves_every_call_to_the_modules():
    run = plain.apply_run(None, None, [b""], 0, None)
    assert run == (0, [], [], 0, 0, 0)


# Signatures


def signed(chain, data, *, era, nonce=0, tip=0, anchor=GENESIS_HASH):
    extra = encode_extra(era=era, nonce=nonce, tip=tip)
    payload = signing_payload(
        call=data, extra=extra, genesis_hash=GENESIS_HASH, anchor_hash=anchor, spec_version=1
    )
    signature = signing.sign(SEED, payload)
    return chain.sign(data, SIGNER, era=era, nonce=nonce, tip=tip, signature=signature).raw


@pytest.fixture(scope="module")
def chain():
    chain = Chain.start("plain")
    for _ in range(9):
        chain.block()
    chain.look()
    return chain


@pytest.fixture(scope="module")
def body(chain):
    anchor = chain.runtime.system.block_hash[4]
    long = chain.call("System", "remark", b"long" * 200)
    short = chain.call("System", "remark", b"")
    eras = [Era(0, 0), Era.mortal(period=8, height=4)]
    return [
        signed(
            chain,
            data,
            era=era,
            nonce=nonce,
            tip=tip,
            anchor=GENESIS_HASH if era.period == 0 else anchor,
        )
        for data in (short, long)
        for era in eras
        for nonce, tip in ((0, 0), (70, 1 << 14), (1 << 31, 1 << 40))
    ]


def place(chain):
    return {"height": 10, "parent_hash": chain.parent_hash, "genesis_hash": GENESIS_HASH}


def terms_of(chain, module=dispatch):
    find = {0: GENESIS_HASH, 4: chain.runtime.system.block_hash[4]}.get
    return module.SigningTerms(10, signed_versions(SPEC_VERSION) + GENESIS_HASH, find)


@pytest.mark.parametrize("module", [dispatch, plain], ids=["live", "plain"])
def test_the_signatures_of_a_body_are_those_of_its_transactions(chain, body, module):
    state = chain.state.overlay()
    slow = [
        chain.executive.signature_item(state, decode_transaction(raw), **place(chain))
        for raw in body
    ]
    assert chain.executive.signature_items(state, body, **place(chain)) == slow
    assert module.signature_items(body, terms_of(chain, module)) == slow
    assert module.verify_block(body, terms_of(chain, module)) is True
    assert module.verify_block([], terms_of(chain, module)) is True


@pytest.mark.parametrize("module", [dispatch, plain], ids=["live", "plain"])
def test_no_changed_byte_of_a_body_verifies(chain, body, module):
    terms = terms_of(chain, module)
    for raw in (body[0], body[4]):
        for at in range(len(raw)):
            changed = raw[:at] + bytes([raw[at] ^ 0x04]) + raw[at + 1 :]
            assert module.verify_block([body[1], changed], terms) is False
        for cut in range(len(raw)):
            assert module.verify_block([raw[:cut]], terms) is False


def test_both_ways_read_the_same_damaged_extrinsics(chain, body):
    terms, plain_terms = terms_of(chain), terms_of(chain, plain)
    for number in range(3000):
        raw = bytearray(body[number % len(body)])
        noise = hashing.blake2b_256(number.to_bytes(4, "little"))
        for at, byte in zip(noise[:2], noise[2:4], strict=True):
            place_ = at % 8 + 99 if number % 3 else at % len(raw)
            raw[min(place_, len(raw) - 1)] = byte
        items = dispatch.signature_items([bytes(raw)], terms)
        assert items == plain.signature_items([bytes(raw)], plain_terms)


def test_an_unknown_anchor_leaves_the_body_to_the_slow_way(chain, body):
    terms = dispatch.SigningTerms(10, signed_versions(SPEC_VERSION) + GENESIS_HASH, lambda _: None)
    assert dispatch.signature_items(body, terms) is None
