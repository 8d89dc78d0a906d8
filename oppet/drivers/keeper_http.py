"""A keeper behind HTTP: bounds everything, hands batches to `sync/keeper.py`, and says no in so many words.

Raw ASGI, for speed. What one process may be made to hold, whatever comes in:
`buffered_bytes` of bodies on their way in (64 MB; one address half of it), a queue of `waiting` bodies for `workers` threads, and
for each thread one batch unpacked (16 MB, some four times that while it is read). A body that drips is cut off, a sender that is too
fast is told when to come back, and a guess at a code costs 50 ms on one thread. Keeps K2 (bounds) of docs/rules-sync.md.
Whether bytes are believed is the keeper's decision; what an alarm is, the error's family says: `UntrustedError` is one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from oppet.base.errors import OppetError, RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.sync.enrolment import ENROL_PATH, Enrolled, Request
from oppet.sync.errors import BatchTooLargeError, TooFastError
from oppet.sync.keeper import Alarm
from oppet.sync.lanes import LANE_PATH, Signed
from oppet.sync.messages import (
    BATCH_PATH,
    INTRODUCE_PATH,
    LARGEST_BATCH,
    WHO_PATH,
    Answer,
    Batch,
    KeeperInfo,
    Paper,
    decode_batch,
)

__all__ = ["Counts", "Doors", "KeeperApp", "KeeperBusyError", "Limits", "MessageMalformedError", "TooSlowError"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

LARGEST_INTRODUCTION = 1 << 20
MOST_INTRODUCED = 400
LARGEST_REQUEST = 16 << 10  # of an enrolment or a lane's question
SMALL_BODY = 64 << 10  # a sale's batch: it may use the last quarter of the memory
MOST_BUCKETS = 50_000
ALARM_EVERY_S = 60.0
_log = logging.getLogger("oppet.keeper")


class TooSlowError(UnavailableError):
    sentence = N_("What was sent came too slowly: {bytes} bytes in {seconds} seconds. Send it again.")


class KeeperBusyError(UnavailableError):
    sentence = N_("This keeper has more to do than it takes. Send again in {retry_after_s} seconds.")


class MessageMalformedError(RefusedError):
    sentence = N_("This request cannot be read: {why}.")


class NoSuchDoorError(RefusedError):
    sentence = N_("There is nothing at this address.")


class WrongMethodError(RefusedError):
    sentence = N_("This address takes {method} only.")


class OwnMistakeError(UnavailableError):
    sentence = N_("This keeper made a mistake of its own; it is noted. Nothing of the request was kept.")


class Taker(Protocol):
    """A keeper, or what a place puts before one to notice who was heard."""

    def take(self, batch: Batch) -> tuple[Answer, int]:
        """The answer, and how many entries were new. Called in a thread."""
        ...


class Doors(Protocol):
    """What a place does behind the same port besides keeping. All of it is called in a thread of its own."""

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        """Believe papers; say how many were new. Raises BadCertificateError."""
        ...

    def enrol(self, request: Request) -> Enrolled:
        """Raises BadCodeError, CodeSpentError."""
        ...

    def lane(self, signed: Signed) -> Signed: ...

    def who(self) -> KeeperInfo: ...

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        """What goes down with the next answer to this till. Called on the loop: quick."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    body_s: float = 30.0  # for a whole body, whatever its pace
    grace_s: float = 5.0  # before its pace counts
    slowest_bytes_s: int = 4096
    buffered_bytes: int = 64 << 20
    peer_bytes: int = 32 << 20
    waiting: int = 256
    workers: int = 4
    stream_rate: float = 200.0  # batches a second of one till's epoch from one address
    stream_burst: float = 1000.0
    peer_rate: float = 4000.0  # requests a second from one address: a store's relay, or a chain behind one router
    peer_burst: float = 8000.0
    enrol_rate: float = 0.5
    enrol_burst: float = 20.0


@dataclass(slots=True)
class Counts:
    """Plain numbers for health and metrics; written on the loop alone."""

    requests: int = 0
    accepted: int = 0  # batches with something new
    entries: int = 0  # that were new
    repeated: int = 0  # batches whose entries were all here
    asked: int = 0  # empty ones
    behind: int = 0
    strangers: int = 0
    alarms: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by leaf


STATUS: dict[type[OppetError], int] = {
    BatchTooLargeError: 413,
    TooFastError: 429,
    TooSlowError: 408,
    NoSuchDoorError: 404,
    WrongMethodError: 405,
    OwnMistakeError: 500,
}


class KeeperApp:
    """The ASGI application. `close` when the server has stopped."""

    def __init__(self, keeper: Taker, doors: Doors, alarm: Alarm | None = None, limits: Limits | None = None) -> None:
        self.counts = Counts()
        self._keeper = keeper
        self._doors = doors
        self._limits = limits = limits or Limits()
        self._alarm = _Bell(alarm)
        self._memory = _Memory(limits)
        self._streams = _Buckets(limits.stream_rate, limits.stream_burst)
        self._peers = _Buckets(limits.peer_rate, limits.peer_burst)
        self._enrolling = _Buckets(limits.enrol_rate, limits.enrol_burst)
        self._pool = ThreadPoolExecutor(limits.workers, "keeper")
        self._side = ThreadPoolExecutor(2, "doors")  # a guess at a code or a long introduction holds up no batch
        self._busy = 0
        self._routes: dict[str, Callable[[Scope, Receive, str], Awaitable[object]]] = {
            BATCH_PATH: self._batch,
            INTRODUCE_PATH: self._introduce,
            ENROL_PATH: self._enrol,
            LANE_PATH: self._lane,
        }

    def close(self) -> None:
        """End the threads. Twice does no harm."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._side.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        counts = self.counts
        counts.requests += 1
        try:
            answer = await self._answered(scope, receive)
        except _GoneError:
            return
        except OppetError as error:
            counts.refused[type(error).__name__] += 1
            await _say_no(scope, send, error)
            return
        except Exception:  # noqa: BLE001 - the last line before a stranger: said as our own mistake, without its inside
            _log.exception("our own mistake behind %s", scope["path"][:80])
            counts.refused["OwnMistakeError"] += 1
            await _say_no(scope, send, OwnMistakeError())
            return
        await _reply(send, 200, msgspec.json.encode(answer))

    async def _answered(self, scope: Scope, receive: Receive) -> object:
        peer = scope["client"][0] if scope.get("client") else "?"
        self._peers.take(peer)
        asking = scope["path"] == WHO_PATH
        handle = self._routes.get(scope["path"])
        if handle is None and not asking:
            raise NoSuchDoorError
        method = "GET" if asking else "POST"
        if scope["method"] != method:
            raise WrongMethodError(method=method)
        return self._doors.who() if handle is None else await handle(scope, receive, peer)

    async def _batch(self, scope: Scope, receive: Receive, peer: str) -> Answer:
        with self._memory.held(peer) as held:
            data = await self._body(scope, receive, LARGEST_BATCH, held)
            batch = decode_batch(data)
            del data
            self._streams.take(f"{peer} {batch.till} {batch.epoch}")
            answer, new = await self._in_thread(self._pool, lambda: self._taken(batch, peer))
        counts = self.counts
        if answer.status == "stranger":
            counts.strangers += 1
            return answer
        if not batch.count:
            counts.asked += 1
        elif new:
            counts.accepted += 1
            counts.entries += new
        elif answer.status == "kept":
            counts.repeated += 1
        counts.behind += answer.status == "behind"
        papers = self._doors.papers_down(batch.till, batch.epoch)
        return msgspec.structs.replace(answer, papers=answer.papers + papers) if papers else answer

    def _taken(self, batch: Batch, peer: str) -> tuple[Answer, int]:
        try:
            return self._keeper.take(batch)
        except UntrustedError as error:
            self._attack(error, peer, f"{batch.till} {batch.epoch}")
            raise

    async def _introduce(self, scope: Scope, receive: Receive, peer: str) -> dict[str, int]:
        with self._memory.held(peer) as held:
            papers = await self._read(scope, receive, LARGEST_INTRODUCTION, tuple[Paper, ...], held)
            if len(papers) > MOST_INTRODUCED:
                raise MessageMalformedError(why=f"more than {MOST_INTRODUCED} papers at once")
            return {"new": await self._in_thread(self._side, lambda: self._introduced(papers, peer))}

    def _introduced(self, papers: tuple[Paper, ...], peer: str) -> int:
        try:
            return self._doors.introduce(papers)
        except UntrustedError as error:
            self._attack(error, peer, "papers")
            raise

    async def _enrol(self, scope: Scope, receive: Receive, peer: str) -> Enrolled:
        self._enrolling.take(peer)
        with self._memory.held(peer) as held:
            request = await self._read(scope, receive, LARGEST_REQUEST, Request, held)
            return await self._in_thread(self._side, lambda: self._doors.enrol(request))

    async def _lane(self, scope: Scope, receive: Receive, peer: str) -> Signed:
        self._streams.take(f"{peer} lane")
        with self._memory.held(peer) as held:
            signed = await self._read(scope, receive, LARGEST_REQUEST, Signed, held)
            return await self._in_thread(self._side, lambda: self._asked(signed, peer))

    def _asked(self, signed: Signed, peer: str) -> Signed:
        try:
            return self._doors.lane(signed)
        except UntrustedError as error:
            self._attack(error, peer, "lane")
            raise

    def _attack(self, error: UntrustedError, peer: str, about: str) -> None:
        self.counts.alarms += 1
        self._alarm.ring(type(error).__name__, about, peer=peer, **error.facts)

    # --- bodies ---------------------------------------------------------------------------------------------------

    async def _read(self, scope: Scope, receive: Receive, largest: int, what: type[T], held: _Held) -> T:
        data = await self._body(scope, receive, largest, held)
        try:
            return msgspec.json.decode(data, type=what)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MessageMalformedError(why=str(error)) from None

    async def _body(self, scope: Scope, receive: Receive, largest: int, held: _Held) -> bytes:
        """The whole body, bounded in bytes, time and pace. Raises BatchTooLargeError, TooSlowError, KeeperBusyError."""
        declared = _declared(scope)
        if declared > largest:
            raise BatchTooLargeError(bytes=declared, largest=largest)
        limits, loop = self._limits, asyncio.get_running_loop()
        began, size, parts = loop.time(), 0, list[bytes]()
        try:
            async with asyncio.timeout_at(began + limits.grace_s) as patience:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size > largest:
                        raise BatchTooLargeError(bytes=size, largest=largest)
                    held.take(len(part), small=declared <= SMALL_BODY and size <= SMALL_BODY)
                    parts.append(part)
                    patience.reschedule(began + min(limits.body_s, limits.grace_s + size / limits.slowest_bytes_s))
        except TimeoutError:
            raise TooSlowError(bytes=size, seconds=round(loop.time() - began)) from None
        scope["oppet.read"] = True  # the connection can go on
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._busy >= self._limits.waiting:
            raise KeeperBusyError(retry_after_s=1)
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._busy -= 1


class _GoneError(Exception):
    """The other end left before it had said everything: nobody is there to be answered."""


class _Memory:
    """How many bytes of bodies are held, in all and for each address. On the loop alone."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.total = 0
        self.peers: Counter[str] = Counter()

    def held(self, peer: str) -> _Held:
        return _Held(self, peer)

    def take(self, peer: str, size: int, *, small: bool) -> None:
        limits = self._limits
        most = limits.buffered_bytes if small else limits.buffered_bytes * 3 // 4
        if self.total + size > most or self.peers[peer] + size > limits.peer_bytes:
            raise KeeperBusyError(retry_after_s=1)
        self.total += size
        self.peers[peer] += size

    def give(self, peer: str, size: int) -> None:
        self.total -= size
        self.peers[peer] -= size
        if not self.peers[peer]:
            del self.peers[peer]


class _Held:
    """One body's part of the memory, given back when the request is over."""

    __slots__ = ("_memory", "_peer", "_size")

    def __init__(self, memory: _Memory, peer: str) -> None:
        self._memory, self._peer, self._size = memory, peer, 0

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.give(self._peer, self._size)

    def take(self, size: int, *, small: bool) -> None:
        self._memory.take(self._peer, size, small=small)
        self._size += size


class _Buckets:
    """A token bucket for each name; the one not asked for longest is forgotten first, and is full again then."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Raises TooFastError."""
        now = time.monotonic()
        left, since = self._left.get(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        if left < 1:
            raise TooFastError(retry_after_s=max(1, round((1 - left) / self._rate)))
        self._left[name] = (left - 1, now)
        self._left.move_to_end(name)
        if len(self._left) > MOST_BUCKETS:
            self._left.popitem(last=False)


class _Bell:
    """Alarms once a minute for the same thing from the same place, with how often it came: an attacker writes no novels."""

    def __init__(self, alarm: Alarm | None) -> None:
        self._alarm = alarm
        self._rung: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()
        self._guard = threading.Lock()

    def ring(self, about: str, what: str, *, peer: str, **facts: object) -> None:
        now, name = time.monotonic(), (about, what, peer)
        with self._guard:
            since, times = self._rung.get(name, (-ALARM_EVERY_S, 0))
            if now - since < ALARM_EVERY_S:
                self._rung[name] = (since, times + 1)
                return
            self._rung[name] = (now, 0)
            self._rung.move_to_end(name)
            if len(self._rung) > MOST_BUCKETS:
                self._rung.popitem(last=False)
        if self._alarm is not None:
            more = {"times_before": times} if times else {}
            self._alarm(about, peer=peer, **more, **facts)


# --- HTTP ---------------------------------------------------------------------------------------------------------


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 0
    return 0


async def _say_no(scope: Scope, send: Send, error: OppetError) -> None:
    family = 403 if isinstance(error, UntrustedError) else 503 if isinstance(error, UnavailableError) else 400
    status = STATUS.get(type(error), family)
    headers = [] if "oppet.read" in scope else [(b"connection", b"close")]  # what is left of a body is not waited for
    if status in {429, 503}:
        headers.append((b"retry-after", str(error.facts.get("retry_after_s", 5)).encode()))
    if status == 405:
        headers.append((b"allow", str(error.facts["method"]).encode()))
    said = {"error": type(error).__name__, "sentence": str(error), "facts": error.facts}
    await _reply(send, status, msgspec.json.encode(said, enc_hook=str), headers)


async def _reply(send: Send, status: int, body: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *(more or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
