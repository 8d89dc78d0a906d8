"""The page of certified tills: who may write in a till's name, which doors are open for a new one, and for how long.

Values only: certificates from the directory, invitations from the node. The code of an invitation is shown while it is
open and to the store manager alone. Keeps K8 (what is provisional is said to be) and K10 (a spent code is said to be).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oppet.base.clock import utc_text
from oppet.base.errors import clip
from oppet.base.words import N_
from oppet.store.web_views import LONGEST_WHY, Look
from oppet.sync.certificates import TillCertificate
from oppet.sync.enrolment import MINUTES, TRIES, Invitation

__all__ = ["CertificateView", "InvitationView", "certified", "invited"]

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
