"""What a worker measures of its ranges, and the report it makes of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shardstore.entropy import Entropy
from shardstore.limits import LOAD_KEY_BYTES_MAX, LOAD_RANGES_MAX, SECOND_NS
from shardstore.load_report import WHOLE_PERMILLE, LoadReport, RangeReport
from shardstore.workers.load.range_meter import RangeMeter
from shardstore.workers.load.range_size import RangeSize

REPORT_INTERVAL_NS = SECOND_NS
MIDDLES_PER_REPORT = 4
"""Ranges whose middle is looked for in one report."""
MIDDLE_CHANGE = 8
"""A middle is looked for again when the range has grown or shrunk by one part in so many."""


@dataclass(frozen=True, slots=True)
class _Middle:
    """The key at half of the stored bytes, and how many bytes that were."""

    key: bytes
    stored_bytes: int


class LoadMeter:
    """Measures the ranges of one worker.

    The core calls `note` for each request it has answered, and `report` when `wakeup_ns` says so, with the sizes of
    all ranges it owns then: a range that is new there is measured from then on, one that is missing is forgotten.
    `middle_key` answers the key at about half of a segment's stored bytes, or None; it is asked rarely, as it may read
    indexes.
    """

    def __init__(self, worker: int, entropy: Entropy, middle_key: Callable[[int], bytes | None]) -> None:
        self._worker = worker
        self._entropy = entropy
        self._middle_key = middle_key
        self._meters: dict[int, RangeMeter] = {}
        self._middles: dict[int, _Middle] = {}
        self._reported_last = 0
        self._due_ns = 0

    def wakeup_ns(self) -> int:
        """When the next report is due."""
        return self._due_ns

    def note(self, segment: int, op: int, keys: Sequence[bytes], entries: int, payload_bytes: int) -> None:
        """Count one request that was served.

        `keys`: its keys, or of a scan the first key of the page; never empty. `entries`: how many keys were read,
        written or shown. `payload_bytes`: of the columns that came in with a write, or went out with a read. Costs the
        same for any number of keys. A segment of which no report was made yet is not counted.
        """
        meter = self._meters.get(segment)
        if meter is not None:
            meter.note(op, keys, entries, payload_bytes, self._entropy)

    def report(self, sizes: Mapping[int, RangeSize], now_ns: int) -> LoadReport:
        """The figures of all owned ranges, by segment, or of the next LOAD_RANGES_MAX of them."""
        self._due_ns = now_ns + REPORT_INTERVAL_NS
        self._meters = {segment: self._meters.get(segment) or RangeMeter(now_ns) for segment in sizes}
        self._middles = {segment: middle for segment, middle in self._middles.items() if segment in sizes}
        for segment, meter in self._meters.items():
            meter.update(sizes[segment].last, now_ns)
        self._look_for_middles(sizes)
        chosen = self._next_in_turn()
        keys = self._keys_of_the_busiest(chosen)
        return LoadReport(self._worker, [self._of_range(at, sizes[at], keys.get(at, []), now_ns) for at in chosen])

    def _look_for_middles(self, sizes: Mapping[int, RangeSize]) -> None:
        """Bring middles up to date: those of the largest ranges first, and only a few at a time."""
        changed = [segment for segment, size in sizes.items() if self._has_changed(segment, size.stored_bytes)]
        changed.sort(key=lambda segment: (-sizes[segment].stored_bytes, segment))
        for segment in changed[:MIDDLES_PER_REPORT]:
            self._middles[segment] = _Middle(self._middle_key(segment) or b"", sizes[segment].stored_bytes)

    def _has_changed(self, segment: int, stored_bytes: int) -> bool:
        middle = self._middles.get(segment)
        known_bytes = middle.stored_bytes if middle else 0
        return abs(stored_bytes - known_bytes) * MIDDLE_CHANGE > known_bytes

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

    def _of_range(self, segment: int, size: RangeSize, keys: list[bytes], now_ns: int) -> RangeReport:
        meter = self._meters[segment]
        middle = self._middles.get(segment)
        return RangeReport(
            segment,
            size.stored_bytes + size.overlay_bytes,
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
            middle.key if middle else b"",
        )
