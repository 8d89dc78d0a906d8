"""Gift cards: what a card's code is, and the book of what each is worth.

The code on a card is money to whoever reads it, so it is never written: everything keeps its token, a digest that nobody turns back, for
a code holds 80 random bits. `judge` decides what a question about a card comes to and what is to be written first; `GiftBook` is the
fold of what was written. Who keeps the book and how a till reaches it is `drivers/gift_book.py`'s and `drivers/gift_path.py`'s; another
issuer is another `PayPath` with the same table. Keeps PT10 (no card gives more than was put on it, and each request counts once).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.journal.kinds import GiftCardMoved
from oppet.payments.tender import APPROVED, DECLINED, NOT_FOUND, PARTIAL, PAYMENT, REFUND, REVERSAL, REVERSED, STATUS

__all__ = [
    "CHARGED", "ISSUED", "PUT_BACK", "SECRET_BYTES", "SHUT", "GiftBook", "GiftQuestion", "GiftVerdict", "NotAGiftCardError",
    "card_code", "card_token", "judge",
]  # fmt: skip

SECRET_BYTES = 10
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are read as 1, 1, 0 and V
MISREAD = str.maketrans("ILOU", "110V", " -")
PREFIX = "GK"
LENGTH = len(PREFIX) + 17  # sixteen letters and a check letter
MOST_MOVES = 500_000  # in one book; the oldest are forgotten, what the cards are worth never is

ISSUED, CHARGED, PUT_BACK, SHUT = "issued", "charged", "put_back", "shut"


class NotAGiftCardError(RefusedError):
    sentence = N_("This is no gift card of ours. Read the code again, or type it as it stands on the card.")


def card_code(secret: bytes) -> str:
    """The code of a new card, in groups to read aloud. `secret`: SECRET_BYTES from the machine's own chance."""
    assert len(secret) == SECRET_BYTES, "a short secret is guessed"
    number = int.from_bytes(secret)
    letters = "".join(LETTERS[number >> shift & 31] for shift in range(75, -1, -5))
    groups = [letters[place : place + 4] for place in range(0, 16, 4)]
    return "-".join((PREFIX, *groups, _check(letters)))


def card_token(text: str) -> str:
    """What is written in place of a card's code. Raises NotAGiftCardError, which does not repeat what was read."""
    code = text[:64].upper().translate(MISREAD)
    letters = code[len(PREFIX) : -1]
    good = len(code) == LENGTH and code.startswith(PREFIX) and all(letter in LETTERS for letter in letters)
    if not good or code[-1] != _check(letters):
        raise NotAGiftCardError
    return hashlib.sha256(b"oppet gift card 1\n" + letters.encode()).hexdigest()[:32]


def _check(letters: str) -> str:
    """One letter that a misread or a swapped neighbour changes."""
    return LETTERS[sum((place * 2 + 1) * LETTERS.index(letter) for place, letter in enumerate(letters)) % 32]


# --- the book


class _Move(msgspec.Struct):
    """One request and what it came to."""

    what: str
    card: str
    amount_ore: int
    till: str
    back_ore: int = 0  # of a charge: how much of it was put back since


class GiftQuestion(msgspec.Struct, frozen=True):
    """What a till asks. `request` is its own reference, never used for two; `about` the one that a query or money back is about."""

    till: str
    what: str  # payment, refund, reversal, status
    request: str
    card: str = ""
    amount_ore: int = 0
    about: str = ""
    reverses: bool = False  # a status query about a reversal


class GiftVerdict(msgspec.Struct, frozen=True):
    outcome: str  # of tender.py's table
    amount_ore: int = 0
    why: str = ""
    left_ore: int = 0  # what is on the card now


class GiftBook(msgspec.Struct):
    """What each card is worth, by what was written."""

    seq: int = 0
    cards: dict[str, int] = {}  # token → öre
    moves: dict[str, _Move] = {}  # by request

    def apply(self, body: GiftCardMoved) -> None:
        """Follow one entry. A request counts once, whatever is read twice."""
        if body.request in self.moves:
            return
        self.moves[body.request] = _Move(body.what, body.card, body.amount_ore, body.till)
        while len(self.moves) > MOST_MOVES:
            self.moves.pop(next(iter(self.moves)))
        if body.what == SHUT:
            return
        sign = -1 if body.what == CHARGED else 1
        self.cards[body.card] = self.cards.get(body.card, 0) + sign * body.amount_ore
        charge = self.moves.get(body.about)
        if body.what == PUT_BACK and charge is not None:
            charge.back_ore += body.amount_ore


def judge(book: GiftBook, asked: GiftQuestion) -> tuple[Sequence[GiftCardMoved], GiftVerdict]:
    """What is to be written before the answer goes out, and the answer."""
    if asked.what == STATUS:
        return _status(book, asked)
    known = book.moves.get(asked.request)
    if known is not None:
        return (), _told(book, asked, known)
    if asked.what == PAYMENT:
        return _charge(book, asked)
    if asked.what in (REVERSAL, REFUND):
        return _back(book, asked)
    return (), GiftVerdict(DECLINED, why="unknown_question")


def _charge(book: GiftBook, asked: GiftQuestion) -> tuple[Sequence[GiftCardMoved], GiftVerdict]:
    worth = book.cards.get(asked.card)
    if worth is None or worth <= 0 or asked.amount_ore <= 0:
        why = "unknown_card" if worth is None else "empty" if worth <= 0 else "no_amount"
        return (_shut(asked, asked.request),), GiftVerdict(DECLINED, why=why)
    taken = min(worth, asked.amount_ore)
    moved = GiftCardMoved(asked.card, CHARGED, taken, asked.request, asked.till)
    outcome = APPROVED if taken == asked.amount_ore else PARTIAL
    return (moved,), GiftVerdict(outcome, taken, "", worth - taken)


def _back(book: GiftBook, asked: GiftQuestion) -> tuple[Sequence[GiftCardMoved], GiftVerdict]:
    """Money back onto the card that it came from, never more than that charge took."""
    charge = book.moves.get(asked.about)
    reversal = asked.what == REVERSAL
    why = ""
    if charge is None or charge.what != CHARGED:
        why = "no_such_charge"
    elif reversal and charge.till != asked.till:
        why = "another_tills"  # only who took it takes it back without a receipt
    elif not 0 < asked.amount_ore <= charge.amount_ore - charge.back_ore:
        why = "too_much"
    if why or charge is None:
        return (_shut(asked, asked.request),), GiftVerdict(DECLINED, why=why)
    moved = GiftCardMoved(charge.card, PUT_BACK, asked.amount_ore, asked.request, asked.till, asked.about)
    left = book.cards.get(charge.card, 0) + asked.amount_ore
    return (moved,), GiftVerdict(REVERSED if reversal else APPROVED, asked.amount_ore, "", left)


def _status(book: GiftBook, asked: GiftQuestion) -> tuple[Sequence[GiftCardMoved], GiftVerdict]:
    """A request that never came is shut, so that it does not count should it still come: only then is "not found" conclusive."""
    known = book.moves.get(asked.about)
    if known is None:
        return (_shut(asked, asked.about),), GiftVerdict(NOT_FOUND)
    return (), _told(book, asked, known)


def _told(book: GiftBook, asked: GiftQuestion, known: _Move) -> GiftVerdict:
    """What a request came to, whether it is sent again or asked about: it is one, and has one answer."""
    left = book.cards.get(known.card, 0)
    if known.what == CHARGED:
        return GiftVerdict(APPROVED if known.amount_ore >= asked.amount_ore else PARTIAL, known.amount_ore, "", left)
    if known.what == PUT_BACK:
        outcome = REVERSED if asked.reverses or asked.what == REVERSAL else APPROVED
        return GiftVerdict(outcome, known.amount_ore, "", left)
    return GiftVerdict(DECLINED, why="shut")


def _shut(asked: GiftQuestion, request: str) -> GiftCardMoved:
    return GiftCardMoved(asked.card, SHUT, 0, request, asked.till)
