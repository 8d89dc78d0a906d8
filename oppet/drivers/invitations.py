"""Open invitations in a folder only its owner enters: one small file each, gone when it is used, spent or too old.

The node checks a machine's proof against the code here. The manager's key is never here: the process in which the manager typed
the passphrase waits beside the door. The node lays the certificate it wants signed beside the invitation (`.asked`), that process
looks at it and lays the signed paper there (`.signed`). Whether a code is right is `sync/enrolment.py`'s. Keeps K10.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from pathlib import Path

import msgspec

from oppet.base.clock import Clock
from oppet.base.errors import OppetError, UnavailableError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.sync.enrolment import (
    ALPHABET,
    MINUTES,
    TRIES,
    Invitation,
    Request,
    check_request,
    code_from,
    tried,
)
from oppet.sync.errors import BadCodeError, CodeSpentError
from oppet.sync.messages import Paper

__all__ = ["InvitationFolder", "NobodySignsError"]

LARGEST = 16 << 10
MOST_OPEN = 50
_NAME = re.compile(r"[A-Za-z0-9-]{1,40}")
POST = "post"  # the name under which the node asks for its own journal's certificate


class NobodySignsError(UnavailableError):
    sentence = N_("Nobody with the manager’s key is there to sign. Start the invitation again and leave it open.")


class InvitationFolder:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = files.folder(folder)
        self.folder.chmod(0o700)
        self._clock = clock
        self._guard = threading.Lock()

    # --- who invites

    def make(self, what: str, store: str, till: str, register: str, by: int) -> Invitation:
        """Open a door for one machine, for some minutes."""
        self.sweep()
        stem = till or store
        name = f"{stem[:30]}-" + "".join(secrets.choice(ALPHABET) for _ in range(4))
        code = code_from(secrets.token_bytes(16))
        invitation = Invitation(name, what, store, till, register, code, self._clock.now(), by)
        if len(self.open()) >= MOST_OPEN:
            raise NobodySignsError
        self._keep(invitation)
        return invitation

    def asked(self, name: str) -> str | None:
        """The text of the certificate the node wants signed for this invitation, if it asks."""
        with contextlib.suppress(OppetError, UnicodeDecodeError):
            return files.read(self._path(name, "asked"), LARGEST).decode()
        return None

    def give(self, name: str, paper: Paper) -> None:
        """Lay the signed paper there."""
        files.write(self._path(name, "signed"), msgspec.json.encode(paper))

    def close(self, name: str) -> None:
        """Shut this door and take away what lies beside it."""
        for end in ("json", "asked", "signed"):
            self._path(name, end).unlink(missing_ok=True)

    # --- who stands at the door

    def open(self) -> list[Invitation]:
        """Those still good, the oldest first."""
        return sorted(
            (one for path in self.folder.glob("*.json") if (one := self._read(path)) is not None and self._good(one)),
            key=lambda one: (one.made, one.name),
        )

    def check(self, request: Request) -> Invitation:
        """The invitation this machine knows the code of; a wrong try is counted first. Raises BadCodeError,
        CodeSpentError. The caller closes it when it has served."""
        with self._guard:
            path = self._path(request.invitation, "json")
            invitation = self._read(path)
            if invitation is None:
                raise CodeSpentError(minutes=MINUTES)
            try:
                return check_request(invitation, request, self._clock.now())
            except BadCodeError:
                self._keep(tried(invitation))
                raise

    def ask(self, name: str, text: str, wait_s: float) -> Paper:
        """Have the certificate signed by whoever waits with the manager's key. Raises NobodySignsError."""
        signed = self._path(name, "signed")
        signed.unlink(missing_ok=True)
        files.write(self._path(name, "asked"), text.encode())
        pause = threading.Event()
        for _ in range(int(wait_s / 0.1)):
            paper = self.signed(name)
            if paper is not None:
                return paper
            pause.wait(0.1)
        self._path(name, "asked").unlink(missing_ok=True)
        raise NobodySignsError

    def put(self, name: str, text: str) -> None:
        """Ask without waiting."""
        files.write(self._path(name, "asked"), text.encode())

    def signed(self, name: str) -> Paper | None:
        """What was signed, if it is there."""
        with contextlib.suppress(OppetError, msgspec.MsgspecError, ValueError):
            return msgspec.json.decode(files.read(self._path(name, "signed"), LARGEST), type=Paper)
        return None

    def sweep(self) -> None:
        """Take away what is over."""
        for path in self.folder.glob("*.json"):
            invitation = self._read(path)
            if invitation is None or not self._good(invitation):
                self.close(path.stem)

    def _good(self, invitation: Invitation) -> bool:
        fresh = 0 <= self._clock.now() - invitation.made < MINUTES * 60_000
        return fresh and not invitation.used and invitation.tries < TRIES

    def _keep(self, invitation: Invitation) -> None:
        path = self._path(invitation.name, "json")
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        files.write(path, msgspec.json.encode(invitation))

    def _read(self, path: Path) -> Invitation | None:
        with contextlib.suppress(OppetError, msgspec.MsgspecError, ValueError):
            return msgspec.json.decode(files.read(path, LARGEST), type=Invitation)
        return None

    def _path(self, name: str, end: str) -> Path:
        assert _NAME.fullmatch(name), name
        return self.folder / f"{name}.{end}"
