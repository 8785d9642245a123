"""Evaluates BATCH and PUT_UNTIL: changes of several keys, applied whole if all conditions hold, else not at all."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.key_range import KeyRange
from shardstore.tables.expired import values_of
from shardstore.wire.wire_format import Flag, Header
from shardstore.workers.serving.conditions import Judge, KeyChanges, stored_changes
from shardstore.workers.serving.newest_values import NewestValues
from shardstore.workers.serving.requests import changed_keys_of, conditions_of, keys_of, values_of_batch, values_until

_LAYOUT = Flag.KEYS_FIXED | Flag.VALUES_FIXED


def batch_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> Judge:
    """What evaluates the conditions of a BATCH, all of it in the range. Raises InvalidRequest."""
    keys = changed_keys_of(header, frames, key_range)
    required, expected = conditions_of(frames, key_range)

    def judged(newest: NewestValues) -> KeyChanges | None:
        if required and values_of(newest.get_many(required), newest.clock) != expected:
            return None
        values, may_expire = values_of_batch(header, frames, newest.clock)
        return stored_changes(keys, values, may_expire, (frames[1], frames[2]), header.flags & _LAYOUT)

    return judged


def put_until_of(header: Header, frames: Sequence[bytes], key_range: KeyRange) -> Judge:
    """What makes the changes of a PUT_UNTIL, all of it in the range. Raises InvalidRequest."""
    keys = keys_of(header, frames, key_range)

    def judged(newest: NewestValues) -> KeyChanges | None:
        values, may_expire = values_until(header, frames, newest.clock)
        body, layout = (frames[1], frames[2]), header.flags & Flag.KEYS_FIXED
        return stored_changes(keys, values, may_expire, body, layout)

    return judged
