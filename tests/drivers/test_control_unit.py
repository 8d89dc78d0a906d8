"""One suite judges every control unit driver, against its simulator as a separate process (R23)."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from oppet.fiscal.unit import (
    ControlUnit,
    Done,
    GiveUp,
    Interrupted,
    Send,
    State,
    UnitAnswer,
    UnitCode,
    UnitRefused,
    UnitSilent,
    begin,
    next_action,
    step,
)
from tests.simulators.running import ANSWER_S, ORG_NO, Simulator, a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oppet.drivers.control_unit_skattedosan import SkattedosanUnit
    from oppet.drivers.control_unit_xccsp import XccspUnit

NAMES = ["skattedosan", "cleancash"]
NOT_SERIAL = {"busy", "server_busy", "no_unit", "drop"}  # the Skattedosan has no such words, and no connection to drop


class Pool:
    """Simulators that serve several tests, each under its own register, until one is killed or floods its line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[tuple[str, str], Simulator] = {}
        self.numbers = count(1)

    def simulator(self, name: str, unit: str) -> Simulator:
        if (name, unit) not in self.running:
            memory = self.folder / f"{name}-{next(self.numbers)}"
            self.running[name, unit] = Simulator(name, memory, "--unit", unit, "--fast")
        return self.running[name, unit]

    def discard(self, simulator: Simulator) -> None:
        simulator.kill()
        self.running = {key: other for key, other in self.running.items() if other is not simulator}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    made = Pool(tmp_path_factory.mktemp("units"))
    yield made
    for simulator in list(made.running.values()):
        made.discard(simulator)


class Bench:
    """One simulator, a driver that is new to it, and a register that is."""

    def __init__(self, pool: Pool, name: str) -> None:
        self.pool = pool
        self.name = name
        self.simulator = pool.simulator(name, "FIRST")
        self.driver: SkattedosanUnit | XccspUnit = self.simulator.driver()
        self.register_name = f"K{next(pool.numbers)}"
        self.serial = 0
        self.spoilt = False

    def order(self, fault: str, **more: object) -> None:
        self.spoilt |= fault == "huge"
        self.simulator.order(fault, **more)

    def restart(self) -> None:
        """The same unit after a power cut, and a till that finds it where it now is."""
        self.spoilt = True
        self.pool.discard(self.simulator)
        self.simulator = Simulator(self.name, self.simulator.state_file, "--unit", "FIRST")
        self.driver.close()
        self.driver = self.simulator.driver()

    def register(self, number: int, **more: Any) -> UnitAnswer:
        self.serial += 1
        return self.send(self.driver, number, self.serial, **more)

    def send(self, driver: ControlUnit, number: int, serial: int, **more: Any) -> UnitAnswer:
        wanted = {"register": self.register_name} | more
        return driver.register(a_request(number, serial=number if driver.repeat_keeps_serial else serial, **wanted))

    def registered(self, simulator: Simulator | None = None) -> list[dict[str, Any]]:
        """What a unit has registered for this test's register."""
        everything = (simulator or self.simulator).state(tail=1_000_000)["registrations"]
        return [one for one in everything if one["register"] == self.register_name]

    def counter(self) -> int:
        return len(self.registered())

    def last_code(self) -> str:
        code: str = self.registered()[-1]["code"]
        return code

    def close(self) -> None:
        self.driver.close()
        if self.spoilt:
            self.pool.discard(self.simulator)
        else:
            self.simulator.order("clear")


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Bench]:
    made = Bench(pool, request.param)
    yield made
    made.close()


def each_unit(*faults: dict[str, Any]) -> pytest.MarkDecorator:
    """Every fault with every unit that knows it."""
    cases = [
        (name, fault) for name in NAMES for fault in faults if name == "cleancash" or fault["fault"] not in NOT_SERIAL
    ]
    names = [f"{name}-{'-'.join(str(value) for value in fault.values())}" for name, fault in cases]
    return pytest.mark.parametrize(("bench", "fault"), cases, indirect=["bench"], ids=names)


def test_r23_a_driver_is_a_control_unit(bench: Bench) -> None:
    port: ControlUnit = bench.driver
    assert port.unit == bench.simulator.unit


def test_r23_a_registration_gives_the_units_own_code(bench: Bench) -> None:
    answer = bench.register(1)
    assert answer == UnitCode(bench.simulator.unit, bench.last_code(), "ok")
    assert bench.counter() == 1


def test_r23_a_hundred_receipts_have_a_hundred_codes(bench: Bench) -> None:
    codes = {answer.code for number in range(1, 101) if isinstance(answer := bench.register(number), UnitCode)}
    assert len(codes) == 100
    assert bench.counter() == 100


@pytest.mark.parametrize(
    ("receipt_type", "coded"), [("normal", True), ("kopia", True), ("ovning", False), ("profo", False)]
)
def test_r23_only_receipts_and_copies_get_codes(bench: Bench, receipt_type: str, *, coded: bool) -> None:
    answer = bench.register(1, receipt_type=receipt_type)
    assert isinstance(answer, UnitCode)
    assert bool(answer.code) is coded


def test_r23_returns_and_every_vat_rate_are_accepted(bench: Bench) -> None:
    vat = ((2500, 2000), (1200, 1071), (600, 566), (0, 0))
    assert isinstance(bench.register(1, total_ore=50_000, vat=vat), UnitCode)
    assert isinstance(bench.register(2, total_ore=0, negative_ore=50_000, vat=vat), UnitCode)
    assert isinstance(bench.register(3, total_ore=0, vat=()), UnitCode)
    assert [one["negative"] - one["total"] for one in bench.registered()] == [-50_000, 50_000, 0]


def test_r23_the_same_receipt_again_is_the_same_code_and_counts_nothing(bench: Bench) -> None:
    first = bench.register(1)
    assert bench.register(1) == first
    assert bench.counter() == 1


def test_r23_the_same_number_with_other_contents_is_refused(bench: Bench) -> None:
    bench.register(1)
    assert isinstance(bench.register(1, total_ore=9_900), UnitRefused)
    assert bench.counter() == 1


@pytest.mark.parametrize("unsound", [{"org_no": "1"}, {"total_ore": -1}, {"vat": ((700, 1),)}, {"register": "K 三"}])
def test_r23_an_unsound_request_never_leaves(bench: Bench, unsound: dict[str, Any]) -> None:
    answer = bench.register(1, **unsound)
    assert isinstance(answer, UnitRefused)
    assert answer.reason == "invalid"


def test_r23_a_probe_sees_a_ready_unit_and_leaves_it_as_it_was(bench: Bench) -> None:
    for number in range(1, 4):
        status = bench.driver.probe(bench.register_name, ORG_NO)
        assert status.ready, status
        assert (status.unit, status.main, status.storage) == (bench.simulator.unit, "0", "ok")
        assert isinstance(bench.register(number), UnitCode)


@each_unit({"fault": "full"}, {"fault": "busy"}, {"fault": "server_busy"}, {"fault": "no_unit"})
def test_r23_an_explicit_no_is_a_refusal_and_nothing_is_registered(bench: Bench, fault: dict[str, str]) -> None:
    bench.order(**fault, count=0)
    answer = bench.register(1)
    assert isinstance(answer, UnitRefused)
    assert answer.reason == fault["fault"].removeprefix("server_")
    assert bench.counter() == 0
    bench.order("clear")
    assert isinstance(bench.register(1), UnitCode)


def test_r23_a_unit_out_of_order_is_seen_by_the_probe(bench: Bench) -> None:
    bench.order("not_operational")
    assert not bench.driver.probe(bench.register_name, ORG_NO).ready
    answer = bench.register(1)
    assert isinstance(answer, UnitRefused)
    assert answer.reason == "not_operational"
    assert bench.counter() == 0


SILENCES = each_unit(
    {"fault": "silent_registered"},
    {"fault": "silent_unregistered"},
    {"fault": "garbage"},
    {"fault": "half"},
    {"fault": "huge"},
    {"fault": "hostile"},
    {"fault": "drop"},
)


@SILENCES
def test_r23_no_readable_answer_is_silence_and_the_repeat_gives_the_code(bench: Bench, fault: dict[str, str]) -> None:
    first = bench.register(1)
    bench.order(**fault)
    started = time.monotonic()
    answer = bench.register(2)
    assert isinstance(answer, UnitSilent)
    assert len(answer.raw) <= 300
    assert answer.raw.isprintable()
    assert time.monotonic() - started < 4 * ANSWER_S
    repeat = bench.register(2)
    assert repeat == UnitCode(bench.simulator.unit, bench.last_code(), "ok")
    assert repeat != first
    assert bench.counter() == 2


@SILENCES
def test_r23_the_receipt_after_a_silence_never_gets_the_silent_ones_code(bench: Bench, fault: dict[str, str]) -> None:
    bench.order(**fault)
    assert isinstance(bench.register(1), UnitSilent)
    answer = bench.register(2)
    assert answer == UnitCode(bench.simulator.unit, bench.last_code(), "ok")
    assert bench.registered()[-1]["receipt_id"] == 2


def test_r23_a_late_answer_is_never_taken_for_the_next_receipts(bench: Bench) -> None:
    bench.order("slow", seconds=ANSWER_S * 1.4)
    assert isinstance(bench.register(1), UnitSilent)
    answer = bench.register(2)  # the first one's answer arrives meanwhile
    assert answer == UnitCode(bench.simulator.unit, bench.last_code(), "ok")
    assert bench.counter() == 2


def test_r23_a_slow_answer_within_the_time_is_an_answer(bench: Bench) -> None:
    bench.order("slow", seconds=ANSWER_S * 0.4)
    assert isinstance(bench.register(1), UnitCode)


@pytest.mark.parametrize("kind", ["unit", "receipt"])
def test_r23_a_code_of_another_unit_or_receipt_is_not_believed(bench: Bench, kind: str) -> None:
    bench.register(1)
    bench.order("wrong", kind=kind)
    answer = bench.register(2)
    assert isinstance(answer, UnitSilent)
    assert "another" in answer.raw
    assert bench.register(2) == UnitCode(bench.simulator.unit, bench.last_code(), "ok")


def test_r23_a_unit_that_is_not_the_configured_one_is_not_ready(bench: Bench) -> None:
    stranger = bench.simulator.driver(unit="11A2")
    bench.driver.close()
    assert not stranger.probe(bench.register_name, ORG_NO).ready
    assert not isinstance(stranger.register(a_request(1)), UnitCode)
    stranger.close()


def test_r23_a_unit_killed_between_two_receipts_is_unreachable_and_nothing_was_sent(bench: Bench) -> None:
    assert isinstance(bench.register(1), UnitCode)
    bench.spoilt = True
    bench.simulator.kill()
    answer = bench.register(2)
    assert isinstance(answer, UnitRefused)
    assert answer.reason == "unreachable"
    assert not bench.driver.probe(bench.register_name, ORG_NO).ready


def test_r23_a_unit_killed_and_back_knows_the_receipt_it_answered(bench: Bench) -> None:
    first = bench.register(1)
    bench.restart()
    assert bench.register(1) == first
    assert isinstance(bench.register(2), UnitCode)
    assert bench.counter() == 2


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.1])
def test_r23_a_unit_killed_while_it_answers_registers_at_most_once(bench: Bench, after_s: float) -> None:
    bench.register(1)
    bench.order("slow", seconds=ANSWER_S / 2)
    killer = threading.Timer(after_s, bench.simulator.process.kill)
    killer.start()
    answer = bench.register(2)
    killer.join()
    assert isinstance(answer, UnitSilent | UnitRefused)  # refused: it was dead before a byte was sent
    bench.restart()
    assert bench.counter() <= (1 if isinstance(answer, UnitRefused) else 2)
    assert bench.register(2) == UnitCode(bench.simulator.unit, bench.last_code(), "ok")
    assert bench.counter() == 2


def test_r23_closing_is_harmless_and_the_next_question_opens_again(bench: Bench) -> None:
    bench.driver.close()
    bench.driver.close()
    assert isinstance(bench.register(1), UnitCode)
    bench.driver.close()
    assert isinstance(bench.register(2), UnitCode)


INNER_FAILURE = {"skattedosan": 15, "cleancash": 98}  # a no that may follow a registration


@each_unit(
    {"fault": "full"},
    {"fault": "busy", "count": 3},
    {"fault": "not_operational"},
    {"fault": "silent_registered"},
    {"fault": "silent_registered", "count": 2},
    {"fault": "silent_unregistered"},
    {"fault": "silent_unregistered", "count": 2},
    {"fault": "wrong"},
    {"fault": "wrong", "kind": "receipt", "count": 2},
    {"fault": "garbage"},
    {"fault": "half"},
    {"fault": "huge", "count": 2},
    {"fault": "hostile"},
    {"fault": "drop"},
    {"fault": "slow", "seconds": ANSWER_S * 1.4},
    {"fault": "error", "kind": "registered"},
    {"fault": "error", "kind": "registered", "count": 2},
    {"fault": "error"},
)
@pytest.mark.parametrize("crash", [False, True])
def test_r23_one_receipt_over_two_units_is_registered_once_or_known_unknown(
    bench: Bench, fault: dict[str, Any], *, crash: bool
) -> None:
    """The whole walk: a fault in the first unit, a well second unit, and a till that dies after sending."""
    other = bench.pool.simulator(NAMES[bench.name == NAMES[0]], "SECOND")
    drivers: dict[str, ControlUnit] = {"FIRST": bench.driver, "SECOND": other.driver()}
    bench.register(1)
    bench.order(**fault, code=INNER_FAILURE[bench.name])
    registration = begin(list(drivers))
    serials = count(10)
    while isinstance(action := next_action(registration), Send):
        answer = bench.send(drivers[action.unit], 2, next(serials))
        died = crash and action == Send("FIRST", 1)
        registration = step(registration, Interrupted(action.unit) if died else answer)
    drivers["SECOND"].close()
    mine = [one["code"] for one in bench.registered() if one["receipt_id"] == 2]
    theirs = [one["code"] for one in bench.registered(other)]
    assert len(mine + theirs) <= 1
    if isinstance(action, Done):
        assert mine + theirs == [action.code.code]
        assert action.code.unit == ("SECOND" if theirs else "FIRST")
    else:
        assert action == GiveUp(State.CODE_UNKNOWN, "FIRST")
        assert theirs == []
