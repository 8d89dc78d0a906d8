"""The demo's chain: who is in it, what each is told, and how it is enrolled, once, by the very verbs a real chain uses.

Everything lies in one folder; what was sold there is sold on the next time. Keys and codes here protect nothing: the
passphrase is written below. Starting and watching the processes is `watch.py`'s.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import msgspec

from oppet.demo.goods import DATA, NoDemoGoodsError
from oppet.drivers import files, serving
from oppet.drivers.pins import digest_of
from oppet.drivers.processes import Helper
from oppet.sale.staff import Member
from oppet.store import enrolment as store_enrolment
from oppet.store.settings import Settings as StoreSettings
from oppet.till import epochs
from oppet.till.settings import PrinterSettings, Settings, UnitSettings

__all__ = ["STAFF", "STORES", "Chain", "Store", "TillPlan", "free_ports"]

STAFF = ((101, "cashier", "1111"), (201, "supervisor", "2222"), (301, "manager", "3333"))
PASSPHRASE = "the demo's managers have no secrets"
NEEDED = 2  # ports of a store beside its tills'


@dataclass(frozen=True, slots=True)
class TillPlan:
    """One till of the demo; `robot` sells by itself and has no page."""

    store: str
    register: str
    port: int
    robot: bool = False

    @property
    def name(self) -> str:
        return f"{self.store}-{self.register}"


@dataclass(frozen=True, slots=True)
class Store:
    id: str
    name: str
    banner: str
    address: str
    keeper_port: int
    page_port: int
    tills: tuple[TillPlan, ...]

    @property
    def unit(self) -> str:
        """The store's own control unit, which all its tills share."""
        return f"SIMCC{self.id}0000001"


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now; for tests that start a chain of their own."""
    listeners = [serving.listen(0) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def stores(ports: Iterator[int], tills: int = 2, *, robots: bool = True) -> tuple[Store, ...]:
    """The demo's two stores. The last till of the second sells by itself."""
    found = []
    for number, (name, banner, address) in enumerate(STORES, 1):
        store = f"S{number:02d}"
        keeper, page = next(ports), next(ports)
        plans = tuple(
            TillPlan(store, f"K{place}", next(ports), robots and number == len(STORES) and place == tills)
            for place in range(1, tills + 1)
        )
        found.append(Store(store, name, banner, address, keeper, page, plans))
    return tuple(found)


STORES = (
    ("Storgatan", "Nära", "Storgatan 1, 652 24 Karlstad"),
    ("Hamnen", "Stormarket", "Hamngatan 8, 652 25 Karlstad"),
)


class Chain:
    """The files of a chain in `folder`, and how each of its processes is started."""

    def __init__(self, folder: Path, plans: tuple[Store, ...]) -> None:
        """Raises NoDemoGoodsError where the demo's goods are not."""
        if not (DATA / "assortment-off").is_dir():
            raise NoDemoGoodsError(folder=str(DATA))
        self.folder = files.folder(folder)
        self.stores = plans

    # --- settings

    def write_staff(self) -> Path:
        path = self.folder / "staff.json"
        if not path.exists():
            members = [Member(number, role, digest_of(pin)) for number, role, pin in STAFF]  # type: ignore[arg-type]
            files.write(path, msgspec.json.encode(members))
        return path

    def write_store(self, store: Store) -> Path:
        """A store node's settings."""
        folder = files.folder(self.folder / store.id)
        said = StoreSettings(
            store=store.id,
            folder="node",
            port=store.keeper_port,
            page_port=store.page_port,
            staff=str(self.write_staff().resolve()),
        )
        return _written(folder / "node.json", said)

    def write_till(self, store: Store, plan: TillPlan, unit_port: int) -> Path:
        """A till's settings: the store's networked control unit first, then its own by the serial line."""
        folder = files.folder(self.folder / store.id)
        said = Settings(
            till=plan.name,
            store=store.id,
            company=f"{store.banner} Demo ekonomisk förening",
            org_no="7696000017",
            address=store.address,
            register=plan.register,
            manufacturing_no=f"OPPET-DEMO-{plan.name}",
            folder=plan.register,
            assortment=(
                str(DATA / "assortment-off" / "articles.tsv"),
                str(DATA / "assortment-ours" / "terms.json"),
            ),
            staff=str(self.write_staff().resolve()),
            units=(
                UnitSettings("xccsp", store.unit, host="127.0.0.1", port=unit_port),
                UnitSettings("skattedosan", f"SIMSD{plan.name}001".replace("-", ""), device=f"{plan.register}.unit"),
            ),
            printers=(PrinterSettings("screen", "kvittoskrivare"),),
            port=plan.port,
        )
        return _written(folder / f"{plan.register}.json", said)

    # --- enrolling

    def enrol_store(self, store: Store, hq: str, invitation: str, code: str) -> None:
        """The store's keys are made and certified."""
        phrase = self.folder / "passphrase"
        files.write(phrase, PASSPHRASE.encode())
        with redirect_stdout(io.StringIO()):
            store_enrolment.enrol(
                self.folder / store.id / "node.json", hq=hq, invitation=invitation, code=code, passphrase_file=phrase
            )

    def is_enrolled(self, store: Store) -> bool:
        return (self.folder / store.id / "node" / "enrolled.json").exists()

    def has_papers(self, store: Store, plan: TillPlan) -> bool:
        return any((self.folder / store.id / plan.register).glob("epoch-*.papers.json"))

    def enrol_till(self, store: Store, plan: TillPlan) -> None:
        """The manager reads a code out, the till shows it to the running node, the manager's key signs."""
        words = ["store", "invite", str(self.folder / store.id / "node.json"), "--till", plan.register, "--json"]
        words += ["--passphrase-file", str(self.folder / "passphrase")]
        with Helper("oppet", words) as inviting, redirect_stdout(io.StringIO()):
            epochs.enrol(
                self.folder / store.id / f"{plan.register}.json",
                store=f"https://127.0.0.1:{store.keeper_port}",
                invitation=str(inviting.said["invitation"]),
                code=str(inviting.said["code"]),
            )

    # --- processes

    def unit_of_store(self, store: Store) -> Callable[[], Helper]:
        """The store's networked control unit."""
        log = self.folder / store.id / "unit-http.log"
        return lambda: Helper("oppet.simulators.cleancash", ["--unit", store.unit, "--state", str(log)])

    def unit_of_till(self, store: Store, plan: TillPlan) -> Callable[[], Helper]:
        """A till's own control unit; its line is linked where the settings look for it."""
        unit = f"SIMSD{plan.name}001".replace("-", "")
        log, link = (
            self.folder / store.id / f"{plan.register}-unit.log",
            self.folder / store.id / f"{plan.register}.unit",
        )

        def start() -> Helper:
            helper = Helper("oppet.simulators.skattedosan", ["--unit", unit, "--state", str(log)])
            link.unlink(missing_ok=True)
            link.symlink_to(str(helper.said["device"]))
            return helper

        return start

    def node(self, store: Store) -> Callable[[], Helper]:
        words = ["store", "run", str(self.folder / store.id / "node.json"), "--announce"]
        return lambda: Helper("oppet", words, wait_s=60)

    def till(self, store: Store, plan: TillPlan) -> Callable[[], Helper]:
        settings = str(self.folder / store.id / f"{plan.register}.json")
        if plan.robot:
            return lambda: Helper("oppet.demo.robot", [settings, plan.name], wait_s=60)
        return lambda: Helper("oppet", ["till", "run", settings, "--announce"], wait_s=60)


def _written(path: Path, said: msgspec.Struct) -> Path:
    files.write(path, msgspec.json.format(msgspec.json.encode(said)))
    return path
