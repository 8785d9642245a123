"""Fixtures: a fake cluster, a server for it, and a client. A module may replace `cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shardstore.client.blocking.client import Client
from shardstore.client.blocking.connect import connect
from tests.unit.client.session_driver import SessionDriver
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import FakeServer, serving


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def server(tmp_path: Path, cluster: FakeCluster) -> Iterator[FakeServer]:
    with serving(tmp_path, cluster) as server:
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with connect(server.url) as client:
        yield client


@pytest.fixture
def driver(cluster: FakeCluster) -> SessionDriver:
    return SessionDriver(cluster)
