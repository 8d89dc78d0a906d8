"""The journal's export for the tax agency: the law's XML, one Handelse after another (SKVFS 2021:16).

A projection of one register's journal, an epoch, and nothing of its own. It is made while it is read: a year needs no
more memory than its open baskets and the receipts that were copied. Leaves names, order and form to `elements.py`.
Keeps F9 (order and form of every element), F10 (every registration the format has a word for is exported, in journal
order, inside the chosen period) and F11 (of a training sale only its marked receipt is exported).

What the format has no word for stays in the journal alone: an unknown code, cash moved and counted, settings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from oppet.base.clock import local_day, parse_utc
from oppet.base.money import round_half_up
from oppet.fiscal import elements as xml
from oppet.fiscal.elements import NAMESPACE, UNVERIFIED, el, seconds, text
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import (
    Body,
    CopyMade,
    DrawerOpened,
    EpochOpened,
    LineAdded,
    LineChanged,
    LineVoided,
    PriceAsked,
    Receipt,
    ReceiptLine,
    ReportMade,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    SignedIn,
    SignedOut,
    TillStarted,
    kind_of,
)

__all__ = ["Period", "export", "file_name"]

ROOT = "ExportAvDataFranJournalminneEnligtSKVFS2021-16"
CHUNK = 65_536


class Period(msgspec.Struct, frozen=True):
    """The chosen stretch of time, both ends in it, as UTC text."""

    start: str
    end: str


class _Outline(msgspec.Struct):
    """What must be known before the first byte is written; found in a first reading that decodes few entries."""

    epoch: EpochOpened
    z_seqs: list[int] = []
    z_numbers: list[int] = []
    copied: set[int] = set()

    def z_after(self, seq: int) -> int:
        """The Z that closed the day of entry `seq`, or 0 while it is open."""
        place = bisect_right(self.z_seqs, seq)
        return self.z_numbers[place] if place < len(self.z_numbers) else 0


def file_name(period: Period) -> str:
    """What the file is called: both days local."""
    start, end = (local_day(parse_utc(utc)).replace("-", "") for utc in (period.start, period.end))
    return f"{ROOT}_{start}-{end}.xml"


def export(entries: Iterable[Entry], period: Period, who: str, when: str) -> Iterator[bytes]:
    """Give the file in pieces. `entries` is one epoch from its first entry, and is read twice; `when` is UTC text."""
    assert iter(entries) is not iter(entries), "the journal is read twice: a stream that runs dry will not do"
    outline = _outline(entries)
    yield _head(outline.epoch, period, who, when).encode()
    events, pieces, size = _Events(outline), [], 0
    for entry in entries:
        if entry.kind not in _READ:
            continue
        for event in events.of(entry):
            if period.start <= entry.time <= period.end:
                pieces.append(event)
                size += len(event)
        if size > CHUNK:
            yield "".join(pieces).encode()
            pieces, size = [], 0
    yield "".join([*pieces, f"</RegistreringLISTA></i:{ROOT}>\n"]).encode()


def _outline(entries: Iterable[Entry]) -> _Outline:
    outline = None
    for entry in entries:
        if entry.kind not in {"epoch_opened", "till_started", "report_made", "copy_made"}:
            continue
        body = body_of(entry)
        if type(body) is EpochOpened:
            assert outline is None, "one export is one register: an epoch opens once"
            outline = _Outline(body)
            continue
        assert outline is not None, "a journal begins with its epoch"
        if type(body) is TillStarted:
            outline.epoch = msgspec.structs.replace(outline.epoch, software=body.software)
        elif type(body) is ReportMade and body.kind == "z":
            outline.z_seqs.append(entry.seq)
            outline.z_numbers.append(body.number)
        elif type(body) is CopyMade:
            outline.copied.add(body.number)
    assert outline is not None, "a journal begins with its epoch"
    return outline


def _head(epoch: EpochOpened, period: Period, who: str, when: str) -> str:
    unit = epoch.units[0] if epoch.units else ""  # each receipt names the unit that gave its code
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        f'<i:{ROOT} xmlns:i="{NAMESPACE.format("instans")}" xmlns="{NAMESPACE.format("komponent")}">'
        + (text("InloggadAnvandareVidExportAvDataFranJournalminnet", who) if who else "")
        + text("BeteckningPaDetKassaregisterSomExportAvDataFranJournalminnetSkerIfran", epoch.register)
        + seconds("TidpunktForNarExportAvDataFranJournalminnetSker", when)
        + el(
            "ValdPeriodForExportAvDataFranJournalminne",
            seconds("ValdStarttidpunktForExportAvDataFranJournalminnet", period.start)
            + seconds("ValdSluttidpunktForExportAvDataFranJournalminnet", period.end),
        )
        + el(
            "BeteckningPaValdaKassaregisterForExportAvDataFranJournalminnenLISTA",
            text("BeteckningPaValtKassaregisterForExportAvDataFranJournalminnet", epoch.register),
        )
        + el(
            "InformationOmForetaget",
            text("OrganisationsnummerEllerPersonnummer", epoch.org_no)
            + text("ForetagetsNamn", epoch.company)
            + text("DenAdressDarForsaljningSker", epoch.address),
        )
        + el(
            "KassaregistersystemLISTA",
            el(
                "Kassaregistersystemet",
                xml.register_block(epoch)
                + text("Kassabeteckning", epoch.register)
                + text("TillverkningsnummerForKontrollenheten", unit),
            ),
        )
        + "<RegistreringLISTA>"
    )


class _Events:
    """Second reading: what each entry is called in the law's words. Remembers open baskets, to say what was parked."""

    def __init__(self, outline: _Outline) -> None:
        self.outline = outline
        self.epoch = outline.epoch
        self.staff = 0
        self.training: set[int] = set()
        self.baskets: dict[int, dict[int, ReceiptLine]] = {}
        self.parked: set[int] = set()
        self.originals: dict[int, tuple[Receipt, str]] = {}

    def of(self, entry: Entry) -> list[str]:
        body = body_of(entry)
        if type(body) is SignedIn:
            self.staff = body.staff
        events = _WORDS[type(body)](self, entry, body)
        user = str(self.staff) if self.staff else ""
        if type(body) is SignedOut:
            self.staff = 0
        head = (
            (text("InloggadAnvandare", user) if user else "")
            + text("Kassabeteckning", self.epoch.register)
            + seconds("Registreringstidpunkt", entry.time)
        )
        return [el("Handelse", head + event) for event in events]

    def _started(self, _: Entry, body: TillStarted) -> list[str]:
        self.epoch = msgspec.structs.replace(self.epoch, software=body.software)
        return []

    def _opened(self, _: Entry, body: SaleOpened) -> list[str]:
        if body.mode == "training":
            self.training.add(body.sale)
        else:
            self.baskets[body.sale] = {}
        return []

    def _added(self, entry: Entry, body: LineAdded) -> list[str]:
        if body.sale in self.training:
            return []
        line = _registered(body, entry.time)
        self.baskets.setdefault(body.sale, {})[body.line] = line
        return [el(UNVERIFIED["register"], xml.article(line))]

    def _changed(self, _: Entry, body: LineChanged) -> list[str]:
        line = self.baskets.get(body.sale, {}).get(body.line)
        if line is None:
            return []
        line = _again(line, body.quantity_milli, body.amount_ore)
        self.baskets[body.sale][body.line] = line
        return [el(UNVERIFIED["change"], xml.article(line, seconds("UrsprungligRegistreringstidpunkt", line.time)))]

    def _voided(self, _: Entry, body: LineVoided) -> list[str]:
        line = self.baskets.get(body.sale, {}).pop(body.line, None)
        if line is None:
            return []
        return [el(UNVERIFIED["delete"], xml.article(line, seconds("UrsprungligRegistreringstidpunkt", line.time)))]

    def _parking(self, name: str, sale: int) -> list[str]:
        place = text("IdentitetsbeteckningPaParkering", str(sale))
        return [el(name, xml.article(line, place)) for line in self.baskets.get(sale, {}).values()]

    def _parked(self, _: Entry, body: SaleParked) -> list[str]:
        self.parked.add(body.sale)
        return self._parking("ParkeraRegistreradArtikel", body.sale)

    def _resumed(self, _: Entry, body: SaleResumed) -> list[str]:
        self.parked.discard(body.sale)
        closed = el(UNVERIFIED["close parking"], text("IdentitetsbeteckningPaParkering", str(body.sale)))
        return [*self._parking(UNVERIFIED["open parked"], body.sale), closed]

    def _abandoned(self, _: Entry, body: SaleAbandoned) -> list[str]:
        gone = self._parking(UNVERIFIED["delete parked"], body.sale) if body.sale in self.parked else []
        if not gone and body.sale not in self.training:
            gone = [el(UNVERIFIED["clear"], "JA")]
        self._over(body.sale)
        return gone

    def _moved(self, _: Entry, body: SaleMoved) -> list[str]:
        gone = self._parking(UNVERIFIED["move parked"], body.sale)
        self._over(body.sale)
        return gone

    def _over(self, sale: int) -> None:
        self.baskets.pop(sale, None)
        self.parked.discard(sale)
        self.training.discard(sale)

    def _receipt(self, entry: Entry, body: Receipt) -> list[str]:
        self._over(body.sale)
        if body.kind != "training" and body.number in self.outline.copied:
            self.originals[body.number] = (body, entry.time)
        unit = self.epoch.units[0] if self.epoch.units else ""
        return [xml.receipt(body, entry.time, self.outline.z_after(entry.seq), unit)]

    def _copy(self, entry: Entry, body: CopyMade) -> list[str]:
        if body.number not in self.originals:
            return []  # series.py names it; one bad entry does not keep the others from the agency
        original, made = self.originals[body.number]
        z_number = self.outline.z_after(entry.seq)
        return [xml.copy(original, made, entry.time, body.copy, z_number, body.unit, body.code)]

    def _report(self, entry: Entry, body: ReportMade) -> list[str]:
        return [xml.report(body.report, entry.time, body.number if body.kind == "z" else 0, self.epoch)]

    def _signed_in(self, _: Entry, __: SignedIn) -> list[str]:
        return [el("InloggningIKassaregister", "JA")]

    def _signed_out(self, _: Entry, __: SignedOut) -> list[str]:
        return [el("UtloggningUrKassaregister", "JA")]

    def _drawer(self, _: Entry, __: DrawerOpened) -> list[str]:
        return [el(UNVERIFIED["open drawer"], "JA")]

    def _price(self, _: Entry, body: PriceAsked) -> list[str]:
        return [
            el(
                UNVERIFIED["price query"],
                text("Artikelnummer", body.article) + xml.money("PrisPerEnhet", body.unit_ore),
            )
        ]


def _registered(body: LineAdded, time: str) -> ReceiptLine:
    net = body.amount_ore - sum(discount.ore for discount in body.discounts)
    vat = round_half_up(net * body.vat_rate, 10_000 + body.vat_rate)
    return ReceiptLine(
        body.line, body.article, body.name, body.group, body.kind, body.quantity_milli, body.unit, body.unit_ore,
        body.amount_ore, body.discounts, net, body.vat_rate, vat, time,
    )  # fmt: skip


def _again(line: ReceiptLine, quantity_milli: int, amount_ore: int) -> ReceiptLine:
    net = amount_ore - (line.amount_ore - line.net_ore)
    vat = round_half_up(net * line.vat_rate, 10_000 + line.vat_rate)
    return msgspec.structs.replace(line, quantity_milli=quantity_milli, amount_ore=amount_ore, net_ore=net, vat_ore=vat)


_WORDS: dict[type[Body] | type[None], Callable[[_Events, Entry, Any], list[str]]] = {
    TillStarted: _Events._started,
    SaleOpened: _Events._opened,
    LineAdded: _Events._added,
    LineChanged: _Events._changed,
    LineVoided: _Events._voided,
    SaleParked: _Events._parked,
    SaleResumed: _Events._resumed,
    SaleAbandoned: _Events._abandoned,
    SaleMoved: _Events._moved,
    Receipt: _Events._receipt,
    CopyMade: _Events._copy,
    ReportMade: _Events._report,
    SignedIn: _Events._signed_in,
    SignedOut: _Events._signed_out,
    DrawerOpened: _Events._drawer,
    PriceAsked: _Events._price,
}
_READ = frozenset(kind_of(body) for body in _WORDS if issubclass(body, Body))
