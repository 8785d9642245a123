"""What a worker does by itself for ranges that are no longer written to."""

from __future__ import annotations

import pytest

from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Tick
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.maintenance.policies import compaction_choice
from shardstore.workers.maintenance.policies.compaction_policy import (
    DELTAS_MAX,
    KEYS_ASKED_MIN,
    TOMBSTONES_MIN,
    choose_compaction,
)
from shardstore.workers.maintenance.policies.drain_policy import LONG_REST_NS, REST_BYTES, REST_NS
from shardstore.workers.maintenance.policies.rest import REST_LOOK_NS
from tests.unit.worker_driver import WorkerDriver

VALUE = b"v" * 1000
MANY = REST_BYTES // len(VALUE)


def put(worker: WorkerDriver, count: int) -> None:
    worker.put({b"key %05d" % number: VALUE for number in range(count)})
    worker.settle()


def rest(worker: WorkerDriver, duration_ns: int) -> None:
    """Let time pass, with a Tick every half second."""
    for _ in range(duration_ns * 2 // SECOND_NS + 1):
        worker.now_ns += SECOND_NS // 2
        worker.handle(Tick())
        worker.settle()


def test_what_is_not_written_any_more_is_drained(worker: WorkerDriver) -> None:
    put(worker, MANY)
    rest(worker, REST_NS - SECOND_NS)
    assert worker.range_statistics()["overlay_entries"] == MANY
    rest(worker, SECOND_NS)
    assert worker.range_statistics()["overlay_entries"] == 0
    assert worker.range_statistics()["layers"]["table_entries"] == MANY
    wal = worker.statistics()["wal"]
    assert wal["lsn_checkpoint"] == wal["lsn_appended"], "the log is not needed any more"


def test_a_range_that_is_written_now_and_then_does_not_rest(worker: WorkerDriver) -> None:
    for _ in range(10):
        put(worker, MANY)
        rest(worker, REST_NS - SECOND_NS)
    assert worker.range_statistics()["drains"]["finished"] == 0


def test_a_single_write_is_drained_after_a_long_rest(worker: WorkerDriver) -> None:
    put(worker, 1)
    rest(worker, LONG_REST_NS - SECOND_NS)
    assert worker.range_statistics()["overlay_entries"] == 1
    rest(worker, SECOND_NS)
    assert worker.range_statistics()["overlay_entries"] == 0


def test_a_load_is_compacted_when_it_has_ended(worker: WorkerDriver) -> None:
    for _ in range(3):
        put(worker, MANY)
        assert worker.status(worker.ask(Op.FLUSH)) is None
        worker.settle()
    assert worker.range_statistics()["tables"] == 3
    rest(worker, REST_NS + REST_LOOK_NS)
    assert worker.range_statistics()["tables"] == 1
    done = worker.range_statistics()["compactions"]["finished"]
    rest(worker, LONG_REST_NS)
    assert worker.range_statistics()["compactions"]["finished"] == done, "once is enough"


def test_a_range_whose_keys_are_all_deleted_takes_no_space(worker: WorkerDriver) -> None:
    keys = [b"key %05d" % number for number in range(TOMBSTONES_MIN)]
    worker.put(dict.fromkeys(keys, b"value"))
    worker.settle()
    worker.ask(Op.COMPACT)
    worker.settle()
    worker.delete(keys)
    worker.settle()
    sequence = worker.ask(Op.FLUSH)
    worker.settle()
    assert worker.status(sequence) is Status.OK
    figures = worker.range_statistics()
    assert (figures["file_bytes"], figures["tables"]) == (0, 0)


def test_a_segment_in_which_nothing_can_become_due_is_not_looked_at_before_its_next_version(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(
        compaction_choice, "choose_compaction", lambda sizes: looks.append(sizes.deltas) or choose_compaction(sizes)
    )
    put(worker, MANY)
    worker.ask(Op.FLUSH)
    worker.settle()
    rest(worker, SECOND_NS)
    assert looks[-1] == 1
    looks.clear()
    rest(worker, LONG_REST_NS)
    assert not looks
    for _ in range(2):
        put(worker, MANY)
        worker.ask(Op.FLUSH)
        worker.settle()
    assert max(looks) > 1
    rest(worker, REST_NS + REST_LOOK_NS)
    assert worker.range_statistics()["tables"] == 1


def test_what_reads_or_rest_may_make_due_is_looked_at_again_only_then(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        put(worker, 1)
        worker.ask(Op.FLUSH)
        worker.settle()
    looks: list[int] = []
    monkeypatch.setattr(
        compaction_choice, "choose_compaction", lambda sizes: looks.append(sizes.deltas) or choose_compaction(sizes)
    )
    rest(worker, SECOND_NS)
    assert not looks
    worker.get([b"absent %05d" % number for number in range(KEYS_ASKED_MIN)])
    worker.handle(Tick())
    assert looks == [2]
    rest(worker, REST_NS + REST_LOOK_NS)
    assert worker.range_statistics()["tables"] == 1


def test_many_reads_make_a_compaction_due_without_another_version(worker: WorkerDriver) -> None:
    for _ in range(DELTAS_MAX - 1):
        put(worker, 1)
        worker.ask(Op.FLUSH)
        worker.settle()
    for _ in range(4):
        worker.now_ns += SECOND_NS // 4
        worker.get([b"absent %05d" % number for number in range(KEYS_ASKED_MIN)])
        worker.handle(Tick())
        worker.settle()
    assert worker.range_statistics()["tables"] == 1
