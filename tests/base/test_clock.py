"""Instants as text and on a Swedish wall clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.clock import local, local_day, local_minute, parse_utc, utc_text

YEAR_2200 = 7_258_118_400_000


@given(st.integers(-YEAR_2200 // 4, YEAR_2200))
def test_j1_an_instant_is_24_characters_and_reads_back(instant: int) -> None:
    text = utc_text(instant)
    assert len(text) == 24
    assert parse_utc(text) == instant


@given(st.integers(0, YEAR_2200), st.integers(0, YEAR_2200))
def test_j1_instants_sort_as_their_texts(one: int, other: int) -> None:
    assert (one < other) == (utc_text(one) < utc_text(other))


@pytest.mark.parametrize(
    ("utc", "minute"),
    [
        ("2026-11-22T13:32:05.123Z", "2026-11-22T14:32"),
        ("2026-07-01T21:59:59.999Z", "2026-07-01T23:59"),
        ("2026-07-01T22:00:00.000Z", "2026-07-02T00:00"),
        ("2026-03-29T00:59:59.000Z", "2026-03-29T01:59"),  # the hour that is not there
        ("2026-03-29T01:00:00.000Z", "2026-03-29T03:00"),
        ("2026-10-25T00:30:00.000Z", "2026-10-25T02:30"),  # the hour that comes twice
        ("2026-10-25T01:30:00.000Z", "2026-10-25T02:30"),
    ],
)
def test_r18_prices_go_by_the_swedish_wall_clock(utc: str, minute: str) -> None:
    assert local_minute(parse_utc(utc)) == minute
    assert local_day(parse_utc(utc)) == minute[:10]
    assert local(parse_utc(utc)).strftime("%Y-%m-%dT%H:%M") == minute


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T13:32:05.123", "2026-13-22T13:32:05.123Z", "2026-11-22T25:32:05.123Z", "Z" * 24],
)
def test_j7_what_is_no_instant_raises_valueerror(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_utc(text)
