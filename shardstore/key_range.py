"""Half-open intervals of keys in byte order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys from `start` (inclusive; empty: no lower bound) to `end` (exclusive; empty: no upper bound)."""

    start: bytes = b""
    end: bytes = b""

    def __post_init__(self) -> None:
        if self.end and self.start >= self.end:
            raise ValueError(f"a range must end after its start, not {self.start!r} .. {self.end!r}")

    def __contains__(self, key: bytes) -> bool:
        return self.start <= key and (not self.end or key < self.end)

    def intersection(self, other: KeyRange) -> KeyRange | None:
        """Return the range of keys that are in both ranges; None if there can be none."""
        start = max(self.start, other.start)
        end = min(self.end, other.end) if self.end and other.end else self.end or other.end
        return None if end and start >= end else KeyRange(start, end)


EVERYTHING = KeyRange()


def range_of_prefix(prefix: bytes) -> KeyRange:
    """Return the range of exactly the keys that begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    return KeyRange(prefix, stem[:-1] + bytes([stem[-1] + 1]) if stem else b"")
