"""Each benchmark runs in its short form and says what it promises; how fast is for `make bench`, never for a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oppet.bench import hq_page, ingest, sale, scan, second_copy, start, verify
from oppet.bench.verbs import BENCHES, NoSuchBenchError, bench
from oppet.rollout import refresh_bench


def judged(found: dict[str, Any], name: str, figures: set[str], ratios: set[str]) -> None:
    assert found["bench"] == name
    assert json.loads(json.dumps(found)) == found
    assert figures <= set(found["figures"])
    assert ratios <= set(found["ratios"])
    assert all(value > 0 for value in found["ratios"].values())
    assert {"cpus", "load_1_min", "python"} <= set(found["conditions"])


def test_r19_scan_says_its_p99_over_a_basket_with_offers() -> None:
    found = scan.run(scans=25, articles=3_000)
    judged(found, "scan", {"p50_ms", "p99_ms", "articles", "promotions"}, {"p50_over_one_fdatasync"})
    assert found["figures"]["articles"] >= 3_000
    assert found["figures"]["lines_with_offer"] > 0, "a basket without an offer measures nothing"


def test_j6_sale_says_its_cpu_and_its_share_of_bare_appends() -> None:
    found = sale.run(sales=10)
    judged(found, "sale", {"cpu_ms", "p50_ms", "p99_ms", "sales_per_s"}, {"fsync"})
    assert found["figures"]["durable_groups"] >= 15, "every scan and every step is durable"


def test_k17_second_copy_is_waited_for_at_a_real_node() -> None:
    found = second_copy.run(sales=5)
    judged(found, "second-copy", {"p50_ms", "p99_ms", "copied"}, {"p50_over_bare", "p99_over_bare"})


def test_r19_start_is_a_whole_process() -> None:
    judged(start.run(runs=1, articles=2_000), "start", {"ready_s", "articles"}, {"over_imports_alone"})


def test_j9_verify_checks_every_entry_and_signature() -> None:
    found = verify.run(sales=40)
    judged(found, "verify", {"entries_per_s", "signatures"}, {"bare"})
    assert found["figures"]["entries"] >= 40 * 17


def test_h5_an_unknown_benchmark_is_refused_and_help_names_those_there_are() -> None:
    with pytest.raises(NoSuchBenchError, match="--help"):
        bench("speed")
    assert [name for name in BENCHES if name not in str(bench.__doc__)] == []


def test_r01_ingest_takes_in_what_it_sends_beside_a_bare_copy_of_the_same_rows() -> None:
    found = ingest.run(receipts=400, tills=20, batch=10, rounds=1, many=40, live=40)
    judged(found, "ingest", {"receipts_per_s", "bare_copy_receipts_per_s", "rows_a_receipt"}, {"copy", "linear"})
    assert found["figures"]["rows_a_receipt"] > 14, "a receipt, twelve lines, a tender, and what it adds to"
    assert found["figures"]["entries_a_receipt"] >= 18


def test_q9_hq_page_makes_the_picture_with_no_store_some_and_all_of_them_silent() -> None:
    found = hq_page.run(stores=6, tills=2, silent=(0, 2, 6))
    judged(
        found,
        "hq-page",
        {"rows", "plain_sum_ms", "silent_0", "silent_2", "silent_6"},
        {"silent_6_again_over_plain_sum"},
    )
    assert all(found["figures"]["silent_2"][name] > 0 for name in ("first_s", "again_s", "again_cpu_s"))


def test_rl7_refresh_asks_little_when_nothing_is_new() -> None:
    found = refresh_bench.run(runs=3, releases=1, goods=1, stores=1)
    judged(
        found, "refresh", {"warm_ms", "warm_folder_ms", "anew_ms", "cold_ms", "cold_bytes"}, {"warm_over_bare_requests"}
    )
    assert found["figures"]["warm_bytes"] < 1_600, "a timestamp of each, and nothing else"
