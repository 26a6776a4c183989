"""Bringing a stopped node's chain elsewhere: forward from an archive, or back to an older block."""

from collections.abc import Callable
from pathlib import Path

from chain.config import NodeConfig
from chain.errors import ConfigError, StorageError
from chain.execution import RuntimeExecution
from chain.genesis import read_spec, start_chain
from chain.importer import Importer, ReceivedBlock
from chain.keychain import find_key_directories
from chain.offences import Offences
from chain.opening import open_storage
from chain.releases import open_releases
from chain.signer import open_signer
from chain.storage.archive import ArchiveReader
from chain.storage.rewind import rewind
from chain.storage.state import StateStore
from chain.verified import VerifiedSignatures
from consensus.evidence import EvidenceWindow
from consensus.types import BLOCK_BYTES_MAX

INDEX_BLOCKS = 64
"""Blocks between two rounds of indexing while an archive is imported."""


def import_archive(
    config: NodeConfig,
    path: Path,
    *,
    progress: Callable[[int], None] = lambda _height: None,
) -> int:
    """Verify and execute an archive into a node's home and give the height it reaches.

    Blocks that are there already are compared and passed over. Raises StorageError for a damaged
    archive, ConfigError for another chain's, InvalidBlock for a block that is not valid.
    """
    start = start_chain(read_spec(config.chain))
    reader = ArchiveReader(path)
    try:
        if reader.genesis_hash != start.hash:
            raise ConfigError(
                f"the archive {path} is of the chain 0x{reader.genesis_hash.hex()}, the "
                f"configuration of 0x{start.hash.hex()}; give the right --chain"
            )
        chain = open_storage(config, start)
        try:
            params = start.spec.params
            window = EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms)
            importer = Importer(
                chain,
                RuntimeExecution(chain, start.hash, open_releases(config, start.spec.chain_type)),
                Offences(chain.blocks, start.hash, window),
                VerifiedSignatures(),
                block_bytes_max=max(BLOCK_BYTES_MAX, params.block_bytes_max + (1 << 20)),
            )
            _import_all(importer, reader, flush_blocks=config.flush_blocks, progress=progress)
            return chain.height
        finally:
            chain.close()
    finally:
        reader.close()


def _import_all(
    importer: Importer, reader: ArchiveReader, *, flush_blocks: int,
    progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Import every block of an archive that the chain does not have."""
    chain = importer.chain
    for stored in reader:
        if stored.height <= chain.height:
            _compare_known(chain, stored.height, stored.block.block_id)
            continue
        if stored.commit is None:
            raise StorageError(f"the archive has no commit for block {stored.height}")
        executed = importer.prepare(ReceivedBlock(stored.block))
        importer.decide(executed, stored.commit, stored.polka, is_held=True)
        if stored.height % INDEX_BLOCKS == 0:
            chain.save_held()
            chain.index()
        if chain.blocks_to_flush() >= flush_blocks + INDEX_BLOCKS:
            chain.flush()
        progress(stored.height)
    chain.save_held()
    chain.index()
    chain.flush()


def _compare_known(chain: StateStore, height: int, block_id: bytes) -> None:
    """Raise StorageError when the archive and the database have different blocks."""
    known = chain.blocks.block_id(height)
    if known != block_id:
        raise StorageError(
            f"the archive has another block at height {height} than the database; one of them is "
            "of a fork: ask which is right before doing anything"
        )


def rewind_node(config: NodeConfig, height: int, *, no_sign: bool) -> None:
    """Take a stopped node back to an earlier block.

    A key that signed above that block would refuse to sign until the chain is there again; the
    caller says `no_sign` to accept that. Raises ConfigError or StorageError.
    """
    start = start_chain(read_spec(config.chain))
    for directory in [] if no_sign else find_key_directories(config.keys_path):
        signer = open_signer(directory, start.hash)
        floor = signer.floor[0]
        signer.close()
        if floor > height:
            raise ConfigError(
                f"the key here signed at height {floor} and will sign nothing until the chain is "
                "there again; repeat with --no-sign if that is what you want"
            )
    chain = open_storage(config, start)
    try:
        rewind(chain, height)
    finally:
        chain.close()
