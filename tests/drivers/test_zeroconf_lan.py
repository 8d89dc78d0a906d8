"""Found on the network: what a keeper announces is heard by its store's machines, and is a hint only."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from oppet.drivers.zeroconf_lan import Announcement, find
from oppet.sync.messages import KeeperInfo
from tests.sync.chain import NODE

LOOPBACK = ("127.0.0.1",)


def test_a_node_is_found_by_its_store_and_not_by_another() -> None:
    info = KeeperInfo("S01-node", "store", "https://127.0.0.1:8400", NODE.public.hex(), "a" * 64)
    said = Announcement(info, "S01", 8400, LOOPBACK)
    try:
        assert find("S01", 5, LOOPBACK) == [info]
        assert find("S02", 0.5, LOOPBACK) == []
    finally:
        said.close()
        said.close()


def test_a_node_that_runs_a_loop_of_its_own_is_found_all_the_same() -> None:
    info = KeeperInfo("S01-node", "store", "https://127.0.0.1:8400", NODE.public.hex(), "a" * 64)

    async def announced() -> Announcement:
        return Announcement(info, "S01", 8400, LOOPBACK)  # blocks this loop, as a start-up may

    with ThreadPoolExecutor(1) as elsewhere:  # a browser's test may have left its own loop running here
        said = elsewhere.submit(asyncio.run, announced()).result(30)
    try:
        assert find("S01", 5, LOOPBACK) == [info]
    finally:
        said.close()
