"""The store's rules one by one, for both implementations."""

import pytest

from ext.native import store as native
from ext.reference import hashing
from ext.reference import store as reference
from ext.reference.records import hash256

both = pytest.mark.parametrize("store", [native, reference], ids=["native", "plain"])
WHO = b"\x07" * 32
RECORD = (1, 0, 1, 0, 5_000, 20, 3, 1 << 127)
MAX = reference.MONEY_MAX


@both
def test_the_prefix_of_accounts_is_substrates(store):
    expected = hashing.twox_128(b"System") + hashing.twox_128(b"Account")
    assert expected == store.ACCOUNT_PREFIX
    assert store.account_key(WHO) == expected + hashing.blake2b_128_concat(WHO)


@both
def test_a_single_entry_is_its_own_root(store):
    overlay = store.State.empty().overlay()
    overlay.put(b"key", b"value")
    assert overlay.root() == hash256(hash256(b"value") + b"\x01" + hash256(b"key"))


@both
def test_two_entries_hang_under_the_bit_that_parts_them(store):
    state = store.State.from_entries([(b"a", b"1"), (b"b", b"2")])
    paths = {hash256(key): hash256(value) for key, value in state.entries()}
    left, right = sorted(paths)
    depth = next(
        bit for bit in range(256) if (left[bit // 8] ^ right[bit // 8]) >> (7 - bit % 8) & 1
    )
    leaves = [hash256(paths[path] + b"\x01" + path) for path in (left, right)]
    assert state.root == hash256(b"".join(leaves) + b"\x02" + depth.to_bytes(2, "little"))


@both
def test_an_account_reads_as_substrates_account_info(store):
    overlay = store.State.empty().overlay()
    overlay.set_account(WHO, RECORD)
    value = overlay.get(store.account_key(WHO))
    widths = (4, 4, 4, 4, 16, 16, 16, 16)
    assert value == b"".join(
        number.to_bytes(width, "little") for number, width in zip(RECORD, widths, strict=True)
    )
    other = store.State.empty().overlay()
    other.put(store.account_key(WHO), value)
    assert other.account(WHO) == RECORD
    assert (other.money, other.root()) == (5_020, overlay.root())
    other.delete(store.account_key(WHO))
    assert (other.account(WHO), other.money, other.root()) == (None, 0, bytes(32))


REFUSED_RECORDS = [
    (RECORD[:7], TypeError),
    (list(RECORD), TypeError),
    ((1.0, *RECORD[1:]), TypeError),
    ((True, *RECORD[1:]), TypeError),
    ((-1, *RECORD[1:]), ValueError),
    ((2**32, *RECORD[1:]), ValueError),
    ((*RECORD[:4], MAX + 1, *RECORD[5:]), ValueError),
    ((*RECORD[:5], -5, *RECORD[6:]), ValueError),
    ((*RECORD[:6], 2**64, RECORD[7]), ValueError),
    ((*RECORD[:7], 1 << 126), ValueError),
    ((*RECORD[:7], 0x8000), ValueError),
    ((*RECORD[:7], 1 << 128), ValueError),
    ((*RECORD[:7], -1), ValueError),
    ((*RECORD[:4], MAX, 1, *RECORD[6:]), ValueError),
]


@both
@pytest.mark.parametrize(("record", "error"), REFUSED_RECORDS)
def test_a_record_that_does_not_fit_is_refused_and_changes_nothing(store, record, error):
    overlay = store.State.empty().overlay()
    overlay.set_account(WHO, RECORD)
    before = overlay.root()
    with pytest.raises(error):
        overlay.set_account(WHO, record)
    assert (overlay.account(WHO), overlay.money, overlay.root()) == (RECORD, 5_020, before)


@both
def test_all_money_together_stays_below_64_signed_bits(store):
    overlay = store.State.empty().overlay()
    overlay.set_account(WHO, (0, 0, 1, 0, MAX, 0, 0, 0))
    with pytest.raises(store.StoreError, match="together"):
        overlay.set_account(b"\x08" * 32, (0, 0, 1, 0, 1, 0, 0, 0))
    overlay.set_account(WHO, (0, 0, 1, 0, MAX - 1, 0, 0, 0))
    overlay.set_account(b"\x08" * 32, (0, 0, 1, 0, 1, 0, 0, 0))
    assert overlay.money == MAX


BAD_ENTRIES = [
    (b"", b"v"),
    (b"k" * 1025, b"v"),
    (reference.ACCOUNT_PREFIX, b"v"),
    (reference.ACCOUNT_PREFIX + b"short", b"v"),
    (reference.account_key(WHO)[:-1] + b"\x00", bytes(80)),
    (reference.account_key(WHO), bytes(79)),
    (reference.account_key(WHO), bytes(24) + b"\x01" + bytes(55)),
    (b"k", bytes(16 * 1024 * 1024 + 1)),
]


@both
@pytest.mark.parametrize(("key", "value"), BAD_ENTRIES)
def test_entries_that_the_store_cannot_hold_are_refused(store, key, value):
    with pytest.raises(store.StoreError):
        store.State.empty().overlay().put(key, value)
    with pytest.raises(store.StoreError):
        store.State.from_entries([(key, value)])


@both
def test_a_key_that_is_not_of_its_account_shows_in_the_root_at_the_latest(store):
    entries = dict(entries_of(100))
    right = store.State.from_entries(entries.items()).root
    assert store.State.from_entries(entries.items(), is_compared=True).root == right
    key = next(key for key in entries if key.startswith(store.ACCOUNT_PREFIX))
    entries[key[:40] + bytes((key[40] ^ 1,)) + key[41:]] = entries.pop(key)
    with pytest.raises(store.StoreError):
        store.State.from_entries(entries.items())
    try:
        wrong = store.State.from_entries(entries.items(), is_compared=True).root
    except store.StoreError:
        wrong = None
    assert wrong != right


@both
def test_only_bytes_are_keys_values_and_identifiers(store):
    overlay = store.State.empty().overlay()
    for act in (
        lambda: overlay.put("k", b"v"),
        lambda: overlay.put(b"k", bytearray(b"v")),
        lambda: overlay.put(b"k", None),
        lambda: overlay.delete(None),
        lambda: overlay.account("who"),
        lambda: overlay.set_account(bytearray(32), RECORD),
    ):
        with pytest.raises(TypeError):
            act()
    with pytest.raises(store.StoreError, match="32 bytes"):
        overlay.account(b"short")


@both
def test_a_repeated_key_is_refused_at_the_start(store):
    for key, value in ((b"k", b"v"), (store.account_key(WHO), store.encode_account(RECORD))):
        with pytest.raises(store.StoreError, match="twice"):
            store.State.from_entries([(key, value), (key, value)])


@both
def test_an_overlay_belongs_to_one_base_and_one_version_of_it(store):
    state, other = store.State.empty(), store.State.empty()
    mine, late = state.overlay(), state.overlay()
    with pytest.raises(store.StoreError, match="another base"):
        other.commit(mine)
    mine.put(b"k", b"v")
    state.commit(mine)
    for act in (
        late.root, late.changes, late.checkpoint, late.commit, late.revert,
        lambda: late.get(b"k"), lambda: late.put(b"k", b"v"), lambda: late.account(WHO),
        lambda: late.set_account(WHO, RECORD), lambda: late.keys(b""), lambda: state.commit(late),
    ):  # fmt: skip
        with pytest.raises(store.StoreError, match="has changed"):
            act()


@both
def test_reading_entries_while_the_state_changes_is_refused(store):
    state = store.State.from_entries([(bytes([n]), b"v") for n in range(1, 9)])
    reading = state.entries()
    next(reading)
    overlay = state.overlay()
    overlay.put(b"z", b"z")
    state.commit(overlay)
    with pytest.raises(store.StoreError, match="while its entries"):
        list(reading)


CHANGES = [
    (reference.account_key(WHO), reference.encode_account(RECORD)),
    (reference.account_key(b"\x08" * 32), None),
    (b"gone", None),
    (b"key", b"value"),
]


@both
def test_a_difference_reads_as_it_was_written(store):
    blob = store.encode_difference(CHANGES)
    assert store.decode_difference(blob) == CHANGES
    assert blob == reference.encode_difference(CHANGES[::-1])


def test_both_read_every_damaged_difference_alike():
    blob = reference.encode_difference(CHANGES)
    refused = 0
    for at in range(len(blob)):
        for change in (1, 2, 0x80, 0xFF):
            damaged = blob[:at] + bytes([blob[at] ^ change]) + blob[at + 1 :]
            results = []
            for store in (native, reference):
                try:
                    results.append(store.decode_difference(damaged))
                except ValueError as error:
                    results.append(str(error))
            assert results[0] == results[1], (at, change)
            refused += isinstance(results[0], str)
            if not isinstance(results[0], str):
                assert reference.encode_difference(results[0]) == damaged
        for store in (native, reference):
            with pytest.raises(store.StoreError):
                store.decode_difference(blob[:at])
    assert refused > len(blob) // 2


@both
def test_a_difference_that_would_break_the_money_changes_nothing(store):
    state = store.State.from_entries(
        [(store.account_key(WHO), store.encode_account((0, 0, 1, 0, MAX, 0, 0, 0)))]
    )
    root = state.root
    blob = store.encode_difference(
        [
            (b"k", b"v"),
            (store.account_key(b"\x08" * 32), store.encode_account((0, 0, 1, 0, 9, 0, 0, 0))),
        ]
    )
    with pytest.raises(store.StoreError, match="together"):
        state.apply_difference(blob)
    assert (state.root, state.get(b"k"), state.money) == (root, None, MAX)


def entries_of(count):
    """Generic entries and accounts, half and half."""
    for number in range(count):
        name = hash256(number.to_bytes(4, "little"))
        if number % 2:
            yield name, name[: number % 33]
        else:
            record = (number, 0, 1, 0, number * 1000, 0, 0, 1 << 127)
            yield reference.account_key(name), reference.encode_account(record)


def tree_hashes(entries):
    """Every hash of a tree that a set of entries needs, leaves' value hashes included."""
    found = set()

    def subtree(leaves):
        if len(leaves) == 1:
            path, value_hash = leaves[0]
            node = hash256(value_hash + b"\x01" + path)
            if path in accounts:
                found.add((path, value_hash))
        else:
            first, last = (int.from_bytes(leaves[at][0], "big") for at in (0, -1))
            depth = 256 - (first ^ last).bit_length()
            split = next(
                at for at, (path, _) in enumerate(leaves) if path[depth // 8] >> (7 - depth % 8) & 1
            )
            node = subtree(leaves[:split]) + subtree(leaves[split:])
            node = hash256(node + b"\x02" + depth.to_bytes(2, "little"))
        found.add(node)
        return node

    accounts = {hash256(key) for key in entries if key.startswith(reference.ACCOUNT_PREFIX)}
    leaves = sorted((hash256(key), hash256(value)) for key, value in entries.items())
    subtree(leaves)
    return found


def test_every_changed_node_is_hashed_exactly_once():
    before = dict(entries_of(600))
    state = native.State.from_entries(before.items())
    assert state.hash_count == len(tree_hashes(before))
    overlay = state.overlay()
    after = dict(before)
    for number, (key, value) in enumerate(entries_of(700)):
        if number >= 600 or number % 11 == 0:
            after[key] = b"new" + value
            if number % 2 == 0:
                record = reference.decode_account(value)
                after[key] = reference.encode_account((record[0] + 1, *record[1:]))
            overlay.put(key, after[key])
        elif number % 13 == 0:
            overlay.delete(key)
            del after[key]
    counted = state.hash_count
    assert overlay.root() == reference.compute_root(after)
    assert state.hash_count - counted == len(tree_hashes(after) - tree_hashes(before))
    counted = state.hash_count
    state.commit(overlay)
    assert (state.root, state.hash_count) == (reference.compute_root(after), counted)


def test_a_write_that_changes_nothing_costs_no_hash():
    state = native.State.from_entries(entries_of(100))
    counted, overlay = state.hash_count, state.overlay()
    for key, value in list(state.entries())[::3]:
        overlay.put(key, value)
    overlay.checkpoint()
    for key, _ in list(state.entries())[::7]:
        overlay.delete(key)
    overlay.revert()
    assert (overlay.root(), state.hash_count) == (state.root, counted)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1000, 5000])
def test_a_state_built_at_once_equals_one_that_grew(count):
    entries = list(entries_of(count))
    built = native.State.from_entries(entries)
    grown = native.State.empty()
    overlay = grown.overlay()
    for key, value in entries:
        overlay.put(key, value)
    assert overlay.root() == built.root
    grown.commit(overlay)
    assert list(grown.entries()) == list(built.entries()) == sorted(entries)
    overlay = grown.overlay()
    for key, _ in entries:
        overlay.delete(key)
    assert overlay.root() == bytes(32)
    grown.commit(overlay)
    assert (len(grown), grown.money, list(grown.entries())) == (0, 0, [])


@both
def test_no_changed_byte_of_a_proof_verifies(store):
    state = store.State.from_entries(entries_of(200))
    key, value = next(iter(state.entries()))
    for name, content in ((key, value), (b"absent", None)):
        proof = state.prove(name)
        assert store.verify_proof(state.root, name, content, proof)
        for at in range(len(proof)):
            for change in (1, 0x80, 0xFF) if store is native else (1 << at % 8,):
                damaged = proof[:at] + bytes([proof[at] ^ change]) + proof[at + 1 :]
                assert not store.verify_proof(state.root, name, content, damaged)
            assert not store.verify_proof(state.root, name, content, proof[:at])
        assert not store.verify_proof(state.root, name, content, proof + b"\x00")
        assert not store.verify_proof(bytes(32), name, content, proof)
        assert not store.verify_proof(state.root, name + b"\x00", content, proof)


@both
def test_a_neighbours_proof_does_not_hide_a_present_key(store):
    state = store.State.from_entries(entries_of(200))
    keys = [key for key, _ in state.entries()]
    proofs = [state.prove(key) for key in (*keys, *(b"no%d" % n for n in range(50)))]
    tried = keys[:40] if store is native else keys[:3]
    assert not any(
        store.verify_proof(state.root, key, None, proof) for key in tried for proof in proofs
    )


@both
def test_proofs_stay_small(store):
    state = native.State.from_entries(entries_of(4096))
    sizes = [len(state.prove(key)) for key, _ in state.entries()]
    assert max(sizes) <= 40 * 12 + 100
    empty = store.State.empty()
    assert store.verify_proof(empty.root, b"k", None, empty.prove(b"k"))
    assert not store.verify_proof(empty.root, b"k", b"", empty.prove(b"k"))


@both
def test_keys_come_page_by_page(store):
    state = store.State.from_entries(entries_of(300))
    overlay = state.overlay()
    for key, _ in list(state.entries())[::2]:
        overlay.delete(key)
    overlay.put(b"\x00new", b"")
    overlay.set_account(WHO, RECORD)
    everything = overlay.keys(b"")
    for prefix in (b"", store.ACCOUNT_PREFIX, b"\x00"):
        expected = [key for key in everything if key.startswith(prefix)]
        pages, after = [], None
        while page := overlay.keys(prefix, after, 7):
            pages += page
            after = page[-1]
        assert pages == expected == overlay.keys(prefix)


def test_candidates_do_not_see_each_other_whichever_is_asked():
    state = native.State.from_entries(entries_of(50))
    root, keys = state.root, state.keys(b"")
    one, two = state.overlay(), state.overlay()
    one.set_account(WHO, RECORD)
    one.put(keys[1], b"one") if not keys[1].startswith(reference.ACCOUNT_PREFIX) else None
    two.delete(keys[0])
    roots = [one.root(), two.root(), one.root()]
    assert len({root, *roots}) == 3
    assert roots[0] == roots[2]
    assert (two.account(WHO), state.account(WHO), one.account(WHO)) == (None, None, RECORD)
    assert (state.root, state.keys(b"")) == (root, keys)
    proof = state.prove(keys[0])
    assert native.verify_proof(root, keys[0], state.get(keys[0]), proof)
    state.commit(one)
    assert state.root == roots[0]
