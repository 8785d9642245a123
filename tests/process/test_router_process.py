"""The router as a real process: it reports its address, and ends on request or when its parent dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shardstore.limits import GIB
from shardstore.memory_plan import derive
from shardstore.options import RouterOptions, to_argument
from shardstore.seams.effects import Received
from shardstore.system import process
from shardstore.system.socket_transport import SocketTransport
from shardstore.wire.messages import Hello, Welcome, decode, encode
from shardstore.wire.wire_format import Header, Op, Status, decode_reply

LIMIT_S = 20
PYTHON = [sys.executable, "-P"]


@dataclass(slots=True)
class Running:
    """A router process and its reported endpoint."""

    process: subprocess.Popen[bytes]
    endpoint: str

    def ends(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(LIMIT_S)


def spawn(
    directory: Path, status_fd: int = -1, python: tuple[str, ...] = (), **changes: Any
) -> subprocess.Popen[bytes]:
    memory = derive(GIB, 2)
    options = RouterOptions(
        str(directory), "store", "tcp://127.0.0.1:0", f"unix://{directory}/w", 2, ("80",), memory, status_fd=status_fd
    )
    argument = to_argument(options) if not changes else json.dumps(changes)
    return subprocess.Popen(
        [*PYTHON, *python, "-m", "shardstore.router", argument],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[status_fd] if status_fd >= 0 else [],
    )


def error_of(refused: subprocess.Popen[bytes]) -> str:
    """The output of a process that must fail. Its standard input stays open, as with a living parent."""
    assert refused.wait(LIMIT_S) == 1
    assert refused.stderr is not None
    return refused.stderr.read().decode()


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    reader, writer = os.pipe()
    with spawn(directory, writer) as started:
        os.close(writer)
        try:
            with open(reader) as status:
                yield Running(started, json.loads(status.readline())["endpoint"])
        finally:
            started.kill()


def test_router_serves_the_endpoint_it_reports_and_stops_at_a_signal(tmp_path: Path) -> None:
    with running(tmp_path) as router:
        transport = SocketTransport()
        transport.connect("router", router.endpoint)
        transport.send("router", b"", [Header(Op.HELLO).encode(), encode(Hello("test"))])
        replies: list[Received] = []
        while not replies:
            replies += [event for event in transport.receive(LIMIT_S * 10**9) if isinstance(event, Received)]
        [reply] = replies
        transport.close()
        assert decode_reply(reply.frames).status == Status.OK
        assert decode(Welcome, reply.frames[1]).store == "store"
        router.process.send_signal(signal.SIGTERM)
        assert router.ends() == 0


def test_router_ends_with_its_parent(tmp_path: Path) -> None:
    with running(tmp_path) as router:
        assert router.process.stdin is not None
        router.process.stdin.close()
        assert router.ends() == process.EXIT_ORPHANED


@pytest.mark.fault("W4", "M4")
def test_a_second_router_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as router, spawn(tmp_path) as second:
        assert error_of(second) == f"another router serves {tmp_path}\n"
        assert router.process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"python": ("-O",)}, "python -O"),
        ({"data": "only"}, "no RouterOptions"),
    ],
)
def test_a_start_that_cannot_be_is_one_clear_line(tmp_path: Path, arguments: dict[str, Any], what: str) -> None:
    with spawn(tmp_path, **arguments) as refused:
        error = error_of(refused)
        assert what in error
        assert error.count("\n") == 1


@pytest.mark.fault("M1")
def test_a_damaged_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "router").mkdir()
    (tmp_path / "router" / "ROUTES").write_bytes(b"x" * 100)
    with spawn(tmp_path) as refused:
        assert error_of(refused).startswith("router/ROUTES at byte 0: begins with b'xxxxxxxx'")
