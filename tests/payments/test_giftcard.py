"""PT10: no gift card gives more than was put on it, each request counts once, and its code is written nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.journal.kinds import GiftCardMoved
from oppet.payments.giftcard import (
    CHARGED,
    ISSUED,
    LETTERS,
    SECRET_BYTES,
    SHUT,
    GiftBook,
    GiftQuestion,
    GiftVerdict,
    NotAGiftCardError,
    card_code,
    card_token,
    judge,
)

CODE = card_code(bytes(range(SECRET_BYTES)))
CARD = card_token(CODE)
OTHER = card_token(card_code(b"\x07" * SECRET_BYTES))
KEPT = 50_000


def a_book() -> GiftBook:
    book = GiftBook()
    book.apply(GiftCardMoved(CARD, ISSUED, KEPT, "issue-1"))
    book.apply(GiftCardMoved(OTHER, ISSUED, 10_000, "issue-2"))
    return book


def ask(book: GiftBook, what: str, request: str, amount: int = 0, about: str = "", **more: object) -> GiftVerdict:
    fields: dict[str, object] = {"till": "K1", "card": CARD if what == "payment" else ""} | more
    asked = GiftQuestion(what=what, request=request, amount_ore=amount, about=about, **fields)  # type: ignore[arg-type]
    moves, verdict = judge(book, asked)
    for move in moves:
        book.apply(move)
    return verdict


# --- the code


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_pt10_a_code_is_read_however_it_is_typed_and_its_token_does_not_hold_it(secret: bytes) -> None:
    code = card_code(secret)
    token = card_token(code)
    assert token == card_token(code.lower().replace("-", " ")) == card_token(code.replace("1", "I").replace("0", "o"))
    assert len(code) == 24
    assert len(token) == 32
    assert code.replace("-", "")[2:18] not in token.upper()


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES), st.integers(0, 16), st.sampled_from(LETTERS))
def test_pt10_one_misread_letter_is_no_card(secret: bytes, place: int, letter: str) -> None:
    code = card_code(secret).replace("-", "")
    wrong = code[: 2 + place] + letter + code[3 + place :]
    if wrong != code:
        with pytest.raises(NotAGiftCardError):
            card_token(wrong)


@pytest.mark.parametrize(
    "text", ["", "GK", "7310865004703", "GK-0000", "GK" + "Ö" * 17, "x" * 100_000, "\ud800", "GK-" * 9]
)
def test_pt10_what_is_no_code_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(NotAGiftCardError) as refused:
        card_token(text)
    assert not text or text not in str(refused.value)


# --- the book


def test_pt10_a_card_pays_what_it_has_and_no_more() -> None:
    book = a_book()
    assert ask(book, "payment", "K1-1", 30_000) == GiftVerdict("approved", 30_000, "", 20_000)
    assert ask(book, "payment", "K1-2", 30_000) == GiftVerdict("partial", 20_000, "", 0)
    assert ask(book, "payment", "K1-3", 100) == GiftVerdict("declined", why="empty")
    assert ask(book, "payment", "K1-4", 100, card="0" * 32) == GiftVerdict("declined", why="unknown_card")
    assert ask(book, "payment", "K1-5", 0) == GiftVerdict("declined", why="empty")
    assert book.cards == {CARD: 0, OTHER: 10_000}


def test_pt10_the_same_request_is_one_payment_and_one_answer() -> None:
    book = a_book()
    first = ask(book, "payment", "K1-1", 60_000)
    assert first.outcome == "partial"
    assert ask(book, "payment", "K1-1", 60_000) == first
    assert ask(book, "payment", "K1-1", 60_000, card=OTHER) == first
    assert ask(book, "status", "K1-2", 60_000, "K1-1") == first
    assert book.cards[OTHER] == 10_000


def test_pt10_what_was_said_not_to_have_come_does_not_count_when_it_comes() -> None:
    """A request that a slow network delivers after its status query."""
    book = a_book()
    assert ask(book, "status", "K1-2", 500, "K1-1") == GiftVerdict("not_found")
    assert ask(book, "payment", "K1-1", 500) == GiftVerdict("declined", why="shut")
    assert ask(book, "status", "K1-3", 500, "K1-1") == GiftVerdict("declined", why="shut")
    assert book.cards[CARD] == KEPT


def test_pt10_a_charge_is_taken_back_once_and_by_whoever_took_it() -> None:
    book = a_book()
    ask(book, "payment", "K1-1", 30_000)
    assert ask(book, "reversal", "K2-1", 30_000, "K1-1", till="K2").why == "another_tills"
    assert ask(book, "reversal", "K1-2", 30_000, "K1-1") == GiftVerdict("reversed", 30_000, "", KEPT)
    assert ask(book, "reversal", "K1-2", 30_000, "K1-1").outcome == "reversed"
    assert ask(book, "status", "K1-3", 30_000, "K1-2", reverses=True).outcome == "reversed"
    assert ask(book, "reversal", "K1-4", 30_000, "K1-1").why == "too_much"
    assert book.cards[CARD] == KEPT


def test_pt10_a_refund_goes_back_to_its_own_card_from_any_till_and_never_for_more() -> None:
    book = a_book()
    ask(book, "payment", "K1-1", 30_000)
    assert ask(book, "refund", "K2-1", 20_000, "K1-1", till="K2") == GiftVerdict("approved", 20_000, "", 40_000)
    assert ask(book, "status", "K2-2", 20_000, "K2-1", till="K2").outcome == "approved"
    assert ask(book, "refund", "K2-3", 20_000, "K1-1", till="K2").why == "too_much"
    assert ask(book, "refund", "K2-4", 500, "").why == "no_such_charge"
    assert ask(book, "refund", "K2-5", 500, "K2-1").why == "no_such_charge"
    assert ask(book, "refund", "K2-6", -500, "K1-1").why == "too_much"
    assert ask(book, "mint", "K2-7", 500).why == "unknown_question"


REQUESTS = st.sampled_from([f"K1-{number}" for number in range(8)])
ASKED = st.builds(
    GiftQuestion,
    st.sampled_from(["K1", "K2"]),
    st.sampled_from(["payment", "payment", "reversal", "refund", "status"]),
    REQUESTS,
    st.sampled_from([CARD, OTHER, "0" * 32, ""]),
    st.integers(-100, 40_000),
    REQUESTS,
)


@given(st.lists(ASKED, max_size=40))
def test_pt10_whatever_is_asked_the_book_adds_up(asked: list[GiftQuestion]) -> None:
    book, written = a_book(), list[GiftCardMoved]()
    for one in asked:
        moves, verdict = judge(book, one)
        written.extend(moves)
        for move in moves:
            book.apply(move)
        assert judge(book, one)[0] == (), "asked again, nothing more happens"
        assert verdict.amount_ore >= 0
    assert all(worth >= 0 for worth in book.cards.values())
    charged = sum(move.amount_ore for move in written if move.what == CHARGED)
    back = sum(move.amount_ore for move in written if move.what == "put_back")
    assert sum(book.cards.values()) == KEPT + 10_000 - charged + back
    assert len({move.request for move in written}) == len(written)
    assert all(move.amount_ore == 0 for move in written if move.what == SHUT)
    again = a_book()
    for move in (*written, *written):
        again.apply(move)
    assert again.cards == book.cards, "a book read twice is the same book"
