"""The till's side of software: what it has heard, whether it takes it, and when. A till obeys nothing here; it decides.

`tick` is called often under the till's lock and never waits: it takes what the looker found, judges it (`agree.py`, `rings.py`,
`held.py`), writes down what changed, lets the slots fetch, and asks for the switch between two customers. What it must remember is
`Ledger`, a fold of the till's own journal: dwell and hold are counted from entries, so no clock that is set and no folder that is
wiped makes a till forget. Keeps RL10 (every refusal is told once, trust unmoved, the till sells), RL12 (it sells during the
download; switch between customers, in the store's hours, never while frozen: R22) and RL14 (it says what it runs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import OppetError, UntrustedError
from oppet.base.signing import Signer
from oppet.journal.body import Body, Fact
from oppet.journal.kinds import AlarmRaised
from oppet.journal.kinds_published import (
    Attested,
    HealthSaid,
    InstallsFrozen,
    PaceCounted,
    PaceHeld,
    PublicationRefused,
    ReleaseDwelt,
    ReleaseInstalled,
    ReleaseReturned,
    ReleaseSeen,
    ReleaseStaged,
    RepositoryVersions,
    TrustMoved,
)
from oppet.release.agree import Agreed
from oppet.release.found import Found, Refused
from oppet.release.health import Evidence, Signed, Statement, evidence_of, sign
from oppet.release.held import Ledger, pace_digest, refusal_key
from oppet.release.ports import FAILED, FETCHING, IDLE, READY, TESTING, Looker, Progress, Returned, Slots, Standing
from oppet.release.rings import INSTALL, MINUTE_MS, REFUSE, WAIT, Here, Verdict, judge, ring_of, sound_pace
from oppet.release.terms import CHAIN, VENDOR, EmergencyPace, Pace, software_name

__all__ = ["Candidate", "Hands", "Hours", "Intake", "Me", "Taker", "Takers", "allowed"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
GAP_MS: Final = 60_000  # between two ticks no more than this counts: a machine that slept did not run
FLUSH_MS: Final = (
    10 * MINUTE_MS
)  # how often dwell and hold are written down; a power cut loses as much, and never gains
FRESH_MS: Final = HOUR_MS  # a look older than this neither installs nor counts: canaries may have fallen ill since
SEEN_MS: Final = 10 * MINUTE_MS  # how a release stands is written down no oftener
LAG_MS: Final = (
    10 * MINUTE_MS
)  # so long a cache may be behind what this till got elsewhere, and nobody is called a liar
MOVED_MS: Final = 5 * MINUTE_MS  # nor are new timestamps
AGAIN_MS: Final = DAY_MS  # a refusal that goes on is told again after this long
HEALTH_MS: Final = HOUR_MS
PROVEN_MS: Final = MINUTE_MS
CHECK_MS: Final = MINUTE_MS  # what the slots are given to be read anew before an attestation says what is known
ASKED_MS: Final = MINUTE_MS  # between two attestations that were asked for
RETRY_MS: Final = (MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS)  # after a fetch that failed
MOST_NEW: Final = 20  # refusals told in an hour of running; the rest are counted
MOST_ASKED: Final = 8
FETCH_FOR: Final = frozenset({"dwell", "wave", "open_hours"})  # what may be waited for with the image already here
OURS: Final = frozenset(
    {"metadata", "image", "cache", "release"}
)  # what of a look's refusals is told here, goods by who takes them

HoursOf = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)\Z")]


# --- what the intake is handed ------------------------------------------------------------------------------------------


class Hands(Protocol):
    """The till, as the intake needs it. `ledger` may be another object after a disk that failed."""

    def ledger(self) -> Ledger: ...

    def write(self, *bodies: Body, sign: bool = True) -> None:
        """Durable when it returns. Raises UnavailableError with nothing written."""
        ...

    def counter(self) -> int: ...

    def now(self) -> int:
        """The believed moment, UTC ms."""
        ...

    def time_believed(self) -> bool: ...

    def between(self) -> bool:
        """Between two customers: no basket is open, no payment under way, nothing unregistered, and the page idle."""
        ...

    def manned(self) -> bool:
        """Whether anybody is signed in."""
        ...

    def goods(self) -> str:
        """What names the assortment that is charged."""
        ...


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When this store lets new releases start (R22)."""

    install: Annotated[tuple[HoursOf, ...], Meta(max_length=14)] = ("21:00-07:00",)  # local; "00:00-24:00" for always
    quiet_min: Annotated[int, Meta(ge=0, le=1440)] = 30  # or when nobody has been signed in for so long; 0: never


@dataclass(frozen=True, slots=True)
class Me:
    """The till that takes in, as it was installed."""

    store: str
    till: str
    epoch: int
    signer: Signer
    hw: str
    root: int  # of the chain, that it was installed with
    pace: Pace  # and the pace in it
    settings: str = ""  # digest of its settings file
    python: str = ""
    floor: int = 0


class Taker(Protocol):
    """Somebody who is handed what came down: software here, goods in `goods_intake.py`."""

    def tick(self, found: Found | None) -> bool:
        """Take what was found, do what is due; whether anything is to be shown anew. Never waits. Raises UnavailableError."""
        ...

    def stop(self) -> None:
        """The run ends: write down what is not yet."""
        ...


class Takers:
    """One look for all who take: asks the looker in time and hands each what it found."""

    def __init__(
        self, looker: Looker, clock: Callable[[], int], now: Callable[[], int], every_ms: int, takers: Sequence[Taker]
    ) -> None:
        """`clock` only runs forward; `now` is the believed moment, UTC ms."""
        self._looker = looker
        self._clock = clock
        self._now = now
        self._every_ms = every_ms
        self._asked: int | None = None
        self.takers = takers

    def look(self) -> None:
        """Look soon, whatever the time."""
        self._asked = None

    def tick(self) -> bool:
        found = self._looker.heard()
        changed = False
        for taker in self.takers:
            changed |= taker.tick(found)
        at = self._clock()
        if self._asked is None or at - self._asked >= self._every_ms:
            self._asked = at
            self._looker.ask(self._now())
        return changed

    def stop(self) -> None:
        for taker in self.takers:
            taker.stop()


def allowed(hours: Sequence[str], minute: str) -> bool:
    """Whether a local minute ("2026-11-22T21:30") lies in one of the spans; one that ends before it begins goes over midnight."""
    clock = minute[11:16]
    for span in hours:
        begin, _, end = span.partition("-")
        if (begin <= clock < end) if begin <= end else (clock >= begin or clock < end):
            return True
    return False


# --- taking in ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """The release that is being judged, and how it stands."""

    agreed: Agreed
    evidence: Evidence
    asked: Pace | EmergencyPace
    verdict: Verdict
    dwelt_ms: int
    chosen: bool


class Intake:
    def __init__(self, hands: Hands, slots: Slots, me: Me, hours: Hours = Hours()) -> None:  # noqa: B008 - frozen
        self._hands = hands
        self.slots = slots
        self.me = me
        self.hours = hours
        self.candidate: Candidate | None = None
        self.about_to = False  # at the next tick between two customers the switch is made
        self.leaving = False  # it is made: the process is to end with SWITCH_EXIT
        self.untold = 0  # refusals beyond what is told in an hour
        self.found: Found | None = None  # the last good look
        self._begun = self._heard = self._at = self._flushed = self._busy = self._health_at = hands.counter()
        self._held_ms = self._dwell_ms = self._ran_ms = 0  # not written down yet
        self._counted: tuple[int, str] | None = None  # release and image whose dwell is being counted
        self._evidence: tuple[object, Evidence] | None = None
        self._behind: dict[tuple[str, str], int] = {}  # source and repository → since when it offers older lists
        self._seen_at = self._moved_at = self._held_at = -DAY_MS
        self._new: list[int] = []  # when refusals were told, within the hour
        self._tries: dict[str, tuple[int, int]] = {}  # image → how often a fetch failed, and when it last did
        self._under_way = False
        self._rest_until = 0  # after a switch that could not be made
        self._proven = False
        self._nonces: list[str] = []
        self._checking: _Check | None = None
        self._attested_at = self._at

    # --- the run's beginning and end

    def begin(self) -> None:
        """After the till has started: say what runs, and what became of a switch. Raises UnavailableError."""
        hands, now = self._hands, self.slots.now()
        if hands.ledger().first is None:
            pace = self.me.pace
            said = canonical.encode(pace).decode()
            hands.write(PaceHeld(self.me.root, pace_digest(pace), len(pace.canaries), 0, said))
        if now.returned is not None:
            self._went_back(now.returned)
        running, ledger = now.running, hands.ledger()
        if running is not None and (running.release, running.image) != (ledger.release, ledger.image):
            dark_ms = now.began.dark_ms if now.began is not None else 0
            bodies: list[Body] = [
                ReleaseInstalled(running.release, running.image, now.active, ledger.release, running.fiscal, dark_ms)
            ]
            if running.release < ledger.release and now.returned is None:
                facts = (Fact("release", str(running.release)), Fact("before", str(ledger.release)))
                bodies.append(AlarmRaised("older_release_runs", facts))
            hands.write(*bodies)
        self._check("start")

    def stop(self) -> None:
        """Write down what was counted since the last time."""
        self._count()
        self._flush()
        self._health(last=True)

    def shown(self) -> None:
        """A page was given out, or the till has run for a while: what runs here works."""
        if not self._proven:
            self._proven = True
            self.slots.proven()

    # --- what people decide here

    def freeze(self, *, on: bool, by: int) -> None:
        """The store's switch: no installs while it is on. Raises UnavailableError."""
        if on != self._hands.ledger().frozen:
            self._hands.write(InstallsFrozen(on, by))
        self.about_to = self.about_to and not on

    def ask(self, nonce: str) -> None:
        """Somebody asks what runs here, and will know the answer by this word."""
        if nonce and nonce not in (*self._nonces, *self._hands.ledger().nonces) and len(self._nonces) < MOST_ASKED:
            self._nonces.append(nonce[:64])

    # --- the beat

    def tick(self, found: Found | None) -> bool:
        before = self.pulse()
        self._count()
        if found is not None:
            self._looked(found)
        self._judge()
        if self._hands.counter() - self._flushed >= FLUSH_MS:
            self._flush()
        self._fetch()
        self._switch()
        self._health()
        self._attest()
        return before != self.pulse()

    def pulse(self) -> tuple[object, ...]:
        """What the page shows of it: it is laid out anew when this has changed."""
        progress, ledger, candidate = self.slots.progress(), self._hands.ledger(), self.candidate
        percent = progress.done * 20 // progress.whole if progress.whole else 0
        verdict = (candidate.verdict.do, candidate.verdict.why, candidate.agreed.name) if candidate else ()
        return (
            progress.stage, percent, verdict, ledger.frozen, len(ledger.told), ledger.attested, self.about_to, self.leaving,
            self.fresh, ledger.release,
        )  # fmt: skip

    @property
    def fresh(self) -> bool:
        """Whether the last good look is young enough to act on."""
        return self.found is not None and self._hands.counter() - self._heard < FRESH_MS

    @property
    def ledger(self) -> Ledger:
        return self._hands.ledger()

    @property
    def goods(self) -> str:
        return self._hands.goods()

    def here(self) -> Here:
        """This till as it judges."""
        me, running = self.me, self.slots.now().running
        here = Here(
            store=me.store, till=me.till, epoch=me.epoch, key=me.signer.public.hex(), hw=me.hw, floor=me.floor,
            frozen=self._hands.ledger().frozen, quiet=self.quiet(), clock_believed=self._hands.time_believed(),
        )  # fmt: skip
        if running is None:
            return here
        return replace(
            here, installed=running.release, image=running.image, floor=max(me.floor, running.min_release),
            schema=running.schema, fiscal=running.fiscal,
        )  # fmt: skip

    def quiet(self) -> bool:
        """The store's hours for installs, or nobody at the till for a while (R22)."""
        if allowed(self.hours.install, local_minute(self._hands.now())):
            return True
        return bool(self.hours.quiet_min) and self._hands.counter() - self._busy >= self.hours.quiet_min * MINUTE_MS

    # --- counting

    def _count(self) -> None:
        """Running time since the last tick, to whatever is counted in it."""
        at = self._hands.counter()
        gone, self._at = min(max(at - self._at, 0), GAP_MS), at
        if self._hands.manned() or not self._hands.between():
            self._busy = at
        self._ran_ms += gone
        _, pending = self._hands.ledger().pace_of()
        if pending is not None:
            self._held_ms += gone
        candidate = self.candidate
        if candidate is None or self._counted is None or not self.fresh:
            return
        # A store's turn comes only in its hours: else all whose turn came by day would install in one evening.
        if candidate.dwelt_ms < candidate.asked.dwell_min * MINUTE_MS or self.quiet():
            self._dwell_ms += gone

    def _flush(self) -> None:
        self._flushed = self._hands.counter()
        _, pending = self._hands.ledger().pace_of()
        bodies: list[Body] = []
        if pending is not None and self._held_ms:
            bodies.append(PaceCounted(pending.root, self._held_ms))
        if self._counted is not None and self._dwell_ms:
            bodies.append(ReleaseDwelt(*self._counted, self._dwell_ms))
        if bodies:
            self._hands.write(*bodies)
        self._held_ms = self._dwell_ms = 0

    # --- what a look gave

    def _looked(self, found: Found) -> None:
        source = found.source[:80]
        for one in self._beyond_lag(found.refused):
            if one.what in OURS:
                facts = tuple(Fact("reason", text) for text in (one.reason[:120],) if text)
                self._refuse(PublicationRefused(
                    one.what, one.why, 0, one.name[:80], one.repository[:16], one.source[:80] or source, facts
                ))  # fmt: skip
        for repository in found.expired:
            self._refuse(PublicationRefused("metadata", "expired", repository=repository[:16], source=source))
        if (back := self._backwards(found)) is not None:
            facts = (Fact("root", str(back.root)), Fact("snapshot", str(back.snapshot)))
            self._refuse(PublicationRefused("metadata", "rollback", 0, "", back.repository[:16], source, facts))
            return
        self._move(found)
        if found.pace is not None:
            self._hold(found.root, found.pace)
        for disagreed in found.disagreed:
            facts = (Fact("party", disagreed.party),) if disagreed.party else ()
            self._refuse(
                PublicationRefused("release", disagreed.why, disagreed.release, disagreed.name[:80], facts=facts)
            )
        if found.versions or found.agreed:
            self.found, self._heard = found, self._hands.counter()
            if found.plan is not None:
                self.ask(found.plan.nonce)

    def _beyond_lag(self, refused: Sequence[Refused]) -> list[Refused]:
        """Without what a cache explains that has not yet pulled what this till got elsewhere: behind for minutes, a thief for long."""
        at, behind = self._hands.counter(), {}
        told = []
        for one in refused:
            if one.why == "rollback":
                key = (one.source, one.repository)
                behind[key] = self._behind.get(key, at)
                if at - behind[key] < LAG_MS:
                    continue
            told.append(one)
        self._behind = behind
        return told

    def _backwards(self, found: Found) -> RepositoryVersions | None:
        """Lists older than this till's own journal remembers: its folder was wiped, and somebody gave it old ones."""
        known = {one.repository: one for one in self._hands.ledger().repositories}
        for one in found.versions:
            before = known.get(one.repository)
            if before is None or one.root > before.root:
                continue  # a new root may begin its timestamps anew: that is how a stolen online key is outrun
            now, then = (one.timestamp, one.snapshot, one.targets), (before.timestamp, before.snapshot, before.targets)
            if one.root < before.root or any(new < old for new, old in zip(now, then, strict=True)):
                return one
        return None

    def _move(self, found: Found) -> None:
        at = self._hands.counter()
        known = {one.repository: one for one in self._hands.ledger().repositories}
        after = known | {one.repository: one for one in found.versions}
        if after == known:
            return
        offline = [{name: (one.root, one.targets) for name, one in which.items()} for which in (known, after)]
        if offline[0] == offline[1] and at - self._moved_at < MOVED_MS:
            return  # only what an online key signs: an owned one does not fill the journal
        self._moved_at = at
        self._hands.write(TrustMoved(tuple(after[name] for name in sorted(after))[:4], found.source[:80]))

    def _hold(self, root: int, pace: Pace) -> None:
        ledger = self._hands.ledger()
        assert ledger.first is not None, "begin writes it"
        last = ledger.paces[-1] if ledger.paces else ledger.first
        if root <= last.root or pace == last.pace or self._hands.counter() - self._held_at < HOUR_MS:
            return  # a root an hour: whoever has its keys delays itself, and does not fill the journal
        if why := sound_pace(pace):
            facts = (Fact("root", str(root)), Fact("canaries", str(len(pace.canaries))))
            self._refuse(PublicationRefused("metadata", why, root, repository=CHAIN, facts=facts))
            return
        self._flush()  # the one before was held so long; from now on it is this one
        self._held_at = self._hands.counter()
        now, _ = ledger.pace_of()
        assert now is not None, "there is a first"
        said = canonical.encode(pace).decode()
        after_ms = max(now.hold_min * MINUTE_MS, 1)
        self._hands.write(PaceHeld(root, pace_digest(pace), len(pace.canaries), after_ms, said))

    def _refuse(self, refused: PublicationRefused) -> None:
        """Write it down with an alarm, once; what goes on is told once a day, and no flood of names fills the journal (RL10)."""
        at, told = self._hands.counter(), self._hands.ledger().told.get(refusal_key(refused))
        stands = refused.what == "release"  # in a list, for as long as it stands there
        if told is not None and (stands or self._hands.now() - parse_utc(told) < AGAIN_MS):
            return
        self._new = [one for one in self._new if at - one < HOUR_MS]
        if len(self._new) >= MOST_NEW:
            self.untold += 1
            return
        self._new.append(at)
        facts = (Fact("what", refused.what), Fact("why", refused.why), Fact("name", refused.name or refused.repository))
        self._hands.write(refused, AlarmRaised("publication_refused", facts))

    # --- judging

    def _judge(self) -> None:
        self.candidate = candidate = self._candidate()
        wanted = self._wanted()
        counted = (wanted.software.release, wanted.software.image) if wanted is not None else None
        if counted != self._counted:
            self._flush()
            self._counted = counted
        if candidate is None or not self.fresh:
            return
        verdict = candidate.verdict
        if verdict.do in (WAIT, INSTALL):
            self._saw(candidate)
        elif verdict.do == REFUSE and candidate.chosen and verdict.why != "returned":
            facts = tuple(Fact(name, str(value)) for name, value in verdict.facts.items())
            release, name = candidate.agreed.software.release, candidate.agreed.name[:80]
            self._refuse(PublicationRefused("release", verdict.why, release, name, facts=facts))

    def _candidate(self) -> Candidate | None:
        """The chosen release, or else the newest that is newer than what runs. None where there is neither."""
        found, (now, _) = self.found, self._hands.ledger().pace_of()
        if found is None or now is None:
            return None
        here = self.here()
        number = found.plan.releases.get(here.role) if found.plan is not None else None
        mine = {one.name: one for one in found.agreed if one.name.startswith(f"software/{here.role}-")}
        agreed = mine.get(software_name(here.role, number)) if number is not None else None
        if agreed is None or agreed.software.image == here.image:
            newer = [one for one in mine.values() if one.software.release > here.installed]
            agreed = max(newer, key=lambda one: one.software.release, default=None)
        return self._stands(agreed, found, here, now, number) if agreed is not None else None

    def _stands(self, agreed: Agreed, found: Found, here: Here, now: Pace, number: int | None) -> Candidate:
        software, ledger = agreed.software, self._hands.ledger()
        evidence = self._vouched(software.image, found, now)
        dwelt = ledger.dwelt.get(software.image, 0)
        if self._counted == (software.release, software.image):
            dwelt += self._dwell_ms
        chosen = number is not None and agreed.name == software_name(here.role, number)
        verdict = judge(software, here, now, number, evidence, dwelt, emergency=agreed.emergency)
        if agreed.name != software_name(here.role, software.release):
            verdict = verdict if verdict.do == REFUSE else Verdict(REFUSE, "malformed")
        elif software.image in ledger.gone_back:
            verdict = Verdict(REFUSE, "returned")
        elif verdict.do != REFUSE and {VENDOR, CHAIN} & set(found.expired):
            verdict = Verdict(WAIT, "expired")
        elif verdict.do != REFUSE and not self.fresh:
            verdict = Verdict(WAIT, "stale")
        return Candidate(agreed, evidence, now.emergency if agreed.emergency else now, verdict, dwelt, chosen)

    def _vouched(self, image: str, found: Found, pace: Pace) -> Evidence:
        """Signatures are checked once a look, not at every tick."""
        said: Sequence[Signed] = dict(found.health).get(image, ())
        key = (image, said, pace)
        if self._evidence is None or self._evidence[0] != key:
            self._evidence = (key, evidence_of(said, image, pace))
        return self._evidence[1]

    def _saw(self, candidate: Candidate) -> None:
        software, verdict, at = candidate.agreed.software, candidate.verdict, self._hands.counter()
        seen = self._hands.ledger().seen
        same = seen is not None and seen.image == software.image
        if seen is not None and same and (seen.why == verdict.why or at - self._seen_at < SEEN_MS):
            return
        self._seen_at = at
        facts = tuple(Fact(name, str(value)) for name, value in verdict.facts.items())
        self._hands.write(ReleaseSeen(software.release, software.image, software.version, verdict.why, facts))

    # --- fetching and switching

    def _wanted(self) -> Agreed | None:
        """What may be here already: everything about it is settled but time."""
        candidate = self.candidate
        if candidate is None or not self.fresh:
            return None
        verdict = candidate.verdict
        settled = verdict.do == INSTALL or (verdict.do == WAIT and verdict.why in FETCH_FOR)
        return candidate.agreed if settled else None

    def _fetch(self) -> None:
        wanted, progress = self._wanted(), self.slots.progress()
        if not self.slots.now().active or self.leaving:
            return
        if wanted is None:
            if progress.stage in (FETCHING, TESTING):
                self.slots.drop()
            return
        software = wanted.software
        if progress.image != software.image or progress.stage == IDLE:
            if self._rested(software.image):
                self._start(wanted)
        elif progress.stage == FAILED:
            self._failed(wanted, progress)
        elif progress.stage == READY:
            self._under_way = False
            if self._hands.ledger().staged != software.image:
                self._hands.write(ReleaseStaged(
                    software.release, software.image, progress.slot, progress.fetched, software.image_bytes, progress.took_ms
                ))  # fmt: skip

    def _start(self, wanted: Agreed) -> None:
        self._under_way = True
        self.slots.fetch(wanted)

    def _rested(self, image: str) -> bool:
        failures, since = self._tries.get(image, (0, 0))
        pause = RETRY_MS[min(failures, len(RETRY_MS)) - 1] if failures else 0
        return self._hands.counter() - since >= pause or not failures

    def _failed(self, wanted: Agreed, progress: Progress) -> None:
        """A source that is away is asked again soon; bytes that are wrong are told, and asked for again later and later."""
        image = wanted.software.image
        if self._under_way:
            self._under_way = False
            self._tries[image] = (self._tries.get(image, (0, 0))[0] + 1, self._hands.counter())
            while len(self._tries) > MOST_ASKED:
                del self._tries[next(iter(self._tries))]
            if progress.why != "away":
                facts = tuple(Fact(name, value[:120]) for name, value in progress.facts)
                release, name = wanted.software.release, wanted.name[:80]
                self._refuse(PublicationRefused("image", progress.why, release, name, facts=facts))
        elif self._rested(image):
            self._start(wanted)

    def _switch(self) -> None:
        """The page says so first; then, between two customers, the pointer is moved (RL12)."""
        candidate, progress, at = self.candidate, self.slots.progress(), self._hands.counter()
        ready = candidate is not None and self.fresh and candidate.verdict.do == INSTALL
        if not ready or candidate is None or self.leaving:
            self.about_to = False
            return
        software = candidate.agreed.software
        if progress.stage != READY or progress.image != software.image or at < self._rest_until:
            self.about_to = False
        elif not self.about_to:
            self.about_to = True
        elif self._hands.between():
            self.about_to = False
            self._flush()
            self._now(candidate)

    def _now(self, candidate: Candidate) -> None:
        software = candidate.agreed.software
        try:
            self.slots.switch(software.image)
        except OppetError as error:
            self._rest_until = self._hands.counter() + RETRY_MS[1]
            if isinstance(error, UntrustedError):
                why = str(error.facts.get("why", "slot_changed"))
                facts = (Fact("reason", str(error.facts.get("reason", ""))[:120]),)
                self._refuse(
                    PublicationRefused("image", why, software.release, candidate.agreed.name[:80], facts=facts)
                )
                self._start(candidate.agreed)
            return
        self.leaving = True

    def _went_back(self, returned: Returned) -> None:
        """The launcher returned by itself: said once, and a canary tells the others (RL11)."""
        hands = self._hands
        if returned.image not in hands.ledger().gone_back:
            facts = tuple(Fact(name, value[:120]) for name, value in returned.facts[:8])
            bodies: list[Body] = [
                ReleaseReturned(returned.release, returned.image, returned.why, facts),
                AlarmRaised("release_returned", (Fact("release", str(returned.release)), Fact("why", returned.why))),
            ]
            if self._canary():
                bodies.append(self._statement(returned.release, returned.image, 0, 0, 1))
            hands.write(*bodies)
        self.slots.acknowledge()

    # --- what this till says of itself

    def _canary(self) -> bool:
        now, _ = self._hands.ledger().pace_of()
        return now is not None and ring_of(self.here(), now) == "canary"

    def _statement(self, release: int, image: str, minutes: int, sales: int, faults: int) -> HealthSaid:
        me = self.me
        said = sign(Statement(me.store, me.till, me.epoch, release, image, minutes, sales, faults), me.signer)
        return HealthSaid(said.statement, said.signature)

    def _health(self, *, last: bool = False) -> None:
        """A trial till says how the release does: as soon as it counts as evidence, then every hour (RL4)."""
        running, at, ledger = self.slots.now().running, self._hands.counter(), self._hands.ledger()
        now, _ = ledger.pace_of()
        if running is None or now is None or ledger.image != running.image or not self._canary():
            return
        minutes, sales = ledger.running_min + self._ran_ms // MINUTE_MS, ledger.sales
        if (minutes, sales) == (ledger.running_min, ledger.said_sales):
            return
        least = (now.evidence_min, now.evidence_sales)
        counts = minutes >= least[0] and sales >= least[1]
        counted = (
            ledger.running_min >= least[0]
            and ledger.said_sales >= least[1]
            and bool(ledger.said_sales or ledger.running_min)
        )
        if last or (counts and not counted) or at - self._health_at >= HEALTH_MS:
            self._hands.write(self._statement(running.release, running.image, minutes, sales, 0))
            self._health_at, self._ran_ms = at, self._ran_ms % MINUTE_MS

    def _check(self, why: str, nonce: str = "") -> None:
        self._checking = _Check(self._hands.counter(), self.slots.now().checked, why, nonce)
        self.slots.check()

    def _attest(self) -> None:
        """Say what runs here, of files read just now (RL14)."""
        at, check, now = self._hands.counter(), self._checking, self.slots.now()
        if not self._proven and at - self._begun >= PROVEN_MS:
            self.shown()
        if check is None:
            if self._nonces and at - self._attested_at >= ASKED_MS:
                self._check("asked", self._nonces[0])
            elif at - self._attested_at >= DAY_MS:
                self._check("daily")
            return
        if now.active and now.checked == check.before and at - check.since < CHECK_MS:
            return
        self._hands.write(self._attested(check, now))
        self._checking, self._attested_at = None, at
        self._nonces = [one for one in self._nonces if one != check.nonce]

    def _attested(self, check: _Check, now: Standing) -> Attested:
        ledger, me = self._hands.ledger(), self.me
        return Attested(
            check.why, now.running.release if now.running is not None else 0, now.slots, ledger.repositories, me.settings,
            self._hands.goods(), me.python, ledger.frozen, check.nonce,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Check:
    """An attestation that waits until the slots have been read."""

    since: int
    before: int
    why: str
    nonce: str
