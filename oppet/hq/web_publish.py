"""Head office's pages of publications: prices and guidance prepared, looked at, tried on yesterday's baskets, signed, shown, taken back.

A person sees what changes, the largest first, what one of them may sign alone and what takes a second, and why (release/bounds.py,
the same that every till asks). Each signs with a key that only their passphrase opens; nothing here can sign for them. Every act is
in the audit journal before it is answered, refusals too (O1). Keeps RL8 and RL15; what a form sends beyond its bounds changes nothing (O7).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from oppet.base.canonical import digest
from oppet.base.clock import SWEDEN, local_day, local_minute, parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.hq_publications import (
    PUBLISHED,
    Draft,
    HqPublications,
    NoPublishingError,
    Published,
    Signed,
)
from oppet.drivers.page_form import Fields, Form
from oppet.drivers.page_guard import Asked, Session, only, session_of
from oppet.drivers.pages import Desk, Message, NavItem, language_of
from oppet.drivers.price_files import PriceFile, read_prices
from oppet.drivers.sealed_key import PassphraseWrongError
from oppet.drivers.words import explain
from oppet.figures.lately import Lately
from oppet.goods.assortment import PriceChange, changed
from oppet.goods.catalogue import Catalogue, decode
from oppet.goods.codes import Scanned
from oppet.goods.errors import UnknownArticleError
from oppet.hq.web import Context, Hq
from oppet.journal.kinds import ActDone, Fact
from oppet.people.roles import PUBLISHER
from oppet.release.bounds import SENTENCES, TERMS, WORDS, Activation, Judged, judge, window_base
from oppet.release.goods_intake import Guidance, GuidanceText
from oppet.sale.again import Again, again

__all__ = ["MORE", "NAV", "ROUTES", "Publishing", "publishing_of"]

MORE: Final = "publications"  # in Context.more: HqPublications, where the settings name a folder
PAGES: Final = "publishing"
PUBLISHERS: Final = only(PUBLISHER)
ASSORTMENT: Final = "assortment"
GUIDANCE: Final = "guidance"
MOST_SHOWN: Final = 25
MOST_KEPT: Final = 6  # assortments that were read
MOST_BASKETS: Final = 3_000
FRESH_MS: Final = 120_000
LARGEST_UPLOAD: Final = 64 << 20
LATEST_DAYS: Final = 120  # ahead that a publication may begin
LONGEST_PASSPHRASE: Final = 200
NOTHING: Final = digest(b"")
OFFER_KINDS: Final = {
    "percent": N_("per cent off"), "amount": N_("kronor off"), "n_for_price": N_("several for a price"),
    "n_for_m": N_("several, some of them free"), "member": N_("a price for members"),
}  # fmt: skip
STATE_WORDS: Final = {"open": N_("being prepared"), "signing": N_("being signed"), "published": N_("published")}
KIND_WORDS: Final = {ASSORTMENT: N_("Prices and offers"), GUIDANCE: N_("Guidance")}
_guard = Lock()


class BadMomentError(RefusedError):
    sentence = N_("“{text}” is no moment that a publication can begin at. It begins now, or within {days} days.")


class NothingInForceError(RefusedError):
    sentence = N_("Nothing is published yet to begin from: upload a whole assortment.")


class OfferUnfitError(RefusedError):
    sentence = N_("That is no offer: {reason}.")


class NoOfferError(RefusedError):
    sentence = N_("There is no offer “{offer}” here.")


class ArticlesRejectedError(RefusedError):
    sentence = N_(
        "{count} records of it would be set aside by every till, first {number}: {field}, {reason}. Nothing was taken in."
    )


class NothingWithdrawnError(RefusedError):
    sentence = N_("Number {number} cannot be taken back: nothing is known of what was charged before it.")


class PassphrasesDifferError(RefusedError):
    sentence = N_("The two passphrases are not the same.")


@dataclass(frozen=True, slots=True)
class Seen:
    """A draft as a person judges it."""

    draft: Draft
    signed: tuple[Signed, ...]
    judged: Judged | None  # of an assortment
    guidance: Guidance | None
    behind: bool  # something was published since it was begun

    @property
    def need(self) -> int:
        return self.judged.need if self.judged is not None else 1

    @property
    def enough(self) -> bool:
        right_role = self.need == 1 or self.draft.role == "wide"
        return len(self.signed) >= self.need and right_role


class Publishing:
    """What these pages stand on; one for a process."""

    def __init__(self, hq: Context, store: HqPublications) -> None:
        self.store = store
        self._hq = hq
        self._read: OrderedDict[str, Catalogue] = OrderedDict()
        self._judged: Lately[tuple[str, str, str], Judged] = Lately(hq.clock, FRESH_MS, MOST_KEPT)
        self._tried: Lately[tuple[str, str, str, str], Again] = Lately(hq.clock, FRESH_MS, MOST_KEPT)

    # --- what is in force

    def charged(self) -> tuple[Activation, ...]:
        """Every assortment that was or will be charged, the one of the tills' installation first."""
        found = self.store.charged(ASSORTMENT)
        factory = self.store.factory()
        return (Activation(digest(factory), 0), *found) if factory is not None else found

    def content(self, wanted: str, what: str = ASSORTMENT) -> bytes:
        """The document of a digest that is published or was installed. Raises NothingInForceError."""
        for one in self.store.published(what):
            if one.digest == wanted:
                return self.store.content(one)
        factory = self.store.factory()
        if factory is not None and digest(factory) == wanted:
            return factory
        raise NothingInForceError

    def catalogue(self, wanted: str, document: bytes | None = None) -> Catalogue:
        """Read a document once."""
        if wanted == NOTHING:
            return Catalogue("", "", ())
        with _guard:
            found = self._read.get(wanted)
            if found is not None:
                self._read.move_to_end(wanted)
                return found
        made = decode(self.content(wanted) if document is None else document)
        with _guard:
            self._read[wanted] = made
            while len(self._read) > MOST_KEPT:
                self._read.popitem(last=False)
        return made

    def latest(self, what: str) -> tuple[str, bytes]:
        """What a new draft begins from: the newest number, whether its time has come or not."""
        newest = next(iter(self.store.published(what)), None)
        if newest is not None:
            return newest.digest, self.store.content(newest)
        if what == GUIDANCE:
            return NOTHING, msgspec.json.encode(Guidance())
        factory = self.store.factory()
        if factory is None:
            raise NothingInForceError
        return digest(factory), factory

    def sides(self, draft: Draft) -> tuple[str, str]:
        """Digests of what is charged when the draft would begin, and of the window's start."""
        at = parse_utc(draft.valid_from)
        charged = self.charged()
        before = next((one.digest for one in reversed(charged) if one.at_ms <= at), NOTHING)
        base = window_base([one for one in charged if one.at_ms <= at], at)
        return before, base.digest if base is not None else before

    # --- one draft

    def seen(self, number: int) -> Seen:
        draft = self.store.draft(number)
        signed = self.store.signatures(number)
        if draft.what == GUIDANCE:
            return Seen(
                draft, signed, None, msgspec.json.decode(self.store.document(number), type=Guidance), behind=False
            )
        before, base = self.sides(draft)
        after = self.catalogue(draft.digest, None if draft.digest in self._read else self.store.document(number))
        key = (draft.digest, before + base, draft.valid_from)
        judged = self._judged.get(
            key,
            lambda _: judge(
                self.catalogue(before), after, self.catalogue(base), local_minute(parse_utc(draft.valid_from))
            ),
        )
        newest = next(iter(self.store.published(ASSORTMENT)), None)
        behind = (
            newest is not None and draft.state != PUBLISHED and newest.digest != draft.based_on and not draft.withdraws
        )
        return Seen(draft, signed, judged, None, behind)

    def tried(self, seen: Seen, day: str) -> Again:
        """What that day's receipts would have cost. Both assortments at the draft's own moment."""
        draft = seen.draft
        before, _ = self.sides(draft)
        since = local_minute(parse_utc(draft.valid_from))
        after = self.catalogue(draft.digest, self.store.document(draft.id))
        return self._tried.get(
            (draft.digest, before, since, day),
            lambda _: again(self.store.receipts(day, MOST_BASKETS), self.catalogue(before), after, since),
        )


def publishing_of(hq: Context) -> Publishing:
    """Made once for a process. Raises NoPublishingError."""
    store = hq.more.get(MORE)
    if not isinstance(store, HqPublications):
        raise NoPublishingError
    with _guard:
        found = hq.more.get(PAGES)
        if found is None:
            found = hq.more[PAGES] = Publishing(hq, store)
    assert isinstance(found, Publishing)
    return found


# --- reading -----------------------------------------------------------------------------------------------------------


@get("/publish", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True)
def front(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    publishing, now = publishing_of(hq), hq.clock.now()
    store, who = publishing.store, session_of(request).who
    public = store.key(who)
    listed: dict[str, list[Published]] = {what: list(store.published(what))[:20] for what in KIND_WORDS}
    return desk.page(
        request, "publish.html", drafts=store.drafts(), listed=listed, in_force=_in_force(listed, now), kind_words=KIND_WORDS,
        state_words=STATE_WORDS, key=public, roles=store.listed(public) if public else (), today=local_day(now),
        clock=local_minute(now)[11:], has_base=bool(publishing.charged()),
    )  # fmt: skip


def _in_force(listed: dict[str, list[Published]], now: int) -> dict[str, int]:
    """The number in force of each kind, 0 for none."""
    return {
        what: next((one.number for one in found if parse_utc(one.valid_from) <= now), 0)
        for what, found in listed.items()
    }


@get("/publish/{number:int}", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True)
def draft_page(request: Asked, desk: Desk, hq: Hq, number: FromPath[int]) -> Response[str]:
    return _draft_page(request, desk, hq, number)


def _draft_page(
    request: Asked, desk: Desk, hq: Context, number: int, message: Message | None = None, file: PriceFile | None = None
) -> Response[str]:
    publishing = publishing_of(hq)
    seen = publishing.seen(number)
    who, store = session_of(request).who, publishing.store
    public = store.key(who)
    offers = publishing.catalogue(seen.draft.digest).promotions if seen.judged is not None else ()
    return desk.page(
        request, "publish_draft.html", status=200 if message is None else 400, message=message, seen=seen, draft=seen.draft,
        judged=seen.judged, sentences=SENTENCES, words=WORDS, terms=TERMS, most=MOST_SHOWN, state_words=STATE_WORDS, kind_words=KIND_WORDS,
        offer_kinds=OFFER_KINDS, offers=offers[-12:], file=file, signed_by_me=who in [one.who for one in seen.signed],
        may_sign=("wide" if seen.need > 1 else "goods") in store.listed(public) if public else False, key=public,
        valid_local=local_minute(parse_utc(seen.draft.valid_from)), today=local_day(hq.clock.now()),
    )  # fmt: skip


@get("/publish/{number:int}/try", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True)
def try_page(request: Asked, desk: Desk, hq: Hq, number: FromPath[int]) -> Response[str]:
    """What yesterday would have cost."""
    publishing = publishing_of(hq)
    seen = publishing.seen(number)
    if seen.judged is None:
        return desk.go(request, f"/publish/{number}")
    day = (date.fromisoformat(local_day(hq.clock.now())) - timedelta(days=1)).isoformat()
    tried = publishing.tried(seen, day)
    largest = max((abs(one.after_ore - one.before_ore) for one in tried.groups), default=1)
    return desk.page(
        request, "publish_try.html", draft=seen.draft, tried=tried, day=day, most=MOST_BASKETS,
        bars=[(one, one.after_ore - one.before_ore, 240 * abs(one.after_ore - one.before_ore) // largest) for one in tried.groups[:12]],
    )  # fmt: skip


# --- preparing ---------------------------------------------------------------------------------------------------------


@post("/publish/new", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def new(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form, publishing, session = Form(data), publishing_of(hq), session_of(request)
    what, title = form.one_of("what", KIND_WORDS), form.some_text("title", 80)
    based_on, document = publishing.latest(what)
    valid_from = _moment(form, hq.clock.now())
    number = publishing.store.make(what, title, document, valid_from, session.who, hq.clock.now(), based_on=based_on)
    _wrote(hq, session, "publication_begun", number, what=what, valid_from=valid_from)
    return desk.go(
        request, f"/publish/{number}", "done", N_("It begins with what is published now. Change what you want.")
    )


@post("/publish/withdraw", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def withdraw(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    """Prepare a new number that takes another back: its content is what was charged before that one."""
    form, publishing, session = Form(data), publishing_of(hq), session_of(request)
    what, taken = form.one_of("what", KIND_WORDS), form.whole("number", 1)
    before = [one for one in publishing.store.published(what) if one.number < taken]
    if before:
        document = publishing.store.content(before[0])
    elif what == GUIDANCE:
        document = msgspec.json.encode(Guidance())
    elif (factory := publishing.store.factory()) is not None:
        document = factory
    else:
        raise NothingWithdrawnError(number=taken)
    now = hq.clock.now()
    number = publishing.store.make(what, f"– {taken}", document, utc_text(now), session.who, now, withdraws=taken)
    _wrote(hq, session, "publication_begun", number, what=what, withdraws=taken)
    return desk.go(
        request, f"/publish/{number}", "done", N_("This takes number {number} back once it is signed and published."), number=taken
    )  # fmt: skip


@post("/publish/{number:int}/prices", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def prices(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    """One article's price."""
    form, publishing = Form(data), publishing_of(hq)
    draft = publishing.store.draft(number)
    catalogue = publishing.catalogue(draft.digest, publishing.store.document(number))
    article = _known(catalogue, form.some_text("article", 20))
    if article is None:
        raise UnknownArticleError(number=form.text("article", 20))
    member = form.ore("member") if form.has("member") else None
    until = form.day("until")
    over = (date.fromisoformat(until) + timedelta(days=1)).isoformat() if until else None
    change = PriceChange(article, form.ore("price"), member, over)
    return _edited(request, desk, hq, draft, form, prices=[change])


@post("/publish/{number:int}/offer", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def offer(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    """A new offer, or another one in the place of one with its id."""
    form, publishing = Form(data), publishing_of(hq)
    draft = publishing.store.draft(number)
    catalogue = publishing.catalogue(draft.digest, publishing.store.document(number))
    named = form.some_text("articles", 200).replace(",", " ").split()
    articles = [(_known(catalogue, name), name) for name in named]
    for found, name in articles:
        if found is None:
            raise UnknownArticleError(number=name[:40])
    kind = form.one_of("kind", OFFER_KINDS)
    made: dict[str, Any] = {
        "id": form.some_text("id", 40), "text": form.some_text("text", 72), "kind": kind, "articles": [found for found, _ in articles],
        "valid_from": form.day("first") or local_minute(parse_utc(draft.valid_from)),
    }  # fmt: skip
    if form.day("last"):
        made["valid_to"] = (date.fromisoformat(form.day("last")) + timedelta(days=1)).isoformat()
    if kind == "percent":
        made["percent"] = form.whole("percent", 1, 100)
    if kind in ("amount", "n_for_price", "member"):
        made["price_ore"] = form.ore("price")
    if kind in ("n_for_price", "n_for_m"):
        made["buy"] = form.whole("buy", 2, 100)
    if kind == "n_for_m":
        made["pay"] = form.whole("pay", 1, 99)
    return _edited(request, desk, hq, draft, form, offers=[made])


@post("/publish/{number:int}/offer/end", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def offer_end(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    form, publishing = Form(data), publishing_of(hq)
    draft, gone = publishing.store.draft(number), form.some_text("id", 40)
    if gone not in [one.id for one in publishing.catalogue(draft.digest, publishing.store.document(number)).promotions]:
        raise NoOfferError(offer=gone)
    return _edited(request, desk, hq, draft, form, without=[gone])


Upload = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@post(
    "/publish/{number:int}/upload", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303,
    request_max_body_size=LARGEST_UPLOAD,
)  # fmt: skip
def upload(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Upload) -> Response[str]:
    """Prices from a sheet, or a whole assortment as JSON."""
    form, publishing = Form({"version": str(data.get("version", ""))[:20]}), publishing_of(hq)
    sent = data.get("file")
    content = sent.file.read(LARGEST_UPLOAD) if isinstance(sent, UploadFile) else str(sent or "").encode()
    draft = publishing.store.draft(number)
    if content.lstrip()[:1] == b"{":
        return _replaced(request, desk, hq, draft, form, content)
    catalogue = publishing.catalogue(draft.digest, publishing.store.document(number))
    file = read_prices(content, lambda text: _known(catalogue, text))
    if file.flaws:
        hq.door.refused(session_of(request), "publication_upload", str(number), f"{len(file.flaws) + file.more} rows")
        said = Message("refused", explain(RowsWrongError(count=len(file.flaws) + file.more), language_of(request)))
        return _draft_page(request, desk, hq, number, said, file)
    return _edited(request, desk, hq, draft, form, prices=file.changes)


class RowsWrongError(RefusedError):
    sentence = N_("{count} rows of the file are wrong; nothing of it was taken in. They are listed below.")


@post("/publish/{number:int}/text", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def text(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    """One more text of guidance, or one less."""
    form, publishing = Form(data), publishing_of(hq)
    draft = publishing.store.draft(number)
    held = msgspec.json.decode(publishing.store.document(number), type=Guidance)
    if form.has("without"):
        at = form.whole("without", 1, 99)
        texts = tuple(one for place, one in enumerate(held.texts, 1) if place != at)
    else:
        until = form.day("last")
        over = (date.fromisoformat(until) + timedelta(days=1)).isoformat() if until else None
        first = form.day("first") or local_minute(parse_utc(draft.valid_from))
        texts = (*held.texts, GuidanceText(form.some_text("text", 240), first, over, form.has("important")))
    try:
        document = msgspec.json.encode(msgspec.convert(msgspec.to_builtins(Guidance(texts)), Guidance))
    except msgspec.ValidationError as error:
        raise OfferUnfitError(reason=str(error)) from None
    return _kept(request, desk, hq, draft, form, document)


def _edited(
    request: Asked, desk: Desk, hq: Context, draft: Draft, form: Form, *, prices: Sequence[PriceChange] = (),
    offers: Sequence[dict[str, Any]] = (), without: Sequence[str] = (),
) -> Response[str]:  # fmt: skip
    since = local_minute(parse_utc(draft.valid_from))
    publishing = publishing_of(hq)
    document = changed(
        publishing.store.document(draft.id), f"hq-{draft.id}-{draft.version + 1}", since, prices, offers, without
    )
    return _replaced(request, desk, hq, draft, form, document, offer=bool(offers))


def _replaced(
    request: Asked, desk: Desk, hq: Context, draft: Draft, form: Form, document: bytes, *, offer: bool = False
) -> Response[str]:
    """Keep a whole document, if a till would take all of it."""
    made = decode(document)
    known = {
        (one.what, one.number)
        for one in publishing_of(hq).catalogue(draft.digest, publishing_of(hq).store.document(draft.id)).rejected
    }
    fresh = [one for one in made.rejected if (one.what, one.number) not in known]
    if fresh and offer and fresh[0].what == "promotion":
        raise OfferUnfitError(reason=f"{fresh[0].field}: {fresh[0].reason}")
    if fresh:
        raise ArticlesRejectedError(
            count=len(fresh), number=fresh[0].number, field=fresh[0].field, reason=fresh[0].reason
        )
    return _kept(request, desk, hq, draft, form, document)


def _kept(request: Asked, desk: Desk, hq: Context, draft: Draft, form: Form, document: bytes) -> Response[str]:
    session, store = session_of(request), publishing_of(hq).store
    void = store.change(draft.id, form.whole("version", 1), document, session.who, hq.clock.now())
    _wrote(hq, session, "publication_changed", draft.id, digest=digest(document)[:16], void=void)
    sentence = N_("Changed. Signatures that were there are void.") if void else N_("Changed.")
    return desk.go(request, f"/publish/{draft.id}", "done", sentence)


@post("/publish/{number:int}/drop", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def drop(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    session = session_of(request)
    publishing_of(hq).store.drop(number, Form(data).whole("version", 1), session.who, hq.clock.now())
    _wrote(hq, session, "publication_dropped", number)
    return desk.go(request, "/publish", "done", N_("It is thrown away. Nothing was published."))


# --- signing and publishing ----------------------------------------------------------------------------------------------


@post("/publish/key", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def make_key(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    session = session_of(request)
    passphrase = _passphrase(data, "passphrase")
    if passphrase != _passphrase(data, "again"):
        raise PassphrasesDifferError
    public = publishing_of(hq).store.make_key(session.who, passphrase)
    _wrote(hq, session, "publisher_key_made", session.who, public=public)
    return desk.go(
        request, "/publish", "done", N_("Your key is made. It signs once a ceremony has listed its public half.")
    )


@post("/publish/{number:int}/sign", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def sign(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    form, session, publishing = Form(data), session_of(request), publishing_of(hq)
    version, passphrase = form.whole("version", 1), _passphrase(data, "passphrase")
    seen = publishing.seen(number)
    try:
        signed = publishing.store.sign(number, version, session.who, passphrase, seen.need, hq.clock.now())
    except (RefusedError, UntrustedError) as error:
        hq.door.refused(session, "publication_sign", str(number), type(error).__name__)
        raise
    _wrote(hq, session, "publication_signed", number, digest=seen.draft.digest[:16], version=version, need=seen.need)
    if len(signed) >= seen.need:
        return desk.go(request, f"/publish/{number}", "done", N_("Signed. It can be published now."))
    return desk.go(request, f"/publish/{number}", "done", N_("Signed. A second person must sign it too."))


@post("/publish/{number:int}/publish", opt=PUBLISHERS, include_in_schema=False, sync_to_thread=True, status_code=303)
def publish(request: Asked, desk: Desk, hq: Hq, number: FromPath[int], data: Fields) -> Response[str]:
    session, publishing = session_of(request), publishing_of(hq)
    seen, version = publishing.seen(number), Form(data).whole("version", 1)
    try:
        name = publishing.store.publish(number, version, session.who, seen.need, hq.clock.now())
    except OppetError as error:
        hq.door.refused(session, "publication_publish", str(number), type(error).__name__)
        raise
    _wrote(
        hq,
        session,
        "publication_published",
        number,
        name=name,
        digest=seen.draft.digest,
        valid_from=seen.draft.valid_from,
    )
    return desk.go(
        request, f"/publish/{number}", "done", N_("Published as {name}. Tills fetch it by themselves, and begin at its time."), name=name
    )  # fmt: skip


# --- behind the calls ----------------------------------------------------------------------------------------------------


def _passphrase(data: Fields, name: str) -> str:
    """As it was typed; no sentence that says no ever repeats it."""
    typed = data.get(name, "")
    if len(typed) > LONGEST_PASSPHRASE:
        raise PassphraseWrongError
    return typed


def _known(catalogue: Catalogue, text: str) -> str | None:
    """The article's number, asked for by number or by code."""
    if text in catalogue.numbers():
        return text
    if text.isascii() and text.isdigit() and 8 <= len(text) <= 14:
        try:
            return catalogue.find(Scanned(text, "typed", text.zfill(14))).number
        except RefusedError:
            return None
    return None


def _moment(form: Form, now: int) -> str:
    """A local day and hour as UTC; now where nothing was said. Raises BadMomentError."""
    day, clock = form.day("day"), form.text("clock", 5)
    if not day:
        return utc_text(now)
    try:
        said = datetime.strptime(f"{day}T{clock or '00:00'}", "%Y-%m-%dT%H:%M").replace(tzinfo=SWEDEN)
    except ValueError:
        raise BadMomentError(text=f"{day} {clock}", days=LATEST_DAYS) from None
    at = (said - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    if at > now + LATEST_DAYS * 86_400_000 or at < now - 86_400_000:
        raise BadMomentError(text=f"{day} {clock}", days=LATEST_DAYS)
    return utc_text(max(at, now))


def _wrote(hq: Context, session: Session, act: str, about: int, **facts: object) -> None:
    said = tuple(Fact(name, str(value)) for name, value in facts.items())
    hq.door.write(ActDone(session.who, act, str(about), facts=said))


NAV = [NavItem("/publish", N_("Publish"), (PUBLISHER,))]
ROUTES = [
    front, new, withdraw, make_key, draft_page, try_page, prices, offer, offer_end, upload, text, drop, sign, publish,
]  # fmt: skip
