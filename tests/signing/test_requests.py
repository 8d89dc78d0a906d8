"""A desk that is owned writes requests too: nothing is signed that is not told, and no change hides from the words (RL15)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

from oppet.base.errors import RefusedError, UntrustedError
from oppet.drivers import signing_keys
from oppet.drivers.repositories import make_signer
from oppet.signing import ceremony
from oppet.signing.requests import RequestUnfitError, drafts_of, read_request
from tests.signing.people import PHRASE, People, hold_ceremonies, quick

Twist = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> People:
    """A chain whose request for new keys and a release waits to be signed."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        people = hold_ceremonies(tmp_path_factory.mktemp("desk"))
        assert people.say("key", people.stick("chain", "D"), "--holder", "D") == 0
        image = people.root / "till-7.tar"
        image.write_bytes(b"an image")
        request = people.root / "r.request"
        words = ("prepare", people.pub / "chain", image, "--number", 7, "--version", "0.7.0", "--request", request)
        assert people.say(*words) == 0
        change = (
            "rotate",
            people.pub / "chain",
            "--out",
            "C",
            "--stick",
            people.stick("chain", "D"),
            "--request",
            request,
        )
        assert people.say(*change) == 0
    return people


@pytest.fixture
def people(held: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    quick(monkeypatch)
    shutil.copytree(held.root, tmp_path / "desk")
    return People(tmp_path / "desk")


def twisted(people: People, role: str, twist: Twist) -> Path:
    """The request with one draft's signed part changed before anybody signed."""
    file = people.root / "r.request"
    said = json.loads(file.read_bytes())
    draft = json.loads(said["drafts"][role])
    twist(draft["signed"])
    said["drafts"][role] = json.dumps(draft)
    file.write_text(json.dumps(said))
    return file


def _other_key_of_the_same_name(root: dict[str, Any]) -> None:
    root["keys"][root["roles"]["root"]["keyids"][0]]["keyval"] = make_signer().public_key.keyval


def _one_person_twice(root: dict[str, Any]) -> None:
    key = make_signer().public_key
    root["keys"][key.keyid] = {**key.to_dict(), "x-oppet-holder": "B"}
    root["roles"]["targets"]["keyids"].append(key.keyid)


def _release(lists: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = lists["targets"]["software/till-7.index"]
    return found


def _delegated(lists: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = lists["delegations"]["roles"][0]
    return found


TWISTS: dict[str, tuple[str, Twist]] = {
    "another key under a known name": ("root", _other_key_of_the_same_name),
    "one person with two keys": ("root", _one_person_twice),
    "a field of the root": ("root", lambda root: root.update({"x-other": 1})),
    "a field of a key": ("root", lambda root: next(iter(root["keys"].values())).update({"x": 1})),
    "more in the pace": ("root", lambda root: root["x-oppet-pace"].update({"more": 1})),
    "a pace that cannot be read": ("root", lambda root: root["x-oppet-pace"].update({"dwell_min": "no"})),
    "versions that may be overwritten": ("root", lambda root: root.update({"consistent_snapshot": False})),
    "a field of a release": ("targets", lambda lists: _release(lists)["custom"].update({"run": "this"})),
    "a release that cannot be read": ("targets", lambda lists: _release(lists)["custom"].update({"image": "x"})),
    "a field beside a release": ("targets", lambda lists: _release(lists).update({"x": 1})),
    "a long word": ("targets", lambda lists: lists["targets"].update({"a": {**_release(lists), "custom": {"a": "b" * 2000}}})),
    "names that nobody can read": (
        "targets", lambda lists: _delegated(lists).update({"path_hash_prefixes": [_delegated(lists).pop("paths") and "0"]})),
    "a step of versions": ("targets", lambda lists: lists.update({"version": 9})),
    "a root that is no root": ("root", lambda root: root.update({"_type": "targets", "targets": {}})),
}  # fmt: skip


@pytest.mark.parametrize("name", TWISTS)
def test_rl15_nothing_is_signed_that_is_not_told(people: People, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = twisted(people, *TWISTS[name])
    before = file.read_bytes()
    words = ("sign-as-chain", file, "--yes", "--stick", people.stick("chain", "A"))
    assert "cannot be believed" in people.refused(capsys, *words)
    assert file.read_bytes() == before


def test_rl15_the_same_request_untwisted_is_signed(people: People) -> None:
    people.sign("chain", people.root / "r.request", "A", "B")


def test_rl15_what_a_terminal_would_obey_is_made_visible(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = "software/\x1b[1A\x1b[2Ktill-9.index"
    file = twisted(people, "targets", lambda lists: lists["targets"].update({hidden: _release(lists)}))
    capsys.readouterr()
    assert people.say("sign-as-chain", file, "--yes", "--stick", people.stick("chain", "A")) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "NEW software/·[1A·[2Ktill-9.index" in said


def test_rl15_a_lower_threshold_and_a_wider_role_are_told(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    def loosen(lists: dict[str, Any]) -> None:
        _delegated(lists).update({"threshold": 1, "paths": ["*"], "terminating": False})

    file = twisted(people, "targets", loosen)
    capsys.readouterr()
    assert people.say("sign-as-chain", file, "--yes", "--stick", people.stick("chain", "A")) == 0
    assert "emergency: 1 of 3 must sign; may list *, AND OTHERS AFTER IT." in capsys.readouterr().out


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 40_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_request_is_refused_and_never_breaks_the_desk(held: People, place: int, byte: int, cut: bool) -> None:
    data = bytearray((held.root / "r.request").read_bytes())
    place %= len(data)
    data[place] = byte
    file = held.root / "damaged.request"
    file.write_bytes(data[:place] if cut else data)
    try:
        drafts_of(read_request(file), file)
    except (RefusedError, UntrustedError):
        return


def test_a_token_that_is_not_there_is_said(
    people: People, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = people.refused(capsys, "key", people.root / "t", "--holder", "T", "--token", "hsm:2?label=T")
    assert "This machine cannot speak to tokens" in said or "The token does not answer" in said
    assert not [*people.root.glob("t/*.key")]


class Tokens:
    """A stand-in for the makers' library: one token with one key, opened by its PIN."""

    KEY = CryptoSigner.generate_ecdsa()

    @classmethod
    def import_(cls, number: int | None, label: str | None, pin: Callable[[str], str]) -> tuple[str, Key]:
        assert (number, label, pin("pin")) == (2, "E", PHRASE)
        return "hsm:2?label=E", SSlibKey.from_dict(cls.KEY.public_key.keyid, cls.KEY.public_key.to_dict())

    @classmethod
    def from_priv_key_uri(cls, address: str, key: Key, pin: Callable[[str], str]) -> Signer:
        assert (address, pin("pin")) == ("hsm:2?label=E", PHRASE)
        return cls.KEY


def test_rl15_a_token_signs_like_a_stick(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_keys, "HSMSigner", Tokens)
    stick, request = people.stick("chain", "E"), people.root / "e.request"
    assert people.say("drop", people.pub / "chain", "--yes") == 0
    assert people.say("key", stick, "--holder", "E", "--role", "targets", "--token", "hsm:2?label=E") == 0
    assert people.say("rotate", people.pub / "chain", "--stick", stick, "--request", request) == 0
    people.sign("chain", request, "A", "B", "C", "E")
    assert people.publish("chain", request) == 0
    assert people.say("refresh", people.pub / "chain", "--role", "targets", "--request", request) == 0
    people.sign("chain", request, "E", "A")
    assert people.publish("chain", request) == 0


def test_rl15_a_pace_that_no_till_would_count_is_not_held_a_ceremony_with(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    file = people.root / "pace.json"
    file.write_text(file.read_text().replace('"dwell_min":600', '"dwell_min":1'))
    with pytest.raises(ceremony.PaceUnfitError):
        ceremony.read_pace(file)


def test_a_request_with_nothing_in_it_is_refused(people: People) -> None:
    file = people.root / "r.request"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "drafts": {}}))
    with pytest.raises(RequestUnfitError):
        read_request(file)
