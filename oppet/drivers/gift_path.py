"""The way to pay by gift card: asks the store node, which keeps the cards' book, over the tills' lane.

One thread asks, one question at a time, each with a short deadline; the till never waits. What the node did not sign to this very
question is silence (PT5), and a status query settles it: the node shuts a request that it says never came. While the node is away there
is no gift card. Keeps PT8 and PT10.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from oppet.base.errors import OppetError
from oppet.drivers.clock import SystemClock
from oppet.journal.kinds import Evidence
from oppet.payments.board import ANSWERED, PathHealth
from oppet.payments.giftcard import GiftVerdict
from oppet.payments.paths import Answer, PathNow, Progress, Work
from oppet.payments.tender import ABORT, APPROVED, NOT_NOW, PARTIAL, SILENT, STATUS
from oppet.register.ports import Clock
from oppet.sync.lanes import AskGift, Told

__all__ = ["GiftCardPath"]

LOG = logging.getLogger("oppet.giftcards")

MOST_WAITING = 100


class GiftCardPath:
    """A `payments.paths.PayPath`."""

    means = "gift_card"
    idempotent = False
    exclusive = False
    by_hand = False

    def __init__(self, *, name: str, place: str, ask: Callable[[AskGift], Told], clock: Clock | None = None) -> None:
        """`ask`: a lane of its own (`LaneNeighbours.ask`), which raises UnavailableError within its deadline.
        `place`: "S01-K3", so that no two tills try a node that is away at the same moment.
        """
        self.name = name
        self._ask = ask
        self._clock = clock if clock is not None else SystemClock()
        self.bell: Callable[[], None] = lambda: None  # rung for every answer
        self._health = PathHealth(f"{place}/{name}")
        self._guard = threading.Lock()
        self._works: queue.Queue[Work | None] = queue.Queue()
        self._answers: deque[Answer] = deque()
        self._under_way: dict[str, int] = {}  # request → since when
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"pay-{name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; twice does no harm."""
        self._closing = True
        self._works.put(None)
        self._thread.join(5)

    # --- the port

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return f"{till}-{epoch}-{number}"

    def send(self, work: Work) -> None:
        with self._guard:
            full = len(self._under_way) >= MOST_WAITING
            if not full:
                self._under_way[work.request] = self._clock.now()
        if full or self._closing:
            self._say(work, Answer(work.sale, work.tender, work.what, work.request, NOT_NOW, why="busy"))
        else:
            self._works.put(work)

    def heard(self) -> Sequence[Answer]:
        with self._guard:
            found = list(self._answers)
            self._answers.clear()
        return found

    def progress(self, request: str) -> Progress | None:
        with self._guard:
            since = self._under_way.get(request)
        return Progress("sending", since=since) if since is not None else None

    def now(self) -> PathNow:
        with self._guard:
            return self._health.now(self._clock.counter())

    # --- the thread

    def _run(self) -> None:
        while not self._closing:
            with self._guard:
                wait_ms = self._health.next_probe_ms(self._clock.counter())
            try:
                work = self._works.get(timeout=max(wait_ms, 50) / 1000)
            except queue.Empty:
                self._put(AskGift("probe", "", "", 0, ""), probe=True)
                continue
            if work is not None:
                self._exchange(work)

    def _exchange(self, work: Work) -> None:
        told = None
        if work.what == ABORT:  # it is answered at once or not at all: there is nothing to stop
            answer = Answer(work.sale, work.tender, work.what, work.request, NOT_NOW)
        else:
            about = work.about or (work.original.reference if work.original is not None else "")
            told = self._put(
                AskGift(work.what, work.request, work.account, work.amount_ore, about, work.reverses), probe=False
            )
            answer = _answer(work, told)
        self._say(work, answer)

    def _put(self, asked: AskGift, *, probe: bool) -> GiftVerdict | None:
        began = self._clock.counter()
        why = ""
        told = None
        with self._guard:
            self._health.tried(began)
        try:
            told = self._ask(asked).gift
        except OppetError as error:
            why = str(error)
        except Exception:
            LOG.exception("our own mistake while asking about a gift card")
        now = self._clock.counter()
        with self._guard:
            if probe:
                self._health.probed(told is not None, now - began, now, why)
            else:
                self._health.answered(ANSWERED if told is not None else SILENT, now - began, now, why)
        return told

    def _say(self, work: Work, answer: Answer) -> None:
        with self._guard:
            self._under_way.pop(work.request, None)
            self._answers.append(answer)
        self.bell()


def _answer(work: Work, told: GiftVerdict | None) -> Answer:
    if told is None:
        return Answer(work.sale, work.tender, work.what, work.request, SILENT)
    paid = told.outcome in (APPROVED, PARTIAL)
    reference = work.about if work.what == STATUS else work.request
    evidence = Evidence(reference, how="code") if paid else None
    amount = max(0, told.amount_ore)
    return Answer(work.sale, work.tender, work.what, work.request, told.outcome, amount, told.why, evidence)
