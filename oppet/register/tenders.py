"""Tenders that somebody outside decides: asked, waited for, stopped, asked about, given back; durable before every exchange.

`payments/tender.py` is the table, `payments/steps.py` the timetable, a path (`payments/paths.py`) has the exchange. Nothing here waits:
`ask` writes and sends, `tick` takes what was answered and sends what is due. Keeps law 3 of the design: R12 (unknown is left only by a
status query), R25 (a terminal with an open payment takes no other), PT4 (what no sale wants goes back by itself, with a case where it
cannot) and PT6 (what nobody confirms is bounded).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oppet.base.clock import parse_utc
from oppet.base.errors import UnavailableError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.journal.kinds import (
    AlarmRaised,
    Body,
    Evidence,
    Fact,
    PathSeen,
    ReceiptTender,
    ReversalFailed,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
)
from oppet.payments import risk, steps
from oppet.payments.board import choose
from oppet.payments.giftcard import NotAGiftCardError, card_token
from oppet.payments.paths import Answer, PathNow, PayPath, Progress, Slips, Warns, Work
from oppet.payments.tender import (
    ABORT,
    APPROVED,
    AT_RISK,
    DECLINED,
    NEXT,
    PARTIAL,
    PAYMENT,
    REFUND,
    REVERSAL,
    REVERSAL_FAILED,
    REVERSAL_UNKNOWN,
    REVERSED,
    REVERSING,
    SILENT,
    STATUS,
    UNKNOWN,
    Attempt,
    outcome_fits,
)
from oppet.payments.vouchers import VoucherUsedError, allow_alone, read_voucher
from oppet.register.checkout import Checkout, Outcome
from oppet.register.desk import Desk, unsettled
from oppet.register.errors import NotPossibleNowError, PathBusyError, PathMissingError, TenderOpenError
from oppet.register.printing import Printing
from oppet.register.returns import Returns
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.rights import Staff, approver
from oppet.sale.settle import decide_tender, left_to_pay

__all__ = ["Tenders", "Waiting"]

PAID = frozenset({APPROVED, PARTIAL, AT_RISK})
MOST_LOOSE = 200  # tenders open at the outside: more, and the till takes cash until somebody has looked


class Waiting(msgspec.Struct, frozen=True):
    """A tender that is not over, for the page and for the Z report's list."""

    sale: int
    tender: int
    means: str
    path: str
    amount_ore: int
    state: str
    why: str
    asked: str  # UTC
    here: bool  # it belongs to the basket in front of the cashier
    back: bool
    aside: bool  # a supervisor has set it aside: head office settles it
    progress: Progress | None


class Tenders:
    def __init__(self, desk: Desk, checkout: Checkout, returns: Returns, printing: Printing) -> None:
        self._desk = desk
        self._checkout = checkout
        self._printing = printing
        self._returns = returns
        self._sent: dict[str, int] = {}  # request → the counter when it went out, in this run
        self._last: dict[tuple[int, int], int] = {}  # tender → the counter at its last exchange, in this run
        self._seen: dict[str, PathNow] = {}
        self._paid = False  # a tender was taken since the basket was last looked at
        self.outcome: Outcome | None = None  # what finishing by itself came to, until the page has taken it

    @property
    def _paths(self) -> dict[str, PayPath]:
        return {path.name: path for path in self._desk.ports.payments}

    # --- asking

    def ask(self, name: str, amount_ore: int, *, offline: bool = False, account: str = "") -> int:
        """Ask a path for money (in a return: to give it back), and say the tender's number. Nothing waits: `tick` hears.

        `offline`: the terminal may approve alone, within the risk budget; `account`: a gift card's token. Raises PathMissingError,
        PathBusyError, TenderOpenError, RiskTooHighError, NotAGiftCardError, and what `Checkout.may_pay` and `decide_tender` raise;
        nothing is asked then.
        """
        desk, state = self._desk, self._desk.state
        self._checkout.may_pay()
        basket = desk.basket()
        path = self._path(name)
        self._free(path, basket)
        if basket.mode == "training":
            raise NotPossibleNowError(action=N_("Asking for a payment"), why=N_("this is training; enter it by hand"))
        if path.means == "gift_card" and basket.mode == "sale" and not account:
            raise NotAGiftCardError
        if not amount_ore:
            raise NotPossibleNowError(action=N_("Asking for a payment"), why=N_("nothing is left to pay"))
        decided = decide_tender(basket, desk.priced(basket), path.means, amount_ore)
        back = basket.mode == "return"
        if (offline or path.by_hand) and not back:
            others = desk.ports.neighbours.at_risk_ore()
            today = desk.today()
            perhaps = sum(one.amount_ore for one in state.attempts() if one.pending and self._risky(one))
            risk.allow(desk.rules.risk, path.means, today, state.risk.add(today, perhaps), others, amount_ore)
        what = REFUND if back else PAYMENT
        request = self._next_request(path)
        sent = TenderSent(
            basket.sale, decided.tender.tender, what, name, path.means, amount_ore, request,
            original=self._original(basket, path.means, amount_ore) if back else None,
            offline=offline, by=state.staff, offers=decided.tender.offers,
            account=account,
        )  # fmt: skip
        self._write_and_send(path, sent)
        return sent.tender

    def gift_card(self, code: str, amount_ore: int = 0) -> int:
        """Pay with the gift card whose code was read: so much, or all that is left. The card may have less and pays a part then.

        The code is not kept. Raises NotAGiftCardError and what `ask` raises.
        """
        account = card_token(code)
        path = choose(self.paths(), "gift_card")
        if path is None:
            raise NotPossibleNowError(action=N_("Paying with a gift card"), why=N_("the store node does not answer"))
        basket = self._desk.basket()
        left = left_to_pay(basket, self._desk.priced(basket))
        return self.ask(path.name, min(amount_ore, left) or left, account=account)

    def voucher(self, code: str, *, electronic: bool = False) -> Outcome:
        """Take a pant voucher whose code was read: once in the whole store, and only a few while no store node answers (PT11).

        Raises NotAVoucherError, VoucherTooLargeError, VoucherUsedError, LoneVoucherError, and what `Checkout.pay` raises.
        """
        desk, rules = self._desk, self._desk.rules.vouchers
        self._checkout.may_pay()
        basket = desk.basket()
        if basket.mode != "sale":
            raise NotPossibleNowError(
                action=N_("Paying with a voucher"), why=N_("this is not a sale; enter it by hand")
            )
        found = read_voucher(code, rules)
        if found.reference in desk.state.vouchers:
            raise VoucherUsedError(till=desk.ports.journal.till)
        decide_tender(basket, desk.priced(basket), "pant_voucher", found.amount_ore)
        try:
            desk.ports.neighbours.spend(found.reference)
            lone = False
        except UnavailableError:
            allow_alone(rules, found, desk.today(), desk.state.lone_vouchers)
            lone = True
        return self._checkout.pay("pant_voucher", found.amount_ore, found.reference, electronic=electronic, lone=lone)

    def abort(self, tender: int) -> None:
        """Ask the outside to stop. What it answers to this proves nothing: the payment's own answer does."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        attempt = self._open(basket, tender)
        path = self._path(attempt.path)
        if path.by_hand:
            self.vouch(tender, paid=False)
            return
        request = self._next_request(path)
        by = desk.state.staff
        sent = TenderSent(
            basket.sale, tender, ABORT, attempt.path, attempt.means, attempt.amount_ore, request, attempt.request, by=by
        )
        self._write_and_send(path, sent)

    def vouch(self, tender: int, *, paid: bool) -> None:
        """The cashier has seen the customer's phone: a payment that nothing else confirms, taken at risk or not at all."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        attempt = self._open(basket, tender)
        if not self._path(attempt.path).by_hand:
            raise NotPossibleNowError(
                action=N_("Confirming by hand"), why=N_("this payment is confirmed by its service")
            )
        outcome = AT_RISK if paid else DECLINED
        self._take(Answer(
            basket.sale, tender, attempt.live_what or PAYMENT, attempt.request, outcome, attempt.amount_ore if paid else 0,
            "by_hand", Evidence(reference=attempt.request, how="qr", offline=True) if paid else None,
        ))  # fmt: skip

    def give_back(self, tender: int) -> None:
        """The customer pays another way: a tender that was taken goes back where it came from, before the receipt."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        attempt = basket.asked.get(tender)
        if attempt is None or tender not in basket.tenders:
            self._checkout.take_back(tender)
            return
        baskets.allow(basket, TenderReversed, N_("taking a payment back"))
        if attempt.state in (REVERSING, REVERSAL_UNKNOWN):
            raise NotPossibleNowError(action=N_("Taking a payment back"), why=N_("it is being given back already"))
        if attempt.back or not attempt.held:
            raise NotPossibleNowError(action=N_("Taking a payment back"), why=N_("its service does not take it back"))
        path = self._paths.get(attempt.path)
        if path is not None and path.by_hand:
            self._by_word(path, attempt, REVERSED)
            return
        self._send(attempt, REVERSAL)

    def set_aside(self, sale: int, tender: int, approval: Staff | None = None) -> None:
        """A supervisor frees the path of a tender that nobody can clear up now: its terminal is gone or has lost its memory.

        The tender stays unknown and goes on being asked about; a case says that head office settles it against the service's own list
        (reference card-terminal §7.4–7.7). Raises NotPossibleNowError, NeedsApprovalError.
        """
        desk = self._desk
        desk.ready()
        approver("case", desk.staff(), approval)
        attempt = desk.state.attempt(sale, tender)
        if attempt is None or attempt.state != UNKNOWN or attempt.case:
            raise NotPossibleNowError(action=N_("Setting this payment aside"), why=N_("it is not unknown"))
        desk.write(self._case("tender_unknown", attempt, attempt.amount_ore))

    def originals(self) -> list[ReceiptTender]:
        """How the original of the open return was paid, for the page: money goes back the way it came (PT9)."""
        return list(self._returns.paid(self._desk.basket()))

    # --- what comes back

    def tick(self) -> bool:
        """Take every answer, send what is due; whether anything changed. Called often, and never waits.

        A failed disk stops it until the next call that finds the disk well. Raises UnavailableError.
        """
        desk = self._desk
        desk.ready()
        before = desk.state.seq
        for path in self._paths.values():
            for answer in path.heard():
                self._take(answer)
            if isinstance(path, Warns):
                self._warn(path)
        self._overdue()
        for attempt in desk.state.attempts():
            self._due(attempt)
        self._finish()
        self._board()
        return desk.state.seq != before

    def resume(self) -> None:
        """After a restart nobody knows what became of an exchange that was under way. Runs at every start, before any sale."""
        desk = self._desk
        bodies: list[Body] = [
            TenderHeard(one.sale, one.tender, one.live_what, one.live, SILENT, why="restarted")
            for one in desk.state.attempts()
            if one.live and not self._by_hand(one)  # that one still waits for the cashier's word
        ]
        if bodies:
            desk.write(*bodies)
        for one in desk.state.attempts():
            if one.live and one.live_what == PAYMENT and self._by_hand(one):  # shown again: no wire is asked twice
                work = Work(PAYMENT, one.sale, one.tender, one.live, one.amount_ore, parse_utc(one.time), repeat=True)
                self._paths[one.path].send(work)

    def waiting(self) -> list[Waiting]:
        """Every tender that is not over, the open basket's first."""
        state = self._desk.state
        found = [
            Waiting(
                one.sale, one.tender, one.means, one.path, one.amount_ore, one.state, one.why, one.time,
                one.sale == state.current, one.back, one.case, self._progress(one),
            )
            for one in state.attempts()
        ]  # fmt: skip
        return sorted(found, key=lambda one: not one.here)

    def paths(self) -> list[tuple[PayPath, PathNow]]:
        """Every path with how it stands now."""
        return [(path, path.now()) for path in self._paths.values()]

    # --- inside

    def _path(self, name: str) -> PayPath:
        found = self._paths.get(name)
        if found is None:
            raise PathMissingError(path=name, paths=", ".join(self._paths) or "–")
        return found

    def _free(self, path: PayPath, basket: Basket) -> None:
        """R25 and reference card-terminal §7.6: never a second payment where one is open. Raises PathBusyError,
        TenderOpenError.
        """
        attempts = self._desk.state.attempts()
        if len(attempts) >= MOST_LOOSE:
            raise TenderOpenError(tender=attempts[0].tender, state=attempts[0].state)
        for one in attempts:
            if path.exclusive and one.path == path.name and not one.case:
                raise PathBusyError(path=path.name, amount=kronor(one.amount_ore), state=one.state)
        if (under_way := unsettled(basket)) is not None:
            raise TenderOpenError(tender=under_way.tender, state=under_way.state)

    def _open(self, basket: Basket, tender: int) -> Attempt:
        attempt = basket.asked.get(tender)
        if attempt is None or not attempt.pending:
            raise NotPossibleNowError(action=N_("Stopping this payment"), why=N_("it is not waiting for an answer"))
        return attempt

    def _original(self, basket: Basket, means: str, amount_ore: int) -> Evidence | None:
        """What a refund refers to: the smallest payment of the original by the same means that covers it, each once (PT9)."""
        left = [
            tender for tender in self._returns.paid(basket) if tender.means == means and _evidence(tender) is not None
        ]
        asked = [one for one in basket.asked.values() if one.back and one.means == means and (one.pending or one.held)]
        for before in sorted(asked, key=lambda one: one.tender):
            if left:
                left.remove(_covering(left, before.amount_ore))
        return _evidence(_covering(left, amount_ore)) if left else None

    def _next_request(self, path: PayPath) -> str:
        journal = self._desk.ports.journal
        return path.name_request(journal.till, journal.epoch, self._desk.state.requests + 1)

    def _write_and_send(self, path: PayPath, sent: TenderSent, *before: Body) -> None:
        desk = self._desk
        desk.write(*before, sent)
        attempt = desk.state.attempt(sent.sale, sent.tender)
        assert attempt is not None, "what was just sent is open"
        now = desk.ports.clock.counter()
        self._sent[sent.request] = now
        self._last[attempt.key] = now
        path.send(
            Work(
                sent.what, sent.sale, sent.tender, sent.request, sent.amount_ore, parse_utc(attempt.moving or attempt.time), sent.about,
                sent.what == STATUS and attempt.state == REVERSAL_UNKNOWN, attempt.back, sent.original, sent.offline, sent.repeat,
                desk.state.witness.get(sent.path, ""), attempt.taken, sent.account,
            )
        )  # fmt: skip

    def _send(self, attempt: Attempt, what: str) -> None:
        path = self._paths.get(attempt.path)
        if path is None:
            return  # taken out of the settings: it stays open and listed until head office's reconciliation settles it
        repeat = what in (PAYMENT, REFUND) or (what == REVERSAL and attempt.state == REVERSAL_UNKNOWN)
        request = (attempt.reversal if what == REVERSAL else attempt.request) if repeat else self._next_request(path)
        about = attempt.reversal if what == STATUS and attempt.state == REVERSAL_UNKNOWN else attempt.request
        amount = attempt.approved_ore if what == REVERSAL else attempt.amount_ore
        sent = TenderSent(
            attempt.sale, attempt.tender, what, attempt.path, attempt.means, amount, request,
            "" if what in (PAYMENT, REFUND) else about, attempt.evidence, attempt.offline, repeat, self._desk.state.staff,
        )  # fmt: skip
        self._write_and_send(path, sent)

    def _take(self, answer: Answer) -> None:
        """One answer: written down together with what it leads to. What does not fit where the tender stands is dropped."""
        desk = self._desk
        attempt = desk.state.attempt(answer.sale, answer.tender)
        if attempt is None or not outcome_fits(attempt, answer.what, answer.outcome):
            return
        if answer.outcome in PAID and answer.amount_ore <= 0 and answer.what != ABORT:
            return  # nobody says how much: no answer at all, and the query that is overdue asks again
        if answer.what != ABORT and (answer.what, answer.request) != (attempt.live_what, attempt.live):
            return  # an answer to an exchange that was given up: a status query is on its way, or has been
        heard = TenderHeard(
            answer.sale, answer.tender, answer.what, answer.request, answer.outcome, answer.amount_ore, answer.why[:80],
            answer.evidence,
        )  # fmt: skip
        desk.write(heard, *self._consequence(attempt, heard))
        self._sent.pop(answer.request, None)
        self._last[attempt.key] = desk.ports.clock.counter()
        if attempt.over:
            del self._last[attempt.key]
        if answer.outcome in PAID and answer.what != ABORT:
            self._sign(attempt)

    def _sign(self, attempt: Attempt) -> None:
        """What the terminal wants on paper besides our receipt."""
        path: object = self._paths.get(attempt.path)
        if isinstance(path, Slips):
            self._printing.to_sign(path.slips(attempt.request))

    def _consequence(self, attempt: Attempt, heard: TenderHeard) -> Sequence[Body]:
        """What belongs into the same durable group: the sale counts it, gives it back, or a person must look."""
        state = self._desk.state
        after = NEXT[attempt.state, heard.what, heard.outcome]
        basket = state.baskets.get(attempt.sale)
        if after in PAID and attempt.pending:
            if basket is not None and self._wanted(basket, attempt, heard.amount_ore):
                evidence = heard.evidence
                reference = evidence.reference[:40] if evidence is not None else ""
                taken = TenderTaken(
                    attempt.sale, attempt.tender, attempt.means, heard.amount_ore, heard.amount_ore, 0, reference,
                    evidence=evidence, at_risk=after == AT_RISK,
                )  # fmt: skip
                self._paid = self._paid or (not attempt.aborted and attempt.sale == state.current)
                return (taken,)
            if attempt.back:  # money given back that no return counts: nobody can fetch it
                return (self._case("refund_without_return", attempt, heard.amount_ore),)
            return ()  # unwanted: `tick` gives it back
        return self._given(attempt, after, heard.why)

    def _given(self, attempt: Attempt, after: str, why: str) -> Sequence[Body]:
        """What a payment's way back leads to."""
        basket = self._desk.state.baskets.get(attempt.sale)
        counted = basket is not None and attempt.tender in basket.tenders
        if after == REVERSED and counted:
            return (TenderReversed(attempt.sale, attempt.tender, attempt.means, attempt.approved_ore, "reversed"),)
        if after == REVERSAL_FAILED:
            failed = ReversalFailed(attempt.sale, attempt.tender, attempt.means, attempt.approved_ore, why[:60])
            if counted:
                return (failed,)  # the money is ours and the sale still counts it
            return (failed, self._case("reversal_failed", attempt, attempt.approved_ore))
        return ()

    def _wanted(self, basket: Basket, attempt: Attempt, amount_ore: int) -> bool:
        """Whether the basket still needs this money: it stands, less is not left, and nobody asked to stop."""
        if basket.state not in (baskets.PAYING, baskets.PARKED) or amount_ore > attempt.amount_ore:
            return False
        return amount_ore <= left_to_pay(basket, self._desk.priced(basket))

    def _by_word(self, path: PayPath, attempt: Attempt, after: str) -> None:
        """What no service gives back: the cashier says that it was, or nobody can and a person must look."""
        request = self._next_request(path)
        sent = TenderSent(
            attempt.sale, attempt.tender, REVERSAL, attempt.path, attempt.means, attempt.approved_ore, request,
            attempt.request, attempt.evidence, by=self._desk.state.staff,
        )  # fmt: skip
        outcome, amount = (REVERSED, attempt.approved_ore) if after == REVERSED else (DECLINED, 0)
        heard = TenderHeard(attempt.sale, attempt.tender, REVERSAL, request, outcome, amount, "by_hand")
        self._desk.write(sent, heard, *self._given(attempt, after, "by_hand"))

    def _still_wanted(self, attempt: Attempt) -> bool:
        basket = self._desk.state.baskets.get(attempt.sale)
        return basket is not None and self._wanted(basket, attempt, attempt.amount_ore)

    def _case(self, about: str, attempt: Attempt, amount_ore: int) -> Body:
        return self._desk.tender_case(about, attempt, amount_ore)

    def _overdue(self) -> None:
        """A driver that has said nothing for too long: nobody knows, and that is written down."""
        desk = self._desk
        now = desk.ports.clock.counter()
        for one in desk.state.attempts():
            if not one.live or self._by_hand(one):
                continue
            sent = self._sent.get(one.live)
            if sent is None or now - sent > steps.OVERDUE_MS:
                self._take(Answer(one.sale, one.tender, one.live_what, one.live, SILENT, why="overdue"))

    def _risky(self, attempt: Attempt) -> bool:
        """Whether it may yet be taken on nobody's word but the terminal's or the customer's telephone's."""
        return attempt.offline or self._by_hand(attempt)

    def _by_hand(self, attempt: Attempt) -> bool:
        path = self._paths.get(attempt.path)
        return path is not None and path.by_hand

    def _due(self, attempt: Attempt) -> None:
        path = self._paths.get(attempt.path)
        if path is None:
            return
        if path.by_hand:
            if attempt.unwanted:
                self._by_word(path, attempt, REVERSAL_FAILED)
            return
        what = steps.next_exchange(attempt, idempotent=path.idempotent)
        if what in (PAYMENT, REFUND) and not self._still_wanted(attempt):
            what = STATUS  # nobody asks a customer for money that no sale needs any more
        if what is None:
            return
        now = self._desk.ports.clock.counter()
        last = self._last.get(attempt.key)
        if last is not None and now - last < steps.wait_ms(attempt) and not (what == REVERSAL and not attempt.reversal):
            return
        self._send(attempt, what)

    def _finish(self) -> None:
        """The basket in front of the cashier is paid in full by what was just heard: register it.

        Not where the cashier had asked to stop: then a person says whether the sale goes on. A control unit that fails leaves the money
        taken and the basket being paid.
        """
        desk = self._desk
        state = desk.state
        paid, self._paid = self._paid, False
        basket = state.baskets.get(state.current)
        if not paid or basket is None or not state.staff or basket.state != baskets.PAYING:
            return
        if unsettled(basket) is not None or left_to_pay(basket, desk.priced(basket)):
            return
        try:
            self.outcome = self._checkout.finish()
        except UnavailableError as error:
            if desk.ports.journal.broken:
                raise
            self.outcome = Outcome("refused", why=error)

    def _warn(self, path: Warns) -> None:
        """What a bad cable does not explain is written down, and goes up with everything else (PT7)."""
        for warning in path.warnings():
            facts = (Fact("path", warning.path), Fact("why", warning.why[:80]))
            self._desk.write(AlarmRaised(warning.about, facts), sign=False)

    def _board(self) -> None:
        """Journal how a path works where that has changed: what every board is a fold of."""
        for name, path in self._paths.items():
            now = path.now()
            seen = self._desk.state.paths.get(name)
            if now.state == "unknown" and seen is None:
                continue
            if seen is None or (seen.state, seen.alone) != (now.state, now.offline):
                self._desk.write(PathSeen(name, path.means, now.state, now.why[:80], now.offline), sign=False)

    def _progress(self, attempt: Attempt) -> Progress | None:
        path = self._paths.get(attempt.path)
        return path.progress(attempt.live or attempt.request) if path is not None else None


def _covering(tenders: Sequence[ReceiptTender], amount_ore: int) -> ReceiptTender:
    """The smallest that is at least so much; the largest where none is."""
    enough = [tender for tender in tenders if tender.amount_ore >= amount_ore]
    return min(enough, key=lambda one: one.amount_ore) if enough else max(tenders, key=lambda one: one.amount_ore)


def _evidence(tender: ReceiptTender) -> Evidence | None:
    """What is known of a payment. A receipt's code says only the reference: enough for Swish, not for a card terminal."""
    if tender.evidence is not None:
        return tender.evidence
    return Evidence(reference=tender.reference) if tender.reference and tender.means != "card" else None
