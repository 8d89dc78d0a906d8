"""Wiring: settings to drivers, once. `oppet till run` and what the demo, tests and benchmarks start from.

Nothing opens on import. The journal of the newest epoch in the folder is used; the first run makes the key and epoch 1.
"""

from __future__ import annotations

import gc
import re
from pathlib import Path

from oppet import __version__
from oppet.base.errors import UnavailableError
from oppet.base.signing import Signer, Verifier
from oppet.drivers import files, serving
from oppet.drivers.clock import SystemClock
from oppet.drivers.control_unit_skattedosan import SkattedosanUnit
from oppet.drivers.control_unit_xccsp import XccspUnit
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keys import load_key, make_key
from oppet.drivers.pins import ArgonPins
from oppet.drivers.printer import FilePrinter, NetworkPrinter, ScreenPrinter, SerialPrinter
from oppet.drivers.words import sayer
from oppet.fiscal.unit import ControlUnit
from oppet.goods.assortment import merge
from oppet.goods.catalogue import Catalogue, decode
from oppet.journal.kinds import EpochOpened, Original, Receipt
from oppet.paper.electronic import pack, pack_to_print, unpack
from oppet.paper.paths import ReceiptPath
from oppet.register.errors import SettingsError
from oppet.register.ports import Ports
from oppet.register.till import Till
from oppet.sale.staff import StaffList, read_staff
from oppet.till.settings import PrinterSettings, Settings, UnitSettings, read_settings
from oppet.till.web import create_app

__all__ = ["Opened", "catalogue_of", "open_till", "run", "serve"]

MODEL = "Öppet SE"
_JOURNAL = re.compile(r"epoch-(\d{4})\.journal")


class Opened:
    """A till with everything behind it, and what must be closed after it."""

    def __init__(self, settings: Settings, till: Till, staff: StaffList, journal: JournalFile) -> None:
        self.settings = settings
        self.till = till
        self.staff = staff
        self._journal = journal

    def close(self) -> None:
        """End the run in order. A disk that fails at the very end only costs the next start its quickness."""
        try:
            self.till.stop()
        except UnavailableError:
            pass  # the next start says that this run did not end by itself
        finally:
            for unit in self.till.desk.ports.units:
                unit.close()
            self._journal.close()


def catalogue_of(base: Path, names: tuple[str, ...]) -> Catalogue:
    """Read the assortment: one document, or the two files of the demo's."""
    parts = [files.read(base / name) for name in names]
    return decode(parts[0] if len(parts) == 1 else merge(parts[0], parts[1]))


def open_till(path: Path) -> Opened:
    """Read the settings, open or make the journal, and settle what the last run left.

    Raises SettingsError, the journal's and the key's leaves, and the assortment's.
    """
    settings = read_settings(files.read(path, 1 << 20), str(path))
    base = path.parent
    folder = base / settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = catalogue_of(base, settings.assortment)
    staff = StaffList(read_staff(files.read(base / settings.staff, 1 << 20), settings.staff), ArgonPins())
    epoch = max((int(m[1]) for f in folder.iterdir() if (m := _JOURNAL.fullmatch(f.name))), default=0)
    epoch = max(epoch, 1)
    key, place = folder / f"epoch-{epoch:04d}.key", folder / f"epoch-{epoch:04d}.journal"
    # The journal is made before its key: where there is a key there was a journal, and a lost one never begins again.
    journal = JournalFile.open(place) if key.exists() else JournalFile.open_or_create(place, settings.till, epoch)
    try:
        signer = load_key(key) if key.exists() or journal.head.seq else make_key(key)
        return _assembled(settings, base, key, catalogue, staff, journal, signer)
    except BaseException:
        journal.close()
        raise


def serve(opened: Opened, listener: serving.Listener) -> None:
    """Show the page on this machine alone until we are told to stop; then end the run in order."""
    port = listener.getsockname()[1]
    app = create_app(opened.till, opened.staff, (f"127.0.0.1:{port}", f"localhost:{port}"))
    try:
        serving.serve(app, listener, app.state.leave)
    finally:
        opened.close()


def run(settings: Path) -> int:
    """Run a till from its settings file; its page is on this machine alone.

    Parameters
    ----------
    settings
        The till's settings file (docs/settings.md says what stands in it).
    """
    said = read_settings(files.read(settings, 1 << 20), str(settings))
    with serving.listen(said.port) as listener:
        opened = open_till(settings)
        print(f"The till is open: http://127.0.0.1:{said.port}/", flush=True)
        serve(opened, listener)
    return 0


def _assembled(
    settings: Settings,
    base: Path,
    key: Path,
    catalogue: Catalogue,
    staff: StaffList,
    journal: JournalFile,
    signer: Signer,
) -> Opened:
    units = [_unit(unit, base) for unit in settings.units]
    paths = [_path(printer, base, key.parent) for printer in settings.printers]
    if settings.rules.electronic:
        paths.append(ScreenPrinter("electronic", "electronic"))
    ports = Ports(journal, signer, SystemClock(), units, paths, catalogue, files.installation(key))

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
    till.start(opening)
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()  # a hundred thousand articles live as long as the till: no need to look through them between two scans
    return Opened(settings, till, staff, journal)


def _verifier(ports: Ports, till: str, epoch: int) -> Verifier | None:
    if (till, epoch) == (ports.journal.till, ports.journal.epoch):
        return Verifier(ports.signer.public)
    other = ports.others.get((till, epoch))
    return Verifier(other) if other is not None else None


def _unit(unit: UnitSettings, base: Path) -> ControlUnit:
    if unit.protocol == "skattedosan":
        return SkattedosanUnit(unit.unit, str(base / unit.device))
    return XccspUnit(unit.unit, unit.host, unit.port, user=unit.user, password=unit.password)


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
