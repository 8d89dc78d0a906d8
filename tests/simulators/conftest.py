"""Each test gets its own simulators and they end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.simulators.running import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Start(Protocol):
    """Start a simulator by name; the same memory is the same file name."""

    def __call__(self, name: str, *options: str, memory: str = "memory") -> Simulator: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running = []

    def begin(name: str, *options: str, memory: str = "memory") -> Simulator:
        simulator = Simulator(name, tmp_path / f"{name}-{memory}", *options)
        running.append(simulator)
        return simulator

    yield begin
    for simulator in running:
        simulator.kill()
