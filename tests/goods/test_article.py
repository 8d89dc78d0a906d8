"""Prices by date and comparison prices."""

from __future__ import annotations

import pytest

from oppet.goods.article import Article, Price, price_at, unit_price_ore
from oppet.goods.errors import NoPriceError


def milk(*prices: Price, unit: str = "st", content_milli: int = 0) -> Article:
    return Article("1", "Mjölk", "Mejeri", "food", unit, prices, content_milli=content_milli)  # type: ignore[arg-type]


OLD = Price("2026-01-01", 1500)
NEW = Price("2026-11-23", 1700)
WEEK = Price("2026-11-16T08:00", 1200, valid_to="2026-11-21T20:00", member_ore=1000)


@pytest.mark.parametrize(
    ("when", "ore"),
    [
        ("2026-01-01", 1500),
        ("2026-11-16T07:59", 1500),
        ("2026-11-16T08:00", 1200),
        ("2026-11-21T19:59", 1200),
        ("2026-11-21T20:00", 1500),
        ("2026-11-22T23:59", 1500),
        ("2026-11-23T00:00", 1700),
        ("2026-11-23", 1700),
    ],
)
def test_g4_a_price_begins_and_ends_by_the_clock_alone(when: str, ore: int) -> None:
    """No reload and no network: the till's own clock picks among prices it already has (R18)."""
    assert price_at(milk(OLD, WEEK, NEW), when).ore == ore
    assert price_at(milk(NEW, WEEK, OLD), when).ore == ore


def test_g4_without_a_price_for_the_day_nothing_is_guessed() -> None:
    """A clock a year behind finds no price and says so (R18)."""
    with pytest.raises(NoPriceError) as refused:
        price_at(milk(OLD), "2025-11-22T12:00")
    assert refused.value.facts == {"name": "Mjölk", "when": "2025-11-22T12:00"}


def test_g4_of_prices_that_begin_together_the_last_written_counts() -> None:
    assert price_at(milk(OLD, Price("2026-01-01", 1600)), "2026-02-01").ore == 1600


def test_g5_a_comparison_price_is_per_kilo_litre_or_piece_where_the_content_is_known() -> None:
    assert unit_price_ore(milk(OLD, content_milli=1500), 1995) == 1330
    assert unit_price_ore(milk(OLD, content_milli=330), 1090) == 3303
    assert unit_price_ore(milk(OLD, unit="kg"), 3990) == 3990
    assert unit_price_ore(milk(OLD), 1995) is None
