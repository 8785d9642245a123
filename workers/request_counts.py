"""Counts what a worker is asked for, by operation, and what becomes of requests that fail."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shardstore.wire.wire_format import Op


class RequestCounts:
    """Counts of requests and of their keys, by operation; and of failures, by what they are called."""

    def __init__(self) -> None:
        self.requests = [0] * (max(Op) + 1)
        self.keys = [0] * (max(Op) + 1)
        self.failures: Counter[str] = Counter()

    def statistics(self) -> dict[str, Any]:
        """Return the counts that are not 0."""
        return {
            "requests": {Op(op).name: count for op, count in enumerate(self.requests) if count},
            "keys": {Op(op).name: count for op, count in enumerate(self.keys) if count},
            "counts": dict(self.failures),
        }
