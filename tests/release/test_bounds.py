"""Bounds: what one person may change alone, however it is dressed up, split up or repeated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oppet.goods.catalogue import Catalogue, decode
from oppet.release.bounds import SENTENCES, TERMS, WORDS, Activation, Judged, judge, window_base

NOON = "2026-11-22T12:00"
HOUR_MS = 3_600_000
WEEK_MS = TERMS.window_h * HOUR_MS
ARTICLES = 400
GROUPS = ("Mejeri", "Bröd", "Dryck", "Frukt")

Record = dict[str, Any]


def a_gtin(number: int) -> str:
    body = f"0731{number:09d}"
    weighed = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(body))
    return f"{body}{-weighed % 10}"


def an_article(number: int, ore: int = 2000, **terms: Any) -> Record:
    return {
        "number": str(number),
        "name": f"Vara {number}",
        "group": GROUPS[number % len(GROUPS)],
        "vat": "food",
        "unit": "st",
        "gtins": [a_gtin(number)],
        "prices": [{"valid_from": "2026-01-01", "ore": ore}],
        **terms,
    }


def articles(count: int = ARTICLES) -> list[Record]:
    return [an_article(number) for number in range(1, count + 1)]


def a_catalogue(records: list[Record] | None = None, **more: Any) -> Catalogue:
    document = {"format": 1, "version": "v", "made": "2026-11-22", "articles": records or articles(), **more}
    found = decode(msgspec.json.encode(document))
    assert found.rejected == ()
    return found


def an_offer(name: str, numbers: range, **terms: Any) -> Record:
    terms = {"kind": "percent", "percent": 20, **terms}
    return {
        "id": name,
        "text": "Veckans",
        "valid_from": "2026-11-23",
        "valid_to": "2026-11-30",
        "articles": [str(number) for number in numbers],
        **terms,
    }


BEFORE = a_catalogue()


def priced(count: int, ore: int) -> list[Record]:
    """The first `count` articles at another price."""
    return [an_article(n, ore if n <= count else 2000) for n in range(1, ARTICLES + 1)]


def judged(records: list[Record] | None = None, before: Catalogue = BEFORE, **more: Any) -> Judged:
    return judge(before, a_catalogue(records, **more), before, NOON)


def whys(found: Judged) -> set[str]:
    assert (found.need == 2) == bool(found.reasons)
    return {reason.why for reason in found.reasons}


def changed(number: int, **terms: Any) -> list[Record]:
    return [an_article(n, **(terms if n == number else {})) for n in range(1, ARTICLES + 1)]


# what one person may do: (articles at another price, the price, what is too much about it)
PRICES: tuple[tuple[int, int, set[str]], ...] = (
    (0, 2000, set()),
    (100, 2200, set()),  # a quarter of all by a tenth
    (101, 2200, {"changed"}),
    (20, 2201, set()),  # a twentieth by more than a tenth
    (21, 2201, {"moved"}),
    (1, 3000, set()),  # half as much again
    (1, 3001, {"rise"}),
    (1, 1000, set()),
    (1, 999, {"fall"}),
    (1, 0, {"fall", "zero"}),
    (400, 1, {"changed", "moved", "fall"}),
)


@pytest.mark.parametrize(("count", "ore", "expected"), PRICES)
def test_rl8_prices_within_the_bounds_take_one_signature_and_beyond_them_two(
    count: int, ore: int, expected: set[str]
) -> None:
    found = judged(priced(count, ore))
    assert whys(found) == expected
    assert found.changed == (count if ore != 2000 else 0)


def test_rl8_a_reason_says_how_many_how_much_and_which_is_the_worst() -> None:
    records = priced(30, 2500)
    records[6] = an_article(7, 100)
    (moved, fall) = judged(records).reasons
    assert (moved.why, moved.found, moved.limit, moved.example) == ("moved", 30, 20, "7")
    assert (fall.why, fall.found, fall.limit, fall.example, fall.than) == ("fall", 1, 0, "7", 50)
    assert SENTENCES["fall"].format(**fall.facts()) == "1 prices fall by more than 50 %, the most for article 7."


def test_the_largest_change_stands_first_with_its_prices() -> None:
    records = priced(3, 2100)
    records[1] = an_article(2, 1500)
    first, *others = judged(records).changes
    assert (first.number, first.before_ore, first.after_ore, first.permille) == ("2", 2000, 1500, -250)
    assert first.words == ("price",)
    assert [change.number for change in others] == ["1", "3"]


def test_rl8_a_price_of_tomorrow_counts_as_one_of_today() -> None:
    prices = [{"valid_from": "2026-01-01", "ore": 2000}, {"valid_from": "2026-11-25", "ore": 10}]
    found = judged(changed(5, prices=prices))
    assert whys(found) == {"fall"}
    assert found.changes[0].at == "2026-11-25"


def test_rl8_a_price_of_tomorrow_that_was_signed_before_is_no_change_when_tomorrow_comes() -> None:
    prices = [{"valid_from": "2026-01-01", "ore": 2000}, {"valid_from": "2026-11-22", "ore": 10}]
    before = a_catalogue(changed(5, prices=prices))
    assert judged(changed(5, prices=prices), before).need == 1


def test_rl8_what_has_no_price_is_measured_by_its_last() -> None:
    ended = changed(5, prices=[{"valid_from": "2026-01-01", "ore": 2000, "valid_to": "2026-11-01"}])
    assert whys(judged(changed(5, prices=[{"valid_from": "2026-11-22", "ore": 1}]), a_catalogue(ended))) >= {"fall"}
    assert judged(ended, a_catalogue(ended)).need == 1


GUARDED: tuple[tuple[Record, str], ...] = (
    ({"vat": "none"}, "vat"),
    ({"kind": "tjanst"}, "vat"),
    ({"age": 18}, "age"),
    ({"pant": "1"}, "pant"),
    ({"unit": "kg"}, "weighing"),
    ({"tare_g": 900}, "weighing"),
    ({"max_weight_g": 1}, "weighing"),
    ({"gtins": [a_gtin(5), a_gtin(6)]}, "codes"),
    ({"group": "Vapen"}, "new_groups"),
)


@pytest.mark.parametrize(("terms", "why"), GUARDED)
def test_rl8_what_the_law_or_the_code_hangs_on_takes_two(terms: Record, why: str) -> None:
    records = changed(5, **terms)
    if why == "codes":
        records[5]["gtins"] = [a_gtin(5000)]
    assert whys(judged(records)) == {why}


def test_rl8_a_dear_article_under_a_new_number_at_a_new_price_takes_two() -> None:
    records = articles()
    records[4] = an_article(9005, 100, gtins=[a_gtin(5)])
    assert whys(judged(records)) == {"codes"}


def test_a_new_name_and_a_new_code_are_ordinary() -> None:
    found = judged(changed(5, name="Mjölk 1 l", gtins=[a_gtin(5), a_gtin(7000)]))
    assert found.need == 1
    assert found.changes[0].words == ("other",)


def test_rl8_many_new_names_take_two() -> None:
    assert whys(judged([{**record, "name": "Hacked"} for record in articles()])) == {"changed"}


def test_rl8_goods_that_vanish_or_appear_in_numbers_take_two() -> None:
    assert judged(articles(380)).need == 1
    assert whys(judged(articles(379))) == {"gone"}
    assert judged(articles(420)).need == 1
    assert whys(judged(articles(421))) == {"new"}
    assert whys(judged([*articles(), an_article(5001, 0)])) == {"zero"}


def test_rl8_prices_that_end_and_leave_nothing_are_goods_that_vanish() -> None:
    prices = [{"valid_from": "2026-01-01", "ore": 2000, "valid_to": "2026-11-23"}]
    records = [{**an_article(n), **({"prices": prices} if n <= 21 else {})} for n in range(1, ARTICLES + 1)]
    assert whys(judged(records)) == {"gone"}


OFFERS: tuple[tuple[range, Record, set[str]], ...] = (
    (range(1, 61), {}, set()),  # three in twenty
    (range(1, 62), {}, {"offered"}),
    (range(1, 2), {"percent": 50}, set()),
    (range(1, 2), {"percent": 51}, {"depth"}),
    (range(1, 2), {"percent": 100}, {"depth", "zero"}),
    (range(1, 2), {"kind": "n_for_m", "buy": 2, "pay": 1}, set()),
    (range(1, 2), {"kind": "n_for_m", "buy": 3, "pay": 1}, {"depth"}),
    (range(1, 2), {"kind": "n_for_price", "buy": 2, "price_ore": 1000}, {"depth"}),
    (range(1, 2), {"kind": "amount", "price_ore": 1001}, {"depth"}),
    (range(1, 2), {"kind": "member", "price_ore": 1}, {"depth"}),
)


@pytest.mark.parametrize(("numbers", "terms", "expected"), OFFERS)
def test_rl8_offers_are_bounded_in_share_and_depth(numbers: range, terms: Record, expected: set[str]) -> None:
    assert whys(judged(promotions=[an_offer("v48", numbers, **terms)])) == expected


def test_rl8_an_offer_on_top_of_a_lower_price_adds_up() -> None:
    assert whys(judged(priced(1, 1400), promotions=[an_offer("v48", range(1, 2), percent=40)])) == {"depth"}


def test_rl8_a_mix_reaches_every_article_that_has_it() -> None:
    before = a_catalogue([{**record, "mixes": ["allt"]} for record in articles()])
    offer = {**an_offer("v48", range(0)), "mix": "allt", "percent": 90}
    after = [{**record, "mixes": ["allt"]} for record in articles()]
    assert whys(judged(after, before, promotions=[offer])) == {"changed", "offered", "depth"}


def test_an_offer_that_was_there_or_has_ended_is_no_change() -> None:
    offers = [an_offer("v48", range(1, 200), percent=40)]
    assert judged(promotions=offers, before=a_catalogue(promotions=offers)).need == 1
    over = [an_offer("v40", range(1, 200), percent=90, valid_from="2026-10-01", valid_to="2026-10-07")]
    assert judged(before=a_catalogue(promotions=over)).need == 1


def test_rl8_a_heap_of_offers_on_one_article_is_not_weighed_but_refused() -> None:
    heap = [an_offer(f"v{n}", range(1, 2), percent=1) for n in range(60)]
    assert "too_many" in whys(judged(promotions=heap))


RULES: tuple[tuple[Record, Record, set[str]], ...] = (
    ({}, {"recalls": [{"id": "r1", "text": "Glas", "articles": ["1", "2"]}]}, set()),
    ({}, {"recalls": [{"id": "r1", "text": "Glas", "gtins": [a_gtin(n) for n in range(1, 30)]}]}, {"recalled"}),
    ({"recalls": [{"id": "r1", "text": "Glas", "articles": ["1"]}]}, {}, {"recall_undone"}),
    (
        {"recalls": [{"id": "r1", "text": "Glas", "articles": ["1"]}]},
        {"recalls": [{"id": "r1", "text": "Glas", "articles": ["1"], "lots": ["A"]}]},
        {"recall_undone"},
    ),
    ({}, {"markdowns": [{"days_left": 365, "percent": 100}]}, {"markdowns"}),
    ({"markdowns": [{"days_left": 2, "percent": 30}]}, {}, set()),
)


@pytest.mark.parametrize(("old", "new", "expected"), RULES)
def test_rl8_recalls_and_mark_down_rules_are_bounded_too(old: Record, new: Record, expected: set[str]) -> None:
    assert whys(judged(before=a_catalogue(**old), **new)) == expected


def test_rl8_what_is_sold_below_its_cost_takes_two_where_the_cost_is_known() -> None:
    after = a_catalogue(priced(1, 1900))
    assert judge(BEFORE, after, BEFORE, NOON, costs={"1": 1950, "2": 5000}).reasons[0].why == "below_cost"
    assert judge(BEFORE, after, BEFORE, NOON).need == 1


def test_rl8_the_first_assortment_of_all_takes_two() -> None:
    assert judge(Catalogue("", "", ()), BEFORE, Catalogue("", "", ()), NOON).need == 2


def test_rl8_a_file_within_bounds_repeated_every_minute_adds_up() -> None:
    """Creep: each step is a tenth down on what is charged now, and the window's start remembers."""
    charged = a_catalogue(priced(100, 1820))
    assert judge(BEFORE, charged, BEFORE, NOON).need == 1
    found = judge(charged, a_catalogue(priced(100, 1656)), BEFORE, NOON)
    assert judge(charged, a_catalogue(priced(100, 1656)), charged, NOON).need == 1
    assert {(reason.why, reason.window) for reason in found.reasons} == {("moved", True)}


def test_rl8_creep_over_other_articles_each_time_adds_up_too() -> None:
    charged, more = a_catalogue(priced(20, 1600)), a_catalogue(priced(40, 1600))
    assert judge(BEFORE, charged, BEFORE, NOON).need == 1
    assert judge(charged, more, charged, NOON).need == 1
    assert judge(charged, more, BEFORE, NOON).need == 2


def test_rl8_whoever_goes_back_to_the_windows_start_may_do_so_alone() -> None:
    """Prices that two people signed by mistake an hour ago are a start of their own; ordinary ones are taken back by one."""
    wrong = a_catalogue(priced(100, 2200))
    assert judge(wrong, BEFORE, BEFORE, NOON).need == 1
    by_two = a_catalogue(priced(400, 1))
    assert judge(by_two, BEFORE, by_two, NOON).need == 2
    assert judge(wrong, a_catalogue(priced(100, 2200)), BEFORE, NOON).need == 1  # and saying it again changes nothing


def test_rl8_the_window_begins_a_week_ago_or_where_two_people_last_signed() -> None:
    now = 10 * WEEK_MS
    first, old = Activation("first", 0), Activation("old", now - WEEK_MS)
    lately = Activation("lately", now - HOUR_MS)
    assert window_base((), now) is None
    assert window_base((lately,), now) is lately
    assert window_base((first, old, lately), now) is old
    assert window_base((first, lately), now) is first
    assert window_base((first, replace_wide(lately), Activation("last", now)), now) == replace_wide(lately)


def replace_wide(one: Activation) -> Activation:
    return Activation(one.digest, one.at_ms, wide=True)


def test_a_till_need_not_count_to_the_end() -> None:
    after = a_catalogue(priced(400, 1))
    found = judge(BEFORE, after, BEFORE, NOON, whole=False)
    assert found.need == 2
    assert found.changed == 101
    for count, ore, _ in PRICES:
        after = a_catalogue(priced(count, ore))
        assert judge(BEFORE, after, BEFORE, NOON, whole=False).need == judge(BEFORE, after, BEFORE, NOON).need


def test_every_word_and_every_limit_has_its_sentence() -> None:
    facts = {"found": 1, "limit": 0, "articles": 9, "example": "5", "than": 10}
    for sentence in SENTENCES.values():
        assert "{" not in sentence.format(**facts)
    assert set(WORDS) >= {"price", "offer", "new", "gone", "other"}
