"""The tests' own law: nothing is left out quietly.

Without Chromium the browser tests are skipped and a banner says so at the end; in CI (the variable CI is set) a skip is
a failure. Tests that need the real till logs beside the checkout are deselected where those are absent, and counted.
"""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
# A till's rules have no clock, and neither have their tests: a slow machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}
NO_CHROMIUM = "no Chromium: install the package chromium"


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a real Chromium; tests that ask for it are marked `browser`."""
    path = find_chromium()
    assert path is not None, NO_CHROMIUM
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real till logs; tests that ask for it are marked `shared`."""
    assert SHARED.is_dir(), "mark this test `shared`"
    return SHARED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not SHARED.is_dir():
        absent = [item for item in items if item.get_closest_marker("shared")]
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]
    if find_chromium() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def refuse_a_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure: what CI did not run, CI did not check."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a skip is a failure: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_a_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_a_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_CHROMIUM in str(report.longrepr)]
    if skipped:
        terminalreporter.section("BROWSER TESTS WERE NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests drive the till's pages and were left out: {NO_CHROMIUM}.")
        terminalreporter.line("Until they pass, nobody has seen the till sell.")
    if not SHARED.is_dir():
        terminalreporter.line("The real till logs are not beside this checkout: tests marked `shared` were left out.")
