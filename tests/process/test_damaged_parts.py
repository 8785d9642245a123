"""Damaged files are refused by name, and everything else is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore import Corruption, LocalCluster, TopologyOptions
from shardstore.files.file_names import worker_directory
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
