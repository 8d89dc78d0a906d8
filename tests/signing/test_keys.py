"""Keys that change: people who come and go, a lost key, a stolen one; and what else is drafted, signed and published (RL15)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from oppet.drivers.signing_keys import service_signer
from oppet.release.terms import Software, read
from oppet.signing.desk import desk_at
from tests.release.chain import a_pace
from tests.signing.people import People, hold_ceremonies, quick

IMAGE = b"an image of a till " * 2000


class Folder(FetcherInterface):
    """Reads a published tree as a client would over a wire."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url)
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


def believed(people: People, party: str = "chain") -> Updater:
    """What a till that was installed with the first root believes now."""
    base = people.pub / party
    mine = people.root / "till" / party
    mine.mkdir(parents=True, exist_ok=True)
    root = (base / "metadata/1.root.json").read_bytes()
    updater = Updater(str(mine), f"{base}/metadata", str(mine), f"{base}/targets", fetcher=Folder(), bootstrap=root)
    updater.refresh()
    return updater


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> People:
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        people = hold_ceremonies(tmp_path_factory.mktemp("desk"))
        people.release(7, IMAGE)
    return people


@pytest.fixture
def people(held: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    quick(monkeypatch)
    shutil.copytree(held.root, tmp_path / "desk")
    return People(tmp_path / "desk")


def fresh_stick(people: People, holder: str, *roles: str) -> Path:
    stick = people.stick("chain", holder)
    more = [word for role in roles for word in ("--role", role)]
    assert people.say("key", stick, "--holder", holder, *more) == 0
    return stick


def test_rl15_a_lost_key_is_replaced_by_those_who_are_left(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    request, stick = people.root / "lost.request", fresh_stick(people, "D")
    words = ("recover", people.pub / "chain", "--lost", "C", "--request", request)
    assert people.say(*words, "--stick", stick) == 0
    people.sign("chain", request, "A", "B")
    publish = ("publish", people.pub / "chain", "--online", people.online("chain"), "--request", request)
    assert "Still to sign: D" in people.refused(capsys, *publish)  # of an emergency: all must sign
    people.sign("chain", request, "D")
    assert people.publish("chain", request) == 0
    assert believed(people).get_targetinfo("software/till-7.index")
    after = people.root / "after.request"
    people.say("refresh", people.pub / "chain", "--role", "targets", "--request", after)
    assert "C’s stick holds no key" in people.refused(
        capsys, "sign-as-chain", after, "--stick", people.stick("chain", "C"), "--yes"
    )
    people.sign("chain", after, "D", "A")
    assert people.publish("chain", after) == 0


def test_rl15_a_stolen_key_signs_nothing_any_more_and_what_it_signed_is_told(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request, stick = people.root / "stolen.request", fresh_stick(people, "D")
    capsys.readouterr()
    words = (
        "recover",
        people.pub / "chain",
        "--stolen",
        "A",
        "--since",
        "2020-01-01",
        "--stick",
        stick,
        "--request",
        request,
    )
    assert people.say(*words) == 0
    told = capsys.readouterr().out
    assert "to be looked at before anybody signs" in told
    assert "NEW software/till-7.index" in told
    assert "root: the key of A" in told
    people.sign("chain", request, "B", "C", "D")
    assert people.publish("chain", request) == 0
    repository = desk_at(people.pub / "chain").repository
    thief = people.stick("chain", "A")
    stolen = {held["public"].split('"')[3] for held in msgspec.json.decode((thief / "stick.json").read_bytes())["keys"]}
    for role in ("root", "targets", "emergency"):
        assert not stolen & set(repository.seen(role).signatures)
    assert believed(people).get_targetinfo("software/till-7.index")


def test_a_person_who_is_unknown_or_cannot_be_missed_is_said(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("rotate", people.pub / "chain", "--request", people.root / "r", "--out")
    assert "Nobody called X signs in chain. There are: 401, 402, A, B, C." in people.refused(capsys, *words, "X")
    assert "Give the new person’s stick" in people.refused(capsys, *words, "A")
    half = fresh_stick(people, "E", "targets")
    assert "has no key for root of chain" in people.refused(capsys, *words, "A", "--stick", half)
    assert "Say what changes" in people.refused(capsys, "rotate", people.pub / "chain", "--request", people.root / "r")


def test_the_services_keys_are_made_new_and_a_draft_that_waits_stops_no_service(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request, fresh = people.root / "m.request", people.root / "fresh"
    shutil.copytree(people.online("chain"), fresh)
    (fresh / "online.key").unlink()
    (fresh / "rollout.key").unlink()
    words = ("--machine", "online", "--machine", "rollout", "--online", fresh, "--request", request)
    assert people.say("rotate", people.pub / "chain", *words) == 0
    assert people.say("publish", people.pub / "chain", "--online", people.online("chain"), "--dates") == 0
    people.sign("chain", request, "A", "B")
    assert people.refused(
        capsys, "publish", people.pub / "chain", "--online", people.online("chain"), "--request", request
    )
    assert people.say("publish", people.pub / "chain", "--online", fresh) == 0
    believed(people)
    assert people.say("rollout", people.pub / "chain", "--online", fresh, "--release", 7) == 0


def test_a_publisher_of_prices_comes_and_goes(people: People) -> None:
    request = people.root / "p.request"
    stick = fresh_stick(people, "403", "publisher")
    assert people.say("rotate", people.pub / "chain", "--out", "401", "--stick", stick, "--request", request) == 0
    people.sign("chain", request, "A", "B", "402", "403")
    assert people.publish("chain", request) == 0
    assert set(desk_at(people.pub / "chain").holders("wide").values()) == {"402", "403"}
    believed(people)


def test_rl5_another_pace_needs_the_roots_people_and_may_not_be_just_any(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request, file = people.root / "pace.request", people.root / "new-pace.json"
    file.write_bytes(msgspec.json.encode(a_pace(dwell_min=900)))
    words = ("pace", people.pub / "chain", "--base", file, "--request", request)
    assert people.say(*words, "--canary", f"S03:S03-K1:1:{'ab' * 32}") == 0
    people.sign("chain", request, "A", "C")
    assert people.publish("chain", request) == 0
    pace = desk_at(people.pub / "chain").repository.pace
    assert pace is not None
    assert (pace.dwell_min, [one.till for one in pace.canaries]) == (900, ["S03-K1"])
    file.write_bytes(msgspec.json.encode(a_pace(dwell_min=1)))
    assert "This pace may not be" in people.refused(capsys, *words)


def test_a_release_is_revoked_and_the_floor_raised_by_both(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    people.release(8, IMAGE * 2)
    for party in ("vendor", "chain"):
        request = people.root / f"{party}-revoke.request"
        words = ("revoke", people.pub / party, "--number", 7, "--request", request, "--floor")
        assert "above the newest release that stays" in people.refused(capsys, *words, 9)
        assert people.say(*words, 8) == 0
        people.sign(party, request, "A", "B")
        assert people.publish(party, request) == 0
        updater = believed(people, party)
        assert updater.get_targetinfo("software/till-7.index") is None
        listed = updater.get_targetinfo("software/till-8.index")
        assert listed is not None
        assert read(listed.custom, Software, listed.path).min_release == 8
    choose = ("rollout", people.pub / "chain", "--online", people.online("chain"), "--release", 8)
    assert people.say(*choose) == 0


def test_rl4_an_emergency_wants_every_one_of_the_chains_people(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    image, request = people.root / "till-7.tar", people.root / "e.request"
    words = (
        "prepare",
        people.pub / "chain",
        image,
        "--number",
        7,
        "--version",
        "0.7.0",
        "--emergency",
        "--request",
        request,
    )
    assert people.say(*words) == 0
    people.sign("chain", request, "A", "B")
    publish = ("publish", people.pub / "chain", "--online", people.online("chain"), "--request", request)
    assert "emergency of chain has 2 of 3 signatures. Still to sign: C." in people.refused(capsys, *publish)
    people.sign("chain", request, "C")
    assert people.publish("chain", request) == 0
    updater = believed(people)
    one, two = (updater.get_targetinfo(f"{role}/till-7.index") for role in ("software", "emergency"))
    assert one is not None
    assert two is not None
    assert (one.hashes, one.custom) == (two.hashes, two.custom)


def test_lists_that_run_out_are_drafted_anew(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("refresh", people.pub / "chain", "--request", people.root / "f.request")
    assert "Nothing of chain runs out within 60 days" in people.refused(capsys, *words)
    assert people.say(*words, "--days", 800) == 0
    assert desk_at(people.pub / "chain").repository.drafts() == ("root", "targets", "emergency")


def test_rl9_a_store_gets_a_repository_of_its_own_in_two_requests(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    key = service_signer(people.root / "node.key", make=True)
    raw = str(key.public_key.keyval["public"])
    first, second = people.root / "s1.request", people.root / "s2.request"
    words = ("store-root", people.pub / "chain", "S01", "--request")
    assert people.say(*words, first, "--key", raw) == 0
    people.sign("chain", first, "A")
    assert "is not signed yet" in people.refused(capsys, *words, second, "--signed", first)
    people.sign("chain", first, "B")
    assert people.say(*words, second, "--signed", first) == 0
    people.sign("chain", second, "B", "C")
    assert people.publish("chain", second) == 0
    listed = believed(people).get_targetinfo("stores/S01.root.json")
    assert listed is not None
    (people.root / "node").mkdir()
    for name in ("online", "markdowns"):
        shutil.copy(people.root / "node.key", people.root / "node" / f"{name}.key")
    assert people.say("publish", people.pub / "store/S01", "--online", people.root / "node") == 0
    believed(people, "store/S01")


def test_rl15_requests_of_many_stores_are_signed_in_one_go_or_none(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for store in ("S01", "S02"):
        files.append(people.root / f"{store}.request")
        words = ("store-root", people.pub / "chain", store, "--request", files[-1], "--key", "ab" * 32)
        assert people.say(*words) == 0
    stick = people.stick("chain", "A")
    said = people.told(capsys, "sign-as-chain", *files, "--stick", stick, "--yes")
    assert said["repositories"] == ["store/S01", "store/S02"]
    before = files[0].read_bytes()
    people.sign("chain", files[1], "B")
    again = ("sign-as-chain", *files, "--stick", people.stick("chain", "B"), "--yes")
    assert "B has signed this already" in people.refused(capsys, *again)
    assert files[0].read_bytes() == before
