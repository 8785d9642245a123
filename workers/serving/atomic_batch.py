"""Evaluates BATCH: changes of several keys, applied whole if all its conditions hold, else not at all."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.identifiers import TOMBSTONE
from shardstore.key_range import KeyRange
from shardstore.tables.chunk import without_tombstones
from shardstore.wire.wire_format import Flag, Header
from shardstore.workers.serving.conditions import Judge, KeyChanges
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import changes_of, conditions_of
from shardstore.workers.wal.record_format import RecordKind

_LAYOUT = Flag.KEYS_FIXED | Flag.VALUES_FIXED


def batch_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> Judge:
    """What evaluates the conditions of a BATCH, all of it in the range. Raises InvalidRequest."""
    keys, values = changes_of(header, frames, key_range)
    required, expected = conditions_of(frames, key_range)

    def judged(newest: NewestValues) -> KeyChanges | None:
        if required and without_tombstones(newest.get_many(required)) != expected:
            return None
        body, layout = (frames[1], frames[2]), header.flags & _LAYOUT
        return KeyChanges(RecordKind.BATCH, keys, values, body, layout, values.count(TOMBSTONE))

    return judged
