"""Rows from a seed, a CSV file, and pictures: what the bytes are, and what is refused."""

from hashlib import blake2b

import pytest

from chain.market.rows import (
    BadRows,
    encode_row,
    make_clusters,
    make_leaves,
    read_csv,
    read_idx,
    read_rows,
    shuffle,
)


def told(row: bytes, features: int) -> tuple[list[int], int]:
    """The first features of a row, and its class; the others are zero."""
    assert row[features:63] == bytes(63 - features)
    return [byte - 256 if byte > 127 else byte for byte in row[:features]], row[63] - 1


def test_a_row_is_features_and_a_label_from_one_on() -> None:
    assert encode_row([1, -1, 127, -128], 3) == b"\x01\xff\x7f\x80" + bytes(59) + b"\x04"
    assert encode_row([], 0) == bytes(63) + b"\x01"
    assert encode_row([5] * 63, 31) == b"\x05" * 63 + b"\x20"


@pytest.mark.parametrize(
    ("features", "label", "sentence"),
    [
        ([0] * 64, 0, "at most 63 features, not 64"),
        ([128], 0, "-128 to 127"),
        ([-129], 0, "-128 to 127"),
        ([0], 32, "classes 0 to 31, not 32"),
        ([0], -1, "classes 0 to 31, not -1"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    features: list[int], label: int, sentence: str
) -> None:
    with pytest.raises(BadRows, match=sentence):
        encode_row(features, label)


def test_leaves_give_back_their_rows_without_padding() -> None:
    rows = [encode_row([n], n % 5) for n in range(37)]
    leaves = make_leaves(rows)
    assert [len(leaf) for leaf in leaves] == [1_024] * 3
    assert read_rows(leaves) == rows


def test_a_seed_gives_the_same_rows_for_ever() -> None:
    rows = make_clusters(b"seed", rows=50, classes=3)
    digest = blake2b(b"".join(rows), digest_size=16).hexdigest()
    assert digest == "2938e8f12a174c52fa8a8d5acaaa9d3f"
    assert make_clusters(b"seed", rows=50, classes=3) == rows
    assert make_clusters(b"seed", rows=20, classes=3) == rows[:20]
    assert make_clusters(b"tree", rows=50, classes=3) != rows


def test_clusters_have_every_class_and_lie_around_different_centres() -> None:
    rows = make_clusters(b"seed", rows=600, classes=5, spread=40, features=8)
    by_class: dict[int, list[list[int]]] = {n: [] for n in range(5)}
    for row in rows:
        features, label = told(row, 8)
        by_class[label].append(features)
    assert all(80 < len(found) < 160 for found in by_class.values())
    means = [
        [sum(column) // len(found) for column in zip(*found, strict=True)]
        for found in by_class.values()
    ]
    assert len({tuple(mean) for mean in means}) == 5
    assert all(-36 <= value <= 36 for mean in means for value in mean)


@pytest.mark.parametrize(("classes", "features"), [(0, 1), (33, 1), (1, 0), (1, 64)])
def test_clusters_have_the_bounds_of_the_trainer(classes: int, features: int) -> None:
    with pytest.raises(BadRows):
        make_clusters(b"", rows=1, classes=classes, features=features)


def test_shuffling_keeps_all_rows_and_depends_on_the_seed() -> None:
    rows = [encode_row([n], 0) for n in range(60)]
    mixed = shuffle(rows, b"a")
    assert mixed != rows
    assert sorted(mixed) == sorted(rows)
    assert shuffle(rows, b"a") == mixed
    assert shuffle(rows, b"b") != mixed


CSV = "length,width,name\n1.0,5,oak\n2.0,5,ash\n\n4.0,5,oak\n"


def test_a_table_is_stretched_column_by_column() -> None:
    rows = [told(row, 2) for row in read_csv(CSV)]
    # 1 to 4 become -127 to 127: 2 lies a third of 254 above -127, which is -42.33, rounded down.
    assert rows == [([-127, 0], 1), ([-43, 0], 0), ([127, 0], 1)]


def test_a_class_may_stand_in_any_column() -> None:
    turned = "b,1,-3e0\na,.5,+7.\n"
    rows = [told(row, 2) for row in read_csv(turned, label=0)]
    assert rows == [([127, -127], 1), ([-127, 127], 0)]


def test_a_header_is_found_or_named() -> None:
    numbers = "1,2,0\n3,4,1\n"
    assert len(read_csv(numbers)) == 2
    assert len(read_csv(numbers, has_header=True)) == 1
    with pytest.raises(BadRows, match="row 1 has 'length' where a number should be"):
        read_csv(CSV, has_header=False)


@pytest.mark.parametrize(
    ("text", "label", "sentence"),
    [
        ("", -1, "no rows"),
        ("a,b\n", -1, "no rows"),
        ("1,2\n1\n", -1, "row 2 has 1 columns, the first has 2"),
        ("1\n2\n", -1, "1 to 63 features"),
        (",".join(["1"] * 65), -1, "1 to 63 features"),
        ("1,a\n1,b\n", 2, "1 to 63 features"),
        ("1,a\nx,b\n", -1, "row 2 has 'x' where a number"),
        ("1,a\nnan,b\n", -1, "row 2 has 'nan' where a number"),
        ("1,a\n1e99999999,b\n", -1, "where a number should be"),
        ("1,a\n1/0,b\n", -1, "where a number should be"),
        ("".join(f"1,{n}\n" for n in range(33)), -1, "33 classes, at most 32"),
    ],
)
def test_what_is_no_table_is_refused(text: str, label: int, sentence: str) -> None:
    with pytest.raises(BadRows, match=sentence):
        read_csv(text, label=label)


def idx(kind: int, sizes: list[int], content: bytes) -> bytes:
    head = kind.to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in sizes)
    return head + content


def test_a_picture_becomes_means_over_a_grid() -> None:
    pictures = idx(0x0803, [2, 2, 2], bytes((0, 255, 128, 1)) + bytes((9, 9, 9, 9)))
    rows = read_idx(pictures, idx(0x0801, [2], b"\x07\x00"))
    assert [told(row, 4) for row in rows] == [([-128, 127, 0, -127], 7), ([-119] * 4, 0)]


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (1, 100), (100, 1), (64, 64)])
def test_a_large_picture_loses_no_pixel(size: tuple[int, int]) -> None:
    height, width = size
    black, label = bytes(height * width), idx(0x0801, [1], b"\0")
    (dark,) = read_idx(idx(0x0803, [1, height, width], black), label)
    for at in range(0, height * width, 23):
        lit = black[:at] + b"\xff" + black[at + 1 :]
        (row,) = read_idx(idx(0x0803, [1, height, width], lit), label)
        assert sum(seen != was for seen, was in zip(row, dark, strict=True)) == 1


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (b"", b"", "no IDX file of bytes in 3 dimensions"),
        (idx(0x0803, [1, 1, 1], b"x"), b"", "no IDX file of bytes in 1 dimensions"),
        (idx(0x0801, [1, 1, 1], b"x"), b"", "no IDX file of bytes in 3 dimensions"),
        (idx(0x0803, [1, 1, 1], b""), idx(0x0801, [1], b"x"), "has 17 bytes, not 16"),
        (idx(0x0803, [1, 1, 1], b"xx"), idx(0x0801, [1], b"x"), "has 17 bytes, not 18"),
        (idx(0x0803, [2, 1, 1], b"xx"), idx(0x0801, [1], b"x"), "2 pictures and 1 classes"),
        (idx(0x0803, [1, 0, 5], b""), idx(0x0801, [1], b"x"), "pictures are empty"),
        (idx(0x0803, [1, 1, 1], b"x"), idx(0x0801, [1], b"\x20"), "classes 0 to 31, not 32"),
    ],
)
def test_what_is_no_pair_of_idx_files_is_refused(
    images: bytes, labels: bytes, sentence: str
) -> None:
    with pytest.raises(BadRows, match=sentence):
        read_idx(images, labels)


@pytest.mark.parametrize("text", ["1,2\r3,4\n", "1," + '"' + "x" * 140_000])
def test_what_the_reader_of_tables_chokes_on_is_refused_in_a_sentence(text):
    with pytest.raises(BadRows, match="no table"):
        read_csv(text)


def test_no_pictures_of_a_great_size_are_refused_before_they_are_cut_into_cells():
    images = (0x0803).to_bytes(4, "big") + bytes(4) + (1 << 24).to_bytes(4, "big") * 2
    with pytest.raises(BadRows, match="empty"):
        read_idx(images, (0x0801).to_bytes(4, "big") + bytes(4))
