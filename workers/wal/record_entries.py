"""The entries of single records of a log, decoded, for tools. The replay has a way of its own, for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shardstore.errors import Corruption
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.wire.columns import InvalidColumn, decode
from shardstore.wire.wire_format import Flag
from shardstore.workers.wal.batch_values import stored_values
from shardstore.workers.wal.record_format import Record, RecordKind, range_of_clear


class RecordEntries(NamedTuple):
    """What a record changes: keys with what is stored for each, and the range that it clears."""

    keys: Sequence[bytes]
    values: Sequence[Stored]
    cleared: KeyRange | None = None


def record_entries(record: Record) -> RecordEntries:
    """The entries of a record. Raises Corruption if it passes its checksum and is none of its kind."""
    match record.kind:
        case RecordKind.BAR | RecordKind.CLOCK:
            return RecordEntries((), ())
        case RecordKind.CLEAR:
            return RecordEntries((), (), range_of_clear(record))
        case RecordKind.TAKE:
            return RecordEntries([bytes(record.keys)], [TOMBSTONE])
    try:
        return _decoded(record)
    except InvalidColumn as error:
        what = f"passes its checksum but is no batch: {error}"
        raise Corruption(f"log record {record.lsn}", 0, what) from None


def _decoded(record: Record) -> RecordEntries:
    entries, fixed = record.entries, bool(record.layout & Flag.VALUES_FIXED)
    keys = decode(record.keys, bool(record.layout & Flag.KEYS_FIXED), entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
    if record.kind == RecordKind.DELETE:
        return RecordEntries(keys, [TOMBSTONE] * entries)
    if record.kind == RecordKind.BATCH or (record.kind == RecordKind.INCREMENT and not fixed):
        return RecordEntries(keys, stored_values(record.values, fixed, entries)[0])
    return RecordEntries(keys, decode(record.values, fixed, entries, 0, VALUE_BYTES_MAX))
