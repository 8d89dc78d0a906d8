"""`oppet till self-test`: a release proves on this very machine that it can sell, before it is let near a customer (RL11).

It reads what this till reads (settings, staff, assortment, the end of its journal), sells once into a throw-away journal with a control
unit that lives in this process, makes the receipt, shows the page, and walks the journal it wrote. The real control unit is asked for
its status and nothing else: a training receipt would be counted by law. Nothing of the till's is written.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from oppet import __version__
from oppet.base.errors import OppetError, RefusedError, clip
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.control_unit_xccsp import XccspUnit
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.drivers.pins import ArgonPins
from oppet.drivers.words import sayer
from oppet.goods.catalogue import Catalogue
from oppet.journal.entry import body_of, parse
from oppet.journal.errors import NotAJournalError
from oppet.journal.kinds import EpochOpened, Original, Receipt
from oppet.paper.electronic import pack, pack_to_print
from oppet.register.errors import NoReceiptError
from oppet.register.ports import Ports
from oppet.register.till import Till
from oppet.sale.rights import Staff
from oppet.sale.staff import StaffList, read_staff
from oppet.till.epochs import newest
from oppet.till.main import catalogue_of
from oppet.till.settings import Settings, read_settings
from oppet.till.web import create_app
from oppet.yardstick.in_process import InstantUnit, NoPaper

__all__ = ["SelfTestFailedError", "dry_sale", "self_test"]

LINES: Final = 3
MOST_TRIED: Final = 200  # articles asked for until three of them are for sale
NOTE_ORE: Final = 10_000  # the cash given is whole notes
LAST: Final = 500  # entries of the till's own journal that are read
TORN, TORN_S = 5, 0.5  # times it is read, and the pause between
HOST: Final = "127.0.0.1:1"
SECRET: Final = bytes(range(32))  # what is signed with it is thrown away


class SelfTestFailedError(RefusedError):
    sentence = N_("The self-test failed at “{step}”: {reason}.")


def self_test(settings: Path, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Sell once into a throw-away journal with this till's own settings and goods, and say what works. Takes seconds.

    Parameters
    ----------
    settings
        The till's settings file. Nothing of this till's is written.
    as_json
        Print one JSON object.
    """
    began = time.monotonic()
    try:
        facts = dry_sale(settings)
    except SelfTestFailedError as failed:
        if not as_json:
            raise
        print(json.dumps({"good": False, "sentence": str(failed), "facts": failed.facts}, ensure_ascii=False))
        return failed.exit_code
    facts["took_ms"] = str(int((time.monotonic() - began) * 1000))
    if as_json:
        print(json.dumps({"good": True, "facts": facts}, ensure_ascii=False))
    else:
        print("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    return 0


def dry_sale(settings: Path) -> dict[str, str]:
    """Go through all steps; give what was seen. Raises SelfTestFailedError with the step in words."""
    facts = {"version": __version__}
    base = settings.parent
    said = _step("settings", lambda: read_settings(files.read(settings, 1 << 20), str(settings)))
    staff = _step("staff", lambda: StaffList(read_staff(files.read(base / said.staff), said.staff), ArgonPins()))
    catalogue = _step("assortment", lambda: catalogue_of(base, said.assortment))
    facts["articles"] = str(len(catalogue.numbers()))
    facts["entries"] = str(_step("journal", lambda: _read_back(base / said.folder)))
    folder = Path(tempfile.mkdtemp(prefix="oppet-self-test-"))
    try:
        facts |= _step("sale", lambda: _sold(folder, said, catalogue, staff))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts |= _step("control unit", lambda: _units(said, base / said.folder))
    return facts


def _step(step: str, act: Callable[[], Any]) -> Any:
    """Do a part of it; whatever goes wrong has the step's name: a release under test may fail in any way."""
    try:
        return act()
    except SelfTestFailedError:
        raise
    except OppetError as error:
        raise SelfTestFailedError(step=step, reason=str(error)) from error
    except Exception as error:
        raise SelfTestFailedError(step=step, reason=f"{type(error).__name__}: {clip(str(error))}") from error


def _read_back(folder: Path) -> int:
    """Read the end of the till's own journal as this release understands it."""
    journal = newest(folder).journal if folder.is_dir() else None
    if journal is None or not journal.is_file():
        return 0
    for _ in range(TORN):
        if (found := _last_entries(journal)) is not None:
            for data in found:
                body_of(parse(data))
            return len(found)
        time.sleep(TORN_S)  # the running till has just moved its log into the file
    raise SelfTestFailedError(step="journal", reason="an entry cannot be read")


def _last_entries(journal: Path) -> list[bytes] | None:
    """The last entries of a journal that the running till goes on writing; None where they cannot all be read just now."""
    try:
        with JournalReader(journal, in_use=True) as reader:
            _, last = reader.ends()
            found = [data for _, data in reader.rows(max(1, last - LAST))]
    except NotAJournalError:
        return None
    whole = [data for data in found if data is not None]
    return whole if len(whole) == len(found) else None


def _sold(folder: Path, settings: Settings, catalogue: Catalogue, staff: StaffList) -> dict[str, str]:
    signer, unit, paper = Signer(SECRET), InstantUnit("SELFTEST1"), NoPaper()
    journal = JournalFile.create(folder / "self-test.journal", settings.till, 1)
    try:
        till = _till(settings, catalogue, journal, signer, unit, paper)
        total = _one_sale(till, catalogue)
        with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever runs in this one
            page = thread.submit(asyncio.run, _page(till, staff)).result()
        till.stop()
    finally:
        journal.close()
    verdict = verify_file(folder / "self-test.journal")
    if verdict.finding is not None or unit.receipts != 1 or paper.sheets != 1 or page != 200:
        reason = f"receipts {unit.receipts}, sheets {paper.sheets}, page {page}, journal {verdict.finding}"
        raise SelfTestFailedError(step="sale", reason=reason)
    return {"sold_ore": str(total), "page": str(page)}


def _till(
    settings: Settings, catalogue: Catalogue, journal: JournalFile, signer: Signer, unit: InstantUnit, paper: NoPaper
) -> Till:
    def code(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
        make = pack if electronic else pack_to_print
        return make(receipt, journal.till, journal.epoch, seq, time, journal.digest_at(seq), signer)

    def none_known(code: str) -> tuple[Original, Receipt | None]:  # noqa: ARG001 - the port's word
        raise NoReceiptError(number=0)

    ports = Ports(journal, signer, SystemClock(), [unit], [paper], catalogue, "self-test")
    till = Till(ports, settings.rules, sayer(settings.language), code, none_known)
    opening = EpochOpened(
        store=settings.store, company=settings.company, org_no=settings.org_no, address=settings.address,
        register=f"{settings.register}-1", manufacturing_no=f"{settings.manufacturing_no}-1", model="self-test",
        software=__version__, public_key=signer.public.hex(), units=(unit.unit,), installation="self-test",
    )  # fmt: skip
    till.start(opening)
    till.sign_in(Staff(1, "manager"))
    till.drawer.set_float(100_000)
    return till


def _one_sale(till: Till, catalogue: Catalogue) -> int:
    """Sell three articles for cash; give what the receipt came to."""
    sold = 0
    for number in _plain(catalogue):
        try:
            till.selling.pick(number)
        except RefusedError:
            continue  # recalled, not yet sold, or asks for something: this is no test of the assortment
        sold += 1
        if sold == LINES:
            break
    if not sold:
        raise SelfTestFailedError(step="sale", reason="no article could be sold")
    total = till.desk.priced(till.desk.basket()).total_ore
    outcome = till.checkout.pay("cash", (total // NOTE_ORE + 1) * NOTE_ORE)
    if outcome.kind != "done":
        raise SelfTestFailedError(step="sale", reason=f"the sale ended as “{outcome.kind}”")
    return till.desk.state.last_total_ore


def _plain(catalogue: Catalogue) -> Iterator[str]:
    for place, number in enumerate(sorted(catalogue.numbers())):
        if place >= MOST_TRIED:
            return
        article = catalogue.article(number)
        if article.unit == "st" and not article.age:
            yield number


async def _page(till: Till, staff: StaffList) -> int:
    """Ask the program for its page once, without a wire; give the status it answers with."""
    app = create_app(till, staff, (HOST,), ticking=False)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/",
        "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [(b"host", HOST.encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "state": {},
    }  # fmt: skip
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answered.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]  # the framework's own narrower dictionaries
    return int(answered[0]["status"]) if answered else 0


def _units(settings: Settings, folder: Path) -> dict[str, str]:
    """Ask every unit on the network for its status. One on a serial line belongs to the till that runs and is not disturbed."""
    told: dict[str, str] = {}
    asked = ready = 0
    epoch = newest(folder).epoch if folder.is_dir() else 1
    for said in settings.units:
        if said.protocol != "xccsp":
            told[said.unit] = "on a line in use"
            continue
        unit = XccspUnit(said.unit, said.host, said.port, user=said.user, password=said.password)
        try:
            status = unit.probe(f"{settings.register}-{epoch}", settings.org_no)
        finally:
            unit.close()
        asked, ready = asked + 1, ready + status.ready
        told[said.unit] = "ready" if status.ready else clip(status.main)
    if asked and not ready and asked == len(settings.units):
        raise SelfTestFailedError(
            step="control unit", reason=", ".join(f"{name}: {word}" for name, word in told.items())
        )
    return told
