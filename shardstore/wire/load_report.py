"""The document of LOAD: a worker's report on the load and the size of its ranges, sent once a second or sooner.

Rates are exponentially weighted averages with a time constant of ten seconds (workers/load/range_meter.py). They become
more reliable as `measured_ns` grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shardstore.limits import KEY_BYTES_MAX, LOAD_CUTS_MAX, LOAD_KEYS_MAX, LOAD_RANGES_MAX
from shardstore.wire.wire_format import MalformedMessage

WHOLE_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class RangeReport:
    """The report on one range.

    size_bytes         size of the range: its share of its tables, and its overlay
    live_bytes         of these, the bytes that are neither deleted nor tombstones, estimated from counts
    entries            entries in tables and overlay; a key that is in two of them counts twice
    measured_ns        for how long the worker has measured this range
    requests_per_s     requests to the range
    operations_per_s   keys read, written, deleted or scanned
    bytes_per_s        bytes of columns written or read
    busy_permille      estimated share of the worker's time, in thousandths; above 1,000 the worker cannot keep up
    puts_per_s         keys put since the highest key of the range was known
    appends_per_s      of these, keys above the highest key at the previous report
    keys               keys sampled at equal steps of work, oldest first, so a share of them is a share of the work; at
                       most LOAD_KEYS_MAX, and none if the message has no room for them
    last               the highest known key, empty if none is known
    cuts               keys, in order, that cut the range into pieces of about equal size: at most LOAD_CUTS_MAX, and
                       only for the largest ranges of the worker
    """

    segment: int
    size_bytes: int
    live_bytes: int
    entries: int
    measured_ns: int
    requests_per_s: int = 0
    operations_per_s: int = 0
    bytes_per_s: int = 0
    busy_permille: int = 0
    puts_per_s: int = 0
    appends_per_s: int = 0
    keys: list[bytes] = field(default_factory=list)
    last: bytes = b""
    cuts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.cuts) > LOAD_CUTS_MAX:
            raise MalformedMessage(f"a RangeReport has at most {LOAD_CUTS_MAX} cuts, not {len(self.cuts)}")
        if len(self.keys) > LOAD_KEYS_MAX:
            raise MalformedMessage(f"a RangeReport has at most {LOAD_KEYS_MAX} keys, not {len(self.keys)}")
        if max(map(len, (*self.keys, self.last, *self.cuts))) > KEY_BYTES_MAX:
            raise MalformedMessage("a RangeReport has a key that is too long")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The report of one worker on all its ranges, or on the next LOAD_RANGES_MAX of them in turn."""

    worker: int
    ranges: list[RangeReport]

    def __post_init__(self) -> None:
        if len(self.ranges) > LOAD_RANGES_MAX:
            raise MalformedMessage(f"a LoadReport has at most {LOAD_RANGES_MAX} ranges, not {len(self.ranges)}")
