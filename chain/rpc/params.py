"""Parameters as stock clients send them: hex strings, addresses, numbers in several spellings."""

from typing import Final

from chain.rpc.jsonrpc import Json, Param
from chain.wallet import ss58
from chain.wallet.errors import BadContent

HEX_BYTES_MAX: Final = 512 * 1024
"""Longest byte string a parameter may carry; an extrinsic has at most 32 KiB."""
KEYS_MAX: Final = 1_000
"""Most keys of one request or subscription, as Substrate's servers limit pages."""
HEIGHT_MAX: Final = 2**32 - 1
"""Block numbers are u32."""


def parse_hex(value: Json) -> bytes:
    """Read `0x...`; raises ValueError."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("expected a hex string that begins with 0x")
    if len(value) > 2 + 2 * HEX_BYTES_MAX:
        raise ValueError(f"longer than {HEX_BYTES_MAX} bytes")
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise ValueError("not pairs of hexadecimal digits") from None


def parse_hash(value: Json) -> bytes:
    """Read a 32-byte hash; raises ValueError."""
    data = parse_hex(value)
    if len(data) != 32:
        raise ValueError(f"a hash has 32 bytes, not {len(data)}")
    return data


def parse_height(value: Json) -> int:
    """Read a block number: an integer, or a string in hex or decimal; raises ValueError."""
    if isinstance(value, str):
        try:
            value = int(value, 16 if value.startswith("0x") else 10)
        except ValueError:
            raise ValueError("not a block number") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a block number")
    if not 0 <= value <= HEIGHT_MAX:
        raise ValueError(f"block numbers go from 0 to {HEIGHT_MAX}")
    return value


def parse_heights(value: Json) -> int | list[int]:
    """Read a block number or a list of them, as chain_getBlockHash takes; raises ValueError."""
    if isinstance(value, list):
        if len(value) > KEYS_MAX:
            raise ValueError(f"at most {KEYS_MAX} block numbers at once")
        return [parse_height(item) for item in value]
    return parse_height(value)


def parse_account(value: Json) -> bytes:
    """Read an account: SS58 address of any prefix, or 32 bytes in hex; raises ValueError."""
    if isinstance(value, str) and value.startswith("0x"):
        return parse_hash(value)
    if not isinstance(value, str):
        raise ValueError("expected an address")
    try:
        return ss58.decode_address(value)[1]
    except BadContent as error:
        raise ValueError(error.message) from None


def parse_keys(value: Json) -> list[bytes]:
    """Read a list of storage keys, each once; raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("expected a list of storage keys")
    if len(value) > KEYS_MAX:
        raise ValueError(f"at most {KEYS_MAX} keys at once")
    return list(dict.fromkeys(parse_hex(item) for item in value))


def parse_count(value: Json) -> int:
    """Read how many items are wanted: 1 to KEYS_MAX; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= KEYS_MAX:
        raise ValueError(f"expected a whole number from 1 to {KEYS_MAX}")
    return value


def parse_text(value: Json) -> str:
    """Read a short string; raises ValueError."""
    if not isinstance(value, str) or len(value) > 256:
        raise ValueError("expected a string of at most 256 characters")
    return value


def parse_number(value: Json) -> int:
    """Read the number of a job or of whatever else is numbered; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HEIGHT_MAX:
        raise ValueError(f"expected a whole number from 0 to {HEIGHT_MAX}")
    return value


def parse_place(value: Json) -> tuple[int, int]:
    """Read [height, index], the place of an extrinsic; raises ValueError."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("expected [height, index]")
    return parse_height(value[0]), parse_height(value[1])


_HEX = {"type": "string", "pattern": "^0x([0-9a-f]{2})*$"}
_HEIGHT = {"type": ["integer", "string"]}

HASH: Final = Param("hash", parse_hash, {"type": "string", "pattern": "^0x[0-9a-f]{64}$"})
"""A block hash."""
AT: Final = Param("at", parse_hash, HASH.schema, required=False)
"""The block whose state is meant; the newest when absent."""
HEIGHT: Final = Param("height", parse_height, _HEIGHT)
"""A block number."""
HEIGHTS: Final = Param("number", parse_heights, {"type": ["integer", "string", "array"]})
"""One block number or several."""
KEY: Final = Param("key", parse_hex, _HEX)
"""A storage key."""
PREFIX: Final = Param("prefix", parse_hex, _HEX)
"""The beginning of storage keys."""
KEYS: Final = Param("keys", parse_keys, {"type": "array", "items": _HEX})
"""Storage keys."""
BYTES: Final = Param("bytes", parse_hex, _HEX)
"""Arguments of a runtime call."""
EXTRINSIC: Final = Param("extrinsic", parse_hex, _HEX)
"""A signed extrinsic, length prefix included."""
EVIDENCE: Final = Param("evidence", parse_hex, _HEX)
"""A proof of misbehaviour as it stands in blocks."""
ACCOUNT: Final = Param("account", parse_account, {"type": "string"})
"""An address or 32 bytes in hex."""
COUNT: Final = Param("count", parse_count, {"type": "integer", "minimum": 1, "maximum": KEYS_MAX})
"""How many are wanted."""
NUMBER: Final = Param(
    "number", parse_number, {"type": "integer", "minimum": 0, "maximum": HEIGHT_MAX}
)
"""Which one."""
STATE: Final = Param("state", parse_text, {"type": "string"}, required=False)
"""Only those in this state."""
NAME: Final = Param("name", parse_text, {"type": "string"})
"""A name."""
SUBSCRIPTION: Final = Param("subscription", parse_text, {"type": "string"})
"""The id that subscribing gave."""
PLACE: Final = Param("before", parse_place, {"type": "array"}, required=False)
"""Where the page before ended."""
