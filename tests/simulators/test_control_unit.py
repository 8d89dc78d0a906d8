"""A simulated unit remembers through anything, and commits every fault it is told to (R23)."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import oppet.simulators
from oppet.fiscal.unit import UnitCode
from tests.simulators.running import Simulator, a_request

if TYPE_CHECKING:
    from tests.simulators.conftest import Start

BOTH = pytest.mark.parametrize("name", ["skattedosan", "cleancash"])
CODE_SHAPE = re.compile(r"[A-Z2-7]{32};[A-Z2-7]{26}")


def register(simulator: Simulator, number: int, **more: Any) -> str:
    driver = simulator.driver()
    answer = driver.register(a_request(number, **more))
    driver.close()
    assert isinstance(answer, UnitCode), answer
    return answer.code


def test_r23_simulators_import_nothing_of_ours() -> None:
    for file in Path(*oppet.simulators.__path__).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [name for name in names if name.startswith("oppet") and not name.startswith("oppet.simulators")]
            assert ours == [], file.name


@BOTH
def test_r23_a_code_has_the_real_shape_and_is_the_receipts_own(start: Start, name: str) -> None:
    simulator = start(name, "--fast")
    codes = [register(simulator, number) for number in range(1, 6)]
    assert all(CODE_SHAPE.fullmatch(code) for code in codes)
    assert len(set(codes)) == 5
    state = simulator.state()
    assert [one["code"] for one in state["registrations"]] == codes
    assert (state["counter"], state["sales_ore"], state["returns_ore"]) == (5, 50_000, 0)


@BOTH
def test_r23_sales_returns_and_types_are_counted_apart(start: Start, name: str) -> None:
    simulator = start(name, "--fast")
    register(simulator, 1)
    register(simulator, 2, total_ore=0, negative_ore=2_500, vat=())
    register(simulator, 1, receipt_type="kopia", serial=1 if name == "skattedosan" else 3)
    assert register(simulator, 1, receipt_type="ovning", serial=1 if name == "skattedosan" else 4) == ""
    assert register(simulator, 1, receipt_type="profo", serial=1 if name == "skattedosan" else 5) == ""
    state = simulator.state()
    assert state["counters"] == {"normal": 2, "kopia": 1, "ovning": 1, "profo": 1}
    assert (state["sales_ore"], state["returns_ore"], state["net_ore"]) == (10_000, 2_500, 7_500)


@BOTH
def test_r23_the_memory_survives_kill_9(start: Start, name: str) -> None:
    simulator = start(name)
    codes = [register(simulator, number) for number in range(1, 4)]
    simulator.kill()
    again = start(name)
    assert [one["code"] for one in again.state()["registrations"]] == codes
    assert register(again, 3, serial=3) == codes[-1]  # the repeat is known, and counts nothing
    assert again.state()["counter"] == 3


@BOTH
def test_r23_a_line_torn_by_a_crash_was_never_registered(start: Start, name: str) -> None:
    simulator = start(name)
    register(simulator, 1)
    simulator.kill()
    with simulator.state_file.open("ab") as file:
        file.write(b'["K3",2,"norm')
    again = start(name)
    assert again.state()["counter"] == 1
    register(again, 2)
    again.kill()
    assert start(name).state()["counter"] == 2


@BOTH
def test_r23_a_memory_has_one_unit_and_one_process(start: Start, name: str) -> None:
    simulator = start(name)
    command = [sys.executable, "-m", f"oppet.simulators.{name}", "--state", str(simulator.state_file)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another simulator" in second.stderr
    simulator.kill()
    other = subprocess.run([*command, "--unit", "OTHER"], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "another unit" in other.stderr


@BOTH
def test_r23_storage_fills_up_and_says_so(start: Start, name: str) -> None:
    simulator = start(name, "--fast", "--capacity", "10")
    seen = []
    for number in range(1, 11):
        register(simulator, number)
        seen.append(simulator.state()["storage"])
    assert seen == ["0"] * 8 + ["1", "2"]
    driver = simulator.driver()
    answer = driver.register(a_request(11))
    driver.close()
    assert getattr(answer, "reason", "") == "full"
    assert simulator.state()["counter"] == 10


@BOTH
def test_r23_the_control_port_refuses_what_it_does_not_know(start: Start, name: str) -> None:
    simulator = start(name, "--fast")
    for wish in ({"fault": "explode"}, {"fault": "slow", "loudly": True}, ["slow"], {}):
        assert simulator.ask("POST", "/control", wish)[0] == 400
    assert simulator.ask("GET", "/elsewhere")[0] == 404
    assert simulator.ask("GET", "/control/state?tail=many")[0] == 400
    assert simulator.state()["faults"] == []


@BOTH
def test_r23_faults_are_committed_in_order_and_can_be_cleared(start: Start, name: str) -> None:
    simulator = start(name, "--fast")
    simulator.order("full", count=2)
    simulator.order("not_operational")
    driver = simulator.driver()
    serials = [1, 1, 1] if driver.repeat_keeps_serial else [1, 2, 3]
    refused = [driver.register(a_request(1, serial=serial)) for serial in serials[:2]]
    assert [getattr(answer, "reason", "") for answer in refused] == ["full", "full"]
    assert [fault["fault"] for fault in simulator.state()["faults"]] == ["not_operational"]
    simulator.order("clear")
    assert isinstance(driver.register(a_request(1, serial=serials[2])), UnitCode)
    driver.close()


def test_r23_the_skattedosan_has_no_word_for_busy(start: Start) -> None:
    status, answer = start("skattedosan").ask("POST", "/control", {"fault": "busy"})
    assert status == 400
    assert "busy" in answer["error"]


@BOTH
def test_r23_the_ready_line_names_everything_a_till_needs(start: Start, name: str) -> None:
    ready = start(name, "--unit", "11A2").ready
    assert ready["ready"] is True
    assert ready["unit"] == "11A2"
    assert json.dumps(ready)
    assert set(ready) == {"ready", "unit", "control_port", "device" if name == "skattedosan" else "port"}
