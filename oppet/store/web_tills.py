"""Pages about the store's tills: who may write in a till's name, which doors are open for a new one, and how their payments stand.

Values only: certificates from the directory, invitations from the node, payments from the folds of journals. The code of an invitation
is shown while it is open and to the store manager alone. Keeps K8 (what is provisional is said to be), K10 (a spent code is said to be)
and PT8 (how each way of paying works is seen and said).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oppet.base.clock import utc_text
from oppet.base.errors import clip
from oppet.base.words import N_
from oppet.fiscal.takings import PathLine, Risky, Way
from oppet.payments.risk import RiskLimits
from oppet.payments.tender import Attempt
from oppet.store.web_views import LONGEST_WHY, Look, TillView
from oppet.sync.certificates import TillCertificate
from oppet.sync.enrolment import MINUTES, TRIES, Invitation

__all__ = [
    "CertificateView", "Counted", "InvitationView", "OpenView", "PathView", "PaymentsView", "RiskyView", "WayView", "certified",
    "invited", "payments",
]  # fmt: skip

MOST_INVITATIONS = 20
MINUTE_MS = 60_000
SETTINGS = "SETTINGS"  # where the till's settings lie is known at the till alone


@dataclass(frozen=True, slots=True)
class CertificateView:
    certificate: TillCertificate
    kind: str
    words: str
    why: str
    revocable: bool


@dataclass(frozen=True, slots=True)
class InvitationView:
    invitation: Invitation
    kind: str
    words: str
    code: str  # in two groups, "" once it is of no use
    until: str  # UTC
    command: str  # what is typed at the till; "" once it is of no use


def certified(look: Look) -> list[CertificateView]:
    """Every epoch of every till of the store, the newest of each till first."""
    say, found = look.say, []
    for certificate in look.certificates():
        standing = look.directory.standing(certificate.till, certificate.epoch)
        assert standing is not None, "a certificate that is listed is known"
        if standing.revoked:
            kind, words, why = "off", say(N_("Revoked")), clip(standing.revoked, LONGEST_WHY)
        elif standing.provisional:
            kind, words = "warn", say(N_("Provisional"))
            why = say(
                N_("HQ or another till of the store has not countersigned it yet; its sales count as provisional")
            )
        else:
            kind, words, why = "ok", say(N_("Countersigned")), ""
        found.append(CertificateView(certificate, kind, words, why, not standing.revoked))
    return sorted(found, key=lambda view: (view.certificate.till, -view.certificate.epoch))


def invited(invitations: Sequence[Invitation], look: Look) -> list[InvitationView]:
    """Invitations of tills, the newest first."""
    tills = [invitation for invitation in invitations if invitation.what == "till"]
    newest = sorted(tills, key=lambda invitation: -invitation.made)[:MOST_INVITATIONS]
    return [_view(invitation, look) for invitation in newest]


def _view(invitation: Invitation, look: Look) -> InvitationView:
    say, ends = look.say, invitation.made + MINUTES * MINUTE_MS
    kind, words, code, command = "open", "", "", ""
    if invitation.used:
        kind, words = "ok", say(N_("Used: the till has its certificate"))
    elif invitation.tries >= TRIES:
        kind, words = "off", say(N_("Spent: {tries} wrong codes were tried")).format(tries=invitation.tries)
    elif not invitation.made <= look.now < ends:
        kind, words = "open", say(N_("Too old"))
    else:
        left = -((look.now - ends) // MINUTE_MS)
        kind, words = "late", say(N_("Waits for the till, {minutes} minutes left")).format(minutes=left)
        code = f"{invitation.code[:4]} {invitation.code[4:]}"
        command = f"oppet till enrol {SETTINGS} --store {look.node.url} --invitation {invitation.name} --code {invitation.code}"
    return InvitationView(invitation, kind, words, code, utc_text(ends), command)


# --- payments ---------------------------------------------------------------------------------------------------------

SIGNS = {"working": "ok", "slow": "late", "alone": "late", "down": "off"}
STATES = {"working": N_("works"), "slow": N_("slow"), "alone": N_("offline: the terminal decides"), "down": N_("down")}
WORST_FIRST = ("off", "late", "open", "ok")
Place = tuple[str, str, str]  # a terminal's total: till, path, local day


@dataclass(frozen=True, slots=True)
class Counted:
    """What a terminal's own total or a report said of one way of paying, typed in by somebody."""

    ore: int
    by: int
    time: str  # UTC


@dataclass(frozen=True, slots=True)
class PathView:
    till: str
    line: PathLine
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class OpenView:
    till: str
    one: Attempt


@dataclass(frozen=True, slots=True)
class RiskyView:
    till: str
    one: Risky


@dataclass(frozen=True, slots=True)
class WayView:
    till: str
    way: Way
    counted: Counted | None

    @property
    def difference_ore(self) -> int:
        return 0 if self.counted is None else self.counted.ore - self.way.net_ore


@dataclass(frozen=True, slots=True)
class PaymentsView:
    """How the store's payments stand now."""

    paths: tuple[PathView, ...]  # the worst first
    open: tuple[OpenView, ...]  # the oldest first
    risky: tuple[RiskyView, ...]
    ways: tuple[WayView, ...]
    risk_ore: int
    limit_ore: int

    @property
    def share(self) -> int:
        return min(100, 100 * self.risk_ore // max(1, self.limit_ore))


def payments(look: Look, limits: RiskLimits, counted: Mapping[Place, Counted]) -> PaymentsView:
    """Every way of paying of every till that is not out of use, and what its services decided today."""
    paths: list[PathView] = []
    found: list[OpenView] = []
    risky: list[RiskyView] = []
    ways: list[WayView] = []
    for till in look.tills:
        if (
            till.history is not None
            and not till.day.closed
            and not (till.standing is not None and till.standing.revoked)
        ):
            paths += [_path(till, line, look) for line in till.day.takings.paths.values()]
        sums: dict[str, Way] = {}
        for _, day, _ in till.rows:
            found += [OpenView(till.name, one) for one in day.takings.open()]
            risky += [RiskyView(till.name, one) for one in day.takings.risky_on(look.today)]
            for way in day.takings.on(look.today):
                sums[way.path] = _together(sums.get(way.path), way)
        ways += [WayView(till.name, way, counted.get((till.name, name, look.today))) for name, way in sums.items()]
    return PaymentsView(
        tuple(sorted(paths, key=lambda view: (WORST_FIRST.index(view.kind), view.till, view.line.path))),
        tuple(sorted(found, key=lambda view: (view.one.time, view.till))),
        tuple(sorted(risky, key=lambda view: (view.one.time, view.till))),
        tuple(sorted(ways, key=lambda view: (view.till, view.way.path))),
        sum(view.way.risk_ore for view in ways), limits.store_day_ore,
    )  # fmt: skip


def _path(till: TillView, line: PathLine, look: Look) -> PathView:
    if till.kind not in ("ok", "warn"):
        return PathView(till.name, line, "open", look.say(N_("not known: the till is silent or off")))
    words = look.say(STATES.get(line.state, N_("not known")))
    return PathView(till.name, line, SIGNS.get(line.state, "open"), words)


def _together(before: Way | None, way: Way) -> Way:
    """Epochs of one till on one day, as its terminal sees them: one till."""
    if before is None:
        return way
    names = way.__struct_fields__[2:]
    return Way(way.path, way.means, *(getattr(before, name) + getattr(way, name) for name in names))
