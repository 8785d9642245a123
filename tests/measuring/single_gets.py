"""Single reads of a stopped store, without the network: python -m tests.measuring.single_gets DATA KEYS.

KEYS is a file of keys as hexadecimal lines. Prints JSON: a list of key, nanoseconds of the read, and value.
Run by the benchmark `get_inside`, which compares the values.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_right
from pathlib import Path

from shardstore.cluster.store import read_store
from shardstore.files.file_names import SEGMENTS, segment_of
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.tables.segment import Segment


def main() -> None:
    """Read each key from the segment that owns it, one by one, and print the times."""
    data, keys_file = sys.argv[1:]
    keys = sorted(map(bytes.fromhex, Path(keys_file).read_text().split()))
    segments = opened_segments(data)
    starts = [segment.manifest.start for segment in segments]
    found = []
    for key in keys:
        segment = segments[bisect_right(starts, key) - 1]
        started = time.perf_counter_ns()
        (value,) = segment.get_many((key,))
        ended = time.perf_counter_ns()
        found.append((key.hex(), ended - started, value.hex() if isinstance(value, bytes) else None))
    json.dump(found, sys.stdout)


def opened_segments(data: str) -> list[Segment]:
    """The segments of the store in key order, as a worker opens them."""
    filesystem = PosixFilesystem(data)
    store = read_store(filesystem)
    assert store is not None
    numbers = filter(None, map(segment_of, filesystem.list_directory(SEGMENTS)))
    opened = [Segment.open(filesystem, store.store, number) for number in numbers]
    return sorted(opened, key=lambda segment: segment.manifest.start)


if __name__ == "__main__":
    main()
