"""A checkout in the simulated chain: the real register on a simulated machine, with its keepers and its neighbours.

Does what `till/main.py` does around a register: boots it, enrols a new epoch where a keeper shows that the disk is an
old copy, forked or revoked, brings its journals to every keeper, and waits for the second copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, UnavailableError
from oppet.drivers.neighbours import LaneNeighbours
from oppet.journal.entry import Head
from oppet.journal.kinds import Elsewhere, EpochOpened, Original, Receipt
from oppet.paper.sheet import Paper as Sheet
from oppet.register.desk import Rules
from oppet.register.errors import NeighboursAwayError, NoReceiptError
from oppet.register.ports import Alone, Ports
from oppet.register.till import Till
from oppet.sale.lines import Came
from oppet.sim.devices import SimPrinter, SimUnit
from oppet.sim.disks import SimJournal
from oppet.sim.keepers import Chain, KeeperRole, Machine, post
from oppet.sim.network import BUDGET_MS
from oppet.sync.certificates import TillCertificate, make_paper
from oppet.sync.copies import Holding
from oppet.sync.errors import EpochRevokedError, ForkedError, OldImageError
from oppet.sync.lanes import Signed
from oppet.sync.messages import Paper
from oppet.sync.sender import Sender

__all__ = ["Neighbourhood", "TillMachine"]

RULES = Rules(disk_least_mb=200, views_every=100)
PAST_MS = 60_000


class TillMachine(Machine):
    """One checkout. `till` is its name in the chain; a clone's machine has another name and the same till."""

    def __init__(self, world: Chain, name: str, store: str, till: str) -> None:
        super().__init__(world, name, store)
        self.till = till
        self.installation = name
        self.epoch = 0
        self.units = [SimUnit(f"U{till}{place}", world.laws.wrong, world.count) for place in "AB"]
        self.printer = SimPrinter("printer", self._out, world.count)
        self.register: Till | None = None
        self.journal: SimJournal | None = None
        self.senders: dict[tuple[str, int], Sender] = {}
        self.refusal: OppetError | None = None
        self.role = KeeperRole(self, name, "till", world.key(f"keeper {name}"))
        self._past_at = 0

    # --- power on

    def boot(self) -> None:
        """Start as after a power cut. What a keeper forbids is answered by enrolling anew."""
        super().boot()
        self.senders, self.refusal, self.register = {}, None, None
        epochs = [epoch for till, epoch in self.disk.journals if till == self.till]
        if not epochs:
            self._enrol()
        else:
            self.epoch = max(epochs)
        for _ in range(3):
            try:
                register = self._assemble()
                register.start(self._opening())
            except (OldImageError, ForkedError, EpochRevokedError) as why:
                self.world.cover("boot", type(why).__name__)
                self.world.laws.doubtful.add((self.till, self.epoch))
                if self.name != self.till:  # nobody enrols a clone: it sells no more, and sends what it has
                    self.register = None
                    return
                self._enrol()
                continue
            except UnavailableError:  # its disk: somebody tries again in a moment
                self.world.cover("boot", "the disk refuses")
                self.down(5_000)
                return
            self.world.cover("boot", "started")
            return
        self.world.laws.wrong("6", f"{self.name} does not start with a new epoch either")

    def down(self, after_ms: int) -> None:
        super().down(after_ms)
        self.register = None

    def _assemble(self) -> Till:
        signer = self.world.till_key(self.till, self.epoch)
        self.journal = self.disk.journal(self.till, self.epoch, signer)
        self.refusal = None
        ports = Ports(
            self.journal, signer, self, self.units, [self.printer], self.world.catalogue, self.installation,
            copies=SimCopies(self), neighbours=self.world.neighbours(self),
        )  # fmt: skip
        self.register = Till(ports, RULES, str, _code, self._find)
        return self.register

    def _opening(self) -> EpochOpened:
        return EpochOpened(
            store=self.store,
            company="Nära ekonomisk förening",
            org_no="5566778899",
            address="Storgatan 1, 652 24 Karlstad",
            register=f"{self.till}-{self.epoch}",
            manufacturing_no=f"OPPET-{self.till}",
            model="Öppet SE",
            software="sim",
            public_key=self.world.till_key(self.till, self.epoch).public.hex(),
            units=tuple(unit.unit for unit in self.units),
            installation=self.installation,
        )

    def _enrol(self) -> None:
        """The manager certifies a new epoch for this machine; HQ or a surviving till countersigns where one answers."""
        world = self.world
        self.epoch = world.next_epoch(self.till)
        key = world.till_key(self.till, self.epoch)
        register = f"{self.till}-{self.epoch}"
        certificate = TillCertificate(
            self.till, self.epoch, self.store, register, key.public.hex(), utc_text(world.now)
        )
        paper = make_paper(certificate, world.managers[self.store], *world.witness(self))
        assert self.role is not None
        self.role.introduce([world.store_papers[self.store], paper])
        world.issued.add((self.till, self.epoch))
        for unit in self.units:
            unit.plan.clear()

    def disk_trouble(self) -> bool:
        """Whether this disk has failed lately: a refusal it explains."""
        return self.disk.troubled

    def refuse(self, about: str, keeper: str, ours: int) -> None:
        """A keeper has shown that this disk is an old copy, or that a copy of it has sold as well."""
        facts = {"till": self.till, "epoch": self.epoch, "keeper": keeper}
        if about == "forked":
            self.refusal = ForkedError(**facts)
        else:
            self.refusal = OldImageError(**facts, theirs=ours + 1, ours=ours)

    # --- paper

    def _out(self, paper: Sheet) -> None:
        assert self.journal is not None
        self.world.laws.printed(self.journal.log, paper)

    def _find(self, code: str) -> tuple[Original, Receipt | None]:
        till, epoch, number = code.split("/")
        receipt = self.world.papers.get((till, int(epoch), int(number)))
        if receipt is None:
            raise NoReceiptError(number=int(number))
        return Original(till, int(epoch), int(number)), receipt

    # --- keepers

    def sender(self, target: Machine, epoch: int) -> Sender:
        """The sender that brings one of this machine's journals to one keeper."""
        found = self.senders.get((target.name, epoch))
        if found is None:
            signer = self.world.till_key(self.till, epoch)
            source = self.disk.own_source(self.till, epoch, signer, self.now)
            assert target.role is not None
            found = self.senders[target.name, epoch] = Sender(source, target.name, target.role.signer.public)
        return found

    def bring(self, target: Machine, epoch: int, most: int) -> bool:
        """Send a keeper what it lacks of one journal, and take note of the papers that come down."""
        assert self.role is not None
        came: list[Paper] = []
        papers = self.role.directory.papers_of(self.till, epoch)
        try:
            answered = post(self.world, self, self.sender(target, epoch), target, papers, most, papers_came=came)
        except UnavailableError:  # our own disk: there is nothing to be read now
            answered = False
        if came:
            self.role.introduce(came)
        if epoch == self.epoch:
            self._look(epoch)
        return answered

    def _look(self, epoch: int) -> None:
        """Whether a paper says that this epoch is over (K18)."""
        assert self.role is not None
        standing = self.role.directory.standing(self.till, epoch)
        if standing is not None and standing.revoked:
            self.refusal = EpochRevokedError(till=self.till, epoch=epoch, reason=standing.revoked)

    def pump(self) -> None:
        """What the background does: everything to everybody."""
        world = self.world
        if self.disk.on_files and self.register is not None and self.journal is not None and self.journal.broken:
            self.register.desk.ready()  # as the till's page does: what a failed disk left is read again
        for target in world.keepers_of(self):
            self.bring(target, self.epoch, 2)
        if world.now - self._past_at >= PAST_MS or world.settling:
            self._past_at = world.now
            for till, epoch in sorted(self.disk.journals):
                if till == self.till and epoch != self.epoch:
                    for target in (world.nodes[self.store], world.hq):
                        self.bring(target, epoch, 2)
        if self.role is not None and (world.now // 1_000 % 4 == 0 or world.settling):
            self.role.send_on(2)

    def holdings(self) -> list[Holding]:
        """What keepers have said of the current journal."""
        return [
            Holding(target.name, target.role.place, sender.kept.seq)
            for target in self.world.keepers_of(self)
            if target.role is not None
            and (sender := self.senders.get((target.name, self.epoch))) is not None
            and sender.kept is not None
        ]


class SimCopies(Alone):
    """The keepers, as the checkout needs them."""

    def __init__(self, machine: TillMachine) -> None:
        self._machine = machine

    def second(self, head: Head) -> int:
        machine, world = self._machine, self._machine.world
        copies, took = 0, 0
        for target in world.keepers_of(machine):
            if target is world.hq:
                continue
            sender = machine.sender(target, machine.epoch)
            if sender.failures:
                continue  # a silent keeper waits for the background's probe
            world.network.took_ms = BUDGET_MS
            machine.bring(target, machine.epoch, 3)
            spent = world.network.took_ms
            took = max(took, min(spent, BUDGET_MS))
            if spent <= BUDGET_MS and sender.kept is not None and sender.kept.seq >= head.seq:
                copies += 1
        world.pass_ms(took)
        return copies

    def confirm(self, head: Head) -> bool:  # noqa: ARG002 - a sender asks with the disk's own
        machine = self._machine
        answered = False
        for target in machine.world.keepers_of(machine):
            answered = machine.bring(target, machine.epoch, 3) or answered
            if machine.refusal is not None:
                raise machine.refusal
        return answered

    def refusal(self) -> OppetError | None:
        return self._machine.refusal


def _code(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:  # noqa: ARG001 - the port's words
    return ""


class _Wire:
    """What `drivers/keeper_client.py` is, on the simulated cable."""

    def __init__(self, machine: TillMachine) -> None:
        self._machine = machine

    def lane(self, signed: Signed) -> Signed:
        machine = self._machine
        node = machine.world.nodes[machine.store]
        role = node.role
        assert role is not None
        return machine.world.network.call(machine, node, partial(role.lane, signed))

    def close(self) -> None:
        """Nothing is open."""


class Neighbourhood(LaneNeighbours):
    """The store's other tills; remembers for the laws what had to be decided alone."""

    def __init__(self, machine: TillMachine) -> None:
        node = machine.world.nodes[machine.store].role
        assert node is not None
        self._node = cast(Any, node.info)
        self._till, self._epoch = machine.till, machine.epoch
        self._signer = machine.world.till_key(machine.till, machine.epoch)
        self._away = lambda: False
        self._client = cast(Any, _Wire(machine))
        self._clock = cast(Any, machine)
        self._gone: Sequence[tuple[int, Elsewhere]] = ()
        self._at_risk_ore = 0
        self._paid = None
        self._machine = machine

    def resume(self, sale: int) -> None:
        try:
            super().resume(sale)
        except NeighboursAwayError:
            self._machine.world.laws.unruled.add((self._till, self._epoch, sale))
            raise

    def hold(self, original: Original) -> Mapping[int, Came]:
        world, place = self._machine.world, (original.till, original.epoch, original.number)
        if not world.up_to_date(self._machine.store, self._till):
            world.laws.lone.add(place)  # the node cannot know what came back meanwhile: what it rules proves nothing
        try:
            return super().hold(original)
        except NeighboursAwayError:
            world.laws.lone.add(place)  # a till alone returns a little without asking (R17)
            raise
