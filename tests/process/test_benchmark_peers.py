"""The installed peers, measured in separate processes, and a Redis server that always ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from benchmarks.comparing import PEERS_FOR
from benchmarks.peers import PEERS, WORK, PeerFailed, measure
from benchmarks.peers.redis_server import NoServer, RedisServer, redis_server, server_program

from tests.process.clusters import descendants
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
COUNT = 2_000
LEVELS = ("the process that measures", "the guard of the server", "the server")
needs_redis_server = pytest.mark.skipif(server_program() is None, reason="there is no redis-server")


@pytest.fixture(autouse=True)
def _own_temporary_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files of a killed process must not stay in the common temporary directory.
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_gives_all_figures_and_right_answers(peer: str, tmp_path: Path) -> None:
    if remedy := PEERS[peer].remedy():
        pytest.skip(f"{peer} is missing: {remedy}")
    work = [name for name in WORK if name != "get_tasks" or peer in PEERS_FOR[name]]
    figures = measure(peer, "hex", COUNT, work, str(tmp_path / "data"), runs=1)
    assert list(figures) == work
    assert figures.pop("disk")["bytes_per_entry"] > 0
    assert all(each["per_second"] > 0 and each["client_cpu_s_per_million"] >= 0 for each in figures.values())
    served = {name for name, each in figures.items() if each["server_cpu_s_per_million"] > 0}
    assert not served or PEERS[peer].has_server
    assert all(0 < figures[work]["p50_us"] <= figures[work]["p99_us"] for work in ("get", "put", "put_synced"))
    for work in ("put_many", "put_many_synced"):
        assert 0 < figures[work]["settled_per_second"] <= figures[work]["per_second"]
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_holds_large_values_of_variable_keys(peer: str, tmp_path: Path) -> None:
    if remedy := PEERS[peer].remedy():
        pytest.skip(f"{peer} is missing: {remedy}")
    figures = measure(peer, "variable-4k", 1_100, ["get_many", "scan"], str(tmp_path), runs=1)
    assert figures.keys() == {"get_many", "scan"}


def test_a_peer_that_fails_gives_no_figures(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="sqlite: the process that measures it ended with exit code 1"):
        measure("sqlite", "no such shape", COUNT, WORK, str(tmp_path), runs=1)


@needs_redis_server
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
def test_no_process_outlives_an_ended_measurement(end: signal.Signals, tmp_path: Path) -> None:
    program = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(SCRIPTS)!r})
from benchmarks.peers import measure
measure("redis", "hex", 50_000, ["get_many"], {str(tmp_path)!r}, runs=1_000_000)
"""
    with _running(program) as caller:
        wait_until(lambda: len(descendants(caller.pid)) == len(LEVELS), "a server below the caller")
        below = descendants(caller.pid)
        caller.send_signal(end)
        caller.wait(20)
    assert not psutil.wait_procs(below, timeout=20)[1]
    assert not list(Path(os.environ["TMPDIR"]).iterdir())
    if end == signal.SIGINT:
        assert not list(tmp_path.iterdir())


@needs_redis_server
def test_a_server_answers_on_both_addresses_and_ends_with_its_block(tmp_path: Path) -> None:
    with redis_server(tmp_path, "always", tcp=True) as server:
        assert _asked(server, "CONFIG GET appendfsync").endswith("always\r\n")
        assert _asked(server, "CONFIG GET appendonly").endswith("yes\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"PING\r\n")
            assert connection.recv(100) == b"+PONG\r\n"
    assert not psutil.pid_exists(server.pid)
    assert not Path(server.socket).parent.exists()


@needs_redis_server
def test_a_server_ends_with_a_block_that_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), redis_server(tmp_path, "everysec") as server:
        raise KeyError
    assert server.port == 0
    assert not psutil.pid_exists(server.pid)


def test_a_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho out of luck\n")
    program.chmod(0o755)
    monkeypatch.setenv("REDIS_SERVER", str(program))
    with pytest.raises(NoServer, match="does not start: out of luck"), redis_server(tmp_path, "everysec"):
        pass
    assert not list(Path(os.environ["TMPDIR"]).iterdir())


def test_a_peer_without_its_server_fails_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis")
    monkeypatch.setenv("REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(PeerFailed, match="redis: there is no redis-server"):
        measure("redis", "hex", COUNT, ["put"], str(tmp_path), runs=1)


@contextmanager
def _running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def _asked(server: RedisServer, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server.socket)
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(1_000).decode()
