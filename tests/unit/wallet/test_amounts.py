import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallet.amounts import AMOUNT_MAX, format_amount, parse_amount, show_amount
from chain.wallet.errors import WrongUse


@pytest.mark.parametrize(
    ("text", "grains"),
    [
        ("12.5", 12_500_000_000),
        ("0.000000001", 1),
        ("0", 0),
        ("1 GRIST", 1_000_000_000),
        ("7grains", 7),
        ("1 grain", 1),
        ("9223372036.854775807", AMOUNT_MAX),
        ("0.1", 100_000_000),
    ],
)
def test_an_amount_is_read_exactly(text, grains):
    assert parse_amount(text) == grains


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1e9", "1,5", "0.0000000001", "1.5grains", "9223372036.854775808", "٣", "1_000",
     ".5", "5.", "NaN", "0x10", "1 DOT"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(WrongUse):
        parse_amount(text)


@given(st.integers(0, AMOUNT_MAX))
def test_an_amount_survives_being_written_and_read(grains):
    assert parse_amount(format_amount(grains)) == grains
    assert parse_amount(show_amount(grains)) == grains


def test_a_difference_is_written_with_its_sign():
    assert format_amount(-1_500_000_000) == "-1.5"
