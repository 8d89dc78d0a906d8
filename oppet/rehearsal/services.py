"""A card terminal with its acquirer, Swish, and the customers before them: independent of the till, and as bad as the reference allows.

They decide who is charged, remember what they did, and are asked over lines that lose, delay and repeat (`lines.py`). Nothing here
knows how the till stands. The bounds are the reference's: a terminal works on a payment for at most 120 s, a Swish request lives for
180 s, a request arrives within 115 s or never.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from oppet.payments.paths import Work
from oppet.rehearsal.ledger import Charge, Days, Ledger

__all__ = ["Said", "Swish", "Terminal"]

PROMPT_MS = 120_000
LIFE_MS = 180_000
PAID = frozenset({"approved", "partial", "accepted_at_risk"})


class Said(msgspec.Struct, frozen=True):
    """What a service answers: not yet what a driver makes of it."""

    outcome: str
    amount_ore: int = 0
    boot: int = 0  # of a terminal: another number after every restart
    witness: bool = False  # it still knows the earlier request that it was asked about


Reply = Callable[[Said], None]


class Terminal:
    """One terminal: it works on one payment at a time, and has a memory that a restart may empty."""

    def __init__(self, name: str, days: Days, ledger: Ledger, chance: Random) -> None:
        self.name = name
        self.up = True
        self.host = True  # the acquirer answers
        self.refuses = False  # reversals
        self.calm = False
        self.boot = 1
        self.memory: dict[str, tuple[str, int]] = {}
        self.executed: set[str] = set()  # a message that came twice is done once
        self.forgotten: set[str] = set()
        self.work: Work | None = None
        self._reply: Reply | None = None
        self._stopped = False
        self._days, self._ledger, self._chance = days, ledger, chance

    def receive(self, work: Work, reply: Reply) -> None:
        """A message of the till's. An answer may never come."""
        if not self.up:
            return
        self._ledger.seen[work.what] += 1
        match work.what:
            case "payment" | "refund":
                self._pay(work, reply)
            case "status":
                self._tell(work, reply)
            case "reversal":
                self._reverse(work, reply)
            case _:
                if self.work is not None and self.work.request == work.about:
                    self._stopped = True
                self._say(reply, "approved")  # the abort was understood, which proves nothing

    def restart(self, *, forget: bool, away_ms: int) -> None:
        """The plug is pulled: what it worked on is not charged, unless that very moment."""
        if self.work is not None and self._chance.random() < 0.3:
            self._decide(self.boot, silent=True)
        if self.work is not None and not forget:
            self.memory[self.work.request] = ("declined", 0)
        if forget:
            self.forgotten |= self.executed
            self.memory.clear()
        self.work, self._reply, self.up = None, None, False
        self.boot += 1
        self._days.later(away_ms, self._wake)

    def _wake(self) -> None:
        self.up = True

    def working(self, request: str) -> bool:
        """Whether it may still charge this."""
        return self.work is not None and self.work.request == request

    def _say(self, reply: Reply, outcome: str, amount_ore: int = 0, witness: str = "") -> None:
        reply(Said(outcome, amount_ore, self.boot, bool(witness) and witness in self.memory))

    def _pay(self, work: Work, reply: Reply) -> None:
        if work.request in self.executed:
            return None
        self.executed.add(work.request)
        if self.work is not None:
            self.memory[work.request] = ("declined", 0)
            return self._say(reply, "not_now")
        self.work, self._reply, self._stopped = work, reply, False
        boot = self.boot
        thinks = 1_500 if self.calm else self._chance.choice((800, 1_500, 4_000, 9_000, 25_000, 70_000, 119_000))
        self._days.later(thinks, lambda: self._decide(boot))
        return None

    def _decide(self, boot: int, *, silent: bool = False) -> None:
        """The customer has shown a card, or has gone; the acquirer is asked."""
        work, reply = self.work, self._reply
        if work is None or boot != self.boot:
            return None
        self.work = self._reply = None
        outcome, amount = self._outcome(work)
        if outcome in PAID:
            back = work.what == "refund"
            self._ledger.charge(
                work.request,
                Charge(work.sale, work.tender, self.name, amount, back, outcome == "accepted_at_risk"),
            )
        self.memory[work.request] = (outcome, amount)
        if reply is None or silent:
            return None
        if outcome == "declined" and not self.host and self._chance.random() < 0.5:
            return self._say(reply, "silent")  # the host went away after the card was read: the driver cannot tell
        self._say(reply, outcome, amount)
        return None

    def _outcome(self, work: Work) -> tuple[str, int]:
        throw = self._chance.random()
        if self._stopped and throw < 0.6:
            return "declined", 0
        if not self.host:
            if work.offline and work.what == "payment":
                return "accepted_at_risk", work.amount_ore
            return "declined", 0
        if self.calm or throw < 0.82:
            return "approved", work.amount_ore
        if throw < 0.92 or work.what == "refund":
            return "declined", 0
        if throw < 0.96:
            return "partial", max(1, work.amount_ore // 3)
        if throw < 0.98:
            return "approved", work.amount_ore + 10_000  # a wrong amount, typed at the terminal
        return "approved", max(1, work.amount_ore - 700)

    def _reverse(self, work: Work, reply: Reply) -> None:
        if work.request in self.executed:
            return None
        if self.work is not None or (not self.host and self._chance.random() < 0.5):
            self.executed.add(work.request)
            return self._say(reply, "not_now")
        self.executed.add(work.request)
        if not self.host:
            return self._say(reply, "silent")
        if self.refuses or not self._ledger.credit(work, self.name):
            self.memory[work.request] = ("declined", 0)
            return self._say(reply, "declined")
        self.memory[work.request] = ("reversed", work.amount_ore)
        return self._say(reply, "reversed", work.amount_ore)

    def _tell(self, work: Work, reply: Reply) -> None:
        if self.work is not None and self.work.request == work.about:
            return self._say(reply, "in_progress")
        found = self.memory.get(work.about)
        if found is None:
            return self._say(reply, "not_found", 0, work.witness)
        return self._say(reply, *found)


class Swish:
    """The service behind the store node: one request for each instruction UUID, whoever sends it and however often."""

    def __init__(self, days: Days, ledger: Ledger, chance: Random) -> None:
        self.up = True
        self.calm = False
        self.refuses = False
        self.requests: dict[str, tuple[str, int]] = {}  # UUID → (created, ds24, approved, declined, reversed), öre
        self._watch: dict[str, Reply] = {}
        self._days, self._ledger, self._chance = days, ledger, chance

    def receive(self, work: Work, reply: Reply) -> None:
        if not self.up:
            return
        self._ledger.seen[work.what] += 1
        match work.what:
            case "payment" | "refund":
                self._put(work, reply)
            case "status":
                reply(Said(*self._found(work.about)))
            case "reversal":
                self._refund(work, reply)
            case _:
                if self.requests.get(work.about) == ("created", 0):
                    self._final(work.about, "declined", 0)
                reply(Said("approved"))

    def working(self, request: str) -> bool:
        """Whether it may still charge this, or give it back."""
        return self._found(request)[0] == "in_progress"

    def decided(self, request: str) -> bool:
        """Whether it has this request and its final word: the same again is answered with that and pays nothing (RP09)."""
        return request in self.requests and not self.working(request)

    def _found(self, uuid: str) -> tuple[str, int]:
        outcome, amount = self.requests.get(uuid, ("not_found", 0))
        return ("in_progress", 0) if outcome in ("created", "ds24") else (outcome, amount)

    def _put(self, work: Work, reply: Reply) -> None:
        self._watch[work.request] = reply
        if work.request in self.requests:  # RP09: the driver asks what became of it
            found = self._found(work.request)
            if found[0] != "in_progress":
                reply(Said(*found))
            return
        self.requests[work.request] = ("created", 0)
        thinks = 2_000 if self.calm else self._chance.choice((2_000, 5_000, 12_000, 40_000, 150_000, 400_000))
        self._days.later(min(thinks, LIFE_MS), lambda: self._customer(work, thinks))

    def _customer(self, work: Work, thinks: int) -> None:
        if self.requests[work.request][0] != "created":
            return None
        throw = self._chance.random()
        if thinks > LIFE_MS or (throw < 0.12 and not self.calm):
            return self._final(work.request, "declined", 0)
        if throw > 0.96 and not self.calm:  # DS24: the banks did not answer; they will
            self.requests[work.request] = ("ds24", 0)
            return self._days.later(600_000, lambda: self._banks(work))
        return self._paid(work)

    def _banks(self, work: Work) -> None:
        if self._chance.random() < 0.5:
            return self._paid(work)
        return self._final(work.request, "declined", 0)

    def _paid(self, work: Work) -> None:
        back = work.what == "refund"
        self._ledger.charge(
            work.request, Charge(work.sale, work.tender, "swish", work.amount_ore, back=back, offline=False)
        )
        self._final(work.request, "approved", work.amount_ore)

    def _final(self, uuid: str, outcome: str, amount_ore: int) -> None:
        self.requests[uuid] = (outcome, amount_ore)
        reply = self._watch.pop(uuid, None)
        if reply is not None and self.up:
            reply(Said(outcome, amount_ore))

    def _refund(self, work: Work, reply: Reply) -> None:
        self._watch[work.request] = reply
        if work.request in self.requests:
            found = self._found(work.request)
            if found[0] != "in_progress":
                reply(Said(*found))
            return
        self.requests[work.request] = ("created", 0)
        self._days.later(2_000, lambda: self._refunded(work))

    def _refunded(self, work: Work) -> None:
        if self.refuses or not self._ledger.credit(work, "swish"):
            return self._final(work.request, "declined", 0)
        return self._final(work.request, "reversed", work.amount_ore)
