"""Fixtures: a fake cluster, a server for it, and a client. A module may replace `cluster`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore.access.key_store import KeyStore
from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from shardstore.client_role import ClientRole
from shardstore.system.posix_filesystem import PosixFilesystem
from tests.unit.client.session_driver import SessionDriver
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer, serving


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the key of an admin, in `admin.key`."""
    data = tmp_path_factory.mktemp("keys")
    store = KeyStore(PosixFilesystem(str(data)), str(data), os.urandom)
    store.add("admin", ClientRole.ADMIN, str(data / "admin.key"))
    return data


@pytest.fixture(params=["local", "curve"])
def server(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cluster: FakeCluster,
    keys: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FakeServer]:
    """A server that clients reach over Unix sockets, and one that they reach over tcp with a key."""
    monkeypatch.setenv("SHARDSTORE_KEY", str(keys / "admin.key"))
    with serving(tmp_path, cluster, keys if request.param == "curve" else None) as server:
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with connect(server.url) as client:
        yield client


@pytest.fixture
def driver(cluster: FakeCluster) -> SessionDriver:
    return SessionDriver(cluster)
