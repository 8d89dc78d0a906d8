"""Prices come down: what is held, charged, taken back and refused, at a real till with hands that are done at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from oppet.base.canonical import digest
from oppet.base.clock import utc_text
from oppet.goods.catalogue import Catalogue, in_slices
from oppet.goods.freshness import StoreMarkDown, StoreMarkDowns
from oppet.journal.kinds import AlarmRaised, Receipt
from oppet.journal.kinds_published import GoodsActivated, GoodsHeld, PublicationRefused
from oppet.release.found import Found, GoodsFound, Refused
from oppet.release.goods_intake import (
    FACTORY,
    Charged,
    Errand,
    GoodsIntake,
    Guidance,
    GuidanceText,
    Outcome,
    Weighed,
    weigh,
)
from oppet.release.terms import Goods, goods_name, markdown_name
from tests.register.world import ALVA, BREAD, CRISPS, MILK, SUNDAY, a_till, goods

HOUR = 3_600_000
DAY = 24 * HOUR


def a_document(made: str = "2026-11-20", drop: Sequence[str] = (), **ore: int) -> bytes:
    """The till's eight articles with other prices: `n1001=1790`."""
    articles = []
    for article in goods():
        if article.number in drop:
            continue
        if (other := ore.get(f"n{article.number}")) is not None:
            prices = tuple(structs.replace(price, ore=other, member_ore=None) for price in article.prices)
            article = structs.replace(article, prices=prices)  # noqa: PLW2901
        articles.append(article)
    document: dict[str, Any] = {"format": 1, "version": "p", "made": made, "articles": articles}
    return msgspec.json.encode(
        document | {"promotions": goods().promotions, "recalls": goods().recalls, "markdowns": goods().markdowns}
    )


FACTORY_DOCUMENT = a_document()


@dataclass
class Hands:
    """What is published, and a disk that outlives the run."""

    published: dict[str, bytes] = field(default_factory=dict)
    disk: dict[str, bytes] = field(default_factory=dict)
    charged: dict[str, Charged] = field(default_factory=dict)
    away: bool = False
    fetched: list[str] = field(default_factory=list)
    gone: list[Catalogue] = field(default_factory=list)
    errand: Errand | None = None

    def begin(self, errand: Errand) -> None:
        assert self.errand is None
        self.errand = errand

    def heard(self) -> Outcome | None:
        errand, self.errand = self.errand, None
        if errand is None:
            return None
        found = errand.found
        if found.sha256 not in self.disk:
            if self.away or found.sha256 not in self.published:
                return Outcome(errand, Weighed("away"))
            self.fetched.append(found.name)
            self.disk[found.sha256] = self.published[found.sha256]
        return Outcome(errand, drained(weigh(errand, self.disk[found.sha256], lambda: self.read(errand.base))))

    def read(self, sha256: str) -> Generator[None, None, Catalogue]:
        return (yield from in_slices(FACTORY_DOCUMENT if sha256 == FACTORY else self.disk[sha256]))

    def settled(self, charged: Mapping[str, Charged], keep: frozenset[str], gone: Catalogue | None) -> None:
        self.charged = dict(charged)
        self.disk = {sha256: data for sha256, data in self.disk.items() if sha256 in keep}
        if gone is not None:
            self.gone.append(gone)


def drained(slices: Generator[None, None, Weighed]) -> Weighed:
    while True:
        try:
            next(slices)
        except StopIteration as done:
            found = done.value
            assert isinstance(found, Weighed)
            return found


class Shop:
    """A till, its intake, and somebody who publishes to it."""

    def __init__(self, folder: Path) -> None:
        self.hands = Hands()
        self.till, self.world = a_till(folder)
        self.listed: list[GoodsFound] = []
        self.begin()

    def begin(self) -> None:
        self.intake = GoodsIntake(self.till.desk, self.hands, "S01", self.hands.charged)
        self.intake.start()

    def restart(self) -> None:
        """As after a power cut; the assortment on the disk is what it starts with."""
        kept = self.hands.charged.get("assortment")
        if kept is not None:
            self.world.catalogue = drain_catalogue(self.hands.read(kept.digest))
        self.till = self.world.start()
        self.till.sign_in(ALVA)
        self.begin()

    def publish(
        self, data: bytes, number: int, *, what: str = "assortment", at: int | None = None, wide: bool = False, **more: Any
    ) -> GoodsFound:  # fmt: skip
        sha256 = digest(data)
        self.hands.published[sha256] = data
        at = self.world.clock.instant if at is None else at
        said = Goods(what, number, utc_text(at), more.pop("withdraws", 0), more.pop("store", ""))
        name = markdown_name("S01", number) if what == "markdowns" else goods_name(what, number, wide=wide)
        found = GoodsFound(more.pop("name", name), len(data), sha256, said, wide)
        self.listed.append(found)
        return found

    def look(self, ticks: int = 6) -> None:
        self.intake.tick(Found(goods=tuple(self.listed)))
        self.tick(ticks)

    def tick(self, ticks: int = 6) -> None:
        for _ in range(ticks):
            self.intake.tick(None)

    def markdowns(self, *markdowns: StoreMarkDown, number: int = 1, store: str = "S01", **more: Any) -> GoodsFound:
        return self.publish(msgspec.json.encode(StoreMarkDowns(store, markdowns)), number, what="markdowns", **more)

    def price(self, number: str) -> int:
        return self.till.selling.pick(number).unit_ore

    def refusals(self) -> list[str]:
        return [body.why for body in self.world.bodies(PublicationRefused) if isinstance(body, PublicationRefused)]

    def alarms(self) -> int:
        return len(self.world.bodies(AlarmRaised))

    def activated(self) -> list[int]:
        return [body.number for body in self.world.bodies(GoodsActivated) if isinstance(body, GoodsActivated)]


def drain_catalogue(slices: Generator[None, None, Catalogue]) -> Catalogue:
    while True:
        try:
            next(slices)
        except StopIteration as done:
            found = done.value
            assert isinstance(found, Catalogue)
            return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_new_prices_are_held_written_down_and_charged(shop: Shop) -> None:
    found = shop.publish(a_document(n1001=1790), 1)
    shop.look()
    held, activated = shop.world.bodies(GoodsHeld)[0], shop.world.bodies(GoodsActivated)[0]
    assert held == GoodsHeld(found.name, found.sha256, 1, found.goods.valid_from)
    assert activated == GoodsActivated(found.name, found.sha256, 1, 8, 1, FACTORY)
    assert shop.price(MILK) == 1790
    assert shop.intake.digest == found.sha256
    assert len(shop.hands.gone) == 1


def test_rl12_prices_change_between_two_customers_and_a_parked_basket_keeps_its_own(shop: Shop) -> None:
    shop.till.selling.pick(BREAD)
    shop.till.selling.park()
    shop.till.selling.pick(MILK)
    shop.publish(a_document(n1001=1790, n1002=3300), 1)
    shop.look()
    assert shop.price(MILK) == 1690  # the customer who is here pays what stood on the shelf
    assert shop.activated() == []
    shop.till.selling.abandon("x")
    shop.tick()
    assert shop.activated() == [1]
    parked = next(iter(shop.till.desk.state.baskets))
    shop.till.selling.resume(parked)
    assert [line.added.unit_ore for line in shop.till.desk.basket().standing()] == [3250]
    assert shop.price(BREAD) == 3300


def test_prices_wait_for_their_time_and_come_with_the_cable_cut_and_after_a_restart(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1, at=SUNDAY + 2 * DAY)
    shop.look()
    assert (shop.activated(), [one.number for one in shop.intake.waiting()]) == ([], [1])
    shop.hands.away = True
    shop.listed.clear()
    shop.restart()
    shop.world.clock.pass_ms(DAY)
    shop.tick()
    assert shop.activated() == []
    shop.world.clock.pass_ms(DAY)
    shop.tick()
    assert shop.activated() == [1]
    assert shop.intake.waiting() == ()
    shop.restart()
    shop.tick()
    assert shop.price(MILK) == 1790
    assert shop.activated() == [1]
    assert len(shop.hands.fetched) == 1


def test_a_doubted_clock_changes_no_price_and_is_told_once(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1, at=SUNDAY + 10 * HOUR)
    shop.look()
    shop.world.clock.instant += 400 * DAY  # somebody sets the clock: the counter has not run
    shop.tick()
    shop.look()
    assert shop.activated() == []
    shop.world.clock.ticks += 11 * HOUR  # time passes while nobody knows the date: by the counter it is due
    shop.tick()
    shop.tick()
    assert (shop.activated(), shop.refusals(), shop.alarms()) == ([], ["clock"], 1)
    shop.world.clock.instant = SUNDAY + 11 * HOUR
    shop.tick()
    assert shop.activated() == [1]


def test_rl8_what_one_person_may_not_change_is_refused_once_and_the_till_sells_as_before(shop: Shop) -> None:
    shop.publish(a_document(n1001=9900), 1)
    shop.look()
    shop.look()
    shop.restart()
    shop.look()
    assert shop.refusals() == ["bounds"]
    assert shop.alarms() == 1
    assert shop.price(MILK) == 1690
    assert shop.hands.fetched == ["goods/assortment-1.json"]


def test_rl8_two_people_may_and_the_window_begins_anew_with_what_they_signed(shop: Shop) -> None:
    shop.publish(a_document(n1001=9900), 1, wide=True)
    shop.look()
    assert shop.activated() == [1]
    shop.publish(a_document(n1001=9500), 2)
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([1, 2], [])
    assert shop.price(MILK) == 9500


def test_rl8_a_file_within_bounds_that_comes_again_and_again_is_added_up(shop: Shop) -> None:
    ore = 1690
    for number in range(1, 7):
        ore = ore * 14 // 10
        shop.publish(a_document(n1001=ore), number)
        shop.look()
        shop.world.clock.pass_ms(60_000)
        if number == 3:
            shop.restart()
    assert shop.activated() == [1]
    assert shop.refusals() == ["bounds"] * 5
    assert shop.price(MILK) == 1690 * 14 // 10


def test_rl8_a_week_later_the_window_has_moved(shop: Shop) -> None:
    shop.publish(a_document(n1001=2300), 1)
    shop.look()
    shop.world.clock.pass_ms(8 * DAY)
    shop.publish(a_document(n1001=3000), 2)
    shop.look()
    assert shop.activated() == [1, 2]


def test_what_was_published_wrong_is_taken_back_by_one_person(shop: Shop) -> None:
    right, wrong = a_document(n1001=1650), a_document(n1001=9900)
    shop.publish(right, 1)
    shop.look()
    shop.publish(wrong, 2, wide=True)
    shop.look()
    shop.publish(right, 3, withdraws=2)
    shop.look()
    assert shop.activated() == [1, 2, 3]
    assert shop.price(MILK) == 1650


def test_what_is_taken_back_before_its_time_never_comes(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1, at=SUNDAY + DAY)
    shop.look()
    shop.publish(a_document(), 2, at=SUNDAY + 2 * DAY, withdraws=1)
    shop.look()
    shop.world.clock.pass_ms(DAY + HOUR)
    shop.tick()
    assert shop.activated() == []


def test_an_older_number_is_refused(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 5)
    shop.look()
    shop.listed.clear()
    shop.publish(a_document(n1001=1650), 4)
    shop.look()
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([5], ["older"])
    assert shop.price(MILK) == 1790


def test_of_several_that_are_due_only_the_newest_is_charged(shop: Shop) -> None:
    for number, ore in enumerate((1700, 1710, 1720), 1):
        shop.publish(a_document(n1001=ore), number, at=SUNDAY - HOUR)
    shop.look()
    assert shop.activated() == [3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{}", "malformed"),
        (b'{"format":1,"version":"p","made":"2026-11-20","articles":[]}', "malformed"),
        (a_document(made="2027-06-01"), "malformed"),
    ],
)
def test_what_is_no_assortment_is_refused(shop: Shop, data: bytes, why: str) -> None:
    shop.publish(data, 1, wide=True)
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([], [why])


def test_g8_one_bad_article_is_set_aside_and_many_refuse_the_whole(shop: Shop) -> None:
    def spoilt(count: int) -> bytes:
        document = msgspec.json.decode(a_document(n1001=1790))
        document["articles"] += [{"number": f"bad{n}"} for n in range(count)]
        return msgspec.json.encode(document)

    shop.publish(spoilt(1), 1)
    shop.look()
    shop.publish(spoilt(12), 2)
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([1], ["malformed"])


def test_what_nobody_has_is_asked_for_again_at_the_next_look(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1)
    shop.hands.away = True
    shop.look()
    shop.hands.away = False
    shop.tick()
    assert shop.activated() == []
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([1], [])


def test_rl10_what_did_not_verify_is_told_once(shop: Shop) -> None:
    refused = Refused("goods", "threshold", "chain", "goods/assortment-3.json", "node", "1 of 2")
    for _ in range(3):
        shop.intake.tick(Found(refused=(refused,)))
    assert (shop.refusals(), shop.alarms()) == (["threshold"], 1)


def test_a_new_epoch_writes_down_what_its_disk_charges(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1)
    shop.look()
    shop.world.epoch = 2
    shop.restart()
    assert shop.activated() == [1]
    shop.look()
    assert shop.activated() == [1]
    shop.till.drawer.set_float(50_000)
    assert shop.price(MILK) == 1790


def test_guidance_is_shown_while_its_time_is(shop: Shop) -> None:
    texts = (
        GuidanceText("Kortbetalning går långsamt.", "2026-11-22T08:00", "2026-11-22T11:00"),
        GuidanceText("Sälj inte Rågbröd.", "2026-11-22", important=True),
    )
    shop.publish(msgspec.json.encode(Guidance(texts)), 1, what="guidance")
    shop.look()
    assert [one.text for one in shop.intake.guidance.now("2026-11-22T10:00")] == [texts[1].text, texts[0].text]
    assert [one.text for one in shop.intake.guidance.now("2026-11-22T12:00")] == [texts[1].text]
    shop.restart()
    shop.tick()
    assert len(shop.intake.guidance.texts) == 2
    assert shop.activated() == [1]


# --- the store's own mark-downs

SHORT = StoreMarkDown("2026-11-23", "Kort datum", article=BREAD, percent=50)


def test_rl9_a_store_lowers_its_own_prices_and_the_receipt_says_why(shop: Shop) -> None:
    shop.markdowns(SHORT, StoreMarkDown("2026-11-23", "Sista dagen", gtin="07310865004703", price_ore=1000))
    shop.look()
    till = shop.till
    till.selling.pick(BREAD)
    till.selling.pick(MILK)
    lines = till.desk.priced(till.desk.basket()).lines
    assert [(line.net_ore, line.discounts[0].text) for line in lines] == [(1625, "Kort datum"), (1000, "Sista dagen")]
    till.checkout.pay("card", 2_625)
    receipt = shop.world.bodies(Receipt)[0]
    assert isinstance(receipt, Receipt)
    assert [line.discounts[0].text for line in receipt.lines] == ["Kort datum", "Sista dagen"]
    shop.restart()
    shop.tick()
    till = shop.till
    till.selling.pick(BREAD)
    assert till.desk.priced(till.desk.basket()).total_ore == 1625
    shop.world.clock.pass_ms(DAY)
    assert till.desk.priced(till.desk.basket()).total_ore == 3250


def test_rl9_mark_downs_stay_when_new_prices_come_and_are_measured_by_them(shop: Shop) -> None:
    shop.markdowns(SHORT)
    shop.look()
    shop.publish(a_document(n1002=3000), 1)
    shop.look()
    shop.till.selling.pick(BREAD)
    assert shop.till.desk.priced(shop.till.desk.basket()).total_ore == 1500


@pytest.mark.parametrize(
    "markdown",
    [
        StoreMarkDown("2026-11-23", "Dyrare", article=BREAD, price_ore=4000),
        StoreMarkDown("2026-11-23", "Nästan gratis", article=BREAD, price_ore=100),
        StoreMarkDown("2026-11-23", "Gratis", article=BREAD, percent=100),
        StoreMarkDown("2027-11-23", "För alltid", article=BREAD, percent=10),
    ],
)
def test_rl9_a_node_that_is_owned_neither_raises_a_price_nor_gives_goods_away(
    shop: Shop, markdown: StoreMarkDown
) -> None:
    shop.markdowns(markdown, SHORT)
    shop.look()
    assert (shop.activated(), shop.refusals(), shop.alarms()) == ([], ["no_markdown"], 1)
    shop.till.selling.pick(BREAD)
    assert shop.till.desk.priced(shop.till.desk.basket()).total_ore == 3250


def test_rl9_a_node_that_is_owned_does_not_mark_down_the_whole_shop(shop: Shop) -> None:
    shop.markdowns(*(StoreMarkDown("2026-11-23", "Allt", article=str(number), percent=50) for number in range(60)))
    shop.look()
    assert shop.refusals() == ["no_markdown"]


def test_rl9_another_stores_mark_downs_are_refused(shop: Shop) -> None:
    shop.markdowns(SHORT, store="S02")
    shop.markdowns(SHORT, number=2, name="store/S02/markdowns-2.json")
    shop.markdowns(SHORT, number=3, store="S01")
    shop.listed[-1] = structs_goods(shop.listed[-1], "S02")
    shop.look()
    assert shop.refusals() == ["other_store"] * 3
    assert shop.activated() == []


def structs_goods(found: GoodsFound, store: str) -> GoodsFound:
    return GoodsFound(found.name, found.length, found.sha256, structs.replace(found.goods, store=store), found.wide)


def test_rl9_a_stores_key_publishes_no_assortment(shop: Shop) -> None:
    shop.publish(a_document(n1001=1790), 1, name="store/S01/assortment-1.json")
    shop.publish(a_document(n1001=1790), 2, name="store/S01/markdowns-2.json")
    shop.look()
    assert (shop.activated(), shop.refusals()) == ([], ["malformed"] * 2)
    assert shop.price(MILK) == 1690


def test_rl9_a_mark_down_and_an_offer_are_not_added_together(shop: Shop) -> None:
    shop.markdowns(StoreMarkDown("2026-11-23", "Kort datum", article=CRISPS, percent=20))
    shop.look()
    for _ in range(3):
        shop.till.selling.pick(CRISPS)
    assert shop.till.desk.priced(shop.till.desk.basket()).total_ore == 5000  # three for two is the better one
