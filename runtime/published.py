"""Content hashes of the versions that were published: the only source that no hash is over.

A line is written on the day a version is released, from what `gristmill chain versions` prints, and
never changes after that: chains have voted on it. Whoever has the sources of that day can make it
again. A later release may make the same rules faster; it is the same version.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PUBLISHED: Final[Mapping[int, bytes]] = MappingProxyType({})
"""32 bytes by version."""
