"""`oppet release show` and `list`: what a repository says, who may sign it, what waits, and what runs out. They change nothing."""

from __future__ import annotations

from pathlib import Path

from tuf.api.metadata import Root, Targets

from oppet.base import canonical
from oppet.drivers.repositories import Repository
from oppet.drivers.signing_keys import holder_of
from oppet.release.terms import Software, is_software, read
from oppet.signing.desk import Json, answer, days_left, desk_at, now
from oppet.signing.record import record_lines
from oppet.signing.telling import software_line

__all__ = ["list_targets", "show"]

SOON_DAYS = 60


def show(repository: Path, *, as_json: Json = False) -> int:
    """Show who signs a repository, what versions are published, when they run out, and whose signature a draft lacks.

    Parameters
    ----------
    repository
        The vendor's, the chain's or a store's folder.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    held = desk.repository
    roles = ("root", *held.roles(), *(("snapshot", "timestamp") if held.published else ()))
    dates = {
        role: (held.version(role), f"{held.read(role).signed.expires:%Y-%m-%d}", days_left(desk, role))
        for role in roles
    }
    waiting = [
        {
            "role": role, "have": len(one.signed), "need": one.need, "why": one.why,
            "unsigned": [desk.holders(role).get(keyid, keyid[:16]) for keyid in one.unsigned],
        }
        for role in held.drafts() for one in held.signatures(role)
    ]  # fmt: skip
    lines = record_lines(desk, now()) if held.version("root") else [f"{desk.name}: not published yet"]
    for role, (version, until, left) in dates.items():
        soon = left < SOON_DAYS and role in ("root", "targets", "emergency")
        mark = "  RAN OUT" if left < 0 else "  RUNS OUT SOON" if soon else ""
        lines.append(f"{role} version {version}, good until {until}{mark}")
    for one in waiting:
        names = ", ".join(map(str, one["unsigned"])) if isinstance(one["unsigned"], list) else ""
        lines.append(f"DRAFT of {one['role']}: {one['have']} of {one['need']} signatures; may still sign: {names}")
    facts = {
        "repository": desk.name,
        "root": canonical.digest(held.root_bytes()) if held.version("root") else "",
        "roles": {
            role: {
                "version": version, "until": until, "days": left,
                "need": _above(held, role).get_delegated_role(role).threshold,
                "holders": [holder_of(_above(held, role).get_key(keyid)) for keyid in _above(held, role).get_delegated_role(role).keyids],
            }
            for role, (version, until, left) in dates.items()
        },
        "drafts": waiting,
    }  # fmt: skip
    answer(lines, facts, as_json=as_json)
    return 0


def list_targets(repository: Path, *, as_json: Json = False) -> int:
    """List what a repository publishes, and what its drafts would.

    Parameters
    ----------
    repository
        The vendor's, the chain's or a store's folder.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    rows = []
    for role in desk.repository.roles():
        shown = desk.repository.seen(role).signed.targets if desk.repository.version(role) else {}
        for name, one in desk.repository.lists(role).targets.items():
            words = (
                software_line(read(one.custom, Software, name))
                if is_software(name) or role == "emergency"
                else f"{one.length} bytes"
            )
            draft = shown.get(name) != one
            rows.append({"role": role, "name": name, "bytes": one.length, "hashes": one.hashes, "custom": one.custom, "draft": draft,
                         "words": words})  # fmt: skip
        gone = [name for name in shown if name not in desk.repository.lists(role).targets]
        rows += [{"role": role, "name": name, "draft": True, "words": "GOES"} for name in gone]
    lines = [f"{row['name']}  {row['words']}{'  DRAFT' if row['draft'] else ''}" for row in rows]
    answer(lines or [f"{desk.name} lists nothing."], {"repository": desk.name, "targets": rows}, as_json=as_json)
    return 0


def _above(held: Repository, role: str) -> Root | Targets:
    return held.root if role in ("root", "targets", "snapshot", "timestamp") else held.targets
