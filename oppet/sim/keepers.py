"""A keeper in the simulated chain: the store node, a neighbour till's, or head office; how it sends on and how it rules.

The keeper, its directory and its senders are the real ones; the disk, the cable and the machine are the world's. A
keeper that boots knows what its disk knows: certificates are kept beside the journals. A node's rulings are
`store/lanes.py`'s, over what its shelf keeps and what its own journal says it granted; the till's side is
`drivers/neighbours.py`'s with the wire exchanged (`tills.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from typing import Any, Protocol, cast

import msgspec

from oppet.base.clock import Clock
from oppet.base.errors import OppetError, RefusedError, UnavailableError, UntrustedError
from oppet.base.signing import Signer
from oppet.drivers.post import Post
from oppet.drivers.shelf_files import FileShelf, Listed
from oppet.goods.catalogue import Catalogue
from oppet.journal.entry import Entry, Head, parse, seal
from oppet.journal.kinds import Body, Elsewhere, Receipt
from oppet.register.ports import Neighbours
from oppet.sim.disks import Disk, KeptSource
from oppet.sim.file_disks import FileDisk
from oppet.sim.laws import Laws
from oppet.sim.network import Network
from oppet.store.lanes import LaneDesk
from oppet.sync.certificates import Directory
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import Signed
from oppet.sync.messages import Answer, KeeperInfo, Paper, decode_batch, encode_batch
from oppet.sync.sender import Sender, Source

__all__ = ["Chain", "KeeperRole", "Machine", "post"]


class Meddler(Protocol):
    """Whoever may answer in a keeper's place."""

    busy: bool

    def meddle(self, sender: Sender, target: Machine, answer: Answer) -> Answer: ...


class Chain(Protocol):
    """The world, as its machines need it."""

    now: int
    settling: bool
    laws: Laws
    network: Network
    catalogue: Catalogue
    odd_papers: set[tuple[str, int]]
    managers: dict[str, Signer]
    store_papers: dict[str, Paper]
    nodes: dict[str, Machine]
    machines: dict[str, Machine]
    issued: set[tuple[str, int]]
    hq: Machine
    hq_signer: Signer
    hq_node: Signer

    @property
    def thief(self) -> Meddler: ...
    @property
    def papers(self) -> dict[tuple[str, int, int], Receipt]: ...
    def new_disk(self, name: str) -> Disk: ...
    def key(self, words: str) -> Signer: ...
    def till_key(self, till: str, epoch: int) -> Signer: ...
    def count(self, fault: str) -> None: ...
    def cover(self, table: str, edge: str) -> None: ...
    def pass_ms(self, ms: int) -> None: ...
    def died(self, name: str) -> None: ...
    def disk_shrank(self, machine: Machine) -> None: ...
    def forked(self, till: str, epoch: int) -> None: ...
    def ahead(self, machine: Machine, sender: Sender, about: str) -> None: ...
    def next_epoch(self, till: str) -> int: ...
    def witness(self, machine: Any) -> list[Signer]: ...
    def keepers_of(self, machine: Any) -> list[Machine]: ...
    def neighbours(self, machine: Any) -> Neighbours: ...
    def receipts_of(self, store: str, chance: Random) -> list[tuple[str, int, int]]: ...
    def up_to_date(self, store: str, but: str) -> bool: ...
    def parked_elsewhere(self, machine: Any) -> list[Elsewhere]: ...
    def take_over(self, machine: Any, at: Elsewhere) -> None: ...
    def wiped(self, machine: Any) -> None: ...
    def refused(self, machine: Any, what: str, error: OppetError) -> None: ...


class Machine:
    """A computer: a name, a disk, power, and a clock that may be wrong."""

    def __init__(self, world: Chain, name: str, store: str) -> None:
        self.world = world
        self.name, self.store = name, store
        self.disk = world.new_disk(name)
        self.up = False
        self.up_at = 0
        self.skew = 0
        self.booted = 0
        self.image: Disk | None = None
        self.role: KeeperRole | None = None

    def now(self) -> int:
        return self.world.now + self.skew

    def counter(self) -> int:
        return self.world.now - self.booted + 1_000

    def boot(self) -> None:
        self.up, self.booted = True, self.world.now
        if self.role is not None:
            try:
                self.role.boot()
            except UnavailableError:  # its disk: somebody tries again in a moment
                self.down(5_000)
                raise

    def down(self, after_ms: int) -> None:
        """The power goes; it comes back so much later."""
        self.up, self.up_at = False, self.world.now + after_ms
        lost = self.disk.power_cut()
        if lost:
            self.world.count("cached entries lost")
            self.world.disk_shrank(self)


class KeeperRole:
    def __init__(self, machine: Machine, name: str, place: str, signer: Signer) -> None:
        self.machine = machine
        self.name, self.place, self.signer = name, place, signer
        self.alarms: set[tuple[str, int, str]] = set()
        self.info = KeeperInfo(name, place, "http://sim", signer.public.hex())
        self.boot()

    def boot(self) -> None:
        """As after a power cut: what is in memory is gone."""
        machine = self.machine
        self.directory = Directory(machine.world.hq_signer.public)
        for paper in machine.disk.papers:
            self.directory.add(paper)
        self.keeper = Keeper(
            self.name, self.signer, machine.disk.keeper_shelf(self.directory.standing, machine, self._alarm),
            self.directory.standing, machine, self._alarm,
        )  # fmt: skip
        self.relays: dict[tuple[str, int, str], Sender] = {}
        self.desk = None
        if self.place == "store":
            shelf, post = cast(FileShelf, _shelf(machine.disk)), cast(Post, _Post(machine.disk, machine))
            self.desk = LaneDesk(shelf, post, self.signer, self.directory.standing, machine.store, machine)

    def lane(self, signed: Signed) -> Signed:
        """What `POST /lane/1/ask` does."""
        assert self.desk is not None, "only a store's node rules"
        return self.desk.answer(signed)

    def _alarm(self, about: str, **facts: object) -> None:
        world = self.machine.world
        world.cover("keeper", about)
        if about == "fork":
            till, epoch, branch = str(facts["till"]), int(str(facts["epoch"])), str(facts["branch"])
            self.alarms.add((till, epoch, branch))
            world.forked(till, epoch)

    def take(self, octets: bytes) -> Answer:
        """What `POST /keep/1/batch` does. Raises the leaves of `sync/errors.py`."""
        world = self.machine.world
        try:
            answer = self.keeper.receive(decode_batch(octets))
        except (RefusedError, UntrustedError, UnavailableError) as error:
            world.cover("keeper", type(error).__name__)
            raise
        world.cover("keeper", answer.status)
        if answer.ack is not None:
            world.laws.promise(self.machine.disk, self.name, answer.ack)
            till, epoch = answer.ack.till, answer.ack.epoch
            standing = self.directory.standing(till, epoch)
            if standing is not None and standing.revoked:
                papers = tuple(p for p in self.directory.papers_of(till, epoch) if p.kind == "revocation")
                return msgspec.structs.replace(answer, papers=papers)
        return answer

    def introduce(self, papers: Sequence[Paper]) -> int:
        """What `POST /keep/1/introduce` does. Raises BadCertificateError."""
        new = 0
        for paper in papers:
            try:
                told = self.directory.add(paper)
            except UntrustedError:
                self.machine.world.cover("directory", f"{paper.kind} refused")
                raise
            self.machine.world.cover("directory", f"{paper.kind} {'new' if told else 'known'}")
            if told:
                self.machine.disk.papers.append(paper)
                new += 1
        return new

    # --- on to head office

    def send_on(self, most: int) -> None:
        """Bring what is kept here to head office."""
        world = self.machine.world
        for (till, epoch), kept in list(self.machine.disk.shelf.items()):
            for branch in sorted(kept.branches):
                key = (till, epoch, branch)
                if key not in self.relays:
                    self.relays[key] = Sender(
                        self.machine.disk.kept_source(till, epoch, branch), world.hq.name, world.hq_node.public
                    )
                post(world, self.machine, self.relays[key], world.hq, self.directory.papers_of(till, epoch), most)


def post(
    world: Chain,
    machine: Machine,
    sender: Sender,
    target: Machine,
    papers: Sequence[Paper],
    most: int,
    *,
    papers_came: list[Paper] | None = None,
) -> bool:
    """Send one keeper what it lacks of one history, at most so many pieces. False when it did not answer."""
    for _ in range(most):
        batch = sender.ask(world.now)
        if batch is None:
            return True
        octets = encode_batch(batch)
        role = target.role
        assert role is not None
        if batch.count:
            world.network.tapped.append((target.name, octets))
        try:
            answer = world.network.call(machine, target, partial(role.take, octets))
            answer = world.thief.meddle(sender, target, answer)
            if answer.status == "stranger":
                world.cover("sender", "stranger")
                sender.answered(answer, world.now)
                world.network.call(machine, target, partial(role.introduce, papers))
                continue
            before = sender.kept
            news = sender.answered(answer, world.now)
        except UntrustedError as error:
            world.cover("sender", type(error).__name__)
            sender.failed(world.now, 500)
            if not world.thief.busy and not _expected(world, sender.source, error):
                world.laws.wrong("9", f"{machine.name} to {target.name}: {type(error).__name__}: {error}")
            world.thief.busy = False
            return False
        except OppetError:
            world.cover("sender", "failed")
            sender.failed(world.now, 500, smaller=world.network.took_ms > 100)
            return False
        lied, world.thief.busy = world.thief.busy, False
        world.cover("sender", news.about)
        if papers_came is not None:
            papers_came.extend(answer.papers)
        _judge(world, sender, before)
        if news.about in ("ahead", "forked") and papers_came is not None:
            world.ahead(machine, sender, news.about)
        if news.about == "claim" and not lied:
            world.laws.wrong("4", f"{target.name} claims of {sender.source.till} what it does not show")
    return True


def _judge(world: Chain, sender: Sender, before: Head | None) -> None:
    if sender.kept is not None and sender.kept.seq and sender.kept != before:
        world.laws.believed(sender.keeper, sender.source.till, sender.source.epoch, sender.kept)


def _expected(world: Chain, source: Source, error: UntrustedError) -> bool:
    """A keeper that came back from an old backup may not know a store's newest certificate yet."""
    return type(error).__name__ == "BadCertificateError" and (source.till, source.epoch) in world.odd_papers


# --- what a store's node rules on


def _shelf(disk: Disk) -> FileShelf | _Shelf:
    return disk.files if isinstance(disk, FileDisk) else _Shelf(disk)


class _Shelf:
    """What the desk reads of a shelf."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def streams(self) -> list[Listed]:
        return [
            Listed(*key, name, log.base, log.head, "", None, 0)
            for key, kept in sorted(self._disk.shelf.items())
            for name, log in sorted(kept.branches.items())
            if log.entries
        ]

    def source(self, till: str, epoch: int, branch: str = "") -> KeptSource:
        return KeptSource(self._disk.shelf[till, epoch], till, epoch, branch)

    def read(self, till: str, epoch: int, branch: str, first: int, last: int) -> Iterator[Entry]:
        return map(parse, self.source(till, epoch, branch).pieces(first, last - first + 1, 1 << 30))

    def branches(self, till: str, epoch: int) -> list[str]:
        kept = self._disk.shelf.get((till, epoch))
        return sorted(kept.branches) if kept is not None else []

    def load_view(self, *_: object) -> None:
        return None

    def save_view(self, *_: object) -> None:
        """Folds are made again at every start."""


class _Post:
    """The node's own journal, as far as rulings are in it."""

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self._disk, self._clock = disk, clock
        self.journal = self

    @property
    def head(self) -> Head:
        return self._disk.post.head

    def read(self, first: int) -> Iterator[Entry]:
        return map(parse, self._disk.post.entries[first - 1 :])

    def write(self, body: Body) -> None:
        log = self._disk.post
        data, head = seal(log.head, self._disk.name, 1, self._clock.now(), body)
        self._disk.commit([(log, [data], [head.digest], None)])
