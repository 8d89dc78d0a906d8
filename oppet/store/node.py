"""The store node: keeper for its tills, relay to HQ, door for new tills, desk for rulings; and what its pages and health read.

It owns what it opens and nothing it keeps is its own truth: papers prove themselves, journals are its tills'. What is alarming goes
into its own journal first. A node of place "till" is a neighbour keeper: it keeps and acknowledges, and does nothing else.
Keeps K1 through its keeper and shelf, K8 and K9 through its directory, R20 through `health`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, RefusedError, UnavailableError, clip
from oppet.base.money import kronor
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.gift_book import GiftKeeper
from oppet.drivers.invitations import InvitationFolder, NobodySignsError
from oppet.drivers.keeper_http import Counts
from oppet.drivers.markdown_press import MarkDownPress
from oppet.drivers.post import Post
from oppet.drivers.publication_cache import Beat, Pulled
from oppet.drivers.sealed_key import unseal
from oppet.drivers.shelf_files import FileShelf
from oppet.drivers.swish_desk import SwishDesk, open_desk
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.entry import body_of
from oppet.journal.kinds import ActDone, AlarmRaised, Fact
from oppet.release.found import Refused
from oppet.store import web_node
from oppet.store.enrolment import (
    INVITATIONS,
    MANAGER_KEY,
    PAPERS,
    OtherStoreError,
    certificate_text,
    next_epoch,
    papers_in,
    till_name,
)
from oppet.store.lanes import DoubleReturn, GivenBasket, LaneDesk
from oppet.store.relay import Queue, Relay
from oppet.store.settings import Enrolment, Settings
from oppet.sync.certificates import Directory, Revocation, TillCertificate, believe_kept, make_paper
from oppet.sync.enrolment import MINUTES, Enrolled, Invitation, Request, seal_answer
from oppet.sync.errors import CodeSpentError
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import ParkedBasket, Signed
from oppet.sync.messages import NO_PAPERS, Answer, Batch, KeeperInfo, Paper

__all__ = ["Health", "Node", "TillHealth"]

LOG = logging.getLogger("oppet.node")
MOST_ALARMS = 300
MOST_READ_AGAIN = 20_000  # entries of our own journal looked through for alarms at the start
AGAIN_MS = 60_000  # how often a till is given papers it was given before: an answer may have been lost
MOST_DOWN = 64
SIGN_S = 20.0
TICK_S = 2.0
NEIGHBOURS = "neighbours.json"
GIFT_CARDS = "gift-cards.json"
VOUCHER_TWICE = "voucher paid twice"


class TillUnknownError(RefusedError):
    sentence = N_("There is no till {till}, epoch {epoch} in this store.")


class TillHealth(msgspec.Struct, frozen=True):
    """One history kept here, and how far it is known to go."""

    till: str
    epoch: int
    branch: str
    head: int
    last_time: str
    heard: str  # UTC; "" since this process began
    as_of: str
    behind: int
    behind_since: str
    kept_above: int
    provisional: bool
    revoked: str


class Health(msgspec.Struct, frozen=True):
    """What stands at this node, hop by hop (R20)."""

    keeper: str
    store: str
    place: str
    name: str
    closed: bool
    replaced: bool  # HQ certified another node for this store
    time: str
    well: bool
    free_bytes: int
    tills: tuple[TillHealth, ...]
    queues: tuple[Queue, ...]
    alarms: int
    damaged: tuple[str, ...]
    requests: dict[str, int]
    publications: Pulled | None = None  # the last round of the cache


class Node:
    """Everything behind the two ports. `close` when they are shut."""

    def __init__(
        self, settings: Settings, folder: Path, enrolment: Enrolment, signer: Signer, post: Post, info: KeeperInfo
    ) -> None:
        self.settings, self.folder, self.post, self.info = settings, folder, post, info
        self.clock = SystemClock()
        self.enrolment = enrolment
        self.directory = Directory(bytes.fromhex(enrolment.hq_key))
        self._believing = threading.Lock()
        self._enrolling = threading.Lock()
        self._pressing = threading.Lock()
        self._version = 1  # of the papers
        self._given: dict[tuple[str, int], tuple[int, int]] = {}
        self._down: dict[tuple[str, int], tuple[int, tuple[Paper, ...]]] = {}
        self._contacts: dict[tuple[str, int], web_node.Contact] = {}
        self._said: dict[tuple[str, int], int] = {}
        self._late: set[tuple[str, int]] = set()
        self._unlocked: dict[str, Signer] = {}
        self._alarms: deque[web_node.Alarm] = deque(self._alarms_before(), MOST_ALARMS)
        self._cases: set[DoubleReturn] = set()
        self._counts: Counts | None = None
        self.cache: Beat | None = None  # of publications; opened beside the port that serves it
        self._believe_kept()
        self.shelf = FileShelf(folder / "kept", self.directory.standing, self.clock, self.alarm)
        self._keeper = Keeper(info.name, signer, self.shelf, self.directory.standing, self.clock, self.alarm)
        self._unsaid_forks()
        self._doorstep = InvitationFolder(folder / INVITATIONS, self.clock)
        known = self.directory.standing
        self.gifts = GiftKeeper(post, folder / GIFT_CARDS)
        replaced = self.directory.replaced
        self.swish = self._swish()
        self.lanes = LaneDesk(self.shelf, post, signer, known, self.store, self.clock, replaced, self.gifts, self.swish)
        self.press: MarkDownPress | None = None
        if settings.place == "store":
            self.press = MarkDownPress(folder, folder / settings.publications.folder, self.store)
        self.relay: Relay | None = None  # its threads may bring papers before it is here
        self.relay = self._relaying()
        self._ask_for_post()
        self._closing = threading.Event()
        self._ticking = threading.Thread(target=self._tick, name="node-tick", daemon=True)
        self._ticking.start()

    def close(self) -> None:
        """End the threads, keep what saves time, let every file go. Twice does no harm."""
        self._closing.set()
        if self.cache is not None:
            self.cache.close()
        self._ticking.join(5)
        if self.relay is not None:
            self.relay.close()
        if self.swish is not None:
            self.swish.close()
        self.lanes.save()
        self.gifts.save()
        self.shelf.close()
        self.post.close()

    # --- the keeper's port (drivers/keeper_http.py: `Taker` and `Doors`) --------------------------------------------

    def take(self, batch: Batch) -> tuple[Answer, int]:
        place = (batch.till, batch.epoch)
        try:
            answer, new = self._keeper.take(batch)
        except UnavailableError as error:
            known = self._contacts.get(place)
            if known is not None:
                self._contacts[place] = msgspec.structs.replace(known, why=str(error))
            raise
        if answer.ack is not None:
            self._heard(batch, answer.ack.seq)
        if new and place not in self._late:
            standing = self.directory.standing(*place)
            if standing is not None and standing.revoked:
                self._late.add(place)  # what it sends is kept as evidence; said once in a run
                self.alarm("EpochRevokedError", till=batch.till, epoch=batch.epoch, reason=standing.revoked)
        return answer, new

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        """Raises BadCertificateError, PaperUnfitError, OtherStoreError: this node keeps its own store's tills."""
        return self.believe(papers)

    def enrol(self, request: Request) -> Enrolled:
        """Raises BadCodeError, CodeSpentError, NobodySignsError."""
        with self._enrolling:  # one machine at a time: an epoch is given once
            invitation = self._doorstep.check(request)
            if invitation.what == "keeper":
                answer = self._enrol_keeper(invitation, request)
            elif invitation.what == "till":
                answer = self._enrol_till(invitation, request)
            else:
                raise CodeSpentError(minutes=MINUTES)
            self._doorstep.close(invitation.name)
            self._unlocked.pop(invitation.name, None)
        return seal_answer(answer, invitation.code, request)

    def lane(self, signed: Signed) -> Signed:
        return self.lanes.answer(signed)

    def who(self) -> KeeperInfo:
        return self.info

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        """What this till may not know: its store, its own certificate with all who signed, who is revoked (K9)."""
        now, place = self.clock.now(), (till, epoch)
        version, at = self._given.get(place, (0, 0))
        if version == self._version and 0 <= now - at < AGAIN_MS:
            return NO_PAPERS
        self._given[place] = (self._version, now)
        known = self._down.get(place)
        if known is None or known[0] != self._version:
            mine = self.directory.papers_of(till, epoch)
            others = [paper for paper in self.directory.revocations(self.store) if paper not in mine]
            known = self._down[place] = (self._version, (*mine, *others[-MOST_DOWN:]))
        return known[1]

    def believe(self, papers: Sequence[Paper]) -> int:
        """Add what proves itself, keep it, pass it on up and down. Raises BadCertificateError, PaperUnfitError."""
        new = 0
        try:
            for paper in papers:
                with self._believing:
                    self._ours(paper)
                    new += self.directory.add(paper)
        finally:
            if new:
                self._version += 1
                self._keep_papers()
                if self.relay is not None:
                    self.relay.show()
        return new

    # --- what pages read and do (store/web_node.py: `Backroom`) ---------------------------------------------------

    @property
    def store(self) -> str:
        return self.enrolment.store

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def url(self) -> str:
        return self.info.url

    def histories(self) -> Sequence[web_node.History]:
        return [web_node.History(one.till, one.epoch, one.branch, one.base, one.head) for one in self.shelf.streams()]

    def pieces(self, history: web_node.History, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        return self.shelf.source(*history.key).pieces(first, most, most_bytes)

    def load_view(self, history: web_node.History, name: str) -> bytes | None:
        found = self.shelf.load_view(*history.key, name)
        return None if found is None else found[1]

    def save_view(self, history: web_node.History, name: str, seq: int, data: bytes) -> None:
        self.shelf.save_view(*history.key, name, seq, data)

    def contact(self, till: str, epoch: int) -> web_node.Contact:
        return self._contacts.get((till, epoch), web_node.Contact())

    def upward(self) -> web_node.Upward:
        if self.relay is None:
            return web_node.Upward()
        late = [queue for queue in self.relay.queues() if queue.waiting]
        since = min((queue.since for queue in late), default="")
        why = next((queue.why for queue in late if queue.why), "")
        return web_node.Upward(sum(queue.waiting for queue in late), since, why, self.relay.heard_at)

    def kept_above(self, history: web_node.History) -> int:
        return self.relay.kept_above(*history.key) if self.relay is not None else 0

    def alarms(self) -> Sequence[web_node.Alarm]:
        return list(self._alarms)

    def parked(self) -> Sequence[ParkedBasket]:
        """Every basket of the store that waits to go on somewhere."""
        return self.lanes.look()

    def invitations(self) -> Sequence[Invitation]:
        return self._doorstep.open()

    def invite(self, till: str, register: str, passphrase: str, by: int) -> Invitation:
        """Raises PassphraseWrongError, TillNameError. The key is held in memory until the door is used or shut."""
        name = till_name(self.store, till)
        manager = self._manager(passphrase)
        post = self.post
        if self.directory.standing(post.name, post.epoch) is None:
            self.believe([make_paper(self._post_certificate(), manager)])
        made = self._doorstep.make("till", self.store, name, register or name.removeprefix(f"{self.store}-"), by)
        self._unlocked[made.name] = manager
        self.post.write(ActDone(by, "till invited", name, facts=(Fact("invitation", made.name),)))
        return made

    def revoke(self, till: str, epoch: int, reason: str, passphrase: str, by: int) -> None:
        """Raises PassphraseWrongError, TillUnknownError."""
        standing = self.directory.standing(till, epoch)
        if standing is None or standing.store != self.store:
            raise TillUnknownError(till=till, epoch=epoch)
        manager = self._manager(passphrase)
        head = self.shelf.source(till, epoch).head
        paper = Revocation(till, epoch, reason[:200], utc_text(self.clock.now()), head.seq, head.digest)
        self.post.write(ActDone(by, "till revoked", f"{till}/{epoch}", facts=(Fact("reason", reason[:200]),)))
        self.believe([make_paper(paper, manager)])

    def given(self) -> Sequence[GivenBasket]:
        return self.lanes.given()

    def release(self, given: GivenBasket, by: int) -> None:
        """Raises NotGivenError."""
        self.lanes.release(given, by)

    def gift_cards(self) -> tuple[int, int]:
        return self.gifts.issued()

    def issue_gift_card(self, amount_ore: int, by: int) -> str:
        """Raises NotIssuedError."""
        return self.gifts.issue(amount_ore, by)

    def markdowns(self) -> web_node.MarkedDown:
        press = self._presses()
        return web_node.MarkedDown(press.key, press.ready(), *press.listed())

    def mark_down(self, one: StoreMarkDown, by: int) -> None:
        """Raises NotAMarkDownError, NotListedError."""
        press = self._presses()
        with self._pressing:
            self._publish(web_node.marked_down(press.listed()[1], one, self.clock.now()), "marked down", one, by)

    def end_markdown(self, goods: str, by: int) -> None:
        """Raises NotListedError."""
        press = self._presses()
        with self._pressing:
            listed = press.listed()[1]
            ended = [one for one in listed if goods in (one.article, one.gtin)]
            if ended:
                self._publish(tuple(one for one in listed if one not in ended), "mark-down ended", ended[0], by)

    def _presses(self) -> MarkDownPress:
        assert self.press is not None, "a neighbour keeper has no pages"
        return self.press

    def _publish(self, markdowns: tuple[StoreMarkDown, ...], act: str, one: StoreMarkDown, by: int) -> None:
        number = self._presses().publish(markdowns, self.clock.now())
        said = {"number": number, "price_ore": one.price_ore, "percent": one.percent, "until": one.until}
        facts = tuple(Fact(name, str(value)) for name, value in said.items())
        self.post.write(ActDone(by, act, one.article or one.gtin, facts=facts))

    def health(self) -> Health:
        """What stands, since when and why, for people and machines."""
        certificate = self.directory.stores.get(self.store)
        queues = tuple(self.relay.queues()) if self.relay is not None else ()
        above = {(queue.till, queue.epoch, queue.branch): queue.kept_above for queue in queues}
        return Health(
            self.name,
            self.store,
            self.settings.place,
            certificate.name if certificate is not None else "",
            certificate.closed if certificate is not None else False,
            self._replaced(),
            utc_text(self.clock.now()),
            self.post.well(),
            self.shelf.free_bytes(),
            tuple(self._till_health(one.till, one.epoch, one.branch, above) for one in self.shelf.streams()),
            tuple(queue for queue in queues if queue.waiting),
            len(self._alarms),
            tuple(self.shelf.damaged),
            self._counted(),
            self.cache.mirror.pulled if self.cache is not None else None,
        )

    def watch(self, counts: Counts) -> None:
        """What the port counts, for health."""
        self._counts = counts

    def _counted(self) -> dict[str, int]:
        if self._counts is None:
            return {}
        said = dataclasses.asdict(self._counts)
        refused: dict[str, int] = said.pop("refused")
        return {**said, **{f"refused {leaf}": number for leaf, number in refused.items()}}

    def alarm(self, about: str, **facts: object) -> None:
        """Into our own journal, so that it goes up and stays. A disk that refuses it too: into the log."""
        said = tuple((name, str(value)[:200]) for name, value in facts.items())
        self._alarms.appendleft(web_node.Alarm(utc_text(self.clock.now()), about, said))
        try:
            self.post.write(AlarmRaised(about, tuple(Fact(*pair) for pair in said)))
        except UnavailableError as error:
            LOG.error("alarm %s %s could not be written down: %s", about, said, error)

    def cache_lied(self, said: Refused) -> None:
        """Somebody upstream gives other bytes than were signed: nothing of it is kept or passed on (RL13)."""
        self.alarm("cache lies", source=said.source, why=said.why, file=said.name, reason=said.reason)

    # --- behind the calls -----------------------------------------------------------------------------------------

    def _heard(self, batch: Batch, kept: int) -> None:
        place = (batch.till, batch.epoch)
        said = batch.last[0] if batch.marks else max(self._said.get(place, 0), batch.last[0])
        self._said[place] = max(said, batch.as_of.seq if batch.as_of is not None else 0)
        behind = max(0, self._said[place] - kept)
        now, before = self.clock.now(), self._contacts.get(place, web_node.Contact())
        since = (before.behind_since or utc_text(now)) if behind else ""
        self._contacts[place] = web_node.Contact(now, behind, since)

    def _till_health(self, till: str, epoch: int, branch: str, above: Mapping[tuple[str, int, str], int]) -> TillHealth:
        history, standing = self.shelf.history(till, epoch, branch), self.directory.standing(till, epoch)
        contact = self.contact(till, epoch)
        return TillHealth(
            till,
            epoch,
            branch,
            history.head.seq if history is not None else 0,
            history.last_time if history is not None else "",
            utc_text(contact.heard) if contact.heard else "",
            history.as_of.time if history is not None and history.as_of is not None else "",
            contact.behind,
            contact.behind_since,
            above.get((till, epoch, branch), 0),
            standing.provisional if standing is not None else True,
            standing.revoked if standing is not None else "",
        )

    def _replaced(self) -> bool:
        certificate = self.directory.stores.get(self.store)
        ours = self.info.place == "store" and certificate is not None
        return ours and certificate is not None and certificate.node_key != self.info.public_key

    def _enrol_till(self, invitation: Invitation, request: Request) -> Enrolled:
        kept = [(one.till, one.epoch) for one in self.shelf.streams()]
        epoch, now = next_epoch(self.directory, kept, invitation.till), utc_text(self.clock.now())
        certificate = TillCertificate(invitation.till, epoch, self.store, invitation.register, request.public_key, now)
        manager, text = self._unlocked.get(invitation.name), certificate_text(certificate)
        signed = make_paper(certificate, manager) if manager is not None else None
        paper = signed or self._doorstep.ask(invitation.name, text, SIGN_S)
        if (paper.kind, paper.text) != ("till", text):
            raise NobodySignsError
        facts = (Fact("invitation", invitation.name), Fact("machine", request.machine[:64]))
        self.post.write(ActDone(invitation.by, "till enrolled", f"{invitation.till}/{epoch}", facts=facts))
        self.believe([paper])
        return Enrolled(
            invitation.till,
            epoch,
            self.store,
            invitation.register,
            self.enrolment.hq_key,
            tuple(self.directory.papers(self.store)),
            self.keepers(),
        )

    def _enrol_keeper(self, invitation: Invitation, request: Request) -> Enrolled:
        """A till's machine that keeps as well: tills enrolled from now on send to it too."""
        info = KeeperInfo(invitation.till, "till", invitation.register, request.public_key, request.second_key)
        others = [known for known in self._neighbours() if known.name != info.name]
        self.post.write(ActDone(invitation.by, "keeper enrolled", info.name, facts=(Fact("url", info.url),)))
        files.write(self.folder / NEIGHBOURS, msgspec.json.encode([*others, info]))
        papers = tuple(self.directory.papers(self.store))
        return Enrolled("", 0, self.store, "", self.enrolment.hq_key, papers, self.keepers())

    def keepers(self) -> tuple[KeeperInfo, ...]:
        """Whom a till is told of: us, the neighbours, HQ."""
        return (self.info, *self._neighbours(), *(one for one in self.enrolment.keepers if one.place == "hq"))

    def _neighbours(self) -> list[KeeperInfo]:
        try:
            return msgspec.json.decode(files.read(self.folder / NEIGHBOURS, 1 << 20), type=list[KeeperInfo])
        except (OppetError, msgspec.MsgspecError):
            return []

    def _manager(self, passphrase: str) -> Signer:
        return unseal(self.folder / MANAGER_KEY, passphrase)

    def _ours(self, paper: Paper) -> None:
        said = _Named()
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):  # the directory says why
            said = msgspec.json.decode(paper.text, type=_Named)
        if said.store not in ("", self.store):
            raise OtherStoreError(theirs=said.store, ours=self.store)

    def _believe_kept(self) -> None:
        try:
            left = believe_kept(self.directory, papers_in(self.folder))
        except (OppetError, msgspec.MsgspecError) as error:
            LOG.error("papers kept here cannot be read: %s", error)
            self.alarm("papers damaged", why=str(error))
            return
        for paper in left:
            LOG.error("a kept paper is believed no longer: %s", clip(paper.text, 200))
        if left:
            self.alarm("papers damaged", why=f"{len(left)} papers prove nothing")

    def _keep_papers(self) -> None:
        with self._believing:
            files.write(self.folder / PAPERS, msgspec.json.encode(list(self.directory.papers())))

    def _relaying(self) -> Relay | None:
        hq = self.enrolment.hq
        if hq is None or self.settings.place != "store":
            return None
        remember = self.folder / "kept-by-hq.json"
        return Relay(hq, self.shelf, self.directory, self, self.alarm, remember, own=self.post.source())

    def _swish(self) -> SwishDesk | None:
        """The desk that calls Swish, where the settings name one. A certificate that cannot be used is an alarm, and the node runs."""
        if self.settings.swish is None or self.settings.place != "store":
            return None
        try:
            return open_desk(self.settings.swish, self.folder, self.info.name, self.alarm)
        except OppetError as error:
            self.alarm(type(error).__name__, **{name: str(fact) for name, fact in error.facts.items()})
            return None

    def _post_certificate(self) -> TillCertificate:
        post, now = self.post, utc_text(self.clock.now())
        return TillCertificate(post.name, post.epoch, self.store, "node", post.signer.public.hex(), now)

    def _ask_for_post(self) -> None:
        """A journal of ours that began anew is certified when the manager next invites."""
        if self.settings.place == "store" and self.directory.standing(self.post.name, self.post.epoch) is None:
            self._doorstep.put("post", certificate_text(self._post_certificate()))

    def _all_alarms(self) -> list[web_node.Alarm]:
        journal = self.post.journal
        found: list[web_node.Alarm] = []
        for entry in journal.read(max(1, journal.head.seq - MOST_READ_AGAIN + 1)):
            body = body_of(entry) if entry.kind == "alarm_raised" else None
            if isinstance(body, AlarmRaised):
                facts = tuple((fact.name, fact.value) for fact in body.facts)
                found.append(web_node.Alarm(entry.time, body.about, facts))
        return found

    def _alarms_before(self) -> list[web_node.Alarm]:
        """The latest first."""
        return self._all_alarms()[: -MOST_ALARMS - 1 : -1]

    def _unsaid_forks(self) -> None:
        """A fork is kept before it is said: what a power cut came between is said at the next start (K5)."""
        said = {dict(alarm.facts).get("branch") for alarm in self._all_alarms() if alarm.about == "fork"}
        for one in self.shelf.streams():
            if one.branch and one.branch not in said:
                self.alarm("fork", till=one.till, epoch=one.epoch, seq=one.base.seq + 1, branch=one.branch)

    def _tick(self) -> None:
        """Every other second: shut doors that are over, take up our journal's certificate, look for new cases."""
        while not self._closing.wait(TICK_S):
            try:
                self._doorstep.sweep()
                still = {one.name for one in self._doorstep.open()}
                self._unlocked = {name: key for name, key in self._unlocked.items() if name in still}
                signed = self._doorstep.signed("post")
                if signed is not None:
                    self.believe([signed])
                    self._doorstep.close("post")
                self._new_cases()
                self.shelf.remember()
                if self.press is not None:
                    self.press.refresh(self.clock.now())
            except OppetError as error:
                LOG.warning("%s", error)
            except Exception:
                LOG.exception("our own mistake between two requests")

    def _new_cases(self) -> None:
        """What came back twice, and what voucher was paid twice, is said once, when the journals met (R17, PT11)."""
        said = {value for alarm in self._alarms if alarm.about == VOUCHER_TWICE for _, value in alarm.facts}
        for twice in self.lanes.voucher_cases():
            if twice.voucher not in said:
                at = " ".join("/".join(map(str, place)) for place in twice.at)
                self.alarm(VOUCHER_TWICE, voucher=twice.voucher, amount=kronor(twice.ore), at=at)
        for case in self.lanes.cases():
            if case not in self._cases:
                self._cases.add(case)
                known = any(("original", _text(case)) in alarm.facts for alarm in self._alarms)
                if not known:
                    self.alarm(
                        "returned twice", original=_text(case), line=case.line, bought_milli=case.bought_milli,
                        returned_milli=case.returned_milli, at=" ".join("/".join(map(str, at)) for at in case.at),
                    )  # fmt: skip


class _Named(msgspec.Struct, frozen=True):
    store: str = ""


def _text(case: DoubleReturn) -> str:
    return "/".join(map(str, case.original))
