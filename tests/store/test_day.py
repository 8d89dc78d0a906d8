"""The store's day from journals: right to the öre, the same in any pieces, and stopped by nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.clock import local_day
from oppet.journal.entry import NOTHING, Entry, Head, parse, seal
from oppet.journal.kinds import (
    Body,
    CaseOpened,
    CaseSettled,
    CashMoved,
    EpochClosed,
    FloatSet,
    LineAdded,
    LineVoided,
    OutageBegan,
    OutageEnded,
    Receipt,
    ReceiptLine,
    ReceiptPrinted,
    ReceiptTender,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    TenderReversed,
    TenderTaken,
    TillStarted,
    UnitClosed,
    UnitOpened,
    VatAmount,
)
from oppet.payments.means import cash_due
from oppet.store.day import MOST_OPEN, MOST_TROUBLE, TillDay, hours_of
from tests.register.world import SUNDAY
from tests.store.shop import ALVA, BASKETS, BO, SoManyCopies, StoreTill, a_store_till, sell

HOUR = 3_600_000


def folded(entries: list[Entry], *cuts: int) -> TillDay:
    """The fold in pieces, written down and taken up again at every cut."""
    day = TillDay()
    for cut in (*sorted(cuts), len(entries)):
        day.read(entries[:cut])
        day = msgspec.json.decode(msgspec.json.encode(day), type=TillDay)
    return day


def sealed(bodies: list[Body], instant: int = SUNDAY) -> list[Entry]:
    head, entries = Head(0, NOTHING), []
    for place, body in enumerate(bodies):
        data, head = seal(head, "S01-K1", 1, instant + place * 60_000, body)
        entries.append(parse(data))
    return entries


def a_receipt(sale: int, number: int, ore: int = 1_000, kind: str = "sale", means: str = "cash") -> Receipt:
    line = ReceiptLine(1, "1", "Mjölk", "Mejeri", "vara", 1000, "st", ore, ore, (), ore, 1200, ore * 12 // 112, "")
    return Receipt(
        sale, kind, number, "", "", "", "K1-1", 101, (line,), ore, 0, (VatAmount(1200, ore, ore * 12 // 112),),
        (ReceiptTender(means, ore, ore, 0),), "U", "C",
    )  # fmt: skip


def a_line(sale: int, line: int = 1, ore: int = 1_000) -> LineAdded:
    return LineAdded(sale, line, "1", "Mjölk", "Mejeri", "vara", 1000, "st", ore, ore, 1200)


@pytest.fixture
def shop(tmp_path: Path) -> StoreTill:
    """A day's sales, a return, one basket parked and one open, a Z in the middle."""
    till, world = a_store_till(tmp_path)
    for number, basket in enumerate(BASKETS):
        sell(till, *basket, means="card" if number % 3 == 0 else "cash")
        world.clock.pass_ms(HOUR // 2)
    till.returns.begin("2", BO)
    till.returns.take(1, 1000)
    till.checkout.pay("cash", cash_due(till.desk.priced(till.desk.basket()).total_ore))
    till.drawer.move(-20_000, "kassatömning", BO)
    till.drawer.z(BO)
    till.drawer.set_float(30_000)
    world.keepers.count = 0
    world.clock.pass_ms(HOUR)
    sell(till)
    till.selling.pick(BASKETS[1][0])
    till.selling.park()
    till.selling.pick(BASKETS[0][0])
    return world


def test_r02_sales_by_hour_are_the_receipts(shop: StoreTill) -> None:
    entries = [entry for entry, _ in shop.entries()]
    day = folded(entries)
    receipts = [body for body in shop.bodies(Receipt) if isinstance(body, Receipt)]
    signed = [receipt.total_ore if receipt.kind == "sale" else -receipt.total_ore for receipt in receipts]
    hours = hours_of([day], local_day(SUNDAY))
    assert sum(hour.net_ore for hour in hours) == sum(signed)
    assert sum(hour.sales for hour in hours) == len(BASKETS) + 1
    assert sum(hour.returns for hour in hours) == 1
    assert [place for place, hour in enumerate(hours) if hour.sales] == [10, 11, 12, 14]
    assert sum(hour.net_ore for hour in hours_of([day, day], "2026-11-21")) == 0
    assert day.troubles == 0


def test_f4_the_drawer_of_the_day_is_the_tills(shop: StoreTill) -> None:
    till = shop.start()
    day = folded([entry for entry, _ in shop.entries()])
    assert day.tally.cash_expected_ore() == till.desk.state.tally.cash_expected_ore() != 0
    (made,) = day.z_reports
    assert made.number == 1
    assert made.difference_ore == 0


def test_r27_open_and_parked_baskets_are_seen(shop: StoreTill) -> None:
    day = folded([entry for entry, _ in shop.entries()])
    waiting = list(day.baskets.values())
    assert [(bool(basket.parked), len(basket.lines), basket.by) for basket in waiting] == [
        (True, 1, ALVA.number), (False, 1, ALVA.number),
    ]  # fmt: skip
    assert day.staff == ALVA.number


def test_k14_the_last_sale_says_how_many_machines_had_it(tmp_path: Path) -> None:
    till, world = a_store_till(tmp_path, keepers=SoManyCopies(2))
    sell(till)
    day = folded(sealed([]))
    day.read(entry for entry, _ in world.entries())
    printed = [body.copies for body in world.bodies(ReceiptPrinted) if isinstance(body, ReceiptPrinted)]
    assert day.last_sale is not None
    assert day.last_sale.copies == printed[-1]


def test_r15_alone_since_the_first_sale_nobody_else_had() -> None:
    bodies: list[Body] = []
    for sale, copies in enumerate((1, 0, 0), 1):
        bodies += [
            SaleOpened(sale, "sale", 101),
            a_receipt(sale, sale),
            ReceiptPrinted("normal", sale, "paper", copies=copies),
        ]
    entries = sealed(bodies)
    assert folded(entries[:3]).alone_since == ""
    assert folded(entries).alone_since == entries[5].time
    again = [*bodies, SaleOpened(4, "sale", 101), a_receipt(4, 4), ReceiptPrinted("normal", 4, "paper", copies=2)]
    assert folded(sealed(again)).alone_since == ""


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=6))
def test_r02_three_times_and_in_pieces_gives_the_same(cuts: list[int]) -> None:
    entries = sealed(A_DAY)
    whole = folded(entries)
    again = TillDay()
    for _ in range(3):
        again.read(entries)
    assert again == whole == folded(entries, *(min(cut, len(entries)) for cut in cuts))


def _a_day() -> list[Body]:
    bodies: list[Body] = [FloatSet(50_000, 101), TillStarted("0.3.0", "p1", "here", unclean=False)]
    for sale in range(1, 30):
        bodies += [SaleOpened(sale, "sale", 101), a_line(sale), a_line(sale, 2, 500)]
        match sale % 7:
            case 0:
                bodies += [SaleParked(sale, 101), SaleResumed(sale, 101), LineVoided(sale, 2, 500, 101, 0)]
            case 1:
                bodies += [SaleParked(sale, 101)]
                continue
            case 2:
                bodies += [SaleAbandoned(sale, 1_500, "", 101)]
                continue
            case 3:
                bodies += [SaleParked(sale, 101), SaleMoved(sale, "S01-K2", 1)]
                continue
            case 4:
                bodies += [TenderTaken(sale, 1, "cash", 500, 500, 0), TenderReversed(sale, 1, "cash", 500, "")]
        bodies += [a_receipt(sale, sale, 1_000, "return" if sale % 5 == 0 else "sale", "card" if sale % 2 else "cash")]
        bodies += [ReceiptPrinted("normal", sale, "paper", copies=sale % 3)]
    bodies += [CaseOpened(1, "clock", 0, 0), CaseOpened(2, "journal", 0, 0), CaseSettled(1, 0, 0, 201)]
    bodies += [OutageBegan("", 0), OutageEnded(201, 0, 0), UnitClosed("U1", "full"), UnitOpened("U1", 201)]
    return [*bodies, CashMoved(-5_000, "", 201)]


A_DAY = _a_day()

ANY = st.sampled_from(A_DAY)


@given(st.lists(ANY, max_size=60), st.integers(min_value=0, max_value=60))
def test_r21_any_order_of_entries_stops_nothing(bodies: list[Body], cut: int) -> None:
    entries = sealed(bodies)
    assert folded(entries) == folded(entries, min(cut, len(entries)))


def damaged(entry: Entry, **more: object) -> Entry:
    return msgspec.structs.replace(entry, **more)


def test_r21_a_bad_body_is_listed_and_the_next_is_counted() -> None:
    entries = sealed([a_receipt(1, 1), a_receipt(2, 2), a_receipt(3, 3), a_receipt(4, 4), a_receipt(5, 5)])
    entries[1] = damaged(entries[1], body=msgspec.Raw(b'{"sale":"two"}'))
    entries[2] = damaged(entries[2], kind="from_the_future")
    entries[3] = damaged(entries[3], time="yesterday at four o'clock")
    day = folded(entries)
    assert [trouble.seq for trouble in day.trouble] == [2, 4]
    assert day.seq == 5
    assert sum(hour.net_ore for hour in day.hours.values()) == 2_000


@pytest.mark.parametrize(
    "wrong",
    [
        a_receipt(1, 1, kind="gift"),
        a_receipt(1, 1, 10**40),
        a_receipt(10**400, 1),
        CaseOpened(10**300, "", 0, 0),
        FloatSet(-(10**100), 1),
    ],
)
def test_r21_numbers_of_nonsense_count_nowhere(wrong: Body) -> None:
    day = folded(sealed([wrong, a_receipt(2, 2)]))
    assert day.troubles == 1
    assert sum(hour.net_ore for hour in day.hours.values()) == 1_000


def test_r21_a_receipt_that_does_not_add_up_is_counted_and_listed() -> None:
    odd = msgspec.structs.replace(a_receipt(1, 1), total_ore=900)
    day = folded(sealed([odd]))
    assert day.troubles == 1
    assert sum(hour.net_ore for hour in day.hours.values()) == 900


def test_j7_nothing_a_hostile_journal_opens_grows_without_end() -> None:
    bodies: list[Body] = []
    for sale in range(1, 2_000):
        bodies += [SaleOpened(sale, "sale", 101), TenderTaken(sale, 1, "cash", 1, 1, 0), CaseOpened(sale, "x", 0, 0)]
    bodies += [a_line(1, line) for line in range(1, 2_000)]
    bodies += [UnitClosed(f"U{unit}", "") for unit in range(1_000)]
    day = folded(sealed(bodies))
    assert max(len(day.baskets), len(day.cases), len(day.closed_units), len(day.tally.open_lines)) <= MOST_OPEN
    assert len(day.trouble) == MOST_TROUBLE < day.troubles
    assert len(msgspec.json.encode(day)) < 200_000


def test_r02_hours_are_kept_for_two_weeks_and_no_longer() -> None:
    bodies: list[Body] = [a_receipt(1, 1)]
    day = TillDay()
    for number in range(40):
        for entry in sealed(bodies, SUNDAY + number * 24 * HOUR):
            day.read([msgspec.structs.replace(entry, seq=day.seq + 1)])
    assert len(day.hours) <= 24 * 15
    for number in range(24 * 20):
        for entry in sealed(bodies, SUNDAY + number * HOUR):
            day.read([msgspec.structs.replace(entry, seq=day.seq + 1)])
    assert len(day.hours) == 24 * 15
    assert len(day.receipts) <= 24 * 20


def test_r02_an_epoch_that_ended_in_order_says_why() -> None:
    assert folded(sealed([EpochClosed("Tagen ur bruk", 301)])).closed == "Tagen ur bruk"
