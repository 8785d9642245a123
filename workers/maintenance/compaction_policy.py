"""When layers of a segment are merged without being asked, chosen from plain numbers.

Deltas go into the main when reads have to ask too many of them; while they are small beside the main, which would be
rewritten for them, twice as many are borne. Bottom mains grow like a binary counter: two neighbours become one as
soon as the older is not much larger than the newer, so their number grows with the logarithm of the data only, and
a byte is rewritten about as often. They go before deltas, which are always due while enough is written. All layers
become one when at least half of what is stored is dead, or when much of the files that virtual parts refer to lies
outside their bounds: maybe only they keep those files.

A range that rests, as after a bulk load, is compacted sooner: as soon as its deltas are not small beside the main.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from shardstore.limits import MIB
from shardstore.workers.jobs.specs import CompactionKind

DELTAS_MAX = 8
"""A read may have to ask each delta, so their number is bounded."""
SMALL_SHARE = 1 / 8
"""Of the main's bytes: up to this the deltas are small beside it."""
READ_AMPLIFICATION_MAX = 4.0
"""Layers asked for a key, on average."""
KEYS_ASKED_MIN = 1000
"""From so many lookups on the average says something."""
BOTTOMS_RATIO = 2
"""An older bottom main is this much larger than the newer one beside it, or both are merged."""
DEAD_SHARE_MAX = 0.5
"""Of all entries. A compaction of everything then writes at most as much as it removes."""
TOMBSTONES_MIN = 1000
DEAD_BYTES_MIN = MIB
"""Fewer of both are not worth a compaction of everything, whatever their share."""
SPACE_AMPLIFICATION_MAX = 3.0
"""Bytes of all mains by those of the largest one."""
OUTSIDE_SHARE_MAX = 0.5
"""Of the bytes of all files: so many may lie outside the bounds of virtual parts."""
OUTSIDE_BYTES_MIN = 8 * MIB
"""Fewer are not worth a compaction, whatever their share."""


class LayerSizes(NamedTuple):
    """What a segment consists of, and how it was read since its last change. `bottoms_bytes`: the oldest first.

    Of files with virtual parts the shares count; the rest of them are `outside_bytes`. A segment `rests` when nothing
    has been written to its range for some seconds.
    """

    deltas: int = 0
    delta_bytes: int = 0
    main_bytes: int = 0
    bottoms_bytes: tuple[int, ...] = ()
    entries: int = 0
    tombstones: int = 0
    keys_asked: int = 0
    layers_asked: int = 0
    outside_bytes: int = 0
    rests: bool = False

    @property
    def read_amplification(self) -> float:
        """Layers asked for each key."""
        return self.layers_asked / self.keys_asked if self.keys_asked else 0.0

    @property
    def dead_share(self) -> float:
        """Entries that a compaction of everything removes, among all: tombstones, and as many values below them.

        An estimate. A tombstone is stored only where an older table may hold its key, mostly with one value.
        """
        return min(1.0, 2 * self.tombstones / self.entries) if self.entries else 0.0

    @property
    def dead_bytes(self) -> int:
        """Bytes that a compaction of everything frees. An estimate, like `dead_share`."""
        return int((self.referred_bytes - self.outside_bytes) * self.dead_share)

    @property
    def space_amplification(self) -> float:
        """Bytes of all mains by those of the largest, which all of them would have left if they held the same keys."""
        mains_bytes = (*self.bottoms_bytes, self.main_bytes)
        return sum(mains_bytes) / max(mains_bytes) if any(mains_bytes) else 1.0

    @property
    def referred_bytes(self) -> int:
        """Bytes of all files that the segment refers to, what lies outside bounds among them."""
        return self.delta_bytes + self.main_bytes + sum(self.bottoms_bytes) + self.outside_bytes


@dataclass(frozen=True, slots=True)
class Compaction:
    """What to merge, and why, in one line. `bottom`: as in CompactSpec."""

    kind: CompactionKind
    reason: str
    bottom: int = 0


COMPLETE = Compaction(CompactionKind.EVERYTHING, "asked for")


def choose(sizes: LayerSizes) -> Compaction | None:
    """The compaction that does most good now, if one is due."""
    return _of_everything(sizes) or _of_bottoms(sizes) or _of_deltas(sizes)


def may_become_due(sizes: LayerSizes) -> bool:
    """Whether a compaction can become due by reads or by rest alone, without another version of the segment."""
    read_and_at_rest = sizes._replace(keys_asked=KEYS_ASKED_MIN, layers_asked=KEYS_ASKED_MIN * DELTAS_MAX, rests=True)
    return choose(read_and_at_rest) is not None


def _of_everything(sizes: LayerSizes) -> Compaction | None:
    is_worth_it = sizes.tombstones >= TOMBSTONES_MIN or sizes.dead_bytes >= DEAD_BYTES_MIN
    if is_worth_it and sizes.dead_share > DEAD_SHARE_MAX:
        return Compaction(CompactionKind.EVERYTHING, f"{sizes.tombstones} of {sizes.entries} entries are tombstones")
    if sizes.space_amplification > SPACE_AMPLIFICATION_MAX:
        return Compaction(
            CompactionKind.EVERYTHING, f"the mains take {sizes.space_amplification:.1f} times the largest of them"
        )
    if sizes.outside_bytes > max(OUTSIDE_BYTES_MIN, sizes.referred_bytes * OUTSIDE_SHARE_MAX):
        reason = f"{sizes.outside_bytes} of {sizes.referred_bytes} bytes lie outside the bounds of virtual parts"
        return Compaction(CompactionKind.EVERYTHING, reason)
    return None


def _of_deltas(sizes: LayerSizes) -> Compaction | None:
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


def _of_bottoms(sizes: LayerSizes) -> Compaction | None:
    pairs = list(enumerate(pairwise(sizes.bottoms_bytes)))
    for bottom, (older_bytes, newer_bytes) in reversed(pairs):
        if older_bytes <= BOTTOMS_RATIO * newer_bytes:
            reason = f"bottom mains {bottom} and {bottom + 1} of {older_bytes} and {newer_bytes} bytes"
            return Compaction(CompactionKind.BOTTOMS, reason, bottom)
    return None
