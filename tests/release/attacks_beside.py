"""The rest of the table: attacks on wires, files, slots, rebuilds and prices, where the thief's keys change little or everything.

A row here runs once for each word that may come of it; a column that holds nothing for it says so, with the reason. Prices are judged
at a till by the real intake for goods, files by the drivers that meet them.
"""

from __future__ import annotations

import http.server
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from oppet.drivers import images, launcher
from oppet.drivers.obtaining import obtain_image
from oppet.drivers.publication_sources import FolderSource, HttpSource
from oppet.drivers.publications import Publications
from oppet.goods.freshness import StoreMarkDown
from oppet.release.errors import TargetRefusedError
from oppet.release.found import Refused
from oppet.release.terms import markdown_name
from tests.drivers.releases import a_note, raw, software_of
from tests.drivers.test_images import GOOD, HEAD, HOSTILE
from tests.drivers.test_obtaining import damaged
from tests.drivers.trees import FolderReader, a_tree
from tests.register.world import BO, BREAD, MILK
from tests.release.attacks import DAY, NOTHING, POISON, SHORT, Scene
from tests.release.forging import COLUMNS
from tests.release.signed import NOW
from tests.release.test_goods_intake import Shop, a_document

__all__ = ["BESIDE", "Beside"]

FAR: Final = 400 * DAY
Run = Callable[[Scene, Path], str]


@dataclass(frozen=True)
class Beside:
    """`runs` gives for each word how it comes about; `cells` the word for each column, or "–" with the reason."""

    name: str
    runs: Mapping[str, Run]
    cells: Mapping[str, str]


def _every(word: str) -> Mapping[str, str]:
    return dict.fromkeys(COLUMNS, word)


# --- wires and what is carried


class _Drip(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4000")
        self.end_headers()
        for _ in range(200):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.02)

    def log_message(self, *args: object) -> None:
        pass


def _slow(scene: Scene, _: Path) -> str:
    """Two bytes and then two more, for as long as anybody listens."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Drip)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    victim = scene.victim()
    source = HttpSource("node", f"http://127.0.0.1:{server.server_port}", limits=SHORT)
    try:
        victim.look(source)
        victim.recovers()
        victim.stands()
        return ", ".join(sorted(victim.words()))
    finally:
        source.close()
        server.shutdown()
        server.server_close()
        thread.join()
        victim.close()


def _stick(scene: Scene, folder: Path) -> str:
    """Lists that are links out of the stick, a pipe that holds whoever reads it; what is honest beside it is used."""
    stick = folder / "stick"
    shutil.copytree(scene.honest, stick)
    for party in ("vendor", "chain"):
        stamp = stick / party / "metadata" / "timestamp.json"
        stamp.unlink()
        if party == "vendor":
            stamp.symlink_to(scene.honest / party / "metadata" / "timestamp.json")
        else:
            os.mkfifo(stamp)
    victim = scene.victim()
    try:
        found = victim.look(FolderSource("stick", stick, SHORT), FolderSource("node", scene.honest, SHORT))
        assert [one.software.release for one in found.agreed] == [3, 2, 1]
        victim.stands()
        return ", ".join(sorted(victim.words())) or NOTHING
    finally:
        victim.close()


def _two_faces(_: Scene, folder: Path) -> str:
    """A cache gives one till other bytes than another gives it."""
    tree = a_tree(folder / "pub")
    told: list[Refused] = []
    sources = [FolderReader(tree.base, "cleo", damaged), FolderReader(tree.base)]
    done = obtain_image(tree.index, tree.software, (), sources, folder / "image.tar", tell=told.append)
    assert done.path.read_bytes() == tree.image
    return told[-1].why


# --- files of a release


def _bundle(*whats: str) -> Run:
    def run(_: Scene, folder: Path) -> str:
        words = set()
        for number, what in enumerate(whats):
            image = folder / f"{number}.tar"
            image.write_bytes(raw(*HOSTILE[what]))
            with pytest.raises(TargetRefusedError) as refused:
                images.unpack(image, software_of(image, a_note()), folder / f"slot-{number}")
            words.add(str(refused.value.facts["why"]))
            assert not (folder / f"slot-{number}").exists()
        return ", ".join(sorted(words))

    return run


def _slot(scene: Scene, folder: Path) -> str:
    """A file of the slot is changed after it was checked: the launcher sees it, and so does the till that asks for the switch."""
    image = folder / "image.tar"
    image.write_bytes(raw(HEAD, GOOD))
    images.unpack(image, software_of(image, a_note()), folder / "slot")
    manifest = images.note_compiled(folder / "slot")
    digest = sha256(image.read_bytes()).hexdigest()
    launcher.verify(folder / "slot", digest, manifest)
    place = next(path for path in (folder / "slot" / "lib").rglob("*.py"))
    place.chmod(0o644)
    place.write_bytes(POISON)
    with pytest.raises(launcher.SlotChangedError):
        launcher.verify(folder / "slot", digest, manifest)
    victim = scene.victim(canary=True)
    try:
        victim.slots.changed = True
        victim.look(scene.honest)
        victim.stands()
        assert not victim.installs()
        return ", ".join(sorted(victim.words()))
    finally:
        victim.close()


# --- a till without a memory, a till with another time


def _rebuild(scene: Scene, folder: Path) -> str:
    """Old genuine repositories, and a blank till whose signed installer knows a floor."""
    blank = Publications(folder / "blank", scene.world.roots, "S09")
    found = blank.verify_for_rebuild([FolderSource("node", scene.before, SHORT)], NOW, floor=2)
    assert found.agreed == ()
    return ", ".join(sorted({one.why for one in found.refused}))


def _neighbours(scene: Scene, folder: Path) -> str:
    """The same, where a neighbour till shows how far it has come."""
    blank = Publications(folder / "blank", scene.world.roots, "S09")
    old, peer = FolderSource("node", scene.before, SHORT), FolderSource("till 2", scene.honest, SHORT)
    found = blank.verify_for_rebuild([old], NOW, floor=1, peers=[peer])
    assert found.agreed == ()
    return ", ".join(sorted({one.why for one in found.refused}))


def _clock(scene: Scene, _: Path) -> str:
    """Somebody sets the clock a year ahead so that the dwell were over, and a supervisor believes it: only running counts."""
    victim = scene.victim()
    try:
        victim.look(scene.honest)
        second = victim.found.agreed[1].software.image
        assert victim.waits(second) == "dwell"
        victim.shop.clock.instant += FAR
        victim.look(scene.honest)
        assert victim.waits(second) == "clock"
        victim.till.desk.confirm_time(None, BO)
        victim.look(scene.honest)
        assert not victim.installs()
        candidate = victim.intake.candidate
        assert candidate is None or candidate.dwelt_ms < 60 * 60_000
        victim.stands()
        return ", ".join(sorted(victim.words())) or NOTHING
    finally:
        victim.close()


# --- prices


def _shop(folder: Path) -> Shop:
    return Shop(folder / "shop")


def _too_much(_: Scene, folder: Path) -> str:
    shop = _shop(folder)
    shop.publish(a_document(n1001=9900), 1)
    shop.look()
    assert shop.price(MILK) == 1690
    return _told(shop)


def _creep(_: Scene, folder: Path) -> str:
    """Each within the bounds of one person, every minute: what counts is the change since the window began."""
    shop, ore = _shop(folder), 1690
    for number in range(1, 7):
        ore = ore * 14 // 10
        shop.publish(a_document(n1001=ore), number)
        shop.look()
        shop.world.clock.pass_ms(60_000)
    assert shop.activated() == [1]
    return _told(shop)


def _raised(_: Scene, folder: Path) -> str:
    shop = _shop(folder)
    shop.markdowns(StoreMarkDown("2026-11-23", "Dyrare", article=BREAD, price_ore=999_900))
    shop.look()
    return _told(shop)


def _other_store(scene: Scene, folder: Path) -> str:
    """A node's key on another store's mark-downs: in that store's repository it counts nothing, in its own it names nobody else."""
    forger = scene.forger("node", scene.honest)
    forger.held["store/S10", "markdowns"] = forger.held["store/S10", "online"] = forger.held["store/S09", "markdowns"]
    forger.relist("store/S10", "markdowns", lambda signed: None)
    forger.show("store/S10")
    victim = scene.victim(store="S10")
    try:
        victim.look(forger.base)
        assert victim.words() == {"threshold"}
        victim.stands()
    finally:
        victim.close()
    shop = _shop(folder)
    shop.markdowns(StoreMarkDown("2026-11-23", "Billigt", article=BREAD, percent=50), name=markdown_name("S02", 1))
    shop.look()
    return ", ".join(sorted({"threshold", *_told(shop).split(", ")}))


def _told(shop: Shop) -> str:
    assert shop.alarms() == len(shop.refusals())
    said = ", ".join(sorted(set(shop.refusals())))
    assert shop.world.journal is not None
    shop.world.journal.close()
    return said


BUNDLE: Final = "– it cannot sign such a release: arbitrary install"
PRICES: Final = {
    "vendor": "– the vendor’s repository says nothing of prices",
    "mitm": "– it signs nothing: arbitrary install",
}
NODE_ONLY: Final = "– the key is a node’s"
BESIDE: Final = (
    Beside("slow retrieval", {"slow": _slow}, _every("slow")),
    Beside("malicious stick: links and pipes", {NOTHING: _stick}, _every(NOTHING)),
    Beside("a cache with other bytes for other tills", {"caches_differ": _two_faces}, _every("caches_differ")),
    Beside(
        "path tricks in a bundle",
        {"path": _bundle("an absolute path", "a path that climbs", "the same name twice", "outside lib")},
        {**dict.fromkeys(COLUMNS, BUNDLE), "both": "path"},
    ),
    Beside(
        "links and devices in a bundle",
        {"path": _bundle("a symbolic link", "a hard link", "a device")},
        {**dict.fromkeys(COLUMNS, BUNDLE), "both": "path"},
    ),
    Beside("files of the slot changed after the check", {"slot_changed": _slot}, _every("slot_changed")),
    Beside(
        "blank till, old genuine lists: downgrade through rebuild", {"below_floor": _rebuild}, _every("below_floor")
    ),
    Beside("blank till, old genuine lists, a neighbour in reach", {"rollback": _neighbours}, _every("rollback")),
    Beside("clock set a year ahead for the dwell", {"expired": _clock}, _every("expired")),
    Beside(
        "prices beyond one person’s bounds",
        {"bounds": _too_much, "no_markdown": _raised},
        {**PRICES, "chain": "bounds", "both": "bounds", "hq": "bounds", "node": "no_markdown"},
    ),
    Beside(
        "prices within bounds, every minute",
        {"bounds": _creep},
        {**PRICES, "chain": "bounds", "both": "bounds", "hq": "bounds", "node": "– see the row above: downward only"},
    ),
    Beside(
        "a store’s key on another store",
        {"other_store, threshold": _other_store},
        {**dict.fromkeys(COLUMNS, NODE_ONLY), "node": "other_store, threshold"},
    ),
)
