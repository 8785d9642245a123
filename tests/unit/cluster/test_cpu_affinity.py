"""The pinning of workers to cores."""

from __future__ import annotations

from shardstore.cluster.cpu_affinity import cores_of


def test_each_worker_has_a_core_of_its_own_and_two_are_left() -> None:
    cores = [0, 1, 2, 3, 8, 9]
    assert [cores_of(worker, 4, cores) for worker in range(4)] == [[2], [3], [8], [9]]


def test_nothing_is_pinned_when_cores_are_few() -> None:
    assert cores_of(0, 2, [0, 1, 2]) == [0, 1, 2]
    assert cores_of(1, 2, [0, 1, 2, 3]) == [3]
