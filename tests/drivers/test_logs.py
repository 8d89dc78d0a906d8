"""One JSON object a line, and measures a scraper can read."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from oppet.drivers.metrics import Counters, Measure, exposition

PROGRAM = """
import logging
from oppet.drivers.logs import configure, logger
configure("hq-1", worker=2)
logger("x").info("worker died", code=-9, long="x" * 5000)
logging.getLogger("lib").warning("said %s", "this")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("lib").exception("failed")
"""


def test_r20_every_line_of_the_log_is_one_json_object_with_its_process() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["worker died", "said this", "failed"]
    assert all(line["process"] == "hq-1" and line["worker"] == 2 and line["time"].endswith("Z") for line in lines)
    assert (lines[0]["level"], lines[0]["code"], len(lines[0]["long"])) == ("info", -9, 2001)
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert logging.getLogger().handlers is not None


def test_r20_measures_are_read_by_a_scraper() -> None:
    counters = Counters()
    counters.add("oppet_alarms_total", about="fork")
    counters.add("oppet_alarms_total", about="fork")
    queue = Measure("oppet_queue_entries", "Entries that wait.", [({"hop": "S01-node"}, 12)])
    text = exposition([queue, *counters.measures({"oppet_alarms_total": "Alarms."}), Measure("oppet_none", "None.")])
    assert 'oppet_queue_entries{hop="S01-node"} 12.0' in text.decode()
    assert 'oppet_alarms_total{about="fork"} 2.0' in text.decode()
