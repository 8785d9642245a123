"""What a job is to do, and its result. Both cross a socket pair between the worker and its maintenance process.

Manifests in results lack the dedup window, as the worker has it.

An encoded spec is one byte for its kind, then a document (shardstore/wire/messages.py). A result is a document, whose
kind follows from the spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from shardstore.identifiers import Buffer
from shardstore.limits import DOCUMENT_BYTES_MAX, DRAIN_SPEC_BYTES_MAX
from shardstore.tables.manifest import Manifest
from shardstore.wire import messages
from shardstore.wire.wire_format import MalformedMessage
from shardstore.workers.jobs.figures import JobFigures

JOB_BYTES_MAX = DOCUMENT_BYTES_MAX + 2 * DRAIN_SPEC_BYTES_MAX
"""Maximum length of a spec or a result, with one manifest of maximum length or with those of many segments (see
maintenance/policies/drain_choice.py)."""


@dataclass(frozen=True, slots=True)
class SegmentDrain:
    """The records of one segment to drain, both ends included, and further fields of the new manifest.

    `table_ends` are LSNs below `lsn_last`, ascending: another table begins after each of them.
    """

    segment: int
    lsn_first: int
    lsn_last: int
    epoch: int
    dedup: dict[str, Any]
    table_ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DrainSpec:
    """Read the log once; write a table and publish a manifest for each of the segments."""

    worker: int
    store: str
    log_id: int
    drains: tuple[SegmentDrain, ...]


class CompactionKind(IntEnum):
    """Which layers of a segment become one."""

    DELTAS = 1
    """The deltas and the main: they become the main."""
    BOTTOMS = 2
    """Two neighbouring bottom mains."""
    EVERYTHING = 3
    """All layers."""


@dataclass(frozen=True, slots=True)
class CompactSpec:
    """Merge layers of a segment. `kind`: a CompactionKind; `seed`: the sizes of the new parts are drawn from it.

    `bottom`: for BOTTOMS the index of the older of the two, counted from the oldest bottom main. What has expired at
    `now_ms`, by the clock of the owner, is removed.
    """

    store: str
    segment: int
    kind: int
    seed: int
    bottom: int = 0
    now_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """Publish what is known of the log, then remove these files, which nothing needs any more.

    `segments`: by segment, the version of its manifest that made the files unnecessary. `clock_ms`: what the clock of
    the worker may have reached, according to the log.
    """

    worker: int
    store: str
    log_id: int
    checkpoint: int
    lsn_durable: int
    segments: dict[int, int]
    paths: tuple[str, ...]
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class MaterialiseSpec:
    """Make a segment from the files of its parents, with the keys from `start` to `end` (excluded; empty: no end).

    The parents are contiguous and in key order, and their manifests are final. `dedup` is that of the new segment. Of
    the parents in `given_up` only what can be read is taken.
    """

    store: str
    segment: int
    start: bytes
    end: bytes
    epoch: int
    parents: tuple[int, ...]
    dedup: dict[str, Any]
    given_up: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RetireSpec:
    """Remove these segments with all their files: other segments hold their data."""

    store: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrainedTable:
    """A table that holds all log records of a segment from one LSN to another, both included.

    The number is 0 if there was nothing to store.
    """

    segment: int
    lsn_first: int
    lsn_last: int
    number: int


@dataclass(frozen=True, slots=True)
class DrainResult:
    """The published manifests, and what was done for each, in the order of the spec.

    `tables` are those that this job wrote; those that an earlier job had published are not known any more.
    """

    manifests: tuple[Manifest, ...]
    figures: tuple[JobFigures, ...]
    tables: tuple[DrainedTable, ...] = ()


@dataclass(frozen=True, slots=True)
class CompactResult:
    """The published manifest; bytes and entries of the tables read and written; of those carried only the bytes."""

    manifest: Manifest
    read_bytes: int = 0
    written_bytes: int = 0
    carried_bytes: int = 0
    entries_in: int = 0
    entries_out: int = 0

    @property
    def figures(self) -> JobFigures:
        """The bytes and entries of the job, as JobFigures."""
        return JobFigures(self.read_bytes, self.written_bytes, self.carried_bytes, self.entries_in, self.entries_out)


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """The files were removed; there is nothing more to report."""


@dataclass(frozen=True, slots=True)
class MaterialiseResult:
    """The published manifest of the new segment."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class RetireResult:
    """The segments were removed; there is nothing more to report."""


Spec: TypeAlias = DrainSpec | CompactSpec | ReleaseSpec | MaterialiseSpec | RetireSpec
JobResult: TypeAlias = DrainResult | CompactResult | ReleaseResult | MaterialiseResult | RetireResult

_SPECS: dict[int, type[Spec]] = {1: DrainSpec, 2: CompactSpec, 3: ReleaseSpec, 4: MaterialiseSpec, 5: RetireSpec}
_NUMBERS = {kind: number for number, kind in _SPECS.items()}
_RESULTS: dict[type[Spec], type[JobResult]] = {
    DrainSpec: DrainResult,
    CompactSpec: CompactResult,
    ReleaseSpec: ReleaseResult,
    MaterialiseSpec: MaterialiseResult,
    RetireSpec: RetireResult,
}


def segments_of(spec: Spec) -> list[int]:
    """The segments for which the job publishes a manifest."""
    match spec:
        case DrainSpec():
            return [item.segment for item in spec.drains]
        case CompactSpec() | MaterialiseSpec():
            return [spec.segment]
        case ReleaseSpec() | RetireSpec():
            return []


def encode_spec(spec: Spec) -> bytes:
    """Encode a spec."""
    return bytes([_NUMBERS[type(spec)]]) + messages.encode(spec)


def decode_spec(data: Buffer) -> Spec:
    """Decode a spec. Raises MalformedMessage."""
    if not data or data[0] not in _SPECS:
        raise MalformedMessage("no spec of a job")
    return messages.decode(_SPECS[data[0]], data[1:], JOB_BYTES_MAX)


def encode_result(result: JobResult) -> bytes:
    """Encode a result."""
    return messages.encode(result)


def decode_result(spec: Spec, data: Buffer) -> JobResult:
    """Decode the result of a job with this spec. Raises MalformedMessage."""
    return messages.decode(_RESULTS[type(spec)], data, JOB_BYTES_MAX)
