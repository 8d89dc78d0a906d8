"""What a till's tenders outside add up to: the figure its terminal's own total is held against."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from oppet.fiscal.takings import Takings
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import PathSeen, TenderHeard, TenderSent
from tests.hq.paid import PRICE, a_paid_day
from tests.sync.chain import History

DAY = "2026-11-22"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_paid_day(tmp_path_factory.mktemp("till"))


def read(day: History, first: int = 0, takings: Takings | None = None, last: int | None = None) -> Takings:
    found = takings or Takings()
    for raw in day.entries[first:last]:
        entry = parse(raw)
        body = body_of(entry)
        if body is not None:
            found.read(entry.time, body)
    return found


def test_r13_a_way_s_total_is_what_its_service_moved(day: History) -> None:
    takings = read(day)
    ways = {way.path: way for way in takings.on(takings.day)}
    card, swish = ways["card-1"], ways["swish"]
    # approve ×3, silent_charged, offline, half, and double which nobody wanted and which went back
    assert (card.paid, card.paid_ore) == (7, 5 * PRICE + PRICE // 2 + 2 * PRICE)
    assert (card.reversed, card.reversed_ore) == (1, 2 * PRICE)
    assert card.net_ore == 5 * PRICE + PRICE // 2
    assert (swish.paid_ore, swish.reversed_ore, swish.net_ore) == (PRICE, PRICE, 0)
    assert takings.on("2026-11-23") == []


def test_pt2_what_nobody_knows_stays_open_and_counts_nothing(day: History) -> None:
    [one] = read(day).open()
    assert (one.state, one.amount_ore, one.path) == ("unknown", PRICE, "card-1")


def test_pt6_what_was_taken_at_risk_is_listed_with_its_reference(day: History) -> None:
    takings = read(day)
    [risky] = takings.risky_on(takings.day)
    assert (risky.ore, risky.path, risky.reference[:1]) == (PRICE, "card-1", "T")
    assert takings.risk_ore(takings.day) == PRICE
    assert takings.risk_ore("2026-11-23") == 0


def test_pt8_the_board_says_how_each_way_last_worked_and_since_when(day: History) -> None:
    paths = read(day).paths
    assert {name: line.state for name, line in paths.items()} == {"card-1": "down", "swish": "working"}


def test_r02_in_pieces_and_written_down_between_it_comes_to_the_same(day: History) -> None:
    whole = read(day)
    for seed in range(5):
        place = Random(seed).randrange(1, len(day.entries))
        before = msgspec.json.decode(msgspec.json.encode(read(day, last=place)), type=Takings)
        assert read(day, place, before) == whole


def test_r21_nonsense_makes_nothing_grow() -> None:
    takings, time = Takings(), "2026-11-22T10:00:00.000Z"
    for n in range(2_000):
        takings.read(time, PathSeen(f"p{n}", "card", "working"))
        takings.read(time, TenderSent(n, 1, "payment", f"p{n}", "card", 100, f"r{n}"))
        takings.read(time, TenderHeard(n, 1, "payment", f"r{n}", "accepted_at_risk", 100))
        takings.read(time, TenderHeard(n, 2, "status", f"r{n}", "approved", 100))
    assert max(len(takings.paths), len(takings.ways), len(takings.attempts), len(takings.risky)) <= 300
    assert takings.risk_ore(DAY) == 200_000, "counted all the same"


def test_pt8_a_terminal_that_decides_alone_is_said_so_on_every_board() -> None:
    takings, time = Takings(), "2026-11-22T10:00:00.000Z"
    takings.read(time, PathSeen("card-1", "card", "down", "host", alone=True))
    takings.read(time, PathSeen("swish", "swish", "down", "line"))
    assert {name: line.state for name, line in takings.paths.items()} == {"card-1": "alone", "swish": "down"}
