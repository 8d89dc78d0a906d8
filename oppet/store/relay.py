"""The relay: every history kept here, the node's own journal too, goes on to HQ; HQ's papers come back and go down.

How it is sent is `drivers/upload.py`'s. The relay tells it which histories there are, shows papers, believes what comes back
and knows what waits and since when. HQ away costs the store nothing: what is kept waits here (R20 names the hop and the age).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, UntrustedError
from oppet.drivers.clock import SystemClock
from oppet.drivers.keeper_client import KeeperClient
from oppet.drivers.shelf_files import FileShelf
from oppet.drivers.upload import Lag, Uploader
from oppet.journal.entry import parse
from oppet.sync.certificates import Directory
from oppet.sync.keeper import Alarm
from oppet.sync.messages import Ack, KeeperInfo, Paper
from oppet.sync.sender import News, Source

__all__ = ["Queue", "Relay"]

THREADS = 2
LINGER_MS = 300  # what several tills sell within it goes up together
AT_ONCE = 100  # papers in one introduction
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LOG = logging.getLogger("oppet.relay")


class Queue(msgspec.Struct, frozen=True):
    """What waits at this node to go up one hop (R20)."""

    to: str
    till: str
    epoch: int
    branch: str
    kept_above: int
    waiting: int  # entries
    since: str  # UTC, by the till's clock: the oldest entry that waits; "" for none
    heard: str  # UTC: the keeper's last signed word on this history
    why: str  # what it failed at last; "" while all is well


class Believer(Protocol):
    """Whom the relay hands papers that came down."""

    def believe(self, papers: Sequence[Paper]) -> int: ...


class Relay:
    """Begins at once; `close` ends its threads."""

    def __init__(
        self,
        hq: KeeperInfo,
        shelf: FileShelf,
        directory: Directory,
        believer: Believer,
        alarm: Alarm,
        remember: Path,
        *,
        own: Source | None = None,
    ) -> None:
        self.hq = hq
        self._shelf, self._directory, self._believer, self._alarm = shelf, directory, believer, alarm
        self._own = own
        self._clock = SystemClock()
        self.heard_at = 0  # instant of HQ's last answer
        self._known: set[tuple[str, int, str]] = set()
        self._show = threading.Event()
        self._closing = threading.Event()
        self.uploader = Uploader(hq, self, threads=THREADS, linger_ms=LINGER_MS, remember=remember)
        self._client = KeeperClient(hq)
        self._shower = threading.Thread(target=self._showing, name="relay-papers", daemon=True)
        shelf.watch(self._add)
        for one in shelf.streams():
            self._add(one.till, one.epoch, one.branch)
        if own is not None:
            self.uploader.add(own)
        self._show.set()
        self._shower.start()

    def show(self) -> None:
        """Show HQ every paper of this store again, soon: something is new."""
        self._show.set()

    def retry(self) -> None:
        """The cable may be back."""
        self.uploader.retry()
        self._show.set()

    def queues(self) -> list[Queue]:
        """What waits, for each history, the longest first."""
        found = [
            Queue(
                lag.keeper, lag.till, lag.epoch, lag.branch, lag.kept, lag.behind, self._since(lag), lag.heard, lag.why
            )
            for lag in self.uploader.lags()
        ]
        return sorted(found, key=lambda queue: (queue.since or "~", queue.till, queue.epoch, queue.branch))

    def kept_above(self, till: str, epoch: int, branch: str = "") -> int:
        """The last entry HQ has, by its signed word."""
        ack = self.uploader.ack(till, epoch, branch)
        return ack.seq if ack is not None else 0

    def close(self) -> None:
        """Twice does no harm."""
        self._closing.set()
        self._show.set()
        self._client.close()
        self.uploader.close()
        self._shower.join(3.0)

    # --- what the uploader tells (its `Listener`) -----------------------------------------------------------------

    def papers_of(self, till: str, epoch: int) -> Sequence[Paper]:
        return self._directory.papers_of(till, epoch)

    def papers_came(self, keeper: KeeperInfo, papers: Sequence[Paper]) -> None:
        try:
            self._believer.believe(papers)
        except UntrustedError as error:
            self._alarm(type(error).__name__, **{"keeper": keeper.name, **error.facts})
        except OppetError as error:
            LOG.warning("a paper from %s: %s", keeper.name, error)

    def heard(self, keeper: KeeperInfo, source: Source, news: News, ack: Ack | None, took_ms: int) -> None:  # noqa: ARG002 - the uploader's words
        self.heard_at = self._clock.now()
        if news.about == "lost":
            self._alarm(
                "keeper lost entries", keeper=keeper.name, till=source.till, epoch=source.epoch, from_seq=news.seq,
                had=news.before,
            )  # fmt: skip

    def alarm(self, keeper: KeeperInfo, source: Source, error: OppetError) -> None:
        facts = {"keeper": keeper.name, "till": source.till, "epoch": source.epoch, **error.facts}
        self._alarm(type(error).__name__, **facts)

    # --- behind the calls -----------------------------------------------------------------------------------------

    def _add(self, till: str, epoch: int, branch: str) -> None:
        """Called for every batch that is kept: quick for a history that is known."""
        if (till, epoch, branch) in self._known:
            return
        self._known.add((till, epoch, branch))
        self.uploader.add(self._shelf.source(till, epoch, branch), branch)

    def _since(self, lag: Lag) -> str:
        """When the oldest entry that waits was written."""
        if lag.behind <= 0:
            return ""
        try:
            own = self._own
            if own is not None and (lag.till, lag.epoch) == (own.till, own.epoch):
                source: Source = own
            else:
                source = self._shelf.source(lag.till, lag.epoch, lag.branch)
            return parse(source.pieces(lag.kept + 1, 1, 1)[0]).time
        except (OppetError, KeyError, IndexError, msgspec.MsgspecError):
            return utc_text(0)

    def _showing(self) -> None:
        """Papers go up by themselves, so that HQ countersigns a till before it has sold anything."""
        pause = FIRST_PAUSE_S
        while not self._closing.is_set():
            self._show.wait()
            self._show.clear()
            if self._closing.is_set():
                return
            if self._shown():
                pause = FIRST_PAUSE_S
            else:
                self._closing.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                self._show.set()

    def _shown(self) -> bool:
        papers = list(self._directory.papers())
        ask: Callable[[Sequence[Paper]], int] = self._client.introduce
        for first in range(0, len(papers), AT_ONCE):
            if self._closing.is_set():
                return True
            try:
                ask(papers[first : first + AT_ONCE])
            except UntrustedError as error:
                self._alarm(type(error).__name__, **{"keeper": self.hq.name, **error.facts})
                return False
            except OppetError as error:
                LOG.info("HQ was not shown our papers: %s", error)
                return False
        return True
