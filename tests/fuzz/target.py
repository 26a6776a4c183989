"""What is fuzzed: a reader of bytes, what it may raise, and what it must give back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Read = Callable[[bytes], Any]
"""Reads bytes; raises one of the target's errors for whatever is not well formed."""


@dataclass(frozen=True)
class Target:
    """One decoder or door.

    `errors` are the only exceptions that it may raise. `write` gives the bytes of what was read: an
    accepted input that it does not give back is a find. `make` draws a structured input. `words`
    are pieces that inputs of this kind are made of. `share` says how many inputs of a night this
    target gets, beside the others; `round_size` how many a seed has. A long input may take
    `ns_a_byte` nanoseconds a byte, by default those of a megabyte a second.
    """

    name: str
    read: Read
    errors: tuple[type[BaseException], ...]
    seeds: Callable[[], Sequence[bytes]]
    write: Callable[[Any], bytes] | None = None
    make: Callable[[Random], bytes] | None = None
    words: tuple[bytes, ...] = ()
    bytes_max: int = 1 << 16
    share: int = 10
    round_size: int = 20_000
    ns_a_byte: int = 1_000
