"""Head office's pages of publications over a real database and a real repository: what is told, who may, and what hostile hands get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from oppet.drivers.hq_publications import HqPublications
from oppet.goods.article import price_at
from oppet.goods.catalogue import decode
from oppet.hq import web_people, web_publish, web_sales
from oppet.hq.main import Ports, Settings, open_hq, prepare
from oppet.hq.web import program
from oppet.journal.kinds import ActDone, ActRefused
from oppet.release.goods_intake import Guidance
from tests.hq.demo_sales import Place, a_place
from tests.hq.office import a_client, signed_in
from tests.hq.publishing import ALVA, BO, WORDS, a_chain, copied
from tests.hq.sold import NOW as SOLD
from tests.hq.sold import Office, a_day
from tests.register.world import MILK, an_article, goods

HOST = "testserver.local"
NOW = SOLD + 3_600_000
ORIGIN = {"origin": f"http://{HOST}"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return a_chain(tmp_path_factory.mktemp("chain"), NOW)


@pytest.fixture(scope="module")
def place(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    office = Office(dsn)
    office.take(a_day(tmp_path_factory.mktemp("till")))
    office.close()
    with a_place(dsn, (HOST,), NOW) as made:
        yield made


@pytest.fixture(scope="module")
def app(place: Place) -> Litestar:
    return program(place.context, [web_sales, web_publish, web_people])  # type: ignore[list-item]


def factory() -> bytes:
    """The goods of the till that sold yesterday, among four hundred others."""
    catalogue = goods()
    others = [an_article(str(90_000 + n), f"Vara {n}", 2000) for n in range(400)]
    return msgspec.json.encode(
        {
            "format": 1,
            "version": "v",
            "made": "2026-11-22",
            "articles": [*catalogue, *others],
            "promotions": catalogue.promotions,
        }
    )


@pytest.fixture
def store(place: Place, template: tuple[Path, Path], tmp_path: Path) -> HqPublications:
    tree, keys = copied(template, tmp_path)
    (tmp_path / "factory.json").write_bytes(factory())
    made = HqPublications(place.pool, tree, keys, tmp_path / "factory.json")
    place.context.more.pop("publishing", None)
    place.context.more[web_publish.MORE] = made
    with place.pool.transaction() as t:
        t.do("DELETE FROM publication_draft")
        t.do("DELETE FROM publication_signature")
    place.post.said.clear()
    return made


class Person:
    """Somebody at a browser."""

    def __init__(self, app: Litestar, place: Place, who: int, *roles: str) -> None:
        door = place.context.door
        cookies = {door.cookie: door.signed_in(who, f"Person {who}", roles or ("publisher",), "passkey")}
        self.who = who
        self.client = TestClient(app, cookies=cookies, base_url=f"http://{HOST}")
        self.client.follow_redirects = False

    def page(self, path: str, status: int = 200, language: str = "en") -> str:
        self.client.cookies.set("language", language)
        answer = self.client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == status, answer.text[:800]
        return answer.text

    def send(self, path: str, status: int = 303, /, **fields: Any) -> str:
        """Send a form; give where it leads, or the page that says no."""
        self.client.cookies.set("language", "en")
        answer = self.client.post(path, data=fields, headers={**ORIGIN, "accept": "text/html"})
        assert answer.status_code == status, answer.text[:800]
        return str(answer.headers.get("location", answer.text))

    def give(self, path: str, content: bytes, version: int = 1, status: int = 303) -> str:
        answer = self.client.post(
            path, data={"version": str(version)}, files={"file": ("prices.csv", content)}, headers={**ORIGIN, "accept": "text/html"}
        )  # fmt: skip
        assert answer.status_code == status, answer.text[:800]
        return answer.text

    def begin(self, what: str = "assortment", **fields: Any) -> str:
        return self.send("/publish/new", what=what, title="Week 48", **fields)

    def sign(self, draft: str, version: int, status: int = 303, words: str = "") -> str:
        return self.send(f"{draft}/sign", status, version=version, passphrase=words or WORDS[self.who])


@pytest.fixture
def alva(app: Litestar, place: Place, store: HqPublications) -> Person:
    assert store.published("assortment") == ()
    return Person(app, place, ALVA)


@pytest.fixture
def bo(app: Litestar, place: Place) -> Person:
    return Person(app, place, BO)


def acts(place: Place, kind: type[Any] = ActDone) -> list[str]:
    return [one.act for one in place.post.said if isinstance(one, kind)]


def test_a_price_change_goes_from_form_to_repository_with_one_signature(
    alva: Person, place: Place, store: HqPublications
) -> None:
    draft = alva.begin()
    alva.send(f"{draft}/prices", version=1, article=MILK, price="15,90")
    page = alva.page(draft)
    assert "One signature is enough" in page
    assert "1 of" in page
    assert "Nothing changes yet" not in page
    alva.sign(draft, 2)
    alva.send(f"{draft}/publish", version=2)
    (one,) = store.published("assortment")
    assert (one.name, one.wide) == ("goods/assortment-1.json", False)
    article = decode(store.content(one)).article(MILK)
    assert price_at(article, "2026-12-01").ore == 1590
    assert acts(place) == [
        "publication_begun",
        "publication_changed",
        "publication_signed",
        "publication_published",
    ]
    assert "in force" in alva.page("/publish")


def test_rl8_beyond_the_bounds_the_page_says_why_and_the_second_signs(
    alva: Person, bo: Person, store: HqPublications
) -> None:
    draft = alva.begin()
    alva.give(f"{draft}/upload", ("article;price\n" + "\n".join(f"{90_000 + n};1" for n in range(60))).encode())
    page = alva.page(draft)
    assert "A second person must sign" in page
    assert "60 prices fall by more than 50 %" in page
    alva.sign(draft, 2)
    alva.send(f"{draft}/publish", 400, version=2)
    assert "Somebody else must be the second" in alva.sign(draft, 2, 400)
    assert store.published("assortment") == ()
    bo.sign(draft, 2)
    bo.send(f"{draft}/publish", version=2)
    assert store.published("assortment")[0].name == "wide/assortment-1.json"


def test_rl8_a_change_after_the_first_signature_makes_it_void(alva: Person, bo: Person, store: HqPublications) -> None:
    draft = alva.begin()
    alva.send(f"{draft}/prices", version=1, article=MILK, price="1")
    alva.sign(draft, 2)
    bo.send(f"{draft}/prices", version=2, article=MILK, price="0,50")
    assert "nobody yet" in bo.page(draft)
    bo.sign(draft, 2, 400)  # what he saw is no more
    bo.sign(draft, 3)
    bo.send(f"{draft}/publish", 400, version=3)
    assert store.published("assortment") == ()


def test_o1_a_wrong_passphrase_is_told_written_down_and_signs_nothing(
    alva: Person, place: Place, store: HqPublications
) -> None:
    draft = alva.begin()
    assert "The passphrase is wrong" in alva.sign(draft, 1, 400, "not these words")
    assert acts(place, ActRefused) == ["publication_sign"]
    long = "not these words " * 20
    assert "not these words" not in alva.sign(draft, 1, 400, long)
    assert "not these words" not in repr(place.post.said)
    assert store.drafts()[0].state == "open"


def test_two_people_who_edit_at_once_are_told(alva: Person, bo: Person) -> None:
    draft = alva.begin()
    alva.send(f"{draft}/prices", version=1, article=MILK, price="15,90")
    assert "Somebody changed this publication" in bo.send(f"{draft}/prices", 400, version=1, article=MILK, price="16")
    assert "15,90" in bo.page(draft)


UPLOADS: tuple[tuple[bytes, str], ...] = (
    (b"article;price\n90000;abc\n90001;-5\n", "is no price in kronor"),
    (b"article;price\n90000;10\n90000;11\n", "stands in an earlier row"),
    (b"article;price\nno-such;10\n", "there is no article"),
    (b'article;price\n90000;=HYPERLINK("x")\n', "is a formula"),
    (b"article;price\n90000;10\n@x;3\n", "is a formula"),
    (b"article;price;until\n90000;10;tomorrow\n", "is no day"),
    (b"article;price;member\n90000;10;12\n", "not lower than the price"),
    (b"\x89PNG\r\n\x00\x00", "it is no text"),
    (b"\xff\xfea\x00r\xd8", "it says that it is Unicode"),
    (b"name;colour\nx;y\n", "must name the columns"),
    (b"article;price;pris\n90000;1;2\n", "two of its columns"),
    (b"article;price\n", "it has no rows"),
    (b"", "must name the columns"),
    (b'article;price\n"90000;10\n', "cannot be read as prices"),
    (b"{}", "assortment"),
    (b"{", "assortment"),
    (b'{"format": 1, "version": "", "made": "", "articles": [{"number": "!"}]}', "would be set aside by every till"),
)


def test_o7_a_file_that_is_wrong_anywhere_changes_nothing(alva: Person, store: HqPublications) -> None:
    draft = alva.begin()
    for content, said in UPLOADS:
        assert said in alva.give(f"{draft}/upload", content, status=400)
    assert store.drafts()[0].version == 1


def test_sheets_as_people_save_them_are_read(alva: Person, store: HqPublications) -> None:
    sheets = [
        "artikel;pris\r\n90000;12,50\r\n".encode("utf-8-sig"),
        "Artikel\tPris\tMedlemspris\n90000\t12.50\t9\n".encode("utf-16"),
        "article,price,until\n90000,12.50,2026-12-24\n".encode("cp1252"),
    ]
    for content in sheets:
        draft = alva.begin()
        alva.give(f"{draft}/upload", content)
    read = [decode(store.document(one.id)).article("90000") for one in store.drafts()]  # the last one first
    assert [price_at(article, "2026-12-01").ore for article in read] == [1250] * 3
    assert price_at(read[0], "2026-12-25").ore == 2000


def test_an_offer_is_put_in_and_taken_out(alva: Person, store: HqPublications) -> None:
    draft = alva.begin()
    offer = {
        "id": "v48-1",
        "text": "2 för 30",
        "articles": f"{MILK} 90000",
        "kind": "n_for_price",
        "buy": 2,
        "price": "30",
    }
    alva.send(f"{draft}/offer", version=1, **offer)
    assert "2 för 30" in alva.page(draft)
    assert "That is no offer" in alva.send(f"{draft}/offer", 400, version=2, **{**offer, "id": "å!"})
    assert "777" in alva.send(f"{draft}/offer", 400, version=2, **{**offer, "articles": "777"})
    alva.send(f"{draft}/offer/end", version=2, id="v48-1")
    assert "There is no offer" in alva.send(f"{draft}/offer/end", 400, version=3, id="v48-1")
    assert "v48-1" not in [one.id for one in decode(store.document(store.drafts()[0].id)).promotions]


def test_yesterdays_receipts_are_reckoned_with_the_new_prices(alva: Person) -> None:
    draft = alva.begin()
    assert "would have cost anything else" in alva.page(f"{draft}/try")
    alva.send(f"{draft}/prices", version=1, article=MILK, price="99")
    page = alva.page(f"{draft}/try")
    assert "The receipts that change most" in page
    assert "<svg" in page
    found = re.search(r"Difference, kr</dt><dd>\+([0-9,\s ]+)</dd>", page)
    assert found is not None, page[:3000]


def test_what_was_published_is_taken_back_by_a_number_of_its_own(alva: Person, store: HqPublications) -> None:
    for price in ("15,90", "16,90"):
        draft = alva.begin()
        alva.send(f"{draft}/prices", version=1, article=MILK, price=price)
        alva.sign(draft, 2)
        alva.send(f"{draft}/publish", version=2)
    draft = alva.send("/publish/withdraw", what="assortment", number=2)
    assert "takes back number 2" in alva.page(draft)
    alva.sign(draft, 1)
    alva.send(f"{draft}/publish", version=1)
    third, _, first = store.published("assortment")
    assert (third.number, third.withdraws, third.digest) == (3, 2, first.digest)


def test_guidance_is_short_dated_and_signed_by_one(alva: Person, store: HqPublications) -> None:
    draft = alva.begin("guidance")
    alva.send(f"{draft}/text", version=1, text="Ask for the card twice today.", last="2026-11-30", important="1")
    alva.send(f"{draft}/text", 400, version=2, text="x" * 241)
    alva.send(f"{draft}/text", 400, version=2, text="tab\there")
    alva.sign(draft, 2)
    alva.send(f"{draft}/publish", version=2)
    (one,) = store.published("guidance")
    (text,) = msgspec.json.decode(store.content(one), type=Guidance).texts
    assert (text.valid_to, text.important) == ("2026-12-01", True)
    assert one.name == "goods/guidance-1.json"


@pytest.mark.parametrize(("day", "clock"), [("2026-11-01", "06:00"), ("2028-01-01", "06:00"), ("2026-11-24", "29:99")])
def test_a_publication_begins_now_or_soon(alva: Person, day: str, clock: str) -> None:
    assert "is no moment" in alva.send("/publish/new", 400, what="assortment", title="x", day=day, clock=clock)


def test_valid_from_is_said_on_a_swedish_clock(alva: Person, store: HqPublications) -> None:
    alva.begin(day="2026-11-24", clock="06:00")
    assert store.drafts()[0].valid_from == "2026-11-24T05:00:00.000Z"


def test_only_publishers_get_in(app: Litestar, place: Place, store: HqPublications, alva: Person) -> None:
    assert store.drafts() == ()
    cleo = Person(app, place, 999, "viewer", "operations", "finance", "incident_lead")
    cleo.page("/publish", 403)
    cleo.send("/publish/new", 403, what="assortment", title="x")
    draft = alva.begin()
    cleo.sign(draft, 1, 403)


def test_a_key_is_made_once_and_waits_for_a_ceremony(app: Litestar, place: Place, store: HqPublications) -> None:
    new = Person(app, place, 777)
    assert "Make my key" in new.page("/publish")
    new.send("/publish/key", 400, passphrase="many good words", again="many bad words")
    new.send("/publish/key", 400, passphrase="short", again="short")
    new.send("/publish/key", passphrase="many good words", again="many good words")
    assert "waits for a ceremony" in new.page("/publish")
    assert store.listed(store.key(777)) == ()
    assert "You have a key already" in new.send(
        "/publish/key", 400, passphrase="many good words", again="many good words"
    )


def test_a_folder_that_is_missing_is_a_sentence(
    alva: Person, store: HqPublications, place: Place, tmp_path: Path
) -> None:
    place.context.more[web_publish.MORE] = HqPublications(place.pool, tmp_path / "gone", tmp_path / "publish")
    place.context.more.pop("publishing", None)
    assert "is no repository" in alva.page("/publish", 400)
    place.context.more.pop(web_publish.MORE)
    assert "publishes nothing" in alva.page("/publish", 400)
    assert store.drafts() == ()


def test_head_office_with_a_folder_of_publications_has_the_pages(
    dsn: str, template: tuple[Path, Path], tmp_path: Path
) -> None:
    _, keys = copied(template, tmp_path)
    (tmp_path / "hq").mkdir()
    keys.rename(tmp_path / "hq" / "publish")
    (tmp_path / "factory.json").write_bytes(factory())
    settings = Settings("hq", dsn=dsn, tls=False, site="hq.test", publications="pub", assortment="factory.json")
    prepare(settings, tmp_path)
    opened = open_hq(settings, tmp_path, dsn, "1", Ports(8500, 8501))
    try:
        with signed_in(opened, a_client(opened), ALVA, "publisher") as client:
            answer = client.get("/publish", headers={"accept": "text/html"})
            assert answer.status_code == 200, answer.text[:600]
            assert 'href="/publish"' in answer.text
    finally:
        opened.close()


def test_every_page_is_there_in_swedish(alva: Person) -> None:
    draft = alva.begin()
    alva.send(f"{draft}/prices", version=1, article=MILK, price="99")
    for path in ("/publish", draft, f"{draft}/try"):
        assert 'lang="sv"' in alva.page(path, language="sv")
