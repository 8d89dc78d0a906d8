"""`oppet journal export` and `oppet books`: files for the tax agency and the bookkeeper, from journals alone.

Both verify the journal first: figures from a journal that is not whole are worse than none. What stands in the files is `fiscal/`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from oppet import __version__
from oppet.base.clock import day_bounds, local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.fiscal.books import sie, vouchers
from oppet.fiscal.export import Period
from oppet.fiscal.export import export as xml_of
from oppet.journal.entry import Entry, body_of, parse
from oppet.journal.kinds import EpochOpened

__all__ = ["BrokenJournalError", "NotADayError", "NothingToBookError", "books", "export"]


class BrokenJournalError(UntrustedError):
    sentence = N_(
        "The journal {file} is not whole: {kind} at till {till}, epoch {epoch}, number {seq}. Run “oppet journal verify”."
    )


class NotADayError(RefusedError):
    sentence = N_("“{text}” is no day. Write it as 2026-11-22.")


class NothingToBookError(RefusedError):
    sentence = N_("No day is closed in {file}: there is no Z report, so there is nothing to book yet.")


class SameJournalError(RefusedError):
    sentence = N_(
        "The journal of till {till}, epoch {epoch}, is named twice: its days would be booked twice. Name it once."
    )


class TwoCompaniesError(RefusedError):
    sentence = N_("The journals belong to two companies ({first} and {second}). Make one file for each.")


class _Entries:
    """A journal's entries, as often as they are asked for."""

    def __init__(self, path: Path) -> None:
        verdict = verify_file(path)
        if (found := verdict.finding) is not None:
            raise BrokenJournalError(file=str(path), kind=found.kind, till=found.till, epoch=found.epoch, seq=found.seq)
        self._path = path

    def __iter__(self) -> Iterator[Entry]:
        with JournalReader(self._path) as reader:
            for _, data in reader.rows():
                assert data is not None, "verified a moment ago"
                yield parse(data)


def _days(first: str, last: str) -> tuple[str, str]:
    for text in (first, last):
        try:
            day_bounds(text, text)
        except ValueError:
            raise NotADayError(text=text) from None
    return day_bounds(first, last)


def export(file: Path, *, skvfs: Path, first_day: str = "", last_day: str = "", by: str = "revision") -> int:
    """Write a journal as the XML of SKVFS 2021:16, all of it or the days asked for.

    Parameters
    ----------
    file
        The journal, or a copy of it. Nothing is written beside it.
    skvfs
        The XML file to write.
    first_day
        The first local day, as 2026-11-22; the journal's first if not given.
    last_day
        The last local day; the journal's last if not given.
    by
        Who exports it: a staff number or a role, never a name.
    """
    entries = _Entries(file)
    first = last = ""
    for entry in entries:
        first, last = first or entry.time, entry.time
    if not first:
        raise NothingToBookError(file=str(file))
    start, end = _days(first_day or local_day(parse_utc(first)), last_day or local_day(parse_utc(last)))
    period = Period(start if first_day else first, end if last_day else max(first, last))
    files.write_pieces(skvfs, xml_of(entries, period, by, utc_text(SystemClock().now())))
    print(f"{skvfs}: {period.start} to {period.end}")
    return 0


def books(journals: tuple[Path, ...], /, *, sie_file: Annotated[Path, Parameter(name="--sie")]) -> int:
    """Write a SIE 4I file with one verification for each Z report, from journals alone.

    Parameters
    ----------
    journals
        The journals of one company's registers.
    sie_file
        The file to write (.si), in CP437 as the format wants.
    """
    made, owner, seen = [], None, set[tuple[str, str, int]]()
    for journal in journals:
        entries = _Entries(journal)
        for entry in entries:
            body = body_of(entry)
            if isinstance(body, EpochOpened):
                if (body.org_no, entry.till, entry.epoch) in seen:
                    raise SameJournalError(till=entry.till, epoch=entry.epoch)
                seen.add((body.org_no, entry.till, entry.epoch))
                if owner is not None and owner.org_no != body.org_no:
                    raise TwoCompaniesError(first=owner.org_no, second=body.org_no)
                owner = owner or body
            break
        made += vouchers(entries)
    if owner is None or not made:
        raise NothingToBookError(file=", ".join(str(journal) for journal in journals) or "–")
    today = local_day(SystemClock().now())
    files.write(
        sie_file, sie(sorted(made, key=lambda v: (v.day, v.register)), owner.company, owner.org_no, today, __version__)
    )
    print(f"{sie_file}: {len(made)} verifications, each adds up to 0.00")
    return 0
