"""What head office does with the entries it keeps, at the command: make the views again, prove them whole, write them to a file.

Both go on beside ingest. `verify` believes no table but the entries themselves and the papers that HQ's own key holds up:
chain, signatures and joints between pieces, of every history of every till. Keeps J9 and R02.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oppet.base.errors import UntrustedError
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.hq_read import Chunk, HqRead, StreamState
from oppet.drivers.hq_rebuild import VIEWS
from oppet.drivers.hq_rebuild import rebuild as made_again
from oppet.drivers.hq_sales import HqSales
from oppet.drivers.keys import load_key
from oppet.drivers.office_pg import OfficeTables
from oppet.drivers.pg import Pool
from oppet.figures.exports import Exports
from oppet.figures.sales import Sales
from oppet.figures.views import Views
from oppet.hq.directory import HqDirectory
from oppet.hq.main import database_of, read_settings
from oppet.journal.chain import WHY, Finding, Owner, check
from oppet.journal.entry import NOTHING, Head
from oppet.sync.messages import KeeperInfo

__all__ = ["check_stream", "export", "rebuild", "verify"]

HERE = KeeperInfo("hq", "hq", "", "0" * 64)  # nobody is told where a command runs
UNTRUSTED = UntrustedError.exit_code
BOOKS = "si"  # the ending of a file of books
Json = Annotated[bool, Parameter(name="--json", negative="")]


def rebuild(settings: Path, *, views: tuple[str, ...] = (), as_json: Json = False) -> int:
    """Throw head office's views away and make them again from its entries, a till after the other, beside ingest.

    Figures are right all the time: each till's change at once, from what they were to what they are. A run that was cut
    off goes on where it was; run it in several processes to share the work. A batch of the very till that is being made
    again waits, and is sent again if that takes long.

    Parameters
    ----------
    settings
        Head office's settings file.
    views
        Which ones; all of them when none is named.
    as_json
        Print one JSON object.
    """
    path = settings.resolve()
    said = read_settings(path)
    chosen = views or VIEWS
    with database_of(said, path.parent) as dsn, _bar("making again", hidden=as_json) as bar:
        run = total = done = epochs = 0
        for step in made_again(dsn, Views().see, chosen):
            total, epochs = total or step.entries_left, max(epochs, step.epochs_left)
            run, done = step.run, total - step.entries_left
            bar(done, total)
    if as_json:
        print(json.dumps({"run": run, "views": sorted(chosen), "entries": total, "epochs": epochs}))
    else:
        print(f"{', '.join(sorted(chosen))}: made again from {total} entries of {epochs} epochs.")
    return 0


def verify(settings: Path, *, store: str = "", as_json: Json = False) -> int:
    """Check every entry head office keeps: chain, signatures, and whose key signed, by HQ's own papers.

    Parameters
    ----------
    settings
        Head office's settings file.
    store
        One store's tills alone.
    as_json
        Print one JSON object.
    """
    path = settings.resolve()
    said = read_settings(path)
    findings: list[tuple[StreamState, Finding]] = []
    entries = 0
    with database_of(said, path.parent) as dsn, _bar("checking", hidden=as_json) as bar:
        pool = Pool(dsn)
        try:
            signer = load_key(path.parent / said.folder / "hq.key")
            directory = HqDirectory(OfficeTables(pool), signer, SystemClock(), lambda: HERE)
            directory.follow()
            read = HqRead(pool)
            states = read.streams(store)
            total = sum(state.head_seq - state.base_seq for state in states)
            for state in states:
                standing = directory.standing(state.till, state.epoch)
                finding = check_stream(read, state, None if standing is None else standing.public_key)
                if finding is not None:
                    findings.append((state, finding))
                entries += state.head_seq - state.base_seq
                bar(entries, total)
        finally:
            pool.close()
    if as_json:
        wrong = [
            {"store": state.store, "till": state.till, "epoch": state.epoch, "branch": state.branch, "kind": finding.kind,
             "seq": finding.seq, "why": finding.why, "sure": finding.sure}
            for state, finding in findings
        ]  # fmt: skip
        print(json.dumps({"histories": len(states), "entries": entries, "wrong": wrong}, ensure_ascii=False))
    else:
        for state, finding in findings:
            place = f"till {state.till}, epoch {state.epoch}" + (
                f", branch {state.branch[:12]}" if state.branch else ""
            )
            print(f"{place}, entry {finding.seq}: {finding.kind}: {finding.why}.")
        print(f"{entries} entries of {len(states)} histories checked; {len(findings)} wrong.")
    return UNTRUSTED if findings else 0


def check_stream(read: HqRead, state: StreamState, public_key: bytes | None) -> Finding | None:
    """The first thing wrong with one history; None for nothing. Without a key nobody's signature is believed."""
    walk = check(
        _rows(read, state),
        _signatures(read, state),
        Owner(state.till, state.epoch, public_key=public_key),
        _base(read, state),
    )
    if walk.finding is not None:
        return walk.finding
    if walk.head.seq < state.head_seq:
        return Finding("truncated", state.till, state.epoch, walk.head.seq + 1, WHY["truncated"], walk.signed_seq)
    return None


def _chunks(read: HqRead, state: StreamState) -> Iterator[Chunk]:
    """What was there when the state was read: ingest goes on."""
    for chunk in read.chunks(state.store, state.stream_id):
        if chunk.first_seq > state.head_seq:
            return
        yield chunk


def _rows(read: HqRead, state: StreamState) -> Iterator[tuple[object, bytes | None]]:
    for chunk in _chunks(read, state):
        yield from zip(range(chunk.first_seq, chunk.last_seq + 1), chunk.entries, strict=True)


def _signatures(read: HqRead, state: StreamState) -> Iterator[tuple[int, bytes]]:
    for chunk in _chunks(read, state):
        yield chunk.last_seq, chunk.signature


def _base(read: HqRead, state: StreamState) -> Head:
    """What the first entry follows on: nothing, or the entry a fork left, as its own first chunk says."""
    if state.base_seq == 0:
        return Head(0, NOTHING)
    first = next(_chunks(read, state), None)
    return Head(state.base_seq, NOTHING if first is None else first.after)


@contextmanager
def _bar(what: str, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for whoever watches; nothing in a pipe."""
    console = Console(file=sys.stderr)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


def export(
    settings: Path,
    file: Path,
    *,
    what: str = "receipts",
    first_day: str = "",
    last_day: str = "",
    store: tuple[str, ...] = (),
    as_json: Json = False,
) -> int:
    """Write receipts, lines, tenders or hours (.csv, .parquet) or the books (.si) of a period to a file.

    Every row begins with the moment its store is complete to; the books say in their text which tills have not reported
    to the end of the period. A file is whole or not there.

    Parameters
    ----------
    settings
        Head office's settings file.
    file
        The file to write. Its ending says the form: .csv, .parquet, or .si for a SIE 4I file.
    what
        receipts, lines, tenders or hours; the books need none.
    first_day
        The first local day, as 2026-11-22; today if not given.
    last_day
        The last local day; today if not given.
    store
        A store's id; give it several times for several stores. All if not given.
    as_json
        Print one JSON object.
    """
    path = settings.resolve()
    said = read_settings(path)
    clock = SystemClock()
    with database_of(said, path.parent) as dsn:
        pool = Pool(dsn)
        try:
            reader, read = HqSales(pool), HqRead(pool)
            exports = Exports(reader, read, Sales(reader, clock), clock)
            told = _write(exports, file, what, (first_day, last_day), store)
        finally:
            pool.close()
    print(
        json.dumps(told, ensure_ascii=False) if as_json else "\n".join(f"{name}: {word}" for name, word in told.items())
    )
    return 0


def _write(
    exports: Exports, file: Path, what: str, days: tuple[str, str], stores: tuple[str, ...]
) -> dict[str, object]:
    first, last = exports.period(*days)
    ending = file.suffix.removeprefix(".").lower()
    told: dict[str, object] = {"file": str(file), "first_day": first, "last_day": last}
    if ending == BOOKS:
        books = exports.books(first, last, stores)
        files.write(file, books.data)
        return told | {
            "vouchers": books.vouchers, "open_tills": list(books.open_tills), "not_booked": list(books.not_booked),
        }  # fmt: skip
    files.write_pieces(file, exports.file(what, ending, first, last, stores))
    return told | {"what": what}
