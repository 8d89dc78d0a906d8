"""`bench publish` in its short form: what it counts is there and hangs together; how fast is never a test's business."""

from __future__ import annotations

import json

from oppet.rollout import publish_bench


def test_rl13_a_change_of_prices_costs_a_store_a_fraction_and_reaches_every_till_within_two_looks() -> None:
    found = publish_bench.run(stores=20, tills=2, sample=1, articles=2_000)
    assert json.loads(json.dumps(found)) == found
    figures = found["figures"]
    assert figures["wan_bytes_per_store"] < figures["whole_packed_bytes"] < figures["wan_bytes_first_time"]
    assert 0 < figures["active_p50_s"] <= figures["active_last_s"]
    assert found["ratios"]["wan_over_whole"] < 0.1
