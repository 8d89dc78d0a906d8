"""The store node's Swish desk: it alone holds the certificate, and calls Swish for the store's tills.

A till's question is answered at once: with what its call came to, or with "working". Calls run on a few threads, each for seconds at
most, so a Swish that hangs holds up no till and none of the node's other rulings; while Swish is down nothing is called but one try
after each pause. An answer that is about something else is an alarm and counts for nothing (PT5). Of what Swish says, tills get the
white list of `payments/swish.py` and no more: a payer's number and name end here (law 7).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from oppet.base.errors import OppetError
from oppet.drivers.clock import SystemClock
from oppet.drivers.swish_client import Reply, SwishAwayError, SwishCertificateError, SwishClient, SwishSilentError, Way
from oppet.payments import swish
from oppet.payments.board import ANSWERED, REFUSED, SILENT, PathHealth, Tempo
from oppet.payments.paths import WORKING, PathNow
from oppet.payments.swish import Expected, Seen, Verdict
from oppet.payments.tender import DECLINED
from oppet.sync.keeper import Alarm
from oppet.sync.lanes import AskSwish

__all__ = ["SwishDesk", "SwishSettings", "WaySettings", "open_desk"]

LOG = logging.getLogger("oppet.swish")

WORKERS = 8
MOST_RUNNING = 48  # calls under way or waiting for a thread
MOST_KEPT = 2_000  # of calls that are done, and of tokens
KEEP_S = 120.0
MOST_ALARMS_S = 60.0  # the same alarm once a minute
NOBODY = "00000000000050008000000000000000"  # a request that nobody made: what a probe asks about
WARN_DAYS = 30  # before the last certificate ends
WARN_AGAIN_S = 86_400.0
TEMPO = Tempo(slow_exchange_ms=2_000)  # one call: no customer is in it
PRODUCTION = "https://cpc.getswish.net/swish-cpcapi/api/"

FileName = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Url = Annotated[str, Meta(max_length=200, pattern=r"^https://[A-Za-z0-9.:\[\]-]+(/[!-~]*)?\Z")]
Address = Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9.:\[\]-]*\Z")]


class WaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Url = PRODUCTION
    source: Address = ""
    proxy: Annotated[str, Meta(max_length=100, pattern=r"^([A-Za-z0-9.-]+:[0-9]{1,5})?\Z")] = ""


class SwishSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part `swish` of a store node's settings."""

    payee: Annotated[str, Meta(pattern=swish.PAYEE)]
    certificates: Annotated[tuple[FileName, ...], Meta(min_length=1, max_length=2)]
    authorities: Annotated[str, Meta(max_length=4096)] = ""
    ways: Annotated[tuple[WaySettings, ...], Meta(min_length=1, max_length=4)] = (WaySettings(),)
    callback_url: Url = "https://swish.invalid/callback"  # Swish wants one; nothing here needs it to be reached
    message: Annotated[str, Meta(max_length=30)] = ""
    timeout_ms: Annotated[int, Meta(ge=200, le=10_000)] = 4_000


class Calls(Protocol):
    """What a desk needs of `swish_client.SwishClient`."""

    def create(self, request: str, body: bytes) -> Reply: ...

    def see(self, request: str) -> Reply: ...

    def cancel(self, request: str) -> Reply: ...

    def refund(self, request: str, body: bytes) -> Reply: ...

    def see_refund(self, request: str) -> Reply: ...

    def certificate_days(self) -> int: ...

    def way(self) -> int: ...

    def close(self) -> None: ...


class _Job:
    """One call of one till: under way, or what it came to."""

    __slots__ = ("began", "verdict")

    def __init__(self, began: float) -> None:
        self.began = began
        self.verdict: Verdict | None = None


class SwishDesk:
    """`ask` may come from any thread and never waits; `close` ends the threads."""

    def __init__(
        self,
        *,
        client: Calls,
        settings: SwishSettings,
        name: str,
        alarm: Alarm,
        clock: SystemClock | None = None,
        tempo: Tempo | None = None,
        probing: bool = True,
    ) -> None:
        """`name` is the node's; `alarm` writes into its journal. `probing`: whether it looks at Swish by itself."""
        self._client, self._settings, self._alarm = client, settings, alarm
        self._clock = clock or SystemClock()
        self._guard = threading.Lock()
        self._health = PathHealth(f"swish {name}", tempo or TEMPO)
        self._jobs: OrderedDict[tuple[str, int, str, str, int], _Job] = OrderedDict()
        self._running = 0
        self._tokens: OrderedDict[str, str] = OrderedDict()
        self._rung: dict[str, float] = {}
        self._warned: float | None = None
        self._pool = ThreadPoolExecutor(WORKERS, "swish")
        self._closing = threading.Event()
        self._prober = threading.Thread(target=self._probe, name="swish-probe", daemon=True)
        if probing:
            self._prober.start()

    def close(self) -> None:
        """Nothing new is called; what is under way ends by its own deadline. Twice does no harm."""
        self._closing.set()
        self._client.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._prober.is_alive():
            self._prober.join(15)

    # --- what tills ask

    def ask(self, till: str, epoch: int, ask: AskSwish) -> Verdict:
        """What a till's call came to so far."""
        if ask.what == "board":
            return self._with_board(Verdict("board"))
        key = (till, epoch, ask.what, ask.request, ask.call)
        with self._guard:
            job = self._jobs.get(key)
            if job is None:
                refusal = self._refusal()
                if refusal is not None:
                    return self._with_board(refusal, held=True)
                job = self._begun(key, ask)
            return self._with_board(job.verdict or Verdict("working"), held=True)

    def now(self) -> PathNow:
        """How Swish stands, for the node's own pages."""
        with self._guard:
            return self._standing()

    # --- calls under way

    def _refusal(self) -> Verdict | None:
        """Why nothing is called now; nothing was sent then."""
        if self._closing.is_set():
            return Verdict("away", "away")
        if self._running >= MOST_RUNNING:
            return Verdict("away", "busy")
        if not self._health.may_try(self._ms()):
            return Verdict("away", self._health.now(self._ms()).why or "away")
        return None

    def _begun(self, key: tuple[str, int, str, str, int], ask: AskSwish) -> _Job:
        now = time.monotonic()
        while self._jobs and (len(self._jobs) >= MOST_KEPT or now - next(iter(self._jobs.values())).began > KEEP_S):
            self._jobs.popitem(last=False)
        job = self._jobs[key] = _Job(now)
        self._running += 1
        self._health.tried(self._ms())
        self._pool.submit(self._run, job, ask, till=key[0])
        return job

    def _run(self, job: _Job, ask: AskSwish, *, till: str) -> None:
        began = time.monotonic()
        try:
            verdict, outcome = self._called(ask, till)
        except (SwishAwayError, SwishSilentError) as error:
            sent = isinstance(error, SwishSilentError)
            verdict, outcome = Verdict("silent" if sent else "away", "away"), SILENT
            LOG.info("%s: %s", ask.what, error)
        except SwishCertificateError as error:
            verdict, outcome = Verdict("away", "certificate"), REFUSED
            self._ring("SwishCertificateError", file=str(error.facts["file"]), why=str(error.facts["why"]))
        except Exception:
            LOG.exception("our own mistake in a call to Swish")
            verdict, outcome = Verdict("silent", "own_mistake"), SILENT
        took_ms = int((time.monotonic() - began) * 1000)
        with self._guard:
            self._running -= 1
            self._health.answered(outcome, took_ms, self._ms(), verdict.why if outcome != ANSWERED else "")
            job.verdict = verdict

    def _called(self, ask: AskSwish, till: str) -> tuple[Verdict, str]:
        """One call, or two where Swish says that it knows the id."""
        client, settings = self._client, self._settings
        message = f"{settings.message} {till} {ask.sale}"
        if ask.what == "pay":
            body = swish.payment_body(settings.payee, ask.amount_ore, ask.reference, message, settings.callback_url)
            return self._made(client.create(ask.request, body), ask, back=False)
        if ask.what == "give":
            body = swish.refund_body(
                settings.payee, ask.amount_ore, ask.original, ask.reference, message, settings.callback_url
            )
            return self._made(client.refund(ask.request, body), ask, back=True)
        if ask.what == "cancel":
            reply = client.cancel(ask.request)
            if reply.status == 422:  # too late: what became of it
                reply = client.see(ask.request)
            return self._shown(reply, ask, back=False)
        back = ask.what == "see_back"
        return self._shown((client.see_refund if back else client.see)(ask.request), ask, back=back)

    def _made(self, reply: Reply, ask: AskSwish, *, back: bool) -> tuple[Verdict, str]:
        """What a PUT came to."""
        if reply.status == 201:
            if not reply.location.upper().rstrip("/").endswith(f"/{ask.request}"):
                return self._wrong(ask, "location"), SILENT
            if not back and not reply.token.isalnum():
                return Verdict("silent", "token"), SILENT
            if not back:
                self._remember(ask.request, reply.token[:200])
            return Verdict("created", token=reply.token[:200] if not back else ""), ANSWERED
        if reply.status == 422:
            codes = swish.error_codes(reply.body)
            outcome, why = swish.refused_outcome(codes, back=back)
            if "RP09" in codes:
                again = self._client.see_refund if back else self._client.see
                return self._shown(again(ask.request), ask, back=back)
            return Verdict("refused" if outcome == DECLINED else "silent", why), ANSWERED
        return self._odd(reply, sent_means="refused")

    def _shown(self, reply: Reply, ask: AskSwish, *, back: bool) -> tuple[Verdict, str]:
        """What a GET or a PATCH came to."""
        if reply.status == 404:
            return Verdict("missing", "not_found"), ANSWERED
        if reply.status != 200:
            return self._odd(reply, sent_means="silent")
        seen = (swish.read_refund if back else swish.read_payment)(reply.body)
        if seen is None:
            return Verdict("silent", "unreadable"), SILENT
        wrong = swish.judge(seen, Expected(ask.request, ask.amount_ore, self._settings.payee, ask.original))
        if wrong:
            return self._wrong(ask, wrong), SILENT
        return Verdict("seen", token=self._token(ask.request, seen), seen=seen), ANSWERED

    def _odd(self, reply: Reply, *, sent_means: str) -> tuple[Verdict, str]:
        """Every other HTTP status. 400, 401, 403 and 415 say that nothing was done; the rest says nothing."""
        if reply.status in (401, 403):
            self._ring("SwishCertificateError", file=self._settings.certificates[0], why=f"HTTP {reply.status}")
            return Verdict("away", "certificate"), REFUSED
        if reply.status in (400, 415):
            return Verdict(sent_means, "PA01"), ANSWERED
        return Verdict("silent", f"http_{reply.status}"), SILENT

    def _wrong(self, ask: AskSwish, field: str) -> Verdict:
        """An answer about something else: not believed, and alarming."""
        self._ring("SwishAnswerWrong", request=ask.request, field=field)
        return Verdict("wrong", "wrong")

    def _ring(self, about: str, **facts: str) -> None:
        """Raise an alarm, the same one once a minute."""
        said = f"{about} {sorted(facts.items())}"
        now = time.monotonic()
        with self._guard:
            if now - self._rung.get(said, -MOST_ALARMS_S) < MOST_ALARMS_S:
                return
            self._rung = {known: at for known, at in self._rung.items() if now - at < MOST_ALARMS_S} | {said: now}
        self._alarm(about, **facts)

    # --- tokens: shown again after a till's restart

    def _remember(self, request: str, token: str) -> None:
        with self._guard:
            self._tokens[request] = token
            while len(self._tokens) > MOST_KEPT:
                self._tokens.popitem(last=False)

    def _token(self, request: str, seen: Seen) -> str:
        with self._guard:
            if seen.status != "CREATED":
                self._tokens.pop(request, None)
            return self._tokens.get(request, "")

    # --- how Swish stands

    def _with_board(self, verdict: Verdict, *, held: bool = False) -> Verdict:
        now = self._standing() if held else self.now()
        return msgspec.structs.replace(verdict, path=now.state, path_why=now.why)

    def _standing(self) -> PathNow:
        now = self._health.now(self._ms())
        if now.state != WORKING:
            return now
        days = self._client.certificate_days()
        if days < WARN_DAYS:
            return PathNow(WORKING, f"certificate_days_{max(days, 0)}")
        way = self._client.way()
        return PathNow(WORKING, f"way_{way + 1}") if way else now

    def _probe(self) -> None:
        """Look at Swish whenever nothing else has: a question about a request that nobody made."""
        wait_s = 0.0
        while not self._closing.wait(wait_s):
            with self._guard:
                now = self._ms()
                due = self._health.next_probe_ms(now)
                free = self._health.may_try(now)
                if not due and free:
                    self._health.tried(now)
            if due or not free:
                wait_s = min(max(due, 50), 300) / 1000  # what a till's call shows may bring it forward
                continue
            self._probed()
            wait_s = 0.05

    def _probed(self) -> None:
        began = time.monotonic()
        try:
            status = self._client.see(NOBODY).status
            ok, why = status in (200, 404), f"http_{status}"
            if status in (401, 403):
                why = "certificate"
        except SwishCertificateError as error:
            ok, why = False, "certificate"
            self._ring("SwishCertificateError", file=str(error.facts["file"]), why=str(error.facts["why"]))
        except OppetError:
            ok, why = False, "away"
        except Exception:
            LOG.exception("our own mistake in a probe of Swish")
            ok, why = False, "own_mistake"
        with self._guard:
            self._health.probed(ok, int((time.monotonic() - began) * 1000), self._ms(), "" if ok else why)
        self._watch_certificates()

    def _watch_certificates(self) -> None:
        days = self._client.certificate_days()
        if days < WARN_DAYS:
            now = time.monotonic()
            if self._warned is None or now - self._warned >= WARN_AGAIN_S:
                self._warned = now
                self._alarm("SwishCertificateEnds", days=str(max(days, 0)))

    def _ms(self) -> int:
        return self._clock.counter()


def open_desk(settings: SwishSettings, folder: Path, name: str, alarm: Alarm) -> SwishDesk:
    """The desk of a node's settings; file names are relative to `folder`. Raises SwishCertificateError."""
    client = SwishClient(
        ways=[Way(way.url, way.source, way.proxy) for way in settings.ways],
        certificates=[folder / file for file in settings.certificates],
        authorities=folder / settings.authorities if settings.authorities else None,
        timeout_s=settings.timeout_ms / 1000,
    )
    return SwishDesk(client=client, settings=settings, name=name, alarm=alarm)
