"""Price files: what a spreadsheet saves is read, what is wrong is named by its row, and what is huge is not read at all."""

from __future__ import annotations

import pytest

from oppet.drivers import price_files
from oppet.drivers.price_files import PriceFileUnfitError, read_prices
from oppet.goods.assortment import PriceChange


def known(text: str) -> str | None:
    return text if text in ("1", "2", "3") else None


def test_rows_are_read_with_their_columns_in_any_order() -> None:
    found = read_prices(b'till;Medlemspris;PRIS;artikel;anm\n2026-11-30;9;"12,50";1;x\n;;1 234,50 kr;2;\n\n', known)
    assert found.changes == (PriceChange("1", 1250, 900, "2026-12-01"), PriceChange("2", 123_450))


def test_every_wrong_row_is_named_as_the_sheet_counts_it() -> None:
    found = read_prices(b"article;price\n1;10\n\n9;10\n2;ten\n3\n", known)
    assert found.changes == ()
    assert [flaw.row for flaw in found.flaws] == [4, 5, 6]


def test_more_flaws_than_are_named_are_counted() -> None:
    found = read_prices(b"article;price\n" + b"9;1\n" * 70, known)
    assert (len(found.flaws), found.more) == (50, 20)


def test_o7_half_a_million_rows_are_refused_before_any_is_read() -> None:
    with pytest.raises(PriceFileUnfitError) as refused:
        read_prices(b"article;price\n" + b"1;1\n" * 500_000, lambda _: pytest.fail("a row was read"))
    assert "more than 100,000 rows" in str(refused.value)


def test_o7_a_file_of_many_megabytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_files, "LARGEST", 100)
    with pytest.raises(PriceFileUnfitError):
        read_prices(b"article;price\n" + b"1;1\n" * 50, known)


def test_a_cell_without_end_is_refused() -> None:
    assert read_prices(b"article;price\n1;" + b"1" * 5_000 + b"\n", known).flaws[0].row == 2
    with pytest.raises(PriceFileUnfitError):
        read_prices(b"article;price\n1;" + b"1" * 200_000 + b"\n", known)
