"""Means of payment and cash rounding, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.payments.means import CASH, MEANS, UnknownMeansError, cash_due, means


@pytest.mark.parametrize("ore", range(100))
def test_pay1_1_to_49_ore_go_down_and_50_to_99_up(ore: int) -> None:
    for kronor in (0, 1, 7, 1234):
        assert cash_due(kronor * 100 + ore) == (kronor + (1 if ore >= 50 else 0)) * 100


@given(st.integers(0, 10**9))
def test_pay1_rounding_moves_at_most_half_a_krona_and_rounds_once(due: int) -> None:
    rounded = cash_due(due)
    assert rounded % 100 == 0
    assert -50 <= due - rounded <= 49
    assert cash_due(rounded) == rounded


@pytest.mark.parametrize("name", ["", "Cash", "kontant", "bitcoin", "cash ", "\ud800", "x" * 10_000])
def test_pay2_what_is_no_means_is_refused_in_words(name: str) -> None:
    with pytest.raises(UnknownMeansError) as refused:
        means(name)
    assert len(str(refused.value)) < 300


def test_pay2_only_cash_is_taken_back_by_the_till_itself() -> None:
    assert [name for name, m in MEANS.items() if m.reversible] == [CASH]
    assert all(1000 <= m.account <= 2999 and m.sentence for m in MEANS.values())
    assert len({m.account for m in MEANS.values()}) == len(MEANS)
