"""Head office's pages about its fleet: every store and till, how far its journal has come, what stands still and why; alarms.

The page answers one question first: which store is lagging, since when, and why. Countersigning and revoking a till take two.
`/health` and `/metrics` say the same to machines, without a person or an amount in them. Keeps O8.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from oppet import __version__
from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError
from oppet.base.words import N_
from oppet.drivers.hq_obeyed import HqObeyed
from oppet.drivers.metrics import CONTENT_TYPE, Measure, exposition
from oppet.drivers.office_pg import Alarm, Change
from oppet.drivers.page_form import Fields, Form
from oppet.drivers.page_guard import ANYONE, SIGNED_IN, Asked, only, session_of
from oppet.drivers.pages import Desk, NavItem, language_of
from oppet.drivers.words import say
from oppet.hq.directory import HQ_STORE
from oppet.hq.software import Picture, picture_of
from oppet.hq.web import OPERATORS, Act, Context, Done, Hq, ask_for
from oppet.people.approvals import Request
from oppet.sync.queues import BEHIND, ENDED, FINE, NEVER, SILENT, WORST_FIRST, Heard, Queue, judge

__all__ = ["ACTS", "NAV", "ROUTES", "Fleet", "FleetStore", "FleetTill", "fleet_of"]

SIGNS = {SILENT: "off", NEVER: "open", BEHIND: "late", "ahead": "warn", FINE: "ok", ENDED: "open"}
SHORT = {
    SILENT: N_("silent"), NEVER: N_("nothing yet"), BEHIND: N_("catching up"), "ahead": N_("clock ahead"), FINE: N_("complete"),
    ENDED: N_("over"),
}  # fmt: skip
ALARM_WORDS = {
    "fork": N_("Two histories of one till: a copied or restored disk"),
    "ForgedBatchError": N_("Entries in a till’s name that it did not sign"),
    "PackedBombError": N_("A batch made to fill the memory"),
    "BadCertificateError": N_("A certificate that nobody with the right signed"),
    "passkey_cloned": N_("A passkey that was copied"),
    "audit_journal_lost": N_("A process lost its audit journal and began a new one"),
    "settlement_refused": N_("A settlement file that could not be taken in"),
    "terminal_card_data": N_("A card terminal sent a whole card number; it was not kept"),
    "terminal_forged": N_("An answer in a card terminal’s name that it did not give"),
    "terminal_certificate": N_("Another certificate where a card terminal should be"),
    "lost": N_("A keeper lost entries it had kept"),
    "forged": N_("A forged acknowledgement or batch"),
}
MEANINGS = {
    "oppet_keeper_requests": "Requests to this process's keeper port since it started.",
}
StoreId = Annotated[
    str | None, QueryParameter(pattern=r"^[A-Za-z0-9-]{1,40}\Z", description="A store's id, such as S01.")
]


class FleetTill(msgspec.Struct, frozen=True):
    """One history, as the page and the API say it."""

    till: str
    epoch: int
    branch: str  # "" for the first, else the digest that names a fork
    register: str
    trust: str  # certified | provisional | revoked | unknown
    reason: str  # why it was revoked
    software: str
    state: str  # fine | behind | silent | never | ahead | ended
    why: str
    since: str  # UTC, "" where nothing is wrong
    complete_to: str  # UTC: everything up to here is at head office
    heard: str  # UTC
    entries: int


class FleetStore(msgspec.Struct, frozen=True):
    store: str
    name: str
    banner: str
    closed: bool
    state: str  # the worst of its tills
    why: str
    since: str
    complete_to: str  # the earliest of its living tills
    tills: tuple[FleetTill, ...]

    @property
    def stuck(self) -> bool:
        return self.state in (SILENT, BEHIND, "ahead")


class Fleet(msgspec.Struct, frozen=True):
    """Every store, the worst first."""

    time: str
    stores: tuple[FleetStore, ...]
    complete: int  # stores with nothing missing
    stuck: int
    provisional: int  # tills that wait for countersignature


MOST_SHOWN = 60  # tills on one page; the API has all of them


class NotATillError(RefusedError):
    sentence = N_("“{till}” names no till of this chain.")


# --- what is so ---------------------------------------------------------------------------------------------------


def fleet_of(hq: Context) -> Fleet:
    """Certificates beside histories. Raises DatabaseAwayError."""
    now = hq.clock.now()
    with hq.tables.change() as t:
        streams, running = t.streams(), t.running()
    certified = {(c.till, c.epoch): (c, standing) for c, standing in hq.directory.tills()}
    newest: dict[str, int] = {}
    for till, epoch in certified:
        newest[till] = max(epoch, newest.get(till, 0))
    heard: dict[str, list[Heard]] = defaultdict(list)
    seen = set()
    for row in streams:
        over = bool(row.revoked) or row.epoch < newest.get(row.till, row.epoch)
        heard[row.store].append(
            Heard(row.store, row.till, row.epoch, row.branch, row.head_seq, _ms(row.heard), _ms(row.as_of), over)
        )
        seen.add((row.till, row.epoch))
    for (till, epoch), (certificate, standing) in certified.items():
        if (till, epoch) not in seen:
            over = bool(standing.revoked) or epoch < newest[till]
            heard[certificate.store].append(Heard(certificate.store, till, epoch, "", 0, 0, 0, over))
    known = {store.store: store for store in hq.directory.stores()}
    stores = []
    for name in sorted({*heard, *known} - {HQ_STORE}):
        queues = sorted(judge(heard[name], now), key=lambda q: (WORST_FIRST.index(q.state), q.of.till, -q.of.epoch))
        rows = tuple(_till(queue, certified, running) for queue in queues)
        living = [queue for queue in queues if queue.state not in (ENDED, NEVER)]
        worst = next((q for q in queues if q.stuck), None) or next(iter(living or queues), None)
        since = min((q.since for q in queues if q.stuck and q.since), default=0)
        as_of = min((queue.of.as_of for queue in living), default=0)
        paper = known.get(name)
        stores.append(
            FleetStore(
                name, paper.name if paper else "", paper.banner if paper else "", bool(paper and paper.closed),
                worst.state if worst else NEVER, worst.why if worst else "", _utc(since), _utc(as_of), rows,
            )
        )  # fmt: skip
    stores.sort(key=lambda store: (store.closed, WORST_FIRST.index(store.state), store.since or "~", store.store))
    provisional = sum(till.trust == "provisional" for store in stores for till in store.tills if till.state != ENDED)
    complete = sum(store.state == FINE for store in stores)
    return Fleet(utc_text(now), tuple(stores), complete, sum(store.stuck for store in stores), provisional)


def _till(queue: Queue, certified: Mapping[tuple[str, int], Any], running: Mapping[tuple[str, int], str]) -> FleetTill:
    of = queue.of
    certificate, standing = certified.get((of.till, of.epoch), (None, None))
    trust = "unknown"
    if standing is not None:
        trust = "revoked" if standing.revoked else "provisional" if standing.provisional else "certified"
    return FleetTill(
        of.till, of.epoch, of.branch, certificate.register if certificate else "", trust,
        standing.revoked if standing else "", running.get((of.till, of.epoch), ""), queue.state, queue.why,
        _utc(queue.since), _utc(of.as_of), _utc(of.heard), of.entries,
    )  # fmt: skip


def _ms(text: str) -> int:
    return parse_utc(text) if text else 0


def _utc(instant: int) -> str:
    return utc_text(instant) if instant else ""


# --- pages --------------------------------------------------------------------------------------------------------


@get("/fleet", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def fleet_page(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    may = bool(set(OPERATORS) & set(session_of(request).roles))
    return desk.page(
        request, "fleet.html", fleet=fleet_of(hq), signs=SIGNS, short=SHORT, may=may, now=hq.clock.now(), ms=_ms
    )


@post("/fleet/countersign", opt=only(*OPERATORS), include_in_schema=False, sync_to_thread=True, status_code=303)
def ask_countersign(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    till, epoch, key = _named(hq, data)
    facts = {"till": till, "epoch": epoch, "key": key}
    asked = ask_for(hq, session_of(request), "countersign_till", f"{till}, epoch {epoch}", facts)
    return desk.go(request, "/fleet", "done", WAITS, number=asked)


@post("/fleet/revoke", opt=only(*OPERATORS), include_in_schema=False, sync_to_thread=True, status_code=303)
def ask_revoke(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    till, epoch, key = _named(hq, data)
    facts = {"till": till, "epoch": epoch, "key": key, "reason": Form(data).some_text("reason", 120)}
    asked = ask_for(hq, session_of(request), "revoke_till", f"{till}, epoch {epoch}", facts)
    return desk.go(request, "/fleet", "done", WAITS, number=asked)


def _named(hq: Context, data: Mapping[str, str]) -> tuple[str, int, str]:
    """Till, epoch and the beginning of its key: what is frozen in the request. Raises NotATillError."""
    form = Form(data)
    till, epoch = form.text("till", 40), form.whole("epoch", 1)
    for certificate, _ in hq.directory.tills():
        if (certificate.till, certificate.epoch) == (till, epoch) and certificate.store != HQ_STORE:
            return till, epoch, certificate.public_key[:16]
    raise NotATillError(till=till)


@get("/software", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def software_page(request: Asked, desk: Desk, hq: Hq, store: StoreId = None) -> Response[str]:
    language = language_of(request)
    picture = picture_of(HqObeyed(hq.tables.pool), hq.clock.now(), lambda text: say(text, language), store or "")
    return desk.page(request, "software.html", picture=picture, store=store or "", most=MOST_SHOWN)


@get("/alarms", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def alarms_page(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    may = bool(set(OPERATORS) & set(session_of(request).roles))
    return desk.page(request, "alarms.html", alarms=_alarms(hq), words=ALARM_WORDS, may=may)


@post("/alarms/seen", opt=only(*OPERATORS), include_in_schema=False, sync_to_thread=True, status_code=303)
def alarm_seen(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form, session = Form(data), session_of(request)
    process, epoch, seq = form.text("process", 40), form.whole("epoch", 1), form.whole("seq", 1)
    with hq.tables.change() as t:
        if t.alarm_seen(process, epoch, seq, hq.clock.now(), session.who):
            hq.door.done(session, "alarm_seen", f"{process} {epoch} {seq}")
            hq.look_again()
    return desk.go(request, "/alarms", "done", N_("You have looked at it. It stays on the list."))


def _alarms(hq: Context) -> list[Alarm]:
    with hq.tables.change() as t:
        return t.alarms()


# --- for machines -------------------------------------------------------------------------------------------------


@get("/api/fleet", opt=SIGNED_IN, sync_to_thread=True, tags=["fleet"], summary="Stores and tills, the worst first")
def api_fleet(hq: Hq, store: StoreId = None) -> Fleet:
    found = fleet_of(hq)
    if store is None:
        return found
    return msgspec.structs.replace(found, stores=tuple(known for known in found.stores if known.store == store))


@get(
    "/api/software",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["fleet"],
    summary="What each till runs, charges, waits for and refused",
)
def api_software(hq: Hq, store: StoreId = None) -> Picture:
    return picture_of(HqObeyed(hq.tables.pool), hq.clock.now(), lambda text: text, store or "")


@get("/api/alarms", opt=SIGNED_IN, sync_to_thread=True, tags=["fleet"], summary="Alarms, those nobody looked at first")
def api_alarms(hq: Hq) -> list[Alarm]:
    return _alarms(hq)


@get(
    "/health", opt=ANYONE, sync_to_thread=True, tags=["health"], summary="Which queue stands still, since when and why"
)
def health(hq: Hq) -> Response[dict[str, Any]]:
    """503 where the database is away; 200 with every queue otherwise, also where some of them stand still."""
    now = hq.clock.now()
    unsent, since = hq.unsent()
    late_s = (now - since) // 1000 if unsent and since else 0
    ours = _queue(f"{hq.door.name} → hq", "audit journal", unsent, "not in the tables yet", _utc(since), late_s)
    head = {"process": hq.door.name, "software": __version__, "time": utc_text(now)}
    try:
        found = fleet_of(hq)
        with hq.tables.change() as t:
            quarantined, oldest = t.quarantined()
            waiting = t.waiting(now)
    except OppetError as error:
        queues = [ours, _queue("hq → database", "tables", None, str(error))]
        return Response({**head, "ready": False, "queues": queues}, status_code=503)
    queues = [ours, *_queues(found.stores, now)]
    queues.append(_queue("hq", "quarantine", quarantined, "waits for a person", oldest))
    queues.append(_queue("hq", "approvals", waiting, "waits for a second person"))
    return Response({**head, "ready": True, "stuck": found.stuck, "queues": queues})


def _queue(
    hop: str, what: str, entries: int | None, why: str, since: str = "", oldest_s: int | None = None
) -> dict[str, Any]:
    return {
        "hop": hop, "what": what, "entries": entries, "since": since, "oldest_s": oldest_s, "reason": why if entries != 0 else "",
    }  # fmt: skip


def _queues(stores: Sequence[FleetStore], now: int) -> list[dict[str, Any]]:
    return [
        {
            "hop": f"{till.till} (epoch {till.epoch}) → hq", "what": "journal", "store": store.store, "state": till.state,
            "entries": till.entries, "since": till.since, "oldest_s": (now - _ms(till.since)) // 1000 if till.since else 0,
            "complete_to": till.complete_to, "reason": "" if till.state == FINE else till.why,
        }
        for store in stores
        for till in store.tills
        if till.state != ENDED
    ]  # fmt: skip


@get("/metrics", opt=ANYONE, sync_to_thread=True, include_in_schema=False)
def metrics(hq: Hq) -> Response[bytes]:
    now, measures = hq.clock.now(), []
    unsent, _ = hq.unsent()
    measures.append(Measure("oppet_audit_unsent_entries", "Audit entries not in the tables yet.", [({}, unsent)]))
    counted = [({"what": what}, count) for what, count in sorted(hq.keeper_counts().items())]
    measures.append(Measure("oppet_keeper_total", "What this process's keeper port did since it started.", counted))
    measures += hq.counters.measures(MEANINGS)
    up = 1
    try:
        found = fleet_of(hq)
    except OppetError:
        up = 0
    else:
        tills = [(store.store, till) for store in found.stores for till in store.tills if till.state != ENDED]
        lag = [
            ({"store": store, "till": till.till}, (now - _ms(till.complete_to)) / 1000 if till.complete_to else -1)
            for store, till in tills
        ]
        measures.append(Measure("oppet_till_behind_seconds", "How far back a till is complete; -1 for never.", lag))
        states = [({"state": state}, sum(store.state == state for store in found.stores)) for state in WORST_FIRST]
        measures.append(Measure("oppet_stores", "Stores by the worst state of their tills.", states))
    measures.append(Measure("oppet_database_up", "Whether the database answers.", [({}, up)]))
    return Response(exposition(measures), media_type=CONTENT_TYPE)


# --- what is done when it is approved ------------------------------------------------------------------------------


def _countersign(hq: Context, t: Change, request: Request) -> Done:
    till, epoch = request.fact("till"), int(request.fact("epoch"))
    hq.directory.countersign(t, till, epoch)
    return Done(
        N_("Till {till}, epoch {epoch}, is countersigned: its sales count in full."), {"till": till, "epoch": epoch}
    )


def _revoke(hq: Context, t: Change, request: Request) -> Done:
    till, epoch = request.fact("till"), int(request.fact("epoch"))
    hq.directory.revoke(t, till, epoch, request.fact("reason"))
    return Done(N_("Till {till}, epoch {epoch}, is revoked. What it sold stands."), {"till": till, "epoch": epoch})


WAITS = N_("Request {number} waits for somebody else to approve it.")
ACTS = {
    "countersign_till": Act(N_("Countersign a till"), OPERATORS, OPERATORS, _countersign),
    "revoke_till": Act(N_("Revoke a till"), OPERATORS, OPERATORS, _revoke),
}
NAV = [
    NavItem("/fleet", N_("Stores and tills")),
    NavItem("/software", N_("Software and prices")),
    NavItem("/alarms", N_("Alarms")),
]
ROUTES = [
    fleet_page, ask_countersign, ask_revoke, software_page, alarms_page, alarm_seen, api_fleet, api_software, api_alarms, health, metrics,
]  # fmt: skip
