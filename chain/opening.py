"""Opening the chain in a node's home: begun from its spec, or found again and compared."""

from chain.config import NodeConfig
from chain.errors import ConfigError
from chain.events import EventReader
from chain.genesis import ChainStart
from chain.releases import open_releases
from chain.seams import Clock
from chain.storage.database import Database
from chain.storage.finality import FinalityJournal
from chain.storage.genesis import create_genesis
from chain.storage.records import read_saved_from
from chain.storage.scratch import finish_restore
from chain.storage.state import StateStore, StorageOptions, open_state


def open_storage(config: NodeConfig, start: ChainStart) -> StateStore:
    """Open the chain in a node's home, or begin it; raises StorageError or ConfigError."""
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    finish_restore(config.home)
    table = open_releases(config, start.spec.chain_type).table
    find_touched = EventReader(table).find_touched if config.account_index else None
    options = StorageOptions(config.keep_blocks, find_touched)
    database = Database(config.database_path, free_space_bytes_min=config.free_space_bytes_min)
    try:
        is_new = database.is_new(start.hash)
        if is_new:
            database.check_space()
            create_genesis(database, start.genesis, options)
        journal = FinalityJournal(
            config.finality_path, start.hash, saved_from=read_saved_from(database)
        )
    except BaseException:
        database.close()
        raise
    try:
        return open_state(database, journal, options)
    except BaseException:
        journal.close()
        database.close()
        raise


def check_trust(config: NodeConfig, start: ChainStart, chain: StateStore, clock: Clock) -> None:
    """Raise ConfigError unless the node has a reason to trust the chain that it will be shown.

    Keys that left the set long ago could sign another past; whoever joins later than the unbonding
    period needs a block that somebody it trusts knows to be final.
    """
    checkpoint = config.parsed_checkpoint
    if checkpoint is not None:
        height, block_id = checkpoint
        known = chain.blocks.block_id(height) if height <= chain.height else None
        if known is not None and known != block_id:
            raise ConfigError(
                f"block {height} here is 0x{known.hex()}, the checkpoint says 0x{block_id.hex()}; "
                "one of them is of another chain: ask where the checkpoint came from"
            )
        return
    params = start.spec.params
    window_ms = params.unbonding_blocks * params.block_interval_ms
    age_ms = clock.now_ms() - chain.tip.time_ms
    if start.spec.chain_type == "Live" and age_ms > window_ms and not config.trust_genesis:
        raise ConfigError(
            f"the newest block here is {age_ms // 86_400_000} days old, older than stakes are "
            "bound; give --checkpoint HEIGHT:HASH from somebody you trust, or --trust-genesis"
        )
