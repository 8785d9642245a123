"""Workloads for table files: lookups of absent keys and in unread blocks, scans in both directions, and disk space."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from benchmarks.batches import count_entries
from benchmarks.clusters import Store, WrongAnswer, served, total_bytes
from benchmarks.comparing import measure_peers
from benchmarks.peers.runner import allocated_bytes
from benchmarks.records import HEX, Records, RecordShape, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import DEFAULT_OPTIONS, FORWARD, ONE_CALL, PRESENT, SIX_MICROSECONDS, Row
from benchmarks.timing import Figures, latency_of, medians
from shardstore import LocalCluster
from shardstore.files.file_names import SEGMENTS
from shardstore.segment_options import Compression, SegmentOptions

PROJECT = Path(__file__).parent.parent.parent
SINGLES = 20_000


@dataclass(frozen=True, slots=True)
class StoreOnDisk:
    """A stopped store that holds the records in compacted tables."""

    data: str
    memory: int
    segments: SegmentOptions

    @contextmanager
    def served(self) -> Iterator[Store]:
        """Serve the store: its pages are in the page cache, but the workers have read nothing."""
        cluster = LocalCluster(self.data, memory=self.memory, segments=self.segments)
        with served(cluster) as store:
            yield store


@contextmanager
def store_on_disk(settings: Settings, records: Records, compression: Compression) -> Iterator[StoreOnDisk]:
    """Write the records, compact everything, and stop the cluster."""
    with settings.temporary_directory() as data:
        on_disk = StoreOnDisk(data, settings.memory, SegmentOptions(compression))
        cluster = LocalCluster(data, settings.workers, settings.memory, segments=on_disk.segments)
        with served(cluster) as store:
            store.load(records)
            store.move_to_tables()
        yield on_disk


def disk(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Disk space of a record once everything is compacted."""
    records = records_of(shape, settings.count(shape))
    peers = measure_peers(settings, shape, "disk", len(records.keys))
    for compression in Compression:
        settings.say(f"disk, {compression}")
        with store_on_disk(settings, records, compression) as on_disk:
            taken = allocated_bytes(Path(on_disk.data) / SEGMENTS)
        payload = {"bytes_per_entry": total_bytes(records) / len(records.keys)}
        figures = {"bytes_per_entry": taken / len(records.keys)}
        yield Row("disk", shape.name, compression, figures, {"key + value": payload}, peers, _named(compression))


def get_cold(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Batched reads, four of five keys present, from blocks in the page cache that no worker has read yet."""
    records = records_of(shape, settings.count(shape))
    keys, expected = records.reads()
    peers = measure_peers(settings, shape, "get_many", len(keys))
    for compression in Compression:
        with store_on_disk(settings, records, compression) as on_disk:
            runs = []
            for run in range(settings.runs):
                settings.say(f"get_cold, {compression}, run {run + 1} of {settings.runs}")
                with on_disk.served() as store:
                    runs.append(_look_up(store, keys, expected))
        yield Row("get_cold", shape.name, compression, medians(runs), {}, peers, _named(compression))


def get_absent(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Batched reads of absent keys, compared with reads of present keys, both from tables."""
    records = records_of(shape, settings.count(shape))
    absent = records.absent(len(records.keys))
    runs: dict[str, list[Figures]] = {"absent": [], "present": []}
    with store_on_disk(settings, records, Compression.NONE) as on_disk, on_disk.served() as store:
        _look_up(store, records.keys, records.values)
        for run in range(settings.runs):
            settings.say(f"get_absent, run {run + 1} of {settings.runs}")
            runs["present"].append(_look_up(store, records.keys, records.values))
            runs["absent"].append(_look_up(store, absent, [None] * len(absent)))
    yield Row("get_absent", shape.name, ONE_CALL, medians(runs["absent"]), {PRESENT: medians(runs["present"])}, {})


def scan_reverse(settings: Settings, shape: RecordShape) -> Iterator[Row]:
    """Scan everything backward, compared with a scan forward."""
    records = records_of(shape, settings.count(shape))
    expected = sorted(zip(records.keys, records.values, strict=True))
    runs: dict[bool, list[Figures]] = {False: [], True: []}
    with store_on_disk(settings, records, Compression.NONE) as on_disk, on_disk.served() as store:
        for run in range(settings.runs):
            settings.say(f"scan_reverse, run {run + 1} of {settings.runs}")
            for reverse, figures in runs.items():
                figures.append(store.measured(len(expected), _scan(store, reverse)))
        if list(store.db.scan(reverse=True, timeout=TIMEOUT_SECONDS)) != expected[::-1]:
            raise WrongAnswer("the scan did not return what was written")
    yield Row("scan_reverse", shape.name, ONE_CALL, medians(runs[True]), {FORWARD: medians(runs[False])}, {})


def get_inside(settings: Settings) -> Iterator[Row]:
    """Single reads from tables without the network, in a process that opens the segments as a worker does."""
    records = records_of(HEX, settings.count(HEX))
    wanted = dict(zip(records.keys[:SINGLES], records.values, strict=False))
    for compression in Compression:
        settings.say(f"get_inside, {compression}")
        with store_on_disk(settings, records, compression) as on_disk:
            figures = latency_of(_times_of_each(on_disk.data, wanted))
        beside = {SIX_MICROSECONDS: {"p50_us": 6.0}}
        yield Row("get_inside", HEX.name, compression, figures, beside, {}, _named(compression))


def _named(compression: Compression) -> str:
    return DEFAULT_OPTIONS if compression == SegmentOptions().compression else f"compression={compression}"


def _times_of_each(data: str, wanted: Mapping[bytes, bytes]) -> list[int]:
    """The nanoseconds of each read."""
    with NamedTemporaryFile("w", suffix=".keys") as keys_file:
        keys_file.write("\n".join(map(bytes.hex, wanted)))
        keys_file.flush()
        command = [sys.executable, "-m", "tests.measuring.single_gets", data, keys_file.name]
        answer = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout
    found = json.loads(answer)
    if {bytes.fromhex(key): bytes.fromhex(value or "") for key, _, value in found} != wanted:
        raise WrongAnswer("a key was read with another value than was written")
    return [nanoseconds for _, nanoseconds, _ in found]


def _look_up(store: Store, keys: Sequence[bytes], expected: Sequence[bytes | None]) -> Figures:
    answers: list[bytes | None] = []
    figures = store.measured(len(keys), lambda: answers.extend(store.db.get_many(keys, timeout=TIMEOUT_SECONDS)))
    if answers != expected:
        raise WrongAnswer("a key was read with another value than was written")
    return figures


def _scan(store: Store, reverse: bool) -> Callable[[], int]:
    return lambda: count_entries(store.db.scan(reverse=reverse, timeout=TIMEOUT_SECONDS))
