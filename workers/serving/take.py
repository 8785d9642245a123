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
from dataclasses import dataclass, field

from shardstore.errors import InvalidRequest
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, TAKEN_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.tables.scan_page import EncodedPage, key_after, scan_page
from shardstore.tables.stretches import Ordered, before
from shardstore.wire.columns import decode
from shardstore.wire.wire_format import Flag
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import RangeView
from shardstore.workers.ranges.results import Taken
from shardstore.workers.serving.conditions import Judge, KeyChanges
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import take_request_of, within_range
from shardstore.workers.serving.scan_path import SORTED_A_TURN
from shardstore.workers.wal.record_format import RecordKind

AHEAD_KEPT_MIN = 1_024
_FIXED = Flag.KEYS_FIXED | Flag.VALUES_FIXED


@dataclass(slots=True)
class _Ahead:
    """What was logged for a range up to an LSN: at least all that is not applied yet."""

    layer: ActiveLayer = field(default_factory=ActiveLayer)
    lsn_last: int = 0


class Takes:
    """Evaluates the TAKEs of a worker. It keeps what is logged and not applied, by segment, from one to the next.

    Invariant: an `_Ahead` has all writes of its range from its first one to its `lsn_last`.
    """

    def __init__(self) -> None:
        self._ahead: dict[int, _Ahead] = {}

    def judge(self, owned: OwnedRange, frames: Sequence[bytes]) -> Judge | None:
        """What evaluates a TAKE now, before anything else happens; None if another turn is needed first.

        Raises InvalidRequest, Corruption, StorageFailure.
        """
        request = take_request_of(frames)
        wanted, reverse = within_range(request.start, request.end, owned.key_range), request.reverse
        if not owned.view().sort(SORTED_A_TURN):
            return None
        found: Taken | None = None
        left = wanted
        if wanted and owned.segment is not None:
            left = owned.empty_ranges.left_of(wanted, reverse)
        if left:
            page = scan_page(owned.view().layers, left, reverse, False, 1)
            if page.passed and owned.segment is not None:
                owned.empty_ranges.note(page.passed)
            if page.resume and not page.entries and owned.segment is not None:
                return None
            found = _entry_of(page) or _nearest(owned.view().layers, _rest(page, left, reverse), reverse)

        def judged(newest: NewestValues) -> KeyChanges | None:
            taken = self._with_logged(newest, wanted, reverse, found) if wanted else None
            if taken is None or wanted is None:
                return None
            if len(taken.key) + len(taken.value) > TAKEN_BYTES_MAX:
                raise InvalidRequest(
                    f"the entry of {taken.key!r:.60} has {len(taken.value):,} bytes, and one that is taken has at most "
                    f"{TAKEN_BYTES_MAX:,}: get and delete it"
                )
            empty = KeyRange(taken.key, wanted.end) if reverse else KeyRange(wanted.start, key_after(taken.key))
            emptied = empty if owned.segment is not None else None
            return KeyChanges(RecordKind.TAKE, [taken.key], None, taken, _FIXED, result=taken, emptied=emptied)

        return judged

    def _with_logged(self, newest: NewestValues, wanted: KeyRange, reverse: bool, found: Taken | None) -> Taken | None:
        """The nearest entry, given the nearest of those that are applied."""
        ahead = self._ahead_of(newest)
        if ahead is None:
            return found
        newest.meet_newest()
        behind = wanted
        if found is not None:
            key = found.key
            behind = KeyRange(wanted.start, key_after(key)) if reverse else KeyRange(key, wanted.end)
            if behind == wanted:
                return _nearest([*newest.owned.view().layers, ahead], wanted, reverse)
        nearer = _nearest([ahead], before(behind, wanted, reverse) if found else wanted, reverse)
        if nearer is not None or found is None:
            return nearer
        return _nearest([*newest.owned.view().layers, ahead], behind, reverse)

    def _ahead_of(self, newest: NewestValues) -> ActiveLayer | None:
        """A layer, in order, with all that is logged for the range and not applied; None if nothing is."""
        segment, waiting = newest.owned.segment_id, list(newest.not_applied())
        if not waiting:
            self._ahead.pop(segment, None)
            return None
        ahead = self._ahead.get(segment)
        entries_max = 2 * sum([len(write.keys) for write in waiting]) + AHEAD_KEPT_MIN
        if ahead is None or waiting[-1].lsn > ahead.lsn_last or len(ahead.layer) > entries_max:
            ahead = self._ahead[segment] = _Ahead()
        for write in reversed(waiting):
            if write.lsn > ahead.lsn_last:
                write.apply_to(ahead.layer)
                ahead.lsn_last = write.lsn
        while not RangeView([ahead.layer]).sort(SORTED_A_TURN):
            pass
        return ahead.layer


def _nearest(layers: Sequence[Ordered], wanted: KeyRange | None, reverse: bool) -> Taken | None:
    """The nearest entry with a value."""
    while wanted is not None:
        page = scan_page(layers, wanted, reverse, False, 1)
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
