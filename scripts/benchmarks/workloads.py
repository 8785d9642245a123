"""All workloads by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import getdoc
from typing import NamedTuple, TypeAlias

from benchmarks import (
    batches,
    beside_scans,
    concurrency,
    data_model,
    jobs,
    many_clients,
    many_readers,
    memory,
    replay,
    segments,
    singles,
    spreading,
    topology,
)
from benchmarks.records import RecordShape
from benchmarks.settings import Settings
from benchmarks.targets import Row

OfShape: TypeAlias = Callable[[Settings, RecordShape], Iterator[Row]]
OfOneShape: TypeAlias = Callable[[Settings], Iterator[Row]]

BY_SHAPE: dict[str, OfShape] = {
    "put_many": batches.put_many,
    "put_many_synced": batches.put_many_synced,
    "get_many": batches.get_many,
    "get_many_tables": batches.get_many_tables,
    "scan": batches.scan,
    "scan_loaded": batches.scan_loaded,
    "memory": memory.memory,
    "get_cold": segments.get_cold,
    "get_absent": segments.get_absent,
    "scan_reverse": segments.scan_reverse,
    "disk": segments.disk,
}
"""Workloads that are measured with each of the chosen shapes of records."""

OF_ONE_SHAPE: dict[str, OfOneShape] = {
    "get": singles.get,
    "get_tables": singles.get_tables,
    "get_core": singles.get_core,
    "put": singles.put,
    "put_synced": singles.put_synced,
    "get_beside_scan": beside_scans.get_beside_scan,
    "get_tasks": concurrency.get_tasks,
    "get_threads": concurrency.get_threads,
    "ycsb_a": many_clients.ycsb_a,
    "ycsb_b": many_clients.ycsb_b,
    "ycsb_c": many_clients.ycsb_c,
    "get_many_processes": many_readers.get_many_processes,
    "replay": replay.replay,
    "get_inside": segments.get_inside,
    "typed": data_model.typed,
    "count": data_model.counts,
    "delete_range": data_model.range_deletion,
    "queue": data_model.queue_ends,
    "jobs": jobs.jobs,
    "put_busy": jobs.put_busy,
    "write_amplification": jobs.write_amplification,
    "split_stall": topology.split_stall,
    "change_wait": topology.change_wait,
    "move_1gib": topology.move_1gib,
    "two_workers": spreading.two_workers,
    "self_split": spreading.self_split,
    "cold_p99": spreading.cold_p99,
}

NAMES = (*BY_SHAPE, *OF_ONE_SHAPE)


def descriptions() -> dict[str, str]:
    """What each workload measures: the first paragraph of its description."""
    documented = {name: getdoc(workload) or "" for name, workload in (BY_SHAPE | OF_ONE_SHAPE).items()}
    return {name: " ".join(text.partition("\n\n")[0].split()) for name, text in documented.items()}


class Measurement(NamedTuple):
    """A workload with records of one shape; `rows` measures it."""

    name: str
    rows: Callable[[], Iterator[Row]]


def measurements(settings: Settings, names: Sequence[str]) -> Iterator[Measurement]:
    """The measurements of the named workloads, or of all."""
    for name in names or NAMES:
        if name in OF_ONE_SHAPE:
            yield _of_one_shape(settings, name)
        else:
            yield from (_of_shape(settings, name, shape) for shape in settings.shapes)


def _of_shape(settings: Settings, name: str, shape: RecordShape) -> Measurement:
    return Measurement(f"{name} {shape.name}", lambda: BY_SHAPE[name](settings, shape))


def _of_one_shape(settings: Settings, name: str) -> Measurement:
    return Measurement(name, lambda: OF_ONE_SHAPE[name](settings))
