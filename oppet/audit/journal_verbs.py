"""`oppet journal verify` and `oppet journal show`: what an auditor asks a journal, without trusting the till.

Verifying needs the file and the public key; without a key it uses the one the file states, and says what that is worth.
The judging is `journal/chain.py`'s, the reading `drivers/journal_reader.py`'s. Keeps J7, J9 and J10.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import structs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.drivers.journal_reader import JournalReader, Verdict, first_difference, verify_file
from oppet.fiscal.series import SENTENCES, Series
from oppet.fiscal.series import Finding as Wrong
from oppet.journal.chain import UNREADABLE, WHY, Finding, Row
from oppet.journal.entry import Entry, Head, body_of, parse

__all__ = ["NotAKeyError", "NotAnAnchorError", "show", "verify"]

UNTRUSTED = 2  # the exit code of a journal with something wrong in it
DIGEST = 64
LONGEST_LINE = 2000
MOST_SHOWN = 20

AsJson = Annotated[bool, Parameter(name="--json", negative="")]


class NotAKeyError(RefusedError):
    sentence = N_("“{text}” is no public key: write its 64 hex digits, or the name of a file that holds them.")


class NotAnAnchorError(RefusedError):
    sentence = N_("“{text}” is no anchor: write an entry's number, a colon and its digest of 64 hex digits.")


def verify(
    file: Path,
    *,
    key: str = "",
    anchor: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    other: Annotated[Path | None, Parameter(name="--with")] = None,
    chain_only: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Check a copy of a journal: every link, every signature, every number; name the first thing wrong.

    Parameters
    ----------
    file
        The journal, or a copy of it; a write-ahead log copied beside it (-wal) is read too. Nothing is written.
    key
        The till's public key as 64 hex digits, or a file that holds them. Without it the key the file itself states is
        used, which proves only that the file agrees with itself.
    anchor
        NUMBER:DIGEST of an entry seen before, on a receipt or at a keeper; may be given several times.
    other
        Another copy of the same journal: is one the beginning of the other, or do they part?
    chain_only
        Leave out what entries say: receipt numbers without gap or repeat, codes given for that very receipt, one copy,
        sums, X and Z reports reckoned again.
    as_json
        Print one JSON object.
    """
    public_key = _key(key) if key else None
    wrong: list[Wrong] = []
    anchors = [_anchor(text) for text in anchor]
    with _progress(hidden=as_json) as progress:
        verdict = verify_file(file, public_key, anchors, progress=progress)
        second = verify_file(other, public_key, (), progress=progress) if other and not verdict.finding else None
        blamed, finding = file, verdict.finding
        if other and second:
            blamed, finding = other, second.finding or _compare(file, verdict, other, second)
        if not (chain_only or finding):
            wrong = _numbers(file, verdict.entries, progress)
    notes = _notes(verdict, second, given=public_key is not None)
    if as_json:
        told = _as_json(blamed, verdict, finding, notes)
        print(json.dumps(told | {"numbers": [structs.asdict(one) for one in wrong]}, ensure_ascii=False))
    else:
        print(_as_text(blamed, verdict, finding, notes))
        for one in wrong[:MOST_SHOWN]:
            print(SENTENCES[one.what].format(**structs.asdict(one)))
        if len(wrong) > MOST_SHOWN:
            print(f"… and {len(wrong) - MOST_SHOWN} more.")
    return UNTRUSTED if finding or wrong else 0


def _numbers(file: Path, total: int, progress: Callable[[int, int], None]) -> list[Wrong]:
    """What the entries of a whole chain say that cannot be: `fiscal/series.py` judges, this only reads."""
    series = Series()
    with JournalReader(file) as reader:
        for place, (_, data) in enumerate(reader.rows(), 1):
            assert data is not None, "the chain was whole a moment ago"
            entry = parse(data)
            series.count(entry.seq, body_of(entry))
            if place % 50_000 == 0:
                progress(place, total)
    return series.findings


def show(
    file: Path,
    *,
    first: Annotated[int, Parameter(name="--from")] = 1,
    last: Annotated[int | None, Parameter(name="--to")] = None,
    kind: str = "",
    as_json: AsJson = False,
) -> int:
    """Print a journal's entries, one a line, as they stand; what is damaged is shown too and marked.

    Parameters
    ----------
    file
        The journal, or a copy of it.
    first
        The first number.
    last
        The last number; to the end if not given.
    kind
        Only entries of this kind, such as receipt.
    as_json
        Print the exact bytes of each entry, which are JSON.
    """
    with JournalReader(file) as reader:
        for row in reader.rows(first):
            place, data = row
            if isinstance(place, int) and last is not None and place > last:
                break
            entry = _entry(row)
            if kind and entry is not None and entry.kind != kind:
                continue
            if entry is None or data is None:
                _damaged(row, as_json=as_json)
            elif as_json:
                print(data.decode("utf-8", errors="replace"))
            else:
                mark = "" if entry.seq == place else f"  ! {WHY['number']}: {entry.seq}"
                body = bytes(entry.body).decode("utf-8", errors="replace")
                line = f"{place:>9}  {clip(entry.time, 24)}  {clip(entry.kind):<20}  {clip(body, LONGEST_LINE)}{mark}"
                print(line)
    return 0


def _damaged(row: Row, *, as_json: bool) -> None:
    place, data = row
    why = WHY["unreadable" if data is not None else "unreadable file" if place is None else "unreadable size"]
    raw = clip((data or b"")[:LONGEST_LINE].decode("utf-8", errors="replace"), LONGEST_LINE)
    if as_json:
        print(json.dumps({"place": place if isinstance(place, int) else None, "damaged": why, "raw": raw}))
    else:
        print(f"{clip(str(place)) if place is not None else '?':>9}  ! {why}  {raw}")


def _entry(row: Row) -> Entry | None:
    try:
        return None if row[1] is None else parse(row[1])
    except UNREADABLE:
        return None


def _compare(file: Path, verdict: Verdict, other: Path, second: Verdict) -> Finding | None:
    """Two whole chains: the same journal, one perhaps longer, or the place where they part."""
    assert verdict.owner is not None
    till, epoch = verdict.owner.till, verdict.owner.epoch
    if second.owner is None or (second.owner.till, second.owner.epoch) != (till, epoch):
        return Finding("cloned", till, epoch, 1, WHY["cloned"], 0)
    with JournalReader(file) as one, JournalReader(other) as two:
        seq = first_difference(one, two, min(verdict.head.seq, second.head.seq))
    if seq is None:
        return None
    return Finding("forked", till, epoch, seq, WHY["forked files"], min(verdict.signed_seq, seq - 1))


def _notes(verdict: Verdict, second: Verdict | None, *, given: bool) -> list[str]:
    notes = []
    if not given:
        notes.append(
            "The key was taken from the file itself: this proves that the file agrees with itself, not whose it is."
        )
    if not verdict.finding and verdict.head.seq > verdict.signed_seq:
        first, last = verdict.signed_seq + 1, verdict.head.seq
        notes.append(f"Entries {first} to {last} are chained and not signed yet: they could have been cut off unseen.")
    if second and not second.finding and second.head.seq != verdict.head.seq:
        longer = "other" if second.head.seq > verdict.head.seq else "first"
        apart = abs(second.head.seq - verdict.head.seq)
        notes.append(f"The {longer} file goes on for {apart} entries more.")
    return notes


def _as_json(file: Path, verdict: Verdict, finding: Finding | None, notes: list[str]) -> dict[str, object]:
    return {
        "file": str(file),
        "till": verdict.owner.till if verdict.owner else None,
        "epoch": verdict.owner.epoch if verdict.owner else None,
        "entries": verdict.entries,
        "signatures": verdict.signatures,
        "signed": verdict.signed_seq,
        "head": {"seq": verdict.head.seq, "digest": verdict.head.digest},
        "finding": None
        if finding is None
        else {
            "kind": finding.kind,
            "till": finding.till,
            "epoch": finding.epoch,
            "seq": finding.seq,
            "why": finding.why,
            "sure": finding.sure,
        },
        "notes": notes,
    }


def _as_text(file: Path, verdict: Verdict, finding: Finding | None, notes: list[str]) -> str:
    lines = []
    if finding is not None:
        lines.append(f"{clip(str(file), 200)}: {finding.kind}.")
        lines.append(f"Till {clip(finding.till)}, epoch {finding.epoch}, entry {finding.seq}: {finding.why}.")
        sure = f"Entries 1 to {finding.sure} are whole: a good signature covers them."
        lines.append(sure if finding.sure else "No entry before it is covered by a good signature.")
    elif verdict.owner is not None:
        whose = f"till {clip(verdict.owner.till)}, epoch {verdict.owner.epoch}"
        lines.append(f"{clip(str(file), 200)}: whole, {whose}.")
        lines.append(f"{verdict.entries} entries, {verdict.signatures} signatures, every link and signature good.")
        lines.append(f"Head {verdict.head.seq}:{verdict.head.digest}")
    else:
        lines.append(f"{clip(str(file), 200)}: an empty journal; nothing was ever written in it.")
    return "\n".join([*lines, *notes])


def _key(text: str) -> bytes:
    hexadecimal = text
    if len(text) != DIGEST:
        try:
            with Path(text).open("rb") as file:
                hexadecimal = file.read(DIGEST + 2).decode("ascii").strip()
        except (OSError, ValueError):
            raise NotAKeyError(text=text) from None
    try:
        key = bytes.fromhex(hexadecimal)
    except ValueError:
        raise NotAKeyError(text=text) from None
    if len(key) * 2 != DIGEST:
        raise NotAKeyError(text=text)
    return key


def _anchor(text: str) -> Head:
    seq, _, digest = text.partition(":")
    fits = seq.isascii() and seq.isdecimal() and 0 < len(seq) < 19 and len(digest) == DIGEST
    if not fits or set(digest.lower()) - set("0123456789abcdef"):
        raise NotAnAnchorError(text=text)
    return Head(int(seq), digest.lower())


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for whoever watches; nothing in a pipe."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task("checking", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell
