"""Publications at head office for pages and pictures: one in force, one that one person may sign, one that takes two, and guidance."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import zstandard

from oppet.base.clock import parse_utc, utc_text
from oppet.drivers.hq_publications import HqPublications
from oppet.goods.assortment import PriceChange, changed
from oppet.goods.catalogue import Catalogue, decode
from oppet.hq import web_publish
from oppet.release.goods_intake import Guidance, GuidanceText
from oppet.yardstick.store import demo_assortment
from tests.hq.demo_sales import Place
from tests.hq.publishing import ALVA, WORDS, a_chain
from tests.hq.sold import a_day, chained, envelopes
from tests.register.world import COLA, CRISPS, MILK, goods

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS


def prepare(place: Place, folder: Path) -> HqPublications:
    """Make the chain's repository under `folder` and fill head office's desk. Bo is who looks."""
    now = place.clock.now()
    tree, keys = a_chain(folder, now - WEEK_MS)
    (folder / "factory.json").write_bytes(factory())
    store = HqPublications(place.pool, tree, keys, folder / "factory.json")
    place.context.more[web_publish.MORE] = store
    _yesterday(place)
    first = changed(factory(), "week-47", "2026-11-16", [PriceChange(MILK, 1_690)])
    number = store.make("assortment", "Vecka 47", first, utc_text(now - 96 * HOUR_MS), ALVA, now - WEEK_MS)
    store.sign(number, 1, ALVA, WORDS[ALVA], 1, now - WEEK_MS)
    store.publish(number, 1, ALVA, 1, now - WEEK_MS)
    based_on = store.draft(number).digest
    begins = parse_utc("2026-11-23T05:00:00.000Z")
    since, articles = "2026-11-23T06:00", [one for one in decode(first) if one.pant is None and one.unit == "st"]
    some = [PriceChange(MILK, 1_790), PriceChange(COLA, 1_350), PriceChange(CRISPS, 2_390)]
    some += [
        PriceChange(one.number, one.prices[0].ore * (104 + at % 5) // 1000 * 10)
        for at, one in enumerate(articles[20:29])
    ]
    offer = {
        "id": "v48-chips", "text": "2 för 40 kr", "kind": "n_for_price", "buy": 2, "price_ore": 4_000, "articles": [CRISPS],
        "valid_from": since, "valid_to": "2026-11-30",
    }  # fmt: skip
    week = changed(first, "week-48", since, some, [offer])
    store.make("assortment", "Vecka 48", week, utc_text(begins), ALVA, now - 2 * HOUR_MS, based_on=based_on)
    many = [PriceChange(one.number, one.prices[0].ore * 6 // 10) for one in articles[: len(articles) // 3]]
    sale = changed(first, "christmas", "2026-12-14T06:00", many)
    begins = parse_utc("2026-12-14T05:00:00.000Z")
    number = store.make("assortment", "Julrea", sale, utc_text(begins), ALVA, now - HOUR_MS, based_on=based_on)
    store.sign(number, 1, ALVA, WORDS[ALVA], 2, now - HOUR_MS)
    text = "Kortterminalerna kan vara långsamma i dag. Swish och kontanter går bra."
    said = Guidance((GuidanceText(text, "2026-11-20", "2026-11-21", important=True),))
    store.make("guidance", "Besked om kort", msgspec.json.encode(said), utc_text(now), ALVA, now)
    return store


def factory() -> bytes:
    """The demo's assortment with the goods that the tests' tills sell."""
    whole = msgspec.json.decode(demo_assortment())
    sold: Catalogue = goods()
    mine = {gtin for one in sold for gtin in one.gtins} | {one.number for one in sold}
    others = [one for one in whole["articles"] if one["number"] not in mine and mine.isdisjoint(one.get("gtins", ()))]
    offers = [*whole["promotions"], *sold.promotions]
    return msgspec.json.encode({**whole, "articles": [*sold, *others], "promotions": offers})


def _yesterday(place: Place) -> None:
    """Receipts of the day before, as a till's entries and nowhere else: the figures of sales stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        said = envelopes(a_day(Path(folder), 40, "S04-K8"))
    began, start = parse_utc(said[0]["time"]), parse_utc("2026-11-19T07:05:00.000Z")
    for envelope in said:
        moved = start - began
        envelope["time"] = utc_text(parse_utc(envelope["time"]) + moved)
        for line in envelope["body"].get("lines", ()) if envelope["kind"] == "receipt" else ():
            line["time"] = utc_text(parse_utc(line["time"]) + moved)
    history = chained(said, "S04-K8")
    data = zstandard.ZstdCompressor().compress(b"\n".join(history.entries))
    with place.pool.transaction() as t:
        t.do(
            "INSERT INTO chunk SELECT 'S04', '2026-11-19', 8, 1, %s, '', '', '', '', '', now(), 1, %s",
            len(history.entries), data,
        )  # fmt: skip
