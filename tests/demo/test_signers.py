"""The demo's signing desk and thieves, judged by a till's own verification: each thief is refused by its word, and put right again."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oppet.base.signing import Signer
from oppet.demo.desk import SigningDesk
from oppet.demo.signers import THIEVES, Signers
from oppet.drivers.clock import SystemClock
from oppet.drivers.looking import make_source
from oppet.drivers.publications import Publications
from oppet.release.found import Found
from oppet.release.terms import CHAIN, VENDOR, Canary
from oppet.simulators.web import Reply, Request
from tests.hq.publishing import cheap_keys

KEY = Signer(b"\x01" * 32).public.hex()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    made = Signers(tmp_path_factory.mktemp("demo"))
    with cheap_keys():
        made.ceremony(Canary("S01", "S01-K1", 1, KEY), 2)
    return made


def look(desk: Signers, trust: Path) -> Found:
    roots = {name: desk.root(name).read_bytes() for name in (VENDOR, CHAIN)}
    source = make_source("hq", folder=desk.tree)
    return Publications(trust, roots, "S01").look([source], SystemClock().now())


def test_rl1_what_two_of_each_party_sign_is_agreed_and_chosen(desk: Signers, tmp_path: Path) -> None:
    before = look(desk, tmp_path)
    number = desk.release()
    found = look(desk, tmp_path)
    assert [one.software.release for one in found.agreed] == [number, *(one.software.release for one in before.agreed)]
    assert found.plan is not None
    assert found.plan.releases == {"till": number}
    assert found.pace is not None
    assert [canary.key for canary in found.pace.canaries] == [KEY]


@pytest.mark.parametrize(("thief", "party"), [("vendor_key", VENDOR), ("chain_key", CHAIN)])
def test_rl1_one_partys_thief_is_named_and_put_right(desk: Signers, tmp_path: Path, thief: str, party: str) -> None:
    before = look(desk, tmp_path)
    getattr(desk, thief)()
    found = look(desk, tmp_path)
    assert [(one.why, one.party) for one in found.disagreed] == [("one_party", party)]
    assert found.agreed == before.agreed
    desk.put_right()
    assert look(desk, tmp_path).disagreed == ()


def test_rl1_head_offices_own_keys_sign_no_software(desk: Signers, tmp_path: Path) -> None:
    before = look(desk, tmp_path)
    desk.head_office()
    found = look(desk, tmp_path)
    assert [(one.why, one.repository) for one in found.refused] == [("threshold", CHAIN)]
    assert found.agreed == ()
    desk.put_right()
    assert look(desk, tmp_path).agreed == before.agreed


def test_rl4_every_key_of_both_is_agreed_and_has_no_evidence(desk: Signers, tmp_path: Path) -> None:
    desk.both_keys()
    found = look(desk, tmp_path)
    poisoned = found.agreed[0].software
    assert found.plan is not None
    assert found.plan.releases == {"till": poisoned.release}
    assert dict(found.health).get(poisoned.image, ()) == ()
    desk.put_right()
    assert poisoned.release not in [one.software.release for one in look(desk, tmp_path).agreed]


def test_the_page_says_what_it_does_not_know_and_what_was_done(desk: Signers) -> None:
    page = SigningDesk(desk.tree.parent, None)

    def do(body: bytes) -> Reply:
        with ThreadPoolExecutor(1) as thread:  # a browser test before may have left a loop in this one
            answer = thread.submit(asyncio.run, page.serve(Request("POST", "/do", "", body))).result()
        assert answer is not None
        return answer

    for what in (b'{"what": "everything"}', b"", b"[]", b'{"what": 1}'):
        assert do(what).status == 400
    assert do(b'{"what": "store_node"}').status == 200
    assert page.state()["told"][0]["error"] != ""  # there is no node in this folder: said, not thrown
    assert all(hasattr(Signers, name) for name in THIEVES)
