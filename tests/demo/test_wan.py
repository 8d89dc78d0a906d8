"""The demo's switch cuts what it says it cuts: new connections are refused, old ones are torn, and on is as before."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oppet.demo.chain import free_ports
from oppet.demo.wan import OUTSIDE
from oppet.drivers.processes import Helper


class Service:
    """Something beyond the line that repeats what it is told."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[int, Helper]]:
    (port,) = free_ports(1)
    links = tmp_path / "links.json"
    links.write_text('[{"name": "S01-K1", "role": "till", "url": "http://127.0.0.1:1/"}]', encoding="utf-8")
    service = Service(port)
    try:
        with Helper("oppet.demo.wan", [str(port), "--links", str(links)]) as wan:
            yield port, wan
    finally:
        service.close()


def ask(wan: Helper, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", wan.said["control_port"], timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, data.decode() if path == "/" else json.loads(data)
    finally:
        connection.close()


def torn(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_the_switch_refuses_what_is_new_and_tears_what_is_old(line: tuple[int, Helper]) -> None:
    port, wan = line
    with socket.create_connection((OUTSIDE, port), timeout=5) as connection:
        connection.sendall(b"before")
        assert connection.recv(100) == b"before"
        assert ask(wan, "POST", "/control", {"wan": "off"})[1]["wan"] == "off"
        assert torn(connection)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((OUTSIDE, port), timeout=5)
    assert ask(wan, "POST", "/control", {"wan": "on"})[1]["wan"] == "on"
    with socket.create_connection((OUTSIDE, port), timeout=5) as connection:
        connection.sendall(b"after")
        assert connection.recv(100) == b"after"


def test_the_page_has_the_switch_and_says_where_everything_is(line: tuple[int, Helper]) -> None:
    _, wan = line
    assert ask(wan, "GET", "/state")[1]["links"][0]["name"] == "S01-K1"
    page = ask(wan, "GET", "/")[1]
    assert "Bryt linjen ut" in page
    assert "Cut the line out" in page
    assert ask(wan, "POST", "/control", {"wan": "perhaps"})[0] == 400
