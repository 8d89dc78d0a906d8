"""The table of attacks: rows are what a thief does, columns whose keys or machines it has; each cell says how it must end.

Every cell is run by `test_attacks.py` against real repositories and files: `forging.py` writes what such a thief could, a real till
with the real client, intake and journal looks at it. A cell is the word that the journal must name (`terms.REASONS`), or one of the few
words below. What a cell claims is compared with what happened, and docs/security.md is made of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from oppet.base.signing import Signer
from oppet.drivers.publication_sources import FolderSource, Limits, Source
from oppet.drivers.publications import Publications
from oppet.journal.kinds import AlarmRaised, Body, Receipt
from oppet.journal.kinds_published import PublicationRefused
from oppet.release.found import Found
from oppet.release.held import Ledger
from oppet.release.intake import LAG_MS, Hours, Intake, Me
from oppet.release.terms import CHAIN, REASONS, VENDOR, EmergencyPace, Pace, Software
from tests.register.world import MILK, FakeClock, a_till
from tests.release.chain import a_canary, a_pace, a_word, key_of
from tests.release.forging import COLUMNS, Forger
from tests.release.signed import World, a_world
from tests.release.taking import FakeSlots

__all__ = ["CANARIES", "HELD_BACK", "NOTHING", "ROWS", "Row", "Scene", "Victim", "a_scene", "ran"]

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
CANARIES: Final = "canary ring"  # a canary installs it; every other till waits for evidence that nobody gives
HELD_BACK: Final = "held back"  # nothing new comes; nothing else happens, and after a week it is `expired`
NOTHING: Final = "no effect"  # what was changed changes nothing for a till
ALWAYS: Final = Hours(("00:00-24:00",))
POISON: Final = b"a poisoned image"
SHORT: Final = Limits(answer_s=0.5, window_s=0.2, least_rate=4_096, file_s=2.0)


@dataclass
class Scene:
    """An honest chain, its published tree at three moments, and a folder for thieves."""

    world: World
    folder: Path
    running: Software
    before: Path  # release 1 only
    honest: Path  # release 2 is out, chosen and vouched for
    made: int = 0

    def forger(self, column: str, tree: Path | None = None) -> Forger:
        self.made += 1
        into = self.folder / f"thief-{self.made}"
        if tree is not None:
            shutil.copytree(tree, into)
        return Forger(self.world, column, into)

    def victim(self, *, canary: bool = False, store: str = "S09") -> Victim:
        self.made += 1
        return Victim(self, self.folder / f"till-{self.made}", "S01" if canary else store)


def a_scene(folder: Path) -> Scene:
    """Two repositories and two stores' small ones; release 1 runs everywhere, release 2 goes out."""
    world = a_world(folder, stores=("S09", "S10"))
    running = world.release(1, b"the first image")
    world.choose(1)
    shutil.copytree(world.base, folder / "before")
    second = world.release(2, b"the second image")
    world.release(3, b"the third image")  # signed by both, let out by nobody
    world.choose(2)
    canaries = a_pace().canaries
    world.vouch(second.image, [a_word(canary, second.image) for canary in canaries[:3]])
    shutil.copytree(world.base, folder / "honest")
    return Scene(world, folder, running, folder / "before", folder / "honest")


class Victim:
    """A real till that looks: its journal, its register, its client's folder, its intake; slots that would take anything."""

    def __init__(self, scene: Scene, folder: Path, store: str) -> None:
        folder.mkdir()
        self.scene = scene
        self.store, till = store, f"{store}-K1"
        self.till, self.shop = a_till(folder, clock=FakeClock(scene.world.now))
        self.publications = Publications(folder / "trust", scene.world.roots, self.store, total_s=4.0)
        self.slots = FakeSlots(running=scene.running)
        self.me = Me(self.store, till, 1, key_of(till), "x86_64", 1, a_pace())
        self.found = Found()
        self.intake = Intake(self, self.slots, self.me, ALWAYS)
        self.intake.begin()

    # --- what the intake is handed

    def ledger(self) -> Ledger:
        return self.till.desk.state.releases

    def write(self, *bodies: Body, sign: bool = True) -> None:
        self.till.desk.write(*bodies, sign=sign)

    def counter(self) -> int:
        return self.shop.clock.counter()

    def now(self) -> int:
        return self.till.desk.now()

    def time_believed(self) -> bool:
        return not self.till.desk.in_doubt()

    def between(self) -> bool:
        return self.till.desk.between()

    def manned(self) -> bool:
        return False

    def goods(self) -> str:
        return ""

    def close(self) -> None:
        assert self.shop.journal is not None
        self.shop.journal.close()

    # --- what a till lives through

    def look(self, *trees: Path | Source, after_ms: int = 60_000) -> Found:
        """Let time pass, look, and let the intake do what it would in the next minutes."""
        clock = self.shop.clock
        clock.pass_ms(after_ms)
        sources = [
            one if isinstance(one, Source) else FolderSource(f"cache {n}", one, SHORT) for n, one in enumerate(trees, 1)
        ]
        self.found = self.publications.look(sources, self.now())
        self.intake.tick(self.found)
        if any(one.why == "rollback" for one in self.found.refused):  # a cache may be behind for minutes; a thief stays
            clock.pass_ms(LAG_MS)
            self.found = self.publications.look(sources, self.now())
            self.intake.tick(self.found)
        for _ in range(4):
            clock.pass_ms(60_000)
            self.intake.tick(None)
        return self.found

    def refused(self) -> list[PublicationRefused]:
        return self.shop.bodies(PublicationRefused)  # type: ignore[return-value]

    def words(self) -> set[str]:
        return {one.why for one in self.refused()}

    def installs(self) -> set[str]:
        """Images whose slot was switched to."""
        return set(self.slots.switched)

    def waits(self, image: str) -> str:
        """Why a release is not installed yet; "" where it is not the one that is judged."""
        candidate = self.intake.candidate
        return candidate.verdict.why if candidate is not None and candidate.agreed.software.image == image else ""

    def recovers(self) -> None:
        """The honest tree again: what it says is found, and nobody is called a liar."""
        before = len(self.refused())
        found = self.look(self.scene.honest)
        if not found.expired:
            assert [one.software.release for one in found.agreed] == [3, 2, 1]
            assert len(self.refused()) == before

    def stands(self) -> None:
        """Every refusal is in the journal with an alarm right behind it and a sentence for the cashier; the till sells (RL10)."""
        bodies = [body for _, body in self.shop.entries()]
        for at, body in enumerate(bodies):
            if isinstance(body, PublicationRefused):
                assert isinstance(bodies[at + 1], AlarmRaised), body
                assert body.why in REASONS, body
        before = len(self.shop.bodies(Receipt))
        self.till.selling.scan(MILK)
        self.till.checkout.pay("cash", 100_000)
        assert len(self.shop.bodies(Receipt)) == before + 1


# --- the rows ----------------------------------------------------------------------------------------------------------

Attack = Callable[[Forger], set[str]]  # writes what the thief would; gives the images it wants to see running
Cells = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One attack on software. `cells` gives for each column what must come of it; `why` what a column's "–" means."""

    name: str
    attack: Attack
    cells: Cells
    after_ms: int = 60_000
    quiet: str = NOTHING  # what it is called where nothing happens
    knowing: bool = False  # the till knows release 2 already: it is no canary, that would run it
    honest: bool = False  # the release it brings out is one that both have signed


def _all(word: str, **other: str) -> Cells:
    return {column: other.get(column, word) for column in COLUMNS}


def _poison(forger: Forger, number: int = 66, **more: object) -> set[str]:
    return {forger.release(number, POISON, **more).image}  # type: ignore[arg-type]


def _older(forger: Forger) -> set[str]:
    """Lists signed anew, with older targets in them where the online key is held; else the old tree as it was."""
    held = [party for party in (VENDOR, CHAIN) if forger.holds(party, "online")]
    for party in held:
        forger.show(party, versions={"targets": 1})
    if not held:
        shutil.rmtree(forger.base)
        shutil.copytree(forger.base.parent / "before", forger.base)
    return set()


def _frozen(forger: Forger) -> set[str]:
    """Nothing new for nine days; who has an online key signs the old anew."""
    for party in (VENDOR, CHAIN):
        if forger.holds(party, "online"):
            forger.renew(party, 30)
    return set()


def _mixed(forger: Forger) -> set[str]:
    """Targets of one moment under the snapshot of another."""
    for party in (VENDOR, CHAIN):
        newest = forger.version(party, "targets")
        old = (forger.base / party / "metadata" / f"{newest - 1}.targets.json").read_bytes()
        if forger.holds(party, "online"):
            forger.show(party)
        forger.damage(f"{party}/metadata/{newest}.targets.json", old)
    return set()


def _endless(forger: Forger) -> set[str]:
    for party in (VENDOR, CHAIN):
        path = f"{party}/metadata/timestamp.json"
        forger.damage(path, (forger.base / path).read_bytes() + b" " * (2 << 20))
    return set()


def _one_key(forger: Forger) -> set[str]:
    """One key of every threshold instead of enough of them; online keys as they are."""
    forger.held = {at: keys[:1] for at, keys in forger.held.items()}
    return _poison(forger)


def _new_root(forger: Forger) -> set[str]:
    """A root that names a key of the thief's own, alone, for targets; then a release with it."""
    parties = [party for party in (VENDOR, CHAIN) if forger.holds(party, "root")] or [VENDOR, CHAIN]
    for party in parties:
        forger.appoint(party)
    return _poison(forger, parties=parties)


def _skipped_root(forger: Forger) -> set[str]:
    """The same, two versions ahead, as if the one between had been missed."""
    parties = [party for party in (VENDOR, CHAIN) if forger.holds(party, "root")] or [VENDOR, CHAIN]
    for party in parties:
        forger.appoint(party, by=2)
    return _poison(forger, parties=parties)


def _chosen_third(forger: Forger) -> set[str]:
    """The rollout role lets out what both have signed and nobody wanted out yet: it can do no more."""
    forger.choose(3)
    return {
        msgspec.convert(forger.read(CHAIN, "targets").signed.targets["software/till-3.index"].custom, Software).image
    }


def _chosen_first(forger: Forger) -> set[str]:
    forger.choose(1)
    return set()


def _replayed(forger: Forger) -> set[str]:
    """What canaries said of release 2, published as said of the poison."""
    images = _poison(forger, show=False)
    world = forger.world
    second = msgspec.convert(world.chain.target("targets", "software/till-2.index").custom, Software).image
    words = [a_word(canary, second) for canary in a_pace().canaries]
    return forger.said(images, words)


def _minted(forger: Forger) -> set[str]:
    """Words of tills nobody pinned, of pinned tills with other keys, and one word many times over."""
    images = _poison(forger, show=False)
    image = next(iter(images))
    words = [a_word(a_canary(f"S{n}", f"S{n}-K1"), image) for n in range(70, 80)]
    words += [a_word(canary, image, signer=Signer(bytes(32))) for canary in a_pace().canaries]
    return forger.said(images, words)


def _named_canaries(forger: Forger) -> set[str]:
    """A root that pins tills of the thief's own; they vouch at once."""
    mine = tuple(a_canary(f"S{n}", f"S{n}-K1") for n in (70, 71, 72))
    forger.pace(a_pace(canaries=mine))
    images = _poison(forger, show=False)
    return forger.said(images, [a_word(canary, next(iter(images))) for canary in mine])


def _everyone(forger: Forger) -> set[str]:
    forger.pace(a_pace(canaries=tuple(a_canary(f"S{n:02d}", f"S{n:02d}-K1") for n in range(1, 60))))
    return _poison(forger)


def _at_once(forger: Forger) -> set[str]:
    forger.pace(_quick())
    return _poison(forger)


def _quick() -> Pace:
    at_once = EmergencyPace(0, 1000, 1, 1)
    return a_pace(
        dwell_min=0, stores_permille_per_hour=1000, evidence_tills=1, evidence_stores=1, hold_min=0, emergency=at_once
    )


def _swapped(forger: Forger) -> set[str]:
    """Other bytes where the plan, the evidence and the lists lie."""
    for path in (forger.base / CHAIN / "targets" / "rollout").iterdir():
        path.write_bytes(path.read_bytes().replace(b"2", b"9"))
    return set()


NO_SUCH: Final = "– the vendor’s repository has no such role"
ONE: Final = "one_party"
ROWS: Final = (
    Row("arbitrary install", _poison, _all("threshold", vendor=ONE, chain=ONE, both=CANARIES)),
    Row(
        "other bytes under a release’s number",
        lambda forger: _poison(forger, 2),
        _all("threshold", vendor="disagree", chain="disagree", both=CANARIES),
    ),
    Row("rollback of lists", _older, _all("rollback"), knowing=True),
    Row("freeze", _frozen, _all("expired", both=HELD_BACK), after_ms=9 * DAY, quiet=HELD_BACK),
    Row("mix and match", _mixed, _all("mix")),
    Row("endless data", _endless, _all("endless")),
    Row(
        "release for other hardware",
        lambda forger: _poison(forger, hw="arm64"),
        _all("threshold", vendor=ONE, chain=ONE, both="wrong_hardware"),
    ),
    Row(
        "release for another kind of machine",
        lambda forger: _poison(forger, role="node"),
        _all("threshold", vendor=ONE, chain=ONE, both="wrong_role"),
    ),
    Row("one key of every threshold", _one_key, _all("threshold")),
    Row("a root of the thief’s own", _new_root, _all("threshold", vendor=ONE, chain=ONE, both=CANARIES)),
    Row("a root two versions ahead", _skipped_root, _all("threshold")),
    Row(
        "emergency release with two of three keys",
        lambda forger: _poison(forger, urgent=True),
        _all("threshold", vendor=ONE, chain=f"{ONE}, threshold", both=f"threshold, {CANARIES}"),
    ),
    Row(
        "online rollout role: a release nobody let out",
        _chosen_third,
        _all("threshold", vendor=NO_SUCH, chain=CANARIES, both=CANARIES, hq=CANARIES),
        honest=True,
    ),
    Row(
        "online rollout role: an older release",
        _chosen_first,
        _all("threshold", vendor=NO_SUCH, chain=NOTHING, both=NOTHING, hq=NOTHING),
    ),
    Row("replayed health evidence", _replayed, _all("threshold", vendor=ONE, chain=ONE, both=CANARIES)),
    Row("health evidence of strangers", _minted, _all("threshold", vendor=ONE, chain=ONE, both=CANARIES)),
    Row("minted canaries", _named_canaries, _all("threshold", chain=ONE, both=CANARIES)),
    Row(
        "everyone is canary",
        _everyone,
        _all("threshold", chain=f"{ONE}, too_many_canaries", both=f"too_many_canaries, {CANARIES}"),
    ),
    Row(
        "a pace without waiting",
        _at_once,
        _all("threshold", chain=f"{ONE}, too_new_pace", both=f"too_new_pace, {CANARIES}"),
    ),
    Row("swapped bytes of a target", _swapped, _all("bytes")),
)


def ran(scene: Scene, row: Row, column: str) -> str:
    """Let a thief of this column do it to a canary, which takes more than any other till; where it installs, to another one too."""
    words, installed = _done_to(scene, row, column, canary=not row.knowing)
    if installed:
        others, too = _done_to(scene, row, column, canary=False)
        assert not too, "only the canary ring"
        assert others == words
    return ", ".join([*words, CANARIES][: len(words) + installed]) or row.quiet


def _done_to(scene: Scene, row: Row, column: str, *, canary: bool) -> tuple[list[str], bool]:
    victim = scene.victim(canary=canary)
    try:
        victim.look(scene.honest if row.knowing else scene.before)
        known = {one.repository: one for one in victim.ledger().repositories}
        forger = scene.forger(column, scene.honest)
        images = row.attack(forger)
        victim.look(forger.base, after_ms=row.after_ms)
        words = victim.words()
        for one in victim.refused():
            if one.what == "metadata" and not one.name and not one.release:  # whole lists: nothing of them is believed
                after = {said.repository: said for said in victim.ledger().repositories}
                assert after[one.repository] == known[one.repository], one
        installed = bool(images & victim.installs())
        if not canary and images:
            assert {victim.waits(image) for image in images} == {"no_evidence"}
        if column in ("node", "mitm"):
            victim.recovers()
        victim.stands()
        return sorted(words), installed
    finally:
        victim.close()
