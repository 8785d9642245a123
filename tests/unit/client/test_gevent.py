"""A program patched by gevent: it has no `select.epoll`, and `select.select` blocks only one greenlet."""

from __future__ import annotations

import select
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shardstore import InvalidRequest, LocalCluster, connect
from tests.unit.fake_cluster import FakeCluster
from tests.unit.fake_server import serving


def patch(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Patch the module as gevent does; returns the list of waits from then on."""
    originals = {"epoll": select.epoll, "select": select.select}
    waits: list[Any] = []

    def cooperative(readable: Any, writable: Any, failed: Any, timeout: float | None = None) -> Any:
        waits.append(timeout)
        return originals["select"](readable, writable, failed, timeout)

    patched = ModuleType("gevent.monkey")
    patched.get_original = lambda module, name: originals[name]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gevent", ModuleType("gevent"))
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    monkeypatch.delattr(select, "epoll")
    monkeypatch.setattr(select, "select", cooperative)
    return waits


def test_a_client_waits_as_gevent_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, FakeCluster()) as server:
        waits = patch(monkeypatch)
        with connect(server.url) as client:
            client.put_many({b"%d" % at: b"v" for at in range(5_000)})
            assert client.get(b"1") == b"v"
            assert sum(1 for _ in client.scan()) == 5_000
        assert len(waits) > 3


def test_a_cluster_says_what_to_do_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = LocalCluster(tmp_path / "store")
    patch(monkeypatch)
    with pytest.raises(InvalidRequest) as refused:
        cluster.start()
    assert str(refused.value) == (
        "a LocalCluster does not run in a program that gevent has patched, a client does: start the cluster with "
        "`shardstore serve`, and connect to its data directory"
    )
