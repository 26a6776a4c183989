"""Signatures over messages for people, kept apart from transactions by a wrapper.

`<Bytes>` around the message makes it impossible to obtain the signature of a transaction by asking
somebody to sign a text: no call begins with `<`. polkadot-js wraps the same way.
"""

from typing import Final

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from chain.wallet.derivation import KeyPair
from chain.wallet.errors import BadContent

_OPEN: Final = b"<Bytes>"
_CLOSE: Final = b"</Bytes>"

MESSAGE_LENGTH_MAX: Final = 16 << 20
"""Bytes of a message; a larger file is signed by its hash."""


def wrap_message(message: bytes) -> bytes:
    """Return the message in its `<Bytes>` wrapper; a wrapped one stays as it is."""
    if message.startswith(_OPEN) and message.endswith(_CLOSE) and len(message) >= 15:
        return message
    return _OPEN + message + _CLOSE


def sign_bytes(pair: KeyPair, content: bytes) -> bytes:
    """Return the 64-byte ed25519 signature of exactly these bytes."""
    _, secret = crypto_sign_seed_keypair(pair.seed)
    return bytes(crypto_sign(content, secret)[:64])


def verify_bytes(public: bytes, content: bytes, signature: bytes) -> bool:
    """Tell whether the 64-byte signature is the 32-byte key's over exactly these bytes."""
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        crypto_sign_open(signature + content, public)
    except BadSignatureError:
        return False
    return True


def sign_message(pair: KeyPair, message: bytes) -> bytes:
    """Return the 64-byte signature of a message in its wrapper."""
    if len(message) > MESSAGE_LENGTH_MAX:
        raise BadContent("a message has at most 16 MiB; sign its hash instead")
    return sign_bytes(pair, wrap_message(message))


def verify_message(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the signature is the key's over the message, wrapped or bare."""
    if verify_bytes(public, wrap_message(message), signature):
        return True
    return message.startswith(_OPEN) and verify_bytes(public, message, signature)
