"""Head office's directory and fleet: stores by code, tills provisional until two countersign, revocations everywhere at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oppet.base.signing import Signer
from oppet.hq.directory import HqDirectory, NoStoreError
from oppet.hq.main import Opened
from oppet.hq.web_fleet import fleet_of
from oppet.journal.kinds import ActDone, AlarmRaised, Fact
from oppet.people.roles import OPERATIONS, ROLES, VIEWER
from oppet.sync.enrolment import make_request
from oppet.sync.errors import BadCertificateError, BadCodeError, CodeSpentError
from oppet.sync.messages import decode_batch, encode_batch
from tests.hq.office import (
    MANAGER,
    NODE,
    ORIGIN,
    TILL,
    a_client,
    an_office,
    enrolled,
    introduced,
    said,
    signed_in,
)
from tests.sync.chain import History


@pytest.fixture(scope="module")
def hq(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with an_office(dsn, tmp_path_factory.mktemp("office")) as opened:
        yield opened


class DiskGoneError(Exception):
    """The audit journal's disk, at the worst moment."""


def countersign_on_a_bad_disk(hq: Opened) -> None:
    with hq.directory.change() as t:
        hq.directory.countersign(t, "S06-K1", 1)
        raise DiskGoneError


def another(hq: Opened) -> HqDirectory:
    """Another process's directory over the same tables."""
    fresh = HqDirectory(hq.context.tables, hq.directory._signer, hq.context.clock, lambda: hq.info)
    fresh.follow()
    return fresh


def test_k10_a_store_comes_in_by_its_code_once(hq: Opened) -> None:
    answer = enrolled(hq, "S01")
    assert (answer.store, answer.keepers[0].name) == ("S01", "hq")
    assert hq.directory.stores()[0].name == "Storgatan"
    with hq.directory.change() as t:
        invited = hq.directory.invite(t, "S02", "Torget", "Torget", 301)
    wrong = make_request(invited.name, "AAAAAAAA", NODE.public, MANAGER.public, "m", "5a" * 16)
    for _ in range(5):
        with pytest.raises(BadCodeError):
            hq.directory.enrol(wrong)
    right = make_request(invited.name, invited.code, NODE.public, MANAGER.public, "m", "5a" * 16)
    with pytest.raises(CodeSpentError):
        hq.directory.enrol(right)
    with pytest.raises(CodeSpentError):
        hq.directory.enrol(make_request("unknown", invited.code, NODE.public, MANAGER.public, "m", "5a" * 16))
    assert another(hq).store("S02") is None


def test_k8_o5_a_till_is_provisional_until_two_people_countersign(hq: Opened) -> None:
    enrolled(hq, "S03")
    introduced(hq, "S03-K1")
    history = History("S03-K1", 1, TILL)
    history.write(3)
    answer = hq.keeper.receive(decode_batch(encode_batch(history.batch(0, 3))))
    assert answer.status == "kept"
    store = next(s for s in fleet_of(hq.context).stores if s.store == "S03")
    assert store.tills[0].trust == "provisional"
    with a_client(hq) as client:
        signed_in(hq, client, 101, OPERATIONS)
        data = {"till": "S03-K1", "epoch": "1"}
        assert client.post("/fleet/countersign", data=data, headers=ORIGIN).status_code == 303
        with hq.context.tables.change() as t:
            request = next(r for r in t.requests() if r.act == "countersign_till")
        shown = {"request": str(request.id), "shown": request.digest}
        assert client.post("/approvals/approve", data=shown, headers=ORIGIN).status_code == 400
        assert hq.directory.standing("S03-K1", 1).provisional  # type: ignore[union-attr]
        signed_in(hq, client, 302, OPERATIONS)
        assert "S03-K1" in client.get("/approvals").text
        assert client.post("/approvals/approve", data=shown, headers=ORIGIN).status_code == 303
    assert not hq.directory.standing("S03-K1", 1).provisional  # type: ignore[union-attr]
    assert not another(hq).standing("S03-K1", 1).provisional  # type: ignore[union-attr]
    with hq.context.tables.change() as t:
        assert [row.provisional for row in t.streams() if row.till == "S03-K1"] == [False]
    done = said(hq, ActDone)[-1]
    assert (done.act, done.who, done.approved_by) == ("countersign_till", 101, 302)


def test_k9_a_revocation_takes_two_reaches_every_process_and_stands(hq: Opened) -> None:
    enrolled(hq, "S04")
    introduced(hq, "S04-K1")
    before = another(hq)
    with a_client(hq) as client:
        signed_in(hq, client, 101, OPERATIONS)
        data = {"till": "S04-K1", "epoch": "1", "reason": "stolen"}
        assert client.post("/fleet/revoke", data=data, headers=ORIGIN).status_code == 303
        with hq.context.tables.change() as t:
            request = next(r for r in t.requests() if r.act == "revoke_till")
        signed_in(hq, client, 302, OPERATIONS)
        shown = {"request": str(request.id), "shown": request.digest}
        assert client.post("/approvals/approve", data=shown, headers=ORIGIN).status_code == 303
    before.follow()
    for directory in (hq.directory, before, another(hq)):
        assert directory.standing("S04-K1", 1).revoked == "stolen"  # type: ignore[union-attr]
    assert any(paper.kind == "revocation" for paper in hq.directory.papers_down("S04-K1", 1))


def test_k7_a_store_is_renamed_closed_and_given_a_new_manager_without_losing_its_tills(hq: Opened) -> None:
    enrolled(hq, "S05")
    introduced(hq, "S05-K1")
    with hq.directory.change() as t:
        hq.directory.change_store(t, "S05", name="Nygatan", banner="Stormarket")
    new = Signer(b"\x2a" * 32)
    enrolled(hq, "S05", "Nygatan", manager=new)
    introduced(hq, "S05-K2", Signer(b"\x2b" * 32), manager=new)
    with pytest.raises(BadCertificateError):
        introduced(hq, "S05-K3", Signer(b"\x2c" * 32), manager=MANAGER)
    for directory in (hq.directory, another(hq)):
        assert directory.standing("S05-K1", 1) is not None
        assert directory.standing("S05-K2", 1) is not None
        assert directory.standing("S05-K3", 1) is None
    with hq.directory.change() as t:
        hq.directory.change_store(t, "S05", closed=True)
    assert another(hq).store("S05").closed  # type: ignore[union-attr]
    with pytest.raises(NoStoreError), hq.directory.change() as t:
        hq.directory.change_store(t, "S99", closed=True)


def test_o1_a_change_that_cannot_be_written_down_is_believed_by_nobody(hq: Opened) -> None:
    enrolled(hq, "S06")
    introduced(hq, "S06-K1")
    with pytest.raises(DiskGoneError):
        countersign_on_a_bad_disk(hq)
    hq.directory.follow()
    assert hq.directory.standing("S06-K1", 1).provisional  # type: ignore[union-attr]


def test_k7_papers_before_a_forged_one_are_kept(hq: Opened) -> None:
    enrolled(hq, "S07")
    with pytest.raises(BadCertificateError):
        introduced(hq, "S07-K1", TILL, manager=Signer(b"\x66" * 32))
    introduced(hq, "S07-K2")
    assert hq.directory.standing("S07-K1", 1) is None
    assert hq.directory.standing("S07-K2", 1) is not None


def test_o1_the_audit_journal_is_in_head_offices_own_tables_and_alarms_on_its_page(hq: Opened) -> None:
    hq.post.write(AlarmRaised("fork", (Fact("till", "S01-K9"),)))
    hq.send_audit()
    with hq.context.tables.change() as t:
        rows = [row for row in t.streams() if row.till == hq.post.name]
        assert rows[0].head_seq == hq.post.journal.head.seq
        assert any(alarm.about == "fork" for alarm in t.alarms())
    with a_client(hq) as client:
        signed_in(hq, client, 101, VIEWER)
        hq.context.look_again()  # another test's page may have counted a moment ago
        page = client.get("/alarms").text
        assert "S01-K9" in page
        assert "banner-alarm" in page
        signed_in(hq, client, 101, OPERATIONS)
        with hq.context.tables.change() as t:
            alarms = [alarm for alarm in t.alarms() if not alarm.seen]
        for alarm in alarms:
            data = {"process": alarm.process, "epoch": str(alarm.epoch), "seq": str(alarm.seq)}
            assert client.post("/alarms/seen", data=data, headers=ORIGIN).status_code == 303
        with hq.context.tables.change() as t:
            assert t.alarms_new() == 0


def test_k5_a_fork_of_which_no_alarm_came_is_an_alarm_all_the_same_and_once(hq: Opened) -> None:
    enrolled(hq, "S09")
    introduced(hq, "S09-K1")
    history = History("S09-K1", 1, TILL)
    history.write(4)
    copied = history.branch_off(2)
    copied.write(2)
    before = hq.keeper._alarm
    hq.keeper._alarm = lambda *_, **__: None  # the power goes between disk and alarm
    for one in (history, copied):
        hq.keeper.receive(decode_batch(encode_batch(one.batch(0, 4))))
    hq.keeper._alarm = before

    def forks() -> list[tuple[str, int, int]]:
        with hq.context.tables.change() as t:
            found = [alarm for alarm in t.alarms() if Fact("till", "S09-K1") in alarm.facts]
        assert {fact.value for alarm in found for fact in alarm.facts if fact.name == "branch"} == {
            copied.heads[3].digest
        }
        return [(alarm.process, alarm.seq, alarm.seen_by) for alarm in found]

    name = f"fork-{copied.heads[3].digest[:24]}"
    assert forks() == forks() == [(name, 3, 0)]
    with a_client(hq) as client:
        signed_in(hq, client, 101, OPERATIONS)
        assert copied.heads[3].digest in client.get("/api/alarms").text
        assert name in client.get("/alarms").text
        data = {"process": name, "epoch": "1", "seq": "3"}
        assert client.post("/alarms/seen", data=data, headers=ORIGIN).status_code == 303
    assert forks() == [(name, 3, 101)]


def test_o8_r20_health_names_each_queue_with_since_when_and_why(hq: Opened) -> None:
    enrolled(hq, "S08")
    introduced(hq, "S08-K1")
    history = History("S08-K1", 1, TILL, now=hq.context.clock.now() - 3_600_000)
    history.write(2)
    hq.keeper.receive(decode_batch(encode_batch(history.batch(0, 2, as_of=history.as_of()))))
    with a_client(hq) as client:
        found = client.get("/health").json()
        queue = next(queue for queue in found["queues"] if queue["hop"].startswith("S08-K1"))
        assert (queue["state"], queue["entries"]) == ("behind", 2)
        assert queue["oldest_s"] >= 3600
        assert queue["reason"]
        assert found["ready"]
        text = client.get("/metrics").text
        assert 'oppet_till_behind_seconds{store="S08",till="S08-K1"}' in text
        signed_in(hq, client, 510, *ROLES)
        assert "S08-K1" in client.get("/fleet").text
        assert client.get("/api/fleet?store=S08").json()["stores"][0]["state"] == "behind"
        assert client.get("/api/fleet?store=%3Cb%3E").status_code == 400


def test_k7_a_stranger_with_no_papers_is_told_so(hq: Opened, tmp_path: Path) -> None:
    history = History("S99-K1")
    history.write(1)
    assert hq.keeper.receive(history.batch(0, 1)).status == "stranger"
