"""`oppet bench scan`: from a scanned code to the new total, on a basket of 40 lines, 100 000 articles and 200 promotions.

The core's time: reading the code, finding and judging the article, the durable entry, and pricing the whole basket again.
"""

from __future__ import annotations

import time
from random import Random
from typing import Any

from oppet.goods.catalogue import decode
from oppet.yardstick.assortment import ARTICLES
from oppet.yardstick.measure import appends_per_s, conditions, percentiles, result
from oppet.yardstick.store import big_assortment, open_for_bench, scratch

__all__ = ["run"]

LINES = 40
SEED = 4711


def run(scans: int = 2000, articles: int = ARTICLES) -> dict[str, Any]:
    """Measure scans 30 to 50 of a basket again and again, on articles drawn from those on offer and all others alike."""
    with scratch() as folder:
        began = time.perf_counter()
        catalogue = decode(big_assortment(articles))
        load_s = time.perf_counter() - began
        till, journal = open_for_bench(folder, catalogue)
        chance = Random(SEED)
        numbers = sorted(catalogue.numbers())
        offered = [n for n in numbers if catalogue.article(n).mixes] or numbers
        usable = [n for n in numbers if catalogue.article(n).gtins and catalogue.article(n).unit == "st"]
        on_offer = sorted(set(offered) & set(usable)) or usable
        before = appends_per_s(folder, [600], 500)
        seconds: list[float] = []
        promoted = 0
        while len(seconds) < scans:
            till.selling.member("BENCHMEMBER01")
            lines = 0
            while lines < LINES + 10:
                article = catalogue.article(chance.choice(on_offer if chance.random() < 0.5 else usable))
                code = article.gtins[0][1:]
                start = time.perf_counter()
                till.selling.scan(code)
                priced = till.desk.priced(till.desk.basket())
                took = time.perf_counter() - start
                lines = len(priced.lines)
                if lines >= LINES - 10:
                    seconds.append(took)
                promoted = max(promoted, sum(1 for line in priced.lines if line.discounts))
            till.selling.abandon("bench")
        after = appends_per_s(folder, [600], 500)
        journal.close()
    figures = percentiles("", seconds[:scans])
    floor_ms = 2e3 / (before + after)
    return result(
        "scan",
        {
            **figures,
            "lines": LINES,
            "articles": len(catalogue),
            "promotions": len(catalogue.promotions),
            "lines_with_offer": promoted,
        },
        {"p50_over_one_fdatasync": round(figures["p50_ms"] / floor_ms, 2)},
        conditions(scans=scans, assortment_made_and_loaded_s=round(load_s, 2), one_fdatasync_ms=round(floor_ms, 3)),
    )
