"""A card terminal in the store: nexo over local HTTPS, sealed with the shared key, asked in its own threads so that no till ever waits.

`payments/nexo.py` says what is sent and what an answer means, `nexo_crypto.py` seals, `terminal_line.py` is the cable. This file decides
nothing about money: it has the exchange, and says `silent` for everything it cannot prove (PT5). One request at a time; an abort runs
beside. A probe looks at the terminal while nothing else does (PT8). Fields with a card's number are taken out in `nexo.py`; here the
alarm is kept for the till to journal (PT7). Nothing is logged.

Idle before every payment (R25): the terminal has said within half a minute that it is, or is asked; a busy one is `not_now`, and nothing
was sent. What could not be sent at all is `not_now` too. `not_found` is said only when the terminal could not have the request any more
(120 s, reference card-terminal §7) and has forgotten nothing: the probe's connection has stood since before the request, or it still knows
an earlier payment of ours, the witness.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from oppet.base.errors import UntrustedError
from oppet.drivers.clock import SystemClock
from oppet.drivers.terminal_line import NoAnswerError, NotSentError, Pin, TerminalLine
from oppet.drivers.terminal_notices import NoticePort
from oppet.payments import board, nexo
from oppet.payments.nexo import Ends, NotOurAnswerError, Opened, Reading, Standing
from oppet.payments.nexo_crypto import NONCE_BYTES, NexoKey, decrypt, encrypt, is_secured
from oppet.payments.paths import Answer, PathNow, PathWarning, Progress, Slip, Work
from oppet.payments.steps import MEMORY_MS
from oppet.payments.tender import (
    ABORT,
    APPROVED,
    DECLINED,
    IN_PROGRESS,
    NOT_FOUND,
    NOT_NOW,
    PAYMENT,
    REFUND,
    REVERSAL,
    SILENT,
    STATUS,
)

__all__ = ["NexoTerminal"]

K = TypeVar("K")
V = TypeVar("V")
MOST_WAITING = 1_000  # exchanges handed over and not had yet
MOST_REMEMBERED = 50  # of anything else
IDLE_MS = 30_000  # how long a terminal's word that it is idle is believed
ALARM_MS = 3_600_000  # the same alarm is raised once an hour
BEAT_S = 0.25  # how often the probe looks whether it is its turn
_HEARD_NOT_DONE = frozenset({nexo.BUSY, "LoggedOut", "MessageFormat"})
_LINE_AWAY = frozenset({"UnreachableHost", "UnavailableService", "UnavailableDevice", "DeviceOut"})


class Clock(Protocol):
    def now(self) -> int: ...

    def counter(self) -> int: ...


class _Silence(Exception):  # noqa: N818 - a way out of an exchange, not a fault
    """An exchange came to nothing that counts. `sent`: the terminal may have got it."""

    def __init__(self, why: str, *, sent: bool, empty: bool = False) -> None:
        super().__init__(why)
        self.why, self.sent, self.empty = why, sent, empty


class NexoTerminal:
    """A `PayPath`. `close` ends its threads and whatever they wait for."""

    means = "card"
    idempotent = False
    exclusive = True
    by_hand = False

    def __init__(
        self,
        *,
        name: str,
        till: str,
        host: str,
        poi: str,
        key: NexoKey,
        pin: str = "",
        root: Path | None = None,
        environment: str = "",
        port: int = 8443,
        path: str = "/nexo",
        offline: bool = True,
        login: bool = False,
        payment_timeout_s: float = 150.0,
        timeout_s: float = 10.0,
        connect_s: float = 3.0,
        notices_port: int | None = None,
        probe: bool = True,
        tempo: board.Tempo | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Begin to look after the terminal at `host`.

        `name`: of the path, as in the settings. `till`: the till's name in its store and chain, e.g. "S01-K3": the SaleID.
        `poi`: the terminal's POIID, model and serial number. `key`: `nexo_crypto.derive(key_id, key_version, passphrase)`.
        `pin`, `root`, `environment`: see `terminal_line.Pin`. `offline`: the chain's agreement lets this terminal approve alone.
        `login`: this vendor's terminals want a Login first. `notices_port`: where display notifications come to, on this machine; 0 for
        any. Raises SettingsError for a pin that cannot be, and PortTakenError.
        """
        self.name = name
        self.bell: Callable[[], None] = _nobody  # rung for every answer
        self._ends = Ends(till, poi)
        self._address = host, port
        self._path = path
        self._key = key
        self._pin = Pin(poi, digest=pin, root=root, environment=environment)
        self._offline = offline
        self._login = login
        self._payment_s, self._short_s, self._connect_s = payment_timeout_s, timeout_s, connect_s
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()  # over everything below that several threads touch
        self._health = board.PathHealth(f"{name}/{till}/{poi}", tempo)
        self._shown = PathNow("unknown")
        self._answers: deque[Answer] = deque()
        self._alarms: deque[PathWarning] = deque(maxlen=MOST_REMEMBERED)
        self._rung: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._slips: OrderedDict[str, tuple[Slip, ...]] = OrderedDict()
        self._progress: OrderedDict[str, Progress] = OrderedDict()
        self._sent_at: OrderedDict[str, int] = OrderedDict()  # request → the counter when it went out, in this run
        self._card_seen: OrderedDict[str, bool] = OrderedDict()
        self._running = ""  # the payment the terminal is at
        self._idle_at: int | None = None  # when it last said, or showed, that it is idle
        self._host_at: int | None = None  # when it last reached its acquirer; None when it last did not
        self._logged_in = False
        self._own = 0  # the last of the driver's own ServiceIDs
        self._lines: set[TerminalLine] = set()
        self._probing = threading.Lock()  # one at the probe's line
        self._probe_line: TerminalLine | None = None
        self._probe_since = 0  # when the probe's line was opened
        self._closed = threading.Event()
        self._services: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._aborts: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads: dict[str, threading.Thread] = {}
        self._notices = NoticePort(notices_port, self.notified) if notices_port is not None else None
        self.notices_url = f"http://127.0.0.1:{self._notices.port}/" if self._notices is not None else ""
        self._begin("service", lambda: self._have(self._services))
        self._begin("abort", lambda: self._have(self._aborts))
        if probe:
            self._begin("probe", self._keep_looking)

    # --- the port

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return nexo.service_of(till, epoch, number)

    def send(self, work: Work) -> None:
        doing = "asking" if work.what == STATUS else "reversing" if work.what == REVERSAL else "sending"
        with self._lock:
            _keep(self._progress, work.request, Progress(doing, since=self._clock.now()))
        aborts = work.what == ABORT
        waiting, name = (self._aborts, "abort") if aborts else (self._services, "service")
        if self._closed.is_set() or waiting.qsize() >= MOST_WAITING:
            self._say(work, Reading(SILENT, why="closed"))
            return
        waiting.put(work)
        if not self._threads[name].is_alive():  # our own mistake ended it; the next exchange is had all the same
            self._begin(name, lambda: self._have(waiting))

    def heard(self) -> Sequence[Answer]:
        with self._lock:
            found = list(self._answers)
            self._answers.clear()
        return found

    def progress(self, request: str) -> Progress | None:
        with self._lock:
            return self._progress.get(request)

    def now(self) -> PathNow:
        with self._lock:
            if not self._running:  # while a payment runs nobody probes, and what was known stands
                self._shown = self._health.now(self._clock.counter())
            return self._shown

    # --- more than the port asks

    def warnings(self) -> Sequence[PathWarning]:
        """What a bad cable does not explain, since last asked."""
        with self._lock:
            found = list(self._alarms)
            self._alarms.clear()
        return found

    def slips(self, request: str) -> tuple[Slip, ...]:
        """The terminal's receipts of a payment, while they are remembered."""
        with self._lock:
            return self._slips.get(request, ())

    def notified(self, data: bytes) -> bool:
        """Take a display notification as it came from the terminal; whether it was one. Progress, and nothing else."""
        try:
            notice = nexo.open_notice(decrypt(data[: 1 << 16], self._key), self._ends)
        except UntrustedError:
            return False
        with self._lock:
            if notice is not None and self._running in self._progress:
                since = self._progress[self._running].since
                self._progress[self._running] = Progress(notice.stage, since=since)
                if notice.card:
                    _keep(self._card_seen, self._running, True)
        return True

    def close(self) -> None:
        """End every exchange; nothing is sent any more."""
        self._closed.set()
        if self._notices is not None:
            self._notices.close()
        self._services.put(None)
        self._aborts.put(None)
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.interrupt()
        for thread in self._threads.values():
            thread.join(self._connect_s + 1.0)
        self._drop_probe()

    # --- the threads

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=f"{self.name}-{name}", daemon=True)
        self._threads[name] = thread
        thread.start()

    def _have(self, waiting: queue.SimpleQueue[Work | None]) -> None:
        while (work := waiting.get()) is not None and not self._closed.is_set():
            reading = Reading(SILENT, why="driver")
            try:
                reading = self._exchange(work)
            finally:
                self._say(work, reading)

    def _say(self, work: Work, reading: Reading) -> None:
        with self._lock:
            if reading.slips:
                _keep(self._slips, work.about if work.what == STATUS else work.request, reading.slips)
            self._answers.append(
                Answer(
                    work.sale, work.tender, work.what, work.request, reading.outcome, reading.amount_ore, reading.why, reading.evidence
                )
            )  # fmt: skip
        self.bell()

    def _keep_looking(self) -> None:
        while not self._closed.wait(BEAT_S):
            with self._lock:
                at = self._clock.counter()
                due = not self._running and self._health.next_probe_ms(at) == 0
                if due:
                    self._health.tried(at)
            if due:
                self._look()

    # --- exchanges

    def _exchange(self, work: Work) -> Reading:
        at = self._clock.counter()
        if work.what in (PAYMENT, REFUND):
            reading = self._pay(work)
        elif work.what == REVERSAL:
            reading = self._reverse(work)
        elif work.what == STATUS:
            reading = self._ask_after(work)
        else:
            return self._stop(work)
        now = self._clock.counter()
        with self._lock:
            self._health.answered(_how_it_went(reading), now - at, now, reading.why)
        return reading

    def _pay(self, work: Work) -> Reading:
        """A payment or refund, on a terminal that is known to be idle."""
        not_ready = self._make_ready()
        if not_ready:
            return Reading(NOT_NOW, why=not_ready)
        probing = self._probing.acquire(timeout=1.0)  # a probe under way ends first, unless it is slow
        with self._lock:
            self._running = work.request
            self._idle_at = None
        if probing:
            self._probing.release()
        try:
            opened = self._ask(
                "Payment", work.request, nexo.payment(self._ends, work), self._payment_s, stage="present_card"
            )
            reading = nexo.read_payment(opened, self._ends, work, card_seen=self._card_seen.get(work.request, False))
        except _Silence as silence:
            return Reading(SILENT if silence.sent else NOT_NOW, why=silence.why)
        finally:
            with self._lock:
                self._running = ""
        with self._lock:
            self._idle_at = None if reading.why == nexo.BUSY else self._clock.counter()
        if reading.why == "LoggedOut":
            self._logged_in = False
        return reading

    def _make_ready(self) -> str:
        """What keeps the terminal from taking a payment now; "" for nothing (R25)."""
        with self._lock:
            idle = self._idle_at is not None and self._clock.counter() - self._idle_at <= IDLE_MS
        if not idle:
            standing = self._look(host=False)
            if not standing.ok or standing.busy:
                return nexo.BUSY if standing.busy else standing.why
        if self._login and not self._logged_in:
            service = self._own_service()
            try:
                opened = self._ask("Login", service, nexo.login(self._ends, service, self._clock.now()), self._short_s)
            except _Silence as silence:
                return silence.why
            self._logged_in = nexo.read_login(opened)
            return "" if self._logged_in else "LoggedOut"
        return ""

    def _reverse(self, work: Work) -> Reading:
        if work.original is None or not work.original.reference:
            return Reading(DECLINED, why="no_reference")  # nobody could name the payment: a person must
        try:
            opened = self._ask("Reversal", work.request, nexo.reversal(self._ends, work), self._short_s)
        except _Silence as silence:
            return Reading(SILENT if silence.sent else NOT_NOW, why=silence.why)
        return nexo.read_reversal(opened, work)

    def _ask_after(self, work: Work) -> Reading:
        with self._lock:
            asked = self._sent_at.get(work.about)
            host_up = self._host_at is not None and (asked is None or self._host_at > asked)
            card_seen = self._card_seen.get(work.about, False)
        message = nexo.status(self._ends, work.request, work.about, reverses=work.reverses)
        try:
            opened = self._ask("TransactionStatus", work.request, message, self._short_s)
        except _Silence as silence:
            return Reading(SILENT, why=silence.why)
        reading = nexo.read_status(opened, self._ends, work, host_up=host_up, card_seen=card_seen)
        if reading.outcome == NOT_FOUND and reading.why == "not_found" and not self._conclusive(work):
            return Reading(IN_PROGRESS, why="not_found")
        return reading

    def _conclusive(self, work: Work) -> bool:
        """Whether a terminal that knows nothing of a request proves that it never had it (reference §7.4)."""
        with self._lock:
            sent = self._sent_at.get(work.about)
        age = self._clock.counter() - sent if sent is not None else self._clock.now() - work.asked
        if age < MEMORY_MS:
            return False
        if sent is not None and self._look(host=False).ok and 0 < self._probe_since <= sent:
            return True  # the connection has stood since before: it was not switched off, and it is the same terminal
        if not work.witness or work.witness == work.about:
            return False
        service = self._own_service()
        try:
            opened = self._ask(
                "TransactionStatus", service, nexo.status(self._ends, service, work.witness), self._short_s
            )
        except _Silence:
            return False
        return nexo.knows(opened, self._ends, work.witness)

    def _stop(self, work: Work) -> Reading:
        """An abort. What comes back proves nothing either way."""
        try:
            self._ask("Abort", work.request, nexo.abort(self._ends, work), self._short_s)
        except _Silence as silence:
            return Reading(APPROVED if silence.empty else SILENT, why="" if silence.empty else silence.why)
        return Reading(APPROVED)

    def _ask(self, category: str, service: str, message: bytes, timeout_s: float, stage: str = "") -> Opened:
        """One exchange on a connection of its own. Raises _Silence."""
        try:
            line = self._open()
        except NotSentError as error:
            raise self._nothing(str(error.facts["why"]), sent=False) from None
        try:
            with self._lock:
                _keep(self._sent_at, service, self._clock.counter())
                if stage and service in self._progress:
                    self._progress[service] = Progress(stage, since=self._progress[service].since)
            return self._had(line, category, service, message, timeout_s)
        finally:
            with self._lock:
                self._lines.discard(line)
            line.close()

    def _had(self, line: TerminalLine, category: str, service: str, message: bytes, timeout_s: float) -> Opened:
        try:
            status, data = line.exchange(
                self._path, encrypt(message, self._key, secrets.token_bytes(NONCE_BYTES)), timeout_s
            )
        except NoAnswerError as error:
            raise self._nothing(str(error.facts["why"]), sent=True) from None
        if status not in (200, 204):
            raise _Silence(f"http_{status}", sent=True)
        if not data:
            raise _Silence("empty", sent=True, empty=True)
        try:
            opened = nexo.open_answer(decrypt(data, self._key), self._ends, service, category)
        except NotOurAnswerError as error:
            raise self._nothing(f"other_{error.facts['why']}", sent=True, alarm="terminal_forged") from None
        except UntrustedError:
            if not is_secured(data):
                raise _Silence("unencrypted", sent=True) from None
            raise self._nothing("forged", sent=True, alarm="terminal_forged") from None
        for found in opened.found:
            self._ring("terminal_card_data", found)
        return opened

    def _nothing(self, why: str, *, sent: bool, alarm: str = "") -> _Silence:
        if why == "certificate":
            alarm = "terminal_certificate"
        if alarm:
            self._ring(alarm, why)
        return _Silence(why, sent=sent)

    def _open(self) -> TerminalLine:
        """Raises NotSentError."""
        if self._closed.is_set():
            raise NotSentError(why="closed")
        line = TerminalLine(*self._address, self._pin, self._connect_s)
        with self._lock:
            self._lines.add(line)
        if self._closed.is_set():
            line.interrupt()
        return line

    def _ring(self, about: str, why: str) -> None:
        at = self._clock.counter()
        with self._lock:
            last = self._rung.get((about, why))
            if last is None or at - last >= ALARM_MS:
                _keep(self._rung, (about, why), at)
                self._alarms.append(PathWarning(about, self.name, why))

    def _own_service(self) -> str:
        with self._lock:
            self._own = max(self._own + 1, self._clock.now())
            return nexo.own_service(self._own)

    # --- looking

    def _look(self, *, host: bool = True) -> Standing:
        """Ask the terminal how it stands, on the probe's own connection, and remember."""
        at = self._clock.counter()
        with self._probing:
            standing = self._diagnose(host=host)
        now = self._clock.counter()
        with self._lock:
            if standing.ok and not standing.busy and not self._running:
                self._idle_at = now
            if host:
                self._host_at = now if standing.host else None
                self._health.probed(standing.host, now - at, now, standing.why, self._offline and standing.ok)
            elif not standing.ok:
                self._health.probed(False, now - at, now, standing.why)
        return standing

    def _diagnose(self, *, host: bool) -> Standing:
        service = self._own_service()
        message = nexo.diagnosis(self._ends, service, host=host)
        kept, why = self._probe_line is not None and self._probe_line.well, ""
        for fresh in (False, True) if kept else (True,):
            try:
                if fresh:
                    self._drop_probe()
                    self._probe_line, self._probe_since = self._open(), self._clock.counter()
                assert self._probe_line is not None, "it was kept, or is fresh"
                return nexo.read_diagnosis(self._had(self._probe_line, "Diagnosis", service, message, self._short_s))
            except NotSentError as error:
                why = self._nothing(str(error.facts["why"]), sent=False).why
            except _Silence as silence:
                why = silence.why
            if why not in ("hung_up", "unreadable"):
                break  # only a connection that somebody has closed is tried anew: a question may be asked twice
        self._drop_probe()
        return Standing(False, why=why)

    def _drop_probe(self) -> None:
        line, self._probe_line, self._probe_since = self._probe_line, None, 0
        if line is not None:
            with self._lock:
                self._lines.discard(line)
            line.close()


def _nobody() -> None:
    """Nobody waits for the bell."""


def _how_it_went(reading: Reading) -> str:
    """For the board: whether terminal and acquirer answered, whatever they said about the money."""
    if reading.why in _LINE_AWAY:
        return board.REFUSED
    if reading.outcome == SILENT or (reading.outcome == NOT_NOW and reading.why not in _HEARD_NOT_DONE):
        return board.SILENT
    return board.ANSWERED


def _keep(memory: OrderedDict[K, V], name: K, value: V) -> None:
    """Remember one more, and forget the oldest above the bound."""
    memory[name] = value
    while len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
