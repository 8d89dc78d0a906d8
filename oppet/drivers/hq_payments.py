"""What head office keeps and asks about payments: tenders, ways of paying, settlement files, differences that were closed.

Statements are in sql/hq_payments.sql; what the rows mean together is `figures/reconcile.py`'s. A settlement file is taken in by one
transaction, so that of a bad one nothing is left and of the same one nothing is added (R13). Every method raises DatabaseAwayError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers.hq_rows import safe_text
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool
from oppet.drivers.settlement_files import REFUSED, Settlement
from oppet.payments.tender import (
    ABORTING,
    APPROVED,
    ASKED,
    AT_RISK,
    PARTIAL,
    REVERSAL_FAILED,
    REVERSAL_UNKNOWN,
    REVERSING,
    UNKNOWN,
)

__all__ = [
    "OPEN", "REFUSED", "AtRisk", "Closed", "DaySum", "FileRow", "HqPayments", "Ours", "PathRow", "SaidOtherwiseError", "Sides",
    "TakenIn", "TheirSum", "Theirs",
]  # fmt: skip

OPEN: Final = (ASKED, ABORTING, UNKNOWN, REVERSING, REVERSAL_UNKNOWN)
MOST = 20_000  # tenders or movements that are put side by side one by one
MOST_OPEN = 500
MOST_FILES = 50
EXPORT_ROWS = 2_000
_sql = statements("hq_payments")


class SaidOtherwiseError(RefusedError):
    sentence = N_(
        "{file}, line {line}: the file {before} said something else of this movement. Nothing of the file was taken in."
    )


class Ours(msgspec.Struct, frozen=True):
    """One tender as head office has it (sql/hq_payments.sql)."""

    store: str
    till: str
    epoch: int
    branch: str
    sale: int
    tender: int
    day: str
    asked: int  # ms since 1970
    first_seq: int
    means: str
    path: str
    request: str
    amount_ore: int
    back: bool
    offline: bool
    state: str
    changed: int
    last_seq: int
    why: str
    approved_ore: int
    risky: bool
    counted: bool
    reference: str
    approval: str
    card: str

    @property
    def signed_ore(self) -> int:
        return -self.approved_ore if self.back else self.approved_ore

    @property
    def expects_ore(self) -> int | None:
        """What should have moved to us; None while nobody knows."""
        if self.state in (APPROVED, PARTIAL, AT_RISK, REVERSAL_FAILED):
            return self.signed_ore
        return None if self.state in OPEN else 0


class Theirs(msgspec.Struct, frozen=True):
    """One movement of a settlement file."""

    service: str
    line: str
    file: str  # its name
    at: int  # the line in it
    means: str
    kind: str  # payment | refund | reversal
    day: str
    time: int
    reference: str  # theirs, of this movement
    original: str  # of a refund or reversal: the payment's
    request: str  # ours, where they repeat it
    amount_ore: int  # negative: back to the customer
    card: str
    approval: str
    status: str  # settled | refused
    message: str

    @property
    def moved_ore(self) -> int:
        return 0 if self.status == REFUSED else self.amount_ore


class PathRow(msgspec.Struct, frozen=True):
    """How a till's way of paying last said it works."""

    store: str
    till: str
    epoch: int
    path: str
    means: str
    state: str
    why: str
    since: int
    heard: int | None  # our clock, when the till last came


class DaySum(msgspec.Struct, frozen=True):
    day: str
    means: str
    count: int
    ore: int
    plain: int
    plain_ore: int


class TheirSum(msgspec.Struct, frozen=True):
    day: str
    means: str
    service: str
    count: int
    ore: int


class AtRisk(msgspec.Struct, frozen=True):
    store: str
    till: str
    means: str
    count: int
    ore: int


class FileRow(msgspec.Struct, frozen=True):
    name: str
    service: str
    means: str
    lines: int
    sum_ore: int
    until: int | None
    read: int


class Closed(msgspec.Struct, frozen=True):
    """A difference that two people closed."""

    key: str
    about: str
    amount_ore: int
    how: str
    note: str
    asked_by: int
    approved_by: int
    closed: int


class TakenIn(msgspec.Struct, frozen=True):
    """What came of a file."""

    file: str
    service: str
    means: str
    lines: int
    new: int  # lines that no file before had said
    known: str = ""  # the name under which these very bytes were read before


class Sides(NamedTuple):
    """Everything that a reconciliation of some days is made of."""

    sums: list[DaySum]
    their_sums: list[TheirSum]
    ours: list[Ours]  # but for what is plainly one of ours and one of theirs
    theirs: list[Theirs]
    told_until: dict[str, int]
    cut: bool  # more differed than is put side by side one by one


class HqPayments:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def paths(self, store: str = "") -> list[PathRow]:
        return [PathRow(*row) for row in self._rows(_sql["paths"], store=store)]

    def open_tenders(self, store: str = "") -> list[Ours]:
        """What nobody knows yet, the oldest first."""
        return [Ours(*row) for row in self._rows(_ours("where_open"), store=store, most=MOST_OPEN)]

    def tender(self, store: str, till: str, epoch: int, sale: int, tender: int) -> list[Ours]:
        """One for each history that has it."""
        asked = {"store": store, "till": till, "epoch": epoch, "sale": sale, "tender": tender, "most": 20}
        return [Ours(*row) for row in self._rows(_ours("where_one"), **asked)]

    def at_risk(self, day: str) -> list[AtRisk]:
        return [AtRisk(*row) for row in self._rows(_sql["at_risk"], day=date.fromisoformat(day))]

    def files(self) -> list[FileRow]:
        return [FileRow(*row) for row in self._rows(_sql["files"], most=MOST_FILES)]

    def sides(self, first: str, last: str) -> Sides:
        """The days from first to last, both sides, in one picture."""
        days = {"first": date.fromisoformat(first), "last": date.fromisoformat(last), "most": MOST}
        with self._pool.transaction() as asked:
            execute = asked.connection.execute
            execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            sums = [DaySum(*row) for row in execute(f"{_sql['with_plain']} {_sql['sums']}".encode(), days)]
            their_sums = [TheirSum(*row) for row in execute(_sql["their_sums"], days)]
            ours = [Ours(*row) for row in execute(f"{_sql['with_plain']} {_ours('where_left')}".encode(), days)]
            left = f"{_sql['with_plain']} {_sql['theirs']} {_sql['lines_left']}".encode()
            theirs = [Theirs(*row) for row in execute(left, days)]
            cut = len(ours) >= MOST or len(theirs) >= MOST
            named = {line.reference for line in theirs} | {line.original for line in theirs}
            more = {"references": sorted(named - {""} - {one.reference for one in ours}), "most": MOST}
            ours += [Ours(*row) for row in execute(_ours("where_named").encode(), more)]
            names = {
                "references": sorted({one.reference for one in ours} - {""}),
                "requests": sorted({one.request for one in ours} - {""}),
            }
            theirs += [
                Theirs(*row) for row in execute(f"{_sql['theirs']} {_sql['lines_named']}".encode(), days | names)
            ]
            told: dict[str, int] = dict(execute(_sql["told_until"]).fetchall())
        once = {(line.service, line.line): line for line in theirs}
        mine = {(one.store, one.till, one.epoch, one.branch, one.sale, one.tender): one for one in ours}
        return Sides(sums, their_sums, list(mine.values()), list(once.values()), told, cut)

    def take_in(self, settlement: Settlement, now: int) -> TakenIn:
        """Keep a file's movements, all or none; the same bytes again add nothing. Raises SaidOtherwiseError."""
        facts = {name: getattr(settlement, name) for name in ("digest", "name", "service", "means", "sum_ore")}
        facts |= {"lines": len(settlement.lines), "until": settlement.until or None, "read": now}
        facts["rows"] = msgspec.json.encode(
            [
                msgspec.structs.replace(
                    line,
                    reference=safe_text(line.reference),
                    original=safe_text(line.original),
                    request=safe_text(line.request),
                )
                for line in settlement.lines
            ]
        ).decode()
        told = TakenIn(settlement.name, settlement.service, settlement.means, len(settlement.lines), 0)
        with self._pool.transaction() as asked:
            execute = asked.connection.execute
            execute(_sql["lock_settlement"])
            known = execute(_sql["known_file"], facts).fetchone()
            if known is not None:
                return msgspec.structs.replace(told, known=known[0])
            other = execute(_sql["same_lines"], facts).fetchone()
            if other is not None:
                raise SaidOtherwiseError(file=settlement.name, line=other[0], before=other[1])
            execute(_sql["add_file"], facts)
            return msgspec.structs.replace(told, new=execute(_sql["add_lines"], facts).rowcount)

    def closed(self, keys: Sequence[str]) -> dict[str, Closed]:
        return {row[0]: Closed(*row) for row in self._rows(_sql["closed"], keys=list(keys))}

    def export(self, stores: Sequence[str], days: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """One store and day after the other, in pieces."""
        for store in stores:
            for day in days:
                with self._pool.transaction() as asked, asked.connection.cursor(name="export") as cursor:
                    cursor.execute(_sql["export"], {"store": store, "day": date.fromisoformat(day)})
                    while rows := cursor.fetchmany(EXPORT_ROWS):
                        yield rows

    def _rows(self, sql: str, **asked: object) -> list[tuple[Any, ...]]:
        with self._pool.transaction() as transaction:
            return transaction.connection.execute(sql.encode(), asked).fetchall()


def _ours(where: str) -> str:
    return f"{_sql['ours']} {_sql[where]}"
