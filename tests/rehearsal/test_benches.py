"""The two benchmarks of payments in their short form: what they count is there and hangs together; how fast is never a test's business."""

from __future__ import annotations

import json
from typing import Any

from oppet.rehearsal import storm, tender_bench


def judged(found: dict[str, Any], name: str, figures: set[str], ratios: set[str]) -> dict[str, Any]:
    assert found["bench"] == name
    assert json.loads(json.dumps(found)) == found
    assert figures <= set(found["figures"])
    assert ratios <= set(found["ratios"])
    said: dict[str, Any] = found["figures"]
    return said


def test_pt8_tender_pays_at_a_real_simulated_terminal_and_says_what_the_till_adds() -> None:
    found = tender_bench.run(tills=1, payments=2, step_ms=20)
    figures = judged(found, "tender", {"overhead_p99_ms", "whole_p50_ms", "payments"}, {"overhead_p50_of_whole"})
    assert figures["payments"] == 2
    assert 0 < figures["overhead_p50_ms"] < figures["whole_p50_ms"]


def test_pt3_pt8_storm_sees_fewer_and_fewer_queries_and_leaves_nothing_open() -> None:
    found = storm.run(tills=6, scans=8, sales=4)
    wanted = {"queries_per_s_worst", "scan_p99_calm_ms", "scan_p99_storm_ms"}
    figures = judged(found, "storm", wanted, {"scan_p99_storm_to_calm", "cash_p99_storm_to_calm"})
    assert (figures["open_when_back"], figures["open_at_the_end"]) == (6, 0)
    assert figures["queries_per_s_ten_minutes_back"] == 0
    assert figures["given_back"] > 0
    assert figures["paid_in_cash_instead"] > 0
