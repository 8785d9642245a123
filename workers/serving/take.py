"""Evaluates TAKE: finds the first or the last entry within bounds, which is removed and returned.

It is the nearest one with a value in what is applied and what is logged. Most of the time nothing nearer is logged, so
the applied entries are looked at first; what is logged and not applied is a layer on top of them.

    applied     |  deleted before  |  found           its layers in memory have to be in order first, as for a scan
    logged      |   something?     |  is it deleted?

A queue has many deleted keys at its front. Where an entry was taken nothing is before it, which the range remembers
(shardstore/tables/empty_ranges.py) from the moment at which the TAKE is applied.
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.errors import InvalidRequest
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, TAKEN_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.tables.key_ranges import NO_KEYS
from shardstore.tables.scan_page import EncodedPage, key_after, scan_page
from shardstore.tables.stretches import Ordered, before
from shardstore.wire.columns import decode
from shardstore.wire.wire_format import Flag
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import RangeView
from shardstore.workers.ranges.results import Taken
from shardstore.workers.ranges.uncleared import uncleared
from shardstore.workers.serving.conditions import Judge, KeyChanges
from shardstore.workers.serving.logged_write import Ahead
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import take_request_of, within_range
from shardstore.workers.serving.scan_path import SORTED_A_TURN
from shardstore.workers.wal.record_format import RecordKind

AHEAD_ENTRIES_MIN = 1_024
"""How many entries that are applied by now a layer of logged writes may have before it is made anew."""
_FIXED = Flag.KEYS_FIXED | Flag.VALUES_FIXED


def take_of(owned: OwnedRange, frames: Sequence[bytes], now_ms: int) -> Judge | None:
    """What evaluates a TAKE at this moment, before anything else happens; None if another turn is needed first.

    Raises InvalidRequest, Corruption, StorageFailure.
    """
    request = take_request_of(frames)
    wanted, reverse = within_range(request.start, request.end, owned.key_range), request.reverse
    layers, has_files = owned.view().layers, owned.segment is not None
    if not owned.view().sort(SORTED_A_TURN):
        return None
    found: Taken | None = None
    left = owned.empty_ranges.left_of(wanted, reverse) if wanted and has_files else wanted
    if left is not None:
        page = scan_page(layers, left, reverse, False, 1, now_ms)
        if page.passed and has_files:
            owned.note_passed(page.passed, page.passed_entries)
        if page.resume and not page.entries and has_files:
            return None
        found = _entry_of(page) or _nearest(layers, _rest(page, left, reverse), reverse, now_ms)

    def judged(newest: NewestValues) -> KeyChanges | None:
        taken = _nearest_of_all(newest, wanted, reverse, found, now_ms) if wanted else None
        if taken is None or wanted is None:
            return None
        if len(taken.key) + len(taken.value) > TAKEN_BYTES_MAX:
            raise InvalidRequest(
                f"the entry of {taken.key!r:.60} has {len(taken.value):,} bytes, and one that is taken has at most "
                f"{TAKEN_BYTES_MAX:,}: get and delete it"
            )
        empty = KeyRange(taken.key, wanted.end) if reverse else KeyRange(wanted.start, key_after(taken.key))
        emptied = empty if has_files else None
        return KeyChanges(RecordKind.TAKE, [taken.key], None, taken, _FIXED, result=taken, emptied=emptied)

    return judged


def _nearest_of_all(
    newest: NewestValues, wanted: KeyRange, reverse: bool, found: Taken | None, now_ms: int
) -> Taken | None:
    """The nearest entry, given the nearest of those that are applied."""
    ahead = _ahead_of(newest)
    if ahead is None:
        return found
    newest.meet_newest()
    if found is None:
        return _nearest([ahead], wanted, reverse, now_ms)
    key = found.key
    behind = KeyRange(wanted.start, key_after(key)) if reverse else KeyRange(key, wanted.end)
    nearer = _nearest([ahead], before(behind, wanted, reverse), reverse, now_ms) if behind != wanted else None
    applied = [(layer, NO_KEYS) for layer in newest.owned.view().layers]
    return nearer or _nearest(uncleared([*applied, (ahead, ahead.cleared)], behind), behind, reverse, now_ms)


def _ahead_of(newest: NewestValues) -> ActiveLayer | None:
    """A layer, in order, with all that is logged for the range and not applied; None if nothing is.

    It is kept with the newest of these writes, for the next TAKE, which adds those that were logged since.
    """
    segment, waiting = newest.owned.segment_id, list(newest.not_applied())
    if not waiting:
        return None
    at, ahead = next(
        ((at, write.ahead) for at, write in enumerate(waiting) if write.ahead and write.ahead.segment == segment),
        (len(waiting), None),
    )
    if ahead is None or len(ahead.layer) > ahead.entries_max:
        entries = sum([len(write.keys) for write in waiting])
        at, ahead = len(waiting), Ahead(segment, ActiveLayer(), 2 * entries + AHEAD_ENTRIES_MIN)
    for write in reversed(waiting[:at]):
        write.apply_to(ahead.layer)
    if at < len(waiting):
        waiting[at].ahead = None
    waiting[0].ahead = ahead
    while not RangeView([ahead.layer]).sort(SORTED_A_TURN):
        pass
    return ahead.layer


def _nearest(layers: Sequence[Ordered], wanted: KeyRange | None, reverse: bool, now_ms: int) -> Taken | None:
    """The nearest entry with a value."""
    while wanted is not None:
        page = scan_page(layers, wanted, reverse, False, 1, now_ms)
        if page.entries:
            return _entry_of(page)
        wanted = _rest(page, wanted, reverse)
    return None


def _rest(page: EncodedPage, wanted: KeyRange, reverse: bool) -> KeyRange | None:
    if not page.resume:
        return None
    return KeyRange(wanted.start, page.resume) if reverse else KeyRange(page.resume, wanted.end)


def _entry_of(page: EncodedPage) -> Taken | None:
    """The only entry of a page; None if it is empty."""
    if not page.entries:
        return None
    [key] = decode(page.keys.frame, page.keys.fixed, 1, 1, KEY_BYTES_MAX)
    [value] = decode(page.values.frame, page.values.fixed, 1, 0, VALUE_BYTES_MAX)
    return Taken(key, value)
