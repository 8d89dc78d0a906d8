"""Publications from draft to repository, over a real database and two real repositories: who may sign what, and what undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, RefusedError, UnavailableError, UntrustedError
from oppet.drivers import files, hq_publications
from oppet.drivers.hq_publications import (
    DraftChangedError,
    HqPublications,
    KeyNotListedError,
    KeyThereError,
    NoDraftError,
    NotPublishedYetError,
    SamePersonError,
    StaleSignaturesError,
)
from oppet.drivers.keys import make_key
from oppet.drivers.pg import Pool
from oppet.drivers.repositories import Repository, RepositoryBrokenError, RepositoryMissingError, Threshold, make_signer
from oppet.drivers.sealed_key import PassphraseWrongError
from oppet.drivers.signing_keys import HeldSigner
from oppet.release.health import Statements
from oppet.release.terms import CHAIN, health_name, read
from tests.hq.publishing import ALVA, BO, CLEO, WORDS, a_chain, copied
from tests.release.chain import IMAGE, a_canary, a_word
from tests.release.signed import NOW

DAY_MS = 86_400_000


@dataclass
class Desk:
    pool: Pool
    publications: HqPublications
    base: Path
    keys: Path

    @property
    def repository(self) -> Repository:
        return Repository(self.base / CHAIN)

    def tree(self) -> dict[str, bytes]:
        """Everything the world may read."""
        folder = self.base / CHAIN
        found = [*folder.glob("metadata/*.json"), *(folder / "targets").rglob("*.json")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def pool(dsn: str) -> Iterator[Pool]:
    made = Pool(dsn)
    yield made
    made.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A chain whose publishers are Alva and Bo, with their keys in head office's folder; Cleo has one that nobody listed."""
    return a_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def desk(pool: Pool, template: tuple[Path, Path], tmp_path: Path) -> Desk:
    """A copy of the chain of one's own, and no drafts."""
    with pool.transaction() as t:
        t.do("DELETE FROM publication_draft")
        t.do("DELETE FROM publication_signature")
    base, keys = copied(template, tmp_path)
    return Desk(pool, HqPublications(pool, base, keys), base, keys)


def a_draft(desk: Desk, content: bytes = b'{"n":1}', *, what: str = "assortment", at: int = NOW) -> int:
    return desk.publications.make(what, "Veckans", content, utc_text(at), ALVA, NOW)


def signed_and_published(desk: Desk, content: bytes, at: int = NOW) -> str:
    draft = a_draft(desk, content, at=at)
    desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 1, NOW)
    return desk.publications.publish(draft, 1, ALVA, 1, NOW)


def test_a_draft_is_signed_by_one_and_published(desk: Desk) -> None:
    assert signed_and_published(desk, b'{"n":1}') == "goods/assortment-1.json"
    (one,) = desk.publications.published("assortment")
    assert (one.number, one.wide, desk.publications.content(one)) == (1, False, b'{"n":1}')
    assert desk.repository.drafts() == ()
    assert signed_and_published(desk, b'{"n":2}') == "goods/assortment-2.json"
    assert [one.at_ms for one in desk.publications.charged("assortment")] == [NOW]
    assert len(list((desk.base / "patches").iterdir())) == 3  # from nothing to each, and from the first to the second


def test_rl8_what_takes_two_is_published_only_with_two_peoples_signatures(desk: Desk) -> None:
    draft, before = a_draft(desk), desk.tree()
    desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 2, NOW)
    with pytest.raises(NotPublishedYetError):
        desk.publications.publish(draft, 1, ALVA, 2, NOW)
    with pytest.raises(SamePersonError):
        desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 2, NOW)
    assert desk.tree() == before
    desk.publications.sign(draft, 1, BO, WORDS[BO], 2, NOW + 60_000)
    assert desk.publications.publish(draft, 1, ALVA, 2, NOW + 120_000) == "wide/assortment-1.json"
    assert desk.publications.published("assortment")[0].wide


def test_rl8_one_signature_for_one_is_none_for_two(desk: Desk) -> None:
    """What became wide after it was signed (somebody else published meanwhile) needs both people anew."""
    draft = a_draft(desk)
    desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 1, NOW)
    with pytest.raises(NotPublishedYetError):
        desk.publications.publish(draft, 1, ALVA, 2, NOW)
    (signed,) = desk.publications.sign(draft, 1, BO, WORDS[BO], 2, NOW)
    assert signed.who == BO


def test_rl8_a_draft_that_changes_loses_its_signatures(desk: Desk) -> None:
    draft, before = a_draft(desk), desk.tree()
    desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 2, NOW)
    assert desk.publications.change(draft, 1, b'{"n":3}', BO, NOW)
    assert desk.publications.signatures(draft) == ()
    with pytest.raises(DraftChangedError):
        desk.publications.sign(draft, 1, BO, WORDS[BO], 2, NOW)
    with pytest.raises(NotPublishedYetError):
        desk.publications.publish(draft, 2, BO, 1, NOW)
    assert desk.tree() == before


def test_two_people_who_edit_at_once_do_not_undo_each_other(desk: Desk) -> None:
    draft = a_draft(desk)
    assert not desk.publications.change(draft, 1, b'{"n":3}', ALVA, NOW)
    with pytest.raises(DraftChangedError):
        desk.publications.change(draft, 1, b'{"n":4}', BO, NOW)
    assert desk.publications.document(draft) == b'{"n":3}'


def test_rl15_a_wrong_passphrase_and_a_key_that_nobody_listed_sign_nothing(desk: Desk) -> None:
    draft = a_draft(desk)
    refused: list[tuple[int, str, type[OppetError]]] = [
        (ALVA, "four words of Bo", PassphraseWrongError),
        (CLEO, WORDS[CLEO], KeyNotListedError),
        (777, "no key at all", RefusedError),
    ]
    for who, words, error in refused:
        with pytest.raises(error):
            desk.publications.sign(draft, 1, who, words, 1, NOW)
    assert desk.publications.signatures(draft) == ()
    assert desk.publications.listed(desk.publications.key(CLEO)) == ()
    assert desk.publications.listed(desk.publications.key(BO)) == ("goods", "wide")
    with pytest.raises(KeyThereError):
        desk.publications.make_key(BO, "another passphrase")


def test_half_a_signature_holds_up_nobody_and_is_void_once_something_else_was_published(desk: Desk) -> None:
    wide = a_draft(desk, b'{"wide":1}')
    desk.publications.sign(wide, 1, ALVA, WORDS[ALVA], 2, NOW)
    signed_and_published(desk, b'{"n":2}')
    desk.publications.sign(wide, 1, BO, WORDS[BO], 2, NOW)  # the first signature is void: Bo's is the first now
    assert [one.who for one in desk.publications.signatures(wide)] == [BO]
    desk.publications.sign(wide, 1, ALVA, WORDS[ALVA], 2, NOW)
    signed_and_published(desk, b'{"n":3}')
    with pytest.raises(StaleSignaturesError):
        desk.publications.publish(wide, 1, BO, 2, NOW)
    assert desk.publications.signatures(wide) == ()
    assert desk.publications.draft(wide).state == "open"


def test_what_was_thrown_away_or_never_was_is_told(desk: Desk) -> None:
    draft = a_draft(desk)
    desk.publications.drop(draft, 1, BO, NOW)
    for number in (draft, 123_456):
        with pytest.raises(NoDraftError):
            desk.publications.draft(number)
    assert desk.publications.drafts() == ()


def test_rl8_a_disk_that_fills_while_publishing_leaves_what_was_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, before = a_draft(desk), desk.tree()["metadata/timestamp.json"]
    desk.publications.sign(draft, 1, ALVA, WORDS[ALVA], 1, NOW)
    write = files.write

    def full(path: Path, data: bytes) -> None:
        if path.name.endswith("snapshot.json"):
            raise files.FileTroubleError(file=str(path), reason="No space left on device")
        write(path, data)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(UnavailableError):
        desk.publications.publish(draft, 1, ALVA, 1, NOW)
    monkeypatch.undo()
    assert desk.tree()["metadata/timestamp.json"] == before
    assert desk.publications.published("assortment") == ()
    assert desk.publications.publish(draft, 1, ALVA, 1, NOW) == "goods/assortment-1.json"


def test_a_folder_that_is_missing_or_damaged_is_told(desk: Desk, tmp_path: Path) -> None:
    nowhere = HqPublications(desk.pool, tmp_path / "nowhere", desk.keys)
    with pytest.raises(RepositoryMissingError):
        nowhere.published("assortment")
    signed_and_published(desk, b'{"n":1}')
    (one,) = desk.publications.published("assortment")
    next((desk.base / CHAIN / "targets" / "goods").glob("*.json")).write_bytes(b"{}")
    with pytest.raises(UntrustedError):
        desk.publications.content(one)
    (desk.base / CHAIN / "metadata" / "timestamp.json").write_bytes(b"half")
    with pytest.raises(RepositoryBrokenError):
        desk.publications.published("assortment")


def test_old_publications_leave_the_list(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hq_publications, "MOST_LISTED", 2)
    for number in range(4):
        signed_and_published(desk, msgspec.json.encode({"n": number}))
    assert [one.number for one in desk.publications.published("assortment")] == [4, 3]


def test_the_list_of_lists_is_signed_anew_before_it_runs_out(desk: Desk) -> None:
    assert not desk.publications.renew(NOW)
    assert desk.publications.renew(NOW + 3 * DAY_MS)
    assert not desk.publications.renew(NOW + 3 * DAY_MS)


def test_rl15_the_passphrase_of_one_opens_nobody_elses_key(desk: Desk) -> None:
    """Whoever takes head office over finds sealed keys and the online one, which lists nothing by itself."""
    online = HeldSigner(make_key(desk.keys / "thief.key"))
    stolen = make_signer()
    repository = desk.repository
    repository.add("goods", "goods/assortment-1.json", b"{}", now=NOW)
    with pytest.raises(RefusedError):
        repository.sign("goods", [stolen])
    with pytest.raises(RefusedError):
        repository.publish(online, NOW)
    assert Threshold([stolen], 1).need == 1
    repository.drop()


def test_rl4_what_trial_tills_said_is_published_once_each_and_a_stolen_key_mints_none(desk: Desk) -> None:
    said, later = a_word(a_canary("S01", "S01-K1")), a_word(a_canary("S01", "S01-K1"), running_min=900)
    stranger = a_word(a_canary("S07", "S07-K1"))
    assert desk.publications.vouch(IMAGE, [said, stranger], NOW)
    assert not desk.publications.vouch(IMAGE, [said], NOW)
    assert desk.publications.vouch(IMAGE, [later], NOW)
    assert not desk.publications.vouch(IMAGE, [stranger, said], NOW)
    published = read(desk.repository.content("health", health_name(IMAGE)), Statements, "")
    assert published.said == (later,)
    (desk.keys / "health.key").unlink()
    assert not desk.publications.vouch(IMAGE, [a_word(a_canary("S02", "S02-K1"))], NOW)


def test_rl4_the_newest_releases_are_those_whose_evidence_is_gathered(desk: Desk) -> None:
    assert desk.publications.releases() == ()
