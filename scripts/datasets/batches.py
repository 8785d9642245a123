"""Records in batches of bounded size."""

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
    """Neighbours in an input, and the place behind them."""

    records: list[Record] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    record_bytes: int = 0
    """Of keys and values."""
    end: Place = field(default_factory=Place)

    def add(self, record: Record | BadRecord) -> None:
        """Take what stands behind the others."""
        if isinstance(record, Record):
            self.records.append(record)
            self.record_bytes += len(record.key) + len(record.value)
        else:
            self.bad.append(record)
        self.end = record.end

    def is_full(self) -> bool:
        """Whether it has to be written before more is read."""
        return len(self.records) + len(self.bad) >= BATCH_ENTRIES or self.record_bytes >= BATCH_BYTES


def batches(source: Input, start: Place, skip_bad: bool) -> Iterator[Batch]:
    """Batches of all records behind a place.

    Ends with BadData at a bad record, unless those are skipped, and where the input cannot be read on; what stands
    before that place is given first.
    """
    batch = Batch()
    trouble = ""
    try:
        for record in source.records(start):
            if isinstance(record, BadRecord) and not skip_bad:
                trouble = f"{at_line(source, record)} (--skip-bad passes over it)"
                break
            batch.add(record)
            if batch.is_full():
                yield batch
                batch = Batch()
    except BadData as error:
        trouble = f"{source.name}: {error}"
    except UNREADABLE as error:
        trouble = f"{source.name} cannot be read on: {error}"
    if batch.records or batch.bad:
        yield batch
    if trouble:
        raise BadData(trouble)


def at_line(source: Input, bad: BadRecord) -> str:
    """Where it is and what is wrong with it."""
    return f"{source.name}:{bad.line}: {bad.reason}"
