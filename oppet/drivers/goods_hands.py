"""The thread that fetches goods, keeps them on this till's disk, and reads them while the till sells.

A file's name is the digest that was signed, and it is held against it each time it is read: what lies here is believed no more than
what comes over a wire. `charged.json` says what a start begins with; the journal, written first, says so too. The reading is done in
slices (`goods/catalogue.py`, `release/goods_intake.py`): after a millisecond of work the processor is the scan's for a while.
Keeps RL12 (it sells meanwhile) and R19; decides nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from oppet.base.errors import OppetError, UnavailableError, UntrustedError, clip
from oppet.drivers import files
from oppet.drivers.obtaining import Rate, obtain_goods
from oppet.drivers.publication_sources import Source
from oppet.drivers.publications import Publications
from oppet.goods.catalogue import Catalogue, decode, in_slices
from oppet.goods.errors import BrokenAssortmentError
from oppet.release.errors import PublicationAwayError, TargetRefusedError
from oppet.release.found import GoodsFound, Refused
from oppet.release.goods_intake import ASSORTMENT, FACTORY, Charged, Errand, Outcome, Weighed, weigh

__all__ = ["Fetch", "GoodsHands", "fetch_by", "start_with"]

LOG = logging.getLogger("oppet.goods")
CHARGED: Final = "charged.json"
LARGEST_CHARGED: Final = 4096
END_S: Final = 5.0  # what a till that ends waits for a source that is slow
WORK_S: Final = 0.001  # of reading at a stretch
REST_S: Final = 0.001
SWITCH_S: Final = 0.0005  # how soon a scan that waits for the processor gets it from a slice that lasts longer

T = TypeVar("T")
Fetch = Callable[[GoodsFound, str, Sequence[bytes]], bytes]
"""Gives the bytes that were signed; the repository's name, and documents that are here. Raises TargetRefusedError, UnavailableError."""


def fetch_by(
    publications: Publications, sources: Sequence[Source], *,
    tell: Callable[[Refused], None] | None = None, stop: Callable[[], bool] = lambda: False, rate: Rate | None = None,
) -> Fetch:  # fmt: skip
    """From caches: by a patch from what is here, else whole. `sources` are this thread's alone."""

    def fetch(found: GoodsFound, repository: str, have: Sequence[bytes]) -> bytes:
        def whole() -> bytes:
            return publications.target(found.name, found.length, found.sha256, repository, sources, tell)

        return obtain_goods(
            found.name, found.length, found.sha256, have, sources, whole, tell=tell, stop=stop, rate=rate
        )[0]

    return fetch


def start_with(folder: Path, factory: Callable[[], Catalogue]) -> tuple[Catalogue, dict[str, Charged]]:
    """What the last run charged, where its file is whole; else the assortment that the settings name. And what else it acted on."""
    kept: dict[str, Charged] = {}
    with contextlib.suppress(OppetError, msgspec.DecodeError):
        kept = msgspec.json.decode(files.read(folder / CHARGED, LARGEST_CHARGED), type=dict[str, Charged])
    if ASSORTMENT in kept:
        with contextlib.suppress(OppetError):
            return decode(_document(folder, kept[ASSORTMENT].digest)), kept
        del kept[ASSORTMENT]  # the journal knows of it: it is fetched again
    return factory(), kept


class GoodsHands:
    """Carries out errands one after the other. `factory` gives the settings' own assortment as one document.

    `sources` are what `fetch` asks, and are closed with the thread.
    """

    def __init__(
        self, folder: Path, fetch: Fetch, factory: Callable[[], bytes], *, sources: Sequence[Source] = (),
        sleep: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder = files.folder(folder)
        self._fetch, self._factory, self._sources = fetch, factory, tuple(sources)
        self._sleep, self._clock = sleep, clock
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._over: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="goods", daemon=True)
        self._thread.start()

    def begin(self, errand: Errand) -> None:
        self._work.put(lambda: self._over.put(Outcome(errand, self._carried_out(errand))))

    def heard(self) -> Outcome | None:
        try:
            return self._over.get_nowait()
        except queue.Empty:
            return None

    def settled(self, charged: Mapping[str, Charged], keep: frozenset[str], gone: Catalogue | None) -> None:
        self._work.put(lambda: self._settle(dict(charged), keep, gone))

    def close(self) -> None:
        """What is under way ends at its next pause; what it came to is found again at the next start."""
        self._ends = True
        self._work.put(None)
        self._thread.join(END_S)

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                with contextlib.suppress(_EndedError):
                    work()
        finally:
            for source in self._sources:
                source.close()

    # --- an errand

    def _carried_out(self, errand: Errand) -> Weighed:
        try:
            data = self._kept_or_fetched(errand)
            return self._driven(weigh(errand, data, lambda: self._read(errand.base)))
        except TargetRefusedError as error:
            return Weighed(str(error.facts["why"]), (("reason", clip(str(error), 200)),))
        except UnavailableError:
            return Weighed("away")
        except (UntrustedError, BrokenAssortmentError) as error:
            return Weighed("malformed", (("reason", clip(str(error), 200)),))
        except _EndedError:
            raise
        except Exception:
            LOG.exception("goods could not be read")  # our own mistake: the till sells on, the next look tries again
            return Weighed("away")

    def _kept_or_fetched(self, errand: Errand) -> bytes:
        found = errand.found
        with contextlib.suppress(OppetError):
            return _document(self._folder, found.sha256)
        if not found.length:
            raise PublicationAwayError(
                source="-", reason=found.name
            )  # known from the journal alone: until it is listed again
        have = []
        for digest in dict.fromkeys((errand.digest, errand.base)):
            with contextlib.suppress(OppetError):
                have.append(self._factory() if digest == FACTORY else _document(self._folder, digest))
        data = self._fetch(found, errand.repository, have)
        if len(data) != found.length or hashlib.sha256(data).hexdigest() != found.sha256:
            raise TargetRefusedError(name=found.name, why="bytes", reason="not what was signed")
        files.write(self._folder / found.sha256, data)
        return data

    def _read(self, digest: str) -> Generator[None, None, Catalogue]:
        """The window's start. Without it nobody can say what changed within the window: what two people signed needs none."""
        try:
            data = self._factory() if digest == FACTORY else _document(self._folder, digest)
        except OppetError:
            raise PublicationAwayError(source="-", reason=digest) from None
        return (yield from in_slices(data))

    def _settle(self, charged: Mapping[str, Charged], keep: frozenset[str], gone: Catalogue | None) -> None:
        with contextlib.suppress(
            OppetError, OSError
        ):  # the journal says it too: a start that misses this does the errand again
            files.write(self._folder / CHARGED, msgspec.json.encode(charged))
            for path in self._folder.iterdir():
                if path.name != CHARGED and path.name not in keep:
                    path.unlink()
        if gone is not None:
            self._driven(_ending(gone.taken_apart()))

    def _driven(self, slices: Generator[None, None, T]) -> T:
        """Work through slices, and let others have the processor between them. Raises _EndedError when the run ends."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        try:
            since = self._clock()
            while True:
                next(slices)
                if self._ends:
                    raise _EndedError
                if self._clock() - since >= WORK_S:
                    self._sleep(REST_S)
                    since = self._clock()
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            sys.setswitchinterval(before)


class _EndedError(Exception):
    """The run ends in the middle of an errand."""


def _ending(slices: Iterator[None]) -> Generator[None, None, None]:
    yield from slices


def _document(folder: Path, digest: str) -> bytes:
    """A file's bytes, which are what its name says. Raises FileMissingError, FileTroubleError, TargetRefusedError."""
    data = files.read(folder / digest)
    if hashlib.sha256(data).hexdigest() != digest:
        raise TargetRefusedError(name=digest, why="bytes", reason="the file on this disk was changed")
    return data
