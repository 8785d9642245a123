"""Errors a caller can meet, named for what the caller does next.

InvalidRequest   fix the call
Busy             slow down and retry; nothing was applied
Unavailable      retry later; nothing was applied
OutcomeUnknown   ask for its outcome with its token; or retry if the write is idempotent
ScanInvalidated  scan on with its token, or begin anew
Corruption       stop, restore, report
StorageFailure   operator: this worker accepts no more writes
Closed           open a new client
"""

from __future__ import annotations

from typing import NamedTuple

KEY_BYTES_SHOWN = 40


class ShardstoreError(Exception):
    """Base of every error that shardstore raises on purpose."""


class InvalidRequest(ShardstoreError, ValueError):
    """The call breaks a rule or a limit; it was not sent, or it was refused unapplied."""


class Place(NamedTuple):
    """Where a request was refused: the range [start, end) of a segment, and its worker."""

    segment: int
    start: bytes
    end: bytes
    worker: int

    def __str__(self) -> str:
        from_start = f" from {self.start[:KEY_BYTES_SHOWN]!r} on" if self.start else ""
        to_end = f" before {self.end[:KEY_BYTES_SHOWN]!r}" if self.end else ""
        keys = f"keys{from_start}{to_end}" if from_start or to_end else "all keys"
        return f"segment {self.segment} at worker {self.worker}, {keys}"


class Busy(ShardstoreError):
    """Refused before anything was logged, because a bound on memory or disk was reached.

    `used` counts what was refused too; with a `limit` of 1 or 0 there is nothing to count. `place` is None where the
    bound is not that of one range or worker. `retry_after_ns` is 0 where waiting alone does not help.
    """

    applied = False

    def __init__(self, cause: str, used: int, limit: int, retry_after_ns: int, place: Place | None = None) -> None:
        super().__init__(cause, used, limit, retry_after_ns, place)  # what it can be pickled from
        self.cause = cause
        self.used = used
        self.limit = limit
        self.retry_after_ns = retry_after_ns
        self.place = place

    def __str__(self) -> str:
        amount = f": {self.used:,} of {self.limit:,} used" if self.limit > 1 else ""
        retry = f", retry after {self.retry_after_ns / 1e6:.0f} ms" if self.retry_after_ns else ""
        where = f" ({self.place})" if self.place else ""
        return f"{self.cause}{amount}; nothing was applied{retry}{where}"


class Unavailable(ShardstoreError):
    """Nobody could serve the request before its deadline; nothing was applied."""


class TurnedAway(Unavailable):
    """The store serves those who are connected, and takes no more connections."""


class OutcomeUnknown(ShardstoreError):
    """A write was sent and its answer is missing: it may or may not have been applied.

    `outcome(token)` of any client of the store tells which, and sees to it that it stays so.
    """

    def __init__(self, what: str, token: bytes = b"") -> None:
        super().__init__(what, token)
        self.what = what
        self.token = token

    def __str__(self) -> str:
        return self.what


class ScanInvalidated(ShardstoreError):
    """A scan cannot go on as its mode promises. What it has yielded was true; nothing was left out before `last_key`.

    `last_key` is the key of the last entry that was yielded, None if there was none. `scan(resume=token)` goes on
    behind it, with a new moment of the range.
    """

    def __init__(self, last_key: bytes | None, token: bytes, cause: str) -> None:
        super().__init__(last_key, token, cause)
        self.last_key = last_key
        self.token = token
        self.cause = cause

    def __str__(self) -> str:
        where = "before its first entry" if self.last_key is None else f"behind {self.last_key[:KEY_BYTES_SHOWN]!r}"
        return f"the scan ended {where}: {self.cause}"


class Corruption(ShardstoreError):
    """Stored bytes are damaged. `file` and `offset` (bytes from its start) say where, `what` says how."""

    def __init__(self, file: str, offset: int, what: str) -> None:
        super().__init__(file, offset, what)
        self.file = file
        self.offset = offset
        self.what = what

    def __str__(self) -> str:
        return f"{self.file} at byte {self.offset}: {self.what}"


class StorageFailure(ShardstoreError):
    """The operating system refused a file operation."""


class NotWritable(StorageFailure):
    """The disk takes no writes now; what was asked for did not happen, and may succeed later."""


class DiskFull(NotWritable):
    """No space, quota or file size is left."""


class ReadOnlyDisk(NotWritable):
    """The filesystem is mounted, or has become, read-only."""


class Closed(ShardstoreError):
    """The client or the store was closed, or the client was carried over a fork."""
