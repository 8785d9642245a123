"""What a retry of a write is told."""

from __future__ import annotations

from typing import TypeAlias

from shardstore.outcome import Ending

Result: TypeAlias = bytes | None
"""The value of a counter after an INCREMENT; None that the write was applied."""
FAILED = b""
"""A condition did not hold."""
BARRED = b"-"
"""Somebody was told that it was not applied. Neither is the value of a counter."""


def ending_of(result: Result) -> Ending:
    """Whether a request with this result was applied."""
    return Ending.NOT_APPLIED if result in (FAILED, BARRED) else Ending.APPLIED
