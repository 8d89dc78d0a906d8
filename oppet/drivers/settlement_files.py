"""Settlement files of acquirers and Swish reports, as bytes: read whole or not at all, the line and column of what is wrong named.

Only the columns that are named here are read: a payer's number or name, which Swish's own reports have, is passed over and goes
nowhere (law 7), and of a card no more than four digits are accepted. Keeps R13's “nothing half taken in”.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from oppet.base.clock import local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.drivers.files import FileTroubleError, folder, read, write

__all__ = [
    "LARGEST", "REFUSED", "BadSettlementError", "Moved", "NotASettlementError", "Settlement", "Waiting", "parse", "put_aside",
    "read_settlement", "waiting",
]  # fmt: skip

LARGEST = 256 << 20
MOST_LINES = 2_000_000
LONGEST_CELL = 200
QUIET_S = 2.0  # a file that was written to since may still be growing
READ, REFUSED = "read", "refused"  # where files go; the second is a movement's state too
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z").match


class NotASettlementError(RefusedError):
    sentence = N_("{file} is no settlement file that head office knows: {why}. Nothing of it was taken in.")


class BadSettlementError(RefusedError):
    sentence = N_("{file}, line {line}, column “{column}”: {why}. Nothing of the file was taken in.")


class Moved(msgspec.Struct, frozen=True):
    """One movement, as the file says it."""

    line: str
    at: int
    kind: str
    day: str
    time: str  # UTC
    reference: str
    original: str
    request: str
    amount_ore: int
    card: str
    approval: str
    status: str
    message: str


class Settlement(msgspec.Struct, frozen=True):
    digest: str
    name: str
    service: str
    means: str
    until: str  # UTC of its latest movement; "" for none
    lines: tuple[Moved, ...]

    @property
    def sum_ore(self) -> int:
        return sum(line.amount_ore for line in self.lines if line.status == "settled")


class Waiting(NamedTuple):
    """A file that lies in the folder."""

    path: Path
    service: str  # its folder's name, "" for none


class _WrongError(Exception):
    """Where a line is wrong and why."""


Cell = Callable[[str], str]


def _wrong(column: str, why: str) -> _WrongError:
    return _WrongError(column, why)


def _in(column: str, row: Mapping[str, str], words: Mapping[str, str]) -> str:
    found = words.get(row[column])
    if found is None:
        raise _wrong(column, N_("it is none of the words that may stand there"))
    return found


def _name(column: str, row: Mapping[str, str]) -> str:
    if not row[column]:
        raise _wrong(column, N_("it is empty"))
    return row[column]


def _ore(row: Mapping[str, str]) -> int:
    text, sign = row["amount_ore"], row["sign"]
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise _wrong("amount_ore", N_("it is no whole number of öre"))
    if sign not in ("+", "-"):
        raise _wrong("sign", N_("it is neither + nor -"))
    return int(text) if sign == "+" else -int(text)


def _utc(column: str, row: Mapping[str, str]) -> str:
    """Either writing of a moment: 2026-11-22T10:00:00.000Z, or Swish's with +0000."""
    text = row[column]
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}", text):
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
            moment -= moment.utcoffset() or timedelta(0)
            text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
        text = utc_text(parse_utc(text))
        local_day(parse_utc(text))
    except (ValueError, OverflowError):
        raise _wrong(column, N_("it is no time")) from None
    return text


def _card(row: Mapping[str, str], at: int) -> Moved:
    last4 = row["card_last4"]
    if not re.fullmatch(r"(\d{4})?", last4, re.ASCII):
        raise _wrong("card_last4", N_("it is not the last four digits"))
    kinds = {"payment": "payment", "refund": "refund", "reversal": "reversal"}
    kind, time = _in("type", row, kinds), _utc("time", row)
    original = _name("original", row) if kind == "reversal" else row["original"]
    return Moved(
        _name("acquirer_transaction", row), at, kind, local_day(parse_utc(time)), time, _name("poi_transaction", row), original, "",
        _ore(row), last4, row["approval"], _in("status", row, {"settled": "settled", "refused": "refused"}), "",
    )  # fmt: skip


def _swish(row: Mapping[str, str], at: int) -> Moved:
    if row["currency"] != "SEK":
        raise _wrong("currency", N_("it is not SEK"))
    kind, time = _in("type", row, {"payment": "payment", "plain": "payment", "refund": "refund"}), _utc("time", row)
    original = _name("original", row) if kind == "refund" else row["original"]
    reference = _name("reference", row)
    return Moved(
        reference, at, kind, local_day(parse_utc(time)), time, reference, original, row["instruction"], _ore(row), "", "", "settled",
        row["message"],
    )  # fmt: skip


class _Format(NamedTuple):
    means: str
    columns: tuple[str, ...]  # that are read; a file may have others, which are passed over
    line: Callable[[Mapping[str, str], int], Moved]


FORMATS = (
    _Format(
        "card",
        ("poi_transaction", "acquirer_transaction", "original", "time", "type", "sign", "amount_ore", "card_last4", "approval", "status"),
        _card,
    ),
    _Format(
        "swish",
        ("time", "type", "sign", "amount_ore", "currency", "reference", "instruction", "original", "message"),
        _swish,
    ),
)  # fmt: skip


def parse(name: str, data: bytes, service: str = "") -> Settlement:
    """A file's bytes as movements. Raises NotASettlementError, BadSettlementError."""
    file = clip(name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotASettlementError(file=file, why=N_("it is not text in UTF-8")) from None
    rows = _rows(file, text)
    header = next(rows, (1, []))[1]
    form = next((form for form in FORMATS if set(form.columns) <= set(header)), None)
    if form is None:
        raise NotASettlementError(file=file, why=N_("its first line names other columns"))
    if len(set(header)) != len(header):
        raise NotASettlementError(file=file, why=N_("its first line names a column twice"))
    places = {column: header.index(column) for column in form.columns}
    lines: dict[str, Moved] = {}
    for at, cells in rows:
        if len(cells) != len(header):
            column = header[min(len(cells), len(header) - 1)]
            why = N_("the line has another number of columns than the first")
            raise BadSettlementError(file=file, line=at, column=column, why=why)
        row = {column: cells[place].strip() for column, place in places.items()}
        try:
            moved = form.line(_bounded(row), at)
            if moved.line in lines:
                raise _wrong(_id_column(form), N_("it stands in the file twice"))
        except _WrongError as wrong:
            raise BadSettlementError(file=file, line=at, column=wrong.args[0], why=wrong.args[1]) from None
        lines[moved.line] = moved
    until = max((line.time for line in lines.values()), default="")
    return Settlement(sha256(data).hexdigest(), file, service or form.means, form.means, until, tuple(lines.values()))


def _id_column(form: _Format) -> str:
    return "acquirer_transaction" if form.means == "card" else "reference"


def _bounded(row: dict[str, str]) -> dict[str, str]:
    for column, text in row.items():
        if len(text) > LONGEST_CELL or not text.isprintable():
            raise _wrong(column, N_("it is too long, or no text"))
    return row


def _rows(file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise BadSettlementError(
                file=file, line=reader.line_num, column="–", why=N_("it is no line of a CSV file")
            ) from None
        if reader.line_num > MOST_LINES:
            raise NotASettlementError(file=file, why=N_("it has too many lines"))
        if cells:
            yield reader.line_num, cells


def read_settlement(path: Path, service: str = "") -> Settlement:
    """Raises FileMissingError, FileTroubleError, NotASettlementError, BadSettlementError."""
    return parse(path.name, read(path, LARGEST), service)


def waiting(place: Path, quiet_s: float = QUIET_S) -> list[Waiting]:
    """What lies in the folder and in folders of its own for each service, by name, and is not being written any more.

    Raises FileTroubleError.
    """
    folder(place)
    before = time.time() - quiet_s
    try:
        found = [Waiting(path, "") for path in place.iterdir() if _is_file(path, before)]
        for inside in place.iterdir():
            if (
                inside.is_dir()
                and not inside.is_symlink()
                and inside.name not in (READ, REFUSED)
                and _NAME(inside.name)
            ):
                found += [Waiting(path, inside.name) for path in inside.iterdir() if _is_file(path, before)]
    except OSError as error:
        raise FileTroubleError(file=str(place), reason=error.strerror or "unreadable") from error
    return sorted(found, key=lambda one: (one.service, one.path.name))


def _is_file(path: Path, before: float) -> bool:
    if path.suffix != ".csv" or path.name.startswith(".") or path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_mtime <= before


def put_aside(one: Waiting, why: str = "") -> Path:
    """Move a file that was read or refused out of the way; beside one that was refused stands why. Raises FileTroubleError."""
    place = folder(one.path.parent / (REFUSED if why else READ))
    target = place / one.path.name
    count = 1
    while target.exists():
        count += 1
        target = place / f"{one.path.stem}-{count}{one.path.suffix}"
    if why:
        write(target.with_name(target.name + ".why.txt"), (why + "\n").encode())
    try:
        os.rename(one.path, target)  # noqa: PTH104 - as its own word for “moved or not at all”
    except OSError as error:
        raise FileTroubleError(file=str(one.path), reason=error.strerror or "not movable") from error
    return target
