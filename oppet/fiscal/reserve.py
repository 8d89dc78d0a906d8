"""The reserve routine: what a shop does, lawfully, while no control unit answers (SKVFS 2014:10, reference §6).

Numbered paper slips printed beforehand, the outage's beginning and end noted, the report to the tax agency drafted. A
slip is never registered in a till afterwards: it is booked from the paper. Gives sheets and text; leaves setting them
to drivers, and asking units to `unit.py`. The law's papers are Swedish, whatever language the till speaks.
Keeps F12 (begins when no unit is ready, ends when one is), F13 (slips numbered, each used once) and F14 (an outage is
reported, with what is known and blanks for the rest).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.fiscal.unit import UnitStatus
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import CaseOpened, EpochOpened, OutageBegan, OutageEnded
from oppet.paper.sheet import BLANK, CUT, RULE, Paper, Row, amount

__all__ = [
    "MOST_SLIPS",
    "NotASlipCaseError",
    "Outage",
    "SlipCase",
    "SlipNotPrintedError",
    "SlipUsedError",
    "applies",
    "outage_note",
    "outages",
    "report_to_agency",
    "settle",
    "slips",
]

MOST_SLIPS = 500  # in one printing: a store's hours, not its week
ARTICLE_ROWS = 6
BLANK_TEXT = "______________________"
SETTLED_BY_SLIP = {"tender_without_sale", "code_unknown"}  # money taken, and no receipt given


class NotASlipCaseError(RefusedError):
    sentence = N_("Case {case} is about {about}: a reserve slip settles only money that was taken without a receipt.")


class SlipNotPrintedError(RefusedError):
    sentence = N_("Slip {slip} is not among the printed ones, {first} to {last}.")


class SlipUsedError(RefusedError):
    sentence = N_("Slip {slip} is used already: each slip is one sale.")


class Outage(msgspec.Struct, frozen=True):
    """One outage as the journal knows it; `ended` is empty while it goes on."""

    began: str  # UTC
    reason: str
    begun_by: int
    ended: str = ""
    ended_by: int = 0
    slips: int = 0
    slips_ore: int = 0


class SlipCase(msgspec.Struct, frozen=True):
    """A case settled on paper: this slip is the customer's receipt, and what the office books."""

    case: int
    slip: int
    amount_ore: int


def applies(statuses: Iterable[UnitStatus]) -> bool:
    """F12: the routine applies when no unit is ready. A network or an office that is away is no outage."""
    return not any(status.ready for status in statuses)


def outages(entries: Iterable[Entry]) -> list[Outage]:
    """Every outage in a stretch of entries; a second beginning inside one begins nothing."""
    found: list[Outage] = []
    for entry in entries:
        body = body_of(entry)
        if type(body) is OutageBegan and (not found or found[-1].ended):
            found.append(Outage(entry.time, body.reason, body.by))
        elif type(body) is OutageEnded and found and not found[-1].ended:
            found[-1] = msgspec.structs.replace(
                found[-1], ended=entry.time, ended_by=body.by, slips=body.slips, slips_ore=body.slips_ore
            )
    return found


def settle(case: CaseOpened, slip: int, first: int, last: int, used: Collection[int]) -> SlipCase:
    """Settle money taken without a receipt by a slip written for it (F13); never by a registration afterwards.

    Raises NotASlipCaseError, SlipNotPrintedError, SlipUsedError.
    """
    if case.about not in SETTLED_BY_SLIP:
        raise NotASlipCaseError(case=case.case, about=case.about)
    if not first <= slip <= last:
        raise SlipNotPrintedError(slip=slip, first=first, last=last)
    if slip in used:
        raise SlipUsedError(slip=slip)
    return SlipCase(case.case, slip, case.amount_ore)


# --- papers ----------------------------------------------------------------------------------------------------------


def _write(label: str) -> Row:
    return Row(label, style="write")


def slips(first: int, count: int, register: EpochOpened) -> tuple[Paper, ...]:
    """Numbered reserve receipts to print beforehand and cut apart, `first` and up (F13)."""
    assert first >= 1, "slips are numbered from 1"
    assert 1 <= count <= MOST_SLIPS, f"{count} slips in one printing"
    return tuple(_slip(number, register) for number in range(first, first + count))


def _slip(number: int, register: EpochOpened) -> Paper:
    goods = [_write(f"{place} Vara, antal, pris") for place in range(1, ARTICLE_ROWS + 1)]
    return Paper(
        f"reservkvitto-{register.register}-{number:05d}",
        (
            Row("RESERVKVITTO", style="title"),
            Row(f"Nr {register.register}-{number:05d}", style="title"),
            Row(register.company, style="centre"),
            Row(f"Org.nr {_org_no(register.org_no)}", style="centre"),
            Row(register.address, style="centre"),
            RULE,
            _write("Datum"),
            _write("Klockslag"),
            BLANK,
            *goods,
            RULE,
            _write("Summa att betala"),
            _write("varav moms 25 %"),
            _write("varav moms 12 %"),
            _write("varav moms 6 %"),
            _write("Betalt med"),
            _write("Kassör nr"),
            RULE,
            Row("Kassaregistret är ur funktion. Köpet registreras inte i efterhand.", style="centre"),
            CUT,
        ),
    )


def outage_note(outage: Outage, register: EpochOpened) -> Paper:
    """The note of an outage for the store's binder: what the journal knows, and lines for the rest (F14)."""
    return Paper(
        f"avbrott-{register.register}-{_local(outage.began).replace(':', '').replace(' ', '-')}",
        (
            Row("Avbrott i kassaregister", style="title"),
            Row(register.company, _org_no(register.org_no)),
            Row(register.address),
            Row("Kassabeteckning", register.register),
            Row("Tillverkningsnummer", register.manufacturing_no),
            *(Row("Kontrollenhet", unit) for unit in register.units),
            RULE,
            Row("Började", _local(outage.began)),
            Row("Upphörde", _local(outage.ended)) if outage.ended else _write("Upphörde"),
            Row("Orsak enligt kassan", outage.reason or "okänd"),
            Row("Noterat av nr", str(outage.begun_by) if outage.begun_by else "kassan själv"),
            Row("Reservkvitton", str(outage.slips)) if outage.ended else _write("Reservkvitton, antal"),
            Row("Reservkvitton, summa", amount(outage.slips_ore)) if outage.ended else _write("Reservkvitton, summa"),
            _write("Första och sista nummer"),
            _write("Anmält till Skatteverket"),
            _write("Underskrift"),
        ),
    )


def report_to_agency(outage: Outage, register: EpochOpened, today: str) -> str:
    """A draft of the report of an outage (F14). A person checks it, fills in the blanks and sends it without delay.

    A power cut and nothing else need not be reported: the draft says so.
    """
    known: Sequence[tuple[str, str]] = (
        ("Företag", register.company),
        ("Organisationsnummer", _org_no(register.org_no)),
        ("Försäljningsställe", register.address),
        ("Kassabeteckning", register.register),
        ("Kassaregistrets tillverkningsnummer", register.manufacturing_no),
        ("Modell och programversion", f"{register.model} {register.software}"),
        ("Kontrollenhetens tillverkningsnummer", ", ".join(register.units) or BLANK_TEXT),
        ("Avbrottet började", _local(outage.began)),
        ("Avbrottet upphörde", _local(outage.ended) if outage.ended else f"pågår ännu {today}, upphörde: {BLANK_TEXT}"),
        ("Orsak enligt kassan", outage.reason or "okänd"),
        ("Orsak enligt oss", BLANK_TEXT),
        ("Åtgärd", BLANK_TEXT),
        ("Reservkvitton, antal", str(outage.slips) if outage.ended else BLANK_TEXT),
        ("Reservkvitton, summa kronor", amount(outage.slips_ore) if outage.ended else BLANK_TEXT),
        ("Reservkvitton, nummer från och till", BLANK_TEXT),
        ("Kontaktperson och telefon", BLANK_TEXT),
    )
    return "\n".join(
        [
            "UTKAST – anmälan om fel på kassaregister",
            "Till Skatteverket (e-tjänsten eller telefon 010-576 60 60)",
            "",
            *(f"{label}: {value}" for label, value in known),
            "",
            "Under avbrottet har kunderna fått handskrivna, numrerade reservkvitton. De bokförs från papperet och",
            "registreras inte i kassaregistret i efterhand.",
            "",
            "Gällde avbrottet enbart ett strömavbrott behöver det inte anmälas.",
            f"Upprättat {today} från kassans journal. Kontrollera uppgifterna och fyll i luckorna före inlämning.",
            "",
        ]
    )


def _local(utc: str) -> str:
    return local_minute(parse_utc(utc)).replace("T", " ")


def _org_no(digits: str) -> str:
    return f"{digits[:6]}-{digits[6:]}"
