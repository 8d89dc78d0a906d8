"""Search by name: a few letters find the article, whatever the accents, within 5 ms among 100 000 (R19).

An inverted index: sorted words, each with the articles that have it. The rarest of the words asked for gives the
candidates, the others are looked up in their folded names. Everything is bounded: how much text is read, how many
words, how many candidates. Hostile text finds nothing and harms nothing. Keeps G9 of the rules.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import Final
from unicodedata import combining, normalize

from oppet.goods.article import Article
from oppet.goods.elements import only_digits

__all__ = ["SearchIndex", "fold"]

LONGEST_QUERY: Final = 100
MOST_WORDS: Final = 6
MOST_CANDIDATES: Final = 4000
SHORTEST_NUMBER: Final = 3
_WORD = re.compile(r"[a-z0-9]+")
_LETTERS: Final = str.maketrans("åäöéèêëáàâüúøæïíîóôñç", "aaoeeeeaaauuoaiiioonc", "\u00b4`'\u2019")


def fold(text: str) -> str:
    """Lower case without accents: "Crème Fraîche" is found by "creme fraiche", "ägg" by "agg"."""
    lowered = text.lower().translate(_LETTERS)
    if lowered.isascii():
        return lowered
    return "".join(c for c in normalize("NFKD", lowered.casefold()) if not combining(c))


class SearchIndex:
    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = articles
        postings: dict[str, list[int]] = {}
        self._names: list[str] = []
        words_in = _WORD.findall
        for place, article in enumerate(articles):
            words = words_in(fold(article.name))
            self._names.append(f" {' '.join(words)} ")
            for word in words:
                at = postings.get(word)
                if at is None:
                    postings[word] = [place]
                elif at[-1] != place:
                    at.append(place)
        self._words = sorted(postings)
        self._postings = [postings[word] for word in self._words]
        self._before = [0, *accumulate(map(len, self._postings))]
        lines = [" ".join((a.number, *a.gtins)) for a in articles]
        self._numbers = "\n".join(lines)
        self._line_starts = [0, *accumulate(len(line) + 1 for line in lines)]

    def find(self, words: str, limit: int = 20) -> list[Article]:
        """At most `limit` articles, best first: whole words before beginnings, short names before long."""
        wanted = _WORD.findall(fold(words[:LONGEST_QUERY]))[:MOST_WORDS]
        if not wanted or limit < 1:
            return []
        if len(wanted) == 1 and only_digits(wanted[0]) and len(wanted[0]) >= SHORTEST_NUMBER:
            found = self._by_digits(wanted[0], limit)
            if found:
                return found
        ranges = [(bisect_left(self._words, w), bisect_right(self._words, w + "\x7f")) for w in wanted]
        first, last = min(ranges, key=lambda span: self._before[span[1]] - self._before[span[0]])
        beginnings = [f" {word}" for word in wanted]
        best: dict[int, tuple[int, int, int]] = {}
        for place in self._candidates(first, last):
            name = self._names[place]
            if all(beginning in name for beginning in beginnings):
                whole = sum(f"{beginning} " in name for beginning in beginnings)
                leads = name.startswith(beginnings[0])
                best[place] = (-whole, 0 if leads else 1, len(name))
        order = sorted(best, key=lambda place: (best[place], place))
        return [self._articles[place] for place in order[:limit]]

    def _candidates(self, first: int, last: int) -> Iterator[int]:
        """The articles of a range of words, the exact word first, at most MOST_CANDIDATES of them."""
        for count, place in enumerate(chain.from_iterable(self._postings[first:last])):
            if count >= MOST_CANDIDATES:
                return
            yield place

    def _by_digits(self, digits: str, limit: int) -> list[Article]:
        """Articles whose number or GTIN holds these digits; a number that is exactly these comes first."""
        places: dict[int, None] = {}
        at = self._numbers.find(digits)
        while at >= 0 and len(places) < MOST_CANDIDATES:
            place = bisect_right(self._line_starts, at) - 1
            places[place] = None
            at = self._numbers.find(digits, self._line_starts[place + 1])
        found = sorted(
            (self._articles[place] for place in places),
            key=lambda a: (a.number != digits, not a.number.startswith(digits), len(a.number), a.number),
        )
        return found[:limit]
