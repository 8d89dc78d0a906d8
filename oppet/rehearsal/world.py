"""A till that takes tenders in a world as bad as the reference allows, from a seed: the real register, everything around it simulated.

One run is some dozens of tenders at one till: sales, returns, parked baskets, Z, aborts, other means, kills at any write, failing disks,
restarting terminals, an acquirer and a Swish that come and go. After every durable write and every message the laws are held
(`laws.py`); in the end everything heals, time passes, and nothing may be left. Real: the register, the journal's encoding, snapshots
and replay. Simulated: disk, wires, services, printer, control unit, clock, and the signatures, which prove nothing here.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from random import Random

import msgspec

from oppet.base.clock import parse_utc
from oppet.base.errors import OppetError, UnavailableError
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import PowerCutError
from oppet.journal.kinds import Body, Elsewhere, EpochOpened, Original, Receipt
from oppet.payments.paths import Work
from oppet.payments.risk import RiskLimits
from oppet.register.desk import Rules
from oppet.register.errors import NoReceiptError
from oppet.register.ports import Alone, Ports
from oppet.register.till import Till
from oppet.rehearsal import cashier
from oppet.rehearsal.laws import Broken, Laws
from oppet.rehearsal.ledger import Days
from oppet.rehearsal.lines import CardLine, HandLine, Line, SwishLine, Weather
from oppet.rehearsal.services import Swish, Terminal
from oppet.sim.devices import SimPrinter, SimUnit, a_catalogue
from oppet.sim.disks import Disk, SimJournal

__all__ = ["TENDERS", "Result", "World", "run"]

BEGIN = parse_utc("2026-11-22T06:00:00.000Z")
TENDERS = 40  # of one run
MOST_STEPS = 40  # for each tender: a till that can take none any more has no more to say
ROUNDS = 40  # of settling
PAUSE_MS = 905_000  # longer than the longest pause between two queries
RISK = RiskLimits(card_ore=9_000, swish_ore=4_000, till_day_ore=20_000, store_day_ore=60_000)
RULES = Rules(disk_least_mb=200, views_every=100, risk=RISK)
CATALOGUE = a_catalogue()
BAD = (0.0, 0.05, 0.15, 0.35)


class Result(msgspec.Struct, frozen=True):
    """What one run came to."""

    seed: int
    tenders: int
    broken: tuple[Broken, ...]
    checked: dict[str, int]
    outcomes: dict[str, int]
    faults: dict[str, int]
    open: int  # what stayed unknown, as the reference says it must
    cases: int
    at_ms: int


class _NoSignature(Signer):
    """Signs nothing: no law here is about signatures, and each would cost more than the rest of a write."""

    def __init__(self) -> None:
        super().__init__(bytes(32))

    def sign(self, data: bytes) -> bytes:  # noqa: ARG002
        return b""


SIGNER = _NoSignature()


class _Journal(SimJournal):
    """Shows the laws every group that is durable, whatever the till was told of it."""

    laws: Laws

    def append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        before = len(self.log.entries)
        try:
            return super().append(instant, bodies, signer)
        finally:
            if len(self.log.entries) > before:
                self.laws.written(bodies)


class _Others(Alone):
    """The store's other tills: one of them may have taken a parked basket over."""

    def __init__(self) -> None:
        self.took: list[tuple[int, Elsewhere]] = []

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        found, self.took = self.took, []
        return found


class World:
    """Everything around the till, and its clock."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.days = Days(BEGIN)
        self.faults: Counter[str] = Counter()
        self.laws = Laws(RISK.till_day_ore)
        self.others = _Others()
        self.disk = Disk("till", lambda *_: None)
        self.unit = SimUnit("U1", self.laws.wrong, lambda _: None)
        self.printer = SimPrinter("printer", lambda _: None, lambda _: None)
        ledger, fate = self.laws.ledger, Random(seed + 1)
        self.terminals = [Terminal(name, self.days, ledger, fate) for name in ("card-1", "kort-2")]
        self.swish = Swish(self.days, ledger, fate)
        self.lines: list[Line] = [CardLine(one, self.days, ledger, fate, self._sent) for one in self.terminals]
        self.lines.append(SwishLine(self.swish, self.days, ledger, fate, self._sent))
        self.lines.append(HandLine("alone", "swish", self.days, ledger, fate, self._sent))
        self.laws.lines = {line.name: line for line in self.lines}
        for line in self.lines:
            line.weather = Weather(self.chance.choice(BAD))
        self._booted = 0
        self.calm = False
        self.till = self.start()

    # --- the machine

    def now(self) -> int:
        return self.days.now

    def counter(self) -> int:
        return self.days.now - self._booted + 1_000

    def start(self) -> Till:
        """Start the till on what its disk kept; a disk that refuses is tried again."""
        for line in self.lines:
            line.restart()
        self._booted = self.days.now
        self.laws.restarts.append(self.days.now)
        while True:
            try:
                journal = _Journal(self.disk, "K3", 1)
                journal.laws = self.laws
                ports = Ports(
                    journal, SIGNER, self, [self.unit], [self.printer], CATALOGUE, "here",
                    neighbours=self.others, payments=self.lines,
                )  # fmt: skip
                till = Till(ports, RULES, str, _code, _find)
                till.start(_OPENING)
                till.sign_in(cashier.BO)
                if not till.desk.state.float_set:
                    till.drawer.set_float(50_000)
            except (UnavailableError, PowerCutError):
                self.disk.power_cut()
                self.days.pass_to(self.days.now + 1_000)
                continue
            return till

    def kill(self) -> None:
        self.faults["till killed"] += 1
        self.disk.power_cut()
        self.till = self.start()

    def _sent(self, work: Work) -> None:
        self.laws.now = self.days.now
        self.laws.sent(work)

    # --- time

    def pass_ms(self, ms: int) -> None:
        """Let time go by as the page's process does: answers are taken when they come."""
        until = self.days.now + ms
        while True:
            at = self.days.next_at()
            if at is None or at > until:
                self.days.pass_to(until)
                self.tick()
                return
            self.days.pass_to(at)
            if any(line.waiting() for line in self.lines):
                self.tick()

    def tick(self) -> None:
        self.laws.now = self.days.now
        try:
            self.till.tenders.tick()
        except UnavailableError:
            self.faults["disk failed"] += 1
        except PowerCutError:
            self.kill()

    # --- a run

    def live(self, tenders: int) -> None:
        """Act, let faults fall, let time pass, until so many tenders were asked for or a law broke."""
        chance, laws = self.chance, self.laws
        for _ in range(tenders * MOST_STEPS):
            if laws.broken or len(laws.asked) >= tenders:
                return
            if chance.random() < 0.06:
                self._fault()
            try:
                cashier.act(cashier.Counter(self.till, laws.lines, self.terminals), chance)
            except PowerCutError:
                self.kill()
            except OppetError as refused:
                self.faults[f"refused {type(refused).__name__}"] += 1
            self.pass_ms(chance.choice((300, 900, 2_000, 2_500, 6_000, 30_000)))

    def _fault(self) -> None:
        chance = self.chance
        name = chance.choices(_FAULTS, _WEIGHTS)[0]
        self.faults[name] += 1
        away = chance.choice((4_000, 40_000, 400_000))
        terminal = chance.choice(self.terminals)
        line = chance.choice(self.lines)
        match name:
            case "weather":
                mute = 0.02 if chance.random() < 0.2 else 0.0
                line.weather = Weather(chance.choice(BAD), mute=mute)
            case "line cut":
                line.weather.cut = True
                self.days.later(away, lambda: _heal(line))
            case "terminal restarted":
                terminal.restart(forget=chance.random() < 0.15, away_ms=away // 4)
            case "acquirer away":
                for one in self.terminals:
                    one.host = False
                self.days.later(away, self._acquirer_back)
            case "swish away":
                self.swish.up = False
                self.days.later(away, self._swish_back)
            case "reversals refused":
                terminal.refuses = not terminal.refuses
                self.swish.refuses = not self.swish.refuses
            case "power cut":
                self.disk.cut(chance.randrange(6), after=chance.random() < 0.5)
            case "disk fails":
                self.disk.fail(chance.randint(1, 2), after=chance.random() < 0.5)
            case "till killed":
                self.kill()
            case "unit busy":
                self.unit.plan = ["busy"] * chance.randint(1, 9)
            case _:
                self._take_over()

    def _acquirer_back(self) -> None:
        for one in self.terminals:
            one.host = True

    def _swish_back(self) -> None:
        self.swish.up = True

    def _take_over(self) -> None:
        """Another till takes a parked basket over, by what the store node knew of it."""
        for sale, basket in self.till.desk.state.baskets.items():
            if basket.state == "parked" and basket.mode == "sale":
                self.others.took.append((sale, Elsewhere("K4", 1, sale)))
                return

    def settle(self) -> None:
        """Everything heals, and time passes."""
        self.calm = True
        self.disk.calm()
        self.unit.plan.clear()
        self._acquirer_back()
        self._swish_back()
        for line in self.lines:
            line.weather = Weather()
        for terminal in self.terminals:
            terminal.calm, terminal.up = True, True
        self.swish.calm = True
        for _ in range(ROUNDS):
            self.pass_ms(PAUSE_MS)
            self.pass_ms(10_000)
            if self.laws.broken or not self.till.desk.state.attempts():
                break
        if not self.laws.broken:
            self.laws.settled(self.till)

    def told(self, seed: int) -> Result:
        faults = self.faults + Counter({"message lost, late, twice": sum(line.faults for line in self.lines)})
        return Result(
            seed, len(self.laws.asked), tuple(self.laws.broken), dict(self.laws.checked), dict(self.laws.outcomes),
            dict(faults), len(self.till.desk.state.attempts()), len(self.till.desk.state.cases), self.days.now - BEGIN,
        )  # fmt: skip


def _heal(line: Line) -> None:
    line.weather.cut = False


def run(seed: int, tenders: int = TENDERS) -> Result:
    """One run. The same seed gives the same one, entry by entry."""
    world = World(seed)
    try:
        world.live(tenders)
        if not world.laws.broken:
            world.settle()
    except Exception as error:  # noqa: BLE001 - a mistake of ours is a finding like any other
        where = traceback.extract_tb(error.__traceback__)[-1]
        world.laws.wrong("0", f"{type(error).__name__} {error} at {where.name}:{where.lineno}")
    return world.told(seed)


def _code(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:  # noqa: ARG001 - the port's words
    return ""


def _find(code: str) -> tuple[Original, Receipt | None]:  # noqa: ARG001
    raise NoReceiptError(number=0)


_OPENING = EpochOpened(
    store="S01",
    company="Nära ekonomisk förening",
    org_no="5566778899",
    address="Storgatan 1, 652 24 Karlstad",
    register="K3-1",
    manufacturing_no="OPPET-K3",
    model="Öppet SE",
    software="rehearsal",
    public_key=SIGNER.public.hex(),
    units=("U1",),
    installation="here",
)
_FAULTS = (
    "weather", "line cut", "terminal restarted", "acquirer away", "swish away", "reversals refused", "power cut", "disk fails",
    "till killed", "unit busy", "basket taken over",
)  # fmt: skip
_WEIGHTS = (12, 5, 5, 4, 4, 2, 8, 6, 4, 1, 3)
