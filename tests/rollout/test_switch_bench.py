"""The benchmark of the switch in its short form: real images, a real launcher, a real till."""

from __future__ import annotations

import pytest

from oppet.rollout import switch_bench
from tests.bench.test_benches import judged


@pytest.mark.long
def test_rl11_switch_says_how_long_the_page_is_dark() -> None:
    found = switch_bench.run(switches=1, articles=2_000)
    judged(found, "switch", {"dark_ms", "slowest_ms", "limit_ms", "launched_start_ms"}, {"over_bare_start"})
