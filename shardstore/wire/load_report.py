"""LOAD: what a worker tells the router of the work and the size of its ranges, once a second or sooner.

Rates are means over the time since a range was opened, which forget with a time constant of some seconds
(workers/load/): `measured_ns` says how far they can be believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shardstore.limits import KEY_BYTES_MAX, LOAD_CUTS_MAX, LOAD_KEYS_MAX, LOAD_RANGES_MAX
from shardstore.wire.wire_format import MalformedMessage

WHOLE_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class RangeReport:
    """One range of the worker.

    size_bytes         of keys and values: in tables (the range's share of them) and in the overlay
    live_bytes         of these, what is neither deleted nor says so, as far as that can be told from counts
    entries            in the same places; a key that lies in two of them counts twice
    measured_ns        for how long the worker has measured this range
    requests_per_s     messages for it
    operations_per_s   keys read, written, deleted or scanned in it
    bytes_per_s        bytes of columns written to it and answered from it
    busy_permille      of the worker's time, by estimate: more than a thousand says that it cannot keep up
    puts_per_s         keys put into it, since its highest key was known
    appends_per_s      of these, keys above everything that it held a report earlier
    keys               sampled at equal steps of work, the oldest first: a share of them is a share of the work. At most
                       LOAD_KEYS_MAX, and none where the message has no room for them
    last               the highest key known in it, empty for none
    cuts               keys that cut its bytes into parts of about the same size, in order: at most LOAD_CUTS_MAX, and
                       none but for the largest ranges of the worker
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
    """What a worker reports at a time: all its ranges, or the next LOAD_RANGES_MAX of them."""

    worker: int
    ranges: list[RangeReport]

    def __post_init__(self) -> None:
        if len(self.ranges) > LOAD_RANGES_MAX:
            raise MalformedMessage(f"a LoadReport has at most {LOAD_RANGES_MAX} ranges, not {len(self.ranges)}")
