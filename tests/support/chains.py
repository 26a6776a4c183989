"""Small chains for storage tests: real headers, commits and states, without a runtime."""

from pathlib import Path

from chain.storage.blocks import DecidedBlock
from chain.storage.database import Database
from chain.storage.finality import FinalityJournal
from chain.storage.genesis import Genesis, create_genesis
from chain.storage.records import read_saved_from
from chain.storage.state import StateStore, StorageOptions, open_state
from consensus.header import ConsensusFields, Header, NextEpoch, PreRuntime, make_genesis_header
from consensus.types import (
    PRECOMMIT,
    Block,
    Commit,
    Validator,
    ValidatorSet,
    Vote,
    evidence_root,
    extrinsics_root,
    last_commit_hash,
)
from ext import hashing, signing, store

SEED = b"\x07" * 32
VALIDATORS = ValidatorSet(
    0, (Validator(b"\x01" * 32, signing.public_key(SEED), signing.public_key(b"\x08" * 32), 10),)
)
EPOCH = NextEpoch(0, 1, b"\x09" * 32, 100)


def fields(**changes):
    values = {
        "evidence_root": bytes(32),
        "last_commit_hash": bytes(32),
        "validators_hash": VALIDATORS.hash(),
        "next_validators_hash": VALIDATORS.hash(),
        "params_hash": bytes(32),
        "receipts_root": bytes(32),
        "totals": b"",
    }
    return ConsensusFields(**{**values, **changes})


def make_genesis(entries):
    state = store.State.from_entries(entries)
    header = make_genesis_header(
        state_root=state.root,
        extrinsics_root=bytes(32),
        time_ms=1_000,
        set_id=0,
        consensus=fields(),
        next_epoch=EPOCH,
    )
    return Genesis(header, tuple(entries), VALIDATORS, EPOCH, "id = 'test'")


def open_store(home: Path, genesis: Genesis, **options) -> StateStore:
    database = Database(home / "db")
    try:
        chosen = StorageOptions(**options)
        if database.is_new(genesis.hash):
            create_genesis(database, genesis, chosen)
        journal = FinalityJournal(
            home / "finality.journal", genesis.hash, saved_from=read_saved_from(database)
        )
    except BaseException:
        database.close()
        raise
    try:
        return open_state(database, journal, chosen)
    except BaseException:
        journal.close()
        database.close()
        raise


def make_commit(genesis_hash: bytes, header: Header) -> Commit:
    vote = Vote(PRECOMMIT, header.number, 0, header.block_id, -1, 0)
    signature = signing.sign(SEED, vote.sign_bytes(genesis_hash, 0))
    signed = Vote(PRECOMMIT, header.number, 0, header.block_id, -1, 0, signature)
    return Commit.from_votes([signed], VALIDATORS)


def grow(
    chain: StateStore, genesis: Genesis, changes, extrinsics=(), *, is_held=False
) -> DecidedBlock:
    """Commit one block that makes these changes."""
    overlay = chain.state.overlay()
    for key, value in changes.items():
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)
    extrinsics = tuple(extrinsics)
    receipts = tuple(b"receipt %d" % i for i in range(len(extrinsics) + 2))
    last_commit = chain.blocks.commit(chain.height)
    header = Header(
        chain.tip.block_id,
        chain.height + 1,
        overlay.root(),
        extrinsics_root(extrinsics),
        PreRuntime(chain.tip.time_ms + 1_000, 0, 0, bytes(80)),
        fields(
            receipts_root=hashing.merkle_root(receipts),
            last_commit_hash=last_commit_hash(last_commit),
            evidence_root=evidence_root(()),
        ),
    )
    block = Block(header, extrinsics, (), last_commit)
    decided = DecidedBlock(block, receipts, make_commit(genesis.hash, header))
    chain.commit_block(decided, overlay, is_held=is_held)
    return decided
