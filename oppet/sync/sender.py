"""The sender: what to send one keeper next of one history, from what that keeper last said. No socket, no clock.

Nothing is deleted by being sent: a signed acknowledgement moves a mark, and a keeper that knows less than before gets
it all again, with an alarm. Keeps K11 (only a signed acknowledgement of our own digest counts), K12 (a keeper that
lost entries is sent them again) and K13 (a silent keeper is asked ever more seldom, and costs nobody else anything).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from oppet.base.clock import utc_text
from oppet.base.signing import Signer, Verifier
from oppet.journal.entry import NOTHING, Head, signed_bytes
from oppet.sync.errors import ForgedAckError
from oppet.sync.messages import (
    LARGEST_PLAIN,
    MOST_ENTRIES,
    MOST_MARKS,
    Ack,
    Answer,
    AsOf,
    Batch,
    Proof,
    ack_bytes,
    as_of_bytes,
    pack,
)

__all__ = ["BEAT_MS", "News", "Sender", "Source", "as_of", "marks_of", "proves_another"]

BEAT_MS = 20_000  # how often an idle till says where its journal ends
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 30_000
PIECE = 4_000  # entries in one batch
PIECE_BYTES = 1_500_000  # and bytes, unpacked: far under what a keeper takes


class Source(Protocol):
    """A history that can be read: the till's own journal, or a kept one."""

    till: str
    epoch: int

    @property
    def own_key(self) -> bytes:
        """The till's public key where this is the till's own journal; nothing at a relay."""
        ...

    @property
    def head(self) -> Head:
        """The last durable entry."""
        ...

    def digest_at(self, seq: int) -> str:
        """The digest of entry `seq`, 1 ≤ seq ≤ head. Raises KeyError."""
        ...

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        """Exact bytes from `first` on, at least one, within the bounds where one entry alone does not break them."""
        ...

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The furthest signed place in `first`…`last` and its signature; the till itself can sign `last`."""
        ...

    def as_of(self) -> AsOf | None:
        """The till's word on where its journal ends now; a relay gives the latest it heard."""
        ...


class News(msgspec.Struct, frozen=True):
    """What an answer meant, for the page, the alarm list and the log."""

    about: str  # kept | lost | stranger; ahead | forked, shown by the till's own signature; claim: said and not shown
    keeper: str
    seq: int
    before: int = 0


def as_of(signer: Signer, till: str, epoch: int, head: Head, now: int) -> AsOf:
    """The till's own signed word that its journal ends at `head` now."""
    time = utc_text(now)
    return AsOf(head.seq, head.digest, time, signer.sign(as_of_bytes(till, epoch, head, time)).hex())


def marks_of(source: Source) -> tuple[tuple[int, str], ...]:
    """Places ever further back, so that one question finds where a keeper's history and ours part."""
    marks: list[tuple[int, str]] = []
    seq, step = source.head.seq, 1
    while seq > 0 and len(marks) < MOST_MARKS:
        marks.append((seq, source.digest_at(seq)))
        seq, step = seq - step, step * 2
    return tuple(marks)


def proves_another(source: Source, proof: Proof | None) -> bool:
    """Whether this till's own key signed a place that this disk's history does not have (K18).

    Without it a keeper that was taken over could close every till by saying that its disk is old.
    """
    if proof is None:
        return False
    head = Head(proof.seq, proof.digest)
    if not Verifier(source.own_key).good(bytes.fromhex(proof.signature), signed_bytes(source.till, source.epoch, head)):
        return False
    return proof.seq > source.head.seq or source.digest_at(proof.seq) != proof.digest


class Sender:
    """One keeper and one history. `ask`, send it, then `answered` or `failed`.

    `now` is milliseconds on a counter that only runs forward: a clock that is set holds nothing up.
    """

    def __init__(self, source: Source, keeper: str, keeper_key: bytes) -> None:
        self.source = source
        self.keeper = keeper
        self.kept: Head | None = None  # of our history, by the keeper's signed word; None until it has said
        self.ack: Ack | None = None
        self.last_heard = 0  # when the last good answer came, on the counter; 0 for never
        self.failures = 0  # since then
        self._verifier = Verifier(keeper_key)
        self._asking = True  # where to go on is not known
        self._marked = False  # the last batch said how our history goes
        self._not_before = 0
        self._beat = 0
        self._fewer = PIECE

    def recall(self, ack: Ack) -> None:
        """Believe an acknowledgement kept from before a restart; the keeper is asked all the same before anything is
        sent. Raises ForgedAckError for one that does not fit our history."""
        self._check(ack)
        self.kept, self.ack = Head(ack.seq, ack.digest), ack

    @property
    def behind(self) -> int:
        """How many of our entries this keeper is not known to have."""
        return self.source.head.seq - (self.kept.seq if self.kept is not None else 0)

    def wakes(self) -> int:
        """The moment on the counter before which `ask` gives nothing, unless something new is written; 0 for now."""
        if self.failures:
            return self._not_before
        return 0 if self._asking or self.behind else self._beat + BEAT_MS

    def ask(self, now: int) -> Batch | None:
        """The next batch for this keeper, or None when it has everything and nothing is due."""
        if self.failures and now < self._not_before:
            return None
        source = self.source
        head = source.head
        self._marked = self._asking or self.kept is None
        if self._asking or self.kept is None:
            place = (head.seq, head.digest)
            return Batch(source.till, source.epoch, place, place, "", source.as_of(), self._marks())
        if self.kept.seq < head.seq:
            return self._piece(self.kept)
        if now - self._beat >= BEAT_MS:
            place = (self.kept.seq, self.kept.digest)
            return Batch(source.till, source.epoch, place, place, "", source.as_of())
        return None

    def inquire(self, now: int) -> Batch | None:
        """Ask how far this keeper is and send nothing: another way brings the entries, and its word is wanted all the
        same. None when no beat is due."""
        if self.failures and now < self._not_before:
            return None
        if self.kept is not None and self.last_heard and now - self._beat < BEAT_MS:
            return None
        source, self._marked = self.source, True
        place = (source.head.seq, source.head.digest)
        return Batch(source.till, source.epoch, place, place, "", source.as_of(), self._marks())

    def _marks(self) -> tuple[tuple[int, str], ...]:
        """Where our history may part from the keeper's; the place it acknowledged last is one of them, so that a keeper
        that lost nothing never seems to have lost what lies between two steps (K12)."""
        marks = marks_of(self.source)
        if self.kept is None or not self.kept.seq or self.kept.seq > self.source.head.seq:
            return marks
        both = sorted({*marks, (self.kept.seq, self.kept.digest)}, reverse=True)
        return tuple(both if len(both) <= MOST_MARKS else [*both[: MOST_MARKS - 1], both[-1]])

    def _piece(self, after: Head) -> Batch | None:
        source = self.source
        most, size = self._fewer, PIECE_BYTES
        while True:  # a relay goes on to the next signed place, however small the pieces it was asked for
            entries = list(source.pieces(after.seq + 1, most, size))
            signed = source.signature(after.seq + 1, after.seq + len(entries))
            if signed is not None:
                break
            if most >= MOST_ENTRIES or after.seq + len(entries) >= source.head.seq:
                return None  # it has nothing that is signed yet
            most, size = min(most * 4, MOST_ENTRIES), min(size * 4, LARGEST_PLAIN)
        seq, signature = signed
        last = (seq, source.digest_at(seq))
        said = source.as_of()
        packed = pack(entries[: seq - after.seq])
        return Batch(
            source.till,
            source.epoch,
            (after.seq, after.digest),
            last,
            signature.hex(),
            said if said is not None and said.seq <= seq else None,
            packed=packed,
        )

    def answered(self, answer: Answer, now: int) -> News:
        """Follow the keeper's answer. Raises ForgedAckError: keep nothing it said, and raise the alarm."""
        self.failures, self.last_heard, self._beat = 0, now, now
        self._fewer = min(self._fewer * 2, PIECE)
        if answer.status == "stranger" or answer.ack is None:
            self._asking = True
            return News("stranger", self.keeper, 0)
        ack, source, before = answer.ack, self.source, self.kept
        self._check(ack)
        if answer.status == "behind" and not self._marked:
            self._asking = True  # it lost something: find out where its history ends before sending it all again
            return News("lost", self.keeper, ack.seq, before.seq if before is not None else 0)
        self._asking = False
        self.kept, self.ack = Head(ack.seq, ack.digest), ack
        if answer.ahead > source.head.seq or (ack.branch and source.own_key):
            about = "forked" if ack.branch else "ahead"
            shown = not source.own_key or proves_another(source, answer.proof)
            return News(about if shown else "claim", self.keeper, answer.ahead or ack.seq, source.head.seq)
        if before is not None and ack.seq < before.seq:
            return News("lost", self.keeper, ack.seq, before.seq)
        return News("kept", self.keeper, ack.seq, before.seq if before is not None else 0)

    def _check(self, ack: Ack) -> None:
        source = self.source
        why = ""
        if (ack.keeper, ack.till, ack.epoch) != (self.keeper, source.till, source.epoch):
            why = "it is about something else"
        elif not self._verifier.good(bytes.fromhex(ack.signature), ack_bytes(ack)):
            why = "its signature is bad"
        elif ack.seq > source.head.seq or ack.digest != (source.digest_at(ack.seq) if ack.seq else NOTHING):
            why = "it names an entry that is not ours"
        if why:
            raise ForgedAckError(keeper=self.keeper, why=why)

    def failed(self, now: int, spread: int, *, smaller: bool = False, pause_ms: int = 0) -> None:
        """No answer, or none that counts: wait longer each time. `spread` is a random number 0…999 that keeps many
        senders apart; `smaller` halves the next piece; `pause_ms` is what the keeper asked for."""
        self.failures += 1
        self._asking = True  # what was lost may have arrived
        pause = min(FIRST_PAUSE_MS << min(self.failures - 1, 16), LONGEST_PAUSE_MS)
        self._not_before = now + max(pause // 2 + pause * spread // 2000, pause_ms)
        if smaller:
            self._fewer = max(self._fewer // 2, 1)

    def nudge(self) -> None:
        """Try at once again, whatever the pause: the cable may be back."""
        self._not_before = 0


assert signed_bytes("a", 1, Head(0, NOTHING)) != as_of_bytes("a", 1, Head(0, NOTHING), ""), "two statements, two texts"
