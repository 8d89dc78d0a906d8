"""The least a second copy can cost: one process that takes so many bytes over TLS, puts them on its disk, and answers.

Run as a process of its own by `second_copy.py`: `python -m oppet.bench.echo FOLDER REQUEST_BYTES ANSWER_BYTES`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

from oppet.drivers.tls import load_or_make, server_context

__all__ = ["main"]


def main(folder: Path, request: int, answer: int) -> None:
    """Serve one connection until it ends."""
    digest = load_or_make(folder / "echo.pem")
    context, said = server_context(folder / "echo.pem"), bytes(answer)
    handle = os.open(folder / "echo", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1], "tls": digest}), flush=True)
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_side=True) as line:
            while data := _exactly(line, request):
                os.write(handle, data)
                os.fdatasync(handle)
                line.sendall(said)
    os.close(handle)


def _exactly(line: socket.socket, count: int) -> bytes:
    parts, left = [], count
    while left:
        part = line.recv(left)
        if not part:
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
