"""A client believes a keeper for its pinned certificate, waits no longer than its deadline, and explains every failure."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from oppet.base.errors import RefusedError, UnavailableError
from oppet.drivers.keeper_client import KeeperClient, enrol_first
from oppet.sync.certificates import StoreCertificate, TillCertificate, make_paper
from oppet.sync.enrolment import Enrolled, Request, seal_answer
from oppet.sync.errors import (
    BadCertificateError,
    BatchTooLargeError,
    CodeSpentError,
    ForgedBatchError,
    KeeperAwayError,
    KeeperRefusedError,
    TooFastError,
    WrongKeeperError,
)
from oppet.sync.messages import KeeperInfo
from tests.drivers.keepers import hanging, saying, served
from tests.sync.chain import HQ, MANAGER, NODE, OTHER, TILL, WHEN, History

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_k16_nothing_is_sent_to_a_keeper_with_another_certificate(tmp_path: Path) -> None:
    till = History()
    till.write(3)
    with served(tmp_path) as keeper:
        client = KeeperClient(msgspec.structs.replace(keeper.info, tls="ab" * 32))
        with pytest.raises(WrongKeeperError):
            client.batch(till.batch(0, 3))
        client.close()
        assert keeper.app.counts.requests == 0
        assert keeper.shelf.kept == {}


def test_k16_a_keeper_over_tls_needs_a_pin(tmp_path: Path) -> None:
    with served(tmp_path) as keeper:
        client = KeeperClient(msgspec.structs.replace(keeper.info, tls=""))
        with pytest.raises(WrongKeeperError):
            client.who()
        client.close()


@pytest.mark.parametrize("secure", [True, False])
def test_k1_a_batch_goes_over_the_wire_and_is_acknowledged(tmp_path: Path, *, secure: bool) -> None:
    till = History()
    till.write(5)
    with served(tmp_path, secure=secure) as keeper:
        client = KeeperClient(keeper.info)
        for after, last in ((0, 2), (2, 5), (0, 5)):
            answer = client.batch(till.batch(after, last))
            assert answer.status == "kept"
            assert answer.ack is not None
            assert answer.ack.seq == last
        assert client.who() == keeper.info
        client.close()
        assert keeper.shelf.entries("S01-K1") == till.entries


def test_k13_a_connection_that_went_stale_is_opened_again(tmp_path: Path) -> None:
    till = History()
    till.write(2)
    with served(tmp_path, secure=False) as keeper:
        client = KeeperClient(keeper.info)
        client.who()
        port = int(keeper.info.url.rpartition(":")[2])
    with served(tmp_path, secure=False, shelf=keeper.shelf, port=port):
        assert client.batch(till.batch(0, 2)).status == "kept"
    with pytest.raises(KeeperAwayError):
        client.who()
    client.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (OK, b"Content-Length: 900\r\n\r\n", *(b" ",) * 900),
        tuple(bytes([octet]) for octet in OK + b"Content-Length: 9\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n",) * 900,
    ],
)
def test_k2_an_answer_that_drips_holds_nobody(pieces: tuple[bytes, ...]) -> None:
    with saying(*pieces, pause_s=0.02) as info:
        client = KeeperClient(info, 0.3)
        began = time.monotonic()
        with pytest.raises(KeeperAwayError):
            client.who()
        assert time.monotonic() - began < 3
        client.close()


def test_k2_a_keeper_that_never_answers_costs_the_deadline() -> None:
    with hanging() as info:
        client = KeeperClient(info, 0.2)
        with pytest.raises(KeeperAwayError, match="no answer in time"):
            client.who()
        client.close()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", KeeperAwayError),
        (OK + b"Content-Length: 9\r\n\r\n[[[[[[[[[", KeeperAwayError),
        (OK + b"Content-Length: 99999999\r\n\r\n" + b" " * 100, KeeperAwayError),
        (b"SSH-2.0-OpenSSH_9.9\r\n", KeeperAwayError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", KeeperAwayError),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", KeeperRefusedError),
        (b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", TooFastError),
        (b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", BatchTooLargeError),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", UnavailableError),
        (b'HTTP/1.1 400 No\r\nContent-Length: 44\r\n\r\n{"error":"BatchMalformedError","facts":{}}  \n', RefusedError),
        (b'HTTP/1.1 400 No\r\nContent-Length: 31\r\n\r\n{"error":"SystemExit","facts":{}', RefusedError),
    ],
)
def test_k2_whatever_comes_back_is_a_leaf_that_says_who_must_act(said: bytes, error: type[Exception]) -> None:
    with saying(said) as info:
        client = KeeperClient(info, 1.0)
        with pytest.raises(error):
            client.who()
        client.close()


def test_k6_a_forged_batch_is_refused_in_the_keepers_own_words(tmp_path: Path) -> None:
    forger = History(signer=OTHER)
    forger.write(2)
    with served(tmp_path) as keeper:
        client = KeeperClient(keeper.info)
        with pytest.raises(ForgedBatchError, match="did not sign"):
            client.batch(forger.batch(0, 2))
        client.close()
        assert keeper.alarms == ["ForgedBatchError"]


def an_answer(info: KeeperInfo, code: str, request: Request) -> Enrolled:
    store = StoreCertificate("S01", "Storgatan", "Torget", MANAGER.public.hex(), NODE.public.hex(), WHEN)
    till = TillCertificate("S01-K3", 2, "S01", "K3-2", TILL.public.hex(), WHEN)
    papers = (make_paper(store, HQ), make_paper(till, MANAGER, HQ))
    answer = Enrolled("S01-K3", 2, "S01", "K3-2", HQ.public.hex(), papers, (info,))
    return seal_answer(answer, code, request)


class Knowing:
    """The door of a store node that made the code, or of somebody who did not."""

    def __init__(self, info: KeeperInfo, code: str) -> None:
        self.info, self.code = info, code

    def __call__(self, request: Request) -> Enrolled:
        return an_answer(self.info, self.code, request)


def test_k10_a_machine_without_a_pin_believes_whoever_knows_the_code(tmp_path: Path) -> None:
    with served(tmp_path) as keeper:
        keeper.doors.enrol = Knowing(keeper.info, "ABCD2345")  # type: ignore[method-assign]
        enrolled = enrol_first(keeper.info.url, "till-1", "abcd-2345", TILL.public, b"", "here")
        assert enrolled.keepers == (keeper.info,)
        keeper.doors.enrol = Knowing(keeper.info, "ABCD2346")  # type: ignore[method-assign]
        with pytest.raises(BadCertificateError):
            enrol_first(keeper.info.url, "till-1", "ABCD2345", TILL.public, b"", "here")


def test_k10_k16_somebody_in_between_with_their_own_certificate_is_found(tmp_path: Path) -> None:
    """Cleo passes everything on, but the certificate seen is not the one the answer names."""
    with served(tmp_path) as keeper:
        real = msgspec.structs.replace(keeper.info, tls="cd" * 32)
        keeper.doors.enrol = Knowing(real, "ABCD2345")  # type: ignore[method-assign]
        with pytest.raises(WrongKeeperError):
            enrol_first(keeper.info.url, "till-1", "ABCD2345", TILL.public, b"", "here")


def test_k10_a_spent_code_is_said_in_words(tmp_path: Path) -> None:
    with served(tmp_path) as keeper, pytest.raises(CodeSpentError, match="15 minutes"):
        enrol_first(keeper.info.url, "till-1", "ABCD2345", TILL.public, b"", "here")
