"""The embedded server: starts, survives its own death with what was committed, and ends with us."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg

from oppet.drivers.postgres import EmbeddedPostgres


def test_r11_after_a_kill_the_server_is_started_again_and_has_what_was_committed(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg")
    try:
        dsn = server.start()
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE t(n integer)")
            connection.execute("INSERT INTO t VALUES (1)")
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
        pid = server.pid
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not server.alive
        dsn = server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (1,)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    finally:
        server.stop()
    assert not server.alive
    server.stop()
