"""Head office in one process for tests: a real database, a real audit journal, its pages behind a test client."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from oppet.base.signing import Signer
from oppet.hq.main import Opened, Ports, Settings, open_hq, prepare
from oppet.journal.entry import body_of
from oppet.journal.kinds import Body
from oppet.sync.certificates import TillCertificate, make_paper
from oppet.sync.enrolment import Enrolled, check_answer, make_request
from tests.hq.authenticator import Authenticator

HOST = "hq.test:8501"
ORIGIN = {"origin": f"http://{HOST}"}
MANAGER, NODE, TILL = (Signer(bytes([number]) * 32) for number in (21, 22, 23))
WHEN = "2026-11-22T06:00:00.000Z"


@contextmanager
def an_office(dsn: str, folder: Path, *, demo: bool = False, number: str = "1") -> Iterator[Opened]:
    settings = Settings("hq", dsn=dsn, tls=False, demo=demo, site="hq.test")
    prepare(settings, folder)
    opened = open_hq(settings, folder, dsn, number, Ports(8500, 8501))
    try:
        yield opened
    finally:
        opened.close()


def a_client(hq: Opened) -> TestClient[Litestar]:
    client = TestClient(hq.page_app, base_url=f"http://{HOST}")
    client.follow_redirects = False
    return client


def signed_in(hq: Opened, client: TestClient[Litestar], who: int, *roles: str) -> TestClient[Litestar]:
    """Somebody with these roles, past the door (passkeys have tests of their own)."""
    with hq.context.tables.change() as t:
        t.add_person(who, f"Person {who}", roles, hq.context.clock.now(), 0)
        t.set_roles(who, roles)
    client.cookies.clear()
    client.cookies[hq.context.door.cookie] = hq.context.door.signed_in(who, f"Person {who}", roles, "passkey")
    return client


def options_in(page: str) -> str:
    found = re.search(r'data-options="([^"]*)"', page)
    assert found is not None, page
    return html.unescape(found[1])


def an_authenticator(**more: Any) -> Authenticator:
    return Authenticator(f"http://{HOST}", **more)


def said(hq: Opened, kind: type[Body]) -> list[Any]:
    """What the audit journal holds of a kind."""
    return [body for entry in hq.post.journal.read() if isinstance(body := body_of(entry), kind)]


def enrolled(
    hq: Opened, store: str, name: str = "Storgatan", *, manager: Signer = MANAGER, node: Signer = NODE
) -> Enrolled:
    """A store that came in by its code."""
    with hq.directory.change() as t:
        invited = hq.directory.invite(t, store, name, "Nära", 301)
    request = make_request(invited.name, invited.code, node.public, manager.public, "machine", "5a" * 16)
    answer = hq.directory.enrol(request)
    assert check_answer(answer, invited.code, request)
    return answer


def introduced(hq: Opened, till: str, signer: Signer = TILL, epoch: int = 1, *, manager: Signer = MANAGER) -> None:
    """A till that its store's manager certified, and nobody countersigned."""
    store = till.partition("-")[0]
    hq.directory.introduce(
        [make_paper(TillCertificate(till, epoch, store, till[-2:], signer.public.hex(), WHEN), manager)]
    )
