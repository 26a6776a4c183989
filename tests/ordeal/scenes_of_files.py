"""Scenes of files: keys and their journals, archives, going back, what agents and wallets keep."""

import shutil
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from chain.config import NodeConfig, load_config
from chain.errors import StorageError
from chain.identity import create_identity, reset_journal
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.market.content import DataDirectory
from chain.market.memory import AgentMemory
from chain.node import PEER_FILE, read_peer_seed
from chain.opening import open_storage
from chain.restore import import_archive, rewind_node
from chain.signer import JOURNAL_FILE, open_signer
from chain.storage.archive import ArchiveReader, export_archive
from chain.wallet.derivation import derive
from chain.wallet.keyring import Keyring
from chain.wallet.keystore import COST_LEGACY, seal_keystore
from consensus.types import NO_ROUND, PREVOTE, Vote
from ext import hashing
from tests.ordeal.life import (
    KEYS,
    Broken,
    check_audit,
    find_start,
)
from tests.ordeal.rot import Seeded, stored_blocks
from tests.ordeal.strikes import Strike
from tests.support.solo import Solo

_KEPT = TemporaryDirectory(prefix="ordeal-archive-")

# ---- keys


def _sign(directory: Path, height: int) -> None:
    signer = open_signer(directory, find_start().hash)
    try:
        vote = Vote(PREVOTE, height, 0, hashing.blake2b_256(b"v"), NO_ROUND, 0)
        signer.sign(vote, set_id=0, record=b"")
    finally:
        signer.close()


def play_identity(home: Path, strike: Strike) -> None:
    """A key is made with its journal."""
    genesis = find_start().hash
    with strike.striking():
        create_identity(home, KEYS, genesis)
    if not (home / KEY_FILE).exists():
        create_identity(home, KEYS, genesis)
    if load_keys(home / KEY_FILE) != KEYS:
        raise Broken("another key was saved")
    _sign(home, 1)


def play_rotation(home: Path, strike: Strike) -> None:
    """The next key is made beside one that signs, and leaves that alone."""
    genesis = find_start().hash
    create_identity(home, KEYS, genesis)
    _sign(home, 5)
    following = ValidatorKeys(KEYS.account, bytes([7]) * 32, bytes([8]) * 32)
    directory = home / "2"
    directory.mkdir()
    with strike.striking():
        create_identity(directory, following, genesis)
    if not (directory / KEY_FILE).exists():
        create_identity(directory, following, genesis)
    _sign(directory, 6)
    signer = open_signer(home, genesis)
    signer.close()
    if signer.floor != (5, 0, PREVOTE):
        raise Broken(f"the first key stands at {signer.floor}")


def play_reset(home: Path, strike: Strike) -> None:
    """A journal is set aside and a new one begun; its floor never falls."""
    genesis = find_start().hash
    create_identity(home, KEYS, genesis)
    _sign(home, 50)
    again = partial(reset_journal, home, genesis, tip_height=7, listen_blocks=8, is_understood=True)
    with strike.striking():
        again()
    if not (home / JOURNAL_FILE).exists() or not _is_sound(home):
        again()
    signer = open_signer(home, genesis)
    signer.close()
    if signer.floor < (50, 0, PREVOTE):
        raise Broken(f"a reset lowered the floor to {signer.floor}")


def _is_sound(home: Path) -> bool:
    try:
        open_signer(home, find_start().hash).close()
    except StorageError:
        return False
    return True


# ---- other files


def play_peer_key(home: Path, strike: Strike) -> None:
    """The network identity is drawn at the first start and stays."""
    with strike.striking():
        read_peer_seed(home, Seeded())
    seed = read_peer_seed(home, Seeded())
    if read_peer_seed(home, Seeded()) != seed or not (home / PEER_FILE).is_file():
        raise Broken("the network identity changed")


def play_agent(home: Path, strike: Strike) -> None:
    """A bid is written down before it is sent; the one before is never lost."""
    open_memory = partial(
        AgentMemory, home / "agent.json", genesis=find_start().hash, account=KEYS.account,
        chance=Seeded(),
    )  # fmt: skip
    memory = open_memory()
    memory.keep_bid(1, 0, 500)
    with strike.striking():
        memory.keep_bid(2, 0, 700)
    again = open_memory()
    if again.bid(1, 0) != 500 or again.bid(2, 0) not in (None, 700):
        raise Broken("a bid was lost")
    again.keep_bid(2, 0, 700)


def play_content(home: Path, strike: Strike) -> None:
    """A dataset is kept whole or not at all."""
    directory, leaves = DataDirectory(home / "data"), [bytes(1024), bytes([1]) * 1024]
    with strike.striking():
        directory.write(leaves)
    root = DataDirectory(home / "elsewhere").write(leaves)
    if root in directory and directory.read(root) != leaves:
        raise Broken("half a dataset was kept")
    directory.write(leaves)
    if directory.read(root) != leaves:
        raise Broken("the dataset is not there")


def play_keystore(home: Path, strike: Strike) -> None:
    """An account key is saved whole or not at all, and never over another."""
    keyring = Keyring(home / "wallet")
    first, second = _sealed("first"), _sealed("second")
    keyring.save("first", first)
    with strike.striking():
        keyring.save("second", second)
    if not keyring.has("second"):
        keyring.save("second", second)
    names = keyring.names()
    kept = [(home / "wallet" / f"{name}.json").read_bytes() for name in names]
    if (names, kept) != (["first", "second"], [first, second]):
        raise Broken(f"the keys are {names}")


@cache
def _sealed(name: str) -> bytes:
    return seal_keystore(derive(f"//{name}"), "secret", name=name, when_ms=1, cost=COST_LEGACY)


# ---- archives


@cache
def _archived_home() -> Path:
    """A home of a dozen blocks, and the archive of it beside; kept for the whole process."""
    base = Path(_KEPT.name)
    solo = Solo(base / "archived", start=find_start())
    for number in range(12):
        if number % 2:
            solo.submit(solo.transfer("Alice", "Bob", 1_000_000_000 + number))
        solo.step()
    _export(solo, base / "whole.archive")
    solo.close()
    return base / "archived"


def _export(solo: Solo, path: Path) -> None:
    start = find_start()
    export_archive(
        stored_blocks(solo.chain), path, genesis_hash=start.hash,
        spec_text=start.genesis.spec_text,
    )  # fmt: skip


def _whole_archive() -> Path:
    return _archived_home().with_name("whole.archive")


def play_export(home: Path, strike: Strike) -> None:
    """An archive is written over an older one: one of the two is there, whole."""
    path = home / "chain.archive"
    path.write_bytes(_whole_archive().read_bytes())
    shutil.copytree(_archived_home(), home / "node")
    solo = Solo(home / "node", start=find_start())
    solo.step()
    try:
        with strike.striking():
            _export(solo, path)
        counts = [_count_blocks(path)]
        _export(solo, path)
        counts.append(_count_blocks(path))
    finally:
        solo.close()
    if counts[0] not in (12, 13) or counts[1] != 13:
        raise Broken(f"the archives have {counts} blocks")


def _count_blocks(path: Path) -> int:
    reader = ArchiveReader(path)
    try:
        return len(list(reader))
    finally:
        reader.close()


def _config(home: Path, **flags: object) -> NodeConfig:
    values = {"home": str(home), "chain": "test", "free_space_bytes_min": 0, **flags}
    return load_config(flags=values, environment={}).config


def play_import(home: Path, strike: Strike) -> None:
    """An archive is executed into an empty home; the same command goes on."""
    config = _config(home / "node", keep_blocks=0, account_index=True)
    with strike.striking():
        import_archive(config, _whole_archive())
    if import_archive(config, _whole_archive()) != 12:
        raise Broken("the import did not come to its end")
    check_audit(home / "node", 12)


def play_rewind(home: Path, strike: Strike) -> None:
    """The operator goes back; the same command finishes it, and the chain comes again."""
    shutil.copytree(_archived_home(), home / "node")
    config = _config(home / "node")
    with strike.striking():
        rewind_node(config, 5, no_sign=True)
    rewind_node(config, 5, no_sign=True)
    check_audit(home / "node", 5)
    if import_archive(config, _whole_archive()) != 12:
        raise Broken("the chain did not come again")
    check_audit(home / "node", 12)


def play_torn_tail(home: Path, strike: Strike) -> None:
    """A start that cuts a torn record off the finality journal dies there, too."""
    shutil.copytree(_archived_home(), home / "node")
    path = home / "node" / "finality.journal"
    path.write_bytes(path.read_bytes()[:-9])
    reopen = partial(open_storage, _config(home / "node"), find_start())
    with strike.striking():
        reopen().close()
    opened = reopen()
    found, tip = len(opened.journal), opened.height
    opened.close()
    if (found, tip) != (12, 12):
        raise Broken(f"{found} records and {tip} blocks are here, not 12")
    check_audit(home / "node", 12)
