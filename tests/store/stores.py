"""A store and a stand-in for head office on loopback, for tests of the node as a program."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from oppet.base.signing import Signer
from oppet.drivers import serving
from oppet.drivers.clock import SystemClock
from oppet.drivers.keeper_client import KeeperClient, enrol_first
from oppet.drivers.keeper_http import KeeperApp, Limits
from oppet.drivers.tls import load_or_make
from oppet.store.enrolment import enrol
from oppet.store.main import Opened, open_node
from oppet.store.node import Node
from oppet.sync.certificates import (
    Directory,
    Revocation,
    StoreCertificate,
    TillCertificate,
    countersigned,
    make_paper,
)
from oppet.sync.enrolment import Enrolled, Invitation, Request, check_request, seal_answer
from oppet.sync.errors import PaperUnfitError
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import Signed
from oppet.sync.messages import KeeperInfo, Paper
from oppet.sync.sender import Sender
from tests.sync.chain import HQ, History, MemoryShelf

PASSPHRASE = "a passphrase of several words"
HQ_KEEPER = Signer(bytes([9]) * 32)
LIMITS = Limits()


@contextmanager
def served(*services: serving.Service) -> Iterator[None]:
    """Serve in a thread of this process."""
    up, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=serving.serve_all, args=(list(services), lambda: None, up.set, stop))
    thread.start()
    try:
        assert up.wait(10), "it did not begin to answer"
        yield
    finally:
        stop.set()
        thread.join(10)
        for service in services:
            service.listener.close()


@dataclass
class Office:
    """Head office for tests: certifies stores, countersigns their tills, keeps what comes."""

    folder: Path
    directory: Directory = field(default_factory=lambda: Directory(HQ.public))
    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    alarms: list[str] = field(default_factory=list)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    stores: dict[str, StoreCertificate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = SystemClock()
        keeper = Keeper("HQ", HQ_KEEPER, self.shelf, self.directory.standing, clock, self._alarm)
        self.app = KeeperApp(keeper, self, self._alarm)
        self.certificate = self.folder / "hq.pem"
        self.tls = load_or_make(self.certificate)
        self.listener = serving.listen(0)
        port = self.listener.getsockname()[1]
        self.info = KeeperInfo("HQ", "hq", f"https://127.0.0.1:{port}", HQ_KEEPER.public.hex(), self.tls)

    def _alarm(self, about: str, **facts: object) -> None:
        self.alarms.append(about)

    @contextmanager
    def open(self) -> Iterator[Office]:
        with served(serving.Service(self.app, self.listener, self.certificate, serving.Guard())):
            yield self
        self.app.close()

    def invited(self, store: str) -> Invitation:
        now = SystemClock().now()
        made = Invitation(f"{store}-INV", "store", store, "", "", "ABCDEFGH", now, 900)
        self.invitations[made.name] = made
        return made

    def certify(self, store: str, name: str, **changes: object) -> None:
        """A new certificate for a store that is here: renamed, closed."""
        known = msgspec.structs.replace(
            self.directory.stores[store], name=name, issued="2027-01-01T00:00:00.000Z", **changes
        )
        self.directory.add(make_paper(known, HQ))

    def revoke(self, till: str, epoch: int) -> None:
        self.directory.add(make_paper(Revocation(till, epoch, "stolen", "2026-11-22T07:00:00.000Z"), HQ))

    # --- doors

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        return sum(self.directory.add(countersigned(p, HQ) if p.kind == "till" else p) for p in papers)

    def enrol(self, request: Request) -> Enrolled:
        made = check_request(self.invitations[request.invitation], request, SystemClock().now())
        certificate = StoreCertificate(
            made.store, "Storgatan", "Nära", request.second_key, request.public_key, "2026-11-22T06:00:00.000Z"
        )
        paper = make_paper(certificate, HQ)
        self.directory.add(paper)
        answer = Enrolled("", 0, made.store, "", HQ.public.hex(), (paper,), (self.info,))
        return seal_answer(answer, made.code, request)

    def lane(self, signed: Signed) -> Signed:
        raise PaperUnfitError(why="no tills here")

    def who(self) -> KeeperInfo:
        return self.info

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        return tuple(self.directory.papers(till.partition("-")[0]))


def a_store(folder: Path, office: Office | None, store: str = "S01", **settings: object) -> Path:
    """Settings of a store that is enrolled at this office; without one, certified by a key that is never reached."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "node.json"
    said = {"store": store, "folder": "node", "port": 0, "page_port": 0, **settings}
    file.write_text(json.dumps(said))
    (folder / "phrase").write_text(PASSPHRASE + "\n")
    if office is not None:
        made = office.invited(store)
        code = enrol(file, hq=office.info.url, invitation=made.name, code=made.code, passphrase_file=folder / "phrase")
        assert code == 0
    return file


@contextmanager
def a_node(file: Path) -> Iterator[tuple[Node, KeeperInfo]]:
    """The node of these settings, answering in a thread of this process."""
    opened: Opened = open_node(file)
    assert opened.node is not None
    try:
        with served(*opened.services):
            yield opened.node, opened.info
    finally:
        opened.close()


def a_till(node: Node, info: KeeperInfo, name: str = "K1", seed: int = 50) -> tuple[History, Enrolled]:
    """A till enrolled over the wire, with an empty journal."""
    made = node.invite(name, "", PASSPHRASE, 301)
    signer = Signer(bytes([seed]) * 32)
    enrolled = enrol_first(info.url, made.name, made.code, signer.public, b"", "machine-1")
    return History(enrolled.till, enrolled.epoch, signer, now=SystemClock().now()), enrolled


def send(history: History, info: KeeperInfo, client: KeeperClient | None = None) -> Sender:
    """All of a history, over the wire."""
    own = client or KeeperClient(info)
    try:
        sender = Sender(history, info.name, bytes.fromhex(info.public_key))
        for now in range(1, 50):
            batch = sender.ask(now)
            if batch is None:
                return sender
            sender.answered(own.batch(batch), now)
        return sender
    finally:
        if client is None:
            own.close()


def certificate_of(till: str, epoch: int, signer: Signer, store: str = "S01") -> TillCertificate:
    return TillCertificate(till, epoch, store, till[-2:], signer.public.hex(), "2026-11-22T06:00:00.000Z")
