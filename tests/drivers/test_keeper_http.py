"""The keeper's door by itself: pace, memory, buckets and words, with limits small enough to reach."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from oppet.drivers.keeper_http import KeeperApp, Limits
from oppet.sync.enrolment import Enrolled, Request
from oppet.sync.errors import BadCertificateError, CodeSpentError, PaperUnfitError
from oppet.sync.lanes import Signed
from oppet.sync.messages import Answer, Batch, KeeperInfo, Paper, encode_batch
from tests.sync.chain import NODE, Bench, History

T = TypeVar("T")

INFO = KeeperInfo("S01-node", "store", "http://127.0.0.1:1", NODE.public.hex())
PAPER = Paper("revocation", "{}")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: a browser's tests in the same process leave a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Place(Bench):
    """A keeper and its doors."""

    trouble: Exception | None = None
    down: tuple[Paper, ...] = ()

    def take(self, batch: Batch) -> tuple[Answer, int]:
        if self.trouble is not None:
            raise self.trouble
        return self.keeper.take(batch)

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        if self.trouble is not None:
            raise self.trouble
        return len(papers)

    def enrol(self, request: Request) -> Enrolled:
        raise CodeSpentError(minutes=15)

    def lane(self, signed: Signed) -> Signed:
        return signed

    def who(self) -> KeeperInfo:
        return INFO

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        return self.down


class Door:
    """One app, asked as a server asks it."""

    def __init__(self, **limits: Any) -> None:
        self.place = Place()
        self.rung: list[tuple[str, dict[str, object]]] = []
        self.app = KeeperApp(self.place, self.place, self._alarm, Limits(**limits))

    def _alarm(self, about: str, **facts: object) -> None:
        self.rung.append((about, facts))

    async def asked(
        self,
        path: str,
        *parts: bytes,
        method: str = "POST",
        peer: str = "10.0.0.1",
        pause: float = 0,
        declared: int = -1,
    ) -> tuple[int, Any, dict[bytes, bytes]]:
        length = str(sum(map(len, parts)) if declared < 0 else declared).encode()
        scope = {
            "type": "http", "path": path, "method": method, "client": (peer, 1), "headers": [(b"content-length", length)],
        }  # fmt: skip
        messages = iter(
            {"type": "http.request", "body": part, "more_body": number < len(parts) - 1 or declared > 0}
            for number, part in enumerate(parts or (b"",))
        )
        sent: list[Any] = []

        async def receive() -> Any:
            if pause:
                await asyncio.sleep(pause)
            message = next(messages, None)
            if message is None:
                await asyncio.sleep(60)
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])

    def ask(self, path: str, *parts: bytes, **more: Any) -> tuple[int, Any, dict[bytes, bytes]]:
        return finished(self.asked(path, *parts, **more))


@pytest.fixture
def doors() -> Iterator[list[Door]]:
    made: list[Door] = []
    yield made
    for door in made:
        door.app.close()


def a_door(doors: list[Door], **limits: Any) -> Door:
    doors.append(Door(**limits))
    return doors[-1]


def octets(count: int = 3) -> bytes:
    history = History()
    history.write(count)
    return encode_batch(history.batch(0, count))


def test_k4_what_came_is_counted_once_as_new_and_then_as_repeated(doors: list[Door]) -> None:
    door = a_door(doors)
    door.place.down = (PAPER,)
    for _ in range(3):
        status, said, _ = door.ask("/keep/1/batch", octets())
        assert (status, said["status"], said["ack"]["seq"]) == (200, "kept", 3)
        assert said["papers"] == [{"kind": "revocation", "text": "{}"}]
    counts = door.app.counts
    assert (counts.accepted, counts.entries, counts.repeated, counts.alarms) == (1, 3, 2, 0)


def test_k2_a_body_in_pieces_is_one_and_one_that_stalls_or_drips_is_cut_off(doors: list[Door]) -> None:
    door, data = a_door(doors, grace_s=0.2, slowest_bytes_s=1000), octets()
    assert door.ask("/keep/1/batch", data[:10], data[10:50], data[50:])[0] == 200
    status, said, headers = door.ask("/keep/1/batch", data[:10], declared=len(data))
    assert (status, said["error"], headers[b"connection"]) == (408, "TooSlowError", b"close")
    status, said, _ = door.ask("/keep/1/batch", *(data[at : at + 1] for at in range(len(data))), pause=0.05)
    assert (status, said["error"]) == (408, "TooSlowError")


def test_k2_bodies_are_bounded_by_length_by_count_and_together(doors: list[Door]) -> None:
    door = a_door(doors, buffered_bytes=1 << 20, peer_bytes=300_000)
    assert door.ask("/keep/1/batch", b"", declared=3 << 20)[0] == 413
    assert door.ask("/keep/1/introduce", *[b"x" * 200_000] * 2)[0] == 503  # one address has its share only

    async def many() -> list[int]:
        stalled = [
            asyncio.ensure_future(
                door.asked("/keep/1/batch", b"x" * 250_000, declared=260_000, peer=f"10.0.0.{number}")
            )
            for number in range(2, 8)
        ]
        await asyncio.sleep(0.05)
        honest = await door.asked("/keep/1/batch", octets(), peer="10.0.0.99")
        over = [task.result()[0] for task in stalled if task.done()]
        for task in stalled:
            task.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)
        return [honest[0], *over]

    statuses = finished(many())
    assert statuses == [200, 503, 503, 503]  # the last quarter is for small ones
    assert door.app._memory.total == 0


def test_k2_a_stream_that_is_too_fast_is_told_when_to_come_back_and_another_is_not(doors: list[Door]) -> None:
    door = a_door(doors, stream_rate=0.001, stream_burst=3)
    statuses = [door.ask("/keep/1/batch", octets())[0] for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    status, said, headers = door.ask("/keep/1/batch", octets())
    wait = said["facts"]["retry_after_s"]  # a slow machine has waited a part of it already
    assert (said["error"], headers[b"retry-after"], 500 < wait <= 1_000) == ("TooFastError", str(wait).encode(), True)
    assert door.ask("/keep/1/batch", octets(), peer="10.0.0.2")[0] == 200  # nobody spends another's
    assert door.rung == []
    assert status == 429


def test_k2_more_than_waits_is_said_no_to(doors: list[Door]) -> None:
    door = a_door(doors, waiting=0)
    status, said, headers = door.ask("/keep/1/batch", octets())
    assert (status, said["error"], headers[b"retry-after"]) == (503, "KeeperBusyError", b"1")


def test_k6_an_alarm_rings_once_a_minute_for_the_same_and_every_time_is_counted(doors: list[Door]) -> None:
    door = a_door(doors)
    door.place.trouble = BadCertificateError(whose="till S01-K1, epoch 1", why="this epoch has another key already")
    for _ in range(4):
        assert door.ask("/keep/1/introduce", b"[]")[0] == 403
    assert [about for about, _ in door.rung] == ["BadCertificateError"]
    assert door.rung[0][1]["peer"] == "10.0.0.1"
    assert (door.app.counts.alarms, door.app.counts.refused["BadCertificateError"]) == (4, 4)
    door.place.trouble = PaperUnfitError(why="old")
    assert door.ask("/keep/1/introduce", b"[]")[0] == 400
    assert door.app.counts.alarms == 4


def test_k10_guesses_at_a_code_are_few_for_each_address(doors: list[Door]) -> None:
    door = a_door(doors, enrol_burst=2)
    request = {
        "invitation": "a", "public_key": "0" * 64, "second_key": "", "machine": "m", "salt": "0" * 32, "proof": "0" * 64,
    }  # fmt: skip
    data = json.dumps(request).encode()
    assert [door.ask("/keep/1/enrol", data)[0] for _ in range(3)] == [400, 400, 429]
    assert door.ask("/keep/1/batch", octets())[0] == 200


def test_w2_our_own_mistake_is_said_as_one_without_its_inside(
    doors: list[Door], caplog: pytest.LogCaptureFixture
) -> None:
    door = a_door(doors)
    door.place.trouble = ValueError("the inside")
    status, said, _ = door.ask("/keep/1/batch", octets())
    assert (status, said["error"]) == (500, "OwnMistakeError")
    assert "inside" not in json.dumps(said)
    assert "the inside" in caplog.text


def test_k2_who_answers_and_other_methods_and_paths_are_refused(doors: list[Door]) -> None:
    door = a_door(doors)
    assert door.ask("/keep/1/who", method="GET")[1]["name"] == "S01-node"
    assert door.ask("/keep/1/who")[0] == 405
    status, said, headers = door.ask("/keep/1/batch", method="GET")
    assert (status, headers[b"allow"]) == (405, b"POST")
    assert door.ask("/keep/9/batch")[0] == 404
    assert door.ask("/lane/1/ask", b'{"text":"x","signature":"' + b"0" * 128 + b'"}')[0] == 200
    assert said["error"] == "WrongMethodError"
