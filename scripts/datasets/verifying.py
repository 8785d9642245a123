"""Reads back what was loaded, and compares it with the inputs, which are read a second time.

Of records with the same key the last one wins. So a record that the cluster does not have unchanged is a difference
only if no later record has its key and the value found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from datasets.batches import batches
from datasets.display import Display
from datasets.inputs import Input
from datasets.patient_client import PatientClient
from datasets.records import BadData, Place, Record

OPEN_MAX = 1_000_000
"""Maximum number of keys that differ so far; with more, the comparison ends."""


class Difference(NamedTuple):
    """A record that the cluster does not have, or has with another value."""

    source: str
    line: int
    absent: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: " + ("not there" if self.absent else "another value")


class Verifying:
    """Compares inputs one after the other.

    `records` counts the records compared, `replaced` those that had another value in the cluster, since a later record
    has the same key.
    """

    def __init__(self, db: PatientClient, display: Display) -> None:
        self.records = 0
        self.replaced = 0
        self._db = db
        self._display = display
        self._open: dict[bytes, Difference] = {}

    @property
    def differences(self) -> dict[bytes, Difference]:
        """The differences by key, complete once all inputs are compared."""
        return self._open

    def compare(self, source: Input) -> None:
        """Compare every record of the input with the cluster. Raises BadData if too many keys differ."""
        with self._display.showing("comparing", source) as show:
            for batch in batches(source, Place(), skip_bad=True):
                found = self._db.read([record.key for record in batch.records])
                self._take(source, batch.records, found)
                self.records += len(batch.records)
                show(batch.end, self.records)

    def _take(self, source: Input, records: Sequence[Record], found: Sequence[bytes | None]) -> None:
        if not self._open and all(record.value == value for record, value in zip(records, found, strict=True)):
            return
        for record, value in zip(records, found, strict=True):
            self.replaced += self._open.pop(record.key, None) is not None
            if value != record.value:
                self._open[record.key] = Difference(source.name, record.line, value is None)
        if len(self._open) > OPEN_MAX:
            raise BadData(f"more than {OPEN_MAX:,} keys differ, or are replaced later: too many to compare")
