"""Wiring: settings to drivers, once. `oppet till run` and what the demo, tests and benchmarks start from; `oppet till staff`.

Nothing opens on import. The newest epoch in the folder is used; the first run makes the key and epoch 1. A till with papers
(`epochs.py`) has keepers and neighbours; one without works alone.
"""

from __future__ import annotations

import gc
import getpass
import json
import platform
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from oppet import __version__
from oppet.base.canonical import digest
from oppet.base.errors import OppetError, RefusedError, UnavailableError
from oppet.base.signing import Signer, Verifier
from oppet.base.words import N_
from oppet.drivers import files, serving, slots
from oppet.drivers.clock import SystemClock
from oppet.drivers.control_unit_skattedosan import SkattedosanUnit
from oppet.drivers.control_unit_xccsp import XccspUnit
from oppet.drivers.gift_path import GiftCardPath
from oppet.drivers.goods_hands import GoodsHands, fetch_by, start_with
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keepers import Keepers, infos_of
from oppet.drivers.keys import load_key, load_passphrase, make_key
from oppet.drivers.looking import Looking, first_pace, make_source
from oppet.drivers.neighbours import DEADLINE_S, LaneNeighbours
from oppet.drivers.obtaining import Rate
from oppet.drivers.pins import ArgonPins, digest_of
from oppet.drivers.printer import FilePrinter, NetworkPrinter, ScreenPrinter, SerialPrinter
from oppet.drivers.publication_sources import Source
from oppet.drivers.publications import Publications
from oppet.drivers.swish_path import SwishAlone, SwishPath
from oppet.drivers.terminal_nexo import NexoTerminal
from oppet.drivers.upload import JournalSource
from oppet.drivers.words import sayer
from oppet.fiscal.unit import ControlUnit
from oppet.goods.assortment import merge
from oppet.goods.catalogue import Catalogue, decode
from oppet.journal.kinds import EpochOpened, Original, Receipt
from oppet.paper.electronic import pack, pack_to_print, unpack
from oppet.paper.paths import ReceiptPath
from oppet.payments.nexo_crypto import derive
from oppet.payments.risk import InvoiceCustomer
from oppet.register.errors import NeighboursAwayError, SettingsError
from oppet.register.ports import Ports
from oppet.register.till import Till
from oppet.release.goods_intake import Charged, GoodsIntake
from oppet.release.intake import Intake, Me, Takers
from oppet.release.ports import SWITCH_EXIT, NoSlots, Slots
from oppet.release.terms import CHAIN, VENDOR
from oppet.sale.rights import RANK
from oppet.sale.staff import Member, StaffList, read_staff
from oppet.sale.tokens import invoice_customers
from oppet.sync.enrolment import Enrolled
from oppet.sync.lanes import Ask, Told
from oppet.till.epochs import EpochFiles, epochs_in, newest
from oppet.till.settings import (
    GiftCardSettings,
    NexoSettings,
    PaymentSettings,
    PrinterSettings,
    PublicationSettings,
    Settings,
    SwishAloneSettings,
    UnitSettings,
    read_settings,
)
from oppet.till.views_updates import Closes, DeskHands, Updates
from oppet.till.web import create_app

__all__ = ["BadPinError", "BadRoleError", "Opened", "catalogue_of", "open_till", "run", "serve", "staff"]

Way = NexoTerminal | SwishPath | SwishAlone | GiftCardPath
MODEL = "Öppet SE"
GOODS = "goods"  # the folder of what came down
FLUSH_MS = 500  # what a till that ends waits for its last entries to reach a keeper
LARGEST_ROOT = 1 << 20  # bytes of a root
LARGEST_LIST = 4 << 20  # bytes of a list of invoice customers
PAY_DEADLINE_S = 2.0  # of one question to the node about a payment: a thread of its own asks, and no till waits
SHORTEST = 4  # of a PIN


class Opened:
    """A till with everything behind it, and what must be closed after it."""

    def __init__(
        self,
        settings: Settings,
        till: Till,
        staff: StaffList,
        journals: Sequence[JournalFile],
        links: Links | None,
        payments: Sequence[Way] = (),
        updates: Updates | None = None,
    ) -> None:
        self.settings = settings
        self.till = till
        self.staff = staff
        self.links = links
        self.payments = payments
        self.updates = updates
        self._journals = journals

    def close(self) -> None:
        """End the run in order. A disk that fails at the very end only costs the next start its quickness."""
        try:
            if self.updates is not None:
                self.updates.takers.stop()
            self.till.stop()
        except UnavailableError:
            pass  # the next start says that this run did not end by itself
        finally:
            if self.updates is not None:
                self.updates.close()
            _close(self.payments)  # what is under way is asked about after the next start
            for unit in self.till.desk.ports.units:
                unit.close()
            if self.links is not None:
                self.links.close(FLUSH_MS)
            for journal in self._journals:
                journal.close()


class Links:
    """What ties an enrolled till to others: its keepers, and the store's other tills by way of the node."""

    def __init__(self, keepers: Keepers, lane: Callable[[float], LaneNeighbours] | None) -> None:
        """`lane`: one more way to the node, for one caller, with its deadline in seconds."""
        self.keepers = keepers
        self._lane = lane
        self._lanes: list[LaneNeighbours] = []

    def lane(self, deadline_s: float) -> LaneNeighbours | None:
        """A way to the node for one caller; None where there is no node."""
        if self._lane is None:
            return None
        self._lanes.append(self._lane(deadline_s))
        return self._lanes[-1]

    def close(self, flush_ms: int = 0) -> None:
        self.keepers.flush(flush_ms)
        self.keepers.close()
        for lane in self._lanes:
            lane.close()


class _NoNode:
    """Where a till has no store node, what goes through it is away."""

    def ask(self, _: Ask) -> Told:
        raise NeighboursAwayError


def catalogue_of(base: Path, names: tuple[str, ...]) -> Catalogue:
    """Read the assortment that the settings name."""
    return decode(_document_of(base, names))


def _document_of(base: Path, names: tuple[str, ...]) -> bytes:
    """One document, or the two files of the demo's made into one."""
    parts = [files.read(base / name) for name in names]
    return parts[0] if len(parts) == 1 else merge(parts[0], parts[1])


def open_till(path: Path, turn: Callable[[], None] = lambda: None) -> Opened:
    """Read the settings, open or make the journal, and settle what the last run left.

    `turn` is called when all is read that needs no journal: a release that follows another waits there.
    Raises SettingsError, the journal's and the key's leaves, and the assortment's.
    """
    settings = read_settings(files.read(path, 1 << 20), str(path))
    base = path.parent
    folder = base / settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    catalogue, kept = _start_with(settings, base)
    staff = StaffList(read_staff(files.read(base / settings.staff, 1 << 20), settings.staff), ArgonPins())
    turn()
    place = newest(folder)
    key = place.key
    # The journal is made before its key: where there is a key there was a journal, and a lost one never begins again.
    journal = (
        JournalFile.open(place.journal)
        if key.exists()
        else JournalFile.open_or_create(place.journal, settings.till, place.epoch)
    )
    journals = [journal]
    try:
        signer = load_key(key) if key.exists() or journal.head.seq else make_key(key)
        opened = _assembled(settings, base, place, catalogue, staff, journals, signer)
    except BaseException:
        for opened_journal in journals:
            opened_journal.close()
        raise
    try:
        opened.updates = _updates(path, opened, place, signer, kept)
    except BaseException:
        opened.close()
        raise
    return opened


def serve(opened: Opened, listener: serving.Listener) -> int:
    """Show the page on this machine alone until we are told to stop; then end the run in order. Gives the exit code."""
    port, restart = listener.getsockname()[1], threading.Event()
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    app = create_app(opened.till, opened.staff, hosts, updates=opened.updates, restart=restart.set)
    stop = restart if opened.updates is not None else None
    try:
        serving.serve_all([serving.Service(app, listener)], app.state.leave, stop=stop)
    finally:
        opened.close()
    return SWITCH_EXIT if restart.is_set() else 0


def run(settings: Path, *, announce: bool = False) -> int:
    """Run a till from its settings file; its page is on this machine alone.

    Parameters
    ----------
    settings
        The till's settings file (docs/settings.md says what stands in it).
    announce
        Say on the first line, as JSON, that it is open and where: for a program that started it.
    """
    said = read_settings(files.read(settings, 1 << 20), str(settings))
    with slots.listen(said.port) as listener:
        opened = open_till(settings, slots.wait_for_turn)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        slots.say_open()
        print(json.dumps({"ready": True, "page": url}) if announce else f"The till is open: {url}", flush=True)
        return serve(opened, listener)


class BadPinError(RefusedError):
    sentence = N_("A PIN is {shortest} to 12 digits, and not one digit repeated. Choose another.")


class BadRoleError(RefusedError):
    sentence = N_("There is no role “{role}”. There are: {roles}.")


def staff(
    file: Path,
    *,
    number: int,
    role: str = "cashier",
    badge: str = "",
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Add somebody to the staff list, change their role or PIN, or take them off it. The PIN is asked for, never an argument.

    Parameters
    ----------
    file
        The staff list; made when missing.
    number
        The staff number.
    role
        cashier, supervisor or manager.
    badge
        What the scanner reads from the badge; only its digest is kept.
    remove
        Take the number off the list.
    """
    members = {m.number: m for m in (read_staff(files.read(file), str(file)) if file.exists() else [])}
    if remove:
        members.pop(number, None)
    else:
        if role not in RANK:
            raise BadRoleError(role=role, roles=", ".join(RANK))
        pin = getpass.getpass("PIN: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        if not (pin.isascii() and pin.isdigit() and SHORTEST <= len(pin) <= 12 and len(set(pin)) > 1):
            raise BadPinError(shortest=SHORTEST)
        said = {"number": number, "role": role, "pin": digest_of(pin), "badge": digest(badge.encode()) if badge else ""}
        members[number] = msgspec.convert(said, Member)
    files.write(file, msgspec.json.format(msgspec.json.encode(sorted(members.values(), key=lambda m: m.number))))
    print(f"{file}: {len(members)} on the list")
    return 0


def _assembled(
    settings: Settings,
    base: Path,
    place: EpochFiles,
    catalogue: Catalogue,
    staff: StaffList,
    journals: list[JournalFile],
    signer: Signer,
) -> Opened:
    journal, key = journals[0], place.key
    units = [_unit(unit, base) for unit in settings.units]
    paths = [_path(printer, base, key.parent) for printer in settings.printers]
    if settings.rules.electronic:
        paths.append(ScreenPrinter("electronic", "electronic"))
    ports = Ports(journal, signer, SystemClock(), units, paths, catalogue, files.installation(key))
    ports.invoices = _invoice_customers(settings, base)

    def code_for(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
        make = pack if electronic else pack_to_print
        return make(receipt, journal.till, journal.epoch, seq, time, journal.digest_at(seq), signer)

    def by_code(code: str) -> tuple[Original, Receipt | None]:
        found = unpack(code, lambda till, epoch: _verifier(ports, till, epoch))
        return Original(found.till, found.epoch, found.number), found.receipt

    till = Till(ports, settings.rules, sayer(settings.language), code_for, by_code)
    opening = EpochOpened(
        store=settings.store,
        company=settings.company,
        org_no=settings.org_no,
        address=settings.address,
        register=f"{settings.register}-{journal.epoch}",
        manufacturing_no=f"{settings.manufacturing_no}-{journal.epoch}",
        model=MODEL,
        software=__version__,
        public_key=signer.public.hex(),
        units=tuple(unit.unit for unit in settings.units),
        installation=ports.installation,
    )
    if (journal.till, till.desk.state.identity is not None) == (settings.till, True):
        known = till.desk.identity
        if (known.org_no, known.register) != (opening.org_no, opening.register):
            reason = f"the journal belongs to register {known.register} of company {known.org_no}"
            raise SettingsError(file="settings", reason=reason)
    elif journal.till != settings.till:
        raise SettingsError(file="settings", reason=f"the journal belongs to till {journal.till}")
    links = _linked(settings, place, till, journals, signer)
    payments: list[Way] = []
    try:
        for path in settings.payments:
            payments.append(_payment(path, settings, base, till, links))
        ports.payments = payments
        till.start(opening)
    except BaseException:
        _close(payments)
        if links is not None:
            links.close()
        raise
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()  # a hundred thousand articles live as long as the till: no need to look through them between two scans
    return Opened(settings, till, staff, journals, links, payments)


def _linked(
    settings: Settings, place: EpochFiles, till: Till, journals: list[JournalFile], signer: Signer
) -> Links | None:
    """Tie an enrolled till to its keepers and neighbours; None for one that works alone. Raises SettingsError."""
    enrolled = place.enrolled()
    if enrolled is None:
        return None
    _check_papers(settings, place, enrolled)
    ports, journal, clock = till.desk.ports, journals[0], SystemClock()
    source = JournalSource(journal, signer, BelievedClock(till, clock).now)
    keepers = Keepers(source, enrolled, place.papers, ports.others, clock)
    if (refusal := keepers.refusal()) is not None:
        raise refusal
    ports.copies = keepers
    older = [_older(known, journals, clock) for known in epochs_in(place.journal.parent) if known.epoch < place.epoch]
    keepers.begin([known for known in older if known is not None])
    node = keepers.store_node()
    if node is None:
        return Links(keepers, None)
    believed = LaneClock(till, clock)
    links = Links(
        keepers,
        lambda deadline_s: LaneNeighbours(
            node, journal.till, journal.epoch, signer, away=keepers.node_away, deadline_s=deadline_s, clock=believed
        ),
    )
    if (neighbours := links.lane(DEADLINE_S)) is not None:
        ports.neighbours = neighbours
    return links


def _start_with(settings: Settings, base: Path) -> tuple[Catalogue, dict[str, Charged]]:
    """The assortment that came down last, where publications are taken and one did; else the settings' own."""
    if settings.publications is None:
        return catalogue_of(base, settings.assortment), {}
    return start_with(base / settings.folder / GOODS, lambda: catalogue_of(base, settings.assortment))


def _updates(
    path: Path, opened: Opened, place: EpochFiles, signer: Signer, kept: Mapping[str, Charged]
) -> Updates | None:
    """What takes in what comes down; None where the settings name no roots. Raises PublicationMalformedError, FileMissingError."""
    settings, till, base = opened.settings, opened.till, path.parent
    said = settings.publications
    if said is None:
        return None
    roots = {
        VENDOR: files.read(base / said.vendor_root, LARGEST_ROOT),
        CHAIN: files.read(base / said.chain_root, LARGEST_ROOT),
    }
    root, pace = first_pace(roots[CHAIN], str(base / said.chain_root))
    trust = files.folder(place.journal.parent / "publications")
    publications = Publications(trust, roots, settings.store)

    def sources() -> list[Source]:
        return _sources(said, base, place)

    hands, clock = DeskHands(till), till.desk.ports.clock
    looking = Looking(publications.look, sources())
    parts: list[Closes] = [looking]
    ours, rate = slots.launched(), Rate(said.rate_kb_s * 1000, hands.paying)
    install: Slots = NoSlots()
    if ours is not None:
        install = slots.FileSlots(ours, path, publications, sources, rate=rate, tell=looking.tell)
        parts.append(install)
    me = Me(
        settings.store, settings.till, place.epoch, signer, platform.machine() or "any", root, pace,
        digest(files.read(path, 1 << 20)), platform.python_version(),
    )  # fmt: skip
    intake = Intake(hands, install, me, said.hours)
    fetching = sources()
    fetch = fetch_by(publications, fetching, tell=looking.tell, rate=rate)
    goods_hands = GoodsHands(
        base / settings.folder / GOODS, fetch, lambda: _document_of(base, settings.assortment), sources=fetching
    )
    parts.append(goods_hands)
    goods = GoodsIntake(till.desk, goods_hands, settings.store, kept)
    hands.charged = lambda: goods.digest or till.desk.catalogue.version
    takers = Takers(looking, clock.counter, till.desk.now, said.look_s * 1000, [intake, goods])
    updates = Updates(intake, takers, parts, hands, goods)
    try:
        intake.begin()
        goods.start()
    except BaseException:
        updates.close()
        raise
    return updates


def _sources(said: PublicationSettings, base: Path, place: EpochFiles) -> list[Source]:
    """Sources of one thread's own, in the order they are asked: the store's before head office's."""
    found: list[Source] = []
    enrolled = place.enrolled()
    for one in said.sources:
        if one.folder:
            found.append(make_source(one.folder, folder=base / one.folder))
        elif one.url:
            found.append(make_source(one.url, url=one.url, tls=one.tls))
        elif enrolled is not None:
            infos = sorted(infos_of(enrolled), key=lambda info: ("store", "till", "hq").index(info.place))
            found += [make_source(info.name, url=f"{info.url}/pub", tls=info.tls) for info in infos]
    return found


class BelievedClock:
    """What the till believes the time to be: what it signs for others is dated by this."""

    def __init__(self, till: Till, clock: SystemClock) -> None:
        self._till, self._clock = till, clock

    def now(self) -> int:
        return self._till.desk.time.believed(self._clock.counter())

    def counter(self) -> int:
        return self._clock.counter()


class LaneClock(BelievedClock):
    """The same for questions to the node, which paths of payment ask before the till has begun: until then the machine's clock."""

    def now(self) -> int:
        return super().now() if self._till.desk.time.judged else self._clock.now()


def _check_papers(settings: Settings, place: EpochFiles, enrolled: Enrolled) -> None:
    said = (enrolled.till, enrolled.store, enrolled.epoch)
    if said != (settings.till, settings.store, place.epoch):
        reason = f"the papers are of till {enrolled.till}, store {enrolled.store}, epoch {enrolled.epoch}"
        raise SettingsError(file="settings", reason=reason)


def _older(place: EpochFiles, journals: list[JournalFile], clock: SystemClock) -> JournalSource | None:
    """An epoch that is over goes on being sent until it is kept; one that cannot be read is left as it is."""
    if not (place.key.exists() and place.journal.exists() and place.papers.exists()):
        return None
    try:
        journal = JournalFile.open(place.journal)
        journals.append(journal)
        return JournalSource(journal, load_key(place.key), clock.now)
    except OppetError:
        return None


def _verifier(ports: Ports, till: str, epoch: int) -> Verifier | None:
    if (till, epoch) == (ports.journal.till, ports.journal.epoch):
        return Verifier(ports.signer.public)
    other = ports.others.get((till, epoch))
    return Verifier(other) if other is not None else None


def _unit(unit: UnitSettings, base: Path) -> ControlUnit:
    if unit.protocol == "skattedosan":
        return SkattedosanUnit(unit.unit, str(base / unit.device))
    return XccspUnit(unit.unit, unit.host, unit.port, user=unit.user, password=unit.password)


def _invoice_customers(settings: Settings, base: Path) -> dict[str, InvoiceCustomer] | None:
    """Who may buy on an invoice, by token; None where the settings name no list. Raises SettingsError, FileMissingError."""
    if not settings.invoice_customers:
        return None
    file = base / settings.invoice_customers
    return invoice_customers(files.read(file, LARGEST_LIST), str(file))


def _payment(path: PaymentSettings, settings: Settings, base: Path, till: Till, links: Links | None) -> Way:
    """One way of paying, looked after from now on. Raises SettingsError, and what a passphrase's file is refused for."""
    clock = BelievedClock(till, SystemClock())
    place = settings.till if settings.till.startswith(f"{settings.store}-") else f"{settings.store}-{settings.till}"
    if isinstance(path, NexoSettings):
        key = derive(path.key_id, path.key_version, load_passphrase(base / path.passphrase_file))
        return NexoTerminal(
            name=path.name, till=place, host=path.host, port=path.port, path=path.path, poi=path.poi, key=key, pin=path.tls_pin,
            root=base / path.root if path.root else None, environment=path.environment, offline=path.offline, login=path.login,
            notices_port=path.notices_port, clock=clock,
        )  # fmt: skip
    if isinstance(path, SwishAloneSettings):
        return SwishAlone(name=path.name, payee=path.payee, clock=clock)
    lane = (links.lane(PAY_DEADLINE_S) if links is not None else None) or _NoNode()
    if isinstance(path, GiftCardSettings):
        return GiftCardPath(name=path.name, place=place, ask=lane.ask, clock=clock)
    key_hex = till.desk.ports.signer.public.hex()
    return SwishPath(name=path.name, place=place, key=key_hex, ask=lane.ask, clock=clock)


def _close(payments: Sequence[Way]) -> None:
    for path in payments:
        path.close()


def _path(printer: PrinterSettings, base: Path, folder: Path) -> ReceiptPath:
    match printer.kind:
        case "network":
            return NetworkPrinter(printer.name, printer.host, printer.port, printer.columns)
        case "serial":
            return SerialPrinter(printer.name, str(base / printer.device), columns=printer.columns)
        case "file":
            return FilePrinter(printer.name, base / printer.device, printer.columns)
        case _:
            spool = folder / "receipts"
            spool.mkdir(exist_ok=True)
            return ScreenPrinter(printer.name, "paper", spool, columns=printer.columns)
