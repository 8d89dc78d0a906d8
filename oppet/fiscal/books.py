"""Bookkeeping: one voucher for each Z report, from the journal alone, as a SIE 4 import file.

A voucher is counted from the entries that its Z closed, not from the Z: a Z that says something else is refused. Every
row has an event behind it and the rows add up to 0.00 by themselves; there is no row that makes them (R08).
Leaves reserve slips to the office, which books them from the paper, and deposits at the bank, which no till sees.
Keeps B1 (one voucher a Z, 0.00 exactly), B2 (from entries alone), B3 (the cash account moves as the drawer does),
B4 (money without a receipt stands on its own account until a receipt or a person settles it) and B5 (the file's form).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from oppet.base.clock import local_day, parse_utc
from oppet.base.errors import RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.fiscal.tally import Identity, Tally
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import CashMoved, EpochOpened, FloatSet, Receipt, ReportMade
from oppet.payments.means import CASH, MEANS

__all__ = [
    "BAS",
    "Accounts",
    "NoMeansAccountError",
    "NoRateAccountError",
    "ReportDiffersError",
    "Row",
    "Voucher",
    "sie",
    "vouchers",
]


class NoMeansAccountError(RefusedError):
    sentence = N_("The chart of accounts has none for the means of payment {means}. Add one, then make the file again.")


class NoRateAccountError(RefusedError):
    sentence = N_("The chart of accounts has none for the VAT rate {rate} %. Add one, then make the file again.")


class ReportDiffersError(RefusedError):
    sentence = N_("Z {number} of {register} is not what its entries say: nothing is booked. Verify the journal first.")


class Accounts(msgspec.Struct, frozen=True):
    """Which account each thing is booked on. A chain may have its own."""

    means: dict[str, int]
    sales: dict[int, int]  # VAT rate in basis points → account
    vat: dict[int, int]
    pant: int  # deposits owed to whoever brings the bottle back
    rounding: int
    safe: int  # where cash goes that leaves the drawer, and floats come from
    difference: int
    suspense: int
    names: dict[int, str]


BAS = Accounts(
    means={name: means.account for name, means in MEANS.items()},
    sales={2500: 3001, 1200: 3002, 600: 3003, 0: 3004},
    vat={2500: 2611, 1200: 2621, 600: 2631},
    pant=2895,
    rounding=3740,
    safe=1911,
    difference=6991,
    suspense=2999,
    names={
        1510: "Kundfordringar",
        1581: "Kortfordringar",
        1582: "Swishfordringar",
        1583: "Kuponger",
        1689: "Pantkvitton",
        1910: "Kassa",
        1911: "Kassaskåp",
        2421: "Presentkort",
        2611: "Utgående moms 25 %",
        2621: "Utgående moms 12 %",
        2631: "Utgående moms 6 %",
        2895: "Pant, skuld",
        2999: "Betalning utan kvitto, utreds",
        3001: "Försäljning 25 % moms",
        3002: "Försäljning 12 % moms",
        3003: "Försäljning 6 % moms",
        3004: "Försäljning momsfri",
        3740: "Öres- och kronutjämning",
        6991: "Kassadifferenser",
    },
)


class Row(msgspec.Struct, frozen=True):
    account: int
    ore: int  # debit positive


class Voucher(msgspec.Struct, frozen=True):
    day: str  # 2026-11-22: the last sale's
    text: str
    store: str
    register: str
    rows: tuple[Row, ...]


def vouchers(entries: Iterable[Entry], accounts: Accounts = BAS) -> list[Voucher]:
    """One voucher for each Z in one epoch's journal, from its first entry; an open day has none yet.

    Raises NoMeansAccountError, NoRateAccountError and ReportDiffersError.
    """
    epoch: EpochOpened | None = None
    day = _Day(Tally())
    made = []
    for entry in entries:
        body = body_of(entry)
        if type(body) is EpochOpened:
            assert epoch is None, "an epoch opens once"
            epoch = body
        elif type(body) is ReportMade and body.kind == "z":
            assert epoch is not None, "a journal begins with its epoch"
            if body.report != day.tally.report(Identity(epoch.company, epoch.org_no, epoch.register)):
                raise ReportDiffersError(number=body.number, register=epoch.register)
            text = f"Z {body.number} {epoch.register}"
            date = local_day(parse_utc(day.last_sale or entry.time))
            made.append(Voucher(date, text, epoch.store, epoch.register, day.rows(accounts, text)))
            day = _Day(day.tally.close())
        if type(body) is Receipt:
            day.receipt(entry.time, body)
        drawer = day.tally.cash_expected_ore()
        day.tally.count(entry.seq, body)
        if type(body) in {FloatSet, CashMoved}:
            day.from_safe_ore += day.tally.cash_expected_ore() - drawer
    return made


class _Day:
    """What the tally does not keep apart, from one Z to the next."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.drawer_before_ore = tally.cash_expected_ore()
        self.pending_before = tally.pending_ore()
        self.from_safe_ore = 0
        self.pant_ore = 0
        self.last_sale = ""

    def receipt(self, time: str, receipt: Receipt) -> None:
        if receipt.kind == "training":
            return
        self.last_sale = time
        sign = 1 if receipt.kind == "sale" else -1
        self.pant_ore += sign * sum(line.net_ore for line in receipt.lines if line.pant_of and line.vat_rate == 0)

    def rows(self, accounts: Accounts, text: str) -> tuple[Row, ...]:
        tally = self.tally
        pending = tally.pending_ore()
        waiting = {
            means: pending.get(means, 0) - self.pending_before.get(means, 0)
            for means in {*pending, *self.pending_before}
        }
        taken = {means: tally.means.get(means, 0) + waiting.get(means, 0) for means in {*tally.means, *waiting}}
        cash = taken.get(CASH, 0) + self.from_safe_ore + tally.cash_difference_ore
        drawer = tally.cash_expected_ore() - self.drawer_before_ore
        assert cash == drawer, f"{text}: cash {kronor(cash)}, drawer {kronor(drawer)}"  # B3
        if missing := sorted(set(taken) - set(accounts.means)):
            raise NoMeansAccountError(means=missing[0])
        booked = [(accounts.means[means], ore) for means, ore in taken.items()]
        booked += [(accounts.suspense, -ore) for ore in waiting.values()]
        booked += [(accounts.means[CASH], self.from_safe_ore), (accounts.safe, -self.from_safe_ore)]
        booked += [
            (accounts.means[CASH], tally.cash_difference_ore),
            (accounts.difference, -tally.cash_difference_ore),
            (accounts.rounding, -tally.rounding_ore),
            (accounts.pant, -self.pant_ore),
        ]
        for rate, gross in tally.vat_gross.items():
            vat = tally.vat[rate]
            if rate not in accounts.sales or (vat and rate not in accounts.vat):
                raise NoRateAccountError(rate=kronor(rate))
            booked.append((accounts.sales[rate], vat - gross + (self.pant_ore if rate == 0 else 0)))
            if vat:
                booked.append((accounts.vat[rate], -vat))
        sums: dict[int, int] = {}
        for account, ore in booked:
            sums[account] = sums.get(account, 0) + ore
        rows = tuple(Row(account, ore) for account, ore in sorted(sums.items()) if ore)
        assert sum(row.ore for row in rows) == 0, f"{text} does not balance: {rows}"  # B1: our mistake, never a row
        return rows


# --- the file --------------------------------------------------------------------------------------------------------


def sie(made: Sequence[Voucher], company: str, org_no: str, day: str, version: str, accounts: Accounts = BAS) -> bytes:
    """The SIE 4I file: CP437, CRLF. `day` is when it is made: 2026-11-22."""
    nothing = (Row(accounts.means[CASH], 0),)  # a Z without a sale has its voucher too
    used = sorted({row.account for voucher in made for row in voucher.rows or nothing})
    lines = [
        "#FLAGGA 0",
        f"#PROGRAM {_quoted('Öppet')} {_quoted(version)}",
        "#FORMAT PC8",
        f"#GEN {_date(day)}",
        "#SIETYP 4",
        f"#ORGNR {org_no[:6]}-{org_no[6:]}",
        f"#FNAMN {_quoted(company)}",
        *(f"#KONTO {account} {_quoted(accounts.names.get(account, str(account)))}" for account in used),
        '#DIM 20 "Kassa"',  # dimension 1, the cost centre, is the format's own
        *(f"#OBJEKT 1 {_quoted(name)} {_quoted(name)}" for name in sorted({voucher.store for voucher in made})),
        *(f"#OBJEKT 20 {_quoted(name)} {_quoted(name)}" for name in sorted({voucher.register for voucher in made})),
    ]
    for voucher in made:
        where = f"{{1 {_quoted(voucher.store)} 20 {_quoted(voucher.register)}}}"
        lines += [f'#VER "" "" {_date(voucher.day)} {_quoted(voucher.text)}', "{"]
        lines += [f"   #TRANS {row.account} {where} {kronor(row.ore, '.')}" for row in voucher.rows or nothing]
        lines.append("}")
    return "".join(f"{line}\r\n" for line in lines).encode("cp437")


def _date(day: str) -> str:
    return day.replace("-", "")


def _quoted(text: str) -> str:
    """Text as the format has it: printable CP437 on one line. It has no way to write a backslash, so that becomes /."""
    whole = unicodedata.normalize("NFC", text).replace("\\", "/")
    safe = "".join(c if c.isprintable() else " " for c in whole).encode("cp437", "replace").decode("cp437")
    return '"' + safe.replace('"', '\\"') + '"'
