"""`oppet release sign-as-vendor` and `sign-as-chain`: one person, one stick, what it says in words, one signature a list (RL15).

Nothing here needs a network: a request comes on a stick and goes back on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from securesystemslib.signer import Signer

from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.release.terms import CHAIN, STORE, VENDOR
from oppet.signing.desk import Json, Yes, answer, confirm
from oppet.signing.requests import Draft, Request, drafts_of, keep_signatures, lacking, put_signatures, read_request
from oppet.signing.sticks import Stick, StickKey, ask_passphrase
from oppet.signing.telling import changes

__all__ = ["sign_as_chain", "sign_as_vendor"]


class RequestOtherPartyError(RefusedError):
    sentence = N_("This request is {theirs}’s. Whoever signs as {party} signs nothing of it.")


def sign_as_vendor(
    request: Path,
    *more: Path,
    stick: Path,
    passphrase_file: Path | None = None,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Show what a request of the vendor's says, and sign it with one person's stick.

    Parameters
    ----------
    request
        The request's file. Signatures are written into it.
    more
        Further requests, signed with it or none of them: such as those of many stores.
    stick
        The folder of the person's stick.
    passphrase_file
        A file with the passphrase on its first line; else OPPET_PASSPHRASE, else it is asked for.
    yes
        Sign without asking, after everything was told.
    as_json
        Print one JSON object.
    """
    return _sign(VENDOR, (request, *more), stick, passphrase_file, yes=yes, as_json=as_json)


def sign_as_chain(
    request: Path,
    *more: Path,
    stick: Path,
    passphrase_file: Path | None = None,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Show what a request of the chain's or a store's says, and sign it with one person's stick.

    Parameters
    ----------
    request
        The request's file. Signatures are written into it.
    more
        Further requests, signed with it or none of them: such as those of many stores.
    stick
        The folder of the person's stick.
    passphrase_file
        A file with the passphrase on its first line; else OPPET_PASSPHRASE, else it is asked for.
    yes
        Sign without asking, after everything was told.
    as_json
        Print one JSON object.
    """
    return _sign(CHAIN, (request, *more), stick, passphrase_file, yes=yes, as_json=as_json)


def _sign(
    party: str, files: Sequence[Path], folder: Path, passphrase_file: Path | None, *, yes: bool, as_json: bool
) -> int:
    asked = {file: read_request(file) for file in files}
    for one in asked.values():
        owner = CHAIN if one.repository.startswith(f"{STORE}/") else one.repository
        if owner != party:
            raise RequestOtherPartyError(theirs=owner, party=party)
    stick = Stick(folder)
    drafts = {file: drafts_of(one, file, stick.notes.roots.get(one.repository, "")) for file, one in asked.items()}
    told = [line for file, one in asked.items() for line in _told(one, drafts[file])]
    if not as_json:
        print("\n".join(told), flush=True)
    mine = _keys(stick, party, [draft for held in drafts.values() for draft in held])
    if mine:
        confirm(f"{stick.holder}, do you sign this as {party}?", yes=yes)
    phrase = ask_passphrase(stick.holder, file=passphrase_file) if mine else ""
    signers: list[Signer] = [stick.signer(key, phrase) for key in mine]
    roles = [role for held in drafts.values() for role in put_signatures(held, stick.holder, signers)]
    for file, one in asked.items():
        keep_signatures(file, one, drafts[file])
        if one.roots:
            stick.remember(one.repository, one.roots[-1].encode())
    still = [line for held in drafts.values() for line in lacking(held)]
    lines = [
        f"{stick.holder} has signed {', '.join(roles)}.",
        "Still wanted: " + "; ".join(still) if still else "Enough have signed.",
    ]
    repositories = [one.repository for one in asked.values()]
    facts = {"repositories": repositories, "holder": stick.holder, "signed": roles, "told": told, "still": still}
    answer(lines, facts, as_json=as_json)
    return 0


def _told(asked: Request, drafts: Sequence[Draft]) -> list[str]:
    """What a request says, from what was judged."""
    told = [clip(f"{asked.repository}: {asked.what}. Request made {asked.made[:16].replace('T', ' ')} UTC.", 300)]
    for draft in drafts:
        told += changes(draft.role, draft.before.signed if draft.before else None, draft.after.signed)
    return told


def _keys(stick: Stick, party: str, drafts: Sequence[Draft]) -> list[StickKey]:
    """The stick's keys that somebody's draft wants."""
    wanted = {keyid for draft in drafts for keys, _ in draft.wants for keyid in keys}
    return [key for key in stick.notes.keys if key.repository == party and key.key.keyid in wanted]
