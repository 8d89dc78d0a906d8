"""What the fleet runs and refuses, on head office's page and in its API, from the tills' own entries."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from oppet.drivers.words import say
from oppet.hq.main import Opened
from oppet.hq.software import Picture
from oppet.journal.body import Body, Fact
from oppet.journal.kinds_published import (
    InstallsFrozen,
    PublicationRefused,
    ReleaseInstalled,
    ReleaseReturned,
    ReleaseSeen,
)
from oppet.people.roles import VIEWER
from oppet.release.terms import REASONS
from tests.figures.test_obeyed import BODIES
from tests.hq.office import TILL, a_client, an_office, enrolled, introduced, signed_in
from tests.release.chain import IMAGE
from tests.sync.chain import History


@pytest.fixture(scope="module")
def hq(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with an_office(dsn, tmp_path_factory.mktemp("office")) as opened:
        enrolled(opened, "S01")
        introduced(opened, "S01-K1", TILL)
        yield opened


def goes_on(hq: Opened, history: History, *bodies: Body) -> None:
    before = history.head.seq
    for body in bodies:
        history.write(body=body)
    assert hq.keeper.receive(history.batch(before, history.head.seq)).status == "kept"


def picture(hq: Opened) -> Picture:
    with a_client(hq) as client:
        signed_in(hq, client, 101, VIEWER)
        return msgspec.json.decode(client.get("/api/software").content, type=Picture)


def test_rl14_rl10_the_page_says_who_runs_what_who_waits_who_refuses_and_why(hq: Opened) -> None:
    history = History(till="S01-K1", signer=TILL)
    goes_on(hq, history, *BODIES[:2])
    found = picture(hq)
    [till] = found.tills
    assert (till.release, till.waits_release, till.refused) == (1, 2, "")
    assert "90" in till.waits
    assert [(one.release, one.vouched) for one in found.candidates] == [(2, 0)]
    goes_on(hq, history, *BODIES[2:], InstallsFrozen(on=True, by=201))
    found = picture(hq)
    [till] = found.tills
    assert (till.release, till.waits, till.goods, till.frozen) == (2, "", 7, True)
    assert [(one.release, one.tills) for one in found.releases] == [(2, 1)]
    assert found.refusing == 1
    assert {fact.name for fact in till.refused_facts} == {"what", "why", "reason"}
    with a_client(hq) as client:
        signed_in(hq, client, 101, VIEWER)
        for language in ("sv", "en"):
            client.cookies.set("language", language)
            page = client.get("/software").text
            assert say(REASONS["disagree"], language) in page
            assert "S01-K1" in page


def test_rl14_a_word_of_a_newer_till_is_shown_as_it_stands_and_facts_that_lack_harm_nothing(hq: Opened) -> None:
    history = History(till="S01-K1", signer=TILL)
    said: list[Body] = [*BODIES, InstallsFrozen(on=True, by=201)]
    for body in said:
        history.write(body=body)
    before = history.head.seq
    said = [
        ReleaseSeen(3, "ff" * 32, "0.3.0", "no_evidence"), PublicationRefused("goods", "a_new_word", facts=(Fact("{x}", "{"),)),
        InstallsFrozen(on=False, by=201), ReleaseReturned(2, IMAGE, "self_test"), ReleaseInstalled(1, "00" * 32, "a", 2, "1"),
    ]  # fmt: skip
    for body in said:
        history.write(body=body)
    assert hq.keeper.receive(history.batch(before, history.head.seq)).status == "kept"
    [till] = picture(hq).tills
    assert (till.waits, till.refused, till.frozen, till.release) == ("no_evidence", "a_new_word", False, 1)


def test_o1_nobody_reads_it_without_signing_in(hq: Opened) -> None:
    with a_client(hq) as client:
        assert client.get("/api/software").status_code == 401
        assert client.get("/software", follow_redirects=False).status_code in (302, 303)
