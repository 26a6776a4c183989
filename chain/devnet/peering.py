"""How the nodes of a devnet know each other before they run: peer ids of published seeds."""

from typing import Final

from chain.wallet.derivation import KeyPair, derive
from chain.wallet.ss58 import encode_base58

_ED25519_PEER: Final = bytes.fromhex("002408011220")
"""Identity multihash of 36 bytes, around a libp2p public key of the kind ed25519 (libp2p specs)."""


def dev_peer_seed(name: str) -> bytes:
    """Return the 32-byte seed of the network identity of a devnet node."""
    return _pair(name).seed


def dev_peer_id(name: str) -> str:
    """Return the peer id of a devnet node."""
    return encode_base58(_ED25519_PEER + _pair(name).public)


def boot_address(name: str, port: int) -> str:
    """Return the multiaddress at which the nodes of this machine find a devnet node."""
    return f"/ip4/127.0.0.1/tcp/{port}/p2p/{dev_peer_id(name)}"


def _pair(name: str) -> KeyPair:
    return derive(f"//{name.capitalize()}//node")
