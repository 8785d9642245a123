"""The worker core, request by request, on real files in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.effects import JobFailed, Received, StopRequested, Tick, WalSyncFailed
from shardstore.errors import Corruption, StorageFailure
from shardstore.file_names import manifest
from shardstore.limits import FRAME_BYTES_MAX, KEY_BYTES_MAX, REFUSAL_CHARACTERS_MAX, SECOND_NS, VALUE_BYTES_MAX
from shardstore.messages import Refusal, ScanRequest, decode, encode
from shardstore.options import Durability
from shardstore.posix_filesystem import PosixFilesystem
from shardstore.wire_format import Flag, Header, Op, Status, decode_header
from shardstore.workers.jobs.specs import ReleaseSpec
from shardstore.workers.ranges import replay
from shardstore.workers.wal.log_document import read_log_document
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES
from tests.unit.worker_driver import STORE, WorkerDriver

MEBIBYTE = 1 << 20


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return WorkerDriver(tmp_path).serve()


def refusal(worker: WorkerDriver, sequence: int) -> Refusal:
    return decode(Refusal, worker.answer(sequence)[1][1])


def reopened(worker: WorkerDriver, **changes: object) -> WorkerDriver:
    """The next process on the same files, as after a kill."""
    settings = {"durability": worker.durability, "memory": worker.memory, "boundaries": worker.boundaries}
    return WorkerDriver(worker.root, **{**settings, "epoch": worker.epoch + 1, "create": False, **changes}).serve()


# ---------------------------------------------------------------- durability


def test_group_sync_shows_and_acknowledges_a_write_only_after_the_sync(worker: WorkerDriver) -> None:
    first = worker.put({b"a": b"1"})
    second = worker.put({b"b": b"2"})
    assert worker.status(first) is None
    assert worker.get([b"a", b"b"]) == [None, None]
    worker.sync()
    assert worker.status(first) is Status.OK
    assert worker.status(second) is None, "it was appended after that sync had begun"
    assert worker.get([b"a", b"b"]) == [b"1", None]
    worker.sync()
    assert worker.status(second) is Status.OK
    assert worker.get([b"a", b"b"]) == [b"1", b"2"]


def test_group_sync_serves_all_that_arrived_meanwhile_with_one_sync(worker: WorkerDriver) -> None:
    worker.put({b"first": b""})
    later = [worker.put({b"k%d" % number: b"v"}) for number in range(20)]
    worker.sync()
    worker.sync()
    assert {worker.status(sequence) for sequence in later} == {Status.OK}
    assert not worker.syncs


def test_sync_mode_gives_each_request_a_sync_of_its_own(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, Durability.SYNC).serve()
    sequences = [worker.put({b"k%d" % number: b"v"}) for number in range(3)]
    for done in range(1, 4):
        worker.sync()
        assert [worker.status(sequence) for sequence in sequences] == [Status.OK] * done + [None] * (3 - done)


def test_async_acknowledges_at_once_and_syncs_when_the_interval_is_over(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, Durability.ASYNC).serve()
    assert worker.status(worker.put({b"a": b"1"})) is Status.OK
    assert worker.get([b"a"]) == [b"1"]
    assert not worker.syncs
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    assert len(worker.syncs) == 1


@pytest.mark.parametrize("durability", list(Durability))
def test_acknowledged_writes_are_there_in_the_next_process(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    worker.put({b"a": b"1", b"b": b"2"})
    worker.delete([b"b"])
    worker.settle()
    assert reopened(worker).get([b"a", b"b"]) == [b"1", None]


def test_a_worker_whose_log_has_writes_that_the_map_cannot_know_of_does_not_start(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    files = sorted(worker.root.rglob("*"))
    with_older_map = WorkerDriver(worker.root).serve(segment_next=1)
    assert with_older_map.stopped is not None
    assert "segment 1, of which the log here holds writes: it is older" in with_older_map.stopped.failure
    assert not with_older_map.ready
    assert not with_older_map.jobs
    assert sorted(worker.root.rglob("*")) == files
    assert WorkerDriver(worker.root).serve(segment_next=2).get([b"a"]) == [b"1"]


class RefusesToRename(PosixFilesystem):
    """Renames nothing to this path."""

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


def test_failed_sync_ends_waiting_writes_unknown_and_stops_the_worker(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.handle(WalSyncFailed("EIO"))
    assert worker.status(sequence) is Status.UNKNOWN
    assert worker.stopped is not None
    assert "EIO" in worker.stopped.failure
    assert worker.get([b"a"]) == [None]


# ---------------------------------------------------------------- dedup


def test_retry_of_an_applied_write_is_acknowledged_and_applied_once(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.settle()
    worker.put({b"a": b"2"})
    worker.settle()
    worker.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    assert worker.status(sequence) is Status.OK
    assert worker.get([b"a"]) == [b"2"]


def test_retry_of_a_write_that_waits_is_answered_with_it(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    assert worker.status(sequence) is None
    worker.sync()
    assert [header.status for header, _ in worker.answers(sequence)] == [Status.OK, Status.OK]


@pytest.mark.parametrize("flushed", [False, True])
def test_retry_in_the_next_process_is_applied_once(worker: WorkerDriver, flushed: bool) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.settle()
    worker.put({b"a": b"2"})
    if flushed:
        worker.ask(Op.FLUSH)
    worker.settle()
    following = reopened(worker)
    following.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    following.settle()
    assert following.status(sequence) is Status.OK
    assert following.get([b"a"]) == [b"2"]


# ---------------------------------------------------------------- refusals


def test_other_epoch_or_segment_is_stale_and_brings_the_routes(worker: WorkerDriver) -> None:
    for fields in ({"epoch": 0}, {"epoch": 2}, {"segment": 9}):
        sequence = worker.put({b"a": b"1"}, **fields)
        assert worker.status(sequence) is Status.STALE_ROUTE
        assert refusal(worker, sequence).routes == b"routes"
    assert not worker.syncs


def send(worker: WorkerDriver, op: Op, body: list[bytes], **fields: int) -> int:
    return worker.ask(op, body, **fields)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda w: w.put({b"a": b"1"}, client=0), "client id"),
        (lambda w: send(w, Op.PUT, [b"", b"1"], entries=1, flags=3), "0 bytes"),
        (lambda w: send(w, Op.PUT, [b"k" * 4097, b"1"], entries=1, flags=3), "4097 bytes"),
        (lambda w: send(w, Op.PUT, [b"abc", b"1"], entries=2, flags=3), "no 2 items"),
        (lambda w: send(w, Op.PUT, [b"\xc1", b"1"], entries=1, flags=2), "msgpack"),
        (lambda w: send(w, Op.PUT, [b"\x91\xa1a", b"1"], entries=1, flags=2), "max_str_len|byte strings"),
        (lambda w: send(w, Op.GET, [b""], entries=0, flags=1), "1 to 65536 entries"),
        (lambda w: send(w, Op.GET, [b"a"], entries=70_000, flags=1), "1 to 65536 entries"),
        (lambda w: send(w, Op.SCAN, [b"\x80"]), "fields of a ScanRequest"),
        (lambda w: send(w, Op.PUT, [b"a", b"v" * (8 * MEBIBYTE + 1)], entries=1, flags=3), "8388609 bytes"),
    ],
)
def test_bad_requests_are_refused_by_what_is_wrong(
    worker: WorkerDriver, ask: Callable[[WorkerDriver], int], what: str
) -> None:
    sequence = ask(worker)
    assert worker.status(sequence) is Status.INVALID
    assert any(part in refusal(worker, sequence).what for part in what.split("|"))
    assert not worker.syncs


def test_a_refusal_does_not_repeat_what_a_client_sent_at_length(worker: WorkerDriver) -> None:
    long = b"\0" * (KEY_BYTES_MAX + 2)
    for start, end in ((long, b""), (b"", long), (bytes(9 << 20), b"\0"), (b"\1" * 4_000, b"\0" * 4_000)):
        sequence = worker.ask(Op.SCAN, [encode(ScanRequest(start, end))])
        header, frames = worker.answer(sequence)
        assert header.status == Status.INVALID
        assert len(frames[1]) < 2 * REFUSAL_CHARACTERS_MAX


def test_a_scan_goes_on_behind_the_longest_key(worker: WorkerDriver) -> None:
    longest = b"k" * KEY_BYTES_MAX
    assert worker.scan(ScanRequest(longest + b"\0")) == ([], b"")
    assert worker.scan(ScanRequest(b"", longest + b"\0")) == ([], b"")


def test_key_outside_the_range_is_refused(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    assert worker.status(worker.put({b"z": b"1"}, segment=1)) is Status.INVALID
    assert worker.status(worker.put({b"a": b"1"}, segment=2)) is Status.INVALID
    worker.put({b"m": b"1"}, segment=2)
    worker.settle()
    assert worker.get([b"m"], segment=2) == [b"1"]


def test_garbage_is_counted_and_ignored(worker: WorkerDriver) -> None:
    before = len(worker.sent)
    for frames in ([], [b""], [b"x" * 40], [Header(Op.GET, status=Status.OK).encode()]):
        worker.handle(Received("clients", b"peer", frames))
    assert len(worker.sent) == before


@pytest.mark.parametrize("frames", [[Header(Op.GET).encode()], [Header(99).encode(), b""]])
def test_a_malformed_request_is_answered_as_far_as_it_can_be_understood(
    worker: WorkerDriver, frames: list[bytes]
) -> None:
    worker.handle(Received("clients", b"peer", frames))
    answered = worker.sent[-1]
    assert (answered.link, answered.peer) == ("clients", b"peer")
    assert decode_header(answered.frames[0]).status == Status.INVALID


@pytest.mark.parametrize("item", [b"\x90", b"\x80"], ids=["lists", "maps"])
def test_a_document_of_a_million_nothings_is_refused_before_it_is_decoded(worker: WorkerDriver, item: bytes) -> None:
    document = b"\xdd" + (2**20).to_bytes(4, "big") + item * 2**20
    sequence = worker.ask(Op.SCAN, [document])
    assert worker.status(sequence) is Status.INVALID
    assert "allowed are" in refusal(worker, sequence).what


def test_a_column_of_columns_is_refused_at_its_second_array(worker: WorkerDriver) -> None:
    keys = b"\xdc\x00\xf0" + (b"\xdc\xff\xff" + b"\x90" * 0xFFFF) * 240
    sequence = worker.ask(Op.GET, [keys], entries=0xFFFF)
    assert "too many arrays" in refusal(worker, sequence).what


def test_full_buffers_refuse_before_the_log(worker: WorkerDriver) -> None:
    sequence, written = 0, 0
    while worker.status(sequence) is not Status.BUSY:
        sequence = worker.put({b"k%08d" % written: b"v" * MEBIBYTE})
        written += 1
        worker.sync() if worker.syncs else None
        assert written < 64, "never refused"
    busy = refusal(worker, sequence)
    assert busy.used > busy.limit > 0
    assert not worker.syncs, "nothing was appended"
    worker.settle()  # drains make room
    assert worker.get([b"k%08d" % (written - 1)]) == [None]
    again = worker.put({b"k%08d" % (written - 1): b"v"})
    worker.settle()
    assert worker.status(again) is Status.OK


# ---------------------------------------------------------------- reads


def test_get_answers_through_active_layer_run_and_table(worker: WorkerDriver) -> None:
    worker.put({b"table": b"1", b"both": b"old", b"gone": b"x"})
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.settle()
    worker.put({b"both": b"new"})
    worker.delete([b"gone"])
    worker.settle()
    assert worker.get([b"table", b"both", b"gone", b"never"]) == [b"1", b"new", None, None]
    assert worker.get([b"table", b"gone"], flags=Flag.PRESENCE) == [b"", None]


def test_large_reply_is_cut_and_says_so(worker: WorkerDriver) -> None:
    keys = [b"k%d" % number for number in range(9)]
    for key in keys:
        worker.put({key: key * (2 * MEBIBYTE // 2)})
        worker.settle()
    sequence = worker.ask(Op.GET, [b"".join(keys)], entries=9, flags=Flag.KEYS_FIXED)
    header, frames = worker.answer(sequence)
    assert header.flags & Flag.MORE
    assert 1 <= header.entries < 9
    assert len(frames[1]) <= 17 * MEBIBYTE


def scan_all(worker: WorkerDriver, request: ScanRequest) -> list[tuple[bytes, bytes]]:
    entries: list[tuple[bytes, bytes]] = []
    while True:
        page, resume = worker.scan(request)
        entries = page + entries if request.reverse else entries + page
        if not resume:
            return entries
        start, end = (request.start, resume) if request.reverse else (resume, request.end)
        request = ScanRequest(start, end, request.reverse, request.keys_only, request.limit)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 7])
def test_scan_pages_join_to_every_live_entry(worker: WorkerDriver, reverse: bool, limit: int) -> None:
    model = {}
    for stage in range(4):
        pairs = {b"%03d" % number: b"%d" % stage for number in range(stage, 100, 3)}
        worker.put(pairs)
        gone = [b"%03d" % number for number in range(stage, 100, 7)]
        worker.delete(gone)
        worker.settle()
        model = {key: value for key, value in {**model, **pairs}.items() if key not in gone}
        if stage % 2 == 0:
            worker.ask(Op.FLUSH)
            worker.settle()
    expected = sorted(model.items())
    assert scan_all(worker, ScanRequest(reverse=reverse, limit=limit)) == expected
    part = [(key, value) for key, value in expected if b"02" <= key < b"07"]
    assert scan_all(worker, ScanRequest(b"02", b"07", reverse, limit=limit)) == part


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_a_compacted_range_sends_its_blocks(worker: WorkerDriver, reverse: bool) -> None:
    pairs = {b"%06d" % number: b"value %6d" % number for number in range(20_000)}
    worker.put(pairs)
    worker.settle()
    sequence = worker.ask(Op.COMPACT)
    worker.settle()
    assert worker.status(sequence) is Status.OK
    expected = sorted(pairs.items())
    assert scan_all(worker, ScanRequest(reverse=reverse)) == expected
    assert scan_all(worker, ScanRequest(b"000100", b"019900", reverse)) == expected[100:19_900]


def test_scan_outside_the_range_is_empty_and_done(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    assert worker.scan(ScanRequest(b"n", b"z"), segment=1) == ([], b"")


# ---------------------------------------------------------------- maintenance


def test_flush_is_answered_when_tables_hold_everything_and_the_log_is_released(worker: WorkerDriver) -> None:
    worker.put({b"k%07d" % number: b"v" * 1000 for number in range(2000)})
    worker.settle()
    sequence = worker.ask(Op.FLUSH)
    assert worker.status(sequence) is None
    worker.settle()
    assert worker.status(sequence) is Status.OK
    logs = list((worker.root / "workers/0000").glob("wal-*.log"))
    assert sum(log.stat().st_size for log in logs) < MEBIBYTE
    assert reopened(worker).get([b"k%07d" % 1999]) == [b"v" * 1000]


def test_flush_of_nothing_is_answered_at_once(worker: WorkerDriver) -> None:
    assert worker.status(worker.ask(Op.FLUSH)) is Status.OK
    assert not worker.jobs


def test_compact_leaves_one_table_without_deleted_keys(worker: WorkerDriver) -> None:
    for number in range(3):
        worker.put({b"%d" % number: b"v", b"same": b"%d" % number})
        worker.delete([b"0"]) if number == 2 else None
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    sequence = worker.ask(Op.COMPACT)
    worker.settle()
    assert worker.status(sequence) is Status.OK
    assert len(list((worker.root / "segments/00000001").glob("table-*.sst"))) == 1
    assert scan_all(worker, ScanRequest()) == [(b"1", b"v"), (b"2", b"v"), (b"same", b"2")]


def test_failed_job_is_tried_again_later_and_loses_nothing(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    sequence = worker.ask(Op.FLUSH)
    worker.handle(JobFailed(worker.jobs.popleft().job, "no space left"))
    assert worker.status(sequence) is Status.BUSY, "who waits is told, and asks again"
    sequence = worker.ask(Op.FLUSH)
    assert not worker.jobs, "not before the delay is over"
    assert worker.get([b"a"]) == [b"1"]
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert worker.status(sequence) is Status.OK


def test_failed_release_removes_the_same_files_later(worker: WorkerDriver) -> None:
    worker.put({b"k%07d" % number: b"v" * 1000 for number in range(2000)})
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.run_job()
    release = worker.jobs.popleft()
    assert release.spec.paths
    worker.handle(JobFailed(release.job, "the process died"))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert not [path for path in release.spec.paths if (worker.root / path).exists()]


def test_compaction_that_failed_is_told_to_everybody_who_waits(worker: WorkerDriver) -> None:
    for number in range(2):
        worker.put({b"%d" % number: b"v"})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    asked = [worker.ask(Op.COMPACT), worker.ask(Op.COMPACT)]
    worker.handle(JobFailed(worker.jobs.popleft().job, "the process died"))
    assert [worker.status(sequence) for sequence in asked] == [Status.BUSY, Status.BUSY]
    asked = [worker.ask(Op.COMPACT), worker.ask(Op.COMPACT)]
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert [worker.status(sequence) for sequence in asked] == [Status.OK, Status.OK]


def test_damage_met_by_a_job_is_told_to_who_waits_and_spares_other_ranges(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    worker.put({b"a": b"1"}, segment=1)
    worker.put({b"z": b"2"}, segment=2)
    worker.settle()
    flushes = [worker.ask(Op.FLUSH, segment=segment) for segment in (1, 2)]
    assert [drain.segment for drain in worker.jobs[0].spec.drains] == [1]
    worker.handle(JobFailed(worker.jobs.popleft().job, "damaged", Corruption("table-1", 7, "damaged")))
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert [worker.status(sequence) for sequence in flushes] == [Status.FAILED, Status.OK]
    told = refusal(worker, flushes[0])
    assert (told.file, told.offset, told.what) == ("table-1", 7, "damaged")
    assert worker.status(worker.ask(Op.FLUSH, segment=1)) is Status.FAILED, "later ones do not wait for nothing"
    assert worker.get([b"a"]) == [b"1"]


def test_many_drains_lead_to_a_compaction(worker: WorkerDriver) -> None:
    for number in range(9):
        worker.put({b"%d" % number: b"v"})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    assert len(list((worker.root / "segments/00000001").glob("table-*.sst"))) < 8
    assert len(scan_all(worker, ScanRequest())) == 9


# ---------------------------------------------------------------- life


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
    worker = reopened(worker)  # the log of before is a closed file, which nothing needs
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
    figures = worker.figures()
    assert figures["ranges"][0]["overlay_entries"] == 1
    assert figures["buffered_bytes"] == figures["ranges"][0]["overlay_bytes"] > 0
    assert figures["wal"]["lsn_durable"] == 1
    assert figures["requests"]["PUT"] == figures["keys"]["PUT"] == 1


def test_replay_keeps_the_order_of_puts_and_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "COLLECTED_ENTRIES", 3)
    worker = WorkerDriver(tmp_path, Durability.ASYNC, boundaries=[b"m"]).serve()
    kept: dict[bytes, bytes] = {}
    for number in range(40):
        key, epoch_of = b"%c" % (b"az"[number % 2] - number % 5), {"segment": 1 + number % 2}
        if number % 7 in (3, 4):
            worker.delete([key], **epoch_of)
            kept.pop(key, None)
        else:
            worker.put({key: b"%d" % number, key + b"2": b"x" * number}, **epoch_of)
            kept |= {key: b"%d" % number, key + b"2": b"x" * number}
    keys = sorted({b"%c%s" % (b"az"[number % 2] - number % 5, end) for number in range(40) for end in (b"", b"2")})
    again = reopened(worker)
    for segment, half in ((1, [key for key in keys if key < b"m"]), (2, [key for key in keys if key >= b"m"])):
        assert again.get(half, segment=segment) == [kept.get(key) for key in half]
    last = again.put({b"z": b"late"}, sequence=40, segment=2)
    assert again.status(last) is Status.OK, "a request of the log is acknowledged"
    assert again.get([b"z"], segment=2) == [kept.get(b"z")], "and not applied again"


def test_a_page_of_large_values_from_many_layers_is_no_larger_than_one_layer_gives(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=96 << 20).serve()
    for number in range(4):
        worker.put({b"k%d" % number: bytes([number]) * VALUE_BYTES_MAX})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    header, frames = worker.answer(worker.ask(Op.SCAN, [encode(ScanRequest())]))
    assert header.entries == 1
    assert sum(map(len, frames)) < FRAME_BYTES_MAX
