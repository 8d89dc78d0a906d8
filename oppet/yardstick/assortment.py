"""A full store's assortment for the benchmarks: the demo's real articles, filled up with invented ones.

Synthetic barcodes stay in the ranges that GS1 leaves to shops (02, 04, 26-29), so none can be mistaken for a real
article. The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec
from biip.checksums import gs1_standard_check_digit

__all__ = ["ARTICLES", "PROMOTIONS", "SEED", "filled_up"]

SEED: Final = 4711
ARTICLES: Final = 100_000
PROMOTIONS: Final = 200
RANGES: Final = ("02", "04", "26", "27", "28", "29")
BRANDS: Final = (
    "Almgrens Björkviks Ceders Dalbo Ekeby Fagerviks Granliden Hallsta Idala Junibacken Kullens Lindviks Malmens "
    "Norrby Olofsbo Pilgårdens Rönninge Solbacka Tallmons Ulvsby Vikens Åkerbo Ängsö Östlyckans"
).split()
GOODS: Final = (
    "mjölk filmjölk yoghurt ost smör grädde bröd limpa knäckebröd bullar kex müsli flingor havregryn pasta ris mjöl "
    "socker salt peppar kanel kaffe te kakao saft juice läsk vatten chips nötter choklad godis glass pizza lasagne "
    "köttbullar korv skinka bacon lax sill räkor ärtor majs bönor tomater gurka potatis morötter äpplen päron soppa "
    "sås ketchup senap majonnäs dressing olja vinäger honung sylt marmelad tvål schampo diskmedel tvättmedel papper"
).split()
KINDS: Final = (
    "ekologisk naturell klassisk grov fin lätt extra mild stark rökt färsk fryst laktosfri glutenfri osaltad saltad "
    "söt syrlig vanilj jordgubb blåbär hallon citron apelsin örter vitlök dill gräddfil paprika original special"
).split()
SIZES: Final = ((250, "kg"), (400, "kg"), (500, "kg"), (750, "kg"), (1000, "kg"), (330, "l"), (1000, "l"), (1500, "l"))
GROUPS: Final = ("Mejeri", "Bröd", "Skafferi", "Dryck", "Snacks", "Konfektyr", "Fryst", "Kött & chark", "Hushåll")


def filled_up(real: bytes, count: int = ARTICLES, promotions: int = PROMOTIONS, seed: int = SEED) -> bytes:
    """An assortment document of `count` articles and `promotions` campaigns; `real` is a merged document."""
    document: dict[str, Any] = msgspec.json.decode(real)
    chance = Random(seed)
    articles = document["articles"][:count]
    articles += [_article(place, chance) for place in range(count - len(articles))]
    document["version"] = f"bench-{seed}-{count}"
    document["articles"] = articles
    found = document["promotions"][:promotions]
    found += _campaigns(promotions - len(found), count, chance)
    document["promotions"] = found
    return msgspec.json.encode(document)


def _article(place: int, chance: Random) -> dict[str, Any]:
    start = RANGES[place % len(RANGES)]
    body = f"{start}5{place:09d}"
    content, unit = chance.choice(SIZES)
    ore = chance.randrange(9, 120) * 100 - chance.choice((5, 10, 50))
    price: dict[str, Any] = {"valid_from": "2026-10-05", "ore": ore}
    if chance.random() < 0.08:
        price["member_ore"] = ore * 9 // 10
    kind = f"{chance.choice(KINDS)} {chance.choice(KINDS)}"
    return {
        "number": str(200_000 + place),
        "name": f"{chance.choice(BRANDS)} {chance.choice(GOODS)} {kind} {content} {'g' if unit == 'kg' else 'ml'}",
        "group": chance.choice(GROUPS),
        "vat": "food" if chance.random() < 0.9 else "general",
        "unit": "st",
        "prices": [price],
        "gtins": [f"0{body}{gs1_standard_check_digit(body)}"],
        "content_milli": content,
        "content_unit": unit,
    }


def _campaigns(count: int, articles: int, chance: Random) -> Iterator[dict[str, Any]]:
    """Campaigns of ten articles each, all kinds in turn."""
    kinds: tuple[dict[str, Any], ...] = (
        {"kind": "n_for_m", "buy": 3, "pay": 2, "text": "3 för 2"},
        {"kind": "n_for_price", "buy": 2, "price_ore": 4000, "text": "2 för 40 kr"},
        {"kind": "percent", "percent": 20, "text": "20 % rabatt"},
        {"kind": "amount", "price_ore": 500, "text": "5 kr rabatt"},
        {"kind": "percent", "percent": 15, "member": True, "text": "15 % för medlem"},
    )
    for place in range(count):
        numbers = sorted(chance.sample(range(200_000, 200_000 + max(10, articles - 5_000)), 10))
        terms = kinds[place % len(kinds)]
        yield {"id": f"B{place:03d}", "valid_from": "2026-11-01", "articles": [str(n) for n in numbers], **terms}
