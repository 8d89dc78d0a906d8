"""Calls to Swish: the right certificate, the way that works, and nothing of an answer that cannot be read."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oppet.drivers import swish_client
from oppet.drivers.swish_client import (
    Reply,
    SwishAwayError,
    SwishCertificateError,
    SwishClient,
    SwishSilentError,
    Way,
    _Line,
)
from tests.simulators.swishes import SwishProcess

NOBODY = "0" * 32


@pytest.fixture(scope="module")
def swish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwishProcess]:
    running = SwishProcess(tmp_path_factory.mktemp("swish"))
    yield running
    running.kill()


@contextlib.contextmanager
def a_client(swish: SwishProcess, *papers: str | Path, ways: tuple[Way, ...] = ()) -> Iterator[SwishClient]:
    files = [paper if isinstance(paper, Path) else swish.paper(paper) for paper in papers]
    made = SwishClient(
        ways=ways or (Way(swish.base),), certificates=files, authorities=swish.paper("ca"), timeout_s=5.0
    )
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def a_proxy() -> Iterator[tuple[str, list[str]]]:
    """Connects through, as a second carrier's proxy does, and notes to where."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            near, _ = listener.accept()
            with near:
                target = near.recv(4096).split(b" ")[1].decode()
                asked.append(target)
                host, _, port = target.rpartition(":")
                with socket.create_connection((host, int(port)), 5) as far:
                    near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    back = threading.Thread(target=pump, args=(far, near))
                    back.start()
                    pump(near, far)
                    back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_pt8_the_certificate_that_is_valid_longest_is_shown(swish: SwishProcess) -> None:
    with a_client(swish, "client-1", "client-2") as client:
        assert client.see(NOBODY).status == 404
        assert client.certificate_days() in (728, 729)
    with a_client(swish, "client-1") as client:
        assert client.certificate_days() in (58, 59)


@pytest.mark.parametrize("first", ["client-expired", "client-stranger"])
def test_pt8_a_certificate_that_does_not_do_yields_to_the_other(swish: SwishProcess, first: str) -> None:
    with a_client(swish, first, "client-1") as client:
        for _ in range(2):
            assert client.see(NOBODY).status == 404


@pytest.mark.parametrize("only", ["client-expired", "client-stranger"])
def test_pt8_without_a_certificate_that_does_it_is_said(swish: SwishProcess, only: str) -> None:
    with a_client(swish, only) as client, pytest.raises((SwishCertificateError, SwishSilentError)):
        client.see(NOBODY)


def test_pt8_a_key_that_others_may_read_is_not_used(swish: SwishProcess, tmp_path: Path) -> None:
    file = tmp_path / "client.pem"
    shutil.copy(swish.paper("client-1"), file)
    file.chmod(0o640)
    with pytest.raises(SwishCertificateError, match="0600"), a_client(swish, file):
        pass
    with a_client(swish, file, "client-2") as client:
        assert client.see(NOBODY).status == 404


def test_pt8_a_certificate_that_is_exchanged_is_read_without_a_restart(
    swish: SwishProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swish_client, "RELOAD_S", 0.0)
    file = tmp_path / "client.pem"
    shutil.copy(swish.paper("client-expired"), file)
    file.chmod(0o600)
    with a_client(swish, file) as client:
        with pytest.raises(SwishCertificateError):
            client.see(NOBODY)
        file.write_bytes(swish.paper("client-2").read_bytes())
        assert client.see(NOBODY).status == 404


def test_pt8_a_way_that_is_down_is_left_for_one_that_works(swish: SwishProcess) -> None:
    dead = swish.base.replace(str(swish.ready["port"]), "9")
    with a_client(swish, "client-1", ways=(Way(dead), Way(swish.base, source="127.0.0.1"))) as client:
        assert client.way() == 0
        assert client.see(NOBODY).status == 404
        assert client.way() == 1, "the dead one rests"


def test_pt8_a_proxy_leads_out_too(swish: SwishProcess) -> None:
    with a_proxy() as (proxy, asked), a_client(swish, "client-1", ways=(Way(swish.base, proxy=proxy),)) as client:
        assert client.see(NOBODY).status == 404
        assert asked == [f"localhost:{swish.ready['port']}"]


def test_pt5_a_server_that_is_not_swish_gets_no_question(swish: SwishProcess) -> None:
    with a_client(swish, "client-1") as client:
        for mode in ("stranger", "expired", "away"):
            swish.order(mode=mode)
            before = swish.state()["calls"]
            with pytest.raises(SwishAwayError):
                client.create(NOBODY, b"{}")
            assert swish.state()["calls"] == before
        swish.order(mode="ok")
        assert client.see(NOBODY).status == 404


def test_pt3_a_request_whose_answer_is_lost_may_have_been_sent(swish: SwishProcess) -> None:
    with a_client(swish, "client-1") as client:
        swish.order(fault="lost", on="cancel")
        with pytest.raises(SwishSilentError):
            client.cancel(NOBODY)


# --- answers, byte by byte ----------------------------------------------------------------------------------------


def read(data: bytes) -> tuple[Reply, bool]:
    near, far = socket.socketpair()
    line = _Line(near, None)  # type: ignore[arg-type]
    line.deadline = time.monotonic() + 2
    try:
        far.sendall(data)
        far.close()
        return line.read()
    finally:
        line.close()


@pytest.mark.parametrize(
    ("data", "reply", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Reply(200, b"{}"), True),
        (
            b"HTTP/1.1 201 -\r\nLocation: x\r\nPaymentRequestToken: t\r\nContent-Length: 0\r\n\r\n",
            Reply(201, b"", "x", "t"),
            True,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
            Reply(200, b"{}"),
            True,
        ),
        (b"HTTP/1.1 404\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", Reply(404), False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n", Reply(200, b"{}"), False),
    ],
)
def test_pt5_an_answer_is_read_to_its_end_and_no_further(data: bytes, reply: Reply, keep: bool) -> None:
    assert read(data) == (reply, keep)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"A" * 40_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", b"<html>Sign in</html>\r\n\r\n",
    ],
)  # fmt: skip
def test_pt5_what_is_cut_off_endless_or_no_answer_counts_for_nothing(data: bytes) -> None:
    with pytest.raises((OSError, ValueError)):
        read(data)
