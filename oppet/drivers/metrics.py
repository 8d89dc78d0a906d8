"""Measures as Prometheus reads them, made at the moment somebody asks from what a process and its tables know.

A place gives names, words and numbers; nothing here remembers. Labels are stores, hops and reasons: never a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["CONTENT_TYPE", "Counters", "Measure", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Measure:
    """One name, what it means, and its values by labels. A counter's name ends in `_total`."""

    name: str
    meaning: str
    values: Sequence[tuple[Mapping[str, str], int | float]] = field(default_factory=tuple)


class _Collected:
    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        for measure in self._measures:
            labels = tuple(measure.values[0][0]) if measure.values else ()
            kind = CounterMetricFamily if measure.name.endswith("_total") else GaugeMetricFamily
            family = kind(measure.name, measure.meaning, labels=labels)
            for said, value in measure.values:
                family.add_metric([said[label] for label in labels], value)
            yield family


def exposition(measures: Sequence[Measure]) -> bytes:
    """The text a scraper reads."""
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(_Collected(measures))
    return generate_latest(collectors)


class Counters:
    """What one process counts: requests, alarms, refusals. Names and labels come from the program alone: bounded."""

    def __init__(self) -> None:
        self._counted: dict[str, dict[tuple[tuple[str, str], ...], int]] = {}

    def add(self, name: str, by: int = 1, **labels: str) -> None:
        counted = self._counted.setdefault(name, {})
        key = tuple(sorted(labels.items()))
        counted[key] = counted.get(key, 0) + by  # one more or less when two threads meet is no matter here

    def measures(self, meanings: Mapping[str, str]) -> list[Measure]:
        return [
            Measure(name, meanings.get(name, name), [(dict(key), value) for key, value in sorted(counted.items())])
            for name, counted in sorted(self._counted.items())
        ]
