"""Scans in the mode `snapshot` at the worker: what they show, hold and release."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from shardstore.limits import (
    KIB,
    RUNS_SET_ASIDE_MAX,
    SCAN_ABANDONED_NS,
    SCAN_IDLE_NS,
    SECOND_NS,
)
from shardstore.memory_plan import SCAN_BYTES
from shardstore.options import ScanMode
from shardstore.seams.effects import JobFailed, PeerGone, Received, Send, SendFailed, Tick
from shardstore.wire.messages import Refusal
from shardstore.wire.messages import decode as decode_message
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.overlay import overlay
from shardstore.workers.serving import open_scans, scan_path
from tests.unit.worker_driver import CLIENT, WorkerDriver
from tests.unit.workers.serving.scan_driver import AtWorker, open_scans_of, statistics, ten_keys, write

pytestmark = pytest.mark.usefixtures("small_pages")
HELD = [ScanMode.SNAPSHOT, ScanMode.FULL_ISOLATION]


@pytest.fixture
def worker(tmp_path: Path) -> WorkerDriver:
    return ten_keys(tmp_path)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("then", ["write", "seal", "drain", "compact", "set aside", "copy"])
def test_all_pages_of_a_snapshot_show_the_moment_of_the_first(worker: WorkerDriver, reverse: bool, then: str) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT, reverse)
    shown = scan.page()
    owned = worker.core._ranges[1]
    rounds = {"set aside": RUNS_SET_ASIDE_MAX, "copy": RUNS_SET_ASIDE_MAX + 3}.get(then, 1)
    for number in range(rounds):
        if number:
            AtWorker(worker, ScanMode.SNAPSHOT).page()  # pins the layer that the next write would change
        write(worker, {b"k%d" % key: b"new %d" % number for key in range(10)} | {b"k5+": b"new"})
        worker.delete([b"k4"])
        worker.settle()
        owned.overlay.check_invariants()
    if then == "seal":
        owned.overlay.seal(worker.core.service.writes.lsn_applied)
    if then in ("drain", "compact"):
        worker.ask(Op.FLUSH if then == "drain" else Op.COMPACT)
        worker.settle()
    shown += scan.rest()
    expected = [(b"k%d" % number, b"old") for number in range(10)]
    assert shown == (expected[::-1] if reverse else expected)
    now = dict(AtWorker(worker, ScanMode.SNAPSHOT).rest())
    assert now == {b"k%d" % key: b"new %d" % (rounds - 1) for key in range(10) if key != 4} | {b"k5+": b"new"}


def test_a_scan_that_one_page_answers_holds_nothing(worker: WorkerDriver) -> None:
    for mode in HELD:
        scan = AtWorker(worker, mode, limit=2)
        assert len(scan.page()) == 2
        assert (scan.cursor, open_scans_of(worker)) == (b"", 0)
        scan = AtWorker(worker, mode)
        scan.start = b"k9"
        scan.page()
        assert (scan.done, scan.cursor, open_scans_of(worker)) == (True, b"", 0)


def test_a_scan_is_closed_with_its_last_page_or_when_it_ends(worker: WorkerDriver) -> None:
    for mode in HELD:
        scan = AtWorker(worker, mode)
        scan.page()
        assert open_scans_of(worker) == 1
        scan.rest()
        assert open_scans_of(worker) == 0
        limited = AtWorker(worker, mode, limit=4)
        limited.page()
        limited.limit = 2
        limited.page()
        assert (open_scans_of(worker), limited.done) == (0, False)
        left = AtWorker(worker, mode)
        left.page()
        assert left.end_scan() is Status.OK
        assert open_scans_of(worker) == 0
        assert left.end_scan() is Status.OK
        assert "its client has ended it" in left.why_not()


def test_a_layer_is_set_aside_only_for_a_scan_that_is_still_open(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "SET_ASIDE_BYTES_MIN", 0)
    runs = worker.core._ranges[1].overlay.runs
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    scan.end_scan()
    write(worker, {b"k1": b"new"})
    assert not runs
    AtWorker(worker, ScanMode.SNAPSHOT).page()
    write(worker, {b"k1": b"newer"})
    assert [run.due for run in runs] == [False]


def test_a_small_layer_is_copied_for_scans_and_not_set_aside(worker: WorkerDriver) -> None:
    scans = [AtWorker(worker, ScanMode.SNAPSHOT) for _ in range(3)]
    for number, scan in enumerate(scans):
        scan.page()
        write(worker, {b"k1": b"new %d" % number})
    assert not worker.core._ranges[1].overlay.runs
    assert statistics(worker)["memory_bytes"] > 0
    for number, scan in enumerate(scans[1:]):
        assert scan.rest()[-1] == (b"k9", b"old"), number
    scans[0].rest()
    assert statistics(worker)["memory_bytes"] == 0


def test_a_run_that_was_set_aside_is_drained_with_the_others_and_not_before(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "SET_ASIDE_BYTES_MIN", 0)
    layers = worker.core._ranges[1].overlay
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    write(worker, {b"k1": b"new"})
    worker.handle(Tick())
    assert not worker.jobs
    assert layers.lsn_first_kept == layers.lsn_first
    tables = len(worker.core._ranges[1].stored().manifest.tables)
    scan.end_scan()
    worker.ask(Op.FLUSH)
    worker.settle()
    assert (len(layers.runs), len(layers.active)) == (0, 0)
    assert len(worker.core._ranges[1].stored().manifest.tables) == tables + 1
    assert worker.get([b"k1"]) == [b"new"]


def test_every_few_runs_that_are_set_aside_all_become_due(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "SET_ASIDE_BYTES_MIN", 0)
    scans = [AtWorker(worker, ScanMode.SNAPSHOT) for _ in range(RUNS_SET_ASIDE_MAX + 1)]
    for scan in scans:
        scan.page()
        write(worker, {b"k1": b"new"})
    worker.settle()
    assert not worker.core._ranges[1].overlay.runs, "a drain has taken them"
    assert statistics(worker)["memory_bytes"] == 0
    assert [scan.page() for scan in scans] == [[(b"k2", b"old"), (b"k3", b"old")]] * len(scans)


@pytest.mark.parametrize("drain_run_bytes", [1, KIB * KIB])
@pytest.mark.parametrize("aside_min", [0, KIB * KIB])
@pytest.mark.parametrize("reverse", [False, True])
def test_snapshots_go_on_from_the_tables_that_their_runs_were_drained_to(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch, reverse: bool, aside_min: int, drain_run_bytes: int
) -> None:
    """Whatever else was in the drain, or was deleted before or after it."""
    monkeypatch.setattr(overlay, "SET_ASIDE_BYTES_MIN", aside_min)
    worker.core.service.maintenance.drains.bytes_max = drain_run_bytes
    owned = worker.core._ranges[1]
    content = {b"k%d" % number: b"old" for number in range(10)}
    scans: list[tuple[AtWorker, list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]] = []
    for number in range(4):
        scan = AtWorker(worker, ScanMode.SNAPSHOT, reverse)
        expected = sorted(content.items(), reverse=reverse)
        scans.append((scan, scan.page(), expected))
        pairs = {b"k%d" % number: b"new %d" % number, b"n%d" % number: b"new"}
        write(worker, pairs)
        worker.delete([b"k%d" % (number + 5), b"n%d" % (number - 1)])
        worker.settle()
        content = {
            k: v for k, v in (content | pairs).items() if k not in (b"k%d" % (number + 5), b"n%d" % (number - 1))
        }
        if number % 2:
            owned.overlay.seal(worker.core.service.writes.lsn_applied)
    worker.ask(Op.FLUSH)
    worker.settle()
    assert not owned.overlay.runs
    copies = statistics(worker)["memory_bytes"]
    assert copies == 0 if aside_min == 0 else copies < KIB * KIB
    worker.ask(Op.COMPACT)
    worker.settle()
    for scan, first, expected in scans:
        assert first + scan.rest() == expected
    assert AtWorker(worker, ScanMode.SNAPSHOT, reverse).rest() == sorted(content.items(), reverse=reverse)


def test_a_snapshot_keeps_in_memory_what_a_job_has_drained_that_could_not_tell(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    shown = scan.page()
    worker.ask(Op.FLUSH)
    worker.sync() if worker.syncs else None
    job = worker.jobs[0]
    for _ in worker._slices(job):
        pass  # published, but the process dies before it reports that
    worker.jobs.clear()
    worker.handle(JobFailed(job.job, "the maintenance process ended"))
    worker.now_ns += 10 * SECOND_NS
    worker.handle(Tick())
    worker.settle()
    assert not worker.core._ranges[1].overlay.runs
    assert statistics(worker)["memory_bytes"] > 0
    assert shown + scan.rest() == [(b"k%d" % number, b"old") for number in range(10)]


@pytest.mark.parametrize("mode", ScanMode)
def test_a_page_waits_for_the_order_of_its_layers_and_shows_the_moment_it_was_asked(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(scan_path, "SORTED_A_TURN", 2)
    scan, sequence = AtWorker(worker, mode), 10_000
    scan.start = b"k9"
    header = Header(Op.SCAN, segment=1, epoch=1, client=CLIENT, sequence=sequence, duration_ms=1000)
    write(worker, {b"x%d" % number: b"old" for number in range(9)})
    worker.take_turn(Received("clients", b"peer", [header.encode(), *scan.request()]))
    assert worker.core.wakeup_ns() == 0, "it waits for its turn"
    worker.take_turn(Tick())
    assert worker.core.wakeup_ns() == 0, "it needs another one"
    change = Header(Op.PUT, Flag.KEYS_FIXED | Flag.VALUES_FIXED, 0, 0, 0, 1, 1, 1, 1000, CLIENT, sequence + 1)
    effects = worker.core.handle(Received("clients", b"peer", [change.encode(), b"k9", b"new"]), worker.now_ns)
    worker.execute(effects)
    worker.settle()
    worker.handle(Tick())
    assert worker.status(sequence + 1) is (Status.BUSY if mode == ScanMode.FULL_ISOLATION else Status.OK)
    assert scan.take(sequence) == [(b"k9", b"old"), (b"x0", b"old")]
    assert not worker.core.service.scans._begun
    if mode == ScanMode.FAIL_FAST:
        assert "was written" in scan.why_not()


def test_others_are_served_before_scans_that_came_earlier_and_scans_one_after_the_other(worker: WorkerDriver) -> None:
    def send(op: Op, sequence: int, body: list[bytes]) -> int:
        header = Header(op, Flag.KEYS_FIXED, segment=1, epoch=1, entries=1, client=CLIENT, sequence=sequence)
        effects = worker.core.handle(Received("clients", b"peer", [header.encode(), *body]), worker.now_ns)
        return len([effect for effect in effects if isinstance(effect, Send)])

    scans = [AtWorker(worker, ScanMode.SNAPSHOT) for _ in range(3)]
    for number, scan in enumerate(scans):
        assert not send(Op.SCAN, 10_000 + number, scan.request())
    assert send(Op.GET, 20_000, [b"k1"])
    for number, scan in enumerate(scans):
        worker.take_turn(Tick())
        assert len(scan.take(10_000 + number)) == 2
        assert len(worker.core.service.scans.turns) == 2 - number


def test_what_a_page_has_pinned_for_its_turns_is_released_when_it_is_refused(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_path, "SORTED_A_TURN", 2)
    header = Header(Op.SCAN, segment=1, epoch=1, client=CLIENT, sequence=10_000, duration_ms=1000)
    frames = [header.encode(), *AtWorker(worker, ScanMode.LIVE).request()]
    worker.take_turn(Received("clients", b"peer", frames))
    worker.take_turn(Tick())
    assert worker.core._ranges[1].overlay.is_pinned
    worker.core._ranges[1].raise_epoch(2)
    worker.handle(Tick())
    assert worker.status(10_000) is Status.STALE_ROUTE
    assert not worker.core._ranges[1].overlay.is_pinned


def test_what_is_set_aside_survives_a_restart(worker: WorkerDriver) -> None:
    AtWorker(worker, ScanMode.SNAPSHOT).page()
    write(worker, {b"k1": b"new"})
    again = WorkerDriver(worker.root, epoch=2, create=False).serve()
    assert again.get([b"k1", b"k3"]) == [b"new", b"old"]


def test_a_page_that_is_asked_for_again_is_of_the_same_moment(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    first = scan.ask()
    write(worker, {b"k0": b"new"})
    again = worker.ask(Op.SCAN, scan.request(), sequence=first, flags=Flag.RETRY)
    assert again == first
    one, other = worker.answers(first)
    assert one[1][1:] == other[1][1:]
    assert open_scans_of(worker) == 1


def test_a_cursor_means_nothing_in_another_life_or_range(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    write(worker, {b"k%d" % number: b"" for number in range(5)})
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    status = worker.status(worker.ask(Op.SCAN, scan.request(), segment=2))
    assert status is Status.SCAN_INVALIDATED
    scan.worker = WorkerDriver(tmp_path, boundaries=[b"m"], epoch=2, create=False).serve()
    assert "started again" in scan.why_not()


def test_a_scan_that_asks_for_no_page_is_held_while_there_is_room(worker: WorkerDriver) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    worker.now_ns += SCAN_IDLE_NS + SCAN_ABANDONED_NS - 1
    worker.handle(Tick())
    scan.page()
    worker.now_ns += SCAN_IDLE_NS + SCAN_ABANDONED_NS
    worker.handle(Tick())
    assert open_scans_of(worker) == 0
    assert "no page of it was asked for within 930 s" in scan.why_not()


def test_open_scans_are_bounded_by_memory(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=16 * 3 * SCAN_BYTES).serve()
    write(worker, {b"k%d" % number: b"old" for number in range(10)})
    scans = [AtWorker(worker, ScanMode.SNAPSHOT) for _ in range(4)]
    for scan in scans[:3]:
        scan.page()
    refused = scans[3].ask()
    header, frames = worker.answer(refused)
    refusal = decode_message(Refusal, frames[1])
    assert (header.status, refusal.used, refusal.limit) == (Status.BUSY, 3, 3)
    assert "too many open scans" in refusal.what
    assert header.duration_ms == 0, "waiting alone does not help"
    assert AtWorker(worker, ScanMode.SNAPSHOT, limit=2).page()  # holds nothing
    assert len(scans[0].rest()) == 8
    worker.ask(Op.SCAN, scans[3].request(), sequence=refused)
    assert len(scans[3].take(refused)) == 2
    assert all(len(scan.rest()) == 8 for scan in scans[1:])


def test_a_scan_that_is_overdue_makes_room_for_another(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=16 * 2 * SCAN_BYTES).serve()
    write(worker, {b"k%d" % number: b"old" for number in range(10)})
    overdue, other = AtWorker(worker, ScanMode.SNAPSHOT), AtWorker(worker, ScanMode.SNAPSHOT)
    overdue.page()
    worker.now_ns += SCAN_IDLE_NS - 1
    other.page()
    worker.now_ns += 1
    AtWorker(worker, ScanMode.SNAPSHOT).page()
    assert "no page of it was asked for within 30 s, and its room was needed" in overdue.why_not()
    assert len(other.rest()) == 8


@pytest.mark.parametrize("mode", HELD)
def test_the_cursor_of_a_scan_counts_for_its_client_alone(worker: WorkerDriver, mode: str) -> None:
    scan, other = AtWorker(worker, mode), AtWorker(worker, mode)
    scan.page()
    other.client, other.cursor = CLIENT + 1, scan.cursor
    assert other.end_scan() is Status.OK
    assert open_scans_of(worker) == 1
    assert "another client" in other.why_not()
    assert len(scan.rest()) == 8


def test_cursors_cannot_be_guessed(worker: WorkerDriver) -> None:
    cursors = []
    for _ in range(3):
        scan = AtWorker(worker, ScanMode.SNAPSHOT)
        scan.page()
        cursors.append(int.from_bytes(scan.cursor[4:], "little"))
    assert len({later - earlier for earlier, later in pairwise(cursors)}) == 2
    assert max(cursors) > 2**48


@pytest.mark.fault("C1")
@pytest.mark.parametrize("event", [PeerGone("clients", b"peer"), SendFailed("clients", b"peer", ())])
def test_the_scans_of_a_client_that_went_away_are_closed(worker: WorkerDriver, event: PeerGone | SendFailed) -> None:
    for mode in HELD:
        AtWorker(worker, mode).page()
    worker.handle(PeerGone("clients", b"other"))
    assert open_scans_of(worker) == 2
    worker.handle(event)
    assert open_scans_of(worker) == 0
    assert write(worker, {b"k1": b"new"}) is Status.OK


def test_a_scan_is_refused_when_the_open_ones_hold_too_much_memory(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=512 * KIB).serve()  # 32 KiB of it for views
    scans = []
    refused = 0
    for number in range(20):
        write(worker, {b"%d %d" % (number, at): b"v" * 100 for at in range(10)})
        scan = AtWorker(worker, ScanMode.SNAPSHOT)
        sequence = scan.ask()
        if worker.status(sequence) is Status.OK:
            scan.take(sequence)
            scans.append((scan, 10 * (number + 1) - 2))
        else:
            header, frames = worker.answer(sequence)
            assert "hold too much memory" in decode_message(Refusal, frames[1]).what
            assert header.duration_ms == 0
            refused += 1
    assert refused > 5
    assert statistics(worker)["closed_early"] == 0
    assert [len(scan.rest()) for scan, _ in scans] == [rest for _, rest in scans]
    AtWorker(worker, ScanMode.SNAPSHOT).page()


def test_files_that_only_views_hold_are_bounded(worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = AtWorker(worker, ScanMode.SNAPSHOT)
    scan.page()
    worker.ask(Op.COMPACT)
    worker.settle()
    held = statistics(worker)["file_bytes"]
    assert held > 0
    monkeypatch.setattr(open_scans, "VIEW_FILE_BYTES_MAX", held - 1)
    worker.handle(Tick())
    assert (open_scans_of(worker), statistics(worker)["file_bytes"]) == (0, 0)
    assert "of files that nothing else needs" in scan.why_not()
