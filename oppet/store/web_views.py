"""What the manager's pages show: folds, certificates and the node's own knowledge as plain values in the reader's words.

A till's state is one sentence and one shape, chosen by a table from worst to best, so that the page, the list of what
needs a look and the picture of the store never disagree. Nothing is decided here. Text from journals is shown as text.
Keeps R20 (a stuck queue is named with its hop, its age and why) and K14 (a copy is a signed acknowledgement).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from oppet.base.clock import local_day, local_minute, parse_utc, utc_text
from oppet.base.errors import clip
from oppet.base.money import round_half_up
from oppet.base.words import N_
from oppet.paper.sheet import Say
from oppet.store.day import Hour, Sold, TillDay, Waiting, ZMade, hours_of
from oppet.store.web_node import Backroom, Contact, DayBook, History, Upward
from oppet.sync.certificates import Standing, TillCertificate
from oppet.sync.errors import EpochRevokedError, KeeperAwayError, KeeperRefusedError, TooFastError, WrongKeeperError

__all__ = [
    "Bar",
    "BasketView",
    "Chart",
    "Lane",
    "Look",
    "TillView",
    "ZView",
    "chart",
    "clock",
    "lane",
    "needs_a_look",
    "retold",
]

SILENT_MS = 65_000  # three beats of an idle till without a word
UPWARD_MS = 65_000
OPENS, CLOSES = 8, 20  # hours that the picture always shows
LONGEST_WHY = 160
HOUR_MS = 3_600_000
ROUND = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)  # tens of kronor, then hundreds …
BAD = ("off", "late", "warn")
_AWAY = tuple(
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.{1,200})", re.escape(error.sentence))), error.sentence)
    for error in (KeeperAwayError, KeeperRefusedError, TooFastError, WrongKeeperError, EpochRevokedError)
)


@dataclass(frozen=True, slots=True)
class TillView:
    """One till of the store: its epochs newest first, and what its state is."""

    name: str
    register: str
    kind: str  # ok | warn | late | off | open
    words: str
    why: str
    history: History | None  # the newest epoch's first history
    day: TillDay
    standing: Standing | None
    contact: Contact
    machines: int  # that have the last sale
    above: bool  # HQ is one of them
    unkept: int  # entries here that HQ does not have
    alone: (
        str  # said of a last receipt that nobody else had when it was printed: it is read here, so somebody has it now
    )
    today: Hour
    tags: tuple[str, ...]
    rows: tuple[tuple[History, TillDay, Standing | None], ...]

    @property
    def bad(self) -> bool:
        return self.kind in BAD


@dataclass(frozen=True, slots=True)
class BasketView:
    till: str
    basket: Waiting


@dataclass(frozen=True, slots=True)
class ZView:
    history: History
    made: ZMade


class Look:
    """Everything one page is made of, read once."""

    def __init__(self, node: Backroom, book: DayBook, say: Say) -> None:
        self.node = node
        self.say = say
        self.now = node.clock.now()
        self.today = local_day(self.now)
        self.rows, self.left = book.look()
        self.directory = node.directory
        self.tills = tuple(self._till(name) for name in self._names())

    def _names(self) -> list[str]:
        return sorted(
            {certificate.till for certificate in self.certificates()} | {history.till for history, _ in self.rows}
        )

    def certificates(self) -> list[TillCertificate]:
        """Of the store's tills: the node's own journal is certified too, and is no till."""
        return [known for known in self.directory.tills(self.node.store) if known.till != self.node.name]

    def till(self, name: str) -> TillView | None:
        return next((till for till in self.tills if till.name == name), None)

    def _till(self, name: str) -> TillView:
        rows = tuple(
            (history, day, self.directory.standing(name, history.epoch))
            for history, day in sorted(self.rows, key=lambda row: (-row[0].epoch, row[0].branch))
            if history.till == name
        )
        epoch = max([self.directory.last_epoch(name), *(history.epoch for history, _, _ in rows)])
        standing = self.directory.standing(name, epoch)
        newest = next((row for row in rows if row[0].epoch == epoch and not row[0].branch), None)
        history, day = (newest[0], newest[1]) if newest else (None, TillDay())
        contact = self.node.contact(name, epoch)
        kept = self.node.kept_above(history) if history is not None else 0
        sold = day.last_sale
        above = sold is not None and kept >= sold.seq
        kind, words, why = self._state(history, day, standing, contact, rows)
        sums = hours_of([row[1] for row in rows], self.today)
        machines = 0 if sold is None else 1 + max(sold.copies, 1) + above
        return TillView(
            name, clip(standing.register) if standing else day.register, kind, words, why, history, day, standing, contact,
            machines, above,
            sum(max(0, row[0].head.seq - max(row[0].base.seq, self.node.kept_above(row[0]))) for row in rows),
            self._alone(sold, machines),
            Hour(sum(h.net_ore for h in sums), sum(h.sales for h in sums), sum(h.returns for h in sums)),
            tuple(self._tags(day, standing, rows)), rows,
        )  # fmt: skip

    def _alone(self, sold: Sold | None, machines: int) -> str:
        if sold is None or sold.copies:
            return ""
        words = self.say(N_("Receipt {number} was printed alone at {time}; it is on {count} machines now"))
        return words.format(number=sold.number, time=self.clock(sold.time), count=machines)

    def _tags(
        self, day: TillDay, standing: Standing | None, rows: Sequence[tuple[History, TillDay, Standing | None]]
    ) -> Iterator[str]:
        if standing is not None and standing.provisional:
            yield self.say(N_("provisional"))
        if any(history.branch for history, _, _ in rows):
            yield self.say(N_("forked"))
        if day.unconfirmed:
            yield self.say(N_("unconfirmed epoch"))

    def _state(
        self,
        history: History | None,
        day: TillDay,
        standing: Standing | None,
        contact: Contact,
        rows: Sequence[tuple[History, TillDay, Standing | None]],
    ) -> tuple[str, str, str]:
        """From worst to best; the first that holds is what the till is."""
        say = self.say
        if standing is not None and standing.revoked:
            return "off", say(N_("Revoked")), clip(standing.revoked, LONGEST_WHY)
        if history is None:
            return "open", say(N_("Certified, not started yet")), ""
        if any(row[0].branch and row[0].epoch == history.epoch for row in rows):
            words = say(N_("Two different journals carry this till’s name"))
            return "off", words, say(N_("an old disk image was restored, or the till was copied"))
        if day.closed:
            return "open", say(N_("Taken out of use")), day.closed
        silent = not contact.heard or self.now - contact.heard > SILENT_MS
        if silent and not day.running:
            return "open", say(N_("Switched off since {time}")).format(time=self.clock(day.time)), ""
        if silent:
            since = self.clock(utc_text(contact.heard) if contact.heard else day.time)
            why = retold(contact.why, say) or say(N_("it does not answer: it is switched off, or its cable is out"))
            return "late", say(N_("No contact since {time}")).format(time=since), why
        return self._heard(day, contact)

    def _heard(self, day: TillDay, contact: Contact) -> tuple[str, str, str]:
        say = self.say
        if contact.behind:
            words = say(N_("{count} entries behind since {time}"))
            return (
                "late",
                words.format(count=contact.behind, time=self.clock(contact.behind_since)),
                retold(contact.why, say),
            )
        if contact.why:
            return "late", say(N_("Its last entries could not be kept here")), retold(contact.why, say)
        if day.outage:
            words = say(N_("Reserve routine since {time}")).format(time=self.clock(day.outage))
            return "warn", words, say(N_("no control unit answers"))
        if not day.running:
            return "open", say(N_("Switched off since {time}")).format(time=self.clock(day.time)), ""
        if not day.staff:
            return "ok", say(N_("Ready, nobody signed in")), ""
        return "ok", say(N_("Selling, {number} signed in")).format(number=day.staff), ""

    def clock(self, time: str) -> str:
        return clock(time, self.today)

    def moment(self, instant: int) -> str:
        return self.clock(utc_text(instant))

    def clock_s(self) -> str:
        """Now, with its seconds: a page that stands still shows it."""
        return f"{local_minute(self.now)[11:]}:{utc_text(self.now)[17:19]}"

    def is_recent(self, time: str) -> bool:
        """Within the last hour, by the node's clock."""
        return utc_text(max(0, self.now - HOUR_MS)) <= time <= utc_text(self.now)

    def is_today(self, time: str) -> bool:
        return local_day(parse_utc(time)) == self.today

    def baskets(self) -> list[BasketView]:
        """Open and parked ones of epochs that still sell, the oldest first."""
        found = [
            BasketView(till.name, basket)
            for till in self.tills
            if till.history is not None and not till.day.closed
            for basket in till.day.baskets.values()
        ]
        return sorted(found, key=lambda view: (view.basket.since, view.till))

    def z_reports(self) -> list[ZView]:
        found = [ZView(history, made) for history, day in self.rows for made in day.z_reports]
        return sorted(found, key=lambda view: (view.made.time, view.history.till), reverse=True)

    def doubtful(self) -> tuple[int, int]:
        """Of today's sales: what provisional tills sold, and what stands in a fork's branches."""
        provisional = branches = 0
        for history, day in self.rows:
            ore = sum(hour.net_ore for hour in hours_of([day], self.today))
            standing = self.directory.standing(history.till, history.epoch)
            provisional += ore if standing is not None and standing.provisional else 0
            branches += ore if history.branch else 0
        return provisional, branches


def retold(why: str, say: Say) -> str:
    """What a queue failed at, in the reader's language where it is one of a keeper's sentences; cut in any case."""
    for pattern, sentence in _AWAY:
        if (found := pattern.fullmatch(why)) is not None:
            return clip(
                say(sentence).format(**{name: say(fact) for name, fact in found.groupdict().items()}), LONGEST_WHY
            )
    return clip(why, LONGEST_WHY)


def clock(time: str, today: str) -> str:
    """A moment as people say it: "14:05", with its day when that is not today; "–" for none."""
    try:
        text = local_minute(parse_utc(time))
    except (ValueError, OverflowError):
        return "–"
    return text[11:] if text[:10] == today else f"{text[:10]} {text[11:]}"


def needs_a_look(look: Look) -> list[TillView]:
    """The tills whose state is not well, the worst first."""
    return sorted((till for till in look.tills if till.bad), key=lambda till: (BAD.index(till.kind), till.name))


# --- the way up to HQ -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lane:
    kind: str
    words: str
    why: str


def lane(upward: Upward, look: Look) -> Lane:
    """What waits for HQ, since when and why."""
    say = look.say
    silent = look.now - upward.heard > UPWARD_MS
    away = _AWAY[0][0].fullmatch(upward.why) is not None  # the only keeper on this way is head office
    why = say(N_("Head office does not answer")) if away else retold(upward.why, say)
    if upward.waiting:
        words = say(N_("{count} entries wait for HQ since {time}"))
        kind = "late" if silent or why else "ok"
        return Lane(kind, words.format(count=upward.waiting, time=look.clock(upward.since)), why)
    if not upward.heard:
        return Lane("late", say(N_("HQ has not answered since the store node started")), why)
    if silent:
        words = say(N_("HQ has everything up to {time}")).format(time=look.moment(upward.heard))
        return Lane("late", words, why or say(N_("HQ does not answer")))
    return Lane("ok", say(N_("HQ has everything")), "")


# --- the picture of the day -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    hour: int
    today: Hour
    before: Hour
    height: int  # 0…100
    before_height: int
    now: bool
    coming: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Today beside the same day last week, hour by hour."""

    bars: tuple[Bar, ...]
    total: Hour
    until: int  # whole hours compared: before this one
    until_ore: int
    before_ore: int
    known: bool  # whether last week is
    change: int  # per cent
    best: Bar | None
    top_ore: int  # what the picture's upper edge stands for


def chart(days: Sequence[TillDay], now: int) -> Chart:
    today, hour = local_day(now), int(local_minute(now)[11:13])
    week_ago = (date.fromisoformat(today) - timedelta(days=7)).isoformat()
    ours, before = hours_of(days, today), hours_of(days, week_ago)
    sold = [number for number in range(24) if _any(ours[number]) or _any(before[number])]
    first, last = min([OPENS, hour, *sold]), max([CLOSES, hour, *sold])
    top = _round_up(max(each.net_ore for each in (*ours, *before)))
    bars = tuple(
        Bar(
            number, ours[number], before[number], _share(ours[number], top), _share(before[number], top), number == hour,
            number > hour,
        )
        for number in range(first, last + 1)
    )  # fmt: skip
    until, then = sum(each.net_ore for each in ours[:hour]), sum(each.net_ore for each in before[:hour])
    total = Hour(
        sum(each.net_ore for each in ours), sum(each.sales for each in ours), sum(each.returns for each in ours)
    )
    best = max(bars, key=lambda bar: bar.today.net_ore)
    return Chart(
        bars, total, hour, until, then, any(map(_any, before)), round_half_up(100 * (until - then), then) if then > 0 else 0,
        best if best.today.net_ore > 0 else None, top,
    )  # fmt: skip


def _any(hour: Hour) -> bool:
    return bool(hour.sales or hour.returns)


def _share(hour: Hour, top: int) -> int:
    return max(0, min(100, round_half_up(100 * hour.net_ore, top)))


def _round_up(ore: int) -> int:
    """The next round number of kronor: a scale people read."""
    step = 1_000
    while True:
        for times in ROUND:
            if ore <= step * times:
                return step * times
        step *= 10
