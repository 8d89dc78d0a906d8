"""Goods from a signed repository to the till's own disk and back after a restart: real lists, real files, a real thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from oppet.base.clock import utc_text
from oppet.drivers.goods_hands import GoodsHands, fetch_by, start_with
from oppet.drivers.publication_sources import FolderSource
from oppet.drivers.publications import Publications
from oppet.goods.catalogue import Catalogue, decode
from oppet.goods.freshness import StoreMarkDown, StoreMarkDowns
from oppet.journal.kinds_published import GoodsActivated, PublicationRefused
from oppet.register.till import Till
from oppet.release.goods_intake import GoodsIntake
from oppet.release.terms import Goods
from tests.register.world import BREAD, MILK, SUNDAY, World, a_till
from tests.release.signed import World as Signed
from tests.release.signed import a_world
from tests.release.test_goods_intake import FACTORY_DOCUMENT, a_document

DAY = 86_400_000


class Line:
    """One till's end of the pipe: what it looks with, its folder, its intake."""

    def __init__(self, folder: Path, signed: Signed, till: Till) -> None:
        self.folder, self.base, self.till = folder / "goods", signed.base, till
        self.source = FolderSource("node", signed.base)
        self.publications = Publications(folder / "trust", signed.roots, "S01")
        _, kept = start_with(self.folder, factory)
        self.hands = GoodsHands(
            self.folder, fetch_by(self.publications, [self.source]), lambda: FACTORY_DOCUMENT, sleep=none
        )
        self.intake = GoodsIntake(till.desk, self.hands, "S01", kept)
        self.intake.start()

    def look(self, now: int) -> None:
        self.intake.tick(self.publications.look([FolderSource("look", self.base)], now))

    def until(self, true: Callable[[], bool]) -> None:
        """Ticks as the till's page does, at most ten seconds."""
        wait = threading.Event()
        for _ in range(2000):
            self.intake.tick(None)
            if true():
                return
            wait.wait(0.005)
        raise AssertionError("it never came")


def none(_: float) -> None:
    """Rests are for a till that sells."""


def factory() -> Catalogue:
    return decode(FACTORY_DOCUMENT)


@contextmanager
def a_line(folder: Path, signed: Signed, till: Till) -> Iterator[Line]:
    line = Line(folder, signed, till)
    try:
        yield line
    finally:
        line.hands.close()


def numbers(world: World) -> list[int]:
    return [body.number for body in world.bodies(GoodsActivated) if isinstance(body, GoodsActivated)]


def test_prices_go_from_a_publishers_key_to_the_till_and_are_there_after_a_restart(tmp_path: Path) -> None:
    signed = a_world(tmp_path / "world")
    till, world = a_till(tmp_path / "till")
    at = utc_text(SUNDAY)
    signed.goods(a_document(n1001=1790), Goods("assortment", 1, at))
    with a_line(tmp_path, signed, till) as line:
        line.look(SUNDAY)
        line.until(lambda: numbers(world) == [1])
        signed.goods(a_document(n1001=1850), Goods("assortment", 2, at))
        line.look(SUNDAY)
        line.until(lambda: numbers(world) == [1, 2])
        assert till.selling.pick(MILK).unit_ore == 1850
        till.selling.abandon("")
    catalogue, kept = start_with(tmp_path / "goods", factory)
    assert catalogue.article(MILK).prices[0].ore == 1850
    assert kept["assortment"].number == 2
    assert len(list((tmp_path / "goods").iterdir())) == 3  # both, for the window, and what says which


def test_rl9_a_stores_mark_downs_reach_it_by_its_own_key(tmp_path: Path) -> None:
    signed = a_world(tmp_path / "world", stores=("S01",))
    till, world = a_till(tmp_path / "till")
    said = StoreMarkDowns("S01", (StoreMarkDown("2026-11-23", "Kort datum", article=BREAD, percent=50),))
    signed.markdowns("S01", msgspec.json.encode(said), Goods("markdowns", 1, utc_text(SUNDAY), store="S01"))
    with a_line(tmp_path, signed, till) as line:
        line.look(SUNDAY)
        line.until(lambda: numbers(world) == [1])
    till.selling.pick(BREAD)
    assert till.desk.priced(till.desk.basket()).total_ore == 1625


def test_rl9_a_stores_key_lists_an_assortment_and_no_till_takes_it(tmp_path: Path) -> None:
    signed = a_world(tmp_path / "world", stores=("S01",))
    till, world = a_till(tmp_path / "till")
    thief, key = signed.stores["S01"], signed.store_keys["S01"]
    thief.add(
        "markdowns",
        "store/S01/assortment-9.json",
        a_document(n1001=100),
        Goods("assortment", 9, utc_text(SUNDAY)),
        now=signed.now,
    )
    thief.sign("markdowns", [key])
    thief.publish(key, signed.now)
    with a_line(tmp_path, signed, till) as line:
        line.look(SUNDAY)
        line.until(lambda: bool(world.bodies(PublicationRefused)))
    assert numbers(world) == []
    assert till.selling.pick(MILK).unit_ore == 1690


def test_a_file_on_the_disk_that_was_changed_is_not_charged(tmp_path: Path) -> None:
    signed = a_world(tmp_path / "world")
    till, world = a_till(tmp_path / "till")
    name = signed.goods(a_document(n1001=1790), Goods("assortment", 1, utc_text(SUNDAY)))
    with a_line(tmp_path, signed, till) as line:
        line.look(SUNDAY)
        line.until(lambda: numbers(world) == [1])
    assert name == "goods/assortment-1.json"
    for path in (tmp_path / "goods").glob("[0-9a-f]*"):
        if path.name != "charged.json":
            path.write_bytes(path.read_bytes().replace(b"1790", b"0001"))
    catalogue, kept = start_with(tmp_path / "goods", factory)
    assert (catalogue.article(MILK).prices[0].ore, dict(kept)) == (1690, {})
    world.catalogue = catalogue
    till = world.start()
    with a_line(tmp_path, signed, till) as line:  # the journal knows what was charged: it is fetched again
        line.look(SUNDAY)
        line.until(lambda: line.intake.activations > 0)
        assert till.desk.catalogue.article(MILK).prices[0].ore == 1790
