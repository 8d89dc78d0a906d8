"""Keepers for tests of the sender's side: a real one behind real HTTP, and one that hangs, drips or talks nonsense."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from oppet.base.signing import Signer
from oppet.drivers import tls
from oppet.drivers.keeper_http import KeeperApp
from oppet.drivers.serving import Service, listen, serve_all
from oppet.sync.certificates import Directory, Standing
from oppet.sync.enrolment import Enrolled, Request
from oppet.sync.errors import CodeSpentError
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import Signed
from oppet.sync.messages import KeeperInfo, Paper
from tests.sync.chain import HQ, NODE, FakeClock, MemoryShelf, a_directory

__all__ = ["FakeDoors", "Served", "hanging", "saying", "served"]


class LockedShelf(MemoryShelf):
    """One caller at a time: a real shelf holds its streams so."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()

    @contextmanager
    def stream(self, standing: Standing):  # type: ignore[no-untyped-def]
        with self._guard, super().stream(standing) as held:
            yield held


@dataclass
class FakeDoors:
    """What a place answers beside keeping, as a test sets it."""

    info: KeeperInfo
    directory: Directory
    down: tuple[Paper, ...] = ()
    enrolled: Enrolled | None = None
    told: list[Signed] = field(default_factory=list)  # answers to lanes' questions, first in, first out
    asked: list[Signed] = field(default_factory=list)
    introduced: list[Paper] = field(default_factory=list)

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        self.introduced += papers
        return sum(self.directory.add(paper) for paper in papers)

    def enrol(self, request: Request) -> Enrolled:
        if self.enrolled is None:
            raise CodeSpentError(minutes=15)
        return self.enrolled

    def lane(self, signed: Signed) -> Signed:
        self.asked.append(signed)
        return self.told.pop(0)

    def who(self) -> KeeperInfo:
        return self.info

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        return self.down


@dataclass
class Served:
    info: KeeperInfo
    shelf: MemoryShelf
    directory: Directory
    doors: FakeDoors
    app: KeeperApp
    alarms: list[str]


@contextmanager
def served(
    folder: Path,
    name: str = "S01-node",
    place: str = "store",
    signer: Signer = NODE,
    directory: Directory | None = None,
    shelf: MemoryShelf | None = None,
    port: int = 0,
    *,
    secure: bool = True,
) -> Iterator[Served]:
    """A keeper on a port of its own until the block ends; its shelf and directory may outlive it."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / f"{name}.pem"
    shelf, known, alarms = shelf or LockedShelf(), directory or a_directory(), list[str]()

    def alarm(about: str, **_: object) -> None:
        alarms.append(about)

    keeper = Keeper(name, signer, shelf, known.standing, FakeClock(), alarm)
    with listen(port) as listener:
        digest = tls.load_or_make(certificate) if secure else ""
        scheme = "https" if secure else "http"
        info = KeeperInfo(name, place, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", signer.public.hex(), digest)
        doors = FakeDoors(info, known)
        app = KeeperApp(keeper, doors, alarm)
        up, stop = threading.Event(), threading.Event()
        service = Service(app, listener, certificate if secure else None)
        thread = threading.Thread(target=serve_all, args=([service], lambda: None, up.set, stop))
        thread.start()
        assert up.wait(10), "the keeper is up"
        try:
            yield Served(info, shelf, known, doors, app, alarms)
        finally:
            stop.set()
            thread.join(10)
            app.close()


@contextmanager
def hanging(name: str = "S01-K2", place: str = "till") -> Iterator[KeeperInfo]:
    """A keeper that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield KeeperInfo(name, place, url, HQ.public.hex())


@contextmanager
def saying(*pieces: bytes, pause_s: float = 0.0, times: int = 1) -> Iterator[KeeperInfo]:
    """A server that reads a little and says this, piece by piece, to `times` callers."""
    stop = threading.Event()

    def talk(listener: socket.socket) -> None:
        for _ in range(times):
            line, _ = listener.accept()
            with line:
                line.recv(65536)
                try:
                    for piece in pieces:
                        line.sendall(piece)
                        if stop.wait(pause_s):
                            return
                except OSError:
                    continue  # the caller had enough

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield KeeperInfo("S01-node", "store", url, NODE.public.hex())
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
