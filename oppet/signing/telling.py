"""What somebody is about to sign, in words: what a new list says that the one before did not.

Values in, sentences out; nothing here opens a file. What is not told here is not in the list: every field that a till acts on has
its words, and a field nobody knows is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from securesystemslib.signer import Key
from tuf.api.metadata import Root, Signed, TargetFile, Targets

from oppet.base.errors import clip
from oppet.drivers.signing_keys import HOLDER, holder_of
from oppet.release.terms import PACE_FIELD, Pace, Software

__all__ = ["changes", "fingerprint", "pace_lines", "software_line"]


def changes(role: str, before: Signed | None, after: Signed) -> list[str]:
    """Tell what changes in a role's list."""
    version = f"{before.version} → {after.version}" if before is not None else f"{after.version}, the first"
    lines = [f"List “{role}”, version {version}, good until {after.expires:%Y-%m-%d}."]
    if isinstance(after, Root):
        lines += _root(before if isinstance(before, Root) else None, after)
    elif isinstance(after, Targets):
        lines += _targets(before if isinstance(before, Targets) else None, after)
    nothing = "  Nothing in it changes but its date." if before is not None else "  It lists nothing yet."
    return lines if len(lines) > 1 else [*lines, nothing]


def fingerprint(keyid: str) -> str:
    """A key's name as people compare it: four groups of four."""
    return " ".join(keyid[start : start + 4] for start in range(0, 16, 4))


def software_line(software: Software) -> str:
    """One release in words."""
    floor = f", no rebuild below release {software.min_release}" if software.min_release else ""
    fiscal = f", REGULATED FUNCTIONS {software.fiscal_from} → {software.fiscal}" if software.fiscal_from else ""
    return (
        f"release {software.release} ({software.version}) for {software.role}, hardware {software.hw}, image of "
        f"{software.image_bytes} bytes, sha256 {software.image}, schema {software.schema}{floor}{fiscal}"
    )


def pace_lines(pace: Pace) -> Iterator[str]:
    """A pace in words."""
    canaries = ", ".join(f"{one.till} epoch {one.epoch} key {one.key[:8]}" for one in pace.canaries)
    yield f"{pace.stores} stores; trial tills: {canaries or 'none'}"
    yield (
        f"evidence: {pace.evidence_tills} tills in {pace.evidence_stores} stores, each {pace.evidence_sales} sales and "
        f"{pace.evidence_min} minutes"
    )
    yield (
        f"then {pace.dwell_min} minutes of dwell, {pace.stores_permille_per_hour} ‰ of the stores an hour; a new root counts "
        f"after {pace.hold_min} minutes"
    )
    fast = pace.emergency
    yield (
        f"emergency: {fast.evidence_tills} tills in {fast.evidence_stores} stores, {fast.dwell_min} minutes, "
        f"{fast.stores_permille_per_hour} ‰ an hour"
    )


def _root(before: Root | None, after: Root) -> Iterator[str]:
    for role, held in after.roles.items():
        old = before.roles.get(role) if before else None
        yield from _keys(
            role, {} if old is None or before is None else {keyid: _holder(before.keys[keyid]) for keyid in old.keyids},
            {keyid: _holder(after.keys[keyid]) for keyid in held.keyids},
        )  # fmt: skip
        if old is None or old.threshold != held.threshold:
            yield f"  {role}: {held.threshold} of {len(held.keyids)} must sign."
    said = after.unrecognized_fields.get(PACE_FIELD)
    if said != (before.unrecognized_fields.get(PACE_FIELD) if before else None):
        yield "  PACE AND TRIAL TILLS CHANGE:" if before else "  Pace and trial tills:"
        yield from (f"    {line}" for line in _pace(said))


def _pace(said: Any) -> Iterator[str]:
    if said is None:
        yield "none"
        return
    try:
        yield from pace_lines(msgspec.convert(said, Pace))
    except msgspec.ValidationError:
        yield f"UNREADABLE: {clip(str(said), 200)}"


def _keys(role: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for keyid, holder in after.items():
        if keyid not in before:
            yield f"  {role}: {'new key' if before else 'key'} of {holder}, {fingerprint(keyid)}."
    for keyid, holder in before.items():
        if keyid not in after:
            yield f"  {role}: the key of {holder}, {fingerprint(keyid)}, GOES."


def _holder(key: Key) -> str:
    return holder_of(key) if HOLDER in key.unrecognized_fields else "a service"


def _targets(before: Targets | None, after: Targets) -> Iterator[str]:
    old = before.targets if before else {}
    for name, listed in after.targets.items():
        was = old.get(name)
        if was is None:
            yield f"  NEW {name}: {_listed(listed)}."
        elif was != listed:
            yield f"  CHANGED {name}: {_listed(listed)}."
            yield f"    before: {_listed(was)}."
    yield from (f"  GONE {name}: {_listed(was)}." for name, was in old.items() if name not in after.targets)
    yield from _delegations(before, after)


def _delegations(before: Targets | None, after: Targets) -> Iterator[str]:
    old = (before.delegations.roles if before and before.delegations else None) or {}
    new = (after.delegations.roles if after.delegations else None) or {}
    for name, role in new.items():
        was = old.get(name)
        yield from _keys(
            name, {} if was is None or before is None else {keyid: _holder(before.get_key(keyid)) for keyid in was.keyids},
            {keyid: _holder(after.get_key(keyid)) for keyid in role.keyids},
        )  # fmt: skip
        if was is None or (was.threshold, was.paths, was.terminating) != (role.threshold, role.paths, role.terminating):
            stops = "" if role.terminating else ", AND OTHERS AFTER IT"
            yield f"  {name}: {role.threshold} of {len(role.keyids)} must sign; may list {', '.join(role.paths or [])}{stops}."
    yield from (f"  The role {name} GOES." for name in old if name not in new)


def _listed(listed: TargetFile) -> str:
    said = listed.custom
    words = ""
    if isinstance(said, dict) and "image" in said:
        try:
            words = f"{software_line(msgspec.convert(said, Software))}; "
        except msgspec.ValidationError:
            words = f"UNREADABLE {clip(str(said), 200)}; "
    elif said:
        words = f"{clip(str(said), 200)}; "
    digests = ", ".join(f"{name} {digest}" for name, digest in sorted(listed.hashes.items()))
    return f"{words}list of {listed.length} bytes, {digests}"
