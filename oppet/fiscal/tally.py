"""X and Z: what a period of journal entries adds up to, as the law lists it (SKVFS 2014:9 7:2 and 7:3).

A report is a function of entries and of nothing else: no clock, no head office, no balancing line. The till folds each
entry into a `Tally` as it writes it; anybody with the journal folds the same entries and gets the same report.
Leaves the receipt's own sums to the sale room, drawing the report to the till, numbers without gaps to `series.py`.
Keeps F1 (a report is a function of entries), F2 (each entry in exactly one Z), F3 (copies, training, returns and
unfinished sales never enter sales), F4 (expected cash) and F5 (grand totals never fall).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import (
    Body,
    CashCounted,
    CashMoved,
    CodeUnknown,
    CopyMade,
    DrawerOpened,
    EpochOpened,
    FloatSet,
    GrandTotals,
    LineAdded,
    LineChanged,
    LineVoided,
    MeansTotal,
    Receipt,
    Report,
    ReportMade,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
    VatAmount,
)
from oppet.payments.tender import Attempt, advance

__all__ = ["CASH", "Identity", "Tally", "follow", "report_of"]

CASH = "cash"
PIECE_MILLI = 1000


class Identity(msgspec.Struct, frozen=True):
    """Whose report it is: an epoch is one register, so this never changes within one."""

    company: str
    org_no: str
    register: str


class Tally(msgspec.Struct):
    """One period so far. Plain numbers and dictionaries: msgspec.json writes it as a snapshot and reads it back."""

    first_seq: int = 1
    last_seq: int = 0
    sales_ore: int = 0
    returns_ore: int = 0
    receipts: int = 0
    returns: int = 0
    rounding_ore: int = 0
    groups: dict[str, int] = {}
    vat_gross: dict[int, int] = {}
    vat: dict[int, int] = {}
    means: dict[str, int] = {}
    goods_milli: int = 0
    services_milli: int = 0
    discounts: int = 0
    discounts_ore: int = 0
    reductions: int = 0
    reductions_ore: int = 0
    drawer_openings: int = 0
    copies: int = 0
    copies_ore: int = 0
    training: int = 0
    training_ore: int = 0
    abandoned: int = 0
    abandoned_ore: int = 0
    unknown_codes: int = 0
    unknown_codes_ore: int = 0
    float_ore: int = 0
    takings_ore: int = 0  # cash from customers less cash back to them
    cash_difference_ore: int = 0
    # Carried from period to period:
    drawer_ore: int = 0  # what should lie in the drawer
    grand_sales_ore: int = 0
    grand_returns_ore: int = 0
    modes: dict[int, str] = {}  # returns and training in progress
    open_lines: dict[int, dict[int, int]] = {}  # sales in progress or parked: line → amount
    reported: set[int] = set()  # of those, already counted as unfinished by a Z
    asked: dict[str, Attempt] = {}  # tenders that somebody outside decides and that are not over: "sale/tender"
    pending: dict[int, dict[int, tuple[str, int]]] = {}  # money taken (paid out: negative) and no receipt yet

    def count(self, seq: int, body: Body | None) -> None:
        """Fold one entry in; None is an entry of a kind this version does not know."""
        handler = _HANDLERS.get(type(body))
        if handler is not None:
            handler(self, body)
        self.last_seq = seq

    def cash_expected_ore(self) -> int:
        """What the drawer should hold now (F4): money that never became a receipt included."""
        return self.drawer_ore

    def pending_ore(self) -> dict[str, int]:
        """Money taken without a receipt, by means; a return paid out without one is negative."""
        total: dict[str, int] = {}
        for tenders in self.pending.values():
            for means, ore in tenders.values():
                total[means] = total.get(means, 0) + ore
        return total

    def unfinished(self) -> tuple[int, int]:
        """Sales abandoned in the period and those still open or parked with goods in them: (number, öre).

        A sale that an earlier Z already counted as unfinished is not counted again (F2).
        """
        waiting = [
            sum(lines.values()) for sale, lines in self.open_lines.items() if lines and sale not in self.reported
        ]
        return self.abandoned + len(waiting), self.abandoned_ore + sum(waiting)

    def report(self, identity: Identity) -> Report:
        """The X or Z as it stands: the same figures, only the number differs."""
        unfinished, unfinished_ore = self.unfinished()
        unknown = [one.amount_ore for one in self.asked.values() if one.pending]
        grand = GrandTotals(self.grand_sales_ore, self.grand_returns_ore, self.grand_sales_ore - self.grand_returns_ore)
        return Report(
            company=identity.company,
            org_no=identity.org_no,
            register=identity.register,
            total_ore=self.sales_ore - self.returns_ore,
            sales_ore=self.sales_ore,
            groups=tuple(sorted(self.groups.items())),
            vat=tuple(
                VatAmount(rate, gross, self.vat[rate]) for rate, gross in sorted(self.vat_gross.items(), reverse=True)
            ),
            float_ore=self.float_ore,
            goods_milli=self.goods_milli,
            services_milli=self.services_milli,
            receipts=self.receipts,
            drawer_openings=self.drawer_openings,
            copies=self.copies,
            copies_ore=self.copies_ore,
            training=self.training,
            training_ore=self.training_ore,
            means=tuple(MeansTotal(means, ore) for means, ore in sorted(self.means.items())),
            returns=self.returns,
            returns_ore=self.returns_ore,
            discounts_ore=self.discounts_ore,
            reductions=self.reductions,
            reductions_ore=self.reductions_ore,
            unfinished=unfinished,
            unfinished_ore=unfinished_ore,
            rounding_ore=self.rounding_ore,
            grand=grand,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            discounts=self.discounts,
            unknown_codes=self.unknown_codes,
            unknown_codes_ore=self.unknown_codes_ore,
            cash_difference_ore=self.cash_difference_ore,
            open_tenders=len(unknown),
            open_tenders_ore=sum(unknown),
        )

    def close(self) -> Tally:
        """The next period: its figures zero, grand totals, open sales and the drawer carried on."""
        waiting = {sale for sale, lines in self.open_lines.items() if lines}
        return Tally(
            first_seq=self.last_seq + 1,
            last_seq=self.last_seq,
            drawer_ore=self.drawer_ore,
            grand_sales_ore=self.grand_sales_ore,
            grand_returns_ore=self.grand_returns_ore,
            modes=dict(self.modes),
            open_lines={sale: dict(lines) for sale, lines in self.open_lines.items()},
            reported=self.reported | waiting,
            asked={key: msgspec.structs.replace(attempt) for key, attempt in self.asked.items()},
            pending={sale: dict(tenders) for sale, tenders in self.pending.items()},
        )


def follow(tally: Tally, seq: int, body: Body | None) -> Tally:
    """Fold one entry of a whole journal: a Z begins the next period, and its own entry is the first of that."""
    if type(body) is ReportMade and body.kind == "z":
        tally = tally.close()
    tally.count(seq, body)
    return tally


def report_of(entries: Iterable[Entry]) -> Report:
    """What an X made after these entries says. They are one epoch's, from its first entry (F1)."""
    tally, identity = Tally(), None
    for entry in entries:
        body = body_of(entry)
        if type(body) is EpochOpened:
            assert identity is None, "an epoch opens once"
            identity = Identity(body.company, body.org_no, body.register)
        tally = follow(tally, entry.seq, body)
    assert identity is not None, "a journal begins with its epoch"
    return tally.report(identity)


# --- one function a kind: what it does to the period ----------------------------------------------------------------


def _receipt(tally: Tally, receipt: Receipt) -> None:
    sale = receipt.sale
    tally.open_lines.pop(sale, None)
    tally.modes.pop(sale, None)
    tally.reported.discard(sale)
    if receipt.kind == "training":
        tally.training += 1
        tally.training_ore += receipt.total_ore
        return
    if receipt.kind == "sale":
        sign = 1
        tally.receipts += 1
        tally.sales_ore += receipt.total_ore
        tally.grand_sales_ore += receipt.total_ore
    else:
        assert receipt.kind == "return", receipt.kind
        sign = -1
        tally.returns += 1
        tally.returns_ore += receipt.total_ore
        tally.grand_returns_ore += receipt.total_ore
    tally.rounding_ore += sign * receipt.rounding_ore
    vat_gross, vat, means = tally.vat_gross, tally.vat, tally.means
    for part in receipt.vat:
        vat_gross[part.rate] = vat_gross.get(part.rate, 0) + sign * part.gross_ore
        vat[part.rate] = vat.get(part.rate, 0) + sign * part.vat_ore
    for tender in receipt.tenders:
        means[tender.means] = means.get(tender.means, 0) + sign * tender.amount_ore
        if tender.means == CASH:
            _cash(tally, sign * tender.amount_ore)
    _settle_pending(tally, sale)
    _lines(tally, receipt, sign)


def _lines(tally: Tally, receipt: Receipt, sign: int) -> None:
    groups = tally.groups
    goods = services = discounts = discounts_ore = 0
    for line in receipt.lines:
        groups[line.group] = groups.get(line.group, 0) + sign * line.net_ore
        if line.kind == "tjanst":
            services += line.quantity_milli if line.unit == "st" else PIECE_MILLI
        elif not line.pant_of:
            goods += line.quantity_milli if line.unit == "st" else PIECE_MILLI  # a weighed bag is one of goods
        if line.discounts:
            discounts += len(line.discounts)
            discounts_ore += line.amount_ore - line.net_ore
    if sign > 0:  # what was sold and what was given off: a return takes nothing back here, it has figures of its own
        tally.goods_milli += goods
        tally.services_milli += services
        tally.discounts += discounts
        tally.discounts_ore += discounts_ore


def _settle_pending(tally: Tally, sale: int) -> None:
    """The receipt's own tenders have been counted: the money counted when it was taken is the same money."""
    for means, ore in tally.pending.pop(sale, {}).values():
        if means == CASH:
            _cash(tally, -ore)


def _tender_taken(tally: Tally, body: TenderTaken) -> None:
    _tender_asked(tally, body)
    mode = tally.modes.get(body.sale)
    if mode == "training":
        return
    ore = -body.amount_ore if mode == "return" else body.amount_ore
    tally.pending.setdefault(body.sale, {})[body.tender] = (body.means, ore)
    if body.means == CASH:
        _cash(tally, ore)


def _tender_reversed(tally: Tally, body: TenderReversed) -> None:
    tenders = tally.pending.get(body.sale, {})
    if body.tender not in tenders:
        return  # training, or money whose receipt stands: that is returned by a return receipt
    means, ore = tenders[body.tender]
    back = body.amount_ore if ore > 0 else -body.amount_ore
    if ore == back:
        del tenders[body.tender]
        if not tenders:
            del tally.pending[body.sale]
    else:
        tenders[body.tender] = (means, ore - back)
    if means == CASH:
        _cash(tally, -back)


def _tender_asked(tally: Tally, body: TenderSent | TenderHeard | TenderTaken) -> None:
    key = f"{body.sale}/{body.tender}"
    after = advance(tally.asked.get(key), "", body)
    if after is None or after.over:
        tally.asked.pop(key, None)
    else:
        tally.asked[key] = after


def _sale_opened(tally: Tally, body: SaleOpened) -> None:
    if body.mode == "sale":
        tally.open_lines[body.sale] = {}
    else:
        tally.modes[body.sale] = body.mode


def _line_added(tally: Tally, body: LineAdded) -> None:
    lines = tally.open_lines.get(body.sale)
    if lines is not None:
        lines[body.line] = body.amount_ore


def _line_changed(tally: Tally, body: LineChanged) -> None:
    lines = tally.open_lines.get(body.sale)
    if lines is None:
        return
    less = lines.get(body.line, body.amount_ore) - body.amount_ore
    if less > 0:
        tally.reductions += 1
        tally.reductions_ore += less
    lines[body.line] = body.amount_ore


def _line_voided(tally: Tally, body: LineVoided) -> None:
    if body.sale in tally.modes:
        return  # taking a line off a return or a training sale reduces no sales
    tally.reductions += 1
    tally.reductions_ore += body.amount_ore
    tally.open_lines.get(body.sale, {}).pop(body.line, None)


def _sale_abandoned(tally: Tally, body: SaleAbandoned) -> None:
    tally.open_lines.pop(body.sale, None)
    if tally.modes.pop(body.sale, None) is not None:
        return  # a return or training given up is no unfinished sale
    if body.sale in tally.reported:
        tally.reported.discard(body.sale)
        return
    tally.abandoned += 1
    tally.abandoned_ore += body.amount_ore


def _sale_moved(tally: Tally, body: SaleMoved) -> None:
    """It goes on at another till and is finished, or unfinished, there."""
    tally.open_lines.pop(body.sale, None)
    tally.modes.pop(body.sale, None)
    tally.reported.discard(body.sale)


def _code_unknown(tally: Tally, body: CodeUnknown) -> None:
    if body.receipt_type != "normal":
        return  # a copy or training without a code is listed by series.py and moves no money
    tally.open_lines.pop(body.sale, None)
    tally.modes.pop(body.sale, None)
    tally.reported.discard(body.sale)
    tally.unknown_codes += 1
    tally.unknown_codes_ore += body.total_ore + body.negative_ore


def _copy_made(tally: Tally, body: CopyMade) -> None:
    tally.copies += 1
    tally.copies_ore += body.total_ore


def _drawer_opened(tally: Tally, _: DrawerOpened) -> None:
    tally.drawer_openings += 1


def _cash(tally: Tally, ore: int) -> None:
    tally.takings_ore += ore
    tally.drawer_ore += ore


def _float_set(tally: Tally, body: FloatSet) -> None:
    """The float is stated, and takings lie beside it: whatever was moved or counted before is in the statement."""
    tally.float_ore = body.amount_ore
    tally.drawer_ore = body.amount_ore + tally.takings_ore


def _cash_moved(tally: Tally, body: CashMoved) -> None:
    tally.drawer_ore += body.amount_ore


def _cash_counted(tally: Tally, body: CashCounted) -> None:
    tally.cash_difference_ore += body.difference_ore
    tally.drawer_ore += body.difference_ore  # from here on the drawer holds what was counted


_HANDLERS: dict[type[Body] | type[None], Callable[[Tally, Any], None]] = {
    Receipt: _receipt,
    CopyMade: _copy_made,
    SaleOpened: _sale_opened,
    LineAdded: _line_added,
    LineChanged: _line_changed,
    LineVoided: _line_voided,
    SaleAbandoned: _sale_abandoned,
    SaleMoved: _sale_moved,
    TenderTaken: _tender_taken,
    TenderSent: _tender_asked,
    TenderHeard: _tender_asked,
    TenderReversed: _tender_reversed,
    CodeUnknown: _code_unknown,
    DrawerOpened: _drawer_opened,
    FloatSet: _float_set,
    CashMoved: _cash_moved,
    CashCounted: _cash_counted,
}
