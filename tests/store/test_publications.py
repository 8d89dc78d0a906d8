"""The store node and a neighbour as caches of publications: what head office publishes is served in the store."""

from __future__ import annotations

import time
from pathlib import Path

from oppet.drivers import serving
from oppet.drivers.chunking import make_index
from oppet.drivers.obtaining import obtain_image
from oppet.drivers.publication_http import Publications, beside
from oppet.drivers.publication_sources import HttpSource
from oppet.store.node import Node
from tests.drivers.trees import an_image
from tests.release.signed import a_world
from tests.store.stores import Office, a_node, a_store, served


def pulled(node: Node) -> None:
    """Wait until a round is over that found something."""
    assert node.cache is not None
    for _ in range(400):
        if node.cache.mirror.pulled.releases:
            return
        node.cache.ask()
        time.sleep(0.02)
    raise AssertionError(node.cache.mirror.pulled)


def test_rl13_r20_a_node_passes_on_what_head_office_publishes_and_names_an_upstream_that_lies(tmp_path: Path) -> None:
    world = a_world(tmp_path / "hq", stores=("S01",))
    image = an_image()
    index = make_index(image, world.base, average=4096)
    software = world.release(2, image, index=index)
    office = Office(tmp_path)
    tree = Publications(world.base)
    with served(serving.Service(beside(office.app, tree), office.listener, office.certificate, serving.Guard())):
        file = a_store(tmp_path / "S01", office)
        with a_node(file) as (node, info):
            pulled(node)
            source = HttpSource("node", f"{info.url}/pub", info.tls)
            done = obtain_image(index, software, (), [source], tmp_path / "image.tar")
            assert done.path.read_bytes() == image
            for name in ("vendor/metadata/timestamp.json", "chain/metadata/timestamp.json"):
                assert source.read(name, 1 << 16) == (world.base / name).read_bytes()
            source.close()
            health = node.health()
            assert health.publications is not None
            assert (health.publications.releases, health.publications.waiting) == (["till-2"], "")
            # head office is taken over: a piece of the next release is not what its name says
            world.release(3, an_image(2), index=make_index(an_image(2), world.base, average=4096))
            for path in (world.base / "chunks").rglob("?" * 64):
                path.write_bytes(b"Cleo was here")
            assert node.cache is not None
            node.cache.ask()
            for _ in range(400):
                if node.alarms():
                    break
                time.sleep(0.02)
            assert [alarm.about for alarm in node.alarms()] == ["cache lies"]
            assert dict(node.alarms()[0].facts)["source"] == "HQ"
            assert obtain_image(index, software, (), [source], tmp_path / "again.tar").path.read_bytes() == image
            source.close()
    tree.close()
    office.app.close()
