"""Head office's rows of tenders: what the till's own fold says, however the entries were cut."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from oppet.drivers.hq_rebuild import rebuild
from oppet.drivers.hq_rows import Rows
from oppet.figures import tenders
from oppet.figures.views import Views
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import TenderHeard, TenderReversed, TenderSent, TenderTaken
from oppet.payments.tender import NEXT, Attempt, advance, moved
from tests.hq.paid import PLAN, PRICE, a_paid_day
from tests.hq.sold import Office, chained, changed, clear, dump, envelopes, one
from tests.sync.chain import History


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_paid_day(tmp_path_factory.mktemp("till"))


@pytest.fixture
def office(dsn: str) -> Iterator[Office]:
    clear(dsn)
    office = Office(dsn)
    yield office
    office.close()


def folded(day: History) -> dict[tuple[int, int], Attempt]:
    """What the till itself makes of its entries."""
    found: dict[tuple[int, int], Attempt] = {}
    for raw in day.entries:
        body = body_of(parse(raw))
        if isinstance(body, TenderSent | TenderHeard | TenderTaken):
            key = (body.sale, body.tender)
            attempt = advance(found.get(key), parse(raw).time, body)
            if attempt is not None:
                found[key] = attempt
        elif isinstance(body, TenderReversed) and (body.sale, body.tender) in found:
            found[body.sale, body.tender].taken = False
    return found


def asked(dsn: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM asked_tender ORDER BY sale, tender").fetchall()


def test_r02_one_row_a_tender_says_what_the_till_s_own_fold_says(office: Office, day: History) -> None:
    office.take(day)
    said = folded(day)
    rows = asked(office.dsn)
    assert len(rows) == len(said) == len(PLAN) + 2
    for row in rows:
        attempt = said[row["sale"], row["tender"]]
        assert row["state"] == attempt.state
        assert (row["amount_ore"], row["approved_ore"]) == (attempt.amount_ore, attempt.approved_ore)
        assert (row["risky"], row["counted"], row["why"]) == (attempt.risky, attempt.taken, attempt.why)
        assert (row["means"], row["path"], row["request"]) == (attempt.means, attempt.path, attempt.request)
        assert row["reference"] == (attempt.evidence.reference if attempt.evidence else "")
    states = {row["state"] for row in rows}
    assert states == {"approved", "declined", "accepted_at_risk", "partial", "reversed", "unknown"}
    assert one(office.dsn, "SELECT path, state FROM path_state WHERE path = 'card-1'") == ("card-1", "down")
    assert one(office.dsn, "SELECT count(*) FROM quarantine") == 0


def test_r02_tenders_do_not_depend_on_how_entries_were_cut(office: Office, day: History) -> None:
    office.take(day)
    before = dump(office.dsn)
    assert before["asked_tender"]
    for seed in range(4):
        rng = Random(seed)
        clear(office.dsn)
        for _ in range(2):
            office.take(day, sorted(rng.sample(range(1, day.head.seq), rng.randrange(1, 60))))
        assert dump(office.dsn) == before, seed


def test_r02_tenders_are_made_again_from_entries(office: Office, day: History) -> None:
    office.take(day, [20, 41, 42, 43, 60])
    before = dump(office.dsn)
    with psycopg.connect(office.dsn) as connection:
        connection.execute("UPDATE asked_tender SET state = 'declined'")
        connection.execute("DELETE FROM path_state")
    assert dump(office.dsn) != before
    list(rebuild(office.dsn, Views().see))
    assert dump(office.dsn) == before


def test_k5_a_fork_in_the_middle_of_a_payment_is_a_row_of_its_own(office: Office, day: History) -> None:
    office.take(day)
    said = envelopes(day)
    place = next(n for n, e in enumerate(said) if e["kind"] == "tender_heard")
    tail = chained([*said[:place], said[place] | {"time": "2026-11-22T21:00:00.000Z"}], day.till)
    office.take(tail)
    first = said[place]["body"]
    rows = [row for row in asked(office.dsn) if (row["sale"], row["tender"]) == (first["sale"], first["tender"])]
    assert sorted((row["means"], row["state"]) for row in rows) == [("", "approved"), ("card", "approved")]


def test_pt2_nothing_unknown_is_counted_as_sold(office: Office, day: History) -> None:
    office.take(day)
    open_ore = one(office.dsn, "SELECT sum(amount_ore) FROM asked_tender WHERE state = 'unknown'")
    assert open_ore == PRICE
    paid = one(office.dsn, "SELECT sum(approved_ore) FROM asked_tender WHERE counted")
    by_card = one(office.dsn, "SELECT coalesce(sum(amount_ore), 0) FROM tender WHERE means <> 'cash'")
    assert paid == by_card, "what receipts say was paid is what services said they took"
    assert one(office.dsn, "SELECT sum(gross_ore) FROM hour_sale") == one(
        office.dsn, "SELECT sum(total_ore) FROM receipt"
    )


def test_r21_a_tender_that_cannot_be_read_waits_for_a_person_and_blocks_nothing(office: Office, day: History) -> None:
    spoiled = changed(
        day, lambda place, e: e["body"].update(sale="x") if e["kind"] == "tender_heard" and place < 40 else None
    )
    office.take(spoiled)
    assert one(office.dsn, "SELECT count(*) FROM quarantine WHERE kind = 'tender_heard'") >= 1
    assert one(office.dsn, "SELECT count(*) FROM asked_tender") == len(PLAN) + 2


def test_pt7_of_a_card_never_more_than_four_digits_stand_at_head_office(office: Office, day: History) -> None:
    def leak(_: int, envelope: dict[str, Any]) -> None:
        if envelope["kind"] == "tender_heard" and "evidence" in envelope["body"]:
            envelope["body"]["evidence"]["card"] = "4111111111111111"

    office.take(changed(day, leak))
    assert {row["card"] for row in asked(office.dsn)} <= {"", "1111"}


STEPS = sorted({("", what) for _, what, _ in NEXT} | {(outcome, what) for _, what, outcome in NEXT})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=12), st.data())
def test_r02_pieces_put_together_move_as_their_entries_do(steps: list[tuple[str, str]], data: st.DataObject) -> None:
    """Whatever a till wrote, sensible or not: any cut gives the state that one entry after the other gives."""
    state = "asked"
    pieces: list[Rows] = [Rows()]
    for number, (outcome, what) in enumerate(steps):
        state = moved(state, what, outcome)
        if data.draw(st.booleans()):
            pieces.append(Rows())
        name = "tender_heard" if outcome else "tender_sent"
        more = {"outcome": outcome} if outcome else {"path": "p", "means": "card", "amount_ore": 1, "request": "r"}
        body = msgspec.Raw(msgspec.json.encode({"sale": 1, "tender": 1, "what": what} | more))
        tenders.read(pieces[-1], name, body, number + 1, "2026-11-22", "2026-11-22T10:00:00.000Z")
    whole = Rows()
    for piece in pieces:
        whole.add(piece)
    if steps:
        assert whole.asked_tender[1, 1].state == state
        assert whole.asked_tender[1, 1].moves["asked"] == state
