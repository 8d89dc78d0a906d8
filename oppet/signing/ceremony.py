"""`oppet release ceremony` and `key`: the keys of a repository are made, each on its person's stick, and its first lists signed.

Three people or more, of whom two are needed: fewer would let one act alone, or one broken stick end it (RL15). The keys that machines
sign with by themselves (snapshot and timestamp; for the chain also rollout and health) are made in a folder of the service's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key, Signer

from oppet.base import canonical
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.repositories import Keys, Repository, RepositoryThereError, Role, Threshold
from oppet.drivers.signing_keys import service_signer
from oppet.release.rings import sound_pace
from oppet.release.terms import CHAIN, REASONS, VENDOR, Pace, read
from oppet.signing.desk import Desk, Json, answer, name_of, note, now
from oppet.signing.record import record_lines, write_record
from oppet.signing.sticks import HolderUnfitError, Stick, ask_passphrase, named_folders
from oppet.signing.telling import fingerprint

__all__ = ["MACHINES", "ceremony", "key", "make_repository", "read_pace"]

MACHINES: Final = ("rollout", "health")
LEAST_NEEDED: Final = 2


class TooFewPeopleError(RefusedError):
    sentence = N_("A ceremony takes at least {people} people of whom {need} are needed: here are {have}.")


class OneHolderTwiceError(RefusedError):
    sentence = N_("{holder} would hold two keys of {role}. Each key is another person’s.")


class PaceUnfitError(RefusedError):
    sentence = N_("This pace may not be: {reason}")


class PaceMissingError(RefusedError):
    sentence = N_(
        "The chain’s root says who goes first and how fast: give --pace FILE. The vendor’s says nothing of it."
    )


class PublishersUnfitError(RefusedError):
    sentence = N_("Give two publishers of prices or more, or none for now: far-reaching prices need two signatures.")


def key(
    stick: Path,
    *,
    holder: str,
    repository: str = CHAIN,
    role: tuple[str, ...] = ("root", "targets"),
    token: str = "",
    passphrase_file: Path | None = None,
    as_json: Json = False,
) -> int:
    """Make one person's new keys on a stick; they sign nothing before a root or list names them.

    Parameters
    ----------
    stick
        The folder of the person's stick.
    holder
        Who holds it: a word of your own, such as A or 301.
    repository
        vendor or chain.
    role
        root, targets or publisher; give it several times. root and targets when left out.
    token
        The key lies on a PKCS#11 token, such as hsm:2?label=A; the passphrase is its PIN.
    passphrase_file
        A file with the passphrase on its first line; else OPPET_PASSPHRASE, else it is asked for.
    as_json
        Print one JSON object.
    """
    made = Stick.make(stick, holder)
    phrase = ask_passphrase(holder, file=passphrase_file, twice=True)
    keys = {one: made.make_key(repository, one, phrase, token=token).public_key for one in role}
    lines = [f"{holder}: key for {one} of {repository}, {fingerprint(public.keyid)}." for one, public in keys.items()]
    answer(lines, {"holder": holder, "keys": {one: public.keyid for one, public in keys.items()}}, as_json=as_json)
    return 0


def ceremony(
    repository: Path,
    *,
    stick: tuple[str, ...],
    online: Path,
    safe: tuple[str, ...] = (),
    publisher: tuple[str, ...] = (),
    pace: Path | None = None,
    need: int = LEAST_NEEDED,
    record: Path | None = None,
    passphrase_file: tuple[Path, ...] = (),
    as_json: Json = False,
) -> int:
    """Make a repository's keys on its people's sticks, sign its first lists, and publish it empty.

    Parameters
    ----------
    repository
        The folder to make, called vendor or chain, in the tree that will be published.
    stick
        HOLDER=FOLDER, three times or more: who signs releases, and where the stick is.
    online
        A folder for the keys that the service signs with by itself.
    safe
        HOLDER=FOLDER for the same people: second sticks with the root keys, to lie in a safe. Else they are on the first.
    publisher
        HOLDER=FOLDER for whoever may publish prices (chain only), twice or more.
    pace
        A JSON file with the first pace and trial tills (chain only); `oppet release pace` makes one.
    need
        How many must sign.
    record
        Write the printed record here: .pdf or .txt.
    passphrase_file
        Files with passphrases, in the order of people: sticks first, then publishers. Else each is asked.
    as_json
        Print one JSON object.
    """
    name = name_of(repository)
    if (pace is not None) != (name == CHAIN):
        raise PaceMissingError
    if publisher and name == VENDOR:
        raise PublishersUnfitError
    sticks, safes, publishers = named_folders(stick), named_folders(safe), named_folders(publisher)
    _people(sticks, safes, publishers, need)
    if (repository / "metadata").exists() or (repository / "staged").exists():
        raise RepositoryThereError(folder=str(repository))
    said = None if pace is None else read_pace(pace)
    phrases = _phrases([*sticks, *(holder for holder in publishers if holder not in sticks)], passphrase_file)
    roots = _keys_on(safes or sticks, name, "root", phrases)
    signers = _keys_on(sticks, name, "targets", phrases)
    goods = _keys_on(publishers, name, "publisher", phrases)
    machines = {
        one: service_signer(online / f"{one}.key", make=True)
        for one in ("online", *(MACHINES if name == CHAIN else ()))
    }
    made = make_repository(repository.absolute(), roots, signers, goods, machines, need, said)
    for folder in (*sticks.values(), *safes.values()):
        Stick(folder).remember(name, made.root_bytes(1))
    desk = Desk(name, made)
    note(desk, "published", {"ceremony": list(sticks), "versions": dict.fromkeys(("root", *made.roles()), 1)})
    lines = record_lines(desk, now())
    if record is not None:
        write_record(record, lines)
    facts = {"repository": name, "root": canonical.digest(made.root_bytes(1)), "holders": list(sticks), "need": need}
    answer(lines, facts, as_json=as_json)
    return 0


def make_repository(
    folder: Path,
    roots: Sequence[Signer],
    signers: Sequence[Signer],
    goods: Sequence[Signer],
    machines: Mapping[str, Signer],
    need: int,
    pace: Pace | None,
) -> Repository:
    """Make, sign and publish an empty repository with the roles that its name demands. Raises RepositoryThereError."""
    roles = []
    if folder.name == CHAIN:
        roles = [Role("emergency", Threshold(signers, len(signers)), ["emergency/*"])]
        if goods:
            roles += [Role("goods", Threshold(goods, 1), ["goods/*"]), Role("wide", Threshold(goods, 2), ["wide/*"])]
        roles += [Role(one, Threshold([machines[one]], 1), [f"{one}/*"]) for one in MACHINES]
    return Repository.make(
        folder, root=Threshold(roots, need), targets=Threshold(signers, need), online=machines["online"], now=now(), pace=pace,
        roles=roles,
    )  # fmt: skip


def read_pace(file: Path) -> Pace:
    """Read a pace. Raises PublicationMalformedError, PaceUnfitError for one that no till would count."""
    pace = read(files.read(file, 1 << 20), Pace, str(file))
    if why := sound_pace(pace):
        raise PaceUnfitError(reason=REASONS[why])
    return pace


def one_holder_once(role: str, keys: Keys) -> None:
    """Refuse two keys of one person in a role. Raises OneHolderTwiceError."""
    seen: set[str] = set()
    for one in keys.keys:
        holder = _holder(one)
        if holder in seen:
            raise OneHolderTwiceError(holder=holder, role=role)
        seen.add(holder)


def _holder(one: Key) -> str:
    return str(one.unrecognized_fields.get("x-oppet-holder", one.keyid))


def _people(sticks: Mapping[str, Path], safes: Mapping[str, Path], publishers: Mapping[str, Path], need: int) -> None:
    if need < LEAST_NEEDED or len(sticks) <= need:
        people = max(need, LEAST_NEEDED) + 1
        raise TooFewPeopleError(people=people, need=max(need, LEAST_NEEDED), have=len(sticks))
    if safes and set(safes) != set(sticks):
        raise HolderUnfitError(said=", ".join(safes))
    if len(publishers) == 1:
        raise PublishersUnfitError


def _phrases(holders: Sequence[str], given: Sequence[Path]) -> dict[str, str]:
    found = {}
    for number, holder in enumerate(holders):
        found[holder] = ask_passphrase(holder, file=given[number] if number < len(given) else None, twice=True)
    return found


def _keys_on(folders: Mapping[str, Path], name: str, role: str, phrases: Mapping[str, str]) -> list[Signer]:
    """Each person's key for a role, made where the stick has none yet."""
    found = []
    for holder, folder in folders.items():
        stick = Stick.make(folder, holder)
        held = stick.held(name, role)
        found.append(
            stick.make_key(name, role, phrases[holder]) if held is None else stick.signer(held, phrases[holder])
        )
    return found
