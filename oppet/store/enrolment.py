"""How a store node is enrolled by HQ, and how it enrols its tills: epochs, certificates, and the two verbs.

The manager's key is opened by a passphrase in the process where the manager sits, for one invitation, and held nowhere else: a node
that was taken over while nobody enrols cannot certify a till (design §3). That process sees every certificate before it
signs and signs only what was invited. An epoch is never used twice. Keeps K7, K10, K20 and K21.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from oppet.base import canonical
from oppet.base.clock import utc_text
from oppet.base.errors import RefusedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.invitations import InvitationFolder
from oppet.drivers.keeper_client import enrol_first
from oppet.drivers.keys import load_or_make_key
from oppet.drivers.post import Post
from oppet.drivers.sealed_key import make_sealed, unseal
from oppet.drivers.tls import load_or_make
from oppet.store.settings import LARGEST, Enrolment, NotEnrolledError, Settings, read_enrolment, read_settings
from oppet.sync.certificates import Directory, StoreCertificate, TillCertificate, believe_kept, make_paper
from oppet.sync.enrolment import MINUTES, Invitation
from oppet.sync.errors import CodeSpentError
from oppet.sync.messages import Paper

__all__ = [
    "ENROLLED",
    "INVITATIONS",
    "MANAGER_KEY",
    "NODE_KEY",
    "PAPERS",
    "POST",
    "TLS",
    "NotInvitedError",
    "OtherStoreError",
    "TillNameError",
    "agreed",
    "certificate_text",
    "enrol",
    "enrolled_in",
    "invite",
    "next_epoch",
    "papers_in",
    "till_name",
]

NODE_KEY, MANAGER_KEY, TLS = "node.key", "manager.key", "tls.pem"
ENROLLED, PAPERS, POST, INVITATIONS = "enrolled.json", "papers.json", "post", "invitations"


class OtherStoreError(RefusedError):
    sentence = N_("This belongs to store {theirs}; the settings are store {ours}’s.")


class NotInvitedError(RefusedError):
    sentence = N_(
        "The node asks for another certificate than was invited: till {till}, register {register}. Nothing is signed."
    )


class NoPassphraseError(RefusedError):
    sentence = N_("The manager’s passphrase is needed: type it, name a file of it, or set OPPET_PASSPHRASE.")


class TillNameError(RefusedError):
    sentence = N_("A till of store {store} is named {store}-K3 or the like: letters, digits and hyphens.")


def till_name(store: str, till: str) -> str:
    """ "K3" in store S01 is S01-K3. Raises TillNameError."""
    name = till if till.startswith(f"{store}-") else f"{store}-{till}"
    rest = name.removeprefix(f"{store}-")
    if not rest or len(name) > 40 or not all(part.isascii() and part.isalnum() for part in rest.split("-")):
        raise TillNameError(store=store)
    return name


def next_epoch(directory: Directory, kept: Sequence[tuple[str, int]], till: str) -> int:
    """The epoch after every one that was certified or that any kept journal shows: no number is used twice."""
    return 1 + max([directory.last_epoch(till), *(epoch for name, epoch in kept if name == till)])


def certificate_text(certificate: TillCertificate) -> str:
    """A certificate as its signers see it."""
    return canonical.encode(certificate).decode()


def agreed(text: str, invitation: Invitation | None, store: str, post: str) -> TillCertificate:
    """The certificate, if it is for what was invited (or for the node's own journal). Raises NotInvitedError."""
    try:
        asked = msgspec.json.decode(text, type=TillCertificate)
    except (msgspec.MsgspecError, ValueError):
        raise NotInvitedError(till="?", register="?") from None
    wanted = (post, "node") if invitation is None else (invitation.till, invitation.register)
    if (asked.store, asked.till, asked.register) != (store, *wanted) or certificate_text(asked) != text:
        raise NotInvitedError(till=asked.till, register=asked.register)
    return asked


def enrolled_in(folder: Path, file: str) -> Enrolment:
    """What enrolling wrote. Raises NotEnrolledError, SettingsError."""
    if not (folder / ENROLLED).exists():
        raise NotEnrolledError(file=file)
    return read_enrolment(files.read(folder / ENROLLED, LARGEST), str(folder / ENROLLED))


# --- verbs ----------------------------------------------------------------------------------------------------------


def enrol(
    settings: Path,
    *,
    hq: str,
    invitation: str,
    code: str,
    passphrase_file: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Make this store's keys and have head office certify them; or make a till's machine a keeper of the store's.

    Parameters
    ----------
    settings
        The node's settings file (docs/settings.md).
    hq
        Where head office answers, as https://name:port; for a neighbour keeper, where the store node does.
    invitation
        The invitation's name.
    code
        The code that was read out; it works once and for minutes.
    passphrase_file
        A file with the manager's passphrase on its first line; else OPPET_PASSPHRASE, else it is asked for.
    as_json
        Print what was learnt as JSON.
    """
    said = read_settings(files.read(settings, LARGEST), str(settings))
    folder = files.folder(settings.parent / said.folder)
    node = load_or_make_key(folder / NODE_KEY)
    tls = load_or_make(folder / TLS, said.address or said.host) if said.tls else ""
    manager = None
    second = bytes.fromhex(tls)  # a neighbour's certificate travels as its second key
    if said.place == "store":
        sealed = folder / MANAGER_KEY
        phrase = _passphrase(passphrase_file, twice=not sealed.exists())
        manager = unseal(sealed, phrase) if sealed.exists() else make_sealed(sealed, phrase)
        second = manager.public
    answer = enrol_first(hq, invitation, code, node.public, second, files.installation(folder / NODE_KEY))
    if answer.store != said.store:
        raise OtherStoreError(theirs=answer.store, ours=said.store)
    directory = Directory(bytes.fromhex(answer.hq_key))
    believe_kept(directory, answer.papers)
    if manager is not None:
        with Post.open(folder / POST, said.keeper, "store", said.store, SystemClock(), _machine(folder)) as post:
            own = TillCertificate(
                post.name, post.epoch, said.store, "node", post.signer.public.hex(), utc_text(SystemClock().now())
            )
            if directory.standing(own.till, own.epoch) is None:
                directory.add(make_paper(own, manager))
    files.write(folder / PAPERS, msgspec.json.encode(list(directory.papers())))
    files.write(folder / ENROLLED, msgspec.json.encode(Enrolment(answer.store, answer.hq_key, answer.keepers)))
    store = directory.stores.get(answer.store, StoreCertificate(answer.store, "", "", "", "", ""))
    if as_json:
        print(json.dumps({"store": answer.store, "name": store.name, "banner": store.banner, "keeper": said.keeper}))
    else:
        print(f"{said.keeper} is enrolled for store {answer.store} {store.name}".rstrip() + ".")
    return 0


def invite(
    settings: Path,
    *,
    till: str,
    register: str = "",
    by: int = 301,
    keeper: str = "",
    passphrase_file: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Open a door for one till: print a code to read out, wait, and sign the till's certificate when it comes.

    Parameters
    ----------
    settings
        The node's settings file.
    till
        The till's name in the store, such as K3; for a neighbour keeper, what it is to be called.
    register
        The register's designation (kassabeteckning) that was notified; the till's name when left out.
    by
        The manager's staff number.
    keeper
        Make it a keeper that tills also send to, answering at this address (https://name:port).
    passphrase_file
        A file with the manager's passphrase on its first line; else OPPET_PASSPHRASE, else it is asked for.
    as_json
        Print the invitation, and then who enrolled, as JSON lines.
    """
    said = read_settings(files.read(settings, LARGEST), str(settings))
    folder = settings.parent / said.folder
    enrolled_in(folder, str(settings))
    name = till_name(said.store, till)
    door = InvitationFolder(folder / INVITATIONS, SystemClock())
    if keeper:
        made = door.make("keeper", said.store, name, keeper, by)
        _tell(made, as_json)
        return 0
    manager = unseal(folder / MANAGER_KEY, _passphrase(passphrase_file, twice=False))
    own = door.asked("post")
    if own is not None:
        door.give("post", make_paper(agreed(own, None, said.store, said.keeper), manager))
    made = door.make("till", said.store, name, register or name.removeprefix(f"{said.store}-"), by)
    _tell(made, as_json)
    try:
        _sign(door, made, said, manager, as_json=as_json)
    except BaseException:
        door.close(made.name)
        raise
    return 0


def _sign(door: InvitationFolder, made: Invitation, said: Settings, manager: Signer, *, as_json: bool) -> None:
    """Wait for the machine. Raises CodeSpentError when nobody came, NotInvitedError for anything else than was invited."""
    pause = threading.Event()
    while any(one.name == made.name for one in door.open()):
        text = door.asked(made.name)
        if text is not None:
            certificate = agreed(text, made, said.store, said.keeper)
            door.give(made.name, make_paper(certificate, manager))
            if as_json:
                print(json.dumps({"signed": certificate.till, "epoch": certificate.epoch}), flush=True)
            else:
                print(f"Signed: till {certificate.till}, epoch {certificate.epoch}.", flush=True)
            return
        pause.wait(0.1)
    raise CodeSpentError(minutes=MINUTES)


def _tell(made: Invitation, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps({"invitation": made.name, "code": made.code, "minutes": MINUTES, "till": made.till}), flush=True
        )
    else:
        print(f"Invitation {made.name}, code {made.code[:4]} {made.code[4:]}: good for {MINUTES} minutes.", flush=True)


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is not None:
        return files.read(file, 4096).decode(errors="replace").partition("\n")[0].rstrip("\r")
    if (said := os.environ.get("OPPET_PASSPHRASE")) is not None:
        return said
    if not sys.stdin.isatty():
        raise NoPassphraseError
    phrase = getpass.getpass("The manager's passphrase: ")
    if twice and getpass.getpass("Once more: ") != phrase:
        raise NoPassphraseError
    return phrase


def _machine(folder: Path) -> str:
    return files.installation(folder / NODE_KEY)


def papers_in(folder: Path) -> list[Paper]:
    """The papers kept here; none where they cannot be read: HQ and the tills show them again."""
    if not (folder / PAPERS).exists():
        return []
    return msgspec.json.decode(files.read(folder / PAPERS), type=list[Paper])
