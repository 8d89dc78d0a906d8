"""Wiring: settings to head office, once. `oppet hq run`: a parent that takes the ports and keeps the database and the workers alive,
and workers that know nothing but the database, head office's key and their own audit journal.

Any worker answers any request; one that is killed is started again, and so is the embedded database. A DSN in the settings makes
head office run on a chain's own PostgreSQL. Nothing opens on import.
"""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from msgspec import Meta

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, RefusedError, SettingsError, UnavailableError, place_first
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers import files, logs, serving, settlement_files, tls
from oppet.drivers.clock import SystemClock
from oppet.drivers.hq_obeyed import HqObeyed
from oppet.drivers.hq_payments import TakenIn
from oppet.drivers.hq_publications import HqPublications
from oppet.drivers.hq_rows import Rows
from oppet.drivers.hq_schema import migrate as bring_up_to_date
from oppet.drivers.keeper_http import KeeperApp
from oppet.drivers.keys import load_key, load_or_make_key
from oppet.drivers.metrics import Counters
from oppet.drivers.office_pg import Alarm, OfficeTables, PgSessions
from oppet.drivers.page_guard import Door
from oppet.drivers.passkeys import Challenges, Passkeys
from oppet.drivers.pg import Pool
from oppet.drivers.post import Post
from oppet.drivers.postgres import EmbeddedPostgres
from oppet.drivers.publication_http import Publications, beside
from oppet.drivers.shelf_pg import PgShelf
from oppet.drivers.supervise import Supervised, Worker, adopt, say_ready, supervise
from oppet.figures.views import Views
from oppet.hq import web_fleet, web_payments, web_people, web_publish, web_sales
from oppet.hq.directory import HqDirectory
from oppet.hq.people import People
from oppet.hq.web import Context, Pages, program
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import ActDone, AlarmRaised, Fact, PostOpened, TillStarted
from oppet.payments.risk import RiskLimits
from oppet.sync.enrolment import Enrolled, Request
from oppet.sync.errors import ForgedAckError
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import Signed
from oppet.sync.messages import KeeperInfo, Paper
from oppet.sync.sender import Sender

__all__ = ["PAGES", "Opened", "Settings", "migrate", "open_hq", "read_settings", "run", "worker"]

KEEPER = "hq"
PAGES: tuple[Pages, ...] = (web_sales, web_payments, web_publish, web_fleet, web_people)  # type: ignore[assignment]  # the first page of the first is home
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FOLLOW_S = 1.0
MONTHS_EVERY_MS = 6 * 3_600_000
RENEW_EVERY_MS = 3_600_000
VOUCH_EVERY_MS = 10_000
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Port = Annotated[int, Meta(ge=0, le=65535)]
LOG = logs.logger("oppet.hq")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Head office's settings file (docs/settings-hq.md)."""

    folder: Text  # keys, audit journals and the embedded database, relative to this file
    name: Annotated[str, Meta(pattern=r"^hq(-[a-z0-9]{1,16})?\Z")] = "hq"  # of this machine: each has its own
    dsn: Annotated[str, Meta(max_length=500)] = ""  # "" for the embedded database
    host: Text = "127.0.0.1"  # where the keeper's port listens
    port: Port = 8500
    address: Annotated[str, Meta(max_length=200)] = ""  # what stores are told, where it is not `host`
    page_host: Text = "127.0.0.1"
    page_port: Port = 8501
    site: Annotated[str, Meta(pattern=r"^[a-z0-9.-]{1,100}\Z")] = "localhost"  # the pages' name, which passkeys hold to
    names: tuple[Text, ...] = ()  # other host:port the pages answer to
    tls: bool = True  # off only on loopback, for tests
    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    demo: bool = False  # the demo account: never in earnest
    settlements: Annotated[str, Meta(max_length=200)] = (
        ""  # where settlement files are put, relative to this file; "" for nowhere
    )
    publications: Annotated[str, Meta(max_length=200)] = (
        ""  # the published tree, relative to this file: served at /pub/ beside the keeper; "" where this machine publishes nothing
    )
    assortment: Annotated[str, Meta(max_length=200)] = (
        ""  # what tills were installed with, relative to this file: what the first prices are measured against; "" for nothing
    )
    risk: RiskLimits = RiskLimits()  # what pages measure against: the tills' own limits stand in their settings
    log: Annotated[str, Meta(pattern=r"^(debug|info|warning|error)\Z")] = "info"


class NoLaneError(RefusedError):
    sentence = N_("Head office answers no questions between tills: ask the store’s node.")


def read_settings(path: Path) -> Settings:
    """Raises SettingsError with the place and what is wrong there."""
    try:
        settings = msgspec.json.decode(files.read(path, 1 << 20), type=Settings)
    except msgspec.DecodeError as error:
        raise SettingsError(file=str(path), reason=place_first(str(error))) from None
    if not settings.tls and not {settings.host, settings.page_host} <= set(LOOPBACK):
        raise SettingsError(file=str(path), reason="tls: off is for loopback alone")
    if settings.demo and settings.page_host not in LOOPBACK:
        raise SettingsError(file=str(path), reason="demo: an account without a key is for loopback alone")
    return settings


# --- one process --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ports:
    keeper: int
    page: int


class Opened:
    """Head office in one process, without its ports: keeper and pages as programs. `close` when they are served no more."""

    def __init__(self, settings: Settings, base: Path, dsn: str, number: str, ports: Ports) -> None:
        folder = base / settings.folder
        self.settings = settings
        self._settlements = base / settings.settlements if settings.settlements and number == "1" else None
        self._certificate = folder / "tls.pem"
        self._stop = threading.Event()
        self._closing: list[Callable[[], object]] = []
        self.publications: Publications | None = None
        clock = SystemClock()
        try:
            signer = load_key(folder / "hq.key")
            pool = Pool(dsn)
            self._closing.append(pool.close)
            tables = OfficeTables(pool)
            self.info = info = self._info(signer, ports.keeper)
            self.directory = HqDirectory(tables, signer, clock, lambda: info)
            self.directory.follow()
            installation = files.installation(folder / "hq.key")
            self.post = Post.open(folder / "audit", f"{settings.name}-{number}", "hq", "", clock, installation)
            self._closing.append(self.post.close)
            self.directory.certify_process(self.post.name, self.post.epoch, self.post.signer.public.hex())
            shelf = PgShelf(dsn, Noting(tables, Views()).see, clock)
            self._closing.append(shelf.close)
            self.counters = Counters()
            self.keeper = Keeper(KEEPER, signer, shelf, self.directory.standing, clock, self._alarm)
            self.keeper_app = KeeperApp(self.keeper, _Doors(self.directory, info), self._alarm)
            self._closing.append(self.keeper_app.close)
            if settings.publications:
                self.publications = Publications(base / settings.publications)
                self._closing.append(self.publications.close)
            self._sender = Sender(self.post.source(), KEEPER, signer.public)
            self._unsent_since = 0
            self._clock = clock
            self.context = self._context(tables, signer, dsn, ports.page)
            self.context.more[web_payments.RISK] = settings.risk
            self._publishing = self._publisher(pool, base) if settings.publications else None
            if self._publishing is not None:
                self.context.more[web_publish.MORE] = self._publishing
            self._obeyed = HqObeyed(pool)
            self._renew_at = self._vouch_at = 0 if number == "1" else None
            self.page_app = program(self.context, PAGES)
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._keep_up, name="keep up", daemon=True)
        self._thread.start()
        self._closing.append(self._end_thread)

    def _info(self, signer: Signer, port: int) -> KeeperInfo:
        settings = self.settings
        digest = tls.digest_of(self._certificate) if settings.tls else ""
        scheme = "https" if settings.tls else "http"
        host = settings.address or settings.host
        return KeeperInfo(KEEPER, "hq", f"{scheme}://{host}:{port}", signer.public.hex(), digest)

    def _publisher(self, pool: Pool, base: Path) -> HqPublications:
        settings = self.settings
        factory = base / settings.assortment if settings.assortment else None
        return HqPublications(pool, base / settings.publications, base / settings.folder / "publish", factory)

    def _context(self, tables: OfficeTables, signer: Signer, dsn: str, port: int) -> Context:
        settings = self.settings
        scheme = "https" if self.secure else "http"
        hosts = [f"{host}:{port}" for host in (settings.site, "127.0.0.1", "localhost")] + list(settings.names)
        hosts += [settings.site, *settings.names] if port in (80, 443) else []
        door = Door(settings.name, PgSessions(tables.pool), self.post.write, self._clock, hosts, secure=self.secure)
        passkeys = Passkeys(settings.site, [f"{scheme}://{host}" for host in hosts])
        people = People(tables, passkeys, Challenges(signer), door)
        return Context(
            tables, people, self.directory, door, self._clock, dsn, settings.demo, self.counters, self._unsent, self._counts
        )  # fmt: skip

    @property
    def secure(self) -> bool:
        """The pages are encrypted where they are read from another machine."""
        return self.settings.tls and self.settings.page_host not in LOOPBACK

    @property
    def certificate(self) -> Path | None:
        return self._certificate if self.settings.tls else None

    def services(self, keeper: serving.Listener, page: serving.Listener) -> list[serving.Service]:
        certificate = self.certificate if self.secure else None
        machines = beside(self.keeper_app, self.publications) if self.publications is not None else self.keeper_app
        return [
            serving.Service(machines, keeper, self.certificate, serving.Guard()),
            serving.Service(self.page_app, page, certificate, None),
        ]

    def close(self) -> None:
        """Twice does no harm."""
        self._stop.set()
        while self._closing:
            self._closing.pop()()

    # --- beside the requests: papers followed, the audit journal sent to our own tables

    def _keep_up(self) -> None:
        while not self._stop.wait(FOLLOW_S):
            try:
                self.directory.follow()
                self.send_audit()
                self.settle()
                self.renew()
                self.vouch()
            except OppetError as error:
                LOG.warning("cannot keep up", error=type(error).__name__, why=str(error))
            except Exception:
                LOG.exception("our own mistake while keeping up")

    def settle(self) -> None:
        """Take in what lies in the folder of settlements; what is read or refused is put aside. Raises UnavailableError."""
        for one in settlement_files.waiting(self._settlements) if self._settlements is not None else ():
            try:
                told = web_payments.settle_file(self.context, one.path, one.service)
            except RefusedError as error:
                self._alarm("settlement_refused", file=one.path.name, why=str(error))
                settlement_files.put_aside(one, str(error))
                continue
            LOG.info("settlement read", file=told.file, lines=told.lines, new=told.new, known=told.known)
            self.settled(told, 0)
            settlement_files.put_aside(one)

    def vouch(self) -> None:
        """Publish what trial tills said of the newest releases: the evidence that all other tills ask for (RL4)."""
        now = self._clock.now()
        if self._publishing is None or self._vouch_at is None or now < self._vouch_at or not self._publishing.begun:
            return
        self._vouch_at = now + VOUCH_EVERY_MS
        for image in self._publishing.releases():
            said = self._obeyed.statements(image)
            if said and self._publishing.vouch(image, said, now):
                LOG.info("evidence published", image=image[:16], statements=len(said))

    def renew(self) -> None:
        """Sign the list of lists anew before it runs out, so that tills may install. Raises what the repository says."""
        now = self._clock.now()
        if self._publishing is None or self._renew_at is None or now < self._renew_at or not self._publishing.begun:
            return
        self._renew_at = now + RENEW_EVERY_MS
        if self._publishing.renew(now):
            LOG.info("the list of lists is signed anew")

    def settled(self, told: TakenIn, by: int) -> None:
        """Write down that a file was taken in."""
        facts = {"service": told.service, "lines": told.lines, "new": told.new, "known": told.known}
        said = tuple(Fact(name, str(value)) for name, value in facts.items() if value != "")
        self.post.write(ActDone(by, "settle", told.file, facts=said))

    def send_audit(self) -> None:
        """Put what was written into the tables, as any keeper's sender does. Raises UnavailableError."""
        sender, now = self._sender, self._clock.counter()
        while (batch := sender.ask(now)) is not None:
            try:
                sender.answered(self.keeper.receive(batch), now)
            except (UnavailableError, ForgedAckError):
                sender.failed(now, 0)
                raise
        if not sender.behind:
            self._unsent_since = 0
        elif not self._unsent_since:
            self._unsent_since = self._clock.now()

    def _end_thread(self) -> None:
        self._thread.join(5)

    def _unsent(self) -> tuple[int, int]:
        return self._sender.behind, self._unsent_since

    def _counts(self) -> Mapping[str, int]:
        counts = self.keeper_app.counts
        return {
            "requests": counts.requests, "batches": counts.accepted, "entries": counts.entries, "repeated": counts.repeated,
            "strangers": counts.strangers, "alarms": counts.alarms, "refused": sum(counts.refused.values()),
        }  # fmt: skip

    def _alarm(self, about: str, **facts: object) -> None:
        self.counters.add("oppet_alarms_total", about=about)
        LOG.warning("alarm", about=about, **{name: str(fact)[:200] for name, fact in facts.items()})
        said = tuple(Fact(name, str(fact)[:200]) for name, fact in facts.items())
        try:
            self.post.write(AlarmRaised(about, said))
        except OppetError as error:
            LOG.error("the alarm could not be written down", why=str(error))


class _Doors:
    """What head office does behind the keeper's port."""

    def __init__(self, directory: HqDirectory, info: KeeperInfo) -> None:
        self._directory = directory
        self._info = info

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        return self._directory.introduce(papers)

    def enrol(self, request: Request) -> Enrolled:
        return self._directory.enrol(request)

    def lane(self, signed: Signed) -> Signed:  # noqa: ARG002
        raise NoLaneError

    def who(self) -> KeeperInfo:
        return self._info

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        return self._directory.papers_down(till, epoch)


class Noting:
    """Sees entries as the views do, and notes what the office must know of them: alarms, and what each epoch runs.

    The notes are made before the entries are committed and are the same when they come again.
    """

    def __init__(self, tables: OfficeTables, views: Views) -> None:
        self._tables = tables
        self._views = views

    def see(self, entries: Sequence[Entry], received: int, last_number: int) -> Rows:
        noted = [entry for entry in entries if entry.kind in ("alarm_raised", "till_started", "post_opened")]
        if noted:
            with self._tables.change() as t:
                for entry in noted:
                    try:
                        body = body_of(entry)
                    except (msgspec.MsgspecError, ValueError):
                        continue  # the views put it in quarantine
                    store = entry.till.partition("-")[0]
                    if isinstance(body, AlarmRaised):
                        facts = tuple(Fact(_plain(f.name), _plain(f.value)) for f in body.facts[:20])
                        t.add_alarm(
                            Alarm(
                                entry.till, entry.epoch, entry.seq, store, _plain(entry.time), _plain(body.about), facts
                            )
                        )
                    elif isinstance(body, TillStarted | PostOpened):
                        prices = body.prices if isinstance(body, TillStarted) else ""
                        place = (store, entry.till, entry.epoch)
                        t.put_running(place, entry.seq, _plain(body.software), _plain(prices), _plain(entry.time))
        return self._views.see(entries, received, last_number)


def _plain(text: str) -> str:
    """A column holds no NUL, and a page no novel."""
    return text.replace("\0", "")[:200]


def open_hq(settings: Settings, base: Path, dsn: str, number: str, ports: Ports) -> Opened:
    """One process of head office, for a worker, a verb or a test. Its key must be there and its tables up to date."""
    return Opened(settings, base, dsn, number, ports)


def worker(path: str, number: str, dsn: str, keeper: str, page: str) -> int:
    """Serve with the sockets the parent left open, until told to stop. Not for people: `oppet hq run` starts it."""
    settings = read_settings(Path(path))
    logs.configure(f"{settings.name}-{number}", settings.log)
    listeners = adopt(int(keeper)), adopt(int(page))
    ports = Ports(listeners[0].getsockname()[1], listeners[1].getsockname()[1])
    opened = open_hq(settings, Path(path).parent, settings.dsn or dsn, number, ports)
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()  # a chain's papers live as long as the process: no need to look through them between two batches
    try:
        serving.serve_all(opened.services(*listeners), lambda: None, lambda: say_ready(worker=number))
    finally:
        opened.close()
    return 0


# --- the parent ---------------------------------------------------------------------------------------------------


def prepare(settings: Settings, base: Path) -> Signer:
    """Head office's key and certificate, made the first time. The key certifies every store: guard it."""
    folder = files.folder(base / settings.folder)
    signer = load_or_make_key(folder / "hq.key")
    if settings.tls:
        tls.load_or_make(folder / "tls.pem", settings.address or settings.host)
    return signer


class Database:
    """The embedded server, or nothing where the settings name another. `mend` starts it again when it died."""

    def __init__(self, settings: Settings, base: Path) -> None:
        self.server = None if settings.dsn else EmbeddedPostgres(base / settings.folder / "postgres")
        self.dsn = settings.dsn
        self._clock = SystemClock()
        self._months_at = 0

    def start(self) -> None:
        if self.server is not None:
            self.dsn = self.server.start()
        done = bring_up_to_date(self.dsn)
        self._months_at = self._clock.now()
        if done:
            LOG.info("migrated", files=done)

    def mend(self) -> None:
        if self.server is not None and not self.server.alive:
            LOG.error("the database died and is started again")
            try:
                self.server.start()
                LOG.info("the database answers again", pid=self.server.pid)
            except UnavailableError as error:
                LOG.error("the database did not start", why=str(error))
        if self._clock.now() - self._months_at > MONTHS_EVERY_MS:  # new months are made long before they come
            self._months_at = self._clock.now()
            try:
                bring_up_to_date(self.dsn)
            except UnavailableError as error:
                LOG.error("the coming months could not be made", why=str(error))

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()


@contextmanager
def database_of(settings: Settings, base: Path) -> Iterator[str]:
    """The DSN of a database that answers: the one that runs, or the embedded one, started for as long as this takes."""
    if settings.dsn:
        yield settings.dsn
        return
    server = EmbeddedPostgres(base / settings.folder / "postgres")
    if server.answers():
        yield server.dsn
        return
    try:
        yield server.start()
    finally:
        server.stop()


def run(
    settings: Path,
    *,
    workers: int = 0,
    announce: bool = False,
) -> int:
    """Run head office: keeper, pages, and the database where the settings name no other.

    Parameters
    ----------
    settings
        Head office's settings file (docs/settings-hq.md says what stands in it).
    workers
        How many processes serve; 0 for what the settings say.
    announce
        Print one JSON line with the ports when everything answers, for whoever started us.
    """
    path = settings.resolve()
    said = read_settings(path)
    logs.configure(said.name, said.log)
    prepare(said, path.parent)
    database = Database(said, path.parent)
    with serving.listen(said.port, said.host) as keeper, serving.listen(said.page_port, said.page_host) as page:
        try:
            database.start()
            numbers = [str(number) for number in range(1, (workers or said.workers) + 1)]
            arguments = [str(path), "", "" if said.dsn else database.dsn, str(keeper.fileno()), str(page.fileno())]
            them = [
                Worker(number, "oppet.hq.main:worker", [arguments[0], number, *arguments[2:]], [keeper, page])
                for number in numbers
            ]

            def ready() -> None:
                ports = {"keeper": keeper.getsockname()[1], "page": page.getsockname()[1]}
                url = f"http{'s' if said.tls and said.page_host not in LOOPBACK else ''}://{said.site}:{ports['page']}/"
                facts: dict[str, Any] = {"ready": True, **ports, "url": url, "workers": [worker.pid for worker in them]}
                facts |= {
                    "database": database.server.pid if database.server is not None else 0,
                    "dsn": database.dsn if not said.dsn else "",
                }
                if announce:
                    print(json.dumps(facts), flush=True)
                else:
                    print(f"Head office is open: {url}", flush=True)

            def tell(event: str, **facts: object) -> None:
                (LOG.error if event == "worker died" else LOG.info)(event, **facts)

            supervise(Supervised(them, database.mend, ready, tell))
        finally:
            database.stop()
    return 0


def migrate(settings: Path, *, as_json: Annotated[bool, Parameter(name="--json")] = False) -> int:
    """Bring head office's database to this version and make the coming months. Forwards only; safe to run again.

    Parameters
    ----------
    settings
        Head office's settings file.
    as_json
        Print the names of the files applied as JSON.
    """
    path = settings.resolve()
    said = read_settings(path)
    with database_of(said, path.parent) as dsn:
        done = bring_up_to_date(dsn)
    if as_json:
        print(json.dumps({"applied": done, "time": utc_text(SystemClock().now())}))
    else:
        print("\n".join(f"applied {name}" for name in done) or "Nothing to do: the database is of this version.")
    return 0
