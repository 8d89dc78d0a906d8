"""`oppet demo`: a till with real goods, two simulated control units and a paper receipt on the screen.

Everything is a real process speaking the real protocol; only the units are simulators, and say so. What the demo sold stays in its
folder until that is removed.
"""

from __future__ import annotations

import webbrowser
from contextlib import ExitStack
from pathlib import Path

import msgspec

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files, serving
from oppet.drivers.pins import digest_of
from oppet.drivers.processes import Helper
from oppet.sale.staff import Member
from oppet.till.main import open_till, serve
from oppet.till.settings import PrinterSettings, Settings, UnitSettings

__all__ = ["demo", "prepare"]

DATA = Path(__file__).resolve().parents[2] / "data"
STAFF = ((101, "cashier", "1111"), (201, "supervisor", "2222"), (301, "manager", "3333"))
SKATTEDOSAN, CLEANCASH = "SIMSD000000000001", "SIMCC000000000001"


class NoDemoGoodsError(RefusedError):
    sentence = N_("The demo's goods are not in {folder}. Run the demo from a checkout of Öppet.")


def prepare(folder: Path, device: str, xccsp_port: int, port: int) -> Path:
    """Write the demo's settings and staff into `folder`; the journal there, if any, is sold on. Gives the settings' path."""
    if not (DATA / "assortment-off").is_dir():
        raise NoDemoGoodsError(folder=str(DATA))
    folder.mkdir(parents=True, exist_ok=True)
    staff = folder / "staff.json"
    if not staff.exists():
        files.write(staff, msgspec.json.encode([Member(number, role, digest_of(pin)) for number, role, pin in STAFF]))  # type: ignore[arg-type]
    settings = Settings(
        till="K3",
        store="S01",
        company="Maximat Demo ekonomisk förening",
        org_no="7696000017",
        address="Storgatan 1, 652 24 Karlstad",
        register="K3",
        manufacturing_no="OPPET-DEMO-K3",
        folder="till",
        assortment=(
            str(DATA / "assortment-off" / "articles.tsv"),
            str(DATA / "assortment-ours" / "terms.json"),
        ),
        staff=staff.name,
        units=(
            UnitSettings("xccsp", CLEANCASH, host="127.0.0.1", port=xccsp_port),
            UnitSettings("skattedosan", SKATTEDOSAN, device=device),
        ),
        printers=(PrinterSettings("screen", "kvittoskrivare"),),
        port=port,
    )
    path = folder / "settings.json"
    files.write(path, msgspec.json.format(msgspec.json.encode(settings)))
    return path


def demo(*, port: int = 8300, folder: Path = Path("var/demo"), browser: bool = True) -> int:
    """Open a till in the browser: real goods, two simulated control units, a receipt on the screen.

    Parameters
    ----------
    port
        Where the page is, on this machine alone.
    folder
        Where the demo keeps its journal; remove it to begin anew.
    browser
        Whether to open the browser.
    """
    folder = files.folder(folder.resolve())
    with ExitStack() as stack:
        listener = stack.enter_context(serving.listen(port))
        print("Starting two simulated control units …", flush=True)
        serial = stack.enter_context(
            Helper("oppet.simulators.skattedosan", ["--unit", SKATTEDOSAN, "--state", str(folder / "unit-serial.log")])
        )
        http = stack.enter_context(
            Helper("oppet.simulators.cleancash", ["--unit", CLEANCASH, "--state", str(folder / "unit-http.log")])
        )
        print("Loading goods and journal …", flush=True)
        opened = open_till(prepare(folder, str(serial.said["device"]), int(http.said["port"]), port))
        url = f"http://127.0.0.1:{port}/"
        print(f"\n  The till is open: {url}\n")
        for number, role, pin in STAFF:
            print(f"    {role:<11} number {number}  PIN {pin}")
        print(f"\n  Goods: {len(opened.till.desk.ports.catalogue)} articles. Customer display: {url}display")
        print(
            '  Trouble the control units with POST {"fault": "busy", "count": 3} (or full, silent_registered, not_operational, clear):'
        )
        for name, unit in ((CLEANCASH, http), (SKATTEDOSAN, serial)):
            print(f"    {name}: http://127.0.0.1:{unit.said['control_port']}/control")
        print("\n  Stop with Ctrl-C.\n", flush=True)
        if browser:
            webbrowser.open(url)
        serve(opened, listener)
    return 0
