"""TOML from strangers: the library's reader behind bounds that it does not have.

The library takes quadratic time and memory for a key of many parts (900 MB for 30 kB), fails in
another way than it says where arrays nest deeply or a number has thousands of digits, and reads
hexadecimal numbers that nobody can print. A spec comes from the internet, or out of an archive.
"""

import re
import tomllib
from typing import Any, Final

KEY_PARTS_MAX: Final = 8
"""Parts of a dotted key; ours have two."""

_LONG_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9_-])"
    r"(?:(?:\"[^\"\n]*+\"|'[^'\n]*+'|[A-Za-z0-9_-]++)[ \t]*+\.[ \t]*+)"
    f"{{{KEY_PARTS_MAX}}}"
)
"""What may be a key of too many parts; in a text or a comment it is refused all the same."""

_LONG_NUMBER: Final = re.compile(r"(?<!\w)(?:0[xob][0-9a-fA-F_]{65}|[0-9][0-9_]{40})")
"""What may be a number beyond 256 bits, or of more than 40 digits."""

_QUOTED: Final = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")


class BadToml(ValueError):
    """A text that is not TOML, or more of it than anybody writes; the sentence says where."""


def parse_toml(text: str) -> dict[str, Any]:
    """Give the tables of a TOML document. Raises BadToml."""
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise BadToml(f"line {line} has a key of more than {KEY_PARTS_MAX} parts")
    bare = _QUOTED.sub("", text)
    if _LONG_NUMBER.search(bare):
        raise BadToml("it has a number that is longer than any of ours")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise BadToml("its arrays or tables are nested too deeply") from error
    except ValueError as error:
        raise BadToml(str(error)) from error
