"""Memory of an entry in an active layer, measured by how much the resident memory of the workers grows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.clusters import buffering_store, total_bytes
from benchmarks.processes import resident_bytes, workers_of
from benchmarks.records import RecordShape, records_of
from benchmarks.settings import Settings
from benchmarks.targets import BUFFERING, ENTRY_AND_100, Row
from benchmarks.timing import Figures, medians

ALLOWANCE_BYTES = 100


def memory(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Resident memory of the workers for each buffered entry, from an empty store until it holds all records.

    Uncollected garbage is included: as in real use, nothing makes the workers collect it.
    """
    records = records_of(shape, settings.count(shape))
    runs: list[Figures] = []
    for run in range(settings.runs):
        settings.say(f"memory, run {run + 1} of {settings.runs}")
        with buffering_store(settings, records) as store:
            workers = workers_of(store.cluster)
            before = resident_bytes(workers)
            store.load(records)
            store.check_buffered()
            runs.append({"bytes_per_entry": (resident_bytes(workers) - before) / len(records.keys)})
    entry_bytes = total_bytes(records) / len(records.keys)
    limit = {"bytes_per_entry": entry_bytes + ALLOWANCE_BYTES}
    yield Row("memory", shape.name, "active layers", medians(runs), {ENTRY_AND_100: limit}, {}, BUFFERING)
