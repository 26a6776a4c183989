"""The encrypted key file: polkadot-js JSON version 3, read and written.

    encoded = salt[32] N[u32] p[u32] r[u32] nonce[24] secretbox(plain)
    plain   = header[16] seed[32] public[32] divider[5] public[32]

The password goes through scrypt; the first 32 bytes of its output open the box. Opening checks
everything that could have been exchanged: header, divider, length, that the public key is the
seed's, and that the address is the public key's.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from typing import Any, Final

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from chain.wallet.derivation import KeyPair, make_key_pair
from chain.wallet.errors import BadContent, Denied
from chain.wallet.ss58 import PREFIX, decode_address, encode_address

FILE_LENGTH_MAX: Final = 64 * 1024
"""Bytes of a key file; a real one has about 600."""

PASSWORD_LENGTH_MAX: Final = 1024
"""Bytes of a password; bounds what is read from a file given by mistake."""

_HEADER: Final = bytes.fromhex("3053020101300506032b657004220420")
"""The PKCS#8 beginning that polkadot-js writes before the secret."""
_DIVIDER: Final = bytes.fromhex("a123032100")
"""What polkadot-js writes between the secret and the public key."""
_PLAIN_LENGTH: Final = 117
_BOX_OFFSET: Final = 68
_ENCODED_LENGTH: Final = _BOX_OFFSET + 16 + _PLAIN_LENGTH
_SCRYPT_MEMORY: Final = 256 << 20
"""Bytes OpenSSL may use: N=2^17, r=8 needs 128 MiB, which its own default refuses."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One scrypt setting: iterations, parallel lanes and block size."""

    iterations: int
    lanes: int
    block: int = 8


COST_STRONG: Final = Cost(1 << 17, 1)
"""What we write: the default of polkadot-js since June 2025, 0.4 s and 128 MiB a guess."""

COST_LEGACY: Final = Cost(1 << 15, 1)
"""For py-substrate-interface and browser extensions from before 2025."""

ALLOWED_COSTS: Final = (
    Cost(1 << 13, 10),
    Cost(1 << 14, 5),
    Cost(1 << 15, 3),
    COST_LEGACY,
    Cost(1 << 16, 2),
    COST_STRONG,
)
"""The six settings that polkadot-js allows; any other may be a trap to exhaust memory."""


@dataclass(frozen=True, slots=True)
class Keystore:
    """A key file that was checked in form but not opened."""

    public: bytes
    address: str
    name: str
    cost: Cost
    encoded: bytes
    document: dict[str, Any]

    @property
    def is_weak(self) -> bool:
        """Whether the password is stretched less than we would write today."""
        return self.cost.iterations < COST_STRONG.iterations


def parse_keystore(content: bytes) -> Keystore:
    """Check the form of a key file; raise BadContent naming what is wrong with it."""
    document = _parse_document(content)
    _check_encoding(document.get("encoding"))
    encoded = _decode_encoded(document.get("encoded"))
    cost = Cost(*(int.from_bytes(encoded[at : at + 4], "little") for at in (32, 36, 40)))
    if cost not in ALLOWED_COSTS:
        raise BadContent(
            f"the key file asks for scrypt with N={cost.iterations}, p={cost.lanes}, "
            f"r={cost.block}, which is not one of the six settings that wallets use",
            "export the key again from the wallet that made it",
        )
    address = document.get("address")
    if not isinstance(address, str):
        raise BadContent("the key file has no address")
    _, public = decode_address(address)
    meta = document.get("meta")
    name = meta.get("name") if isinstance(meta, dict) else None
    return Keystore(
        public=public,
        address=address,
        name=name if isinstance(name, str) else "",
        cost=cost,
        encoded=encoded,
        document=document,
    )


def open_keystore(keystore: Keystore, password: str) -> KeyPair:
    """Return the key pair; raise Denied for a wrong password or a damaged file."""
    encoded = keystore.encoded
    key = _stretch(password, encoded[:32], keystore.cost)
    try:
        plain = crypto_secretbox_open(encoded[_BOX_OFFSET:], encoded[44:_BOX_OFFSET], key)
    except CryptoError:
        raise Denied(
            "the password is wrong, or the key file was damaged",
            "this is the password of the file, not a ///password of the phrase",
        ) from None
    return _read_plain(plain, keystore.public)


def seal_keystore(
    pair: KeyPair,
    password: str,
    *,
    name: str,
    when_ms: int,
    cost: Cost = COST_STRONG,
    genesis_hash: str | None = None,
) -> bytes:
    """Return the bytes of a key file; `when_ms` is the time of creation in milliseconds."""
    if cost not in (COST_STRONG, COST_LEGACY):
        raise BadContent("polkadot-js cannot load this scrypt setting, so it is never written")
    salt, nonce = os.urandom(32), os.urandom(24)
    plain = _HEADER + pair.seed + pair.public + _DIVIDER + pair.public
    box = crypto_secretbox(plain, nonce, _stretch(password, salt, cost))
    numbers = b"".join(n.to_bytes(4, "little") for n in (cost.iterations, cost.lanes, cost.block))
    meta: dict[str, Any] = {"name": name, "whenCreated": when_ms}
    if genesis_hash is not None:
        meta["genesisHash"] = genesis_hash
    document = {
        "encoded": base64.b64encode(salt + numbers + nonce + box).decode(),
        "encoding": {
            "content": ["pkcs8", "ed25519"],
            "type": ["scrypt", "xsalsa20-poly1305"],
            "version": "3",
        },
        "address": encode_address(pair.public, PREFIX),
        "meta": meta,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _parse_document(content: bytes) -> dict[str, Any]:
    if len(content) > FILE_LENGTH_MAX:
        raise BadContent(f"a key file has at most {FILE_LENGTH_MAX} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise BadContent("the key file is not JSON") from None
    if not isinstance(document, dict):
        raise BadContent("the key file is not a JSON object")
    return document


def _check_encoding(encoding: object) -> None:
    if not isinstance(encoding, dict):
        raise BadContent("the key file does not say how it is encoded")
    version = encoding.get("version")
    if version != "3":
        raise BadContent(
            f"the key file has version {version!r}; only version 3 is safe",
            "older versions do not stretch the password: open it where it was made, "
            "export it again, and choose a new password",
        )
    if encoding.get("type") != ["scrypt", "xsalsa20-poly1305"]:
        raise BadContent("the key file is not encrypted with scrypt and xsalsa20-poly1305")
    content = encoding.get("content")
    if content != ["pkcs8", "ed25519"]:
        kind = content[1] if isinstance(content, list) and len(content) == 2 else content
        raise BadContent(
            f"the key file holds a key of kind {kind!r}; this chain signs with ed25519",
            "make an ed25519 account in the other wallet and export that one",
        )


def _decode_encoded(encoded: object) -> bytes:
    if not isinstance(encoded, str):
        raise BadContent("the key file has no encoded key")
    try:
        if encoded.startswith("0x"):
            content = bytes.fromhex(encoded[2:])
        else:
            content = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise BadContent("the encoded key is neither base64 nor hex") from None
    if len(content) != _ENCODED_LENGTH:
        raise BadContent(f"the encoded key has {len(content)} bytes instead of {_ENCODED_LENGTH}")
    return content


def _stretch(password: str, salt: bytes, cost: Cost) -> bytes:
    try:
        content = password.encode()
    except UnicodeEncodeError:
        raise BadContent("a password is UTF-8 text, and this is not") from None
    if len(content) > PASSWORD_LENGTH_MAX:
        raise BadContent(f"a password has at most {PASSWORD_LENGTH_MAX} bytes")
    return hashlib.scrypt(
        content,
        salt=salt,
        n=cost.iterations,
        r=cost.block,
        p=cost.lanes,
        maxmem=_SCRYPT_MEMORY,
        dklen=64,
    )[:32]


def _read_plain(plain: bytes, public: bytes) -> KeyPair:
    if len(plain) != _PLAIN_LENGTH or plain[:16] != _HEADER or plain[80:85] != _DIVIDER:
        raise BadContent("the decrypted key does not have the form of polkadot-js version 3")
    pair = make_key_pair(plain[16:48])
    if not (
        hmac.compare_digest(pair.public, plain[48:80])
        and hmac.compare_digest(pair.public, plain[85:])
    ):
        raise BadContent("the public key in the file is not the one of its secret")
    if not hmac.compare_digest(pair.public, public):
        raise BadContent("the address in the key file belongs to another key")
    return pair
