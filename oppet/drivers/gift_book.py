"""The keeper of a store's gift cards: a book folded from the node's own signed journal, where every move stands before it is told.

What a question comes to is decided in `payments/giftcard.py`. Beside the journal lies what the cards were worth when it was last saved:
it saves reading years at a start, and carries the book into a new epoch where the old one was lost. Keeps PT10 and O1.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from pathlib import Path

import msgspec

from oppet.base.errors import OppetError, RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.post import Post
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import body_of
from oppet.journal.kinds import GiftCardMoved
from oppet.payments.giftcard import (
    ISSUED,
    SECRET_BYTES,
    GiftBook,
    GiftQuestion,
    GiftVerdict,
    card_code,
    card_token,
    judge,
)
from oppet.payments.tender import DECLINED

__all__ = ["LARGEST_ORE", "SMALLEST_ORE", "GiftKeeper", "NotIssuedError"]

LOG = logging.getLogger("oppet.giftcards")

SMALLEST_ORE, LARGEST_ORE = 1_000, 1_000_000
SAVE_AFTER = 500  # moves that a restart may have to read again
KIND = "gift_card_moved"


class NotIssuedError(RefusedError):
    sentence = N_("A gift card is worth {smallest} to {largest} kr, not {amount} kr. Enter another amount.")


class _Saved(msgspec.Struct, frozen=True):
    epoch: int
    book: GiftBook


class GiftKeeper:
    """Any thread may ask; one question is answered at a time."""

    def __init__(self, post: Post, path: Path) -> None:
        """`path`: where the book is saved. An unreadable one is left out: the journal tells it again."""
        self._post, self._path = post, path
        self._guard = threading.Lock()
        self._book = self._recall()
        self._unsaved = 0
        self._catch_up()

    def answer(self, asked: GiftQuestion) -> GiftVerdict:
        """What a till's question comes to. A till asks under its own name only. Raises a disk's UnavailableError."""
        mine = f"{asked.till}-"
        if not asked.request.startswith(mine) or (asked.what == "status" and not asked.about.startswith(mine)):
            return GiftVerdict(DECLINED, why="not_yours")
        with self._guard:
            moves, verdict = judge(self._book, asked)
            if moves:
                self._write(*moves)
            return verdict

    def issue(self, amount_ore: int, by: int) -> str:
        """Make a card that is paid for, and give its code: the only time that anybody sees it. Raises NotIssuedError."""
        if not SMALLEST_ORE <= amount_ore <= LARGEST_ORE:
            raise NotIssuedError(smallest=kronor(SMALLEST_ORE), largest=kronor(LARGEST_ORE), amount=kronor(amount_ore))
        code = card_code(secrets.token_bytes(SECRET_BYTES))
        token = card_token(code)
        with self._guard:
            self._write(GiftCardMoved(token, ISSUED, amount_ore, f"issue-{token}", by=by))
        return code

    def issued(self) -> tuple[int, int]:
        """How many cards there are, and what they are worth together."""
        with self._guard:
            return len(self._book.cards), sum(self._book.cards.values())

    def left_ore(self) -> int:
        """What all cards together are still worth: what the store owes."""
        with self._guard:
            return sum(self._book.cards.values())

    def save(self) -> None:
        """Keep what the cards are worth now; a failure costs a longer start."""
        with self._guard:
            self._save()

    # --- inside

    def _write(self, *moves: GiftCardMoved) -> None:
        self._post.write(*moves)
        for move in moves:
            self._book.apply(move)
        self._book.seq = self._post.journal.head.seq
        self._unsaved += len(moves)
        if self._unsaved >= SAVE_AFTER:
            self._save()

    def _save(self) -> None:
        try:
            files.write(self._path, msgspec.json.encode(_Saved(self._post.epoch, self._book)))
            self._unsaved = 0
        except OppetError as error:
            LOG.warning("%s", error)

    def _recall(self) -> GiftBook:
        try:
            saved = msgspec.json.decode(files.read(self._path), type=_Saved)
        except files.FileMissingError:
            return GiftBook()
        except (OppetError, msgspec.MsgspecError, ValueError) as error:
            LOG.warning("the saved book of gift cards is left out: %s", error)
            return GiftBook()
        if saved.epoch != self._post.epoch or saved.book.seq > self._post.journal.head.seq:
            saved.book.seq = (
                0  # another journal: read from its first entry; what was read before counts once all the same
            )
        return saved.book

    def _catch_up(self) -> None:
        """What was written since it was saved."""
        for entry in self._post.journal.read(self._book.seq + 1):
            self._book.seq = entry.seq
            if entry.kind != KIND:
                continue
            with contextlib.suppress(*UNREADABLE):
                body = body_of(entry)
                if isinstance(body, GiftCardMoved):
                    self._book.apply(body)
