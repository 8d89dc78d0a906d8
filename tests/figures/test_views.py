"""Head office counts what tills sold: to the öre, once, however it came."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from oppet.figures.quarantine import REASONS, Goods
from oppet.figures.views import Views
from tests.hq.sold import (
    NOW,
    Office,
    a_day,
    bodies,
    chained,
    changed,
    clear,
    dump,
    envelopes,
    one,
    rows,
    standing,
)
from tests.sync.chain import History


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=20)


@pytest.fixture
def office(dsn: str) -> Iterator[Office]:
    clear(dsn)
    office = Office(dsn)
    yield office
    office.close()


def sums(day: History) -> dict[str, int]:
    """What the till's own receipts say."""
    found = {"total": 0, "receipts": 0, "returns": 0, "lines": 0, "vat": 0, "rounding": 0, "tenders": 0}
    for receipt in bodies(day, "receipt"):
        if receipt["kind"] == "training":
            continue
        sign = 1 if receipt["kind"] == "sale" else -1
        found["total"] += sign * receipt["total_ore"]
        found["receipts" if sign > 0 else "returns"] += 1
        found["lines"] += len(receipt["lines"])
        found["vat"] += sign * sum(part["vat_ore"] for part in receipt["vat"])
        found["rounding"] += sign * receipt["rounding_ore"]
        found["tenders"] += sign * sum(tender["amount_ore"] for tender in receipt["tenders"])
    return found


def test_r01_every_view_says_what_the_receipts_say(office: Office, day: History) -> None:
    office.take(day)
    dsn, said = office.dsn, sums(day)
    assert said["returns"] > 0
    assert any(receipt["kind"] == "training" for receipt in bodies(day, "receipt"))
    assert one(dsn, "SELECT sum(total_ore), sum(lines), sum(vat_ore), count(*) FROM receipt") == (
        said["total"],
        said["lines"],
        said["vat"],
        said["receipts"] + said["returns"],
    )
    assert one(dsn, "SELECT sum(net_ore), sum(vat_ore), count(*) FROM line") == (
        said["total"],
        said["vat"],
        said["lines"],
    )
    assert one(dsn, "SELECT sum(amount_ore) FROM tender") == said["tenders"] == said["total"] + said["rounding"]
    assert one(dsn, "SELECT sum(gross_ore), sum(receipts), sum(returns), sum(vat_ore), sum(rounding_ore), sum(lines) FROM hour_sale") == (
        said["total"], said["receipts"], said["returns"], said["vat"], said["rounding"], said["lines"],
    )  # fmt: skip
    assert one(dsn, "SELECT sum(gross_ore), sum(vat_ore), sum(lines) FROM hour_group") == (
        said["total"],
        said["vat"],
        said["lines"],
    )
    assert one(dsn, "SELECT count(*) FROM quarantine") == 0


def test_r02_the_z_report_and_head_office_agree_and_stock_moves_by_the_lines(office: Office, day: History) -> None:
    office.take(day)
    said = sums(day)
    assert one(office.dsn, "SELECT total_ore, receipts, returns, vat_ore, rounding_ore FROM z_report") == (
        said["total"], said["receipts"], said["returns"], said["vat"], said["rounding"],
    )  # fmt: skip
    sold: dict[str, int] = {}
    for receipt in bodies(day, "receipt"):
        if receipt["kind"] != "training":
            for line in receipt["lines"]:
                sign = -1 if receipt["kind"] == "sale" else 1
                sold[line["article"]] = sold.get(line["article"], 0) + sign * line["quantity_milli"]
    moved = rows(office.dsn, "movement")
    assert sum(sold.values()) == sum(row[3] for row in moved)


def test_r02_the_same_entries_three_times_in_any_cut_give_the_same_numbers(office: Office, day: History) -> None:
    office.take(day)
    before = dump(office.dsn)
    for seed in range(3):
        rng = Random(seed)
        clear(office.dsn)
        for _ in range(3):
            office.take(day, sorted(rng.sample(range(1, day.head.seq), rng.randrange(1, 40))))
        assert dump(office.dsn) == before, seed


def test_k4_a_batch_that_overlaps_what_is_there_adds_only_the_rest(office: Office, day: History) -> None:
    office.keeper.receive(day.batch(0, 50))
    office.keeper.receive(day.batch(20, 90))
    office.keeper.receive(day.batch(90, day.head.seq))
    before = dump(office.dsn)
    clear(office.dsn)
    office.take(day)
    assert dump(office.dsn) == before
    assert one(office.dsn, "SELECT sum(last_seq - first_seq + 1) FROM chunk") == day.head.seq


def test_k5_both_branches_of_a_fork_count_once_each_and_clashing_numbers_are_listed(
    office: Office, day: History
) -> None:
    office.take(day)
    whole = one(office.dsn, "SELECT sum(total_ore) FROM receipt")
    said = envelopes(day)
    place = next(n for n, e in enumerate(said) if e["kind"] == "receipt" and n > 100)
    tail = chained([*said[:place], said[place] | {"time": "2026-11-22T21:00:00.000Z"}], day.till)
    office.take(tail)
    office.take(tail)
    extra = said[place]["body"]["total_ore"] * (1 if said[place]["body"]["kind"] == "sale" else -1)
    assert one(office.dsn, "SELECT sum(total_ore) FROM receipt") == whole + extra
    assert one(office.dsn, "SELECT count(*) FROM stream") == 2
    assert [row[0] for row in office.alarms] == ["fork"]
    assert one(office.dsn, "SELECT till, number, times FROM clashing_number") == (
        day.till,
        said[place]["body"]["number"],
        2,
    )


def test_r17_more_coming_back_than_was_sold_is_listed(office: Office, day: History) -> None:
    office.take(day)
    assert one(office.dsn, "SELECT count(*) FROM double_return") == 0
    said = envelopes(day)
    again = next(e for e in said if e["kind"] == "receipt" and e["body"]["kind"] == "return")
    again["body"]["original"]["till"] = day.till
    other = chained([said[0], again], "S02-K4")  # another store took it back too
    office.take(changed(day, lambda _, e: e["body"].get("original") and e["body"]["original"].update(till=day.till)))
    office.take(other)
    found = one(
        office.dsn,
        "SELECT original_till, original_number, times, store_id = 'S01' AND returned_milli > sold_milli FROM double_return LIMIT 1",
    )
    assert found == (day.till, again["body"]["original"]["number"], 2, True)


# --- bad content ---------------------------------------------------------------------------------------------------


def spoil(receipt: dict[str, Any], how: str) -> None:
    lines = receipt["lines"]
    match how:
        case "lines":
            lines[0]["net_ore"] += 1
        case "vat":
            receipt["vat"][0]["vat_ore"] += 1
        case "tenders":
            receipt["tenders"][0]["amount_ore"] += 100
        case "rate":
            receipt["lines"] = [line | {"vat_rate": 1700} for line in lines]
            receipt["vat"][0]["rate"] = 1700
        case "text":
            receipt["lines"] = "none"
        case "huge":
            lines[0]["quantity_milli"] = 10**30
        case "total":
            receipt["total_ore"] = "much"
        case "kind":
            receipt["kind"] = "gift"
        case "twice":
            receipt["lines"] = [*lines, lines[0] | {"net_ore": 0, "vat_ore": 0}]
        case "number":
            receipt["number"] = 1
        case "nul":
            lines[0]["group"] = "\x00Mejeri\\\t"
        case _:
            raise AssertionError(how)


SPOILT = [  # how, the reason, how far it counts
    ("lines", "amounts", "total"),
    ("vat", "vat", "total"),
    ("tenders", "tenders", "lines"),
    ("rate", "rate", "all"),
    ("text", "unreadable", "total"),
    ("huge", "unreadable", "total"),
    ("total", "unreadable", "nothing"),
    ("kind", "kind", "nothing"),
    ("twice", "lines", "total"),
    ("number", "number", "all"),
]


def a_receipt(day: History) -> int:
    """The place of the last one-rate sale."""
    return max(
        place
        for place, e in enumerate(envelopes(day))
        if e["kind"] == "receipt" and e["body"]["kind"] == "sale" and len(e["body"]["vat"]) == 1
    )


@pytest.mark.parametrize(("how", "reason", "counted"), SPOILT)
def test_r21_bad_content_is_counted_as_far_as_it_can_be_and_put_aside(
    office: Office, day: History, how: str, reason: str, counted: str
) -> None:
    office.take(day)
    before = one(office.dsn, "SELECT sum(gross_ore), sum(lines) FROM hour_sale")
    clear(office.dsn)
    place = a_receipt(day)
    good = envelopes(day)[place]["body"]
    bad = changed(day, lambda at, e: spoil(e["body"], how) if at == place else None)
    office.take(bad)
    assert one(office.dsn, "SELECT head_seq FROM stream") == bad.head.seq, "nothing waits"
    found = rows(office.dsn, "quarantine")
    named = dict(
        zip(
            sorted("day store_id stream_id seq n time kind place reason detail counted total_ore".split()),
            found[0],
            strict=True,
        )
    )
    assert (named["seq"], named["reason"], named["counted"]) == (place + 1, reason, counted)
    assert named["reason"] in REASONS
    gross, lines = one(office.dsn, "SELECT sum(gross_ore), sum(lines) FROM hour_sale")
    assert gross == before[0] - (good["total_ore"] if counted == "nothing" else 0)
    assert lines == before[1] - (0 if counted in {"all", "lines"} else len(good["lines"]))
    assert one(office.dsn, "SELECT sum(gross_ore) FROM hour_group") == gross, "groups add up to the total, always"


def test_r21_text_no_database_takes_is_shown_made_safe(office: Office, day: History) -> None:
    place = a_receipt(day)
    office.take(changed(day, lambda at, e: spoil(e["body"], "nul") if at == place else None))
    assert one(office.dsn, "SELECT count(*) FROM line WHERE article_group = '·Mejeri··'") == 1


@pytest.mark.parametrize(
    ("time", "reason", "counted_day"),
    [
        ("2031-01-01T10:00:00.000Z", "future", "2031-01-01"),
        ("1999-12-31T23:30:00.000Z", "past", "2000-01-01"),
        ("2026-W47-7T10:00:00.000Z", "time", "1970-01-01"),
        ("2026-13-41T10:00:00.000Z", "time", "1970-01-01"),
        ("next Tuesday", "time", "1970-01-01"),
    ],
)
def test_r21_a_time_no_till_can_mean_goes_to_the_months_of_its_own(
    office: Office, day: History, time: str, reason: str, counted_day: str
) -> None:
    place = a_receipt(day)
    office.take(changed(day, lambda at, e: e.update(time=time) if at == place else None))
    found = one(
        office.dsn,
        f"SELECT q.reason, q.day::text, r.tableoid::regclass::text FROM quarantine q JOIN receipt r USING (seq) WHERE q.seq = {place + 1}",
    )
    assert found == (reason, counted_day, "receipt_other")
    assert one(office.dsn, "SELECT sum(total_ore) FROM receipt") == sums(day)["total"]


def test_r21_a_clock_that_is_wrong_for_a_whole_batch_stops_nothing(office: Office, day: History) -> None:
    office.take(changed(day, lambda _, e: e.update(time="9999-12-31T23:59:59.999Z")))
    assert one(office.dsn, "SELECT sum(total_ore) FROM receipt") == sums(day)["total"]
    assert one(office.dsn, "SELECT count(*) FROM chunk_other") == 1


def test_r21_one_in_a_hundred_malformed_costs_only_itself(office: Office, day: History) -> None:
    rng = Random(21)
    places = {place for place, e in enumerate(envelopes(day)) if e["kind"] == "receipt" and rng.random() < 0.3}
    hows = {place: rng.choice(["lines", "vat", "text", "huge", "twice"]) for place in places}
    bad = changed(day, lambda at, e: spoil(e["body"], hows[at]) if at in places else None)
    office.take(bad, list(range(10, bad.head.seq, 10)))
    assert one(office.dsn, "SELECT sum(total_ore) FROM receipt") == sums(day)["total"]
    assert one(office.dsn, "SELECT head_seq FROM stream") == bad.head.seq


def test_r21_goods_nobody_knows_are_counted_and_named(dsn: str, day: History) -> None:
    clear(dsn)
    office = Office(dsn, Views(Goods(articles=frozenset({"1001"}), groups=frozenset({"Mejeri"}))).see)
    office.take(day)
    assert one(dsn, "SELECT count(DISTINCT reason) FROM quarantine WHERE counted = 'all'") == 2
    assert one(dsn, "SELECT sum(net_ore) FROM line") == sums(day)["total"]
    office.close()


def test_r21_a_mistake_of_ours_in_a_view_keeps_the_entries_and_says_so(dsn: str, day: History) -> None:
    clear(dsn)

    def broken(entries: Any, received: int, last: int) -> Any:
        rows = Views().see(entries, received, last)
        rows.receipt.append(("no day",) * 14)
        return rows

    office = Office(dsn, broken)
    office.take(day)
    assert one(dsn, "SELECT reason, counted FROM quarantine") == ("views", "nothing")
    assert one(dsn, "SELECT count(*) FROM receipt") == 0
    assert one(dsn, "SELECT head_seq FROM stream") == day.head.seq
    office.close()


def test_k8_what_an_epoch_stands_for_is_beside_its_figures(office: Office, day: History) -> None:
    office.known[day.till, 1] = standing(day.till, provisional=True)
    office.take(day)
    assert one(office.dsn, "SELECT provisional, revoked FROM stream") == (True, "")
    office.shelf.stand(standing(day.till, revoked="stolen"))
    assert one(office.dsn, "SELECT provisional, revoked FROM stream") == (False, "stolen")
    office.known[day.till, 1] = standing(day.till)
    office.keeper.receive(day.batch(0, 0))
    assert one(office.dsn, "SELECT provisional, revoked FROM stream") == (False, ""), (
        "the next batch says how it is now"
    )


def test_r20_the_till_s_own_word_dates_what_is_here(office: Office, day: History) -> None:
    office.keeper.receive(day.batch(0, day.head.seq, as_of=day.as_of()))
    assert one(office.dsn, "SELECT extract(epoch FROM as_of)::bigint * 1000, as_of_seq FROM stream") == (
        NOW,
        day.head.seq,
    )
    assert one(office.dsn, "SELECT extract(epoch FROM heard)::bigint * 1000 FROM stream") == NOW
