"""The dedup windows of a worker share the memory planned for them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import ClientId, RequestId
from shardstore.limits import DEDUP_MINUTES, KIB
from shardstore.memory_plan import derive
from shardstore.seams.effects import Tick
from shardstore.wire.wire_format import Flag, Status
from shardstore.workers.ranges.dedup import DedupVerdict, DedupWindow
from shardstore.workers.ranges.window_share import MINUTE_NS, WindowShare, fair_share, sizes_of
from tests.unit.worker_driver import MEMORY, WorkerDriver


def filled(clients: int, first: int = 1) -> DedupWindow:
    window = DedupWindow()
    for client in range(first, first + clients):
        for sequence in range(2, 40, 2):
            window.note(RequestId(ClientId(client), sequence), 0, 0)
    return window


@given(sizes=st.lists(st.integers(0, 1_000)), bytes_max=st.integers(0, 5_000))
def test_shares_are_fair_and_all_that_there_is(sizes: list[int], bytes_max: int) -> None:
    share = fair_share(sizes, bytes_max)
    taken = [min(size, share) for size in sizes]
    assert sum(taken) <= bytes_max or not sizes
    assert all(left <= right for left, right in pairwise(sorted(taken)))
    if sum(sizes) > bytes_max:
        assert sum(min(size, share + 1) for size in sizes) > bytes_max


def test_windows_with_room_are_left_as_they_are() -> None:
    share, window = WindowShare(100 * KIB), filled(100)
    before = window.to_carry()
    share.pass_time([window], 0)
    assert window.to_carry() == before
    assert share.used_bytes == window.size_bytes


def test_large_windows_give_way_and_small_ones_stay() -> None:
    share = WindowShare(40 * KIB)
    large, small = filled(200), filled(5, first=1_000)
    kept = small.to_carry()
    share.pass_time([large, small], 0)
    assert share.used_bytes <= 40 * KIB
    assert sum(sizes_of([large, small])) == share.used_bytes
    assert small.to_carry() == kept
    assert large.judge(RequestId(ClientId(1), 38), retry=True) is DedupVerdict.TOO_OLD
    assert large.judge(RequestId(ClientId(200), 38), retry=True) is DedupVerdict.DUPLICATE


def test_what_children_share_counts_once() -> None:
    parent = filled(100)
    children = [DedupWindow.joined([parent], 0) for _ in range(8)]
    alone = sizes_of([parent])[0]
    assert sum(sizes_of(children)) < 4 * alone
    share = WindowShare(4 * alone)
    share.pass_time(children, 0)
    assert share.used_bytes == sum(sizes_of(children))
    assert all(child.judge(RequestId(ClientId(1), 38), retry=True) is DedupVerdict.DUPLICATE for child in children)


def test_windows_grow_old_with_the_clock() -> None:
    share, window = WindowShare(100 * KIB), filled(1)
    for minute in range(DEDUP_MINUTES + 2):
        assert window.judge(RequestId(ClientId(1), 38), retry=True) is DedupVerdict.DUPLICATE
        share.pass_time([window], minute * MINUTE_NS)
    assert window.judge(RequestId(ClientId(1), 38), retry=True) is DedupVerdict.TOO_OLD


def test_a_worker_keeps_its_windows_within_their_memory(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=replace(derive(MEMORY, 1), window_bytes=20 * KIB)).serve()
    for client in range(1, 200):
        worker.put({b"a": b"1"}, sequence=client, client=client << 32)
        worker.settle()
    worker.handle(Tick())
    memory = worker.statistics()["memory"]["windows"]
    assert memory["allowed"] == 20 * KIB
    assert 10 * KIB < memory["used"] <= 20 * KIB
    answers = []
    for client in (1, 199):
        worker.put({b"a": b"1"}, sequence=client, client=client << 32, flags=Flag.RETRY)
        worker.settle()
        answers.append(worker.status(client))
    assert answers == [Status.TOO_OLD, Status.OK]
