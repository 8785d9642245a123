"""Sizes of the parts that a compaction writes. They are random, so that the bounds of parts drift and do not repeat.

The seed comes with the job, so the same job writes the same files. The generator is splitmix64, as in Java (Steele,
Lea, Flood: Fast splittable pseudorandom number generators).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shardstore.limits import PARTS_AIM
from shardstore.segment_options import SegmentOptions

_WORDS = 2**64
_STEP = 0x9E3779B97F4A7C15


def sized(options: SegmentOptions, segment_bytes: int) -> SegmentOptions:
    """The options for a segment of this size: if it would have very many parts, they are larger.

    So the number of parts, and with it the size of the manifest, grows with the logarithm of the segment's size.
    """
    factor = max(1, segment_bytes // (PARTS_AIM * options.part_min_bytes))
    return replace(
        options,
        part_min_bytes=factor * options.part_min_bytes,
        part_max_bytes=factor * options.part_max_bytes,
        main_max_bytes=factor * options.main_max_bytes,
    )


def drawn_sizes(seed: int, options: SegmentOptions) -> Iterator[int]:
    """Random sizes in bytes, from `part_min_bytes` to `part_max_bytes`, both included."""
    least, spread = options.part_min_bytes, options.part_max_bytes - options.part_min_bytes + 1
    while True:
        seed = (seed + _STEP) % _WORDS
        yield least + _mixed(seed) % spread


def size_of_part(drawn_bytes: int, rest_bytes: int, options: SegmentOptions) -> int:
    """The size at which a part ends: as drawn, unless that leaves too little for another part."""
    if rest_bytes <= options.part_max_bytes:
        return options.part_max_bytes
    if rest_bytes - drawn_bytes < options.part_min_bytes:
        return rest_bytes // 2
    return drawn_bytes


def _mixed(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % _WORDS
    word = (word ^ word >> 27) * 0x94D049BB133111EB % _WORDS
    return word ^ word >> 31
