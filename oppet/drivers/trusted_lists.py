"""One repository's lists as The Update Framework verifies them: the one place that touches what the framework keeps private.

What is changed of its client, each with a test that fails when a newer framework names it otherwise:
the time that expiry is judged by is handed in; what was verified is written only when the whole was, so that a list that leads
nowhere (a stolen online key's, say) moves nothing; other tills' lists may be shown first, so that nobody is taken back behind
them; and no list may be longer than its kind's bound, whatever length somebody signed. Keeps RL6 and RL7.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.api.metadata import DelegatedRole, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater, UpdaterConfig

from oppet.drivers import files
from oppet.drivers.publication_sources import Source
from oppet.journal.kinds_published import RepositoryVersions

__all__ = ["FOREIGN", "TrustedLists"]

LATEST_MS: Final = 253_402_300_799_000  # the year 9999
CONFIG: Final = UpdaterConfig()  # its bounds in bytes, rotations and delegations
_LONGEST: Final = {
    Root.type: CONFIG.root_max_length,
    Timestamp.type: CONFIG.timestamp_max_length,
    Snapshot.type: CONFIG.snapshot_max_length,
}

# What the framework raises for a hostile list: mostly its own, seldom what the reading of it ran into.
FOREIGN: Final = (RepositoryError, DownloadError, ValueError, TypeError, KeyError, AttributeError, RuntimeError)

_WORDS: Final = (
    (ExpiredMetadataError, "expired"),
    (UnsignedMetadataError, "threshold"),
    (LengthOrHashMismatchError, "mix"),  # of a list: not the one that the list above names
    (DeserializationError, "malformed"),
    (DownloadLengthMismatchError, "endless"),
    (SlowRetrievalError, "slow"),
    (DownloadError, ""),  # away: no refusal
)


class TrustedLists(Updater):
    """The lists of one repository for one look. `refresh` verifies, `keep` writes down what it verified.

    Raises what is in FOREIGN; `word` gives the reason.
    """

    def __init__(
        self, folder: Path, base: str, root: bytes, source: Source, now_ms: int, *, peers: Sequence[Source] = ()
    ) -> None:
        """`base` is where the repository stands in the published tree, as "chain/"; `folder` exists and is its trust state."""
        self.folder = folder
        self._base = base
        self._peers = peers
        self._fresh: dict[str, bytes] = {}
        self._newest_root: tuple[int, bytes] | None = None
        self._stage = Root.type
        self._before: Signed | None = None
        self._answered = b""
        self._peer_snapshots: list[tuple[Source, int]] = []
        super().__init__(str(folder), f"{base}metadata/", None, f"{base}targets/", source, CONFIG, bootstrap=root)
        self._judge_by(now_ms)

    def unchanged(self, source: Source, now_ms: int) -> bool:
        """Whether a source still shows the very timestamp these lists were verified by, under no newer root, and none has expired.

        Then nothing has to be verified anew. Raises DownloadError.
        """
        try:
            source.download_bytes(f"{self._base}metadata/{self.root.version + 1}.root.json", CONFIG.root_max_length)
        except DownloadHTTPError as error:
            if error.status_code not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                raise
        else:
            return False
        shown = source.download_bytes(f"{self._base}metadata/timestamp.json", CONFIG.timestamp_max_length)
        if shown != self._answered:
            return False
        now, held = self._judge_by(now_ms), self._trusted_set
        return not any(part.is_expired(now) for part in (held.root, held.timestamp, held.snapshot, held.targets))

    def _judge_by(self, now_ms: int) -> datetime:
        """Judge expiry by this time, not by a clock of the framework's own."""
        assert isinstance(self._trusted_set.reference_time, datetime), "the framework keeps its time elsewhere now"
        now = datetime.fromtimestamp(min(max(now_ms, 0), LATEST_MS) / 1000, UTC)
        self._trusted_set.reference_time = now
        return now

    # ------------------------------------------------------------ what was verified

    @property
    def root(self) -> Root:
        return self._trusted_set.root

    @property
    def top(self) -> Targets:
        return self._trusted_set.targets

    def versions(self, repository: str) -> RepositoryVersions:
        held = self._trusted_set
        return RepositoryVersions(
            repository, held.root.version, held.timestamp.version, held.snapshot.version, held.targets.version
        )

    def delegated(self, name: str) -> DelegatedRole | None:
        """What the top list says of a role it delegates to."""
        delegations = self.top.delegations
        return None if delegations is None or delegations.roles is None else delegations.roles.get(name)

    def delegates(self) -> tuple[str, ...]:
        delegations = self.top.delegations
        return () if delegations is None or delegations.roles is None else tuple(delegations.roles)

    def role(self, name: str, source: Source) -> Targets:
        """Verify a delegated role's list, fetching from `source` what is not here."""
        self._fetcher = source
        listed = self._load_targets(name, Targets.type)
        if listed.is_expired(self._trusted_set.reference_time):  # one verified at an earlier look
            raise ExpiredMetadataError(f"{name} is expired")
        return listed

    def keep(self) -> None:
        """Write down what was verified. Raises FileTroubleError."""
        fresh, self._fresh = self._fresh, {}
        if fresh:
            files.folder(self.folder / "root_history")
        for name, data in fresh.items():
            files.write(self.folder / name, data)
        newest, self._newest_root = self._newest_root, None
        if newest is not None:
            files.write(
                self.folder / "root.json", newest[1]
            )  # for people who look; every look starts at the installed root

    def word(self, error: BaseException) -> str:
        """The word of `terms.REASONS` for what was raised; "" where the source only was away."""
        for kind, word in _WORDS:
            if isinstance(error, kind):
                return word
        if isinstance(error, BadVersionNumberError):
            return "mix" if self._mixed() else "rollback"
        if isinstance(error, RepositoryError) and self._stage == Snapshot.type:
            return "rollback"  # a list that was named is named no more
        return "mix" if isinstance(error, RepositoryError) and self._stage == Targets.type else "malformed"

    def _mixed(self) -> bool:
        """Whether a wrong version was found in a list that itself is no older than what was known."""
        if self._stage == Snapshot.type:
            return self._trusted_set.get(Snapshot.type) is not self._before
        return self._stage == Targets.type

    # ------------------------------------------------------------ the framework's own steps

    def _load_root(self) -> None:
        self._stage = Root.type
        super()._load_root()

    def _load_timestamp(self) -> None:
        self._stage = Timestamp.type
        shown: tuple[Signed, bytes] | None = None
        for peer in self._peers:
            with contextlib.suppress(*FOREIGN):
                data = peer.download_bytes(f"{self._base}metadata/timestamp.json", CONFIG.timestamp_max_length)
                before = self._trusted_set.get(Timestamp.type)
                with contextlib.suppress(RepositoryError):  # one that has expired still says how far others have come
                    self._trusted_set.update_timestamp(data)
                if (now := self._trusted_set.get(Timestamp.type)) is not None and now is not before:
                    shown = now, data
                    self._peer_snapshots.append((peer, self._trusted_set.timestamp.snapshot_meta.version))
        super()._load_timestamp()
        if shown is not None and self._trusted_set.timestamp is shown[0]:
            self._persist_metadata(Timestamp.type, shown[1])

    def _load_snapshot(self) -> None:
        self._stage = Snapshot.type
        for peer, version in self._peer_snapshots:
            with contextlib.suppress(*FOREIGN):
                data = peer.download_bytes(f"{self._base}metadata/{version}.snapshot.json", CONFIG.snapshot_max_length)
                self._trusted_set.update_snapshot(data, trusted=True)  # its signature is checked as any other's
        super()._load_snapshot()

    def _load_targets(self, role: str, parent_role: str) -> Targets:
        self._stage = Targets.type
        return super()._load_targets(role, parent_role)

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        self._before = self._trusted_set.get(rolename)
        longest = _LONGEST.get(rolename, CONFIG.targets_max_length)
        data = super()._download_metadata(rolename, min(length, longest), version)
        if rolename == Timestamp.type:
            self._answered = data
        return data

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self._fresh[f"{quote(rolename, '')}.json"] = data

    def _persist_root(self, version: int, data: bytes) -> None:
        name = f"root_history/{version}.root.json"
        here = self.folder / name
        if not here.exists() or here.read_bytes() != data:
            self._fresh[name] = data
            self._newest_root = version, data

    def _update_root_symlink(self) -> None:
        """A stick or another system's disk may hold no links: `keep` writes a file."""
