"""VAT rates by class and day."""

from __future__ import annotations

import pytest

from oppet.goods.errors import UnknownVatClassError
from oppet.goods.vat import CLASSES, rate


@pytest.mark.parametrize(
    ("vat_class", "day", "basis_points"),
    [
        ("food", "2026-03-31", 1200),
        ("food", "2026-04-01", 600),
        ("food", "2026-11-22", 600),
        ("food", "2027-12-31", 600),
        ("food", "2028-01-01", 1200),
        ("restaurant", "2026-11-22", 1200),
        ("books", "2026-11-22", 600),
        ("transport", "2026-11-22", 600),
        ("general", "2026-11-22", 2500),
        ("alcohol", "2026-11-22", 2500),
        ("tobacco", "2026-11-22", 2500),
        ("none", "2026-11-22", 0),
    ],
)
def test_g6_the_rate_follows_from_class_and_day(vat_class: str, day: str, basis_points: int) -> None:
    assert rate(vat_class, day) == basis_points


@pytest.mark.parametrize(("vat_class", "day"), [("godis", "2026-11-22"), ("", "2026-11-22"), ("food", "1995-12-31")])
def test_g6_a_class_without_a_rate_is_refused(vat_class: str, day: str) -> None:
    with pytest.raises(UnknownVatClassError):
        rate(vat_class, day)


def test_g6_every_table_runs_forward_in_time() -> None:
    assert all(list(rows) == sorted(rows) for rows in CLASSES.values())
