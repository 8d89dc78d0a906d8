"""What the manager's pages ask of the store node, as a small protocol; the days they fold from what it keeps; what its alarms mean.

The pages read: histories on the shelf, who was heard when, what waits for HQ, what was alarming. They ask for three
acts: invite a till, revoke one, release a basket, and nothing else. A book of days goes on where it stopped, a bounded piece at a time, so
that a page answers soon after a restart and says how much is still to be counted. Keeps R02 and R20 on the pages.

An alarm is something that a bad cable does not explain. Its words are the keeper's; the table here says what it means to the
manager, and what to do. One that is not in the table is shown with its facts and a way to operations.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from oppet.base.clock import local_day, utc_text
from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, Head, parse
from oppet.paper.sheet import Say
from oppet.register.ports import Clock
from oppet.release.goods_intake import DAY_MS, MARKDOWN_TERMS
from oppet.store.day import TillDay
from oppet.store.lanes import GivenBasket
from oppet.sync.certificates import Directory
from oppet.sync.enrolment import Invitation

__all__ = [
    "Alarm", "AlarmView", "Backroom", "Contact", "DayBook", "History", "MarkedDown", "NotAMarkDownError", "Upward", "alarm_view",
    "marked_down",
]  # fmt: skip

PIECE = 2_000
PIECE_BYTES = 4 << 20
MOST_A_LOOK = 40_000  # entries folded before a page is made: a second or two of work
SAVE_AFTER = 5_000  # entries that a restart may have to fold again
VIEW = "day-2"  # the number is raised when a fold means something else


class History(msgspec.Struct, frozen=True):
    """One history of one epoch that is kept here."""

    till: str
    epoch: int
    branch: str  # "" for the first, else the digest of a fork's first entry
    base: Head
    head: Head

    @property
    def key(self) -> tuple[str, int, str]:
        return self.till, self.epoch, self.branch


class Contact(msgspec.Struct, frozen=True):
    """What the node heard of one till."""

    heard: int = 0  # the instant of its last word; 0 for none since the node began
    behind: int = 0  # entries it said it has and that are not here
    behind_since: str = ""  # UTC
    why: str = ""  # a sentence with its facts filled in, "" for none


class Upward(msgspec.Struct, frozen=True):
    """What waits to go up to HQ."""

    waiting: int = 0  # entries
    since: str = ""  # UTC: how long HQ has known of nothing newer
    why: str = ""
    heard: int = 0  # the instant of HQ's last answer; 0 for none


class Alarm(msgspec.Struct, frozen=True):
    """One alarm of the node's own journal."""

    time: str
    about: str
    facts: tuple[tuple[str, str], ...]


class MarkedDown(msgspec.Struct, frozen=True):
    """The store's own mark-downs."""

    key: str  # of this node, which head office lists
    ready: bool  # whether it has
    number: int = 0  # of what was published last
    markdowns: tuple[StoreMarkDown, ...] = ()


class NotAMarkDownError(RefusedError):
    sentence = N_(
        "A mark-down ends within {days} days and leaves at least {least} per cent of the price, and there are at most {most} of them."
    )


def marked_down(listed: Iterable[StoreMarkDown], one: StoreMarkDown, now: int) -> tuple[StoreMarkDown, ...]:
    """What to publish when one is added: the others that have not ended. Tills hold it against their prices (RL9).

    Raises NotAMarkDownError.
    """
    terms = MARKDOWN_TERMS
    standing = tuple(
        other
        for other in listed
        if other.until > local_day(now) and (other.article, other.gtin) != (one.article, one.gtin)
    )
    last = local_day(now + terms.longest_days * DAY_MS)
    if (
        not local_day(now) < one.until <= last
        or one.percent > 100 - terms.least_permille // 10
        or len(standing) >= terms.few
    ):
        raise NotAMarkDownError(days=terms.longest_days, least=terms.least_permille // 10, most=terms.few)
    return (*standing, one)


class Backroom(Protocol):
    """The store node as its pages see it. Any thread may call; every call may raise UnavailableError."""

    @property
    def store(self) -> str: ...

    @property
    def name(self) -> str:
        """The keeper's name."""
        ...

    @property
    def url(self) -> str:
        """Where a till reaches the keeper's port."""
        ...

    @property
    def clock(self) -> Clock: ...

    @property
    def directory(self) -> Directory: ...

    def histories(self) -> Sequence[History]: ...

    def pieces(self, history: History, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        """Exact bytes from entry `first` on."""
        ...

    def load_view(self, history: History, name: str) -> bytes | None:
        """What was derived from the entries that are here, or None."""
        ...

    def save_view(self, history: History, name: str, seq: int, data: bytes) -> None: ...

    def contact(self, till: str, epoch: int) -> Contact: ...

    def upward(self) -> Upward: ...

    def kept_above(self, history: History) -> int:
        """The last entry of this history that HQ has, by its signed word."""
        ...

    def alarms(self) -> Sequence[Alarm]:
        """The latest alarms, the newest first, at most a few hundred."""
        ...

    def invitations(self) -> Sequence[Invitation]: ...

    def invite(self, till: str, register: str, passphrase: str, by: int) -> Invitation:
        """Open a door for one till, and write that down. Raises RefusedError: a wrong passphrase, a name that is none."""
        ...

    def revoke(self, till: str, epoch: int, reason: str, passphrase: str, by: int) -> None:
        """End an epoch with the manager's key, and write that down. Raises RefusedError."""
        ...

    def given(self) -> Sequence[GivenBasket]:
        """Parked baskets that were given to a till whose journal does not say that it went on with them."""
        ...

    def release(self, given: GivenBasket, by: int) -> None:
        """Let any till have such a basket, and write that down. Raises RefusedError: the till went on with it after all."""
        ...

    def gift_cards(self) -> tuple[int, int]:
        """How many gift cards there are, and what they are worth together, in öre."""
        ...

    def issue_gift_card(self, amount_ore: int, by: int) -> str:
        """The code of a new card, which nobody can see again. Raises NotIssuedError."""
        ...

    def markdowns(self) -> MarkedDown:
        """The store's own mark-downs as they are published."""
        ...

    def mark_down(self, one: StoreMarkDown, by: int) -> None:
        """Publish one more, and write that down. Raises NotAMarkDownError, NotListedError."""
        ...

    def end_markdown(self, goods: str, by: int) -> None:
        """Publish the others without the one on this article or code, and write that down. Raises NotListedError."""
        ...


class DayBook:
    """The folds of every history of the store, brought up to date when a page asks."""

    def __init__(self, node: Backroom) -> None:
        self._node = node
        self._days: dict[tuple[str, int, str], TillDay] = {}
        self._saved: dict[tuple[str, int, str], int] = {}
        self._guard = threading.Lock()

    def look(self, most: int = MOST_A_LOOK) -> tuple[list[tuple[History, TillDay]], int]:
        """Every history of this store with its fold, and how many entries are still to be counted."""
        found, left = [], 0
        with self._guard:
            for history in sorted(self._ours(), key=lambda known: known.key):
                day, did = self._up_to_date(history, most)
                most -= did
                left += history.head.seq - day.seq
                found.append((history, day))
        return found, left

    def _ours(self) -> Iterator[History]:
        node = self._node
        for history in node.histories():
            if history.till == node.name:
                continue
            standing = node.directory.standing(history.till, history.epoch)
            if standing is not None and standing.store == node.store:
                yield history

    def _up_to_date(self, history: History, most: int) -> tuple[TillDay, int]:
        day = self._days.get(history.key)
        if day is None or day.seq > history.head.seq:  # new here, or the disk lost entries: begin again
            day = self._days[history.key] = self._taken_up(history)
            self._saved[history.key] = day.seq
        did = 0
        while day.seq < history.head.seq and did < most:
            before = day.seq
            day.read(
                _parsed(self._node.pieces(history, before + 1, min(PIECE, most - did), PIECE_BYTES), history, before)
            )
            if day.seq == before:
                break
            did += day.seq - before
        if day.seq - self._saved[history.key] >= SAVE_AFTER:
            self._node.save_view(history, VIEW, day.seq, msgspec.json.encode(day))
            self._saved[history.key] = day.seq
        return day, did

    def _taken_up(self, history: History) -> TillDay:
        data = self._node.load_view(history, VIEW)
        if data is not None:
            try:
                day = msgspec.json.decode(data, type=TillDay)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                day = TillDay()
            if history.base.seq <= day.seq <= history.head.seq:
                return day
        return TillDay(seq=history.base.seq)


def _parsed(pieces: Iterable[bytes], history: History, after: int) -> Iterator[Entry]:
    """Envelopes; bytes that are none stand as an entry of an unknown kind, so that the count goes on."""
    for seq, data in enumerate(pieces, after + 1):
        try:
            yield parse(data)
        except UNREADABLE:
            yield Entry(1, history.till, history.epoch, seq, utc_text(0), "?", "", msgspec.Raw(b"null"))


# --- alarms in words ----------------------------------------------------------------------------------------------

EVIDENCE = N_("Everything is kept as evidence. Call operations with the time above.")
ALARMS: dict[str, tuple[str, str]] = {
    "fork": (
        N_("Two different journals from one till"),
        N_(
            "An old disk image was restored, or the till was copied. Both histories are kept and each counts once. "
            "Stop selling at this till, enrol it again under New till, and call operations."
        ),
    ),
    "ForgedBatchError": (
        N_("Entries that the till did not sign"),
        N_("Somebody sent entries in this till’s name without its key. Nothing of it was kept. Call operations."),
    ),
    "PackedBombError": (
        N_("A batch made to fill the disk"),
        N_("Somebody tried to overwhelm the store node. Nothing of it was kept. Call operations."),
    ),
    "BadCertificateError": (
        N_("A certificate that nobody we believe signed"),
        N_("Somebody tried to pass for a till of this store. It was turned away. Call operations."),
    ),
    "ForgedAckError": (
        N_("An acknowledgement that cannot be true"),
        N_("A keeper says it has what it cannot have. What it says does not count. Call operations."),
    ),
    "OldImageError": (
        N_("A till was started from an old disk image"),
        N_("The till refuses to sell. Enrol it again under New till."),
    ),
    "EpochRevokedError": (
        N_("A revoked till is still trying to send"),
        N_("Take the machine off the network and call operations."),
    ),
    "keeper lost entries": (
        N_("A keeper had lost entries"),
        N_("It is being sent all of them again by itself. Nothing is to be done here; ask why its disk lost them."),
    ),
    "WrongKeeperError": (
        N_("A machine that is not HQ answered in its name"),
        N_("Nothing was sent to it; everything waits here. Call operations."),
    ),
    "cache lies": (
        N_("Something else came down than was signed"),
        N_(
            "A machine that passes releases and prices on gives wrong bytes. Nothing of it was kept or passed on. Call operations."
        ),
    ),
    "returned twice": (
        N_("The same goods were taken back at two tills"),
        N_("The tills could not ask each other when it happened. Compare the two return receipts with those who sold."),
    ),
    "voucher paid twice": (
        N_("The same pant voucher was paid at two tills"),
        N_("The tills could not ask each other when it happened. Compare the slips in the two drawers."),
    ),
    "papers damaged": (
        N_("Certificates kept here could not be read"),
        N_("HQ and the tills show them again by themselves. Have the disk looked at."),
    ),
    "kept journal damaged": (
        N_("A copy of a till’s journal was damaged on this disk"),
        N_("The copy was set aside and the till sends it again. Have the disk looked at."),
    ),
    "audit_journal_lost": (
        N_("The store node’s own journal was lost"),
        N_("A new one has begun; the old file is left as it is, as evidence. Call operations."),
    ),
}
FACT_WORDS = {
    "till": N_("Till"), "epoch": N_("Epoch"), "seq": N_("Entry"), "branch": N_("Branch"), "why": N_("Why"), "peer": N_("From"),
    "keeper": N_("Keeper"), "file": N_("File"), "reason": N_("Reason"), "whose": N_("Whose"),
    "times_before": N_("Times before"), "largest": N_("Largest allowed"), "from_seq": N_("Has now up to"), "had": N_("Had before"),
    "original": N_("Original receipt"), "line": N_("Line"), "at": N_("At"), "bought_milli": N_("Bought, thousandths"),
    "returned_milli": N_("Returned, thousandths"), "voucher": N_("Voucher"), "amount": N_("Amount"),
    "source": N_("Source"),
}  # fmt: skip
LONGEST_SHOWN = 80
SHORT_DIGEST = 12


@dataclass(frozen=True, slots=True)
class AlarmView:
    time: str  # UTC
    title: str
    advice: str
    till: str  # "" where it is about none
    facts: tuple[tuple[str, str], ...]


def alarm_view(alarm: Alarm, say: Say) -> AlarmView:
    title, advice = ALARMS.get(alarm.about, (alarm.about, EVIDENCE))
    facts = dict(alarm.facts)
    shown = tuple((say(FACT_WORDS.get(name, clip(name, 30))), _fact(name, value)) for name, value in alarm.facts[:12])
    return AlarmView(alarm.time, clip(say(title)), say(advice), clip(facts.get("till", ""), 40), shown)


def _fact(name: str, value: str) -> str:
    return f"{value[:SHORT_DIGEST]}…" if name == "branch" and len(value) > SHORT_DIGEST else clip(value, LONGEST_SHOWN)
