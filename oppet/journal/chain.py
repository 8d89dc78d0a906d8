"""The chain: why nobody can quietly change yesterday's sales.

Entries are walked in order; the first thing that is wrong is named by till, epoch and number, with what was done to it
as exactly as the digests and signatures around it can tell. A file is split into ranges that are walked at the same
time; each begins on the entry before it. Opening files and starting processes is `drivers/journal_reader.py`'s work.
Keeps J1, J2, J4 (a signature covers all before it), J7 (bounds) and J9 (the first wrong thing is named).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Protocol

import msgspec

from oppet.base.canonical import digest
from oppet.base.signing import Verifier
from oppet.base.words import N_
from oppet.journal.entry import NOTHING, VERSION, Entry, Head, body_of, parse, signed_bytes
from oppet.journal.kinds import EpochOpened, PostOpened, TillStarted

__all__ = [
    "LARGEST_ENTRY",
    "UNREADABLE",
    "WHY",
    "Checked",
    "Extra",
    "Finding",
    "Owner",
    "Row",
    "check",
    "check_anchor",
    "owner_of",
]

LARGEST_ENTRY = 1 << 20
WINDOW = 64  # how far behind a wrong place its true entry is looked for
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # what hostile bytes make a decoder raise
SIGNATURES_AHEAD = 8  # how many more are tried before a bad signature is held against the entries

Row = tuple[object, bytes | None]  # the place in the file, and the bytes that stand there (None: cannot be read)

WHY = {
    "changed": N_("its bytes are not those that were sealed"),
    "changed next": N_("it does not follow on the entry before it, which is whole"),
    "changed both": N_("its bytes are not those that were sealed, and perhaps not those of the entry before it"),
    "changed either": N_("it or the entry after it was changed: they do not fit together"),
    "changed first": N_("it is the first entry and follows on another"),
    "opens nothing": N_("the first entry opens no epoch"),
    "missing": N_("it is not there"),
    "reordered": N_("another entry stands in its place"),
    "forked": N_("two different entries stand in its place"),
    "forked twice": N_("it stands there twice"),
    "forked history": N_("it is signed, and follows on another entry than the one before it: there were two histories"),
    "forked anchor": N_("another entry was seen in this place before"),
    "forked files": N_("the two files part here"),
    "cloned": N_("it is another till's or epoch's entry"),
    "cloned machine": N_("the till was started on another machine than the epoch was opened on"),
    "truncated": N_("the journal ends before it, and a signature covers more"),
    "truncated anchor": N_("the journal ends before it, and a later entry was seen before"),
    "signature": N_("the signature of the entries up to it is bad"),
    "signature alone": N_("its signature is bad, but a later one covers it: the entries are whole"),
    "number": N_("it carries another number than its place"),
    "number place": N_("an entry stands in a place that is no number"),
    "future": N_("a newer version of this program wrote it"),
    "unreadable": N_("its bytes are no entry"),
    "unreadable size": N_("it is larger than any entry, or its place in the file cannot be read"),
    "unreadable file": N_("the file cannot be read from here on"),
}


class Finding(msgspec.Struct, frozen=True):
    """The first thing wrong."""

    kind: str  # changed | missing | reordered | forked | cloned | truncated | signature | number | future | unreadable
    till: str
    epoch: int
    seq: int
    why: str
    sure: int  # the last number before it that a good signature covers


class Owner(msgspec.Struct, frozen=True):
    """Whose journal it is, as its first entry says or as the caller knows better."""

    till: str
    epoch: int
    installation: str = ""
    public_key: bytes | None = None


class Checked(msgspec.Struct, frozen=True):
    """What one range was found to hold."""

    finding: Finding | None
    head: Head
    signed_seq: int
    entries: int
    signatures: int
    extra: object = None


class Extra(Protocol):
    """A check of what entries say, run beside the chain's on every range; its reports are put together by its owner."""

    def see(self, entry: Entry) -> None: ...
    def report(self) -> object: ...


class _Version(msgspec.Struct):
    v: int


_version = msgspec.json.Decoder(_Version)


def owner_of(first: bytes | None) -> Owner | None:
    """Whose journal begins with this entry; None if it opens no epoch."""
    try:
        entry = parse(first or b"")
        body = body_of(entry)
        if isinstance(body, EpochOpened | PostOpened) and len(key := bytes.fromhex(body.public_key)) == 32:
            return Owner(entry.till, entry.epoch, body.installation, key)
    except UNREADABLE:
        pass
    return None


def check(
    rows: Iterator[Row],
    signatures: Iterator[tuple[int, bytes]],
    owner: Owner,
    start: Head | None = None,
    last: int | None = None,
    signed_seq: int = 0,
    extra: Extra | None = None,
) -> Checked:
    """Walk `rows` on from `start` to number `last` or the end, and stop at the first thing wrong.

    `signatures` begins behind `start`, which is believed, as is `signed_seq`, the last signed number up to it. Rows and
    signatures may go on behind `last`: what comes after tells which of two entries is to blame.
    """
    start = start or Head(0, NOTHING)
    till, epoch = owner.till, owner.epoch
    verifier = Verifier(owner.public_key) if owner.public_key is not None else None
    number, before, tried = start.seq, start.digest, 0
    mark, signature = next(signatures, (None, b""))
    finding = None
    for place, data in rows:
        number += 1
        try:
            entry = parse(data)  # type: ignore[arg-type]  # None is no entry either
        except (*UNREADABLE, TypeError):
            entry = None
        if (
            entry is None
            or data is None
            or entry.prev != before
            or entry.seq != number
            or place != number
            or entry.till != till
            or entry.epoch != epoch
            or entry.v > VERSION
            or len(data) > LARGEST_ENTRY
        ):
            blame = _Blame(owner, verifier, Head(number - 1, before), signed_seq, (mark, signature))
            finding = blame.entry((place, data), entry, rows)
            break
        here = sha256(data).hexdigest()
        while mark is not None and mark <= number:
            tried += 1
            if verifier is None or not verifier.good(signature, signed_bytes(till, epoch, Head(mark, here))):
                blame = _Blame(owner, verifier, Head(number, here), signed_seq, (mark, signature))
                finding = blame.signature(rows, signatures)
                break
            signed_seq = number
            mark, signature = next(signatures, (None, b""))
        if finding is not None:
            break
        if entry.kind in _OPENERS and (finding := _same_machine(entry, owner, signed_seq)):
            break
        if extra is not None:
            extra.see(entry)
        before = here
        if number == last:
            break
    else:
        if mark is not None:
            finding = Finding("truncated", till, epoch, number + 1, WHY["truncated"], signed_seq)
    report = extra.report() if extra is not None else None
    done = number - (finding is not None and finding.kind != "truncated")
    return Checked(finding, Head(done, before), signed_seq, done - start.seq, tried, report)


def check_anchor(owner: Owner, anchor: Head, there: bytes | None, head: Head, signed_seq: int) -> Finding | None:
    """Hold a whole chain against a head that was seen before: on a receipt, at a keeper, in another file."""
    if anchor.seq > head.seq:
        word, seq = "truncated anchor", head.seq + 1
    elif there is None or digest(there) != anchor.digest:
        word, seq = "forked anchor", anchor.seq
    else:
        return None
    return Finding(word.partition(" ")[0], owner.till, owner.epoch, seq, WHY[word], min(signed_seq, seq - 1))


_OPENERS = {"epoch_opened", "post_opened", "till_started"}


def _same_machine(entry: Entry, owner: Owner, signed_seq: int) -> Finding | None:
    """A journal that goes on on another machine was cloned; a second epoch in one journal is not ours to open."""
    word = ""
    try:
        body = body_of(entry)
    except UNREADABLE:
        word = "unreadable"
    else:
        if isinstance(body, EpochOpened | PostOpened | TillStarted) and owner.installation not in {
            "",
            body.installation,
        }:
            word = "cloned machine"
        elif isinstance(body, EpochOpened | PostOpened) and entry.seq > 1:
            word = "cloned"
    if not word:
        return None
    kind = word.partition(" ")[0]
    return Finding(kind, entry.till, entry.epoch, entry.seq, WHY[word], min(signed_seq, entry.seq - 1))


class _Blame:
    """Says what is wrong at one place, from what stands around it."""

    def __init__(
        self, owner: Owner, verifier: Verifier | None, before: Head, signed_seq: int, mark: tuple[int | None, bytes]
    ) -> None:
        self.owner, self.verifier, self.before, self.signed_seq, self.mark = owner, verifier, before, signed_seq, mark

    def found(self, word: str, seq: int) -> Finding:
        sure = min(self.signed_seq, seq - 1)
        return Finding(word.partition(" ")[0], self.owner.till, self.owner.epoch, seq, WHY[word], sure)

    def entry(self, row: Row, entry: Entry | None, rows: Iterator[Row]) -> Finding:
        """Blame the entry that was expected behind `before`, or the one before it."""
        place, data = row
        number = self.before.seq + 1
        after = list(islice(rows, WINDOW))
        if place is None and data is None:
            return self.found("unreadable file", number)
        if not isinstance(place, int) or place < number == 1:
            return self.found("number place", number)
        if place < number - 1:  # places come in order, unless the pages they stand on are damaged
            return self.found("unreadable file", number)
        if place < number:
            twice = data is not None and digest(data) == self.before.digest
            return self.found("forked twice" if twice else "forked", number - 1)
        if place > number:
            return self.found("reordered" if self._stands_in([row, *after]) else "missing", number)
        if data is None or len(data) > LARGEST_ENTRY:
            return self.found("unreadable size", number)
        if _written_by_a_newer(data, entry):
            return self.found("future", number)
        if entry is None:
            return self.found("unreadable", number)
        following = _parsed(after[0]) if after else None
        return self._link(entry, digest(data), following, after)

    def _link(self, entry: Entry, here: str, following: Entry | None, after: list[Row]) -> Finding:
        """Blame an entry that can be read: its owner, its number, or the link between it and the one before."""
        number = self.before.seq + 1
        follows = entry.prev == self.before.digest
        followed = following is not None and following.prev == here
        if (entry.till, entry.epoch) != (self.owner.till, self.owner.epoch):
            return self.found("changed" if follows and following is not None and not followed else "cloned", number)
        if entry.seq != number:
            if self._stands_in(after):
                return self.found("reordered", number)
            if follows:
                return self.found("number" if followed or following is None else "changed", number)
            return self.found("missing" if entry.seq > number else "reordered", number)
        signed = self._signed(Head(number, here))
        if number == 1:
            return self.found("changed first", number)
        if self.before.seq == self.signed_seq:  # what it ought to follow on is beyond doubt
            return self.found("forked history" if signed else "changed next", number)
        if signed or followed:
            return self.found("changed", number - 1)
        return self.found("changed both", number) if following else self.found("changed either", number - 1)

    def signature(self, rows: Iterator[Row], signatures: Iterator[tuple[int, bytes]]) -> Finding:
        """Blame a signature that does not fit the entry `before`, or the entries it ought to cover."""
        number, here = self.before.seq, self.before.digest
        if self.mark[0] != number:
            return self.found("signature", number)
        ahead = list(islice(signatures, SIGNATURES_AHEAD))
        for place, data in rows:
            entry = _parsed((place, data))
            if entry is None or data is None:
                break
            if entry.prev != here:
                first = number == self.before.seq
                return self.found("changed" if first else "signature", self.before.seq)
            if not ahead:
                break
            number, here = number + 1, digest(data)
            while ahead and ahead[0][0] <= number:
                mark, signature = ahead.pop(0)
                if mark == number and self._good(signature, Head(number, here)):
                    return self.found("signature alone", self.before.seq)
        return self.found("signature", self.before.seq)

    def _stands_in(self, rows: list[Row]) -> bool:
        """Whether the entry that ought to come next is one of `rows`."""
        entries = map(_parsed, rows)
        return any(e and e.seq == self.before.seq + 1 and e.prev == self.before.digest for e in entries)

    def _signed(self, head: Head) -> bool:
        mark, signature = self.mark
        return mark == head.seq and self._good(signature, head)

    def _good(self, signature: bytes, head: Head) -> bool:
        message = signed_bytes(self.owner.till, self.owner.epoch, head)
        return self.verifier is not None and self.verifier.good(signature, message)


def _parsed(row: Row) -> Entry | None:
    try:
        return None if row[1] is None else parse(row[1])
    except UNREADABLE:
        return None


def _written_by_a_newer(data: bytes, entry: Entry | None) -> bool:
    try:
        return (entry.v if entry is not None else _version.decode(data).v) > VERSION
    except UNREADABLE:
        return False
