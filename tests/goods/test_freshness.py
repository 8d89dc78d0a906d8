"""Dates, recalls and mark-downs at the scan."""

from __future__ import annotations

import pytest

from oppet.goods.article import Article, Price
from oppet.goods.codes import Scanned, read
from oppet.goods.errors import ExpiredError, RecalledError
from oppet.goods.freshness import MarkDown, MarkDownRule, Recall, judge

GTIN = "07312345678909"
NOW = "2026-11-22T14:00"
HAM = Article("1", "Skinka", "Kött & chark", "food", "st", (Price("2026-01-01", 2990),), gtins=(GTIN,))
RULES = (
    MarkDownRule(2, 30, "Kött & chark"),
    MarkDownRule(1, 50, "Kött & chark"),
    MarkDownRule(5, 10),
    MarkDownRule(-1, 75, "Bröd"),
)


def pack(fields: str, symbol: str = "]d2") -> Scanned:
    return read(f"{symbol}01{GTIN}{fields}", NOW[:10])


@pytest.mark.parametrize(
    ("fields", "when", "stopped"),
    [
        ("17261121", NOW, True),
        ("17261122", NOW, False),
        ("17261122", "2026-11-22T23:59", False),
        ("17261122", "2026-11-23T00:00", True),
        ("17261122", "2026-11-23", True),
        ("17261100", "2026-11-30T12:00", False),
        ("17261100", "2026-12-01", True),
        ("70032611221359", NOW, True),
        ("70032611221400", NOW, False),
        ("70032611221359", "2026-11-22", False),
        ("70032611219999", NOW, True),
        ("15261121", NOW, False),
    ],
)
def test_g10_what_is_past_its_use_by_date_is_stopped_at_the_scan(fields: str, when: str, stopped: bool) -> None:
    """Offline, from the pack alone (R24). A best-before date is no stop."""
    if not stopped:
        judge(HAM, pack(fields), when)
        return
    with pytest.raises(ExpiredError):
        judge(HAM, pack(fields), when)


@pytest.mark.parametrize("symbol", ["]Q3", "", "]e0", "]C1", "]J1"])
def test_g10_any_carrier_may_stop_a_sale(symbol: str) -> None:
    with pytest.raises(ExpiredError):
        judge(HAM, pack("17261121", symbol), NOW)
    with pytest.raises(ExpiredError):
        judge(HAM, read(f"https://a/01/{GTIN}?17=261121", NOW[:10]), NOW)


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ("17261125", 10),
        ("17261124", 30),
        ("17261123", 50),
        ("17261122", 50),
        ("15261124", 30),
        ("17261130", None),
        ("10L42", None),
    ],
)
def test_g12_near_date_goods_take_their_mark_down_by_themselves(fields: str, given: int | None) -> None:
    """The group's own rule goes before the one for all (R24)."""
    found = judge(HAM, pack(fields), NOW, (), RULES)
    assert (found.percent if found else None) == given
    assert found is None or found.reason == "near_date"


@pytest.mark.parametrize("symbol", ["]d2", "]e0", "]C1"])
def test_g12_a_packers_own_symbol_is_ground_for_a_mark_down(symbol: str) -> None:
    assert judge(HAM, pack("17261123", symbol), NOW, (), RULES) == MarkDown(50, "near_date", "2026-11-23")


@pytest.mark.parametrize("text", [f"]Q301{GTIN}17261123", f"01{GTIN}17261123", f"(01){GTIN}(17)261123", f"]Q1https://a/01/{GTIN}?17=261123",
                                  f"https://a/01/{GTIN}?17=261123", f"]d1https://a/01/{GTIN}?17=261123"])  # fmt: skip
def test_g12_a_date_that_anyone_could_stick_or_type_never_lowers_a_price(text: str) -> None:
    assert judge(HAM, read(text, NOW[:10]), NOW, (), RULES) is None


def test_g12_what_is_not_discountable_is_never_marked_down() -> None:
    snus = Article("2", "Snus", "Kött & chark", "tobacco", "st", HAM.prices, gtins=(GTIN,), discountable=False)
    assert judge(snus, pack("17261123"), NOW, (), RULES) is None


def test_g12_a_best_before_date_that_has_passed_is_marked_down_or_warned_of() -> None:
    bread = Article("3", "Limpa", "Bröd", "food", "st", HAM.prices, gtins=(GTIN,))
    assert judge(bread, pack("15261121"), NOW, (), RULES) == MarkDown(75, "best_before_passed", "2026-11-21")
    assert judge(HAM, pack("15261121"), NOW, (), RULES) == MarkDown(50, "best_before_passed", "2026-11-21")
    assert judge(HAM, pack("15261121"), NOW) == MarkDown(0, "best_before_passed", "2026-11-21")
    assert judge(HAM, pack("15261121", "]Q3"), NOW, (), RULES) == MarkDown(0, "best_before_passed", "2026-11-21")


def a_recall(**terms: object) -> Recall:
    return Recall(**{"id": "R1", "text": "Plast.", "gtins": (GTIN,), **terms})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recall", "fields", "verdict"),
    [
        (a_recall(), "", "stopped"),
        (a_recall(gtins=("04006381333931",)), "", "sold"),
        (a_recall(lots=("L42", "L43")), "10L42", "stopped"),
        (a_recall(lots=("L42",)), "10L41", "sold"),
        (a_recall(lots=("L42",)), "", "checked"),
        (a_recall(date_from="2026-11-25", date_to="2026-11-30"), "17261130", "stopped"),
        (a_recall(date_from="2026-11-25", date_to="2026-11-30"), "15261125", "stopped"),
        (a_recall(date_from="2026-11-25", date_to="2026-11-30"), "17261201", "sold"),
        (a_recall(date_to="2026-11-30"), "17261124", "stopped"),
        (a_recall(date_from="2026-11-25"), "", "checked"),
        (a_recall(lots=("L42",), date_from="2026-11-25"), "1726113010L42", "stopped"),
        (a_recall(lots=("L42",), date_from="2026-11-25"), "1726112410L42", "sold"),
        (a_recall(lots=("L42",), date_from="2026-11-25"), "17261130", "checked"),
        (a_recall(gtins=(), articles=("1",)), "", "stopped"),
        (a_recall(gtins=(), articles=("2",)), "", "sold"),
    ],
)
def test_g11_a_recalled_batch_or_article_is_stopped_at_the_scan(recall: Recall, fields: str, verdict: str) -> None:
    """What the pack's code can prove is stopped; what it cannot tell is shown for the cashier to compare (R24)."""
    if verdict == "stopped":
        with pytest.raises(RecalledError) as refused:
            judge(HAM, pack(fields), NOW, (recall,))
        assert refused.value.facts == {"name": "Skinka", "text": "Plast."}
        return
    found = judge(HAM, pack(fields), NOW, (recall,))
    assert (found.recall if found else "") == ("Plast." if verdict == "checked" else "")


def test_g11_goods_picked_by_hand_are_checked_against_every_recall_of_theirs() -> None:
    assert judge(HAM, None, NOW, (a_recall(),)) == MarkDown(0, "check_recall", recall="Plast.")
    with pytest.raises(RecalledError):
        judge(HAM, None, NOW, (a_recall(gtins=(), articles=("1",)),))
    assert judge(HAM, None, NOW) is None


def test_g11_a_recall_in_doubt_does_not_hide_a_mark_down() -> None:
    found = judge(HAM, pack("17261123"), NOW, (a_recall(lots=("L1",)),), RULES)
    assert found == MarkDown(50, "near_date", "2026-11-23", "Plast.")


def test_g11_a_recall_goes_before_a_date() -> None:
    with pytest.raises(RecalledError):
        judge(HAM, pack("17261101"), NOW, (a_recall(),))
