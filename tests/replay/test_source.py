"""What is on disk is believed after it has been checked, and refused in words before."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from oppet.base.errors import RefusedError
from oppet.replay.errors import BadRowError, NoSetError, NothingInsideError, NotReadableError, WrongColumnsError
from oppet.replay.source import INVOICES, JOURNEY, TILL_LOG, departments, find, read
from tests.replay.rows import ordinary, write_invoices, write_journey, write_log


def test_the_three_sets_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    assert find(write_log(tmp_path / "a", ordinary())).name == TILL_LOG
    assert find(write_journey(tmp_path / "b", [("1", "p", 1.0, 2.0, 0.0, 0.0, 0.0)])).name == JOURNEY
    assert find(write_invoices(tmp_path / "c", [("1", "i", 1, 2.5)])).name == INVOICES


def test_m1_what_is_written_comes_back_in_whole_cents_and_thousandths(tmp_path: Path) -> None:
    assert read(find(write_log(tmp_path, ordinary()))) == ordinary()


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_a_path_without_a_set_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(NoSetError):
        find(tmp_path / name)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all", b"PAR1" + bytes(400) + b"PAR1"])
def test_a_broken_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "lines.parquet").write_bytes(data)
    with pytest.raises(NotReadableError):
        find(tmp_path)


def test_a_file_cut_in_its_middle_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path, ordinary() * 300) / "lines.parquet"
    data = bytearray(path.read_bytes())
    data[20:400] = bytes(380)
    path.write_bytes(data)
    with pytest.raises(RefusedError):
        read(find(tmp_path))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write_log(tmp_path, ordinary()) / "lines.parquet"
    parquet.write_table(parquet.read_table(path).drop_columns(["total_usd", "tax"]), path)
    with pytest.raises(WrongColumnsError, match="total_usd, tax"):
        read(find(tmp_path))


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    path = write_log(tmp_path, ordinary()) / "lines.parquet"
    table = parquet.read_table(path)
    place = table.schema.get_field_index("quantity")
    parquet.write_table(table.set_column(place, "quantity", table["quantity"].cast(pa.string())), path)
    with pytest.raises(WrongColumnsError, match="quantity is string"):
        read(find(tmp_path))


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    path = write_log(tmp_path, ordinary()) / "lines.parquet"
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    with pytest.raises(NothingInsideError):
        read(find(tmp_path))


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 1e12, 2.3456])
def test_m1_a_number_that_is_no_amount_is_refused_with_its_row(tmp_path: Path, price: float) -> None:
    write_invoices(tmp_path, [("1", "i", 1, 2.5), ("1", "j", 1, price)])
    with pytest.raises(BadRowError, match="row 2: unit_price_gbp"):
        read(find(tmp_path))


def test_a_list_of_departments_may_be_absent_but_not_nonsense(tmp_path: Path) -> None:
    assert departments(tmp_path) == {}
    (tmp_path / "departments.csv").write_text("department,name\n7,Bulk\n")
    assert departments(tmp_path) == {7: "Bulk"}
    (tmp_path / "departments.csv").write_text("department;name\n7;Bulk\n")
    with pytest.raises(NotReadableError):
        departments(tmp_path)
