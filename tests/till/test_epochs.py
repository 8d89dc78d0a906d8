"""How a till's epoch begins and ends: enrolled with a code, told to whoever keeps it, retired when all of it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from oppet.drivers import keepers as keeping
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keys import load_key
from oppet.journal.entry import body_of
from oppet.journal.kinds import EpochClosed, EpochOpened, TillStarted
from oppet.register.errors import EpochOverError, SettingsError
from oppet.sale.rights import Staff
from oppet.sync.certificates import Directory, Revocation, StoreCertificate, TillCertificate, make_paper
from oppet.sync.enrolment import Enrolled, Request, seal_answer
from oppet.sync.errors import BadCertificateError, EpochRevokedError, OldImageError, UnkeptError
from oppet.sync.messages import KeeperInfo
from oppet.till.epochs import EnrolledElseError, EpochFiles, PapersUnfitError, enrol, epochs_in, newest, retire
from oppet.till.main import Opened, open_till
from tests.drivers.keepers import Served, served
from tests.drivers.test_upload import until
from tests.sync.chain import HQ, MANAGER, NODE, WHEN
from tests.till.test_settings import GOOD

CODE, BO = "ABCD2345", Staff(301, "manager")
GOODS = {
    "format": 1, "version": "t1", "made": "2026-11-01",
    "articles": [{"number": "1001", "name": "Mjölk", "group": "Mejeri", "vat": "food", "unit": "st",
                  "prices": [{"valid_from": "2026-01-01", "ore": 1690}]}],
}  # fmt: skip


def settings_in(folder: Path, **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "goods.json").write_text(json.dumps(GOODS))
    (folder / "staff.json").write_text('[{"number": 301, "role": "manager", "pin": "$argon2id$x"}]')
    units = [{"protocol": "xccsp", "unit": "CC1", "host": "127.0.0.1", "port": 1}]
    printers = [{"kind": "screen", "name": "skarm"}]
    said = GOOD | {"till": "S01-K3", "units": units, "printers": printers, "rules": {"disk_least_mb": 0}} | more
    path = folder / "till.json"
    path.write_text(json.dumps(said))
    return path


class Door:
    """The store node's door for new tills: certifies whoever knows the code, under the next epoch."""

    def __init__(self, node: Served, *keepers: KeeperInfo, till: str = "S01-K3", code: str = CODE) -> None:
        self.node, self.keepers, self.till, self.code = node, keepers, till, code

    def __call__(self, request: Request) -> Enrolled:
        directory = self.node.directory
        epoch = directory.last_epoch(self.till) + 1
        certificate = TillCertificate(self.till, epoch, "S01", f"K3-{epoch}", request.public_key, WHEN)
        directory.add(make_paper(certificate, MANAGER, HQ))
        answer = Enrolled(
            self.till, epoch, "S01", f"K3-{epoch}", HQ.public.hex(), tuple(directory.papers()), self.keepers
        )
        return seal_answer(answer, self.code, request)


@contextmanager
def a_store(folder: Path, *, with_hq: bool = True) -> Iterator[tuple[Served, Served]]:
    """A node and HQ that know the store; the node's door opens for till S01-K3."""
    known = Directory(HQ.public)
    known.add(
        make_paper(StoreCertificate("S01", "Storgatan", "Torget", MANAGER.public.hex(), NODE.public.hex(), WHEN), HQ)
    )
    with (
        served(folder / "node", directory=known) as node,
        served(folder / "hq", "hq", "hq", HQ, directory=Directory(HQ.public)) as hq,
    ):
        keepers = (node.info, hq.info) if with_hq else (node.info,)
        node.doors.enrol = Door(node, *keepers)  # type: ignore[method-assign]
        yield node, hq


def enrolled(settings: Path, node: Served) -> EpochFiles:
    assert enrol(settings, store=node.info.url, invitation="i1", code=CODE) == 0
    return newest(settings.parent / "var")


@contextmanager
def running(settings: Path) -> Iterator[Opened]:
    opened = open_till(settings)
    try:
        yield opened
    finally:
        opened.close()


def bodies(place: EpochFiles) -> list[object]:
    with JournalFile.open(place.journal) as journal:
        return [body_of(entry) for entry in journal.read()]


def test_k7_a_till_gets_its_papers_with_a_code_and_its_journal_goes_up(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, hq):
        place = enrolled(settings, node)
        assert place.epoch == 1
        assert place.key.stat().st_mode & 0o077 == 0
        with running(settings) as opened:
            opened.till.sign_in(BO)
            opened.till.drawer.set_float(50_000)
            until(lambda: hq.directory.standing("S01-K3", 1) is not None)
            copies = opened.till.desk.ports.copies
            head = opened.till.desk.ports.journal.head
            until(lambda: any(state.kept >= head.seq for state in copies.keepers()))
            assert copies.second(head) == 1
            assert opened.till.desk.ports.neighbours.gone() == ()
        kept = node.shelf.entries("S01-K3")
        assert len(kept) == len(bodies(place))
        assert node.alarms == hq.alarms == []


def test_k10_a_node_that_does_not_know_the_code_changes_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, _):
        node.doors.enrol = Door(node, node.info, code="ABCD2346")  # type: ignore[method-assign]
        with pytest.raises(BadCertificateError):
            enrol(settings, store=node.info.url, invitation="i1", code=CODE)
    assert epochs_in(tmp_path / "till" / "var") == []


def test_k7_a_code_for_another_till_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, _):
        node.doors.enrol = Door(node, node.info, till="S01-K9")  # type: ignore[method-assign]
        with pytest.raises(EnrolledElseError, match="S01-K9"):
            enrol(settings, store=node.info.url, invitation="i1", code=CODE)
    assert list((tmp_path / "till" / "var").iterdir()) == []


def test_k7_a_till_that_sold_alone_keeps_its_journal(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with running(settings) as opened:
        opened.till.sign_in(BO)
    place = newest(tmp_path / "till" / "var")
    key = load_key(place.key).public
    with a_store(tmp_path) as (node, _):
        assert enrolled(settings, node).epoch == 1
        assert load_key(place.key).public == key
        with running(settings):
            until(lambda: ("S01-K3", 1) in node.shelf.kept)
        assert len(node.shelf.entries("S01-K3")) == len(bodies(place))


def test_r11_a_rebuilt_till_is_a_new_epoch_and_the_old_one_goes_on_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "RELAY_MS", 0)  # this node relays nothing: the till sends HQ everything itself
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, hq):
        first = enrolled(settings, node)
        with running(settings) as opened:
            opened.till.sign_in(BO)
        hq.shelf.kept.clear()
        node.shelf.kept.clear()
        second = enrolled(settings, node)
        assert (first.epoch, second.epoch) == (1, 2)
        with running(settings) as opened:
            assert opened.till.desk.identity.register == "K3-2"
            until(
                lambda: all(shelf.kept.get(("S01-K3", epoch)) for epoch in (1, 2) for shelf in (node.shelf, hq.shelf))
            )
        assert len(hq.shelf.entries("S01-K3", 1)) == len(bodies(first))


def test_k18_a_restored_disk_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, _):
        place = enrolled(settings, node)
        with running(settings):
            pass
        image = {file: file.read_bytes() for file in place.journal.parent.iterdir() if file.is_file()}
        with running(settings) as opened:
            opened.till.sign_in(BO)
        for file in place.journal.parent.iterdir():
            if file.is_file():
                file.unlink()
        for file, data in image.items():
            file.write_bytes(data)
            file.chmod(0o600)
        before = bodies(place)
        with pytest.raises(OldImageError):
            open_till(settings)
        assert bodies(place) == before
    with running(settings):  # alone again it sells, and says that nobody has looked at its disk
        pass
    started = [body for body in bodies(place) if isinstance(body, TillStarted)]
    assert [body.unconfirmed for body in started] == [False, True]


def test_t10_a_revoked_epoch_does_not_start(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, _):
        enrolled(settings, node)
        with running(settings):
            pass
        node.doors.down = (make_paper(Revocation("S01-K3", 1, "stolen", WHEN), MANAGER),)
        with pytest.raises(EpochRevokedError):
            open_till(settings)
    with pytest.raises(EpochRevokedError, match="stolen"):  # with the cable out too: it is remembered
        open_till(settings)


def test_k15_r06_a_till_is_not_taken_away_with_unkept_sales(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with running(settings) as opened:
        opened.till.sign_in(BO)
    place = newest(tmp_path / "till" / "var")
    before = bodies(place)
    with pytest.raises(UnkeptError, match="1 to"):
        retire(settings, by=301, wait=0)
    with a_store(tmp_path, with_hq=False) as (node, _):
        enrolled(settings, node)
        with pytest.raises(UnkeptError):  # the store alone is no place to keep the only copy
            retire(settings, by=301, wait=1)
    assert bodies(place) == before


def test_k15_t10_a_till_whose_sales_are_kept_is_retired_and_sells_no_more(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, hq):
        place = enrolled(settings, node)
        with running(settings) as opened:
            opened.till.sign_in(BO)
        assert retire(settings, by=301, wait=20) == 0
        told = bodies(place)
        assert told[-1] == EpochClosed("retired", 301)
        assert len(hq.shelf.entries("S01-K3")) == len(told)
        assert retire(settings, by=301, wait=20) == 0  # twice does no harm
        assert bodies(place) == told
        with pytest.raises(EpochOverError):
            open_till(settings)
        assert enrolled(settings, node).epoch == 2
        with running(settings) as opened:
            assert isinstance(bodies_of(opened)[0], EpochOpened)


def bodies_of(opened: Opened) -> list[object]:
    return [body_of(entry) for entry in opened.till.desk.ports.journal.read()]


def test_t8_papers_of_another_till_or_of_nonsense_are_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "till")
    with a_store(tmp_path) as (node, _):
        place = enrolled(settings, node)
    said = msgspec.json.decode(place.papers.read_bytes(), type=Enrolled)
    place.papers.write_bytes(msgspec.json.encode(msgspec.structs.replace(said, till="S01-K4")))
    with pytest.raises(SettingsError, match="S01-K4"):
        open_till(settings)
    place.papers.write_bytes(b"[")
    with pytest.raises(PapersUnfitError):
        open_till(settings)
