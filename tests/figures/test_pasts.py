"""What lags together is one: how many units an outage of a whole chain is, and how often their history is read."""

from __future__ import annotations

from collections.abc import Sequence

from oppet.base.clock import parse_utc
from oppet.drivers.hq_sales import Days
from oppet.figures.complete import Held, Till
from oppet.figures.estimate import HISTORY_DAYS, HOURS
from oppet.figures.pasts import PIECE, Pasts, Unit, units_of
from oppet.figures.sales import kind_of
from tests.hq.trade import TODAY
from tests.sync.chain import FakeClock

DAY = "2026-11-20"


def at(text: str) -> int:
    """A Swedish wall clock's time that day."""
    return parse_utc(f"{DAY}T{text}:00.000Z") - 3_600_000


def till(name: str, until: str, state: str = "running") -> Till:
    return Till(name[:3], name, 1, at(until) if until else 0, 0, state, provisional=False, epochs=1, branches=0)


def units(*tills: Till, held: Sequence[str], most: int = 1_000) -> list[Unit]:
    store = tills[0].store
    why = Held(store, tuple(held), len(tills), 0, "silent", 0)
    return units_of({store: why}, {store: tills}, DAY, most)[store]


def test_q1_a_store_whose_tills_fell_silent_together_is_one_unit() -> None:
    tills = till("S01-K1", "13:00"), till("S01-K2", "13:06"), till("S01-K3", "13:03")
    (one,) = units(*tills, held=["S01-K1", "S01-K2", "S01-K3"])
    assert (one.name, one.whole, one.tills) == ("S01", True, ("S01-K1", "S01-K3", "S01-K2"))
    assert abs(one.until - 13.05) < 1e-9


def test_q1_tills_that_lag_at_different_times_are_each_its_own() -> None:
    tills = till("S01-K1", "11:00"), till("S01-K2", "13:06"), till("S01-K3", "13:03"), till("S01-K4", "15:00")
    first, rest = units(*tills, held=["S01-K1", "S01-K2", "S01-K3"])
    assert (first.name, first.whole, first.until) == ("S01-K1", False, 11.0)
    assert (rest.name, rest.whole) == ("S01-K3+S01-K2", False)


def test_q1_a_till_that_stopped_in_order_is_no_part_of_what_is_missing() -> None:
    tills = till("S01-K1", "13:00"), till("S01-K2", "12:00", "stopped"), till("S01-K3", "09:00", "closed")
    (one,) = units(*tills, held=["S01-K1"])
    assert (one.name, one.whole) == ("S01-K1", False)
    (whole,) = units(tills[0], tills[2], held=["S01-K1"])
    assert whole.whole, "a till that was closed for good counts no more"


def test_q1_there_are_never_more_units_than_the_bound_or_one_a_store() -> None:
    tills = [till(f"S01-K{number}", f"{8 + number:02d}:00") for number in range(1, 6)]
    names = [one.till for one in tills]
    assert len(units(*tills, held=names)) == 5
    (one,) = units(*tills, held=names, most=2)
    assert (one.whole, one.until) == (True, 11.0)


def test_q3_a_store_without_any_till_is_a_unit_of_nothing() -> None:
    held = {"S01": Held("S01", (), 0, 0, "dark", 0)}
    assert units_of(held, {}, DAY)["S01"] == [Unit("S01", "S01", (), 0.0, whole=True)]


class Books:
    """Every store sold 100 öre in hour 12 of each day; tills half of it, every other day."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def stores_past(self, stores: Sequence[str], first: int, last: int) -> dict[str, Days]:
        self.asked.append(list(stores))
        return {
            store: {day: [100.0 * (hour == 12) for hour in range(HOURS)] for day in range(first, last + 1)}
            for store in stores
        }

    def parts_past(self, parts: Sequence[tuple[str, str, str]], first: int, last: int) -> dict[str, Days]:
        self.asked.append([part for _, _, part in parts])
        return {part: {day: [50.0] * HOURS for day in range(first, last + 1, 2)} for _, _, part in parts}


def test_q9_each_history_is_read_once_in_pieces_and_again_after_a_while() -> None:
    clock, books = FakeClock(), Books()
    pasts = Pasts(books, clock, kind_of)
    stores = [f"S{number:03d}" for number in range(2 * PIECE + 1)]
    assert set(pasts.stores(stores, TODAY)) == set(stores)
    assert [len(asked) for asked in books.asked] == [PIECE, PIECE, 1]
    pasts.stores([*stores, "S999"], TODAY)
    assert books.asked[3:] == [["S999"]], "only what is new"
    clock.at += 700_000
    pasts.stores(stores[:3], TODAY)
    assert books.asked[4:] == [stores[:3]]


def test_q1_many_as_one_are_their_sum_and_a_part_has_its_zeros() -> None:
    pasts = Pasts(Books(), FakeClock(), kind_of)
    together = pasts.together(["S01", "S02", "S03"], TODAY)
    assert len(together.days) == HISTORY_DAYS
    assert together.days[TODAY - 1][12] == 300.0
    unit = Unit("S01-K1", "S01", ("S01-K1",), 13.0, whole=False)
    days = pasts.units([unit], TODAY)["S01-K1"].days
    assert (sum(days[TODAY - HISTORY_DAYS]), sum(days[TODAY - HISTORY_DAYS + 1])) == (50.0 * HOURS, 0.0)
    assert pasts.today([unit], TODAY)["S01-K1"] == [50.0] * HOURS
