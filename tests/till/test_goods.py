"""A till over a real repository in a folder: prices and guidance that came down are charged, shown, and there at the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from oppet.base.clock import utc_text
from oppet.drivers.clock import SystemClock
from oppet.release.goods_intake import Guidance, GuidanceText
from oppet.release.terms import Goods
from oppet.till.main import Opened
from oppet.till.views_updates import guidance
from tests.drivers.test_upload import until
from tests.release.chain import a_pace
from tests.release.signed import a_world
from tests.till.test_epochs import GOODS, running
from tests.till.test_updates import a_till


def dearer(by: int) -> bytes:
    """The settings' own assortment with other prices."""
    document: dict[str, Any] = {**GOODS}
    articles = [
        {**one, "prices": [{**price, "ore": price["ore"] + by} for price in one["prices"]]}
        for one in document["articles"]
    ]
    return msgspec.json.encode({**GOODS, "version": "published", "articles": articles})


def prices(opened: Opened) -> list[int]:
    return [article.prices[-1].ore for article in opened.till.desk.catalogue]


def test_rl6_what_came_down_is_charged_and_is_there_with_no_source_in_reach(tmp_path: Path) -> None:
    now = SystemClock().now()
    world = a_world(tmp_path / "w", now=now, pace=a_pace())
    world.goods(dearer(10), Goods("assortment", 1, utc_text(now - 1000)), publish=False)
    said = Guidance((GuidanceText("Sälj inte Rågbröd.", "2026-01-01"),))
    world.goods(msgspec.json.encode(said), Goods("guidance", 1, utc_text(now - 1000)))
    settings = a_till(tmp_path, world)
    with running(settings) as opened:
        factory, updates = prices(opened), opened.updates
        assert updates is not None

        def came() -> bool:
            updates.tick()
            return updates.goods is not None and updates.goods.activations == 2

        updates.takers.look()
        until(came)
        assert prices(opened) == [ore + 10 for ore in factory]
        assert [one.text for one in guidance(opened.till, updates)] == ["Sälj inte Rågbröd."]
        assert updates.goods is not None
        assert updates.hands.goods() == updates.goods.digest

    world.base.rename(tmp_path / "away")
    with running(settings) as opened:
        assert prices(opened) == [ore + 10 for ore in factory]
        assert opened.till.desk.state.prices == "published"
