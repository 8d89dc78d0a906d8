"""A retail chain in one process: HQ, stores, tills, cables and a thief under one virtual clock, stepped by a schedule.

Nothing here knows the real time or throws a real die: the same schedule gives the same run, entry by entry. After every
step the laws are held; when the schedule is over the faults stop, and everything that survives must reach head office.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from oppet.base.canonical import digest
from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError, UnavailableError
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import PowerCutError
from oppet.figures.views import Views
from oppet.fiscal import unit as fiscal_unit
from oppet.journal.entry import parse
from oppet.journal.kinds import Elsewhere, Receipt
from oppet.register.errors import NeighboursAwayError
from oppet.register.ports import Neighbours
from oppet.sale import basket as baskets
from oppet.sim.cashier import BO, deed, sell
from oppet.sim.devices import WORDS, a_catalogue
from oppet.sim.disks import Disk
from oppet.sim.file_disks import FileDisk
from oppet.sim.keepers import KeeperRole, Machine
from oppet.sim.laws import Broken, Laws
from oppet.sim.network import Network
from oppet.sim.schedule import Schedule
from oppet.sim.thief import BLOWS, LIES, Thief
from oppet.sim.tills import Neighbourhood, TillMachine
from oppet.sync import enrolment
from oppet.sync.certificates import Revocation, StoreCertificate, countersigned, make_paper
from oppet.sync.enrolment import Enrolled, Invitation, Request
from oppet.sync.errors import BadCodeError, CodeSpentError
from oppet.sync.messages import Paper
from oppet.sync.sender import Sender

__all__ = ["EDGES", "Result", "World", "run"]

BEGIN = parse_utc("2026-11-22T06:00:00.000Z")
PUMP_MS = 1_000
ROUND_MS = 31_000
MOST_ROUNDS = 150  # of settling: an hour and a quarter, twice what the longest pause of a sender adds up to


class Result(msgspec.Struct, frozen=True):
    """What one run came to."""

    seed: int
    steps: int
    broken: tuple[Broken, ...]
    faults: dict[str, int]
    covered: tuple[tuple[str, str], ...]
    laws: dict[str, int]
    entries: int
    sales: int
    till_ms: int
    lost: int  # receipts whose every copy was destroyed: no law promises them
    real_files: bool = False


class World:
    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.size = schedule.size
        self.now = BEGIN
        self.folder = Path(tempfile.mkdtemp(prefix="oppet-sim-")) if self.size.real_files else None
        self._disks: list[Disk] = []
        self.settling = False
        self.faults: Counter[str] = Counter()
        self.lost = 0  # receipts that came out and of which no copy survived the faults
        self.covered: set[tuple[str, str]] = set()
        self.laws = Laws("HQ", lambda: self.now)
        self.catalogue = a_catalogue()
        self.network = Network(self.count, self.died)
        self.thief = Thief(self)
        self.machines: dict[str, Machine] = {}
        self.issued: set[tuple[str, int]] = set()
        self.odd_papers: set[tuple[str, int]] = set()
        self._keys: dict[str, Signer] = {}
        self._pumped: dict[str, int] = {}
        self._epochs: Counter[str] = Counter()
        self._crash_delay: dict[str, int] = {}
        self._lying_until: dict[str, int] = {}
        self._ends: list[tuple[int, str, str]] = []  # a mood of a device that ends by itself
        self._build()

    # --- building

    def key(self, words: str) -> Signer:
        """A key of this chain's own, from its seed."""
        if words not in self._keys:
            self._keys[words] = Signer(sha256(f"{self.schedule.seed} {words}".encode()).digest())
        return self._keys[words]

    def till_key(self, till: str, epoch: int) -> Signer:
        return self.key(f"till {till} {epoch}")

    def _build(self) -> None:
        self.hq_signer, self.hq_node = self.key("hq"), self.key("hq keeper")
        self.hq = self._machine(Machine(self, "HQ", ""), "HQ", "hq", self.hq_node)
        self.managers: dict[str, Signer] = {}
        self.store_papers: dict[str, Paper] = {}
        self.nodes: dict[str, Machine] = {}
        self.tills: list[TillMachine] = []
        self._renewals: Counter[str] = Counter()
        for number in range(1, self.size.stores + 1):
            store = f"S{number:02d}"
            self.managers[store] = self.key(f"manager {store}")
            self._certify(store)
            node = self._machine(
                Machine(self, f"{store}-node", store), f"{store}-node", "store", self.key(f"node {store}")
            )
            self.nodes[store] = node
            for keeper in (self.hq, node):
                assert keeper.role is not None
                keeper.role.introduce([self.store_papers[store]])
            for place in range(1, self.size.tills + 1):
                till = TillMachine(self, f"{store}-K{place}", store, f"{store}-K{place}")
                self.machines[till.name] = till
                self.tills.append(till)
        for till in self.tills:
            self.guarded(till.boot)

    def new_disk(self, name: str) -> Disk:
        """An empty disk of the kind this run is on."""
        if self.folder is None:
            return Disk(name, self.laws.stored)
        return self._file_disk(name)

    def _file_disk(self, name: str) -> FileDisk:
        assert self.folder is not None
        number = len(self._disks)
        seed = self.schedule.seed * 100_003 + number
        folder = self.folder / f"{number:04}"
        disk = FileDisk(name, self.laws.stored, folder, seed, self.laws.wrong, self._file_disk)
        self._disks.append(disk)
        return disk

    def close(self) -> None:
        """Leave no file behind."""
        for disk in self._disks:
            disk.close()
        if self.folder is not None:
            shutil.rmtree(self.folder)

    def _machine(self, machine: Machine, name: str, place: str, signer: Signer) -> Machine:
        machine.role = KeeperRole(machine, name, place, signer)
        machine.boot()
        self.machines[name] = machine
        return machine

    def _certify(self, store: str) -> None:
        """HQ's word on a store; issued again when the store moves or is renamed."""
        self._renewals[store] += 1
        name = f"Storgatan {self._renewals[store]}"
        manager, node = self.managers[store].public.hex(), self.key(f"node {store}").public.hex()
        document = StoreCertificate(store, name, "Nära", manager, node, utc_text(self.now))
        self.store_papers[store] = make_paper(document, self.hq_signer)

    # --- what the parts ask of the world

    def count(self, fault: str) -> None:
        self.faults[fault] += 1

    def cover(self, table: str, edge: str) -> None:
        self.covered.add((table, edge))

    def pass_ms(self, ms: int) -> None:
        self.now += ms
        self.network.now = self.now

    def next_epoch(self, till: str) -> int:
        self._epochs[till] += 1
        return self._epochs[till]

    def keepers_of(self, machine: TillMachine) -> list[Machine]:
        """The store's node, the other tills' machines, head office."""
        others = [other for other in self.tills if other.store == machine.store and other.till != machine.till]
        return [self.nodes[machine.store], *others[:2], self.hq]

    def witness(self, machine: TillMachine) -> list[Signer]:
        """Who countersigns a new certificate: HQ where it answers and the manager asks it, else a till of the store."""
        if machine.epoch % 2 and self.network.reachable(machine, self.hq):
            return [self.hq_signer]
        for other in self.tills:
            if other.store == machine.store and other.till != machine.till and other.up and other.epoch:
                return [self.till_key(other.till, other.epoch)]
        return []

    def died(self, name: str) -> None:
        """The power of this machine went in the middle of something."""
        machine = self.machines[name]
        self.count("power cut inside a write")
        machine.down(self._crash_delay.get(name, 10_000))

    def guarded(self, act: Callable[[], object]) -> None:
        """Do something at a machine whose power may go meanwhile."""
        try:
            act()
        except PowerCutError as cut:
            self.died(cut.machine)
        except UnavailableError:
            self.cover("background", "the disk refuses")

    def disk_shrank(self, machine: Machine) -> None:
        """A disk came back with less than it had."""
        if isinstance(machine, TillMachine):
            for (till, epoch), log in machine.disk.journals.items():
                self.laws.forget_book(log)
                self.doubt(till, epoch)
        if machine is self.hq:
            self.laws.recount(machine.disk)
        if machine.name.endswith("-node"):
            self._rulings_lost(machine.store)

    def _rulings_lost(self, store: str) -> None:
        """The node forgot what it granted: what it rules on from here on proves nothing about what was open then."""
        self.laws.lone.update(self.laws.by_store.get(store, ()))
        for machine in self.tills:
            if machine.store == store and machine.register is not None:
                sales = machine.register.desk.state.baskets
                self.laws.unruled.update((machine.till, machine.epoch, sale) for sale in sales)
        self.laws.unruled.update(self.laws.moved.values())

    def doubt(self, till: str, epoch: int) -> None:
        """This epoch may run twice or from an old disk: its numbers may clash, and its forks are no surprise."""
        self.laws.doubtful.add((till, epoch))
        for machine in self.tills:
            if machine.till == till:
                for unit in machine.units:
                    unit.doubtful.add(f"{till}-{epoch}")

    def forked(self, till: str, epoch: int) -> None:
        """A keeper alarmed: the store's manager ends the epoch, and the paper goes down with the next answers."""
        if (till, epoch) not in self.laws.doubtful:
            self.laws.wrong("4", f"a fork is alarmed in the honest history of {till}, epoch {epoch}")
        self._revoke(till, epoch, "fork")

    def _revoke(self, till: str, epoch: int, reason: str) -> None:
        store = till[:3]
        paper = make_paper(Revocation(till, epoch, reason, utc_text(self.now)), self.managers[store])
        for keeper in (self.nodes[store], self.hq):
            assert keeper.role is not None
            if keeper.up and keeper.role.directory.standing(till, epoch) is not None:
                keeper.role.introduce([paper])

    def ahead(self, machine: Machine, sender: Sender, about: str) -> None:
        """A keeper knows more of this till than its disk does (K18)."""
        assert isinstance(machine, TillMachine)
        till, epoch = sender.source.till, sender.source.epoch
        if (till, epoch) not in self.laws.doubtful:
            self.laws.wrong("4", f"{sender.keeper} calls the honest disk of {machine.name} old or forked")
        if epoch == machine.epoch:
            machine.refuse(about, sender.keeper, sender.source.head.seq)

    # --- what cashiers ask of the world

    def neighbours(self, machine: TillMachine) -> Neighbours:
        return Neighbourhood(machine)

    def up_to_date(self, store: str, but: str) -> bool:
        """Whether the node has everything of the store's other tills now; only then can its rulings be held to."""
        shelf = self.nodes[store].disk.shelf
        for machine in self.tills:
            if machine.store != store or machine.till == but:
                continue
            for key, log in machine.disk.journals.items():
                kept = shelf.get(key)
                if log.entries and (kept is None or not any(had.holds(log.head) for had in kept.branches.values())):
                    return False
        return True

    def parked_elsewhere(self, machine: TillMachine) -> list[Elsewhere]:
        """What the cashier is shown of the other tills' parked baskets."""
        assert machine.register is not None
        try:
            return [parked.at for parked in machine.register.selling.parked_elsewhere()]
        except NeighboursAwayError:
            return []

    def take_over(self, machine: TillMachine, at: Elsewhere) -> None:
        """A basket goes on here. Where the node did not know everything, what it ruled proves nothing."""
        assert machine.register is not None
        if not self.up_to_date(machine.store, machine.till):
            self.laws.unruled.add((at.till, at.epoch, at.sale))
        machine.register.selling.take_over(at, BO)
        self.cover("lanes", "a basket moved")

    @property
    def papers(self) -> dict[tuple[str, int, int], Receipt]:
        """Receipts that customers hold."""
        return self.laws.receipts

    def receipts_of(self, store: str, chance: Random) -> list[tuple[str, int, int]]:
        """A receipt some customer of this store brings back; empty when there is none."""
        if chance.random() < 0.5:  # a customer shows the same receipt at another till meanwhile
            for machine in self.tills:
                open_baskets = machine.register.desk.state.baskets.values() if machine.register is not None else ()
                for basket in open_baskets if machine.store == store else ():
                    if basket.original is not None:
                        return [(basket.original.till, basket.original.epoch, basket.original.number)]
        there = self.laws.by_store.get(store)
        return [there[-1 - min(int(chance.expovariate(0.4)), len(there) - 1)]] if there else []

    def refused(self, machine: TillMachine, what: str, error: OppetError) -> None:
        """Law 6: was this refusal the law's, or a fault of ours? Keepers that are away never are a reason."""
        name = type(error).__name__
        self.cover("refused", name)
        if name in ("TakenElsewhereError", "HeldElsewhereError"):
            self.cover("lanes", "taken elsewhere" if name.startswith("Taken") else "held elsewhere")
        if isinstance(error, RefusedError) and what not in ("sale", "park", "abandon", "training"):
            return
        till = machine.register
        units = [unit for unit in machine.units if till is None or unit.unit not in till.desk.state.closed_units]
        excuses = {
            "NoControlUnitError": all(unit.dead for unit in units),
            "OutageOpenError": till is not None and bool(till.desk.state.outage),
            "NoReceiptPathError": machine.printer.away,
            "DiskFullError": machine.disk.full or machine.disk_trouble(),
            "DiskFailedError": machine.disk_trouble(),
            "DiskNearlyFullError": machine.disk.full,
            "JournalBrokenError": machine.disk_trouble(),
            "EpochRevokedError": machine.refusal is not None,
            "ForkedError": machine.refusal is not None,
            "OldImageError": machine.refusal is not None,
            "NeighboursAwayError": what == "resume",  # another till's basket: only the node knows it
            "NotPossibleNowError": till is None or till.desk.state.flight is not None or "sale" not in what,
        }
        if not excuses.get(name, False):
            self.laws.wrong("6", f"{machine.name}: {what} was refused: {name}: {error}")
        self.laws.held("6 a refusal has the law's reason")

    def wiped(self, machine: TillMachine) -> None:
        """A till was allowed to go: head office must have every entry of it (law 9)."""
        assert machine.journal is not None
        missing = [d for d in machine.journal.log.digests[1:] if d not in self.laws.hq_seen]
        if missing and not self.hq_was_set_back:
            self.laws.wrong("9", f"{machine.name} was wiped with {len(missing)} entries that head office does not have")
        self.laws.held("9 nothing unkept is wiped")

    # --- stepping

    def run(self, progress: Callable[[int], None] | None = None) -> int:
        """Take every step of the schedule, then settle; gives how many steps were taken before a law broke."""
        for number, step in enumerate(self.schedule.steps):
            self.pass_ms(max(0, BEGIN + step.at - self.now))
            self._background()
            self._step(step.what, step.who, step.arg, step.more)
            if self.laws.broken:
                return number + 1
            if progress is not None and number % 500 == 0:
                progress(number)
        self.settle()
        return len(self.schedule.steps)

    def _background(self) -> None:
        """What happens by itself between two steps: late messages, power that comes back, uploads."""
        for end, name, mood in [item for item in self._ends if item[0] <= self.now]:
            self._ends.remove((end, name, mood))
            self._end(name, mood)
        self.network.arrive()
        for machine in list(self.machines.values()):
            if not machine.up and machine.up_at <= self.now:
                self.guarded(machine.boot)
            if machine.up and self.now - self._pumped.get(machine.name, 0) >= PUMP_MS:
                self._pumped[machine.name] = self.now
                self._pump(machine)

    def _pump(self, machine: Machine) -> None:
        if isinstance(machine, TillMachine):
            self.guarded(machine.pump)
        elif machine is not self.hq and machine.role is not None:
            role = machine.role
            self.guarded(lambda: role.send_on(2))

    def _step(self, what: str, who: str, arg: int, more: int) -> None:
        if what == "deed":
            machine = self.machines[who]
            assert isinstance(machine, TillMachine)
            for doer in [machine, *(m for m in self.tills if m.till == who and m is not machine)]:
                if doer.up and doer.register is not None:
                    self.guarded(lambda doer=doer: deed(doer, arg))  # type: ignore[misc]
            return
        if what.startswith("weather "):
            self.network.begin(_scope(who), what.removeprefix("weather "), 50 + arg, self.now + more, arg * 7919 + more)
            return
        if what == "cut":
            self.network.begin(_scope(who), "cut", 1000, self.now + more, 0)
            self.count("cable cut")
            return
        _DOERS[what](self, who, arg, more)

    # --- faults, one function each

    def _crash(self, who: str, arg: int, more: int) -> None:
        machine = self.machines[_machine(who)]
        if not machine.up:
            return
        self._crash_delay[machine.name] = more
        if arg == 0:
            self.count("power cut")
            machine.down(more)
        else:
            machine.disk.cut(arg - 1, after=more % 2 == 0)

    def _disk_fails(self, who: str, arg: int, more: int) -> None:
        self.machines[_machine(who)].disk.fail(arg + 1, after=bool(more))
        self.count("disk fails")

    def _disk_full(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002 - every fault takes the same
        self.machines[_machine(who)].disk.full = True
        self._mood(_machine(who), "full", more)

    def _disk_lies(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[_machine(who)]
        machine.disk.lying = True
        if (
            machine is self.hq
        ):  # what it acknowledges from here on may be gone after a power cut, and no rule of ours helps
            self.hq_was_set_back = True
        self._mood(machine.name, "lying", more)

    def _mood(self, name: str, mood: str, ms: int) -> None:
        self._ends.append((self.now + ms, name, mood))
        self.count(f"disk {mood}" if mood in ("full", "lying") else mood)

    def _end(self, name: str, mood: str) -> None:
        machine = self.machines.get(name)
        if mood == "full" and machine is not None:
            machine.disk.full = False
        elif mood == "lying" and machine is not None:
            machine.disk.honest()
        elif isinstance(machine, TillMachine):
            if mood == "printer away":
                machine.printer.away = False
            elif mood == "unit dead":
                for unit in machine.units:
                    unit.dead = False
            elif mood == "clone stops":
                machine.down(1 << 50)

    def _disk_lost(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[_machine(who)]
        self.count("disk lost")
        machine.down(more)
        self._exchange(machine, self.new_disk(machine.name))

    def _exchange(self, machine: Machine, disk: Disk) -> None:
        """The machine's disk is another one from here on."""
        machine.disk = disk
        self._ends = [item for item in self._ends if item[1] != machine.name or item[2] not in ("full", "lying")]
        if machine is self.hq:
            self.hq_was_set_back = True
        self.disk_shrank(machine)

    def _image(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[_machine(who)]
        machine.image = machine.disk.image()

    def _restored(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[_machine(who)]
        if machine.image is None:
            return
        self.count("disk restored from an old copy")
        machine.down(more)
        if isinstance(machine, TillMachine):
            for till, epoch in machine.disk.journals:
                self.doubt(till, epoch)
        self._exchange(machine, machine.image.image())

    def _clone(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        origin = self.machines[who]
        name = f"{who}b"
        if (name in self.machines and self.machines[name].up) or not origin.up:
            return
        assert isinstance(origin, TillMachine)
        self.count("disk cloned and run twice")
        for till, epoch in origin.disk.journals:
            self.doubt(till, epoch)
        clone = self.machines.get(name)
        if clone is None:
            clone = TillMachine(self, name, origin.store, who)
            self.machines[name] = clone
            self.tills.append(clone)
        else:
            self._grave(clone)
        assert isinstance(clone, TillMachine)
        clone.disk = origin.disk.image(name)
        clone.disk.shelf = {}
        clone.units = origin.units
        self._ends.append((self.now + more, name, "clone stops"))
        self.guarded(clone.boot)

    def _grave(self, machine: Machine) -> None:
        """A machine goes away for good; its disk with it."""
        machine.down(1 << 50)

    def _clock(self, who: str, arg: int, more: int) -> None:
        machine = self.machines[who]
        machine.skew += more if arg else -more
        self.count("clock jump")

    def _unit(self, who: str, arg: int, more: int) -> None:
        machine = self.machines[who]
        assert isinstance(machine, TillMachine)
        machine.units[0].plan.extend([WORDS[arg], *[WORDS[more]] * (arg % 2)])
        if more == 2:
            machine.units[1].plan.append(WORDS[arg])

    def _unit_dead(self, who: str, arg: int, more: int) -> None:
        machine = self.machines[who]
        assert isinstance(machine, TillMachine)
        for unit in machine.units[: 1 + (arg > 0)]:
            unit.dead = True
        self._mood(who, "unit dead", more)

    def _printer(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[who]
        assert isinstance(machine, TillMachine)
        machine.printer.away = True
        self._mood(who, "printer away", more)

    def _revoked(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        machine = self.machines[who]
        assert isinstance(machine, TillMachine)
        if machine.epoch:
            self.count("epoch revoked")
            self._revoke(who, machine.epoch, "asked for")

    def _countersign(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        """HQ countersigns what is provisional at it, when it can be reached."""
        role = self.hq.role
        assert role is not None
        if not self.hq.up:
            return
        for certificate in role.directory.tills(who):
            standing = role.directory.standing(certificate.till, certificate.epoch)
            if standing is not None and standing.provisional:
                self.cover("directory", "provisional")
                paper = next(
                    p for p in role.directory.papers_of(certificate.till, certificate.epoch) if p.kind == "till"
                )
                role.introduce([countersigned(paper, self.hq_signer)])

    def _renewed(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        self._certify(who)
        for keeper in (self.hq, self.nodes[who]):
            if keeper.up and keeper.role is not None:
                keeper.role.introduce([self.store_papers[who]])

    def _newer(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        """A newer version of ours ran for a moment and wrote a kind that this one does not know (law 9)."""
        machine = self.machines[who]
        assert isinstance(machine, TillMachine)
        journal = machine.journal
        if not machine.up or journal is None or machine.register is None or journal.broken:
            return
        head = journal.head
        data = (
            f'{{"v":1,"till":"{journal.till}","epoch":{journal.epoch},"seq":{head.seq + 1},"time":"{utc_text(self.now)}",'
            f'"kind":"weather_noted","prev":"{head.digest}","body":{{"rain_milli":{arg}}}}}'
        ).encode()
        self.count("entry of an unknown kind")
        self.guarded(lambda: journal.add_raw(data, digest(data)))
        machine.down(0)

    def _thief(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        self.thief.strike(BLOWS[arg], more)

    def _answer(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        self.thief.plan(LIES[arg])

    def _codes(self, who: str, arg: int, more: int) -> None:  # noqa: ARG002
        """A machine enrols with a code the manager read out: right, wrong until it is spent, late, twice, or answered falsely."""
        code = enrolment.code_from(sha256(f"{self.now}".encode()).digest()[:16])
        invitation = enrolment.Invitation("I1", "till", who, f"{who}-K9", "K9", code, self.now, 301)
        typed = code if arg != 1 else f"{code[:-1]}{'A' if code[-1] != 'A' else 'B'}"
        now = self.now + (3_600_000 if arg == 2 else 5_000)
        key = self.key("new machine")
        cost, enrolment._COST = enrolment._COST, {"n": 2, "r": 8, "p": 1}  # a guess is not what is tried here
        try:
            request = enrolment.make_request("I1", typed, key.public, b"", "m" * 8, "0" * 32)
            edge = self._enrols(invitation, request, now, code, arg)
        finally:
            enrolment._COST = cost
        self.count(f"enrolment: {edge}")
        self.cover("enrolment", edge)
        if (edge == "enrolled") != (arg in (0, 5)):
            self.laws.wrong("4", f"an enrolment of kind {arg} came to: {edge}")

    def _enrols(self, invitation: Invitation, request: Request, now: int, code: str, arg: int) -> str:
        for _ in range(enrolment.TRIES + 1):
            try:
                used = enrolment.check_request(invitation, request, now)
            except CodeSpentError:
                return "spent"
            except BadCodeError:
                invitation = enrolment.tried(invitation)
                self.cover("enrolment", "wrong code")
                continue
            if arg == 3:  # the same code once more
                invitation = used
                continue
            said = Enrolled(f"{invitation.store}-K9", 1, invitation.store, "K9", self.hq_signer.public.hex(), (), ())
            answer = enrolment.seal_answer(said, code, request)
            if arg == 4:  # somebody between exchanges HQ's key
                answer = msgspec.structs.replace(answer, hq_key="42" * 32)
            return "enrolled" if enrolment.check_answer(answer, code, request) else "false answer"
        return "never spent"

    hq_was_set_back = False

    # --- the end

    def settle(self) -> None:
        """Let the faults stop. Everything that survives must reach head office within the stated time."""
        self.settling = True
        self.network.calm()
        self.thief.calm()
        for _, name, mood in self._ends:
            if mood != "clone stops":  # it goes on: what it wrote must reach head office too
                self._end(name, mood)
        self._ends.clear()
        for machine in list(self.machines.values()):
            machine.disk.full = False
            machine.disk.honest()
            machine.disk.calm()
            machine.skew = 0
            if isinstance(machine, TillMachine):
                machine.printer.away = False
                for unit in machine.units:
                    unit.dead, unit.plan = False, []
            if not machine.up:
                machine.up_at = self.now
        for _ in range(MOST_ROUNDS):
            self.pass_ms(ROUND_MS)
            self._background()
            if self.laws.broken or (self.network.quiet and not self.missing()):
                break
        else:
            where, what = self.missing()[0]
            self.laws.wrong("1", f"{where} still has entries that head office lacks: {what}")
        self.lost = sum(said not in self.laws.hq_seen for said in self.laws.out)
        if not self.laws.broken:
            self._prove()

    def missing(self) -> list[tuple[str, str]]:
        """What stands on some disk and not at head office."""
        seen = self.laws.hq_seen
        found = []
        for name, machine in sorted(self.machines.items()):
            logs = [*machine.disk.journals.values()]
            logs += [log for kept in machine.disk.shelf.values() for log in kept.branches.values()]
            for log in logs:
                if log.entries and not seen.issuperset(log.digests[1:]):
                    found.append((name, f"{log.owner[0]}, epoch {log.owner[1]}, {log.owner[2][:8]}"))
        return found

    def _prove(self) -> None:
        """Every till sells; every entry counts once; what is kept is whole, to the öre."""
        laws = self.laws
        for till in list(self.tills):
            if till.up and till.register is not None:
                self.guarded(lambda till=till: [sell(till, salt) for salt in (1, 2)])  # type: ignore[misc]
        laws.held("6 every till sells when the faults stop")
        for name, machine in sorted(self.machines.items()):
            for what in machine.disk.same() if machine.up else ():
                laws.wrong("1", f"{what} reads otherwise than it was written")
            if machine.role is None:
                continue
            for key, kept in sorted(machine.disk.shelf.items()):
                if machine is self.hq or name.endswith("node"):
                    laws.whole(machine.disk, key, kept, self.till_key(*key).public)
        self._certificates()
        total, views = 0, Views()
        for _, kept in sorted(self.hq.disk.shelf.items()):
            for log in kept.branches.values():
                rows = views.see([parse(data) for data in log.entries], self.now, 0)
                total += sum(hour.gross_ore for hour in rows.hour_sale.values())
        if total != laws.hq_ore:
            laws.wrong("2", f"head office's views say {total} öre, the histories it keeps add up to {laws.hq_ore}")
        laws.held("2 to the öre")

    def _certificates(self) -> None:
        """What head office counts as provisional, against the signatures on its papers (K8)."""
        role = self.hq.role
        assert role is not None
        whose = {self.till_key(*place).public.hex(): place for place in sorted(self.issued)}

        def beyond_doubt(place: tuple[str, int], asking: frozenset[tuple[str, int]]) -> bool:
            papers = [paper for paper in role.directory.papers_of(*place) if paper.kind == "till"]
            keys = {key for paper in papers for key, _ in paper.signatures}
            if self.hq_signer.public.hex() in keys:
                return True
            others = [whose[key] for key in sorted(keys) if key in whose and whose[key] not in asking]
            return any(
                not standing.revoked and beyond_doubt(other, asking | {place})
                for other in others
                if other[0] != place[0] and (standing := role.directory.standing(*other)) is not None
            )

        for certificate in role.directory.tills():
            place = certificate.till, certificate.epoch
            standing = role.directory.standing(*place)
            if standing is not None and standing.provisional == beyond_doubt(place, frozenset()):
                self.laws.wrong("4", f"head office takes {place} for provisional: {standing.provisional}")
        self.laws.held("4 nobody is believed on a revoked word")

    def result(self, steps: int) -> Result:
        return Result(
            self.schedule.seed, steps, tuple(self.laws.broken), dict(sorted(self.faults.items())),
            tuple(sorted(self.covered)), dict(sorted(self.laws.checked.items())), self.laws.entries, self.laws.sales,
            (self.now - BEGIN) * len(self.tills), self.lost, self.size.real_files,
        )  # fmt: skip


class _Watched(dict[Any, Any]):
    """A table of states that tells which of its edges were taken."""

    def __init__(self, table: str, edges: Mapping[Any, Any], cover: Callable[[str, str], None]) -> None:
        super().__init__(edges)
        self._table, self._cover = table, cover

    def __getitem__(self, edge: Any) -> Any:
        self._cover(self._table, edge_name(edge))
        return super().__getitem__(edge)


def edge_name(edge: tuple[str, object]) -> str:
    """One edge of a table, as reports write it."""
    state, by = edge
    return f"{state}, {by.__name__ if isinstance(by, type) else by}"


@contextmanager
def watching(cover: Callable[[str, str], None]) -> Iterator[None]:
    """Exchange the tables of states for ones that tell, and put them back."""
    sale, registration = baskets.NEXT, fiscal_unit.NEXT
    baskets.NEXT = _Watched("sale/basket", sale, cover)
    fiscal_unit.NEXT = _Watched("fiscal/unit", registration, cover)
    try:
        yield
    finally:
        baskets.NEXT, fiscal_unit.NEXT = sale, registration


@contextmanager
def dead_are_silent() -> Iterator[None]:
    """A machine without power complains once more when SQLite tidies up after it: nobody is there to hear it."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda said: None if said.exc_type is PowerCutError else hook(said)
    try:
        yield
    finally:
        sys.unraisablehook = hook


EDGES: dict[str, tuple[str, ...]] = {
    "sale/basket": tuple(edge_name(edge) for edge in baskets.NEXT),
    "fiscal/unit": tuple(edge_name(edge) for edge in fiscal_unit.NEXT),
    "keeper": (
        "kept", "behind", "stranger", "fork", "BatchMalformedError", "BatchTooLargeError", "ForgedBatchError",
        "PackedBombError", "DiskFailedError", "DiskFullError",
    ),
    "sender": ("kept", "ahead", "forked", "lost", "stranger", "failed", "ForgedAckError"),
    "directory": (
        "store new", "store known", "store refused", "till new", "till known", "till refused", "revocation new",
        "revocation known", "revocation refused", "provisional",
    ),
    "enrolment": ("enrolled", "wrong code", "spent", "false answer"),
    "boot": ("started", "OldImageError", "ForkedError", "EpochRevokedError", "the disk refuses"),
    "lanes": ("a basket moved", "taken elsewhere", "held elsewhere"),
}  # fmt: skip


def run(schedule: Schedule, progress: Callable[[int], None] | None = None) -> Result:
    """One chain through one schedule. A mistake of ours that stops the program breaks law 0."""
    logging.getLogger("oppet.neighbours").setLevel(logging.CRITICAL)  # a lost question is news in a shop, not here
    world = World(schedule)
    try:
        with watching(world.cover), dead_are_silent():
            steps = world.run(progress)
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError) as mistake:
        world.laws.wrong("0", f"{type(mistake).__name__}: {mistake}")
        steps = 0
    finally:
        world.close()
    return world.result(steps)


def _machine(who: str) -> str:
    return "HQ" if who == "hq" else who


def _scope(who: str) -> str:
    return "HQ" if who == "hq" else who


Doer = Callable[[World, str, int, int], None]
_DOERS: dict[str, Doer] = {
    "crash": World._crash,
    "disk fails": World._disk_fails,
    "disk full": World._disk_full,
    "disk lies": World._disk_lies,
    "disk lost": World._disk_lost,
    "image": World._image,
    "restored": World._restored,
    "clone": World._clone,
    "clock": World._clock,
    "unit": World._unit,
    "unit dead": World._unit_dead,
    "printer": World._printer,
    "revoked": World._revoked,
    "countersign": World._countersign,
    "renewed": World._renewed,
    "newer": World._newer,
    "enrol": World._codes,
    "thief": World._thief,
    "answer": World._answer,
}
