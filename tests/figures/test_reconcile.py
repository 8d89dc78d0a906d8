"""Ours beside theirs: one to one, and every difference a case (R13)."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.drivers.hq_payments import Ours, Theirs
from oppet.figures.reconcile import ABOUT, DAY_MS, WAIT_MS, Difference, reconcile

ASKED = 1_795_341_600_000  # 2026-11-22T10:00Z
SOON, LATE = ASKED + 3_600_000, ASKED + WAIT_MS + DAY_MS
TOLD = {"card": LATE, "swish": LATE}


def ours(number: int = 1, **more: object) -> Ours:
    said = {
        "store": "S01", "till": "S01-K1", "epoch": 1, "branch": "", "sale": number, "tender": 1, "day": "2026-11-22",
        "asked": ASKED + number * 60_000, "first_seq": 1, "means": "card", "path": "card-1", "request": f"R{number}",
        "amount_ore": 10_000, "back": False, "offline": False, "state": "approved", "changed": ASKED, "last_seq": 2, "why": "",
        "approved_ore": 10_000, "risky": False, "counted": True, "reference": f"T{number}", "approval": "A1", "card": "0010",
    }  # fmt: skip
    return Ours(**(said | more))  # type: ignore[arg-type]


def theirs(number: int = 1, **more: object) -> Theirs:
    said = {
        "service": "card", "line": f"L{number}", "file": "settlement-1.csv", "at": number + 1, "means": "card", "kind": "payment",
        "day": "2026-11-22", "time": ASKED + number * 60_000, "reference": f"T{number}", "original": "", "request": "",
        "amount_ore": 10_000,
        "card": "0010", "approval": "A1", "status": "settled", "message": "",
    }  # fmt: skip
    return Theirs(**(said | more))  # type: ignore[arg-type]


def found(mine: list[Ours], them: list[Theirs], now: int = LATE) -> list[tuple[str, int]]:
    return [(d.about, d.ore) for d in reconcile(mine, them, TOLD, now).differences]


def test_r13_what_agrees_is_matched_one_to_one() -> None:
    done = reconcile([ours(1), ours(2)], [theirs(2), theirs(1)], TOLD, LATE)
    assert (done.matched, done.matched_ore, done.waiting, done.differences) == (2, 20_000, 0, ())


CASES: tuple[tuple[str, list[Ours], list[Theirs], list[tuple[str, int]]], ...] = (
    ("another amount", [ours()], [theirs(amount_ore=12_000)], [("amount", 2_000)]),
    ("missing", [ours()], [theirs(2, reference="T1x", amount_ore=0)], [("missing", -10_000)]),
    ("extra", [], [theirs()], [("extra", 10_000)]),
    ("twice", [ours()], [theirs(), theirs(2, reference="T1")], [("twice", 10_000)]),
    ("refused here", [ours(state="declined", counted=False)], [theirs()], [("charged_though_refused", 10_000)]),
    ("not given back", [ours(state="reversed", counted=False)], [theirs()], [("not_given_back", 10_000)]),
    (
        "given back",
        [ours(state="reversed")],
        [theirs(), theirs(2, reference="V", original="T1", kind="reversal", amount_ore=-10_000)],
        [],
    ),
    ("given back before any file", [ours(state="reversed")], [], []),
    ("a reversal that failed is charged", [ours(state="reversal_failed")], [theirs()], []),
    ("a refund", [ours(back=True)], [theirs(kind="refund", amount_ore=-10_000)], []),
    (
        "a payment and its refund",
        [ours(1), ours(2, back=True, reference="B")],
        [theirs(1), theirs(2, reference="B", original="T1", kind="refund", amount_ore=-10_000)],
        [],
    ),
    ("a refund missing", [ours(back=True)], [], [("missing", 10_000)]),
    ("nobody knew, paid", [ours(state="unknown", approved_ore=0)], [theirs()], [("unknown_paid", 10_000)]),
    ("nobody knew, not paid", [ours(state="unknown", approved_ore=0, reference="")], [], [("unknown_not_paid", 0)]),
    ("one reference, two tenders", [ours(1), ours(2, reference="T1")], [theirs()], [("same_reference", -10_000)]),
)


@pytest.mark.parametrize(("mine", "them", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_r13_every_difference_is_a_case(mine: list[Ours], them: list[Theirs], said: list[tuple[str, int]]) -> None:
    assert found(mine, them) == said


def test_r13_what_is_in_no_file_yet_waits_and_is_no_case() -> None:
    done = reconcile([ours(1), ours(2, state="unknown", reference="", approved_ore=0)], [], TOLD, SOON)
    assert (done.waiting, done.waiting_ore, done.differences) == (2, 10_000, ())
    assert reconcile([ours()], [], {"card": ASKED - DAY_MS}, LATE).waiting == 1, "no file says anything of that day"


def test_pt6_what_was_taken_at_risk_is_settled_or_lost() -> None:
    risky: dict[str, Any] = {"state": "accepted_at_risk", "risky": True, "offline": True}
    mine = [ours(number, **risky) for number in (1, 2, 3)]
    them = [theirs(1), theirs(2, status="refused")]
    much_later = LATE + 7 * DAY_MS
    done = reconcile(mine, them, {"card": much_later}, much_later)
    assert (done.settled, done.settled_ore) == (1, 10_000)
    assert [(d.about, d.ore) for d in done.differences] == [("lost", -10_000)] * 2
    assert {d.ours.sale for d in done.differences if d.ours} == {2, 3}
    assert reconcile(mine, them, TOLD, LATE).waiting == 1, "a terminal may keep it for a week"


def test_pt6_an_unconfirmed_swish_is_found_by_the_code_in_its_message() -> None:
    alone: dict[str, Any] = {"means": "swish", "path": "swish-alone", "state": "accepted_at_risk", "risky": True}
    codes = ("S01.K1.1.0001", "S01.K1.1.0011")
    mine = [ours(n, request=code, reference=code, **alone) for n, code in enumerate(codes, 1)]
    paid: dict[str, Any] = {"service": "swish", "means": "swish", "card": "", "approval": ""}
    them = [
        theirs(2, reference="ABC", message="S01.K1.1.0011", **paid),
        theirs(1, reference="DEF", message="Mat S01.K1.1.0001", amount_ore=9_000, **paid),
    ]
    assert found(mine, them) == [("amount", -1_000)]
    assert reconcile(mine, them, TOLD, LATE).settled == 1
    other_day = [theirs(1, reference="DEF", message=codes[0], time=ASKED + 30 * DAY_MS, **paid)]
    assert ("extra", 10_000) in found(mine, other_day), "a code of long ago pays nothing of today"


def test_r13_a_swish_is_found_by_our_request_that_the_report_repeats() -> None:
    mine = ours(7, means="swish", reference="")
    them = theirs(7, service="swish", means="swish", reference="PR", request=mine.request)
    assert found([msgspec.structs.replace(mine, state="unknown", approved_ore=0)], [them]) == [("unknown_paid", 10_000)]
    assert found([msgspec.structs.replace(mine, reference="PR")], [them]) == []


def test_pt2_an_extra_charge_names_the_unknown_tenders_it_may_be_and_guesses_none() -> None:
    unknown: dict[str, Any] = {"state": "unknown", "approved_ore": 0, "reference": "", "counted": False}
    mine = [ours(1, **unknown), ours(2, amount_ore=5_000, **unknown)]
    done = reconcile(mine, [theirs(1, reference="X")], TOLD, SOON)
    [extra] = done.differences
    assert (extra.about, [one.sale for one in extra.perhaps]) == ("extra", [1])
    assert done.waiting == 2, "the tender itself stays as it is"


def test_r13_a_case_has_the_same_key_until_what_it_is_about_changes() -> None:
    def key(**more: Any) -> str:
        [one] = reconcile([ours()], [theirs(**more)], TOLD, LATE).differences
        return one.key

    assert key(amount_ore=12_000) == key(amount_ore=12_000, file="the same again.csv")
    assert key(amount_ore=12_000) != key(amount_ore=12_001)


def test_every_word_about_a_difference_has_a_sentence() -> None:
    assert {about for *_, said in CASES for about, _ in said} | {"lost"} == set(ABOUT)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(("fine", "amount", "missing", "extra", "twice")), max_size=12), st.integers(0, 99))
def test_r13_whatever_the_order_the_sums_of_both_sides_are_explained(plan: list[str], seed: int) -> None:
    """What they say moved less what we count is the sum of the differences: no krona is in two cases or in none."""
    mine: list[Ours] = []
    them: list[Theirs] = []
    for number, word in enumerate(plan, 1):
        if word != "extra":
            mine.append(ours(number))
        if word != "missing":
            them.append(theirs(number, amount_ore=10_500 if word == "amount" else 10_000))
        if word == "twice":
            them.append(theirs(100 + number, reference=f"T{number}"))
    rng = Random(seed)
    once = reconcile(mine, them, TOLD, LATE)
    rng.shuffle(mine)
    rng.shuffle(them)
    again = reconcile(mine, them, TOLD, LATE)
    assert again.differences == once.differences or _keys(again.differences) == _keys(once.differences)
    moved = sum(line.moved_ore for line in them) - sum(one.signed_ore for one in mine)
    assert sum(d.ore for d in once.differences) == moved
    assert sorted(d.about for d in once.differences) == sorted(word for word in plan if word != "fine")


def _keys(differences: tuple[Difference, ...]) -> set[tuple[str, int]]:
    return {(d.about, d.ore) for d in differences}
