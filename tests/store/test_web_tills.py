"""The manager's page of payments: how each way works, what nobody knows yet, and totals beside each terminal's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from oppet.base.signing import Signer
from oppet.journal.kinds import ActDone
from oppet.payments.risk import RiskLimits
from oppet.store.web import create_app
from oppet.store.web_node import Contact
from tests.hq.paid import PRICE, pay_a_day
from tests.register.services import FakeService
from tests.register.world import MILK
from tests.store.backroom import HOST, FakeBackroom, a_backroom, a_post, a_staff_list
from tests.store.shop import a_store_till
from tests.store.test_web import Window, seen


def with_a_terminal(node: FakeBackroom, folder: Path, name: str = "S01-K3") -> None:
    """A third till, whose card terminal and Swish are asked over a wire; the terminal goes away at the end."""
    card, other = FakeService(), FakeService("swish", "swish", idempotent=True, exclusive=False)
    till, world = a_store_till(folder / name, name, payments=[card, other])
    pay_a_day(till, world, card, ("approve", "offline", "more", "decline"))
    card.away = True
    till.selling.pick(MILK)
    till.tenders.ask("card-1", PRICE)
    world.clock.pass_ms(3_000)
    till.tenders.tick()
    node.certify(name, 1, Signer(world.secret).public)
    node.take(world)
    assert world.journal is not None
    world.journal.close()
    node.heard[name] = Contact(heard=node.clock.now() - 4_000)


@pytest.fixture
def bo(tmp_path: Path) -> Iterator[Window]:
    node = a_backroom(tmp_path)
    with_a_terminal(node, tmp_path)
    limits = RiskLimits(store_day_ore=10_000)
    with (
        a_post(tmp_path / "post", node.clock) as post,
        TestClient(create_app(node, post, a_staff_list(), [HOST], limits=limits), base_url=f"http://{HOST}") as client,
    ):
        window = Window(client, node, post)
        assert window.sign_in() == 303
        yield window


def test_pt8_pt2_pt6_the_manager_sees_how_payments_stand(bo: Window) -> None:
    text = seen(bo.get("/payments"))
    assert re.search(r"S01-K3 \S+ card-1 \S+", text)
    board, rest = text.split(
        "Nobody knows yet whether these are paid" if "Nobody knows yet whether" in text else "Ingen vet ännu om", 1
    )
    assert "card-1" in board
    assert f"{PRICE // 100},{PRICE % 100:02d}" in rest
    assert "16 %" in text, "of the store's budget"


def test_r13_a_terminal_s_own_total_is_held_against_ours_and_remembered(bo: Window, tmp_path: Path) -> None:
    right = f"{2 * PRICE // 100},{2 * PRICE % 100:02d}"  # approved and offline; what was too much went back
    assert bo.post("/payments/compare", till="S01-K3", way="card-1", theirs=right).status_code == 303
    bo.client.cookies.set("language", "en")
    assert "agrees" in seen(bo.get("/payments"))
    assert bo.post("/payments/compare", till="S01-K3", way="card-1", theirs="10").status_code == 303
    assert "differs by" in seen(bo.get("/payments"))
    [first, second] = [
        body for body in bo.written(ActDone) if isinstance(body, ActDone) and body.act == "terminal total"
    ]
    assert {fact.name: fact.value for fact in first.facts} == {"theirs_ore": str(2 * PRICE), "ours_ore": str(2 * PRICE)}
    assert second.who == 301
    again = create_app(bo.node, bo.post_journal, a_staff_list(), [HOST])
    with TestClient(again, base_url=f"http://{HOST}") as client:
        window = Window(client, bo.node, bo.post_journal)
        assert window.sign_in() == 303
        client.cookies.set("language", "en")
        assert "differs by" in seen(window.get("/payments")), "after the node started again"


@pytest.mark.parametrize("fields", [
    {"till": "S01-K9", "way": "card-1", "theirs": "1"}, {"till": "S01-K3", "way": "x", "theirs": "1"},
    {"till": "S01-K3", "way": "card-1", "theirs": "many"}, {"till": "S01-K3", "way": "card-1", "theirs": ""},
])  # fmt: skip
def test_o7_nonsense_is_compared_with_nothing(bo: Window, fields: dict[str, str]) -> None:
    assert bo.post("/payments/compare", **fields).status_code in (400, 404)
    assert not [body for body in bo.written(ActDone) if isinstance(body, ActDone) and body.act == "terminal total"]


def test_pt8_a_till_that_is_silent_says_nothing_of_its_ways(bo: Window) -> None:
    bo.node.heard["S01-K3"] = Contact(heard=bo.node.clock.now() - 3_600_000)
    bo.client.cookies.set("language", "en")
    assert "not known: the till is silent or off" in seen(bo.get("/payments"))
