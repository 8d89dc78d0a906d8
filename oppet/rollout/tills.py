"""One till of the simulated chain: the real intake, and around it a journal, slots, and a clock that may be wrong.

What is journalled survives a restart; what is not is gone. How long the machine ran is the world's to know; the intake sees only what
it would see in a real till.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from random import Random
from typing import Final

from oppet.base.clock import utc_text
from oppet.base.signing import Signer
from oppet.journal.kinds import AlarmRaised, Body
from oppet.journal.kinds_published import HealthSaid, PublicationRefused, SlotSeen
from oppet.release.agree import Agreed, Listed
from oppet.release.found import Found
from oppet.release.health import Signed
from oppet.release.held import Ledger
from oppet.release.intake import Hours, Intake, Me
from oppet.release.ports import IDLE, READY, Began, Progress, Returned, Standing
from oppet.release.terms import Pace, Software
from oppet.rollout.laws import Laws, Till
from oppet.rollout.lists import DAY_MS, Trusted, View, look

__all__ = ["Looks", "Machine", "SimSlots", "SimTill", "Store"]

MOST_LOOKS: Final = 20_000
ALWAYS: Final = Hours(install=("00:00-24:00",))


class Looks:
    """What a client would find: reckoned once for all tills that trust the same and are shown the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[View, Trusted, Trusted, int], tuple[Found, Trusted, Trusted]] = {}
        self._ends: dict[View, list[int]] = {}

    def look(self, view: View, vendor: Trusted, chain: Trusted, wall_ms: int) -> tuple[Found, Trusted, Trusted]:
        if view not in self._ends:
            self._ends[view] = sorted(
                page.expires_ms
                for lists in (view.vendor, view.chain)
                for page in (lists.timestamp, lists.snapshot, *lists.pages.values())
            )
        key = (view, vendor, chain, bisect(self._ends[view], wall_ms))
        if key not in self._known:
            if len(self._known) >= MOST_LOOKS:
                self._known.clear()
            self._known[key] = look(view, vendor, chain, wall_ms)
        return self._known[key]


class Store:
    """What stands between head office and the tills of one store."""

    def __init__(self, name: str, chance: Random, view: View) -> None:
        self.name = name
        self.view = view
        self.cut_until = self.withheld_until = self.asleep_until = 0
        self.opens, self.shuts = chance.choice((7, 8, 9)), chance.choice((19, 20, 21, 22))
        self.night = chance.random() < 0.5  # its tills run through the night
        self.hours = Hours() if chance.random() < 0.5 else ALWAYS
        self.lies = False


class SimSlots:
    """Two slots and a launcher that goes back from what does not start."""

    def __init__(self, running: Software) -> None:
        self.running = running
        self.active = "a"
        self.agreed: Agreed | None = None
        self.switched = False
        self._began: Began | None = None
        self._returned: Returned | None = None
        self._checked = 0

    def now(self) -> Standing:
        seen = (SlotSeen(self.active, self.running.release, self.running.image, sound=True),)
        return Standing(self.active, self.running, seen, self._checked, self._began, self._returned)

    def check(self) -> None:
        self._checked += 1

    def fetch(self, agreed: Agreed) -> None:
        self.agreed = agreed

    def progress(self) -> Progress:
        if self.agreed is None:
            return Progress(IDLE)
        software = self.agreed.software
        return Progress(READY, software.release, software.image, "b", software.image_bytes, software.image_bytes)

    def drop(self) -> None:
        self.agreed = None

    def switch(self, image: str) -> None:
        assert self.agreed is not None
        assert self.agreed.software.image == image
        self.switched = True

    def proven(self) -> None:
        pass

    def followed(self) -> bool:
        return True

    def acknowledge(self) -> None:
        self._returned = None

    def close(self) -> None:
        pass

    def boot(self, *, works: bool) -> Agreed | None:
        """What the launcher does after a switch: the release that began to run, whether or not it lasted."""
        agreed, before = self.agreed, self.running
        if not self.switched or agreed is None:
            self._began = None
            return None
        self.switched, self.agreed = False, None
        if works:
            self.running, self._began = agreed.software, Began(before.release, 2_000)
            self.active = "b" if self.active == "a" else "a"
        else:
            self._returned = Returned(agreed.software.release, agreed.software.image, "did_not_start")
        return agreed


class Machine:
    """A till as its intake knows it: the hands it is given, and the intake on them. `whole` keeps the journal for a restart."""

    def __init__(self, me: Me, slots: SimSlots, now_ms: int, hours: Hours = ALWAYS, *, whole: bool = True) -> None:
        self.me, self.slots, self.hours = me, slots, hours
        self.wall_ms, self.running_ms = now_ms, 1_000
        self.is_open = self.is_between = True
        self.journal: list[tuple[str, Body | int]] = []
        self.heard: list[HealthSaid] = []
        self.refused: Counter[str] = Counter()
        self.alarms = 0
        self._whole = whole
        self._ledger = Ledger()
        self.intake = self._started()

    # --- what the intake is handed

    def ledger(self) -> Ledger:
        return self._ledger

    def write(self, *bodies: Body, sign: bool = True) -> None:  # noqa: ARG002 - the port's word
        time = utc_text(self.wall_ms)
        for body in bodies:
            if self._whole:
                self.journal.append((time, body))
            self._ledger.apply(time, body)
            if isinstance(body, PublicationRefused):
                self.refused[body.why] += 1
            elif isinstance(body, AlarmRaised):
                self.alarms += 1
            elif isinstance(body, HealthSaid):
                self.heard.append(body)

    def counter(self) -> int:
        return self.running_ms

    def now(self) -> int:
        return self.wall_ms

    def time_believed(self) -> bool:
        return True

    def between(self) -> bool:
        return self.is_between

    def manned(self) -> bool:
        return self.is_open

    def goods(self) -> str:
        return ""

    # --- a machine's life

    def sell(self, sales: int) -> None:
        if self._whole and sales:
            self.journal.append(("", sales))
        self._ledger.sales += sales

    def restart(self) -> None:
        """Power goes and comes back: only the journal is left."""
        if self._whole:
            self._ledger = Ledger()
            for time, body in self.journal:
                if isinstance(body, int):
                    self._ledger.sales += body
                else:
                    self._ledger.apply(time, body)
        self.intake = self._started()

    def _started(self) -> Intake:
        intake = Intake(self, self.slots, self.me, self.hours)
        intake.begin()
        return intake


class SimTill(Machine):
    """A machine in a store of the chain, under the laws."""

    def __init__(
        self, who: Till, store: Store, signer: Signer, first: Pace, view: View, looks: Looks, laws: Laws, now_ms: int,
        *, whole: bool,
    ) -> None:  # fmt: skip
        self.who, self.store, self.laws, self.looks = who, store, laws, looks
        self.skew_ms = 0
        self.taken = False  # a thief's software runs here and does as it likes
        self.waited: Counter[str] = Counter()
        running = next(iter(view.vendor.pages["targets"].listed.values())).custom
        self._vendor, self._chain = Trusted(view.vendor.roots[0]), Trusted(view.chain.roots[0])
        laws.runs(who, running.release)
        me = Me(who.store, who.name, 1, signer, who.hw, 1, first)
        super().__init__(me, SimSlots(running), now_ms, store.hours, whole=whole)

    def time_believed(self) -> bool:
        return abs(self.skew_ms) <= DAY_MS

    @property
    def frozen(self) -> bool:
        return self.ledger().frozen

    def freeze(self, *, on: bool) -> None:
        self.intake.freeze(on=on, by=301)

    def step(self, now_ms: int, ms: int, *, is_open: bool, between: bool, sales: int) -> None:
        """Run for so long, then look, and let the intake do what is due."""
        self.running_ms += ms
        self.laws.ran(self.who, ms)
        self.wall_ms = now_ms + self.skew_ms
        self.is_open, self.is_between = is_open, between
        self.sell(sales)
        found, self._vendor, self._chain = self.looks.look(self.store.view, self._vendor, self._chain, self.wall_ms)
        urgent = [one.software.image for one in found.agreed if one.emergency]
        chosen = found.plan.releases.get("till") if found.plan is not None else None
        self.laws.shown(now_ms, self.who, [self._chain.root], found.health, urgent, chosen)
        self.intake.tick(found)
        if self.intake.candidate is not None:
            self.waited[self.intake.candidate.verdict.why] += 1

    def leave(self, now_ms: int, *, works: bool, poison: bool) -> None:
        """The till has asked for the switch: the launcher starts the other slot."""
        agreed = self.slots.agreed
        assert agreed is not None
        listed = Listed(agreed.name, agreed.length, (("sha256", agreed.sha256),), agreed.software)
        self.laws.asked(self.who, listed, frozen=self.frozen)
        self.laws.began(now_ms, self.who, listed)
        self.slots.boot(works=works)
        if poison:
            self.taken = True
            return
        if not works:
            self.laws.returned(self.who, self.slots.running.release)
        self.restart()

    def said(self) -> list[tuple[str, Signed]]:
        """What this till wrote of its health since it was last asked."""
        words, self.heard = self.heard, []
        return [(self.slots.running.image, Signed(one.statement, one.signature)) for one in words]
