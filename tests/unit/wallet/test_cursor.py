import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallet.cursor import ITEMS_FREE, Cursor, encode_compact_number, encode_var_bytes
from chain.wallet.errors import BadContent


@given(st.integers(0, (1 << 128) - 1))
def test_a_compact_number_survives(number):
    cursor = Cursor(encode_compact_number(number))
    assert cursor.compact() == number
    cursor.finish()


@pytest.mark.parametrize(
    "encoded",
    ["0100", "fd00", "02000000", "0300000000", "0300000001"[:8], "07ffffffff00", "13" + "00" * 8],
)
def test_a_compact_number_in_a_longer_form_is_refused(encoded):
    with pytest.raises(BadContent):
        Cursor(bytes.fromhex(encoded)).compact()


def test_a_count_that_cannot_fit_is_refused_before_it_is_followed():
    with pytest.raises(BadContent, match="more than fit"):
        Cursor(encode_compact_number(1 << 29) + b"abc").count()


@given(st.binary(max_size=40))
def test_bytes_from_elsewhere_end_in_a_value_or_a_refusal(content):
    for read in (Cursor.compact, Cursor.text, Cursor.var_bytes, Cursor.flag):
        try:
            read(Cursor(content))
        except BadContent as error:
            assert error.message  # noqa: PT017 - either outcome is right, another exception is not


def test_what_is_left_over_is_refused():
    cursor = Cursor(encode_var_bytes(b"ab") + b"c")
    assert cursor.var_bytes() == b"ab"
    with pytest.raises(BadContent, match="1 bytes are left over"):
        cursor.finish()


def test_a_reader_gives_up_after_many_items():
    for content, many in ((b"", ITEMS_FREE), (bytes(100), ITEMS_FREE + 100)):
        cursor = Cursor(content)
        for _ in range(many):
            cursor.spend()
        with pytest.raises(BadContent, match="more items than"):
            cursor.spend()
