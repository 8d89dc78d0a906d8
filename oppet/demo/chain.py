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
from oppet.demo.signers import Signers
from oppet.demo.wan import OUTSIDE
from oppet.drivers import files, serving
from oppet.drivers.keys import load_key
from oppet.drivers.pins import digest_of
from oppet.drivers.processes import Helper
from oppet.drivers.publication_cache import CacheSettings
from oppet.drivers.swish_desk import SwishSettings as NodeSwishSettings
from oppet.drivers.swish_desk import WaySettings
from oppet.goods.assortment import merge
from oppet.hq.main import Settings as HqSettings
from oppet.release.intake import Hours
from oppet.release.terms import Canary
from oppet.sale.staff import Member
from oppet.simulators.nexo import make_certificates
from oppet.store import enrolment as store_enrolment
from oppet.store.settings import Settings as StoreSettings
from oppet.till import epochs
from oppet.till.settings import (
    NexoSettings,
    PaymentSettings,
    PrinterSettings,
    PublicationSettings,
    Settings,
    SwishAloneSettings,
    SwishSettings,
    UnitSettings,
)

__all__ = ["STAFF", "STORES", "Chain", "Outside", "Store", "TillPlan", "free_ports", "outside", "stores"]

STAFF = ((101, "cashier", "1111"), (201, "supervisor", "2222"), (301, "manager", "3333"))
NEIGHBOUR = "K2keeper"  # the keeper on till K2's machine
PEOPLE = ((301, "Bo"), (101, "Alva"))  # at head office
PASSPHRASE = "the demo's managers have no secrets"  # noqa: S105
TERMINALS = "The demo's terminals have none either, 1"
KEY_ID = "demo"
PAYEE = "1231181189"  # the shop's Swish number, of the kind that only a simulator knows
CACHE_S = (
    3  # between two looks of a node at head office's publications, and of a till at its node's: a demo's viewers wait
)
LOOK_S = 2
SETTLEMENTS = "settlements"  # the folder for what acquirer and Swish say was paid


@dataclass(frozen=True, slots=True)
class Outside:
    """What the stores pay by, and the line to it: a port each, and two for each till's terminal (its own, and its page)."""

    page: int  # the switch
    desk: int  # the signing desk and the thieves
    acquirer: int
    swish: int
    swish_page: int
    terminals: dict[str, tuple[int, int]]  # by till


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
    unit_port: int
    neighbour_port: int
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
        keeper, page, unit, neighbour = next(ports), next(ports), next(ports), next(ports)
        plans = tuple(
            TillPlan(store, f"K{place}", next(ports), robots and number == len(STORES) and place == tills)
            for place in range(1, tills + 1)
        )
        found.append(Store(store, name, banner, address, keeper, page, unit, neighbour, plans))
    return tuple(found)


def outside(ports: Iterator[int], plans: tuple[Store, ...]) -> Outside:
    """Ports for what the demo pays by."""
    names = [plan.name for store in plans for plan in store.tills]
    return Outside(
        next(ports),
        next(ports),
        next(ports),
        next(ports),
        next(ports),
        {name: (next(ports), next(ports)) for name in names},
    )


START_S = 180.0  # on a machine where much else runs
STORES = (
    ("Storgatan", "Nära", "Storgatan 1, 652 24 Karlstad"),
    ("Hamnen", "Stormarket", "Hamngatan 8, 652 25 Karlstad"),
)


class Chain:
    """The files of a chain in `folder`, and how each of its processes is started."""

    def __init__(self, folder: Path, plans: tuple[Store, ...], beyond: Outside | None = None) -> None:
        """`beyond`: what the stores pay by; without it card and Swish are entered by hand. Raises NoDemoGoodsError where the demo's
        goods are not.
        """
        if not (DATA / "assortment-off").is_dir():
            raise NoDemoGoodsError(folder=str(DATA))
        self.folder = files.folder(folder)
        self.stores = plans
        self.beyond = beyond
        self.signers = Signers(self.folder)

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
            swish=self._swish(),
            publications=self._cache(),
        )
        return _written(folder / "node.json", said)

    def _swish(self) -> NodeSwishSettings | None:
        if self.beyond is None:
            return None
        papers = (self.folder / "swish").resolve()
        url = f"https://{OUTSIDE}:{self.beyond.swish}/swish-cpcapi/api/"
        certificates = (str(papers / "client-1.pem"), str(papers / "client-2.pem"))
        return NodeSwishSettings(PAYEE, certificates, str(papers / "ca.pem"), (WaySettings(url),))

    def write_neighbour(self, store: Store) -> Path:
        """The settings of the keeper on one of the tills' machines."""
        folder = files.folder(self.folder / store.id)
        said = StoreSettings(
            store.id, "neighbour", "till", f"{store.id}-{NEIGHBOUR}", port=store.neighbour_port, page_port=0,
            publications=self._cache(),
        )  # fmt: skip
        return _written(folder / "neighbour.json", said)

    def write_till(self, store: Store, plan: TillPlan) -> Path:
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
            assortment=(str(self.write_goods().resolve()),),
            staff=str(self.write_staff().resolve()),
            units=(
                UnitSettings("xccsp", store.unit, host="127.0.0.1", port=store.unit_port),
                UnitSettings("skattedosan", f"SIMSD{plan.name}001".replace("-", ""), device=f"{plan.register}.unit"),
            ),
            printers=(PrinterSettings("screen", "kvittoskrivare"),),
            payments=self._payments(plan),
            publications=self._publications(plan),
            port=plan.port,
        )
        return _written(folder / f"{plan.register}.json", said)

    def _cache(self) -> CacheSettings:
        """With both parties' roots, once there are any, a cache takes no list that they did not sign."""
        if not self.signers.made:
            return CacheSettings(every_s=CACHE_S)
        vendor, chain = (str(self.signers.root(name).resolve()) for name in ("vendor", "chain"))
        return CacheSettings(every_s=CACHE_S, vendor_root=vendor, chain_root=chain)

    def write_goods(self) -> Path:
        """The assortment that tills are installed with, as one document: what the first prices are measured against."""
        path = self.folder / "assortment.json"
        if not path.exists():
            parts = [files.read(DATA / name) for name in ("assortment-off/articles.tsv", "assortment-ours/terms.json")]
            files.write(path, merge(parts[0], parts[1]))
        return path

    def _publications(self, plan: TillPlan) -> PublicationSettings | None:
        """Both parties' roots, once there are any; the robot's till stays as it was installed."""
        if plan.robot or not self.signers.made:
            return None
        vendor, chain = (str(self.signers.root(name).resolve()) for name in ("vendor", "chain"))
        return PublicationSettings(vendor, chain, hours=Hours(("00:00-24:00",), 1), look_s=LOOK_S)

    def sign_the_first(self, store: Store, plan: TillPlan) -> None:
        """The ceremony, once the trial till has its key: the chain's root pins it."""
        key = load_key(epochs.newest(self.folder / store.id / plan.register).key).public.hex()
        self.signers.ceremony(Canary(store.id, plan.name, 1, key), len(self.stores))

    def install(self, store: Store, plan: TillPlan) -> None:
        """The factory's release into the till's slots, which its launcher starts it from."""
        if not plan.robot:
            self.signers.install(files.folder(self.folder / store.id / plan.register) / "slots")

    def _payments(self, plan: TillPlan) -> tuple[PaymentSettings, ...]:
        """A terminal of its own, Swish by way of the node, and the code for the customer's phone when that is away."""
        if self.beyond is None:
            return ()
        pin, phrase = self._pin(plan), self._terminals_phrase()
        card = NexoSettings(
            name="card-1", host="127.0.0.1", port=self.beyond.terminals[plan.name][0], poi=self.poi(plan), key_id=KEY_ID,
            key_version=1, passphrase_file=str(phrase.resolve()), tls_pin=pin,
        )  # fmt: skip
        return card, SwishSettings(name="swish"), SwishAloneSettings(name="swish-alone", payee=PAYEE)

    def write_hq(self, port: int, page_port: int) -> Path:
        """Head office's settings, with the demo account. Stores find it at the far end of the line that has the switch."""
        self.write_goods()
        address, settlements = (OUTSIDE, SETTLEMENTS) if self.beyond is not None else ("", "")
        said = HqSettings(
            folder="hq", port=port, address=address, page_port=page_port, workers=1, demo=True, settlements=settlements,
            log="warning", publications="pub" if self.beyond is not None else "", assortment="assortment.json",
        )  # fmt: skip
        return _written(self.folder / "hq.json", said)

    # --- enrolling

    def invite_store(self, store: Store) -> tuple[str, str]:
        """Head office gives the store a code: the invitation's name, and what is read out."""
        words = ["hq", "store", "add", store.id, "--settings", str(self.folder / "hq.json"), "--called", store.name]
        with Helper("oppet", [*words, "--banner", store.banner, "--json"], wait_s=START_S) as helper:
            helper.finish()  # what it said counts when it has ended
            return str(helper.said["invitation"]), str(helper.said["code"])

    def enrol_store(self, store: Store, hq: str) -> None:
        """The store's keys are made, and certified with the code."""
        invitation, code = self.invite_store(store)
        phrase = self.folder / "passphrase"
        files.write(phrase, PASSPHRASE.encode())
        with redirect_stdout(io.StringIO()):
            store_enrolment.enrol(
                self.folder / store.id / "node.json", hq=hq, invitation=invitation, code=code, passphrase_file=phrase
            )

    def is_enrolled(self, store: Store) -> bool:
        return (self.folder / store.id / "node" / "enrolled.json").exists()

    def let_in(self) -> None:
        """Two people at head office, so that what takes two can be done; they may add their keys later."""
        for number, handle in PEOPLE:
            words = ["hq", "person", "add", str(number), "--settings", str(self.folder / "hq.json"), "--handle", handle]
            with Helper("oppet", [*words, "--roles", "viewer,operations", "--json"], wait_s=START_S) as helper:
                helper.finish()

    def countersign(self, name: str) -> None:
        """Head office's second signature: until then the till's sales count as provisional (K8)."""
        words = ["hq", "till", "countersign", name, "--settings", str(self.folder / "hq.json"), "--epoch", "1"]
        (one, _), (other, _) = PEOPLE
        words += ["--by", str(one), "--approved-by", str(other), "--json"]
        with Helper("oppet", words, wait_s=START_S) as helper:
            helper.finish()

    def enrol_neighbour(self, store: Store) -> None:
        """A till's machine becomes a keeper too, so that a sale has its second copy while the node is away."""
        url = f"https://127.0.0.1:{store.neighbour_port}"
        words = ["store", "invite", str(self.folder / store.id / "node.json"), "--till", NEIGHBOUR, "--keeper", url]
        with Helper("oppet", [*words, "--json"], wait_s=START_S) as inviting:
            inviting.finish()
            invitation, code = str(inviting.said["invitation"]), str(inviting.said["code"])
        node = f"https://127.0.0.1:{store.keeper_port}"
        with redirect_stdout(io.StringIO()):
            store_enrolment.enrol(self.folder / store.id / "neighbour.json", hq=node, invitation=invitation, code=code)

    def has_neighbour(self, store: Store) -> bool:
        return (self.folder / store.id / "neighbour" / "enrolled.json").exists()

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

    # --- what the stores pay by

    @staticmethod
    def poi(plan: TillPlan) -> str:
        """A terminal's name: its model and its serial number."""
        return f"P400Plus-{plan.store}{plan.register}".replace("Plus-", "Plus-0000")

    def _pin(self, plan: TillPlan) -> str:
        """The digest of the certificate that a terminal shows; made here when missing."""
        _, pin, _ = make_certificates(self.folder / "terminals", f"{self.poi(plan)}.test.terminal.adyen.com")
        return pin

    def _terminals_phrase(self) -> Path:
        """The file with what tills and terminals share; a till refuses one that others may read."""
        path = self.folder / "terminals.passphrase"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(TERMINALS, encoding="utf-8")
        return path

    def acquirer(self, *options: str) -> Callable[[], Helper]:
        assert self.beyond is not None
        words = ["--state", str(self.folder / "acquirer.book"), "--settlements", str(self.folder / SETTLEMENTS)]
        words += ["--port", str(self.beyond.acquirer), *options]
        return lambda: Helper("oppet.simulators.acquirer", words, wait_s=START_S, later=True)

    def swish(self, *options: str) -> Callable[[], Helper]:
        assert self.beyond is not None
        words = ["--folder", str(self.folder / "swish"), "--reports", str(self.folder / SETTLEMENTS)]
        words += ["--port", str(self.beyond.swish), "--control-port", str(self.beyond.swish_page), *options]
        return lambda: Helper("oppet.simulators.swish", words, wait_s=START_S, later=True)

    def terminal(self, plan: TillPlan, *options: str) -> Callable[[], Helper]:
        assert self.beyond is not None
        port, page = self.beyond.terminals[plan.name]
        self._pin(plan)  # before the terminal and its till both look for it
        words = ["--state", str(self.folder / plan.store / f"{plan.register}-terminal.log"), "--poi", self.poi(plan)]
        words += ["--certificates", str(self.folder / "terminals"), "--key-id", KEY_ID]
        words += ["--passphrase-file", str(self._terminals_phrase())]
        words += ["--acquirer", f"http://{OUTSIDE}:{self.beyond.acquirer}"]
        words += ["--port", str(port), "--control-port", str(page), *(options or ("--auto-ms", "700"))]
        return lambda: Helper("oppet.simulators.terminal", words, wait_s=START_S, later=True)

    def desk(self) -> Callable[[], Helper]:
        """The signing desk, with its thieves."""
        assert self.beyond is not None
        words = [
            "--folder",
            str(self.folder),
            "--page",
            str(self.beyond.desk),
            "--links",
            str(self.folder / "links.json"),
        ]
        return lambda: Helper("oppet.demo.desk", words, wait_s=START_S, later=True)

    def line(self, hq: int) -> Callable[[], Helper]:
        """The line out of the stores, to head office's keeper, the acquirer and Swish."""
        assert self.beyond is not None
        words = [str(hq), str(self.beyond.acquirer), str(self.beyond.swish), "--page", str(self.beyond.page)]
        words += ["--links", str(self.folder / "links.json")]
        return lambda: Helper("oppet.demo.wan", words, wait_s=START_S, later=True)

    def write_links(self, page_port: int) -> None:
        """What the switch's page points at."""
        assert self.beyond is not None
        found = [("", "hq", f"http://localhost:{page_port}/")]
        found.append(("", "desk", f"http://127.0.0.1:{self.beyond.desk}/"))
        found.append(("", "swish", f"http://127.0.0.1:{self.beyond.swish_page}/"))
        for store in self.stores:
            found.append((f"{store.id} {store.name}", "store", f"http://127.0.0.1:{store.page_port}/"))
            for plan in store.tills:
                if not plan.robot:
                    found.append((plan.name, "till", f"http://127.0.0.1:{plan.port}/"))
                    found.append((plan.name, "display", f"http://127.0.0.1:{plan.port}/display"))
                found.append((plan.name, "terminal", f"http://127.0.0.1:{self.beyond.terminals[plan.name][1]}/"))
        links = [{"name": name, "role": role, "url": url} for name, role, url in found]
        files.write(self.folder / "links.json", msgspec.json.encode(links))

    # --- processes

    def hq(self) -> Callable[[], Helper]:
        words = ["hq", "run", str(self.folder / "hq.json"), "--announce"]
        return lambda: Helper("oppet", words, wait_s=START_S)

    def unit_of_store(self, store: Store) -> Callable[[], Helper]:
        """The store's networked control unit."""
        words = [
            "--unit",
            store.unit,
            "--state",
            str(self.folder / store.id / "unit-http.log"),
            "--port",
            str(store.unit_port),
        ]
        return lambda: Helper("oppet.simulators.cleancash", words)

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
        return lambda: Helper("oppet", words, wait_s=START_S)

    def neighbour(self, store: Store) -> Callable[[], Helper]:
        words = ["store", "keep", str(self.folder / store.id / "neighbour.json"), "--announce"]
        return lambda: Helper("oppet", words, wait_s=START_S)

    def till(self, store: Store, plan: TillPlan) -> Callable[[], Helper]:
        settings = str(self.folder / store.id / f"{plan.register}.json")
        if plan.robot:
            more = ["3", "12", str(self.beyond.swish_page)] if self.beyond is not None else []
            return lambda: Helper("oppet.demo.robot", [settings, plan.name, *more], wait_s=START_S)
        if (self.folder / store.id / plan.register / "slots" / "state.json").exists():
            return lambda: Helper("oppet.drivers.launcher", [settings, "--announce"], wait_s=START_S)
        return lambda: Helper("oppet", ["till", "run", settings, "--announce"], wait_s=START_S)


def _written(path: Path, said: msgspec.Struct) -> Path:
    files.write(path, msgspec.json.format(msgspec.json.encode(said)))
    return path
