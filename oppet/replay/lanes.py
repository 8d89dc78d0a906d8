"""One number, several lanes: the log's receipts taken apart again.

The source gave every lane the same number, so two customers' receipts may stand under one. Each lane counted its own
lines from 1, in its own time: following the line numbers, and of several candidates the one nearest in time, each
line finds its receipt. Whether a receipt was put together rightly is shown by its adding up to nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from oppet.replay.source import LogLine

__all__ = ["by_number", "parts", "sum_cents"]

COUNTED: Final = frozenset("IDTA")

NOBODY: Final = ("0", "478")  # a receipt without a member is renumbered to these when it is paid
SET_BACK_MS: Final = 20 * 60_000  # so far a lane's clock was set back in the middle of a receipt
STRANGER: Final = 10**7  # between two members' receipts lies more than any time of day
EARLIER: Final = 30 * 60_000  # nearer than that in the right order is likelier than any clock set back


@dataclass(slots=True)
class _Open:
    rows: list[LogLine] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.rows[-1].line


def by_number(rows: Iterable[LogLine]) -> dict[str, list[LogLine]]:
    """The lines of each receipt number, in the order of the numbers' first appearance."""
    found: dict[str, list[LogLine]] = defaultdict(list)
    for row in rows:
        found[row.receipt].append(row)
    return dict(found)


def parts(rows: Sequence[LogLine]) -> list[tuple[LogLine, ...]]:
    """Take one number's lines apart into receipts, each in line order, the earliest first.

    A line that is missing in the source does not tear its receipt in two: what follows it is joined again, where only
    one receipt can be meant.
    """
    lines: dict[int, list[LogLine]] = defaultdict(list)
    for row in rows:
        lines[row.line].append(row)
    opened: list[_Open] = []
    for number in sorted(lines):
        left = lines[number]
        for missing in (1, 2):
            left = _follow(left, [part for part in opened if part.last == number - missing])
        opened += [_Open([row]) for row in left]
    found = _exchanged([part.rows for part in opened])
    found.sort(key=lambda part: (part[0].time, part[0].member))
    return [tuple(part) for part in found]


def _follow(rows: Sequence[LogLine], candidates: Sequence[_Open]) -> list[LogLine]:
    """Give each row to the receipt it fits best; what fits none is given back."""
    pairs = sorted(
        (distance, i, j)
        for i, row in enumerate(rows)
        for j, part in enumerate(candidates)
        if row.line > 1 and (distance := _distance(part.rows, row)) is not None
    )
    placed: set[int] = set()
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in placed and j not in taken:
            candidates[j].rows.append(rows[i])
            placed.add(i)
            taken.add(j)
    return [row for i, row in enumerate(rows) if i not in placed]


def _distance(part: Sequence[LogLine], row: LogLine) -> int | None:
    """How far a line is from a receipt; None where it cannot be of it.

    Member specials keep the time of the goods they are for, so a line may be earlier than the one before it.
    """
    first, last = part[0].time, max(line.time for line in part)
    away = 0 if first <= row.time <= last else row.time - last
    if away < 0:
        if first - row.time > SET_BACK_MS:
            return None
        away = EARLIER + first - row.time
    if _who(part[0]) != _who(row):
        away += 1 if "" in (_who(part[0]), _who(row)) else STRANGER
    return away + (STRANGER if part[-1].kind == "A" else 0)  # the tax is the last that is written


def sum_cents(part: Sequence[LogLine]) -> int:
    """What the lines of a receipt add up to: nothing, where it is whole. Cancelled lines count for nothing."""
    return sum(row.cents for row in part if row.kind in COUNTED and row.status != "X")


def _exchanged(found: list[list[LogLine]]) -> list[list[LogLine]]:
    """Two receipts of one moment that are off by opposite amounts hold some of each other's lines: give them back.

    Of several stretches of line numbers that would set both right, the one after which time runs straightest.
    """
    wrong = [place for place, part in enumerate(found) if sum_cents(part)]
    if len(wrong) != 2:
        return found
    one, other = (found[place] for place in wrong)
    last = max(one[-1].line, other[-1].line)
    ways = []
    for first in range(1, last + 1):
        for end in range(first, last + 1):
            mixed = _with_stretch_exchanged(one, other, first, end)
            if not any(sum_cents(part) for part in mixed):
                ways.append((sum(_backwards(part) for part in mixed), first, end, mixed))
    if not ways:
        return found
    best = min(ways, key=lambda way: way[:3])[3]
    return [part for place, part in enumerate(found) if place not in wrong] + best


def _with_stretch_exchanged(
    one: Sequence[LogLine], other: Sequence[LogLine], first: int, end: int
) -> list[list[LogLine]]:
    return [
        sorted(
            [row for row in mine if not first <= row.line <= end] + [row for row in theirs if first <= row.line <= end],
            key=lambda row: row.line,
        )
        for mine, theirs in ((one, other), (other, one))
    ]


def _backwards(part: Sequence[LogLine]) -> int:
    return sum(max(0, before.time - after.time) for before, after in pairwise(part))


def _who(row: LogLine) -> str:
    return "" if row.member in NOBODY else row.member
