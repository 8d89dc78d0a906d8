"""The laws of design §4, held after every step against what the world knows and no program does.

The world remembers every entry a till was told is durable, every receipt that came out, every acknowledgement a keeper
really gave, and what control units registered. A law that fails names itself, the till and what was seen; nothing is
ever forgiven because a later step would mend it. What a law excuses is written beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from oppet.fiscal.series import believe_series
from oppet.journal.chain import Owner, check
from oppet.journal.entry import Head, body_of, parse
from oppet.journal.kinds import (
    Body,
    CodeUnknown,
    CopyMade,
    EpochOpened,
    Receipt,
    ReceiptPrinted,
    ReportMade,
    SaleOpened,
)
from oppet.paper.sheet import Paper
from oppet.sim.disks import Disk, Kept, Log
from oppet.sync.messages import Ack

__all__ = ["CANARIES", "Broken", "Laws"]

CANARIES = (
    b"0701234567",
    b"8112189876",
    b"4111111111111111",
)  # a payer's telephone, a person, a card: offered, never kept
HOLD_MS = 15 * 60_000  # how long the node keeps a receipt for one till
STEP_MS = 60_000
_SERIES = {"Kassakvitto": "normal", "RETURKVITTO": "normal", "ÖVNING": "training", "KOPIA": "copy"}
_AGAIN = "Printed again after an interruption; valid once."
Came = dict[tuple[str, int, int, int], int]


class Broken(msgspec.Struct, frozen=True):
    """A law that did not hold: which, and what was seen."""

    law: str
    what: str


class _Book:
    """One till's journal followed entry by entry, by other arithmetic than the till's own."""

    __slots__ = ("grand", "last", "receipts", "returns", "returns_ore", "sales_ore")

    def __init__(self) -> None:
        self.last: Counter[str] = Counter()
        self.sales_ore = self.returns_ore = self.receipts = self.returns = 0
        self.grand = (0, 0)


class Laws:
    def __init__(self, hq: str, now: Callable[[], int]) -> None:
        self.broken: list[Broken] = []
        self.checked: Counter[str] = Counter()
        self.entries = self.sales = 0
        self.ore: dict[str, int] = {}  # digest → what the entry adds to sales, of every entry a till wrote
        self.receipts: dict[tuple[str, int, int], Receipt] = {}  # the sales among them, by till, epoch, number
        self.by_store: dict[str, list[tuple[str, int, int]]] = {}
        self.out: dict[str, str] = {}  # receipts that came out of a printer → as what
        self.doubtful: set[tuple[str, int]] = set()  # epochs that ran twice, from an old disk, or on a disk that lied
        self.promised: dict[tuple[str, str, int], dict[int, set[str]]] = {}
        self.hq_seen: set[str] = set()
        self.hq_ore = 0
        self.returned: Came = {}
        self.sold: Came = {}
        self.finished: set[tuple[str, int, int]] = set()  # baskets that moved and were paid
        self.moved: dict[tuple[str, int, int], tuple[str, int, int]] = {}
        self.unruled: set[tuple[str, int, int]] = set()  # baskets that went on where no node could be asked
        self.began: dict[tuple[str, int, int], int] = {}  # returns: when they were opened
        self._now = now
        self.lone: set[tuple[str, int, int]] = set()  # returns begun while nobody could be asked
        self._books: dict[int, tuple[Log, _Book]] = {}
        self._printed: set[tuple[str, int, str]] = set()
        self._hq = hq

    def wrong(self, law: str, what: str) -> None:
        self.broken.append(Broken(law, what))

    def held(self, law: str) -> None:
        self.checked[law] += 1

    # --- what disks were told

    def stored(self, disk: Disk, log: Log, first: int, entries: Sequence[bytes], digests: Sequence[str]) -> None:
        """Called by every disk at every commit, whoever made it."""
        if log is disk.post:
            return
        if disk.journals.get(log.owner[:2]) is log:
            self._written(log, first, entries, digests)
        else:
            self._kept(disk, log, first, entries, digests)

    def _written(self, log: Log, first: int, entries: Sequence[bytes], digests: Sequence[str]) -> None:
        key = id(log)
        if key not in self._books:
            self._books[key] = (log, _Book())
            for seq in range(1, first):  # the machine came back with an older disk: its book begins again
                self._follow(self._books[key][1], log, body_of(parse(log.entries[seq - 1])), judge=False)
        book = self._books[key][1]
        for place, (data, digest) in enumerate(zip(entries, digests, strict=True)):
            self.entries += 1
            for canary in CANARIES:
                if canary in data:
                    self.wrong("7", f"{log.owner}: entry {first + place} holds {canary.decode()}")
            body = body_of(parse(data))
            self.ore[digest] = _adds(body)
            if type(body) is Receipt and body.kind != "training":
                self.sales += 1
                if body.kind == "sale":
                    name = (log.owner[0], log.owner[1], body.number)
                    self.receipts[name] = body
                    self.by_store.setdefault(name[0][:3], []).append(name)
            self._follow(book, log, body, judge=True)
        self.held("7 no personal data in an entry")

    def forget_book(self, log: Log) -> None:
        """The log was cut back or exchanged: follow it again from its first entry."""
        self._books.pop(id(log), None)

    def _follow(self, book: _Book, log: Log, body: Body | None, *, judge: bool) -> None:
        kind = type(body)
        if kind is Receipt:
            assert isinstance(body, Receipt)
            self._receipt(book, log, body, judge=judge)
        elif kind is CopyMade:
            assert isinstance(body, CopyMade)
            self._number(book, log, "copy", body.copy, judge=judge)
        elif kind is CodeUnknown:
            assert isinstance(body, CodeUnknown)
            series = {"kopia": "copy", "ovning": "training"}.get(body.receipt_type, "normal")
            self._number(book, log, series, body.receipt_id, judge=judge)
        elif kind is ReportMade:
            assert isinstance(body, ReportMade)
            self._report(book, log, body, judge=judge)
        elif kind is ReceiptPrinted and judge:
            assert isinstance(body, ReceiptPrinted)
            self._copies(log, body)
        elif kind is SaleOpened and judge:
            assert isinstance(body, SaleOpened)
            self._opened(log, body)

    def _number(self, book: _Book, log: Log, series: str, number: int, *, judge: bool) -> None:
        if judge and number != book.last[series] + 1:
            self.wrong("2", f"{log.owner}: {series} {number} follows {book.last[series]}")
        book.last[series] = max(number, book.last[series])

    def _receipt(self, book: _Book, log: Log, body: Receipt, *, judge: bool) -> None:
        training = body.kind == "training"
        self._number(book, log, "training" if training else "normal", body.number, judge=judge)
        if not training:
            if body.kind == "sale":
                book.sales_ore += body.total_ore
                book.receipts += 1
            else:
                book.returns_ore += body.total_ore
                book.returns += 1
        if not judge:
            return
        self.held("8 money adds up")
        if sums := _sums(body):
            self.wrong("8", f"{log.owner}: receipt {body.number}: {sums}")
        till, epoch, _ = log.owner
        if body.kind == "sale":
            for line in body.lines:
                self.sold[till, epoch, body.number, line.line] = line.quantity_milli
        elif body.kind == "return" and body.original is not None:
            self._came_back(log, body)
        at = (till, epoch, body.sale)
        origin = self.moved.get(at, at)
        if not training and (till, epoch) not in self.doubtful and origin[:2] not in self.doubtful:
            if origin in self.finished and origin not in self.unruled:
                self.wrong("2", f"{log.owner}: basket {origin} was paid at two tills")
            self.finished.add(origin)

    def _came_back(self, log: Log, body: Receipt) -> None:
        origin = body.original
        assert origin is not None
        if log.owner[:2] in self.doubtful or (origin.till, origin.epoch) in self.doubtful:
            return  # two machines with one name: the store cannot know which receipt was shown
        for line in body.lines:
            key = (origin.till, origin.epoch, origin.number, line.original_line)
            self.returned[key] = self.returned.get(key, 0) + line.quantity_milli
            if (*log.owner[:2], body.sale) in self.lone:
                self.lone.add(
                    key[:3]
                )  # a till alone returns a little without asking (R17): this receipt proves nothing
            if key[:3] not in self.lone and self.returned[key] > self.sold.get(key, 0):
                self.wrong("2", f"{log.owner}: more came back of {key} than was sold")
        self.held("2 nothing comes back twice")

    def _opened(self, log: Log, body: SaleOpened) -> None:
        till, epoch, _ = log.owner
        self.began[till, epoch, body.sale] = self._now()
        if body.original is not None and body.lone:
            self.lone.add((body.original.till, body.original.epoch, body.original.number))
        if body.moved_from is not None:
            there = (body.moved_from.till, body.moved_from.epoch, body.moved_from.sale)
            self.moved[log.owner[0], log.owner[1], body.sale] = self.moved.get(there, there)

    def _report(self, book: _Book, log: Log, body: ReportMade, *, judge: bool) -> None:
        said = body.report
        if judge:
            mine = (book.sales_ore, book.returns_ore, book.receipts, book.returns)
            theirs = (said.sales_ore, said.returns_ore, said.receipts, said.returns)
            if mine != theirs or said.total_ore != mine[0] - mine[1]:
                self.wrong("8", f"{log.owner}: {body.kind} says {theirs}, its entries say {mine}")
            grand = (said.grand.sales_ore, said.grand.returns_ore)
            if grand < book.grand:
                self.wrong("8", f"{log.owner}: grand totals fell from {book.grand} to {grand}")
            book.grand = grand
            self.held("8 a report is what its entries say")
        if body.kind == "z":
            self._number(book, log, "z", body.number, judge=judge)
            book.sales_ore = book.returns_ore = book.receipts = book.returns = 0

    def _copies(self, log: Log, body: ReceiptPrinted) -> None:
        if not body.copies:
            return
        till, epoch, _ = log.owner
        name = ({"normal": "normal", "copy": "copy", "training": "training"}[body.series], body.number)
        seq = log.receipts.get(name, 0)
        digest = log.digest_at(seq) if seq else ""
        having = 0
        for (keeper, *stream), told in self.promised.items():
            if tuple(stream) == (till, epoch) and keeper != self._hq:
                having += any(number >= seq for number in told)
        if not digest or having < body.copies:
            self.wrong("1", f"{log.owner}: printed with {body.copies} copies, {having} keepers have entry {seq}")
        self.held("1 a copy said is a copy kept")

    def _kept(self, disk: Disk, log: Log, first: int, entries: Sequence[bytes], digests: Sequence[str]) -> None:
        before = log.digest_at(first - 1)
        if entries and f'"prev":"{before}"'.encode() not in entries[0][:400]:
            self.wrong("4", f"{disk.name} kept {log.owner} with a gap before entry {first}")
        if first == log.base.seq + 1 > 1:
            others = disk.shelf[log.owner[:2]].branches.values()
            if not any(other is not log and other.holds(log.base) for other in others):
                self.wrong("4", f"{disk.name} kept a part of {log.owner} that follows on nothing it has")
        for digest in digests:
            if digest not in self.ore:
                self.wrong("4", f"{disk.name} kept an entry of {log.owner} that this till never wrote")
                return
        if disk.name == self._hq:
            for digest in digests:
                if digest in self.hq_seen:
                    self.wrong("2", f"head office counted an entry of {log.owner} twice")
                self.hq_seen.add(digest)
                self.hq_ore += self.ore[digest]
        self.held("2 counted once")

    def recount(self, disk: Disk) -> None:
        """Head office lost entries or came back from a backup: it counts what it has."""
        self.hq_seen = {
            digest for kept in disk.shelf.values() for log in kept.branches.values() for digest in log.digests[1:]
        }
        self.hq_ore = sum(self.ore.get(digest, 0) for digest in self.hq_seen)

    # --- acknowledgements

    def promise(self, disk: Disk, keeper: str, ack: Ack) -> None:
        """A keeper gave its word: the entry must be on its disk, as that disk told it (K1)."""
        kept = disk.shelf.get((ack.till, ack.epoch))
        head = Head(ack.seq, ack.digest)
        if ack.seq and (kept is None or not any(log.holds(head) for log in kept.branches.values())):
            self.wrong(
                "1", f"{keeper} acknowledged entry {ack.seq} of {ack.till}, epoch {ack.epoch}, and does not have it"
            )
        self.promised.setdefault((keeper, ack.till, ack.epoch), {}).setdefault(ack.seq, set()).add(ack.digest)
        self.held("1 acknowledged is on the disk")

    def believed(self, keeper: str, till: str, epoch: int, head: Head) -> None:
        """A sender counts on this: somebody must have promised it (K11)."""
        told = self.promised.get((keeper, till, epoch), {})
        if head.digest not in told.get(head.seq, ()):
            self.wrong("1", f"{till}, epoch {epoch} believes that {keeper} has entry {head.seq}; nobody said so")
        self.held("1 only a keeper's own word is believed")

    # --- paper

    def printed(self, log: Log, paper: Paper) -> None:
        """A sheet came out: what it says must be on the till's disk already (J1)."""
        word, _, number = paper.name.rpartition(" ")
        series = _SERIES.get(word)
        if series is None or not number.isdigit():
            return
        till, epoch, _ = log.owner
        seq = log.receipts.get((series, int(number)))
        if seq is None or seq > log.head.seq:
            self.wrong("1", f"{till}, epoch {epoch}: {paper.name} is on paper and not in the journal")
            return
        digest = log.digest_at(seq)
        self.out[digest] = f"{till}, epoch {epoch}: {paper.name}"
        again = any(_AGAIN in row.left for row in paper.rows)
        name = (till, epoch, paper.name)
        if not again and name in self._printed and (till, epoch) not in self.doubtful:
            self.wrong("1", f"{till}, epoch {epoch}: {paper.name} came out twice as an original")
        self._printed.add(name)
        self.held("1 printed is durable")

    # --- now and then, and at the end

    def whole(self, disk: Disk, key: tuple[str, int], kept: Kept, public_key: bytes) -> None:
        """Run the auditor's check over everything kept of one epoch (law 4)."""
        for name, log in sorted(kept.branches.items()):
            owner = Owner(*key, "", public_key)
            first = body_of(parse(log.entries[0])) if log.entries and log.base.seq == 0 else None
            if isinstance(first, EpochOpened):
                owner = Owner(*key, first.installation, public_key)
            rows = iter([(log.base.seq + place, data) for place, data in enumerate(log.entries, 1)])
            found = check(rows, iter(sorted(log.signed.items())), owner, log.base, None, log.base.seq)
            if found.finding is not None and not (found.finding.kind == "cloned" and key in self.doubtful):
                self.wrong("4", f"{disk.name}: {found.finding}")
            if name == "" and key not in self.doubtful and log.entries:
                wrongs = believe_series([parse(data) for data in log.entries])
                if wrongs:
                    self.wrong("8", f"{disk.name}: {key}: {wrongs[0]}")
            self.held("4 what is kept is whole")


def _adds(body: Body | None) -> int:
    if type(body) is Receipt and body.kind != "training":
        return body.total_ore if body.kind == "sale" else -body.total_ore
    return 0


def _sums(receipt: Receipt) -> str:
    """Law 8, by our own arithmetic."""
    lines = sum(line.net_ore for line in receipt.lines)
    paid = sum(tender.amount_ore for tender in receipt.tenders)
    cash = any(tender.means == "cash" for tender in receipt.tenders)
    if lines != receipt.total_ore:
        return f"lines {lines}, total {receipt.total_ore}"
    if paid != receipt.total_ore + receipt.rounding_ore or abs(receipt.rounding_ore) > (50 if cash else 0):
        return f"paid {paid}, total {receipt.total_ore}, rounding {receipt.rounding_ore}"
    if cash and not any(t.means != "cash" for t in receipt.tenders) and paid % 100:
        return f"{paid} öre in cash"
    gross: Counter[int] = Counter()
    vat: Counter[int] = Counter()
    for line in receipt.lines:
        gross[line.vat_rate] += line.net_ore
        vat[line.vat_rate] += line.vat_ore
        if line.amount_ore - sum(discount.ore for discount in line.discounts) != line.net_ore:
            return f"line {line.line}"
    for part in receipt.vat:
        exact2 = 2 * part.gross_ore * part.rate  # half up, doubled so that it stays whole
        most = abs(2 * part.vat_ore * (10_000 + part.rate) - exact2)
        if (gross[part.rate], vat[part.rate]) != (part.gross_ore, part.vat_ore) or most > 10_000 + part.rate:
            return f"VAT at {part.rate}"
    return "" if sum(gross.values()) == sum(part.gross_ore for part in receipt.vat) else "VAT"
