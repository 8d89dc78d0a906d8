"""A payment service in a test: it has a book of its own, decides who is charged, and fails as real ones do.

`plan` holds a word for each coming payment: approve, decline, partial, silent_charged, silent_not, offline, not_now, more. What a status
query finds is what the book says. Nothing here looks at the till's own state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from oppet.journal.kinds import Evidence
from oppet.payments.paths import Answer, PathNow, Progress, Slip, Work

__all__ = ["FakeService"]


@dataclass
class FakeService:
    name: str = "card-1"
    means: str = "card"
    idempotent: bool = False
    exclusive: bool = True
    by_hand: bool = False
    plan: list[str] = field(default_factory=list)
    hold: bool = False  # answers wait until it is let go
    away: bool = False  # nothing reaches it, nothing comes back
    refuses_reversals: bool = False
    stage: str = "waiting"  # what a page shows meanwhile
    qr: str = ""
    alone: bool = False  # while it is away the terminal may approve by itself
    works: list[Work] = field(default_factory=list)
    book: dict[str, tuple[str, int]] = field(default_factory=dict)  # payment request → what it came to, öre
    charged: dict[str, int] = field(default_factory=dict)
    reversed: dict[str, int] = field(default_factory=dict)
    reversals: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # reversal request → what it came to, of which payment
    answers: list[Answer] = field(default_factory=list)
    receipts: list[Slip] = field(default_factory=list)  # the terminal's own, of every payment

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return f"{epoch}{number:05d}"

    def send(self, work: Work) -> None:
        self.works.append(work)
        if self.away:
            return self.say(work, "silent")
        if work.what in ("payment", "refund"):
            return self.pay(work)
        if work.what == "reversal":
            return self.reverse(work)
        if work.what == "status":
            return self.tell(work)
        self.book.setdefault(work.about, ("declined", 0))
        return self.say(work, "approved")

    def pay(self, work: Work) -> None:
        assert work.request not in self.book or work.repeat, "one reference, two payments"
        word = self.plan.pop(0) if self.plan else "approve"
        if self.hold:
            return None
        amount = (
            work.amount_ore // 2 if word == "partial" else work.amount_ore * 2 if word == "more" else work.amount_ore
        )
        if word in ("decline", "not_now", "silent_not"):
            self.book[work.request] = ("declined", 0)
        else:
            outcome = {"partial": "partial", "offline": "accepted_at_risk"}.get(word, "approved")
            self.book[work.request] = (outcome, amount)
            self.charged[work.request] = amount
        if word.startswith("silent"):
            return self.say(work, "silent")
        if word == "not_now":
            return self.say(work, "not_now")
        return self.say(work, *self.book[work.request])

    def settle_held(self, work: Work, word: str = "approve") -> None:
        """Let a held payment come to its end."""
        self.hold, self.plan = False, [word]
        self.pay(work)

    def reverse(self, work: Work) -> None:
        if self.refuses_reversals:
            self.reversals[work.request] = ("declined", work.about)
            return self.say(work, "declined")
        assert work.about not in self.reversed, "reversed twice"
        self.reversed[work.about] = self.charged[work.about]
        self.reversals[work.request] = ("reversed", work.about)
        return self.say(work, "reversed", work.amount_ore)

    def tell(self, work: Work) -> None:
        if work.reverses:
            outcome, _ = self.reversals.get(work.about, ("not_found", ""))
            return self.say(work, outcome)
        outcome, amount = self.book.get(work.about, ("not_found", 0))
        return self.say(work, outcome, amount)

    def say(self, work: Work, outcome: str, amount: int = 0) -> None:
        paid = outcome in ("approved", "partial", "accepted_at_risk") and work.what != "abort"
        evidence = Evidence(f"T{work.about or work.request}", "2026-11-22T10:00:00Z", "A1") if paid else None
        self.answers.append(
            Answer(
                work.sale, work.tender, work.what, work.request, outcome, amount if paid or amount else 0, "", evidence
            )
        )

    def heard(self) -> Sequence[Answer]:
        found, self.answers = self.answers, []
        return found

    def progress(self, request: str) -> Progress | None:
        return Progress(self.stage, self.qr)

    def slips(self, request: str) -> Sequence[Slip]:
        return self.receipts if request in self.charged else ()

    def now(self) -> PathNow:
        return PathNow("down" if self.away else "working", offline=self.away and self.alone)

    def net(self) -> int:
        """What customers were charged and not given back."""
        return sum(self.charged.values()) - sum(self.reversed.values())
