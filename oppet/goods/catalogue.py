"""The catalogue: everything the till may sell, read once from one JSON document and then only asked.

Guards that one bad article never blocks the rest (G8): it is set aside on `rejected` with its number, the field and the
reason, and the others are sold. Guards that a code finds one article or none (G1). Leaves search to search.py, the
price of the day to article.py and what dates and recalls forbid to freshness.py. Whether the bytes may be believed was
decided before they came here. Keeps G1, G7, G8 of the rules; 100 000 articles are ready in well under 1.5 s (R19).

New prices come while the till sells: `in_slices` reads a document a piece at a time and `taken_apart` lets go of an old
catalogue the same way, so that whoever drives them may give the scan the processor between two pieces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, KeysView, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from oppet.goods.article import Article, Soundness
from oppet.goods.codes import Scanned
from oppet.goods.errors import BrokenAssortmentError, UnknownArticleError, UnknownCodeError
from oppet.goods.freshness import MarkDownRule, Recall
from oppet.goods.promotions import Promotion
from oppet.goods.search import SearchIndex

__all__ = ["FORMAT", "Catalogue", "Rejected", "decode", "in_slices"]

FORMAT: Final = 1
MOST_ARTICLES: Final = 500_000
SLICE: Final = 200  # records between two pauses: about a millisecond of work

T = TypeVar("T", bound=Struct)


class Rejected(Struct, frozen=True):
    """One record that was set aside: which list, which record, which field and why."""

    what: str
    number: str
    field: str
    reason: str


class _Document(Struct, frozen=True):
    """The document with its records still unread, so that each may fail alone."""

    format: int
    version: str
    made: str
    articles: msgspec.Raw
    promotions: msgspec.Raw = msgspec.Raw(b"[]")
    recalls: msgspec.Raw = msgspec.Raw(b"[]")
    markdowns: msgspec.Raw = msgspec.Raw(b"[]")


class Catalogue:
    """Articles by number, by GTIN and by scale code, with the promotions and rules that came with them."""

    def __init__(
        self,
        version: str,
        made: str,
        articles: Sequence[Article],
        promotions: Sequence[Promotion] = (),
        recalls: Sequence[Recall] = (),
        markdowns: Sequence[MarkDownRule] = (),
        rejected: Sequence[Rejected] = (),
    ) -> None:
        self.version = version
        self.made = made
        self.promotions = tuple(promotions)
        self.recalls = tuple(recalls)
        self.markdowns = tuple(markdowns)
        self.rejected: tuple[Rejected, ...] = ()
        self._by_number: dict[str, Article] = {}
        self._by_gtin: dict[str, Article] = {}
        self._by_scale_code: dict[str, Article] = {}
        self._quick: tuple[Article, ...] = ()
        self._search = SearchIndex()
        deque(self._fill(articles, rejected), maxlen=0)

    def _fill(self, articles: Sequence[Article], rejected: Sequence[Rejected]) -> Iterator[None]:
        """Take in the articles of a catalogue that has none yet, pausing after each slice."""
        set_aside = list(rejected)
        soundness = Soundness()
        for at, article in enumerate(articles, 1):
            reason = self._admit(article, soundness)
            if reason is not None:
                set_aside.append(reason)
            if not at % SLICE:
                yield
        self._drop_without_pant(set_aside)
        self.rejected = tuple(set_aside)
        yield
        self._quick = tuple(sorted((a for a in self._by_number.values() if a.quick), key=lambda a: (a.quick, a.number)))
        yield
        yield from self._search.fill(tuple(self._by_number.values()))

    def taken_apart(self) -> Iterator[None]:
        """Let go of a catalogue that nobody asks any more, pausing after each slice: freed at once it would hold up a scan."""
        yield from self._search.taken_apart()
        for articles in (self._by_gtin, self._by_scale_code, self._by_number):
            while articles:
                for _ in range(min(SLICE * 5, len(articles))):
                    articles.popitem()
                yield

    def _admit(self, article: Article, soundness: Soundness) -> Rejected | None:
        number = article.number
        flaw = soundness.flaw(article)
        if flaw is not None:
            return Rejected("article", number[:40], *flaw)
        if number in self._by_number:
            return Rejected("article", number, "number", "the number is already taken")
        for gtin in article.gtins:
            other = self._by_gtin.get(gtin)
            if other is not None:
                return Rejected("article", number, "gtins", f"{gtin} already belongs to article {other.number}")
        if article.scale_code is not None:
            other = self._by_scale_code.get(article.scale_code)
            if other is not None:
                reason = f"{article.scale_code} already belongs to article {other.number}"
                return Rejected("article", number, "scale_code", reason)
            self._by_scale_code[article.scale_code] = article
        self._by_number[number] = article
        for gtin in article.gtins:
            self._by_gtin[gtin] = article
        return None

    def _drop_without_pant(self, set_aside: list[Rejected]) -> None:
        """An article whose deposit is unknown is not sold: too little would be charged and too much paid back."""
        with_pant = [article for article in self._by_number.values() if article.pant is not None]
        while lost := [article for article in with_pant if article.pant not in self._by_number]:
            with_pant = [article for article in with_pant if article.pant in self._by_number]
            for article in lost:
                set_aside.append(Rejected("article", article.number, "pant", f"no article {article.pant}"))
                del self._by_number[article.number]
                for gtin in article.gtins:
                    self._by_gtin.pop(gtin, None)
                if article.scale_code is not None:
                    del self._by_scale_code[article.scale_code]

    def __iter__(self) -> Iterator[Article]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def numbers(self) -> KeysView[str]:
        """Every article's number."""
        return self._by_number.keys()

    def article(self, number: str) -> Article:
        """Raises UnknownArticleError."""
        found = self._by_number.get(number)
        if found is None:
            raise UnknownArticleError(number=number[:40])
        return found

    def find(self, scanned: Scanned) -> Article:
        """The article a code names, whatever carrier named it. Raises UnknownCodeError."""
        found = None
        if scanned.gtin is not None:
            found = self._by_gtin.get(scanned.gtin)
        elif scanned.scale_code is not None:
            found = self._by_scale_code.get(scanned.scale_code)
        elif scanned.plu is not None:
            found = self._by_number.get(scanned.plu)
        if found is None:
            raise UnknownCodeError(code=scanned.raw)
        return found

    def search(self, words: str, limit: int = 20) -> list[Article]:
        """Articles whose name has words that begin so, or whose number or GTIN holds these digits."""
        return self._search.find(words, limit)

    def quick_keys(self) -> tuple[Article, ...]:
        """Articles with a key of their own, in the order of their places."""
        return self._quick


def decode(data: bytes) -> Catalogue:
    """Read one assortment document. Raises BrokenAssortmentError where the document as a whole cannot be read."""
    slices = in_slices(data)
    while True:
        try:
            next(slices)
        except StopIteration as done:
            found = done.value
            assert isinstance(found, Catalogue), "a generator gives what it returns"
            return found


def in_slices(data: bytes) -> Generator[None, None, Catalogue]:
    """As `decode`, pausing after each slice of work; what it returns is the catalogue."""
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise BrokenAssortmentError(reason=str(broken)) from None
    if document.format != FORMAT:
        raise BrokenAssortmentError(reason=f"format {document.format} is not {FORMAT}")
    yield
    rejected: list[Rejected] = []
    articles = yield from _each(document.articles, Article, "article", "number", rejected)
    promotions = yield from _each(document.promotions, Promotion, "promotion", "id", rejected)
    recalls = yield from _each(document.recalls, Recall, "recall", "id", rejected)
    markdowns = yield from _each(document.markdowns, MarkDownRule, "markdown", "group", rejected)
    catalogue = Catalogue(document.version, document.made, (), promotions, recalls, markdowns)
    yield from catalogue._fill(articles, rejected)
    return catalogue


def _each(
    raw: msgspec.Raw, kind: type[T], what: str, key: str, rejected: list[Rejected]
) -> Generator[None, None, list[T]]:
    """Read a list slice by slice, and record by record in a slice where not all is well."""
    try:
        records = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.ValidationError as broken:
        raise BrokenAssortmentError(reason=f"{what}: {broken}") from None
    if len(records) > MOST_ARTICLES:
        raise BrokenAssortmentError(reason=f"{len(records)} records of {what} are more than {MOST_ARTICLES}")
    yield
    good: list[T] = []
    several = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    one = msgspec.json.Decoder(kind)
    for at in range(0, len(records), SLICE):
        some = records[at : at + SLICE]
        try:
            good += several.decode(b"[%b]" % b",".join(some))
        except msgspec.ValidationError:
            good += _one_by_one(some, one, what, key, rejected)
        yield
    while records:
        del records[-SLICE * 5 :]
        yield
    return good


def _one_by_one(
    records: Sequence[msgspec.Raw], decoder: msgspec.json.Decoder[T], what: str, key: str, rejected: list[Rejected]
) -> Iterator[T]:
    for record in records:
        try:
            yield decoder.decode(record)
        except msgspec.ValidationError as broken:
            reason, _, path = str(broken).partition(" - at ")
            rejected.append(Rejected(what, _named(record, key), path.strip("`").removeprefix("$.") or "?", reason))


def _named(record: msgspec.Raw, key: str) -> str:
    whole: object = msgspec.json.decode(record)
    return str(whole.get(key, "?"))[:40] if isinstance(whole, dict) else "?"
