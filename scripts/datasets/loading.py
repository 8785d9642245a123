"""The load itself: where to begin with each input, batch after batch into the cluster, and the marks beside them."""

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
"""Bad records that are shown; all are counted."""


@dataclass(slots=True)
class Totals:
    """What one run did."""

    records: int = 0
    record_bytes: int = 0
    """Of keys and values."""
    skipped: int = 0


def marks_of(sources: Sequence[Input], db: PatientClient, restart: bool) -> list[Mark]:
    """Where to begin with each input. Raises BadData when an earlier load of one cannot be continued."""
    keys = [key_of(source.path) for source in sources]
    if restart:
        remove_marks(sources, db)
    return [_begin(source, value) for source, value in zip(sources, db.read(keys), strict=True)]


def remove_marks(sources: Sequence[Input], db: PatientClient) -> None:
    """Everything is loaded: the next load of the same inputs begins at their start."""
    db.remove(key_of(source.path) for source in sources if source.identity is not None)


def _begin(source: Input, stored: bytes | None) -> Mark:
    if stored is None or source.identity is None:
        return Mark.at_start(source)
    try:
        mark = Mark.decode(stored)
        mark.check(source)
    except BadData as why:
        raise BadData(f"an earlier load of {source.name} cannot go on: {why}; --restart begins anew") from None
    return mark


class Loading:
    """Loads inputs one after the other and counts in `totals`. Bad records end it with BadData, unless `skip_bad`."""

    def __init__(self, db: PatientClient, display: Display, skip_bad: bool) -> None:
        self.totals = Totals()
        self._db = db
        self._display = display
        self._skip_bad = skip_bad

    def load(self, source: Input, mark: Mark) -> None:
        """Write what stands behind the mark."""
        if mark.position:
            self._display.say(
                f"going on with {source.name} at byte {mark.position:,}, behind line {mark.line:,}; "
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
            self._display.say("what is skipped from here on is counted, but not shown")

    def _count(self, batch: Batch) -> None:
        self.totals.records += len(batch.records)
        self.totals.record_bytes += batch.record_bytes
        self.totals.skipped += len(batch.bad)
