"""Batches: many keys are written and read in one call, and in separate blocking calls of 1000 keys.

Each run writes to a new store. Reads come from tables after a rest, those of `scan_loaded` from a store that was just
loaded. `get_many` writes everything again before each run, since a store at rest drains its overlays after five
seconds; the figure `overlay_share` says how many of the entries were still in overlays when the run ended. Everything
written or read is checked: a wrong value ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from benchmarks import limits
from benchmarks.clusters import Store, WrongAnswer, new_store, total_bytes
from benchmarks.comparing import measure_peers
from benchmarks.records import Records, RecordShape, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import (
    ASYNC,
    CALLS_OF_1000,
    DEFAULT_OPTIONS,
    DICT_GET,
    DICT_UPDATE,
    ONE_CALL,
    ONE_WAY,
    SYNCED_WRITE,
    Row,
)
from benchmarks.timing import Figures, medians
from shardstore.limits import MIB, SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES

CALL_ENTRIES = 1_000
CHUNK_ENTRIES = 32_768
CHUNK_BYTES = 4 * MIB
"""The client cuts a call into chunks of at most this size, and each chunk by range."""
BOTH_WAYS = (ONE_CALL, CALLS_OF_1000)
Read: TypeAlias = Callable[[Store, str], Figures]


def put_many(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Writes that are acknowledged once the operating system has them; drains run meanwhile."""
    return _writes(settings, shape, "put_many", "async")


def put_many_synced(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Writes that are acknowledged after a shared sync; drains run meanwhile."""
    return _writes(settings, shape, "put_many_synced", "group_sync")


def get_many(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Reads of keys that were just written, from overlays; four of five keys are present."""
    records = records_of(shape, settings.count(shape))
    read = _lookup(records)

    def write_and_read(store: Store, way: str) -> Figures:
        store.load(records)
        return read(store, way)

    runs = _reads(settings, "get_many", records, write_and_read, BOTH_WAYS, compacted=True)
    return _lookup_rows(settings, shape, "get_many", records, runs)


def get_many_tables(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Reads from tables; four of five keys are present."""
    records = records_of(shape, settings.count(shape))
    runs = _reads(settings, "get_many_tables", records, _lookup(records), BOTH_WAYS, compacted=True)
    return _lookup_rows(settings, shape, "get_many_tables", records, runs)


def scan(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Scan all entries in key order, from tables."""
    return _scans(settings, shape, "scan", compacted=True)


def scan_loaded(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Scan all entries in key order, from a store that was just loaded."""
    return _scans(settings, shape, "scan_loaded", compacted=False)


def _writes(settings: Settings, shape: RecordShape, workload: str, durability: str) -> Iterator[Row]:
    records = records_of(shape, settings.count(shape))
    runs: dict[str, list[Figures]] = {way: [] for way in BOTH_WAYS}
    for run in range(settings.runs):
        for way in BOTH_WAYS:
            settings.say(f"{workload}, {way}, run {run + 1} of {settings.runs}")
            with new_store(settings, durability) as store:
                runs[way].append(_write(store, records, way))
    settings.say(f"{workload}, limits")
    peers = measure_peers(settings, shape, workload, len(records.keys))
    for way in BOTH_WAYS:
        beside = {
            DICT_UPDATE: limits.dict_update(settings, records),
            ONE_WAY: limits.one_way(settings, records, _message_entries(settings, records, way)),
        }
        if durability != "async":
            beside[SYNCED_WRITE] = limits.synced_write(settings, records, _call_entries(records, way))
        options = ASYNC if durability == "async" else DEFAULT_OPTIONS
        yield Row(workload, shape.name, way, medians(runs[way]), beside, peers, options)


def _write(store: Store, records: Records, way: str) -> Figures:
    def write() -> None:
        for part in calls(len(records.keys), way):
            store.db.put_many(zip(records.keys[part], records.values[part], strict=True), timeout=TIMEOUT_SECONDS)

    figures = store.measured(len(records.keys), write, settles=True)
    if store.db.get_many(records.keys, timeout=TIMEOUT_SECONDS) != records.values:
        raise WrongAnswer("a record was read with another value than was written")
    return figures


def _reads(
    settings: Settings, workload: str, records: Records, read: Read, ways: Sequence[str], compacted: bool
) -> dict[str, Figures]:
    """The median of the runs for each way, on a store that holds the records and runs no jobs."""
    runs: dict[str, list[Figures]] = {way: [] for way in ways}
    settings.say(f"{workload}, loading")
    with new_store(settings) as store:
        store.load(records)
        if compacted:
            store.rest()
        else:
            store.settle()
        for run in range(settings.runs):
            for way in ways:
                settings.say(f"{workload}, {way}, run {run + 1} of {settings.runs}")
                runs[way].append(read(store, way))
    return {way: medians(figures) for way, figures in runs.items()}


def _lookup(records: Records) -> Read:
    keys, expected = records.reads()

    def read(store: Store, way: str) -> Figures:
        answers: list[bytes | None] = []

        def look_up() -> None:
            for part in calls(len(keys), way):
                answers.extend(store.db.get_many(keys[part], timeout=TIMEOUT_SECONDS))

        figures = store.measured(len(keys), look_up)
        if answers != expected:
            raise WrongAnswer("a key was read with another value than was written")
        return figures | store.overlay_share(len(records.keys))

    return read


def _lookup_rows(
    settings: Settings, shape: RecordShape, workload: str, records: Records, runs: dict[str, Figures]
) -> Iterator[Row]:
    settings.say(f"{workload}, limits")
    peers = measure_peers(settings, shape, "get_many", len(records.keys))
    for way, figures in runs.items():
        beside = {
            DICT_GET: limits.dict_get(settings, records),
            ONE_WAY: limits.one_way(settings, records, _message_entries(settings, records, way)),
        }
        yield Row(workload, shape.name, way, figures, beside, peers)


def _scans(settings: Settings, shape: RecordShape, workload: str, compacted: bool) -> Iterator[Row]:
    records = records_of(shape, settings.count(shape))
    expected = sorted(zip(records.keys, records.values, strict=True))

    def read(store: Store, way: str) -> Figures:
        figures = store.measured(len(expected), lambda: count_entries(store.db.scan(timeout=TIMEOUT_SECONDS)))
        if list(store.db.scan(timeout=TIMEOUT_SECONDS)) != expected:
            raise WrongAnswer("the scan did not return what was written")
        return figures

    runs = _reads(settings, workload, records, read, (ONE_CALL,), compacted)
    settings.say(f"{workload}, limits")
    page = min(SCAN_PAGE_ENTRIES, SCAN_PAGE_BYTES // _entry_bytes(records))
    beside = {ONE_WAY: limits.one_way(settings, records, page)}
    peers = measure_peers(settings, shape, "scan", len(records.keys))
    yield Row(workload, shape.name, ONE_CALL, runs[ONE_CALL], beside, peers)


def count_entries(entries: Iterable[object]) -> int:
    """The number of entries, counted in a loop, as a program would look at each."""
    count = 0
    for _ in entries:
        count += 1
    return count


def calls(entries: int, way: str) -> Iterator[slice]:
    """The slices of all entries, one for each call."""
    step = entries if way == ONE_CALL else CALL_ENTRIES
    return (slice(at, at + step) for at in range(0, entries, step))


def _call_entries(records: Records, way: str) -> int:
    """Entries that are sent at once: those of a call, or of one chunk of it."""
    return min(CHUNK_ENTRIES, CHUNK_BYTES // _entry_bytes(records)) if way == ONE_CALL else CALL_ENTRIES


def _message_entries(settings: Settings, records: Records, way: str) -> int:
    """Entries of one message: the share of one range in a call or chunk."""
    return max(1, _call_entries(records, way) // settings.ranges)


def _entry_bytes(records: Records) -> int:
    return -(-total_bytes(records) // len(records.keys))
