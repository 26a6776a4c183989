"""The published keys of a development node as the files that a node reads: made once, then kept."""

from typing import Final

from chain.config import NodeConfig
from chain.devnet.peering import dev_peer_seed
from chain.errors import ConfigError
from chain.genesis import read_spec, start_chain
from chain.identity import create_identity
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.wallet.accounts import dev_validator
from chain.wallet.keyring import write_private_file

PEER_FILE: Final = "peer.key"
"""Name of the file with the seed of the network identity, below the node's home."""


def prepare_identity(config: NodeConfig, dev_key: str | None, dev_peer: str | None) -> None:
    """Write the key files of a development node that are not there yet.

    Raises ConfigError on a live chain, or when another key is there.
    """
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if dev_key is not None:
        _prepare_validator(config, dev_key)
    path = config.home / PEER_FILE
    if dev_peer is not None and not path.exists():
        write_private_file(path, dev_peer_seed(dev_peer).hex().encode() + b"\n", replace=False)


def _prepare_validator(config: NodeConfig, name: str) -> None:
    dev = dev_validator(name)
    keys = ValidatorKeys(dev.account.public, dev.consensus.seed, dev.vrf.seed)
    directory = config.keys_path
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (directory / KEY_FILE).exists():
        if load_keys(directory / KEY_FILE).consensus_key != keys.consensus_key:
            raise ConfigError(
                f"{directory / KEY_FILE} holds another key than the published one of {name}; "
                "leave out --dev-key, or give another --home"
            )
        return
    start = start_chain(read_spec(config.chain))
    if start.spec.chain_type == "Live":
        raise ConfigError(
            f"the key of {name} is published and the chain is live; make your own with "
            "gristmill node key new"
        )
    create_identity(directory, keys, start.hash)
