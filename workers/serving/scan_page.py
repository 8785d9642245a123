"""One page of a scan over a range: complete from its first key to its resume key, whatever the layers hold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, repeat
from operator import is_not

from shardstore.columns import Column, encode
from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import KeyRange
from shardstore.limits import SCAN_PAGE_BYTES
from shardstore.workers.chunk import Chunk
from shardstore.workers.ranges.range_view import RangeView

MERGE_ROUNDS_MAX = 16
"""Stretches of nothing but deleted keys that one page may skip before it answers with what it has."""


@dataclass(frozen=True, slots=True)
class ScanPage:
    """Entries in ascending order, and where the next page begins (forward) or ends (reverse); empty: done."""

    keys: Column
    values: Column
    entries: int
    resume: bytes


NOTHING = ScanPage(Column(b"", False), Column(b"", False), 0, b"")


def scan_page(view: RangeView, wanted: KeyRange, reverse: bool, keys_only: bool, entries_max: int) -> ScanPage:
    """The next page of the wanted part of a range."""
    stored = _page_of_blocks(view, wanted, reverse, keys_only, entries_max)
    return stored or _merged_page(view, wanted, reverse, keys_only, entries_max)


def _page_of_blocks(
    view: RangeView, wanted: KeyRange, reverse: bool, keys_only: bool, entries_max: int
) -> ScanPage | None:
    """Blocks as they are stored, when one layer alone answers and nothing in memory lies over it."""
    if view.alone is None or any(layer.chunk(wanted, False, 1, 1).keys for layer in view.buffered):
        return None
    page = view.alone.page(wanted, reverse, entries_max, SCAN_PAGE_BYTES)
    if page is None:
        return None
    resume = b"" if page.exhausted else _behind(page.first_key, page.last_key, wanted, reverse)
    values = encode([b""] * page.entries) if keys_only else page.values
    return ScanPage(page.keys, values, page.entries, resume)


def _merged_page(view: RangeView, wanted: KeyRange, reverse: bool, keys_only: bool, entries_max: int) -> ScanPage:
    resume = b""
    for _ in range(MERGE_ROUNDS_MAX):
        chunk = view.chunk(wanted, reverse, entries_max, SCAN_PAGE_BYTES)
        live = _live(chunk, reverse, entries_max)
        resume = _resume(chunk, live, wanted, reverse)
        if live.keys:
            values = [b""] * len(live.keys) if keys_only else live.values
            return ScanPage(encode(live.keys), encode(values), len(live.keys), resume)  # type: ignore[arg-type]
        if not resume:
            break
        wanted = KeyRange(wanted.start, resume) if reverse else KeyRange(resume, wanted.end)
    return ScanPage(NOTHING.keys, NOTHING.values, 0, resume)


def _live(chunk: Chunk, reverse: bool, entries_max: int) -> Chunk:
    """The chunk without deleted keys, cut to the number of entries wanted; `exhausted` says it was not cut."""
    kept = list(compress(range(len(chunk.keys)), map(is_not, chunk.values, repeat(TOMBSTONE))))
    if len(kept) == len(chunk.keys) <= entries_max:
        return chunk
    cut = kept[-entries_max:] if reverse else kept[:entries_max]
    keys, values = list(map(chunk.keys.__getitem__, cut)), list(map(chunk.values.__getitem__, cut))
    return Chunk(keys, values, len(cut) == len(kept))


def _resume(chunk: Chunk, live: Chunk, wanted: KeyRange, reverse: bool) -> bytes:
    if live is not chunk and not live.exhausted:
        return _behind(live.keys[0], live.keys[-1], wanted, reverse)
    return b"" if chunk.exhausted else _behind(chunk.keys[0], chunk.keys[-1], wanted, reverse)


def _behind(first: bytes, last: bytes, wanted: KeyRange, reverse: bool) -> bytes:
    """Where to go on after a page with these keys at its ends; empty when no key lies between there and the end."""
    if reverse:
        return b"" if first == wanted.start else first
    return b"" if after(last) == wanted.end else after(last)


def after(key: bytes) -> bytes:
    """The smallest byte string above the key."""
    return key + b"\0"
