"""Fixtures: two transports, joined at the `url` of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shardstore.system.socket_transport import SocketTransport


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    with TemporaryDirectory(dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
def server(url: str) -> Iterator[SocketTransport]:
    transport = SocketTransport()
    transport.bind("clients", url)
    yield transport
    transport.close()


@pytest.fixture
def client(url: str) -> Iterator[SocketTransport]:
    transport = SocketTransport()
    transport.connect("server", url)
    yield transport
    transport.close()
