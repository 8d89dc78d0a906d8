"""Head office as processes: workers share the ports, and what is killed is started again, the database too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oppet.base.errors import SettingsError
from oppet.hq.main import Settings, read_settings

PATIENCE_S = 90.0


def asked(port: int) -> dict[str, Any] | None:
    """What /health says, or nothing while nobody answers or the database is away."""
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/health", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (urllib.error.URLError, OSError, ValueError):
        return None


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oppet-hq-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_r11_what_is_killed_is_started_again_and_the_end_leaves_nothing(folder: Path) -> None:
    settings = Settings("hq", port=0, page_port=0, workers=2)
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings))
    command = [sys.executable, "-m", "oppet", "hq", "run", str(folder / "settings.json"), "--announce"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        port, pids = said["page"], [*said["workers"], said["database"]]
        assert (asked(port) or {})["ready"]
        for pid in said["workers"]:
            os.kill(pid, signal.SIGKILL)
        until(lambda: bool((asked(port) or {}).get("ready")))
        os.kill(said["database"], signal.SIGKILL)
        until(lambda: "the database answers again" in (folder / "log").read_text(encoding="utf-8"))
        until(lambda: bool((asked(port) or {}).get("ready")))
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()
    assert process.returncode == 0
    assert asked(port) is None
    assert [
        pid
        for pid in pids
        if Path(f"/proc/{pid}/cmdline").exists() and b"hq" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ] == []
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events.count("worker died") >= 2
    assert "the database died and is started again" in events


@pytest.mark.parametrize(
    "wrong",
    [
        {"folder": "hq", "colour": "red"},
        {"folder": "hq", "workers": 0},
        {"folder": "hq", "name": "S01"},
        {"folder": "hq", "tls": False, "host": "0.0.0.0"},
        {"folder": "hq", "demo": True, "page_host": "192.0.2.1"},
    ],
)
def test_o10_settings_that_open_a_door_by_mistake_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(SettingsError):
        read_settings(path)
