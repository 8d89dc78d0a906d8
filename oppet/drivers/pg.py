"""Connections to PostgreSQL for pages and papers: a few, kept, bounded; what fails is ours to say, in words.

A transaction is a `with` block: left without an error it is durable, left by one nothing of it happened.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from oppet.drivers.hq_schema import DatabaseAwayError

__all__ = ["Pool", "Transaction"]

MOST_IDLE = 8
OPTIONS = "-c synchronous_commit=on -c lock_timeout=5s -c statement_timeout=20s -c timezone=UTC -c jit=off"
Row = tuple[Any, ...]


class Transaction:
    """What may be asked inside one transaction."""

    __slots__ = ("connection",)

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    def rows(self, sql: str, *values: object) -> list[Row]:
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> Row | None:
        return self.connection.execute(sql, values).fetchone()

    def do(self, sql: str, *values: object) -> int:
        """Give how many rows it touched."""
        return self.connection.execute(sql, values).rowcount


class Pool:
    def __init__(self, dsn: str, name: str = "oppet office", options: str = OPTIONS) -> None:
        self.dsn = dsn
        self._name, self._options = name, options
        self._guard = threading.Lock()
        self._idle: list[psycopg.Connection[Row]] = []
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Raises DatabaseAwayError, also for what goes wrong inside: nothing of it happened then."""
        connection = None
        try:
            connection = self._take()
            yield Transaction(connection)
            connection.commit()
        except psycopg.Error as error:
            self._drop(connection)
            raise DatabaseAwayError(why=str(error).partition("\n")[0]) from error
        except BaseException:
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.rollback()
                self._give(connection)
            raise
        self._give(connection)

    def close(self) -> None:
        with self._guard:
            self._closed, idle, self._idle = True, self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> psycopg.Connection[Row]:
        with self._guard:
            if self._idle:
                return self._idle.pop()
        return psycopg.connect(self.dsn, connect_timeout=5, application_name=self._name, options=self._options)

    def _give(self, connection: psycopg.Connection[Row]) -> None:
        with self._guard:
            keep = not self._closed and not connection.broken and len(self._idle) < MOST_IDLE
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _drop(self, connection: psycopg.Connection[Row] | None) -> None:
        """After an error nobody knows what the idle ones are worth: they are made anew."""
        with self._guard:
            gone, self._idle = self._idle, []
        for one in (*gone, *((connection,) if connection is not None else ())):
            with suppress(psycopg.Error):
                one.close()
