"""Bit rot: one bit of one file of a home flips, and then the home is used.

    harmless    every answer is the right one
    mended      the database went back; the journal shows it, and catching up gives it all again
    stopped     a sentence says what is damaged and what to do

Anything else is a wrong answer: other bytes served, a key other than the one that was made, an
error that explains nothing.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from chain.errors import GristmillError
from chain.genesis import start_chain
from chain.node import PEER_FILE, read_peer_seed
from chain.signer import open_signer
from chain.storage import database as database_module
from chain.storage.archive import ArchivedBlock, ArchiveReader, export_archive
from chain.storage.state import StateStore
from chain.wallet.derivation import derive
from chain.wallet.errors import WalletError
from chain.wallet.keyring import Keyring
from chain.wallet.keystore import COST_LEGACY, open_keystore, seal_keystore
from ext import hashing
from tests.ordeal.life import Broken, Life, Memory, find_options, find_start, listening
from tests.ordeal.power import SMALL_BUFFER_BYTES, Counts, check_sentence, live
from tests.support.solo import Solo

PASSWORD = "a password"  # noqa: S105 - of a key that protects nothing
PAIR = derive("//Alice//keystore")
SEED = bytes(range(32))

Answers = dict[str, Any]


@dataclass(frozen=True)
class House:
    """A home with a file of every kind, what the world knows of it, and all its right answers."""

    home: Path
    memory: Memory
    answers: Answers


class Seeded:
    """Chance that gives the same seed each time."""

    def draw(self, count: int) -> bytes:
        return SEED[:count]


def build_house(base: Path, seed: int) -> House:
    """Live for a while and write the other files; the database has tables, manifest and log."""
    home, memory = base / "house", Memory()
    home.mkdir(parents=True)
    chance = Random(f"house {seed}")
    kept, database_module.WRITE_BUFFER_BYTES = (
        database_module.WRITE_BUFFER_BYTES, SMALL_BUFFER_BYTES,
    )  # fmt: skip
    try:
        live(home, memory, chance, is_archive=True)
        _settle(home)
        with listening(memory):
            life = Life(home, memory, chance=chance, is_archive=True)
            for _ in range(3):
                life.decide()
            life.chain.index()
            life.close()
    finally:
        database_module.WRITE_BUFFER_BYTES = kept
    answers: Answers = {}
    copy = base / "asked"
    shutil.copytree(home, copy)
    for door in DOORS.values():
        answers |= door(copy)
    return House(home, memory, answers)


def _settle(home: Path) -> None:
    """Put the database into tables, and write the files that are not written by living."""
    start = find_start()
    solo = Solo(home, start=start, options=find_options(is_archive=True))
    solo.chain.index()
    solo.chain.flush()
    solo.chain.database.compact()
    export_archive(
        stored_blocks(solo.chain), home / "chain.archive", genesis_hash=start.hash,
        spec_text=start.genesis.spec_text,
    )  # fmt: skip
    solo.close()
    (home / "spec.toml").write_text(start.genesis.spec_text)
    read_peer_seed(home, Seeded())
    sealed = seal_keystore(PAIR, PASSWORD, name="ops", when_ms=1, cost=COST_LEGACY)
    Keyring(home / "wallet").save("ops", sealed)


def stored_blocks(chain: StateStore) -> Iterator[ArchivedBlock]:
    """The blocks of a store as an archive takes them."""
    for height in range(1, chain.height + 1):
        block, receipts = chain.blocks.block(height), chain.blocks.receipts(height)
        commit, polka = chain.blocks.commit(height), chain.blocks.polka(height)
        assert block is not None
        assert receipts is not None
        yield ArchivedBlock(block, receipts, commit, polka)


# ---- everything that can be asked


def ask_chain(home: Path) -> Answers:
    """All that a store says: blocks, proofs, states of every height, places, sets, finality."""
    solo = Solo(home, start=find_start(), options=find_options(is_archive=True))
    try:
        return _ask_store(solo.chain)
    finally:
        solo.close()


def _ask_store(chain: StateStore) -> Answers:
    blocks, said = chain.blocks, {}
    for height in range(chain.height + 1):
        block, commit = blocks.block(height), blocks.commit(height)
        said[f"block {height}"] = (
            blocks.encoded_block(height),
            blocks.receipts(height),
            None if commit is None else commit.encode(),
            None if block is None else blocks.height_of(block.block_id),
            blocks.validators_at(height),
            blocks.epoch_at(height),
            [blocks.find_extrinsic(hashing.blake2b_256(raw)) for raw in block.extrinsics[2:]]
            if block is not None
            else [],
        )
    for height in range(0, chain.height + 1, 5):
        keys = chain.keys(b"", height, limit=100_000)
        values = b"".join(key + (chain.get(key, height) or b"") for key in keys)
        said[f"state {height}"] = (len(keys), hashing.blake2b_256(values))
    said["journal"] = [(one.height, one.block_id) for one in chain.journal.records()]
    said["height"] = chain.height
    return said


def ask_keys(home: Path) -> Answers:
    """The keys of the validator, and how far they signed."""
    signer = open_signer(home / "keys", find_start().hash)
    try:
        return {"keys": signer.keys, "seeds": _seeds(signer.keys), "floor": signer.floor}
    finally:
        signer.close()


def _seeds(keys: Any) -> tuple[bytes, bytes, bytes]:
    return keys.account, keys.consensus_seed, keys.vrf_seed


def ask_archive(home: Path) -> Answers:
    """Every block of the archive."""
    reader = ArchiveReader(home / "chain.archive")
    try:
        stored = [(one.block.encode(), one.receipts, one.commit) for one in reader]
        return {"archive": (reader.genesis_hash, reader.spec_text, stored)}
    finally:
        reader.close()


def ask_spec(home: Path) -> Answers:
    """The chain that a copy of the spec makes; one that makes another is refused at the start."""
    text = (home / "spec.toml").read_bytes().decode(errors="replace")
    start = start_chain(text)
    if start.hash != find_start().hash:
        Solo(home, start=start).close()
    return {"spec": start.hash}


def ask_peer(home: Path) -> Answers:
    """The network identity."""
    return {"peer": read_peer_seed(home, Seeded())}


def ask_wallet(home: Path) -> Answers:
    """The account key."""
    return {"wallet": open_keystore(Keyring(home / "wallet").load("ops"), PASSWORD)}


DOORS: dict[str, Callable[[Path], Answers]] = {
    "chain": ask_chain,
    "keys": ask_keys,
    "archive": ask_archive,
    "spec": ask_spec,
    "peer": ask_peer,
    "wallet": ask_wallet,
}

KINDS: dict[str, tuple[str, str]] = {
    "table": ("db/*.ldb", "chain"),
    "log": ("db/*.log", "chain"),
    "manifest": ("db/MANIFEST-*", "chain"),
    "current": ("db/CURRENT", "chain"),
    "finality": ("finality.journal", "chain"),
    "signing": ("keys/sign.journal", "keys"),
    "key": ("keys/validator.key", "keys"),
    "archive": ("chain.archive", "archive"),
    "genesis": ("spec.toml", "spec"),
    "peer": (PEER_FILE, "peer"),
    "keystore": ("wallet/ops.json", "wallet"),
}
"""Kinds of files: where they lie, and who reads them."""

TURNS = ("table", "table", "log", "manifest", "finality", "table", "key", "signing", "archive",
         "log", "current", "genesis", "finality", "peer", "keystore", "manifest")  # fmt: skip


def flip(path: Path, chance: Random) -> str:
    """Flip one bit of a file and say which."""
    data = bytearray(path.read_bytes())
    place, bit = chance.randrange(len(data)), chance.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.name} byte {place} bit {bit}"


def run_piece(number: int, seed: int, scratch: Path, house: House) -> tuple[str, Counts]:
    """One flip: gives the kind of file and what came of it; raises Broken."""
    chance = Random(f"rot {seed} {number}")
    kind = TURNS[number % len(TURNS)]
    home = scratch / "home"
    shutil.copytree(house.home, home)
    pattern, door = KINDS[kind]
    victims = [path for path in sorted(home.glob(pattern)) if path.stat().st_size]
    told = flip(chance.choice(victims), chance)
    try:
        verdict = _judge(home, door, house, chance)
    except GristmillError as error:
        if door != "spec":  # its errors name the line and what to write there
            check_sentence(error)
        verdict = "stopped"
    except WalletError as error:
        if not str(error):
            raise Broken(f"{told}: an error without a word") from error
        verdict = "stopped"
    except Broken as error:
        raise Broken(f"{told}: {error}") from error
    shutil.rmtree(home)
    return kind, {"flips": 1, verdict: 1}


def _judge(home: Path, door: str, house: House, chance: Random) -> str:
    """Ask at the door of the flipped file; raises what it raises, and Broken."""
    said = DOORS[door](home)
    wrong = [name for name, answer in said.items() if house.answers[name] != answer]
    if not wrong:
        return "harmless"
    if door == "chain" and said["height"] < house.answers["height"]:
        return _mend(home, house, chance)
    if door == "peer":
        return "renamed"
    raise Broken(f"wrong answers: {wrong}")


def _mend(home: Path, house: House, chance: Random) -> str:
    """A chain that went back must know it, and be whole again once it caught up."""
    memory = house.memory.copy()
    with listening(memory):
        life = Life(home, memory, chance=chance, is_archive=True)
        try:
            if life.chain.is_finality_covered or not life.is_gate_shut():
                raise Broken(f"the chain went back to {life.chain.height} and does not know it")
            life.catch_up()
            life.chain.index()
            said = _ask_store(life.chain)
        finally:
            life.die()
    wrong = [name for name, answer in said.items() if house.answers[name] != answer]
    if wrong:
        raise Broken(f"wrong answers after catching up: {wrong}")
    return "mended"
