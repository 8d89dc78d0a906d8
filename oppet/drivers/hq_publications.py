"""Publications as head office makes them: drafts in its database, people's keys in its folder, and the chain's repository.

A draft is signed by people with keys of their own, each sealed under a passphrase that only they know: whoever takes head office
over finds no key that opens (RL15). A signature is for one version of one draft; any change makes it void (RL8). The list that
was signed waits in the database, so that nothing half-signed lies in the repository or holds up another publication. Publishing is
one step: the repository judges the whole first, and shows it by its last write. One act at a time, whoever runs it.
How much one person may change is the caller's to ask (release/bounds.py); here it only says which role must sign.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import zstandard
from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Targets
from tuf.api.serialization import DeserializationError

from oppet.base import canonical
from oppet.base.clock import parse_utc
from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.chunking import make_patches
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.keys import load_key
from oppet.drivers.pg import Pool, Transaction
from oppet.drivers.repositories import DAY_MS, KeyUselessError, Repository
from oppet.drivers.sealed_key import make_sealed, public_of, unseal
from oppet.drivers.shelf_pg import chunk_entries
from oppet.drivers.signing_keys import HeldSigner
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import Receipt
from oppet.release import health
from oppet.release.bounds import Activation
from oppet.release.terms import CHAIN, Goods, Software, goods_name, health_name, is_software, read

__all__ = [
    "OPEN",
    "PUBLISHED",
    "SIGNING",
    "Draft",
    "DraftChangedError",
    "HqPublications",
    "KeyNotListedError",
    "KeyThereError",
    "NoDraftError",
    "NoPublishingError",
    "NotPublishedYetError",
    "Published",
    "SamePersonError",
    "Signed",
    "StaleSignaturesError",
]

OPEN: Final = "open"
SIGNING: Final = "signing"
PUBLISHED: Final = "published"
DROPPED: Final = "dropped"
ROLES: Final = ("goods", "wide")
LOCK: Final = 0x6F7070_707562  # one act on the repository at a time
MOST_VOUCHED: Final = 3  # releases whose evidence is still gathered
MOST_DRAFTS: Final = 60
MOST_LISTED: Final = 60  # publications of one kind that stay in a role's list
MOST_WAYS: Final = 3
LARGEST_DOCUMENT: Final = 256 << 20
RENEW_MS: Final = 5 * DAY_MS  # before the list of lists runs out
LOG = logging.getLogger("oppet.hq")
_sql = statements("hq_publications")


class NoPublishingError(RefusedError):
    sentence = N_("This machine publishes nothing: its settings name no folder of publications.")


class NoDraftError(RefusedError):
    sentence = N_("There is no such publication any more.")


class DraftChangedError(RefusedError):
    sentence = N_(
        "Somebody changed this publication while you looked at it (version {version} now). Nothing was done: look again."
    )


class SamePersonError(RefusedError):
    sentence = N_("You have signed this already. Somebody else must be the second.")


class StaleSignaturesError(RefusedError):
    sentence = N_(
        "Something else was published after the first signature, so the signatures are void. Look again, and sign anew."
    )


class NotPublishedYetError(RefusedError):
    sentence = N_("{have} of {need} people have signed. It cannot be published yet.")


class KeyNotListedError(RefusedError):
    sentence = N_(
        "Your key is not among those that may sign here. It must be listed by a ceremony: bring its public half, {public}."
    )


class KeyThereError(RefusedError):
    sentence = N_("You have a key already. To replace it, have the old one revoked first.")


class NoKeyError(RefusedError):
    sentence = N_("You have no key here yet. Make one first.")


class RoleBusyError(RefusedError):
    sentence = N_(
        "Somebody at the signing desk has drafted something under {role}. Publish that or throw it away first."
    )


class ListUnreadableError(UntrustedError):
    sentence = N_("What was signed of publication {draft} cannot be read ({reason}). Sign it anew.")


class Draft(msgspec.Struct, frozen=True):
    """One publication on its way, without its content."""

    id: int
    what: str
    title: str
    state: str
    version: int
    digest: str
    bytes: int
    valid_from: str
    withdraws: int
    based_on: str
    made_by: int
    made: int
    changed_by: int
    changed: int
    role: str
    number: int
    signed_at: int
    published_by: int
    published: int


class Signed(msgspec.Struct, frozen=True):
    who: int
    keyid: str
    at: int


class Published(msgspec.Struct, frozen=True):
    """What the repository lists."""

    role: str
    name: str
    what: str
    number: int
    valid_from: str
    withdraws: int
    digest: str
    bytes: int

    @property
    def wide(self) -> bool:
        return self.role == "wide"


class HqPublications:
    """`tree` is the published tree; `keys` the folder of people's sealed keys and the machine's own `online.key`.

    Every method raises DatabaseAwayError, RepositoryMissingError, RepositoryBrokenError, FileTroubleError.
    """

    def __init__(self, pool: Pool, tree: Path, keys: Path, factory: Path | None = None) -> None:
        self._pool = pool
        self._tree = tree
        self._folder = tree / CHAIN
        self._keys = keys
        self._factory = factory

    # ------------------------------------------------------------ what is published

    @property
    def begun(self) -> bool:
        """Whether a ceremony was held and its repository is here."""
        return (self._folder / "metadata" / "1.root.json").exists()

    def repository(self) -> Repository:
        return Repository(self._folder)

    def published(self, what: str) -> tuple[Published, ...]:
        """What the world may read of one kind, the newest number first."""
        return _published(self.repository(), what)

    def factory(self) -> bytes | None:
        """The assortment that tills were installed with, where it is known."""
        return files.read(self._factory) if self._factory is not None else None

    def content(self, one: Published) -> bytes:
        """The bytes, which are what was signed. Raises PublicationSpoiltError."""
        place = self._folder / "targets" / one.name
        data = files.read(place.with_name(f"{one.digest}.{place.name}"), LARGEST_DOCUMENT)
        if sha256(data).hexdigest() != one.digest:
            raise PublicationSpoiltError(name=one.name)
        return data

    def charged(self, what: str) -> tuple[Activation, ...]:
        """What was in force from when, the first first: what bounds are measured from."""
        found = sorted(self.published(what), key=lambda one: one.number)
        result: list[Activation] = []
        for one in found:
            at = parse_utc(one.valid_from)
            result = [
                before for before in result if before.at_ms < at
            ]  # a newer number in force sooner replaces what waited
            result.append(Activation(one.digest, at, one.wide))
        return tuple(result)

    # ------------------------------------------------------------ drafts

    def drafts(self) -> tuple[Draft, ...]:
        with self._pool.transaction() as t:
            rows = t.connection.execute(
                f"{_sql['drafts']} {_sql['where_shown']}".encode(), {"most": MOST_DRAFTS}
            ).fetchall()
        return tuple(Draft(*row) for row in rows)

    def draft(self, draft: int) -> Draft:
        """Raises NoDraftError."""
        with self._pool.transaction() as t:
            return _draft(t, draft, "seen_id")

    def document(self, draft: int) -> bytes:
        """Raises NoDraftError."""
        with self._pool.transaction() as t:
            row = _one(t, "document", id=draft)
        if row is None:
            raise NoDraftError
        return zstandard.ZstdDecompressor().decompress(bytes(row[0]), LARGEST_DOCUMENT)

    def signatures(self, draft: int) -> tuple[Signed, ...]:
        with self._pool.transaction() as t:
            return _signatures(t, draft)

    def make(
        self, what: str, title: str, document: bytes, valid_from: str, by: int, now: int, *, withdraws: int = 0, based_on: str = ""
    ) -> int:  # fmt: skip
        """Keep a new draft; give its number among drafts."""
        with self._pool.transaction() as t:
            row = _one(
                t, "make", what=what, title=title, valid_from=valid_from, withdraws=withdraws, based_on=based_on, by=by, now=now,
                **_packed(document),
            )  # fmt: skip
        assert row is not None, "an insert gives its number"
        return int(row[0])

    def change(
        self, draft: int, version: int, document: bytes, by: int, now: int, *, title: str = "", valid_from: str = ""
    ) -> bool:
        """Change a draft that nobody changed since `version` was looked at; say whether signatures became void.

        Raises NoDraftError, DraftChangedError.
        """
        with self._pool.transaction() as t:
            held = _held(t, draft, version)
            void = bool(_do(t, "void_signatures", id=draft))
            _do(
                t, "change", id=draft, title=title or held.title, valid_from=valid_from or held.valid_from, by=by, now=now,
                **_packed(document),
            )  # fmt: skip
        return void

    def drop(self, draft: int, version: int, by: int, now: int) -> None:
        """Throw a draft away. Raises NoDraftError, DraftChangedError."""
        with self._pool.transaction() as t:
            _held(t, draft, version)
            _do(t, "void_signatures", id=draft)
            _do(t, "drop", id=draft, by=by, now=now)

    # ------------------------------------------------------------ keys of people

    def make_key(self, who: int, passphrase: str) -> str:
        """Make a person's key; give its public half. Raises PassphraseShortError, KeyThereError."""
        files.folder(self._keys)
        if self._key_path(who).exists():
            raise KeyThereError
        return make_sealed(self._key_path(who), passphrase).public.hex()

    def key(self, who: int) -> str:
        """The public half of a person's key, "" where there is none."""
        path = self._key_path(who)
        return public_of(path).hex() if path.exists() else ""

    def listed(self, public: str) -> tuple[str, ...]:
        """The roles that a key may sign."""
        repository = self.repository()
        return tuple(
            role for role in ROLES if role in repository.roles() and _listed(repository, role, public) is not None
        )

    def _key_path(self, who: int) -> Path:
        return self._keys / f"{who}.key"

    # ------------------------------------------------------------ signing and publishing

    def sign(self, draft: int, version: int, who: int, passphrase: str, need: int, now: int) -> tuple[Signed, ...]:
        """Put a person's signature on a version of a draft, which `need` people must sign; give everybody's.

        Raises PassphraseWrongError, NoKeyError, KeyNotListedError, SamePersonError, DraftChangedError, StaleSignaturesError.
        """
        path = self._key_path(who)
        if not path.exists():
            raise NoKeyError
        held_key = unseal(path, passphrase)  # takes its time: before the lock
        role = "wide" if need > 1 else "goods"
        with self._alone() as (t, repository):
            held = _held(t, draft, version)
            listed = _listed(repository, role, held_key.public.hex())
            if listed is None:
                raise KeyNotListedError(public=held_key.public.hex())
            if held.state == SIGNING and held.role == role and not self._stale(t, held, repository):
                if listed.keyid in [one.keyid for one in _signatures(t, draft)] or who in [
                    one.who for one in _signatures(t, draft)
                ]:
                    raise SamePersonError
                whole = self._list(t, draft)
            else:
                _do(t, "void_signatures", id=draft)
                held = msgspec.structs.replace(held, role=role, number=_next(repository, held.what), signed_at=now)
                whole = self._drafted(t, held, repository)
            signer = _Named(HeldSigner(held_key), listed)
            try:
                whole.sign(signer, append=True)
            except UnsignedMetadataError as error:
                raise KeyUselessError(key=listed.keyid[:16], reason=str(error)) from None
            _do(t, "signing", id=draft, role=role, number=held.number, signed_at=held.signed_at, list=whole.to_bytes())
            _do(t, "sign", id=draft, who=who, keyid=listed.keyid, now=now)
            return _signatures(t, draft)

    def publish(self, draft: int, version: int, who: int, need: int, now: int) -> str:
        """Show a signed draft to the world; give its name. What fails leaves what was published before.

        Raises NotPublishedYetError, StaleSignaturesError, DraftChangedError, and what the repository says.
        """
        online = HeldSigner(load_key(self._keys / "online.key"))
        self._make_ways(draft)
        stale = False
        with self._alone() as (t, repository):
            held = _held(t, draft, version)
            have = len(_signatures(t, draft))
            if have < need or (need > 1 and held.role != "wide"):
                raise NotPublishedYetError(have=have if held.role == "wide" or need == 1 else 0, need=need)
            name = goods_name(held.what, held.number, wide=held.role == "wide")
            if not _there(repository, held, name):
                stale = self._stale(t, held, repository)
                if stale:
                    _do(t, "void_signatures", id=draft)
                    _do(t, "void", id=draft)
                else:
                    self._show(t, held, repository, online, now)
            if not stale:
                _do(t, "published", id=draft, by=who, now=now)
        if stale:  # outside, so that what became void stays void
            raise StaleSignaturesError
        return name

    def renew(self, now: int) -> bool:
        """Sign the list of lists anew before it runs out; say whether that was needed."""
        with self._alone() as (_, repository):
            until = repository.seen("timestamp").signed.expires
            if int(until.timestamp() * 1000) - now > RENEW_MS:
                return False
            repository.publish(HeldSigner(load_key(self._keys / "online.key")), now, ROLES)
            return True

    def releases(self) -> tuple[str, ...]:
        """The images of the newest software the chain has published, the newest first."""
        lists = self.repository().seen("targets").signed.targets
        named = [read(one.custom, Software, name) for name, one in lists.items() if is_software(name)]
        return tuple(one.image for one in sorted(named, key=lambda one: -one.release)[:MOST_VOUCHED])

    def vouch(self, image: str, said: Iterable[health.Signed], now: int) -> bool:
        """Publish what trial tills said of an image, each pinned till's newest word; say whether there was anything new (RL4).

        The key is the machine's own: whoever steals it can withhold evidence and mint none. Nothing happens where it is not here.
        """
        key, name = self._keys / "health.key", health_name(image)
        if not key.exists():
            return False
        with self._alone() as (_, repository):
            pace = repository.pace
            listed = repository.lists("health").targets
            known = read(repository.content("health", name), health.Statements, name).said if name in listed else ()
            whole = health.newest((*known, *said), image, pace) if pace is not None else known
            if whole == tuple(known) or repository.drafts():
                return False
            repository.add("health", name, canonical.encode(health.Statements(whole)), now=now)
            repository.sign("health", [HeldSigner(load_key(key))])
            repository.publish(HeldSigner(load_key(self._keys / "online.key")), now, ["health"])
            return True

    def _make_ways(self, draft: int) -> None:
        """Short cuts from what tills charge by now to what comes: before the lock, because a large one takes its time."""
        held = self.draft(draft)
        try:
            befores = [self.content(one) for one in self.published(held.what)[:MOST_WAYS]]
            factory = self.factory() if held.what == "assortment" else None
            make_patches(befores if factory is None else [*befores, factory], self.document(draft), self._tree)
        except (UnavailableError, UntrustedError):
            LOG.warning("no short cuts were made: tills fetch the whole", exc_info=True)

    @contextmanager
    def _alone(self) -> Iterator[tuple[Transaction, Repository]]:
        with self._pool.transaction() as t:
            _one(t, "lock", key=LOCK)
            yield t, self.repository()

    def _drafted(self, t: Transaction, held: Draft, repository: Repository) -> Metadata[Targets]:
        """The role's list with the draft in it, unsigned. It waits in the database: the repository keeps nothing half-signed."""
        self._stage(t, held, repository)
        try:
            whole = repository.staged(held.role)
            assert whole is not None, "it was drafted just now"
            return cast("Metadata[Targets]", whole)
        finally:
            _unstage(repository, held.role)

    def _stage(self, t: Transaction, held: Draft, repository: Repository) -> None:
        """Draft it in the repository: of the same row always the same bytes. Raises RoleBusyError."""
        if repository.staged(held.role) is not None:
            raise RoleBusyError(role=held.role)
        name = goods_name(held.what, held.number, wide=held.role == "wide")
        try:
            repository.add(held.role, name, _document(t, held.id), _custom(held), now=held.signed_at)
            for old in _too_many(repository, held):
                repository.remove(held.role, old, now=held.signed_at)
        except (RefusedError, UntrustedError, UnavailableError):
            _unstage(repository, held.role)
            raise

    def _show(self, t: Transaction, held: Draft, repository: Repository, online: Signer, now: int) -> None:
        whole = self._list(t, held.id)
        self._stage(t, held, repository)
        try:
            repository.take(held.role, cast("Metadata[Any]", whole))
            repository.publish(online, now, [held.role])
        except (RefusedError, UntrustedError, UnavailableError):
            _unstage(repository, held.role)
            raise

    def _stale(self, t: Transaction, held: Draft, repository: Repository) -> bool:
        """Whether something was published since the first signature that the signed list or number does not know of."""
        if held.state != SIGNING:
            return False
        signed = self._list(t, held.id).signed
        return signed.version != repository.version(held.role) + 1 or held.number < _next(repository, held.what)

    def _list(self, t: Transaction, draft: int) -> Metadata[Targets]:
        row = _one(t, "list", id=draft)
        try:
            return cast("Metadata[Targets]", Metadata.from_bytes(bytes(row[0]) if row and row[0] else b""))
        except DeserializationError as error:
            raise ListUnreadableError(draft=draft, reason=str(error)) from None

    # ------------------------------------------------------------ receipts to try prices on

    def receipts(self, day: str, most: int, most_chunks: int = 400) -> Iterator[Receipt]:
        """Sales of a local day as their tills wrote them, from all over the chain; at most so many."""
        with self._pool.transaction() as t:
            chunks = t.connection.execute(_sql["chunks"].encode(), {"day": day, "most": most_chunks}).fetchall()
        given = 0
        for (data,) in chunks:
            for raw in chunk_entries(bytes(data)):
                if b'"kind":"receipt"' not in raw:
                    continue
                try:
                    body = body_of(parse(raw))
                except (UntrustedError, ValueError):
                    continue  # the views put it in quarantine
                if isinstance(body, Receipt) and body.kind == "sale":
                    yield body
                    given += 1
                    if given >= most:
                        return


class PublicationSpoiltError(UntrustedError):
    sentence = N_(
        "“{name}” in the folder of publications is not what was signed. Take the folder from a copy that verifies."
    )


class _Named(Signer):
    """A signer under the name by which the repository lists its key."""

    def __init__(self, held: HeldSigner, listed: Key) -> None:
        self._held = held
        self._listed = listed

    @property
    def public_key(self) -> Key:
        return self._listed

    def sign(self, payload: bytes) -> Any:
        made = self._held.sign(payload)
        made.keyid = self._listed.keyid
        return made

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Key, secrets_handler: Any = None) -> Signer:
        raise NotImplementedError("a key is opened by its passphrase, never by an address")


def _unstage(repository: Repository, role: str) -> None:
    (repository.folder / "staged" / f"{role}.json").unlink(missing_ok=True)
    if not repository.drafts():
        repository.drop()


def _published(repository: Repository, what: str) -> tuple[Published, ...]:
    found = []
    for role in ROLES:
        if role not in repository.roles():
            continue
        targets = cast("Metadata[Targets]", repository.seen(role)).signed.targets
        for name, listed in targets.items():
            custom = read(listed.unrecognized_fields.get("custom", {}), Goods, name)
            if custom.what == what:
                digest = listed.hashes.get("sha256", "")
                found.append(
                    Published(
                        role, name, what, custom.number, custom.valid_from, custom.withdraws, digest, listed.length
                    )
                )
    return tuple(sorted(found, key=lambda one: -one.number))


def _next(repository: Repository, what: str) -> int:
    return max((one.number for one in _published(repository, what)), default=0) + 1


def _too_many(repository: Repository, held: Draft) -> list[str]:
    """Publications of this kind that leave the role's list when one is added: the oldest."""
    mine = [one.name for one in _published(repository, held.what) if one.role == held.role]
    return mine[MOST_LISTED - 1 :]


def _there(repository: Repository, held: Draft, name: str) -> bool:
    """Whether it is published already: the last time the database failed after the repository's last write."""
    return any(one.name == name and one.digest == held.digest for one in _published(repository, held.what))


def _custom(held: Draft) -> Goods:
    return Goods(held.what, held.number, held.valid_from, held.withdraws)


def _listed(repository: Repository, role: str, public: str) -> Key | None:
    delegations = cast("Metadata[Targets]", repository.seen("targets")).signed.delegations
    if delegations is None or not delegations.roles or role not in delegations.roles:
        return None
    keys = [delegations.keys[keyid] for keyid in delegations.roles[role].keyids if keyid in delegations.keys]
    return next((key for key in keys if key.keyval.get("public") == public), None)


def _packed(document: bytes) -> dict[str, Any]:
    return {
        "document": zstandard.ZstdCompressor(level=3).compress(document), "digest": sha256(document).hexdigest(),
        "bytes": len(document),
    }  # fmt: skip


def _one(t: Transaction, name: str, **values: object) -> tuple[Any, ...] | None:
    return t.connection.execute(_sql[name].encode(), values).fetchone()


def _do(t: Transaction, name: str, **values: object) -> int:
    return t.connection.execute(_sql[name].encode(), values).rowcount


def _draft(t: Transaction, draft: int, where: str) -> Draft:
    row = t.connection.execute(f"{_sql['drafts']} {_sql[where]}".encode(), {"id": draft}).fetchone()
    if row is None or row[3] == DROPPED:
        raise NoDraftError
    return Draft(*row)


def _held(t: Transaction, draft: int, version: int) -> Draft:
    """Hold a draft that may still change, as the person saw it."""
    held = _draft(t, draft, "where_id")
    if held.version != version or held.state == PUBLISHED:
        raise DraftChangedError(version=held.version)
    return held


def _document(t: Transaction, draft: int) -> bytes:
    row = _one(t, "document", id=draft)
    assert row is not None, "the row is held"
    return zstandard.ZstdDecompressor().decompress(bytes(row[0]), LARGEST_DOCUMENT)


def _signatures(t: Transaction, draft: int) -> tuple[Signed, ...]:
    return tuple(Signed(*row) for row in t.connection.execute(_sql["signatures"].encode(), {"id": draft}).fetchall())
