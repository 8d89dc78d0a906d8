"""A till's folder: which epochs live in it, how one begins (`till enrol`) and how one ends (`till retire`).

An epoch has `epoch-NNNN.journal`, `epoch-NNNN.key` and, once it is enrolled, `epoch-NNNN.papers.json`: what the store node
answered, and every paper that came down since. The newest epoch is the till; older ones stay until they are kept.
Keeps J8 (a key has one file), K15 (nothing unkept is wiped: R06) and T10 (an epoch that is over sells nothing).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from oppet.base.clock import parse_utc
from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keeper_client import enrol_first
from oppet.drivers.keepers import Keepers
from oppet.drivers.keys import load_key, load_or_make_key, rename_key
from oppet.drivers.upload import JournalSource
from oppet.journal.kinds import EpochClosed, kind_of
from oppet.sync.copies import may_wipe
from oppet.sync.enrolment import Enrolled
from oppet.sync.errors import UnkeptError
from oppet.till.settings import read_settings

__all__ = ["EnrolledElseError", "EpochFiles", "PapersUnfitError", "enrol", "epochs_in", "newest", "retire"]

_NAME = re.compile(r"epoch-(\d{4})\.(journal|papers\.json)")
LARGEST_PAPERS = 64 << 20
DRAFT = "enrolling.key"  # a key whose epoch is not known yet
POLL_MS = 200


class PapersUnfitError(RefusedError):
    sentence = N_("The papers in {file} cannot be used: {why}. Enrol the till again with the manager's code.")


class EnrolledElseError(RefusedError):
    sentence = N_(
        "The code is for till {till} of store {store}; the settings in {file} say otherwise. Nothing was changed."
    )


class EpochFiles:
    """Where one epoch's files are."""

    __slots__ = ("epoch", "journal", "key", "papers")

    def __init__(self, folder: Path, epoch: int) -> None:
        self.epoch = epoch
        self.journal = folder / f"epoch-{epoch:04d}.journal"
        self.key = folder / f"epoch-{epoch:04d}.key"
        self.papers = folder / f"epoch-{epoch:04d}.papers.json"

    def enrolled(self) -> Enrolled | None:
        """What the store node answered when this epoch was enrolled; None for a till that works alone.

        Raises PapersUnfitError.
        """
        if not self.papers.exists():
            return None
        try:
            return msgspec.json.decode(files.read(self.papers, LARGEST_PAPERS), type=Enrolled)
        except (msgspec.MsgspecError, ValueError) as error:
            raise PapersUnfitError(file=str(self.papers), why=str(error)) from None


def epochs_in(folder: Path) -> list[EpochFiles]:
    """Every epoch with a journal or papers, oldest first."""
    numbers = {int(found[1]) for file in folder.iterdir() if (found := _NAME.fullmatch(file.name))}
    return [EpochFiles(folder, number) for number in sorted(numbers - {0})]


def newest(folder: Path) -> EpochFiles:
    """The epoch the till is: the newest, or the first of a folder that holds none."""
    found = epochs_in(folder)
    return found[-1] if found else EpochFiles(folder, 1)


# --- how an epoch begins -------------------------------------------------------------------------------------------


def enrol(
    settings: Path,
    *,
    store: str,
    invitation: str,
    code: str,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Give this till its name, its next epoch and its papers, with the code the store's manager reads out.

    A till that worked alone until now keeps its journal: its own key is certified.

    Parameters
    ----------
    settings
        The till's settings file.
    store
        The store node's address, such as https://192.168.1.10:8443.
    invitation
        The invitation's name, as the manager's page shows it.
    code
        The code: eight letters and digits, good once and for minutes.
    as_json
        Print one JSON object.
    """
    said = read_settings(files.read(settings, 1 << 20), str(settings))
    folder = files.folder(settings.parent / said.folder)
    alone = _alone(folder)
    draft = alone.key if alone is not None else folder / DRAFT
    signer = load_or_make_key(draft)
    answer = enrol_first(store, invitation, code, signer.public, b"", files.installation(draft))
    if (answer.till, answer.store) != (said.till, said.store):
        if alone is None:
            draft.unlink()  # it is certified in another till's name: nobody shall hold it
        raise EnrolledElseError(till=answer.till, store=answer.store, file=str(settings))
    place = EpochFiles(folder, answer.epoch)
    if alone is None:
        JournalFile.open_or_create(place.journal, said.till, answer.epoch).close()
        rename_key(draft, place.key)
    elif alone.epoch != answer.epoch:
        raise PapersUnfitError(file=str(alone.journal), why=N_("this till sold under a number that is taken"))
    files.write(place.papers, msgspec.json.encode(answer))
    if as_json:
        keepers = [{"name": keeper.name, "place": keeper.place, "url": keeper.url} for keeper in answer.keepers]
        print(json.dumps({"till": answer.till, "store": answer.store, "epoch": answer.epoch, "keepers": keepers}))
    else:
        print(f"{answer.till} is enrolled: epoch {answer.epoch}, {len(answer.keepers)} keepers.")
    return 0


def _alone(folder: Path) -> EpochFiles | None:
    """The epoch of a till that worked without papers and has entries; what it sold is to be certified too."""
    place = newest(folder)
    if place.papers.exists() or not (place.key.exists() and place.journal.exists()):
        return None
    with JournalFile.open(place.journal) as journal:
        return place if journal.head.seq else None


# --- how it ends ---------------------------------------------------------------------------------------------------


def retire(
    settings: Path,
    *,
    by: int = 0,
    wait: int = 60,
    reason: str = "retired",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Take this till out of use: close its epoch, once everything it wrote is kept at head office.

    Parameters
    ----------
    settings
        The till's settings file; the till must not be running.
    by
        The staff number of whoever takes it away.
    wait
        How many seconds to wait for the keepers.
    reason
        Why, for the journal.
    as_json
        Print one JSON object.
    """
    said = read_settings(files.read(settings, 1 << 20), str(settings))
    folder = files.folder(settings.parent / said.folder)
    last, kept = newest(folder).epoch, {}
    for place in epochs_in(folder):
        if place.journal.exists():
            kept[place.epoch] = _retire(place, by, wait, clip(reason, 60), last=place.epoch == last)
            if not as_json:
                print(f"{said.till}, epoch {place.epoch}: all {kept[place.epoch]} entries are kept at head office.")
    if as_json:
        print(json.dumps({"till": said.till, "kept": kept}))
    else:
        print(f"{said.till} may be taken away.")
    return 0


def _retire(place: EpochFiles, by: int, wait: int, reason: str, *, last: bool) -> int:
    """Give how many entries the epoch has. Raises UnkeptError, with nothing written, while entries are kept nowhere else (R06)."""
    enrolled, clock = place.enrolled(), SystemClock()
    with JournalFile.open(place.journal) as journal:
        head = journal.head
        if head.seq == 0:
            return 0
        if enrolled is None:
            raise UnkeptError(till=journal.till, epoch=journal.epoch, first=1, last=head.seq)
        signer = load_key(place.key)
        keepers = Keepers(JournalSource(journal, signer, clock.now), enrolled, place.papers, {}, clock)
        keepers.begin(direct=True)
        try:
            _wait_until_kept(keepers, journal, wait, clock)
            entry = next(journal.read(head.seq))
            if last and entry.kind != kind_of(EpochClosed):
                journal.append(max(clock.now(), parse_utc(entry.time)), [EpochClosed(reason, by)], signer)
                _wait_until_kept(keepers, journal, wait, clock)
        finally:
            keepers.close()
        return journal.head.seq


def _wait_until_kept(keepers: Keepers, journal: JournalFile, wait: int, clock: SystemClock) -> None:
    deadline = clock.counter() + wait * 1000
    while True:
        try:
            may_wipe(journal.till, journal.epoch, journal.head.seq, keepers.holdings(journal.till, journal.epoch))
        except UnkeptError:
            if clock.counter() >= deadline:
                raise
            keepers.wait(POLL_MS)
            continue
        return
