"""What `batch` of both clients collects: changes and conditions, checked as they come."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from shardstore.client.calls.arguments import checked_key, checked_timeout_ns, checked_value
from shardstore.client.calls.calls import AtomicBatch
from shardstore.client.calls.ends import checked_end_of
from shardstore.ends import Moment
from shardstore.errors import InvalidRequest
from shardstore.identifiers import Expiring, Lasting
from shardstore.limits import KIB, REQUEST_BYTES_MAX, REQUEST_ENTRIES_MAX

BATCH_BYTES_MAX = REQUEST_BYTES_MAX - KIB
ENTRY_BYTES = 20
_Value: TypeAlias = bytes | Expiring | Lasting | None
_V = TypeVar("_V", bound=_Value)
"""What a key and its value take in a request, besides their own bytes."""


def _size(value: _Value) -> int:
    return len(value.value if isinstance(value, Expiring | Lasting) else value or b"")


class BatchContents:
    """A batch until it is committed, without input and output. Of changes of the same key the last one counts."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout_ns = checked_timeout_ns(timeout)
        self._changes: dict[bytes, _Value] = {}
        self._conditions: dict[bytes, bytes | None] = {}
        self._bytes = 0
        self._closed = False
        self._applied: bool | None = None

    @property
    def applied(self) -> bool | None:
        """Whether the batch was applied; None until that is known.

        Returns:
            True if all of it was applied. False if a condition did not hold: then nothing was.
        """
        return self._applied

    def put(self, key: bytes, value: bytes, *, ttl: float | None = None, expires_at: Moment | None = None) -> None:
        """Add: set the value of a key.

        Args:
            key: 1 to 4,096 bytes.
            value: 0 to 8 MiB.
            ttl: Seconds from the commit until the value expires; None: it does not.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.

        Raises:
            InvalidRequest: An argument is not allowed, the batch is full, or it was committed or left.
        """
        end, checked = checked_end_of(ttl, expires_at), checked_value(value)
        self._add(self._changes, checked_key(key), checked if end is None else end.of(checked))

    def delete(self, key: bytes) -> None:
        """Add: remove a key. It is no error if the key has no value.

        Args:
            key: 1 to 4,096 bytes.

        Raises:
            The errors of `put`.
        """
        self._add(self._changes, checked_key(key), None)

    def require(self, key: bytes, expected: bytes | None) -> None:
        """Add a condition: the batch is applied only if the key has this value before it.

        Args:
            key: 1 to 4,096 bytes.
            expected: The value that the key must have; None: no value.

        Raises:
            InvalidRequest: As for `put`, or the batch requires another value of this key already.
        """
        checked = checked_key(key)
        value = None if expected is None else checked_value(expected, "expected value")
        if self._conditions.get(checked, value) != value:
            raise InvalidRequest(f"the batch requires another value of {checked!r:.60} already")
        self._add(self._conditions, checked, value)

    def discard(self) -> None:
        """Take nothing more. What was not committed never will be."""
        self._closed = True

    def _committed(self, timeout: float | None) -> AtomicBatch | None:
        """The call that applies the batch, which takes nothing more; None if it is empty. Raises InvalidRequest."""
        timeout_ns = self._timeout_ns if timeout is None else checked_timeout_ns(timeout)
        self._check_open()
        self._closed = True
        if not self._changes and not self._conditions:
            return None
        changes, conditions = self._changes, self._conditions
        return AtomicBatch(timeout_ns, [*changes], [*changes.values()], [*conditions], [*conditions.values()])

    def _add(self, entries: dict[bytes, _V], key: bytes, value: _V) -> None:
        self._check_open()
        is_new = key not in entries
        more = _size(value) - _size(entries.get(key)) + (len(key) + ENTRY_BYTES) * is_new
        if self._bytes + more > BATCH_BYTES_MAX:
            raise InvalidRequest(f"a batch has at most {BATCH_BYTES_MAX:,} bytes, not {self._bytes + more:,}")
        if is_new and len(self._changes) + len(self._conditions) == REQUEST_ENTRIES_MAX:
            raise InvalidRequest(f"a batch has at most {REQUEST_ENTRIES_MAX:,} changes and conditions")
        self._bytes += more
        entries[key] = value

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidRequest("the batch was committed or left already: make another one")
