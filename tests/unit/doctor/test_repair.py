"""A repair moves files aside, and says from where. Nothing is deleted, and nothing else is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.offline import offline_store, stopped_workers
from shardstore.doctor.repair import movable, move_aside
from shardstore.errors import InvalidRequest, StorageFailure
from shardstore.system.posix_filesystem import PosixFilesystem


def test_files_and_directories_are_moved_and_listed(tmp_path: Path) -> None:
    filesystem = PosixFilesystem(str(tmp_path))
    (tmp_path / "segments/00000009").mkdir(parents=True)
    (tmp_path / "segments/00000009/MANIFEST").write_bytes(b"old")
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    (tmp_path / "STORE").write_bytes(b"stays")
    findings = [
        Finding(Kind.LEFTOVER, "segments/00000009", 0, "is left"),
        Finding(Kind.STRAY, "photo.jpg", 0, "is none"),
        Finding(Kind.TABLE, "STORE", 0, "is damaged"),
    ]
    wanted = movable(findings)
    assert [each.file for each in wanted] == ["segments/00000009", "photo.jpg"]
    assert move_aside(filesystem, wanted) == "lost+found/0001"
    moved = tmp_path / "lost+found" / "0001"
    assert (moved / "segments/00000009/MANIFEST").read_bytes() == b"old"
    assert (moved / "photo.jpg").read_bytes() == b"photo"
    assert (tmp_path / "STORE").read_bytes() == b"stays"
    assert not (tmp_path / "photo.jpg").exists()
    listed = json.loads((moved / "MOVED.json").read_text())["moved"]
    assert listed[1] == {"from": "photo.jpg", "to": "lost+found/0001/photo.jpg", "what": "is none"}
    (tmp_path / "photo.jpg").write_bytes(b"another")
    assert move_aside(filesystem, wanted[1:]) == "lost+found/0002"


def test_a_directory_that_is_no_store_or_is_in_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no store"), offline_store(str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageFailure, match="cannot open"), offline_store(str(tmp_path / "missing")):
        pass
    (tmp_path / "segments").mkdir()
    (tmp_path / "workers/0001").mkdir(parents=True)
    other = PosixFilesystem(str(tmp_path))
    with offline_store(str(tmp_path)) as filesystem:
        with pytest.raises(InvalidRequest, match="another cluster has"), offline_store(str(tmp_path)):
            pass
        lock = other.lock("workers/0001/LOCK")
        assert lock is not None
        runs_on = "worker 1 of this store still runs: wait until it has ended"
        with pytest.raises(InvalidRequest, match=runs_on), stopped_workers(filesystem, (0, 1)):
            pass
        lock.release()
        with stopped_workers(filesystem, (0, 1)):
            assert other.lock("workers/0001/LOCK") is None
    with offline_store(str(tmp_path)):
        pass
