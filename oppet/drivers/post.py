"""A post: the audit journal of a process that is no till. Who read and did what there, and what was alarming.

It is written as a till's is, by the same file and the same chain, signed with the process's own key at every write, and
is sent up like any other history. An epoch whose key or journal is lost or damaged is left where it is, as evidence,
and a new one begins. Keeps O1 (written before it is done) and O9 (a lost epoch is never begun again) of docs/rules-office.md.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from oppet import __version__
from oppet.base.clock import Clock
from oppet.base.errors import UnavailableError
from oppet.base.signing import Signer
from oppet.drivers.disk import make_durable
from oppet.drivers.files import folder as made
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keys import KeyUnfitError, load_key, make_key
from oppet.journal.entry import Head, signed_bytes
from oppet.journal.errors import JournalDamagedError, JournalMissingError, NotAJournalError
from oppet.journal.kinds import AlarmRaised, Body, Fact, PostOpened
from oppet.sync.messages import AsOf
from oppet.sync.sender import as_of

__all__ = ["Post", "PostSource"]

LOST = (JournalDamagedError, JournalMissingError, NotAJournalError, KeyUnfitError)  # such an epoch does not go on


class PostSource:
    """The post as a sender's source: it signs its own head, so that everything durable can travel at once."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.till = post.name
        self.epoch = post.epoch
        self.own_key = post.signer.public

    @property
    def head(self) -> Head:
        return self._post.journal.head

    def digest_at(self, seq: int) -> str:
        return self._post.journal.digest_at(seq)

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        return self._post.journal.pieces(first, most, most_bytes)

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        if not 0 < first <= last <= self.head.seq:
            return None
        head = Head(last, self.digest_at(last))
        return last, self._post.signer.sign(signed_bytes(self.till, self.epoch, head))

    def as_of(self) -> AsOf | None:
        return as_of(self._post.signer, self.till, self.epoch, self.head, self._post.clock.now())


class Post:
    """One process's audit journal. Any thread writes; a write that returns is signed and on the disk."""

    def __init__(self, journal: JournalFile, signer: Signer, clock: Clock) -> None:
        """Not for callers: `open` is."""
        self.journal = journal
        self.signer = signer
        self.clock = clock
        self._guard = threading.Lock()

    @property
    def name(self) -> str:
        return self.journal.till

    @property
    def epoch(self) -> int:
        return self.journal.epoch

    @classmethod
    def open(cls, folder: Path, name: str, place: str, store: str, clock: Clock, installation: str) -> Self:
        """Go on with the newest epoch of `name` in `folder`, or begin the next one.

        `place` is "store" or "hq", `store` the store's id ("" at HQ). Raises JournalInUseError, JournalFromFutureError,
        or a disk's UnavailableError.
        """
        made(folder)
        epoch = max((int(found[1]) for file in folder.iterdir() if (found := _file(name, file.name))), default=1)
        lost: Exception | None = None
        while True:
            try:
                post = cls._epoch(folder, name, epoch, clock)
            except LOST as why:
                lost, epoch = why, epoch + 1
                continue
            try:
                post._begin(PostOpened(place, store, __version__, post.signer.public.hex(), installation), lost)
            except BaseException:
                post.close()
                raise
            return post

    @classmethod
    def _epoch(cls, folder: Path, name: str, epoch: int, clock: Clock) -> Self:
        """Open or make this epoch. The journal is made before its key: a key whose journal is gone never begins again."""
        place, key = folder / f"{name}-{epoch:04d}.journal", folder / f"{name}-{epoch:04d}.key"
        journal = JournalFile.open(place) if key.exists() else JournalFile.open_or_create(place, name, epoch)
        try:
            if journal.till != name or journal.epoch != epoch:
                raise NotAJournalError(path=str(place), why=f"it is {journal.till}’s")
            if not key.exists() and journal.head.seq:
                raise KeyUnfitError(path=str(key), why="it is gone")
            signer = load_key(key) if key.exists() else make_key(key)
            if journal.head.seq and journal.public_key != signer.public:
                raise KeyUnfitError(path=str(key), why="it is not the key this journal began with")
            make_durable(folder)
        except BaseException:
            journal.close()
            raise
        return cls(journal, signer, clock)

    def _begin(self, opened: PostOpened, lost: Exception | None) -> None:
        if self.journal.head.seq == 0:
            self.write(opened)
        if lost is not None:
            facts = (Fact("epoch", str(self.epoch - 1)), Fact("why", str(lost)[:200]))
            self.write(AlarmRaised("audit_journal_lost", facts))

    def write(self, *bodies: Body) -> int:
        """Sign and make durable, in one group; give the number of the last.

        A disk that failed before is read again first. Raises a disk's UnavailableError: what was to be written down must
        then not be done (O1).
        """
        with self._guard:
            if self.journal.broken:
                self.journal.recover()
            self.journal.append(self.clock.now(), bodies, self.signer)
            return self.journal.head.seq

    def source(self) -> PostSource:
        """What a sender sends to the keepers, as of a till."""
        return PostSource(self)

    def well(self) -> bool:
        """Whether the next write has a disk to go to; tries to mend it."""
        with self._guard:
            if self.journal.broken:
                try:
                    self.journal.recover()
                except UnavailableError:
                    return False
            return True

    def close(self) -> None:
        """Let go of the file; twice does no harm."""
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _file(name: str, file: str) -> re.Match[str] | None:
    return re.fullmatch(rf"{re.escape(name)}-(\d{{4}})\.(?:journal|key)", file)
