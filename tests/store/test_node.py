"""The store node as a program: enrolled by HQ, lets tills in, keeps, relays, comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from oppet.base.signing import Signer
from oppet.drivers.keeper_client import KeeperClient, enrol_first
from oppet.drivers.sealed_key import PassphraseWrongError
from oppet.store.enrolment import (
    NotInvitedError,
    OtherStoreError,
    TillNameError,
    agreed,
    certificate_text,
    enrol,
    invite,
    next_epoch,
    till_name,
)
from oppet.store.main import find
from oppet.sync.enrolment import Invitation
from oppet.sync.errors import BadCodeError, CodeSpentError, KeeperRefusedError
from oppet.sync.messages import KeeperInfo
from tests.store.stores import PASSPHRASE, Office, a_node, a_store, a_till, certificate_of, send
from tests.sync.chain import a_directory

STRANGER = Signer(bytes([77]) * 32)


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for what other threads bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def kept_by(office: Office, till: str) -> list[bytes]:
    """What HQ has of a till's first epoch."""
    branches = office.shelf.kept.get((till, 1), {})
    return branches[""][1] if "" in branches else []


def test_k7_a_store_is_enrolled_by_hq_and_a_till_by_its_manager_and_all_of_it_goes_up(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            history, enrolled = a_till(node, info)
            assert (enrolled.till, enrolled.epoch, enrolled.register) == ("S01-K1", 1, "K1")
            assert [keeper.place for keeper in enrolled.keepers] == ["store", "hq"]
            history.write(12)
            assert send(history, info).kept == history.head
            until(lambda: kept_by(office, "S01-K1") == history.entries)
            until(lambda: node.upward().waiting == 0)
            assert ("S01-node", 1) in office.shelf.kept
            until(lambda: not node.directory.standing("S01-K1", 1).provisional)  # type: ignore[union-attr]
            health = node.health()
            assert [(one.till, one.head, one.kept_above) for one in health.tills] == [("S01-K1", 12, 12)]
            assert (health.queues, health.well, health.name) == ((), True, "Storgatan")
        assert office.alarms == []


def test_k1_what_was_kept_enrolled_and_granted_is_there_after_a_restart(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            history, _ = a_till(node, info)
            history.write(3)
            send(history, info)
            node.alarm("a test")
        with a_node(file) as (node, info):
            assert [(one.till, one.head) for one in node.histories()] == [("S01-K1", history.head)]
            assert [alarm.about for alarm in node.alarms()] == ["a test"]
            _, again = a_till(node, info, "K1", 51)
            assert again.epoch == 2  # an epoch is never given twice


def test_k8_a_till_is_provisional_while_hq_is_away_and_its_sales_are_kept(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
    with a_node(file) as (node, info):
        history, _ = a_till(node, info)
        history.write(4)
        assert send(history, info).kept == history.head
        assert node.directory.standing("S01-K1", 1).provisional  # type: ignore[union-attr]
        until(lambda: node.upward().waiting > 0 and node.upward().why)
        queue = next(queue for queue in node.health().queues if queue.till == "S01-K1")
        assert (queue.to, queue.waiting, queue.since) == ("HQ", 4, node.shelf.streams()[0].last_time)


def test_k5_a_fork_that_a_power_cut_kept_from_being_said_is_said_once_at_the_next_start(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            till, _ = a_till(node, info)
            till.write(4)
            send(till, info)
            copied = till.branch_off(2)
            copied.write(2)
            node._keeper._alarm = lambda *_, **__: None  # the power goes between disk and alarm
            send(copied, info)
            assert not [alarm for alarm in node.alarms() if alarm.about == "fork"]
            branch = copied.heads[3].digest
        for _ in range(2):
            with a_node(file) as (node, info):
                (alarm,) = [alarm for alarm in node.alarms() if alarm.about == "fork"]
                assert dict(alarm.facts) == {"till": "S01-K1", "epoch": "1", "seq": "3", "branch": branch}


def test_k9_hqs_revocation_comes_down_to_the_till_and_what_it_sends_is_evidence(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            history, _ = a_till(node, info)
            history.write(2)
            send(history, info)
            until(lambda: node.upward().waiting == 0)
            office.revoke("S01-K1", 1)
            history.write(1)
            send(history, info)  # the relay asks HQ, and its answer brings the paper
            until(lambda: node.directory.standing("S01-K1", 1).revoked)  # type: ignore[union-attr]
            history.write(1)
            client = KeeperClient(info)
            batch = history.batch(3, 4)
            answer = client.batch(batch)
            client.close()
            assert answer.status == "kept"
            assert "revocation" in [paper.kind for paper in answer.papers]
            assert [alarm.about for alarm in node.alarms()] == ["EpochRevokedError"]


def test_k9_the_manager_revokes_and_hq_learns_it(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            a_till(node, info)
            with pytest.raises(PassphraseWrongError):
                node.revoke("S01-K1", 1, "lost", "not the passphrase", 301)
            node.revoke("S01-K1", 1, "lost", PASSPHRASE, 301)
            until(lambda: office.directory.standing("S01-K1", 1) is not None)
            until(lambda: office.directory.standing("S01-K1", 1).revoked == "lost")  # type: ignore[union-attr]


def test_k10_a_code_is_spent_by_wrong_tries_and_by_use(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
    with a_node(file) as (node, info):
        made = node.invite("K1", "", PASSPHRASE, 301)
        key = Signer(bytes([60]) * 32).public
        for _ in range(5):
            with pytest.raises(BadCodeError):
                enrol_first(info.url, made.name, "WRONGCDE", key, b"", "machine-1")
        with pytest.raises(CodeSpentError):
            enrol_first(info.url, made.name, made.code, key, b"", "machine-1")
        assert node.invitations() == []
        assert node.directory.last_epoch("S01-K1") == 0


def test_k20_the_managers_key_signs_in_the_process_where_the_manager_sits(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
    with a_node(file) as (node, info):
        verb = threading.Thread(
            target=invite, args=(file,), kwargs={"till": "K4", "passphrase_file": file.parent / "phrase"}
        )
        verb.start()
        until(node.invitations)
        (made,) = node.invitations()
        key = Signer(bytes([61]) * 32).public
        enrolled = enrol_first(info.url, made.name, made.code, key, b"", "machine-1")
        verb.join(10)
        assert not verb.is_alive()
        assert (enrolled.till, enrolled.register, node.invitations()) == ("S01-K4", "K4", [])
        assert node.directory.standing("S01-K4", 1) is not None


def test_k20_nothing_else_is_signed_than_was_invited() -> None:
    made = Invitation("a", "till", "S01", "S01-K4", "K4", "ABCDEFGH", 0, 301)
    good = certificate_of("S01-K4", 3, STRANGER)
    assert agreed(certificate_text(good), made, "S01", "S01-node") == good
    for changes in ({"till": "S01-K5"}, {"register": "K5"}, {"store": "S02"}):
        other = msgspec.structs.replace(good, **changes)
        with pytest.raises(NotInvitedError):
            agreed(certificate_text(other), made, "S01", "S01-node")
    with pytest.raises(NotInvitedError):
        agreed(certificate_text(good), None, "S01", "S01-node")
    with pytest.raises(NotInvitedError):
        agreed(certificate_text(good) + " ", made, "S01", "S01-node")


def test_k21_an_epoch_is_never_below_what_any_kept_journal_shows() -> None:
    directory = a_directory()
    assert next_epoch(directory, [], "S01-K1") == 2
    assert next_epoch(directory, [("S01-K1", 7), ("S01-K2", 9)], "S01-K1") == 8
    assert next_epoch(directory, [], "S01-K3") == 1
    assert till_name("S01", "K3") == till_name("S01", "S01-K3") == "S01-K3"
    for nonsense in ("", "S01-", "K 3", "K/3", "Ä1", "x" * 60, "-"):
        with pytest.raises(TillNameError):
            till_name("S01", nonsense)


def test_k7_another_stores_papers_and_invitations_are_refused(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        a_store(tmp_path / "t", office, "S02")
        other = a_store(tmp_path / "u", None, "S03")
        made = office.invited("S04")
        with pytest.raises(OtherStoreError):
            enrol(
                other,
                hq=office.info.url,
                invitation=made.name,
                code=made.code,
                passphrase_file=tmp_path / "s" / "phrase",
            )
    with a_node(file) as (node, info):
        papers = list(office.directory.papers("S02"))
        client = KeeperClient(info)
        with pytest.raises(KeeperRefusedError):
            client.introduce(papers)
        client.close()
        assert list(node.directory.stores) == ["S01"]
        assert node.alarms() == []


def test_a_store_renamed_and_closed_says_so_and_goes_on_draining(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
        with a_node(file) as (node, info):
            history, _ = a_till(node, info)
            history.write(2)
            send(history, info)
            until(lambda: node.upward().waiting == 0)
            office.certify("S01", "Nya torget", closed=True)
            history.write(2)
            assert send(history, info).kept == history.head
            until(lambda: node.health().closed)
            until(lambda: node.upward().waiting == 0)
            assert node.health().name == "Nya torget"
            assert kept_by(office, "S01-K1") == history.entries


def test_a_neighbour_keeper_keeps_and_is_told_to_the_next_till(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
    with a_node(file) as (node, info):
        near = a_store(tmp_path / "n", None, place="till", name="S01-K2-keeper")
        invite(near.parent.parent / "s" / "node.json", till="K2-keeper", keeper="https://127.0.0.1:9")
        (made,) = node.invitations()
        assert enrol(near, hq=info.url, invitation=made.name, code=made.code) == 0
        history, enrolled = a_till(node, info)
        assert [keeper.place for keeper in enrolled.keepers] == ["store", "till", "hq"]
        with a_node(near) as (neighbour, there):
            assert enrolled.keepers[1].public_key == there.public_key
            assert enrolled.keepers[1].tls == there.tls
            client = KeeperClient(there)
            client.introduce(enrolled.papers)
            history.write(3)
            assert send(history, there, client).kept == history.head
            client.close()
            assert neighbour.relay is None
            assert neighbour.health().place == "till"


def test_a_node_that_announces_itself_is_found_by_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office, announce=True, interfaces=["127.0.0.1"])
    with a_node(file) as (_, info):
        capsys.readouterr()
        assert find(store="S01", seconds=5, interface=("127.0.0.1",), as_json=True) == 0
        assert msgspec.json.decode(capsys.readouterr().out, type=list[KeeperInfo]) == [info]
