"""A store node that calls Swish for its tills: over the real lane, signed both ways, and only where its settings say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oppet.drivers.neighbours import LaneNeighbours
from oppet.payments import swish
from oppet.payments.swish import Verdict
from oppet.sync.lanes import AskSwish
from tests.simulators.swishes import SwishProcess
from tests.store.stores import Office, a_node, a_store, a_till

ID = swish.instruction("ab", "S01-K1", 1, 1)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwishProcess]:
    running = SwishProcess(tmp_path_factory.mktemp("swish"), "--paid-ms", "0")
    yield running
    running.kill()


def settled(lane: LaneNeighbours, ask: AskSwish) -> Verdict:
    """Ask until the node has the answer."""
    deadline = time.monotonic() + 10
    while True:
        told = lane.ask(ask).swish
        assert told is not None
        if told.what != "working" and (ask.what != "board" or told.path != "unknown"):
            return told
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pt8_a_till_without_a_certificate_pays_by_way_of_its_node(process: SwishProcess, tmp_path: Path) -> None:
    said = {
        "payee": process.payee, "certificates": [str(process.paper("client-1"))], "authorities": str(process.paper("ca")),
        "ways": [{"url": process.base}], "message": "Nära Storgatan",
    }  # fmt: skip
    with Office(tmp_path).open() as office, a_node(a_store(tmp_path / "S01", office, swish=said)) as (node, info):
        history, _ = a_till(node, info)
        lane = LaneNeighbours(info, history.till, history.epoch, history.signer, deadline_s=5.0)
        try:
            assert settled(lane, AskSwish("board")).path == "working"
            ask = AskSwish("pay", 1, ID, 1_690, "S01K1S7T1", "", 7)
            created = settled(lane, ask)
            assert (created.what, bool(created.token)) == ("created", True)
            assert settled(lane, ask) == created, "the same call is one call"
            seen = settled(lane, AskSwish("see", 2, ID, 1_690)).seen
            assert seen is not None
            assert (seen.status, seen.amount_ore, seen.payee) == ("PAID", 1_690, process.payee)
            wrong = settled(lane, AskSwish("see", 3, ID, 1_691))
            assert (wrong.what, wrong.seen) == ("wrong", None)
            assert node.alarms()[0].about == "SwishAnswerWrong"
        finally:
            lane.close()
    assert [deal["message"] for deal in process.state()["deals"]] == ["Nära Storgatan S01 K1 7"]


def test_pt8_a_node_without_swish_or_without_its_certificate_runs_and_says_so(
    process: SwishProcess, tmp_path: Path
) -> None:
    said = {"payee": process.payee, "certificates": ["gone.pem"]}
    with Office(tmp_path).open() as office, a_node(a_store(tmp_path / "S01", office, swish=said)) as (node, info):
        assert node.alarms()[0].about == "SwishCertificateError"
        history, _ = a_till(node, info)
        lane = LaneNeighbours(info, history.till, history.epoch, history.signer, deadline_s=5.0)
        try:
            told = lane.ask(AskSwish("board"))
            assert told.swish is None
            assert told.refused is not None
        finally:
            lane.close()
