"""What somebody is about to sign, in words: what a new list says that the one before did not.

Values in, sentences out; nothing here opens a file. Whatever a list can say has its words here, and `untold` names what has none:
that is never signed (RL15). Text from a request is made printable before anybody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from securesystemslib.signer import Key
from tuf.api.metadata import Root, Signed, TargetFile, Targets

from oppet.base.errors import clip
from oppet.drivers.signing_keys import HOLDER, holder_of, key_name
from oppet.release.terms import PACE_FIELD, Pace, Software

__all__ = ["changes", "fingerprint", "pace_lines", "software_line", "untold"]

LONGEST_LINE: Final = 20_000
LONGEST_CUSTOM: Final = 2_000


def changes(role: str, before: Signed | None, after: Signed) -> list[str]:
    """Tell what changes in a role's list."""
    version = f"{before.version} → {after.version}" if before is not None else f"{after.version}, the first"
    lines = [f"List “{role}”, version {version}, good until {after.expires:%Y-%m-%d}."]
    if isinstance(after, Root):
        lines += _root(before if isinstance(before, Root) else None, after)
    elif isinstance(after, Targets):
        lines += _targets(before if isinstance(before, Targets) else None, after)
    lines = [clip(line, LONGEST_LINE) for line in lines]
    nothing = "  Nothing in it changes but its date." if before is not None else "  It lists nothing yet."
    return lines if len(lines) > 1 else [*lines, nothing]


def untold(signed: Signed) -> str:
    """Name something that a list says and nobody here has words for; "" where everything is told."""
    found = _beyond(signed.unrecognized_fields, {PACE_FIELD} if isinstance(signed, Root) else set())
    if isinstance(signed, Root):
        found += _untold_root(signed)
    elif isinstance(signed, Targets):
        found += _untold_targets(signed)
    return clip(found[0], 200) if found else ""


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
    canaries = ", ".join(
        f"{one.till} in {one.store} epoch {one.epoch} key {fingerprint(one.key)}" for one in pace.canaries
    )
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


def _beyond(said: Mapping[str, object], known: set[str]) -> list[str]:
    return [f"field {name}" for name in said if name not in known]


def _untold_keys(keys: Iterable[Key]) -> list[str]:
    """A key is named by its own content, or its name proves nothing to those who compare it."""
    found = []
    for key in keys:
        found += _beyond(key.unrecognized_fields, {HOLDER})
        found += [] if key_name(key) == key.keyid else [f"key {key.keyid}, which is not named by its content"]
    return found


def _untold_root(root: Root) -> list[str]:
    found = _untold_keys(root.keys.values())
    for name, role in root.roles.items():
        found += [f"{field} of {name}" for field in _beyond(role.unrecognized_fields, set())]
    said = root.unrecognized_fields.get(PACE_FIELD)
    try:
        found += (
            []
            if said is None or msgspec.json.decode(msgspec.json.encode(msgspec.convert(said, Pace))) == said
            else ["more in the pace"]
        )
    except msgspec.ValidationError as error:
        found.append(f"a pace that cannot be read: {error}")
    return found if root.consistent_snapshot else [*found, "that its versions may be overwritten"]


def _untold_targets(lists: Targets) -> list[str]:
    found = []
    for name, listed in lists.targets.items():
        found += [f"{field} of {name}" for field in _beyond(listed.unrecognized_fields, {"custom"})]
        said = listed.custom
        if name.startswith(("software/", "emergency/")) or (isinstance(said, dict) and "image" in said):
            found += _untold_software(name, said)
        elif len(str(said)) > LONGEST_CUSTOM:
            found.append(f"a long word about {name}")
    delegations = lists.delegations
    if delegations is None:
        return found
    found += _beyond(delegations.unrecognized_fields, set()) + _untold_keys(delegations.keys.values())
    found += [] if delegations.succinct_roles is None else ["roles without names"]
    for name, role in (delegations.roles or {}).items():
        found += [f"{field} of {name}" for field in _beyond(role.unrecognized_fields, set())]
        found += [] if role.path_hash_prefixes is None else [f"names for {name} that nobody can read"]
    return found


def _untold_software(name: str, said: object) -> list[str]:
    try:
        known = set(msgspec.structs.asdict(msgspec.convert(said, Software)))
    except msgspec.ValidationError as error:
        return [f"about {name} what cannot be read: {error}"]
    assert isinstance(said, dict), "it was read as one"
    return [f"{field} of {name}" for field in _beyond(said, known)]


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
        if before:
            yield from (f"    before: {line}" for line in _pace(before.unrecognized_fields.get(PACE_FIELD)))


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
        words = f"{said}; "
    digests = ", ".join(f"{name} {digest}" for name, digest in sorted(listed.hashes.items()))
    return f"{words}list of {listed.length} bytes, {digests}"
