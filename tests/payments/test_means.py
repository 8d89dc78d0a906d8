"""Means of payment, cash rounding and the sums people hand over, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.payments.means import (
    CASH,
    DENOMINATIONS,
    MEANS,
    MOST_SUGGESTED,
    UnknownMeansError,
    cash_due,
    likely_cash,
    means,
    pieces,
)


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


@pytest.mark.parametrize(
    ("due_ore", "kronor"),
    [
        (18_730, (187, 190, 200, 500, 1000)),
        (23_000, (230, 250, 300, 400, 500, 1000)),
        (1_249, (12, 20, 50, 100, 200, 500)),
        (10_000, (100, 200, 500, 1000)),
        (199_900, (1999, 2000)),
        (49, ()),
        (50, (1, 10, 50, 100, 200, 500)),
        (0, ()),
        (-500, ()),
    ],
)
def test_pay3_the_suggested_sums_are_what_people_hand_over(due_ore: int, kronor: tuple[int, ...]) -> None:
    assert likely_cash(due_ore) == tuple(krona * 100 for krona in kronor)


@given(st.integers(50, 10**9))
def test_pay3_every_suggested_sum_pays_and_the_first_is_exact(due: int) -> None:
    sums = likely_cash(due)
    assert sums[0] == cash_due(due)
    assert list(sums) == sorted(set(sums))
    assert 1 <= len(sums) <= MOST_SUGGESTED
    assert all(ore % 100 == 0 and ore < cash_due(due) + 100_000 for ore in sums)


@given(st.integers(0, 20_000))
def test_pay3_change_is_the_fewest_pieces(kronor: int) -> None:
    found = pieces(kronor * 100)
    assert sum(denomination * count for denomination, count in found) == kronor * 100
    assert [denomination for denomination, _ in found] == sorted((d for d, _ in found), reverse=True)
    assert sum(count for _, count in found) == FEWEST[kronor % 1000] + kronor // 1000


def _fewest(most: int) -> list[int]:
    """By trying everything: the fewest pieces for each sum in kronor."""
    fewest = [0]
    for kronor in range(1, most):
        fewest.append(1 + min(fewest[kronor - d // 100] for d in DENOMINATIONS if d // 100 <= kronor))
    return fewest


FEWEST = _fewest(1000)
