"""The corpus: inputs that found something once, one file each, in a directory a target.

    tests/fuzz/corpus/TARGET/<16 digits>        named by the digest of what it holds

The default tests read all of them, so that nothing that was mended breaks again.
"""

from pathlib import Path

from tests.fuzz.engine import name_of

CORPUS = Path(__file__).parent / "corpus"

CORPUS_BYTES_MAX = 1 << 20
"""Of all files together."""


def load(target: str) -> list[bytes]:
    """Give the inputs of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def save(target: str, data: bytes, directory: Path = CORPUS) -> Path:
    """Keep an input."""
    path = directory / target / name_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
