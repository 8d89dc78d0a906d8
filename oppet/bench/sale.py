"""`oppet bench sale`: a complete cash sale of 12 lines with a member price and a promotion, every step on disk.

The ceiling is as many bare fdatasync appends of the same bytes on the same disk, before and after.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from oppet.drivers.journal_file import JournalFile
from oppet.goods.catalogue import Catalogue, decode
from oppet.register.till import Till
from oppet.yardstick.measure import appends_per_s, conditions, percentiles, result, signature_us
from oppet.yardstick.store import demo_assortment, open_for_bench, scratch

__all__ = ["basket_codes", "run", "sell"]

LINES = 12


def basket_codes(catalogue: Catalogue) -> tuple[list[str], list[str]]:
    """Codes of 12 articles without deposit: three that share an n-for-m offer, one with a member price, the rest plain."""
    offered: list[str] = []
    plain: list[str] = []
    member: list[str] = []
    mixes = [p.mix for p in catalogue.promotions if p.kind == "n_for_m" and p.buy == 3 and p.mix and not p.member]
    articles = [catalogue.article(number) for number in sorted(catalogue.numbers())]
    for article in articles:
        if article.unit != "st" or article.pant or article.age or not article.gtins:
            continue
        code = article.gtins[0][1:]
        if any(mix in article.mixes for mix in mixes[:1]):
            offered.append(code)
        elif any(price.member_ore for price in article.prices):
            member.append(code)
        elif not article.mixes:
            plain.append(code)
    return (offered * 3)[:3] + member[:1] + plain[: LINES - 4], member[:1]


def sell(till: Till, codes: list[str]) -> None:
    till.selling.scan(codes[0])
    till.selling.member("BENCHMEMBER01")
    for code in codes[1:]:
        till.selling.scan(code)
    outcome = till.checkout.pay("cash", 200_000)
    assert outcome.kind == "done", outcome


def _group_sizes(journal: JournalFile, till: Till, codes: list[str]) -> list[int]:
    """The bytes of each durable group of one sale, as the journal was given them."""
    sizes: list[int] = []
    append = journal.append

    def counting(*words: Any, **more: Any) -> Any:
        before = journal.head.seq
        written = append(*words, **more)
        sizes.append(sum(len(journal.raw(seq)) for seq in range(before + 1, journal.head.seq + 1)))
        return written

    journal.append = counting  # type: ignore[method-assign]
    sell(till, codes)
    del journal.append
    return sizes


def run(sales: int = 400) -> dict[str, Any]:
    """Measure. Figures: CPU of the till's process a sale, sales a second, p50 and p99; ratio to the bare appends."""
    with scratch() as folder:
        catalogue = decode(demo_assortment())
        till, journal = open_for_bench(folder, catalogue)
        codes, _ = basket_codes(catalogue)
        sizes = _group_sizes(journal, till, codes)
        for _ in range(50):
            sell(till, codes)
        before = appends_per_s(folder, sizes, 60)
        seconds, cpus, signs = [], [], [signature_us()]
        for sale in range(sales):
            if sale % 50 == 0:
                signs.append(signature_us(100))
            began, cpu = time.perf_counter(), time.process_time()
            sell(till, codes)
            seconds.append(time.perf_counter() - began)
            cpus.append(time.process_time() - cpu)
        after = appends_per_s(folder, sizes, 60)
        receipt = till.desk.state.last_total_ore
        journal.close()
    rate = sales / sum(seconds)
    ceiling = (before + after) / 2 / len(sizes)
    return result(
        "sale",
        {
            "cpu_ms": round(sum(cpus) / sales * 1e3, 3),
            "cpu_p50_ms": percentiles("", cpus)["p50_ms"],
            "sales_per_s": round(rate, 1),
            **percentiles("", seconds),
            "durable_groups": len(sizes),
            "bytes": sum(sizes),
            "total_ore": receipt,
        },
        {
            "fsync": round(rate / ceiling, 3),
            "cpu_in_signatures": round(sum(cpus) / sales * 1e6 / statistics.mean(signs), 1),
        },
        conditions(
            sales=sales,
            ceiling="as many bare fdatasync appends of the same bytes on the same disk",
            ceiling_before_sales_per_s=round(before / len(sizes), 1),
            ceiling_after_sales_per_s=round(after / len(sizes), 1),
            control_unit="in process, answers at once",
            user_and_system="CPU of the till's process, the kernel's share of the disk included",
            one_ed25519_signature_us=round(statistics.mean(signs), 1),
        ),
    )
