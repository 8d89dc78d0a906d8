"""While a release goes out, a store runs several: each pair of N, N−1 and N−2 sells, keeps and relays, and none loses an entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.drivers.processes import Helper
from oppet.drivers.serving import listen
from oppet.journal.entry import parse
from oppet.till.epochs import enrol
from oppet.till.main import open_till
from tests.rollout.versions import FUTURE, NEW, OLD, OLDER, robot, running, soon
from tests.store.stores import PASSPHRASE, Office, a_node, a_store
from tests.till.test_epochs import settings_in

TILL = "S01-K1"
MORE = 30  # entries that a pair of releases must get through


@dataclass
class Shop:
    """A store on disk, enrolled, whose node and till are of whatever release is started next."""

    office: Office
    node: Path
    till: Path

    @property
    def journal(self) -> Path:
        return next(self.till.parent.rglob("epoch-0001.journal"))

    def trade(self, node: str, till: str) -> int:
        """Let a till of one release sell beside a node of another until head office has what is new; give how much is there."""
        before = len(self.at_office())
        with running(node, "oppet", "store", "run", str(self.node), "--announce") as said:
            assert said.get("ready"), (node, said)
            with running(*robot(till, self.till)) as selling:
                assert selling.get("ready"), (till, selling)
                soon(lambda: len(self.at_office()) >= before + MORE, lambda: f"{node} {till}: {len(self.at_office())}")
        return len(self.at_office())

    def at_office(self) -> list[bytes]:
        return self.office.shelf.entries(TILL) if "" in self.office.shelf.kept.get((TILL, 1), {}) else []


@contextmanager
def a_shop(folder: Path) -> Iterator[Shop]:
    (folder / "hq").mkdir()
    with listen(0) as free:
        port = free.getsockname()[1]
    with (
        Office(folder / "hq").open() as office,
        Helper("oppet.simulators.cleancash", ["--unit", "CC1", "--state", str(folder / "unit.log"), "--fast"]) as unit,
    ):
        node = a_store(folder / "store", office, port=port)
        units = [{"protocol": "xccsp", "unit": "CC1", "host": "127.0.0.1", "port": unit.said["port"]}]
        till = settings_in(folder / "K1", till=TILL, register="K1", units=units)
        with a_node(node) as (inside, info):
            made = inside.invite("K1", "", PASSPHRASE, 301)
            assert enrol(till, store=info.url, invitation=made.name, code=made.code) == 0
        yield Shop(office, node, till)


def whole(shop: Shop) -> list[str]:
    """Every copy is whole and says the same; gives the kinds that were written."""
    kept = next((shop.node.parent / "node" / "kept").glob("*.journal"))
    assert verify_file(shop.journal).finding is None
    assert verify_file(kept).finding is None
    with JournalReader(shop.journal) as reader:
        mine = [data for _, data in reader.rows() if data is not None]
    there = shop.at_office()
    assert there == mine[: len(there)]
    return [parse(data).kind for data in mine]


def test_rl3_a_kind_from_the_future_is_kept_and_skipped_by_older_releases(tmp_path: Path) -> None:
    """N sells beside N−2; then the till is N−2 again, over the journal that N wrote, beside a node of N."""
    with a_shop(tmp_path) as shop:
        first = shop.trade(OLDER, NEW)
        second = shop.trade(NEW, OLDER)
        assert second >= first + MORE
        kinds = whole(shop)
        assert kinds.count(FUTURE) == 1
        assert "receipt" in kinds[first:]
        opened = open_till(shop.till)  # and what runs today opens it
        opened.close()
        assert json.loads(shop.at_office()[kinds.index(FUTURE)])["kind"] == FUTURE


@pytest.mark.long
def test_rl3_every_pair_of_three_releases_sells_keeps_and_relays(tmp_path: Path) -> None:
    with a_shop(tmp_path) as shop:
        for node, till in product((NEW, OLD, OLDER), repeat=2):
            shop.trade(node, till)
        assert whole(shop).count(FUTURE) == 3
