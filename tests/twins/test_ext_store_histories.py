"""Random histories: the compiled store, its plain twin and a dict agree after every step."""

import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ext.native import store as native
from ext.reference import store as reference

WHOS = [bytes([number]) * 32 for number in range(6)] + [bytes(31) + b"\x01", b"\xff" * 31 + b"\xfe"]
KEYS = [
    b"a", b"aa", b"ab", b"b", b"b\x00", b"\x00", b"\xff", b"\xff\xff",
    reference.ACCOUNT_PREFIX[:16], reference.ACCOUNT_PREFIX[:31] + b"\xdb",
]  # fmt: skip

whos = st.sampled_from(WHOS)
keys_used = st.sampled_from(KEYS)
u32 = st.integers(0, 2**32 - 1)
money = st.one_of(st.integers(0, 3), st.integers(0, reference.MONEY_MAX))
flags = st.sampled_from([0, 1, 0x7FFF, 1 << 127, (1 << 127) | 5])
few = st.one_of(st.just(0), st.just(1), u32)
records = st.tuples(u32, few, few, few, money, money, st.one_of(st.just(0), money), flags)
prefixes = st.sampled_from([b"", b"a", b"b", b"\xff", reference.ACCOUNT_PREFIX[:20]])
afters = st.one_of(st.none(), keys_used, whos.map(reference.account_key))
limits = st.one_of(st.none(), st.integers(0, 4))


near = st.sampled_from([0, 0, 0, 0, 1, -1])
parts = st.integers(0, 4)


def amount_for(record, floor, part, off):
    """Give an amount and a floor near what the account can pay; any floor may stay."""
    floor = min(floor, record[4] // 2)
    return (record[4] - floor) * part // 4 + off, floor


class View:
    """One overlay in three forms; the dict one keeps a copy of everything per checkpoint."""

    def __init__(self, native_base, reference_base, model):
        self.native = native_base.overlay()
        self.reference = reference_base.overlay()
        self.stack = [dict(model)]

    @property
    def model(self):
        return self.stack[-1]

    def store(self, who, record):
        """Write an account to the dict."""
        self.model[reference.account_key(who)] = reference.encode_account(record)

    def both(self, act):
        """Do the same to both; return what they agree on, or the error's class and sentence."""
        results = []
        for overlay in (self.native, self.reference):
            try:
                results.append(act(overlay))
            except ValueError as error:
                results.append((type(error).__name__, str(error)))
        assert results[0] == results[1]
        return results[0]


class Histories(RuleBasedStateMachine):
    """Everything a node can do to a state, in any order."""

    def __init__(self):
        super().__init__()
        self.native = native.State.empty()
        self.reference = reference.State.empty()
        self.model = {}
        self.reverses = []
        self.views = [View(self.native, self.reference, {})]

    def view(self, index):
        return self.views[index % len(self.views)]

    def renew(self):
        self.views = [View(self.native, self.reference, self.model)]

    @rule(index=st.integers(0, 2), key=keys_used, value=st.binary(max_size=3))
    def put(self, index, key, value):
        view = self.view(index)
        assert view.both(lambda overlay: overlay.put(key, value)) is None
        view.model[key] = value

    @rule(index=st.integers(0, 2), key=keys_used)
    def delete(self, index, key):
        view = self.view(index)
        assert view.both(lambda overlay: overlay.delete(key)) is None
        view.model.pop(key, None)

    @rule(index=st.integers(0, 2), who=whos, record=st.one_of(st.none(), records))
    def set_account(self, index, who, record):
        view = self.view(index)
        if view.both(lambda overlay: overlay.set_account(who, record)) is None:
            view.model.pop(reference.account_key(who), None)
            if record is not None:
                view.model[reference.account_key(who)] = reference.encode_account(record)

    @rule(
        index=st.integers(0, 2), who=whos, nonce_off=near, amount_off=near, floor=money, part=parts
    )
    def pay(self, index, who, nonce_off, amount_off, floor, part):
        view = self.view(index)
        record = view.reference.account(who) or (0,) * 8
        amount, floor = amount_for(record, floor, part, amount_off)
        nonce = record[0] + nonce_off
        is_usual = (
            record[2] > 0
            and not record[6]
            and not nonce_off
            and nonce < 2**32 - 1
            and 0 <= amount <= record[4] - floor
        )
        assert view.both(lambda overlay: overlay.pay(who, nonce, amount, floor)) is is_usual
        if is_usual:
            view.store(who, (nonce + 1, *record[1:4], record[4] - amount, *record[5:]))

    @rule(
        index=st.integers(0, 2), who=whos, other_who=whos, amount_off=near, floor=money, part=parts
    )
    def move_free(self, index, who, other_who, amount_off, floor, part):
        view = self.view(index)
        record = view.reference.account(who) or (0,) * 8
        other = view.reference.account(other_who) or (0,) * 8
        amount, floor = amount_for(record, floor, part, amount_off)
        is_usual = (
            view.reference.account(who) is not None
            and not (record[1] or record[6])
            and other[2] > 0
            and who != other_who
            and 0 <= amount <= record[4] - floor
        )
        moved = view.both(lambda overlay: overlay.move_free(who, other_who, amount, floor))
        assert moved is is_usual
        if is_usual:
            view.store(who, (*record[:4], record[4] - amount, *record[5:]))
            view.store(other_who, (*other[:4], other[4] + amount, *other[5:]))

    @rule(index=st.integers(0, 2))
    def checkpoint(self, index):
        view = self.view(index)
        view.both(lambda overlay: overlay.checkpoint())
        view.stack.append(dict(view.model))

    @rule(index=st.integers(0, 2), keep=st.booleans())
    def close(self, index, keep):
        view = self.view(index)
        result = view.both(lambda overlay: overlay.commit() if keep else overlay.revert())
        if len(view.stack) == 1:
            assert result == ("StoreError", "no checkpoint is open")
            return
        last = view.stack.pop()
        if keep:
            view.stack[-1] = last

    @rule(index=st.integers(0, 2))
    def root(self, index):
        view = self.view(index)
        root = view.both(lambda overlay: overlay.root())
        assert root == reference.compute_root(view.model)

    @rule(index=st.integers(0, 2), prefix=prefixes, after=afters, limit=limits)
    def keys(self, index, prefix, after, limit):
        view = self.view(index)
        found = view.both(lambda overlay: overlay.keys(prefix, after, limit))
        expected = sorted(key for key in view.model if key.startswith(prefix))
        expected = [key for key in expected if after is None or key > after]
        assert found == expected[:limit]

    @precondition(lambda self: len(self.views) < 3)
    @rule()
    def another_candidate(self):
        self.views.append(View(self.native, self.reference, self.model))

    @rule(index=st.integers(0, 2))
    def commit_to_base(self, index):
        view = self.view(index)
        old = (self.native, self.reference)
        if len(view.stack) > 1:
            with pytest.raises(native.StoreError, match="open checkpoint"):
                self.native.commit(view.native)
            return
        differences = [
            base.commit(overlay)
            for base, overlay in zip(old, (view.native, view.reference), strict=True)
        ]
        assert tuple(differences[0]) == tuple(differences[1])
        self.reverses.append((differences[0], copy.copy(self.model)))
        self.model = dict(view.model)
        with pytest.raises(native.StoreError, match="has changed"):
            view.native.get(b"a")
        self.renew()

    @precondition(lambda self: self.reverses)
    @rule(redo=st.booleans())
    def undo_block(self, redo):
        difference, before = self.reverses.pop()
        for base in (self.native, self.reference):
            base.apply_difference(difference.reverse)
            assert base.root == reference.compute_root(before)
            if redo:
                base.apply_difference(difference.forward)
        if redo:
            self.reverses.append((difference, before))
        else:
            self.model = before
        self.renew()

    @rule()
    def start_again(self):
        entries = list(self.native.entries())
        assert entries == sorted(self.model.items())
        self.native = native.State.from_entries(entries)
        self.reference = reference.State.from_entries(reversed(entries))
        self.renew()

    @rule(
        key=st.one_of(keys_used, whos.map(reference.account_key), st.binary(min_size=1, max_size=2))
    )
    def prove(self, key):
        root = reference.compute_root(self.model)
        proof = self.native.prove(key)
        assert proof == self.reference.prove(key)
        value = self.model.get(key)
        for module in (native, reference):
            assert module.verify_proof(root, key, value, proof)
            assert not module.verify_proof(root, key, b"other", proof)
            assert not module.verify_proof(root, key, None if value is not None else b"", proof)

    @invariant()
    def the_base_is_the_model(self):
        for base in (self.native, self.reference):
            assert len(base) == len(self.model)
            assert base.root == reference.compute_root(self.model)
            assert base.money == money_of(self.model)
            for key in (*KEYS[:3], *map(reference.account_key, WHOS[:3])):
                assert base.get(key) == self.model.get(key)

    @invariant()
    def the_views_are_their_models(self):
        for view in self.views:
            assert view.both(lambda overlay: overlay.money) == money_of(view.model)
            for key in (*KEYS, *map(reference.account_key, WHOS)):
                assert view.both(lambda overlay, key=key: overlay.get(key)) == view.model.get(key)
            changes = view.both(lambda overlay: overlay.changes())
            assert changes == sorted(
                (key, view.model.get(key))
                for key in self.model.keys() | view.model.keys()
                if self.model.get(key) != view.model.get(key)
            )


def money_of(model):
    return sum(
        sum(reference.decode_account(value)[4:6])
        for key, value in model.items()
        if key.startswith(reference.ACCOUNT_PREFIX) and len(key) == 80
    )


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
