"""From words to a key: mnemonic, secret URI and hard junctions for ed25519.

    [phrase | 0xseed] //junction //junction ... [///password]

The rules are Substrate's: the seed is PBKDF2 over the *entropy* of the phrase, not over its words,
so a phrase is not portable to BIP44 wallets. Only hard junctions exist for ed25519. Two forms on
which Rust and polkadot-js disagree are refused, because the same text would be two accounts.
"""

import hashlib
import importlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

from nacl.bindings import crypto_sign_seed_keypair

from chain.wallet.errors import BadContent

DEV_PHRASE: Final = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""The published development phrase of Substrate: everybody knows it, it protects nothing."""

URI_LENGTH_MAX: Final = 1024
"""Characters; 24 words and several junctions fit, a file pasted by mistake does not."""

JUNCTIONS_MAX: Final = 16
"""Hard junctions in one path; people use one to three."""

_ENTROPY_BITS: Final = {12: 128, 15: 160, 18: 192, 21: 224, 24: 256}
"""Words in a phrase to bits of entropy (BIP39)."""

_URI: Final = re.compile(
    r"(?P<secret>0x[0-9a-fA-F]*|[a-z ]*)(?P<path>(?:/{1,2}[^/]+)*)(?:///(?P<password>.*))?",
    re.DOTALL,
)
_JUNCTION: Final = re.compile(r"(/{1,2})([^/]+)")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key: the 32-byte seed (never shown by repr) and its 32-byte public key."""

    seed: bytes = field(repr=False)
    public: bytes


def make_key_pair(seed: bytes) -> KeyPair:
    """Return the key pair of a 32-byte seed."""
    if len(seed) != 32:
        raise BadContent(f"a seed has 32 bytes, this one has {len(seed)}")
    public, _ = crypto_sign_seed_keypair(seed)
    return KeyPair(seed, public)


def derive(uri: str) -> KeyPair:
    """Return the key pair of a secret URI; raise BadContent naming the part that is wrong."""
    return make_key_pair(derive_seed(uri))


def derive_seed(uri: str) -> bytes:
    """Return the 32-byte seed of a secret URI (the dev phrase where it names no secret)."""
    if len(uri) > URI_LENGTH_MAX:
        raise BadContent(f"a secret URI has at most {URI_LENGTH_MAX} characters")
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise BadContent("a secret URI is UTF-8 text, and this is not") from None
    match = _URI.fullmatch(unicodedata.normalize("NFC", uri))
    if match is None:
        raise BadContent(
            "this is not a secret URI",
            "write a phrase or 0x and 64 hex digits, then //junctions, then ///password",
        )
    secret, password = match["secret"].strip() or DEV_PHRASE, match["password"] or ""
    seed = _seed_of(secret, password)
    junctions = _JUNCTION.findall(match["path"])
    if len(junctions) > JUNCTIONS_MAX:
        raise BadContent(f"a path has at most {JUNCTIONS_MAX} junctions")
    for slashes, code in junctions:
        if slashes == "/":
            raise BadContent(
                f"ed25519 has no soft derivation, so /{code} means nothing",
                f"write //{code}",
            )
        seed = _derive_hard(seed, _chain_code(code))
    return seed


def is_dev_uri(text: str) -> bool:
    """Tell whether the text is a path of the published development phrase, like //Alice."""
    return text.startswith("//") and not text.startswith("///")


def make_phrase(words: int = 12) -> str:
    """Return a new random phrase of 12, 15, 18, 21 or 24 English words."""
    if words not in _ENTROPY_BITS:
        raise BadContent("a phrase has 12, 15, 18, 21 or 24 words")
    return str(_wordlist().to_mnemonic(os.urandom(_ENTROPY_BITS[words] // 8)))


def compute_entropy(phrase: str) -> bytes:
    """Return the entropy of a phrase, 16 to 32 bytes; BadContent for a wrong word or checksum."""
    words = phrase.split()
    if len(words) not in _ENTROPY_BITS:
        raise BadContent(f"a phrase has 12, 15, 18, 21 or 24 words, this one has {len(words)}")
    wordlist = _wordlist()
    known = frozenset(wordlist.wordlist)
    for position, word in enumerate(words, 1):
        if word not in known:
            raise BadContent(f"word {position} of the phrase is not in the English BIP39 list")
    try:
        return bytes(wordlist.to_entropy(words))
    except ValueError:
        raise BadContent(
            "the checksum of the phrase is wrong",
            "a word is wrong or two are swapped; compare it with the paper",
        ) from None


def encode_compact(number: int) -> bytes:
    """Return the SCALE compact form of a number of at most 30 bits."""
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    if number < 1 << 30:
        return (number << 2 | 2).to_bytes(4, "little")
    raise BadContent(f"{number} is too large a length")


def _wordlist() -> Any:
    return importlib.import_module("mnemonic").Mnemonic("english")


def _seed_of(secret: str, password: str) -> bytes:
    if secret.startswith("0x"):
        if password:
            raise BadContent("a ///password belongs to a phrase; a hex seed has none")
        if len(secret) != 66:
            raise BadContent(f"a hex seed has 64 digits, this one has {len(secret) - 2}")
        return bytes.fromhex(secret[2:])
    salt = b"mnemonic" + password.encode()
    return hashlib.pbkdf2_hmac("sha512", compute_entropy(secret), salt, 2048, 64)[:32]


def _chain_code(code: str) -> bytes:
    if code.startswith(("0x", "0X")):
        raise BadContent(
            f"the junction //{code} is hexadecimal, which wallets read differently",
            "use a word or a decimal number below 2^64",
        )
    if code.isascii() and code.isdecimal():
        number = int(code) if len(code) <= 20 else 1 << 64
        if number >= 1 << 64:
            raise BadContent(
                f"the junction //{code} is a number of more than 64 bits, "
                "which wallets read differently",
                "use a word or a decimal number below 2^64",
            )
        return number.to_bytes(8, "little").ljust(32, b"\0")
    text = code.encode()
    encoded = encode_compact(len(text)) + text
    if len(encoded) > 32:
        return hashlib.blake2b(encoded, digest_size=32).digest()
    return encoded.ljust(32, b"\0")


def _derive_hard(seed: bytes, chain_code: bytes) -> bytes:
    label = b"Ed25519HDKD"
    content = encode_compact(len(label)) + label + seed + chain_code
    return hashlib.blake2b(content, digest_size=32).digest()
