"""Reads back what was loaded and compares it with the inputs, which are read a second time.

Of records with the same key the last one wins. So a record that is not found as it stands is a difference only if none
with its key, and what was found, comes behind it.
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
"""Keys whose records were not found as they stand so far; with more of them the comparison ends."""


class Difference(NamedTuple):
    """A record that the cluster does not have as it stands."""

    source: str
    line: int
    absent: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: " + ("not there" if self.absent else "another value")


class Verifying:
    """Compares inputs one after the other.

    `records` counts those that were compared, `replaced` those of them whose key came again behind them with another
    value.
    """

    def __init__(self, db: PatientClient, display: Display) -> None:
        self.records = 0
        self.replaced = 0
        self._db = db
        self._display = display
        self._open: dict[bytes, Difference] = {}

    @property
    def differences(self) -> dict[bytes, Difference]:
        """What is different by key, once all inputs were compared."""
        return self._open

    def compare(self, source: Input) -> None:
        """Read every record of the input from the cluster. Raises BadData when too much is different."""
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
            raise BadData(f"more than {OPEN_MAX:,} keys are different, or come again later: too many to compare")
