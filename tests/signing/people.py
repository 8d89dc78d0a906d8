"""People of a vendor and a chain at their desks: sticks, requests and verbs as they are typed, with quick passphrases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oppet.cli import command, run
from oppet.drivers import sealed_key
from oppet.release.terms import Pace
from tests.release.chain import a_pace

PHRASE = "correct horse battery"
APP = command()


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase costs milliseconds here; what it costs outside is tests/drivers/test_sealed_key.py's."""
    monkeypatch.setattr(
        sealed_key, "_stretched", lambda sealed, phrase: sha256((sealed.salt + phrase).encode()).digest()
    )
    monkeypatch.setenv("OPPET_PASSPHRASE", PHRASE)


@dataclass(frozen=True, slots=True)
class People:
    """A folder with the tree `pub`, sticks `<party>-A` … and services' keys."""

    root: Path

    @property
    def pub(self) -> Path:
        return self.root / "pub"

    def say(self, *words: object) -> int:
        """Type a verb; give its exit code."""
        return run(["release", *map(str, words)], APP)

    def told(self, capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
        """Type a verb that must work; give what it said as JSON."""
        capsys.readouterr()
        code = self.say(*words, "--json")
        answer = capsys.readouterr()
        assert code == 0, answer.err
        said: dict[str, Any] = json.loads(answer.out.strip().splitlines()[-1])
        return said

    def refused(self, capsys: pytest.CaptureFixture[str], *words: object) -> str:
        """Type a verb that must be refused; give the sentence."""
        capsys.readouterr()
        code = self.say(*words)
        said = capsys.readouterr().err
        assert code in (1, 2, 3), said
        assert said.startswith("oppet: ")
        return said.removeprefix("oppet: ").strip()

    def stick(self, party: str, holder: str) -> Path:
        return self.root / f"{party}-{holder}"

    def sign(self, party: str, request: Path, *holders: str) -> None:
        for holder in holders:
            assert self.say(f"sign-as-{party}", request, "--stick", self.stick(party, holder), "--yes") == 0

    def online(self, party: str) -> Path:
        return self.root / f"{party}-online"

    def publish(self, party: str, *requests: Path) -> int:
        words = [word for request in requests for word in ("--request", request)]
        return self.say("publish", self.pub / party, "--online", self.online(party), *words)

    def release(self, number: int, image: bytes, *, by: tuple[str, ...] = ("vendor", "chain")) -> None:
        """Prepare, sign and publish a release for each party."""
        file = self.root / f"till-{number}.tar"
        file.write_bytes(image)
        for party in by:
            request = self.root / f"{party}-{number}.request"
            words = (
                "prepare",
                self.pub / party,
                file,
                "--number",
                number,
                "--version",
                f"0.{number}.0",
                "--request",
                request,
            )
            assert self.say(*words) == 0
            self.sign(party, request, "A", "B")
            assert self.publish(party, request) == 0


def hold_ceremonies(root: Path, pace: Pace | None = None) -> People:
    """Both parties' ceremonies, three people each, and two publishers of prices."""
    people = People(root)
    file = root / "pace.json"
    file.write_bytes(msgspec.json.encode(pace or a_pace()))
    for party in ("vendor", "chain"):
        sticks = [word for holder in "ABC" for word in ("--stick", f"{holder}={people.stick(party, holder)}")]
        more = ["--pace", file]
        for holder in ("401", "402"):
            more += ["--publisher", f"{holder}={people.stick(party, holder)}"]
        record = ["--record", root / f"{party}.txt"]
        words = [*sticks, "--online", people.online(party), *record, *(more if party == "chain" else [])]
        assert people.say("ceremony", people.pub / party, *words) == 0
    return people
