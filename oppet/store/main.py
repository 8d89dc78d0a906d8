"""Wiring: settings to a running store node, once. `oppet store run`, `oppet store keep`, and what tests and the demo start from.

Two ports: the keeper's, for machines, with a certificate of our own; and the pages', for people, on this machine unless the
settings say otherwise. Nothing opens on import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from oppet.base.clock import parse_utc
from oppet.base.errors import RefusedError, SettingsError
from oppet.base.words import N_
from oppet.drivers import files, serving, zeroconf_lan
from oppet.drivers.clock import SystemClock
from oppet.drivers.keeper_http import KeeperApp
from oppet.drivers.keys import load_key
from oppet.drivers.metrics import CONTENT_TYPE, Measure, exposition
from oppet.drivers.pins import ArgonPins
from oppet.drivers.post import Post
from oppet.drivers.publication_cache import Beat, open_cache
from oppet.drivers.publication_http import Publications, beside
from oppet.drivers.tls import load_or_make
from oppet.sale.staff import StaffList, read_staff
from oppet.store.enrolment import NODE_KEY, POST, TLS, enrolled_in
from oppet.store.node import Health, Node
from oppet.store.settings import LARGEST, Settings, read_settings
from oppet.store.web import create_app
from oppet.sync.messages import KeeperInfo

__all__ = ["Machines", "Opened", "find", "keep", "measures", "open_node", "run"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NoPlaceError(RefusedError):
    sentence = N_("The settings in {file} are of a keeper at “{place}”. Use the other verb: store {verb}.")


class Opened:
    """A node with its ports. `serve` until told to stop, then `close`."""

    def __init__(self, settings: Settings, path: Path) -> None:
        self.settings, self.path = settings, path
        self.listeners: list[serving.Listener] = []
        self.node: Node | None = None
        self._announcement: zeroconf_lan.Announcement | None = None
        try:
            self._open(files.folder(path.parent / settings.folder))
        except BaseException:
            self.close()
            raise

    def _open(self, folder: Path) -> None:
        settings = self.settings
        enrolment = enrolled_in(folder, str(self.path))
        if enrolment.store != settings.store:
            raise SettingsError(
                file=str(self.path), reason=f"store: this folder was enrolled for store {enrolment.store}"
            )
        signer = load_key(folder / NODE_KEY)
        certificate = folder / TLS if settings.tls else None
        tls = load_or_make(certificate, settings.address or settings.host) if certificate is not None else ""
        machine = self._listen(settings.port, settings.host)
        port = machine.getsockname()[1]
        host = settings.address or (settings.host if settings.host not in ("0.0.0.0", "::") else "localhost")  # noqa: S104 - a comparison
        url = f"{'https' if settings.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        self.info = KeeperInfo(settings.keeper, settings.place, url, signer.public.hex(), tls)
        post = Post.open(
            folder / POST, settings.keeper, "store", settings.store, SystemClock(),
            files.installation(folder / NODE_KEY),
        )  # fmt: skip
        try:
            self.node = node = Node(settings, folder, enrolment, signer, post, self.info)
        except BaseException:
            post.close()
            raise
        self.app = KeeperApp(node, node, node.alarm)
        node.watch(self.app.counts)
        self.publications = Publications(files.folder(folder / settings.publications.folder))
        node.cache = self._cache(node, folder)
        machines = beside(self.app, self.publications)
        self.services = [serving.Service(machines, machine, certificate, serving.Guard())]
        if settings.place == "store":
            self.services.append(self._pages(node, post, certificate))
        if settings.announce:
            self._announcement = zeroconf_lan.Announcement(self.info, settings.store, port, settings.interfaces)

    @property
    def ports(self) -> list[int]:
        """The keeper's, then the pages'."""
        return [service.listener.getsockname()[1] for service in self.services]

    def serve(self, ready: Callable[[], None] | None = None) -> None:
        """Until SIGTERM or SIGINT."""
        serving.serve_all(self.services, _nothing, ready)

    def close(self) -> None:
        """In order: nothing new comes in, what is held is let go. Twice does no harm."""
        if self._announcement is not None:
            self._announcement.close()
        for listener in self.listeners:
            listener.close()
        if self.node is not None:
            if hasattr(self, "app"):
                self.app.close()
            if hasattr(self, "publications"):
                self.publications.close()
            self.node.close()

    def _cache(self, node: Node, folder: Path) -> Beat:
        """A node pulls from head office; a neighbour from the node first, so that the store's line carries it once."""
        said, keepers = self.settings, node.enrolment.keepers
        order = ("hq",) if said.place == "store" else ("store", "hq")
        upstream = [one for place in order for one in keepers if one.place == place and one.name != said.keeper]
        makes_own = said.place == "store"
        return open_cache(said.publications, folder, said.store, upstream, node.cache_lied, makes_own=makes_own)

    def _listen(self, port: int, host: str) -> serving.Listener:
        listener = serving.listen(port, host)
        self.listeners.append(listener)
        return listener

    def _pages(self, node: Node, post: Post, certificate: Path | None) -> serving.Service:
        settings = self.settings
        listener = self._listen(settings.page_port, settings.page_host)
        port = listener.getsockname()[1]
        names = dict.fromkeys(("127.0.0.1", "localhost", settings.page_host, settings.address))
        hosts = [f"{name}:{port}" for name in names if name]
        staff = self.path.parent / settings.staff if settings.staff else None
        members = read_staff(files.read(staff, LARGEST), str(staff)) if staff is not None else []
        secure = settings.page_host not in LOOPBACK and certificate is not None
        pages = create_app(node, post, StaffList(members, ArgonPins()), hosts, secure=secure, limits=settings.risk)
        return serving.Service(Machines(pages, node), listener, certificate if secure else None)


class Machines:
    """The pages, and beside them `/health` and `/metrics` for machines: every queue, hop and age (R20). No amounts.

    `/metrics` answers this machine alone: there is no signing in for a scraper.
    """

    def __init__(self, pages: Any, node: Node) -> None:
        self._pages, self._node = pages, node

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Any, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]
    ) -> None:
        path = scope["path"] if scope["type"] == "http" and scope["method"] == "GET" else ""
        here = (scope.get("client") or ("",))[0] in LOOPBACK
        if path != "/health" and not (path == "/metrics" and here):
            await self._pages(scope, receive, send)
            return
        health = self._node.health()
        if path == "/metrics":
            await _send(send, 200, CONTENT_TYPE, exposition(measures(health)))
        else:
            await _send(send, 200 if health.well else 503, "application/json", msgspec.json.encode(health))


async def _send(
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]], status: int, kind: str, body: bytes
) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def measures(health: Health) -> list[Measure]:
    """Everything `/health` says in numbers, for a scraper: by till and reason, no amounts and no person."""
    now, tills = parse_utc(health.time), health.tills
    names = [({"till": one.till, "epoch": str(one.epoch), "branch": one.branch[:12]}, one) for one in tills]
    silent = [(name, (now - parse_utc(one.heard)) / 1000 if one.heard else -1) for name, one in names]
    up = {(one.till, one.epoch, one.branch): one for one in health.queues}
    queues = [
        ({"till": till, "epoch": str(epoch), "branch": branch[:12]}, queue.waiting)
        for (till, epoch, branch), queue in sorted(up.items())
    ]
    return [
        Measure("oppet_node_well", "Whether the node's own journal can be written.", [({}, int(health.well))]),
        Measure("oppet_node_replaced", "Whether HQ certified another node for this store.", [({}, int(health.replaced))]),
        Measure("oppet_node_disk_free_bytes", "What the disk has left.", [({}, health.free_bytes)]),
        Measure("oppet_node_alarms", "Alarms that the node shows, a few hundred at most.", [({}, health.alarms)]),
        Measure("oppet_node_damaged", "Kept journals that were set aside as damaged.", [({}, len(health.damaged))]),
        Measure("oppet_till_kept_entries", "The last entry of a till's journal that is here.", [(n, o.head) for n, o in names]),
        Measure("oppet_till_missing_entries", "What a till said it has and is not here.", [(n, o.behind) for n, o in names]),
        Measure("oppet_till_silent_seconds", "Since a till was last heard; -1 for never since the start.", silent),
        Measure("oppet_till_provisional", "Whether nobody countersigned the till yet.", [(n, int(o.provisional)) for n, o in names]),
        Measure("oppet_till_revoked", "Whether the till's epoch is revoked.", [(n, int(bool(o.revoked))) for n, o in names]),
        Measure("oppet_hq_waiting_entries", "What HQ has not got yet, by journal.", queues),
        Measure(
            "oppet_keeper_total", "What the keeper's port did since the node started.",
            [({"what": what}, count) for what, count in sorted(health.requests.items())],
        ),
    ]  # fmt: skip


def open_node(path: Path) -> Opened:
    """Read the settings, open what is kept, take the ports. Raises SettingsError, NotEnrolledError, PortTakenError."""
    settings = read_settings(files.read(path, LARGEST), str(path))
    return Opened(settings, path)


def run(settings: Path, *, announce: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Run the store node: keeper for the store's tills, relay to head office, and the manager's pages.

    Parameters
    ----------
    settings
        The node's settings file (docs/settings.md says what stands in it).
    announce
        Print one JSON line with the ports when everything answers, for programs that start it.
    """
    return _run(settings, "store", announce=announce)


def keep(settings: Path, *, announce: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Run a neighbour keeper on a till's machine: it keeps copies of the other tills' journals, and nothing else.

    Parameters
    ----------
    settings
        The keeper's settings file, with `place` set to `till`.
    announce
        Print one JSON line with the port when it answers, for programs that start it.
    """
    return _run(settings, "till", announce=announce)


def find(
    *,
    store: str = "",
    seconds: float = 2.0,
    interface: tuple[str, ...] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """List the keepers that announce themselves on this machine's network; a hint where to ask, not whom to believe.

    Parameters
    ----------
    store
        Only this store's.
    seconds
        How long to listen.
    interface
        Addresses of this machine to listen at; all when left out.
    as_json
        One JSON list.
    """
    found = zeroconf_lan.find(store, seconds, interface)
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        print("\n".join(f"{info.name}  {info.url}" for info in found) or "Nobody announces itself. Type the address.")
    return 0


def _run(path: Path, place: str, *, announce: bool) -> int:
    said = read_settings(files.read(path, LARGEST), str(path))
    if said.place != place:
        raise NoPlaceError(file=str(path), place=said.place, verb="keep" if said.place == "till" else "run")
    opened = open_node(path)

    def ready() -> None:
        if announce:
            ports = dict(zip(("port", "page_port"), opened.ports, strict=False))
            line = {
                "ready": opened.info.name,
                "url": opened.info.url,
                "tls": opened.info.tls,
                "pid": os.getpid(),
                **ports,
            }
            print(json.dumps(line), flush=True)
        else:
            pages = f"; pages: http://127.0.0.1:{opened.ports[1]}/" if len(opened.ports) > 1 else ""
            print(f"{opened.info.name} answers: {opened.info.url}{pages}", flush=True)

    try:
        opened.serve(ready)
    finally:
        opened.close()
    return 0


def _nothing() -> None:
    pass
