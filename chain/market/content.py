"""A directory of data and weights, each file named by the hash of what it holds.

    DIR/<64 digits>            leaves of a dataset, named by the root of their tree
    DIR/<64 digits>.weights    weights of a model, named by their state

Whoever reads checks: a file that does not hold what its name says is as good as none.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chain.errors import GristmillError
from chain.storage import durable
from runtime.market.trainer import WEIGHTS_BYTES_MAX, state_hash
from runtime.market.trees import DATA_LEAF_BYTES, LEAVES_MAX, split_leaves, tree_root

DATA_BYTES_MAX: Final = DATA_LEAF_BYTES * LEAVES_MAX
"""The largest dataset: as many leaves as a tree has room for."""


class DataMissing(GristmillError):
    """A directory has no file of this hash; put it there, or name a peer that has it."""


class DataSpoiled(GristmillError):
    """A file does not hold what its name says; delete it and fetch it again."""


class DataDirectory:
    """A directory of files that are named by what they hold; made when something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, leaves: Sequence[bytes]) -> bytes:
        """Keep the leaves of a dataset and give their root. Raises ValueError and OSError.

        Every leaf has 1,024 bytes. What is there already is not written again.
        """
        if not leaves or any(len(leaf) != DATA_LEAF_BYTES for leaf in leaves):
            raise ValueError(f"a dataset has leaves, each of {DATA_LEAF_BYTES} bytes")
        root = tree_root(leaves)
        self._keep(root.hex(), b"".join(leaves))
        return root

    def read(self, root: bytes) -> list[bytes]:
        """Give the leaves under a root. Raises DataMissing and DataSpoiled."""
        return check_content(root, self._load(root.hex(), DATA_BYTES_MAX))

    def write_weights(self, weights: bytes) -> bytes:
        """Keep weights and give their state. Raises OSError."""
        state = state_hash(weights)
        self._keep(f"{state.hex()}.weights", weights)
        return state

    def read_weights(self, state: bytes) -> bytes:
        """Give the weights of a state. Raises DataMissing and DataSpoiled."""
        return check_weights(state, self._load(f"{state.hex()}.weights", WEIGHTS_BYTES_MAX))

    def __contains__(self, root: bytes) -> bool:
        """Whether there is a file of this root; only reading says whether it is sound."""
        return (self.path / root.hex()).is_file()

    def roots(self) -> list[bytes]:
        """Give the roots of all datasets whose files are here, ascending."""
        if not self.path.is_dir():
            return []
        names = sorted(path.name for path in self.path.iterdir() if path.is_file())
        return [bytes.fromhex(name) for name in names if _is_root(name)]

    def _keep(self, name: str, content: bytes) -> None:
        path = self.path / name
        if path.is_file() and path.read_bytes() == content:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        durable.write_file(path, content, mode=0o644)

    def _load(self, name: str, size_max: int) -> bytes:
        path = self.path / name
        try:
            if path.stat().st_size > size_max:
                raise DataSpoiled(f"{path} has more than {size_max} bytes")
            return path.read_bytes()
        except FileNotFoundError as error:
            raise DataMissing(f"there is no {name} in {self.path}") from error


def check_content(root: bytes, content: bytes) -> list[bytes]:
    """Give the leaves in raw bytes, from wherever they came. Raises DataSpoiled."""
    if not content or len(content) % DATA_LEAF_BYTES:
        raise DataSpoiled(f"{len(content)} bytes are no leaves of {DATA_LEAF_BYTES}")
    leaves = split_leaves(content)
    if tree_root(leaves) != root:
        raise DataSpoiled(f"the content under {root.hex()} is another")
    return leaves


def check_weights(state: bytes, weights: bytes) -> bytes:
    """Give weights back, from wherever they came. Raises DataSpoiled."""
    if state_hash(weights) != state:
        raise DataSpoiled(f"the weights of {state.hex()} are others")
    return weights


def _is_root(name: str) -> bool:
    return len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)
