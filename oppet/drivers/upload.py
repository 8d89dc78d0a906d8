"""Background threads that bring histories to one keeper: what `sync/sender.py` decides, done over a wire.

The till uses it for its one journal, the store node's relay for every journal it keeps: any number of histories, a
bounded number of threads, one piece in memory for each thread. A keeper that is away is asked ever more seldom (K13)
and costs its histories nothing else; what one history does wrong holds up no other (R20). The last acknowledgements are
remembered in a small file, each with its signature, so that what is kept is known after a restart (K14); losing the file
costs one question.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, UntrustedError
from oppet.base.signing import Signer
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keeper_client import TIMEOUT_S, KeeperClient
from oppet.journal.entry import Head, signed_bytes
from oppet.sync.errors import BatchTooLargeError, ForgedAckError, KeeperAwayError, TooFastError, WrongKeeperError
from oppet.sync.messages import Ack, AsOf, KeeperInfo, Paper
from oppet.sync.sender import BEAT_MS, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, News, Sender, Source, as_of

__all__ = ["JournalSource", "Lag", "Listener", "Uploader"]

LOG = logging.getLogger("oppet.upload")

Key = tuple[str, int, str]  # till, epoch, branch

POLL_MS = 1_000  # a nudge that was lost costs this much and no more
REMEMBER_MS = 5_000  # how often acknowledgements are written down
MOST_REMEMBERED = 16 << 20  # bytes
STUCK = 3  # answers that move nothing before the history has to wait
JOIN_S = 3.0


class Listener(Protocol):
    """Whom an uploader tells; called from its threads, so quickly and without raising."""

    def papers_of(self, till: str, epoch: int) -> Sequence[Paper]:
        """What a keeper that does not know this history must see."""
        ...

    def papers_came(self, keeper: KeeperInfo, papers: Sequence[Paper]) -> None:
        """Certificates and revocations came down with an answer; nothing of them is checked yet."""
        ...

    def heard(self, keeper: KeeperInfo, source: Source, news: News, ack: Ack | None, took_ms: int) -> None:
        """An answer that was believed, what it means, and how long it took."""
        ...

    def alarm(self, keeper: KeeperInfo, source: Source, error: OppetError) -> None:
        """What a bad cable does not explain: a forged acknowledgement, another certificate, a refused history.

        Said once, and again only after an answer that was believed."""
        ...


class Lag(msgspec.Struct, frozen=True):
    """How one history stands with one keeper."""

    keeper: str
    place: str
    till: str
    epoch: int
    branch: str
    kept: int  # the last of our entries it has, by its signed word
    behind: int
    heard: str  # when it last gave its word: our clock in this run, its own before; "" for never
    failures: int  # since then, in this run
    paused_ms: int  # until it is asked again
    why: str  # what it failed at last; "" while all is well
    spoke: bool  # it has given its word in this run


class JournalSource:
    """A till's own journal: the till itself can sign any place in it and say how far it goes now."""

    def __init__(self, journal: JournalFile, signer: Signer, now: Callable[[], int]) -> None:
        self.till, self.epoch, self.own_key = journal.till, journal.epoch, signer.public
        self._journal, self._signer, self._now = journal, signer, now

    @property
    def head(self) -> Head:
        return self._journal.head

    def digest_at(self, seq: int) -> str:
        return self._journal.digest_at(seq)

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        return self._journal.pieces(first, most, most_bytes)

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        assert first <= last, "a place to sign"
        head = Head(last, self._journal.digest_at(last))
        return last, self._signer.sign(signed_bytes(self.till, self.epoch, head))

    def as_of(self) -> AsOf | None:
        return as_of(self._signer, self.till, self.epoch, self._journal.head, self._now())


class _Lane:
    """One history on its way to the keeper."""

    __slots__ = ("alarmed", "busy", "heard", "introduced", "rest_until", "sender", "sent_at", "stuck", "urgent", "why")

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.busy = self.urgent = self.introduced = False
        self.rest_until = self.sent_at = 0
        self.stuck = 0
        self.alarmed = self.why = self.heard = ""


class Uploader:
    """One keeper. `add` histories, `nudge` when something was written that should go at once, `close` at the end."""

    def __init__(
        self,
        info: KeeperInfo,
        listener: Listener,
        *,
        threads: int = 1,
        linger_ms: int = 0,
        timeout_s: float = TIMEOUT_S,
        remember: Path | None = None,
        lazy: Callable[[], bool] | None = None,
        on_away: Callable[[], None] | None = None,
        clock: SystemClock | None = None,
    ) -> None:
        """`linger_ms` gathers what is not urgent; `remember` is the file of last acknowledgements; while `lazy` says so
        this keeper is only asked how far it is, because entries come to it by another way. `on_away` is called when the
        keeper did not answer."""
        self.info = info
        self._listener = listener
        self._linger_ms = linger_ms
        self._on_away = on_away
        self._lazy = lazy if lazy is not None else _never
        self._clock = clock if clock is not None else SystemClock()
        self._lanes: OrderedDict[Key, _Lane] = OrderedDict()
        self._wake = threading.Condition()
        self._closing = False
        self._failures = 0  # of the keeper, whatever the history
        self._not_before = 0
        self._remember = remember
        self._acks = _remembered(remember)
        self._unsaved = False
        self._saved_at = 0
        self._saving = threading.Lock()
        self._clients = [KeeperClient(info, timeout_s) for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._work, args=(client,), name=f"upload-{info.name}-{place}", daemon=True)
            for place, client in enumerate(self._clients)
        ]
        for thread in self._threads:
            thread.start()

    # --- what others call

    def add(self, source: Source, branch: str = "") -> None:
        """Begin to send a history; one that is there already stays as it is."""
        key = (source.till, source.epoch, branch)
        sender = Sender(source, self.info.name, bytes.fromhex(self.info.public_key))
        ack = self._acks.get(_name(key))
        if ack is not None:
            with contextlib.suppress(OppetError, KeyError):
                sender.recall(ack)
        with self._wake:
            if not self._closing and key not in self._lanes:
                self._lanes[key] = _Lane(sender)
                self._wake.notify()

    def remove(self, till: str, epoch: int, branch: str = "") -> None:
        """Send this history no more; what was acknowledged stays remembered."""
        with self._wake:
            self._lanes.pop((till, epoch, branch), None)

    def nudge(self, till: str, epoch: int, branch: str = "") -> None:
        """Something was written that should be sent at once. A keeper that is away is not asked sooner for it."""
        with self._wake:
            lane = self._lanes.get((till, epoch, branch))
            if lane is not None:
                lane.urgent, lane.rest_until = True, 0
                self._wake.notify()

    def retry(self) -> None:
        """Ask at once, whatever the pause: the cable may be back."""
        with self._wake:
            self._not_before = 0
            for lane in self._lanes.values():
                lane.rest_until = 0
                lane.sender.nudge()
            self._wake.notify_all()

    def ack(self, till: str, epoch: int, branch: str = "") -> Ack | None:
        """The keeper's last signed word on this history, in this run or before."""
        lane = self._lanes.get((till, epoch, branch))
        return lane.sender.ack if lane is not None else self._acks.get(_name((till, epoch, branch)))

    def kept(self, till: str, epoch: int, branch: str = "") -> int | None:
        """The last entry it has, where it has given its word in this run and nothing has failed since; else None."""
        lane = self._lanes.get((till, epoch, branch))
        if lane is None or self._failures or lane.sender.failures or not lane.sender.last_heard:
            return None
        return lane.sender.kept.seq if lane.sender.kept is not None else None

    def away(self) -> bool:
        """Whether the keeper failed to answer when it was last asked."""
        return self._failures > 0

    def lags(self) -> list[Lag]:
        """How each history stands, for pages and health."""
        now = self._clock.counter()
        with self._wake:
            lanes = list(self._lanes.items())
        return [self._lag(key, lane, now) for key, lane in lanes]

    def _lag(self, key: Key, lane: _Lane, now: int) -> Lag:
        sender = lane.sender
        ack = sender.ack
        paused = max(self._not_before, lane.rest_until, sender.wakes() if sender.failures else 0) - now
        failures = max(self._failures, sender.failures)
        return Lag(
            self.info.name,
            self.info.place,
            *key,
            kept=ack.seq if ack is not None else 0,
            behind=sender.behind,
            heard=lane.heard or (ack.time if ack is not None else ""),
            failures=failures,
            paused_ms=max(paused, 0) if failures else 0,
            why=lane.why,
            spoke=sender.last_heard > 0,
        )

    def close(self) -> None:
        """End the threads and write down what was acknowledged; twice does no harm."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for client in self._clients:
            client.close()
        for thread in self._threads:
            thread.join(JOIN_S)
        self._save(0)

    # --- behind the calls

    def _work(self, client: KeeperClient) -> None:
        while (lane := self._take()) is not None:
            try:
                self._send(lane, client)
            except OppetError as error:
                self._failed(lane, error)
            except Exception as error:  # our own mistake: told in the log, and this history waits
                LOG.exception("sending to keeper %s failed", self.info.name)
                lane.why = type(error).__name__
                lane.sender.failed(self._clock.counter(), secrets.randbelow(1000), pause_ms=LONGEST_PAUSE_MS)
            finally:
                with self._wake:
                    lane.busy = False
                    self._wake.notify()

    def _take(self) -> _Lane | None:
        """The next history with something to send; waits for one. None when we are closing."""
        with self._wake:
            while not self._closing:
                now = self._clock.counter()
                soonest = max(self._not_before, now + 1) if now < self._not_before else now + POLL_MS
                for key, lane in self._lanes.items() if now >= self._not_before else ():
                    due = POLL_MS + now if lane.busy else self._due(lane)
                    if due <= now:
                        lane.busy, lane.urgent = True, False
                        self._lanes.move_to_end(key)  # everybody's turn comes
                        return lane
                    soonest = min(soonest, due)
                self._wake.wait(min(soonest - now, POLL_MS) / 1000)
            return None

    def _due(self, lane: _Lane) -> int:
        sender = lane.sender
        if self._lazy():
            beat = lane.sent_at + BEAT_MS if sender.last_heard and not sender.failures else sender.wakes()
            return max(beat, lane.rest_until)
        due = max(sender.wakes(), lane.rest_until)
        if not lane.urgent and sender.kept is not None and sender.behind and not sender.failures:
            due = max(due, lane.sent_at + self._linger_ms)
        return due

    def _send(self, lane: _Lane, client: KeeperClient) -> None:
        sender = lane.sender
        before, began = sender.kept, self._clock.counter()
        batch = sender.inquire(began) if self._lazy() else sender.ask(began)
        if batch is None:
            lane.rest_until = began + POLL_MS  # nothing to send yet, such as entries that nobody has signed
            return
        lane.sent_at = began
        answer = client.batch(batch)
        now = self._clock.counter()
        self._failures = self._not_before = 0
        if answer.papers:
            self._listener.papers_came(self.info, answer.papers)
        news = sender.answered(answer, now)
        lane.why = ""
        if news.about == "stranger":
            self._introduce(lane, client)
        else:
            lane.introduced, lane.alarmed, lane.heard = False, "", utc_text(self._clock.now())
            self._progress(lane, before, batch.count)
            self._note(lane)
        self._listener.heard(self.info, sender.source, news, sender.ack, now - began)
        self._save(REMEMBER_MS)

    def _introduce(self, lane: _Lane, client: KeeperClient) -> None:
        """Show our papers, once; a keeper that still does not know us is left alone for a while."""
        source = lane.sender.source
        papers = () if lane.introduced else self._listener.papers_of(source.till, source.epoch)
        if not papers:
            lane.introduced, lane.why = False, "stranger"
            lane.sender.failed(self._clock.counter(), secrets.randbelow(1000), pause_ms=LONGEST_PAUSE_MS)
            return
        lane.introduced = True
        client.introduce(papers)

    def _progress(self, lane: _Lane, before: Head | None, sent: int) -> None:
        """A keeper that takes pieces and never gets further is not fed for ever."""
        kept = lane.sender.kept
        moved = kept is not None and (before is None or kept.seq > before.seq)
        lane.stuck = 0 if moved or not sent else lane.stuck + 1
        if lane.stuck >= STUCK:
            lane.stuck, lane.why = 0, "stuck"
            lane.sender.failed(self._clock.counter(), secrets.randbelow(1000), pause_ms=LONGEST_PAUSE_MS)

    def _failed(self, lane: _Lane, error: OppetError) -> None:
        now, spread = self._clock.counter(), secrets.randbelow(1000)
        lane.why = str(error)
        if isinstance(error, KeeperAwayError | TooFastError | WrongKeeperError):
            lane.sender.failed(now, spread)
            lane.sender.nudge()  # the keeper's pause holds for all its histories; this one has none of its own
            self._pause(now, spread, error)
            if self._on_away is not None:
                self._on_away()
        else:
            smaller = isinstance(error, BatchTooLargeError)
            pause = LONGEST_PAUSE_MS if isinstance(error, UntrustedError) else 0
            lane.sender.failed(now, spread, smaller=smaller, pause_ms=pause)
        cable = KeeperAwayError | TooFastError | BatchTooLargeError
        if not isinstance(error, cable) and lane.alarmed != str(error) and not self._closing:
            lane.alarmed = str(error)
            self._listener.alarm(self.info, lane.sender.source, error)

    def _pause(self, now: int, spread: int, error: OppetError) -> None:
        asked = error.facts.get("retry_after_s", 0) if isinstance(error, TooFastError) else 0
        with self._wake:
            self._failures += 1
            pause = min(FIRST_PAUSE_MS << min(self._failures - 1, 16), LONGEST_PAUSE_MS)
            least = asked * 1000 if isinstance(asked, int) else 0
            if isinstance(error, WrongKeeperError):
                least = LONGEST_PAUSE_MS
            self._not_before = now + max(pause // 2 + pause * spread // 2000, least)

    # --- what is remembered

    def _note(self, lane: _Lane) -> None:
        ack = lane.sender.ack
        if ack is None:
            return
        with self._wake:
            for key, known in self._lanes.items():
                if known is lane:
                    self._acks[_name(key)] = ack
                    self._unsaved = True

    def _save(self, at_most_every_ms: int) -> None:
        """Write the acknowledgements down, now and then. A disk that refuses costs a question after the restart."""
        now = self._clock.counter()
        if self._remember is None or not self._unsaved or now - self._saved_at < at_most_every_ms:
            return
        with self._saving:
            with self._wake:
                self._unsaved, self._saved_at = False, now
                data = msgspec.json.encode(self._acks)
            with contextlib.suppress(OppetError):
                files.write(self._remember, data)


def _never() -> bool:
    return False


def _name(key: Key) -> str:
    return f"{key[0]}/{key[1]}/{key[2]}"


def _remembered(path: Path | None) -> dict[str, Ack]:
    if path is None or not path.exists():
        return {}
    try:
        return msgspec.json.decode(files.read(path, MOST_REMEMBERED), type=dict[str, Ack])
    except (OppetError, msgspec.MsgspecError, ValueError):
        return {}  # it only saves a question


assert issubclass(ForgedAckError, UntrustedError), "a forged acknowledgement is alarmed and waits"
