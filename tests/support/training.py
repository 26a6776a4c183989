"""Models and rows for tests of the trainer: drawn, extreme, or from a stream of hashes."""

from hashlib import blake2b

from hypothesis import strategies as st

ENDS = (-(1 << 31)).to_bytes(4, "little", signed=True) + ((1 << 31) - 1).to_bytes(4, "little")
"""The least weight and the greatest."""


def stream(seed: bytes, length: int) -> bytes:
    """As many bytes as wanted that only the seed decides."""
    blocks = range(-(-length // 64))
    return b"".join(blake2b(seed + n.to_bytes(8, "little")).digest() for n in blocks)[:length]


def rows_from(seed: bytes, count: int, outputs: int) -> bytes:
    """Rows whose labels are classes, padding, and one class too many."""
    content = bytearray(stream(seed, 64 * count))
    for at in range(63, len(content), 64):
        content[at] %= outputs + 2
    return bytes(content)


def ends(outputs: int) -> bytes:
    """Weights at both ends of 32 bits, in turn."""
    return ENDS * (32 * outputs)


@st.composite
def models(draw: st.DrawFn) -> tuple[int, bytes]:
    """Outputs and weights: any, small, all the same, or at the ends."""
    outputs = draw(st.integers(1, 32))
    length = 256 * outputs
    one = draw(st.integers(-(1 << 31), (1 << 31) - 1)).to_bytes(4, "little", signed=True)
    small = b"".join(
        (byte - 128).to_bytes(4, "little", signed=True)
        for byte in stream(draw(st.binary(max_size=4)), length // 4)
    )
    kinds = [
        st.just(stream(draw(st.binary(max_size=4)), length)),
        st.just(small),
        st.just(one * (length // 4)),
        st.just(ends(outputs)),
        st.just(bytes(length)),
    ]
    return outputs, draw(st.one_of(kinds))


@st.composite
def batches(draw: st.DrawFn, count: int = 32) -> bytes:
    """Rows: any, or with features that are all the same, and labels near the bounds."""
    content = bytearray(stream(draw(st.binary(max_size=4)), 64 * count))
    if draw(st.booleans()):
        content = bytearray(bytes((draw(st.sampled_from([0, 1, 127, 128, 255])),)) * (64 * count))
    labels = draw(st.lists(st.integers(0, 34) | st.just(255), min_size=count, max_size=count))
    for row, label in enumerate(labels):
        content[64 * row + 63] = label
    return bytes(content)
