"""The basket as a fold of entries: what may happen to it when, and that it never goes back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.journal.kinds import (
    AgeChecked,
    Body,
    CodeUnknown,
    DiscountGiven,
    DiscountWithdrawn,
    LineAdded,
    LineChanged,
    LineVoided,
    MemberShown,
    Receipt,
    RegistrationGivenUp,
    RegistrationRefused,
    RegistrationSent,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
)
from oppet.sale import basket as baskets
from oppet.sale.basket import NEXT, Basket, allow, apply
from oppet.sale.errors import BasketStateError
from tests.sale.baskets import TIME, a_basket, a_discount, a_line

STATES = (
    "open",
    "parked",
    "being paid",
    "being registered",
    "done",
    "abandoned",
    "moved to another till",
    "at an unknown code",
)
OPEN, PARKED, PAYING, REGISTERING, DONE, ABANDONED, MOVED, UNKNOWN = STATES
KINDS = (
    LineAdded, LineChanged, LineVoided, DiscountGiven, DiscountWithdrawn, MemberShown, AgeChecked, SaleParked, SaleResumed,
    SaleAbandoned, SaleMoved, TenderTaken, TenderReversed, RegistrationSent, RegistrationRefused, RegistrationGivenUp, Receipt,
    CodeUnknown, TenderSent, TenderHeard,
)  # fmt: skip
# The whole table again, by hand: what leads from one state to another, and nothing else does.
ALLOWED = {
    OPEN: {
        TenderHeard: OPEN,  # of money on its way back
        **dict.fromkeys(
            (LineAdded, LineChanged, LineVoided, DiscountGiven, DiscountWithdrawn, MemberShown, AgeChecked), OPEN
        ),
        SaleParked: PARKED,
        SaleAbandoned: ABANDONED,
        TenderTaken: PAYING,
        TenderSent: PAYING,
    },
    PARKED: {
        SaleResumed: OPEN,
        SaleAbandoned: ABANDONED,
        SaleMoved: MOVED,
        **dict.fromkeys(
            (TenderSent, TenderHeard, TenderTaken), PARKED
        ),  # what is unknown is settled wherever its basket is
    },
    PAYING: {
        **dict.fromkeys((TenderSent, TenderHeard, TenderTaken, TenderReversed), PAYING),
        SaleParked: PARKED,  # while nobody knows what became of a tender
        SaleAbandoned: ABANDONED,
        RegistrationSent: REGISTERING,
    },
    REGISTERING: {
        **dict.fromkeys((TenderSent, TenderHeard), REGISTERING),
        RegistrationSent: REGISTERING,
        RegistrationRefused: REGISTERING,
        RegistrationGivenUp: PAYING,
        Receipt: DONE,
        CodeUnknown: UNKNOWN,
    },
    DONE: {},
    ABANDONED: {},
    MOVED: {},
    UNKNOWN: {},
}
PAIRS = [(state, kind) for state in STATES for kind in KINDS]


@pytest.mark.parametrize(("state", "kind"), PAIRS, ids=[f"{state}-{kind.__name__}" for state, kind in PAIRS])
def test_s2_every_state_and_kind(state: str, kind: type[Body]) -> None:
    assert NEXT.get((state, kind)) == ALLOWED[state].get(kind)
    basket = Basket(1, "sale", 7, TIME, state=state)
    if kind in ALLOWED[state]:
        allow(basket, kind, "this")
    else:
        with pytest.raises(BasketStateError):
            allow(basket, kind, "this")


def test_s2_the_table_holds_nothing_else() -> None:
    assert {state for state, _ in NEXT} | set(NEXT.values()) == set(STATES)
    assert {kind for _, kind in NEXT} == set(KINDS)


def test_r07_nothing_ends_and_begins_again() -> None:
    assert not any(state in (DONE, ABANDONED, MOVED, UNKNOWN) for state, _ in NEXT)
    forward = {OPEN: 0, PARKED: 0, PAYING: 1, REGISTERING: 2, DONE: 3, ABANDONED: 3, MOVED: 3, UNKNOWN: 3}
    back = {(state, kind) for (state, kind), after in NEXT.items() if forward[after] < forward[state]}
    waits = (PAYING, SaleParked)  # with its tenders: it is taken up where it was
    assert back == {(REGISTERING, RegistrationGivenUp), waits}, (
        "only an explicit no of every unit lets it be paid again"
    )


@given(st.lists(st.sampled_from(KINDS), max_size=30))
def test_r07_an_older_copy_changes_nothing_that_is_paid(kinds: list[type[Body]]) -> None:
    """Whatever entries come after a receipt, in whatever order, the basket is done and says so."""
    basket = Basket(1, "sale", 7, TIME, state=DONE)
    before = msgspec.json.encode(basket)
    for kind in kinds:
        with pytest.raises(BasketStateError):
            allow(basket, kind, "this")
    assert msgspec.json.encode(basket) == before


def a_tender(number: int, ore: int) -> TenderTaken:
    return TenderTaken(1, number, "card", ore, ore, 0, "", () if number == 1 else None)


def test_s1_the_same_entries_give_the_same_basket() -> None:
    bodies = (
        a_line(1, 1_690),
        a_line(2, 2_500, quantity=3000),
        LineChanged(1, 2, 2000, 5_000),
        a_discount(1, line=1, percent=10),
        a_discount(2, line=2, ore=500),
        LineVoided(1, 1, 1_690, 7, 0),
        MemberShown(1, "M1"),
        AgeChecked(1, 18, True, 7),
        SaleParked(1, 7),
        SaleResumed(1, 7),
    )
    once, twice = a_basket(*bodies), a_basket(*bodies)
    assert once == twice == msgspec.json.decode(msgspec.json.encode(once), type=Basket)
    assert [line.added.line for line in once.standing()] == [2]
    assert once.standing()[0].quantity_milli == 2000
    assert list(once.discounts) == [2], "the discount of a voided line goes with it"
    assert (once.member, once.last_line, once.last_discount, once.state) == ("M1", 2, 2, OPEN)


def test_s2_the_last_tender_taken_back_opens_the_basket_again() -> None:
    basket = a_basket(a_line(1, 1_690), a_tender(1, 500), a_tender(2, 600))
    assert (basket.state, basket.paid_ore(), basket.offers) == (PAYING, 1_100, ())
    apply(basket, TIME, TenderReversed(1, 1, "card", 500, "customer"))
    assert (basket.state, basket.paid_ore()) == (PAYING, 600)
    apply(basket, TIME, TenderReversed(1, 2, "card", 600, "customer"))
    assert (basket.state, basket.paid_ore(), basket.offers) == (OPEN, 0, None)
    assert basket.last_tender == 2, "a tender's number is not used twice"


def test_s2_an_entry_that_cannot_be_is_our_own_mistake() -> None:
    basket = a_basket(a_line(1, 1_690))
    with pytest.raises(AssertionError):
        apply(basket, TIME, SaleResumed(1, 7))
    assert baskets.opened(SaleOpened(1, "sale", 7), TIME).standing() == []


@pytest.mark.parametrize(
    ("ages", "lines", "needed", "young"),
    [
        ({}, (0,), 0, False),
        ({}, (0, 18), 18, False),
        ({}, (15, 18), 18, False),
        ({15: True}, (15, 18), 18, False),
        ({18: True}, (15, 18), 0, False),
        ({18: False}, (15, 18), 18, True),
        ({18: False}, (15,), 15, False),  # the goods for grown-ups were taken off: the question is another one
        ({15: True, 18: False}, (15,), 0, False),
        ({18: True, 20: False}, (18, 20), 20, True),
    ],
)
def test_t3_the_highest_limit_nobody_has_passed(
    ages: dict[int, bool], lines: tuple[int, ...], needed: int, young: bool
) -> None:
    basket = a_basket(*(a_line(n + 1, 1_590, age=age) for n, age in enumerate(lines)))
    basket.ages = ages
    assert (basket.age_needed(), basket.too_young()) == (needed, young)
