"""The ways to pay with Swish at a till: `SwishPath` by way of the store node, and `SwishAlone`, which the cashier vouches for.

The till holds no certificate: it asks its node over a lane (`swish_desk.py` answers at once, with a result or "working") and asks again.
One thread has every exchange, step by step, each with its own deadline; the till never waits (PT8). A request is paid when a look at it
says so about our id and amount, and at nobody's other word; what cannot be known is silence, and a status query settles it (PT2, PT5).
What is sent twice is the same request under the same id, which Swish takes once (PT3).
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from oppet.base.errors import OppetError
from oppet.drivers.clock import SystemClock
from oppet.journal.kinds import Evidence
from oppet.payments import board, swish
from oppet.payments.board import PathHealth
from oppet.payments.paths import DOWN, UNSEEN, WORKING, Answer, PathNow, Progress, Work
from oppet.payments.swish import Expected, Seen, Verdict
from oppet.payments.tender import (
    ABORT,
    APPROVED,
    DECLINED,
    IN_PROGRESS,
    NOT_FOUND,
    NOT_NOW,
    PAYMENT,
    REFUND,
    REVERSAL,
    REVERSED,
    SILENT,
    STATUS,
)
from oppet.register.ports import Clock
from oppet.sync.lanes import AskSwish, Told

T = TypeVar("T")

__all__ = ["Pace", "SwishAlone", "SwishPath"]

LOG = logging.getLogger("oppet.swish")

MOST_OPEN = 300  # exchanges at once; the register has fewer open tenders than that
MOST_KNOWN = 2_000  # requests whose code or stop is remembered
MISSES = 3  # looks in a row that nobody answers, and the cashier is told that nobody knows
AGAIN_MS = (20, 40, 80, 160, 250)  # between two questions about a call that is under way


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take. `part`: tests run Swish's timetable so many times faster."""

    call_ms: int = 7_000  # one call of the node's, from the first question to its result
    part: int = 1
    board_ms: int = 1_000  # between two looks at how the node sees Swish


Steps = Generator[int, None, Answer]  # yields how many ms to wait; returns what the exchange came to


@dataclass(slots=True)
class _Exchange:
    work: Work
    steps: Steps
    due: int = 0


class SwishPath:
    """A `payments.paths.PayPath`. `close` ends its thread."""

    means = "swish"
    idempotent = True
    exclusive = False
    by_hand = False

    def __init__(
        self,
        *,
        name: str,
        place: str,
        key: str,
        ask: Callable[[AskSwish], Told],
        clock: Clock | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`ask`: a lane of its own (`LaneNeighbours.ask`), which raises UnavailableError within its deadline. `key`: the till's public
        key in hex, which request ids are made from. `place`: "S01-K3", so that no two tills try a node that is away at once.
        """
        self.name = name
        self.bell: Callable[[], None] = _nobody  # rung for every answer
        self._place, self._key, self._ask_node = place, key, ask
        self._clock = clock if clock is not None else SystemClock()
        self._pace = pace or Pace()
        self._ticks = SystemClock()  # waiting is in real time, whatever the till's clock is told
        self._began: int | None = None  # when the first exchange of this run came
        self._health = PathHealth(f"{place}/{name}")  # of the way to the node; the node keeps Swish's own
        self._board = PathNow(UNSEEN)  # how Swish stands, as the node last said
        self._looked = -(10**9)
        self._call = self._ticks.now()  # calls of another run had other numbers
        self._changed = threading.Condition()
        self._new: deque[Work] = deque()
        self._answers: deque[Answer] = deque()
        self._open: list[_Exchange] = []  # the thread's own
        self._count = 0
        self._shown: OrderedDict[str, Progress] = OrderedDict()
        self._tokens: OrderedDict[str, str] = OrderedDict()
        self._stop: OrderedDict[str, bool] = (
            OrderedDict()
        )  # payments to be stopped; False: only since nobody has their code
        self._witness = ""  # a payment that Swish told us the end of
        self._put: OrderedDict[str, int] = OrderedDict()  # request → when it was last sent by us
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"pay-{name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; twice does no harm. What was under way is asked about after the next start."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(5)

    # --- the port

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return swish.instruction(self._key, till, epoch, number)

    def send(self, work: Work) -> None:
        with self._changed:
            if self._count >= MOST_OPEN or self._closing:
                self._answers.append(_said(work, NOT_NOW if work.what != STATUS else SILENT, "busy"))
                return
            self._count += 1
            if self._began is None:
                self._began = self._clock.now()
            if work.what == ABORT:
                _note(self._stop, work.about, True)
            self._new.append(work)
            self._changed.notify_all()

    def heard(self) -> Sequence[Answer]:
        with self._changed:
            found = list(self._answers)
            self._answers.clear()
        return found

    def progress(self, request: str) -> Progress | None:
        with self._changed:
            return self._shown.get(request)

    def now(self) -> PathNow:
        """The node away is the path down; else what the node says of Swish."""
        with self._changed:
            link = self._health.now(self._ticks.counter())
            if link.state == DOWN:
                return PathNow(DOWN, "not_here" if link.why == "not_here" else "node_away")
            return self._board if link.state != UNSEEN else link

    # --- the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                self._take_new()
                wait_ms = self._wait_ms()
                if wait_ms > 0:
                    self._changed.wait(wait_ms / 1000)
                    continue
            self._step()
            self._look()

    def _take_new(self) -> None:
        now = self._ticks.counter()
        while self._new:
            work = self._new.popleft()
            self._open.append(_Exchange(work, self._exchange(work), now))
            if work.what == ABORT:  # what it stops is looked at now, not at its next turn
                for one in self._open:
                    if (one.work.about or one.work.request) == work.about:
                        one.due = now

    def _wait_ms(self) -> int:
        now = self._ticks.counter()
        first = min((one.due for one in self._open), default=now + 1_000)
        return min(first, self._looked + self._board_ms(now)) - now

    def _board_ms(self, now: int) -> int:
        """Until the node is asked again how Swish stands: seldom while it does not answer."""
        return max(self._pace.board_ms, 0) if self._health.may_try(now) else 1_000

    def _step(self) -> None:
        now = self._ticks.counter()
        for one in [one for one in self._open if one.due <= now]:
            try:
                wait_ms = next(one.steps)
            except StopIteration as end:
                self._end(one, end.value)
            except Exception:
                LOG.exception("our own mistake in an exchange with Swish")
                self._end(one, _said(one.work, SILENT, "own_mistake"))
            else:
                one.due = self._ticks.counter() + wait_ms

    def _end(self, one: _Exchange, answer: Answer) -> None:
        self._open.remove(one)
        with self._changed:
            self._count -= 1
            self._shown.pop(one.work.request, None)
            self._answers.append(answer)
        self.bell()

    def _look(self) -> None:
        """Ask the node how Swish stands, when it is time."""
        now = self._ticks.counter()
        if now - self._looked < self._board_ms(now):
            return
        self._looked = now
        if self._health.may_try(now):
            self._ask(AskSwish("board"), probe=True)

    # --- exchanges, step by step

    def _exchange(self, work: Work) -> Steps:
        if work.what == PAYMENT:
            return self._pay(work)
        if work.what == STATUS:
            return self._status(work)
        if work.what == ABORT:
            return self._abort(work)
        return self._give(work)

    def _pay(self, work: Work) -> Steps:
        """Create the request, show its code, and look until it is decided (reference §2, §5, §11)."""
        began = self._ticks.counter()
        self._show(work.request, "sending", began)
        stands = self._ask(AskSwish("board"), probe=True)  # nothing has been sent yet: that can be said for certain
        if stands is None or stands.path == DOWN:
            return _said(work, NOT_NOW, "node_away" if stands is None else stands.path_why or "away")
        with self._changed:
            _note(self._put, work.request, self._clock.now())
        told = yield from self._called("pay", work, work.request, swish.reference(self._place, work.sale, work.tender))
        if told is None or told.what in ("silent", "wrong"):
            told = yield from self._recover(work, told)
            if told is None:
                return _said(work, SILENT, "no_answer")
        if told.what == "away":
            return _said(work, SILENT if work.repeat else NOT_NOW, told.why)
        if told.what == "refused":
            return _said(work, DECLINED, told.why)
        if told.what == "missing":
            return _said(work, SILENT, "not_found")
        if told.seen is not None:
            ended = self._ended(work, work.request, told.seen)
            if ended is not None:
                return ended
            self._stop_without_code(work.request, told.token)
        self._offer(work.request, told.token, began)
        return (yield from self._watch(work, began))

    def _recover(self, work: Work, told: Verdict | None) -> Generator[int, None, Verdict | None]:
        """The answer to a creation was lost: look at once."""
        if told is not None and told.what == "wrong":
            return None
        found = yield from self._called("see", work, work.request)
        return found if found is not None and found.what in ("seen", "missing") else None

    def _stop_without_code(self, request: str, token: str) -> None:
        """An open request whose code nobody has, since the answer with it was lost: stop it, so that nobody waits for it."""
        with self._changed:
            if not token and not self._tokens.get(request) and request not in self._stop:
                _note(self._stop, request, False)

    def _watch(self, work: Work, began: int) -> Steps:
        """Look at a request by the timetable until it is decided or over."""
        part, misses, why = self._pace.part, 0, ""
        spread = int(work.request[:4], 16) * 1_000 // 0xFFFF
        while True:
            elapsed = (self._ticks.counter() - began) * part
            wait_ms = swish.look_after_ms(elapsed, spread) or 0
            if self._stopping(work.request):
                wait_ms = 500 if misses else 0
            yield max(wait_ms // part, 1)
            told = yield from self._called("cancel" if self._stopping(work.request) else "see", work, work.request)
            if told is not None and told.seen is not None:
                ended = self._ended(work, work.request, told.seen)
                if ended is not None:
                    return ended
                misses = 1 if self._stopping(work.request) else 0
                self._offer(work.request, told.token, began)
            elif told is not None and told.what == "wrong":
                return _said(work, SILENT, "wrong")
            else:
                misses, why = misses + 1, told.why if told is not None else "node_away"
            if misses >= MISSES or (self._ticks.counter() - began) * part >= swish.LIFE_MS:
                return _said(work, SILENT, why or "not_in_time")

    def _status(self, work: Work) -> Steps:
        """One look at a payment or refund that nobody knows the end of."""
        back = work.back or work.reverses
        asked, began = self._clock.now(), self._ticks.counter()
        self._show(work.request, "reversing" if work.reverses else "asking", began)
        told = yield from self._called("see_back" if back else "see", work, work.about)
        if told is not None and told.seen is not None:
            ended = self._ended(work, work.about, told.seen)
            if ended is None and not back and self._stopping(work.about):
                told = yield from self._called("cancel", work, work.about)
                ended = self._ended(work, work.about, told.seen) if told is not None and told.seen is not None else None
            elif ended is None and not back:
                self._offer(work.about, told.token, began)  # it is open after all: the customer may read it
            if ended is not None:
                with self._changed:
                    self._shown.pop(work.about, None)
                return ended
            return _said(work, IN_PROGRESS, "open")
        if told is None or told.what != "missing":
            return _said(work, SILENT, told.why if told is not None else "node_away")
        if (yield from self._never_came(work, asked)):
            return _said(work, NOT_FOUND, "never_came")
        return _said(work, IN_PROGRESS, "not_found")

    def _never_came(self, work: Work, asked: int) -> Generator[int, None, bool]:
        """Whether "unknown" is certain by now: long after it was sent, and Swish still knows what it told us the end of (PT2).

        Of a refund: long after it was sent last, since it may be under way. Never of a reversal: that is sent again under its id
        instead, so that it is done once.
        """
        if work.reverses:
            return False
        with self._changed:
            sent = max(work.asked, self._put.get(work.about, self._began or asked)) if work.back else work.asked
        if asked - sent < swish.NOT_FOUND_MS:
            return False
        witness = self._witness or work.witness
        if not witness:
            return True
        for what in ("see", "see_back"):
            told = yield from self._called(what, msgspec.structs.replace(work, amount_ore=0), witness)
            if told is None or told.what != "missing":
                return told is not None and told.what == "seen"
        return False  # it has forgotten that one too, or is another Swish than ours

    def _abort(self, work: Work) -> Steps:
        """Stop a request that is open. Its own end is told by looking at it, not by this answer."""
        told = yield from self._called("cancel", work, work.about)
        if told is not None and told.seen is not None:
            return _said(work, APPROVED if told.seen.status == "CANCELLED" else DECLINED, told.seen.status.lower())
        return _said(work, SILENT, told.why if told is not None else "node_away")

    def _give(self, work: Work) -> Steps:
        """Money back: a return's, or a payment that no sale counts."""
        began = self._ticks.counter()
        original = work.original.reference if work.original is not None else ""
        if not original:
            return _said(work, DECLINED, "no_original")
        self._show(work.request, "reversing", began)
        stands = self._ask(AskSwish("board"), probe=True)
        if (
            stands is None or stands.path == DOWN
        ):  # a reversal that waits is asked about, ever more slowly, and then sent
            why = "node_away" if stands is None else stands.path_why or "away"
            return _said(work, SILENT if work.what == REVERSAL or work.repeat else NOT_NOW, why)
        with self._changed:
            _note(self._put, work.request, self._clock.now())
        told = yield from self._called(
            "give", work, work.request, swish.reference(self._place, work.sale, work.tender), original
        )
        if told is None or told.what in ("silent", "wrong", "away", "missing"):
            return _said(work, SILENT, told.why if told is not None else "node_away")
        if told.what == "refused":
            return _said(work, DECLINED, told.why)
        if told.seen is not None:
            ended = self._ended(work, work.request, told.seen)
            if ended is not None:
                return ended
        return (yield from self._watch_back(work, began, original))

    def _watch_back(self, work: Work, began: int, original: str) -> Steps:
        part, misses, why, wait_ms = self._pace.part, 0, "", 300
        while misses < MISSES:
            yield max(wait_ms // part, 1)
            told = yield from self._called("see_back", work, work.request, original=original)
            if told is not None and told.seen is not None:
                ended = self._ended(work, work.request, told.seen)
                if ended is not None:
                    return ended
                misses, why = 0, told.seen.status.lower()
            else:
                misses, why = misses + 1, told.why if told is not None else "node_away"
            found = swish.look_after_ms((self._ticks.counter() - began) * part, 0)
            if found is None:
                break
            wait_ms = found
        return _said(work, SILENT, why)

    def _ended(self, work: Work, request: str, seen: Seen) -> Answer | None:
        """What a look proves; None while it is open. Our own check comes on top of the node's."""
        if swish.judge(seen, Expected(request, work.amount_ore)):
            return _said(work, SILENT, "wrong")
        back = work.back or work.reverses or work.what in (REFUND, REVERSAL)
        outcome, why = swish.outcome_of(seen, back=back)
        if outcome == IN_PROGRESS:
            return None
        with self._changed:
            if not back and outcome in (APPROVED, DECLINED):
                self._witness = request
            if why == "cancelled" and self._stop.get(request) is False:
                why = "no_code"
        if outcome != APPROVED:
            return _said(work, outcome, why)
        if work.reverses or work.what == REVERSAL:
            return _said(work, REVERSED, "", seen.amount_ore)
        evidence = Evidence(reference=seen.reference or seen.original, time=seen.paid, how="qr")
        return _said(work, APPROVED, "", seen.amount_ore, evidence)

    # --- one call of the node's

    def _called(
        self, what: str, work: Work, request: str, reference: str = "", original: str = ""
    ) -> Generator[int, None, Verdict | None]:
        """Ask until the call has its result; None when nobody said in time what came of it."""
        self._call += 1
        ask = AskSwish(what, self._call, request, work.amount_ore, reference, original, work.sale)
        until, tries = self._ticks.counter() + self._pace.call_ms, 0
        while True:
            told = self._ask(ask)
            if told is not None and told.what != "working":
                return told
            if self._ticks.counter() >= until:
                return None
            yield AGAIN_MS[min(tries, len(AGAIN_MS) - 1)]
            tries += 1

    def _ask(self, ask: AskSwish, *, probe: bool = False) -> Verdict | None:
        """One question to the node; None for anything but its own word. While it is away it is not asked but now and then."""
        began = self._ticks.counter()
        with self._changed:
            if not self._health.may_try(began):
                return None
            self._health.tried(began)
        told: Verdict | None = None
        why = "node_away"
        try:
            answer = self._ask_node(ask)
            told = answer.swish
            why = "" if told is not None else "not_here"
        except OppetError as error:
            LOG.info("%s", error)
        except Exception:
            LOG.exception("our own mistake while asking the node about Swish")
        now = self._ticks.counter()
        with self._changed:
            if probe:
                self._health.probed(told is not None, now - began, now, why)
            else:
                self._health.answered(board.ANSWERED if told is not None else board.SILENT, now - began, now, why)
            if told is not None:
                self._board = PathNow(told.path, told.path_why)
        return told

    # --- what is remembered and shown

    def _stopping(self, request: str) -> bool:
        with self._changed:
            return request in self._stop

    def _show(self, request: str, stage: str, since: int, qr: str = "") -> None:
        passed = self._ticks.counter() - since
        with self._changed:
            _note(self._shown, request, Progress(stage, qr, self._clock.now() - passed))

    def _offer(self, request: str, token: str, since: int) -> None:
        """Show the code of an open request. Once it is to be stopped, nobody is asked to read it any more."""
        with self._changed:
            if token:
                _note(self._tokens, request, token)
            known = "" if request in self._stop else self._tokens.get(request, "")
        self._show(request, "scan_qr" if known else "waiting", since, swish.token_qr(known) if known else "")


def _nobody() -> None:
    """Nobody waits for the bell."""


class SwishAlone:
    """A `payments.paths.PayPath` with no wire: a code with the exact amount for the customer's phone, and the cashier's word.

    The code is locked and carries the request as its message, so the Swish report settles it later (PT6).
    """

    means = "swish"
    idempotent = False
    exclusive = False
    by_hand = True

    def __init__(self, *, name: str, payee: str, clock: Clock | None = None) -> None:
        """`payee`: the shop's Swish number."""
        self.name = name
        self._payee = payee
        self._clock = clock if clock is not None else SystemClock()
        self._guard = threading.Lock()
        self._shown: OrderedDict[str, Progress] = OrderedDict()
        self._answers: deque[Answer] = deque()

    def close(self) -> None:
        """Nothing is open."""

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return swish.alone_code(till, epoch, number)

    def send(self, work: Work) -> None:
        with self._guard:
            if work.what == PAYMENT:
                qr = swish.plain_qr(self._payee, work.amount_ore, work.request)
                _note(self._shown, work.request, Progress("scan_qr", qr, self._clock.now()))
            elif work.what != REFUND:  # nobody here to ask, and nobody who gives back
                self._answers.append(_said(work, DECLINED if work.what == REVERSAL else SILENT, "by_hand"))

    def heard(self) -> Sequence[Answer]:
        with self._guard:
            found = list(self._answers)
            self._answers.clear()
        return found

    def progress(self, request: str) -> Progress | None:
        with self._guard:
            return self._shown.get(request)

    def now(self) -> PathNow:
        return PathNow(WORKING, "not_confirmed", offline=True)


def _said(work: Work, outcome: str, why: str = "", amount_ore: int = 0, evidence: Evidence | None = None) -> Answer:
    return Answer(work.sale, work.tender, work.what, work.request, outcome, amount_ore, why, evidence)


def _note(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MOST_KNOWN:
        kept.popitem(last=False)
