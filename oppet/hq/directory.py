"""Head office's directory: papers kept in PostgreSQL, believed from memory, and made here with head office's own key.

Every process holds all of it and follows changes within a second. A store is enrolled with a code and gets its certificate; a
till's certificate, shown by its store, waits provisional until two people here countersign it. Keeps K7 to K10 and K8's
provisional beside what was sold.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from oppet.base.clock import Clock, parse_utc, utc_text
from oppet.base.errors import RefusedError, clip
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers.office_pg import Change, Invited, OfficeTables
from oppet.drivers.passkeys import new_code, new_name
from oppet.sync.certificates import (
    Directory,
    Revocation,
    Standing,
    StoreCertificate,
    TillCertificate,
    believe_kept,
    countersigned,
    make_paper,
)
from oppet.sync.enrolment import MINUTES, Enrolled, Invitation, Request, check_request, seal_answer
from oppet.sync.errors import BadCertificateError, BadCodeError, CodeSpentError, PaperUnfitError
from oppet.sync.messages import KeeperInfo, Paper

__all__ = ["HQ_STORE", "HqDirectory", "NoStoreError", "NoTillError"]

HQ_STORE = "hq"  # the "store" that head office's own processes write as
HQ_NAME = "Head office"
FIRST_SECOND = 1_700_000_000  # certificates are numbered by the second they were issued in
LOG = logging.getLogger("oppet.directory")
T = TypeVar("T")


class NoStoreError(RefusedError):
    sentence = N_("Head office has no certificate of store {store}.")


class NoTillError(RefusedError):
    sentence = N_("Head office has no certificate of till {till}, epoch {epoch}.")


class HqDirectory:
    def __init__(self, tables: OfficeTables, signer: Signer, clock: Clock, me: Callable[[], KeeperInfo]) -> None:
        self._tables = tables
        self._signer = signer
        self._clock = clock
        self._me = me
        self._guard = threading.RLock()  # one change at a time in this process
        self._memory = threading.RLock()  # what is believed; held for no longer than memory takes
        self._believed = Directory(signer.public)
        self._version = 0
        self._doubtful = False  # a change failed after it was believed
        self._asked_ms = 0

    @property
    def root(self) -> bytes:
        """Head office's own public key: what every certificate is held against."""
        return self._signer.public

    # --- what is believed

    def follow(self) -> int:
        """Read what other processes added. Raises DatabaseAwayError; what was believed stays."""
        with self._guard, self._tables.change() as t:
            return self._follow(t)

    def _follow(self, t: Change) -> int:
        fresh = t.papers_since(0 if self._doubtful else self._version)
        if not fresh and not self._doubtful:
            return 0
        with self._memory:
            believed = Directory(self._signer.public) if self._doubtful else self._believed
            for left in believe_kept(believed, [paper for paper, _ in fresh]):
                LOG.error("a kept certificate is believed no longer: %s", clip(left.text, 200))
            self._believed, self._doubtful = believed, False
        self._version = max((version for _, version in fresh), default=0)
        return len(fresh)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """One transaction in which papers may be added. After one that failed, memory is made again from the tables."""
        with self._guard:
            try:
                with self._tables.change() as t:
                    t.lock_papers()
                    self._follow(t)
                    yield t
            except BaseException:
                self._doubtful = True
                raise

    def standing(self, till: str, epoch: int) -> Standing | None:
        """For the keeper: from memory; one that nobody knows is looked for once a second."""
        with self._memory:
            found = self._believed.standing(till, epoch)
        if found is None and not 0 <= self._clock.now() - self._asked_ms < 1000:
            self._asked_ms = self._clock.now()
            self.follow()
            with self._memory:
                found = self._believed.standing(till, epoch)
        return found

    def stores(self) -> list[StoreCertificate]:
        with self._memory:
            return [known for name, known in sorted(self._believed.stores.items()) if name != HQ_STORE]

    def store(self, store: str) -> StoreCertificate | None:
        with self._memory:
            return self._believed.stores.get(store)

    def tills(self) -> list[tuple[TillCertificate, Standing]]:
        """Every epoch certified, head office's own processes too, with what is believed of it."""
        with self._memory:
            found = []
            for certificate in self._believed.tills():
                standing = self._believed.standing(certificate.till, certificate.epoch)
                if standing is not None:
                    found.append((certificate, standing))
            return found

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:
        """What goes down with an answer: the till's own papers and the revocations of its store."""
        with self._memory:
            standing = self._believed.standing(till, epoch)
            if standing is None:
                return ()
            return (*self._believed.papers_of(till, epoch), *self._believed.revocations(standing.store))[:40]

    def papers_of(self, till: str, epoch: int) -> tuple[Paper, ...]:
        with self._memory:
            return self._believed.papers_of(till, epoch)

    # --- what is added

    def introduce(self, papers: Iterable[Paper]) -> int:
        """Believe papers that prove themselves and keep what is new, up to the first that does not.

        Raises BadCertificateError, PaperUnfitError; what stood before it is kept all the same.
        """
        new, refused = 0, None
        with self.change() as t:
            for paper in papers:
                try:
                    new += self._add(t, paper)
                except (BadCertificateError, PaperUnfitError) as error:
                    refused = error
                    break
        if refused is not None:
            raise refused
        return new

    def _add(self, t: Change, paper: Paper) -> bool:
        """Believe one paper and keep it as it is believed now. The papers' lock is held."""
        with self._memory:
            if not self._believed.add(paper):
                return False
        self._keep(t, paper)
        return True

    def _keep(self, t: Change, paper: Paper) -> None:
        if paper.kind == "store":
            store = _read(paper, StoreCertificate)
            issued = max(0, parse_utc(store.issued) // 1000 - FIRST_SECOND)
            t.put_paper(paper, store.store, issued)  # the older ones stay: they vouched for tills
            if store.store != HQ_STORE:
                t.put_store(store)
            return
        said = _read(paper, TillCertificate) if paper.kind == "till" else _read(paper, Revocation)
        with self._memory:
            papers = self._believed.papers_of(said.till, said.epoch)
            standing = self._believed.standing(said.till, said.epoch)
            # A till that was countersigned may vouch for others of its store, a revoked one no longer.
            others = self._believed.tills(standing.store) if standing is not None else []
            all_of_them = [self._believed.standing(other.till, other.epoch) for other in others]
        t.put_paper(next((p for p in papers if p.kind == paper.kind), paper), said.till, said.epoch)
        for stands in all_of_them:
            if stands is not None:
                t.stand(stands)

    # --- head office's own acts, each inside `change`

    def issue_store(self, t: Change, document: StoreCertificate) -> None:
        self._add(t, make_paper(document, self._signer))

    def change_store(self, t: Change, store: str, **changes: object) -> StoreCertificate:
        """A newer certificate for a store that was renamed, moved to another banner or closed. Raises NoStoreError."""
        before = self.store(store)
        if before is None or store == HQ_STORE:
            raise NoStoreError(store=store)
        after = msgspec.structs.replace(before, issued=self._issued(store), **changes)
        self._add(t, make_paper(after, self._signer))
        return after

    def countersign(self, t: Change, till: str, epoch: int) -> None:
        """Raises NoTillError."""
        for paper in self.papers_of(till, epoch):
            if paper.kind == "till":
                self._add(t, countersigned(paper, self._signer))
                return
        raise NoTillError(till=till, epoch=epoch)

    def revoke(self, t: Change, till: str, epoch: int, reason: str) -> None:
        """End an epoch; what it signed so far stands. Raises NoTillError."""
        if not any(paper.kind == "till" for paper in self.papers_of(till, epoch)):
            raise NoTillError(till=till, epoch=epoch)
        self._add(t, make_paper(Revocation(till, epoch, reason, self._now()), self._signer))

    def certify_process(self, name: str, epoch: int, public_key: str) -> None:
        """Head office's own processes write as tills of store "hq", certified and countersigned by its key."""
        key = self._signer.public.hex()
        ours = StoreCertificate(HQ_STORE, HQ_NAME, "", key, key, "2000-01-01T00:00:00.000Z")
        paper = TillCertificate(name, epoch, HQ_STORE, name, public_key, self._now())
        self.introduce((make_paper(ours, self._signer), make_paper(paper, self._signer)))

    # --- stores are invited and enrol

    def invite(self, t: Change, store: str, name: str, banner: str, by: int) -> Invited:
        """A code for a new store's node, or for the new node of one that is known."""
        invited = Invited(new_name(), store, name, banner, new_code(), self._clock.now(), by, 0, 0)
        t.put_invitation(invited)
        return invited

    def enrol(self, request: Request) -> Enrolled:
        """A store's node shows that it knows the code: it is certified. Raises BadCodeError, CodeSpentError."""
        wrong = None
        with self.change() as t:
            invited = t.invitation(request.invitation)
            if invited is None:
                raise CodeSpentError(minutes=MINUTES)
            place = Invitation(
                invited.name, "store", invited.store, "", "", invited.code, invited.made, invited.made_by, invited.tries,
                used=bool(invited.used),
            )  # fmt: skip
            try:
                check_request(place, request, self._clock.now())
            except BadCodeError as error:
                t.invitation_tried(invited.name)  # stays counted
                wrong = error
            else:
                document = StoreCertificate(
                    invited.store, invited.store_name, invited.banner, request.second_key or request.public_key,
                    request.public_key, self._issued(invited.store),
                )  # fmt: skip
                self.issue_store(t, document)
                t.invitation_used(invited.name, self._clock.now())
        if wrong is not None:
            raise wrong
        with self._memory:
            papers = tuple(self._believed.papers(invited.store))
        answer = Enrolled("", 0, invited.store, "", self._signer.public.hex(), papers, (self._me(),))
        return seal_answer(answer, invited.code, request)

    def _issued(self, store: str) -> str:
        """Now, and a second at least behind the store's certificate before: each is kept by its second."""
        before = self.store(store)
        after = parse_utc(before.issued) + 1_000 if before is not None else 0
        return utc_text(max(self._clock.now(), after))

    def _now(self) -> str:
        return utc_text(self._clock.now())


def _read(paper: Paper, kind: type[T]) -> T:
    return msgspec.json.decode(paper.text, type=kind)
