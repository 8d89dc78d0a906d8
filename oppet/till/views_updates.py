"""Updates as the page shows them: what a cashier must know in one calm line, and a pane for supervisors and engineers.

What is taken, refused or waited for is decided by `release/intake.py`; here it is put into words (RL10). `DeskHands` is the till as the
intake needs it; `Updates` is everything behind the pane. What people may do about it are deeds of `web_day.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from oppet.base.words import N_
from oppet.journal.body import Body
from oppet.journal.kinds_published import PublicationRefused
from oppet.paper.sheet import Say
from oppet.paper.sheet import when as wall_clock
from oppet.register.till import Till
from oppet.release.goods_intake import GoodsIntake, GuidanceText
from oppet.release.held import Ledger
from oppet.release.intake import Intake, Takers
from oppet.release.ports import FAILED, FETCHING, READY, TESTING
from oppet.release.rings import MINUTE_MS, ring_of
from oppet.release.terms import PARTIES, REASONS
from oppet.sale.basket import PAYING

__all__ = ["Closes", "DeskHands", "News", "Updates", "UpdatesView", "news", "updates_view", "worded"]

SHOWN = 6  # refusals in the pane
STAGES = {
    FETCHING: N_("it is being fetched"), TESTING: N_("it is being checked and tests itself"), READY: N_("it is here, checked and tested"),
    FAILED: N_("fetching failed; it is tried again"),
}  # fmt: skip


class Closes(Protocol):
    def close(self) -> None: ...


@dataclass
class Updates:
    """What is behind the pane. `parts` are closed with the till, the last one first."""

    intake: Intake
    takers: Takers
    parts: Sequence[Closes]
    hands: DeskHands
    goods: GoodsIntake | None = None
    seen: str = field(init=False)  # refusals up to this moment were seen by somebody

    def __post_init__(self) -> None:
        refused = self.intake.ledger.refused
        self.seen = refused[-1].time if refused else ""

    def tick(self) -> bool:
        return self.takers.tick()

    def close(self) -> None:
        for part in reversed(self.parts):
            part.close()


class DeskHands:
    """The till as the intake needs it (`release.intake.Hands`)."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self.idle: Callable[[], bool] = lambda: True  # the page, once there is one
        self.charged: Callable[[], str] = lambda: till.desk.ports.catalogue.version

    def ledger(self) -> Ledger:
        return self._till.desk.state.releases

    def write(self, *bodies: Body, sign: bool = True) -> None:
        self._till.desk.write(*bodies, sign=sign)

    def counter(self) -> int:
        return self._till.desk.ports.clock.counter()

    def now(self) -> int:
        return self._till.desk.now()

    def time_believed(self) -> bool:
        return not self._till.desk.in_doubt()

    def between(self) -> bool:
        desk = self._till.desk
        under_way = any(
            one.live for one in desk.state.attempts()
        )  # an unclear one may stay so for days, and survives a restart
        return desk.between() and not under_way and not desk.state.unprinted and self.idle()

    def paying(self) -> bool:
        """Whether a customer is paying: what comes down then gives way. Asked from other threads too."""
        state = self._till.desk.state
        basket = state.baskets.get(state.current)
        return basket is not None and basket.state == PAYING

    def manned(self) -> bool:
        return bool(self._till.desk.state.staff)

    def goods(self) -> str:
        return self.charged()


# --- one line for the cashier ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class News:
    """`kind` is switching, soon or refused."""

    kind: str
    text: str
    run: int = 0  # which run of the till this is: the page waits for another


def guidance(till: Till, updates: Updates | None) -> tuple[GuidanceText, ...]:
    """What the chain says to its tills now."""
    return updates.goods.guidance.now(till.desk.when()) if updates is not None and updates.goods is not None else ()


def news(till: Till, updates: Updates | None, say: Say) -> News | None:
    """What a cashier must know now; None nearly always."""
    if updates is None:
        return None
    intake, run = updates.intake, till.desk.state.runs
    if intake.leaving:
        return News(
            "switching", say(N_("A new version starts. The till is back in a few seconds; sign in again then.")), run
        )
    if intake.about_to:
        return News("soon", say(N_("After this customer the till takes a new version. It takes a few seconds.")))
    last = intake.ledger.refused[-1] if intake.ledger.refused else None
    if last is None or last.time <= updates.seen:
        return None
    sentence = say(N_("Something that came down was refused: {reason} Nothing has changed here; go on selling."))
    return News("refused", sentence.format(reason=reason(last.refused, say)))


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "–"


def worded(why: str, facts: dict[str, Any], say: Say) -> str:
    """The sentence of a word of `terms.REASONS`."""
    told = _Facts({name: say(PARTIES[fact]) if fact in PARTIES else str(fact) for name, fact in facts.items()})
    return say(REASONS[why]).format_map(told) if why in REASONS else why


def reason(refused: PublicationRefused, say: Say) -> str:
    return worded(refused.why, {fact.name: fact.value for fact in refused.facts}, say)


# --- the pane -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefusedView:
    time: str
    text: str
    facts: str  # for an engineer


@dataclass(frozen=True, slots=True)
class WaitingView:
    """A release that is known and does not run."""

    version: str
    release: int
    image: str
    text: str  # what it waits for
    stage: str
    percent: int | None
    evidence: str
    dwelt: str
    refused: bool


@dataclass(frozen=True, slots=True)
class UpdatesView:
    running: str
    image: str
    since: str
    slots: tuple[tuple[str, str, bool], ...]  # slot, release and image, whole
    waiting: WaitingView | None
    ring: str
    pace: str
    hours: str
    frozen: bool
    source: str
    lists: tuple[tuple[str, str], ...]
    expired: bool
    refused: tuple[RefusedView, ...]
    untold: int
    attested: str
    goods: str


def updates_view(updates: Updates, say: Say) -> UpdatesView:
    intake = updates.intake
    ledger, standing, found = intake.ledger, intake.slots.now(), intake.found
    running = standing.running
    text = f"{running.version} ({running.release})" if running is not None else say(N_("not from a slot"))
    return UpdatesView(
        running=text,
        image=running.image[:16] if running is not None else "",
        since=wall_clock(ledger.since)[:16] if ledger.since else "",
        slots=tuple((one.slot, f"{one.release} · {one.image[:16]}", one.sound) for one in standing.slots),
        waiting=_waiting(intake, say),
        ring=_ring(intake, say),
        pace=_pace(intake, say),
        hours=_hours(intake, say),
        frozen=ledger.frozen,
        source=_source(updates, say) if ledger.repositories or found is not None else say(N_("nothing has been heard yet")),
        lists=tuple(
            (one.repository, f"{one.root} · {one.targets} · {one.snapshot} · {one.timestamp}") for one in ledger.repositories
        ),
        expired=found is not None and bool(found.expired),
        refused=tuple(_refused(told.time, told.refused, say) for told in reversed(ledger.refused[-SHOWN:])),
        untold=intake.untold,
        attested=wall_clock(ledger.attested)[:16] if ledger.attested else "",
        goods=intake.goods,
    )  # fmt: skip


def _source(updates: Updates, say: Say) -> str:
    intake = updates.intake
    found = intake.found
    name = found.source if found is not None else intake.ledger.source
    if intake.fresh:
        return say(N_("{source}, within the hour")).format(source=name or "–")
    return say(N_("{source}, and nobody for more than an hour: nothing new is installed")).format(source=name or "–")


def _waiting(intake: Intake, say: Say) -> WaitingView | None:
    candidate = intake.candidate
    if candidate is None or candidate.verdict.do == "nothing":
        return None
    software, verdict, progress = candidate.agreed.software, candidate.verdict, intake.slots.progress()
    mine = progress.image == software.image
    percent = progress.done * 100 // progress.whole if mine and progress.whole and progress.stage == FETCHING else None
    text = (
        worded(verdict.why, dict(verdict.facts), say) if verdict.why else say(N_("It is taken between two customers."))
    )
    evidence = say(N_("{tills} of {need_tills} trial tills, in {stores} of {need_stores} stores, say that it works")).format(
        tills=candidate.evidence.tills, need_tills=candidate.asked.evidence_tills, stores=candidate.evidence.stores,
        need_stores=candidate.asked.evidence_stores,
    )  # fmt: skip
    dwelt = say(N_("{minutes} minutes since then, of at least {need}")).format(
        minutes=candidate.dwelt_ms // MINUTE_MS, need=candidate.asked.dwell_min
    )
    stage = say(STAGES[progress.stage]) if mine and progress.stage in STAGES else ""
    return WaitingView(
        software.version,
        software.release,
        software.image[:16],
        text,
        stage,
        percent,
        evidence,
        dwelt,
        verdict.do == "refuse",
    )


def _ring(intake: Intake, say: Say) -> str:
    now, _ = intake.ledger.pace_of()
    if now is None:
        return ""
    if ring_of(intake.here(), now) == "canary":
        return say(N_("This is a trial till: it goes first, and says how the release does."))
    return say(N_("This till follows when the trial tills have shown that a release works."))


def _pace(intake: Intake, say: Say) -> str:
    now, pending = intake.ledger.pace_of()
    if now is None or pending is None:
        return ""
    left = max(0, now.hold_min - pending.ms // MINUTE_MS)
    return say(N_("New rules for who goes first came with root {root}; they count in about {minutes} minutes.")).format(
        root=pending.root, minutes=left
    )


def _hours(intake: Intake, say: Say) -> str:
    spans, quiet = ", ".join(intake.hours.install) or "–", intake.hours.quiet_min
    if not quiet:
        return spans
    return say(N_("{hours}, or when nobody has been signed in for {minutes} minutes")).format(
        hours=spans, minutes=quiet
    )


def _refused(time: str, refused: PublicationRefused, say: Say) -> RefusedView:
    facts = [refused.what, refused.why, refused.repository, refused.name, str(refused.release or ""), refused.source]
    facts += [f"{fact.name}={fact.value}" for fact in refused.facts]
    return RefusedView(wall_clock(time)[:16], reason(refused, say), " · ".join(part for part in facts if part))
