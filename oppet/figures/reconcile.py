"""What we say was paid beside what the acquirer and Swish say they moved: one to one, and every difference a case with all its facts.

A movement of theirs belongs to the tender that carries its reference (POI transaction id, paymentReference), our own request, or, for a
Swish that nothing confirmed, the code in its message. What was accepted at risk becomes settled or lost; what nobody knows is shown with
what the file proves, and the till's own query decides (PT2). A difference's key is what it is about: the same files again give the same
keys, and one that changes is another case. Values in, values out. Keeps R13 and PT6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from oppet.base.words import N_
from oppet.drivers.hq_payments import REFUSED, Ours, Theirs
from oppet.payments.tender import AT_RISK, DECLINED, REVERSED

__all__ = ["ABOUT", "DAY_MS", "HOW", "WAIT_MS", "Difference", "Ours", "Reconciled", "Theirs", "reconcile"]

DAY_MS = 86_400_000
WAIT_MS = 3 * DAY_MS  # what is in no file so long after it was paid is missing
OFFLINE_WAIT_MS = 7 * DAY_MS  # a terminal may keep what it approved alone for days
NEAR_MS = 15 * 60_000  # a charge that may be a tender of the same amount
MOST_PERHAPS = 5

ABOUT = {
    "missing": N_("We count it as paid, and their files do not have it."),
    "lost": N_("Taken at risk, and the money does not come."),
    "amount": N_("They moved another amount than we count."),
    "twice": N_("They charged it more than once."),
    "not_given_back": N_("It was given back here, and they charged it all the same."),
    "charged_though_refused": N_("It was refused here, and they charged it."),
    "extra": N_("They charged it, and no tender of ours carries its reference."),
    "same_reference": N_("Two tenders of ours carry the same reference."),
    "unknown_paid": N_("Nobody knew; their file says that it was paid. The till’s own query decides."),
    "unknown_not_paid": N_("Nobody knew; their files do not have it. The till’s own query decides."),
}
TOLD = frozenset({"unknown_paid", "unknown_not_paid"})  # shown, and closed by the till alone

# How two people close a difference.
HOW = {
    "corrected": N_("The acquirer or Swish corrects it"),
    "given_back": N_("The customer got the money back"),
    "written_off": N_("Written off"),
    "explained": N_("Explained: there is no difference"),
}


class Difference(msgspec.Struct, frozen=True):
    """What does not agree, with everything a person needs."""

    key: str
    about: str  # a word of ABOUT
    means: str
    service: str
    day: str
    ore: int  # what they say moved, less what we count
    ours: Ours | None
    theirs: tuple[Theirs, ...]
    perhaps: tuple[Ours, ...] = ()  # tenders that an extra charge may belong to

    @property
    def closable(self) -> bool:
        return self.about not in TOLD


class Reconciled(msgspec.Struct, frozen=True):
    matched: int
    matched_ore: int
    settled: int  # of what was taken at risk: now settled
    settled_ore: int
    waiting: int  # in no file yet, and not overdue
    waiting_ore: int
    differences: tuple[Difference, ...]


class _Theirs:
    """Their movements, each to be taken once. One that gives back belongs to the refund that carries its reference, else to its payment."""

    def __init__(self, lines: Iterable[Theirs], ours: Sequence[Ours]) -> None:
        self.left: dict[tuple[str, str], Theirs] = {(line.service, line.line): line for line in lines}
        self._by: dict[str, dict[str, list[Theirs]]] = {"reference": defaultdict(list), "request": defaultdict(list)}
        self._told = [line for line in self.left.values() if line.message]
        claimed = {one.reference for one in ours} | {one.request for one in ours}
        for line in self.left.values():
            own = not line.original or line.reference in claimed or line.request in claimed - {""}
            if name := line.reference if own else line.original:
                self._by["reference"][name].append(line)
            if own and line.request:
                self._by["request"][line.request].append(line)

    def take(self, one: Ours) -> tuple[Theirs, ...]:
        found = self._named("reference", one.reference, one.means)
        found = found or self._named("request", one.request, one.means)
        found = found or self._with_code(one)
        for line in found:
            del self.left[line.service, line.line]
        return found

    def _named(self, word: str, name: str, means: str) -> tuple[Theirs, ...]:
        lines = self._by[word].get(name, ()) if name else ()
        return tuple(line for line in lines if line.means == means and (line.service, line.line) in self.left)

    def _with_code(self, one: Ours) -> tuple[Theirs, ...]:
        """By the message: a Swish that nobody confirmed has its request there, and a time when it can have been paid."""
        if one.state != AT_RISK or one.reference != one.request or not one.request:
            return ()
        code = _letters(one.request)
        told = [
            line
            for line in self._told
            if line.means == one.means and code in _words(line.message) and abs(line.time - one.asked) < WAIT_MS
        ]
        return tuple(line for line in told if (line.service, line.line) in self.left)


def _letters(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum() or c == ".")


def _words(message: str) -> list[str]:
    return [_letters(word).strip(".") for word in message.split()]


def reconcile(ours: Sequence[Ours], theirs: Sequence[Theirs], told_until: Mapping[str, int], now: int) -> Reconciled:
    """Put them side by side. `told_until`: by means, up to when a file has said all there was."""
    lines = _Theirs(theirs, ours)
    matched: list[Ours] = []
    waiting: list[Ours] = []
    differences: list[Difference] = []
    seen: dict[tuple[str, str], Ours] = {}
    by_hand = [one for one in ours if one.reference == one.request]
    for one in [*sorted((o for o in ours if o.reference != o.request), key=_order), *sorted(by_hand, key=_order)]:
        if one.reference and seen.setdefault((one.means, one.reference), one) is not one and one.expects_ore:
            differences.append(_difference("same_reference", one, (), -one.expects_ore))
            continue
        found = lines.take(one)
        about = _judge(one, found, told_until.get(one.means, 0), now)
        if about == "matched":
            matched.append(one)
        elif about == "waiting":
            waiting.append(one)
        elif about:
            moved = sum(line.moved_ore for line in found)
            differences.append(_difference(about, one, found, moved - (one.expects_ore or 0)))
    differences += _extras(lines.left.values(), ours)
    settled = [one for one in matched if one.state == AT_RISK]
    return Reconciled(
        len(matched), sum(one.signed_ore for one in matched), len(settled), sum(one.signed_ore for one in settled),
        len(waiting), sum(one.signed_ore for one in waiting),
        tuple(sorted(differences, key=lambda d: (d.day, d.about, d.key))),
    )  # fmt: skip


def _order(one: Ours) -> tuple[int, str, str, int, str, int, int]:
    return one.asked, one.store, one.till, one.epoch, one.branch, one.sale, one.tender


def _judge(one: Ours, found: Sequence[Theirs], told_until: int, now: int) -> str:
    """matched, waiting, "" for nothing to say, or a word of ABOUT."""
    overdue = now - one.asked > (OFFLINE_WAIT_MS if one.risky else WAIT_MS) and told_until > one.asked
    expects = one.expects_ore
    if not found:
        return _absent(one, expects, overdue=overdue)
    moved = sum(line.moved_ore for line in found)
    if expects is None:
        return "unknown_paid" if moved else "unknown_not_paid"
    if moved == expects:
        return "matched" if expects else ""
    if any(line.status == REFUSED for line in found) and not moved:
        return "lost"
    if sum(line.kind == "payment" for line in found) > 1:
        return "twice"
    if one.state == REVERSED:  # its reversal may stand in a later file
        return "not_given_back" if overdue else "waiting"
    return "charged_though_refused" if one.state == DECLINED else "amount"


def _absent(one: Ours, expects: int | None, *, overdue: bool) -> str:
    if expects is None:
        return "unknown_not_paid" if overdue else "waiting"
    if not expects:
        return ""
    if not overdue:
        return "waiting"
    return "lost" if one.state == AT_RISK else "missing"


def _extras(left: Iterable[Theirs], ours: Sequence[Ours]) -> list[Difference]:
    groups: dict[tuple[str, str], list[Theirs]] = defaultdict(list)
    for line in left:
        groups[line.service, line.original or line.reference or line.line].append(line)
    open_ones = [
        one for one in ours if one.expects_ore is None or (one.state == AT_RISK and one.reference == one.request)
    ]
    found = []
    for _, lines in sorted(groups.items()):
        moved = sum(line.moved_ore for line in lines)
        if moved:
            perhaps = tuple(one for one in open_ones if _may_be(one, lines[0]))[:MOST_PERHAPS]
            found.append(_difference("extra", None, tuple(lines), moved, perhaps))
    return found


def _may_be(one: Ours, line: Theirs) -> bool:
    amount = -one.amount_ore if one.back else one.amount_ore
    return one.means == line.means and amount == line.amount_ore and abs(one.asked - line.time) <= NEAR_MS


def _difference(
    about: str, one: Ours | None, lines: tuple[Theirs, ...], ore: int, perhaps: tuple[Ours, ...] = ()
) -> Difference:
    who = "" if one is None else f"{one.store}/{one.till}/{one.epoch}/{one.branch}/{one.sale}/{one.tender}"
    theirs = "\n".join(f"{line.service}/{line.line}/{line.amount_ore}/{line.status}" for line in lines)
    key = sha256(f"{about}\n{who}\n{ore}\n{theirs}".encode()).hexdigest()[:20]
    day = one.day if one is not None else lines[0].day
    means = one.means if one is not None else lines[0].means
    return Difference(key, about, means, lines[0].service if lines else "", day, ore, one, lines, perhaps)
