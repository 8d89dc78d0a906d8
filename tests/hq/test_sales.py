"""What a day is asked for, and the calendar it stands in."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from oppet.figures.estimate import HOLIDAY
from oppet.figures.sales import GROUP_STORES, BadDayError, _scale, _some, day_of, holiday, kind_of


@pytest.mark.shared
def test_q1_the_calendar_knows_every_public_holiday_of_sixteen_years(shared_data: Path) -> None:
    with (shared_data / "sweden" / "holidays_2011_2026.csv").open(encoding="utf-8") as lines:
        listed = {row["date"] for row in csv.DictReader(lines)}
    found = {
        day.isoformat()
        for number in range(date(2011, 1, 1).toordinal(), date(2027, 1, 1).toordinal())
        if holiday(day := date.fromordinal(number))
    }
    assert found == listed


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-04-03", "Good Friday"), ("2026-04-05", "Easter Day"), ("2026-05-14", "Ascension Day"), ("2026-06-19", "Midsummer Eve"),
        ("2026-06-20", "Midsummer Day"), ("2026-10-31", "All Saints’ Day"), ("2026-12-24", "Christmas Eve"), ("2026-11-20", ""),
        ("2027-03-28", "Easter Day"), ("2030-04-21", "Easter Day"),
    ],
)  # fmt: skip
def test_q1_a_holiday_is_known_by_its_name(day: str, name: str) -> None:
    assert holiday(date.fromisoformat(day)) == name
    assert (kind_of(date.fromisoformat(day).toordinal()) == HOLIDAY) is bool(name)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "2023-12-31",
        "2026-02-30",
        "20261120",
        "today",
        "2026-W47-5",
        "' OR 1=1",
        "2026-11-2x",
        "9999-99-99",
    ],
)
def test_q8_a_day_of_nonsense_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadDayError) as refused:
        day_of(text, "2026-11-20")
    assert "2026-11-20" in str(refused.value)


def test_q8_no_day_is_today() -> None:
    assert day_of("", "2026-11-20") == day_of("2026-11-20", "2026-11-20") == "2026-11-20"


def test_q1_of_many_stores_that_lag_alike_only_some_are_read_by_article_group_and_stand_for_all() -> None:
    classes = {f"S{number:03d}": 1 + number % 2 for number in range(200)} | {"S900": 3}
    some = _some(classes)
    assert len(some) == 2 * GROUP_STORES + 1
    assert all(classes[store] == number for store, number in some.items())
    assert _some(dict(reversed(classes.items()))) == some, "the same ones every time"
    assert _scale([10.0, 20.0], [40.0, 80.0]) == 4.0
    assert _scale([], [40.0]) == _scale([10.0], []) == 1.0
