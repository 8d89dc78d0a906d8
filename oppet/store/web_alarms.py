"""What each alarm of the store node means to the manager, and what to do: one table.

An alarm is something that a bad cable does not explain. Its words are the keeper's; this file only explains them. One
that is not in the table is shown with its facts and a way to operations.
"""

from __future__ import annotations

from dataclasses import dataclass

from oppet.base.errors import clip
from oppet.base.words import N_
from oppet.paper.sheet import Say
from oppet.store.web_node import Alarm

__all__ = ["AlarmView", "alarm_view"]

EVIDENCE = N_("Everything is kept as evidence. Call operations with the time above.")
ALARMS: dict[str, tuple[str, str]] = {
    "fork": (
        N_("Two different journals from one till"),
        N_(
            "An old disk image was restored, or the till was copied. Both histories are kept and each counts once. "
            "Stop selling at this till, enrol it again under New till, and call operations."
        ),
    ),
    "ForgedBatchError": (
        N_("Entries that the till did not sign"),
        N_("Somebody sent entries in this till’s name without its key. Nothing of it was kept. Call operations."),
    ),
    "PackedBombError": (
        N_("A batch made to fill the disk"),
        N_("Somebody tried to overwhelm the store node. Nothing of it was kept. Call operations."),
    ),
    "BadCertificateError": (
        N_("A certificate that nobody we believe signed"),
        N_("Somebody tried to pass for a till of this store. It was turned away. Call operations."),
    ),
    "ForgedAckError": (
        N_("An acknowledgement that cannot be true"),
        N_("A keeper says it has what it cannot have. What it says does not count. Call operations."),
    ),
    "OldImageError": (
        N_("A till was started from an old disk image"),
        N_("The till refuses to sell. Enrol it again under New till."),
    ),
    "EpochRevokedError": (
        N_("A revoked till is still trying to send"),
        N_("Take the machine off the network and call operations."),
    ),
    "keeper lost entries": (
        N_("A keeper had lost entries"),
        N_("It is being sent all of them again by itself. Nothing is to be done here; ask why its disk lost them."),
    ),
    "WrongKeeperError": (
        N_("A machine that is not HQ answered in its name"),
        N_("Nothing was sent to it; everything waits here. Call operations."),
    ),
    "returned twice": (
        N_("The same goods were taken back at two tills"),
        N_("The tills could not ask each other when it happened. Compare the two return receipts with those who sold."),
    ),
    "voucher paid twice": (
        N_("The same pant voucher was paid at two tills"),
        N_("The tills could not ask each other when it happened. Compare the slips in the two drawers."),
    ),
    "papers damaged": (
        N_("Certificates kept here could not be read"),
        N_("HQ and the tills show them again by themselves. Have the disk looked at."),
    ),
    "kept journal damaged": (
        N_("A copy of a till’s journal was damaged on this disk"),
        N_("The copy was set aside and the till sends it again. Have the disk looked at."),
    ),
    "audit_journal_lost": (
        N_("The store node’s own journal was lost"),
        N_("A new one has begun; the old file is left as it is, as evidence. Call operations."),
    ),
}
FACT_WORDS = {
    "till": N_("Till"), "epoch": N_("Epoch"), "seq": N_("Entry"), "branch": N_("Branch"), "why": N_("Why"), "peer": N_("From"),
    "keeper": N_("Keeper"), "file": N_("File"), "reason": N_("Reason"), "whose": N_("Whose"),
    "times_before": N_("Times before"), "largest": N_("Largest allowed"), "from_seq": N_("Has now up to"), "had": N_("Had before"),
    "original": N_("Original receipt"), "line": N_("Line"), "at": N_("At"), "bought_milli": N_("Bought, thousandths"),
    "returned_milli": N_("Returned, thousandths"), "voucher": N_("Voucher"), "amount": N_("Amount"),
}  # fmt: skip
LONGEST_SHOWN = 80
SHORT_DIGEST = 12


@dataclass(frozen=True, slots=True)
class AlarmView:
    time: str  # UTC
    title: str
    advice: str
    till: str  # "" where it is about none
    facts: tuple[tuple[str, str], ...]


def alarm_view(alarm: Alarm, say: Say) -> AlarmView:
    title, advice = ALARMS.get(alarm.about, (alarm.about, EVIDENCE))
    facts = dict(alarm.facts)
    shown = tuple((say(FACT_WORDS.get(name, clip(name, 30))), _fact(name, value)) for name, value in alarm.facts[:12])
    return AlarmView(alarm.time, clip(say(title)), say(advice), clip(facts.get("till", ""), 40), shown)


def _fact(name: str, value: str) -> str:
    return f"{value[:SHORT_DIGEST]}…" if name == "branch" and len(value) > SHORT_DIGEST else clip(value, LONGEST_SHOWN)
