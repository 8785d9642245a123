"""A worker from its registration to its stop, and what it leaves to the next process."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.errors import Corruption, StorageFailure
from shardstore.files.file_names import manifest
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Received, StopRequested, Tick
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_header
from shardstore.workers.jobs.specs import ReleaseSpec
from shardstore.workers.wal.log_document import read_log_document
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.unit.worker_driver import STORE, WorkerDriver, refusal, reopened


@pytest.mark.fault("R3")
def test_a_worker_whose_log_has_writes_that_the_map_cannot_know_of_does_not_start(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    files = sorted(worker.root.rglob("*"))
    with_older_map = WorkerDriver(worker.root).serve(segment_next=1)
    assert with_older_map.stopped is not None
    assert "segment 1, of which the log here holds writes: the map is out of date" in with_older_map.stopped.failure
    assert not with_older_map.ready
    assert not with_older_map.jobs
    assert sorted(worker.root.rglob("*")) == files
    assert WorkerDriver(worker.root).serve(segment_next=2).get([b"a"]) == [b"1"]


class RefusesToRename(PosixFilesystem):
    """A filesystem in which renames to this path fail."""

    refused = manifest(2)

    def rename(self, source: str, target: str) -> None:
        if target == self.refused:
            raise StorageFailure(f"cannot rename {source}: Input/output error")
        super().rename(source, target)


def test_a_worker_that_cannot_create_a_range_does_not_say_that_it_serves_it(tmp_path: Path) -> None:
    failing = WorkerDriver(tmp_path, boundaries=[b"m"], filesystem=RefusesToRename(str(tmp_path))).serve()
    assert failing.stopped is not None
    assert failing.stopped.failure.startswith("a range could not be created: cannot rename")
    assert not failing.ready
    again = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    again.put({b"a": b"1"})
    again.put({b"z": b"2"}, segment=2)
    again.settle()
    assert again.get([b"z"], segment=2) == [b"2"]


def test_worker_registers_reports_ready_and_beats(worker: WorkerDriver) -> None:
    assert worker.ready
    ops = [decode_header(bytes(send.frames[0])).op for send in worker.sent if send.link == "router"]
    assert ops[:2] == [Op.REGISTER, Op.READY]
    worker.now_ns += 2 * SECOND_NS
    worker.handle(Tick())
    assert [decode_header(bytes(send.frames[0])).op for send in worker.sent[-2:]] == [Op.HEARTBEAT, Op.LOAD]


def test_refused_heartbeat_makes_the_worker_register_again(worker: WorkerDriver) -> None:
    worker.handle(Received("router", b"", [Header(Op.HEARTBEAT, status=Status.STALE_ROUTE).encode(), b"\x80"]))
    assert decode_header(bytes(worker.sent[-1].frames[0])).op == Op.REGISTER


def test_missing_segment_of_an_old_store_is_damage_of_that_range_only(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"], create=False).serve()
    sequence = worker.ask(Op.GET, [b"a"], entries=1, flags=Flag.KEYS_FIXED)
    assert worker.status(sequence) is Status.FAILED
    assert "MANIFEST" in refusal(worker, sequence).file


def test_damaged_manifest_keeps_the_log_until_it_is_repaired(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    worker.put({b"a": b"1"}, segment=1)
    worker.put({b"z": b"2"}, segment=2)
    worker.settle()
    manifest = tmp_path / "segments/00000001/MANIFEST"
    sound = manifest.read_bytes()
    manifest.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    damaged = reopened(worker)
    assert damaged.status(damaged.ask(Op.GET, [b"a"], entries=1, flags=Flag.KEYS_FIXED)) is Status.FAILED
    damaged.ask(Op.FLUSH, segment=2)
    damaged.settle()
    assert damaged.get([b"z"], segment=2) == [b"2"]
    manifest.write_bytes(sound)
    assert reopened(damaged).get([b"a"], segment=1) == [b"1"]


def test_stop_refuses_new_work_and_waits_for_the_sync(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.handle(StopRequested())
    assert worker.status(worker.put({b"b": b"2"})) is Status.CLOSED
    assert worker.stopped is None
    worker.sync()
    assert worker.status(sequence) is Status.OK
    assert worker.stopped is not None
    assert not worker.stopped.failure


def test_what_was_on_stable_storage_at_the_stop_is_missed_when_the_log_loses_it(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.sync()
    worker.handle(StopRequested())
    assert worker.stopped is not None
    log = worker.root / "workers/0000/wal-0000000000000001.log"
    content = log.read_bytes()
    log.write_bytes(content[:FILE_HEADER_BYTES])
    with pytest.raises(Corruption, match="LSN 1 is left, and it was on stable storage"):
        reopened(worker)
    log.unlink()
    with pytest.raises(Corruption, match="LSN 1 to 1 were on stable storage, but no log file is there") as caught:
        reopened(worker)
    assert caught.value.file == "workers/0000/LOG"
    log.write_bytes(content)
    assert reopened(worker).get([b"a"]) == [b"1"]


def test_a_stop_without_its_log_document_says_so_and_ends_well(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.sync()
    (worker.root / "workers/0000/LOG").unlink()
    worker.handle(StopRequested())
    assert worker.stopped is not None
    assert not worker.stopped.failure
    assert "where the log ends could not be noted" in worker.said[-1]
    assert "workers/0000/LOG" in worker.said[-1]


def test_a_stop_while_log_files_are_released_still_tells_of_every_record(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.sync()
    worker.ask(Op.FLUSH)
    worker.settle()
    worker = reopened(worker)  # the former log file is closed, and nothing needs it
    assert isinstance(worker.jobs[0].spec, ReleaseSpec)
    worker.put({b"b": b"2"}, sequence=9)
    worker.sync()
    worker.handle(StopRequested())
    assert worker.stopped is None, "the job publishes LOG too"
    worker.run_job()
    assert worker.stopped is not None
    assert read_log_document(worker.filesystem, STORE, 0).lsn_durable == 2


def test_statistics_count_what_is_held(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    figures = worker.statistics()
    assert figures["ranges"][0]["overlay_entries"] == 1
    assert figures["buffered_bytes"] == figures["ranges"][0]["overlay_bytes"] > 0
    assert figures["wal"]["lsn_durable"] == 1
    assert figures["requests"]["PUT"] == figures["keys"]["PUT"] == 1
