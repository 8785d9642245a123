"""The examination of single large files, cut into checks that can be done side by side, in any process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shardstore.doctor.findings import Finding, Kind, of_error
from shardstore.doctor.log import findings_in_log, log_bytes
from shardstore.doctor.survey import Survey
from shardstore.doctor.table_file import damage_in_table
from shardstore.errors import StorageFailure
from shardstore.files import file_names
from shardstore.seams.filesystem import Filesystem


class Check(NamedTuple):
    """Examine a table of a segment, or the log of a worker; then `table` is 0. `bytes`: about how much is read."""

    number: int
    table: int
    bytes: int

    @property
    def file(self) -> str:
        """What is examined."""
        if self.table:
            return file_names.table_file(self.number, self.table)
        return file_names.worker_directory(self.number)


def checks_of(filesystem: Filesystem, survey: Survey) -> list[Check]:
    """All checks of a store, the largest first. Segments that are left over are not examined."""
    tables = [
        Check(segment, record.number, record.file_bytes)
        for segment, manifest in survey.manifests.items()
        if survey.topology is None or segment in survey.expected
        for record in manifest.tables
    ]
    logs = [Check(worker, 0, log_bytes(filesystem, worker)) for worker in survey.logs]
    return sorted([*tables, *logs], key=lambda check: -check.bytes)


def findings_of(filesystem: Filesystem, survey: Survey, check: Check) -> Iterator[Finding]:
    """Do a check."""
    if not check.table:
        yield from findings_in_log(filesystem, survey, check.number)
        return
    manifest = survey.manifests[check.number]
    record = next(each for each in manifest.tables if each.number == check.table)
    try:
        for damage in damage_in_table(filesystem, survey.store, check.number, manifest.key_range, record):
            yield of_error(Kind.TABLE, check.file, damage)
    except StorageFailure as failure:
        yield of_error(Kind.TABLE, check.file, failure)


def encode(values: Sequence[Any]) -> bytes:
    """Encode checks or findings as a line."""
    return json.dumps(values).encode() + b"\n"


def decode_checks(line: bytes) -> list[Check]:
    """Decode what `encode` made of checks."""
    return [Check(*fields) for fields in json.loads(line)]


def decode_findings(line: bytes) -> list[Finding]:
    """Decode what `encode` made of findings."""
    return [Finding(Kind(kind), *rest) for kind, *rest in json.loads(line)]
