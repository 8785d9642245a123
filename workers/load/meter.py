"""Measures the load of a worker's ranges and makes the report of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shardstore.limits import (
    KIB,
    LOAD_CUT_RANGES_MAX,
    LOAD_CUTS_MAX,
    LOAD_KEY_BYTES_MAX,
    LOAD_RANGES_MAX,
    MIB,
    SECOND_NS,
)
from shardstore.seams.entropy import Entropy
from shardstore.wire.load_report import WHOLE_PERMILLE, LoadReport, RangeReport
from shardstore.wire.wire_format import WRITES
from shardstore.workers.load.range_meter import RangeMeter
from shardstore.workers.load.range_size import RangeSize

LOAD_INTERVAL_NS = SECOND_NS
EARLY_INTERVAL_NS = SECOND_NS // 10
"""Interval between reports of a worker that grows fast, so that the router can soon split its ranges."""
EARLY_BYTES = 512 * KIB
EARLY_SHARE = 8
"""A worker grows fast if it got EARLY_BYTES, and 1/EARLY_SHARE of its size, or more since the last report."""
CUTS_PER_REPORT = 4
"""Number of ranges whose cuts are looked for in one report."""
CUTS_CHANGE = 8
"""Cuts are looked for again once the range has grown or shrunk by more than 1/CUTS_CHANGE."""
FEW_BYTES = 64 * MIB
"""Ranges up to this size are cut into many pieces, larger ones into two, as more blocks would have to be read."""


@dataclass(frozen=True, slots=True)
class _Cuts:
    """The keys that cut a range into pieces, and the size of the range when they were found."""

    keys: list[bytes]
    bytes: int


class LoadMeter:
    """Measures the ranges of one worker.

    `note` counts each request. `report` is due at `due_ns` and gets the sizes of all ranges that the worker owns
    then: it begins to measure the ranges that are new, and forgets those that are missing. `cut_keys(segment, pieces)`
    returns keys that cut a segment into pieces of the same size. It is called rarely, as it may read indexes.
    """

    def __init__(self, worker: int, entropy: Entropy, cut_keys: Callable[[int, int], list[bytes]]) -> None:
        self._worker = worker
        self._entropy = entropy
        self._cut_keys = cut_keys
        self._meters: dict[int, RangeMeter] = {}
        self._cuts: dict[int, _Cuts] = {}
        self._reported_last = 0
        self.due_ns = 0
        """When the next report is due."""
        self._early_ns = 0
        self._early_bytes = EARLY_BYTES
        """If so many bytes are written, the report is due early."""
        self._written_bytes = 0

    def note(self, segment: int, op: int, keys: Sequence[bytes], entries: int, payload_bytes: int) -> None:
        """Count one request that was served. The cost is the same for any number of keys.

        `keys`: its keys, or for a scan the lower bound of the page; never empty. `entries`: how many keys were read,
        written or returned by a scan. `payload_bytes`: of the columns received with a write, or sent with a read.
        Ranges that were in no report yet are not counted.
        """
        if op in WRITES:
            self._written_bytes += payload_bytes
            if self._written_bytes >= self._early_bytes:
                self.due_ns = self._early_ns
        meter = self._meters.get(segment)
        if meter is not None:
            meter.note(op, keys, entries, payload_bytes, self._entropy)

    def report(self, sizes: Mapping[int, RangeSize], now_ns: int) -> LoadReport:
        """Report on all owned ranges, by segment, or on the next LOAD_RANGES_MAX of them in turn."""
        self.due_ns, self._early_ns = now_ns + LOAD_INTERVAL_NS, now_ns + EARLY_INTERVAL_NS
        worker_bytes = sum([size.bytes for size in sizes.values()])
        self._early_bytes, self._written_bytes = max(EARLY_BYTES, worker_bytes // EARLY_SHARE), 0
        self._meters = {segment: self._meters.get(segment) or RangeMeter(now_ns) for segment in sizes}
        self._cuts = {segment: cuts for segment, cuts in self._cuts.items() if segment in sizes}
        for segment, meter in self._meters.items():
            meter.update(sizes[segment].last, now_ns)
        chosen = self._next_in_turn()
        largest = sorted(chosen, key=lambda segment: (-sizes[segment].bytes, segment))[:LOAD_CUT_RANGES_MAX]
        self._look_for_cuts(largest, sizes)
        keys = self._keys_of_the_busiest(chosen)
        cuts = {segment: self._cuts[segment].keys for segment in largest if segment in self._cuts}
        ranges = [self._of_range(at, sizes[at], keys.get(at, []), cuts.get(at, []), now_ns) for at in chosen]
        return LoadReport(self._worker, ranges)

    def _look_for_cuts(self, largest: Sequence[int], sizes: Mapping[int, RangeSize]) -> None:
        """Update the cuts of the largest ranges, a few at a time."""
        changed = [segment for segment in largest if self._has_changed(segment, sizes[segment].bytes)]
        for segment in changed[:CUTS_PER_REPORT]:
            size_bytes = sizes[segment].bytes
            pieces = 1 + LOAD_CUTS_MAX if size_bytes <= FEW_BYTES else 2
            self._cuts[segment] = _Cuts(self._cut_keys(segment, pieces), size_bytes)

    def _has_changed(self, segment: int, size_bytes: int) -> bool:
        cuts = self._cuts.get(segment)
        known_bytes = cuts.bytes if cuts else 0
        return abs(size_bytes - known_bytes) * CUTS_CHANGE > known_bytes

    def _next_in_turn(self) -> list[int]:
        segments = sorted(self._meters)
        following = [segment for segment in segments if segment > self._reported_last]
        chosen = [*following, *segments[: len(segments) - len(following)]][:LOAD_RANGES_MAX]
        self._reported_last = chosen[-1] if chosen else 0
        return chosen

    def _keys_of_the_busiest(self, segments: Sequence[int]) -> dict[int, list[bytes]]:
        """The samples of keys by segment, the busiest first, as far as there is room."""
        keys: dict[int, list[bytes]] = {}
        room_bytes = LOAD_KEY_BYTES_MAX
        for segment in sorted(segments, key=lambda segment: (-self._meters[segment].busy_ns_per_s, segment)):
            sample = list(self._meters[segment].sample)
            room_bytes -= sum(map(len, sample))
            if room_bytes < 0:
                break
            keys[segment] = sample
        return keys

    def _of_range(
        self, segment: int, size: RangeSize, keys: list[bytes], cuts: list[bytes], now_ns: int
    ) -> RangeReport:
        meter = self._meters[segment]
        return RangeReport(
            segment,
            size.bytes,
            size.live_bytes,
            size.entries,
            now_ns - meter.since_ns,
            round(meter.requests_per_s),
            round(meter.operations_per_s),
            round(meter.bytes_per_s),
            round(meter.busy_ns_per_s * WHOLE_PERMILLE / SECOND_NS),
            round(meter.puts_per_s),
            round(meter.appends_per_s),
            keys,
            meter.last,
            cuts,
        )
