"""Errors a caller can meet, named for what the caller does next.

InvalidRequest    fix the call
Busy              slow down and retry; nothing was applied
Unavailable       retry later; nothing was applied
AccessDenied      use a key that may do this
OutcomeUnknown    ask for its outcome with its token; or retry if the write is idempotent
ScanInvalidated   continue with its token, or start a new scan
UndecodableKey    use the type of keys that wrote it
UndecodableValue  use the codec that wrote it
Corruption        stop, restore, report
StorageFailure    check the disk
Closed            open a new client
"""

from __future__ import annotations

from typing import NamedTuple

from shardstore.limits import SECOND_NS

KEY_BYTES_SHOWN = 40


class ShardstoreError(Exception):
    """Base of every error that shardstore raises on purpose."""


class InvalidRequest(ShardstoreError, ValueError):
    """An argument breaks a rule or a limit. It is also a ValueError.

    Nothing was applied, except by `put_many` and `delete_many`: there the message says which entries were applied.
    """


class Place(NamedTuple):
    """Where a request was refused.

    Attributes:
        segment: The number of the segment of the range.
        start: The first key of the range; empty: no bound.
        end: The first key behind the range; empty: no bound.
        worker: The number of the worker that owns it.
    """

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
    """A limit was reached, of memory or disk for example. Nothing was applied.

    Attributes:
        cause: What was refused or full, in words.
        used: How much of the limit would be used, with what was refused; in bytes, or a count, as the cause says.
        limit: The limit, in the unit of `used`; 1 or 0 if there is nothing to count.
        retry_after: Seconds until a retry may succeed; 0.0 if waiting alone does not help, or nobody can say.
        place: The range and its worker; None if the limit is not that of a range or of its worker.
        applied: False, for every Busy.
    """

    applied = False

    def __init__(self, cause: str, used: int, limit: int, retry_after_ns: int, place: Place | None = None) -> None:
        super().__init__(cause, used, limit, retry_after_ns, place)  # what it can be pickled from
        self.cause = cause
        self.used = used
        self.limit = limit
        self.retry_after_ns = retry_after_ns
        self.place = place

    @property
    def retry_after(self) -> float:
        """Seconds until a retry may succeed; 0.0 if waiting alone does not help, or nobody can say."""
        return self.retry_after_ns / SECOND_NS

    def __str__(self) -> str:
        amount = f": {self.used:,} of {self.limit:,} used" if self.limit > 1 else ""
        retry = f", retry after {self.retry_after_ns / 1e6:.0f} ms" if self.retry_after_ns else ""
        where = f" ({self.place})" if self.place else ""
        return f"{self.cause}{amount}; nothing was applied{retry}{where}"


class Unavailable(ShardstoreError):
    """Nobody answered before the timeout. Nothing was applied."""


class TurnedAway(Unavailable):
    """The store serves other clients, and takes no more connections."""


class AccessDenied(ShardstoreError):
    """The store does not let this client in, or its key has a role that does not allow the call. Nothing was applied.

    The message says why, and which key to use.
    """


class OutcomeUnknown(ShardstoreError):
    """A write was sent, and its reply did not come. It may have been applied, or not.

    `outcome(error.token)` of any client of the store says which, unless that is no longer known. What it says stays
    true.

    Attributes:
        what: What happened, in words.
        token: Bytes for `outcome`. They can be stored and sent to another process.
    """

    def __init__(self, what: str, token: bytes = b"") -> None:
        super().__init__(what, token)
        self.what = what
        self.token = token

    def __str__(self) -> str:
        return self.what


class ScanInvalidated(ShardstoreError):
    """A scan cannot keep what its mode promises. What it has yielded was right and complete.

    `scan(resume=error.token)` goes on behind the last entry, with a fresh view of the range.

    Attributes:
        last_key: The key of the last entry that was yielded; None if there was none.
        token: Bytes for `scan(resume=...)`. They can be stored and sent to another process.
        cause: Why the scan ended, in words.
    """

    def __init__(self, last_key: bytes | None, token: bytes, cause: str) -> None:
        super().__init__(last_key, token, cause)
        self.last_key = last_key
        self.token = token
        self.cause = cause

    def __str__(self) -> str:
        where = "before its first entry" if self.last_key is None else f"behind {self.last_key[:KEY_BYTES_SHOWN]!r}"
        return f"the scan ended {where}: {self.cause}"


class UndecodableKey(ShardstoreError, ValueError):
    """Bytes are no key of a type: they were written as another type, or without any. It is also a ValueError.

    Attributes:
        key_type: The description of the type.
        key: The bytes.
        what: What is wrong, in words.
    """

    def __init__(self, key_type: str, key: bytes, what: str) -> None:
        super().__init__(key_type, key, what)
        self.key_type = key_type
        self.key = key
        self.what = what

    def __str__(self) -> str:
        return f"{self.key[:KEY_BYTES_SHOWN]!r} is no key of the type {self.key_type}: {self.what}"


class UndecodableValue(ShardstoreError):
    """A stored value is not what the codec of its space writes. It can still be read as bytes.

    Attributes:
        space: The name of the space.
        key: The key of the value.
        what: What is wrong, in words.
    """

    def __init__(self, space: str, key: object, what: str) -> None:
        super().__init__(space, key, what)
        self.space = space
        self.key = key
        self.what = what

    def __str__(self) -> str:
        return f"the value of {self.key!r:.60} in the space {self.space!r} cannot be decoded: {self.what}"


class Corruption(ShardstoreError):
    """Stored bytes are damaged.

    Attributes:
        file: The path of the file within the data directory.
        offset: Where in the file, in bytes from its start.
        what: What is wrong, in words.
    """

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
    """The disk takes no writes now. What was asked for did not happen, and may succeed later."""


class DiskFull(NotWritable):
    """No space, quota or file size is left."""


class ReadOnlyDisk(NotWritable):
    """The filesystem is mounted, or has become, read-only."""


class Closed(ShardstoreError):
    """The client, the scan or the cluster was closed, or the process was forked and the client refuses that."""
