"""Money as whole öre: reading, writing, rounding and sharing out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.money import (
    LARGEST_ORE,
    NotAnAmountError,
    NotAQuantityError,
    kronor,
    parse_kronor,
    parse_milli,
    round_half_up,
    spread,
    thousandths,
)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (0, 1, 0),
        (1, 2, 1),
        (-1, 2, -1),
        (1, 3, 0),
        (2, 3, 1),
        (-2, 3, -1),
        (149, 100, 1),
        (150, 100, 2),
        (-150, 100, -2),
    ],
)
def test_m1_halves_round_away_from_zero(numerator: int, denominator: int, rounded: int) -> None:
    assert round_half_up(numerator, denominator) == rounded


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_m1_rounding_is_never_more_than_half_off_and_knows_no_sign(numerator: int, denominator: int) -> None:
    rounded = round_half_up(numerator, denominator)
    assert abs(2 * (rounded * denominator - numerator)) <= denominator
    assert round_half_up(-numerator, denominator) == -rounded


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**7), min_size=1, max_size=40))
def test_m1_shares_add_up_to_the_ore_and_none_is_a_whole_ore_off(amount: int, weights: list[int]) -> None:
    shares = spread(amount, weights)
    assert sum(shares) == amount
    if total := sum(weights):
        assert all(abs(share * total - amount * weight) < total for share, weight in zip(shares, weights, strict=True))
        assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if weight == 0)


def test_m1_equal_remainders_go_to_the_earlier_share() -> None:
    assert spread(100, [1, 1, 1]) == [34, 33, 33]
    assert spread(-100, [1, 1, 1]) == [-34, -33, -33]
    assert spread(7, [0, 0]) == [7, 0]


@pytest.mark.parametrize(
    ("text", "ore"),
    [
        ("12", 1200), ("12,5", 1250), ("12.50", 1250), ("1 234,50", 123_450), ("1\N{NO-BREAK SPACE}234", 123_400),
        (" 0,05 ", 5), ("0", 0), ("007", 700), ("1000000", LARGEST_ORE), ("12,", 1200),
    ],
)  # fmt: skip
def test_m1_amounts_are_read_as_people_write_them(text: str, ore: int) -> None:
    assert parse_kronor(text) == ore


NONSENSE = [
    "", " ", ",", ",5",
    "-1", "+1", "1e3", "1,234", "1,2,3", "12.5.0", "0x10", "NaN", "inf", "\uff11\uff12", "٣", "½", "1000000,01", "9" * 13,
    "9" * 10_000, "12 kr", "12\n13", "1_000", "\x00", "\ud800", "−5",
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE)
def test_m1_s9_what_is_no_amount_is_refused_in_words(text: str) -> None:
    with pytest.raises(NotAnAmountError) as refused:
        parse_kronor(text)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("text", [text for text in NONSENSE if text != "1,234"])
def test_s9_what_is_no_quantity_is_refused_in_words(text: str) -> None:
    with pytest.raises(NotAQuantityError):
        parse_milli(text if text != "1000000,01" else "1000000,001")


@pytest.mark.parametrize(("text", "milli"), [("2", 2000), ("0,75", 750), ("0.750", 750), ("1,234", 1234), ("0", 0)])
def test_s9_quantities_are_thousandths(text: str, milli: int) -> None:
    assert parse_milli(text) == milli


@given(st.integers(0, LARGEST_ORE))
def test_m1_what_is_written_is_read_back(ore: int) -> None:
    assert parse_kronor(kronor(ore)) == ore
    assert parse_kronor(kronor(ore, ".")) == ore
    if ore <= LARGEST_ORE:
        assert parse_milli(thousandths(ore)) == ore


def test_m1_negative_amounts_keep_their_sign_below_one_krona() -> None:
    assert (kronor(-5), kronor(-123_450), thousandths(-750), thousandths(-2000)) == (
        "-0,05",
        "-1234,50",
        "-0,750",
        "-2",
    )
