"""Search by name: a few letters find the article, whatever the accents, within 5 ms among 100 000 (R19).

An inverted index: sorted words, each with the articles that have it. The rarest of the words asked for gives the
candidates, the others are looked up in their folded names. Everything is bounded: how much text is read, how many
words, how many candidates. Hostile text finds nothing and harms nothing. Keeps G9 of the rules.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Final
from unicodedata import normalize

from oppet.goods.article import Article
from oppet.goods.elements import only_digits

__all__ = ["SearchIndex", "fold"]

LONGEST_QUERY: Final = 100
MOST_WORDS: Final = 6
MOST_CANDIDATES: Final = 4000
MOST_RANKED: Final = 300
SHORTEST_NUMBER: Final = 3
SLICE: Final = 200  # articles between two pauses while it is built
_NO_ACCENT: Final = {"ø": "o", "æ": "ae", "ß": "ss", "ð": "d", "þ": "th", "ł": "l", "đ": "d", "œ": "oe"}
_KEPT: Final = b"abcdefghijklmnopqrstuvwxyz0123456789\n"
_TO_SPACE: Final = bytes(code if code in _KEPT else 32 for code in range(256))


def fold(text: str) -> str:
    """Lower case without accents or marks: "Crème Fraîche" is found by "creme fraiche", "ägg" by "agg".

    Works on one name as on a whole assortment at once: each strange letter is replaced throughout, not one by one.
    """
    lowered = text.lower()
    if not lowered.isascii():
        for letter in {c for c in set(lowered) if not c.isascii()}:
            base = _NO_ACCENT.get(letter) or normalize("NFKD", letter).encode("ascii", "ignore").decode().lower()
            lowered = lowered.replace(letter, base)
    return lowered.encode("ascii", "replace").translate(_TO_SPACE).decode()


class SearchIndex:
    """Built once from the articles of a catalogue; only asked afterwards."""

    def __init__(self, articles: Sequence[Article] = ()) -> None:
        self._articles: Sequence[Article] = ()
        self._names: list[str] = []
        self._words: list[str] = []
        self._postings: list[list[int]] = []
        self._before: list[int] = [0]
        self._in_order: list[tuple[str, int]] = []
        self._gtins = ""
        self._line_starts: list[int] = [0]
        deque(self.fill(articles), maxlen=0)

    def fill(self, articles: Sequence[Article]) -> Iterator[None]:
        """Take in the articles of an index that has none yet, pausing after each slice."""
        postings: defaultdict[str, list[int]] = defaultdict(list)
        lines: list[str] = []
        for start in range(0, len(articles), SLICE):
            some = articles[start : start + SLICE]
            for place, name in enumerate(fold("\n".join([article.name for article in some])).split("\n"), start):
                words = name.split()
                self._names.append(f" {' '.join(words)} ")
                for word in words:
                    postings[word].append(place)
            for place, article in enumerate(some, start):
                self._in_order.append((article.number, place))
                line = " ".join(article.gtins)
                lines.append(line)
                self._line_starts.append(self._line_starts[-1] + len(line) + 1)
            yield
        self._articles = articles
        self._words = sorted(postings)
        self._postings = [postings[word] for word in self._words]
        self._before = [0, *accumulate(map(len, self._postings))]
        yield
        self._in_order.sort()
        yield
        self._gtins = "\n".join(lines)

    def taken_apart(self) -> Iterator[None]:
        """Let go of an index that nobody asks any more, pausing after each slice."""
        self._articles = ()
        big: tuple[list[str] | list[list[int]] | list[tuple[str, int]] | list[int], ...]
        big = (self._names, self._postings, self._in_order, self._line_starts, self._before, self._words)
        for held in big:
            while held:
                del held[-SLICE * 5 :]
                yield

    def find(self, words: str, limit: int = 20) -> list[Article]:
        """At most `limit` articles, best first: whole words before beginnings, short names before long."""
        wanted = fold(words[:LONGEST_QUERY]).split()[:MOST_WORDS]
        if not wanted or limit < 1:
            return []
        if len(wanted) == 1 and only_digits(wanted[0]) and len(wanted[0]) >= SHORTEST_NUMBER:
            found = self._by_digits(wanted[0], limit)
            if found:
                return found
        ranges = [(bisect_left(self._words, w), bisect_right(self._words, w + "\x7f")) for w in wanted]
        sizes = [self._before[last] - self._before[first] for first, last in ranges]
        rarest = sizes.index(min(sizes))
        beginnings = [f" {word}" for word in wanted]
        others = beginnings[:rarest] + beginnings[rarest + 1 :]
        best: dict[int, tuple[int, bool, int]] = {}
        names = self._names
        for place in self._candidates(*ranges[rarest]):
            name = names[place]
            for other in others:
                if other not in name:
                    break
            else:
                whole = sum([f"{beginning} " in name for beginning in beginnings])
                best[place] = (-whole, not name.startswith(beginnings[0]), len(name))
                if len(best) >= MOST_RANKED:
                    break
        order = sorted(best, key=lambda place: (best[place], place))
        return [self._articles[place] for place in order[:limit]]

    def _candidates(self, first: int, last: int) -> Iterator[int]:
        """The articles of a range of words, the exact word first, at most MOST_CANDIDATES of them."""
        return islice(chain.from_iterable(self._postings[first:last]), MOST_CANDIDATES)

    def _by_digits(self, digits: str, limit: int) -> list[Article]:
        """Articles with this number, then those whose number begins so, then those with the digits in a GTIN."""
        first = bisect_left(self._in_order, (digits, -1))
        last = bisect_right(self._in_order, (digits + "\x7f", -1))
        places = dict.fromkeys(place for _, place in self._in_order[first : min(last, first + limit)])
        at = self._gtins.find(digits)
        while at >= 0 and len(places) < limit:
            place = bisect_right(self._line_starts, at) - 1
            places[place] = None
            at = self._gtins.find(digits, self._line_starts[place + 1])
        return [self._articles[place] for place in places][:limit]
