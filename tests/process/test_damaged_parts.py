"""Damaged files are refused by name, and everything else is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shardstore import Corruption, LocalCluster, TopologyOptions, Unavailable
from shardstore.files.documents import HEAD_BYTES
from shardstore.files.file_names import segment_directory, worker_directory
from shardstore.tables.table_format import HEADER_BYTES
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.process.clusters import MEMORY

pytestmark = pytest.mark.slow


def cluster_on(data: Path) -> LocalCluster:
    ranges = None if (data / "STORE").exists() else [b"\x80"]
    topology = TopologyOptions(auto_topology=False)
    return LocalCluster(data, workers=2, memory=MEMORY, ranges=ranges, topology=topology)


def test_a_damaged_log_is_named_to_who_asks_for_its_keys_and_the_other_worker_serves(tmp_path: Path) -> None:
    low, high = b"\x00low", b"\xffhigh"
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        db.put_many({low: b"1", high: b"2"})
        db.put_many({low: b"3", high: b"4"})
    [log] = (tmp_path / worker_directory(1)).glob("wal-*")
    content = bytearray(log.read_bytes())
    content[FILE_HEADER_BYTES + 8] ^= 1
    log.write_bytes(content)
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        assert db.get(low) == b"3"
        db.put(low, b"5")
        for refused in (lambda: db.get(high), lambda: db.put(high, b"6"), lambda: list(db.scan(start=b"\xf0"))):
            with pytest.raises(Corruption, match="no sound record with LSN 1 is left") as caught:
                refused()
            assert (caught.value.file, caught.value.offset) == (str(log.relative_to(tmp_path)), FILE_HEADER_BYTES)
        stats = db.stats()
        assert log.name in stats[1]["unavailable"]
        assert log.name in stats["router"]["workers"][1]["failure"]
        assert log.read_bytes() == content


@pytest.mark.fault("G4")
def test_a_damaged_range_does_not_keep_the_others_from_being_served(tmp_path: Path) -> None:
    """Damage to the manifest of one range, or to a table of it, is named by reads, `stats` and the doctor."""
    low, high = b"\x00low", b"\xffhigh"
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        db.put_many({low: b"1", high: b"2"})
        db.compact()
        segments = {row.start: row.segment for row in db.admin.ranges()}
    directory = tmp_path / segment_directory(segments[b"\x80"])
    [table] = directory.glob("*.sst")
    for file, at in ((table, HEADER_BYTES + 1), (directory / "MANIFEST", HEAD_BYTES + 3)):
        sound = file.read_bytes()
        damaged = bytearray(sound)
        damaged[at] ^= 1
        file.write_bytes(damaged)
        name = str(file.relative_to(tmp_path))
        with cluster_on(tmp_path) as cluster, cluster.connect() as db:
            assert db.get(low) == b"1"
            db.put(low, b"1")
            for refused in (lambda: db.get(high), lambda: list(db.scan(start=b"\xf0"))):
                with pytest.raises(Corruption) as caught:
                    refused()
                assert caught.value.file == name
            failures = {each["start"]: each["failure"] for which in (0, 1) for each in db.stats()[which]["ranges"]}
            assert name in failures[b"\x80"]
            assert failures[b""] == ""
            assert db.get(low) == b"1"
        [finding] = examined(tmp_path)
        assert (finding["file"], finding["kind"]) == (name, "table" if file is table else "manifest")
        file.write_bytes(sound)
    assert examined(tmp_path) == []
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        assert db.get(high) == b"2"


def examined(data: Path) -> list[dict[str, Any]]:
    """What the doctor finds."""
    command = [sys.executable, "-m", "shardstore", "doctor", str(data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert done.returncode == (2 if found else 0), done.stderr
    return found


def test_a_range_that_the_disk_keeps_from_being_opened_is_unavailable_until_the_disk_works_again(
    tmp_path: Path,
) -> None:
    low, high = b"\x00low", b"\xffhigh"
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        db.put_many({low: b"1", high: b"2"})
        db.flush()
        db.put(high, b"3")
        [segment] = [row.segment for row in db.admin.ranges() if row.start]
    manifest = tmp_path / segment_directory(segment) / "MANIFEST"
    aside = manifest.rename(tmp_path / "aside")
    manifest.mkdir()  # reading it fails, as on a bad disk
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        with pytest.raises(Unavailable, match=f"segment {segment} cannot be opened, cannot read .*; it is tried again"):
            db.get(high, timeout=1.0)
        assert db.get(low) == b"1"
        [failure] = [each["failure"] for each in db.stats()[1]["ranges"]]
        assert f"segment {segment} cannot be opened" in failure
        manifest.rmdir()
        aside.rename(manifest)
        assert db.get(high, timeout=30.0) == b"3"
        db.put(high, b"4")
        assert [each["failure"] for each in db.stats()[1]["ranges"]] == [""]
