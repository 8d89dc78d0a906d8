"""What stands in the repositories: names of targets, what is said of them, pace and canaries; and the words a refusal is told in.

Two repositories must agree on software, `vendor` and `chain`; the chain alone speaks of goods, within bounds; each store has a
small one of its own for its mark-downs, whose root is a target of the chain's. What a target is stands in its `custom`, what
pace the chain keeps stands in its root under `PACE_FIELD`: signed by people, offline. Signatures are the framework's work.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.errors import place_first
from oppet.base.words import N_
from oppet.release.errors import PublicationMalformedError

__all__ = [
    "CHAIN", "PACE_FIELD", "PARTIES", "PLAN", "REASONS", "ROLLOUT", "STORE", "VENDOR", "Canary", "EmergencyPace", "Goods", "Pace", "Plan",
    "Software", "emergency_name", "goods_name", "health_name", "is_goods", "is_software", "is_store",
    "markdown_name", "read", "software_name", "store_root_name",
]  # fmt: skip

VENDOR: Final = "vendor"
CHAIN: Final = "chain"
STORE: Final = "store"
ROLLOUT: Final = "rollout"  # the online role of the chain's repository that may only choose
PACE_FIELD: Final = "x-oppet-pace"  # of the chain's root
PLAN: Final = "rollout/plan.json"
MOST_CANARIES: Final = 200

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,16}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Release = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Minutes = Annotated[int, Meta(ge=0, le=525_600)]
Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}\Z")]
Word = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*\Z")]

T = TypeVar("T")


class Software(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `custom` of a software target; the target itself is the index of the image's chunks. Both repositories say the same."""

    release: Release  # counts up; what decides which is newer
    version: Word  # for people
    role: Annotated[str, Meta(pattern=r"^(till|node)\Z")]
    hw: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,24}\Z")]  # "any" or what `platform.machine` says
    image: Digest
    image_bytes: Annotated[int, Meta(ge=1, le=4 << 30)]
    min_release: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0  # no rebuild goes below it (verify_for_rebuild)
    schema: Annotated[int, Meta(ge=1, le=10_000)] = 1  # of the journal's declarations: additive
    fiscal: Word = "1"  # version of the regulated functions; an ordinary release leaves it as it is
    fiscal_from: Annotated[str, Meta(max_length=40)] = ""  # the version it replaces, where the authority was told


class Goods(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `custom` of goods, guidance and mark-downs."""

    what: Annotated[str, Meta(pattern=r"^(assortment|guidance|markdowns)\Z")]
    number: Release  # counts up for each kind; a till never takes a lower one
    valid_from: Annotated[str, Meta(min_length=24, max_length=24)]
    withdraws: int = 0  # the number that this one takes back; its content is what was charged before
    store: Annotated[str, Meta(max_length=16)] = ""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the online role chooses: one doubly signed release for each role of machine. It cannot name bytes."""

    number: Release
    releases: dict[str, Release] = {}  # "till" or "node" → release
    nonce: Nonce = ""  # every till that meets a new one says in its journal what it runs, with this in it (RL14)


class Canary(msgspec.Struct, frozen=True):
    """A till that goes first, with the key of its own journal."""

    store: Name
    till: Name
    epoch: Annotated[int, Meta(ge=1)]
    key: Digest


class EmergencyPace(msgspec.Struct, frozen=True):
    """How fast a release under the higher threshold goes: quicker, never at once."""

    dwell_min: Minutes
    stores_permille_per_hour: Annotated[int, Meta(ge=1, le=60_000)]
    evidence_tills: Annotated[int, Meta(ge=1, le=MOST_CANARIES)]
    evidence_stores: Annotated[int, Meta(ge=1, le=MOST_CANARIES)]


class Pace(msgspec.Struct, frozen=True):
    """Who goes first, what they must show, and how fast the others follow. Times are of a till's own running."""

    stores: Annotated[int, Meta(ge=1, le=100_000)]  # how many the chain has: the ring of canaries is a bounded share
    canaries: Annotated[tuple[Canary, ...], Meta(max_length=MOST_CANARIES)]
    evidence_tills: Annotated[int, Meta(ge=1, le=MOST_CANARIES)]
    evidence_stores: Annotated[int, Meta(ge=1, le=MOST_CANARIES)]
    evidence_sales: Annotated[int, Meta(ge=0, le=100_000)]  # that each of them made on the release
    evidence_min: Minutes  # that each of them ran it
    dwell_min: Minutes  # after the evidence is good, before the first wave
    stores_permille_per_hour: Annotated[int, Meta(ge=1, le=60_000)]
    hold_min: Minutes  # that a till has held a new root before its canaries and pace count
    emergency: EmergencyPace


def read(data: bytes | object, kind: type[T], name: str) -> T:
    """Read a target's content (bytes) or its custom (what the framework decoded) as `kind`. Raises PublicationMalformedError."""
    try:
        return canonical.decode(data, kind) if isinstance(data, bytes) else msgspec.convert(data, kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PublicationMalformedError(name=name, reason=place_first(str(error))) from None


def software_name(role: str, release: int) -> str:
    return f"software/{role}-{release}.index"


def emergency_name(role: str, release: int) -> str:
    """Lists the same bytes as the release, under the chain's role with the higher threshold."""
    return f"emergency/{role}-{release}.index"


def goods_name(what: str, number: int, *, wide: bool) -> str:
    """`wide` is where two people sign: beyond the bounds of one (release/bounds.py)."""
    return f"{'wide' if wide else 'goods'}/{what}-{number}.json"


def markdown_name(store: str, number: int) -> str:
    return f"store/{store}/markdowns-{number}.json"


def store_root_name(store: str) -> str:
    """The chain's target that is the root of a store's own small repository."""
    return f"stores/{store}.root.json"


def health_name(image: str) -> str:
    return f"health/{image[:32]}.json"


def is_software(name: str) -> bool:
    return name.startswith("software/")


def is_goods(name: str) -> bool:
    return name.startswith(("goods/", "wide/"))


def is_store(name: str, store: str) -> bool:
    return name.startswith(f"store/{store}/")


PARTIES: Final = {VENDOR: N_("the vendor"), CHAIN: N_("the chain")}

# Why something is not taken or not yet: the word in the journal, and the sentence a cashier reads. An engineer reads the facts too.
REASONS: Final = {
    # the release is fine but not now
    "not_chosen": N_("Nobody has let this release go out yet."),
    "no_evidence": N_(
        "The trial tills have not yet shown that it works: {tills} of {need_tills} tills, in {stores} of {need_stores} stores."
    ),
    "canary_ill": N_("A trial till says that this release does not work: {till}."),
    "dwell": N_("This till waits before it takes a new release: about {minutes} minutes more of its own running time."),
    "wave": N_("It is not yet this store’s turn: about {minutes} minutes more of this till’s running time."),
    "frozen": N_("The store has stopped installs."),
    "open_hours": N_("Installs wait until the shop is quiet."),
    "stale": N_("Nothing has been heard from any source for a while: nothing new is installed."),
    "too_new_pace": N_("New rules for who goes first are here, but count only when this till has held them long enough."),
    # refused
    "one_party": N_("Only {party} signed this release. It is not installed."),
    "disagree": N_("Vendor and chain do not mean the same bytes. Nothing is installed."),
    "older": N_("This release is older than what runs. It is not installed."),
    "below_floor": N_("This release is below the oldest that may still be installed."),
    "wrong_role": N_("This release is for another kind of machine."),
    "wrong_hardware": N_("This release is for other hardware."),
    "fiscal": N_("This release changes the regulated functions without saying which it replaces."),
    "schema": N_("This release does not know entries that this till has written."),
    "too_many_canaries": N_("Somebody tries to make everybody a trial till. The old rules stay."),
    "threshold": N_("Too few of the keys that must sign have signed."),
    "expired": N_("What came down is too old. Nothing new is installed; selling goes on."),
    "rollback": N_("Somebody offers older lists than this till has seen."),
    "mix": N_("The lists that came down do not belong together."),
    "bytes": N_("The bytes are not what was signed."),
    "endless": N_("More bytes came than were signed for."),
    "slow": N_("The bytes came too slowly, and were given up."),
    "malformed": N_("What came down cannot be read."),
    "path": N_("A file in the release wants to be written where it may not."),
    "slot_changed": N_("The installed files were changed after they were checked."),
    "base": N_("This release needs other packages than this machine has."),
    "self_test": N_("The new release failed its self-test."),
    "returned": N_("This release did not work here. The one before runs again."),
    "bounds": N_("The prices change more than one person may change. A second one must sign."),
    "other_store": N_("These mark-downs are another store’s."),
    "no_markdown": N_("A store may only lower its prices, and not below what the chain allows."),
    "clock": N_("The time of this machine is in doubt: nothing new is installed or activated."),
    "caches_differ": N_("A cache gives different bytes to different tills."),
}  # fmt: skip
