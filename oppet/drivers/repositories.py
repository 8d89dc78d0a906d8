"""Repositories as their people keep them: lists drafted, signed one person at a time, and shown to the world in one step.

The format and every signature are The Update Framework's. A repository is a folder with `metadata/` and `targets/`, which is
what the world reads, and `staged/`, which it does not: drafts wait there until enough people have signed. `publish` judges
the whole as a till will (thresholds, the old root's too) before its first write, and writes the list that makes the rest
visible last: a power cut leaves what was published before. Any change to a draft takes its signatures away.

Who may sign what, and the words in which they are asked, is the signing desk's (`oppet/signing/`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as RootRole
from tuf.api.serialization import DeserializationError

from oppet.base.errors import OppetError, RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.release.terms import PACE_FIELD, Pace

__all__ = [
    "DAY_MS",
    "DraftOtherError",
    "Expires",
    "KeySignedAlreadyError",
    "KeyStrangeError",
    "KeyUselessError",
    "Keys",
    "ListExpiredError",
    "NothingStagedError",
    "Repository",
    "RepositoryBrokenError",
    "RepositoryMissingError",
    "RepositoryThereError",
    "Role",
    "RoleMissingError",
    "Signatures",
    "TargetMissingError",
    "Threshold",
    "ThresholdMissingError",
    "make_signer",
]  # fmt: skip

DAY_MS: Final = 86_400_000
ONLINE: Final = ("timestamp", "snapshot")
TOP: Final = ("root", "targets", *ONLINE)
LARGEST_LIST: Final = 16 << 20

AnyMetadata = Metadata[Any]


class RepositoryMissingError(RefusedError):
    sentence = N_(
        "{folder} is no repository: it has no metadata/ with a root. Give the folder that “oppet release ceremony” made."
    )


class RepositoryThereError(RefusedError):
    sentence = N_("{folder} holds a repository already. A ceremony starts in an empty folder.")


class RepositoryBrokenError(UntrustedError):
    sentence = N_(
        "{file} cannot be read as a list of the repository: {reason}. Take the folder from a copy that verifies."
    )


class RoleMissingError(RefusedError):
    sentence = N_("Repository {folder} has no role “{role}”. It has: {roles}.")


class TargetMissingError(RefusedError):
    sentence = N_("“{name}” is not listed under {role} in {folder}.")


class NothingStagedError(RefusedError):
    sentence = N_("Nothing waits to be signed under {role} in {folder}. Prepare the change first.")


class KeyStrangeError(RefusedError):
    sentence = N_("Key {key} is not one of those that sign {role}. Put in the right stick.")


class KeySignedAlreadyError(RefusedError):
    sentence = N_("Key {key} has signed this {role} already. Another person must sign.")


class KeyUselessError(UnavailableError):
    sentence = N_("Key {key} could not sign: {reason}.")


class DraftOtherError(RefusedError):
    sentence = N_(
        "What waits under {role} in {folder} is not what was signed. Somebody drafted it anew: make a new request and sign that."
    )


class ThresholdMissingError(RefusedError):
    sentence = N_("{role} has {have} of the {need} signatures it needs. Any of these keys may still sign: {missing}.")


class ListExpiredError(RefusedError):
    sentence = N_("The list of {role} ran out on {day}. Draft it anew (oppet release refresh) and have it signed.")


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys, and how many of them must sign."""

    keys: Sequence[Key]
    need: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """Keys whose secrets are at hand, and how many of them must sign."""

    signers: Sequence[Signer]
    need: int

    @property
    def public(self) -> Keys:
        return Keys([signer.public_key for signer in self.signers], self.need)


@dataclass(frozen=True, slots=True)
class Role:
    """A delegated role: who signs it (secrets at hand, or public keys only) and which names it may list."""

    name: str
    threshold: Threshold | Keys
    paths: Sequence[str]

    @property
    def keys(self) -> Keys:
        return self.threshold.public if isinstance(self.threshold, Threshold) else self.threshold


@dataclass(frozen=True, slots=True)
class Expires:
    """How many days a list is good for installing from."""

    root: int = 730
    targets: int = 400  # delegated lists too, unless named in `roles`
    snapshot: int = 30
    timestamp: int = 7
    roles: Mapping[str, int] = field(default_factory=dict)

    def days(self, role: str) -> int:
        return {"root": self.root, "snapshot": self.snapshot, "timestamp": self.timestamp}.get(
            role, self.roles.get(role, self.targets)
        )


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who has signed a list, and who still may. `why` is "old" where it is the root before that wants them."""

    role: str
    version: int
    need: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]
    why: str = ""

    @property
    def enough(self) -> bool:
        return len(self.signed) >= self.need


def make_signer() -> CryptoSigner:
    """Make a new Ed25519 key by chance."""
    return CryptoSigner.generate_ed25519()


class Repository:
    """One repository's folder, published and staged. Raises RepositoryMissingError, RepositoryBrokenError."""

    def __init__(self, folder: Path, expires: Expires = Expires(), only: frozenset[str] | None = None) -> None:
        self.folder = folder
        self.expires = expires
        self._only = only  # the roles whose drafts are looked at; all where it is None
        self._metadata, self._targets = folder / "metadata", folder / "targets"
        self._staged = folder / "staged"
        if not (self._metadata / "1.root.json").exists() and not self._draft_path("root").exists():
            raise RepositoryMissingError(folder=str(folder))

    # ------------------------------------------------------------ making one

    @classmethod
    def begin(
        cls, folder: Path, *, root: Keys, targets: Keys, online: Key, now: int,
        pace: Pace | None = None, roles: Sequence[Role] = (), expires: Expires = Expires(),
    ) -> Repository:  # fmt: skip
        """Draft a new repository from public keys alone; its people sign, then it is published. Raises RepositoryThereError."""
        if (folder / "metadata").exists() or (folder / "staged").exists():
            raise RepositoryThereError(folder=str(folder))
        top = {"root": root, "targets": targets, "snapshot": Keys([online], 1), "timestamp": Keys([online], 1)}
        first = Root(
            version=1, expires=_expiry(now, expires.root), consistent_snapshot=True,
            keys={key.keyid: key for keys in top.values() for key in keys.keys},
            roles={name: RootRole([key.keyid for key in keys.keys], keys.need) for name, keys in top.items()},
        )  # fmt: skip
        if pace is not None:
            first.unrecognized_fields[PACE_FIELD] = msgspec.to_builtins(pace)
        lists = Targets(version=1, expires=_expiry(now, expires.targets), targets={})
        if roles:
            lists.delegations = Delegations(
                {key.keyid: key for role in roles for key in role.keys.keys},
                {role.name: _delegated(role) for role in roles},
            )
        staged = files.folder(folder / "staged")
        files.folder(folder / "metadata")
        files.folder(folder / "targets")
        for role in roles:
            empty = Targets(1, expires=_expiry(now, expires.days(role.name)))
            files.write(staged / f"{role.name}.json", Metadata(empty).to_bytes())
        files.write(staged / "targets.json", Metadata(lists).to_bytes())
        files.write(staged / "root.json", Metadata(first).to_bytes())
        return cls(folder, expires)

    @classmethod
    def make(
        cls, folder: Path, *, root: Threshold, targets: Threshold, online: Signer, now: int,
        pace: Pace | None = None, roles: Sequence[Role] = (), expires: Expires = Expires(),
    ) -> Repository:  # fmt: skip
        """Draft, sign and publish an empty repository, every secret being at hand."""
        made = cls.begin(
            folder, root=root.public, targets=targets.public, online=online.public_key, now=now, pace=pace, roles=roles,
            expires=expires,
        )  # fmt: skip
        made.sign("root", root.signers)
        made.sign("targets", targets.signers)
        for role in roles:
            assert isinstance(role.threshold, Threshold), "who makes a repository in one go has every key"
            made.sign(role.name, role.threshold.signers)
        made.publish(online, now)
        return made

    # ------------------------------------------------------------ reading

    @property
    def root(self) -> Root:
        """The newest root: staged, or else published."""
        return cast("Root", self.read("root").signed)

    @property
    def targets(self) -> Targets:
        return self.lists("targets")

    @property
    def published(self) -> bool:
        return (self._metadata / "timestamp.json").exists()

    @property
    def pace(self) -> Pace | None:
        """What the newest root says of canaries and pace."""
        said = self.root.unrecognized_fields.get(PACE_FIELD)
        try:
            return None if said is None else msgspec.convert(said, Pace)
        except msgspec.ValidationError as error:
            raise RepositoryBrokenError(file="root", reason=str(error)) from None

    def roles(self) -> tuple[str, ...]:
        """Every role that lists targets: the top one first."""
        delegations = self.targets.delegations
        return ("targets", *(delegations.roles or {})) if delegations else ("targets",)

    def lists(self, role: str) -> Targets:
        """What a role lists: staged, or else published. Raises RoleMissingError."""
        return cast("Targets", self.read(role).signed)

    def read(self, role: str) -> AnyMetadata:
        """The newest list of a role with its signatures. Raises RoleMissingError, RepositoryBrokenError."""
        return self.staged(role) or self.seen(role)

    def staged(self, role: str) -> AnyMetadata | None:
        """The draft of a role, unless it was published since."""
        path = self._draft_path(role)
        if not path.exists() or (self._only is not None and role not in self._only):
            return None
        draft = _read(path)
        return draft if draft.signed.version > self.version(role) else None

    def drafts(self) -> tuple[str, ...]:
        """Roles that have a draft, in the order in which they are judged."""
        return tuple(role for role in ("root", *self.roles()) if self.staged(role) is not None)

    def version(self, role: str) -> int:
        """The published version, 0 for none."""
        if role == "root":
            number = 0
            while (self._metadata / f"{number + 1}.root.json").exists():
                number += 1
            return number
        if not self.published:
            return 0
        now = _read(self._metadata / "timestamp.json").signed
        if role == "timestamp":
            return int(now.version)
        if role == "snapshot":
            return int(now.snapshot_meta.version)
        meta = _read(self._metadata / f"{now.snapshot_meta.version}.snapshot.json").signed.meta.get(f"{role}.json")
        return 0 if meta is None else int(meta.version)

    def seen(self, role: str) -> AnyMetadata:
        """The published list of a role. Raises RoleMissingError."""
        version = self.version(role)
        if not version:
            raise RoleMissingError(folder=str(self.folder), role=role, roles=", ".join(TOP))
        return _read(self._metadata / ("timestamp.json" if role == "timestamp" else f"{version}.{role}.json"))

    def root_bytes(self, version: int | None = None) -> bytes:
        """A published root as a till is installed with it; the newest where no version is given."""
        number = version or self.version("root")
        if not number:
            raise RoleMissingError(folder=str(self.folder), role="root", roles="")
        return files.read(self._metadata / f"{number}.root.json", LARGEST_LIST)

    def target(self, role: str, name: str) -> TargetFile:
        """What a role says of a target. Raises TargetMissingError."""
        listed = self.lists(role).targets.get(name)
        if listed is None:
            raise TargetMissingError(name=name, role=role, folder=str(self.folder))
        return listed

    def content(self, role: str, name: str) -> bytes:
        """The bytes of a target, staged or published. Raises TargetMissingError."""
        place = self.target(role, name).get_prefixed_paths()[0]
        staged = self._staged / "targets" / place
        return files.read(staged if staged.exists() else self._targets / place)

    # ------------------------------------------------------------ drafting

    def add(
        self, role: str, name: str, data: bytes, custom: msgspec.Struct | None = None, *, now: int | None = None
    ) -> TargetFile:
        """Draft a target into a role's list. The bytes wait beside the draft; `now` moves the list's expiry."""
        digest = sha256(data).hexdigest()
        said: dict[str, Any] = {} if custom is None else {"custom": msgspec.to_builtins(custom)}
        listed = TargetFile(len(data), {"sha256": digest}, name, said)
        place = self._staged / "targets" / listed.get_prefixed_paths()[0]
        draft = self._draft(role, now)
        draft.signed.targets[name] = listed
        files.folder(place.parent)
        files.write(place, data)
        self._keep(role, draft)
        return listed

    def remove(self, role: str, name: str, *, now: int | None = None) -> None:
        """Draft a role's list without a target. Raises TargetMissingError."""
        self.target(role, name)
        draft = self._draft(role, now)
        del draft.signed.targets[name]
        self._keep(role, draft)

    def rotate(
        self, role: str, *, add: Sequence[Key] = (), remove: Sequence[str] = (), need: int | None = None,
        now: int | None = None,
    ) -> None:  # fmt: skip
        """Draft other keys for a role: in the root for its own four roles, in the top list for a delegated one.

        A role's list that is no longer signed well enough by the keys that stay is drafted anew too.
        """
        above = "root" if role in TOP else "targets"
        draft = self._draft(above, now)
        try:
            for keyid in remove:
                draft.signed.revoke_key(keyid, role)
            for key in add:
                draft.signed.add_key(key, role)
            held = draft.signed.get_delegated_role(role)
        except ValueError:
            raise KeyStrangeError(key=", ".join(key[:16] for key in remove), role=role) from None
        held.threshold = held.threshold if need is None else need
        self._keep(above, draft)
        if role not in (*ONLINE, "root") and self.staged(role) is None and not self.signatures(role)[-1].enough:
            self.refresh(role, now)

    def delegate(self, role: Role, now: int) -> None:
        """Draft a new delegated role: its place in the top list, and its own empty list."""
        draft = self._draft("targets", now)
        if draft.signed.delegations is None:
            draft.signed.delegations = Delegations({}, {})
        draft.signed.delegations.roles[role.name] = _delegated(role)
        draft.signed.delegations.keys.update({key.keyid: key for key in role.keys.keys})
        self._keep("targets", draft)
        self._keep(role.name, Metadata(Targets(1, expires=_expiry(now, self.expires.days(role.name)))))

    def set_pace(self, pace: Pace, now: int | None = None) -> None:
        """Draft a root that says other canaries and another pace."""
        draft = self._draft("root", now)
        draft.signed.unrecognized_fields[PACE_FIELD] = msgspec.to_builtins(pace)
        self._keep("root", draft)

    def refresh(self, role: str, now: int | None) -> None:
        """Draft a list as it is, with a new expiry, for its people to sign again."""
        self._keep(role, self._draft(role, now))

    def drop(self, roles: Collection[str] | None = None) -> None:
        """Throw drafts away: of these roles, or every one."""
        for role in () if roles is None else roles:
            self._draft_path(role).unlink(missing_ok=True)
        if roles is None or not any(self._staged.glob("*.json")):
            shutil.rmtree(self._staged, ignore_errors=True)

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Draft several things or none: what is refused half-way leaves the drafts as they were."""
        before = {path: files.read(path, LARGEST_LIST) for path in self._staged.glob("*.json")}
        try:
            yield
        except OppetError:
            for path in self._staged.glob("*.json"):
                if path not in before:
                    path.unlink(missing_ok=True)
            for path, data in before.items():
                files.write(path, data)
            raise

    # ------------------------------------------------------------ signing

    def sign(self, role: str, signers: Sequence[Signer], *, again: bool = True) -> None:
        """Put signatures on a role's draft. Raises NothingStagedError, KeyStrangeError, KeySignedAlreadyError, KeyUselessError."""
        draft = self.staged(role)
        if draft is None:
            raise NothingStagedError(role=role, folder=str(self.folder))
        for signer in signers:
            keyid = signer.public_key.keyid
            known = self.signatures(role)
            if not any(keyid in (*one.signed, *one.unsigned) for one in known):
                raise KeyStrangeError(key=keyid[:16], role=role)
            if not again and keyid in draft.signatures:
                raise KeySignedAlreadyError(key=keyid[:16], role=role)
            try:
                draft.sign(signer, append=True)
            except UnsignedMetadataError as error:
                raise KeyUselessError(key=keyid[:16], reason=str(error)) from None
        files.write(self._draft_path(role), draft.to_bytes())

    def take(self, role: str, signed: AnyMetadata) -> int:
        """Take signatures that were put on a copy of a draft; give how many were new. Raises NothingStagedError, DraftOtherError."""
        draft = self.staged(role)
        if draft is None:
            raise NothingStagedError(role=role, folder=str(self.folder))
        if draft.signed_bytes != signed.signed_bytes:
            raise DraftOtherError(role=role, folder=str(self.folder))
        fresh = {keyid: one for keyid, one in signed.signatures.items() if keyid not in draft.signatures}
        draft.signatures.update(fresh)
        files.write(self._draft_path(role), draft.to_bytes())
        return len(fresh)

    def signatures(self, role: str) -> tuple[Signatures, ...]:
        """Who signed a role's newest list and who may, by the newest root or top list; for a root by the one before it first."""
        held = self.read(role)
        if role == "root":
            result = []
            before = held.signed.version - 1
            if before:
                result.append(self._judge(_read(self._metadata / f"{before}.root.json").signed, role, held, "old"))
            return (*result, self._judge(held.signed, role, held))
        return (self._judge(self.root if role in TOP else self.targets, role, held),)

    def missing(self) -> tuple[Signatures, ...]:
        """Every list, of the whole as it would be published, that too few have signed."""
        return tuple(one for role in ("root", *self.roles()) for one in self.signatures(role) if not one.enough)

    def publish(self, online: Signer, now: int, roles: Collection[str] = ()) -> None:
        """Show what is staged, or only the drafts of `roles` while others wait for their people: judge the whole, then write.

        Raises ThresholdMissingError, ListExpiredError, KeyStrangeError before anything is written; what disk full leaves is
        what was published before.
        """
        view = Repository(self.folder, self.expires, frozenset(roles)) if roles else self
        with _alone(self.folder):
            view._publish(online, now)

    def _publish(self, online: Signer, now: int) -> None:
        self._judge_all(online, now)
        snapshot = Snapshot(self.version("snapshot") + 1, expires=_expiry(now, self.expires.snapshot), meta={})
        drafts = {role: draft for role in self.drafts() if (draft := self.staged(role)) is not None}
        fresh: dict[str, bytes] = {}
        for role in self.roles():
            version = (drafts.get(role) or self.seen(role)).signed.version
            path = self._draft_path(role) if role in drafts else self._metadata / f"{version}.{role}.json"
            data = files.read(path, LARGEST_LIST)
            snapshot.meta[f"{role}.json"] = MetaFile(version, len(data), {"sha256": sha256(data).hexdigest()})
            if role in drafts:
                fresh[f"{version}.{role}.json"] = data
        signed = _signed(snapshot, online)
        fresh[f"{snapshot.version}.snapshot.json"] = signed
        meta = MetaFile(snapshot.version, len(signed), {"sha256": sha256(signed).hexdigest()})
        timestamp = Timestamp(
            self.version("timestamp") + 1, expires=_expiry(now, self.expires.timestamp), snapshot_meta=meta
        )
        if "root" in drafts:
            fresh[f"{drafts['root'].signed.version}.root.json"] = files.read(self._draft_path("root"), LARGEST_LIST)
        fresh["timestamp.json"] = _signed(timestamp, online)  # last: it makes the others visible
        self._show_targets(drafts)
        for name, data in fresh.items():
            files.write(self._metadata / name, data)
        self.drop(drafts)

    # ------------------------------------------------------------ within

    def _judge_all(self, online: Signer, now: int) -> None:
        for lacking in self.missing():
            keys = ", ".join(keyid[:16] for keyid in lacking.unsigned)
            raise ThresholdMissingError(role=lacking.role, have=len(lacking.signed), need=lacking.need, missing=keys)
        keyid = online.public_key.keyid
        for role in ONLINE:
            if keyid not in self.root.roles[role].keyids:
                raise KeyStrangeError(key=keyid[:16], role=role)
        for role in ("root", *self.roles()):
            until = self.read(role).signed.expires
            if until <= _moment(now):
                raise ListExpiredError(role=role, day=until.date().isoformat())

    def _judge(self, above: Root | Targets, role: str, held: AnyMetadata, why: str = "") -> Signatures:
        try:
            result = above.get_verification_result(role, held.signed_bytes, held.signatures)
        except ValueError:
            raise RoleMissingError(folder=str(self.folder), role=role, roles=", ".join(self.roles())) from None
        return Signatures(
            role, held.signed.version, result.threshold, tuple(result.signed), tuple(result.unsigned), why
        )

    def _show_targets(self, drafts: Mapping[str, AnyMetadata]) -> None:
        listed = [
            one
            for draft in drafts.values()
            if isinstance(draft.signed, Targets)
            for one in draft.signed.targets.values()
        ]
        for name in dict.fromkeys(one.get_prefixed_paths()[0] for one in listed):
            staged, place = self._staged / "targets" / name, self._targets / name
            if staged.exists():
                files.folder(place.parent)
                files.write(place, files.read(staged))

    def _draft_path(self, role: str) -> Path:
        return self._staged / f"{role}.json"

    def _draft(self, role: str, now: int | None) -> AnyMetadata:
        """A role's draft, or its published list one version on; without signatures in either case."""
        draft = self.read(role)
        draft.signed.version = self.version(role) + 1
        draft.signatures.clear()
        if now is not None:
            draft.signed.expires = _expiry(now, self.expires.days(role))
        return draft

    def _keep(self, role: str, draft: AnyMetadata) -> None:
        files.folder(self._staged)
        files.write(self._draft_path(role), draft.to_bytes())


def _delegated(role: Role) -> DelegatedRole:
    return DelegatedRole(
        role.name, [key.keyid for key in role.keys.keys], role.keys.need, terminating=True, paths=list(role.paths)
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process publishes at a time: the desk and head office's services share the folder."""
    try:
        handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise files.FileTroubleError(file=str(folder / "lock"), reason=error.strerror or "unwritable") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _moment(now: int) -> datetime:
    return datetime.fromtimestamp(now // 1000, UTC)


def _expiry(now: int, days: int) -> datetime:
    return _moment(now) + timedelta(days=days)


def _signed(part: Snapshot | Timestamp, online: Signer) -> bytes:
    whole: AnyMetadata = Metadata(cast("Any", part))
    try:
        whole.sign(online)
    except UnsignedMetadataError as error:
        raise KeyUselessError(key=online.public_key.keyid[:16], reason=str(error)) from None
    return whole.to_bytes()


def _read(path: Path) -> AnyMetadata:
    try:
        return Metadata.from_bytes(files.read(path, LARGEST_LIST))
    except DeserializationError as error:
        raise RepositoryBrokenError(file=str(path), reason=str(error.__cause__ or error)) from None
