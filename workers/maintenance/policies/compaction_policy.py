"""Decides from plain numbers which layers of a segment to merge, and when.

Deltas are merged into the main when reads have to ask too many of them. While they are small compared with the main,
which would be rewritten, twice as many are allowed. Bottom mains grow like a binary counter: two neighbours are merged
as soon as the older one is not much larger than the newer one. So their number grows only with the logarithm of the
data, and each byte is rewritten about that many times. They come before deltas, which are always due while writes are
frequent. All layers are merged when more than half of the entries are dead or have expired, when the mains take much
more than the largest of them, when scans have skipped the deleted keys of files again and again, as at the head of a
queue, or when much of the files of virtual parts lies outside their bounds: perhaps nothing else keeps these files.

A range that rests, as after a bulk load, is compacted sooner: once its deltas are not small compared with the main.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from shardstore.limits import MIB
from shardstore.workers.jobs.specs import CompactionKind

DELTAS_MAX = 8
"""Number of deltas at which they are merged: a read may have to ask each of them."""
SMALL_SHARE = 1 / 8
"""Deltas are small compared with the main if they have less than this share of its bytes."""
READ_AMPLIFICATION_MAX = 4.0
"""Mean number of layers asked for a key."""
PASSED_MIN = 1_000_000
"""Minimum number of entries that scans looked at to skip deleted keys: a tenth of a second of a worker."""
PASSES_MIN = 4
"""How often the deleted keys of files must have been skipped, on average."""
PASSED_TOMBSTONES_MIN = 1_000
"""Skipping fewer costs a scan nothing that can be measured."""
KEYS_ASKED_MIN = 1000
"""Minimum number of lookups for a meaningful mean."""
BOTTOMS_RATIO = 2
"""Two neighbouring bottom mains are merged unless the older one is more than this many times as large."""
DEAD_SHARE_MAX = 0.5
"""Share of all entries. Above it, a compaction of everything removes more than it writes."""
TOMBSTONES_MIN = 1000
DEAD_BYTES_MIN = MIB
"""If there is less of both, a compaction of everything is not worth its cost, whatever their share."""
SPACE_AMPLIFICATION_MAX = 3.0
"""Bytes of all mains divided by those of the largest one."""
OUTSIDE_SHARE_MAX = 0.5
"""Share of the bytes of all files that may lie outside the bounds of virtual parts."""
OUTSIDE_BYTES_MIN = 8 * MIB
"""Fewer bytes are not worth a compaction, whatever their share."""


class FileLayerSizes(NamedTuple):
    """The layers of a segment, and how its present version was read. `bottoms_bytes`: oldest first.

    Only the keys within bounds count in a file of a virtual part; its other bytes are in `outside_bytes`. A segment
    `rests` if nothing has been written to its range for some seconds.
    """

    deltas: int = 0
    delta_bytes: int = 0
    main_bytes: int = 0
    bottoms_bytes: tuple[int, ...] = ()
    entries: int = 0
    tombstones: int = 0
    expired: int = 0
    keys_asked: int = 0
    layers_asked: int = 0
    outside_bytes: int = 0
    entries_passed: int = 0
    rests: bool = False

    @property
    def read_amplification(self) -> float:
        """Mean number of layers asked for a key."""
        return self.layers_asked / self.keys_asked if self.keys_asked else 0.0

    @property
    def dead_share(self) -> float:
        """Estimated share of entries that a compaction of everything removes.

        These are tombstones, the values they delete, and expired entries. A tombstone is stored only if an older table
        may hold its key, so each is counted with one value.
        """
        return min(1.0, (2 * self.tombstones + self.expired) / self.entries) if self.entries else 0.0

    @property
    def dead_bytes(self) -> int:
        """Estimated bytes that a compaction of everything frees."""
        return int((self.referred_bytes - self.outside_bytes) * self.dead_share)

    @property
    def space_amplification(self) -> float:
        """Bytes of all mains divided by those of the largest, the size after a merge if all held the same keys."""
        mains_bytes = (*self.bottoms_bytes, self.main_bytes)
        return sum(mains_bytes) / max(mains_bytes) if any(mains_bytes) else 1.0

    @property
    def referred_bytes(self) -> int:
        """Bytes of all files that the segment refers to, including those outside the bounds of virtual parts."""
        return self.delta_bytes + self.main_bytes + sum(self.bottoms_bytes) + self.outside_bytes


@dataclass(frozen=True, slots=True)
class Compaction:
    """What to merge, and the reason in one line. `bottom`: as in CompactSpec."""

    kind: CompactionKind
    reason: str
    bottom: int = 0


COMPLETE = Compaction(CompactionKind.EVERYTHING, "asked for")


def choose_compaction(sizes: FileLayerSizes) -> Compaction | None:
    """The most useful compaction now; None if none is due."""
    return _of_everything(sizes) or _of_bottoms(sizes) or _of_deltas(sizes)


def may_become_due(sizes: FileLayerSizes) -> bool:
    """Whether reads or rest alone can make a compaction due, without a new version of the segment."""
    read_and_at_rest = sizes._replace(
        keys_asked=KEYS_ASKED_MIN,
        layers_asked=KEYS_ASKED_MIN * DELTAS_MAX,
        entries_passed=max(PASSED_MIN, PASSES_MIN * sizes.tombstones),
        rests=True,
    )
    return choose_compaction(read_and_at_rest) is not None


def _of_everything(sizes: FileLayerSizes) -> Compaction | None:
    is_worth_it = max(sizes.tombstones, sizes.expired) >= TOMBSTONES_MIN or sizes.dead_bytes >= DEAD_BYTES_MIN
    if is_worth_it and sizes.dead_share > DEAD_SHARE_MAX:
        expired = f"about {sizes.expired} have expired" if sizes.expired else ""
        tombstones = f"{sizes.tombstones} of {sizes.entries} entries are tombstones"
        return Compaction(CompactionKind.EVERYTHING, f"{tombstones}, {expired}" if expired else tombstones)
    passed_min = max(PASSED_MIN, PASSES_MIN * sizes.tombstones)
    if sizes.tombstones >= PASSED_TOMBSTONES_MIN and sizes.entries_passed >= passed_min:
        skipped = f"scans looked at {sizes.entries_passed} entries to skip deleted keys"
        return Compaction(CompactionKind.EVERYTHING, f"{skipped}; files have {sizes.tombstones} of these")
    if sizes.space_amplification > SPACE_AMPLIFICATION_MAX:
        return Compaction(
            CompactionKind.EVERYTHING, f"the mains take {sizes.space_amplification:.1f} times the largest of them"
        )
    if sizes.outside_bytes > max(OUTSIDE_BYTES_MIN, sizes.referred_bytes * OUTSIDE_SHARE_MAX):
        reason = f"{sizes.outside_bytes} of {sizes.referred_bytes} bytes lie outside the bounds of virtual parts"
        return Compaction(CompactionKind.EVERYTHING, reason)
    return None


def _of_deltas(sizes: FileLayerSizes) -> Compaction | None:
    if not sizes.deltas:
        return None
    is_small = sizes.delta_bytes < sizes.main_bytes * SMALL_SHARE
    if sizes.deltas >= DELTAS_MAX * (2 if is_small else 1):
        return Compaction(CompactionKind.DELTAS, f"{sizes.deltas} deltas of {sizes.delta_bytes} bytes")
    is_slow = sizes.keys_asked >= KEYS_ASKED_MIN and sizes.read_amplification > READ_AMPLIFICATION_MAX
    if is_slow and sizes.deltas > 1 and not is_small:
        reason = f"reads asked {sizes.read_amplification:.1f} layers for a key"
        return Compaction(CompactionKind.DELTAS, reason)
    if sizes.rests and not is_small and sizes.deltas + bool(sizes.main_bytes) > 1:
        reason = f"{sizes.deltas} deltas of {sizes.delta_bytes} bytes in a range that rests"
        return Compaction(CompactionKind.DELTAS, reason)
    return None


def _of_bottoms(sizes: FileLayerSizes) -> Compaction | None:
    pairs = list(enumerate(pairwise(sizes.bottoms_bytes)))
    for bottom, (older_bytes, newer_bytes) in reversed(pairs):
        if older_bytes <= BOTTOMS_RATIO * newer_bytes:
            reason = f"bottom mains {bottom} and {bottom + 1} of {older_bytes} and {newer_bytes} bytes"
            return Compaction(CompactionKind.BOTTOMS, reason, bottom)
    return None
