"""In each order of steps, a direct read is not older than a write acknowledged before it, or than the last read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shardstore.workers.board.range_slot import RangeSlot
from tests.interleavings import cases
from tests.interleavings.direct_client import DirectClient
from tests.interleavings.history import History
from tests.interleavings.recorded_cluster import KEY, OTHER
from tests.interleavings.setting import Explored, Read, prepare, read_all_ways

Case = Callable[[], Iterator[History]]


def get(client: DirectClient) -> None:
    """Read the key at any time."""
    client.get(KEY)


def get_at_once(client: DirectClient) -> None:
    """Read the key before anything happens: its board is mapped, and its files are open."""
    client.get_at_once(KEY)


def get_other(client: DirectClient) -> None:
    """Read another key."""
    client.get(OTHER)


def get_many(client: DirectClient) -> None:
    """Read two keys in one call."""
    client.get_many(KEY, OTHER)


@pytest.mark.parametrize(
    ("case", "reads", "slots"),
    [
        (cases.write, [get, get, get], 2),
        (cases.write, [get_many, get_many], 2),
        (cases.batch, [get, get], 2),
        (cases.batch, [get_at_once, get_many], 2),
        (cases.range_deletion, [get, get], 2),
        (cases.range_deletion, [get_at_once, get_many], 2),
        (cases.range_deletion_over_writes, [get, get_many], 2),
        (cases.drain_and_reuse, [get, get], 2),
        (cases.drain_and_reuse, [get_other, get], 2),
        (cases.drain_and_reuse, [get_at_once, get_many], 2),
        (cases.drain_beside_write, [get_at_once, get], 2),
        (cases.compaction, [get, get], 2),
        (cases.compaction, [get_at_once, get_many], 2),
        (cases.move, [get, get], 2),
        (cases.split, [get, get_many], 2),
        (cases.opening, [get, get], 2),
        (cases.opening, [get_other, get_many], 2),
        (cases.fence_and_reuse, [get, get], 2),
        (cases.slot_reuse, [get, get], 1),
        (cases.kill, [get], 2),
        (cases.kill, [get_at_once, get], 2),
        pytest.param(cases.drain_beside_write, [get, get], 2, marks=pytest.mark.slow),
    ],
)
def test_reads_are_linearizable(case: Case, reads: list[Read], slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch, slots)
    explored = Explored()
    read_all_ways(case(), reads, explored)
    assert explored.direct
    assert explored.asked


@pytest.mark.parametrize("reads", [[get, get], [get_at_once, get_many]])
def test_reads_beside_a_batch_that_sets_bits_are_linearizable(
    reads: list[Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch)
    monkeypatch.setattr(RangeSlot, "_takes", lambda _slot, _keys: True)
    explored = Explored()
    read_all_ways(cases.batch(), reads, explored)
    assert explored.direct
    assert explored.asked


@pytest.mark.parametrize("case", [cases.write, cases.drain_and_reuse])
def test_the_quick_segment_reads_like_the_real_one(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    explored = Explored(), Explored()
    prepare(monkeypatch, has_real_segments=True)
    read_all_ways(case(), [get_at_once, get], explored[0])
    prepare(monkeypatch)
    read_all_ways(case(), [get_at_once, get], explored[1])
    assert explored[0] == explored[1]
