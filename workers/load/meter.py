"""What a worker measures of its ranges, and the report it makes of that."""

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

REPORT_INTERVAL_NS = SECOND_NS
EARLY_INTERVAL_NS = SECOND_NS // 10
"""Between reports of a worker that grows fast: who splits its ranges should hear of it soon."""
EARLY_BYTES = 512 * KIB
EARLY_SHARE = 8
"""It grows fast when so much, and one part in so many of what it has, was written since the last report."""
CUTS_PER_REPORT = 4
"""Ranges whose cuts are looked for in one report."""
CUTS_CHANGE = 8
"""Cuts are looked for again when the range has grown or shrunk by one part in so many."""
FEW_BYTES = 64 * MIB
"""Up to this size a range is cut into many parts, and beyond into two: more blocks would be looked into."""


@dataclass(frozen=True, slots=True)
class _Cuts:
    """The keys that cut a range into parts, and how many bytes it had."""

    keys: list[bytes]
    bytes: int


class LoadMeter:
    """Measures the ranges of one worker.

    The core calls `note` for each request it has answered, and `report` when `wakeup_ns` says so, with the sizes of
    all ranges it owns then: a range that is new there is measured from then on, one that is missing is forgotten.
    `cut_keys` answers keys that cut a segment into so many parts of the same size; it is asked rarely, as it may read
    indexes.
    """

    def __init__(self, worker: int, entropy: Entropy, cut_keys: Callable[[int, int], list[bytes]]) -> None:
        self._worker = worker
        self._entropy = entropy
        self._cut_keys = cut_keys
        self._meters: dict[int, RangeMeter] = {}
        self._cuts: dict[int, _Cuts] = {}
        self._reported_last = 0
        self._due_ns = 0
        self._early_ns = 0
        self._bytes = 0
        self._written_bytes = 0

    def wakeup_ns(self) -> int:
        """When the next report is due."""
        grows = self._written_bytes >= max(EARLY_BYTES, self._bytes // EARLY_SHARE)
        return self._early_ns if grows else self._due_ns

    def note(self, segment: int, op: int, keys: Sequence[bytes], entries: int, payload_bytes: int) -> None:
        """Count one request that was served.

        `keys`: its keys, or of a scan the first key of the page; never empty. `entries`: how many keys were read,
        written or shown. `payload_bytes`: of the columns that came in with a write, or went out with a read. Costs the
        same for any number of keys. A segment of which no report was made yet is not counted.
        """
        if op in WRITES:
            self._written_bytes += payload_bytes
        meter = self._meters.get(segment)
        if meter is not None:
            meter.note(op, keys, entries, payload_bytes, self._entropy)

    def report(self, sizes: Mapping[int, RangeSize], now_ns: int) -> LoadReport:
        """The figures of all owned ranges, by segment, or of the next LOAD_RANGES_MAX of them."""
        self._due_ns, self._early_ns = now_ns + REPORT_INTERVAL_NS, now_ns + EARLY_INTERVAL_NS
        self._bytes, self._written_bytes = sum([size.bytes for size in sizes.values()]), 0
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
        """Bring the cuts of the largest ranges up to date, a few at a time."""
        changed = [segment for segment in largest if self._has_changed(segment, sizes[segment].bytes)]
        for segment in changed[:CUTS_PER_REPORT]:
            size_bytes = sizes[segment].bytes
            parts = 1 + LOAD_CUTS_MAX if size_bytes <= FEW_BYTES else 2
            self._cuts[segment] = _Cuts(self._cut_keys(segment, parts), size_bytes)

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
        """Samples by segment, from the busiest on while there is room."""
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
