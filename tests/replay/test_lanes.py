"""Receipts that the source put under one number are taken apart again, whole."""

from __future__ import annotations

from dataclasses import replace

from oppet.replay.lanes import parts, sum_cents
from oppet.replay.source import LogLine
from tests.replay.rows import ending, line, ordinary, tender


def later(rows: list[LogLine], ms: int, member: str) -> list[LogLine]:
    return [replace(row, time=row.time + ms, member=member) for row in rows]


def small() -> list[LogLine]:
    return [line(1), line(2, unit_cents=100), tender(3, 350), *ending(4)]


def test_an_ordinary_receipt_stays_one() -> None:
    assert parts(ordinary()) == [tuple(ordinary())]


def test_two_lanes_under_one_number_are_two_receipts() -> None:
    first, second = ordinary(), later(small(), 3 * 3_600_000, "66")
    assert parts(second + first) == [tuple(first), tuple(second)]


def test_two_lanes_at_the_same_time_are_told_apart_by_the_member() -> None:
    first, second = ordinary(), later(small(), 700, "66")
    mixed = [row for pair in zip(first, [*second, *first[6:]], strict=False) for row in pair][:12] + first[6:]
    found = parts(list(dict.fromkeys(mixed)))
    assert {part[0].member for part in found} == {"55", "66"}
    assert [sum_cents(part) for part in found] == [0, 0]


def test_lines_that_two_receipts_of_one_moment_mistook_are_given_back() -> None:
    nobody, somebody = later(ordinary(), 0, "0"), later(small(), 0, "0")
    found = parts(nobody + somebody)
    assert sorted(map(len, found)) == [6, 8]
    assert [sum_cents(part) for part in found] == [0, 0]


def test_a_missing_line_does_not_tear_a_receipt_in_two() -> None:
    torn = [row for row in ordinary() if row.line != 2]
    assert parts(torn) == [tuple(torn)]


def test_a_member_special_keeps_the_time_of_its_goods_and_its_receipt() -> None:
    rows = ordinary()
    rows[3] = replace(rows[3], time=rows[0].time)
    assert parts(rows) == [tuple(rows)]
