"""The loading loop: finds where to begin in each input, and writes batches and marks to the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datasets.batches import Batch, at_line, batches
from datasets.display import Display
from datasets.inputs import Input
from datasets.marks import Mark, key_of
from datasets.patient_client import PatientClient
from datasets.records import BadData

SHOWN_MAX = 20
"""Maximum number of bad records to show; all are counted."""


@dataclass(slots=True)
class Totals:
    """What one run has loaded and skipped."""

    records: int = 0
    record_bytes: int = 0
    """The bytes of all keys and values."""
    skipped: int = 0


def marks_of(sources: Sequence[Input], db: PatientClient, restart: bool) -> list[Mark]:
    """The mark from which to load each input. Raises BadData if an earlier load of one cannot be continued."""
    keys = [key_of(source.path) for source in sources]
    if restart:
        remove_marks(sources, db)
    return [_begin(source, value) for source, value in zip(sources, db.read(keys), strict=True)]


def remove_marks(sources: Sequence[Input], db: PatientClient) -> None:
    """Remove the marks, so that the next load of these inputs begins at their start."""
    db.remove(key_of(source.path) for source in sources if source.identity is not None)


def _begin(source: Input, stored: bytes | None) -> Mark:
    if stored is None or source.identity is None:
        return Mark.at_start(source)
    try:
        mark = Mark.decode(stored)
        mark.check(source)
    except BadData as why:
        raise BadData(f"an earlier load of {source.name} cannot be continued: {why}; --restart begins anew") from None
    return mark


class Loading:
    """Loads inputs one after the other, and counts in `totals`. Raises BadData at a bad record, unless `skip_bad`."""

    def __init__(self, db: PatientClient, display: Display, skip_bad: bool) -> None:
        self.totals = Totals()
        self._db = db
        self._display = display
        self._skip_bad = skip_bad

    def load(self, source: Input, mark: Mark) -> None:
        """Write the records after the mark."""
        if mark.position:
            self._display.say(
                f"continuing {source.name} at byte {mark.position:,}, after line {mark.line:,}; "
                f"{mark.records:,} records were loaded before and {mark.skipped:,} skipped"
            )
        with self._display.showing("loading", source) as show:
            show(mark.place, mark.records)
            for batch in batches(source, mark.place, self._skip_bad):
                self._tell_bad(source, batch)
                self._db.write([(record.key, record.value) for record in batch.records])
                mark = mark.behind(batch)
                if source.identity is not None:
                    self._db.write([(mark.key, mark.encode())])
                self._count(batch)
                show(mark.place, mark.records)

    def _tell_bad(self, source: Input, batch: Batch) -> None:
        for bad in batch.bad[: max(0, SHOWN_MAX - self.totals.skipped)]:
            self._display.say(f"skipped {at_line(source, bad)}")
        if self.totals.skipped <= SHOWN_MAX < self.totals.skipped + len(batch.bad):
            self._display.say("further bad records are counted, but not shown")

    def _count(self, batch: Batch) -> None:
        self.totals.records += len(batch.records)
        self.totals.record_bytes += batch.record_bytes
        self.totals.skipped += len(batch.bad)
