"""Files out of head office: written by the command, as long as they are, and never half."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oppet.cli import command, run
from oppet.drivers.hq_files import csv_pieces, parquet_pieces
from tests.hq.demo_sales import TODAY, a_place, make_chain

COLUMNS = (("store", "text"), ("ore", "int"))


@pytest.fixture(scope="module")
def settings(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with a_place(dsn) as place:
        make_chain(place, weeks=1, groups=1)
    folder = tmp_path_factory.mktemp("hq")
    path = folder / "settings.json"
    path.write_text(json.dumps({"folder": "data", "dsn": dsn, "tls": False}))
    return path


def exported(settings: Path, file: Path, *words: str) -> int:
    days = ("--first-day", TODAY, "--last-day", TODAY)
    return run(["hq", "export", str(settings), str(file), *days, "--json", *words], command())


def test_q6_the_command_writes_each_form(settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(settings, tmp_path / "hours.csv", "--what", "hours", "--store", "S01") == 0
    lines = (tmp_path / "hours.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("complete_to,day_complete,store,day,hour")
    assert len(lines) > 5
    assert exported(settings, tmp_path / "r.parquet") == 0
    assert (tmp_path / "r.parquet").read_bytes()[:4] == b"PAR1"
    capsys.readouterr()
    assert exported(settings, tmp_path / "books.si") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["vouchers"] == 1
    assert told["not_booked"] == ["S04-K9 1"]
    assert "S04-K9 1" in (tmp_path / "books.si").read_bytes().decode("cp437")


@pytest.mark.parametrize(
    "words", [("x.csv", "--store", "S99"), ("x.xlsx",), ("x.csv", "--what", "people"), ("x.si", "--store", "S02")]
)
def test_q8_nonsense_is_refused_and_no_file_is_left(settings: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert exported(settings, tmp_path / words[0], *words[1:]) == 1
    assert list(tmp_path.iterdir()) == []


def test_q6_a_long_file_needs_no_more_memory_than_a_short_one() -> None:
    def rows(count: int) -> Iterator[list[tuple[Any, ...]]]:
        for _ in range(count):
            yield [("S01", number) for number in range(1000)]

    def peak(count: int, form: str) -> int:
        tracemalloc.start()
        pieces = csv_pieces(COLUMNS, rows(count)) if form == "csv" else parquet_pieces(COLUMNS, rows(count), {})
        size = sum(len(piece) for piece in pieces)
        assert size > 0
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for form in ("csv", "parquet"):
        peak(1, form)
        assert peak(200, form) < 2 * peak(25, form) + 200_000


def test_q6_a_text_from_a_till_is_no_formula_in_a_spreadsheet() -> None:
    said = b"".join(csv_pieces(COLUMNS, [[("=HYPERLINK(1)", -5), ("S01", None)]])).decode()
    assert said.splitlines() == ["store,ore", "'=HYPERLINK(1),-5", "S01,"]
