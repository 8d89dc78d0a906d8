"""What a till does with what comes down: judge, wait by its own journal, fetch, switch between customers, and say so."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.journal.kinds import AlarmRaised
from oppet.journal.kinds_published import (
    Attested,
    HealthSaid,
    InstallsFrozen,
    PaceCounted,
    PaceHeld,
    PublicationRefused,
    ReleaseDwelt,
    ReleaseInstalled,
    ReleaseReturned,
    ReleaseSeen,
    ReleaseStaged,
    TrustMoved,
)
from oppet.release import intake as taking_in
from oppet.release.agree import Disagreed
from oppet.release.found import Found, Refused
from oppet.release.health import Signed, evidence_of
from oppet.release.intake import Takers, allowed
from oppet.release.ports import Began, Progress, Returned
from oppet.release.rings import HOUR_MS, wave_ms
from tests.release.chain import IMAGE, a_canary, a_pace, a_release
from tests.release.taking import (
    MINUTE,
    NIGHT,
    OLD,
    DiskGoneError,
    FakeHands,
    FakeSlots,
    Taking,
    a_look,
    agreed,
    me,
    versions,
    vouched,
)

WAVE_MIN = 600 + -(-wave_ms(IMAGE, "S09", 125) // MINUTE)
NEW = a_release()


def whys(till: Taking) -> list[str]:
    return [body.why for body in till.hands.bodies(ReleaseSeen) if isinstance(body, ReleaseSeen)]


def refusals(till: Taking) -> list[tuple[str, str]]:
    return [(one.what, one.why) for one in till.hands.bodies(PublicationRefused) if isinstance(one, PublicationRefused)]


# --- the road of a good release -----------------------------------------------------------------------------------------


def test_rl4_a_good_release_is_installed_after_evidence_dwell_and_wave_and_not_a_minute_sooner() -> None:
    till = Taking()
    till.beats(WAVE_MIN)
    assert till.slots.switched == []
    till.beats(4)
    assert till.slots.switched == [IMAGE]
    assert till.intake.leaving
    assert whys(till)[0] == "dwell"
    assert set(whys(till)) <= {"dwell", "wave", ""}
    assert till.hands.bodies(ReleaseStaged) == [ReleaseStaged(2, IMAGE, "b", 10, 3_000_000)]
    assert refusals(till) == []


def test_rl12_the_image_is_here_long_before_it_is_its_turn() -> None:
    till = Taking()
    till.beats(2)
    assert till.slots.fetched == [IMAGE]
    assert till.slots.switched == []


def test_rl4_a_canary_waits_for_nobody_and_says_how_it_does() -> None:
    till = Taking(me=me("S01"))
    till.beats(3)
    assert till.slots.switched == [IMAGE]
    after = till.again(running=NEW, active="b", began=Began(1, 2_300))
    installed = after.hands.bodies(ReleaseInstalled)[-1]
    assert installed == ReleaseInstalled(2, IMAGE, "b", 1, "1", 2_300)
    for _ in range(60):
        after.hands.folded.sold()
    after.beats(119)
    said = [body for body in after.hands.bodies(HealthSaid) if isinstance(body, HealthSaid)]
    after.beats(1)
    said = [body for body in after.hands.bodies(HealthSaid) if isinstance(body, HealthSaid)]
    proof = evidence_of([Signed(one.statement, one.signature) for one in said], IMAGE, a_pace())
    assert (proof.tills, proof.ill, proof.strangers) == (1, "", 0), "it counts as soon as it may"
    after.beats(24 * 60)
    assert len(after.hands.bodies(HealthSaid)) <= len(said) + 25


def test_rl4_only_a_canary_says_how_it_does() -> None:
    till = Taking(slots=FakeSlots(NEW, "b"))
    till.hands.folded.sold()
    till.beats(180)
    till.intake.stop()
    assert till.hands.bodies(HealthSaid) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"plan": None}, "not_chosen"),
        ({"health": ()}, "no_evidence"),
        ({"health": vouched(tills=(0, 1))}, "no_evidence"),
        ({"health": vouched(faults=1)}, "canary_ill"),
        ({"expired": ("chain",)}, "expired"),
    ],
)
def test_rl4_what_is_not_settled_is_neither_fetched_nor_counted(changes: dict[str, object], why: str) -> None:
    till = Taking(look=replace(a_look(), **changes))  # type: ignore[arg-type]
    till.beats(WAVE_MIN + 60)
    assert whys(till) == [why]
    assert (till.slots.fetched, till.slots.switched) == ([], [])
    assert till.hands.bodies(ReleaseDwelt) == []


def test_rl4_a_release_chosen_late_begins_its_dwell_then() -> None:
    """Else whoever owns the online role lets everybody dwell first, and then reaches all of them in one hour."""
    till = Taking(look=replace(a_look(), plan=None))
    till.beats(WAVE_MIN + 60)
    till.look = a_look()
    till.beats(WAVE_MIN)
    assert till.slots.switched == []
    till.beats(5)
    assert till.slots.switched == [IMAGE]


def test_rl4_dwell_is_of_the_tills_own_running_and_no_clock_makes_it_longer() -> None:
    till = Taking()
    till.beats(30)
    till.hands.began += 365 * 24 * HOUR_MS
    till.hands.ms += 30 * 24 * HOUR_MS  # the machine slept: only a minute of it counts
    till.beats(30)
    assert till.slots.switched == []
    till.intake.stop()
    assert till.hands.folded.dwelt[IMAGE] <= 61 * MINUTE


def test_rl4_what_a_till_has_waited_it_has_waited_after_a_restart_too() -> None:
    till = Taking()
    till.beats(WAVE_MIN - 100)
    till.intake.stop()
    after = till.again()
    after.beats(99)
    assert after.slots.switched == []
    after.beats(6)
    assert after.slots.switched == [IMAGE]


def test_rl4_a_power_cut_costs_minutes_and_never_gains_one() -> None:
    till = Taking()
    till.beats(WAVE_MIN - 100)
    kept = till.again().hands.folded.dwelt[IMAGE]
    assert (WAVE_MIN - 112) * MINUTE <= kept <= (WAVE_MIN - 100) * MINUTE


def test_rl4_evidence_that_is_an_hour_old_counts_no_more() -> None:
    till = Taking()
    till.beats(30)
    till.look = None
    till.beats(3 * WAVE_MIN)
    assert till.slots.switched == []
    assert till.intake.candidate is not None
    assert till.intake.candidate.verdict.why == "stale"
    till.intake.stop()
    assert till.hands.folded.dwelt[IMAGE] <= 91 * MINUTE


def test_rl5_an_emergency_is_quicker_and_still_waits() -> None:
    look = replace(a_look(), agreed=(agreed(emergency=True),), health=vouched(tills=(0, 1, 2, 3)))
    till = Taking(look=look)
    till.beats(29)
    assert till.slots.switched == []
    till.beats(WAVE_MIN - 570 + 4)
    assert till.slots.switched == [IMAGE]


# --- between two customers, in the store's hours --------------------------------------------------------------------------


def ready(**more: object) -> Taking:
    till = Taking(me=me("S01"), **more)  # type: ignore[arg-type]
    till.beats(1)
    return till


def test_rl12_the_switch_waits_for_the_customer_and_the_page_says_so() -> None:
    till = Taking(me=me("S01"), hands=FakeHands(idle=False, staff=True))
    till.beats(20)
    assert (till.intake.about_to, till.intake.leaving, till.slots.switched) == (True, False, [])
    till.hands.idle = True
    till.beats(1)
    assert (till.intake.leaving, till.slots.switched) == (True, [IMAGE])


def test_rl12_r22_outside_the_stores_hours_nothing_is_switched() -> None:
    till = ready(hours=NIGHT)
    till.beats(8 * 60)
    assert till.slots.fetched == [IMAGE]
    assert till.slots.switched == []
    assert whys(till) == ["open_hours"]
    till.beats(62)  # nine in the evening
    assert till.slots.switched == [IMAGE]


def test_rl12_r22_a_till_that_nobody_has_used_for_a_while_is_quiet() -> None:
    till = ready(hours=msgspec.structs.replace(NIGHT, quiet_min=30), hands=FakeHands(staff=True))
    till.beats(60)
    assert till.slots.switched == []
    till.hands.staff = False
    till.beats(28)
    assert till.slots.switched == []
    till.beats(5)
    assert till.slots.switched == [IMAGE]


def test_rl4_r22_a_stores_turn_comes_only_in_its_hours() -> None:
    """Else every store whose turn came by day would install in the same minute of the evening."""
    hours = msgspec.structs.replace(NIGHT, install=("21:00-21:30",))
    till = Taking(hours=hours)
    till.beats(24 * 60)
    till.intake.stop()
    assert till.hands.folded.dwelt[IMAGE] <= 632 * MINUTE
    assert till.slots.switched == []


@pytest.mark.parametrize(
    ("hours", "clock", "yes"),
    [
        (("21:00-07:00",), "21:00", True), (("21:00-07:00",), "06:59", True), (("21:00-07:00",), "07:00", False),
        (("00:00-24:00",), "23:59", True), ((), "12:00", False), (("01:00-02:00", "12:00-13:00"), "12:30", True),
    ],
)  # fmt: skip
def test_r22_hours_may_go_over_midnight(hours: tuple[str, ...], clock: str, yes: bool) -> None:
    assert allowed(hours, f"2026-11-23T{clock}") is yes


def test_rl12_a_frozen_store_neither_fetches_nor_switches() -> None:
    till = ready(hours=NIGHT)
    till.slots.slow = True
    till.slots.at = Progress("fetching", 2, IMAGE)
    till.intake.freeze(on=True, by=201)
    till.beats(1)
    assert till.slots.dropped == 1
    till.intake.freeze(on=True, by=201)
    till.beats(10 * 60)
    assert till.slots.switched == []
    assert till.hands.bodies(InstallsFrozen) == [InstallsFrozen(True, 201)]
    assert till.again().hands.folded.frozen
    till.slots.slow = False
    till.intake.freeze(on=False, by=201)
    till.beats(3)
    assert till.slots.switched == [IMAGE]


def test_rl12_a_clock_in_doubt_waits_and_installs_nothing() -> None:
    till = ready(hands=FakeHands(sure=False))
    till.beats(60)
    assert whys(till) == ["clock"]
    assert till.slots.switched == []
    till.hands.sure = True
    till.beats(3)
    assert till.slots.switched == [IMAGE]


# --- what is refused --------------------------------------------------------------------------------------------------------

REFUSED = [
    (a_look(disagreed=(Disagreed("software/till-3.index", "one_party", "vendor", 3),)), ("release", "one_party")),
    (a_look(disagreed=(Disagreed("software/till-2.index", "disagree", "", 2),), agreed=()), ("release", "disagree")),
    (a_look(agreed=(agreed(a_release(role="node"), name="software/till-2.index"),)), ("release", "wrong_role")),
    (a_look(agreed=(agreed(a_release(hw="riscv64")),)), ("release", "wrong_hardware")),
    (a_look(agreed=(agreed(a_release(fiscal="2")),)), ("release", "fiscal")),
    (a_look(agreed=(agreed(a_release(3), name="software/till-2.index"),)), ("release", "malformed")),
    (a_look(refused=(Refused("metadata", "rollback", "chain", reason="BadVersionNumberError"),)), ("metadata", "rollback")),
    (a_look(refused=(Refused("cache", "caches_differ", name="x"),)), ("cache", "caches_differ")),
    (a_look(expired=("vendor",)), ("metadata", "expired")),
    (a_look(root=2, pace=a_pace(canaries=tuple(a_canary(f"S{n:02}", f"S{n:02}-K1") for n in range(1, 60)))),
     ("metadata", "too_many_canaries")),
    (a_look(root=2, pace=a_pace(dwell_min=0)), ("metadata", "too_new_pace")),
]  # fmt: skip


@pytest.mark.parametrize(("look", "what"), REFUSED, ids=[why for _, (_, why) in REFUSED])
def test_rl10_what_is_refused_is_in_the_journal_with_an_alarm_once_and_moves_nothing(
    look: Found, what: tuple[str, str]
) -> None:
    honest = Taking(me=me("S01"), look=a_look(chosen=None))
    honest.beats(1)
    before = (honest.hands.folded.paces, honest.hands.folded.first, honest.hands.folded.repositories)
    honest.look = look
    honest.beats(12 * 60)
    assert what in refusals(honest)
    assert len(set(refusals(honest))) == len(refusals(honest)), "told once, not every minute"
    assert len(honest.hands.bodies(AlarmRaised)) == len(refusals(honest))
    after = (honest.hands.folded.paces, honest.hands.folded.first, honest.hands.folded.repositories)
    assert after == before
    if what[1] not in ("one_party", "rollback", "caches_differ", "too_many_canaries", "too_new_pace"):
        assert honest.slots.switched == []
    assert honest.told() == honest.again().told()


def test_rl10_a_cache_that_is_behind_for_minutes_is_no_liar_and_one_that_stays_behind_is() -> None:
    behind = a_look(refused=(Refused("metadata", "rollback", "chain", source="node"),))
    till = Taking(me=me("S01"), look=behind)
    till.beats(9)
    assert refusals(till) == []
    till.look = a_look()
    till.beats(1)
    till.look = behind
    till.beats(9)
    assert refusals(till) == []
    till.beats(3)
    assert refusals(till) == [("metadata", "rollback")]


def test_rl3_the_online_role_cannot_choose_an_older_release() -> None:
    look = a_look(chosen=1, agreed=(agreed(), agreed(a_release(1, image="cc" * 32))))
    till = Taking(me=me("S01"), slots=FakeSlots(msgspec.structs.replace(NEW, image="dd" * 32), "b"), look=look)
    till.beats(60)
    assert refusals(till) == [("release", "older")]
    assert till.slots.switched == []


def test_rl10_a_refusal_that_goes_on_is_told_again_after_a_day_and_a_listing_never() -> None:
    look = a_look(
        refused=(Refused("metadata", "slow", "chain"),),
        disagreed=(Disagreed("software/till-3.index", "one_party", "vendor", 3),),
    )
    till = Taking(look=look)
    till.beats(23 * 60)
    assert len(till.hands.bodies(PublicationRefused)) == 2
    till.beats(90)
    assert refusals(till).count(("metadata", "slow")) == 2
    assert refusals(till).count(("release", "one_party")) == 1


def test_rl10_a_flood_of_names_does_not_fill_the_journal() -> None:
    till, look = Taking(), a_look()
    for number in range(500):
        till.hands.ms += 1000
        till.intake.tick(
            replace(look, disagreed=(Disagreed(f"software/x-{number}.index", "one_party", "chain", number + 3),))
        )
    assert len(till.hands.bodies(PublicationRefused)) == taking_in.MOST_NEW
    assert till.intake.untold == 500 - taking_in.MOST_NEW
    assert len(till.hands.folded.refused) <= 20


def test_rl10_lists_older_than_the_journal_remembers_are_refused_though_the_folder_was_wiped() -> None:
    till = Taking(me=me("S01"), look=a_look(number=5, chosen=None))
    till.beats(1)
    after = till.again()
    after.look = a_look(number=4)
    after.beats(60)
    assert refusals(after) == [("metadata", "rollback")]
    assert after.slots.switched == []
    after.look = a_look(
        number=1, root=2, versions=versions(2, 1)
    )  # people signed a new root: the online keys begin anew
    after.beats(3)
    assert after.slots.switched == [IMAGE]


@pytest.mark.parametrize("why", ["bytes", "endless", "slow", "malformed", "path", "self_test"])
def test_rl10_an_image_that_is_wrong_is_told_and_asked_for_again_later_and_later(why: str) -> None:
    till = Taking(me=me("S01"), slots=FakeSlots(fails=[why] * 3))
    till.beats(30)
    assert refusals(till) == [("image", why)]
    assert 2 <= len(till.slots.fetched) <= 3
    till.beats(24 * 60)
    assert till.slots.switched == [IMAGE], (
        "a cache that healed is believed as little as before, and its bytes are right"
    )


def test_rl10_a_source_that_is_away_is_no_refusal() -> None:
    till = Taking(me=me("S01"), slots=FakeSlots(fails=["away"] * 2))
    till.beats(60)
    assert refusals(till) == []
    assert till.slots.switched == [IMAGE]


def test_rl11_a_slot_that_was_written_into_after_its_check_is_not_switched_to() -> None:
    till = Taking(me=me("S01"), slots=FakeSlots(changed=True))
    till.beats(5)
    assert refusals(till) == [("image", "slot_changed")]
    assert not till.intake.leaving
    till.slots.changed = False
    till.beats(15)
    assert till.intake.leaving


def test_rl11_a_release_that_did_not_work_here_is_told_once_and_not_tried_again() -> None:
    till = Taking(me=me("S01"), slots=FakeSlots(returned=Returned(2, IMAGE, "did_not_start", (("tries", "3"),))))
    assert isinstance(till.hands.bodies(ReleaseReturned)[0], ReleaseReturned)
    ill = [body for body in till.hands.bodies(HealthSaid) if isinstance(body, HealthSaid)]
    assert evidence_of([Signed(one.statement, one.signature) for one in ill], IMAGE, a_pace()).ill == "S01-K1"
    till.beats(24 * 60)
    assert till.slots.switched == []
    assert till.intake.candidate is not None
    assert till.intake.candidate.verdict.why == "returned"
    after = till.again(returned=Returned(2, IMAGE, "did_not_start"))
    assert len(after.hands.bodies(ReleaseReturned)) == 1
    assert after.slots.acknowledged >= 1


def test_rl3_a_till_that_finds_itself_on_an_older_release_says_so() -> None:
    till = Taking(slots=FakeSlots(NEW, "b"))
    after = till.again(running=OLD, active="a")
    assert [body.about for body in after.hands.bodies(AlarmRaised) if isinstance(body, AlarmRaised)] == [
        "older_release_runs"
    ]


# --- canaries and pace ----------------------------------------------------------------------------------------------------


SMALL = a_pace(stores=20, hold_min=300)
MINTED = msgspec.structs.replace(SMALL, canaries=(*SMALL.canaries[:2], a_canary("S09", "S09-K1")), hold_min=10)


def test_rl5_nobody_makes_this_till_a_canary_before_it_has_held_the_root_for_long() -> None:
    till = Taking(me=me(pace=SMALL), look=a_look(root=2, pace=MINTED, health=()))
    till.beats(299)
    assert till.slots.switched == []
    till.intake.stop()
    assert len(till.hands.bodies(PaceHeld)) == 2
    after = till.again()
    after.beats(1)
    after.intake.stop()
    after = after.again()
    after.beats(15)
    assert after.slots.switched == [IMAGE], "held as long as the pace before it says: now it counts"


def test_rl5_a_pace_that_was_withdrawn_while_it_was_held_never_counts() -> None:
    till = Taking(me=me(pace=SMALL), look=a_look(root=2, pace=MINTED, health=()))
    till.beats(250)
    till.look = a_look(root=3, pace=SMALL, health=())
    till.beats(320)
    assert till.slots.switched == []
    assert till.hands.folded.pace_of()[0] == SMALL


def test_rl5_a_pace_that_is_being_held_costs_few_entries() -> None:
    till = Taking(look=a_look(root=2, pace=a_pace(dwell_min=700)))
    till.beats(4 * 60)
    assert len(till.hands.bodies(PaceCounted)) <= 25
    assert len(till.hands.bodies(PaceHeld)) == 2


def test_rl5_whoever_signs_a_root_a_minute_does_not_fill_the_journal() -> None:
    till, look = Taking(), a_look()
    for number in range(120):
        till.look = replace(look, root=number + 2, pace=a_pace(dwell_min=700 + number))
        till.beats(1)
    assert len(till.hands.bodies(PaceHeld)) <= 4
    assert till.hands.folded.pace_of()[0] == a_pace()


# --- bounded, and said ------------------------------------------------------------------------------------------------------


def test_rl12_a_quiet_day_writes_little() -> None:
    look = a_look(agreed=())
    till = Taking(look=look)
    for number in range(12 * 60):
        till.look = replace(look, versions=versions(number=number + 1))
        till.look = replace(till.look, versions=tuple(
            msgspec.structs.replace(one, targets=1) for one in till.look.versions
        ))  # fmt: skip
        till.beats(1)
    assert len(till.hands.bodies(TrustMoved)) <= 12 * 12 + 1
    assert len(till.hands.bodies()) <= 12 * 12 + 5


def test_rl14_a_till_says_what_it_runs_at_the_start_daily_and_when_asked() -> None:
    till = Taking(look=a_look(agreed=()))
    till.beats(1)
    said = till.hands.bodies(Attested)
    assert len(said) == 1
    assert isinstance(said[0], Attested)
    assert (said[0].why, said[0].running, said[0].settings, said[0].goods) == ("start", 1, "5e" * 32, "goods-1")
    assert said[0].slots
    till.beats(24 * 60 + 2)
    assert [body.why for body in till.hands.bodies(Attested) if isinstance(body, Attested)] == ["start", "daily"]
    till.look = a_look(agreed=(), plan=msgspec.convert({"number": 2, "nonce": "ab12"}, type(a_look().plan or None)))
    till.beats(30)
    asked = till.hands.bodies(Attested)[-1]
    assert isinstance(asked, Attested)
    assert (asked.why, asked.nonce, len(till.hands.bodies(Attested))) == ("asked", "ab12", 3), "once for each nonce"
    assert till.slots.checks == 3, "of files read just now"


def test_rl14_nonces_by_the_thousand_are_answered_one_a_minute() -> None:
    till = Taking(look=None)
    for number in range(1000):
        till.hands.ms += 1000
        till.intake.ask(f"{number:04x}")
        till.intake.tick(None)
    assert len(till.hands.bodies(Attested)) <= 19


def test_rl12_a_till_that_no_launcher_started_looks_and_installs_nothing() -> None:
    till = Taking(me=me("S01"), slots=FakeSlots(None, ""))
    till.beats(60)
    assert (till.slots.fetched, till.slots.switched) == ([], [])
    assert [body.why for body in till.hands.bodies(Attested) if isinstance(body, Attested)] == ["start"]


def test_rl11_what_runs_is_proven_by_the_first_page_once() -> None:
    till = Taking(slots=FakeSlots(NEW, "b"))
    till.intake.shown()
    till.intake.shown()
    assert till.slots.was_proven == 1
    alone = Taking()
    alone.beats(2)
    assert alone.slots.was_proven == 1


class Looking:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.found: list[Found] = []

    def ask(self, now_ms: int) -> None:
        self.asked.append(now_ms)

    def heard(self) -> Found | None:
        return self.found.pop() if self.found else None


def test_rl12_one_look_is_handed_to_everybody_who_takes() -> None:
    first, second, looking = Taking(look=None), Taking(look=None), Looking()
    hands = first.hands
    takers = Takers(looking, hands.counter, hands.now, MINUTE, (first.intake, second.intake))
    looking.found.append(a_look())
    for _ in range(120):
        hands.ms += 1000
        takers.tick()
    assert len(looking.asked) == 2
    assert first.intake.found is second.intake.found is not None
    takers.look()
    takers.tick()
    assert len(looking.asked) == 3


# --- killed anywhere ------------------------------------------------------------------------------------------------------

LOOKS = st.sampled_from([
    a_look(), a_look(chosen=None), a_look(health=()), a_look(expired=("chain",)), a_look(agreed=()), None,
    a_look(disagreed=(Disagreed("software/till-3.index", "one_party", "vendor", 3),)),
    a_look(root=2, pace=a_pace(dwell_min=700)), a_look(number=3), a_look(refused=(Refused("metadata", "mix", "chain"),)),
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LOOKS, st.integers(1, 12), st.integers(0, 4)), max_size=12), st.booleans())
def test_rl10_killed_at_any_entry_the_journal_alone_gives_the_same_till(
    steps: list[tuple[Found | None, int, int]], canary: bool
) -> None:
    till = Taking(me=me("S01" if canary else "S09"))
    for look, minutes, left in steps:
        till.look = look
        till.hands.writes_left = left
        try:
            till.beats(minutes)
        except DiskGoneError:
            assert till.hands.folded == till.hands.replayed()
            till = till.again()
            continue
        assert till.hands.folded == till.hands.replayed()
        assert till.hands.folded.dwelt.get(IMAGE, 0) <= till.hands.ms
        till.hands.writes_left = 1_000_000
    if canary is False:
        assert till.slots.switched == []
    seen = [body.digest for body in till.hands.bodies(PaceHeld) if isinstance(body, PaceHeld)]
    assert len(seen) == len(set(seen)), "a pace is held once"


def test_rl10_killed_at_each_entry_of_a_whole_life_a_till_ends_where_it_would_have() -> None:
    whole = Taking(me=me("S01"))
    whole.beats(5)
    assert whole.slots.switched == [IMAGE]
    for cut in range(1, len(whole.hands.journal)):
        till = Taking(me=me("S01"))
        till.hands.writes_left = cut - len(till.hands.journal)
        try:
            till.beats(5)
        except DiskGoneError:
            till = till.again()
            till.beats(5)
        assert till.slots.switched == [IMAGE]
        kinds = [type(body).__name__ for body in till.hands.bodies() if not isinstance(body, Attested)]
        assert sorted(kinds) == sorted(set(kinds)), "nothing is said twice"
