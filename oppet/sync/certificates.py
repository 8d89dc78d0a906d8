"""Who may write in which till's name: certificates, countersignatures, revocations, and what a keeper believes of them.

HQ certifies stores; a store's manager certifies tills; a surviving till or HQ countersigns, and until then HQ counts the
till's sales as provisional (design §2, Keys and certificates). A directory is a fold of signed papers: their order
does not matter and a paper shown twice changes nothing. Keeps K7 (no key speaks for a till without the manager's
signature), K8 (provisional until countersigned) and K9 (a revocation is never undone).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from oppet.base import canonical
from oppet.base.signing import Signer, Verifier
from oppet.sync.errors import BadCertificateError, PaperUnfitError
from oppet.sync.messages import Digest, Epoch, Key, Name, Paper, Time

__all__ = [
    "MOST_PAPERS",
    "Directory",
    "Revocation",
    "Standing",
    "StoreCertificate",
    "TillCertificate",
    "believe_kept",
    "countersigned",
    "make_paper",
    "paper_bytes",
]

MOST_OLDER = 32  # keys that one store's managers had before; each was signed by HQ
MOST_PAPERS = 200_000  # 50 000 stores of four live tills: a directory is bounded like everything else


class StoreCertificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """HQ's word: these keys are this store's. Signed by HQ. A newer one for the same store replaces the older."""

    store: Name
    name: str
    banner: str
    manager_key: Key  # signs tills' certificates
    node_key: Key  # the store node's: signs acknowledgements and the store's own journal
    issued: Time
    closed: bool = False


class TillCertificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """The manager's word: this key writes as this till in this epoch. Signed by the manager, then countersigned."""

    till: Name  # begins with its store's id and a hyphen: unique in the chain
    epoch: Epoch
    store: Name
    register: str  # kassabeteckning notified in advance
    public_key: Key
    issued: Time


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """HQ's or the manager's word: this epoch is over. What it signed up to `digest` stands."""

    till: Name
    epoch: Epoch
    reason: str
    at: Time
    seq: int = 0
    digest: Digest = "0" * 64


class Standing(msgspec.Struct, frozen=True):
    """What a keeper believes of one epoch of one till."""

    store: str
    till: str
    epoch: int
    register: str
    public_key: bytes
    provisional: bool
    revoked: str = ""  # why, or ""


DOCUMENTS: dict[str, type[StoreCertificate] | type[TillCertificate] | type[Revocation]] = {
    "store": StoreCertificate,
    "till": TillCertificate,
    "revocation": Revocation,
}
_KIND = {document: kind for kind, document in DOCUMENTS.items()}


def paper_bytes(kind: str, text: str) -> bytes:
    """The bytes a paper's signers sign."""
    return f"oppet paper 1\n{kind}\n{text}".encode()


def make_paper(document: StoreCertificate | TillCertificate | Revocation, *signers: Signer) -> Paper:
    """Write a document down and sign it."""
    kind, text = _KIND[type(document)], canonical.encode(document).decode()
    return countersigned(Paper(kind, text), *signers)


def countersigned(paper: Paper, *signers: Signer) -> Paper:
    """The same paper with more signatures."""
    data = paper_bytes(paper.kind, paper.text)
    more = tuple((signer.public.hex(), signer.sign(data).hex()) for signer in signers)
    return msgspec.structs.replace(paper, signatures=paper.signatures + more)


class Directory:
    """What a keeper knows of stores and tills. `hq_key` is the root it was installed with."""

    def __init__(self, hq_key: bytes) -> None:
        self.hq_key = hq_key
        self.stores: dict[str, StoreCertificate] = {}
        self._papers: dict[tuple[str, str, int], Paper] = {}  # (kind, name, epoch)
        self._older: dict[
            str, list[Paper]
        ] = {}  # of a store whose manager has a new key: what vouched for tills before
        self._tills: dict[tuple[str, int], TillCertificate] = {}
        self._revoked: dict[tuple[str, int], Revocation] = {}
        self._doubts: dict[tuple[str, int], bool] = {}  # who is provisional; reckoned again after every new paper

    def add(self, paper: Paper) -> bool:
        """Believe a paper that proves itself; say whether it told us anything new.

        Raises PaperUnfitError (no alarm), BadCertificateError (somebody's hand: an alarm).
        """
        kind = DOCUMENTS.get(paper.kind)
        if kind is None:
            raise PaperUnfitError(why=f"a paper of kind {paper.kind!r} is unknown")
        if len(self._papers) >= MOST_PAPERS:
            raise PaperUnfitError(why="the directory is full")
        try:
            document = msgspec.json.decode(paper.text, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise PaperUnfitError(why=str(error)) from None
        is_store = isinstance(document, StoreCertificate)
        name, epoch = (document.store, 0) if is_store else (document.till, document.epoch)  # type: ignore[union-attr]
        if self._papers.get((paper.kind, name, epoch)) == paper:
            return False  # shown again, as with every answer: nothing is verified twice
        if isinstance(document, StoreCertificate):
            new = self._store(paper, document)
        elif isinstance(document, TillCertificate):
            new = self._till(paper, document)
        else:
            new = self._revocation(paper, document)
        if new:
            self._doubts = {}  # whoever reckons just now writes into the old one
        return new

    def _store(self, paper: Paper, document: StoreCertificate) -> bool:
        if self.hq_key not in set(_signers(paper)):
            raise BadCertificateError(whose=f"store {document.store}", why="HQ did not sign it")
        before = self.stores.get(document.store)
        if before is not None and before.issued >= document.issued:
            return False
        if before is not None and before.manager_key != document.manager_key:
            older = self._older.setdefault(document.store, [])
            older.append(self._papers["store", document.store, 0])
            del older[:-MOST_OLDER]
        self.stores[document.store] = document
        self._papers["store", document.store, 0] = paper
        return True

    def _till(self, paper: Paper, document: TillCertificate) -> bool:
        whose = f"till {document.till}, epoch {document.epoch}"
        store = self.stores.get(document.store)
        if store is None:
            raise PaperUnfitError(why=f"store {document.store} is not known here")
        if not document.till.startswith(f"{document.store}-"):
            raise BadCertificateError(whose=whose, why="a till's name begins with its store's id")
        place = document.till, document.epoch
        before = self._papers.get(("till", *place))
        vouched = before is not None and before.text == paper.text  # by this manager, or by the one before
        if not vouched and bytes.fromhex(store.manager_key) not in _signers(paper):
            raise BadCertificateError(whose=whose, why="the store's manager did not sign it")
        known = self._tills.get(place)
        if known is not None and known.public_key != document.public_key:
            raise BadCertificateError(whose=whose, why="this epoch has another key already")
        merged = _merged(before, paper)
        if merged == before:
            return False
        self._tills[place] = document
        self._papers["till", *place] = merged
        return True

    def _revocation(self, paper: Paper, document: Revocation) -> bool:
        place = document.till, document.epoch
        certificate = self._tills.get(place)
        allowed = {self.hq_key}
        if certificate is not None and certificate.store in self.stores:
            allowed.add(bytes.fromhex(self.stores[certificate.store].manager_key))
        if not allowed & set(_signers(paper)):
            whose = f"the revocation of till {document.till}, epoch {document.epoch}"
            raise BadCertificateError(whose=whose, why="neither HQ nor the store's manager signed it")
        if place in self._revoked:
            return False
        self._revoked[place] = document
        self._papers["revocation", *place] = paper
        return True

    def standing(self, till: str, epoch: int) -> Standing | None:
        """What is believed of this epoch; None for one nobody has shown a certificate for."""
        certificate = self._tills.get((till, epoch))
        if certificate is None:
            return None
        revoked = self._revoked.get((till, epoch))
        doubts = self._doubts
        provisional = doubts.get((till, epoch))
        if provisional is None:
            provisional = doubts[till, epoch] = not self._witnessed(certificate)
        return Standing(
            certificate.store,
            till,
            epoch,
            certificate.register,
            bytes.fromhex(certificate.public_key),
            provisional,
            revoked.reason if revoked is not None else "",
        )

    def _witnessed(self, certificate: TillCertificate) -> bool:
        """HQ, or another till of the store that is itself beyond doubt, signed as well."""
        return self._beyond_doubt(certificate, frozenset())

    def _beyond_doubt(self, certificate: TillCertificate, asking: frozenset[str]) -> bool:
        signers = set(_signers(self._papers["till", certificate.till, certificate.epoch]))
        if self.hq_key in signers:
            return True
        for (till, epoch), other in list(self._tills.items()):
            if other.store != certificate.store or till == certificate.till or (till, epoch) in self._revoked:
                continue
            if other.public_key in asking or bytes.fromhex(other.public_key) not in signers:
                continue
            if self._beyond_doubt(other, asking | {certificate.public_key}):
                return True
        return False

    def tills(self, store: str = "") -> list[TillCertificate]:
        """Every epoch certified, of one store or of all, in order."""
        return [known for _, known in sorted(self._tills.items()) if store in ("", known.store)]

    def last_epoch(self, till: str) -> int:
        """The highest epoch certified for a till; 0 for none."""
        return max((epoch for name, epoch in list(self._tills) if name == till), default=0)

    def replaced(self, till: str, epoch: int) -> str:
        """When a newer epoch of this till was last certified; "" for never."""
        return max(
            (known.issued for (name, later), known in list(self._tills.items()) if name == till and later > epoch),
            default="",
        )

    def papers(self, store: str = "") -> Iterator[Paper]:
        """Everything believed, in an order in which another directory can believe it: a store's older certificates with
        the tills they vouched for, then stores, tills, revocations.
        """
        said = set()
        for name, older in list(self._older.items()):
            for vouching in older if store in ("", name) else ():
                yield vouching
                for place, paper in self._signed_by(_manager_key(vouching), name):
                    if place not in said:
                        said.add(place)
                        yield paper
        for kind in DOCUMENTS:
            for place, paper in list(self._papers.items()):
                name = place[1] if kind == "store" else self._store_of(*place[1:])
                if place[0] == kind and store in ("", name) and place not in said:
                    yield paper

    def _signed_by(self, key: str, store: str) -> Iterator[tuple[tuple[str, str, int], Paper]]:
        """A store's tills, then its revocations, that carry this manager's signature."""
        for kind in ("till", "revocation"):
            for place, paper in list(self._papers.items()):
                if place[0] == kind and key in dict(paper.signatures) and self._store_of(*place[1:]) == store:
                    yield place, paper

    def revocations(self, store: str = "") -> tuple[Paper, ...]:
        """The papers that end epochs."""
        return tuple(paper for paper in self.papers(store) if paper.kind == "revocation")

    def papers_of(self, till: str, epoch: int) -> tuple[Paper, ...]:
        """What another keeper must see to believe this till: its store's certificate, its own, its revocation.

        Where an older manager's key certified it, that certificate of the store comes first and the newest behind.
        """
        store = self._store_of(till, epoch)
        newest, mine = self._papers.get(("store", store, 0)), self._papers.get(("till", till, epoch))
        ended = self._papers.get(("revocation", till, epoch))
        signed = dict(mine.signatures) if mine is not None else {}
        older = [paper for paper in self._older.get(store, ()) if _manager_key(paper) in signed][-1:]
        if newest is not None and _manager_key(newest) in signed:
            older = []
        shown = (*older, mine, newest, ended) if older else (newest, mine, ended)
        if older and ended is not None and _manager_key(older[0]) in dict(ended.signatures):
            shown = (*older, mine, ended, newest)
        return tuple(paper for paper in shown if paper is not None)

    def _store_of(self, till: str, epoch: int) -> str:
        certificate = self._tills.get((till, epoch))
        return certificate.store if certificate is not None else ""


def believe_kept(directory: Directory, papers: Iterable[Paper]) -> list[Paper]:
    """Believe papers that were believed before, in whatever order they lie; give those that prove nothing now.

    A store's certificates are taken in the order they were issued, each with the tills and revocations it vouches for: a
    store whose manager has a new key keeps the tills that the old key certified (K7), and what it ended stays over (K9).
    """
    of: dict[str, list[Paper]] = {kind: [] for kind in DOCUMENTS}
    left = [paper for paper in papers if _sorted_in(of, paper)]
    waiting = _those_left(directory, of["till"] + of["revocation"])
    for paper in sorted(of["store"], key=_issued):
        left += _those_left(directory, [paper])
        waiting = _those_left(directory, waiting)
    return left + waiting


def _sorted_in(of: dict[str, list[Paper]], paper: Paper) -> bool:
    """Put it with its kind; True for one of no kind, which is left."""
    if paper.kind not in of or (paper.kind == "store" and not _issued(paper)):
        return True
    of[paper.kind].append(paper)
    return False


def _those_left(directory: Directory, papers: Iterable[Paper]) -> list[Paper]:
    left = []
    for paper in papers:
        try:
            directory.add(paper)
        except (BadCertificateError, PaperUnfitError):
            left.append(paper)
    return left


def _issued(paper: Paper) -> str:
    try:
        return msgspec.json.decode(paper.text, type=StoreCertificate).issued
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""


@lru_cache(maxsize=1024)
def _manager_key(paper: Paper) -> str:
    """Of a store's certificate that is believed."""
    return msgspec.json.decode(paper.text, type=StoreCertificate).manager_key


@lru_cache(maxsize=32_768)  # a keeper asks for the same till's with every batch
def _signers(paper: Paper) -> tuple[bytes, ...]:
    """The keys whose signatures on this paper are good."""
    data = paper_bytes(paper.kind, paper.text)
    found = []
    for key, signature in paper.signatures:
        try:
            verifier = Verifier(bytes.fromhex(key))
        except ValueError:
            continue
        if verifier.good(bytes.fromhex(signature), data):
            found.append(verifier.public)
    return tuple(found)


def _merged(before: Paper | None, paper: Paper) -> Paper:
    if before is None:
        return paper
    if before.text != paper.text:  # the same key certified again at another moment: the first text stands
        return before
    known = {key for key, _ in before.signatures}
    more = tuple(pair for pair in paper.signatures if pair[0] not in known)[: 8 - len(before.signatures)]
    return msgspec.structs.replace(before, signatures=before.signatures + more)
