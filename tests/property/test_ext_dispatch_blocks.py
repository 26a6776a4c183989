"""Random mixed blocks: hot calls run compiled and through the modules, byte for byte the same."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import store
from runtime.balances import EXISTENTIAL_DEPOSIT, FEE_POT, TREASURY
from runtime.executive import Executive
from runtime.frame.errors import InvalidBlock
from tests.support.runtime import Chain, person, stranger

pytestmark = pytest.mark.skipif(
    "native" not in store.__name__, reason="the plain twin runs no call by itself"
)

NAMES = ("Alice", "Bob", "Charlie")
PEOPLE = [*map(person, NAMES), *(stranger(number) for number in range(3))]
TARGETS = [*PEOPLE, FEE_POT, TREASURY, stranger(9)]
DAMAGES = (
    lambda raw: raw,
    lambda raw: raw[:-1],
    lambda raw: raw[:2] + b"\x85" + raw[3:],
    lambda raw: raw + b"\x00",
)
CALLS = ("remark", "remark_with_event", "allow_death", "keep_alive", "transfer_all", "batch")


@dataclass
class Wish:
    """One transaction of a random block."""

    signer: int
    call: str
    target: int
    amount: int
    tip: int
    nonce_off: int
    damage: int


amounts = st.one_of(
    st.integers(0, 3),
    st.integers(EXISTENTIAL_DEPOSIT - 2, 3 * EXISTENTIAL_DEPOSIT),
    st.integers(0, 1 << 62),
    st.sampled_from([1 << 30, (1 << 63) - 1, 1 << 63, 1 << 64, 1 << 127]),
)
wishes = st.builds(
    Wish,
    signer=st.integers(0, len(PEOPLE) - 1),
    call=st.sampled_from([*CALLS * 4, "trailing"]),
    target=st.integers(0, len(TARGETS) - 1),
    amount=amounts,
    tip=st.one_of(st.just(0), st.integers(0, 1000), st.just(1 << 63)),
    nonce_off=st.sampled_from([0] * 30 + [1, -1]),
    damage=st.sampled_from([0] * 30 + [1, 2, 3]),
)


def call_of(chain, wish):
    target = TARGETS[wish.target]
    if wish.call == "remark":
        return chain.call("System", "remark", b"r" * (wish.amount % 90))
    if wish.call == "remark_with_event":
        return chain.call("System", "remark_with_event", b"r")
    if wish.call == "transfer_all":
        return chain.call("Balances", "transfer_all", target, bool(wish.amount % 2))
    if wish.call == "batch":
        return chain.call("Utility", "batch", [chain.transfer(target, wish.amount)])
    name = "transfer_keep_alive" if wish.call == "keep_alive" else "transfer_allow_death"
    data = chain.call("Balances", name, target, wish.amount)
    return data + b"\x00" if wish.call == "trailing" else data


def body_of(chain, some):
    """Sign the wishes with the nonces that would be right if every one were included."""
    chain.look()
    nonces = {}
    body = []
    for wish in some:
        who = PEOPLE[wish.signer]
        record = chain.runtime.ctx.state.account(who)
        nonce = nonces.get(who, record[0] if record else 0)
        nonces[who] = nonce + 1
        sent = max(nonce + wish.nonce_off, 0)
        raw = chain.sign(call_of(chain, wish), who, nonce=sent, tip=wish.tip).raw
        body.append(DAMAGES[wish.damage](raw))
    return body


def run(before, state, body, *, is_hot, upto):
    """Execute as many as are valid up to a bound; give everything that may be compared."""
    chain = replace(before, state=state, executive=Executive())
    chain.executive.is_hot = is_hot
    chain.open()
    try:
        chain.executive.apply_many(body[:upto])
        error = None
    except InvalidBlock as refusal:
        error = str(refusal)
    executive = chain.executive
    used = (executive.ctx.weight_used, list(executive._receipts), list(executive._failed))
    result = None if error else executive.finalize_block()
    return error, used, executive._bytes_used, chain.overlay.root(), chain.overlay.changes(), result


@settings(max_examples=60, deadline=None)
@given(
    first=st.lists(wishes, max_size=6),
    second=st.lists(wishes, min_size=1, max_size=30),
)
def test_a_random_block_is_the_same_compiled_and_through_the_modules(first, second):
    chain = Chain.start()
    for number in range(3):
        chain.open()
        chain.apply(chain.transfer(stranger(number), 5 * EXISTENTIAL_DEPOSIT), person("Alice"))
        chain.close()
    for some in (first, second):
        body = body_of(chain, some)
        upto = len(body)
        while True:
            state = store.State.from_entries(chain.state.entries())
            hot = run(chain, chain.state, body, is_hot=True, upto=upto)
            slow = run(chain, state, body, is_hot=False, upto=upto)
            assert hot == slow
            if hot[0] is None:
                break
            upto -= 1
        chain.block(body[:upto])


def test_an_ordinary_block_is_run_by_the_compiled_way_alone(monkeypatch):
    chain = Chain.start()
    chain.look()
    alice = person("Alice")
    calls = [chain.transfer(stranger(1), 10**9), chain.call("System", "remark", b"x")]
    body = [chain.sign(data, alice, nonce=nonce).raw for nonce, data in enumerate(calls)]
    monkeypatch.setattr(Executive, "apply_transaction", None)
    assert chain.block(body).failed == (False,) * 4
