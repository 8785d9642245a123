"""Checks of the data that was read. They run between calls and are not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ycsb.settings import Settings
from ycsb.store import Entries
from ycsb.values import Values
from ycsb.workloads import Kind

MISSING = "Missing"
"""A loaded or inserted record has no value, or a scan that should begin with it does not."""
WRONG_VALUE = "WrongValue"
"""A value that was never written for its key."""
WRONG_SCAN = "WrongScan"
"""Entries out of order, or more than requested."""
WRONG = frozenset((MISSING, WRONG_VALUE, WRONG_SCAN))

Faults: TypeAlias = Counter[tuple[int, str]]
"""The number of faults by kind of operation and name."""
Check: TypeAlias = Callable[[int, tuple[Any, ...], Any], None]
"""Takes the kind of a call, its arguments, and its result."""


class Answers:
    """Checks the results of one runner, and counts faults. `checks`: the check of each kind that reads."""

    def __init__(self, settings: Settings) -> None:
        self._is_right = Values(settings.value_bytes).is_right if settings.verify else None
        self._inserts_failed: set[bytes] = set()
        self.faults: Faults = Counter()
        check_read: Check = self._check_value if settings.batch == 1 else self._check_values
        self.checks: Mapping[int, Check] = {
            Kind.READ: check_read,
            Kind.READ_MODIFY_WRITE: check_read,
            Kind.SCAN: self._check_scan,
        }

    def failed(self, kind: int, arguments: tuple[Any, ...], error: Exception) -> None:
        """Count an error of the store. A record whose insert failed may be missing later."""
        self.faults[kind, type(error).__name__] += 1
        if kind == Kind.INSERT:
            keys = arguments[0]
            self._inserts_failed.update([keys] if isinstance(keys, bytes) else keys)

    def _check_value(self, kind: int, arguments: tuple[Any, ...], value: bytes | None) -> None:
        if value is None:
            if arguments[0] not in self._inserts_failed:
                self.faults[kind, MISSING] += 1
        elif self._is_right is not None and not self._is_right(arguments[0], value):
            self.faults[kind, WRONG_VALUE] += 1

    def _check_values(self, kind: int, arguments: tuple[Any, ...], values: list[bytes | None]) -> None:
        if self._is_right is not None or None in values:
            for key, value in zip(arguments[0], values, strict=True):
                self._check_value(kind, (key,), value)

    def _check_scan(self, kind: int, arguments: tuple[Any, ...], entries: Entries) -> None:
        start, length = arguments
        if (not entries or entries[0][0] != start) and start not in self._inserts_failed:
            self.faults[kind, MISSING] += 1
        if self._is_right is None:
            return
        keys = [start, *(key for key, _ in entries[1:])]
        if keys != sorted(set(keys)) or len(entries) > length:
            self.faults[kind, WRONG_SCAN] += 1
        for key, value in entries:
            self._check_value(kind, (key,), value)


def wrong_answers(faults: Iterable[Mapping[str, int]]) -> int:
    """The number of faults that are wrong data, not errors."""
    return sum(count for counts in faults for name, count in counts.items() if name in WRONG)
