"""A till that takes in, without its till: a journal in memory, slots that do what they are told, a counter somebody turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oppet.base import canonical
from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.journal.body import Body
from oppet.journal.kinds_published import RepositoryVersions, SlotSeen
from oppet.release.agree import Agreed
from oppet.release.errors import TargetRefusedError
from oppet.release.found import Found
from oppet.release.health import Signed
from oppet.release.held import Ledger
from oppet.release.intake import Hours, Intake, Me
from oppet.release.ports import FAILED, FETCHING, IDLE, READY, Began, Progress, Returned, Standing
from oppet.release.terms import Pace, Plan, Software, software_name
from tests.release.chain import IMAGE, a_pace, a_release, a_word, key_of

MINUTE, HOUR = 60_000, 3_600_000
NOON = parse_utc("2026-11-23T11:00:00.000Z")  # twelve o'clock in the shop: outside its hours for installs
OLD = Software(release=1, version="0.1.0", role="till", hw="any", image="00" * 32, image_bytes=2_000_000)


class DiskGoneError(UnavailableError):
    sentence = N_("The disk has failed.")


@dataclass
class FakeHands:
    journal: list[tuple[str, Body]] = field(default_factory=list)
    folded: Ledger = field(default_factory=Ledger)
    ms: int = 0
    began: int = NOON
    idle: bool = True
    staff: bool = False
    sure: bool = True
    writes_left: int = 1_000_000  # then the disk, and with it the run, is gone

    def ledger(self) -> Ledger:
        return self.folded

    def write(self, *bodies: Body, sign: bool = True) -> None:
        if self.writes_left <= 0:
            raise DiskGoneError
        self.writes_left -= 1
        for body in bodies:
            self.journal.append((utc_text(self.now()), body))
            self.folded.apply(utc_text(self.now()), body)

    def counter(self) -> int:
        return self.ms

    def now(self) -> int:
        return self.began + self.ms

    def time_believed(self) -> bool:
        return self.sure

    def between(self) -> bool:
        return self.idle

    def manned(self) -> bool:
        return self.staff

    def goods(self) -> str:
        return "goods-1"

    def bodies(self, *kinds: type[Body]) -> list[Body]:
        return [body for _, body in self.journal if not kinds or isinstance(body, kinds)]

    def replayed(self) -> Ledger:
        """What the journal alone says."""
        ledger = Ledger()
        for time, body in self.journal:
            ledger.apply(time, body)
        return ledger


@dataclass
class FakeSlots:
    """Bytes come at once; `fails` has the word for each coming fetch that goes wrong."""

    running: Software | None = OLD
    active: str = "a"
    standing: Standing = field(default_factory=Standing)
    fails: list[str] = field(default_factory=list)
    slow: bool = False
    changed: bool = False  # somebody wrote into the slot after it was checked
    at: Progress = field(default_factory=Progress)
    fetched: list[str] = field(default_factory=list)
    switched: list[str] = field(default_factory=list)
    was_proven: int = 0
    acknowledged: int = 0
    checks: int = 0
    dropped: int = 0
    began: Began | None = None
    returned: Returned | None = None

    def now(self) -> Standing:
        seen = (SlotSeen("a", 1, OLD.image, True),)
        return Standing(self.active, self.running, seen, self.checks, self.began, self.returned)

    def check(self) -> None:
        self.checks += 1

    def fetch(self, agreed: Agreed) -> None:
        software = agreed.software
        self.fetched.append(software.image)
        stage = FETCHING if self.slow else READY
        self.at = Progress(stage, software.release, software.image, "b", 10, software.image_bytes, 10)
        if self.fails:
            self.at = replace(self.at, stage=FAILED, why=self.fails.pop(0))

    def progress(self) -> Progress:
        return self.at

    def drop(self) -> None:
        self.dropped += 1
        self.at = Progress()

    def switch(self, image: str) -> None:
        assert (self.at.stage, self.at.image) == (READY, image)
        if self.changed:
            raise TargetRefusedError(name=image, why="slot_changed", reason="lib/oppet/cli.py")
        self.switched.append(image)

    def proven(self) -> None:
        self.was_proven += 1

    def followed(self) -> bool:
        return True

    def acknowledge(self) -> None:
        self.acknowledged += 1
        self.returned = None

    def close(self) -> None:
        self.at = replace(self.at, stage=IDLE)


def versions(root: int = 1, number: int = 1) -> tuple[RepositoryVersions, ...]:
    return tuple(RepositoryVersions(name, root, number, number, number) for name in ("chain", "vendor"))


def vouched(
    image: str = IMAGE, tills: Sequence[int] = (0, 1, 2), **changes: int
) -> tuple[tuple[str, tuple[Signed, ...]], ...]:
    canaries = a_pace().canaries
    return ((image, tuple(a_word(canaries[number], image, signer=None, **changes) for number in tills)),)


def agreed(software: Software | None = None, *, emergency: bool = False, name: str = "") -> Agreed:
    software = software or a_release()
    return Agreed(name or software_name("till", software.release), 900, "b2" * 32, software, emergency)


def a_look(*, chosen: int | None = 2, number: int = 2, **changes: object) -> Found:
    """What an honest chain shows: release 2 agreed, chosen, and vouched for by three canaries in two stores."""
    plan = Plan(1, {"till": chosen}) if chosen else None
    found = Found(
        source="http://127.0.0.1:8400", versions=versions(number=number), agreed=(agreed(),), plan=plan, root=1, pace=a_pace(),
        health=vouched(),
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def me(store: str = "S09", number: int = 1, pace: Pace | None = None) -> Me:
    till = f"{store}-K{number}"
    return Me(store, till, 1, key_of(till), "x86_64", 1, pace or a_pace(), "5e" * 32, "3.11")


ALWAYS = Hours(("00:00-24:00",))
NIGHT = Hours(("21:00-07:00",), 0)


@dataclass
class Taking:
    """One run of a till's intake over fakes; `again` is the next run on the same journal."""

    hands: FakeHands = field(default_factory=FakeHands)
    slots: FakeSlots = field(default_factory=FakeSlots)
    me: Me = field(default_factory=me)
    hours: Hours = ALWAYS
    look: Found | None = field(default_factory=a_look)

    def __post_init__(self) -> None:
        self.intake = Intake(self.hands, self.slots, self.me, self.hours)
        self.intake.begin()

    def again(self, **slots: object) -> Taking:
        """The till starts anew: the journal is all it has."""
        hands = replace(self.hands, folded=self.hands.replayed(), writes_left=1_000_000)
        standing = replace(self.slots, at=Progress(), **slots)  # type: ignore[arg-type]
        return Taking(hands, standing, self.me, self.hours, self.look)

    def beats(self, minutes: int, step_ms: int = MINUTE) -> None:
        """Let the till run, with a fresh look every minute."""
        for _ in range(minutes * MINUTE // step_ms):
            self.hands.ms += step_ms
            self.intake.tick(self.look)

    def told(self) -> str:
        return canonical.encode(self.hands.replayed()).decode()
