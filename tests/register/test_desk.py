"""Whether a sale may begin, in the order in which a person must act; and a run from start to stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.fiscal.series import believe_series
from oppet.journal.errors import DiskFailedError
from oppet.journal.kinds import (
    CopyMade,
    EpochOpened,
    Receipt,
    SettingChanged,
    SignedIn,
    SignedOut,
    TillStarted,
    TillStopped,
)
from oppet.paper.paths import NoReceiptPathError
from oppet.register.desk import Rules
from oppet.register.errors import (
    ClockInDoubtError,
    DiskNearlyFullError,
    FloatMissingError,
    NotPossibleNowError,
    NotSignedInError,
    OutageOpenError,
)
from oppet.sale.rights import Limits
from tests.register.acts import refused
from tests.register.failing import a_failing_till
from tests.register.world import ALVA, BO, MILK, FakeUnit, World, a_till

DAY_MS = 86_400_000


def test_r05_a_disk_nearly_full_refuses_the_next_sale_and_lets_this_one_end(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, rules=Rules(disk_least_mb=0))
    till.selling.pick(MILK)
    parked = till.selling.park()
    till.selling.pick(MILK)
    till.desk.rules = Rules(disk_least_mb=1_000_000_000)
    till.selling.pick(MILK)
    till.selling.change(1, 2000)
    assert till.checkout.pay("cash", 10_000).kind == "done"
    assert len(world.paths[0].printed) == 1
    refused(
        DiskNearlyFullError,
        lambda: till.selling.pick(MILK),
        lambda: till.selling.begin("training"),
        lambda: till.selling.resume(parked),
        lambda: till.selling.member("M1"),
        lambda: till.returns.begin("1", BO),
    )
    assert till.drawer.z(BO).report.receipts == 1, "the day can be closed"
    assert till.desk.rules.disk_warn_mb == Rules().disk_warn_mb


def test_r05_a_disk_that_cannot_be_asked_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    till, world = a_till(tmp_path)

    def gone() -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(world.journal, "free_bytes", gone)
    till.desk.rules = Rules(disk_least_mb=1)
    assert till.desk.free_mb() == 0
    refused(DiskNearlyFullError, lambda: till.selling.pick(MILK))


def test_t3_what_a_sale_needs_is_asked_in_the_order_in_which_a_person_must_act(tmp_path: Path) -> None:
    """Who; then disk, clock, control unit; then the float that the right clock dates; then a path for the receipt."""
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    world.units[0].dead = True
    refused(Exception, lambda: till.checkout.pay("card", 1_690))
    till.drawer.z(BO)
    till.sign_out()
    world.paths[0].away = True
    world.clock.instant += DAY_MS
    till.desk.rules = Rules(disk_least_mb=1_000_000_000)
    refused(NotSignedInError, lambda: till.selling.pick(MILK))
    till.sign_in(ALVA)
    refused(DiskNearlyFullError, lambda: till.selling.pick(MILK))
    till.desk.rules = Rules(disk_least_mb=0)
    refused(ClockInDoubtError, lambda: till.selling.pick(MILK))
    till.desk.confirm_time(None, BO)
    refused(OutageOpenError, lambda: till.selling.pick(MILK))
    world.units[0].dead = False
    till.checkout.end_outage(0, 0, BO)
    refused(FloatMissingError, lambda: till.selling.pick(MILK))
    till.drawer.set_float(50_000)
    refused(NoReceiptPathError, lambda: till.selling.pick(MILK))
    world.paths[0].away = False
    till.selling.pick(MILK)


def test_t2_a_new_epoch_begins_once_and_each_run_says_how_the_last_ended(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start().stop()
    world.start()
    world.start().stop()
    assert len(world.bodies(EpochOpened)) == 1
    told = [type(body) for _, body in world.entries() if type(body) is not SettingChanged]
    assert told[:3] == [EpochOpened, TillStarted, TillStopped]
    assert [body.unclean for body in world.bodies(TillStarted) if isinstance(body, TillStarted)] == [False, False, True]
    assert {b.prices for b in world.bodies(TillStarted) if isinstance(b, TillStarted)} == {"test-1"}


def test_t9_every_setting_and_every_change_of_one_is_in_the_journal(tmp_path: Path) -> None:
    """Behandlingshistorik (BFL 5:11; SKVFS 2014:9 5 kap.): retrievable, and no quieter way to a higher limit."""
    _, world = a_till(tmp_path)
    first = [body for body in world.bodies(SettingChanged) if isinstance(body, SettingChanged)]
    assert {body.name: body.after for body in first} == {
        "disk_least_mb": "0",
        "disk_warn_mb": "2000",
        "electronic": "True",
        "limits.abandon_ore": "50000",
        "limits.discount_percent": "10",
        "limits.lone_day_ore": "200000",
        "limits.lone_return_ore": "50000",
        "limits.void_ore": "20000",
        "payment_paths": "–",
        "risk.card_ore": "150000",
        "risk.store_day_ore": "20000000",
        "risk.swish_ore": "50000",
        "risk.till_day_ore": "4000000",
        "receipt_paths": "printer",
        "units": "FAKE0001",
        "views_every": "20000",
        "vouchers.largest_ore": "100000",
        "vouchers.layout": "99NNNNNNAAAAC",
        "vouchers.lone_day_ore": "100000",
        "vouchers.lone_ore": "20000",
    }
    world.start()
    assert len(world.bodies(SettingChanged)) == len(first), "what did not change is not told again"
    world.rules = Rules(disk_least_mb=0, limits=Limits(discount_percent=90))
    world.units.append(FakeUnit("SECOND01"))
    again = world.start()
    later = [body for body in world.bodies(SettingChanged) if isinstance(body, SettingChanged)][len(first) :]
    assert [(body.name, body.before, body.after) for body in later] == [
        ("limits.discount_percent", "10", "90"),
        ("units", "FAKE0001", "FAKE0001, SECOND01"),
    ]
    assert again.desk.state.settings["limits.discount_percent"] == "90"


def test_r27_signing_in_over_somebody_signs_them_out_first(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.sign_in(BO)
    till.sign_out()
    refused(NotSignedInError, till.sign_out)
    assert [b.staff for b in world.bodies(SignedIn) if isinstance(b, SignedIn)] == [7, 3]
    assert [b.staff for b in world.bodies(SignedOut) if isinstance(b, SignedOut)] == [7, 3]
    assert all(set(b.__struct_fields__) <= {"staff", "role"} for b in world.bodies(SignedIn)), "numbers, never names"


@pytest.mark.parametrize("after", [True, False])
def test_t7_a_disk_that_fails_and_comes_back_is_read_again(tmp_path: Path, after: bool) -> None:
    till, world = a_failing_till(tmp_path)
    till.selling.pick(MILK)
    world.fail_at(0, after=after, power=False)
    refused(DiskFailedError, lambda: till.selling.pick(MILK))
    assert len(till.desk.state.baskets[1].lines) == 1, "nothing was acted on"
    till.selling.pick(MILK)
    assert len(till.desk.basket().lines) == (3 if after else 2), "what the disk holds is what happened"
    assert till.checkout.pay("card", till.desk.priced(till.desk.basket()).total_ore).kind == "done"
    assert believe_series(entry for entry, _ in world.entries()) == []


def test_t1_a_confirmed_time_that_was_not_written_is_not_believed(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path)
    world.clock.instant += DAY_MS
    refused(ClockInDoubtError, lambda: till.selling.pick(MILK))
    world.fail_at(0, after=False, power=False)
    refused(DiskFailedError, lambda: till.desk.confirm_time(None, BO))
    refused(ClockInDoubtError, lambda: till.selling.pick(MILK))


def test_t7_a_case_number_is_not_used_twice(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    for _ in range(3):
        till.selling.pick(MILK)
        world.units[0].plan = ["silent_registered"] * 2
        assert till.checkout.pay("card", 1_690).kind == "code_unknown"
        till.checkout.open_unit("FAKE0001", BO)
    assert sorted(till.desk.state.cases) == [1, 2, 3]


def test_t2_what_is_filed_is_what_is_on_disk(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    till.checkout.copy(1)
    till.selling.begin("training")
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    for restarted in (False, True):
        desk = world.start().desk if restarted else till.desk
        for series, kind in (("normal", Receipt), ("copy", CopyMade), ("training", Receipt)):
            filed = desk.filed(series, 1)
            assert filed is not None
            entry, body = world.entries()[filed.seq - 1]
            assert (type(filed.body), filed.body, filed.time) == (kind, body, entry.time)
        assert desk.filed("normal", 2) is None
        assert desk.filed("copy", 0) is None


def test_s2_signing_out_waits_for_a_registration(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(MILK)
    till.desk.basket().state = "being registered"
    refused(NotPossibleNowError, till.sign_out)
