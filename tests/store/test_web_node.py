"""The manager's pages on a real store node: what the tills sent is what the pages show, and its acts are the node's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from oppet.journal.entry import body_of
from oppet.journal.kinds import ActAsked, ActDone, Body, EpochOpened, FloatSet, SaleOpened, SaleParked, TillStarted
from oppet.store.main import Machines
from oppet.store.node import Node
from oppet.store.web import create_app
from tests.store.backroom import HOST, a_staff_list
from tests.store.stores import PASSPHRASE, Office, a_node, a_store, a_till, send
from tests.store.test_day import a_line, a_receipt

ORIGIN = {"Origin": f"http://{HOST}"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node that one till has sent its morning to."""
    office = Office(tmp_path / "hq")
    with office.open(), a_node(a_store(tmp_path / "s01", office)) as (node, info):
        till, enrolled = a_till(node, info)
        opening = EpochOpened(
            "S01", "Testköp", "5566778899", "", "K1-1", "M", "SE", "0.3.0", till.signer.public.hex(), (), "here"
        )
        bodies: list[Body] = [opening, TillStarted("0.3.0", "p1", "here", unclean=False), FloatSet(50_000, 101)]
        bodies += [
            SaleOpened(1, "sale", 101),
            a_line(1),
            a_receipt(1, 1),
            SaleOpened(2, "sale", 101),
            a_line(2),
            SaleParked(2, 101),
        ]
        till.now = node.clock.now() - 1_000
        for body in bodies:
            till.write(body=body)
        send(till, info)
        assert enrolled.till == till.till
        yield node


def test_r20_the_pages_of_a_real_node_show_what_its_till_sent(node: Node) -> None:
    with TestClient(create_app(node, node.post, a_staff_list(), [HOST]), base_url=f"http://{HOST}") as client:
        client.cookies.set("language", "en")
        client.post("/sign-in/pin", data={"who": "301", "pin": "4321"}, headers=ORIGIN)
        for page in ("/", "/till/S01-K1", "/baskets", "/z", "/new", "/alarms"):
            answer = client.get(page)
            assert answer.status_code == 200, (page, answer.text)
            assert page in ("/z", "/alarms") or "S01-K1" in answer.text
        assert "10,00 kr" in client.get("/").text
        assert "parked since" in client.get("/baskets").text
        assert "510,00 kr" in client.get("/till/S01-K1").text
        assert node.markdowns().key in client.get("/mark-downs").text  # nobody has listed it yet
        assert "S01-node" not in client.get("/").text + client.get("/new").text  # its own journal is no till's


def test_k10_inviting_and_revoking_on_the_page_are_the_nodes_own_acts(node: Node) -> None:
    with TestClient(create_app(node, node.post, a_staff_list(), [HOST]), base_url=f"http://{HOST}") as client:
        client.post("/sign-in/pin", data={"who": "301", "pin": "4321"}, headers=ORIGIN)
        for passphrase, doors in (("fel", 0), (PASSPHRASE, 1)):
            client.post("/new/invite", data={"register": "K9", "passphrase": passphrase}, headers=ORIGIN)
            assert len(node.invitations()) == doors
        (door,) = node.invitations()
        assert f"{door.code[:4]} {door.code[4:]}" in client.get("/new").text
        fields = {"till": "S01-K1", "epoch": "1", "reason": "Stulen", "passphrase": PASSPHRASE}
        client.post("/new/revoke", data=fields, headers=ORIGIN)
        standing = node.directory.standing("S01-K1", 1)
        assert standing is not None
        assert standing.revoked == "Stulen"
        assert "Stulen" in client.get("/").text
    bodies = [body_of(entry) for entry in node.post.journal.read()]
    assert [body.act for body in bodies if isinstance(body, ActAsked)] == ["invite till", "invite till", "revoke till"]
    done = [body.act for body in bodies if isinstance(body, ActDone) and body.who == 301]
    assert done[-2:] == ["till invited", "till revoked"]


def asked(node: Node, path: str, client: str) -> tuple[int, str]:
    """What the page port answers to a machine at this address; 404 where it is left to the pages."""
    said: list[MutableMapping[str, Any]] = []

    async def pages(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "path": path, "method": "GET", "client": (client, 50_000)}
    with ThreadPoolExecutor(1) as pool:  # a browser's tests leave a loop running in this thread
        pool.submit(asyncio.run, Machines(pages, node)(scope, None, send)).result()
    return said[0]["status"], b"".join(one.get("body", b"") for one in said).decode()


def test_r20_measures_are_for_a_scraper_on_this_machine_and_name_nobody(node: Node) -> None:
    status, text = asked(node, "/metrics", "127.0.0.1")
    assert status == 200
    assert 'oppet_till_kept_entries{branch="",epoch="1",till="S01-K1"} 9.0' in text
    assert 'oppet_till_missing_entries{branch="",epoch="1",till="S01-K1"} 0.0' in text
    assert "oppet_node_well 1.0" in text
    assert 'oppet_keeper_total{what="entries"} 9.0' in text
    assert set(re.findall(r'(\w+)="', text)) == {"till", "epoch", "branch", "what"}
    assert asked(node, "/metrics", "192.0.2.7") == (404, "")
    assert asked(node, "/health", "192.0.2.7")[0] == 200
