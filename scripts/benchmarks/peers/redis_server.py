"""A private Redis server that ends when its block ends or its owner dies for any reason."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

Appendfsync = Literal["everysec", "always"]

START_SECONDS_MAX = 30
POLL_SECONDS = 0.01
LOG = "redis-server.log"
GUARD = """
"$@" </dev/null >&2 & server=$!
echo $server
read -r ended
kill -KILL $server
wait $server
rm -f "$0/socket"
rmdir "$0"
"""
"""Runs the server until its standard input is closed, which the kernel does even if this process is killed."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """The process id and addresses of a running server. Without TCP the port is 0."""

    pid: int
    socket: str
    port: int


class NoServer(Exception):
    """The program redis-server is missing or does not start."""


def server_program() -> str | None:
    """The path of $REDIS_SERVER, or else of redis-server; None if it is not found."""
    return shutil.which(os.environ.get("REDIS_SERVER") or "redis-server")


@contextmanager
def redis_server(directory: Path, appendfsync: Appendfsync, tcp: bool = False) -> Iterator[RedisServer]:
    """Run a server with an append-only file in `directory`, on a Unix socket and, with `tcp`, on loopback TCP.

    Raises NoServer.
    """
    program = server_program()
    if program is None:
        raise NoServer("there is no redis-server on the path, nor in $REDIS_SERVER")
    # The path of a Unix socket is limited to about 100 bytes, which `directory` may exceed.
    socket_directory = tempfile.mkdtemp(prefix="redis-")
    socket_path = f"{socket_directory}/socket"
    port = _free_port() if tcp else 0
    log = directory / LOG
    with _guarded([program, *_arguments(directory, appendfsync, socket_path, port)], socket_directory, log) as pid:
        _wait_until_it_answers(pid, socket_path, log)
        yield RedisServer(pid, socket_path, port)


def _arguments(directory: Path, appendfsync: Appendfsync, socket_path: str, port: int) -> list[str]:
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--unixsocket": socket_path,
        "--dir": str(directory),
        "--daemonize": "no",
        "--save": "",
        "--appendonly": "yes",
        "--appendfsync": appendfsync,
    }
    return [word for option in options.items() for word in option]


@contextmanager
def _guarded(command: list[str], socket_directory: str, log: Path) -> Iterator[int]:
    """Run a server until the block ends or this process dies, then remove its socket; yields its process id."""
    with open(log, "wb") as output:
        # In a new session, so that Ctrl-C on the terminal reaches only this process, which then ends the server.
        guard = subprocess.Popen(
            ["sh", "-c", GUARD, socket_directory, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    assert guard.stdout is not None
    try:
        yield int(guard.stdout.readline())
    finally:
        guard.communicate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_it_answers(pid: int, socket_path: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not _answers(socket_path):
        if time.monotonic() > deadline or _has_ended(pid):
            last_words = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise NoServer(f"redis-server does not start: {last_words}")
        time.sleep(POLL_SECONDS)


def _has_ended(pid: int) -> bool:
    """Whether a child of the guard has ended; the guard may have reaped it already."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _answers(socket_path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(socket_path)
        except OSError:
            return False
        connection.sendall(b"PING\r\n")
        return connection.recv(7) == b"+PONG\r\n"
