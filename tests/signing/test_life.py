"""The whole life of two repositories at the desk: ceremony, release, rollout, evidence, and who may not act alone (RL15)."""

import io
import json
import shutil
from pathlib import Path

import msgspec
import pypdf
import pytest

from oppet.drivers.repositories import Repository
from oppet.release.terms import Software, read
from oppet.signing.desk import desk_at
from oppet.signing.requests import Request
from tests.release.chain import a_pace, a_word
from tests.signing.people import People, hold_ceremonies, quick

IMAGE = b"an image of a till " * 2000


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Both ceremonies, held once."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        people = hold_ceremonies(tmp_path_factory.mktemp("desk"))
        people.release(7, IMAGE)
    return people


@pytest.fixture
def people(held: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    """A copy of them for each test."""
    quick(monkeypatch)
    shutil.copytree(held.root, tmp_path / "desk")
    return People(tmp_path / "desk")


def a_request(people: People, party: str = "chain", number: int = 8) -> Path:
    """A request for a release, prepared and not signed."""
    image = people.root / f"till-{number}.tar"
    image.write_bytes(IMAGE + str(number).encode())
    request = people.root / f"{party}-{number}.request"
    words = ("prepare", people.pub / party, image, "--number", number, "--version", "0.8.0", "--request", request)
    assert people.say(*words) == 0
    return request


def test_rl15_a_release_goes_from_two_signatures_of_each_party_to_the_rollout(people: People) -> None:
    for party in ("vendor", "chain"):
        listed = Repository(people.pub / party).target("targets", "software/till-7.index")
        assert read(listed.custom, Software, listed.path).version == "0.7.0"
    words = ("rollout", people.pub / "chain", "--online", people.online("chain"), "--release")
    assert people.say(*words, 7) == 0
    assert b'"till":7' in Repository(people.pub / "chain").content("rollout", "rollout/plan.json")


def test_rl15_one_person_never_suffices_and_never_counts_twice(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request = a_request(people)
    people.sign("chain", request, "A")
    said = people.refused(capsys, "sign-as-chain", request, "--stick", people.stick("chain", "A"), "--yes")
    assert said == "A has signed this already. Nobody signs twice. It still wants: targets: 1 more of B, C."
    words = ("publish", people.pub / "chain", "--online", people.online("chain"), "--request", request)
    assert "has 1 of 2 signatures. Still to sign: B, C." in people.refused(capsys, *words)
    assert "software/till-8.index" not in desk_at(people.pub / "chain").repository.seen("targets").signed.targets
    people.sign("chain", request, "C")
    assert people.publish("chain", request) == 0


def test_rl15_two_who_sign_copies_are_two(people: People) -> None:
    first = a_request(people)
    second = first.with_name("copy.request")
    shutil.copy(first, second)
    people.sign("chain", first, "A")
    people.sign("chain", second, "B")
    assert people.publish("chain", first, second) == 0


def test_rl15_a_person_may_not_hold_two_keys_of_one_role(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    again = people.root / "again"
    assert people.say("key", again, "--holder", "B") == 0
    words = ("rotate", people.pub / "chain", "--stick", again, "--request", people.root / "r")
    assert "B would hold two keys of root" in people.refused(capsys, *words)


@pytest.mark.parametrize("people_and_need", [(2, 2), (3, 1), (3, 3)])
def test_rl15_a_ceremony_lets_nobody_act_alone_and_nobody_be_missed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    people_and_need: tuple[int, int],
) -> None:
    quick(monkeypatch)
    count, need = people_and_need
    sticks = [word for holder in "ABC"[:count] for word in ("--stick", f"{holder}={tmp_path / holder}")]
    here = People(tmp_path)
    said = here.refused(capsys, "ceremony", tmp_path / "vendor", *sticks, "--online", tmp_path / "o", "--need", need)
    assert "A ceremony takes at least" in said
    assert not (tmp_path / "A").exists()


def test_rl15_what_was_changed_after_somebody_signed_is_refused(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request = a_request(people)
    people.sign("chain", request, "A")
    said = msgspec.json.decode(request.read_bytes(), type=Request)
    other = {role: text.replace("0.8.0", "6.6.6") for role, text in said.drafts.items()}
    request.write_bytes(msgspec.json.encode(msgspec.structs.replace(said, drafts=other)))
    stick = people.stick("chain", "B")
    refused = people.refused(capsys, "sign-as-chain", request, "--stick", stick, "--yes")
    assert "targets was changed after A signed it." in refused


def test_rl15_what_was_drafted_anew_is_not_what_was_signed(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    request = a_request(people)
    people.sign("chain", request, "A", "B")
    a_request(people, number=9)
    words = ("publish", people.pub / "chain", "--online", people.online("chain"), "--request", request)
    assert "is not what was signed" in people.refused(capsys, *words)


def test_rl15_a_request_is_measured_against_the_root_that_the_stick_remembers(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    request = a_request(people)
    said = msgspec.json.decode(request.read_bytes(), type=Request)
    vendors = (people.pub / "vendor/metadata/1.root.json").read_text()
    for roots in ((), (vendors,)):
        request.write_bytes(msgspec.json.encode(msgspec.structs.replace(said, roots=roots)))
        words = ("sign-as-chain", request, "--stick", people.stick("chain", "A"), "--yes")
        assert "is not the one that this stick remembers" in people.refused(capsys, *words)


def test_rl15_what_is_signed_is_told_first(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    request = a_request(people)
    said = people.told(capsys, "sign-as-chain", request, "--stick", people.stick("chain", "A"), "--yes")
    told = "\n".join(said["told"])
    assert "NEW software/till-8.index: release 8 (0.8.0) for till" in told
    assert "till-7" not in told
    assert said["still"] == ["targets: 1 more of B, C"]


def test_rl15_nothing_is_signed_unasked(
    people: People, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = a_request(people)
    before = request.read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    words = ("sign-as-chain", request, "--stick", people.stick("chain", "A"))
    assert "it was not confirmed" in people.refused(capsys, *words)
    assert request.read_bytes() == before


def test_a_wrong_passphrase_stick_party_or_folder_is_said(
    people: People, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = a_request(people)
    sign = ("sign-as-chain", request, "--yes", "--stick")
    assert "401’s stick holds no key that this request wants" in people.refused(
        capsys, *sign, people.stick("chain", "401")
    )
    assert "Whoever signs as vendor signs nothing of it" in people.refused(
        capsys, "sign-as-vendor", request, "--yes", "--stick", people.stick("vendor", "A")
    )
    assert "is no stick" in people.refused(capsys, *sign, people.root)
    assert "is no repository" in people.refused(capsys, "show", people.root / "vendor")
    assert "does not say whose repository" in people.refused(capsys, "show", people.root)
    assert "cannot be believed" in people.refused(
        capsys, "sign-as-chain", people.root / "pace.json", "--stick", people.stick("chain", "A")
    )
    monkeypatch.setenv("OPPET_PASSPHRASE", "another battery horse")
    assert (
        people.refused(capsys, *sign, people.stick("chain", "A"))
        == "The passphrase of A’s stick is wrong. Nothing was signed."
    )


def test_the_chain_signs_only_what_the_vendor_signed_too(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    vendors = a_request(people, "vendor")
    people.sign("vendor", vendors, "A", "B")
    assert people.publish("vendor", vendors) == 0
    image = people.root / "other.tar"
    image.write_bytes(b"other bytes")
    words = (
        "prepare",
        people.pub / "chain",
        image,
        "--number",
        8,
        "--version",
        "0.8.0",
        "--request",
        people.root / "r",
    )
    assert "The other party lists other bytes" in people.refused(capsys, *words)
    old = ("prepare", people.pub / "chain", image, "--number", 6, "--version", "0.6.0", "--request", people.root / "r")
    assert "not newer than 7" in people.refused(capsys, *old)


def test_rl1_what_one_party_alone_signed_cannot_be_chosen(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    people.release(8, IMAGE * 2, by=("vendor",))
    words = ("rollout", people.pub / "chain", "--online", people.online("chain"), "--release", 8)
    assert "is not signed alike by vendor and chain" in people.refused(capsys, *words)


def test_rl4_statements_become_evidence_once_each_and_strangers_none(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = Repository(people.pub / "chain").target("targets", "software/till-7.index")
    image = read(listed.custom, Software, listed.path).image
    one, two, *_ = a_pace().canaries
    file = people.root / "said.jsonl"
    said = [a_word(one, image), a_word(one, image, running_min=700), a_word(two, image), a_word(two, "ff" * 32)]
    file.write_bytes(b"\n".join(msgspec.json.encode(word) for word in said))
    words = ("health", people.pub / "chain", "--online", people.online("chain"), "--release", 7, "--statements", file)
    assert people.told(capsys, *words) == {"statements": 2, "tills": 2, "stores": 1, "ill": ""}
    file.write_bytes(msgspec.json.encode(a_word(one, "ff" * 32)))
    assert "none is a pinned trial till" in people.refused(capsys, *words)


def test_a_printed_record_has_every_key_and_no_secret(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    text = (people.root / "chain.txt").read_text()
    assert "root: 2 of 3" in text
    assert "emergency: 3 of 3" in text
    for file in people.stick("chain", "A").glob("*.key"):
        assert json.loads(file.read_bytes())["sealed"] not in text
    said = people.told(capsys, "show", people.pub / "chain")
    assert said["root"] in text
    from_pdf = people.root / "r.pdf"
    sticks = [word for holder in "ABC" for word in ("--stick", f"{holder}={people.root / ('new' + holder)}")]
    place = people.root / "second" / "vendor"
    assert people.say("ceremony", place, *sticks, "--online", people.root / "o2", "--record", from_pdf) == 0
    assert "root: 2 of 3" in pypdf.PdfReader(from_pdf).pages[0].extract_text()
