"""What a piece of journal adds to head office's views, on its way into PostgreSQL: rows for COPY, sums for the hours.

The rooms that know what entries mean fill it (`figures/views.py`); this file knows how it is written. Rows are tuples in the
order of COLUMNS, texts made safe by `safe_text`; store and stream, the same in all of them, are put in front here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from oppet.base.clock import local_day, parse_utc
from oppet.journal.entry import Entry

__all__ = [
    "COLUMNS",
    "NULL",
    "AskedTender",
    "HourGroup",
    "HourSale",
    "PathState",
    "Rows",
    "See",
    "copy_bytes",
    "copy_statement",
    "hour_of",
    "insert_lists",
    "insert_statement",
    "safe_text",
]

NULL: Final = "\\N"
LOST_DAY: Final = "1970-01-01"  # of an entry whose time is none
LOST_HOUR: Final = "1970-01-01T00:00:00.000Z"
LONGEST_TEXT = 200

# Behind store_id and stream_id: name and type.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "receipt": {
        "day": "date", "seq": "bigint", "number": "bigint", "time": "timestamptz", "kind": "text", "cashier": "integer",
        "lines": "integer", "total_ore": "bigint", "vat_ore": "bigint", "rounding_ore": "bigint", "saved_ore": "bigint",
        "original_till": "text", "original_epoch": "integer", "original_number": "bigint",
    },
    "line": {
        "day": "date", "seq": "bigint", "line": "integer", "article": "text", "article_group": "text",
        "quantity_milli": "bigint", "unit": "text", "amount_ore": "bigint", "net_ore": "bigint", "vat_rate": "integer",
        "vat_ore": "bigint", "original_line": "integer",
    },
    "tender": {"day": "date", "seq": "bigint", "tender": "integer", "means": "text", "amount_ore": "bigint"},
    "z_report": {
        "day": "date", "seq": "bigint", "number": "bigint", "time": "timestamptz", "receipts": "integer",
        "returns": "integer", "total_ore": "bigint", "sales_ore": "bigint", "returns_ore": "bigint", "vat_ore": "bigint",
        "rounding_ore": "bigint", "cash_difference_ore": "bigint", "grand_net_ore": "bigint", "first_seq": "bigint",
        "last_seq": "bigint",
    },
    "till_case": {
        "day": "date", "seq": "bigint", "time": "timestamptz", "event": "text", "number": "bigint", "about": "text",
        "sale": "bigint", "amount_ore": "bigint",
    },
    "quarantine": {
        "day": "date", "seq": "bigint", "n": "integer", "time": "timestamptz", "kind": "text", "place": "text",
        "reason": "text", "detail": "text", "counted": "text", "total_ore": "bigint",
    },
}  # fmt: skip

_TIME = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z").fullmatch
_UNSAFE = dict.fromkeys((*range(32), 127, ord("\\")), "·")  # a view's text: the exact one is in the entry


@lru_cache(maxsize=65_536)
def safe_text(text: str) -> str:
    """A text from outside as COPY and JSON carry it: bounded, no control character, no backslash."""
    return text[:LONGEST_TEXT].translate(_UNSAFE)


@lru_cache(maxsize=8_192)
def _hour(hour: str) -> tuple[str, str] | None:
    text = f"{hour}:00:00.000Z"
    try:
        return local_day(parse_utc(text)), text
    except (ValueError, OverflowError):
        return None


def hour_of(time: str) -> tuple[str, str] | None:
    """The local day and the hour (when it began, UTC) of an entry's time; None where that is no time."""
    return _hour(time[:13]) if _TIME(time) else None


class HourSale(msgspec.Struct):
    """What one history sold in one hour, as far as this piece says."""

    day: str
    hour: str
    receipts: int = 0
    returns: int = 0
    gross_ore: int = 0
    returns_ore: int = 0
    vat_ore: int = 0
    rounding_ore: int = 0
    saved_ore: int = 0
    lines: int = 0

    def add(self, more: HourSale) -> None:
        for name in self.__struct_fields__[2:]:
            setattr(self, name, getattr(self, name) + getattr(more, name))


class HourGroup(msgspec.Struct):
    """The same by article group and VAT rate."""

    day: str
    hour: str
    article_group: str
    vat_rate: int
    gross_ore: int = 0
    vat_ore: int = 0
    quantity_milli: int = 0
    lines: int = 0

    def add(self, more: HourGroup) -> None:
        for name in self.__struct_fields__[4:]:
            setattr(self, name, getattr(self, name) + getattr(more, name))


class AskedTender(msgspec.Struct):
    """What a piece says of one tender that somebody outside decides. None: this piece does not say."""

    sale: int
    tender: int
    begins: bool  # something was sent or heard here: a row may begin with it
    day: str  # of its first entry here, and so on: they stand once the row has begun
    asked: str
    first_seq: int
    means: str
    path: str
    request: str
    amount_ore: int
    back: bool
    offline: bool
    state: str  # where it stands if it began here
    moves: dict[str, str]  # where it stands, from where it stood before this piece
    changed: str
    last_seq: int
    why: str | None = None
    approved_ore: int | None = None
    risky: bool | None = None
    counted: bool | None = None  # a sale counts it as paid
    reference: str | None = None  # theirs; this and what follows come together
    service_time: str | None = None
    approval: str | None = None
    acquirer: str | None = None
    brand: str | None = None
    card: str | None = None
    how: str | None = None

    def add(self, more: AskedTender) -> None:
        """Put what the next piece says behind."""
        self.begins = self.begins or more.begins
        self.state = more.moves.get(self.state, self.state)
        self.moves = {before: more.moves.get(after, after) for before, after in self.moves.items()}
        self.changed, self.last_seq = more.changed, more.last_seq
        for name in _LATER:
            said = getattr(more, name)
            if said is not None:
                setattr(self, name, said)


_LATER = AskedTender.__struct_fields__[AskedTender.__struct_fields__.index("why") :]


class PathState(msgspec.Struct):
    """How a till's way of paying last said it works."""

    path: str
    means: str
    state: str
    why: str
    since: str
    seq: int

    def add(self, more: PathState) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(more, name))


class Obeyed(msgspec.Struct):
    """A till's last word on what it runs, charges, waits for or refuses."""

    subject: str
    said: str  # the body, as JSON
    at: str
    seq: int

    def add(self, more: Obeyed) -> None:
        self.said, self.at, self.seq = more.said, more.at, more.seq


class Rows:
    """Everything one piece of one history adds."""

    __slots__ = (
        "asked_tender",
        "hour_group",
        "hour_sale",
        "last_number",
        "line",
        "obeyed",
        "path_state",
        "quarantine",
        "receipt",
        "tender",
        "till_case",
        "z_report",
    )

    def __init__(self, last_number: int = 0) -> None:
        self.last_number = last_number  # of the history's receipts, before and then after
        self.receipt: list[tuple[object, ...]] = []
        self.line: list[tuple[object, ...]] = []
        self.tender: list[tuple[object, ...]] = []
        self.z_report: list[tuple[object, ...]] = []
        self.till_case: list[tuple[object, ...]] = []
        self.quarantine: list[tuple[object, ...]] = []
        self.hour_sale: dict[str, HourSale] = {}
        self.hour_group: dict[tuple[str, str, int], HourGroup] = {}
        self.asked_tender: dict[tuple[int, int], AskedTender] = {}
        self.path_state: dict[str, PathState] = {}
        self.obeyed: dict[str, Obeyed] = {}

    def add(self, more: Rows) -> None:
        """Put what comes behind behind."""
        self.last_number = more.last_number
        for table in COLUMNS:
            getattr(self, table).extend(getattr(more, table))
        for hour, sale in more.hour_sale.items():
            if (before := self.hour_sale.setdefault(hour, sale)) is not sale:
                before.add(sale)
        for place, group in more.hour_group.items():
            if (known := self.hour_group.setdefault(place, group)) is not group:
                known.add(group)
        for key, asked in more.asked_tender.items():
            if (begun := self.asked_tender.setdefault(key, asked)) is not asked:
                begun.add(asked)
        for name, path in more.path_state.items():
            if (seen := self.path_state.setdefault(name, path)) is not path:
                seen.add(path)
        for subject, word in more.obeyed.items():
            if (before_it := self.obeyed.setdefault(subject, word)) is not word:
                before_it.add(word)


# Entries whose chain was believed, our clock when they came, the history's last receipt number before them.
See = Callable[[Sequence[Entry], int, int], Rows]


def copy_statement(table: str) -> str:
    """COPY of one table, columns named: a column added later has its default."""
    return f"COPY {table} (store_id, stream_id, {', '.join(COLUMNS[table])}) FROM STDIN"


def copy_bytes(table: str, store: str, stream_id: int, rows: Sequence[tuple[object, ...]]) -> bytes:
    """The rows as COPY reads them. `store` is a Name: letters, digits, hyphens."""
    template = f"{store}\t{stream_id}" + "\t%s" * len(COLUMNS[table]) + "\n"
    return "".join([template % row for row in rows]).encode()


def insert_statement(table: str) -> str:
    """The same rows as one statement: for a few of them, because it can wait in line with others and COPY cannot."""
    columns = COLUMNS[table]
    lists = ", ".join(f"%({name})s::{kind}[]" for name, kind in columns.items())
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table} (store_id, stream_id, {names}) "  # noqa: S608 - names of ours
        f"SELECT %(store)s, %(stream_id)s, * FROM unnest({lists})"
    )


def insert_lists(table: str, rows: Sequence[tuple[object, ...]]) -> dict[str, str]:
    """The rows' columns as PostgreSQL writes arrays."""
    found = {}
    for (name, kind), column in zip(COLUMNS[table].items(), zip(*rows, strict=True), strict=True):
        texts = [_quoted(str(value)) for value in column] if kind == "text" else map(str, column)
        found[name] = "{" + ",".join(texts).replace(NULL, "NULL") + "}"
    return found


def _quoted(text: str) -> str:
    """One text of an array; it holds no backslash (`safe_text`)."""
    if text == NULL:
        return text
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
