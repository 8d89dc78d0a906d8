"""One look: several sources asked in order until one of them verifies, each with a patience of its own, and what each of them did.

A source that is slow, away or lying costs the next one none of its time; what it lied about is written down with its name. Nothing here
decides what a list means: that is `publications.py`, and what it proves is `trusted_lists.py`. Keeps RL7.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadLengthMismatchError, LengthOrHashMismatchError, SlowRetrievalError
from tuf.api.metadata import TargetFile

from oppet.base.errors import clip
from oppet.drivers import files
from oppet.drivers.publication_sources import Source, SourceAwayError
from oppet.drivers.trusted_lists import FOREIGN, TrustedLists
from oppet.release.found import Refused
from oppet.release.terms import STORE

__all__ = ["Listing", "Look", "Memory", "base_of", "path_of"]

LARGEST_CONTENT: Final = 1 << 20  # of a plan, a heap of health statements, a store's root
MOST_CONTENTS: Final = 64
MOST_REFUSED: Final = 100  # told of one look: a publisher's thief can list thousands
PEER_S: Final = 5.0  # what a neighbour is given to show how far it has come

Listing = Mapping[str, TargetFile]


@dataclass(slots=True)
class Memory:
    """What looks have in common: the folder of trust, the lists as last verified, and small contents by their digest."""

    folder: Path
    held: dict[str, TrustedLists] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Look:
    """What one look gathers, and how much patience each source has left."""

    memory: Memory
    store: str
    sources: tuple[Source, ...]
    now_ms: int
    peers: tuple[Source, ...]
    total_s: float
    left: dict[int, float] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def turn(self, source: Source) -> Iterator[None]:
        """Some of a source's time: however slow it is, the next one has its own."""
        began = time.monotonic()
        try:
            with source.within(max(self.left.get(id(source), self.total_s), 0.0)):
                yield
        finally:
            self.left[id(source)] = self.left.get(id(source), self.total_s) - (time.monotonic() - began)

    def willing(self) -> Iterator[Source]:
        return (source for source in self.sources if self.left.get(id(source), self.total_s) > 0)

    def first(self, source: Source) -> None:
        """Ask this one first from now on: it has what its own lists name."""
        self.sources = (source, *(other for other in self.sources if other is not source))

    def give_up(self, source: Source) -> None:
        self.left[id(source)] = 0.0

    def failed(self, source: Source, word: str, error: BaseException, repository: str, name: str = "") -> None:
        """Write down that a source was away, or what it lied about."""
        if isinstance(error, SourceAwayError | SlowRetrievalError):
            self.give_up(source)
        if not word:
            if source.name not in self.away:
                self.away.append(source.name)
            return
        self.refuse("metadata", word, repository, name, source.name, error)

    def refuse(
        self, what: str, why: str, repository: str, name: str = "", source: str = "", error: BaseException | str = ""
    ) -> None:
        said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        refused = Refused(what, why, repository, clip(name, 120), source, clip(said, 200))
        if len(self.refused) < MOST_REFUSED and refused not in self.refused:
            self.refused.append(refused)

    # ------------------------------------------------------------ asking

    def lists(self, repository: str, folder: str, root: bytes) -> tuple[TrustedLists | None, Source | None]:
        """The first source's lists that verify as a whole; what the others did wrong is written down."""
        place = files.folder(self.memory.folder / folder)
        held, expired = self.memory.held.get(folder), False
        for source in self.willing():
            lists = held
            try:
                with contextlib.ExitStack() as patience:
                    for peer in self.peers:
                        patience.enter_context(peer.within(PEER_S))
                    patience.enter_context(self.turn(source))
                    if held is None or self.peers or not held.unchanged(source, self.now_ms):
                        lists = None
                        lists = TrustedLists(place, self.base(repository), root, source, self.now_ms, peers=self.peers)
                        lists.refresh()
            except FOREIGN as error:
                word = "malformed" if lists is None else lists.word(error)
                if word == "expired":
                    expired = True
                else:
                    self.failed(source, word, error, repository)
                continue
            assert lists is not None
            lists.keep()
            self.memory.held[folder] = lists
            self.first(source)
            return lists, source
        if expired:
            self.expired.append(repository)
        return None, None

    def role(self, lists: TrustedLists, repository: str, role: str, least: int = 1) -> Listing:
        """A delegated role's verified list without names it may not list. A role that fewer than `least` keys sign is refused."""
        delegated = lists.delegated(role)
        if delegated is None:
            return {}
        if delegated.threshold < least:
            self.refuse("metadata", "threshold", repository, role, "", f"{delegated.threshold} of at least {least}")
            return {}
        for source in self.willing():
            try:
                with self.turn(source):
                    listed = lists.role(role, source)
            except FOREIGN as error:
                word = lists.word(error)
                if word == "expired":
                    self.expired.append(f"{repository}/{role}")
                    return {}
                self.failed(source, word, error, repository, role)
                continue
            for name in listed.targets:
                if not delegated.is_delegated_path(name):
                    self.refuse("metadata", "threshold", repository, name, source.name, f"{role} may not list it")
            return {name: target for name, target in listed.targets.items() if delegated.is_delegated_path(name)}
        return {}

    def content(self, repository: str, name: str, target: TargetFile) -> bytes | None:
        """A small target's bytes, from here or from the first source that has them."""
        sha256 = target.hashes.get("sha256", "")
        if (held := self.memory.contents.get(sha256)) is not None:
            return held
        if target.length > LARGEST_CONTENT or not sha256:
            self.refuse("metadata", "endless" if sha256 else "malformed", repository, name)
            return None
        for source in self.willing():
            try:
                with self.turn(source):
                    data = source.download_bytes(path_of(self.base(repository), name, sha256), target.length)
                target.verify_length_and_hashes(data)
            except FOREIGN as error:
                self.failed(source, _content_word(error), error, repository, name)
                continue
            if len(self.memory.contents) >= MOST_CONTENTS:
                self.memory.contents.pop(next(iter(self.memory.contents)))
            self.memory.contents[sha256] = data
            return data
        return None

    def base(self, repository: str) -> str:
        return base_of(repository, self.store)


def base_of(repository: str, store: str) -> str:
    """Where a repository stands in the published tree."""
    return f"{STORE}/{store}/" if repository == STORE else f"{repository}/"


def path_of(base: str, name: str, sha256: str) -> str:
    """Where a target stands in the published tree: consistent snapshots name it by its digest."""
    folder, slash, last = name.rpartition("/")
    return f"{base}targets/{folder}{slash}{sha256}.{last}"


def _content_word(error: BaseException) -> str:
    if isinstance(error, LengthOrHashMismatchError):
        return "bytes"
    if isinstance(error, DownloadLengthMismatchError):
        return "endless"
    return "slow" if isinstance(error, SlowRetrievalError) else ""
