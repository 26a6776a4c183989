"""Rows that the reference trainer can learn from: made from a seed, or read from CSV and IDX.

A row is 64 bytes: 63 features as signed bytes, then the number of its class from 1 on. Sixteen rows
are a leaf; the last leaf is padded with rows of zeros, which the trainer passes over. A step takes
rows as they stand, so whoever reads rows in the order of their classes shuffles them.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final

from ext import hashing
from ext import trainer as core
from runtime.market.trees import split_leaves

FEATURES: Final = core.INPUTS - 1
"""Features of a row; the last input is the constant."""

FEATURE_MAX: Final = 127
"""Features are read into -127 .. 127."""

_NUMBER: Final = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
"""How a number is written; one with a longer exponent would not end."""

IDX_IMAGES: Final = 0x0803
"""An IDX file of unsigned bytes with three dimensions."""

IDX_LABELS: Final = 0x0801
"""An IDX file of unsigned bytes with one dimension."""


class BadRows(ValueError):
    """What was read is no table of rows; the sentence says where and why."""


def encode_row(features: Sequence[int], label: int) -> bytes:
    """Give the 64 bytes of a row; missing features are zero, classes count from 0.

    Raises BadRows for numbers that do not fit.
    """
    if len(features) > FEATURES:
        raise BadRows(f"a row has at most {FEATURES} features, not {len(features)}")
    if not 0 <= label < core.OUTPUTS_MAX:
        raise BadRows(f"there are classes 0 to {core.OUTPUTS_MAX - 1}, not {label}")
    if any(not -128 <= feature <= FEATURE_MAX for feature in features):
        raise BadRows("a feature is -128 to 127")
    encoded = bytes(feature & 0xFF for feature in features)
    return encoded.ljust(FEATURES, b"\x00") + bytes((label + 1,))


def make_leaves(rows: Iterable[bytes]) -> list[bytes]:
    """Give the leaves of rows in their order."""
    return split_leaves(b"".join(rows))


def read_rows(leaves: Iterable[bytes]) -> list[bytes]:
    """Give the rows of leaves, padding aside."""
    content = b"".join(leaves)
    rows = [content[at : at + core.ROW_BYTES] for at in range(0, len(content), core.ROW_BYTES)]
    return [row for row in rows if row[-1]]


def shuffle(rows: Sequence[bytes], seed: bytes) -> list[bytes]:
    """Give rows in an order that only the seed and their number decide."""
    order = range(len(rows))
    keys = [hashing.blake2b_256(seed + number.to_bytes(8, "little")) for number in order]
    return [rows[number] for number in sorted(order, key=keys.__getitem__)]


def make_clusters(
    seed: bytes, *, rows: int, classes: int, spread: int = 64, features: int = FEATURES
) -> list[bytes]:
    """Make rows of classes that lie around a centre each, everything from the seed.

    A centre has features of -32 .. 31. Around it they fall like a bell: the sum of four bytes of a
    hash, `spread` wide where it stands at half. Classes follow each other in a mixed order.
    """
    if not 1 <= classes <= core.OUTPUTS_MAX or not 1 <= features <= FEATURES or rows < 0:
        raise BadRows(f"1 to {core.OUTPUTS_MAX} classes and 1 to {FEATURES} features")
    centres = [[byte % 64 - 32 for byte in _stream(seed, 0, c, features)] for c in range(classes)]
    made = []
    for number in range(rows):
        noise = _stream(seed, 1, number, 4 * features + 1)
        label = noise[-1] * classes >> 8
        values = [
            centre + (sum(noise[4 * i : 4 * i + 4]) - 510) * spread // 512
            for i, centre in enumerate(centres[label])
        ]
        made.append(encode_row([min(max(v, -128), FEATURE_MAX) for v in values], label))
    return made


def write_csv(rows: Iterable[bytes]) -> str:
    """Give rows as lines of 63 numbers and a class, as `read_csv` reads them."""
    lines = []
    for row in rows:
        features = (byte - 256 if byte > FEATURE_MAX else byte for byte in row[:FEATURES])
        lines.append(",".join(str(number) for number in (*features, row[FEATURES])) + "\n")
    return "".join(lines)


def read_csv(text: str, *, label: int = -1, has_header: bool | None = None) -> list[bytes]:
    """Read rows of numbers with a class in column `label`, the last one unless said otherwise.

    Every column is stretched so that its numbers reach from -127 to 127; classes are numbered in
    the order of their names. A first line that has no numbers is a header. Raises BadRows.
    """
    try:
        table = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise BadRows(f"this is no table: {error}") from error
    if table and (has_header or (has_header is None and _is_header(table[0], label))):
        del table[0]
    if not table:
        raise BadRows("there are no rows")
    width = len(table[0])
    for number, row in enumerate(table, 1):
        if len(row) != width:
            raise BadRows(f"row {number} has {len(row)} columns, the first has {width}")
    if not -width <= label < width or not 2 <= width <= FEATURES + 1:
        raise BadRows(f"a row has a class and 1 to {FEATURES} features")
    names = [row.pop(label).strip() for row in table]
    classes = {name: number for number, name in enumerate(sorted({*names}))}
    if len(classes) > core.OUTPUTS_MAX:
        raise BadRows(f"there are {len(classes)} classes, at most {core.OUTPUTS_MAX} are learned")
    columns = [_stretch(_numbers(column)) for column in zip(*table, strict=True)]
    features = zip(*columns, strict=True)
    return [encode_row(row, classes[name]) for row, name in zip(features, names, strict=True)]


def read_idx(images: bytes, labels: bytes) -> list[bytes]:
    """Read pictures and their classes from IDX files as MNIST has them.

    A picture becomes means over a grid of at most 63 cells, dark -128, bright 127. Raises BadRows.
    """
    count, height, width = _read_idx_head(images, IDX_IMAGES, 3)
    (told,) = _read_idx_head(labels, IDX_LABELS, 1)
    if count != told:
        raise BadRows(f"there are {count} pictures and {told} classes")
    if not count or not height or not width:
        raise BadRows("the pictures are empty")
    cells = list(_grid(height, width))
    size, rows = height * width, []
    for number in range(count):
        picture = images[16 + number * size : 16 + (number + 1) * size]
        means = [sum(picture[at] for at in cell) // len(cell) - 128 for cell in cells]
        rows.append(encode_row(means, labels[8 + number]))
    return rows


def _stream(seed: bytes, kind: int, number: int, length: int) -> bytes:
    """Give so many bytes that only the seed and two numbers decide."""
    head = b"gm-rows" + bytes((kind,)) + number.to_bytes(8, "little")
    blocks = range(-(-length // 64))
    parts = [hashing.blake2b_512(head + block.to_bytes(4, "little") + seed) for block in blocks]
    return b"".join(parts)[:length]


def _is_header(row: Sequence[str], label: int) -> bool:
    cells = list(row)
    if -len(cells) <= label < len(cells):
        cells.pop(label)
    return not any(_find_number(cell) is not None for cell in cells)


def _find_number(cell: str) -> Fraction | None:
    return Fraction(cell.strip()) if _NUMBER.fullmatch(cell.strip()) else None


def _numbers(column: Sequence[str]) -> list[Fraction]:
    found = []
    for number, cell in enumerate(column, 1):
        value = _find_number(cell)
        if value is None:
            raise BadRows(f"row {number} has {cell!r} where a number should be")
        found.append(value)
    return found


def _stretch(column: Sequence[Fraction]) -> list[int]:
    """Bring a column to -127 .. 127, rounded down; a column that never changes is all zero."""
    low, high = min(column), max(column)
    if low == high:
        return [0] * len(column)
    scale = Fraction(2 * FEATURE_MAX) / (high - low)
    return [int((value - low) * scale) - FEATURE_MAX for value in column]


def _read_idx_head(content: bytes, kind: int, dimensions: int) -> tuple[int, ...]:
    """Give the dimensions of an IDX file whose length is theirs."""
    head = 4 + 4 * dimensions
    if len(content) < head or int.from_bytes(content[:4], "big") != kind:
        raise BadRows(f"this is no IDX file of bytes in {dimensions} dimensions")
    sizes = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, head, 4))
    size = head + math.prod(sizes)
    if len(content) != size:
        raise BadRows(f"an IDX file of {sizes} has {size} bytes, not {len(content)}")
    return sizes


def _grid(height: int, width: int) -> Iterator[list[int]]:
    """Yield the pixels of each cell of the finest grid that rows have room for."""
    pairs = [(r, min(width, FEATURES // r)) for r in range(1, min(height, FEATURES) + 1)]
    rows, columns = max(pairs, key=lambda pair: (pair[0] * pair[1], -abs(pair[0] - pair[1])))
    for row in range(rows):
        for column in range(columns):
            yield [
                y * width + x
                for y in range(row * height // rows, (row + 1) * height // rows)
                for x in range(column * width // columns, (column + 1) * width // columns)
            ]
