"""Numbers without gaps, codes that were given, one copy: each fault is found and named."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given

from oppet.fiscal.series import SENTENCES, Series, believe_series
from oppet.journal.kinds import (
    Body,
    CodeUnknown,
    CopyMade,
    Receipt,
    ReceiptTender,
    RegistrationRefused,
    ReportMade,
    UnitAnswered,
    VatAmount,
)
from tests.fiscal.journals import UNIT, Shop, a_line, a_shop, happenings, unhurried

T = TypeVar("T", bound=Body)
replace = msgspec.structs.replace


def a_day() -> Shop:
    shop = Shop()
    for _ in range(3):
        shop.sell([a_line(1)])
    receipt = shop.sell([a_line(1)], "return")
    shop.copy_of(receipt)
    shop.sell([a_line(1)], "training")
    shop.code_unknown([a_line(1)])
    shop.sell([a_line(1)])
    shop.report("z")
    return shop


def found(bodies: list[Body]) -> list[tuple[str, str, int]]:
    series = Series()
    for seq, body in enumerate(bodies, 1):
        series.count(seq, body)
    return [(finding.what, finding.series, finding.number) for finding in series.findings]


def the(shop: Shop, kind: type[T], place: int = 0) -> tuple[int, T]:
    """The place in the journal and the body of the `place`th entry of a kind."""
    return [(at, body) for at, body in enumerate(shop.bodies) if isinstance(body, kind)][place]


@unhurried
@given(happenings())
def test_f6_f7_f8_a_lawful_journal_is_believed(actions: list[tuple[str, int]]) -> None:
    assert believe_series(a_shop(actions).entries()) == []


def test_f6_any_stretch_of_a_lawful_journal_is_believed() -> None:
    bodies = a_day().bodies
    for start in range(1, len(bodies)):
        assert found(bodies[start:]) == []


def test_f6_a_number_left_out_or_used_again_is_found() -> None:
    shop = a_day()
    at, receipt = the(shop, Receipt, 1)
    missing = [body for body in shop.bodies if body not in (receipt, shop.bodies[at - 1])]
    assert ("gap", "normal", 3) in found(missing)
    answered = shop.bodies[at - 1]
    assert ("repeat", "normal", 2) in found([*shop.bodies[: at + 1], answered, receipt, *shop.bodies[at + 1 :]])


def test_f6_a_series_begins_at_one() -> None:
    shop = Shop(number=4, z=2, training=1)
    shop.sell([a_line(1)])
    shop.sell([a_line(1)], "training")
    shop.report("z")
    assert found(shop.bodies) == [("gap", "normal", 5), ("gap", "ovning", 2), ("gap", "z", 3)]


def test_f6_a_number_whose_code_is_unknown_is_accounted_for_and_never_given_again() -> None:
    shop = a_day()
    at, unknown = the(shop, CodeUnknown)
    assert ("gap", "normal", 6) in found([*shop.bodies[:at], *shop.bodies[at + 1 :]])
    shop = Shop()
    shop.code_unknown([a_line(1)])
    shop.number = 0
    shop.sell([a_line(1)])
    assert found(shop.bodies) == [("repeat", "normal", unknown.receipt_id - 4)]


def test_f6_a_refused_registration_spends_no_number() -> None:
    shop = Shop()
    shop.open(lines=[a_line(1)])
    shop.register("sale", "normal", 1, 1690, answered=False)
    shop.write(RegistrationRefused(1, "normal", 1, UNIT, "full", ""))
    shop.sell([a_line(1)])
    assert found(shop.bodies) == []


def test_f7_a_receipt_without_a_code_given_for_it_is_found() -> None:
    """R23: a code of another receipt, another unit or nobody is no code."""
    shop = a_day()
    at, receipt = the(shop, Receipt, 1)
    for lie in (
        replace(receipt, code=""),
        replace(receipt, code="INVENTED"),
        replace(receipt, unit="ANOTHER"),
        replace(receipt, code=the(shop, Receipt, 0)[1].code),
    ):
        assert found([*shop.bodies[:at], lie, *shop.bodies[at + 1 :]]) == [("no_code", "normal", 2)]
    assert ("no_code", "normal", 2) in found([*shop.bodies[: at - 1], *shop.bodies[at:]])


def test_f7_a_code_that_never_reached_a_receipt_is_found() -> None:
    shop = a_day()
    at, answer = the(shop, UnitAnswered, 0)
    extra = replace(answer, receipt_id=2, code="SPARE")
    assert ("code_unused", "normal", 1) in found([*shop.bodies[: at + 1], extra, *shop.bodies[at + 1 :]])


def test_f7_training_carries_no_code() -> None:
    shop = a_day()
    at, receipt = next((at, body) for at, body in enumerate(shop.bodies) if isinstance(body, Receipt) and not body.code)
    lie = replace(receipt, code="CODE")
    assert found([*shop.bodies[:at], lie, *shop.bodies[at + 1 :]]) == [("no_code", "ovning", 1)]


def test_f8_a_second_copy_is_found() -> None:
    shop = a_day()
    shop.copy_of(the(shop, Receipt, 3)[1])
    assert found(shop.bodies) == [("second_copy", "kopia", 4)]


@pytest.mark.parametrize("number", [0, 5, 99])
def test_f8_a_copy_of_no_receipt_is_found(number: int) -> None:
    shop = a_day()  # 5 is the number whose code is unknown
    shop.copy_of(replace(the(shop, Receipt, 0)[1], number=number))
    assert found(shop.bodies) == [("copy_of_nothing", "kopia", number)]


def test_f8_a_copy_needs_its_own_code() -> None:
    shop = a_day()
    at, copy = the(shop, CopyMade)
    lie = replace(copy, code=the(shop, Receipt, 3)[1].code)
    assert found([*shop.bodies[:at], lie, *shop.bodies[at + 1 :]]) == [("no_code", "kopia", 1)]


def test_f1_a_changed_report_is_found_and_the_figures_named() -> None:
    """R08: no figure of a Z can be another than its entries give."""
    shop = a_day()
    at, made = the(shop, ReportMade)
    lie = replace(made, report=replace(made.report, total_ore=1, drawer_openings=9))
    series = Series()
    for seq, body in enumerate([*shop.bodies[:at], lie], 1):
        series.count(seq, body)
    assert [(f.what, f.seq, f.facts) for f in series.findings] == [("report", at + 1, "total_ore, drawer_openings")]


@pytest.mark.parametrize(
    "lie",
    [
        {"total_ore": 1600},
        {"rounding_ore": 0},
        {"tenders": (ReceiptTender("cash", 1600, 1600, 0),)},
        {"vat": (VatAmount(600, 1690, 95),)},
        {"vat": (VatAmount(1200, 1690, 96),)},
        {"lines": (replace(a_line(1), amount_ore=1700),)},
    ],
)
def test_f1_a_receipt_that_does_not_add_up_is_found(lie: dict[str, object]) -> None:
    """Law 8: lines = total = tenders − rounding; VAT adds up per rate."""
    shop = Shop()
    receipt = shop.sell([a_line(1)])
    shop.bodies[-1] = replace(receipt, **lie)
    assert found(shop.bodies) == [("sums", "normal", 1)]


def test_every_finding_has_its_sentence() -> None:
    shop = Shop(number=3)
    shop.sell([a_line(1)])
    finding = believe_series(shop.entries())[0]
    shown = SENTENCES[finding.what].format(**msgspec.structs.asdict(finding))
    assert shown == f"Entry {len(shop.bodies)}: number 4 of the series normal follows 0: numbers are missing."
