"""Syncs outside the event loop: their order, and how they end."""

from __future__ import annotations

import pytest

from shardstore.errors import StorageFailure
from shardstore.seams.effects import Event, SyncWal, WalSynced, WalSyncFailed
from shardstore.workers.sync_thread import SyncThread
from tests.unit.faulty_filesystem import FaultyFilesystem


def ends(filesystem: FaultyFilesystem, directory: str | None, broken: str = "") -> list[Event]:
    """The events posted for a sync of two new files, and maybe of their directory; `broken` operations fail."""
    filesystem.make_directory("d")
    files = tuple(filesystem.create(path) for path in ("d/1", "d/2"))
    filesystem.trace.clear()

    def fault(number: int, operation: str, path: str) -> None:
        if operation == broken:
            raise StorageFailure(f"cannot {operation} {path}")

    filesystem.fault = fault
    posted: list[Event] = []
    thread = SyncThread(filesystem, posted.append)
    thread.sync(SyncWal(files, directory, 7))
    thread.close()
    return posted


@pytest.mark.fault("L5")
def test_files_are_synced_before_the_directory() -> None:
    filesystem = FaultyFilesystem()
    assert ends(filesystem, "d") == [WalSynced(7)]
    assert filesystem.trace == ["sync d/1", "sync d/2", "sync_directory d"]


def test_directory_is_synced_only_when_it_is_named() -> None:
    filesystem = FaultyFilesystem()
    assert ends(filesystem, None) == [WalSynced(7)]
    assert filesystem.trace == ["sync d/1", "sync d/2"]


@pytest.mark.parametrize(("broken", "path"), [("sync", "d/1"), ("sync_directory", "d")])
def test_a_failure_ends_the_sync(broken: str, path: str) -> None:
    filesystem = FaultyFilesystem()
    assert ends(filesystem, "d", broken) == [WalSyncFailed(f"cannot {broken} {path}")]
    assert filesystem.trace[-1] == f"{broken} {path}"
