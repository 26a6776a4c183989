"""The state: hashes, roots, memory, start-up and proofs."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from math import log2
from tempfile import TemporaryDirectory

import plyvel

from bench import clock, machine
from bench.finding import Finding, Scale
from bench.world import RICHES, World, account_names, entries
from ext import store
from ext.reference.records import hash256

START_BYTES = 400
"""Memory of a record while a state is built: more than it keeps, the sorting included."""


def update(state: store.State, names: list[bytes], free: int) -> store.Overlay:
    """Write other money into accounts on a new overlay."""
    overlay = state.overlay()
    for name in names:
        record = overlay.account(name)
        if record is None:
            raise AssertionError("an account of a benchmark must exist")
        overlay.set_account(name, (*record[:4], free, *record[5:]))
    return overlay


def timed_root(state: store.State, names: list[bytes], count: int) -> Callable[[], float]:
    """Give an act that updates accounts, times the root, and takes all back."""
    turn = iter(range(1, 1_000))

    def act() -> float:
        number = next(turn)
        chosen = random.Random(number).sample(names, min(count, len(names)))
        overlay = update(state, chosen, RICHES - number)
        spent = clock.seconds_of(overlay.root, is_alone=True)
        state.apply_difference(state.commit(overlay).reverse)
        return spent if state.root else 0

    return act


def changed_hashes(before: dict[bytes, bytes], after: dict[bytes, bytes]) -> int:
    """Count the hashes that a change makes necessary, from the two sets alone."""
    old, new = _tree(before), _tree(after)
    values = sum(1 for key, value in after.items() if len(key) == 80 and before.get(key) != value)
    return len(new - old) + values


def _tree(content: dict[bytes, bytes]) -> set[bytes]:
    """Give the hashes of all leaves and nodes, built bottom up with a stack."""
    leaves = sorted((hash256(key), hash256(value)) for key, value in content.items())
    found = {hash256(value_hash + b"\x01" + path) for path, value_hash in leaves}
    stack: list[tuple[int, bytes]] = []
    bits = [int.from_bytes(path, "big") for path, _ in leaves]

    def join(right: bytes, depth: int) -> bytes:
        while stack and stack[-1][0] > depth:
            over, left = stack.pop()
            right = hash256(left + right + b"\x02" + over.to_bytes(2, "little"))
            found.add(right)
        return right

    for at, (path, value_hash) in enumerate(leaves):
        node = hash256(value_hash + b"\x01" + path)
        depth = 256 - (bits[at] ^ bits[at + 1]).bit_length() if at + 1 < len(bits) else -1
        stack.append((depth, join(node, depth)))
    return found


def measure_hashes(scale: Scale) -> list[Finding]:
    """P4: hashes that the tree really computes against the least that any tree must."""
    names = account_names(4_000)
    before = dict(entries(names))
    state = store.State.from_entries(before.items())
    overlay = update(state, names[:700], RICHES - 1)
    for name in names[700:800]:
        overlay.set_account(name, None)
    for at in range(100):
        overlay.put(b"key%d" % at, b"value")
    after = dict(before)
    for key, value in overlay.changes():
        after.pop(key, None)
        if value is not None:
            after[key] = value
    counted = _hash_count(state)
    overlay.root()
    spent, least = _hash_count(state) - counted, changed_hashes(before, after)
    del scale
    return [
        Finding(
            "P4", "trie hashes / exact minimum", f"{spent / least:.4f}", "= 1.00",
            spent == least, f"{spent:,} hashes for 900 changes",
        )
    ]  # fmt: skip


def _hash_count(state: store.State) -> int:
    count: int = state.hash_count  # type: ignore[attr-defined]  # only the compiled store counts
    return count


def measure_roots(usual: World, large: World, scale: Scale) -> list[Finding]:
    """P5: how the root of the same number of updates grows with the state."""
    spent = clock.take_turns(
        {
            "usual": timed_root(usual.state, usual.names, scale.updates),
            "large": timed_root(large.state, large.names, scale.updates),
        },
        scale.rounds,
    )
    micro = {key: times.least / scale.updates * 1e6 for key, times in spent.items()}
    return [
        Finding.at_most(
            "P5",
            f"root of {scale.updates:,} updates, {len(large.names):,} / {len(usual.names):,}",
            clock.ratio(spent["large"], spent["usual"]),
            2.5,
            f"{micro['large']:.2f} and {micro['usual']:.2f} us an update",
        )
    ]


def measure_memory(count: int) -> tuple[list[Finding], store.State]:
    """P7: resident bytes per account, everything included."""
    names = account_names(count, seed=11)
    listed = list(entries([]))
    before = machine.resident_bytes()
    state = store.State.from_entries(_stream(listed, names))
    per_account = (machine.resident_bytes() - before) / count
    finding = Finding.at_most("P7", f"resident bytes per account, {count:,}", per_account, 240)
    return [finding], state


def _stream(first: list[tuple[bytes, bytes]], names: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    yield from first
    value = store.encode_account((0, 0, 1, 0, RICHES, 0, 0, store.FLAG_NEW_LOGIC))
    for name in names:
        yield store.account_key(name), value


def measure_start(state: store.State, scale: Scale) -> list[Finding]:
    """P8: start-up from a database with the root checked, against reading the same records.

    Before each turn of either, the memory that a start needs is made ready (see
    `machine.warm_memory`), and the process's and the system's work are judged apart (see
    `clock.work_apart`); clearing memory is still the start's own work.
    """
    root = state.root
    with TemporaryDirectory() as folder:
        database = plyvel.DB(
            f"{folder}/db", create_if_missing=True, paranoid_checks=True, compression=None
        )
        with database.write_batch() as batch:
            for key, value in state.entries():
                batch.put(key, value)
        database.compact_range()

        def read() -> None:
            with database.iterator(verify_checksums=True) as records:
                for _ in records:
                    pass

        started: list[store.State] = []

        def start() -> None:
            with database.iterator(verify_checksums=True) as records:
                started.append(store.State.from_entries(records, is_compared=True))
            if started[0].root != root:
                raise AssertionError("the root must be the same after a start")

        parts: dict[str, list[float]] = {"read": [], "start": []}

        def timed(act: Callable[[], None]) -> float:
            machine.warm_memory(START_BYTES * len(state))
            spent = clock.work_apart(act, parts[act.__name__])
            started.clear()
            return spent

        acts: dict[str, Callable[[], float]] = {
            act.__name__: partial(timed, act) for act in (read, start)
        }
        spent = clock.take_turns(acts, scale.rounds)
        database.close()
    return [
        Finding.at_most(
            "P8",
            f"start-up / bare iteration, {len(state):,} records",
            clock.ratio(spent["start"], spent["read"]),
            2.5,
            f"{spent['start'].least:.2f} s ({parts['start'][1]:.2f} of it the system's) and "
            f"{spent['read'].least:.2f} s",
        )
    ]


def measure_proofs(state: store.State, names: list[bytes]) -> list[Finding]:
    """P10: the largest of many proofs, of presence and of absence."""
    most = 40 * log2(len(state)) + 100
    keys = [store.account_key(name) for name in names[:2_000]]
    absent = [b"absent%d" % at for at in range(2_000)]
    sizes = [len(state.prove(key)) for key in (*keys, *absent)]
    return [
        Finding.at_most(
            "P10", f"proof bytes of {len(state):,} entries", max(sizes), most,
            f"mean {sum(sizes) / len(sizes):.0f}",
        )
    ]  # fmt: skip
