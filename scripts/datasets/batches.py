"""Groups records into batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from datasets.inputs import UNREADABLE, Input
from datasets.records import BadData, BadRecord, Place, Record
from shardstore.limits import MIB

BATCH_ENTRIES = 32_768
BATCH_BYTES = 8 * MIB
"""A batch ends with the record that reaches this size."""


@dataclass(slots=True)
class Batch:
    """Consecutive records of an input, and the place after them."""

    records: list[Record] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    record_bytes: int = 0
    """The bytes of all keys and values."""
    end: Place = field(default_factory=Place)

    def add(self, record: Record | BadRecord) -> None:
        """Add the record that follows the others."""
        if isinstance(record, Record):
            self.records.append(record)
            self.record_bytes += len(record.key) + len(record.value)
        else:
            self.bad.append(record)
        self.end = record.end

    def is_full(self) -> bool:
        """Whether the batch must be written before more is read."""
        return len(self.records) + len(self.bad) >= BATCH_ENTRIES or self.record_bytes >= BATCH_BYTES


def batches(source: Input, start: Place, skip_bad: bool) -> Iterator[Batch]:
    """Batches of all records after a place.

    Raises BadData at a bad record, unless those are skipped, and where the input cannot be read further. Batches of
    all records before that place come first.
    """
    batch = Batch()
    trouble = ""
    try:
        for record in source.records(start):
            if isinstance(record, BadRecord) and not skip_bad:
                trouble = f"{at_line(source, record)} (use --skip-bad to skip it)"
                break
            batch.add(record)
            if batch.is_full():
                yield batch
                batch = Batch()
    except BadData as error:
        trouble = f"{source.name}: {error}"
    except UNREADABLE as error:
        trouble = f"{source.name} cannot be read further: {error}"
    if batch.records or batch.bad:
        yield batch
    if trouble:
        raise BadData(trouble)


def at_line(source: Input, bad: BadRecord) -> str:
    """The place of a bad record, and what is wrong with it."""
    return f"{source.name}:{bad.line}: {bad.reason}"
