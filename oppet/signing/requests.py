"""Requests: drafts as one file to carry to the machines that hold keys, and back with signatures (RL15).

A request holds the drafts, and beside them the lists they replace with the whole row of roots, so that a signing machine without any
network can judge for itself: from the root that its person's stick remembers, every later root and every list is verified before
anything is told about it. Signatures are put on one at a time; a draft that was changed after somebody signed it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from oppet.base.clock import utc_text
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.repositories import KeyUselessError
from oppet.drivers.signing_keys import holder_of
from oppet.signing.desk import Desk, now
from oppet.signing.telling import untold

__all__ = [
    "Draft",
    "Request",
    "RequestChangedError",
    "RequestUnfitError",
    "SignedAlreadyError",
    "StickWrongError",
    "drafts_of",
    "keep_signatures",
    "lacking",
    "merge",
    "put_signatures",
    "read_request",
    "take",
    "write_request",
]  # fmt: skip

LARGEST: Final = 32 << 20
MOST_LISTS: Final = 50
BY_MACHINE: Final = ("rollout", "health", "markdowns")  # signed where they are published, never carried to people
AnyMetadata = Metadata[Any]
Text = Annotated[str, Meta(max_length=16 << 20)]


class RequestUnfitError(UntrustedError):
    sentence = N_("The request {file} cannot be believed: {reason}. Nothing was signed. Make a new one.")


class RequestChangedError(UntrustedError):
    sentence = N_(
        "{role} was changed after {holder} signed it. Nothing was signed. Find out by whom, and make a new request."
    )


class StickWrongError(RefusedError):
    sentence = N_("{holder}’s stick holds no key that this request wants. It still wants: {wanted}.")


class SignedAlreadyError(RefusedError):
    sentence = N_("{holder} has signed this already. Nobody signs twice. It still wants: {wanted}.")


class Request(msgspec.Struct, frozen=True):
    """Drafts of one repository, and what they are measured against."""

    v: int
    repository: str
    what: Annotated[str, Meta(max_length=200)]
    made: str
    roots: Annotated[tuple[Text, ...], Meta(max_length=256)]  # published, from the first on
    before: Annotated[
        dict[str, Text], Meta(max_length=MOST_LISTS)
    ]  # published lists that drafts replace, and the top one
    drafts: Annotated[dict[str, Text], Meta(max_length=MOST_LISTS)]


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft that was judged. `wants` are the rows of keys and needs that it must satisfy: two for a root."""

    role: str
    before: AnyMetadata | None
    after: AnyMetadata
    wants: tuple[tuple[dict[str, Key], int], ...]

    def signed(self) -> dict[str, Key]:
        return {keyid: key for keys, _ in self.wants for keyid, key in keys.items() if keyid in self.after.signatures}

    def still(self) -> tuple[int, list[str]]:
        """How many more must sign, at least, and who may; nobody who has signed counts again."""
        done = {holder_of(key) for key in self.signed().values()}
        rows = [{holder_of(key) for key in keys.values()} for keys, _ in self.wants]
        lacking = [
            need - len({holder_of(key) for keyid, key in keys.items() if keyid in self.after.signatures})
            for keys, need in self.wants
        ]
        more = max(0, *lacking)
        in_all = sorted(set.intersection(*rows) - done)  # rather those who stay than those who go
        every = sorted({name for row, count in zip(rows, lacking, strict=True) if count > 0 for name in row} - done)
        return more, in_all if len(in_all) >= more else every


def write_request(desk: Desk, what: str, file: Path) -> Request:
    """Put every draft of a repository into a file, with the signatures it has. Raises FileTroubleError."""
    repository = desk.repository
    drafts = {role: _text(repository.read(role)) for role in repository.drafts() if role not in BY_MACHINE}
    roots = tuple(repository.root_bytes(number + 1).decode() for number in range(repository.version("root")))
    wanted = {"targets", *drafts} - {"root"}
    before = {role: _text(repository.seen(role)) for role in wanted if repository.version(role)}
    request = Request(1, desk.name, what, utc_text(now()), roots, before, drafts)
    files.folder(file.absolute().parent)
    files.write(file, msgspec.json.encode(request))
    return request


def read_request(file: Path) -> Request:
    """Read a request. Raises RequestUnfitError, FileMissingError."""
    try:
        request = msgspec.json.decode(files.read(file, LARGEST), type=Request)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RequestUnfitError(file=str(file), reason=str(error)) from None
    if request.v != 1 or not request.drafts:
        raise RequestUnfitError(file=str(file), reason="there is nothing in it to sign")
    return request


def drafts_of(request: Request, file: Path, known: str = "") -> list[Draft]:
    """Judge a request from the root that somebody remembers ("" for none). Raises RequestUnfitError, RequestChangedError."""
    try:
        roots = _believed_roots(request, known)
        lists = {role: _read(text) for role, text in request.before.items()}
        after = {role: _read(text) for role, text in request.drafts.items()}
        _believed_lists(lists, roots[-1] if roots else None)
        drafts = [_draft(role, roots, lists, after) for role in after]
    except (DeserializationError, UnsignedMetadataError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestUnfitError(file=str(file), reason=str(error) or type(error).__name__) from None
    for draft in drafts:
        _fit_to_sign(draft, file)
        _unchanged(draft)
    return drafts


def put_signatures(drafts: Sequence[Draft], holder: str, signers: Sequence[Signer]) -> list[str]:
    """Put one person's signatures on every draft that wants them; give the roles. Raises SignedAlreadyError, StickWrongError."""
    roles: list[str] = []
    already = False
    for draft in drafts:
        may = {keyid: key for keys, _ in draft.wants for keyid, key in keys.items()}
        mine = [signer for signer in signers if signer.public_key.keyid in may]
        by = {holder_of(key) for key in draft.signed().values()}
        if mine and holder in by:
            already = True
            continue
        for signer in mine:
            _sign(draft, signer)
        roles += [draft.role] if mine else []
    if not roles:
        wanted = "; ".join(_wants(draft) for draft in drafts if draft.still()[0]) or "nothing more"
        raise (SignedAlreadyError if already else StickWrongError)(holder=holder, wanted=wanted)
    return roles


def keep_signatures(file: Path, request: Request, drafts: Sequence[Draft]) -> None:
    """Write the request back with what was put on it."""
    fresh = {draft.role: _text(draft.after) for draft in drafts}
    files.write(file, msgspec.json.encode(msgspec.structs.replace(request, drafts=fresh)))


def merge(desk: Desk, request: Request, file: Path) -> int:
    """Take a request's signatures into the repository's drafts; give how many were new.

    Raises RequestUnfitError, RequestChangedError, DraftOtherError, NothingStagedError.
    """
    if request.repository != desk.name:
        raise RequestUnfitError(file=str(file), reason=f"it is for {request.repository}, not for {desk.name}")
    first = desk.repository.root_bytes(1).decode() if desk.repository.version("root") else ""
    return sum(desk.repository.take(draft.role, draft.after) for draft in drafts_of(request, file, first))


def take(desk: Desk, signed: Sequence[Path]) -> int:
    """Take the signatures of several requests' files; give how many were new."""
    return sum(merge(desk, read_request(file), file) for file in signed)


def _wants(draft: Draft) -> str:
    more, names = draft.still()
    return f"{draft.role}: {more} more of {', '.join(names)}"


def _sign(draft: Draft, signer: Signer) -> None:
    try:
        draft.after.sign(signer, append=True)
    except UnsignedMetadataError as error:
        raise KeyUselessError(key=signer.public_key.keyid[:16], reason=str(error)) from None


def _believed_roots(request: Request, known: str) -> list[Root]:
    """Every published root, each signed as the one before and it itself demand; `known` must be one of them."""
    texts = list(request.roots)
    if known and _payload(known) not in [_payload(text) for text in texts]:
        raise ValueError("its row of roots is not the one that this stick remembers")
    roots: list[Root] = []
    for number, text in enumerate(texts, 1):
        held: AnyMetadata = _read(text)
        root = held.signed
        if not isinstance(root, Root) or root.version != number:
            raise ValueError(f"root {number} is missing")
        for judge in (roots[-1] if roots else root, root):
            judge.verify_delegate("root", held.signed_bytes, held.signatures)
        roots.append(root)
    return roots


def _believed_lists(lists: dict[str, AnyMetadata], root: Root | None) -> None:
    top = lists.get("targets")
    for role, held in lists.items():
        above = root if role == "targets" else top.signed if top else None
        if above is None or not isinstance(held.signed, Targets):
            raise ValueError(f"nothing vouches for {role}")
        above.verify_delegate(role, held.signed_bytes, held.signatures)


def _draft(role: str, roots: list[Root], lists: dict[str, AnyMetadata], after: dict[str, AnyMetadata]) -> Draft:
    held = after[role]
    if role == "root":
        if not isinstance(held.signed, Root) or held.signed.version != len(roots) + 1:
            raise ValueError("its root is not the next one")
        judges = [*roots[-1:], held.signed]
        before: AnyMetadata | None = Metadata(roots[-1]) if roots else None
    else:
        before = lists.get(role)
        if not isinstance(held.signed, Targets) or held.signed.version != (before.signed.version if before else 0) + 1:
            raise ValueError(f"its list {role} is not the next one")
        top = after.get("targets") or lists["targets"]
        root = after["root"].signed if "root" in after else roots[-1]
        judges = [root if role == "targets" else top.signed]
    return Draft(role, before, held, tuple(_row(judge, role) for judge in judges))


def _row(above: Root | Targets, role: str) -> tuple[dict[str, Key], int]:
    held = above.get_delegated_role(role)
    return {keyid: above.get_key(keyid) for keyid in held.keyids}, held.threshold


def _fit_to_sign(draft: Draft, file: Path) -> None:
    """Nothing is signed that is not told, nor where one person would count twice."""
    if what := untold(draft.after.signed):
        raise RequestUnfitError(file=str(file), reason=f"it says what nobody here has words for: {what}")
    for keys, need in draft.wants:
        holders = [holder_of(key) for key in keys.values()]
        if need > 1 and len(set(holders)) < len(holders):
            raise RequestUnfitError(file=str(file), reason=f"one person would hold two keys of {draft.role}")


def _unchanged(draft: Draft) -> None:
    for keyid, key in draft.signed().items():
        try:
            key.verify_signature(draft.after.signatures[keyid], draft.after.signed_bytes)
        except Exception:  # noqa: BLE001 - whatever a broken signature raises
            raise RequestChangedError(role=draft.role, holder=holder_of(key)) from None


def _read(text: str) -> AnyMetadata:
    return Metadata.from_bytes(text.encode())


def _payload(text: str) -> bytes:
    return _read(text).signed_bytes


def _text(held: AnyMetadata) -> str:
    return held.to_bytes().decode()


def lacking(drafts: Sequence[Draft]) -> Iterator[str]:
    """What is still wanted, a sentence for each draft."""
    return (_wants(draft) for draft in drafts if draft.still()[0])
