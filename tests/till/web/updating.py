"""Updates behind a till's page in a test: looks that are handed over, slots that do what they are told."""

from __future__ import annotations

from collections.abc import Sequence

from oppet.base.signing import Signer
from oppet.register.till import Till
from oppet.release.found import Found
from oppet.release.intake import Hours, Intake, Me, Takers
from oppet.release.terms import Canary, Pace
from oppet.till.views_updates import DeskHands, Updates
from tests.register.world import SECRET
from tests.release.chain import a_pace
from tests.release.taking import ALWAYS, FakeSlots

__all__ = ["Closing", "HandedOver", "an_updates", "with_this_till"]


class Closing:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class HandedOver:
    """A looker whose finds the test puts there; the last one is found again at every look."""

    def __init__(self, *looks: Found) -> None:
        self.looks: list[Found] = list(looks)
        self.asked: list[int] = []

    def ask(self, now_ms: int) -> None:
        self.asked.append(now_ms)

    def heard(self) -> Found | None:
        if not self.asked or not self.looks:
            return None
        self.asked.clear()
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def with_this_till(till: Till) -> Pace:
    """A pace of a small chain in which the test's till goes first."""
    journal = till.desk.ports.journal
    mine = Canary("S01", journal.till, journal.epoch, Signer(SECRET).public.hex())
    return a_pace(stores=40, canaries=(mine, *a_pace().canaries[2:]), evidence_stores=1, evidence_tills=1)


def an_updates(
    till: Till, *looks: Found, slots: FakeSlots | None = None, hours: Hours = ALWAYS, canary: bool = False, every_ms: int = 0,
    parts: Sequence[Closing] = (), looker: HandedOver | None = None,
) -> Updates:  # fmt: skip
    hands, slots = DeskHands(till), slots or FakeSlots()
    journal = till.desk.ports.journal
    pace = with_this_till(till) if canary else a_pace()
    me = Me("S01", journal.till, journal.epoch, Signer(SECRET), "x86_64", 1, pace, "5e" * 32, "3.11")
    intake = Intake(hands, slots, me, hours)
    clock = till.desk.ports.clock
    updates = Updates(
        intake, Takers(looker or HandedOver(*looks), clock.counter, clock.now, every_ms, [intake]), parts, hands
    )
    intake.begin()
    return updates
