"""What a till's card says from worst to best, and what the picture of the day shows."""

from __future__ import annotations

import pytest

from oppet.base.clock import parse_utc, utc_text
from oppet.journal.entry import NOTHING, Head, seal
from oppet.journal.kinds import (
    Body,
    EpochClosed,
    OutageBegan,
    ReceiptPrinted,
    SaleOpened,
    SignedIn,
    TillStarted,
    TillStopped,
)
from oppet.store.day import Hour, TillDay
from oppet.store.web_node import Contact, DayBook, Upward
from oppet.store.web_views import Look, chart, lane, needs_a_look, retold
from oppet.sync.certificates import Revocation, make_paper
from oppet.sync.errors import KeeperAwayError
from tests.store.backroom import FakeBackroom
from tests.store.test_day import a_receipt
from tests.sync.chain import MANAGER, OTHER, WHEN

STARTED = TillStarted("0.3.0", "p1", "here", unclean=False)
ALVA_IN = SignedIn(101, "cashier")
MINUTE = 60_000


def a_sale(number: int, copies: int) -> list[Body]:
    return [
        SaleOpened(number, "sale", 101),
        a_receipt(number, number),
        ReceiptPrinted("normal", number, "paper", copies=copies),
    ]


def a_node(bodies: list[Body], contact: Contact | None = None, ago_ms: int = 5_000) -> FakeBackroom:
    node = FakeBackroom()
    node.certify("S01-K1", 1, OTHER.public)
    head, entries = Head(0, NOTHING), []
    for body in bodies:
        data, head = seal(head, "S01-K1", 1, node.clock.now() - ago_ms, body)
        entries.append(data)
    if entries:
        node.kept["S01-K1", 1, ""] = Head(0, NOTHING), entries
    node.heard["S01-K1"] = contact if contact is not None else Contact(heard=node.clock.now())
    return node


def state(node: FakeBackroom) -> tuple[str, str]:
    (till,) = Look(node, DayBook(node), str).tills
    assert till.bad == bool(needs_a_look(Look(node, DayBook(node), str)))
    return till.kind, till.words


BEHIND = Contact(heard=parse_utc("2026-11-22T09:00:00.000Z"), behind=34, behind_since="2026-11-22T08:00:00.000Z")
FULL = Contact(heard=BEHIND.heard, why="The disk is full.")


@pytest.mark.parametrize(
    ("bodies", "contact", "kind", "words"),
    [
        ([], None, "open", "Certified, not started yet"),
        ([STARTED, ALVA_IN], None, "ok", "Selling, 101 signed in"),
        ([STARTED], None, "ok", "Ready, nobody signed in"),
        ([STARTED, ALVA_IN], Contact(), "late", "No contact since 09:59"),
        ([STARTED, ALVA_IN], Contact(heard=BEHIND.heard - 70_000), "late", "No contact since 09:58"),
        ([STARTED, TillStopped()], Contact(), "open", "Switched off since 09:59"),
        ([STARTED, TillStopped()], None, "open", "Switched off since 09:59"),
        ([STARTED, EpochClosed("scrapped", 301)], Contact(), "open", "Taken out of use"),
        ([STARTED, ALVA_IN], BEHIND, "late", "34 entries behind since 09:00"),
        ([STARTED, ALVA_IN], FULL, "late", "Its last entries could not be kept here"),
        ([STARTED, ALVA_IN, OutageBegan("", 201)], None, "warn", "Reserve routine since 09:59"),
        ([STARTED, ALVA_IN, *a_sale(1, 0)], None, "ok", "Selling, 101 signed in"),
        ([STARTED, ALVA_IN, *a_sale(1, 0), *a_sale(2, 1)], None, "ok", "Selling, 101 signed in"),
    ],
)
def test_r20_a_tills_state_is_one_sentence(bodies: list[Body], contact: Contact | None, kind: str, words: str) -> None:
    assert state(a_node(bodies, contact)) == (kind, words)


def test_k14_a_receipt_printed_alone_is_said_with_the_machines_it_is_on_now_and_is_no_warning() -> None:
    node = a_node([STARTED, ALVA_IN, *a_sale(1, 0)])
    (till,) = Look(node, DayBook(node), str).tills
    assert not till.bad
    assert till.alone == "Receipt 1 was printed alone at 09:59; it is on 2 machines now"
    node.above["S01-K1", 1, ""] = 5
    (till,) = Look(node, DayBook(node), str).tills
    assert till.alone.endswith("it is on 3 machines now")


def test_k14_nothing_is_said_of_a_receipt_that_had_its_copies() -> None:
    node = a_node([STARTED, ALVA_IN, *a_sale(1, 0), *a_sale(2, 1)])
    (till,) = Look(node, DayBook(node), str).tills
    assert till.alone == ""


def test_k9_a_revoked_till_is_said_to_be_before_anything_else() -> None:
    node = a_node([STARTED, ALVA_IN], BEHIND)
    node.directory.add(make_paper(Revocation("S01-K1", 1, "stolen", WHEN), MANAGER))
    assert state(node) == ("off", "Revoked")


def test_k5_two_journals_are_said_before_silence() -> None:
    node = a_node([STARTED, ALVA_IN], Contact())
    node.fork("S01-K1", 1, [ALVA_IN])
    assert state(node) == ("off", "Two different journals carry this till’s name")


def test_k14_copies_are_the_till_this_node_and_hq_once_it_says_so() -> None:
    node = a_node([STARTED, *a_sale(1, 2)])
    (till,) = Look(node, DayBook(node), str).tills
    assert (till.machines, till.above) == (3, False)
    node.above["S01-K1", 1, ""] = 4
    (till,) = Look(node, DayBook(node), str).tills
    assert (till.machines, till.above, till.unkept) == (4, True, 0)


@pytest.mark.parametrize(
    ("upward", "kind", "words"),
    [
        (Upward(), "late", "HQ has not answered since the store node started"),
        (Upward(heard=BEHIND.heard), "ok", "HQ has everything"),
        (Upward(heard=BEHIND.heard - 2 * MINUTE), "late", "HQ has everything up to 09:58"),
        (Upward(3, "2026-11-22T08:59:00.000Z", "", BEHIND.heard), "ok", "3 entries wait for HQ since 09:59"),
        (Upward(3, "2026-11-22T08:59:00.000Z", "x", 0), "late", "3 entries wait for HQ since 09:59"),
    ],
)  # fmt: skip
def test_r20_the_way_up_says_what_waits_and_since_when(upward: Upward, kind: str, words: str) -> None:
    node = a_node([])
    found = lane(upward, Look(node, DayBook(node), str))
    assert (found.kind, found.words) == (kind, words)


def test_r20_why_is_told_in_the_readers_words() -> None:
    node = a_node([])
    upward = Upward(3, WHEN, str(KeeperAwayError(keeper="HQ {0}", why="no answer in time")), 0)
    look = Look(
        node,
        DayBook(node),
        lambda text: text.replace("does not answer", "svarar inte").replace("no answer", "inget svar"),
    )
    assert retold(upward.why, look.say) == "Keeper HQ {0} svarar inte (inget svar in time)."
    assert lane(upward, look).why == "Head office svarar inte"


# --- the picture of the day -----------------------------------------------------------------------------------------

NOON = parse_utc("2026-11-22T11:20:00.000Z")


def a_day(**hours: int) -> TillDay:
    return TillDay(hours={f"2026-11-{place[1:3]}T{place[4:]}": Hour(ore, 1) for place, ore in hours.items()})


def test_r02_the_picture_holds_every_hour_that_sold() -> None:
    drawn = chart([a_day(d22_03=5_000, d22_12=20_000), a_day(d15_22=7_000)], NOON)
    assert [bar.hour for bar in drawn.bars] == list(range(3, 23))
    assert drawn.total.net_ore == 25_000
    assert drawn.known
    assert drawn.best is not None
    assert drawn.best.hour == 12
    assert drawn.until_ore == 5_000
    assert [bar.hour for bar in drawn.bars if bar.now] == [12]
    assert max(bar.height for bar in drawn.bars) == 100


def test_r02_last_week_is_compared_over_whole_hours_only() -> None:
    drawn = chart([a_day(d22_09=30_000, d22_12=99_000, d15_09=20_000, d15_12=50_000)], NOON)
    assert (drawn.until_ore, drawn.before_ore, drawn.change) == (30_000, 20_000, 50)


def test_r02_nothing_sold_and_only_returns_draw_no_bar() -> None:
    for day in (TillDay(), a_day(d22_10=-4_000)):
        drawn = chart([day], NOON)
        assert [bar.height for bar in drawn.bars] == [0] * 13
        assert drawn.best is None
        assert drawn.change == 0


def test_m1_the_scale_is_a_round_number_above_the_highest_bar() -> None:
    for ore in (1, 10_000, 10_001, 213_200, 99_999_999_999):
        top = chart([a_day(d22_10=ore)], NOON).top_ore
        assert ore <= top
        assert top <= max(2 * ore, 10_000)
    assert utc_text(NOON).endswith("Z")
